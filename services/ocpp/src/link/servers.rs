//! The other side, for tests: servers on 127.0.0.1 that behave or misbehave, and certificates made on the spot.

use crate::configuration::Target;
use crate::link::talk::Stream;
use crate::link::upgrade::SUBPROTOCOL;
use crate::settings::{ClientCertificate, LinkSettings};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header::LOCATION;
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue, StatusCode};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

/// No test waits longer than this.
pub const LIMIT: Duration = Duration::from_secs(10);

/// A listener on a free port.
pub async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

/// A port on which nobody listens.
pub async fn dead_port() -> u16 {
    listener().await.1
}

/// A target of these addresses, without credentials.
pub fn target(addresses: &[String]) -> Target {
    Target {
        addresses: addresses.iter().map(|address| address.parse().expect("a URL")).collect(),
        shown_url: addresses[0].clone(),
        identity: "CP1".to_owned(),
        security_profile: 0,
        password: None,
    }
}

/// Settings that trust nobody and do not wait for long.
pub fn settings() -> LinkSettings {
    LinkSettings {
        root_certificates: Vec::new(),
        system_roots: false,
        client_certificate: None,
        proxy: None,
        connect_timeout: Duration::from_secs(5),
    }
}

/// What the server makes of the upgrade.
#[derive(Clone, Copy)]
pub enum Answer {
    Confirm,
    NoSubprotocol,
    OtherSubprotocol,
    Refuse(StatusCode, Option<&'static str>),
}

/// Answers an upgrade; the headers of the request, and the WebSocket if it is one.
pub async fn upgrade(stream: Stream, answer: Answer) -> (HeaderMap, Option<WebSocketStream<Stream>>) {
    let (sender, headers) = oneshot::channel();
    #[allow(clippy::result_large_err, reason = "the library's signature")]
    let callback = move |request: &Request, mut response: Response| {
        assert_eq!(request.uri().path(), "/ocpp/CP1");
        sender.send(request.headers().clone()).expect("it is waited for");
        match answer {
            Answer::Confirm => {
                response.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(SUBPROTOCOL));
                Ok(response)
            }
            Answer::NoSubprotocol => Ok(response),
            Answer::OtherSubprotocol => {
                response.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("ocpp2.0.1"));
                Ok(response)
            }
            Answer::Refuse(status, location) => {
                let mut refusal = ErrorResponse::new(None);
                *refusal.status_mut() = status;
                refusal.headers_mut().extend(location.map(|to| (LOCATION, HeaderValue::from_static(to))));
                Err(refusal)
            }
        }
    };
    let socket = accept_hdr_async(stream, callback).await.ok();
    (headers.await.expect("a request"), socket)
}

/// Takes one caller in on plain TCP.
pub async fn accept(listener: &TcpListener) -> Stream {
    Box::new(listener.accept().await.expect("a caller").0)
}

/// Takes one caller in on TLS; nothing when the handshake fails.
pub async fn accept_tls(listener: &TcpListener, tls: &TlsAcceptor) -> Option<Stream> {
    let (stream, _) = listener.accept().await.expect("a caller");
    Some(Box::new(tls.accept(stream).await.ok()?))
}

/// Reads the head of an HTTP request.
pub async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    String::from_utf8(head).expect("text")
}

/// A proxy that takes one caller in: the head of its request.
pub async fn proxy(listener: &TcpListener, status: &str, onward: Option<u16>) -> String {
    let (mut caller, _) = listener.accept().await.expect("a caller");
    let head = read_head(&mut caller).await;
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
    let answer = if onward.is_some() { format!("HTTP/1.1 {status}\r\n\r\n") } else { answer };
    caller.write_all(answer.as_bytes()).await.expect("written");
    if let Some(port) = onward {
        let mut server = TcpStream::connect(("127.0.0.1", port)).await.expect("connects");
        // One of them hangs up when the test is over.
        let _ = tokio::io::copy_bidirectional(&mut caller, &mut server).await;
    }
    head
}

/// Somebody who issues certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
}

/// A certificate and its key.
pub struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("a certificate");
        Authority { issuer: Issuer::new(params, key), certificate }
    }

    /// A certificate for a name or an address, with changes.
    pub fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        change(&mut params);
        Identity { certificate: params.signed_by(&key, &self.issuer).expect("a certificate"), key }
    }

    /// Writes the root into a directory.
    pub fn write(&self, directory: &Path, name: &str) -> PathBuf {
        let path = directory.join(name);
        write(&path, &self.certificate.pem());
        path
    }

    fn store(&self) -> RootCertStore {
        let mut store = RootCertStore::empty();
        store.add(self.certificate.der().clone()).expect("a root");
        store
    }
}

impl Identity {
    fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.der().clone()]
    }

    /// Writes certificate and key into a directory.
    pub fn write(&self, directory: &Path) -> ClientCertificate {
        let files = ClientCertificate { chain: directory.join("own.pem"), key: directory.join("own.key") };
        write(&files.chain, &self.certificate.pem());
        write(&files.key, &self.key.serialize_pem());
        files
    }

    /// A server with this certificate that asks for nothing special.
    pub fn server(&self) -> TlsAcceptor {
        self.server_with(rustls::ALL_VERSIONS, ring::default_provider(), None)
    }

    /// A server with this certificate, these versions and suites, that wants certificates of `clients`.
    pub fn server_with(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        provider: CryptoProvider,
        clients: Option<&Authority>,
    ) -> TlsAcceptor {
        let provider = Arc::new(provider);
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .expect("versions that fit");
        let builder = match clients {
            Some(clients) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(clients.store()), provider);
                builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
            }
            None => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).expect("a key");
        let config = builder.with_single_cert(self.chain(), key).expect("a certificate and its key");
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Writes a file of the test's own.
#[allow(clippy::disallowed_methods, reason = "a test's own file")]
pub fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("written");
}

/// A directory for certificates.
pub fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}
