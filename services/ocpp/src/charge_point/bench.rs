//! The charge point with everything around it played by the test: time, link, ledger, journal.

use crate::charge_point::{Beginning, ChargePoint};
use crate::connection::Order;
use crate::delivery::Stored;
use crate::exchange::{Effect, Input, NoAnswer, Question};
use crate::learning::Learned;
use crate::ledger::{Change, Kept, Note, Open};
use crate::record::Record;
use crate::resend::Undelivered;
use crate::settings::{LinkSettings, Settings};
use crate::trial::Ways;
use busbar_interfaces::session::{SessionConnectorState, SessionState, TransactionEvent};
use busbar_interfaces::settings::SettingsState;
use busbar_interfaces::words::{
    AuthorizationSource, AuthorizationStatus, Availability, ConnectorStatus, Link, StopReason,
};
use busbar_interfaces::{BoottimeMillis, MilliwattHours, TransactionId, UnixMillis};
use busbar_ocpp16::frame::Wire;
use busbar_runtime::{Moment, View};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// When the test's machine started: 2026-11-01T12:00Z.
pub const START: u64 = 1_793_534_400_000;

/// The charge point with everything around it: a ledger, a journal, and what goes over the link.
pub struct Bench {
    pub point: ChargePoint,
    pub now: u64,
    /// What the station sent and nobody has looked at, as JSON.
    pub sent: VecDeque<Value>,
    pub effects: Vec<Effect>,
    pub journal: Vec<TransactionEvent>,
    /// The link that is open or being opened.
    pub link: u64,
    pub opening: bool,
    pub open: bool,
    pub ledger: Stored,
    pub record: Record,
    pub keep_at_once: bool,
    /// Notes that are not on disk yet: a crash loses them.
    pub unwritten: Vec<Note>,
    /// Events that the ledger was told are undelivered.
    pub undelivered: Vec<Undelivered>,
    /// The ways, as the ledger has them.
    pub ways: Ways,
    /// The journal's name.
    pub journal_id: u64,
    pub last_note: u64,
}

pub fn settings() -> Settings {
    Settings {
        retry_first: Duration::from_millis(500),
        retry_most: Duration::from_secs(60),
        call_timeout: Duration::from_secs(30),
        trial: Duration::from_secs(120),
        traffic_log_bytes: 1 << 20,
        queue_page: 4,
        link: LinkSettings::default(),
        vendor: "Schneider Electric".to_owned(),
        model: "EVD1S180TBB".to_owned(),
        serial: "S1".to_owned(),
    }
}

pub fn keys(change: &[(&str, &str)]) -> SettingsState {
    let mut values: BTreeMap<String, String> = [
        ("SupervisionUrl", "ws://csms/ocpp"),
        ("BoxIdentifier", "CP1"),
        ("HeartbeatInterval", "60"),
        ("WebSocketPingInterval", "0"),
        ("MeterValuesSampledData", "Energy.Active.Import.Register,SoC"),
        ("TransactionMessageAttempts", "3"),
        ("TransactionMessageRetryInterval", "10"),
        ("StopTransactionOnInvalidId", "true"),
        ("MinimumStatusDuration", "0"),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect();
    for (key, value) in change {
        values.insert((*key).to_owned(), (*value).to_owned());
    }
    SettingsState { values, ..SettingsState::default() }
}

impl Bench {
    pub fn new() -> Bench {
        Bench::restored(Stored { journal: 0xABC, ..Stored::default() }, Record::default(), Ways::default(), 1_000_000)
    }

    pub fn restored(ledger: Stored, record: Record, ways: Ways, now: u64) -> Bench {
        let moment = Moment { boottime: BoottimeMillis(now), unix: UnixMillis(START + now) };
        let beginning = Beginning {
            stored: ledger.clone(),
            ways: ways.clone(),
            record: record.clone(),
            boot: "boot".to_owned(),
            ..Beginning::default()
        };
        Bench {
            point: ChargePoint::new(settings(), beginning, moment),
            ways,
            journal_id: 0xABC,
            now,
            sent: VecDeque::new(),
            effects: Vec::new(),
            journal: Vec::new(),
            link: 0,
            opening: false,
            open: false,
            ledger,
            record,
            keep_at_once: true,
            unwritten: Vec::new(),
            undelivered: Vec::new(),
            last_note: 0,
        }
    }

    /// The process is killed and started again: what is on disk and what the machine's run knows is all that is left.
    pub fn restart(self) -> Bench {
        let mut next = Bench::restored(self.ledger, self.record, self.ways, self.now);
        next.journal = self.journal;
        next.journal_id = self.journal_id;
        next.undelivered = self.undelivered;
        next
    }

    pub fn step(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for effect in self.point.step(self.moment(), input) {
                match effect {
                    Effect::Link(Order::Open { number, .. }) => {
                        assert!(!self.open, "the old link is closed first");
                        (self.link, self.opening) = (number, true);
                    }
                    Effect::Link(Order::Close { number }) => {
                        assert_eq!(number, self.link);
                        (self.opening, self.open) = (false, false);
                        inputs.push_back(Input::Ended { number, dice: 0, reason: "it was given up".to_owned() });
                    }
                    Effect::Send(Wire(text)) => {
                        assert!(self.open, "nothing is sent without a link");
                        self.sent.push_back(serde_json::from_str(&text).expect("JSON"));
                    }
                    Effect::Fetch { after, max } => {
                        let first = self.journal.partition_point(|event| event.sequence <= after);
                        let events = self.journal[first..].iter().take(max as usize).cloned().collect();
                        inputs.push_back(Input::Fetched { after, events: Some(events) });
                    }
                    Effect::Keep { number, note } => {
                        assert_eq!(number, self.last_note + 1, "notes come in order");
                        self.last_note = number;
                        self.unwritten.push(note);
                        if self.keep_at_once {
                            self.write();
                            let undelivered = u32::try_from(self.undelivered.len()).expect("few");
                            inputs.push_back(Input::Kept(Kept { note: number, undelivered, is_full: false }));
                        }
                    }
                    Effect::Record(record) => self.record = record,
                    other => self.effects.push(other),
                }
            }
        }
    }

    /// What was noted reaches the disk.
    pub fn write(&mut self) {
        for note in self.unwritten.drain(..) {
            keep(&mut self.ledger, &note);
            match note {
                Note::Confirmed { undelivered: Some(refused), .. } => {
                    let number = self.undelivered.last().map_or(1, |last| last.number + 1);
                    self.undelivered.push(Undelivered { number, round: 0, event: refused.event });
                }
                Note::Resent { number, .. } => self.undelivered.retain(|event| event.number != number),
                Note::Ways(ways) => self.ways = ways,
                _ => {}
            }
        }
    }

    /// The numbers of the events that are undelivered.
    pub fn undelivered(&self) -> Vec<u64> {
        self.undelivered.iter().map(|undelivered| undelivered.event.sequence).collect()
    }

    /// A person wants what is undelivered of a transaction sent again.
    pub fn send_again(&mut self, transaction: u64) {
        let transaction = TransactionId(transaction);
        let events = self
            .undelivered
            .iter()
            .filter(|undelivered| undelivered.event.transaction == transaction)
            .cloned()
            .collect();
        let open = self.ledger.open.get(&transaction).copied();
        self.step(Input::SendAgain { transaction, open, events });
    }

    pub fn moment(&self) -> Moment {
        Moment { boottime: BoottimeMillis(self.now), unix: UnixMillis(START + self.now) }
    }

    /// When the charge point wants to be woken.
    pub fn next_wake(&self) -> Option<BoottimeMillis> {
        self.point.next_wake(self.moment())
    }

    /// Time passes, with every wake-up that the charge point asks for.
    pub fn pass(&mut self, millis: u64) {
        let end = self.now + millis;
        while let Some(wake) = self.next_wake().filter(|wake| wake.0 <= end) {
            assert!(wake.0 > self.now, "a wake-up is in the future");
            self.now = wake.0;
            self.step(Input::Wake);
        }
        self.now = end;
    }

    pub fn open(&mut self) {
        for _ in 0..200 {
            if self.opening {
                break;
            }
            self.pass(1000);
        }
        assert!(self.opening, "the link is asked for");
        (self.opening, self.open) = (false, true);
        let target = self.point.connection.target().map(|target| target.shown_url.clone());
        self.step(Input::Opened { number: self.link, url: target.expect("somewhere to go") });
    }

    pub fn end(&mut self) {
        (self.opening, self.open) = (false, false);
        self.sent.clear();
        self.step(Input::Ended { number: self.link, dice: 0, reason: "the CSMS closed it".to_owned() });
    }

    pub fn text(&mut self, text: &str) {
        self.step(Input::Text { number: self.link, text: Wire(text.to_owned()) });
    }

    pub fn answer(&mut self, call: &Value, payload: &Value) {
        self.text(&json!([3, call[1], payload]).to_string());
    }

    /// The next frame, which must be this request of the station.
    pub fn call(&mut self, action: &str) -> Value {
        let call = self.sent.pop_front().unwrap_or_else(|| panic!("{action} is sent"));
        assert_eq!((&call[0], &call[2]), (&json!(2), &json!(action)), "{call}");
        assert!(call[1].as_str().expect("an id").len() <= 36, "{call}");
        call
    }

    pub fn quiet(&self) {
        assert_eq!(self.sent, VecDeque::<Value>::new(), "nothing is sent");
    }

    pub fn serve(&mut self, answer: &Value, action: &str) -> Value {
        let call = self.call(action);
        self.answer(&call, answer);
        call
    }

    /// A request of the CSMS, and the frame that answers it at once.
    pub fn ask(&mut self, action: &str, payload: &Value) -> Value {
        self.text(&json!([2, "q", action, payload]).to_string());
        self.sent.pop_back().expect("an answer")
    }

    pub fn boot(&mut self, status: &str, interval: u64) {
        self.serve(
            &json!({"status": status, "interval": interval, "currentTime": "2026-11-01T12:00:00Z"}),
            "BootNotification",
        );
    }

    pub fn accepted(&mut self) {
        self.step(Input::Settings(View::Present(keys(&[]))));
        self.open();
        self.boot("Accepted", 300);
    }

    pub fn append(&mut self, events: impl IntoIterator<Item = TransactionEvent>) {
        self.journal.extend(events);
        self.session(SessionState::default());
    }

    /// `session` shows this, in the journal that it has.
    pub fn session(&mut self, state: SessionState) {
        let last_event = self.journal.last().map_or(0, |event| event.sequence);
        self.step(Input::Session(View::Present(SessionState { journal_id: self.journal_id, last_event, ..state })));
    }

    pub fn link(&self) -> Link {
        self.point.shown().link
    }

    pub fn question(&mut self) -> (u64, Question) {
        self.effects
            .iter()
            .rev()
            .find_map(|effect| match effect {
                Effect::Ask { serial, question } => Some((*serial, question.clone())),
                _ => None,
            })
            .expect("a question")
    }

    pub fn verdict(&self, asker: u64) -> Option<Result<AuthorizationStatus, NoAnswer>> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Authorized { asker: who, verdict } if *who == asker => {
                Some(verdict.as_ref().map(|verdict| verdict.status).map_err(|reason| *reason))
            }
            _ => None,
        })
    }

    pub fn deauthorized(&self) -> Vec<TransactionId> {
        let asked = |effect: &Effect| match effect {
            Effect::Deauthorize { transaction } => Some(*transaction),
            _ => None,
        };
        self.effects.iter().filter_map(asked).collect()
    }

    /// What `session` was told that the CSMS says of badges.
    pub fn learned(&self) -> Vec<Learned> {
        let told = |effect: &Effect| match effect {
            Effect::Learn(learned) => Some(learned.clone()),
            _ => None,
        };
        self.effects.iter().filter_map(told).collect()
    }
}

pub fn keep(ledger: &mut Stored, note: &Note) {
    match note {
        Note::Confirmed { sequence, change, .. } => {
            assert!(*sequence > ledger.cursor, "each event once and in order");
            ledger.cursor = *sequence;
            keep_change(ledger, change);
        }
        Note::Resent { change, .. } => keep_change(ledger, change),
        Note::ResendFailed { .. } | Note::Ways(_) => {}
        Note::Deauthorized { transaction } => ledger.deauthorize.retain(|pending| pending != transaction),
        Note::NamedJournal { journal, cursor } => (ledger.journal, ledger.cursor) = (*journal, *cursor),
        Note::NewJournal { journal, cursor } => {
            *ledger = Stored { journal: *journal, cursor: *cursor, ..Stored::default() };
        }
        Note::Boot { boot, start } => drop(ledger.boots.insert(boot.clone(), *start)),
    }
}

fn keep_change(ledger: &mut Stored, change: &Change) {
    match change {
        Change::None => {}
        Change::Opened { local, central, deauthorize } => {
            ledger.open.insert(*local, Open { central: *central });
            ledger.deauthorize.extend(deauthorize.then_some(*local));
        }
        Change::Closed { local } => drop(ledger.open.remove(local)),
    }
}

pub fn status(status: ConnectorStatus) -> SessionConnectorState {
    SessionConnectorState {
        status,
        availability: Availability::Operative,
        availability_is_scheduled: false,
        status_since_unix_millis: UnixMillis(START),
        fault_code: String::new(),
        transaction: TransactionId(0),
        authorized_by: AuthorizationSource::None,
        last_transaction: TransactionId(0),
        started_unix_millis: UnixMillis(0),
        energy_milliwatt_hours: MilliwattHours(0),
        last_stop_reason: StopReason::None,
    }
}
