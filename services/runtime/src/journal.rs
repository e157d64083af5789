//! A numbered journal on disk: events with the numbers 1, 2, 3 … without a gap, that readers fetch after their own
//! cursor. What a reader has not confirmed is still there after any crash; nothing is handed over by a signal alone.

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Serialize, de::DeserializeOwned};

/// The table that a store's migrations must make for a journal.
pub const SCHEMA: &str =
    "CREATE TABLE journal (sequence INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL) STRICT;";

/// The most events that one call returns; a reader asks again from the last one.
pub const MOST_AT_ONCE: u32 = 256;

/// Appends an event inside the caller's transaction; `numbered` builds it from its number.
///
/// # Errors
/// What the database says; nothing is appended then.
pub fn append<E: Serialize>(
    transaction: &rusqlite::Transaction<'_>,
    numbered: impl FnOnce(u64) -> E,
) -> Result<E, rusqlite::Error> {
    let sequence = last(transaction)?.saturating_add(1);
    let event = numbered(sequence);
    let text =
        serde_json::to_string(&event).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    transaction.execute(
        "INSERT INTO journal (sequence, event) VALUES (?1, ?2)",
        params![i64::try_from(sequence).unwrap_or(i64::MAX), text],
    )?;
    Ok(event)
}

/// The number of the last event that was ever appended; 0 before the first.
///
/// # Errors
/// What the database says.
pub fn last(database: &Connection) -> Result<u64, rusqlite::Error> {
    let last: Option<i64> = database
        .query_row("SELECT seq FROM sqlite_sequence WHERE name = 'journal'", [], |row| row.get(0))
        .optional()?;
    Ok(last.and_then(|last| u64::try_from(last).ok()).unwrap_or(0))
}

/// The events after a cursor, oldest first, at most `max` and at most [`MOST_AT_ONCE`].
///
/// # Errors
/// What the database says, also when an entry is not an event.
pub fn after<E: DeserializeOwned>(database: &Connection, cursor: u64, max: u32) -> Result<Vec<E>, rusqlite::Error> {
    let mut statement =
        database.prepare_cached("SELECT event FROM journal WHERE sequence > ?1 ORDER BY sequence LIMIT ?2")?;
    let rows = statement
        .query_map(params![i64::try_from(cursor).unwrap_or(i64::MAX), max.min(MOST_AT_ONCE)], |row| {
            row.get::<_, String>(0)
        })?;
    rows.map(|text| {
        serde_json::from_str(&text?)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error)))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn journal() -> Connection {
        let database = Connection::open_in_memory().expect("opens");
        database.execute_batch(SCHEMA).expect("schema");
        database
    }

    proptest! {
        #[test]
        fn any_reader_sees_every_event_once_and_in_order(count in 0u64..60, page in 1u32..20) {
            let mut database = journal();
            for _ in 0..count {
                let transaction = database.transaction().expect("begins");
                append(&transaction, |sequence| sequence).expect("appends");
                transaction.commit().expect("commits");
            }
            let mut seen: Vec<u64> = Vec::new();
            loop {
                let cursor = seen.last().copied().unwrap_or(0);
                let page: Vec<u64> = after(&database, cursor, page).expect("reads");
                if page.is_empty() { break; }
                seen.extend(page);
            }
            prop_assert_eq!(seen, (1..=count).collect::<Vec<_>>());
            prop_assert_eq!(last(&database).expect("reads"), count);
        }
    }

    #[test]
    fn an_append_that_is_rolled_back_leaves_no_gap() {
        let mut database = journal();
        let transaction = database.transaction().expect("begins");
        append(&transaction, |sequence| sequence).expect("appends");
        transaction.rollback().expect("rolls back");
        let transaction = database.transaction().expect("begins");
        assert_eq!(append(&transaction, |sequence| sequence).expect("appends"), 1);
    }
}
