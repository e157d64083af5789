//! The card reader's serial line: a pseudo-terminal that a client opens like a device.
//!
//! The plant keeps the client's side open too, so that clients may come and go without the line hanging up.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc;

use crate::plant::Plant;

/// The line and the link that leads to it.
#[derive(Debug)]
pub struct Line {
    // The type for pipes: it waits for any descriptor that can be polled, as that of a terminal can.
    heard: Receiver,
    ours: File,
    _theirs: File,
    link: PathBuf,
}

impl Line {
    /// Opens a pseudo-terminal and puts a symbolic link to it at `link`, replacing an old one.
    ///
    /// # Errors
    /// When there is no pseudo-terminal, or the link cannot be made.
    pub fn open(link: &Path) -> io::Result<Self> {
        let ours = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let device = ptsname_r(&ours)?;
        let theirs = OpenOptions::new().read(true).write(true).open(&device)?;
        let mut attributes = tcgetattr(theirs.as_fd())?;
        cfmakeraw(&mut attributes);
        tcsetattr(theirs.as_fd(), SetArg::TCSANOW, &attributes)?;
        if fs::symlink_metadata(link).is_ok_and(|found| found.file_type().is_symlink()) {
            fs::remove_file(link)?;
        }
        std::os::unix::fs::symlink(&device, link)?;
        let ours = File::from(OwnedFd::from(ours));
        let heard = Receiver::from_file_unchecked(ours.try_clone()?)?;
        Ok(Self { heard, ours, _theirs: theirs, link: link.to_owned() })
    }

    /// Lets the reader talk for ever.
    ///
    /// # Errors
    /// When the line breaks.
    pub async fn serve(mut self, plant: Arc<Plant>, mut unasked: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
        let mut bytes = [0; 256];
        loop {
            tokio::select! {
                read = self.heard.read(&mut bytes) => {
                    let heard = bytes.get(..read?).unwrap_or_default();
                    self.say(&plant.tell_reader(heard))?;
                }
                Some(said) = unasked.recv() => self.say(&said)?,
            }
        }
    }

    /// Writes without waiting: a serial line loses what nobody takes.
    fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.ours.write(bytes) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // Nothing follows from a link that stays: the next start replaces it.
        let _ = fs::remove_file(&self.link);
    }
}
