//! Frames of the ADVANTICS generic EVSE protocol v3.6, which a SECC board speaks for CCS and CHAdeMO alike: 29-bit
//! identifiers whose bits 28-24 are the connector, little-endian, 100 ms cycle.

use crate::can::Frame;
use busbar_interfaces::{ConnectorId, Milliamperes, Millivolts, Percent};

const FROM_BOARD: u32 = 0x06_B000;
const TO_BOARD: u32 = 0x06_3000;

/// What the board is doing (frame 6B000).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoardStatus {
    /// Starting.
    Initialising,
    /// No vehicle talks.
    WaitingForVehicle,
    /// Talking, not yet in the sequence; also authorization and parameters.
    Negotiating,
    /// Testing the cable's insulation.
    InsulationTest,
    /// Bringing the output to the battery's voltage, or waiting for the vehicle's contactors.
    Precharge,
    /// Power may flow.
    Charging,
    /// Current goes down, weld check, closing.
    Ending,
    /// Not available.
    NotAvailable,
    /// A number that the protocol does not have.
    Unknown(u8),
}

/// What the board wants of the output (frame 6B003).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Function {
    /// Nothing.
    #[default]
    Off,
    /// Connected, no current.
    Standby,
    /// The test voltage.
    InsulationTest,
    /// The battery's voltage at no more than 2 A.
    Precharge,
    /// What the vehicle asks for.
    PowerTransfer,
}

/// Frame 6B003.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PowerControl {
    /// Voltage asked for.
    pub voltage: Millivolts,
    /// Most current asked for.
    pub current: Milliamperes,
    /// What for.
    pub function: Function,
    /// Our output contactors are to be closed.
    pub close_contactors: bool,
    /// Our output is to fall to 20 V or less.
    pub lower_voltage: bool,
}

/// What a board said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// 6B000.
    Status(BoardStatus),
    /// 6B001: a vehicle talks; the station's status is awaited.
    NewSession,
    /// 6B002: charging starts or stops.
    ChargeEdge(bool),
    /// 6B003.
    Control(PowerControl),
    /// 6B004: the session is over; false when it was rushed.
    Finished { clean: bool },
    /// 6B005: true when the vehicle is where it comes from.
    Emergency { from_vehicle: bool },
    /// 6B100.
    Battery { state_of_charge: Percent },
    /// 6B101: the vehicle's highest voltage; 0 when it has not told it.
    MostVoltage(Millivolts),
    /// 6B102: its highest current; likewise.
    MostCurrent(Milliamperes),
    /// 6B105.
    VehicleId([u8; 6]),
    /// 6B203: true in states B, C and D of the control pilot.
    Pilot { plugged: bool },
}

/// Frame 63000: what the output does and whether it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StationStatus {
    /// Voltage at the output.
    pub voltage: Millivolts,
    /// Current at the output.
    pub current: Milliamperes,
    /// False in the loop is an emergency stop.
    pub enable: bool,
    /// The insulation monitor's yes or no.
    pub insulation_good: bool,
}

/// Frame 63002: how far the session may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permission {
    /// A session may start; the driver is accepted; the limits are told.
    pub start: bool,
    /// The session is to end in the normal way.
    pub stop: bool,
}

fn id(connector: ConnectorId, base: u32, offset: u32) -> u32 {
    (connector.0 << 24) | base | offset
}

fn deci(milli: u32) -> u16 {
    u16::try_from(milli / 100).unwrap_or(u16::MAX)
}

/// Frame 63000.
pub fn station_status(connector: ConnectorId, status: StationStatus) -> Frame {
    let [v0, v1] = deci(status.voltage.0).to_le_bytes();
    let [i0, i1] = deci(status.current.0).min(i16::MAX.unsigned_abs()).to_le_bytes();
    // 25 °C each: no temperature sensor is built yet; 255 and 0 are the words of a monitor that knows yes and no.
    let insulation = if status.insulation_good { 255 } else { 0 };
    Frame::extended(id(connector, TO_BOARD, 0), &[v0, v1, i0, i1, 65, 65, u8::from(status.enable), insulation])
}

/// Frame 63001.
pub fn limits(connector: ConnectorId, voltage: Millivolts, current: Milliamperes) -> Frame {
    let [v0, v1] = deci(voltage.0).to_le_bytes();
    let [i0, i1] = deci(current.0).to_le_bytes();
    Frame::extended(id(connector, TO_BOARD, 1), &[v0, v1, i0, i1, 0, 0, 0, 0])
}

/// Frame 63002.
pub fn permission(connector: ConnectorId, permission: Permission) -> Frame {
    let start = u8::from(permission.start);
    let driver_and_limits = if permission.start { 0b111 } else { 0 };
    Frame::extended(id(connector, TO_BOARD, 2), &[start, driver_and_limits, u8::from(permission.stop)])
}

/// Reads a frame; `None` if it is not a board's word that we need.
pub fn decode(frame: &Frame) -> Option<(ConnectorId, Word)> {
    let connector = ConnectorId(frame.id() >> 24);
    if !frame.is_extended() || (frame.id() & 0xFF_F000) != FROM_BOARD {
        return None;
    }
    let word = match (frame.id() & 0xFFF, frame.data()) {
        (0x000, [status, ..]) => Word::Status(board_status(*status)),
        (0x001, _) => Word::NewSession,
        (0x002, [edge, ..]) => Word::ChargeEdge(*edge == 1),
        (0x003, [v0, v1, i0, i1, _, _, flags, ..]) => Word::Control(PowerControl {
            voltage: Millivolts(u32::from(u16::from_le_bytes([*v0, *v1])).saturating_mul(100)),
            current: Milliamperes(u32::from(i16::from_le_bytes([*i0, *i1]).max(0).unsigned_abs()).saturating_mul(100)),
            function: match flags & 0x0F {
                1 => Function::Standby,
                2 => Function::InsulationTest,
                4 => Function::Precharge,
                8 => Function::PowerTransfer,
                _ => Function::Off,
            },
            close_contactors: flags & 0x40 != 0,
            lower_voltage: flags & 0x80 != 0,
        }),
        (0x004, [how, ..]) => Word::Finished { clean: *how == 0 },
        (0x005, [origin, ..]) => Word::Emergency { from_vehicle: *origin == 3 },
        (0x100, [_, _, present, ..]) => Word::Battery { state_of_charge: Percent(*present) },
        (0x101, [_, _, v0, v1, ..]) => {
            Word::MostVoltage(Millivolts(u32::from(u16::from_le_bytes([*v0, *v1])).saturating_mul(100)))
        }
        (0x102, [_, _, i0, i1, ..]) => {
            Word::MostCurrent(Milliamperes(u32::from(u16::from_le_bytes([*i0, *i1])).saturating_mul(100)))
        }
        (0x105, [a, b, c, d, e, f, ..]) => Word::VehicleId([*a, *b, *c, *d, *e, *f]),
        (0x203, [pilot, ..]) => Word::Pilot { plugged: matches!(pilot, 9 | 6 | 3) },
        _ => return None,
    };
    Some((connector, word))
}

fn board_status(number: u8) -> BoardStatus {
    match number {
        0 => BoardStatus::Initialising,
        1 => BoardStatus::WaitingForVehicle,
        2 | 3 | 11 => BoardStatus::Negotiating,
        4 => BoardStatus::InsulationTest,
        5 | 6 => BoardStatus::Precharge,
        7 | 13 => BoardStatus::Charging,
        8..=10 => BoardStatus::Ending,
        12 => BoardStatus::NotAvailable,
        other => BoardStatus::Unknown(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_identifiers_carry_the_connector() {
        assert_eq!(station_status(ConnectorId(1), StationStatus::default()).id(), 0x0106_3000);
        assert_eq!(permission(ConnectorId(2), Permission::default()).id(), 0x0206_3002);
        let status = Frame::extended(0x0206_B000, &[7]);
        assert_eq!(decode(&status), Some((ConnectorId(2), Word::Status(BoardStatus::Charging))));
    }

    #[test]
    fn power_control_bit_by_bit() {
        // 400.0 V, 125.0 A, power transfer, contactors closed.
        let frame = Frame::extended(0x0106_B003, &[0xA0, 0x0F, 0xE2, 0x04, 0, 0, 0x48]);
        let expected = PowerControl {
            voltage: Millivolts(400_000),
            current: Milliamperes(125_000),
            function: Function::PowerTransfer,
            close_contactors: true,
            lower_voltage: false,
        };
        assert_eq!(decode(&frame), Some((ConnectorId(1), Word::Control(expected))));
    }

    #[test]
    fn the_stations_words_bit_by_bit() {
        let status = StationStatus {
            voltage: Millivolts(401_250),
            current: Milliamperes(99_990),
            enable: true,
            insulation_good: true,
        };
        assert_eq!(station_status(ConnectorId(1), status).data(), [0xAC, 0x0F, 0xE7, 0x03, 65, 65, 1, 255]);
        let go = permission(ConnectorId(1), Permission { start: true, stop: false });
        assert_eq!(go.data(), [1, 7, 0]);
        assert_eq!(
            limits(ConnectorId(1), Millivolts(1_000_000), Milliamperes(300_000)).data()[..4],
            [0x10, 0x27, 0xB8, 0x0B]
        );
    }

    #[test]
    fn the_vehicles_limits_bit_by_bit() {
        let voltages = Frame::extended(0x0106_B101, &[0, 0, 0x68, 0x10, 1, 0]);
        assert_eq!(decode(&voltages), Some((ConnectorId(1), Word::MostVoltage(Millivolts(420_000)))));
        let currents = Frame::extended(0x0206_B102, &[0, 0, 0xE2, 0x04, 0, 0, 50, 0]);
        assert_eq!(decode(&currents), Some((ConnectorId(2), Word::MostCurrent(Milliamperes(125_000)))));
    }

    proptest! {
        #[test]
        fn no_frame_is_a_panic(id in 0u32..0x2000_0000, data in proptest::collection::vec(any::<u8>(), 0..=8)) {
            let _ = decode(&Frame::extended(id, &data));
        }
    }
}
