//! The DC energy meter of one connector: it measures behind the output contactor and counts energy.
//!
//! The count is exact to the milliwatt hour. What a reader may see is only what was recorded before, so that
//! the register never falls when the plant is restarted.

use std::time::Duration;

/// Joules in one milliwatt hour.
const JOULES_PER_MILLIWATT_HOUR: f64 = 3.6;

/// Counts energy in whole milliwatt hours and keeps the remainder.
#[derive(Clone, Debug, Default)]
pub struct EnergyCounter {
    milliwatt_hours: u64,
    remainder: f64,
}

impl EnergyCounter {
    /// A counter that starts at a known reading.
    pub fn starting_at(milliwatt_hours: u64) -> Self {
        Self { milliwatt_hours, remainder: 0.0 }
    }

    /// Adds a power over a time; negative power is not counted.
    pub fn add(&mut self, watts: f64, dt: Duration) {
        self.remainder += watts.max(0.0) * dt.as_secs_f64() / JOULES_PER_MILLIWATT_HOUR;
        let whole = self.remainder.floor();
        self.remainder -= whole;
        self.milliwatt_hours = self.milliwatt_hours.saturating_add(whole as u64);
    }

    /// The whole milliwatt hours counted so far.
    pub fn milliwatt_hours(&self) -> u64 {
        self.milliwatt_hours
    }
}

/// A meter with its momentary values and its two energy registers.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    volts: f64,
    amperes: f64,
    import: EnergyCounter,
    export: EnergyCounter,
    recorded: Readings,
    stuck: Option<(f64, f64, Readings)>,
}

/// The two energy registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    /// Energy to the vehicle.
    pub import_milliwatt_hours: u64,
    /// Energy from the vehicle.
    pub export_milliwatt_hours: u64,
}

impl Meter {
    /// A meter whose registers were recorded earlier.
    pub fn restored(readings: Readings) -> Self {
        Self {
            import: EnergyCounter::starting_at(readings.import_milliwatt_hours),
            export: EnergyCounter::starting_at(readings.export_milliwatt_hours),
            recorded: readings,
            ..Self::default()
        }
    }

    /// Measures for the time `dt`.
    pub fn step(&mut self, dt: Duration, volts: f64, amperes: f64) {
        self.volts = volts;
        self.amperes = amperes;
        self.import.add(volts * amperes, dt);
        self.export.add(-volts * amperes, dt);
    }

    /// The exact registers, whether recorded or not.
    pub fn readings(&self) -> Readings {
        Readings {
            import_milliwatt_hours: self.import.milliwatt_hours(),
            export_milliwatt_hours: self.export.milliwatt_hours(),
        }
    }

    /// The registers a reader may see.
    pub fn recorded(&self) -> Readings {
        self.stuck.map_or(self.recorded, |(_, _, readings)| readings)
    }

    /// From now on it tells what it tells now; its count goes on.
    pub fn set_stuck(&mut self, stuck: bool) {
        let now = (self.volts, self.amperes, self.recorded);
        self.stuck = stuck.then(|| self.stuck.unwrap_or(now));
    }

    /// Tells the meter that `readings` are safe on disk.
    pub fn mark_recorded(&mut self, readings: Readings) {
        self.recorded = readings;
    }

    /// Sets the import register, as a new meter would bring its own.
    pub fn set_import(&mut self, milliwatt_hours: u64) {
        self.import = EnergyCounter::starting_at(milliwatt_hours);
    }

    /// The voltage measured last.
    pub fn volts(&self) -> f64 {
        self.stuck.map_or(self.volts, |(volts, _, _)| volts)
    }

    /// The current measured last, positive to the vehicle.
    pub fn amperes(&self) -> f64 {
        self.stuck.map_or(self.amperes, |(_, amperes, _)| amperes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_is_the_integral_of_power() {
        let mut meter = Meter::default();
        let (mut joules, dt) = (0.0, Duration::from_micros(9_973));
        for tick in 0..50_000_u32 {
            let (volts, amperes) = (400.0 + f64::from(tick % 17), f64::from(tick % 251) / 3.0);
            meter.step(dt, volts, amperes);
            joules += volts * amperes * dt.as_secs_f64();
        }
        let expected = joules / JOULES_PER_MILLIWATT_HOUR;
        let counted = meter.readings().import_milliwatt_hours as f64;
        assert!((expected - counted).abs() < 1.01, "{expected} against {counted}");
        assert_eq!(meter.readings().export_milliwatt_hours, 0);
    }

    #[test]
    fn a_reader_sees_only_what_was_recorded() {
        let mut meter = Meter::restored(Readings { import_milliwatt_hours: 5_000, export_milliwatt_hours: 7 });
        meter.step(Duration::from_secs(36), 400.0, 10.0);
        assert_eq!(meter.readings().import_milliwatt_hours, 45_000);
        assert_eq!(meter.recorded().import_milliwatt_hours, 5_000);
        meter.mark_recorded(meter.readings());
        assert_eq!(meter.recorded(), Readings { import_milliwatt_hours: 45_000, export_milliwatt_hours: 7 });
    }

    #[test]
    fn energy_from_the_vehicle_goes_to_the_other_register() {
        let mut meter = Meter::default();
        meter.step(Duration::from_secs(3600), 400.0, -0.5);
        let expected = Readings { import_milliwatt_hours: 0, export_milliwatt_hours: 200_000 };
        assert_eq!(meter.readings(), expected);
    }

    #[test]
    fn a_stuck_meter_goes_on_counting_unseen() {
        let mut meter = Meter::default();
        meter.step(Duration::from_secs(36), 400.0, 10.0);
        meter.mark_recorded(meter.readings());
        meter.set_stuck(true);
        meter.step(Duration::from_secs(36), 390.0, 20.0);
        meter.mark_recorded(meter.readings());
        let seen = |meter: &Meter| (meter.volts(), meter.amperes(), meter.recorded().import_milliwatt_hours);
        assert_eq!(seen(&meter), (400.0, 10.0, 40_000));
        meter.set_stuck(true);
        assert_eq!(seen(&meter), (400.0, 10.0, 40_000));
        meter.set_stuck(false);
        assert_eq!(seen(&meter), (390.0, 20.0, 118_000));
    }
}
