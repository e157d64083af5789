//! Frames of Infypower REG/CEG/LRG modules, protocol V1.13: 29-bit identifiers, eight bytes, big-endian. Bits 28-26
//! error, 25-22 device, 21-16 command, 15-8 destination, 7-0 source; a reply swaps the last two.

use crate::can::Frame;

/// Our address as controller.
const CONTROLLER: u8 = 0xF0;
/// The first number that is no module's address: the destination "every module".
const ALL: u8 = 0x3F;
/// The device field of frames that concern one module or all of them.
const DEVICE_MODULE: u32 = 0x0A;

const READ_OUTPUT: u8 = 0x03;
const READ_STATUS: u8 = 0x04;
const READ_RATINGS: u8 = 0x0A;
const SWITCH: u8 = 0x1A;
const SET_OUTPUT: u8 = 0x1C;

/// A module's address on its bus, 0x00 to 0x3E.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub u8);

/// What a module said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reply {
    /// Output voltage and current.
    Output { volts: f32, amperes: f32 },
    /// Status bits.
    Status(Status),
    /// Ratings.
    Ratings { maximum_volts: u16, maximum_deciamperes: u16, decawatts: u16 },
    /// It took a command, or refused it with an error.
    Taken { command: u8, error: u8 },
}

/// A module's status bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// Bit 0 short circuit, 4 sleeping, 5 discharge abnormal.
    pub state0: u8,
    /// Bit 0 DC side off, 1 fault, 2 protection, 3 fan, 4 over-temperature, 5 over-voltage, 7 lost its controller.
    pub state1: u8,
    /// Bit 0 derating, 1 duplicate address, 2 imbalance, 3 to 6 mains, 7 PFC side off.
    pub state2: u8,
    /// Air at its inlet, °C.
    pub ambient_celsius: i8,
}

impl Status {
    /// It must not be used: short circuit, fault, duplicate address, over-voltage.
    pub fn is_unusable(&self) -> bool {
        self.state0 & 0b1 != 0 || self.state1 & 0b10_0010 != 0 || self.state2 & 0b10 != 0
    }
}

fn identifier(command: u8, destination: u8, source: u8) -> u32 {
    (DEVICE_MODULE << 22) | (u32::from(command) << 16) | (u32::from(destination) << 8) | u32::from(source)
}

fn to(module: u8, command: u8, data: [u8; 8]) -> Frame {
    Frame::extended(identifier(command, module, CONTROLLER), &data)
}

/// Asks for output voltage and current.
pub fn read_output(module: Address) -> Frame {
    to(module.0, READ_OUTPUT, [0; 8])
}

/// Asks for the status bits.
pub fn read_status(module: Address) -> Frame {
    to(module.0, READ_STATUS, [0; 8])
}

/// Asks for the ratings.
pub fn read_ratings(module: Address) -> Frame {
    to(module.0, READ_RATINGS, [0; 8])
}

/// Sets voltage and current of one module.
pub fn set_output(module: Address, millivolts: u32, milliamperes: u32) -> Frame {
    let [v0, v1, v2, v3] = millivolts.to_be_bytes();
    let [i0, i1, i2, i3] = milliamperes.to_be_bytes();
    to(module.0, SET_OUTPUT, [v0, v1, v2, v3, i0, i1, i2, i3])
}

/// Switches one module; on the wire 0 is on and 1 is off.
pub fn switch(module: Address, on: bool) -> Frame {
    to(module.0, SWITCH, [u8::from(!on), 0, 0, 0, 0, 0, 0, 0])
}

/// The frame switches a module off.
pub fn is_off(frame: &Frame) -> bool {
    let command = frame.id().to_be_bytes().get(1).map(|byte| byte & 0x3F);
    command == Some(SWITCH) && frame.data().first() == Some(&1)
}

/// `off` is for the module that this frame orders something of; a question is no order.
pub fn is_overruled(frame: &Frame, off: &Frame) -> bool {
    let command = frame.id().to_be_bytes().get(1).map(|byte| byte & 0x3F);
    frame.id() & 0xFF00 == off.id() & 0xFF00 && matches!(command, Some(SWITCH | SET_OUTPUT))
}

/// Reads a frame; `None` if it is not a module's word to us.
pub fn decode(frame: &Frame) -> Option<(Address, Reply)> {
    let [id0, id1, destination, source] = frame.id().to_be_bytes();
    let (error, device, command) = (id0 >> 2, (u32::from(id0 & 0b11) << 2) | u32::from(id1 >> 6), id1 & 0x3F);
    if !frame.is_extended() || device != DEVICE_MODULE || destination != CONTROLLER || source >= ALL {
        return None;
    }
    let &[d0, d1, d2, d3, d4, d5, d6, d7] = frame.data() else { return None };
    let reply = match command {
        _ if error != 0 => Reply::Taken { command, error },
        READ_OUTPUT => {
            Reply::Output { volts: f32::from_be_bytes([d0, d1, d2, d3]), amperes: f32::from_be_bytes([d4, d5, d6, d7]) }
        }
        READ_STATUS => {
            Reply::Status(Status { state0: d7, state1: d6, state2: d5, ambient_celsius: i8::from_be_bytes([d4]) })
        }
        READ_RATINGS => Reply::Ratings {
            maximum_volts: u16::from_be_bytes([d0, d1]),
            maximum_deciamperes: u16::from_be_bytes([d4, d5]),
            decawatts: u16::from_be_bytes([d6, d7]),
        },
        _ => Reply::Taken { command, error },
    };
    Some((Address(source), reply))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_documents_sample_frames() {
        assert_eq!(read_output(Address(1)).id(), 0x0283_01F0);
        assert_eq!(read_status(Address(1)).id(), 0x0284_01F0);
        assert_eq!(set_output(Address(5), 500_000, 50_000).id(), 0x029C_05F0);
        assert_eq!(set_output(Address(5), 500_000, 50_000).data(), [0x00, 0x07, 0xA1, 0x20, 0x00, 0x00, 0xC3, 0x50]);
        assert_eq!((switch(Address(1), false).id(), switch(Address(1), false).data()[0]), (0x029A_01F0, 1));
    }

    #[test]
    fn the_documents_sample_replies() {
        let output = Frame::extended(0x0283_F001, &[0x43, 0xFA, 0, 0, 0x42, 0x48, 0, 0]);
        assert_eq!(decode(&output), Some((Address(1), Reply::Output { volts: 500.0, amperes: 50.0 })));
        let status = Frame::extended(0x0284_F001, &[0, 0, 2, 0, 0x1B, 0, 0x40, 0]);
        let expected = Status { state0: 0, state1: 0x40, state2: 0, ambient_celsius: 27 };
        assert_eq!(decode(&status), Some((Address(1), Reply::Status(expected))));
        assert!(!expected.is_unusable());
        let ratings = Frame::extended(0x028A_F003, &[0x02, 0xEE, 0, 0x64, 0x01, 0, 0x05, 0xDC]);
        let expected = Reply::Ratings { maximum_volts: 750, maximum_deciamperes: 256, decawatts: 1500 };
        assert_eq!(decode(&ratings), Some((Address(3), expected)));
    }

    #[test]
    fn our_own_frames_and_errors_are_told_apart() {
        assert_eq!(decode(&read_output(Address(1))), None);
        let refused = Frame::extended(0x0283_F001 | (2 << 26), &[0; 8]);
        assert_eq!(decode(&refused), Some((Address(1), Reply::Taken { command: 3, error: 2 })));
    }

    proptest! {
        #[test]
        fn no_frame_is_a_panic(id in 0u32..0x2000_0000, data in proptest::collection::vec(any::<u8>(), 0..=8)) {
            let _ = decode(&Frame::extended(id, &data));
        }
    }
}
