//! The Infypower V1.13 frames as a power module sees them: identifiers, commands and payloads.
//!
//! Only the coding is here. What a module does with a command is in `module` and `modules`.

use crate::frame::Frame;

/// Destination that means every module.
pub const EVERY_MODULE: u8 = 0x3F;

/// The error field of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Done.
    Accepted = 0,
    /// The module does not know the command.
    CommandInvalid = 2,
    /// The payload asks for something the module cannot do.
    DataInvalid = 3,
}

/// The five fields of the 29-bit identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identifier {
    /// 0 in requests.
    pub error: u8,
    /// How the destination is to be read.
    pub device: Device,
    /// The command number.
    pub command: u8,
    /// Who shall act.
    pub destination: u8,
    /// Who sent it.
    pub source: u8,
}

/// Whether the destination is a module address or a group number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// One module, or all with [`EVERY_MODULE`].
    Module = 0x0A,
    /// A group of modules.
    Group = 0x0B,
}

impl Identifier {
    /// The identifier as a number.
    pub fn encode(self) -> u32 {
        u32::from(self.error & 7) << 26
            | (self.device as u32) << 22
            | u32::from(self.command & 0x3F) << 16
            | u32::from(self.destination) << 8
            | u32::from(self.source)
    }

    /// The fields of a number; `None` for a device this protocol does not have.
    pub fn decode(id: u32) -> Option<Self> {
        let [top, middle, destination, source] = id.to_be_bytes();
        let device = match (id >> 22) & 0x0F {
            0x0A => Device::Module,
            0x0B => Device::Group,
            _ => return None,
        };
        Some(Self { error: (top >> 2) & 7, device, command: middle & 0x3F, destination, source })
    }

    /// True when the sender is the station's controller.
    pub fn is_from_controller(self) -> bool {
        (0xF0..=0xF8).contains(&self.source)
    }
}

/// What the controller asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// 0x01: mean voltage and total current of the group or the system.
    ReadTotal,
    /// 0x02: number of modules.
    Count,
    /// 0x03: voltage and current of a module.
    ReadOutput,
    /// 0x04: status.
    ReadStatus,
    /// 0x06: mains line voltages.
    ReadMains,
    /// 0x0A: ratings.
    ReadRatings,
    /// 0x0C: voltage behind the diode and the current available now.
    ReadAvailable,
    /// 0x13: soft start on or off.
    WalkIn(bool),
    /// 0x14: blink to be found.
    Blink(bool),
    /// 0x16: join a group.
    SetGroup(u8),
    /// 0x1A: on or off.
    SwitchOn(bool),
    /// 0x1B: a total that the members share.
    SetTotal(SetPoint),
    /// 0x1C: voltage and current of one module.
    SetModule(SetPoint),
}

/// A voltage and a current limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetPoint {
    /// Voltage limit.
    pub millivolts: u32,
    /// Current limit.
    pub milliamperes: u32,
}

impl Request {
    /// Reads command and payload of a request.
    ///
    /// # Errors
    /// The verdict to answer with when the command or its data make no sense.
    pub fn decode(command: u8, payload: [u8; 8]) -> Result<Self, Verdict> {
        let [first, second, third, fourth, rest @ ..] = payload;
        let set_point = SetPoint {
            millivolts: u32::from_be_bytes([first, second, third, fourth]),
            milliamperes: u32::from_be_bytes(rest),
        };
        let switch = match first {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Verdict::DataInvalid),
        };
        Ok(match command {
            0x01 => Self::ReadTotal,
            0x02 => Self::Count,
            0x03 => Self::ReadOutput,
            0x04 => Self::ReadStatus,
            0x06 => Self::ReadMains,
            0x0A => Self::ReadRatings,
            0x0C => Self::ReadAvailable,
            0x13 => Self::WalkIn(switch?),
            0x14 => Self::Blink(switch?),
            0x16 => Self::SetGroup(first),
            // On is zero here.
            0x1A => Self::SwitchOn(!switch?),
            0x1B => Self::SetTotal(set_point),
            0x1C => Self::SetModule(set_point),
            _ => return Err(Verdict::CommandInvalid),
        })
    }
}

/// The reply to `request`: source and destination swapped, `from` as the answering address.
pub fn reply(request: Identifier, from: u8, verdict: Verdict, payload: [u8; 8]) -> Frame {
    let id = Identifier { error: verdict as u8, destination: request.source, source: from, ..request };
    Frame::extended(id.encode(), payload)
}

/// Payload of 0x01 and 0x03.
pub fn output(volts: f64, amperes: f64) -> [u8; 8] {
    let [a, b, c, d] = (volts as f32).to_be_bytes();
    let [e, f, g, h] = (amperes as f32).to_be_bytes();
    [a, b, c, d, e, f, g, h]
}

/// Payload of 0x02.
pub fn count(modules: usize) -> [u8; 8] {
    [0, 0, u8::try_from(modules).unwrap_or(u8::MAX), 0, 0, 0, 0, 0]
}

/// Payload of four words of 16 bits, as 0x06, 0x0A and 0x0C use them.
pub fn words(values: [f64; 4]) -> [u8; 8] {
    let [[a, b], [c, d], [e, f], [g, h]] = values.map(|value| (value.round() as u16).to_be_bytes());
    [a, b, c, d, e, f, g, h]
}

/// The bits of 0x04 that this plant can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Group number.
    pub group: u8,
    /// Ambient temperature.
    pub ambient_celsius: i8,
    /// State 0, bit 0: the output is short-circuited.
    pub short: bool,
    /// State 1, bit 0: the output stage is off.
    pub output_off: bool,
    /// State 1, bit 1: the module is broken.
    pub fault: bool,
    /// State 1, bit 2: a protection has tripped.
    pub tripped: bool,
    /// State 1, bit 3: the fan does not turn.
    pub fan: bool,
    /// State 1, bit 4: it is too hot.
    pub over_temperature: bool,
    /// State 1, bit 5: too much voltage at the output.
    pub over_voltage: bool,
    /// State 1, bit 6: soft start is enabled.
    pub walk_in: bool,
    /// State 1, bit 7: the module has not heard the controller for too long.
    pub controller_lost: bool,
    /// State 2, bit 0: the power limit holds the output below its set-point.
    pub derating: bool,
    /// State 2, bit 1: another module has the same address.
    pub duplicate_address: bool,
    /// State 2, bit 2: the current is far from that of the others.
    pub imbalance: bool,
    /// State 2, bit 3: a mains phase is gone.
    pub phase_lost: bool,
    /// State 2, bit 5: the mains voltage is too low.
    pub mains_low: bool,
    /// State 2, bit 6: the mains voltage is too high.
    pub mains_high: bool,
    /// State 2, bit 7: the mains side is off.
    pub mains_side_off: bool,
}

impl Status {
    /// The three state bytes, state 0 first.
    pub fn states(self) -> [u8; 3] {
        let state0 = [self.short, false, false, false, false, false, false, false];
        let state1 = [
            self.output_off,
            self.fault,
            self.tripped,
            self.fan,
            self.over_temperature,
            self.over_voltage,
            self.walk_in,
            self.controller_lost,
        ];
        let state2 = [
            self.derating,
            self.duplicate_address,
            self.imbalance,
            self.phase_lost,
            false,
            self.mains_low,
            self.mains_high,
            self.mains_side_off,
        ];
        [state0, state1, state2].map(|bits| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit)))
    }

    /// Payload of 0x04.
    pub fn encode(self) -> [u8; 8] {
        let [ambient] = self.ambient_celsius.to_be_bytes();
        let [state0, state1, state2] = self.states();
        [0, 0, self.group, 0, ambient, state2, state1, state0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_match_the_published_samples() {
        let module =
            |command, destination| Identifier { error: 0, device: Device::Module, command, destination, source: 0xF0 };
        let group = |command| Identifier { device: Device::Group, ..module(command, 1) };
        for (id, expected) in [
            (module(0x02, 0x3F), 0x0282_3FF0),
            (module(0x03, 1), 0x0283_01F0),
            (module(0x04, 1), 0x0284_01F0),
            (module(0x1C, 5), 0x029C_05F0),
            (module(0x1A, 0x3F), 0x029A_3FF0),
            (module(0x1B, 0x3F), 0x029B_3FF0),
            (group(0x1A), 0x02DA_01F0),
            (group(0x1B), 0x02DB_01F0),
            (group(0x01), 0x02C1_01F0),
        ] {
            assert_eq!(id.encode(), expected);
            assert_eq!(Identifier::decode(expected), Some(id));
        }
        assert_eq!(Identifier::decode(0x0106_B000), None);
    }

    #[test]
    fn replies_swap_source_and_destination() {
        let asked = |id| Identifier::decode(id).unwrap();
        let frame = reply(asked(0x0283_01F0), 1, Verdict::Accepted, output(500.0, 50.0));
        assert_eq!(frame.id(), 0x0283_F001);
        assert_eq!(frame.data(), [0x43, 0xFA, 0, 0, 0x42, 0x48, 0, 0]);
        assert_eq!(reply(asked(0x02C1_01F0), 1, Verdict::Accepted, [0; 8]).id(), 0x02C1_F001);
        let frame = reply(asked(0x0282_3FF0), 0x3F, Verdict::Accepted, count(7));
        assert_eq!((frame.id(), frame.data()), (0x0282_F03F, [0, 0, 7, 0, 0, 0, 0, 0].as_slice()));
        assert_eq!(reply(asked(0x0283_01F0), 1, Verdict::CommandInvalid, [0; 8]).id(), 0x0A83_F001);
    }

    #[test]
    fn payloads_match_the_published_samples() {
        assert_eq!(words([4020.0, 4005.0, 4007.0, 0.0])[..6], [0x0F, 0xB4, 0x0F, 0xA5, 0x0F, 0xA7]);
        assert_eq!(words([750.0, 100.0, 256.0, 1500.0]), [0x02, 0xEE, 0, 0x64, 1, 0, 5, 0xDC]);
        assert_eq!(words([4952.0, 358.0, 0.0, 0.0])[..4], [0x13, 0x58, 0x01, 0x66]);
        let status = Status { group: 2, ambient_celsius: 27, walk_in: true, ..Status::default() };
        assert_eq!(status.encode(), [0, 0, 2, 0, 0x1B, 0, 0x40, 0]);
        assert_eq!(
            Request::decode(0x1C, [0, 0x07, 0xA1, 0x20, 0, 0, 0xC3, 0x50]),
            Ok(Request::SetModule(SetPoint { millivolts: 500_000, milliamperes: 50_000 }))
        );
        assert_eq!(Request::decode(0x1A, [1, 0, 0, 0, 0, 0, 0, 0]), Ok(Request::SwitchOn(false)));
        assert_eq!(Request::decode(0x1A, [7, 0, 0, 0, 0, 0, 0, 0]), Err(Verdict::DataInvalid));
        assert_eq!(Request::decode(0x33, [0; 8]), Err(Verdict::CommandInvalid));
    }
}
