//! How charges end: by whom, for which reason, and what stays when the rules let it stay.

use super::matrix::fault;
use super::play::{ONE, Play, TWO};
use crate::rules::Rules;
use crate::station::{Input, Ticket};
use busbar_interfaces::words::{BadgeOutcome, ConnectorStatus, EventKind, Phase, Plug, StopCause, StopReason, Verdict};
use busbar_interfaces::{ConnectorId, Milliamperes, MilliwattHours, TransactionId};

fn charging() -> Play {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.badge("TAG");
    play
}

fn power_ends(play: &mut Play, cause: StopCause) {
    if cause == StopCause::Unplugged {
        play.power.get_mut(&ONE).expect("a connector").plug = Plug::Unplugged;
    }
    let delivery = play.power[&ONE].delivery;
    play.power_ends(ONE, delivery, cause);
}

fn stop(play: &mut Play, reason: StopReason) {
    let transaction = TransactionId(1);
    play.step(Input::Stop { ticket: Ticket(99), transaction, reason });
}

/// How a charge came to its end: why, and by whose badge.
fn end(play: &Play) -> Option<(StopReason, &str)> {
    let stop = play.events.iter().find(|event| event.kind == EventKind::Stopped)?;
    Some((stop.reason, stop.id_tag.as_str()))
}

/// Case 10: the reason is the first cause, recorded once.
#[test]
fn case_10_case_b26_the_first_cause_is_the_reason() {
    type Cause = fn(&mut Play);
    let badge: Cause = |play| {
        play.badge("tag");
    };
    let remote: Cause = |play| stop(play, StopReason::Remote);
    let unplugged: Cause = |play| power_ends(play, StopCause::Unplugged);
    let vehicle: Cause = |play| power_ends(play, StopCause::Vehicle);
    let deauthorized: Cause = |play| {
        play.deauthorize(1);
    };
    let fault_there: Cause = |play| play.faults(vec![fault("0x100213", ONE)]);
    let emergency: Cause = |play| play.faults(vec![fault("0x100202", ConnectorId::STATION)]);
    let emergency_of_power: Cause = |play| power_ends(play, StopCause::EmergencyStop);
    let soft: Cause = |play| play.stop_all(StopReason::SoftReset, 60_000);
    let hard: Cause = |play| play.stop_all(StopReason::HardReset, 60_000);
    let lease: Cause = |play| power_ends(play, StopCause::LeaseEnded);
    #[rustfmt::skip]
    let table: &[(&str, Cause, (StopReason, &str))] = &[
        ("badge",           badge,              (StopReason::Local,          "tag")),
        ("remote",          remote,             (StopReason::Remote,         "")),
        ("unplugged",       unplugged,          (StopReason::EvDisconnected, "")),
        ("vehicle",         vehicle,            (StopReason::Other,          "")),
        ("deauthorized",    deauthorized,       (StopReason::DeAuthorized,   "")),
        ("fault",           fault_there,        (StopReason::Other,          "")),
        ("emergency stop",  emergency,          (StopReason::EmergencyStop,  "")),
        ("likewise, power", emergency_of_power, (StopReason::EmergencyStop,  "")),
        ("soft reset",      soft,               (StopReason::SoftReset,      "")),
        ("hard reset",      hard,               (StopReason::HardReset,      "")),
        ("lease",           lease,              (StopReason::Other,          "")),
    ];
    for (name, cause, expected) in table {
        let mut play = charging();
        cause(&mut play);
        play.settle();
        assert_eq!(end(&play), Some(*expected), "{name}");
        for (later, after, _) in table {
            let mut play = charging();
            // Power does not answer: the end takes its time, and the second cause comes in the middle.
            play.power_hangs = true;
            cause(&mut play);
            let first = play.endings.get(&TransactionId(1)).copied();
            after(&mut play);
            play.power_hangs = false;
            play.pass(60_000);
            let reason = end(&play).map(|(reason, _)| reason);
            if let Some(first) = first {
                assert_eq!(reason, Some(first), "{name}, then {later}");
            }
            assert!(play.kinds().iter().filter(|kind| **kind == EventKind::Stopped).count() <= 1, "{name}, {later}");
        }
    }
}

#[test]
fn tc_012_tc_028_case_04_a_remote_stop_is_for_the_transaction_that_runs() {
    let mut play = charging();
    play.step(Input::Stop { ticket: Ticket(1), transaction: TransactionId(9), reason: StopReason::Remote });
    assert_eq!(play.status(ONE), ConnectorStatus::Charging);
    stop(&mut play, StopReason::Remote);
    play.settle();
    assert_eq!(play.status(ONE), ConnectorStatus::Finishing);
    play.plug(ONE, false);
    assert_eq!(play.status(ONE), ConnectorStatus::Available);
}

#[test]
fn tc_005_2_case_05_an_unplugged_vehicle_ends_its_transaction() {
    let mut play = charging();
    power_ends(&mut play, StopCause::Unplugged);
    play.settle();
    assert_eq!(end(&play), Some((StopReason::EvDisconnected, "")));
    assert_eq!(play.status(ONE), ConnectorStatus::Available, "a cable that belongs to the station");
}

/// Unplugged, and StopTransactionOnEVSideDisconnect is false.
fn unplugged_and_stays() -> Play {
    let mut play = charging();
    play.follow(Rules { stop_on_unplug: false, ..play.rules.clone() });
    power_ends(&mut play, StopCause::Unplugged);
    play.settle();
    play
}

#[test]
fn tc_005_3_case_05_by_the_rules_it_stays_until_somebody_ends_it() {
    for restarts in [false, true] {
        let mut play = unplugged_and_stays();
        if restarts {
            play.restart();
        }
        play.pass(60_000);
        assert_eq!(end(&play), None, "restarts {restarts}");
        assert_eq!(play.status(ONE), ConnectorStatus::SuspendedEv);
        stop(&mut play, StopReason::Remote);
        play.settle();
        assert_eq!(end(&play), Some((StopReason::Remote, "")));
        assert_eq!(play.status(ONE), ConnectorStatus::Available);
    }
}

#[test]
fn case_05_a_vehicle_that_is_plugged_in_again_charges_on_in_the_same_transaction() {
    for restarts in [false, true] {
        let mut play = unplugged_and_stays();
        if restarts {
            play.restart();
        }
        play.plug(ONE, true);
        play.settle();
        assert_eq!(play.status(ONE), ConnectorStatus::Charging, "restarts {restarts}");
        assert_eq!(play.power[&ONE].delivery, TransactionId(2), "power's deliveries have numbers of their own");
        play.pass(10_000);
        play.restart();
        play.pass(10_000);
        assert_eq!(play.status(ONE), ConnectorStatus::Charging);
        play.plug(TWO, true);
        assert_eq!(play.badge("OTHER"), Some(BadgeOutcome::Starting));
        assert_eq!(play.events.last().map(|event| event.transaction), Some(TransactionId(3)), "no number twice");
        assert_eq!(play.badge("TAG"), Some(BadgeOutcome::Stopping));
        assert_eq!(end(&play), Some((StopReason::Local, "TAG")));
        assert_eq!(play.power[&ONE].delivery, TransactionId(0));
    }
}

#[test]
fn case_05_when_the_rules_change_an_unplugged_transaction_ends() {
    let mut play = unplugged_and_stays();
    play.follow(Rules { stop_on_unplug: true, ..play.rules.clone() });
    play.settle();
    assert_eq!(end(&play), Some((StopReason::EvDisconnected, "")));
}

#[test]
fn tc_037_3_case_02_a_badge_that_is_not_accepted_ends_the_transaction() {
    let mut play = charging();
    assert_eq!(play.deauthorize(1), Some(Verdict::Accepted));
    assert_eq!(play.distrusted, ["TAG"], "and is not good any more");
    play.settle();
    assert_eq!(end(&play), Some((StopReason::DeAuthorized, "")));
    assert_eq!(play.status(ONE), ConnectorStatus::Finishing);
    assert_eq!(play.deauthorize(1), Some(Verdict::Rejected), "it is over");
}

#[test]
fn tc_037_2_case_02_by_the_rules_nothing_more_flows_and_the_transaction_stays() {
    for restarts in [false, true] {
        let mut play = charging();
        play.follow(Rules { stop_on_invalid_badge: false, ..play.rules.clone() });
        assert_eq!(play.deauthorize(1), Some(Verdict::Accepted));
        assert!(play.suspended.contains(&TransactionId(1)), "on disk before it is said");
        if restarts {
            play.restart();
        }
        play.settle();
        play.pass(60_000);
        assert_eq!(play.power[&ONE].delivery, TransactionId(0), "nothing flows");
        assert_eq!(end(&play), None, "restarts {restarts}");
        assert_eq!(play.status(ONE), ConnectorStatus::SuspendedEvse);
        assert_eq!(play.deauthorize(1), Some(Verdict::Accepted), "harmless to repeat");
        assert_eq!(play.badge("TAG"), Some(BadgeOutcome::Stopping));
        assert_eq!(end(&play), Some((StopReason::Local, "TAG")));
        assert_eq!(play.status(ONE), ConnectorStatus::Finishing);
    }
}

#[test]
fn a_suspended_transaction_ends_when_its_vehicle_goes() {
    let mut play = charging();
    play.follow(Rules { stop_on_invalid_badge: false, ..play.rules.clone() });
    play.deauthorize(1);
    play.settle();
    play.plug(ONE, false);
    play.settle();
    assert_eq!(end(&play), Some((StopReason::EvDisconnected, "")));
}

#[test]
fn a_start_that_power_takes_late_is_stopped_in_a_suspended_transaction_too() {
    let mut play = charging();
    play.follow(Rules { stop_on_invalid_badge: false, ..play.rules.clone() });
    play.deauthorize(1);
    play.settle();
    let power = play.power.get_mut(&ONE).expect("a connector");
    (power.delivery, power.phase) = (TransactionId(1), Phase::Delivering);
    power.output_milliamperes = Milliamperes(1);
    play.show_power(ONE);
    play.pass(3_000);
    assert_eq!(play.power[&ONE].delivery, TransactionId(0));
}

#[test]
fn case_11_case_b50_a_meter_that_goes_back_is_counted_on_and_told() {
    let mut play = Play::new();
    play.register = 9_000_000;
    play.plug(ONE, true);
    play.badge("TAG");
    play.pass(10_000);
    play.register = 0;
    play.pass(10_000);
    assert_eq!(play.irregular.len(), 1, "{:?}", play.irregular);
    play.pass(10_000);
    play.badge("TAG");
    assert_eq!(play.irregular.len(), 1, "once");
    let last = play.events.last().expect("a stop").energy_milliwatt_hours;
    assert!(last >= MilliwattHours(9_020_000), "{last:?}");
}

#[test]
fn case_30_a_signed_reading_of_begin_and_end_is_an_event_of_its_own() {
    let mut play = Play::new();
    play.signed_data = "OCMF|{}|{}".to_owned();
    play.plug(ONE, true);
    play.badge("TAG");
    play.badge("TAG");
    let kinds = [EventKind::Started, EventKind::Sample, EventKind::Sample, EventKind::Stopped];
    assert_eq!(play.kinds(), kinds);
    let signed: Vec<bool> = play.events.iter().map(|event| !event.signed_data.is_empty()).collect();
    assert_eq!(signed, [false, true, true, false]);
    play.signed_data = "x".repeat(16 * 1024 + 1);
    play.plug(ONE, false);
    play.plug(ONE, true);
    play.badge("TAG");
    assert_eq!(play.kinds().len(), 5, "what is no reading of a meter is left out");
}
