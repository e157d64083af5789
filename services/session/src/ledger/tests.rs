//! What was written is there after a process that was killed and after a machine that lost its power.

mod books;
mod facts;
mod sweep;
mod versions;

use super::*;
use crate::journal::bounds::{GATHERED, KEPT};
use crate::rules::Rules;
use crate::schedule::Marks;
use busbar_interfaces::words::{Availability, KeyOrigin, ReadingContext};
use busbar_interfaces::{
    BoottimeMillis, Milliamperes, Millivolts, MilliwattHours, Percent, ReservationId, UnixMillis, Watts,
};
use busbar_runtime::store::unsigned;
use tempfile::TempDir;

const ONE: ConnectorId = ConnectorId(1);
const TWO: ConnectorId = ConnectorId(2);
/// A register above those of every sample.
const END: u64 = 9_999_999_999;
const BOOT: &str = "11111111-2222-3333-4444-555555555555";

fn event(kind: EventKind, transaction: u64, energy: u64) -> TransactionEvent {
    let context = match kind {
        EventKind::Started => ReadingContext::TransactionBegin,
        EventKind::Stopped => ReadingContext::TransactionEnd,
        _ => ReadingContext::SamplePeriodic,
    };
    TransactionEvent {
        sequence: 0,
        transaction: TransactionId(transaction),
        connector: ONE,
        kind,
        unix_millis: UnixMillis(1_800_000_000_000 + energy * 10),
        boottime_millis: BoottimeMillis(energy),
        boot: String::new(),
        context,
        energy_milliwatt_hours: MilliwattHours(energy),
        watts: Watts(0),
        millivolts: Millivolts(0),
        milliamperes: Milliamperes(0),
        offered_watts: Watts(0),
        state_of_charge_percent: Percent::UNKNOWN,
        id_tag: if kind == EventKind::Started { "TAG".to_owned() } else { String::new() },
        reason: StopReason::None,
        reservation: Vec::new(),
        signed_data: String::new(),
    }
}

/// As a charge under way has it: everything that a meter and power tell.
fn full_sample(transaction: u64, energy: u64) -> TransactionEvent {
    TransactionEvent {
        energy_milliwatt_hours: MilliwattHours(9_876_543_210 + energy),
        boottime_millis: BoottimeMillis(5_000_000_000 + energy),
        watts: Watts(149_321),
        millivolts: Millivolts(812_345),
        milliamperes: Milliamperes(183_812),
        offered_watts: Watts(150_000),
        state_of_charge_percent: Percent(57),
        ..event(EventKind::Sample, transaction, energy)
    }
}

fn dir() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn open(state: &TempDir, runtime: &TempDir) -> Ledger {
    Ledger::open(state.path(), runtime.path(), BOOT).expect("opens")
}

/// The ledger as a process that starts after a kill at this moment finds it: the files as they are, without a close.
fn killed_now(state: &TempDir) -> TempDir {
    let copy = dir();
    for file in std::fs::read_dir(state.path()).expect("the directory") {
        let file = file.expect("an entry");
        std::fs::copy(file.path(), copy.path().join(file.file_name())).expect("copied");
    }
    copy
}

#[test]
fn what_was_recorded_is_known_after_a_restart() {
    let (state, runtime) = (dir(), dir());
    let mut ledger = open(&state, &runtime);
    assert_eq!(ledger.next_transaction().expect("reads"), TransactionId(1));
    ledger.record(event(EventKind::Started, 1, 100)).expect("records");
    ledger.record(event(EventKind::Sample, 1, 150)).expect("records");
    ledger.ending(TransactionId(1), StopReason::Remote, "").expect("records");
    ledger.ending(TransactionId(1), StopReason::Local, "TAG").expect("the first reason stands");
    drop(ledger);

    let mut ledger = open(&state, &runtime);
    let open = ledger.connector(ONE).expect("reads").open.expect("open");
    assert_eq!((open.started_energy, open.last_energy), (MilliwattHours(100), MilliwattHours(150)));
    assert_eq!(open.ending, Some((StopReason::Remote, String::new())));
    ledger.record(TransactionEvent { reason: StopReason::Local, ..event(EventKind::Stopped, 1, 170) }).expect("ok");
    let record = ledger.connector(ONE).expect("reads");
    assert_eq!(record.open, None);
    assert!(record.awaits_unplug);
    assert_eq!(record.last.and_then(|last| last.stop_reason), Some(StopReason::Local));
    ledger.unplugged(ONE).expect("writes");
    assert!(!ledger.connector(ONE).expect("reads").awaits_unplug);
    let kinds: Vec<_> =
        ledger.events_after(0, 10).expect("reads").iter().map(|event| (event.sequence, event.kind)).collect();
    assert_eq!(kinds, [(1, EventKind::Started), (2, EventKind::Sample), (3, EventKind::Stopped)]);
    assert_eq!(ledger.next_transaction().expect("reads"), TransactionId(2));
}

#[test]
fn case_30_an_event_comes_back_as_it_was_written_with_its_number_and_the_run_of_the_machine() {
    let (state, runtime) = (dir(), dir());
    let mut ledger = open(&state, &runtime);
    let start = TransactionEvent {
        connector: TWO,
        reservation: vec![ReservationId(-1)],
        signed_data: "OCMF|{}|{}".to_owned(),
        ..event(EventKind::Started, 8, 1)
    };
    let clock = TransactionEvent { context: ReadingContext::SampleClock, connector: TWO, ..full_sample(8, 42) };
    let stop = TransactionEvent {
        reason: StopReason::HardReset,
        id_tag: "B".to_owned(),
        signed_data: "OCMF|".repeat(1_000),
        ..event(EventKind::Stopped, 7, END)
    };
    let written: Vec<_> = [event(EventKind::Started, 7, 1), start, full_sample(7, 3), clock, stop]
        .into_iter()
        .map(|event| ledger.record(event).expect("records"))
        .collect();
    assert!(written.iter().zip(1..).all(|(event, number)| event.sequence == number && event.boot == BOOT));
    assert_eq!(ledger.events_after(0, 100).expect("reads"), written);
    let other = Ledger::open(state.path(), runtime.path(), "another run").expect("opens");
    assert_eq!(other.events_after(1, 100).expect("reads"), written[1..]);
}

#[test]
fn case_b27_killed_right_after_each_durable_write_it_is_there() {
    let (state, runtime) = (dir(), dir());
    let mut ledger = open(&state, &runtime);
    let after_kill = || {
        let copy = killed_now(&state);
        let ledger = open(&copy, &runtime);
        (copy, ledger)
    };

    ledger.record(event(EventKind::Started, 1, 100)).expect("records");
    let (_copy, found) = after_kill();
    assert_eq!(found.connector(ONE).expect("reads").open.expect("open").last_energy, MilliwattHours(100));
    assert_eq!((found.journal_id(), found.last_event()), (ledger.journal_id(), 1));

    ledger.held(TransactionId(1)).expect("records");
    let (_copy, found) = after_kill();
    assert!(found.connector(ONE).expect("reads").open.expect("open").held);

    ledger.record(full_sample(1, 150)).expect("records");
    ledger.record(TransactionEvent { context: ReadingContext::SampleClock, ..full_sample(1, 160) }).expect("records");
    let (_copy, found) = after_kill();
    let record = found.connector(ONE).expect("reads");
    assert_eq!(record.open.expect("open").last_energy, MilliwattHours(9_876_543_370));
    let marks = Marks {
        started: BoottimeMillis(100),
        periodic: BoottimeMillis(5_000_000_150),
        clock: UnixMillis(1_800_000_001_600),
    };
    assert_eq!(record.marks, marks);

    ledger
        .order(&[ConnectorId::STATION, ONE, TWO], Availability::Inoperative, KeyOrigin::Csms, UnixMillis(5))
        .expect("ok");
    ledger.order(&[TWO], Availability::Operative, KeyOrigin::Engineer, UnixMillis(6)).expect("records");
    let (_copy, found) = after_kill();
    let orders = [ConnectorId::STATION, ONE, TWO].map(|connector| found.is_inoperative(connector).expect("reads"));
    assert_eq!(orders, [true, true, false]);

    ledger.hold_starts(Some(BoottimeMillis(77))).expect("records");
    let (_copy, found) = after_kill();
    assert_eq!(found.starts_held_until().expect("reads"), Some(BoottimeMillis(77)));
    ledger.hold_starts(None).expect("records");
    let (_copy, found) = after_kill();
    assert_eq!(found.starts_held_until().expect("reads"), None);

    ledger.ending(TransactionId(1), StopReason::SoftReset, "").expect("records");
    let (_copy, found) = after_kill();
    let ending = found.connector(ONE).expect("reads").open.expect("open").ending;
    assert_eq!(ending, Some((StopReason::SoftReset, String::new())));

    ledger.record(TransactionEvent { reason: StopReason::SoftReset, ..event(EventKind::Stopped, 1, END) }).expect("ok");
    let (_copy, found) = after_kill();
    let record = found.connector(ONE).expect("reads");
    assert_eq!((record.open, record.awaits_unplug), (None, true));
    assert_eq!(record.last.and_then(|last| last.stop_reason), Some(StopReason::SoftReset));
}

#[test]
fn case_b24_tc_034_an_order_outlives_the_machine_and_says_who_gave_it_and_when() {
    let (state, runtime) = (dir(), dir());
    let mut ledger = open(&state, &runtime);
    ledger.order(&[ConnectorId::STATION, ONE], Availability::Inoperative, KeyOrigin::Csms, UnixMillis(5)).expect("ok");
    drop(ledger);
    let ledger = open(&state, &dir());
    assert!(ledger.connector(ONE).expect("reads").is_inoperative);
    assert!(!ledger.connector(TWO).expect("reads").is_inoperative);
    let query = "SELECT origin, ordered_unix_millis FROM availability WHERE connector = 1";
    let who: (String, i64) =
        ledger.store.database.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("a row");
    assert_eq!(who, ("csms".to_owned(), 5));
}

#[test]
fn case_b26_a_reset_that_was_promised_stays_the_reason_after_the_reboot() {
    for reason in [StopReason::SoftReset, StopReason::HardReset] {
        let (state, runtime) = (dir(), dir());
        let mut ledger = open(&state, &runtime);
        ledger.record(event(EventKind::Started, 1, 100)).expect("records");
        ledger.ending(TransactionId(1), reason, "").expect("records");
        drop(ledger);
        let ledger = open(&state, &dir());
        let open = ledger.connector(ONE).expect("reads").open.expect("open");
        assert_eq!(open.ending, Some((reason, String::new())));
    }
}

#[test]
fn the_rules_survive_and_those_of_an_earlier_version_are_read() {
    let (state, runtime) = (dir(), dir());
    let mut ledger = open(&state, &runtime);
    assert_eq!(ledger.rules().expect("reads"), None);
    let rules = Rules { allow_unknown_offline: false, ..Rules::default() };
    ledger.follow_rules(&rules).expect("writes");
    drop(ledger);
    let ledger = open(&state, &runtime);
    assert_eq!(ledger.rules().expect("reads"), Some(rules.clone()));
    ledger.store.database.execute("UPDATE rules SET rules = json_remove(rules, '$.clock_interval')", []).expect("ok");
    assert_eq!(ledger.rules().expect("reads"), Some(rules));
}

#[test]
fn each_journal_has_a_name_of_its_own() {
    let (state, runtime) = (dir(), dir());
    let id = open(&state, &runtime).journal_id();
    assert_eq!(open(&state, &runtime).journal_id(), id);
    assert_ne!(open(&dir(), &runtime).journal_id(), id);
    assert!(id <= i64::MAX.unsigned_abs());
}

#[test]
fn what_is_delivered_is_learned_from_what_rises_and_kept_at_the_end() {
    let (state, runtime) = (dir(), dir());
    let mut ledger = open(&state, &runtime);
    ledger.record(event(EventKind::Started, 1, 0)).expect("records");
    for energy in 1..20 {
        ledger.record(full_sample(1, energy)).expect("records");
    }
    for (confirmed, delivered) in [
        // Its first word may be about another journal, and so is one beyond the end.
        (Some(12), 0),
        (Some(21), 0),
        (Some(0), 0),
        (Some(3), 3),
        (Some(4), 4),
        (None, 4),
        (Some(9), 4),
        (Some(10), 10),
        (Some(7), 10),
    ] {
        let before = ledger.delivered_event();
        assert_eq!(ledger.confirmed(confirmed).expect("reads"), before != delivered, "{confirmed:?}");
        assert_eq!(ledger.delivered_event(), delivered, "{confirmed:?}");
    }
    ledger.close().expect("writes");
    assert_eq!(open(&state, &runtime).delivered_event(), 10);
}

#[test]
fn an_hour_of_samples_stays_within_the_budget_of_the_disk() {
    let (state, runtime) = (dir(), dir());
    let mut ledger = open(&state, &runtime);
    ledger.record(event(EventKind::Started, 1, 0)).expect("records");
    // Fill some pages first: a journal has a history.
    for energy in 0..200 {
        ledger.record(full_sample(1, energy)).expect("records");
    }
    let log = state.path().join("session.sqlite-wal");
    let written = || std::fs::metadata(&log).expect("the log").len();
    let before = written();
    for minute in 1..=60 {
        ledger.record(full_sample(1, 60_000 * minute)).expect("records");
    }
    let used = written() - before;
    // A page of 1024 bytes with its head of 24, and now and then the page above it.
    assert!(used <= 70 * 1048, "{used} bytes");
}

#[test]
fn delivered_events_go_in_batches_and_the_oldest_open_transaction_stays_whole() {
    let (state, runtime) = (dir(), dir());
    let mut ledger = open(&state, &runtime);
    ledger.store.database.pragma_update(None, "synchronous", "OFF").expect("a test need not wait for the disk");
    let rows = |ledger: &Ledger| -> u64 {
        ledger.store.database.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).map(unsigned).expect("ok")
    };
    ledger.record(event(EventKind::Started, 1, 0)).expect("records");
    ledger.record(event(EventKind::Stopped, 1, 1)).expect("records");
    ledger.record(event(EventKind::Started, 2, 2)).expect("records");
    ledger.confirmed(Some(0)).expect("followed");
    for energy in 0..KEPT + 2 * GATHERED {
        ledger.record(full_sample(2, energy)).expect("records");
        let last = ledger.last_event();
        ledger.confirmed(Some(last)).expect("followed");
    }
    let left = ledger.events_after(0, 1).expect("reads");
    assert_eq!(left.first().map(|event| event.sequence), Some(3), "its begin is read again after a restart");
    ledger.record(event(EventKind::Stopped, 2, END)).expect("records");
    let before = rows(&ledger);
    assert!(before < KEPT + GATHERED, "{before}");
    let delivered = ledger.delivered_event();
    drop(ledger);
    let ledger = open(&state, &runtime);
    assert!(ledger.delivered_event() > 0 && ledger.delivered_event() <= delivered);
    let first = ledger.events_after(0, 1).expect("reads").first().map_or(0, |event| event.sequence);
    assert!(first <= ledger.delivered_event() + 1, "what is gone was delivered, on disk too");
}

#[test]
fn case_b27_tables_stay_bounded_over_many_transactions_and_numbers_go_on() {
    let (state, runtime) = (dir(), dir());
    let mut ledger = open(&state, &runtime);
    let rows = |ledger: &Ledger, table: &str| -> u64 {
        let query = format!("SELECT count(*) FROM {table}");
        ledger.store.database.query_row(&query, [], |row| row.get(0)).map(unsigned).expect("counts")
    };
    let mut highest = 0;
    for number in 0..7_000u64 {
        if number % 500 == 0 {
            // Another run of the machine.
            drop(ledger);
            ledger = Ledger::open(state.path(), dir().path(), &format!("run {number}")).expect("opens");
            ledger.store.database.pragma_update(None, "synchronous", "OFF").expect("a test need not wait for the disk");
            ledger.confirmed(Some(0)).expect("followed");
            assert_eq!(ledger.next_transaction().expect("reads"), TransactionId(highest + 1));
        }
        // One connector was used once, long ago.
        let connector = if number == 10 { TWO } else { ONE };
        let transaction = highest + 1;
        highest = transaction;
        ledger
            .record(TransactionEvent { connector, ..event(EventKind::Started, transaction, number) })
            .expect("records");
        if number % 100 == 10 {
            highest += 1;
            ledger.deliver_as(TransactionId(transaction), Some(TransactionId(highest))).expect("writes");
        }
        ledger
            .record(TransactionEvent { connector, ..event(EventKind::Stopped, transaction, number) })
            .expect("records");
        let last = ledger.last_event();
        ledger.confirmed(Some(last)).expect("followed");
    }
    let events = rows(&ledger, "events");
    assert!(events < KEPT + GATHERED, "{events}");
    let transactions = rows(&ledger, "transactions");
    assert!(transactions <= events / 2 + 2, "{transactions}");
    let boots = rows(&ledger, "boots");
    assert!(boots <= events / 1_000 + 2, "{boots}");
    for connector in [ONE, TWO] {
        assert!(ledger.connector(connector).expect("reads").last.is_some(), "the newest of each connector stays");
    }
    assert_eq!(ledger.next_transaction().expect("reads"), TransactionId(highest + 1));
}
