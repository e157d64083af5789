//! The `[smart-charging]` section of the station file.

use busbar_interfaces::Watts;
use busbar_runtime::{Sections, StationSection};
use std::time::Duration;

/// Checked settings of this service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What the site's connection gives the whole station.
    pub site_limit: Watts,
    /// The lease under which power holds a limit.
    pub lease: Duration,
}

impl Settings {
    /// Reads and checks the sections.
    pub fn read(file: &mut Sections<'_, '_>) -> Settings {
        let station = file.section("station", StationSection::read);
        let rated = u64::from(station.product.rated.0);
        file.section("smart-charging", |section| Settings {
            site_limit: Watts(
                u32::try_from(section.integer("site_limit_watts", 0..=10_000_000, Some(rated))).unwrap_or(u32::MAX),
            ),
            lease: Duration::from_secs(section.integer("lease_seconds", 5..=600, Some(60))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use busbar_runtime::StationFile;

    #[test]
    fn the_site_gives_what_the_station_is_rated_for_unless_it_is_told() {
        let read = |text: &str| {
            let text = format!("[station]\nmodel = \"EVD1S150TBB\"\nserial = \"S\"\n{text}");
            StationFile::from_layers([("station.toml".into(), text)]).sections(Settings::read)
        };
        assert_eq!(read("").expect("good").site_limit, Watts(150_000));
        assert_eq!(read("[smart-charging]\nsite_limit_watts = 50000\n").expect("good").site_limit, Watts(50_000));
        assert!(read("[smart-charging]\nsite_limit_watts = -1\n").is_err());
    }
}
