//! The ledger of this service: transactions and their journal, orders and reservations, what is known of badges, and
//! what else was promised, on disk before anything is said or done.

mod entries;
mod irregularities;
pub mod known;
mod orders;
mod schema;

pub use entries::{ConnectorRecord, Entry};
pub use schema::MIGRATIONS;

use crate::books::{self, Checked, Last, Open, Refusal};
use crate::cache;
use crate::journal::{self, Journal};
use crate::local_list::{self, Held};
use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::words::{AuthorizationSource, EventKind, StopReason};
use busbar_interfaces::{ConnectorId, TransactionId};
use busbar_runtime::store::{self, Store, StoreError, signed};
use busbar_runtime::{Exit, durable};
use irregularities::Irregularities;
use rusqlite::{Connection, Transaction, params};
use std::collections::BTreeMap;
use std::path::Path;

/// The file in the runtime directory that says that the machine has not restarted since this service ran.
const RUNNING_SINCE_BOOT: &str = "session.running";

/// Why an event is not in the books.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] rusqlite::Error),
    /// A transaction was to begin where one runs. It is noted as an irregularity.
    #[error("transaction {transaction} was to begin at connector {connector} while transaction {running} runs there")]
    SecondStart {
        /// Where.
        connector: ConnectorId,
        /// The one that was to begin.
        transaction: TransactionId,
        /// The one that runs.
        running: TransactionId,
    },
    /// An event of a transaction that does not run there. It is noted as an irregularity.
    #[error("an event of transaction {transaction} at connector {connector}, where it does not run")]
    NotRunning {
        /// Where.
        connector: ConnectorId,
        /// Which.
        transaction: TransactionId,
    },
}

impl From<LedgerError> for Exit {
    fn from(error: LedgerError) -> Exit {
        match error {
            LedgerError::Database(error) => Exit::from(error),
            // This process is at odds with its own books; the next one begins from them.
            error @ (LedgerError::SecondStart { .. } | LedgerError::NotRunning { .. }) => {
                Exit::Internal(error.to_string())
            }
        }
    }
}

/// The open ledger.
#[derive(Debug)]
pub struct Ledger {
    store: Store,
    journal: Journal,
    lasts: BTreeMap<ConnectorId, Last>,
    irregularities: Irregularities,
    local_list: Held,
    cached_badges: u32,
}

impl Ledger {
    /// Opens the ledger in this run of the machine (`boot`), and finds out whether the machine has restarted since it
    /// was last open.
    ///
    /// # Errors
    /// [`Exit::Storage`] when the directories cannot be used.
    pub fn open(state: &Path, runtime: &Path, boot: &str) -> Result<Ledger, Exit> {
        // Badges are in it, and charges that run are ended in it when the disk is full.
        let opened = store::open_with_reserve(state, "session", MIGRATIONS);
        let mut store = opened.map_err(|error: StoreError| Exit::from(error))?;
        let marker = runtime.join(RUNNING_SINCE_BOOT);
        let unusable = |error| Exit::Storage(format!("`{}` cannot be used: {error}", marker.display()));
        let has_restarted = durable::read(&marker).map_err(unusable)?.is_none();
        store.write(|books| {
            if has_restarted {
                end_what_ran(books)?;
            }
            // SQLite writes a page when it empties a table without a condition, also when that is empty already.
            books.execute("DELETE FROM stopped_in_order WHERE only_row = 1", [])
        })?;
        if has_restarted {
            // On disk after the reasons, so that a second crash changes nothing about them.
            durable::replace(&marker, b"").map_err(unusable)?;
        }
        let journal = Journal::open(&store.database, boot)?;
        let lasts = lasts(&store.database, boot)?;
        let irregularities = Irregularities::load(&store.database)?;
        let local_list = local_list::held(&store.database)?;
        let cached_badges = cache::count(&store.database)?;
        Ok(Ledger { store, journal, lasts, irregularities, local_list, cached_badges })
    }

    /// Where a damaged ledger was put, if one was found.
    pub fn set_aside(&self) -> Option<&Path> {
        self.store.set_aside.as_deref()
    }

    /// Whether the reserve for a full disk is there: without it nothing new may begin.
    pub fn has_reserve(&self) -> bool {
        self.store.has_reserve()
    }

    /// Tries to make the reserve again; whether it is there now.
    pub fn restore_reserve(&mut self) -> bool {
        self.store.restore_reserve()
    }

    /// Writes the begin of a transaction: its row, its event, and the end of the reservation that it uses up, all of it
    /// or nothing. Returns the event as it was written.
    ///
    /// # Errors
    /// Also when a transaction runs there: this process must end then.
    pub fn start(
        &mut self,
        event: TransactionEvent,
        authorized_by: AuthorizationSource,
        parent_id_tag: &str,
    ) -> Result<TransactionEvent, LedgerError> {
        self.enter(&event, |books, event, first_event| {
            begin(books, event, authorized_by, parent_id_tag, first_event)?;
            event.reservation.iter().try_for_each(|reservation| orders::end_reservation(books, *reservation))
        })
    }

    /// Writes a sample or the end of a transaction with its place in the books, all of it or nothing, and returns it as
    /// it was written. What a sample says stands in the journal alone: it has one page to write.
    ///
    /// # Errors
    /// Also when the transaction does not run there: this process must end then.
    pub fn record(&mut self, event: TransactionEvent) -> Result<TransactionEvent, LedgerError> {
        match event.kind {
            EventKind::Started => self.start(event, AuthorizationSource::None, ""),
            EventKind::Stopped => self.enter(&event, end),
            EventKind::Sample | EventKind::Unknown => self.enter(&event, |_, _, _| Ok(())),
        }
    }

    /// Holds an event against the books and writes it, with its number, what else it means, and what was irregular.
    fn enter(
        &mut self,
        event: &TransactionEvent,
        act: impl Fn(&Transaction<'_>, &TransactionEvent, u64) -> Result<(), rusqlite::Error>,
    ) -> Result<TransactionEvent, LedgerError> {
        let (connector, transaction) = (event.connector, event.transaction);
        let last = self.lasts.get(&connector).copied().unwrap_or_default();
        let Checked { event, irregularity } = match books::check(&last, event) {
            Ok(checked) => checked,
            Err(refusal) => return Err(self.refuse(event, refusal)?),
        };
        let change = match irregularity {
            Some(what) => self.irregularities.noted(connector, transaction, &what),
            None if event.kind == EventKind::Stopped => self.irregularities.ended(connector, transaction),
            None => None,
        };
        let journal = &self.journal;
        let appended = self.store.write(|books| {
            act(books, &event, journal.next())?;
            if let Some(change) = &change {
                irregularities::write(books, connector, change, event.unix_millis)?;
            }
            journal.append(books, event.clone())
        })?;
        self.lasts.insert(connector, last.after(&event, !self.journal.boot().is_empty()));
        if let Some(change) = change {
            self.irregularities.committed(connector, change);
        }
        Ok(self.journal.committed(appended))
    }

    fn refuse(&mut self, event: &TransactionEvent, refusal: Refusal) -> Result<LedgerError, rusqlite::Error> {
        let (connector, transaction) = (event.connector, event.transaction);
        let (error, in_transaction) = match refusal {
            Refusal::SecondStart(running) => (LedgerError::SecondStart { connector, transaction, running }, running),
            Refusal::NotRunning => (LedgerError::NotRunning { connector, transaction }, transaction),
        };
        self.irregular(connector, in_transaction, &error.to_string(), event.unix_millis)?;
        Ok(error)
    }

    /// Events after a cursor.
    pub fn events_after(&self, cursor: u64, max: u32) -> Result<Vec<TransactionEvent>, rusqlite::Error> {
        journal::after(&self.store.database, cursor, max)
    }

    /// Names the journal.
    pub fn journal_id(&self) -> u64 {
        self.journal.id()
    }

    /// The number of the last event.
    pub fn last_event(&self) -> u64 {
        self.journal.last()
    }

    /// The number of the last delivered event, as far as is known.
    pub fn delivered_event(&self) -> u64 {
        self.journal.delivered()
    }

    /// What `ocpp` says is confirmed; nothing while it is away. True if more is delivered than was known.
    pub fn confirmed(&mut self, confirmed: Option<u64>) -> Result<bool, rusqlite::Error> {
        let is_news = self.journal.confirmed(&self.store.database, confirmed)?;
        if self.journal.is_behind() {
            self.store.write(|books| self.journal.keep_delivered(books))?;
            self.journal.kept_delivered();
        }
        Ok(is_news)
    }

    /// Writes down what is delivered, and that the service was stopped in good order: it is about to end.
    pub fn close(mut self) -> Result<(), rusqlite::Error> {
        self.store.write(|books| {
            self.journal.keep_delivered(books)?;
            books.execute("INSERT OR IGNORE INTO stopped_in_order VALUES (1)", [])
        })?;
        Ok(())
    }
}

/// The machine has restarted: no delivery can have outlived it, and the pause before it is over.
fn end_what_ran(books: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    let query = "SELECT EXISTS (SELECT 1 FROM stopped_in_order)";
    let was_stopped_in_order: bool = books.query_row(query, [], |row| row.get(0))?;
    let reason = if was_stopped_in_order { StopReason::Reboot } else { StopReason::PowerLoss };
    books.execute(
        "UPDATE transactions SET ending_reason = ?1 WHERE stop_reason IS NULL AND ending_reason IS NULL",
        params![reason.as_str()],
    )?;
    books.execute("DELETE FROM starts_held WHERE only_row = 1", [])?;
    Ok(())
}

/// What the books say of each connector that has ever had a transaction, in this run of the machine.
fn lasts(database: &Connection, boot: &str) -> Result<BTreeMap<ConnectorId, Last>, rusqlite::Error> {
    let mut query = database.prepare("SELECT DISTINCT connector FROM transactions")?;
    let connectors = query.query_map([], |row| row.get(0).map(ConnectorId))?;
    let last = |connector| {
        let open = match entries::running(database, connector)? {
            Some((entry, first_event)) => Some(Open {
                transaction: entry.transaction,
                started: entry.started,
                energy: entry.last_energy,
                of_this_run: !boot.is_empty() && journal::boot_of(database, first_event)?.as_deref() == Some(boot),
            }),
            None => None,
        };
        let stopped_energy = entries::stopped(database, connector)?.map(|entry| entry.last_energy);
        Ok((connector, Last { open, stopped_energy }))
    };
    connectors.map(|connector| connector.and_then(last)).collect()
}

fn begin(
    books: &Transaction<'_>,
    event: &TransactionEvent,
    authorized_by: AuthorizationSource,
    parent_id_tag: &str,
    first_event: u64,
) -> Result<(), rusqlite::Error> {
    books.execute(
        "INSERT INTO transactions (id, connector, id_tag, started_unix_millis, started_milliwatt_hours,
                                   last_unix_millis, last_milliwatt_hours, first_event, authorized_by, parent_id_tag,
                                   delivery)
         VALUES (?1, ?2, ?3, ?4, ?5, ?4, ?5, ?6, ?7, ?8, ?1)",
        params![
            signed(event.transaction.0),
            event.connector.0,
            event.id_tag,
            signed(event.unix_millis.0),
            signed(event.energy_milliwatt_hours.0),
            signed(first_event),
            authorized_by.as_str(),
            parent_id_tag
        ],
    )?;
    Ok(())
}

fn end(books: &Transaction<'_>, event: &TransactionEvent, last_event: u64) -> Result<(), rusqlite::Error> {
    books.execute(
        "UPDATE transactions SET last_unix_millis = ?2, last_milliwatt_hours = ?3, stop_reason = ?4, last_event = ?5
         WHERE id = ?1",
        params![
            signed(event.transaction.0),
            signed(event.unix_millis.0),
            signed(event.energy_milliwatt_hours.0),
            event.reason.as_str(),
            signed(last_event)
        ],
    )?;
    entries::await_unplug(books, event.connector)
}

#[cfg(test)]
mod tests;
