//! What is wired to what: modules, the bus of each connector, its cable; and whether a set of closed switches would
//! join two of the buses (hardware notes §6.2, rule 4). Pure; knows nothing of voltages or of time.

use super::Address;
use busbar_interfaces::ConnectorId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Where a relay is driven and watched: a matrix board and its coil.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RelayPoint {
    /// The Modbus unit of the board.
    pub unit: u8,
    /// The coil; the input of the same number is the mirror contact.
    pub coil: u8,
}

/// A module and its relays, one for each bus that it can feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wiring {
    /// The module.
    pub address: Address,
    /// The relay to each connector's bus.
    pub relays: BTreeMap<ConnectorId, RelayPoint>,
}

/// Something that joins two nodes when it is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Switch {
    /// A module's relay to a connector's bus.
    Relay(Address, ConnectorId),
    /// The output contactor between a connector's bus and its cable.
    Output(ConnectorId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    Module(Address),
    Bus(ConnectorId),
    Cable(ConnectorId),
}

impl Switch {
    fn ends(self) -> (Node, Node) {
        match self {
            Switch::Relay(module, connector) => (Node::Module(module), Node::Bus(connector)),
            Switch::Output(connector) => (Node::Bus(connector), Node::Cable(connector)),
        }
    }
}

/// The wiring of the matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    relays: BTreeMap<Address, BTreeMap<ConnectorId, RelayPoint>>,
}

impl Topology {
    /// The wiring of the station file.
    pub fn new(wiring: &[Wiring]) -> Topology {
        Topology { relays: wiring.iter().map(|each| (each.address, each.relays.clone())).collect() }
    }

    /// The modules.
    pub fn modules(&self) -> impl Iterator<Item = Address> {
        self.relays.keys().copied()
    }

    /// The relays of a module.
    pub fn of(&self, module: Address) -> impl Iterator<Item = (ConnectorId, RelayPoint)> {
        self.relays.get(&module).into_iter().flatten().map(|(connector, point)| (*connector, *point))
    }

    /// Every relay.
    pub fn relays(&self) -> impl Iterator<Item = (Address, ConnectorId, RelayPoint)> {
        self.relays.keys().flat_map(|module| self.of(*module).map(|(connector, point)| (*module, connector, point)))
    }

    /// The relay between a module and a bus.
    pub fn relay(&self, module: Address, connector: ConnectorId) -> Option<RelayPoint> {
        self.relays.get(&module)?.get(&connector).copied()
    }

    /// After `closing`, two buses would be joined, and with them two cars as soon as both output contactors are closed.
    pub fn bridges(closed: &BTreeSet<Switch>, closing: Switch) -> bool {
        let mut neighbours: BTreeMap<Node, Vec<Node>> = BTreeMap::new();
        for (one, other) in closed.iter().chain([&closing]).map(|switch| switch.ends()) {
            neighbours.entry(one).or_default().push(other);
            neighbours.entry(other).or_default().push(one);
        }
        let buses = neighbours.keys().filter(|node| matches!(node, Node::Bus(_)));
        buses.clone().any(|bus| {
            let joined = connected(&neighbours, *bus);
            buses.clone().any(|other| other != bus && joined.contains(other))
        })
    }
}

/// Everything that is joined with a node, itself as well.
fn connected(neighbours: &BTreeMap<Node, Vec<Node>>, from: Node) -> BTreeSet<Node> {
    let mut found = BTreeSet::from([from]);
    let mut open = vec![from];
    while let Some(node) = open.pop() {
        for next in neighbours.get(&node).into_iter().flatten() {
            if found.insert(*next) {
                open.push(*next);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: ConnectorId = ConnectorId(1);
    const B: ConnectorId = ConnectorId(2);

    fn relay(module: u8, connector: ConnectorId) -> Switch {
        Switch::Relay(Address(module), connector)
    }

    #[test]
    fn rule_6_2_4_a_module_on_both_buses_bridges_them_and_two_modules_on_one_bus_do_not() {
        for (closed, closing, bridges) in [
            (vec![], relay(1, A), false),
            (vec![relay(1, A)], relay(2, A), false),
            (vec![relay(1, A)], relay(2, B), false),
            (vec![relay(1, A)], relay(1, B), true),
            (vec![relay(1, A), relay(2, A)], relay(2, B), true),
            (vec![Switch::Output(A), Switch::Output(B), relay(1, A)], relay(2, B), false),
            (vec![Switch::Output(A), relay(1, A), relay(1, B)], Switch::Output(B), true),
            // What is bridged already is bridged after any other closing.
            (vec![relay(1, A), relay(1, B)], relay(2, A), true),
        ] {
            let set: BTreeSet<Switch> = closed.iter().copied().collect();
            assert_eq!(Topology::bridges(&set, closing), bridges, "{closed:?} and {closing:?}");
        }
    }

    /// The same question by the closure of a matrix of what joins what.
    fn bridges_naively(closed: &BTreeSet<Switch>, closing: Switch) -> bool {
        let mut all = closed.clone();
        all.insert(closing);
        let nodes: BTreeSet<Node> = all.iter().flat_map(|switch| [switch.ends().0, switch.ends().1]).collect();
        let nodes: Vec<Node> = nodes.into_iter().collect();
        let at = |node: Node| nodes.iter().position(|each| *each == node).expect("there");
        let mut joined = vec![vec![false; nodes.len()]; nodes.len()];
        for (one, other) in all.iter().map(|switch| switch.ends()) {
            (joined[at(one)][at(other)], joined[at(other)][at(one)]) = (true, true);
        }
        for over in 0..nodes.len() {
            for from in 0..nodes.len() {
                for to in 0..nodes.len() {
                    joined[from][to] |= joined[from][over] && joined[over][to];
                }
            }
        }
        let is_bus = |index: usize| matches!(nodes[index], Node::Bus(_));
        (0..nodes.len()).any(|one| (0..one).any(|other| is_bus(one) && is_bus(other) && joined[one][other]))
    }

    fn any_switch() -> impl Strategy<Value = Switch> {
        prop_oneof![
            4 => (1u8..7, 1u32..4).prop_map(|(module, connector)| relay(module, ConnectorId(connector))),
            1 => (1u32..4).prop_map(|connector| Switch::Output(ConnectorId(connector))),
        ]
    }

    proptest! {
        #[test]
        fn rule_6_2_4_the_graph_is_searched_as_a_naive_search_would(
            closed in proptest::collection::btree_set(any_switch(), 0..8),
            closing in any_switch(),
        ) {
            prop_assert_eq!(Topology::bridges(&closed, closing), bridges_naively(&closed, closing));
        }
    }
}
