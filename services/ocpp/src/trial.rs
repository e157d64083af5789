//! New ways to the CSMS on trial. A CSMS may change the station's address, identity, password and security profile
//! from afar, and a typing error in one of them would take the station off the net for good. So a new setting has to
//! bring the station to a CSMS that answers, within a time; if it does not, the station returns to the one that
//! worked last. If that one does not answer either (the network was away, or the CSMS knows the new password by now),
//! the two are tried in turn until one does. An engineer's own change is not undone: it may be for a CSMS that is yet to
//! come. Pure.

use crate::configuration::Way;
use busbar_interfaces::BoottimeMillis;
use std::time::Duration;

/// The values of settings cannot be changed now; asked again after this time.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Where a trial stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The present way has worked, or there is no other.
    None,
    /// It has until then.
    Running { until: BoottimeMillis },
    /// `settings` is being asked to return; asked again then, if it did not answer.
    Returning { asked: bool, again: BoottimeMillis },
    /// The new values are an engineer's: they stay.
    Waived,
}

/// The way that worked, and the trial of another.
#[derive(Debug)]
pub struct Trial {
    limit: Duration,
    ways: Ways,
    present: Option<Way>,
    stage: Stage,
}

/// The ways that are remembered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ways {
    /// It has brought the station to a CSMS.
    pub working: Option<Way>,
    /// It was given up for the working one, which has not answered since.
    pub given_up: Option<Way>,
}

impl Trial {
    /// With the time that a new way has, and what is remembered.
    pub fn new(limit: Duration, ways: Ways) -> Trial {
        Trial { limit, ways, present: None, stage: Stage::None }
    }

    /// A new way has still to show that it works.
    pub fn is_on(&self) -> bool {
        matches!(self.stage, Stage::Running { .. } | Stage::Returning { .. })
    }

    /// The way to go if the present one does not answer.
    fn other(&self) -> Option<&Way> {
        let (present, Ways { working, given_up }) = (self.present.as_ref()?, &self.ways);
        if working.as_ref() == Some(present) { given_up.as_ref() } else { working.as_ref() }
    }

    /// The configuration says to go this way. Tells what is to be remembered, if it is something else than before.
    pub fn configured(&mut self, now: BoottimeMillis, way: &Way) -> Option<Ways> {
        if self.present.as_ref() == Some(way) {
            return None;
        }
        self.present = Some(way.clone());
        self.stage = Stage::None;
        // A password that no profile uses yet leads to the same place.
        if self.ways.working.as_ref().is_some_and(|working| working != way && working.target() == way.target()) {
            self.ways.working = Some(way.clone());
            return Some(self.ways.clone());
        }
        if self.other().is_some() {
            tracing::info!(limit_seconds = self.limit.as_secs(), "a way to the CSMS is on trial");
            self.stage = Stage::Running { until: now.after(self.limit) };
        }
        None
    }

    /// The link to the old place still stands: the time of the new way has not begun.
    pub fn not_yet(&mut self, now: BoottimeMillis) {
        if let Stage::Running { until } = &mut self.stage {
            *until = now.after(self.limit);
        }
    }

    /// The link is open. With the address and the identity of the way that worked, its handshake alone shows that a new
    /// password or profile is right.
    pub fn opened(&mut self) -> Option<Ways> {
        let same = |working: &Way| {
            self.present.as_ref().is_some_and(|way| way.url == working.url && way.identity == working.identity)
        };
        if self.ways.working.as_ref().is_some_and(same) { self.answered() } else { None }
    }

    /// The CSMS has answered on the present way. Tells what is to be remembered, if it is something else than before.
    pub fn answered(&mut self) -> Option<Ways> {
        let known = Ways { working: Some(self.present.clone()?), given_up: None };
        // While the other way is being put back, it is too late: half of it is there already.
        if known == self.ways || matches!(self.stage, Stage::Returning { asked: true, .. }) {
            return None;
        }
        if self.is_on() {
            tracing::info!("the way to the CSMS works");
        }
        self.stage = Stage::None;
        self.ways = known;
        Some(self.ways.clone())
    }

    /// What to do now, if the present way has failed.
    pub fn give_up(&mut self, now: BoottimeMillis) -> Option<GivenUp> {
        let due = match self.stage {
            Stage::Running { until } => until <= now,
            Stage::Returning { asked, again } => !asked && again <= now,
            Stage::None | Stage::Waived => false,
        };
        if !due {
            return None;
        }
        let other = self.other().cloned()?;
        tracing::warn!("this way did not bring the station to the CSMS in time; it takes the other one again");
        self.stage = Stage::Returning { asked: true, again: now };
        let present = self.present.clone()?;
        let with_key = present.key != other.key;
        if self.ways.working.as_ref() == Some(&other) && self.ways.given_up.is_none() {
            // Remembered first: the values come back one after another, and a mixture of both is no way to come back to.
            self.ways.given_up = Some(present);
        }
        Some(GivenUp { ways: self.ways.clone(), to: other, with_key })
    }

    /// `settings` has answered: the values are back (and will be followed), they are an engineer's and stay, or nothing
    /// could be done.
    pub fn returned(&mut self, now: BoottimeMillis, answer: Return) {
        if let Stage::Returning { .. } = self.stage {
            self.stage = match answer {
                Return::Back => Stage::Returning { asked: false, again: now.after(self.limit) },
                Return::Waived => Stage::Waived,
                Return::Failed => Stage::Returning { asked: false, again: now.after(ASK_AGAIN) },
            };
        }
    }

    /// When something of this is due.
    pub fn next_due(&self) -> Option<BoottimeMillis> {
        match self.stage {
            Stage::Running { until } => Some(until),
            Stage::Returning { asked: false, again } => Some(again),
            Stage::Returning { .. } | Stage::None | Stage::Waived => None,
        }
    }
}

/// The present way has failed: `settings` is to be asked for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// To be remembered, before that.
    pub ways: Ways,
    /// The way to take.
    pub to: Way,
    /// Its password is another one than the present.
    pub with_key: bool,
}

/// What came of asking `settings` to return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Return {
    Back,
    Waived,
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(120);

    fn way(url: &str) -> Way {
        Way { url: url.to_owned(), identity: "CP1".to_owned(), security_profile: 0, key: None }
    }

    fn with_key(key: &str) -> Way {
        Way { security_profile: 1, key: Some(key.into()), ..way("ws://old/") }
    }

    fn works(way: Way) -> Ways {
        Ways { working: Some(way), given_up: None }
    }

    fn at(seconds: u64) -> BoottimeMillis {
        BoottimeMillis(seconds * 1000)
    }

    fn taken(given_up: Option<GivenUp>) -> Option<Way> {
        given_up.map(|given_up| given_up.to)
    }

    fn on_trial() -> Trial {
        let mut trial = Trial::new(LIMIT, works(way("ws://old/")));
        trial.configured(at(0), &way("ws://old/"));
        assert!(!trial.is_on());
        trial.configured(at(10), &way("ws://new/"));
        assert!(trial.is_on());
        trial
    }

    #[test]
    fn the_first_way_of_a_station_is_not_on_trial_and_is_remembered_when_it_works() {
        let mut trial = Trial::new(LIMIT, Ways::default());
        trial.configured(at(0), &way("ws://a/"));
        assert!(!trial.is_on());
        assert_eq!(trial.give_up(at(1000)), None);
        assert_eq!(trial.answered(), Some(works(way("ws://a/"))));
        assert_eq!(trial.answered(), None, "once");
    }

    #[test]
    fn case_32_a_way_that_does_not_work_is_left_for_the_one_that_did() {
        let mut trial = on_trial();
        assert_eq!(trial.give_up(at(129)), None);
        assert_eq!(trial.next_due(), Some(at(130)));
        assert_eq!(taken(trial.give_up(at(130))), Some(way("ws://old/")));
        assert_eq!(trial.give_up(at(131)), None, "asked once");
        trial.returned(at(131), Return::Failed);
        assert_eq!(taken(trial.give_up(at(136))), Some(way("ws://old/")), "settings was away");
        trial.configured(at(137), &way("ws://old/"));
        trial.returned(at(137), Return::Back);
        assert_eq!(trial.answered(), Some(works(way("ws://old/"))));
        assert!(!trial.is_on());
        assert_eq!(trial.next_due(), None);
    }

    #[test]
    fn case_32_when_the_old_way_is_dead_too_both_are_tried_in_turn() {
        let mut trial = on_trial();
        let given_up = trial.give_up(at(130)).expect("given up");
        let both = Ways { working: Some(way("ws://old/")), given_up: Some(way("ws://new/")) };
        assert_eq!(given_up.ways, both);
        // The process ends here: it goes on with what is remembered.
        let mut trial = Trial::new(LIMIT, both);
        trial.configured(at(140), &way("ws://old/"));
        assert_eq!(taken(trial.give_up(at(260))), Some(way("ws://new/")));
        trial.configured(at(260), &way("ws://new/"));
        trial.returned(at(260), Return::Back);
        assert_eq!(taken(trial.give_up(at(380))), Some(way("ws://old/")));
        trial.configured(at(380), &way("ws://old/"));
        assert_eq!(taken(trial.give_up(at(500))), Some(way("ws://new/")));
        trial.configured(at(500), &way("ws://new/"));
        assert_eq!(trial.answered(), Some(works(way("ws://new/"))));
        assert!(!trial.is_on());
    }

    #[test]
    fn case_32_an_answer_that_comes_while_the_way_is_put_back_is_too_late() {
        let mut trial = on_trial();
        assert!(trial.give_up(at(130)).is_some());
        assert_eq!(trial.answered(), None);
        trial.returned(at(131), Return::Failed);
        assert_eq!(trial.answered(), Some(works(way("ws://new/"))), "nothing was put back");
    }

    #[test]
    fn case_32_a_way_that_works_is_the_one_to_return_to_from_then_on() {
        let mut trial = on_trial();
        assert_eq!(trial.answered(), Some(works(way("ws://new/"))));
        assert!(!trial.is_on());
        trial.configured(at(20), &way("ws://third/"));
        assert_eq!(taken(trial.give_up(at(140))), Some(way("ws://new/")));
    }

    #[test]
    fn the_same_configuration_again_does_not_begin_the_trial_anew() {
        let mut trial = on_trial();
        trial.configured(at(100), &way("ws://new/"));
        assert!(trial.give_up(at(130)).is_some());
    }

    #[test]
    fn tc_073_the_handshake_shows_that_a_new_password_is_right_and_not_that_a_new_address_is() {
        let mut trial = Trial::new(LIMIT, works(with_key("0123456789abcdef")));
        trial.configured(at(0), &with_key("fedcba9876543210"));
        assert!(trial.is_on());
        assert_eq!(trial.opened(), Some(works(with_key("fedcba9876543210"))));
        assert!(!trial.is_on());
        let mut trial = on_trial();
        assert_eq!(trial.opened(), None);
        assert!(trial.is_on());
    }

    #[test]
    fn case_32_a_password_that_no_profile_uses_yet_is_not_on_trial_and_is_remembered() {
        let mut trial = Trial::new(LIMIT, works(way("ws://old/")));
        let with_key = Way { key: Some("0123456789abcdef".into()), ..way("ws://old/") };
        assert_eq!(trial.configured(at(10), &with_key), Some(works(with_key.clone())));
        assert!(!trial.is_on());
        trial.configured(at(30), &Way { url: "ws://new/".to_owned(), key: None, ..with_key.clone() });
        let given_up = trial.give_up(at(150)).expect("given up");
        assert_eq!((given_up.to, given_up.with_key), (with_key, true));
    }

    #[test]
    fn an_engineers_way_stays() {
        let mut trial = on_trial();
        assert!(trial.give_up(at(130)).is_some());
        trial.returned(at(130), Return::Waived);
        assert!(!trial.is_on());
        assert_eq!(trial.give_up(at(9000)), None);
        assert_eq!(trial.answered(), Some(works(way("ws://new/"))));
    }
}
