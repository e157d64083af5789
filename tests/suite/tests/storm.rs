//! Services are killed again and again at any instant while a driver plugs in, shows badges and goes. Whatever happens,
//! the books close: every transaction has one start and one stop, no watt-hour is lost or counted twice, and the
//! station can charge again.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use anyhow::{Context, Result, ensure};
use busbar_interfaces::names;
use busbar_interfaces::words::ConnectorStatus;
use busbar_suite::scene::Scene;
use nix::sys::signal::Signal;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const STORM: Duration = Duration::from_secs(10);

async fn survives(seed: u64) -> Result<()> {
    println!("seed {seed}");
    let scene = Scene::start().await?;
    let hardware = scene.hardware(1).await?;
    hardware.set_meter_register(7_000_000).await?;
    let before = hardware.meter_milliwatt_hours().await?;
    scene.plug(1, 90_000).await?;
    let until = Instant::now() + STORM;

    let killer = async {
        let mut random = fastrand::Rng::with_seed(seed);
        while Instant::now() < until {
            sleep(Duration::from_millis(random.u64(20..500))).await;
            let victim = names::ALL[random.usize(..names::ALL.len())].role;
            // One that is just being started again has no process to kill.
            let _ = scene.bench.service(victim)?.signal(Signal::SIGKILL);
        }
        anyhow::Ok(())
    };
    let driver = async {
        let mut random = fastrand::Rng::with_seed(seed ^ 0xD1);
        let badges = ["04A1B2C3D4E5F6", "04A1B2C3D4E5F7", "04A1B2C3D4E5F8"];
        while Instant::now() < until {
            scene.badge_of(badges[random.usize(..badges.len())]).await?;
            sleep(Duration::from_millis(random.u64(100..1500))).await;
            if random.u8(..6) == 0 {
                hardware.unplug().await?;
                sleep(Duration::from_millis(random.u64(50..400))).await;
                hardware.plug(Default::default()).await?;
            }
        }
        anyhow::Ok(())
    };
    let (killed, drove) = futures_util::future::join(killer, driver).await;
    killed?;
    drove?;

    // The weather clears: everybody is back, the driver goes, the books close.
    for service in names::ALL {
        scene.bench.service(service.role)?.wait(Duration::from_secs(20), |known| known.ready).await?;
    }
    hardware.unplug().await?;
    scene.status(1, ConnectorStatus::Available).await.with_context(|| format!("seed {seed}"))?;
    scene.delivered().await?;
    let after = hardware.meter_milliwatt_hours().await?;
    let books = scene.books()?;
    ensure!(books.strays.is_empty(), "seed {seed}: {:?}", books.strays);
    let mut register = i64::try_from(before / 1000)?;
    for transaction in &books.transactions {
        let stop = transaction.meter_stop.with_context(|| format!("seed {seed}: never stopped: {transaction:?}"))?;
        ensure!(transaction.meter_start == register, "seed {seed}: energy between two transactions: {transaction:?}");
        ensure!(stop >= transaction.meter_start, "seed {seed}: {transaction:?}");
        register = stop;
    }
    ensure!(
        register == i64::try_from(after / 1000)?,
        "seed {seed}: {register} Wh in the books, {after} mWh in the meter"
    );
    println!("seed {seed}: {} transactions, {} mWh", books.transactions.len(), after - before);

    scene.plug(1, 30_000).await?;
    scene.badge_of("08AABBCCDDEEFF").await?;
    scene.flows(1).await.with_context(|| format!("seed {seed}: the station cannot charge any more"))?;
    scene.bench.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_storm_of_deaths_1() -> Result<()> {
    survives(1).await
}

#[tokio::test]
async fn a_storm_of_deaths_2() -> Result<()> {
    survives(2).await
}

#[tokio::test]
async fn a_storm_of_deaths_3() -> Result<()> {
    survives(3).await
}
