//! What a connector and the sharing see of the rest of the cabinet. Pure.

use super::Cabinet;
use crate::connector::Seen;
use crate::modules::driver::Address;
use crate::modules::facts::ModuleFacts;
use crate::sharing::{self, ConnectorSeen, ModuleSeen, RelayPoint, RelaySeen, relays_of};
use busbar_interfaces::{BoottimeMillis, ConnectorId};
use std::collections::{BTreeMap, BTreeSet};

impl Cabinet {
    /// What a connector sees.
    pub fn seen(&self, now: BoottimeMillis, connector: ConnectorId) -> Seen {
        let facts = &self.facts;
        let wiring = self.settings.connectors.iter().find(|each| each.connector == connector);
        let share = self.shares.get(&connector).copied().unwrap_or_default();
        let mut output = self.rack.output(now, connector);
        // Modules that it has or could have: those that reach it.
        let reach = facts.iter().filter(|module| self.relay(module.address, connector).is_some());
        let (fitted, usable) =
            reach.fold((0u32, 0u32), |(all, usable), module| (all + 1, usable + u32::from(module.usable)));
        (output.fitted, output.usable) = (fitted, usable);
        let mut on = facts.iter().filter(|module| module.owner == Some(connector) && module.on);
        output.joined = on.all(|module| self.mirror_closed(module.address, connector));
        let hottest =
            |of: &dyn Fn(&&ModuleFacts) -> bool| facts.iter().filter(of).filter_map(|each| each.ambient_celsius).max();
        Seen {
            output,
            modules_in_use: output.giving.max(1),
            modules_ready: share.ready,
            board: wiring.and_then(|wiring| self.panel.board(connector, &wiring.io)),
            station_rating: self.settings.rated,
            station_limit: Some(self.settings.limited),
            connector_limit: wiring.map(|wiring| wiring.limited),
            station_share: share.station,
            reduce_to: share.reducing.then_some(share.modules),
            module_celsius: hottest(&|module| module.owner == Some(connector)),
            cabinet_celsius: hottest(&|_| true),
        }
    }

    /// Its relay's mirror contact says closed, at the last reading.
    pub(super) fn mirror_closed(&self, module: Address, connector: ConnectorId) -> bool {
        let relay = self.relay(module, connector);
        relay.is_some_and(|relay| self.panel.unit(relay.unit).is_some_and(|unit| unit.input(relay.coil)))
    }

    /// The relay between a module and a connector's bus.
    pub(super) fn relay(&self, module: Address, connector: ConnectorId) -> Option<&RelayPoint> {
        self.settings.modules.iter().find(|wiring| wiring.address == module)?.relays.get(&connector)
    }

    /// What the sharing sees.
    pub(super) fn sharing_view(&self, now: BoottimeMillis) -> sharing::Seen {
        let modules = self.facts.iter().map(|module| (module.address, module_seen(module)));
        let connectors = self.connectors.keys().map(|id| (*id, self.connector_seen(now, *id)));
        sharing::Seen {
            limit: self.settings.limited.min(self.settings.rated),
            connectors: connectors.collect(),
            modules: modules.collect(),
            relays: self.relays_seen(),
        }
    }

    fn connector_seen(&self, now: BoottimeMillis, id: ConnectorId) -> ConnectorSeen {
        let Some(connector) = self.connectors.get(&id) else { return ConnectorSeen::default() };
        let seen = self.seen(now, id);
        let joined = self.facts.iter().filter(|module| module.owner == Some(id) && module.joined && module.fresh);
        let bus_voltage = joined.map(|module| module.voltage).max();
        connector.claim(now, &seen, bus_voltage)
    }

    fn relays_seen(&self) -> BTreeMap<RelayPoint, RelaySeen> {
        let read = self.panel.read_at();
        let relays = self.settings.modules.iter().flat_map(|module| module.relays.values());
        let units: BTreeSet<u8> = relays.map(|relay| relay.unit).collect();
        let known = units.into_iter().filter_map(|unit| Some((unit, self.panel.unit(unit)?)));
        known.flat_map(|(unit, board)| relays_of(unit, board, read)).collect()
    }
}

fn module_seen(module: &ModuleFacts) -> ModuleSeen {
    ModuleSeen {
        usable: module.usable,
        silent: module.silent,
        surely_dead: module.surely_dead,
        at_rest: module.at_rest,
        voltage: module.voltage,
        current: module.current,
        fresh: module.fresh,
        rating: module.available_power,
    }
}
