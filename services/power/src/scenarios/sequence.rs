//! The sequence from lock to unlock (hardware notes §9.1), its budgets, a pause, and each kind of stop.

use super::*;
use crate::modules::driver::{Address, ModuleDriver, Target};
use crate::modules::infypower::Infypower;

/// Volts that the module of connector 1 was told last, and amperes.
fn told(play: &Play) -> (f32, f32) {
    (play.module().volts, play.module().amperes)
}

#[test]
fn the_whole_sequence_with_lock_pause_and_renegotiated_limits() {
    let mut play = Play::wired_at(None);
    let start = play.now;
    play.start(TransactionId(7)).expect("starts");
    play.go(Step::Negotiating);
    let locked = play.ordered_since(start, 3, true).expect("locked");
    assert!(locked - start <= 10, "at the start of the delivery");
    assert!(!play.contactors() && !play.module().on, "no voltage yet");

    play.go(Step::CableCheck);
    let closed = play.ordered_since(start, 0, true).expect("closed");
    assert!(closed > locked);
    let first_on = play.done_since(start).find(|(_, effect)| is_on(effect)).expect("on").0;
    assert!(first_on > closed, "the output contactors close dead");
    assert_eq!(play.worst_switched_amperes, 0.0);
    assert_eq!(told(&play), (450.0, 2.0), "the test voltage at 2 A");
    assert_eq!(play.state().phase, Phase::CableCheck);

    play.go(Step::Lowered);
    assert!(!play.module().on && play.coil(1, 2), "emptied through the resistor");
    play.go(Step::Precharge);
    assert_eq!(told(&play), (400.0, 2.0));
    play.go(Step::WaitingForCharge);
    assert_eq!((told(&play), play.state().phase), ((400.0, 2.0), Phase::PreCharge));
    play.go(Step::Charging);
    assert_eq!((told(&play), play.state().phase), ((420.0, 60.0), Phase::Delivering));

    play.go(Step::Paused);
    assert!(!play.module().on, "current 0");
    assert!(play.contactors() && play.coil(1, 3), "contactors and lock stay");
    assert_eq!((play.state().delivery, play.state().phase), (TransactionId(7), Phase::Delivering));
    assert_eq!(play.told_enable(), Some(true));
    play.run(15_000);
    assert_eq!(play.state().delivery, TransactionId(7), "the session stays");
    let now = play.at();
    play.cabinet.connector(ONE).expect("there").renew(now, TransactionId(7), LEASE).expect("renews");

    play.go(Step::Charging);
    assert_eq!(told(&play).1, 60.0);
    // The vehicle's limit falls: at once; it rises: by the ramp.
    play.most = Some((4200, 200));
    play.run(150);
    assert_eq!(told(&play).1, 20.0);
    play.most = Some((4200, 900));
    play.run(500);
    assert!((25.0..40.0).contains(&told(&play).1), "{:?}", told(&play));
    play.run(2_000);
    assert_eq!(told(&play).1, 60.0);

    let stop = play.now;
    play.stop();
    play.run(100);
    assert!(play.module().on && told(&play).1 < 60.0, "the current goes down first: {:?}", told(&play));
    play.run(400);
    let off = play.told_off_since(stop).expect("off");
    let (positive, negative) = (play.ordered_since(stop, 0, false), play.ordered_since(stop, 1, false));
    assert!(off < positive.expect("opened") && positive < negative, "{off} {positive:?} {negative:?}");
    (play.status, play.wish) = (9, STANDBY);
    play.run(1_000);
    assert!(!play.contactors() && play.coil(1, 3), "locked until the board is through");
    (play.status, play.wish) = (1, NOTHING);
    play.run(300);
    assert!(!play.coil(1, 3), "released");
    assert_eq!((play.state().ended_delivery, play.state().stop_cause), (TransactionId(7), StopCause::Requested));
    assert_eq!((play.worst_switched_amperes, play.codes().len()), (0.0, 0), "{:?}", play.codes());
}

fn is_on(effect: &Effect) -> bool {
    let on = Infypower.switch(Target::Module(Address(1)), true).remove(0);
    matches!(effect, Effect::Send(WhichBus::Modules, frame) if *frame == on)
}

#[test]
fn rule_9_1_a_test_voltage_that_is_not_reached_in_10_s_is_off() {
    let mut play = Play::wired_at(Some(Step::Negotiating));
    play.short_circuit = true;
    let begin = play.now;
    play.go(Step::CableCheck);
    play.run(8_500);
    assert!(play.module().on && play.state().phase == Phase::CableCheck);
    play.run(1_500);
    let off = play.told_off_since(begin + 1_000).expect("off");
    assert!((10_000..=10_500).contains(&(off - begin)), "{} ms", off - begin);
    play.run(2_000);
    assert_eq!((play.state().stop_cause, play.contactors()), (StopCause::Fault, false));
    assert_eq!(play.codes(), ["0x10020A"], "until the vehicle has gone");
    (play.plugged, play.short_circuit) = (false, false);
    play.run(300);
    assert!(play.codes().is_empty(), "{:?}", play.codes());
}

#[test]
fn rule_9_3_the_stations_budgets() {
    // The step, the trouble in it, the budget in milliseconds.
    type Trouble = fn(&mut Play);
    let table: [(Step, Trouble, u64); 2] =
        [(Step::CableCheck, |_| {}, 35_000), (Step::Precharge, |play| play.short_circuit = true, 5_000)];
    for (step, trouble, budget) in table {
        let mut play = Play::wired_at(Some(if step == Step::CableCheck { Step::Negotiating } else { Step::Lowered }));
        let now = play.at();
        play.cabinet.connector(ONE).expect("there").renew(now, TransactionId(7), LEASE * 4).expect("renews");
        trouble(&mut play);
        let begin = play.now;
        (play.status, play.wish) = step.told();
        play.run(budget - 100);
        assert_eq!(play.state().delivery, TransactionId(7), "{step:?}");
        assert_ne!(play.state().phase, Phase::Stopping, "{step:?}");
        play.run(400);
        let off = play.told_off_since(begin + 200).expect("off");
        assert!((budget..=budget + 300).contains(&(off - begin)), "{step:?}: {} ms", off - begin);
        play.run(1_000);
        assert_eq!(play.state().stop_cause, StopCause::TimedOut, "{step:?}");
    }
}

#[test]
fn no_precharge_before_the_cable_check_was_reached_and_emptied() {
    let mut play = Play::wired_at(Some(Step::Negotiating));
    // The board asks for its own contactors only, and never for the test voltage.
    (play.status, play.wish) = (4, STANDBY);
    play.run(1_000);
    assert!(play.contactors());
    play.go(Step::Precharge);
    assert!(!play.module().on, "not tested");
    let mut play = Play::wired_at(Some(Step::CableCheck));
    play.back_feed = 200.0;
    play.go(Step::Precharge);
    assert!(!play.module().on, "not below 60 V since the test");
    play.back_feed = 0.0;
    play.go(Step::Precharge);
    assert!(play.module().on);
}

#[test]
fn each_kind_of_stop_has_its_slope() {
    type Trigger = fn(&mut Play);
    // What stops it, how long until the modules are off (at 60 A), whether the vehicle is told of an emergency.
    let table: [(&str, Trigger, std::ops::RangeInclusive<u64>, bool); 6] = [
        ("normal: asked for", |play| play.stop(), 250..=400, false),
        ("normal: the vehicle ends it", |play| (play.status, play.wish) = (8, STANDBY), 0..=110, false),
        ("error: water", |play| play.set_input(1, 7, false), 100..=250, false),
        ("error: heat", |play| play.plug_celsius = Some(96), 100..=310, false),
        ("emergency: tilt", |play| play.set_input(1, 6, false), 0..=60, true),
        ("emergency: unplugged", |play| play.plugged = false, 0..=110, true),
    ];
    for (what, trigger, slope, emergency) in table {
        let mut play = Play::wired_at(Some(Step::Charging));
        let begin = play.now;
        trigger(&mut play);
        play.run(2_000);
        let off = play.told_off_since(begin).expect("off") - begin;
        assert!(slope.contains(&off), "{what}: {off} ms");
        assert_eq!(play.told_enable(), Some(!emergency), "{what}");
        assert!(!play.contactors(), "{what}");
    }
}

#[test]
fn a_gentle_stop_that_becomes_an_emergency_has_its_own_second() {
    let mut play = Play::wired_at(Some(Step::Charging));
    play.sticks = true;
    play.stop();
    play.run(3_000);
    assert!(play.contactors(), "a gentle stop waits for the current");
    let begin = play.now;
    play.set_input(1, 6, false);
    play.run(900);
    assert!(play.contactors() && play.told_enable() == Some(false));
    play.run(200);
    let opened = play.ordered_since(begin, 0, false).expect("opened") - begin;
    assert!((950..=1_060).contains(&opened), "{opened} ms");
}

#[test]
fn what_runs_goes_on_in_the_next_process_in_every_step() {
    for step in Step::ALL {
        let mut play = Play::wired_at(Some(step));
        let (on, contactors) = (play.module().on, play.contactors());
        play.restart(80);
        let before = play.now;
        play.run(100);
        assert_eq!((play.module().on, play.contactors()), (on, contactors), "{step:?}");
        assert!(!on || play.told_off_since(before).is_none(), "{step:?}");
        play.run(500);
        let went_on = step == Step::Stopping || play.state().delivery == TransactionId(7);
        assert!(went_on && play.state().stop_cause != StopCause::Fault, "{step:?}: {:?}", play.state());
    }
}
