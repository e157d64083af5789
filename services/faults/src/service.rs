//! The loop of faults: the detectors' levels in; the history, the active set and the wake-up out, in this order.

use crate::history::History;
use crate::objects::RootObject;
use crate::register::{Edge, Register};
use crate::settings::Settings;
use busbar_interfaces::faults::{FaultEvent, FaultsState};
use busbar_interfaces::hmi::HmiState;
use busbar_interfaces::maintenance::MaintenanceState;
use busbar_interfaces::metering::MeteringState;
use busbar_interfaces::ocpp::OcppState;
use busbar_interfaces::power::PowerState;
use busbar_interfaces::session::SessionState;
use busbar_interfaces::words::FaultEdge;
use busbar_interfaces::{CallError, Condition, Published, ServiceName, names};
use busbar_runtime::{Bus, Desk, Exit, Life, Moment, Object, Reply, View, follow};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use zbus::object_server::SignalEmitter;

/// What the loop takes in.
#[derive(Debug)]
pub enum Input {
    /// What a detector sees; nothing while it is away.
    Levels { detector: ServiceName, conditions: Option<Vec<Condition>> },
    /// Somebody reads the history.
    EventsAfter { cursor: u64, max: u32, reply: Reply<Vec<FaultEvent>> },
}

struct Faults {
    register: Register,
    history: History,
    keep: u64,
    root: Object<FaultsState>,
    wake: SignalEmitter<'static>,
}

/// Runs the service until it is asked to stop.
///
/// # Errors
/// When the bus is lost, a follower ends unasked, or the history cannot be written.
pub async fn run(settings: Settings, history: History, bus: Bus, life: Life) -> Result<(), Exit> {
    let Life { clock, mut stop, mut watchdog } = life;
    let (sender, mut inputs) = mpsc::channel(64);
    let register = Register::restore(history.active()?);
    let (root, shown) = Object::new(&bus, names::FAULTS.root, register.state());
    bus.serve(names::FAULTS.root, RootObject { desk: Desk::new(sender.clone()), shown }).await?;
    let wake = SignalEmitter::new(bus.connection(), names::FAULTS.root)?.into_owned();
    let mut faults = Faults { register, history, keep: settings.history_entries, root, wake };

    let mut tasks = JoinSet::new();
    tasks.spawn(levels(bus.clone(), names::POWER, sender.clone(), |state: &PowerState| state.conditions.clone()));
    tasks.spawn(levels(bus.clone(), names::METERING, sender.clone(), |state: &MeteringState| state.conditions.clone()));
    tasks.spawn(levels(bus.clone(), names::HMI, sender.clone(), |state: &HmiState| state.conditions.clone()));
    tasks.spawn(levels(bus.clone(), names::SESSION, sender.clone(), |state: &SessionState| state.conditions.clone()));
    tasks.spawn(levels(bus.clone(), names::OCPP, sender.clone(), |state: &OcppState| state.conditions.clone()));
    let restart = |state: &MaintenanceState| state.conditions.clone();
    tasks.spawn(levels(bus.clone(), names::MAINTENANCE, sender.clone(), restart));
    bus.ready().await?;

    let lost = bus.lost();
    tokio::pin!(lost);
    loop {
        tokio::select! {
            () = stop.asked() => break,
            exit = &mut lost => return Err(exit),
            ended = tasks.join_next() => return Err(Exit::Internal(format!("a follower ended: {ended:?}"))),
            () = watchdog.due() => watchdog.feed(),
            Some(input) = inputs.recv() => match input {
                Input::Levels { detector, conditions: Some(conditions) } => {
                    faults.hear(detector, &conditions, clock.now()).await?;
                }
                Input::Levels { detector, conditions: None } => {
                    tracing::info!(peer = detector.bus_name, "a detector is away; its last levels stay");
                }
                Input::EventsAfter { cursor, max, reply } => {
                    let events = faults.history.after(cursor, max).map_err(|error| {
                        tracing::error!(%error, "the history cannot be read");
                        CallError::Internal("the history cannot be read".to_owned())
                    });
                    // A caller that has gone needs no answer.
                    let _ = reply.send(events);
                }
            },
        }
    }
    bus.release().await;
    Ok(())
}

/// Follows what a detector sees.
async fn levels<S: Published>(
    bus: Bus,
    detector: ServiceName,
    inputs: mpsc::Sender<Input>,
    conditions: fn(&S) -> Vec<Condition>,
) {
    let input = |view: View<S>| Input::Levels { detector, conditions: view.present().map(conditions) };
    follow(bus, detector, detector.root.to_owned(), inputs, input).await;
}

impl Faults {
    async fn hear(&mut self, detector: ServiceName, conditions: &[Condition], now: Moment) -> Result<(), Exit> {
        let edges = self.register.edges(detector.role, conditions, now.unix);
        let events = if edges.is_empty() { Vec::new() } else { self.history.append(&edges, self.keep)? };
        self.register.enter(detector.role, conditions, &edges);
        edges.iter().for_each(tell);
        self.root.publish(self.register.state()).await;
        for event in events {
            if let Err(error) = RootObject::event_appended(&self.wake, event.sequence).await {
                // It only wakes; the entry is in the history for whoever asks.
                tracing::warn!(%error, "a wake-up could not be sent");
            }
        }
        Ok(())
    }
}

fn tell(edge: &Edge) {
    let (code, connector) = (edge.place.code.as_str(), edge.place.connector.0);
    let title = crate::catalogue::meaning(code).title;
    match edge.edge {
        FaultEdge::Raised => tracing::warn!(fault_code = code, connector, title, detail = edge.detail, "a fault came"),
        _ => tracing::info!(fault_code = code, connector, title, "a fault went"),
    }
}
