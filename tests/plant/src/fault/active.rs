//! The faults that are on, with their numbers, and those that were on a moment ago.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Fault, Kind};
use crate::cabinet::Bus;
use crate::wiring::{Connector, Pole};

/// A fault that ended excuses what it brought about for this long: current and voltage need time to go.
const AFTERMATH: Duration = Duration::from_secs(2);

/// The faults of the simulated hardware at this moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    active: BTreeMap<Fault, i64>,
    ended: BTreeMap<Fault, Duration>,
}

impl Faults {
    /// Switches a fault on with its number.
    pub fn begin(&mut self, fault: Fault, value: i64) {
        self.active.insert(fault, value);
    }

    /// Switches a fault off.
    pub fn end(&mut self, now: Duration, fault: Fault) {
        if self.active.remove(&fault).is_some() {
            self.ended.retain(|_, at| *at + AFTERMATH > now);
            self.ended.insert(fault, now);
        }
    }

    /// The faults that are on, with their numbers.
    pub fn active(&self) -> impl Iterator<Item = (Fault, i64)> {
        self.active.iter().map(|(fault, value)| (*fault, *value))
    }

    /// The number of a fault, while it is on.
    pub fn value(&self, fault: Fault) -> Option<i64> {
        self.active.get(&fault).copied()
    }

    /// True while a fault is on.
    pub fn has(&self, fault: Fault) -> bool {
        self.active.contains_key(&fault)
    }

    /// True while a fault is on, and shortly after.
    pub fn had(&self, now: Duration, fault: Fault) -> bool {
        self.has(fault) || self.ended.get(&fault).is_some_and(|at| *at + AFTERMATH > now)
    }

    /// True while a fault of the cabinet is on.
    pub fn cabinet(&self, kind: Kind) -> bool {
        self.has(Fault::of_cabinet(kind))
    }

    /// True while a fault of a module is on.
    pub fn module(&self, kind: Kind, number: u8) -> bool {
        self.has(Fault::of_module(kind, number))
    }

    /// True while a fault of a connector is on.
    pub fn connector(&self, kind: Kind, connector: Connector) -> bool {
        self.has(Fault::of_connector(kind, connector))
    }

    /// The number of a connector's fault, while it is on.
    pub fn connector_value(&self, kind: Kind, connector: Connector) -> Option<f64> {
        self.value(Fault::of_connector(kind, connector)).map(|value| value as f64)
    }

    /// True while a fault of a bus is on.
    pub fn bus(&self, kind: Kind, bus: Bus) -> bool {
        self.has(Fault::of_bus(kind, bus))
    }

    /// The number of a relay's fault, while it is on.
    pub fn relay(&self, kind: Kind, connector: Connector, module: u8) -> Option<i64> {
        self.value(Fault::of_relay(kind, connector, module))
    }

    /// The number of a pole's fault, while it is on.
    pub fn pole(&self, kind: Kind, connector: Connector, pole: Pole) -> Option<i64> {
        self.value(Fault::of_pole(kind, connector, pole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_that_has_ended_is_remembered_for_a_moment() {
        let fault = Fault::of_module(Kind::ModuleDerate, 3);
        let mut faults = Faults::default();
        faults.begin(fault, 5_000);
        assert_eq!(faults.active().collect::<Vec<_>>(), [(fault, 5_000)]);
        faults.end(Duration::from_secs(10), fault);
        assert!(!faults.has(fault) && faults.had(Duration::from_secs(11), fault));
        assert!(!faults.had(Duration::from_secs(12), fault));
    }
}
