//! The emergency path (hardware notes §9.5): every step of the sequence and every cause, in its order and in time; and
//! what must happen before the next delivery.

use super::*;

type Act = fn(&mut Play);

struct Cause {
    name: &'static str,
    /// What happens.
    happens: Act,
    /// What undoes it.
    ends: Act,
    stop_cause: StopCause,
    /// The fault code that stays after the cause has gone, while the vehicle is there.
    stays: Option<&'static str>,
    /// At the latest so long after the cause the modules are told off.
    noticed_within: u64,
    /// It is a cause only from the cable check on.
    in_loop: bool,
    /// It is one only while modules are told to deliver.
    under_power: bool,
}

const CAUSE: Cause = Cause {
    name: "",
    happens: |_| {},
    ends: |_| {},
    stop_cause: StopCause::Fault,
    stays: None,
    noticed_within: 60,
    in_loop: false,
    under_power: false,
};

fn causes() -> Vec<Cause> {
    vec![
        Cause {
            name: "emergency stop",
            happens: |play| play.set_input(1, 2, false),
            ends: |play| play.set_input(1, 2, true),
            stop_cause: StopCause::EmergencyStop,
            stays: Some("0x100202"),
            ..CAUSE
        },
        Cause {
            name: "tilt",
            happens: |play| play.set_input(1, 6, false),
            ends: |play| play.set_input(1, 6, true),
            stays: Some("0x10020E"),
            ..CAUSE
        },
        Cause {
            name: "insulation",
            happens: |play| play.set_input(1, 3, false),
            ends: |play| play.set_input(1, 3, true),
            stays: Some("0x10020A"),
            in_loop: true,
            ..CAUSE
        },
        Cause {
            name: "over-voltage",
            happens: |play| play.excess = (100.0, 0.0),
            ends: |play| play.excess = (0.0, 0.0),
            stays: Some("0x100214"),
            noticed_within: 560,
            under_power: true,
            ..CAUSE
        },
        Cause {
            name: "over-current",
            happens: |play| play.excess = (0.0, 30.0),
            ends: |play| play.excess = (0.0, 0.0),
            stays: Some("0x100213"),
            noticed_within: 1_200,
            under_power: true,
            ..CAUSE
        },
        Cause {
            name: "contactor",
            happens: |play| {
                play.welded = [true, false];
                play.set_input(1, 0, !play.contactors());
            },
            ends: |play| {
                play.welded = [false; 2];
                play.set_input(1, 0, false);
            },
            stays: Some("0x100208"),
            noticed_within: 1_400,
            ..CAUSE
        },
        Cause {
            name: "unplugged",
            happens: |play| play.plugged = false,
            ends: |play| play.plugged = true,
            stop_cause: StopCause::Unplugged,
            noticed_within: 110,
            ..CAUSE
        },
        Cause {
            name: "the board is silent",
            happens: |play| play.board_silent = true,
            ends: |play| play.board_silent = false,
            noticed_within: 310,
            ..CAUSE
        },
        Cause {
            name: "the I/O board is silent",
            happens: |play| play.boards_unread = true,
            ends: |play| play.boards_unread = false,
            noticed_within: 510,
            ..CAUSE
        },
        Cause {
            name: "the module is silent",
            happens: |play| play.modules.get_mut(&1).expect("there").silent = true,
            ends: |play| play.modules.get_mut(&1).expect("there").silent = false,
            noticed_within: 2_110,
            ..CAUSE
        },
        Cause {
            name: "the vehicle's emergency",
            happens: |play| play.emergency_of_board = Some(3),
            ends: |play| play.emergency_of_board = None,
            stop_cause: StopCause::Vehicle,
            noticed_within: 110,
            ..CAUSE
        },
        Cause {
            name: "the board's emergency",
            happens: |play| play.emergency_of_board = Some(1),
            ends: |play| play.emergency_of_board = None,
            noticed_within: 110,
            ..CAUSE
        },
    ]
}

/// When connector 1's board was first told that power is not enabled, from a moment on.
fn disabled_since(play: &Play, at: u64) -> Option<u64> {
    let is = |effect: &Effect| matches!(effect, Effect::Send(WhichBus::Vehicles, frame) if frame.id() == 0x0106_3000 && frame.data()[6] == 0);
    play.done_since(at).find(|(_, effect)| is(effect)).map(|(when, _)| *when)
}

#[test]
fn rule_9_5_every_step_and_every_cause() {
    for step in Step::ALL {
        for cause in causes() {
            let what = format!("{} in {step:?}", cause.name);
            let mut play = Play::wired_at(Some(step));
            let powered = play.module().on;
            if (cause.in_loop && step < Step::CableCheck) || (cause.under_power && !powered) || step == Step::Stopping {
                continue;
            }
            let begin = play.now;
            (cause.happens)(&mut play);
            play.run(3_500);
            let told = disabled_since(&play, begin).unwrap_or_else(|| panic!("{what}: the vehicle is not told"));
            assert!(told - begin <= cause.noticed_within, "{what}: told after {} ms", told - begin);
            // What is not seen closed gets nothing at once, long before that is a fault.
            if powered && cause.name != "contactor" {
                let off = play.told_off_since(begin).unwrap_or_else(|| panic!("{what}: not off"));
                assert_eq!(off, told, "{what}: in the same cycle");
                let at = |wanted: fn(&Effect) -> bool| {
                    play.done.iter().position(|(when, effect)| *when == told && wanted(effect)).expect("done")
                };
                let off = at(|effect| matches!(effect, Effect::Send(WhichBus::Modules, _)));
                let vehicle = at(|effect| matches!(effect, Effect::Send(WhichBus::Vehicles, _)));
                assert!(off < vehicle, "{what}: modules off first");
                let repeats =
                    play.done_since(told).filter(|(when, effect)| *when <= told + 120 && is_off(effect)).count();
                assert!(repeats >= 3, "{what}: said {repeats} times in 120 ms, not three times at 50 ms");
            }
            if step > Step::Negotiating {
                let opened = play.ordered_since(told, 0, false).unwrap_or_else(|| panic!("{what}: not opened"));
                assert!(opened - told <= 1_020, "{what}: opened after {} ms", opened - told);
                assert!(!play.coil(1, 0) && !play.coil(1, 1), "{what}");
            }
            (cause.ends)(&mut play);
            play.run(15_000);
            assert_eq!(
                (play.state().ended_delivery, play.state().stop_cause),
                (TransactionId(7), cause.stop_cause),
                "{what}"
            );
            assert!(!play.module().on, "{what}");
            let codes = play.codes();
            assert_eq!(codes.iter().map(String::as_str).collect::<Vec<_>>(), Vec::from_iter(cause.stays), "{what}");
        }
    }
}

fn is_off(effect: &Effect) -> bool {
    matches!(effect, Effect::Send(WhichBus::Modules, frame) if play::is_off_for_one(frame))
}

#[test]
fn rule_9_5_a_normal_stop_under_way_becomes_an_emergency_within_the_cycle() {
    for cause in causes().into_iter().filter(|cause| !cause.under_power && cause.name != "contactor") {
        let mut play = Play::wired_at(Some(Step::Charging));
        play.sticks = true;
        play.stop();
        play.run(500);
        let begin = play.now;
        (cause.happens)(&mut play);
        play.run(3_500);
        let told = disabled_since(&play, begin).expect("told");
        assert!(told - begin <= cause.noticed_within, "{}: {} ms", cause.name, told - begin);
        assert!(!play.coil(1, 0), "{}: opened", cause.name);
        (cause.ends)(&mut play);
        play.sticks = false;
        play.run(15_000);
        assert_eq!(play.state().stop_cause, StopCause::Requested, "{}: the first cause stands", cause.name);
    }
}

#[test]
fn rule_9_5_7_reset_only_with_the_cause_gone_and_the_weld_check_passed() {
    let latching: Vec<Cause> = causes().into_iter().filter(|cause| cause.stays.is_some()).collect();
    for cause in latching {
        let mut play = Play::wired_at(Some(Step::Charging));
        (cause.happens)(&mut play);
        play.run(2_500);
        (play.status, play.wish) = (1, NOTHING);
        play.run(18_000);
        let code = cause.stays.expect("stays");
        let reset = |play: &mut Play| play.cabinet.reset_fault(play.at(), ONE);
        let held_by_cause = ["emergency stop", "tilt", "insulation"].contains(&cause.name);
        if held_by_cause {
            assert!(reset(&mut play).is_err(), "{}: the cause is still there", cause.name);
        }
        (cause.ends)(&mut play);
        play.run(500);
        assert_eq!(play.codes(), [code], "{}: the vehicle is still there", cause.name);
        assert!(play.start(TransactionId(8)).is_err(), "{}", cause.name);
        reset(&mut play).unwrap_or_else(|refused| panic!("{}: {refused}", cause.name));
        assert!(play.codes().is_empty(), "{}: {:?}", cause.name, play.codes());
        play.start(TransactionId(8)).unwrap_or_else(|refused| panic!("{}: {refused}", cause.name));
        assert!(reset(&mut play).is_err(), "{}: not in a delivery", cause.name);
    }
}

#[test]
fn an_emergency_stop_that_is_released_needs_the_vehicle_gone() {
    let mut play = Play::wired_at(Some(Step::Charging));
    play.set_input(1, 2, false);
    play.run(2_000);
    play.set_input(1, 2, true);
    (play.status, play.wish) = (1, NOTHING);
    play.run(20_000);
    assert_eq!(play.codes(), ["0x100202"]);
    play.plugged = false;
    play.run(300);
    assert!(play.codes().is_empty(), "{:?}", play.codes());
}

#[test]
fn an_emergency_between_deliveries_is_shown_and_not_latched() {
    let mut play = Play::wired_at(None);
    play.set_input(1, 2, false);
    play.run(200);
    assert_eq!(play.codes(), ["0x100202"]);
    assert!(play.start(TransactionId(7)).is_err());
    play.set_input(1, 2, true);
    play.run(200);
    play.start(TransactionId(7)).expect("starts");
}

#[test]
fn class_f_water_is_shown_as_long_as_it_is_there() {
    for step in Step::ALL.into_iter().filter(|step| *step < Step::Stopping) {
        let mut play = Play::wired_at(Some(step));
        play.set_input(1, 7, false);
        play.run(1_100);
        assert!(!play.module().on, "{step:?}: off within a second");
        play.run(2_000);
        assert_eq!((play.state().stop_cause, play.contactors()), (StopCause::Fault, false), "{step:?}");
        assert_eq!(play.told_enable(), Some(true), "{step:?}: a fault stop is no emergency");
        assert_eq!(play.codes(), ["0x10020B"], "{step:?}");
        play.set_input(1, 7, true);
        play.run(200);
        assert!(play.codes().is_empty(), "{step:?}");
    }
}
