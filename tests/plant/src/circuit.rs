//! The power circuit: modules, matrix relays, two direct-current buses, output contactors, cables and batteries.
//!
//! Each step finds which nodes are joined and solves one voltage per joined group: small capacitances, modules
//! as limited voltage sources, batteries as a voltage behind a resistance. It also notes what no station may do.

use std::time::Duration;

use crate::contactor::Contactor;
use crate::module::Module;
use crate::rack::MODULES;
use crate::timing::Timing;

/// Number of connectors, each with a bus, an output contactor and a cable.
pub const CONNECTORS: usize = 2;

/// Current from which on a contact must not open.
const LOAD_AMPERES: f64 = 5.0;
/// Largest voltage difference a contact may close on, and the voltage from which on a side counts as live.
const LIVE_VOLTS: f64 = 20.0;

const MODULE_FARADS: f64 = 5e-6;
const BUS_FARADS: f64 = 20e-6;
const CABLE_FARADS: f64 = 20e-6;
/// The capacitance for which the discharge time of the bleeder is stated: everything one connector can reach.
const BLEEDER_FARADS: f64 = BUS_FARADS + CABLE_FARADS + MODULE_FARADS * MODULES as f64;

/// A battery behind closed vehicle contactors.
#[derive(Clone, Copy, Debug)]
pub struct Battery {
    /// Its voltage without current.
    pub open_circuit_volts: f64,
    /// Its inner resistance.
    pub ohms: f64,
}

/// The switches and nodes of one connector.
#[derive(Clone, Debug, Default)]
pub struct Branch {
    /// Matrix relays from module 1, 2, .. to this connector's bus.
    pub relays: [Contactor; MODULES],
    /// Output contactor, positive pole.
    pub plus: Contactor,
    /// Output contactor, negative pole.
    pub minus: Contactor,
    /// Discharge resistor across the cable.
    pub bleeder: bool,
    /// Voltage of the bus.
    pub bus_volts: f64,
    /// Voltage of the cable, behind the output contactor.
    pub cable_volts: f64,
    /// Current into the vehicle.
    pub amperes: f64,
}

impl Branch {
    /// True while both poles are closed.
    pub fn output_closed(&self) -> bool {
        self.plus.is_closed() && self.minus.is_closed()
    }
}

/// The circuit of the whole station.
#[derive(Clone, Debug, Default)]
pub struct Circuit {
    /// One branch per connector.
    pub branches: [Branch; CONNECTORS],
    vehicles_joined: bool,
}

impl Circuit {
    /// Moves the contacts, and reports in words what should not have happened.
    pub fn operate(&mut self, dt: Duration, timing: &Timing, modules: &[Module; MODULES]) -> Vec<String> {
        let travel = timing.contactor_travel;
        let mut wrong = Vec::new();
        let mut moved = [false; MODULES];
        for (connector, branch) in (1..).zip(&mut self.branches) {
            for (((number, relay), module), moved) in (1..).zip(&mut branch.relays).zip(modules).zip(&mut moved) {
                let what = || format!("connector {connector}: relay of module {number}");
                match relay.step(dt, travel) {
                    Some(true) => {
                        *moved = true;
                        wrong.extend(closed_badly(&what(), module.volts, branch.bus_volts));
                    }
                    Some(false) => wrong.extend(opened_badly(&what(), module.amperes)),
                    None => {}
                }
            }
            let before = branch.output_closed();
            branch.plus.step(dt, travel);
            branch.minus.step(dt, travel);
            let what = format!("connector {connector}: output contactor");
            match (before, branch.output_closed()) {
                (false, true) => wrong.extend(closed_badly(&what, branch.bus_volts, branch.cable_volts)),
                (true, false) => wrong.extend(opened_badly(&what, branch.amperes)),
                _ => {}
            }
        }
        let [one, two] = &self.branches;
        for (((number, a), b), moved) in (1..).zip(&one.relays).zip(&two.relays).zip(moved) {
            if moved && a.is_closed() && b.is_closed() {
                wrong.push(format!("module {number} is connected to both buses"));
            }
        }
        wrong
    }

    /// Solves the voltages and currents after the time `dt`; a battery is given while its contactors are closed.
    pub fn flow(
        &mut self,
        dt: Duration,
        timing: &Timing,
        modules: &mut [Module; MODULES],
        batteries: [Option<Battery>; CONNECTORS],
    ) -> Option<String> {
        let mut groups = self.groups(modules, batteries, timing);
        for group in &mut groups {
            group.settle(dt, timing.self_discharge);
        }
        for group in &groups {
            for (index, module) in modules.iter_mut().enumerate() {
                if group.modules.contains(&index) {
                    module.volts = group.volts;
                    module.amperes = module.supply_amperes(group.volts);
                }
            }
            for ((index, branch), battery) in self.branches.iter_mut().enumerate().zip(batteries) {
                if group.buses.contains(&index) {
                    branch.bus_volts = group.volts;
                }
                if group.cables.contains(&index) {
                    branch.cable_volts = group.volts;
                    branch.amperes = battery.map_or(0.0, |battery| battery.amperes(group.volts));
                }
            }
        }
        let joined = groups.iter().any(|group| group.batteries.len() > 1);
        let news = joined && !self.vehicles_joined;
        self.vehicles_joined = joined;
        news.then(|| "two vehicles are connected with each other".to_owned())
    }

    /// The groups of nodes that are joined by closed contacts at this moment.
    fn groups(
        &self,
        modules: &[Module; MODULES],
        batteries: [Option<Battery>; CONNECTORS],
        timing: &Timing,
    ) -> Vec<Group> {
        let bleeder_siemens = BLEEDER_FARADS / timing.bleeder_discharge.as_secs_f64();
        let mut groups: Vec<Group> =
            modules.iter().enumerate().map(|(index, module)| Group::of_module(index, module)).collect();
        for (connector, (branch, battery)) in self.branches.iter().zip(batteries).enumerate() {
            let mut group = Group::of_node(BUS_FARADS, branch.bus_volts);
            group.buses.push(connector);
            let mut cable = Group::of_node(CABLE_FARADS, branch.cable_volts);
            cable.cables.push(connector);
            cable.batteries.extend(battery);
            cable.siemens = if branch.bleeder { bleeder_siemens } else { 0.0 };
            if branch.output_closed() {
                group.join(cable);
            } else {
                groups.push(cable);
            }
            for (module, _) in branch.relays.iter().enumerate().filter(|(_, relay)| relay.is_closed()) {
                // A module that is on both buses was taken by the first: this joins the buses.
                if let Some(at) = groups.iter().position(|other| other.modules.contains(&module)) {
                    group.join(groups.swap_remove(at));
                }
            }
            groups.push(group);
        }
        groups
    }
}

fn closed_badly(what: &str, volts: f64, other_volts: f64) -> Option<String> {
    let live = volts > LIVE_VOLTS && other_volts > LIVE_VOLTS;
    (live && (volts - other_volts).abs() > LIVE_VOLTS)
        .then(|| format!("{what} closed onto a voltage difference ({volts:.0} V and {other_volts:.0} V)"))
}

fn opened_badly(what: &str, amperes: f64) -> Option<String> {
    (amperes.abs() >= LOAD_AMPERES).then(|| format!("{what} opened under load ({amperes:.1} A)"))
}

impl Battery {
    fn amperes(&self, volts: f64) -> f64 {
        (volts - self.open_circuit_volts) / self.ohms
    }
}

/// Nodes with one common voltage, and what is attached to them.
#[derive(Clone, Debug, Default)]
struct Group {
    modules: Vec<usize>,
    sources: Vec<Module>,
    buses: Vec<usize>,
    cables: Vec<usize>,
    batteries: Vec<Battery>,
    farads: f64,
    siemens: f64,
    volts: f64,
}

impl Group {
    fn of_node(farads: f64, volts: f64) -> Self {
        Self { farads, volts, ..Self::default() }
    }

    fn of_module(index: usize, module: &Module) -> Self {
        let node = Self::of_node(MODULE_FARADS, module.volts);
        Self { modules: vec![index], sources: vec![module.clone()], ..node }
    }

    /// Joins two groups; their charges mix.
    fn join(&mut self, other: Self) {
        let farads = self.farads + other.farads;
        self.volts = (self.volts * self.farads + other.volts * other.farads) / farads;
        self.farads = farads;
        self.siemens += other.siemens;
        self.modules.extend(other.modules);
        self.sources.extend(other.sources);
        self.buses.extend(other.buses);
        self.cables.extend(other.cables);
        self.batteries.extend(other.batteries);
    }

    /// Finds the voltage at the end of a step of `dt`: the balance of currents falls with the voltage, so halving
    /// the interval finds its zero.
    fn settle(&mut self, dt: Duration, self_discharge: Duration) {
        const HIGHEST_VOLTS: f64 = 2000.0;
        const HALVINGS: u32 = 60;
        let seconds = dt.as_secs_f64().max(1e-6);
        let regulated = self.sources.iter().map(Module::regulated_volts).fold(0.0, f64::max);
        // The modules discharge their own output, but a battery behind their diodes is out of reach.
        let own_siemens = if self.batteries.is_empty() { self.farads / self_discharge.as_secs_f64() } else { 0.0 };
        let surplus = |volts: f64| {
            let supplied: f64 = self.sources.iter().map(|source| source.supply_amperes(volts)).sum();
            let charging = self.farads * (volts - self.volts) / seconds;
            let batteries: f64 = self.batteries.iter().map(|battery| battery.amperes(volts)).sum();
            supplied - charging - batteries - self.siemens * volts - own_siemens * (volts - regulated).max(0.0)
        };
        let (mut low, mut high) = (0.0, HIGHEST_VOLTS);
        for _ in 0..HALVINGS {
            let middle = (low + high) / 2.0;
            if surplus(middle) > 0.0 { low = middle } else { high = middle }
        }
        self.volts = (low + high) / 2.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infypower::SetPoint;

    const DT: Duration = Duration::from_millis(10);

    struct Bench {
        circuit: Circuit,
        modules: [Module; MODULES],
        battery: Option<Battery>,
        timing: Timing,
        wrong: Vec<String>,
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
                    module.step(DT, self.timing.module_silence, self.timing.full_voltage_rise);
                }
                self.wrong.extend(self.circuit.operate(DT, &self.timing, &self.modules));
                let batteries = [self.battery, None];
                self.wrong.extend(self.circuit.flow(DT, &self.timing, &mut self.modules, batteries));
            }
        }
    }

    #[test]
    fn modules_share_the_current_into_a_battery() {
        let mut bench = Bench::new();
        bench.battery = Some(Battery { open_circuit_volts: 380.0, ohms: 0.05 });
        for module in [0, 1] {
            bench.circuit.branches[0].relays[module].command(true);
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
        assert_eq!(bench.wrong, ["connector 1: output contactor opened under load (6.0 A)"]);
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
            bench.wrong,
            [
                "connector 1: relay of module 3 closed onto a voltage difference (300 V and 400 V)",
                "module 2 is connected to both buses"
            ]
        );
        assert!((bench.circuit.branches[1].bus_volts - 400.0).abs() < 0.1);
    }
}
