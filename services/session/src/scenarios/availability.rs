//! Orders in and out of service: ChangeAvailability of OCPP 1.6, and what stands in its way.

use super::play::{ONE, Play, TWO};
use crate::authorization::Known;
use crate::station::{Input, Output, Ticket};
use busbar_interfaces::faults::ActiveFault;
use busbar_interfaces::words::{
    Availability, AvailabilityVerdict, BadgeOutcome, ConnectorStatus, DecisionReason, EventKind, FaultClass,
    StopReason, Verdict,
};
use busbar_interfaces::{BoottimeMillis, ConnectorId, TransactionId, UnixMillis};

const STATION: ConnectorId = ConnectorId::STATION;
const OPERATIVE: Availability = Availability::Operative;
const INOPERATIVE: Availability = Availability::Inoperative;
const ACCEPTED: Option<AvailabilityVerdict> = Some(AvailabilityVerdict::Accepted);
const SCHEDULED: Option<AvailabilityVerdict> = Some(AvailabilityVerdict::Scheduled);

#[test]
fn case_21_an_idle_connector_changes_at_once_and_its_neighbour_does_not() {
    let mut play = Play::new();
    for _ in 0..2 {
        assert_eq!(play.order(ONE, INOPERATIVE), ACCEPTED, "repeating it is harmless");
        assert_eq!(play.status(ONE), ConnectorStatus::Unavailable);
        assert_eq!(play.status(TWO), ConnectorStatus::Available);
        assert_eq!(play.station.availability(), OPERATIVE);
    }
    for _ in 0..2 {
        assert_eq!(play.order(ONE, OPERATIVE), ACCEPTED);
        assert_eq!(play.status(ONE), ConnectorStatus::Available);
    }
    assert_eq!(play.order(ConnectorId(3), INOPERATIVE), Some(AvailabilityVerdict::Rejected));
    assert_eq!(play.inoperative.len(), 1, "nothing is written of a connector that there is not");
}

#[test]
fn case_21_an_order_waits_for_the_transaction_and_nobody_sees_available_in_between() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.badge("TAG");
    assert_eq!(play.order(ONE, INOPERATIVE), SCHEDULED);
    assert_eq!(play.order(ONE, INOPERATIVE), SCHEDULED);
    assert_eq!(play.status(ONE), ConnectorStatus::Charging);
    assert_eq!(play.availability(ONE), (INOPERATIVE, true));
    assert_eq!(play.inoperative.get(&ONE), Some(&true), "on disk before it is answered");
    let shown = play.statuses.len();
    play.badge("TAG");
    assert_eq!(play.statuses_since(shown), [(ONE, ConnectorStatus::Unavailable)]);
    assert_eq!(play.availability(ONE), (INOPERATIVE, false));
    play.plug(ONE, false);
    assert_eq!(play.statuses_since(shown), [(ONE, ConnectorStatus::Unavailable)]);
    play.order(ONE, OPERATIVE);
    assert_eq!(play.status(ONE), ConnectorStatus::Available);
}

#[test]
fn case_b39_a_vehicle_that_is_torn_off_ends_in_unavailable_without_a_detour() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.badge("TAG");
    play.order(STATION, INOPERATIVE);
    let shown = play.statuses.len();
    play.plug(ONE, false);
    play.step(Input::Stop { ticket: Ticket(1), transaction: TransactionId(1), reason: StopReason::EvDisconnected });
    play.settle();
    assert_eq!(play.kinds(), [EventKind::Started, EventKind::Stopped]);
    assert_eq!(play.statuses_since(shown), [(ONE, ConnectorStatus::Unavailable)]);
}

#[test]
fn case_21_an_order_for_the_station_reaches_idle_connectors_at_once_and_the_others_at_their_end() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.badge("TAG");
    assert_eq!(play.order(STATION, INOPERATIVE), SCHEDULED);
    assert_eq!(play.status(TWO), ConnectorStatus::Unavailable);
    assert_eq!(play.status(ONE), ConnectorStatus::Charging);
    assert_eq!(play.station.availability(), OPERATIVE, "the station waits for the charge that it lets finish");
    play.badge("TAG");
    assert_eq!(play.status(ONE), ConnectorStatus::Unavailable);
    assert_eq!(play.station.availability(), INOPERATIVE);
    assert_eq!(play.order(STATION, OPERATIVE), ACCEPTED);
    assert_eq!(play.station.availability(), OPERATIVE);
    assert_eq!([play.status(ONE), play.status(TWO)], [ConnectorStatus::Finishing, ConnectorStatus::Available]);
}

#[test]
fn case_21_a_later_order_for_one_connector_leaves_the_stations_own_alone() {
    let mut play = Play::new();
    assert_eq!(play.order(STATION, INOPERATIVE), ACCEPTED);
    assert_eq!(play.order(TWO, OPERATIVE), ACCEPTED);
    assert_eq!(play.station.availability(), INOPERATIVE);
    assert_eq!([play.status(ONE), play.status(TWO)], [ConnectorStatus::Unavailable, ConnectorStatus::Available]);
    play.plug(TWO, true);
    assert_eq!(play.badge("TAG"), Some(BadgeOutcome::Starting));
    assert_eq!(play.order(STATION, INOPERATIVE), SCHEDULED);
    assert_eq!(play.station.availability(), INOPERATIVE, "what holds already does not wait");
    play.restart();
    play.badge("TAG");
    assert_eq!(play.station.availability(), INOPERATIVE);
    assert_eq!(play.status(TWO), ConnectorStatus::Unavailable);
}

#[test]
fn case_21_an_operative_order_cancels_one_that_waits() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.badge("TAG");
    assert_eq!(play.order(STATION, INOPERATIVE), SCHEDULED);
    assert_eq!(play.order(STATION, OPERATIVE), ACCEPTED);
    assert_eq!(play.availability(ONE), (OPERATIVE, false));
    play.badge("TAG");
    assert_eq!(play.status(ONE), ConnectorStatus::Finishing);
    assert_eq!(play.status(TWO), ConnectorStatus::Available);
}

#[test]
fn case_b10_an_order_while_the_meter_is_read_for_the_begin_lets_nothing_begin() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.meter_works = false;
    play.badge("TAG");
    let shown = play.statuses.len();
    assert_eq!(play.order(ONE, INOPERATIVE), ACCEPTED);
    assert!(play.answers.contains(&Output::BadgeAnswer(Ticket(0), BadgeOutcome::OutOfService, ONE)));
    assert_eq!(play.last_decision().reason, DecisionReason::Unavailable);
    play.meter_works = true;
    play.pass(10_000);
    assert_eq!(play.statuses_since(shown), [(ONE, ConnectorStatus::Unavailable)]);
    assert_eq!(play.events, [], "a transaction that has not begun is not let finish");
}

#[test]
fn an_inoperative_connector_starts_nothing() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.order(ONE, INOPERATIVE);
    assert_eq!(play.badge("TAG"), Some(BadgeOutcome::OutOfService));
    assert_eq!(play.remote_start(ONE), Some(Verdict::Rejected));
    play.order(STATION, INOPERATIVE);
    assert_eq!(play.remote_start(STATION), Some(Verdict::Rejected));
    play.plug(ONE, false);
    assert_eq!(play.badge("TAG"), Some(BadgeOutcome::OutOfService), "there is nowhere to plug in");
    play.order(ONE, OPERATIVE);
    play.plug(ONE, true);
    assert_eq!(play.badge("TAG"), Some(BadgeOutcome::Starting));
}

#[test]
fn free_charging_respects_the_order_too_and_begins_when_it_is_lifted() {
    let mut play = Play::new();
    play.step(Input::Rules(crate::rules::Rules { badge_needed: false, ..Default::default() }));
    play.order(ONE, INOPERATIVE);
    play.plug(ONE, true);
    play.settle();
    assert!(play.events.is_empty());
    play.order(ONE, OPERATIVE);
    play.settle();
    assert_eq!(play.kinds(), [EventKind::Started]);
}

#[test]
fn a_badge_that_was_being_checked_when_the_order_came_starts_nothing() {
    let mut play = Play::new();
    play.plug(ONE, true);
    let valid_until = BoottimeMillis(u64::MAX);
    play.step(Input::Badge {
        ticket: Ticket(5),
        id_tag: "TAG".to_owned(),
        known: Known::default(),
        shown: ONE,
        valid_until,
    });
    assert_eq!(play.order(ONE, INOPERATIVE), ACCEPTED);
    play.settle();
    assert!(play.events.is_empty());
    assert_eq!(play.answers.last(), Some(&Output::BadgeAnswer(Ticket(5), BadgeOutcome::OutOfService, ONE)));
}

#[test]
fn a_driver_who_is_awaited_is_dropped_by_the_order() {
    for (target, order) in [(ONE, ONE), (ONE, STATION), (STATION, STATION)] {
        let mut play = Play::new();
        assert_eq!(play.remote_start(target), Some(Verdict::Accepted));
        play.settle();
        assert_eq!(play.order(order, INOPERATIVE), ACCEPTED);
        assert_eq!(play.status(ONE), ConnectorStatus::Unavailable);
        play.order(order, OPERATIVE);
        play.plug(ONE, true);
        play.settle();
        assert!(play.events.is_empty(), "{target} {order}");
        assert_eq!(play.status(ONE), ConnectorStatus::Preparing);
    }
}

#[test]
fn a_fault_beats_an_order_and_the_order_is_there_again_behind_it() {
    let mut play = Play::new();
    play.order(ONE, INOPERATIVE);
    let fault = ActiveFault {
        code: "0x100206".to_owned(),
        connector: ONE,
        class: FaultClass::Stop,
        error_code: "GroundFailure".to_owned(),
        title: String::new(),
        detail: String::new(),
        since_unix_millis: UnixMillis(0),
    };
    play.step(Input::Faults(vec![fault]));
    assert_eq!(play.status(ONE), ConnectorStatus::Faulted);
    play.step(Input::Faults(Vec::new()));
    assert_eq!(play.status(ONE), ConnectorStatus::Unavailable);
}

#[test]
fn case_b24_tc_013_tc_014_an_order_outlives_a_restart_and_is_lifted_after_it() {
    let mut play = Play::new();
    play.order(ONE, INOPERATIVE);
    let shown = play.statuses.len();
    play.restart();
    let first: Vec<_> = play.statuses_since(shown).into_iter().filter(|(id, _)| *id == ONE).collect();
    assert_eq!(first, [(ONE, ConnectorStatus::Unknown), (ONE, ConnectorStatus::Unavailable)]);
    play.order(ONE, OPERATIVE);
    assert_eq!(play.status(ONE), ConnectorStatus::Available);
}

#[test]
fn tc_034_the_whole_station_is_still_unavailable_after_a_power_failure() {
    let mut play = Play::new();
    play.order(STATION, INOPERATIVE);
    play.restart();
    assert_eq!(play.station.availability(), INOPERATIVE);
    assert_eq!([play.status(ONE), play.status(TWO)], [ConnectorStatus::Unavailable; 2]);
    assert_eq!(play.remote_start(TWO), Some(Verdict::Rejected));
}

#[test]
fn case_b24_an_order_that_waits_outlives_a_restart_in_the_middle_of_the_charge() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.badge("TAG");
    play.order(STATION, INOPERATIVE);
    play.restart();
    play.settle();
    assert_eq!(play.availability(ONE), (INOPERATIVE, true));
    assert_eq!(play.station.availability(), OPERATIVE);
    assert_eq!(play.badge("TAG"), Some(BadgeOutcome::Stopping));
    assert_eq!(play.status(ONE), ConnectorStatus::Unavailable);
    assert_eq!(play.station.availability(), INOPERATIVE);
}
