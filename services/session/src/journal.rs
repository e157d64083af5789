//! The transaction journal on disk: one row for each event, in the order in which they happened. It is bounded
//! ([`bounds`]). Numbers are never used twice, so a reader goes on from its cursor whatever was taken out.
//!
//! A sample writes one page of the database and nothing else: at 60 samples an hour that is what the disk can bear.

pub mod bounds;

use bounds::{GATHERED, KEPT, MOST_UNDELIVERED, Pass};
use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::words::{EventKind, ReadingContext, StopReason};
use busbar_interfaces::{
    BoottimeMillis, ConnectorId, Milliamperes, Millivolts, MilliwattHours, Percent, ReservationId, TransactionId,
    UnixMillis, Watts,
};
use busbar_runtime::journal::MOST_AT_ONCE;
use busbar_runtime::store::{signed, unsigned};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

/// `DeliveredEvent` is written when it has moved on by so many.
const KEEP_EVERY: u64 = 500;

/// Makes the tables, and takes over the events of the journal of the first version, which was JSON in a table of
/// `runtime::journal` and lacked `boot`, `boottime_millis` and `context`.
pub const SCHEMA: &str = "
    CREATE TABLE boots (number INTEGER PRIMARY KEY, boot TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE events (
        sequence INTEGER PRIMARY KEY,
        transaction_id INTEGER NOT NULL,
        connector INTEGER NOT NULL,
        kind TEXT NOT NULL,
        context TEXT, -- NULL is the usual one of the kind
        boot INTEGER NOT NULL, -- in boots; 0 is not known
        boottime_millis INTEGER NOT NULL,
        unix_millis INTEGER NOT NULL,
        milliwatt_hours INTEGER NOT NULL,
        watts INTEGER NOT NULL,
        millivolts INTEGER NOT NULL,
        milliamperes INTEGER NOT NULL,
        offered_watts INTEGER NOT NULL,
        percent INTEGER, -- NULL is not known
        id_tag TEXT, -- NULL is empty
        reason TEXT -- NULL is none
    ) STRICT;
    INSERT INTO events SELECT sequence, event ->> '$.transaction', event ->> '$.connector', event ->> '$.kind', NULL,
        0, 0, event ->> '$.unix_millis', event ->> '$.energy_milliwatt_hours', event ->> '$.watts',
        event ->> '$.millivolts', event ->> '$.milliamperes', event ->> '$.offered_watts',
        nullif(event ->> '$.state_of_charge_percent', 255), nullif(event ->> '$.id_tag', ''),
        nullif(event ->> '$.reason', 'none')
        FROM journal ORDER BY sequence;
    DROP TABLE journal;
    CREATE TABLE journal_facts (
        only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
        journal_id INTEGER NOT NULL,
        delivered_event INTEGER NOT NULL,
        thinned_event INTEGER NOT NULL
    ) STRICT;
    INSERT INTO journal_facts VALUES (1, max(1, random() & 9223372036854775807), 0, 0);
    ALTER TABLE transactions ADD COLUMN first_event INTEGER NOT NULL DEFAULT 0;
    UPDATE transactions SET first_event =
        coalesce((SELECT min(sequence) FROM events WHERE transaction_id = transactions.id), 0)
        WHERE stop_reason IS NULL;
";

/// What the second version of the journal has more, NULL wherever there is nothing to say; and which event was the last
/// of a transaction that is over.
pub const MORE: &str = "
    ALTER TABLE events ADD COLUMN reservation INTEGER; -- NULL is none
    ALTER TABLE events ADD COLUMN signed_data TEXT; -- NULL is empty
    ALTER TABLE transactions ADD COLUMN last_event INTEGER NOT NULL DEFAULT 0; -- 0 while it runs
    UPDATE transactions SET last_event = last FROM
        (SELECT transaction_id, max(sequence) AS last FROM events GROUP BY transaction_id) AS known
        WHERE transaction_id = id AND stop_reason IS NOT NULL;
";

/// What is known of the journal without asking the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// The last number that was given.
    last: u64,
    /// Events on disk.
    rows: u64,
    /// Of these, the ones that are not delivered.
    undelivered: u64,
    /// The last delivered event, and what the disk says it is.
    delivered: u64,
    kept_delivered: u64,
    /// How far the thinning has come in this pass.
    thinned: u64,
}

impl Counts {
    /// Delivered events beyond the newest.
    fn spare(&self) -> u64 {
        self.rows.saturating_sub(KEPT).min(self.rows.saturating_sub(self.undelivered))
    }
}

/// The journal.
#[derive(Debug)]
pub struct Journal {
    id: u64,
    boot: String,
    /// The number of this run of the machine; none before its first event.
    boot_number: Option<i64>,
    counts: Counts,
    /// What `ocpp` has said last, while it is there.
    heard: Option<u64>,
    is_thinning: bool,
    pass: Pass,
}

impl Journal {
    /// The journal of an open database, in this run of the machine.
    pub fn open(database: &Connection, boot: &str) -> Result<Journal, rusqlite::Error> {
        let boot_number = database
            .query_row("SELECT number FROM boots WHERE boot = ?1", params![boot], |row| row.get(0))
            .optional()?;
        let (id, delivered, thinned) =
            database.query_row("SELECT journal_id, delivered_event, thinned_event FROM journal_facts", [], |row| {
                Ok((unsigned(row.get(0)?), unsigned(row.get(1)?), unsigned(row.get(2)?)))
            })?;
        let (last, rows) =
            database.query_row("SELECT coalesce(max(sequence), 0), count(*) FROM events", [], |row| {
                Ok((unsigned(row.get(0)?), unsigned(row.get(1)?)))
            })?;
        let undelivered = count(database, delivered, last)?;
        let counts = Counts { last, rows, undelivered, delivered, kept_delivered: delivered, thinned };
        let boot = boot.to_owned();
        Ok(Journal { id, boot, boot_number, counts, heard: None, is_thinning: false, pass: Pass::new() })
    }

    /// Names this journal.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// This run of the machine; empty when the kernel does not tell.
    pub fn boot(&self) -> &str {
        &self.boot
    }

    /// The number of the last event; 0 before the first.
    pub fn last(&self) -> u64 {
        self.counts.last
    }

    /// The last event that is delivered, as far as is known.
    pub fn delivered(&self) -> u64 {
        self.counts.delivered
    }

    /// The number that the next event gets.
    pub fn next(&self) -> u64 {
        self.counts.last.saturating_add(1)
    }

    /// Appends an event inside the caller's transaction and takes out what its bounds say. The journal itself changes
    /// when that is on disk ([`Journal::committed`]).
    pub fn append(&self, books: &Transaction<'_>, event: TransactionEvent) -> Result<Appended, rusqlite::Error> {
        let boot_number = self.boot_number.map_or_else(|| name_boot(books, &self.boot), Ok)?;
        let event = TransactionEvent { sequence: self.next(), boot: self.boot.clone(), ..event };
        insert(books, boot_number, &event)?;
        let mut counts = self.counts;
        counts.last = event.sequence;
        counts.rows = counts.rows.saturating_add(1);
        counts.undelivered = counts.undelivered.saturating_add(1);
        if counts.spare() >= GATHERED {
            bounds::trim(books, &mut counts)?;
        }
        let mut thinned = None;
        if counts.undelivered > MOST_UNDELIVERED {
            thinned = Some(bounds::thin(books, &mut counts, self.pass.clone())?);
        }
        Ok(Appended { event, boot_number, counts, thinned })
    }

    /// The caller's transaction is on disk: the event with its number and the run of the machine.
    pub fn committed(&mut self, appended: Appended) -> TransactionEvent {
        let undelivered_events = appended.counts.undelivered;
        let was_thinning = std::mem::replace(&mut self.is_thinning, appended.thinned.is_some());
        if self.is_thinning && !was_thinning {
            tracing::warn!(undelivered_events, "the CSMS stays away: old samples of the journal are thinned out");
        } else if was_thinning && !self.is_thinning {
            tracing::info!(undelivered_events, "the journal is no longer thinned out");
        }
        self.counts = appended.counts;
        self.boot_number = Some(appended.boot_number);
        if let Some(pass) = appended.thinned {
            self.pass = pass;
        }
        appended.event
    }

    /// What `ocpp` says is confirmed; nothing while it is away. True if more is delivered than was known.
    ///
    /// It may speak of another journal: of one that was damaged and set aside, until it has noticed. So its first word
    /// is only where it stands; what it confirms from there on it has fetched from here.
    pub fn confirmed(&mut self, database: &Connection, confirmed: Option<u64>) -> Result<bool, rusqlite::Error> {
        let before = std::mem::replace(&mut self.heard, confirmed);
        let (Some(before), Some(confirmed)) = (before, confirmed) else { return Ok(false) };
        let counts = &mut self.counts;
        if confirmed <= before || confirmed <= counts.delivered || confirmed > counts.last {
            return Ok(false);
        }
        let newly = count(database, counts.delivered, confirmed)?;
        counts.undelivered = counts.undelivered.saturating_sub(newly);
        counts.delivered = confirmed;
        Ok(true)
    }

    /// Whether so much was delivered since it was written down that it is to be written down again.
    pub fn is_behind(&self) -> bool {
        self.counts.delivered.saturating_sub(self.counts.kept_delivered) >= KEEP_EVERY
    }

    /// Writes down what is delivered, if it is not yet, inside the caller's transaction.
    pub fn keep_delivered(&self, books: &Transaction<'_>) -> Result<(), rusqlite::Error> {
        keep_delivered(books, &mut self.counts.clone())
    }

    /// What is delivered is written down, and on disk.
    pub fn kept_delivered(&mut self) {
        self.counts.kept_delivered = self.counts.delivered;
    }
}

/// An event that is on disk when its transaction is.
#[derive(Debug)]
pub struct Appended {
    event: TransactionEvent,
    boot_number: i64,
    counts: Counts,
    /// The pass of thinning, if there was a step of it.
    thinned: Option<Pass>,
}

/// The events after a cursor, oldest first, at most `max` and at most [`MOST_AT_ONCE`].
pub fn after(database: &Connection, cursor: u64, max: u32) -> Result<Vec<TransactionEvent>, rusqlite::Error> {
    let mut statement = database.prepare_cached(
        "SELECT sequence, transaction_id, connector, kind, context, coalesce(boots.boot, ''), boottime_millis,
                unix_millis, milliwatt_hours, watts, millivolts, milliamperes, offered_watts, coalesce(percent, 255),
                coalesce(id_tag, ''), coalesce(reason, 'none'), reservation, coalesce(signed_data, '')
         FROM events LEFT JOIN boots ON boots.number = events.boot
         WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
    )?;
    let events = statement.query_map(params![signed(cursor), max.min(MOST_AT_ONCE)], event_of)?;
    events.collect()
}

/// The run of the machine in which an event was written.
pub fn boot_of(database: &Connection, sequence: i64) -> Result<Option<String>, rusqlite::Error> {
    let query = "SELECT boots.boot FROM events JOIN boots ON boots.number = events.boot WHERE sequence = ?1";
    database.query_row(query, params![sequence], |row| row.get(0)).optional()
}

/// Register, moment and wall time of the last event of a transaction, or of its last with a context. Looks from the end
/// of the journal back to the transaction's first event, and no further.
pub fn last_of(
    database: &Connection,
    transaction: i64,
    first_event: i64,
    context: Option<ReadingContext>,
) -> Result<Option<(MilliwattHours, BoottimeMillis, UnixMillis)>, rusqlite::Error> {
    let (any, kind, context) = match context {
        None => (true, "", None),
        Some(ReadingContext::TransactionBegin) => (false, EventKind::Started.as_str(), None),
        Some(ReadingContext::SamplePeriodic) => (false, EventKind::Sample.as_str(), None),
        Some(context) => (false, EventKind::Sample.as_str(), Some(context.as_str())),
    };
    database
        .query_row(
            "SELECT milliwatt_hours, boottime_millis, unix_millis FROM events
             WHERE sequence >= ?2 AND transaction_id = ?1 AND (?3 OR (kind = ?4 AND context IS ?5))
             ORDER BY sequence DESC LIMIT 1",
            params![transaction, first_event, any, kind, context],
            |row| {
                Ok((
                    MilliwattHours(unsigned(row.get(0)?)),
                    BoottimeMillis(unsigned(row.get(1)?)),
                    UnixMillis(unsigned(row.get(2)?)),
                ))
            },
        )
        .optional()
}

/// Gives this run of the machine a number, with its first event: what names no event would never go.
fn name_boot(books: &Transaction<'_>, boot: &str) -> Result<i64, rusqlite::Error> {
    books.execute("INSERT INTO boots (boot) VALUES (?1)", params![boot])?;
    Ok(books.last_insert_rowid())
}

fn insert(books: &Transaction<'_>, boot_number: i64, event: &TransactionEvent) -> Result<(), rusqlite::Error> {
    let mut statement = books.prepare_cached(
        "INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,
                                   ?17, ?18)",
    )?;
    let is_usual = usual_context(event.kind) == event.context;
    statement.execute(params![
        signed(event.sequence),
        signed(event.transaction.0),
        event.connector.0,
        event.kind.as_str(),
        (!is_usual).then(|| event.context.as_str()),
        boot_number,
        signed(event.boottime_millis.0),
        signed(event.unix_millis.0),
        signed(event.energy_milliwatt_hours.0),
        event.watts.0,
        event.millivolts.0,
        event.milliamperes.0,
        event.offered_watts.0,
        event.state_of_charge_percent.known(),
        Some(&event.id_tag).filter(|id_tag| !id_tag.is_empty()),
        Some(event.reason.as_str()).filter(|_| event.reason != StopReason::None),
        event.reservation.first().map(|reservation| reservation.0),
        Some(&event.signed_data).filter(|signed_data| !signed_data.is_empty()),
    ])?;
    Ok(())
}

fn event_of(row: &Row<'_>) -> Result<TransactionEvent, rusqlite::Error> {
    let word = |column: usize| row.get::<_, String>(column);
    let kind = EventKind::of(&word(3)?);
    let context: Option<String> = row.get(4)?;
    Ok(TransactionEvent {
        sequence: unsigned(row.get(0)?),
        transaction: TransactionId(unsigned(row.get(1)?)),
        connector: ConnectorId(row.get(2)?),
        kind,
        context: context.map_or_else(|| usual_context(kind), |context| ReadingContext::of(&context)),
        boot: row.get(5)?,
        boottime_millis: BoottimeMillis(unsigned(row.get(6)?)),
        unix_millis: UnixMillis(unsigned(row.get(7)?)),
        energy_milliwatt_hours: MilliwattHours(unsigned(row.get(8)?)),
        watts: Watts(row.get(9)?),
        millivolts: Millivolts(row.get(10)?),
        milliamperes: Milliamperes(row.get(11)?),
        offered_watts: Watts(row.get(12)?),
        state_of_charge_percent: Percent(row.get(13)?),
        id_tag: row.get(14)?,
        reason: StopReason::of(&word(15)?),
        reservation: row.get::<_, Option<i32>>(16)?.map(ReservationId).into_iter().collect(),
        signed_data: row.get(17)?,
    })
}

fn usual_context(kind: EventKind) -> ReadingContext {
    match kind {
        EventKind::Started => ReadingContext::TransactionBegin,
        EventKind::Sample => ReadingContext::SamplePeriodic,
        EventKind::Stopped => ReadingContext::TransactionEnd,
        EventKind::Unknown => ReadingContext::Unknown,
    }
}

/// Events after one number up to another.
fn count(database: &Connection, after: u64, up_to: u64) -> Result<u64, rusqlite::Error> {
    let mut statement =
        database.prepare_cached("SELECT count(*) FROM events WHERE sequence > ?1 AND sequence <= ?2")?;
    statement.query_row(params![signed(after), signed(up_to)], |row| row.get(0)).map(unsigned)
}

fn keep_delivered(database: &Connection, counts: &mut Counts) -> Result<(), rusqlite::Error> {
    if counts.kept_delivered != counts.delivered {
        database.execute("UPDATE journal_facts SET delivered_event = ?1", params![signed(counts.delivered)])?;
        counts.kept_delivered = counts.delivered;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
