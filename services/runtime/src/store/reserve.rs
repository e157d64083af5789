//! Space on the disk that is kept for the moment when nothing else is left: a file that is given up then, and made again
//! when there is room. Whoever has it knows that a few thousand more writes will succeed.

use super::PRIVATE;
use nix::fcntl::posix_fallocate;
use nix::sys::statvfs::statvfs;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What is kept.
const SIZE: u64 = 4 * 1024 * 1024;
/// What has to stay free beside it when it is made: else the next writes would need it at once.
const ROOM: u64 = 1024 * 1024;

/// The reserve of a store, whether it is there or not.
#[derive(Debug)]
pub struct Reserve {
    file: PathBuf,
    is_there: bool,
}

impl Reserve {
    /// The reserve that an earlier process has left, if it has.
    pub fn find(directory: &Path, name: &str) -> Reserve {
        let file = directory.join(format!("{name}.reserve"));
        // One that was being made when the process was killed is too small.
        let is_whole = |found: fs::Metadata| found.len() == SIZE && found.blocks().saturating_mul(512) >= SIZE;
        let is_there = fs::metadata(&file).is_ok_and(is_whole);
        Reserve { file, is_there }
    }

    /// Whether it is there.
    pub fn is_there(&self) -> bool {
        self.is_there
    }

    /// Makes it, if it is not there, when the store is opened.
    pub fn make_at_first(&mut self) {
        if self.is_there {
            return;
        }
        match self.make() {
            Ok(()) => self.is_there = true,
            Err(error) => tracing::error!(file = %self.file.display(), %error, "the disk has no room for the reserve"),
        }
    }

    /// Makes it again, if there is room; whether it is there now. Asked again and again, so a failure is not logged.
    pub fn restore(&mut self) -> bool {
        if !self.is_there && self.make().is_ok() {
            self.is_there = true;
            tracing::info!(file = %self.file.display(), "the disk has room for the reserve again");
        }
        self.is_there
    }

    /// Gives it up because of this error; false when there was none.
    pub fn give_up(&mut self, error: &rusqlite::Error) -> bool {
        if !std::mem::replace(&mut self.is_there, false) {
            return false;
        }
        let file = self.file.display();
        match fs::remove_file(&self.file) {
            Ok(()) => tracing::error!(%file, %error, "the disk is full: the reserve is given up"),
            Err(cause) => {
                tracing::error!(%file, %error, %cause, "the disk is full, and the reserve cannot be given up")
            }
        }
        true
    }

    fn make(&self) -> io::Result<()> {
        let disk = statvfs(self.file.parent().unwrap_or(&self.file))?;
        let free = u128::from(disk.blocks_available()).saturating_mul(u128::from(disk.fragment_size()));
        // Asked first: whatever else writes to this disk must not find it full while this is tried.
        if free < u128::from(SIZE.saturating_add(ROOM)) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let made = self.allocate();
        if made.is_err() {
            // What there is of it would only be missing elsewhere.
            let _ = fs::remove_file(&self.file);
        }
        made
    }

    fn allocate(&self) -> io::Result<()> {
        let length = nix::libc::off_t::try_from(SIZE).map_err(io::Error::other)?;
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(PRIVATE).open(&self.file)?;
        Ok(posix_fallocate(&file, 0, length)?)
    }
}
