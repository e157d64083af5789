//! The program `busbar-bench` itself: its line of JSON, what survives a mains failure, and that nothing outlives it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, reason = "tests")]

use anyhow::{Context, Result, ensure};
use busbar_bench::Options;
use busbar_csms::{Csms, Options as CsmsOptions};
use busbar_ctl::plant;
use busbar_interfaces::names;
use busbar_interfaces::ocpp::OcppState;
use busbar_interfaces::words::ConnectorStatus;
use busbar_runtime::object::fetch;
use busbar_suite::scene::{BADGE, LIMIT, Scene};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use zbus::Variant;

fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.ancestors().nth(2).unwrap().join(name)
}

async fn bench(csms: &str, state: &Path) -> Result<(Child, Value)> {
    let mut command = Command::new(program("busbar-bench"));
    command.args(["run", "--quick", "--id", "MAINS", "--model", "EVD1S120THB", "--csms", csms]);
    command.args(["--set", "MeterValueSampleInterval=1"]).arg("--state").arg(state);
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("output")?).lines();
    let line = tokio::time::timeout(LIMIT, lines.next_line()).await??.context("the bench said nothing")?;
    Ok((child, serde_json::from_str(&line)?))
}

fn lives(process: &Value) -> bool {
    let process = Pid::from_raw(i32::try_from(process.as_u64().unwrap()).unwrap());
    // A process that is dead and not yet collected by its parent counts as dead.
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    kill(process, None).is_ok() && !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z')
}

async fn all_dead(processes: &Value) -> Result<()> {
    let gone = async {
        while processes.as_object().unwrap().values().any(lives) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    Ok(tokio::time::timeout(LIMIT, gone).await?)
}

#[tokio::test]
async fn tc_032_2_case_c_s7_a_mains_failure_in_a_charge_is_settled_after_it() -> Result<()> {
    let csms = Csms::start(CsmsOptions::default()).await?;
    let state = tempfile::tempdir()?;
    let (mut child, ready) = bench(&csms.url(), state.path()).await?;
    ensure!(ready["page"].as_str().is_some_and(|page| page.starts_with("http://127.0.0.1:")), "{ready}");
    let processes = ready["processes"].clone();
    ensure!(processes.as_object().map(serde_json::Map::len) == Some(11), "{ready}");

    let bus =
        busbar_runtime::bus::connect(ready["bus"].as_str().unwrap()).await.map_err(|exit| anyhow::anyhow!("{exit}"))?;
    let hardware = plant::connector(&bus, 1).await?;
    hardware.set_meter_register(5_000_000).await?;
    hardware.plug([("MaximumWatts", Variant::from(50_000u32))].into_iter().collect()).await?;
    let plugged = csms.wait_for(LIMIT, |frame| {
        frame.request("StatusNotification").is_some_and(|status| status["status"] == "Preparing")
    });
    plugged.await.map_err(|timeout| anyhow::anyhow!("{timeout:?}"))?;
    plant::plant(&bus).await?.present_badge(BADGE).await?;
    let sampled = csms.wait_until(LIMIT, |csms| {
        csms.transactions().first().filter(|transaction| transaction.meter_values.len() >= 2).map(|_| ())
    });
    sampled.await.map_err(|timeout| anyhow::anyhow!("{timeout:?}"))?;

    // A confirmation that is not on disk yet would be asked for again, as OCPP has it; here nothing is under way.
    let settled = async {
        while fetch::<OcppState>(&bus, names::OCPP, names::OCPP.root).await?.confirmed_event < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(LIMIT, settled).await??;
    child.start_kill()?;
    child.wait().await?;
    all_dead(&processes).await?;

    // The second start ignores another factory default: the first one is settled.
    let (child, ready) = bench(&csms.url(), state.path()).await?;
    let settled = csms.wait_until(LIMIT, |csms| csms.transactions().first().filter(|t| t.stop_count == 1).cloned());
    let transaction = settled.await.map_err(|timeout| anyhow::anyhow!("{timeout:?}"))?;
    let bus =
        busbar_runtime::bus::connect(ready["bus"].as_str().unwrap()).await.map_err(|exit| anyhow::anyhow!("{exit}"))?;
    let meter = plant::connector(&bus, 1).await?.meter_milliwatt_hours().await? / 1000;
    ensure!(
        transaction.meter_start == 5000 && transaction.meter_stop == i64::try_from(meter).ok(),
        "{transaction:?} {meter}"
    );
    ensure!(transaction.meter_stop > Some(5000) && transaction.start_count == 1, "{transaction:?}");
    ensure!(transaction.reason.as_deref() == Some("PowerLoss"), "{transaction:?}");
    let boots = csms.frames().iter().filter(|frame| frame.is_request("BootNotification")).count();
    ensure!(boots == 2, "each start of the machine is a boot: {boots}");
    ensure!(csms.books().unexcused().count() == 0, "{:?}", csms.books().irregularities);

    // Asked to stop, it stops everything and ends well.
    let processes = ready["processes"].clone();
    kill(Pid::from_raw(i32::try_from(child.id().context("runs")?)?), Signal::SIGTERM)?;
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await??;
    ensure!(output.status.success(), "{output:?}");
    all_dead(&processes).await
}

#[tokio::test]
async fn factory_defaults_count_on_the_first_start_only() -> Result<()> {
    let state = tempfile::tempdir()?;
    for (given, expected) in [("77", "77"), ("88", "77")] {
        let options = Options::quick(state.path()).with("HeartbeatInterval", given);
        let scene = Scene::start_in(options).await?;
        let settings = busbar_interfaces::settings::SettingsProxy::new(scene.bench.bus()).await?;
        let keys = settings.list_keys().await?;
        let value = keys.iter().find(|record| record.key == "HeartbeatInterval").map(|record| record.value.clone());
        ensure!(value.as_deref() == Some(expected), "given {given}: {value:?}");
        scene.status(1, ConnectorStatus::Available).await?;
        scene.bench.stop().await;
    }
    Ok(())
}

#[tokio::test]
async fn busbarctl_shows_the_station_and_works_on_it() -> Result<()> {
    let scene = Scene::start().await?;
    let run = async |arguments: &[&str]| -> Result<std::process::Output> {
        let mut command = Command::new(program("busbarctl"));
        Ok(command.arg("--bus").arg(scene.bench.bus_address()).args(arguments).output().await?)
    };
    ensure!(run(&["plant", "plug", "2", "--soc", "40", "--watts", "20000"]).await?.status.success());
    scene.status(2, ConnectorStatus::Preparing).await?;
    ensure!(run(&["plant", "badge", BADGE]).await?.status.success());
    scene.flows(2).await?;
    scene.status(2, ConnectorStatus::Charging).await?;
    let status: Value = serde_json::from_slice(&run(&["status", "--json"]).await?.stdout)?;
    ensure!(
        status["connectors"]["2"]["status"] == "charging" && status["connectors"]["2"]["transaction"] == 1,
        "{status}"
    );
    ensure!(status["services"].as_object().unwrap().values().all(|service| service["version"] == "0.1.0"), "{status}");
    ensure!(status["link"]["link"] == "accepted" && status["faults"] == serde_json::json!([]), "{status}");
    let text = String::from_utf8(run(&["status"]).await?.stdout)?;
    ensure!(text.contains("connector 2      charging; delivery delivering"), "{text}");
    ensure!(run(&["stop", "1"]).await?.status.success());
    scene.status(2, ConnectorStatus::Finishing).await?;
    let journal = String::from_utf8(run(&["journal"]).await?.stdout)?;
    ensure!(journal.contains("\"started\"") && journal.contains("\"stopped\""), "{journal}");
    let report = String::from_utf8(run(&["report"]).await?.stdout)?;
    ensure!(Path::new(report.trim()).exists(), "{report}");
    let refused = run(&["settings", "set", "HeartbeatInterval", "often"]).await?;
    ensure!(refused.status.code() == Some(1), "{refused:?}");
    ensure!(run(&["settings", "set", "heartbeatinterval", "90"]).await?.status.success());
    let unknown = run(&["plant", "fault", "nonsense"]).await?;
    ensure!(String::from_utf8(unknown.stderr)?.contains("modules-bus-down"), "a wrong name is answered with all names");
    scene.bench.stop().await;
    Ok(())
}
