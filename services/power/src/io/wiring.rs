//! Which channel of which unit each input and output is: the standard layout of an output board, and what the station
//! file says instead.

use super::{CoilOrder, Input, Output};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// One channel of one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Point {
    /// The Modbus unit.
    pub unit: u8,
    /// The channel, from 0.
    pub channel: u8,
    /// It says no when it is on.
    pub inverted: bool,
}

impl Point {
    /// A point that says what it is.
    pub fn new(unit: u8, channel: u8) -> Point {
        Point { unit, channel, inverted: false }
    }
}

/// The inputs and outputs of one connector.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConnectorIo {
    /// Its inputs, and how long each must be the same before it counts.
    pub inputs: BTreeMap<Input, (Point, Duration)>,
    /// Its outputs.
    pub outputs: BTreeMap<Output, Point>,
}

impl ConnectorIo {
    /// The standard layout: contactors and discharge on the coils 0 to 2; mirror contacts, emergency stop, insulation
    /// monitor on the inputs 0 to 3. A lock, a tilt and a water switch are wired where the station file says so.
    pub fn standard(unit: u8) -> ConnectorIo {
        let inputs = [Input::PositiveMirror, Input::NegativeMirror, Input::EmergencyStop, Input::Insulation];
        let outputs = [Output::PositiveContactor, Output::NegativeContactor, Output::Discharge];
        ConnectorIo {
            inputs: (0u8..)
                .zip(inputs)
                .map(|(channel, input)| (input, (Point::new(unit, channel), Duration::ZERO)))
                .collect(),
            outputs: (0u8..).zip(outputs).map(|(channel, output)| (output, Point::new(unit, channel))).collect(),
        }
    }

    /// The order that switches an output; nothing when it is not wired.
    pub fn order(&self, output: Output, on: bool) -> Option<CoilOrder> {
        let point = self.outputs.get(&output)?;
        Some(CoilOrder { unit: point.unit, coil: point.channel, on: on != point.inverted })
    }

    /// The units that it needs.
    pub fn units(&self) -> impl Iterator<Item = u8> {
        let inputs = self.inputs.values().map(|(point, _)| point.unit);
        inputs.chain(self.outputs.values().map(|point| point.unit))
    }
}
