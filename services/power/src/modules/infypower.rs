//! Frames of Infypower REG/CEG/LRG modules, protocol V1.13: 29-bit identifiers, eight bytes, big-endian. Bits 28-26
//! error, 25-22 device, 21-16 command, 15-8 destination, 7-0 source; a reply swaps the last two (hardware notes §1.1).
#![cfg_attr(not(test), expect(dead_code, reason = "the whole protocol is here; the rack speaks a part of it"))]

use super::alarm::{self, Alarm};
pub use super::driver::Address;
use super::driver::{Asked, Capabilities, ModuleDriver, RangeMode, Ratings, Reading, Refusal, Reply, Status, Target};
use crate::can::Frame;
use crate::watchdogs;
use busbar_interfaces::{Milliamperes, Millivolts, Watts};
use std::time::Duration;

/// Our address as controller.
const CONTROLLER: u8 = 0xF0;
/// The first number that is no module's address: every module, as destination and in replies of the whole system.
const ALL: u8 = 0x3F;
/// The device field of frames that concern one module or all of them.
const DEVICE_MODULE: u8 = 0x0A;
/// Likewise a group.
const DEVICE_GROUP: u8 = 0x0B;

const READ_TOTAL: u8 = 0x01;
const READ_COUNT: u8 = 0x02;
const READ_OUTPUT: u8 = 0x03;
const READ_STATUS: u8 = 0x04;
const READ_MAINS: u8 = 0x06;
const READ_RATINGS: u8 = 0x0A;
const READ_BARCODE: u8 = 0x0B;
const READ_AVAILABLE: u8 = 0x0C;
const WALK_IN: u8 = 0x13;
const BLINK: u8 = 0x14;
const SET_GROUP: u8 = 0x16;
const SWITCH: u8 = 0x1A;
const SET_TOTAL: u8 = 0x1B;
const SET_OUTPUT: u8 = 0x1C;
const ADDRESS_MODE: u8 = 0x1F;

/// What it can do. Modules switch off after 10 s of silence; its readings tell when the current is gone.
const CAPABILITIES: Capabilities = Capabilities {
    silence_shutdown: Some(watchdogs::CONTROLLER_TO_MODULE.limit),
    native_group_sharing: true,
    range_modes: &[],
    minimum_voltage: Millivolts(100_000),
    walk_in: true,
    off_settle: Duration::ZERO,
    assumed: Ratings {
        maximum_voltage: Millivolts(1_000_000),
        minimum_voltage: Millivolts(150_000),
        maximum_current: Milliamperes(100_000),
        power: Watts(30_000),
    },
};

/// The status bits; numbers 0 to 7 are state0 (byte 7), 8 to 15 state1 (byte 6), 16 to 23 state2 (byte 5).
const STATUS: [(u32, Alarm); 21] = [
    (0, Alarm::OutputShort),
    (2, Alarm::InternalCommunication),
    (3, Alarm::InputOrBusAbnormal),
    (4, Alarm::Sleeping),
    (5, Alarm::DischargeAbnormal),
    (8, Alarm::OutputOff),
    (9, Alarm::ModuleFault),
    (10, Alarm::Protection),
    (11, Alarm::FanFault),
    (12, Alarm::OverTemperature),
    (13, Alarm::OutputOverVoltage),
    (14, Alarm::WalkIn),
    (15, Alarm::ControllerLost),
    (16, Alarm::Derating),
    (17, Alarm::DuplicateAddress),
    (18, Alarm::CurrentImbalance),
    (19, Alarm::InputPhaseLost),
    (20, Alarm::InputUnbalanced),
    (21, Alarm::InputUnderVoltage),
    (22, Alarm::InputOverVoltage),
    (23, Alarm::PfcOff),
];

/// Who allots addresses and groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressMode {
    /// The modules their addresses, the dial the group.
    Automatic,
    /// The dial the address, a command the group.
    ByDial,
}

fn identifier(device: u8, command: u8, destination: u8, source: u8) -> u32 {
    (u32::from(device) << 22) | (u32::from(command) << 16) | (u32::from(destination) << 8) | u32::from(source)
}

fn to(target: Target, command: u8, data: [u8; 8]) -> Frame {
    let (device, destination) = match target {
        Target::Module(Address(address)) => (DEVICE_MODULE, address),
        Target::Group(group) => (DEVICE_GROUP, group),
        Target::Everyone => (DEVICE_MODULE, ALL),
    };
    Frame::extended(identifier(device, command, destination, CONTROLLER), &data)
}

fn with_byte(module: Address, command: u8, byte: u8) -> Frame {
    to(Target::Module(module), command, [byte, 0, 0, 0, 0, 0, 0, 0])
}

fn set_point(voltage: u32, current: u32) -> [u8; 8] {
    let ([v0, v1, v2, v3], [i0, i1, i2, i3]) = (voltage.to_be_bytes(), current.to_be_bytes());
    [v0, v1, v2, v3, i0, i1, i2, i3]
}

/// Asks a group or the whole system for its voltage and the sum of its currents.
pub fn read_total(target: Target) -> Frame {
    to(target, READ_TOTAL, [0; 8])
}

/// Asks how many modules there are.
pub fn read_count(target: Target) -> Frame {
    to(target, READ_COUNT, [0; 8])
}

/// Asks for output voltage and current.
pub fn read_output(module: Address) -> Frame {
    to(Target::Module(module), READ_OUTPUT, [0; 8])
}

/// Asks for the status bits.
pub fn read_status(module: Address) -> Frame {
    to(Target::Module(module), READ_STATUS, [0; 8])
}

/// Sets voltage and current of one module.
pub fn set_output(module: Address, millivolts: u32, milliamperes: u32) -> Frame {
    to(Target::Module(module), SET_OUTPUT, set_point(millivolts, milliamperes))
}

/// Sets the voltage of a group or of the whole system and the total that its modules divide among themselves.
pub fn set_total(target: Target, millivolts: u32, milliamperes: u32) -> Frame {
    to(target, SET_TOTAL, set_point(millivolts, milliamperes))
}

/// Switches one module; on the wire 0 is on and 1 is off.
pub fn switch(module: Address, on: bool) -> Frame {
    switch_target(Target::Module(module), on)
}

/// Switches a module, a group or everyone.
pub fn switch_target(target: Target, on: bool) -> Frame {
    to(target, SWITCH, [u8::from(!on), 0, 0, 0, 0, 0, 0, 0])
}

/// Says who allots addresses and groups.
pub fn address_mode(target: Target, mode: AddressMode) -> Frame {
    to(target, ADDRESS_MODE, [u8::from(mode == AddressMode::ByDial), 0, 0, 0, 0, 0, 0, 0])
}

fn is_ours(frame: &Frame) -> bool {
    let device = (frame.id() >> 22) & 0x0F;
    device == u32::from(DEVICE_MODULE) || device == u32::from(DEVICE_GROUP)
}

fn command_of(frame: &Frame) -> u8 {
    let [_, command, ..] = frame.id().to_be_bytes();
    command & 0x3F
}

fn destination_of(frame: &Frame) -> u8 {
    let [_, _, destination, _] = frame.id().to_be_bytes();
    destination
}

/// The frame switches a module, or every module, off.
pub fn is_off(frame: &Frame) -> bool {
    is_ours(frame) && command_of(frame) == SWITCH && frame.data().first() == Some(&1)
}

/// `off` is for the module that this frame orders something of; a question is no order.
pub fn is_overruled(frame: &Frame, off: &Frame) -> bool {
    let same = destination_of(off) == ALL || destination_of(frame) == destination_of(off);
    same && is_ours(frame) && is_ours(off) && matches!(command_of(frame), SWITCH | SET_OUTPUT | SET_TOTAL)
}

/// Reads a frame; `None` if it is not a module's word to us.
pub fn decode(frame: &Frame) -> Option<(Target, Reply)> {
    let [id0, id1, destination, source] = frame.id().to_be_bytes();
    let (error, device, command) = (id0 >> 2, ((id0 & 0b11) << 2) | (id1 >> 6), id1 & 0x3F);
    if !frame.is_extended() || destination != CONTROLLER {
        return None;
    }
    let from = match (device, source) {
        (DEVICE_MODULE, ALL) => Target::Everyone,
        (DEVICE_MODULE, address) if address < ALL => Target::Module(Address(address)),
        (DEVICE_GROUP, group) if group < CONTROLLER => Target::Group(group),
        _ => return None,
    };
    let &[d0, d1, d2, d3, d4, d5, d6, d7] = frame.data() else { return None };
    let word = |high: u8, low: u8| u32::from(u16::from_be_bytes([high, low]));
    let tenths = |high: u8, low: u8| word(high, low).saturating_mul(100);
    let reply = match command {
        _ if error != 0 => Reply::Refused { command, asked: asked_by(command), refusal: refusal(error) },
        READ_TOTAL | READ_OUTPUT => {
            let (volts, amperes) = (f32::from_be_bytes([d0, d1, d2, d3]), f32::from_be_bytes([d4, d5, d6, d7]));
            match (milli(volts), milli(amperes)) {
                (Some(volts), Some(amperes)) => {
                    Reply::Output { voltage: Millivolts(volts), current: Milliamperes(amperes) }
                }
                _ => Reply::Unreadable { command },
            }
        }
        READ_COUNT => Reply::Count(d2),
        READ_STATUS => {
            let bits = u32::from_be_bytes([0, d5, d6, d7]);
            let alarms = alarm::of_bits(bits, &STATUS).collect();
            let ambient_celsius = Some(i16::from(i8::from_be_bytes([d4])));
            Reply::Status(Status { alarms, ambient_celsius, group: Some(d2) })
        }
        READ_MAINS => {
            Reply::Mains([(d0, d1), (d2, d3), (d4, d5)].map(|(high, low)| Some(Millivolts(tenths(high, low)))))
        }
        READ_RATINGS => Reply::Ratings(Ratings {
            maximum_voltage: Millivolts(word(d0, d1).saturating_mul(1000)),
            minimum_voltage: Millivolts(word(d2, d3).saturating_mul(1000)),
            maximum_current: Milliamperes(tenths(d4, d5)),
            power: Watts(word(d6, d7).saturating_mul(10)),
        }),
        READ_BARCODE => Reply::Serial(barcode(d0, [d1, d2, d3, d4, d5], word(d6, d7))),
        READ_AVAILABLE => {
            Reply::Available { bus_voltage: Some(Millivolts(tenths(d0, d1))), current: Milliamperes(tenths(d2, d3)) }
        }
        _ => Reply::Taken { command },
    };
    Some((from, reply))
}

fn refusal(error: u8) -> Refusal {
    match error {
        2 => Refusal::CommandInvalid,
        3 => Refusal::DataInvalid,
        7 => Refusal::Busy,
        other => Refusal::Other(other),
    }
}

fn asked_by(command: u8) -> Asked {
    match command {
        READ_OUTPUT => Asked::Reading(Reading::Output),
        READ_STATUS => Asked::Reading(Reading::Status),
        READ_MAINS => Asked::Reading(Reading::Mains),
        READ_RATINGS => Asked::Reading(Reading::Ratings),
        READ_BARCODE => Asked::Reading(Reading::Serial),
        READ_AVAILABLE => Asked::Reading(Reading::Available),
        SWITCH | SET_OUTPUT | SET_TOTAL => Asked::Order,
        _ => Asked::Setting,
    }
}

/// Seventeen characters: twelve digits as a number of 40 bits, a letter, four digits as a number of 16 bits.
fn barcode(letter: u8, digits: [u8; 5], last: u32) -> String {
    let [b0, b1, b2, b3, b4] = digits;
    let first = u64::from_be_bytes([0, 0, 0, b0, b1, b2, b3, b4]);
    let letter = char::from(letter);
    let letter = if letter.is_ascii_alphanumeric() { letter } else { '?' };
    format!("{first:012}{letter}{last:04}")
}

/// Thousandths of a quantity, whatever its sign; nothing of what is no number.
fn milli(value: f32) -> Option<u32> {
    let milli = (f64::from(value) * 1000.0).round().abs();
    milli.is_finite().then(|| milli.min(f64::from(u32::MAX)) as u32)
}

/// The driver.
#[derive(Debug)]
pub struct Infypower;

impl ModuleDriver for Infypower {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn discover(&self) -> Vec<Frame> {
        vec![read_count(Target::Everyone), to(Target::Everyone, READ_OUTPUT, [0; 8])]
    }

    fn read(&self, module: Address, what: Reading) -> Vec<Frame> {
        let command = match what {
            Reading::Output => READ_OUTPUT,
            Reading::Status => READ_STATUS,
            Reading::Ratings => READ_RATINGS,
            Reading::Available => READ_AVAILABLE,
            Reading::Mains => READ_MAINS,
            Reading::Serial => READ_BARCODE,
        };
        vec![to(Target::Module(module), command, [0; 8])]
    }

    fn set(&self, module: Address, voltage: Millivolts, current: Milliamperes) -> Vec<Frame> {
        vec![set_output(module, voltage.0, current.0)]
    }

    fn switch(&self, target: Target, on: bool) -> Vec<Frame> {
        vec![switch_target(target, on)]
    }

    fn set_group(&self, module: Address, group: u8) -> Vec<Frame> {
        vec![with_byte(module, SET_GROUP, group)]
    }

    fn walk_in(&self, module: Address, enabled: bool) -> Vec<Frame> {
        vec![with_byte(module, WALK_IN, u8::from(enabled))]
    }

    fn blink(&self, module: Address, on: bool) -> Vec<Frame> {
        vec![with_byte(module, BLINK, u8::from(on))]
    }

    fn select_range(&self, _module: Address, _range: RangeMode) -> Vec<Frame> {
        Vec::new()
    }

    fn is_off(&self, frame: &Frame) -> bool {
        is_off(frame)
    }

    fn is_overruled(&self, frame: &Frame, off: &Frame) -> bool {
        is_overruled(frame, off)
    }

    fn decode(&self, frame: &Frame) -> Option<(Target, Reply)> {
        decode(frame)
    }
}

#[cfg(test)]
mod tests;
