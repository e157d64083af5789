//! How the relays and contactors were used so far (hardware notes §6.2, rule 2). Each counts for itself; the sums are
//! kept on disk by `book`.

mod book;

pub use book::WearBook;

use crate::sharing::Switch;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a switch was used so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Wear {
    /// Times it was closed.
    pub cycles: u32,
    /// Times it was opened although current may have flowed.
    pub forced: u32,
}

/// The wear of all switches.
pub type Totals = BTreeMap<Switch, Wear>;

impl Wear {
    /// It was closed.
    pub fn note_closing(&mut self) {
        self.cycles = self.cycles.saturating_add(1);
    }

    /// It was opened although current may have flowed.
    pub fn note_forced(&mut self) {
        self.forced = self.forced.saturating_add(1);
    }

    /// It was used so much before that.
    pub fn add(&mut self, before: Wear) {
        self.cycles = self.cycles.saturating_add(before.cycles);
        self.forced = self.forced.saturating_add(before.forced);
    }
}
