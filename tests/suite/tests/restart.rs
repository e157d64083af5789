//! Each of the nine services is killed with SIGKILL, and each is replaced by another build of it, while current flows,
//! and nobody notices: one start and one stop with the right number, the meter's energy, no sample lost or doubled, and
//! no interruption of the current. Leases go on being renewed by who comes after.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use anyhow::{Result, ensure};
use busbar_bench::Options;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::words::{ConnectorStatus, OfferedBy, Phase};
use busbar_interfaces::{ConnectorId, Watts, names};
use busbar_runtime::object::fetch;
use busbar_suite::scene::{Scene, slots};
use std::path::PathBuf;

#[derive(Debug, Clone, Copy)]
enum How {
    /// SIGKILL; the same program comes back.
    Killed,
    /// Another program takes its place.
    Upgraded,
}

/// The program that a service runs.
fn program(scene: &Scene, role: &str) -> Result<PathBuf> {
    Ok(std::fs::read_link(format!("/proc/{}/exe", scene.bench.processes()[role]))?)
}

/// Puts another build in the place of a service: here the same one at another place, and it is that which runs.
async fn upgrade(scene: &Scene, role: &str) -> Result<()> {
    let before = program(scene, role)?;
    let other = scene.bench.state_directory().join(format!("busbar-{role}-2"));
    std::fs::copy(&before, &other)?;
    scene.bench.upgrade(role, &other).await?;
    let after = program(scene, role)?;
    ensure!(after == other.canonicalize()?, "{} runs", after.display());
    Ok(())
}

async fn nobody_notices(how: How, role: &str) -> Result<()> {
    let scene = Scene::start().await?;
    let hardware = scene.hardware(1).await?;
    hardware.set_meter_register(987_654_300).await?;
    let before = hardware.meter_milliwatt_hours().await?;
    scene.charge(1, 80_000).await?;
    scene.sampled(0, 2).await?;

    match how {
        How::Killed => scene.bench.kill(role).await?,
        How::Upgraded => upgrade(&scene, role).await?,
    }

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
    println!("{how:?} {role}: {} samples, longest station silence {silence} ms", slots.len());
    scene.bench.stop().await;
    Ok(())
}

/// The limit that the site gives, lower than what the station file falls back to.
const SITE: Watts = Watts(50_000);

/// A lease of five seconds is the shortest there is.
fn short_leases(options: Options) -> Options {
    let station_file = format!(
        "\n[session]\ndelivery_lease_seconds = 5\n[smart-charging]\nlease_seconds = 5\nsite_limit_watts = {}\n",
        SITE.0
    );
    Options { station_file, ..options }
}

#[tokio::test]
async fn leases_outlive_the_restarts_of_those_who_renew_them() -> Result<()> {
    let scene = Scene::start_with(short_leases).await?;
    let hardware = scene.hardware(1).await?;
    let before = hardware.meter_milliwatt_hours().await?;
    scene.charge(1, 80_000).await?;
    scene.bench.restart("session").await?;
    scene.bench.restart("smart-charging").await?;
    // Samples come every second: the leases that their predecessors left have ended when the last one is there.
    let first = scene.csms()?.transactions()[0].meter_values.len();
    for sample in 1..=7 {
        scene.sampled(0, first + sample).await?;
        let path = names::POWER.connector(ConnectorId(1));
        let power: PowerConnectorState = fetch(scene.bench.bus(), names::POWER, &path).await?;
        ensure!(power.phase == Phase::Delivering && power.limit_watts == SITE, "sample {sample}: {power:?}");
        ensure!(power.offered_by == OfferedBy::HeldLimit, "sample {sample}: {power:?}");
    }
    ensure!(hardware.current_interruptions().await? == 0, "the current was interrupted");
    ensure!(hardware.charge_count().await? == 1, "the car had to begin again");
    hardware.stop_by_vehicle().await?;
    scene.settle(before, 1).await?;
    scene.bench.stop().await;
    Ok(())
}

macro_rules! nobody_notices {
    ($($name:ident: $how:expr, $role:literal;)+) => {
        $(#[tokio::test]
        async fn $name() -> Result<()> {
            nobody_notices($how, $role).await
        })+
    };
}

nobody_notices! {
    nobody_notices_that_settings_was_killed: How::Killed, "settings";
    nobody_notices_that_power_was_killed: How::Killed, "power";
    nobody_notices_that_metering_was_killed: How::Killed, "metering";
    nobody_notices_that_faults_was_killed: How::Killed, "faults";
    nobody_notices_that_smart_charging_was_killed: How::Killed, "smart-charging";
    nobody_notices_that_session_was_killed: How::Killed, "session";
    nobody_notices_that_ocpp_was_killed: How::Killed, "ocpp";
    nobody_notices_that_maintenance_was_killed: How::Killed, "maintenance";
    nobody_notices_that_hmi_was_killed: How::Killed, "hmi";
    nobody_notices_that_settings_was_upgraded: How::Upgraded, "settings";
    nobody_notices_that_power_was_upgraded: How::Upgraded, "power";
    nobody_notices_that_metering_was_upgraded: How::Upgraded, "metering";
    nobody_notices_that_faults_was_upgraded: How::Upgraded, "faults";
    nobody_notices_that_smart_charging_was_upgraded: How::Upgraded, "smart-charging";
    nobody_notices_that_session_was_upgraded: How::Upgraded, "session";
    nobody_notices_that_ocpp_was_upgraded: How::Upgraded, "ocpp";
    nobody_notices_that_maintenance_was_upgraded: How::Upgraded, "maintenance";
    nobody_notices_that_hmi_was_upgraded: How::Upgraded, "hmi";
}
