//! A vehicle: battery, charge curve, demand, contactors and its own protections.
//!
//! It talks to nobody; the board asks it what it wants and tells it what flows.

use std::time::Duration;

use crate::circuit::Battery;
use crate::contactor::Contactor;

/// Inner resistance of a battery whose highest voltage is [`REFERENCE_VOLTS`].
const REFERENCE_OHMS: f64 = 0.05;
const REFERENCE_VOLTS: f64 = 420.0;

/// Open circuit voltage over state of charge, as share of the highest voltage.
const VOLTAGE_CURVE: [(f64, f64); 4] = [(0.0, 0.833), (0.1, 0.87), (0.9, 0.945), (1.0, 0.976)];
/// Accepted power over state of charge, as share of the largest power.
const POWER_CURVE: [(f64, f64); 4] = [(0.0, 1.0), (0.55, 1.0), (0.8, 0.2), (1.0, 0.05)];

/// Finest step of a demand on the wire.
const DEMAND_STEP_AMPERES: f64 = 0.1;

/// What kind of vehicle is plugged in.
#[derive(Clone, Debug, PartialEq)]
pub struct Vehicle {
    /// State of charge on arrival, 0 to 100.
    pub state_of_charge_percent: u8,
    /// The vehicle ends the session at this state of charge.
    pub target_state_of_charge_percent: u8,
    /// Battery capacity.
    pub capacity_watt_hours: u32,
    /// Largest power it takes.
    pub maximum_watts: u32,
    /// Largest current it takes.
    pub maximum_milliamperes: u32,
    /// Highest voltage of its battery.
    pub maximum_millivolts: u32,
    /// Its identifier on the control pilot line.
    pub id: [u8; 6],
}

impl Default for Vehicle {
    fn default() -> Self {
        Self {
            state_of_charge_percent: 20,
            target_state_of_charge_percent: 100,
            capacity_watt_hours: 60_000,
            maximum_watts: 150_000,
            maximum_milliamperes: 400_000,
            maximum_millivolts: 420_000,
            id: [0x02, 0xB0, 0x5B, 0xA2, 0x00, 0x01],
        }
    }
}

/// A plugged vehicle.
#[derive(Clone, Debug)]
pub struct Car {
    vehicle: Vehicle,
    stored_watt_hours: f64,
    demand_amperes: f64,
    over_current: Duration,
    /// The driver holds the charge for a while.
    pub paused: bool,
    /// The driver ends the charge.
    pub stopped: bool,
    /// The contactors between inlet and battery.
    pub contactor: Contactor,
}

impl Car {
    /// A vehicle that has just arrived.
    pub fn new(vehicle: Vehicle) -> Self {
        let capacity = f64::from(vehicle.capacity_watt_hours);
        Self {
            stored_watt_hours: capacity * f64::from(vehicle.state_of_charge_percent) / 100.0,
            vehicle,
            demand_amperes: 0.0,
            over_current: Duration::ZERO,
            paused: false,
            stopped: false,
            contactor: Contactor::default(),
        }
    }

    /// What kind of vehicle it is.
    pub fn vehicle(&self) -> &Vehicle {
        &self.vehicle
    }

    /// State of charge from 0 to 1.
    pub fn state_of_charge(&self) -> f64 {
        (self.stored_watt_hours / f64::from(self.vehicle.capacity_watt_hours)).clamp(0.0, 1.0)
    }

    /// Highest voltage of the battery.
    pub fn maximum_volts(&self) -> f64 {
        f64::from(self.vehicle.maximum_millivolts) / 1000.0
    }

    /// Battery voltage without current.
    pub fn open_circuit_volts(&self) -> f64 {
        self.maximum_volts() * interpolate(&VOLTAGE_CURVE, self.state_of_charge())
    }

    /// The battery, while the contactors connect it to the inlet.
    pub fn connected_battery(&self) -> Option<Battery> {
        self.contactor.is_closed().then(|| Battery { open_circuit_volts: self.open_circuit_volts(), ohms: self.ohms() })
    }

    fn ohms(&self) -> f64 {
        REFERENCE_OHMS * self.maximum_volts() / REFERENCE_VOLTS
    }

    /// True when the battery has what the driver wants, or the driver ends the charge.
    pub fn wants_to_end(&self) -> bool {
        self.stopped || self.state_of_charge() * 100.0 >= f64::from(self.vehicle.target_state_of_charge_percent) - 1e-9
    }

    /// The current the vehicle would like to have.
    pub fn wish_amperes(&self) -> f64 {
        if self.paused || self.wants_to_end() {
            return 0.0;
        }
        let power = f64::from(self.vehicle.maximum_watts) * interpolate(&POWER_CURVE, self.state_of_charge());
        // The power is that at the inlet, where the voltage rises with the current: solves P = (U₀ + I·R)·I.
        let (volts, ohms) = (self.open_circuit_volts(), self.ohms());
        let amperes = ((volts * volts + 4.0 * ohms * power).sqrt() - volts) / (2.0 * ohms);
        amperes.min(f64::from(self.vehicle.maximum_milliamperes) / 1000.0)
    }

    /// Lets the demand follow the wish: upwards on a slope, downwards at once.
    pub fn ramp(&mut self, dt: Duration, charging: bool, amperes_per_second: f64) {
        let wish = if charging { self.wish_amperes() } else { 0.0 };
        self.demand_amperes = (self.demand_amperes + amperes_per_second * dt.as_secs_f64()).min(wish);
    }

    /// The demand as it goes over the wire, in tenths of an ampere: never more than the station offers, and at
    /// least one step when the vehicle wants anything.
    pub fn demand_amperes(&self, offered_amperes: f64) -> f64 {
        if self.demand_amperes <= 0.0 {
            return 0.0;
        }
        let steps = (self.demand_amperes / DEMAND_STEP_AMPERES + 1e-6).floor().max(1.0);
        let offered_steps = (offered_amperes / DEMAND_STEP_AMPERES + 1e-6).floor();
        steps.min(offered_steps).max(0.0) * DEMAND_STEP_AMPERES
    }

    /// Moves the contactors and stores what flows into the battery.
    pub fn step(&mut self, dt: Duration, travel: Duration, amperes: f64) {
        let watts = self.open_circuit_volts() * amperes;
        self.stored_watt_hours += watts * dt.as_secs_f64() / 3600.0;
        self.contactor.step(dt, travel);
    }

    /// The vehicle's own protections; the text says what was wrong.
    pub fn protect(&mut self, dt: Duration, volts: f64, amperes: f64, demand_amperes: f64) -> Option<String> {
        const PATIENCE: Duration = Duration::from_secs(1);
        if !self.contactor.is_closed() {
            return None;
        }
        let highest = self.maximum_volts() * 1.01 + 2.0;
        if volts > highest {
            return Some(format!("voltage above the car's limit ({volts:.1} V, limit {highest:.1} V)"));
        }
        if amperes > demand_amperes * 1.1 + 10.0 {
            self.over_current = self.over_current.saturating_add(dt);
        } else {
            self.over_current = Duration::ZERO;
        }
        (self.over_current > PATIENCE)
            .then(|| format!("current above the car's demand ({amperes:.1} A, demand {demand_amperes:.1} A)"))
    }
}

/// Linear interpolation between points in ascending order.
fn interpolate(points: &[(f64, f64)], x: f64) -> f64 {
    let mut previous: Option<(f64, f64)> = None;
    for &(at, value) in points {
        match previous {
            Some((from, start)) if x < at => return start + (value - start) * (x - from) / (at - from),
            None if x <= at => return value,
            _ => previous = Some((at, value)),
        }
    }
    previous.map_or(0.0, |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn car(percent: u8) -> Car {
        Car::new(Vehicle { state_of_charge_percent: percent, ..Vehicle::default() })
    }

    #[test]
    fn voltage_and_power_follow_the_state_of_charge() {
        assert!((car(0).open_circuit_volts() - 349.9).abs() < 0.1);
        assert!((car(100).open_circuit_volts() - 409.9).abs() < 0.1);
        let at_inlet = |car: Car| (car.open_circuit_volts() + car.ohms() * car.wish_amperes()) * car.wish_amperes();
        assert!((at_inlet(car(50)) - 150_000.0).abs() < 1.0);
        assert!((at_inlet(car(80)) - 30_000.0).abs() < 1.0);
        assert_eq!(car(100).wish_amperes(), 0.0);
        assert!(car(100).wants_to_end());
    }

    #[test]
    fn the_demand_rises_on_its_slope_and_falls_at_once() {
        let mut car = car(20);
        car.ramp(Duration::from_secs(2), true, 20.0);
        assert!((car.demand_amperes(500.0) - 40.0).abs() < 1e-9);
        assert!((car.demand_amperes(12.34) - 12.3).abs() < 1e-9);
        assert_eq!(car.demand_amperes(0.0), 0.0);
        car.paused = true;
        car.ramp(Duration::from_millis(10), true, 20.0);
        assert_eq!(car.demand_amperes(500.0), 0.0);
    }

    #[test]
    fn a_tiny_vehicle_still_asks_for_one_step() {
        let mut car = Car::new(Vehicle { maximum_watts: 5, ..Vehicle::default() });
        car.ramp(Duration::from_secs(2), true, 20.0);
        assert!((car.demand_amperes(500.0) - 0.1).abs() < 1e-9);
    }

    #[test]
    fn it_protects_itself() {
        let mut car = car(20);
        let second = Duration::from_secs(1);
        assert_eq!(car.protect(second, 500.0, 0.0, 0.0), None);
        car.contactor.command(true);
        car.contactor.step(second, second);
        assert!(car.protect(second, 427.0, 0.0, 0.0).unwrap().starts_with("voltage above the car's limit"));
        assert_eq!(car.protect(second, 400.0, 120.0, 100.0), None);
        assert_eq!(car.protect(second, 400.0, 121.0, 100.0), None);
        let second_time = car.protect(second, 400.0, 121.0, 100.0).unwrap();
        assert!(second_time.starts_with("current above the car's demand"));
    }

    #[test]
    fn what_flows_is_stored() {
        let mut car = car(50);
        let (before, volts) = (car.stored_watt_hours, car.open_circuit_volts());
        car.step(Duration::from_secs(3600), Duration::ZERO, 10.0);
        assert!((car.stored_watt_hours - before - 10.0 * volts).abs() < 1e-6);
    }
}
