//! When the coils of the output board move: contactors, the resistor that empties the cable, the plug's lock.

use super::contactors::{self, MIRROR_LIMIT};
use super::delivery::WindingDown;
use super::weld_check::WeldCheck;
use super::{Connector, Orders, Seen};
use crate::figures::{DEAD, EMERGENCY_CURRENT};
use crate::io::Output;
use crate::sharing::NO_CURRENT;
use crate::vehicle::advantics::BoardStatus;
use busbar_interfaces::{BoottimeMillis, Milliamperes};
use std::time::Duration;

/// A contactor that should be open is opened after this time even if modules still give current.
const FORCED_OPENING: Duration = Duration::from_secs(7);
/// After a session the cable is emptied for at most this time.
const BLEED_LIMIT: Duration = Duration::from_secs(10);
/// The board has this time to close its session after ours.
const WIND_DOWN: Duration = Duration::from_secs(15);

impl Connector {
    pub(super) fn drive_contactors(&mut self, now: BoottimeMillis, seen: &Seen, orders: &mut Orders) {
        let control = self.run.vehicle.control(now);
        let output = &seen.output;
        let ending = self.ending();
        let wanted = self.run.delivery.is_some() && ending.is_none() && control.close_contactors;
        let may_close = wanted && self.may_close(now, seen);
        match self.run.contactors.wanted() {
            Some(false) if may_close && seen.board.is_some_and(|board| contactors::is_open(&board)) => {
                if let Some(delivery) = self.run.delivery.as_mut().filter(|delivery| !delivery.closed_once) {
                    delivery.closed_once = true;
                    self.run.contactors.close(now);
                }
            }
            Some(true) if !wanted && self.may_open(now, seen) => self.open_contactors(now, seen),
            // As found: only ever opened, and never while it is not decided what they are.
            None if ending.is_some() && self.may_open(now, seen) => self.open_contactors(now, seen),
            _ => {}
        }
        let in_use = self.is_in_use();
        orders.coils.extend(self.run.contactors.orders(now, seen.board.as_ref(), may_close, in_use));
        let plugged = self.run.vehicle.plugged(now) != Some(false);
        // A weld that was found by its voltage is not over because no module looks any more.
        let dead = output.voltage < DEAD && self.run.weld_check != WeldCheck::Failed;
        let number = self.id().0;
        if let Some(fault) = self.run.contactors.watch(now, seen.board.as_ref(), plugged, dead) {
            tracing::error!(connector = number, detail = fault, "a contactor does not follow its coil");
        }
        self.empty_cable(now, seen, orders);
    }

    /// Closed only dead, with the plug locked, with a vehicle that is ready and has its own contactors open, and once:
    /// modules off, nothing on their side (hardware notes §6.2, rules 5 and 7).
    fn may_close(&self, now: BoottimeMillis, seen: &Seen) -> bool {
        let dead = seen.modules_ready && seen.output.at_rest && seen.output.voltage < DEAD;
        let testing = self.run.vehicle.status(now) == Some(BoardStatus::InsulationTest);
        let locked = self.run.lock.wanted() == Some(true) && self.run.lock.holds(seen.board.as_ref());
        let ready = !self.has_pilot() || self.run.vehicle.is_ready(now);
        dead && testing && locked && ready && self.run.contactors.fault().is_none()
    }

    /// Opened without current; in an emergency below 5 A or after a second (§9.5), and after seven in any case.
    fn may_open(&self, now: BoottimeMillis, seen: &Seen) -> bool {
        let output = &seen.output;
        let little = output.current_known && output.current < Milliamperes(EMERGENCY_CURRENT.value);
        let in_time = self.ending().is_some_and(|ending| {
            (ending.is_emergency() && little)
                || ending.is_overdue_emergency(now)
                || now.since(ending.since) >= FORCED_OPENING
        });
        output.at_rest || in_time || self.run.delivery.is_none()
    }

    fn open_contactors(&mut self, now: BoottimeMillis, seen: &Seen) {
        let at_once = self.ending().is_none_or(|ending| ending.is_emergency());
        let without_current = seen.output.current_known && seen.output.current < NO_CURRENT;
        if !seen.output.at_rest && !without_current {
            self.run.contactors.note_forced();
        }
        self.run.contactors.open(now, at_once);
        self.run.weld_check.begin();
    }

    /// Emptied when the board asks, and after a session: the cable's own voltage is not measured. Not before the
    /// vehicle must have opened its own contactors: its battery would be on the resistor.
    fn empty_cable(&self, now: BoottimeMillis, seen: &Seen, orders: &mut Orders) {
        let Some(board) = seen.board else { return };
        let in_use = self.is_in_use();
        let alone = !in_use || self.run.vehicle.plugged(now) == Some(false);
        let over = alone && self.run.output.is_none() && contactors::is_open(&board) && now < self.run.bleed_until;
        let high = !in_use && seen.output.voltage > DEAD;
        let lower = seen.output.at_rest && (self.run.vehicle.control(now).lower_voltage || over || high);
        if board.output(Output::Discharge) != lower {
            orders.coils.push((Output::Discharge, lower));
        }
    }

    /// Locked from the start of a delivery; released when nothing runs, the contactors are open and the output is dead,
    /// and so also after a power cut in the middle of a delivery.
    pub(super) fn drive_lock(&mut self, now: BoottimeMillis, seen: &Seen, orders: &mut Orders) {
        let open = seen.board.is_some_and(|board| contactors::is_open(&board));
        if !self.is_in_use() && open && seen.output.voltage < DEAD {
            self.run.lock.want(false);
        }
        orders.coils.extend(self.run.lock.order(seen.board.as_ref()));
        let known = self.run.lock.fault().is_some();
        let plugged = self.run.vehicle.plugged(now) != Some(false);
        self.run.lock.watch(now, seen.board.as_ref(), plugged);
        if let Some(fault) = self.run.lock.fault().filter(|_| !known) {
            tracing::error!(connector = self.wiring.connector.0, detail = fault, "the plug's lock does not follow");
        }
    }

    /// Looks for a weld after the contactors were opened.
    pub(super) fn check_welding(&mut self, now: BoottimeMillis, seen: &Seen) {
        // What was found stays until a module that is joined sees the voltage fall, or somebody has seen to it.
        if self.run.weld_check == WeldCheck::Failed && seen.output.sampled == BoottimeMillis(0) {
            return;
        }
        let at_rest = seen.output.at_rest && seen.output.current_known;
        let (board, voltage) = (seen.board.as_ref(), seen.output.voltage);
        if let Some(found) = self.run.weld_check.look(now, board, at_rest, voltage, DEAD) {
            tracing::error!(connector = self.wiring.connector.0, detail = found, "an output contactor may be welded");
            self.run.contactors.found_welded(found);
        }
    }

    /// A delivery is over when no current flows and the contactors are open.
    pub(super) fn finish(&mut self, now: BoottimeMillis, seen: &Seen) {
        if self.run.winding_down.is_some_and(|down| down.until <= now || self.board_is_through(now)) {
            self.run.winding_down = None;
            if self.run.vehicle.plugged(now) != Some(false) {
                self.run.bleed_until = now.after(BLEED_LIMIT);
            }
        }
        let Some(delivery) = &self.run.delivery else { return };
        let Some(ending) = delivery.ending else { return };
        let open = seen.board.is_some_and(|board| contactors::is_open(&board));
        let given_up = now.since(ending.since) > FORCED_OPENING + MIRROR_LIMIT;
        if (seen.output.at_rest && open) || given_up {
            let (connector, delivery) = (self.wiring.connector.0, delivery.id);
            tracing::info!(connector, delivery = delivery.0, cause = %ending.cause, "delivery is over");
            if delivery.0 != 0 {
                self.run.ended = delivery;
                self.run.stop_cause = ending.cause;
            }
            self.run.contactors.open(now, true);
            self.run.bleed_until = now.after(BLEED_LIMIT);
            self.run.delivery = None;
            let enable = !ending.is_emergency();
            self.run.winding_down = Some(WindingDown { until: now.after(WIND_DOWN), enable });
        }
    }

    /// A board that is silent is not: its vehicle may not have opened its contactors yet, and the cable is live.
    fn board_is_through(&self, now: BoottimeMillis) -> bool {
        let through = |status| matches!(status, BoardStatus::WaitingForVehicle | BoardStatus::NotAvailable);
        self.run.vehicle.finished || self.run.vehicle.status(now).is_some_and(through)
    }
}
