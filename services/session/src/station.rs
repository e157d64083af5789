//! The station: what happens to it goes to whom it concerns, and what is to be done comes back in one list. Orders about
//! the availability, the pause before a reset, and the end of reservations. Pure.

mod drivers;
mod gate;
mod reservations;

use crate::admission;
use crate::authorization::{CentralWord, Driver, Known};
use crate::connector::Connector;
use crate::effect::{DeliveryAnswer, Effect, Purpose};
use crate::reservation::{Reservations, Reserved};
use crate::rules::{Rules, Terms};
use crate::settings::Settings;
use busbar_interfaces::faults::ActiveFault;
use busbar_interfaces::metering::Reading;
use busbar_interfaces::ocpp::Authorization;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::session::Decision;
use busbar_interfaces::words::{
    Availability, AvailabilityVerdict, BadgeOutcome, DecisionReason, KeyOrigin, Link, ReservationVerdict, StopReason,
    Verdict,
};
use busbar_interfaces::{BoottimeMillis, ConnectorId, ReservationId, TransactionId};
use busbar_runtime::Moment;
use std::collections::BTreeMap;
use std::time::Duration;

/// The end of a reservation is a moment of the wall clock, which may be set: it is looked at as often.
const LOOK_AT_THE_CLOCK: Duration = Duration::from_secs(10);

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
    /// A badge at the station, and what the station knows of it.
    Badge { ticket: Ticket, id_tag: String, known: Known, shown: ConnectorId, valid_until: BoottimeMillis },
    /// The CSMS wants a charge; connector 0 is any.
    RemoteStart { ticket: Ticket, connector: ConnectorId, id_tag: String, known: Known },
    /// Somebody ends a transaction.
    Stop { ticket: Ticket, transaction: TransactionId, reason: StopReason },
    /// Every transaction is to end, and none begins until then.
    StopAll { ticket: Ticket, reason: StopReason, no_start_until: Option<BoottimeMillis> },
    /// A connector, or with 0 the station and all of them, is ordered in or out of service.
    Order { ticket: Ticket, connector: ConnectorId, availability: Availability, origin: KeyOrigin },
    /// What came of a question about a badge.
    Authorized { question: u64, answer: CentralWord },
    /// The CSMS does not accept the badge of a transaction.
    Deauthorize { ticket: Ticket, transaction: TransactionId },
    /// The CSMS's word on a badge, told along with something else.
    Learn { ticket: Ticket, id_tag: String, authorization: Authorization },
    /// A connector, or with 0 any one of them, is to be kept for a driver.
    Reserve { ticket: Ticket, reserved: Reserved },
    /// A reservation is to end.
    CancelReservation { ticket: Ticket, reservation: ReservationId },
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
    /// Answer who waits for nothing but that it is done.
    DoneAnswer(Ticket),
    /// Keep what the CSMS has said of a badge, if the cache is on.
    Learn { id_tag: String, authorization: Authorization },
    /// Forget that a badge was good, if the cache says so.
    Distrust { id_tag: String },
    /// Write a reservation to disk, in the place of the one with its number.
    RecordReservation(Reserved),
    /// Write to disk that a reservation is over.
    EndReservation(ReservationId),
    /// Answer who wanted to reserve.
    ReservationAnswer(Ticket, ReservationVerdict),
}

impl Output {
    /// It promises something, and goes out after all that is written to disk.
    pub fn is_answer(&self) -> bool {
        match self {
            Output::Connector(Effect::Opened(..))
            | Output::BadgeAnswer(..)
            | Output::VerdictAnswer(..)
            | Output::OrderAnswer(..)
            | Output::ReservationAnswer(..)
            | Output::DoneAnswer(_) => true,
            Output::Connector(_)
            | Output::Authorize { .. }
            | Output::RecordOrder(..)
            | Output::RecordHold(_)
            | Output::Learn { .. }
            | Output::Distrust { .. }
            | Output::RecordReservation(_)
            | Output::EndReservation(_) => false,
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
    /// What is reserved.
    pub reservations: Vec<Reserved>,
    /// The disk takes a whole charge.
    pub has_space: bool,
    /// The connectors that stand under the order for the station, and not under a later one of their own.
    pub under_the_stations_order: Vec<ConnectorId>,
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
    questions: BTreeMap<u64, drivers::Question>,
    next_question: u64,
    /// A badge whose transaction is being opened, by connector.
    openings: BTreeMap<ConnectorId, Ticket>,
    /// A driver accepted for whichever connector is plugged in first, until then.
    roaming: Option<(Driver, BoottimeMillis)>,
    reservations: Reservations,
    last_decision: Decision,
    /// The disk takes a whole charge.
    has_space: bool,
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
        let under_it = &remembered.under_the_stations_order;
        let waits = |(id, each): (&ConnectorId, &Connector)| under_it.contains(id) && each.order_waits();
        let order_waits = remembered.is_inoperative && connectors.iter().any(waits);
        let Remembered { rules, next_transaction, is_inoperative, no_start_until, reservations, has_space, .. } =
            remembered;
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
            reservations: Reservations::new(reservations),
            last_decision: Decision::NONE,
            has_space,
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
                let stays = self.rules.as_ref().is_some_and(|rules| !rules.stop_on_unplug);
                self.connector(connector, &mut outputs, |each, effects| {
                    each.power_is(now, power.map(|power| *power), stays, effects)
                });
            }
            Input::Badge { ticket, id_tag, known, shown, valid_until } => {
                self.badge(now, (ticket, valid_until), drivers::Badge { id_tag, known }, shown, &mut outputs);
            }
            Input::RemoteStart { ticket, connector, id_tag, known } => {
                self.remote_start(now, ticket, connector, drivers::Badge { id_tag, known }, &mut outputs);
            }
            Input::Stop { ticket, transaction, reason } => {
                let ended = self.connectors.values_mut().any(|each| each.end(now, transaction, reason, ""));
                let verdict = if ended { Verdict::Accepted } else { Verdict::Rejected };
                outputs.push(Output::VerdictAnswer(ticket, verdict));
            }
            Input::StopAll { ticket, reason, no_start_until } => {
                self.stop_all(now, reason, no_start_until, &mut outputs);
                outputs.push(Output::DoneAnswer(ticket));
            }
            Input::Order { ticket, connector, availability, origin } => {
                let verdict = self.order(connector, availability, origin, &mut outputs);
                outputs.push(Output::OrderAnswer(ticket, verdict));
            }
            Input::Authorized { question, answer } => self.authorized(now, question, answer, &mut outputs),
            Input::Deauthorize { ticket, transaction } => self.deauthorize(now, ticket, transaction, &mut outputs),
            Input::Learn { ticket, id_tag, authorization } => {
                self.learn(&id_tag, authorization, &mut outputs);
                outputs.push(Output::DoneAnswer(ticket));
            }
            Input::Reserve { ticket, reserved } => {
                let verdict = self.reserve(now, reserved, &mut outputs);
                outputs.push(Output::ReservationAnswer(ticket, verdict));
            }
            Input::CancelReservation { ticket, reservation } => {
                let verdict = self.cancel_reservation(reservation, &mut outputs);
                outputs.push(Output::VerdictAnswer(ticket, verdict));
            }
            Input::Latched { connector, purpose, reading } => {
                let admitted = self.admitted(connector);
                let mut next = self.next_transaction;
                self.connector(connector, &mut outputs, |each, effects| {
                    each.latched(now, (purpose, reading), admitted, &mut next, effects);
                });
                self.next_transaction = next;
            }
            Input::Delivery { connector, transaction, answer } => {
                let lease = self.settings.delivery_lease;
                self.connector(connector, &mut outputs, |each, _| {
                    each.delivery_answered(now, transaction, &answer, lease);
                });
            }
            Input::Wake => {}
        }
        self.connectors.values_mut().for_each(|each| each.listen(now));
        self.use_up_reservations(&outputs);
        self.end_reservations(now, &mut outputs);
        self.forget_questions_whose_vehicle_went(now, &mut outputs);
        self.start_whoever_plugged_in(now, &mut outputs);
        self.drop_whoever_is_no_longer_admitted(&mut outputs);
        let terms = Terms { rules: self.rules.as_ref(), online: self.online, settings: &self.settings };
        let mut effects = Vec::new();
        for (id, connector) in &mut self.connectors {
            connector.advance(now, terms, &mut self.next_transaction, &mut effects);
            connector.keep(self.reservations.keeps(*id));
        }
        outputs.extend(effects.into_iter().map(Output::Connector));
        self.order_waits = self.order_waits && self.connectors.values().any(Connector::order_waits);
        self.answer_openings(now, outputs)
    }

    /// Whether the disk takes a whole charge.
    pub fn space(&mut self, has_space: bool) {
        self.has_space = has_space;
    }

    /// The last decision about a badge.
    pub fn last_decision(&self) -> Decision {
        self.last_decision
    }

    /// What is reserved, by number.
    pub fn reservations(&self) -> &Reservations {
        &self.reservations
    }

    /// What the configuration keys say; nothing before they were heard for the first time.
    pub fn rules(&self) -> Option<&Rules> {
        self.rules.as_ref()
    }

    /// Whether the station as a whole may be used: an order out of service holds when the transactions that it let
    /// finish are over.
    pub fn availability(&self) -> Availability {
        if self.order_waits { Availability::Operative } else { self.availability }
    }

    /// When `step` has something to do without an input.
    pub fn next_wake(&self, now: Moment) -> Option<BoottimeMillis> {
        let roaming = self.roaming.as_ref().map(|(_, until)| *until);
        let expiry = self.reservations.next_expiry().map(|expiry| {
            let wait = Duration::from_millis(expiry.0.saturating_sub(now.unix.0));
            now.boottime.after(wait.min(LOOK_AT_THE_CLOCK))
        });
        let of_connectors = self.connectors.values().filter_map(|each| each.next_wake(&self.settings));
        of_connectors.chain(roaming).chain(self.no_start_until).chain(expiry).min()
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

    fn every_connector(
        &mut self,
        outputs: &mut Vec<Output>,
        mut act: impl FnMut(ConnectorId, &mut Connector, &mut Vec<Effect>),
    ) {
        let mut effects = Vec::new();
        self.connectors.iter_mut().for_each(|(id, connector)| act(*id, connector, &mut effects));
        outputs.extend(effects.into_iter().map(Output::Connector));
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
        self.every_connector(outputs, |id, each, effects| {
            if of_station || id == connector {
                each.order(availability, effects);
                waits |= each.order_waits();
                ordered.push(id);
            }
        });
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
            self.refuse(now, &question, DecisionReason::Restarting, outputs);
        }
        self.every_connector(outputs, |_, each, effects| {
            each.forget_driver(DecisionReason::Restarting, effects);
            if let Some(transaction) = each.running().map(|running| running.transaction) {
                each.end(now, transaction, reason, "");
            }
        });
    }

    /// Turns `Opened` into the answer that the driver waits for, and puts every answer after what it promises.
    fn answer_openings(&mut self, now: Moment, mut outputs: Vec<Output>) -> Vec<Output> {
        outputs.sort_by_key(Output::is_answer);
        outputs
            .into_iter()
            .filter_map(|output| match output {
                Output::Connector(Effect::Opened(connector, opened)) => {
                    if let Err(reason) = opened {
                        self.last_decision = drivers::rejected(now, connector, reason);
                    }
                    let outcome = opened.map_or_else(admission::outcome, |()| BadgeOutcome::Starting);
                    self.openings.remove(&connector).map(|ticket| Output::BadgeAnswer(ticket, outcome, connector))
                }
                other => Some(other),
            })
            .collect()
    }
}
