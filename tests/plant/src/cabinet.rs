//! The whole station hardware in one place: modules, circuit, vehicle boards, meters and inputs, moved on by time.
//!
//! Pure: frames, coils and time come in as arguments, frames go out as results. The ports around it own the
//! sockets and the clock.

use std::collections::VecDeque;
use std::time::Duration;

use crate::advantics::{self, Plug};
use crate::board::{Board, Inlet};
use crate::circuit::{Branch, Circuit};
use crate::contactor::Contactor;
use crate::frame::Frame;
use crate::meter::{Meter, Readings};
use crate::rack::Rack;
use crate::timing::Timing;
use crate::wiring::{CHANNELS, Connector, IoBoard};

/// Longest step of the physics; longer times are divided.
const LONGEST_STEP: Duration = Duration::from_millis(10);
/// A plant that was held up lets its world stand still rather than jump: what the station sent meanwhile is still
/// in the sockets, and would look like silence.
const LONGEST_ADVANCE: Duration = Duration::from_millis(100);
/// Number of violations kept.
const VIOLATIONS_KEPT: usize = 100;

/// One of the two CAN buses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bus {
    /// Power modules.
    Modules,
    /// Vehicle boards.
    Vehicles,
}

/// Inputs of a connector that are not part of the power circuit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings {
    /// The emergency stop is pressed.
    pub emergency_stop: bool,
    /// The insulation monitor's relay has dropped.
    pub insulation_bad: bool,
}

/// The simulated hardware.
#[derive(Clone, Debug)]
pub struct Cabinet {
    timing: Timing,
    now: Duration,
    /// A board breaks a session off when the station is silent for longer.
    pub station_silence: Duration,
    /// The power modules.
    pub rack: Rack,
    circuit: Circuit,
    boards: [Board; 2],
    meters: [Meter; 2],
    surroundings: [Surroundings; 2],
    violations: VecDeque<String>,
}

/// An address that no board has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such channel")]
pub struct NoSuchChannel;

impl Cabinet {
    /// A cabinet at rest, with meters that continue from `readings`.
    pub fn new(timing: Timing, [plug_one, plug_two]: [Plug; 2], readings: [Readings; 2]) -> Self {
        Self {
            timing,
            now: Duration::ZERO,
            station_silence: Duration::from_millis(500),
            rack: Rack::default(),
            circuit: Circuit::default(),
            boards: [Board::new(1, plug_one), Board::new(2, plug_two)],
            meters: readings.map(Meter::restored),
            surroundings: Default::default(),
            violations: VecDeque::new(),
        }
    }

    /// Lets the world go on for `elapsed` and returns the frames the simulated nodes send.
    pub fn advance(&mut self, elapsed: Duration) -> Vec<(Bus, Frame)> {
        let mut frames = Vec::new();
        let mut left = elapsed.min(LONGEST_ADVANCE);
        while !left.is_zero() {
            let dt = left.min(LONGEST_STEP);
            left -= dt;
            frames.extend(self.step(dt));
        }
        frames
    }

    fn step(&mut self, dt: Duration) -> Vec<(Bus, Frame)> {
        self.now += dt;
        let mut wrong = self.circuit.operate(dt, &self.timing, &self.rack.modules);
        for module in &mut self.rack.modules {
            module.step(dt, self.timing.module_silence, self.timing.full_voltage_rise);
        }
        let [one, two] = &self.boards;
        let batteries = [one.connected_battery(), two.connected_battery()];
        wrong.extend(self.circuit.flow(dt, &self.timing, &mut self.rack.modules, batteries));
        let mut frames = Vec::new();
        let sides = self.boards.iter_mut().zip(&mut self.meters).zip(&self.circuit.branches).zip(Connector::ALL);
        for (((board, meter), branch), connector) in sides {
            meter.step(dt, branch.cable_volts, branch.amperes);
            let inlet = Inlet { volts: branch.cable_volts, amperes: branch.amperes };
            let before = board.status();
            let outcome = board.step(self.now, dt, inlet, self.station_silence, &self.timing);
            if board.status() != before {
                tracing::info!(connector = connector.number(), status = board.status().word(), "vehicle board state");
            }
            frames.extend(outcome.frames.into_iter().map(|frame| (Bus::Vehicles, frame)));
            wrong.extend(outcome.wrong.into_iter().map(|text| format!("connector {connector}: {text}")));
        }
        wrong.into_iter().for_each(|text| self.note_violation(&text));
        frames
    }

    fn note_violation(&mut self, text: &str) {
        let text = format!("{:.3} s: {text}", self.now.as_secs_f64());
        tracing::warn!(violation = text, "the station did what no station may do");
        if self.violations.len() >= VIOLATIONS_KEPT {
            self.violations.pop_front();
        }
        self.violations.push_back(text);
    }

    /// Hands a frame of a client to the simulated nodes of a bus and returns their answers.
    pub fn receive(&mut self, bus: Bus, frame: &Frame) -> Vec<Frame> {
        match bus {
            Bus::Modules => self.rack.receive(frame),
            Bus::Vehicles => {
                if let Some((number, content)) = advantics::from_station(frame)
                    && let Some(connector) = Connector::from_number(number)
                {
                    connector.of_mut(&mut self.boards).receive(self.now, content);
                }
                Vec::new()
            }
        }
    }

    /// The coils of an I/O board.
    pub fn coils(&self, board: IoBoard) -> [bool; CHANNELS] {
        match board {
            IoBoard::Output(connector) => {
                let branch = self.branch(connector);
                channels([branch.plus.coil(), branch.minus.coil(), branch.bleeder])
            }
            IoBoard::Matrix(connector) => channels(self.branch(connector).relays.map(|relay| relay.coil())),
        }
    }

    /// The discrete inputs of an I/O board.
    pub fn inputs(&self, board: IoBoard) -> [bool; CHANNELS] {
        match board {
            IoBoard::Output(connector) => {
                let branch = self.branch(connector);
                let around = connector.of(&self.surroundings);
                let (plus, minus) = (branch.plus.is_closed(), branch.minus.is_closed());
                // The last one is the cabinet's door, which is closed.
                channels([plus, minus, !around.emergency_stop, !around.insulation_bad, true])
            }
            IoBoard::Matrix(connector) => channels(self.branch(connector).relays.map(|relay| relay.is_closed())),
        }
    }

    /// Sets one coil of an I/O board; a coil nothing is wired to accepts every value.
    ///
    /// # Errors
    /// When the board has no such channel.
    pub fn set_coil(&mut self, board: IoBoard, channel: usize, on: bool) -> Result<(), NoSuchChannel> {
        if channel >= CHANNELS {
            return Err(NoSuchChannel);
        }
        let contact: Option<&mut Contactor> = match board {
            IoBoard::Output(connector) => {
                let branch = connector.of_mut(&mut self.circuit.branches);
                match channel {
                    0 => Some(&mut branch.plus),
                    1 => Some(&mut branch.minus),
                    2 => {
                        branch.bleeder = on;
                        None
                    }
                    _ => None,
                }
            }
            IoBoard::Matrix(connector) => connector.of_mut(&mut self.circuit.branches).relays.get_mut(channel),
        };
        if let Some(contact) = contact {
            contact.command(on);
        }
        Ok(())
    }

    /// Time since the plant was started.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// The durations in force.
    pub fn timing(&self) -> &Timing {
        &self.timing
    }

    /// The power circuit of a connector.
    pub fn branch(&self, connector: Connector) -> &Branch {
        connector.of(&self.circuit.branches)
    }

    /// The vehicle board of a connector.
    pub fn board(&self, connector: Connector) -> &Board {
        connector.of(&self.boards)
    }

    /// The vehicle board of a connector, to change it.
    pub fn board_mut(&mut self, connector: Connector) -> &mut Board {
        connector.of_mut(&mut self.boards)
    }

    /// The meter of a connector.
    pub fn meter(&self, connector: Connector) -> &Meter {
        connector.of(&self.meters)
    }

    /// The meter of a connector, to change it.
    pub fn meter_mut(&mut self, connector: Connector) -> &mut Meter {
        connector.of_mut(&mut self.meters)
    }

    /// What is around a connector, to change it.
    pub fn surroundings_mut(&mut self, connector: Connector) -> &mut Surroundings {
        connector.of_mut(&mut self.surroundings)
    }

    /// What the station did that no station may do, newest last.
    pub fn violations(&self) -> impl Iterator<Item = &str> {
        self.violations.iter().map(String::as_str)
    }
}

/// The wired channels, the others off.
fn channels<const WIRED: usize>(wired: [bool; WIRED]) -> [bool; CHANNELS] {
    let mut all = [false; CHANNELS];
    for (channel, value) in all.iter_mut().zip(wired) {
        *channel = value;
    }
    all
}
