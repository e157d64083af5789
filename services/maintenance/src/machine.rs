//! What maintenance asks of others: `session` to end its transactions, the service manager to restart the machine. Each
//! question ends within the limit of every call on the bus.

use crate::reset::Input;
use busbar_interfaces::session::SessionProxy;
use busbar_interfaces::words::StopReason;
use busbar_runtime::Bus;
use std::time::Duration;
use zbus::proxy::CacheProperties;

/// systemd's login manager, which lets a service without root's rights restart the machine (org.freedesktop.login1(5)).
const NAME: &str = "org.freedesktop.login1";
const PATH: &str = "/org/freedesktop/login1";
const INTERFACE: &str = "org.freedesktop.login1.Manager";

/// Asks `session` to end every transaction and to begin none for so long.
pub async fn stop_all(bus: Bus, ask: u32, reason: StopReason, no_start: Duration) -> Input {
    let no_start = u32::try_from(no_start.as_millis()).unwrap_or(u32::MAX);
    let asked = async {
        let session = SessionProxy::builder(bus.connection()).cache_properties(CacheProperties::No).build().await?;
        session.stop_all(reason, no_start).await
    };
    let done = asked.await.inspect_err(|error| tracing::warn!(%error, "session does not end its transactions"));
    Input::StopAnswered { ask, done: done.is_ok() }
}

/// Asks for a restart of the machine; nobody is there to be asked for a password.
pub async fn restart(bus: Bus, attempt: u32) -> Input {
    let interactive = false;
    let asked = bus.connection().call_method(Some(NAME), PATH, Some(INTERFACE), "Reboot", &interactive).await;
    let result = asked.map(drop).map_err(|error| error.to_string());
    Input::RestartAnswered { attempt, result }
}
