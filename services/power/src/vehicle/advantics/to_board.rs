//! Writes the station's frames to a board.

use crate::can::Frame;
use busbar_interfaces::{ConnectorId, Milliamperes, Millivolts};

const TO_BOARD: u32 = 0x06_3000;

/// Frame 63000: what the output does and whether it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct StationStatus {
    /// Voltage at the output.
    pub voltage: Millivolts,
    /// Current at the output.
    pub current: Milliamperes,
    /// The hottest module; nothing is told as the frame's lowest, -40 °C.
    pub module_celsius: Option<i16>,
    /// The cabinet, likewise.
    pub cabinet_celsius: Option<i16>,
    /// False in the loop is an emergency stop.
    pub enable: bool,
    /// The insulation monitor's yes or no.
    pub insulation_good: bool,
}

/// Frame 63001: what the station can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StationLimits {
    /// Highest voltage.
    pub voltage: Millivolts,
    /// Most current to the vehicle.
    pub charge: Milliamperes,
    /// Most current from it.
    pub discharge: Milliamperes,
    /// Where in the range the station would like the current, in milliamperes; 0 is as the board is configured.
    pub range_target_milliamperes: i32,
}

/// Frame 63002: how far the session may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Permission {
    /// A session may start.
    pub start: bool,
    /// CHAdeMO's start button.
    pub chademo_button: bool,
    /// It is decided whether the driver may charge.
    pub authorisation_done: bool,
    /// The driver may.
    pub authorisation_valid: bool,
    /// The limits are told.
    pub parameters_done: bool,
    /// The session is to end in the normal way.
    pub stop: bool,
}

impl Permission {
    /// A delivery is asked for: the driver is accepted and the limits are told.
    pub fn granted(chademo: bool, stop: bool) -> Permission {
        Permission {
            start: true,
            chademo_button: chademo,
            authorisation_done: true,
            authorisation_valid: true,
            parameters_done: true,
            stop,
        }
    }
}

fn id(connector: ConnectorId, offset: u32) -> u32 {
    (connector.0 << 24) | TO_BOARD | offset
}

fn deci(milli: u32) -> u16 {
    u16::try_from(milli / 100).unwrap_or(u16::MAX)
}

fn temperature(celsius: Option<i16>) -> u8 {
    celsius.map_or(0, |celsius| u8::try_from(celsius.saturating_add(40).max(0)).unwrap_or(u8::MAX))
}

fn bits(flags: &[bool]) -> u8 {
    flags.iter().rev().fold(0, |bits, flag| bits << 1 | u8::from(*flag))
}

/// Frame 63000.
pub fn station_status(connector: ConnectorId, status: StationStatus) -> Frame {
    let [v0, v1] = deci(status.voltage.0).to_le_bytes();
    let [i0, i1] = deci(status.current.0).min(i16::MAX.unsigned_abs()).to_le_bytes();
    let (module, cabinet) = (temperature(status.module_celsius), temperature(status.cabinet_celsius));
    // 255 and 0 are the words of a monitor that knows yes and no.
    let insulation = if status.insulation_good { 255 } else { 0 };
    let bytes = [v0, v1, i0, i1, module, cabinet, u8::from(status.enable), insulation];
    Frame::extended(id(connector, 0), &bytes)
}

/// Frame 63001.
pub fn limits(connector: ConnectorId, limits: StationLimits) -> Frame {
    let [v0, v1] = deci(limits.voltage.0).to_le_bytes();
    let [c0, c1] = deci(limits.charge.0).to_le_bytes();
    let [d0, d1] = deci(limits.discharge.0).to_le_bytes();
    let target = limits.range_target_milliamperes / 100;
    let [t0, t1] = i16::try_from(target).unwrap_or(if target < 0 { i16::MIN } else { i16::MAX }).to_le_bytes();
    Frame::extended(id(connector, 1), &[v0, v1, c0, c1, d0, d1, t0, t1])
}

/// Frame 63002.
pub fn permission(connector: ConnectorId, told: Permission) -> Frame {
    let start = bits(&[told.start, told.chademo_button]);
    let driver = bits(&[told.authorisation_done, told.authorisation_valid, told.parameters_done]);
    Frame::extended(id(connector, 2), &[start, driver, u8::from(told.stop)])
}

/// Frame 63201: the board's digital outputs 1 to 4 and its three lamps.
#[cfg_attr(not(test), expect(dead_code, reason = "nothing is wired to these outputs in this cabinet"))]
pub fn outputs(connector: ConnectorId, digital: [bool; 4], lamps: [u8; 3]) -> Frame {
    let [first, second, third] = lamps.map(u64::from);
    let word = u64::from(bits(&digital)) | first << 4 | second << 12 | third << 20;
    Frame::extended(id(connector, 0x201), &word.to_le_bytes())
}
