//! The local authorization list (OCPP 1.6, 3.5.2): what an update of the CSMS makes of it, and the list on disk. An
//! update is done as a whole or not at all, with its version.

use crate::ledger::known;
use busbar_interfaces::ocpp::Authorization;
use busbar_interfaces::session::LocalListEntry;
use busbar_interfaces::words::ListVerdict;
use busbar_runtime::store::signed;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::collections::BTreeSet;
use std::fmt;

/// Makes the tables. An empty list has no row that says its version.
pub const SCHEMA: &str = "
    CREATE TABLE local_list (
        id_tag TEXT NOT NULL COLLATE NOCASE PRIMARY KEY,
        status TEXT NOT NULL,
        parent_id_tag TEXT NOT NULL,
        expires_unix_millis INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE local_list_version (
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
        version INTEGER NOT NULL
    ) STRICT;
";

/// What the CSMS sends: the whole list, or a change of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Update {
    /// The version of the list after it.
    pub version: i32,
    /// It is the whole list.
    pub is_full: bool,
    /// Badges with what holds for them.
    pub entries: Vec<LocalListEntry>,
    /// Badges that a change takes off the list.
    pub removed: Vec<String>,
}

/// A badge is a secret: it is not shown in a log by accident.
impl fmt::Debug for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Update { version, is_full, entries, removed } = self;
        let (entries, removed) = (entries.len(), removed.len());
        f.debug_struct("Update")
            .field("version", version)
            .field("is_full", is_full)
            .field("entries", &entries)
            .field("removed", &removed)
            .finish()
    }
}

/// How many badges there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// In one update (SendLocalListMaxLength).
    pub at_once: u32,
    /// On the list (LocalAuthListMaxLength).
    pub in_all: u32,
}

/// The list without its badges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// Its version; 0 when it is empty.
    pub version: i32,
    /// How many badges are on it.
    pub badges: u32,
}

/// What an update makes of the list that is held, or the word with which it is refused. `is_listed` tells whether a
/// badge is on the list; it is asked only about an update that makes sense.
pub fn judge<E>(
    held: Held,
    update: &Update,
    limits: Limits,
    mut is_listed: impl FnMut(&str) -> Result<bool, E>,
) -> Result<Result<Held, ListVerdict>, E> {
    if let Some(refused) = refusal(held, update, limits) {
        return Ok(Err(refused));
    }
    let mut badges = if update.is_full { 0 } else { held.badges };
    for entry in &update.entries {
        if update.is_full || !is_listed(&entry.id_tag)? {
            badges = badges.saturating_add(1);
        }
    }
    for id_tag in &update.removed {
        if is_listed(id_tag)? {
            badges = badges.saturating_sub(1);
        }
    }
    if badges > limits.in_all {
        return Ok(Err(ListVerdict::Failed));
    }
    let version = if badges == 0 { 0 } else { update.version };
    Ok(Ok(Held { version, badges }))
}

/// What is wrong with an update, whatever is on the list.
fn refusal(held: Held, update: &Update, limits: Limits) -> Option<ListVerdict> {
    let named = update.entries.len().saturating_add(update.removed.len());
    let empties = update.is_full && named == 0;
    if update.version < 0 || (update.version == 0 && !empties) || (update.is_full && !update.removed.is_empty()) {
        return Some(ListVerdict::Failed);
    }
    if !update.is_full && update.version <= held.version {
        return Some(ListVerdict::VersionMismatch);
    }
    let is_too_long = u32::try_from(named).unwrap_or(u32::MAX) > limits.at_once;
    (is_too_long || names(update).len() < named).then_some(ListVerdict::Failed)
}

/// The badges that an update names, each once, in one case.
fn names(update: &Update) -> BTreeSet<String> {
    let set = update.entries.iter().map(|entry| &entry.id_tag);
    set.chain(&update.removed).map(|id_tag| id_tag.to_ascii_lowercase()).collect()
}

/// The list as it is on disk.
pub fn held(database: &Connection) -> Result<Held, rusqlite::Error> {
    let version = database
        .query_row("SELECT version FROM local_list_version", [], |row| row.get(0))
        .optional()?
        .unwrap_or_default();
    let badges = database.query_row("SELECT count(*) FROM local_list", [], |row| row.get(0))?;
    Ok(Held { version, badges })
}

/// What the list says of a badge.
pub fn find(database: &Connection, id_tag: &str) -> Result<Option<Authorization>, rusqlite::Error> {
    let query = "SELECT status, parent_id_tag, expires_unix_millis FROM local_list WHERE id_tag = ?1";
    known::find(database, query, id_tag)
}

/// Judges an update and, if it is good, carries it out, inside the caller's transaction: the list as it is then. What is
/// on the list as it is to be is not written again.
pub fn update(
    books: &Transaction<'_>,
    held: Held,
    update: &Update,
    limits: Limits,
) -> Result<Result<Held, ListVerdict>, rusqlite::Error> {
    let judged = judge(held, update, limits, |id_tag| find(books, id_tag).map(|found| found.is_some()))?;
    let Ok(after) = judged else { return Ok(judged) };
    remove(books, update)?;
    let mut set = books.prepare_cached(
        "INSERT INTO local_list VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id_tag) DO UPDATE SET status = ?2, parent_id_tag = ?3, expires_unix_millis = ?4
         WHERE status <> ?2 OR parent_id_tag <> ?3 OR expires_unix_millis <> ?4",
    )?;
    for LocalListEntry { id_tag, authorization } in &update.entries {
        let expires = signed(authorization.expires_unix_millis.0);
        set.execute(params![id_tag, authorization.status.as_str(), authorization.parent_id_tag, expires])?;
    }
    if after.badges == 0 {
        books.execute("DELETE FROM local_list_version WHERE only_row = 1", [])?;
    } else {
        books.execute(
            "INSERT INTO local_list_version VALUES (1, ?1)
             ON CONFLICT (only_row) DO UPDATE SET version = ?1 WHERE version <> ?1",
            params![after.version],
        )?;
    }
    Ok(Ok(after))
}

/// Takes off the list what an update takes off it: what it names, or with a full list whatever it does not name.
fn remove(books: &Transaction<'_>, update: &Update) -> Result<(), rusqlite::Error> {
    let mut spare = update.removed.clone();
    if update.is_full {
        let names = names(update);
        let mut listed = books.prepare_cached("SELECT id_tag FROM local_list")?;
        for id_tag in listed.query_map([], |row| row.get::<_, String>(0))? {
            let id_tag = id_tag?;
            if !names.contains(&id_tag.to_ascii_lowercase()) {
                spare.push(id_tag);
            }
        }
    }
    let mut remove = books.prepare_cached("DELETE FROM local_list WHERE id_tag = ?1")?;
    for id_tag in spare {
        remove.execute(params![id_tag])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
