//! The `[ocpp]` section of the station file, and what `[station]` says for BootNotification.

use busbar_runtime::{Sections, StationSection};
use std::time::Duration;

/// Checked settings of this service.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The longest wait before the first new attempt after the link was lost.
    pub retry_first: Duration,
    /// The longest wait before any later attempt.
    pub retry_most: Duration,
    /// A request that the CSMS has not answered after this time has failed.
    pub call_timeout: Duration,
    /// Events of the journal that are fetched at a time; at most twice as many are in memory.
    pub queue_page: u32,
    /// `chargePointVendor`.
    pub vendor: String,
    /// `chargePointModel`.
    pub model: String,
    /// `chargePointSerialNumber`.
    pub serial: String,
}

impl Settings {
    /// Reads and checks the sections.
    pub fn read(file: &mut Sections<'_, '_>) -> Settings {
        let station = file.section("station", StationSection::read);
        file.section("ocpp", |section| {
            let retry_first = section.integer("retry_first_millis", 50..=60_000, Some(500));
            let retry_most = section.integer("retry_most_millis", 50..=3_600_000, Some(60_000));
            if retry_most < retry_first {
                section.refuse("retry_most_millis", "must not be less than retry_first_millis");
            }
            Settings {
                retry_first: Duration::from_millis(retry_first),
                retry_most: Duration::from_millis(retry_most),
                call_timeout: Duration::from_millis(section.integer(
                    "call_timeout_millis",
                    100..=600_000,
                    Some(30_000),
                )),
                queue_page: u32::try_from(section.integer("queue_page", 1..=256, Some(128))).unwrap_or(1),
                vendor: station.vendor,
                model: station.product.reference,
                serial: station.serial,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use busbar_runtime::StationFile;

    fn read(text: &str) -> Result<Settings, Vec<busbar_runtime::station_file::Fault>> {
        StationFile::from_layers([("station.toml".into(), text.to_owned())]).sections(Settings::read)
    }

    #[test]
    fn the_station_and_the_defaults() {
        let settings = read("[station]\nmodel = \"EVD1S180TBCC7-AN\"\nserial = \"S1\"\n").expect("good");
        assert_eq!(settings.vendor, "Schneider Electric");
        assert_eq!(settings.retry_first, Duration::from_millis(500));
        assert_eq!(settings.call_timeout, Duration::from_secs(30));
    }

    #[test]
    fn what_ocpp_cannot_carry_is_refused() {
        for text in [
            "[station]\nmodel = \"Other\"\nserial = \"S1\"\n",
            "[station]\nmodel = \"EVD1S180TBB\"\n",
            "[station]\nmodel = \"EVD1S180TBB\"\nserial = \"12345678901234567890123456\"\n",
            "[station]\nvendor = \"A vendor with a long name\"\nmodel = \"EVD1S180TBB\"\nserial = \"S1\"\n",
            "[station]\nmodel = \"EVD1S180TBB\"\nserial = \"S1\"\n[ocpp]\nretry_first_millis = 900\nretry_most_millis = 500\n",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
