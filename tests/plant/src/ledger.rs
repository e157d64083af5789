//! The file in which the meters keep their registers while the plant is not running.
//!
//! It has a fixed size and is overwritten in place by a single write, so that killing the process leaves either
//! the old or the new registers. A power failure is not survived; the plant is a test device.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::meter::Readings;

/// Why the registers cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file cannot be opened, read or written.
    #[error("meter file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("meter file {} is not readable as registers", path.display())]
    Content {
        /// The file.
        path: PathBuf,
    },
}

/// The registers of both meters on disk.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: File,
    written: [Readings; 2],
}

impl Ledger {
    /// Opens the file, or starts one with registers at zero.
    ///
    /// # Errors
    /// When the file cannot be used or holds something else.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let failed = |source| LedgerError::File { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let written = if text.is_empty() {
            [Readings::default(); 2]
        } else {
            parse(&text).ok_or_else(|| LedgerError::Content { path: path.to_owned() })?
        };
        Ok(Self { path: path.to_owned(), file, written })
    }

    /// The registers as they are on disk.
    pub fn written(&self) -> [Readings; 2] {
        self.written
    }

    /// Writes the registers if they have changed.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, readings: [Readings; 2]) -> Result<(), LedgerError> {
        if readings != self.written {
            let text = format(&readings);
            self.file
                .write_all_at(text.as_bytes(), 0)
                .map_err(|source| LedgerError::File { path: self.path.clone(), source })?;
            self.written = readings;
        }
        Ok(())
    }
}

fn format(readings: &[Readings; 2]) -> String {
    let mut text = String::new();
    for Readings { import_milliwatt_hours, export_milliwatt_hours } in readings {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{import_milliwatt_hours:020} {export_milliwatt_hours:020}");
    }
    text
}

fn parse(text: &str) -> Option<[Readings; 2]> {
    let mut lines = text.lines().map(|line| {
        let (import, export) = line.split_once(' ')?;
        Some(Readings { import_milliwatt_hours: import.parse().ok()?, export_milliwatt_hours: export.parse().ok()? })
    });
    let readings = [lines.next()??, lines.next()??];
    lines.next().is_none().then_some(readings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_survive_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("meters");
        let one = Readings { import_milliwatt_hours: 12_345, export_milliwatt_hours: 1 };
        let two = Readings { import_milliwatt_hours: u64::MAX, export_milliwatt_hours: 0 };
        let mut ledger = Ledger::open(&path).unwrap();
        assert_eq!(ledger.written(), [Readings::default(); 2]);
        ledger.write([one, one]).unwrap();
        ledger.write([one, two]).unwrap();
        assert_eq!(Ledger::open(&path).unwrap().written(), [one, two]);
    }

    #[test]
    fn a_strange_file_is_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("meters");
        OpenOptions::new().write(true).create_new(true).open(&path).unwrap().write_all_at(b"other", 0).unwrap();
        assert!(matches!(Ledger::open(&path), Err(LedgerError::Content { .. })));
    }
}
