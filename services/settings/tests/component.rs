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
use busbar_private_bus::PrivateBus;
use busbar_runtime::bus::REQUEST_VALIDITY;
use busbar_runtime::{Clock, object};
use std::fs;
use std::process::{Child, Command};
use std::time::Duration;
use tempfile::TempDir;
use zbus::Connection;
use zbus::proxy::CacheProperties;

const STATION: &str =
    "[station]\nmodel = \"EVD1S180TBB\"\nserial = \"SN-7\"\n[settings.defaults]\nHeartbeatInterval = 30\n";

/// A bus of its own, a state directory, and the service under test.
struct Bench {
    bus: PrivateBus,
    directory: TempDir,
}

impl Bench {
    async fn new(station_file: &str) -> Bench {
        let directory = tempfile::tempdir().expect("a directory");
        let station = directory.path().join("etc/busbar");
        fs::create_dir_all(&station).expect("made");
        fs::write(station.join("station.toml"), station_file).expect("written");
        Bench { bus: PrivateBus::start().await.expect("a bus"), directory }
    }

    fn service(&self) -> Service {
        let mut command = Command::new(env!("CARGO_BIN_EXE_busbar-settings"));
        let command = command.arg("--bus").arg(self.bus.address()).arg("--root").arg(self.directory.path());
        Service(command.arg("--state").arg(self.directory.path().join("state")).spawn().expect("starts"))
    }

    async fn client(&self) -> Connection {
        self.bus.connect().await.expect("the bus is there")
    }
}

/// A process that is killed without warning.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("gone");
    }
}

/// The end of a request that is made now.
fn soon() -> BoottimeMillis {
    Clock::system().now().boottime.after(REQUEST_VALIDITY)
}

/// Waits for a condition, with a deadline.
async fn until<T>(what: &str, condition: impl AsyncFn() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap_or_else(|_| panic!("{what} did not come about"))
}

async fn state<S: Published>(client: &Connection, service: ServiceName, path: &str) -> Option<S> {
    let properties = Some("org.freedesktop.DBus.Properties");
    let answer = client.call_method(Some(service.bus_name), path, properties, "GetAll", &(S::INTERFACE)).await.ok()?;
    object::state_of(&answer.body().deserialize().ok()?).ok()
}

#[tokio::test]
async fn what_was_accepted_is_there_after_a_kill() {
    let bench = Bench::new(STATION).await;
    let client = bench.client().await;
    let keys = SettingsProxy::builder(&client).cache_properties(CacheProperties::No).build().await.expect("a proxy");
    let values = async || state::<SettingsState>(&client, names::SETTINGS, names::SETTINGS.root).await;

    let service = bench.service();
    let first = until("settings", values).await;
    assert_eq!(first.value("HeartbeatInterval"), Some("30"));
    assert_eq!(
        keys.set("heartbeatinterval", "45", KeyOrigin::Csms, soon()).await.expect("a verdict"),
        SetVerdict::Accepted
    );
    drop(service);

    let _service = bench.service();
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
