//! Who has to show which password, by HTTP Basic. Pure.

use std::collections::HashMap;
use std::fmt;

use data_encoding::BASE64;
use serde::Deserialize;

/// A password as bytes: an AuthorizationKey decoded from hexadecimal need not be text.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Password(Vec<u8>);

impl fmt::Debug for Password {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Password")
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl From<Vec<u8>> for Password {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

/// Who has to show a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passwords {
    /// Everybody the same.
    ForAll(Password),
    /// Each identity its own; others are turned away.
    Each(HashMap<String, Password>),
}

/// The passwords that hold at the moment.
#[derive(Debug, Default)]
pub(crate) struct Doorkeeper {
    passwords: Option<Passwords>,
    /// What was said about an identity at run time; `None` where it needs no password.
    exceptions: HashMap<String, Option<Password>>,
}

impl Doorkeeper {
    pub(crate) fn new(passwords: Option<Passwords>) -> Self {
        Self { passwords, exceptions: HashMap::new() }
    }

    pub(crate) fn set(&mut self, identity: &str, password: Option<Password>) {
        self.exceptions.insert(identity.to_owned(), password);
    }

    /// Whether a request with this `Authorization` header may come in as `identity`.
    pub(crate) fn admits(&self, identity: &str, authorization: Option<&str>) -> bool {
        let wanted = match (self.exceptions.get(identity), &self.passwords) {
            (Some(None), _) | (None, None) => return true,
            (Some(Some(password)), _) | (None, Some(Passwords::ForAll(password))) => password,
            (None, Some(Passwords::Each(each))) => match each.get(identity) {
                Some(password) => password,
                None => return false,
            },
        };
        let shown = authorization.and_then(|header| header.split_once(' '));
        let Some((_, shown)) = shown.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Basic")) else { return false };
        let expected = [identity.as_bytes(), b":", &wanted.0].concat();
        BASE64.decode(shown.trim().as_bytes()).is_ok_and(|shown| shown == expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(credentials: &[u8]) -> String {
        format!("Basic {}", BASE64.encode(credentials))
    }

    #[test]
    fn without_passwords_everybody_is_let_in() {
        let open = Doorkeeper::default();
        assert!(open.admits("CP1", None) && open.admits("CP1", Some("Basic nonsense")));
    }

    #[test]
    fn the_name_must_be_the_identity_and_the_password_the_one_set() {
        let door = Doorkeeper::new(Some(Passwords::ForAll("secret".into())));
        assert!(door.admits("CP1", Some(&basic(b"CP1:secret"))));
        assert!(door.admits("CP1", Some(&basic(b"CP1:secret").replace("Basic", "basic"))));
        for wrong in [&b"CP2:secret"[..], b"CP1:Secret", b"CP1:", b"secret", b""] {
            assert!(!door.admits("CP1", Some(&basic(wrong))), "{wrong:?}");
        }
        for wrong in [None, Some(""), Some("Basic"), Some("Basic CP1:secret"), Some("Bearer Q1AxOnNlY3JldA==")] {
            assert!(!door.admits("CP1", wrong), "{wrong:?}");
        }
    }

    #[test]
    fn passwords_of_one_and_changes_at_run_time() {
        let each = HashMap::from([("CP1".to_owned(), Password::from("one"))]);
        let mut door = Doorkeeper::new(Some(Passwords::Each(each)));
        assert!(door.admits("CP1", Some(&basic(b"CP1:one"))));
        assert!(!door.admits("CP2", Some(&basic(b"CP2:one"))));
        door.set("CP1", Some(vec![0xff, 0, 0x3a].into()));
        assert!(!door.admits("CP1", Some(&basic(b"CP1:one"))));
        assert!(door.admits("CP1", Some(&basic(b"CP1:\xff\x00:"))));
        door.set("CP2", None);
        assert!(door.admits("CP2", None));
    }

    #[test]
    fn a_password_is_not_shown() {
        assert!(!format!("{:?}", Passwords::ForAll("secret".into())).contains("secret"));
    }
}
