//! How fast the station reacts: when a condition began, when it was told, and when the modules were told to stop;
//! and when each module's set-point changed.
//!
//! Pure; all times are nanoseconds of the boot-time clock and come from the ports, which see the frames.

use std::collections::VecDeque;

use crate::cabinet::Bus;
use crate::frame::Frame;
use crate::infypower::{Device, EVERY_MODULE, Identifier, Request, SetPoint};
use crate::rack::MODULES;
use crate::wiring::Connector;

/// Number of set-point changes kept.
const CHANGES_KEPT: usize = 200;
/// Any of these bits in a module's status is a condition to react to: short; fault, trip, heat, over-voltage;
/// duplicate address, phase lost, mains.
const FAULT_STATES: [u8; 3] = [0x01, 0x36, 0x6A];

/// One condition and what the station did about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reaction {
    /// What began.
    pub what: String,
    /// When it began in the hardware.
    pub began: u64,
    /// When a frame or an answer that tells it was first given to the station.
    pub told: Option<u64>,
    /// When the first frame came that switches a module of the connector off.
    pub off: Option<u64>,
}

impl Reaction {
    /// From the moment at which the station could know to the first module-off frame, in microseconds.
    pub fn micros(&self) -> Option<u64> {
        let from = self.told.unwrap_or(self.began);
        self.off.map(|off| off.saturating_sub(from) / 1_000)
    }
}

/// A set-point of a module that differs from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// When its frame came.
    pub at: u64,
    /// The module.
    pub module: u8,
    /// What it was set to.
    pub set_point: SetPoint,
}

/// The modules of one connector at the moment of a frame.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fed {
    /// Their relays are closed.
    pub feeding: [bool; MODULES],
    /// They are on.
    pub on: [bool; MODULES],
}

impl Fed {
    fn works(&self, number: u8) -> bool {
        let index = usize::from(number).saturating_sub(1);
        let has = |all: &[bool; MODULES]| all.get(index).copied().unwrap_or(false);
        has(&self.feeding) && has(&self.on)
    }

    /// True when a module delivers, or could at once.
    pub fn any_works(&self) -> bool {
        (1..=MODULES as u8).any(|number| self.works(number))
    }
}

/// Reactions and set-points.
#[derive(Clone, Debug, Default)]
pub struct Reactions {
    last: [Option<Reaction>; 2],
    set_points: [Option<SetPoint>; MODULES],
    changes: VecDeque<Change>,
}

impl Reactions {
    /// A condition begins at a connector; without a working module there is nothing to react to.
    pub fn begin(&mut self, at: u64, connector: Connector, what: &str, fed: &Fed) {
        if fed.any_works() {
            let reaction = Reaction { what: what.to_owned(), began: at, told: None, off: None };
            *connector.of_mut(&mut self.last) = Some(reaction);
        }
    }

    /// The station is told by an answer of an I/O board.
    pub fn tell(&mut self, at: u64, connector: Connector) {
        if let Some(reaction) = connector.of_mut(&mut self.last)
            && reaction.off.is_none()
        {
            reaction.told.get_or_insert(at);
        }
    }

    /// The station is sent a frame by the hardware.
    pub fn frame_of_hardware(&mut self, at: u64, bus: Bus, frame: &Frame, fed: &[Fed; 2]) {
        for connector in Connector::ALL {
            let tells = match bus {
                Bus::Vehicles => tells_trouble(connector, frame),
                Bus::Modules => tells_fault(frame).is_some_and(|number| connector.of(fed).works(number)),
            };
            if tells {
                self.tell(at, connector);
            }
        }
    }

    /// The station sends a frame to the modules.
    pub fn frame_of_station(&mut self, at: u64, frame: &Frame, fed: &[Fed; 2]) {
        let Some(id) = Identifier::decode(frame.id()).filter(|id| frame.is_extended() && id.is_from_controller())
        else {
            return;
        };
        let everybody = id.device == Device::Group || id.destination == EVERY_MODULE;
        match Request::decode(id.command, frame.padded()) {
            Ok(Request::SwitchOn(false)) => {
                for connector in Connector::ALL {
                    let fed = connector.of(fed);
                    let hits = if everybody { fed.any_works() } else { fed.works(id.destination) };
                    if let Some(reaction) = connector.of_mut(&mut self.last).as_mut().filter(|_| hits) {
                        reaction.off.get_or_insert(at);
                    }
                }
            }
            Ok(Request::SetModule(set_point)) => self.set(at, id.destination, everybody, set_point),
            _ => {}
        }
    }

    fn set(&mut self, at: u64, destination: u8, everybody: bool, set_point: SetPoint) {
        for (module, last) in (1..).zip(&mut self.set_points) {
            if (everybody || module == destination) && *last != Some(set_point) {
                *last = Some(set_point);
                if self.changes.len() >= CHANGES_KEPT {
                    self.changes.pop_front();
                }
                self.changes.push_back(Change { at, module, set_point });
            }
        }
    }

    /// The last reaction of a connector.
    pub fn last(&self, connector: Connector) -> Option<&Reaction> {
        connector.of(&self.last).as_ref()
    }

    /// The last set-point changes, newest last.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter()
    }
}

/// True for a frame of a vehicle board that no charge goes on after.
fn tells_trouble(connector: Connector, frame: &Frame) -> bool {
    let [first, ..] = frame.padded();
    let of_connector = frame.id() >> 24 == u32::from(connector.number());
    of_connector
        && match frame.id() & 0xFFF {
            0x000 => !matches!(first, 1..=11 | 13),
            0x004 | 0x005 => true,
            0x203 => first != crate::board::PILOT_C,
            _ => false,
        }
}

/// The module that tells a fault with a frame.
fn tells_fault(frame: &Frame) -> Option<u8> {
    let id = Identifier::decode(frame.id()).filter(|id| id.command == 0x04 && !id.is_from_controller())?;
    let [.., state2, state1, state0] = frame.padded();
    let states = [state0, state1, state2];
    states.iter().zip(FAULT_STATES).any(|(state, mask)| state & mask != 0).then_some(id.source)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Connector = Connector::One;

    fn fed(modules: &[usize]) -> [Fed; 2] {
        let mut fed = Fed::default();
        for number in modules {
            (fed.feeding[number - 1], fed.on[number - 1]) = (true, true);
        }
        [fed, Fed::default()]
    }

    fn off(id: u32) -> Frame {
        Frame::extended(id, [1, 0, 0, 0, 0, 0, 0, 0])
    }

    #[test]
    fn a_reaction_runs_from_what_tells_it_to_the_first_off_for_a_working_module() {
        let works = fed(&[2, 3]);
        for (what, frame, reacts) in [
            ("everything off", off(0x029A_3FF0), true),
            ("a working module off", off(0x029A_03F0), true),
            ("a group off", off(0x02DA_01F0), true),
            ("an idle module off", off(0x029A_01F0), false),
            ("a working module on", Frame::extended(0x029A_03F0, [0; 8]), false),
            ("not from a controller", off(0x029A_3F05), false),
        ] {
            let mut reactions = Reactions::default();
            reactions.begin(1_000_000, ONE, "emergency-stop", &works[0]);
            reactions.tell(3_000_000, ONE);
            reactions.tell(4_000_000, ONE);
            reactions.frame_of_station(5_500_000, &frame, &works);
            reactions.frame_of_station(9_000_000, &frame, &works);
            let micros = reactions.last(ONE).unwrap().micros();
            assert_eq!(micros, reacts.then_some(2_500), "{what}");
        }
    }

    #[test]
    fn nothing_is_measured_while_no_module_works() {
        let mut reactions = Reactions::default();
        reactions.begin(1, ONE, "emergency-stop", &Fed::default());
        assert_eq!(reactions.last(ONE), None);
    }

    #[test]
    fn frames_that_end_a_charge_tell_it() {
        let works = fed(&[3]);
        let data = |first| [first, 0, 0, 0, 0, 0, 0, 0];
        for (bus, frame, tells) in [
            (Bus::Vehicles, Frame::extended(0x0106_B005, [1]), true),
            (Bus::Vehicles, Frame::extended(0x0206_B005, [1]), false),
            (Bus::Vehicles, Frame::extended(0x0106_B000, [7]), false),
            (Bus::Vehicles, Frame::extended(0x0106_B000, [12]), true),
            (Bus::Vehicles, Frame::extended(0x0106_B203, data(6)), false),
            (Bus::Vehicles, Frame::extended(0x0106_B203, data(9)), true),
            (Bus::Modules, Frame::extended(0x0284_F003, [0, 0, 0, 0, 25, 0, 0x44, 0]), true),
            (Bus::Modules, Frame::extended(0x0284_F002, [0, 0, 0, 0, 25, 0, 0x44, 0]), false),
            (Bus::Modules, Frame::extended(0x0284_F003, [0, 0, 0, 0, 25, 1, 0x48, 0]), false),
        ] {
            let mut reactions = Reactions::default();
            reactions.begin(1, ONE, "something", &works[0]);
            reactions.frame_of_hardware(2, bus, &frame, &works);
            assert_eq!(reactions.last(ONE).unwrap().told, tells.then_some(2), "{frame:?}");
        }
    }

    #[test]
    fn a_set_point_counts_when_it_differs() {
        let mut reactions = Reactions::default();
        let set = |id: u32, amperes: u8| Frame::extended(id, [0, 7, 0xA1, 0x20, 0, 0, amperes, 0]);
        let frames = [(1, 0x029C_05F0, 9), (2, 0x029C_05F0, 9), (3, 0x029C_06F0, 9), (4, 0x029C_05F0, 8)];
        for (at, id, amperes) in frames {
            reactions.frame_of_station(at, &set(id, amperes), &fed(&[]));
        }
        let seen: Vec<_> = reactions.changes().map(|change| (change.at, change.module)).collect();
        assert_eq!(seen, [(1, 5), (3, 6), (4, 5)]);
    }
}
