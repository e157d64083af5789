//! What goes from the journal, in small steps, each in the same commit as an append:
//!
//! - **Delivered.** Events that `ocpp` has confirmed go, the oldest first, beyond the newest 10 000; but none from the
//!   oldest transaction on that still runs, whose begin and last sample are read again after a restart. With them go
//!   the rows about transactions and about runs of the machine of which no event is left, except the newest transaction
//!   of each connector.
//! - **Thinned.** While more than 100 000 events are undelivered, samples go: from the oldest on, every second one of
//!   each transaction and schedule, and from the oldest on again when the newest was reached. Never a start or a stop,
//!   never the last sample of a transaction. So the energy of each transaction stays exact, and only its curve gets
//!   coarser.

use super::{Counts, keep_delivered};
use busbar_interfaces::words::EventKind;
use busbar_runtime::store::{signed, unsigned};
use rusqlite::{Transaction, params};
use std::collections::BTreeMap;

/// Delivered events that are kept.
pub const KEPT: u64 = 10_000;
/// Undelivered events from which on samples are thinned out.
pub const MOST_UNDELIVERED: u64 = 100_000;
/// Delivered events that may gather beyond [`KEPT`]: a delete touches pages of its own, and not for every event.
pub const GATHERED: u64 = 250;
/// The most events that one step deletes.
pub const STEP: u64 = 500;
/// The most transactions that one step deletes: each of them had at least two events.
pub const STEP_OF_TRANSACTIONS: u64 = STEP / 2;
/// The most rows that one step of thinning looks at; it deletes about half of them.
const LOOKED_AT: u32 = 900;

/// A pass of thinning, by transaction.
pub type Pass = BTreeMap<u64, Thinned>;

/// A transaction in a pass of thinning.
#[derive(Debug, Clone, Copy, Default)]
pub struct Thinned {
    /// The next sample of the schedule is the second of its pair.
    periodic_is_second: bool,
    clock_is_second: bool,
    /// Goes as soon as a later sample of the transaction is seen.
    candidate: Option<u64>,
}

/// Deletes delivered events beyond the newest, at most [`STEP`], and what was kept for their sake.
pub fn trim(books: &Transaction<'_>, counts: &mut Counts) -> Result<(), rusqlite::Error> {
    let oldest_needed: Option<i64> =
        books.query_row("SELECT min(first_event) FROM transactions WHERE stop_reason IS NULL", [], |row| row.get(0))?;
    let not_needed = oldest_needed.map_or(u64::MAX, |first| unsigned(first).saturating_sub(1));
    let most = counts.spare().min(STEP);
    let mut statement = books.prepare_cached(
        "DELETE FROM events WHERE sequence IN
             (SELECT sequence FROM events WHERE sequence <= ?1 ORDER BY sequence LIMIT ?2)",
    )?;
    let deleted = statement.execute(params![signed(counts.delivered.min(not_needed)), signed(most)])?;
    counts.rows = counts.rows.saturating_sub(u64::try_from(deleted).unwrap_or(0));
    if deleted > 0 {
        keep_delivered(books, counts)?;
        trim_what_no_event_names(books)?;
    }
    Ok(())
}

/// A transaction that began before that of the oldest event, and whose last event is gone, is over and done with. One
/// that is younger waits until the oldest has moved on: so only rows that are to go are looked at, and few others.
fn trim_what_no_event_names(books: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    let mut oldest =
        books.prepare_cached("SELECT sequence, transaction_id, boot FROM events ORDER BY sequence LIMIT 1")?;
    let (sequence, transaction, boot): (i64, i64, i64) =
        oldest.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let mut transactions = books.prepare_cached(
        "DELETE FROM transactions WHERE id IN
             (SELECT id FROM transactions AS ended
              WHERE id < ?1 AND last_event < ?2 AND stop_reason IS NOT NULL
                AND EXISTS (SELECT 1 FROM transactions WHERE connector = ended.connector AND id > ended.id)
              ORDER BY id LIMIT ?3)",
    )?;
    transactions.execute(params![transaction, sequence, signed(STEP_OF_TRANSACTIONS)])?;
    // They are numbered in the order of their events.
    books.prepare_cached("DELETE FROM boots WHERE number < ?1")?.execute(params![boot])?;
    Ok(())
}

/// One step of thinning: looks at the next [`LOOKED_AT`] undelivered events. The pass as it is then.
pub fn thin(books: &Transaction<'_>, counts: &mut Counts, mut pass: Pass) -> Result<Pass, rusqlite::Error> {
    let mut statement = books.prepare_cached(
        "SELECT sequence, transaction_id, kind, context FROM events WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
    )?;
    let from = counts.thinned.max(counts.delivered);
    let rows = statement.query_map(params![signed(from), LOOKED_AT], |row| {
        let kind: String = row.get(2)?;
        let context: Option<String> = row.get(3)?;
        Ok((unsigned(row.get(0)?), unsigned(row.get(1)?), EventKind::of(&kind), context.is_none()))
    })?;
    let mut spare = Vec::new();
    let (mut seen, mut reached) = (0u32, from);
    for row in rows {
        let (sequence, transaction, kind, is_periodic) = row?;
        (seen, reached) = (seen.saturating_add(1), sequence);
        match kind {
            EventKind::Sample => {
                let thinned = pass.entry(transaction).or_default();
                spare.extend(thinned.candidate.take());
                let is_second =
                    if is_periodic { &mut thinned.periodic_is_second } else { &mut thinned.clock_is_second };
                if std::mem::replace(is_second, !*is_second) {
                    thinned.candidate = Some(sequence);
                }
            }
            EventKind::Stopped => {
                pass.remove(&transaction);
            }
            EventKind::Started | EventKind::Unknown => {}
        }
    }
    let mut delete = books.prepare_cached("DELETE FROM events WHERE sequence = ?1 AND sequence > ?2")?;
    for sequence in spare {
        // What was confirmed meanwhile is not thinning's any more.
        let deleted = delete.execute(params![signed(sequence), signed(counts.delivered)])?;
        let deleted = u64::try_from(deleted).unwrap_or(0);
        counts.rows = counts.rows.saturating_sub(deleted);
        counts.undelivered = counts.undelivered.saturating_sub(deleted);
    }
    counts.thinned = if seen < LOOKED_AT { 0 } else { reached };
    if counts.thinned == 0 {
        pass.clear();
    }
    books.execute("UPDATE journal_facts SET thinned_event = ?1", params![signed(counts.thinned)])?;
    Ok(pass)
}
