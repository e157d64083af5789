//! Charges that something comes between: a cable that is pulled out and plugged in again, a fault, an order out of
//! service, a machine that loses its power or is restarted in good order.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use anyhow::{Result, ensure};
use busbar_csms::{Csms, Options as CsmsOptions};
use busbar_ctl::plant;
use busbar_interfaces::faults::FaultsState;
use busbar_interfaces::names;
use busbar_interfaces::words::{ConnectorStatus, DecisionReason, Verdict};
use busbar_suite::link::requests;
use busbar_suite::scene::{BADGE, IDENTITY, LIMIT, OTHER, STRANGER, Scene};
use serde_json::json;
use zbus::Variant;

/// The operator asks for a charge, and is answered with this.
async fn remote_start(scene: &Scene, status: &str, connector: u32, id_tag: &str) -> Result<()> {
    scene.answered(status, "RemoteStartTransaction", json!({ "connectorId": connector, "idTag": id_tag })).await
}

/// The register of a connector's meter, in whole Wh.
async fn meter(scene: &Scene, connector: u32) -> Result<Option<i64>> {
    Ok(i64::try_from(scene.hardware(connector).await?.meter_milliwatt_hours().await? / 1000).ok())
}

/// Waits until the meter of connector 1 has gone on from a register, given in Wh.
async fn goes_on(scene: &Scene, from: Option<i64>) -> Result<()> {
    scene.until("the meter goes on", async || Ok(meter(scene, 1).await? > from)).await
}

#[tokio::test]
async fn tc_005_2_tc_005_3_a_cable_that_is_pulled_out_of_the_vehicle_with_both_values_of_the_key() -> Result<()> {
    let scene = Scene::start().await?;
    let csms = scene.csms()?;
    // tc_005_3: the transaction stays, and charges on when the vehicle is plugged in again.
    scene.rule("StopTransactionOnEVSideDisconnect", "false").await?;
    let hardware = scene.hardware(1).await?;
    scene.charge(1, 60_000).await?;
    scene.sampled(0, 1).await?;
    goes_on(&scene, meter(&scene, 1).await?).await?;
    scene.status(1, ConnectorStatus::Charging).await?;
    let mark = csms.mark();
    hardware.unplug().await?;
    scene.told_status(mark, 1, "SuspendedEV").await?;
    let before = meter(&scene, 1).await?;
    ensure!(csms.transactions()[0].stop_count == 0);
    let samples = csms.transactions()[0].meter_values.len();
    scene.sampled(0, samples + 1).await?;
    ensure!(meter(&scene, 1).await? == before, "nothing flows without a vehicle");

    let mark = csms.mark();
    hardware.plug(Default::default()).await?;
    scene.flows(1).await?;
    scene.told_status(mark, 1, "Charging").await?;
    goes_on(&scene, before).await?;
    let transaction = scene.remote_stop(0).await?;
    scene.told_status(mark, 1, "Finishing").await?;
    ensure!(transaction.meter_stop == meter(&scene, 1).await?, "{transaction:?}");
    scene.unplug(1).await?;

    // tc_005_2: the cable is captive, so that there is nothing to unlock.
    scene.rule("StopTransactionOnEVSideDisconnect", "true").await?;
    scene.plug(2, 30_000).await?;
    remote_start(&scene, "Accepted", 2, OTHER).await?;
    scene.flows(2).await?;
    let mark = csms.mark();
    let answer = csms.call(IDENTITY, "UnlockConnector", json!({ "connectorId": 2 })).await?;
    ensure!(answer.status() == Some("NotSupported"), "{answer:?}");
    scene.hardware(2).await?.unplug().await?;
    let transaction = scene.stopped(1, "EVDisconnected").await?;
    scene.told_status(mark, 2, "Available").await?;
    ensure!(transaction.meter_stop == meter(&scene, 2).await?, "{transaction:?}");
    scene.adds_up(2).await?;
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn tc_041_nothing_starts_on_a_connector_with_a_fault() -> Result<()> {
    let scene = Scene::start().await?;
    let hardware = scene.hardware(1).await?;
    scene.plug(1, 30_000).await?;
    let mark = scene.csms()?.mark();
    hardware.press_emergency_stop().await?;
    scene.told_status(mark, 1, "Faulted").await?;
    let decision = scene.presents(BADGE, DecisionReason::Faulted).await?;
    ensure!((decision.connector.0, decision.verdict) == (1, Verdict::Rejected), "{decision:?}");
    remote_start(&scene, "Rejected", 1, BADGE).await?;
    // An engineer sees why.
    let status = String::from_utf8(scene.busbarctl(&["status"]).await?.stdout)?;
    ensure!(status.contains("refused at connector 1: a fault stands against it"), "{status}");
    ensure!(scene.csms()?.transactions().is_empty() && requests(scene.csms()?, mark, "Authorize") == 0);
    // The other one is not concerned, and this one no longer when the fault has gone.
    remote_start(&scene, "Accepted", 2, OTHER).await?;
    let mark = scene.csms()?.mark();
    hardware.release_emergency_stop().await?;
    scene.told_status(mark, 1, "Preparing").await?;
    remote_start(&scene, "Accepted", 1, BADGE).await?;
    scene.flows(1).await?;
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn tc_034_out_of_service_by_order_also_after_a_mains_failure() -> Result<()> {
    let scene = Scene::start().await?;
    let csms = scene.csms()?;
    let order = async |kind: &str| {
        let order = json!({ "connectorId": 0, "type": kind });
        scene.answered("Accepted", "ChangeAvailability", order).await
    };
    order("Inoperative").await?;
    scene.told_status(0, 0, "Unavailable").await?;
    let mark = csms.mark();
    scene.loses_power().await?;
    for connector in 0..=2 {
        scene.told_status(mark, connector, "Unavailable").await?;
    }
    ensure!(requests(csms, mark, "BootNotification") == 1);
    let free = csms.frames_since(mark).into_iter().find(|frame| frame.raw.contains("\"Available\""));
    ensure!(free.is_none(), "case 39: {free:?}");
    scene.hardware(1).await?.plug(Default::default()).await?;
    scene.presents(BADGE, DecisionReason::Unavailable).await?;
    remote_start(&scene, "Rejected", 1, BADGE).await?;
    let mark = csms.mark();
    order("Operative").await?;
    for (connector, status) in [(0, "Available"), (1, "Preparing"), (2, "Available")] {
        scene.told_status(mark, connector, status).await?;
    }
    ensure!(csms.transactions().is_empty());
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn tc_032_2_what_was_charged_without_a_link_before_a_mains_failure_is_told_once() -> Result<()> {
    let scene = Scene::start_with(|mut options| {
        options.station_file += "\n[ocpp]\nretry_first_millis = 200\nretry_most_millis = 200\n";
        options
    });
    let scene = scene.await?;
    let csms = scene.csms()?;
    let before = meter(&scene, 1).await?;
    scene.cut().await?;
    scene.charge(1, 60_000).await?;
    goes_on(&scene, before).await?;
    scene.loses_power().await?;
    // The cabinet of the bench stays under voltage: power opens what it finds closed, which is a fault for a moment.
    let open = async || {
        let hardware = plant::show(scene.bench.bus(), 1).await?;
        Ok(hardware.get("OutputContactorClosed").is_some_and(|closed| **closed == Variant::Bool(false)))
    };
    scene.until("the contactor is open", open).await?;
    let sound = |state: &FaultsState| state.active.is_empty();
    scene.bench.wait_for(names::FAULTS, names::FAULTS.root, LIMIT, sound).await?;
    scene.status(1, ConnectorStatus::Finishing).await?;
    ensure!(csms.transactions().is_empty(), "there is no link");
    // Nobody charges on for nothing: the vehicle has to be unplugged first.
    scene.presents(STRANGER, DecisionReason::NoVehicle).await?;
    let mark = csms.mark();
    scene.heal().await?;
    let transaction = scene.stopped(0, "PowerLoss").await?;
    ensure!(transaction.id_tag == BADGE && transaction.meter_start == before.unwrap_or(0), "{transaction:?}");
    ensure!(transaction.meter_stop == meter(&scene, 1).await? && transaction.meter_stop > before, "{transaction:?}");
    scene.told_status(mark, 1, "Finishing").await?;
    scene.adds_up(1).await?;
    // The connector is free for the next one.
    scene.unplug(1).await?;
    scene.plug(1, 30_000).await?;
    scene.presents(OTHER, DecisionReason::Accepted).await?;
    scene.flows(1).await?;
    ensure!(requests(csms, mark, "BootNotification") == 1);
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn case_10_case_b26_a_restart_of_the_machine_in_good_order_is_no_mains_failure() -> Result<()> {
    let csms = Csms::start(CsmsOptions::default()).await?;
    let scene = Scene::start_at(csms, |options| options).await?;
    scene.registered().await?;
    let before = meter(&scene, 1).await?;
    scene.charge(1, 60_000).await?;
    scene.sampled(0, 1).await?;
    goes_on(&scene, before).await?;
    let scene = scene.restarts_in_order().await?;
    let transaction = scene.stopped(0, "Reboot").await?;
    ensure!(transaction.meter_stop == meter(&scene, 1).await?, "{transaction:?}");
    ensure!(transaction.meter_stop > before, "{transaction:?}");
    scene.adds_up(1).await?;
    scene.status(1, ConnectorStatus::Available).await?;
    scene.bench.stop().await;
    Ok(())
}
