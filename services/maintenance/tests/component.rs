//! The maintenance process on a bus of its own: the report tells of itself, of a service that is there and of those
//! that are not.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test"
)]

use busbar_interfaces::maintenance::{MaintenanceProxy, MaintenanceState};
use busbar_interfaces::metering::MeteringState;
use busbar_interfaces::{CallError, Condition, Published, ServiceName, names};
use busbar_private_bus::PrivateBus;
use busbar_runtime::{Bus, Object, Shown, object};
use serde_json::Value;
use std::fs;
use std::process::{Child, Command};
use std::time::Duration;
use tempfile::TempDir;
use zbus::Connection;
use zbus::proxy::CacheProperties;

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
        let mut command = Command::new(env!("CARGO_BIN_EXE_busbar-maintenance"));
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

struct Detector(Shown<MeteringState>);

#[zbus::interface(name = "io.busbar.Metering1")]
impl Detector {
    #[zbus(property)]
    fn conditions(&self) -> Vec<Condition> {
        self.0.get(|state| state.conditions.clone())
    }
}

#[tokio::test]
async fn a_report_is_written_and_known_after_a_kill() {
    let bench = Bench::new("[maintenance]\n").await;
    let client = bench.client().await;
    let bus = Bus::connect(names::METERING, bench.bus.address()).await.expect("the bus is there");
    let (_object, shown) = Object::new(&bus, names::METERING.root, MeteringState::default());
    bus.serve(names::METERING.root, Detector(shown)).await.expect("served");
    bus.claim().await.expect("the name is free");

    let service = bench.service();
    let here = async || state::<MaintenanceState>(&client, names::MAINTENANCE, names::MAINTENANCE.root).await;
    let first = until("maintenance", here).await;
    assert_eq!((first.services.len(), first.last_report.as_str()), (names::ALL.len(), ""));
    let maintenance =
        MaintenanceProxy::builder(&client).cache_properties(CacheProperties::No).build().await.expect("a proxy");
    let path = maintenance.write_report().await.expect("a report");
    let report: Value = serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
    let services = &report["services"];
    assert_eq!(
        services["metering"]["objects"][names::METERING.root][names::METERING.bus_name]["Conditions"],
        Value::Array(Vec::new())
    );
    assert_eq!(services["maintenance"]["missing"], Value::Null);
    assert_eq!(services["power"]["present"], Value::Bool(false));
    assert!(matches!(maintenance.reset(true).await, Err(CallError::NotSupported(_))));
    drop(service);

    let _service = bench.service();
    let again = until("maintenance again", here).await;
    assert_eq!(again.last_report, path);
}
