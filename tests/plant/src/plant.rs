//! The running plant: the cabinet, its buses, its card reader and its meter file behind one door for all ports.
//!
//! Every access is short and none waits, so a plain lock serves. The clock that moves the world is here too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::advantics::Plug;
use crate::cabinet::{Bus, Cabinet};
use crate::fault::{Fault, Kind, Scope, Subject};
use crate::frame::Frame;
use crate::hub::{Hub, MemberId};
use crate::ledger::{Ledger, LedgerError};
use crate::pn532::Reader;
use crate::reaction::{Fed, Reactions};
use crate::timing::Timing;
use crate::traffic::{Origin, Passage, Traffic};
use crate::wiring::Connector;

/// The one tick of the physics.
const TICK: Duration = Duration::from_millis(10);
/// Answers of the reader that may wait for its serial line.
const READER_QUEUE: usize = 16;

/// What the lock protects.
#[derive(Debug)]
struct World {
    cabinet: Cabinet,
    ledger: Ledger,
    reader: Reader,
    traffic: Traffic,
    reactions: Reactions,
}

/// The links a fault can cut.
#[derive(Debug, Default)]
pub struct Links {
    /// CAN buses, that of the modules first; true = down, as for all.
    pub buses: [watch::Sender<bool>; 2],
    /// CAN buses that are off: there, but mute.
    pub buses_off: [watch::Sender<bool>; 2],
    /// I/O boards.
    pub io: watch::Sender<bool>,
    /// Meters.
    pub meters: [watch::Sender<bool>; 2],
}

/// The running plant.
#[derive(Debug)]
pub struct Plant {
    world: Mutex<World>,
    hub: Hub,
    /// Links that can be down.
    pub links: Links,
    reader_says: mpsc::Sender<Vec<u8>>,
}

impl Plant {
    /// A plant at rest. The receiver gives what the card reader says on its own account.
    pub fn new(timing: Timing, plugs: [Plug; 2], ledger: Ledger) -> (Arc<Self>, mpsc::Receiver<Vec<u8>>) {
        let (reader_says, reader_said) = mpsc::channel(READER_QUEUE);
        let cabinet = Cabinet::new(timing, plugs, ledger.written());
        let world = Mutex::new(World {
            cabinet,
            ledger,
            reader: Reader::default(),
            traffic: Traffic::default(),
            reactions: Reactions::default(),
        });
        let plant = Self { world, hub: Hub::default(), links: Links::default(), reader_says };
        (Arc::new(plant), reader_said)
    }

    /// Moves the world with real time, for ever.
    ///
    /// # Errors
    /// When the meter file cannot be written.
    pub async fn run_clock(self: Arc<Self>) -> Result<(), LedgerError> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before = Instant::now();
        loop {
            let now = ticks.tick().await;
            let (late, frames) = {
                let mut world = self.world();
                let frames = world.cabinet.advance(now.saturating_duration_since(before));
                world.record()?;
                let now = world.cabinet.now();
                (world.traffic.due(now), frames)
            };
            before = now;
            late.into_iter().for_each(|passage| self.deliver(passage));
            for (bus, frame) in frames {
                self.carry(Passage { bus, origin: Origin::Hardware, frame });
            }
        }
    }

    /// Looks at the cabinet or changes it.
    pub fn with<T>(&self, act: impl FnOnce(&mut Cabinet) -> T) -> T {
        act(&mut self.world().cabinet)
    }

    /// Sets a meter's import register, on disk first.
    ///
    /// # Errors
    /// When the meter file cannot be written.
    pub fn set_meter(&self, connector: Connector, milliwatt_hours: u64) -> Result<(), LedgerError> {
        let mut world = self.world();
        world.cabinet.meter_mut(connector).set_import(milliwatt_hours);
        world.record()
    }

    /// Joins a bus.
    pub fn join(&self, bus: Bus) -> (MemberId, mpsc::Receiver<Frame>) {
        self.hub.join(bus)
    }

    /// Sends a client's frame to the others on the bus and to the simulated nodes, and their answers to all.
    pub fn send(&self, bus: Bus, sender: Option<MemberId>, frame: &Frame) {
        self.carry(Passage { bus, origin: Origin::Client(sender), frame: *frame });
    }

    /// Puts a frame on the wire, which may lose it or take its time.
    fn carry(&self, passage: Passage) {
        let arrived = {
            let World { cabinet, traffic, .. } = &mut *self.world();
            traffic.pass(cabinet.now(), cabinet.faults(), passage)
        };
        arrived.into_iter().for_each(|passage| self.deliver(passage));
    }

    /// Gives a frame to all who hear it.
    fn deliver(&self, Passage { bus, origin, frame }: Passage) {
        match origin {
            Origin::Hardware => {
                self.world().note_frame_of_hardware(bus, &frame);
                self.hub.send(bus, None, &frame);
            }
            Origin::Client(sender) => {
                self.hub.send(bus, sender, &frame);
                let answers = {
                    let mut world = self.world();
                    world.note_frame_of_station(bus, &frame);
                    world.cabinet.receive(bus, &frame)
                };
                let answer = |frame| Passage { bus, origin: Origin::Hardware, frame };
                answers.into_iter().map(answer).for_each(|passage| self.carry(passage));
            }
        }
    }

    /// What the reactions and set-points were.
    pub fn reactions<T>(&self, look: impl FnOnce(&Reactions) -> T) -> T {
        look(&self.world().reactions)
    }

    /// Notes that something begins at a connector that the station has to react to.
    pub fn begin_reaction(&self, connector: Connector, what: &str) {
        self.world().begin_reaction(connector, what);
    }

    /// Notes that the station has read the inputs of a connector's output board.
    pub fn note_inputs_read(&self, connector: Connector) {
        let mut world = self.world();
        let around = world.cabinet.surroundings(connector);
        if around.emergency_stop || around.tilted || around.water || !around.insulation_good() {
            world.reactions.tell(boottime_nanos(), connector);
        }
    }

    /// Takes what a client wrote to the card reader and returns what the reader says to it.
    pub fn tell_reader(&self, bytes: &[u8]) -> Vec<u8> {
        let mut world = self.world();
        let now = world.cabinet.now();
        world.reader.receive(now, bytes)
    }

    /// Holds a card before the reader for a short time.
    pub fn present_badge(&self, uid: Vec<u8>) {
        let mut world = self.world();
        let until = world.cabinet.now() + world.cabinet.timing().badge_in_field;
        let said = world.reader.present(uid, until);
        if !said.is_empty() && self.reader_says.try_send(said).is_err() {
            tracing::warn!("nobody takes what the card reader says");
        }
    }

    /// Begins a fault with its number, or ends it.
    pub fn set_fault(&self, fault: Fault, value: Option<i64>) {
        tracing::info!(fault = fault.name(), value, active = value.is_some(), "fault");
        {
            let mut world = self.world();
            if value.is_some() {
                let name = fault.name();
                let concerned: Vec<Connector> =
                    Connector::ALL.into_iter().filter(|connector| world.concerns(fault, *connector)).collect();
                concerned.into_iter().for_each(|connector| world.begin_reaction(connector, &name));
            }
            world.cabinet.set_fault(fault, value);
            if fault.row().is_some_and(|row| row.scope == Scope::Bus) {
                world.traffic.restart();
            }
        }
        self.cut(fault, value.is_some());
    }

    /// Ends every fault.
    pub fn clear_faults(&self) {
        let active: Vec<Fault> = self.with(|cabinet| cabinet.faults().active().map(|(fault, _)| fault).collect());
        active.into_iter().for_each(|fault| self.set_fault(fault, None));
    }

    /// Cuts or mends the link that a fault is about.
    fn cut(&self, fault: Fault, down: bool) {
        match (fault.kind, fault.subject) {
            (Kind::BusDown, Subject::Bus(bus)) => set(bus.of(&self.links.buses), down),
            (Kind::BusOff, Subject::Bus(bus)) => set(bus.of(&self.links.buses_off), down),
            (Kind::IoDown, _) => set(&self.links.io, down),
            (Kind::MeterDown, Subject::Connector(connector)) => set(connector.of(&self.links.meters), down),
            _ => {}
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    /// Whether a connector has to react to a fault.
    fn concerns(&self, fault: Fault, connector: Connector) -> bool {
        match fault.subject {
            Subject::Cabinet | Subject::Bus(_) => true,
            Subject::Connector(of) | Subject::Relay(of, _) | Subject::Pole(of, _) => of == connector,
            Subject::Unit(unit) => unit % 2 == connector.number() % 2,
            Subject::Module(number) => {
                let index = usize::from(number).saturating_sub(1);
                self.cabinet.feeding(connector).get(index).copied().unwrap_or(false)
            }
        }
    }

    fn fed(&self) -> [Fed; 2] {
        let on = self.cabinet.rack.modules.each_ref().map(|module| module.is_on());
        Connector::ALL.map(|connector| Fed { feeding: self.cabinet.feeding(connector), on })
    }

    fn begin_reaction(&mut self, connector: Connector, what: &str) {
        let fed = self.fed();
        self.reactions.begin(boottime_nanos(), connector, what, connector.of(&fed));
    }

    fn note_frame_of_hardware(&mut self, bus: Bus, frame: &Frame) {
        let fed = self.fed();
        self.reactions.frame_of_hardware(boottime_nanos(), bus, frame, &fed);
    }

    fn note_frame_of_station(&mut self, bus: Bus, frame: &Frame) {
        if bus == Bus::Modules {
            let fed = self.fed();
            self.reactions.frame_of_station(boottime_nanos(), frame, &fed);
        }
    }

    /// Writes the meters' registers, and only then lets them be seen.
    fn record(&mut self) -> Result<(), LedgerError> {
        let readings = Connector::ALL.map(|connector| self.cabinet.meter(connector).readings());
        self.ledger.write(readings)?;
        for (connector, readings) in Connector::ALL.into_iter().zip(readings) {
            self.cabinet.meter_mut(connector).mark_recorded(readings);
        }
        Ok(())
    }
}

fn set(link: &watch::Sender<bool>, down: bool) {
    link.send_if_modified(|state| std::mem::replace(state, down) != down);
}

/// The clock by which the station counts too, so that a test can hold its own times against it.
fn boottime_nanos() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}
