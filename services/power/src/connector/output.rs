//! What the modules of a connector are told to give.

use super::delivery::CableCheck;
use super::limit::{self, Candidates, Ceiling};
use super::overshoot::tenth_more;
use super::reasons::Stop;
use super::{Connector, HIGHEST_VOLTAGE, Orders, Seen, temperature};
use crate::figures::{DEAD, ERROR_RAMP_DOWN, NORMAL_RAMP_DOWN, TEST_CURRENT};
use crate::vehicle::advantics::Function;
use busbar_interfaces::words::{ConnectorType, OfferedBy};
use busbar_interfaces::{BoottimeMillis, Milliamperes, Millivolts, Watts};
use std::time::Duration;

/// The set-point moves in steps of this length.
const RAMP_STEP: Duration = Duration::from_millis(100);
/// It falls in steps of this one when a delivery ends.
const FALL_STEP: Duration = Duration::from_millis(50);
/// It is a multiple of this.
const SETPOINT_GRID: u32 = 100;
/// At a limit of zero each module in use still gives this much, so that the session stays up (guide, smart charging).
const RESIDUAL: Milliamperes = Milliamperes(500);
/// A stop takes no longer than this, whatever flows.
const LONGEST_FALL_MILLIS: u32 = 900;

impl Connector {
    pub(super) fn drive_output(&mut self, now: BoottimeMillis, seen: &Seen, orders: &mut Orders) {
        let control = self.run.vehicle.control(now);
        let function = self.function(now, seen);
        if function != Function::PowerTransfer {
            self.run.setpoint = Milliamperes(0);
            self.run.ramped_at = now;
        } else if let Some(ending) = self.ending() {
            self.fall(now, ending.stop, ending.from);
        } else {
            self.ramp(now, control.current.min(self.most_current(now, seen)));
        }
        let most = self.run.vehicle.most_voltage().unwrap_or(HIGHEST_VOLTAGE).min(HIGHEST_VOLTAGE);
        let test_current = Milliamperes(TEST_CURRENT.value);
        orders.output = match function {
            Function::InsulationTest => Some((control.voltage.min(test_voltage(most)), test_current)),
            Function::Precharge => Some((control.voltage.min(most), test_current)),
            // A current that has come down to nothing at the end of a delivery is off.
            Function::PowerTransfer if self.ending().is_some() && self.run.setpoint.0 == 0 => None,
            Function::PowerTransfer => Some((control.voltage.min(most), self.run.setpoint)),
            Function::Off | Function::Standby => None,
        };
        self.run.output = orders.output;
    }

    /// What the output is for, as far as the sequence has come: nothing before lock and contactors hold, no precharge
    /// before the cable check has passed and been emptied, and only the way down once the delivery ends.
    fn function(&self, now: BoottimeMillis, seen: &Seen) -> Function {
        let Some(delivery) = &self.run.delivery else { return Function::Off };
        let closed = seen.board.is_some_and(|board| board.contactors_closed());
        let connected = self.run.contactors.wanted() == Some(true) && closed;
        if !connected || !self.run.lock.holds(seen.board.as_ref()) {
            return Function::Off;
        }
        let function = self.run.vehicle.control(now).function;
        let gives = matches!(function, Function::Precharge | Function::PowerTransfer);
        if gives && delivery.cable_check != CableCheck::Emptied {
            return Function::Off;
        }
        match delivery.ending {
            None => function,
            Some(ending) if !ending.is_emergency() && function == Function::PowerTransfer => function,
            Some(_) => Function::Off,
        }
    }

    /// The set-point falls at once and rises by the ramp, a step at a time: not with every frame that comes in.
    fn ramp(&mut self, now: BoottimeMillis, wanted: Milliamperes) {
        let wanted = on_grid(wanted.min(self.run.vehicle.most_current().unwrap_or(wanted)).0);
        if wanted <= self.run.setpoint.0 {
            self.run.setpoint = Milliamperes(wanted);
            self.run.ramped_at = now;
            return;
        }
        let elapsed = now.since(self.run.ramped_at);
        if elapsed < RAMP_STEP {
            return;
        }
        self.run.ramped_at = now;
        // Time in which this process did not run does not count for the ramp.
        let rise = slope(self.rules.ramp_milliamperes_per_second, elapsed.min(RAMP_STEP * 2)).max(SETPOINT_GRID);
        self.run.setpoint = Milliamperes(wanted.min(self.run.setpoint.0.saturating_add(rise)));
    }

    /// At the end of a delivery the set-point falls from where it was.
    fn fall(&mut self, now: BoottimeMillis, stop: Stop, from: Milliamperes) {
        let wish = on_grid(self.run.vehicle.control(now).current.0);
        self.run.setpoint = self.run.setpoint.min(Milliamperes(wish));
        let elapsed = now.since(self.run.ramped_at);
        if elapsed < FALL_STEP {
            return;
        }
        self.run.ramped_at = now;
        let least = if stop == Stop::Normal { NORMAL_RAMP_DOWN } else { ERROR_RAMP_DOWN };
        let in_time = u64::from(from.0).saturating_mul(1000) / u64::from(LONGEST_FALL_MILLIS);
        let rate = least.value.saturating_mul(2).max(u32::try_from(in_time).unwrap_or(u32::MAX));
        let left = self.run.setpoint.0.saturating_sub(slope(rate, elapsed));
        self.run.setpoint = Milliamperes(on_grid(left));
    }

    /// Notes what limits, and since when.
    pub(super) fn explain_ceiling(&mut self, now: BoottimeMillis, seen: &Seen) {
        let ceiling = self.ceiling(now, seen);
        if self.is_in_use() && self.run.ceiling.is_none_or(|before| before.holder != ceiling.holder) {
            let (connector, watts, holder) = (self.id().0, ceiling.watts.0, ceiling.holder.as_str());
            tracing::info!(connector, watts, holder, "another limit holds");
        }
        self.run.ceiling = Some(ceiling);
    }

    /// What the station offers, what holds it there, and since when.
    pub fn ceiling(&self, now: BoottimeMillis, seen: &Seen) -> Ceiling {
        let candidates = self.candidates(now, seen);
        // A share that leaves all that it could give anyway is not what limits it.
        let share =
            if candidates.share < self.own_ceiling(now, seen) { candidates.share } else { candidates.station_rating };
        limit::explain(self.run.ceiling, &Candidates { share, ..candidates }, now)
    }

    /// What it may give, whatever its modules and the other connector leave.
    pub(super) fn own_ceiling(&self, now: BoottimeMillis, seen: &Seen) -> Watts {
        let candidates = self.candidates(now, seen);
        Candidates { modules: candidates.station_rating, share: candidates.station_rating, ..candidates }.lowest().0
    }

    fn candidates(&self, now: BoottimeMillis, seen: &Seen) -> Candidates {
        Candidates {
            station_rating: seen.station_rating,
            station_limit: seen.station_limit,
            connector_rating: self.wiring.rated,
            connector_limit: seen.connector_limit,
            held: limit::alive(self.run.limit, now),
            fallback: self.rules.fallback_limit,
            modules: seen.output.power,
            share: seen.reduce_to.map_or(seen.station_share, |least| least.min(seen.station_share)),
            temperature: temperature::allows(self.wiring.rated, self.run.vehicle.plug_celsius()),
        }
    }

    /// The ceiling in amperes at the present voltage.
    pub(super) fn most_current(&self, now: BoottimeMillis, seen: &Seen) -> Milliamperes {
        let Ceiling { watts, holder, .. } = self.ceiling(now, seen);
        if watts.0 == 0 {
            let stays_up = holder != OfferedBy::Temperature && self.wiring.connector_type != ConnectorType::Chademo;
            let modules = if stays_up { seen.modules_in_use.max(1).min(seen.output.usable) } else { 0 };
            return Milliamperes(RESIDUAL.0.saturating_mul(modules));
        }
        let millivolts = u64::from(seen.output.voltage.0.max(DEAD.0));
        let by_power = u64::from(watts.0).saturating_mul(1_000_000).checked_div(millivolts).unwrap_or(0);
        Milliamperes(u32::try_from(by_power).unwrap_or(u32::MAX)).min(seen.output.most_current)
    }
}

fn on_grid(milliamperes: u32) -> u32 {
    milliamperes.saturating_sub(milliamperes % SETPOINT_GRID)
}

/// What a slope of so many milliamperes per second makes in a time.
fn slope(rate: u32, elapsed: Duration) -> u32 {
    let change = u128::from(rate).saturating_mul(elapsed.as_millis()) / 1000;
    u32::try_from(change).unwrap_or(u32::MAX)
}

/// The most voltage of a cable check for a vehicle that takes `most` (hardware notes §9.1).
fn test_voltage(most: Millivolts) -> Millivolts {
    let test = if most.0 <= 500_000 { most.0.saturating_add(50_000).min(500_000) } else { tenth_more(most.0) };
    Millivolts(test.min(HIGHEST_VOLTAGE.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_9_1_the_test_voltage() {
        let volts = [(300, 350), (420, 470), (460, 500), (500, 500), (501, 551), (850, 935), (920, 1000), (1000, 1000)];
        for (most, test) in volts {
            let expected = if most == 501 { 551_100 } else { test * 1000 };
            assert_eq!(test_voltage(Millivolts(most * 1000)), Millivolts(expected), "{most} V");
        }
    }
}
