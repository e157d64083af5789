//! An independent CAN client (tests/can-listener, python-can) decodes the station's frames during a charge: what it reads
//! is what the hardware does. Where there is no Python for it, this is skipped.
#![allow(clippy::disallowed_methods, clippy::indexing_slicing, reason = "tests")]

use anyhow::{Context, Result, ensure};
use busbar_ctl::plant;
use busbar_interfaces::words::ConnectorStatus;
use busbar_suite::python;
use busbar_suite::scene::{LIMIT, Scene};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::timeout;

const FOLDER: &str = "can-listener";

/// What was heard last.
#[derive(Debug, Clone, Default)]
struct Heard {
    joined: usize,
    frames: u64,
    /// Set-points of the modules that are on: mV, mA.
    set: BTreeMap<u64, (u64, u64)>,
    on: BTreeMap<u64, bool>,
    /// What the station told the board of connector 1: V, A, and whether power may flow.
    told: (f64, f64, bool),
    /// Frames of the station that no protocol has.
    strange: Vec<Value>,
}

impl Heard {
    fn take(&mut self, line: &Value) {
        if line["joined"] == true {
            self.joined += 1;
            return;
        }
        self.frames += 1;
        let from_station = line["from"].as_u64().is_some_and(|from| (0xF0..=0xF8).contains(&from));
        let known = line["extended"] == true && (line["bus"] == "vehicles" || line["command"].is_string());
        if !known || (from_station && (line["length"] != 8 || line["error"] != 0)) {
            self.strange.push(line.clone());
        }
        if line["id"] == "63000" && line["connector"] == 1 {
            let number = |key: &str| line[key].as_f64().unwrap_or(f64::NAN);
            self.told = (number("volts"), number("amperes"), line["enable"] == true);
        }
        let Some(to) = line["to"].as_u64().filter(|_| from_station) else { return };
        if let Some(on) = line["on"].as_bool() {
            let all: Vec<u64> = if to == 0x3F { (1..=6).collect() } else { vec![to] };
            self.on.extend(all.into_iter().map(|module| (module, on)));
        }
        if let (Some(volts), Some(amperes)) = (line["millivolts"].as_u64(), line["milliamperes"].as_u64()) {
            self.set.insert(to, (volts, amperes));
        }
    }

    /// The sum of the set-points of the modules that are on.
    fn set_milliamperes(&self) -> u64 {
        let on = self.set.iter().filter(|(module, _)| self.on.get(module) == Some(&true));
        on.map(|(_, (_, milliamperes))| milliamperes).sum()
    }
}

#[tokio::test]
async fn an_independent_client_reads_the_same_charge_from_the_wire() -> Result<()> {
    let Some(python) = python::with(FOLDER, Path::new(env!("CARGO_TARGET_TMPDIR"))).await? else { return Ok(()) };
    let scene = Scene::start().await?;
    let address = plant::plant(scene.bench.bus()).await?.can_address().await?;
    let (host, port) = address.rsplit_once(':').context("an address")?;
    let mut command = Command::new(&python);
    command.arg("-B").arg(python::folder(FOLDER).join("listener.py")).args([host, port]);
    let mut listener = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let mut lines = BufReader::new(listener.stdout.take().context("no output")?).lines();
    let (hear, heard) = watch::channel(Heard::default());
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            let line: Value = serde_json::from_str(&line).unwrap_or(Value::String(line));
            hear.send_modify(|heard| heard.take(&line));
        }
    });
    let until = async |what: &str, is: &dyn Fn(&Heard) -> bool| -> Result<Heard> {
        let mut heard = heard.clone();
        let found = timeout(LIMIT, heard.wait_for(|heard| is(heard))).await;
        let found = found.ok().and_then(Result::ok).map(|heard| heard.clone());
        found.with_context(|| format!("not heard: {what}; last: {heard:?}"))
    };
    until("both buses are joined", &|heard| heard.joined == 2).await?;

    scene.charge(1, 40_000).await?;
    let hardware = scene.hardware(1).await?;
    let flows = async || -> Result<bool> { Ok(hardware.output_milliamperes().await? >= 104_000) };
    scene.until("the ramp is over", flows).await?;
    let (volts, amperes) = (hardware.output_millivolts().await?, hardware.output_milliamperes().await?);
    let near = |value: f64, wanted: u32, tolerance: f64| (value - f64::from(wanted) / 1000.0).abs() < tolerance;
    until("the board is told what flows", &|heard| {
        heard.told.2 && near(heard.told.0, volts, 5.0) && near(heard.told.1, amperes, 3.0)
    })
    .await?;
    let charging = until("the set-points add up to what flows", &|heard| {
        u64::from(amperes).abs_diff(heard.set_milliamperes()) < 3_000
    })
    .await?;
    ensure!(charging.set.values().all(|(volts, _)| *volts <= 420_000), "above the car's voltage: {:?}", charging.set);

    hardware.stop_by_vehicle().await?;
    scene.status(1, ConnectorStatus::Finishing).await?;
    let stopped = until("every module is off", &|heard| heard.on.values().all(|on| !on)).await?;
    ensure!(stopped.strange.is_empty(), "frames that no protocol has: {:?}", stopped.strange);
    ensure!(stopped.frames > 100, "{} frames", stopped.frames);
    scene.bench.stop().await;
    Ok(())
}
