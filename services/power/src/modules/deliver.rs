//! How a connector's wish becomes orders to its modules. What a module may still give that is no longer told to is
//! kept back from the others until it surely gives nothing (hardware notes §1.1, silence). Pure.

use super::driver::Address;
use super::module::{Hold, Module, Order};
use super::rack::Rack;
use super::split::{self, Part, Parts};
use busbar_interfaces::{BoottimeMillis, ConnectorId, Milliamperes, Millivolts};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A change in which modules give current holds at least this long before one is let go.
const DWELL: Duration = Duration::from_secs(10);
/// Current moves between modules in steps of this length,
const STEP: Duration = Duration::from_millis(100);
/// and by this much in each, so that one can follow while the other falls: no dip at the vehicle.
const STEP_CURRENT: u32 = 5_000;

/// A module that is brought to the voltage of a bus needs a little current for its own output (V1.13, sequence of one
/// module: 0.x A); none of it can flow anywhere before its relay closes.
const PREPARING: Milliamperes = Milliamperes(500);

/// Which modules of a connector give current.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Spread {
    active: BTreeSet<Address>,
    changed: BoottimeMillis,
    moved: BoottimeMillis,
}

impl Spread {
    /// So many give current.
    pub fn count(&self) -> usize {
        self.active.len()
    }
}

impl Rack {
    /// The joined modules of a connector give this voltage and together this current, never more.
    pub fn deliver(&mut self, now: BoottimeMillis, connector: ConnectorId, voltage: Millivolts, current: Milliamperes) {
        let (started, can) = (self.started, self.capabilities());
        let mut parts = Parts::new();
        let mut kept_back = 0u32;
        for module in self.of(connector) {
            module.notice_loss(now, started, &can);
            if module.gives(now) {
                let limit = module.said.limit(voltage).0;
                parts.insert(module.address, Part { weight: module.said.ratings.maximum_current.0, limit });
            } else if module.joined {
                module.leave(now);
                kept_back = kept_back.saturating_add(module.may_still_give(now, started, &can).0);
            }
        }
        let load = current.0.saturating_sub(kept_back);
        let before =
            self.of(connector).map(|module| (module.address, module.order.map_or(0, |order| order.current().0)));
        let before: BTreeMap<Address, u32> = before.collect();
        let spread = self.spreads.entry(connector).or_default();
        let shares = spread.shares(now, load, &before, &parts);
        for module in self.of(connector) {
            match shares.get(&module.address) {
                Some(share) => {
                    let voltage = voltage.min(module.said.ratings.maximum_voltage);
                    module.give(now, Order::On { voltage, current: Milliamperes(*share) });
                }
                None => module.leave(now),
            }
        }
    }
}

impl Spread {
    fn shares(
        &mut self,
        now: BoottimeMillis,
        load: u32,
        before: &BTreeMap<Address, u32>,
        parts: &Parts,
    ) -> BTreeMap<Address, u32> {
        let active = split::chosen(load, &self.active, parts, now.since(self.changed) >= DWELL);
        if active != self.active {
            (self.active, self.changed) = (active, now);
        }
        let working: Parts =
            parts.iter().filter(|(address, _)| self.active.contains(address)).map(|(a, p)| (*a, *p)).collect();
        let mut target = split::shares(load, &working);
        // The others are on without current, and help at once.
        parts.keys().for_each(|address| {
            target.entry(*address).or_insert(0);
        });
        let step = if now.since(self.moved) >= STEP { STEP_CURRENT } else { 0 };
        if step > 0 {
            self.moved = now;
        }
        split::handed_over(before, &target, parts, step)
    }
}

impl Module {
    /// It gives nothing to its connector: it is off, or as it is held.
    fn leave(&mut self, now: BoottimeMillis) {
        if self.joined || !self.said.is_usable(now) {
            self.give(now, Order::Off);
        } else {
            self.follow_hold(now);
        }
    }

    /// Does what it is held to, and is off without.
    pub(super) fn follow_hold(&mut self, now: BoottimeMillis) {
        let order = match self.hold {
            Hold::Prepared(voltage) => {
                let voltage = voltage.min(self.said.ratings.maximum_voltage);
                Order::On { voltage, current: PREPARING }
            }
            Hold::Off | Hold::Follow => Order::Off,
        };
        self.give(now, order);
    }
}
