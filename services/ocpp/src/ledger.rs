//! What was agreed with the CSMS, on disk: the cursor in the transaction journal, the CSMS's number of each
//! transaction, what it never took, and the way that leads to it. The ledger writes on a thread of its own, so that no answer waits for the disk,
//! and takes everything that waits into one commit.

use crate::configuration::Way;
use crate::delivery::Stored;
use crate::record::{Record, RecordFile};
use crate::resend::Undelivered;
use crate::trial::Ways;
use busbar_interfaces::ocpp::UndeliveredEvent;
use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::words::EventKind;
use busbar_interfaces::{CallError, TransactionId, UnixMillis};
use busbar_ocpp16::{CentralTransaction, Hidden};
use busbar_runtime::store::{self, signed, unsigned};
use busbar_runtime::{Exit, Reply};
use rusqlite::{Connection, OptionalExtension, params};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Jobs that one commit takes at most.
const MOST_AT_ONCE: usize = 256;
/// Closed transactions that are kept, for whoever asks for the CSMS's number later.
const CLOSED_KEPT: i64 = 10_000;
/// Undelivered events that one call tells at most.
const MOST_LISTED: u32 = 256;
/// A disk that is full is tried again after this time.
const WRITE_AGAIN: Duration = Duration::from_secs(1);
/// The parts that a way can have in the trial.
const WORKING: &str = "working";
const GIVEN_UP: &str = "given-up";
/// Earlier runs of the machine that are remembered.
const BOOTS_KEPT: i64 = 16;
/// The bound on undelivered events is looked at after so many.
const BOUND_EVERY: i64 = 128;
/// Undelivered samples that are kept, and as many starts and stops.
const UNDELIVERED_KEPT: i64 = 10_000;

const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE journal (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL, cursor INTEGER NOT NULL) STRICT;
CREATE TABLE transactions (
    local INTEGER PRIMARY KEY, central INTEGER, open INTEGER NOT NULL, deauthorize INTEGER NOT NULL
) STRICT;
CREATE INDEX transactions_open ON transactions (local) WHERE open = 1 OR deauthorize = 1;
CREATE TABLE undelivered (
    number INTEGER PRIMARY KEY AUTOINCREMENT, sequence INTEGER NOT NULL, local INTEGER NOT NULL, kind TEXT NOT NULL,
    reason TEXT NOT NULL, unix_millis INTEGER NOT NULL
) STRICT;
",
    "
ALTER TABLE undelivered ADD COLUMN resend INTEGER NOT NULL DEFAULT 0;
ALTER TABLE undelivered ADD COLUMN round INTEGER NOT NULL DEFAULT 0;
ALTER TABLE undelivered ADD COLUMN event TEXT; -- as JSON; NULL in rows of the first version, which cannot be sent again
CREATE INDEX undelivered_local ON undelivered (local);
CREATE TABLE ways (
    part TEXT PRIMARY KEY CHECK (part IN ('working', 'given-up')), url TEXT NOT NULL, identity TEXT NOT NULL,
    security_profile INTEGER NOT NULL, key TEXT
) STRICT;
CREATE TABLE boots (boot TEXT PRIMARY KEY, start INTEGER NOT NULL) STRICT;
-- The journal has a name of its own now, which the epoch stands for from here on; what was confirmed stays confirmed.
UPDATE journal SET epoch = 0;
",
    "
-- Events say more than they did.
UPDATE undelivered SET event = json_set(event, '$.reservation', json('[]'), '$.signed_data', '') WHERE event IS NOT NULL;
",
];

/// A transaction whose stop is not confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// The CSMS's number; none when it has refused the start.
    pub central: Option<CentralTransaction>,
}

/// What becomes of a transaction with an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// Its start is confirmed, or given up.
    Opened { local: TransactionId, central: Option<CentralTransaction>, deauthorize: bool },
    /// Its stop is confirmed, or given up.
    Closed { local: TransactionId },
}

/// An event that the CSMS has refused for good: kept whole, because the journal forgets what was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub event: TransactionEvent,
    pub reason: String,
    pub at: UnixMillis,
}

/// One thing to keep; each is written whole or not at all, and in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The cursor moves over an event, which the CSMS has taken or never will.
    Confirmed { sequence: u64, change: Change, undelivered: Option<Box<Refused>> },
    /// An undelivered event was sent again and is taken.
    Resent { number: u64, change: Change },
    /// It was not taken again, and stays.
    ResendFailed { number: u64, reason: String },
    /// `session` has been told of a transaction whose badge the CSMS does not accept.
    Deauthorized { transaction: TransactionId },
    /// The journal has this name, and is delivered after this event.
    NamedJournal { journal: u64, cursor: u64 },
    /// The journal is another one, and is delivered after this event.
    NewJournal { journal: u64, cursor: u64 },
    /// The ways to the CSMS that are remembered.
    Ways(Ways),
    /// In this run of the machine the clock was wrong; 1970 to its start, by the CSMS.
    Boot { boot: String, start: u64 },
}

impl Note {
    /// The number of undelivered events is another one with it.
    fn is_about_undelivered(&self) -> bool {
        matches!(self, Note::Confirmed { undelivered: Some(_), .. } | Note::Resent { .. } | Note::NewJournal { .. })
    }
}

/// What is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kept {
    /// Everything up to this note.
    pub note: u64,
    /// Undelivered events.
    pub undelivered: u32,
    /// The disk takes nothing more, and notes wait for it.
    pub is_full: bool,
}

/// What the ledger's thread is asked.
#[derive(Debug)]
pub enum Job {
    /// Keep a note, and tell its number when it is on disk.
    Keep { number: u64, note: Note },
    /// Keep the record of this run of the machine.
    Record(Record),
    /// Tell the CSMS's number of a transaction.
    Central { transaction: TransactionId, reply: Reply<i32> },
    /// Tell undelivered events.
    List { after: u64, max: u32, reply: Reply<Vec<UndeliveredEvent>> },
    /// Mark the undelivered events of a transaction as to be sent again, and tell them.
    Resend { transaction: TransactionId, reply: Reply<(Option<Open>, Vec<Undelivered>)> },
    /// Forget the undelivered events of a transaction that are not to be sent again.
    Discard { transaction: TransactionId, reply: Reply<u32> },
}

/// The open ledger.
#[derive(Debug)]
pub struct Ledger {
    database: Connection,
    set_aside: Option<PathBuf>,
}

impl Ledger {
    /// Opens (or makes) the ledger in the state directory.
    ///
    /// # Errors
    /// [`Exit::Storage`] when it cannot be used.
    pub fn open(state_directory: &Path) -> Result<Ledger, Exit> {
        // It holds the password of the way that works.
        let store = store::open_private(state_directory, "ocpp", MIGRATIONS)?;
        store.database.execute("INSERT OR IGNORE INTO journal (one, epoch, cursor) VALUES (1, 0, 0)", [])?;
        Ok(Ledger { database: store.database, set_aside: store.set_aside })
    }

    /// Where a damaged ledger was put, if one was found.
    pub fn set_aside(&self) -> Option<&Path> {
        self.set_aside.as_deref()
    }

    pub(crate) fn stored(&self) -> Result<Stored, Exit> {
        let (journal, cursor) = self.database.query_row("SELECT epoch, cursor FROM journal", [], |row| {
            Ok((unsigned(row.get(0)?), unsigned(row.get(1)?)))
        })?;
        let mut stored = Stored { journal, cursor, ..Stored::default() };
        let mut statement = self.database.prepare(
            "SELECT local, central, open OR local IN (SELECT local FROM undelivered WHERE resend = 1), deauthorize
             FROM transactions WHERE open = 1 OR deauthorize = 1
             OR local IN (SELECT local FROM undelivered WHERE resend = 1) ORDER BY local",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let local = TransactionId(unsigned(row.get(0)?));
            let (open, deauthorize): (bool, bool) = (row.get(2)?, row.get(3)?);
            if open {
                stored.open.insert(local, Open { central: confirmed(row.get(1)?) });
            }
            if deauthorize {
                stored.deauthorize.push(local);
            }
        }
        stored.resend = undelivered(&self.database, "resend = 1", params![])?;
        let mut statement = self.database.prepare("SELECT boot, start FROM boots")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))?;
        stored.boots = rows.collect::<Result<_, _>>()?;
        Ok(stored)
    }

    /// The ways to the CSMS that are remembered.
    pub(crate) fn ways(&self) -> Result<Ways, rusqlite::Error> {
        let way = |part: &str| {
            let query = "SELECT url, identity, security_profile, key FROM ways WHERE part = ?1";
            self.database
                .query_row(query, [part], |row| {
                    let key: Option<String> = row.get(3)?;
                    Ok(Way {
                        url: row.get(0)?,
                        identity: row.get(1)?,
                        security_profile: row.get(2)?,
                        key: key.map(Hidden::from),
                    })
                })
                .optional()
        };
        Ok(Ways { working: way(WORKING)?, given_up: way(GIVEN_UP)? })
    }

    /// Undelivered events, for the first look.
    pub(crate) fn undelivered_events(&self) -> Result<u32, rusqlite::Error> {
        count_undelivered(&self.database)
    }

    /// Works until nobody can ask any more. Everything that was handed over before is then on disk. While the disk is
    /// full it waits: what depends on a note waits with it, and nothing is given up.
    ///
    /// # Errors
    /// [`Exit::Storage`] when something cannot be kept for another reason: nothing that depends on it may happen then.
    pub(crate) fn work(
        mut self,
        file: &RecordFile,
        mut jobs: mpsc::Receiver<Job>,
        kept: &watch::Sender<Kept>,
    ) -> Result<(), Exit> {
        let mut batch = Vec::new();
        while jobs.blocking_recv_many(&mut batch, MOST_AT_ONCE) > 0 {
            let mut waiting = Waiting::default();
            batch.drain(..).for_each(|job| waiting.add(job));
            while !waiting.notes.is_empty() {
                match self.keep(&waiting.notes) {
                    Ok(()) => {
                        let note = waiting.notes.last().map_or(0, |(number, _)| *number);
                        let recounted = if waiting.notes.iter().any(|(_, note)| note.is_about_undelivered()) {
                            Some(count_undelivered(&self.database)?)
                        } else {
                            None
                        };
                        kept.send_modify(|kept| {
                            let undelivered = recounted.unwrap_or(kept.undelivered);
                            *kept = Kept { note, undelivered, is_full: false };
                        });
                        waiting.notes.clear();
                    }
                    Err(error) if is_full(&error) && !jobs.is_closed() => {
                        std::mem::take(&mut waiting.questions).into_iter().for_each(|job| waiting.add_to_full(job));
                        let told = kept.send_if_modified(|kept| !std::mem::replace(&mut kept.is_full, true));
                        if told {
                            tracing::error!(%error, "the disk takes nothing; delivery to the CSMS waits for it");
                        }
                        tokio::runtime::Handle::current().block_on(tokio::time::sleep(WRITE_AGAIN));
                        while let Ok(job) = jobs.try_recv() {
                            waiting.add_to_full(job);
                        }
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            for question in waiting.questions {
                if self.answer(question)? {
                    let undelivered = count_undelivered(&self.database)?;
                    kept.send_modify(|kept| kept.undelivered = undelivered);
                }
            }
            if let Some(record) = waiting.record
                && let Err(error) = file.write(&record)
            {
                // The station works without it; a restart of this process then introduces itself once more.
                tracing::error!(%error, "the registration record cannot be written");
            }
        }
        Ok(())
    }

    /// All notes, or none.
    fn keep(&mut self, notes: &[(u64, Note)]) -> Result<(), rusqlite::Error> {
        let transaction = self.database.transaction()?;
        for (_, note) in notes {
            keep(&transaction, note)?;
        }
        transaction.commit()
    }

    /// Answers a question; tells whether the number of undelivered events is another one by now. A caller that has gone
    /// needs no answer.
    fn answer(&mut self, question: Job) -> Result<bool, Exit> {
        match question {
            Job::Keep { .. } | Job::Record(_) => {}
            Job::Central { transaction, reply } => drop(reply.send(central(&self.database, transaction))),
            Job::List { after, max, reply } => {
                drop(reply.send(list(&self.database, after, max).map_err(unreadable)));
            }
            // What is answered here is a promise: it is on disk first.
            Job::Resend { transaction, reply } => {
                let marked = in_transaction(&mut self.database, |database| mark(database, transaction));
                drop(reply.send(marked.map_err(unreadable)));
            }
            Job::Discard { transaction, reply } => {
                let gone = in_transaction(&mut self.database, |database| discard(database, transaction));
                drop(reply.send(gone.map_err(unreadable)));
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Jobs that were taken and are not done.
#[derive(Default)]
struct Waiting {
    notes: Vec<(u64, Note)>,
    record: Option<Record>,
    questions: Vec<Job>,
}

impl Waiting {
    fn add(&mut self, job: Job) {
        match job {
            Job::Keep { number, note } => self.notes.push((number, note)),
            Job::Record(record) => self.record = Some(record),
            question => self.questions.push(question),
        }
    }

    /// While the disk is full, nobody who asks is kept waiting.
    fn add_to_full(&mut self, job: Job) {
        let full = || CallError::Busy("the disk takes nothing; ask again when there is room".to_owned());
        match job {
            Job::Keep { .. } | Job::Record(_) => self.add(job),
            Job::Central { reply, .. } => drop(reply.send(Err(full()))),
            Job::List { reply, .. } => drop(reply.send(Err(full()))),
            Job::Resend { reply, .. } => drop(reply.send(Err(full()))),
            Job::Discard { reply, .. } => drop(reply.send(Err(full()))),
        }
    }
}

fn is_full(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DiskFull | rusqlite::ErrorCode::SystemIoFailure))
}

fn in_transaction<T>(
    database: &mut Connection,
    work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
) -> Result<T, rusqlite::Error> {
    let transaction = database.transaction()?;
    let done = work(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

fn keep(database: &Connection, note: &Note) -> Result<(), rusqlite::Error> {
    match note {
        Note::Confirmed { sequence, change, undelivered } => {
            run(database, "UPDATE journal SET cursor = ?1", params![signed(*sequence)])?;
            if let Some(refused) = undelivered {
                keep_undelivered(database, refused)?;
            }
            keep_change(database, change)?;
        }
        Note::Resent { number, change } => {
            run(database, "DELETE FROM undelivered WHERE number = ?1", params![signed(*number)])?;
            keep_change(database, change)?;
        }
        Note::ResendFailed { number, reason } => run(
            database,
            "UPDATE undelivered SET resend = 0, reason = ?2 WHERE number = ?1",
            params![signed(*number), reason],
        )?,
        Note::Deauthorized { transaction } => {
            run(database, "UPDATE transactions SET deauthorize = 0 WHERE local = ?1", params![signed(transaction.0)])?;
        }
        Note::NamedJournal { journal, cursor } => {
            run(database, "UPDATE journal SET epoch = ?1, cursor = ?2", params![signed(*journal), signed(*cursor)])?;
        }
        Note::NewJournal { journal, cursor } => {
            run(database, "UPDATE journal SET epoch = ?1, cursor = ?2", params![signed(*journal), signed(*cursor)])?;
            run(database, "DELETE FROM transactions", params![])?;
            // Another journal counts its transactions anew: these would be taken for those.
            run(database, "DELETE FROM undelivered", params![])?;
        }
        Note::Ways(ways) => {
            run(database, "DELETE FROM ways", params![])?;
            let parts = [(WORKING, &ways.working), (GIVEN_UP, &ways.given_up)];
            for (part, way) in parts.into_iter().filter_map(|(part, way)| Some((part, way.as_ref()?))) {
                run(
                    database,
                    "INSERT INTO ways (part, url, identity, security_profile, key) VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![part, way.url, way.identity, way.security_profile, way.key.as_ref().map(Hidden::as_str)],
                )?;
            }
        }
        Note::Boot { boot, start } => {
            run(database, "INSERT OR REPLACE INTO boots (boot, start) VALUES (?1, ?2)", params![boot, signed(*start)])?;
            let oldest = "DELETE FROM boots WHERE rowid <= (SELECT max(rowid) FROM boots) - ?1";
            run(database, oldest, params![BOOTS_KEPT])?;
        }
    }
    Ok(())
}

fn keep_undelivered(database: &Connection, refused: &Refused) -> Result<(), rusqlite::Error> {
    let Refused { event, reason, at } = refused;
    let whole = serde_json::to_string(event).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let (sequence, local) = (signed(event.sequence), signed(event.transaction.0));
    run(
        database,
        "INSERT INTO undelivered (sequence, local, kind, reason, unix_millis, event) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![sequence, local, event.kind.as_str(), reason, signed(at.0), whole],
    )?;
    // Looked at now and then: a CSMS that refuses everything refuses a lot.
    if database.last_insert_rowid() % BOUND_EVERY != 0 {
        return Ok(());
    }
    // Samples go first: a charge is billed by its start and its stop. What is being sent again stays.
    let bounded = "DELETE FROM undelivered WHERE number IN (SELECT number FROM undelivered
                   WHERE (kind = 'sample') = ?1 AND resend = 0 ORDER BY number DESC LIMIT -1 OFFSET ?2)";
    for samples in [true, false] {
        run(database, bounded, params![samples, UNDELIVERED_KEPT])?;
    }
    Ok(())
}

fn keep_change(database: &Connection, change: &Change) -> Result<(), rusqlite::Error> {
    match change {
        Change::None => Ok(()),
        Change::Opened { local, central, deauthorize } => run(
            database,
            "INSERT OR REPLACE INTO transactions (local, central, open, deauthorize) VALUES (?1, ?2, 1, ?3)",
            params![signed(local.0), central.map(CentralTransaction::number), deauthorize],
        ),
        Change::Closed { local } => {
            run(database, "UPDATE transactions SET open = 0 WHERE local = ?1", params![signed(local.0)])?;
            run(
                database,
                "DELETE FROM transactions WHERE local <= ?1 AND open = 0 AND deauthorize = 0
                 AND local NOT IN (SELECT local FROM undelivered)",
                params![signed(local.0).saturating_sub(CLOSED_KEPT)],
            )
        }
    }
}

/// The CSMS's number as it was kept.
fn confirmed(number: Option<i32>) -> Option<CentralTransaction> {
    number.map(CentralTransaction::confirmed)
}

fn central_of(database: &Connection, local: TransactionId) -> Result<Option<Option<i32>>, rusqlite::Error> {
    let mut statement = database.prepare_cached("SELECT central FROM transactions WHERE local = ?1")?;
    statement.query_row([signed(local.0)], |row| row.get(0)).optional()
}

fn central(database: &Connection, local: TransactionId) -> Result<i32, CallError> {
    match central_of(database, local) {
        Ok(Some(Some(central))) => Ok(central),
        Ok(_) => Err(CallError::NotFound(format!("the CSMS has given no number to transaction {local}"))),
        Err(error) => Err(unreadable(error)),
    }
}

fn unreadable(error: rusqlite::Error) -> CallError {
    CallError::Internal(format!("the ledger cannot be read: {error}"))
}

fn count_undelivered(database: &Connection) -> Result<u32, rusqlite::Error> {
    database.query_row("SELECT count(*) FROM undelivered", [], |row| row.get(0))
}

fn undelivered(
    database: &Connection,
    which: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<Undelivered>, rusqlite::Error> {
    let query =
        format!("SELECT number, round, event FROM undelivered WHERE event IS NOT NULL AND {which} ORDER BY sequence");
    let mut statement = database.prepare_cached(&query)?;
    let rows = statement.query_map(values, |row| {
        let event: String = row.get(2)?;
        let unreadable =
            |error| rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, Box::new(error));
        let event = serde_json::from_str(&event).map_err(unreadable)?;
        Ok(Undelivered { number: unsigned(row.get(0)?), round: row.get(1)?, event })
    })?;
    rows.collect()
}

fn list(database: &Connection, after: u64, max: u32) -> Result<Vec<UndeliveredEvent>, rusqlite::Error> {
    let mut statement = database.prepare_cached(
        "SELECT number, sequence, local, kind, reason, unix_millis, resend FROM undelivered WHERE number > ?1
         ORDER BY number LIMIT ?2",
    )?;
    let rows = statement.query_map(params![signed(after), max.min(MOST_LISTED)], |row| {
        Ok(UndeliveredEvent {
            number: unsigned(row.get(0)?),
            sequence: unsigned(row.get(1)?),
            transaction: TransactionId(unsigned(row.get(2)?)),
            kind: EventKind::of(&row.get::<_, String>(3)?),
            reason: row.get(4)?,
            unix_millis: UnixMillis(unsigned(row.get(5)?)),
            is_resending: row.get(6)?,
        })
    })?;
    rows.collect()
}

fn mark(database: &Connection, local: TransactionId) -> Result<(Option<Open>, Vec<Undelivered>), rusqlite::Error> {
    // What was marked before is in the queue already; it may be on the wire, or done in this moment.
    let new = undelivered(database, "local = ?1 AND resend = 0", params![signed(local.0)])?;
    let wanted =
        "UPDATE undelivered SET resend = 1, round = round + 1 WHERE local = ?1 AND resend = 0 AND event IS NOT NULL";
    run(database, wanted, params![signed(local.0)])?;
    let new = new.into_iter().map(|event| Undelivered { round: event.round.saturating_add(1), ..event }).collect();
    let open = central_of(database, local)?.map(|central| Open { central: confirmed(central) });
    Ok((open, new))
}

fn discard(database: &Connection, local: TransactionId) -> Result<u32, rusqlite::Error> {
    let gone = database
        .prepare_cached("DELETE FROM undelivered WHERE local = ?1 AND resend = 0")?
        .execute(params![signed(local.0)])?;
    Ok(u32::try_from(gone).unwrap_or(u32::MAX))
}

fn run(database: &Connection, statement: &str, values: impl rusqlite::Params) -> Result<(), rusqlite::Error> {
    database.prepare_cached(statement)?.execute(values).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::examples::{sample, started, stopped};
    use std::collections::BTreeMap;

    fn confirmed(sequence: u64, change: Change) -> Note {
        Note::Confirmed { sequence, change, undelivered: None }
    }

    fn refused(event: TransactionEvent) -> Note {
        let sequence = event.sequence;
        let undelivered = Some(Box::new(Refused { event, reason: "InternalError".to_owned(), at: UnixMillis(1) }));
        Note::Confirmed { sequence, change: Change::None, undelivered }
    }

    fn opened(local: u64, central: Option<i32>, deauthorize: bool) -> Change {
        let central = central.map(CentralTransaction::confirmed);
        Change::Opened { local: TransactionId(local), central, deauthorize }
    }

    #[test]
    fn what_was_noted_is_there_after_a_restart() {
        let directory = tempfile::tempdir().expect("a directory");
        let ledger = Ledger::open(directory.path()).expect("opens");
        for note in [
            confirmed(1, opened(1, Some(-7), false)),
            confirmed(2, opened(2, Some(0), true)),
            confirmed(3, opened(3, None, false)),
            confirmed(4, Change::Closed { local: TransactionId(1) }),
            confirmed(5, Change::None),
        ] {
            keep(&ledger.database, &note).expect("kept");
        }
        drop(ledger);
        let ledger = Ledger::open(directory.path()).expect("opens again");
        let open = BTreeMap::from([
            (TransactionId(2), Open { central: Some(CentralTransaction::confirmed(0)) }),
            (TransactionId(3), Open { central: None }),
        ]);
        let stored = Stored { cursor: 5, open, deauthorize: vec![TransactionId(2)], ..Stored::default() };
        assert_eq!(ledger.stored().expect("reads"), stored);
        assert!(matches!(central(&ledger.database, TransactionId(1)), Ok(-7)));
        assert!(matches!(central(&ledger.database, TransactionId(3)), Err(CallError::NotFound(_))));
        assert!(matches!(central(&ledger.database, TransactionId(9)), Err(CallError::NotFound(_))));
        keep(&ledger.database, &Note::Deauthorized { transaction: TransactionId(2) }).expect("kept");
        assert_eq!(ledger.stored().expect("reads").deauthorize, []);
        keep(&ledger.database, &Note::NewJournal { journal: 77, cursor: 3 }).expect("kept");
        assert_eq!(ledger.stored().expect("reads"), Stored { journal: 77, cursor: 3, ..Stored::default() });
    }

    #[tokio::test]
    async fn case_17_a_full_disk_loses_no_note_and_keeps_nobody_waiting() {
        let directory = tempfile::tempdir().expect("a directory");
        let ledger = Ledger::open(directory.path()).expect("opens");
        // No page more than there are: as good as a full disk, for this connection.
        let pages: u32 = ledger.database.pragma_query_value(None, "page_count", |row| row.get(0)).expect("pages");
        ledger.database.pragma_update(None, "max_page_count", pages).expect("a limit");
        let room = ledger.database.path().expect("a file").to_owned();
        let file = RecordFile::new(directory.path());
        let (sender, jobs) = mpsc::channel(64);
        let (kept, mut seen) = watch::channel(Kept::default());
        let working = tokio::task::spawn_blocking(move || ledger.work(&file, jobs, &kept));
        for number in 1..=20 {
            sender.send(Job::Keep { number, note: refused(sample(number, 1)) }).await.expect("room");
        }
        seen.wait_for(|kept| kept.is_full).await.expect("told");
        let (reply, answer) = tokio::sync::oneshot::channel();
        sender.send(Job::Central { transaction: TransactionId(1), reply }).await.expect("room");
        assert!(matches!(answer.await.expect("an answer"), Err(CallError::Busy(_))));
        drop(sender);
        // The service stops: it cannot wait for ever, and says why it ends.
        assert!(matches!(working.await.expect("ends"), Err(Exit::Storage(_))));
        let again = Ledger::open(directory.path()).expect("opens, with room");
        assert_eq!(again.stored().expect("reads").cursor, 0, "all of a batch or none: {room}");
    }

    #[test]
    fn case_b15_case_b21_what_was_refused_is_kept_whole_and_samples_go_before_bills() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut ledger = Ledger::open(directory.path()).expect("opens");
        let samples = (2..=10_300).map(|sequence| (sequence, refused(sample(sequence, 7))));
        let notes: Vec<(u64, Note)> = [(1, refused(started(1, 7)))].into_iter().chain(samples).collect();
        ledger.keep(&notes).expect("kept");
        ledger.keep(&[(0, refused(stopped(10_301, 7)))]).expect("kept");
        let kept = ledger.undelivered_events().expect("counts");
        assert!((10_002..10_002 + 128).contains(&kept), "the oldest samples are gone: {kept}");
        let (_, marked) =
            in_transaction(&mut ledger.database, |database| mark(database, TransactionId(7))).expect("ok");
        assert_eq!(marked.first().map(|first| (first.round, &first.event)), Some((1, &started(1, 7))));
        assert_eq!(marked.last().map(|last| &last.event), Some(&stopped(10_301, 7)));
        let (_, again) = in_transaction(&mut ledger.database, |database| mark(database, TransactionId(7))).expect("ok");
        assert_eq!(again, [], "what is marked is in the queue already");
        assert_eq!(ledger.stored().expect("reads").resend.len(), marked.len());
    }

    #[test]
    fn what_an_earlier_version_kept_whole_can_be_sent_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut ledger = Ledger::open(directory.path()).expect("opens");
        ledger.keep(&[(1, refused(started(1, 7)))]).expect("kept");
        let earlier = "UPDATE undelivered SET event = json_remove(event, '$.reservation', '$.signed_data')";
        ledger.database.execute(earlier, []).expect("written");
        ledger.database.pragma_update(None, "user_version", 2).expect("written");
        drop(ledger);
        let mut ledger = Ledger::open(directory.path()).expect("opens again");
        let (_, marked) =
            in_transaction(&mut ledger.database, |database| mark(database, TransactionId(7))).expect("ok");
        assert_eq!(marked.first().map(|first| &first.event), Some(&started(1, 7)));
    }

    #[test]
    fn old_closed_transactions_are_forgotten() {
        let directory = tempfile::tempdir().expect("a directory");
        let ledger = Ledger::open(directory.path()).expect("opens");
        for local in [1, 20_000] {
            keep(&ledger.database, &confirmed(local, opened(local, Some(1), false))).expect("kept");
            let closed = Change::Closed { local: TransactionId(local) };
            keep(&ledger.database, &confirmed(local + 1, closed)).expect("kept");
        }
        assert!(central(&ledger.database, TransactionId(1)).is_err());
        assert!(central(&ledger.database, TransactionId(20_000)).is_ok());
    }

    #[test]
    fn the_thread_tells_what_is_on_disk_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().expect("a directory");
        let ledger = Ledger::open(directory.path()).expect("opens");
        let file = RecordFile::new(directory.path());
        let (sender, jobs) = mpsc::channel(64);
        let (kept, seen) = watch::channel(Kept::default());
        for number in 1..=20 {
            sender.try_send(Job::Keep { number, note: confirmed(number, Change::None) }).expect("room");
        }
        let record = Record { identity: "CP1".into(), ..Record::default() };
        sender.try_send(Job::Record(record.clone())).expect("room");
        drop(sender);
        ledger.work(&file, jobs, &kept).expect("works to the end");
        assert_eq!(seen.borrow().note, 20);
        assert_eq!(file.read(), record);
        assert_eq!(Ledger::open(directory.path()).expect("opens").stored().expect("reads").cursor, 20);
    }
}
