//! What time it was. Deadlines live on CLOCK_BOOTTIME and need no wall clock; the CSMS's books do. A machine without a
//! battery-backed clock wakes up in the past: until something has set its clock, the CSMS's own time stands in, and
//! events that were written before anybody knew are dated by their age when they are sent. Pure.

use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::{BoottimeMillis, UnixMillis};
use busbar_runtime::Moment;
use std::collections::BTreeMap;

/// No clock of a station is right that shows a moment before this program was written: 2026-11-01T00:00Z. Moved with
/// each release.
pub const BUILD: UnixMillis = UnixMillis(1_793_491_200_000);
/// No station of this version runs for longer than fifteen years: a CSMS that says so is wrong, and a clock that was set
/// so would find every certificate expired.
pub const LATEST: UnixMillis = UnixMillis(BUILD.0 + 15 * 365 * 86_400_000);
/// Two clocks that differ by less are the same: the network's delay, and the slow correction of a clock.
const SAME_MILLIS: u64 = 10_000;
/// Earlier runs of the machine whose clock is remembered.
const BOOTS_KEPT: usize = 16;

/// Wall time, as far as it is known.
#[derive(Debug, Clone, Default)]
pub struct Wall {
    /// This run of the machine.
    boot: String,
    /// The machine says that something keeps its clock right; nothing when it does not say.
    synchronised: Option<bool>,
    /// 1970 to the start of this run of the machine, by the CSMS.
    central: Option<u64>,
    /// The same of earlier runs, by what was believed at their end.
    earlier: BTreeMap<String, u64>,
}

impl Wall {
    /// With this run of the machine, and what was noted of earlier ones.
    pub fn new(boot: String, earlier: BTreeMap<String, u64>) -> Wall {
        let central = earlier.get(&boot).copied();
        Wall { boot, synchronised: None, central, earlier }
    }

    /// The CSMS has told its time. Tells whether the machine's clock is another one, so that it should be asked whether
    /// anything keeps it right.
    pub fn central_time(&mut self, now: Moment, central: UnixMillis) -> bool {
        if !(BUILD..LATEST).contains(&central) {
            tracing::warn!("the CSMS tells a time before this program was built, or long after, which is not taken");
            return false;
        }
        self.central = Some(central.0.saturating_sub(now.boottime.0));
        now.unix.0.abs_diff(central.0) > SAME_MILLIS && self.synchronised != Some(true)
    }

    /// Whether the machine says that something keeps its clock right; nothing when it does not say.
    pub fn synchronised(&mut self, synchronised: Option<bool>) {
        self.synchronised = synchronised;
    }

    /// What is to be remembered about this run of the machine: when it began, as far as that is known by now. Its clock
    /// may have been wrong when its first events were written.
    pub fn worth_remembering(&mut self, now: Moment) -> Option<(String, u64)> {
        let own = now.unix.0.saturating_sub(now.boottime.0);
        let central = self.central.map(|central| if self.believes(now) { own } else { central })?;
        let known = self.earlier.get(&self.boot).is_some_and(|known| known.abs_diff(central) <= SAME_MILLIS);
        if known || self.boot.is_empty() {
            return None;
        }
        while self.earlier.len() >= BOOTS_KEPT {
            self.earlier.pop_first();
        }
        self.earlier.insert(self.boot.clone(), central);
        Some((self.boot.clone(), central))
    }

    /// The time now.
    pub fn now(&self, now: Moment) -> UnixMillis {
        self.at(now, now.boottime, now.unix)
    }

    /// When an event of the journal happened.
    pub fn of_event(&self, now: Moment, event: &TransactionEvent) -> UnixMillis {
        if event.boot == self.boot && !self.boot.is_empty() {
            return self.at(now, event.boottime_millis, event.unix_millis);
        }
        match self.earlier.get(&event.boot) {
            Some(start) => about(UnixMillis(start.saturating_add(event.boottime_millis.0)), event.unix_millis),
            // An earlier run whose clock nobody ever set: no date before the build leaves the station.
            None => event.unix_millis.max(BUILD),
        }
    }

    /// When something happened that the machine's clock dated `unix`, lately.
    pub fn of_date(&self, now: Moment, unix: UnixMillis) -> UnixMillis {
        let age = now.unix.0.saturating_sub(unix.0);
        self.at(now, BoottimeMillis(now.boottime.0.saturating_sub(age)), unix)
    }

    /// When something of this run happened that the machine's clock dated `unix`. A date that is about right stays as
    /// it is: a message that is sent again says the same.
    fn at(&self, now: Moment, boottime: BoottimeMillis, unix: UnixMillis) -> UnixMillis {
        let start = if self.believes(now) {
            now.unix.0.saturating_sub(now.boottime.0)
        } else {
            match self.central {
                Some(start) => start,
                None => return unix.max(BUILD),
            }
        };
        about(UnixMillis(start.saturating_add(boottime.0)), unix)
    }

    fn believes(&self, now: Moment) -> bool {
        let agrees =
            self.central.is_none_or(|start| start.saturating_add(now.boottime.0).abs_diff(now.unix.0) <= SAME_MILLIS);
        now.unix >= BUILD && (self.synchronised != Some(false) || agrees)
    }
}

/// The date as it was written, if it is about right: a message that is sent again says the same.
fn about(by_age: UnixMillis, written: UnixMillis) -> UnixMillis {
    if by_age.0.abs_diff(written.0) <= SAME_MILLIS { written } else { by_age }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::examples::sample;

    const HOUR: u64 = 3_600_000;
    /// A day after the build.
    const TODAY: u64 = BUILD.0 + 24 * HOUR;

    fn moment(boottime: u64, unix: u64) -> Moment {
        Moment { boottime: BoottimeMillis(boottime), unix: UnixMillis(unix) }
    }

    fn event(boot: &str, boottime: u64, unix: u64) -> TransactionEvent {
        TransactionEvent {
            boot: boot.to_owned(),
            boottime_millis: BoottimeMillis(boottime),
            unix_millis: UnixMillis(unix),
            ..sample(1, 1)
        }
    }

    #[test]
    fn case_b29_an_event_from_before_the_clock_was_set_is_dated_by_its_age() {
        let mut wall = Wall::new("this".to_owned(), BTreeMap::new());
        // The machine woke up in 1970; an hour later the CSMS is reached.
        let early = event("this", 60_000, 60_000);
        assert!(wall.central_time(moment(HOUR, HOUR), UnixMillis(TODAY)));
        assert_eq!(wall.of_event(moment(HOUR, HOUR), &early), UnixMillis(TODAY - HOUR + 60_000));
        assert_eq!(wall.now(moment(HOUR + 5, HOUR + 5)), UnixMillis(TODAY + 5));
        // Somebody sets the machine's clock: the same event has the same date.
        wall.synchronised(Some(true));
        assert_eq!(wall.of_event(moment(HOUR + 5, TODAY + 5), &early), UnixMillis(TODAY - HOUR + 60_000));
    }

    #[test]
    fn case_b29_no_date_before_the_build_leaves_the_station() {
        let wall = Wall::new("this".to_owned(), BTreeMap::new());
        assert_eq!(wall.of_event(moment(HOUR, HOUR), &event("this", 60_000, 60_000)), BUILD);
        assert_eq!(wall.of_event(moment(HOUR, TODAY), &event("earlier", 60_000, 60_000)), BUILD);
        assert_eq!(wall.now(moment(HOUR, HOUR)), BUILD);
        let mut wall = wall;
        for wrong in [7, LATEST.0] {
            assert!(!wall.central_time(moment(HOUR, TODAY), UnixMillis(wrong)), "such a CSMS teaches nothing");
        }
        assert_eq!(wall.now(moment(HOUR, TODAY)), UnixMillis(TODAY));
    }

    #[test]
    fn case_c_s18_an_event_of_an_earlier_run_whose_clock_was_wrong_is_dated_by_what_was_remembered() {
        let mut wall = Wall::new("first".to_owned(), BTreeMap::new());
        assert!(wall.worth_remembering(moment(HOUR, HOUR)).is_none(), "nothing is known yet");
        wall.central_time(moment(HOUR, HOUR), UnixMillis(TODAY));
        let (boot, start) = wall.worth_remembering(moment(HOUR, HOUR)).expect("to remember");
        assert!(wall.worth_remembering(moment(HOUR, HOUR)).is_none(), "once");
        let wall = Wall::new("second".to_owned(), BTreeMap::from([(boot, start)]));
        let date = wall.of_event(moment(5, TODAY + HOUR), &event("first", 60_000, 60_000));
        assert_eq!(date, UnixMillis(TODAY - HOUR + 60_000));
    }

    #[test]
    fn case_b29_a_clock_that_was_set_in_the_middle_of_a_run_is_remembered_for_what_was_before() {
        let mut wall = Wall::new("first".to_owned(), BTreeMap::new());
        // The machine came up with the time of its last shutdown: after the build, and a day too early.
        let early = event("first", 60_000, TODAY - 24 * HOUR);
        wall.central_time(moment(HOUR, TODAY - 24 * HOUR + HOUR), UnixMillis(TODAY + HOUR));
        wall.synchronised(Some(true));
        let (boot, start) = wall.worth_remembering(moment(HOUR + 5, TODAY + HOUR + 5)).expect("to remember");
        let wall = Wall::new("second".to_owned(), BTreeMap::from([(boot, start)]));
        assert_eq!(wall.of_event(moment(5, TODAY + 2 * HOUR), &early), UnixMillis(TODAY + 60_000));
        let right = event("first", HOUR, TODAY + HOUR + 20);
        assert_eq!(wall.of_event(moment(5, TODAY + 2 * HOUR), &right), right.unix_millis, "as it was written");
    }

    #[test]
    fn case_20_a_clock_that_is_about_right_changes_no_date() {
        let mut wall = Wall::new("this".to_owned(), BTreeMap::new());
        let now = moment(HOUR, TODAY);
        assert!(!wall.central_time(now, UnixMillis(TODAY + 4_000)));
        assert_eq!(wall.of_event(now, &event("this", HOUR - 500, TODAY - 498)), UnixMillis(TODAY - 498));
        assert_eq!(wall.now(now), now.unix);
    }

    #[test]
    fn case_20_a_clock_that_is_kept_right_is_believed_against_the_csms() {
        let mut wall = Wall::new("this".to_owned(), BTreeMap::new());
        let now = moment(HOUR, TODAY);
        assert!(wall.central_time(now, UnixMillis(TODAY + HOUR)), "the machine has to be asked");
        wall.synchronised(Some(true));
        assert_eq!(wall.now(now), UnixMillis(TODAY));
        assert!(!wall.central_time(now, UnixMillis(TODAY + HOUR)));
        wall.synchronised(Some(false));
        assert_eq!(wall.now(now), UnixMillis(TODAY + HOUR));
        wall.synchronised(None);
        assert_eq!(wall.now(now), UnixMillis(TODAY), "a machine that does not say is believed after the build");
    }

    #[test]
    fn few_runs_are_remembered() {
        let mut earlier = BTreeMap::new();
        for number in 0..40 {
            let mut wall = Wall::new(format!("boot-{number}"), earlier.clone());
            wall.central_time(moment(HOUR, HOUR), UnixMillis(TODAY));
            wall.worth_remembering(moment(HOUR, HOUR));
            earlier = wall.earlier;
        }
        assert_eq!(earlier.len(), BOOTS_KEPT);
    }
}
