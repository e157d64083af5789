//! The end of a transaction: the first cause is its reason, on disk before anybody is told; then nothing flows any more,
//! the meter has the last word, and the books are closed. It waits for power and the meter, and for neither of them for
//! ever; it never waits for the CSMS. Pure.

use super::{Course, NO_DELIVERY, RETRY, Running, STOP_AGAIN};
use crate::effect::{Effect, Purpose};
use crate::ledger::Entry;
use crate::settings::Settings;
use busbar_interfaces::BoottimeMillis;
use busbar_interfaces::metering::Reading;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::words::{EventKind, ReadingContext, StopCause, StopReason};
use busbar_runtime::Moment;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ending {
    reason: StopReason,
    id_tag: String,
    since: BoottimeMillis,
    /// It is on disk.
    recorded: bool,
    /// The delivery is over, or power has been away for longer than its lease.
    over: bool,
    /// When power counts as away for longer than its lease.
    give_up_at: BoottimeMillis,
    latching: bool,
    /// When the meter is asked (again), once the delivery is over.
    latch_at: BoottimeMillis,
    /// When power is asked (again) to end the delivery, until it is.
    stop_at: BoottimeMillis,
}

impl Running {
    /// It is to end. The first reason stands; a later one changes nothing.
    pub fn end(&mut self, now: Moment, reason: StopReason, id_tag: &str) {
        if self.ending.is_none() {
            self.ending = Some(Ending::new(reason, id_tag.to_owned(), now));
        }
    }

    /// The meter was read for the end, or could not be.
    pub fn read_for_the_end(&mut self, now: Moment, reading: Option<Reading>, effects: &mut Vec<Effect>) -> Course {
        let Some(ending) = &mut self.ending else { return Course::GoesOn };
        ending.latching = false;
        ending.latch_at = now.boottime.after(RETRY);
        // What flows after the reading would be on nobody's bill.
        let Some(reading) = reading.filter(|_| ending.over) else { return Course::GoesOn };
        self.count(reading.energy_milliwatt_hours, effects);
        effects.extend(self.signed(now, ReadingContext::TransactionEnd, reading.signed_data));
        Course::Over
    }

    pub(super) fn advance_end(
        &mut self,
        now: Moment,
        power: Option<&PowerConnectorState>,
        settings: &Settings,
        effects: &mut Vec<Effect>,
    ) -> Course {
        let (connector, transaction) = (self.connector, self.transaction);
        // A start that is on its way, or that power has taken and not shown yet, is not over because power does not
        // show it.
        let is_whole = self.shown || !(self.held || self.is_asking());
        let Some(ending) = &mut self.ending else { return Course::GoesOn };
        if !std::mem::replace(&mut ending.recorded, true) {
            effects.push(Effect::RecordEnding(transaction, ending.reason, ending.id_tag.clone()));
        }
        // Without an answer power's own lease has run out by then, and the modules are off without it.
        ending.give_up_at = ending.since.after(settings.delivery_lease + Duration::from_secs(5));
        let delivery = self.delivery;
        let has_stopped = delivery == NO_DELIVERY || power.is_some_and(|power| is_whole && power.delivery != delivery);
        ending.over = has_stopped || ending.give_up_at <= now.boottime;
        if ending.over && !ending.latching && ending.latch_at <= now.boottime {
            if now.boottime >= ending.since.after(settings.delivery_lease + settings.meter_wait) {
                tracing::error!(connector = connector.0, "the meter stays away: the last sample ends the transaction");
                return Course::Over;
            }
            ending.latching = true;
            effects.push(Effect::Latch(connector, Purpose::End));
        } else if !ending.over && ending.stop_at <= now.boottime {
            ending.stop_at = now.boottime.after(STOP_AGAIN);
            effects.push(Effect::StopDelivery(connector, delivery));
        }
        Course::GoesOn
    }

    /// Its last event, and what the ledger would say of it.
    pub fn close(self, now: Moment) -> (TransactionEvent, Entry) {
        let event = self.event(now, EventKind::Stopped, ReadingContext::TransactionEnd);
        let (reason, id_tag) =
            self.ending.map_or((StopReason::Other, String::new()), |ending| (ending.reason, ending.id_tag));
        let entry = Entry {
            transaction: self.transaction,
            id_tag: self.driver.id_tag,
            parent_id_tag: self.driver.parent_id_tag,
            authorized_by: self.driver.authorized_by,
            delivery: self.delivery,
            suspended: self.suspended,
            started: self.started,
            started_energy: self.started_energy,
            last_energy: self.last_energy,
            held: self.held,
            ending: None,
            stop_reason: Some(reason),
        };
        (TransactionEvent { reason, id_tag, ..event }, entry)
    }
}

impl Ending {
    /// When it has something to do.
    pub(super) fn next_wake(&self) -> Option<BoottimeMillis> {
        if self.over { (!self.latching).then_some(self.latch_at) } else { Some(self.stop_at.min(self.give_up_at)) }
    }

    /// One that is on disk.
    pub(super) fn restore(reason: StopReason, id_tag: String, now: Moment) -> Ending {
        Ending { recorded: true, ..Ending::new(reason, id_tag, now) }
    }

    fn new(reason: StopReason, id_tag: String, now: Moment) -> Ending {
        Ending {
            reason,
            id_tag,
            since: now.boottime,
            recorded: false,
            over: false,
            give_up_at: BoottimeMillis(u64::MAX),
            latching: false,
            latch_at: now.boottime,
            stop_at: now.boottime,
        }
    }
}

/// The reason that a cause of power's is.
pub(super) fn reason_of(cause: StopCause) -> StopReason {
    match cause {
        StopCause::Unplugged => StopReason::EvDisconnected,
        StopCause::EmergencyStop => StopReason::EmergencyStop,
        // A battery that has enough, a fault, a lease that ended: OCPP 1.6 has no word of its own for them.
        _ => StopReason::Other,
    }
}
