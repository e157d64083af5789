//! What was committed stays, what is damaged is kept, and a full disk is no end.
#![allow(clippy::disallowed_methods, reason = "the test damages files")]

use super::*;

const SCHEMA: &[&str] = &["CREATE TABLE things (name TEXT NOT NULL) STRICT;"];

#[test]
fn what_was_committed_is_there_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path(), "test", SCHEMA).expect("opens");
    store.database.execute("INSERT INTO things VALUES ('kept')", []).expect("inserts");
    drop(store);
    let store = open(directory.path(), "test", SCHEMA).expect("opens again");
    let name: String = store.database.query_row("SELECT name FROM things", [], |row| row.get(0)).expect("a row");
    assert_eq!(name, "kept");
    assert_eq!(store.set_aside, None);
    let level: i64 = store.database.pragma_query_value(None, "synchronous", |row| row.get(0)).expect("pragma");
    assert_eq!(level, 2, "FULL");
}

#[test]
fn a_damaged_file_is_set_aside_and_never_deleted() {
    let directory = tempfile::tempdir().expect("a directory");
    for round in 1..=2 {
        fs::write(directory.path().join("test.sqlite"), b"this was a database once, before the power cut........")
            .expect("written");
        let store = open(directory.path(), "test", SCHEMA).expect("opens with a new one");
        let aside = store.set_aside.expect("reported");
        assert!(aside.ends_with(format!("test.damaged-{round}.sqlite")));
        assert!(fs::read(&aside).expect("kept").starts_with(b"this was a database once"));
    }
}

#[test]
fn a_store_with_secrets_is_for_its_owner_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("test.damaged-1.sqlite"), b"from before").expect("written");
    let store = open_private(directory.path(), "test", SCHEMA).expect("opens");
    store.database.execute("INSERT INTO things VALUES ('secret')", []).expect("inserts");
    let mut files = 0;
    for entry in fs::read_dir(directory.path()).expect("a directory") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode, PRIVATE, "{}", entry.path().display());
        files += 1;
    }
    assert_eq!(files, 4, "the database, what SQLite adds, and the damaged one");
}

#[test]
fn a_newer_schema_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    drop(open(directory.path(), "test", &[SCHEMA[0], "CREATE TABLE more (x INTEGER) STRICT;"]).expect("opens"));
    assert!(matches!(open(directory.path(), "test", SCHEMA), Err(StoreError::Newer { found: 2, known: 1, .. })));
}

#[test]
fn a_migration_keeps_the_rows() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path(), "test", SCHEMA).expect("opens");
    store.database.execute("INSERT INTO things VALUES ('old')", []).expect("inserts");
    drop(store);
    let newer = [SCHEMA[0], "ALTER TABLE things ADD COLUMN weight INTEGER NOT NULL DEFAULT 7;"];
    let store = open(directory.path(), "test", &newer).expect("migrates");
    let weight: i64 = store.database.query_row("SELECT weight FROM things", [], |row| row.get(0)).expect("row");
    assert_eq!(weight, 7);
}

fn names(store: &Store) -> Vec<String> {
    let mut query = store.database.prepare("SELECT name FROM things ORDER BY rowid").expect("prepares");
    query.query_map([], |row| row.get(0)).expect("reads").map(|name| name.expect("a name")).collect()
}

fn add(store: &mut Store, name: &str) -> Result<usize, rusqlite::Error> {
    store.write(|things| things.execute("INSERT INTO things VALUES (?1)", [name]))
}

#[test]
fn a_write_is_done_as_a_whole_or_not_at_all() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut store = open(directory.path(), "test", SCHEMA).expect("opens");
    add(&mut store, "one").expect("writes");
    let torn = store.write(|things| {
        things.execute("INSERT INTO things VALUES ('two')", [])?;
        things.execute("INSERT INTO things VALUES (NULL)", [])
    });
    assert!(torn.is_err());
    assert_eq!(names(&store), ["one"]);
    assert!(!store.has_reserve() && !store.restore_reserve(), "it was not asked for");
}

#[test]
fn an_open_that_migrates_nothing_writes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let _first = open(directory.path(), "test", SCHEMA).expect("opens");
    let log = || fs::metadata(directory.path().join("test.sqlite-wal")).expect("the log").len();
    let before = log();
    let _second = open(directory.path(), "test", SCHEMA).expect("opens");
    assert_eq!(log(), before);
}

/// A store with a reserve that takes only a few pages more.
fn nearly_full(directory: &Path) -> Store {
    let store = open_with_reserve(directory, "test", SCHEMA).expect("opens");
    assert!(store.has_reserve());
    let pages: i64 = store.database.pragma_query_value(None, "page_count", |row| row.get(0)).expect("pragma");
    let limit = format!("PRAGMA max_page_count = {};", pages + 2);
    store.database.execute_batch(&limit).expect("pragma");
    store
}

#[test]
fn case_17_a_full_disk_takes_the_reserve_and_the_write_is_done_all_the_same() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut store = nearly_full(directory.path());
    let reserve = directory.path().join("test.reserve");
    let found = fs::metadata(&reserve).expect("the reserve");
    assert!(std::os::unix::fs::MetadataExt::blocks(&found) * 512 >= 4 * 1024 * 1024, "it is really allocated");
    assert_eq!(found.permissions().mode() & 0o777, PRIVATE);
    let (mut calls, long) = (0, "x".repeat(10_000));
    store
        .write(|things| {
            calls += 1;
            if !reserve.exists() {
                things.execute_batch("PRAGMA max_page_count = 1000;")?;
            }
            things.execute("INSERT INTO things VALUES (?1)", [&long])
        })
        .expect("the second time");
    assert_eq!((calls, names(&store).len()), (2, 1));
    assert!(!store.has_reserve() && !reserve.exists());
    assert!(store.restore_reserve() && store.has_reserve() && reserve.exists());
}

#[test]
fn case_17_a_disk_that_stays_full_is_an_error_and_what_was_there_stays() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut store = nearly_full(directory.path());
    add(&mut store, "one").expect("fits");
    for _ in 0..2 {
        let full = add(&mut store, &"x".repeat(10_000)).expect_err("does not fit");
        assert_eq!(full.sqlite_error_code(), Some(ErrorCode::DiskFull));
        assert!(!store.has_reserve());
    }
    assert_eq!(names(&store), ["one"]);
}

#[test]
fn another_failure_leaves_the_reserve_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut store = open_with_reserve(directory.path(), "test", SCHEMA).expect("opens");
    store.write(|things| things.execute("INSERT INTO nothings VALUES (1)", [])).expect_err("no such table");
    assert!(store.has_reserve());
}

#[test]
fn a_reserve_that_was_cut_short_is_made_whole_at_the_next_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let reserve = directory.path().join("test.reserve");
    fs::write(&reserve, b"half").expect("written");
    let store = open_with_reserve(directory.path(), "test", SCHEMA).expect("opens");
    assert!(store.has_reserve());
    assert_eq!(fs::metadata(&reserve).expect("the reserve").len(), 4 * 1024 * 1024);
}

/// A disk of its own, of this many MiB; nothing where this process may not have one.
struct Disk(tempfile::TempDir);

impl Disk {
    fn of(mebibytes: u32) -> Option<Disk> {
        let disk = Disk(tempfile::tempdir().expect("a directory"));
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"]).arg(disk.0.path());
        let is_mounted = mount.output().is_ok_and(|output| output.status.success());
        if !is_mounted {
            eprintln!("skipped: this process may not mount a disk");
        }
        is_mounted.then_some(disk)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Somebody else writes until nothing more fits.
    fn fill(&self) {
        let mut file = fs::File::create(self.path().join("filler")).expect("a file");
        while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.path().join("filler")).expect("removed");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[test]
fn case_17_on_a_disk_that_is_really_full_thousands_of_writes_succeed_and_then_it_ends() {
    let Some(disk) = Disk::of(16) else { return };
    let mut store = open_with_reserve(disk.path(), "test", SCHEMA).expect("opens");
    disk.fill();
    let mut writes = 0u32;
    while store.has_reserve() {
        add(&mut store, "while there is room in the log").expect("written");
        writes += 1;
    }
    assert!(!store.restore_reserve(), "there is no room");
    while add(&mut store, "on what the reserve has left").is_ok() {
        writes += 1;
    }
    assert!(writes > 3_000, "{writes}");
    assert_eq!(names(&store).len(), usize::try_from(writes).expect("a count"));
    disk.empty();
    assert!(store.restore_reserve());
    add(&mut store, "as before").expect("written");
}

#[test]
fn case_17_a_process_that_starts_on_a_full_disk_opens_its_store_with_the_reserve() {
    let Some(disk) = Disk::of(16) else { return };
    let mut store = open_with_reserve(disk.path(), "test", SCHEMA).expect("opens");
    add(&mut store, "before").expect("written");
    drop(store);
    disk.fill();
    let mut store = open_with_reserve(disk.path(), "test", SCHEMA).expect("opens on a full disk");
    add(&mut store, "after").expect("written");
    assert_eq!(names(&store), ["before", "after"]);
    drop(store);
    disk.fill();
    open_with_reserve(disk.path(), "test", SCHEMA).expect_err("there is nothing left to give up");
}

#[test]
fn case_17_a_disk_without_room_for_a_reserve_has_a_store_all_the_same() {
    let Some(disk) = Disk::of(4) else { return };
    let mut store = open_with_reserve(disk.path(), "test", SCHEMA).expect("opens");
    assert!(!store.has_reserve() && !store.restore_reserve());
    add(&mut store, "without").expect("written");
}
