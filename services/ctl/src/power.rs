//! The power side in words: what each connector is offered and by which limit, the power modules, the CAN buses, what is
//! wrong; and the reset of what is latched.

use crate::arguments::PowerCommand;
use crate::failure::Failure;
use crate::output::{print, print_json, print_line};
use crate::table::{item, table};
use crate::words::{NOTHING, span};
use busbar_interfaces::power::{
    CELSIUS_UNKNOWN, CanBusState, ModuleInfo, OUTPUT_CONTACTORS, PowerConnectorProxy, PowerConnectorState, PowerState,
    RelayInfo,
};
use busbar_interfaces::words::{Lock, OfferedBy, Phase, Plug, StopCause};
use busbar_interfaces::{BoottimeMillis, Condition, ConnectorId, names};
use busbar_runtime::Clock;
use busbar_runtime::object::fetch;
use serde::Serialize;
use std::collections::BTreeMap;
use zbus::Connection;
use zbus::proxy::CacheProperties;

/// Carries out one command; none shows the power side.
pub async fn run(bus: &Connection, json: bool, command: Option<PowerCommand>) -> Result<(), Failure> {
    match command {
        Some(_) if json => Err(Failure::Usage("--json is for `busbarctl power --json` alone".to_owned())),
        None => {
            let report = gather(bus).await?;
            if json { print_json(&report) } else { print(&report.to_text(Clock::system().now().boottime)) }
        }
        Some(PowerCommand::ResetFault { connector }) => {
            proxy(bus, connector).await?.reset_fault().await?;
            print_line(&format!("done: nothing is latched at connector {connector} any more"))
        }
        Some(PowerCommand::NoteReplaced { connector, module }) => {
            let which = relay_of(connector, module.unwrap_or(OUTPUT_CONTACTORS));
            proxy(bus, connector).await?.note_replaced(module.unwrap_or(OUTPUT_CONTACTORS)).await?;
            print_line(&format!("done: the wear of {which} begins at 0"))
        }
    }
}

async fn proxy(bus: &Connection, connector: u32) -> Result<PowerConnectorProxy<'_>, Failure> {
    let builder = PowerConnectorProxy::builder(bus).path(names::POWER.connector(ConnectorId(connector)));
    Ok(builder.cache_properties(CacheProperties::No).build().await?)
}

fn relay_of(connector: u32, module: u8) -> String {
    if module == OUTPUT_CONTACTORS {
        format!("the output contactors of connector {connector}")
    } else {
        format!("the relay of module {module} to connector {connector}")
    }
}

async fn gather(bus: &Connection) -> Result<Report, Failure> {
    let state: PowerState = fetch(bus, names::POWER, names::POWER.root).await?;
    let mut connectors = BTreeMap::new();
    for id in [ConnectorId(1), ConnectorId(2)] {
        let state: PowerConnectorState = fetch(bus, names::POWER, &names::POWER.connector(id)).await?;
        connectors.insert(id.0, Connector::new(&state));
    }
    Ok(Report {
        rated_watts: state.rated_watts.0,
        modules_present: state.modules_present,
        connectors,
        modules: state.modules,
        relays: state.relays,
        can_buses: state.can_buses,
        conditions: state.conditions,
    })
}

/// What `power` publishes. The names are those of its properties in another spelling.
#[derive(Debug, Serialize)]
struct Report {
    rated_watts: u32,
    modules_present: u32,
    connectors: BTreeMap<u32, Connector>,
    modules: Vec<ModuleInfo>,
    relays: Vec<RelayInfo>,
    can_buses: Vec<CanBusState>,
    conditions: Vec<Condition>,
}

#[derive(Debug, Serialize)]
struct Connector {
    plug: Plug,
    lock: Lock,
    phase: Phase,
    delivery: u64,
    ended_delivery: u64,
    stop_cause: StopCause,
    requested_millivolts: u32,
    requested_milliamperes: u32,
    output_millivolts: u32,
    output_milliamperes: u32,
    limit_watts: u32,
    offered_watts: u32,
    offered_by: OfferedBy,
    offered_since_boottime_millis: u64,
    modules_joined: u32,
    plug_celsius: i32,
}

impl Connector {
    fn new(state: &PowerConnectorState) -> Connector {
        Connector {
            plug: state.plug,
            lock: state.lock,
            phase: state.phase,
            delivery: state.delivery.0,
            ended_delivery: state.ended_delivery.0,
            stop_cause: state.stop_cause,
            requested_millivolts: state.requested_millivolts.0,
            requested_milliamperes: state.requested_milliamperes.0,
            output_millivolts: state.output_millivolts.0,
            output_milliamperes: state.output_milliamperes.0,
            limit_watts: state.limit_watts.0,
            offered_watts: state.offered_watts.0,
            offered_by: state.offered_by,
            offered_since_boottime_millis: state.offered_since_boottime_millis.0,
            modules_joined: state.modules_joined,
            plug_celsius: state.plug_celsius,
        }
    }

    fn to_text(&self, number: u32, now: BoottimeMillis) -> String {
        let delivery = match (self.delivery, self.ended_delivery) {
            (0, 0) => self.phase.to_string(),
            (0, ended) => format!("{}; delivery {ended} ended: {}", self.phase, self.stop_cause),
            (runs, _) => format!("{}, delivery {runs}", self.phase),
        };
        let (volts, amperes) = (thousandths(self.output_millivolts), thousandths(self.output_milliamperes));
        let asked = (thousandths(self.requested_millivolts), thousandths(self.requested_milliamperes));
        let since = span(now.0.saturating_sub(self.offered_since_boottime_millis));
        let modules = self.modules_joined;
        item(&format!("connector {number}"), &delivery)
            + &item("  output", &format!("{volts} V, {amperes} A; asked for {} V, {} A", asked.0, asked.1))
            + &item("  offered", &format!("{} W by {}, for {since}", self.offered_watts, self.offered_by))
            + &item("  limit", &format!("{} W", self.limit_watts))
            + &item("  modules", &format!("{modules} joined"))
            + &item("  plug", &format!("{}, lock {}, {}", self.plug, self.lock, celsius(self.plug_celsius)))
    }
}

impl Report {
    /// The report as a technician reads it in a terminal.
    fn to_text(&self, now: BoottimeMillis) -> String {
        let mut text = item("rated", &format!("{} W", self.rated_watts));
        for (number, connector) in &self.connectors {
            text += &connector.to_text(*number, now);
        }
        text += &item("modules", &format!("{} of {} answer", self.modules_present, self.modules.len()));
        text += "\n";
        text += &modules(&self.modules);
        text += "\n";
        text += &relays(&self.relays);
        text += "\n";
        text += &buses(&self.can_buses, now);
        text += "\n";
        if self.conditions.is_empty() {
            return text + &item("wrong", "nothing");
        }
        for Condition { code, connector, detail } in &self.conditions {
            let place = if *connector == ConnectorId::STATION { "station" } else { &format!("connector {connector}") };
            text += &item("wrong", &format!("{code} {place}: {detail}"));
        }
        text
    }
}

fn modules(modules: &[ModuleInfo]) -> String {
    let row = |module: &ModuleInfo| {
        let owner = if module.connector == ConnectorId::STATION { NOTHING } else { &module.connector.to_string() };
        [
            module.address.to_string(),
            or_nothing(&module.serial),
            owner.to_owned(),
            module.state.to_string(),
            thousandths(module.output_millivolts.0),
            thousandths(module.output_milliamperes.0),
            celsius(module.inlet_celsius),
            or_nothing(&module.alarms.join(", ")),
        ]
    };
    let heading = ["module", "serial", "connector", "state", "V", "A", "inlet", "alarms"];
    table(heading, &modules.iter().map(row).collect::<Vec<_>>())
}

fn relays(relays: &[RelayInfo]) -> String {
    let row = |relay: &RelayInfo| {
        let output = relay.module == OUTPUT_CONTACTORS;
        [
            relay.connector.to_string(),
            if output { "output".to_owned() } else { format!("module {}", relay.module) },
            relay.state.to_string(),
            relay.cycles.to_string(),
            relay.forced_openings.to_string(),
        ]
    };
    let heading = ["connector", "relay", "state", "cycles", "forced"];
    table(heading, &relays.iter().map(row).collect::<Vec<_>>())
}

fn buses(buses: &[CanBusState], now: BoottimeMillis) -> String {
    let row = |bus: &CanBusState| {
        [
            bus.bus.clone(),
            bus.state.to_string(),
            span(now.0.saturating_sub(bus.since_boottime_millis.0)),
            format!("{}.{} %", bus.load_permille / 10, bus.load_permille % 10),
            bus.frames_sent.to_string(),
            bus.frames_received.to_string(),
            bus.frames_dropped.to_string(),
            bus.error_frames.to_string(),
            format!("{}/{}", bus.transmit_errors, bus.receive_errors),
            bus.bus_offs.to_string(),
            bus.address.clone(),
        ]
    };
    let heading =
        ["bus", "state", "for", "load", "sent", "received", "dropped", "errors", "counters", "bus-offs", "address"];
    table(heading, &buses.iter().map(row).collect::<Vec<_>>())
}

/// Volts or amperes with one place.
fn thousandths(value: u32) -> String {
    format!("{:.1}", f64::from(value) / 1000.0)
}

fn celsius(celsius: i32) -> String {
    if celsius == CELSIUS_UNKNOWN { NOTHING.to_owned() } else { format!("{celsius} °C") }
}

fn or_nothing(text: &str) -> String {
    if text.is_empty() { NOTHING.to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use busbar_interfaces::words::{BusState, ModuleState, RelayState};
    use busbar_interfaces::{Milliamperes, Millivolts, Watts};

    fn connector() -> Connector {
        Connector {
            plug: Plug::Plugged,
            lock: Lock::Locked,
            phase: Phase::Delivering,
            delivery: 7,
            ended_delivery: 6,
            stop_cause: StopCause::Vehicle,
            requested_millivolts: 410_000,
            requested_milliamperes: 60_000,
            output_millivolts: 400_000,
            output_milliamperes: 59_960,
            limit_watts: 180_000,
            offered_watts: 30_000,
            offered_by: OfferedBy::Share,
            offered_since_boottime_millis: 15_000,
            modules_joined: 1,
            plug_celsius: CELSIUS_UNKNOWN,
        }
    }

    fn report() -> Report {
        let module = ModuleInfo {
            address: 1,
            serial: String::new(),
            connector: ConnectorId(1),
            state: ModuleState::On,
            rated_watts: Watts(30_000),
            output_millivolts: Millivolts(400_000),
            output_milliamperes: Milliamperes(59_960),
            inlet_celsius: 31,
            alarms: vec!["fan".to_owned(), "derating".to_owned()],
        };
        let free = ModuleInfo { address: 12, connector: ConnectorId::STATION, alarms: Vec::new(), ..module.clone() };
        let bus = CanBusState {
            bus: "modules".to_owned(),
            address: "socketcan:can0".to_owned(),
            state: BusState::Passive,
            since_boottime_millis: BoottimeMillis(60_000),
            frames_sent: 1200,
            frames_received: 3,
            frames_dropped: 0,
            error_frames: 4,
            transmit_errors: 128,
            receive_errors: 0,
            bus_offs: 1,
            load_permille: 57,
        };
        Report {
            rated_watts: 180_000,
            modules_present: 2,
            connectors: BTreeMap::from([(1, connector())]),
            modules: vec![module, free],
            relays: vec![
                RelayInfo {
                    connector: ConnectorId(1),
                    module: OUTPUT_CONTACTORS,
                    state: RelayState::Closed,
                    cycles: 1203,
                    forced_openings: 1,
                },
                RelayInfo {
                    connector: ConnectorId(2),
                    module: 12,
                    state: RelayState::Open,
                    cycles: 7,
                    forced_openings: 0,
                },
            ],
            can_buses: vec![bus],
            conditions: Vec::new(),
        }
    }

    #[test]
    fn the_power_side_at_work() {
        assert_eq!(
            report().to_text(BoottimeMillis(80_000)),
            "rated            180000 W\n\
             connector 1      delivering, delivery 7\n  \
               output         400.0 V, 60.0 A; asked for 410.0 V, 60.0 A\n  \
               offered        30000 W by share, for 1 min 5 s\n  \
               limit          180000 W\n  \
               modules        1 joined\n  \
               plug           plugged, lock locked, -\n\
             modules          2 of 2 answer\n\n\
             module  serial  connector  state  V      A     inlet  alarms\n     \
                  1  -       1          on     400.0  60.0  31 °C  fan, derating\n    \
                 12  -       -          on     400.0  60.0  31 °C  -\n\n\
             connector  relay      state   cycles  forced\n\
             \x20       1  output     closed    1203       1\n\
             \x20       2  module 12  open         7       0\n\n\
             bus      state    for   load   sent  received  dropped  errors  counters  bus-offs  address\n\
             modules  passive  20 s  5.7 %  1200         3        0       4  128/0            1  socketcan:can0\n\n\
             wrong            nothing\n"
        );
    }

    #[test]
    fn what_is_wrong_and_why_the_last_delivery_ended_is_told() {
        let condition = |connector, detail: &str| Condition {
            code: "0x200003".to_owned(),
            connector: ConnectorId(connector),
            detail: detail.to_owned(),
        };
        let ended = Connector { phase: Phase::Idle, delivery: 0, ..connector() };
        let conditions = vec![condition(0, "the I/O port refused"), condition(2, "locked\nout")];
        let report = Report { connectors: BTreeMap::from([(2, ended)]), conditions, ..report() };
        let text = report.to_text(BoottimeMillis(80_000));
        for said in [
            "connector 2      idle; delivery 6 ended: vehicle\n",
            "wrong            0x200003 station: the I/O port refused\n",
            "wrong            0x200003 connector 2: locked\\nout\n",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
    }
}
