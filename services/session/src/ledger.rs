//! The ledger of this service: transactions and their journal, on disk before anything is said or done.

use crate::rules::Rules;
use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::words::{EventKind, StopReason};
use busbar_interfaces::{ConnectorId, MilliwattHours, TransactionId, UnixMillis};
use busbar_runtime::store::{self, Store, StoreError, signed, unsigned};
use busbar_runtime::{Exit, durable, journal};
use rusqlite::{OptionalExtension, params};
use std::path::Path;

const MIGRATIONS: &[&str] = &[
    journal::SCHEMA,
    concat!(
        "CREATE TABLE transactions (
        id INTEGER PRIMARY KEY,
        connector INTEGER NOT NULL,
        id_tag TEXT NOT NULL,
        started_unix_millis INTEGER NOT NULL,
        started_milliwatt_hours INTEGER NOT NULL,
        last_unix_millis INTEGER NOT NULL,
        last_milliwatt_hours INTEGER NOT NULL,
        held INTEGER NOT NULL DEFAULT 0,
        ending_reason TEXT,
        ending_id_tag TEXT NOT NULL DEFAULT '',
        stop_reason TEXT
    ) STRICT;",
        "CREATE INDEX open_transactions ON transactions (connector) WHERE stop_reason IS NULL;",
        "CREATE TABLE connectors (connector INTEGER PRIMARY KEY, awaits_unplug INTEGER NOT NULL) STRICT;",
        "CREATE TABLE rules (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), rules TEXT NOT NULL) STRICT;",
    ),
];

/// The file in the runtime directory that says that the machine has not restarted since this service ran.
const RUNNING_SINCE_BOOT: &str = "session.running";

/// A transaction as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub transaction: TransactionId,
    /// The badge that started it.
    pub id_tag: String,
    /// When it began.
    pub started: UnixMillis,
    /// The register when it began.
    pub started_energy: MilliwattHours,
    /// When it was last sampled or ended.
    pub last: UnixMillis,
    /// The register then.
    pub last_energy: MilliwattHours,
    /// Power has held its delivery.
    pub held: bool,
    /// That it is to end: why, and by whose badge if that was somebody.
    pub ending: Option<(StopReason, String)>,
    /// Why it ended; `None` while it runs.
    pub stop_reason: Option<StopReason>,
}

/// What the ledger knows about a connector when the service starts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnectorRecord {
    /// The transaction that was open.
    pub open: Option<Entry>,
    /// The last one that is over.
    pub last: Option<Entry>,
    /// Its vehicle had not been unplugged.
    pub awaits_unplug: bool,
}

/// The open ledger.
#[derive(Debug)]
pub struct Ledger {
    store: Store,
}

impl Ledger {
    /// Opens the ledger and finds out whether the machine has restarted since it was last open.
    ///
    /// # Errors
    /// [`Exit::Storage`] when the directories cannot be used.
    pub fn open(state: &Path, runtime: &Path) -> Result<Ledger, Exit> {
        let store = store::open(state, "session", MIGRATIONS).map_err(|error: StoreError| Exit::from(error))?;
        let marker = runtime.join(RUNNING_SINCE_BOOT);
        let unusable = |error| Exit::Storage(format!("`{}` cannot be used: {error}", marker.display()));
        if durable::read(&marker).map_err(unusable)?.is_none() {
            // No delivery can have outlived the machine. On disk before the marker, so that a second crash changes
            // nothing about the reason.
            store.database.execute(
                "UPDATE transactions SET ending_reason = ?1 WHERE stop_reason IS NULL AND ending_reason IS NULL",
                params![StopReason::PowerLoss.as_str()],
            )?;
            durable::replace(&marker, b"").map_err(unusable)?;
        }
        Ok(Ledger { store })
    }

    /// Where a damaged ledger was put, if one was found.
    pub fn set_aside(&self) -> Option<&Path> {
        self.store.set_aside.as_deref()
    }

    /// The number that the next transaction gets.
    pub fn next_transaction(&self) -> Result<TransactionId, rusqlite::Error> {
        let last: Option<i64> =
            self.store.database.query_row("SELECT max(id) FROM transactions", [], |row| row.get(0))?;
        Ok(TransactionId(unsigned(last.unwrap_or(0)).saturating_add(1)))
    }

    /// What is known about a connector.
    pub fn connector(&self, connector: ConnectorId) -> Result<ConnectorRecord, rusqlite::Error> {
        let newest = |open: &str| {
            let query = format!(
                "SELECT id, id_tag, started_unix_millis, started_milliwatt_hours, last_unix_millis,
                        last_milliwatt_hours, stop_reason, ending_reason, ending_id_tag, held
                 FROM transactions WHERE connector = ?1 AND stop_reason IS {open} NULL ORDER BY id DESC LIMIT 1"
            );
            self.store
                .database
                .query_row(&query, params![connector.0], |row| {
                    Ok(Entry {
                        transaction: TransactionId(unsigned(row.get(0)?)),
                        id_tag: row.get(1)?,
                        started: UnixMillis(unsigned(row.get(2)?)),
                        started_energy: MilliwattHours(unsigned(row.get(3)?)),
                        last: UnixMillis(unsigned(row.get(4)?)),
                        last_energy: MilliwattHours(unsigned(row.get(5)?)),
                        stop_reason: row.get::<_, Option<String>>(6)?.map(|reason| StopReason::of(&reason)),
                        ending: match row.get::<_, Option<String>>(7)? {
                            Some(reason) => Some((StopReason::of(&reason), row.get(8)?)),
                            None => None,
                        },
                        held: row.get(9)?,
                    })
                })
                .optional()
        };
        let awaits_unplug: Option<bool> = self
            .store
            .database
            .query_row("SELECT awaits_unplug FROM connectors WHERE connector = ?1", params![connector.0], |row| {
                row.get(0)
            })
            .optional()?;
        Ok(ConnectorRecord { open: newest("")?, last: newest("NOT")?, awaits_unplug: awaits_unplug.unwrap_or(false) })
    }

    /// Writes an event with its place in the books, all of it or nothing, and returns it with its number.
    pub fn record(&mut self, event: TransactionEvent) -> Result<TransactionEvent, rusqlite::Error> {
        let books = self.store.database.transaction()?;
        let id = signed(event.transaction.0);
        let (when, energy) = (signed(event.unix_millis.0), signed(event.energy_milliwatt_hours.0));
        match event.kind {
            EventKind::Started => {
                books.execute(
                    "INSERT INTO transactions (id, connector, id_tag, started_unix_millis, started_milliwatt_hours,
                                               last_unix_millis, last_milliwatt_hours)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?4, ?5)",
                    params![id, event.connector.0, event.id_tag, when, energy],
                )?;
            }
            EventKind::Stopped => {
                books.execute(
                    "UPDATE transactions SET last_unix_millis = ?2, last_milliwatt_hours = ?3, stop_reason = ?4
                     WHERE id = ?1",
                    params![id, when, energy, event.reason.as_str()],
                )?;
                await_unplug(&books, event.connector, true)?;
            }
            EventKind::Sample | EventKind::Unknown => {
                books.execute(
                    "UPDATE transactions SET last_unix_millis = ?2, last_milliwatt_hours = ?3 WHERE id = ?1",
                    params![id, when, energy],
                )?;
            }
        }
        let event = journal::append(&books, |sequence| TransactionEvent { sequence, ..event })?;
        books.commit()?;
        Ok(event)
    }

    /// Remembers that a transaction is to end, before anybody is told that it will.
    pub fn ending(
        &mut self,
        transaction: TransactionId,
        reason: StopReason,
        id_tag: &str,
    ) -> Result<(), rusqlite::Error> {
        self.store.database.execute(
            "UPDATE transactions SET ending_reason = ?2, ending_id_tag = ?3 WHERE id = ?1 AND ending_reason IS NULL",
            params![signed(transaction.0), reason.as_str(), id_tag],
        )?;
        Ok(())
    }

    /// Remembers that power holds the delivery of a transaction: from now on it is renewed and never started again.
    pub fn held(&mut self, transaction: TransactionId) -> Result<(), rusqlite::Error> {
        self.store
            .database
            .execute("UPDATE transactions SET held = 1 WHERE id = ?1", params![signed(transaction.0)])?;
        Ok(())
    }

    /// The rules that were followed last; nothing before the first.
    pub fn rules(&self) -> Result<Option<Rules>, rusqlite::Error> {
        let text: Option<String> =
            self.store.database.query_row("SELECT rules FROM rules", [], |row| row.get(0)).optional()?;
        // Rules of another version are as good as none: settings tells them in a moment.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Remembers the rules that are followed.
    pub fn follow_rules(&mut self, rules: &Rules) -> Result<(), rusqlite::Error> {
        let text =
            serde_json::to_string(rules).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        self.store.database.execute(
            "INSERT INTO rules VALUES (1, ?1) ON CONFLICT (only_row) DO UPDATE SET rules = ?1 WHERE rules <> ?1",
            params![text],
        )?;
        Ok(())
    }

    /// Remembers that the vehicle of the last transaction is gone.
    pub fn unplugged(&mut self, connector: ConnectorId) -> Result<(), rusqlite::Error> {
        await_unplug(&self.store.database, connector, false)
    }

    /// Events after a cursor.
    pub fn events_after(&self, cursor: u64, max: u32) -> Result<Vec<TransactionEvent>, rusqlite::Error> {
        journal::after(&self.store.database, cursor, max)
    }

    /// The number of the last event.
    pub fn last_event(&self) -> Result<u64, rusqlite::Error> {
        journal::last(&self.store.database)
    }
}

fn await_unplug(database: &rusqlite::Connection, connector: ConnectorId, awaits: bool) -> Result<(), rusqlite::Error> {
    database.execute(
        "INSERT INTO connectors VALUES (?1, ?2) ON CONFLICT (connector) DO UPDATE SET awaits_unplug = ?2",
        params![connector.0, awaits],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use busbar_interfaces::{Milliamperes, Millivolts, Percent, Watts};

    fn event(kind: EventKind, transaction: u64, energy: u64) -> TransactionEvent {
        TransactionEvent {
            sequence: 0,
            transaction: TransactionId(transaction),
            connector: ConnectorId(1),
            kind,
            unix_millis: UnixMillis(energy * 10),
            energy_milliwatt_hours: MilliwattHours(energy),
            watts: Watts(0),
            millivolts: Millivolts(0),
            milliamperes: Milliamperes(0),
            offered_watts: Watts(0),
            state_of_charge_percent: Percent::UNKNOWN,
            id_tag: "TAG".to_owned(),
            reason: StopReason::None,
        }
    }

    #[test]
    fn what_was_recorded_is_known_after_a_restart() {
        let (state, runtime) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
        let mut ledger = Ledger::open(state.path(), runtime.path()).expect("opens");
        assert_eq!(ledger.next_transaction().expect("reads"), TransactionId(1));
        ledger.record(event(EventKind::Started, 1, 100)).expect("records");
        ledger.record(event(EventKind::Sample, 1, 150)).expect("records");
        ledger.ending(TransactionId(1), StopReason::Remote, "").expect("records");
        ledger.ending(TransactionId(1), StopReason::Local, "TAG").expect("the first reason stands");
        drop(ledger);

        let mut ledger = Ledger::open(state.path(), runtime.path()).expect("opens");
        let open = ledger.connector(ConnectorId(1)).expect("reads").open.expect("open");
        assert_eq!((open.started_energy, open.last_energy), (MilliwattHours(100), MilliwattHours(150)));
        assert_eq!(open.ending, Some((StopReason::Remote, String::new())));
        ledger.record(TransactionEvent { reason: StopReason::Local, ..event(EventKind::Stopped, 1, 170) }).expect("ok");
        let record = ledger.connector(ConnectorId(1)).expect("reads");
        assert_eq!(record.open, None);
        assert!(record.awaits_unplug);
        assert_eq!(record.last.and_then(|last| last.stop_reason), Some(StopReason::Local));
        ledger.unplugged(ConnectorId(1)).expect("writes");
        assert!(!ledger.connector(ConnectorId(1)).expect("reads").awaits_unplug);
        let kinds: Vec<_> =
            ledger.events_after(0, 10).expect("reads").iter().map(|event| (event.sequence, event.kind)).collect();
        assert_eq!(kinds, [(1, EventKind::Started), (2, EventKind::Sample), (3, EventKind::Stopped)]);
        assert_eq!(ledger.next_transaction().expect("reads"), TransactionId(2));
    }

    #[test]
    fn a_restart_of_the_machine_is_the_reason_whatever_crashes_next() {
        let (state, runtime) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
        let mut ledger = Ledger::open(state.path(), runtime.path()).expect("opens");
        ledger.record(event(EventKind::Started, 1, 100)).expect("records");
        drop(ledger);
        let fresh = tempfile::tempdir().expect("a runtime directory after a boot");
        for _ in 0..2 {
            let ledger = Ledger::open(state.path(), fresh.path()).expect("opens");
            let open = ledger.connector(ConnectorId(1)).expect("reads").open.expect("open");
            assert_eq!(open.ending, Some((StopReason::PowerLoss, String::new())));
        }
    }

    #[test]
    fn the_rules_survive() {
        let (state, runtime) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
        let mut ledger = Ledger::open(state.path(), runtime.path()).expect("opens");
        assert_eq!(ledger.rules().expect("reads"), None);
        let rules = Rules { allow_unknown_offline: false, ..Rules::default() };
        ledger.follow_rules(&rules).expect("writes");
        drop(ledger);
        let ledger = Ledger::open(state.path(), runtime.path()).expect("opens");
        assert_eq!(ledger.rules().expect("reads"), Some(rules));
    }

    #[test]
    fn a_second_start_of_the_same_transaction_is_refused_as_a_whole() {
        let (state, runtime) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
        let mut ledger = Ledger::open(state.path(), runtime.path()).expect("opens");
        ledger.record(event(EventKind::Started, 1, 100)).expect("records");
        assert!(ledger.record(event(EventKind::Started, 1, 100)).is_err());
        assert_eq!(ledger.last_event().expect("reads"), 1);
    }
}
