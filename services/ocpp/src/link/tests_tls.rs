//! Opening with TLS: which servers the station trusts and which it leaves, and how it shows who it is itself.

use super::*;
use crate::configuration::Password;
use crate::link::dial::dial;
use crate::link::servers::*;
use crate::link::tests_frames::Counting;
use crate::link::tls::trust;
use crate::link::upgrade::frames;
use crate::settings::Proxy;
use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};
use rustls::crypto::ring;
use rustls::{CipherSuite, version};
use std::sync::atomic::Ordering;
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::http::HeaderMap;
use tokio_tungstenite::tungstenite::protocol::Role;

const HERE: &str = "127.0.0.1";

struct Case {
    authority: Authority,
    settings: LinkSettings,
    directory: TempDir,
    target: Target,
}

/// A station that trusts one authority.
fn case() -> Case {
    let (authority, directory) = (Authority::new("Root"), directory());
    let mut settings = settings();
    settings.root_certificates = vec![authority.write(directory.path(), "root.pem")];
    Case { authority, settings, directory, target: target(&["wss://csms.example/ocpp/CP1".to_owned()]) }
}

impl Case {
    /// Opens a link to a server at this host: the address that was opened, and the headers that the server got.
    async fn open_at(&mut self, host: &str, server: &TlsAcceptor) -> (Result<String, String>, Option<HeaderMap>) {
        let (listener, port) = listener().await;
        self.target.addresses = vec![format!("wss://{host}:{port}/ocpp/CP1").parse().expect("a URL")];
        let serving = async {
            let stream = accept_tls(&listener, server).await?;
            Some(upgrade(stream, Answer::Confirm).await)
        };
        let dialling = async { dial(&self.settings, &self.target).await };
        let (opened, served) = timeout(LIMIT, async { tokio::join!(dialling, serving) }).await.expect("in time");
        let place = format!("wss://{host}:{port}/ocpp");
        let opened = match opened {
            Ok((_, url)) => Ok(url.replace(&place, "here")),
            Err(reason) => Err(reason.replace(&format!("{place}: "), "")),
        };
        (opened, served.map(|(headers, _)| headers))
    }

    async fn open(&mut self, server: &TlsAcceptor) -> Result<String, String> {
        self.open_at(HERE, server).await.0
    }

    async fn refused(&mut self, server: &TlsAcceptor) -> String {
        self.open(server).await.expect_err("refused")
    }
}

fn opened() -> Result<String, String> {
    Ok("here".to_owned())
}

#[tokio::test]
async fn tc_086_tls_1_2_and_1_3_with_the_suites_of_the_whitepaper() {
    let mut case = case();
    let identity = case.authority.issue(HERE, |_| {});
    for version in [&version::TLS12, &version::TLS13] {
        let server = identity.server_with(&[version], ring::default_provider(), None);
        assert_eq!(case.open(&server).await, opened(), "{version:?}");
    }
    for suite in
        [CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]
    {
        let mut provider = ring::default_provider();
        provider.cipher_suites.retain(|offered| offered.suite() == suite);
        let server = identity.server_with(&[&version::TLS12], provider, None);
        assert_eq!(case.open(&server).await, opened(), "{suite:?}");
    }
}

#[tokio::test]
async fn tc_086_the_password_goes_over_tls_in_profiles_1_and_2_and_not_in_0_and_3() {
    let mut case = case();
    let server = case.authority.issue(HERE, |_| {}).server();
    case.settings.client_certificate = Some(case.authority.issue("station", |_| {}).write(case.directory.path()));
    for (profile, sent) in [(0, false), (1, true), (2, true), (3, false)] {
        (case.target.security_profile, case.target.password) = (profile, Some(Password::new("secret")));
        let (link, headers) = case.open_at(HERE, &server).await;
        assert_eq!(link, opened(), "profile {profile}");
        let headers = headers.expect("a request");
        assert_eq!(headers.get("Authorization").is_some_and(|value| value == "Basic Q1AxOnNlY3JldA=="), sent);
        assert_eq!(headers.contains_key("Authorization"), sent, "profile {profile}");
    }
}

#[tokio::test]
async fn tc_086_a_server_that_an_unknown_authority_speaks_for_is_left() {
    let mut case = case();
    let server = Authority::new("Other").issue(HERE, |_| {}).server();
    let unknown = "the station does not trust who issued the certificate (roots known: 1)";
    assert_eq!(case.refused(&server).await, unknown);
    let broken = case.directory.path().join("broken.pem");
    write(&broken, "no certificate");
    case.settings.root_certificates.push(broken.clone());
    let told = format!("(roots known: 1; {}: holds no certificate)", broken.display());
    assert!(case.refused(&server).await.ends_with(&told));
}

#[tokio::test]
async fn case_32_a_certificate_out_of_its_time_is_told_and_the_clock_is_doubted() {
    let mut case = case();
    let old = case.authority.issue(HERE, |params| {
        (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 2, 3));
    });
    assert_eq!(case.refused(&old.server()).await, "the certificate has expired on 2001-02-03");
    let early = case.authority.issue(HERE, |params| {
        (params.not_before, params.not_after) = (date_time_ymd(2190, 1, 2), date_time_ymd(2199, 1, 1));
    });
    let reason = case.refused(&early.server()).await;
    assert!(reason.starts_with("the certificate is not yet valid (it is from 2190-01-02 on, the station has 2"));
    assert!(reason.ends_with("; the station's clock may be wrong"), "{reason}");
}

#[tokio::test]
async fn tc_086_a_certificate_for_another_name_or_use_is_told() {
    let mut case = case();
    let other = case.authority.issue("other.example", |_| {}).server();
    assert_eq!(case.refused(&other).await, "the certificate is for another name: other.example");
    let client = case
        .authority
        .issue(HERE, |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth])
        .server();
    assert_eq!(case.refused(&client).await, "the certificate is not for servers");
    let named = case.authority.issue("localhost", |_| {}).server();
    assert_eq!(case.open_at("localhost", &named).await.0, opened());
}

#[tokio::test]
async fn a_root_that_comes_into_the_services_own_store_counts_at_the_next_attempt() {
    let mut case = case();
    let new = Authority::new("New");
    let server = new.issue(HERE, |_| {}).server();
    let state = case.directory.path().join("state");
    case.settings.root_certificates = Vec::new();
    case.settings.keep_in(&state, None);
    assert!(case.refused(&server).await.ends_with("(roots known: 0)"));
    std::fs::create_dir_all(state.join("roots")).expect("made");
    write(&state.join("roots/note.txt"), "not looked at");
    assert!(case.refused(&server).await.ends_with("(roots known: 0)"));
    new.write(&state.join("roots"), "new.pem");
    assert_eq!(case.open(&server).await, opened());
}

#[tokio::test]
async fn the_systems_roots_count_where_they_are_wanted() {
    let mut case = case();
    let server = Authority::new("Other").issue(HERE, |_| {}).server();
    case.settings.system_roots = true;
    // How many there are is the machine's affair; that this authority is none of them is not.
    assert!(case.refused(&server).await.starts_with("the station does not trust who issued the certificate"));
}

#[tokio::test]
async fn tc_087_a_client_certificate_is_shown_to_a_server_that_wants_one() {
    for version in [&version::TLS12, &version::TLS13] {
        let mut case = case();
        let clients = Authority::new("Clients");
        let identity = case.authority.issue(HERE, |_| {});
        let server = identity.server_with(&[version], ring::default_provider(), Some(&clients));
        case.target.security_profile = 2;
        let reason = case.refused(&server).await;
        assert_eq!(reason, "the server refuses the TLS handshake: it wants a client certificate", "{version:?}");

        case.settings.client_certificate = Some(clients.issue("station", |_| {}).write(case.directory.path()));
        for profile in [2, 3] {
            case.target.security_profile = profile;
            assert_eq!(case.open(&server).await, opened(), "profile {profile}, {version:?}");
        }

        let stranger = Authority::new("Strangers").issue("station", |_| {});
        case.settings.client_certificate = Some(stranger.write(case.directory.path()));
        let reason = case.refused(&server).await;
        assert!(reason.starts_with("the server refuses the TLS handshake: "), "{reason}");
    }
}

#[tokio::test]
async fn tc_087_profile_3_without_a_usable_client_certificate_dials_nobody() {
    let mut case = case();
    case.target.addresses = vec![format!("wss://{HERE}:{}/ocpp/CP1", dead_port().await).parse().expect("a URL")];
    case.target.security_profile = 3;
    let reason = |dialled: Result<_, String>| dialled.map(drop::<(_, String)>).expect_err("no link");
    let missing = reason(dial(&case.settings, &case.target).await);
    assert!(missing.contains("security profile 3 needs a client certificate"), "{missing}");
    let files = case.authority.issue("station", |_| {}).write(case.directory.path());
    write(&files.key, "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n");
    case.settings.client_certificate = Some(files.clone());
    let unusable = reason(dial(&case.settings, &case.target).await);
    assert!(unusable.contains("the certificate files cannot be read"), "{unusable}");
    write(&files.key, "secret");
    let unusable = reason(dial(&case.settings, &case.target).await);
    let expected = format!("{}: holds nothing that is wanted", files.key.display());
    assert!(unusable.ends_with(&expected) && !unusable.contains("secret"), "{unusable}");
}

#[tokio::test]
async fn case_35_a_server_that_does_not_fit_or_speaks_no_tls_is_told() {
    let mut case = case();
    let (listener, port) = listener().await;
    case.target.addresses = vec![format!("wss://{HERE}:{port}/ocpp/CP1").parse().expect("a URL")];
    let plain = async {
        let (mut stream, _) = listener.accept().await.expect("a caller");
        let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.expect("written");
        stream
    };
    let both = async { tokio::join!(dial(&case.settings, &case.target), plain) };
    let (opened, _stream) = timeout(LIMIT, both).await.expect("in time");
    let reason = opened.map(drop).expect_err("no link");
    assert!(reason.ends_with("/ocpp: the server does not speak TLS there"), "{reason}");

    let hangs_up = async { drop(listener.accept().await.expect("a caller")) };
    let both = async { tokio::join!(dial(&case.settings, &case.target), hangs_up) };
    let (opened, ()) = timeout(LIMIT, both).await.expect("in time");
    let reason = opened.map(drop).expect_err("no link");
    assert!(reason.contains("the connection was lost in the TLS handshake"), "{reason}");

    let mut provider = ring::default_provider();
    provider.kx_groups.clear();
    provider.kx_groups.push(ring::kx_group::SECP384R1);
    let server = case.authority.issue(HERE, |_| {}).server_with(&[&version::TLS13], provider, None);
    assert_eq!(case.open(&server).await, self::opened(), "another group is agreed on");
}

#[tokio::test]
async fn case_35_a_tls_server_that_says_nothing_is_left_in_time() {
    let mut case = case();
    let (_listener, port) = listener().await;
    case.settings.connect_timeout = std::time::Duration::from_millis(300);
    case.target.addresses = vec![format!("wss://{HERE}:{port}/ocpp/CP1").parse().expect("a URL")];
    let reason = dial(&case.settings, &case.target).await.map(drop).expect_err("no link");
    assert!(reason.ends_with("it took longer than 300 ms: the TLS handshake"), "{reason}");
}

#[tokio::test]
async fn a_short_frame_is_one_write_over_tls_too() {
    let case = case();
    let server = case.authority.issue(HERE, |_| {}).server();
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let (carrier, writes) = Counting::new(ours);
    let trust = trust(&case.settings, 0).await.map_err(|error| error.text()).expect("the root");
    let (stream, theirs) = tokio::join!(trust.secure(HERE, carrier), server.accept(theirs));
    let stream = stream.map_err(|error| error.text()).expect("secured");
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, Some(frames())).await;
    let before = writes.load(Ordering::Relaxed);
    for (length, number) in [2, 200, 15_000].into_iter().zip(1..) {
        talk::write(&mut socket, Command::Text(Wire("x".repeat(length))), LIMIT).await.expect("written");
        assert_eq!(writes.load(Ordering::Relaxed) - before, number, "{length} characters");
    }
    drop(theirs);
}

#[tokio::test]
async fn tls_goes_through_a_proxy_and_still_checks_the_server() {
    let mut case = case();
    let (listener, port) = listener().await;
    case.target.addresses = vec!["wss://csms.example/ocpp/CP1".parse().expect("a URL")];
    for (name, trusted) in [("csms.example", true), ("other.example", false)] {
        let (proxies, proxy_port) = self::listener().await;
        case.settings.proxy = Some(Proxy { host: HERE.to_owned(), port: proxy_port, credentials: None });
        let tls = case.authority.issue(name, |_| {}).server();
        let station = async {
            let serving = async {
                let stream = accept_tls(&listener, &tls).await?;
                Some(upgrade(stream, Answer::Confirm).await)
            };
            let (opened, _) = tokio::join!(dial(&case.settings, &case.target), serving);
            opened.map(|(_, url)| url)
        };
        let proxying = proxy(&proxies, "200 OK", Some(port));
        let (opened, head) = timeout(LIMIT, async { tokio::join!(station, proxying) }).await.expect("in time");
        assert!(head.starts_with("CONNECT csms.example:443 "), "{head}");
        match opened {
            Ok(url) => assert!(trusted && url == "wss://csms.example/ocpp"),
            Err(reason) => assert!(!trusted && reason.contains("is for another name"), "{reason}"),
        }
    }
}
