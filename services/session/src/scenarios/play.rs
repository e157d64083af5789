//! A station with a power and a meter that do what they are asked, and a notebook of everything. What must hold at
//! every step is checked here.

use super::matrix::is_allowed;
use crate::authorization::{CentralWord, Driver, Known};
use crate::connector::Connector;
use crate::effect::{DeliveryAnswer, Effect, Purpose};
use crate::ledger::{ConnectorRecord, Entry};
use crate::reservation::Reserved;
use crate::rules::Rules;
use crate::schedule::Marks;
use crate::settings::Settings;
use crate::station::{Input, Output, Remembered, Station, Ticket};
use busbar_interfaces::faults::ActiveFault;
use busbar_interfaces::metering::Reading;
use busbar_interfaces::ocpp::Authorization;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::session::{Decision, TransactionEvent};
use busbar_interfaces::words::{
    AuthorizationSource, AuthorizationStatus, Availability, AvailabilityVerdict, BadgeOutcome, ConnectorStatus,
    ConnectorType, EventKind, KeyOrigin, Link, Lock, OfferedBy, Phase, Plug, ReadingContext, ReservationVerdict,
    StopCause, StopReason, Verdict,
};
use busbar_interfaces::{
    BoottimeMillis, ConnectorId, Milliamperes, Millivolts, MilliwattHours, Percent, ReservationId, TransactionId,
    UnixMillis, Watts,
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
        offered_by: OfferedBy::StationRating,
        offered_since_boottime_millis: BoottimeMillis(0),
        modules_joined: 1,
        lock: Lock::None,
        plug_celsius: busbar_interfaces::power::CELSIUS_UNKNOWN,
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
    /// Questions to the CSMS that are open, and the badges that they are about.
    pub questions: Vec<(u64, String)>,
    /// The configuration keys.
    pub rules: Rules,
    /// What the station knows of badges, and what the CSMS says of them; everything else is accepted.
    pub known: BTreeMap<String, Known>,
    pub central: BTreeMap<String, Authorization>,
    /// What the station was told to keep of badges.
    pub learned: Vec<(String, Authorization)>,
    pub endings: BTreeMap<TransactionId, StopReason>,
    /// What the disk holds of transactions besides: who started them, the delivery, whether it is suspended.
    pub drivers: BTreeMap<TransactionId, Driver>,
    pub deliveries: BTreeMap<TransactionId, Option<TransactionId>>,
    pub offsets: BTreeMap<TransactionId, MilliwattHours>,
    pub suspended: BTreeSet<TransactionId>,
    held: BTreeSet<TransactionId>,
    ending_tags: BTreeMap<TransactionId, String>,
    /// The highest number that was ever given, and which order each connector stands under.
    highest: u64,
    orders: BTreeMap<ConnectorId, usize>,
    /// Badges that the station was told not to believe any more.
    pub distrusted: Vec<String>,
    pub irregular: Vec<String>,
    /// What the disk holds of reservations.
    pub reserved: BTreeMap<ReservationId, Reserved>,
    pub signed_data: String,
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
            rules: Rules { sample_interval: Duration::from_secs(10), ..Rules::default() },
            known: BTreeMap::new(),
            central: BTreeMap::new(),
            learned: Vec::new(),
            endings: BTreeMap::new(),
            drivers: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            offsets: BTreeMap::new(),
            suspended: BTreeSet::new(),
            held: BTreeSet::new(),
            ending_tags: BTreeMap::new(),
            highest: 0,
            orders: BTreeMap::new(),
            distrusted: Vec::new(),
            irregular: Vec::new(),
            reserved: BTreeMap::new(),
            signed_data: String::new(),
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
        let connectors = [ONE, TWO].map(|id| (id, Connector::restore(id, self.on_disk(id), self.moment())));
        let of_station = self.orders.get(&ConnectorId::STATION);
        let under_it = |id: &ConnectorId| of_station.is_some() && self.orders.get(id) == of_station;
        let remembered = Remembered {
            rules: Some(self.rules.clone()),
            next_transaction: TransactionId(self.highest + 1),
            is_inoperative: self.is_inoperative(ConnectorId::STATION),
            no_start_until: self.no_start_until,
            reservations: self.reserved.values().cloned().collect(),
            has_space: true,
            under_the_stations_order: [ONE, TWO].into_iter().filter(under_it).collect(),
        };
        self.station = Station::new(SETTINGS, BTreeMap::from(connectors), remembered);
        self.step(Input::Rules(self.rules.clone()));
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
        let driver = self.drivers.get(&started.transaction);
        let entry = Entry {
            transaction: started.transaction,
            id_tag: started.id_tag.clone(),
            parent_id_tag: driver.map_or_else(String::new, |driver| driver.parent_id_tag.clone()),
            authorized_by: driver.map_or(AuthorizationSource::None, |driver| driver.authorized_by),
            delivery: match self.deliveries.get(&started.transaction) {
                Some(delivery) => delivery.unwrap_or(TransactionId(0)),
                None => started.transaction,
            },
            register_offset: self.offsets.get(&started.transaction).copied().unwrap_or_default(),
            suspended: self.suspended.contains(&started.transaction),
            started: started.unix_millis,
            started_energy: started.energy_milliwatt_hours,
            last_energy: last.energy_milliwatt_hours,
            held: self.held.contains(&started.transaction),
            ending: self
                .endings
                .get(&started.transaction)
                .map(|reason| (*reason, self.ending_tags.get(&started.transaction).cloned().unwrap_or_default())),
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
            reservation: Vec::new(),
            signed_data: String::new(),
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
                Output::Authorize { question, id_tag } => self.questions.push((question, id_tag)),
                Output::Learn { id_tag, authorization } => self.learned.push((id_tag, authorization)),
                Output::Distrust { id_tag } => self.distrusted.push(id_tag),
                Output::RecordReservation(reserved) => drop(self.reserved.insert(reserved.reservation, reserved)),
                Output::EndReservation(reservation) => {
                    assert!(self.reserved.remove(&reservation).is_some(), "a reservation ends once");
                }
                Output::RecordOrder(connectors, availability, _) => {
                    let inoperative = availability == Availability::Inoperative;
                    let number = self.orders.values().max().map_or(1, |last| last + 1);
                    self.orders.extend(connectors.iter().map(|connector| (*connector, number)));
                    self.inoperative.extend(connectors.into_iter().map(|connector| (connector, inoperative)));
                }
                Output::RecordHold(until) => self.no_start_until = until,
                answer => self.answers.push(answer),
            }
        }
        let on_disk: Vec<_> = self.reserved.values().cloned().collect();
        let held: Vec<_> = self.station.reservations().iter().cloned().collect();
        assert_eq!(on_disk, held, "what is reserved is what is on disk");
        let free: Vec<_> = self.station.connectors().filter(|(_, each)| each.is_free()).map(|(id, _)| id).collect();
        self.opening.retain(|id| !free.contains(id));
        for connector in [ONE, TWO] {
            let status = self.status(connector);
            let before = self.statuses.iter().rev().find(|(id, _)| *id == connector).map(|(_, status)| *status);
            if before != Some(status) {
                let from = before.unwrap_or(ConnectorStatus::Unknown);
                assert!(is_allowed(from, status), "connector {connector}: from {from} to {status}");
                self.statuses.push((connector, status));
            }
        }
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Start(event, driver) => {
                for reservation in &event.reservation {
                    let used = self.reserved.remove(reservation).expect("a start uses up what is there");
                    let of_group = !used.parent_id_tag.is_empty() && used.parent_id_tag == driver.parent_id_tag;
                    assert!(used.id_tag.eq_ignore_ascii_case(&driver.id_tag) || of_group, "{used:?} {driver:?}");
                }
                let connector = event.connector;
                let kept = |reserved: &&Reserved| [connector, ConnectorId::STATION].contains(&reserved.connector);
                assert!(
                    self.reserved.values().filter(kept).count() == 0 || !event.reservation.is_empty(),
                    "nothing begins where it is kept for somebody else"
                );
                assert!(event.transaction.0 > self.highest, "no number is given twice");
                self.highest = event.transaction.0;
                self.drivers.insert(event.transaction, driver);
                self.record(*event);
            }
            Effect::Record(event) => self.record(*event),
            Effect::RecordDelivery(transaction, delivery) => {
                if let Some(number) = delivery {
                    assert!(number.0 > self.highest, "no number is given twice");
                    self.highest = number.0;
                }
                self.held.remove(&transaction);
                self.deliveries.insert(transaction, delivery);
            }
            Effect::RecordSuspended(transaction) => {
                assert!(self.suspended.insert(transaction), "a suspension is recorded once");
            }
            Effect::RecordGroup(transaction, group) => {
                self.drivers.get_mut(&transaction).expect("it was started").parent_id_tag = group;
            }
            Effect::RecordIrregular(_, _, what) => self.irregular.push(what),
            Effect::RecordHeld(transaction) => {
                assert!(self.held.insert(transaction), "that power holds a delivery is recorded once");
            }
            Effect::RecordOffset(transaction, offset) => drop(self.offsets.insert(transaction, offset)),
            Effect::RecordEnding(transaction, reason, id_tag) => {
                self.ending_tags.insert(transaction, id_tag);
                assert!(self.endings.insert(transaction, reason).is_none(), "an ending is recorded once");
            }
            Effect::StopDelivery(_, delivery) => {
                let transaction = self.transaction_of(delivery);
                let promised = self.endings.contains_key(&transaction) || self.suspended.contains(&transaction);
                assert!(promised, "the ending is on disk before power is told");
                self.pending.push(effect);
            }
            Effect::StartDelivery(_, delivery) => {
                let transaction = self.transaction_of(delivery);
                let started = |event: &TransactionEvent| event.transaction == transaction;
                assert!(self.events.iter().any(started), "the start is on disk before power is asked");
                assert!(!self.suspended.contains(&transaction), "nothing flows for a badge that is not accepted");
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

    /// The transaction that a delivery of power belongs to.
    fn transaction_of(&self, delivery: TransactionId) -> TransactionId {
        let other = self.deliveries.iter().find(|(_, number)| **number == Some(delivery));
        other.map_or(delivery, |(transaction, _)| *transaction)
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

    /// The cable is out, and power has not shown it yet.
    pub fn unplug_unseen(&mut self, connector: ConnectorId) {
        self.power.get_mut(&connector).expect("a connector").plug = Plug::Unplugged;
    }

    pub fn badge(&mut self, id_tag: &str) -> Option<BadgeOutcome> {
        let before = self.answers.len();
        self.step(Input::Badge {
            ticket: Ticket(before as u64),
            id_tag: id_tag.to_owned(),
            known: self.known(id_tag),
            shown: ONE,
            valid_until: BoottimeMillis(self.now + 9_000),
        });
        self.settle();
        self.answers.iter().skip(before).find_map(|answer| match answer {
            Output::BadgeAnswer(_, outcome, _) => Some(*outcome),
            _ => None,
        })
    }

    /// What the station itself knows of a badge.
    pub fn known(&self, id_tag: &str) -> Known {
        self.known.get(id_tag).cloned().unwrap_or_default()
    }

    /// What the CSMS says of a badge.
    pub fn central_word(&self, id_tag: &str) -> CentralWord {
        CentralWord::Said(self.central.get(id_tag).cloned().unwrap_or_else(accepted))
    }

    /// Other configuration keys.
    pub fn follow(&mut self, rules: Rules) {
        self.rules = rules;
        self.step(Input::Rules(self.rules.clone()));
    }

    pub fn last_decision(&self) -> Decision {
        self.station.last_decision()
    }

    /// Carries out the oldest call that waits.
    pub fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Latch(connector, purpose) => {
                let energy_milliwatt_hours = MilliwattHours(self.register);
                let signed_data = self.signed_data.clone();
                let now = self.moment();
                let reading = Reading {
                    energy_milliwatt_hours,
                    signed_data,
                    sampled_boottime_millis: now.boottime,
                    sampled_unix_millis: now.unix,
                    ..Reading::default()
                };
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
            if let Some((question, id_tag)) = self.questions.pop() {
                self.step(Input::Authorized { question, answer: self.central_word(&id_tag) });
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
            let wake = self.station.next_wake(self.moment()).map_or(until, |wake| wake.0.clamp(self.now + 1, until));
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
        self.answers.iter().rev().find_map(|answer| match answer {
            Output::OrderAnswer(of, verdict) if *of == ticket => Some(*verdict),
            _ => None,
        })
    }

    /// The CSMS asks for a charge; nobody answers its questions yet.
    pub fn remote_start(&mut self, connector: ConnectorId) -> Option<Verdict> {
        self.remote_start_of("REMOTE", connector)
    }

    /// Likewise, for this badge.
    pub fn remote_start_of(&mut self, id_tag: &str, connector: ConnectorId) -> Option<Verdict> {
        let ticket = Ticket(self.answers.len() as u64);
        let known = self.known(id_tag);
        self.step(Input::RemoteStart { ticket, connector, id_tag: id_tag.to_owned(), known });
        self.answers.iter().rev().find_map(|answer| match answer {
            Output::VerdictAnswer(of, verdict) if *of == ticket => Some(*verdict),
            _ => None,
        })
    }

    /// The CSMS wants a connector kept for a badge, for an hour.
    pub fn reserve(&mut self, number: i32, connector: ConnectorId, id_tag: &str) -> Option<ReservationVerdict> {
        self.reserve_for(number, connector, (id_tag, ""), 3_600_000)
    }

    /// Likewise, for a badge and its group, for so long.
    pub fn reserve_for(
        &mut self,
        number: i32,
        connector: ConnectorId,
        (id_tag, group): (&str, &str),
        millis: u64,
    ) -> Option<ReservationVerdict> {
        let ticket = Ticket(self.answers.len() as u64);
        let reserved = Reserved {
            reservation: ReservationId(number),
            connector,
            id_tag: id_tag.to_owned(),
            parent_id_tag: group.to_owned(),
            expires: UnixMillis(self.moment().unix.0 + millis),
        };
        self.step(Input::Reserve { ticket, reserved });
        self.answers.iter().rev().find_map(|answer| match answer {
            Output::ReservationAnswer(of, verdict) if *of == ticket => Some(*verdict),
            _ => None,
        })
    }

    /// The CSMS ends a reservation.
    pub fn cancel(&mut self, number: i32) -> Option<Verdict> {
        let ticket = Ticket(self.answers.len() as u64);
        self.step(Input::CancelReservation { ticket, reservation: ReservationId(number) });
        self.answers.iter().rev().find_map(|answer| match answer {
            Output::VerdictAnswer(of, verdict) if *of == ticket => Some(*verdict),
            _ => None,
        })
    }

    /// The CSMS does not accept the badge of a transaction.
    pub fn deauthorize(&mut self, transaction: u64) -> Option<Verdict> {
        let ticket = Ticket(self.answers.len() as u64);
        self.step(Input::Deauthorize { ticket, transaction: TransactionId(transaction) });
        self.answers.iter().rev().find_map(|answer| match answer {
            Output::VerdictAnswer(of, verdict) if *of == ticket => Some(*verdict),
            _ => None,
        })
    }

    /// The faults that are active now.
    pub fn faults(&mut self, faults: Vec<ActiveFault>) {
        self.step(Input::Faults(faults));
    }

    /// Every transaction is to end, and none begins for so long.
    pub fn stop_all(&mut self, reason: StopReason, millis: u64) {
        let no_start_until = (millis > 0).then_some(BoottimeMillis(self.now + millis));
        self.step(Input::StopAll { ticket: Ticket(0), reason, no_start_until });
        assert_eq!(self.answers.last(), Some(&Output::DoneAnswer(Ticket(0))));
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
pub fn nothing_remembered() -> Remembered {
    Remembered {
        rules: None,
        next_transaction: TransactionId(1),
        is_inoperative: false,
        no_start_until: None,
        reservations: Vec::new(),
        has_space: true,
        under_the_stations_order: Vec::new(),
    }
}

/// The CSMS knows a badge that may charge.
pub fn accepted() -> Authorization {
    word(AuthorizationStatus::Accepted, "")
}

/// The CSMS's word on a badge, and its group.
pub fn word(status: AuthorizationStatus, group: &str) -> Authorization {
    Authorization { status, parent_id_tag: group.to_owned(), expires_unix_millis: UnixMillis(0) }
}
