//! The transactions that a run of frames amounts to, and whatever in it a back office could not have booked in good
//! conscience: repeats, messages out of order, unknown transactions. Pure; duplicates are counted, never hidden.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::frame::{Direction, Frame, Message};

/// One transaction as the station reported it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Transaction {
    /// The charge point.
    pub identity: String,
    /// The id this central system gave it; `None` until its start has been answered.
    pub transaction_id: Option<i64>,
    /// `connectorId` of the start.
    pub connector: i64,
    /// `idTag` of the start.
    pub id_tag: String,
    /// `idTagInfo.status` that the start was answered with.
    pub tag_status: Option<String>,
    /// `meterStart` in Wh.
    pub meter_start: i64,
    /// `timestamp` of the start, as sent.
    pub timestamp: String,
    /// `meterStop` in Wh, of the first stop.
    pub meter_stop: Option<i64>,
    /// `reason` of the first stop; OCPP reads an absent one as `Local`.
    pub reason: Option<String>,
    /// `timestamp` of the first stop, as sent.
    pub stop_timestamp: Option<String>,
    /// `transactionData` of the first stop.
    pub transaction_data: Vec<Value>,
    /// Payloads of its MeterValues in the order received, repeats included.
    pub meter_values: Vec<Value>,
    /// How often its StartTransaction was received.
    pub start_count: u32,
    /// How often its StopTransaction was received.
    pub stop_count: u32,
    #[serde(skip)]
    trail: Trail,
}

/// What must be remembered about a transaction to judge what comes next.
#[derive(Debug, Clone, Default, PartialEq)]
struct Trail {
    start_answered: bool,
    stop_answered: bool,
    stop: Option<Value>,
    /// By timestamp and context: whether a MeterValues that held it was answered.
    samples: HashMap<String, bool>,
    last_sample: Option<Timestamp>,
}

/// A message about a transaction that nobody had started.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stray {
    /// The charge point.
    pub identity: String,
    /// `MeterValues` or `StopTransaction`.
    pub action: String,
    /// The id it named.
    pub transaction_id: i64,
    /// Its payload.
    pub payload: Value,
}

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
                    "MeterValues" => self.measured(identity, payload),
                    "StopTransaction" => self.stopped(identity, payload),
                    _ => None,
                };
                if let Some(request) = request {
                    self.open_requests.insert(key, request);
                }
            }
            (Direction::ToStation, Message::Result { id, payload }) => {
                if let Some(request) = self.open_requests.remove(&(identity.to_owned(), id.clone())) {
                    self.answered(identity, request, payload);
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
        let key = StartKey { identity: identity.to_owned(), connector, timestamp: timestamp.to_owned(), meter_start };
        let name = format!("{identity}: StartTransaction on connector {connector} at {timestamp}");
        let message = (identity.to_owned(), id.to_owned());

        let known = self.starts.get(&key).copied();
        if let Some((index, transaction)) = known.and_then(|index| Some((index, self.transactions.get_mut(index)?))) {
            transaction.start_count = transaction.start_count.saturating_add(1);
            let answered = transaction.trail.start_answered;
            let other_tag = transaction.id_tag != id_tag;
            self.start_ids.insert(message, index);
            self.odd_repeat(&name, answered);
            if other_tag {
                self.odd(format!("{name} sent again with another idTag"));
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
            trail: Trail::default(),
        });
        Some(Request::Start(index))
    }

    fn measured(&mut self, identity: &str, payload: &Value) -> Option<Request> {
        // Values outside a transaction are nobody's energy.
        let transaction_id = payload.get("transactionId").filter(|id| !id.is_null())?;
        let index = self.named(identity, "MeterValues", transaction_id, payload)?;
        self.book_samples(index, payload)
    }

    fn stopped(&mut self, identity: &str, payload: &Value) -> Option<Request> {
        let transaction_id = payload.get("transactionId").unwrap_or(&Value::Null);
        let index = self.named(identity, "StopTransaction", transaction_id, payload)?;
        self.book_stop(index, payload)
    }

    /// The transaction a message names; one that names none is kept as a stray.
    fn named(&mut self, identity: &str, action: &str, transaction_id: &Value, payload: &Value) -> Option<usize> {
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

    fn book_stop(&mut self, index: usize, payload: &Value) -> Option<Request> {
        let transaction = self.transactions.get_mut(index)?;
        let what = format!("StopTransaction of {}", transaction.name());
        transaction.stop_count = transaction.stop_count.saturating_add(1);
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

    fn answered(&mut self, identity: &str, request: Request, payload: &Value) {
        match request {
            Request::Start(index) => self.start_answered(identity, index, payload),
            Request::Stop(index) => {
                if let Some(transaction) = self.transactions.get_mut(index) {
                    transaction.trail.stop_answered = true;
                }
            }
            Request::Samples(index, keys) => {
                if let Some(transaction) = self.transactions.get_mut(index) {
                    transaction.trail.samples.extend(keys.into_iter().map(|key| (key, true)));
                }
            }
        }
    }

    fn start_answered(&mut self, identity: &str, index: usize, payload: &Value) {
        let Some(transaction) = self.transactions.get_mut(index) else { return };
        let Some(transaction_id) = integer(payload, "transactionId") else { return };
        transaction.trail.start_answered = true;
        transaction.transaction_id = Some(transaction_id);
        transaction.tag_status = payload.pointer("/idTagInfo/status").and_then(Value::as_str).map(str::to_owned);
        // An id given before stays valid too: the station may have taken either.
        self.by_transaction.insert((identity.to_owned(), transaction_id), index);

        let belongs = |stray: &mut Stray| stray.identity == identity && stray.transaction_id == transaction_id;
        let early: Vec<Stray> = self.strays.extract_if(.., belongs).collect();
        for Stray { action, payload, .. } in early {
            self.odd(format!(
                "{identity}: {action} of transaction {transaction_id} before its StartTransaction was answered"
            ));
            if action == "StopTransaction" {
                self.book_stop(index, &payload);
            } else {
                self.book_samples(index, &payload);
            }
        }
    }
}

impl Transaction {
    fn name(&self) -> String {
        match self.transaction_id {
            Some(id) => format!("{} transaction {id}", self.identity),
            None => format!("{} transaction on connector {} from {}", self.identity, self.connector, self.timestamp),
        }
    }

    /// Whether a stop is still owed: a transaction whose tag was refused need not have become one.
    fn is_open(&self) -> bool {
        self.stop_count == 0 && self.tag_status.as_deref().is_none_or(|status| status == "Accepted")
    }
}

fn integer(payload: &Value, name: &str) -> Option<i64> {
    payload.get(name).and_then(Value::as_i64)
}

fn text<'a>(payload: &'a Value, name: &str) -> Option<&'a str> {
    payload.get(name).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A scripted conversation of one charge point.
    #[derive(Default)]
    struct Script {
        frames: Vec<Frame>,
    }

    impl Script {
        fn push(&mut self, direction: Direction, message: Message) {
            let seq = u64::try_from(self.frames.len()).unwrap();
            self.frames.push(Frame {
                seq,
                at: Timestamp::UNIX_EPOCH,
                offset_millis: seq,
                identity: "CP1".into(),
                direction,
                raw: String::new(),
                message,
            });
        }

        fn ask(&mut self, id: &str, action: &str, payload: Value) -> &mut Self {
            self.push(Direction::FromStation, Message::Call { id: id.into(), action: action.into(), payload });
            self
        }

        fn answer(&mut self, id: &str, payload: Value) -> &mut Self {
            self.push(Direction::ToStation, Message::Result { id: id.into(), payload });
            self
        }

        fn start(&mut self, id: &str) -> &mut Self {
            self.ask(id, "StartTransaction", start_payload("2026-01-01T00:00:00Z"))
        }

        fn given(&mut self, id: &str, transaction_id: i64) -> &mut Self {
            self.answer(id, json!({"transactionId": transaction_id, "idTagInfo": {"status": "Accepted"}}))
        }

        fn meter(&mut self, id: &str, transaction_id: i64, timestamp: &str) -> &mut Self {
            let value = json!({"timestamp": timestamp, "sampledValue": [{"value": "5"}]});
            self.ask(
                id,
                "MeterValues",
                json!({"connectorId": 1, "transactionId": transaction_id, "meterValue": [value]}),
            )
        }

        fn stop(&mut self, id: &str, transaction_id: i64) -> &mut Self {
            let payload = json!({
                "transactionId": transaction_id, "meterStop": 900, "timestamp": "2026-01-01T01:00:00Z", "reason": "Remote",
            });
            self.ask(id, "StopTransaction", payload)
        }

        fn books(&self) -> Books {
            Books::of(&self.frames)
        }
    }

    fn start_payload(timestamp: &str) -> Value {
        json!({"connectorId": 1, "idTag": "A", "meterStart": 100, "timestamp": timestamp})
    }

    const FIVE_PAST: &str = "2026-01-01T00:05:00Z";

    #[test]
    fn a_plain_transaction_is_booked_without_remark() {
        let mut script = Script::default();
        script.start("1").given("1", 1000);
        script.meter("2", 1000, FIVE_PAST).answer("2", json!({}));
        script.stop("3", 1000).answer("3", json!({}));
        let books = script.books();
        assert_eq!(books.irregularities, [] as [&str; 0]);
        let [booked] = transactions(&script.frames).try_into().unwrap();
        assert_eq!((booked.transaction_id, booked.connector, booked.id_tag.as_str()), (Some(1000), 1, "A"));
        assert_eq!((booked.meter_start, booked.meter_stop), (100, Some(900)));
        assert_eq!((booked.start_count, booked.stop_count, booked.meter_values.len()), (1, 1, 1));
        assert_eq!(booked.reason.as_deref(), Some("Remote"));
        assert_eq!(booked.stop_timestamp.as_deref(), Some("2026-01-01T01:00:00Z"));
    }

    #[test]
    fn duplicate_start() {
        for (answered, second_id) in [(true, "1"), (true, "2"), (false, "1"), (false, "2")] {
            let mut script = Script::default();
            script.start("1");
            if answered {
                script.given("1", 1000);
            }
            script.start(second_id).given(second_id, 1000);
            let books = script.books();
            let [booked] = books.transactions.as_slice() else { panic!("{:?}", books.transactions) };
            assert_eq!((booked.start_count, booked.transaction_id), (2, Some(1000)));
            assert_eq!(books.irregularities.len(), 1);
            assert_eq!(books.unexcused().count(), usize::from(answered), "{:?}", books.irregularities);
        }
    }

    #[test]
    fn a_repeat_that_is_given_another_id_is_found_under_both() {
        let mut script = Script::default();
        script.start("1").given("1", 1000).start("2").given("2", 1001).stop("3", 1000);
        let books = script.books();
        assert_eq!(books.transactions.len(), 1);
        assert_eq!(books.transaction("CP1", 1000), books.transaction("CP1", 1001));
        assert_eq!(books.transactions[0].stop_count, 1);
    }

    #[test]
    fn a_message_id_used_for_two_starts_is_odd() {
        let mut script = Script::default();
        script.start("1").given("1", 1000).stop("2", 1000);
        script.ask("1", "StartTransaction", start_payload("2026-01-01T02:00:00Z")).given("1", 1001);
        let books = script.books();
        assert_eq!(books.transactions.iter().map(|t| t.start_count).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(books.unexcused().count(), 1);
    }

    #[test]
    fn start_on_a_connector_whose_transaction_is_open() {
        for (status, remarks) in [("Accepted", 1), ("ConcurrentTx", 0)] {
            let mut script = Script::default();
            script.start("1").answer("1", json!({"transactionId": 0, "idTagInfo": {"status": status}}));
            script.ask("2", "StartTransaction", start_payload("2026-01-01T02:00:00Z")).given("2", 1001);
            assert_eq!(script.books().unexcused().count(), remarks, "{status}");
        }
    }

    #[test]
    fn stop_without_start() {
        let mut script = Script::default();
        script.stop("1", -1).answer("1", json!({}));
        let books = script.books();
        assert_eq!(books.transactions, []);
        assert_eq!(books.strays.iter().map(|stray| stray.transaction_id).collect::<Vec<_>>(), [-1]);
        assert!(books.irregularities[0].contains("unknown transaction -1"), "{:?}", books.irregularities);
    }

    #[test]
    fn stop_before_start() {
        let mut script = Script::default();
        script.stop("1", 1000).answer("1", json!({})).start("2").given("2", 1000);
        let books = script.books();
        assert_eq!(books.strays, []);
        assert_eq!((books.transactions[0].stop_count, books.transactions[0].meter_stop), (1, Some(900)));
        assert!(books.irregularities[1].contains("before its StartTransaction"), "{:?}", books.irregularities);
    }

    #[test]
    fn doubled_stop() {
        let mut script = Script::default();
        script.start("1").given("1", 1000).stop("2", 1000).stop("3", 1000).answer("3", json!({}));
        assert_eq!(script.books().unexcused().count(), 0, "an unanswered stop is to be repeated");
        script.stop("4", 1000);
        let books = script.books();
        assert_eq!(books.transactions[0].stop_count, 3);
        assert_eq!((books.irregularities.len(), books.unexcused().count()), (2, 1));
        script.ask(
            "5",
            "StopTransaction",
            json!({"transactionId": 1000, "meterStop": 901, "timestamp": "2026-01-01T01:00:00Z"}),
        );
        let books = script.books();
        assert_eq!(books.transactions[0].meter_stop, Some(900));
        assert!(books.irregularities.last().unwrap().contains("other content"), "{:?}", books.irregularities);
    }

    #[test]
    fn meter_values_doubled() {
        let mut script = Script::default();
        script.start("1").given("1", 1000).meter("2", 1000, FIVE_PAST).meter("3", 1000, FIVE_PAST);
        assert_eq!(script.books().unexcused().count(), 0);
        script.answer("3", json!({})).meter("4", 1000, FIVE_PAST);
        let books = script.books();
        assert_eq!(books.transactions[0].meter_values.len(), 3);
        assert_eq!((books.irregularities.len(), books.unexcused().count()), (2, 1));
    }

    #[test]
    fn samples_of_different_contexts_may_share_a_second() {
        let mut script = Script::default();
        script.start("1").given("1", 1000).meter("2", 1000, FIVE_PAST).answer("2", json!({}));
        let clock = json!({"timestamp": FIVE_PAST, "sampledValue": [{"value": "5", "context": "Sample.Clock"}]});
        script.ask("3", "MeterValues", json!({"connectorId": 1, "transactionId": 1000, "meterValue": [clock]}));
        assert_eq!(script.books().irregularities, [] as [&str; 0]);
    }

    #[test]
    fn meter_values_of_an_unknown_transaction_or_of_none() {
        let mut script = Script::default();
        script.ask("1", "MeterValues", json!({"connectorId": 1, "meterValue": []}));
        assert_eq!(script.books().irregularities, [] as [&str; 0]);
        script.meter("2", 77, FIVE_PAST);
        let books = script.books();
        assert!(books.irregularities[0].contains("unknown transaction 77"), "{:?}", books.irregularities);
        assert_eq!(books.strays.len(), 1);
    }

    #[test]
    fn values_out_of_order() {
        let mut script = Script::default();
        script.start("1").given("1", 1000).meter("2", 1000, FIVE_PAST).meter("3", 1000, "2026-01-01T00:04:00Z");
        script.stop("4", 1000).meter("5", 1000, "2026-01-01T00:06:00Z");
        let books = script.books();
        let found: Vec<_> = books.unexcused().collect();
        assert!(found[0].contains("after later ones") && found[1].contains("after its stop"), "{found:?}");
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_stop_that_goes_back_in_time_or_energy() {
        let mut script = Script::default();
        script.start("1").given("1", 1000);
        script.ask(
            "2",
            "StopTransaction",
            json!({"transactionId": 1000, "meterStop": 99, "timestamp": "2025-12-31T23:59:59Z"}),
        );
        let books = script.books();
        let found: Vec<_> = books.unexcused().collect();
        assert!(found[0].contains("below its meterStart") && found[1].contains("before its start"), "{found:?}");
    }

    #[test]
    fn requests_without_their_fields_are_odd_and_not_booked() {
        let mut script = Script::default();
        script.ask("1", "StartTransaction", json!({"connectorId": 1}));
        script.ask("2", "StopTransaction", json!({"meterStop": 1}));
        let books = script.books();
        assert_eq!(books.transactions, []);
        assert_eq!(books.irregularities.len(), 2);
    }

    #[test]
    fn the_answer_to_a_later_request_with_the_same_id_settles_only_that() {
        let mut script = Script::default();
        script.start("1").given("1", 1000).stop("2", 1000);
        script.ask("2", "Heartbeat", json!({})).answer("2", json!({})).stop("3", 1000);
        assert_eq!(script.books().unexcused().count(), 0);
    }
}
