//! The plug's lock: before any voltage, as long as there may be any, and what happens when it does not hold.

use super::*;

#[test]
fn nothing_closes_before_the_lock_says_so() {
    let mut play = Play::wired_at(None);
    play.lock_sticks = Some(false);
    play.start(TransactionId(7)).expect("starts");
    (play.status, play.wish) = Step::CableCheck.told();
    play.run(900);
    assert!(play.coil(1, 3) && !play.contactors() && !play.module().on);
    assert!(play.codes().is_empty(), "it has a second");
    play.run(500);
    assert_eq!(play.codes(), ["0x100205"]);
    assert_eq!(play.state().stop_cause, StopCause::Fault);
    assert!(play.ordered_since(0, 0, true).is_none(), "never closed");
    // It is released when the board is through; the fault stays until the vehicle has gone.
    (play.status, play.wish) = (1, NOTHING);
    play.run(2_000);
    assert_eq!((play.coil(1, 3), play.codes()), (false, vec!["0x100205".to_owned()]));
    assert!(play.start(TransactionId(8)).is_err());
    play.plugged = false;
    play.run(200);
    assert!(play.codes().is_empty(), "{:?}", play.codes());
}

#[test]
fn a_lock_that_lets_go_is_a_fault_stop_in_every_step() {
    for step in Step::ALL.into_iter().filter(|step| *step < Step::Stopping) {
        let mut play = Play::wired_at(Some(step));
        let begin = play.now;
        play.lock_sticks = Some(false);
        play.run(1_200);
        assert!(!play.module().on && !play.contactors(), "{step:?}");
        assert_eq!((play.state().stop_cause, play.told_enable()), (StopCause::Fault, Some(true)), "{step:?}");
        assert_eq!(play.codes(), ["0x100205"], "{step:?}");
        assert!(play.told_off_since(begin).is_none_or(|off| off - begin <= 1_000), "{step:?}");
    }
}

#[test]
fn one_misread_lock_is_no_fault() {
    let mut play = Play::wired_at(Some(Step::Charging));
    play.lock_sticks = Some(false);
    play.run(60);
    play.lock_sticks = None;
    play.run(1_000);
    assert_eq!((play.state().delivery, play.codes().len()), (TransactionId(7), 0));
}

#[test]
fn the_plug_stays_locked_while_there_is_voltage() {
    let mut play = Play::wired_at(Some(Step::Charging));
    play.stop();
    play.back_feed = 300.0;
    (play.status, play.wish) = (9, STANDBY);
    play.run(1_000);
    (play.status, play.wish) = (1, NOTHING);
    play.run(1_000);
    assert!(play.coil(1, 3) && !play.contactors(), "300 V with open contactors");
    play.back_feed = 0.0;
    play.run(2_000);
    assert!(!play.coil(1, 3));
}

#[test]
fn after_a_power_cut_the_plug_is_released() {
    let mut play = Play::wired();
    play.boards.get_mut(&1).expect("there").1[3] = true;
    play.set_input(1, 5, true);
    play.plugged = true;
    play.run(3_000);
    assert!(!play.coil(1, 3) && play.codes().is_empty(), "{:?}", play.codes());
}

#[test]
fn a_lock_that_does_not_release_is_noticed() {
    let mut play = Play::wired_at(Some(Step::Charging));
    play.stop();
    play.run(1_000);
    (play.status, play.wish, play.lock_sticks) = (1, NOTHING, Some(true));
    play.run(2_000);
    assert_eq!(play.codes(), ["0x100205"]);
    // Somebody frees it by hand.
    (play.lock_sticks, play.plugged) = (None, false);
    play.run(300);
    assert!(play.codes().is_empty(), "{:?}", play.codes());
}

#[test]
fn without_a_lock_nothing_is_ordered() {
    let play = Play::charging();
    assert!(play.ordered_since(0, 3, true).is_none() && play.ordered_since(0, 3, false).is_none());
}

#[test]
fn the_plug_stays_locked_while_a_silent_board_cannot_say_that_the_vehicle_let_go() {
    let mut play = Play::wired_at(Some(Step::Charging));
    play.board_silent = true;
    play.run(10_000);
    assert_eq!(play.state().ended_delivery, TransactionId(7));
    assert!(!play.contactors() && play.coil(1, 3), "open, and still locked");
    play.run(8_000);
    assert!(!play.coil(1, 3), "the vehicle has long given up");
}
