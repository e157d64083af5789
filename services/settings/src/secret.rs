//! How a secret leaves this process: as a memory file that can be read and no longer changed, and never as a text that
//! a log, a property or a panic could repeat.

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fmt;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;

/// A value of a write-only key on its way in. It does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a value in.
    pub fn new(value: String) -> Secret {
        Secret(value)
    }

    /// The value itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A sealed memory file that holds a value.
///
/// # Errors
/// What the kernel says.
pub fn sealed(value: &str) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("busbar-secret", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?);
    file.write_all(value.as_bytes())?;
    file.rewind()?;
    let seals = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_sealed_file_is_read_from_its_begin_and_cannot_be_changed() {
        let mut file = File::from(sealed("correct-horse-battery").expect("sealed"));
        let mut text = String::new();
        file.read_to_string(&mut text).expect("read");
        assert_eq!(text, "correct-horse-battery");
        file.rewind().expect("rewound");
        assert!(file.write_all(b"x").is_err() && file.set_len(0).is_err());
    }

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{:?}", Secret::new("correct-horse-battery".to_owned())), "Secret");
    }
}
