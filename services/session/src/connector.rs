//! One connector: the plug, the driver, the fault, the order that it is under, and its transaction from the first
//! meter reading to the last. Pure: time and news come in, effects go out. Whatever is uncertain ends the transaction
//! with the meter's word on it.

use crate::effect::{DeliveryAnswer, Effect, Purpose};
use crate::ledger::{ConnectorRecord, Entry};
use crate::rules::Rules;
use crate::settings::Settings;
use crate::status::{self, Facts};
use crate::transaction::{Course, RETRY, Running, STOP_AGAIN};
use busbar_interfaces::faults::ActiveFault;
use busbar_interfaces::metering::Reading;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::session::{SessionConnectorState, TransactionEvent};
use busbar_interfaces::words::{
    Availability, ConnectorStatus, EventKind, FaultClass, Plug, ReadingContext, StopReason,
};
use busbar_interfaces::{BoottimeMillis, ConnectorId, Milliamperes, MilliwattHours, TransactionId, UnixMillis, Watts};
use busbar_runtime::Moment;
use std::time::Duration;

/// After the start of the process, power and faults are waited for this long before anything is told.
const HEARING: Duration = Duration::from_secs(3);

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
    /// By order. A transaction that runs or is being opened is let finish: until then the order waits.
    availability: Availability,
    /// An accepted driver's tag waits for a plug until then.
    driver: Option<(String, BoottimeMillis)>,
    last: Option<Entry>,
    status: ConnectorStatus,
    status_since: UnixMillis,
    /// When power is told (again) to end a delivery of which no transaction runs here.
    stray_at: BoottimeMillis,
}

impl Connector {
    /// A connector as the ledger left it.
    pub fn restore(id: ConnectorId, record: ConnectorRecord, now: Moment) -> Connector {
        let stage = record
            .open
            .map_or(Stage::Free, |entry| Stage::Running(Box::new(Running::restore(now, id, entry, record.marks))));
        Connector {
            id,
            stage,
            power: None,
            knows: Knowledge { power: false, faults: false, until: now.boottime.after(HEARING), enough: false },
            plugged: record.awaits_unplug,
            awaits_unplug: record.awaits_unplug,
            fault: None,
            availability: if record.is_inoperative { Availability::Inoperative } else { Availability::Operative },
            driver: None,
            last: record.last,
            status: ConnectorStatus::Unknown,
            status_since: now.unix,
            stray_at: now.boottime,
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
            running.power_is(now, power, was_away);
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

    /// An order to serve drivers or not to.
    pub fn order(&mut self, availability: Availability) {
        self.availability = availability;
        if availability == Availability::Inoperative {
            self.driver = None;
        }
    }

    /// It is ordered out of service, and the order waits for a transaction.
    pub fn order_waits(&self) -> bool {
        self.availability == Availability::Inoperative && !self.is_free()
    }

    /// Forgets the driver who is awaited, and lets no transaction come of a reading that is under way.
    pub fn forget_driver(&mut self, effects: &mut Vec<Effect>) {
        self.driver = None;
        if matches!(self.stage, Stage::Opening { .. }) {
            self.stage = Stage::Free;
            effects.push(Effect::Opened(self.id, false));
        }
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
                running.end(now, reason, id_tag);
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
                    let running = Running::begin(now, self.id, *next_transaction, id_tag.clone(), reading);
                    next_transaction.0 = next_transaction.0.saturating_add(1);
                    let event = TransactionEvent {
                        id_tag: id_tag.clone(),
                        ..running.event(now, EventKind::Started, ReadingContext::TransactionBegin)
                    };
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
                running.sampled(now, reading, self.power.as_ref(), effects);
            }
            (Stage::Running(running), Purpose::End) => {
                let course = running.read_for_the_end(now, reading);
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
        transaction: TransactionId,
        answer: DeliveryAnswer,
        lease: Duration,
    ) {
        match &mut self.stage {
            Stage::Running(running) if running.transaction == transaction => {
                running.delivery_answered(now, answer, lease);
            }
            _ => {}
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
        let (id, admitted) = (self.id, self.plugged && self.works());
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
        self.stop_stray_delivery(now, effects);
        let fault = self.fault.as_ref().map(reason_of_fault);
        let Stage::Running(running) = &mut self.stage else { return };
        if let Some(reason) = fault {
            running.end(now, reason, "");
        }
        if running.advance(now, self.power.as_ref(), rules, online, settings, effects) == Course::Over {
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
        let runs = self.running().is_some_and(|(transaction, _)| transaction == delivery);
        (delivery != TransactionId(0) && !runs).then_some(delivery)
    }

    /// When `advance` has something to do.
    pub fn next_wake(&self) -> Option<BoottimeMillis> {
        let driver = self.driver.as_ref().map(|(_, until)| *until);
        let hearing = (!self.knows.enough).then_some(self.knows.until);
        let stage = match &self.stage {
            Stage::Free => None,
            Stage::Opening { latch_at, .. } => *latch_at,
            Stage::Running(running) => running.next_wake(),
        };
        let stray = self.stray_delivery().map(|_| self.stray_at);
        [driver, hearing, stage, stray].into_iter().flatten().min()
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

    /// A vehicle is plugged in and nothing stands against a new transaction.
    pub fn may_open(&self) -> bool {
        self.plugged && self.stage == Stage::Free && !self.awaits_unplug && self.can_serve()
    }

    /// It works, and is in service.
    pub fn can_serve(&self) -> bool {
        self.works() && self.is_operative()
    }

    /// It is not ordered out of service.
    pub fn is_operative(&self) -> bool {
        self.availability != Availability::Inoperative
    }

    /// No fault stands against it and power is there, as far as that is known.
    fn works(&self) -> bool {
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
            out_of_service: !self.is_operative() && self.is_free(),
            plugged: self.plugged,
            driver_accepted: self.driver.is_some() || matches!(self.stage, Stage::Opening { .. }),
            transaction: running.is_some(),
            ending: running.is_some_and(|running| running.is_ending()),
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
            availability: self.availability,
            availability_is_scheduled: self.order_waits(),
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

fn reason_of_fault(fault: &ActiveFault) -> StopReason {
    match fault.code.as_str() {
        "0x100202" | "0x200202" => StopReason::EmergencyStop,
        _ => StopReason::Other,
    }
}
