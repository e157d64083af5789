//! The running plant: the cabinet, its buses, its card reader and its meter file behind one door for all ports.
//!
//! Every access is short and none waits, so a plain lock serves. The clock that moves the world is here too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::advantics::Plug;
use crate::cabinet::{Bus, Cabinet};
use crate::fault::Fault;
use crate::frame::Frame;
use crate::hub::{Hub, MemberId};
use crate::ledger::{Ledger, LedgerError};
use crate::pn532::Reader;
use crate::timing::Timing;
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
}

/// The links a fault can cut.
#[derive(Debug, Default)]
pub struct Links {
    /// CAN bus of the modules; true = down, as for all.
    pub modules: watch::Sender<bool>,
    /// CAN bus of the vehicle boards.
    pub vehicles: watch::Sender<bool>,
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
        let world = Mutex::new(World { cabinet, ledger, reader: Reader::default() });
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
            let frames = {
                let mut world = self.world();
                let frames = world.cabinet.advance(now.saturating_duration_since(before));
                world.record()?;
                frames
            };
            before = now;
            for (bus, frame) in frames {
                self.hub.send(bus, None, &frame);
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
        self.hub.send(bus, sender, frame);
        let answers = self.with(|cabinet| cabinet.receive(bus, frame));
        for answer in answers {
            self.hub.send(bus, None, &answer);
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

    /// Begins or ends a fault.
    pub fn set_fault(&self, fault: Fault, active: bool) {
        tracing::info!(fault = fault.name(), active, "fault");
        let surroundings = |number: u8| {
            if let Some(connector) = Connector::from_number(number) {
                self.with(|cabinet| cabinet.surroundings_mut(connector).insulation_bad = active);
            }
        };
        match fault {
            Fault::ModulesBusDown => set(&self.links.modules, active),
            Fault::VehiclesBusDown => set(&self.links.vehicles, active),
            Fault::IoDown => set(&self.links.io, active),
            Fault::MeterDown(number) => {
                if let Some(connector) = Connector::from_number(number) {
                    set(connector.of(&self.links.meters), active);
                }
            }
            Fault::ModuleSilent(number) => self.with(|cabinet| {
                let index = usize::from(number).saturating_sub(1);
                if let Some(module) = cabinet.rack.modules.get_mut(index) {
                    module.silent = active;
                }
            }),
            Fault::InsulationBad(number) => surroundings(number),
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
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
