//! The password that a station may bring from its factory: the file `AuthorizationKey` among the credentials that the
//! service manager hands over (LoadCredential= in the unit), because a station file must hold no secret.

use crate::keys::{AUTHORIZATION_KEY, Key};
use crate::secret::Secret;
use busbar_runtime::{Exit, durable};
use std::path::{Path, PathBuf};

/// Reads the first value of `AuthorizationKey`, if the service manager hands one over.
///
/// # Errors
/// [`Exit::Settings`] when it cannot be read or is no value of the key; the text does not repeat it.
pub fn read() -> Result<Option<Secret>, Exit> {
    directory().map_or(Ok(None), |directory| read_in(&directory))
}

#[allow(clippy::disallowed_methods, reason = "the service manager tells the place of credentials in the environment")]
fn directory() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

fn read_in(directory: &Path) -> Result<Option<Secret>, Exit> {
    let file = directory.join(AUTHORIZATION_KEY);
    let fault = |what: String| Exit::Settings(format!("{}: the credential {what}", file.display()));
    let text = durable::read(&file).map_err(|error| fault(format!("cannot be read: {error}")))?;
    // An editor ends a file with a line's end; no password has one.
    let value = text.as_deref().map(|text| text.strip_suffix('\n').unwrap_or(text)).filter(|value| !value.is_empty());
    let key = Key::named(AUTHORIZATION_KEY);
    match value.zip(key).map(|(value, key)| key.accept(value)) {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(Secret::new(value))),
        Some(Err(wanted)) => Err(fault(format!("`{AUTHORIZATION_KEY}` {wanted}; write it anew, or remove it"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: impl AsRef<[u8]>) -> Result<Option<String>, String> {
        let directory = tempfile::tempdir().expect("a directory");
        durable::hand_over(&directory.path().join(AUTHORIZATION_KEY), text.as_ref()).expect("written");
        let read = read_in(directory.path());
        read.map(|secret| secret.map(|secret| secret.reveal().to_owned())).map_err(|exit| exit.to_string())
    }

    #[test]
    fn a_credential_is_checked_like_any_value_and_never_repeated() {
        assert_eq!(read_text("correct-horse-battery"), Ok(Some("correct-horse-battery".to_owned())));
        assert_eq!(read_text("correct-horse-battery\n"), Ok(Some("correct-horse-battery".to_owned())));
        for empty in ["", "\n"] {
            assert_eq!(read_text(empty), Ok(None));
        }
        for bad in ["short", "correct horse battery", "correct-horse-battery\n\n"] {
            let fault = read_text(bad).expect_err("bad");
            assert!(fault.contains("AuthorizationKey") && fault.contains("16 to 40"), "{fault}");
            assert!(!fault.contains("short") && !fault.contains("horse"), "{fault}");
        }
        assert!(read_text(b"\xff\xfe-not-a-text-at-all").is_err());
    }

    #[test]
    fn a_station_without_a_credential_has_none() {
        let directory = tempfile::tempdir().expect("a directory");
        assert_eq!(read_in(directory.path()).expect("fine"), None);
    }
}
