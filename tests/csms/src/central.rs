//! The central system as a test holds it: settings, misbehaviour, calls, records and waiting.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;

use crate::answers::{Answer, Desk, id_tag_info};
use crate::books::Books;
use crate::chaos::{Chaos, Trick};
use crate::conversation::{self, Order};
use crate::frame::{Frame, Message, call_text};
use crate::identity;
use crate::journal::{Journal, Link};
use crate::office::{Office, millis};
use crate::password::{Doorkeeper, Password, Passwords};
use crate::tls::Tls;
use crate::transaction::Transaction;

/// How a central system is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Heartbeat interval of the BootNotification answer, in seconds.
    pub interval_seconds: i64,
    /// Id of the first transaction; each further one is one higher.
    pub first_transaction: i64,
    /// Whether a StartTransaction that repeats an earlier one word for word gets the same id again.
    pub merge_repeated_starts: bool,
    /// How many frames (and how many links) to keep; `None` keeps all.
    pub keep: Option<usize>,
    /// How long [`Csms::call`] waits for the station's answer.
    pub call_deadline: Duration,
    /// TLS instead of plain TCP.
    pub tls: Option<Tls>,
    /// Who has to show which password, by HTTP Basic; without it nobody has to.
    pub password: Option<Passwords>,
    /// Mischief from the beginning on, see [`Csms::set_chaos`].
    pub chaos: Option<Chaos>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            interval_seconds: 300,
            first_transaction: 1000,
            merge_repeated_starts: true,
            keep: None,
            call_deadline: Duration::from_secs(10),
            tls: None,
            password: None,
            chaos: None,
        }
    }
}

/// A station's CALLRESULT.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// Its payload.
    pub payload: Value,
    /// From handing the request to the connection until its answer was read.
    pub took: Duration,
}

impl Reply {
    /// The `status` field, which most answers consist of.
    #[must_use]
    pub fn status(&self) -> Option<&str> {
        self.payload.get("status").and_then(Value::as_str)
    }
}

/// Why a call brought no CALLRESULT.
#[derive(Debug, Clone, PartialEq, thiserror::Error, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallFailure {
    /// No charge point of that identity is connected.
    #[error("{identity} is not connected")]
    NotConnected {
        /// The charge point.
        identity: String,
    },
    /// The connection ended before the answer came.
    #[error("the link to {identity} ended before the answer to {action}")]
    LinkLost {
        /// The charge point.
        identity: String,
        /// The request.
        action: String,
    },
    /// The station did not answer in time.
    #[error("{identity} did not answer {action} within {waited_millis} ms")]
    NoAnswer {
        /// The charge point.
        identity: String,
        /// The request.
        action: String,
        /// The deadline.
        waited_millis: u64,
    },
    /// The station answered with CALLERROR.
    #[error("{code}: {description}")]
    CallError {
        /// Error code.
        code: String,
        /// Text for people.
        description: String,
        /// Whatever the station added.
        details: Value,
    },
    /// The station's answer is not a message of OCPP-J.
    #[error("the answer is malformed: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
}

/// A condition that did not come true in time.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("nothing of the kind within {waited_millis} ms; {frames} frames so far, the last: {last}")]
pub struct Timeout {
    /// The deadline.
    pub waited_millis: u64,
    /// Frames recorded until then.
    pub frames: u64,
    /// The last of them, for the reader of a failed test.
    pub last: String,
}

/// A running central system; it ends when dropped.
#[derive(Debug)]
pub struct Csms {
    office: Arc<Office>,
    address: SocketAddr,
    scheme: &'static str,
    call_deadline: Duration,
    reception: JoinHandle<()>,
}

impl Csms {
    /// Listens and serves from now on.
    ///
    /// # Errors
    /// If the address cannot be listened on, or the certificates cannot be used.
    pub async fn start(options: Options) -> io::Result<Self> {
        let tls = options.tls.as_ref().map(Tls::acceptor).transpose()?;
        let scheme = if tls.is_some() { "wss" } else { "ws" };
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let mut desk = Desk::new(options.interval_seconds, options.first_transaction, options.merge_repeated_starts);
        desk.set_chaos(options.chaos);
        let office = Arc::new(Office::new(desk, Journal::new(options.keep), Doorkeeper::new(options.password)));
        let reception = tokio::spawn(receive(Arc::clone(&office), tls, listener));
        Ok(Self { office, address, scheme, call_deadline: options.call_deadline, reception })
    }

    /// The address to give to a station, which appends `/IDENTITY`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.address, identity::ROOT)
    }

    /// Where it listens; given to [`Options::listen`], a successor takes its place.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections and frees the port.
    pub async fn stop(mut self) {
        self.reception.abort();
        // The task was aborted, so all it can report is that.
        let _cancelled = (&mut self.reception).await;
    }

    /// Sets the answer to BootNotification.
    pub fn set_boot(&self, status: &str, interval_seconds: i64) {
        self.office.state().desk.set_boot(status, interval_seconds);
    }

    /// Sets what is said about a tag, whatever its case; a tag never set is Accepted.
    pub fn set_tag(&self, tag: &str, status: &str, parent: Option<&str>) {
        self.set_tag_info(tag, id_tag_info(status, parent, None));
    }

    /// Likewise with this `idTagInfo` as it stands, such as one with an `expiryDate` or one that makes no sense.
    pub fn set_tag_info(&self, tag: &str, info: Value) {
        self.office.state().desk.set_tag(tag, info);
    }

    /// Answers every request of this name in this way until told otherwise; [`Answer::Ordinary`] ends it.
    pub fn on(&self, action: &str, answer: Answer) {
        self.office.state().desk.on(action, answer);
    }

    /// Answers the next request of this name in this way; several queue up.
    pub fn once(&self, action: &str, answer: Answer) {
        self.office.state().desk.once(action, answer);
    }

    /// Sets the password that an identity has to show from its next connection on; `None` asks it for none.
    pub fn set_password(&self, identity: &str, password: Option<&str>) {
        self.set_password_to(identity, password.map(Password::from));
    }

    /// Likewise for a password that need not be text, such as a decoded AuthorizationKey.
    pub fn set_password_to(&self, identity: &str, password: Option<Password>) {
        self.office.state().door.set(identity, password);
    }

    /// Begins mischief, from its seed on, or ends it.
    pub fn set_chaos(&self, chaos: Option<Chaos>) {
        self.office.state().desk.set_chaos(chaos);
    }

    /// How often each trick was played since mischief began.
    #[must_use]
    pub fn tricks(&self) -> BTreeMap<Trick, u64> {
        self.office.state().desk.tricks()
    }

    /// Turns new connections away by a reset; those that are open stay.
    pub fn refuse(&self, refuse: bool) {
        self.office.set_refusing(refuse);
    }

    /// Keeps connections, but reads nothing and sends nothing, not even pongs, like a hung server.
    pub fn stall(&self, stall: bool) {
        self.office.set_stalled(stall);
    }

    /// Resets the TCP connection; says whether there was one.
    pub fn drop_connection(&self, identity: &str) -> bool {
        self.office.hang_up(identity)
    }

    /// Closes the WebSocket in good order with this close code; says whether there was one.
    pub async fn close_connection(&self, identity: &str, code: u16) -> bool {
        self.order(identity, Order::Close(code)).await
    }

    /// Sends a text as it stands; says whether there was a connection.
    pub async fn send_raw(&self, identity: &str, text: &str) -> bool {
        self.order(identity, Order::Send(text.to_owned())).await
    }

    async fn order(&self, identity: &str, order: Order) -> bool {
        let orders = self.office.state().lines.get(identity).map(|line| line.orders.clone());
        match orders {
            Some(orders) => orders.send(order).await.is_ok(),
            None => false,
        }
    }

    /// Sends a request and waits for its answer, for [`Options::call_deadline`] at most.
    ///
    /// # Errors
    /// If no CALLRESULT comes; a CALLERROR is one of the failures.
    pub async fn call(&self, identity: &str, action: &str, payload: Value) -> Result<Reply, CallFailure> {
        self.call_within(self.call_deadline, identity, action, payload).await
    }

    /// Sends a request and waits for its answer, for `deadline` at most. Calls may overlap.
    ///
    /// # Errors
    /// If no CALLRESULT comes; a CALLERROR is one of the failures.
    pub async fn call_within(
        &self,
        deadline: Duration,
        identity: &str,
        action: &str,
        payload: Value,
    ) -> Result<Reply, CallFailure> {
        let mut call = self
            .office
            .open_call(identity)
            .ok_or_else(|| CallFailure::NotConnected { identity: identity.to_owned() })?;
        let asked = Instant::now();
        let talk = async {
            call.orders.send(Order::Send(call_text(&call.id, action, &payload))).await.ok()?;
            (&mut call.answer).await.ok()
        };
        let outcome = timeout_at(asked + deadline, talk).await;
        let (identity, action) = (identity.to_owned(), action.to_owned());
        match outcome {
            Err(_) => Err(CallFailure::NoAnswer { identity, action, waited_millis: millis(deadline) }),
            Ok(None) => Err(CallFailure::LinkLost { identity, action }),
            Ok(Some((at, Message::Result { payload, .. }))) => Ok(Reply { payload, took: at.duration_since(asked) }),
            Ok(Some((_, Message::Error { code, description, details, .. }))) => {
                Err(CallFailure::CallError { code, description, details })
            }
            Ok(Some((_, Message::Malformed { reason, .. }))) => Err(CallFailure::Malformed { reason }),
            Ok(Some((_, Message::Call { .. }))) => Err(CallFailure::Malformed { reason: "a request".to_owned() }),
        }
    }

    /// Whether a charge point of this identity is connected.
    #[must_use]
    pub fn connected(&self, identity: &str) -> bool {
        self.office.state().lines.contains_key(identity)
    }

    /// All attempts to connect, in order; the last ones if [`Options::keep`] is set.
    #[must_use]
    pub fn links(&self) -> Vec<Link> {
        self.office.state().journal.links().cloned().collect()
    }

    /// All frames in order; the last ones if [`Options::keep`] is set.
    #[must_use]
    pub fn frames(&self) -> Vec<Frame> {
        self.frames_since(0)
    }

    /// The frames numbered `from` or later.
    #[must_use]
    pub fn frames_since(&self, from: u64) -> Vec<Frame> {
        self.office.state().journal.since(from).cloned().collect()
    }

    /// The number the next frame will get, to wait for what comes after this moment.
    #[must_use]
    pub fn mark(&self) -> u64 {
        self.office.state().journal.mark()
    }

    /// How many frames were recorded and are no longer kept.
    #[must_use]
    pub fn dropped_frames(&self) -> u64 {
        self.office.state().journal.dropped()
    }

    /// The account of the kept frames. It begins in the middle once frames were dropped; a long run notes
    /// [`Csms::frames_since`] in its own [`Books`] instead.
    #[must_use]
    pub fn books(&self) -> Books {
        self.look_into_books(Books::clone)
    }

    /// Looks at the account without copying it, which counts where it is long and looked at often.
    pub fn look_into_books<T>(&self, look: impl FnOnce(&Books) -> T) -> T {
        let state = self.office.state();
        match &state.books {
            Some(books) => look(books),
            None => look(&Books::of(state.journal.since(0))),
        }
    }

    /// The transactions in the kept frames.
    #[must_use]
    pub fn transactions(&self) -> Vec<Transaction> {
        self.look_into_books(|books| books.transactions.clone())
    }

    /// The first frame, kept or coming, that meets `condition`.
    ///
    /// # Errors
    /// If none came within `deadline`.
    pub async fn wait_for(&self, deadline: Duration, condition: impl FnMut(&Frame) -> bool) -> Result<Frame, Timeout> {
        self.wait_for_since(0, deadline, condition).await
    }

    /// The first frame numbered `from` or later that meets `condition`.
    ///
    /// # Errors
    /// If none came within `deadline`.
    pub async fn wait_for_since(
        &self,
        from: u64,
        deadline: Duration,
        mut condition: impl FnMut(&Frame) -> bool,
    ) -> Result<Frame, Timeout> {
        let mut next = from;
        self.wait_until(deadline, |csms| {
            let state = csms.office.state();
            let found = state.journal.since(next).find(|frame| condition(frame)).cloned();
            // What was looked at once is not looked at again.
            next = state.journal.mark().max(from);
            found
        })
        .await
    }

    /// Waits until `check` finds something; it is asked again after each frame and each change of a connection.
    ///
    /// # Errors
    /// If it found nothing within `deadline`.
    pub async fn wait_until<T>(
        &self,
        deadline: Duration,
        mut check: impl FnMut(&Self) -> Option<T>,
    ) -> Result<T, Timeout> {
        let until = Instant::now() + deadline;
        let mut changed = self.office.changes();
        loop {
            if let Some(found) = check(self) {
                return Ok(found);
            }
            if !matches!(timeout_at(until, changed.changed()).await, Ok(Ok(()))) {
                return Err(self.timeout(deadline));
            }
        }
    }

    /// Waits until the charge point is connected.
    ///
    /// # Errors
    /// If it is not within `deadline`.
    pub async fn wait_connected(&self, deadline: Duration, identity: &str) -> Result<(), Timeout> {
        self.wait_until(deadline, |csms| csms.connected(identity).then_some(())).await
    }

    /// Waits until the charge point is not connected.
    ///
    /// # Errors
    /// If it still is after `deadline`.
    pub async fn wait_disconnected(&self, deadline: Duration, identity: &str) -> Result<(), Timeout> {
        self.wait_until(deadline, |csms| (!csms.connected(identity)).then_some(())).await
    }

    /// Wakes after each change of the records.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        let mut changes = self.office.changes();
        changes.mark_changed();
        changes
    }

    fn timeout(&self, deadline: Duration) -> Timeout {
        let state = self.office.state();
        let last = state.journal.last().map_or_else(
            || "none".to_owned(),
            |frame| format!("{:?} {} {}", frame.direction, frame.identity, frame.raw),
        );
        Timeout { waited_millis: millis(deadline), frames: state.journal.mark(), last }
    }
}

impl Drop for Csms {
    fn drop(&mut self) {
        self.reception.abort();
    }
}

/// Takes connections until it is aborted; its connections end with it.
async fn receive(office: Arc<Office>, tls: Option<TlsAcceptor>, listener: TcpListener) {
    let mut conversations = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A failure concerns one connection or passes; the station tries again.
                let Ok((stream, _)) = accepted else { continue };
                conversations.spawn(conversation::hold(Arc::clone(&office), tls.clone(), stream));
            }
            Some(_ended) = conversations.join_next() => {}
        }
    }
}
