//! One whole charge for the eyes: a vehicle is plugged in, a badge is shown, power flows, the badge is shown again.
//! Prints what happens as it happens, and a receipt that is checked against the meter and the CSMS's books.

use crate::bench::{Bench, Options};
use crate::failure::Failure;
use busbar_csms::{Csms, Direction, Frame, Message};
use busbar_ctl::plant;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::session::SessionConnectorState;
use busbar_interfaces::words::{ConnectorStatus, Phase};
use busbar_interfaces::{ConnectorId, names};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use zbus::Variant;

const BADGE: &str = "04A1B2C3D4E5F6";
const CONNECTOR: ConnectorId = ConnectorId(1);
/// How long power flows.
const FLOW: Duration = Duration::from_secs(6);
/// Anything that takes longer is a failure of the demo.
const LIMIT: Duration = Duration::from_secs(90);

/// Runs the demo.
///
/// # Errors
/// What did not happen, or what was not right about the charge.
pub async fn run(quick: bool) -> Result<(), Failure> {
    let state = tempfile::tempdir()?;
    println!("Starting a station: private bus, simulated cabinet, nine services, a CSMS.");
    let mut options = Options::quick(state.path()).with("MeterValueSampleInterval", "2");
    options.quick = quick;
    let bench = Bench::start(options).await?;
    let verdict = charge(&bench).await;
    bench.stop().await;
    verdict
}

async fn charge(bench: &Bench) -> Result<(), Failure> {
    let mut timeline = Timeline { began: Instant::now(), seen: 0 };
    let csms = bench.csms().ok_or_else(|| Failure::Broken("the bench has no CSMS".to_owned()))?;
    let car = plant::connector(bench.bus(), CONNECTOR.0).await?;
    let session = names::SESSION.connector(CONNECTOR);
    let power = names::POWER.connector(CONNECTOR);

    timeline.until(csms, |frames| frames.iter().any(|frame| frame.is_request("StatusNotification"))).await?;
    let meter_before = car.meter_milliwatt_hours().await?;
    timeline.say("driver", "plugs in a car: 60 kWh battery at 35 %, takes up to 80 kW");
    let vehicle = [
        ("StateOfChargePercent", Variant::from(35u8)),
        ("CapacityWattHours", Variant::from(60_000u32)),
        ("MaximumWatts", Variant::from(80_000u32)),
    ];
    car.plug(vehicle.into_iter().collect()).await?;
    let is = |status| move |state: &SessionConnectorState| state.status == status;
    bench.wait_for(names::SESSION, &session, LIMIT, is(ConnectorStatus::Preparing)).await?;
    timeline.news(csms);
    timeline.say("driver", "shows a badge");
    plant::plant(bench.bus()).await?.present_badge(BADGE).await?;

    let mut last = None;
    let mut flowing_since: Option<Instant> = None;
    let deadline = Instant::now() + LIMIT;
    while flowing_since.is_none_or(|since| since.elapsed() < FLOW) {
        let state = bench.wait_for(names::POWER, &power, LIMIT, |_: &PowerConnectorState| true).await?;
        timeline.news(csms);
        let shown = (state.phase, state.output_milliamperes.0 / 10_000);
        if last != Some(shown) {
            let volts = f64::from(state.output_millivolts.0) / 1000.0;
            let amperes = f64::from(state.output_milliamperes.0) / 1000.0;
            timeline.say("power", &format!("{}: {volts:.0} V, {amperes:.1} A", state.phase));
            last = Some(shown);
        }
        if state.phase == Phase::Delivering && state.output_milliamperes.0 > 0 {
            flowing_since.get_or_insert_with(Instant::now);
        }
        if Instant::now() > deadline {
            return Err(Failure::TooLate("no power flowed in time".to_owned()));
        }
        sleep(Duration::from_millis(50)).await;
    }
    timeline.say("driver", "shows the badge again");
    plant::plant(bench.bus()).await?.present_badge(BADGE).await?;
    bench.wait_for(names::SESSION, &session, LIMIT, is(ConnectorStatus::Finishing)).await?;
    timeline.until(csms, |frames| frames.iter().any(|frame| frame.is_request("StopTransaction"))).await?;
    let meter_after = car.meter_milliwatt_hours().await?;
    timeline.say("driver", "unplugs");
    car.unplug().await?;
    bench.wait_for(names::SESSION, &session, LIMIT, is(ConnectorStatus::Available)).await?;
    timeline.news(csms);
    let violations = plant::plant(bench.bus()).await?.violations().await?;
    receipt(csms, meter_before / 1000, meter_after / 1000, &violations)
}

/// Prints the receipt; it must agree with the meter to the watt-hour.
fn receipt(csms: &Csms, before: u64, after: u64, violations: &[String]) -> Result<(), Failure> {
    let books = csms.books();
    let [transaction] = books.transactions.as_slice() else {
        let count = books.transactions.len();
        return Err(Failure::Wrong(format!("the CSMS has {count} transactions in its books, not one")));
    };
    let stop = transaction.meter_stop.unwrap_or_default();
    let energy = stop - transaction.meter_start;
    println!();
    println!("  Receipt of transaction {}", transaction.transaction_id.unwrap_or_default());
    println!("    badge           {}", transaction.id_tag);
    println!("    from            {}", transaction.timestamp);
    println!("    to              {}", transaction.stop_timestamp.as_deref().unwrap_or("-"));
    println!("    meter           {} Wh to {stop} Wh", transaction.meter_start);
    println!("    energy          {energy} Wh");
    println!("    meter values    {}", transaction.meter_values.len());
    println!("    ended by        {}", transaction.reason.as_deref().unwrap_or("the driver"));
    println!("    the meter says  {before} Wh to {after} Wh");
    let mut wrong: Vec<String> = books.irregularities.clone();
    wrong.extend(violations.iter().cloned());
    let same = |books: i64, meter: u64| u64::try_from(books) == Ok(meter);
    if !same(transaction.meter_start, before) || !same(stop, after) {
        wrong.push("the books and the meter do not agree".to_owned());
    }
    if transaction.start_count != 1 || transaction.stop_count != 1 || energy <= 0 {
        wrong.push("there must be one start, one stop and energy between them".to_owned());
    }
    if wrong.is_empty() {
        println!("\nThe charge was right.");
        return Ok(());
    }
    Err(Failure::Wrong(format!("The charge was not right:\n  {}", wrong.join("\n  "))))
}

/// Prints what happens, with the time since the beginning.
struct Timeline {
    began: Instant,
    seen: u64,
}

impl Timeline {
    fn say(&self, who: &str, what: &str) {
        println!("{:>8.2} s  {who:<7} {what}", self.began.elapsed().as_secs_f64());
    }

    /// Prints the OCPP requests that came since the last time.
    fn news(&mut self, csms: &Csms) {
        let mark = csms.mark();
        for frame in csms.frames_since(self.seen) {
            if let (Direction::FromStation, Message::Call { action, payload, .. }) = (&frame.direction, &frame.message)
            {
                self.say("OCPP", &format!("{action} {}", brief(action, payload)));
            }
        }
        self.seen = mark;
    }

    async fn until(&mut self, csms: &Csms, is: impl Fn(&[Frame]) -> bool) -> Result<(), Failure> {
        let waited = csms.wait_until(LIMIT, |csms| is(&csms.frames()).then_some(())).await;
        self.news(csms);
        waited.map_err(|timeout| Failure::TooLate(format!("the CSMS did not hear what was due: {timeout:?}")))
    }
}

/// The part of a request that says something in a timeline.
fn brief(action: &str, payload: &serde_json::Value) -> String {
    let text = |pointer: &str| payload.pointer(pointer).map(ToString::to_string).unwrap_or_default().replace('"', "");
    match action {
        "BootNotification" => format!("{} {}", text("/chargePointVendor"), text("/chargePointModel")),
        "StatusNotification" => format!("connector {} is {}", text("/connectorId"), text("/status")),
        "Authorize" => format!("badge {}", text("/idTag")),
        "StartTransaction" => format!("meter {} Wh", text("/meterStart")),
        "StopTransaction" => format!("meter {} Wh, reason {}", text("/meterStop"), text("/reason")),
        "MeterValues" => {
            let sampled = payload.pointer("/meterValue/0/sampledValue").and_then(serde_json::Value::as_array);
            let values = sampled.into_iter().flatten().map(|value| {
                let of = |key: &str| value.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
                format!("{} {}", of("value"), of("unit"))
            });
            values.collect::<Vec<_>>().join(", ")
        }
        _ => String::new(),
    }
}
