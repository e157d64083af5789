//! Where a test stops a process: right before and right after everything that it makes durable.
//!
//! With `BUSBAR_FAILPOINT=N` in its environment a process kills itself (SIGKILL) when it comes by for the N-th time,
//! counted from 1 over its life. `Store::write`, the migrations and `durable::replace` each come by twice: before the
//! write is durable, and after. So the suite goes through a whole scene with N = 1, 2, 3 … until one outlives it. This is
//! in debug builds alone: a release build has neither the variable nor the count.

/// A durable write is about to be made, or has just been made.
pub fn passed() {
    #[cfg(debug_assertions)]
    armed::passed();
}

#[cfg(debug_assertions)]
mod armed {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static PASSED: AtomicU64 = AtomicU64::new(0);
    static LAST: OnceLock<Option<u64>> = OnceLock::new();

    pub fn passed() {
        let number = PASSED.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        if *LAST.get_or_init(asked_for) == Some(number) {
            // It does not return, unless the kernel refuses; then the test that waits for the end says so.
            let _ = kill(Pid::this(), Signal::SIGKILL);
        }
    }

    #[allow(clippy::disallowed_methods, reason = "services/runtime reads the environment")]
    fn asked_for() -> Option<u64> {
        std::env::var("BUSBAR_FAILPOINT").ok()?.parse().ok()
    }
}

#[cfg(test)]
#[cfg(debug_assertions)]
#[allow(clippy::disallowed_methods, reason = "the test starts itself again, with another environment")]
mod tests {
    use crate::{durable, store};
    use std::os::unix::process::ExitStatusExt;
    use std::path::Path;
    use std::process::{Command, ExitStatus, Stdio};

    const DIRECTORY: &str = "BUSBAR_TEST_DIRECTORY";

    /// What the process does that is stopped: a migration, a row, a file.
    #[test]
    fn child() {
        let Ok(directory) = std::env::var(DIRECTORY) else { return };
        let directory = Path::new(&directory);
        let mut store = store::open(directory, "test", &["CREATE TABLE things (name TEXT) STRICT;"]).expect("opens");
        store.write(|things| things.execute("INSERT INTO things VALUES ('one')", [])).expect("writes");
        durable::replace(&directory.join("file"), b"two").expect("writes");
    }

    fn run(directory: &Path, failpoint: u64) -> ExitStatus {
        Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "failpoint::tests::child"])
            .env(DIRECTORY, directory)
            .env("BUSBAR_FAILPOINT", failpoint.to_string())
            .stdout(Stdio::null())
            .status()
            .expect("runs")
    }

    /// Whether the table, the row and the file are there.
    fn found(directory: &Path) -> [bool; 3] {
        let database = rusqlite::Connection::open(directory.join("test.sqlite")).expect("opens");
        let rows: Result<i64, _> = database.query_row("SELECT count(*) FROM things", [], |row| row.get(0));
        let file = durable::read(&directory.join("file")).expect("reads");
        [rows.is_ok(), rows == Ok(1), file.as_deref() == Some("two")]
    }

    #[test]
    fn a_process_is_killed_right_before_and_right_after_each_durable_write() {
        let table = [
            // failpoint, what is on disk then
            (1, [false, false, false]),
            (2, [true, false, false]),
            (3, [true, false, false]),
            (4, [true, true, false]),
            (5, [true, true, false]),
            (6, [true, true, true]),
        ];
        for (failpoint, on_disk) in table {
            let directory = tempfile::tempdir().expect("a directory");
            assert_eq!(run(directory.path(), failpoint).signal(), Some(9), "{failpoint}");
            assert_eq!(found(directory.path()), on_disk, "{failpoint}");
        }
        let directory = tempfile::tempdir().expect("a directory");
        assert!(run(directory.path(), 7).success(), "there are no more");
    }
}
