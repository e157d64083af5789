//! What did not add up in the books of a connector: one note for each, which stands until a later transaction has come
//! to its end without one.

use super::Ledger;
use busbar_interfaces::{ConnectorId, TransactionId, UnixMillis};
use busbar_runtime::store::{signed, unsigned};
use rusqlite::{Connection, Transaction, params};
use std::collections::BTreeMap;

/// A note about a connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Irregularity {
    /// The transaction in which it was noted.
    transaction: TransactionId,
    /// What it was, for a technician.
    what: String,
}

/// What becomes of the note about a connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is written, in place of one of an earlier transaction.
    Note(Irregularity),
    /// It goes.
    Forget,
}

/// The notes that are on disk.
#[derive(Debug, Default)]
pub struct Irregularities(BTreeMap<ConnectorId, Irregularity>);

impl Irregularities {
    /// The notes of an open database.
    pub fn load(database: &Connection) -> Result<Irregularities, rusqlite::Error> {
        let mut query = database.prepare("SELECT connector, transaction_id, what FROM irregularities")?;
        let notes = query.query_map([], |row| {
            let transaction = TransactionId(unsigned(row.get(1)?));
            Ok((ConnectorId(row.get(0)?), Irregularity { transaction, what: row.get(2)? }))
        })?;
        notes.collect::<Result<_, _>>().map(Irregularities)
    }

    /// What becomes of a connector's note when this is noted in a transaction. The first one of a transaction stands.
    pub fn noted(&self, connector: ConnectorId, transaction: TransactionId, what: &str) -> Option<Change> {
        let is_first = self.0.get(&connector).is_none_or(|noted| noted.transaction != transaction);
        is_first.then(|| Change::Note(Irregularity { transaction, what: what.to_owned() }))
    }

    /// What becomes of a connector's note when this transaction comes to its end without one more.
    pub fn ended(&self, connector: ConnectorId, transaction: TransactionId) -> Option<Change> {
        let is_earlier = self.0.get(&connector).is_some_and(|noted| noted.transaction != transaction);
        is_earlier.then_some(Change::Forget)
    }

    /// A change is on disk.
    pub fn committed(&mut self, connector: ConnectorId, change: Change) {
        match change {
            Change::Note(irregularity) => {
                let Irregularity { transaction, what } = &irregularity;
                tracing::error!(connector = connector.0, transaction = transaction.0, what, "the books do not add up");
                self.0.insert(connector, irregularity);
            }
            Change::Forget => {
                self.0.remove(&connector);
                tracing::info!(connector = connector.0, "a transaction added up again");
            }
        }
    }
}

/// Writes a change, inside the caller's transaction.
pub fn write(
    books: &Transaction<'_>,
    connector: ConnectorId,
    change: &Change,
    when: UnixMillis,
) -> Result<(), rusqlite::Error> {
    match change {
        Change::Note(Irregularity { transaction, what }) => books.execute(
            "INSERT OR REPLACE INTO irregularities VALUES (?1, ?2, ?3, ?4)",
            params![connector.0, signed(transaction.0), what, signed(when.0)],
        )?,
        Change::Forget => books.execute("DELETE FROM irregularities WHERE connector = ?1", params![connector.0])?,
    };
    Ok(())
}

impl Ledger {
    /// Notes that something did not add up in the books of a connector, as a technician is to read it. The first note
    /// of a transaction stands, and one of an earlier transaction goes.
    pub fn irregular(
        &mut self,
        connector: ConnectorId,
        transaction: TransactionId,
        what: &str,
        when: UnixMillis,
    ) -> Result<(), rusqlite::Error> {
        if let Some(change) = self.irregularities.noted(connector, transaction, what) {
            self.store.write(|books| write(books, connector, &change, when))?;
            self.irregularities.committed(connector, change);
        }
        Ok(())
    }

    /// What does not add up, by connector.
    pub fn irregularities(&self) -> Vec<(ConnectorId, String)> {
        self.irregularities.0.iter().map(|(connector, noted)| (*connector, noted.what.clone())).collect()
    }
}
