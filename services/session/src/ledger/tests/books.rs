//! The self-check with the disk behind it: what was irregular is noted in the same commit, and stands until a later
//! transaction has come to its end without it.

use super::*;

fn noted(ledger: &Ledger) -> Vec<ConnectorId> {
    ledger.irregularities().into_iter().map(|(connector, _)| connector).collect()
}

#[test]
fn case_11_case_b50_a_meter_that_goes_back_is_noted_until_a_later_transaction_adds_up() {
    let (state, runtime) = (dir(), dir());
    let mut ledger = open(&state, &runtime);
    ledger.record(event(EventKind::Started, 1, 100)).expect("records");
    ledger.record(event(EventKind::Sample, 1, 500)).expect("records");
    let back = ledger.record(event(EventKind::Sample, 1, 400)).expect("records");
    assert_eq!(back.energy_milliwatt_hours, MilliwattHours(500), "it goes on from where it was");
    let first = ledger.irregularities();
    assert_eq!(first[0].1, "the meter went back from 0.000500 kWh to 0.000400 kWh in transaction 1");
    ledger.record(event(EventKind::Sample, 1, 300)).expect("records");
    ledger.irregular(ONE, TransactionId(1), "something else", UnixMillis(1)).expect("writes");
    assert_eq!(ledger.irregularities(), first, "the first of a transaction stands");
    ledger.record(event(EventKind::Stopped, 1, 600)).expect("records");
    assert_eq!(noted(&ledger), [ONE], "its own end does not take it away");

    ledger = open(&killed_now(&state), &runtime);
    assert_eq!(ledger.irregularities(), first);
    ledger.record(TransactionEvent { connector: TWO, ..event(EventKind::Started, 2, 1) }).expect("records");
    ledger.record(TransactionEvent { connector: TWO, ..event(EventKind::Stopped, 2, 1) }).expect("records");
    assert_eq!(noted(&ledger), [ONE], "nor does that of another connector");
    ledger.record(event(EventKind::Started, 3, 600)).expect("records");
    ledger.record(event(EventKind::Sample, 3, 700)).expect("records");
    assert_eq!(noted(&ledger), [ONE]);
    ledger.record(event(EventKind::Stopped, 3, 800)).expect("records");
    assert_eq!(noted(&ledger), []);
}

#[test]
fn case_11_a_meter_that_was_exchanged_between_two_transactions_is_noted_and_its_register_holds() {
    let (state, runtime) = (dir(), dir());
    let mut ledger = open(&state, &runtime);
    ledger.record(event(EventKind::Started, 1, 5_000)).expect("records");
    ledger.record(event(EventKind::Stopped, 1, 6_000)).expect("records");
    drop(ledger);
    let mut ledger = open(&state, &runtime);
    let start = ledger.record(event(EventKind::Started, 2, 40)).expect("records");
    assert_eq!(start.energy_milliwatt_hours, MilliwattHours(40));
    assert_eq!(ledger.connector(ONE).expect("reads").open.expect("open").started_energy, MilliwattHours(40));
    assert_eq!(noted(&ledger), [ONE]);
    ledger.record(event(EventKind::Stopped, 2, 50)).expect("records");
    assert_eq!(noted(&ledger), [ONE], "it was noted in this one");
    ledger.record(event(EventKind::Started, 3, 50)).expect("records");
    ledger.record(event(EventKind::Stopped, 3, 60)).expect("records");
    assert_eq!(noted(&ledger), []);
}

#[test]
fn a_note_of_an_earlier_transaction_makes_room_for_one_of_a_later() {
    let (state, runtime) = (dir(), dir());
    let mut ledger = open(&state, &runtime);
    ledger.irregular(ONE, TransactionId(1), "one", UnixMillis(1)).expect("writes");
    ledger.irregular(ONE, TransactionId(2), "two", UnixMillis(2)).expect("writes");
    ledger.irregular(TWO, TransactionId(3), "three", UnixMillis(3)).expect("writes");
    let notes = [(ONE, "two".to_owned()), (TWO, "three".to_owned())];
    assert_eq!(ledger.irregularities(), notes);
    assert_eq!(open(&killed_now(&state), &runtime).irregularities(), notes);
}

#[test]
fn case_20_case_b50_a_time_before_the_start_becomes_that_of_the_start_in_another_run_of_the_machine() {
    let (state, runtime) = (dir(), dir());
    let mut ledger = open(&state, &runtime);
    let at = |kind, energy, unix| TransactionEvent { unix_millis: UnixMillis(unix), ..event(kind, 1, energy) };
    ledger.record(at(EventKind::Started, 1, 1_800_000_000_000)).expect("records");
    let (same, other) = (killed_now(&state), killed_now(&state));
    let mut ledger = open(&same, &runtime);
    let stop = ledger.record(at(EventKind::Stopped, 3, 1_799_999_000_000)).expect("records");
    assert_eq!((stop.unix_millis, noted(&ledger)), (UnixMillis(1_799_999_000_000), vec![]), "the clock was set right");

    let mut ledger = Ledger::open(other.path(), runtime.path(), "another run").expect("opens");
    let stop = ledger.record(at(EventKind::Stopped, 3, 1_799_999_000_000)).expect("records");
    assert_eq!(stop.unix_millis, UnixMillis(1_800_000_000_000));
    assert_eq!(noted(&ledger), [ONE]);
    assert_eq!(ledger.events_after(1, 10).expect("reads"), [stop]);
}

#[test]
fn case_c_s8_case_b19_case_b50_a_second_start_is_refused_as_a_whole_and_ends_the_process() {
    for second in [1, 2] {
        let (state, runtime) = (dir(), dir());
        let mut ledger = open(&state, &runtime);
        ledger.record(event(EventKind::Started, 1, 100)).expect("records");
        let refused = ledger.record(event(EventKind::Started, second, 100)).expect_err("one runs");
        assert!(matches!(refused, LedgerError::SecondStart { running: TransactionId(1), .. }));
        assert_eq!(Exit::from(refused).code(), 70);
        assert_eq!((ledger.last_event(), noted(&ledger)), (1, vec![ONE]));

        let mut ledger = open(&killed_now(&state), &runtime);
        assert_eq!(noted(&ledger), [ONE], "it is on disk");
        assert_eq!(ledger.record(event(EventKind::Sample, 1, 101)).expect("records").sequence, 2);
        assert_eq!(ledger.connector(TWO).expect("reads"), ConnectorRecord::default());
        let elsewhere = TransactionEvent { connector: TWO, ..event(EventKind::Started, 2, 100) };
        assert_eq!(ledger.record(elsewhere).expect("another connector is free").sequence, 3);
    }
}

#[test]
fn case_b50_an_event_of_a_transaction_that_does_not_run_is_not_written() {
    let (state, runtime) = (dir(), dir());
    let mut ledger = open(&state, &runtime);
    ledger.record(event(EventKind::Started, 1, 100)).expect("records");
    ledger.record(event(EventKind::Stopped, 1, 200)).expect("records");
    for again in [event(EventKind::Stopped, 1, 200), event(EventKind::Sample, 2, 200)] {
        let refused = ledger.record(again).expect_err("nothing runs");
        assert!(matches!(refused, LedgerError::NotRunning { .. }));
        assert_eq!(Exit::from(refused).code(), 70);
    }
    assert_eq!((ledger.last_event(), noted(&ledger)), (2, vec![ONE]));
}
