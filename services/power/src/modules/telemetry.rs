//! What one module has said: readings, ratings, alarms, and what follows from them for its use. Pure.

use super::alarm::{self, Alarm, Severity};
use super::driver::{Address, Asked, Ratings, Reading, Refusal, Reply, Status};
use crate::figures::DEAD;
use crate::watchdogs;
use busbar_interfaces::{BoottimeMillis, Milliamperes, Millivolts};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// A module that has not been read for this time does not count (hardware notes §9.4).
pub const SILENCE: Duration = watchdogs::MODULE_IN_SESSION.limit;
/// Alarms must have been clear for this time before a module is used again.
const CLEAR: Duration = Duration::from_secs(10);
/// Below this current a module does not deliver.
const NO_CURRENT: Milliamperes = Milliamperes(300);
/// A reading that a relay may be closed by is not older (hardware notes §6.2.3).
const FRESH: Duration = Duration::from_millis(500);

/// Why a module is not used although it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bar {
    /// It reports an alarm that stands against it.
    Alarmed,
    /// The alarm is gone, or the module was lost in use and is back, or did not take an order, since then.
    ClearSince(BoottimeMillis),
}

/// What a module is told to do while it speaks: its current, and since when it is on.
pub type ToldOn = Option<(Milliamperes, BoottimeMillis)>;

/// What one module has said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Telemetry {
    /// Output voltage.
    pub voltage: Millivolts,
    /// Output current.
    pub current: Milliamperes,
    /// When it last said anything.
    pub heard: Option<BoottimeMillis>,
    voltage_at: Option<BoottimeMillis>,
    current_at: Option<BoottimeMillis>,
    /// Readings in a row without current.
    pub quiet_readings: u32,
    /// What it reports.
    pub alarms: BTreeSet<Alarm>,
    /// When its status was last read.
    pub status_at: Option<BoottimeMillis>,
    /// Air at its inlet, °C.
    pub ambient_celsius: Option<i16>,
    /// Its group.
    pub group: Option<u8>,
    /// What it can give; assumed until it has told.
    pub ratings: Ratings,
    /// It has told its ratings.
    pub ratings_known: bool,
    /// The voltage beyond its output diode.
    pub bus_voltage: Option<Millivolts>,
    /// The current that it says it could give.
    pub available: Option<Milliamperes>,
    /// Line voltages of the mains.
    pub mains: [Option<Millivolts>; 3],
    /// Its serial number.
    pub serial: Option<String>,
    /// Questions that it does not know.
    pub refused: BTreeSet<Reading>,
    /// Commands that it refused when it was last told.
    refused_commands: BTreeSet<u8>,
    /// What stands against its use.
    pub bar: Option<Bar>,
    /// The current that it cannot exceed now, below its rating.
    pub cap: Option<Milliamperes>,
}

impl Telemetry {
    /// A module that has not said anything.
    pub fn new(assumed: Ratings) -> Telemetry {
        Telemetry {
            voltage: Millivolts(0),
            current: Milliamperes(0),
            heard: None,
            voltage_at: None,
            current_at: None,
            quiet_readings: 0,
            alarms: BTreeSet::new(),
            status_at: None,
            ambient_celsius: None,
            group: None,
            ratings: assumed,
            ratings_known: false,
            bus_voltage: None,
            available: None,
            mains: [None; 3],
            serial: None,
            refused: BTreeSet::new(),
            refused_commands: BTreeSet::new(),
            bar: None,
            cap: None,
        }
    }

    /// When voltage and current were last read, both.
    pub fn measured_at(&self) -> Option<BoottimeMillis> {
        Some(self.voltage_at?.min(self.current_at?))
    }

    /// Anything was heard in the last 2 s.
    pub fn is_heard(&self, now: BoottimeMillis) -> bool {
        self.heard.is_some_and(|heard| now.since(heard) < SILENCE)
    }

    /// Voltage and current were read in the last 2 s.
    pub fn is_measured(&self, now: BoottimeMillis) -> bool {
        self.measured_at().is_some_and(|measured| now.since(measured) < SILENCE)
    }

    /// They were read in the last half second.
    pub fn is_fresh(&self, now: BoottimeMillis) -> bool {
        self.measured_at().is_some_and(|measured| now.since(measured) < FRESH)
    }

    /// It is read, and nothing stands against its use.
    pub fn is_usable(&self, now: BoottimeMillis) -> bool {
        self.is_measured(now) && !self.is_barred(now)
    }

    /// Alarms stand against its use, or have not been clear for long enough.
    pub fn is_barred(&self, now: BoottimeMillis) -> bool {
        match self.bar {
            None => false,
            Some(Bar::Alarmed) => true,
            Some(Bar::ClearSince(since)) => now.since(since) < CLEAR,
        }
    }

    /// A fresh reading says that neither voltage nor current is there.
    pub fn is_measured_dead(&self, now: BoottimeMillis) -> bool {
        self.is_fresh(now) && self.quiet_readings >= 2 && self.voltage < DEAD
    }

    /// What it can give, in mA, at this voltage: rating, power, and what it says of itself.
    pub fn limit(&self, voltage: Millivolts) -> Milliamperes {
        let rated = self.ratings.maximum_current;
        // By whole volts, so that the noise of a reading makes no new set-points.
        let volts = if self.voltage >= DEAD { self.voltage } else { voltage }.0.div_ceil(1000);
        let by_power = u64::from(self.ratings.power.0).saturating_mul(1000).checked_div(u64::from(volts));
        let by_power = by_power.map_or(rated, |most| Milliamperes(u32::try_from(most).unwrap_or(u32::MAX)));
        rated.min(by_power).min(self.cap.unwrap_or(rated))
    }

    /// It was lost in use and is back, or did not do as told: not used before it has been well for a while.
    pub fn stay_away(&mut self, now: BoottimeMillis) {
        if self.bar != Some(Bar::Alarmed) {
            self.bar = Some(Bar::ClearSince(now));
        }
    }

    /// Takes in what it says.
    pub fn hear(&mut self, now: BoottimeMillis, module: Address, told: ToldOn, reply: Reply) {
        self.heard = Some(now);
        match reply {
            Reply::Output { voltage, current } => {
                self.hear_voltage(now, voltage);
                self.hear_current(now, current);
            }
            Reply::Voltage(voltage) => self.hear_voltage(now, voltage),
            Reply::Current(current) => self.hear_current(now, current),
            Reply::Status(status) => self.hear_status(now, module, told, status),
            Reply::Ambient(celsius) => self.ambient_celsius = Some(celsius),
            Reply::Ratings(ratings) => (self.ratings, self.ratings_known) = (ratings, true),
            Reply::Available { bus_voltage, current } => {
                self.bus_voltage = bus_voltage.or(self.bus_voltage);
                self.available = Some(current);
                self.hear_available(now, told, current);
            }
            Reply::Mains(lines) => {
                for (line, told) in self.mains.iter_mut().zip(lines) {
                    *line = told.or(*line);
                }
            }
            Reply::Serial(serial) => self.serial = Some(serial),
            Reply::Taken { command } => {
                self.refused_commands.remove(&command);
            }
            Reply::Refused { command, asked, refusal } => self.hear_refusal(now, module, command, (asked, refusal)),
            Reply::Unreadable { command } => tracing::trace!(module = module.0, command, "a reading that is no number"),
            Reply::Count(_) => {}
        }
    }

    fn hear_voltage(&mut self, now: BoottimeMillis, voltage: Millivolts) {
        (self.voltage, self.voltage_at) = (voltage, Some(now));
    }

    fn hear_current(&mut self, now: BoottimeMillis, current: Milliamperes) {
        (self.current, self.current_at) = (current, Some(now));
        let quiet = current < NO_CURRENT;
        self.quiet_readings = if quiet { self.quiet_readings.saturating_add(1) } else { 0 };
    }

    fn hear_status(&mut self, now: BoottimeMillis, module: Address, told: ToldOn, status: Status) {
        let against = alarm::worst(&status.alarms) >= Severity::Unavailable;
        let alarms = alarm::words(&status.alarms);
        if alarms != alarm::words(&self.alarms) {
            tracing::warn!(module = module.0, alarms, "a module reports other alarms than before");
        }
        match (self.bar, against) {
            (Some(Bar::Alarmed), false) => {
                tracing::info!(module = module.0, "the alarms of a module are clear");
                self.bar = Some(Bar::ClearSince(now));
            }
            (Some(Bar::Alarmed), true) | (_, false) => {}
            (_, true) => {
                tracing::error!(module = module.0, alarms, "a module must not be used");
                self.bar = Some(Bar::Alarmed);
            }
        }
        self.alarms = status.alarms;
        self.ambient_celsius = status.ambient_celsius.or(self.ambient_celsius);
        self.group = status.group.or(self.group);
        self.status_at = Some(now);
        // One that says it is limited and has not said to what gives what it gives.
        if let Some((asked, _)) = told.filter(|_| self.is_derating() && self.available.is_none())
            && self.current.0.saturating_add(self.tolerance()) < asked.0
        {
            self.cap = Some(self.current);
        }
    }

    fn is_derating(&self) -> bool {
        self.alarms.contains(&Alarm::Derating)
    }

    fn tolerance(&self) -> u32 {
        (self.ratings.maximum_current.0 / 20).max(1000)
    }

    /// A module that could give less than it is told has a cap. Some makes tell what they could give, some no more than
    /// they are told: one that says as much as it is told is tried with a little more, less of it while it derates.
    fn hear_available(&mut self, now: BoottimeMillis, told: ToldOn, available: Milliamperes) {
        let Some((asked, on_since)) = told else {
            self.cap = None;
            return;
        };
        // While it starts it gives nothing yet, and that is no limit.
        if now.since(on_since) < SILENCE || self.voltage < DEAD || available.0 == 0 {
            return;
        }
        let (rated, tolerance) = (self.ratings.maximum_current, self.tolerance());
        let (less, more) = if self.is_derating() { (NO_CURRENT.0, rated.0 / 100) } else { (tolerance, rated.0 / 10) };
        let differs = available.0.saturating_add(less) < asked.0 || available.0 > asked.0.saturating_add(tolerance);
        let cap = if differs { Some(available) } else { self.cap.map(|cap| Milliamperes(cap.0.saturating_add(more))) };
        self.cap = cap.filter(|cap| *cap < rated);
    }

    /// A module that does not take an order goes on with the last one: it is not used for a while.
    fn hear_refusal(&mut self, now: BoottimeMillis, module: Address, command: u8, refused: (Asked, Refusal)) {
        match refused {
            (Asked::Reading(reading), Refusal::CommandInvalid) => {
                tracing::debug!(module = module.0, ?reading, "a module does not know a question");
                self.refused.insert(reading);
            }
            (Asked::Reading(_), _) => {}
            (asked, refusal) => {
                if self.refused_commands.insert(command) {
                    tracing::warn!(module = module.0, command, ?refusal, "a module refuses a command");
                }
                if asked == Asked::Order && refusal != Refusal::Busy {
                    self.stay_away(now);
                }
            }
        }
    }
}
