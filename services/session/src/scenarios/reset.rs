//! The station is about to restart: everything ends, nothing begins.

use super::play::{ONE, Play, TWO};
use crate::authorization::Known;
use crate::station::{Input, Output, Ticket};
use busbar_interfaces::words::{BadgeOutcome, EventKind, StopReason, Verdict};
use busbar_interfaces::{BoottimeMillis, ConnectorId, TransactionId};

#[test]
fn every_charge_ends_with_the_reason_and_nothing_begins_for_a_while() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.badge("TAG");
    play.plug(TWO, true);
    play.badge("SECOND");
    play.stop_all(StopReason::SoftReset, 60_000);
    let ends: Vec<_> = play.events.iter().filter(|event| event.kind == EventKind::Stopped).collect();
    assert_eq!(ends.len(), 2);
    assert!(ends.iter().all(|event| event.reason == StopReason::SoftReset && event.id_tag.is_empty()));
    for connector in [ONE, TWO] {
        play.plug(connector, false);
        play.plug(connector, true);
        assert_eq!(play.remote_start(connector), Some(Verdict::Rejected));
    }
    assert_eq!(play.badge("TAG"), Some(BadgeOutcome::OutOfService));
    play.pass(59_000);
    assert_eq!(play.badge("TAG"), Some(BadgeOutcome::OutOfService));
    play.pass(2_000);
    assert_eq!(play.badge("TAG"), Some(BadgeOutcome::Starting), "a restart that does not come blocks nobody");
}

#[test]
fn zero_lifts_the_pause() {
    let mut play = Play::new();
    play.stop_all(StopReason::HardReset, 600_000);
    play.plug(ONE, true);
    assert_eq!(play.badge("TAG"), Some(BadgeOutcome::OutOfService));
    play.stop_all(StopReason::HardReset, 0);
    assert_eq!((play.no_start_until, play.badge("TAG")), (None, Some(BadgeOutcome::Starting)));
}

#[test]
fn the_first_reason_stands() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.badge("TAG");
    play.power_hangs = true;
    play.step(Input::Stop { ticket: Ticket(9), transaction: TransactionId(1), reason: StopReason::Remote });
    play.stop_all(StopReason::SoftReset, 60_000);
    play.pass(40_000);
    assert_eq!(play.events.last().map(|event| event.reason), Some(StopReason::Remote));
}

#[test]
fn whoever_waits_is_forgotten() {
    let mut play = Play::new();
    assert_eq!(play.remote_start(ONE), Some(Verdict::Accepted));
    play.settle();
    assert_eq!(play.remote_start(ConnectorId::STATION), Some(Verdict::Accepted));
    play.settle();
    play.stop_all(StopReason::SoftReset, 1_000);
    play.pass(2_000);
    play.plug(ONE, true);
    play.plug(TWO, true);
    play.settle();
    assert!(play.events.is_empty());
}

#[test]
fn a_badge_that_is_being_checked_and_one_whose_meter_is_being_read_are_told_at_once() {
    let mut play = Play::new();
    play.plug(ONE, true);
    let valid_until = BoottimeMillis(u64::MAX);
    play.step(Input::Badge {
        ticket: Ticket(70),
        id_tag: "TAG".to_owned(),
        known: Known::default(),
        shown: ONE,
        valid_until,
    });
    play.stop_all(StopReason::SoftReset, 60_000);
    assert!(play.answers.contains(&Output::BadgeAnswer(Ticket(70), BadgeOutcome::OutOfService, ONE)));

    let mut play = Play::new();
    play.plug(ONE, true);
    play.meter_works = false;
    assert_eq!(play.badge("TAG"), None);
    play.stop_all(StopReason::SoftReset, 60_000);
    assert!(
        play.answers.iter().any(|answer| matches!(answer, Output::BadgeAnswer(_, BadgeOutcome::OutOfService, ONE)))
    );
    play.meter_works = true;
    play.pass(61_000);
    assert!(play.events.is_empty());
}

#[test]
fn a_process_that_dies_in_the_pause_keeps_to_it_and_to_the_reason() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.badge("TAG");
    play.power_hangs = true;
    play.stop_all(StopReason::HardReset, 60_000);
    play.restart();
    assert_eq!(play.badge("SECOND"), Some(BadgeOutcome::OutOfService));
    play.pass(50_000);
    assert_eq!(play.events.last().map(|event| event.reason), Some(StopReason::HardReset));
    play.plug(TWO, true);
    assert_eq!(play.badge("SECOND"), Some(BadgeOutcome::OutOfService));
}

#[test]
fn one_connector_charges_and_the_other_is_being_opened_when_everything_is_to_stop() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.badge("TAG");
    play.plug(TWO, true);
    play.meter_works = false;
    play.badge("SECOND");
    play.stop_all(StopReason::SoftReset, 60_000);
    assert!(matches!(play.answers.last(), Some(Output::DoneAnswer(_))));
    play.meter_works = true;
    play.pass(1_000);
    assert_eq!(play.kinds(), [EventKind::Started, EventKind::Stopped]);
}
