//! Power's delivery for a transaction: its number, its lease, and what power has said and shown of it. What power shows is
//! the truth; what it answers only says when to look. Pure.

use super::{PATIENCE, RETRY};
use crate::effect::DeliveryAnswer;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::words::StopCause;
use busbar_interfaces::{BoottimeMillis, TransactionId};
use busbar_runtime::Moment;
use std::time::Duration;

/// A delivery that power denies is asked for again after this time: what it shows will tell why.
const DENIED: Duration = Duration::from_secs(1);
/// No delivery: the vehicle is unplugged, and the transaction stays.
const NONE: TransactionId = TransactionId(0);

/// Power's delivery for a transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The transaction's own, a later one when the vehicle was plugged in again, 0 while it is unplugged.
    number: TransactionId,
    /// Power has said that it holds it.
    held: bool,
    /// That is on disk: from then on it is renewed and never started again.
    recorded: bool,
    /// It was held when power went away, or when this process started.
    held_before: bool,
    /// Power has shown it, or that it had it: from then on what it shows is the whole truth about it.
    shown: bool,
    /// Power is being asked for it, or to keep it.
    asking: bool,
    /// When power is asked (again).
    call_at: BoottimeMillis,
    /// Power denies it; after this time that counts.
    denied_until: Option<BoottimeMillis>,
}

/// What power shows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// It runs, or is being ended.
    It,
    /// It is over.
    Ended(StopCause),
    /// Power came back without it: it stopped safely and lost its record.
    Lost,
    /// Nothing that says anything about it.
    Nothing,
}

/// What power is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Start,
    Renew,
}

impl Delivery {
    /// One that power has just been asked for.
    pub fn begin(now: Moment, number: TransactionId) -> Delivery {
        Delivery { asking: true, ..Delivery::restore(now, number, false) }
    }

    /// One that the ledger knows; 0 is none.
    pub fn restore(now: Moment, number: TransactionId, held: bool) -> Delivery {
        let held = held && number != NONE;
        Delivery {
            number,
            held,
            recorded: held,
            held_before: held,
            shown: false,
            asking: false,
            call_at: now.boottime,
            denied_until: None,
        }
    }

    /// None, while the vehicle is unplugged.
    pub fn none(now: Moment) -> Delivery {
        Delivery::restore(now, NONE, false)
    }

    /// Its number; nothing while there is none.
    pub fn number(&self) -> Option<TransactionId> {
        Some(self.number).filter(|number| *number != NONE)
    }

    /// Power has said that it holds it.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// Whether it has to be written down that power holds it; once.
    pub fn take_held(&mut self) -> bool {
        self.held && !std::mem::replace(&mut self.recorded, true)
    }

    /// Power goes away.
    pub fn power_went(&mut self) {
        self.held_before = self.held;
    }

    /// What power shows; `was_away` until now.
    pub fn look(&mut self, now: Moment, power: &PowerConnectorState, was_away: bool) -> Shows {
        if was_away {
            self.call_at = self.call_at.min(now.boottime);
        }
        if self.number == NONE {
            Shows::Nothing
        } else if power.delivery == self.number {
            (self.held, self.shown) = (true, true);
            Shows::It
        } else if power.ended_delivery == self.number {
            self.shown = true;
            Shows::Ended(power.stop_cause)
        } else if was_away && self.held_before {
            self.shown = true;
            Shows::Lost
        } else {
            Shows::Nothing
        }
    }

    /// Power answered. True when it has denied the delivery for so long that nothing else will be shown.
    pub fn answered(&mut self, now: Moment, answer: &DeliveryAnswer, lease: Duration) -> bool {
        self.asking = false;
        let (again, is_denied) = match answer {
            DeliveryAnswer::Held => {
                (self.held, self.denied_until) = (true, None);
                (lease / 3, false)
            }
            DeliveryAnswer::Unreachable => (RETRY, false),
            DeliveryAnswer::NotReady(_) => (RETRY, true),
            // A renewal in the middle of a stop, a start after the cable was pulled out: power shows in a moment which.
            DeliveryAnswer::Over(_) => (DENIED, true),
        };
        self.call_at = now.boottime.after(again);
        is_denied && *self.denied_until.get_or_insert(now.boottime.after(PATIENCE)) <= now.boottime
    }

    /// What power is to be asked now. It is not asked while it is away: it would only fail, and what it shows when it is
    /// back may be the end.
    pub fn call(&mut self, now: Moment, power_is_there: bool) -> Option<Call> {
        if self.asking || self.number == NONE || !power_is_there || now.boottime < self.call_at {
            return None;
        }
        self.asking = true;
        Some(if self.held { Call::Renew } else { Call::Start })
    }

    /// The vehicle is unplugged, and power has neither taken the delivery nor is being asked.
    pub fn came_too_late(&self) -> bool {
        self.number != NONE && !self.held && !self.asking
    }

    /// Whether it is over: there is none, or power does not show it any more. A start that is on its way, or that power
    /// has taken and not shown yet, is not over because power does not show it.
    pub fn is_over(&self, power: Option<&PowerConnectorState>) -> bool {
        let is_whole = self.shown || !(self.held || self.asking);
        self.number == NONE || power.is_some_and(|power| is_whole && power.delivery != self.number)
    }

    /// When `call` has something to ask, while power is there.
    pub fn next_wake(&self) -> Option<BoottimeMillis> {
        (!self.asking && self.number != NONE).then_some(self.call_at)
    }
}
