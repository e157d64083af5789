//! Every durable write of the ledger, with the process killed right before it and right after: what is on disk then is
//! what was there before the write, or all of the write.

use super::*;
use crate::local_list::{Limits, Update};
use crate::reservation::Reserved;
use busbar_interfaces::ocpp::Authorization;
use busbar_interfaces::session::LocalListEntry;
use busbar_interfaces::words::AuthorizationStatus;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

const DIRECTORY: &str = "BUSBAR_TEST_DIRECTORY";

type Step = (&'static str, fn(&mut Ledger));

/// Everything that is ever written, in the order of a day. Each of these is one commit.
const STEPS: &[Step] = &[
    ("rules", |ledger| ledger.follow_rules(&Rules::default()).expect("writes")),
    ("a local list", |ledger| change_list(ledger, 1, &["A", "B"], &[])),
    ("a change of it", |ledger| change_list(ledger, 2, &["C"], &["a"])),
    ("a badge", |ledger| learn(ledger, "D", AuthorizationStatus::Accepted)),
    ("another word on it", |ledger| learn(ledger, "d", AuthorizationStatus::Blocked)),
    ("a reservation", |ledger| reserve(ledger, 7, TWO)),
    ("another one", |ledger| reserve(ledger, 8, ONE)),
    ("the other one, again", |ledger| reserve(ledger, 7, ONE)),
    ("the end of one", |ledger| ledger.end_reservation(ReservationId(7)).expect("writes")),
    ("a start", |ledger| {
        let start = TransactionEvent { reservation: vec![ReservationId(8)], ..event(EventKind::Started, 1, 100) };
        ledger.start(start, AuthorizationSource::Csms, "").expect("records");
    }),
    ("its delivery", |ledger| ledger.held(TransactionId(1)).expect("writes")),
    ("its group", |ledger| ledger.group(TransactionId(1), "G").expect("writes")),
    ("a sample", |ledger| record(ledger, full_sample(1, 10))),
    ("a signed sample", |ledger| {
        let context = ReadingContext::SampleClock;
        record(ledger, TransactionEvent { signed_data: "OCMF".to_owned(), context, ..full_sample(1, 20) });
    }),
    ("a sample that goes back", |ledger| record(ledger, full_sample(1, 15))),
    ("another delivery", |ledger| ledger.deliver_as(TransactionId(1), Some(TransactionId(2))).expect("writes")),
    ("a badge that is not accepted", |ledger| ledger.suspend(TransactionId(1)).expect("writes")),
    ("an order", |ledger| {
        let all = [ConnectorId::STATION, ONE, TWO];
        ledger.order(&all, Availability::Inoperative, KeyOrigin::Csms, UnixMillis(5)).expect("writes");
    }),
    ("a pause", |ledger| ledger.hold_starts(Some(BoottimeMillis(77))).expect("writes")),
    ("its end", |ledger| ledger.hold_starts(None).expect("writes")),
    ("an ending", |ledger| ledger.ending(TransactionId(1), StopReason::Local, "TAG").expect("writes")),
    ("a stop", |ledger| record(ledger, event(EventKind::Stopped, 1, END))),
    ("an unplugged vehicle", |ledger| ledger.unplugged(ONE).expect("writes")),
    ("a start with another meter", |ledger| record(ledger, event(EventKind::Started, 3, 5))),
    ("what somebody else noticed", |ledger| {
        ledger.irregular(TWO, TransactionId(9), "of another connector", UnixMillis(5)).expect("writes");
    }),
    ("a stop after that", |ledger| record(ledger, event(EventKind::Stopped, 3, 6))),
    ("a start", |ledger| record(ledger, event(EventKind::Started, 4, 6))),
    ("a stop that takes the note away", |ledger| record(ledger, event(EventKind::Stopped, 4, 7))),
    ("an empty cache", |ledger| ledger.clear_cache().expect("writes")),
];

/// Migrations, the reasons after a restart of the machine, and the marker come before the first step.
const BEFORE_STEPS: usize = 6;

fn record(ledger: &mut Ledger, event: TransactionEvent) {
    ledger.record(event).expect("records");
}

fn learn(ledger: &mut Ledger, id_tag: &str, status: AuthorizationStatus) {
    let word = Authorization { status, parent_id_tag: String::new(), expires_unix_millis: UnixMillis(0) };
    ledger.learn(id_tag, &word).expect("writes");
}

fn reserve(ledger: &mut Ledger, number: i32, connector: ConnectorId) {
    let id_tag = "TAG".to_owned();
    let expires = UnixMillis(5);
    let reservation = ReservationId(number);
    ledger.reserve(&Reserved { reservation, connector, id_tag, parent_id_tag: String::new(), expires }).expect("ok");
}

fn change_list(ledger: &mut Ledger, version: i32, entries: &[&str], removed: &[&str]) {
    let authorization = Authorization {
        status: AuthorizationStatus::Accepted,
        parent_id_tag: String::new(),
        expires_unix_millis: UnixMillis(0),
    };
    let entry = |id_tag: &&str| LocalListEntry { id_tag: (*id_tag).to_owned(), authorization: authorization.clone() };
    let update = Update {
        version,
        is_full: false,
        entries: entries.iter().map(entry).collect(),
        removed: removed.iter().map(|id_tag| (*id_tag).to_owned()).collect(),
    };
    ledger.update_local_list(&update, Limits { at_once: 400, in_all: 4000 }).expect("writes");
}

/// Every row of every table; the name of the journal is another one each time.
fn rows(state: &Path) -> Vec<String> {
    let database = Connection::open(state.join("session.sqlite")).expect("opens");
    let mut names = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").expect("ok");
    let names: Vec<String> =
        names.query_map([], |row| row.get(0)).expect("reads").map(|name| name.expect("ok")).collect();
    let mut rows = Vec::new();
    for name in names {
        let mut query = database.prepare(&format!("SELECT * FROM {name}")).expect("prepares");
        let columns: Vec<String> = query.column_names().map(str::to_owned).collect();
        let mut found = query.query([]).expect("reads");
        while let Some(row) = found.next().expect("reads") {
            let values = columns.iter().enumerate().filter(|(_, column)| *column != "journal_id");
            let values: Vec<String> =
                values.map(|(place, _)| format!("{:?}", row.get_ref(place).expect("ok"))).collect();
            rows.push(format!("{name}: {}", values.join(" ")));
        }
    }
    rows
}

/// The process that is killed.
#[test]
#[allow(clippy::disallowed_methods, reason = "the test starts itself again, with another environment")]
fn child() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let directory = Path::new(&directory);
    let mut ledger = Ledger::open(&directory.join("state"), &directory.join("runtime"), BOOT).expect("opens");
    STEPS.iter().for_each(|(_, step)| step(&mut ledger));
    ledger.close().expect("writes");
}

/// The same, as far as its start.
#[test]
#[allow(clippy::disallowed_methods, reason = "the test starts itself again, with another environment")]
fn child_that_starts() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let directory = Path::new(&directory);
    Ledger::open(&directory.join("state"), &directory.join("runtime"), BOOT).expect("opens");
}

/// Runs one of these until it comes by a failpoint for the n-th time; true if that killed it.
fn is_killed_at(child: &str, directory: &Path, failpoint: usize) -> bool {
    let status = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", &format!("ledger::tests::sweep::{child}")])
        .env(DIRECTORY, directory)
        .env("BUSBAR_FAILPOINT", failpoint.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("runs");
    assert!(status.success() || status.signal() == Some(9), "{status}");
    !status.success()
}

fn station() -> TempDir {
    let directory = dir();
    std::fs::create_dir(directory.path().join("runtime")).expect("a directory");
    directory
}

/// What is on disk before the first step, after each, and after the planned stop.
fn whole_day() -> Vec<Vec<String>> {
    let directory = station();
    let (state, runtime) = (directory.path().join("state"), directory.path().join("runtime"));
    let mut ledger = Ledger::open(&state, &runtime, BOOT).expect("opens");
    let mut days = vec![rows(&state)];
    for (name, step) in STEPS {
        step(&mut ledger);
        days.push(rows(&state));
        assert_ne!(days[days.len() - 1], days[days.len() - 2], "{name} writes something");
    }
    ledger.close().expect("writes");
    days.push(rows(&state));
    days
}

#[test]
fn case_b27_killed_right_before_and_right_after_each_durable_write() {
    if !cfg!(debug_assertions) {
        eprintln!("skipped: there are no failpoints in a release build");
        return;
    }
    let days = whole_day();
    for failpoint in 1.. {
        let directory = station();
        if !is_killed_at("child", directory.path(), failpoint) {
            let writes = STEPS.len() + 1;
            assert_eq!(failpoint, BEFORE_STEPS + 2 * writes + 1, "each step is one commit");
            return;
        }
        let writes_done = failpoint.saturating_sub(BEFORE_STEPS) / 2;
        let doing = STEPS.get((failpoint.saturating_sub(BEFORE_STEPS + 1)) / 2).map_or("a planned stop", |step| step.0);
        let (state, runtime) = (directory.path().join("state"), directory.path().join("runtime"));
        if failpoint > 1 {
            assert_eq!(rows(&state), days[writes_done], "failpoint {failpoint}: {doing}");
        }
        goes_on(&state, &runtime, doing);
    }
}

/// The next process finds books that add up, and so does the next machine.
fn goes_on(state: &Path, runtime: &Path, doing: &str) {
    for runtime in [runtime, dir().path()] {
        let ledger = Ledger::open(state, runtime, BOOT).expect("opens");
        let events = ledger.events_after(0, 256).expect("reads");
        assert_eq!(ledger.last_event(), events.len() as u64, "{doing}");
        for kind in [EventKind::Started, EventKind::Stopped] {
            let mut of_kind: Vec<_> =
                events.iter().filter(|event| event.kind == kind).map(|event| event.transaction).collect();
            let all = of_kind.len();
            of_kind.dedup();
            assert_eq!(of_kind.len(), all, "{doing}: one start and one stop of each");
        }
        let open = ledger.connector(ONE).expect("reads").open;
        let runs = events.last().is_some_and(|event| event.kind != EventKind::Stopped);
        assert_eq!(open.is_some(), runs, "{doing}");
        let next = ledger.next_transaction().expect("reads");
        assert!(events.iter().all(|event| event.transaction < next), "{doing}");
        assert!(open.is_none_or(|open| open.delivery < next), "{doing}");
    }
}

#[test]
fn case_10_case_b26_a_start_after_a_restart_of_the_machine_that_is_killed_changes_nothing_about_the_reason() {
    if !cfg!(debug_assertions) {
        eprintln!("skipped: there are no failpoints in a release build");
        return;
    }
    for (in_order, reason) in [(true, StopReason::Reboot), (false, StopReason::PowerLoss)] {
        let mut killed = 0;
        for failpoint in 1..=5 {
            let directory = station();
            let (state, runtime) = (directory.path().join("state"), directory.path().join("runtime"));
            let mut ledger = Ledger::open(&state, dir().path(), BOOT).expect("opens");
            record(&mut ledger, event(EventKind::Started, 1, 100));
            if in_order {
                ledger.close().expect("writes");
            } else {
                drop(ledger);
            }
            killed += u32::from(is_killed_at("child_that_starts", directory.path(), failpoint));
            let ledger = Ledger::open(&state, &runtime, BOOT).expect("opens");
            let ending = ledger.connector(ONE).expect("reads").open.expect("open").ending;
            assert_eq!(ending, Some((reason, String::new())), "failpoint {failpoint}");
        }
        assert_eq!(killed, 4, "the commit and the marker, before and after each");
    }
}
