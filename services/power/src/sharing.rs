//! The relay matrix shared by the connectors: who should own which module, the steps of a move, what the relays do
//! (hardware notes §6.2, rules 1 to 10). Pure, and knows no bus: `act` is shown the cabinet and says what is due.
//!
//! A module's owner here is only what was ordered; whether a relay is open is always what its mirror contact says.

mod allocation;
mod answer;
mod budget;
mod moves;
mod next;
mod relays;
mod seen;
#[cfg(test)]
mod tests;
mod topology;

use crate::modules::driver::Address;
use busbar_interfaces::{BoottimeMillis, ConnectorId, Millivolts, Watts};
use moves::{Move, Progress, View};
use relays::{Opening, Relay, Watched};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use answer::{RELAY_FAULT, stands_against};
pub use moves::Step;
pub use relays::NO_CURRENT;
pub use seen::{
    ConnectorSeen, Event, Joining, ModuleOrder, ModuleSeen, MoveSeen, Orders, Owner, Preparation, RelaySeen, Seen,
    Share, relays_of,
};
pub use topology::{RelayPoint, Switch, Topology, Wiring};

/// A relay is made for this many cycles, unless the station file says otherwise.
pub const RELAY_CYCLES: u32 = 100_000;
/// After a move that was given up its module rests so long, twice as long each time, up to 16 times.
const SHUNNED: Duration = Duration::from_secs(10);

/// Where a module is, and how it got there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Place {
    /// Whose it is; while it moves, whose it was.
    owner: Option<ConnectorId>,
    since: BoottimeMillis,
    /// When it was last moved early because its owner did not need it.
    hastened_at: Option<BoottimeMillis>,
    /// Moves given up in a row, and until when no other is begun.
    given_up: u32,
    shunned_until: BoottimeMillis,
    /// Its relays open after a second, whatever flows.
    emergency: bool,
}

/// The matrix and who owns what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sharing {
    topology: Topology,
    relay_cycles: u32,
    places: BTreeMap<Address, Place>,
    relays: BTreeMap<Address, BTreeMap<ConnectorId, Relay>>,
    moving: Option<Move>,
    surplus_since: BTreeMap<ConnectorId, BoottimeMillis>,
    budgets: BTreeMap<ConnectorId, Watts>,
    /// A relay that belongs to no module is closed, or two buses are joined.
    crossed_since: Option<BoottimeMillis>,
    /// After the start, every relay has been seen open, or belongs to an output that was taken over (rule 1).
    verified: bool,
}

impl Sharing {
    /// After a start without a state: nobody owns anything, and every relay is to be opened first.
    pub fn found(wiring: &[Wiring], relay_cycles: u32) -> Sharing {
        let topology = Topology::new(wiring);
        let relays = topology
            .modules()
            .map(|module| (module, topology.of(module).map(|(connector, _)| (connector, Relay::default())).collect()));
        Sharing {
            relays: relays.collect(),
            places: topology.modules().map(|module| (module, Place::default())).collect(),
            topology,
            relay_cycles,
            moving: None,
            surplus_since: BTreeMap::new(),
            budgets: BTreeMap::new(),
            crossed_since: None,
            verified: false,
        }
    }

    /// The service has looked at the relays: paths that were locked out may be used again.
    pub fn reset(&mut self) {
        self.relays.values_mut().flat_map(BTreeMap::values_mut).for_each(Relay::reset);
    }

    /// The relays by module and connector.
    pub fn relays(&self) -> impl Iterator<Item = (Address, ConnectorId, &Relay)> {
        let relays = self.topology.relays();
        relays.filter_map(|(module, connector, _)| Some((module, connector, self.relay(module, connector)?)))
    }

    /// A module's relay to a connector.
    pub fn relay_mut(&mut self, module: Address, connector: ConnectorId) -> Option<&mut Relay> {
        self.relays.get_mut(&module)?.get_mut(&connector)
    }

    /// The output contactor of a connector may close, as far as the buses are not joined (rule 4).
    pub fn may_close_output(&self, seen: &Seen, connector: ConnectorId) -> bool {
        !Topology::bridges(&self.closed(seen), Switch::Output(connector)) && self.strays(seen).next().is_none()
    }

    /// What is due now.
    pub fn act(&mut self, now: BoottimeMillis, seen: &Seen) -> Orders {
        let mut events = Vec::new();
        self.watch(now, seen, &mut events);
        self.release(now, seen);
        self.verified |= self.is_verified(seen);
        self.go_on(now, seen, &mut events);
        let plan = self.begin_next(now, seen);
        self.open_relays(now, seen, &mut events);
        self.share_station(seen);
        self.orders(now, seen, &plan, events)
    }

    fn relay(&self, module: Address, connector: ConnectorId) -> Option<&Relay> {
        self.relays.get(&module)?.get(&connector)
    }

    fn owner(&self, module: Address) -> Option<ConnectorId> {
        self.places.get(&module)?.owner
    }

    fn is_moving(&self, module: Address) -> Option<&Move> {
        self.moving.as_ref().filter(|moving| moving.module == module)
    }

    fn reads_open(&self, seen: &Seen, module: Address, connector: ConnectorId) -> bool {
        let point = self.topology.relay(module, connector);
        let read = point.and_then(|point| seen.relays.get(&point));
        self.relay(module, connector).is_some_and(|relay| relay.is_open(read))
    }

    fn all_open(&self, seen: &Seen, module: Address) -> bool {
        self.topology.of(module).all(|(connector, _)| self.reads_open(seen, module, connector))
    }

    /// Relays and contactors that are closed, as far as they are not known to be open.
    fn closed(&self, seen: &Seen) -> BTreeSet<Switch> {
        let relays = self.topology.relays().map(|(module, connector, _)| (module, connector));
        let closed = relays.filter(|(module, connector)| !self.reads_open(seen, *module, *connector));
        let outputs = seen.connectors.iter().filter(|(_, each)| each.contactor_closed);
        closed
            .map(|(module, connector)| Switch::Relay(module, connector))
            .chain(outputs.map(|(connector, _)| Switch::Output(*connector)))
            .collect()
    }

    /// Relays that are closed or energised and belong to no module: nobody knows what they join.
    fn strays<'a>(&'a self, seen: &'a Seen) -> impl Iterator<Item = (RelayPoint, bool)> + 'a {
        let wired: BTreeSet<RelayPoint> = self.topology.relays().map(|(_, _, point)| point).collect();
        let strays =
            seen.relays.iter().filter(move |(point, read)| !wired.contains(point) && (read.closed || read.coil));
        strays.map(|(point, read)| (*point, read.coil))
    }

    /// The mirror contacts say that two buses are joined.
    fn reads_bridged(&self, seen: &Seen) -> bool {
        let closed = |point| seen.relays.get(&point).is_some_and(|read: &RelaySeen| read.closed);
        let relays = self.topology.relays().filter(|(_, _, point)| closed(*point));
        let closed: BTreeSet<Switch> = relays.map(|(module, connector, _)| Switch::Relay(module, connector)).collect();
        closed.first().is_some_and(|one| Topology::bridges(&closed, *one))
    }

    fn watch(&mut self, now: BoottimeMillis, seen: &Seen, events: &mut Vec<Event>) {
        let crossed = self.strays(seen).next().is_some() || self.reads_bridged(seen);
        self.crossed_since = self.crossed_since.or(Some(now)).filter(|_| crossed);
        for (module, connector, point) in self.topology.relays().collect::<Vec<_>>() {
            let relay = self.relay_mut(module, connector);
            let Some(relay) = relay else { continue };
            let read = seen.relays.get(&point);
            let watched = relay.watch(now, read);
            let ordered_closed = relay.is_ordered_closed();
            match watched {
                Watched::Nothing => continue,
                Watched::LockedOut => {
                    let closed = read.is_some_and(|read| read.closed);
                    events.push(Event::LockedOut { module, connector, closed });
                }
                Watched::Fell => events.push(Event::FellOpen { module, connector }),
                Watched::ClosedUnasked => events.push(Event::ClosedUnasked { module, connector }),
            }
            // A module whose own relay fell open, or another of whose relays closed, is nobody's until that is cleared.
            let stays_closed = self.owner(module) == Some(connector) && ordered_closed;
            if !stays_closed && self.is_moving(module).is_none() {
                self.set_owner(now, module, None);
            }
        }
    }

    fn set_owner(&mut self, now: BoottimeMillis, module: Address, owner: Option<ConnectorId>) {
        if let Some(place) = self.places.get_mut(&module) {
            (place.owner, place.since) = (owner, now);
        }
    }

    /// Modules that their connector has no more use for, or that are no use to it, become free.
    fn release(&mut self, now: BoottimeMillis, seen: &Seen) {
        for module in self.topology.modules().collect::<Vec<_>>() {
            let Some(owner) = self.owner(module).filter(|_| self.is_moving(module).is_none()) else { continue };
            let connector = seen.connectors.get(&owner).copied().unwrap_or_default();
            let read = seen.modules.get(&module).copied().unwrap_or_default();
            let gone = !connector.in_use && connector.at_rest;
            // Rule 10: one that is silent stays as it is until it is surely dead.
            let useless = if read.silent { read.surely_dead } else { !read.usable };
            if !connector.hands_off && (gone || useless) {
                self.set_owner(now, module, None);
            }
        }
    }

    fn is_verified(&self, seen: &Seen) -> bool {
        let decided = seen.connectors.values().all(|connector| !connector.hands_off);
        let as_ordered = |(module, connector): (Address, ConnectorId)| {
            let relay = self.relay(module, connector);
            relay.is_some_and(|relay| relay.is_locked() || relay.is_closed())
                || self.reads_open(seen, module, connector)
        };
        decided && self.topology.relays().all(|(module, connector, _)| as_ordered((module, connector)))
    }

    /// The voltage of a connector's bus: as measured, or that of a module that is joined; nothing is on it when nothing
    /// is joined and its contactor is open.
    fn bus(&self, seen: &Seen, connector: ConnectorId) -> Option<Millivolts> {
        let each = seen.connectors.get(&connector)?;
        let relays = self.topology.relays().filter(|(_, to, _)| *to == connector);
        let joined: Vec<Address> =
            relays.map(|(module, ..)| module).filter(|module| !self.reads_open(seen, *module, connector)).collect();
        let read = joined.iter().filter_map(|module| seen.modules.get(module)).filter(|module| module.fresh);
        let highest = read.map(|module| module.voltage).max();
        let empty = (joined.is_empty() && !each.contactor_closed).then_some(Millivolts(0));
        each.bus_voltage.or(highest).or(empty)
    }

    /// What the usable modules of a connector can give, without one of them.
    fn capacity(&self, seen: &Seen, connector: ConnectorId, without: Option<Address>) -> Watts {
        let own =
            self.places.iter().filter(|(module, place)| place.owner == Some(connector) && Some(**module) != without);
        let read = own.filter_map(|(module, _)| seen.modules.get(module)).filter(|module| module.usable);
        Watts(read.map(|module| module.rating.0).fold(0, u32::saturating_add))
    }

    /// The module in the move that leaves a connector, if it is one of its own.
    fn leaving(&self, connector: ConnectorId) -> Option<Address> {
        self.moving.as_ref().filter(|moving| moving.from == Some(connector)).map(|moving| moving.module)
    }

    /// What the move in progress needs to know.
    fn view<'a>(&self, seen: &'a Seen, moving: &Move, module: &'a ModuleSeen) -> View<'a> {
        let Move { from, to, step, module: address, .. } = *moving;
        let relay = |connector: Option<ConnectorId>| connector.and_then(|connector| self.relay(address, connector));
        let locked = relay(from).is_some_and(Relay::is_locked) || relay(to).is_some_and(Relay::is_locked);
        let does_not_close = step == Step::Closing && !relay(to).is_some_and(Relay::is_ordered_closed);
        let mut others = self.topology.of(address).filter(|(connector, _)| Some(*connector) != to);
        let has_left = matches!(step, Step::Matching | Step::Closing);
        let another_closed = has_left && others.any(|(connector, _)| !self.reads_open(seen, address, connector));
        View {
            from: from.and_then(|from| seen.connectors.get(&from)),
            to: to.and_then(|to| seen.connectors.get(&to)),
            module,
            bus: to.and_then(|to| self.bus(seen, to)),
            remainder: from.map_or(Watts(0), |from| self.capacity(seen, from, Some(address))),
            all_open: self.all_open(seen, address),
            closed: relay(to).is_some_and(Relay::is_closed),
            failed: locked || does_not_close || another_closed,
        }
    }

    fn go_on(&mut self, now: BoottimeMillis, seen: &Seen, events: &mut Vec<Event>) {
        let Some(mut moving) = self.moving.take() else { return };
        let (module, from, to) = (moving.module, moving.from, moving.to);
        let read = seen.modules.get(&module).copied().unwrap_or_default();
        let view = self.view(seen, &moving, &read);
        let progress = moving.advance(now, &view);
        let step = moving.step;
        match progress {
            Progress::Goes => self.moving = Some(moving),
            Progress::MayClose => self.close(now, seen, moving, events),
            Progress::Stays => {}
            Progress::Arrived => {
                events.push(Event::Moved { module, from, to });
                self.arrived(now, &moving);
            }
            Progress::GivenUp | Progress::Emergency => {
                events.push(Event::GivenUp { module, from, to, step });
                self.given_up(now, module, progress == Progress::Emergency);
            }
        }
    }

    /// Rule 4: the last look before a relay closes is at the graph of all that is closed.
    fn close(&mut self, now: BoottimeMillis, seen: &Seen, mut moving: Move, events: &mut Vec<Event>) {
        let Some(connector) = moving.to else { return };
        let module = moving.module;
        let joins_buses = Topology::bridges(&self.closed(seen), Switch::Relay(module, connector));
        if joins_buses || self.strays(seen).next().is_some() {
            events.push(Event::BridgeRefused { module, connector });
            self.given_up(now, module, false);
            return;
        }
        if let Some(relay) = self.relay_mut(module, connector) {
            relay.close(now);
            moving.closing(now);
            self.moving = Some(moving);
        }
    }

    fn arrived(&mut self, now: BoottimeMillis, moving: &Move) {
        self.set_owner(now, moving.module, moving.to);
        if let Some(place) = self.places.get_mut(&moving.module) {
            place.given_up = 0;
            place.hastened_at = if moving.idle { Some(now) } else { place.hastened_at };
        }
    }

    fn given_up(&mut self, now: BoottimeMillis, module: Address, emergency: bool) {
        self.set_owner(now, module, None);
        if let Some(place) = self.places.get_mut(&module) {
            place.emergency |= emergency;
            place.shunned_until = now.after(SHUNNED.saturating_mul(1 << place.given_up.min(4)));
            place.given_up = place.given_up.saturating_add(1);
        }
    }

    /// A relay that belongs to nobody's path opens as soon as it may.
    fn open_relays(&mut self, now: BoottimeMillis, seen: &Seen, events: &mut Vec<Event>) {
        for (module, connector, point) in self.topology.relays().collect::<Vec<_>>() {
            if self.should_be_closed(module, connector) || self.is_untouched(seen, module) {
                continue;
            }
            let read = seen.modules.get(&module).copied().unwrap_or_default();
            let emergency = self.places.get(&module).is_some_and(|place| place.emergency);
            let relay = self.relay_mut(module, connector);
            let opening = relay.map(|relay| relay.open(now, seen.relays.get(&point), &read, emergency));
            if opening == Some(Opening::Forced) {
                events.push(Event::ForcedOpen { module, connector, current: read.current });
            }
        }
        for module in self.topology.modules().collect::<Vec<_>>() {
            let all_open = self.all_open(seen, module);
            if let Some(place) = self.places.get_mut(&module) {
                place.emergency &= !all_open;
            }
        }
    }

    fn should_be_closed(&self, module: Address, connector: ConnectorId) -> bool {
        match self.is_moving(module) {
            Some(moving) => match moving.step {
                Step::Reducing => moving.from == Some(connector),
                Step::Leaving | Step::Matching => false,
                Step::Closing => moving.to == Some(connector),
            },
            None => self.owner(module) == Some(connector),
        }
    }

    /// It may belong to an output that is being looked at.
    fn is_untouched(&self, seen: &Seen, module: Address) -> bool {
        let undecided = |connector| seen.connectors.get(&connector).is_some_and(|each| each.hands_off);
        self.topology.of(module).any(|(connector, _)| undecided(connector) && !self.reads_open(seen, module, connector))
    }
}
