//! New ways to the CSMS on trial. A CSMS may change the station's address, identity, password and security profile
//! from afar, and a typing error in one of them would take the station off the net for good. So a new setting has to
//! bring the station to a CSMS that answers, within a time; if it does not, the station returns to the one that
//! worked last. An engineer's own change is not undone: it may be for a CSMS that is yet to come. Pure.

use crate::configuration::Way;
use busbar_interfaces::BoottimeMillis;
use std::time::Duration;

/// The values of settings cannot be changed now; asked again after this time.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Where a trial stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The present way has worked, or there is nothing to return to.
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
    working: Option<Way>,
    present: Option<Way>,
    stage: Stage,
}

impl Trial {
    /// With the time that a new way has, and the one that worked last.
    pub fn new(limit: Duration, working: Option<Way>) -> Trial {
        Trial { limit, working, present: None, stage: Stage::None }
    }

    /// A new way has still to show that it works.
    pub fn is_on(&self) -> bool {
        matches!(self.stage, Stage::Running { .. } | Stage::Returning { .. })
    }

    /// The configuration says to go this way.
    pub fn configured(&mut self, now: BoottimeMillis, way: &Way) {
        if self.present.as_ref() == Some(way) {
            return;
        }
        self.present = Some(way.clone());
        self.stage = match &self.working {
            // A password that no profile uses yet leads to the same place.
            Some(working) if working.target() != way.target() => Stage::Running { until: now.after(self.limit) },
            _ => Stage::None,
        };
        if self.is_on() {
            tracing::info!(limit_seconds = self.limit.as_secs(), "a new way to the CSMS is on trial");
        }
    }

    /// The CSMS has answered on the present way. Tells the way that is to be remembered as the working one, if it is
    /// another one than before.
    pub fn answered(&mut self) -> Option<Way> {
        let present = self.present.as_ref()?;
        if self.working.as_ref() == Some(present) {
            return None;
        }
        if self.is_on() {
            tracing::info!("the new way to the CSMS works");
        }
        self.stage = Stage::None;
        self.working = Some(present.clone());
        self.working.clone()
    }

    /// The way to return to now, if the present one has failed: `settings` is to be asked. With whether its password is
    /// another one than the present.
    pub fn return_to(&mut self, now: BoottimeMillis) -> Option<(Way, bool)> {
        let due = match self.stage {
            Stage::Running { until } => until <= now,
            Stage::Returning { asked, again } => !asked && again <= now,
            Stage::None | Stage::Waived => false,
        };
        if !due {
            return None;
        }
        let working = self.working.clone()?;
        tracing::warn!("the new way to the CSMS did not bring the station there; it returns to the one that worked");
        self.stage = Stage::Returning { asked: true, again: now };
        let with_key = self.present.as_ref().is_none_or(|present| present.key != working.key);
        Some((working, with_key))
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

    fn at(seconds: u64) -> BoottimeMillis {
        BoottimeMillis(seconds * 1000)
    }

    fn on_trial() -> Trial {
        let mut trial = Trial::new(LIMIT, Some(way("ws://old/")));
        trial.configured(at(0), &way("ws://old/"));
        assert!(!trial.is_on());
        trial.configured(at(10), &way("ws://new/"));
        assert!(trial.is_on());
        trial
    }

    #[test]
    fn the_first_way_of_a_station_is_not_on_trial_and_is_remembered_when_it_works() {
        let mut trial = Trial::new(LIMIT, None);
        trial.configured(at(0), &way("ws://a/"));
        assert!(!trial.is_on());
        assert_eq!(trial.return_to(at(1000)), None);
        assert_eq!(trial.answered(), Some(way("ws://a/")));
        assert_eq!(trial.answered(), None, "once");
    }

    #[test]
    fn case_32_a_way_that_does_not_work_is_left_for_the_one_that_did() {
        let mut trial = on_trial();
        assert_eq!(trial.return_to(at(129)), None);
        assert_eq!(trial.next_due(), Some(at(130)));
        assert_eq!(trial.return_to(at(130)), Some((way("ws://old/"), false)));
        assert_eq!(trial.return_to(at(131)), None, "asked once");
        trial.returned(at(131), Return::Failed);
        assert_eq!(trial.return_to(at(132)), Some((way("ws://old/"), false)), "settings was away");
        trial.returned(at(132), Return::Back);
        trial.configured(at(132), &way("ws://old/"));
        assert!(!trial.is_on());
        assert_eq!(trial.next_due(), None);
    }

    #[test]
    fn case_32_a_way_that_works_is_the_one_to_return_to_from_then_on() {
        let mut trial = on_trial();
        assert_eq!(trial.answered(), Some(way("ws://new/")));
        assert!(!trial.is_on());
        trial.configured(at(20), &way("ws://third/"));
        assert_eq!(trial.return_to(at(140)), Some((way("ws://new/"), false)));
    }

    #[test]
    fn the_same_configuration_again_does_not_begin_the_trial_anew() {
        let mut trial = on_trial();
        trial.configured(at(100), &way("ws://new/"));
        assert!(trial.return_to(at(130)).is_some());
    }

    #[test]
    fn case_32_a_password_that_no_profile_uses_yet_is_not_on_trial_and_is_remembered() {
        let mut trial = Trial::new(LIMIT, Some(way("ws://old/")));
        let with_key = Way { key: Some("0123456789abcdef".into()), ..way("ws://old/") };
        trial.configured(at(10), &with_key);
        assert!(!trial.is_on());
        assert_eq!(trial.answered(), Some(with_key.clone()));
        trial.configured(at(30), &Way { url: "ws://new/".to_owned(), key: None, ..with_key.clone() });
        assert_eq!(trial.return_to(at(150)), Some((with_key, true)));
    }

    #[test]
    fn an_engineers_way_stays() {
        let mut trial = on_trial();
        assert!(trial.return_to(at(130)).is_some());
        trial.returned(at(130), Return::Waived);
        assert!(!trial.is_on());
        assert_eq!(trial.return_to(at(9000)), None);
        assert_eq!(trial.answered(), Some(way("ws://new/")));
    }
}
