//! What runs since before this process: taken over if everything agrees, else ended (architecture, section 4).

use super::delivery::Delivery;
use super::overshoot::tenth_more;
use super::reasons::Reason;
use super::{Connector, Seen, contactors};
use crate::figures::TEST_CURRENT;
use crate::vehicle::advantics::{BoardStatus, Function};
use busbar_interfaces::{BoottimeMillis, Milliamperes};
use std::time::Duration;

/// After a start of this process, everything that runs must have spoken by then to be taken over.
pub(super) const ADOPTION_LIMIT: Duration = Duration::from_millis(600);

impl Connector {
    /// Closed contactors that nobody has noted are ended like an emergency.
    pub(super) fn look_for_what_was_left_closed(&mut self, now: BoottimeMillis, seen: &Seen) {
        let undecided = self.run.delivery.is_none() && self.run.contactors.wanted().is_none();
        let Some(board) = seen.board.filter(|_| undecided) else {
            return;
        };
        if contactors::is_open(&board) {
            self.run.contactors.open(now, true);
            return;
        }
        tracing::error!(connector = self.id().0, "a contactor was found closed without a delivery");
        self.run.delivery = Some(Delivery::found(now));
        self.end(now, Reason::FoundClosed);
    }

    /// What ran in the last process is looked at before anything is changed.
    pub(super) fn look_again(&mut self, now: BoottimeMillis) {
        self.run.looked_from = now;
        let is_emergency = self.is_in_emergency();
        if let Some(delivery) = self.run.delivery.as_mut().filter(|_| !is_emergency) {
            delivery.adoption = Some(now.after(ADOPTION_LIMIT));
        }
    }

    /// Decides about what runs since before this process; true when it is decided. Everything must have been heard anew.
    /// Before power is transferred nothing more need agree: what does not fit is noticed as at any time. A current that
    /// flows must be the one that is wanted.
    pub(super) fn adopt_or_stop(&mut self, now: BoottimeMillis, until: BoottimeMillis, seen: &Seen) -> bool {
        let vehicle = &self.run.vehicle;
        let known = vehicle.is_known(now) && seen.board.is_some() && seen.output.looked_at;
        let pressed = seen.board.is_some_and(|board| !board.emergency_stop_healthy());
        if !known && !pressed && now < until {
            return false;
        }
        if let Some(delivery) = self.run.delivery.as_mut().filter(|delivery| delivery.ending.is_some()) {
            // What was being ended goes on being ended.
            delivery.adoption = None;
            return true;
        }
        let vehicle = &self.run.vehicle;
        let control = vehicle.control(now);
        let is_off = seen.output.at_rest || seen.output.current < Milliamperes(TEST_CURRENT.value);
        let transfers =
            vehicle.status(now) == Some(BoardStatus::Charging) && control.function == Function::PowerTransfer;
        let checks = [
            ("everything is heard", known),
            ("power is wanted", is_off || (transfers && control.close_contactors)),
            ("the contactors are closed", is_off || seen.board.is_some_and(|board| board.contactors_closed())),
            ("the relays are closed", is_off || seen.output.joined),
            ("the voltage is the one wanted", is_off || seen.output.voltage.0 <= tenth_more(control.voltage.0)),
            ("a vehicle is plugged in", vehicle.plugged(now) == Some(true)),
            ("the emergency stop is healthy", !pressed),
            ("the contactors follow", self.run.contactors.fault().is_none()),
            ("the lease holds", self.run.delivery.as_ref().is_some_and(|delivery| now < delivery.lease_until)),
        ];
        let not = checks.into_iter().find(|(_, holds)| !holds).map(|(what, _)| what);
        let connector = self.wiring.connector.0;
        let Some(not) = not else {
            tracing::info!(connector, milliamperes = seen.output.current.0, "what ran was taken over");
            if let Some(delivery) = &mut self.run.delivery {
                delivery.adoption = None;
            }
            return true;
        };
        tracing::warn!(connector, not, "what runs is not what the last process left: safe stop");
        self.end(now, Reason::NotAdopted);
        true
    }
}
