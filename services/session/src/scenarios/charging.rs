//! Charges from the badge to the last reading.

use super::play::{ONE, Play, SETTINGS, TWO, accepted, idle, nothing_remembered};
use crate::authorization::{CentralWord, Known};
use crate::connector::Connector;
use crate::effect::{DeliveryAnswer, Effect, Purpose};
use crate::ledger::ConnectorRecord;
use crate::rules::Rules;
use crate::station::{Input, Output, Remembered, Station, Ticket};
use busbar_interfaces::faults::ActiveFault;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::words::{
    AuthorizationSource, BadgeOutcome, ConnectorStatus, EventKind, FaultClass, Plug, StopReason, Verdict,
};
use busbar_interfaces::{BoottimeMillis, ConnectorId, MilliwattHours, TransactionId, UnixMillis};
use std::collections::BTreeMap;

fn remembered(rules: Option<Rules>, next_transaction: u64) -> Remembered {
    Remembered { rules, next_transaction: TransactionId(next_transaction), ..nothing_remembered() }
}

#[test]
fn tc_068_case_b14_a_badge_starts_and_the_same_badge_stops_and_the_start_is_on_disk_before_energy_flows() {
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
    play.station = Station::new(SETTINGS, connectors, remembered(None, 1));
    assert_eq!(play.status(ONE), ConnectorStatus::Unknown, "nothing is guessed before the peers were heard");
    play.step(Input::Faults(Vec::new()));
    play.plug(ONE, true);
    assert_eq!(play.status(ONE), ConnectorStatus::Preparing);
    assert_ne!(play.badge("TAG"), Some(BadgeOutcome::Starting));
    play.step(Input::RemoteStart {
        ticket: Ticket(50),
        connector: ONE,
        id_tag: "R".to_owned(),
        known: Known::default(),
    });
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
        play.step(Input::RemoteStart {
            ticket: Ticket(ticket),
            connector,
            id_tag: format!("R{ticket}"),
            known: Known::default(),
        });
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
        parent_id_tag: String::new(),
        authorized_by: AuthorizationSource::Csms,
        delivery: TransactionId(3),
        register_offset: MilliwattHours(0),
        suspended: false,
        started: UnixMillis(100_001_000),
        started_energy: MilliwattHours(5_000),
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
        play.station = Station::new(SETTINGS, connectors, remembered(Some(Rules::default()), 4));
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

/// Begins a charge and leaves power's part undone.
fn begun() -> Play {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.step(Input::Badge {
        ticket: Ticket(1),
        id_tag: "TAG".to_owned(),
        known: Known::default(),
        shown: ONE,
        valid_until: BoottimeMillis(play.now + 9_000),
    });
    let answer = CentralWord::Said(accepted());
    play.step(Input::Authorized { question: play.questions[0].0, answer });
    play.carry_out(Effect::Latch(ONE, Purpose::Begin));
    play.pending.retain(|effect| matches!(effect, Effect::StartDelivery(..)));
    assert_eq!(play.pending, [Effect::StartDelivery(ONE, TransactionId(1))]);
    play
}

fn meter_is_read_for_the_end(play: &Play) -> bool {
    play.pending.contains(&Effect::Latch(ONE, Purpose::End))
}

#[test]
fn case_b10_an_end_right_after_the_begin_waits_until_power_has_said_what_became_of_it() {
    let stop = Input::Stop { ticket: Ticket(2), transaction: TransactionId(1), reason: StopReason::Local };
    let mut play = begun();
    play.step(stop);
    assert!(!meter_is_read_for_the_end(&play), "the start is still on its way to power");
    // Power takes the start, says so, and has not shown it yet.
    play.power.get_mut(&ONE).expect("a connector").delivery = TransactionId(1);
    let idle_view = PowerConnectorState { plug: Plug::Plugged, ..idle() };
    play.step(Input::Delivery { connector: ONE, transaction: TransactionId(1), answer: DeliveryAnswer::Held });
    play.step(Input::Power(ONE, Some(Box::new(idle_view))));
    assert!(!meter_is_read_for_the_end(&play), "what power shows is older than what it said");
    play.show_power(ONE);
    play.register = 6_000;
    play.settle();
    play.pass(3_000);
    assert_eq!(play.kinds(), [EventKind::Started, EventKind::Stopped]);
    assert_eq!(play.events[1].energy_milliwatt_hours, MilliwattHours(6_000), "to the last of what flowed");
    assert_eq!(play.power[&ONE].delivery, TransactionId(0));
}

#[test]
fn an_end_before_power_was_asked_with_success_is_an_end() {
    let mut play = begun();
    play.step(Input::Stop { ticket: Ticket(2), transaction: TransactionId(1), reason: StopReason::Local });
    play.pending.clear();
    let refused = DeliveryAnswer::Over("the vehicle has gone".to_owned());
    play.step(Input::Delivery { connector: ONE, transaction: TransactionId(1), answer: refused });
    assert!(meter_is_read_for_the_end(&play));
    play.settle();
    assert_eq!(play.kinds(), [EventKind::Started, EventKind::Stopped]);
}

#[test]
fn a_delivery_of_which_no_transaction_runs_is_stopped() {
    let mut play = Play::new();
    play.plug(ONE, true);
    let power = play.power.get_mut(&ONE).expect("a connector");
    power.delivery = TransactionId(7);
    let stray = Input::Power(ONE, Some(Box::new(power.clone())));
    play.endings.insert(TransactionId(7), StopReason::Local);
    play.step(stray);
    assert_eq!(play.pending, [Effect::StopDelivery(ONE, TransactionId(7))]);
    play.settle();
    assert_eq!(play.power[&ONE].delivery, TransactionId(0));
}
