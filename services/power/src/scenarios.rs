//! Whole deliveries in pure code and virtual time: modules, boards and a SECC board that do as they are told around
//! `Cabinet::act`, and what must hold when one of them does not.

use crate::cabinet::{Effect, WhichBus};
use crate::vehicle::advantics;
use busbar_interfaces::words::{Phase, StopCause};
use busbar_interfaces::{BoottimeMillis, Milliamperes, TransactionId, Watts};
use play::*;

mod emergencies;
mod hostile;
mod limits;
mod locking;
mod play;
mod sequence;
mod watchdogs;
mod welds;

#[test]
fn a_delivery_from_the_plug_to_the_end() {
    let mut play = Play::charging();
    assert!(play.contactors());
    assert_eq!(play.told_enable(), Some(true));
    play.cabinet.connector(ONE).expect("there").stop(BoottimeMillis(play.now), TransactionId(7)).expect("stops");
    play.run(10);
    assert_eq!(play.state().phase, Phase::Stopping);
    (play.status, play.wish) = (8, STANDBY);
    play.run(1_000);
    let state = play.state();
    assert_eq!((state.delivery, state.ended_delivery), (TransactionId(0), TransactionId(7)));
    assert_eq!(state.stop_cause, StopCause::Requested);
    assert!(!play.module().on && !play.contactors());
    assert_eq!(play.worst_switched_amperes, 0.0, "contactors moved without current");
    let last = play.to_board.iter().rev().find(|frame| frame.id() == 0x0106_3002).expect("told");
    assert_eq!(last.data(), advantics::permission(ONE, advantics::Permission::granted(false, true)).data());
}

#[test]
fn nothing_is_energised_before_the_contactors_are_closed() {
    let mut play = Play::new();
    play.plugged = true;
    play.run(3_000);
    play.start(TransactionId(7)).expect("starts");
    (play.status, play.wish) = (4, CABLE_CHECK);
    // The mirror contacts do not follow.
    for _ in 0..200 {
        play.run(10);
        let (inputs, _) = play.boards.get_mut(&1).expect("a board");
        (inputs[0], inputs[1]) = (false, false);
        assert!(!play.module().on);
    }
    play.run(2_000);
    let codes: Vec<String> = play.cabinet.state(play.at()).conditions.into_iter().map(|each| each.code).collect();
    assert!(codes.contains(&"0x100208".to_owned()), "{codes:?}");
    assert!(!play.module().on);
}

#[test]
fn a_limit_is_never_exceeded_and_zero_leaves_the_residual() {
    let mut play = Play::charging();
    let held = play.cabinet.connector(ONE).expect("there").hold_limit(BoottimeMillis(play.now), Watts(20_000), LEASE);
    assert_eq!(held, Watts(20_000));
    play.run(300);
    assert_eq!(play.state().output_milliamperes, Milliamperes(50_000), "20 kW at 400 V");
    play.cabinet.connector(ONE).expect("there").hold_limit(BoottimeMillis(play.now), Watts(0), LEASE);
    play.run(300);
    assert_eq!(play.state().output_milliamperes, Milliamperes(500), "half an ampere for each module");
    // The leases of the limit and of the delivery end; the fallback holds for what goes on.
    play.cabinet
        .connector(ONE)
        .expect("there")
        .renew(BoottimeMillis(play.now), TransactionId(7), LEASE * 4)
        .expect("renews");
    play.run(40_000);
    assert_eq!(play.state().limit_watts, Watts(180_000));
    assert_eq!(play.state().output_milliamperes, Milliamperes(60_000), "what the vehicle asks for");
}

#[test]
fn a_lease_that_nobody_renews_ends_the_delivery() {
    let mut play = Play::charging();
    play.run(31_000);
    assert_eq!(play.state().stop_cause, StopCause::LeaseEnded);
    assert!(!play.module().on && !play.contactors());
}

#[test]
fn whatever_fails_in_a_charge_ends_it_safely() {
    type Failure = fn(&mut Play);
    let failures: [(&str, Failure, StopCause); 6] = [
        ("the board falls silent", |play| play.board_silent = true, StopCause::Fault),
        ("the module falls silent", |play| play.modules.get_mut(&1).expect("there").silent = true, StopCause::Fault),
        ("the plug is pulled", |play| play.plugged = false, StopCause::Unplugged),
        (
            "the emergency stop is pressed",
            |play| play.boards.get_mut(&1).expect("there").0[2] = false,
            StopCause::EmergencyStop,
        ),
        ("the insulation fails", |play| play.boards.get_mut(&1).expect("there").0[3] = false, StopCause::Fault),
        ("the vehicle ends it", |play| (play.status, play.wish) = (8, STANDBY), StopCause::Vehicle),
    ];
    for (what, fail, cause) in failures {
        let mut play = Play::charging();
        fail(&mut play);
        play.run(15_000);
        let state = play.state();
        assert_eq!((state.ended_delivery, state.stop_cause), (TransactionId(7), cause), "{what}");
        assert!(!play.contactors(), "{what}: the contactors are open");
        assert!(!play.module().on || play.module().silent, "{what}: the module is off");
    }
}

#[test]
fn a_running_output_is_taken_over_without_a_change() {
    let mut play = Play::charging();
    play.restart(80);
    for step in 0..100 {
        play.run(10);
        assert!(play.contactors() && play.module().on, "step {step}");
        assert!(play.module().amperes >= 59.0, "step {step}: {}", play.module().amperes);
    }
    assert_eq!((play.state().delivery, play.state().phase), (TransactionId(7), Phase::Delivering));
    assert_eq!(play.told_enable(), Some(true));
}

#[test]
fn the_board_hears_the_process_that_goes_on_at_once_and_the_one_that_leaves_once_more() {
    let mut play = Play::charging();
    let heard = |play: &mut Play| {
        let effects = play.cabinet.act(play.at());
        let status =
            |effect: &Effect| matches!(effect, Effect::Send(WhichBus::Vehicles, frame) if frame.id() == 0x0106_3000);
        effects.iter().any(status)
    };
    heard(&mut play);
    assert!(!heard(&mut play), "not due");
    play.cabinet.tell_again();
    assert!(heard(&mut play), "the last word");
    play.restart(1);
    assert!(heard(&mut play), "the first word");
    assert!(!heard(&mut play), "and then in its cycle");
}

#[test]
fn what_contradicts_the_record_is_a_safe_stop() {
    type Contradiction = fn(&mut Play);
    let contradictions: [(&str, Contradiction); 6] = [
        ("the board is not charging", |play| play.status = 5),
        ("the board is silent", |play| play.board_silent = true),
        ("the contactors are open", |play| play.boards.get_mut(&1).expect("there").0 = HEALTHY),
        ("the module is silent", |play| play.modules.get_mut(&1).expect("there").silent = true),
        ("the plug is out", |play| play.plugged = false),
        ("the emergency stop is pressed", |play| play.boards.get_mut(&1).expect("there").0[2] = false),
    ];
    for (what, contradict) in contradictions {
        let mut play = Play::charging();
        play.restart(80);
        contradict(&mut play);
        play.run(15_000);
        assert_eq!(play.state().ended_delivery, TransactionId(7), "{what}");
        assert!(!play.contactors(), "{what}: the contactors are open");
        assert!(!play.module().on || play.module().silent, "{what}: the module is off");
    }
}

#[test]
fn a_delivery_needs_a_vehicle_and_hardware_that_answers() {
    let mut play = Play::new();
    assert!(play.start(TransactionId(1)).is_err(), "nothing has answered");
    play.run(3_000);
    assert!(play.start(TransactionId(1)).is_err(), "no vehicle");
    play.plugged = true;
    play.run(200);
    play.start(TransactionId(1)).expect("starts");
    play.start(TransactionId(1)).expect("the same again is its renewal");
    assert!(play.start(TransactionId(2)).is_err(), "another one runs");
}
