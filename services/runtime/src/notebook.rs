//! A state that outlives the process in memory: a sealed memfd with two pages, kept by the service manager. It survives
//! SIGKILL at any instant, a restart and an upgrade, and costs no disk. It does not survive the machine, nor a stop.

mod page;

use crate::descriptors::Descriptors;
use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use page::{HEADER, Pages, strokes};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

/// No state is larger than this.
const LARGEST: usize = 1 << 20;

/// A state that the next process finds.
#[derive(Debug)]
pub struct Notebook {
    name: String,
    /// Nothing, when the kernel gave no memory.
    file: Option<File>,
    /// The most bytes of a state.
    size: usize,
    next: Next,
    /// The text of the last state; its memory is used again.
    text: Vec<u8>,
    fails: bool,
}

/// Where the next state goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Next {
    page: usize,
    sequence: u64,
}

impl Notebook {
    /// Opens what the process before wrote under this name, or a new one. A state has at most `size` bytes as CBOR, which
    /// names its fields, so that a later version reads what an earlier one wrote; a program that wants another size than the one before finds its state all the same.
    pub fn open(descriptors: &Descriptors, name: &str, size: usize) -> Notebook {
        let size = size.min(LARGEST);
        let found = descriptors.take(name).and_then(|found| match open(found) {
            Ok(found) => Some(found),
            Err(error) => {
                tracing::warn!(name, %error, "what the process before handed over is no notebook");
                None
            }
        });
        let mut notebook = Notebook {
            name: name.to_owned(),
            file: None,
            size,
            next: Next::default(),
            text: Vec::with_capacity(size),
            fails: false,
        };
        let former = match found {
            Some((file, length)) if length == length_of(size) => {
                notebook.file = Some(file);
                notebook.find_next();
                return notebook;
            }
            Some((file, length)) => newest(&file, length),
            None => None,
        };
        match create(name, size) {
            Ok(file) => {
                if let Some(former) = former {
                    notebook.text = former;
                    let carried = inscribe(&file, size, notebook.next, &notebook.text);
                    notebook.next = notebook.next.after();
                    if let Err(error) = carried {
                        tracing::warn!(name, %error, "the state of the process before is lost");
                    }
                }
                descriptors.keep(name, file.as_fd());
                notebook.file = Some(file);
            }
            Err(error) => tracing::warn!(name, %error, "there is no memory for a notebook"),
        }
        notebook
    }

    /// The last state that was written as a whole; nothing if there is none, or it is none of this type.
    pub fn read<T: DeserializeOwned>(&self) -> Option<T> {
        let text = newest(self.file.as_ref()?, length_of(self.size))?;
        let state = ciborium::from_reader(text.as_slice());
        state.inspect_err(|error| tracing::warn!(name = self.name, %error, "a notebook is not understood")).ok()
    }

    /// Writes a state in the place of the older one of the last two, and says whether it stands there now. A failure is
    /// logged when it begins and when it ends.
    pub fn write<T: Serialize>(&mut self, state: &T) -> bool {
        let written = self.try_write(state);
        match &written {
            Ok(()) if self.fails => tracing::info!(name = self.name, "a notebook is written again"),
            Err(error) if !self.fails => tracing::warn!(name = self.name, %error, "a notebook cannot be written"),
            _ => {}
        }
        self.fails = written.is_err();
        written.is_ok()
    }

    fn try_write<T: Serialize>(&mut self, state: &T) -> io::Result<()> {
        self.text.clear();
        ciborium::into_writer(state, &mut self.text).map_err(io::Error::other)?;
        let file = self.file.as_ref().ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        inscribe(file, self.size, self.next, &self.text)?;
        self.next = self.next.after();
        Ok(())
    }

    fn find_next(&mut self) {
        let bytes = self.file.as_ref().and_then(|file| bytes(file, length_of(self.size)).ok()).unwrap_or_default();
        if let Some(newest) = Pages::of(&bytes).newest() {
            self.next = Next { page: newest.page, sequence: newest.sequence }.after();
        }
    }
}

impl Next {
    fn after(self) -> Next {
        Next { page: 1_usize.saturating_sub(self.page), sequence: self.sequence.saturating_add(1) }
    }
}

fn length_of(size: usize) -> usize {
    HEADER.saturating_add(size).saturating_mul(2)
}

fn create(name: &str, size: usize) -> io::Result<File> {
    let file = memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    // The memory is there from now on: no later write can lack it.
    let length = i64::try_from(length_of(size)).map_err(io::Error::other)?;
    fallocate(&file, FallocateFlags::empty(), 0, length)?;
    let sealed = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(sealed))?;
    Ok(file.into())
}

/// A notebook of a process before and its length.
fn open(found: OwnedFd) -> io::Result<(File, usize)> {
    let seals = SealFlag::from_bits_truncate(fcntl(&found, FcntlArg::F_GET_SEALS)?);
    let file = File::from(found);
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let is_sealed = seals.contains(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW);
    if is_sealed && length <= length_of(LARGEST) {
        Ok((file, length))
    } else {
        Err(io::Error::other("not sealed, or too large"))
    }
}

fn bytes(file: &File, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

fn newest(file: &File, length: usize) -> Option<Vec<u8>> {
    let bytes = bytes(file, length).ok()?;
    Pages::of(&bytes).newest().map(|newest| newest.body.to_vec())
}

fn inscribe(file: &File, size: usize, next: Next, body: &[u8]) -> io::Result<()> {
    if body.len() > size {
        return Err(io::Error::other(format!("{} bytes, and there is room for {size}", body.len())));
    }
    for stroke in strokes(next, size, body) {
        file.write_all_at(stroke.bytes.as_ref(), stroke.at)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
