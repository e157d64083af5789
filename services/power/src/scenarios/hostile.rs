//! Hardware that does what it should not: orders that get lost, frames that contradict each other, modules that give
//! more than told, contacts that stick, and a process that ends at a bad moment.

use super::*;

#[test]
fn a_lost_coil_order_is_repeated() {
    let mut play = Play::charging();
    play.orders_lost = true;
    play.stop();
    (play.status, play.wish) = (8, STANDBY);
    play.run(300);
    assert!(play.contactors(), "the order was lost");
    play.orders_lost = false;
    play.run(200);
    assert!(!play.contactors() && !play.coil(1, 0) && !play.coil(1, 1));
    play.run(1_000);
    assert!(!play.codes().contains(&"0x100208".to_owned()), "{:?}", play.codes());
}

#[test]
fn one_pole_that_is_closed_after_a_restart_is_opened() {
    for pole in [0, 1] {
        let mut play = Play::new();
        play.set_pole(pole, true);
        play.run(500);
        assert!(!play.coil(1, pole), "pole {pole}");
    }
}

#[test]
fn a_coil_that_is_on_behind_an_open_mirror_is_ordered_off() {
    let mut play = Play::new();
    play.run(1_000);
    play.boards.get_mut(&1).expect("there").1[1] = true;
    play.run(200);
    assert!(!play.coil(1, 1));
}

#[test]
fn what_was_left_closed_is_opened_within_a_second_even_under_current() {
    let before = Play::charging();
    let mut play = Play::new();
    (play.modules, play.boards) = (before.modules.clone(), before.boards.clone());
    (play.status, play.wish, play.plugged, play.sticks) = (7, TRANSFER, true, true);
    play.run(300);
    assert_eq!(play.told_enable(), Some(false), "the board is told");
    assert!(play.codes().contains(&"0x100208".to_owned()), "{:?}", play.codes());
    play.run(900);
    assert!(!play.contactors(), "opened after a second");
    assert_eq!(play.state().ended_delivery, TransactionId(0), "no delivery was known");
}

#[test]
fn contactors_close_once_and_only_in_the_cable_check() {
    let mut play = Play::new();
    play.plugged = true;
    play.run(3_000);
    play.start(TransactionId(7)).expect("starts");
    // The vehicle's own contactors may be closed: nothing is closed onto them.
    (play.status, play.wish) = (5, PRECHARGE);
    play.run(1_000);
    assert!(!play.contactors() && !play.module().on);

    let mut play = Play::precharged();
    play.wish = NOTHING;
    play.run(300);
    assert!(!play.contactors(), "the board wants them open: the delivery ends");
    (play.status, play.wish) = (4, CABLE_CHECK);
    play.run(1_000);
    assert!(!play.contactors(), "and they are not closed again");
    assert_eq!(play.state().stop_cause, StopCause::Fault);
}

#[test]
fn a_start_needs_a_board_that_waits() {
    let mut play = Play::new();
    play.plugged = true;
    for status in [0, 4, 5, 7, 8, 10, 12] {
        play.status = status;
        play.run(3_000);
        assert!(matches!(play.start(TransactionId(7)), Err(busbar_interfaces::CallError::Busy(_))), "{status}");
    }
    play.status = 2;
    play.run(200);
    play.start(TransactionId(7)).expect("starts");
}

#[test]
fn power_is_given_only_in_the_status_that_it_belongs_to() {
    let mut play = Play::precharged();
    play.wish = TRANSFER;
    play.run(1_000);
    assert_eq!(play.state().output_milliamperes, Milliamperes(0), "no transfer in the precharge");
    assert!(!play.module().on);
    let mut play = Play::charging();
    play.status = 2;
    play.run(2_000);
    assert_eq!(play.state().stop_cause, StopCause::Fault, "a status outside the sequence");
    assert!(!play.contactors());
}

#[test]
fn the_vehicles_own_limits_hold() {
    let mut play = Play::new();
    (play.plugged, play.most) = (true, Some((4100, 250)));
    play.run(3_000);
    play.start(TransactionId(7)).expect("starts");
    (play.status, play.wish) = (4, Wish { decivolts: 9000, ..CABLE_CHECK });
    play.run(1_000);
    assert_eq!(play.module().volts, 460.0, "the rule for the test voltage");
    for (status, wish) in [(4, LOWER), (5, PRECHARGE), (7, Wish { decivolts: 8000, ..TRANSFER })] {
        (play.status, play.wish) = (status, wish);
        play.run(3_000);
    }
    assert_eq!((play.module().volts, play.module().amperes), (410.0, 25.0));
}

#[test]
fn every_word_of_the_board_grows_old() {
    let mut play = Play::charging();
    play.control_silent = true;
    play.run(400);
    assert!(!play.module().on, "no 6B003");
    play.run(1_500);
    assert_eq!(play.state().stop_cause, StopCause::Fault);

    let mut play = Play::charging();
    play.pilot_silent = true;
    play.run(2_500);
    assert_eq!(play.state().stop_cause, StopCause::Fault, "no 6B203");
    assert_eq!(play.state().plug, busbar_interfaces::words::Plug::Unknown);
}

#[test]
fn the_bus_is_not_flooded() {
    let mut play = Play::precharged();
    (play.status, play.wish) = (7, TRANSFER);
    for second in 0..6u16 {
        let before = play.module_frames;
        for step in 0..20 {
            // The vehicle's target moves a little all the time.
            play.wish.decivolts = 4200 + step;
            play.run(50);
        }
        let frames = play.module_frames - before;
        assert!(frames < 100, "{frames} frames, each with an answer, in second {second}");
    }
    assert_eq!(play.state().output_milliamperes, Milliamperes(60_000));
}

#[test]
fn a_raised_limit_is_followed_by_the_ramp() {
    let mut play = Play::charging();
    let now = play.at();
    play.cabinet.connector(ONE).expect("there").hold_limit(now, Watts(4_000), LEASE);
    play.run(10_000);
    assert_eq!(play.state().output_milliamperes, Milliamperes(10_000));
    let now = play.at();
    play.cabinet.connector(ONE).expect("there").hold_limit(now, Watts(100_000), LEASE);
    play.run(500);
    assert!(play.module().amperes < 26.0, "{}", play.module().amperes);
}

#[test]
fn modules_that_give_more_than_told_are_noticed() {
    for (excess, code) in [((60.0, 0.0), "0x100214"), ((0.0, 20.0), "0x100213")] {
        let mut play = Play::charging();
        play.excess = excess;
        play.run(2_000);
        assert!(!play.contactors(), "{code}");
        assert!(play.codes().contains(&code.to_owned()), "{:?}", play.codes());
        play.run(20_000);
        assert!(play.codes().contains(&code.to_owned()), "while the vehicle is there");
        play.plugged = false;
        play.run(500);
        assert!(!play.codes().contains(&code.to_owned()), "{:?}", play.codes());
    }
}

#[test]
fn current_of_a_module_that_is_off_is_noticed() {
    let mut play = Play::charging();
    play.sticks = true;
    play.stop();
    play.run(1_500);
    assert!(play.codes().contains(&"0x200002".to_owned()), "{:?}", play.codes());
    assert!(play.contactors(), "a gentle stop waits for the current");
    play.run(7_000);
    assert!(!play.contactors());
}

#[test]
fn an_ending_goes_on_after_a_restart_with_its_cause() {
    let mut play = Play::charging();
    play.sticks = true;
    play.stop();
    play.run(100);
    play.restart(80);
    play.sticks = false;
    play.run(1_000);
    assert_eq!((play.state().ended_delivery, play.state().stop_cause), (TransactionId(7), StopCause::Requested));
    assert!(!play.contactors() && !play.module().on);
}

#[test]
fn nothing_is_taken_over_with_an_open_relay_or_too_much_voltage() {
    type Contradiction = fn(&mut Play);
    let contradictions: [(&str, Contradiction); 2] = [
        ("the relay's mirror is open", |play| play.set_input(3, 0, false)),
        ("too much voltage", |play| play.excess = (80.0, 0.0)),
    ];
    for (what, contradict) in contradictions {
        let mut play = Play::charging();
        play.restart(80);
        contradict(&mut play);
        play.run(3_000);
        assert_eq!(play.state().stop_cause, StopCause::Fault, "{what}");
        assert!(!play.contactors() && !play.module().on, "{what}");
    }
}

#[test]
fn the_relay_matrix_is_guarded() {
    let mut play = Play::new();
    play.plugged = true;
    play.run(1_500);
    // A relay that belongs to no module, as left by somebody.
    let (inputs, coils) = play.boards.get_mut(&3).expect("there");
    (inputs[4], coils[4]) = (true, true);
    play.run(300);
    assert!(!play.coil(3, 4) && play.codes().is_empty());
    // One that sticks.
    play.set_input(3, 4, true);
    play.run(1_000);
    assert!(play.codes().contains(&"0x200003".to_owned()), "{:?}", play.codes());
    assert!(play.start(TransactionId(7)).is_err());
    play.set_input(3, 4, false);
    play.run(100);
    play.start(TransactionId(7)).expect("starts");
}

#[test]
fn one_misread_mirror_is_no_fault_and_a_fault_outlives_the_process() {
    let mut play = Play::charging();
    play.set_input(1, 0, false);
    play.run(200);
    play.set_input(1, 0, true);
    play.run(2_000);
    assert_eq!((play.state().delivery, play.codes().len()), (TransactionId(7), 0), "{:?}", play.codes());
    // It sticks at the end.
    play.plugged = false;
    for _ in 0..300 {
        play.run(10);
        play.set_input(1, 0, true);
    }
    assert!(play.codes().contains(&"0x100208".to_owned()), "{:?}", play.codes());
    play.restart(80);
    play.plugged = true;
    (play.status, play.wish) = (1, NOTHING);
    play.run(3_000);
    assert!(play.codes().contains(&"0x100208".to_owned()), "{:?}", play.codes());
    assert!(play.start(TransactionId(8)).is_err());
    play.set_input(1, 0, false);
    play.plugged = false;
    play.run(3_000);
    assert!(play.codes().is_empty(), "{:?}", play.codes());
}

#[test]
fn inputs_that_are_not_read_are_noticed_at_once() {
    let mut play = Play::charging();
    play.boards_unread = true;
    play.run(500);
    assert_eq!((play.state().phase, play.module().on), (Phase::Stopping, false));
    assert!(play.codes().contains(&"0x100210".to_owned()), "{:?}", play.codes());
    play.run(500);
    assert!(!play.contactors(), "opened without being seen");
}

#[test]
fn the_cable_is_emptied_after_a_session() {
    let mut play = Play::charging();
    play.plugged = false;
    play.run(500);
    assert!(!play.contactors() && play.coil(1, 2));
    play.run(11_000);
    assert!(!play.coil(1, 2), "for ten seconds");
}

#[test]
fn rule_6_2_6_a_relay_that_is_locked_out_stands_against_no_delivery_at_another_connector() {
    let mut play = Play::new();
    play.plugged = true;
    play.run(1_500);
    // Connector 2 has one relay.
    play.set_input(4, 1, true);
    play.run(3_000);
    assert_eq!(play.codes(), ["0xB00009", "0x200003"]);
    play.start(TransactionId(7)).expect("connector 1 has nothing to do with it");
}

#[test]
fn rule_6_2_4_an_order_that_the_port_refused_is_shown_and_stands_against_a_start_for_a_minute() {
    let mut play = Play::new();
    play.run(2_000);
    let refused = "coil 0 of unit 4 is not energised: module 1 would join two connectors";
    play.cabinet.boards_told(play.at(), crate::io::IoNews::Refused(refused.to_owned()));
    for (after, stands) in [(0, true), (59_000, true), (2_000, false)] {
        play.run(after);
        assert_eq!(play.codes().contains(&"0x200003".to_owned()), stands, "{:?}", play.codes());
        let verdict = play.start(TransactionId(7)).map_err(|error| error.to_string());
        assert_eq!(verdict.is_err_and(|why| why.contains(refused)), stands);
    }
}

#[test]
fn a_vehicle_that_goes_back_to_state_b_under_current_is_an_emergency_at_once() {
    let mut play = Play::charging();
    let begin = play.now;
    play.pilot_lowered = true;
    play.run(4_000);
    let off = play.told_off_since(begin).expect("off") - begin;
    // Hardware notes §9.2: the loss of the pilot starts the shut-down within 100 ms of its being told.
    assert!(off <= 200, "{off} ms");
    assert_eq!(play.state().stop_cause, busbar_interfaces::words::StopCause::Vehicle);
    assert!(!play.contactors());
}

#[test]
fn a_vehicle_that_never_leaves_state_b_gets_no_power() {
    let mut play = Play::new();
    play.plugged = true;
    play.pilot_lowered = true;
    play.run(3_000);
    play.start(TransactionId(7)).expect("starts");
    for (status, wish) in [(2, NOTHING), (4, CABLE_CHECK), (4, LOWER), (5, PRECHARGE), (7, TRANSFER)] {
        (play.status, play.wish) = (status, wish);
        play.run(1_000);
    }
    assert_eq!(play.state().ended_delivery, TransactionId(7));
    assert!(!play.contactors() && !play.module().on);
}
