//! The station and a central system that is not ours: tests/strict-csms judges every word of the station by another
//! people's schemas of OCPP 1.6 and drives it through its requests. Where there is no Python for it, this is skipped.
#![allow(clippy::disallowed_methods, reason = "tests")]

use anyhow::{Context, Result, ensure};
use busbar_bench::{Bench, Options};
use busbar_ctl::plant;
use busbar_suite::python;
use busbar_suite::scene::IDENTITY;
use serde_json::Value;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// Nothing the script does takes longer than this without a word.
const LINE_LIMIT: Duration = Duration::from_secs(90);

/// Every step that has to be seen, so that none is lost unnoticed.
const STEPS: [&str; 59] = [
    "path",
    "subprotocol",
    "boot",
    "status-after-boot",
    "get-configuration-all",
    "get-configuration-some",
    "change-configuration",
    "change-configuration-unknown",
    "change-configuration-read-only",
    "change-configuration-bad-value",
    "availability-1-inoperative",
    "availability-1-operative",
    "availability-0-inoperative",
    "availability-0-operative",
    "availability-unknown-connector",
    "trigger-boot-notification",
    "trigger-heartbeat",
    "trigger-status-notification",
    "trigger-status-notification-all",
    "trigger-meter-values",
    "trigger-diagnostics-status",
    "trigger-firmware-status",
    "trigger-unknown-connector",
    "data-transfer-unknown-vendor",
    "data-transfer-unknown-message",
    "unlock",
    "unlock-unknown-connector",
    "clear-cache",
    "remote-start-connector-0",
    "remote-start-unknown-connector",
    "plug",
    "remote-start",
    "remote-start-busy",
    "meter-values",
    "trigger-meter-values-charging",
    "availability-scheduled",
    "data-transfer-cost",
    "reserve-charging",
    "unlock-charging",
    "remote-stop-unknown",
    "remote-stop",
    "unplug",
    "local-list-off",
    "local-list-on",
    "local-list-empty",
    "local-list-full",
    "local-list-differential",
    "local-list-mismatch",
    "local-list-failed",
    "reserve",
    "reserve-replaced",
    "reserve-cancelled",
    "reserve-connector-0",
    "reserve-expired",
    "reserve-refused",
    "reserve-plug",
    "reserve-start",
    "reserve-stop",
    "reserve-unplug",
];

#[tokio::test]
async fn every_word_of_the_station_passes_a_strict_csms() -> Result<()> {
    let Some(python) = python::with("strict-csms", Path::new(env!("CARGO_TARGET_TMPDIR"))).await? else {
        return Ok(());
    };
    let mut central = Central::start(&python).await?;
    let state = tempfile::tempdir()?;
    let options = Options::quick(state.path()).with("MinimumStatusDuration", "0");
    let bench = Bench::start(Options { csms: Some(central.url.clone()), ..options }).await?;
    let mut findings = Vec::new();
    while let Some(line) = central.line().await? {
        match line.get("ask").and_then(Value::as_str) {
            Some(ask) => drive(&bench, ask, line.get("connector").and_then(Value::as_u64)).await?,
            None => findings.push(line),
        }
    }
    bench.stop().await;
    ensure!(central.ended().await?.success(), "the central system failed; see its words above");

    let not_ok: Vec<String> = findings.iter().filter(|line| !is_ok(line)).map(Value::to_string).collect();
    ensure!(not_ok.is_empty(), "the strict CSMS objects {} times:\n  {}", not_ok.len(), not_ok.join("\n  "));
    let missing: Vec<&str> = STEPS.into_iter().filter(|step| !findings.iter().any(|line| is_of(line, step))).collect();
    ensure!(missing.is_empty(), "steps that were not seen: {missing:?}");
    Ok(())
}

/// The examiner is examined: a station that gets everything wrong is found out in each point.
#[tokio::test]
async fn a_strict_csms_finds_out_a_station_that_gets_everything_wrong() -> Result<()> {
    let Some(python) = python::with("strict-csms", Path::new(env!("CARGO_TARGET_TMPDIR"))).await? else {
        return Ok(());
    };
    let mut central = Central::start(&python).await?;
    let mut station = Command::new(&python);
    station.arg("-B").arg(python::folder("strict-csms").join("broken_station.py")).arg(&central.url).kill_on_drop(true);
    ensure!(timeout(LINE_LIMIT, station.status()).await??.success(), "the broken station failed");
    let mut findings = Vec::new();
    while let Some(line) = central.line().await? {
        findings.push(line);
    }
    central.ended().await?;
    for (step, words) in [
        ("wire", "a request before BootNotification"),
        ("schema", "'chargePointVendor' is a required property"),
        ("schema", "Additional properties are not allowed ('colour' was unexpected)"),
        ("schema", "5 is not of type 'string'"),
        ("schema", "Sing not supported"),
        ("wire", "not the elements of its kind"),
        ("wire", "a message id that was used before"),
        ("wire", "not a message id"),
        ("wire", "not a time: 2026-01-01 00:00"),
        ("schema", "'Occupied' is not one of"),
        ("schema", "is too long"),
        ("wire", "not JSON"),
        ("get-configuration-all", "'readonly' is a required property"),
        ("wire", "not an error code"),
        ("link", "link ended"),
    ] {
        let found = findings.iter().any(|line| is_of(line, step) && !is_ok(line) && line.to_string().contains(words));
        ensure!(found, "nobody said: {step}: {words}\n{findings:#?}");
    }
    Ok(())
}

fn is_ok(line: &Value) -> bool {
    line.get("ok") == Some(&Value::Bool(true))
}

fn is_of(line: &Value, step: &str) -> bool {
    line.get("step").and_then(Value::as_str) == Some(step)
}

/// Does what the script asks of a driver.
async fn drive(bench: &Bench, ask: &str, connector: Option<u64>) -> Result<()> {
    let connector = u32::try_from(connector.context("no connector is named")?)?;
    let hardware = plant::connector(bench.bus(), connector).await?;
    match ask {
        "plug" => hardware.plug(Default::default()).await?,
        "unplug" => hardware.unplug().await?,
        other => anyhow::bail!("nobody knows how to {other}"),
    }
    Ok(())
}

/// The strict central system as a process.
struct Central {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    url: String,
}

impl Central {
    async fn start(python: &Path) -> Result<Central> {
        let mut command = Command::new(python);
        // -B: nothing is written beside the sources.
        command.arg("-B").arg(python::folder("strict-csms").join("central.py")).args(["--identity", IDENTITY]);
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let lines = BufReader::new(process.stdout.take().context("no output")?).lines();
        let mut central = Central { process, lines, url: String::new() };
        let first = central.line().await?.context("the central system did not start")?;
        first.get("url").and_then(Value::as_str).context("no address")?.clone_into(&mut central.url);
        Ok(central)
    }

    /// The next line; nothing after the last.
    async fn line(&mut self) -> Result<Option<Value>> {
        let line = timeout(LINE_LIMIT, self.lines.next_line()).await.context("no line in time")??;
        let line: Option<Value> = line.map(|line| serde_json::from_str(&line)).transpose()?;
        Ok(line.filter(|line| !is_of(line, "end")))
    }

    async fn ended(mut self) -> Result<ExitStatus> {
        Ok(timeout(LINE_LIMIT, self.process.wait()).await.context("it did not end")??)
    }
}
