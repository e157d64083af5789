//! A vehicle: battery, charge curve, demand, contactors and its own protections.
//!
//! It talks to nobody; the board asks it what it wants and tells it what flows.

use std::time::Duration;

use crate::circuit::Battery;
use crate::contactor::{Contactor, Defects};

#[cfg(test)]
mod tests;

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

/// How a vehicle misbehaves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Manners {
    /// It never closes its contactors.
    pub never_closes: bool,
    /// It opens its contactors whatever flows.
    pub opens: bool,
    /// Its contactors do not open.
    pub welded: bool,
    /// It goes on when it is told to stop.
    pub does_not_stop: bool,
    /// It asks for this much more than it may.
    pub excess_amperes: f64,
    /// Its limits and its demand jump about.
    pub wild: bool,
    /// Its battery has this much more voltage than its limit allows.
    pub excess_volts: f64,
    /// It stays in the board's state with this number.
    pub lingers: Option<u8>,
    /// It wants the session to pause.
    pub pauses: bool,
    /// Another largest current than it came with.
    pub maximum_amperes: Option<f64>,
    /// Another largest power.
    pub maximum_watts: Option<f64>,
    /// Another highest voltage.
    pub maximum_volts: Option<f64>,
}

/// What a car that changes its mind asks for in turn, as share of what it could have, and for how long each.
const WILD_SHARES: [f64; 6] = [1.0, 0.15, 0.7, 0.02, 1.0, 0.4];
const WILD_PERIOD: Duration = Duration::from_millis(500);

/// What was wrong with the power that a vehicle got.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Complaint {
    /// Voltage and the highest it bears.
    Volts(f64, f64),
    /// Current and what it had asked for.
    Amperes(f64, f64),
}

/// A plugged vehicle.
#[derive(Clone, Debug)]
pub struct Car {
    vehicle: Vehicle,
    stored_watt_hours: f64,
    demand_amperes: f64,
    over_current: Duration,
    age: Duration,
    /// How it misbehaves.
    pub manners: Manners,
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
            age: Duration::ZERO,
            manners: Manners::default(),
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

    /// Highest voltage of the battery, as it tells it.
    pub fn maximum_volts(&self) -> f64 {
        self.manners.maximum_volts.unwrap_or_else(|| self.built_volts())
    }

    fn built_volts(&self) -> f64 {
        f64::from(self.vehicle.maximum_millivolts) / 1000.0
    }

    /// Largest current, as it tells it.
    pub fn maximum_amperes(&self) -> f64 {
        let own = f64::from(self.vehicle.maximum_milliamperes) / 1000.0;
        self.manners.maximum_amperes.unwrap_or(own) * self.mood()
    }

    /// Largest power, as it tells it.
    pub fn maximum_watts(&self) -> f64 {
        self.manners.maximum_watts.unwrap_or(f64::from(self.vehicle.maximum_watts))
    }

    /// The share of its limit that a car in a wild mood has at the moment.
    fn mood(&self) -> f64 {
        if !self.manners.wild {
            return 1.0;
        }
        let turn = self.age.as_millis() / WILD_PERIOD.as_millis();
        let turn = usize::try_from(turn).unwrap_or_default() % WILD_SHARES.len();
        WILD_SHARES.get(turn).copied().unwrap_or(1.0)
    }

    /// Battery voltage without current.
    pub fn open_circuit_volts(&self) -> f64 {
        self.built_volts() * interpolate(&VOLTAGE_CURVE, self.state_of_charge()) + self.excess_volts()
    }

    /// How far the battery is lifted, so that it lies above its limit by what was asked for.
    fn excess_volts(&self) -> f64 {
        if self.manners.excess_volts <= 0.0 {
            return 0.0;
        }
        let below = self.built_volts() * (1.0 - interpolate(&VOLTAGE_CURVE, self.state_of_charge()));
        below + self.manners.excess_volts
    }

    /// The battery, while the contactors connect it to the inlet.
    pub fn connected_battery(&self) -> Option<Battery> {
        self.contactor.is_closed().then(|| Battery { open_circuit_volts: self.open_circuit_volts(), ohms: self.ohms() })
    }

    fn ohms(&self) -> f64 {
        REFERENCE_OHMS * self.built_volts() / REFERENCE_VOLTS
    }

    /// True when the battery has what the driver wants, or the driver ends the charge.
    pub fn wants_to_end(&self) -> bool {
        if self.manners.does_not_stop {
            return false;
        }
        self.stopped || self.state_of_charge() * 100.0 >= f64::from(self.vehicle.target_state_of_charge_percent) - 1e-9
    }

    /// The current the vehicle would like to have.
    pub fn wish_amperes(&self) -> f64 {
        if self.paused || self.wants_to_end() {
            return 0.0;
        }
        let power = self.maximum_watts() * interpolate(&POWER_CURVE, self.state_of_charge());
        // The power is that at the inlet, where the voltage rises with the current: solves P = (U₀ + I·R)·I.
        let (volts, ohms) = (self.open_circuit_volts(), self.ohms());
        let amperes = ((volts * volts + 4.0 * ohms * power).sqrt() - volts) / (2.0 * ohms);
        amperes.min(self.maximum_amperes())
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
        steps.min(offered_steps).max(0.0) * DEMAND_STEP_AMPERES + self.manners.excess_amperes
    }

    /// Moves the contactors and stores what flows into the battery.
    pub fn step(&mut self, dt: Duration, travel: Duration, amperes: f64) {
        let watts = self.open_circuit_volts() * amperes;
        self.stored_watt_hours += watts * dt.as_secs_f64() / 3600.0;
        self.age = self.age.saturating_add(dt);
        self.contactor.defects = Defects {
            stuck: (self.manners.never_closes || self.manners.opens).then_some(false),
            welded: self.manners.welded,
            ..Defects::default()
        };
        self.contactor.step(dt, travel);
    }

    /// The vehicle's own protections.
    pub fn protect(&mut self, dt: Duration, volts: f64, amperes: f64, demand_amperes: f64) -> Option<Complaint> {
        const PATIENCE: Duration = Duration::from_secs(1);
        if !self.contactor.is_closed() {
            return None;
        }
        // A vehicle whose battery is too high does not notice it: noticing is left to the station.
        let highest = self.maximum_volts() * 1.01 + 2.0 + self.manners.excess_volts;
        if volts > highest {
            return Some(Complaint::Volts(volts, highest));
        }
        if amperes > demand_amperes * 1.1 + 10.0 {
            self.over_current = self.over_current.saturating_add(dt);
        } else {
            self.over_current = Duration::ZERO;
        }
        (self.over_current > PATIENCE).then_some(Complaint::Amperes(amperes, demand_amperes))
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
