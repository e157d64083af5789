//! What a broken car, a slow peer, a hurried driver and a clock of their own can do between two steps of a charge.

use super::matrix::fault;
use super::play::{ONE, Play, SETTINGS, TWO, accepted, idle, nothing_remembered, word};
use crate::authorization::{CentralWord, Known};
use crate::connector::Connector;
use crate::effect::{DeliveryAnswer, Effect, Purpose};
use crate::ledger::{ConnectorRecord, Entry};
use crate::rules::Rules;
use crate::schedule::Marks;
use crate::settings::Settings;
use crate::station::{Input, Output, Remembered, Station, Ticket};
use busbar_interfaces::metering::Reading;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::words::{
    AuthorizationSource, AuthorizationStatus, Availability, BadgeOutcome, ConnectorStatus, DecisionReason, EventKind,
    Link, Phase, Plug, ReservationVerdict, StopCause, StopReason, Verdict,
};
use busbar_interfaces::{
    BoottimeMillis, ConnectorId, Milliamperes, MilliwattHours, ReservationId, TransactionId, UnixMillis,
};
use std::collections::BTreeMap;
use std::time::Duration;

const STATION: ConnectorId = ConnectorId::STATION;

fn charging() -> Play {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.badge("TAG");
    play
}

/// A badge that is shown, and nothing carried out yet.
fn show(play: &mut Play, ticket: u64, id_tag: &str, shown: ConnectorId) {
    let valid_until = BoottimeMillis(play.now + 9_000);
    let (ticket, id_tag, known) = (Ticket(ticket), id_tag.to_owned(), Known::default());
    play.step(Input::Badge { ticket, id_tag, known, shown, valid_until });
}

/// The CSMS accepts every badge that it is asked about.
fn accept(play: &mut Play) {
    for (question, _) in std::mem::take(&mut play.questions) {
        play.step(Input::Authorized { question, answer: CentralWord::Said(accepted()) });
    }
}

/// A charge whose start is on its way to power.
fn starting() -> Play {
    let mut play = Play::new();
    play.plug(ONE, true);
    show(&mut play, 1, "TAG", ONE);
    accept(&mut play);
    play.pending.clear();
    play.carry_out(Effect::Latch(ONE, Purpose::Begin));
    play.pending.clear();
    play
}

fn answer(play: &mut Play, delivery: u64, answer: DeliveryAnswer) {
    play.step(Input::Delivery { connector: ONE, transaction: TransactionId(delivery), answer });
}

fn answered(play: &Play, ticket: u64) -> Vec<BadgeOutcome> {
    let of_ticket = |answer: &Output| match answer {
        Output::BadgeAnswer(Ticket(of), outcome, _) if *of == ticket => Some(*outcome),
        _ => None,
    };
    play.answers.iter().filter_map(of_ticket).collect()
}

fn reason(play: &Play) -> Option<StopReason> {
    play.events.iter().find(|event| event.kind == EventKind::Stopped).map(|event| event.reason)
}

fn tear_off(play: &mut Play) {
    play.unplug_unseen(ONE);
    let delivery = play.power[&ONE].delivery;
    play.power_ends(ONE, delivery, StopCause::Unplugged);
    play.settle();
}

/// A transaction that the ledger knows, of a process that has just started.
fn restored(play: &Play, settings: Settings, rules: Option<Rules>) -> Station {
    let entry = Entry {
        transaction: TransactionId(1),
        id_tag: "TAG".to_owned(),
        authorized_by: AuthorizationSource::Csms,
        parent_id_tag: String::new(),
        started: UnixMillis(1),
        started_energy: MilliwattHours(5),
        last_energy: MilliwattHours(6),
        delivery: TransactionId(1),
        register_offset: MilliwattHours(0),
        held: true,
        suspended: false,
        ending: None,
        stop_reason: None,
    };
    let began = play.moment();
    let marks = Marks { started: began.boottime, periodic: began.boottime, clock: began.unix };
    let record = ConnectorRecord { open: Some(entry), marks, ..ConnectorRecord::default() };
    let connectors = BTreeMap::from([(ONE, Connector::restore(ONE, record, began))]);
    let remembered = Remembered { rules, next_transaction: TransactionId(2), ..nothing_remembered() };
    Station::new(settings, connectors, remembered)
}

#[test]
fn nothing_begins_when_nobody_waits_for_it_any_more() {
    let mut play = Play::new();
    play.plug(ONE, true);
    show(&mut play, 1, "TAG", ONE);
    play.now += 8_400;
    accept(&mut play);
    play.now += 5_000;
    play.settle();
    assert_eq!((play.kinds(), answered(&play, 1)), (vec![], vec![BadgeOutcome::Refused]));
    assert_eq!(play.last_decision().reason, DecisionReason::TooLate);
}

#[test]
fn a_badge_that_is_shown_again_while_it_is_undecided_starts_one_charge() {
    for in_question in [true, false] {
        let mut play = Play::new();
        play.plug(ONE, true);
        play.plug(TWO, true);
        show(&mut play, 1, "TAG", ONE);
        if !in_question {
            accept(&mut play);
            play.pending.clear();
        }
        play.now += 8_000;
        show(&mut play, 2, "tag", ONE);
        accept(&mut play);
        play.pending.clear();
        play.carry_out(Effect::Latch(ONE, Purpose::Begin));
        play.settle();
        let starts: Vec<ConnectorId> = play.events.iter().map(|event| event.connector).collect();
        assert_eq!(starts, [ONE], "in question: {in_question}");
        assert_eq!(answered(&play, 1), [BadgeOutcome::Refused]);
        assert_eq!(answered(&play, 2), [BadgeOutcome::Starting]);
    }
}

#[test]
fn no_number_of_a_delivery_is_given_twice() {
    let mut play = charging();
    play.follow(Rules { stop_on_unplug: false, ..play.rules.clone() });
    tear_off(&mut play);
    play.plug(ONE, true);
    play.settle();
    assert_eq!(play.power[&ONE].delivery, TransactionId(2));
    tear_off(&mut play);
    play.restart();
    play.plug(ONE, true);
    play.settle();
    assert_eq!((play.power[&ONE].delivery, play.status(ONE)), (TransactionId(3), ConnectorStatus::Charging));
}

#[test]
fn case_10_a_renewal_in_the_middle_of_a_stop_does_not_decide_the_reason() {
    for (stays, expected) in [(false, Some(StopReason::EvDisconnected)), (true, None)] {
        let mut play = charging();
        play.follow(Rules { stop_on_unplug: !stays, ..play.rules.clone() });
        play.unplug_unseen(ONE);
        play.power.get_mut(&ONE).expect("a connector").phase = Phase::Stopping;
        play.show_power(ONE);
        play.now += 10_000;
        play.step(Input::Wake);
        play.pending.clear();
        answer(&mut play, 1, DeliveryAnswer::Over("it is being stopped".to_owned()));
        play.power_ends(ONE, TransactionId(1), StopCause::Unplugged);
        play.settle();
        play.pass(5_000);
        assert_eq!(reason(&play), expected, "stays: {stays}");
    }
}

#[test]
fn a_delivery_that_power_denies_for_long_is_over() {
    let mut play = charging();
    let mut shown = play.power[&ONE].clone();
    shown.delivery = TransactionId(0);
    play.power.insert(ONE, shown);
    play.pass(30_000);
    assert_eq!(reason(&play), Some(StopReason::Other));
}

#[test]
fn after_a_restart_power_is_looked_at_before_it_is_asked() {
    let play = Play::new();
    let mut station = restored(&play, SETTINGS, Some(Rules { stop_on_unplug: false, ..play.rules.clone() }));
    let asks = |outputs: &[Output]| outputs.contains(&Output::Connector(Effect::RenewDelivery(ONE, TransactionId(1))));
    assert!(!asks(&station.step(play.moment(), Input::Wake)));
    let view = PowerConnectorState { plug: Plug::Plugged, delivery: TransactionId(1), ..idle() };
    assert!(asks(&station.step(play.moment(), Input::Power(ONE, Some(Box::new(view))))));
}

#[test]
fn case_10_a_cable_that_is_out_before_power_takes_the_start() {
    let mut play = starting();
    play.plug(ONE, false);
    answer(&mut play, 1, DeliveryAnswer::Over("no vehicle is plugged in".to_owned()));
    play.settle();
    assert_eq!(reason(&play), Some(StopReason::EvDisconnected));

    // In a transaction that stays it is nothing new.
    let mut play = charging();
    play.follow(Rules { stop_on_unplug: false, ..play.rules.clone() });
    tear_off(&mut play);
    play.plug(ONE, true);
    play.plug(ONE, false);
    play.settle();
    play.pass(15_000);
    assert_eq!((play.status(ONE), reason(&play)), (ConnectorStatus::SuspendedEv, None));
    play.plug(ONE, true);
    play.settle();
    assert_eq!(play.status(ONE), ConnectorStatus::Charging);
}

#[test]
fn free_charging_starts_after_a_restart_by_itself() {
    let mut play = Play::new();
    play.follow(Rules { badge_needed: false, ..play.rules.clone() });
    play.power.get_mut(&TWO).expect("a connector").plug = Plug::Plugged;
    play.restart();
    play.settle();
    assert_eq!(play.status(TWO), ConnectorStatus::Charging);
}

#[test]
fn the_meter_is_asked_at_the_end_however_short_its_time_is() {
    let settings = Settings { delivery_lease: Duration::from_secs(30), meter_wait: Duration::from_secs(1) };
    let play = Play::new();
    let mut station = restored(&play, settings, Some(play.rules.clone()));
    let mut now = play.moment();
    let (ticket, transaction) = (Ticket(1), TransactionId(1));
    station.step(now, Input::Stop { ticket, transaction, reason: StopReason::Remote });
    let mut asked = false;
    for _ in 0..40 {
        now.boottime.0 += 1_000;
        asked |= station.step(now, Input::Wake).contains(&Output::Connector(Effect::Latch(ONE, Purpose::End)));
    }
    assert!(asked);
}

#[test]
fn case_11_a_meter_that_was_exchanged_is_counted_on_over_a_restart() {
    let mut play = Play::new();
    play.register = 9_000_000;
    play.plug(ONE, true);
    play.badge("TAG");
    play.pass(10_000);
    play.register = 0;
    play.pass(20_000);
    let counted = |play: &Play| play.events.last().expect("a sample").energy_milliwatt_hours.0;
    let before = counted(&play);
    play.register += 8_000;
    play.restart();
    play.pass(10_000);
    assert_eq!((counted(&play) - before, play.irregular.len()), (18_000, 1));
}

#[test]
fn a_vehicle_that_was_charged_has_to_be_unplugged_also_when_power_was_away_at_the_end() {
    let play = Play::new();
    let mut station = restored(&play, SETTINGS, Some(Rules { badge_needed: false, ..play.rules.clone() }));
    let mut now = play.moment();
    station.step(now, Input::Faults(Vec::new()));
    let (ticket, transaction) = (Ticket(1), TransactionId(1));
    station.step(now, Input::Stop { ticket, transaction, reason: StopReason::Remote });
    now.boottime.0 += 36_000;
    station.step(now, Input::Wake);
    let energy_milliwatt_hours = MilliwattHours(5_000);
    let sampled_boottime_millis = now.boottime;
    let reading = Some(Reading { energy_milliwatt_hours, sampled_boottime_millis, ..Reading::default() });
    station.step(now, Input::Latched { connector: ONE, purpose: Purpose::End, reading });
    let plugged = PowerConnectorState { plug: Plug::Plugged, ..idle() };
    let outputs = station.step(now, Input::Power(ONE, Some(Box::new(plugged))));
    assert_eq!(outputs, [], "no charge begins by itself");
    let status = station.connectors().next().expect("one").1.state(now).status;
    assert_eq!(status, ConnectorStatus::Finishing);
}

#[test]
fn case_26_a_remote_start_anywhere_asks_whether_its_driver_is_of_the_group() {
    let mut play = Play::new();
    play.follow(Rules { authorize_remote: false, ..play.rules.clone() });
    play.plug(TWO, true);
    show(&mut play, 1, "CARL", TWO);
    play.settle();
    play.reserve_for(1, ONE, ("ANNA", "FLEET"), 3_600_000);
    play.central.insert("BERT".to_owned(), word(AuthorizationStatus::Accepted, "FLEET"));
    assert_eq!(play.remote_start_of("BERT", STATION), Some(Verdict::Accepted));
    play.settle();
    play.plug(ONE, true);
    play.settle();
    assert_eq!(play.events.last().map(|event| event.reservation.as_slice()), Some([ReservationId(1)].as_slice()));
}

#[test]
fn case_26_whoever_has_a_reservation_of_his_own_leaves_the_one_of_his_group() {
    let mut play = Play::new();
    assert_eq!(play.reserve_for(5, STATION, ("ANNA", "FLEET"), 3_600_000), Some(ReservationVerdict::Accepted));
    assert_eq!(play.reserve(6, STATION, "BERT"), Some(ReservationVerdict::Accepted));
    play.central.insert("BERT".to_owned(), word(AuthorizationStatus::Accepted, "FLEET"));
    play.plug(ONE, true);
    play.badge("BERT");
    assert_eq!(play.events[0].reservation, [ReservationId(6)]);
    play.plug(TWO, true);
    show(&mut play, 7, "ANNA", TWO);
    play.settle();
    assert_eq!(answered(&play, 7), [BadgeOutcome::Starting]);
}

#[test]
fn case_b9_a_power_that_is_gone_for_good_ends_the_charge_and_is_no_free_connector() {
    let mut play = charging();
    play.pass(5_000);
    play.power_hangs = true;
    play.step(Input::Power(ONE, None));
    play.step(Input::Power(TWO, None));
    play.pass(30_000);
    assert_eq!((play.status(ONE), play.status(TWO)), (ConnectorStatus::Charging, ConnectorStatus::Available));
    play.pass(6_000);
    assert_eq!((play.status(ONE), play.status(TWO)), (ConnectorStatus::Faulted, ConnectorStatus::Faulted));
    play.pass(60_000);
    assert_eq!(reason(&play), Some(StopReason::Other));
    let back = PowerConnectorState { plug: Plug::Plugged, ..idle() };
    play.power.insert(ONE, back);
    play.show_power(ONE);
    play.show_power(TWO);
    assert_eq!((play.status(ONE), play.status(TWO)), (ConnectorStatus::Finishing, ConnectorStatus::Available));
}

#[test]
fn without_keys_the_lease_is_renewed_and_nothing_spins() {
    let play = Play::new();
    let mut station = restored(&play, SETTINGS, None);
    let now = play.moment();
    let view = PowerConnectorState { plug: Plug::Plugged, delivery: TransactionId(1), ..idle() };
    let outputs = station.step(now, Input::Power(ONE, Some(Box::new(view))));
    assert!(outputs.contains(&Output::Connector(Effect::RenewDelivery(ONE, TransactionId(1)))));
    assert!(station.next_wake(now).is_none_or(|wake| wake > now.boottime));
}

#[test]
fn a_view_that_is_older_than_powers_answer_ends_nothing() {
    let mut play = starting();
    play.step(Input::Power(ONE, None));
    answer(&mut play, 1, DeliveryAnswer::Unreachable);
    answer(&mut play, 1, DeliveryAnswer::Held);
    let before_the_start = PowerConnectorState { plug: Plug::Plugged, ..idle() };
    play.step(Input::Power(ONE, Some(Box::new(before_the_start))));
    assert!(play.endings.is_empty());
}

#[test]
fn a_question_goes_with_the_vehicle_that_it_was_about() {
    let mut play = Play::new();
    play.plug(ONE, true);
    show(&mut play, 1, "TAG", ONE);
    play.plug(ONE, false);
    assert_eq!(answered(&play, 1), [BadgeOutcome::NoVehicle]);
    play.plug(ONE, true);
    play.settle();
    assert_eq!(play.kinds(), [], "the next vehicle is another's");
}

#[test]
fn a_badge_does_not_end_the_other_charge_while_the_shown_connector_is_being_decided() {
    let mut play = Play::new();
    play.plug(TWO, true);
    show(&mut play, 1, "TAG", TWO);
    play.settle();
    play.plug(ONE, true);
    play.remote_start_of("X", ONE);
    show(&mut play, 2, "TAG", ONE);
    assert_eq!(answered(&play, 2), [BadgeOutcome::Refused]);
    assert!(play.endings.is_empty());
}

#[test]
fn tc_069_a_word_without_a_group_leaves_the_one_that_is_known() {
    let mut play = Play::new();
    for badge in ["ANNA", "BERT"] {
        play.central.insert(badge.to_owned(), word(AuthorizationStatus::Accepted, "FLEET"));
    }
    play.plug(ONE, true);
    play.badge("ANNA");
    play.step(Input::Learn { ticket: Ticket(90), id_tag: "ANNA".to_owned(), authorization: accepted() });
    assert_eq!(play.badge("BERT"), Some(BadgeOutcome::Stopping));
}

#[test]
fn a_suspended_transaction_whose_start_was_denied_ends_at_once() {
    let mut play = starting();
    play.follow(Rules { stop_on_invalid_badge: false, ..play.rules.clone() });
    play.deauthorize(1);
    play.pending.clear();
    answer(&mut play, 1, DeliveryAnswer::NotReady("the hardware has not answered".to_owned()));
    play.pass(10_000);
    play.badge("TAG");
    play.pass(3_000);
    assert_eq!(reason(&play), Some(StopReason::Local));
}

#[test]
fn case_23_while_a_charge_ends_it_shows_what_it_did_before() {
    // Power could flow, and none did.
    let mut play = starting();
    let power = play.power.get_mut(&ONE).expect("a connector");
    (power.delivery, power.phase) = (TransactionId(1), Phase::Delivering);
    power.output_milliamperes = Milliamperes(0);
    play.show_power(ONE);
    assert_eq!(play.status(ONE), ConnectorStatus::Charging);
    play.power.get_mut(&ONE).expect("a connector").phase = Phase::Stopping;
    play.show_power(ONE);
    assert_eq!(play.status(ONE), ConnectorStatus::Charging);

    // A badge that turns out to be bad while its charge ends.
    let mut play = charging();
    play.follow(Rules { stop_on_invalid_badge: false, ..play.rules.clone() });
    play.power_hangs = true;
    let (ticket, transaction) = (Ticket(3), TransactionId(1));
    play.step(Input::Stop { ticket, transaction, reason: StopReason::Remote });
    assert_eq!(play.deauthorize(1), Some(Verdict::Accepted));
    assert_eq!(play.status(ONE), ConnectorStatus::Charging);
}

#[test]
fn case_b24_the_stations_availability_is_the_same_after_a_restart() {
    let mut play = Play::new();
    play.order(STATION, Availability::Inoperative);
    play.order(ONE, Availability::Operative);
    play.plug(ONE, true);
    play.badge("TAG");
    play.order(ONE, Availability::Inoperative);
    let before = play.station.availability();
    play.restart();
    assert_eq!((before, play.station.availability()), (Availability::Inoperative, Availability::Inoperative));

    // One that waits goes on waiting.
    let mut play = charging();
    play.order(STATION, Availability::Inoperative);
    play.restart();
    assert_eq!(play.station.availability(), Availability::Operative);
}

#[test]
fn case_10_of_several_faults_the_emergency_stop_is_the_reason() {
    let mut play = charging();
    play.faults(vec![fault("0x100101", ONE), fault("0x100202", STATION)]);
    play.settle();
    assert_eq!(reason(&play), Some(StopReason::EmergencyStop));
}

#[test]
fn case_b8_a_reading_is_dated_by_the_meter_and_an_old_one_is_none() {
    let mut play = charging();
    let started = play.events[0].boottime_millis;
    play.now += 12_000;
    play.step(Input::Wake);
    play.pending.clear();
    let read = |sampled: u64| {
        let (energy_milliwatt_hours, sampled_boottime_millis) = (MilliwattHours(6_000), BoottimeMillis(sampled));
        let sampled_unix_millis = UnixMillis(100_000_000 + sampled);
        Some(Reading { energy_milliwatt_hours, sampled_boottime_millis, sampled_unix_millis, ..Reading::default() })
    };
    for (age, taken) in [(6_000, false), (0, true)] {
        let sampled = started.0 + 12_000 - age;
        play.step(Input::Latched { connector: ONE, purpose: Purpose::Sample, reading: read(sampled) });
        assert_eq!(play.events.len() == 2, taken, "{age} ms old");
        play.now += 300;
        play.step(Input::Wake);
    }
    assert_eq!(play.events[1].boottime_millis, BoottimeMillis(started.0 + 12_000), "when it was read");
}

#[test]
fn the_link_comes_and_goes_while_a_badge_is_asked_about() {
    let mut play = Play::new();
    play.plug(ONE, true);
    show(&mut play, 1, "TAG", ONE);
    play.step(Input::Link(Link::Disconnected));
    let (question, _) = play.questions.pop().expect("a question");
    play.step(Input::Authorized { question, answer: CentralWord::Unreachable });
    play.settle();
    assert_eq!(answered(&play, 1), [BadgeOutcome::Starting], "by the offline rules");
    play.step(Input::Authorized { question, answer: CentralWord::Said(word(AuthorizationStatus::Invalid, "")) });
    assert!(play.endings.is_empty(), "an answer that comes twice says nothing");
}

#[test]
fn case_23_a_wish_that_is_heard_after_the_first_current_is_no_pause() {
    let mut play = starting();
    for (requested, output) in [(0, 0), (0, 5_000), (100_000, 50_000), (100_000, 100_000)] {
        let power = play.power.get_mut(&ONE).expect("a connector");
        (power.delivery, power.phase) = (TransactionId(1), Phase::Delivering);
        (power.requested_milliamperes, power.output_milliamperes) = (Milliamperes(requested), Milliamperes(output));
        play.show_power(ONE);
        assert_eq!(play.status(ONE), ConnectorStatus::Charging, "{requested} mA wanted, {output} mA flow");
    }
    play.power.get_mut(&ONE).expect("a connector").requested_milliamperes = Milliamperes(0);
    play.show_power(ONE);
    assert_eq!(play.status(ONE), ConnectorStatus::SuspendedEv);
}

#[test]
fn case_23_a_vehicle_whose_wish_came_and_went_unseen_pauses() {
    let mut play = starting();
    let power = play.power.get_mut(&ONE).expect("a connector");
    (power.delivery, power.phase) = (TransactionId(1), Phase::Delivering);
    power.output_milliamperes = Milliamperes(12);
    play.show_power(ONE);
    play.pass(1_000);
    assert_eq!(play.status(ONE), ConnectorStatus::Charging);
    play.pass(1_000);
    assert_eq!(play.status(ONE), ConnectorStatus::SuspendedEv);
    play.power.get_mut(&ONE).expect("a connector").requested_milliamperes = Milliamperes(12);
    play.show_power(ONE);
    assert_eq!(play.status(ONE), ConnectorStatus::Charging);
}
