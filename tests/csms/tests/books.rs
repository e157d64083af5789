//! The account that the books make of a run of frames.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

use busbar_csms::{Books, Direction, Frame, Message, transactions};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A scripted conversation of one charge point.
#[derive(Default)]
struct Script {
    frames: Vec<Frame>,
    doubtful: bool,
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
            doubtful: self.doubtful,
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
        self.ask(id, "MeterValues", json!({"connectorId": 1, "transactionId": transaction_id, "meterValue": [value]}))
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
fn case_26_the_reservation_of_a_start_is_booked_and_a_repeat_that_names_another_is_odd() {
    for (first, second, oddities) in [
        (json!(12), json!(12), 1),
        (json!(-7), json!(12), 2),
        (Value::Null, Value::Null, 1),
        (json!(12), Value::Null, 2),
    ] {
        let mut script = Script::default();
        for (id, reservation) in [("1", &first), ("2", &second)] {
            let mut payload = start_payload("2026-01-01T00:00:00Z");
            if !reservation.is_null() {
                payload["reservationId"] = reservation.clone();
            }
            script.ask(id, "StartTransaction", payload);
        }
        let books = script.books();
        assert_eq!(books.transactions[0].reservation_id, first.as_i64());
        assert_eq!(books.irregularities.len(), oddities, "{:?}", books.irregularities);
        assert_eq!(books.unexcused().count(), oddities - 1, "the repeat itself is in order");
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

#[test]
fn message_ids_are_noted_and_a_repeat_under_the_same_one_is_one_message() {
    let mut script = Script::default();
    script.start("1").start("1").start("2").given("2", 1000).stop("3", 1000).stop("3", 1000);
    let books = script.books();
    let [booked] = books.transactions.as_slice() else { panic!("{:?}", books.transactions) };
    assert_eq!((booked.start_count, booked.stop_count), (3, 2));
    assert_eq!(booked.start_message_ids, ["1", "2"]);
    assert_eq!(booked.stop_message_ids, ["3"]);
}

#[test]
fn an_answer_that_may_have_been_lost_gives_the_id_and_excuses_a_repeat() {
    let mut script = Script { doubtful: true, ..Script::default() };
    script.start("1").given("1", 1000).start("1").given("1", 1000);
    script.meter("2", 1000, FIVE_PAST).answer("2", json!({})).meter("2", 1000, FIVE_PAST).answer("2", json!({}));
    script.stop("3", 1000).answer("3", json!({})).stop("3", 1000);
    let books = script.books();
    assert_eq!(books.transaction("CP1", 1000).unwrap().stop_count, 2);
    assert_eq!((books.irregularities.len(), books.unexcused().count()), (3, 0));
    script.doubtful = false;
    script.answer("3", json!({})).stop("3", 1000);
    assert_eq!(script.books().unexcused().count(), 1);
}
