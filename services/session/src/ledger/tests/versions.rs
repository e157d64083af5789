//! What an earlier version has left behind is taken over.

use super::*;

#[test]
fn a_ledger_of_the_first_version_is_taken_over_with_its_journal() {
    let (state, runtime) = (dir(), dir());
    let old = store::open(state.path(), "session", &MIGRATIONS[..2]).expect("the first version");
    let row = |sequence: u64, kind: &str, energy: u64, soc: u8, tag: &str, reason: &str| {
        format!(
            "INSERT INTO journal VALUES ({sequence}, '{{\"sequence\":{sequence},\"transaction\":4,\"connector\":2,\
             \"kind\":\"{kind}\",\"unix_millis\":{},\"energy_milliwatt_hours\":{energy},\"watts\":11,\
             \"millivolts\":12,\"milliamperes\":13,\"offered_watts\":14,\"state_of_charge_percent\":{soc},\
             \"id_tag\":\"{tag}\",\"reason\":\"{reason}\"}}');",
            1_700_000_000_000 + sequence
        )
    };
    let rows = [
        row(1, "started", 100, 255, "O''Hara", "none"),
        row(2, "sample", 150, 40, "", "none"),
        "INSERT INTO transactions (id, connector, id_tag, started_unix_millis, started_milliwatt_hours,
         last_unix_millis, last_milliwatt_hours, held)
         VALUES (4, 2, 'O''Hara', 1700000000001, 100, 1700000000002, 150, 1);"
            .to_owned(),
    ];
    old.database.execute_batch(&rows.concat()).expect("written");
    drop(old);

    let mut ledger = open(&state, &runtime);
    let read = ledger.events_after(0, 10).expect("reads");
    assert_eq!(read.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((read[0].id_tag.as_str(), read[0].context), ("O'Hara", ReadingContext::TransactionBegin));
    assert_eq!((read[1].context, read[1].state_of_charge_percent), (ReadingContext::SamplePeriodic, Percent(40)));
    assert!(read.iter().all(|event| event.boot.is_empty() && event.boottime_millis == BoottimeMillis(0)));
    assert_eq!(read[1].unix_millis, UnixMillis(1_700_000_000_002));
    let open = ledger.connector(TWO).expect("reads").open.expect("open");
    assert_eq!((open.last_energy, open.ending), (MilliwattHours(150), Some((StopReason::PowerLoss, String::new()))));
    assert_eq!(ledger.record(TransactionEvent { connector: TWO, ..full_sample(4, 1) }).expect("records").sequence, 3);
    assert!(ledger.journal_id() > 0);
}

#[test]
fn a_ledger_of_the_version_before_is_taken_over_with_its_transactions() {
    let (state, runtime) = (dir(), dir());
    let old = store::open(state.path(), "session", &MIGRATIONS[..4]).expect("the version before");
    let rows = "
        INSERT INTO boots VALUES (1, 'an earlier run');
        INSERT INTO events VALUES (5, 1, 1, 'started', NULL, 1, 7, 1700000000000, 100, 0, 0, 0, 0, NULL, 'A', NULL);
        INSERT INTO events VALUES (6, 2, 2, 'started', NULL, 1, 8, 1700000000100, 500, 0, 0, 0, 0, NULL, 'B', NULL);
        INSERT INTO events VALUES (7, 1, 1, 'stopped', NULL, 1, 9, 1700000000200, 300, 0, 0, 0, 0, NULL, NULL, 'local');
        INSERT INTO events VALUES (8, 2, 2, 'sample', NULL, 1, 10, 1700000000300, 600, 1, 2, 3, 4, 50, NULL, NULL);
        INSERT INTO transactions VALUES (1, 1, 'A', 1700000000000, 100, 1700000000200, 300, 1, NULL, '', 'local', 5);
        INSERT INTO transactions VALUES (2, 2, 'B', 1700000000100, 500, 1700000000100, 500, 1, 'remote', '', NULL, 6);
        INSERT INTO connectors VALUES (1, 1);
        INSERT INTO availability VALUES (2, 'inoperative', 'csms', 5);";
    old.database.execute_batch(rows).expect("written");
    drop(old);

    let mut ledger = open(&state, &runtime);
    let (one, two) = (ledger.connector(ONE).expect("reads"), ledger.connector(TWO).expect("reads"));
    let last = one.last.expect("one is over");
    let open = two.open.expect("one is open");
    assert_eq!((last.delivery, open.delivery), (TransactionId(1), TransactionId(2)));
    for entry in [&last, &open] {
        assert_eq!((entry.authorized_by, entry.parent_id_tag.as_str()), (AuthorizationSource::None, ""));
        assert!(entry.held && !entry.suspended);
    }
    assert_eq!((open.last_energy, open.ending), (MilliwattHours(600), Some((StopReason::Remote, String::new()))));
    assert!(one.awaits_unplug && two.is_inoperative);
    let events = ledger.events_after(0, 10).expect("reads");
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [5, 6, 7, 8]);
    assert!(events.iter().all(|event| event.reservation.is_empty() && event.signed_data.is_empty()));
    assert!(events.iter().all(|event| event.boot == "an earlier run"));
    let lasts = "SELECT group_concat(last_event) FROM (SELECT last_event FROM transactions ORDER BY id)";
    let lasts: String = ledger.store.database.query_row(lasts, [], |row| row.get(0)).expect("reads");
    assert_eq!(lasts, "7,0");
    assert_eq!(ledger.irregularities(), []);
    let stop = TransactionEvent { connector: TWO, ..event(EventKind::Stopped, 2, END) };
    assert_eq!(ledger.record(stop).expect("records").sequence, 9);
    assert_eq!(ledger.next_transaction().expect("reads"), TransactionId(3));
}
