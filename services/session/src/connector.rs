//! One connector: its transaction from the first meter reading to the last. Pure: time and news come in, effects go
//! out. Whatever is uncertain ends the transaction with the meter's word on it.

use crate::ledger::{ConnectorRecord, Entry};
use crate::rules::Rules;
use crate::settings::Settings;
use crate::status::{self, Facts};
use busbar_interfaces::faults::ActiveFault;
use busbar_interfaces::metering::Reading;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::session::{SessionConnectorState, TransactionEvent};
use busbar_interfaces::words::{ConnectorStatus, EventKind, FaultClass, Phase, Plug, StopCause, StopReason};
use busbar_interfaces::{
    BoottimeMillis, ConnectorId, Milliamperes, Millivolts, MilliwattHours, Percent, TransactionId, UnixMillis, Watts,
};
use busbar_runtime::Moment;
use std::time::Duration;

/// A call that failed for a passing reason is made again after this time.
const RETRY: Duration = Duration::from_millis(200);
/// Power takes a stop at once and then needs its time; a stop that got lost is repeated after this time.
const STOP_AGAIN: Duration = Duration::from_secs(2);
/// A power that is just starting is not ready for a moment; after this time it is a refusal.
const PATIENCE: Duration = Duration::from_secs(10);
/// After the start of the process, power and faults are waited for this long before anything is told.
const HEARING: Duration = Duration::from_secs(3);

/// What a meter reading is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `meterStart`.
    Begin,
    /// A sample.
    Sample,
    /// `meterStop`.
    End,
}

/// What power says to a start or a renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryAnswer {
    /// The lease holds.
    Held,
    /// The delivery is over, or cannot begin; the text says why.
    Over(String),
    /// The hardware has not answered yet, or a fault stands against it; the text says which.
    NotReady(String),
    /// Power could not be asked.
    Unreachable,
}

/// What a connector wants done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Write to the journal; nothing after it happens if that fails.
    Record(Box<TransactionEvent>),
    /// Remember that the vehicle of the last transaction is gone.
    RecordUnplugged(ConnectorId),
    /// Write to disk that power holds the delivery of a transaction.
    RecordHeld(TransactionId),
    /// Write to disk that a transaction is to end, why, and by whose badge.
    RecordEnding(TransactionId, StopReason, String),
    /// Read the meter.
    Latch(ConnectorId, Purpose),
    /// Start the delivery of a transaction.
    StartDelivery(ConnectorId, TransactionId),
    /// Renew its lease.
    RenewDelivery(ConnectorId, TransactionId),
    /// End it.
    StopDelivery(ConnectorId, TransactionId),
    /// The transaction that was asked for runs, or cannot: whoever asked may be told.
    Opened(ConnectorId, bool),
}

/// A transaction that runs.
#[derive(Debug, Clone, PartialEq)]
struct Running {
    transaction: TransactionId,
    id_tag: String,
    started: UnixMillis,
    started_energy: MilliwattHours,
    last: UnixMillis,
    last_energy: MilliwattHours,
    /// Power has said that it holds the delivery.
    held: bool,
    /// Until then a power that is not ready is asked again.
    patience_until: BoottimeMillis,
    has_flowed: bool,
    /// What a meter that was exchanged or reset in the middle lacks against its predecessor.
    offset: u64,
    lease_call_at: BoottimeMillis,
    next_sample: Option<BoottimeMillis>,
    /// The interval that `next_sample` was reckoned with.
    interval: Duration,
    sampling: bool,
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

#[derive(Debug, Clone, PartialEq)]
enum Stage {
    Free,
    /// The meter is being read for `meterStart`: until then, and asked again at `latch_at` if it did not answer.
    Opening {
        id_tag: String,
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
    knows: Knowledge,
    plugged: bool,
    awaits_unplug: bool,
    fault: Option<ActiveFault>,
    /// An accepted driver's tag waits for a plug until then.
    driver: Option<(String, BoottimeMillis)>,
    last: Option<Entry>,
    status: ConnectorStatus,
    status_since: UnixMillis,
}

impl Connector {
    /// A connector as the ledger left it.
    pub fn restore(id: ConnectorId, record: ConnectorRecord, now: Moment) -> Connector {
        let stage = match record.open {
            None => Stage::Free,
            Some(entry) => Stage::Running(Box::new(Running {
                transaction: entry.transaction,
                id_tag: entry.id_tag,
                started: entry.started,
                started_energy: entry.started_energy,
                last: entry.last,
                last_energy: entry.last_energy,
                held: entry.held,
                patience_until: now.boottime.after(PATIENCE),
                has_flowed: entry.last_energy > entry.started_energy,
                offset: 0,
                lease_call_at: now.boottime,
                next_sample: None,
                interval: Duration::ZERO,
                sampling: false,
                ending: entry
                    .ending
                    .map(|(reason, id_tag)| Ending { recorded: true, ..Ending::new(reason, id_tag, now) }),
            })),
        };
        Connector {
            id,
            stage,
            power: None,
            knows: Knowledge { power: false, faults: false, until: now.boottime.after(HEARING), enough: false },
            plugged: record.awaits_unplug,
            awaits_unplug: record.awaits_unplug,
            fault: None,
            driver: None,
            last: record.last,
            status: ConnectorStatus::Unknown,
            status_since: now.unix,
        }
    }

    /// Power shows something else, or is away.
    pub fn power_is(&mut self, now: Moment, power: Option<PowerConnectorState>, effects: &mut Vec<Effect>) {
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
        self.power = power;
        if let (Stage::Running(running), Some(power)) = (&mut self.stage, &self.power) {
            if power.delivery == running.transaction {
                running.held = true;
                running.has_flowed |= power.phase == Phase::Delivering && power.output_milliamperes.0 > 0;
            } else if power.ended_delivery == running.transaction {
                running.end(now, reason_of(power.stop_cause), String::new());
            } else if was_away && running.held && running.ending.is_none() {
                // It came back without the delivery that it had: it stopped safely and lost its record.
                running.end(now, StopReason::Other, String::new());
            }
        }
    }

    /// The faults that are active now.
    pub fn faults_are(&mut self, faults: &[ActiveFault]) {
        self.knows.faults = true;
        self.fault = faults
            .iter()
            .filter(|fault| fault.class != FaultClass::Warning)
            .find(|fault| fault.connector == self.id || fault.connector == ConnectorId::STATION)
            .cloned();
    }

    /// A transaction for an accepted driver: begins with a reading of the meter, which may take until then.
    pub fn open(&mut self, id_tag: &str, until: BoottimeMillis, effects: &mut Vec<Effect>) {
        self.driver = None;
        self.stage = Stage::Opening { id_tag: id_tag.to_owned(), until, latch_at: None };
        effects.push(Effect::Latch(self.id, Purpose::Begin));
    }

    /// An accepted driver has until then to plug in.
    pub fn await_plug(&mut self, id_tag: &str, until: BoottimeMillis) {
        self.driver = Some((id_tag.to_owned(), until));
    }

    /// The driver who is accepted and whose vehicle is plugged in by now.
    pub fn driver_who_plugged_in(&self) -> Option<String> {
        let (id_tag, _) = self.driver.as_ref()?;
        self.may_open().then(|| id_tag.clone())
    }

    /// Ends the transaction; false if that is not the one that runs.
    pub fn end(&mut self, now: Moment, transaction: TransactionId, reason: StopReason, id_tag: &str) -> bool {
        match &mut self.stage {
            Stage::Running(running) if running.transaction == transaction => {
                running.end(now, reason, id_tag.to_owned());
                true
            }
            _ => false,
        }
    }

    /// The meter was read, or could not be.
    pub fn latched(
        &mut self,
        now: Moment,
        purpose: Purpose,
        reading: Option<Reading>,
        next_transaction: &mut TransactionId,
        effects: &mut Vec<Effect>,
    ) {
        match (&mut self.stage, purpose) {
            (Stage::Opening { id_tag, until, latch_at }, Purpose::Begin) => match reading {
                Some(reading) => {
                    let running = Running {
                        transaction: *next_transaction,
                        id_tag: id_tag.clone(),
                        started: now.unix,
                        started_energy: reading.energy_milliwatt_hours,
                        last: now.unix,
                        last_energy: reading.energy_milliwatt_hours,
                        held: false,
                        patience_until: now.boottime.after(PATIENCE),
                        has_flowed: false,
                        offset: 0,
                        lease_call_at: BoottimeMillis(u64::MAX),
                        next_sample: None,
                        interval: Duration::ZERO,
                        sampling: false,
                        ending: None,
                    };
                    next_transaction.0 = next_transaction.0.saturating_add(1);
                    let event =
                        TransactionEvent { id_tag: id_tag.clone(), ..self.event(now, &running, EventKind::Started) };
                    effects.push(Effect::Record(Box::new(event)));
                    effects.push(Effect::StartDelivery(self.id, running.transaction));
                    effects.push(Effect::Opened(self.id, true));
                    self.stage = Stage::Running(Box::new(running));
                }
                None if now.boottime < *until => *latch_at = Some(now.boottime.after(RETRY)),
                None => {
                    tracing::warn!(connector = self.id.0, "the meter does not answer: no transaction");
                    self.stage = Stage::Free;
                    effects.push(Effect::Opened(self.id, false));
                }
            },
            (Stage::Running(running), Purpose::Sample) => {
                running.sampling = false;
                match reading {
                    Some(_) if running.ending.is_some() => {}
                    Some(reading) => {
                        running.last = now.unix;
                        running.count(reading.energy_milliwatt_hours);
                        let running = running.clone();
                        let event = TransactionEvent {
                            watts: reading.watts,
                            millivolts: reading.millivolts,
                            milliamperes: reading.milliamperes,
                            offered_watts: self.power.as_ref().map_or(Watts(0), |power| power.offered_watts),
                            state_of_charge_percent: self
                                .power
                                .as_ref()
                                .map_or(Percent::UNKNOWN, |power| power.state_of_charge_percent),
                            ..self.event(now, &running, EventKind::Sample)
                        };
                        effects.push(Effect::Record(Box::new(event)));
                    }
                    // The sample is late, not lost: it is taken as soon as the meter is there again.
                    None => running.next_sample = Some(now.boottime.after(RETRY)),
                }
            }
            (Stage::Running(running), Purpose::End) => match (reading, &mut running.ending) {
                (Some(reading), Some(_)) => {
                    running.count(reading.energy_milliwatt_hours);
                    self.close(now, effects);
                }
                (None, Some(ending)) => {
                    ending.latching = false;
                    ending.latch_at = now.boottime.after(RETRY);
                }
                (_, None) => {}
            },
            // The answer to a question of an earlier stage.
            _ => {}
        }
    }

    /// Power answered a start or a renewal.
    pub fn delivery_answered(
        &mut self,
        now: Moment,
        transaction: TransactionId,
        answer: DeliveryAnswer,
        lease: Duration,
        effects: &mut Vec<Effect>,
    ) {
        let Stage::Running(running) = &mut self.stage else { return };
        if running.transaction != transaction {
            return;
        }
        match answer {
            DeliveryAnswer::Held => {
                if !std::mem::replace(&mut running.held, true) {
                    effects.push(Effect::RecordHeld(transaction));
                }
                running.lease_call_at = now.boottime.after(lease / 3);
            }
            DeliveryAnswer::NotReady(_) if !running.held && now.boottime < running.patience_until => {
                running.lease_call_at = now.boottime.after(RETRY);
            }
            DeliveryAnswer::NotReady(reason) | DeliveryAnswer::Over(reason) => {
                tracing::warn!(connector = self.id.0, transaction = transaction.0, reason, "power does not deliver");
                running.end(now, StopReason::Other, String::new());
            }
            DeliveryAnswer::Unreachable => running.lease_call_at = now.boottime.after(RETRY),
        }
    }

    /// Does what is due by now.
    pub fn advance(
        &mut self,
        now: Moment,
        rules: Option<&Rules>,
        online: bool,
        settings: &Settings,
        effects: &mut Vec<Effect>,
    ) {
        if self.driver.as_ref().is_some_and(|(_, until)| *until <= now.boottime) {
            self.driver = None;
        }
        self.knows.enough |= (self.knows.power && self.knows.faults) || self.knows.until <= now.boottime;
        let (id, admitted) = (self.id, self.plugged && self.can_serve());
        if let Stage::Opening { latch_at, .. } = &mut self.stage {
            if !admitted {
                // The cable was pulled out, or a fault came, while the meter was read.
                self.stage = Stage::Free;
                effects.push(Effect::Opened(id, false));
            } else if latch_at.is_some_and(|at| at <= now.boottime) {
                *latch_at = None;
                effects.push(Effect::Latch(id, Purpose::Begin));
            }
        }
        let fault = self.fault.as_ref().map(reason_of_fault);
        let delivery = self.power.as_ref().map(|power| power.delivery);
        let Stage::Running(running) = &mut self.stage else { return };
        if let Some(reason) = fault {
            running.end(now, reason, String::new());
        }
        if let Some(ending) = &mut running.ending {
            if !std::mem::replace(&mut ending.recorded, true) {
                effects.push(Effect::RecordEnding(running.transaction, ending.reason, ending.id_tag.clone()));
            }
            // Without an answer power's own lease has run out by then, and the modules are off without it.
            ending.give_up_at = ending.since.after(settings.delivery_lease + Duration::from_secs(5));
            ending.over =
                delivery.is_some_and(|delivery| delivery != running.transaction) || ending.give_up_at <= now.boottime;
            if ending.over && !ending.latching && ending.latch_at <= now.boottime {
                if now.boottime >= ending.since.after(settings.delivery_lease + settings.meter_wait) {
                    tracing::error!(connector = id.0, "the meter stays away: the last sample ends the transaction");
                    self.close(now, effects);
                } else {
                    ending.latching = true;
                    effects.push(Effect::Latch(id, Purpose::End));
                }
            } else if !ending.over && ending.stop_at <= now.boottime {
                ending.stop_at = now.boottime.after(STOP_AGAIN);
                effects.push(Effect::StopDelivery(id, running.transaction));
            }
            return;
        }
        let Some(rules) = rules else { return };
        let interval = if online { rules.sample_interval } else { rules.sample_interval_offline };
        if running.lease_call_at <= now.boottime {
            running.lease_call_at = BoottimeMillis(u64::MAX);
            effects.push(if running.held {
                Effect::RenewDelivery(id, running.transaction)
            } else {
                Effect::StartDelivery(id, running.transaction)
            });
        }
        running.schedule_sample(now, interval);
        if !running.sampling && running.next_sample.is_some_and(|due| due <= now.boottime) {
            running.sampling = true;
            running.next_sample = None;
            effects.push(Effect::Latch(id, Purpose::Sample));
        }
    }

    /// When `advance` has something to do.
    pub fn next_wake(&self) -> Option<BoottimeMillis> {
        let driver = self.driver.as_ref().map(|(_, until)| *until);
        let hearing = (!self.knows.enough).then_some(self.knows.until);
        let stage = match &self.stage {
            Stage::Free => None,
            Stage::Opening { latch_at, .. } => *latch_at,
            Stage::Running(running) => match &running.ending {
                Some(ending) if ending.latching => None,
                Some(ending) if ending.over => Some(ending.latch_at),
                Some(ending) => Some(ending.stop_at.min(ending.give_up_at)),
                None => {
                    let sample = running.next_sample.filter(|_| !running.sampling);
                    Some(sample.map_or(running.lease_call_at, |sample| sample.min(running.lease_call_at)))
                }
            },
        };
        [driver, hearing, stage].into_iter().flatten().min()
    }

    fn close(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let Stage::Running(running) = std::mem::replace(&mut self.stage, Stage::Free) else { return };
        let (reason, id_tag) =
            running.ending.as_ref().map_or((StopReason::Other, String::new()), |end| (end.reason, end.id_tag.clone()));
        let event = TransactionEvent { reason, id_tag, ..self.event(now, &running, EventKind::Stopped) };
        effects.push(Effect::Record(Box::new(event)));
        self.awaits_unplug = true;
        if !self.plugged {
            self.awaits_unplug = false;
            effects.push(Effect::RecordUnplugged(self.id));
        }
        self.last = Some(Entry {
            transaction: running.transaction,
            id_tag: running.id_tag,
            started: running.started,
            started_energy: running.started_energy,
            last: now.unix,
            last_energy: running.last_energy,
            held: running.held,
            ending: None,
            stop_reason: Some(reason),
        });
    }

    fn event(&self, now: Moment, running: &Running, kind: EventKind) -> TransactionEvent {
        TransactionEvent {
            sequence: 0,
            transaction: running.transaction,
            connector: self.id,
            kind,
            unix_millis: now.unix,
            energy_milliwatt_hours: running.last_energy,
            watts: Watts(0),
            millivolts: Millivolts(0),
            milliamperes: Milliamperes(0),
            offered_watts: Watts(0),
            state_of_charge_percent: Percent::UNKNOWN,
            id_tag: String::new(),
            reason: StopReason::None,
        }
    }

    /// A vehicle is plugged in and nothing stands against a new transaction.
    pub fn may_open(&self) -> bool {
        self.plugged && self.stage == Stage::Free && !self.awaits_unplug && self.can_serve()
    }

    /// No fault stands against it and power is there, as far as that is known.
    pub fn can_serve(&self) -> bool {
        self.knows.enough && self.fault.is_none() && self.power.is_some()
    }

    /// An accepted driver is on the way.
    pub fn has_driver(&self) -> bool {
        self.driver.is_some()
    }

    /// A vehicle is plugged in.
    pub fn plugged(&self) -> bool {
        self.plugged
    }

    /// Neither a transaction nor the beginning of one.
    pub fn is_free(&self) -> bool {
        self.stage == Stage::Free
    }

    /// The transaction that runs and the tag that started it.
    pub fn running(&self) -> Option<(TransactionId, &str)> {
        match &self.stage {
            Stage::Running(running) => Some((running.transaction, running.id_tag.as_str())),
            _ => None,
        }
    }

    /// What its object shows.
    pub fn state(&mut self, now: Moment) -> SessionConnectorState {
        let running = match &self.stage {
            Stage::Running(running) => Some(running),
            _ => None,
        };
        let power = self.power.as_ref();
        let status = status::of(Facts {
            faulted: self.fault.is_some(),
            plugged: self.plugged,
            driver_accepted: self.driver.is_some() || matches!(self.stage, Stage::Opening { .. }),
            transaction: running.is_some(),
            ending: running.is_some_and(|running| running.ending.is_some()),
            phase: power.map(|power| power.phase),
            has_flowed: running.is_some_and(|running| running.has_flowed),
            vehicle_wants_nothing: power.is_some_and(|power| power.requested_milliamperes == Milliamperes(0)),
            station_gives_nothing: power.is_some_and(|power| power.limit_watts == Watts(0)),
            awaits_unplug: self.awaits_unplug,
        });
        let status = if self.knows.enough { status } else { ConnectorStatus::Unknown };
        if status != self.status {
            self.status = status;
            self.status_since = now.unix;
        }
        let last = self.last.as_ref();
        SessionConnectorState {
            status,
            status_since_unix_millis: self.status_since,
            fault_code: self.fault.as_ref().map(|fault| fault.code.clone()).unwrap_or_default(),
            transaction: running.map_or(TransactionId(0), |running| running.transaction),
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

impl Running {
    /// The first reason stands; a later one changes nothing.
    fn end(&mut self, now: Moment, reason: StopReason, id_tag: String) {
        if self.ending.is_none() {
            self.ending = Some(Ending::new(reason, id_tag, now));
        }
    }

    /// Takes in the register. One that goes back was exchanged or reset: what was counted stays counted.
    fn count(&mut self, register: MilliwattHours) {
        if register.0.saturating_add(self.offset) < self.last_energy.0 {
            self.offset = self.last_energy.0.saturating_sub(register.0);
        }
        self.last_energy = MilliwattHours(register.0.saturating_add(self.offset));
    }

    /// Samples lie on a grid from the beginning of the transaction, also across a restart of this process. A slot
    /// that passed meanwhile is taken once, late; no sample is invented for the others.
    fn schedule_sample(&mut self, now: Moment, interval: Duration) {
        let changed = self.interval != interval;
        self.interval = interval;
        let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            self.next_sample = None;
        } else if !self.sampling && (changed || self.next_sample.is_none()) {
            let slots_used = self.last.0.saturating_sub(self.started.0) / millis;
            let due = self.started.0.saturating_add(millis.saturating_mul(slots_used.saturating_add(1)));
            // The grid is wall time, which may be set back meanwhile; a sample is never further away than one slot.
            let wait = due.saturating_sub(now.unix.0).min(millis);
            self.next_sample = Some(BoottimeMillis(now.boottime.0.saturating_add(wait)));
        }
    }
}

fn reason_of_fault(fault: &ActiveFault) -> StopReason {
    match fault.code.as_str() {
        "0x100202" | "0x200202" => StopReason::EmergencyStop,
        _ => StopReason::Other,
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
