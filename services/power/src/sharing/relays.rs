//! The relays of the matrix: what was ordered of each, whether its mirror contact followed, how worn it is (hardware
//! notes §6.2, rules 2 and 6). Decides when one may open, not which one should.

use super::seen::{ModuleSeen, RelaySeen};
use crate::wear::Wear;
use busbar_interfaces::{BoottimeMillis, Milliamperes};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A mirror contact follows an opening coil within this time (rule 6).
const OPENS_WITHIN: Duration = Duration::from_millis(100);
/// And a closing one within this.
const CLOSES_WITHIN: Duration = Duration::from_millis(500);
/// A mirror contact that had followed may read otherwise so long.
const MISREAD: Duration = Duration::from_millis(500);
/// So often it may fail before the path is locked out (rule 6).
const FAILURES: u8 = 2;
/// Below this current a relay may move (rules 2 and 3).
pub const NO_CURRENT: Milliamperes = Milliamperes(1_000);
/// After this time a relay is opened although its module still gives current (rule 2: 7 to 10 s).
const FORCED_AFTER: Duration = Duration::from_secs(8);
/// In an emergency after this (rule 2, §9.5).
const FORCED_IN_EMERGENCY: Duration = Duration::from_secs(1);

/// One relay.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Relay {
    /// What was last ordered; nothing while it is as it was found.
    ordered: Option<bool>,
    ordered_at: BoottimeMillis,
    /// The mirror contact has followed since.
    confirmed: bool,
    /// It had followed, and since then reads otherwise.
    strays_since: Option<BoottimeMillis>,
    failed_to_close: u8,
    failed_to_open: u8,
    /// Out of service until a service reset.
    locked: bool,
    /// It should open, and waits until no current flows.
    waits_since: Option<BoottimeMillis>,
    wear: Wear,
}

/// What watching a relay has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// Nothing new.
    Nothing,
    /// It was closed, or was to close, and is open.
    Fell,
    /// It was open and is closed, by nobody's order.
    ClosedUnasked,
    /// It did not follow for the second time.
    LockedOut,
}

/// What is to be done about a relay that should be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Nothing now.
    Waits,
    /// It is ordered open.
    Ordered,
    /// Likewise, although current may flow.
    Forced,
}

impl Relay {
    /// Out of service.
    pub fn is_locked(&self) -> bool {
        self.locked
    }

    /// How worn it is.
    pub fn wear(&self) -> Wear {
        self.wear
    }

    /// It was used so much before.
    pub fn add_wear(&mut self, before: Wear) {
        self.wear.add(before);
    }

    /// It is a new one.
    pub fn replaced(&mut self) {
        self.wear = Wear::default();
    }

    /// The service has looked at it.
    pub fn reset(&mut self) {
        if std::mem::take(&mut self.locked) {
            (self.failed_to_close, self.failed_to_open, self.ordered) = (0, 0, None);
        }
    }

    /// It was ordered open, or was never ordered closed, and reads open.
    pub fn is_open(&self, seen: Option<&RelaySeen>) -> bool {
        let reads_open = seen.is_some_and(|seen| !seen.closed && !seen.coil);
        self.ordered != Some(true) && reads_open && (self.ordered.is_none() || self.confirmed)
    }

    /// It was ordered closed, and has followed.
    pub fn is_closed(&self) -> bool {
        self.ordered == Some(true) && self.confirmed
    }

    /// It was ordered closed.
    pub fn is_ordered_closed(&self) -> bool {
        self.ordered == Some(true)
    }

    /// Its coil is to be written.
    pub fn order_due(&self, seen: Option<&RelaySeen>) -> Option<bool> {
        let wanted = self.ordered?;
        // A coil that fell by itself is not energised again: nobody has looked at the voltages since.
        let may = !wanted || !self.confirmed;
        (may && seen.is_none_or(|seen| seen.coil != wanted)).then_some(wanted)
    }

    /// Orders it closed; the caller has looked at rules 3 and 4.
    pub fn close(&mut self, now: BoottimeMillis) {
        if self.ordered != Some(true) {
            self.wear.note_closing();
            self.order(now, true);
        }
    }

    fn order(&mut self, now: BoottimeMillis, closed: bool) {
        (self.ordered, self.ordered_at) = (Some(closed), now);
        (self.confirmed, self.strays_since, self.waits_since) = (false, None, None);
    }

    /// It should be open: orders it when it may (rules 2 and 10).
    pub fn open(
        &mut self,
        now: BoottimeMillis,
        seen: Option<&RelaySeen>,
        module: &ModuleSeen,
        emergency: bool,
    ) -> Opening {
        if self.ordered == Some(false) {
            return Opening::Waits;
        }
        if self.ordered.is_none() && self.is_open(seen) {
            self.order(now, false);
            self.confirmed = true;
            return Opening::Waits;
        }
        // One that was ordered closed just now has not been reported yet; one that is not heard is not ordered at all.
        let since = *self.waits_since.get_or_insert(now);
        let quiet = module.at_rest && module.fresh && module.current < NO_CURRENT && now > since;
        if quiet || module.surely_dead {
            self.order(now, false);
            return Opening::Ordered;
        }
        let patience = if emergency { FORCED_IN_EMERGENCY } else { FORCED_AFTER };
        // Rule 10: one that is silent stays as it is; an emergency overrides that (rule 2).
        let may_force = emergency || !module.silent;
        if may_force && now.since(since) >= patience {
            self.wear.note_forced();
            self.order(now, false);
            return Opening::Forced;
        }
        Opening::Waits
    }

    /// Looks whether the mirror contact is as it was ordered.
    pub fn watch(&mut self, now: BoottimeMillis, seen: Option<&RelaySeen>) -> Watched {
        let (Some(wanted), Some(seen)) = (self.ordered, seen) else { return Watched::Nothing };
        let follows = seen.closed == wanted && seen.coil == wanted;
        if follows && (self.confirmed || seen.read > self.ordered_at) {
            (self.confirmed, self.strays_since) = (true, None);
            *self.failures(wanted) = if self.locked { FAILURES } else { 0 };
            return Watched::Nothing;
        }
        if !self.confirmed {
            let limit = if wanted { CLOSES_WITHIN } else { OPENS_WITHIN };
            let late = seen.read.since(self.ordered_at) > limit;
            return if late && (wanted || !self.locked) { self.fail(now, wanted) } else { Watched::Nothing };
        }
        let strays_since = *self.strays_since.get_or_insert(seen.read);
        if seen.read.since(strays_since) <= MISREAD {
            return Watched::Nothing;
        }
        if wanted {
            return self.fail(now, true);
        }
        // It opens again by the rules, as one that was found closed.
        (self.ordered, self.strays_since) = (None, None);
        Watched::ClosedUnasked
    }

    fn failures(&mut self, closing: bool) -> &mut u8 {
        if closing { &mut self.failed_to_close } else { &mut self.failed_to_open }
    }

    fn fail(&mut self, now: BoottimeMillis, closing: bool) -> Watched {
        let failures = self.failures(closing);
        *failures = failures.saturating_add(1);
        let locked = *failures >= FAILURES;
        if closing {
            // It may still follow late: it is opened by the rules, as one that was found.
            (self.ordered, self.strays_since) = (None, None);
        } else {
            self.ordered_at = now;
        }
        match locked {
            true => {
                self.locked = true;
                Watched::LockedOut
            }
            false if closing => Watched::Fell,
            false => Watched::Nothing,
        }
    }
}
