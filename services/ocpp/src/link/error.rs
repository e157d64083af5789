//! Why a link cannot be opened, as people read it on the bus and in the log: what failed and where, never a secret.

use crate::link::MOST_REASON_CHARACTERS;
use hyper::StatusCode;
use rustls::{AlertDescription, CertificateError};
use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What is going on while a link is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    Resolving,
    AskingProxy,
    ReadingCertificates,
    Securing,
    Upgrading,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Doing::Resolving => "looking its name up",
            Doing::AskingProxy => "asking the proxy",
            Doing::ReadingCertificates => "reading the certificates",
            Doing::Securing => "the TLS handshake",
            Doing::Upgrading => "waiting for the answer to the WebSocket upgrade",
        })
    }
}

/// Why one address cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Neither ws nor wss, no host, or what HTTP cannot carry.
    #[error("the address cannot be used: {0}")]
    Unusable(&'static str),
    #[error("security profile {0} allows wss:// only")]
    NeedsTls(u8),
    #[error("it took longer than {} ms: {doing}", limit.as_millis())]
    Late { doing: Doing, limit: Duration },
    #[error("the name {name} is not found")]
    NotResolved { name: String, source: io::Error },
    #[error("no connection: {}", unreached(.0))]
    Unreached(Vec<(SocketAddr, io::Error)>),
    #[error("the proxy {proxy}: {source}")]
    Proxy { proxy: String, source: ProxyError },
    #[error("the certificate files cannot be read")]
    Unread(#[source] FileError),
    #[error(
        "security profile 3 needs a client certificate: set client_certificate and client_key in [ocpp] of the station file"
    )]
    NoClientCertificate,
    #[error("{0}")]
    Certificate(CertificateFault),
    #[error("the server does not speak TLS there")]
    NotTls,
    #[error("the server's TLS does not fit: {0}")]
    UnfitTls(String),
    #[error("the server refuses the TLS handshake: {0}")]
    TlsAlert(AlertName),
    #[error("TLS failed: {0}")]
    Tls(String),
    #[error("the connection was lost in the TLS handshake")]
    TlsCut(#[source] io::Error),
    /// A captive portal, mostly.
    #[error("the server sends elsewhere ({status}{}): a captive portal or a wrong URL", to(host))]
    Redirected { status: StatusCode, host: Option<String> },
    #[error("the server does not accept the identity or the password ({0})")]
    Unauthorized(StatusCode),
    #[error("the server forbids it ({0})")]
    Forbidden(StatusCode),
    #[error("the server does not know the URL or the identity ({0})")]
    NotFound(StatusCode),
    #[error("the server has failed ({0})")]
    ServerFailed(StatusCode),
    #[error("the server opens no WebSocket but answers {0}")]
    Answered(StatusCode),
    #[error("the server does not confirm the subprotocol ocpp1.6")]
    NoSubprotocol,
    #[error("the server confirms another subprotocol than ocpp1.6")]
    WrongSubprotocol,
    #[error("the server's answer to the WebSocket upgrade is unsound: {0}")]
    NotWebSocket(String),
    #[error("the connection was lost in the WebSocket upgrade")]
    UpgradeCut(#[source] io::Error),
    #[error("the server hung up instead of answering the WebSocket upgrade")]
    HungUp,
}

/// Why the proxy does not lead on.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    #[error("it wants a user and a password ({0}); give them to the service as the credential proxy-credentials")]
    WantsCredentials(StatusCode),
    #[error("it does not accept the user or the password ({0})")]
    RefusesCredentials(StatusCode),
    #[error("it refuses ({0})")]
    Refuses(StatusCode),
    /// It is not reached itself.
    #[error("{}", .0.text())]
    Away(Box<DialError>),
    #[error("it does not answer as a proxy does")]
    Broken(#[source] hyper::Error),
    #[error("it says something before it is asked")]
    Talkative,
    #[error("its credentials cannot be read")]
    Unread(#[source] FileError),
    #[error("its credentials are not user:password in one line")]
    Credentials,
}

/// A file of the station that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", path.display())]
pub struct FileError {
    pub path: PathBuf,
    pub fault: String,
}

/// What is wrong with the server's certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    #[error("the certificate has expired{}", on(.0))]
    Expired(Option<String>),
    #[error("the certificate is not yet valid{}; the station's clock may be wrong", until(from, now))]
    NotYetValid { from: Option<String>, now: Option<String> },
    #[error("the certificate is for another name{}", named(.0))]
    OtherName(Vec<String>),
    #[error("the station does not trust who issued the certificate (roots known: {roots}{})", beside(faults))]
    UnknownIssuer { roots: usize, faults: Vec<String> },
    #[error("the certificate has been revoked")]
    Revoked,
    #[error("the certificate is not for servers")]
    NotForServers,
    #[error("the certificate cannot be used: {0}")]
    Unusable(String),
}

/// A TLS alert as RFC 8446 spells it, more or less.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertName(AlertDescription);

impl fmt::Display for AlertName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            AlertDescription::CertificateRequired => f.write_str("it wants a client certificate"),
            AlertDescription::UnknownCA => f.write_str("it does not trust who issued the client certificate"),
            alert => write!(f, "{alert:?}"),
        }
    }
}

impl DialError {
    /// What a failure of TLS is, whenever it comes; `None` when the error is none of TLS.
    pub fn of_tls(error: &io::Error) -> Option<DialError> {
        let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
        Some(match error {
            rustls::Error::InvalidCertificate(fault) => DialError::Certificate(CertificateFault::of(fault)),
            rustls::Error::AlertReceived(alert) => DialError::TlsAlert(AlertName(*alert)),
            rustls::Error::InvalidMessage(_) => DialError::NotTls,
            rustls::Error::PeerIncompatible(what) => DialError::UnfitTls(format!("{what:?}")),
            other => DialError::Tls(other.to_string()),
        })
    }

    /// The whole text with its causes.
    pub fn text(&self) -> String {
        let mut text = self.to_string();
        let mut cause = match self {
            // It stands in the text already.
            DialError::Proxy { source, .. } => source.source(),
            other => other.source(),
        };
        while let Some(error) = cause {
            let said = error.downcast_ref::<io::Error>().map_or_else(|| error.to_string(), plain);
            text = format!("{text}: {said}");
            cause = error.source();
        }
        text
    }
}

impl CertificateFault {
    fn of(fault: &CertificateError) -> CertificateFault {
        let day = |time: &rustls::pki_types::UnixTime| {
            let second = i64::try_from(time.as_secs()).ok()?;
            Some(jiff::Timestamp::from_second(second).ok()?.strftime("%Y-%m-%d").to_string())
        };
        match fault {
            CertificateError::Expired => CertificateFault::Expired(None),
            CertificateError::ExpiredContext { not_after, .. } => CertificateFault::Expired(day(not_after)),
            CertificateError::NotValidYet => CertificateFault::NotYetValid { from: None, now: None },
            CertificateError::NotValidYetContext { time, not_before } => {
                CertificateFault::NotYetValid { from: day(not_before), now: day(time) }
            }
            CertificateError::NotValidForName => CertificateFault::OtherName(Vec::new()),
            CertificateError::NotValidForNameContext { presented, .. } => {
                CertificateFault::OtherName(presented.clone())
            }
            CertificateError::UnknownIssuer => CertificateFault::UnknownIssuer { roots: 0, faults: Vec::new() },
            CertificateError::Revoked => CertificateFault::Revoked,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                CertificateFault::NotForServers
            }
            other => CertificateFault::Unusable(format!("{other:?}")),
        }
    }
}

fn unreached(tried: &[(SocketAddr, io::Error)]) -> String {
    let each: Vec<String> = tried.iter().map(|(address, error)| format!("{address}: {}", plain(error))).collect();
    if each.is_empty() { "the name has no address".to_owned() } else { each.join(", ") }
}

/// The kind of an error where it says all: without the number of the operating system.
pub fn plain(error: &io::Error) -> String {
    use io::ErrorKind as Kind;
    match error.kind() {
        kind @ (Kind::ConnectionRefused
        | Kind::ConnectionReset
        | Kind::HostUnreachable
        | Kind::NetworkUnreachable
        | Kind::TimedOut
        | Kind::UnexpectedEof) => kind.to_string(),
        _ => error.to_string(),
    }
}

fn to(host: &Option<String>) -> String {
    host.as_ref().map(|host| format!(" to {}", printable(host, 60))).unwrap_or_default()
}

fn on(day: &Option<String>) -> String {
    day.as_ref().map(|day| format!(" on {day}")).unwrap_or_default()
}

fn until(from: &Option<String>, now: &Option<String>) -> String {
    match (from, now) {
        (Some(from), Some(now)) => format!(" (it is from {from} on, the station has {now})"),
        _ => String::new(),
    }
}

fn named(names: &[String]) -> String {
    // The library names them as `DnsName("csms.example")`.
    let names: Vec<&str> = names.iter().map(|name| name.split('"').nth(1).unwrap_or(name)).collect();
    if names.is_empty() { String::new() } else { format!(": {}", printable(&names.join(", "), 80)) }
}

fn beside(faults: &[String]) -> String {
    faults.first().map(|fault| format!("; {fault}")).unwrap_or_default()
}

/// The reason for all addresses together: each is named, and all fit.
pub fn reason(failures: &[(String, DialError)]) -> String {
    const BETWEEN: &str = "; ";
    let texts: Vec<String> = failures.iter().map(|(address, error)| format!("{address}: {}", error.text())).collect();
    let whole = texts.join(BETWEEN);
    if whole.chars().count() <= MOST_REASON_CHARACTERS {
        return printable(&whole, MOST_REASON_CHARACTERS);
    }
    let between = BETWEEN.len().saturating_mul(texts.len().saturating_sub(1));
    let share = MOST_REASON_CHARACTERS.saturating_sub(between).checked_div(texts.len()).unwrap_or_default();
    let cut: Vec<String> = texts.iter().map(|text| printable(text, share)).collect();
    printable(&cut.join(BETWEEN), MOST_REASON_CHARACTERS)
}

/// What others said, fit to be shown: one line of at most so many characters.
pub fn printable(text: &str, most: usize) -> String {
    let clean = |letter: char| if letter.is_control() { ' ' } else { letter };
    if text.chars().count() <= most {
        return text.chars().map(clean).collect();
    }
    let mut cut: String = text.chars().map(clean).take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_is_named_in_a_reason_that_fits() {
        let failure = |host: &str| (format!("wss://{host}/"), DialError::Tls("x".repeat(400)));
        let reason = reason(&[failure("one.example"), failure("two.example"), failure("three.example")]);
        assert!(reason.chars().count() <= MOST_REASON_CHARACTERS, "{reason}");
        for host in ["one", "two", "three"] {
            assert!(reason.contains(&format!("wss://{host}.example/: TLS failed: xxx")), "{reason}");
        }
    }

    #[test]
    fn a_reason_says_its_causes_and_is_one_line() {
        let source = io::Error::other("no\nname");
        let error = DialError::NotResolved { name: "csms".to_owned(), source };
        assert_eq!(reason(&[("ws://csms/".to_owned(), error)]), "ws://csms/: the name csms is not found: no name");
    }

    #[test]
    fn case_32_a_certificate_of_the_future_puts_the_clock_in_doubt() {
        let fault = CertificateError::NotValidYetContext {
            time: rustls::pki_types::UnixTime::since_unix_epoch(Duration::from_secs(86_400)),
            not_before: rustls::pki_types::UnixTime::since_unix_epoch(Duration::from_secs(1_767_225_600)),
        };
        assert_eq!(
            CertificateFault::of(&fault).to_string(),
            "the certificate is not yet valid (it is from 2026-01-01 on, the station has 1970-01-02); \
             the station's clock may be wrong"
        );
    }
}
