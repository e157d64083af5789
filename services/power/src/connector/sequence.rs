//! Where the delivery is in its sequence, by the board's status and what the output has reached.

use super::delivery::CableCheck;
use super::{Connector, Seen};
use crate::figures::{DEAD, TEST_VOLTAGE_BAND};
use crate::vehicle::advantics::{BoardStatus, Function};
use busbar_interfaces::BoottimeMillis;
use busbar_interfaces::words::Phase;

/// The phase of a status.
fn phase_of(status: Option<BoardStatus>) -> Phase {
    match status {
        Some(BoardStatus::InsulationTest) => Phase::CableCheck,
        Some(BoardStatus::Precharge | BoardStatus::WaitingForCharge) => Phase::PreCharge,
        Some(BoardStatus::Charging | BoardStatus::Pause) => Phase::Delivering,
        _ => Phase::Negotiating,
    }
}

impl Connector {
    /// Follows the board.
    pub(super) fn follow_board(&mut self, now: BoottimeMillis, seen: &Seen) {
        let status = self.run.vehicle.status(now);
        let function = self.run.vehicle.control(now).function;
        let told = self.run.output;
        let connector = self.wiring.connector.0;
        let running = self.run.delivery.as_mut().filter(|delivery| delivery.ending.is_none());
        let Some(delivery) = running else { return };
        if delivery.status_since.0 != status {
            delivery.status_since = (status, now);
        }
        let phase = phase_of(status);
        if phase != Phase::Negotiating {
            delivery.under_way.get_or_insert(now);
        }
        if phase != delivery.phase {
            tracing::info!(connector, %phase, "phase");
            delivery.phase = phase;
        }
        let tested = told.filter(|_| function == Function::InsulationTest).map(|(test, _)| test);
        let there = tested.is_some_and(|test| seen.output.voltage.0.abs_diff(test.0) <= TEST_VOLTAGE_BAND.value);
        delivery.below_test_voltage = match tested {
            Some(_) if !there => delivery.below_test_voltage.or(Some(now)),
            _ => None,
        };
        // What was seen low before the test is not the end of the test: the modules' voltage must have been there.
        delivery.cable_check = match delivery.cable_check {
            CableCheck::Open if there => CableCheck::Reached,
            CableCheck::Reached if tested.is_none() && seen.output.voltage < DEAD => CableCheck::Emptied,
            as_it_is => as_it_is,
        };
    }
}
