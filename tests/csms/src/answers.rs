//! How requests of a station are answered: ordinary answers, and those a test put in their place. Pure: the time and
//! the request are arguments, the text to send is the result.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::chaos::{Chaos, Imp, Trick};
use crate::frame::{error_text, result_text};

/// Transactions whose start is remembered, so that a repeated StartTransaction gets the same id again.
const REMEMBERED_STARTS: usize = 4096;

/// What a request is answered with instead of the ordinary answer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// The ordinary answer.
    Ordinary,
    /// A CALLRESULT with exactly this payload.
    Payload(Value),
    /// The ordinary answer with these top-level fields put over it.
    Patched(Value),
    /// A CALLERROR.
    Error {
        /// Error code, such as `InternalError`.
        code: String,
        /// Text for people.
        #[serde(default)]
        description: String,
    },
    /// This text as it stands, with the request's message id in place of `$ID`.
    Raw(String),
    /// No answer at all.
    Nothing,
    /// No answer, and the connection is reset.
    Drop,
    /// Another answer, later; the request is looked at now.
    After {
        /// How long to wait.
        millis: u64,
        /// What to do then.
        then: Box<Answer>,
    },
}

impl Answer {
    /// A CALLERROR with an empty description.
    #[must_use]
    pub fn error(code: &str) -> Self {
        Self::Error { code: code.to_owned(), description: String::new() }
    }

    /// The same answer, given later.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self::After { millis: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), then: Box::new(self) }
    }
}

/// What the connection has to do about a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Response {
    pub(crate) delay: Duration,
    pub(crate) deed: Deed,
}

/// The deed itself, once the delay is over: texts are sent, then the connection may be reset.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Deed {
    pub(crate) texts: Vec<String>,
    pub(crate) cut: bool,
    /// The station may have given up by then, or may lose the answer with the connection.
    pub(crate) doubtful: bool,
}

impl Deed {
    pub(crate) fn send(text: String) -> Self {
        Self { texts: vec![text], ..Self::default() }
    }

    pub(crate) fn cut() -> Self {
        Self { cut: true, ..Self::default() }
    }
}

/// What makes a StartTransaction a repeat: the identity, the message id unless repeats are merged anyway, and the
/// payload word for word.
type StartKey = (String, Option<String>, String);

/// The back office's desk: tags, transaction ids, and the answers a test has put in place.
#[derive(Debug)]
pub(crate) struct Desk {
    boot_status: String,
    interval_seconds: i64,
    next_transaction: i64,
    merge_repeated_starts: bool,
    /// The transaction that each start was given, and the starts by age.
    starts: HashMap<StartKey, i64>,
    starts_by_age: VecDeque<StartKey>,
    /// The `idTagInfo` by tag in lower case: idTags compare without regard to case.
    tags: HashMap<String, Value>,
    lasting: HashMap<String, Answer>,
    once: HashMap<String, VecDeque<Answer>>,
    imp: Option<Imp>,
}

impl Desk {
    pub(crate) fn new(interval_seconds: i64, first_transaction: i64, merge_repeated_starts: bool) -> Self {
        Self {
            boot_status: "Accepted".to_owned(),
            interval_seconds,
            next_transaction: first_transaction,
            merge_repeated_starts,
            starts: HashMap::new(),
            starts_by_age: VecDeque::new(),
            tags: HashMap::new(),
            lasting: HashMap::new(),
            once: HashMap::new(),
            imp: None,
        }
    }

    pub(crate) fn set_chaos(&mut self, chaos: Option<Chaos>) {
        self.imp = chaos.map(Imp::new);
    }

    /// The tricks played since chaos was switched on.
    pub(crate) fn tricks(&self) -> BTreeMap<Trick, u64> {
        self.imp.as_ref().map(|imp| imp.played().clone()).unwrap_or_default()
    }

    pub(crate) fn set_boot(&mut self, status: &str, interval_seconds: i64) {
        status.clone_into(&mut self.boot_status);
        self.interval_seconds = interval_seconds;
    }

    pub(crate) fn set_tag(&mut self, tag: &str, info: Value) {
        self.tags.insert(tag.to_lowercase(), info);
    }

    pub(crate) fn on(&mut self, action: &str, answer: Answer) {
        if answer == Answer::Ordinary {
            self.lasting.remove(action);
        } else {
            self.lasting.insert(action.to_owned(), answer);
        }
    }

    pub(crate) fn once(&mut self, action: &str, answer: Answer) {
        self.once.entry(action.to_owned()).or_default().push_back(answer);
    }

    /// Decides about one request.
    pub(crate) fn respond(
        &mut self,
        now: Timestamp,
        identity: &str,
        id: &str,
        action: &str,
        payload: &Value,
    ) -> Response {
        let put = self.once.get_mut(action).and_then(VecDeque::pop_front);
        let Some(mut answer) = put.or_else(|| self.lasting.get(action).cloned()) else {
            let text = self.ordinary_text(now, identity, id, action, payload, None);
            return match &mut self.imp {
                Some(imp) => imp.play(id, action, text),
                None => Response { delay: Duration::ZERO, deed: Deed::send(text) },
            };
        };
        let mut delay = Duration::ZERO;
        while let Answer::After { millis, then } = answer {
            delay = delay.saturating_add(Duration::from_millis(millis));
            answer = *then;
        }
        let deed = match answer {
            Answer::Nothing | Answer::After { .. } => Deed::default(),
            Answer::Drop => Deed::cut(),
            Answer::Raw(text) => Deed::send(text.replace("$ID", id)),
            Answer::Error { code, description } => Deed::send(error_text(id, &code, &description)),
            Answer::Payload(payload) => Deed::send(result_text(id, &payload)),
            Answer::Ordinary => Deed::send(self.ordinary_text(now, identity, id, action, payload, None)),
            Answer::Patched(patch) => Deed::send(self.ordinary_text(now, identity, id, action, payload, Some(&patch))),
        };
        Response { delay, deed }
    }

    fn ordinary_text(
        &mut self,
        now: Timestamp,
        identity: &str,
        id: &str,
        action: &str,
        payload: &Value,
        patch: Option<&Value>,
    ) -> String {
        let Some(mut fields) = self.ordinary(now, identity, id, action, payload) else {
            return error_text(id, "NotImplemented", &format!("{action} is not known here"));
        };
        for (name, value) in patch.and_then(Value::as_object).into_iter().flatten() {
            fields.insert(name.clone(), value.clone());
        }
        result_text(id, &Value::Object(fields))
    }

    fn ordinary(
        &mut self,
        now: Timestamp,
        identity: &str,
        id: &str,
        action: &str,
        payload: &Value,
    ) -> Option<Map<String, Value>> {
        let tag = payload.get("idTag").and_then(Value::as_str);
        let answer = match action {
            "BootNotification" => json!({
                "status": self.boot_status,
                "currentTime": format!("{now:.3}"),
                "interval": self.interval_seconds,
            }),
            "Heartbeat" => json!({ "currentTime": format!("{now:.3}") }),
            "Authorize" => json!({ "idTagInfo": self.tag_info(tag.unwrap_or_default()) }),
            "StartTransaction" => json!({
                "transactionId": self.transaction_id(identity, id, payload),
                "idTagInfo": self.tag_info(tag.unwrap_or_default()),
            }),
            "StopTransaction" => match tag {
                Some(tag) => json!({ "idTagInfo": self.tag_info(tag) }),
                None => json!({}),
            },
            "DataTransfer" | "SignCertificate" => json!({ "status": "Accepted" }),
            "MeterValues"
            | "StatusNotification"
            | "FirmwareStatusNotification"
            | "DiagnosticsStatusNotification"
            | "LogStatusNotification"
            | "SecurityEventNotification"
            | "SignedFirmwareStatusNotification" => json!({}),
            _ => return None,
        };
        match answer {
            Value::Object(fields) => Some(fields),
            _ => None,
        }
    }

    fn tag_info(&self, tag: &str) -> Value {
        self.tags.get(&tag.to_lowercase()).cloned().unwrap_or_else(|| id_tag_info("Accepted", None, None))
    }

    fn transaction_id(&mut self, identity: &str, id: &str, payload: &Value) -> i64 {
        let id = (!self.merge_repeated_starts).then(|| id.to_owned());
        let key = (identity.to_owned(), id, payload.to_string());
        if let Some(given) = self.starts.get(&key) {
            return *given;
        }
        let transaction_id = self.next_transaction;
        self.next_transaction = transaction_id.saturating_add(1);
        self.starts.insert(key.clone(), transaction_id);
        self.starts_by_age.push_back(key);
        if self.starts_by_age.len() > REMEMBERED_STARTS {
            let oldest = self.starts_by_age.pop_front();
            oldest.map(|oldest| self.starts.remove(&oldest));
        }
        transaction_id
    }
}

/// The `idTagInfo` of these fields, those that are there.
pub(crate) fn id_tag_info(status: &str, parent: Option<&str>, expiry: Option<&str>) -> Value {
    let fields = [("status", Some(status)), ("parentIdTag", parent), ("expiryDate", expiry)];
    let there = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
    Value::Object(there.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Message;

    fn desk() -> Desk {
        Desk::new(300, 1000, true)
    }

    fn sent(desk: &mut Desk, action: &str, payload: &Value) -> Message {
        let deed = desk.respond(Timestamp::UNIX_EPOCH, "CP1", "m", action, payload).deed;
        match deed.texts.as_slice() {
            [text] => Message::parse(text),
            other => panic!("{other:?}"),
        }
    }

    fn payload(desk: &mut Desk, action: &str, request: &Value) -> Value {
        match sent(desk, action, request) {
            Message::Result { id, payload } if id == "m" => payload,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn ordinary_answers() {
        let mut desk = desk();
        desk.set_tag("Bad", id_tag_info("Blocked", None, None));
        desk.set_tag("Child", id_tag_info("Accepted", Some("Parent"), None));
        desk.set_tag("Guest", id_tag_info("Accepted", Some("Parent"), Some("2026-01-01T00:00:00Z")));
        desk.set_tag("Odd", json!({"state": "Accepted"}));
        let start = |meter: i64| json!({"connectorId": 1, "idTag": "bAD", "meterStart": meter, "timestamp": "t"});
        for (action, request, answer) in [
            (
                "BootNotification",
                json!({}),
                json!({"status": "Accepted", "interval": 300, "currentTime": "1970-01-01T00:00:00.000Z"}),
            ),
            ("Heartbeat", json!({}), json!({"currentTime": "1970-01-01T00:00:00.000Z"})),
            ("Authorize", json!({"idTag": "x"}), json!({"idTagInfo": {"status": "Accepted"}})),
            (
                "Authorize",
                json!({"idTag": "CHILD"}),
                json!({"idTagInfo": {"status": "Accepted", "parentIdTag": "Parent"}}),
            ),
            (
                "Authorize",
                json!({"idTag": "gUEST"}),
                json!({"idTagInfo": {
                    "status": "Accepted", "parentIdTag": "Parent", "expiryDate": "2026-01-01T00:00:00Z",
                }}),
            ),
            ("Authorize", json!({"idTag": "odd"}), json!({"idTagInfo": {"state": "Accepted"}})),
            ("StartTransaction", start(1), json!({"transactionId": 1000, "idTagInfo": {"status": "Blocked"}})),
            ("StartTransaction", start(2), json!({"transactionId": 1001, "idTagInfo": {"status": "Blocked"}})),
            ("StartTransaction", start(1), json!({"transactionId": 1000, "idTagInfo": {"status": "Blocked"}})),
            ("StopTransaction", json!({"transactionId": 1000}), json!({})),
            (
                "StopTransaction",
                json!({"transactionId": 1000, "idTag": "x"}),
                json!({"idTagInfo": {"status": "Accepted"}}),
            ),
            ("MeterValues", json!({}), json!({})),
            ("SecurityEventNotification", json!({}), json!({})),
            ("DataTransfer", json!({}), json!({"status": "Accepted"})),
        ] {
            assert_eq!(payload(&mut desk, action, &request), answer, "{action}");
        }
        assert!(
            matches!(sent(&mut desk, "Nonsense", &json!({})), Message::Error { code, .. } if code == "NotImplemented")
        );
    }

    #[test]
    fn a_desk_that_does_not_merge_tells_repeats_by_their_message_id() {
        let mut desk = Desk::new(300, 7, false);
        let request = json!({"connectorId": 1, "idTag": "x", "meterStart": 0, "timestamp": "t"});
        for (message, id) in [("a", 7), ("b", 8), ("a", 7)] {
            assert_eq!(desk.transaction_id("CP1", message, &request), id, "{message}");
        }
        let other = json!({"connectorId": 2, "idTag": "x", "meterStart": 0, "timestamp": "t"});
        assert_eq!(desk.transaction_id("CP1", "a", &other), 9, "another start under a used id");
    }

    #[test]
    fn only_the_latest_starts_are_remembered() {
        let mut desk = desk();
        let start = |n: usize| json!({"connectorId": 1, "meterStart": n});
        for n in 0..REMEMBERED_STARTS * 2 {
            desk.transaction_id("CP1", "m", &start(n));
        }
        assert_eq!((desk.starts.len(), desk.starts_by_age.len()), (REMEMBERED_STARTS, REMEMBERED_STARTS));
        assert_eq!(desk.transaction_id("CP1", "m", &start(REMEMBERED_STARTS * 2 - 1)), 1000 + 8191);
        assert_eq!(desk.transaction_id("CP1", "m", &start(0)), 1000 + 8192);
    }

    #[test]
    fn chaos_spares_what_a_test_has_put_and_can_be_switched_off() {
        let mut desk = desk();
        let never = crate::chaos::Odds { never: 1.0, ..Default::default() };
        desk.set_chaos(Some(Chaos { odds: never, ..Chaos::default() }));
        desk.once("Heartbeat", Answer::Payload(json!({"put": true})));
        assert_eq!(payload(&mut desk, "Heartbeat", &json!({})), json!({"put": true}));
        let start = json!({"connectorId": 1, "idTag": "x", "meterStart": 0, "timestamp": "t"});
        let lost = desk.respond(Timestamp::UNIX_EPOCH, "CP1", "m", "StartTransaction", &start);
        assert_eq!(lost.deed, Deed::default());
        assert_eq!(desk.tricks(), BTreeMap::from([(Trick::Never, 1)]));
        desk.set_chaos(None);
        // The lost answer had given an id, and the repeat gets the same.
        assert_eq!(payload(&mut desk, "StartTransaction", &start).get("transactionId"), Some(&json!(1000)));
    }

    #[test]
    fn put_answers_come_first_and_one_shot_ones_only_once() {
        let mut desk = desk();
        desk.on("Heartbeat", Answer::Payload(json!({"lasting": true})));
        desk.once("Heartbeat", Answer::error("InternalError"));
        desk.once("Heartbeat", Answer::Nothing.after(Duration::from_millis(3)).after(Duration::from_millis(4)));
        assert!(
            matches!(sent(&mut desk, "Heartbeat", &json!({})), Message::Error { code, .. } if code == "InternalError")
        );
        let second = desk.respond(Timestamp::UNIX_EPOCH, "CP1", "m", "Heartbeat", &json!({}));
        assert_eq!(second, Response { delay: Duration::from_millis(7), deed: Deed::default() });
        for _ in 0..2 {
            assert_eq!(payload(&mut desk, "Heartbeat", &json!({})), json!({"lasting": true}));
        }
        desk.on("Heartbeat", Answer::Ordinary);
        assert!(payload(&mut desk, "Heartbeat", &json!({})).get("currentTime").is_some());
    }

    #[test]
    fn patches_raw_texts_and_drops() {
        let mut desk = desk();
        desk.once("BootNotification", Answer::Patched(json!({"status": "Pending", "interval": 1})));
        let boot = payload(&mut desk, "BootNotification", &json!({}));
        assert_eq!((boot.get("status"), boot.get("interval")), (Some(&json!("Pending")), Some(&json!(1))));
        assert!(boot.get("currentTime").is_some());
        desk.once("Heartbeat", Answer::Raw(r#"[3,"$ID"]"#.into()));
        let raw = desk.respond(Timestamp::UNIX_EPOCH, "CP1", "m", "Heartbeat", &json!({}));
        assert_eq!(raw.deed, Deed::send(r#"[3,"m"]"#.into()));
        desk.once("Heartbeat", Answer::Drop);
        assert_eq!(desk.respond(Timestamp::UNIX_EPOCH, "CP1", "m", "Heartbeat", &json!({})).deed, Deed::cut());
    }
}
