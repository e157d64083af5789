//! What the station writes: every text is cut to OCPP's limit, every number fits in 32 bits, every time is RFC 3339.

use crate::{Hidden, Word, moment};
use serde_json::{Map, Value};

/// A payload being written.
#[derive(Default)]
pub(crate) struct Payload(Map<String, Value>);

impl Payload {
    pub(crate) fn value(mut self, name: &str, value: impl Into<Value>) -> Payload {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// A text, cut to so many characters.
    pub(crate) fn text(self, name: &str, text: &str, most: usize) -> Payload {
        self.value(name, cut(text, most))
    }

    /// A text, cut to so many characters; an empty one is left out.
    pub(crate) fn optional_text(self, name: &str, text: Option<&str>, most: usize) -> Payload {
        match text {
            None | Some("") => self,
            Some(text) => self.text(name, text, most),
        }
    }

    pub(crate) fn badge(self, name: &str, badge: &Hidden) -> Payload {
        self.text(name, badge.as_str(), crate::fields::MOST_BADGE_CHARACTERS)
    }

    pub(crate) fn optional_badge(self, name: &str, badge: Option<&Hidden>) -> Payload {
        self.optional_text(name, badge.map(Hidden::as_str), crate::fields::MOST_BADGE_CHARACTERS)
    }

    pub(crate) fn word(self, name: &str, word: impl Word) -> Payload {
        self.value(name, word.as_str())
    }

    pub(crate) fn optional_word(self, name: &str, word: Option<impl Word>) -> Payload {
        match word {
            None => self,
            Some(word) => self.word(name, word),
        }
    }

    /// A whole number; one beyond OCPP's 32 bits is the largest of them.
    pub(crate) fn count(self, name: &str, number: impl TryInto<i32>) -> Payload {
        self.value(name, number.try_into().unwrap_or(i32::MAX))
    }

    pub(crate) fn optional_count(self, name: &str, number: Option<impl TryInto<i32>>) -> Payload {
        match number {
            None => self,
            Some(number) => self.count(name, number),
        }
    }

    pub(crate) fn moment(self, name: &str, unix_millis: u64) -> Payload {
        self.value(name, moment::write(unix_millis))
    }

    pub(crate) fn optional_moment(self, name: &str, unix_millis: Option<u64>) -> Payload {
        match unix_millis {
            None => self,
            Some(unix_millis) => self.moment(name, unix_millis),
        }
    }
}

impl From<Payload> for Value {
    fn from(payload: Payload) -> Value {
        Value::Object(payload.0)
    }
}

/// The first so many characters of a text.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    match text.char_indices().nth(most) {
        None => text,
        Some((end, _)) => text.get(..end).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_36_a_text_is_cut_between_characters() {
        assert_eq!(cut("Straße", 5), "Straß");
        assert_eq!(cut("Straße", 6), "Straße");
        assert_eq!(cut("🔌🔌", 1), "🔌");
        assert_eq!(cut("", 0), "");
    }

    #[test]
    fn case_36_a_number_that_is_too_large_is_the_largest() {
        let written = Payload::default().count("a", u64::MAX).count("b", 7u32).optional_count("c", None::<u32>);
        assert_eq!(Value::from(written), serde_json::json!({"a": 2_147_483_647, "b": 7}));
    }
}
