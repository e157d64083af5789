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
use busbar_interfaces::{Condition, Published, ServiceName, names};
use busbar_private_bus::lone::{Lone, until};
use busbar_runtime::{Bus, Object, Shown, object};
use serde_json::Value;
use std::fs;
use zbus::Connection;
use zbus::proxy::CacheProperties;

/// The program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_busbar-maintenance");

async fn state<S: Published>(client: &Connection, service: ServiceName, path: &str) -> Option<S> {
    object::fetch(client, service, path).await.ok()
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
    let bench = Lone::new(PROGRAM, "[maintenance]\n").await;
    let client = bench.client().await;
    let bus = Bus::connect(names::METERING, bench.address()).await.expect("the bus is there");
    let (_object, shown) = Object::new(&bus, names::METERING.root, MeteringState::default());
    bus.serve(names::METERING.root, Detector(shown)).await.expect("served");
    bus.claim().await.expect("the name is free");

    let service = bench.start();
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
    drop(service);

    let _service = bench.start();
    let again = until("maintenance again", here).await;
    assert_eq!(again.last_report, path);
}
