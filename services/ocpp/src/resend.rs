//! Events that the CSMS has refused for good and that a person wants sent again: before what is newer, in the order of
//! the journal; while one waits for its next attempt, newer events go on. What is refused again goes back among the
//! undelivered, and with a start the rest of its transaction.

use crate::attempts::Attempts;
use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::{BoottimeMillis, TransactionId};
use std::collections::VecDeque;

/// An event of the ledger's table of undelivered ones. It is kept there whole: the journal forgets what was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// Its number there.
    pub number: u64,
    /// How often a person has wanted it sent again.
    pub round: u32,
    pub event: TransactionEvent,
}

/// What is to be sent again.
#[derive(Default)]
pub struct Resend {
    queue: VecDeque<Undelivered>,
    pub attempts: Attempts,
}

impl Resend {
    /// With what was to be sent again when the process ended.
    pub fn new(queue: Vec<Undelivered>) -> Resend {
        Resend { queue: queue.into(), ..Resend::default() }
    }

    /// A person wants these sent again.
    pub fn add(&mut self, events: Vec<Undelivered>) {
        // The one that is being tried stays first: it may be on the wire.
        let tried = if self.attempts.message.is_some() { self.queue.pop_front() } else { None };
        let mut waiting: Vec<Undelivered> = self.queue.drain(..).chain(events).collect();
        waiting.sort_by_key(|undelivered| undelivered.event.sequence);
        self.queue = tried.into_iter().chain(waiting).collect();
    }

    /// The event that is next.
    pub fn first(&self) -> Option<&Undelivered> {
        self.queue.front()
    }

    /// Something of a transaction is to be sent again: what is newer of it must wait for that.
    pub fn holds(&self, transaction: TransactionId) -> bool {
        self.queue.iter().any(|undelivered| undelivered.event.transaction == transaction)
    }

    /// The first is over, one way or the other.
    pub fn done(&mut self) -> Option<Undelivered> {
        self.attempts = Attempts::default();
        self.queue.pop_front()
    }

    /// The rest of a transaction is not sent again.
    pub fn give_up(&mut self, transaction: TransactionId) -> Vec<Undelivered> {
        let queue = std::mem::take(&mut self.queue);
        let (gone, stay) = queue.into_iter().partition(|undelivered| undelivered.event.transaction == transaction);
        self.queue = stay;
        gone.into()
    }

    /// When the first may be sent.
    pub fn next_due(&self) -> Option<BoottimeMillis> {
        self.queue.front().map(|_| self.attempts.due())
    }
}
