//! Reservations: ReserveNow and CancelReservation of OCPP 1.6, who may use them, and when they end.

use super::matrix::fault;
use super::play::{ONE, Play, TWO, word};
use crate::rules::Rules;
use crate::station::Input;
use busbar_interfaces::words::{
    AuthorizationStatus, Availability, BadgeOutcome, ConnectorStatus, DecisionReason, EventKind, Link,
    ReservationVerdict, Verdict,
};
use busbar_interfaces::{ConnectorId, ReservationId};

const STATION: ConnectorId = ConnectorId::STATION;
const ACCEPTED: Option<ReservationVerdict> = Some(ReservationVerdict::Accepted);
const HOUR_MILLIS: u64 = 3_600_000;

fn of_start(play: &Play) -> Option<(&str, ConnectorId, &[ReservationId])> {
    let start = play.events.iter().find(|event| event.kind == EventKind::Started)?;
    Some((start.id_tag.as_str(), start.connector, start.reservation.as_slice()))
}

#[test]
fn tc_046_1_only_the_driver_of_a_reserved_connector_starts_there_with_its_number() {
    let mut play = Play::new();
    assert_eq!(play.reserve(-3, ONE, "ANNA"), ACCEPTED);
    assert_eq!(play.status(ONE), ConnectorStatus::Reserved);
    play.plug(ONE, true);
    assert_eq!(play.badge("BERT"), Some(BadgeOutcome::Refused));
    assert_eq!(play.last_decision().reason, DecisionReason::Reserved);
    assert_eq!(play.badge("anna"), Some(BadgeOutcome::Starting));
    assert_eq!(of_start(&play), Some(("anna", ONE, [ReservationId(-3)].as_slice())));
    assert!(play.reserved.is_empty(), "used up");
    play.badge("anna");
    play.plug(ONE, false);
    assert_eq!(play.status(ONE), ConnectorStatus::Available);
}

#[test]
fn tc_046_2_likewise_by_a_remote_start() {
    let mut play = Play::new();
    play.reserve(0, ONE, "ANNA");
    play.plug(ONE, true);
    assert_eq!(play.remote_start_of("BERT", ONE), Some(Verdict::Rejected));
    assert_eq!(play.remote_start_of("ANNA", ONE), Some(Verdict::Accepted));
    play.settle();
    assert_eq!(of_start(&play), Some(("ANNA", ONE, [ReservationId(0)].as_slice())));
}

#[test]
fn a_remote_start_without_a_connector_goes_where_its_driver_may_charge() {
    let mut play = Play::new();
    play.reserve(1, ONE, "ANNA");
    play.plug(ONE, true);
    play.plug(TWO, true);
    assert_eq!(play.remote_start_of("BERT", STATION), Some(Verdict::Accepted));
    play.settle();
    assert_eq!(of_start(&play), Some(("BERT", TWO, [].as_slice())));

    let mut play = Play::new();
    play.reserve(1, ONE, "ANNA");
    assert_eq!(play.remote_start_of("BERT", STATION), Some(Verdict::Accepted));
    play.settle();
    play.plug(ONE, true);
    play.settle();
    assert_eq!(of_start(&play), None, "not where it is kept for somebody else");
    play.plug(TWO, true);
    play.settle();
    assert_eq!(of_start(&play), Some(("BERT", TWO, [].as_slice())));
}

#[test]
fn tc_047_a_reservation_ends_at_its_end_also_when_the_clock_is_set() {
    let mut play = Play::new();
    play.reserve(1, ONE, "ANNA");
    play.pass(HOUR_MILLIS - 1);
    assert_eq!(play.status(ONE), ConnectorStatus::Reserved);
    play.pass(1);
    assert_eq!(play.status(ONE), ConnectorStatus::Available);
    assert!(play.reserved.is_empty());

    play.reserve(1, ONE, "ANNA");
    play.wall_offset = 2 * 3_600_000;
    play.pass(10_000);
    assert_eq!(play.status(ONE), ConnectorStatus::Available);
}

#[test]
fn tc_048_tc_050_what_cannot_be_reserved() {
    use ReservationVerdict::{Accepted, Faulted, Occupied, Rejected, Unavailable};
    type Before = fn(&mut Play);
    let nothing: Before = |_| {};
    let faulted: Before = |play| play.faults(vec![fault("0x100213", ONE)]);
    let station_faulted: Before = |play| play.faults(vec![fault("0x200202", STATION)]);
    let plugged: Before = |play| play.plug(ONE, true);
    let both_plugged: Before = |play| {
        play.plug(ONE, true);
        play.plug(TWO, true);
    };
    let charging: Before = |play| {
        play.plug(ONE, true);
        play.badge("TAG");
    };
    let driver_awaited: Before = |play| {
        play.remote_start(ONE);
        play.settle();
    };
    let inoperative: Before = |play| {
        play.order(ONE, Availability::Inoperative);
    };
    let station_inoperative: Before = |play| {
        play.order(STATION, Availability::Inoperative);
    };
    let reserved: Before = |play| {
        play.reserve(1, ONE, "BERT");
    };
    let reserved_again: Before = |play| {
        play.reserve(7, ONE, "BERT");
    };
    let both_reserved: Before = |play| {
        play.reserve(1, ONE, "BERT");
        play.reserve(2, TWO, "BERT");
    };
    let restarting: Before = |play| play.stop_all(busbar_interfaces::words::StopReason::SoftReset, 60_000);
    let mixed: Before = |play| {
        play.faults(vec![fault("0x100213", ONE)]);
        play.order(TWO, Availability::Inoperative);
    };
    let unsupported: Before = |play| play.follow(Rules { reserve_station: false, ..play.rules.clone() });
    #[rustfmt::skip]
    let table: &[(&str, Before, Option<ReservationVerdict>, Option<ReservationVerdict>)] = &[
        // what is the case            connector 1         connector 0
        ("nothing", nothing,           Some(Accepted),     Some(Accepted)),
        ("tc_048_1 faulted", faulted,  Some(Faulted),      Some(Accepted)),
        ("tc_050_1 station faulted", station_faulted, Some(Faulted), Some(Faulted)),
        ("plugged", plugged,           Some(Occupied),     Some(Accepted)),
        ("tc_050_2 both plugged", both_plugged, Some(Occupied), Some(Occupied)),
        ("tc_048_2 charging", charging, Some(Occupied),    Some(Accepted)),
        ("a driver is awaited", driver_awaited, Some(Occupied), Some(Accepted)),
        ("tc_048_3 unavailable", inoperative, Some(Unavailable), Some(Accepted)),
        ("tc_050_3 station unavailable", station_inoperative, Some(Unavailable), Some(Unavailable)),
        ("reserved", reserved,         Some(Occupied),     Some(Accepted)),
        ("reserved under the same number", reserved_again, Some(Accepted), Some(Accepted)),
        ("both reserved", both_reserved, Some(Occupied),   Some(Occupied)),
        ("restarting", restarting,     Some(Rejected),     Some(Rejected)),
        ("one faulted, one unavailable", mixed, Some(Faulted), Some(Unavailable)),
        ("tc_050_4 connector 0 is not supported", unsupported, Some(Accepted), Some(Rejected)),
    ];
    for (what, before, of_one, of_station) in table {
        for (connector, verdict) in [(ONE, of_one), (STATION, of_station)] {
            let mut play = Play::new();
            before(&mut play);
            let kept = play.reserved.clone();
            assert_eq!(play.reserve(7, connector, "ANNA"), *verdict, "{what}, {connector:?}");
            if *verdict != ACCEPTED {
                assert_eq!(play.reserved, kept, "{what}: nothing has changed");
            }
        }
    }
    let mut play = Play::new();
    assert_eq!(play.reserve(7, ConnectorId(3), "ANNA"), Some(Rejected), "there is no such connector");
    assert_eq!(play.reserve_for(7, ONE, ("ANNA", ""), 0), Some(Rejected), "its end is not in the future");
}

#[test]
fn tc_049_a_reserved_station_lets_its_driver_alone_charge_on_any_connector() {
    for connector in [ONE, TWO] {
        let mut play = Play::new();
        assert_eq!(play.reserve(4, STATION, "ANNA"), ACCEPTED);
        play.plug(connector, true);
        assert_eq!(play.badge("BERT"), Some(BadgeOutcome::Refused));
        assert_eq!(play.badge("ANNA"), Some(BadgeOutcome::Starting));
        assert_eq!(of_start(&play), Some(("ANNA", connector, [ReservationId(4)].as_slice())));
        let other = if connector == ONE { TWO } else { ONE };
        assert_eq!(play.status(other), ConnectorStatus::Available, "used up");
    }
}

#[test]
fn tc_051_tc_052_a_reservation_is_cancelled_by_its_number() {
    let mut play = Play::new();
    play.reserve(5, ONE, "ANNA");
    assert_eq!(play.cancel(6), Some(Verdict::Rejected));
    assert_eq!(play.status(ONE), ConnectorStatus::Reserved);
    assert_eq!(play.cancel(5), Some(Verdict::Accepted));
    assert_eq!(play.status(ONE), ConnectorStatus::Available);
    assert_eq!(play.cancel(5), Some(Verdict::Rejected));
}

#[test]
fn case_26_the_same_number_is_the_same_reservation() {
    let mut play = Play::new();
    play.reserve(5, ONE, "ANNA");
    assert_eq!(play.reserve(5, TWO, "BERT"), ACCEPTED);
    assert_eq!((play.status(ONE), play.status(TWO)), (ConnectorStatus::Available, ConnectorStatus::Reserved));
    play.plug(ONE, true);
    assert_eq!(play.reserve(5, ONE, "CARL"), Some(ReservationVerdict::Occupied));
    assert_eq!(play.reserved[&ReservationId(5)].id_tag, "BERT", "what cannot be kept leaves what is");
}

/// Other badge, same group: known from the list or the cache, or told by the CSMS.
#[test]
fn tc_053_1_tc_053_2_case_26_whoever_is_of_the_group_may_use_it() {
    #[rustfmt::skip]
    let table = [
        // online  the CSMS asks by itself  the group of the badge  starts
        (true,     true,                    "FLEET",                true),
        (true,     false,                   "FLEET",                true),
        (true,     true,                    "OTHERS",               false),
        (true,     false,                   "OTHERS",               false),
        (true,     true,                    "",                     false),
        (false,    true,                    "FLEET",                false),
    ];
    for (online, authorize_remote, group, starts) in table {
        for remote in [false, true] {
            let mut play = Play::new();
            play.follow(Rules { authorize_remote, ..play.rules.clone() });
            play.central.insert("BERT".to_owned(), word(AuthorizationStatus::Accepted, group));
            play.reserve_for(9, ONE, ("ANNA", "FLEET"), HOUR_MILLIS);
            play.plug(ONE, true);
            if !online {
                play.step(Input::Link(Link::Disconnected));
            }
            if remote {
                play.remote_start_of("BERT", ONE);
                play.settle();
            } else {
                play.badge("BERT");
            }
            let expected = starts.then_some(("BERT", ONE, [ReservationId(9)].as_slice()));
            assert_eq!(of_start(&play), expected, "online {online}, {authorize_remote}, {group:?}, remote {remote}");
        }
    }
}

#[test]
fn case_26_a_reservation_outlives_a_restart_and_ends_with_a_fault_or_an_order() {
    let fault_there: fn(&mut Play) = |play| play.faults(vec![fault("0x100213", ONE)]);
    let fault_elsewhere: fn(&mut Play) = |play| play.faults(vec![fault("0x100213", TWO)]);
    let fault_of_station: fn(&mut Play) = |play| play.faults(vec![fault("0x200202", STATION)]);
    let order_there: fn(&mut Play) = |play| {
        play.order(ONE, Availability::Inoperative);
    };
    let order_of_station: fn(&mut Play) = |play| {
        play.order(STATION, Availability::Inoperative);
    };
    let restart: fn(&mut Play) = Play::restart;
    let power_away: fn(&mut Play) = |play| play.step(Input::Power(ONE, None));
    #[rustfmt::skip]
    let table = [
        // what happens      connector 1 stays  connector 0 stays
        (restart,            true,              true),
        (power_away,         true,              true),
        (fault_there,        false,             true),
        (fault_elsewhere,    true,              true),
        (fault_of_station,   false,             false),
        (order_there,        false,             true),
        (order_of_station,   false,             false),
    ];
    for (number, (happens, of_one, of_station)) in table.into_iter().enumerate() {
        for (connector, stays) in [(ONE, of_one), (STATION, of_station)] {
            let mut play = Play::new();
            play.reserve(1, connector, "ANNA");
            happens(&mut play);
            assert_eq!(!play.reserved.is_empty(), stays, "row {number}, {connector:?}");
        }
    }
}

#[test]
fn a_reservation_that_ended_while_the_process_was_away_is_gone_when_it_is_back() {
    let mut play = Play::new();
    play.reserve(1, ONE, "ANNA");
    play.now += 2 * HOUR_MILLIS;
    play.restart();
    assert_eq!((play.status(ONE), play.reserved.len()), (ConnectorStatus::Available, 0));
}

#[test]
fn free_charging_does_not_begin_where_it_is_reserved() {
    let mut play = Play::new();
    play.follow(Rules { badge_needed: false, ..play.rules.clone() });
    play.reserve(1, ONE, "ANNA");
    play.plug(ONE, true);
    play.settle();
    assert_eq!(of_start(&play), None);
    assert_eq!(play.badge("ANNA"), Some(BadgeOutcome::Starting));
}

#[test]
fn a_reservation_that_comes_while_the_meter_is_read_is_too_late() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.meter_works = false;
    play.badge("TAG");
    assert_eq!(play.reserve(1, ONE, "ANNA"), Some(ReservationVerdict::Occupied));
    play.meter_works = true;
    play.pass(1_000);
    assert_eq!(of_start(&play), Some(("TAG", ONE, [].as_slice())));
}
