//! One 30 kW power module: set-point, soft start, limits, temperature, and what it does when the controller falls
//! silent or something befalls it.
//!
//! Where its current goes is decided in `circuit`; how its frames look is in `infypower`.

use std::time::Duration;

use crate::infypower::{SetPoint, Status, Verdict};
use crate::thermal::{ROOM_CELSIUS, approach};
use crate::timing::Timing;

/// Highest output voltage.
pub const MAXIMUM_VOLTS: f64 = 1000.0;
/// Lowest voltage the data sheet promises; the output passes below it while it ramps.
pub const MINIMUM_VOLTS: f64 = 150.0;
/// Largest output current.
pub const MAXIMUM_AMPERES: f64 = 100.0;
/// Rated power.
pub const MAXIMUM_WATTS: f64 = 30_000.0;

/// Inner resistance that lets modules in parallel share the current.
const DROOP_OHMS: f64 = 0.005;
/// The air inside a module is warmer than outside by this much at full power.
const FULL_POWER_KELVINS: f64 = 15.0;
/// Above this temperature a module gives less, and at the second one nothing.
const DERATING_CELSIUS: f64 = 65.0;
const TOO_HOT_CELSIUS: f64 = 85.0;

/// The line voltages of sound mains.
pub const LINE_VOLTS: [f64; 3] = [400.5, 400.2, 399.8];

/// What is around a module and what befalls it.
#[derive(Clone, Debug, PartialEq)]
pub struct Conditions {
    /// Temperature of the air that it draws in.
    pub ambient_celsius: f64,
    /// Line voltages of the mains.
    pub line_volts: [f64; 3],
    /// The mains voltage is below or above what it can use.
    pub mains_low: bool,
    /// The mains voltage is above what it can bear.
    pub mains_high: bool,
    /// A mains phase is gone.
    pub phase_lost: bool,
    /// Its CAN cable is cut: it neither hears nor answers.
    pub silent: bool,
    /// It hears, but does not answer.
    pub mute: bool,
    /// Its protection has tripped.
    pub trip: bool,
    /// It is broken.
    pub broken: bool,
    /// It says that it is too hot.
    pub over_temperature: bool,
    /// It has seen too much voltage.
    pub over_voltage: bool,
    /// Its output is short-circuited.
    pub short: bool,
    /// Its fan does not turn.
    pub fan: bool,
    /// Its current is out of balance.
    pub imbalance: bool,
    /// Another module has its address.
    pub duplicate_address: bool,
    /// The address it answers to, when it is not its own.
    pub address: Option<u8>,
    /// Voltage it gives beyond its set-point.
    pub excess_volts: f64,
    /// The most power it gives.
    pub watts: f64,
    /// It cannot be switched off.
    pub stuck_on: bool,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            ambient_celsius: ROOM_CELSIUS,
            line_volts: LINE_VOLTS,
            mains_low: false,
            mains_high: false,
            phase_lost: false,
            silent: false,
            mute: false,
            trip: false,
            broken: false,
            over_temperature: false,
            over_voltage: false,
            short: false,
            fan: false,
            imbalance: false,
            duplicate_address: false,
            address: None,
            excess_volts: 0.0,
            watts: MAXIMUM_WATTS,
            stuck_on: false,
        }
    }
}

impl Conditions {
    /// True when the output stage cannot work.
    fn forbid_output(&self) -> bool {
        self.mains_low
            || self.mains_high
            || self.trip
            || self.broken
            || self.over_temperature
            || self.over_voltage
            || self.short
    }
}

/// A power module.
#[derive(Clone, Debug)]
pub struct Module {
    on: bool,
    set_volts: f64,
    set_amperes: f64,
    ramped_volts: f64,
    unheard: Duration,
    controller_lost: bool,
    celsius: f64,
    /// What is around it and what befalls it.
    pub conditions: Conditions,
    /// Group it was assigned to.
    pub group: u8,
    /// Soft start flag.
    pub walk_in: bool,
    /// Voltage at its terminals, set by the circuit.
    pub volts: f64,
    /// Current it delivers, set by the circuit.
    pub amperes: f64,
}

impl Module {
    /// A module that has just been powered: off.
    pub fn new() -> Self {
        Self {
            on: false,
            set_volts: 0.0,
            set_amperes: 0.0,
            ramped_volts: 0.0,
            unheard: Duration::ZERO,
            controller_lost: true,
            celsius: ROOM_CELSIUS,
            conditions: Conditions::default(),
            group: 0,
            walk_in: true,
            volts: 0.0,
            amperes: 0.0,
        }
    }

    /// Lets time pass: the voltage ramps, the temperature follows, and silence switches the output off.
    pub fn step(&mut self, dt: Duration, timing: &Timing) {
        self.unheard = self.unheard.saturating_add(dt);
        if self.unheard >= timing.module_silence {
            self.controller_lost = true;
            self.switch(false);
        }
        let load = self.volts * self.amperes / MAXIMUM_WATTS;
        let goal = self.conditions.ambient_celsius + FULL_POWER_KELVINS * load;
        self.celsius = approach(self.celsius, goal, dt, timing.module_heat);
        if self.is_prevented() {
            self.go_off();
        }
        if self.on {
            let rise = MAXIMUM_VOLTS * dt.as_secs_f64() / timing.full_voltage_rise.as_secs_f64();
            self.ramped_volts = (self.ramped_volts + rise).min(self.set_volts);
        }
    }

    fn is_prevented(&self) -> bool {
        self.conditions.forbid_output() || self.celsius >= TOO_HOT_CELSIUS
    }

    /// The controller has spoken to this module.
    pub fn hear(&mut self) {
        self.unheard = Duration::ZERO;
        self.controller_lost = false;
    }

    /// Switches the output; the soft start begins at the voltage that is already there.
    pub fn switch(&mut self, on: bool) {
        if !on || self.is_prevented() {
            if !self.conditions.stuck_on {
                self.go_off();
            }
            return;
        }
        if !self.on {
            self.ramped_volts = self.volts.min(self.set_volts);
        }
        self.on = true;
    }

    fn go_off(&mut self) {
        self.ramped_volts = 0.0;
        self.on = false;
    }

    /// Takes a set-point.
    ///
    /// # Errors
    /// The verdict to answer with when it is beyond the ratings; the old one stays.
    pub fn set(&mut self, set_point: SetPoint) -> Result<(), Verdict> {
        let volts = f64::from(set_point.millivolts) / 1000.0;
        let amperes = f64::from(set_point.milliamperes) / 1000.0;
        if volts > MAXIMUM_VOLTS || amperes > MAXIMUM_AMPERES {
            return Err(Verdict::DataInvalid);
        }
        self.set_volts = volts;
        self.set_amperes = amperes;
        Ok(())
    }

    /// True while the output stage works.
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// True after too long without a word from the controller.
    pub fn controller_lost(&self) -> bool {
        self.controller_lost
    }

    /// The voltage the output is regulated to at this moment, 0 when off.
    pub fn regulated_volts(&self) -> f64 {
        if self.on { self.ramped_volts + self.conditions.excess_volts } else { 0.0 }
    }

    /// The most power it can give now.
    pub fn maximum_watts(&self) -> f64 {
        let cool = (TOO_HOT_CELSIUS - self.celsius) / (TOO_HOT_CELSIUS - DERATING_CELSIUS);
        let phases = if self.conditions.phase_lost { 0.5 } else { 1.0 };
        (MAXIMUM_WATTS * cool.clamp(0.0, 1.0) * phases).min(self.conditions.watts)
    }

    /// The largest current it would deliver at `volts`.
    pub fn available_amperes(&self, volts: f64) -> f64 {
        if self.on { self.set_amperes.min(self.maximum_watts() / volts.max(1.0)) } else { 0.0 }
    }

    /// The current it delivers into a node at `volts`: constant voltage, limited in current and power.
    pub fn supply_amperes(&self, volts: f64) -> f64 {
        ((self.regulated_volts() - volts) / DROOP_OHMS).clamp(0.0, self.available_amperes(volts))
    }

    /// True when the power limit, not the set-point, holds the current down.
    pub fn is_derating(&self) -> bool {
        let power_limit = self.maximum_watts() / self.volts.max(1.0);
        let held = self.on && power_limit < self.set_amperes && self.amperes > power_limit * 0.99;
        held || self.maximum_watts() < MAXIMUM_WATTS
    }

    /// Temperature of the air at its inlet.
    pub fn celsius(&self) -> f64 {
        self.celsius
    }

    /// The set-point: voltage and current.
    pub fn set_point(&self) -> (f64, f64) {
        (self.set_volts, self.set_amperes)
    }

    /// What it says about itself.
    pub fn status(&self) -> Status {
        let conditions = &self.conditions;
        Status {
            group: self.group,
            ambient_celsius: self.celsius.round() as i8,
            short: conditions.short,
            output_off: !self.on,
            fault: conditions.broken,
            tripped: conditions.trip,
            fan: conditions.fan,
            over_temperature: conditions.over_temperature || self.celsius >= TOO_HOT_CELSIUS,
            over_voltage: conditions.over_voltage,
            walk_in: self.walk_in,
            controller_lost: self.controller_lost,
            derating: self.is_derating(),
            duplicate_address: conditions.duplicate_address,
            imbalance: conditions.imbalance,
            phase_lost: conditions.phase_lost,
            mains_low: conditions.mains_low,
            mains_high: conditions.mains_high,
            mains_side_off: conditions.mains_low || conditions.mains_high,
        }
    }
}

impl Default for Module {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(10);
    const RISE: Duration = Duration::from_secs(3);

    fn running(millivolts: u32, milliamperes: u32) -> Module {
        let mut module = Module::new();
        module.hear();
        module.set(SetPoint { millivolts, milliamperes }).unwrap();
        module.switch(true);
        module
    }

    #[test]
    fn the_voltage_ramps_and_stops_at_the_set_point() {
        let mut module = running(500_000, 2_000);
        for _ in 0..75 {
            module.step(TICK, &Timing::realistic());
        }
        assert!((module.regulated_volts() - 250.0).abs() < 1.0);
        for _ in 0..100 {
            module.step(TICK, &Timing::realistic());
        }
        assert!((module.regulated_volts() - 500.0).abs() < f64::EPSILON);
        module.set(SetPoint { millivolts: 100_000, milliamperes: 0 }).unwrap();
        module.step(TICK, &Timing::realistic());
        assert!((module.regulated_volts() - 100.0).abs() < f64::EPSILON);
    }

    #[test]
    fn it_is_a_voltage_source_with_limits() {
        let mut module = running(500_000, 80_000);
        module.step(RISE, &Timing::realistic());
        assert_eq!(module.supply_amperes(500.0), 0.0);
        assert_eq!(module.supply_amperes(600.0), 0.0);
        assert_eq!(module.supply_amperes(490.0), MAXIMUM_WATTS / 490.0);
        assert_eq!(module.supply_amperes(300.0), 80.0);
        (module.volts, module.amperes) = (490.0, module.supply_amperes(490.0));
        assert!(module.is_derating());
        (module.volts, module.amperes) = (300.0, 80.0);
        assert!(!module.is_derating());
    }

    #[test]
    fn silence_switches_it_off_and_a_word_does_not_switch_it_on() {
        let mut module = running(400_000, 10_000);
        module.step(Duration::from_millis(9_990), &Timing::realistic());
        assert!(module.is_on() && !module.controller_lost());
        module.hear();
        module.step(Duration::from_millis(9_990), &Timing::realistic());
        assert!(module.is_on());
        module.step(TICK, &Timing::realistic());
        assert!(!module.is_on() && module.controller_lost());
        module.hear();
        assert!(!module.is_on() && !module.controller_lost());
        assert_eq!(module.supply_amperes(0.0), 0.0);
    }

    #[test]
    fn set_points_beyond_the_ratings_are_refused() {
        let mut module = running(400_000, 10_000);
        let refused = Err(Verdict::DataInvalid);
        assert_eq!(module.set(SetPoint { millivolts: 1_000_001, milliamperes: 0 }), refused);
        assert_eq!(module.set(SetPoint { millivolts: 400_000, milliamperes: 100_001 }), refused);
        module.step(RISE, &Timing::realistic());
        assert_eq!(module.regulated_volts(), 400.0);
    }

    #[test]
    fn what_befalls_it_takes_the_output_away_and_is_told() {
        let sound = Conditions::default;
        for (name, conditions, states, watts) in [
            ("trip", Conditions { trip: true, ..sound() }, [0, 0x45, 0], None),
            ("broken", Conditions { broken: true, ..sound() }, [0, 0x43, 0], None),
            ("too hot", Conditions { over_temperature: true, ..sound() }, [0, 0x51, 0], None),
            ("over-voltage", Conditions { over_voltage: true, ..sound() }, [0, 0x61, 0], None),
            ("short", Conditions { short: true, ..sound() }, [1, 0x41, 0], None),
            ("mains low", Conditions { mains_low: true, ..sound() }, [0, 0x41, 0xA0], None),
            ("mains high", Conditions { mains_high: true, ..sound() }, [0, 0x41, 0xC0], None),
            ("fan", Conditions { fan: true, ..sound() }, [0, 0x48, 0], Some(30_000.0)),
            ("imbalance", Conditions { imbalance: true, ..sound() }, [0, 0x40, 4], Some(30_000.0)),
            ("duplicate", Conditions { duplicate_address: true, ..sound() }, [0, 0x40, 2], Some(30_000.0)),
            ("phase lost", Conditions { phase_lost: true, ..sound() }, [0, 0x40, 9], Some(15_000.0)),
            ("derates", Conditions { watts: 10_000.0, ..sound() }, [0, 0x40, 1], Some(10_000.0)),
        ] {
            let mut module = running(400_000, 90_000);
            module.conditions = conditions;
            module.step(TICK, &Timing::realistic());
            assert_eq!(module.status().states(), states, "{name}");
            let given = module.is_on().then(|| module.available_amperes(400.0) * 400.0);
            assert_eq!(given, watts, "{name}");
        }
    }

    #[test]
    fn a_module_that_is_stuck_on_obeys_neither_command_nor_silence() {
        let mut module = running(400_000, 10_000);
        module.conditions.stuck_on = true;
        module.switch(false);
        module.step(Duration::from_secs(11), &Timing::realistic());
        assert!(module.is_on() && module.controller_lost());
        module.conditions.stuck_on = false;
        module.switch(false);
        assert!(!module.is_on());
    }

    #[test]
    fn it_gives_less_from_65_degrees_on_and_nothing_at_85() {
        let timing = Timing::realistic();
        for (ambient, watts) in [(64.0, 30_000.0), (75.0, 15_000.0), (80.0, 7_500.0), (86.0, 0.0)] {
            let mut module = running(400_000, 90_000);
            module.conditions.ambient_celsius = ambient;
            for _ in 0..600 {
                module.hear();
                module.step(Duration::from_secs(5), &timing);
            }
            assert!((module.maximum_watts() - watts).abs() < 1.0, "{ambient}: {}", module.maximum_watts());
            assert_eq!(module.is_on(), watts > 0.0, "{ambient}");
            assert_eq!(module.status().over_temperature, watts == 0.0, "{ambient}");
            assert_eq!(f64::from(module.status().ambient_celsius), ambient);
        }
    }
}
