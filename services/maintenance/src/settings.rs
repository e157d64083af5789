//! The `[maintenance]` section of the station file.

use crate::reset::Limits;
use busbar_runtime::{Section, Sections};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Checked settings of this service.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How many reports are kept.
    pub reports_kept: usize,
    /// How long the steps of a restart may last.
    pub reset: Limits,
}

impl Settings {
    /// Reads and checks the section.
    pub fn read(file: &mut Sections<'_, '_>) -> Settings {
        file.section("maintenance", |section| {
            let kept = section.integer("reports_kept", 1..=1000, Some(10));
            Settings {
                reports_kept: usize::try_from(kept).unwrap_or(1),
                reset: Limits {
                    soft_stop: seconds(section, "reset_soft_stop_seconds", 1..=45, 30),
                    hard_stop: seconds(section, "reset_hard_stop_seconds", 1..=45, 10),
                    delivery: seconds(section, "reset_delivery_seconds", 0..=45, 30),
                    pause: seconds(section, "reset_pause_seconds", 1..=45, 10),
                },
            }
        })
    }
}

/// Stop and delivery together end before charges may begin again, two minutes after the order.
fn seconds(section: &mut Section<'_, '_>, key: &'static str, range: RangeInclusive<u64>, given: u64) -> Duration {
    Duration::from_secs(section.integer(key, range, Some(given)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use busbar_runtime::StationFile;

    fn read(text: &str) -> Option<Settings> {
        let file = StationFile::from_layers([("station.toml".into(), text.to_owned())]);
        file.sections(Settings::read).ok()
    }

    #[test]
    fn ten_reports_unless_told() {
        let kept = |text| read(text).map(|settings| settings.reports_kept);
        assert_eq!(kept(""), Some(10));
        assert_eq!(kept("[maintenance]\nreports_kept = 3\n"), Some(3));
        assert_eq!(kept("[maintenance]\nreports_kept = 0\n"), None);
        assert_eq!(kept("[maintenance]\nreports = 3\n"), None);
    }

    #[test]
    fn a_restart_waits_half_a_minute_each_unless_told() {
        let limits = read("").map(|settings| settings.reset).expect("reads");
        let seconds = |limit: Duration| limit.as_secs();
        assert_eq!((seconds(limits.soft_stop), seconds(limits.hard_stop)), (30, 10));
        assert_eq!((seconds(limits.delivery), seconds(limits.pause)), (30, 10));
        assert_eq!(read("[maintenance]\nreset_soft_stop_seconds = 90\n"), None);
    }
}
