//! The cost display of the HMI process on a bus of its own, with a scripted session and a browser.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test"
)]

mod scripted;

use busbar_interfaces::hmi::HmiProxy;
use busbar_interfaces::session::SessionConnectorState;
use busbar_interfaces::words::ConnectorStatus;
use busbar_interfaces::{CallError, ConnectorId, names};
use busbar_private_bus::lone::{Lone, until};
use busbar_runtime::{Bus, Object};
use scripted::{SessionConnector, charge, page, screen};
use zbus::Connection;

const ONE: ConnectorId = ConnectorId(1);

/// A session in which a charge runs on connector 1.
async fn session(bench: &Lone) -> (Bus, Object<SessionConnectorState>) {
    let bus = Bus::connect(names::SESSION, bench.address()).await.expect("the bus is there");
    let path = names::SESSION.connector(ONE);
    let (object, shown) = Object::new(&bus, &path, charge(ConnectorStatus::Charging, 7, 6));
    bus.serve(&path, SessionConnector(shown)).await.expect("served");
    bus.claim().await.expect("the name is free");
    (bus, object)
}

async fn cost_becomes(client: &Connection, cost: &str) {
    until(cost, async || screen(client, ONE).await.filter(|screen| screen.cost == cost)).await;
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
