//! The way through an HTTP proxy: CONNECT, then the connection is as if it were one to the CSMS.

use crate::link::error::{FileError, ProxyError};
use crate::settings::Proxy;
use data_encoding::BASE64;
use hyper::client::conn::http1::handshake;
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use tokio::net::TcpStream;

/// Asks the proxy to lead a connection to a host.
///
/// # Errors
/// When it does not.
pub async fn tunnel(stream: TcpStream, proxy: &Proxy, host: &str, port: u16) -> Result<TcpStream, ProxyError> {
    let authority = authority(host, port);
    let credentials = credentials(proxy)?;
    let has_credentials = credentials.is_some();
    let mut request = Request::new(String::new());
    *request.method_mut() = Method::CONNECT;
    // A host of a URL is one of an authority.
    *request.uri_mut() = authority.parse().map_err(|_| ProxyError::Refuses(StatusCode::BAD_REQUEST))?;
    let headers = request.headers_mut();
    headers.extend(HeaderValue::from_str(&authority).ok().map(|host| (HOST, host)));
    headers.extend(credentials.map(|credentials| (PROXY_AUTHORIZATION, credentials)));

    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(ProxyError::Broken)?;
    let asked = async {
        let mut answer = sender.send_request(request).await.map_err(ProxyError::Broken)?;
        match answer.status() {
            status if status.is_success() => hyper::upgrade::on(&mut answer).await.map_err(ProxyError::Broken),
            status @ StatusCode::PROXY_AUTHENTICATION_REQUIRED if has_credentials => {
                Err(ProxyError::RefusesCredentials(status))
            }
            status @ StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(ProxyError::WantsCredentials(status)),
            status => Err(ProxyError::Refuses(status)),
        }
    };
    let carried = async {
        // What went wrong is in the answer to the request.
        let _ = connection.with_upgrades().await;
        std::future::pending::<Infallible>().await
    };
    let upgraded = tokio::select! {
        upgraded = asked => upgraded?,
        never = carried => match never {},
    };
    bare(upgraded)
}

/// The connection as it was before HTTP.
fn bare(upgraded: Upgraded) -> Result<TcpStream, ProxyError> {
    match upgraded.downcast::<TokioIo<TcpStream>>() {
        // Who is called speaks second, in TLS as in HTTP.
        Ok(parts) if parts.read_buf.is_empty() => Ok(parts.io.into_inner()),
        _ => Err(ProxyError::Talkative),
    }
}

/// Host and port as HTTP names them.
pub fn authority(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn credentials(proxy: &Proxy) -> Result<Option<HeaderValue>, ProxyError> {
    let Some(path) = &proxy.credentials else { return Ok(None) };
    let read = busbar_runtime::durable::read(path)
        .map_err(|error| ProxyError::Unread(FileError { path: path.clone(), fault: error.to_string() }))?;
    let Some(text) = read else { return Ok(None) };
    let text = text.trim_end_matches(['\r', '\n']);
    if !text.contains(':') || text.chars().any(char::is_control) {
        return Err(ProxyError::Credentials);
    }
    let value = HeaderValue::from_str(&format!("Basic {}", BASE64.encode(text.as_bytes())));
    let mut value = value.map_err(|_| ProxyError::Credentials)?;
    value.set_sensitive(true);
    Ok(Some(value))
}
