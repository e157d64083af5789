//! Events that the CSMS has refused for good and that a person wants sent again: before what is newer, in the order of
//! the journal; while one waits for its next attempt, newer events go on. What is refused again goes back among the undelivered, and with a start the rest of its transaction.

use crate::attempts::Attempts;
use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::words::EventKind;
use busbar_interfaces::{BoottimeMillis, TransactionId};
use std::collections::VecDeque;
use std::time::Duration;

/// `session` is asked again for an event after this time.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// An event of the ledger's table of undelivered ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// Its number there.
    pub number: u64,
    /// Its number in the journal.
    pub sequence: u64,
    pub transaction: TransactionId,
    pub kind: EventKind,
    /// How often a person has wanted it sent again.
    pub round: u32,
}

/// What is to be sent again.
#[derive(Default)]
pub struct Resend {
    queue: VecDeque<Undelivered>,
    event: Option<TransactionEvent>,
    fetching: bool,
    fetch_not_before: BoottimeMillis,
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
        waiting.sort_by_key(|event| event.sequence);
        waiting.dedup_by_key(|event| event.number);
        waiting.retain(|event| tried.as_ref().is_none_or(|tried| tried.number != event.number));
        self.queue = tried.into_iter().chain(waiting).collect();
        let first = self.queue.front().map(|event| event.sequence);
        self.event = self.event.take().filter(|event| Some(event.sequence) == first);
    }

    /// The event that is next.
    pub fn first(&self) -> Option<&Undelivered> {
        self.queue.front()
    }

    /// Its content, once it was read.
    pub fn event(&self) -> Option<&TransactionEvent> {
        self.event.as_ref()
    }

    /// The number in the journal of the event to read now, if one is.
    pub fn fetch(&mut self, now: BoottimeMillis) -> Option<u64> {
        let first = self.queue.front()?;
        if self.event.is_some() || self.fetching || self.fetch_not_before > now {
            return None;
        }
        self.fetching = true;
        Some(first.sequence)
    }

    /// What reading brought: nothing when `session` did not answer, no event when the journal no longer has it. Tells
    /// of one that is gone for good.
    pub fn fetched(
        &mut self,
        now: BoottimeMillis,
        sequence: u64,
        event: Option<Option<TransactionEvent>>,
    ) -> Option<Undelivered> {
        self.fetching = false;
        let asked = self.queue.front().is_some_and(|first| first.sequence == sequence);
        match event {
            Some(Some(event)) if asked && event.sequence == sequence => self.event = Some(event),
            Some(_) if asked => return self.done(),
            _ => self.fetch_not_before = now.after(ASK_AGAIN),
        }
        None
    }

    /// The first is over, one way or the other.
    pub fn done(&mut self) -> Option<Undelivered> {
        self.event = None;
        self.attempts = Attempts::default();
        self.queue.pop_front()
    }

    /// The rest of a transaction is not sent again.
    pub fn give_up(&mut self, transaction: TransactionId) -> Vec<Undelivered> {
        let (gone, stay) =
            std::mem::take(&mut self.queue).into_iter().partition(|event| event.transaction == transaction);
        self.queue = stay;
        gone.into()
    }

    /// When something of this is due.
    pub fn next_due(&self) -> Option<BoottimeMillis> {
        self.queue.front()?;
        if self.event.is_some() {
            Some(self.attempts.due())
        } else if self.fetching {
            None
        } else {
            Some(self.fetch_not_before)
        }
    }
}
