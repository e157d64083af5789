//! Every silence that the cabinet watches, in one table (hardware notes §9.4): who must be heard by whom, how long
//! silence is borne, what then happens, and where that is enforced. The code takes its limits from here.

use std::time::Duration;

/// Where a watchdog is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enforced {
    /// In this process, by the connector and its sequence.
    Connector,
    /// In this process, by the module rack.
    Rack,
    /// In this process, by the port of the I/O boards.
    Boards,
    /// In another device, which listens to us; this process must speak in time.
    Device,
    /// In another service.
    Metering,
    /// In wiring that the software assumes.
    Hardware,
    /// By nobody: the cabinet of this station file has no such part.
    NotFitted,
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watchdog {
    /// Who must be heard.
    pub source: &'static str,
    /// By whom.
    pub listener: &'static str,
    /// Silence that is borne; for a device that listens to us, its patience.
    pub limit: Duration,
    /// What happens then.
    pub action: &'static str,
    /// Who sees to it.
    pub enforced: Enforced,
}

const fn row(
    source: &'static str,
    listener: &'static str,
    limit: u64,
    action: &'static str,
    enforced: Enforced,
) -> Watchdog {
    Watchdog { source, listener, limit: Duration::from_millis(limit), action, enforced }
}

/// The module's own: it must hear a set-point.
pub const CONTROLLER_TO_MODULE: Watchdog =
    row("controller", "Infypower module", 10_000, "the module switches off", Enforced::Device);
/// A module in a session.
pub const MODULE_IN_SESSION: Watchdog =
    row("power module in session", "power", 2_000, "stop connector", Enforced::Rack);
/// A module that has been silent this long has switched itself off: a second after it has to.
pub const MODULE_RELEASE: Watchdog =
    row("power module", "power", 11_000, "drop from the split, release from the matrix", Enforced::Rack);
/// UUGreen modules promise nothing.
const CONTROLLER_TO_UUGREEN: Watchdog =
    row("controller", "UUGreenPower module", 0, "none can be relied on: contactor chain", Enforced::NotFitted);
/// Huawei modules.
const HUAWEI: Watchdog = row("Huawei module", "power", 2_000, "communication fault", Enforced::NotFitted);
/// The board's status.
pub const BOARD_STATUS: Watchdog =
    row("SECC 6B000", "power", 200, "stop power, open after I < 5 A or 1 s", Enforced::Connector);
/// The board's wish; not in the notes: two cycles and a half of its 100 ms.
pub const BOARD_CONTROL: Watchdog =
    row("SECC 6B003", "power", 250, "stop power, open after I < 5 A or 1 s", Enforced::Connector);
/// The board's pilot; not in the notes.
pub const BOARD_PILOT: Watchdog =
    row("SECC 6B203", "power", 1_000, "stop power, open after I < 5 A or 1 s", Enforced::Connector);
/// Our status: the period that the board expects.
pub const STATION_STATUS: Watchdog = row("station 63000", "SECC", 100, "SECC interlock", Enforced::Device);
/// A CHAdeMO vehicle's frames; the board bridges them, and its own silence is `BOARD_STATUS`.
const CHADEMO_VEHICLE: Watchdog = row("CHAdeMO 0x102", "SECC", 1_000, "stop, malfunction bit", Enforced::Device);
/// A CHAdeMO vehicle's patience.
const CHADEMO_STATION: Watchdog = row("SECC 0x109", "CHAdeMO vehicle", 1_000, "the vehicle drops k", Enforced::Device);
/// The insulation monitor is a relay on an I/O board: as old as that board's inputs.
pub const INSULATION: Watchdog = row("insulation monitor", "power", 5_000, "block start, stop", Enforced::Boards);
/// The monitor's own bus watchdog, where one is on a bus.
const INSULATION_BUS: Watchdog = row("bus", "Dold insulation monitor", 10_000, "alarm relay", Enforced::NotFitted);
/// The meter.
const METER: Watchdog = row("meter", "metering", 30_000, "end session", Enforced::Metering);
/// The I/O boards: three misses, which is at most 500 ms; the rest is for what then has to be done.
pub const INPUTS: Watchdog = row("I/O board", "power", 450, "stop inputs count as tripped", Enforced::Boards);
/// Safety and drivers are one process here; the service manager's watchdog sees a hung one.
const DRIVERS: Watchdog =
    row("safety process", "driver processes", 300, "one process: its watchdog ends it", Enforced::Hardware);
/// The relay in the supply of the coils.
const COIL_SUPPLY: Watchdog = row("safety process", "watchdog relay", 500, "coil supply off", Enforced::Hardware);

/// The whole table.
pub const TABLE: [&Watchdog; 17] = [
    &CONTROLLER_TO_MODULE,
    &MODULE_IN_SESSION,
    &MODULE_RELEASE,
    &CONTROLLER_TO_UUGREEN,
    &HUAWEI,
    &BOARD_STATUS,
    &BOARD_CONTROL,
    &BOARD_PILOT,
    &STATION_STATUS,
    &CHADEMO_VEHICLE,
    &CHADEMO_STATION,
    &INSULATION,
    &INSULATION_BUS,
    &METER,
    &INPUTS,
    &DRIVERS,
    &COIL_SUPPLY,
];

/// Says in the log which watchdogs this process keeps, and which it relies on.
pub fn tell() {
    for Watchdog { source, listener, limit, action, enforced } in TABLE {
        tracing::debug!(source, listener, limit_millis = limit.as_millis(), action, ?enforced, "watchdog");
    }
}
