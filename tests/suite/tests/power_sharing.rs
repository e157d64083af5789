//! Two CCS cars at one station: the modules move to where they are needed, the station's rating and its limits are kept
//! at every moment, and the meters count what flowed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, reason = "tests")]

use anyhow::{Result, ensure};
use busbar_bench::Options;
use busbar_ctl::plant;
use busbar_interfaces::metering::MeterState;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::{ConnectorId, names};
use busbar_runtime::object::fetch;
use busbar_suite::scene::{OTHER, Scene};
use std::ops::RangeInclusive;

/// What the plant may see above a limit: the error of regulation (hardware notes §9.2 allow 5 % of the current).
const REGULATION: f64 = 1.01;

/// What flows out of a connector, in watts.
async fn watts(scene: &Scene, connector: u32) -> Result<f64> {
    let hardware = scene.hardware(connector).await?;
    let (volts, amperes) = (hardware.output_millivolts().await?, hardware.output_milliamperes().await?);
    Ok(f64::from(volts) * f64::from(amperes) / 1e6)
}

/// What flows out of both.
async fn total_watts(scene: &Scene) -> Result<f64> {
    Ok(watts(scene, 1).await? + watts(scene, 2).await?)
}

/// The station has given no more than so much at any moment, as the plant saw it.
async fn gave_at_most(scene: &Scene, watts: u32) -> Result<()> {
    let most = plant::plant(scene.bench.bus()).await?.most_watts().await?;
    println!("at most {most} W of {watts} W");
    ensure!(f64::from(most) <= f64::from(watts) * REGULATION, "{most} W are more than {watts} W");
    Ok(())
}

async fn amperes_reach(scene: &Scene, connector: u32, least: u32) -> Result<()> {
    let hardware = scene.hardware(connector).await?;
    let what = format!("connector {connector} gives {least} mA");
    scene.until(&what, async || Ok(hardware.output_milliamperes().await? >= least)).await
}

#[tokio::test]
async fn two_ccs_cars_share_the_station_and_the_meters_count_what_flowed() -> Result<()> {
    let scene = Scene::start().await?;
    let (one, two) = (scene.hardware(1).await?, scene.hardware(2).await?);
    scene.charge(1, 150_000).await?;
    // Alone it gets what it wants: five modules' worth and more.
    amperes_reach(&scene, 1, 330_000).await?;
    scene.plug(2, 120_000).await?;
    scene.badge_of(OTHER).await?;
    scene.flows(2).await?;
    // What one car does not take goes to the other.
    one.pause_demand().await?;
    amperes_reach(&scene, 2, 150_000).await?;
    one.resume_demand().await?;
    scene.flows(1).await?;
    one.stop_by_vehicle().await?;
    two.stop_by_vehicle().await?;
    scene.until("nothing flows", async || Ok(total_watts(&scene).await? < 1.0)).await?;
    gave_at_most(&scene, 180_000).await?;
    for (connector, hardware) in [(1, &one), (2, &two)] {
        let metered = hardware.meter_milliwatt_hours().await? as f64;
        let delivered = hardware.delivered_milliwatt_hours().await? as f64;
        ensure!(delivered > 0.0, "connector {connector} gave nothing");
        let error = (metered - delivered).abs() / delivered;
        ensure!(
            error < 0.002 || (metered - delivered).abs() < 100.0,
            "connector {connector}: {metered} mWh metered, {delivered} mWh delivered"
        );
    }
    let violations = plant::plant(scene.bench.bus()).await?.violations().await?;
    ensure!(violations.is_empty(), "{violations:?}");
    scene.bench.stop().await;
    Ok(())
}

/// Limits of the station and of connector A, in kilowatts, as an engineer sets them.
const STATION: u32 = 90;
const CONNECTOR_A: u32 = 60;

fn limited(options: Options) -> Options {
    let folder = options.state.join("etc/busbar/station.d");
    std::fs::create_dir_all(&folder).unwrap();
    let limits =
        format!("[station]\ncharge_limited_kilowatts = {STATION}\nconnector_a_limited_kilowatts = {CONNECTOR_A}\n");
    std::fs::write(folder.join("limits.toml"), limits).unwrap();
    options
}

/// What a car wishes next.
#[derive(Debug, Clone, Copy)]
enum Wish {
    Nothing,
    Watts(i64),
    /// What it came with, far more than it can get.
    All,
}

async fn wishes(scene: &Scene, connector: u32, wish: Wish) -> Result<()> {
    let (plant, hardware) = (plant::plant(scene.bench.bus()).await?, scene.hardware(connector).await?);
    let power = format!("car-{connector}-maximum-power");
    match wish {
        Wish::Nothing => hardware.pause_demand().await?,
        Wish::Watts(watts) => plant.set_fault_value(&power, watts).await?,
        Wish::All => {
            plant.set_fault(&power, false).await?;
            hardware.resume_demand().await?;
        }
    }
    Ok(())
}

/// Waits until both give what they are to, in kilowatts.
async fn shares(scene: &Scene, case: &str, expected: [RangeInclusive<u32>; 2]) -> Result<()> {
    let is = async || {
        let kilowatts = [watts(scene, 1).await? / 1000.0, watts(scene, 2).await? / 1000.0];
        let within =
            |(range, is): (&RangeInclusive<u32>, f64)| f64::from(*range.start()) <= is && is <= f64::from(*range.end());
        Ok(expected.iter().zip(kilowatts).all(within))
    };
    let arrived = scene.until(&format!("{case}: {expected:?} kW"), is).await;
    if arrived.is_err() {
        for connector in 1..=2 {
            let path = names::POWER.connector(ConnectorId(connector));
            let power: PowerConnectorState = fetch(scene.bench.bus(), names::POWER, &path).await?;
            println!("{case}: connector {connector} gives {} W: {power:?}", watts(scene, connector).await?);
        }
    }
    arrived
}

/// The register as the station reads it, in milliwatt-hours.
async fn register(scene: &Scene, connector: u32) -> Result<u64> {
    let path = names::METERING.connector(ConnectorId(connector));
    let meter: MeterState = fetch(scene.bench.bus(), names::METERING, &path).await?;
    Ok(meter.reading.energy_milliwatt_hours.0)
}

#[tokio::test]
async fn a_limited_station_is_shared_as_wishes_change_and_its_limit_is_kept_at_every_moment() -> Result<()> {
    let scene = Scene::start_with(limited).await?;
    let before = [register(&scene, 1).await?, register(&scene, 2).await?];
    scene.charge(1, 150_000).await?;
    shares(&scene, "alone, up to the limit of its connector", [57..=61, 0..=0]).await?;
    gave_at_most(&scene, CONNECTOR_A * 1000).await?;
    scene.plug(2, 120_000).await?;
    scene.badge_of(OTHER).await?;
    for (case, changed, expected) in [
        ("half for each", None, [42..=46, 42..=46]),
        ("A pauses", Some((1, Wish::Nothing)), [0..=1, 85..=91]),
        ("A goes on", Some((1, Wish::All)), [42..=46, 42..=46]),
        ("B wants little", Some((2, Wish::Watts(20_000))), [57..=61, 18..=21]),
        ("B wants more", Some((2, Wish::Watts(40_000))), [42..=51, 37..=41]),
        ("B wants all", Some((2, Wish::All)), [42..=46, 42..=46]),
        ("A wants little", Some((1, Wish::Watts(25_000))), [22..=26, 58..=66]),
        ("B pauses", Some((2, Wish::Nothing)), [22..=26, 0..=1]),
        ("A wants all", Some((1, Wish::All)), [57..=61, 0..=1]),
        ("B goes on", Some((2, Wish::All)), [42..=46, 42..=46]),
    ] {
        if let Some((connector, wish)) = changed {
            wishes(&scene, connector, wish).await?;
        }
        shares(&scene, case, expected).await?;
    }
    let hardware = [scene.hardware(1).await?, scene.hardware(2).await?];
    // The registers count tenths of a watt-hour: of this much, a tenth is less than 0.2 %.
    scene
        .until("both have got enough to be compared", async || {
            let [one, two] = &hardware;
            Ok(one.delivered_milliwatt_hours().await?.min(two.delivered_milliwatt_hours().await?) >= 120_000)
        })
        .await?;
    for each in &hardware {
        each.stop_by_vehicle().await?;
    }
    scene.until("nothing flows", async || Ok(total_watts(&scene).await? < 1.0)).await?;
    gave_at_most(&scene, STATION * 1000).await?;
    for ((connector, before), hardware) in (1..).zip(before).zip(&hardware) {
        let delivered = hardware.delivered_milliwatt_hours().await? as f64;
        let agrees = async || {
            let metered = (register(&scene, connector).await? - before) as f64;
            Ok((metered - delivered).abs() <= delivered * 0.002)
        };
        scene.until(&format!("the meter of connector {connector} shows {delivered} mWh"), agrees).await?;
    }
    for transaction in 0..2 {
        scene.booked(transaction, |transaction| transaction.stop_count > 0).await?;
    }
    scene.adds_up(2).await?;
    let violations = plant::plant(scene.bench.bus()).await?.violations().await?;
    ensure!(violations.is_empty(), "{violations:?}");
    scene.bench.stop().await;
    Ok(())
}
