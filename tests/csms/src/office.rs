//! What the test's side and the connections share: the desk, the records, the open lines and the switches.

use std::collections::HashMap;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::answers::{Deed, Desk, Response};
use crate::books::Books;
use crate::conversation::Order;
use crate::frame::{Direction, Frame, Message};
use crate::journal::{Caller, Journal};
use crate::password::Doorkeeper;

/// Texts that may wait for a station that reads slowly.
const ORDERS: usize = 256;

/// One per central system. No lock is held across an await, and none is taken while another is held.
#[derive(Debug)]
pub(crate) struct Office {
    state: Mutex<State>,
    changed: watch::Sender<()>,
    stalled: watch::Sender<bool>,
    refusing: AtomicBool,
    started: Instant,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) desk: Desk,
    pub(crate) journal: Journal,
    pub(crate) door: Doorkeeper,
    /// Carried on with each frame while all are kept, so that nobody has to go through them again.
    pub(crate) books: Option<Books>,
    pub(crate) lines: HashMap<String, Line>,
    next_call: u64,
}

/// The near end of an open connection. The connection is reset when this is dropped.
#[derive(Debug)]
pub(crate) struct Line {
    number: u64,
    pub(crate) orders: mpsc::Sender<Order>,
    calls: HashMap<String, oneshot::Sender<(Instant, Message)>>,
    _hold: oneshot::Sender<()>,
}

/// The far end of a [`Line`], for the task that owns the socket.
pub(crate) struct Extension {
    pub(crate) identity: String,
    pub(crate) number: u64,
    pub(crate) orders: mpsc::Receiver<Order>,
    pub(crate) held: oneshot::Receiver<()>,
    pub(crate) stalled: watch::Receiver<bool>,
}

/// A request on its way to a station; it is forgotten when this is dropped.
pub(crate) struct OpenCall<'a> {
    office: &'a Office,
    identity: &'a str,
    pub(crate) id: String,
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) answer: oneshot::Receiver<(Instant, Message)>,
}

impl Drop for OpenCall<'_> {
    fn drop(&mut self) {
        if let Some(line) = self.office.state().lines.get_mut(self.identity) {
            line.calls.remove(&self.id);
        }
    }
}

impl Office {
    pub(crate) fn new(desk: Desk, journal: Journal, door: Doorkeeper) -> Self {
        let books = journal.keeps_all().then(Books::default);
        Self {
            state: Mutex::new(State { desk, journal, door, books, lines: HashMap::new(), next_call: 1 }),
            changed: watch::Sender::new(()),
            stalled: watch::Sender::new(false),
            refusing: AtomicBool::new(false),
            started: Instant::now(),
        }
    }

    /// A panic in a test's condition must not hide the records from the rest of the test.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.changed.send_replace(());
    }

    fn offset_millis(&self) -> u64 {
        millis(self.started.elapsed())
    }

    pub(crate) fn is_refusing(&self) -> bool {
        self.refusing.load(Ordering::SeqCst)
    }

    pub(crate) fn stalled(&self) -> watch::Receiver<bool> {
        self.stalled.subscribe()
    }

    /// Records that somebody was turned away.
    pub(crate) fn refused(&self, caller: Caller, why: String) {
        let at = self.offset_millis();
        self.state().journal.refusal(at, caller, why);
        self.tell();
    }

    /// Whether the password is right, if one is asked for.
    pub(crate) fn admits(&self, caller: &Caller) -> bool {
        self.state().door.admits(&caller.identity, caller.authorization.as_deref())
    }

    /// Opens the line of a charge point; an older one of the same identity is reset.
    pub(crate) fn open(&self, caller: Caller) -> Extension {
        let identity = caller.identity.clone();
        let (orders, receiver) = mpsc::channel(ORDERS);
        let (hold, held) = oneshot::channel();
        let number = {
            let mut state = self.state();
            let number = state.journal.link(self.offset_millis(), caller);
            state.lines.insert(identity.clone(), Line { number, orders, calls: HashMap::new(), _hold: hold });
            number
        };
        self.tell();
        Extension { identity, number, orders: receiver, held, stalled: self.stalled() }
    }

    pub(crate) fn closed(&self, identity: &str, number: u64) {
        {
            let mut state = self.state();
            state.journal.closed(number, self.offset_millis());
            if state.lines.get(identity).is_some_and(|line| line.number == number) {
                state.lines.remove(identity);
            }
        }
        self.tell();
    }

    pub(crate) fn pinged(&self, number: u64) {
        self.state().journal.pinged(number);
        self.tell();
    }

    /// Records a frame to the station; it is about to be written.
    pub(crate) fn record_sent(&self, identity: &str, raw: &str, doubtful: bool) {
        let message = Message::parse(raw);
        self.record(identity, Direction::ToStation, doubtful, raw.to_owned(), message, &mut self.state());
        self.tell();
    }

    /// Records a frame from the station and says what has to be done about it.
    pub(crate) fn take(&self, identity: &str, raw: String, message: Message) -> Response {
        let now = Timestamp::now();
        let response = {
            let mut state = self.state();
            self.record(identity, Direction::FromStation, false, raw, message.clone(), &mut state);
            match &message {
                Message::Call { id, action, payload } => state.desk.respond(now, identity, id, action, payload),
                _ => {
                    let deed = message.rejection().map_or_else(Deed::default, Deed::send);
                    state.settle(identity, message);
                    Response { delay: Duration::ZERO, deed }
                }
            }
        };
        self.tell();
        response
    }

    fn record(
        &self,
        identity: &str,
        direction: Direction,
        doubtful: bool,
        raw: String,
        message: Message,
        state: &mut State,
    ) {
        let (at, offset_millis, identity) = (Timestamp::now(), self.offset_millis(), identity.to_owned());
        let frame = Frame { seq: state.journal.mark(), at, offset_millis, identity, direction, doubtful, raw, message };
        if let Some(books) = &mut state.books {
            books.note(&frame);
        }
        state.journal.frame(frame);
    }

    /// Gives a request its message id and a place for its answer; `None` if the charge point is not connected.
    pub(crate) fn open_call<'a>(&'a self, identity: &'a str) -> Option<OpenCall<'a>> {
        let mut state = self.state();
        let number = state.next_call;
        let line = state.lines.get_mut(identity)?;
        let id = format!("csms-{number}");
        let (settle, answer) = oneshot::channel();
        line.calls.insert(id.clone(), settle);
        let orders = line.orders.clone();
        state.next_call = number.saturating_add(1);
        Some(OpenCall { office: self, identity, id, orders, answer })
    }

    /// Resets a connection; says whether there was one.
    pub(crate) fn hang_up(&self, identity: &str) -> bool {
        let line = self.state().lines.remove(identity);
        self.tell();
        line.is_some()
    }

    pub(crate) fn set_refusing(&self, refusing: bool) {
        self.refusing.store(refusing, Ordering::SeqCst);
    }

    pub(crate) fn set_stalled(&self, stalled: bool) {
        self.stalled.send_replace(stalled);
    }

    /// Wakes after each change of the records.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

impl State {
    /// Hands an answer to the call that waits for it, if one does.
    fn settle(&mut self, identity: &str, mut message: Message) {
        let id = match &mut message {
            Message::Result { id, .. } | Message::Error { id, .. } => mem::take(id),
            Message::Malformed { id: Some(id), kind: Some(3 | 4), .. } => mem::take(id),
            Message::Malformed { .. } | Message::Call { .. } => return,
        };
        let waiting = self.lines.get_mut(identity).and_then(|line| line.calls.remove(&id));
        if let Some(waiting) = waiting {
            // The caller may have given up in this moment.
            let _gone = waiting.send((Instant::now(), message));
        }
    }
}

/// A duration in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
