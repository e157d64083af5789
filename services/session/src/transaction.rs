//! A transaction that runs: what it does about its samples and its stays; power's part is in `delivery`, how it ends in
//! `ending`. Pure.

mod delivery;
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
use delivery::{Call, Delivery, Shows};
use ending::{Ending, reason_of};
use std::time::Duration;

/// A call that failed for a passing reason is made again after this time.
pub const RETRY: Duration = Duration::from_millis(200);
/// Power takes a stop at once and then needs its time; a stop that got lost is repeated after this time.
pub const STOP_AGAIN: Duration = Duration::from_secs(2);
/// A power that is just starting is not ready for a moment, and one that ends a delivery denies it for a moment; after
/// this time that is a refusal.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first current is measured a moment before the vehicle's first wish is heard; one that asks for nothing for longer
/// pauses.
const FIRST_WISH: Duration = Duration::from_secs(2);
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
    /// Power could flow in it.
    pub has_delivered: bool,
    /// The vehicle has asked for current in it.
    has_asked: bool,
    /// Until when its vehicle is given time for its first wish.
    first_wish_until: Option<BoottimeMillis>,
    /// Who keeps its current at zero, as it was when power last showed its delivery.
    pause: Option<Pause>,
    delivery: Delivery,
    /// The CSMS does not accept the badge: nothing flows any more, and the transaction stays until somebody ends it.
    suspended: bool,
    /// When power is told (again) to end the delivery of a transaction that is suspended.
    suspend_at: Option<BoottimeMillis>,
    /// What a meter that was exchanged or reset in the middle lacks against its predecessor.
    offset: u64,
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
    /// A transaction that begins now with a reading of a moment ago. Its delivery has just been asked for.
    pub fn begin(
        (now, at): (Moment, Moment),
        connector: ConnectorId,
        transaction: TransactionId,
        driver: Driver,
        energy: MilliwattHours,
    ) -> Running {
        Running {
            connector,
            transaction,
            driver,
            started: at.unix,
            started_energy: energy,
            last_energy: energy,
            has_delivered: false,
            has_asked: false,
            first_wish_until: None,
            pause: None,
            delivery: Delivery::begin(now, transaction),
            suspended: false,
            suspend_at: None,
            offset: 0,
            schedule: Schedule::begin(at),
            ending: None,
        }
    }

    /// A transaction as the ledger left it.
    pub fn restore(now: Moment, connector: ConnectorId, entry: Entry, marks: Marks) -> Running {
        let ending = entry.ending.map(|(reason, id_tag)| Ending::restore(reason, id_tag, now));
        let delivery = Delivery::restore(now, entry.delivery, entry.held);
        let has_flowed = entry.last_energy > entry.started_energy;
        let driver =
            Driver { id_tag: entry.id_tag, parent_id_tag: entry.parent_id_tag, authorized_by: entry.authorized_by };
        Running {
            connector,
            transaction: entry.transaction,
            driver,
            started: entry.started,
            started_energy: entry.started_energy,
            last_energy: entry.last_energy,
            has_delivered: has_flowed,
            has_asked: has_flowed,
            first_wish_until: None,
            pause: delivery.number().is_none().then_some(Pause::Vehicle),
            delivery,
            suspended: entry.suspended,
            suspend_at: None,
            offset: entry.register_offset.0,
            schedule: Schedule::resume(marks),
            ending,
        }
    }

    /// What is written down of its begin: the start, and the reading as the meter has signed it.
    pub fn started(&self, at: Moment, reservation: Option<ReservationId>, signed_data: String) -> Vec<Effect> {
        let event = self.event(at, EventKind::Started, ReadingContext::TransactionBegin);
        let start = TransactionEvent {
            id_tag: self.driver.id_tag.clone(),
            reservation: reservation.into_iter().collect(),
            ..event
        };
        let start = Effect::Start(Box::new(start), self.driver.clone());
        std::iter::once(start).chain(self.signed(at, ReadingContext::TransactionBegin, signed_data)).collect()
    }

    /// A signed reading at the begin or the end is an event of its own: this family's StopTransaction carries none.
    fn signed(&self, at: Moment, context: ReadingContext, signed_data: String) -> Option<Effect> {
        let signed_data = sound(signed_data);
        if signed_data.is_empty() {
            return None;
        }
        Some(Effect::Record(Box::new(TransactionEvent { signed_data, ..self.event(at, EventKind::Sample, context) })))
    }

    /// Who keeps its current at zero; the same while it is being ended.
    pub fn pause(&self) -> Option<Pause> {
        if self.suspended { Some(Pause::Station) } else { self.pause }
    }

    /// Power's delivery that belongs to it, if there is one.
    pub fn delivery(&self) -> Option<TransactionId> {
        self.delivery.number()
    }

    /// The CSMS does not accept the badge, and the rules let the transaction stay: nothing more flows in it.
    pub fn suspend(&mut self, effects: &mut Vec<Effect>) {
        if self.ending.is_none() && !std::mem::replace(&mut self.suspended, true) {
            effects.push(Effect::RecordSuspended(self.transaction));
        }
    }

    /// The CSMS has told the group of the badge that started it; that it has told none says nothing.
    pub fn learn_group(&mut self, parent_id_tag: &str, effects: &mut Vec<Effect>) {
        if !parent_id_tag.is_empty() && self.driver.parent_id_tag != parent_id_tag {
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
        match self.delivery.look(now, power, was_away) {
            Shows::It => self.watch(now, power),
            // It was ended here, and the transaction stays.
            Shows::Ended(_) | Shows::Lost if self.suspended => {}
            Shows::Ended(StopCause::Unplugged) if stays && self.ending.is_none() => self.detach(now, effects),
            Shows::Ended(cause) => self.end(now, reason_of(cause), ""),
            Shows::Lost => self.end(now, StopReason::Other, ""),
            Shows::Nothing => {}
        }
    }

    /// Power has gone away.
    pub fn power_went(&mut self) {
        self.delivery.power_went();
    }

    fn watch(&mut self, now: Moment, power: &PowerConnectorState) {
        if power.phase != Phase::Delivering {
            self.first_wish_until = None;
            return;
        }
        self.has_delivered = true;
        self.has_asked |= power.requested_milliamperes.0 > 0;
        if self.ending.is_none() {
            self.pause = match (power.limit_watts, power.requested_milliamperes) {
                (Watts(0), _) => Some(Pause::Station),
                (_, Milliamperes(0)) if self.is_still(now) => Some(Pause::Vehicle),
                _ => None,
            };
        }
    }

    /// Whether a vehicle that asks for nothing pauses. At the begin of a delivery its first wish is a moment away.
    fn is_still(&mut self, now: Moment) -> bool {
        self.has_asked || *self.first_wish_until.get_or_insert(now.boottime.after(FIRST_WISH)) <= now.boottime
    }

    /// The vehicle is unplugged, and the transaction stays.
    fn detach(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        self.delivery = Delivery::none(now);
        self.pause = Some(Pause::Vehicle);
        effects.push(Effect::RecordDelivery(self.transaction, None));
    }

    /// Power answered a start or a renewal.
    pub fn delivery_answered(&mut self, now: Moment, answer: &DeliveryAnswer, lease: Duration) {
        let is_denied = self.delivery.answered(now, answer, lease);
        if let DeliveryAnswer::NotReady(reason) | DeliveryAnswer::Over(reason) = answer {
            tracing::warn!(transaction = self.transaction.0, reason, "power does not deliver");
        }
        if is_denied && !self.suspended {
            self.end(now, StopReason::Other, "");
        }
    }

    /// The meter was read for a sample, at that moment, or could not be.
    pub fn sampled(
        &mut self,
        now: Moment,
        reading: Option<(Moment, Reading)>,
        power: Option<&PowerConnectorState>,
        effects: &mut Vec<Effect>,
    ) {
        let at = reading.as_ref().map_or(now, |(at, _)| *at);
        let contexts = self.schedule.read(at, reading.is_some());
        let Some((_, reading)) = reading.filter(|_| self.ending.is_none()) else { return };
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
                ..self.event(at, EventKind::Sample, context)
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
        let stands = self.suspended || self.delivery.number().is_none() || self.delivery.came_too_late();
        if stands && plug == Some(Plug::Unplugged) && self.ending.is_none() {
            match terms.rules {
                Some(rules) if rules.stop_on_unplug => self.end(now, StopReason::EvDisconnected, ""),
                Some(_) if self.delivery.came_too_late() && !self.suspended => self.detach(now, effects),
                _ => {}
            }
        }
        if self.delivery.take_held() {
            effects.push(Effect::RecordHeld(self.transaction));
        }
        match power.filter(|power| self.delivery() == Some(power.delivery)) {
            Some(power) => self.watch(now, power),
            None => self.first_wish_until = None,
        }
        if self.ending.is_some() {
            return self.advance_end(now, power, terms.settings, effects);
        }
        self.advance_delivery(now, power, next_number, effects);
        let Some(rules) = terms.rules else { return Course::GoesOn };
        let periodic = if terms.online { rules.sample_interval } else { rules.sample_interval_offline };
        if self.schedule.advance(now, Intervals { periodic, clock: rules.clock_interval }) {
            effects.push(Effect::Latch(self.connector, Purpose::Sample));
        }
        Course::GoesOn
    }

    /// Keeps power's delivery, begins one when the vehicle is plugged in again, and ends it when it is suspended.
    fn advance_delivery(
        &mut self,
        now: Moment,
        power: Option<&PowerConnectorState>,
        next_number: &mut TransactionId,
        effects: &mut Vec<Effect>,
    ) {
        let connector = self.connector;
        if self.suspended {
            let flows = power.is_some_and(|power| Some(power.delivery) == self.delivery());
            self.suspend_at = flows.then(|| self.suspend_at.unwrap_or(now.boottime));
            if let Some(number) = self.delivery().filter(|_| self.suspend_at.is_some_and(|at| at <= now.boottime)) {
                self.suspend_at = Some(now.boottime.after(STOP_AGAIN));
                effects.push(Effect::StopDelivery(connector, number));
            }
        } else if self.delivery().is_none() && power.is_some_and(|power| power.plug == Plug::Plugged) {
            let number = *next_number;
            next_number.0 = next_number.0.saturating_add(1);
            self.delivery = Delivery::begin(now, number);
            effects.push(Effect::RecordDelivery(self.transaction, Some(number)));
            effects.push(Effect::StartDelivery(connector, number));
        } else if let Some(number) = self.delivery()
            && let Some(call) = self.delivery.call(now, power.is_some())
        {
            effects.push(match call {
                Call::Start => Effect::StartDelivery(connector, number),
                Call::Renew => Effect::RenewDelivery(connector, number),
            });
        }
    }

    /// When `advance` has something to do.
    pub fn next_wake(&self, power_is_there: bool) -> Option<BoottimeMillis> {
        let lease = self.delivery.next_wake().filter(|_| power_is_there);
        let delivery = if self.suspended { self.suspend_at } else { lease };
        match &self.ending {
            Some(ending) => ending.next_wake(),
            None => self.schedule.next_wake().into_iter().chain(delivery).chain(self.first_wish_wake()).min(),
        }
    }

    fn first_wish_wake(&self) -> Option<BoottimeMillis> {
        self.first_wish_until.filter(|_| !self.has_asked && self.pause.is_none())
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
            effects.push(Effect::RecordOffset(self.transaction, MilliwattHours(self.offset)));
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
