//! The bounds of the journal, counted in rows.

use super::bounds::{STEP, STEP_OF_TRANSACTIONS};
use super::*;
use crate::ledger::MIGRATIONS;
use busbar_runtime::store;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// A database with `count` events of transactions that each have a start, samples of both schedules, and a stop.
fn filled(count: u64, of_a_transaction: u64) -> (Connection, Journal) {
    let database = Connection::open_in_memory().expect("opens");
    for migration in MIGRATIONS {
        database.execute_batch(migration).expect("this version");
    }
    database.execute("INSERT INTO boots VALUES (1, 'boot')", []).expect("named");
    database
        .execute(
            "WITH RECURSIVE number(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n + 1 < ?1)
             INSERT INTO events SELECT n + 1, n / ?2 + 1, 1,
                CASE n % ?2 WHEN 0 THEN 'started' WHEN ?2 - 1 THEN 'stopped' ELSE 'sample' END,
                CASE WHEN n % ?2 % 4 = 3 AND n % ?2 <> ?2 - 1 THEN 'sample-clock' END,
                1, n, n, n, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL FROM number",
            params![store::signed(count), store::signed(of_a_transaction)],
        )
        .expect("filled");
    let journal = Journal::open(&database, "boot").expect("opens");
    (database, journal)
}

fn sample(transaction: u64) -> TransactionEvent {
    TransactionEvent {
        sequence: 0,
        transaction: TransactionId(transaction),
        connector: ConnectorId(1),
        kind: EventKind::Sample,
        unix_millis: UnixMillis(0),
        boottime_millis: BoottimeMillis(0),
        boot: String::new(),
        context: ReadingContext::SamplePeriodic,
        energy_milliwatt_hours: MilliwattHours(0),
        watts: Watts(0),
        millivolts: Millivolts(0),
        milliamperes: Milliamperes(0),
        offered_watts: Watts(0),
        state_of_charge_percent: Percent::UNKNOWN,
        id_tag: String::new(),
        reason: StopReason::None,
        reservation: Vec::new(),
        signed_data: String::new(),
    }
}

/// Appends one event; how many rows it has touched, beside its own.
fn append(database: &mut Connection, journal: &mut Journal) -> u64 {
    let before = database.total_changes();
    let books = database.transaction().expect("begins");
    let appended = journal.append(&books, sample(1_000_000)).expect("appends");
    books.commit().expect("commits");
    journal.committed(appended);
    database.total_changes() - before - 1
}

fn rows(database: &Connection, condition: &str) -> u64 {
    let query = format!("SELECT count(*) FROM events WHERE {condition}");
    database.query_row(&query, [], |row| row.get(0)).map(unsigned).expect("counts")
}

fn all(database: &Connection) -> Vec<TransactionEvent> {
    let mut events: Vec<TransactionEvent> = Vec::new();
    loop {
        let page = after(database, events.last().map_or(0, |event| event.sequence), 200).expect("reads");
        if page.is_empty() {
            return events;
        }
        events.extend(page);
    }
}

#[test]
fn case_b46_an_append_touches_few_rows_however_long_the_journal_is() {
    let (mut database, mut journal) = filled(200_000, 40);
    let mut appends = 0u64;
    while rows(&database, "TRUE") > MOST_UNDELIVERED {
        let touched = append(&mut database, &mut journal);
        assert!(touched <= STEP + 1, "{touched} rows in one step");
        appends += 1;
        assert!(appends < 2_000, "it comes to an end");
    }
    // Under its bound it only appends, until the next batch.
    assert_eq!((0..50).map(|_| append(&mut database, &mut journal)).sum::<u64>(), 0);
    let counted = rows(&database, "TRUE");
    assert_eq!((journal.counts.rows, journal.counts.undelivered), (counted, counted));
}

#[test]
fn case_22_case_b22_thinning_takes_every_second_sample_of_the_oldest_and_never_a_start_a_stop_or_a_last_sample() {
    let (mut database, mut journal) = filled(MOST_UNDELIVERED, 40);
    let whole = all(&database);
    append(&mut database, &mut journal);
    let left = all(&database);
    let reached = journal.counts.thinned;
    assert!(reached > 0 && reached < 1_000, "one step from the oldest on: {reached}");
    let numbers: BTreeSet<u64> = left.iter().map(|event| event.sequence).collect();
    let kept = |event: &&TransactionEvent| numbers.contains(&event.sequence);
    for transaction in whole.chunks(40).take(25) {
        let samples: Vec<_> = transaction.iter().filter(|event| event.kind == EventKind::Sample).collect();
        let of = |context| samples.iter().copied().filter(move |event| event.context == context);
        if transaction.last().expect("a stop").sequence <= reached {
            for context in [ReadingContext::SamplePeriodic, ReadingContext::SampleClock] {
                let (had, has) = (of(context).count(), of(context).filter(kept).count());
                assert!(has == had.div_ceil(2) || has == had.div_ceil(2) + 1, "{context}: {has} of {had}");
            }
        }
        assert!(kept(samples.last().expect("a sample")), "the last sample of a transaction stays");
        assert!(transaction.iter().filter(|event| event.kind != EventKind::Sample).all(|event| kept(&event)));
    }
    assert!(
        whole.iter().filter(|event| event.sequence > reached).all(|event| kept(&event)),
        "the newer ones are whole"
    );
}

#[test]
fn case_22_a_year_without_a_csms_keeps_every_start_every_stop_and_every_last_sample() {
    let (mut database, mut journal) = filled(MOST_UNDELIVERED, 20);
    let (starts, stops) = (rows(&database, "kind = 'started'"), rows(&database, "kind = 'stopped'"));
    // Several passes: what was thinned is thinned again.
    for round in 0..400 {
        for _ in 0..100 {
            append(&mut database, &mut journal);
        }
        if round % 100 == 0 {
            let (id, boot) = (journal.id(), journal.boot.clone());
            journal = Journal::open(&database, &boot).expect("opens again");
            assert_eq!(journal.id(), id);
        }
    }
    assert!(rows(&database, "TRUE") <= MOST_UNDELIVERED + 1);
    assert_eq!((rows(&database, "kind = 'started'"), rows(&database, "kind = 'stopped'")), (starts, stops));
    let with_samples: i64 = database
        .query_row("SELECT count(DISTINCT transaction_id) FROM events WHERE kind = 'sample'", [], |row| row.get(0))
        .expect("counts");
    assert_eq!(unsigned(with_samples), starts + 1);
    let lasts = "kind = 'sample' AND sequence % 20 = 19 AND transaction_id < 1000000";
    assert_eq!(rows(&database, lasts), starts, "the last sample of each");
}

#[test]
fn a_backlog_that_was_delivered_at_once_goes_in_steps_and_the_newest_stay() {
    let (mut database, mut journal) = filled(60_000, 40);
    journal.confirmed(&database, Some(0)).expect("followed");
    journal.confirmed(&database, Some(60_000)).expect("followed");
    let mut appends = 0u64;
    while journal.counts.rows >= KEPT + GATHERED {
        let touched = append(&mut database, &mut journal);
        assert!(touched <= STEP + 1, "{touched} rows in one step");
        appends += 1;
    }
    assert!(appends <= 110, "{appends}");
    assert!(rows(&database, "TRUE") >= KEPT);
    let left = all(&database);
    assert_eq!(left.last().map(|event| event.sequence), Some(60_000 + appends));
    assert!(left.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1), "the newest, without a gap");
}

/// The transactions that the events of [`filled`] belong to, all at one connector and over.
fn add_transactions(database: &Connection) {
    let query = "INSERT INTO transactions (id, connector, id_tag, started_unix_millis, started_milliwatt_hours,
                     last_unix_millis, last_milliwatt_hours, stop_reason, first_event, last_event)
                 SELECT transaction_id, 1, '', 0, 0, 0, 0, 'local', min(sequence), max(sequence) FROM events
                 GROUP BY transaction_id";
    database.execute(query, []).expect("filled");
}

#[test]
fn transactions_and_runs_of_the_machine_go_with_their_last_event_in_the_same_steps() {
    // Two events each: the most transactions that a journal can have, one run of the machine for every hundred events,
    // and one run that was never named.
    let (mut database, _) = filled(60_000, 2);
    add_transactions(&database);
    let boots = "INSERT INTO boots SELECT DISTINCT sequence / 100 + 2, 'boot ' || (sequence / 100) FROM events;
                 UPDATE events SET boot = sequence / 100 + 2;
                 INSERT INTO transactions SELECT 0, 2, '', 0, 0, 0, 0, 0, NULL, '', 'local', 0, 0, 'none', '', 0, 0,
                 0, 0;";
    database.execute_batch(boots).expect("filled");
    let mut journal = Journal::open(&database, "this run").expect("opens");
    journal.confirmed(&database, Some(0)).expect("followed");
    journal.confirmed(&database, Some(60_000)).expect("followed");
    for _ in 0..400 {
        let touched = append(&mut database, &mut journal);
        // Beside the events and transactions, the runs that they named, and DeliveredEvent.
        assert!(touched <= STEP + STEP_OF_TRANSACTIONS + STEP / 100 + 3, "{touched} rows in one step");
    }
    let left = |query: &str| database.query_row(query, [], |row| row.get(0)).map(unsigned).expect("counts");
    let events = left("SELECT count(*) FROM events");
    assert!(events < KEPT + GATHERED, "{events}");
    assert!(left("SELECT count(*) FROM transactions WHERE connector = 1") <= events / 2);
    assert_eq!(left("SELECT count(*) FROM transactions WHERE connector = 2"), 1, "the newest of its connector");
    let lost = "SELECT count(*) FROM events WHERE transaction_id < 1000000
                AND transaction_id NOT IN (SELECT id FROM transactions)";
    assert_eq!(left(lost), 0, "every event that is left has its transaction");
    assert!(left("SELECT count(*) FROM boots") <= events / 100 + 2);
    assert_eq!(left("SELECT count(*) FROM events WHERE boot NOT IN (SELECT number FROM boots)"), 0);
    assert!(all(&database).iter().all(|event| !event.boot.is_empty()));
}

#[test]
fn what_is_not_delivered_is_never_trimmed() {
    let (mut database, mut journal) = filled(30_000, 40);
    for _ in 0..600 {
        append(&mut database, &mut journal);
    }
    assert_eq!(rows(&database, "TRUE"), 30_600);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A reader that pages with its own cursor gets what is there, in order, whatever is missing.
    #[test]
    fn a_reader_pages_over_gaps(gone in proptest::collection::btree_set(1u64..300, 0..250), page in 1u32..40) {
        let (database, _) = filled(300, 40);
        for sequence in &gone {
            database.execute("DELETE FROM events WHERE sequence = ?1", params![store::signed(*sequence)]).expect("ok");
        }
        let mut seen: Vec<u64> = Vec::new();
        loop {
            let events = after(&database, seen.last().copied().unwrap_or(0), page).expect("reads");
            if events.is_empty() { break; }
            seen.extend(events.iter().map(|event| event.sequence));
        }
        prop_assert_eq!(seen, (1..=300).filter(|sequence| !gone.contains(sequence)).collect::<Vec<_>>());
    }
}
