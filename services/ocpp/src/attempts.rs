//! What was tried with one message of the transaction journal, and when it may be tried again.
//!
//! Silence is no verdict: a message that was not answered, or whose link was lost, is sent again for as long as it
//! takes. Only a CALLERROR, or a confirmation that lacks what it must say, is an attempt (OCPP 1.6, 3.7.1); the wait
//! after it counts from that attempt, not from the day that the message was made.

use crate::configuration::Configuration;
use crate::messages::Told;
use busbar_interfaces::BoottimeMillis;
use std::time::Duration;

/// A message that was not answered is sent again after this wait, which doubles with each silence up to the most.
const SILENCE_FIRST: Duration = Duration::from_secs(5);
const SILENCE_MOST: Duration = Duration::from_secs(300);

/// The message at the head of a queue, and what became of it so far.
#[derive(Default)]
pub struct Attempts {
    refusals: u64,
    /// After a refusal.
    not_before: BoottimeMillis,
    /// Times that no answer came, on this link.
    silences: u32,
    /// After a silence.
    silent_until: BoottimeMillis,
    /// The same at every attempt.
    pub message: Option<Told>,
}

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is sent again.
    Again { refusals: u64 },
    /// It was the last attempt.
    GivenUp { refusals: u64 },
    /// It is the answer to a copy that was sent before the last refusal: a backend that comes back and refuses all
    /// copies at once has refused once.
    Before,
}

impl Attempts {
    /// When it may be sent.
    pub fn due(&self) -> BoottimeMillis {
        self.not_before.max(self.silent_until)
    }

    /// The CSMS was silent and has not answered since.
    pub fn was_silent(&self) -> bool {
        self.silences > 0
    }

    /// No answer came in time: later each time. Tells whether it is the first time.
    pub fn unanswered(&mut self, now: BoottimeMillis) -> bool {
        let first = self.silences == 0;
        let doubled = SILENCE_FIRST.saturating_mul(1u32.checked_shl(self.silences).unwrap_or(u32::MAX));
        self.silences = self.silences.saturating_add(1).min(31);
        self.silent_until = now.after(doubled.min(SILENCE_MOST));
        first
    }

    /// The link is gone: over the next one it need not wait for a silence to end.
    pub fn link_lost(&mut self) {
        self.silences = 0;
        self.silent_until = BoottimeMillis(0);
    }

    /// The CSMS has refused it.
    pub fn refused(&mut self, now: BoottimeMillis, keys: &Configuration) -> Refused {
        if self.not_before > now {
            return Refused::Before;
        }
        self.link_lost();
        self.refusals = self.refusals.saturating_add(1);
        let refusals = self.refusals;
        if refusals >= keys.number("TransactionMessageAttempts", 2) {
            return Refused::GivenUp { refusals };
        }
        let interval = keys.seconds("TransactionMessageRetryInterval", 10);
        self.not_before = now.after(interval.saturating_mul(u32::try_from(refusals).unwrap_or(u32::MAX)));
        Refused::Again { refusals }
    }
}
