//! Temperatures: how they follow what heats and cools, and the two sensors in a plug.
//!
//! Only the physics; which current flows and what is wrong with a sensor is given.

use std::time::Duration;

/// Temperature of the air around a cabinet with which nothing is wrong.
pub const ROOM_CELSIUS: f64 = 25.0;
/// Resistance of a plug's contact pair.
pub const CONTACT_OHMS: f64 = 0.000_3;

/// A plug is warmer than the air by this much for each watt in its contacts.
const KELVINS_PER_WATT: f64 = 1.0;
/// The second sensor sits a little further from the contacts.
const SECOND_SENSOR_SHARE: f64 = 0.9;
/// What an interrupted sensor is read as.
const INTERRUPTED_CELSIUS: f64 = -40.0;

/// A temperature that goes to its goal with a time constant.
pub fn approach(celsius: f64, goal: f64, dt: Duration, time_constant: Duration) -> f64 {
    let share = 1.0 - (-dt.as_secs_f64() / time_constant.as_secs_f64()).exp();
    celsius + (goal - celsius) * share
}

/// A plug with its contacts and its sensors.
#[derive(Clone, Debug, PartialEq)]
pub struct Plug {
    celsius: f64,
    /// Temperature of the air.
    pub ambient_celsius: f64,
    /// Resistance of its contacts.
    pub contact_ohms: f64,
    /// A temperature that both sensors have whatever flows.
    pub held_celsius: Option<f64>,
    /// The first sensor is interrupted.
    pub sensor_broken: bool,
}

impl Default for Plug {
    fn default() -> Self {
        Self {
            celsius: ROOM_CELSIUS,
            ambient_celsius: ROOM_CELSIUS,
            contact_ohms: CONTACT_OHMS,
            held_celsius: None,
            sensor_broken: false,
        }
    }
}

impl Plug {
    /// Lets a current heat the contacts.
    pub fn step(&mut self, dt: Duration, time_constant: Duration, amperes: f64) {
        let goal = self.ambient_celsius + amperes * amperes * self.contact_ohms * KELVINS_PER_WATT;
        self.celsius = approach(self.celsius, goal, dt, time_constant);
    }

    /// Temperatures of the two sensors.
    pub fn sensors(&self) -> [f64; 2] {
        let held = |share: f64| self.ambient_celsius + (self.celsius - self.ambient_celsius) * share;
        let [first, second] = self.held_celsius.map_or([held(1.0), held(SECOND_SENSOR_SHARE)], |celsius| [celsius; 2]);
        [if self.sensor_broken { INTERRUPTED_CELSIUS } else { first }, second]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn after(seconds: u32, amperes: f64, plug: Plug) -> [f64; 2] {
        let mut plug = plug;
        (0..seconds).for_each(|_| plug.step(SECOND, 10 * SECOND, amperes));
        plug.sensors().map(f64::round)
    }

    #[test]
    fn current_heats_the_contacts_by_its_square_and_the_air_cools_them() {
        let bad = || Plug { contact_ohms: 0.003, ..Plug::default() };
        for (name, seconds, amperes, plug, expected) in [
            ("no current", 100, 0.0, Plug::default(), [25.0, 25.0]),
            ("sound contacts", 100, 200.0, Plug::default(), [37.0, 36.0]),
            ("bad contacts", 100, 200.0, bad(), [145.0, 133.0]),
            ("bad contacts, one time constant", 10, 200.0, bad(), [101.0, 93.0]),
            ("half the current", 100, 100.0, bad(), [55.0, 52.0]),
            ("hot air", 100, 0.0, Plug { ambient_celsius: 90.0, ..Plug::default() }, [90.0, 90.0]),
            ("held", 1, 0.0, Plug { held_celsius: Some(85.0), ..Plug::default() }, [85.0, 85.0]),
            ("a sensor is broken", 1, 0.0, Plug { sensor_broken: true, ..Plug::default() }, [-40.0, 25.0]),
        ] {
            assert_eq!(after(seconds, amperes, plug), expected, "{name}");
        }
    }
}
