//! From a connection to a WebSocket: the request with who the station is, and what the server makes of it.

use crate::configuration::Target;
use crate::link::error::DialError;
use crate::link::talk::Stream;
use busbar_ocpp16::frame::MOST_BYTES;
use data_encoding::BASE64;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::{ProtocolError, SubProtocolError};
use tokio_tungstenite::tungstenite::handshake::client::{Request, Response};
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, LOCATION, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use url::Url;

/// OCPP 1.6 over JSON; a server that does not confirm it is not a CSMS for this station.
pub const SUBPROTOCOL: &str = "ocpp1.6";
/// What is read from the network at a time; frames are mostly shorter.
const READ_AT_A_TIME: usize = 8 * 1024;

/// The request for an address.
///
/// # Errors
/// When HTTP cannot carry it.
pub fn request(target: &Target, address: &Url) -> Result<Request, DialError> {
    let mut bare = address.clone();
    // Credentials are a key of their own; an address without a host does not come here.
    let _ = bare.set_username("").and_then(|()| bare.set_password(None));
    bare.set_fragment(None);
    let unusable = |_| DialError::Unusable("HTTP cannot carry it");
    let mut request = bare.as_str().into_client_request().map_err(unusable)?;
    let headers = request.headers_mut();
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    if let (1 | 2, Some(password)) = (target.security_profile, &target.password) {
        let pair = [target.identity.as_bytes(), b":", password.bytes()].concat();
        let value = HeaderValue::from_str(&format!("Basic {}", BASE64.encode(&pair)));
        let mut value = value.map_err(|_| DialError::Unusable("HTTP cannot carry the identity"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(request)
}

/// How frames are taken and written. A frame is put together whole and goes out in one write, with a pong that is due.
pub fn frames() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MOST_BYTES))
        .max_frame_size(Some(MOST_BYTES))
        .read_buffer_size(READ_AT_A_TIME)
}

/// Asks for the WebSocket.
///
/// # Errors
/// What the server says instead.
pub async fn upgrade(request: Request, stream: Stream) -> Result<WebSocketStream<Stream>, DialError> {
    let (socket, _) = client_async_with_config(request, stream, Some(frames())).await.map_err(refused)?;
    Ok(socket)
}

fn refused(error: Error) -> DialError {
    match error {
        Error::Http(answer) => answered(&answer),
        // In TLS 1.3 a server's word on the station's certificate comes after the handshake.
        Error::Io(error) => DialError::of_tls(&error).unwrap_or(DialError::UpgradeCut(error)),
        Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(SubProtocolError::NoSubProtocol)) => {
            DialError::NoSubprotocol
        }
        Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(_)) => DialError::WrongSubprotocol,
        Error::Protocol(ProtocolError::HandshakeIncomplete) => DialError::HungUp,
        other => DialError::NotWebSocket(other.to_string()),
    }
}

fn answered(answer: &Response) -> DialError {
    let status = answer.status();
    match status {
        StatusCode::UNAUTHORIZED => DialError::Unauthorized(status),
        StatusCode::FORBIDDEN => DialError::Forbidden(status),
        StatusCode::NOT_FOUND => DialError::NotFound(status),
        _ if status.is_redirection() => {
            let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            let host = location.and_then(|location| Url::parse(location).ok()?.host_str().map(str::to_owned));
            DialError::Redirected { status, host }
        }
        _ if status.is_server_error() => DialError::ServerFailed(status),
        _ => DialError::Answered(status),
    }
}
