//! The power modules on their CAN bus: how they are spoken to, what each of them is told and says, and how those of one
//! connector share its current. Which module belongs to which connector is decided elsewhere. Pure.

pub mod alarm;
mod deliver;
mod discovery;
pub mod driver;
pub mod facts;
pub mod infypower;
mod module;
mod output;
pub mod rack;
mod split;
pub mod telemetry;
pub mod uugreen;

use crate::can::Frame;
use driver::ModuleDriver;

/// The frame of any make switches a module, or every module, off.
pub fn is_off(frame: &Frame) -> bool {
    infypower::Infypower.is_off(frame) || uugreen::Uugreen.is_off(frame)
}

/// The frame orders something of a module that `off` is for, whatever their make.
pub fn is_overruled(frame: &Frame, off: &Frame) -> bool {
    infypower::Infypower.is_overruled(frame, off) || uugreen::Uugreen.is_overruled(frame, off)
}
