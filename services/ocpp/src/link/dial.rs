//! Opening a link: the addresses in their order, each from its name to the confirmed WebSocket within its time.

use crate::configuration::Target;
use crate::link::error::{DialError, Doing, ProxyError, reason};
use crate::link::talk::Stream;
use crate::link::{proxy, tcp, tls, upgrade};
use crate::settings::LinkSettings;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::WebSocketStream;
use url::Url;

/// Opens the first address that can be opened; tells which one it was, as people may see it.
///
/// # Errors
/// Why none can be opened, for people.
pub async fn dial(settings: &LinkSettings, target: &Target) -> Result<(WebSocketStream<Stream>, String), String> {
    let mut failures = Vec::new();
    for address in &target.addresses {
        match open(settings, target, address).await {
            Ok(socket) => return Ok((socket, shown(address))),
            Err(error) => failures.push((shown(address), error)),
        }
    }
    if failures.is_empty() { Err("there is no address".to_owned()) } else { Err(reason(&failures)) }
}

/// An address as people may see it: without the identity, without credentials, and without what may be a token.
pub fn shown(address: &Url) -> String {
    let mut shown = address.clone();
    // An address that has no host has no credentials either.
    let _ = shown.set_username("").and_then(|()| shown.set_password(None));
    shown.set_query(None);
    shown.set_fragment(None);
    if let Ok(mut path) = shown.path_segments_mut() {
        path.pop();
    }
    shown.into()
}

/// Opens one address.
///
/// # Errors
/// Why it cannot be opened.
pub async fn open(
    settings: &LinkSettings,
    target: &Target,
    address: &Url,
) -> Result<WebSocketStream<Stream>, DialError> {
    let secure = match address.scheme() {
        "wss" => true,
        "ws" if target.security_profile >= 2 => return Err(DialError::NeedsTls(target.security_profile)),
        "ws" => false,
        _ => return Err(DialError::Unusable("its scheme is neither ws nor wss")),
    };
    let host = address.host_str().ok_or(DialError::Unusable("it has no host"))?;
    let port = address.port_or_known_default().ok_or(DialError::Unusable("it has no port"))?;
    let request = upgrade::request(target, address)?;
    let deadline = Deadline::after(settings.connect_timeout);
    // What the station lacks is found out before the network is bothered.
    let trust = match secure {
        true => Some(deadline.within(Doing::ReadingCertificates, tls::trust(settings, target.security_profile)).await?),
        false => None,
    };
    let stream = match &settings.proxy {
        Some(proxy) => {
            let place = proxy::authority(&proxy.host, proxy.port);
            let failed = |source| DialError::Proxy { proxy: place.clone(), source };
            let stream = tcp::reach(&proxy.host, proxy.port, deadline).await;
            let stream = stream.map_err(|error| failed(ProxyError::Away(Box::new(error))))?;
            let asked = async { proxy::tunnel(stream, proxy, host, port).await.map_err(failed) };
            deadline.within(Doing::AskingProxy, asked).await?
        }
        None => tcp::reach(host, port, deadline).await?,
    };
    let stream: Stream = match trust {
        Some(trust) => Box::new(deadline.within(Doing::Securing, trust.secure(host, stream)).await?),
        None => Box::new(stream),
    };
    deadline.within(Doing::Upgrading, upgrade::upgrade(request, stream)).await
}

/// The end of the time for one address.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    end: Instant,
    whole: Duration,
}

impl Deadline {
    /// So long from now on.
    pub fn after(whole: Duration) -> Deadline {
        let now = Instant::now();
        Deadline { end: now.checked_add(whole).unwrap_or(now), whole }
    }

    /// What is left.
    pub fn left(self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// Does one step, in time or not at all.
    ///
    /// # Errors
    /// The step's own, or that the time is over.
    pub async fn within<T>(
        self,
        doing: Doing,
        step: impl Future<Output = Result<T, DialError>>,
    ) -> Result<T, DialError> {
        timeout_at(self.end, step).await.unwrap_or(Err(DialError::Late { doing, limit: self.whole }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_identity_and_secrets() {
        for (address, expected) in [
            ("wss://csms.example/CP1", "wss://csms.example/"),
            ("ws://user:secret@csms:9000/ocpp/CP%201", "ws://csms:9000/ocpp"),
            ("wss://[2001:db8::1]/ocpp/CP1?token=secret#part", "wss://[2001:db8::1]/ocpp"),
        ] {
            assert_eq!(shown(&address.parse().expect("a URL")), expected);
        }
    }
}
