//! The two clocks of a station: CLOCK_BOOTTIME for deadlines, wall time for people. Everything but this file
//! receives them as arguments.

use busbar_interfaces::{BoottimeMillis, UnixMillis};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Both clocks at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// For deadlines and ages.
    pub boottime: BoottimeMillis,
    /// For people and bills.
    pub unix: UnixMillis,
}

/// Where a process gets its time from.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    /// Milliseconds that a test moves by hand; both clocks show them.
    ByHand(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's clocks.
    pub fn system() -> Clock {
        Clock(Source::System)
    }

    /// A clock that stands still until the test moves it.
    pub fn by_hand(milliseconds: Arc<AtomicU64>) -> Clock {
        Clock(Source::ByHand(milliseconds))
    }

    /// Both clocks now.
    pub fn now(&self) -> Moment {
        match &self.0 {
            Source::System => Moment { boottime: boottime(), unix: wall() },
            Source::ByHand(milliseconds) => {
                let now = milliseconds.load(Ordering::SeqCst);
                Moment { boottime: BoottimeMillis(now), unix: UnixMillis(now) }
            }
        }
    }
}

fn boottime() -> BoottimeMillis {
    // The clock exists on every kernel that Busbar runs on (since Linux 2.6.39); zero only if the call is filtered.
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).map(std::time::Duration::from);
    BoottimeMillis(now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX)))
}

#[allow(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
fn wall() -> UnixMillis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boottime_never_goes_back() {
        let clock = Clock::system();
        let mut last = clock.now().boottime;
        for _ in 0..1000 {
            let now = clock.now().boottime;
            assert!(now >= last);
            last = now;
        }
        assert!(last.0 > 0);
    }
}
