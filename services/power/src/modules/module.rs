//! One module: what it is told, when that is said again, and what it is asked. Pure.

use super::driver::{Address, Capabilities, ModuleDriver, Reading, Reply, Target};
use super::telemetry::{Telemetry, ToldOn};
use crate::can::Frame;
use crate::watchdogs;
use busbar_interfaces::{BoottimeMillis, ConnectorId, Milliamperes, Millivolts};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// A module in use is asked for volts and amperes this often.
const READ_IN_USE: Duration = Duration::from_millis(100);
/// Any other module, and the status of each.
const READ_AT_REST: Duration = Duration::from_secs(1);
/// What it could give, in use and otherwise.
const READ_AVAILABLE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_millis(1500));
const READ_MAINS: Duration = Duration::from_secs(10);
/// Ratings and serial number are asked for this often at most.
const TRIES: u8 = 5;
/// For this time after an order the next step of the sequence waits for a module's reading.
const AFTER_ORDER: Duration = Duration::from_millis(1500);
/// A set-point is repeated this often: a keep-alive of at least 1 Hz (V1.13: silence switches off).
const REPEAT_SETPOINT: Duration = Duration::from_millis(900);
/// Off is said three times at this distance (hardware notes §9.5).
pub const REPEAT_OFF: Duration = Duration::from_millis(50);
/// A module may switch off on silence this much later than it has to.
const SILENCE_MARGIN: Duration = watchdogs::MODULE_RELEASE.limit.saturating_sub(watchdogs::CONTROLLER_TO_MODULE.limit);
/// A change of voltage up to this is no new step of the sequence.
const SMALL_STEP: u32 = 5_000;

/// What a module is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Off.
    Off,
    /// On, with this set-point.
    On {
        /// Voltage.
        voltage: Millivolts,
        /// Most current.
        current: Milliamperes,
    },
}

impl Order {
    fn voltage(self) -> Option<Millivolts> {
        match self {
            Order::Off => None,
            Order::On { voltage, .. } => Some(voltage),
        }
    }

    /// Its current; nothing when off.
    pub fn current(self) -> Milliamperes {
        match self {
            Order::Off => Milliamperes(0),
            Order::On { current, .. } => current,
        }
    }
}

/// What a module does apart from the others of its connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Hold {
    /// Nothing: it does what its connector asks.
    #[default]
    Follow,
    /// It is off, to be moved.
    Off,
    /// It is on at this voltage without current, to be joined.
    Prepared(Millivolts),
}

/// When it is asked next.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Asks {
    output: BoottimeMillis,
    others: BTreeMap<Reading, BoottimeMillis>,
    /// So often since it is heard.
    tries: BTreeMap<Reading, u8>,
}

/// One module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Module {
    /// Its address.
    pub address: Address,
    /// The serial number that the station file gives.
    pub serial: Option<String>,
    /// The connector that it works for.
    pub owner: Option<ConnectorId>,
    /// Its relay to the owner's bus is closed, as the mirror contact says.
    pub joined: bool,
    /// What it has said.
    pub said: Telemetry,
    /// What it does apart from its connector.
    pub hold: Hold,
    /// `None` until its connector has decided whether to take a running output over.
    pub order: Option<Order>,
    told: Option<(Order, BoottimeMillis)>,
    off_repeats: u8,
    /// The current that it was told before it was told to be off.
    shed: Milliamperes,
    /// It fell silent while it was told to deliver, and is neither back nor surely off.
    pub lost: bool,
    switched_on_at: BoottimeMillis,
    /// When it was last switched, or given another voltage.
    switched_at: BoottimeMillis,
    /// The soft start was set since it is heard.
    walk_in_told: bool,
    asks: Asks,
}

impl Module {
    /// A module that has not been heard.
    pub fn new(address: Address, serial: Option<String>, can: &Capabilities) -> Module {
        Module {
            address,
            serial,
            owner: None,
            joined: false,
            said: Telemetry::new(can.assumed),
            hold: Hold::Follow,
            order: None,
            told: None,
            off_repeats: 0,
            shed: Milliamperes(0),
            lost: false,
            switched_on_at: BoottimeMillis(0),
            switched_at: BoottimeMillis(0),
            walk_in_told: false,
            asks: Asks::default(),
        }
    }

    /// It is told to be on.
    pub fn is_on(&self) -> bool {
        matches!(self.order, Some(Order::On { .. }))
    }

    /// It can take a share of its connector's current.
    pub fn gives(&self, now: BoottimeMillis) -> bool {
        self.joined && self.hold != Hold::Off && self.said.is_usable(now)
    }

    /// It has not answered for so long that it has switched itself off. Modules hear what they do not answer: the time
    /// runs from when it was told to be off, and only of a make that does so.
    pub fn must_be_off(&self, now: BoottimeMillis, started: BoottimeMillis, can: &Capabilities) -> bool {
        let silent = now.since(self.said.measured_at().unwrap_or(started).max(self.switched_at));
        let limit = can.silence_shutdown.map(|limit| limit.saturating_add(SILENCE_MARGIN));
        !self.is_on() && limit.is_some_and(|limit| silent > limit)
    }

    /// It is told to be off, and two readings since say that no current flows.
    pub fn is_quiet(&self, now: BoottimeMillis, can: &Capabilities) -> bool {
        let settled = now.since(self.switched_at) >= can.off_settle;
        self.order == Some(Order::Off) && settled && self.said.is_measured(now) && self.said.quiet_readings >= 2
    }

    /// It is quiet, or must be off by its silence.
    pub fn is_at_rest(&self, now: BoottimeMillis, started: BoottimeMillis, can: &Capabilities) -> bool {
        self.is_quiet(now, can) || (self.order == Some(Order::Off) && self.must_be_off(now, started, can))
    }

    /// The current that it may still give although it is not told to.
    pub fn may_still_give(&self, now: BoottimeMillis, started: BoottimeMillis, can: &Capabilities) -> Milliamperes {
        let over = self.is_at_rest(now, started, can) || self.must_be_off(now, started, can);
        if over { Milliamperes(0) } else { self.shed.max(self.said.current) }
    }

    /// Notes that it has fallen silent in use.
    pub fn notice_loss(&mut self, now: BoottimeMillis, started: BoottimeMillis, can: &Capabilities) {
        if self.is_on() && !self.said.is_measured(now) && !self.lost {
            tracing::error!(module = self.address.0, "a module has fallen silent in use");
            self.lost = true;
        }
        self.lost &= !self.must_be_off(now, started, can);
    }

    /// Takes in what it says.
    pub fn hear(&mut self, now: BoottimeMillis, reply: Reply) {
        if !self.said.is_heard(now) {
            // It may be another one, or have been without power.
            self.walk_in_told = false;
            self.asks.tries.clear();
            self.said.refused.clear();
        }
        let told: ToldOn = match self.told {
            Some((Order::On { current, .. }, _)) => Some((current, self.switched_on_at)),
            _ => None,
        };
        self.said.hear(now, self.address, told, reply);
        if self.lost && self.said.is_measured(now) {
            tracing::info!(module = self.address.0, "a module that was lost in use is back");
            self.lost = false;
            self.said.stay_away(now);
        }
    }

    /// Gives it an order.
    pub fn give(&mut self, now: BoottimeMillis, order: Order) {
        if self.order == Some(order) {
            return;
        }
        let step = match (self.order.and_then(Order::voltage), order.voltage()) {
            (Some(before), Some(after)) => before.0.abs_diff(after.0) > SMALL_STEP,
            (before, after) => self.order.is_none() || before != after,
        };
        if order == Order::Off {
            self.off_repeats = 3;
            self.said.quiet_readings = 0;
            self.shed = self.order.map_or(Milliamperes(0), Order::current);
        }
        if step {
            self.switched_at = now;
            // What the module does then is asked at once, not at the next turn.
            self.asks.output = BoottimeMillis(0);
        }
        self.order = Some(order);
    }

    /// It is no longer prepared to be joined.
    pub fn let_go(&mut self) {
        if self.hold != Hold::Off {
            self.hold = Hold::Follow;
        }
    }

    /// It was switched lately: the sequence waits for its readings.
    pub fn is_awaited(&self, now: BoottimeMillis) -> bool {
        now.since(self.switched_at) < AFTER_ORDER
    }

    /// What it does is to be asked at once.
    pub fn ask_now(&mut self) {
        self.asks.output = BoottimeMillis(0);
        self.asks.others.remove(&Reading::Status);
    }

    /// Orders go out by this rank: off first, then what falls, then what rises.
    pub fn rank(&self) -> u8 {
        let told = self.told.map_or(Milliamperes(0), |(told, _)| told.current());
        match self.order {
            None | Some(Order::Off) => 0,
            Some(order) if order.current() < told => 1,
            Some(_) => 2,
        }
    }

    /// What it is to be told now.
    pub fn orders_due(&mut self, now: BoottimeMillis, driver: &dyn ModuleDriver, frames: &mut Vec<Frame>) {
        let Some(order) = self.order else { return };
        let again = match order {
            Order::Off if self.off_repeats > 0 => REPEAT_OFF,
            _ => REPEAT_SETPOINT,
        };
        let told = self.told.map(|(told, _)| told);
        if self.told.is_some_and(|(told, at)| told == order && now.since(at) < again) {
            return;
        }
        match order {
            Order::Off => {
                self.off_repeats = self.off_repeats.saturating_sub(1);
                frames.extend(driver.switch(Target::Module(self.address), false));
            }
            Order::On { voltage, current } => {
                let was_off = !matches!(told, Some(Order::On { .. }));
                frames.extend(driver.set(self.address, voltage, current));
                if was_off || self.says_off(now) {
                    self.switched_on_at = now;
                    frames.extend(driver.switch(Target::Module(self.address), true));
                }
            }
        }
        self.told = Some((order, now));
    }

    /// One that says it is off although it was told to be on, some time ago, is told once more.
    fn says_off(&self, now: BoottimeMillis) -> bool {
        let off = self.said.alarms.contains(&super::alarm::Alarm::OutputOff);
        let heard_since = self.said.status_at.is_some_and(|at| at > self.switched_on_at.after(REPEAT_SETPOINT / 2));
        off && heard_since && now.since(self.switched_on_at) >= REPEAT_SETPOINT
    }

    /// Asks for volts and amperes when that is due; `soon` is how often one is asked whose reading is waited for.
    pub fn output_asked(&mut self, now: BoottimeMillis, in_use: bool, soon: Duration) -> bool {
        let in_use = in_use || self.is_on();
        let due = self.asks.output <= now;
        if due {
            let every = if self.is_awaited(now) && (in_use || self.said.is_heard(now)) {
                soon
            } else if in_use {
                READ_IN_USE
            } else {
                READ_AT_REST
            };
            self.asks.output = now.after(every);
        }
        due
    }

    /// The other question that has been due the longest, and since when.
    pub fn question_due(&self, now: BoottimeMillis) -> Option<(BoottimeMillis, Reading)> {
        let heard = self.said.is_heard(now);
        let untold = |what| heard && self.asks.tries.get(&what).is_none_or(|tries| *tries < TRIES);
        let questions = [
            (Reading::Status, true),
            (Reading::Ratings, !self.said.ratings_known && untold(Reading::Ratings)),
            (Reading::Serial, self.said.serial.is_none() && untold(Reading::Serial)),
            (Reading::Available, heard),
            (Reading::Mains, heard),
        ];
        let wanted = questions.into_iter().filter(|(what, wanted)| *wanted && !self.said.refused.contains(what));
        let due = wanted.map(|(what, _)| (self.asks.others.get(&what).copied().unwrap_or_default(), what));
        due.filter(|(at, _)| *at <= now).min()
    }

    /// Notes that a question goes out.
    pub fn asked(&mut self, now: BoottimeMillis, what: Reading, in_use: bool) {
        let every = match what {
            Reading::Available if in_use || self.is_on() => READ_AVAILABLE.0,
            Reading::Available => READ_AVAILABLE.1,
            Reading::Mains => READ_MAINS,
            _ => READ_AT_REST,
        };
        self.asks.others.insert(what, now.after(every));
        let tries = self.asks.tries.entry(what).or_default();
        *tries = tries.saturating_add(1);
    }

    /// The soft start is set once after it is heard, while it is off.
    pub fn walk_in_due(
        &mut self,
        now: BoottimeMillis,
        enabled: bool,
        driver: &dyn ModuleDriver,
        frames: &mut Vec<Frame>,
    ) {
        if !self.walk_in_told && self.said.is_heard(now) && matches!(self.told, Some((Order::Off, _))) {
            self.walk_in_told = true;
            frames.extend(driver.walk_in(self.address, enabled));
        }
    }
}
