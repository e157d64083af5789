//! What the CSMS asks for: triggers, meter values, vendors' messages, resets, and what is not built yet.

use super::*;

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
fn tc_060_a_remote_start_with_a_profile_is_rejected() {
    let mut bench = settled();
    for purpose in ["ChargePointMaxProfile", "TxDefaultProfile", "TxProfile"] {
        let schedule = json!({"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 5000}]});
        let profile = json!({"chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": purpose,
                             "chargingProfileKind": "Absolute", "chargingSchedule": schedule});
        let start = json!({"connectorId": 1, "idTag": "A", "chargingProfile": profile});
        // Limits are not applied in this version, so that none may be promised either.
        assert_eq!(bench.ask("RemoteStartTransaction", &start)[2]["status"], "Rejected", "{purpose}");
    }
    assert!(!bench.effects.iter().any(|effect| matches!(effect, Effect::Ask { .. })));
}

#[test]
fn what_no_service_carries_out_yet_is_never_accepted() {
    let mut bench = settled();
    let schedule = json!({"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 5000}]});
    let profile = json!({"chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
                         "chargingProfileKind": "Absolute", "chargingSchedule": schedule});
    for (action, payload, word) in [
        ("SetChargingProfile", json!({"connectorId": 0, "csChargingProfiles": profile}), "NotSupported"),
        ("ClearChargingProfile", json!({}), "Unknown"),
        ("GetCompositeSchedule", json!({"connectorId": 0, "duration": 60}), "Rejected"),
        ("UnlockConnector", json!({"connectorId": 9}), "NotSupported"),
    ] {
        assert_eq!(bench.ask(action, &payload)[2]["status"], word, "{action}");
    }
    assert_eq!(bench.ask("GetDiagnostics", &json!({"location": "ftp://h/"}))[2], "NotSupported");
}
