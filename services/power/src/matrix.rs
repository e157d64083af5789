//! The relays between modules and connectors: which may be closed at all, and whether their mirror contacts follow.
//! Every module has one relay, to its own connector; any other that is closed could bridge two vehicles. Pure.

use crate::contactors::MIRROR_LIMIT;
use crate::io::{Board, CoilOrder};
use crate::settings::Settings;
use busbar_interfaces::BoottimeMillis;
use std::collections::{BTreeMap, BTreeSet};

/// A matrix board's relays: its inputs of the same numbers are their mirror contacts.
const RELAYS: std::ops::Range<u8> = 0..6;

/// The matrix boards.
#[derive(Debug, Clone)]
pub struct Matrix {
    units: BTreeSet<u8>,
    wired: BTreeSet<(u8, u8)>,
    mismatch_since: BTreeMap<(u8, u8), BoottimeMillis>,
    fault: Option<String>,
}

impl Matrix {
    /// The boards of the settings.
    pub fn new(settings: &Settings) -> Matrix {
        let outputs: BTreeSet<u8> = settings.connectors.iter().map(|wiring| wiring.io_unit).collect();
        let units = settings.modules.iter().map(|wiring| wiring.relay_unit);
        Matrix {
            units: units.filter(|unit| !outputs.contains(unit)).collect(),
            wired: settings.modules.iter().map(|wiring| (wiring.relay_unit, wiring.relay_coil)).collect(),
            mismatch_since: BTreeMap::new(),
            fault: None,
        }
    }

    fn relays(&self) -> impl Iterator<Item = (u8, u8)> {
        self.units.iter().flat_map(|unit| RELAYS.map(|coil| (*unit, coil)))
    }

    /// Coils that are on and belong to no module.
    pub fn strays(&self, boards: &BTreeMap<u8, Board>) -> Vec<CoilOrder> {
        let all = self.units.iter().flat_map(|unit| (0..8).map(|coil| (*unit, coil)));
        let strays = all.filter(|relay| !self.wired.contains(relay));
        let on = strays.filter(|(unit, coil)| boards.get(unit).is_some_and(|board| board.coil(*coil)));
        on.map(|(unit, coil)| CoilOrder { unit, coil, on: false }).collect()
    }

    /// Looks whether the mirror contacts are as the coils, and those without a module open.
    pub fn watch(&mut self, now: BoottimeMillis, boards: &BTreeMap<u8, Board>) {
        let mut fault = None;
        for relay in self.relays().collect::<Vec<_>>() {
            let (unit, coil) = relay;
            let Some(board) = boards.get(&unit) else { continue };
            let (closed, ordered) = (board.input(coil), board.coil(coil));
            if closed == ordered && (!closed || self.wired.contains(&relay)) {
                self.mismatch_since.remove(&relay);
                continue;
            }
            let since = *self.mismatch_since.entry(relay).or_insert(now);
            if now.since(since) > MIRROR_LIMIT {
                let is = if closed { "closed" } else { "open" };
                fault = Some(format!("relay {coil} of matrix board {unit} is {is} and should not be"));
            }
        }
        if fault.is_some() != self.fault.is_some() {
            tracing::error!(fault = fault.as_deref().unwrap_or("none any more"), "relay matrix");
        }
        self.fault = fault;
    }

    /// A relay that is not as it should be.
    pub fn fault(&self) -> Option<&String> {
        self.fault.as_ref()
    }
}
