//! What the CSMS says of badges when it answers a start or a stop, on its way to `session`: one word at a time, beside
//! everything else. A word that is lost costs nothing but a question to the CSMS, so nothing waits for it and nothing is
//! kept of it: a few wait for each other, and none for `session` to come back. Pure.

use busbar_ocpp16::Hidden;
use busbar_ocpp16::confirmation::IdTagInfo;
use std::collections::VecDeque;

/// Words that may wait: of a long backlog the newest count.
const MOST_WAITING: usize = 32;

/// The CSMS's word on a badge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned {
    /// The badge.
    pub id_tag: Hidden,
    /// What is said of it.
    pub info: IdTagInfo,
}

/// The words on their way.
#[derive(Default)]
pub struct Learning {
    waiting: VecDeque<Learned>,
    session_present: bool,
    telling: bool,
}

impl Learning {
    /// `session` is there, or not.
    pub fn session(&mut self, present: bool) {
        self.session_present = present;
        if !present && !self.waiting.is_empty() {
            tracing::debug!(words = self.waiting.len(), "what the CSMS said of badges is lost: session is away");
            self.waiting.clear();
        }
    }

    /// The CSMS has said something.
    pub fn add(&mut self, learned: Learned) {
        if !self.session_present {
            tracing::debug!("what the CSMS said of a badge is lost: session is away");
            return;
        }
        if self.waiting.len() >= MOST_WAITING {
            tracing::debug!("what the CSMS said of a badge is lost: too much waits for session");
            self.waiting.pop_front();
        }
        self.waiting.push_back(learned);
    }

    /// The word to tell now, if there is one and no other is being told.
    pub fn next(&mut self) -> Option<Learned> {
        if self.telling {
            return None;
        }
        let next = self.waiting.pop_front();
        self.telling = next.is_some();
        next
    }

    /// The last one is told, or lost.
    pub fn told(&mut self) {
        self.telling = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use busbar_ocpp16::confirmation::AuthorizationStatus;

    fn word(id_tag: &str) -> Learned {
        let info = IdTagInfo { status: AuthorizationStatus::Accepted, parent_id_tag: None, expiry_unix_millis: None };
        Learned { id_tag: id_tag.into(), info }
    }

    #[test]
    fn one_word_at_a_time_and_of_too_many_the_newest() {
        let mut learning = Learning::default();
        learning.session(true);
        learning.add(word("FIRST"));
        assert_eq!(learning.next(), Some(word("FIRST")));
        (0..100).for_each(|number| learning.add(word(&number.to_string())));
        assert_eq!(learning.next(), None, "the first is being told");
        for number in 68..100 {
            learning.told();
            assert_eq!(learning.next(), Some(word(&number.to_string())));
        }
        learning.told();
        assert_eq!(learning.next(), None);
    }

    #[test]
    fn nothing_waits_for_a_session_that_is_away() {
        let mut learning = Learning::default();
        learning.add(word("A"));
        learning.session(true);
        assert_eq!(learning.next(), None, "it came before session was there");
        learning.add(word("B"));
        learning.add(word("C"));
        assert_eq!(learning.next(), Some(word("B")));
        learning.session(false);
        learning.told();
        learning.session(true);
        assert_eq!(learning.next(), None, "session went away meanwhile");
    }
}
