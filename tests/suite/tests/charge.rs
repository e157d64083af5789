//! Whole charges, from the plug to the receipt.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use anyhow::{Result, ensure};
use busbar_interfaces::words::ConnectorStatus;
use busbar_suite::scene::{BADGE, IDENTITY, LIMIT, Scene, slots};
use serde_json::json;

#[tokio::test]
async fn tc_003_a_charge_with_a_badge_plug_first() -> Result<()> {
    let scene = Scene::start().await?;
    let hardware = scene.hardware(1).await?;
    hardware.set_meter_register(12_345_678).await?;
    let before = hardware.meter_milliwatt_hours().await?;
    scene.charge(1, 80_000).await?;
    // The reader ignores the same badge for three seconds; five samples take longer.
    scene.sampled(0, 5).await?;
    scene.badge().await?;
    scene.status(1, ConnectorStatus::Finishing).await?;
    let transaction = scene.settle(before, 1).await?;
    ensure!(transaction.id_tag == BADGE && transaction.reason.as_deref().is_none_or(|reason| reason == "Local"));
    ensure!(transaction.connector == 1 && transaction.meter_stop > Some(transaction.meter_start));
    let slots = slots(&transaction)?;
    ensure!(slots == (1..=slots.len() as i64).collect::<Vec<_>>(), "{slots:?}");
    ensure!(hardware.current_interruptions().await? == 0);
    scene.unplug(1).await?;
    // The next one can be plugged in and charged.
    scene.plug(1, 80_000).await?;
    scene.badge_of("08112233445566").await?;
    scene.flows(1).await?;
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn what_a_sample_says_is_what_the_hardware_does() -> Result<()> {
    let scene = Scene::start_with(|options| options.with("EnableMeterValuesContainVoltage", "true")).await?;
    scene.charge(1, 60_000).await?;
    // The first sample may lie on the ramp; the third does not.
    scene.sampled(0, 3).await?;
    let transaction = scene.csms()?.transactions().remove(0);
    let sampled = transaction.meter_values[2]["meterValue"][0]["sampledValue"].as_array().unwrap().clone();
    let value = |measurand: &str, unit: &str| -> f64 {
        let found =
            sampled.iter().find(|value| value["measurand"] == measurand).unwrap_or_else(|| panic!("{measurand}"));
        assert_eq!(found["unit"], unit, "{measurand}");
        assert_eq!(found["context"], "Sample.Periodic", "{measurand}");
        found["value"].as_str().unwrap().parse().unwrap()
    };
    let (volts, amperes) = (value("Voltage", "V"), value("Current.Import", "A"));
    let watts = value("Power.Active.Import", "W");
    ensure!((59_000.0..=60_100.0).contains(&watts), "{watts} W");
    ensure!((volts * amperes - watts).abs() < 100.0, "{volts} V × {amperes} A is not {watts} W");
    ensure!(value("Power.Offered", "W") == 60_000.0, "two modules are enough for what the car can take");
    ensure!((30.0..=31.0).contains(&value("SoC", "Percent")));
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn two_cars_charge_at_once_and_each_has_its_own_books() -> Result<()> {
    let scene = Scene::start().await?;
    let (one, two) = (scene.hardware(1).await?, scene.hardware(2).await?);
    scene.charge(1, 50_000).await?;
    scene.plug(2, 30_000).await?;
    scene.badge_of("08112233445566").await?;
    scene.flows(2).await?;
    scene.sampled(0, 2).await?;
    scene.sampled(1, 2).await?;
    one.stop_by_vehicle().await?;
    two.stop_by_vehicle().await?;
    scene.status(1, ConnectorStatus::Finishing).await?;
    scene.status(2, ConnectorStatus::Finishing).await?;
    scene.delivered().await?;
    let books = scene.books()?;
    ensure!(books.irregularities.is_empty() && books.strays.is_empty(), "{books:?}");
    let meters = [one.meter_milliwatt_hours().await? / 1000, two.meter_milliwatt_hours().await? / 1000];
    for (index, transaction) in books.transactions.iter().enumerate() {
        ensure!(transaction.connector == index as i64 + 1);
        ensure!(transaction.meter_stop == i64::try_from(meters[index]).ok(), "{transaction:?} {meters:?}");
    }
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_car_that_takes_a_few_watts_and_pauses_is_still_charged_right() -> Result<()> {
    let scene = Scene::start().await?;
    let hardware = scene.hardware(1).await?;
    let before = hardware.meter_milliwatt_hours().await?;
    scene.charge(1, 5).await?;
    hardware.pause_demand().await?;
    scene.status(1, ConnectorStatus::SuspendedEv).await?;
    hardware.resume_demand().await?;
    scene.status(1, ConnectorStatus::Charging).await?;
    hardware.stop_by_vehicle().await?;
    scene.settle(before, 1).await?;
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn tc_010_and_tc_012_remote_start_and_remote_stop() -> Result<()> {
    let scene = Scene::start().await?;
    let csms = scene.csms()?;
    let before = scene.hardware(1).await?.meter_milliwatt_hours().await?;
    scene.plug(1, 40_000).await?;
    let started = csms.call(IDENTITY, "RemoteStartTransaction", json!({"connectorId": 1, "idTag": "REMOTE"})).await?;
    ensure!(started.status() == Some("Accepted"));
    scene.flows(1).await?;
    scene.sampled(0, 1).await?;
    let unknown = csms.call(IDENTITY, "RemoteStopTransaction", json!({"transactionId": 4711})).await?;
    ensure!(unknown.status() == Some("Rejected"), "tc_028");
    let zero = csms.call(IDENTITY, "RemoteStartTransaction", json!({"connectorId": 0, "idTag": "REMOTE"})).await?;
    ensure!(zero.status() == Some("Rejected"), "tc_027");
    let busy = csms.call(IDENTITY, "RemoteStartTransaction", json!({"connectorId": 1, "idTag": "REMOTE"})).await?;
    ensure!(busy.status() == Some("Rejected"), "tc_026");
    let transaction = csms.transactions()[0].transaction_id.unwrap();
    let stopped = csms.call(IDENTITY, "RemoteStopTransaction", json!({"transactionId": transaction})).await?;
    ensure!(stopped.status() == Some("Accepted"));
    let transaction = scene.settle(before, 1).await?;
    ensure!(transaction.reason.as_deref() == Some("Remote") && transaction.id_tag == "REMOTE");
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn tc_011_remote_start_before_the_plug() -> Result<()> {
    let scene = Scene::start().await?;
    let started =
        scene.csms()?.call(IDENTITY, "RemoteStartTransaction", json!({"connectorId": 2, "idTag": "R"})).await?;
    ensure!(started.status() == Some("Accepted"));
    scene.status(2, ConnectorStatus::Preparing).await?;
    scene.hardware(2).await?.plug(Default::default()).await?;
    scene.flows(2).await?;
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn tc_011_2_a_remote_start_without_a_plug_is_dropped_in_time() -> Result<()> {
    let scene = Scene::start_with(|options| options.with("ConnectionTimeOut", "1")).await?;
    let started =
        scene.csms()?.call(IDENTITY, "RemoteStartTransaction", json!({"connectorId": 2, "idTag": "R"})).await?;
    ensure!(started.status() == Some("Accepted"));
    scene.status(2, ConnectorStatus::Preparing).await?;
    scene.status(2, ConnectorStatus::Available).await?;
    ensure!(scene.csms()?.transactions().is_empty());
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn tc_023_4_a_badge_that_the_csms_refuses_charges_nothing() -> Result<()> {
    let scene = Scene::start().await?;
    scene.csms()?.set_tag(BADGE, "Blocked", None);
    scene.plug(1, 40_000).await?;
    scene.badge().await?;
    scene.told(|frame| frame.is_request("Authorize")).await?;
    let shown = |state: &busbar_interfaces::hmi::ScreenState| state.message == "This badge cannot charge here.";
    let path = busbar_interfaces::names::HMI.connector(busbar_interfaces::ConnectorId(1));
    scene.bench.wait_for(busbar_interfaces::names::HMI, &path, LIMIT, shown).await?;
    scene.status(1, ConnectorStatus::Preparing).await?;
    ensure!(scene.csms()?.transactions().is_empty());
    ensure!(scene.hardware(1).await?.charge_count().await? == 0);
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn free_charging_starts_with_the_plug() -> Result<()> {
    let scene = Scene::start_with(|options| options.with("AuthenticationOCPPMode", "false")).await?;
    scene.hardware(1).await?.plug(Default::default()).await?;
    scene.flows(1).await?;
    scene.sampled(0, 1).await?;
    ensure!(scene.csms()?.transactions()[0].id_tag == "SIMTAG");
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn tc_005_a_cable_pulled_out_ends_the_transaction() -> Result<()> {
    let scene = Scene::start().await?;
    let hardware = scene.hardware(1).await?;
    let before = hardware.meter_milliwatt_hours().await?;
    scene.charge(1, 30_000).await?;
    scene.sampled(0, 1).await?;
    hardware.unplug().await?;
    let transaction = scene.settle_whatever_the_plant_says(before, 1).await?;
    ensure!(transaction.reason.as_deref() == Some("EVDisconnected"), "{transaction:?}");
    scene.status(1, ConnectorStatus::Available).await?;
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn the_emergency_stop_ends_the_transaction_and_blocks_the_next() -> Result<()> {
    let scene = Scene::start().await?;
    let hardware = scene.hardware(1).await?;
    let before = hardware.meter_milliwatt_hours().await?;
    scene.charge(1, 30_000).await?;
    hardware.press_emergency_stop().await?;
    let transaction = scene.settle_whatever_the_plant_says(before, 1).await?;
    ensure!(transaction.reason.as_deref() == Some("EmergencyStop"), "{transaction:?}");
    scene.status(1, ConnectorStatus::Faulted).await?;
    let faulted =
        scene.told(|frame| frame.request("StatusNotification").is_some_and(|status| status["status"] == "Faulted"));
    let faulted = faulted.await?.request("StatusNotification").unwrap().clone();
    ensure!(faulted["vendorErrorCode"] == "0x100202" && faulted["errorCode"] == "InternalError", "{faulted}");
    // Released is not enough: the vehicle has to go, or somebody resets it at the station.
    hardware.release_emergency_stop().await?;
    hardware.unplug().await?;
    scene.status(1, ConnectorStatus::Available).await?;
    scene.bench.stop().await;
    Ok(())
}
