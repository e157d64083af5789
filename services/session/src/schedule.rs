//! When the meter is read for a sample while a transaction runs. There are two schedules; when they fall together, one
//! reading serves both. Pure.
//!
//! **Periodic** (MeterValueSampleInterval, offline disconnectedMeterValueSampleInterval): a grid from the begin of the
//! transaction, on the clock that is never set. A slot that passed while the meter or this process was away is taken
//! once, late.
//!
//! **Clock** (ClockAlignedDataInterval): a grid on the wall clock that begins anew at each midnight UTC (OCPP 1.6,
//! 9.1.5). A sample belongs to a moment of the clock, so a slot is taken within [`LATE`] or is missed; none is invented
//! for it.
//!
//! The wall clock may be set meanwhile. Forward: the slots that were jumped over are missed. Back by less than an
//! interval: the slot that was taken last comes by again and is not taken again. Back by more: the clock was wrong, and
//! its grid is followed from where it stands now, so that the next sample is never further away than one interval.

use busbar_interfaces::words::ReadingContext;
use busbar_interfaces::{BoottimeMillis, UnixMillis};
use busbar_runtime::Moment;
use busbar_runtime::clock::next_on_the_clock;
use std::time::Duration;

/// So late, and at most by half an interval, a reading still stands for its slot on the clock. The clock is looked at
/// as often, so that a slot is not slept through when somebody sets it.
const LATE: Duration = Duration::from_secs(10);
/// A meter that did not answer is asked again after this time.
const RETRY: Duration = Duration::from_millis(200);
const DAY_MILLIS: u64 = 24 * 60 * 60 * 1000;

/// What the schedules go by: it is in the journal, so that a restart of this process changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks {
    /// When the transaction began.
    pub started: BoottimeMillis,
    /// When the last periodic sample was taken; the begin before the first.
    pub periodic: BoottimeMillis,
    /// When the last sample of the clock was taken; the begin before the first.
    pub clock: UnixMillis,
}

/// How far apart samples are; zero is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Intervals {
    /// In the transaction.
    pub periodic: Duration,
    /// On the clock.
    pub clock: Duration,
}

/// What a reading is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Due {
    periodic: bool,
    /// The slot on the clock, and how late it may be taken.
    clock: Option<(u64, u64)>,
}

/// Both schedules of one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    marks: Marks,
    /// The meter is being read, for this.
    reading: Option<Due>,
    /// After a reading that failed.
    not_before: BoottimeMillis,
    wake: Option<BoottimeMillis>,
}

impl Schedule {
    /// The schedules of a transaction that begins now.
    pub fn begin(now: Moment) -> Schedule {
        Schedule::resume(Marks { started: now.boottime, periodic: now.boottime, clock: now.unix })
    }

    /// The schedules as the journal left them.
    pub fn resume(marks: Marks) -> Schedule {
        Schedule { marks, reading: None, not_before: BoottimeMillis(0), wake: None }
    }

    /// Whether the meter is to be read now for a sample.
    pub fn advance(&mut self, now: Moment, intervals: Intervals) -> bool {
        if self.reading.is_some() {
            return false;
        }
        let periodic_at = self.periodic_at(intervals.periodic);
        let (clock, clock_at) = self.clock(now, intervals.clock);
        let due = Due { periodic: periodic_at.is_some_and(|at| at <= now.boottime), clock };
        let is_due = due.periodic || due.clock.is_some();
        if is_due && self.not_before <= now.boottime {
            self.reading = Some(due);
            self.wake = None;
            return true;
        }
        self.wake = if is_due { Some(self.not_before) } else { [periodic_at, clock_at].into_iter().flatten().min() };
        false
    }

    /// The meter was read, or could not be: what the reading is recorded as.
    pub fn read(&mut self, now: Moment, answered: bool) -> Vec<ReadingContext> {
        let Some(due) = self.reading.take() else { return Vec::new() };
        if !answered {
            self.not_before = now.boottime.after(RETRY);
            return Vec::new();
        }
        let mut contexts = Vec::new();
        if due.periodic {
            self.marks.periodic = now.boottime;
            contexts.push(ReadingContext::SamplePeriodic);
        }
        // The meter may have taken its time, and the clock may have been set while it did.
        let in_time = |(slot, late): (u64, u64)| now.unix.0.checked_sub(slot).is_some_and(|passed| passed <= late);
        if due.clock.is_some_and(in_time) {
            self.marks.clock = now.unix;
            contexts.push(ReadingContext::SampleClock);
        }
        contexts
    }

    /// When `advance` has something to do.
    pub fn next_wake(&self) -> Option<BoottimeMillis> {
        self.wake
    }

    fn periodic_at(&self, interval: Duration) -> Option<BoottimeMillis> {
        let millis = millis(interval);
        let used = self.marks.periodic.0.saturating_sub(self.marks.started.0).checked_div(millis)?;
        Some(BoottimeMillis(self.marks.started.0.saturating_add(millis.saturating_mul(used.saturating_add(1)))))
    }

    /// The slot that is due now, and when to look again.
    fn clock(&mut self, now: Moment, interval: Duration) -> (Option<(u64, u64)>, Option<BoottimeMillis>) {
        let millis = millis(interval);
        let late = self::millis(LATE).min(millis / 2);
        if self.marks.clock.0 >= now.unix.0.saturating_add(millis) {
            self.marks.clock = now.unix;
        }
        let Some(slot) = slot(now.unix.0, millis) else { return (None, None) };
        let passed = now.unix.0.saturating_sub(slot);
        let due = (slot > self.marks.clock.0 && passed <= late).then_some((slot, late));
        let next = next_on_the_clock(now.unix.max(self.marks.clock), interval);
        let wait = next.0.saturating_sub(now.unix.0);
        (due, Some(BoottimeMillis(now.boottime.0.saturating_add(wait.min(late.max(1))))))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The last slot at or before a moment; none without an interval.
fn slot(unix: u64, interval: u64) -> Option<u64> {
    let of_the_day = unix % DAY_MILLIS;
    let into_the_slot = of_the_day.checked_rem(interval)?;
    Some(unix.saturating_sub(into_the_slot))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const QUARTER: Duration = Duration::from_secs(900);
    const QUARTER_MILLIS: u64 = 900_000;
    /// 2026-07-01T00:00Z.
    const MIDNIGHT: u64 = 1_782_864_000_000;

    /// A transaction under a wall clock that can be set, with a meter that answers at once.
    struct Play {
        schedule: Schedule,
        boottime: u64,
        unix: u64,
        intervals: Intervals,
        taken: Vec<(ReadingContext, u64, u64)>,
    }

    impl Play {
        fn at(unix: u64, periodic: u64, clock: u64) -> Play {
            let boottime = 5_000;
            let now = Moment { boottime: BoottimeMillis(boottime), unix: UnixMillis(unix) };
            let intervals = Intervals { periodic: Duration::from_secs(periodic), clock: Duration::from_secs(clock) };
            Play { schedule: Schedule::begin(now), boottime, unix, intervals, taken: Vec::new() }
        }

        fn now(&self) -> Moment {
            Moment { boottime: BoottimeMillis(self.boottime), unix: UnixMillis(self.unix) }
        }

        fn pass(&mut self, millis: u64) {
            let until = self.boottime + millis;
            loop {
                if self.schedule.advance(self.now(), self.intervals) {
                    for context in self.schedule.read(self.now(), true) {
                        self.taken.push((context, self.boottime, self.unix));
                    }
                    continue;
                }
                if self.boottime >= until {
                    return;
                }
                let wake = self.schedule.next_wake().map_or(until, |wake| wake.0.clamp(self.boottime + 1, until));
                self.unix += wake - self.boottime;
                self.boottime = wake;
            }
        }

        fn set_clock(&mut self, by: i64) {
            self.unix = self.unix.saturating_add_signed(by);
        }

        fn clock_slots(&self) -> Vec<u64> {
            let of_the_clock = |(context, _, _): &&(ReadingContext, u64, u64)| *context == ReadingContext::SampleClock;
            self.taken.iter().filter(of_the_clock).map(|(_, _, unix)| *unix).collect()
        }
    }

    #[test]
    fn case_20_the_grid_of_the_clock_begins_anew_at_midnight() {
        let hour = 3_600_000;
        let mut play = Play::at(MIDNIGHT - 5 * hour + 7, 0, 7 * 3600);
        play.pass(20 * hour);
        assert_eq!(play.clock_slots(), [MIDNIGHT - 3 * hour, MIDNIGHT, MIDNIGHT + 7 * hour, MIDNIGHT + 14 * hour]);
    }

    #[test]
    fn an_interval_that_divides_a_day_lies_on_its_multiples_since_1970() {
        let mut play = Play::at(MIDNIGHT + 1, 0, 900);
        play.pass(2 * DAY_MILLIS);
        assert_eq!(play.clock_slots().len(), 2 * 96);
        assert!(play.clock_slots().iter().all(|unix| unix % QUARTER_MILLIS == 0));
    }

    #[test]
    fn case_20_a_clock_set_back_by_less_than_an_interval_takes_no_slot_twice() {
        for back in [1, 2_000, 9_000, 60_000, 890_000] {
            let mut play = Play::at(MIDNIGHT + 1, 0, 900);
            play.pass(QUARTER_MILLIS + 500);
            play.set_clock(-back);
            play.pass(2 * QUARTER_MILLIS);
            let slots = play.clock_slots();
            assert_eq!(&slots[..2], [MIDNIGHT + QUARTER_MILLIS, MIDNIGHT + 2 * QUARTER_MILLIS], "back by {back}");
        }
    }

    #[test]
    fn case_20_a_clock_set_back_by_hours_is_followed_from_where_it_stands() {
        let mut play = Play::at(MIDNIGHT + 1, 0, 900);
        play.pass(4 * QUARTER_MILLIS);
        play.set_clock(-10 * 3_600_000 - 250_000);
        let before = play.taken.len();
        play.pass(QUARTER_MILLIS);
        assert_eq!(play.taken.len(), before + 1, "never further away than one interval");
        assert!(play.clock_slots().iter().all(|unix| unix % QUARTER_MILLIS == 0));
    }

    #[test]
    fn case_20_a_clock_set_forward_misses_slots_and_invents_none() {
        let mut play = Play::at(MIDNIGHT + 1, 0, 900);
        play.pass(QUARTER_MILLIS + 60_000);
        play.set_clock(3_600_000);
        play.pass(QUARTER_MILLIS);
        assert_eq!(play.clock_slots(), [MIDNIGHT + QUARTER_MILLIS, MIDNIGHT + 6 * QUARTER_MILLIS]);
    }

    #[test]
    fn a_clock_that_is_set_while_a_slot_is_awaited_is_noticed() {
        let mut play = Play::at(MIDNIGHT + 1, 0, 900);
        play.pass(300_000);
        play.set_clock(300_000);
        play.pass(300_000);
        let slots = play.clock_slots();
        assert_eq!(slots.len(), 1);
        assert!(slots[0] - (MIDNIGHT + QUARTER_MILLIS) <= millis(LATE));
    }

    #[test]
    fn a_slot_of_the_clock_that_the_meter_missed_is_not_made_up_and_a_periodic_one_is() {
        let mut play = Play::at(MIDNIGHT + 1, 600, 900);
        play.pass(QUARTER_MILLIS - 10_000);
        play.taken.clear();
        // From now on the meter is away, until the slot is long over.
        for _ in 0..2_000 {
            if play.schedule.advance(play.now(), play.intervals) {
                assert_eq!(play.schedule.read(play.now(), false), []);
            }
            play.boottime += 200;
            play.unix += 200;
        }
        play.pass(1_000);
        let contexts: Vec<ReadingContext> = play.taken.iter().map(|(context, ..)| *context).collect();
        assert_eq!(contexts, [ReadingContext::SamplePeriodic]);
    }

    #[test]
    fn case_c_s4_a_restart_of_the_process_changes_neither_schedule() {
        let mut play = Play::at(MIDNIGHT + 400_000, 60, 900);
        let mut other = Play::at(MIDNIGHT + 400_000, 60, 900);
        play.pass(4_000_000);
        for _ in 0..40 {
            other.pass(100_000);
            other.schedule = Schedule::resume(other.schedule.marks);
        }
        assert_eq!(play.taken, other.taken);
    }

    #[test]
    fn both_schedules_share_a_reading() {
        let mut play = Play::at(MIDNIGHT, 900, 900);
        play.pass(QUARTER_MILLIS);
        let at = (play.boottime, play.unix);
        assert_eq!(
            play.taken,
            [(ReadingContext::SamplePeriodic, at.0, at.1), (ReadingContext::SampleClock, at.0, at.1)]
        );
    }

    #[test]
    fn zero_is_off() {
        let mut play = Play::at(MIDNIGHT, 0, 0);
        play.pass(DAY_MILLIS);
        assert_eq!((play.taken.len(), play.schedule.next_wake()), (0, None));
    }

    proptest! {
        /// However the wall clock is set: periodic samples lie on their grid, a sample of the clock lies on its own,
        /// the same slot is never taken twice in a row, and no two intervals pass without a sample unless the clock was
        /// set in them.
        #[test]
        fn case_20_any_steps_of_the_clock(
            steps in proptest::collection::vec((1u64..2_000_000, -4_000_000i64..4_000_000), 1..20),
        ) {
            let mut play = Play::at(MIDNIGHT + 123_456, 60, 900);
            for (pass, step) in steps {
                play.pass(pass);
                play.set_clock(step);
                let before = play.clock_slots().len();
                play.pass(2 * QUARTER_MILLIS);
                prop_assert!(play.clock_slots().len() > before);
            }
            let periodic = play.taken.iter().filter(|(context, ..)| *context == ReadingContext::SamplePeriodic);
            for (number, (_, boottime, _)) in periodic.enumerate() {
                prop_assert_eq!(*boottime, 5_000 + 60_000 * (number as u64 + 1));
            }
            let slots = play.clock_slots();
            prop_assert!(slots.iter().all(|unix| unix % QUARTER_MILLIS <= millis(LATE)));
            let same = |pair: &[u64]| slot(pair[0], millis(QUARTER)) == slot(pair[1], millis(QUARTER));
            prop_assert!(!slots.windows(2).any(same), "{:?}", slots);
        }
    }
}
