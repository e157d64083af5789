//! The way to the CSMS: links, passwords, trials, standings over links, frames that are none or too many.

use super::*;

/// The keys with another password.
fn with_key(changed: u64) -> SettingsState {
    let mut state = keys(&[("SecurityProfile", "1")]);
    state.secrets.insert("AuthorizationKey".to_owned(), changed);
    state
}

#[test]
fn tc_073_a_new_password_opens_a_new_link_and_the_station_stays_registered() {
    let mut bench = Bench::new();
    bench.step(Input::Settings(View::Present(with_key(1))));
    assert!(!bench.opening, "the password is read first");
    bench.step(Input::Key { changed: 1, key: None });
    bench.pass(500);
    let asked = bench.effects.iter().filter(|effect| matches!(effect, Effect::ReadKey { changed: 1 })).count();
    assert_eq!(asked, 2, "settings was away");
    bench.step(Input::Key { changed: 1, key: Some("0123456789abcdef".into()) });
    bench.open();
    bench.boot("Accepted", 86_400);
    bench.text(
        &json!([2, "c", "ChangeConfiguration", {"key": "AuthorizationKey", "value": "fedcba9876543210"}]).to_string(),
    );
    let (serial, _) = bench.question();
    bench.step(Input::Settings(View::Present(with_key(2))));
    bench.step(Input::Answered { serial, answer: Answer::Set(SetVerdict::Accepted) });
    assert_eq!(bench.sent.pop_front(), Some(json!([3, "c", {"status": "Accepted"}])));
    assert!(bench.open, "the old password holds until the new one is known");
    bench.step(Input::Key { changed: 2, key: Some("fedcba9876543210".into()) });
    bench.pass(2_000);
    assert!(!bench.open);
    assert!(bench.point.shown().is_trial);
    bench.open();
    bench.quiet();
    assert!(!bench.point.shown().is_trial, "the handshake shows that it is right");
    assert_eq!(bench.ways.working.as_ref().and_then(|way| way.key.clone()), Some("fedcba9876543210".into()));
}

#[test]
fn case_32_a_way_that_does_not_reach_a_csms_is_left_for_the_one_that_did() {
    let mut bench = settled();
    bench.step(Input::Settings(View::Present(keys(&[("SupervisionUrl", "ws://typo/ocpp")]))));
    bench.pass(119_000);
    assert!(bench.point.shown().is_trial);
    bench.end();
    bench.pass(3_000);
    let wanted = bench.effects.iter().filter_map(|effect| match effect {
        Effect::Return { way, with_key: false } => Some(way.clone()),
        _ => None,
    });
    let working = Way { url: "ws://csms/ocpp".to_owned(), identity: "CP1".to_owned(), security_profile: 0, key: None };
    assert_eq!(wanted.collect::<Vec<_>>(), [working]);
    bench.step(Input::Settings(View::Present(keys(&[]))));
    bench.step(Input::Returned(Return::Back));
    assert!(bench.point.shown().is_trial, "the old way has to answer, too");
    bench.open();
    // No BootNotification: the CSMS has accepted the station in this run of the machine.
    bench.serve(&json!({}), "StatusNotification");
    assert!(!bench.point.shown().is_trial);
    assert_eq!(bench.ways.given_up, None);
    assert_eq!(bench.point.shown().central_system_url, "ws://csms/ocpp");
}

#[test]
fn case_34_a_binary_frame_is_a_sign_of_life_and_nothing_more() {
    let mut bench = settled();
    let link = bench.link;
    bench.step(Input::Binary { number: link });
    bench.quiet();
    assert_eq!(bench.point.traffic().ignored_frames, 1);
    assert_eq!(bench.link(), Link::Accepted);
}

#[test]
fn case_34_requests_with_one_id_on_one_link_are_one_request() {
    let mut bench = settled();
    let change = json!([2, "same", "ChangeConfiguration", {"key": "HeartbeatInterval", "value": "10"}]).to_string();
    bench.text(&change);
    bench.text(&change);
    let asked = bench.effects.iter().filter(|effect| matches!(effect, Effect::Ask { .. })).count();
    assert_eq!(asked, 1);
}

#[test]
fn case_b30_case_b32_case_b34_without_a_link_an_attempt_is_always_planned() {
    let mut bench = settled();
    for number in 0..50 {
        bench.end();
        let next = bench.point.shown().next_attempt_boottime_millis;
        assert!(next.0 > bench.now, "attempt {number} is planned");
        assert!(next.0 <= bench.now + 60_000, "and not too late");
        assert_eq!(bench.point.shown().link_reason, "the CSMS closed it");
        bench.pass(next.0 - bench.now);
        assert!(bench.opening);
    }
}

#[test]
fn case_32_an_answer_over_the_old_link_does_not_prove_the_new_way() {
    let mut bench = settled();
    bench.append([started(1, 7)]);
    let start = bench.call("StartTransaction");
    // A request of the CSMS waits for its answer, so the old link stays a moment.
    bench.text(&json!([2, "r", "Reset", {"type": "Soft"}]).to_string());
    bench.step(Input::Settings(View::Present(keys(&[("SupervisionUrl", "ws://typo/ocpp")]))));
    assert!(bench.open);
    bench.answer(&start, &json!({"transactionId": 5}));
    assert_eq!(bench.ledger.cursor, 1, "the answer itself counts");
    assert!(bench.point.shown().is_trial);
    assert_eq!(bench.ways.working.as_ref().map(|way| way.url.as_str()), Some("ws://csms/ocpp"));
}

#[test]
fn case_18_a_station_that_is_refused_later_is_refused_over_the_next_link_too() {
    for status in ["Rejected", "Pending"] {
        let mut bench = settled();
        bench.text(&json!([2, "t", "TriggerMessage", {"requestedMessage": "BootNotification"}]).to_string());
        bench.sent.pop_front();
        bench.boot(status, 3600);
        bench.end();
        bench.open();
        bench.append([started(1, 7)]);
        bench.quiet();
        assert_eq!(bench.link(), Link::Registering);
        let mut bench = bench.restart();
        bench.step(Input::Settings(View::Present(keys(&[]))));
        bench.open();
        bench.call("BootNotification");
    }
}

#[test]
fn case_20_the_interval_that_the_csms_sets_holds_also_when_the_key_already_had_it() {
    let mut bench = settled();
    bench.text(&json!([2, "c", "ChangeConfiguration", {"key": "heartbeatinterval", "value": "60"}]).to_string());
    let (serial, _) = bench.question();
    bench.step(Input::Answered { serial, answer: Answer::Set(SetVerdict::Accepted) });
    bench.sent.pop_front();
    bench.pass(60_000);
    bench.call("Heartbeat");
}

#[test]
fn case_32_a_profile_that_needs_a_certificate_is_refused_without_one() {
    let mut bench = settled();
    let answer = bench.ask("ChangeConfiguration", &json!({"key": "SecurityProfile", "value": "3"}));
    assert_eq!(answer[2]["status"], "Rejected");
}

#[test]
fn case_19_back_at_the_csms_that_knows_the_station_there_is_no_boot() {
    let mut bench = settled();
    bench.step(Input::Settings(View::Present(keys(&[("SupervisionUrl", "ws://typo/ocpp")]))));
    bench.pass(1_000);
    bench.step(Input::Settings(View::Present(keys(&[]))));
    bench.pass(5_000);
    while let Some(call) = bench.sent.pop_front() {
        assert_eq!(call[2], "StatusNotification", "the link never broke");
        bench.answer(&call, &json!({}));
    }
    assert_eq!(bench.link(), Link::Accepted);
}

#[test]
fn case_34_triggered_meter_values_are_bounded_also_while_the_meters_are_read() {
    let mut bench = settled();
    for number in 0..100 {
        bench.text(&json!([2, number.to_string(), "TriggerMessage", {"requestedMessage": "MeterValues"}]).to_string());
    }
    let read = bench.effects.iter().filter(|effect| matches!(effect, Effect::Read { .. })).count();
    assert!(read <= 16, "{read}");
    for _ in 0..read {
        bench.step(Input::Read { connector: ConnectorId(1), sample: None });
    }
    bench.sent.clear();
    let answer = bench.ask("TriggerMessage", &json!({"requestedMessage": "MeterValues"}));
    assert_eq!(answer[2]["status"], "Accepted");
}

#[test]
fn case_32_the_time_of_a_new_way_begins_when_the_old_link_is_closed() {
    let mut bench = settled();
    bench.step(Input::Settings(View::Present(keys(&[("SupervisionUrl", "ws://typo/ocpp")]))));
    for _ in 0..6 {
        bench.pass(1_500);
        bench.ask("GetConfiguration", &json!({"key": ["X"]}));
    }
    assert!(bench.open);
    bench.pass(2_000);
    assert!(!bench.open);
    bench.pass(115_000);
    assert!(!bench.effects.iter().any(|effect| matches!(effect, Effect::Return { .. })));
    bench.pass(6_000);
    assert!(bench.effects.iter().any(|effect| matches!(effect, Effect::Return { .. })));
}
