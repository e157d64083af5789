//! All modules: whose they are, what comes in from them, and the frames that are due. How a connector's current is
//! shared is in `deliver`, what its modules do together in `output`, who is on the bus in `discovery`. Pure.

use super::deliver::Spread;
use super::discovery::Discovery;
use super::driver::{Address, Capabilities, Family, ModuleDriver, Reading, Target};
use super::module::{Hold, Module, Order, REPEAT_OFF};
use crate::can::Frame;
use busbar_interfaces::{BoottimeMillis, ConnectorId, Millivolts};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

pub use super::output::Output;

/// "Everyone off" is repeated so often after the first time (hardware notes §9.5).
const EVERYONE_OFF_REPEATS: u8 = 3;
/// A module whose order has just changed is asked this often, when there are few of them and when there are many: six
/// at the shorter distance would take half of a bus at 125 kbit/s.
const READ_AWAITED: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(50));
/// Questions other than for volts and amperes go out one at a time at this distance, so that they never fill the bus
/// before an order.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(20);
/// So many are few.
const FEW: usize = 3;

/// A module of the station file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitted {
    /// Its address on the bus.
    pub address: Address,
    /// Its serial number, if the file gives it.
    pub serial: Option<String>,
}

/// "Everyone off" is being said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct EveryoneOff {
    left: u8,
    next: BoottimeMillis,
}

/// All modules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rack {
    pub(super) family: Family,
    walk_in: bool,
    pub(super) started: BoottimeMillis,
    /// Since when this process reads.
    pub(super) looked_from: BoottimeMillis,
    pub(super) modules: BTreeMap<Address, Module>,
    pub(super) spreads: BTreeMap<ConnectorId, Spread>,
    pub(super) discovery: Discovery,
    everyone_off: Option<EveryoneOff>,
    question_next: BoottimeMillis,
    /// Since the bus is there, everyone was told to be off, or an output was taken over.
    opened: bool,
}

impl Rack {
    /// Modules that have not been heard yet and belong to nobody.
    pub fn new(family: Family, fitted: &[Fitted], walk_in: bool, now: BoottimeMillis) -> Rack {
        let can = family.driver().capabilities();
        let modules = fitted.iter().map(|each| (each.address, Module::new(each.address, each.serial.clone(), &can)));
        Rack {
            family,
            walk_in,
            started: now,
            looked_from: now,
            modules: modules.collect(),
            spreads: BTreeMap::new(),
            discovery: Discovery::default(),
            everyone_off: None,
            question_next: BoottimeMillis(0),
            opened: false,
        }
    }

    pub(super) fn driver(&self) -> &'static dyn ModuleDriver {
        self.family.driver()
    }

    /// What this make of modules can do.
    pub fn capabilities(&self) -> Capabilities {
        self.driver().capabilities()
    }

    pub(super) fn of(&mut self, connector: ConnectorId) -> impl Iterator<Item = &mut Module> {
        self.modules.values_mut().filter(move |module| module.owner == Some(connector))
    }

    pub(super) fn owned(&self, connector: ConnectorId) -> impl Iterator<Item = &Module> {
        self.modules.values().filter(move |module| module.owner == Some(connector))
    }

    /// Another process goes on: what is read from now on is what it has looked at.
    pub fn look_again(&mut self, now: BoottimeMillis) {
        self.looked_from = now;
        self.ask_all();
        // What runs is not told to be off because a process begins.
        self.opened = true;
    }

    /// Modules that are joined with the bus of a connector.
    pub fn joined_to(&self, connector: ConnectorId) -> usize {
        self.owned(connector).filter(|module| module.joined).count()
    }

    /// Gives a module to a connector, or to nobody. False, and nothing changes, when the module is not fitted, or was
    /// told anything before and is not at rest: no module ever works for two (hardware notes §6.2.1).
    #[must_use]
    pub fn assign(&mut self, now: BoottimeMillis, address: Address, owner: Option<ConnectorId>) -> bool {
        let (started, can) = (self.started, self.capabilities());
        let Some(module) = self.modules.get_mut(&address) else { return false };
        if module.owner == owner {
            return true;
        }
        let at_start = module.owner.is_none() && module.order.is_none();
        let at_rest = at_start || module.is_at_rest(now, started, &can);
        if at_rest {
            (module.owner, module.joined, module.hold) = (owner, false, Hold::Follow);
        }
        at_rest
    }

    /// A module of nobody is seen to be joined with a connector's bus: its current counts there from now on.
    pub fn found_joined(&mut self, address: Address, connector: ConnectorId) {
        if let Some(module) = self.modules.get_mut(&address).filter(|module| module.owner.is_none()) {
            (module.owner, module.joined, module.hold) = (Some(connector), true, Hold::Off);
        }
    }

    /// Whom a module works for.
    pub fn owner(&self, address: Address) -> Option<ConnectorId> {
        self.modules.get(&address)?.owner
    }

    /// Takes in whether a module's relay to its owner's bus is closed, as the mirror contact says.
    pub fn joined(&mut self, address: Address, joined: bool) {
        let Some(module) = self.modules.get_mut(&address) else { return };
        module.joined = joined && module.owner.is_some();
        if module.joined && matches!(module.hold, Hold::Prepared(_)) {
            module.hold = Hold::Follow;
        }
    }

    /// The bus is there: what each module does is asked at once.
    pub fn ask_all(&mut self) {
        self.modules.values_mut().for_each(Module::ask_now);
        self.discovery.ask_now();
        self.opened = false;
    }

    /// Takes in a frame of the modules' bus.
    pub fn hear(&mut self, now: BoottimeMillis, frame: &Frame) {
        match self.driver().decode(frame) {
            Some((Target::Module(address), reply)) => match self.modules.get_mut(&address) {
                Some(module) => module.hear(now, reply),
                None => self.discovery.hear_stranger(now, address),
            },
            Some((Target::Everyone, reply)) => self.discovery.hear_everyone(reply),
            Some((Target::Group(_), _)) | None => {}
        }
    }

    /// The modules of a connector are off.
    pub fn rest(&mut self, now: BoottimeMillis, connector: ConnectorId) {
        self.spreads.remove(&connector);
        for module in self.of(connector) {
            module.lost = false;
            module.let_go();
            module.give(now, Order::Off);
        }
    }

    /// A module is on at this voltage without current, to be joined to its owner's bus; until it is, or is let go.
    pub fn prepare(&mut self, now: BoottimeMillis, address: Address, voltage: Millivolts) {
        let Some(module) = self.modules.get_mut(&address) else { return };
        if module.owner.is_some() && !module.joined && module.said.is_usable(now) {
            module.hold = Hold::Prepared(voltage);
            module.follow_hold(now);
        }
    }

    /// A module is off, whatever its connector asks, to be moved; until it is given to another or let go.
    pub fn hold_off(&mut self, now: BoottimeMillis, address: Address) {
        if let Some(module) = self.modules.get_mut(&address) {
            module.hold = Hold::Off;
            module.follow_hold(now);
        }
    }

    /// A module that was held off or prepared does again what its connector asks.
    pub fn let_go(&mut self, address: Address) {
        if let Some(module) = self.modules.get_mut(&address) {
            module.hold = Hold::Follow;
        }
    }

    /// Everyone off at once, for all connectors; the frames are to go out before anything else. Its repetitions come
    /// with `frames_due`. Said again it changes nothing, until a module was told to deliver again.
    pub fn emergency_off(&mut self, now: BoottimeMillis) -> Vec<Frame> {
        for module in self.modules.values_mut() {
            module.lost = false;
            module.let_go();
            module.give(now, Order::Off);
        }
        if self.everyone_off.is_some() {
            return Vec::new();
        }
        self.everyone_off = Some(EveryoneOff { left: EVERYONE_OFF_REPEATS, next: now.after(REPEAT_OFF) });
        self.driver().switch(Target::Everyone, false)
    }

    /// The frames that are due: off first, then what falls, then what rises, then questions.
    pub fn frames_due(&mut self, now: BoottimeMillis, in_use: impl Fn(ConnectorId) -> bool) -> Vec<Frame> {
        let (driver, walk_in) = (self.driver(), self.walk_in);
        for module in self.modules.values_mut().filter(|module| module.owner.is_none()) {
            module.give(now, Order::Off);
        }
        let mut frames = self.everyone_off_due(now);
        for rank in 0..3 {
            for module in self.modules.values_mut().filter(|module| module.rank() == rank) {
                module.orders_due(now, driver, &mut frames);
            }
        }
        let awaited = self.modules.values().filter(|module| module.is_awaited(now)).count();
        let soon = if awaited <= FEW { READ_AWAITED.0 } else { READ_AWAITED.1 };
        for module in self.modules.values_mut() {
            let in_use = module.owner.is_some_and(&in_use);
            module.walk_in_due(now, walk_in, driver, &mut frames);
            if module.output_asked(now, in_use, soon) {
                frames.extend(driver.read(module.address, Reading::Output));
            }
        }
        let due = self.modules.values().filter_map(|module| Some((module.question_due(now)?, module.address)));
        if let Some(((_, what), address)) = due.min().filter(|_| self.question_next <= now)
            && let Some(module) = self.modules.get_mut(&address)
        {
            self.question_next = now.after(BETWEEN_QUESTIONS);
            module.asked(now, what, module.owner.is_some_and(&in_use));
            frames.extend(driver.read(address, what));
        }
        frames.extend(self.discovery.questions_due(now, driver));
        frames
    }

    /// The first act on a bus is "everyone off", unless an output was or may be taken over.
    fn everyone_off_due(&mut self, now: BoottimeMillis) -> Vec<Frame> {
        if self.modules.values().any(Module::is_on) {
            (self.opened, self.everyone_off) = (true, None);
            return Vec::new();
        }
        if let Some(said) = self.everyone_off.as_mut().filter(|said| said.left > 0 && said.next <= now) {
            said.left = said.left.saturating_sub(1);
            said.next = now.after(REPEAT_OFF);
            return self.driver().switch(Target::Everyone, false);
        }
        let decided = self.modules.values().all(|module| module.order == Some(Order::Off));
        if self.opened || !decided {
            return Vec::new();
        }
        self.opened = true;
        self.driver().switch(Target::Everyone, false)
    }
}

#[cfg(test)]
mod tests;
