//! The keys that somebody set, on disk.

use crate::book::Entry;
use busbar_interfaces::UnixMillis;
use busbar_interfaces::words::KeyOrigin;
use busbar_runtime::store::{self, StoreError};
use rusqlite::{Connection, params};
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
    /// When the directory or the database cannot be used.
    pub fn open(directory: &Path) -> Result<(Ledger, Option<PathBuf>), StoreError> {
        let store = store::open(directory, "settings", MIGRATIONS)?;
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

#[cfg(test)]
mod tests {
    use super::*;

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
