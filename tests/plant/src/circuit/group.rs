//! Nodes that closed contacts have joined, and the one voltage that they settle at.

use std::time::Duration;

use super::{Battery, MODULE_FARADS};
use crate::module::Module;

/// Nodes with one common voltage, and what is attached to them.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) modules: Vec<usize>,
    sources: Vec<Module>,
    pub(super) buses: Vec<usize>,
    pub(super) cables: Vec<usize>,
    pub(super) batteries: Vec<Battery>,
    farads: f64,
    pub(super) siemens: f64,
    pub(super) volts: f64,
}

impl Group {
    pub(super) fn of_node(farads: f64, volts: f64) -> Self {
        Self { farads, volts, ..Self::default() }
    }

    pub(super) fn of_module(index: usize, module: &Module) -> Self {
        let node = Self::of_node(MODULE_FARADS, module.volts);
        Self { modules: vec![index], sources: vec![module.clone()], ..node }
    }

    /// Joins two groups; their charges mix.
    pub(super) fn join(&mut self, other: Self) {
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
    pub(super) fn settle(&mut self, dt: Duration, self_discharge: Duration) {
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
