//! The output contactors of one connector and the resistor that empties its cable: what is wanted of the coils, and
//! whether the mirror contacts follow. Pure. The caller decides when they may move.

use crate::io::Board;
use busbar_interfaces::BoottimeMillis;
use std::time::Duration;

/// Coils of an output board.
pub const COIL_POSITIVE: u8 = 0;
/// The other pole.
pub const COIL_NEGATIVE: u8 = 1;
/// The resistor that empties the cable.
pub const COIL_DISCHARGE: u8 = 2;

/// A mirror contact follows its coil within this time.
pub const MIRROR_LIMIT: Duration = Duration::from_millis(600);

/// The contactors.
#[derive(Debug, Clone, Default)]
pub struct Contactors {
    /// What is wanted; nothing while they are as the last process left them.
    wanted: Option<bool>,
    mismatch_since: Option<BoottimeMillis>,
    fault: Option<String>,
}

impl Contactors {
    /// As the last process left them, with the fault that it noted.
    pub fn found(fault: Option<String>) -> Contactors {
        Contactors { fault, ..Contactors::default() }
    }

    /// What is wanted of them; nothing while they are as they were found.
    pub fn wanted(&self) -> Option<bool> {
        self.wanted
    }

    /// They shall be closed or open.
    pub fn want(&mut self, closed: bool) {
        if self.wanted != Some(closed) {
            self.wanted = Some(closed);
            self.mismatch_since = None;
        }
    }

    /// A mirror contact that did not follow its coil.
    pub fn fault(&self) -> Option<&String> {
        self.fault.as_ref()
    }

    /// The orders that are due: every coil that is not as it is wanted. Closing is ordered only while it `may_close`,
    /// opening also at a board that is not heard, while the connector is in use.
    pub fn orders(&self, board: Option<&Board>, may_close: bool, in_use: bool) -> Vec<(u8, bool)> {
        let Some(wanted) = self.wanted else { return Vec::new() };
        let differs = |coil| board.map_or(in_use && !wanted, |board| board.coil(coil) != wanted);
        let due = [COIL_POSITIVE, COIL_NEGATIVE].into_iter().filter(|coil| differs(*coil));
        due.filter(|_| !wanted || may_close).map(|coil| (coil, wanted)).collect()
    }

    /// Looks whether coils and mirror contacts are as wanted. Says so when that has become a fault.
    pub fn watch(&mut self, now: BoottimeMillis, board: Option<&Board>, plugged: bool) -> Option<&String> {
        let Some(board) = board else {
            self.mismatch_since = None;
            return None;
        };
        if is_open(board) && !plugged {
            self.fault = None;
        }
        let wanted = self.wanted?;
        let as_wanted = if wanted { is_closed(board) } else { is_open(board) };
        if as_wanted {
            self.mismatch_since = None;
            return None;
        }
        let since = *self.mismatch_since.get_or_insert(now);
        if self.fault.is_some() || now.since(since) <= MIRROR_LIMIT {
            return None;
        }
        let (wanted, is) = if wanted { ("closed", "not closed") } else { ("open", "not open") };
        self.fault = Some(format!("output contactor ordered {wanted}, its coils or mirror contacts say {is}"));
        self.fault.as_ref()
    }
}

/// Both coils are on and both mirror contacts closed.
fn is_closed(board: &Board) -> bool {
    board.contactors_closed() && board.coil(COIL_POSITIVE) && board.coil(COIL_NEGATIVE)
}

/// Neither coil is on and neither mirror contact closed.
pub fn is_open(board: &Board) -> bool {
    board.contactors_open() && !board.coil(COIL_POSITIVE) && !board.coil(COIL_NEGATIVE)
}
