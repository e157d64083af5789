//! How fast power reacts, by the times of the frames that the plant sees: a protective condition up to the frame that
//! switches a module off, a lower or higher limit up to the changed set-point. Both connectors charge, each is sampled
//! every second, and the CSMS goes on asking.

use super::{IDENTITY, LIMIT, percentiles};
use crate::bench::{Bench, Options};
use crate::failure::Failure;
use busbar_csms::Csms;
use busbar_ctl::plant::{self, PlantConnectorProxy, PlantProxy};
use busbar_interfaces::power::PowerConnectorProxy;
use busbar_interfaces::session::SessionConnectorState;
use busbar_interfaces::words::ConnectorStatus;
use busbar_interfaces::{ConnectorId, Watts, names};
use nix::time::{ClockId, clock_gettime};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use zbus::Variant;
use zbus::proxy::CacheProperties;

/// The connector whose limit changes.
const LIMITED: ConnectorId = ConnectorId(1);
/// The connector at which conditions arise.
const FAULTY: ConnectorId = ConnectorId(2);
/// The limits, in turn: near enough for the same modules to serve both.
const LIMITS: [Watts; 2] = [Watts(45_000), Watts(50_000)];
/// Conditions that a frame of the vehicle's board tells. Those that a module tells are not among them: after
/// `module-N-broken` no module-off frame was counted that could be timed.
const CONDITIONS: [&str; 3] = ["board-2-emergency", "board-2-not-available", "car-2-pilot-error"];
/// The CSMS asks so often.
const ASKS_EVERY: Duration = Duration::from_millis(20);
/// What is not announced is looked at so often.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Without a change for so long the set-points have arrived: longer than a step of any ramp.
const CALM: Duration = Duration::from_millis(250);
/// A set-point that is moved by less follows the battery and not a limit.
const NOTABLE_MILLIAMPERES: u32 = 300;

/// Measures and prints.
pub async fn run(limits: u32, faults: u32) -> Result<(), Failure> {
    let state = tempfile::tempdir()?;
    let options = Options {
        log: "warn".to_owned(),
        // Nobody but the measurement changes a limit.
        station_file: "\n[smart-charging]\nlease_seconds = 600\n".to_owned(),
        ..Options::quick(state.path()).with("MeterValueSampleInterval", "1").with("AuthenticationOCPPMode", "false")
    };
    println!("Both connectors charge, sampled every second, the CSMS asks every {} ms.", ASKS_EVERY.as_millis());
    let bench = Bench::start(options).await?;
    let csms = bench.csms().ok_or_else(|| Failure::Broken("the bench has no CSMS".to_owned()))?;
    let measuring = async {
        for connector in [LIMITED, FAULTY] {
            charge(&bench, connector).await?;
        }
        of_limits(&bench, limits).await?;
        of_profiles(&bench, csms, limits).await?;
        of_faults(&bench, faults).await
    };
    tokio::select! {
        measured = measuring => measured?,
        failure = ask(csms) => return Err(failure),
    }
    bench.stop().await;
    Ok(())
}

/// The CSMS asks for ever.
async fn ask(csms: &Csms) -> Failure {
    loop {
        if let Err(error) = csms.call(IDENTITY, "GetConfiguration", json!({"key": ["HeartbeatInterval"]})).await {
            return Failure::Broken(format!("GetConfiguration: {error}"));
        }
        sleep(ASKS_EVERY).await;
    }
}

/// A vehicle is plugged in; nobody need show a badge.
async fn charge(bench: &Bench, connector: ConnectorId) -> Result<(), Failure> {
    let vehicle = [
        ("StateOfChargePercent", Variant::from(30u8)),
        ("CapacityWattHours", Variant::from(1_000_000u32)),
        ("MaximumWatts", Variant::from(60_000u32)),
    ];
    plant::connector(bench.bus(), connector.0).await?.plug(vehicle.into_iter().collect()).await?;
    is(bench, connector, ConnectorStatus::Charging).await
}

async fn is(bench: &Bench, connector: ConnectorId, status: ConnectorStatus) -> Result<(), Failure> {
    let is = |state: &SessionConnectorState| state.status == status;
    bench.wait_for(names::SESSION, &names::SESSION.connector(connector), LIMIT, is).await.map(drop)
}

/// A limit that power is told on the bus.
async fn of_limits(bench: &Bench, count: u32) -> Result<(), Failure> {
    let builder = PowerConnectorProxy::builder(bench.bus()).path(names::POWER.connector(LIMITED));
    let power = builder.cache_properties(CacheProperties::No).build().await?;
    let order = async |watts| {
        power.hold_limit(watts, 600_000).await?;
        Ok(())
    };
    changes(bench, count, "HoldLimit", order).await
}

/// A limit that the CSMS sends, if the station takes it.
async fn of_profiles(bench: &Bench, csms: &Csms, count: u32) -> Result<(), Failure> {
    let order = async |watts: Watts| {
        let profile = json!({"connectorId": LIMITED.0, "csChargingProfiles": {
            "chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": {
                "chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": watts.0}],
            },
        }});
        let answer = csms.call(IDENTITY, "SetChargingProfile", profile).await;
        let answer = answer.map_err(|error| Failure::Broken(format!("SetChargingProfile: {error}")))?;
        Ok(answer.status().unwrap_or("answered").to_owned())
    };
    match order(LIMITS[0]).await?.as_str() {
        "Accepted" => changes(bench, count, "SetChargingProfile", async |watts| order(watts).await.map(drop)).await,
        other => {
            println!("{:<44} not measured: {other}", "SetChargingProfile to set-point on CAN");
            Ok(())
        }
    }
}

/// Gives the order so often, once the last one has been carried out, and looks for the first frame that obeys it.
async fn changes(
    bench: &Bench,
    count: u32,
    name: &str,
    order: impl AsyncFn(Watts) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let plant = plant::plant(bench.bus()).await?;
    let (mut lower, mut higher) = (Vec::new(), Vec::new());
    // The first one only leads to where the others begin.
    for (number, watts) in (0..=2 * count).zip(LIMITS.into_iter().rev().cycle()) {
        let before = calm(&plant).await?;
        let asked = boottime_nanos();
        order(watts).await?;
        if number == 0 {
            continue;
        }
        let moved = moved(&plant, asked, &before).await?;
        let kind = if watts == LIMITS[0] { &mut lower } else { &mut higher };
        kind.push(Duration::from_nanos(moved - asked));
    }
    println!("{:<44} {}", format!("{name} to lower set-point on CAN"), percentiles(&mut lower));
    // The vehicle is told first, and asks for more then.
    println!("{:<44} {}", format!("{name} to higher one, through the vehicle"), percentiles(&mut higher));
    Ok(())
}

/// Waits until the set-points of the limited connector's modules have arrived; what they are then, in milliamperes.
async fn calm(plant: &PlantProxy<'_>) -> Result<BTreeMap<u8, u32>, Failure> {
    let deadline = Instant::now() + LIMIT;
    let bus = LIMITED.to_string();
    loop {
        let modules = plant.modules().await?;
        let mine: BTreeMap<u8, u32> = modules
            .into_iter()
            .filter_map(|(module, on, _, _, _, _, set, buses, _)| (on && buses == bus).then_some((module, set)))
            .collect();
        let last = plant.set_point_changes().await?.into_iter().filter(|(_, module, ..)| mine.contains_key(module));
        let last = last.map(|(at, ..)| at).max().unwrap_or(0);
        if boottime_nanos().saturating_sub(last) > u64::try_from(CALM.as_nanos()).unwrap_or(u64::MAX) {
            return Ok(mine);
        }
        in_time(deadline, "the set-points do not come to rest")?;
        sleep(LOOK_AGAIN).await;
    }
}

/// When the first of these set-points was changed since a moment.
async fn moved(plant: &PlantProxy<'_>, since: u64, before: &BTreeMap<u8, u32>) -> Result<u64, Failure> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let obeys = |(at, module, _, milliamperes): (u64, u8, u32, u32)| {
            let notable = before.get(&module).is_some_and(|was| was.abs_diff(milliamperes) >= NOTABLE_MILLIAMPERES);
            (at >= since && notable).then_some(at)
        };
        if let Some(at) = plant.set_point_changes().await?.into_iter().find_map(obeys) {
            return Ok(at);
        }
        in_time(deadline, "no set-point was changed")?;
        sleep(LOOK_AGAIN).await;
    }
}

/// Conditions in turn, each in a charge of its own.
async fn of_faults(bench: &Bench, count: u32) -> Result<(), Failure> {
    let (plant, hardware) = (plant::plant(bench.bus()).await?, plant::connector(bench.bus(), FAULTY.0).await?);
    let mut all = Vec::new();
    let mut each: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for (_, condition) in (0..count).zip(CONDITIONS.into_iter().cycle()) {
        let took = reaction(&plant, &hardware, condition).await?;
        all.push(took);
        each.entry(condition).or_default().push(took);
        plant.clear_faults().await?;
        hardware.unplug().await?;
        is(bench, FAULTY, ConnectorStatus::Available).await?;
        charge(bench, FAULTY).await?;
    }
    println!("{:<44} {}", "condition on CAN to module-off on CAN", percentiles(&mut all));
    for (condition, mut took) in each {
        println!("  {condition:<42} {}", percentiles(&mut took));
    }
    Ok(())
}

/// Begins a condition while a module works, and waits for what the station does about it.
async fn reaction(
    plant: &PlantProxy<'_>,
    hardware: &PlantConnectorProxy<'_>,
    condition: &str,
) -> Result<Duration, Failure> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while hardware.output_milliamperes().await? < 1_000 {
        in_time(deadline, "no module works")?;
        sleep(LOOK_AGAIN).await;
    }
    plant.set_fault(condition, true).await?;
    loop {
        let (what, _, told, off) = hardware.last_reaction_times().await?;
        if what == condition && off > 0 {
            if told == 0 || told > off {
                return Err(Failure::Broken(format!("{condition}: modules off before a frame told it")));
            }
            return Ok(Duration::from_nanos(off - told));
        }
        in_time(deadline, &format!("no module-off frame after {condition}"))?;
        sleep(LOOK_AGAIN).await;
    }
}

fn in_time(deadline: Instant, what: &str) -> Result<(), Failure> {
    if Instant::now() < deadline { Ok(()) } else { Err(Failure::TooLate(what.to_owned())) }
}

/// The clock of the plant's times.
fn boottime_nanos() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}
