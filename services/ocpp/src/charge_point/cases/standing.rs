//! What may pass in which standing, the clock, and the statuses.

use super::*;

#[test]
fn case_18_tc_002_a_pending_station_tells_what_the_csms_asks_for_and_nothing_else() {
    let mut bench = Bench::new();
    bench.append([started(1, 7)]);
    bench.step(Input::Faults(View::Present(FaultsState::default())));
    is(&mut bench, 1, ConnectorStatus::Available);
    bench.step(Input::Settings(View::Present(keys(&[]))));
    bench.open();
    bench.boot("Pending", 300);
    bench.quiet();
    assert_eq!(bench.point.shown().registration, Registration::Pending);
    let trigger = json!({"requestedMessage": "StatusNotification", "connectorId": 1});
    bench.text(&json!([2, "t", "TriggerMessage", trigger]).to_string());
    assert_eq!(bench.sent.pop_front(), Some(json!([3, "t", {"status": "Accepted"}])));
    assert_eq!(bench.serve(&json!({}), "StatusNotification")[3]["connectorId"], 1);
    bench.quiet();
    bench.text(&json!([2, "t", "TriggerMessage", {"requestedMessage": "BootNotification"}]).to_string());
    assert_eq!(bench.sent.pop_front(), Some(json!([3, "t", {"status": "Accepted"}])));
    bench.boot("Accepted", 300);
    bench.call("StatusNotification");
}

/// The table of OCPP 1.6, 4.2: which requests of the station leave it, and which of the CSMS are answered.
#[test]
fn case_b36_what_may_pass_in_each_standing() {
    for (standing, own, answers) in
        [("Accepted", true, Some("Accepted")), ("Pending", false, Some("Rejected")), ("Rejected", false, None)]
    {
        let mut bench = Bench::new();
        bench.append([started(1, 7)]);
        bench.step(Input::Settings(View::Present(keys(&[]))));
        bench.open();
        bench.boot(standing, 300);
        assert_eq!(bench.sent.pop_front().is_some(), own, "{standing}");
        bench.text(&json!([2, "q", "GetConfiguration", {"key": []}]).to_string());
        assert_eq!(bench.sent.pop_front().is_some(), answers.is_some(), "{standing}");
        bench.text(&json!([2, "r", "RemoteStartTransaction", {"idTag": "A"}]).to_string());
        let answer = bench.sent.pop_front();
        match answers {
            Some("Accepted") => assert!(matches!(bench.question().1, Question::RemoteStart { .. })),
            Some(word) => assert_eq!(answer, Some(json!([3, "r", {"status": word}]))),
            None => assert_eq!(answer, None),
        }
    }
}

#[test]
fn case_20_the_heartbeat_tells_the_time_and_a_wrong_clock_is_asked_about() {
    let mut bench = settled_with(&[("HeartbeatInterval", "60")]);
    bench.step(Input::Settings(View::Present(keys(&[("HeartbeatInterval", "30")]))));
    bench.pass(30_000);
    let heartbeat = bench.call("Heartbeat");
    bench.answer(&heartbeat, &json!({"currentTime": "2027-01-01T00:00:00Z"}));
    let asked = bench.effects.iter().filter(|effect| matches!(effect, Effect::SetClock { .. })).count();
    assert_eq!(asked, 2, "at the boot and now");
    bench.step(Input::Clock { synchronised: Some(false) });
    bench.append([TransactionEvent {
        boot: "boot".to_owned(),
        boottime_millis: BoottimeMillis(bench.now),
        ..started(1, 7)
    }]);
    let start = bench.call("StartTransaction");
    assert_eq!(start[3]["timestamp"], "2027-01-01T00:00:00.000Z", "by the CSMS's clock");
    assert_eq!(bench.ledger.boots.len(), 1, "remembered for the next run of the machine");
}

#[test]
fn case_21_tc_034_availability_is_sessions_and_the_answer_is_its_verdict() {
    let mut bench = settled();
    for (verdict, word) in [
        (Answer::Availability(AvailabilityVerdict::Accepted), "Accepted"),
        (Answer::Availability(AvailabilityVerdict::Scheduled), "Scheduled"),
        (Answer::Availability(AvailabilityVerdict::Rejected), "Rejected"),
        (Answer::Failed, "Rejected"),
    ] {
        bench.text(&json!([2, "a", "ChangeAvailability", {"connectorId": 0, "type": "Inoperative"}]).to_string());
        let (serial, question) = bench.question();
        let expected = Question::SetAvailability { connector: ConnectorId(0), availability: Availability::Inoperative };
        assert_eq!(question, expected);
        bench.step(Input::Answered { serial, answer: verdict });
        assert_eq!(bench.sent.pop_front(), Some(json!([3, "a", {"status": word}])));
    }
    bench.session(SessionState { availability: Availability::Inoperative, ..SessionState::default() });
    let told = bench.serve(&json!({}), "StatusNotification");
    assert_eq!((&told[3]["connectorId"], &told[3]["status"]), (&json!(0), &json!("Unavailable")));
}

#[test]
fn case_22_a_status_is_told_when_it_has_lasted_and_a_fault_at_once() {
    let mut bench = settled_with(&[("MinimumStatusDuration", "10")]);
    is(&mut bench, 1, ConnectorStatus::Preparing);
    bench.pass(9_000);
    bench.quiet();
    is(&mut bench, 1, ConnectorStatus::Charging);
    bench.pass(9_999);
    bench.quiet();
    bench.pass(1);
    assert_eq!(bench.serve(&json!({}), "StatusNotification")[3]["status"], "Charging");
    is(&mut bench, 1, ConnectorStatus::Finishing);
    bench.pass(5_000);
    is(&mut bench, 1, ConnectorStatus::Charging);
    bench.pass(60_000);
    bench.quiet();
    bench.step(Input::Faults(View::Present(fault("0x10020F"))));
    is(&mut bench, 1, ConnectorStatus::Faulted);
    let told = bench.serve(&json!({}), "StatusNotification");
    assert_eq!((&told[3]["status"], &told[3]["vendorErrorCode"]), (&json!("Faulted"), &json!("0x10020F")));
    bench.step(Input::Faults(View::Present(FaultsState::default())));
    is(&mut bench, 1, ConnectorStatus::SuspendedEv);
    bench.pass(9_999);
    bench.quiet();
    bench.pass(1);
    assert_eq!(bench.serve(&json!({}), "StatusNotification")[3]["status"], "SuspendedEV");
}

#[test]
fn case_22_a_fault_that_flaps_for_a_minute_is_told_once_and_its_end_once() {
    let mut bench = settled_with(&[("MinimumStatusDuration", "10")]);
    let mut told = Vec::new();
    for _ in 0..50 * 60 / 2 {
        bench.step(Input::Faults(View::Present(fault("0x10020F"))));
        is(&mut bench, 1, ConnectorStatus::Faulted);
        bench.pass(20);
        bench.step(Input::Faults(View::Present(FaultsState::default())));
        is(&mut bench, 1, ConnectorStatus::Available);
        bench.pass(20);
        while let Some(call) = bench.sent.pop_front() {
            told.push(call[3]["status"].clone());
            bench.answer(&call, &json!({}));
        }
    }
    bench.pass(10_000);
    let last = bench.serve(&json!({}), "StatusNotification");
    assert_eq!((told, &last[3]["status"]), (vec![json!("Faulted")], &json!("Available")));
}

#[test]
fn case_b35_the_counters_tell_what_went_over() {
    let mut bench = settled();
    bench.ask("GetConfiguration", &json!({}));
    bench.ask("Explode", &json!({}));
    bench.ask("ChangeConfiguration", &json!({}));
    let traffic = bench.point.traffic();
    let of = |action: &str| traffic.actions.iter().find(|count| count.action == action).cloned();
    let boot = of("BootNotification").expect("counted");
    assert_eq!((boot.sent, boot.answered, boot.refused), (1, 1, 0));
    assert_eq!(of("StatusNotification").map(|count| count.sent), Some(3));
    assert_eq!(of("GetConfiguration").map(|count| (count.received, count.faulted)), Some((1, 0)));
    assert_eq!(of("ChangeConfiguration").map(|count| (count.received, count.faulted)), Some((1, 1)));
    assert_eq!(of("Explode"), None);
    assert!(traffic.bytes_sent > 0 && traffic.bytes_received > 0);
}
