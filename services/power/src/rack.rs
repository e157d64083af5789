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
    heard: Option<BoottimeMillis>,
    /// Readings in a row without current.
    quiet_readings: u32,
    status: Status,
    rating: Watts,
    rated_current: Milliamperes,
    rating_known: bool,
    /// `None` until the connector has decided whether to take a running output over.
    order: Option<Order>,
    told: Option<(Order, BoottimeMillis)>,
    off_repeats: u8,
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
    /// The sum of their currents.
    pub current: Milliamperes,
    /// All are told to be off, and at least two readings since say that no current flows.
    pub at_rest: bool,
    /// What they can give together.
    pub power: Watts,
    /// Likewise.
    pub most_current: Milliamperes,
    /// A module that is told to deliver has not been heard for 2 s.
    pub lost_one_in_use: bool,
    /// Every one of them has been heard in the last 2 s.
    pub all_heard: bool,
    /// When the oldest of the readings was taken; zero when there is none.
    pub sampled: BoottimeMillis,
}

/// All modules.
#[derive(Debug, Clone)]
pub struct Rack {
    modules: BTreeMap<Address, Module>,
}

impl Rack {
    /// Modules that have not been heard yet.
    pub fn new(wiring: &[ModuleWiring]) -> Rack {
        let modules = wiring.iter().map(|wiring| (wiring.address, Module::new(wiring.clone())));
        Rack { modules: modules.collect() }
    }

    /// Takes in a frame of the modules' bus.
    pub fn hear(&mut self, now: BoottimeMillis, frame: &Frame) {
        let Some((address, reply)) = infypower::decode(frame) else { return };
        let Some(module) = self.modules.get_mut(&address) else { return };
        module.heard = Some(now);
        match reply {
            Reply::Output { volts, amperes } => {
                module.voltage = Millivolts(milli(volts));
                module.current = Milliamperes(milli(amperes));
                let quiet = module.current < NO_CURRENT;
                module.quiet_readings = if quiet { module.quiet_readings.saturating_add(1) } else { 0 };
            }
            Reply::Status(status) => {
                if status.is_unusable() && !module.status.is_unusable() {
                    let (state0, state1, state2) = (status.state0, status.state1, status.state2);
                    tracing::error!(module = address.0, state0, state1, state2, "a module reports a fault");
                }
                module.status = status;
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

    /// Takes the modules of a connector as they run.
    pub fn adopt(&mut self, connector: ConnectorId, voltage: Millivolts) {
        for module in self.of(connector) {
            module.order = Some(Order::On { voltage, current: module.current });
        }
    }

    /// The modules of a connector give this voltage and together this current.
    pub fn deliver(&mut self, now: BoottimeMillis, connector: ConnectorId, voltage: Millivolts, current: Milliamperes) {
        let usable = self.of(connector).filter(|module| module.is_usable(now)).count();
        let share = Milliamperes(current.0.checked_div(u32::try_from(usable).unwrap_or(1)).unwrap_or(0));
        for module in self.of(connector) {
            let order = if module.is_usable(now) { Order::On { voltage, current: share } } else { Order::Off };
            module.give(now, order);
        }
    }

    /// The modules of a connector are off.
    pub fn rest(&mut self, now: BoottimeMillis, connector: ConnectorId) {
        self.of(connector).for_each(|module| module.give(now, Order::Off));
    }

    /// What the modules of a connector do.
    pub fn output(&self, now: BoottimeMillis, connector: ConnectorId) -> Output {
        let mut output = Output { at_rest: true, all_heard: true, ..Output::default() };
        let mut sampled: Option<BoottimeMillis> = None;
        for module in self.modules.values().filter(|module| module.wiring.connector == connector) {
            output.fitted = output.fitted.saturating_add(1);
            output.at_rest &= module.is_at_rest(now);
            output.all_heard &= module.is_heard(now);
            output.lost_one_in_use |= matches!(module.order, Some(Order::On { .. })) && !module.is_heard(now);
            if module.is_heard(now) {
                output.voltage = output.voltage.max(module.voltage);
                output.current.0 = output.current.0.saturating_add(module.current.0);
                sampled = Some(
                    sampled.map_or(module.heard.unwrap_or(now), |sampled| sampled.min(module.heard.unwrap_or(now))),
                );
            }
            if module.is_usable(now) {
                output.usable = output.usable.saturating_add(1);
                output.power.0 = output.power.0.saturating_add(module.rating.0);
                output.most_current.0 = output.most_current.0.saturating_add(module.rated_current.0);
            }
        }
        output.sampled = sampled.unwrap_or_default();
        output
    }

    /// Modules that are heard.
    pub fn present(&self, now: BoottimeMillis) -> u32 {
        u32::try_from(self.modules.values().filter(|module| module.is_heard(now)).count()).unwrap_or(u32::MAX)
    }

    /// The relay of each module and the connector that it feeds.
    pub fn relays(&self, connector: ConnectorId) -> Vec<(u8, u8)> {
        let own = self.modules.values().filter(|module| module.wiring.connector == connector);
        own.map(|module| (module.wiring.relay_unit, module.wiring.relay_coil)).collect()
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
            quiet_readings: 0,
            status: Status::default(),
            rating: ASSUMED_RATING,
            rated_current: ASSUMED_CURRENT,
            rating_known: false,
            order: None,
            told: None,
            off_repeats: 0,
            switched_at: BoottimeMillis(0),
            read_at: BoottimeMillis(0),
            status_at: BoottimeMillis(0),
        }
    }

    fn is_heard(&self, now: BoottimeMillis) -> bool {
        self.heard.is_some_and(|heard| now.since(heard) < SILENCE)
    }

    fn is_usable(&self, now: BoottimeMillis) -> bool {
        self.is_heard(now) && !self.status.is_unusable()
    }

    /// Silent modules are at rest after the 10 s in which they switch themselves off.
    fn is_at_rest(&self, now: BoottimeMillis) -> bool {
        let silent_long = self.heard.is_none_or(|heard| now.since(heard) > Duration::from_secs(11));
        self.order == Some(Order::Off) && (self.quiet_readings >= 2 || silent_long)
    }

    fn give(&mut self, now: BoottimeMillis, order: Order) {
        if self.order == Some(order) {
            return;
        }
        if self.order.map(Order::voltage) != Some(order.voltage()) {
            self.switched_at = now;
        }
        if order == Order::Off {
            self.off_repeats = 3;
        }
        self.quiet_readings = 0;
        self.order = Some(order);
        // Whether current still flows is asked at once, not at the next turn.
        self.read_at = BoottimeMillis(0);
    }

    fn orders_due(&mut self, now: BoottimeMillis, frames: &mut Vec<Frame>) {
        let Some(order) = self.order else { return };
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
                let was_on = matches!(told, Some(Order::On { .. }));
                if told == Some(order) && now.since(told_at) < REPEAT_SETPOINT {
                    return;
                }
                frames.push(infypower::set_output(address, voltage.0, current.0));
                // An adopted module runs; told to be on once more it only goes on.
                if !was_on || self.status.state1 & 1 != 0 {
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

/// Thousandths of a non-negative quantity.
fn milli(value: f32) -> u32 {
    let milli = (f64::from(value) * 1000.0).round();
    if milli.is_finite() && milli > 0.0 { milli.min(f64::from(u32::MAX)) as u32 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rack() -> Rack {
        let wiring = |address, connector| ModuleWiring {
            address: Address(address),
            connector: ConnectorId(connector),
            relay_unit: 3,
            relay_coil: address,
        };
        Rack::new(&[wiring(1, 1), wiring(2, 1), wiring(3, 2)])
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
}
