//! The cost display of the HMI process on a bus of its own, with a scripted session and a browser.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test"
)]

use busbar_interfaces::hmi::{HmiProxy, HmiState, ScreenState};
use busbar_interfaces::session::SessionConnectorState;
use busbar_interfaces::words::{Availability, ConnectorStatus, StopReason};
use busbar_interfaces::{CallError, ConnectorId, MilliwattHours, TransactionId, UnixMillis, names};
use busbar_private_bus::lone::{Lone, until};
use busbar_runtime::{Bus, Object, Shown, object};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zbus::Connection;

const ONE: ConnectorId = ConnectorId(1);

struct SessionConnector(Shown<SessionConnectorState>);

#[zbus::interface(name = "io.busbar.Session1.Connector")]
impl SessionConnector {
    #[zbus(property)]
    fn status(&self) -> ConnectorStatus {
        self.0.get(|state| state.status)
    }

    #[zbus(property)]
    fn availability(&self) -> Availability {
        self.0.get(|state| state.availability)
    }

    #[zbus(property)]
    fn availability_is_scheduled(&self) -> bool {
        self.0.get(|state| state.availability_is_scheduled)
    }

    #[zbus(property)]
    fn status_since_unix_millis(&self) -> UnixMillis {
        self.0.get(|state| state.status_since_unix_millis)
    }

    #[zbus(property)]
    fn fault_code(&self) -> String {
        self.0.get(|state| state.fault_code.clone())
    }

    #[zbus(property)]
    fn transaction(&self) -> TransactionId {
        self.0.get(|state| state.transaction)
    }

    #[zbus(property)]
    fn last_transaction(&self) -> TransactionId {
        self.0.get(|state| state.last_transaction)
    }

    #[zbus(property)]
    fn started_unix_millis(&self) -> UnixMillis {
        self.0.get(|state| state.started_unix_millis)
    }

    #[zbus(property)]
    fn energy_milliwatt_hours(&self) -> MilliwattHours {
        self.0.get(|state| state.energy_milliwatt_hours)
    }

    #[zbus(property)]
    fn last_stop_reason(&self) -> StopReason {
        self.0.get(|state| state.last_stop_reason)
    }
}

fn charge(status: ConnectorStatus, transaction: u64, last: u64) -> SessionConnectorState {
    SessionConnectorState {
        status,
        availability: Availability::Operative,
        availability_is_scheduled: false,
        status_since_unix_millis: UnixMillis(0),
        fault_code: String::new(),
        transaction: TransactionId(transaction),
        last_transaction: TransactionId(last),
        started_unix_millis: UnixMillis(0),
        energy_milliwatt_hours: MilliwattHours(1_000_000),
        last_stop_reason: StopReason::None,
    }
}

/// A session in which a charge runs on connector 1.
async fn session(bench: &Lone) -> (Bus, Object<SessionConnectorState>) {
    let bus = Bus::connect(names::SESSION, bench.address()).await.expect("the bus is there");
    let path = names::SESSION.connector(ONE);
    let (object, shown) = Object::new(&bus, &path, charge(ConnectorStatus::Charging, 7, 6));
    bus.serve(&path, SessionConnector(shown)).await.expect("served");
    bus.claim().await.expect("the name is free");
    (bus, object)
}

async fn screen(client: &Connection, connector: ConnectorId) -> Option<ScreenState> {
    object::fetch(client, names::HMI, &names::HMI.connector(connector)).await.ok()
}

async fn cost_becomes(client: &Connection, cost: &str) {
    until(cost, async || screen(client, ONE).await.filter(|screen| screen.cost == cost)).await;
}

/// What a browser is told of connector 1.
async fn page(client: &Connection) -> String {
    let root: HmiState = object::fetch(client, names::HMI, names::HMI.root).await.expect("the root");
    let address = root.page_address.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut stream = TcpStream::connect(&address).await.expect("served");
    let request = format!("GET /state HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    answer
}

#[tokio::test]
async fn the_cost_is_on_the_object_and_the_page_until_the_next_charge_begins() {
    let bench = Lone::new(env!("CARGO_BIN_EXE_busbar-hmi"), "").await;
    let (_session, object) = session(&bench).await;
    let client = bench.client().await;
    let _hmi = bench.start();
    let proxy = HmiProxy::new(&client).await.expect("a proxy");
    until("the charge", async || screen(&client, ONE).await.filter(|screen| screen.energy_milliwatt_hours.0 > 0)).await;

    proxy.show_cost(ONE, "12.40 EUR").await.expect("shown");
    assert_eq!(
        screen(&client, ONE).await.expect("there").cost,
        "12.40 EUR",
        "when the answer is there, so is the cost"
    );
    assert_eq!(screen(&client, ConnectorId(2)).await.expect("there").cost, "", "the other connector has no cost");
    assert!(page(&client).await.contains(r#""cost":"12.40 EUR""#));

    object.publish(charge(ConnectorStatus::Finishing, 0, 7)).await;
    proxy.show_cost(ONE, "12.60 EUR").await.expect("shown");
    until("the receipt", async || screen(&client, ONE).await.filter(|screen| screen.message.contains("Thank you")))
        .await;
    assert!(page(&client).await.contains(r#""cost":"12.60 EUR""#));

    object.publish(charge(ConnectorStatus::Charging, 8, 7)).await;
    cost_becomes(&client, "").await;
    assert!(!page(&client).await.contains("EUR"));
}

#[tokio::test]
async fn what_cannot_be_shown_is_refused_by_name() {
    let bench = Lone::new(env!("CARGO_BIN_EXE_busbar-hmi"), "").await;
    let client = bench.client().await;
    let _hmi = bench.start();
    until("the HMI", async || screen(&client, ONE).await).await;
    let proxy = HmiProxy::new(&client).await.expect("a proxy");
    for connector in [0, 3] {
        let refused = proxy.show_cost(ConnectorId(connector), "1 EUR").await;
        assert!(matches!(refused, Err(CallError::NotFound(_))), "{connector}: {refused:?}");
    }
    for text in ["", "1\nEUR", &"9".repeat(41)] {
        let refused = proxy.show_cost(ONE, text).await;
        assert!(matches!(refused, Err(CallError::OutOfRange(_))), "{text:?}: {refused:?}");
    }
    assert_eq!(screen(&client, ONE).await.expect("there").cost, "");
}

#[tokio::test]
async fn killed_right_after_the_answer_the_cost_is_on_the_screen_again_and_belongs_to_its_charge() {
    let bench = Lone::new(env!("CARGO_BIN_EXE_busbar-hmi"), "").await;
    let (_session, object) = session(&bench).await;
    let client = bench.client().await;
    let proxy = HmiProxy::new(&client).await.expect("a proxy");
    let hmi = bench.start();
    until("the HMI", async || screen(&client, ONE).await).await;
    proxy.show_cost(ONE, "12.40 EUR").await.expect("shown");
    drop(hmi);

    let hmi = bench.start();
    let first = until("the HMI", async || screen(&client, ONE).await).await;
    assert_eq!(first.cost, "12.40 EUR", "with the first thing that can be read");
    until("the charge", async || screen(&client, ONE).await.filter(|screen| screen.energy_milliwatt_hours.0 > 0)).await;
    cost_becomes(&client, "12.40 EUR").await;
    drop(hmi);

    object.publish(charge(ConnectorStatus::Charging, 8, 7)).await;
    let hmi = bench.start();
    cost_becomes(&client, "").await;
    drop(hmi);
    let _hmi = bench.start();
    let first = until("the HMI", async || screen(&client, ONE).await).await;
    assert_eq!(first.cost, "", "and it does not come back");
}

#[tokio::test]
async fn a_cost_that_cannot_be_kept_is_not_shown() {
    let bench = Lone::new(env!("CARGO_BIN_EXE_busbar-hmi"), "").await;
    let client = bench.client().await;
    let _hmi = bench.start();
    until("the HMI", async || screen(&client, ONE).await).await;
    std::fs::remove_dir_all(bench.root().join("runtime")).expect("removed");
    let proxy = HmiProxy::new(&client).await.expect("a proxy");
    let refused = proxy.show_cost(ONE, "1 EUR").await;
    assert!(matches!(refused, Err(CallError::Internal(_))), "{refused:?}");
    assert_eq!(screen(&client, ONE).await.expect("there").cost, "");
}
