//! What ends a delivery of its own accord, and when the emergency of one may be forgotten.

use super::reasons::{Reason, Stop};
use super::{Connector, Seen, contactors, temperature};
use crate::figures::{CABLE_CHECK_TIME, DEAD, PRECHARGE_BAND, PRECHARGE_TIME, TEST_VOLTAGE_TIME};
use crate::vehicle::CONTROL_SILENCE;
use crate::vehicle::advantics::{BoardStatus, Function};
use busbar_interfaces::words::Phase;
use busbar_interfaces::{BoottimeMillis, CallError};

impl Connector {
    /// Looks for everything that ends a delivery.
    pub(super) fn notice_ends(&mut self, now: BoottimeMillis, seen: &Seen) {
        self.run.too_hot = temperature::is_too_hot(self.run.too_hot, self.run.vehicle.plug_celsius());
        let told = self.run.output;
        let transfer = self.run.vehicle.control(now).function == Function::PowerTransfer;
        let given = (seen.output.voltage, seen.output.current);
        let overshoot = self.run.overshoot.watch(now, told, transfer, given);
        if self.run.delivery.is_some() {
            // The hardware's reasons before the sequence's: the first that is noticed is the cause.
            for reason in self.stop_chain(now, seen).into_iter().flatten() {
                self.end_and_latch(now, seen, reason, None);
            }
            if let Some((reason, detail)) = overshoot {
                self.end_and_latch(now, seen, reason, Some(detail));
            }
            if let Some(reason) = self.sequence_reason(now, seen) {
                self.end_and_latch(now, seen, reason, None);
            }
        } else if let Some(winding_down) = &mut self.run.winding_down {
            winding_down.enable &= seen.board.is_some_and(|board| board.emergency_stop_healthy() && !board.tilted());
        }
        self.forget_emergencies(now, seen, false);
    }

    fn end_and_latch(&mut self, now: BoottimeMillis, seen: &Seen, reason: Reason, detail: Option<String>) {
        let moment = self.moment(now, seen);
        let meaning = reason.meaning();
        if meaning.stop == Stop::Emergency || meaning.stays.is_some() {
            self.run.emergencies.latch(reason, detail, &self.run.history, moment);
        }
        self.end(now, reason);
    }

    /// What stops a delivery in any state of it, the gravest first.
    fn stop_chain(&self, now: BoottimeMillis, seen: &Seen) -> [Option<Reason>; 15] {
        let vehicle = &self.run.vehicle;
        let (status, plugged) = (vehicle.status(now), vehicle.plugged(now));
        let board = |is: fn(&crate::io::Board) -> bool| seen.board.as_ref().is_some_and(is);
        let under_way = self.run.delivery.as_ref().and_then(|delivery| delivery.under_way);
        let in_loop = under_way.is_some();
        let lowered = self.has_pilot() && under_way.is_some_and(|since| vehicle.is_pilot_lowered(now, since));
        let lost = seen.output.lost_one_in_use || seen.output.usable == 0;
        let when = |is: bool, reason: Reason| is.then_some(reason);
        [
            when(board(|board| !board.emergency_stop_healthy()), Reason::EmergencyStop),
            when(board(|board| board.tilted()), Reason::Tilt),
            when(plugged == Some(false), Reason::Unplugged),
            when(vehicle.emergency == Some(true), Reason::VehicleEmergency),
            when(in_loop && board(|board| !board.insulation_good()), Reason::Insulation),
            when(vehicle.emergency == Some(false), Reason::BoardEmergency),
            when(status.is_none(), Reason::BoardSilent),
            when(plugged.is_none(), Reason::PilotSilent),
            when(lowered, Reason::PilotLowered),
            when(seen.board.is_none(), Reason::InputsLost),
            when(lost, Reason::ModulesLost),
            when(self.run.contactors.fault().is_some(), Reason::Contactor),
            when(board(|board| board.water()), Reason::Water),
            when(self.run.too_hot, Reason::Heat),
            when(self.run.lock.fault().is_some(), Reason::Lock),
        ]
    }

    /// What the sequence says: the vehicle has ended it, the board has left it, or a step takes too long.
    fn sequence_reason(&self, now: BoottimeMillis, seen: &Seen) -> Option<Reason> {
        let delivery = self.run.delivery.as_ref()?;
        let vehicle = &self.run.vehicle;
        let under_way = delivery.under_way;
        let closed = |status: BoardStatus| status.is_closing() || status == BoardStatus::WaitingForVehicle;
        let status = vehicle.status(now);
        let board_closed = under_way.is_some() && status.is_some_and(closed);
        let astray = under_way.is_some() && !board_closed && !status.is_some_and(BoardStatus::is_in_loop);
        let control_is_old = under_way.is_some_and(|since| vehicle.control_silence(now, since) > CONTROL_SILENCE);
        let let_go = delivery.closed_once && !board_closed && !vehicle.control(now).close_contactors;
        let never_flowed = delivery.phase != Phase::Delivering && delivery.ending.is_none();
        if vehicle.finished || board_closed {
            Some(Reason::Finished)
        } else if astray || control_is_old || let_go {
            Some(Reason::OutOfSequence)
        } else if delivery.ending.is_none() && self.late(now, seen).is_some() {
            self.late(now, seen)
        } else if delivery.lease_until <= now {
            Some(Reason::LeaseEnded)
        } else if never_flowed && now.since(delivery.began) > self.rules.sequence_limit {
            Some(Reason::TimedOut)
        } else {
            None
        }
    }

    /// A step that takes longer than the station's budget for it (hardware notes §9.1, §9.3).
    fn late(&self, now: BoottimeMillis, seen: &Seen) -> Option<Reason> {
        let delivery = self.run.delivery.as_ref()?;
        let (status, since) = delivery.status_since;
        let elapsed = now.since(since);
        if delivery.below_test_voltage.is_some_and(|since| now.since(since) > TEST_VOLTAGE_TIME.value) {
            return Some(Reason::TestVoltage);
        }
        match status {
            Some(BoardStatus::InsulationTest) if elapsed > CABLE_CHECK_TIME.value => Some(Reason::CableCheckTime),
            Some(BoardStatus::Precharge) if elapsed > PRECHARGE_TIME.value => {
                let target = self.run.vehicle.control(now).voltage.0;
                // The voltage is there: what takes so long is the vehicle.
                let matches = seen.output.voltage.0.abs_diff(target) <= PRECHARGE_BAND.value;
                (!matches).then_some(Reason::PrechargeTime)
            }
            _ => None,
        }
    }

    /// An authorised reset of what is latched: emergencies, contactors, lock.
    ///
    /// # Errors
    /// `Busy` while a delivery or the weld check goes on, `NotReady` with what is still wrong.
    pub fn reset_fault(&mut self, now: BoottimeMillis, seen: &Seen) -> Result<(), CallError> {
        let number = self.id();
        if self.is_in_use() || self.run.weld_check.goes_on() {
            return Err(CallError::Busy(format!("connector {number} is closing its last session; repeat")));
        }
        let Some(board) = seen.board.filter(contactors::is_open) else {
            return Err(CallError::NotReady(format!("the contactors of connector {number} are not seen to be open")));
        };
        if seen.output.voltage >= DEAD {
            let millivolts = seen.output.voltage.0;
            return Err(CallError::NotReady(format!("connector {number} has {millivolts} mV with open contactors")));
        }
        self.run.contactors.reset();
        self.run.weld_check.reset();
        if self.run.lock.wanted() == board.locked() || board.locked().is_none() {
            self.run.lock.reset();
        }
        self.forget_emergencies(now, seen, true);
        match self.conditions(now, seen).first() {
            Some(left) => Err(CallError::NotReady(format!("fault {}: {}", left.code, left.detail))),
            None => Ok(()),
        }
    }

    /// Hardware notes §9.5, step 7: the cause is gone, the weld check passed, and the vehicle has gone or somebody has
    /// reset it; what does not stay needs neither.
    fn forget_emergencies(&mut self, now: BoottimeMillis, seen: &Seen, reset: bool) {
        if self.run.delivery.is_some() || !self.run.weld_check.is_passed() || self.run.emergencies.latched().is_empty()
        {
            return;
        }
        let seen_to = reset || self.run.vehicle.plugged(now) == Some(false);
        let contactors_follow = self.run.contactors.fault().is_none();
        let at_rest = seen.output.at_rest;
        let board = seen.board;
        let gone = |reason: Reason| match reason {
            Reason::EmergencyStop => board.is_some_and(|board| board.emergency_stop_healthy()),
            Reason::Tilt => board.is_some_and(|board| !board.tilted()),
            Reason::Insulation => board.is_some_and(|board| board.insulation_good()),
            Reason::Contactor => contactors_follow,
            Reason::OverVoltage | Reason::OverCurrent | Reason::TestVoltage => at_rest,
            _ => true,
        };
        self.run.emergencies.forget(|reason| gone(reason) && (seen_to || reason.meaning().stays.is_none()));
    }
}
