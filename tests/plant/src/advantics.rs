//! The ADVANTICS generic EVSE frames (v3.6) from the seat of the board: what it sends and what it hears.
//!
//! Only the coding is here; when a frame is sent is decided in `board`. All numbers are little-endian and the
//! connector's number stands in bits 28 to 24 of the identifier.

use crate::frame::Frame;

/// Base identifier of the board's frames, without connector.
const FROM_BOARD: u32 = 0x0006_B000;
/// Base identifier of the station's frames, without connector.
const FROM_STATION: u32 = 0x0006_3000;

/// The board's state as sent in frame 6B000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// No vehicle, or its session is over.
    WaitingForPev = 1,
    /// Protocol negotiation.
    Negotiating = 2,
    /// Charge parameters are exchanged.
    FullInfo = 3,
    /// Cable check.
    InsulationTest = 4,
    /// The voltage is brought to that of the battery.
    Precharge = 5,
    /// The vehicle's contactors are closed.
    WaitingForCharge = 6,
    /// Energy flows as the vehicle asks.
    Charging = 7,
    /// The current is brought to zero.
    Ending = 8,
    /// Contactors are open and checked.
    Welding = 9,
    /// The session is closed.
    Closing = 10,
    /// The board waits for the authorisation.
    CcsAuthorisation = 11,
    /// The board cannot serve anybody.
    NotAvailable = 12,
    /// The vehicle has paused the session.
    Pause = 13,
}

impl Status {
    /// The state's name as the control interface shows it.
    pub fn word(self) -> &'static str {
        match self {
            Self::WaitingForPev => "waiting-for-pev",
            Self::Negotiating => "negotiating",
            Self::FullInfo => "full-info",
            Self::InsulationTest => "insulation-test",
            Self::Precharge => "precharge",
            Self::WaitingForCharge => "waiting-for-charge",
            Self::Charging => "charging",
            Self::Ending => "ending",
            Self::Welding => "welding",
            Self::Closing => "closing",
            Self::CcsAuthorisation => "ccs-authorisation",
            Self::NotAvailable => "not-available",
            Self::Pause => "pause",
        }
    }
}

/// What the board asks of the power electronics, frame 6B003.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Function {
    /// No output.
    #[default]
    Off = 0,
    /// No current, voltage as it is.
    Standby = 1,
    /// Test voltage for the cable check.
    InsulationTest = 2,
    /// Voltage of the battery, hardly any current.
    Precharge = 4,
    /// Current as asked.
    PowerTransfer = 8,
}

/// The content of frame 6B003.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PowerControl {
    /// Voltage asked for, or the limit during the transfer.
    pub volts: f64,
    /// Largest current.
    pub amperes: f64,
    /// What the output is used for.
    pub function: Function,
    /// Bit 54: the output contactors shall be closed.
    pub close_contactors: bool,
    /// Bit 55: the output shall fall to 20 V or less.
    pub lower_voltage: bool,
}

/// Who caused an emergency, frame 6B005.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The station.
    Station = 1,
    /// The vehicle.
    Vehicle = 3,
}

/// The kind of plug, frame 6B001.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plug {
    /// CCS2: ISO 15118-2 over the extended pins.
    Ccs2,
    /// CHAdeMO 1.x.
    Chademo,
}

/// A value with one decimal digit as an unsigned word.
fn tenths(value: f64) -> [u8; 2] {
    ((value * 10.0).round() as u16).to_le_bytes()
}

/// A value with one decimal digit as a signed word.
fn signed_tenths(value: f64) -> [u8; 2] {
    ((value * 10.0).round() as i16).to_le_bytes()
}

/// A power in kilowatts; a vehicle that takes anything takes at least one.
fn kilowatts(watts: f64) -> [u8; 2] {
    ((watts / 1000.0).ceil() as u16).to_le_bytes()
}

/// Builds the frames of one connector's board.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    connector: u8,
}

impl Sender {
    /// The sender for a connector, counted from 1.
    pub fn new(connector: u8) -> Self {
        Self { connector }
    }

    fn frame<const LENGTH: usize>(self, number: u32, data: [u8; LENGTH]) -> Frame {
        Frame::extended(u32::from(self.connector) << 24 | (FROM_BOARD + number), data)
    }

    /// 6B000.
    pub fn status(self, status: Status) -> Frame {
        self.number(status as u8)
    }

    /// 6B000 with any number.
    pub fn number(self, number: u8) -> Frame {
        self.frame(0x000, [number])
    }

    /// 6B001.
    pub fn new_session(self, plug: Plug) -> Frame {
        self.frame(
            0x001,
            match plug {
                Plug::Ccs2 => [2, 1],
                Plug::Chademo => [4, 2],
            },
        )
    }

    /// 6B002.
    pub fn charging(self, starts: bool) -> Frame {
        self.frame(0x002, [u8::from(starts)])
    }

    /// 6B003.
    pub fn power_control(self, control: &PowerControl) -> Frame {
        let [volts_low, volts_high] = tenths(control.volts);
        let [amperes_low, amperes_high] = signed_tenths(control.amperes);
        let bits =
            control.function as u8 | u8::from(control.close_contactors) << 6 | u8::from(control.lower_voltage) << 7;
        self.frame(0x003, [volts_low, volts_high, amperes_low, amperes_high, 0, 0, bits])
    }

    /// 6B004.
    pub fn finished(self, rushed: bool) -> Frame {
        self.frame(0x004, [u8::from(rushed)])
    }

    /// 6B005.
    pub fn emergency(self, origin: Origin) -> Frame {
        self.frame(0x005, [origin as u8])
    }

    /// 6B100: capacity, state of charge now, least, wanted and most.
    pub fn battery(self, capacity_watt_hours: f64, present_percent: u8, target_percent: u8) -> Frame {
        let [low, high] = kilowatts(capacity_watt_hours);
        self.frame(0x100, [low, high, present_percent, 0, target_percent, 100])
    }

    /// 6B101: voltages.
    pub fn voltages(self, least: f64, most: f64, present: f64) -> Frame {
        let ([a, b], [c, d], [e, f]) = (tenths(least), tenths(most), tenths(present));
        self.frame(0x101, [a, b, c, d, e, f])
    }

    /// 6B102: largest current and power of a charge; the least is zero.
    pub fn charge_limits(self, amperes: f64, watts: f64) -> Frame {
        let ([a, b], [c, d]) = (tenths(amperes), kilowatts(watts));
        self.frame(0x102, [0, 0, a, b, 0, 0, c, d])
    }

    /// 6B105: the vehicle's identifier.
    pub fn vehicle_id(self, id: [u8; 6]) -> Frame {
        self.frame(0x105, id)
    }

    /// 6B201: inputs unused, the board at 40 degrees, the two sensors of the plug.
    pub fn inputs(self, [one, two]: [f64; 2]) -> Frame {
        let told = |celsius: f64| (celsius + 40.0).round() as u8;
        self.frame(0x201, [0, 0, 0, 0, 0, told(40.0), told(one), told(two)])
    }

    /// 6B203: control pilot state with its duty cycle.
    pub fn control_pilot(self, volts: u8, duty_percent: f64) -> Frame {
        let [low, high] = tenths(duty_percent);
        self.frame(0x203, [volts, low, high, 0, 0, 0, 0, 0])
    }
}

/// What the station tells a board.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FromStation {
    /// 63000.
    State {
        /// Present output voltage.
        volts: f64,
        /// Present output current.
        amperes: f64,
        /// Power is allowed.
        system_enable: bool,
        /// Insulation resistance in units of 2 kΩ.
        insulation: u8,
    },
    /// 63001.
    Limits {
        /// Highest voltage.
        volts: f64,
        /// Largest charge current.
        amperes: f64,
    },
    /// 63002.
    Sequence(SequenceBits),
    /// Any other frame of this connector.
    Other,
}

/// The bits of 63002.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SequenceBits {
    /// Bit 0: a session may run.
    pub start_allowed: bool,
    /// Bit 8: the decision about the authorisation is there.
    pub authorisation_done: bool,
    /// Bit 9: and it is positive.
    pub authorisation_valid: bool,
    /// Bit 10: the station has taken over the charge parameters.
    pub parameters_done: bool,
    /// Bit 16: the user wants to stop.
    pub user_stop: bool,
}

/// Reads a frame of the station: the connector it is for, and its content.
pub fn from_station(frame: &Frame) -> Option<(u8, FromStation)> {
    let number = frame.id() & 0x00FF_FFFF;
    if !frame.is_extended() || number & !0xFFF != FROM_STATION {
        return None;
    }
    let connector = (frame.id() >> 24) as u8;
    let [a, b, c, d, _, _, enable, insulation] = frame.padded();
    let content = match (number - FROM_STATION, frame.data().len()) {
        (0x000, 8) => FromStation::State {
            volts: f64::from(u16::from_le_bytes([a, b])) / 10.0,
            amperes: f64::from(i16::from_le_bytes([c, d])) / 10.0,
            system_enable: enable == 1,
            insulation,
        },
        (0x001, 8) => FromStation::Limits {
            volts: f64::from(u16::from_le_bytes([a, b])) / 10.0,
            amperes: f64::from(u16::from_le_bytes([c, d])) / 10.0,
        },
        (0x002, 3..) => FromStation::Sequence(SequenceBits {
            start_allowed: a & 1 != 0,
            authorisation_done: b & 1 != 0,
            authorisation_valid: b & 2 != 0,
            parameters_done: b & 4 != 0,
            user_stop: c & 1 != 0,
        }),
        _ => FromStation::Other,
    };
    Some((connector, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_control_has_its_bits_where_the_table_says() {
        let control = PowerControl {
            volts: 456.7,
            amperes: 123.4,
            function: Function::PowerTransfer,
            close_contactors: true,
            lower_voltage: true,
        };
        let frame = Sender::new(2).power_control(&control);
        assert_eq!(frame.id(), 0x0206_B003);
        let number = frame.padded().iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        assert_eq!((number & 0xFFFF, number >> 16 & 0xFFFF, number >> 32 & 0xFFFF), (4567, 1234, 0));
        assert_eq!((number >> 48 & 0xF, number >> 53 & 1, number >> 54 & 1, number >> 55 & 1), (8, 0, 1, 1));
    }

    #[test]
    fn frames_carry_the_connector() {
        assert_eq!(Sender::new(1).status(Status::Charging), Frame::extended(0x0106_B000, [7]));
        assert_eq!(Sender::new(2).new_session(Plug::Chademo), Frame::extended(0x0206_B001, [4, 2]));
        assert_eq!(Sender::new(1).voltages(0.0, 420.0, 0.1).data(), [0, 0, 0x68, 0x10, 1, 0]);
        assert_eq!(Sender::new(1).charge_limits(400.0, 5.0).data(), [0, 0, 0xA0, 0x0F, 0, 0, 1, 0]);
        assert_eq!(Sender::new(1).control_pilot(9, 5.0).data()[..3], [9, 50, 0]);
    }

    #[test]
    fn the_stations_frames_are_read() {
        let frame = Frame::extended(0x0106_3000, [0xA0, 0x0F, 0xF6, 0xFF, 65, 65, 1, 255]);
        let state = FromStation::State { volts: 400.0, amperes: -1.0, system_enable: true, insulation: 255 };
        assert_eq!(from_station(&frame), Some((1, state)));
        let frame = Frame::extended(0x0206_3001, [0x10, 0x27, 0xD0, 0x07, 0, 0, 0, 0]);
        assert_eq!(from_station(&frame), Some((2, FromStation::Limits { volts: 1000.0, amperes: 200.0 })));
        let frame = Frame::extended(0x0206_3002, [1, 0b11, 1]);
        let bits = SequenceBits {
            start_allowed: true,
            authorisation_done: true,
            authorisation_valid: true,
            parameters_done: false,
            user_stop: true,
        };
        assert_eq!(from_station(&frame), Some((2, FromStation::Sequence(bits))));
        assert_eq!(from_station(&Frame::extended(0x0106_B000, [1])), None);
        assert_eq!(from_station(&Frame::extended(0x0106_3000, [1])), Some((1, FromStation::Other)));
    }
}
