//! Two CCS cars at one station: the modules move to where they are needed, the station's rating is kept whenever it is
//! looked at, and the meters count what flowed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use anyhow::{Result, ensure};
use busbar_ctl::plant;
use busbar_suite::scene::Scene;

/// What flows out of both connectors, in watts.
async fn total_watts(scene: &Scene) -> Result<f64> {
    let mut total = 0.0;
    for connector in 1..=2 {
        let hardware = scene.hardware(connector).await?;
        let (volts, amperes) = (hardware.output_millivolts().await?, hardware.output_milliamperes().await?);
        total += f64::from(volts) * f64::from(amperes) / 1e6;
    }
    Ok(total)
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
    scene.badge_of("08112233445566").await?;
    scene.flows(2).await?;
    let mut most: f64 = 0.0;
    for _ in 0..40 {
        most = most.max(total_watts(&scene).await?);
        tokio::task::yield_now().await;
    }
    ensure!(most <= 181_500.0, "{most} W are more than the station may give");
    // What one car does not take goes to the other.
    one.pause_demand().await?;
    amperes_reach(&scene, 2, 150_000).await?;
    one.resume_demand().await?;
    scene.flows(1).await?;
    one.stop_by_vehicle().await?;
    two.stop_by_vehicle().await?;
    scene.until("nothing flows", async || Ok(total_watts(&scene).await? < 1.0)).await?;
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
