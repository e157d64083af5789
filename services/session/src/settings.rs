//! The `[session]` section of the station file.

use busbar_runtime::Sections;
use std::time::Duration;

/// Checked settings of this service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The lease of a delivery: so long power holds it while this service is away.
    pub delivery_lease: Duration,
    /// How long the end of a transaction waits for its meter before it takes the last sample instead.
    pub meter_wait: Duration,
}

impl Settings {
    /// Reads and checks the section.
    pub fn read(file: &mut Sections<'_, '_>) -> Settings {
        file.section("session", |section| Settings {
            delivery_lease: Duration::from_secs(section.integer("delivery_lease_seconds", 5..=300, Some(30))),
            meter_wait: Duration::from_secs(section.integer("meter_wait_seconds", 1..=600, Some(30))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use busbar_runtime::StationFile;

    #[test]
    fn an_absent_section_has_the_documented_values() {
        let settings = StationFile::from_layers([]).sections(Settings::read).expect("no section is needed");
        assert_eq!(settings.delivery_lease, Duration::from_secs(30));
        let wrong = StationFile::from_layers([("s".into(), "[session]\nmeter_wait_seconds = 0\n".to_owned())]);
        assert!(wrong.sections(Settings::read).is_err());
    }
}
