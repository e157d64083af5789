//! Seeded mischief: what a central system on a bad day does with a request instead of simply answering it. Pure; the
//! same seed and the same requests give the same tricks.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::answers::{Deed, Response};
use crate::frame::{error_text, result_text};

/// Texts that are no message, or none that a station asked for.
const GARBAGE: [&str; 8] = [
    "",
    "{[",
    "null",
    "[]",
    "[3]",
    "[3,null,{}]",
    "[9,\"x\",{}]",
    "{\"status\":\"Accepted\",\"note\":\"\u{0}\u{fffd}\"}",
];

/// How a central system misbehaves. A request that a test has put an answer for is spared, so is any answer of the
/// central system's own calls.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "snake_case")]
pub struct Chaos {
    /// Decides everything; a test prints it when it fails.
    pub seed: u64,
    /// How likely each trick is.
    pub odds: Odds,
    /// The longest a late answer is held back, in milliseconds.
    pub latest_millis: u64,
    /// Requests that are always answered in good order, such as `BootNotification`.
    pub spared: Vec<String>,
}

impl Default for Chaos {
    fn default() -> Self {
        Self { seed: 0, odds: Odds::even(0.4), latest_millis: 500, spared: Vec::new() }
    }
}

/// The probability of each trick, from 0 to 1; what is left to 1 is the ordinary answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "snake_case")]
pub struct Odds {
    /// See [`Trick::Late`].
    pub late: f64,
    /// See [`Trick::Never`].
    pub never: f64,
    /// See [`Trick::Twice`].
    pub twice: f64,
    /// See [`Trick::Error`].
    pub error: f64,
    /// See [`Trick::CutBefore`].
    pub cut_before: f64,
    /// See [`Trick::CutAfter`].
    pub cut_after: f64,
    /// See [`Trick::UnknownId`].
    pub unknown_id: f64,
    /// See [`Trick::Garbage`].
    pub garbage: f64,
}

/// What is done with a request. Whatever it is, the request has been taken into account: a StartTransaction has its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trick {
    /// The ordinary answer, at once.
    None,
    /// The ordinary answer, some time later.
    Late,
    /// No answer.
    Never,
    /// The ordinary answer two times.
    Twice,
    /// CALLERROR InternalError.
    Error,
    /// The link is reset without an answer.
    CutBefore,
    /// The ordinary answer, and the link is reset in the same moment.
    CutAfter,
    /// A false answer to a request that nobody made, then the ordinary one.
    UnknownId,
    /// A text that is no message, then the ordinary answer.
    Garbage,
}

impl Odds {
    /// All tricks equally likely, together with this probability.
    #[must_use]
    pub fn even(together: f64) -> Self {
        let each = together / 8.0;
        Self {
            late: each,
            never: each,
            twice: each,
            error: each,
            cut_before: each,
            cut_after: each,
            unknown_id: each,
            garbage: each,
        }
    }

    /// The trick that lies at `point` when the tricks are laid out one after another between 0 and 1.
    fn at(&self, point: f64) -> Trick {
        let laid_out = [
            (self.late, Trick::Late),
            (self.never, Trick::Never),
            (self.twice, Trick::Twice),
            (self.error, Trick::Error),
            (self.cut_before, Trick::CutBefore),
            (self.cut_after, Trick::CutAfter),
            (self.unknown_id, Trick::UnknownId),
            (self.garbage, Trick::Garbage),
        ];
        let mut end = 0.0;
        let found = laid_out.into_iter().find(|(odds, _)| {
            end += odds;
            point < end
        });
        found.map_or(Trick::None, |(_, trick)| trick)
    }
}

/// A [`Chaos`] at work.
#[derive(Debug)]
pub(crate) struct Imp {
    chaos: Chaos,
    dice: Rng,
    played: BTreeMap<Trick, u64>,
}

impl Imp {
    pub(crate) fn new(chaos: Chaos) -> Self {
        let dice = Rng::with_seed(chaos.seed);
        Self { chaos, dice, played: BTreeMap::new() }
    }

    /// How often each trick was played.
    pub(crate) fn played(&self) -> &BTreeMap<Trick, u64> {
        &self.played
    }

    /// What becomes of a request whose ordinary answer is this text.
    pub(crate) fn play(&mut self, id: &str, action: &str, ordinary: String) -> Response {
        let spared = self.chaos.spared.iter().any(|spared| spared == action);
        let trick = if spared { Trick::None } else { self.chaos.odds.at(self.dice.f64()) };
        let count = self.played.entry(trick).or_default();
        *count = count.saturating_add(1);
        let mut delay = Duration::ZERO;
        let deed = match trick {
            Trick::None => Deed::send(ordinary),
            Trick::Late => {
                delay = Duration::from_millis(self.dice.u64(0..=self.chaos.latest_millis));
                Deed { doubtful: true, ..Deed::send(ordinary) }
            }
            Trick::Never => Deed::default(),
            Trick::Twice => Deed { texts: vec![ordinary.clone(), ordinary], ..Deed::default() },
            Trick::Error => Deed::send(error_text(id, "InternalError", "a bad day")),
            Trick::CutBefore => Deed::cut(),
            Trick::CutAfter => Deed { texts: vec![ordinary], cut: true, doubtful: true },
            Trick::UnknownId => Deed { texts: vec![self.false_answer(), ordinary], ..Deed::default() },
            Trick::Garbage => {
                let garbage = self.dice.choice(GARBAGE).unwrap_or_default();
                Deed { texts: vec![garbage.to_owned(), ordinary], ..Deed::default() }
            }
        };
        Response { delay, deed }
    }

    /// An answer to nobody's request; a station that takes it for its own shows it in what it does next.
    fn false_answer(&mut self) -> String {
        let id = format!("nobody-{:08x}", self.dice.u32(..));
        let payload = json!({
            "status": "Rejected",
            "currentTime": "2001-01-01T00:00:00.000Z",
            "interval": 86_400,
            "transactionId": 999_999_999,
            "idTagInfo": {"status": "Invalid"},
        });
        result_text(&id, &payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Message;

    const ORDINARY: &str = r#"[3,"m",{}]"#;

    fn only(odds: Odds) -> Response {
        let mut imp = Imp::new(Chaos { odds, seed: 7, ..Chaos::default() });
        imp.play("m", "Heartbeat", ORDINARY.into())
    }

    #[test]
    fn each_trick_does_what_it_says() {
        let none = Odds::default();
        assert_eq!(only(none).deed, Deed::send(ORDINARY.into()));
        let late = only(Odds { late: 1.0, ..none });
        assert!(late.delay <= Duration::from_millis(500) && late.deed.texts == [ORDINARY] && late.deed.doubtful);
        assert_eq!(only(Odds { never: 1.0, ..none }).deed, Deed::default());
        assert_eq!(only(Odds { twice: 1.0, ..none }).deed.texts, [ORDINARY, ORDINARY]);
        let error = only(Odds { error: 1.0, ..none }).deed;
        let [text] = error.texts.as_slice() else { panic!("{error:?}") };
        assert!(
            matches!(Message::parse(text), Message::Error { id, code, .. } if id == "m" && code == "InternalError")
        );
        assert_eq!(only(Odds { cut_before: 1.0, ..none }).deed, Deed::cut());
        let after = only(Odds { cut_after: 1.0, ..none }).deed;
        assert!(after.cut && after.doubtful && after.texts == [ORDINARY]);
        let unknown = only(Odds { unknown_id: 1.0, ..none }).deed;
        let [stray, ordinary] = unknown.texts.as_slice() else { panic!("{unknown:?}") };
        assert!(matches!(Message::parse(stray), Message::Result { id, .. } if id != "m") && ordinary == ORDINARY);
    }

    #[test]
    fn garbage_is_never_a_message() {
        for text in GARBAGE {
            assert!(matches!(Message::parse(text), Message::Malformed { .. }), "{text}");
        }
        assert_eq!(only(Odds { garbage: 1.0, ..Odds::default() }).deed.texts.len(), 2);
    }

    #[test]
    fn the_seed_decides_and_the_odds_are_kept() {
        let run = |seed| {
            let mut imp = Imp::new(Chaos { seed, ..Chaos::default() });
            let deeds: Vec<Response> = (0..8000).map(|_| imp.play("m", "Heartbeat", ORDINARY.into())).collect();
            (deeds, imp.played().clone())
        };
        let (deeds, played) = run(1);
        assert_eq!(deeds, run(1).0);
        assert_ne!(deeds, run(2).0);
        assert_eq!(played.len(), 9, "{played:?}");
        for (trick, count) in played {
            let expected = if trick == Trick::None { 4800 } else { 400 };
            assert!((expected * 3 / 4..expected * 5 / 4).contains(&count), "{trick:?} {count}");
        }
    }

    #[test]
    fn a_spared_request_is_answered() {
        let chaos = Chaos {
            odds: Odds { never: 1.0, ..Odds::default() },
            spared: vec!["BootNotification".into()],
            ..Chaos::default()
        };
        let mut imp = Imp::new(chaos);
        assert_eq!(imp.play("m", "BootNotification", ORDINARY.into()).deed, Deed::send(ORDINARY.into()));
        assert_eq!(imp.play("m", "Heartbeat", ORDINARY.into()).deed, Deed::default());
    }
}
