//! The digital inputs and outputs of the cabinet: what each of them means, and what they say now. Where they are is
//! `wiring`, how they are read and written is `port` and `modbus`, what is never written is `gate`. Pure but for the
//! port. A stop-type input is normally closed: a cut wire counts as tripped (hardware notes §6.1).

pub mod coils;
pub mod gate;
pub mod modbus;
pub mod port;
pub mod wiring;

#[cfg(test)]
mod tests;

use crate::watchdogs;
use busbar_interfaces::{BoottimeMillis, ConnectorId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use wiring::{ConnectorIo, Point};

/// Inputs that were not read for this time are not known.
pub const LOST_AFTER: Duration = watchdogs::INPUTS.limit;

/// An order that was refused stands against the next charge for this time after it was last given.
const REFUSAL_STANDS: Duration = Duration::from_secs(60);

/// Channels of a unit.
pub const CHANNELS: usize = 8;

/// What an input of a connector says when it is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Input {
    /// The positive contactor is closed, by its mirror contact.
    PositiveMirror,
    /// The negative contactor is closed, likewise.
    NegativeMirror,
    /// The emergency stop's loop is closed: not pressed.
    EmergencyStop,
    /// The insulation monitor's relay says good.
    Insulation,
    /// The lock's feedback says locked.
    Lock,
    /// The station stands upright.
    Tilt,
    /// There is no water in the cabinet.
    Water,
}

impl Input {
    /// Every input, with its name in the station file.
    pub const ALL: [(Input, &'static str); 7] = [
        (Input::PositiveMirror, "positive-mirror"),
        (Input::NegativeMirror, "negative-mirror"),
        (Input::EmergencyStop, "emergency-stop"),
        (Input::Insulation, "insulation"),
        (Input::Lock, "lock"),
        (Input::Tilt, "tilt"),
        (Input::Water, "water"),
    ];
}

/// What an output of a connector does when it is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Output {
    /// Closes the positive contactor.
    PositiveContactor,
    /// Closes the negative contactor.
    NegativeContactor,
    /// Puts the resistor across the cable that empties it.
    Discharge,
    /// Locks the plug.
    Lock,
}

impl Output {
    /// Every output, with its name in the station file.
    pub const ALL: [(Output, &'static str); 4] = [
        (Output::PositiveContactor, "positive-contactor"),
        (Output::NegativeContactor, "negative-contactor"),
        (Output::Discharge, "discharge"),
        (Output::Lock, "lock"),
    ];
}

/// One unit as it was last read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Unit {
    /// Its inputs.
    pub inputs: [bool; CHANNELS],
    /// Its coils as they were last read, or written since.
    pub coils: [bool; CHANNELS],
}

impl Unit {
    /// An input.
    pub fn input(&self, channel: u8) -> bool {
        self.inputs.get(usize::from(channel)).copied().unwrap_or(false)
    }

    /// A coil.
    pub fn coil(&self, channel: u8) -> bool {
        self.coils.get(usize::from(channel)).copied().unwrap_or(false)
    }
}

/// An order for one coil.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoilOrder {
    /// The unit.
    pub unit: u8,
    /// The coil.
    pub coil: u8,
    /// Energised or not.
    pub on: bool,
}

/// What the units tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IoNews {
    /// They were read.
    Read(BTreeMap<u8, Unit>),
    /// They cannot be; why.
    Lost(String),
    /// An order was not carried out because it would join two connectors (`gate`).
    Refused(String),
}

/// The inputs and outputs of one connector, all of them read; nothing for one that is not wired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Board {
    inputs: [Option<bool>; Input::ALL.len()],
    outputs: [Option<bool>; Output::ALL.len()],
}

impl Board {
    /// A board of its inputs and outputs; those that are not named are not wired.
    pub fn new(
        inputs: impl IntoIterator<Item = (Input, bool)>,
        outputs: impl IntoIterator<Item = (Output, bool)>,
    ) -> Board {
        let mut board = Board::default();
        for (input, is) in inputs {
            if let Some(place) = board.inputs.get_mut(input as usize) {
                *place = Some(is);
            }
        }
        for (output, is) in outputs {
            if let Some(place) = board.outputs.get_mut(output as usize) {
                *place = Some(is);
            }
        }
        board
    }

    fn input(&self, input: Input) -> Option<bool> {
        self.inputs.get(input as usize).copied().flatten()
    }

    fn is(&self, input: Input) -> bool {
        self.input(input).unwrap_or(false)
    }

    /// Not wired, or good.
    fn is_good(&self, input: Input) -> bool {
        self.input(input).unwrap_or(true)
    }

    /// Both mirror contacts say closed.
    pub fn contactors_closed(&self) -> bool {
        self.is(Input::PositiveMirror) && self.is(Input::NegativeMirror)
    }

    /// Both mirror contacts say open.
    pub fn contactors_open(&self) -> bool {
        !self.is(Input::PositiveMirror) && !self.is(Input::NegativeMirror)
    }

    /// The mirror contact of one pole says closed.
    pub fn mirror(&self, pole: Output) -> bool {
        match pole {
            Output::PositiveContactor => self.is(Input::PositiveMirror),
            Output::NegativeContactor => self.is(Input::NegativeMirror),
            Output::Discharge | Output::Lock => false,
        }
    }

    /// The emergency stop's loop is closed.
    pub fn emergency_stop_healthy(&self) -> bool {
        self.is(Input::EmergencyStop)
    }

    /// The insulation monitor's relay says good.
    pub fn insulation_good(&self) -> bool {
        self.is(Input::Insulation)
    }

    /// Whether the plug is locked; nothing when the station has no lock to control.
    pub fn locked(&self) -> Option<bool> {
        self.outputs.get(Output::Lock as usize).copied().flatten().and_then(|_| self.input(Input::Lock))
    }

    /// The station has fallen or was hit.
    pub fn tilted(&self) -> bool {
        !self.is_good(Input::Tilt)
    }

    /// There is water in the cabinet.
    pub fn water(&self) -> bool {
        !self.is_good(Input::Water)
    }

    /// An output, as it was last read or written since.
    pub fn output(&self, output: Output) -> bool {
        self.outputs.get(output as usize).copied().flatten().unwrap_or(false)
    }
}

/// Everything that was read, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Panel {
    units: BTreeMap<u8, Unit>,
    read_at: BoottimeMillis,
    /// Why nothing is known.
    lost: Option<String>,
    /// What the gate has refused last, and when.
    refused: Option<(String, BoottimeMillis)>,
    /// Inputs that wait until they have been the same for their time: what they will be, since when.
    settling: BTreeMap<(ConnectorId, Input), (bool, BoottimeMillis)>,
    settled: BTreeMap<(ConnectorId, Input), bool>,
}

impl Panel {
    /// Nothing has been read yet.
    pub fn new(now: BoottimeMillis) -> Panel {
        Panel {
            units: BTreeMap::new(),
            read_at: now,
            lost: Some("not read yet".to_owned()),
            refused: None,
            settling: BTreeMap::new(),
            settled: BTreeMap::new(),
        }
    }

    /// The units were read, or cannot be.
    pub fn told<'a>(
        &mut self,
        now: BoottimeMillis,
        wiring: impl IntoIterator<Item = (ConnectorId, &'a ConnectorIo)>,
        news: IoNews,
    ) {
        match news {
            IoNews::Read(units) => {
                if self.lost.take().is_some() {
                    tracing::info!("the I/O boards answer");
                }
                (self.units, self.read_at) = (units, now);
                for (connector, io) in wiring {
                    for (input, (point, debounce)) in &io.inputs {
                        self.settle(now, (connector, *input), *point, *debounce);
                    }
                }
            }
            IoNews::Lost(reason) => {
                if self.lost.is_none() {
                    tracing::error!(reason, "the I/O boards are lost");
                }
                self.lost = Some(reason);
                self.units.clear();
                self.settling.clear();
                self.settled.clear();
            }
            IoNews::Refused(reason) => {
                if self.refused(now) != Some(&reason) {
                    tracing::error!(reason, "the I/O port has refused an order");
                }
                self.refused = Some((reason, now));
            }
        }
    }

    fn settle(&mut self, now: BoottimeMillis, key: (ConnectorId, Input), point: Point, debounce: Duration) {
        let Some(unit) = self.units.get(&point.unit) else { return };
        let is = unit.input(point.channel) != point.inverted;
        let settled = *self.settled.entry(key).or_insert(is);
        if is == settled {
            self.settling.remove(&key);
            return;
        }
        let (_, since) = *self.settling.entry(key).or_insert((is, now));
        if now.since(since) >= debounce {
            self.settled.insert(key, is);
            self.settling.remove(&key);
        }
    }

    /// Inputs that are old are not known, whatever the port says.
    pub fn forget_old(&mut self, now: BoottimeMillis, address: &str) {
        if self.lost.is_none() && now.since(self.read_at) > LOST_AFTER {
            self.told(now, [], IoNews::Lost(format!("{address}: not read in time")));
        }
    }

    /// Why nothing is known.
    pub fn lost(&self) -> Option<&String> {
        self.lost.as_ref()
    }

    /// What the gate has refused in the last minute.
    pub fn refused(&self, now: BoottimeMillis) -> Option<&String> {
        self.refused.as_ref().filter(|(_, at)| now.since(*at) < REFUSAL_STANDS).map(|(reason, _)| reason)
    }

    /// When the units were read last.
    pub fn read_at(&self) -> BoottimeMillis {
        self.read_at
    }

    /// A unit.
    pub fn unit(&self, unit: u8) -> Option<&Unit> {
        self.units.get(&unit)
    }

    /// The inputs and outputs of a connector; nothing when one of their units was not read.
    pub fn board(&self, connector: ConnectorId, io: &ConnectorIo) -> Option<Board> {
        let inputs = io.inputs.keys().map(|input| Some((*input, *self.settled.get(&(connector, *input))?)));
        let outputs = io
            .outputs
            .iter()
            .map(|(output, point)| Some((*output, self.units.get(&point.unit)?.coil(point.channel) != point.inverted)));
        Some(Board::new(inputs.collect::<Option<Vec<_>>>()?, outputs.collect::<Option<Vec<_>>>()?))
    }
}
