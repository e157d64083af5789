//! The `[metering]` section of the station file.

use busbar_interfaces::ConnectorId;
use busbar_runtime::station_file::host_and_port;
use busbar_runtime::{Section, Sections};
use std::collections::BTreeSet;
use std::time::Duration;

/// Checked settings of this service.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How often each meter is read.
    pub poll: Duration,
    /// The meters, one for each connector.
    pub meters: Vec<MeterWiring>,
}

/// Where the meter of a connector is and how it counts.
#[derive(Debug, Clone, PartialEq)]
pub struct MeterWiring {
    /// The connector that it measures.
    pub connector: ConnectorId,
    /// The model; the Acrel DJSF1352-RN is the one that is built.
    pub model: String,
    /// Host and port of the Modbus TCP server.
    pub address: String,
    /// The Modbus unit.
    pub unit: u8,
    /// What one count of the energy registers is: sources disagree between 0.1 Wh and 1 Wh for this model.
    pub count_milliwatt_hours: u64,
}

impl Settings {
    /// Reads and checks the section.
    pub fn read(file: &mut Sections<'_, '_>) -> Settings {
        file.section("metering", |section| {
            let poll = Duration::from_millis(section.integer("poll_millis", 100..=5000, Some(500)));
            let meters: Vec<MeterWiring> = section.list("meter", MeterWiring::read);
            let connectors: BTreeSet<ConnectorId> = meters.iter().map(|meter| meter.connector).collect();
            if connectors.len() != meters.len() {
                section.refuse("meter", "two meters have the same connector");
            }
            if meters.is_empty() {
                section.refuse("meter", "there must be a [[metering.meter]] for each connector");
            }
            Settings { poll, meters }
        })
    }
}

impl MeterWiring {
    fn read(section: &mut Section<'_, '_>) -> MeterWiring {
        let model = section.parsed("model", Some(crate::acrel::MODEL), |model| match model {
            crate::acrel::MODEL => Ok(model.to_owned()),
            _ => Err(format!("must be \"{}\", the model that is built", crate::acrel::MODEL)),
        });
        MeterWiring {
            connector: ConnectorId(u32::try_from(section.integer("connector", 1..=2, None)).unwrap_or(1)),
            model: model.unwrap_or_default(),
            address: section.parsed("address", None, host_and_port).unwrap_or_default(),
            unit: u8::try_from(section.integer("unit", 1..=247, Some(1))).unwrap_or(1),
            count_milliwatt_hours: section.integer("count_milliwatt_hours", 1..=1_000_000, Some(100)),
        }
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
    fn a_meter_for_each_connector() {
        let settings = read(
            "[metering]\n[[metering.meter]]\nconnector = 1\naddress = \"10.0.0.1:502\"\n\
             [[metering.meter]]\nconnector = 2\naddress = \"10.0.0.2:502\"\nunit = 3\n",
        )
        .expect("good");
        assert_eq!(settings.meters.len(), 2);
        assert_eq!(settings.poll, Duration::from_millis(500));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for text in [
            "[metering]\n",
            "[metering]\n[[metering.meter]]\nconnector = 3\naddress = \"a:1\"\n",
            "[metering]\n[[metering.meter]]\nconnector = 1\naddress = \"nowhere\"\n",
            "[metering]\n[[metering.meter]]\nconnector = 1\naddress = \"a:1\"\n[[metering.meter]]\nconnector = 1\naddress = \"b:1\"\n",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
