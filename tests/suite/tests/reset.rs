//! The restart of the station that the CSMS asks for: the charge ends with its books closed, the machine restarts, the
//! station comes back as it was ordered to be.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use anyhow::{Context, Result, ensure};
use busbar_csms::Frame;
use busbar_ctl::plant;
use busbar_interfaces::faults::FaultsState;
use busbar_interfaces::maintenance::{MaintenanceProxy, MaintenanceState};
use busbar_interfaces::session::SessionConnectorState;
use busbar_interfaces::words::ConnectorStatus;
use busbar_interfaces::{ConnectorId, names};
use busbar_suite::scene::{IDENTITY, LIMIT, Scene};
use serde_json::json;

/// The CSMS asks for a restart, and the station takes the order.
async fn reset(scene: &Scene, kind: &str) -> Result<()> {
    let answer = scene.csms()?.call(IDENTITY, "Reset", json!({ "type": kind })).await?;
    ensure!(answer.status() == Some("Accepted"), "{answer:?}");
    Ok(())
}

/// The machine has restarted once, and the CSMS has been told of it.
async fn back(scene: &Scene, from: u64) -> Result<()> {
    scene.bench.machine().rebooted(1, LIMIT).await?;
    let boot = scene.csms()?.wait_for_since(from, LIMIT, |frame| frame.is_request("BootNotification")).await;
    boot.map_err(|timeout| anyhow::anyhow!("no BootNotification after the restart: {timeout:?}"))?;
    let done = |state: &MaintenanceState| state.pending_reset.is_empty() && state.conditions.is_empty();
    scene.bench.wait_for(names::MAINTENANCE, names::MAINTENANCE.root, LIMIT, done).await?;
    Ok(())
}

/// Waits until the CSMS has been told a connector's status after a frame.
async fn told_status(scene: &Scene, from: u64, connector: u32, status: &str) -> Result<()> {
    let told = scene.csms()?.wait_for_since(from, LIMIT, |frame| tells(frame, connector, status));
    told.await.map_err(|timeout| anyhow::anyhow!("connector {connector} is not {status}: {timeout:?}"))?;
    Ok(())
}

/// The number of the first request with this action after a frame.
fn frame_of(scene: &Scene, from: u64, action: &str) -> Result<u64> {
    let frames = scene.csms()?.frames_since(from);
    let found = frames.iter().find(|frame| frame.is_request(action));
    Ok(found.with_context(|| format!("no {action} since {from}"))?.seq)
}

/// The number of the first StatusNotification with this status of a connector after a frame.
fn status_frame(scene: &Scene, from: u64, connector: u32, status: &str) -> Result<u64> {
    let frames = scene.csms()?.frames_since(from);
    let found = frames.iter().find(|frame| tells(frame, connector, status));
    Ok(found.with_context(|| format!("connector {connector} is never told to be {status}"))?.seq)
}

fn tells(frame: &Frame, connector: u32, status: &str) -> bool {
    let payload = frame.request("StatusNotification");
    payload.is_some_and(|payload| payload["connectorId"] == connector && payload["status"] == status)
}

async fn with_a_charge(kind: &str, reason: &str) -> Result<()> {
    let scene = Scene::start().await?;
    let hardware = scene.hardware(1).await?;
    hardware.set_meter_register(123_456_700).await?;
    let before = hardware.meter_milliwatt_hours().await?;
    scene.charge(1, 60_000).await?;
    scene.sampled(0, 2).await?;
    let mark = scene.csms()?.mark();
    reset(&scene, kind).await?;
    back(&scene, mark).await?;
    let transaction = scene.settle(before, 1).await?;
    ensure!(transaction.reason.as_deref() == Some(reason), "{transaction:?}");
    ensure!(transaction.meter_stop > Some(transaction.meter_start));
    if kind == "Soft" {
        let (stop, boot) = (frame_of(&scene, mark, "StopTransaction")?, frame_of(&scene, mark, "BootNotification")?);
        ensure!(stop < boot, "StopTransaction is frame {stop}, BootNotification frame {boot}");
        let finishing = status_frame(&scene, mark, 1, "Finishing")?;
        ensure!(finishing < boot, "Finishing is frame {finishing}, BootNotification frame {boot}");
    }
    // The car is still plugged in; what has charged is done, what has not is ready.
    let path = names::SESSION.connector(ConnectorId(1));
    let is =
        |state: &SessionConnectorState| matches!(state.status, ConnectorStatus::Finishing | ConnectorStatus::Preparing);
    let shown = scene.bench.wait_for(names::SESSION, &path, LIMIT, is).await?;
    println!("{kind}: {} after the restart", shown.status);
    scene.status(2, ConnectorStatus::Available).await?;
    scene.unplug(1).await?;
    // And the next one charges.
    scene.charge(1, 60_000).await?;
    ensure!(scene.bench.reboots() == 1, "one order, {} restarts", scene.bench.reboots());
    let violations = plant::plant(scene.bench.bus()).await?.violations().await?;
    ensure!(violations.is_empty(), "violations: {violations:?}");
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn tc_015_hard_reset_with_a_charge() -> Result<()> {
    with_a_charge("Hard", "HardReset").await
}

#[tokio::test]
async fn tc_016_soft_reset_with_a_charge() -> Result<()> {
    with_a_charge("Soft", "SoftReset").await
}

/// The CSMS orders a connector in or out of service.
async fn order(scene: &Scene, connector: u32, availability: &str) -> Result<()> {
    let order = json!({ "connectorId": connector, "type": availability });
    let answer = scene.csms()?.call(IDENTITY, "ChangeAvailability", order).await?;
    ensure!(answer.status() == Some("Accepted"), "{answer:?}");
    Ok(())
}

async fn without_a_charge(kind: &str) -> Result<()> {
    let scene = Scene::start().await?;
    order(&scene, 1, "Inoperative").await?;
    scene.status(1, ConnectorStatus::Unavailable).await?;
    let mark = scene.csms()?.mark();
    reset(&scene, kind).await?;
    back(&scene, mark).await?;
    let boot = frame_of(&scene, mark, "BootNotification")?;
    told_status(&scene, boot, 1, "Unavailable").await?;
    told_status(&scene, boot, 2, "Available").await?;
    let wrong = scene.csms()?.frames_since(boot).into_iter().find(|frame| tells(frame, 1, "Available"));
    ensure!(wrong.is_none(), "case 39: {wrong:?}");
    order(&scene, 1, "Operative").await?;
    told_status(&scene, boot, 1, "Available").await?;
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn tc_013_hard_reset_without_a_charge() -> Result<()> {
    without_a_charge("Hard").await
}

#[tokio::test]
async fn tc_014_soft_reset_without_a_charge() -> Result<()> {
    without_a_charge("Soft").await
}

#[tokio::test]
async fn case_c_s10_a_machine_that_refuses_is_reported_and_charges_go_on() -> Result<()> {
    let scene = Scene::start_with(|options| options.with("ResetRetries", "0")).await?;
    scene.bench.machine().refuse(true);
    scene.plug(1, 60_000).await?;
    let maintenance = MaintenanceProxy::new(scene.bench.bus()).await?;
    maintenance.reset(true).await?;
    let shows = |state: &FaultsState| {
        state.active.iter().any(|fault| fault.code == "0xB00002" && fault.error_code == "ResetFailure")
    };
    scene.bench.wait_for(names::FAULTS, names::FAULTS.root, LIMIT, shows).await?;
    ensure!(scene.bench.reboots() == 0);
    scene.badge().await?;
    scene.flows(1).await?;
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn case_23_maintenance_killed_in_the_middle_restarts_the_station_once() -> Result<()> {
    let scene = Scene::start().await?;
    let before = scene.hardware(1).await?.meter_milliwatt_hours().await?;
    scene.charge(1, 60_000).await?;
    scene.sampled(0, 1).await?;
    let mark = scene.csms()?.mark();
    // The stop is not confirmed, so the restart waits while maintenance dies.
    scene.csms()?.stall(true);
    MaintenanceProxy::new(scene.bench.bus()).await?.reset(false).await?;
    scene.bench.kill("maintenance").await?;
    let goes_on = |state: &MaintenanceState| state.pending_reset == "soft";
    scene.bench.wait_for(names::MAINTENANCE, names::MAINTENANCE.root, LIMIT, goes_on).await?;
    scene.status(1, ConnectorStatus::Finishing).await?;
    ensure!(scene.bench.reboots() == 0);
    scene.csms()?.stall(false);
    back(&scene, mark).await?;
    let transaction = scene.settle(before, 1).await?;
    ensure!(transaction.reason.as_deref() == Some("SoftReset"), "{transaction:?}");
    ensure!(scene.bench.reboots() == 1);
    scene.bench.stop().await;
    Ok(())
}
