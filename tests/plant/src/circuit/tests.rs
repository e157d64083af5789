//! Tests of the circuit.

use super::*;
use crate::infypower::SetPoint;

const DT: Duration = Duration::from_millis(10);

struct Bench {
    circuit: Circuit,
    modules: [Module; MODULES],
    battery: Option<Battery>,
    timing: Timing,
    wrong: Vec<Danger>,
}

impl Bench {
    fn new() -> Self {
        Self {
            circuit: Circuit::default(),
            modules: Default::default(),
            battery: None,
            timing: Timing::quick(),
            wrong: Vec::new(),
        }
    }

    fn feed(&mut self, module: usize, millivolts: u32, milliamperes: u32) {
        self.modules[module].hear();
        self.modules[module].set(SetPoint { millivolts, milliamperes }).unwrap();
        self.modules[module].switch(true);
    }

    fn close_output(&mut self, close: bool) {
        self.circuit.branches[0].plus.command(close);
        self.circuit.branches[0].minus.command(close);
    }

    fn run(&mut self, steps: u32) {
        for _ in 0..steps {
            for module in &mut self.modules {
                module.hear();
                module.step(DT, &self.timing);
            }
            self.wrong.extend(self.circuit.operate(DT, &self.timing, &self.modules));
            let batteries = [self.battery, None];
            self.wrong.extend(self.circuit.flow(DT, &self.timing, &mut self.modules, batteries));
        }
    }
}

fn texts(bench: &Bench) -> Vec<String> {
    bench.wrong.iter().map(ToString::to_string).collect()
}

#[test]
fn modules_share_the_current_into_a_battery() {
    let mut bench = Bench::new();
    bench.battery = Some(Battery { open_circuit_volts: 380.0, ohms: 0.05 });
    // No two relays are equally fast: the modules wait for both.
    [0, 1].into_iter().for_each(|module| bench.circuit.branches[0].relays[module].command(true));
    bench.run(3);
    for module in [0, 1] {
        bench.feed(module, 420_000, 60_000);
    }
    bench.close_output(true);
    bench.run(50);
    let branch = &bench.circuit.branches[0];
    assert!((branch.amperes - 120.0).abs() < 1e-6, "{}", branch.amperes);
    assert!((branch.cable_volts - 386.0).abs() < 1e-6);
    assert!((bench.modules[0].amperes - 60.0).abs() < 1e-6);
    assert!(bench.wrong.is_empty(), "{:?}", bench.wrong);
}

#[test]
fn the_voltage_limit_and_the_power_limit_hold() {
    let mut bench = Bench::new();
    bench.battery = Some(Battery { open_circuit_volts: 380.0, ohms: 0.05 });
    bench.circuit.branches[0].relays[0].command(true);
    bench.close_output(true);
    bench.feed(0, 381_000, 90_000);
    bench.run(50);
    assert!(bench.circuit.branches[0].cable_volts < 381.0);
    assert!((bench.circuit.branches[0].amperes - 20.0).abs() < 2.0);
    bench.feed(0, 420_000, 90_000);
    bench.run(50);
    let branch = &bench.circuit.branches[0];
    assert!((branch.amperes * branch.cable_volts - 30_000.0).abs() < 1.0);
    assert!(bench.modules[0].is_derating());
}

#[test]
fn an_unfed_cable_loses_its_voltage() {
    let mut bench = Bench::new();
    bench.circuit.branches[0].relays[0].command(true);
    bench.close_output(true);
    bench.feed(0, 450_000, 2_000);
    bench.run(50);
    assert!((bench.circuit.branches[0].cable_volts - 450.0).abs() < 0.1);
    bench.modules[0].switch(false);
    bench.run(12);
    assert!(bench.circuit.branches[0].cable_volts < 20.0, "{}", bench.circuit.branches[0].cable_volts);
}

#[test]
fn opening_under_load_is_noted() {
    let mut bench = Bench::new();
    bench.battery = Some(Battery { open_circuit_volts: 380.0, ohms: 0.05 });
    bench.circuit.branches[0].relays[0].command(true);
    bench.close_output(true);
    bench.feed(0, 420_000, 6_000);
    bench.run(50);
    bench.close_output(false);
    bench.run(5);
    assert_eq!(texts(&bench), ["connector 1: output contactor opened under load (6.0 A)"]);
    assert_eq!(bench.circuit.branches[0].amperes, 0.0);
}

#[test]
fn closing_onto_a_difference_and_joining_the_buses_are_noted() {
    let mut bench = Bench::new();
    bench.circuit.branches[0].relays[0].command(true);
    bench.circuit.branches[0].relays[1].command(true);
    bench.feed(0, 400_000, 2_000);
    bench.run(50);
    bench.feed(2, 300_000, 2_000);
    bench.run(50);
    bench.circuit.branches[0].relays[2].command(true);
    bench.circuit.branches[1].relays[1].command(true);
    bench.run(5);
    assert_eq!(
        texts(&bench),
        [
            "connector 1: relay of module 3 closed onto a voltage difference (300 V and 400 V)",
            "module 2 is connected to both buses"
        ]
    );
    assert!((bench.circuit.branches[1].bus_volts - 400.0).abs() < 0.1);
}
