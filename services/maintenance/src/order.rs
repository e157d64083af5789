//! The order to restart the station, as it is kept on disk, and what this run of the machine knows of it. The order
//! survives the machine; the note in the runtime directory survives the process alone. An order without the note is one
//! from before the machine restarted: it is carried out, and removed.

use busbar_interfaces::{BoottimeMillis, UnixMillis};
use busbar_runtime::{Exit, durable};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file in the state directory.
const ORDER: &str = "reset.json";
/// The file in the runtime directory.
const NOTE: &str = "maintenance.running.json";

/// How far a restart is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The transactions are being ended.
    Stopping,
    /// The CSMS is being told of them.
    Delivering,
    /// The machine is asked to restart.
    Restarting,
}

/// An order to restart the station.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// At once, without waiting for the CSMS to hear of everything.
    pub hard: bool,
    /// When it was given.
    pub ordered_unix_millis: UnixMillis,
    /// How far it is.
    pub phase: Phase,
    /// Until when this phase may last.
    pub until_boottime_millis: BoottimeMillis,
    /// How often the machine was asked.
    pub attempts: u32,
}

/// What this run of the machine knows.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Note {
    /// Why the station could not be restarted.
    failed: Option<String>,
}

/// The two files.
#[derive(Debug)]
pub struct OrderFile {
    order: PathBuf,
    note: PathBuf,
    unfinished: Option<Order>,
    failed: Option<String>,
}

impl OrderFile {
    /// Opens the files; an order from before the machine restarted is done and removed.
    ///
    /// # Errors
    /// When the directories cannot be used. The process must not go on then: an order that cannot be removed would
    /// restart the station again and again.
    pub fn open(state: &Path, runtime: &Path) -> Result<OrderFile, Exit> {
        let (order, note) = (state.join(ORDER), runtime.join(NOTE));
        let unusable = |path: &Path, error: &dyn std::fmt::Display| {
            Exit::Storage(format!("`{}` cannot be used: {error}", path.display()))
        };
        for directory in [state, runtime] {
            fs::create_dir_all(directory).map_err(|error| unusable(directory, &error))?;
        }
        let mut files = OrderFile { order, note, unfinished: None, failed: None };
        let stored = durable::read(&files.order).map_err(|error| unusable(&files.order, &error))?;
        match durable::read(&files.note).map_err(|error| unusable(&files.note, &error))? {
            Some(note) => {
                // A note that cannot be read still says that the machine has not restarted.
                files.failed = serde_json::from_str::<Note>(&note).unwrap_or_default().failed;
                files.unfinished = stored.and_then(|text| files.understood(&text));
            }
            None => {
                if let Some(stored) = stored {
                    tracing::info!(order = stored, "the station has restarted");
                    files.forget().map_err(|error| unusable(&files.order, &error))?;
                }
                // After the order is gone: a crash between the two must not begin it anew.
                files.write_note(None).map_err(|error| unusable(&files.note, &error))?;
            }
        }
        Ok(files)
    }

    fn understood(&self, text: &str) -> Option<Order> {
        match serde_json::from_str(text) {
            Ok(order) => Some(order),
            Err(error) => {
                tracing::error!(file = %self.order.display(), %error, "an order to restart makes no sense; ignored");
                None
            }
        }
    }

    /// The order that was being carried out when the process ended.
    pub fn unfinished(&self) -> Option<Order> {
        self.unfinished.clone()
    }

    /// Why the station could not be restarted in this run of the machine.
    pub fn failed(&self) -> Option<String> {
        self.failed.clone()
    }

    /// Keeps an order; it is on disk when this returns.
    ///
    /// # Errors
    /// What the file system says; what was kept before is then still kept.
    pub fn keep(&self, order: &Order) -> io::Result<()> {
        durable::replace(&self.order, &serde_json::to_vec(order)?)
    }

    /// Removes the order.
    ///
    /// # Errors
    /// What the file system says.
    pub fn forget(&self) -> io::Result<()> {
        match fs::remove_file(&self.order) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        match self.order.parent() {
            Some(directory) => sync(directory),
            None => Ok(()),
        }
    }

    /// Notes why the station could not be restarted, until the machine has restarted.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write_note(&self, failed: Option<String>) -> io::Result<()> {
        durable::hand_over(&self.note, &serde_json::to_vec(&Note { failed })?)
    }
}

#[allow(clippy::disallowed_methods, reason = "a removal is on disk when its directory is")]
fn sync(directory: &Path) -> io::Result<()> {
    fs::File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            hard: true,
            ordered_unix_millis: UnixMillis(1_715_934_605_999),
            phase: Phase::Restarting,
            until_boottime_millis: BoottimeMillis(70_000),
            attempts: 2,
        }
    }

    #[test]
    fn an_order_outlives_the_process_and_is_done_when_the_machine_has_restarted() {
        let (state, runtime) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
        let files = OrderFile::open(state.path(), runtime.path()).expect("opens");
        assert_eq!(files.unfinished(), None);
        files.keep(&order()).expect("kept");

        let files = OrderFile::open(state.path(), runtime.path()).expect("opens");
        assert_eq!(files.unfinished(), Some(order()), "the process was killed right after");

        let fresh = tempfile::tempdir().expect("a runtime directory after a boot");
        let files = OrderFile::open(state.path(), fresh.path()).expect("opens");
        assert_eq!(files.unfinished(), None);
        assert!(!state.path().join(ORDER).exists());
        let files = OrderFile::open(state.path(), fresh.path()).expect("opens");
        assert_eq!(files.unfinished(), None, "a crash after the boot does not begin it anew");
    }

    #[test]
    fn a_failure_is_known_until_the_machine_has_restarted() {
        let (state, runtime) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
        let files = OrderFile::open(state.path(), runtime.path()).expect("opens");
        files.write_note(Some("refused".to_owned())).expect("noted");
        let files = OrderFile::open(state.path(), runtime.path()).expect("opens");
        assert_eq!(files.failed().as_deref(), Some("refused"));
        let fresh = tempfile::tempdir().expect("a runtime directory after a boot");
        assert_eq!(OrderFile::open(state.path(), fresh.path()).expect("opens").failed(), None);
    }

    #[test]
    fn an_order_that_cannot_be_removed_ends_the_process() {
        let (state, runtime) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
        // A directory in its place can neither be read nor removed as a file.
        fs::create_dir(state.path().join(ORDER)).expect("made");
        assert!(matches!(OrderFile::open(state.path(), runtime.path()), Err(Exit::Storage(_))));
        assert!(!runtime.path().join(NOTE).exists(), "the next start must not take the order for unfinished");
    }

    #[test]
    fn an_order_that_makes_no_sense_restarts_nothing() {
        let (state, runtime) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
        drop(OrderFile::open(state.path(), runtime.path()).expect("opens"));
        durable::replace(&state.path().join(ORDER), b"{\"hard\":").expect("written");
        assert_eq!(OrderFile::open(state.path(), runtime.path()).expect("opens").unfinished(), None);
    }
}
