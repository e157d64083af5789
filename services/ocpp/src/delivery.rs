//! The delivery of the transaction journal: in order, one message at a time, each with an id that stays the same over
//! retries, links and processes. The cursor moves when the CSMS has confirmed. After the confirmation of a start or a
//! stop the next message goes out when that is on disk; samples may run ahead of the disk a little: a crash repeats the
//! last start or stop at most, and a few samples, under the same ids.
//!
//! There is no placeholder for a `transactionId`: it is resolved when a message is composed, and a start that was
//! refused takes the samples and the stop of its transaction with it. Each message that is left out is noted in the
//! ledger as undelivered, where a person finds it and can have it sent again; a start and a stop are logged as an error.

use crate::attempts::{self, Attempts};
use crate::configuration::Configuration;
use crate::learning::Learned;
use crate::ledger::{Change, Note, Open, Refused};
use crate::messages::{self, Told};
use crate::resend::{Resend, Undelivered};
use crate::wall::Wall;
use busbar_interfaces::session::{SessionState, TransactionEvent};
use busbar_interfaces::words::EventKind;
use busbar_interfaces::{BoottimeMillis, TransactionId, UnixMillis};
use busbar_ocpp16::Hidden;
use busbar_ocpp16::confirmation::{AuthorizationStatus, IdTagInfo, StartTransaction, StopTransaction};
use busbar_runtime::Moment;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Why the rest of a transaction is left out whose start the CSMS has refused.
const NO_START: &str = "the CSMS has refused the start of its transaction";
/// A peer that did not answer is asked again after this time.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// Confirmed samples that may wait for the disk while the next message is sent.
const SAMPLES_AHEAD: usize = 64;

/// What the ledger knew at the start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stored {
    /// The journal that the cursor is a place in; 0 when none was read yet.
    pub journal: u64,
    /// The last confirmed event.
    pub cursor: u64,
    /// Transactions whose start is confirmed or given up, and whose stop is not; and those of `resend`.
    pub open: BTreeMap<TransactionId, Open>,
    /// Transactions whose badge the CSMS does not accept, which `session` has still to be told.
    pub deauthorize: Vec<TransactionId>,
    /// Undelivered events that are to be sent again.
    pub resend: Vec<Undelivered>,
    /// Earlier runs of the machine whose clock was wrong: 1970 to their start.
    pub boots: BTreeMap<String, u64>,
}

/// A message to send.
pub struct Message {
    pub id: String,
    pub action: &'static str,
    pub payload: Value,
}

/// What the CSMS is told of an event.
enum Telling {
    Message(Told),
    /// It has nothing to tell.
    Nothing,
    /// The CSMS has no number for its transaction.
    Unnumbered,
}

/// What the answer to a message says.
enum Taken {
    Yes(Change, Option<Learned>),
    /// It lacks what it must say.
    No(String),
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
    journal: u64,
    cursor: u64,
    /// What `session` says is its last event; nothing while it is away.
    last_event: Option<u64>,
    queue: VecDeque<TransactionEvent>,
    fetching: bool,
    fetch_not_before: BoottimeMillis,
    head: Attempts,
    resend: Resend,
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
            journal: stored.journal,
            cursor: stored.cursor,
            last_event: None,
            queue: VecDeque::new(),
            fetching: false,
            fetch_not_before: BoottimeMillis(0),
            head: Attempts::default(),
            resend: Resend::new(stored.resend),
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

    /// Events that are not confirmed, and when the oldest that was read happened.
    pub fn waiting(&self) -> (u64, UnixMillis) {
        let oldest = self.queue.front().map_or(UnixMillis(0), |event| event.unix_millis);
        (self.last_event.unwrap_or(self.cursor).saturating_sub(self.cursor), oldest)
    }

    /// The local transaction with a number of the CSMS; the newest, should it give a number twice.
    pub fn local(&self, central: i32) -> Option<TransactionId> {
        let number = |open: &Open| open.central.map(|central| central.number());
        self.open.iter().rev().find(|(_, open)| number(open) == Some(central)).map(|(local, _)| *local)
    }

    /// The CSMS's number of a transaction that runs, once it is known.
    pub fn central(&self, local: TransactionId) -> Option<busbar_ocpp16::CentralTransaction> {
        self.open.get(&local).and_then(|open| open.central)
    }

    /// The journal of `session` as it is followed; nothing while it is away.
    ///
    /// Another journal is there when the old one was damaged and set aside: it is delivered from its beginning. A
    /// ledger that was lost itself goes on after what `session` remembers as delivered.
    pub fn journal(&mut self, session: Option<&SessionState>) {
        let before = std::mem::replace(&mut self.last_event, session.map(|state| state.last_event));
        self.fetch_not_before = BoottimeMillis(0);
        for ask in self.deauthorize.values_mut() {
            ask.not_before = BoottimeMillis(0);
        }
        let Some(state) = session else { return };
        if self.journal == 0 && state.last_event < self.cursor {
            tracing::error!(confirmed = self.cursor, "the transaction journal is a new one; it is delivered anew");
            self.start_at(state.journal_id, state.delivered_event);
        } else if self.journal == 0 {
            // A new ledger, or one from before journals had names: what either side knows as delivered is.
            self.journal = state.journal_id;
            self.cursor = self.cursor.max(state.delivered_event);
            self.barrier = self.note(Note::NamedJournal { journal: self.journal, cursor: self.cursor });
            self.unwritten.push_back((self.barrier, self.cursor));
        } else if state.journal_id != self.journal {
            tracing::error!(confirmed = self.cursor, "the transaction journal is another one; it is delivered anew");
            self.start_at(state.journal_id, state.delivered_event);
        } else if state.last_event < self.cursor && before.is_none_or(|before| state.last_event < before) {
            // While `session` is there, an event can be fetched and confirmed before the news of it comes.
            tracing::error!(
                confirmed = self.cursor,
                last_event = state.last_event,
                "the transaction journal has lost events that the CSMS has confirmed: an old copy of it was put back"
            );
            // What is known of its transactions still holds: a number that is given again begins with its own start.
            self.move_to(state.last_event);
        } else if state.delivered_event > self.cursor {
            // What is confirmed is on disk here before `session` hears of it.
            tracing::error!(
                confirmed = self.cursor,
                delivered_event = state.delivered_event,
                "this service's own ledger is an old copy: the journal is delivered on from what session remembers"
            );
            self.move_to(state.delivered_event);
        }
    }

    /// Goes on after another event of the same journal.
    fn move_to(&mut self, cursor: u64) {
        self.cursor = cursor;
        self.queue.clear();
        self.head = Attempts::default();
        self.barrier = self.note(Note::NamedJournal { journal: self.journal, cursor });
        self.unwritten.push_back((self.barrier, cursor));
    }

    fn start_at(&mut self, journal: u64, cursor: u64) {
        self.journal = journal;
        self.cursor = cursor;
        self.queue.clear();
        self.head = Attempts::default();
        self.resend = Resend::default();
        self.open.clear();
        self.deauthorize.clear();
        let note = self.note(Note::NewJournal { journal, cursor });
        self.unwritten.push_back((note, cursor));
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

    /// A person wants undelivered events of a transaction sent again, of which the CSMS's number may be known.
    pub fn send_again(&mut self, transaction: TransactionId, open: Option<Open>, events: Vec<Undelivered>) {
        if let Some(open) = open {
            self.open.entry(transaction).or_insert(open);
        }
        self.resend.add(events);
    }

    /// The message to send now, if one is due. What needs no message is passed over.
    pub fn next(&mut self, now: Moment, keys: &Configuration, wall: &Wall) -> Option<Message> {
        if self.barrier > self.kept_note || self.unwritten.len() > SAMPLES_AHEAD {
            return None;
        }
        self.next_again(now, keys, wall).or_else(|| self.next_new(now, keys, wall))
    }

    fn next_new(&mut self, now: Moment, keys: &Configuration, wall: &Wall) -> Option<Message> {
        loop {
            if self.head.due() > now.boottime {
                return None;
            }
            let event = self.queue.front()?;
            if self.head.message.is_none() {
                match self.compose(event, now, keys, wall) {
                    Telling::Message(message) => self.head.message = Some(message),
                    Telling::Nothing => {
                        tracing::debug!(sequence = event.sequence, kind = %event.kind, "an event has nothing to tell");
                        self.confirm(Change::None, None, now);
                        continue;
                    }
                    // Its start is being sent again: the number may come yet.
                    Telling::Unnumbered if self.resend.holds(event.transaction) => return None,
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

    fn next_again(&mut self, now: Moment, keys: &Configuration, wall: &Wall) -> Option<Message> {
        while self.resend.attempts.due() <= now.boottime {
            let event = &self.resend.first()?.event;
            if self.resend.attempts.message.is_none() {
                match self.compose(event, now, keys, wall) {
                    Telling::Message(message) => self.resend.attempts.message = Some(message),
                    Telling::Nothing => {
                        self.done_again(Change::None);
                        continue;
                    }
                    Telling::Unnumbered => {
                        self.give_up_again(NO_START);
                        continue;
                    }
                }
            }
            let id = self.resend_id()?;
            let (action, payload) = self.resend.attempts.message.clone()?;
            return Some(Message { id, action, payload });
        }
        None
    }

    fn compose(&self, event: &TransactionEvent, now: Moment, keys: &Configuration, wall: &Wall) -> Telling {
        let central = self.central(event.transaction);
        let at = wall.of_event(now, event);
        match (event.kind, central) {
            (EventKind::Unknown, _) => Telling::Nothing,
            (EventKind::Started, _) => Telling::Message(messages::start(event, at)),
            (EventKind::Sample | EventKind::Stopped, None) => Telling::Unnumbered,
            (EventKind::Sample, Some(central)) => {
                messages::meter_values(event, at, Some(central), keys).map_or(Telling::Nothing, Telling::Message)
            }
            (EventKind::Stopped, Some(central)) => Telling::Message(messages::stop(event, at, central)),
        }
    }

    /// An answer with this id is for a message that was sent before.
    pub fn knows(&self, id: &str) -> bool {
        self.is_head(id) || self.is_resend(id)
    }

    fn is_head(&self, id: &str) -> bool {
        self.head.message.is_some() && self.queue.front().is_some_and(|event| self.message_id(event.sequence) == id)
    }

    fn is_resend(&self, id: &str) -> bool {
        self.resend.attempts.message.is_some() && self.resend_id().as_deref() == Some(id)
    }

    fn message_id(&self, sequence: u64) -> String {
        format!("j-{:x}-{sequence}", self.journal)
    }

    /// Another id than before: a CSMS that knows repeats by their ids would answer with the old refusal.
    fn resend_id(&self) -> Option<String> {
        let first = self.resend.first()?;
        Some(format!("r-{:x}-{}-{}", self.journal, first.number, first.round))
    }

    /// The CSMS has taken a message; an answer that lacks what it must say counts as a failed attempt. Tells what it says
    /// of the badge, if it says something.
    pub fn taken(&mut self, now: Moment, id: &str, payload: &Value, keys: &Configuration) -> Option<Learned> {
        let again = self.is_resend(id);
        let event = if again { self.resend.first().map(|first| &first.event) } else { self.queue.front() };
        match outcome(event?, payload) {
            Taken::No(reason) => {
                self.refused(now, id, &reason, keys);
                None
            }
            Taken::Yes(change, learned) => {
                if again {
                    self.done_again(change);
                } else {
                    self.confirm(change, None, now);
                }
                learned
            }
        }
    }

    /// No answer to a message came in time: it is sent again, later each time.
    pub fn unanswered(&mut self, now: Moment, id: &str) {
        if self.is_resend(id) {
            self.resend.attempts.unanswered(now.boottime);
        } else if let Some(event) = self.queue.front().filter(|_| self.is_head(id))
            && self.head.unanswered(now.boottime)
        {
            tracing::warn!(sequence = event.sequence, kind = %event.kind, "the CSMS does not answer to an event; it is sent again");
        }
    }

    /// The link is gone: over the next one a message need not wait for a silence to end.
    pub fn link_lost(&mut self) {
        self.head.link_lost();
        self.resend.attempts.link_lost();
    }

    /// The CSMS has refused a message.
    pub fn refused(&mut self, now: Moment, id: &str, reason: &str, keys: &Configuration) {
        if self.is_resend(id) {
            if let attempts::Refused::GivenUp { .. } = self.resend.attempts.refused(now.boottime, keys) {
                self.give_up_again(reason);
            }
            return;
        }
        let Some(event) = self.queue.front() else { return };
        match self.head.refused(now.boottime, keys) {
            attempts::Refused::Before => {}
            attempts::Refused::Again { refusals } => {
                tracing::warn!(sequence = event.sequence, kind = %event.kind, refusals, reason, "the CSMS has refused an event");
            }
            attempts::Refused::GivenUp { refusals } => {
                tracing::error!(
                    sequence = event.sequence,
                    kind = %event.kind,
                    transaction = event.transaction.0,
                    refusals,
                    reason,
                    "the CSMS refuses an event; the journal goes on without it"
                );
                let change = match event.kind {
                    EventKind::Started => {
                        Change::Opened { local: event.transaction, central: None, deauthorize: false }
                    }
                    EventKind::Stopped => Change::Closed { local: event.transaction },
                    EventKind::Sample | EventKind::Unknown => Change::None,
                };
                self.confirm(change, Some(reason.to_owned()), now);
            }
        }
    }

    /// Moves the cursor over the head and notes it for the ledger, in one note with what became of the transaction.
    fn confirm(&mut self, change: Change, undelivered: Option<String>, now: Moment) {
        let Some(event) = self.queue.pop_front() else { return };
        let head = std::mem::take(&mut self.head);
        self.cursor = event.sequence;
        let (sequence, is_sample) = (event.sequence, event.kind == EventKind::Sample);
        let undelivered = undelivered.map(|reason| Box::new(Refused { event, reason, at: now.unix }));
        let note = self.note(Note::Confirmed { sequence, change: change.clone(), undelivered });
        self.unwritten.push_back((note, sequence));
        if head.was_silent() {
            tracing::info!(sequence, "the CSMS answers to events again");
        }
        // What was never sent cannot come twice; after a crash it is passed over again.
        if head.message.is_some() && !is_sample {
            self.barrier = note;
        }
        self.change(change, note);
    }

    /// The event that was sent again is taken, or has nothing to tell.
    fn done_again(&mut self, change: Change) {
        let Some(done) = self.resend.done() else { return };
        let note = self.note(Note::Resent { number: done.number, change: change.clone() });
        self.barrier = note;
        self.change(change, note);
    }

    /// The event that was sent again stays undelivered, and with a start the rest of its transaction.
    fn give_up_again(&mut self, reason: &str) {
        let Some(first) = self.resend.done() else { return };
        let event = &first.event;
        tracing::error!(sequence = event.sequence, reason, "the CSMS refuses an event that was sent again");
        let rest = match event.kind {
            EventKind::Started => self.resend.give_up(event.transaction),
            _ => Vec::new(),
        };
        self.note(Note::ResendFailed { number: first.number, reason: reason.to_owned() });
        for event in rest {
            self.note(Note::ResendFailed { number: event.number, reason: NO_START.to_owned() });
        }
    }

    fn change(&mut self, change: Change, note: u64) {
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

    /// Hands a note to the ledger, after all others.
    pub fn note(&mut self, note: Note) -> u64 {
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

    /// The transaction that `session` must be told of now because the CSMS does not accept its badge, if there is one.
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
        let speaking = head.into_iter().chain(fetch).chain(self.resend.next_due());
        let speaking = speaking.filter(|moment| link && moment.0 > 0).min();
        speaking.into_iter().chain(asks.filter(|moment| moment.0 > 0)).min()
    }
}

/// What the CSMS's answer to the message of an event means.
fn outcome(event: &TransactionEvent, payload: &Value) -> Taken {
    match event.kind {
        EventKind::Started => match StartTransaction::read(payload) {
            Ok(answer) => {
                // Without a verdict in the answer there is none against the badge. What one against it means for the
                // charge is for `session` to say (StopTransactionOnInvalidId).
                let info = answer.id_tag_info.ok();
                let deauthorize = info.as_ref().is_some_and(|info| info.status != AuthorizationStatus::Accepted);
                let local = event.transaction;
                Taken::Yes(
                    Change::Opened { local, central: Some(answer.transaction), deauthorize },
                    learned(event, info),
                )
            }
            Err(fault) => Taken::No(fault.to_string()),
        },
        EventKind::Stopped => {
            let info = StopTransaction::read(payload).id_tag_info;
            Taken::Yes(Change::Closed { local: event.transaction }, learned(event, info))
        }
        EventKind::Sample | EventKind::Unknown => Taken::Yes(Change::None, None),
    }
}

/// The CSMS's word on the badge of an event; a stop need not have one.
fn learned(event: &TransactionEvent, info: Option<IdTagInfo>) -> Option<Learned> {
    let info = info.filter(|_| !event.id_tag.is_empty())?;
    Some(Learned { id_tag: Hidden::from(event.id_tag.as_str()), info })
}

#[cfg(test)]
pub mod examples {
    use super::*;
    use busbar_interfaces::words::{ReadingContext, StopReason};
    use busbar_interfaces::{ConnectorId, Milliamperes, Millivolts, MilliwattHours, Percent, Watts};

    pub fn started(sequence: u64, transaction: u64) -> TransactionEvent {
        TransactionEvent {
            sequence,
            transaction: TransactionId(transaction),
            connector: ConnectorId(1),
            kind: EventKind::Started,
            unix_millis: UnixMillis(1_793_534_400_250),
            boottime_millis: BoottimeMillis(0),
            boot: String::new(),
            context: ReadingContext::TransactionBegin,
            energy_milliwatt_hours: MilliwattHours(12_345_678),
            watts: Watts(0),
            millivolts: Millivolts(0),
            milliamperes: Milliamperes(0),
            offered_watts: Watts(0),
            state_of_charge_percent: Percent::UNKNOWN,
            id_tag: "BADGE".to_owned(),
            reason: StopReason::None,
            reservation: Vec::new(),
            signed_data: String::new(),
        }
    }

    pub fn sample(sequence: u64, transaction: u64) -> TransactionEvent {
        TransactionEvent {
            kind: EventKind::Sample,
            context: ReadingContext::SamplePeriodic,
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
            context: ReadingContext::TransactionEnd,
            id_tag: String::new(),
            reason: StopReason::Local,
            ..started(sequence, transaction)
        }
    }
}
