//! The boundary to a make of modules: frames out, replies in, and what the make can do (hardware notes §1.4). A driver
//! is a codec without state; what a module is told and when is the business of `module`.

use super::alarm::Alarm;
use super::infypower::Infypower;
use super::uugreen::Uugreen;
use crate::can::Frame;
use busbar_interfaces::{Milliamperes, Millivolts, Watts};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// A module's address on its bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address(pub u8);

/// Whom a frame is for, or from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One module.
    Module(Address),
    /// The modules of a group, which speak with one voice.
    Group(u8),
    /// Every module on the bus.
    Everyone,
}

/// What can be asked of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reading {
    /// Output voltage and current.
    Output,
    /// Status and alarms.
    Status,
    /// Ratings.
    Ratings,
    /// The voltage beyond its output diode, and the current that it could give now.
    Available,
    /// The voltages of the mains.
    Mains,
    /// Its serial number.
    Serial,
}

/// What a module can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ratings {
    /// Highest voltage.
    pub maximum_voltage: Millivolts,
    /// Lowest voltage at which it regulates.
    pub minimum_voltage: Millivolts,
    /// Highest current.
    pub maximum_current: Milliamperes,
    /// Highest power.
    pub power: Watts,
}

/// What a module says of its condition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// What it reports.
    pub alarms: BTreeSet<Alarm>,
    /// Air at its inlet, °C.
    pub ambient_celsius: Option<i16>,
    /// Its group.
    pub group: Option<u8>,
}

/// Why a module does not do as told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It does not know the command.
    CommandInvalid,
    /// It does not take the data.
    DataInvalid,
    /// It is starting up.
    Busy,
    /// Another error, by its number.
    Other(u8),
}

/// What a refused command was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A question.
    Reading(Reading),
    /// A set-point, or on or off.
    Order,
    /// Anything else.
    Setting,
}

/// What was said. A make that tells one quantity in a frame tells `Voltage` and `Current` apart.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// Output voltage and current.
    Output { voltage: Millivolts, current: Milliamperes },
    /// Output voltage alone.
    Voltage(Millivolts),
    /// Output current alone.
    Current(Milliamperes),
    /// Status and alarms.
    Status(Status),
    /// Air at its inlet, °C.
    Ambient(i16),
    /// Ratings.
    Ratings(Ratings),
    /// The voltage beyond its output diode, where it is told, and the current that it could give now.
    Available { bus_voltage: Option<Millivolts>, current: Milliamperes },
    /// The line voltages of the mains; a make may tell one at a time.
    Mains([Option<Millivolts>; 3]),
    /// Its serial number.
    Serial(String),
    /// How many modules there are.
    Count(u8),
    /// It took a command.
    Taken { command: u8 },
    /// It refused a command.
    Refused { command: u8, asked: Asked, refusal: Refusal },
    /// It spoke, and the values are no numbers.
    Unreadable { command: u8 },
}

/// A range of voltages that a make must be switched to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeMode {
    /// Its number on the wire.
    pub code: u8,
    /// Highest voltage in it.
    pub maximum_voltage: Millivolts,
}

/// What a make can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// A module that hears nothing for this time switches itself off; `None`: it may go on for ever.
    pub silence_shutdown: Option<Duration>,
    /// The modules of a group divide a total among themselves.
    pub native_group_sharing: bool,
    /// Voltage ranges that need the output off to be changed; empty when there is only one.
    pub range_modes: &'static [RangeMode],
    /// No set-point below this.
    pub minimum_voltage: Millivolts,
    /// A soft start can be switched on and off.
    pub walk_in: bool,
    /// After "off" the output does not count as off before this time, whatever is read.
    pub off_settle: Duration,
    /// What a module can give until it has told.
    pub assumed: Ratings,
}

/// A make of modules. An answer without frames says that the make has no such thing.
#[cfg_attr(not(test), expect(dead_code, reason = "groups, the lamp and ranges are asked for by nobody yet"))]
pub trait ModuleDriver: Sync {
    /// What the make can do.
    fn capabilities(&self) -> Capabilities;
    /// Who is there?
    fn discover(&self) -> Vec<Frame>;
    /// A question to one module.
    fn read(&self, module: Address, what: Reading) -> Vec<Frame>;
    /// Voltage and current of one module.
    fn set(&self, module: Address, voltage: Millivolts, current: Milliamperes) -> Vec<Frame>;
    /// On or off.
    fn switch(&self, target: Target, on: bool) -> Vec<Frame>;
    /// Puts a module into a group.
    fn set_group(&self, module: Address, group: u8) -> Vec<Frame>;
    /// Soft start.
    fn walk_in(&self, module: Address, enabled: bool) -> Vec<Frame>;
    /// Lets a module blink, to be found by people.
    fn blink(&self, module: Address, on: bool) -> Vec<Frame>;
    /// Chooses a range of voltages; only while the module is off.
    fn select_range(&self, module: Address, range: RangeMode) -> Vec<Frame>;
    /// The frame switches a module, or every module, off.
    fn is_off(&self, frame: &Frame) -> bool;
    /// The frame orders something of a module that `off` is for; a question is no order.
    fn is_overruled(&self, frame: &Frame, off: &Frame) -> bool;
    /// Reads a frame; `None` if it is not a module's word to us.
    fn decode(&self, frame: &Frame) -> Option<(Target, Reply)>;
}

/// The makes that can be fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Infypower REG/CEG/LRG, protocol V1.13.
    #[default]
    Infypower,
    /// UUGreenPower UR1000X0.
    Uugreen,
}

impl Family {
    /// Its driver.
    pub fn driver(self) -> &'static dyn ModuleDriver {
        match self {
            Family::Infypower => &Infypower,
            Family::Uugreen => &Uugreen,
        }
    }
}
