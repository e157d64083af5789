//! The power circuit: modules, matrix relays, two direct-current buses, output contactors, cables and batteries.
//!
//! Each step finds which nodes are joined and solves one voltage per joined group: small capacitances, modules
//! as limited voltage sources, batteries as a voltage behind a resistance. It also notes what no station may do.

use std::time::Duration;

use crate::contactor::Contactor;
use crate::danger::{Contact, Danger};
use crate::module::Module;
use crate::rack::MODULES;
use crate::timing::Timing;
use crate::wiring::Connector;

mod group;
#[cfg(test)]
mod tests;

use group::Group;

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
    /// The discharge resistor is interrupted.
    pub bleeder_broken: bool,
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
    /// Moves the contacts, and reports what should not have happened.
    pub fn operate(&mut self, dt: Duration, timing: &Timing, modules: &[Module; MODULES]) -> Vec<Danger> {
        let travel = timing.contactor_travel;
        let mut dangers = Vec::new();
        let mut moved = [false; MODULES];
        for (connector, branch) in Connector::ALL.into_iter().zip(&mut self.branches) {
            for (((number, relay), module), moved) in (1..).zip(&mut branch.relays).zip(modules).zip(&mut moved) {
                let contact = Contact::Relay(connector, number);
                match relay.step(dt, travel_of(number, travel)) {
                    Some(true) => {
                        *moved = true;
                        dangers.extend(closed_badly(contact, module.volts, branch.bus_volts));
                    }
                    Some(false) => dangers.extend(opened_badly(contact, module.amperes)),
                    None => {}
                }
            }
            let before = branch.output_closed();
            branch.plus.step(dt, travel);
            branch.minus.step(dt, travel);
            let contact = Contact::Output(connector);
            match (before, branch.output_closed()) {
                (false, true) => dangers.extend(closed_badly(contact, branch.bus_volts, branch.cable_volts)),
                (true, false) => dangers.extend(opened_badly(contact, branch.amperes)),
                _ => {}
            }
        }
        let [one, two] = &self.branches;
        for (((number, a), b), moved) in (1..).zip(&one.relays).zip(&two.relays).zip(moved) {
            if moved && a.is_closed() && b.is_closed() {
                dangers.push(Danger::BothBuses(number));
            }
        }
        dangers
    }

    /// Solves the voltages and currents after the time `dt`; a battery is given while its contactors are closed.
    pub fn flow(
        &mut self,
        dt: Duration,
        timing: &Timing,
        modules: &mut [Module; MODULES],
        batteries: [Option<Battery>; CONNECTORS],
    ) -> Option<Danger> {
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
        news.then_some(Danger::VehiclesJoined)
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
            cable.siemens = if branch.bleeder && !branch.bleeder_broken { bleeder_siemens } else { 0.0 };
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

/// No two relays are alike: each takes a little longer than the one before.
fn travel_of(number: u8, travel: Duration) -> Duration {
    const SPREAD: f64 = 0.08;
    travel.mul_f64(1.0 + SPREAD * f64::from(number.saturating_sub(1)))
}

fn closed_badly(contact: Contact, volts: f64, other_volts: f64) -> Option<Danger> {
    let live = volts > LIVE_VOLTS && other_volts > LIVE_VOLTS;
    (live && (volts - other_volts).abs() > LIVE_VOLTS).then_some(Danger::ClosedOnDifference {
        contact,
        volts,
        other_volts,
    })
}

fn opened_badly(contact: Contact, amperes: f64) -> Option<Danger> {
    (amperes.abs() >= LOAD_AMPERES).then_some(Danger::OpenedUnderLoad { contact, amperes })
}

impl Battery {
    fn amperes(&self, volts: f64) -> f64 {
        (volts - self.open_circuit_volts) / self.ohms
    }
}
