//! The wear on disk. A thread of its own writes it: a disk may take seconds, a vehicle's board waits 200 ms. A power cut
//! loses at most what was counted in the last half minute; a restart loses nothing, the state is handed over.

use super::{Totals, Wear};
use crate::modules::driver::Address;
use crate::sharing::Switch;
use busbar_interfaces::power::OUTPUT_CONTACTORS;
use busbar_interfaces::{BoottimeMillis, CallError, ConnectorId};
use busbar_runtime::{Exit, Reply, store};
use rusqlite::{Connection, params};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SendError, Sender, channel};
use std::thread;
use std::time::Duration;

/// Counted wear goes to disk this often at most.
const EVERY: Duration = Duration::from_secs(30);

const MIGRATIONS: &[&str] = &["CREATE TABLE wear (
    connector INTEGER NOT NULL,
    module INTEGER NOT NULL, -- 255: the output contactors
    cycles INTEGER NOT NULL,
    forced INTEGER NOT NULL,
    PRIMARY KEY (connector, module)
) STRICT;"];

type Entry = (Totals, Option<Reply<()>>);

/// Where wear is written.
#[derive(Debug)]
pub struct WearBook {
    entries: Sender<Entry>,
    noted: Totals,
    noted_at: BoottimeMillis,
}

impl WearBook {
    /// Opens the book in a thread of its own, which tells what is in it. Without a book that can be used nothing is told,
    /// and nothing is kept.
    pub fn open(directory: PathBuf, told: impl FnOnce(Totals) + Send + 'static) -> WearBook {
        let (entries, received) = channel::<Entry>();
        thread::spawn(move || {
            let mut store = match open(&directory) {
                Ok((store, totals)) => {
                    told(totals);
                    store
                }
                Err(error) => {
                    tracing::error!(%error, "the wear of relays and contactors cannot be read, and is not kept");
                    return;
                }
            };
            let mut unwritten = Totals::new();
            for (changed, reply) in received {
                unwritten.extend(changed);
                let written =
                    store.write(|books| unwritten.iter().try_for_each(|(switch, wear)| put(books, *switch, *wear)));
                match &written {
                    Ok(()) => unwritten.clear(),
                    Err(error) => tracing::error!(%error, "the wear of relays and contactors cannot be written"),
                }
                if let Some(reply) = reply {
                    let failed = |error| CallError::Internal(format!("the wear cannot be written, repeat: {error}"));
                    let _ = reply.send(written.map_err(failed));
                }
            }
        });
        WearBook { entries, noted: Totals::new(), noted_at: BoottimeMillis(0) }
    }

    /// What the book says.
    pub fn read(&mut self, totals: Totals) {
        self.noted = totals;
    }

    /// Nothing is to be looked at before this time has passed.
    pub fn is_due(&self, now: BoottimeMillis) -> bool {
        now.since(self.noted_at) >= EVERY
    }

    /// Writes what has changed.
    pub fn note(&mut self, now: BoottimeMillis, totals: Totals, reply: Option<Reply<()>>) {
        self.noted_at = now;
        let changed: Totals = totals
            .iter()
            .filter(|(switch, wear)| self.noted.get(switch) != Some(wear))
            .map(|(a, b)| (*a, *b))
            .collect();
        if changed.is_empty() && reply.is_none() {
            return;
        }
        self.noted = totals;
        if let Err(SendError((_, Some(reply)))) = self.entries.send((changed, reply)) {
            let why = "wear is not kept: the service could not read what it kept before, its log says why".to_owned();
            let _ = reply.send(Err(CallError::NotReady(why)));
        }
    }
}

fn open(directory: &Path) -> Result<(store::Store, Totals), Exit> {
    let store = store::open(directory, "power", MIGRATIONS)?;
    let totals = read(&store.database)?;
    Ok((store, totals))
}

fn read(database: &Connection) -> Result<Totals, rusqlite::Error> {
    let mut statement = database.prepare("SELECT connector, module, cycles, forced FROM wear")?;
    let rows = statement.query_map([], |row| {
        let (connector, module) = (ConnectorId(row.get(0)?), row.get(1)?);
        let output = module == OUTPUT_CONTACTORS;
        let switch = if output { Switch::Output(connector) } else { Switch::Relay(Address(module), connector) };
        Ok((switch, Wear { cycles: row.get(2)?, forced: row.get(3)? }))
    })?;
    rows.collect()
}

fn put(books: &Connection, switch: Switch, wear: Wear) -> Result<(), rusqlite::Error> {
    let (connector, module) = match switch {
        Switch::Output(connector) => (connector, OUTPUT_CONTACTORS),
        Switch::Relay(module, connector) => (connector, module.0),
    };
    let statement = "INSERT OR REPLACE INTO wear (connector, module, cycles, forced) VALUES (?1, ?2, ?3, ?4)";
    books.execute(statement, params![connector.0, module, wear.cycles, wear.forced]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use tokio::sync::oneshot;

    const RELAY: Switch = Switch::Relay(Address(0), ConnectorId(1));
    const OUTPUT: Switch = Switch::Output(ConnectorId(1));

    fn opened(directory: &Path) -> (WearBook, Totals) {
        let (told, totals) = mpsc::channel();
        let mut book = WearBook::open(directory.to_owned(), move |totals| told.send(totals).expect("listens"));
        let totals = totals.recv_timeout(Duration::from_secs(10)).expect("is told");
        book.read(totals.clone());
        (book, totals)
    }

    #[test]
    fn what_was_noted_is_there_after_a_restart_of_the_machine() {
        let directory = tempfile::tempdir().expect("a directory");
        let totals = Totals::from([(RELAY, Wear { cycles: 7, forced: 1 }), (OUTPUT, Wear { cycles: 3, forced: 0 })]);
        let (mut book, before) = opened(directory.path());
        assert_eq!(before, Totals::new());
        assert!(book.is_due(BoottimeMillis(30_000)));
        let (reply, written) = oneshot::channel();
        book.note(BoottimeMillis(30_000), totals.clone(), Some(reply));
        written.blocking_recv().expect("is answered").expect("is written");
        assert!(!book.is_due(BoottimeMillis(59_999)), "once in half a minute");
        assert_eq!(opened(directory.path()).1, totals);
    }

    #[test]
    fn a_directory_that_cannot_be_used_is_told_to_who_waits() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let (ended, end) = mpsc::channel::<()>();
        let mut book = WearBook::open(file.path().to_owned(), move |_| drop(ended));
        assert!(end.recv().is_err(), "nothing is told");
        let (reply, written) = oneshot::channel();
        book.note(BoottimeMillis(0), Totals::new(), Some(reply));
        assert!(matches!(written.blocking_recv(), Ok(Err(CallError::NotReady(_))) | Err(_)));
    }
}
