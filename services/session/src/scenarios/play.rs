//! A station with a power and a meter that do what they are asked, and a notebook of everything. What must hold at
//! every step is checked here.

use crate::connector::Connector;
use crate::effect::{DeliveryAnswer, Effect, Purpose};
use crate::ledger::{ConnectorRecord, Entry};
use crate::rules::Rules;
use crate::schedule::Marks;
use crate::settings::Settings;
use crate::station::{Input, Output, Remembered, Station, Ticket};
use busbar_interfaces::metering::Reading;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::words::{
    AuthorizationStatus, Availability, AvailabilityVerdict, BadgeOutcome, ConnectorStatus, ConnectorType, EventKind,
    KeyOrigin, Link, Phase, Plug, ReadingContext, StopCause, StopReason, Verdict,
};
use busbar_interfaces::{
    BoottimeMillis, ConnectorId, Milliamperes, Millivolts, MilliwattHours, Percent, TransactionId, UnixMillis, Watts,
};
use busbar_runtime::Moment;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub const ONE: ConnectorId = ConnectorId(1);
pub const TWO: ConnectorId = ConnectorId(2);
pub const SETTINGS: Settings =
    Settings { delivery_lease: Duration::from_secs(30), meter_wait: Duration::from_secs(30) };

pub fn idle() -> PowerConnectorState {
    PowerConnectorState {
        connector_type: ConnectorType::Ccs2,
        rated_watts: Watts(90_000),
        plug: Plug::Unplugged,
        phase: Phase::Idle,
        delivery: TransactionId(0),
        ended_delivery: TransactionId(0),
        stop_cause: StopCause::None,
        vehicle_id: String::new(),
        state_of_charge_percent: Percent(40),
        requested_millivolts: Millivolts(0),
        requested_milliamperes: Milliamperes(0),
        output_millivolts: Millivolts(0),
        output_milliamperes: Milliamperes(0),
        limit_watts: Watts(90_000),
        offered_watts: Watts(90_000),
        sampled_boottime_millis: BoottimeMillis(0),
    }
}

/// A station with a power and a meter that do what they are asked, and a notebook of everything.
pub struct Play {
    pub station: Station,
    pub now: u64,
    pub power: BTreeMap<ConnectorId, PowerConnectorState>,
    pub register: u64,
    pub meter_works: bool,
    pub power_hangs: bool,
    pub wall_offset: i64,
    pub events: Vec<TransactionEvent>,
    pub answers: Vec<Output>,
    pub pending: Vec<Effect>,
    pub questions: Vec<u64>,
    pub endings: BTreeMap<TransactionId, StopReason>,
    /// What the disk holds about availability, by connector; 0 is the station.
    pub inoperative: BTreeMap<ConnectorId, bool>,
    pub no_start_until: Option<BoottimeMillis>,
    /// Every status that was shown, in order.
    pub statuses: Vec<(ConnectorId, ConnectorStatus)>,
    opening: BTreeSet<ConnectorId>,
}

impl Play {
    pub fn new() -> Play {
        let mut play = Play {
            station: Station::new(SETTINGS, BTreeMap::new(), nothing_remembered()),
            now: 1_000,
            power: BTreeMap::from([(ONE, idle()), (TWO, idle())]),
            register: 5_000,
            meter_works: true,
            power_hangs: false,
            wall_offset: 0,
            events: Vec::new(),
            answers: Vec::new(),
            pending: Vec::new(),
            questions: Vec::new(),
            endings: BTreeMap::new(),
            inoperative: BTreeMap::new(),
            no_start_until: None,
            statuses: Vec::new(),
            opening: BTreeSet::new(),
        };
        play.restart();
        play
    }

    /// A new process: it knows what is on disk, and its peers tell the rest again. Calls under way are lost.
    pub fn restart(&mut self) {
        self.pending.clear();
        self.questions.clear();
        self.opening.clear();
        let rules = Rules { sample_interval: Duration::from_secs(10), ..Rules::default() };
        let connectors = [ONE, TWO].map(|id| (id, Connector::restore(id, self.on_disk(id), self.moment())));
        let last = self.events.iter().map(|event| event.transaction.0).max().unwrap_or(0);
        let remembered = Remembered {
            rules: Some(rules.clone()),
            next_transaction: TransactionId(last + 1),
            is_inoperative: self.is_inoperative(ConnectorId::STATION),
            no_start_until: self.no_start_until,
        };
        self.station = Station::new(SETTINGS, BTreeMap::from(connectors), remembered);
        self.step(Input::Rules(rules));
        self.step(Input::Link(Link::Accepted));
        self.step(Input::Faults(Vec::new()));
        self.show_power(ONE);
        self.show_power(TWO);
    }

    /// What the ledger would know of a connector.
    fn on_disk(&self, connector: ConnectorId) -> ConnectorRecord {
        let of_it = || self.events.iter().filter(move |event| event.connector == connector);
        let awaits_unplug = of_it().next_back().is_some_and(|event| event.kind == EventKind::Stopped)
            && self.power.get(&connector).is_some_and(|power| power.plug == Plug::Plugged);
        let is_inoperative = self.is_inoperative(connector);
        let nothing = ConnectorRecord { awaits_unplug, is_inoperative, ..ConnectorRecord::default() };
        let started = of_it().rev().find(|event| event.kind == EventKind::Started);
        let last = of_it().next_back().filter(|event| event.kind != EventKind::Stopped);
        let (Some(started), Some(last)) = (started, last) else { return nothing };
        let with = |context| of_it().rev().find(|event| event.context == context);
        let marks = Marks {
            started: started.boottime_millis,
            periodic: with(ReadingContext::SamplePeriodic)
                .map_or(started.boottime_millis, |event| event.boottime_millis)
                .max(started.boottime_millis),
            clock: with(ReadingContext::SampleClock).map_or(started.unix_millis, |event| event.unix_millis),
        };
        let entry = Entry {
            transaction: started.transaction,
            id_tag: started.id_tag.clone(),
            started: started.unix_millis,
            started_energy: started.energy_milliwatt_hours,
            last_energy: last.energy_milliwatt_hours,
            held: true,
            ending: self.endings.get(&started.transaction).map(|reason| (*reason, String::new())),
            stop_reason: None,
        };
        ConnectorRecord { open: Some(entry), marks, ..nothing }
    }

    fn is_inoperative(&self, connector: ConnectorId) -> bool {
        self.inoperative.get(&connector).copied().unwrap_or(false)
    }

    pub fn moment(&self) -> Moment {
        let unix = (100_000_000 + self.now).saturating_add_signed(self.wall_offset);
        Moment { boottime: BoottimeMillis(self.now), unix: UnixMillis(unix) }
    }

    pub fn record_as_started(&mut self, transaction: TransactionId) {
        let event = TransactionEvent {
            sequence: 0,
            transaction,
            connector: ONE,
            kind: EventKind::Started,
            unix_millis: self.moment().unix,
            boottime_millis: self.moment().boottime,
            boot: String::new(),
            context: ReadingContext::TransactionBegin,
            energy_milliwatt_hours: MilliwattHours(5_000),
            watts: Watts(0),
            millivolts: Millivolts(0),
            milliamperes: Milliamperes(0),
            offered_watts: Watts(0),
            state_of_charge_percent: Percent::UNKNOWN,
            id_tag: "TAG".to_owned(),
            reason: StopReason::None,
        };
        self.record(event);
    }

    pub fn step(&mut self, input: Input) {
        let outputs = self.station.step(self.moment(), input);
        let first_answer = outputs.iter().position(Output::is_answer).unwrap_or(outputs.len());
        assert!(outputs.iter().skip(first_answer).all(Output::is_answer), "what is promised is on disk: {outputs:?}");
        for output in outputs {
            match output {
                Output::Connector(effect) => self.effect(effect),
                Output::Authorize { question, .. } => self.questions.push(question),
                Output::RecordOrder(connectors, availability, _) => {
                    let inoperative = availability == Availability::Inoperative;
                    self.inoperative.extend(connectors.into_iter().map(|connector| (connector, inoperative)));
                }
                Output::RecordHold(until) => self.no_start_until = until,
                answer => self.answers.push(answer),
            }
        }
        let free: Vec<_> = self.station.connectors().filter(|(_, each)| each.is_free()).map(|(id, _)| id).collect();
        self.opening.retain(|id| !free.contains(id));
        for connector in [ONE, TWO] {
            let status = self.status(connector);
            let before = self.statuses.iter().rev().find(|(id, _)| *id == connector).map(|(_, status)| *status);
            if before != Some(status) {
                self.statuses.push((connector, status));
            }
        }
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Record(event) => self.record(*event),
            Effect::RecordEnding(transaction, reason, _) => {
                assert!(self.endings.insert(transaction, reason).is_none(), "an ending is recorded once");
            }
            Effect::StopDelivery(_, transaction) => {
                assert!(self.endings.contains_key(&transaction), "the ending is on disk before power is told");
                self.pending.push(effect);
            }
            Effect::StartDelivery(_, transaction) => {
                let started = |event: &TransactionEvent| event.transaction == transaction;
                assert!(self.events.iter().any(started), "the start is on disk before power is asked");
                self.pending.push(effect);
            }
            Effect::Latch(connector, Purpose::Begin) => {
                if self.opening.insert(connector) {
                    assert!(!self.is_inoperative(connector), "nothing begins where the order holds");
                }
                self.pending.push(effect);
            }
            effect => self.pending.push(effect),
        }
    }

    pub fn record(&mut self, mut event: TransactionEvent) {
        event.sequence = self.events.len() as u64 + 1;
        let of_it: Vec<&TransactionEvent> =
            self.events.iter().filter(|earlier| earlier.transaction == event.transaction).collect();
        match event.kind {
            EventKind::Started => {
                assert!(of_it.is_empty(), "one start");
                assert!(self.no_start_until.is_none_or(|until| until.0 <= self.now), "nothing begins before a reset");
            }
            _ => {
                let last = of_it.last().expect("a start comes first");
                assert_ne!(last.kind, EventKind::Stopped, "nothing after the stop");
                assert!(event.energy_milliwatt_hours >= last.energy_milliwatt_hours, "energy never goes back");
                assert_eq!(event.connector, last.connector);
            }
        }
        if event.kind == EventKind::Stopped {
            assert_eq!(self.endings.get(&event.transaction), Some(&event.reason), "the reason that was promised");
        }
        self.events.push(event);
    }

    pub fn show_power(&mut self, connector: ConnectorId) {
        let power = self.power.get(&connector).cloned();
        self.step(Input::Power(connector, power.map(Box::new)));
    }

    pub fn plug(&mut self, connector: ConnectorId, plugged: bool) {
        let power = self.power.get_mut(&connector).expect("a connector");
        power.plug = if plugged { Plug::Plugged } else { Plug::Unplugged };
        self.show_power(connector);
    }

    pub fn badge(&mut self, id_tag: &str) -> Option<BadgeOutcome> {
        let before = self.answers.len();
        self.step(Input::Badge {
            ticket: Ticket(before as u64),
            id_tag: id_tag.to_owned(),
            shown: ONE,
            valid_until: BoottimeMillis(self.now + 9_000),
        });
        self.settle();
        self.answers.iter().skip(before).find_map(|answer| match answer {
            Output::BadgeAnswer(_, outcome, _) => Some(*outcome),
            _ => None,
        })
    }

    /// Carries out the oldest call that waits.
    pub fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Latch(connector, purpose) => {
                let reading = Reading { energy_milliwatt_hours: MilliwattHours(self.register), ..Reading::default() };
                let reading = self.meter_works.then_some(reading);
                self.step(Input::Latched { connector, purpose, reading });
            }
            Effect::StartDelivery(connector, transaction) => {
                let power = self.power.get_mut(&connector).expect("a connector");
                let answer = if power.delivery.0 != 0 && power.delivery != transaction
                    || power.ended_delivery == transaction
                    || power.plug != Plug::Plugged
                {
                    DeliveryAnswer::Over("not now".to_owned())
                } else {
                    power.delivery = transaction;
                    power.phase = Phase::Delivering;
                    power.output_milliamperes = Milliamperes(100_000);
                    power.requested_milliamperes = Milliamperes(100_000);
                    DeliveryAnswer::Held
                };
                self.step(Input::Delivery { connector, transaction, answer });
                self.show_power(connector);
            }
            Effect::RenewDelivery(connector, transaction) => {
                let runs = self.power.get(&connector).is_some_and(|power| power.delivery == transaction);
                let answer = if runs { DeliveryAnswer::Held } else { DeliveryAnswer::Over("ended".to_owned()) };
                self.step(Input::Delivery { connector, transaction, answer });
            }
            Effect::StopDelivery(connector, transaction) => {
                self.power_ends(connector, transaction, StopCause::Requested)
            }
            _ => {}
        }
    }

    pub fn power_ends(&mut self, connector: ConnectorId, transaction: TransactionId, cause: StopCause) {
        if self.power_hangs {
            return;
        }
        let power = self.power.get_mut(&connector).expect("a connector");
        if power.delivery == transaction && transaction.0 != 0 {
            power.delivery = TransactionId(0);
            power.ended_delivery = transaction;
            power.phase = Phase::Idle;
            power.stop_cause = cause;
            power.output_milliamperes = Milliamperes(0);
        }
        self.show_power(connector);
    }

    /// Lets every waiting call and question have its answer.
    pub fn settle(&mut self) {
        for _ in 0..100 {
            if let Some(question) = self.questions.pop() {
                self.step(Input::Authorized { question, status: Some(AuthorizationStatus::Accepted) });
            } else if self.pending.is_empty() {
                return;
            } else {
                let effect = self.pending.remove(0);
                self.carry_out(effect);
            }
        }
    }

    /// Time passes; what is due is done.
    pub fn pass(&mut self, millis: u64) {
        let until = self.now + millis;
        while self.now < until {
            let wake = self.station.next_wake().map_or(until, |wake| wake.0.clamp(self.now + 1, until));
            self.register += wake - self.now;
            self.now = wake;
            self.step(Input::Wake);
            self.settle();
        }
    }

    pub fn status(&mut self, connector: ConnectorId) -> ConnectorStatus {
        let now = self.moment();
        let found = self.station.connectors().find(|(id, _)| *id == connector);
        found.expect("a connector").1.state(now).status
    }

    pub fn kinds(&self) -> Vec<EventKind> {
        self.events.iter().map(|event| event.kind).collect()
    }

    /// Orders a connector, or with 0 all, in or out of service.
    pub fn order(&mut self, connector: ConnectorId, availability: Availability) -> Option<AvailabilityVerdict> {
        let ticket = Ticket(self.answers.len() as u64);
        self.step(Input::Order { ticket, connector, availability, origin: KeyOrigin::Csms });
        match self.answers.last() {
            Some(Output::OrderAnswer(_, verdict)) => Some(*verdict),
            _ => None,
        }
    }

    /// The CSMS asks for a charge; nobody answers its questions yet.
    pub fn remote_start(&mut self, connector: ConnectorId) -> Option<Verdict> {
        let ticket = Ticket(self.answers.len() as u64);
        self.step(Input::RemoteStart { ticket, connector, id_tag: "REMOTE".to_owned() });
        self.answers.iter().rev().find_map(|answer| match answer {
            Output::VerdictAnswer(of, verdict) if *of == ticket => Some(*verdict),
            _ => None,
        })
    }

    /// Every transaction is to end, and none begins for so long.
    pub fn stop_all(&mut self, reason: StopReason, millis: u64) {
        let no_start_until = (millis > 0).then_some(BoottimeMillis(self.now + millis));
        self.step(Input::StopAll { ticket: Ticket(0), reason, no_start_until });
        assert_eq!(self.answers.last(), Some(&Output::StopAllAnswer(Ticket(0))));
        self.settle();
    }

    /// What the connector's object shows of orders: whether it may be used, and whether that waits.
    pub fn availability(&mut self, connector: ConnectorId) -> (Availability, bool) {
        let now = self.moment();
        let found = self.station.connectors().find(|(id, _)| *id == connector);
        let state = found.expect("a connector").1.state(now);
        (state.availability, state.availability_is_scheduled)
    }

    /// The statuses of a connector since it showed so many.
    pub fn statuses_since(&self, count: usize) -> Vec<(ConnectorId, ConnectorStatus)> {
        self.statuses.iter().skip(count).copied().collect()
    }
}

/// What a station knows on its first day, but for the keys.
fn nothing_remembered() -> Remembered {
    Remembered { rules: None, next_transaction: TransactionId(1), is_inoperative: false, no_start_until: None }
}
