//! Badges: the local authorization list, the cache, and what the CSMS says of them along with something else.

use super::*;
use crate::learning::Learned;
use crate::ledger::Open;
use busbar_interfaces::words::{ListVerdict, Verdict};
use busbar_ocpp16::CentralTransaction;
use busbar_ocpp16::confirmation::{AuthorizationStatus, IdTagInfo};
use busbar_ocpp16::request::{SendLocalList, UpdateType};

/// A request of the CSMS that has to wait for a peer: what the peer is asked.
fn asks(bench: &mut Bench, action: &str, payload: &Value) -> (u64, Question) {
    bench.text(&json!([2, "q", action, payload]).to_string());
    bench.quiet();
    bench.question()
}

/// What the CSMS is answered when the peer has spoken.
fn answers(bench: &mut Bench, serial: u64, answer: Answer) -> Value {
    bench.step(Input::Answered { serial, answer });
    bench.sent.pop_front().expect("an answer")[2]["status"].clone()
}

/// The CSMS sends a list, and `session` says this.
fn sends(bench: &mut Bench, update: &str, version: i32, list: &Value, verdict: ListVerdict) -> Value {
    let payload = json!({"listVersion": version, "updateType": update, "localAuthorizationList": list});
    let (serial, question) = asks(bench, "SendLocalList", &payload);
    let Question::UpdateLocalList(SendLocalList { version: passed, update: kind, entries }) = question else {
        panic!("session is asked");
    };
    assert_eq!((passed, kind.to_string().as_str()), (version, update));
    assert_eq!(entries.len(), list.as_array().map_or(0, Vec::len));
    answers(bench, serial, Answer::List(verdict))
}

/// `session` shows a list of this version.
fn shows(bench: &mut Bench, local_list_version: i32) {
    bench.session(SessionState { local_list_version, ..SessionState::default() });
}

fn version(bench: &mut Bench) -> Value {
    bench.ask("GetLocalListVersion", &json!({}))[2]["listVersion"].clone()
}

fn a_badge() -> Value {
    json!([{"idTag": "A", "idTagInfo": {"status": "Accepted"}}])
}

#[test]
fn tc_042_1_case_25_the_version_of_the_list_is_sessions_also_while_it_is_away() {
    let mut bench = Bench::new();
    bench.accepted();
    let unknown = bench.ask("GetLocalListVersion", &json!({}));
    assert_eq!((&unknown[0], &unknown[2]), (&json!(4), &json!("InternalError")), "session was never heard");
    assert!(unknown[3].as_str().is_some_and(|text| text.contains("not known")));
    for shown in [-1, 0, 7, i32::MAX, -1] {
        shows(&mut bench, shown);
        assert_eq!(version(&mut bench), shown);
        bench.step(Input::Session(View::Absent));
        assert_eq!(version(&mut bench), shown);
    }
}

#[test]
fn tc_042_2_case_b51_an_empty_list_has_version_0_whatever_was_sent() {
    for sent in [1, 0, 9] {
        let mut bench = settled();
        shows(&mut bench, 4);
        assert_eq!(sends(&mut bench, "Full", sent, &json!([]), ListVerdict::Accepted), "Accepted");
        // The news of the list has not come yet.
        assert_eq!(version(&mut bench), 0);
        shows(&mut bench, 0);
        assert_eq!(version(&mut bench), 0);
    }
}

#[test]
fn tc_043_a_list_and_a_change_of_it_go_to_session_whole() {
    let mut bench = settled();
    let list = json!([
        {"idTag": "A", "idTagInfo": {"status": "Blocked", "parentIdTag": "G", "expiryDate": "2026-11-01T12:00:00Z"}},
        {"idTag": "B"},
    ]);
    let payload = json!({"listVersion": 2, "updateType": "Differential", "localAuthorizationList": list});
    let (serial, question) = asks(&mut bench, "SendLocalList", &payload);
    let Question::UpdateLocalList(sent) = &question else { panic!("session is asked") };
    assert_eq!((sent.version, sent.update), (2, UpdateType::Differential));
    let tags: Vec<(&str, bool)> =
        sent.entries.iter().map(|entry| (entry.id_tag.as_str(), entry.info.is_some())).collect();
    assert_eq!(tags, [("A", true), ("B", false)]);
    let shown = format!("{question:?}");
    assert!(!shown.contains("\"A\"") && !shown.contains("\"G\""), "{shown}");
    assert_eq!(answers(&mut bench, serial, Answer::List(ListVerdict::Accepted)), "Accepted");
    for (update, version) in [("Full", 3), ("Differential", 4)] {
        assert_eq!(sends(&mut bench, update, version, &a_badge(), ListVerdict::Accepted), "Accepted");
    }
}

#[test]
fn tc_043_1_tc_043_2_tc_043_3_case_25_the_verdict_on_a_list_is_sessions() {
    for (verdict, word) in [
        (ListVerdict::Accepted, "Accepted"),
        (ListVerdict::Failed, "Failed"),
        (ListVerdict::NotSupported, "NotSupported"),
        (ListVerdict::VersionMismatch, "VersionMismatch"),
        (ListVerdict::Unknown, "Failed"),
    ] {
        for update in ["Full", "Differential"] {
            // Nothing of it is judged here, however odd it is.
            for version in [-1, 0, 5] {
                let mut bench = settled();
                assert_eq!(sends(&mut bench, update, version, &a_badge(), verdict), word, "{update} {version}");
            }
        }
    }
}

#[test]
fn tc_043_2_the_version_stays_when_a_change_is_not_newer() {
    let mut bench = settled();
    shows(&mut bench, 0);
    for (update, sent, verdict, after) in [
        ("Full", 2, ListVerdict::Accepted, 2),
        ("Full", 5, ListVerdict::Accepted, 5),
        ("Differential", 4, ListVerdict::VersionMismatch, 5),
        ("Full", 6, ListVerdict::Failed, 5),
    ] {
        sends(&mut bench, update, sent, &a_badge(), verdict);
        assert_eq!(version(&mut bench), after, "before the news of it");
        shows(&mut bench, after);
        assert_eq!(version(&mut bench), after, "after the news of it");
    }
}

#[test]
fn tc_043_3_a_list_that_session_does_not_answer_to_has_failed() {
    let mut bench = settled();
    let payload = json!({"listVersion": 1, "updateType": "Full", "localAuthorizationList": a_badge()});
    let (serial, question) = asks(&mut bench, "SendLocalList", &payload);
    assert_eq!(answers(&mut bench, serial, question.without_answer()), "Failed");
    bench.step(Input::Session(View::Absent));
    assert_eq!(bench.ask("SendLocalList", &payload)[2]["status"], "Failed");
}

#[test]
fn tc_061_1_the_cache_is_cleared_by_session() {
    let mut bench = settled();
    for (verdict, word) in [
        (Answer::Verdict(Verdict::Accepted), "Accepted"),
        (Answer::Verdict(Verdict::Rejected), "Rejected"),
        (Answer::Verdict(Verdict::Unknown), "Rejected"),
        (Question::ClearCache.without_answer(), "Rejected"),
    ] {
        let (serial, question) = asks(&mut bench, "ClearCache", &json!({}));
        assert_eq!(question, Question::ClearCache);
        assert_eq!(answers(&mut bench, serial, verdict), word, "{verdict:?}");
    }
    bench.step(Input::Session(View::Absent));
    assert_eq!(bench.ask("ClearCache", &json!({}))[2]["status"], "Rejected");
}

#[test]
fn case_b36_a_pending_station_takes_lists_and_no_reservations() {
    let mut bench = Bench::new();
    bench.append([]);
    bench.step(Input::Settings(View::Present(keys(&[]))));
    bench.open();
    bench.boot("Pending", 300);
    assert_eq!(sends(&mut bench, "Full", 1, &a_badge(), ListVerdict::Accepted), "Accepted");
    let reserve = json!({"connectorId": 1, "expiryDate": "2026-12-01T00:00:00Z", "idTag": "A", "reservationId": 1});
    assert_eq!(bench.ask("ReserveNow", &reserve)[2]["status"], "Rejected");
}

fn info(status: AuthorizationStatus) -> IdTagInfo {
    IdTagInfo { status, parent_id_tag: Some("GROUP".into()), expiry_unix_millis: Some(1_793_534_400_000) }
}

fn said(status: AuthorizationStatus) -> Value {
    json!({"status": status.to_string(), "parentIdTag": "GROUP", "expiryDate": "2026-11-01T12:00:00Z"})
}

#[test]
fn case_02_what_the_csms_says_of_a_badge_with_a_start_or_a_stop_goes_to_session() {
    for status in [
        AuthorizationStatus::Accepted,
        AuthorizationStatus::Blocked,
        AuthorizationStatus::Expired,
        AuthorizationStatus::Invalid,
        AuthorizationStatus::ConcurrentTx,
    ] {
        let mut bench = settled();
        bench.append([started(1, 7), TransactionEvent { id_tag: "OTHER".to_owned(), ..stopped(2, 7) }]);
        bench.serve(&json!({"transactionId": 5, "idTagInfo": said(status)}), "StartTransaction");
        assert_eq!(bench.learned(), [Learned { id_tag: "BADGE".into(), info: info(status) }]);
        bench.step(Input::Learned);
        bench.serve(&json!({"idTagInfo": said(status)}), "StopTransaction");
        assert_eq!(bench.learned().last(), Some(&Learned { id_tag: "OTHER".into(), info: info(status) }));
        assert!(!format!("{:?}", bench.learned()).contains("GROUP"));
    }
}

#[test]
fn where_the_csms_says_nothing_of_a_badge_or_there_is_none_session_is_told_nothing() {
    let mut bench = settled();
    bench.append([started(1, 7), stopped(2, 7), started(3, 8), stopped(4, 8)]);
    let word = said(AuthorizationStatus::Accepted);
    for (action, answer) in [
        ("StartTransaction", json!({"transactionId": 5})),
        ("StopTransaction", json!({"idTagInfo": word})),
        ("StartTransaction", json!({"transactionId": 6, "idTagInfo": {"status": 7}})),
        ("StopTransaction", json!({})),
    ] {
        bench.serve(&answer, action);
    }
    assert_eq!(bench.learned(), []);
}

#[test]
fn a_word_on_a_badge_waits_for_nobody_and_nobody_for_it() {
    let mut bench = settled();
    let accepted = said(AuthorizationStatus::Accepted);
    let transactions = 1..=100u64;
    bench
        .append(transactions.clone().flat_map(|number| [started(2 * number - 1, number), stopped(2 * number, number)]));
    for number in transactions {
        // Session hangs with the first word, and the journal goes on.
        bench.serve(&json!({"transactionId": number, "idTagInfo": accepted}), "StartTransaction");
        bench.serve(&json!({}), "StopTransaction");
    }
    assert_eq!((bench.ledger.cursor, bench.learned().len()), (200, 1));
    // Of the others some wait, one after the other; what has waited when session went away is lost.
    bench.step(Input::Learned);
    assert_eq!(bench.learned().len(), 2);
    bench.step(Input::Session(View::Absent));
    bench.step(Input::Learned);
    bench.append([]);
    assert_eq!(bench.learned().len(), 2);
    assert_eq!(bench.next_wake().map(|wake| wake.0 > bench.now + 60_000), Some(true), "nothing is tried again");
}

#[test]
fn a_start_that_is_sent_again_tells_session_too() {
    let mut bench = settled_with(&[("TransactionMessageAttempts", "1")]);
    bench.append([started(1, 7)]);
    refuse(&mut bench, "StartTransaction");
    bench.send_again(7);
    let status = AuthorizationStatus::Blocked;
    bench.serve(&json!({"transactionId": 5, "idTagInfo": said(status)}), "StartTransaction");
    assert_eq!(bench.learned(), [Learned { id_tag: "BADGE".into(), info: info(status) }]);
    assert_eq!(bench.deauthorized(), [TransactionId(7)]);
    let open = Open { central: Some(CentralTransaction::confirmed(5)) };
    assert_eq!(bench.ledger.open.get(&TransactionId(7)), Some(&open));
}
