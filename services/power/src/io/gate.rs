//! The second gate against bridging two vehicles (hardware notes §6.2, rule 4): the last look before a coil is written,
//! in the task that writes it. It knows the wiring of the station file, what that task has read and written itself, and
//! nothing of the sharing, whose own look it repeats with other code. Pure.
//!
//! Only a module's relays can join two buses. So no two buses are joined, and no two vehicles through them, as long as no
//! module has two of its relays closed.

use super::wiring::Point;
use super::{CoilOrder, Unit};
use std::collections::{BTreeMap, BTreeSet};

/// A matrix board has the mirror contacts of its first six relays on the inputs of the same numbers.
const MIRRORED: u8 = 6;

/// Which coils could join two buses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gate {
    /// Module of each relay, by unit and coil.
    relays: BTreeMap<(u8, u8), u8>,
    /// Output contactors, and whether one closes when its coil is off.
    contactors: BTreeMap<(u8, u8), bool>,
    matrix_boards: BTreeSet<u8>,
}

impl Gate {
    /// The wiring: the module of each relay with its unit and coil, and the poles of the output contactors.
    pub fn new(relays: impl IntoIterator<Item = (u8, (u8, u8))>, contactors: impl IntoIterator<Item = Point>) -> Gate {
        let relays: BTreeMap<(u8, u8), u8> = relays.into_iter().map(|(module, at)| (at, module)).collect();
        Gate {
            matrix_boards: relays.keys().map(|(unit, _)| *unit).collect(),
            relays,
            contactors: contactors.into_iter().map(|point| ((point.unit, point.channel), point.inverted)).collect(),
        }
    }

    /// Whether an order may be carried out, with the units as they are now. What opens always may.
    ///
    /// # Errors
    /// What would be joined.
    pub fn pass(&self, units: &BTreeMap<u8, Unit>, order: CoilOrder) -> Result<(), String> {
        let CoilOrder { unit, coil, on } = order;
        let closes = match self.contactors.get(&(unit, coil)) {
            Some(inverted) => on != *inverted,
            None => on && self.matrix_boards.contains(&unit),
        };
        if !closes {
            return Ok(());
        }
        let refused = |why: String| Err(format!("coil {coil} of unit {unit} is not energised: {why}"));
        if self.matrix_boards.contains(&unit) && !self.relays.contains_key(&(unit, coil)) {
            return refused("the station file has no relay there".to_owned());
        }
        let mut joined = BTreeSet::new();
        for (at, module) in &self.relays {
            let Some(board) = units.get(&at.0) else { return refused(format!("unit {} was not read", at.0)) };
            let closed = *at == (unit, coil) || is_closed(board, at.1);
            if closed && !joined.insert(*module) {
                return refused(format!("module {module} would join, or joins, two connectors"));
            }
        }
        Ok(())
    }
}

/// Energised, or by its mirror contact closed all the same: a relay that has not opened yet, or is welded.
fn is_closed(board: &Unit, coil: u8) -> bool {
    board.coil(coil) || (coil < MIRRORED && board.input(coil))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MODULES: u8 = 6;
    /// Six modules: relays to A on board 3, to B on board 4; contactors of A on board 1, of B, inverted, on board 2.
    fn gate() -> Gate {
        let relays = (0..MODULES).flat_map(|module| [(module, (3, module)), (module, (4, module))]);
        let contactors = [Point::new(1, 0), Point::new(1, 1)];
        let inverted = [Point::new(2, 0), Point::new(2, 1)].map(|point| Point { inverted: true, ..point });
        Gate::new(relays, contactors.into_iter().chain(inverted))
    }

    fn order(unit: u8, coil: u8, on: bool) -> CoilOrder {
        CoilOrder { unit, coil, on }
    }

    fn units(coils: &[(u8, u8)], mirrors: &[(u8, u8)]) -> BTreeMap<u8, Unit> {
        let mut units: BTreeMap<u8, Unit> = (1..=4).map(|unit| (unit, Unit::default())).collect();
        for (unit, coil) in coils {
            units.get_mut(unit).expect("there").coils[usize::from(*coil)] = true;
        }
        for (unit, input) in mirrors {
            units.get_mut(unit).expect("there").inputs[usize::from(*input)] = true;
        }
        units
    }

    #[test]
    fn rule_6_2_4_what_would_join_two_connectors_is_refused() {
        let (a1, b1, b2) = ((3, 1), (4, 1), (4, 2));
        for (coils, mirrors, ordered, passes) in [
            (&[][..], &[][..], order(3, 1, true), true),
            (&[a1], &[a1], order(4, 2, true), true),
            (&[a1], &[a1], order(4, 1, true), false),
            // Just ordered, not closed yet; ordered open, not open yet, or welded.
            (&[a1], &[], order(4, 1, true), false),
            (&[], &[a1], order(4, 1, true), false),
            // What was found bridged is not made worse, and may be opened.
            (&[a1, b1], &[], order(4, 2, true), false),
            (&[a1, b1], &[], order(4, 1, false), true),
            (&[a1, b1], &[], order(1, 0, true), false),
            (&[a1, b1], &[], order(1, 0, false), true),
            (&[a1, b2], &[], order(1, 0, true), true),
            // A contactor whose coil opens it.
            (&[a1, b1], &[], order(2, 0, false), false),
            (&[a1, b1], &[], order(2, 0, true), true),
            // Discharge and lock join nothing; a coil of the matrix that nobody knows may join anything.
            (&[a1, b1], &[], order(1, 2, true), true),
            (&[], &[], order(3, 7, true), false),
            (&[(3, 7)], &[], order(3, 7, false), true),
        ] {
            assert_eq!(
                gate().pass(&units(coils, mirrors), ordered).is_ok(),
                passes,
                "{coils:?} {mirrors:?} {ordered:?}"
            );
        }
    }

    #[test]
    fn nothing_closes_before_every_matrix_board_was_read() {
        let mut units = units(&[], &[]);
        units.remove(&4);
        for ordered in [order(3, 0, true), order(1, 0, true)] {
            assert!(gate().pass(&units, ordered).is_err());
        }
        assert!(gate().pass(&units, order(3, 0, false)).is_ok());
    }

    /// The same question by a search through everything that is joined.
    fn vehicles_joined(units: &BTreeMap<u8, Unit>) -> bool {
        let closed =
            |unit: u8, coil: u8| units[&unit].coils[usize::from(coil)] || units[&unit].inputs[usize::from(coil)];
        // Nodes: bus A, bus B, then the modules.
        let (mut joined, mut open) = (BTreeSet::from([0u8]), vec![0u8]);
        while let Some(node) = open.pop() {
            for module in 0..MODULES {
                for bus in 0..2u8 {
                    let ends = [bus, module + 2];
                    if closed(3 + bus, module) && ends.contains(&node) {
                        open.extend(ends.into_iter().filter(|end| joined.insert(*end)));
                    }
                }
            }
        }
        joined.contains(&1)
    }

    fn any_order() -> impl Strategy<Value = (CoilOrder, bool)> {
        (1u8..5, 0u8..8, any::<bool>(), any::<bool>())
            .prop_map(|(unit, coil, on, follows)| (order(unit, coil, on), follows))
    }

    proptest! {
        #[test]
        fn rule_6_2_4_no_order_of_writing_joins_two_connectors(orders in proptest::collection::vec(any_order(), 1..200)) {
            let (gate, mut units) = (gate(), units(&[], &[]));
            for (ordered, follows) in orders {
                let before = units.clone();
                let mut after = units.clone();
                let board = after.get_mut(&ordered.unit).expect("there");
                board.coils[usize::from(ordered.coil)] = ordered.on;
                // The mirror contact may stay behind, until the next order of the same coil.
                if follows {
                    board.inputs[usize::from(ordered.coil)] = ordered.on;
                }
                match gate.pass(&before, ordered) {
                    Ok(()) => units = after,
                    // It refuses nothing else: either two connectors would be joined, or nobody knows that coil.
                    Err(_) => prop_assert!(vehicles_joined(&after) || (ordered.unit > 2 && ordered.coil >= MODULES)),
                }
                prop_assert!(!vehicles_joined(&units), "{ordered:?}");
            }
        }
    }
}
