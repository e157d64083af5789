//! The output contactors of one connector and the resistor that empties its cable: what is wanted of the coils, and
//! whether the mirror contact of each pole follows. Pure. The caller decides when they may move.

use crate::io::{Board, Output};
use crate::wear::Wear;
use busbar_interfaces::BoottimeMillis;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const POLES: [(Output, &str); 2] = [(Output::PositiveContactor, "positive"), (Output::NegativeContactor, "negative")];

/// A relay and its coil are as ordered within this time, an order that got lost and its repeat included.
pub const MIRROR_LIMIT: Duration = Duration::from_millis(600);
/// Once its coil is off a pole is open within this time (hardware notes §6.2, rule 6) ...
const OPENS_WITHIN: Duration = Duration::from_millis(100);
/// ... and closed within this once it is on.
const CLOSES_WITHIN: Duration = Duration::from_millis(500);
/// The mirror contacts are read this often at worst; a mismatch counts when it was seen twice.
const READ_WITHIN: Duration = Duration::from_millis(100);
/// The second pole opens this much later than the first, unless that one has opened before.
const POLE_STEP: Duration = Duration::from_millis(100);

/// A pole that is not as it was ordered.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Pole {
    coil_differs: Option<BoottimeMillis>,
    mirror_differs: Option<BoottimeMillis>,
}

/// The contactors.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Contactors {
    /// What is wanted; nothing while they are as the last process left them.
    wanted: Option<bool>,
    ordered_at: BoottimeMillis,
    /// Both poles open together: it is an emergency, or nobody knows what they carry.
    at_once: bool,
    poles: [Pole; 2],
    fault: Option<String>,
    /// Of both poles, which switch together.
    #[serde(default)]
    wear: Wear,
}

impl Contactors {
    /// What is wanted of them; nothing while they are as they were found.
    pub fn wanted(&self) -> Option<bool> {
        self.wanted
    }

    /// How worn they are.
    pub fn wear(&self) -> Wear {
        self.wear
    }

    /// They were used so much before.
    pub fn add_wear(&mut self, before: Wear) {
        self.wear.add(before);
    }

    /// They open although current may flow.
    pub fn note_forced(&mut self) {
        self.wear.note_forced();
    }

    /// They are new ones.
    pub fn replaced(&mut self) {
        self.wear = Wear::default();
    }

    /// They shall be closed.
    pub fn close(&mut self, now: BoottimeMillis) {
        if self.wanted != Some(true) {
            self.wear.note_closing();
        }
        self.want(now, true);
    }

    /// They shall be open: one pole after the other, so that one that sticks shows which it is, or both at once.
    pub fn open(&mut self, now: BoottimeMillis, at_once: bool) {
        self.want(now, false);
        self.at_once |= at_once;
    }

    fn want(&mut self, now: BoottimeMillis, closed: bool) {
        if self.wanted != Some(closed) {
            let (fault, wear) = (self.fault.take(), self.wear);
            *self = Contactors { wanted: Some(closed), ordered_at: now, fault, wear, ..Contactors::default() };
        }
    }

    /// A coil or a mirror contact that did not follow, or a voltage that should not be.
    pub fn fault(&self) -> Option<&String> {
        self.fault.as_ref()
    }

    /// Something else says that a pole is welded.
    pub fn found_welded(&mut self, detail: String) {
        self.fault.get_or_insert(detail);
    }

    /// Somebody has seen to it.
    pub fn reset(&mut self) {
        (self.fault, self.poles) = (None, Default::default());
    }

    /// The orders that are due: every coil that is not as it is wanted. Closing is ordered only while it `may_close`,
    /// opening also at a board that is not heard, while the connector is in use.
    pub fn orders(
        &self,
        now: BoottimeMillis,
        board: Option<&Board>,
        may_close: bool,
        in_use: bool,
    ) -> Vec<(Output, bool)> {
        let Some(wanted) = self.wanted else { return Vec::new() };
        let differs = |coil| board.map_or(in_use && !wanted, |board| board.output(coil) != wanted);
        let first_is_open = board.is_none_or(|board| !board.mirror(Output::PositiveContactor));
        let second_too = wanted || self.at_once || first_is_open || now.since(self.ordered_at) >= POLE_STEP;
        let due = POLES.into_iter().map(|(coil, _)| coil).filter(|coil| differs(*coil));
        let due = due.filter(|coil| second_too || *coil == Output::PositiveContactor);
        due.filter(|_| !wanted || may_close).map(|coil| (coil, wanted)).collect()
    }

    /// Looks whether coils and mirror contacts are as wanted. Says so when that has become a fault. A fault goes when
    /// all are open, their modules' side is `dead`, and no vehicle is there.
    pub fn watch(&mut self, now: BoottimeMillis, board: Option<&Board>, plugged: bool, dead: bool) -> Option<&String> {
        let Some(board) = board else {
            self.poles = Default::default();
            return None;
        };
        if is_open(board) && !plugged && dead {
            self.fault = None;
        }
        let wanted = self.wanted?;
        let mut found = None;
        for (pole, (coil, name)) in self.poles.iter_mut().zip(POLES) {
            found = pole.watch(now, wanted, board.output(coil), board.mirror(coil), name).or(found);
        }
        if self.fault.is_some() || found.is_none() {
            return None;
        }
        self.fault = found;
        self.fault.as_ref()
    }
}

impl Pole {
    /// What is wrong with it, if that has lasted too long.
    fn watch(&mut self, now: BoottimeMillis, wanted: bool, coil: bool, mirror: bool, name: &str) -> Option<String> {
        // A contact can follow its coil only once that is as ordered.
        let coil_differs = follow(&mut self.coil_differs, now, coil != wanted);
        let mirror_differs = follow(&mut self.mirror_differs, now, coil == wanted && mirror != wanted);
        let follows = if wanted { CLOSES_WITHIN } else { OPENS_WITHIN };
        let word = |closed| if closed { "closed" } else { "open" };
        if coil_differs > MIRROR_LIMIT {
            return Some(format!("{name} output contactor ordered {}, its coil stays as it was", word(wanted)));
        }
        let late = mirror_differs > (follows + READ_WITHIN) * 2;
        late.then(|| {
            format!("{name} output contactor ordered {}, its mirror contact says {}", word(wanted), word(mirror))
        })
    }
}

/// How long something goes on.
pub(super) fn follow(since: &mut Option<BoottimeMillis>, now: BoottimeMillis, goes_on: bool) -> Duration {
    *since = goes_on.then(|| since.unwrap_or(now));
    since.map_or(Duration::ZERO, |since| now.since(since))
}

/// Neither coil is on and neither mirror contact closed.
pub fn is_open(board: &Board) -> bool {
    board.contactors_open() && !board.output(Output::PositiveContactor) && !board.output(Output::NegativeContactor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::Input;

    const POSITIVE: Output = Output::PositiveContactor;
    const NEGATIVE: Output = Output::NegativeContactor;

    fn board(positive: (bool, bool), negative: (bool, bool)) -> Board {
        let mirrors = [(Input::PositiveMirror, positive.1), (Input::NegativeMirror, negative.1)];
        Board::new(mirrors, [(POSITIVE, positive.0), (NEGATIVE, negative.0)])
    }

    const CLOSED: (bool, bool) = (true, true);
    const OPEN: (bool, bool) = (false, false);
    const STUCK: (bool, bool) = (false, true);

    #[test]
    fn rule_6_2_7_one_pole_opens_after_the_other_and_both_at_once_in_an_emergency() {
        let now = BoottimeMillis(1000);
        let mut contactors = Contactors::default();
        contactors.close(now);
        contactors.open(now, false);
        let orders =
            |contactors: &Contactors, at, board| contactors.orders(BoottimeMillis(at), Some(&board), false, true);
        assert_eq!(orders(&contactors, 1000, board(CLOSED, CLOSED)), [(POSITIVE, false)]);
        assert_eq!(orders(&contactors, 1050, board(STUCK, CLOSED)), [], "its contact has not opened yet");
        assert_eq!(orders(&contactors, 1060, board(OPEN, CLOSED)), [(NEGATIVE, false)]);
        assert_eq!(orders(&contactors, 1100, board(STUCK, CLOSED)), [(NEGATIVE, false)], "it need not open");
        contactors.open(now, true);
        assert_eq!(orders(&contactors, 1000, board(CLOSED, CLOSED)), [(POSITIVE, false), (NEGATIVE, false)]);
        assert_eq!(contactors.orders(now, None, false, true).len(), 2, "also unseen");
    }

    #[test]
    fn rule_6_2_6_a_contact_that_does_not_follow_is_named() {
        for (stuck, name) in [(board(STUCK, OPEN), "positive"), (board(OPEN, STUCK), "negative")] {
            let mut contactors = Contactors::default();
            contactors.open(BoottimeMillis(0), false);
            assert_eq!(contactors.watch(BoottimeMillis(0), Some(&stuck), true, true), None);
            assert_eq!(contactors.watch(BoottimeMillis(400), Some(&stuck), true, true), None);
            let fault = contactors.watch(BoottimeMillis(401), Some(&stuck), true, true).expect("noticed");
            assert!(fault.starts_with(name) && fault.ends_with("says closed"), "{fault}");
            contactors.watch(BoottimeMillis(500), Some(&board(OPEN, OPEN)), true, true);
            assert!(contactors.fault().is_some(), "while the vehicle is there");
            contactors.watch(BoottimeMillis(600), Some(&board(OPEN, OPEN)), false, false);
            assert!(contactors.fault().is_some(), "while there is voltage");
            contactors.watch(BoottimeMillis(700), Some(&board(OPEN, OPEN)), false, true);
            assert_eq!(contactors.fault(), None);
        }
    }

    #[test]
    fn closing_has_more_time_than_opening() {
        let mut contactors = Contactors::default();
        contactors.close(BoottimeMillis(0));
        let slow = board((true, false), CLOSED);
        contactors.watch(BoottimeMillis(0), Some(&slow), true, true);
        assert_eq!(contactors.watch(BoottimeMillis(1200), Some(&slow), true, true), None);
        assert!(contactors.watch(BoottimeMillis(1201), Some(&slow), true, true).is_some());
    }
}
