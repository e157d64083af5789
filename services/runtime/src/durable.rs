//! Files that survive a power cut: written to a temporary name, synced, renamed, and the directory synced.

use crate::failpoint;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Replaces a file as a whole, or leaves the old one as it was.
///
/// # Errors
/// What the file system says; the old content is then still in place.
#[allow(clippy::disallowed_methods, reason = "this is where durable files are written")]
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path.parent().ok_or_else(|| io::Error::other("a durable file needs a directory"))?;
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    failpoint::passed();
    fs::rename(&temporary, path)?;
    fs::File::open(directory)?.sync_all()?;
    failpoint::passed();
    Ok(())
}

/// Replaces a file in the runtime directory as a whole. It survives the process but need not survive the machine, so
/// nothing waits for a disk.
///
/// # Errors
/// What the file system says; the old content is then still in place.
#[allow(clippy::disallowed_methods, reason = "this is where files are written")]
pub fn hand_over(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    fs::write(&temporary, content)?;
    fs::rename(&temporary, path)
}

/// Reads a file that may not exist.
///
/// # Errors
/// What the file system says, unless it is that there is no such file.
#[allow(clippy::disallowed_methods, reason = "this is where durable files are read")]
pub fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("state.json");
        assert_eq!(read(&path).expect("no file is fine"), None);
        replace(&path, b"one").expect("written");
        replace(&path, b"two").expect("written");
        assert_eq!(read(&path).expect("read").as_deref(), Some("two"));
        assert!(!directory.path().join("state.new").exists());
    }
}
