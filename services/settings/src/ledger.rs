//! The keys that somebody set, on disk, in a directory that nobody else may enter: a password is among them.

use crate::book::Entry;
use busbar_interfaces::UnixMillis;
use busbar_interfaces::words::KeyOrigin;
use busbar_runtime::store::{self, StoreError};
use rusqlite::{Connection, params};
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

const MIGRATIONS: &[&str] = &["CREATE TABLE keys (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    origin TEXT NOT NULL,
    changed_unix_millis INTEGER NOT NULL
) STRICT;"];

/// The keys that somebody set.
pub struct Ledger {
    database: Connection,
}

impl Ledger {
    /// Opens the ledger in the state directory; tells where a damaged one was put.
    ///
    /// # Errors
    /// When the directory or the database cannot be used, or cannot be closed to others.
    pub fn open(directory: &Path) -> Result<(Ledger, Option<PathBuf>), StoreError> {
        let unusable = |source| StoreError::Directory { directory: directory.to_owned(), source };
        close_directory(directory).map_err(unusable)?;
        let store = store::open_private(directory, "settings", MIGRATIONS)?;
        Ok((Ledger { database: store.database }, store.set_aside))
    }

    /// Every row.
    ///
    /// # Errors
    /// What the database says.
    pub fn rows(&self) -> Result<Vec<Entry>, rusqlite::Error> {
        let mut statement = self.database.prepare("SELECT key, value, origin, changed_unix_millis FROM keys")?;
        let rows = statement.query_map([], |row| {
            let origin: String = row.get(2)?;
            let changed: i64 = row.get(3)?;
            Ok(Entry {
                key: row.get(0)?,
                value: row.get(1)?,
                origin: KeyOrigin::of(&origin),
                changed: UnixMillis(u64::try_from(changed).unwrap_or(0)),
            })
        })?;
        rows.collect()
    }

    /// Writes rows, all or none; they are on disk when this returns.
    ///
    /// # Errors
    /// What the database says; nothing is written then.
    pub fn write(&mut self, entries: &[Entry]) -> Result<(), rusqlite::Error> {
        let transaction = self.database.transaction()?;
        for entry in entries {
            transaction
                .prepare_cached(
                    "INSERT INTO keys (key, value, origin, changed_unix_millis) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (key) DO UPDATE SET value = ?2, origin = ?3, changed_unix_millis = ?4",
                )?
                .execute(params![
                    entry.key,
                    entry.value,
                    entry.origin.as_str(),
                    i64::try_from(entry.changed.0).unwrap_or(i64::MAX)
                ])?;
        }
        transaction.commit()
    }
}

/// Makes the directory, or takes it away from everybody but its owner.
fn close_directory(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    fs::set_permissions(directory, Permissions::from_mode(0o700))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modes(directory: &Path) -> Vec<(String, u32)> {
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        let mut modes = vec![("the directory".to_owned(), mode(directory))];
        modes.extend(fs::read_dir(directory).expect("a directory").map(|entry| {
            let path = entry.expect("an entry").path();
            (path.file_name().expect("a name").to_string_lossy().into_owned(), mode(&path))
        }));
        modes
    }

    #[test]
    fn nobody_else_reads_the_ledger() {
        let parent = tempfile::tempdir().expect("a directory");
        let directory = parent.path().join("settings");
        // As an earlier version left it, with a damaged database.
        DirBuilder::new().mode(0o755).create(&directory).expect("made");
        busbar_runtime::durable::replace(&directory.join("settings.sqlite"), b"a database before the power cut.....")
            .expect("written");
        let (mut ledger, aside) = Ledger::open(&directory).expect("opens");
        assert!(aside.is_some());
        let entry = Entry {
            key: "AuthorizationKey".to_owned(),
            value: "correct-horse-battery".to_owned(),
            origin: KeyOrigin::Csms,
            changed: UnixMillis(10),
        };
        ledger.write(&[entry]).expect("written");
        let modes = modes(&directory);
        assert!(modes.len() >= 4, "the directory, two databases, a log: {modes:?}");
        for (name, mode) in modes {
            assert_eq!(mode, if name == "the directory" { 0o700 } else { 0o600 }, "{name}");
        }
    }

    #[test]
    fn what_was_written_is_there_after_a_restart() {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut ledger, aside) = Ledger::open(directory.path()).expect("opens");
        assert_eq!(aside, None);
        let entry = |value: &str, changed| Entry {
            key: "ResetRetries".to_owned(),
            value: value.to_owned(),
            origin: KeyOrigin::Csms,
            changed: UnixMillis(changed),
        };
        ledger.write(&[entry("3", 10)]).expect("written");
        ledger.write(&[entry("4", 20)]).expect("written over");
        drop(ledger);
        let (ledger, _) = Ledger::open(directory.path()).expect("opens again");
        assert!(ledger.rows().expect("read") == vec![entry("4", 20)]);
    }
}
