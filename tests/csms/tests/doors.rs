//! Who is let in and who is not: TLS, certificates and passwords, with a WebSocket client in the station's place.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use busbar_csms::{Authority, Csms, Issued, Link, Options, Passwords, Tls, TlsVersions};
use data_encoding::BASE64;
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

const SOON: Duration = Duration::from_secs(10);
const NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

async fn tls_csms(tls: Tls) -> Csms {
    Csms::start(Options { tls: Some(tls), ..Options::default() }).await.unwrap()
}

/// A station's TLS, trusting one root, with or without a certificate of its own.
fn trusting(root_pem: &str, own: Option<&Issued>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some(Issued { chain_pem, key_pem }) => {
            let chain = CertificateDer::pem_slice_iter(chain_pem.as_bytes()).map(Result::unwrap).collect();
            let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    TlsConnector::from(Arc::new(config))
}

async fn secure(csms: &Csms, connector: &TlsConnector) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(csms.address()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    timeout(SOON, connector.connect(name, stream)).await.expect("a TLS handshake in time")
}

async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    csms: &Csms,
    stream: S,
    password: Option<&[u8]>,
) -> Result<WebSocketStream<S>, Error> {
    let mut request = format!("{}/CP1", csms.url()).into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("ocpp1.6"));
    if let Some(password) = password {
        let credentials = BASE64.encode(&[b"CP1:", password].concat());
        request.headers_mut().insert("Authorization", HeaderValue::try_from(format!("Basic {credentials}")).unwrap());
    }
    Ok(timeout(SOON, client_async(request, stream)).await.expect("a handshake in time")?.0)
}

async fn enter(csms: &Csms, password: Option<&[u8]>) -> Result<WebSocketStream<TcpStream>, Error> {
    upgrade(csms, TcpStream::connect(csms.address()).await.unwrap(), password).await
}

async fn beats<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) {
    socket.send(Message::text(r#"[2,"1","Heartbeat",{}]"#)).await.unwrap();
    let answer = timeout(SOON, socket.next()).await.expect("an answer in time").unwrap().unwrap();
    assert!(answer.to_text().unwrap().contains("currentTime"), "{answer}");
}

async fn link(csms: &Csms, number: usize) -> Link {
    csms.wait_until(SOON, |csms| csms.links().get(number).cloned()).await.unwrap()
}

fn is_unauthorized<S>(outcome: Result<WebSocketStream<S>, Error>) -> bool {
    match outcome {
        Err(Error::Http(response)) => {
            let challenge = response.headers().get("WWW-Authenticate").and_then(|value| value.to_str().ok());
            response.status() == 401 && challenge.is_some_and(|challenge| challenge.starts_with("Basic "))
        }
        _ => false,
    }
}

#[tokio::test]
async fn over_tls_a_station_talks_as_without() {
    for (versions, version) in [(TlsVersions::Both, "1.3"), (TlsVersions::Only12, "1.2"), (TlsVersions::Only13, "1.3")]
    {
        let made = Tls::self_signed(&NAMES).unwrap();
        let csms = tls_csms(made.tls.offering(versions)).await;
        assert!(csms.url().starts_with("wss://"), "{}", csms.url());
        let stream = secure(&csms, &trusting(&made.root_pem, None)).await.unwrap();
        let mut socket = upgrade(&csms, stream, None).await.unwrap();
        beats(&mut socket).await;
        let secured = link(&csms, 0).await.secured.unwrap();
        assert_eq!((secured.version.as_str(), secured.station_certificate), (version, None));
        assert!(secured.suite.contains("GCM") || secured.suite.contains("CHACHA20"), "{}", secured.suite);
        assert!(csms.drop_connection("CP1"));
        assert!(matches!(timeout(SOON, socket.next()).await.unwrap(), Some(Err(_))));
    }
}

#[tokio::test]
async fn a_station_that_does_not_trust_the_certificate_is_recorded() {
    let made = Tls::self_signed(&NAMES).unwrap();
    let stranger = Authority::new("another root").unwrap();
    let expired = made.authority.expired_server(&NAMES).unwrap();
    let other_name = made.authority.server(&["example.com"]).unwrap();
    for (tls, root) in [
        (made.tls.clone(), stranger.root_pem()),
        (expired, made.root_pem.as_str()),
        (other_name, made.root_pem.as_str()),
    ] {
        let csms = tls_csms(tls).await;
        secure(&csms, &trusting(root, None)).await.unwrap_err();
        let link = link(&csms, 0).await;
        assert!(!link.accepted && link.refusal.as_ref().unwrap().starts_with("TLS: "), "{link:?}");
    }
}

#[tokio::test]
async fn a_station_without_the_right_certificate_is_turned_away_if_one_is_asked_for() {
    let made = Tls::self_signed(&NAMES).unwrap();
    let stations = Authority::new("root of the stations").unwrap();
    let csms = tls_csms(made.tls.asking_for(stations.root_pem())).await;
    let own = stations.station("BENCH-0001").unwrap();
    let forged = made.authority.station("BENCH-0001").unwrap();
    for wrong in [None, Some(&forged)] {
        // In TLS 1.3 the station hears of it only when it reads.
        if let Ok(stream) = secure(&csms, &trusting(&made.root_pem, wrong)).await {
            assert!(upgrade(&csms, stream, None).await.is_err());
        }
    }
    let stream = secure(&csms, &trusting(&made.root_pem, Some(&own))).await.unwrap();
    beats(&mut upgrade(&csms, stream, None).await.unwrap()).await;
    let links = csms.links();
    assert_eq!(links.iter().map(|link| link.accepted).collect::<Vec<_>>(), [false, false, true]);
    let shown = links[2].secured.clone().unwrap().station_certificate.unwrap();
    assert_eq!(shown, CertificateDer::from_pem_slice(own.chain_pem.as_bytes()).unwrap().to_vec());
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_said_at_the_start() {
    let tls = Tls { chain_pem: String::new(), ..Tls::self_signed(&NAMES).unwrap().tls };
    let fault = Csms::start(Options { tls: Some(tls), ..Options::default() }).await.unwrap_err();
    assert_eq!(fault.kind(), std::io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_wrong_or_missing_password_is_answered_with_401_and_recorded() {
    let password = Some(Passwords::ForAll("secret".into()));
    let csms = Csms::start(Options { password, ..Options::default() }).await.unwrap();
    assert!(is_unauthorized(enter(&csms, None).await));
    assert!(is_unauthorized(enter(&csms, Some(b"Secret")).await));
    beats(&mut enter(&csms, Some(b"secret")).await.unwrap()).await;
    let links = csms.links();
    assert_eq!(links.iter().map(|link| link.accepted).collect::<Vec<_>>(), [false, false, true]);
    assert!(links.iter().all(|link| link.identity == "CP1"));
    let sent = |password: &[u8]| Some(format!("Basic {}", BASE64.encode(&[b"CP1:", password].concat())));
    let authorizations: Vec<_> = links.iter().map(|link| link.authorization.clone()).collect();
    assert_eq!(authorizations, [None, sent(b"Secret"), sent(b"secret")]);
}

#[tokio::test]
async fn passwords_change_while_it_runs_and_open_links_stay() {
    let password = Some(Passwords::Each(HashMap::from([("CP2".to_owned(), "other".into())])));
    let csms = Csms::start(Options { password, ..Options::default() }).await.unwrap();
    assert!(is_unauthorized(enter(&csms, Some(b"other")).await), "an identity without a password of its own");
    csms.set_password("CP1", Some("first"));
    let mut open = enter(&csms, Some(b"first")).await.unwrap();
    beats(&mut open).await;
    csms.set_password_to("CP1", Some(vec![0xff, 0x00, b':'].into()));
    beats(&mut open).await;
    assert!(is_unauthorized(enter(&csms, Some(b"first")).await));
    beats(&mut enter(&csms, Some(&[0xff, 0x00, b':'])).await.unwrap()).await;
    csms.set_password("CP1", None);
    beats(&mut enter(&csms, None).await.unwrap()).await;
}
