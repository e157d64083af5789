//! How the current of a connector is shared, and what happens when one of its modules cannot.

use super::*;

#[test]
fn the_current_is_shared_by_the_modules_that_are_heard() {
    let (mut rack, now) = (rack(), at(1000));
    rack.hear(now, &reading(1, 0.0, 0.0));
    rack.deliver(now, ONE, VOLTAGE, Milliamperes(90_000));
    let frames = rack.frames_due(now, |_| true);
    assert!(frames.contains(&set(1, 90_000 - 15_000)), "30 kW at 400 V is 75 A: {frames:?}");
    assert!(frames.contains(&infypower::switch(Address(2), false)));
    rack.hear(now, &reading(2, 0.0, 0.0));
    rack.deliver(now, ONE, VOLTAGE, Milliamperes(90_000));
    let frames = rack.frames_due(now, |_| true);
    assert!(frames.contains(&infypower::switch(Address(2), true)));
    deliver_for(&mut rack, 1100, 1000, 90_000, &[1, 2]);
    assert_eq!(ordered(&rack), [Some(45_000), Some(45_000), None]);
}

#[test]
fn a_module_whose_relay_is_open_gives_nothing() {
    let (mut rack, now) = (rack(), at(1000));
    rack.hear(now, &reading(1, 0.0, 0.0));
    rack.hear(now, &reading(2, 0.0, 0.0));
    rack.joined(Address(1), false);
    rack.deliver(now, ONE, VOLTAGE, Milliamperes(10_000));
    let frames = rack.frames_due(now, |_| true);
    assert!(frames.contains(&set(2, 10_000)) && frames.contains(&infypower::switch(Address(1), false)));
}

#[test]
fn rule_1_1_the_share_of_a_silent_module_goes_to_nobody_before_it_is_surely_off() {
    let mut rack = rack();
    let silent_from = deliver_for(&mut rack, 1000, 3000, 120_000, &[1, 2]);
    assert_eq!(ordered(&rack)[..2], [Some(60_000), Some(60_000)]);
    let last_heard = silent_from - 100;
    let now = deliver_for(&mut rack, silent_from, 3000, 120_000, &[1]);
    assert_eq!(ordered(&rack)[..2], [Some(60_000), None], "told to be off, and its share kept back");
    assert!(rack.output(at(now), ONE).lost_one_in_use);
    let now = deliver_for(&mut rack, now, last_heard + 13_000 - now, 120_000, &[1]);
    assert_eq!(ordered(&rack)[0], Some(60_000));
    deliver_for(&mut rack, now, 1000, 120_000, &[1]);
    assert_eq!(ordered(&rack)[0], Some(75_000), "what it can");
}

#[test]
fn a_failing_module_is_replaced_when_its_output_is_shown_dead_and_is_back_after_ten_clear_seconds() {
    for states in [[0, 0b10, 0], [0, 0, 1], [0b1000, 0, 0], [0, 0b1_0000, 0]] {
        let mut rack = rack();
        let now = deliver_for(&mut rack, 1000, 3000, 70_000, &[1, 2]);
        assert_eq!(ordered(&rack)[..2], [Some(35_000), Some(35_000)]);
        rack.hear(at(now), &status(2, states));
        rack.deliver(at(now), ONE, VOLTAGE, Milliamperes(70_000));
        assert_eq!(ordered(&rack)[..2], [Some(35_000), None], "{states:?}: it may still give");
        for _ in 0..2 {
            rack.hear(at(now), &reading(2, 100.0, 0.0));
        }
        rack.deliver(at(now), ONE, VOLTAGE, Milliamperes(70_000));
        assert_eq!(ordered(&rack)[..2], [Some(70_000), None], "{states:?}: it does not");
        rack.hear(at(now), &status(2, [0; 3]));
        let now = deliver_for(&mut rack, now, 9_900, 70_000, &[1, 2]);
        assert_eq!((ordered(&rack)[1], fact(&rack, at(now), 2).usable), (None, false));
        assert_eq!(fact(&rack, at(now - 100), 2).state, ModuleState::Unavailable);
        deliver_for(&mut rack, now, 2_000, 70_000, &[1, 2]);
        assert_eq!(ordered(&rack)[..2], [Some(35_000), Some(35_000)], "{states:?}: it is back");
    }
}

#[test]
fn warnings_and_states_stand_against_nothing() {
    let mut rack = rack();
    rack.hear(at(1000), &reading(3, 0.0, 0.0));
    rack.hear(at(1000), &status(3, [0b1001_0101, 0b1100_1001, 0b11_1100]));
    assert!(fact(&rack, at(1000), 3).usable);
    assert!(rack.conditions(at(1000)).is_empty());
}

#[test]
fn a_derating_module_gets_what_it_can_and_the_others_the_rest() {
    let mut rack = rack();
    let now = deliver_for(&mut rack, 1000, 4000, 100_000, &[1, 2]);
    rack.hear(at(now), &status(2, [1, 0, 0]));
    rack.hear(at(now), &available(2, 30));
    assert_eq!(fact(&rack, at(now), 2).available_current, Milliamperes(30_000));
    assert_eq!(rack.output(at(now), ONE).power, Watts(30_000 + 12_000), "30 A at 400 V are left of one");
    let now = deliver_for(&mut rack, now, 1500, 100_000, &[1, 2]);
    assert_eq!(ordered(&rack)[..2], [Some(70_000), Some(30_000)]);
    rack.hear(at(now), &status(2, [0, 0, 0]));
    rack.hear(at(now), &available(2, 100));
    deliver_for(&mut rack, now, 1500, 100_000, &[1, 2]);
    assert_eq!(ordered(&rack)[..2], [Some(50_000), Some(50_000)], "it is better");
}

#[test]
fn a_module_that_tells_no_more_than_it_is_told_is_not_taken_for_a_weak_one() {
    let mut rack = rack();
    let mut now = deliver_for(&mut rack, 1000, 4000, 40_000, &[1, 2]);
    for _ in 0..5 {
        for module in [1, 2] {
            let told = ordered(&rack)[usize::from(module) - 1].unwrap_or(0);
            rack.hear(at(now), &available(module, u16::try_from(told / 1000).expect("small")));
        }
        now = deliver_for(&mut rack, now, 1000, 120_000, &[1, 2]);
    }
    assert_eq!(ordered(&rack)[..2], [Some(60_000), Some(60_000)]);
}

#[test]
fn few_modules_at_low_load_and_the_others_wait_on_without_current() {
    let mut rack = rack();
    let now = deliver_for(&mut rack, 1000, 1000, 50_000, &[1, 2]);
    assert_eq!(ordered(&rack)[..2], [Some(50_000), Some(0)]);
    assert_eq!((rack.output(at(now), ONE).giving, fact(&rack, at(now - 100), 2).state), (1, ModuleState::Standby));
    let now = deliver_for(&mut rack, now, 3000, 100_000, &[1, 2]);
    assert_eq!(ordered(&rack)[..2], [Some(50_000), Some(50_000)], "much helps at once");
    let now = deliver_for(&mut rack, now, 6_000, 50_000, &[1, 2]);
    assert_eq!(ordered(&rack)[..2], [Some(25_000), Some(25_000)], "not before ten seconds");
    deliver_for(&mut rack, now, 5_000, 50_000, &[1, 2]);
    assert_eq!(ordered(&rack)[..2], [Some(50_000), Some(0)]);
}

#[test]
fn a_module_that_refuses_a_set_point_is_not_used_for_a_while() {
    let mut rack = rack();
    let now = deliver_for(&mut rack, 1000, 3000, 70_000, &[1, 2]);
    rack.hear(at(now), &Frame::extended(0x029C_F002 | (3 << 26), &[0; 8]));
    rack.deliver(at(now), ONE, VOLTAGE, Milliamperes(70_000));
    assert_eq!(ordered(&rack)[..2], [Some(35_000), None], "it may go on with the last one");
    let now = deliver_for(&mut rack, now, 1000, 70_000, &[1, 2]);
    assert_eq!(ordered(&rack)[..2], [Some(70_000), None]);
    deliver_for(&mut rack, now, 12_000, 70_000, &[1, 2]);
    assert_eq!(ordered(&rack)[..2], [Some(35_000), Some(35_000)]);
}
