//! The restart of the station on a bus of its own: peers that are absent, refuse, hang or die in each step, and the
//! process killed in each step.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test"
)]

mod scripted;

use busbar_interfaces::maintenance::{MaintenanceProxy, MaintenanceState};
use busbar_interfaces::words::StopReason;
use busbar_interfaces::{CallError, names};
use busbar_private_bus::lone::{Lone, Running};
use busbar_runtime::object;
use scripted::{Machine, Ocpp, Script, Session, settings};
use std::time::Duration;
use zbus::Connection;
use zbus::proxy::CacheProperties;

/// The program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_busbar-maintenance");

/// The limits of a station, in seconds instead of half minutes.
const SHORT: &str = "[maintenance]\nreset_soft_stop_seconds = 1\nreset_hard_stop_seconds = 1\n\
                     reset_delivery_seconds = 1\nreset_pause_seconds = 1\n";
/// The limits of a station whose steps do not end by themselves while a test looks at them.
const LONG: &str = "[maintenance]\nreset_soft_stop_seconds = 45\nreset_delivery_seconds = 45\n";
/// A silent machine is waited for for 10 s; everything else is quicker.
const LIMIT: Duration = Duration::from_secs(30);

/// Maintenance on a bus of its own.
struct Station {
    // Ends before its bus does.
    process: Option<Running>,
    client: Connection,
    bench: Lone,
}

impl Station {
    async fn new(station_file: &str) -> Station {
        let bench = Lone::new(PROGRAM, station_file).await;
        let client = bench.client().await;
        Station { process: None, client, bench }
    }

    /// Starts the process, after killing the one before.
    async fn start(&mut self) {
        self.process = None;
        self.process = Some(self.bench.start());
        self.until("maintenance", async || self.state().await.map(drop)).await;
    }

    /// The machine has restarted.
    async fn boot(&mut self) {
        self.process = None;
        self.bench.restart_the_machine();
        self.start().await;
    }

    async fn state(&self) -> Option<MaintenanceState> {
        object::fetch(&self.client, names::MAINTENANCE, names::MAINTENANCE.root).await.ok()
    }

    async fn pending(&self) -> String {
        self.state().await.expect("it is there").pending_reset
    }

    async fn reset(&self, hard: bool) -> Result<(), CallError> {
        let builder = MaintenanceProxy::builder(&self.client).cache_properties(CacheProperties::No);
        builder.build().await.expect("a proxy").reset(hard).await
    }

    fn order_is_on_disk(&self) -> bool {
        self.bench.state_directory().join("reset.json").exists()
    }

    async fn until<T>(&self, what: &str, condition: impl AsyncFn() -> Option<T>) -> T {
        let wait = async {
            loop {
                if let Some(value) = condition().await {
                    return value;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LIMIT, wait).await.unwrap_or_else(|_| panic!("{what} did not come about"))
    }

    async fn rebooted(&self, machine: &Machine, times: usize) {
        self.until("a restart of the machine", async || (machine.reboots() >= times).then_some(())).await;
    }

    async fn given_up(&self) {
        let code = async || self.state().await?.conditions.pop().map(|condition| condition.code);
        assert_eq!(self.until("the condition", code).await, "0xB00002");
        assert_eq!(self.pending().await, "");
        self.until("no order on disk", async || (!self.order_is_on_disk()).then_some(())).await;
    }
}

#[tokio::test]
async fn tc_016_the_charge_ends_the_csms_hears_of_it_the_machine_restarts_once() {
    let mut station = Station::new(LONG).await;
    let session = Session::start(&station.bench, Script::Obeys).await;
    let ocpp = Ocpp::start(&station.bench, 7).await;
    let machine = Machine::start(&station.bench, Script::Obeys).await;
    station.start().await;
    station.reset(false).await.expect("taken");
    assert!(station.order_is_on_disk(), "it replies once the order is durable");
    assert_eq!(station.pending().await, "soft");
    station.until("the charge's end", async || session.stops().pop()).await;
    assert_eq!(session.stops(), [(StopReason::SoftReset, 240_000)]);
    station.reset(false).await.expect("harmless");
    assert_eq!(machine.reboots(), 0, "the CSMS has not heard of the end");
    ocpp.confirm(8).await;
    station.rebooted(&machine, 1).await;
    assert_eq!(station.pending().await, "soft", "until the machine has restarted");

    station.boot().await;
    assert_eq!(station.pending().await, "");
    assert!(!station.order_is_on_disk());
    assert_eq!((session.stops().len(), machine.reboots()), (1, 1));
}

#[tokio::test]
async fn tc_015_hard_does_not_wait_for_the_csms() {
    let mut station = Station::new(LONG).await;
    let session = Session::start(&station.bench, Script::Obeys).await;
    let _ocpp = Ocpp::start(&station.bench, 7).await;
    let machine = Machine::start(&station.bench, Script::Obeys).await;
    station.start().await;
    station.reset(true).await.expect("taken");
    station.rebooted(&machine, 1).await;
    assert_eq!(session.stops(), [(StopReason::HardReset, 240_000)]);
}

#[tokio::test]
async fn soft_becomes_hard() {
    let mut station = Station::new(LONG).await;
    let session = Session::start(&station.bench, Script::Obeys).await;
    let _ocpp = Ocpp::start(&station.bench, 7).await;
    let machine = Machine::start(&station.bench, Script::Obeys).await;
    station.start().await;
    station.reset(false).await.expect("taken");
    station.until("the charge's end", async || session.stops().pop()).await;
    station.reset(true).await.expect("taken");
    assert_eq!(station.pending().await, "hard");
    station.rebooted(&machine, 1).await;
    assert!(session.stops().contains(&(StopReason::HardReset, 240_000)));
}

#[tokio::test]
async fn a_station_on_which_nobody_else_lives_restarts() {
    let mut station = Station::new(LONG).await;
    let machine = Machine::start(&station.bench, Script::Obeys).await;
    station.start().await;
    station.reset(false).await.expect("taken");
    station.rebooted(&machine, 1).await;
}

#[tokio::test]
async fn case_16_neither_session_nor_the_csms_can_block_a_restart() {
    for script in [Script::Obeys, Script::Idles, Script::Refuses, Script::Hangs, Script::Dies] {
        let mut station = Station::new(SHORT).await;
        let session = Session::start(&station.bench, script).await;
        // The CSMS never hears of the last event.
        let _ocpp = Ocpp::start(&station.bench, 6).await;
        let machine = Machine::start(&station.bench, Script::Obeys).await;
        station.start().await;
        station.reset(false).await.expect("taken");
        station.rebooted(&machine, 1).await;
        assert_eq!(session.stops()[0], (StopReason::SoftReset, 240_000), "{script:?}");
    }
}

#[tokio::test]
async fn a_session_that_dies_and_comes_back_is_asked_again() {
    let mut station = Station::new(LONG).await;
    let first = Session::start(&station.bench, Script::Dies).await;
    let _ocpp = Ocpp::start(&station.bench, 8).await;
    let machine = Machine::start(&station.bench, Script::Obeys).await;
    station.start().await;
    station.reset(false).await.expect("taken");
    station.until("the first one asked", async || first.stops().pop()).await;
    let second = Session::start(&station.bench, Script::Obeys).await;
    station.rebooted(&machine, 1).await;
    assert_eq!(second.stops(), [(StopReason::SoftReset, 240_000)]);
}

#[tokio::test]
async fn case_c_s10_a_machine_that_refuses_or_dies_is_asked_as_often_as_reset_retries_says() {
    for script in [Script::Refuses, Script::Dies] {
        let mut station = Station::new(SHORT).await;
        let session = Session::start(&station.bench, Script::Obeys).await;
        let _ocpp = Ocpp::start(&station.bench, 8).await;
        let _settings = settings(&station.bench, 1).await;
        let machine = Machine::start(&station.bench, script).await;
        station.start().await;
        station.reset(false).await.expect("taken");
        station.given_up().await;
        // One that has died cannot be asked again.
        assert_eq!(machine.reboots(), if script == Script::Dies { 1 } else { 2 });
        let allowed = async || session.stops().contains(&(StopReason::SoftReset, 0)).then_some(());
        station.until("charges may begin again", allowed).await;

        // It is known as long as the machine has not restarted, and another order is taken.
        station.start().await;
        station.given_up().await;
        station.reset(true).await.expect("taken");
        station.boot().await;
        assert_eq!(station.state().await.expect("there").conditions, []);
    }
}

#[tokio::test]
async fn a_machine_that_is_absent_or_silent_is_given_up() {
    for script in [None, Some(Script::Hangs)] {
        let mut station = Station::new(SHORT).await;
        let _settings = settings(&station.bench, 0).await;
        let session = Session::start(&station.bench, Script::Obeys).await;
        let _machine = match script {
            Some(script) => Some(Machine::start(&station.bench, script).await),
            None => None,
        };
        station.start().await;
        station.reset(true).await.expect("taken");
        station.given_up().await;
        let allowed = async || session.stops().contains(&(StopReason::HardReset, 0)).then_some(());
        station.until("charges may begin again", allowed).await;
    }
}

#[tokio::test]
async fn killed_while_the_charges_end_it_goes_on() {
    let mut station = Station::new(LONG).await;
    let session = Session::start(&station.bench, Script::Idles).await;
    let _ocpp = Ocpp::start(&station.bench, 8).await;
    let machine = Machine::start(&station.bench, Script::Obeys).await;
    station.start().await;
    station.reset(false).await.expect("taken");
    station.until("session asked", async || session.stops().pop()).await;
    station.start().await;
    assert_eq!(station.pending().await, "soft");
    // Each process asks a session that says yes once.
    station.until("session asked again", async || session.stops().get(1).copied()).await;
    assert_eq!(machine.reboots(), 0);
    session.bus.release().await;
    let _other = Session::start(&station.bench, Script::Obeys).await;
    station.rebooted(&machine, 1).await;
}

#[tokio::test]
async fn killed_while_the_csms_is_told_it_goes_on() {
    let mut station = Station::new(LONG).await;
    let _session = Session::start(&station.bench, Script::Obeys).await;
    let ocpp = Ocpp::start(&station.bench, 7).await;
    let machine = Machine::start(&station.bench, Script::Obeys).await;
    station.start().await;
    station.reset(false).await.expect("taken");
    let order = station.bench.state_directory().join("reset.json");
    let delivering =
        async || std::fs::read_to_string(&order).is_ok_and(|order| order.contains("delivering")).then_some(());
    station.until("the delivery", delivering).await;
    station.start().await;
    assert_eq!((station.pending().await.as_str(), machine.reboots()), ("soft", 0));
    ocpp.confirm(8).await;
    station.rebooted(&machine, 1).await;
}

#[tokio::test]
async fn killed_while_the_machine_does_not_restart_it_asks_again() {
    let mut station = Station::new(SHORT).await;
    let machine = Machine::start(&station.bench, Script::Idles).await;
    station.start().await;
    station.reset(true).await.expect("taken");
    station.rebooted(&machine, 1).await;
    station.start().await;
    assert_eq!(station.pending().await, "hard");
    station.rebooted(&machine, 2).await;
}

#[tokio::test]
async fn an_order_that_the_disk_does_not_take_is_refused_and_nothing_happens() {
    let mut station = Station::new(SHORT).await;
    let session = Session::start(&station.bench, Script::Obeys).await;
    station.start().await;
    std::fs::create_dir(station.bench.state_directory().join("reset.new")).expect("in the way of the file");
    assert!(matches!(station.reset(false).await, Err(CallError::Internal(_))));
    assert_eq!((station.pending().await.as_str(), session.stops().len()), ("", 0));
    std::fs::remove_dir(station.bench.state_directory().join("reset.new")).expect("out of the way");
    station.reset(false).await.expect("taken");
}
