//! The way from the start to a station that its operator knows.

use crate::station::Station;
use anyhow::{Result, ensure};
use busbar_interfaces::words::ConnectorStatus;
use busbar_runtime::Clock;
use tokio::time::Instant;

/// Every service is ready, the operator was told so over TLS with the password, and both connectors are free.
///
/// # Errors
/// What is missing.
pub async fn starts(station: &Station) -> Result<String> {
    let began = Instant::now();
    station.told(0, |frame| frame.is_request("BootNotification")).await?;
    let boot = Clock::system().now().boottime;
    let told = began.elapsed().as_secs_f64();
    station.is_up().await?;
    for connector in 1..=2 {
        station.status(connector, &[ConnectorStatus::Available]).await?;
    }
    let links = station.csms.links();
    let last = links.last();
    ensure!(last.is_some_and(|link| format!("{link:?}").contains("TLS")), "no TLS: {last:?}");
    Ok(format!("BootNotification {told:.1} s after this program was ready for it, {boot:?} after the kernel's start"))
}
