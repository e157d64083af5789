//! The end of a transaction: the first cause is its reason, on disk before anybody is told; then nothing flows any more,
//! the meter has the last word, and the books are closed. It waits for power and the meter, and for neither of them for
//! ever; it never waits for the CSMS. Pure.

use super::{Course, RETRY, Running, STOP_AGAIN};
use crate::connector::AFTER_THE_LEASE;
use crate::effect::{Effect, Purpose};
use crate::ledger::Entry;
use crate::settings::Settings;
use busbar_interfaces::metering::Reading;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::words::{EventKind, ReadingContext, StopCause, StopReason};
use busbar_interfaces::{BoottimeMillis, MilliwattHours, TransactionId};
use busbar_runtime::Moment;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ending {
    reason: StopReason,
    id_tag: String,
    since: BoottimeMillis,
    /// It is on disk.
    recorded: bool,
    /// Since when the delivery is over, or power has been away for longer than its lease.
    over_since: Option<BoottimeMillis>,
    /// The meter has been asked since then.
    asked: bool,
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
    pub fn read_for_the_end(
        &mut self,
        now: Moment,
        reading: Option<(Moment, Reading)>,
        effects: &mut Vec<Effect>,
    ) -> Course {
        let Some(ending) = &mut self.ending else { return Course::GoesOn };
        ending.latching = false;
        ending.latch_at = now.boottime.after(RETRY);
        // What flows after the reading would be on nobody's bill.
        let is_over = ending.over_since.is_some();
        let Some((at, reading)) = reading.filter(|_| is_over) else { return Course::GoesOn };
        self.count(reading.energy_milliwatt_hours, effects);
        effects.extend(self.signed(at, ReadingContext::TransactionEnd, reading.signed_data));
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
        let (number, has_stopped) = (self.delivery(), self.delivery.is_over(power));
        let Some(ending) = &mut self.ending else { return Course::GoesOn };
        if !std::mem::replace(&mut ending.recorded, true) {
            effects.push(Effect::RecordEnding(transaction, ending.reason, ending.id_tag.clone()));
        }
        // Without an answer power's own lease has run out by then, and the modules are off without it.
        ending.give_up_at = ending.since.after(settings.delivery_lease + AFTER_THE_LEASE);
        let is_over = has_stopped || ending.give_up_at <= now.boottime;
        ending.over_since = is_over.then(|| ending.over_since.unwrap_or(now.boottime));
        let Some(over_since) = ending.over_since else {
            if let Some(number) = number.filter(|_| ending.stop_at <= now.boottime) {
                ending.stop_at = now.boottime.after(STOP_AGAIN);
                effects.push(Effect::StopDelivery(connector, number));
            }
            return Course::GoesOn;
        };
        if !ending.latching && ending.latch_at <= now.boottime {
            if ending.asked && now.boottime >= over_since.after(settings.meter_wait) {
                tracing::error!(connector = connector.0, "the meter stays away: the last sample ends the transaction");
                return Course::Over;
            }
            (ending.latching, ending.asked) = (true, true);
            effects.push(Effect::Latch(connector, Purpose::End));
        }
        Course::GoesOn
    }

    /// Its last event, and what the ledger would say of it.
    pub fn close(self, now: Moment) -> (TransactionEvent, Entry) {
        let event = self.event(now, EventKind::Stopped, ReadingContext::TransactionEnd);
        let delivery = self.delivery().unwrap_or(TransactionId(0));
        let (reason, id_tag) =
            self.ending.map_or((StopReason::Other, String::new()), |ending| (ending.reason, ending.id_tag));
        let entry = Entry {
            transaction: self.transaction,
            id_tag: self.driver.id_tag,
            parent_id_tag: self.driver.parent_id_tag,
            authorized_by: self.driver.authorized_by,
            delivery,
            register_offset: MilliwattHours(self.offset),
            suspended: self.suspended,
            started: self.started,
            started_energy: self.started_energy,
            last_energy: self.last_energy,
            held: self.delivery.is_held(),
            ending: None,
            stop_reason: Some(reason),
        };
        (TransactionEvent { reason, id_tag, ..event }, entry)
    }
}

impl Ending {
    /// When it has something to do.
    pub(super) fn next_wake(&self) -> Option<BoottimeMillis> {
        if self.over_since.is_some() {
            (!self.latching).then_some(self.latch_at)
        } else {
            Some(self.stop_at.min(self.give_up_at))
        }
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
            over_since: None,
            asked: false,
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
