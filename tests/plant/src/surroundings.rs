//! What is around a connector and wired to its output board: switches, the insulation monitor, the cable lock.
//!
//! Only the state; which channel tells what is in `cabinet`.

use std::time::Duration;

use crate::lock::Lock;
use crate::timing::Timing;

/// Insulation of a cable with which nothing is wrong.
const SOUND_KILOHMS: f64 = 1_000.0;
/// The monitor's relay drops below this resistance (hardware notes §5.3, the stricter of both editions at 1000 V).
const RELAY_KILOHMS: f64 = 100.0;

/// The surroundings of one connector.
#[derive(Clone, Debug, PartialEq)]
pub struct Surroundings {
    /// The emergency stop is pressed.
    pub emergency_stop: bool,
    /// The door is open.
    pub door_open: bool,
    /// The cabinet is tilted.
    pub tilted: bool,
    /// There is water in the cabinet.
    pub water: bool,
    /// The insulation monitor's relay has dropped, whatever the resistance.
    pub insulation_bad: bool,
    /// An insulation resistance that is held.
    pub held_kilohms: Option<f64>,
    /// The insulation resistance falls by so much in a second.
    pub falling_kilohms: Option<f64>,
    /// The cable lock.
    pub lock: Lock,
    kilohms: f64,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            emergency_stop: false,
            door_open: false,
            tilted: false,
            water: false,
            insulation_bad: false,
            held_kilohms: None,
            falling_kilohms: None,
            lock: Lock::default(),
            kilohms: SOUND_KILOHMS,
        }
    }
}

impl Surroundings {
    /// Lets time pass.
    pub fn step(&mut self, dt: Duration, timing: &Timing) {
        self.lock.step(dt, timing.lock_travel);
        self.kilohms = match self.falling_kilohms {
            Some(slope) => (self.kilohms - slope * dt.as_secs_f64()).max(0.0),
            None => SOUND_KILOHMS,
        };
    }

    /// The insulation resistance.
    pub fn insulation_kilohms(&self) -> f64 {
        self.held_kilohms.unwrap_or(self.kilohms)
    }

    /// What the insulation monitor's relay says.
    pub fn insulation_good(&self) -> bool {
        !self.insulation_bad && self.insulation_kilohms() >= RELAY_KILOHMS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monitors_relay_drops_when_the_resistance_has_fallen() {
        let mut around = Surroundings { falling_kilohms: Some(300.0), ..Surroundings::default() };
        let mut drops_after = 0;
        while around.insulation_good() {
            around.step(Duration::from_millis(10), &Timing::quick());
            drops_after += 10;
        }
        assert_eq!(drops_after, 3_010);
        around.falling_kilohms = None;
        around.step(Duration::from_millis(10), &Timing::quick());
        assert!(around.insulation_good());
        for (kilohms, good) in [(100.0, true), (99.0, false)] {
            around.held_kilohms = Some(kilohms);
            assert_eq!(around.insulation_good(), good, "{kilohms}");
        }
    }
}
