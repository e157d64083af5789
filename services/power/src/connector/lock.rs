//! The lock of the plug: its coil, and what its feedback says. Where no lock is wired there is nothing to order and
//! nothing that could fail. Pure.

use crate::io::{Board, Output};
use busbar_interfaces::BoottimeMillis;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The feedback follows the coil within this time.
pub const FOLLOWS_WITHIN: Duration = Duration::from_secs(1);
/// A lock that held and says no longer that it does is believed after this time: two readings.
const MISREAD: Duration = Duration::from_millis(200);

/// The lock.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Lock {
    /// What is wanted; nothing while it is as the last process left it.
    wanted: Option<bool>,
    /// It has followed since it was last wanted otherwise.
    followed: bool,
    differs_since: Option<BoottimeMillis>,
    fault: Option<String>,
}

impl Lock {
    /// It shall lock or release the plug.
    pub fn want(&mut self, locked: bool) {
        if self.wanted != Some(locked) {
            self.wanted = Some(locked);
            self.followed = false;
            self.differs_since = None;
        }
    }

    /// What is wanted of it.
    pub fn wanted(&self) -> Option<bool> {
        self.wanted
    }

    /// Voltage may come: the plug is locked, or there is no lock.
    pub fn holds(&self, board: Option<&Board>) -> bool {
        board.is_some_and(|board| board.locked() != Some(false))
    }

    /// What is wrong with it.
    pub fn fault(&self) -> Option<&String> {
        self.fault.as_ref()
    }

    /// The order that is due.
    pub fn order(&self, board: Option<&Board>) -> Option<(Output, bool)> {
        let (board, wanted) = (board?, self.wanted?);
        (board.locked().is_some() && board.output(Output::Lock) != wanted).then_some((Output::Lock, wanted))
    }

    /// Looks whether the feedback is as wanted. A fault goes when it follows again and no vehicle is there.
    pub fn watch(&mut self, now: BoottimeMillis, board: Option<&Board>, plugged: bool) {
        let Some(locked) = board.and_then(Board::locked) else {
            self.differs_since = None;
            return;
        };
        if self.wanted.is_none_or(|wanted| wanted == locked) {
            self.followed |= self.wanted.is_some();
            self.differs_since = None;
            if !plugged {
                self.fault = None;
            }
            return;
        }
        let since = *self.differs_since.get_or_insert(now);
        let patience = if self.followed { MISREAD } else { FOLLOWS_WITHIN };
        if now.since(since) > patience && self.fault.is_none() {
            let (ordered, is) = if locked { ("released", "locked") } else { ("locked", "not locked") };
            self.fault = Some(format!("the plug's lock was ordered {ordered} and says it is {is}"));
        }
    }

    /// Somebody has seen to it.
    pub fn reset(&mut self) {
        self.fault = None;
        self.differs_since = None;
    }
}
