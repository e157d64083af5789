//! The `[power]` section of the station file, and what it takes from `[station]`.

use crate::can::BusAddress;
use crate::infypower::Address;
use busbar_interfaces::product::Product;
use busbar_interfaces::words::ConnectorType;
use busbar_interfaces::{ConnectorId, Watts};
use busbar_runtime::station_file::host_and_port;
use busbar_runtime::{Section, Sections, StationSection};
use std::collections::BTreeSet;
use std::time::Duration;

/// Checked settings of this service.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Rated power of the station.
    pub rated: Watts,
    /// The bus of the power modules.
    pub modules_bus: BusAddress,
    /// The bus of the SECC boards.
    pub vehicle_bus: BusAddress,
    /// Host and port of the Modbus TCP gateway of the I/O boards.
    pub io_address: String,
    /// How fast the current rises.
    pub ramp_milliamperes_per_second: u32,
    /// From the start of a delivery to power flow, at most.
    pub sequence_limit: Duration,
    /// What holds when nobody holds a limit.
    pub fallback_limit: Watts,
    /// The connectors.
    pub connectors: Vec<ConnectorWiring>,
    /// The modules.
    pub modules: Vec<ModuleWiring>,
}

/// A connector and its output board.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectorWiring {
    /// The connector.
    pub connector: ConnectorId,
    /// Its plug standard, from the model.
    pub connector_type: ConnectorType,
    /// Its rated power.
    pub rated: Watts,
    /// The Modbus unit of its output board.
    pub io_unit: u8,
}

/// A module and the relay that joins it to its connector.
#[derive(Debug, Clone, PartialEq)]
pub struct ModuleWiring {
    /// Its address on the bus.
    pub address: Address,
    /// The connector that it feeds.
    pub connector: ConnectorId,
    /// The Modbus unit of its matrix board.
    pub relay_unit: u8,
    /// The coil of its relay.
    pub relay_coil: u8,
}

impl Settings {
    /// Reads and checks the sections.
    pub fn read(file: &mut Sections<'_, '_>) -> Settings {
        let station = file.section("station", StationSection::read);
        file.section("power", |section| Settings::read_power(section, &station.product))
    }

    fn read_power(section: &mut Section<'_, '_>, product: &Product) -> Settings {
        let rated = product.rated;
        let nowhere = || BusAddress::Kernel { interface: String::new() };
        let watts = |value: u64| Watts(u32::try_from(value).unwrap_or(u32::MAX));
        let most = u64::from(rated.0);
        let modules_bus = section.parsed("modules_bus", None, BusAddress::parse).unwrap_or_else(nowhere);
        let vehicle_bus = section.parsed("vehicle_bus", None, BusAddress::parse).unwrap_or_else(nowhere);
        let io_address = section.parsed("io_address", None, host_and_port).unwrap_or_default();
        let ramp = section.integer("ramp_amperes_per_second", 1..=1000, Some(25));
        let sequence_limit = Duration::from_secs(section.integer("sequence_limit_seconds", 5..=600, Some(120)));
        let fallback_limit = watts(section.integer("fallback_limit_watts", 0..=most, Some(most)));
        let connectors = section.list("connector", |each| {
            let connector = connector_id(each, "number");
            ConnectorWiring {
                connector,
                connector_type: product
                    .connectors()
                    .find(|(id, _)| *id == connector)
                    .map_or(ConnectorType::Unknown, |(_, connector_type)| connector_type),
                rated: watts(each.integer("rated_watts", 1..=most, Some(most))),
                io_unit: small(each.integer("io_unit", 1..=247, None)),
            }
        });
        let modules = section.list("module", |each| ModuleWiring {
            address: Address(small(each.integer("address", 0..=62, None))),
            connector: connector_id(each, "connector"),
            relay_unit: small(each.integer("relay_unit", 1..=247, None)),
            // A matrix board watches the mirror contacts of six relays.
            relay_coil: small(each.integer("relay_coil", 0..=5, None)),
        });
        let numbers: BTreeSet<ConnectorId> = connectors.iter().map(|each| each.connector).collect();
        let addresses: BTreeSet<Address> = modules.iter().map(|each| each.address).collect();
        let relays: BTreeSet<(u8, u8)> = modules.iter().map(|each| (each.relay_unit, each.relay_coil)).collect();
        if numbers.len() != 2 || connectors.len() != 2 {
            section.refuse("connector", "there must be one [[power.connector]] for each of the connectors 1 and 2");
        }
        if addresses.len() != modules.len() {
            section.refuse("module", "two modules have the same address");
        }
        let output_boards: BTreeSet<u8> = connectors.iter().map(|each| each.io_unit).collect();
        if output_boards.len() != connectors.len() {
            section.refuse("connector", "two connectors have the same io_unit");
        }
        if modules.iter().any(|module| output_boards.contains(&module.relay_unit)) {
            section.refuse("module", "a relay_unit is also the io_unit of a connector: its coils are contactors");
        }
        if relays.len() != modules.len() {
            section.refuse("module", "two modules have the same relay");
        }
        if numbers.iter().any(|number| modules.iter().all(|module| module.connector != *number)) {
            section.refuse("module", "a connector has no module");
        }
        Settings {
            rated,
            modules_bus,
            vehicle_bus,
            io_address,
            ramp_milliamperes_per_second: u32::try_from(ramp.saturating_mul(1000)).unwrap_or(u32::MAX),
            sequence_limit,
            fallback_limit,
            connectors,
            modules,
        }
    }
}

fn connector_id(section: &mut Section<'_, '_>, key: &'static str) -> ConnectorId {
    ConnectorId(u32::try_from(section.integer(key, 1..=2, None)).unwrap_or(1))
}

fn small(value: u64) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use busbar_runtime::StationFile;

    pub(crate) const STATION: &str = "
[station]
model = \"EVD1S180THB\"
serial = \"S1\"
[power]
modules_bus = \"socketcan:can0\"
vehicle_bus = \"socketcan:can1\"
io_address = \"10.0.0.9:502\"
[[power.connector]]
number = 1
io_unit = 1
[[power.connector]]
number = 2
io_unit = 2
[[power.module]]
address = 1
connector = 1
relay_unit = 3
relay_coil = 0
[[power.module]]
address = 2
connector = 2
relay_unit = 4
relay_coil = 1
";

    pub(crate) fn read(text: &str) -> Result<Settings, Vec<busbar_runtime::station_file::Fault>> {
        StationFile::from_layers([("station.toml".into(), text.to_owned())]).sections(Settings::read)
    }

    #[test]
    fn a_whole_station() {
        let settings = read(STATION).expect("good");
        assert_eq!(settings.rated, Watts(180_000));
        assert_eq!(settings.connectors[1].connector_type, ConnectorType::Chademo);
        assert_eq!(settings.ramp_milliamperes_per_second, 25_000);
    }

    #[test]
    fn contradictions_are_refused_together() {
        let text = STATION.replace("address = 2", "address = 1").replace("number = 2", "number = 1");
        let faults = read(&text).expect_err("contradictions");
        let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
        assert!(keys.contains(&"power.module") && keys.contains(&"power.connector"), "{faults:?}");
    }

    #[test]
    fn wiring_that_would_move_the_wrong_contactor_is_refused() {
        for (right, wrong) in
            [("io_unit = 2", "io_unit = 1"), ("relay_unit = 4", "relay_unit = 1"), ("relay_coil = 1", "relay_coil = 6")]
        {
            assert!(read(&STATION.replace(right, wrong)).is_err(), "{wrong}");
        }
    }
}
