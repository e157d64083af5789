//! The delivery of the transaction journal: in order, one message at a time, each with an id that stays the same over
//! retries, links and processes. The cursor moves when the CSMS has confirmed, and the next message goes out when that
//! is on disk: a crash repeats at most the one message that was confirmed last.
//!
//! Silence is no verdict. After a lost link, or when no answer comes in time, the same message is sent again, for as
//! long as it takes. Only a CALLERROR and a confirmation that lacks what it must say count as attempts (OCPP 1.6,
//! 3.7.1), and after the last one the journal goes on without that message. There is no placeholder for a
//! `transactionId`: a start that was refused takes the samples and the stop of its transaction with it. Each message
//! that is left out is noted in the ledger as undelivered, where a person can find it, and a start and a stop are
//! logged as an error.

use crate::configuration::Configuration;
use crate::ledger::{Change, Note, Open};
use crate::messages;
use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::words::{AuthorizationStatus, EventKind};
use busbar_interfaces::{BoottimeMillis, TransactionId};
use busbar_runtime::Moment;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// A message that was not answered is sent again after this wait, which doubles with each silence up to the most.
const SILENCE_FIRST: Duration = Duration::from_secs(5);
const SILENCE_MOST: Duration = Duration::from_secs(300);
/// Why the rest of a transaction is left out whose start the CSMS has refused.
const NO_START: &str = "the CSMS has refused the start of its transaction";
/// A peer that did not answer is asked again after this time.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// Ids have room for this many bits of the epoch.
const EPOCH_BITS: u64 = (1 << 48) - 1;

/// What the ledger knew at the start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stored {
    /// Names this ledger's run through a journal, in message ids.
    pub epoch: u64,
    /// The last confirmed event.
    pub cursor: u64,
    /// Transactions whose start is confirmed or given up, and whose stop is not.
    pub open: BTreeMap<TransactionId, Open>,
    /// Transactions that must still be stopped because the CSMS does not accept the badge.
    pub deauthorize: Vec<TransactionId>,
}

/// A message to send.
pub struct Message {
    pub id: String,
    pub action: &'static str,
    pub payload: Value,
}

/// The event at the head of the queue, and what was tried with it.
#[derive(Default)]
struct Head {
    /// Refusals.
    attempts: u64,
    /// After a refusal.
    not_before: BoottimeMillis,
    /// Times that no answer came, on this link.
    silences: u32,
    /// After a silence.
    silent_until: BoottimeMillis,
    /// The same at every attempt.
    message: Option<(&'static str, Value)>,
}

impl Head {
    fn due(&self) -> BoottimeMillis {
        self.not_before.max(self.silent_until)
    }
}

/// What the CSMS is told of an event.
enum Telling {
    Message(&'static str, Value),
    /// It has nothing to tell.
    Nothing,
    /// The CSMS has no number for its transaction.
    Unnumbered,
}

struct Deauthorize {
    /// After this note is on disk.
    after_note: u64,
    not_before: BoottimeMillis,
    asking: bool,
}

/// The delivery of the journal.
pub struct Delivery {
    page: u32,
    epoch: u64,
    cursor: u64,
    /// What `session` says is its last event; nothing while it is away.
    last_event: Option<u64>,
    queue: VecDeque<TransactionEvent>,
    fetching: bool,
    fetch_not_before: BoottimeMillis,
    head: Head,
    open: BTreeMap<TransactionId, Open>,
    deauthorize: BTreeMap<TransactionId, Deauthorize>,
    /// Notes for the ledger that were handed out and are not taken yet.
    notes: Vec<(u64, Note)>,
    last_note: u64,
    kept_note: u64,
    /// Nothing is sent until this note is on disk.
    barrier: u64,
    /// Cursor positions by note, until the note is on disk.
    unwritten: VecDeque<(u64, u64)>,
    kept_cursor: u64,
}

impl Delivery {
    /// With what the ledger knew.
    pub fn new(stored: Stored, page: u32) -> Delivery {
        let pending = stored.deauthorize.into_iter();
        let at_once =
            |transaction| (transaction, Deauthorize { after_note: 0, not_before: BoottimeMillis(0), asking: false });
        Delivery {
            page,
            epoch: stored.epoch & EPOCH_BITS,
            cursor: stored.cursor,
            last_event: None,
            queue: VecDeque::new(),
            fetching: false,
            fetch_not_before: BoottimeMillis(0),
            head: Head::default(),
            open: stored.open,
            deauthorize: pending.map(at_once).collect(),
            notes: Vec::new(),
            last_note: 0,
            kept_note: 0,
            barrier: 0,
            unwritten: VecDeque::new(),
            kept_cursor: stored.cursor,
        }
    }

    /// The last confirmed event that is on disk.
    pub fn kept_cursor(&self) -> u64 {
        self.kept_cursor
    }

    /// Nothing is left to deliver, as far as is known.
    pub fn is_done(&self) -> bool {
        self.queue.is_empty() && self.last_event.is_none_or(|last| last <= self.cursor)
    }

    /// The local transaction with a number of the CSMS; the newest, should it give a number twice.
    pub fn local(&self, central: i32) -> Option<TransactionId> {
        self.open.iter().rev().find(|(_, open)| open.central == Some(central)).map(|(local, _)| *local)
    }

    /// The journal of `session` as it is followed; nothing while it is away.
    ///
    /// A journal that ends before the cursor is another one: the old one was damaged and set aside. It is delivered
    /// from its beginning, under new ids. This is looked at when the peer appears: while it is there, an event can be
    /// fetched and confirmed before the news of it comes.
    pub fn journal(&mut self, now: Moment, last_event: Option<u64>) {
        let appeared = self.last_event.is_none();
        let went_back = matches!((self.last_event, last_event), (Some(before), Some(last)) if last < before);
        self.last_event = last_event;
        self.fetch_not_before = BoottimeMillis(0);
        for ask in self.deauthorize.values_mut() {
            ask.not_before = BoottimeMillis(0);
        }
        if let Some(last) = last_event
            && last < self.cursor
            && (appeared || went_back)
        {
            tracing::error!(
                confirmed = self.cursor,
                last_event = last,
                "the transaction journal is another one: it ends before the last confirmed event, and is delivered anew"
            );
            self.start_anew(now);
        }
    }

    fn start_anew(&mut self, now: Moment) {
        self.epoch = (self.epoch ^ now.unix.0.rotate_left(7)).wrapping_add(1) & EPOCH_BITS;
        self.cursor = 0;
        self.queue.clear();
        self.head = Head::default();
        self.open.clear();
        self.deauthorize.clear();
        let note = self.note(Note::NewJournal { epoch: self.epoch });
        self.unwritten.push_back((note, 0));
        self.barrier = note;
    }

    /// The page to fetch now, if one is due: (cursor, most events).
    pub fn fetch(&mut self, now: BoottimeMillis) -> Option<(u64, u32)> {
        let fetched = self.queue.back().map_or(self.cursor, |event| event.sequence);
        let few = self.queue.len() <= usize::try_from(self.page / 2).unwrap_or(0);
        let more = self.last_event.is_some_and(|last| last > fetched);
        if self.fetching || !few || !more || self.fetch_not_before > now {
            return None;
        }
        self.fetching = true;
        Some((fetched, self.page))
    }

    /// What the fetch brought; nothing when it failed.
    pub fn fetched(&mut self, now: BoottimeMillis, after: u64, events: Option<Vec<TransactionEvent>>) {
        self.fetching = false;
        let expected = self.queue.back().map_or(self.cursor, |event| event.sequence);
        match events {
            Some(events) if after == expected && !events.is_empty() => {
                for event in events {
                    if event.sequence > self.queue.back().map_or(self.cursor, |last| last.sequence) {
                        self.queue.push_back(event);
                    }
                }
            }
            // The cursor has been moved to another journal meanwhile, or there is nothing yet, or the peer is away.
            _ => self.fetch_not_before = now.after(ASK_AGAIN),
        }
    }

    /// The message to send now, if one is due. What needs no message is passed over.
    pub fn next(&mut self, now: Moment, keys: &Configuration) -> Option<Message> {
        loop {
            if self.barrier > self.kept_note || self.head.due() > now.boottime {
                return None;
            }
            let event = self.queue.front()?;
            if self.head.message.is_none() {
                match self.compose(event, keys) {
                    Telling::Message(action, payload) => self.head.message = Some((action, payload)),
                    Telling::Nothing => {
                        tracing::debug!(sequence = event.sequence, kind = %event.kind, "an event has nothing to tell");
                        self.confirm(Change::None, None, now);
                        continue;
                    }
                    Telling::Unnumbered => {
                        let change = match event.kind {
                            EventKind::Stopped => {
                                tracing::error!(
                                    sequence = event.sequence,
                                    transaction = event.transaction.0,
                                    reason = NO_START,
                                    "a stop is not delivered; the journal goes on without it"
                                );
                                Change::Closed { local: event.transaction }
                            }
                            _ => Change::None,
                        };
                        self.confirm(change, Some(NO_START.to_owned()), now);
                        continue;
                    }
                }
            }
            let (action, payload) = self.head.message.clone()?;
            return Some(Message { id: self.message_id(event.sequence), action, payload });
        }
    }

    fn compose(&self, event: &TransactionEvent, keys: &Configuration) -> Telling {
        let central = self.open.get(&event.transaction).and_then(|open| open.central);
        match (event.kind, central) {
            (EventKind::Unknown, _) => Telling::Nothing,
            (EventKind::Started, _) => Telling::Message("StartTransaction", messages::start(event)),
            (EventKind::Sample | EventKind::Stopped, None) => Telling::Unnumbered,
            (EventKind::Sample, Some(central)) => {
                let with_voltage = keys.flag("EnableMeterValuesContainVoltage", false);
                let payload = messages::meter_values(event, central, &keys.measurands, with_voltage);
                payload.map_or(Telling::Nothing, |payload| Telling::Message("MeterValues", payload))
            }
            (EventKind::Stopped, Some(central)) => Telling::Message("StopTransaction", messages::stop(event, central)),
        }
    }

    /// An answer with this id is for the message at the head, which was sent before.
    pub fn is_head(&self, id: &str) -> bool {
        self.head.message.is_some() && self.queue.front().is_some_and(|event| self.message_id(event.sequence) == id)
    }

    fn message_id(&self, sequence: u64) -> String {
        format!("j-{:012x}-{sequence}", self.epoch)
    }

    /// The CSMS has taken the message at the head; an answer that lacks what it must say counts as a failed attempt.
    pub fn taken(&mut self, now: Moment, payload: &Value, keys: &Configuration) {
        let Some(event) = self.queue.front() else { return };
        let change = match event.kind {
            EventKind::Started => match messages::start_answer(payload) {
                Ok(central) => {
                    // Without a verdict in the answer there is none against the badge.
                    let verdict = messages::id_tag_info(payload).map(|info| info.status);
                    let refused = verdict.is_ok_and(|status| status != AuthorizationStatus::Accepted);
                    let deauthorize = refused && keys.flag("StopTransactionOnInvalidId", true);
                    Change::Opened { local: event.transaction, central: Some(central), deauthorize }
                }
                Err(fault) => return self.refused(now, &fault.to_string(), keys),
            },
            EventKind::Stopped => Change::Closed { local: event.transaction },
            EventKind::Sample | EventKind::Unknown => Change::None,
        };
        self.confirm(change, None, now);
    }

    /// No answer to the message at the head came in time: it is sent again, later each time.
    pub fn unanswered(&mut self, now: Moment) {
        let Some(event) = self.queue.front() else { return };
        let doubled = SILENCE_FIRST.saturating_mul(1u32.checked_shl(self.head.silences).unwrap_or(u32::MAX));
        let wait = doubled.min(SILENCE_MOST);
        if self.head.silences == 0 {
            tracing::warn!(sequence = event.sequence, kind = %event.kind, "the CSMS does not answer to an event; it is sent again");
        }
        self.head.silences = self.head.silences.saturating_add(1).min(31);
        self.head.silent_until = now.boottime.after(wait);
    }

    /// The link is gone: over the next one the message at the head need not wait for a silence to end.
    pub fn link_lost(&mut self) {
        self.head.silences = 0;
        self.head.silent_until = BoottimeMillis(0);
    }

    /// The CSMS has refused the message at the head. Refusals that come while it waits because of one are answers to
    /// copies that were sent before: a backend that comes back and refuses them all at once has refused it once.
    pub fn refused(&mut self, now: Moment, reason: &str, keys: &Configuration) {
        let Some(event) = self.queue.front() else { return };
        if self.head.not_before > now.boottime {
            return;
        }
        self.head.silences = 0;
        self.head.silent_until = BoottimeMillis(0);
        self.head.attempts = self.head.attempts.saturating_add(1);
        let attempts = self.head.attempts;
        if attempts < keys.number("TransactionMessageAttempts", 2) {
            let interval = keys.seconds("TransactionMessageRetryInterval", 10);
            let factor = u32::try_from(attempts).unwrap_or(u32::MAX);
            self.head.not_before = now.boottime.after(interval.saturating_mul(factor));
            tracing::warn!(sequence = event.sequence, kind = %event.kind, attempts, reason, "the CSMS has refused an event");
            return;
        }
        tracing::error!(
            sequence = event.sequence,
            kind = %event.kind,
            transaction = event.transaction.0,
            attempts,
            reason,
            "the CSMS refuses an event; the journal goes on without it"
        );
        let change = match event.kind {
            EventKind::Started => Change::Opened { local: event.transaction, central: None, deauthorize: false },
            EventKind::Stopped => Change::Closed { local: event.transaction },
            EventKind::Sample | EventKind::Unknown => Change::None,
        };
        self.confirm(change, Some(reason.to_owned()), now);
    }

    /// Moves the cursor over the head and notes it for the ledger, in one note with what became of the transaction.
    fn confirm(&mut self, change: Change, undelivered: Option<String>, now: Moment) {
        let Some(event) = self.queue.pop_front() else { return };
        let head = std::mem::take(&mut self.head);
        self.cursor = event.sequence;
        let note = self.note(Note::Confirmed {
            sequence: event.sequence,
            transaction: event.transaction,
            kind: event.kind,
            change: change.clone(),
            undelivered,
            at: now.unix,
        });
        self.unwritten.push_back((note, event.sequence));
        if head.silences > 0 {
            tracing::info!(sequence = event.sequence, "the CSMS answers to events again");
        }
        // What was never sent cannot come twice; after a crash it is passed over again.
        if head.message.is_some() {
            self.barrier = note;
        }
        match change {
            Change::None => {}
            Change::Opened { local, central, deauthorize } => {
                self.open.insert(local, Open { central });
                if deauthorize {
                    let ask = Deauthorize { after_note: note, not_before: BoottimeMillis(0), asking: false };
                    self.deauthorize.insert(local, ask);
                }
            }
            Change::Closed { local } => drop(self.open.remove(&local)),
        }
    }

    fn note(&mut self, note: Note) -> u64 {
        self.last_note = self.last_note.saturating_add(1);
        self.notes.push((self.last_note, note));
        self.last_note
    }

    /// Notes for the ledger, in order.
    pub fn take_notes(&mut self) -> Vec<(u64, Note)> {
        std::mem::take(&mut self.notes)
    }

    /// The ledger has everything up to this note on disk.
    pub fn kept(&mut self, note: u64) {
        self.kept_note = self.kept_note.max(note);
        while let Some((_, cursor)) = self.unwritten.front().filter(|(written, _)| *written <= note) {
            self.kept_cursor = *cursor;
            self.unwritten.pop_front();
        }
    }

    /// The transaction that `session` must be asked to stop now, if there is one.
    pub fn deauthorize(&mut self, now: BoottimeMillis) -> Option<TransactionId> {
        self.last_event?;
        let due = |ask: &Deauthorize| !ask.asking && ask.after_note <= self.kept_note && ask.not_before <= now;
        let (transaction, ask) = self.deauthorize.iter_mut().find(|(_, ask)| due(ask))?;
        ask.asking = true;
        Some(*transaction)
    }

    /// `session` has answered, or not.
    pub fn deauthorized(&mut self, now: BoottimeMillis, transaction: TransactionId, settled: bool) {
        if settled {
            if self.deauthorize.remove(&transaction).is_some() {
                self.note(Note::Deauthorized { transaction });
            }
        } else if let Some(ask) = self.deauthorize.get_mut(&transaction) {
            ask.asking = false;
            ask.not_before = now.after(ASK_AGAIN);
        }
    }

    /// When something of this is due: `link` tells that messages can be sent.
    pub fn next_due(&self, link: bool) -> Option<BoottimeMillis> {
        let head = self.queue.front().map(|_| self.head.due());
        let fetch = self.last_event.filter(|last| *last > self.cursor && !self.fetching).map(|_| self.fetch_not_before);
        let asks = self.deauthorize.values().filter(|ask| !ask.asking).map(|ask| ask.not_before);
        let asks = self.last_event.and(asks.min());
        let speaking = head.into_iter().chain(fetch).filter(|moment| link && moment.0 > 0).min();
        speaking.into_iter().chain(asks.filter(|moment| moment.0 > 0)).min()
    }
}

#[cfg(test)]
pub mod examples {
    use super::*;
    use busbar_interfaces::words::StopReason;
    use busbar_interfaces::{ConnectorId, Milliamperes, Millivolts, MilliwattHours, Percent, UnixMillis, Watts};

    pub fn started(sequence: u64, transaction: u64) -> TransactionEvent {
        TransactionEvent {
            sequence,
            transaction: TransactionId(transaction),
            connector: ConnectorId(1),
            kind: EventKind::Started,
            unix_millis: UnixMillis(1_709_294_400_250),
            energy_milliwatt_hours: MilliwattHours(12_345_678),
            watts: Watts(0),
            millivolts: Millivolts(0),
            milliamperes: Milliamperes(0),
            offered_watts: Watts(0),
            state_of_charge_percent: Percent::UNKNOWN,
            id_tag: "BADGE".to_owned(),
            reason: StopReason::None,
        }
    }

    pub fn sample(sequence: u64, transaction: u64) -> TransactionEvent {
        TransactionEvent {
            kind: EventKind::Sample,
            watts: Watts(50_150),
            millivolts: Millivolts(401_250),
            milliamperes: Milliamperes(125_500),
            offered_watts: Watts(60_000),
            state_of_charge_percent: Percent(57),
            id_tag: String::new(),
            ..started(sequence, transaction)
        }
    }

    pub fn stopped(sequence: u64, transaction: u64) -> TransactionEvent {
        TransactionEvent {
            kind: EventKind::Stopped,
            id_tag: String::new(),
            reason: StopReason::Local,
            ..started(sequence, transaction)
        }
    }
}
