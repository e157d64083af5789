//! What the board sends: its cyclic frames and what it asks of the power electronics.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Board, Outcome, PILOT_A, PILOT_B, PILOT_C, TEST_AMPERES};
use crate::advantics::{Function, Plug, PowerControl, Status};
use crate::car::Car;
use crate::frame::Frame;
use crate::timing::Timing;

/// A state that the protocol does not have.
const NO_STATUS: u8 = 200;

/// Frames that have not been sent yet because the board is late.
pub(super) type Late = VecDeque<(Duration, Frame)>;

impl Board {
    /// What of the pending frames gets onto the wire now, and what else the step brought forth.
    pub(super) fn let_through(&mut self, now: Duration) -> Outcome {
        let mut outcome = std::mem::take(&mut self.pending);
        if self.troubles.frozen {
            outcome.frames.retain(|frame| matches!(frame.id() & 0xFFF, 0x000 | 0x203));
        }
        if self.troubles.silent {
            outcome.frames.clear();
        }
        let due = now.saturating_add(self.troubles.late);
        self.late.extend(outcome.frames.drain(..).map(|frame| (due, frame)));
        let is_due = self.late.iter().take_while(|(due, _)| *due <= now).count();
        outcome.frames.extend(self.late.drain(..is_due).map(|(_, frame)| frame));
        outcome
    }

    /// Test voltage of the cable check.
    pub(super) fn insulation_test_volts(&self) -> f64 {
        let highest = self.car.as_ref().map_or(0.0, Car::maximum_volts);
        let test = if highest <= 500.0 { (highest + 50.0).min(500.0) } else { highest * 1.1 };
        test.min(self.hearing.limit_volts)
    }

    /// What the board asks of the power electronics at this moment.
    fn power_control(&self) -> PowerControl {
        let idle = PowerControl::default();
        let lowered = PowerControl { lower_voltage: true, ..idle };
        let standby = PowerControl { function: Function::Standby, close_contactors: true, ..idle };
        let test = PowerControl { amperes: TEST_AMPERES, ..standby };
        let battery_volts = self.car.as_ref().map_or(0.0, Car::open_circuit_volts);
        match self.status {
            _ if self.emergency.is_some() && self.lowering => lowered,
            _ if self.emergency.is_some() => PowerControl { close_contactors: true, ..idle },
            Status::InsulationTest if self.lowering => PowerControl { lower_voltage: true, ..standby },
            Status::InsulationTest => {
                PowerControl { function: Function::InsulationTest, volts: self.insulation_test_volts(), ..test }
            }
            Status::Precharge | Status::WaitingForCharge => {
                PowerControl { function: Function::Precharge, volts: battery_volts, ..test }
            }
            Status::Charging => PowerControl {
                function: Function::PowerTransfer,
                volts: self.car.as_ref().map_or(0.0, Car::maximum_volts).min(self.hearing.limit_volts),
                amperes: self.demand_amperes(),
                ..standby
            },
            Status::Pause => standby,
            Status::Ending => PowerControl { close_contactors: self.powered, ..standby },
            Status::Welding => PowerControl { close_contactors: false, lower_voltage: self.lowering, ..standby },
            Status::Closing => lowered,
            _ => idle,
        }
    }

    /// Sends the cyclic frames when they are due, or at once after a change.
    pub(super) fn send_cyclic(&mut self, now: Duration, timing: &Timing) {
        if now >= self.next_slow_frames {
            self.next_slow_frames = now + timing.slow_frame_period;
            let frames = self.slow_frames();
            self.pending.frames.extend(frames);
        }
        if self.changed || now >= self.next_frames {
            self.next_frames = now + timing.frame_period;
            let frames = self.frames();
            self.pending.frames.extend(frames);
            self.changed = false;
        }
    }

    fn slow_frames(&self) -> Vec<Frame> {
        let mut frames = vec![self.sender.inputs(self.contacts.sensors())];
        let ccs = self.plug == Plug::Ccs2;
        frames.extend(self.car.as_ref().filter(|_| ccs).map(|car| self.sender.vehicle_id(car.vehicle().id)));
        frames
    }

    fn frames(&self) -> Vec<Frame> {
        let sender = self.sender;
        let duty_percent = if self.car.is_some() { 5.0 } else { 100.0 };
        let mut frames = vec![self.told_status(), sender.control_pilot(self.pilot_volts(), duty_percent)];
        if self.status == Status::Negotiating && (self.changed || !self.hearing.allows_power()) {
            frames.push(sender.new_session(self.plug));
        }
        if let Some(car) = self.car.as_ref().filter(|_| self.announces_battery()) {
            let vehicle = car.vehicle();
            let present = (car.state_of_charge() * 100.0 + 1e-9).floor() as u8;
            let capacity = f64::from(vehicle.capacity_watt_hours);
            frames.push(sender.battery(capacity, present, vehicle.target_state_of_charge_percent));
            frames.push(sender.voltages(0.0, car.maximum_volts(), car.open_circuit_volts()));
            frames.push(sender.charge_limits(car.maximum_amperes(), car.maximum_watts()));
        }
        let in_control = self.is_in_session() && (self.powered || self.emergency.is_some());
        if in_control || self.status == Status::Closing {
            frames.push(sender.power_control(&self.power_control()));
        }
        frames
    }

    fn told_status(&self) -> Frame {
        if self.troubles.nonsense {
            self.sender.number(NO_STATUS)
        } else if self.troubles.not_available {
            self.sender.status(Status::NotAvailable)
        } else {
            self.sender.status(self.status)
        }
    }

    fn announces_battery(&self) -> bool {
        self.is_in_session() && self.status != Status::CcsAuthorisation
    }

    /// Voltage of the control pilot.
    pub fn pilot_volts(&self) -> u8 {
        let ready =
            self.powered && self.is_in_session() && self.status != Status::Welding && !self.lowered_after_break();
        match (&self.car, self.troubles.pilot) {
            (None, _) => PILOT_A,
            (Some(_), Some(volts)) => volts,
            (Some(_), None) => {
                if ready {
                    PILOT_C
                } else {
                    PILOT_B
                }
            }
        }
    }

    fn lowered_after_break(&self) -> bool {
        self.emergency.is_some() && self.lowering
    }
}
