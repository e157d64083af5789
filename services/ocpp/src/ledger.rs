//! What was agreed with the CSMS, on disk: the cursor in the transaction journal, the CSMS's number of each
//! transaction, and what it never took. The ledger writes on a thread of its own, so that no answer waits for the disk,
//! and takes everything that waits into one commit.

use crate::delivery::Stored;
use crate::record::{Record, RecordFile};
use busbar_interfaces::words::EventKind;
use busbar_interfaces::{CallError, TransactionId, UnixMillis};
use busbar_runtime::store::{self, signed, unsigned};
use busbar_runtime::{Exit, Reply};
use rusqlite::{Connection, OptionalExtension, params};
use std::path::{Path, PathBuf};
use tokio::sync::{mpsc, watch};

/// Jobs that one commit takes at most.
const MOST_AT_ONCE: usize = 256;
/// Closed transactions that are kept, for whoever asks for the CSMS's number later.
const CLOSED_KEPT: i64 = 10_000;
/// Undelivered events that are kept, for the technician.
const UNDELIVERED_KEPT: i64 = 10_000;

const MIGRATIONS: &[&str] = &["
CREATE TABLE journal (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL, cursor INTEGER NOT NULL) STRICT;
CREATE TABLE transactions (
    local INTEGER PRIMARY KEY, central INTEGER, open INTEGER NOT NULL, deauthorize INTEGER NOT NULL
) STRICT;
CREATE INDEX transactions_open ON transactions (local) WHERE open = 1 OR deauthorize = 1;
CREATE TABLE undelivered (
    number INTEGER PRIMARY KEY AUTOINCREMENT, sequence INTEGER NOT NULL, local INTEGER NOT NULL, kind TEXT NOT NULL,
    reason TEXT NOT NULL, unix_millis INTEGER NOT NULL
) STRICT;
"];

/// A transaction whose stop is not confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// The CSMS's number; none when it has refused the start.
    pub central: Option<i32>,
}

/// What becomes of a transaction with an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// Its start is confirmed, or given up.
    Opened { local: TransactionId, central: Option<i32>, deauthorize: bool },
    /// Its stop is confirmed, or given up.
    Closed { local: TransactionId },
}

/// One thing to keep; each is written whole or not at all, and in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The cursor moves over an event.
    Confirmed {
        sequence: u64,
        transaction: TransactionId,
        kind: EventKind,
        change: Change,
        /// Why the CSMS never took it, if so.
        undelivered: Option<String>,
        at: UnixMillis,
    },
    /// `session` has answered to the stop of a transaction whose badge the CSMS does not accept.
    Deauthorized { transaction: TransactionId },
    /// The journal is another one.
    NewJournal { epoch: u64 },
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
        let store = store::open(state_directory, "ocpp", MIGRATIONS)?;
        // Any number will do that another ledger does not have: a CSMS knows messages by it.
        let epoch = i64::try_from(fastrand::u64(1..1 << 48)).unwrap_or(1);
        store.database.execute("INSERT OR IGNORE INTO journal (one, epoch, cursor) VALUES (1, ?1, 0)", [epoch])?;
        Ok(Ledger { database: store.database, set_aside: store.set_aside })
    }

    /// Where a damaged ledger was put, if one was found.
    pub fn set_aside(&self) -> Option<&Path> {
        self.set_aside.as_deref()
    }

    pub(crate) fn stored(&self) -> Result<Stored, Exit> {
        let (epoch, cursor) = self.database.query_row("SELECT epoch, cursor FROM journal", [], |row| {
            Ok((unsigned(row.get(0)?), unsigned(row.get(1)?)))
        })?;
        let mut stored = Stored { epoch, cursor, ..Stored::default() };
        let mut statement = self.database.prepare(
            "SELECT local, central, open, deauthorize FROM transactions WHERE open = 1 OR deauthorize = 1 ORDER BY local",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let local = TransactionId(unsigned(row.get(0)?));
            if row.get(2)? {
                stored.open.insert(local, Open { central: row.get(1)? });
            }
            if row.get(3)? {
                stored.deauthorize.push(local);
            }
        }
        Ok(stored)
    }

    /// Works until nobody can ask any more. Everything that was handed over before is then on disk.
    ///
    /// # Errors
    /// [`Exit::Storage`] when something cannot be kept: nothing that depends on it may happen then.
    pub(crate) fn work(
        mut self,
        file: &RecordFile,
        mut jobs: mpsc::Receiver<Job>,
        kept: &watch::Sender<u64>,
    ) -> Result<(), Exit> {
        let mut batch = Vec::new();
        while jobs.blocking_recv_many(&mut batch, MOST_AT_ONCE) > 0 {
            let mut last = None;
            let mut record = None;
            let transaction = self.database.transaction()?;
            for job in batch.drain(..) {
                match job {
                    Job::Keep { number, note } => {
                        keep(&transaction, &note)?;
                        last = Some(number);
                    }
                    Job::Record(newest) => record = Some(newest),
                    Job::Central { transaction: local, reply } => {
                        // A caller that has gone needs no answer.
                        let _ = reply.send(central(&transaction, local));
                    }
                }
            }
            transaction.commit()?;
            if let Some(last) = last {
                kept.send_replace(last);
            }
            if let Some(record) = record
                && let Err(error) = file.write(&record)
            {
                // The station works without it; a restart of this process then introduces itself once more.
                tracing::error!(%error, "the registration record cannot be written");
            }
        }
        Ok(())
    }
}

fn keep(database: &Connection, note: &Note) -> Result<(), rusqlite::Error> {
    match note {
        Note::Confirmed { sequence, transaction, kind, change, undelivered, at } => {
            run(database, "UPDATE journal SET cursor = ?1", params![signed(*sequence)])?;
            if let Some(reason) = undelivered {
                run(
                    database,
                    "INSERT INTO undelivered (sequence, local, kind, reason, unix_millis) VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![signed(*sequence), signed(transaction.0), kind.as_str(), reason, signed(at.0)],
                )?;
                run(
                    database,
                    "DELETE FROM undelivered WHERE number <= (SELECT max(number) FROM undelivered) - ?1",
                    params![UNDELIVERED_KEPT],
                )?;
            }
            match change {
                Change::None => Ok(()),
                Change::Opened { local, central, deauthorize } => run(
                    database,
                    "INSERT OR REPLACE INTO transactions (local, central, open, deauthorize) VALUES (?1, ?2, 1, ?3)",
                    params![signed(local.0), central, deauthorize],
                ),
                Change::Closed { local } => {
                    run(database, "UPDATE transactions SET open = 0 WHERE local = ?1", params![signed(local.0)])?;
                    run(
                        database,
                        "DELETE FROM transactions WHERE local <= ?1 AND open = 0 AND deauthorize = 0",
                        params![signed(local.0).saturating_sub(CLOSED_KEPT)],
                    )
                }
            }
        }
        Note::Deauthorized { transaction } => {
            run(database, "UPDATE transactions SET deauthorize = 0 WHERE local = ?1", params![signed(transaction.0)])
        }
        Note::NewJournal { epoch } => {
            run(database, "UPDATE journal SET epoch = ?1, cursor = 0", params![signed(*epoch)])?;
            run(database, "DELETE FROM transactions", params![])
        }
    }
}

fn central(database: &Connection, local: TransactionId) -> Result<i32, CallError> {
    let found: Result<Option<Option<i32>>, rusqlite::Error> = database
        .prepare_cached("SELECT central FROM transactions WHERE local = ?1")
        .and_then(|mut statement| statement.query_row([signed(local.0)], |row| row.get(0)).optional());
    match found {
        Ok(Some(Some(central))) => Ok(central),
        Ok(_) => Err(CallError::NotFound(format!("the CSMS has given no number to transaction {local}"))),
        Err(error) => Err(CallError::Internal(format!("the ledger cannot be read: {error}"))),
    }
}

fn run(database: &Connection, statement: &str, values: impl rusqlite::Params) -> Result<(), rusqlite::Error> {
    database.prepare_cached(statement)?.execute(values).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn confirmed(sequence: u64, local: u64, change: Change) -> Note {
        Note::Confirmed {
            sequence,
            transaction: TransactionId(local),
            kind: EventKind::Started,
            change,
            undelivered: None,
            at: UnixMillis(1),
        }
    }

    fn opened(local: u64, central: Option<i32>, deauthorize: bool) -> Change {
        Change::Opened { local: TransactionId(local), central, deauthorize }
    }

    #[test]
    fn what_was_noted_is_there_after_a_restart() {
        let directory = tempfile::tempdir().expect("a directory");
        let ledger = Ledger::open(directory.path()).expect("opens");
        let epoch = ledger.stored().expect("reads").epoch;
        for note in [
            confirmed(1, 1, opened(1, Some(-7), false)),
            confirmed(2, 2, opened(2, Some(0), true)),
            confirmed(3, 3, opened(3, None, false)),
            confirmed(4, 1, Change::Closed { local: TransactionId(1) }),
            confirmed(5, 2, Change::None),
        ] {
            keep(&ledger.database, &note).expect("kept");
        }
        drop(ledger);
        let ledger = Ledger::open(directory.path()).expect("opens again");
        let open =
            BTreeMap::from([(TransactionId(2), Open { central: Some(0) }), (TransactionId(3), Open { central: None })]);
        let stored = Stored { epoch, cursor: 5, open, deauthorize: vec![TransactionId(2)] };
        assert_eq!(ledger.stored().expect("reads"), stored);
        assert!(matches!(central(&ledger.database, TransactionId(1)), Ok(-7)));
        assert!(matches!(central(&ledger.database, TransactionId(3)), Err(CallError::NotFound(_))));
        assert!(matches!(central(&ledger.database, TransactionId(9)), Err(CallError::NotFound(_))));
        keep(&ledger.database, &Note::Deauthorized { transaction: TransactionId(2) }).expect("kept");
        assert_eq!(ledger.stored().expect("reads").deauthorize, []);
        keep(&ledger.database, &Note::NewJournal { epoch: 77 }).expect("kept");
        assert_eq!(ledger.stored().expect("reads"), Stored { epoch: 77, ..Stored::default() });
    }

    #[test]
    fn old_closed_transactions_are_forgotten() {
        let directory = tempfile::tempdir().expect("a directory");
        let ledger = Ledger::open(directory.path()).expect("opens");
        for local in [1, 20_000] {
            keep(&ledger.database, &confirmed(local, local, opened(local, Some(1), false))).expect("kept");
            let closed = Change::Closed { local: TransactionId(local) };
            keep(&ledger.database, &confirmed(local + 1, local, closed)).expect("kept");
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
        let (kept, seen) = watch::channel(0);
        for number in 1..=20 {
            sender.try_send(Job::Keep { number, note: confirmed(number, 1, Change::None) }).expect("room");
        }
        let record = Record { identity: "CP1".into(), ..Record::default() };
        sender.try_send(Job::Record(record.clone())).expect("room");
        drop(sender);
        ledger.work(&file, jobs, &kept).expect("works to the end");
        assert_eq!(*seen.borrow(), 20);
        assert_eq!(file.read(), record);
        assert_eq!(Ledger::open(directory.path()).expect("opens").stored().expect("reads").cursor, 20);
    }
}
