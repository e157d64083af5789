//! What a test wants to know about one plug-in: energy, interruptions, silence of the station, peaks.
//!
//! It only observes; nothing in the plant depends on it.

use std::time::Duration;

use crate::meter::EnergyCounter;

/// A current below this is an interruption for a vehicle that wants at least twice as much.
const INTERRUPTED_AMPERES: f64 = 0.5;
/// A shorter gap is not counted.
const TOLERATED_GAP: Duration = Duration::from_millis(20);

/// Observations since the vehicle was plugged in.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    delivered: EnergyCounter,
    flowing: bool,
    gap: Duration,
    /// Times the current broke off although the vehicle wanted it.
    pub interruptions: u32,
    /// Longest gap between two status frames of the station during a session.
    pub longest_station_silence: Duration,
    /// Largest current.
    pub peak_amperes: f64,
    /// Times the charging state was entered.
    pub charges: u32,
}

impl Statistics {
    /// Observes a step; `wish_amperes` is what the vehicle would like, 0 outside the charging state.
    pub fn step(&mut self, dt: Duration, volts: f64, amperes: f64, wish_amperes: f64) {
        self.delivered.add(volts * amperes, dt);
        self.peak_amperes = self.peak_amperes.max(amperes);
        // Small vehicles ask for one step of the wire, so half of their wish is surely below what flows.
        let threshold = INTERRUPTED_AMPERES.min(wish_amperes / 2.0);
        if wish_amperes <= 0.0 {
            self.flowing = false;
            self.gap = Duration::ZERO;
        } else if amperes >= threshold {
            self.flowing = true;
            self.gap = Duration::ZERO;
        } else if self.flowing {
            self.gap = self.gap.saturating_add(dt);
            if self.gap > TOLERATED_GAP {
                self.flowing = false;
                self.interruptions = self.interruptions.saturating_add(1);
            }
        }
    }

    /// Energy that went into the vehicle.
    pub fn delivered_milliwatt_hours(&self) -> u64 {
        self.delivered.milliwatt_hours()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(10);

    fn interruptions(wish: f64, currents: &[f64]) -> u32 {
        let mut statistics = Statistics::default();
        for &amperes in currents {
            statistics.step(TICK, 400.0, amperes, wish);
        }
        statistics.interruptions
    }

    #[test]
    fn an_interruption_is_counted_once_and_only_after_current_has_flowed() {
        assert_eq!(interruptions(100.0, &[0.0; 9]), 0);
        assert_eq!(interruptions(100.0, &[50.0, 0.0, 0.0, 50.0]), 0);
        assert_eq!(interruptions(100.0, &[50.0, 0.0, 0.0, 0.0, 0.0, 0.0]), 1);
        assert_eq!(interruptions(100.0, &[50.0, 0.4, 0.4, 0.4, 50.0, 0.0, 0.0, 0.0]), 2);
        assert_eq!(interruptions(0.0, &[50.0, 0.0, 0.0, 0.0]), 0);
        assert_eq!(interruptions(0.02, &[0.1, 0.1, 0.0, 0.0, 0.0]), 1);
        assert_eq!(interruptions(0.02, &[0.1, 0.1, 0.1]), 0);
    }
}
