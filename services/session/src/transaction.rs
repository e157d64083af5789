//! A transaction that runs: its lease of power's delivery and its samples; how it ends is in `ending`. Pure.

mod ending;

use crate::authorization::Driver;
use crate::effect::{DeliveryAnswer, Effect, Purpose};
use crate::ledger::Entry;
use crate::rules::Terms;
use crate::schedule::{Intervals, Marks, Schedule};
use busbar_interfaces::metering::Reading;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::words::{EventKind, Phase, Plug, ReadingContext, StopCause, StopReason};
use busbar_interfaces::{
    BoottimeMillis, ConnectorId, Milliamperes, Millivolts, MilliwattHours, Percent, ReservationId, TransactionId,
    UnixMillis, Watts,
};
use busbar_runtime::Moment;
use ending::{Ending, reason_of};
use std::time::Duration;

/// A call that failed for a passing reason is made again after this time.
pub const RETRY: Duration = Duration::from_millis(200);
/// Power takes a stop at once and then needs its time; a stop that got lost is repeated after this time.
pub const STOP_AGAIN: Duration = Duration::from_secs(2);
/// A power that is just starting is not ready for a moment; after this time it is a refusal.
const PATIENCE: Duration = Duration::from_secs(10);
/// No delivery: the vehicle is unplugged, and the transaction stays.
const NO_DELIVERY: TransactionId = TransactionId(0);
/// A signed reading that is longer is no reading of a meter.
const LONGEST_SIGNED_DATA: usize = 16 * 1024;

/// A transaction that runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    /// Where.
    pub connector: ConnectorId,
    /// Its number.
    pub transaction: TransactionId,
    /// Who started it.
    pub driver: Driver,
    /// When it began.
    pub started: UnixMillis,
    /// The register when it began.
    pub started_energy: MilliwattHours,
    /// The register when it was last read.
    pub last_energy: MilliwattHours,
    /// Current has flowed in it.
    pub has_flowed: bool,
    /// Who keeps its current at zero, as it was when power last showed its delivery.
    pause: Option<Pause>,
    /// The number of power's delivery: the transaction's own, a later one when the vehicle was plugged in again, 0 while
    /// it is unplugged.
    delivery: TransactionId,
    /// The CSMS does not accept the badge: nothing flows any more, and the transaction stays until somebody ends it.
    suspended: bool,
    /// When power is told (again) to end the delivery of a transaction that is suspended.
    suspend_at: Option<BoottimeMillis>,
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

/// Who keeps the current of a delivery at zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// The vehicle asks for none, or is unplugged.
    Vehicle,
    /// The station's limit is zero, or the CSMS does not accept the badge.
    Station,
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
        driver: Driver,
        energy: MilliwattHours,
    ) -> Running {
        Running {
            connector,
            transaction,
            driver,
            started: now.unix,
            started_energy: energy,
            last_energy: energy,
            has_flowed: false,
            pause: None,
            delivery: transaction,
            suspended: false,
            suspend_at: None,
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
        let ending = entry.ending.map(|(reason, id_tag)| Ending::restore(reason, id_tag, now));
        let held = entry.held && entry.delivery != NO_DELIVERY;
        let driver =
            Driver { id_tag: entry.id_tag, parent_id_tag: entry.parent_id_tag, authorized_by: entry.authorized_by };
        Running {
            connector,
            transaction: entry.transaction,
            driver,
            started: entry.started,
            started_energy: entry.started_energy,
            last_energy: entry.last_energy,
            has_flowed: entry.last_energy > entry.started_energy,
            pause: (entry.delivery == NO_DELIVERY).then_some(Pause::Vehicle),
            delivery: entry.delivery,
            suspended: entry.suspended,
            suspend_at: None,
            held,
            held_recorded: held,
            shown: false,
            patience_until: now.boottime.after(PATIENCE),
            offset: 0,
            lease_call_at: now.boottime,
            schedule: Schedule::resume(marks),
            ending,
        }
    }

    /// What is written down of its begin: the start, and the reading as the meter has signed it.
    pub fn started(&self, now: Moment, reservation: Option<ReservationId>, signed_data: String) -> Vec<Effect> {
        let event = self.event(now, EventKind::Started, ReadingContext::TransactionBegin);
        let start = TransactionEvent {
            id_tag: self.driver.id_tag.clone(),
            reservation: reservation.into_iter().collect(),
            ..event
        };
        let start = Effect::Start(Box::new(start), self.driver.clone());
        std::iter::once(start).chain(self.signed(now, ReadingContext::TransactionBegin, signed_data)).collect()
    }

    /// A signed reading at the begin or the end is an event of its own: this family's StopTransaction carries none.
    fn signed(&self, now: Moment, context: ReadingContext, signed_data: String) -> Option<Effect> {
        let signed_data = sound(signed_data);
        if signed_data.is_empty() {
            return None;
        }
        Some(Effect::Record(Box::new(TransactionEvent { signed_data, ..self.event(now, EventKind::Sample, context) })))
    }

    /// Who keeps its current at zero; the same while it is being ended.
    pub fn pause(&self) -> Option<Pause> {
        if self.suspended { Some(Pause::Station) } else { self.pause }
    }

    /// Power's delivery that belongs to it, if there is one.
    pub fn delivery(&self) -> Option<TransactionId> {
        Some(self.delivery).filter(|delivery| *delivery != NO_DELIVERY)
    }

    /// Power is being asked for the delivery, or to keep it.
    fn is_asking(&self) -> bool {
        self.lease_call_at == BoottimeMillis(u64::MAX)
    }

    /// The delivery is over or being ended.
    pub fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// The CSMS does not accept the badge, and the rules let the transaction stay: nothing more flows in it.
    pub fn suspend(&mut self, effects: &mut Vec<Effect>) {
        if !std::mem::replace(&mut self.suspended, true) {
            effects.push(Effect::RecordSuspended(self.transaction));
        }
    }

    /// The CSMS has told the group of the badge that started it.
    pub fn learn_group(&mut self, parent_id_tag: &str, effects: &mut Vec<Effect>) {
        if self.driver.parent_id_tag != parent_id_tag {
            parent_id_tag.clone_into(&mut self.driver.parent_id_tag);
            effects.push(Effect::RecordGroup(self.transaction, parent_id_tag.to_owned()));
        }
    }

    /// What power shows; `was_away` until now. `stays` is that the transaction stays when its vehicle is unplugged.
    pub fn power_is(
        &mut self,
        now: Moment,
        power: &PowerConnectorState,
        was_away: bool,
        stays: bool,
        effects: &mut Vec<Effect>,
    ) {
        if self.delivery == NO_DELIVERY {
            return;
        }
        if power.delivery == self.delivery {
            (self.held, self.shown) = (true, true);
            self.has_flowed |= power.phase == Phase::Delivering && power.output_milliamperes.0 > 0;
            if power.phase == Phase::Delivering && self.ending.is_none() {
                self.pause = if power.limit_watts == Watts(0) {
                    Some(Pause::Station)
                } else {
                    (self.has_flowed && power.requested_milliamperes == Milliamperes(0)).then_some(Pause::Vehicle)
                };
            }
        } else if power.ended_delivery == self.delivery {
            self.shown = true;
            if self.suspended {
                // It was ended here, and the transaction stays.
            } else if stays && power.stop_cause == StopCause::Unplugged && self.ending.is_none() {
                self.deliver_as(NO_DELIVERY, effects);
            } else {
                self.end(now, reason_of(power.stop_cause), "");
            }
        } else if was_away && self.held {
            // It came back without the delivery that it had: it stopped safely and lost its record.
            self.shown = true;
            if !self.suspended {
                self.end(now, StopReason::Other, "");
            }
        }
    }

    /// Another number for power's delivery: none while the vehicle is unplugged, a new one when it is back.
    fn deliver_as(&mut self, delivery: TransactionId, effects: &mut Vec<Effect>) {
        self.delivery = delivery;
        (self.held, self.held_recorded, self.shown) = (false, false, false);
        self.lease_call_at = BoottimeMillis(u64::MAX);
        self.pause = Some(Pause::Vehicle);
        effects.push(Effect::RecordDelivery(self.transaction, delivery));
    }

    /// Power answered a start or a renewal.
    pub fn delivery_answered(&mut self, now: Moment, answer: DeliveryAnswer, lease: Duration) {
        self.lease_call_at = now.boottime.after(RETRY);
        if self.suspended {
            return;
        }
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
        self.count(reading.energy_milliwatt_hours, effects);
        let signed_data = sound(reading.signed_data);
        for context in contexts {
            effects.push(Effect::Record(Box::new(TransactionEvent {
                signed_data: signed_data.clone(),
                watts: reading.watts,
                millivolts: reading.millivolts,
                milliamperes: reading.milliamperes,
                offered_watts: power.map_or(Watts(0), |power| power.offered_watts),
                state_of_charge_percent: power.map_or(Percent::UNKNOWN, |power| power.state_of_charge_percent),
                ..self.event(now, EventKind::Sample, context)
            })));
        }
    }

    /// Does what is due by now. `power` is nothing while it is away.
    pub fn advance(
        &mut self,
        now: Moment,
        power: Option<&PowerConnectorState>,
        terms: Terms<'_>,
        next_number: &mut TransactionId,
        effects: &mut Vec<Effect>,
    ) -> Course {
        let plug = power.map(|power| power.plug);
        // Its delivery is over, so nobody else tells that the vehicle is gone.
        let stands = self.suspended || self.delivery == NO_DELIVERY;
        if stands && plug == Some(Plug::Unplugged) && terms.rules.is_some_and(|rules| rules.stop_on_unplug) {
            self.end(now, StopReason::EvDisconnected, "");
        }
        if self.held && !std::mem::replace(&mut self.held_recorded, true) {
            effects.push(Effect::RecordHeld(self.transaction));
        }
        if self.ending.is_some() {
            return self.advance_end(now, power, terms.settings, effects);
        }
        let Some(rules) = terms.rules else { return Course::GoesOn };
        let connector = self.connector;
        if self.suspended {
            self.lease_call_at = BoottimeMillis(u64::MAX);
            let flows = power.is_some_and(|power| Some(power.delivery) == self.delivery());
            self.suspend_at = flows.then(|| self.suspend_at.unwrap_or(now.boottime));
            if self.suspend_at.is_some_and(|at| at <= now.boottime) {
                self.suspend_at = Some(now.boottime.after(STOP_AGAIN));
                effects.push(Effect::StopDelivery(connector, self.delivery));
            }
        } else if self.delivery == NO_DELIVERY && plug == Some(Plug::Plugged) {
            let number = *next_number;
            next_number.0 = next_number.0.saturating_add(1);
            self.deliver_as(number, effects);
            self.patience_until = now.boottime.after(PATIENCE);
            effects.push(Effect::StartDelivery(connector, number));
        } else if self.delivery == NO_DELIVERY {
            self.lease_call_at = BoottimeMillis(u64::MAX);
        } else if self.lease_call_at <= now.boottime {
            self.lease_call_at = BoottimeMillis(u64::MAX);
            effects.push(if self.held {
                Effect::RenewDelivery(connector, self.delivery)
            } else {
                Effect::StartDelivery(connector, self.delivery)
            });
        }
        let periodic = if terms.online { rules.sample_interval } else { rules.sample_interval_offline };
        if self.schedule.advance(now, Intervals { periodic, clock: rules.clock_interval }) {
            effects.push(Effect::Latch(connector, Purpose::Sample));
        }
        Course::GoesOn
    }

    /// When `advance` has something to do.
    pub fn next_wake(&self) -> Option<BoottimeMillis> {
        match &self.ending {
            Some(ending) => ending.next_wake(),
            None if self.suspended => self.schedule.next_wake().into_iter().chain(self.suspend_at).min(),
            None => self.schedule.next_wake().into_iter().chain([self.lease_call_at]).min(),
        }
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
            reservation: Vec::new(),
            signed_data: String::new(),
        }
    }

    /// Takes in the register. One that goes back was exchanged or reset: what was counted stays counted.
    fn count(&mut self, register: MilliwattHours, effects: &mut Vec<Effect>) {
        let counted = register.0.saturating_add(self.offset);
        if counted < self.last_energy.0 {
            self.offset = self.last_energy.0.saturating_sub(register.0);
            let what = format!(
                "the meter went back from {} to {} mWh in transaction {}; it is counted on from there",
                self.last_energy.0, counted, self.transaction
            );
            effects.push(Effect::RecordIrregular(self.connector, self.transaction, what));
        }
        self.last_energy = MilliwattHours(register.0.saturating_add(self.offset));
    }
}

/// A reading as the meter has signed it; a cut one proves nothing, so one that is too long is dropped whole.
fn sound(signed_data: String) -> String {
    if signed_data.len() <= LONGEST_SIGNED_DATA {
        return signed_data;
    }
    tracing::warn!(bytes = signed_data.len(), "a signed reading is too long and is left out");
    String::new()
}
