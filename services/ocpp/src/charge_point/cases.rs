//! Cases that other stacks get wrong (their numbers are the checklist's), shown on the charge point against a CSMS that
//! the test plays.

use super::bench::{Bench, START, keys, status};
use super::*;
use crate::configuration::Way;
use crate::delivery::examples::{sample, started, stopped};
use crate::exchange::{Answer, Question};
use crate::trial::Return;
use busbar_interfaces::faults::{ActiveFault, FaultsState};
use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::words::{
    Availability, AvailabilityVerdict, ConnectorStatus, DataTransferStatus, FaultClass, Registration, SetVerdict,
};
use busbar_interfaces::{TransactionId, UnixMillis};
use serde_json::{Value, json};

/// A station that is accepted, whose session is there, and of which the CSMS knows everything.
fn settled() -> Bench {
    settled_with(&[])
}

fn settled_with(changed: &[(&str, &str)]) -> Bench {
    let mut bench = Bench::new();
    bench.step(Input::Faults(View::Present(FaultsState::default())));
    bench.append([]);
    for connector in CONNECTORS {
        bench.step(Input::Connector(ConnectorId(connector), View::Present(status(ConnectorStatus::Available))));
    }
    bench.step(Input::Settings(View::Present(keys(changed))));
    bench.open();
    bench.boot("Accepted", 86_400);
    for _ in 0..3 {
        bench.serve(&json!({}), "StatusNotification");
    }
    bench.quiet();
    bench
}

fn refuse(bench: &mut Bench, action: &str) -> Value {
    let call = bench.call(action);
    bench.text(&json!([4, call[1], "InternalError", "", {}]).to_string());
    call
}

fn fault(code: &str) -> FaultsState {
    FaultsState {
        active: vec![ActiveFault {
            code: code.to_owned(),
            connector: ConnectorId(1),
            class: FaultClass::Stop,
            error_code: "PowerMeterFailure".to_owned(),
            title: "meter failure".to_owned(),
            detail: String::new(),
            since_unix_millis: UnixMillis(START),
        }],
    }
}

fn is(bench: &mut Bench, connector: u32, word: ConnectorStatus) {
    bench.step(Input::Connector(ConnectorId(connector), View::Present(status(word))));
}

#[test]
fn case_01_queued_charges_of_both_connectors_each_keep_their_own_number_over_a_reboot() {
    let mut bench = settled();
    bench.end();
    bench.append([
        started(1, 1),
        TransactionEvent { connector: ConnectorId(2), ..started(2, 2) },
        sample(3, 1),
        TransactionEvent { connector: ConnectorId(2), ..sample(4, 2) },
        stopped(5, 1),
        started(6, 3),
        stopped(7, 3),
    ]);
    bench.open();
    bench.serve(&json!({"transactionId": 70}), "StartTransaction");
    bench.serve(&json!({"transactionId": 71}), "StartTransaction");
    bench.call("MeterValues");
    // A power cut: the machine starts anew, and introduces itself.
    let (ledger, journal) = (bench.ledger.clone(), bench.journal.clone());
    let mut bench = Bench::restored(ledger, Record::default(), bench.working, 1000);
    bench.journal = journal;
    bench.append([]);
    bench.step(Input::Settings(View::Present(keys(&[]))));
    bench.open();
    bench.boot("Accepted", 86_400);
    let mut told = Vec::new();
    for answer in [json!({}), json!({}), json!({}), json!({"transactionId": 72}), json!({})] {
        let call = bench.sent.pop_front().expect("a message");
        told.push((call[2].as_str().unwrap_or_default().to_owned(), call[3]["transactionId"].as_i64()));
        bench.answer(&call, &answer);
    }
    let told: Vec<(&str, Option<i64>)> = told.iter().map(|(action, number)| (action.as_str(), *number)).collect();
    assert_eq!(
        told,
        [
            ("MeterValues", Some(70)),
            ("MeterValues", Some(71)),
            ("StopTransaction", Some(70)),
            ("StartTransaction", None),
            ("StopTransaction", Some(72)),
        ]
    );
}

#[test]
fn case_09_a_stop_waits_for_every_sample_before_it() {
    let mut bench = settled();
    bench.append([started(1, 7), sample(2, 7), stopped(3, 7)]);
    bench.serve(&json!({"transactionId": 5}), "StartTransaction");
    refuse(&mut bench, "MeterValues");
    bench.pass(9_999);
    bench.quiet();
    bench.pass(1);
    bench.serve(&json!({}), "MeterValues");
    bench.call("StopTransaction");
}

#[test]
fn case_13_case_b21_what_the_csms_refused_is_a_fault_until_a_person_sends_it_again() {
    let mut bench = settled_with(&[("TransactionMessageAttempts", "1")]);
    bench.append([started(1, 7), sample(2, 7), stopped(3, 7)]);
    let refused = refuse(&mut bench, "StartTransaction");
    assert_eq!(bench.undelivered(), [1, 2, 3]);
    bench.pass(1);
    assert_eq!(bench.point.shown().undelivered_events, 3);
    assert_eq!(bench.point.shown().conditions.first().map(|condition| condition.code.as_str()), Some(UNDELIVERED));
    bench.send_again(7);
    let again = bench.serve(&json!({"transactionId": 5}), "StartTransaction");
    assert_eq!(again[3], refused[3], "the same payload");
    assert_ne!(again[1], refused[1], "another id: the CSMS may know the old one as refused");
    // What is newer waits behind what is sent again, in the order of the journal.
    bench.append([started(4, 8)]);
    let values = bench.serve(&json!({}), "MeterValues");
    assert_eq!(values[3]["transactionId"], 5);
    bench.serve(&json!({}), "StopTransaction");
    assert_eq!(bench.undelivered(), Vec::<u64>::new());
    bench.call("StartTransaction");
    assert_eq!(bench.point.shown().conditions, Vec::new());
    assert_eq!(bench.ledger.cursor, 3);
}

#[test]
fn case_b21_what_is_refused_again_stays_and_takes_its_transaction_along() {
    let mut bench = settled_with(&[("TransactionMessageAttempts", "1")]);
    bench.append([started(1, 7), sample(2, 7), stopped(3, 7)]);
    refuse(&mut bench, "StartTransaction");
    bench.send_again(7);
    refuse(&mut bench, "StartTransaction");
    bench.quiet();
    assert_eq!(bench.undelivered(), [1, 2, 3]);
    // An event that the journal no longer has is no reason to stand still.
    bench.journal.clear();
    bench.send_again(7);
    bench.quiet();
}

#[test]
fn case_14_case_b37_requests_of_the_csms_are_answered_while_the_station_waits_for_an_answer() {
    let mut bench = settled();
    bench.append([started(1, 7)]);
    bench.call("StartTransaction");
    assert_eq!(bench.point.traffic().in_flight_action, "StartTransaction");
    let answer = bench.ask("GetConfiguration", &json!({"key": ["HeartbeatInterval"]}));
    assert_eq!(answer[2]["configurationKey"][0]["key"], "HeartbeatInterval");
    let answer = bench.ask("TriggerMessage", &json!({"requestedMessage": "Heartbeat"}));
    assert_eq!(answer[2]["status"], "Accepted");
    bench.quiet();
}

#[test]
fn case_16_a_message_that_was_on_the_wire_when_the_process_died_is_the_same_to_the_letter() {
    let mut bench = settled();
    bench.append([started(1, 7), stopped(2, 7)]);
    let first = bench.call("StartTransaction");
    let mut bench = bench.restart();
    bench.append([]);
    bench.step(Input::Settings(View::Present(keys(&[]))));
    bench.open();
    assert_eq!(bench.call("StartTransaction"), first);
}

#[test]
fn case_17_a_ledger_that_was_lost_goes_on_after_what_session_knows_as_delivered() {
    let mut bench = Bench::restored(Stored::default(), Record::default(), None, 1_000_000);
    bench.step(Input::Settings(View::Present(keys(&[]))));
    bench.journal = vec![started(1, 7), stopped(2, 7), started(3, 8)];
    let session = busbar_interfaces::session::SessionState {
        journal_id: 0xABC,
        last_event: 3,
        delivered_event: 2,
        availability: Availability::Operative,
    };
    bench.step(Input::Session(View::Present(session)));
    bench.open();
    bench.boot("Accepted", 86_400);
    assert_eq!(bench.call("StartTransaction")[1], "j-abc-3");
}

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
    let session = busbar_interfaces::session::SessionState {
        journal_id: 0xABC,
        last_event: 0,
        delivered_event: 0,
        availability: Availability::Inoperative,
    };
    bench.step(Input::Session(View::Present(session)));
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
fn tc_054_every_message_of_trigger_message_is_answered_first_and_told_then() {
    let mut bench = settled();
    for (message, actions) in [
        ("BootNotification", vec!["BootNotification"]),
        ("Heartbeat", vec!["Heartbeat"]),
        ("StatusNotification", vec!["StatusNotification"; 3]),
        ("DiagnosticsStatusNotification", vec!["DiagnosticsStatusNotification"]),
        ("FirmwareStatusNotification", vec!["FirmwareStatusNotification"]),
    ] {
        bench.text(&json!([2, "t", "TriggerMessage", {"requestedMessage": message}]).to_string());
        assert_eq!(bench.sent.pop_front(), Some(json!([3, "t", {"status": "Accepted"}])), "{message}");
        for action in actions {
            let answer = json!({"status": "Accepted", "interval": 86_400, "currentTime": "2026-11-01T12:20:00Z"});
            bench.serve(&answer, action);
        }
        bench.quiet();
    }
    bench.text(&json!([2, "t", "ExtendedTriggerMessage", {"requestedMessage": "Heartbeat"}]).to_string());
    assert_eq!(bench.sent.pop_front(), Some(json!([3, "t", {"status": "Accepted"}])));
    bench.serve(&json!({"currentTime": "2026-11-01T12:20:00Z"}), "Heartbeat");
    let answer = bench.ask("ExtendedTriggerMessage", &json!({"requestedMessage": "SignChargePointCertificate"}));
    assert_eq!(answer[2]["status"], "NotImplemented");
}

#[test]
fn tc_054_triggered_meter_values_are_read_now_and_carry_their_context_and_transaction() {
    let mut bench = settled();
    bench.append([started(1, 7)]);
    bench.serve(&json!({"transactionId": 5}), "StartTransaction");
    let mut charging = status(ConnectorStatus::Charging);
    charging.transaction = TransactionId(7);
    bench.step(Input::Connector(ConnectorId(1), View::Present(charging)));
    bench.serve(&json!({}), "StatusNotification");
    let answer = bench.ask("TriggerMessage", &json!({"requestedMessage": "MeterValues", "connectorId": 1}));
    assert_eq!(answer[2]["status"], "Accepted");
    let wanted = bench.effects.iter().filter_map(|effect| match effect {
        Effect::Read { connector, context } => Some((connector.0, *context)),
        _ => None,
    });
    assert_eq!(wanted.collect::<Vec<_>>(), [(1, ReadingContext::Trigger)]);
    let reading = TransactionEvent { context: ReadingContext::Trigger, ..sample(0, 0) };
    bench.step(Input::Read { connector: ConnectorId(1), sample: Some(Box::new(reading)) });
    let values = bench.serve(&json!({}), "MeterValues");
    assert_eq!(values[3]["transactionId"], 5);
    assert_eq!(values[3]["meterValue"][0]["sampledValue"][0]["context"], "Trigger");
    // A meter that does not answer has nothing to tell, and nothing waits for it.
    bench.step(Input::Read { connector: ConnectorId(1), sample: None });
    bench.quiet();
}

#[test]
fn tc_055_a_trigger_for_a_connector_that_is_not_there_is_rejected_and_a_flood_is_bounded() {
    let mut bench = settled();
    for connector in [3, 99] {
        let answer =
            bench.ask("TriggerMessage", &json!({"requestedMessage": "StatusNotification", "connectorId": connector}));
        assert_eq!(answer[2]["status"], "Rejected");
    }
    bench.quiet();
    let mut rejected = 0;
    for number in 0..100 {
        bench.text(&json!([2, number.to_string(), "TriggerMessage", {"requestedMessage": "Heartbeat"}]).to_string());
    }
    while let Some(frame) = bench.sent.pop_front() {
        rejected += usize::from(frame[2]["status"] == "Rejected");
    }
    assert!(rejected > 80, "{rejected}");
}

#[test]
fn tc_071_connectors_without_a_charge_are_told_by_the_clock() {
    let mut bench = settled_with(&[("ClockAlignedDataInterval", "900"), ("MeterValuesAlignedData", "Power.Offered")]);
    let mut charging = status(ConnectorStatus::Charging);
    charging.transaction = TransactionId(7);
    bench.step(Input::Connector(ConnectorId(2), View::Present(charging)));
    bench.serve(&json!({}), "StatusNotification");
    bench.pass(900_000);
    let read: Vec<u32> = bench
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Read { connector, context: ReadingContext::SampleClock } => Some(connector.0),
            _ => None,
        })
        .collect();
    assert_eq!(read, [1], "a charge's readings are in the journal");
    let reading = TransactionEvent { context: ReadingContext::SampleClock, ..sample(0, 0) };
    bench.step(Input::Read { connector: ConnectorId(1), sample: Some(Box::new(reading)) });
    let values = bench.serve(&json!({}), "MeterValues");
    assert_eq!(values[3].get("transactionId"), None);
    let value = &values[3]["meterValue"][0]["sampledValue"][0];
    assert_eq!((&value["context"], &value["measurand"]), (&json!("Sample.Clock"), &json!("Power.Offered")));
}

#[test]
fn tc_062_a_vendors_message_is_known_or_not_and_a_cost_goes_to_the_screen() {
    let mut bench = settled();
    for (payload, word) in [
        (json!({"vendorId": "com.other"}), "UnknownVendorId"),
        (json!({"vendorId": "com.se.cost"}), "UnknownMessageId"),
        (json!({"vendorId": "com.se.cost", "messageId": "Other"}), "UnknownMessageId"),
        (json!({"vendorId": "com.se.cost", "messageId": "CostUpdated"}), "Rejected"),
        (json!({"vendorId": "com.se.cost", "messageId": "CostUpdated", "data": "{}"}), "Rejected"),
        (
            json!({"vendorId": "com.se.cost", "messageId": "CostUpdated",
                   "data": {"currency": "EUR", "totalCost": 1, "connectID": 3}}),
            "Rejected",
        ),
    ] {
        assert_eq!(bench.ask("DataTransfer", &payload)[2]["status"], word, "{payload}");
    }
    let data = r#"{"currency":"EUR","method":"kwh","connectID":2,"totalCost":12.4,"transactionId":1}"#;
    let cost = json!({"vendorId": "com.se.cost", "messageId": "CostUpdated", "data": data});
    bench.text(&json!([2, "d", "DataTransfer", cost]).to_string());
    let (serial, question) = bench.question();
    assert_eq!(question, Question::ShowCost { connector: ConnectorId(2), cost: "12.40 EUR".to_owned() });
    bench.step(Input::Answered { serial, answer: Answer::Done });
    assert_eq!(bench.sent.pop_front(), Some(json!([3, "d", {"status": "Accepted", "data": ""}])));
}

#[test]
fn a_vendors_message_of_the_station_goes_out_and_its_answer_comes_back() {
    let mut bench = settled();
    let transfer = |asker| Input::Transfer {
        asker,
        vendor_id: "com.example".to_owned(),
        message_id: "Ping".to_owned(),
        data: "{}".to_owned(),
    };
    bench.step(transfer(1));
    let call = bench.call("DataTransfer");
    assert_eq!(call[3], json!({"vendorId": "com.example", "messageId": "Ping", "data": "{}"}));
    bench.answer(&call, &json!({"status": "UnknownMessageId", "data": "x"}));
    bench.step(transfer(2));
    refuse(&mut bench, "DataTransfer");
    bench.step(transfer(3));
    bench.call("DataTransfer");
    bench.end();
    bench.step(transfer(4));
    let answers: Vec<_> = bench
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Transferred { asker, answer } => Some((*asker, answer.clone())),
            _ => None,
        })
        .collect();
    use crate::exchange::NoAnswer;
    assert_eq!(
        answers,
        [
            (1, Ok((DataTransferStatus::UnknownMessageId, "x".to_owned()))),
            (2, Err(NoAnswer::Refused)),
            (3, Err(NoAnswer::NoLink)),
            (4, Err(NoAnswer::NoLink)),
        ]
    );
}

#[test]
fn tc_013_a_reset_is_maintenances_and_is_answered_when_the_order_is_on_disk() {
    let mut bench = settled();
    bench.text(&json!([2, "r", "Reset", {"type": "Hard"}]).to_string());
    let (serial, question) = bench.question();
    assert_eq!(question, Question::Reset { hard: true });
    bench.quiet();
    bench.step(Input::Answered { serial, answer: Answer::Done });
    assert_eq!(bench.sent.pop_front(), Some(json!([3, "r", {"status": "Accepted"}])));
}

#[test]
fn what_no_service_carries_out_yet_is_never_accepted() {
    let mut bench = settled();
    let schedule = json!({"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 5000}]});
    let profile = json!({"chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
                         "chargingProfileKind": "Absolute", "chargingSchedule": schedule});
    for (action, payload, word) in [
        ("ClearCache", json!({}), "Rejected"),
        ("SendLocalList", json!({"listVersion": 1, "updateType": "Full"}), "NotSupported"),
        ("SetChargingProfile", json!({"connectorId": 0, "csChargingProfiles": profile}), "NotSupported"),
        ("ClearChargingProfile", json!({}), "Unknown"),
        ("GetCompositeSchedule", json!({"connectorId": 0, "duration": 60}), "Rejected"),
        ("CancelReservation", json!({"reservationId": 1}), "Rejected"),
        (
            "ReserveNow",
            json!({"connectorId": 1, "expiryDate": "2026-12-01T00:00:00Z", "idTag": "A", "reservationId": 1}),
            "Rejected",
        ),
        ("UnlockConnector", json!({"connectorId": 9}), "NotSupported"),
    ] {
        assert_eq!(bench.ask(action, &payload)[2]["status"], word, "{action}");
    }
    assert_eq!(bench.ask("GetLocalListVersion", &json!({}))[2], json!({"listVersion": -1}));
    assert_eq!(bench.ask("GetDiagnostics", &json!({"location": "ftp://h/"}))[2], "NotSupported");
}

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
    assert!(!bench.open);
    bench.open();
    let heartbeat = bench.call("Heartbeat");
    assert!(bench.point.shown().is_trial);
    bench.answer(&heartbeat, &json!({"currentTime": "2026-11-01T12:00:00Z"}));
    assert!(!bench.point.shown().is_trial);
    assert_eq!(bench.working.as_ref().and_then(|way| way.key.clone()), Some("fedcba9876543210".into()));
}

#[test]
fn case_32_a_way_that_does_not_reach_a_csms_is_left_for_the_one_that_did() {
    let mut bench = settled();
    bench.step(Input::Settings(View::Present(keys(&[("SupervisionUrl", "ws://typo/ocpp")]))));
    bench.pass(119_000);
    assert!(bench.point.shown().is_trial);
    bench.end();
    bench.pass(1_000);
    let wanted = bench.effects.iter().filter_map(|effect| match effect {
        Effect::Return(way) => Some(way.clone()),
        _ => None,
    });
    let working = Way { url: "ws://csms/ocpp".to_owned(), identity: "CP1".to_owned(), security_profile: 0, key: None };
    assert_eq!(wanted.collect::<Vec<_>>(), [working]);
    bench.step(Input::Settings(View::Present(keys(&[]))));
    bench.step(Input::Returned(Return::Back));
    bench.open();
    bench.boot("Accepted", 300);
    assert!(!bench.point.shown().is_trial);
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

#[test]
fn case_b46_a_backlog_of_a_hundred_thousand_events_is_read_page_by_page() {
    let mut bench = settled();
    bench.end();
    let events = (0..25_000u64).flat_map(|transaction| {
        let first = transaction * 4 + 1;
        let local = transaction + 1;
        [started(first, local), sample(first + 1, local), sample(first + 2, local), stopped(first + 3, local)]
    });
    bench.append(events);
    bench.open();
    let mut numbers = 0;
    let mut delivered: Vec<u64> = Vec::new();
    while let Some(call) = bench.sent.pop_front() {
        let sequence = call[1].as_str().and_then(|id| id.rsplit('-').next()).and_then(|number| number.parse().ok());
        delivered.extend(sequence.filter(|_: &u64| call[1].as_str().is_some_and(|id| id.starts_with("j-"))));
        numbers += i32::from(call[2] == "StartTransaction");
        bench.answer(&call, &json!({"transactionId": numbers}));
        // No more than two pages are in memory, whatever waits.
        assert!(bench.point.traffic().waiting_events <= 100_000);
    }
    assert_eq!(delivered, (1..=100_000u64).collect::<Vec<_>>());
    assert_eq!(bench.ledger.cursor, 100_000);
}
