//! The transactions that a run of frames amounts to, and whatever in it a back office could not have booked in good
//! conscience: repeats, messages out of order, unknown transactions. Pure; duplicates are counted, never hidden.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::frame::{Direction, Frame, Message};
use crate::transaction::{Stray, Trail, Transaction};

/// The account of all transactions in a run of frames; [`Books::note`] carries it on frame by frame.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Books {
    /// In the order of their first StartTransaction.
    pub transactions: Vec<Transaction>,
    /// MeterValues and StopTransactions that belong to none of them.
    pub strays: Vec<Stray>,
    /// Everything odd, in the order it was seen. A repeat is odd even where OCPP allows it, see [`Books::unexcused`].
    pub irregularities: Vec<String>,
    #[serde(skip)]
    excused: BTreeSet<usize>,
    #[serde(skip)]
    starts: HashMap<StartKey, usize>,
    #[serde(skip)]
    start_ids: HashMap<MessageKey, usize>,
    #[serde(skip)]
    by_transaction: HashMap<(String, i64), usize>,
    #[serde(skip)]
    on_connector: HashMap<(String, i64), usize>,
    #[serde(skip)]
    open_requests: HashMap<MessageKey, Request>,
}

/// Identity and message id.
type MessageKey = (String, String);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct StartKey {
    identity: String,
    connector: i64,
    timestamp: String,
    meter_start: i64,
}

/// What an answer of the central system will settle.
#[derive(Debug, Clone)]
enum Request {
    Start(usize),
    Stop(usize),
    Samples(usize, Vec<String>),
}

/// The transactions in `frames`.
#[must_use]
pub fn transactions(frames: &[Frame]) -> Vec<Transaction> {
    Books::of(frames).transactions
}

impl Books {
    /// The account of these frames.
    #[must_use]
    pub fn of<'a>(frames: impl IntoIterator<Item = &'a Frame>) -> Self {
        let mut books = Self::default();
        for frame in frames {
            books.note(frame);
        }
        books
    }

    /// The transaction with this id; the latest, if an id was given twice.
    #[must_use]
    pub fn transaction(&self, identity: &str, transaction_id: i64) -> Option<&Transaction> {
        let index = self.by_transaction.get(&(identity.to_owned(), transaction_id))?;
        self.transactions.get(*index)
    }

    /// The irregularities, except repeats of a request that had got no CALLRESULT: those a station owes to OCPP
    /// (section 3.7, TransactionMessageAttempts).
    pub fn unexcused(&self) -> impl Iterator<Item = &str> {
        let odd = self.irregularities.iter().enumerate();
        odd.filter(|(index, _)| !self.excused.contains(index)).map(|(_, text)| text.as_str())
    }

    /// Carries the account on by one frame; frames come in the order they were recorded.
    pub fn note(&mut self, frame: &Frame) {
        let identity = frame.identity.as_str();
        match (frame.direction, &frame.message) {
            (Direction::FromStation, Message::Call { id, action, payload }) => {
                let key = (identity.to_owned(), id.clone());
                self.open_requests.remove(&key);
                let request = match action.as_str() {
                    "StartTransaction" => self.started(identity, id, payload),
                    "MeterValues" => self.measured(identity, id, payload),
                    "StopTransaction" => self.stopped(identity, id, payload),
                    _ => None,
                };
                if let Some(request) = request {
                    self.open_requests.insert(key, request);
                }
            }
            (Direction::ToStation, Message::Result { id, payload }) => {
                if let Some(request) = self.open_requests.remove(&(identity.to_owned(), id.clone())) {
                    self.answered(identity, request, payload, !frame.doubtful);
                }
            }
            _ => {}
        }
    }

    fn odd(&mut self, text: String) {
        self.irregularities.push(text);
    }

    /// Notes a repeat; it is excused if nothing had been answered to the earlier ones.
    fn odd_repeat(&mut self, what: &str, answered: bool) {
        if answered {
            self.odd(format!("{what} sent again although it had been answered"));
        } else {
            self.excused.insert(self.irregularities.len());
            self.odd(format!("{what} sent again, not having been answered"));
        }
    }

    fn started(&mut self, identity: &str, id: &str, payload: &Value) -> Option<Request> {
        let fields = (
            integer(payload, "connectorId"),
            text(payload, "timestamp"),
            integer(payload, "meterStart"),
            text(payload, "idTag"),
        );
        let (Some(connector), Some(timestamp), Some(meter_start), Some(id_tag)) = fields else {
            self.odd(format!("{identity}: StartTransaction without a required field: {payload}"));
            return None;
        };
        let reservation_id = integer(payload, "reservationId");
        let key = StartKey { identity: identity.to_owned(), connector, timestamp: timestamp.to_owned(), meter_start };
        let name = format!("{identity}: StartTransaction on connector {connector} at {timestamp}");
        let message = (identity.to_owned(), id.to_owned());

        let known = self.starts.get(&key).copied();
        if let Some((index, transaction)) = known.and_then(|index| Some((index, self.transactions.get_mut(index)?))) {
            transaction.note_start(id);
            let answered = transaction.trail.start_answered;
            let other_tag = transaction.id_tag != id_tag;
            let other_reservation = transaction.reservation_id != reservation_id;
            self.start_ids.insert(message, index);
            self.odd_repeat(&name, answered);
            if other_tag {
                self.odd(format!("{name} sent again with another idTag"));
            }
            if other_reservation {
                self.odd(format!("{name} sent again with another reservationId"));
            }
            return Some(Request::Start(index));
        }

        let index = self.transactions.len();
        if self.start_ids.insert(message, index).is_some() {
            self.odd(format!("{name} has the message id of another StartTransaction, {id}"));
        }
        let before = self.on_connector.insert((identity.to_owned(), connector), index);
        if let Some(open) = before.and_then(|before| self.transactions.get(before)).filter(|before| before.is_open()) {
            let open = open.name();
            self.odd(format!("{name} before the stop of {open}"));
        }
        self.starts.insert(key, index);
        self.transactions.push(Transaction {
            identity: identity.to_owned(),
            transaction_id: None,
            connector,
            id_tag: id_tag.to_owned(),
            reservation_id,
            tag_status: None,
            meter_start,
            timestamp: timestamp.to_owned(),
            meter_stop: None,
            reason: None,
            stop_timestamp: None,
            transaction_data: Vec::new(),
            meter_values: Vec::new(),
            start_count: 1,
            stop_count: 0,
            start_message_ids: vec![id.to_owned()],
            stop_message_ids: Vec::new(),
            trail: Trail::default(),
        });
        Some(Request::Start(index))
    }

    fn measured(&mut self, identity: &str, id: &str, payload: &Value) -> Option<Request> {
        // Values outside a transaction are nobody's energy.
        let transaction_id = payload.get("transactionId").filter(|id| !id.is_null())?;
        let index = self.named(identity, "MeterValues", id, transaction_id, payload)?;
        self.book_samples(index, payload)
    }

    fn stopped(&mut self, identity: &str, id: &str, payload: &Value) -> Option<Request> {
        let transaction_id = payload.get("transactionId").unwrap_or(&Value::Null);
        let index = self.named(identity, "StopTransaction", id, transaction_id, payload)?;
        self.book_stop(index, id, payload)
    }

    /// The transaction a message names; one that names none is kept as a stray.
    fn named(
        &mut self,
        identity: &str,
        action: &str,
        id: &str,
        transaction_id: &Value,
        payload: &Value,
    ) -> Option<usize> {
        let Some(transaction_id) = transaction_id.as_i64() else {
            self.odd(format!("{identity}: {action} with transactionId {transaction_id}"));
            return None;
        };
        let known = self.by_transaction.get(&(identity.to_owned(), transaction_id)).copied();
        if known.is_none() {
            self.odd(format!("{identity}: {action} for the unknown transaction {transaction_id}"));
            self.strays.push(Stray {
                identity: identity.to_owned(),
                action: action.to_owned(),
                message_id: id.to_owned(),
                transaction_id,
                payload: payload.clone(),
            });
        }
        known
    }

    fn book_samples(&mut self, index: usize, payload: &Value) -> Option<Request> {
        let transaction = self.transactions.get_mut(index)?;
        let name = transaction.name();
        let mut odd = Vec::new();
        let mut repeats = Vec::new();
        if transaction.stop_count > 0 {
            odd.push(format!("MeterValues of {name} after its stop"));
        }
        if integer(payload, "connectorId") != Some(transaction.connector) {
            odd.push(format!("MeterValues of {name} name another connector than {}", transaction.connector));
        }
        let mut keys = Vec::new();
        for sample in payload.get("meterValue").and_then(Value::as_array).into_iter().flatten() {
            let Some(timestamp) = text(sample, "timestamp") else {
                odd.push(format!("MeterValues of {name} without a timestamp"));
                continue;
            };
            // A periodic and a clock-aligned sample may fall on the same second: two samples, not one twice.
            let context = sample.pointer("/sampledValue/0/context").and_then(Value::as_str);
            let key = format!("{timestamp} {}", context.unwrap_or("Sample.Periodic"));
            if let Some(answered) = transaction.trail.samples.get(&key) {
                repeats.push((format!("MeterValues of {name} at {timestamp}"), *answered));
            } else {
                transaction.trail.samples.insert(key.clone(), false);
                let at = timestamp.parse::<Timestamp>().ok();
                if at < transaction.trail.last_sample {
                    odd.push(format!("MeterValues of {name} at {timestamp} after later ones"));
                }
                transaction.trail.last_sample = at.max(transaction.trail.last_sample);
            }
            keys.push(key);
        }
        transaction.meter_values.push(payload.clone());
        for (what, answered) in repeats {
            self.odd_repeat(&what, answered);
        }
        self.irregularities.append(&mut odd);
        Some(Request::Samples(index, keys))
    }

    fn book_stop(&mut self, index: usize, id: &str, payload: &Value) -> Option<Request> {
        let transaction = self.transactions.get_mut(index)?;
        let what = format!("StopTransaction of {}", transaction.name());
        transaction.note_stop(id);
        if let Some(first) = &transaction.trail.stop {
            let (answered, differs) = (transaction.trail.stop_answered, first != payload);
            self.odd_repeat(&what, answered);
            if differs {
                self.odd(format!("{what} sent again with other content"));
            }
            return Some(Request::Stop(index));
        }
        transaction.trail.stop = Some(payload.clone());
        transaction.meter_stop = integer(payload, "meterStop");
        transaction.reason = text(payload, "reason").map(str::to_owned);
        transaction.stop_timestamp = text(payload, "timestamp").map(str::to_owned);
        let data = payload.get("transactionData").and_then(Value::as_array);
        transaction.transaction_data = data.cloned().unwrap_or_default();

        let mut odd = Vec::new();
        if transaction.meter_stop.is_none() || transaction.stop_timestamp.is_none() {
            odd.push(format!("{what} without a required field: {payload}"));
        }
        if transaction.meter_stop.is_some_and(|stop| stop < transaction.meter_start) {
            odd.push(format!("{what} with a meterStop below its meterStart"));
        }
        let stop = transaction.stop_timestamp.as_ref().and_then(|at| at.parse::<Timestamp>().ok());
        if stop.zip(transaction.timestamp.parse().ok()).is_some_and(|(stop, start)| stop < start) {
            odd.push(format!("{what} with a timestamp before its start"));
        }
        self.irregularities.append(&mut odd);
        Some(Request::Stop(index))
    }

    /// Takes an answer into account; only one that is `sure` to have arrived forbids the station to repeat itself.
    fn answered(&mut self, identity: &str, request: Request, payload: &Value, sure: bool) {
        match request {
            Request::Start(index) => self.start_answered(identity, index, payload, sure),
            Request::Stop(index) => {
                if let Some(transaction) = self.transactions.get_mut(index) {
                    transaction.trail.stop_answered |= sure;
                }
            }
            Request::Samples(index, keys) => {
                if let Some(transaction) = self.transactions.get_mut(index) {
                    for key in keys {
                        *transaction.trail.samples.entry(key).or_default() |= sure;
                    }
                }
            }
        }
    }

    fn start_answered(&mut self, identity: &str, index: usize, payload: &Value, sure: bool) {
        let Some(transaction) = self.transactions.get_mut(index) else { return };
        let Some(transaction_id) = integer(payload, "transactionId") else { return };
        transaction.trail.start_answered |= sure;
        transaction.transaction_id = Some(transaction_id);
        transaction.tag_status = payload.pointer("/idTagInfo/status").and_then(Value::as_str).map(str::to_owned);
        // An id given before stays valid too: the station may have taken either.
        self.by_transaction.insert((identity.to_owned(), transaction_id), index);

        let belongs = |stray: &mut Stray| stray.identity == identity && stray.transaction_id == transaction_id;
        let early: Vec<Stray> = self.strays.extract_if(.., belongs).collect();
        for Stray { action, message_id, payload, .. } in early {
            self.odd(format!(
                "{identity}: {action} of transaction {transaction_id} before its StartTransaction was answered"
            ));
            if action == "StopTransaction" {
                self.book_stop(index, &message_id, &payload);
            } else {
                self.book_samples(index, &payload);
            }
        }
    }
}

fn integer(payload: &Value, name: &str) -> Option<i64> {
    payload.get(name).and_then(Value::as_i64)
}

fn text<'a>(payload: &'a Value, name: &str) -> Option<&'a str> {
    payload.get(name).and_then(Value::as_str)
}
