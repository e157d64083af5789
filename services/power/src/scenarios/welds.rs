//! Contactors that stick, and voltage where none should be (hardware notes §6.2, rules 6 and 7).

use super::*;

fn details(play: &Play) -> String {
    play.cabinet.state(play.at()).conditions.into_iter().map(|each| each.detail).collect()
}

#[test]
fn rule_6_2_7_a_pole_that_sticks_is_named_and_nothing_starts_again() {
    for (welded, name) in [([true, false], "positive"), ([false, true], "negative")] {
        let mut play = Play::wired_at(Some(Step::Charging));
        play.welded = welded;
        play.stop();
        play.run(2_000);
        (play.status, play.wish) = (1, NOTHING);
        play.run(20_000);
        assert_eq!(play.codes(), ["0x100208"], "{name}");
        assert!(details(&play).contains(name), "{}", details(&play));
        assert!(play.start(TransactionId(8)).is_err());
        assert!(play.coil(1, 3), "{name}: the plug stays locked");
        assert!(play.cabinet.reset_fault(play.at(), ONE).is_err(), "{name}: it still sticks");
        // Repaired.
        play.welded = [false; 2];
        play.set_input(1, 0, false);
        play.set_input(1, 1, false);
        play.run(500);
        assert_eq!(play.codes(), ["0x100208"], "{name}: until somebody resets it or the vehicle goes");
        play.cabinet.reset_fault(play.at(), ONE).expect("reset");
        play.start(TransactionId(8)).expect("starts");
    }
}

#[test]
fn rule_6_2_7_voltage_that_stays_behind_open_contacts_is_a_weld() {
    let mut play = Play::wired_at(Some(Step::Charging));
    play.stop();
    play.back_feed = 390.0;
    play.run(2_000);
    (play.status, play.wish) = (1, NOTHING);
    play.run(5_000);
    let busy = play.start(TransactionId(8));
    assert!(matches!(busy, Err(busbar_interfaces::CallError::Busy(_))), "the check goes on: {busy:?}");
    play.run(25_000);
    assert_eq!(play.codes(), ["0x100208"]);
    assert!(details(&play).contains("390000 mV"), "{}", details(&play));
    play.plugged = false;
    play.run(500);
    assert_eq!(play.codes(), ["0x100208"], "the voltage is still there");
    play.back_feed = 0.0;
    play.run(2_500);
    assert_eq!(play.codes(), ["0x100208"], "until somebody has seen to it");
    let now = play.at();
    play.cabinet.reset_fault(now, ONE).expect("reset");
    play.run(100);
    assert!(play.codes().is_empty(), "{:?}", play.codes());
}

#[test]
fn rule_6_2_7_nothing_closes_onto_a_voltage() {
    let mut play = Play::wired_at(Some(Step::Negotiating));
    play.back_feed = 61.0;
    play.run(1_100);
    play.go(Step::CableCheck);
    assert!(play.ordered_since(0, 0, true).is_none());
    play.back_feed = 59.0;
    play.go(Step::CableCheck);
    assert!(play.contactors());
}

#[test]
fn the_weld_check_passes_at_once_when_all_is_well() {
    let mut play = Play::wired_at(Some(Step::Charging));
    play.stop();
    play.run(1_000);
    (play.status, play.wish) = (1, NOTHING);
    play.run(300);
    play.start(TransactionId(8)).expect("the next delivery");
}
