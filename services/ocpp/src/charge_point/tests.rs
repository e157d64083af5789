//! The charge point against a CSMS that the test plays.

use super::bench::{Bench, keys, status};
use super::requests::MOST_ANSWERING;
use super::*;
use crate::delivery::examples::{sample, started, stopped};
use crate::exchange::{Answer, NoAnswer, Question};
use busbar_interfaces::faults::{ActiveFault, FaultsState};
use busbar_interfaces::words::{AuthorizationStatus, ConnectorStatus, FaultClass, SetVerdict, Verdict};
use busbar_interfaces::{TransactionId, UnixMillis};
use busbar_ocpp16::frame;
use serde_json::{Value, json};

#[test]
fn tc_001_case_b25_the_station_introduces_itself_and_tells_its_connectors_when_they_are_known() {
    let mut bench = Bench::new();
    assert_eq!(bench.link(), Link::Disconnected);
    assert_eq!(bench.next_wake(), None);
    bench.step(Input::Faults(View::Present(FaultsState::default())));
    bench.append([]);
    bench.step(Input::Connector(ConnectorId(1), View::Present(status(ConnectorStatus::Available))));
    bench.step(Input::Connector(ConnectorId(2), View::Present(status(ConnectorStatus::Charging))));
    bench.step(Input::Settings(View::Present(keys(&[]))));
    bench.open();
    assert_eq!(bench.link(), Link::Registering);
    assert_eq!(bench.point.shown().central_system_url, "ws://csms/ocpp");
    assert_eq!(bench.point.shown().identity, "CP1");
    let boot = bench.call("BootNotification");
    assert_eq!(
        boot[3],
        json!({"chargePointVendor": "Schneider Electric", "chargePointModel": "EVD1S180TBB",
               "chargePointSerialNumber": "S1", "firmwareVersion": env!("CARGO_PKG_VERSION")})
    );
    bench.quiet();
    bench.answer(&boot, &json!({"status": "Accepted", "interval": 300, "currentTime": "2026-11-01T12:00:00Z"}));
    assert_eq!(bench.link(), Link::Accepted);
    for (connector, word) in [(0, "Available"), (1, "Available"), (2, "Charging")] {
        let told = bench.serve(&json!({}), "StatusNotification");
        assert_eq!((&told[3]["connectorId"], &told[3]["status"]), (&json!(connector), &json!(word)));
        assert!(told[3]["timestamp"].is_string());
    }
    bench.quiet();
    bench.pass(300_000);
    bench.serve(&json!({"currentTime": "2026-11-01T12:05:00Z"}), "Heartbeat");
    bench.pass(299_000);
    bench.quiet();
}

#[test]
fn case_19_neither_a_new_link_nor_a_new_process_is_a_boot_and_nothing_is_told_twice() {
    let mut bench = Bench::new();
    bench.step(Input::Connector(ConnectorId(1), View::Present(status(ConnectorStatus::Charging))));
    bench.accepted();
    bench.serve(&json!({}), "StatusNotification");
    bench.end();
    assert_eq!(bench.link(), Link::Disconnected);
    bench.open();
    assert_eq!(bench.link(), Link::Accepted);
    bench.quiet();
    let mut bench = bench.restart();
    bench.step(Input::Settings(View::Present(keys(&[]))));
    bench.step(Input::Connector(ConnectorId(1), View::Present(status(ConnectorStatus::Charging))));
    bench.step(Input::Connector(ConnectorId(2), View::Absent));
    bench.open();
    bench.quiet();
    bench.step(Input::Connector(ConnectorId(1), View::Absent));
    bench.step(Input::Connector(ConnectorId(1), View::Present(status(ConnectorStatus::Finishing))));
    assert_eq!(bench.call("StatusNotification")[3]["status"], "Finishing");
    // The machine itself starts again: the record is gone.
    let mut bench = Bench::restored(bench.ledger, Record::default(), bench.ways, 5000);
    bench.step(Input::Settings(View::Present(keys(&[]))));
    bench.open();
    bench.call("BootNotification");
}

#[test]
fn case_18_pending_answers_and_says_nothing_else_and_rejected_is_silent() {
    let mut bench = Bench::new();
    bench.step(Input::Settings(View::Present(keys(&[]))));
    bench.step(Input::Connector(ConnectorId(1), View::Present(status(ConnectorStatus::Charging))));
    bench.append([started(1, 1)]);
    bench.open();
    bench.boot("Pending", 30);
    bench.quiet();
    assert_eq!(bench.link(), Link::Registering);
    let answer = bench.ask("GetConfiguration", &json!({"key": ["heartbeatinterval"]}));
    assert_eq!(answer[2]["configurationKey"][0]["value"], "60");
    assert_eq!(bench.ask("RemoteStartTransaction", &json!({"idTag": "A"}))[2]["status"], "Rejected");
    bench.step(Input::Authorize { asker: 1, id_tag: "A".into() });
    assert_eq!(bench.verdict(1), Some(Err(NoAnswer::NoLink)));
    bench.pass(29_999);
    bench.quiet();
    bench.pass(1);
    bench.boot("Rejected", 0);
    bench.text(&json!([2, "q", "GetConfiguration", {}]).to_string());
    bench.text("nonsense");
    bench.pass(9_999);
    bench.quiet();
    bench.pass(1);
    let boot = bench.call("BootNotification");
    bench.text(&json!([4, boot[1], "InternalError", "", {}]).to_string());
    bench.pass(10_000);
    bench.boot("Accepted", 0);
    bench.serve(&json!({}), "StatusNotification");
    bench.call("StartTransaction");
}

#[test]
fn case_01_case_b18_a_charge_goes_over_with_the_number_of_the_csms_also_a_negative_one() {
    let mut bench = Bench::new();
    bench.accepted();
    bench.append([started(1, 7), sample(2, 7), stopped(3, 7)]);
    let start = bench.call("StartTransaction");
    assert_eq!(start[1], "j-abc-1");
    bench.quiet();
    bench.answer(&start, &json!({"transactionId": -4, "idTagInfo": {"status": "Accepted"}}));
    let values = bench.serve(&json!({}), "MeterValues");
    assert_eq!(values[3]["transactionId"], -4);
    let values = &values[3]["meterValue"][0]["sampledValue"];
    assert_eq!((&values[0]["value"], &values[1]["unit"]), (&json!("12345"), &json!("Percent")));
    let stop = bench.serve(&json!({}), "StopTransaction");
    assert_eq!((&stop[3]["transactionId"], &stop[3]["reason"]), (&json!(-4), &json!("Local")));
    bench.quiet();
    assert_eq!((bench.ledger.journal, bench.ledger.cursor, bench.ledger.open.len()), (0xABC, 3, 0));
    assert_eq!(bench.point.shown().confirmed_event, 3);
}

#[test]
fn case_16_the_number_of_a_transaction_is_on_disk_before_it_is_used() {
    let mut bench = Bench::new();
    bench.keep_at_once = false;
    bench.accepted();
    bench.append([started(1, 7), sample(2, 7), sample(3, 7)]);
    bench.serve(&json!({"transactionId": 5}), "StartTransaction");
    bench.quiet();
    assert_eq!(bench.point.shown().confirmed_event, 0);
    bench.step(Input::Kept(Kept { note: bench.last_note, ..Kept::default() }));
    // A sample that is confirmed and not on disk may come twice after a crash, a start or a stop may not.
    bench.serve(&json!({}), "MeterValues");
    bench.serve(&json!({}), "MeterValues");
    bench.append([stopped(4, 7), started(5, 8)]);
    bench.serve(&json!({}), "StopTransaction");
    bench.quiet();
    bench.step(Input::Kept(Kept { note: bench.last_note, ..Kept::default() }));
    bench.call("StartTransaction");
}

fn refuse(bench: &mut Bench, action: &str) -> Value {
    let call = bench.call(action);
    bench.text(&json!([4, call[1], "InternalError", "", {}]).to_string());
    call
}

#[test]
fn case_b20_a_backend_that_stalls_for_a_day_loses_nothing_and_is_asked_ever_less_often() {
    let mut bench = Bench::new();
    bench.accepted();
    bench.step(Input::Settings(View::Present(keys(&[
        ("TransactionMessageAttempts", "1"),
        ("HeartbeatInterval", "86400"),
    ]))));
    bench.append([started(1, 7), stopped(2, 7)]);
    let first = bench.call("StartTransaction");
    for wait in [5, 10, 20, 40, 80, 160, 300, 300] {
        bench.pass(30_000 + wait * 1000 - 1);
        bench.quiet();
        bench.pass(1);
        assert_eq!(bench.call("StartTransaction"), first, "the same to the letter");
    }
    let mut repeats = 0;
    for _ in 0..24 * 60 {
        bench.pass(60_000);
        while let Some(call) = bench.sent.pop_front() {
            if call == first {
                repeats += 1;
            } else {
                bench.answer(&call, &json!({}));
            }
        }
    }
    assert!((200..=270).contains(&repeats), "{repeats}");
    assert_eq!(bench.ledger.cursor, 0);
    bench.answer(&first, &json!({"transactionId": 5}));
    let stop = bench.call("StopTransaction");
    assert_eq!(stop[3]["transactionId"], 5);
    // Another link is another chance, at once.
    bench.pass(30_000);
    bench.end();
    bench.open();
    assert_eq!(bench.call("StopTransaction"), stop);
}

#[test]
fn case_c_s1_a_backend_that_comes_back_with_a_burst_of_errors_has_refused_once() {
    let mut bench = Bench::new();
    bench.accepted();
    bench.append([started(1, 7)]);
    let first = bench.call("StartTransaction");
    bench.pass(30_000);
    for _ in 0..6 {
        bench.text(&json!([4, first[1], "InternalError", "", {}]).to_string());
    }
    bench.pass(9_999);
    bench.quiet();
    bench.pass(1);
    bench.serve(&json!({"transactionId": 5}), "StartTransaction");
    assert_eq!((bench.ledger.cursor, bench.undelivered().len()), (1, 0));
}

#[test]
fn case_12_case_13_case_b17_case_b21_case_c_s19_a_start_that_the_csms_refuses_takes_its_transaction_and_the_rest_goes_on()
 {
    let mut bench = Bench::new();
    bench.accepted();
    bench.append([started(1, 7), sample(2, 7), sample(3, 7), stopped(4, 7), started(5, 8)]);
    let first = refuse(&mut bench, "StartTransaction");
    bench.pass(9_999);
    bench.quiet();
    bench.pass(1);
    let second = bench.call("StartTransaction");
    assert_eq!(second, first, "the same to the letter");
    // A silence is no attempt; the refusal after it is the second one, and is followed by twice the interval.
    bench.pass(30_000 + 4_999);
    bench.quiet();
    bench.pass(1);
    refuse(&mut bench, "StartTransaction");
    bench.pass(19_999);
    bench.quiet();
    bench.pass(1);
    // A confirmation without a number is the third one.
    bench.serve(&json!({"idTagInfo": {"status": "Accepted"}}), "StartTransaction");
    let next = bench.call("StartTransaction");
    assert_eq!(next[1], "j-abc-5", "neither a sample nor a stop without a number goes out");
    assert_eq!(bench.ledger.cursor, 4);
    assert_eq!(bench.undelivered(), [1, 2, 3, 4]);
    assert_eq!(bench.ledger.open, BTreeMap::new());
}

#[test]
fn case_c_s5_a_refused_start_is_refused_after_a_restart_too() {
    let mut bench = Bench::new();
    bench.accepted();
    bench.step(Input::Settings(View::Present(keys(&[("TransactionMessageAttempts", "1")]))));
    bench.append([started(1, 7)]);
    refuse(&mut bench, "StartTransaction");
    let mut bench = bench.restart();
    bench.step(Input::Settings(View::Present(keys(&[]))));
    bench.open();
    bench.append([sample(2, 7), stopped(3, 7), started(4, 8)]);
    assert_eq!(bench.call("StartTransaction")[1], "j-abc-4");
    assert_eq!(bench.undelivered(), [1, 2, 3]);
}

#[test]
fn case_12_case_15_case_c_s2_a_lost_link_is_no_attempt_and_a_late_answer_is_an_answer() {
    let mut bench = Bench::new();
    bench.accepted();
    bench.append([started(1, 7), sample(2, 7)]);
    let first = bench.call("StartTransaction");
    for _ in 0..10 {
        bench.end();
        bench.open();
        assert_eq!(bench.call("StartTransaction"), first);
    }
    assert!(bench.undelivered.is_empty());
    bench.pass(30_000);
    bench.quiet();
    bench.answer(&first, &json!({"transactionId": 5}));
    let values = bench.call("MeterValues");
    assert_eq!(values[3]["transactionId"], 5);
    // The same answer once more is one to nothing.
    bench.answer(&first, &json!({"transactionId": 6}));
    bench.text(&json!([3, "unknown", {}]).to_string());
    assert_eq!(bench.point.traffic().ignored_frames, 2);
    bench.quiet();
}

#[test]
fn case_02_tc_037_2_tc_037_3_session_is_told_of_a_badge_that_is_not_accepted_also_after_a_restart() {
    let refusal = json!({"transactionId": 5, "idTagInfo": {"status": "ConcurrentTx"}});
    let mut bench = Bench::new();
    bench.accepted();
    bench.append([started(1, 7)]);
    bench.serve(&refusal, "StartTransaction");
    assert_eq!(bench.deauthorized(), [TransactionId(7)]);
    let mut bench = bench.restart();
    assert_eq!(bench.deauthorized(), []);
    bench.append([]);
    assert_eq!(bench.deauthorized(), [TransactionId(7)]);
    bench.step(Input::Deauthorized { transaction: TransactionId(7), settled: false });
    bench.pass(200);
    assert_eq!(bench.deauthorized().len(), 2);
    bench.step(Input::Deauthorized { transaction: TransactionId(7), settled: true });
    assert_eq!(bench.ledger.deauthorize, []);
    bench.pass(10_000);
    assert_eq!(bench.deauthorized().len(), 2);
}

/// What it means for the charge is for `session` to say: it ends it, or gives no more energy.
#[test]
fn case_02_session_is_told_with_both_values_of_the_key_whenever_the_csms_does_not_accept() {
    for key in ["true", "false"] {
        for (info, told) in [
            (json!({"status": "Accepted"}), false),
            (json!({"status": "Blocked"}), true),
            (json!({"status": "Expired"}), true),
            (json!({"status": "Invalid"}), true),
            (json!({"status": "ConcurrentTx"}), true),
            // A word that OCPP does not have is no permission; no word is none against the badge.
            (json!({"status": "Perhaps"}), true),
            (json!({}), false),
        ] {
            let mut bench = Bench::new();
            bench.accepted();
            bench.step(Input::Settings(View::Present(keys(&[("StopTransactionOnInvalidId", key)]))));
            bench.append([started(1, 7)]);
            bench.serve(&json!({"transactionId": 0, "idTagInfo": info}), "StartTransaction");
            let expected: &[TransactionId] = if told { &[TransactionId(7)] } else { &[] };
            assert_eq!(bench.deauthorized(), expected, "{key} {info}");
        }
    }
}

#[test]
fn case_17_a_journal_that_is_another_one_is_delivered_from_its_beginning() {
    let mut bench = Bench::new();
    bench.accepted();
    bench.append([started(1, 7), sample(2, 7), stopped(3, 7)]);
    for answer in
        [("StartTransaction", json!({"transactionId": 5})), ("MeterValues", json!({})), ("StopTransaction", json!({}))]
    {
        bench.serve(&answer.1, answer.0);
    }
    bench.step(Input::Session(View::Absent));
    bench.journal.clear();
    bench.journal_id = 0xDEF;
    bench.append([started(1, 1)]);
    let start = bench.call("StartTransaction");
    assert_ne!(start[1], "j-abc-1", "another id than the old journal's");
    bench.answer(&start, &json!({"transactionId": 6}));
    assert_eq!(bench.ledger.cursor, 1);
}

#[test]
fn remote_requests_go_to_the_session() {
    let mut bench = Bench::new();
    bench.accepted();
    assert_eq!(bench.ask("RemoteStartTransaction", &json!({"idTag": "A"}))[2]["status"], "Rejected", "no session");
    bench.append([started(1, 7)]);
    bench.serve(&json!({"transactionId": 5}), "StartTransaction");
    let profile = json!({
        "chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": {"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 5000}]},
    });
    for payload in [json!({"idTag": "A", "connectorId": 0}), json!({"idTag": "A", "chargingProfile": profile})] {
        assert_eq!(bench.ask("RemoteStartTransaction", &payload)[2]["status"], "Rejected");
    }
    for (payload, connector) in [(json!({"idTag": "A"}), 0), (json!({"idTag": "A", "connectorId": 2}), 2)] {
        bench.text(&json!([2, "r", "RemoteStartTransaction", payload]).to_string());
        // The same request again, while it is being answered: one answer.
        bench.text(&json!([2, "r", "RemoteStartTransaction", payload]).to_string());
        bench.quiet();
        let (serial, question) = bench.question();
        assert_eq!(question, Question::RemoteStart { connector: ConnectorId(connector), id_tag: "A".into() });
        bench.step(Input::Answered { serial, answer: Answer::Verdict(Verdict::Accepted) });
        bench.step(Input::Answered { serial, answer: Answer::Verdict(Verdict::Rejected) });
        assert_eq!(bench.sent.pop_front(), Some(json!([3, "r", {"status": "Accepted"}])));
        bench.quiet();
    }
    assert_eq!(bench.ask("RemoteStopTransaction", &json!({"transactionId": 7}))[2]["status"], "Rejected");
    bench.text(&json!([2, "s", "RemoteStopTransaction", {"transactionId": 5}]).to_string());
    let (serial, question) = bench.question();
    assert_eq!(question, Question::RemoteStop { transaction: TransactionId(7) });
    bench.step(Input::Answered { serial, answer: Answer::Failed });
    assert_eq!(bench.sent.pop_front(), Some(json!([3, "s", {"status": "Rejected"}])));
}

#[test]
fn a_change_of_configuration_goes_to_settings_and_too_many_at_once_are_refused() {
    let mut bench = Bench::new();
    bench.accepted();
    let change = json!({"key": "HeartbeatInterval", "value": "10"});
    for (answer, word) in [
        (SetVerdict::Accepted, "Accepted"),
        (SetVerdict::Rejected, "Rejected"),
        (SetVerdict::RebootRequired, "RebootRequired"),
        (SetVerdict::NotSupported, "NotSupported"),
        (SetVerdict::Unknown, "Rejected"),
    ] {
        bench.text(&json!([2, "c", "ChangeConfiguration", change]).to_string());
        let (serial, _) = bench.question();
        bench.step(Input::Answered { serial, answer: Answer::Set(answer) });
        assert_eq!(bench.sent.pop_front(), Some(json!([3, "c", {"status": word}])));
    }
    for number in 0..MOST_ANSWERING {
        bench.text(&json!([2, number.to_string(), "ChangeConfiguration", change]).to_string());
    }
    bench.quiet();
    assert_eq!(bench.ask("ChangeConfiguration", &change)[2], "InternalError");
    assert!(bench.ask("GetConfiguration", &json!({}))[2]["configurationKey"].is_array(), "the views still answer");
    bench.step(Input::Settings(View::Absent));
    assert_eq!(bench.ask("ChangeConfiguration", &change)[2]["status"], "Rejected");
    assert!(bench.ask("GetConfiguration", &json!({}))[2]["configurationKey"].is_array(), "the last values hold");
}

#[test]
fn case_34_what_cannot_be_answered_is_refused_on_the_link_that_stays() {
    let mut bench = Bench::new();
    bench.accepted();
    assert_eq!(bench.ask("Explode", &json!({}))[2], "NotImplemented");
    let answer = bench.ask("GetDiagnostics", &json!({"location": "ftp://host/path"}));
    assert_eq!((&answer[0], &answer[1], &answer[2]), (&json!(4), &json!("q"), &json!("NotSupported")));
    assert!(answer[3].as_str().is_some_and(|text| text.contains("this version")));
    assert_eq!(bench.ask("UnlockConnector", &json!({"connectorId": 1}))[2]["status"], "NotSupported");
    bench.text("[2,");
    assert_eq!(bench.sent.pop_front().map(|answer| answer[1].clone()), Some(json!("-1")));
    assert_eq!(bench.link(), Link::Accepted);
}

#[test]
fn a_badge_is_asked_before_everything_else_and_never_longer_than_the_bus_waits() {
    let mut bench = Bench::new();
    bench.accepted();
    bench.append([started(1, 7), sample(2, 7)]);
    let start = bench.call("StartTransaction");
    bench.step(Input::Connector(ConnectorId(1), View::Present(status(ConnectorStatus::Charging))));
    bench.step(Input::Authorize { asker: 1, id_tag: "A".into() });
    bench.step(Input::Authorize { asker: 2, id_tag: "B".into() });
    bench.quiet();
    bench.answer(&start, &json!({"transactionId": 5}));
    let authorize = bench.call("Authorize");
    assert_eq!(authorize[3], json!({"idTag": "A"}));
    bench.answer(&authorize, &json!({"idTagInfo": {"status": "Blocked"}}));
    assert_eq!(bench.verdict(1), Some(Ok(AuthorizationStatus::Blocked)));
    bench.call("Authorize");
    bench.pass(8000);
    assert_eq!(bench.verdict(2), Some(Err(NoAnswer::Late)));
    bench.call("StatusNotification");
    bench.step(Input::Authorize { asker: 3, id_tag: "C".into() });
    bench.end();
    assert_eq!(bench.verdict(3), Some(Err(NoAnswer::NoLink)));
    bench.step(Input::Authorize { asker: 4, id_tag: "C".into() });
    assert_eq!(bench.verdict(4), Some(Err(NoAnswer::NoLink)));
}

#[test]
fn a_csms_that_is_there_and_says_nothing_of_use_is_no_offline_station() {
    let mut bench = Bench::new();
    bench.accepted();
    for (asker, answer) in [
        (1, json!([4, "", "InternalError", "", {}])),
        (2, json!([3, "", {}])),
        (3, json!([3, "", {"idTagInfo": {"status": 7}}])),
        (4, json!([3, "", []])),
        (5, json!([3, ""])),
    ] {
        bench.step(Input::Authorize { asker, id_tag: "A".into() });
        let mut answer = answer;
        answer[1] = bench.call("Authorize")[1].clone();
        bench.text(&answer.to_string());
        assert_eq!(bench.verdict(asker), Some(Err(NoAnswer::Refused)), "{answer}");
    }
    // One is on the wire and 16 wait for it.
    for asker in 6..24 {
        bench.step(Input::Authorize { asker, id_tag: "A".into() });
    }
    assert_eq!((bench.verdict(22), bench.verdict(23)), (None, Some(Err(NoAnswer::TooMany))));
    bench.pass(8000);
    assert!((6..23).all(|asker| bench.verdict(asker) == Some(Err(NoAnswer::Late))));
}

#[test]
fn another_address_is_another_csms() {
    let mut bench = Bench::new();
    bench.step(Input::Connector(ConnectorId(1), View::Present(status(ConnectorStatus::Available))));
    bench.accepted();
    bench.serve(&json!({}), "StatusNotification");
    bench.text(&json!([2, "c", "ChangeConfiguration", {"key": "SupervisionUrl", "value": "ws://b"}]).to_string());
    let (serial, _) = bench.question();
    bench.step(Input::Settings(View::Present(keys(&[("SupervisionUrl", "ws://b")]))));
    assert!(bench.open, "the answer is due on the old link");
    bench.quiet();
    bench.step(Input::Answered { serial, answer: Answer::Set(SetVerdict::Accepted) });
    assert_eq!(bench.sent.pop_front(), Some(json!([3, "c", {"status": "Accepted"}])));
    // The CSMS may have more to change, or order a reset: each request keeps the link for two more seconds.
    bench.pass(1_999);
    assert_eq!(bench.ask("GetConfiguration", &json!({"key": ["X"]}))[2]["unknownKey"], json!(["X"]));
    bench.pass(1_999);
    assert!(bench.open);
    bench.pass(1);
    assert!(!bench.open);
    bench.open();
    bench.boot("Accepted", 60);
    bench.call("StatusNotification");
    bench.step(Input::Settings(View::Present(keys(&[("SupervisionUrl", "http://b")]))));
    bench.pass(2_000);
    assert_eq!(bench.link(), Link::Disconnected);
    bench.step(Input::Settings(View::Present(keys(&[("SupervisionUrl", "")]))));
    assert_eq!(bench.link(), Link::Unconfigured);
    assert!(bench.point.shown().is_trial, "the way that worked comes back");
}

#[test]
fn case_b31_a_station_that_hears_nothing_gives_the_link_up_without_pings_too() {
    let mut bench = Bench::new();
    bench.accepted();
    bench.pass(300_000);
    bench.call("Heartbeat");
    bench.pass(29_999);
    assert!(bench.open);
    bench.pass(1);
    assert!(!bench.open);
    assert!(bench.next_wake().is_some());
}

#[test]
fn a_fault_of_the_station_is_told_on_connector_0() {
    let mut bench = Bench::new();
    bench.accepted();
    bench.append([]);
    let active = vec![ActiveFault {
        code: "0x100202".to_owned(),
        connector: ConnectorId(0),
        class: FaultClass::Stop,
        error_code: "InternalError".to_owned(),
        title: "terminal emergency stop pressed".to_owned(),
        detail: String::new(),
        since_unix_millis: UnixMillis(super::bench::START),
    }];
    bench.step(Input::Faults(View::Present(FaultsState { active })));
    let told = bench.serve(&json!({}), "StatusNotification");
    assert_eq!((&told[3]["status"], &told[3]["vendorErrorCode"]), (&json!("Faulted"), &json!("0x100202")));
    bench.step(Input::Faults(View::Absent));
    bench.quiet();
}

#[test]
fn no_badge_is_in_what_can_be_logged() {
    let question = Question::RemoteStart { connector: ConnectorId(1), id_tag: "SECRET".into() };
    let wire = frame::call("1", "Authorize", &json!({"idTag": "SECRET"}));
    assert!(!format!("{question:?} {wire:?}").contains("SECRET"));
}
