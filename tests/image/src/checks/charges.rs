//! What a charge lives through: the death, the restart, the hang and the upgrade of each service. And the one thing that
//! it does not, a stop of `power`.

use crate::charge::Charge;
use crate::processes;
use crate::station::{Station, until};
use crate::systemd::unit;
use anyhow::{Context, Result, ensure};
use busbar_interfaces::names;
use busbar_interfaces::words::ConnectorStatus;
use nix::sys::signal::Signal;
use std::fmt::Write;
use std::process::Output;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::Instant;

/// A stop of `power` opens the contactor within its time to stop.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// One charge, with nothing in its way.
///
/// # Errors
/// What is not right.
pub async fn whole_charge(station: &Station) -> Result<String> {
    let charge = Charge::begin(station).await?;
    charge.end(station).await
}

/// SIGKILL for one after the other.
///
/// # Errors
/// What is not right.
pub async fn every_unit_is_killed(station: &Station) -> Result<String> {
    one_after_the_other(station, async |role| signal(station, role, Signal::SIGKILL).await).await
}

/// A restart, as `systemctl restart` asks for it, of one after the other.
///
/// # Errors
/// What is not right.
pub async fn every_unit_is_restarted(station: &Station) -> Result<String> {
    one_after_the_other(station, async |role| {
        station.systemd.manager().restart_unit(&unit(role), "replace").await?;
        Ok(())
    })
    .await
}

/// SIGSTOP: the watchdog finds it.
///
/// # Errors
/// What is not right.
pub async fn every_unit_hangs(station: &Station) -> Result<String> {
    one_after_the_other(station, async |role| signal(station, role, Signal::SIGSTOP).await).await
}

/// apt puts a newer build of one package after the other in.
///
/// # Errors
/// What is not right.
pub async fn every_package_is_upgraded(station: &Station) -> Result<String> {
    apt(&["update"]).await?;
    let figures = one_after_the_other(station, async |role| {
        apt(&["install", "-y", &format!("busbar-{role}")]).await?;
        Ok(())
    });
    let figures = figures.await?;
    for service in names::ALL {
        let process = station.systemd.process(service.role).await?.context("no process")?;
        let program = format!("/usr/libexec/busbar/busbar-{}", service.role);
        ensure!(processes::runs_what_is_installed(process, &program)?, "{} runs a former program", service.role);
    }
    Ok(figures)
}

async fn signal(station: &Station, role: &str, signal: Signal) -> Result<()> {
    Ok(station.systemd.manager().kill_unit(&unit(role), "main", signal as i32).await?)
}

/// Does something to each service in the middle of one charge, and looks each time whether it goes on.
async fn one_after_the_other(station: &Station, act: impl AsyncFn(&'static str) -> Result<()>) -> Result<String> {
    let charge = Charge::begin(station).await?;
    let mut back = String::new();
    for service in names::ALL {
        let role = service.role;
        let before = station.systemd.process(role).await?;
        let began = Instant::now();
        act(role).await.context(role)?;
        station.systemd.ready_after(role, before).await?;
        let seconds = began.elapsed().as_secs_f64();
        charge.goes_on(station).await.with_context(|| format!("after {role}, which was back in {seconds:.1} s"))?;
        write!(back, "{role} {seconds:.1} ")?;
    }
    let figures = charge.end(station).await?;
    Ok(format!("back in seconds: {back}; {figures}"))
}

async fn apt(arguments: &[&str]) -> Result<Output> {
    let mut apt = Command::new("apt-get");
    apt.arg("-q").args(arguments).env("DEBIAN_FRONTEND", "noninteractive").kill_on_drop(true);
    let output = apt.output().await?;
    let said = || [&output.stdout[..], &output.stderr[..]].concat();
    ensure!(output.status.success(), "apt-get {arguments:?}: {}", String::from_utf8_lossy(&said()));
    Ok(output)
}

/// A planned stop ends the charge safely; started again, the next one goes.
///
/// # Errors
/// What is not right.
pub async fn power_is_stopped(station: &Station) -> Result<String> {
    let charge = Charge::begin(station).await?;
    let hardware = station.hardware(1).await?;
    let began = Instant::now();
    station.systemd.manager().stop_unit("busbar-power.service", "replace").await?;
    until(STOP_LIMIT, "the contactor is open", async || Ok(!hardware.output_contactor_closed().await?)).await?;
    let open = began.elapsed().as_secs_f64();
    station.systemd.is_stopped("power", STOP_LIMIT).await?;
    station.systemd.manager().start_unit("busbar-power.service", "replace").await?;
    station.systemd.ready_after("power", None).await?;
    let reason = async {
        until(crate::station::LIMIT, "the CSMS has the stop", async || {
            Ok(charge.booked(station).is_some_and(|transaction| transaction.stop_count > 0))
        })
        .await?;
        anyhow::Ok(charge.booked(station).and_then(|transaction| transaction.reason).unwrap_or_default())
    };
    let reason = reason.await?;
    let figures = charge.settle(station, &reason).await?;
    station.status(1, &[ConnectorStatus::Available]).await?;
    let next = whole_charge(station).await.context("the next charge")?;
    Ok(format!("open after {open:.1} s, reason {reason}; {figures}; the next one: {next}"))
}
