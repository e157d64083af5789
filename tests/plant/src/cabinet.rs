//! The whole station hardware in one place: modules, circuit, vehicle boards, meters and inputs, moved on by time.
//!
//! Pure: frames, coils and time come in as arguments, frames go out as results. The ports around it own the
//! sockets and the clock.

use std::time::Duration;

use crate::advantics::{self, Plug};
use crate::alarm::{Alarm, Alarms};
use crate::board::{Board, Inlet};
use crate::car::{Car, Complaint};
use crate::circuit::{Branch, Circuit};
use crate::contactor::Contactor;
use crate::danger::{Cause, Danger};
use crate::excuse::Excuses;
use crate::fault::{Fault, Faults};
use crate::frame::Frame;
use crate::guard::{Guard, Sight};
use crate::meter::{Meter, Readings};
use crate::rack::{MODULES, Rack};
use crate::surroundings::Surroundings;
use crate::timing::Timing;
use crate::wiring::{CHANNELS, Connector, IoBoard};

mod suffering;

/// Longest step of the physics; longer times are divided.
const LONGEST_STEP: Duration = Duration::from_millis(10);
/// A plant that was held up lets its world stand still rather than jump: what the station sent meanwhile is still
/// in the sockets, and would look like silence.
const LONGEST_ADVANCE: Duration = Duration::from_millis(100);
/// One of the two CAN buses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bus {
    /// Power modules.
    Modules,
    /// Vehicle boards.
    Vehicles,
}

impl Bus {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Modules, Self::Vehicles];

    /// Its name, by which a client opens it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Modules => "modules",
            Self::Vehicles => "vehicles",
        }
    }

    /// Picks the bus's part of a pair.
    pub fn of<T>(self, [modules, vehicles]: &[T; 2]) -> &T {
        match self {
            Self::Modules => modules,
            Self::Vehicles => vehicles,
        }
    }

    /// Picks the bus's part of a pair, to change it.
    pub fn of_mut<T>(self, [modules, vehicles]: &mut [T; 2]) -> &mut T {
        match self {
            Self::Modules => modules,
            Self::Vehicles => vehicles,
        }
    }
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
    guards: [Guard; 2],
    faults: Faults,
    alarms: Alarms,
    most_watts: f64,
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
            guards: Connector::ALL.map(Guard::new),
            faults: Faults::default(),
            alarms: Alarms::default(),
            most_watts: 0.0,
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
        let mut dangers = self.circuit.operate(dt, &self.timing, &self.rack.modules);
        for module in &mut self.rack.modules {
            module.step(dt, &self.timing);
        }
        for around in &mut self.surroundings {
            around.step(dt, &self.timing);
        }
        let [one, two] = &self.boards;
        let batteries = [one.connected_battery(), two.connected_battery()];
        dangers.extend(self.circuit.flow(dt, &self.timing, &mut self.rack.modules, batteries));
        let watts = self.circuit.branches.iter().map(|branch| branch.cable_volts * branch.amperes);
        self.most_watts = self.most_watts.max(watts.sum());
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
            dangers.extend(outcome.complaints.into_iter().map(|complaint| danger_of(connector, complaint)));
        }
        for connector in Connector::ALL {
            let sight = self.sight(connector);
            dangers.extend(connector.of_mut(&mut self.guards).step(self.now, &sight));
        }
        for danger in dangers {
            let excuses = Excuses { now: self.now, faults: &self.faults, circuit: &self.circuit };
            let excuse = excuses.of(&danger);
            self.alarms.note(Alarm { at: self.now, text: danger.to_string(), excuse });
        }
        frames
    }

    /// A connector as its guard sees it.
    fn sight(&self, connector: Connector) -> Sight {
        let (board, branch) = (self.board(connector), self.branch(connector));
        let around = self.surroundings(connector);
        let connected = board.car().filter(|car| car.contactor.is_closed());
        Sight {
            plugged: board.car().is_some(),
            in_session: board.is_powered(),
            cable_volts: branch.cable_volts,
            amperes: branch.amperes,
            output_closed: branch.output_closed(),
            unlocked: around.lock.is_in_use() && !around.lock.is_locked(),
            limit_amperes: connected.map(Car::maximum_amperes),
            causes: self.causes(connector),
        }
    }

    /// Why the current of a connector has to end.
    pub fn causes(&self, connector: Connector) -> Vec<Cause> {
        let (board, around) = (self.board(connector), self.surroundings(connector));
        let holds = |cause: &Cause| match cause {
            Cause::EmergencyStop => around.emergency_stop,
            Cause::Tilt => around.tilted,
            Cause::Insulation => !around.insulation_good(),
            Cause::Board => board.is_in_emergency(),
            Cause::Pilot => board.has_lost_pilot(),
            Cause::Unplugged => board.car().is_none(),
        };
        Cause::ALL.into_iter().filter(holds).collect()
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
                let lock = self.surroundings(connector).lock.coil();
                channels([branch.plus.coil(), branch.minus.coil(), branch.bleeder, lock])
            }
            IoBoard::Matrix(connector) => channels(self.branch(connector).relays.map(|relay| relay.coil())),
        }
    }

    /// The discrete inputs of an I/O board.
    pub fn inputs(&self, board: IoBoard) -> [bool; CHANNELS] {
        match board {
            IoBoard::Output(connector) => {
                let branch = self.branch(connector);
                let around = self.surroundings(connector);
                // What stops is normally closed: an open wire reads as tripped.
                [
                    branch.plus.mirror(),
                    branch.minus.mirror(),
                    !around.emergency_stop,
                    around.insulation_good(),
                    !around.door_open,
                    around.lock.feedback(),
                    !around.tilted,
                    !around.water,
                ]
            }
            IoBoard::Matrix(connector) => channels(self.branch(connector).relays.map(|relay| relay.mirror())),
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
                    3 => {
                        connector.of_mut(&mut self.surroundings).lock.command(on);
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

    /// The most power that has left both connectors together in any step.
    pub fn most_watts(&self) -> f64 {
        self.most_watts
    }

    /// The durations in force.
    pub fn timing(&self) -> &Timing {
        &self.timing
    }

    /// The power circuit of a connector.
    pub fn branch(&self, connector: Connector) -> &Branch {
        connector.of(&self.circuit.branches)
    }

    /// The modules whose relay to a connector's bus is closed.
    pub fn feeding(&self, connector: Connector) -> [bool; MODULES] {
        self.branch(connector).relays.map(|relay| relay.is_closed())
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

    /// What is around a connector.
    pub fn surroundings(&self, connector: Connector) -> &Surroundings {
        connector.of(&self.surroundings)
    }

    /// What is around a connector, to change it.
    pub fn surroundings_mut(&mut self, connector: Connector) -> &mut Surroundings {
        connector.of_mut(&mut self.surroundings)
    }

    /// What the station did that no station may do, newest last.
    pub fn violations(&self) -> impl Iterator<Item = String> {
        self.alarms.violations().map(ToString::to_string)
    }

    /// Everything dangerous that happened, with the fault that made it unavoidable, newest last.
    pub fn hazards(&self) -> impl Iterator<Item = String> {
        self.alarms.hazards().map(ToString::to_string)
    }

    /// The faults that are on.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Switches a fault on, with its number, or off.
    pub fn set_fault(&mut self, fault: Fault, value: Option<i64>) {
        match value {
            Some(value) => self.faults.begin(fault, value),
            None => self.faults.end(self.now, fault),
        }
        self.suffer();
    }
}

fn danger_of(connector: Connector, complaint: Complaint) -> Danger {
    match complaint {
        Complaint::Volts(volts, limit) => Danger::OverVoltage { connector, volts, limit },
        Complaint::Amperes(amperes, demand) => Danger::OverDemand { connector, amperes, demand },
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
