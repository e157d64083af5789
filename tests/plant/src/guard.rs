//! The watch over one connector: conditions that may last for a moment only, each told once while it lasts.
//!
//! Pure; the cabinet shows it the connector in every step. What a fault excuses is decided in `excuse`.

use std::time::Duration;

use crate::danger::{Cause, Danger};
use crate::wiring::Connector;

/// Hardware notes §9.2: no more than this a second after an emergency.
const EMERGENCY_AMPERES: f64 = 5.0;
const EMERGENCY: Duration = Duration::from_secs(1);
/// By then the contactor has opened too, whatever the modules do (§9.5: the command comes at one second).
const EMERGENCY_WITH_CONTACTOR: Duration = Duration::from_millis(1_500);
/// Voltage that may be touched (§9.2).
const TOUCH_VOLTS: f64 = 60.0;
const DISCHARGE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(1);

/// One connector at this moment.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    /// A vehicle is plugged in.
    pub plugged: bool,
    /// The vehicle board is in a state in which there may be voltage.
    pub in_session: bool,
    /// Voltage of the cable.
    pub cable_volts: f64,
    /// Current into the vehicle.
    pub amperes: f64,
    /// Both poles of the output contactor are closed.
    pub output_closed: bool,
    /// The cable lock is in use and open.
    pub unlocked: bool,
    /// The largest current that the vehicle has told, while its contactors are closed.
    pub limit_amperes: Option<f64>,
    /// Why the current must end.
    pub causes: Vec<Cause>,
}

/// A condition that may not last.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Lasting {
    since: Option<Duration>,
    told: bool,
}

impl Lasting {
    /// True once, when the condition has lasted for longer than `limit` and `worse` holds.
    fn tells(&mut self, now: Duration, holds: bool, limit: Duration, worse: bool) -> bool {
        if !holds {
            *self = Self::default();
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let tells = worse && !self.told && now.saturating_sub(since) > limit;
        self.told |= tells;
        tells
    }
}

/// What lasts at one connector.
#[derive(Clone, Debug)]
pub struct Guard {
    connector: Connector,
    emergencies: [[Lasting; 2]; Cause::ALL.len()],
    open_live: Lasting,
    unlocked_live: Lasting,
    no_session: Lasting,
    no_vehicle: Lasting,
    above_limit: Lasting,
}

impl Guard {
    /// The watch over a connector.
    pub fn new(connector: Connector) -> Self {
        let fresh = Lasting::default();
        Self {
            connector,
            emergencies: [[fresh; 2]; Cause::ALL.len()],
            open_live: fresh,
            unlocked_live: fresh,
            no_session: fresh,
            no_vehicle: fresh,
            above_limit: fresh,
        }
    }

    /// Looks at the connector and tells what is dangerous.
    pub fn step(&mut self, now: Duration, sight: &Sight) -> Vec<Danger> {
        let mut dangers = self.emergencies(now, sight);
        let connector = self.connector;
        let volts = sight.cable_volts;
        let live = volts > TOUCH_VOLTS;
        if self.open_live.tells(now, !sight.plugged && live, DISCHARGE, true) {
            dangers.push(Danger::OpenConnectorLive { connector, volts });
        }
        if self.unlocked_live.tells(now, sight.plugged && sight.unlocked && live, Duration::ZERO, true) {
            dangers.push(Danger::UnlockedLive { connector, volts });
        }
        let unasked = sight.plugged && !sight.in_session && live && sight.output_closed;
        if self.no_session.tells(now, unasked, PATIENCE, true) {
            dangers.push(Danger::OutputWithoutSession { connector, volts });
        }
        if self.no_vehicle.tells(now, !sight.plugged && sight.output_closed, PATIENCE, true) {
            dangers.push(Danger::ClosedWithoutVehicle { connector });
        }
        let amperes = sight.amperes;
        let limit = sight.limit_amperes.unwrap_or(f64::INFINITY);
        if self.above_limit.tells(now, amperes > limit * 1.05 + 5.0, PATIENCE, true) {
            dangers.push(Danger::AboveLimit { connector, amperes, limit });
        }
        dangers
    }

    fn emergencies(&mut self, now: Duration, sight: &Sight) -> Vec<Danger> {
        let (connector, amperes) = (self.connector, sight.amperes);
        let flows = amperes > EMERGENCY_AMPERES;
        let mut dangers = Vec::new();
        for (cause, [first, second]) in Cause::ALL.into_iter().zip(&mut self.emergencies) {
            let holds = sight.causes.contains(&cause);
            if first.tells(now, holds, EMERGENCY, flows) {
                dangers.push(Danger::CurrentAfterEmergency { connector, cause, amperes, still: false });
            }
            if second.tells(now, holds, EMERGENCY_WITH_CONTACTOR, flows) {
                dangers.push(Danger::CurrentAfterEmergency { connector, cause, amperes, still: true });
            }
        }
        dangers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(10);

    /// What is told while a sight lasts for some seconds, in the middle of calm.
    fn told(millis: u64, sight: &Sight) -> Vec<String> {
        let mut guard = Guard::new(Connector::One);
        let mut now = Duration::ZERO;
        let mut dangers = Vec::new();
        let end = Duration::from_millis(millis);
        while now <= end {
            dangers.extend(guard.step(now, sight));
            now += TICK;
        }
        dangers.extend(guard.step(now, &Sight::default()));
        dangers.iter().map(|danger| danger.to_string().replace("connector 1: ", "")).collect()
    }

    #[test]
    fn what_may_not_last_is_told_once_and_not_too_soon() {
        let charging = Sight {
            plugged: true,
            in_session: true,
            cable_volts: 400.0,
            amperes: 50.0,
            output_closed: true,
            ..Sight::default()
        };
        let stopped = |cause| Sight { causes: vec![cause], ..charging.clone() };
        let small = |cause| Sight { amperes: 4.9, ..stopped(cause) };
        let open = Sight { cable_volts: 400.0, ..Sight::default() };
        let unlocked = Sight { unlocked: true, ..charging.clone() };
        let idle = Sight { in_session: false, amperes: 0.0, ..charging.clone() };
        let alone = Sight { output_closed: true, ..Sight::default() };
        let limited = Sight { limit_amperes: Some(40.0), ..charging.clone() };
        let nothing: &[&str] = &[];
        for (millis, sight, expected) in [
            (5_000, &charging, nothing),
            (1_000, &stopped(Cause::EmergencyStop), nothing),
            (1_100, &stopped(Cause::EmergencyStop), &["current 1 s after an emergency (emergency-stop, 50.0 A)"]),
            (5_000, &small(Cause::Tilt), nothing),
            (
                5_000,
                &stopped(Cause::Board),
                &[
                    "current 1 s after an emergency (board-emergency, 50.0 A)",
                    "current 1.5 s after an emergency (board-emergency, 50.0 A)",
                ],
            ),
            (1_000, &open, nothing),
            (5_000, &open, &["voltage on an open connector (400 V)"]),
            (10, &unlocked, &["voltage on a cable that is not locked (400 V)"]),
            (1_000, &idle, nothing),
            (5_000, &idle, &["output without a session (400 V)"]),
            (1_000, &alone, nothing),
            (5_000, &alone, &["output contactor closed without a vehicle"]),
            (1_000, &limited, nothing),
            (5_000, &limited, &["current above the car's limit (50.0 A, limit 40.0 A)"]),
        ] {
            assert_eq!(told(millis, sight), expected, "{millis} ms of {sight:?}");
        }
    }
}
