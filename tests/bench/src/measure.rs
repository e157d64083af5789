//! Figures of a whole station under load: how fast the CSMS is answered while a charge runs and events wait, how fast
//! what waited is delivered, what that costs in memory and disk, and how fast power reacts. Prints percentiles; judges
//! nothing.

mod power;

use crate::bench::{Bench, Options};
use crate::failure::Failure;
use busbar_csms::{Answer, Csms, Options as CsmsOptions};
use busbar_ctl::plant;
use busbar_interfaces::ocpp::OcppState;
use busbar_interfaces::session::{SessionConnectorState, SessionState};
use busbar_interfaces::words::{ConnectorStatus, Link};
use busbar_interfaces::{ConnectorId, names};
use busbar_runtime::object::fetch;
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;
use zbus::Variant;

const IDENTITY: &str = "BENCH";
const BADGE: &str = "04A1B2C3D4E5F6";
const CONNECTOR: ConnectorId = ConnectorId(1);
/// Anything that takes longer is a failure.
const LIMIT: Duration = Duration::from_secs(600);
/// The CSMS takes its time with samples while requests are measured, so that events go on waiting.
const SLOW: Duration = Duration::from_millis(20);

/// What is measured.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct MeasureArguments {
    /// Events that wait for the CSMS while requests are measured.
    #[arg(long, default_value_t = 10_000)]
    events: u32,
    /// Requests of each kind.
    #[arg(long, default_value_t = 500)]
    requests: u32,
    /// Events that are then delivered to a CSMS that answers at once.
    #[arg(long, default_value_t = 100_000)]
    replay: u32,
    /// Changes of a limit, each up to the new set-point on CAN.
    #[arg(long, default_value_t = 200)]
    limits: u32,
    /// Protective conditions, each up to the module-off frame on CAN.
    #[arg(long, default_value_t = 60)]
    faults: u32,
    /// Only the reactions of power.
    #[arg(long)]
    power: bool,
}

/// Measures and prints.
///
/// # Errors
/// What did not happen in time.
pub async fn run(arguments: MeasureArguments) -> Result<(), Failure> {
    if !arguments.power {
        conversation(arguments).await?;
    }
    power::run(arguments.limits, arguments.faults).await
}

/// What the CSMS sees.
async fn conversation(arguments: MeasureArguments) -> Result<(), Failure> {
    let state = tempfile::tempdir()?;
    let csms = Csms::start(CsmsOptions { keep: Some(2_000), ..CsmsOptions::default() }).await?;
    let options = || Options {
        csms: Some(csms.url()),
        log: "warn".to_owned(),
        ..Options::quick(state.path())
            .with("MeterValueSampleInterval", "1")
            .with("disconnectedMeterValueSampleInterval", "5")
    };
    println!("One charge without a CSMS, as the pattern of what waits.");
    csms.refuse(true);
    let bench = Bench::start(options()).await?;
    charge_once(&bench).await?;
    bench.stop().await;
    let events = multiply(state.path(), arguments.events)?;

    println!("A charge runs, {events} events wait, the CSMS answers a sample after {} ms.", SLOW.as_millis());
    csms.on("MeterValues", answer_to_samples().after(SLOW));
    csms.refuse(false);
    let started = Instant::now();
    let bench = Bench::start(options()).await?;
    let boot = csms.wait_for(LIMIT, |frame| frame.is_request("BootNotification")).await;
    boot.map_err(|error| Failure::TooLate(error.to_string()))?;
    println!("{:<44} {:>9.1} ms", "bench start to BootNotification", millis(started.elapsed()));
    begin_charge(&bench).await?;
    requests(&csms, arguments.requests).await?;
    println!("{:<44} {:>9}", "events still waiting", waiting(&bench).await?);
    memory(&bench, "both services with the backlog")?;
    end_charge(&bench).await?;
    csms.on("MeterValues", answer_to_samples());
    delivered(&bench).await?;
    remote_start(&bench, &csms).await?;
    bench.stop().await;

    csms.refuse(true);
    let events = multiply(state.path(), arguments.replay)?;
    println!("{events} events wait, the CSMS answers at once.");
    let bench = Bench::start(options()).await?;
    memory(&bench, "before the delivery")?;
    let written = disk(&bench)?;
    csms.refuse(false);
    let link = |state: &OcppState| state.link == Link::Accepted;
    bench.wait_for(names::OCPP, names::OCPP.root, LIMIT, link).await?;
    let (began, first) = (Instant::now(), waiting(&bench).await?);
    let mut most = 0;
    while waiting(&bench).await? > 0 {
        most = most.max(resident(&bench, "ocpp")?);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let took = began.elapsed().as_secs_f64();
    println!("{:<44} {:>9.0} events/s ({first} in {took:.1} s)", "delivery", first as f64 / took);
    println!("{:<44} {:>9.1} MiB", "ocpp meanwhile at most (PSS)", mebibytes(most));
    memory(&bench, "after the delivery")?;
    let per_thousand = (disk(&bench)?.saturating_sub(written)) as f64 / first.max(1) as f64 * 1000.0 / 1024.0;
    println!("{:<44} {:>9.1} KiB per 1000 events", "written to disk by session and ocpp", per_thousand);
    bench.stop().await;
    csms.stop().await;
    Ok(())
}

fn answer_to_samples() -> Answer {
    Answer::Ordinary
}

/// A short charge by the offline rules.
async fn charge_once(bench: &Bench) -> Result<(), Failure> {
    begin_charge(bench).await?;
    let events = |state: &SessionState| state.last_event >= 3;
    bench.wait_for(names::SESSION, names::SESSION.root, LIMIT, events).await?;
    end_charge(bench).await
}

async fn begin_charge(bench: &Bench) -> Result<(), Failure> {
    plug(bench).await?;
    present(bench).await?;
    is(bench, ConnectorStatus::Charging).await
}

async fn end_charge(bench: &Bench) -> Result<(), Failure> {
    // The reader shows the same badge once in three seconds.
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    present(bench).await?;
    is(bench, ConnectorStatus::Finishing).await?;
    plant::connector(bench.bus(), CONNECTOR.0).await?.unplug().await?;
    is(bench, ConnectorStatus::Available).await
}

async fn plug(bench: &Bench) -> Result<(), Failure> {
    let vehicle = [("StateOfChargePercent", Variant::from(35u8)), ("CapacityWattHours", Variant::from(60_000u32))];
    plant::connector(bench.bus(), CONNECTOR.0).await?.plug(vehicle.into_iter().collect()).await?;
    is(bench, ConnectorStatus::Preparing).await
}

async fn present(bench: &Bench) -> Result<(), Failure> {
    Ok(plant::plant(bench.bus()).await?.present_badge(BADGE).await?)
}

async fn is(bench: &Bench, status: ConnectorStatus) -> Result<(), Failure> {
    let path = names::SESSION.connector(CONNECTOR);
    let is = |state: &SessionConnectorState| state.status == status;
    bench.wait_for(names::SESSION, &path, LIMIT, is).await.map(drop)
}

/// Requests of the CSMS, one after the other.
async fn requests(csms: &Csms, count: u32) -> Result<(), Failure> {
    let profile = json!({"connectorId": 1, "csChargingProfiles": {
        "chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": {"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 50_000}]},
    }});
    measure(csms, count, "GetConfiguration, one key", "GetConfiguration", |_| json!({"key": ["HeartbeatInterval"]}))
        .await?;
    measure(csms, count, "GetConfiguration, all keys", "GetConfiguration", |_| json!({})).await?;
    measure(
        csms,
        count,
        "ChangeConfiguration",
        "ChangeConfiguration",
        |number| json!({"key": "HeartbeatInterval", "value": (600 + number % 2).to_string()}),
    )
    .await?;
    measure(csms, count, "TriggerMessage", "TriggerMessage", |_| json!({"requestedMessage": "Heartbeat"})).await?;
    measure(csms, count, "GetLocalListVersion", "GetLocalListVersion", |_| json!({})).await?;
    measure(csms, count, "SetChargingProfile", "SetChargingProfile", |_| profile.clone()).await
}

async fn measure(
    csms: &Csms,
    count: u32,
    name: &str,
    action: &str,
    payload: impl Fn(u32) -> Value,
) -> Result<(), Failure> {
    let mut took = Vec::new();
    let mut words: HashMap<String, u32> = HashMap::new();
    for number in 0..count {
        let reply = csms.call(IDENTITY, action, payload(number)).await;
        let reply = reply.map_err(|error| Failure::Broken(format!("{action}: {error}")))?;
        *words.entry(reply.status().unwrap_or("answered").to_owned()).or_default() += 1;
        took.push(reply.took);
    }
    let words: Vec<String> = words.into_iter().map(|(word, count)| format!("{count} {word}")).collect();
    println!("{name:<44} {} ({})", percentiles(&mut took), words.join(", "));
    Ok(())
}

async fn remote_start(bench: &Bench, csms: &Csms) -> Result<(), Failure> {
    let mut took = Vec::new();
    let badge = |number: u32| format!("REMOTE{number}");
    for number in 0..5 {
        plug(bench).await?;
        let mark = csms.mark();
        let asked = Instant::now();
        let start = csms.call(IDENTITY, "RemoteStartTransaction", json!({"idTag": badge(number), "connectorId": 1}));
        start.await.map_err(|error| Failure::Broken(error.to_string()))?;
        let frame = csms.wait_for_since(mark, LIMIT, |frame| frame.is_request("StartTransaction")).await;
        frame.map_err(|error| Failure::TooLate(error.to_string()))?;
        took.push(asked.elapsed());
        is(bench, ConnectorStatus::Charging).await?;
        plant::connector(bench.bus(), CONNECTOR.0).await?.unplug().await?;
        is(bench, ConnectorStatus::Available).await?;
    }
    println!("{:<44} {}", "RemoteStart to StartTransaction", percentiles(&mut took));
    Ok(())
}

/// Events that the CSMS has not confirmed.
async fn waiting(bench: &Bench) -> Result<u64, Failure> {
    let session: SessionState = fetch(bench.bus(), names::SESSION, names::SESSION.root).await?;
    let ocpp: OcppState = fetch(bench.bus(), names::OCPP, names::OCPP.root).await?;
    Ok(session.last_event.saturating_sub(ocpp.confirmed_event))
}

async fn delivered(bench: &Bench) -> Result<(), Failure> {
    let deadline = Instant::now() + LIMIT;
    while waiting(bench).await? > 0 {
        if Instant::now() >= deadline {
            return Err(Failure::TooLate("the backlog was not delivered".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Repeats the last charge of the journal until so many events wait. The station must not run.
fn multiply(state: &Path, events: u32) -> Result<u32, Failure> {
    let failed = |error: rusqlite::Error| Failure::Broken(format!("session's journal: {error}"));
    let mut journal = Connection::open(state.join("state/session/session.sqlite")).map_err(failed)?;
    let books = journal.transaction().map_err(failed)?;
    let last: i64 = books.query_row("SELECT max(id) FROM transactions", [], |row| row.get(0)).map_err(failed)?;
    let (first, end): (i64, i64) = books
        .query_row("SELECT min(sequence), max(sequence) FROM events WHERE transaction_id = ?1", [last], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .map_err(failed)?;
    let length = end - first + 1;
    let copies = i64::from(events) / length;
    let columns = "connector, kind, context, boot, boottime_millis, unix_millis, milliwatt_hours, watts, millivolts, \
                   milliamperes, offered_watts, percent, id_tag, reason";
    let event = format!(
        "INSERT INTO events (sequence, transaction_id, {columns})
         SELECT sequence + ?1, transaction_id + ?2, {columns} FROM events WHERE transaction_id = ?3"
    );
    let own = "connector, id_tag, started_unix_millis, started_milliwatt_hours, last_unix_millis, \
               last_milliwatt_hours, held, stop_reason";
    let transaction =
        format!("INSERT INTO transactions (id, {own}) SELECT id + ?1, {own} FROM transactions WHERE id = ?2");
    for copy in 1..=copies {
        books
            .prepare_cached(&event)
            .and_then(|mut event| event.execute(params![copy * length, copy, last]))
            .map_err(failed)?;
        let mut transaction = books.prepare_cached(&transaction).map_err(failed)?;
        transaction.execute(params![copy, last]).map_err(failed)?;
    }
    books.commit().map_err(failed)?;
    Ok(u32::try_from(copies * length).unwrap_or(0))
}

fn process(bench: &Bench, role: &str) -> Result<u32, Failure> {
    bench.processes().get(role).copied().ok_or_else(|| Failure::Broken(format!("{role} does not run")))
}

/// What a process has of the memory for itself, with its share of what it shares: in KiB.
fn resident(bench: &Bench, role: &str) -> Result<u64, Failure> {
    number(&format!("/proc/{}/smaps_rollup", process(bench, role)?), "Pss:")
}

fn memory(bench: &Bench, when: &str) -> Result<(), Failure> {
    let all: u64 = names::ALL.iter().map(|service| resident(bench, service.role)).sum::<Result<u64, _>>()?;
    let (ocpp, session) = (resident(bench, "ocpp")?, resident(bench, "session")?);
    println!(
        "{:<44} ocpp {:.1} MiB, session {:.1} MiB, all nine {:.1} MiB",
        format!("memory {when} (PSS)"),
        mebibytes(ocpp),
        mebibytes(session),
        mebibytes(all)
    );
    Ok(())
}

/// What session and ocpp have written to the disk, in bytes.
fn disk(bench: &Bench) -> Result<u64, Failure> {
    ["session", "ocpp"]
        .into_iter()
        .try_fold(0, |sum, role| Ok(sum + number(&format!("/proc/{}/io", process(bench, role)?), "write_bytes:")?))
}

fn number(file: &str, name: &str) -> Result<u64, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| Failure::Broken(format!("{file}: {error}")))?;
    let line = text.lines().find(|line| line.starts_with(name));
    let number = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|number| number.parse().ok());
    number.ok_or_else(|| Failure::Broken(format!("{file} has no {name}")))
}

fn mebibytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn percentiles(took: &mut [Duration]) -> String {
    took.sort_unstable();
    let at = |share: usize| took.get((took.len() * share / 100).min(took.len().saturating_sub(1)));
    let at = |share| millis(at(share).copied().unwrap_or_default());
    format!("p50 {:>7.3} ms, p99 {:>7.3} ms, worst {:>7.3} ms", at(50), at(99), at(100))
}
