//! Which faults are there now. Pure: what a detector says becomes the edges against what was known; only edges that the
//! history holds are entered. A detector that is away neither raises nor clears anything.

use crate::catalogue::meaning;
use busbar_interfaces::faults::{ActiveFault, FaultsState};
use busbar_interfaces::words::FaultEdge;
use busbar_interfaces::{Condition, ConnectorId, UnixMillis};
use std::collections::BTreeMap;

/// What one fault is known by: the detector's role, the code, the connector.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The role of the service that sees it.
    pub detector: String,
    /// The fault code.
    pub code: String,
    /// The connector; 0 for the whole station.
    pub connector: ConnectorId,
}

/// What is known of a fault that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What exactly, as the detector said last.
    pub detail: String,
    /// Since when.
    pub since: UnixMillis,
}

/// A fault that came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Which fault.
    pub place: Place,
    /// Came or went.
    pub edge: FaultEdge,
    /// What exactly.
    pub detail: String,
    /// When.
    pub at: UnixMillis,
}

/// The faults that are there now.
#[derive(Debug, Default)]
pub struct Register {
    active: BTreeMap<Place, Standing>,
}

impl Register {
    /// The faults that were there when the process ended; their detectors will tell whether they still are.
    pub fn restore(active: BTreeMap<Place, Standing>) -> Register {
        Register { active }
    }

    /// What came and went since a detector was heard last.
    pub fn edges(&self, detector: &str, conditions: &[Condition], now: UnixMillis) -> Vec<Edge> {
        let levels = levels(detector, conditions);
        let gone = self.active.iter().filter(|(place, _)| place.detector == detector && !levels.contains_key(*place));
        let cleared = gone.map(|(place, standing)| Edge {
            place: place.clone(),
            edge: FaultEdge::Cleared,
            detail: standing.detail.clone(),
            at: now,
        });
        let new = levels.iter().filter(|(place, _)| !self.active.contains_key(*place));
        let raised = new.map(|(place, detail)| Edge {
            place: place.clone(),
            edge: FaultEdge::Raised,
            detail: detail.clone(),
            at: now,
        });
        cleared.chain(raised).collect()
    }

    /// Enters edges that are in the history, and the details as the detector tells them now.
    pub fn enter(&mut self, detector: &str, conditions: &[Condition], edges: &[Edge]) {
        for edge in edges {
            match edge.edge {
                FaultEdge::Raised => {
                    let standing = Standing { detail: edge.detail.clone(), since: edge.at };
                    self.active.insert(edge.place.clone(), standing);
                }
                FaultEdge::Cleared | FaultEdge::Unknown => drop(self.active.remove(&edge.place)),
            }
        }
        for (place, detail) in levels(detector, conditions) {
            if let Some(standing) = self.active.get_mut(&place) {
                standing.detail = detail;
            }
        }
    }

    /// What the object publishes.
    pub fn state(&self) -> FaultsState {
        let active = self.active.iter().map(|(place, standing)| {
            let meaning = meaning(&place.code);
            ActiveFault {
                code: place.code.clone(),
                connector: place.connector,
                class: meaning.class,
                error_code: meaning.error_code.to_owned(),
                title: meaning.title.to_owned(),
                detail: standing.detail.clone(),
                since_unix_millis: standing.since,
            }
        });
        FaultsState { active: active.collect() }
    }
}

/// One level for each code and connector; several conditions of the same code (two modules that fail) are one fault
/// with both details.
fn levels(detector: &str, conditions: &[Condition]) -> BTreeMap<Place, String> {
    let mut levels: BTreeMap<Place, String> = BTreeMap::new();
    for condition in conditions {
        let place =
            Place { detector: detector.to_owned(), code: condition.code.clone(), connector: condition.connector };
        let detail = levels.entry(place).or_default();
        if !detail.is_empty() && !condition.detail.is_empty() {
            detail.push_str("; ");
        }
        detail.push_str(&condition.detail);
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn condition(code: &str, connector: u32, detail: &str) -> Condition {
        Condition { code: code.to_owned(), connector: ConnectorId(connector), detail: detail.to_owned() }
    }

    fn hear(register: &mut Register, detector: &str, conditions: &[Condition], now: u64) -> Vec<Edge> {
        let edges = register.edges(detector, conditions, UnixMillis(now));
        register.enter(detector, conditions, &edges);
        edges
    }

    #[test]
    fn a_fault_comes_stays_and_goes() {
        let mut register = Register::default();
        let came = hear(&mut register, "metering", &[condition("0x10020F", 1, "timeout")], 10);
        assert_eq!(came.len(), 1);
        let stays = hear(&mut register, "metering", &[condition("0x10020F", 1, "refused")], 20);
        assert_eq!(stays, []);
        let state = register.state();
        assert_eq!(state.active[0].since_unix_millis, UnixMillis(10));
        assert_eq!(state.active[0].detail, "refused");
        assert_eq!(state.active[0].error_code, "PowerMeterFailure");
        let went = hear(&mut register, "metering", &[], 30);
        assert_eq!((went[0].edge, went[0].detail.as_str()), (FaultEdge::Cleared, "refused"));
        assert_eq!(register.state().active, []);
    }

    #[test]
    fn one_detector_does_not_clear_what_another_sees() {
        let mut register = Register::default();
        hear(&mut register, "metering", &[condition("0x10020F", 1, "")], 10);
        assert_eq!(hear(&mut register, "power", &[], 20), []);
        assert_eq!(register.state().active.len(), 1);
    }

    #[test]
    fn conditions_of_one_code_are_one_fault() {
        let mut register = Register::default();
        let two = [condition("0x200002", 0, "module 3"), condition("0x200002", 0, "module 5")];
        assert_eq!(hear(&mut register, "power", &two, 10).len(), 1);
        assert_eq!(register.state().active[0].detail, "module 3; module 5");
        assert_eq!(hear(&mut register, "power", &two[..1], 20), []);
        assert_eq!(register.state().active[0].detail, "module 3");
    }

    #[test]
    fn after_a_restart_the_fault_is_the_same_one() {
        let mut before = Register::default();
        hear(&mut before, "power", &[condition("0x100202", 0, "pressed"), condition("0x100213", 2, "260 A")], 10);
        let mut after = Register::restore(before.active);
        let edges = hear(&mut after, "power", &[condition("0x100202", 0, "pressed")], 99);
        assert_eq!(edges.len(), 1, "{edges:?}");
        assert_eq!((edges[0].edge, edges[0].place.code.as_str()), (FaultEdge::Cleared, "0x100213"));
        assert_eq!(after.state().active[0].since_unix_millis, UnixMillis(10));
    }

    proptest! {
        #[test]
        fn edges_alternate_and_end_at_the_level(levels in proptest::collection::vec(proptest::bits::u8::ANY, 1..30)) {
            let mut register = Register::default();
            let mut standing = [false; 8];
            for (now, level) in levels.iter().enumerate() {
                let there = (0..8u32).filter(|bit| level & (1 << bit) != 0);
                let conditions: Vec<Condition> = there.map(|bit| condition(&format!("0x{bit}"), 1, "")).collect();
                for edge in hear(&mut register, "power", &conditions, now as u64) {
                    let bit: usize = edge.place.code[2..].parse().expect("a bit");
                    prop_assert_eq!(standing[bit], edge.edge == FaultEdge::Cleared);
                    standing[bit] = !standing[bit];
                }
                prop_assert_eq!(register.state().active.len(), level.count_ones() as usize);
            }
        }
    }
}
