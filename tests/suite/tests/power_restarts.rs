//! The restart matrix of power: a planned restart and SIGKILL in every phase of a charge. After a planned restart the
//! charge goes on; after SIGKILL it goes on or is stopped safely, and the books are right either way. The plant raises no
//! alarm. The gaps in our frames are printed, not judged here: they are the machine's as much as ours.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use anyhow::{Result, ensure};
use busbar_bench::Options;
use busbar_ctl::plant::PlantConnectorProxy;
use busbar_interfaces::names;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::words::{ConnectorStatus, Phase};
use busbar_suite::scene::{LIMIT, Scene};

#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    /// `systemctl restart`.
    Planned,
    /// Without warning.
    Killed,
}

/// When.
#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    /// The SECC board is in this status.
    Board(&'static str),
    /// The vehicle wants no current.
    Paused,
    /// The delivery is being stopped.
    Stopping,
}

async fn restarts(how: How, when: When) -> Result<()> {
    // Only a plant as slow as real hardware stays in the steps before power long enough.
    let quick = !matches!(when, When::Board(status) if status != "charging");
    let scene = Scene::start_with(|options| Options { quick, ..options }).await?;
    let hardware = scene.hardware(1).await?;
    let before = hardware.meter_milliwatt_hours().await?;
    scene.plug(1, 60_000).await?;
    scene.badge().await?;
    come_to(&scene, &hardware, when).await?;
    match how {
        How::Planned => scene.bench.restart("power").await?,
        How::Killed => scene.bench.kill("power").await?,
    }
    let goes_on = when != When::Stopping && goes_on(&scene).await?;
    if when != When::Stopping {
        ensure!(goes_on || how == How::Killed, "{how:?} {when:?}: the charge did not go on");
    }
    if goes_on {
        if when == When::Paused {
            hardware.resume_demand().await?;
        }
        scene.flows(1).await?;
        ensure!(hardware.charge_count().await? == 1, "{how:?} {when:?}: the car had to begin again");
        let (dips, gap) = (hardware.current_interruptions().await?, hardware.longest_station_silence_millis().await?);
        ensure!(dips == 0, "{how:?} {when:?}: the current broke off {dips} times");
        println!("{how:?} {when:?}: goes on, longest gap of our frames {gap} ms");
        hardware.stop_by_vehicle().await?;
    } else {
        println!("{how:?} {when:?}: stopped safely");
    }
    scene.settle(before, 1).await?;
    hardware.unplug().await?;
    scene.status(1, ConnectorStatus::Available).await?;
    scene.bench.stop().await;
    Ok(())
}

async fn come_to(scene: &Scene, hardware: &PlantConnectorProxy<'_>, when: When) -> Result<()> {
    match when {
        When::Board("charging") => scene.flows(1).await,
        When::Board(status) => {
            // Before that a badge is only refused: the station is not ready.
            let path = names::POWER.connector(busbar_interfaces::ConnectorId(1));
            let begun = |state: &PowerConnectorState| state.delivery.0 != 0;
            scene.bench.wait_for(names::POWER, &path, LIMIT, begun).await?;
            scene.until("the board comes to it", async || Ok(hardware.board_status().await? == status)).await
        }
        When::Paused => {
            scene.flows(1).await?;
            hardware.pause_demand().await?;
            scene.status(1, ConnectorStatus::SuspendedEv).await
        }
        When::Stopping => {
            scene.flows(1).await?;
            hardware.stop_by_vehicle().await?;
            let path = names::POWER.connector(busbar_interfaces::ConnectorId(1));
            let ends = |state: &PowerConnectorState| state.phase != Phase::Delivering;
            scene.bench.wait_for(names::POWER, &path, LIMIT, ends).await?;
            Ok(())
        }
    }
}

/// Whether the delivery comes to transfer power again, or ends.
async fn goes_on(scene: &Scene) -> Result<bool> {
    let path = names::POWER.connector(busbar_interfaces::ConnectorId(1));
    let decided = |state: &PowerConnectorState| {
        let over = state.delivery.0 == 0 && state.ended_delivery.0 != 0;
        over || (state.phase == Phase::Delivering && state.sampled_boottime_millis.0 != 0)
    };
    let state = scene.bench.wait_for(names::POWER, &path, LIMIT, decided).await?;
    Ok(state.phase == Phase::Delivering)
}

macro_rules! matrix {
    ($($name:ident: $how:expr, $when:expr;)+) => {
        $(#[tokio::test]
        async fn $name() -> Result<()> {
            restarts($how, $when).await
        })+
    };
}

matrix! {
    a_planned_restart_while_the_vehicle_negotiates: How::Planned, When::Board("negotiating");
    a_planned_restart_in_the_cable_check: How::Planned, When::Board("insulation-test");
    a_planned_restart_in_the_precharge: How::Planned, When::Board("precharge");
    a_planned_restart_while_current_flows: How::Planned, When::Board("charging");
    a_planned_restart_while_the_vehicle_pauses: How::Planned, When::Paused;
    a_planned_restart_while_the_delivery_ends: How::Planned, When::Stopping;
    killed_while_the_vehicle_negotiates: How::Killed, When::Board("negotiating");
    killed_in_the_cable_check: How::Killed, When::Board("insulation-test");
    killed_in_the_precharge: How::Killed, When::Board("precharge");
    killed_while_current_flows: How::Killed, When::Board("charging");
    killed_while_the_vehicle_pauses: How::Killed, When::Paused;
    killed_while_the_delivery_ends: How::Killed, When::Stopping;
}
