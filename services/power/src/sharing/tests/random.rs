//! Everything at random on the world, which fails by itself on what would hurt; and what must be so in the end.

use super::world::{A, B, World, wiring};
use crate::sharing::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Happens {
    Plug(bool, u32),
    Unplug(bool),
    Wish(bool, u32),
    Stubborn(bool, bool),
    Limit(u32),
    Silent(u8, bool),
    Broken(u8, bool),
    Sticks(u8, bool, bool),
    Emergency(bool, bool),
    BoardsLost(bool),
    HandOver,
    Killed,
    /// So many steps of so many milliseconds.
    Passes(u8, u64),
}

fn any_happening() -> impl Strategy<Value = Happens> {
    let wish = || prop_oneof![0u32..200_000, Just(29_000u32), Just(60_000u32), Just(200_000u32)];
    prop_oneof![
        3 => (any::<bool>(), wish()).prop_map(|(which, wish)| Happens::Plug(which, wish)),
        1 => any::<bool>().prop_map(Happens::Unplug),
        3 => (any::<bool>(), wish()).prop_map(|(which, wish)| Happens::Wish(which, wish)),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(which, is)| Happens::Stubborn(which, is)),
        1 => (0u32..250_000).prop_map(Happens::Limit),
        1 => (0u8..6, any::<bool>()).prop_map(|(module, is)| Happens::Silent(module, is)),
        1 => (0u8..6, any::<bool>()).prop_map(|(module, is)| Happens::Broken(module, is)),
        1 => (0u8..6, any::<bool>(), any::<bool>()).prop_map(|(module, which, is)| Happens::Sticks(module, which, is)),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(which, is)| Happens::Emergency(which, is)),
        1 => any::<bool>().prop_map(Happens::BoardsLost),
        1 => Just(Happens::HandOver),
        1 => Just(Happens::Killed),
        8 => (1u8..60, 10u64..200).prop_map(|(steps, millis)| Happens::Passes(steps, millis)),
    ]
}

fn which(first: bool) -> ConnectorId {
    if first { A } else { B }
}

/// The process is gone without a word and without its state: the next one knows nothing, and stops what runs.
fn kill(world: &mut World) {
    world.sharing = Sharing::found(&wiring(6), RELAY_CYCLES);
    for connector in [A, B] {
        world.unplug(connector);
    }
}

fn happen(world: &mut World, happens: &Happens) {
    match *happens {
        Happens::Plug(first, wish) => world.plug(which(first), wish),
        Happens::Unplug(first) => world.unplug(which(first)),
        Happens::Wish(first, wish) => world.car(which(first)).wish = wish,
        Happens::Stubborn(first, is) => world.car(which(first)).stubborn = is,
        Happens::Limit(watts) => world.limit = watts,
        Happens::Silent(module, is) => world.be_silent(module, is),
        Happens::Broken(module, is) => world.module(module).broken = is,
        Happens::Sticks(module, first, is) => world.relay(module, which(first)).stuck = is,
        Happens::Emergency(first, is) => {
            world.car(which(first)).emergency = is;
            if is {
                world.unplug(which(first));
            }
        }
        Happens::BoardsLost(is) => world.boards_lost = is,
        Happens::HandOver => world.hand_over(),
        Happens::Killed => kill(world),
        Happens::Passes(steps, millis) => (0..steps).for_each(|_| world.step(millis)),
    }
}

fn mend(world: &mut World) {
    (world.boards_lost, world.limit) = (false, 400_000);
    for module in 0..6 {
        world.be_silent(module, false);
        world.module(module).broken = false;
        for connector in [A, B] {
            world.relay(module, connector).unstick();
        }
    }
    for connector in [A, B] {
        world.car(connector).emergency = false;
    }
    world.run(2_000);
    world.sharing.reset();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_is_hurt_and_in_the_end_every_car_has_its_share(
        happenings in proptest::collection::vec(any_happening(), 1..60),
        delay in 10u64..90,
        wishes in (0u32..200_000, 0u32..200_000),
        stubborn in (any::<bool>(), any::<bool>()),
    ) {
        let mut world = World::new(6);
        world.delay = delay;
        for each in &happenings {
            happen(&mut world, each);
        }
        mend(&mut world);
        // Whatever was being stopped, or was given up again and again, has its time to come to rest.
        (0..1_250).for_each(|_| world.step(200));
        for (connector, wish, stubborn) in [(A, wishes.0, stubborn.0), (B, wishes.1, stubborn.1)] {
            world.plug(connector, wish);
            (world.car(connector).wish, world.car(connector).stubborn) = (wish, stubborn);
        }
        (0..1_500).for_each(|_| world.step(200));
        let (a, b) = world.counts();
        prop_assert!(a >= 1 && b >= 1, "{a} {b} {:?}", world.orders);
        let fits = |count: usize, wish: u32| count >= 3 || wish <= u32::try_from(count).unwrap_or(0) * 30_000;
        prop_assert!(fits(a, wishes.0) && fits(b, wishes.1), "{a} and {b} modules for {wishes:?}");
        let before = (world.of(A), world.of(B));
        (0..650).for_each(|_| world.step(200));
        prop_assert_eq!(before, (world.of(A), world.of(B)), "stable");
    }

    #[test]
    fn power_that_one_car_does_not_take_is_with_the_other_within_fifteen_seconds(
        first in any::<bool>(),
        less in 0u32..50_000,
        millis in 10u64..120,
    ) {
        let mut world = World::new(6);
        world.plug(A, 200_000);
        world.plug(B, 200_000);
        (0..600).for_each(|_| world.step(200));
        prop_assert_eq!(world.counts(), (3, 3));
        let (spares, takes) = (which(first), which(!first));
        world.car(spares).wish = less;
        let until = world.now + 15_000;
        while world.now < until {
            world.step(millis);
        }
        let needed = if less <= 27_000 { 1 } else { 2 };
        prop_assert_eq!(world.of(takes).len(), 6 - needed);
        prop_assert!(world.cars[&takes].asked >= 30_000 * 3);
    }
}
