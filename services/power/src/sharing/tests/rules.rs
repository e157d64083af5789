//! Each line of hardware notes §6.2 that concerns the matrix.

use super::world::{A, B, World};
use crate::io::{CoilOrder, Unit};
use crate::sharing::answer::WORN_OUT;
use crate::sharing::*;
use crate::wear::Wear;

fn charging(modules: u8, a: u32, b: u32) -> World {
    let mut world = World::new(modules);
    world.plug(A, a);
    world.run(10_000);
    if b > 0 {
        world.plug(B, b);
        world.run(10_000);
    }
    world
}

/// Whether anything was closed at all is seen in the wear.
fn closings(world: &World) -> u32 {
    world.sharing.relays().map(|(.., relay)| relay.wear().cycles).sum()
}

fn codes(world: &World) -> Vec<(String, ConnectorId)> {
    world.orders.conditions.iter().map(|condition| (condition.code.clone(), condition.connector)).collect()
}

#[test]
fn rule_6_2_1_after_a_start_everything_is_off_and_open_before_anyone_owns_anything() {
    let mut world = World::new(2);
    for (module, connector) in [(0, A), (1, B)] {
        (world.relay(module, connector).closed, world.relay(module, connector).coil) = (true, true);
    }
    world.plug(A, 200_000);
    world.step(50);
    assert!(
        world
            .orders
            .modules
            .values()
            .all(|order| order.preparation == Preparation::Off && order.owner == Owner::Moving)
    );
    world.run_until(3_000, |world| world.relays.values().all(|relay| !relay.closed));
    assert_eq!(closings(&world), 0);
    world.run_until(5_000, |world| world.counts() == (2, 0));
}

#[test]
fn rule_6_2_1_what_is_taken_over_stays_and_nothing_is_touched_before_it_is_decided() {
    let mut world = charging(4, 200_000, 0);
    let relays = |world: &World| world.relays.values().map(|relay| relay.closed).collect::<Vec<_>>();
    let before = relays(&world);
    world.hand_over();
    world.car(A).hands_off = true;
    world.run(1_000);
    assert!(world.orders.coils.is_empty());
    assert!(world.orders.modules.values().all(|order| order.preparation == Preparation::Untouched));
    world.car(A).hands_off = false;
    world.run(2_000);
    assert_eq!((relays(&world), world.counts()), (before, (4, 0)));
}

#[test]
fn rule_6_2_2_a_module_that_does_not_stop_is_cut_off_after_eight_seconds_with_an_event() {
    let mut world = charging(2, 200_000, 0);
    world.module(0).runs_on = true;
    world.module(1).runs_on = true;
    world.plug(B, 200_000);
    world.run_until(2_000, |world| world.orders.moving.is_some_and(|moving| moving.step == Step::Leaving));
    let forced = |world: &World| world.events.iter().any(|event| matches!(event, Event::ForcedOpen { .. }));
    let took = world.run_until(12_000, forced);
    assert!((7_000..=10_000).contains(&took), "{took} ms");
    assert_eq!(world.sharing.relays().map(|(.., relay)| relay.wear().forced).sum::<u32>(), 1);
}

#[test]
fn rule_6_2_2_in_an_emergency_a_running_move_ends_within_a_second_with_both_relays_open() {
    let mut world = charging(2, 200_000, 0);
    world.module(0).runs_on = true;
    world.module(1).runs_on = true;
    world.plug(B, 200_000);
    world.run_until(2_000, |world| world.orders.moving.is_some_and(|moving| moving.step == Step::Leaving));
    let module = world.orders.moving.expect("runs").module;
    world.car(A).emergency = true;
    world.step(50);
    let order = world.orders.modules[&module];
    assert_eq!((order.preparation, world.orders.moving.map(|moving| moving.module)), (Preparation::Off, None));
    let took = world.run_until(1_500, |world| [A, B].iter().all(|to| !world.relays[&(module, *to)].closed));
    assert!(took <= 1_100, "{took} ms");
}

#[test]
fn rule_6_2_3_a_module_that_does_not_reach_the_voltage_is_never_joined() {
    let mut world = charging(2, 25_000, 0);
    world.unplug(A);
    world.run_until(5_000, |world| !world.cars[&A].in_use && world.relays.values().all(|relay| !relay.closed));
    world.module(1).broken = true;
    world.plug(A, 200_000);
    world.run_until(15_000, |world| world.cars[&A].joining == Joining::Live);
    world.module(1).broken = false;
    world.module(1).stays_dead = true;
    let closed = closings(&world);
    let given_up = Event::GivenUp { module: Address(1), from: None, to: Some(A), step: Step::Matching };
    world.run_until(20_000, |world| world.events.contains(&given_up));
    assert_eq!(closings(&world), closed);
    world.module(1).stays_dead = false;
    world.run_until(20_000, |world| world.counts() == (2, 0));
}

#[test]
fn rule_6_2_4_nothing_closes_while_two_buses_or_a_stray_relay_are_closed() {
    let mut world = World::new(3);
    world.run(500);
    assert!(world.sharing.may_close_output(&world.seen(), A));
    for connector in [A, B] {
        let relay = world.relay(0, connector);
        (relay.closed, relay.stuck) = (true, true);
        // The world itself counts that as a fault: it is only shown to the sharing.
        assert_eq!(world.sharing.may_close_output(&world.seen(), B), connector == A, "{connector}");
    }
    let mut world = World::new(3);
    let stray = RelayPoint { unit: 3, coil: 5 };
    world.strays.insert(stray, RelaySeen { closed: true, coil: true, read: BoottimeMillis(0) });
    world.plug(A, 200_000);
    world.step(50);
    assert_eq!(world.orders.coils, [CoilOrder { unit: 3, coil: 5, on: false }]);
    world.run(3_000);
    assert_eq!((closings(&world), codes(&world)), (0, vec![("0x200003".to_owned(), ConnectorId::STATION)]));
    world.strays.clear();
    world.run_until(20_000, |world| world.counts() == (3, 0));
    assert!(codes(&world).is_empty());
}

#[test]
fn rule_6_2_5_before_the_cable_check_modules_join_dead_and_nothing_moves_in_it() {
    let mut world = World::new(4);
    world.module(0).volts = 300.0;
    world.plug(A, 200_000);
    // The world fails on a difference; here it is that none is on when its relay closes.
    while world.cars[&A].joining == Joining::Dead {
        world.step(50);
        let on = |order: &ModuleOrder| matches!(order.preparation, Preparation::Joining(_));
        assert!(!world.orders.modules.values().any(on));
        assert!(world.now < 10_000);
    }
    assert_eq!(world.counts().0, 4);
    world.plug(B, 200_000);
    while world.cars[&A].joining == Joining::Held {
        assert!(world.orders.moving.is_none());
        world.step(50);
    }
    world.run_until(8_000, |world| world.counts() == (3, 1));
}

#[test]
fn rule_6_2_6_a_relay_that_does_not_close_twice_is_locked_out_until_the_service_resets_it() {
    let mut world = World::new(2);
    world.relay(0, A).stuck = true;
    world.plug(A, 200_000);
    world.run(60_000);
    let failed = world.events.iter().filter(|event| matches!(event, Event::FellOpen { .. })).count();
    let locked = Event::LockedOut { module: Address(0), connector: A, closed: false };
    assert_eq!((failed, world.events.contains(&locked), world.counts()), (1, true, (1, 0)));
    assert_eq!(codes(&world), [("0xB00009".to_owned(), A)]);
    world.plug(B, 200_000);
    world.run_until(20_000, |world| world.counts() == (1, 1));
    assert_eq!(world.of(B), [0], "its other path is as good as ever");
    world.relay(0, A).stuck = false;
    world.sharing.reset();
    world.step(50);
    assert!(codes(&world).is_empty());
}

#[test]
fn rule_6_2_6_a_connector_that_no_relay_leads_to_any_more_is_at_fault() {
    let mut world = World::new(2);
    for module in [0, 1] {
        world.relay(module, A).stuck = true;
    }
    world.plug(A, 200_000);
    let locked = ("0xB00009".to_owned(), A);
    world.run_until(120_000, |world| codes(world).len() == 3);
    assert_eq!(codes(&world), [locked.clone(), locked, ("0x200003".to_owned(), A)]);
}

#[test]
fn rule_6_2_6_a_relay_that_does_not_open_is_ordered_twice_and_its_module_is_nobodys() {
    let mut world = charging(2, 200_000, 0);
    let stuck = *world.of(A).first().expect("has one");
    for module in world.of(A) {
        world.relay(module, A).stuck = module == stuck;
    }
    world.unplug(A);
    let locked = Event::LockedOut { module: Address(stuck), connector: A, closed: true };
    world.run_until(5_000, |world| world.events.contains(&locked));
    world.plug(B, 200_000);
    world.run(10_000);
    assert_eq!((world.counts(), world.of(B).contains(&stuck)), ((0, 1), false));
    assert_eq!(world.orders.modules[&Address(stuck)].owner, Owner::Moving);
}

#[test]
fn rule_6_2_6_a_misread_mirror_changes_nothing_and_a_relay_that_falls_open_is_not_closed_again_blindly() {
    let mut world = charging(2, 200_000, 0);
    for (millis, keeps) in [(400, true), (1_000, false)] {
        world.relay(0, A).misread = true;
        world.run(millis);
        assert_eq!(world.of(A).contains(&0), keeps, "{millis} ms");
        world.relay(0, A).misread = false;
        world.run(1_000);
    }
    world.run_until(30_000, |world| world.counts() == (2, 0));
}

#[test]
fn rule_6_2_8_a_move_is_told_to_the_car_first_and_goes_step_by_step() {
    for (stubborn, reduces) in [(false, 50..=300), (true, 2_950..=3_100)] {
        let mut world = charging(3, 200_000, 0);
        world.car(A).stubborn = stubborn;
        world.run(1_000);
        world.plug(B, 200_000);
        world.run_until(1_000, |world| world.orders.moving.is_some());
        let moving: MoveSeen = world.orders.moving.expect("runs");
        assert_eq!((moving.from, moving.to, moving.step), (Some(A), Some(B), Step::Reducing));
        let share: Share = world.orders.shares[&A];
        assert!(share.reducing && share.modules == Watts(60_000));
        assert_eq!(world.orders.modules[&moving.module].preparation, Preparation::Normal);
        let mut steps = vec![(moving.step, world.now)];
        while let Some(moving) = world.orders.moving {
            if steps.last().is_some_and(|(step, _)| *step != moving.step) {
                steps.push((moving.step, world.now));
                assert_eq!(world.orders.shares[&B].modules, Watts(0));
            }
            world.step(50);
        }
        let went: Vec<Step> = steps.iter().map(|(step, _)| *step).collect();
        assert_eq!(went, [Step::Reducing, Step::Leaving, Step::Matching, Step::Closing]);
        let took = steps[1].1 - steps[0].1;
        assert!(reduces.contains(&took), "{took} ms");
        assert_eq!((world.counts(), world.orders.shares[&B].modules), ((2, 1), Watts(30_000)));
    }
}

#[test]
fn rule_6_2_8_a_move_to_a_car_that_is_gone_is_given_up_with_both_relays_open() {
    let mut world = charging(3, 200_000, 0);
    world.plug(B, 200_000);
    world.run_until(5_000, |world| world.orders.moving.is_some_and(|moving| moving.step == Step::Matching));
    let module = world.orders.moving.expect("runs").module;
    world.unplug(B);
    world.run(500);
    assert_eq!(world.orders.modules[&module], ModuleOrder::default());
    world.run_until(30_000, |world| world.counts() == (3, 0));
}

#[test]
fn rule_6_2_9_a_car_alone_gets_all_that_it_can_use() {
    let mut world = World::new(6);
    world.plug(A, 200_000);
    world.run_until(5_000, |world| world.cars[&A].joining == Joining::Held);
    assert_eq!(world.counts(), (6, 0));
}

#[test]
fn rule_6_2_9_when_both_ask_each_gets_half_and_loaded_modules_stay_their_minute() {
    let mut world = charging(6, 200_000, 0);
    world.plug(B, 200_000);
    world.run_until(12_000, |world| world.counts() == (5, 1));
    let took = world.run_until(90_000, |world| world.counts() == (3, 3));
    assert!(took > 40_000, "{took} ms");
    world.run(200_000);
    assert_eq!(world.counts(), (3, 3));
}

#[test]
fn rule_6_2_9_what_nobody_needs_rests_after_a_minute_but_for_one_module() {
    let mut world = charging(6, 200_000, 0);
    world.car(A).wish = 25_000;
    world.run(30_000);
    assert_eq!(world.counts(), (6, 0));
    world.run(60_000);
    assert_eq!(world.counts(), (2, 0), "one that it needs, and one more");
    let cycles = closings(&world);
    for wish in [45_000, 25_000].repeat(20) {
        world.car(A).wish = wish;
        world.run(10_000);
    }
    assert_eq!((world.counts(), closings(&world)), ((2, 0), cycles));
}

#[test]
fn rule_6_2_9_wishes_that_swing_move_a_module_at_most_twice_in_a_minute() {
    let mut world = charging(6, 200_000, 200_000);
    world.run(120_000);
    let cycles = closings(&world);
    for (a, b) in [(25_000, 200_000), (200_000, 25_000)].repeat(9) {
        (world.car(A).wish, world.car(B).wish) = (a, b);
        world.run(10_000);
    }
    // Three minutes, six modules: one early release in a dwell, and one move after it.
    assert!(closings(&world) - cycles <= 36, "{}", closings(&world) - cycles);
}

#[test]
fn rule_6_2_9_a_relay_at_the_end_of_its_cycles_is_reported() {
    let mut world = World::new(2);
    let relay = world.sharing.relay_mut(Address(1), A).expect("wired");
    relay.add_wear(Wear { cycles: 99_999, forced: 0 });
    world.plug(A, 20_000);
    world.run(5_000);
    assert_eq!((world.of(A), codes(&world)), (vec![0], vec![]), "the least worn is taken");
    world.car(A).wish = 200_000;
    world.run(15_000);
    assert_eq!(codes(&world), [(WORN_OUT.to_owned(), A)]);
}

#[test]
fn rule_6_2_10_the_relay_of_a_silent_module_stays_until_it_is_surely_dead() {
    let mut world = charging(3, 200_000, 0);
    world.be_silent(0, true);
    let opens = world.run_until(20_000, |world| !world.relays[&(Address(0), A)].closed);
    assert!(opens >= 11_000, "{opens} ms");
    assert_ne!(world.orders.modules[&Address(0)].owner, Owner::Of(A));
    world.run(2_000);
    assert_eq!(world.orders.modules[&Address(0)].owner, Owner::None);
}

#[test]
fn a_state_that_was_handed_over_in_the_middle_of_a_move_goes_on_with_it() {
    for step in [Step::Reducing, Step::Leaving, Step::Matching, Step::Closing] {
        let mut world = charging(3, 200_000, 0);
        world.plug(B, 200_000);
        world.run_until(5_000, |world| world.orders.moving.is_some_and(|moving| moving.step == step));
        world.hand_over();
        world.run_until(8_000, |world| world.counts() == (2, 1));
    }
}

#[test]
fn a_matrix_board_tells_six_mirrors_and_two_bare_coils() {
    let mut board = Unit { inputs: [true, false, false, false, false, false, true, true], coils: [false; 8] };
    board.coils[7] = true;
    let closed: Vec<u8> =
        relays_of(3, &board, BoottimeMillis(5)).filter(|(_, read)| read.closed).map(|(at, _)| at.coil).collect();
    assert_eq!(closed, [0, 7]);
}
