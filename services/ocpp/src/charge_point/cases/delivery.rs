//! The transaction journal: order, numbers, refusals, power cuts.

use super::*;

#[test]
fn case_01_case_c_s16_queued_charges_of_both_connectors_each_keep_their_own_number_over_a_reboot() {
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
    let mut bench = Bench::restored(ledger, Record::default(), bench.ways, 1000);
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
fn case_13_case_b21_case_b28_case_c_s6_what_the_csms_refused_is_a_fault_until_a_person_sends_it_again() {
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
    // What the journal has forgotten can be sent again all the same.
    bench.journal.clear();
    bench.send_again(7);
    bench.serve(&json!({"transactionId": 5}), "StartTransaction");
    bench.serve(&json!({}), "MeterValues");
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
fn case_16_case_b19_a_message_that_was_on_the_wire_when_the_process_died_is_the_same_to_the_letter() {
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
    let mut bench = Bench::restored(Stored::default(), Record::default(), Ways::default(), 1_000_000);
    bench.step(Input::Settings(View::Present(keys(&[]))));
    bench.journal = vec![started(1, 7), stopped(2, 7), started(3, 8)];
    bench.step(session(0xABC, 3, 2));
    bench.open();
    bench.boot("Accepted", 86_400);
    assert_eq!(bench.call("StartTransaction")[1], "j-abc-3");
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

#[test]
fn case_b21_a_stop_waits_for_its_start_that_is_sent_again() {
    let mut bench = settled_with(&[("TransactionMessageAttempts", "1")]);
    bench.append([started(1, 7)]);
    refuse(&mut bench, "StartTransaction");
    bench.send_again(7);
    let start = bench.call("StartTransaction");
    bench.append([stopped(2, 7)]);
    bench.answer(&start, &json!({"transactionId": 5}));
    assert_eq!(bench.call("StopTransaction")[3]["transactionId"], 5);
}

fn session(journal_id: u64, last_event: u64, delivered_event: u64) -> Input {
    Input::Session(View::Present(SessionState { journal_id, last_event, delivered_event, ..SessionState::default() }))
}

#[test]
fn case_17_a_journal_that_went_back_keeps_the_numbers_of_its_transactions() {
    let mut bench = settled();
    bench.append([started(1, 7), sample(2, 7), sample(3, 7)]);
    bench.serve(&json!({"transactionId": 5}), "StartTransaction");
    bench.serve(&json!({}), "MeterValues");
    bench.serve(&json!({}), "MeterValues");
    bench.step(Input::Session(View::Absent));
    bench.journal.truncate(2);
    bench.step(session(0xABC, 2, 0));
    bench.append([stopped(3, 7)]);
    assert_eq!(bench.call("StopTransaction")[3]["transactionId"], 5);
}

#[test]
fn case_17_a_ledger_without_a_journals_name_does_not_pass_over_a_new_journal() {
    let stored = Stored { cursor: 500, ..Stored::default() };
    let mut bench = Bench::restored(stored, Record::default(), Ways::default(), 1_000_000);
    bench.step(Input::Settings(View::Present(keys(&[]))));
    bench.journal = vec![started(1, 7), stopped(2, 7)];
    bench.step(session(0xABC, 2, 0));
    bench.open();
    bench.boot("Accepted", 86_400);
    assert_eq!(bench.call("StartTransaction")[1], "j-abc-1");
}

#[test]
fn case_17_an_old_copy_of_the_ledger_goes_on_after_what_session_knows_as_delivered() {
    let stored = Stored { journal: 0xABC, cursor: 1, ..Stored::default() };
    let mut bench = Bench::restored(stored, Record::default(), Ways::default(), 1_000_000);
    bench.step(Input::Settings(View::Present(keys(&[]))));
    bench.journal = vec![started(1, 7), stopped(2, 7), started(3, 8)];
    bench.step(session(0xABC, 3, 2));
    bench.open();
    bench.boot("Accepted", 86_400);
    assert_eq!(bench.call("StartTransaction")[1], "j-abc-3");
}

#[test]
fn case_30_signed_readings_of_the_ends_go_out_between_the_start_and_the_stop() {
    let mut bench = settled_with(&[("MeterValuesSampledData", "SoC")]);
    let signed = |sequence, context, signed_data: &str| TransactionEvent {
        context,
        signed_data: signed_data.to_owned(),
        ..sample(sequence, 7)
    };
    bench.append([
        started(1, 7),
        signed(2, ReadingContext::TransactionBegin, "B"),
        signed(3, ReadingContext::SamplePeriodic, "P"),
        signed(4, ReadingContext::TransactionEnd, "E"),
        stopped(5, 7),
    ]);
    bench.serve(&json!({"transactionId": 5}), "StartTransaction");
    for (id, told) in [
        ("j-abc-2", vec![("Transaction.Begin", "SignedData", "B")]),
        ("j-abc-3", vec![("Sample.Periodic", "Raw", "57"), ("Sample.Periodic", "SignedData", "P")]),
        ("j-abc-4", vec![("Transaction.End", "SignedData", "E")]),
    ] {
        let call = bench.serve(&json!({}), "MeterValues");
        assert_eq!((&call[1], &call[3]["transactionId"]), (&json!(id), &json!(5)));
        let values = call[3]["meterValue"][0]["sampledValue"].as_array().expect("values").clone();
        let told: Vec<Value> =
            told.into_iter().map(|(context, format, value)| json!([context, format, value])).collect();
        let got: Vec<Value> =
            values.iter().map(|value| json!([value["context"], value["format"], value["value"]])).collect();
        assert_eq!(got, told);
    }
    bench.serve(&json!({}), "StopTransaction");
    assert_eq!((bench.ledger.cursor, bench.undelivered()), (5, vec![]));
}
