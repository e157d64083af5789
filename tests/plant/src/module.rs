//! One 30 kW power module: set-point, soft start, limits, and what it does when the controller falls silent.
//!
//! Where its current goes is decided in `circuit`; how its frames look is in `infypower`.

use std::time::Duration;

use crate::infypower::{SetPoint, Verdict};

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

/// A power module.
#[derive(Clone, Debug)]
pub struct Module {
    on: bool,
    set_volts: f64,
    set_amperes: f64,
    ramped_volts: f64,
    unheard: Duration,
    controller_lost: bool,
    /// Its CAN cable is cut: it neither hears nor answers.
    pub silent: bool,
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
            silent: false,
            group: 0,
            walk_in: true,
            volts: 0.0,
            amperes: 0.0,
        }
    }

    /// Lets time pass: the voltage ramps, and silence switches the output off.
    pub fn step(&mut self, dt: Duration, silence: Duration, full_voltage_rise: Duration) {
        self.unheard = self.unheard.saturating_add(dt);
        if self.unheard >= silence {
            self.controller_lost = true;
            self.switch(false);
        }
        if self.on {
            let rise = MAXIMUM_VOLTS * dt.as_secs_f64() / full_voltage_rise.as_secs_f64();
            self.ramped_volts = (self.ramped_volts + rise).min(self.set_volts);
        }
    }

    /// The controller has spoken to this module.
    pub fn hear(&mut self) {
        self.unheard = Duration::ZERO;
        self.controller_lost = false;
    }

    /// Switches the output; the soft start begins at the voltage that is already there.
    pub fn switch(&mut self, on: bool) {
        if on && !self.on {
            self.ramped_volts = self.volts.min(self.set_volts);
        }
        if !on {
            self.ramped_volts = 0.0;
        }
        self.on = on;
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
        if self.on { self.ramped_volts } else { 0.0 }
    }

    /// The largest current it would deliver at `volts`.
    pub fn available_amperes(&self, volts: f64) -> f64 {
        if self.on { self.set_amperes.min(MAXIMUM_WATTS / volts.max(1.0)) } else { 0.0 }
    }

    /// The current it delivers into a node at `volts`: constant voltage, limited in current and power.
    pub fn supply_amperes(&self, volts: f64) -> f64 {
        ((self.regulated_volts() - volts) / DROOP_OHMS).clamp(0.0, self.available_amperes(volts))
    }

    /// True when the power limit, not the set-point, holds the current down.
    pub fn is_derating(&self) -> bool {
        let power_limit = MAXIMUM_WATTS / self.volts.max(1.0);
        self.on && power_limit < self.set_amperes && self.amperes > power_limit * 0.99
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
    const SILENCE: Duration = Duration::from_secs(10);
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
            module.step(TICK, SILENCE, RISE);
        }
        assert!((module.regulated_volts() - 250.0).abs() < 1.0);
        for _ in 0..100 {
            module.step(TICK, SILENCE, RISE);
        }
        assert!((module.regulated_volts() - 500.0).abs() < f64::EPSILON);
        module.set(SetPoint { millivolts: 100_000, milliamperes: 0 }).unwrap();
        module.step(TICK, SILENCE, RISE);
        assert!((module.regulated_volts() - 100.0).abs() < f64::EPSILON);
    }

    #[test]
    fn it_is_a_voltage_source_with_limits() {
        let mut module = running(500_000, 80_000);
        module.step(RISE, SILENCE, RISE);
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
        module.step(Duration::from_millis(9_990), SILENCE, RISE);
        assert!(module.is_on() && !module.controller_lost());
        module.hear();
        module.step(Duration::from_millis(9_990), SILENCE, RISE);
        assert!(module.is_on());
        module.step(TICK, SILENCE, RISE);
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
        module.step(RISE, SILENCE, RISE);
        assert_eq!(module.regulated_volts(), 400.0);
    }
}
