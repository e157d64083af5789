//! The authorization cache: what the CSMS said of a badge last. It is bounded: beyond that a badge goes that may not
//! charge, else the one of which nothing was learned for the longest time.

use crate::ledger::known;
use busbar_interfaces::ocpp::Authorization;
use busbar_runtime::store::signed;
use rusqlite::{Connection, Transaction, params};

/// The most badges that are kept.
pub const MOST: u32 = 2000;
/// A badge of which the same is learned again moves up, but not for every time: the disk is not written for what it knows.
const MOVES_UP: i64 = 256;

/// Makes the table. What was learned last has the highest number.
pub const SCHEMA: &str = "
    CREATE TABLE cache (
        learned INTEGER PRIMARY KEY,
        id_tag TEXT NOT NULL COLLATE NOCASE UNIQUE,
        status TEXT NOT NULL,
        parent_id_tag TEXT NOT NULL,
        expires_unix_millis INTEGER NOT NULL
    ) STRICT;
";

/// How many badges there are.
pub fn count(database: &Connection) -> Result<u32, rusqlite::Error> {
    database.query_row("SELECT count(*) FROM cache", [], |row| row.get(0))
}

/// What was learned of a badge.
pub fn find(database: &Connection, id_tag: &str) -> Result<Option<Authorization>, rusqlite::Error> {
    let query = "SELECT status, parent_id_tag, expires_unix_millis FROM cache WHERE id_tag = ?1";
    known::find(database, query, id_tag)
}

/// Takes in what the CSMS says of a badge, if that is news, inside the caller's transaction. How many badges there are
/// then.
pub fn learn(
    books: &Transaction<'_>,
    badges: u32,
    id_tag: &str,
    authorization: &Authorization,
) -> Result<u32, rusqlite::Error> {
    let known = find(books, id_tag)?;
    if known.as_ref() == Some(authorization) {
        let move_up = "UPDATE cache SET learned = (SELECT max(learned) FROM cache) + 1
                       WHERE id_tag = ?1 AND learned < (SELECT max(learned) FROM cache) - ?2";
        books.prepare_cached(move_up)?.execute(params![id_tag, MOVES_UP])?;
        return Ok(badges);
    }
    let mut replace = books.prepare_cached(
        "INSERT OR REPLACE INTO cache (id_tag, status, parent_id_tag, expires_unix_millis) VALUES (?1, ?2, ?3, ?4)",
    )?;
    let expires = signed(authorization.expires_unix_millis.0);
    replace.execute(params![id_tag, authorization.status.as_str(), authorization.parent_id_tag, expires])?;
    if known.is_some() {
        return Ok(badges);
    }
    if badges < MOST {
        return Ok(badges.saturating_add(1));
    }
    // Not the one that was just learned.
    let oldest = "DELETE FROM cache WHERE learned = (
                      SELECT learned FROM cache WHERE learned < (SELECT max(learned) FROM cache)
                      ORDER BY status = 'accepted', learned LIMIT 1)";
    books.prepare_cached(oldest)?.execute([])?;
    Ok(badges)
}

/// Forgets every badge, inside the caller's transaction.
pub fn clear(books: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    books.execute("DELETE FROM cache", [])?;
    Ok(())
}

#[cfg(test)]
mod tests;
