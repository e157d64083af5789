//! The station: which connector a badge or a remote start means, and whether it may; orders about availability, and the
//! pause before a reset. Pure.

use crate::authorization::{self, Decision};
use crate::connector::Connector;
use crate::effect::{DeliveryAnswer, Effect, Purpose};
use crate::rules::Rules;
use crate::settings::Settings;
use busbar_interfaces::faults::ActiveFault;
use busbar_interfaces::metering::Reading;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::words::{
    AuthorizationStatus, Availability, AvailabilityVerdict, BadgeOutcome, KeyOrigin, Link, StopReason, Verdict,
};
use busbar_interfaces::{BoottimeMillis, ConnectorId, TransactionId};
use busbar_runtime::Moment;
use std::collections::BTreeMap;

/// Stands for somebody who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What happens to the station.
#[derive(Debug)]
pub enum Input {
    /// The configuration keys.
    Rules(Rules),
    /// Whether the CSMS can be asked.
    Link(Link),
    /// The faults that are active.
    Faults(Vec<ActiveFault>),
    /// What power shows of a connector; nothing while it is away.
    Power(ConnectorId, Option<Box<PowerConnectorState>>),
    /// A badge at the station.
    Badge { ticket: Ticket, id_tag: String, shown: ConnectorId, valid_until: BoottimeMillis },
    /// The CSMS wants a charge; connector 0 is any.
    RemoteStart { ticket: Ticket, connector: ConnectorId, id_tag: String },
    /// Somebody ends a transaction.
    Stop { ticket: Ticket, transaction: TransactionId, reason: StopReason },
    /// Every transaction is to end, and none begins until then.
    StopAll { ticket: Ticket, reason: StopReason, no_start_until: Option<BoottimeMillis> },
    /// A connector, or with 0 the station and all of them, is ordered in or out of service.
    Order { ticket: Ticket, connector: ConnectorId, availability: Availability, origin: KeyOrigin },
    /// The CSMS's word on the badge of a question; none when it could not be asked.
    Authorized { question: u64, status: Option<AuthorizationStatus> },
    /// A meter was read, or could not be.
    Latched { connector: ConnectorId, purpose: Purpose, reading: Option<Reading> },
    /// Power answered.
    Delivery { connector: ConnectorId, transaction: TransactionId, answer: DeliveryAnswer },
    /// Time has passed.
    Wake,
}

/// What the station wants done, in this order.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Something of a connector.
    Connector(Effect),
    /// Ask the CSMS about a badge.
    Authorize { question: u64, id_tag: String },
    /// Answer who presented a badge.
    BadgeAnswer(Ticket, BadgeOutcome, ConnectorId),
    /// Answer who asked for a start or a stop.
    VerdictAnswer(Ticket, Verdict),
    /// Write to disk that these are ordered in or out of service, and by whom.
    RecordOrder(Vec<ConnectorId>, Availability, KeyOrigin),
    /// Answer who gave the order.
    OrderAnswer(Ticket, AvailabilityVerdict),
    /// Write to disk until when no transaction may begin.
    RecordHold(Option<BoottimeMillis>),
    /// Answer who stopped everything.
    StopAllAnswer(Ticket),
}

impl Output {
    /// It promises something, and goes out after all that is written to disk.
    pub fn is_answer(&self) -> bool {
        match self {
            Output::Connector(Effect::Opened(..))
            | Output::BadgeAnswer(..)
            | Output::VerdictAnswer(..)
            | Output::OrderAnswer(..)
            | Output::StopAllAnswer(_) => true,
            Output::Connector(_) | Output::Authorize { .. } | Output::RecordOrder(..) | Output::RecordHold(_) => false,
        }
    }
}

/// What the ledger knew at the start.
#[derive(Debug)]
pub struct Remembered {
    /// The configuration keys that were followed last.
    pub rules: Option<Rules>,
    /// The number that the next transaction gets.
    pub next_transaction: TransactionId,
    /// The station itself is ordered out of service.
    pub is_inoperative: bool,
    /// Until then no transaction may begin.
    pub no_start_until: Option<BoottimeMillis>,
}

/// A question to the CSMS that is open.
#[derive(Debug)]
struct Question {
    id_tag: String,
    /// The connector that it is for; 0 is whichever is plugged in.
    connector: ConnectorId,
    /// Who waits at the reader, and until when; a remote start has its answer already.
    badge: Option<(Ticket, BoottimeMillis)>,
}

/// The station's sessions.
#[derive(Debug)]
pub struct Station {
    settings: Settings,
    /// What the configuration keys say; nothing before they were heard for the first time in the station's life.
    rules: Option<Rules>,
    online: bool,
    connectors: BTreeMap<ConnectorId, Connector>,
    next_transaction: TransactionId,
    questions: BTreeMap<u64, Question>,
    next_question: u64,
    /// A badge whose transaction is being opened, by connector.
    openings: BTreeMap<ConnectorId, Ticket>,
    /// A driver accepted for whichever connector is plugged in first, until then.
    roaming: Option<(String, BoottimeMillis)>,
    /// The order about the station itself.
    availability: Availability,
    /// It waits for the transactions that ran when it was given.
    order_waits: bool,
    /// Until then no transaction may begin: the station is about to restart.
    no_start_until: Option<BoottimeMillis>,
}

impl Station {
    /// The station as the ledger left it.
    pub fn new(settings: Settings, connectors: BTreeMap<ConnectorId, Connector>, remembered: Remembered) -> Station {
        let Remembered { rules, next_transaction, is_inoperative, no_start_until } = remembered;
        let order_waits = is_inoperative && connectors.values().any(Connector::order_waits);
        Station {
            settings,
            rules,
            online: true,
            connectors,
            next_transaction,
            questions: BTreeMap::new(),
            next_question: 0,
            openings: BTreeMap::new(),
            roaming: None,
            availability: if is_inoperative { Availability::Inoperative } else { Availability::Operative },
            order_waits,
            no_start_until,
        }
    }

    /// Takes in what happened and tells what is to be done.
    pub fn step(&mut self, now: Moment, input: Input) -> Vec<Output> {
        let mut outputs = Vec::new();
        self.no_start_until = self.no_start_until.filter(|until| now.boottime < *until);
        match input {
            Input::Rules(rules) => self.rules = Some(rules),
            Input::Link(link) => self.online = link == Link::Accepted,
            Input::Faults(faults) => self.connectors.values_mut().for_each(|each| each.faults_are(&faults)),
            Input::Power(connector, power) => {
                self.connector(connector, &mut outputs, |each, effects| {
                    each.power_is(now, power.map(|power| *power), effects)
                });
            }
            Input::Badge { ticket, id_tag, shown, valid_until } => {
                self.badge(now, (ticket, valid_until), &id_tag, shown, &mut outputs);
            }
            Input::RemoteStart { ticket, connector, id_tag } => {
                self.remote_start(now, ticket, connector, id_tag, &mut outputs);
            }
            Input::Stop { ticket, transaction, reason } => {
                let ended = self.connectors.values_mut().any(|each| each.end(now, transaction, reason, ""));
                let verdict = if ended { Verdict::Accepted } else { Verdict::Rejected };
                outputs.push(Output::VerdictAnswer(ticket, verdict));
            }
            Input::StopAll { ticket, reason, no_start_until } => {
                self.stop_all(now, reason, no_start_until, &mut outputs);
                outputs.push(Output::StopAllAnswer(ticket));
            }
            Input::Order { ticket, connector, availability, origin } => {
                let verdict = self.order(connector, availability, origin, &mut outputs);
                outputs.push(Output::OrderAnswer(ticket, verdict));
            }
            Input::Authorized { question, status } => {
                if let (Some(question), Some(rules)) = (self.questions.remove(&question), &self.rules) {
                    let decision = authorization::of_answer(rules, status);
                    self.decided(now, question, decision, &mut outputs);
                }
            }
            Input::Latched { connector, purpose, reading } => {
                let mut next = self.next_transaction;
                self.connector(connector, &mut outputs, |each, effects| {
                    each.latched(now, purpose, reading, &mut next, effects);
                });
                self.next_transaction = next;
            }
            Input::Delivery { connector, transaction, answer } => {
                let lease = self.settings.delivery_lease;
                self.connector(connector, &mut outputs, |each, _| {
                    each.delivery_answered(now, transaction, answer, lease)
                });
            }
            Input::Wake => {}
        }
        self.start_whoever_plugged_in(now, &mut outputs);
        let (rules, online, settings) = (self.rules.as_ref(), self.online, &self.settings);
        let mut effects = Vec::new();
        for connector in self.connectors.values_mut() {
            connector.advance(now, rules, online, settings, &mut effects);
        }
        outputs.extend(effects.into_iter().map(Output::Connector));
        self.order_waits = self.order_waits && self.connectors.values().any(Connector::order_waits);
        self.answer_openings(outputs)
    }

    /// Whether the station as a whole may be used: an order out of service holds when the transactions that it let
    /// finish are over.
    pub fn availability(&self) -> Availability {
        if self.order_waits { Availability::Operative } else { self.availability }
    }

    /// When `step` has something to do without an input.
    pub fn next_wake(&self) -> Option<BoottimeMillis> {
        let roaming = self.roaming.as_ref().map(|(_, until)| *until);
        self.connectors.values().filter_map(Connector::next_wake).chain(roaming).chain(self.no_start_until).min()
    }

    /// The connectors, for publishing.
    pub fn connectors(&mut self) -> impl Iterator<Item = (ConnectorId, &mut Connector)> {
        self.connectors.iter_mut().map(|(id, connector)| (*id, connector))
    }

    fn connector(
        &mut self,
        id: ConnectorId,
        outputs: &mut Vec<Output>,
        act: impl FnOnce(&mut Connector, &mut Vec<Effect>),
    ) {
        if let Some(connector) = self.connectors.get_mut(&id) {
            let mut effects = Vec::new();
            act(connector, &mut effects);
            outputs.extend(effects.into_iter().map(Output::Connector));
        }
    }

    /// OCPP 1.6, 5.2: an order about connector 0 is one about the station and every connector; whoever charges
    /// finishes.
    fn order(
        &mut self,
        connector: ConnectorId,
        availability: Availability,
        origin: KeyOrigin,
        outputs: &mut Vec<Output>,
    ) -> AvailabilityVerdict {
        let of_station = connector == ConnectorId::STATION;
        let holds_already = self.availability() == Availability::Inoperative;
        let (mut ordered, mut waits) = (Vec::new(), false);
        for (id, each) in self.connectors.iter_mut().filter(|(id, _)| of_station || **id == connector) {
            each.order(availability);
            waits |= each.order_waits();
            ordered.push(*id);
        }
        if ordered.is_empty() {
            return AvailabilityVerdict::Rejected;
        }
        if of_station {
            self.availability = availability;
            self.order_waits = waits && !holds_already;
        }
        if !self.connectors.values().any(Connector::is_operative) {
            self.roaming = None;
        }
        let station = of_station.then_some(ConnectorId::STATION);
        outputs.push(Output::RecordOrder(station.into_iter().chain(ordered).collect(), availability, origin));
        if waits { AvailabilityVerdict::Scheduled } else { AvailabilityVerdict::Accepted }
    }

    /// The station is about to restart: whoever charges is stopped, whoever waits is forgotten.
    fn stop_all(
        &mut self,
        now: Moment,
        reason: StopReason,
        no_start_until: Option<BoottimeMillis>,
        outputs: &mut Vec<Output>,
    ) {
        self.no_start_until = no_start_until.filter(|until| now.boottime < *until);
        outputs.push(Output::RecordHold(self.no_start_until));
        self.roaming = None;
        for (_, question) in std::mem::take(&mut self.questions) {
            let refused = |(ticket, _)| Output::BadgeAnswer(ticket, BadgeOutcome::OutOfService, question.connector);
            outputs.extend(question.badge.map(refused));
        }
        let mut effects = Vec::new();
        for each in self.connectors.values_mut() {
            each.forget_driver(&mut effects);
            let running = each.running().map(|(transaction, _)| transaction);
            if let Some(transaction) = running {
                each.end(now, transaction, reason, "");
            }
        }
        outputs.extend(effects.into_iter().map(Output::Connector));
    }

    /// Guide, "authentication": the badge that started a transaction ends it; else it starts one where a vehicle is
    /// plugged in, and with two of them at the connector that the screen shows.
    fn badge(
        &mut self,
        now: Moment,
        asker: (Ticket, BoottimeMillis),
        id_tag: &str,
        shown: ConnectorId,
        outputs: &mut Vec<Output>,
    ) {
        let (ticket, _) = asker;
        let of_this_badge = |(id, each): (&ConnectorId, &Connector)| {
            each.running()
                .filter(|(_, tag)| tag.eq_ignore_ascii_case(id_tag))
                .map(|(transaction, _)| (*id, transaction))
        };
        let mut own: Vec<(ConnectorId, TransactionId)> = self.connectors.iter().filter_map(of_this_badge).collect();
        own.sort_by_key(|(id, _)| *id != shown);
        let waiting: Vec<ConnectorId> = self.openable().collect();
        let shown_waits = waiting.contains(&shown);
        if let Some((connector, transaction)) = own.first().copied().filter(|(id, _)| *id == shown || !shown_waits) {
            if let Some(each) = self.connectors.get_mut(&connector) {
                each.end(now, transaction, StopReason::Local, id_tag);
            }
            outputs.push(Output::BadgeAnswer(ticket, BadgeOutcome::Stopping, connector));
            return;
        }
        let target = if shown_waits { Some(shown) } else { waiting.first().copied() };
        let (Some(connector), Some(rules)) = (target, &self.rules) else {
            let idle = |each: &Connector| each.plugged() && each.is_free();
            let nobody_serves = !self.connectors.values().any(Connector::is_operative);
            let stands_idle = self.connectors.values().any(|each| idle(each) && !each.can_serve());
            let outcome = if stands_idle || nobody_serves || self.no_start_until.is_some() {
                BadgeOutcome::OutOfService
            } else if self.connectors.values().any(|each| each.plugged() && !each.is_free()) {
                BadgeOutcome::Refused
            } else {
                BadgeOutcome::NoVehicle
            };
            outputs.push(Output::BadgeAnswer(ticket, outcome, shown));
            return;
        };
        let decision = authorization::of_badge(rules, self.online);
        let question = Question { id_tag: id_tag.to_owned(), connector, badge: Some(asker) };
        self.decided(now, question, decision, outputs);
    }

    /// Guide, "remote start".
    fn remote_start(
        &mut self,
        now: Moment,
        ticket: Ticket,
        connector: ConnectorId,
        id_tag: String,
        outputs: &mut Vec<Output>,
    ) {
        let target = if connector == ConnectorId::STATION {
            self.openable().next().unwrap_or(ConnectorId::STATION)
        } else {
            connector
        };
        let Some(decision) = self.rules.as_ref().map(|rules| authorization::of_remote_start(rules, self.online)) else {
            outputs.push(Output::VerdictAnswer(ticket, Verdict::Rejected));
            return;
        };
        if !self.may_await(target) {
            outputs.push(Output::VerdictAnswer(ticket, Verdict::Rejected));
            return;
        }
        outputs.push(Output::VerdictAnswer(ticket, Verdict::Accepted));
        self.decided(now, Question { id_tag, connector: target, badge: None }, decision, outputs);
    }

    /// A remote start may have this connector, or with 0 whichever is plugged in first: now, or when a vehicle comes.
    fn may_await(&self, target: ConnectorId) -> bool {
        let before_plug = self.rules.as_ref().is_some_and(|rules| rules.remote_start_before_plug);
        let free = |each: &Connector| each.is_free() && each.can_serve() && !each.has_driver();
        if self.is_asked_about(target) || self.no_start_until.is_some() {
            return false;
        }
        match self.connectors.get(&target) {
            Some(each) if each.plugged() => each.may_open() && !each.has_driver(),
            Some(each) => free(each) && before_plug,
            None => {
                target == ConnectorId::STATION
                    && before_plug
                    && self.roaming.is_none()
                    && self.connectors.values().any(|each| free(each) && !each.plugged())
            }
        }
    }

    fn decided(&mut self, now: Moment, question: Question, decision: Decision, outputs: &mut Vec<Output>) {
        let Question { id_tag, connector, badge } = question;
        let Some(rules) = &self.rules else { return };
        let in_time = badge.is_none_or(|(_, valid_until)| now.boottime < valid_until);
        match decision {
            Decision::AskCsms => {
                self.next_question = self.next_question.wrapping_add(1);
                outputs.push(Output::Authorize { question: self.next_question, id_tag: id_tag.clone() });
                self.questions.insert(self.next_question, Question { id_tag, connector, badge });
            }
            Decision::Accept if in_time => {
                let until = now.boottime.after(rules.connection_timeout);
                let may_await = self.may_await(connector);
                match self.connectors.get_mut(&connector) {
                    Some(each) if each.may_open() => {
                        let mut effects = Vec::new();
                        each.open(&id_tag, badge.map_or(until, |(_, valid_until)| valid_until), &mut effects);
                        outputs.extend(effects.into_iter().map(Output::Connector));
                        if let Some((ticket, _)) = badge {
                            self.openings.insert(connector, ticket);
                        }
                    }
                    Some(each) if badge.is_none() && may_await => each.await_plug(&id_tag, until),
                    // The vehicle went, another driver was quicker, or the connector was ordered out of service, while
                    // the CSMS was asked.
                    Some(each) => {
                        let outcome = if !each.is_operative() {
                            BadgeOutcome::OutOfService
                        } else if each.plugged() {
                            BadgeOutcome::Refused
                        } else {
                            BadgeOutcome::NoVehicle
                        };
                        outputs.extend(badge.map(|(ticket, _)| Output::BadgeAnswer(ticket, outcome, connector)));
                    }
                    None if may_await => self.roaming = Some((id_tag, until)),
                    None => {}
                }
            }
            Decision::Refuse | Decision::Accept => {
                let refused = |(ticket, _)| Output::BadgeAnswer(ticket, BadgeOutcome::Refused, connector);
                outputs.extend(badge.map(refused));
            }
        }
    }

    /// A driver who was accepted before plugging in, and everybody in free charging, starts with the plug.
    fn start_whoever_plugged_in(&mut self, now: Moment, outputs: &mut Vec<Output>) {
        self.roaming = self.roaming.take().filter(|(_, until)| now.boottime < *until);
        let ready: Vec<ConnectorId> = self.openable().collect();
        let Some(rules) = &self.rules else { return };
        for connector in ready {
            let Some(each) = self.connectors.get_mut(&connector) else { continue };
            let id_tag = each
                .driver_who_plugged_in()
                .or_else(|| self.roaming.take().map(|(id_tag, _)| id_tag))
                .or_else(|| (!rules.badge_needed).then(|| rules.default_id_tag.clone()));
            if let Some(id_tag) = id_tag {
                let mut effects = Vec::new();
                each.open(&id_tag, now.boottime.after(rules.connection_timeout), &mut effects);
                outputs.extend(effects.into_iter().map(Output::Connector));
            }
        }
    }

    /// Turns `Opened` into the answer that the driver waits for, and puts every answer after what it promises.
    fn answer_openings(&mut self, mut outputs: Vec<Output>) -> Vec<Output> {
        outputs.sort_by_key(Output::is_answer);
        outputs
            .into_iter()
            .filter_map(|output| match output {
                Output::Connector(Effect::Opened(connector, opened)) => {
                    let outcome = if opened { BadgeOutcome::Starting } else { BadgeOutcome::OutOfService };
                    self.openings.remove(&connector).map(|ticket| Output::BadgeAnswer(ticket, outcome, connector))
                }
                other => Some(other),
            })
            .collect()
    }

    /// Connectors where a transaction can begin and nobody is being asked about yet.
    fn openable(&self) -> impl Iterator<Item = ConnectorId> {
        let may_begin = self.no_start_until.is_none();
        let open =
            move |(id, each): &(&ConnectorId, &Connector)| may_begin && each.may_open() && !self.is_asked_about(**id);
        self.connectors.iter().filter(open).map(|(id, _)| *id)
    }

    fn is_asked_about(&self, connector: ConnectorId) -> bool {
        self.questions.values().any(|question| question.connector == connector)
    }
}
