//! What a test wants to know about one plug-in: energy, interruptions, silence of the station, peaks.
//!
//! It only observes; nothing in the plant depends on it.

use std::time::Duration;

use crate::meter::EnergyCounter;

/// A current below this is an interruption for a vehicle that wants at least twice as much.
const INTERRUPTED_AMPERES: f64 = 0.5;
/// A shorter gap is not counted.
const TOLERATED_GAP: Duration = Duration::from_millis(20);

/// The current has reached a demand when it is above this share of it, and dips below that one.
const REACHED_SHARE: f64 = 0.95;
const DIPPED_SHARE: f64 = 0.8;
/// A demand below this is too small for a share of it to be told from noise.
const NOTABLE_AMPERES: f64 = 2.0;

/// Observations since the vehicle was plugged in.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    delivered: EnergyCounter,
    flowing: bool,
    gap: Duration,
    reached_amperes: f64,
    dip: Duration,
    /// Times the current fell by a fifth or more below a demand that it had reached.
    pub dips: u32,
    /// Longest time that the current was down so.
    pub longest_dip: Duration,
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
    /// Observes a step; `wish_amperes` is what the vehicle would like, 0 outside the charging state, and
    /// `demand_amperes` what it asks for over the wire.
    pub fn step(&mut self, dt: Duration, volts: f64, amperes: f64, wish_amperes: f64, demand_amperes: f64) {
        self.look_for_dip(dt, amperes, demand_amperes);
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

    /// What was reached counts: a demand that rises is not yet there, and one that falls takes its mark along.
    fn look_for_dip(&mut self, dt: Duration, amperes: f64, demand_amperes: f64) {
        self.reached_amperes = self.reached_amperes.min(demand_amperes);
        if amperes >= demand_amperes * REACHED_SHARE {
            self.reached_amperes = demand_amperes;
        }
        if self.reached_amperes < NOTABLE_AMPERES || amperes >= self.reached_amperes * DIPPED_SHARE {
            self.dip = Duration::ZERO;
            return;
        }
        self.dips = self.dips.saturating_add(u32::from(self.dip.is_zero()));
        self.dip = self.dip.saturating_add(dt);
        self.longest_dip = self.longest_dip.max(self.dip);
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
            statistics.step(TICK, 400.0, amperes, wish, 0.0);
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

    #[test]
    fn a_dip_is_a_fall_below_a_demand_that_was_reached() {
        for (name, steps, expected) in [
            ("rises", &[(10.0, 0.0), (50.0, 10.0), (100.0, 50.0), (100.0, 100.0)][..], (0, 0)),
            ("falls with the demand", &[(100.0, 100.0), (20.0, 90.0), (20.0, 20.0)], (0, 0)),
            ("a little less", &[(100.0, 100.0), (100.0, 81.0)], (0, 0)),
            ("dips", &[(100.0, 100.0), (100.0, 79.0), (100.0, 50.0), (100.0, 100.0)], (1, 20)),
            ("dips twice", &[(100.0, 100.0), (100.0, 0.0), (100.0, 100.0), (100.0, 0.0)], (2, 10)),
            ("less than could be seen", &[(1.0, 1.0), (1.0, 0.0)], (0, 0)),
        ] {
            let mut statistics = Statistics::default();
            steps.iter().for_each(|(demand, amperes)| statistics.step(TICK, 400.0, *amperes, 100.0, *demand));
            let millis = statistics.longest_dip.as_millis();
            assert_eq!((statistics.dips, millis), expected, "{name}");
        }
    }
}
