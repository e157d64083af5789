//! The order of everything: three boots, the checks of each, and one verdict at the end.

use crate::checks;
use crate::record::Record;
use crate::station::Station;
use anyhow::Result;
use tokio::time::Instant;

/// Prints a check's result, and goes on after one that failed as if it had not been.
struct Runner<'a> {
    station: &'a Station,
    only: Option<&'a str>,
    record: Record,
}

impl Runner<'_> {
    async fn check(&mut self, name: &str, check: impl AsyncFnOnce(&Station) -> Result<String>) -> Result<()> {
        if self.only.is_some_and(|word| !name.contains(word)) {
            return Ok(());
        }
        let began = Instant::now();
        let outcome = check(self.station).await;
        let seconds = began.elapsed().as_secs_f64();
        match outcome {
            Ok(figures) => {
                self.record.passed = self.record.passed.saturating_add(1);
                println!("passed  {name} ({seconds:.1} s): {figures}");
            }
            Err(fault) => {
                self.record.failed.push(name.to_owned());
                println!("FAILED  {name} ({seconds:.1} s): {fault:#}");
                journal().await;
                self.station.comes_to_rest().await?;
            }
        }
        Ok(())
    }

    fn verdict(&self) -> bool {
        let failed = &self.record.failed;
        println!("{} checks passed, {} failed {failed:?}", self.record.passed, failed.len());
        failed.is_empty()
    }
}

/// The first boot, which ends with a restart of the machine in a charge.
///
/// # Errors
/// When the station does not even start, or never comes to rest again.
pub async fn first_boot(only: Option<&str>) -> Result<bool> {
    let station = Station::start().await?;
    let mut runner = Runner { station: &station, only, record: Record::default() };
    runner.check("start", checks::boot::starts).await?;
    runner.check("charge", checks::charges::whole_charge).await?;
    runner.check("policy", checks::policy::everybody_may_what_the_table_says).await?;
    runner.check("kill", checks::charges::every_unit_is_killed).await?;
    runner.check("restart", checks::charges::every_unit_is_restarted).await?;
    runner.check("hang", checks::charges::every_unit_hangs).await?;
    runner.check("upgrade", checks::charges::every_package_is_upgraded).await?;
    runner.check("stop-power", checks::charges::power_is_stopped).await?;
    runner.check("figures", checks::figures::of_every_service).await?;
    if only.is_some() {
        return Ok(runner.verdict());
    }
    goes_down(&station, &mut runner, "reboot").await?;
    Ok(runner.verdict())
}

/// After a restart in a charge; ends with a power cut in a charge.
///
/// # Errors
/// When the station does not even start.
pub async fn after_reboot() -> Result<bool> {
    let record = Record::read()?;
    let station = Station::start().await?;
    let mut runner = Runner { station: &station, only: None, record };
    runner.check("boot", checks::boot::starts).await?;
    runner.check("reboot", checks::machine::ends_what_ran(runner.record.running.clone(), "Reboot")).await?;
    goes_down(&station, &mut runner, "power-cut").await?;
    Ok(runner.verdict())
}

/// After a power cut in a charge.
///
/// # Errors
/// When the station does not even start.
pub async fn after_power_cut() -> Result<bool> {
    let record = Record::read()?;
    let station = Station::start().await?;
    let mut runner = Runner { station: &station, only: None, record };
    runner.check("power-cut", checks::machine::ends_what_ran(runner.record.running.clone(), "PowerLoss")).await?;
    runner.check("charge-again", checks::charges::whole_charge).await?;
    Ok(runner.verdict())
}

/// What the services said last, for the reader of a check that failed.
async fn journal() {
    const LAST: [&str; 10] =
        ["-b", "-q", "--no-pager", "-o", "short-monotonic", "-n", "60", "-u", "busbar-*.service", "--no-hostname"];
    let said = tokio::process::Command::new("journalctl").args(LAST).output().await;
    println!("{}", said.map_or_else(|error| error.to_string(), |said| String::from_utf8_lossy(&said.stdout).into()));
}

/// The machine goes down in a charge; returns only if it does not.
async fn goes_down(station: &Station, runner: &mut Runner<'_>, boot: &str) -> Result<()> {
    runner.record.running = Some(checks::machine::begins_what_will_run(station).await?);
    runner.record.ask_for(boot)?;
    if boot == "reboot" {
        station.systemd.manager().reboot().await?;
    }
    std::future::pending::<Result<()>>().await
}
