use super::*;
use crate::modules::facts::{ModuleFacts, ModuleState};
use crate::modules::infypower;
use busbar_interfaces::{Milliamperes, Watts};

mod physics;
mod properties;
mod sharing;
mod talk;

const ONE: ConnectorId = ConnectorId(1);
const TWO: ConnectorId = ConnectorId(2);
const VOLTAGE: Millivolts = Millivolts(400_000);

fn at(millis: u64) -> BoottimeMillis {
    BoottimeMillis(millis)
}

/// Modules 1 and 2 of connector 1 and module 3 of connector 2, all joined.
fn rack() -> Rack {
    let fitted = [1, 2, 3].map(|address| Fitted { address: Address(address), serial: None });
    let mut rack = Rack::new(Family::Infypower, &fitted, true, at(0));
    for (address, owner) in [(1, ONE), (2, ONE), (3, TWO)] {
        assert!(rack.assign(at(0), Address(address), Some(owner)));
        rack.joined(Address(address), true);
    }
    rack
}

fn reading(module: u8, volts: f32, amperes: f32) -> Frame {
    let bytes: Vec<u8> = volts.to_be_bytes().into_iter().chain(amperes.to_be_bytes()).collect();
    Frame::extended(0x0283_F000 | u32::from(module), &bytes)
}

/// A status by its bytes 5, 6 and 7.
fn status(module: u8, states: [u8; 3]) -> Frame {
    let [state2, state1, state0] = states;
    Frame::extended(0x0284_F000 | u32::from(module), &[0, 0, 0, 0, 25, state2, state1, state0])
}

/// What it could give, in amperes.
fn available(module: u8, amperes: u16) -> Frame {
    let [high, low] = (amperes * 10).to_be_bytes();
    Frame::extended(0x028C_F000 | u32::from(module), &[0x0F, 0xA0, high, low, 0, 0, 0, 0])
}

fn set(module: u8, milliamperes: u32) -> Frame {
    infypower::set_output(Address(module), VOLTAGE.0, milliamperes)
}

fn fact(rack: &Rack, now: BoottimeMillis, address: u8) -> ModuleFacts {
    rack.facts(now).into_iter().find(|facts| facts.address == Address(address)).expect("fitted")
}

/// The currents that the modules are ordered, in mA; nothing for one that is off.
fn ordered(rack: &Rack) -> Vec<Option<u32>> {
    let on = |module: &Module| module.is_on().then(|| module.order.map_or(0, |order| order.current().0));
    rack.modules.values().map(on).collect()
}

/// Every module answers, and connector 1 asks for the same, step by step.
fn deliver_for(rack: &mut Rack, from: u64, millis: u64, current: u32, answering: &[u8]) -> u64 {
    for now in (from..from + millis).step_by(100) {
        for module in answering {
            let amperes = ordered(rack)[usize::from(*module) - 1].unwrap_or(0) as f32 / 1000.0;
            rack.hear(at(now), &reading(*module, if amperes > 0.0 { 400.0 } else { 0.0 }, amperes));
        }
        rack.deliver(at(now), ONE, VOLTAGE, Milliamperes(current));
        rack.frames_due(at(now), |_| true);
    }
    from + millis
}

#[test]
fn off_is_said_three_times_and_rest_is_what_the_readings_say() {
    let (mut rack, now) = (rack(), at(1000));
    rack.hear(now, &reading(3, 400.0, 50.0));
    rack.rest(now, TWO);
    let off = infypower::switch(Address(3), false);
    for step in 0..3 {
        let now = now.after(Duration::from_millis(step * 50));
        assert!(rack.frames_due(now, |_| true).contains(&off), "repeat {step}");
    }
    assert!(!rack.output(now, TWO).at_rest);
    rack.hear(now, &reading(3, 10.0, 0.0));
    assert!(!rack.output(now, TWO).at_rest, "one reading is not enough");
    rack.hear(now, &reading(3, 5.0, 0.0));
    assert!(rack.output(now, TWO).at_rest);
    assert_eq!(fact(&rack, now, 3).state, ModuleState::Off);
}

#[test]
fn rule_9_4_a_module_that_falls_silent_in_use_is_told_after_two_seconds_and_until_it_is_surely_off() {
    let (mut rack, now) = (rack(), at(1000));
    rack.hear(now, &reading(3, 400.0, 50.0));
    rack.deliver(now, TWO, VOLTAGE, Milliamperes(50_000));
    let table = [(1_999, false), (2_000, true), (3_000, true), (12_999, true), (13_050, false)];
    for (millis, lost) in table {
        let now = now.after(Duration::from_millis(millis));
        assert_eq!(rack.output(now, TWO).lost_one_in_use, lost, "{millis} ms");
        rack.deliver(now, TWO, VOLTAGE, Milliamperes(50_000));
    }
}

#[test]
fn nothing_is_ordered_before_it_is_decided() {
    let mut rack = rack();
    let frames = rack.frames_due(at(1000), |_| true);
    assert!(frames.iter().all(|frame| frame.data().iter().all(|byte| *byte == 0)), "only questions");
}

#[test]
fn a_silent_module_counts_with_its_last_reading_and_one_never_heard_is_not_off_yet() {
    let (mut rack, now) = (rack(), at(1000));
    rack.hear(now, &reading(1, 400.0, 30.0));
    rack.hear(now, &reading(1, f32::NAN, 0.0));
    rack.rest(now, ONE);
    let output = rack.output(now, ONE);
    assert_eq!((output.usable, output.current, output.current_known), (1, Milliamperes(30_000), false));
    let later = at(11_000);
    rack.hear(later, &reading(2, 0.0, -20.0));
    rack.hear(later, &reading(2, 0.0, -20.0));
    let output = rack.output(later, ONE);
    assert_eq!((output.current, output.at_rest), (Milliamperes(50_000), false), "nothing is quiet");
    rack.hear(later, &reading(2, 0.0, 0.0));
    rack.hear(later, &reading(2, 0.0, 0.0));
    assert!(!rack.output(later, ONE).at_rest);
    let output = rack.output(at(12_001), ONE);
    assert!(output.at_rest && output.current_known && output.usable == 1, "{output:?}");
}

#[test]
fn a_status_is_no_reading() {
    let (mut rack, now) = (rack(), at(1000));
    rack.hear(now, &reading(3, 400.0, 50.0));
    rack.deliver(now, TWO, VOLTAGE, Milliamperes(50_000));
    rack.hear(at(3000), &status(3, [0; 3]));
    assert!(rack.output(at(3000), TWO).lost_one_in_use);
}

#[test]
fn on_is_said_again_only_to_a_module_that_says_later_that_it_is_off() {
    let (mut rack, now) = (rack(), at(5000));
    let on = infypower::switch(Address(3), true);
    let mut said = 0;
    for step in 0..30u64 {
        let now = now.after(Duration::from_millis(100 * step));
        rack.hear(now, &reading(3, 0.0, 0.0));
        rack.hear(now, &status(3, [0, 1, 0]));
        let current = Milliamperes(u32::try_from(step).expect("small") * 1000);
        rack.deliver(now, TWO, VOLTAGE, current);
        said += rack.frames_due(now, |_| true).iter().filter(|frame| **frame == on).count();
    }
    assert!((2..=4).contains(&said), "{said}");
}

#[test]
fn frames_go_out_off_first_then_what_falls_then_what_rises() {
    let mut rack = rack();
    let now = deliver_for(&mut rack, 1000, 3000, 60_000, &[1, 2]);
    assert_eq!(ordered(&rack)[..2], [Some(60_000), Some(0)]);
    rack.hear(at(now), &reading(3, 400.0, 10.0));
    rack.rest(at(now), TWO);
    rack.deliver(at(now), ONE, VOLTAGE, Milliamperes(70_000));
    let frames = rack.frames_due(at(now), |_| true);
    let place = |frame: Frame| frames.iter().position(|each| *each == frame);
    let (off, falls, rises) = (infypower::switch(Address(3), false), set(1, 60_000), set(2, 10_000));
    let places = [place(off), place(falls), place(rises)];
    assert!(places.iter().all(Option::is_some) || places[1].is_none(), "{frames:?}");
    assert!(places[0] < places[2], "{frames:?}");
    let questions = frames.iter().position(|frame| *frame == infypower::read_output(Address(1)));
    assert!(questions > places[2], "{frames:?}");
    // One falls while another rises.
    deliver_for(&mut rack, now + 100, 1000, 70_000, &[1, 2]);
    let now = now + 1100;
    rack.hear(at(now), &status(1, [1, 0, 0]));
    rack.hear(at(now), &available(1, 20));
    rack.deliver(at(now), ONE, VOLTAGE, Milliamperes(70_000));
    let frames = rack.frames_due(at(now), |_| true);
    let orders: Vec<u32> = frames.iter().map(Frame::id).filter(|id| id & 0x3F_0000 == 0x1C_0000).collect();
    assert_eq!(orders[..2], [0x029C_01F0, 0x029C_02F0]);
}

#[test]
fn rule_6_2_1_a_module_belongs_to_one_connector_and_changes_only_at_rest() {
    let mut rack = rack();
    let now = deliver_for(&mut rack, 1000, 1000, 50_000, &[1, 2]);
    assert!(!rack.assign(at(now), Address(2), Some(TWO)), "it is on");
    assert_eq!(fact(&rack, at(now), 2).owner, Some(ONE));
    rack.hold_off(at(now), Address(2));
    assert!(!rack.assign(at(now), Address(2), Some(TWO)), "not read since");
    for _ in 0..2 {
        rack.hear(at(now), &reading(2, 20.0, 0.0));
    }
    rack.deliver(at(now), ONE, VOLTAGE, Milliamperes(50_000));
    assert_eq!(ordered(&rack)[1], None, "held off whatever its connector asks");
    assert!(fact(&rack, at(now), 2).at_rest);
    assert!(rack.assign(at(now), Address(2), Some(TWO)));
    assert!(!fact(&rack, at(now), 2).joined);
    assert!(!rack.assign(at(now), Address(9), Some(TWO)), "not fitted");
}

#[test]
fn rule_6_2_8_a_module_that_joins_is_on_at_the_voltage_of_the_bus_without_current() {
    let (mut rack, now) = (rack(), at(1000));
    rack.rest(now, ONE);
    for _ in 0..2 {
        rack.hear(now, &reading(2, 0.0, 0.0));
    }
    rack.hear(now, &reading(3, 400.0, 0.0));
    assert!(rack.assign(now, Address(2), Some(TWO)));
    rack.deliver(now, TWO, VOLTAGE, Milliamperes(80_000));
    assert_eq!(ordered(&rack)[1], None, "not joined and not prepared");
    rack.prepare(now, Address(2), Millivolts(398_000));
    rack.deliver(now, TWO, VOLTAGE, Milliamperes(80_000));
    assert_eq!(ordered(&rack)[1..], [Some(500), Some(75_000)], "half an ampere for its own output");
    assert_eq!(fact(&rack, now, 2).state, ModuleState::Preparing);
    let frames = rack.frames_due(now, |_| true);
    assert!(frames.contains(&infypower::set_output(Address(2), 398_000, 500)), "{frames:?}");
    rack.joined(Address(2), true);
    for step in 1..20 {
        rack.deliver(now.after(Duration::from_millis(step * 90)), TWO, VOLTAGE, Milliamperes(80_000));
    }
    assert_eq!(ordered(&rack)[1..], [Some(40_000), Some(40_000)]);
    rack.rest(now, TWO);
    assert_eq!(ordered(&rack)[1..], [None, None]);
    rack.joined(Address(2), false);
    rack.rest(now, TWO);
    rack.deliver(now, TWO, VOLTAGE, Milliamperes(10_000));
    assert_eq!(ordered(&rack)[1], None, "what it was prepared for is forgotten");
}

#[test]
fn a_free_module_is_off() {
    let (mut rack, now) = (rack(), at(1000));
    assert!(rack.assign(now, Address(3), Some(TWO)));
    rack.rest(now, TWO);
    for _ in 0..2 {
        rack.hear(now, &reading(3, 0.0, 0.0));
    }
    assert!(rack.assign(now, Address(3), None));
    rack.joined(Address(3), true);
    rack.prepare(now, Address(3), VOLTAGE);
    rack.deliver(now, TWO, VOLTAGE, Milliamperes(10_000));
    let frames = rack.frames_due(now, |_| true);
    assert!(frames.contains(&infypower::switch(Address(3), false)), "{frames:?}");
    assert_eq!(rack.output(now, TWO).fitted, 0);
}

#[test]
fn rule_9_5_everyone_off_is_said_at_once_and_three_times_more() {
    let mut rack = rack();
    let start = deliver_for(&mut rack, 1000, 1000, 50_000, &[1, 2]);
    let everyone_off = infypower::switch_target(Target::Everyone, false);
    assert_eq!(rack.emergency_off(at(start)), std::slice::from_ref(&everyone_off));
    let mut said = Vec::new();
    for millis in (0..1000).step_by(25) {
        let now = at(start + millis);
        assert!(rack.emergency_off(now).is_empty(), "once");
        let frames = rack.frames_due(now, |_| true);
        if let Some(place) = frames.iter().position(|frame| *frame == everyone_off) {
            assert_eq!(place, 0, "before anything else");
            said.push(millis);
        }
        if millis == 0 {
            assert!(frames.contains(&infypower::switch(Address(1), false)), "and each of them");
        }
    }
    assert_eq!(said, [50, 100, 150]);
    // After a new delivery it can be said again.
    let now = deliver_for(&mut rack, start + 1000, 200, 50_000, &[1, 2]);
    assert_eq!(rack.emergency_off(at(now)), [everyone_off]);
}

#[test]
fn the_first_act_is_everyone_off_unless_an_output_is_taken_over() {
    let everyone_off = infypower::switch_target(Target::Everyone, false);
    let mut fresh = rack();
    fresh.rest(at(1000), ONE);
    assert!(!fresh.frames_due(at(1000), |_| false).contains(&everyone_off), "one is not decided yet");
    fresh.rest(at(1000), TWO);
    assert_eq!(fresh.frames_due(at(1000), |_| false)[0], everyone_off);
    assert!(!fresh.frames_due(at(1025), |_| false).contains(&everyone_off), "once");
    fresh.ask_all();
    assert_eq!(fresh.frames_due(at(1050), |_| false)[0], everyone_off, "and when the bus is back");

    // Another process goes on with it: nobody is told to be off because that begins.
    let mut next = rack();
    let now = deliver_for(&mut next, 1000, 3000, 60_000, &[1, 2]);
    next.look_again(at(now));
    assert!(!next.frames_due(at(now), |_| true).contains(&everyone_off));
    assert!(!next.output(at(now), ONE).looked_at, "nothing has been read yet");
    next.hear(at(now + 5), &reading(1, 400.0, 30.0));
    next.hear(at(now + 5), &reading(2, 400.0, 30.0));
    assert!(next.output(at(now + 5), ONE).looked_at);
}

#[test]
fn the_whole_state_can_be_handed_to_the_next_process() {
    let mut rack = rack();
    let now = deliver_for(&mut rack, 1000, 3000, 100_000, &[1, 2]);
    rack.hear(at(now), &status(2, [1, 0, 0]));
    rack.hear(at(now), &reading(9, 0.0, 0.0));
    let text = serde_json::to_string(&rack).expect("a text");
    let mut next: Rack = serde_json::from_str(&text).expect("the same");
    assert_eq!(next, rack);
    next.deliver(at(now), ONE, VOLTAGE, Milliamperes(100_000));
    let frames = next.frames_due(at(now), |_| true);
    assert!(frames.iter().all(|frame| frame.id() & 0x3F_0000 != 0x1A_0000), "nothing is switched: {frames:?}");
}
