//! What ends a delivery of its own accord, and what is wrong with a connector. Pure.

use crate::advantics::{BoardStatus, Function};
use crate::connector::{Connector, Seen, tenth_more};
use crate::vehicle::{BOARD_SILENCE, CONTROL_SILENCE};
use busbar_interfaces::words::{Phase, StopCause};
use busbar_interfaces::{BoottimeMillis, Condition, Millivolts};
use std::time::Duration;

/// DTC "SECC socket connection fault".
pub const BOARD_SILENT: &str = "0x10000C";
/// DTC "output over-voltage".
const OVER_VOLTAGE: &str = "0x100214";
/// DTC "over-current".
const OVER_CURRENT: &str = "0x100213";
/// More voltage than asked for is borne this long (hardware notes §9.1).
const OVER_VOLTAGE_LIMIT: Duration = Duration::from_millis(400);
/// More current likewise.
const OVER_CURRENT_LIMIT: Duration = Duration::from_secs(1);
/// More than this does not flow, 1 s after the modules were told to be off.
const CURRENT_WHEN_OFF: u32 = 1_000;

/// Modules that give more than they are told.
#[derive(Debug, Clone, Default)]
pub(super) struct Overshoot {
    voltage_since: Option<BoottimeMillis>,
    current_since: Option<BoottimeMillis>,
    off_since: Option<BoottimeMillis>,
    current_when_off: bool,
    /// The code and what was seen.
    found: Option<(&'static str, String)>,
}

/// When something that goes on began.
fn follow(since: &mut Option<BoottimeMillis>, now: BoottimeMillis, goes_on: bool) -> Duration {
    if !goes_on {
        *since = None;
    } else if since.is_none() {
        *since = Some(now);
    }
    since.map_or(Duration::ZERO, |since| now.since(since))
}

impl Connector {
    /// Compares what the modules give with what they were told.
    fn watch_modules(&mut self, now: BoottimeMillis, seen: &Seen) {
        let (volts, amperes) = (seen.output.voltage, seen.output.current);
        let transfer = self.vehicle.control(now).function == Function::PowerTransfer;
        let most_voltage = self.output.map_or(u32::MAX, |(asked, _)| {
            // In transfer the battery is what is protected: only what a measurement may be wrong by.
            if transfer { asked.0.saturating_add(asked.0 / 50).saturating_add(5_000) } else { tenth_more(asked.0) }
        });
        let most_current =
            self.output.map_or(u32::MAX, |(_, asked)| asked.0.saturating_add((asked.0 / 10).max(10_000)));
        let overshoot = &mut self.overshoot;
        let off = follow(&mut overshoot.off_since, now, self.output.is_none());
        overshoot.current_when_off = off > Duration::from_secs(1) && amperes.0 > CURRENT_WHEN_OFF;
        let high = follow(&mut overshoot.voltage_since, now, volts > Millivolts(most_voltage));
        let much = follow(&mut overshoot.current_since, now, amperes.0 > most_current);
        if overshoot.found.is_some() {
            return;
        }
        if high > OVER_VOLTAGE_LIMIT {
            let found = format!("the modules give {} mV, more than {most_voltage} mV", volts.0);
            overshoot.found = Some((OVER_VOLTAGE, found));
        } else if much > OVER_CURRENT_LIMIT {
            let found = format!("the modules give {} mA, more than {most_current} mA", amperes.0);
            overshoot.found = Some((OVER_CURRENT, found));
        }
    }

    /// Looks for everything that ends a delivery.
    pub(super) fn notice_ends(&mut self, now: BoottimeMillis, seen: &Seen) {
        let plugged = self.vehicle.plugged(now);
        if plugged == Some(false) && self.delivery.is_none() {
            self.overshoot.found = None;
            self.insulation_fault &= !seen.board.is_some_and(|board| board.insulation_good());
        }
        self.watch_modules(now, seen);
        let Some(delivery) = &self.delivery else { return };
        let in_loop = delivery.under_way.is_some();
        let status = self.vehicle.status(now);
        let board_closed = in_loop && matches!(status, Some(BoardStatus::Ending | BoardStatus::WaitingForVehicle));
        let out_of_sequence = in_loop
            && !board_closed
            && !matches!(status, Some(BoardStatus::InsulationTest | BoardStatus::Precharge | BoardStatus::Charging));
        let control_is_old =
            delivery.under_way.is_some_and(|since| self.vehicle.control_silence(now, since) > CONTROL_SILENCE);
        let let_go = delivery.closed_once && !board_closed && !self.vehicle.control(now).close_contactors;
        let never_flowed = delivery.phase != Phase::Delivering && delivery.ending.is_none();
        let ending = if seen.board.is_some_and(|board| !board.emergency_stop_healthy()) {
            Some((StopCause::EmergencyStop, true))
        } else if plugged == Some(false) {
            Some((StopCause::Unplugged, true))
        } else if let Some(from_vehicle) = self.vehicle.emergency {
            Some((if from_vehicle { StopCause::Vehicle } else { StopCause::Fault }, true))
        } else if status.is_none()
            || plugged.is_none()
            || seen.board.is_none()
            || seen.output.lost_one_in_use
            || seen.output.usable == 0
            || self.contactors.fault().is_some()
            || self.overshoot.found.is_some()
        {
            Some((StopCause::Fault, true))
        } else if in_loop && seen.board.is_some_and(|board| !board.insulation_good()) {
            self.insulation_fault = true;
            Some((StopCause::Fault, true))
        } else if self.vehicle.finished || board_closed {
            Some((StopCause::Vehicle, false))
        } else if out_of_sequence || control_is_old || let_go {
            Some((StopCause::Fault, true))
        } else if delivery.lease_until <= now {
            Some((StopCause::LeaseEnded, false))
        } else if never_flowed && now.since(delivery.began) > self.sequence_limit {
            Some((StopCause::TimedOut, false))
        } else {
            None
        };
        if let Some((cause, emergency)) = ending {
            self.end(now, cause, emergency);
        }
    }

    /// What is wrong with this connector now.
    pub fn conditions(&self, now: BoottimeMillis, seen: &Seen) -> Vec<Condition> {
        let connector = self.id();
        let condition = |code: &str, detail: String| Condition { code: code.to_owned(), connector, detail };
        let mut conditions = Vec::new();
        let patience = if self.is_in_use() { BOARD_SILENCE } else { Duration::from_secs(1) };
        if self.vehicle.silence(now, self.started) > patience {
            conditions.push(condition(BOARD_SILENT, format!("the SECC board of connector {connector} is silent")));
        }
        if now.since(self.started) > Duration::from_secs(2) && seen.output.usable == 0 {
            let fitted = seen.output.fitted;
            conditions.push(condition(
                "0x200001",
                format!("none of the {fitted} modules of connector {connector} answers or is usable"),
            ));
        }
        if seen.board.is_some_and(|board| !board.emergency_stop_healthy()) {
            conditions.push(condition("0x100202", "the emergency stop is pressed".to_owned()));
        }
        if self.insulation_fault {
            conditions.push(condition(
                "0x10020A",
                "the insulation monitor tripped in a delivery; clears when it is good and the vehicle is gone"
                    .to_owned(),
            ));
        }
        if let Some(fault) = self.contactors.fault() {
            conditions.push(condition("0x100208", fault.clone()));
        } else if self.delivery.as_ref().is_some_and(|delivery| delivery.id.0 == 0) {
            let found = "an output contactor was found closed without a delivery; it is being opened".to_owned();
            conditions.push(condition("0x100208", found));
        }
        if let Some((code, found)) = &self.overshoot.found {
            conditions.push(condition(code, format!("{found}; clears when the vehicle is gone")));
        }
        if self.overshoot.current_when_off {
            let found = format!("{} mA flow although every module was told to be off", seen.output.current.0);
            conditions.push(condition("0x200002", found));
        }
        conditions
    }
}
