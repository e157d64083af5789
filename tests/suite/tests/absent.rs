//! Hardware and peers that are not there: a fault says which, and no charge starts.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use anyhow::{Result, ensure};
use busbar_ctl::plant;
use busbar_interfaces::faults::FaultsState;
use busbar_interfaces::hmi::ScreenState;
use busbar_interfaces::words::ConnectorStatus;
use busbar_interfaces::{ConnectorId, names};
use busbar_suite::scene::{BADGE, IDENTITY, LIMIT, Scene};
use serde_json::json;

/// With a hardware fault the connector is Faulted with the code, the CSMS is told, nothing charges; without it again,
/// a charge is possible.
async fn absent(fault: &str, code: &str, detail: &str, other_connector_works: bool) -> Result<()> {
    let scene = Scene::start().await?;
    let hardware = scene.hardware(1).await?;
    let whole = plant::plant(scene.bench.bus()).await?;
    whole.set_fault(fault, true).await?;
    let shows =
        |state: &FaultsState| state.active.iter().any(|active| active.code == code && active.detail.contains(detail));
    scene.bench.wait_for(names::FAULTS, names::FAULTS.root, LIMIT, shows).await?;
    scene.status(1, ConnectorStatus::Faulted).await?;
    let told = scene.told(|frame| {
        frame.request("StatusNotification").is_some_and(|s| s["status"] == "Faulted" && s["vendorErrorCode"] == code)
    });
    told.await?;
    if other_connector_works {
        scene.status(2, ConnectorStatus::Available).await?;
    }
    hardware.plug(Default::default()).await?;
    whole.present_badge(BADGE).await?;
    let answered = |state: &ScreenState| {
        state.message == "This connector cannot charge now."
            || state.message == "Please plug in your vehicle first, then show your badge."
    };
    scene.bench.wait_for(names::HMI, &names::HMI.connector(ConnectorId(1)), LIMIT, answered).await?;
    let refused =
        scene.csms()?.call(IDENTITY, "RemoteStartTransaction", json!({"connectorId": 1, "idTag": "R"})).await?;
    ensure!(refused.status() == Some("Rejected"), "{refused:?}");
    ensure!(scene.csms()?.transactions().is_empty() && hardware.charge_count().await? == 0);

    whole.set_fault(fault, false).await?;
    scene.status(1, ConnectorStatus::Preparing).await?;
    let started =
        scene.csms()?.call(IDENTITY, "RemoteStartTransaction", json!({"connectorId": 1, "idTag": "R"})).await?;
    ensure!(started.status() == Some("Accepted"), "{started:?}");
    scene.flows(1).await?;
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_meter() -> Result<()> {
    absent("meter-1-down", "0x10020F", "acrel-djsf1352-rn at 127.0.0.1", true).await
}

#[tokio::test]
async fn the_can_bus_of_the_modules() -> Result<()> {
    absent("modules-bus-down", "0x200001", "/modules", false).await
}

#[tokio::test]
async fn the_can_bus_of_the_vehicles() -> Result<()> {
    absent("vehicles-bus-down", "0x10000C", "/vehicles", false).await
}

#[tokio::test]
async fn the_io_boards() -> Result<()> {
    absent("io-down", "0x100210", "I/O boards at 127.0.0.1", false).await
}

#[tokio::test]
async fn the_csms_a_charge_goes_on_and_is_delivered_in_order_afterwards() -> Result<()> {
    let scene = Scene::start_with(|options| options.with("disconnectedMeterValueSampleInterval", "5")).await?;
    let csms = scene.csms()?;
    let hardware = scene.hardware(1).await?;
    let before = hardware.meter_milliwatt_hours().await?;
    scene.charge(1, 40_000).await?;
    scene.sampled(0, 1).await?;
    csms.refuse(true);
    csms.drop_connection(IDENTITY);
    let lost = |state: &busbar_interfaces::ocpp::OcppState| state.link == busbar_interfaces::words::Link::Disconnected;
    scene.bench.wait_for(names::OCPP, names::OCPP.root, LIMIT, lost).await?;
    hardware.stop_by_vehicle().await?;
    scene.status(1, ConnectorStatus::Finishing).await?;
    ensure!(csms.transactions()[0].stop_count == 0);
    csms.refuse(false);
    scene.settle(before, 1).await?;
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn the_csms_when_a_badge_is_shown_the_offline_rule_lets_it_charge() -> Result<()> {
    let scene = Scene::start().await?;
    let csms = scene.csms()?;
    let hardware = scene.hardware(1).await?;
    let before = hardware.meter_milliwatt_hours().await?;
    csms.refuse(true);
    csms.drop_connection(IDENTITY);
    let lost = |state: &busbar_interfaces::ocpp::OcppState| state.link == busbar_interfaces::words::Link::Disconnected;
    scene.bench.wait_for(names::OCPP, names::OCPP.root, LIMIT, lost).await?;
    scene.charge(1, 40_000).await?;
    hardware.stop_by_vehicle().await?;
    scene.status(1, ConnectorStatus::Finishing).await?;
    csms.refuse(false);
    let transaction = scene.settle(before, 1).await?;
    ensure!(transaction.id_tag == BADGE, "{transaction:?}");
    scene.bench.stop().await;
    Ok(())
}
