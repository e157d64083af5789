//! What the sharing answers: what each module is told, what each connector gets, coils, conditions.

use super::allocation::Plan;
use super::budget::{self, Want};
use super::moves::{Move, Step};
use super::relays::Relay;
use super::seen::{Event, Joining, ModuleOrder, MoveSeen, Orders, Owner, Preparation, Seen, Share};
use super::{Address, RelayPoint, Sharing};
use crate::io::CoilOrder;
use busbar_interfaces::{BoottimeMillis, Condition, ConnectorId, Watts};
use std::time::Duration;

/// Relays that join what they should not, or nothing any more (guide, table of codes).
pub const RELAY_FAULT: &str = "0x200003";
/// One path is lost, others are left: Busbar's own code.
pub(super) const LOCKED_OUT: &str = "0xB00009";
/// A relay has done the cycles that it is made for: Busbar's own code.
pub(super) const WORN_OUT: &str = "0xB00006";
/// What is told by these stands against no delivery.
const WARNINGS: [&str; 2] = [LOCKED_OUT, WORN_OUT];
/// A relay that belongs to no module, or that joins two buses, may read closed so long.
const CROSSED: Duration = Duration::from_millis(600);

/// A condition of the sharing that stands against a delivery at this connector.
pub fn stands_against(condition: &Condition, connector: ConnectorId) -> bool {
    let concerns = condition.connector == ConnectorId::STATION || condition.connector == connector;
    concerns && !WARNINGS.contains(&condition.code.as_str())
}

impl Sharing {
    pub(super) fn share_station(&mut self, seen: &Seen) {
        let in_use = seen.connectors.iter().filter(|(_, each)| each.in_use);
        let wants: Vec<Want> = in_use
            .map(|(connector, each)| Want {
                connector: *connector,
                since: each.since,
                asked: each.asked,
                can: self.capacity(seen, *connector, self.leaving(*connector)).min(each.limit),
                gives: self.gives(seen, *connector),
            })
            .collect();
        self.budgets = budget::budgets(seen.limit, &wants, &self.budgets);
    }

    /// What flows into a connector's bus.
    fn gives(&self, seen: &Seen, connector: ConnectorId) -> Watts {
        let joined =
            self.topology.relays().filter(|(module, to, _)| *to == connector && !self.reads_open(seen, *module, *to));
        let read = joined.filter_map(|(module, ..)| seen.modules.get(&module));
        Watts(read.map(|module| module.voltage.power(module.current).0).fold(0, u32::saturating_add))
    }

    pub(super) fn orders(&self, now: BoottimeMillis, seen: &Seen, plan: &Plan, events: Vec<Event>) -> Orders {
        let modules = self.topology.modules().map(|module| (module, self.module_order(seen, module)));
        let shares = seen.connectors.keys().map(|connector| (*connector, self.share(seen, plan, *connector)));
        let moving = self.moving.as_ref();
        Orders {
            modules: modules.collect(),
            shares: shares.collect(),
            coils: self.coils(seen),
            moving: moving.map(|each| MoveSeen { module: each.module, from: each.from, to: each.to, step: each.step }),
            conditions: self.conditions(now, seen),
            events,
        }
    }

    fn module_order(&self, seen: &Seen, module: Address) -> ModuleOrder {
        let closed = |(connector, point): &(ConnectorId, RelayPoint)| {
            let ordered = self.relay(module, *connector).is_some_and(Relay::is_ordered_closed);
            (ordered || seen.relays.get(point).is_some_and(|read| read.closed)).then_some((!ordered, *connector))
        };
        // What was ordered counts before what a mirror contact says.
        let joined = self.topology.of(module).filter_map(|each| closed(&each)).min().map(|(_, connector)| connector);
        let (owner, preparation) = match (self.is_moving(module), self.owner(module)) {
            _ if self.is_untouched(seen, module) => (Owner::Moving, Preparation::Untouched),
            (Some(Move { step: Step::Reducing, from: Some(from), .. }), _) => (Owner::Of(*from), Preparation::Normal),
            (Some(moving), _) => (Owner::Moving, moving.preparation()),
            (None, Some(owner)) => (Owner::Of(owner), Preparation::Normal),
            (None, None) if self.all_open(seen, module) => (Owner::None, Preparation::Off),
            (None, None) => (Owner::Moving, Preparation::Off),
        };
        ModuleOrder { owner, preparation, joined }
    }

    fn share(&self, seen: &Seen, plan: &Plan, connector: ConnectorId) -> Share {
        let each = seen.connectors.get(&connector).copied().unwrap_or_default();
        let leaving = self.leaving(connector);
        let modules = self.capacity(seen, connector, leaving);
        let comes = |(module, to): (&Address, &ConnectorId)| *to == connector && self.owner(*module).is_none();
        let awaits =
            self.moving.as_ref().is_some_and(|moving| moving.to == Some(connector)) || plan.owners.iter().any(comes);
        Share {
            modules,
            station: self.budgets.get(&connector).copied().unwrap_or_default(),
            reducing: leaving.is_some() && self.moving.as_ref().is_some_and(|moving| moving.step == Step::Reducing),
            ready: each.in_use && each.joining == Joining::Dead && self.verified && modules > Watts(0) && !awaits,
        }
    }

    fn coils(&self, seen: &Seen) -> Vec<CoilOrder> {
        let wired = self.topology.relays().filter_map(|(module, connector, point)| {
            Some((point, self.relay(module, connector)?.order_due(seen.relays.get(&point))?))
        });
        let strays = self.strays(seen).filter(|(_, energised)| *energised).map(|(point, _)| (point, false));
        let mut orders: Vec<CoilOrder> =
            wired.chain(strays).map(|(point, on)| CoilOrder { unit: point.unit, coil: point.coil, on }).collect();
        orders.sort_by_key(|order| order.on);
        orders
    }

    /// A module can still be joined to it.
    fn has_path(&self, connector: ConnectorId) -> bool {
        self.relays().any(|(_, to, relay)| to == connector && (!relay.is_locked() || relay.is_closed()))
    }

    fn conditions(&self, now: BoottimeMillis, seen: &Seen) -> Vec<Condition> {
        let condition = |code: &str, connector, detail| Condition { code: code.to_owned(), connector, detail };
        let mut conditions = Vec::new();
        for (module, connector, RelayPoint { unit, coil }) in self.topology.relays() {
            let Some(relay) = self.relay(module, connector) else { continue };
            let path = format!("relay {coil} of matrix board {unit}, module {} to connector {connector}", module.0);
            if relay.is_locked() {
                // One path less is no reason to stop: other modules take over.
                conditions.push(condition(LOCKED_OUT, connector, format!("{path}, does not follow its coil")));
            }
            if relay.wear().cycles >= self.relay_cycles {
                conditions.push(condition(
                    WORN_OUT,
                    connector,
                    format!("{path}, has done {} cycles", relay.wear().cycles),
                ));
            }
        }
        for connector in seen.connectors.keys().filter(|connector| !self.has_path(**connector)) {
            let detail = "every relay of its modules is locked out".to_owned();
            conditions.push(condition(RELAY_FAULT, *connector, detail));
        }
        if self.crossed_since.is_some_and(|since| now.since(since) > CROSSED) {
            if self.reads_bridged(seen) {
                let detail = "the relay matrix joins two connectors".to_owned();
                conditions.push(condition(RELAY_FAULT, ConnectorId::STATION, detail));
            }
            let strays = self.strays(seen).map(|(RelayPoint { unit, coil }, _)| {
                let detail = format!("relay {coil} of matrix board {unit} is closed and belongs to no module");
                condition(RELAY_FAULT, ConnectorId::STATION, detail)
            });
            conditions.extend(strays);
        }
        conditions
    }
}
