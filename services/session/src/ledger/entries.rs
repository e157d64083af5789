//! Transactions as the ledger knows them: their rows, and what is remembered of one while it runs.

use super::Ledger;
use crate::journal;
use crate::schedule::Marks;
use busbar_interfaces::words::{AuthorizationSource, ReadingContext, StopReason};
use busbar_interfaces::{ConnectorId, MilliwattHours, TransactionId, UnixMillis};
use busbar_runtime::store::{signed, unsigned};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

/// A transaction as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub transaction: TransactionId,
    /// The badge that started it.
    pub id_tag: String,
    /// By whose word.
    pub authorized_by: AuthorizationSource,
    /// The group of the badge; empty when it has none, or none is known.
    pub parent_id_tag: String,
    /// When it began.
    pub started: UnixMillis,
    /// The register when it began.
    pub started_energy: MilliwattHours,
    /// The register at its last event.
    pub last_energy: MilliwattHours,
    /// The number under which power delivers: its own, until its vehicle was unplugged and plugged in again; 0 while it
    /// is unplugged.
    pub delivery: TransactionId,
    /// What its meter lacks against the one before it was exchanged or reset.
    pub register_offset: MilliwattHours,
    /// Power has held that delivery.
    pub held: bool,
    /// The CSMS does not accept the badge: no energy flows until somebody ends it.
    pub suspended: bool,
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

impl Ledger {
    /// The number that the next transaction, or the next delivery of one that goes on, gets: above all that were ever
    /// given. The newest transaction of each connector is never trimmed, and later ones have higher numbers.
    pub fn next_transaction(&self) -> Result<TransactionId, rusqlite::Error> {
        let query = "SELECT max(max(id, delivery)) FROM transactions";
        let last: Option<i64> = self.store.database.query_row(query, [], |row| row.get(0))?;
        Ok(TransactionId(unsigned(last.unwrap_or(0)).saturating_add(1)))
    }

    /// What is known about a connector.
    pub fn connector(&self, connector: ConnectorId) -> Result<ConnectorRecord, rusqlite::Error> {
        let database = &self.store.database;
        let (mut open, mut marks) = (None, Marks::default());
        if let Some((entry, first_event)) = running(database, connector)? {
            marks = marks_of(database, &entry, first_event)?;
            open = Some(entry);
        }
        let query = "SELECT awaits_unplug FROM connectors WHERE connector = ?1";
        let awaits_unplug = database.query_row(query, params![connector.0], |row| row.get(0)).optional()?;
        Ok(ConnectorRecord {
            open,
            marks,
            last: stopped(database, connector)?,
            awaits_unplug: awaits_unplug.unwrap_or(false),
            is_inoperative: self.is_inoperative(connector)?,
        })
    }

    /// Remembers that a transaction is to end, before anybody is told that it will.
    pub fn ending(
        &mut self,
        transaction: TransactionId,
        reason: StopReason,
        id_tag: &str,
    ) -> Result<(), rusqlite::Error> {
        self.change(
            "UPDATE transactions SET ending_reason = ?2, ending_id_tag = ?3 WHERE id = ?1 AND ending_reason IS NULL",
            params![signed(transaction.0), reason.as_str(), id_tag],
        )
    }

    /// Remembers that power holds the delivery of a transaction: from now on it is renewed and never started again.
    pub fn held(&mut self, transaction: TransactionId) -> Result<(), rusqlite::Error> {
        self.change("UPDATE transactions SET held = 1 WHERE id = ?1 AND held = 0", params![signed(transaction.0)])
    }

    /// Remembers the group of the badge that has started a transaction.
    pub fn group(&mut self, transaction: TransactionId, parent_id_tag: &str) -> Result<(), rusqlite::Error> {
        self.change(
            "UPDATE transactions SET parent_id_tag = ?2 WHERE id = ?1 AND parent_id_tag <> ?2",
            params![signed(transaction.0), parent_id_tag],
        )
    }

    /// Remembers that the CSMS does not accept the badge of a transaction that stays.
    pub fn suspend(&mut self, transaction: TransactionId) -> Result<(), rusqlite::Error> {
        self.change(
            "UPDATE transactions SET suspended = 1 WHERE id = ?1 AND suspended = 0",
            params![signed(transaction.0)],
        )
    }

    /// Remembers the number under which power delivers from now on, or that it does not, because the vehicle is
    /// unplugged. Power has not held that delivery yet. The last number stays: none is ever given twice.
    pub fn deliver_as(
        &mut self,
        transaction: TransactionId,
        delivery: Option<TransactionId>,
    ) -> Result<(), rusqlite::Error> {
        self.change(
            "UPDATE transactions SET delivery = coalesce(?2, delivery), unplugged = ?2 IS NULL, held = 0
             WHERE id = ?1 AND (unplugged <> (?2 IS NULL) OR delivery <> coalesce(?2, delivery))",
            params![signed(transaction.0), delivery.map(|delivery| signed(delivery.0))],
        )
    }

    /// Remembers what the meter of a transaction lacks against the one before it was exchanged or reset.
    pub fn offset(&mut self, transaction: TransactionId, offset: MilliwattHours) -> Result<(), rusqlite::Error> {
        self.change(
            "UPDATE transactions SET register_offset = ?2 WHERE id = ?1 AND register_offset <> ?2",
            params![signed(transaction.0), signed(offset.0)],
        )
    }

    /// Remembers that the vehicle of the last transaction is gone.
    pub fn unplugged(&mut self, connector: ConnectorId) -> Result<(), rusqlite::Error> {
        self.change(
            "UPDATE connectors SET awaits_unplug = 0 WHERE connector = ?1 AND awaits_unplug <> 0",
            params![connector.0],
        )
    }

    fn change(&mut self, statement: &str, parameters: &[&dyn rusqlite::ToSql]) -> Result<(), rusqlite::Error> {
        self.store.write(|books| books.prepare_cached(statement)?.execute(parameters))?;
        Ok(())
    }
}

/// Remembers that the vehicle of a transaction that is over is still there, inside the caller's transaction.
pub fn await_unplug(books: &Transaction<'_>, connector: ConnectorId) -> Result<(), rusqlite::Error> {
    books.execute(
        "INSERT INTO connectors VALUES (?1, 1)
         ON CONFLICT (connector) DO UPDATE SET awaits_unplug = 1 WHERE awaits_unplug <> 1",
        params![connector.0],
    )?;
    Ok(())
}

/// The transaction that runs at a connector with the register at its last event, and the number of its first one.
pub fn running(database: &Connection, connector: ConnectorId) -> Result<Option<(Entry, i64)>, rusqlite::Error> {
    let Some((mut entry, first_event)) = newest(database, connector, "")? else { return Ok(None) };
    // What a sample says stands in the journal alone.
    if let Some((energy, ..)) = journal::last_of(database, signed(entry.transaction.0), first_event, None)? {
        entry.last_energy = entry.last_energy.max(energy);
    }
    Ok(Some((entry, first_event)))
}

/// The last transaction of a connector that is over.
pub fn stopped(database: &Connection, connector: ConnectorId) -> Result<Option<Entry>, rusqlite::Error> {
    Ok(newest(database, connector, "NOT")?.map(|(entry, _)| entry))
}

fn newest(database: &Connection, connector: ConnectorId, open: &str) -> Result<Option<(Entry, i64)>, rusqlite::Error> {
    let query = format!(
        "SELECT id, id_tag, started_unix_millis, started_milliwatt_hours, last_milliwatt_hours, stop_reason,
                ending_reason, ending_id_tag, held, authorized_by, parent_id_tag,
                iif(unplugged, 0, delivery), suspended, first_event, register_offset
         FROM transactions WHERE connector = ?1 AND stop_reason IS {open} NULL ORDER BY id DESC LIMIT 1"
    );
    database.query_row(&query, params![connector.0], |row| Ok((entry_of(row)?, row.get(13)?))).optional()
}

fn entry_of(row: &Row<'_>) -> Result<Entry, rusqlite::Error> {
    Ok(Entry {
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
        authorized_by: AuthorizationSource::of(&row.get::<_, String>(9)?),
        parent_id_tag: row.get(10)?,
        delivery: TransactionId(unsigned(row.get(11)?)),
        suspended: row.get(12)?,
        register_offset: MilliwattHours(unsigned(row.get(14)?)),
    })
}

/// What the samples of a transaction that runs go by.
fn marks_of(database: &Connection, entry: &Entry, first_event: i64) -> Result<Marks, rusqlite::Error> {
    let id = signed(entry.transaction.0);
    let last_of = |context| journal::last_of(database, id, first_event, Some(context));
    let mut marks = Marks { clock: entry.started, ..Marks::default() };
    if let Some((_, boottime, _)) = last_of(ReadingContext::TransactionBegin)? {
        (marks.started, marks.periodic) = (boottime, boottime);
    }
    if let Some((_, boottime, _)) = last_of(ReadingContext::SamplePeriodic)? {
        marks.periodic = boottime;
    }
    if let Some((_, _, unix)) = last_of(ReadingContext::SampleClock)? {
        marks.clock = unix;
    }
    Ok(marks)
}
