//! A transaction that runs: its lease of power's delivery, its samples and its end. Pure.

use crate::effect::{DeliveryAnswer, Effect, Purpose};
use crate::ledger::Entry;
use crate::rules::Rules;
use crate::schedule::{Intervals, Marks, Schedule};
use crate::settings::Settings;
use busbar_interfaces::metering::Reading;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::words::{EventKind, Phase, ReadingContext, StopCause, StopReason};
use busbar_interfaces::{
    BoottimeMillis, ConnectorId, Milliamperes, Millivolts, MilliwattHours, Percent, TransactionId, UnixMillis, Watts,
};
use busbar_runtime::Moment;
use std::time::Duration;

/// A call that failed for a passing reason is made again after this time.
pub const RETRY: Duration = Duration::from_millis(200);
/// Power takes a stop at once and then needs its time; a stop that got lost is repeated after this time.
pub const STOP_AGAIN: Duration = Duration::from_secs(2);
/// A power that is just starting is not ready for a moment; after this time it is a refusal.
const PATIENCE: Duration = Duration::from_secs(10);

/// A transaction that runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    /// Where.
    pub connector: ConnectorId,
    /// Its number.
    pub transaction: TransactionId,
    /// The badge that started it.
    pub id_tag: String,
    /// When it began.
    pub started: UnixMillis,
    /// The register when it began.
    pub started_energy: MilliwattHours,
    /// The register when it was last read.
    pub last_energy: MilliwattHours,
    /// Current has flowed in it.
    pub has_flowed: bool,
    /// Power has said that it holds the delivery.
    held: bool,
    /// That is on disk: from then on the delivery is renewed and never started again.
    held_recorded: bool,
    /// Power has shown it, or that it had it: from then on what it shows is the whole truth about it.
    shown: bool,
    /// Until then a power that is not ready is asked again.
    patience_until: BoottimeMillis,
    /// What a meter that was exchanged or reset in the middle lacks against its predecessor.
    offset: u64,
    /// When power is asked for the delivery, or to keep it; never, while it is being asked.
    lease_call_at: BoottimeMillis,
    schedule: Schedule,
    ending: Option<Ending>,
}

#[derive(Debug, Clone, PartialEq)]
struct Ending {
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

/// Whether a transaction goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// It does.
    GoesOn,
    /// It is over, with the last reading as its last word.
    Over,
}

impl Running {
    /// A transaction that begins with this reading. Its delivery has just been asked for.
    pub fn begin(
        now: Moment,
        connector: ConnectorId,
        transaction: TransactionId,
        id_tag: String,
        reading: Reading,
    ) -> Running {
        Running {
            connector,
            transaction,
            id_tag,
            started: now.unix,
            started_energy: reading.energy_milliwatt_hours,
            last_energy: reading.energy_milliwatt_hours,
            has_flowed: false,
            held: false,
            held_recorded: false,
            shown: false,
            patience_until: now.boottime.after(PATIENCE),
            offset: 0,
            lease_call_at: BoottimeMillis(u64::MAX),
            schedule: Schedule::begin(now),
            ending: None,
        }
    }

    /// A transaction as the ledger left it.
    pub fn restore(now: Moment, connector: ConnectorId, entry: Entry, marks: Marks) -> Running {
        let ending = entry.ending.map(|(reason, id_tag)| Ending { recorded: true, ..Ending::new(reason, id_tag, now) });
        Running {
            connector,
            transaction: entry.transaction,
            id_tag: entry.id_tag,
            started: entry.started,
            started_energy: entry.started_energy,
            last_energy: entry.last_energy,
            has_flowed: entry.last_energy > entry.started_energy,
            held: entry.held,
            held_recorded: entry.held,
            shown: false,
            patience_until: now.boottime.after(PATIENCE),
            offset: 0,
            lease_call_at: now.boottime,
            schedule: Schedule::resume(marks),
            ending,
        }
    }

    /// Power is being asked for the delivery, or to keep it.
    fn is_asking(&self) -> bool {
        self.lease_call_at == BoottimeMillis(u64::MAX)
    }

    /// The delivery is over or being ended.
    pub fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// It is to end. The first reason stands; a later one changes nothing.
    pub fn end(&mut self, now: Moment, reason: StopReason, id_tag: &str) {
        if self.ending.is_none() {
            self.ending = Some(Ending::new(reason, id_tag.to_owned(), now));
        }
    }

    /// What power shows; `was_away` until now.
    pub fn power_is(&mut self, now: Moment, power: &PowerConnectorState, was_away: bool) {
        if power.delivery == self.transaction {
            (self.held, self.shown) = (true, true);
            self.has_flowed |= power.phase == Phase::Delivering && power.output_milliamperes.0 > 0;
        } else if power.ended_delivery == self.transaction {
            self.shown = true;
            self.end(now, reason_of(power.stop_cause), "");
        } else if was_away && self.held {
            // It came back without the delivery that it had: it stopped safely and lost its record.
            self.shown = true;
            self.end(now, StopReason::Other, "");
        }
    }

    /// Power answered a start or a renewal.
    pub fn delivery_answered(&mut self, now: Moment, answer: DeliveryAnswer, lease: Duration) {
        self.lease_call_at = now.boottime.after(RETRY);
        match answer {
            DeliveryAnswer::Held => {
                self.held = true;
                self.lease_call_at = now.boottime.after(lease / 3);
            }
            DeliveryAnswer::NotReady(_) if !self.held && now.boottime < self.patience_until => {}
            DeliveryAnswer::NotReady(reason) | DeliveryAnswer::Over(reason) => {
                let (connector, transaction) = (self.connector.0, self.transaction.0);
                tracing::warn!(connector, transaction, reason, "power does not deliver");
                self.end(now, StopReason::Other, "");
            }
            DeliveryAnswer::Unreachable => {}
        }
    }

    /// The meter was read for a sample, or could not be.
    pub fn sampled(
        &mut self,
        now: Moment,
        reading: Option<Reading>,
        power: Option<&PowerConnectorState>,
        effects: &mut Vec<Effect>,
    ) {
        let contexts = self.schedule.read(now, reading.is_some());
        let Some(reading) = reading.filter(|_| self.ending.is_none()) else { return };
        if contexts.is_empty() {
            return;
        }
        self.count(reading.energy_milliwatt_hours);
        for context in contexts {
            effects.push(Effect::Record(Box::new(TransactionEvent {
                watts: reading.watts,
                millivolts: reading.millivolts,
                milliamperes: reading.milliamperes,
                offered_watts: power.map_or(Watts(0), |power| power.offered_watts),
                state_of_charge_percent: power.map_or(Percent::UNKNOWN, |power| power.state_of_charge_percent),
                ..self.event(now, EventKind::Sample, context)
            })));
        }
    }

    /// The meter was read for the end, or could not be.
    pub fn read_for_the_end(&mut self, now: Moment, reading: Option<Reading>) -> Course {
        let Some(ending) = &mut self.ending else { return Course::GoesOn };
        ending.latching = false;
        ending.latch_at = now.boottime.after(RETRY);
        // What flows after the reading would be on nobody's bill.
        let Some(reading) = reading.filter(|_| ending.over) else { return Course::GoesOn };
        self.count(reading.energy_milliwatt_hours);
        Course::Over
    }

    /// Does what is due by now. `power` is nothing while it is away.
    pub fn advance(
        &mut self,
        now: Moment,
        power: Option<&PowerConnectorState>,
        rules: Option<&Rules>,
        online: bool,
        settings: &Settings,
        effects: &mut Vec<Effect>,
    ) -> Course {
        if self.held && !std::mem::replace(&mut self.held_recorded, true) {
            effects.push(Effect::RecordHeld(self.transaction));
        }
        if self.ending.is_some() {
            return self.advance_end(now, power, settings, effects);
        }
        let Some(rules) = rules else { return Course::GoesOn };
        let (connector, transaction) = (self.connector, self.transaction);
        if self.lease_call_at <= now.boottime {
            self.lease_call_at = BoottimeMillis(u64::MAX);
            effects.push(if self.held {
                Effect::RenewDelivery(connector, transaction)
            } else {
                Effect::StartDelivery(connector, transaction)
            });
        }
        let periodic = if online { rules.sample_interval } else { rules.sample_interval_offline };
        if self.schedule.advance(now, Intervals { periodic, clock: rules.clock_interval }) {
            effects.push(Effect::Latch(connector, Purpose::Sample));
        }
        Course::GoesOn
    }

    fn advance_end(
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
        let has_stopped = power.is_some_and(|power| is_whole && power.delivery != transaction);
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
            effects.push(Effect::StopDelivery(connector, transaction));
        }
        Course::GoesOn
    }

    /// When `advance` has something to do.
    pub fn next_wake(&self) -> Option<BoottimeMillis> {
        match &self.ending {
            Some(ending) if ending.latching => None,
            Some(ending) if ending.over => Some(ending.latch_at),
            Some(ending) => Some(ending.stop_at.min(ending.give_up_at)),
            None => self.schedule.next_wake().into_iter().chain([self.lease_call_at]).min(),
        }
    }

    /// Its last event, and what the ledger would say of it.
    pub fn close(self, now: Moment) -> (TransactionEvent, Entry) {
        let event = self.event(now, EventKind::Stopped, ReadingContext::TransactionEnd);
        let (reason, id_tag) =
            self.ending.map_or((StopReason::Other, String::new()), |ending| (ending.reason, ending.id_tag));
        let entry = Entry {
            transaction: self.transaction,
            id_tag: self.id_tag,
            started: self.started,
            started_energy: self.started_energy,
            last_energy: self.last_energy,
            held: self.held,
            ending: None,
            stop_reason: Some(reason),
        };
        (TransactionEvent { reason, id_tag, ..event }, entry)
    }

    /// An event of this moment. Its number and the run of the machine are the ledger's to fill in.
    pub fn event(&self, now: Moment, kind: EventKind, context: ReadingContext) -> TransactionEvent {
        TransactionEvent {
            sequence: 0,
            transaction: self.transaction,
            connector: self.connector,
            kind,
            unix_millis: now.unix,
            boottime_millis: now.boottime,
            boot: String::new(),
            context,
            energy_milliwatt_hours: self.last_energy,
            watts: Watts(0),
            millivolts: Millivolts(0),
            milliamperes: Milliamperes(0),
            offered_watts: Watts(0),
            state_of_charge_percent: Percent::UNKNOWN,
            id_tag: String::new(),
            reason: StopReason::None,
        }
    }

    /// Takes in the register. One that goes back was exchanged or reset: what was counted stays counted.
    fn count(&mut self, register: MilliwattHours) {
        if register.0.saturating_add(self.offset) < self.last_energy.0 {
            self.offset = self.last_energy.0.saturating_sub(register.0);
        }
        self.last_energy = MilliwattHours(register.0.saturating_add(self.offset));
    }
}

impl Ending {
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

fn reason_of(cause: StopCause) -> StopReason {
    match cause {
        StopCause::Unplugged => StopReason::EvDisconnected,
        StopCause::EmergencyStop => StopReason::EmergencyStop,
        // A battery that has enough, a fault, a lease that ended: OCPP 1.6 has no word of its own for them.
        _ => StopReason::Other,
    }
}
