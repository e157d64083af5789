//! The steps of one move of a module (hardware notes §6.2, rules 3, 5 and 8): the car is told, the module is switched
//! off, its relay opens, it is brought to the other bus's voltage, the other relay closes. Pure; one move at a time.

use super::Address;
use super::relays::NO_CURRENT;
use super::seen::{ConnectorSeen, Joining, ModuleSeen, Preparation};
use crate::figures::DEAD;
use busbar_interfaces::{BoottimeMillis, ConnectorId, Millivolts, Watts};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The car has this time to come down to what stays (rule 8).
const TOLD: Duration = Duration::from_secs(3);
/// A module has this time to come to the voltage of the bus: a soft start takes 2 to 8 s (hardware notes §1.1).
const MATCHED_WITHIN: Duration = Duration::from_secs(15);
/// A relay may close with at most this between its sides (rule 3, our default).
const CLOSE: u32 = 10_000;
/// Likewise when both sides are dead (rule 3, at most).
const CLOSE_DEAD: u32 = 20_000;
/// A fresh reading is not older than this (rule 3).
const FRESH: Duration = Duration::from_millis(500);
/// A bus that wanders less than this is followed no further.
const SMALL_STEP: u32 = 2_000;

/// How far a move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// The car that loses the module is told, and comes down.
    Reducing,
    /// The module is off; its relays open as soon as no current flows.
    Leaving,
    /// It is brought to the voltage of the bus that it joins.
    Matching,
    /// Its relay closes.
    Closing,
}

/// A module on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Which.
    pub module: Address,
    /// From where; nothing when it was free.
    pub from: Option<ConnectorId>,
    /// To where; nothing when nobody needs it.
    pub to: Option<ConnectorId>,
    /// Its owner did not need it.
    pub idle: bool,
    /// How far it is.
    pub step: Step,
    step_since: BoottimeMillis,
    /// The voltage that it is brought to.
    voltage: Option<Millivolts>,
}

/// What a move is told.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Where it comes from.
    pub from: Option<&'a ConnectorSeen>,
    /// Where it goes.
    pub to: Option<&'a ConnectorSeen>,
    /// The module.
    pub module: &'a ModuleSeen,
    /// The voltage of the bus that it joins, as far as it is known.
    pub bus: Option<Millivolts>,
    /// What the modules that stay can give.
    pub remainder: Watts,
    /// All its relays are open.
    pub all_open: bool,
    /// Its new relay has closed.
    pub closed: bool,
    /// A relay of its path has failed.
    pub failed: bool,
}

/// What has become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It goes on.
    Goes,
    /// The relay may close, as far as voltages and currents go.
    MayClose,
    /// The module is where it was to go.
    Arrived,
    /// It stays where it was.
    Stays,
    /// Off and both relays open.
    GivenUp,
    /// Likewise, at once.
    Emergency,
}

impl Move {
    /// Begins.
    pub fn begin(now: BoottimeMillis, module: Address, from: Option<ConnectorId>, to: Option<ConnectorId>) -> Move {
        let step = if from.is_some() { Step::Reducing } else { Step::Leaving };
        Move { module, from, to, idle: false, step, step_since: now, voltage: None }
    }

    /// What the module is told meanwhile.
    pub fn preparation(&self) -> Preparation {
        match (self.step, self.voltage) {
            (Step::Reducing, _) => Preparation::Normal,
            (Step::Matching | Step::Closing, Some(voltage)) => Preparation::Joining(voltage),
            _ => Preparation::Off,
        }
    }

    /// Goes as far as it can now.
    pub fn advance(&mut self, now: BoottimeMillis, view: &View<'_>) -> Progress {
        if view.from.is_some_and(|from| from.emergency) || view.to.is_some_and(|to| to.emergency) {
            return Progress::Emergency;
        }
        if view.failed || (view.module.silent && !view.module.surely_dead) {
            return if self.step == Step::Reducing { Progress::Stays } else { Progress::GivenUp };
        }
        match self.step {
            Step::Reducing => self.reduce(now, view),
            Step::Leaving if !view.all_open => Progress::Goes,
            Step::Leaving if self.to.is_none() => Progress::Arrived,
            Step::Leaving => self.enter(now, Step::Matching),
            Step::Matching => self.match_bus(now, view),
            Step::Closing if view.closed => Progress::Arrived,
            Step::Closing => Move::close(view),
        }
    }

    /// The relay was ordered closed.
    pub fn closing(&mut self, now: BoottimeMillis) {
        self.enter(now, Step::Closing);
    }

    fn enter(&mut self, now: BoottimeMillis, step: Step) -> Progress {
        (self.step, self.step_since) = (step, now);
        Progress::Goes
    }

    fn reduce(&mut self, now: BoottimeMillis, view: &View<'_>) -> Progress {
        let Some(from) = view.from else { return self.enter(now, Step::Leaving) };
        let still_wanted = self.to.is_none() || view.to.is_some_and(|to| to.in_use && to.joining != Joining::Held);
        if from.hands_off || (from.in_use && from.joining == Joining::Held) || !still_wanted {
            return Progress::Stays;
        }
        let told = now > self.step_since && from.asked <= view.remainder;
        let nothing_flows = !from.in_use || from.joining == Joining::Dead;
        if told || nothing_flows || now.since(self.step_since) >= TOLD {
            return self.enter(now, Step::Leaving);
        }
        Progress::Goes
    }

    fn match_bus(&mut self, now: BoottimeMillis, view: &View<'_>) -> Progress {
        let Some(to) = view.to.filter(|to| to.in_use && !to.hands_off) else { return Progress::GivenUp };
        if to.joining == Joining::Held || !view.module.usable || now.since(self.step_since) >= MATCHED_WITHIN {
            return Progress::GivenUp;
        }
        self.follow(to, view.bus);
        // A reading that is fresh may be from before the module was switched off: it has to be one of what it gives now.
        let read_since = if to.joining == Joining::Live { FRESH } else { Duration::ZERO };
        let is_of_now = now > self.step_since && now.since(self.step_since) >= read_since;
        if is_of_now && may_join(to, view) { Progress::MayClose } else { Progress::Goes }
    }

    /// The relay is on its way, and what is on its way cannot be called back: the module keeps its voltage until the
    /// contact has arrived. Taken off meanwhile, it would be joined with a difference.
    fn close(view: &View<'_>) -> Progress {
        if view.module.usable { Progress::Goes } else { Progress::GivenUp }
    }

    fn follow(&mut self, to: &ConnectorSeen, bus: Option<Millivolts>) {
        if to.joining == Joining::Dead {
            self.voltage = None;
        } else if let Some(bus) = bus
            && self.voltage.is_none_or(|voltage| voltage.0.abs_diff(bus.0) > SMALL_STEP)
        {
            self.voltage = Some(bus);
        }
    }
}

/// Rule 3, and before the cable check rule 5: both sides measured, no current, and no difference that matters.
fn may_join(to: &ConnectorSeen, view: &View<'_>) -> bool {
    let module = view.module;
    let Some(bus) = view.bus else { return false };
    let difference = module.voltage.0.abs_diff(bus.0);
    let quiet = module.fresh && module.current < NO_CURRENT;
    match to.joining {
        Joining::Dead => {
            let dead = module.voltage < DEAD && bus < DEAD;
            quiet && module.at_rest && to.at_rest && dead && difference <= CLOSE_DEAD
        }
        // What is read is rounded, and the bus may wander by a small step while the contact travels.
        Joining::Live => quiet && difference <= CLOSE.saturating_sub(SMALL_STEP),
        Joining::Held => false,
    }
}
