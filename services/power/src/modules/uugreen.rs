//! Frames of UUGreenPower UR1000X0 modules: 29-bit identifiers with the address inside, integers in thousandths, one
//! quantity in a frame (hardware notes §1.2). A module that hears nothing may go on: only off and the contactor count.

use super::alarm::{self, Alarm};
use super::driver::{Address, Capabilities, ModuleDriver, RangeMode, Ratings, Reading, Reply, Status, Target};
use crate::can::Frame;
use busbar_interfaces::{Milliamperes, Millivolts, Watts};
use std::time::Duration;

/// Protocol 1 in bits 28-25, monitor 1 in bits 24-21.
const BASE: u32 = (1 << 25) | (1 << 21);
/// The bits of both.
const BASE_BITS: u32 = 0x1FE0_0000;
/// Addresses in bits 20-14; 0 is everyone.
const ADDRESS_BITS: u32 = 0x7F;

/// Kinds of frames: a set-point, its answer, a question, its answer, a serial number.
const SET: u8 = 0;
const SET_REPLY: u8 = 1;
const READ: u8 = 2;
const READ_REPLY: u8 = 3;
const SERIAL_REPLY: u8 = 4;

const VOLTAGE: u8 = 0;
const CURRENT: u8 = 1;
const SET_VOLTAGE: u8 = 2;
const SET_CURRENT: u8 = 3;
const SWITCH: u8 = 4;
const SERIAL: u8 = 5;
const STATUS: u8 = 8;
const MAINS: [u8; 3] = [20, 21, 22];
const INLET: u8 = 30;
const FAST_CURRENTS: [u8; 2] = [47, 48];
const GROUP: u8 = 89;
const RANGE: u8 = 95;
const FAST_VOLTAGE: u8 = 98;
const AVAILABLE: u8 = 104;
const PRESENT_AND_AVAILABLE: u8 = 114;

/// The ranges of voltage; the low one ends at 500 V.
const RANGES: [RangeMode; 2] = [
    RangeMode { code: 1, maximum_voltage: Millivolts(1_000_000) },
    RangeMode { code: 2, maximum_voltage: Millivolts(500_000) },
];

/// What it can do. Its reaction to silence was not found: it is taken to go on.
const CAPABILITIES: Capabilities = Capabilities {
    silence_shutdown: None,
    // Groups take a current that is divided already.
    native_group_sharing: false,
    range_modes: &RANGES,
    minimum_voltage: Millivolts(150_000),
    walk_in: false,
    off_settle: Duration::from_secs(2),
    assumed: Ratings {
        maximum_voltage: Millivolts(1_000_000),
        minimum_voltage: Millivolts(150_000),
        maximum_current: Milliamperes(100_000),
        power: Watts(40_000),
    },
};

/// The status word. Every bit of the mask 0xB035FBFF stands against the use of the module.
const ALARMS: [(u32, Alarm); 23] = [
    (0, Alarm::InputOverVoltage),
    (1, Alarm::InputUnderVoltage),
    (2, Alarm::InputOverVoltage),
    (3, Alarm::InnerBusOverVoltage),
    (4, Alarm::InnerBusUnderVoltage),
    (5, Alarm::InnerBusUnbalanced),
    (6, Alarm::OutputOverVoltage),
    (7, Alarm::OutputOverVoltage),
    (8, Alarm::OutputUnderVoltage),
    (9, Alarm::FanStopped),
    (11, Alarm::FanDriverFault),
    (12, Alarm::OverTemperature),
    (13, Alarm::UnderTemperature),
    (14, Alarm::OverTemperature),
    (15, Alarm::OutputRelayFault),
    (16, Alarm::OverTemperature),
    (18, Alarm::InnerLinkFault),
    (20, Alarm::PfcFault),
    (21, Alarm::DcdcFault),
    (25, Alarm::OutputOff),
    (28, Alarm::OutputImbalance),
    (29, Alarm::DuplicateAddress),
    (31, Alarm::BleederFault),
];

fn frame(target: Target, kind: u8, command: u8, value: u32) -> Frame {
    let (address, group) = match target {
        Target::Module(Address(address)) => (address, 0),
        Target::Group(group) => (0, group),
        Target::Everyone => (0, 0),
    };
    let [b0, b1, b2, b3] = value.to_be_bytes();
    let data = [((group & 0x0F) << 4) | kind, command, 0, 0, b0, b1, b2, b3];
    Frame::extended(BASE | ((u32::from(address) & ADDRESS_BITS) << 14), &data)
}

fn set(module: Address, command: u8, value: u32) -> Frame {
    frame(Target::Module(module), SET, command, value)
}

fn is_ours(frame: &Frame) -> bool {
    frame.is_extended() && frame.id() & BASE_BITS == BASE
}

/// Reads a frame; `None` if it is not a module's word to us.
pub fn decode(frame: &Frame) -> Option<(Target, Reply)> {
    let address = u8::try_from((frame.id() >> 14) & ADDRESS_BITS).ok().filter(|address| *address > 0)?;
    if !is_ours(frame) {
        return None;
    }
    let &[kind, command, _, _, d4, d5, d6, d7] = frame.data() else { return None };
    let (command, value) = (command & 0x7F, u32::from_be_bytes([d4, d5, d6, d7]));
    let reply = match (kind & 0x0F, command) {
        (SET_REPLY, _) => Reply::Taken { command },
        (SERIAL_REPLY, _) | (READ_REPLY, SERIAL) => Reply::Serial(value.to_string()),
        (READ_REPLY, VOLTAGE | FAST_VOLTAGE) => Reply::Voltage(Millivolts(value)),
        (READ_REPLY, CURRENT) => Reply::Current(Milliamperes(value)),
        (READ_REPLY, fast) if FAST_CURRENTS.contains(&fast) => Reply::Current(Milliamperes(value)),
        (READ_REPLY, STATUS) => Reply::Status(Status {
            alarms: alarm::of_bits(value, &ALARMS).collect(),
            ambient_celsius: None,
            group: None,
        }),
        (READ_REPLY, INLET) => Reply::Ambient(milli_celsius(value)),
        (READ_REPLY, line) if MAINS.contains(&line) => {
            Reply::Mains(MAINS.map(|each| (each == line).then_some(Millivolts(value))))
        }
        (READ_REPLY, AVAILABLE) => Reply::Available { bus_voltage: None, current: Milliamperes(value) },
        (READ_REPLY, PRESENT_AND_AVAILABLE) => {
            let available = u32::from(u16::from_be_bytes([d6, d7])).saturating_mul(100);
            Reply::Available { bus_voltage: None, current: Milliamperes(available) }
        }
        (READ_REPLY, _) => Reply::Taken { command },
        _ => return None,
    };
    Some((Target::Module(Address(address)), reply))
}

fn milli_celsius(value: u32) -> i16 {
    i16::try_from(i32::from_be_bytes(value.to_be_bytes()) / 1000).unwrap_or(i16::MAX)
}

/// The driver.
#[derive(Debug)]
pub struct Uugreen;

impl ModuleDriver for Uugreen {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn discover(&self) -> Vec<Frame> {
        vec![frame(Target::Everyone, READ, VOLTAGE, 0)]
    }

    fn read(&self, module: Address, what: Reading) -> Vec<Frame> {
        let commands: &[u8] = match what {
            // The current last: a reading is complete with it.
            Reading::Output => &[FAST_VOLTAGE, 48],
            Reading::Status => &[STATUS, INLET],
            Reading::Ratings => &[],
            Reading::Available => &[AVAILABLE],
            Reading::Mains => &MAINS,
            Reading::Serial => &[SERIAL],
        };
        commands.iter().map(|command| frame(Target::Module(module), READ, *command, 0)).collect()
    }

    fn set(&self, module: Address, voltage: Millivolts, current: Milliamperes) -> Vec<Frame> {
        vec![set(module, SET_VOLTAGE, voltage.0), set(module, SET_CURRENT, current.0)]
    }

    fn switch(&self, target: Target, on: bool) -> Vec<Frame> {
        // To everyone only "off": each would deliver what it was told last.
        if on && target == Target::Everyone {
            return Vec::new();
        }
        vec![frame(target, SET, SWITCH, u32::from(!on))]
    }

    fn set_group(&self, module: Address, group: u8) -> Vec<Frame> {
        vec![set(module, GROUP, u32::from(group))]
    }

    fn walk_in(&self, _module: Address, _enabled: bool) -> Vec<Frame> {
        Vec::new()
    }

    fn blink(&self, _module: Address, _on: bool) -> Vec<Frame> {
        Vec::new()
    }

    fn select_range(&self, module: Address, range: RangeMode) -> Vec<Frame> {
        vec![set(module, RANGE, u32::from(range.code))]
    }

    fn is_off(&self, frame: &Frame) -> bool {
        is_ours(frame) && matches!(frame.data(), [kind, SWITCH, _, _, _, _, _, 1] if kind & 0x0F == SET)
    }

    fn is_overruled(&self, frame: &Frame, off: &Frame) -> bool {
        let address = |frame: &Frame| (frame.id() >> 14) & ADDRESS_BITS;
        let same = address(off) == 0 || address(frame) == address(off);
        let order = matches!(frame.data(), [kind, SET_VOLTAGE | SET_CURRENT | SWITCH, ..] if kind & 0x0F == SET);
        same && order && is_ours(frame) && is_ours(off)
    }

    fn decode(&self, frame: &Frame) -> Option<(Target, Reply)> {
        decode(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::alarm::Severity;
    use proptest::prelude::*;

    const ONE: Address = Address(1);

    /// A frame of module 2, with its day and the low bits of its serial number in the identifier.
    fn from_two(kind: u8, command: u8, value: [u8; 4]) -> Frame {
        let [b0, b1, b2, b3] = value;
        Frame::extended(0x0220_8000 | (17 << 9) | 0x1A5, &[kind, command, 0, 0, b0, b1, b2, b3])
    }

    #[test]
    fn frames_to_modules() {
        type Row<'a> = (&'a str, Vec<Frame>, &'a [(u32, [u8; 8])]);
        let table: [Row; 7] = [
            (
                "400 V 20 A",
                Uugreen.set(ONE, Millivolts(400_000), Milliamperes(20_000)),
                &[(0x0220_4000, [0, 2, 0, 0, 0, 0x06, 0x1A, 0x80]), (0x0220_4000, [0, 3, 0, 0, 0, 0, 0x4E, 0x20])],
            ),
            ("on", Uugreen.switch(Target::Module(Address(2)), true), &[(0x0220_8000, [0, 4, 0, 0, 0, 0, 0, 0])]),
            ("all off", Uugreen.switch(Target::Everyone, false), &[(0x0220_0000, [0, 4, 0, 0, 0, 0, 0, 1])]),
            ("all on: never", Uugreen.switch(Target::Everyone, true), &[]),
            ("group 3 off", Uugreen.switch(Target::Group(3), false), &[(0x0220_0000, [0x30, 4, 0, 0, 0, 0, 0, 1])]),
            ("low range", Uugreen.select_range(ONE, RANGES[1]), &[(0x0220_4000, [0, 95, 0, 0, 0, 0, 0, 2])]),
            (
                "output",
                Uugreen.read(ONE, Reading::Output),
                &[(0x0220_4000, [2, 98, 0, 0, 0, 0, 0, 0]), (0x0220_4000, [2, 48, 0, 0, 0, 0, 0, 0])],
            ),
        ];
        for (what, frames, expected) in table {
            let frames: Vec<(u32, Vec<u8>)> = frames.iter().map(|each| (each.id(), each.data().to_vec())).collect();
            let expected: Vec<(u32, Vec<u8>)> = expected.iter().map(|(id, data)| (*id, data.to_vec())).collect();
            assert_eq!(frames, expected, "{what}");
        }
    }

    #[test]
    fn replies_of_modules() {
        let table = [
            (3, 98, [0, 0x06, 0x1A, 0x80], Reply::Voltage(Millivolts(400_000))),
            (3, 48, [0, 0, 0x4E, 0x20], Reply::Current(Milliamperes(20_000))),
            (3, 30, [0xFF, 0xFF, 0xD8, 0xF0], Reply::Ambient(-10)),
            (3, 21, [0, 0x06, 0x1A, 0x80], Reply::Mains([None, Some(Millivolts(400_000)), None])),
            (3, 104, [0, 0, 0x4E, 0x20], Reply::Available { bus_voltage: None, current: Milliamperes(20_000) }),
            (3, 114, [0, 10, 0, 200], Reply::Available { bus_voltage: None, current: Milliamperes(20_000) }),
            (4, 5, [0, 0, 0, 99], Reply::Serial("99".to_owned())),
            (1, 4, [0; 4], Reply::Taken { command: 4 }),
        ];
        for (kind, command, value, reply) in table {
            let from = Target::Module(Address(2));
            assert_eq!(decode(&from_two(kind, command, value)), Some((from, reply)), "{kind} {command}");
        }
        assert_eq!(decode(&from_two(2, 98, [0; 4])), None, "our own question");
        assert_eq!(decode(&Frame::extended(0x0283_F001, &[3; 8])), None, "another make");
    }

    #[test]
    fn the_bits_that_stand_against_use_are_those_of_the_makers_mask() {
        for bit in 0..32 {
            let word = 1u32 << bit;
            let Some((_, Reply::Status(status))) = decode(&from_two(3, 8, word.to_be_bytes())) else { panic!("{bit}") };
            let against = alarm::worst(&status.alarms) >= Severity::Unavailable;
            assert_eq!(against, word & 0xB035_FBFF != 0, "bit {bit}: {status:?}");
        }
    }

    #[test]
    fn off_overrules_orders_and_no_questions() {
        let off = |target| Uugreen.switch(target, false).remove(0);
        let (one, all) = (off(Target::Module(ONE)), off(Target::Everyone));
        let set = |module| Uugreen.set(Address(module), Millivolts(1), Milliamperes(1)).remove(1);
        let question = Uugreen.read(ONE, Reading::Output).remove(0);
        let table = [(set(1), true, true), (set(2), false, true), (question, false, false)];
        for (frame, by_one, by_all) in table {
            let overruled = (Uugreen.is_overruled(&frame, &one), Uugreen.is_overruled(&frame, &all));
            assert_eq!(overruled, (by_one, by_all), "{frame:?}");
        }
        assert!(Uugreen.is_off(&one) && Uugreen.is_off(&all));
        assert!(!Uugreen.is_off(&Uugreen.switch(Target::Module(ONE), true).remove(0)));
    }

    proptest! {
        #[test]
        fn no_frame_is_a_panic(id in 0u32..0x2000_0000, data in proptest::collection::vec(any::<u8>(), 0..=8)) {
            let _ = decode(&Frame::extended(id, &data));
        }
    }
}
