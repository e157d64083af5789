//! When the meters of connectors without a transaction are told to the CSMS by the clock (ClockAlignedDataInterval).
//! Within a transaction that is the journal's business.

use busbar_interfaces::UnixMillis;
use busbar_runtime::clock::next_on_the_clock;
use std::time::Duration;

/// The next moment on the clock.
#[derive(Debug, Default)]
pub struct Aligned {
    interval: Duration,
    next: Option<UnixMillis>,
}

impl Aligned {
    /// The interval as it is configured; zero is never.
    pub fn configure(&mut self, interval: Duration) {
        if self.interval != interval {
            self.interval = interval;
            self.next = None;
        }
    }

    /// A moment has come. One that was missed is not made up, and a clock that was set is followed from where it stands.
    pub fn due(&mut self, wall: UnixMillis) -> bool {
        if self.interval.is_zero() {
            return false;
        }
        let following = next_on_the_clock(wall, self.interval);
        let late = |next: UnixMillis| wall >= next && wall.0.saturating_sub(next.0) < millis(self.interval);
        match self.next.replace(following) {
            Some(next) if wall < next && next <= following => {
                self.next = Some(next);
                false
            }
            next => next.is_some_and(late),
        }
    }

    /// How long until the next moment.
    pub fn wait(&self, wall: UnixMillis) -> Option<Duration> {
        self.next.map(|next| Duration::from_millis(next.0.saturating_sub(wall.0)))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noon of a day.
    const NOON: u64 = 20_000 * 86_400_000 + 43_200_000;

    fn at(seconds: u64) -> UnixMillis {
        UnixMillis(NOON + seconds * 1000)
    }

    #[test]
    fn each_moment_of_the_clock_comes_once() {
        let mut aligned = Aligned::default();
        aligned.configure(Duration::from_secs(900));
        let due: Vec<u64> = (0..3000).filter(|seconds| aligned.due(at(*seconds))).collect();
        assert_eq!(due, [900, 1800, 2700]);
        assert_eq!(aligned.wait(at(3000)), Some(Duration::from_secs(600)));
    }

    #[test]
    fn case_20_a_clock_that_is_set_makes_nothing_up() {
        let mut aligned = Aligned::default();
        aligned.configure(Duration::from_secs(900));
        assert!(!aligned.due(at(10)));
        assert!(!aligned.due(at(86_400)), "far ahead: what was missed is not made up");
        assert!(!aligned.due(at(20)), "back again");
        assert!(aligned.due(at(900)));
        assert!(!aligned.due(at(901)));
    }

    #[test]
    fn zero_is_never() {
        let mut aligned = Aligned::default();
        aligned.configure(Duration::from_secs(900));
        assert!(!aligned.due(at(10)));
        aligned.configure(Duration::ZERO);
        assert!(!aligned.due(at(900)));
        assert_eq!(aligned.wait(at(900)), None);
    }
}
