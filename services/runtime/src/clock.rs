//! The two clocks of a station: CLOCK_BOOTTIME for deadlines, wall time for people. Everything but this file
//! receives them as arguments.

use busbar_interfaces::{BoottimeMillis, UnixMillis};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

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

/// The kernel's name for this run of the machine: CLOCK_BOOTTIME means nothing in another one. Empty if the kernel does
/// not tell, as when `/proc/sys` is hidden from the process.
#[allow(clippy::disallowed_methods, reason = "the kernel tells it in a file")]
pub fn boot_id() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        let told = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        told.map_or_else(|_| String::new(), |told| told.trim().to_owned())
    })
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

const DAY_MILLIS: u64 = 86_400_000;

/// The next moment after this one on the grid that OCPP 1.6 means by "clock-aligned": every `interval` from midnight
/// UTC on, and midnight itself.
pub fn next_on_the_clock(moment: UnixMillis, interval: Duration) -> UnixMillis {
    let of_the_day = moment.0 % DAY_MILLIS;
    let day = moment.0.saturating_sub(of_the_day);
    let interval = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
    let slots_past = of_the_day.checked_div(interval);
    let next = slots_past.map_or(DAY_MILLIS, |slots| slots.saturating_add(1).saturating_mul(interval));
    UnixMillis(day.saturating_add(next.min(DAY_MILLIS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_the_machine_has_one_name() {
        assert_eq!(boot_id().len(), 36, "{}", boot_id());
        assert_eq!(boot_id(), boot_id());
    }

    #[test]
    fn the_clock_is_divided_from_midnight_on() {
        let noon = 20_000 * DAY_MILLIS + DAY_MILLIS / 2;
        for (from, seconds, next) in [
            (noon, 900, noon + 900_000),
            (noon + 1, 900, noon + 900_000),
            (noon + 899_999, 900, noon + 900_000),
            // 7 hours do not divide a day: the grid begins anew at midnight.
            (noon, 7 * 3600, 20_000 * DAY_MILLIS + 14 * 3_600_000),
            (20_000 * DAY_MILLIS + 22 * 3_600_000, 7 * 3600, 20_001 * DAY_MILLIS),
            (noon, 604_800, 20_001 * DAY_MILLIS),
            (noon, 0, 20_001 * DAY_MILLIS),
        ] {
            assert_eq!(next_on_the_clock(UnixMillis(from), Duration::from_secs(seconds)), UnixMillis(next), "{from}");
        }
    }

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
