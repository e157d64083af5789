//! The `[power]` section of the station file, and what it takes from `[station]`.

use crate::can::BusAddress;
use crate::io::gate::Gate;
use crate::io::wiring::{ConnectorIo, Point};
use crate::io::{Input, Output};
use crate::modules::driver::Address;
use crate::sharing::{RelayPoint, Wiring};
use busbar_interfaces::words::ConnectorType;
use busbar_interfaces::{ConnectorId, Watts};
use busbar_runtime::station_file::host_and_port;
use busbar_runtime::{Section, Sections, StationSection};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// Checked settings of this service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Rated power of the station.
    pub rated: Watts,
    /// The most power of the station (ChargeLimitedPower).
    pub limited: Watts,
    /// The bus of the power modules.
    pub modules_bus: BusAddress,
    /// Its bit rate in bit/s, for its load.
    pub modules_bit_rate: u32,
    /// The bus of the SECC boards.
    pub vehicle_bus: BusAddress,
    /// Likewise.
    pub vehicle_bit_rate: u32,
    /// Host and port of the Modbus TCP gateway of the I/O boards.
    pub io_address: String,
    /// How fast the current rises.
    pub ramp_milliamperes_per_second: u32,
    /// From the start of a delivery to power flow, at most.
    pub sequence_limit: Duration,
    /// What holds when nobody holds a limit.
    pub fallback_limit: Watts,
    /// Modules start softly.
    pub walk_in: bool,
    /// The connectors.
    pub connectors: Vec<ConnectorWiring>,
    /// The modules.
    pub modules: Vec<Wiring>,
}

/// A connector and its inputs and outputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConnectorWiring {
    /// The connector.
    pub connector: ConnectorId,
    /// Its plug standard, from the model.
    pub connector_type: ConnectorType,
    /// Its rated power.
    pub rated: Watts,
    /// The most power of it (ConnectorALimitedPower, ConnectorBLimitedPower).
    pub limited: Watts,
    /// Where its inputs and outputs are.
    pub io: ConnectorIo,
}

impl Settings {
    /// Reads and checks the sections.
    pub fn read(file: &mut Sections<'_, '_>) -> Settings {
        let station = file.section("station", StationSection::read);
        file.section("power", |section| Settings::read_power(section, &station))
    }

    fn read_power(section: &mut Section<'_, '_>, station: &StationSection) -> Settings {
        let product = &station.product;
        let nowhere = || BusAddress::Kernel { interface: String::new() };
        let most = u64::from(product.rated.0);
        let modules_bus = section.parsed("modules_bus", None, BusAddress::parse).unwrap_or_else(nowhere);
        let vehicle_bus = section.parsed("vehicle_bus", None, BusAddress::parse).unwrap_or_else(nowhere);
        let mut settings = Settings {
            rated: product.rated,
            limited: station.limited,
            modules_bus,
            modules_bit_rate: number(section.integer("modules_bit_rate", 10_000..=1_000_000, Some(125_000))),
            vehicle_bus,
            vehicle_bit_rate: number(section.integer("vehicle_bit_rate", 10_000..=1_000_000, Some(500_000))),
            io_address: section.parsed("io_address", None, host_and_port).unwrap_or_default(),
            ramp_milliamperes_per_second: number(
                section.integer("ramp_amperes_per_second", 1..=1000, Some(25)).saturating_mul(1000),
            ),
            sequence_limit: Duration::from_secs(section.integer("sequence_limit_seconds", 5..=600, Some(120))),
            fallback_limit: Watts(number(section.integer("fallback_limit_watts", 0..=most, Some(most)))),
            walk_in: section.flag("walk_in", true),
            connectors: section.list("connector", |each| connector(each, station)),
            modules: section.list("module", module),
        };
        for (id, input, point, debounce) in section.list("input", input).into_iter().flatten() {
            if let Some(io) = settings.io_of(id) {
                io.inputs.insert(input, (point, debounce));
            }
        }
        for (id, output, point) in section.list("output", output).into_iter().flatten() {
            if let Some(io) = settings.io_of(id) {
                io.outputs.insert(output, point);
            }
        }
        settings.refuse_contradictions(section);
        settings
    }

    fn io_of(&mut self, connector: ConnectorId) -> Option<&mut ConnectorIo> {
        self.connectors.iter_mut().find(|each| each.connector == connector).map(|each| &mut each.io)
    }

    /// Every unit that is read.
    pub fn units(&self) -> BTreeSet<u8> {
        let of_connectors = self.connectors.iter().flat_map(|each| each.io.units());
        let of_relays = self.relays().map(|relay| relay.unit);
        of_connectors.chain(of_relays).collect()
    }

    /// What may never be written, of the wiring.
    pub fn gate(&self) -> Gate {
        let relays = self
            .modules
            .iter()
            .flat_map(|module| module.relays.values().map(|relay| (module.address.0, (relay.unit, relay.coil))));
        let is_contactor = |output: &Output| matches!(output, Output::PositiveContactor | Output::NegativeContactor);
        let outputs = self.connectors.iter().flat_map(|each| &each.io.outputs);
        Gate::new(relays, outputs.filter(|(output, _)| is_contactor(output)).map(|(_, point)| *point))
    }

    fn relays(&self) -> impl Iterator<Item = RelayPoint> {
        self.modules.iter().flat_map(|module| module.relays.values().copied())
    }

    fn refuse_contradictions(&self, section: &mut Section<'_, '_>) {
        let numbers: BTreeSet<ConnectorId> = self.connectors.iter().map(|each| each.connector).collect();
        let addresses: BTreeSet<Address> = self.modules.iter().map(|each| each.address).collect();
        let relays: BTreeSet<RelayPoint> = self.relays().collect();
        let coils: Vec<(u8, u8)> = self
            .connectors
            .iter()
            .flat_map(|each| each.io.outputs.values().map(|point| (point.unit, point.channel)))
            .collect();
        if numbers.len() != 2 || self.connectors.len() != 2 {
            section.refuse("connector", "there must be one [[power.connector]] for each of the connectors 1 and 2");
        }
        if addresses.len() != self.modules.len() {
            section.refuse("module", "two modules have the same address");
        }
        if coils.iter().collect::<BTreeSet<_>>().len() != coils.len() {
            section.refuse("connector", "two outputs are the same coil: give each connector an io_unit of its own");
        }
        let of_connectors: BTreeSet<u8> = self.connectors.iter().flat_map(|each| each.io.units()).collect();
        if relays.iter().any(|relay| of_connectors.contains(&relay.unit)) {
            section.refuse("module", "a relay is on the unit of a connector: its coils are contactors");
        }
        if relays.len() != self.relays().count() {
            section.refuse("module", "two relays are the same coil");
        }
        if self.modules.iter().any(|module| module.relays.is_empty()) {
            section.refuse(
                "module",
                "a module has no relay: give it relay_a_unit and relay_a_coil, or relay_b_..., or both",
            );
        }
        let is_reached = |connector| self.modules.iter().any(|module| module.relays.contains_key(connector));
        if !numbers.iter().all(is_reached) {
            section.refuse("module", "a connector has no module that can be joined to it");
        }
    }
}

fn connector(section: &mut Section<'_, '_>, station: &StationSection) -> ConnectorWiring {
    let connector = connector_id(section, "number");
    let most = u64::from(station.product.rated.0);
    let [a, b] = station.connectors_limited;
    ConnectorWiring {
        connector,
        connector_type: station
            .product
            .connectors()
            .find(|(id, _)| *id == connector)
            .map_or(ConnectorType::Unknown, |(_, connector_type)| connector_type),
        rated: Watts(number(section.integer("rated_watts", 1..=most, Some(most)))),
        limited: if connector.0 == 1 { a } else { b },
        io: ConnectorIo::standard(small(section.integer("io_unit", 1..=247, None))),
    }
}

fn module(section: &mut Section<'_, '_>) -> Wiring {
    let address = Address(small(section.integer("address", 0..=62, None)));
    let a = relay(section, "relay_a_unit", "relay_a_coil");
    let b = relay(section, "relay_b_unit", "relay_b_coil");
    let relays = [(ConnectorId(1), a), (ConnectorId(2), b)];
    Wiring { address, relays: relays.into_iter().filter_map(|(connector, relay)| Some((connector, relay?))).collect() }
}

fn relay(section: &mut Section<'_, '_>, unit: &'static str, coil: &'static str) -> Option<RelayPoint> {
    let found = (section.optional_integer(unit, 1..=247), section.optional_integer(coil, 0..=7));
    match found {
        (Some(unit), Some(coil)) => Some(RelayPoint { unit: small(unit), coil: small(coil) }),
        (None, None) => None,
        _ => {
            section.refuse(unit, format!("{unit} and {coil} belong together"));
            None
        }
    }
}

fn input(section: &mut Section<'_, '_>) -> Option<(ConnectorId, Input, Point, Duration)> {
    let id = connector_id(section, "connector");
    let input = section.parsed("name", None, |text| named(&Input::ALL, text));
    let point = point(section);
    let debounce = Duration::from_millis(section.integer("debounce_millis", 0..=10_000, Some(0)));
    input.map(|input| (id, input, point, debounce))
}

fn output(section: &mut Section<'_, '_>) -> Option<(ConnectorId, Output, Point)> {
    let id = connector_id(section, "connector");
    let output = section.parsed("name", None, |text| named(&Output::ALL, text));
    let point = point(section);
    output.map(|output| (id, output, point))
}

fn point(section: &mut Section<'_, '_>) -> Point {
    Point {
        unit: small(section.integer("unit", 1..=247, None)),
        channel: small(section.integer("channel", 0..=7, None)),
        inverted: section.flag("inverted", false),
    }
}

fn named<T: Copy>(all: &[(T, &'static str)], text: &str) -> Result<T, String> {
    let found = all.iter().find(|(_, name)| *name == text).map(|(what, _)| *what);
    let names = || all.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ");
    found.ok_or_else(|| format!("must be one of {}", names()))
}

fn connector_id(section: &mut Section<'_, '_>, key: &'static str) -> ConnectorId {
    ConnectorId(u32::try_from(section.integer(key, 1..=2, None)).unwrap_or(1))
}

fn number(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
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
relay_a_unit = 3
relay_a_coil = 0
[[power.module]]
address = 2
relay_b_unit = 4
relay_b_coil = 1
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
        for (right, wrong) in [
            ("io_unit = 2", "io_unit = 1"),
            ("relay_b_unit = 4", "relay_b_unit = 1"),
            ("relay_b_unit = 4\nrelay_b_coil = 1", "relay_a_unit = 3\nrelay_a_coil = 0"),
            ("relay_b_coil = 1", "relay_b_coil = 8"),
            ("relay_b_coil = 1", ""),
            ("relay_b_unit = 4\nrelay_b_coil = 1", ""),
        ] {
            assert!(read(&STATION.replace(right, wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn inputs_and_outputs_are_wired_by_name() {
        let lock = "
[[power.output]]
connector = 1
name = \"lock\"
unit = 1
channel = 3
[[power.input]]
connector = 1
name = \"lock\"
unit = 1
channel = 5
debounce_millis = 30
";
        let settings = read(&format!("{STATION}{lock}")).expect("good");
        let io = &settings.connectors[0].io;
        assert_eq!(io.outputs.get(&Output::Lock), Some(&Point::new(1, 3)));
        assert_eq!(io.inputs.get(&Input::Lock), Some(&(Point::new(1, 5), Duration::from_millis(30))));
        assert!(!settings.connectors[1].io.outputs.contains_key(&Output::Lock));
        let faults = read(&format!("{STATION}{}", lock.replace("name = \"lock\"", "name = \"bolt\"")))
            .expect_err("no such point");
        assert!(faults.iter().any(|fault| fault.to_string().contains("positive-contactor")), "{faults:?}");
        assert!(
            read(&format!("{STATION}{}", lock.replace("channel = 3", "channel = 0"))).is_err(),
            "a contactor's coil"
        );
    }

    #[test]
    fn the_stations_limits_are_those_of_its_keys() {
        let text = STATION.replace(
            "serial = \"S1\"",
            "serial = \"S1\"\nconnector_b_limited_kilowatts = 62\ncharge_limited_kilowatts = 100",
        );
        let settings = read(&text).expect("good");
        assert_eq!((settings.limited, settings.connectors[0].limited), (Watts(100_000), Watts(180_000)));
        assert_eq!(settings.connectors[1].limited, Watts(62_000));
        assert!(read(&text.replace("= 62", "= 181")).is_err(), "more than the rating");
    }
}
