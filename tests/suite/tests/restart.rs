//! Each of the nine services is killed with SIGKILL while current flows, and nobody notices: one start and one stop
//! with the right number, the meter's energy, no sample lost or doubled, and no interruption of the current.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use anyhow::{Result, ensure};
use busbar_interfaces::words::ConnectorStatus;
use busbar_suite::scene::{Scene, slots};

async fn killed_while_current_flows(role: &str) -> Result<()> {
    let scene = Scene::start().await?;
    let hardware = scene.hardware(1).await?;
    hardware.set_meter_register(987_654_300).await?;
    let before = hardware.meter_milliwatt_hours().await?;
    scene.charge(1, 80_000).await?;
    scene.sampled(0, 2).await?;

    scene.bench.kill(role).await?;

    let samples = scene.csms()?.transactions()[0].meter_values.len();
    scene.sampled(0, samples + 2).await?;
    scene.flows(1).await?;
    ensure!(hardware.current_interruptions().await? == 0, "the current was interrupted");
    ensure!(hardware.charge_count().await? == 1, "the car had to begin again");
    scene.badge().await?;
    scene.status(1, ConnectorStatus::Finishing).await?;
    let transaction = scene.settle(before, 1).await?;
    ensure!(transaction.reason.as_deref().is_none_or(|reason| reason == "Local"), "{transaction:?}");
    ensure!(transaction.meter_stop > Some(transaction.meter_start));
    let slots = slots(&transaction)?;
    ensure!(slots == (1..=slots.len() as i64).collect::<Vec<_>>(), "samples lost or doubled: {slots:?}");
    let boots = scene.csms()?.frames().iter().filter(|frame| frame.is_request("BootNotification")).count();
    ensure!(boots == 1, "the CSMS was told of a reboot");
    let silence = hardware.longest_station_silence_millis().await?;
    println!("{role}: {} samples, longest station silence {silence} ms", slots.len());
    scene.bench.stop().await;
    Ok(())
}

macro_rules! killed {
    ($($name:ident: $role:literal,)+) => {
        $(#[tokio::test]
        async fn $name() -> Result<()> {
            killed_while_current_flows($role).await
        })+
    };
}

killed! {
    nobody_notices_that_settings_was_killed: "settings",
    nobody_notices_that_power_was_killed: "power",
    nobody_notices_that_metering_was_killed: "metering",
    nobody_notices_that_faults_was_killed: "faults",
    nobody_notices_that_smart_charging_was_killed: "smart-charging",
    nobody_notices_that_session_was_killed: "session",
    nobody_notices_that_ocpp_was_killed: "ocpp",
    nobody_notices_that_maintenance_was_killed: "maintenance",
    nobody_notices_that_hmi_was_killed: "hmi",
}
