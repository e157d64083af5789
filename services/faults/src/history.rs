//! The history of the faults and the ones that are there, on disk: both change in one transaction, so that after any
//! crash the last event of a fault agrees with whether it is there.

use crate::register::{Edge, Place, Standing};
use busbar_interfaces::faults::FaultEvent;
use busbar_interfaces::words::FaultEdge;
use busbar_interfaces::{ConnectorId, UnixMillis};
use busbar_runtime::journal;
use busbar_runtime::store::{self, StoreError};
use rusqlite::{Connection, params};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const MIGRATIONS: &[&str] = &[
    journal::SCHEMA,
    "CREATE TABLE active (
        detector TEXT NOT NULL,
        code TEXT NOT NULL,
        connector INTEGER NOT NULL,
        detail TEXT NOT NULL,
        since_unix_millis INTEGER NOT NULL,
        PRIMARY KEY (detector, code, connector)
    ) STRICT;",
];

/// The history on disk.
pub struct History {
    database: Connection,
}

impl History {
    /// Opens the history in the state directory; tells where a damaged one was put.
    ///
    /// # Errors
    /// When the directory or the database cannot be used.
    pub fn open(directory: &Path) -> Result<(History, Option<PathBuf>), StoreError> {
        let store = store::open(directory, "faults", MIGRATIONS)?;
        Ok((History { database: store.database }, store.set_aside))
    }

    /// The faults that were there when the last edge was written.
    ///
    /// # Errors
    /// What the database says.
    pub fn active(&self) -> Result<BTreeMap<Place, Standing>, rusqlite::Error> {
        let mut statement =
            self.database.prepare("SELECT detector, code, connector, detail, since_unix_millis FROM active")?;
        let rows = statement.query_map([], |row| {
            let place = Place { detector: row.get(0)?, code: row.get(1)?, connector: ConnectorId(row.get(2)?) };
            let since: i64 = row.get(4)?;
            Ok((place, Standing { detail: row.get(3)?, since: UnixMillis(u64::try_from(since).unwrap_or(0)) }))
        })?;
        rows.collect()
    }

    /// Writes edges and forgets the oldest entries beyond `keep`; all of it is on disk when this returns.
    ///
    /// # Errors
    /// What the database says; nothing is written then.
    pub fn append(&mut self, edges: &[Edge], keep: u64) -> Result<Vec<FaultEvent>, rusqlite::Error> {
        let transaction = self.database.transaction()?;
        let mut events = Vec::with_capacity(edges.len());
        for edge in edges {
            let place = &edge.place;
            let at = i64::try_from(edge.at.0).unwrap_or(i64::MAX);
            match edge.edge {
                FaultEdge::Raised => transaction.execute(
                    "INSERT OR REPLACE INTO active (detector, code, connector, detail, since_unix_millis)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![place.detector, place.code, place.connector.0, edge.detail, at],
                )?,
                FaultEdge::Cleared | FaultEdge::Unknown => transaction.execute(
                    "DELETE FROM active WHERE detector = ?1 AND code = ?2 AND connector = ?3",
                    params![place.detector, place.code, place.connector.0],
                )?,
            };
            events.push(journal::append(&transaction, |sequence| FaultEvent {
                sequence,
                code: place.code.clone(),
                connector: place.connector,
                edge: edge.edge,
                detail: edge.detail.clone(),
                unix_millis: edge.at,
            })?);
        }
        let oldest = journal::last(&transaction)?.saturating_sub(keep);
        transaction
            .execute("DELETE FROM journal WHERE sequence <= ?1", params![i64::try_from(oldest).unwrap_or(i64::MAX)])?;
        transaction.commit()?;
        Ok(events)
    }

    /// The entries after a cursor, oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub fn after(&self, cursor: u64, max: u32) -> Result<Vec<FaultEvent>, rusqlite::Error> {
        journal::after(&self.database, cursor, max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(edge: FaultEdge, at: u64) -> Edge {
        let place = Place { detector: "power".to_owned(), code: "0x100202".to_owned(), connector: ConnectorId(0) };
        Edge { place, edge, detail: "pressed".to_owned(), at: UnixMillis(at) }
    }

    #[test]
    fn what_is_there_and_what_was_survive() {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut history, _) = History::open(directory.path()).expect("opens");
        history.append(&[edge(FaultEdge::Raised, 10)], 100).expect("written");
        drop(history);
        let (mut history, _) = History::open(directory.path()).expect("opens again");
        let active = history.active().expect("read");
        assert_eq!(active.values().map(|standing| standing.since).collect::<Vec<_>>(), [UnixMillis(10)]);
        history.append(&[edge(FaultEdge::Cleared, 20)], 100).expect("written");
        assert!(history.active().expect("read").is_empty());
        let edges: Vec<FaultEdge> = history.after(0, 10).expect("read").iter().map(|event| event.edge).collect();
        assert_eq!(edges, [FaultEdge::Raised, FaultEdge::Cleared]);
    }

    #[test]
    fn the_oldest_entries_go_and_the_numbers_stay() {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut history, _) = History::open(directory.path()).expect("opens");
        for round in 0..6 {
            history.append(&[edge(FaultEdge::Raised, round), edge(FaultEdge::Cleared, round)], 5).expect("written");
        }
        let kept: Vec<u64> = history.after(0, 100).expect("read").iter().map(|event| event.sequence).collect();
        assert_eq!(kept, [8, 9, 10, 11, 12]);
        assert_eq!(history.after(11, 100).expect("read").len(), 1);
    }
}
