//! The way of a session from state to state, and its normal and broken-off ends.

use std::time::Duration;

use super::{
    Board, EMERGENCY_AMPERES, ENDED_AMPERES, Emergency, INSULATION_PASS_KILOHMS, Inlet, PRECHARGE_VOLTS, SAFE_VOLTS,
};
use crate::advantics::{Origin, Status};
use crate::timing::Timing;

impl Board {
    /// The way from state to state while nothing is wrong.
    pub(super) fn advance(&mut self, now: Duration, inlet: Inlet, silence_limit: Duration, timing: &Timing) {
        let elapsed = now.saturating_sub(self.entered);
        let bits = self.hearing.bits;
        self.rearmed |= !bits.start_allowed;
        if self.manners.lingers == Some(self.status as u8) {
            return;
        }
        match self.status {
            Status::WaitingForPev => {
                if self.car.is_some() && self.rearmed && bits.start_allowed {
                    self.enter(now, Status::Negotiating);
                }
            }
            Status::Negotiating => {
                let present = self.hearing.silence(now) <= silence_limit && self.hearing.allows_power();
                if elapsed >= timing.negotiation && present && bits.start_allowed {
                    (self.rearmed, self.fresh) = (false, false);
                    self.enter(now, Status::CcsAuthorisation);
                }
            }
            Status::CcsAuthorisation if bits.authorisation_done => {
                if bits.authorisation_valid {
                    self.enter(now, Status::FullInfo);
                } else {
                    self.end(now);
                }
            }
            Status::CcsAuthorisation => {}
            Status::FullInfo => {
                if bits.parameters_done && elapsed >= timing.parameter_exchange {
                    self.powered = true;
                    self.insulation_passes = 0;
                    self.enter(now, Status::InsulationTest);
                }
            }
            Status::InsulationTest => self.test_insulation(now, elapsed, timing),
            Status::Precharge => self.precharge(now, elapsed, inlet, timing),
            Status::WaitingForCharge => {
                let closed = self.car.as_ref().is_some_and(|car| car.contactor.is_closed());
                if closed && elapsed >= timing.before_charge {
                    self.charge(now);
                } else if !closed && elapsed >= timing.precharge_limit {
                    self.break_off(now, Origin::Vehicle);
                }
            }
            Status::Charging => {
                if self.manners.pauses {
                    self.pending.frames.push(self.sender.charging(false));
                    self.enter(now, Status::Pause);
                }
            }
            Status::Pause => {
                if !self.manners.pauses {
                    self.charge(now);
                }
            }
            Status::Ending => self.wind_down(now, elapsed, inlet, timing),
            Status::Welding => {
                if !self.lowering && elapsed >= timing.weld_check {
                    self.lower();
                }
                let low = self.hearing.volts <= SAFE_VOLTS && inlet.volts <= SAFE_VOLTS;
                if self.lowering && (low || elapsed >= timing.welding_limit) {
                    self.close(now, false);
                }
            }
            // Only told, never entered.
            Status::NotAvailable => {}
            Status::Closing => {
                if elapsed >= timing.closing {
                    let anew = self.fresh && self.car.is_some();
                    self.enter(now, if anew { Status::Negotiating } else { Status::WaitingForPev });
                }
            }
        }
    }

    fn charge(&mut self, now: Duration) {
        self.statistics.charges = self.statistics.charges.saturating_add(1);
        self.pending.frames.push(self.sender.charging(true));
        self.enter(now, Status::Charging);
    }

    fn test_insulation(&mut self, now: Duration, elapsed: Duration, timing: &Timing) {
        if self.lowering {
            if self.hearing.volts <= SAFE_VOLTS {
                self.enter(now, Status::Precharge);
            }
        } else if self.hearing.volts >= 0.9 * self.insulation_test_volts() {
            if now >= self.next_insulation_cycle {
                self.next_insulation_cycle = now + timing.insulation_cycle;
                let passed = self.hearing.insulation_kilohms() >= INSULATION_PASS_KILOHMS;
                self.insulation_passes = if passed { self.insulation_passes.saturating_add(1) } else { 0 };
            }
            if self.insulation_passes >= timing.insulation_cycles && elapsed >= timing.cable_check {
                self.lower();
            }
        }
        if elapsed >= timing.cable_check_limit {
            self.break_off(now, Origin::Station);
        }
    }

    fn precharge(&mut self, now: Duration, elapsed: Duration, inlet: Inlet, timing: &Timing) {
        let Some(car) = &mut self.car else { return };
        let battery = car.open_circuit_volts();
        let matches = [self.hearing.volts, inlet.volts].iter().all(|volts| (volts - battery).abs() <= PRECHARGE_VOLTS);
        let since = *self.matched_since.get_or_insert(now);
        if !matches {
            self.matched_since = None;
        } else if now.saturating_sub(since) >= timing.precharge {
            car.contactor.command(true);
            self.enter(now, Status::WaitingForCharge);
            return;
        }
        if elapsed >= timing.precharge_limit {
            self.break_off(now, Origin::Vehicle);
        }
    }

    /// Waits for the current to end, then opens the vehicle's contactors.
    fn wind_down(&mut self, now: Duration, elapsed: Duration, inlet: Inlet, timing: &Timing) {
        let Some(car) = &mut self.car else { return };
        if !self.powered {
            self.close(now, false);
            return;
        }
        if inlet.amperes < ENDED_AMPERES && self.hearing.amperes < ENDED_AMPERES {
            car.contactor.command(false);
        }
        if !car.contactor.is_closed() && !car.contactor.coil() {
            self.enter(now, Status::Welding);
        } else if elapsed >= timing.ending_limit {
            self.break_off(now, Origin::Vehicle);
        }
    }

    /// Begins the normal end of a session.
    pub(super) fn end(&mut self, now: Duration) {
        if self.status == Status::Charging {
            self.pending.frames.push(self.sender.charging(false));
        }
        self.enter(now, Status::Ending);
    }

    /// Begins an emergency end.
    pub(super) fn break_off(&mut self, now: Duration, origin: Origin) {
        if self.emergency.is_some() {
            return;
        }
        self.end(now);
        self.emergency = Some(Emergency { origin, since: now, next_frame: now });
    }

    pub(super) fn go_on_breaking_off(&mut self, now: Duration, inlet: Inlet, timing: &Timing) {
        let Some(emergency) = &mut self.emergency else { return };
        let elapsed = now.saturating_sub(emergency.since);
        if elapsed < timing.emergency && now >= emergency.next_frame {
            emergency.next_frame += timing.frame_period;
            self.pending.frames.push(self.sender.emergency(emergency.origin));
        }
        let mut open = true;
        if let Some(car) = &mut self.car {
            if inlet.amperes < EMERGENCY_AMPERES || elapsed >= timing.emergency {
                car.contactor.command(false);
            }
            open = !car.contactor.is_closed() && !car.contactor.coil();
        }
        // Contactors that are welded are waited for no longer.
        open |= elapsed >= timing.emergency.saturating_mul(2);
        if open && !self.lowering {
            self.lower();
        }
        if open && elapsed >= timing.emergency {
            self.close(now, true);
        }
    }

    /// Closes the session with its report.
    pub(super) fn close(&mut self, now: Duration, rushed: bool) {
        self.emergency = None;
        self.pending.frames.push(self.sender.finished(rushed));
        self.enter(now, Status::Closing);
    }

    fn lower(&mut self) {
        self.lowering = true;
        self.changed = true;
    }

    pub(super) fn enter(&mut self, now: Duration, status: Status) {
        if status == Status::WaitingForPev || status == Status::Negotiating {
            self.powered = false;
        }
        self.status = status;
        self.entered = now;
        self.lowering = false;
        self.matched_since = None;
        self.changed = true;
    }
}
