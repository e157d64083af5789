//! Opening without TLS: who the station says it is, what servers and proxies answer, and several addresses.

use super::*;
use crate::configuration::Password;
use crate::link::dial::dial;
use crate::link::servers::*;
use crate::settings::Proxy;
use data_encoding::BASE64;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::http::{HeaderMap, StatusCode};

fn address(port: u16) -> String {
    format!("ws://127.0.0.1:{port}/ocpp/CP1")
}

/// What the station says to this answer of the server, without the address.
async fn refused(answer: Answer) -> String {
    let (listener, port) = listener().await;
    let (settings, target) = (settings(), target(&[address(port)]));
    let server = async { upgrade(accept(&listener).await, answer).await };
    let (opened, _) = timeout(LIMIT, async { tokio::join!(dial(&settings, &target), server) }).await.expect("in time");
    let reason = opened.map(drop).expect_err("refused");
    let place = format!("ws://127.0.0.1:{port}/ocpp: ");
    reason.strip_prefix(&place).unwrap_or_else(|| panic!("{reason} names another place")).to_owned()
}

/// What the station says when the server sends these bytes, whatever it was asked.
async fn answered_raw(bytes: &'static [u8]) -> String {
    let (listener, port) = listener().await;
    let (settings, target) = (settings(), target(&[address(port)]));
    let server = async {
        let (mut stream, _) = listener.accept().await.expect("a caller");
        read_head(&mut stream).await;
        stream.write_all(bytes).await.expect("written");
    };
    let (opened, ()) = timeout(LIMIT, async { tokio::join!(dial(&settings, &target), server) }).await.expect("in time");
    opened.map(drop).expect_err("refused")
}

/// The headers that the server gets.
async fn headers(change: impl FnOnce(&mut Target)) -> HeaderMap {
    let (listener, port) = listener().await;
    let (settings, mut target) = (settings(), target(&[address(port)]));
    change(&mut target);
    let server = async { upgrade(accept(&listener).await, Answer::Confirm).await.0 };
    let (opened, headers) =
        timeout(LIMIT, async { tokio::join!(dial(&settings, &target), server) }).await.expect("in time");
    assert_eq!(opened.map(|(_, url)| url), Ok(format!("ws://127.0.0.1:{port}/ocpp")));
    headers
}

#[tokio::test]
async fn tc_085_the_upgrade_carries_the_identity_and_the_bytes_of_the_password() {
    let password = || Some(Password::new(*b"\x00\xFFpass:word\n"));
    let with_profile_1 = headers(|target| (target.security_profile, target.password) = (1, password())).await;
    let expected = format!("Basic {}", BASE64.encode(b"CP1:\x00\xFFpass:word\n"));
    assert_eq!(with_profile_1["Authorization"], expected.as_str());
    assert_eq!(with_profile_1["Sec-WebSocket-Protocol"], "ocpp1.6");
    let special = headers(|target| {
        (target.security_profile, target.password) = (1, password());
        target.identity = "Säule 1/*".to_owned();
    });
    let expected = format!("Basic {}", BASE64.encode(&[b"S\xC3\xA4ule 1/*:", &b"\x00\xFFpass:word\n"[..]].concat()));
    assert_eq!(special.await["Authorization"], expected.as_str());
    for (profile, password) in [(0, password()), (1, None)] {
        let headers = headers(|target| (target.security_profile, target.password) = (profile, password)).await;
        assert!(!headers.contains_key("Authorization"), "profile {profile}");
    }
}

#[tokio::test]
async fn credentials_in_the_url_go_nowhere() {
    let headers = headers(|target| {
        let address = &mut target.addresses[0];
        address.set_username("user").expect("a user");
        address.set_password(Some("secret")).expect("a password");
    })
    .await;
    assert!(headers.values().all(|value| !value.to_str().expect("text").contains("secret")));
    assert!(!headers.contains_key("Authorization"));
}

#[tokio::test]
async fn case_35_each_answer_of_a_server_that_opens_no_websocket_is_told() {
    for (status, location, expected) in [
        (
            StatusCode::FOUND,
            Some("http://portal.example/login?from=secret"),
            "the server sends elsewhere (302 Found to portal.example): a captive portal or a wrong URL",
        ),
        (
            StatusCode::TEMPORARY_REDIRECT,
            None,
            "the server sends elsewhere (307 Temporary Redirect): a captive portal or a wrong URL",
        ),
        (StatusCode::UNAUTHORIZED, None, "the server does not accept the identity or the password (401 Unauthorized)"),
        (StatusCode::FORBIDDEN, None, "the server forbids it (403 Forbidden)"),
        (StatusCode::NOT_FOUND, None, "the server does not know the URL or the identity (404 Not Found)"),
        (StatusCode::BAD_GATEWAY, None, "the server has failed (502 Bad Gateway)"),
        (StatusCode::OK, None, "the server opens no WebSocket but answers 200 OK"),
    ] {
        // The library's server refuses only with what is no success.
        let reason = match status {
            StatusCode::OK => {
                let reason = answered_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello").await;
                reason.split_once("/ocpp: ").expect("a place").1.to_owned()
            }
            _ => refused(Answer::Refuse(status, location)).await,
        };
        assert_eq!(reason, expected);
    }
}

#[tokio::test]
async fn case_35_a_server_that_does_not_confirm_the_subprotocol_is_left() {
    assert_eq!(refused(Answer::NoSubprotocol).await, "the server does not confirm the subprotocol ocpp1.6");
    let other = refused(Answer::OtherSubprotocol).await;
    assert_eq!(other, "the server confirms another subprotocol than ocpp1.6");
}

#[tokio::test]
async fn case_35_a_server_that_speaks_something_else_is_left() {
    let reason = answered_raw(b"SSH-2.0-Server\r\n\r\n").await;
    assert!(reason.contains("the server's answer to the WebSocket upgrade is unsound"), "{reason}");
    let reason = answered_raw(b"").await;
    assert!(reason.ends_with("the server hung up instead of answering the WebSocket upgrade"), "{reason}");
}

#[tokio::test]
async fn case_35_a_server_that_says_nothing_is_left_in_time() {
    let (listener, port) = listener().await;
    let mut settings = settings();
    settings.connect_timeout = Duration::from_millis(300);
    let opened = timeout(LIMIT, dial(&settings, &target(&[address(port)]))).await.expect("in time");
    let expected = format!(
        "ws://127.0.0.1:{port}/ocpp: it took longer than 300 ms: waiting for the answer to the WebSocket upgrade"
    );
    assert_eq!(opened.map(drop), Err(expected));
    drop(listener);
}

#[tokio::test]
async fn case_b34_the_next_address_is_used_when_the_first_is_dead() {
    let ((listener, port), dead) = (listener().await, dead_port().await);
    let (settings, target) = (settings(), target(&[address(dead), address(port)]));
    let server = async { upgrade(accept(&listener).await, Answer::Confirm).await };
    let (opened, _) = timeout(LIMIT, async { tokio::join!(dial(&settings, &target), server) }).await.expect("in time");
    assert_eq!(opened.map(|(_, url)| url), Ok(format!("ws://127.0.0.1:{port}/ocpp")));
}

#[tokio::test]
async fn case_b34_a_reason_names_every_address_that_failed() {
    let (one, other) = (dead_port().await, dead_port().await);
    let reason = dial(&settings(), &target(&[address(one), address(other)])).await.map(drop).expect_err("no link");
    for port in [one, other] {
        let expected = format!("ws://127.0.0.1:{port}/ocpp: no connection: 127.0.0.1:{port}: connection refused");
        assert!(reason.contains(&expected), "{reason}");
    }
}

#[tokio::test]
async fn a_security_profile_with_tls_never_dials_an_address_without() {
    let (listener, port) = listener().await;
    for profile in [2, 3] {
        let mut target = target(&[address(port)]);
        (target.security_profile, target.password) = (profile, Some(Password::new("secret")));
        let reason = dial(&settings(), &target).await.map(drop).expect_err("no link");
        assert_eq!(reason, format!("ws://127.0.0.1:{port}/ocpp: security profile {profile} allows wss:// only"));
    }
    let called = timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(called.is_err(), "nobody called");
}

#[tokio::test]
async fn a_proxy_leads_to_the_server_with_what_it_wants_to_know() {
    let ((listener, port), (proxies, proxy_port)) = (listener().await, listener().await);
    let directory = directory();
    let credentials = directory.path().join("proxy-credentials");
    write(&credentials, "user:secret\n");
    for credentials in [None, Some(credentials), Some(directory.path().join("missing"))] {
        let mut settings = settings();
        let has_any = credentials.as_ref().is_some_and(|path| path.exists());
        settings.proxy = Some(Proxy { host: "127.0.0.1".to_owned(), port: proxy_port, credentials });
        let (dialled, target) = (async { listener.accept().await.expect("a caller") }, target(&[address(port)]));
        let server = async {
            let (stream, _) = dialled.await;
            upgrade(Box::new(stream), Answer::Confirm).await;
        };
        let station = async { server_done(dial(&settings, &target), server).await };
        let (opened, head) =
            timeout(LIMIT, async { tokio::join!(station, proxy(&proxies, "200 Connection established", Some(port))) })
                .await
                .expect("in time");
        assert_eq!(opened, Ok(format!("ws://127.0.0.1:{port}/ocpp")));
        let head = head.to_lowercase();
        assert!(head.starts_with(&format!("connect 127.0.0.1:{port} http/1.1\r\n")), "{head}");
        assert!(head.contains(&format!("host: 127.0.0.1:{port}\r\n")), "{head}");
        assert_eq!(head.contains("proxy-authorization: basic dxnlcjpzzwnyzxq=\r\n"), has_any, "{head}");
    }
}

/// The address that was opened; the link is hung up when the server has had its turn.
async fn server_done<T>(
    dialling: impl Future<Output = Result<(T, String), String>>,
    server: impl Future<Output = ()>,
) -> Result<String, String> {
    let (opened, ()) = tokio::join!(dialling, server);
    opened.map(|(_, url)| url)
}

#[tokio::test]
async fn a_proxy_that_refuses_is_told() {
    let directory = directory();
    let good = directory.path().join("proxy-credentials");
    write(&good, "user:secret");
    let bad = directory.path().join("bad-credentials");
    write(&bad, "secret");
    for (status, credentials, expected) in [
        ("403 Forbidden", None, "it refuses (403 Forbidden)"),
        ("502 Bad Gateway", None, "it refuses (502 Bad Gateway)"),
        (
            "407 Proxy Authentication Required",
            None,
            "it wants a user and a password (407 Proxy Authentication Required); \
             give them to the service as the credential proxy-credentials",
        ),
        (
            "407 Proxy Authentication Required",
            Some(good),
            "it does not accept the user or the password (407 Proxy Authentication Required)",
        ),
    ] {
        let (proxies, proxy_port) = listener().await;
        let (mut settings, target) = (settings(), target(&["ws://csms.example/ocpp/CP1".to_owned()]));
        settings.proxy = Some(Proxy { host: "127.0.0.1".to_owned(), port: proxy_port, credentials });
        let both = async { tokio::join!(dial(&settings, &target), proxy(&proxies, status, None)) };
        let (opened, head) = timeout(LIMIT, both).await.expect("in time");
        assert_eq!(
            opened.map(drop),
            Err(format!("ws://csms.example/ocpp: the proxy 127.0.0.1:{proxy_port}: {expected}"))
        );
        assert!(head.starts_with("CONNECT csms.example:80 "), "the name is left to the proxy: {head}");
    }
    let (_proxies, proxy_port) = listener().await;
    let mut settings = settings();
    settings.proxy = Some(Proxy { host: "127.0.0.1".to_owned(), port: proxy_port, credentials: Some(bad) });
    let target = target(&["ws://csms.example/CP1".to_owned()]);
    let reason = timeout(LIMIT, dial(&settings, &target)).await.expect("in time").map(drop).expect_err("no link");
    assert!(reason.ends_with("its credentials are not user:password in one line"), "{reason}");
    assert!(!reason.contains("secret"));
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_told() {
    let port = dead_port().await;
    let (mut settings, target) = (settings(), target(&["ws://csms.example/CP1".to_owned()]));
    settings.proxy = Some(Proxy { host: "127.0.0.1".to_owned(), port, credentials: None });
    let expected =
        format!("ws://csms.example/: the proxy 127.0.0.1:{port}: no connection: 127.0.0.1:{port}: connection refused");
    assert_eq!(dial(&settings, &target).await.map(drop), Err(expected));
}

#[tokio::test]
async fn a_proxy_that_hangs_up_or_is_not_one_is_told() {
    for bytes in [&b""[..], b"SSH-2.0-Server\r\n\r\n"] {
        let (proxies, proxy_port) = listener().await;
        let (mut settings, target) = (settings(), target(&["ws://csms.example/CP1".to_owned()]));
        settings.proxy = Some(Proxy { host: "127.0.0.1".to_owned(), port: proxy_port, credentials: None });
        let server = async {
            let (mut stream, _) = proxies.accept().await.expect("a caller");
            read_head(&mut stream).await;
            stream.write_all(bytes).await.expect("written");
        };
        let both = async { tokio::join!(dial(&settings, &target), server) };
        let (opened, ()) = timeout(LIMIT, both).await.expect("in time");
        let reason = opened.map(drop).expect_err("no link");
        assert!(reason.contains("it does not answer as a proxy does"), "{reason}");
    }
}
