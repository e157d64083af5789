//! Whole transactions in pure code: a scripted station around `Station::step`, first by hand, then with everything
//! at random against what must always hold.

use crate::connector::{Connector, DeliveryAnswer, Effect};
use crate::ledger::ConnectorRecord;
use crate::rules::Rules;
use crate::settings::Settings;
use crate::station::{Input, Output, Station, Ticket};
use busbar_interfaces::faults::ActiveFault;
use busbar_interfaces::metering::Reading;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::words::{
    AuthorizationStatus, BadgeOutcome, ConnectorStatus, ConnectorType, EventKind, FaultClass, Link, Phase, Plug,
    StopCause, StopReason, Verdict,
};
use busbar_interfaces::{
    BoottimeMillis, ConnectorId, Milliamperes, Millivolts, MilliwattHours, Percent, TransactionId, UnixMillis, Watts,
};
use busbar_runtime::Moment;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const ONE: ConnectorId = ConnectorId(1);
const TWO: ConnectorId = ConnectorId(2);
const SETTINGS: Settings = Settings { delivery_lease: Duration::from_secs(30), meter_wait: Duration::from_secs(30) };

fn idle() -> PowerConnectorState {
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
struct Play {
    station: Station,
    now: u64,
    power: BTreeMap<ConnectorId, PowerConnectorState>,
    register: u64,
    meter_works: bool,
    power_hangs: bool,
    wall_offset: i64,
    events: Vec<TransactionEvent>,
    answers: Vec<Output>,
    pending: Vec<Effect>,
    questions: Vec<u64>,
    endings: BTreeMap<TransactionId, StopReason>,
}

impl Play {
    fn new() -> Play {
        let now = Moment { boottime: BoottimeMillis(1_000), unix: UnixMillis(1_000) };
        let connectors =
            [ONE, TWO].into_iter().map(|id| (id, Connector::restore(id, ConnectorRecord::default(), now))).collect();
        let mut play = Play {
            station: Station::new(SETTINGS, None, connectors, TransactionId(1)),
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
        };
        play.step(Input::Rules(Rules { sample_interval: Duration::from_secs(10), ..Rules::default() }));
        play.step(Input::Link(Link::Accepted));
        play.step(Input::Faults(Vec::new()));
        play.show_power(ONE);
        play.show_power(TWO);
        play
    }

    fn moment(&self) -> Moment {
        let unix = (100_000_000 + self.now).saturating_add_signed(self.wall_offset);
        Moment { boottime: BoottimeMillis(self.now), unix: UnixMillis(unix) }
    }

    fn record_as_started(&mut self, transaction: TransactionId) {
        let event = TransactionEvent {
            sequence: 0,
            transaction,
            connector: ONE,
            kind: EventKind::Started,
            unix_millis: self.moment().unix,
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

    fn step(&mut self, input: Input) {
        for output in self.station.step(self.moment(), input) {
            match output {
                Output::Connector(Effect::Record(event)) => self.record(*event),
                Output::Connector(Effect::RecordEnding(transaction, reason, _)) => {
                    assert!(self.endings.insert(transaction, reason).is_none(), "an ending is recorded once");
                }
                Output::Connector(Effect::StopDelivery(connector, transaction)) => {
                    assert!(self.endings.contains_key(&transaction), "the ending is on disk before power is told");
                    self.pending.push(Effect::StopDelivery(connector, transaction));
                }
                Output::Connector(Effect::StartDelivery(connector, transaction)) => {
                    let started = |event: &TransactionEvent| event.transaction == transaction;
                    assert!(self.events.iter().any(started), "the start is on disk before power is asked");
                    self.pending.push(Effect::StartDelivery(connector, transaction));
                }
                Output::Connector(effect) => self.pending.push(effect),
                Output::Authorize { question, .. } => self.questions.push(question),
                answer => self.answers.push(answer),
            }
        }
    }

    fn record(&mut self, mut event: TransactionEvent) {
        event.sequence = self.events.len() as u64 + 1;
        let of_it: Vec<&TransactionEvent> =
            self.events.iter().filter(|earlier| earlier.transaction == event.transaction).collect();
        match event.kind {
            EventKind::Started => assert!(of_it.is_empty(), "one start"),
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

    fn show_power(&mut self, connector: ConnectorId) {
        let power = self.power.get(&connector).cloned();
        self.step(Input::Power(connector, power.map(Box::new)));
    }

    fn plug(&mut self, connector: ConnectorId, plugged: bool) {
        let power = self.power.get_mut(&connector).expect("a connector");
        power.plug = if plugged { Plug::Plugged } else { Plug::Unplugged };
        self.show_power(connector);
    }

    fn badge(&mut self, id_tag: &str) -> Option<BadgeOutcome> {
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
    fn carry_out(&mut self, effect: Effect) {
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

    fn power_ends(&mut self, connector: ConnectorId, transaction: TransactionId, cause: StopCause) {
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
    fn settle(&mut self) {
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
    fn pass(&mut self, millis: u64) {
        let until = self.now + millis;
        while self.now < until {
            let wake = self.station.next_wake().map_or(until, |wake| wake.0.clamp(self.now + 1, until));
            self.register += wake - self.now;
            self.now = wake;
            self.step(Input::Wake);
            self.settle();
        }
    }

    fn status(&mut self, connector: ConnectorId) -> ConnectorStatus {
        let now = self.moment();
        let found = self.station.connectors().find(|(id, _)| *id == connector);
        found.expect("a connector").1.state(now).status
    }

    fn kinds(&self) -> Vec<EventKind> {
        self.events.iter().map(|event| event.kind).collect()
    }
}

#[test]
fn a_badge_starts_and_the_same_badge_stops() {
    let mut play = Play::new();
    assert_eq!(play.badge("TAG"), Some(BadgeOutcome::NoVehicle));
    play.plug(ONE, true);
    assert_eq!(play.status(ONE), ConnectorStatus::Preparing);
    assert_eq!(play.badge("TAG"), Some(BadgeOutcome::Starting));
    assert_eq!(play.status(ONE), ConnectorStatus::Charging);
    play.pass(25_000);
    assert_eq!(play.badge("OTHER"), Some(BadgeOutcome::Refused), "somebody else's charge");
    assert_eq!(play.badge("tag"), Some(BadgeOutcome::Stopping), "idTag is case-insensitive");
    assert_eq!(play.kinds(), [EventKind::Started, EventKind::Sample, EventKind::Sample, EventKind::Stopped]);
    assert_eq!(play.status(ONE), ConnectorStatus::Finishing);
    assert_eq!(play.badge("TAG"), Some(BadgeOutcome::NoVehicle), "the vehicle must be plugged in anew");
    play.plug(ONE, false);
    assert_eq!(play.status(ONE), ConnectorStatus::Available);
}

#[test]
fn samples_lie_on_the_grid_of_the_start() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.badge("TAG");
    play.pass(35_000);
    let times: Vec<u64> = play.events.iter().map(|event| event.unix_millis.0 - play.events[0].unix_millis.0).collect();
    assert_eq!(times, [0, 10_000, 20_000, 30_000]);
}

#[test]
fn with_two_vehicles_the_shown_connector_counts() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.plug(TWO, true);
    assert_eq!(play.badge("TAG"), Some(BadgeOutcome::Starting));
    assert_eq!(play.events[0].connector, ONE);
    assert_eq!(play.badge("SECOND"), Some(BadgeOutcome::Starting));
    assert_eq!(play.events[1].connector, TWO);
}

#[test]
fn without_a_meter_no_transaction_begins() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.meter_works = false;
    assert_eq!(play.badge("TAG"), None, "the meter is asked again as long as somebody waits");
    play.pass(10_000);
    assert!(matches!(play.answers.last(), Some(Output::BadgeAnswer(_, BadgeOutcome::OutOfService, ONE))));
    assert!(play.events.is_empty());
    play.meter_works = true;
    assert_eq!(play.badge("TAG"), Some(BadgeOutcome::Starting));
}

#[test]
fn a_meter_that_is_away_for_a_moment_delays_the_start() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.meter_works = false;
    play.badge("TAG");
    play.pass(2_000);
    play.meter_works = true;
    play.pass(1_000);
    assert_eq!(play.kinds(), [EventKind::Started]);
    assert!(matches!(play.answers.last(), Some(Output::BadgeAnswer(_, BadgeOutcome::Starting, ONE))));
}

#[test]
fn a_cable_pulled_out_while_the_meter_is_read_starts_nothing() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.meter_works = false;
    play.badge("TAG");
    play.plug(ONE, false);
    play.meter_works = true;
    play.pass(1_000);
    assert!(play.events.is_empty());
    assert_eq!(play.status(ONE), ConnectorStatus::Available);
}

#[test]
fn before_the_keys_are_known_nothing_charges() {
    let mut play = Play::new();
    let connectors = [ONE, TWO]
        .into_iter()
        .map(|id| (id, Connector::restore(id, ConnectorRecord::default(), play.moment())))
        .collect();
    play.station = Station::new(SETTINGS, None, connectors, TransactionId(1));
    assert_eq!(play.status(ONE), ConnectorStatus::Unknown, "nothing is guessed before the peers were heard");
    play.step(Input::Faults(Vec::new()));
    play.plug(ONE, true);
    assert_eq!(play.status(ONE), ConnectorStatus::Preparing);
    assert_ne!(play.badge("TAG"), Some(BadgeOutcome::Starting));
    play.step(Input::RemoteStart { ticket: Ticket(50), connector: ONE, id_tag: "R".to_owned() });
    assert_eq!(play.answers.last(), Some(&Output::VerdictAnswer(Ticket(50), Verdict::Rejected)));
    assert!(play.events.is_empty());
}

#[test]
fn one_driver_at_a_time_is_accepted_for_a_connector() {
    let mut play = Play::new();
    for (ticket, connector, verdict) in [
        (1, TWO, Verdict::Accepted),
        (2, TWO, Verdict::Rejected),
        (3, ConnectorId::STATION, Verdict::Accepted),
        (4, ConnectorId::STATION, Verdict::Rejected),
        (5, ConnectorId(3), Verdict::Rejected),
    ] {
        play.step(Input::RemoteStart { ticket: Ticket(ticket), connector, id_tag: format!("R{ticket}") });
        play.settle();
        assert_eq!(play.answers.last(), Some(&Output::VerdictAnswer(Ticket(ticket), verdict)), "{ticket}");
    }
    play.plug(TWO, true);
    play.settle();
    assert_eq!(play.events.first().map(|event| event.id_tag.as_str()), Some("R1"));
}

#[test]
fn a_meter_that_is_exchanged_in_a_charge_loses_nothing_that_was_counted() {
    let mut play = Play::new();
    play.register = 9_000_000;
    play.plug(ONE, true);
    play.badge("TAG");
    play.pass(10_000);
    play.register = 0;
    play.pass(10_000);
    play.badge("TAG");
    let energies: Vec<u64> = play.events.iter().map(|event| event.energy_milliwatt_hours.0).collect();
    assert!(energies.is_sorted() && energies.last() > Some(&9_009_000), "{energies:?}");
}

#[test]
fn samples_go_on_when_the_wall_clock_is_set_back() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.badge("TAG");
    play.pass(15_000);
    let before = play.events.len();
    play.wall_offset = -3_600_000;
    play.pass(40_000);
    assert!(play.events.len() >= before + 3, "{:?}", play.kinds());
}

#[test]
fn a_power_that_hangs_does_not_keep_the_transaction_open() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.badge("TAG");
    play.power_hangs = true;
    play.step(Input::Stop { ticket: Ticket(9), transaction: TransactionId(1), reason: StopReason::Remote });
    play.pass(40_000);
    assert_eq!(
        play.events.last().map(|event| (event.kind, event.reason)),
        Some((EventKind::Stopped, StopReason::Remote))
    );
}

#[test]
fn a_start_that_power_never_heard_of_is_repeated_after_a_restart() {
    let entry = |held| crate::ledger::Entry {
        transaction: TransactionId(3),
        id_tag: "TAG".to_owned(),
        started: UnixMillis(100_001_000),
        started_energy: MilliwattHours(5_000),
        last: UnixMillis(100_001_000),
        last_energy: MilliwattHours(5_000),
        held,
        ending: None,
        stop_reason: None,
    };
    for held in [false, true] {
        let mut play = Play::new();
        let record = ConnectorRecord { open: Some(entry(held)), ..ConnectorRecord::default() };
        let now = play.moment();
        let connectors = BTreeMap::from([
            (ONE, Connector::restore(ONE, record, now)),
            (TWO, Connector::restore(TWO, ConnectorRecord::default(), now)),
        ]);
        play.station = Station::new(SETTINGS, Some(Rules::default()), connectors, TransactionId(4));
        play.record_as_started(TransactionId(3));
        play.step(Input::Faults(Vec::new()));
        play.plug(ONE, true);
        play.settle();
        let expected: &[EventKind] =
            if held { &[EventKind::Started, EventKind::Stopped] } else { &[EventKind::Started] };
        assert_eq!(play.kinds(), expected, "held: {held}");
    }
}

#[test]
fn a_meter_that_stays_away_at_the_end_does_not_keep_the_transaction_open() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.badge("TAG");
    play.pass(15_000);
    play.meter_works = false;
    play.badge("TAG");
    play.pass(70_000);
    let stop = play.events.last().expect("events");
    assert_eq!((stop.kind, stop.reason), (EventKind::Stopped, StopReason::Local));
    let sample = play.events.iter().rev().find(|event| event.kind == EventKind::Sample).expect("a sample");
    assert_eq!(stop.energy_milliwatt_hours, sample.energy_milliwatt_hours, "the last sample, nothing invented");
}

#[test]
fn a_fault_ends_the_transaction_and_the_emergency_stop_is_its_reason() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.badge("TAG");
    let fault = ActiveFault {
        code: "0x100202".to_owned(),
        connector: ONE,
        class: FaultClass::Stop,
        error_code: "InternalError".to_owned(),
        title: String::new(),
        detail: String::new(),
        since_unix_millis: UnixMillis(0),
    };
    play.step(Input::Faults(vec![fault]));
    play.settle();
    assert_eq!(play.events.last().map(|event| event.reason), Some(StopReason::EmergencyStop));
    assert_eq!(play.status(ONE), ConnectorStatus::Faulted);
}

#[test]
fn a_power_that_comes_back_without_the_delivery_ends_the_transaction() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.badge("TAG");
    play.step(Input::Power(ONE, None));
    assert_eq!(play.status(ONE), ConnectorStatus::Charging, "away for a moment");
    let mut power = idle();
    power.plug = Plug::Plugged;
    play.power.insert(ONE, power);
    play.show_power(ONE);
    play.settle();
    assert_eq!(play.kinds(), [EventKind::Started, EventKind::Stopped]);
}

#[test]
fn a_remote_stop_is_for_the_transaction_that_runs() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.badge("TAG");
    for (transaction, verdict) in [(9, Verdict::Rejected), (1, Verdict::Accepted)] {
        let transaction = TransactionId(transaction);
        play.step(Input::Stop { ticket: Ticket(99), transaction, reason: StopReason::Remote });
        assert_eq!(play.answers.last(), Some(&Output::VerdictAnswer(Ticket(99), verdict)));
    }
    play.settle();
    assert_eq!(play.events.last().map(|event| event.reason), Some(StopReason::Remote));
}

#[derive(Debug, Clone)]
enum Move {
    Plug(bool, bool),
    Badge(u8),
    Remote(u32),
    Stop(u64),
    Answer(bool),
    CarryOut(usize),
    Lose(usize),
    PowerEnds(bool),
    PowerAway(bool),
    Meter(bool),
    Online(bool),
    Pass(u64),
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        (any::<bool>(), any::<bool>()).prop_map(|(one, plugged)| Move::Plug(one, plugged)),
        (0u8..3).prop_map(Move::Badge),
        (0u32..4).prop_map(Move::Remote),
        (0u64..6).prop_map(Move::Stop),
        any::<bool>().prop_map(Move::Answer),
        (0usize..4).prop_map(Move::CarryOut),
        (0usize..4).prop_map(Move::CarryOut),
        (0usize..4).prop_map(Move::Lose),
        any::<bool>().prop_map(Move::PowerEnds),
        any::<bool>().prop_map(Move::PowerAway),
        any::<bool>().prop_map(Move::Meter),
        any::<bool>().prop_map(Move::Online),
        (1u64..20_000).prop_map(Move::Pass),
    ]
}

proptest! {
    /// Whatever happens in whatever order: one start and one stop for each transaction, energy that never goes back,
    /// disk before deed (all checked in `Play`), and in the end nothing stays open.
    #[test]
    fn every_transaction_is_closed_once(moves in proptest::collection::vec(any_move(), 0..120)) {
        let mut play = Play::new();
        for step in moves {
            let connector = |one: bool| if one { ONE } else { TWO };
            match step {
                Move::Plug(one, plugged) => play.plug(connector(one), plugged),
                Move::Badge(tag) => play.step(Input::Badge {
                    ticket: Ticket(u64::from(tag)), id_tag: format!("TAG{tag}"), shown: ONE, valid_until: BoottimeMillis(u64::MAX) }),
                Move::Remote(at) => play.step(Input::RemoteStart {
                    ticket: Ticket(7), connector: ConnectorId(at), id_tag: "REMOTE".to_owned(),
                }),
                Move::Stop(transaction) => play.step(Input::Stop {
                    ticket: Ticket(8), transaction: TransactionId(transaction), reason: StopReason::Remote,
                }),
                Move::Answer(good) => if let Some(question) = play.questions.pop() {
                    let status = good.then_some(AuthorizationStatus::Accepted);
                    play.step(Input::Authorized { question, status });
                },
                Move::CarryOut(which) => if which < play.pending.len() {
                    let effect = play.pending.remove(which);
                    play.carry_out(effect);
                },
                Move::Lose(which) => if which < play.pending.len() {
                    // The peer died with the call: its failure comes back, as it does from `peers::call`.
                    match play.pending.remove(which) {
                        Effect::Latch(connector, purpose) => play.step(Input::Latched { connector, purpose, reading: None }),
                        Effect::StartDelivery(connector, transaction) | Effect::RenewDelivery(connector, transaction) => {
                            play.step(Input::Delivery { connector, transaction, answer: DeliveryAnswer::Unreachable });
                        }
                        _ => {}
                    }
                },
                Move::PowerEnds(one) => {
                    let delivery = play.power.get(&connector(one)).map_or(TransactionId(0), |power| power.delivery);
                    play.power_ends(connector(one), delivery, StopCause::Vehicle);
                }
                Move::PowerAway(one) => play.step(Input::Power(connector(one), None)),
                Move::Meter(works) => play.meter_works = works,
                Move::Online(online) => play.step(Input::Link(if online { Link::Accepted } else { Link::Disconnected })),
                Move::Pass(millis) => {
                    play.now += millis;
                    play.register += millis;
                    play.step(Input::Wake);
                }
            }
        }
        // The driver goes, everything answers again, and time passes.
        play.meter_works = true;
        for connector in [ONE, TWO] {
            play.show_power(connector);
            let delivery = play.power.get(&connector).map_or(TransactionId(0), |power| power.delivery);
            play.power_ends(connector, delivery, StopCause::Unplugged);
            play.plug(connector, false);
        }
        play.settle();
        play.pass(200_000);
        let of_kind = |kind| play.events.iter().filter(|event| event.kind == kind).count();
        prop_assert_eq!(of_kind(EventKind::Started), of_kind(EventKind::Stopped));
        for connector in [ONE, TWO] {
            prop_assert_eq!(play.status(connector), ConnectorStatus::Available);
        }
    }
}
