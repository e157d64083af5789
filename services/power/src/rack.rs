//! The power modules: what each of them does, what it is told, and the frames that tell it. Pure.

use crate::can::Frame;
use crate::infypower::{self, Address, Reply, Status};
use crate::settings::ModuleWiring;
use busbar_interfaces::{BoottimeMillis, ConnectorId, Milliamperes, Millivolts, Watts};
use std::collections::BTreeMap;
use std::time::Duration;

/// A module in use is asked for volts and amperes this often.
const READ_IN_USE: Duration = Duration::from_millis(100);
/// A module whose order has just changed: the next step of the sequence waits for its reading.
const READ_AFTER_ORDER: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(1500));
/// Any other module, and the status of each.
const READ_AT_REST: Duration = Duration::from_secs(1);
/// A set-point is repeated this often: modules switch off after 10 s of silence (V1.13).
const REPEAT_SETPOINT: Duration = Duration::from_millis(900);
/// A module that has not been heard for this time does not count.
const SILENCE: Duration = Duration::from_secs(2);
/// A module that has not been heard for this time has switched itself off (10 s, V1.13).
const SWITCHED_OFF: Duration = Duration::from_secs(11);
/// A change of voltage up to this is no new step of the sequence.
const SMALL_STEP: u32 = 5_000;
/// A relay may close with less than this on both sides (60 V).
const DEAD: Millivolts = Millivolts(60_000);
/// Below this current a module does not deliver.
const NO_CURRENT: Milliamperes = Milliamperes(300);
/// Rated power of a module until it has told its own.
const ASSUMED_RATING: Watts = Watts(30_000);
/// Rated current likewise.
const ASSUMED_CURRENT: Milliamperes = Milliamperes(100_000);

/// What a module is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Off,
    On { voltage: Millivolts, current: Milliamperes },
}

impl Order {
    fn voltage(self) -> Option<Millivolts> {
        match self {
            Order::Off => None,
            Order::On { voltage, .. } => Some(voltage),
        }
    }
}

#[derive(Debug, Clone)]
struct Module {
    wiring: ModuleWiring,
    voltage: Millivolts,
    current: Milliamperes,
    /// When it last said anything.
    heard: Option<BoottimeMillis>,
    /// When voltage and current were last read.
    measured: Option<BoottimeMillis>,
    /// Readings in a row without current.
    quiet_readings: u32,
    status: Status,
    status_heard: BoottimeMillis,
    rating: Watts,
    rated_current: Milliamperes,
    rating_known: bool,
    /// Its relay is closed, as the mirror contact says.
    joined: bool,
    /// The last process told it to deliver.
    recorded: bool,
    /// `None` until the connector has decided whether to take a running output over.
    order: Option<Order>,
    told: Option<(Order, BoottimeMillis)>,
    off_repeats: u8,
    switched_on_at: BoottimeMillis,
    /// When it was last switched, or given another voltage.
    switched_at: BoottimeMillis,
    read_at: BoottimeMillis,
    status_at: BoottimeMillis,
}

/// What the modules of one connector do together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Output {
    /// Modules that are heard and usable.
    pub usable: u32,
    /// Modules of this connector.
    pub fitted: u32,
    /// The highest of their voltages.
    pub voltage: Millivolts,
    /// The sum of their currents; one that was told to deliver counts with its last reading until it must be off.
    pub current: Milliamperes,
    /// All are told to be off, and at least two readings since say that no current flows.
    pub at_rest: bool,
    /// What they can give together.
    pub power: Watts,
    /// Likewise.
    pub most_current: Milliamperes,
    /// A module that is told to deliver has not been heard for 2 s.
    pub lost_one_in_use: bool,
    /// Each of them has been read, or must be off.
    pub current_known: bool,
    /// Every one that the last process told to deliver has been read.
    pub recorded_heard: bool,
    /// Likewise, their relays are closed, and their voltages are the same within 10 % or 20 V.
    pub recorded_agree: bool,
    /// When the oldest of the readings was taken; zero when there is none.
    pub sampled: BoottimeMillis,
}

impl Output {
    /// A side that is to be joined with it must not be dead.
    pub fn is_live(&self) -> bool {
        self.voltage >= DEAD
    }
}

/// All modules.
#[derive(Debug, Clone)]
pub struct Rack {
    started: BoottimeMillis,
    modules: BTreeMap<Address, Module>,
}

/// The relay of a module.
#[derive(Debug, Clone, Copy)]
pub struct Relay {
    /// The Modbus unit of its matrix board.
    pub unit: u8,
    /// Its coil.
    pub coil: u8,
    /// Its module is off and without voltage.
    pub may_close: bool,
}

impl Rack {
    /// Modules that have not been heard yet.
    pub fn new(wiring: &[ModuleWiring], now: BoottimeMillis) -> Rack {
        let modules = wiring.iter().map(|wiring| (wiring.address, Module::new(wiring.clone())));
        Rack { started: now, modules: modules.collect() }
    }

    /// The last process told this module to deliver.
    pub fn was_on(&mut self, address: Address) {
        if let Some(module) = self.modules.get_mut(&address) {
            module.recorded = true;
        }
    }

    /// Takes in which relays are closed.
    pub fn relays_told(&mut self, closed: impl Fn(u8, u8) -> bool) {
        for module in self.modules.values_mut() {
            module.joined = closed(module.wiring.relay_unit, module.wiring.relay_coil);
        }
    }

    /// The bus is there: what each module does is asked at once.
    pub fn ask_all(&mut self) {
        for module in self.modules.values_mut() {
            (module.read_at, module.status_at) = (BoottimeMillis(0), BoottimeMillis(0));
        }
    }

    /// Takes in a frame of the modules' bus.
    pub fn hear(&mut self, now: BoottimeMillis, frame: &Frame) {
        let Some((address, reply)) = infypower::decode(frame) else { return };
        let Some(module) = self.modules.get_mut(&address) else { return };
        module.heard = Some(now);
        match reply {
            Reply::Output { volts, amperes } => {
                let (Some(volts), Some(amperes)) = (milli(volts), milli(amperes)) else {
                    tracing::trace!(module = address.0, volts, amperes, "a reading that is no number");
                    return;
                };
                module.measured = Some(now);
                module.voltage = Millivolts(volts);
                module.current = Milliamperes(amperes);
                let quiet = module.current < NO_CURRENT;
                module.quiet_readings = if quiet { module.quiet_readings.saturating_add(1) } else { 0 };
            }
            Reply::Status(status) => {
                if status.is_unusable() && !module.status.is_unusable() {
                    let (state0, state1, state2) = (status.state0, status.state1, status.state2);
                    tracing::error!(module = address.0, state0, state1, state2, "a module reports a fault");
                }
                module.status = status;
                module.status_heard = now;
            }
            Reply::Ratings { maximum_deciamperes, decawatts, .. } => {
                module.rating = Watts(u32::from(decawatts).saturating_mul(10));
                module.rated_current = Milliamperes(u32::from(maximum_deciamperes).saturating_mul(100));
                module.rating_known = true;
            }
            Reply::Taken { error: 0, .. } => {}
            Reply::Taken { command, error } => {
                tracing::warn!(module = address.0, command, error, "a module refused a command");
            }
        }
    }

    /// Takes the modules of a connector as they run: those that the last process told to deliver.
    pub fn adopt(&mut self, connector: ConnectorId, voltage: Millivolts) {
        for module in self.of(connector) {
            let on = Order::On { voltage, current: module.current };
            module.order = Some(if module.recorded { on } else { Order::Off });
        }
    }

    /// Addresses of the modules of a connector that are told to deliver.
    pub fn told_on(&self, connector: ConnectorId) -> Vec<u8> {
        let own = self.modules.values().filter(|module| module.wiring.connector == connector);
        // Before it is decided what is taken over, the next process needs the same list.
        let on = own.filter(|module| module.is_on() || (module.order.is_none() && module.recorded));
        on.map(|module| module.wiring.address.0).collect()
    }

    /// The modules of a connector give this voltage and together this current.
    pub fn deliver(&mut self, now: BoottimeMillis, connector: ConnectorId, voltage: Millivolts, current: Milliamperes) {
        let gives = |module: &Module| module.is_usable(now) && module.joined;
        let giving = self.of(connector).filter(|module| gives(module)).count();
        let share = current.0.checked_div(u32::try_from(giving).unwrap_or(1)).unwrap_or(0);
        for module in self.of(connector) {
            let current = Milliamperes(share).min(module.rated_current);
            let order = if gives(module) { Order::On { voltage, current } } else { Order::Off };
            module.give(now, order);
        }
    }

    /// The modules of a connector are off.
    pub fn rest(&mut self, now: BoottimeMillis, connector: ConnectorId) {
        self.of(connector).for_each(|module| module.give(now, Order::Off));
    }

    /// What the modules of a connector do.
    pub fn output(&self, now: BoottimeMillis, connector: ConnectorId) -> Output {
        let own = || self.modules.values().filter(|module| module.wiring.connector == connector);
        let delivers = own().any(Module::is_on);
        let mut output = Output { at_rest: true, current_known: true, ..Output::default() };
        let mut sampled: Option<BoottimeMillis> = None;
        for module in own() {
            output.fitted = output.fitted.saturating_add(1);
            output.at_rest &= module.is_at_rest(now, self.started);
            output.current_known &= module.is_measured(now) || module.must_be_off(now, self.started);
            output.lost_one_in_use |= module.is_on() && !module.is_measured(now);
            if let Some(measured) = module.measured.filter(|_| !module.must_be_off(now, self.started)) {
                output.current.0 = output.current.0.saturating_add(module.current.0);
                output.voltage = output.voltage.max(module.voltage);
                if module.is_measured(now) {
                    sampled = Some(sampled.map_or(measured, |sampled| sampled.min(measured)));
                }
            }
            // While others deliver, one that is not joined does not help.
            if module.is_usable(now) && (module.joined || !delivers) {
                output.power.0 = output.power.0.saturating_add(module.rating.0);
                output.most_current.0 = output.most_current.0.saturating_add(module.rated_current.0);
            }
            output.usable = output.usable.saturating_add(u32::from(module.is_usable(now)));
        }
        let recorded: Vec<&Module> = own().filter(|module| module.recorded).collect();
        let highest = recorded.iter().map(|module| module.voltage.0).max().unwrap_or(0);
        let lowest = recorded.iter().map(|module| module.voltage.0).min().unwrap_or(0);
        output.recorded_heard = recorded.iter().all(|module| module.is_measured(now));
        output.recorded_agree = output.recorded_heard
            && !recorded.is_empty()
            && recorded.iter().all(|module| module.joined && !module.status.is_unusable())
            && highest.saturating_sub(lowest) <= (highest / 10).max(20_000);
        output.sampled = sampled.unwrap_or_default();
        output
    }

    /// Modules that are heard.
    pub fn present(&self, now: BoottimeMillis) -> u32 {
        u32::try_from(self.modules.values().filter(|module| module.is_heard(now)).count()).unwrap_or(u32::MAX)
    }

    /// The relays of the modules of a connector.
    pub fn relays(&self, now: BoottimeMillis, connector: ConnectorId) -> Vec<Relay> {
        let own = self.modules.values().filter(|module| module.wiring.connector == connector);
        own.map(|module| Relay {
            unit: module.wiring.relay_unit,
            coil: module.wiring.relay_coil,
            may_close: module.order == Some(Order::Off)
                && module.is_measured(now)
                && module.quiet_readings >= 2
                && module.voltage < DEAD,
        })
        .collect()
    }

    /// The frames that are due, orders first.
    pub fn frames_due(&mut self, now: BoottimeMillis, in_use: impl Fn(ConnectorId) -> bool) -> Vec<Frame> {
        let mut frames = Vec::new();
        for module in self.modules.values_mut() {
            module.orders_due(now, &mut frames);
        }
        for module in self.modules.values_mut() {
            let in_use = in_use(module.wiring.connector);
            module.questions_due(now, in_use, &mut frames);
        }
        frames
    }

    fn of(&mut self, connector: ConnectorId) -> impl Iterator<Item = &mut Module> {
        self.modules.values_mut().filter(move |module| module.wiring.connector == connector)
    }
}

impl Module {
    fn new(wiring: ModuleWiring) -> Module {
        Module {
            wiring,
            voltage: Millivolts(0),
            current: Milliamperes(0),
            heard: None,
            measured: None,
            quiet_readings: 0,
            status: Status::default(),
            status_heard: BoottimeMillis(0),
            rating: ASSUMED_RATING,
            rated_current: ASSUMED_CURRENT,
            rating_known: false,
            joined: true,
            recorded: false,
            order: None,
            told: None,
            off_repeats: 0,
            switched_on_at: BoottimeMillis(0),
            switched_at: BoottimeMillis(0),
            read_at: BoottimeMillis(0),
            status_at: BoottimeMillis(0),
        }
    }

    fn is_heard(&self, now: BoottimeMillis) -> bool {
        self.heard.is_some_and(|heard| now.since(heard) < SILENCE)
    }

    /// Voltage and current have been read in the last 2 s.
    fn is_measured(&self, now: BoottimeMillis) -> bool {
        self.measured.is_some_and(|measured| now.since(measured) < SILENCE)
    }

    fn is_usable(&self, now: BoottimeMillis) -> bool {
        self.is_measured(now) && !self.status.is_unusable()
    }

    fn is_on(&self) -> bool {
        matches!(self.order, Some(Order::On { .. }))
    }

    /// It has not answered for so long that it has switched itself off: modules hear what they do not answer, so only
    /// one that is not told to deliver.
    fn must_be_off(&self, now: BoottimeMillis, started: BoottimeMillis) -> bool {
        !self.is_on() && now.since(self.measured.unwrap_or(started)) > SWITCHED_OFF
    }

    fn is_at_rest(&self, now: BoottimeMillis, started: BoottimeMillis) -> bool {
        self.order == Some(Order::Off) && (self.quiet_readings >= 2 || self.must_be_off(now, started))
    }

    fn give(&mut self, now: BoottimeMillis, order: Order) {
        if self.order == Some(order) {
            return;
        }
        let step = match (self.order.and_then(Order::voltage), order.voltage()) {
            (Some(before), Some(after)) => before.0.abs_diff(after.0) > SMALL_STEP,
            (before, after) => self.order.is_none() || before != after,
        };
        if order == Order::Off {
            self.off_repeats = 3;
            self.quiet_readings = 0;
        }
        if step {
            self.switched_at = now;
            // What the module does then is asked at once, not at the next turn.
            self.read_at = BoottimeMillis(0);
        }
        self.order = Some(order);
    }

    fn orders_due(&mut self, now: BoottimeMillis, frames: &mut Vec<Frame>) {
        let Some(order) = self.order else { return };
        let taken_over = std::mem::take(&mut self.recorded);
        let address = self.wiring.address;
        let (told, told_at) = match self.told {
            Some((told, at)) => (Some(told), at),
            None => (None, BoottimeMillis(0)),
        };
        match order {
            Order::Off => {
                // Hardware notes §9.5: off is said three times at 50 ms, then with the keep-alive.
                let again = if self.off_repeats > 0 { Duration::from_millis(50) } else { REPEAT_SETPOINT };
                if told == Some(Order::Off) && now.since(told_at) < again {
                    return;
                }
                self.off_repeats = self.off_repeats.saturating_sub(1);
                frames.push(infypower::switch(address, false));
            }
            Order::On { voltage, current } => {
                let was_off = !matches!(told, Some(Order::On { .. }));
                if told == Some(order) && now.since(told_at) < REPEAT_SETPOINT {
                    return;
                }
                frames.push(infypower::set_output(address, voltage.0, current.0));
                // One that says it is off although it was told to be on, some time ago, is told once more.
                let since_told = now.since(self.switched_on_at);
                let says_off =
                    self.status.state1 & 1 != 0 && self.status_heard > self.switched_on_at.after(REPEAT_SETPOINT / 2);
                if (was_off && !taken_over) || (says_off && since_told >= REPEAT_SETPOINT) {
                    self.switched_on_at = now;
                    frames.push(infypower::switch(address, true));
                }
            }
        }
        self.told = Some((order, now));
    }

    fn questions_due(&mut self, now: BoottimeMillis, in_use: bool, frames: &mut Vec<Frame>) {
        let address = self.wiring.address;
        if self.read_at <= now {
            let (soon, for_a_while) = READ_AFTER_ORDER;
            let every = match in_use {
                true if now.since(self.switched_at) < for_a_while => soon,
                true => READ_IN_USE,
                false => READ_AT_REST,
            };
            self.read_at = now.after(every);
            frames.push(infypower::read_output(address));
        }
        if self.status_at <= now {
            self.status_at = now.after(READ_AT_REST);
            frames.push(infypower::read_status(address));
            if !self.rating_known {
                frames.push(infypower::read_ratings(address));
            }
        }
    }
}

/// Thousandths of a quantity, whatever its sign; nothing of what is no number.
fn milli(value: f32) -> Option<u32> {
    let milli = (f64::from(value) * 1000.0).round().abs();
    milli.is_finite().then(|| milli.min(f64::from(u32::MAX)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ConnectorId = ConnectorId(1);

    fn rack() -> Rack {
        let wiring = |address, connector| ModuleWiring {
            address: Address(address),
            connector: ConnectorId(connector),
            relay_unit: 3,
            relay_coil: address,
        };
        Rack::new(&[wiring(1, 1), wiring(2, 1), wiring(3, 2)], BoottimeMillis(0))
    }

    fn reading(module: u8, volts: f32, amperes: f32) -> Frame {
        let bytes: Vec<u8> = volts.to_be_bytes().into_iter().chain(amperes.to_be_bytes()).collect();
        Frame::extended(0x0283_F000 | u32::from(module), &bytes)
    }

    #[test]
    fn the_current_is_shared_by_the_modules_that_are_heard() {
        let (mut rack, now) = (rack(), BoottimeMillis(1000));
        rack.hear(now, &reading(1, 0.0, 0.0));
        rack.deliver(now, ConnectorId(1), Millivolts(400_000), Milliamperes(80_000));
        let frames = rack.frames_due(now, |_| true);
        assert!(frames.contains(&infypower::set_output(Address(1), 400_000, 80_000)));
        assert!(frames.contains(&infypower::switch(Address(2), false)));
        rack.hear(now, &reading(2, 0.0, 0.0));
        rack.deliver(now, ConnectorId(1), Millivolts(400_000), Milliamperes(80_000));
        let frames = rack.frames_due(now, |_| true);
        assert!(frames.contains(&infypower::set_output(Address(1), 400_000, 40_000)));
        assert!(frames.contains(&infypower::set_output(Address(2), 400_000, 40_000)));
        assert!(frames.contains(&infypower::switch(Address(2), true)));
    }

    #[test]
    fn off_is_said_three_times_and_rest_is_what_the_readings_say() {
        let (mut rack, now) = (rack(), BoottimeMillis(1000));
        rack.hear(now, &reading(3, 400.0, 50.0));
        rack.rest(now, ConnectorId(2));
        let off = infypower::switch(Address(3), false);
        for step in 0..3 {
            let now = now.after(Duration::from_millis(step * 50));
            assert!(rack.frames_due(now, |_| true).contains(&off), "repeat {step}");
        }
        assert!(!rack.output(now, ConnectorId(2)).at_rest);
        rack.hear(now, &reading(3, 10.0, 0.0));
        assert!(!rack.output(now, ConnectorId(2)).at_rest, "one reading is not enough");
        rack.hear(now, &reading(3, 5.0, 0.0));
        assert!(rack.output(now, ConnectorId(2)).at_rest);
    }

    #[test]
    fn a_module_that_falls_silent_in_use_is_noticed_after_two_seconds() {
        let (mut rack, now) = (rack(), BoottimeMillis(1000));
        rack.hear(now, &reading(3, 400.0, 50.0));
        rack.deliver(now, ConnectorId(2), Millivolts(400_000), Milliamperes(50_000));
        assert!(!rack.output(now.after(Duration::from_millis(1999)), ConnectorId(2)).lost_one_in_use);
        assert!(rack.output(now.after(Duration::from_millis(2000)), ConnectorId(2)).lost_one_in_use);
    }

    #[test]
    fn nothing_is_ordered_before_it_is_decided() {
        let mut rack = rack();
        let frames = rack.frames_due(BoottimeMillis(1000), |_| true);
        assert!(frames.iter().all(|frame| frame.data().iter().all(|byte| *byte == 0)), "only questions");
    }

    #[test]
    fn a_silent_module_counts_with_its_last_reading_and_one_never_heard_is_not_off_yet() {
        let (mut rack, now) = (rack(), BoottimeMillis(1000));
        rack.hear(now, &reading(1, 400.0, 30.0));
        rack.hear(now, &reading(1, f32::NAN, 0.0));
        rack.rest(now, ONE);
        let output = rack.output(now, ONE);
        assert_eq!((output.usable, output.current, output.current_known), (1, Milliamperes(30_000), false));
        let later = now.after(Duration::from_secs(10));
        rack.hear(later, &reading(2, 0.0, -20.0));
        rack.hear(later, &reading(2, 0.0, -20.0));
        let output = rack.output(later, ONE);
        assert_eq!((output.current, output.at_rest), (Milliamperes(50_000), false), "nothing is quiet");
        rack.hear(later, &reading(2, 0.0, 0.0));
        rack.hear(later, &reading(2, 0.0, 0.0));
        assert!(!rack.output(later, ONE).at_rest);
        let off = now.after(SWITCHED_OFF + Duration::from_millis(1));
        let output = rack.output(off, ONE);
        assert!(output.at_rest && output.current_known && output.usable == 1, "{output:?}");
    }

    #[test]
    fn a_status_is_no_reading() {
        let (mut rack, now) = (rack(), BoottimeMillis(1000));
        rack.hear(now, &reading(3, 400.0, 50.0));
        rack.deliver(now, ConnectorId(2), Millivolts(400_000), Milliamperes(50_000));
        let later = now.after(SILENCE);
        rack.hear(later, &Frame::extended(0x0284_F003, &[0; 8]));
        assert!(rack.output(later, ConnectorId(2)).lost_one_in_use);
    }

    #[test]
    fn on_is_said_again_only_to_a_module_that_says_later_that_it_is_off() {
        let (mut rack, now) = (rack(), BoottimeMillis(5000));
        let on = infypower::switch(Address(3), true);
        let mut said = 0;
        for step in 0..30u64 {
            let now = now.after(Duration::from_millis(100 * step));
            rack.hear(now, &reading(3, 0.0, 0.0));
            rack.hear(now, &Frame::extended(0x0284_F003, &[0, 0, 0, 0, 0, 0, 1, 0]));
            let current = Milliamperes(u32::try_from(step).expect("small") * 1000);
            rack.deliver(now, ConnectorId(2), Millivolts(400_000), current);
            said += rack.frames_due(now, |_| true).iter().filter(|frame| **frame == on).count();
        }
        assert!((2..=4).contains(&said), "{said}");
    }

    #[test]
    fn a_module_whose_relay_is_open_gives_nothing_and_joins_only_dead() {
        let (mut rack, now) = (rack(), BoottimeMillis(1000));
        rack.rest(now, ONE);
        for _ in 0..2 {
            rack.hear(now, &reading(1, 400.0, 0.0));
            rack.hear(now, &reading(2, 0.0, 0.0));
        }
        let may: Vec<bool> = rack.relays(now, ONE).iter().map(|relay| relay.may_close).collect();
        assert_eq!(may, [false, true]);
        rack.relays_told(|_, coil| coil == 2);
        rack.deliver(now, ONE, Millivolts(400_000), Milliamperes(10_000));
        let frames = rack.frames_due(now, |_| true);
        assert!(frames.contains(&infypower::set_output(Address(2), 400_000, 10_000)));
        assert!(frames.contains(&infypower::switch(Address(1), false)));
    }
}
