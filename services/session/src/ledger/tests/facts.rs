//! What is remembered beside the events: of a transaction, of badges, of reservations, of how the process ended; and
//! what a full disk changes.

use super::*;
use crate::local_list::{Limits, Update};
use crate::reservation::Reserved;
use busbar_interfaces::ocpp::Authorization;
use busbar_interfaces::session::LocalListEntry;
use busbar_interfaces::words::{AuthorizationStatus, ListVerdict};

const LIMITS: Limits = Limits { at_once: 400, in_all: 4000 };

fn reserved(number: i32, expires: u64) -> Reserved {
    Reserved {
        reservation: ReservationId(number),
        connector: ONE,
        id_tag: "TAG".to_owned(),
        parent_id_tag: "GROUP".to_owned(),
        expires: UnixMillis(expires),
    }
}

fn accepted(parent_id_tag: &str) -> Authorization {
    Authorization {
        status: AuthorizationStatus::Accepted,
        parent_id_tag: parent_id_tag.to_owned(),
        expires_unix_millis: UnixMillis(1_900_000_000_000),
    }
}

#[test]
fn case_26_a_start_takes_its_reservation_with_it_and_no_other() {
    let (state, runtime) = (dir(), dir());
    let mut ledger = open(&state, &runtime);
    for number in [-3, 0, 7] {
        ledger.reserve(&reserved(number, 1)).expect("writes");
    }
    ledger.reserve(&reserved(0, 2)).expect("the same number again");
    let start = TransactionEvent { reservation: vec![ReservationId(-3)], ..event(EventKind::Started, 1, 100) };
    let written = ledger.start(start, AuthorizationSource::LocalList, "GROUP").expect("records");
    let ledger = open(&killed_now(&state), &runtime);
    assert_eq!(ledger.reservations().expect("reads"), [reserved(0, 2), reserved(7, 1)]);
    assert_eq!(ledger.events_after(0, 10).expect("reads"), [written]);
    let entry = ledger.connector(ONE).expect("reads").open.expect("open");
    assert_eq!((entry.authorized_by, entry.parent_id_tag.as_str()), (AuthorizationSource::LocalList, "GROUP"));
    assert_eq!((entry.delivery, entry.held, entry.suspended), (TransactionId(1), false, false));
}

#[test]
fn what_is_remembered_of_a_transaction_is_written_once() {
    let (state, runtime) = (dir(), dir());
    let mut ledger = open(&state, &runtime);
    ledger.start(event(EventKind::Started, 1, 100), AuthorizationSource::Csms, "").expect("records");
    for _ in 0..2 {
        let before = ledger.store.database.total_changes();
        ledger.held(TransactionId(1)).expect("writes");
        ledger.deliver_as(TransactionId(1), Some(TransactionId(2))).expect("writes");
        ledger.group(TransactionId(1), "G").expect("writes");
        ledger.suspend(TransactionId(1)).expect("writes");
        let changes = ledger.store.database.total_changes() - before;
        let entry = open(&killed_now(&state), &runtime).connector(ONE).expect("reads").open.expect("open");
        assert_eq!((entry.delivery, entry.parent_id_tag.as_str(), entry.suspended), (TransactionId(2), "G", true));
        if entry.held {
            assert_eq!(changes, 1, "power has taken the new delivery, and nothing else is news");
        } else {
            assert_eq!(changes, 4, "power has not been asked for the new delivery yet");
        }
    }
}

#[test]
fn a_number_is_never_given_twice() {
    let (state, runtime) = (dir(), dir());
    let mut ledger = open(&state, &runtime);
    let next = |ledger: &Ledger| ledger.next_transaction().expect("reads");
    assert_eq!(next(&ledger), TransactionId(1));
    ledger.record(event(EventKind::Started, 1, 1)).expect("records");
    ledger.deliver_as(TransactionId(1), Some(TransactionId(2))).expect("writes");
    assert_eq!(next(&ledger), TransactionId(3));
    ledger.record(TransactionEvent { connector: TWO, ..event(EventKind::Started, 3, 1) }).expect("records");
    ledger.deliver_as(TransactionId(1), Some(TransactionId(4))).expect("writes");
    ledger.deliver_as(TransactionId(1), None).expect("writes");
    assert_eq!((next(&ledger), next(&open(&killed_now(&state), &runtime))), (TransactionId(5), TransactionId(5)));
    ledger.record(event(EventKind::Stopped, 1, 2)).expect("records");
    drop(ledger);
    assert_eq!(next(&open(&state, &runtime)), TransactionId(5));
}

#[test]
fn case_25_case_b51_the_list_and_the_cache_outlive_the_process_and_the_machine() {
    let (state, runtime) = (dir(), dir());
    let mut ledger = open(&state, &runtime);
    assert_eq!((ledger.local_list_version(), ledger.local_list_badges(), ledger.cached_badges()), (0, 0, 0));
    let entry = LocalListEntry { id_tag: "aBc".to_owned(), authorization: accepted("LIST") };
    let update = Update { version: 5, is_full: false, entries: vec![entry], removed: Vec::new() };
    assert_eq!(ledger.update_local_list(&update, LIMITS).expect("writes"), ListVerdict::Accepted);
    assert_eq!(ledger.update_local_list(&update, LIMITS).expect("reads"), ListVerdict::VersionMismatch);
    ledger.learn("Abc", &accepted("CACHE")).expect("writes");
    ledger.learn("other", &accepted("")).expect("writes");
    drop(ledger);
    let mut ledger = open(&state, &dir());
    assert_eq!((ledger.local_list_version(), ledger.local_list_badges(), ledger.cached_badges()), (5, 1, 2));
    let known = ledger.known("ABC").expect("reads");
    assert_eq!((known.list, known.cache), (Some(accepted("LIST")), Some(accepted("CACHE"))));
    ledger.clear_cache().expect("writes");
    let ledger = open(&killed_now(&state), &runtime);
    let known = ledger.known("abc").expect("reads");
    assert_eq!((known.list, known.cache), (Some(accepted("LIST")), None));
    assert_eq!((ledger.local_list_badges(), ledger.cached_badges()), (1, 0));
}

#[test]
fn case_10_case_b25_case_b26_the_reason_after_a_restart_of_the_machine() {
    #[derive(Debug, PartialEq)]
    enum Then {
        Killed,
        Stopped,
        Started,
        MachineRestarted,
    }
    use Then::{Killed, MachineRestarted, Started, Stopped};
    let none = None;
    let (power_loss, reboot) = (Some(StopReason::PowerLoss), Some(StopReason::Reboot));
    let table: [(&[Then], Option<StopReason>); 8] = [
        // what happens while a transaction runs, and the reason that is on disk for its end then
        (&[Killed, Started], none),
        (&[Stopped, Started], none),
        (&[Killed, MachineRestarted, Started], power_loss),
        (&[Stopped, MachineRestarted, Started], reboot),
        // The mark of a good stop is over when the process runs again.
        (&[Stopped, Started, Killed, MachineRestarted, Started], power_loss),
        // A machine that goes down again before the marker is on disk changes nothing.
        (&[Stopped, MachineRestarted, Started, Killed, MachineRestarted, Started], reboot),
        (&[Killed, MachineRestarted, Started, Stopped, MachineRestarted, Started], power_loss),
        (&[Stopped, Started, Stopped, MachineRestarted, Started], reboot),
    ];
    for (story, reason) in table {
        let (state, mut runtime) = (dir(), dir());
        let mut ledger = open(&state, &runtime);
        ledger.record(event(EventKind::Started, 1, 100)).expect("records");
        let mut running = Some(ledger);
        for then in story {
            match then {
                Killed => drop(running.take()),
                Stopped => running.take().expect("it runs").close().expect("writes"),
                Started => running = Some(open(&state, &runtime)),
                MachineRestarted => runtime = dir(),
            }
        }
        let open = running.expect("it runs").connector(ONE).expect("reads").open.expect("open");
        assert_eq!(open.ending.map(|(reason, _)| reason), reason, "{story:?}");
    }
}

#[test]
fn a_start_that_changes_nothing_writes_nothing() {
    let (state, runtime) = (dir(), dir());
    let mut ledger = open(&state, &runtime);
    ledger.record(event(EventKind::Started, 1, 100)).expect("records");
    let log = || std::fs::metadata(state.path().join("session.sqlite-wal")).expect("the log").len();
    let before = log();
    let mut second = open(&state, &runtime);
    second.hold_starts(None).expect("nothing is held");
    second.clear_cache().expect("nothing is there");
    second.unplugged(TWO).expect("nothing was plugged in");
    let nothing = Update { version: 0, is_full: true, entries: Vec::new(), removed: Vec::new() };
    second.update_local_list(&nothing, LIMITS).expect("nothing is on it");
    assert_eq!(log(), before);
}

#[test]
fn a_pause_ends_with_the_machine_and_not_with_the_process() {
    let (state, runtime) = (dir(), dir());
    open(&state, &runtime).hold_starts(Some(BoottimeMillis(600_000))).expect("records");
    assert_eq!(open(&state, &runtime).starts_held_until().expect("reads"), Some(BoottimeMillis(600_000)));
    assert_eq!(open(&state, &dir()).starts_held_until().expect("reads"), None, "what it was for has come");
}

/// From now on the database takes so many pages more.
fn leave_room(ledger: &Ledger, pages: i64) {
    let count: i64 = ledger.store.database.pragma_query_value(None, "page_count", |row| row.get(0)).expect("pragma");
    ledger.store.database.execute_batch(&format!("PRAGMA max_page_count = {};", count + pages)).expect("pragma");
}

#[test]
fn case_17_a_write_that_fails_on_a_full_disk_leaves_the_books_as_they_were() {
    let (state, runtime) = (dir(), dir());
    let mut ledger = open(&state, &runtime);
    assert!(ledger.has_reserve());
    ledger.record(event(EventKind::Started, 1, 100)).expect("records");
    leave_room(&ledger, 0);
    let long = TransactionEvent { signed_data: "x".repeat(10_000), ..event(EventKind::Stopped, 1, 200) };
    let full = ledger.record(long.clone()).expect_err("no room");
    assert_eq!(Exit::from(full).code(), 74);
    let reserve = state.path().join("session.reserve");
    assert!(!ledger.has_reserve() && !reserve.exists());
    assert_eq!((ledger.last_event(), ledger.irregularities()), (1, Vec::new()));
    assert!(ledger.connector(ONE).expect("reads").open.is_some());

    leave_room(&ledger, 100);
    assert_eq!(ledger.record(long).expect("there is room").sequence, 2);
    assert!(ledger.restore_reserve() && ledger.has_reserve() && reserve.exists());
}
