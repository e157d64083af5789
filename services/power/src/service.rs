//! The loop of power: frames, boards and requests in; frames, coils and published states out.

use crate::cabinet::{Cabinet, Effect, WhichBus};
use crate::can::{BusNews, Frame, Outgoing, serve_bus};
use crate::infypower;
use crate::io::{Coils, IoNews, serve_boards};
use crate::objects::{ConnectorObject, RootObject};
use crate::record::Record;
use crate::settings::Settings;
use busbar_interfaces::power::{PowerConnectorState, PowerState};
use busbar_interfaces::{BoottimeMillis, CallError, ConnectorId, TransactionId, Watts, names};
use busbar_runtime::{Bus, Clock, Desk, Exit, Life, Object, Reply};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// Without news the cabinet is looked at this often: half of the shortest period in it.
const TICK: Duration = Duration::from_millis(25);
/// Measured values are published this often while they flow; everything else at once.
const MEASURED: Duration = Duration::from_secs(1);
/// A lease that a caller may ask for.
const LEASE_MILLIS: RangeInclusive<u32> = 1_000..=600_000;
/// A planned stop, or one because the bus is lost, waits this long for everything to be at rest.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// What the bus objects ask.
#[derive(Debug)]
pub enum Request {
    Start { connector: ConnectorId, delivery: TransactionId, lease_millis: u32, reply: Reply<()> },
    Renew { connector: ConnectorId, delivery: TransactionId, lease_millis: u32, reply: Reply<()> },
    Stop { connector: ConnectorId, delivery: TransactionId, reply: Reply<()> },
    HoldLimit { connector: ConnectorId, limit_watts: Watts, lease_millis: u32, reply: Reply<Watts> },
}

enum News {
    Can(WhichBus, BusNews),
    Boards(IoNews),
}

struct Ports {
    modules: mpsc::Sender<Frame>,
    switch_off: mpsc::Sender<Frame>,
    vehicles: mpsc::Sender<Frame>,
    coils: Coils,
}

struct Service {
    cabinet: Cabinet,
    record: Record,
    clock: Clock,
    ports: Ports,
    root: Object<PowerState>,
    connectors: BTreeMap<ConnectorId, Object<PowerConnectorState>>,
    measured_at: BoottimeMillis,
}

/// Runs the service until it is asked to stop.
///
/// # Errors
/// When the bus is lost or a task ends unasked. A port that is lost is a condition, not an end.
pub async fn run(settings: Settings, record: Record, bus: Bus, life: Life) -> Result<(), Exit> {
    let Life { clock, mut stop, mut watchdog } = life;
    let now = clock.now().boottime;
    let cabinet = Cabinet::new(&settings, &record.read(), now);
    let (sender, mut requests) = mpsc::channel(32);
    let desk = Desk::new(sender);
    let mut tasks = JoinSet::new();
    let (ports, mut news) = open_ports(&settings, &mut tasks);

    let (root, shown) = Object::new(&bus, names::POWER.root, cabinet.state(now));
    bus.serve(names::POWER.root, RootObject { shown }).await?;
    let mut connectors = BTreeMap::new();
    for (connector, state) in cabinet.connector_states(now) {
        let path = names::POWER.connector(connector);
        let (object, shown) = Object::new(&bus, &path, state);
        bus.serve(&path, ConnectorObject { connector, desk: desk.clone(), shown }).await?;
        connectors.insert(connector, object);
    }
    let mut service = Service { cabinet, record, clock, ports, root, connectors, measured_at: now };
    bus.ready().await?;

    let lost = bus.lost();
    tokio::pin!(lost);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stopping_until: Option<BoottimeMillis> = None;
    let mut without_bus: Option<Exit> = None;
    loop {
        tokio::select! {
            () = stop.asked(), if stopping_until.is_none() => stopping_until = Some(service.stop()),
            exit = &mut lost, if without_bus.is_none() => {
                // Nobody can stop what runs any more: it is brought to rest first.
                tracing::error!(%exit, "the bus is lost: safe stop");
                without_bus = Some(exit);
                stopping_until = stopping_until.or_else(|| Some(service.stop()));
            }
            ended = tasks.join_next() => return Err(Exit::Internal(format!("a port's task ended: {ended:?}"))),
            () = watchdog.due() => watchdog.feed(),
            Some(told) = news.recv() => {
                service.heard(told);
                // All that has come in counts before anything is done.
                while let Ok(told) = news.try_recv() {
                    service.heard(told);
                }
            }
            Some(request) = requests.recv() => service.asked(request, stopping_until.is_some()),
            _ = ticks.tick() => {}
        }
        let now = service.act();
        if without_bus.is_none() {
            service.publish(now).await;
        }
        let at_rest = || service.cabinet.is_at_rest(now) && service.ports.coils.all_written();
        if stopping_until.is_some_and(|until| at_rest() || until <= now) {
            break;
        }
    }
    if let Some(exit) = without_bus {
        return Err(exit);
    }
    bus.release().await;
    Ok(())
}

fn open_ports(settings: &Settings, tasks: &mut JoinSet<()>) -> (Ports, mpsc::Receiver<News>) {
    let (news, received) = mpsc::channel(256);
    let (modules, to_modules) = mpsc::channel(256);
    let (vehicles, to_vehicles) = mpsc::channel(64);
    let (switch_off, to_switch_off) = mpsc::channel(64);
    let (_, nothing_urgent) = mpsc::channel(1);
    let coils = Coils::new();
    let address = settings.modules_bus.clone();
    tasks.spawn(serve_bus(address, Outgoing::new(to_modules, to_switch_off), news.clone(), |told| {
        News::Can(WhichBus::Modules, told)
    }));
    let address = settings.vehicle_bus.clone();
    tasks.spawn(serve_bus(address, Outgoing::new(to_vehicles, nothing_urgent), news.clone(), |told| {
        News::Can(WhichBus::Vehicles, told)
    }));
    let of_connectors = settings.connectors.iter().map(|wiring| wiring.io_unit);
    let of_modules = settings.modules.iter().map(|wiring| wiring.relay_unit);
    let units: BTreeSet<u8> = of_connectors.chain(of_modules).collect();
    tasks.spawn(serve_boards(
        settings.io_address.clone(),
        units.into_iter().collect(),
        coils.clone(),
        news,
        News::Boards,
    ));
    (Ports { modules, switch_off, vehicles, coils }, received)
}

impl Service {
    fn heard(&mut self, news: News) {
        match news {
            News::Can(bus, told) => self.cabinet.bus_told(self.clock.now().boottime, bus, told),
            News::Boards(told) => self.cabinet.boards_told(self.clock.now().boottime, told),
        }
    }

    fn asked(&mut self, request: Request, stopping: bool) {
        let now = self.clock.now().boottime;
        match request {
            Request::Start { connector, delivery, lease_millis, reply } => {
                let verdict = if stopping {
                    Err(CallError::NotReady("the service is stopping".to_owned()))
                } else {
                    lease(lease_millis).and_then(|lease| self.cabinet.start(now, connector, delivery, lease))
                };
                if let Err(refused) = &verdict {
                    tracing::debug!(connector = connector.0, delivery = delivery.0, %refused, "no delivery starts");
                }
                answer(reply, verdict);
            }
            Request::Renew { connector, delivery, lease_millis, reply } => {
                let verdict = lease(lease_millis)
                    .and_then(|lease| self.cabinet.connector(connector)?.renew(now, delivery, lease));
                answer(reply, verdict);
            }
            Request::Stop { connector, delivery, reply } => {
                answer(reply, self.cabinet.connector(connector).and_then(|each| each.stop(now, delivery)));
            }
            Request::HoldLimit { connector, limit_watts, lease_millis, reply } => {
                let held = lease(lease_millis)
                    .and_then(|lease| Ok(self.cabinet.connector(connector)?.hold_limit(now, limit_watts, lease)));
                answer(reply, held);
            }
        }
    }

    /// Every delivery ends; until when that is waited for.
    fn stop(&mut self) -> BoottimeMillis {
        let now = self.clock.now().boottime;
        self.cabinet.stop_all(now);
        now.after(STOP_LIMIT)
    }

    fn act(&mut self) -> BoottimeMillis {
        let now = self.clock.now().boottime;
        let ports = &self.ports;
        for effect in self.cabinet.act(now) {
            // A full queue is a bus that does not take frames: it is stale by the time there is room, and the next
            // cycle says what holds then. The bus task reports the loss itself.
            let dropped = match effect {
                Effect::Send(WhichBus::Modules, frame) if infypower::is_off(&frame) => {
                    ports.switch_off.try_send(frame).is_err()
                }
                Effect::Send(WhichBus::Modules, frame) => ports.modules.try_send(frame).is_err(),
                Effect::Send(WhichBus::Vehicles, frame) => ports.vehicles.try_send(frame).is_err(),
                Effect::Coil(order) => {
                    ports.coils.order(order);
                    false
                }
            };
            if dropped {
                tracing::trace!("a frame was dropped");
            }
        }
        self.record.write(self.cabinet.record());
        now
    }

    async fn publish(&mut self, now: BoottimeMillis) {
        self.root.publish(self.cabinet.state(now)).await;
        let measured_due = now.since(self.measured_at) >= MEASURED;
        if measured_due {
            self.measured_at = now;
        }
        for (id, state) in self.cabinet.connector_states(now) {
            let Some(object) = self.connectors.get(&id) else { continue };
            let shown = object.state();
            // What only measures waits for its turn; a change of anything else takes the fresh values along.
            let with_old_measurements = PowerConnectorState {
                requested_millivolts: shown.requested_millivolts,
                output_millivolts: shown.output_millivolts,
                output_milliamperes: shown.output_milliamperes,
                offered_watts: shown.offered_watts,
                sampled_boottime_millis: shown.sampled_boottime_millis,
                requested_milliamperes: if (shown.requested_milliamperes.0 == 0)
                    == (state.requested_milliamperes.0 == 0)
                {
                    shown.requested_milliamperes
                } else {
                    state.requested_milliamperes
                },
                ..state.clone()
            };
            let first_current = shown.output_milliamperes.0 == 0 && state.output_milliamperes.0 > 0;
            if measured_due || first_current || with_old_measurements != shown {
                object.publish(state).await;
            }
        }
    }
}

fn lease(lease_millis: u32) -> Result<Duration, CallError> {
    if LEASE_MILLIS.contains(&lease_millis) {
        Ok(Duration::from_millis(u64::from(lease_millis)))
    } else {
        let (least, most) = LEASE_MILLIS.into_inner();
        Err(CallError::OutOfRange(format!("lease_millis is {lease_millis}; it must be from {least} to {most}")))
    }
}

fn answer<R>(reply: Reply<R>, value: Result<R, CallError>) {
    // A caller that has gone needs no answer.
    let _ = reply.send(value);
}
