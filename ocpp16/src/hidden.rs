//! A text that must not reach a log: badges, configuration values that may be passwords, addresses that may carry
//! one, certificates.

use std::fmt;

/// A text whose `Debug` does not show it, and which has no `Display`.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Hidden(String);

impl Hidden {
    /// The text itself; do not log it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text itself; do not log it.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl From<&str> for Hidden {
    fn from(text: &str) -> Hidden {
        Hidden(text.to_owned())
    }
}

impl From<String> for Hidden {
    fn from(text: String) -> Hidden {
        Hidden(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_text_is_not_shown() {
        let badge = Hidden::from("BADGE");
        assert_eq!(format!("{badge:?} {:?}", Some(&badge)), "(hidden) Some((hidden))");
        assert_eq!(badge.as_str(), "BADGE");
        assert_eq!(badge.into_string(), "BADGE");
    }
}
