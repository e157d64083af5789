//! One connector: the plug, the driver, the fault, the order that it is under, and its transaction from the first
//! meter reading to the last. Pure: time and news come in, effects go out. Whatever is uncertain ends the transaction
//! with the meter's word on it.

use crate::admission;
use crate::authorization::Driver;
use crate::effect::{DeliveryAnswer, Effect, Purpose};
use crate::ledger::{ConnectorRecord, Entry};
use crate::reservation::Claim;
use crate::rules::Terms;
use crate::settings::Settings;
use crate::status::{self, Facts};
use crate::transaction::{Course, RETRY, Running, STOP_AGAIN};
use busbar_interfaces::faults::ActiveFault;
use busbar_interfaces::metering::Reading;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::session::SessionConnectorState;
use busbar_interfaces::words::{
    AuthorizationSource, Availability, ConnectorStatus, DecisionReason, FaultClass, Plug, StopReason,
};
use busbar_interfaces::{BoottimeMillis, ConnectorId, MilliwattHours, ReservationId, TransactionId, UnixMillis};
use busbar_runtime::Moment;
use std::time::Duration;

/// After the start of the process, power and faults are waited for this long before anything is told.
const HEARING: Duration = Duration::from_secs(3);
/// A reading is of the moment in which it was asked for: an older one is the answer to an earlier question.
const FRESH: Duration = Duration::from_secs(5);
/// Power ends its deliveries so long after their lease.
pub const AFTER_THE_LEASE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, PartialEq)]
enum Stage {
    Free,
    /// The meter is being read for `meterStart`: until then, and asked again at `latch_at` if it did not answer.
    Opening {
        driver: Driver,
        until: BoottimeMillis,
        latch_at: Option<BoottimeMillis>,
    },
    Running(Box<Running>),
}

/// What has been heard since the start of the process. Before that nothing is told and nothing begins: a guess would
/// be told to the CSMS as a status.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Knowledge {
    power: bool,
    faults: bool,
    /// Whoever has not been heard by then is away.
    until: BoottimeMillis,
    enough: bool,
}

/// One connector.
#[derive(Debug, Clone)]
pub struct Connector {
    id: ConnectorId,
    stage: Stage,
    power: Option<PowerConnectorState>,
    /// Since when power is away.
    power_away_since: BoottimeMillis,
    /// It has been away for so long that nothing flows any more.
    power_is_lost: bool,
    knows: Knowledge,
    plugged: bool,
    awaits_unplug: bool,
    fault: Option<ActiveFault>,
    /// By order. A transaction that runs is let finish: until then the order waits.
    availability: Availability,
    /// It is reserved for somebody.
    is_kept: bool,
    /// An accepted driver has until then to plug in.
    driver: Option<(Driver, BoottimeMillis)>,
    last: Option<Entry>,
    status: ConnectorStatus,
    status_since: UnixMillis,
    /// When power is told (again) to end a delivery of which no transaction runs here.
    stray_at: BoottimeMillis,
}

impl Connector {
    /// A connector as the ledger left it.
    pub fn restore(id: ConnectorId, record: ConnectorRecord, now: Moment) -> Connector {
        // Until power says otherwise, the vehicle of a transaction is there.
        let charges = record.open.as_ref().is_some_and(|entry| entry.delivery != TransactionId(0));
        let stage = record
            .open
            .map_or(Stage::Free, |entry| Stage::Running(Box::new(Running::restore(now, id, entry, record.marks))));
        Connector {
            id,
            stage,
            power: None,
            power_away_since: now.boottime,
            power_is_lost: false,
            knows: Knowledge { power: false, faults: false, until: now.boottime.after(HEARING), enough: false },
            plugged: record.awaits_unplug || charges,
            awaits_unplug: record.awaits_unplug,
            fault: None,
            availability: if record.is_inoperative { Availability::Inoperative } else { Availability::Operative },
            is_kept: false,
            driver: None,
            last: record.last,
            status: ConnectorStatus::Unknown,
            status_since: now.unix,
            stray_at: now.boottime,
        }
    }

    /// Power shows something else, or is away.
    /// Whether a transaction stays when its vehicle is unplugged is the rules' to say.
    pub fn power_is(
        &mut self,
        now: Moment,
        power: Option<PowerConnectorState>,
        stays: bool,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(power) = &power {
            self.knows.power = true;
            self.plugged = match power.plug {
                Plug::Plugged => true,
                Plug::Unplugged => false,
                Plug::Unknown => self.plugged,
            };
            if !self.plugged && self.awaits_unplug {
                self.awaits_unplug = false;
                effects.push(Effect::RecordUnplugged(self.id));
            }
        }
        let was_away = self.power.is_none();
        if !was_away && power.is_none() {
            self.power_away_since = now.boottime;
        }
        self.power = power;
        match (&mut self.stage, &self.power) {
            (Stage::Running(running), Some(power)) => running.power_is(now, power, was_away, stays, effects),
            (Stage::Running(running), None) => running.power_went(),
            _ => {}
        }
    }

    /// The faults that are active now. Of several an emergency stop counts.
    pub fn faults_are(&mut self, faults: &[ActiveFault]) {
        self.knows.faults = true;
        self.fault = faults
            .iter()
            .filter(|fault| fault.class != FaultClass::Warning)
            .filter(|fault| fault.connector == self.id || fault.connector == ConnectorId::STATION)
            .min_by_key(|fault| reason_of_fault(fault) != StopReason::EmergencyStop)
            .cloned();
    }

    /// Time passes for whoever has not been heard yet.
    pub fn listen(&mut self, now: Moment) {
        self.knows.enough |= (self.knows.power && self.knows.faults) || self.knows.until <= now.boottime;
    }

    /// An order to serve drivers or not to.
    pub fn order(&mut self, availability: Availability, effects: &mut Vec<Effect>) {
        self.availability = availability;
        if availability == Availability::Inoperative {
            self.forget_driver(DecisionReason::Unavailable, effects);
        }
    }

    /// Whether it is reserved for somebody.
    pub fn keep(&mut self, is_kept: bool) {
        self.is_kept = is_kept;
    }

    /// It is ordered out of service, and the order waits for a transaction.
    pub fn order_waits(&self) -> bool {
        self.availability == Availability::Inoperative && self.running().is_some()
    }

    /// Forgets the driver who is awaited, and lets no transaction come of a reading that is under way.
    pub fn forget_driver(&mut self, reason: DecisionReason, effects: &mut Vec<Effect>) {
        self.driver = None;
        if matches!(self.stage, Stage::Opening { .. }) {
            self.stage = Stage::Free;
            effects.push(Effect::Opened(self.id, Err(reason)));
        }
    }

    /// A transaction for an accepted driver: begins with a reading of the meter, which may take until then.
    pub fn open(&mut self, driver: Driver, until: BoottimeMillis, effects: &mut Vec<Effect>) {
        self.driver = None;
        self.stage = Stage::Opening { driver, until, latch_at: None };
        effects.push(Effect::Latch(self.id, Purpose::Begin));
    }

    /// Whoever shows the badge of the driver whose transaction is being opened waits until then.
    pub fn open_until(&mut self, moment: BoottimeMillis) {
        if let Stage::Opening { until, .. } = &mut self.stage {
            *until = moment;
        }
    }

    /// An accepted driver has until then to plug in.
    pub fn await_plug(&mut self, driver: Driver, until: BoottimeMillis) {
        self.driver = Some((driver, until));
    }

    /// The accepted driver who is awaited.
    pub fn awaited(&self) -> Option<&Driver> {
        self.driver.as_ref().map(|(driver, _)| driver)
    }

    /// The driver whose transaction is being opened.
    pub fn opening(&self) -> Option<&Driver> {
        match &self.stage {
            Stage::Opening { driver, .. } => Some(driver),
            _ => None,
        }
    }

    /// Ends the transaction; false if that is not the one that runs.
    pub fn end(&mut self, now: Moment, transaction: TransactionId, reason: StopReason, id_tag: &str) -> bool {
        match &mut self.stage {
            Stage::Running(running) if running.transaction == transaction => {
                running.end(now, reason, id_tag);
                true
            }
            _ => false,
        }
    }

    /// The suspension of a transaction whose badge the CSMS does not accept; false if that is not the one that runs.
    pub fn suspend(&mut self, transaction: TransactionId, effects: &mut Vec<Effect>) -> bool {
        match &mut self.stage {
            Stage::Running(running) if running.transaction == transaction => {
                running.suspend(effects);
                true
            }
            _ => false,
        }
    }

    /// The CSMS has told the group of a badge.
    pub fn learn_group(&mut self, id_tag: &str, parent_id_tag: &str, effects: &mut Vec<Effect>) {
        if let Stage::Running(running) = &mut self.stage
            && running.driver.id_tag.eq_ignore_ascii_case(id_tag)
        {
            running.learn_group(parent_id_tag, effects);
        }
    }

    /// The meter was read, or could not be. `admitted` is what the gate says of the driver in this moment.
    pub fn latched(
        &mut self,
        now: Moment,
        (purpose, reading): (Purpose, Option<Reading>),
        admitted: Result<Option<ReservationId>, DecisionReason>,
        next_number: &mut TransactionId,
        effects: &mut Vec<Effect>,
    ) {
        let reading = reading.and_then(|reading| taken_at(now, reading));
        match (&mut self.stage, purpose) {
            (Stage::Opening { driver, until, latch_at }, Purpose::Begin) => match (reading, admitted) {
                (_, Err(reason)) => self.forget_driver(reason, effects),
                (Some(_), Ok(_)) if *until <= now.boottime => self.forget_driver(DecisionReason::TooLate, effects),
                (Some((at, reading)), Ok(reservation)) => {
                    let (number, energy) = (*next_number, reading.energy_milliwatt_hours);
                    next_number.0 = next_number.0.saturating_add(1);
                    let running = Running::begin((now, at), self.id, number, driver.clone(), energy);
                    effects.extend(running.started(at, reservation, reading.signed_data));
                    effects.push(Effect::StartDelivery(self.id, number));
                    effects.push(Effect::Opened(self.id, Ok(())));
                    self.stage = Stage::Running(Box::new(running));
                }
                (None, Ok(_)) if now.boottime < *until => *latch_at = Some(now.boottime.after(RETRY)),
                (None, Ok(_)) => {
                    tracing::warn!(connector = self.id.0, "the meter does not answer: no transaction");
                    self.forget_driver(DecisionReason::NoMeter, effects);
                }
            },
            (Stage::Running(running), Purpose::Sample) => {
                running.sampled(now, reading, self.power.as_ref(), effects);
            }
            (Stage::Running(running), Purpose::End) => {
                let course = running.read_for_the_end(now, reading, effects);
                if course == Course::Over {
                    self.close(now, effects);
                }
            }
            // The answer to a question of an earlier stage.
            _ => {}
        }
    }

    /// Power answered a start or a renewal.
    pub fn delivery_answered(
        &mut self,
        now: Moment,
        delivery: TransactionId,
        answer: &DeliveryAnswer,
        lease: Duration,
    ) {
        match &mut self.stage {
            Stage::Running(running) if running.delivery() == Some(delivery) => {
                running.delivery_answered(now, answer, lease);
            }
            _ => {}
        }
    }

    /// Does what is due by now.
    pub fn advance(
        &mut self,
        now: Moment,
        terms: Terms<'_>,
        next_number: &mut TransactionId,
        effects: &mut Vec<Effect>,
    ) {
        if self.driver.as_ref().is_some_and(|(_, until)| *until <= now.boottime) {
            self.driver = None;
        }
        let lost_at = self.power_away_since.after(terms.settings.delivery_lease + AFTER_THE_LEASE);
        self.power_is_lost = self.power.is_none() && lost_at <= now.boottime;
        if let Stage::Opening { latch_at, .. } = &mut self.stage
            && latch_at.take_if(|at| *at <= now.boottime).is_some()
        {
            effects.push(Effect::Latch(self.id, Purpose::Begin));
        }
        self.stop_stray_delivery(now, effects);
        let lost = self.power_is_lost.then_some(StopReason::Other);
        let fault = self.fault.as_ref().map(reason_of_fault).or(lost);
        let Stage::Running(running) = &mut self.stage else { return };
        if let Some(reason) = fault {
            running.end(now, reason, "");
        }
        if running.advance(now, self.power.as_ref(), terms, next_number, effects) == Course::Over {
            self.close(now, effects);
        }
    }

    /// A delivery of which no transaction runs is on nobody's bill: a start that power took late.
    fn stop_stray_delivery(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if let Some(delivery) = self.stray_delivery().filter(|_| self.stray_at <= now.boottime) {
            tracing::error!(connector = self.id.0, transaction = delivery.0, "power delivers without a transaction");
            self.stray_at = now.boottime.after(STOP_AGAIN);
            effects.push(Effect::StopDelivery(self.id, delivery));
        }
    }

    fn stray_delivery(&self) -> Option<TransactionId> {
        let delivery = self.power.as_ref()?.delivery;
        let runs = self.running().is_some_and(|running| running.delivery() == Some(delivery));
        (delivery != TransactionId(0) && !runs).then_some(delivery)
    }

    /// When `advance` has something to do.
    pub fn next_wake(&self, settings: &Settings) -> Option<BoottimeMillis> {
        let lost_at = self.power_away_since.after(settings.delivery_lease + AFTER_THE_LEASE);
        let loss = (self.power.is_none() && !self.power_is_lost).then_some(lost_at);
        let driver = self.driver.as_ref().map(|(_, until)| *until);
        let hearing = (!self.knows.enough).then_some(self.knows.until);
        let stage = match &self.stage {
            Stage::Free => None,
            Stage::Opening { latch_at, .. } => *latch_at,
            Stage::Running(running) => running.next_wake(self.power.is_some()),
        };
        let stray = self.stray_delivery().map(|_| self.stray_at);
        [driver, hearing, loss, stage, stray].into_iter().flatten().min()
    }

    fn close(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let Stage::Running(running) = std::mem::replace(&mut self.stage, Stage::Free) else { return };
        let (event, entry) = running.close(now);
        effects.push(Effect::Record(Box::new(event)));
        self.awaits_unplug = true;
        if !self.plugged {
            self.awaits_unplug = false;
            effects.push(Effect::RecordUnplugged(self.id));
        }
        self.last = Some(entry);
    }

    /// What the gate looks at, as far as the connector knows it. A transaction that is only being opened is none.
    pub fn facts(&self, restarting: bool, has_space: bool, claim: Claim) -> admission::Facts {
        admission::Facts {
            restarting,
            has_space,
            operative: self.is_operative(),
            works: self.works(),
            runs: self.running().is_some(),
            plugged: self.plugged,
            charged: self.awaits_unplug,
            claim,
        }
    }

    /// It is not ordered out of service.
    pub fn is_operative(&self) -> bool {
        self.availability != Availability::Inoperative
    }

    /// No fault stands against it and power is there, as far as that is known.
    pub fn works(&self) -> bool {
        self.knows.enough && self.fault.is_none() && self.power.is_some()
    }

    /// Power and faults have been heard since the start of the process, or are away.
    pub fn is_known(&self) -> bool {
        self.knows.enough
    }

    /// A fault stands against it.
    pub fn is_faulted(&self) -> bool {
        self.fault.is_some()
    }

    /// A vehicle is plugged in.
    pub fn plugged(&self) -> bool {
        self.plugged
    }

    /// Neither a transaction nor the beginning of one.
    pub fn is_free(&self) -> bool {
        self.stage == Stage::Free
    }

    /// Nobody is there or on the way.
    pub fn is_empty(&self) -> bool {
        self.is_free() && !self.plugged && self.driver.is_none()
    }

    /// The transaction that runs.
    pub fn running(&self) -> Option<&Running> {
        match &self.stage {
            Stage::Running(running) => Some(running),
            _ => None,
        }
    }

    /// What its object shows.
    pub fn state(&mut self, now: Moment) -> SessionConnectorState {
        let status = status::of(self.status_facts());
        let status = if self.knows.enough { status } else { ConnectorStatus::Unknown };
        if status != self.status {
            self.status = status;
            self.status_since = now.unix;
        }
        let (running, last) = (self.running(), self.last.as_ref());
        SessionConnectorState {
            status,
            availability: self.availability,
            availability_is_scheduled: self.order_waits(),
            status_since_unix_millis: self.status_since,
            fault_code: self.fault.as_ref().map(|fault| fault.code.clone()).unwrap_or_default(),
            transaction: running.map_or(TransactionId(0), |running| running.transaction),
            authorized_by: running
                .map(|running| running.driver.authorized_by)
                .or(last.map(|last| last.authorized_by))
                .unwrap_or(AuthorizationSource::None),
            last_transaction: last.map_or(TransactionId(0), |last| last.transaction),
            started_unix_millis: running
                .map(|running| running.started)
                .or(last.map(|last| last.started))
                .unwrap_or(UnixMillis(0)),
            energy_milliwatt_hours: running
                .map(|running| (running.last_energy, running.started_energy))
                .or(last.map(|last| (last.last_energy, last.started_energy)))
                .map_or(MilliwattHours(0), |(last, started)| MilliwattHours(last.0.saturating_sub(started.0))),
            last_stop_reason: last.and_then(|last| last.stop_reason).unwrap_or(StopReason::None),
        }
    }
}

impl Connector {
    fn status_facts(&self) -> Facts {
        let running = self.running();
        Facts {
            faulted: self.fault.is_some() || self.power_is_lost,
            out_of_service: !self.is_operative(),
            plugged: self.plugged,
            driver_accepted: self.driver.is_some() || self.opening().is_some(),
            transaction: running.is_some(),
            has_delivered: running.is_some_and(|running| running.has_delivered),
            pause: running.and_then(Running::pause),
            charged: self.awaits_unplug,
            kept: self.is_kept,
        }
    }
}

/// The moment in which a meter was read, as far as its clocks can be believed.
fn taken_at(now: Moment, reading: Reading) -> Option<(Moment, Reading)> {
    let age = now.boottime.0.checked_sub(reading.sampled_boottime_millis.0).map(Duration::from_millis);
    if age.is_none_or(|age| age > FRESH) {
        tracing::warn!(?age, "a reading is not of the moment in which it was asked for, and is not taken");
        return None;
    }
    let at = Moment { boottime: reading.sampled_boottime_millis, unix: reading.sampled_unix_millis };
    Some((at, reading))
}

fn reason_of_fault(fault: &ActiveFault) -> StopReason {
    match fault.code.as_str() {
        "0x100202" | "0x200202" => StopReason::EmergencyStop,
        _ => StopReason::Other,
    }
}
