//! Modules that really give current, and go on when they are cut off: what flows is never more than what was asked for,
//! and the bus has room for what is said.

use super::*;
use proptest::prelude::*;

/// How a module fails.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Failure {
    /// It does as told and answers no more.
    Mute,
    /// It neither hears nor answers, and goes on until its silence shutdown.
    CutOff,
}

#[derive(Debug, Clone, Copy, Default)]
struct Real {
    on: bool,
    milliamperes: u32,
    heard: u64,
    failure: Option<Failure>,
}

impl Real {
    fn gives(&self) -> u32 {
        if self.on { self.milliamperes } else { 0 }
    }

    /// Takes a frame and answers as the protocol says.
    fn take(&mut self, now: u64, address: u8, frame: &Frame) -> Option<Frame> {
        let [_, command, to, _] = frame.id().to_be_bytes();
        if self.failure == Some(Failure::CutOff) || (to != address && to != 0x3F) {
            return None;
        }
        self.heard = now;
        let data = frame.data();
        match command & 0x3F {
            0x1A => self.on = data[0] == 0,
            0x1C => self.milliamperes = u32::from_be_bytes([data[4], data[5], data[6], data[7]]),
            _ => {}
        }
        let volts = if self.on { 400.0 } else { 0.0 };
        let answers = self.failure.is_none() && command & 0x3F == 0x03;
        answers.then(|| reading(address, volts, self.gives() as f32 / 1000.0))
    }
}

/// A rack and real modules on one bus, all of connector 1.
struct Bench {
    rack: Rack,
    real: BTreeMap<u8, Real>,
    now: u64,
    frames: usize,
}

impl Bench {
    fn new(modules: u8) -> Bench {
        let fitted: Vec<Fitted> = (1..=modules).map(|a| Fitted { address: Address(a), serial: None }).collect();
        let mut rack = Rack::new(Family::Infypower, &fitted, true, at(0));
        for each in &fitted {
            assert!(rack.assign(at(0), each.address, Some(ONE)));
            rack.joined(each.address, true);
        }
        let mut bench =
            Bench { rack, real: (1..=modules).map(|a| (a, Real::default())).collect(), now: 1000, frames: 0 };
        bench.run(3000, 0);
        bench
    }

    /// Time passes in ticks of the service; returns the highest current that flowed.
    fn run(&mut self, millis: u64, asked: u32) -> u32 {
        let (until, mut highest) = (self.now + millis, 0);
        while self.now < until {
            self.now += 25;
            match asked {
                0 => self.rack.rest(at(self.now), ONE),
                _ => self.rack.deliver(at(self.now), ONE, VOLTAGE, Milliamperes(asked)),
            }
            for frame in self.rack.frames_due(at(self.now), |_| true) {
                self.frames += 1;
                for (address, real) in &mut self.real {
                    if let Some(answer) = real.take(self.now, *address, &frame) {
                        self.rack.hear(at(self.now), &answer);
                    }
                }
            }
            for real in self.real.values_mut().filter(|real| self.now >= real.heard + 10_000) {
                real.on = false;
            }
            highest = highest.max(self.real.values().map(Real::gives).sum());
        }
        highest
    }

    fn flows(&self) -> u32 {
        self.real.values().map(Real::gives).sum()
    }
}

#[test]
fn the_bus_has_room() {
    let mut bench = Bench::new(6);
    let mut busiest = 0;
    for step in 1..=100 {
        // A ramp of 25 A/s to 250 A: every set-point changes ten times a second.
        let before = bench.frames;
        for _ in 0..4 {
            bench.run(25, step * 2_500);
        }
        busiest = busiest.max(bench.frames - before);
    }
    // A question and its answer take 2.2 ms at 125 kbit/s: two thirds of a tenth of a second.
    assert!(busiest <= 30, "{busiest} frames in 100 ms");
    assert_eq!(bench.flows(), 250_000);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 25, ..ProptestConfig::default() })]
    #[test]
    fn rule_1_1_no_more_flows_than_was_asked_for_whoever_falls_silent(
        asked in 1_000u32..250_000,
        failures in proptest::collection::vec(
            (1u8..=4, prop_oneof![Just(Failure::Mute), Just(Failure::CutOff)], 0u64..8_000), 1..3),
    ) {
        let mut bench = Bench::new(4);
        let highest = bench.run(4_000, asked);
        prop_assert!(highest <= asked, "{highest} of {asked}");
        prop_assert_eq!(bench.flows(), asked);
        for (module, failure, pause) in failures {
            bench.real.get_mut(&module).expect("there").failure = Some(failure);
            let highest = bench.run(pause, asked);
            prop_assert!(highest <= asked, "{highest} of {asked}");
        }
        let highest = bench.run(16_000, asked);
        prop_assert!(highest <= asked, "{highest} of {asked}");
        let left = bench.real.values().filter(|real| real.failure.is_none()).count();
        prop_assert_eq!(bench.flows(), asked.min(75_000 * u32::try_from(left).expect("few")), "the others help");
    }
}
