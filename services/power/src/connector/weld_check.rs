//! The look at every end of a session whether a contactor is welded (hardware notes §6.2, rule 7). Both mirror contacts
//! must say open and the modules' side, emptied, must stay below 60 V: a voltage that stays comes from the vehicle's
//! side, through a pole that is not open. The cable itself is measured by the vehicle and its board, not by us. Pure.

use crate::io::Board;
use busbar_interfaces::{BoottimeMillis, Millivolts};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The modules' side has this time to fall, from when the modules were known to be off: the board's closing of the
/// session and the emptying of the cable lie in it.
pub const EMPTIED_WITHIN: Duration = Duration::from_secs(25);

/// Where the look is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum WeldCheck {
    /// No contactor has been closed since the last look.
    #[default]
    Passed,
    /// The contactors were ordered open; the modules are not known to be off yet.
    Due,
    /// The modules' side falls.
    Falling {
        /// Since when.
        since: BoottimeMillis,
    },
    /// Something stays.
    Failed,
}

impl WeldCheck {
    /// The contactors were ordered open.
    pub fn begin(&mut self) {
        *self = WeldCheck::Due;
    }

    /// A new delivery may begin.
    pub fn is_passed(self) -> bool {
        self == WeldCheck::Passed
    }

    /// It still goes on.
    pub fn goes_on(self) -> bool {
        matches!(self, WeldCheck::Due | WeldCheck::Falling { .. })
    }

    /// Somebody has seen to it.
    pub fn reset(&mut self) {
        *self = WeldCheck::Passed;
    }

    /// Looks again; says what is wrong when it has just failed.
    pub fn look(
        &mut self,
        now: BoottimeMillis,
        board: Option<&Board>,
        at_rest: bool,
        voltage: Millivolts,
        dead: Millivolts,
    ) -> Option<String> {
        if self.is_passed() {
            return None;
        }
        let open = board.is_some_and(super::contactors::is_open);
        if at_rest && open && voltage < dead {
            *self = WeldCheck::Passed;
            return None;
        }
        match *self {
            WeldCheck::Due if at_rest && open => *self = WeldCheck::Falling { since: now },
            // What is not seen or not off says nothing about the contactors; the mirror contacts are watched anyway.
            WeldCheck::Falling { .. } if !at_rest || !open => *self = WeldCheck::Due,
            WeldCheck::Falling { since } if now.since(since) > EMPTIED_WITHIN => {
                *self = WeldCheck::Failed;
                return Some(format!(
                    "{} mV stay on the modules' side with the contactors open and the modules off",
                    voltage.0
                ));
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::DEAD;
    use crate::io::Input;

    fn after(seconds: u64, board: Option<&Board>, at_rest: bool, volts: u32) -> (WeldCheck, bool) {
        let mut check = WeldCheck::default();
        check.begin();
        let mut failed = false;
        for second in 0..=seconds {
            let now = BoottimeMillis(second * 1000);
            failed |= check.look(now, board, at_rest, Millivolts(volts * 1000), DEAD).is_some();
        }
        (check, failed)
    }

    #[test]
    fn rule_6_2_7_the_modules_side_must_fall_with_open_contacts() {
        let open = Board::default();
        let one_closed = Board::new([(Input::PositiveMirror, true)], []);
        assert_eq!(after(0, Some(&open), true, 59), (WeldCheck::Passed, false));
        assert!(matches!(after(20, Some(&open), true, 60), (WeldCheck::Falling { .. }, false)));
        assert_eq!(after(40, Some(&open), true, 60), (WeldCheck::Failed, true));
        assert_eq!(after(40, Some(&one_closed), true, 0), (WeldCheck::Due, false), "the mirror contact has said it");
        assert_eq!(after(40, Some(&open), false, 0), (WeldCheck::Due, false), "a module may still feed");
        assert_eq!(after(40, None, true, 0), (WeldCheck::Due, false), "nobody sees the contacts");
    }

    #[test]
    fn a_side_that_falls_after_all_passes() {
        let (mut check, _) = after(40, Some(&Board::default()), true, 300);
        assert_eq!(check, WeldCheck::Failed);
        let open = Board::default();
        assert_eq!(check.look(BoottimeMillis(99_000), Some(&open), true, Millivolts(0), DEAD), None);
        assert!(check.is_passed());
    }
}
