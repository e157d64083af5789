//! What the suite costs: memory, processor, disk. Printed, and not judged.

use crate::processes::{disk_kib, pss_kib};
use crate::station::Station;
use anyhow::{Context, Result};
use busbar_interfaces::names;
use std::path::Path;

/// A line for each service, and the sums.
///
/// # Errors
/// When something cannot be measured.
pub async fn of_every_service(station: &Station) -> Result<String> {
    let (mut memory, mut processor) = (0u64, 0u64);
    println!(
        "        {:<16} {:>9} {:>10} {:>12} {:>9}",
        "service", "PSS KiB", "cgroup KiB", "processor ms", "restarts"
    );
    for service in names::ALL {
        let role = service.role;
        let pss = pss_kib(station.systemd.process(role).await?.context("no process")?)?;
        let (group, nanos) = station.systemd.usage(role).await?;
        let (group, millis, restarts) = (group / 1024, nanos / 1_000_000, station.systemd.restarts(role).await?);
        println!("        {role:<16} {pss:>9} {group:>10} {millis:>12} {restarts:>9}");
        memory = memory.saturating_add(pss);
        processor = processor.saturating_add(millis);
    }
    let programs = disk_kib(Path::new("/usr/libexec/busbar"))?;
    let state = disk_kib(Path::new("/var/lib/busbar"))?;
    Ok(format!("PSS {memory} KiB, processor {processor} ms, programs {programs} KiB and state {state} KiB on disk"))
}
