//! The settings process on a bus of its own: what was accepted survives the kill that follows it.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test"
)]

use busbar_interfaces::settings::{SettingsProxy, SettingsState};
use busbar_interfaces::words::{KeyOrigin, SetVerdict};
use busbar_interfaces::{BoottimeMillis, CallError, Published, ServiceName, names};
use busbar_private_bus::lone::{Lone, until};
use busbar_runtime::bus::REQUEST_VALIDITY;
use busbar_runtime::{Clock, object};
use zbus::Connection;
use zbus::proxy::CacheProperties;

const STATION: &str =
    "[station]\nmodel = \"EVD1S180TBB\"\nserial = \"SN-7\"\n[settings.defaults]\nHeartbeatInterval = 30\n";

const PROGRAM: &str = env!("CARGO_BIN_EXE_busbar-settings");

/// The end of a request that is made now.
fn soon() -> BoottimeMillis {
    Clock::system().now().boottime.after(REQUEST_VALIDITY)
}

async fn state<S: Published>(client: &Connection, service: ServiceName, path: &str) -> Option<S> {
    object::fetch(client, service, path).await.ok()
}

#[tokio::test]
async fn what_was_accepted_is_there_after_a_kill() {
    let bench = Lone::new(PROGRAM, STATION).await;
    let client = bench.client().await;
    let keys = SettingsProxy::builder(&client).cache_properties(CacheProperties::No).build().await.expect("a proxy");
    let values = async || state::<SettingsState>(&client, names::SETTINGS, names::SETTINGS.root).await;

    let service = bench.start();
    let first = until("settings", values).await;
    assert_eq!(first.value("HeartbeatInterval"), Some("30"));
    assert_eq!(
        keys.set("heartbeatinterval", "45", KeyOrigin::Csms, soon()).await.expect("a verdict"),
        SetVerdict::Accepted
    );
    drop(service);

    let _service = bench.start();
    let again = until("settings again", values).await;
    assert_eq!(again.value("HeartbeatInterval"), Some("45"));
    assert_eq!(keys.set("NoSuchKey", "1", KeyOrigin::Csms, soon()).await.expect("a verdict"), SetVerdict::NotSupported);
    let refused = keys.set("HeartbeatInterval", "1", KeyOrigin::Default, soon()).await;
    assert!(matches!(refused, Err(CallError::OutOfRange(_))), "{refused:?}");
    let late = BoottimeMillis(Clock::system().now().boottime.0 - 1);
    let refused = keys.set("HeartbeatInterval", "50", KeyOrigin::Csms, late).await;
    assert!(matches!(refused, Err(CallError::Expired(_))), "{refused:?}");
    assert_eq!(values().await.expect("a state").value("HeartbeatInterval"), Some("45"), "nothing has changed");
    let record = keys.list_keys().await.expect("the keys").into_iter().find(|record| record.key == "HeartbeatInterval");
    assert_eq!(record.map(|record| record.origin), Some(KeyOrigin::Csms));
}
