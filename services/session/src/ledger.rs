//! The ledger of this service: transactions and their journal, orders about availability, and what else was promised,
//! on disk before anything is said or done.

use crate::journal::{self, Journal};
use crate::rules::Rules;
use crate::schedule::Marks;
use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::words::{Availability, EventKind, KeyOrigin, ReadingContext, StopReason};
use busbar_interfaces::{BoottimeMillis, ConnectorId, MilliwattHours, TransactionId, UnixMillis};
use busbar_runtime::store::{self, Store, StoreError, signed, unsigned};
use busbar_runtime::{Exit, durable};
use rusqlite::{OptionalExtension, params};
use std::path::Path;

const MIGRATIONS: &[&str] = &[
    busbar_runtime::journal::SCHEMA,
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
    journal::SCHEMA,
    concat!(
        "CREATE TABLE availability (
        connector INTEGER PRIMARY KEY,
        availability TEXT NOT NULL,
        origin TEXT NOT NULL,
        ordered_unix_millis INTEGER NOT NULL
    ) STRICT;",
        "CREATE TABLE starts_held (
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
        until_boottime_millis INTEGER NOT NULL
    ) STRICT;",
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
    /// The register at its last event.
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
    /// What its samples go by.
    pub marks: Marks,
    /// The last one that is over.
    pub last: Option<Entry>,
    /// Its vehicle had not been unplugged.
    pub awaits_unplug: bool,
    /// It is ordered out of service.
    pub is_inoperative: bool,
}

/// The open ledger.
#[derive(Debug)]
pub struct Ledger {
    store: Store,
    journal: Journal,
}

impl Ledger {
    /// Opens the ledger in this run of the machine (`boot`), and finds out whether the machine has restarted since it
    /// was last open.
    ///
    /// # Errors
    /// [`Exit::Storage`] when the directories cannot be used.
    pub fn open(state: &Path, runtime: &Path, boot: &str) -> Result<Ledger, Exit> {
        // Badges are in it.
        let store = store::open_private(state, "session", MIGRATIONS).map_err(|error: StoreError| Exit::from(error))?;
        let marker = runtime.join(RUNNING_SINCE_BOOT);
        let unusable = |error| Exit::Storage(format!("`{}` cannot be used: {error}", marker.display()));
        if durable::read(&marker).map_err(unusable)?.is_none() {
            // No delivery can have outlived the machine. On disk before the marker, so that a second crash changes
            // nothing about the reason.
            store.database.execute(
                "UPDATE transactions SET ending_reason = ?1 WHERE stop_reason IS NULL AND ending_reason IS NULL",
                params![StopReason::PowerLoss.as_str()],
            )?;
            store.database.execute("DELETE FROM starts_held", [])?;
            durable::replace(&marker, b"").map_err(unusable)?;
        }
        let journal = Journal::open(&store.database, boot)?;
        Ok(Ledger { store, journal })
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
        let database = &self.store.database;
        let newest = |open: &str| {
            let query = format!(
                "SELECT id, id_tag, started_unix_millis, started_milliwatt_hours, last_milliwatt_hours, stop_reason,
                        ending_reason, ending_id_tag, held, first_event
                 FROM transactions WHERE connector = ?1 AND stop_reason IS {open} NULL ORDER BY id DESC LIMIT 1"
            );
            let entry = |row: &rusqlite::Row<'_>| {
                let entry = Entry {
                    transaction: TransactionId(unsigned(row.get(0)?)),
                    id_tag: row.get(1)?,
                    started: UnixMillis(unsigned(row.get(2)?)),
                    started_energy: MilliwattHours(unsigned(row.get(3)?)),
                    last_energy: MilliwattHours(unsigned(row.get(4)?)),
                    stop_reason: row.get::<_, Option<String>>(5)?.map(|reason| StopReason::of(&reason)),
                    ending: match row.get::<_, Option<String>>(6)? {
                        Some(reason) => Some((StopReason::of(&reason), row.get(7)?)),
                        None => None,
                    },
                    held: row.get(8)?,
                };
                Ok((entry, row.get::<_, i64>(9)?))
            };
            database.query_row(&query, params![connector.0], entry).optional()
        };
        let (mut open, mut marks) = (None, Marks::default());
        if let Some((mut entry, first_event)) = newest("")? {
            let id = signed(entry.transaction.0);
            let last_of = |context| journal::last_of(database, id, first_event, context);
            if let Some((energy, ..)) = last_of(None)? {
                entry.last_energy = entry.last_energy.max(energy);
            }
            marks.clock = entry.started;
            if let Some((_, boottime, _)) = last_of(Some(ReadingContext::TransactionBegin))? {
                (marks.started, marks.periodic) = (boottime, boottime);
            }
            if let Some((_, boottime, _)) = last_of(Some(ReadingContext::SamplePeriodic))? {
                marks.periodic = boottime;
            }
            if let Some((_, _, unix)) = last_of(Some(ReadingContext::SampleClock))? {
                marks.clock = unix;
            }
            open = Some(entry);
        }
        let awaits_unplug: Option<bool> = database
            .query_row("SELECT awaits_unplug FROM connectors WHERE connector = ?1", params![connector.0], |row| {
                row.get(0)
            })
            .optional()?;
        Ok(ConnectorRecord {
            open,
            marks,
            last: newest("NOT")?.map(|(entry, _)| entry),
            awaits_unplug: awaits_unplug.unwrap_or(false),
            is_inoperative: self.is_inoperative(connector)?,
        })
    }

    /// Whether a connector, or with 0 the station, is ordered out of service.
    pub fn is_inoperative(&self, connector: ConnectorId) -> Result<bool, rusqlite::Error> {
        let query = "SELECT availability = ?2 FROM availability WHERE connector = ?1";
        let parameters = params![connector.0, Availability::Inoperative.as_str()];
        let found: Option<bool> = self.store.database.query_row(query, parameters, |row| row.get(0)).optional()?;
        Ok(found.unwrap_or(false))
    }

    /// Remembers an order about connectors, 0 being the station: all of it or nothing.
    pub fn order(
        &mut self,
        connectors: &[ConnectorId],
        availability: Availability,
        origin: KeyOrigin,
        when: UnixMillis,
    ) -> Result<(), rusqlite::Error> {
        let books = self.store.database.transaction()?;
        for connector in connectors {
            books.execute(
                "INSERT OR REPLACE INTO availability VALUES (?1, ?2, ?3, ?4)",
                params![connector.0, availability.as_str(), origin.as_str(), signed(when.0)],
            )?;
        }
        books.commit()
    }

    /// Until when no transaction may begin; nothing when that is not so.
    pub fn starts_held_until(&self) -> Result<Option<BoottimeMillis>, rusqlite::Error> {
        let query = "SELECT until_boottime_millis FROM starts_held";
        let until: Option<i64> = self.store.database.query_row(query, [], |row| row.get(0)).optional()?;
        Ok(until.map(|until| BoottimeMillis(unsigned(until))))
    }

    /// Remembers until when no transaction may begin, in this run of the machine.
    pub fn hold_starts(&mut self, until: Option<BoottimeMillis>) -> Result<(), rusqlite::Error> {
        match until {
            Some(until) => self
                .store
                .database
                .execute("INSERT OR REPLACE INTO starts_held VALUES (1, ?1)", params![signed(until.0)])?,
            None => self.store.database.execute("DELETE FROM starts_held", [])?,
        };
        Ok(())
    }

    /// Writes an event with its place in the books, all of it or nothing, and returns it with its number. What a sample
    /// says stands in the journal alone: it has one page to write.
    pub fn record(&mut self, event: TransactionEvent) -> Result<TransactionEvent, rusqlite::Error> {
        let books = self.store.database.transaction()?;
        let id = signed(event.transaction.0);
        let (when, energy) = (signed(event.unix_millis.0), signed(event.energy_milliwatt_hours.0));
        match event.kind {
            EventKind::Started => {
                let first_event = signed(self.journal.next());
                books.execute(
                    "INSERT INTO transactions (id, connector, id_tag, started_unix_millis, started_milliwatt_hours,
                                               last_unix_millis, last_milliwatt_hours, first_event)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?4, ?5, ?6)",
                    params![id, event.connector.0, event.id_tag, when, energy, first_event],
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
            EventKind::Sample | EventKind::Unknown => {}
        }
        let appended = self.journal.append(&books, event)?;
        books.commit()?;
        Ok(self.journal.committed(appended))
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

    /// Names the journal.
    pub fn journal_id(&self) -> u64 {
        self.journal.id()
    }

    /// The number of the last event.
    pub fn last_event(&self) -> u64 {
        self.journal.last()
    }

    /// The number of the last delivered event, as far as is known.
    pub fn delivered_event(&self) -> u64 {
        self.journal.delivered()
    }

    /// What `ocpp` says is confirmed; nothing while it is away. True if more is delivered than was known.
    pub fn confirmed(&mut self, confirmed: Option<u64>) -> Result<bool, rusqlite::Error> {
        self.journal.confirmed(&self.store.database, confirmed)
    }

    /// Writes down what is delivered: the service is about to end.
    pub fn close(mut self) -> Result<(), rusqlite::Error> {
        self.journal.keep_delivered(&self.store.database)
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
mod tests;
