//! The faults process on a bus of its own, with a detector that comes, goes and comes back.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test"
)]

use busbar_interfaces::faults::{FaultsProxy, FaultsState};
use busbar_interfaces::maintenance::{MaintenanceState, ServiceRecord};
use busbar_interfaces::metering::MeteringState;
use busbar_interfaces::session::{Decision, Reservation, SessionState};
use busbar_interfaces::words::{Availability, FaultClass, FaultEdge};
use busbar_interfaces::{Condition, ConnectorId, Published, ServiceName, UnixMillis, names};
use busbar_private_bus::lone::{Lone, until};
use busbar_runtime::{Bus, Object, Shown, object};
use zbus::Connection;
use zbus::proxy::CacheProperties;

const PROGRAM: &str = env!("CARGO_BIN_EXE_busbar-faults");

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

/// A metering service that sees these conditions, until it is dropped.
async fn detector(bench: &Lone, conditions: Vec<Condition>) -> (Bus, Object<MeteringState>) {
    let bus = Bus::connect(names::METERING, bench.address()).await.expect("the bus is there");
    let (object, shown) = Object::new(&bus, names::METERING.root, MeteringState { conditions });
    bus.serve(names::METERING.root, Detector(shown)).await.expect("served");
    bus.claim().await.expect("the name is free");
    (bus, object)
}

#[tokio::test]
async fn a_fault_outlives_its_reporter_and_ends_with_its_cause() {
    let bench = Lone::new(PROGRAM, "[faults]\n").await;
    let client = bench.client().await;
    let faults = FaultsProxy::builder(&client).cache_properties(CacheProperties::No).build().await.expect("a proxy");
    let active =
        async || state::<FaultsState>(&client, names::FAULTS, names::FAULTS.root).await.map(|state| state.active);
    let condition =
        Condition { code: "0x10020F".to_owned(), connector: ConnectorId(2), detail: "no answer".to_owned() };

    let service = bench.start();
    let (metering, _) = detector(&bench, vec![condition.clone()]).await;
    let fault = until("the fault", async || active().await?.pop()).await;
    assert_eq!((fault.error_code.as_str(), fault.connector), ("PowerMeterFailure", ConnectorId(2)));

    drop(service);
    let service = bench.start();
    let same = until("the fault after a kill", async || active().await?.pop()).await;
    assert_eq!(same, fault);
    metering.release().await;
    drop(service);

    let _service = bench.start();
    let still = until("the fault while its detector is away", async || active().await?.pop()).await;
    assert_eq!(still.since_unix_millis, fault.since_unix_millis);
    let (_metering, object) = detector(&bench, Vec::new()).await;
    until("no fault", async || active().await?.is_empty().then_some(())).await;
    let edges = faults.events_after(0, 100).await.expect("the history");
    let edges: Vec<FaultEdge> = edges.iter().map(|event| event.edge).collect();
    assert_eq!(edges, [FaultEdge::Raised, FaultEdge::Cleared]);

    object.publish(MeteringState { conditions: vec![condition] }).await;
    until("the fault again", async || active().await?.pop()).await;
    assert_eq!(faults.events_after(2, 100).await.expect("the history").len(), 1);
}

struct Maintenance(Shown<MaintenanceState>);

#[zbus::interface(name = "io.busbar.Maintenance1")]
impl Maintenance {
    #[zbus(property)]
    fn services(&self) -> Vec<ServiceRecord> {
        self.0.get(|state| state.services.clone())
    }

    #[zbus(property)]
    fn last_report(&self) -> String {
        self.0.get(|state| state.last_report.clone())
    }

    #[zbus(property)]
    fn last_report_unix_millis(&self) -> UnixMillis {
        self.0.get(|state| state.last_report_unix_millis)
    }

    #[zbus(property)]
    fn pending_reset(&self) -> String {
        self.0.get(|state| state.pending_reset.clone())
    }

    #[zbus(property)]
    fn conditions(&self) -> Vec<Condition> {
        self.0.get(|state| state.conditions.clone())
    }
}

#[tokio::test]
async fn a_restart_that_failed_is_a_warning_of_busbars_own() {
    let bench = Lone::new(PROGRAM, "[faults]\n").await;
    let client = bench.client().await;
    let bus = Bus::connect(names::MAINTENANCE, bench.address()).await.expect("the bus is there");
    let condition =
        Condition { code: "0xB00002".to_owned(), connector: ConnectorId::STATION, detail: "refused".to_owned() };
    let first = MaintenanceState { conditions: vec![condition], ..MaintenanceState::default() };
    let (object, shown) = Object::new(&bus, names::MAINTENANCE.root, first);
    bus.serve(names::MAINTENANCE.root, Maintenance(shown)).await.expect("served");
    bus.claim().await.expect("the name is free");

    let _service = bench.start();
    let active =
        async || state::<FaultsState>(&client, names::FAULTS, names::FAULTS.root).await.map(|state| state.active);
    let fault = until("the warning", async || active().await?.pop()).await;
    assert_eq!((fault.class, fault.error_code.as_str()), (FaultClass::Warning, "ResetFailure"));
    assert_eq!(fault.title, "restart of the station failed");
    object.publish(MaintenanceState::default()).await;
    until("no warning", async || active().await?.is_empty().then_some(())).await;
}

struct Session(Shown<SessionState>);

#[zbus::interface(name = "io.busbar.Session1")]
impl Session {
    #[zbus(property)]
    fn journal_id(&self) -> u64 {
        self.0.get(|state| state.journal_id)
    }

    #[zbus(property)]
    fn last_event(&self) -> u64 {
        self.0.get(|state| state.last_event)
    }

    #[zbus(property)]
    fn delivered_event(&self) -> u64 {
        self.0.get(|state| state.delivered_event)
    }

    #[zbus(property)]
    fn availability(&self) -> Availability {
        self.0.get(|state| state.availability)
    }

    #[zbus(property)]
    fn last_decision(&self) -> Decision {
        self.0.get(|state| state.last_decision)
    }

    #[zbus(property)]
    fn local_list_version(&self) -> i32 {
        self.0.get(|state| state.local_list_version)
    }

    #[zbus(property)]
    fn local_list_badges(&self) -> u32 {
        self.0.get(|state| state.local_list_badges)
    }

    #[zbus(property)]
    fn cached_badges(&self) -> u32 {
        self.0.get(|state| state.cached_badges)
    }

    #[zbus(property)]
    fn reservations(&self) -> Vec<Reservation> {
        self.0.get(|state| state.reservations.clone())
    }

    #[zbus(property)]
    fn conditions(&self) -> Vec<Condition> {
        self.0.get(|state| state.conditions.clone())
    }
}

#[tokio::test]
async fn books_that_do_not_add_up_and_a_full_disk_are_warnings_until_session_takes_them_back() {
    let bench = Lone::new(PROGRAM, "[faults]\n").await;
    let client = bench.client().await;
    let bus = Bus::connect(names::SESSION, bench.address()).await.expect("the bus is there");
    let books = Condition {
        code: "0xB00004".to_owned(),
        connector: ConnectorId(2),
        detail: "the register went back".to_owned(),
    };
    let disk = Condition { code: "0xB00005".to_owned(), connector: ConnectorId::STATION, detail: "no room".to_owned() };
    let first = SessionState { conditions: vec![books.clone()], ..SessionState::default() };
    let (object, shown) = Object::new(&bus, names::SESSION.root, first);
    bus.serve(names::SESSION.root, Session(shown)).await.expect("served");
    bus.claim().await.expect("the name is free");

    let _service = bench.start();
    let active =
        async || state::<FaultsState>(&client, names::FAULTS, names::FAULTS.root).await.map(|state| state.active);
    let fault = until("the books' warning", async || active().await?.pop()).await;
    assert_eq!((fault.code.as_str(), fault.connector), ("0xB00004", ConnectorId(2)));
    assert_eq!((fault.class, fault.error_code.as_str()), (FaultClass::Warning, "InternalError"));
    assert_eq!(fault.detail, "the register went back");

    object.publish(SessionState { last_event: 9, conditions: vec![books, disk], ..SessionState::default() }).await;
    let both = until("both", async || active().await.filter(|active| active.len() == 2)).await;
    assert_eq!(both[0], fault, "the first one is still the same");
    assert_eq!((both[1].code.as_str(), both[1].connector), ("0xB00005", ConnectorId::STATION));
    assert_eq!((both[1].class, both[1].title.as_str()), (FaultClass::Warning, "the disk is full; no charge begins"));

    object.publish(SessionState { last_event: 10, ..SessionState::default() }).await;
    until("no warning", async || active().await?.is_empty().then_some(())).await;
}
