//! The loop of power: frames, boards and requests in; frames, coils and published states out.

use crate::cabinet::{Cabinet, Effect, LOOK, WhichBus};
use crate::can::{Accepted, BusNews, Dropped, Frame, Link, Outgoing, serve_bus};
use crate::front::Front;
use crate::handover::Handover;
use crate::io::IoNews;
use crate::io::coils::Coils;
use crate::io::modbus::Gateway;
use crate::io::port::serve_units;
use crate::modules;
use crate::settings::Settings;
use crate::wear::{Totals, WearBook};
use busbar_interfaces::{BoottimeMillis, CallError, ConnectorId, TransactionId, Watts};
use busbar_runtime::{Clock, Desk, Exit, Life, Process, Reply, StopKind};
use std::future::pending;
use std::ops::RangeInclusive;
use std::pin::{Pin, pin};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// The last frames of a process that is to be restarted have this time to go out.
const LEAVE_LIMIT: Duration = Duration::from_millis(20);
/// A lease that a caller may ask for.
const LEASE_MILLIS: RangeInclusive<u32> = 1_000..=600_000;
/// A planned stop, or one because the bus is lost, waits this long for everything to be at rest.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// Writing down how worn the switches are may take this long at the end.
const WEAR_LIMIT: Duration = Duration::from_secs(2);

/// What the bus objects ask.
#[derive(Debug)]
pub enum Request {
    Start { connector: ConnectorId, delivery: TransactionId, lease_millis: u32, reply: Reply<()> },
    Renew { connector: ConnectorId, delivery: TransactionId, lease_millis: u32, reply: Reply<()> },
    Stop { connector: ConnectorId, delivery: TransactionId, reply: Reply<()> },
    HoldLimit { connector: ConnectorId, limit_watts: Watts, lease_millis: u32, reply: Reply<Watts> },
    ResetFault { connector: ConnectorId, reply: Reply<()> },
    NoteReplaced { connector: ConnectorId, module: u8, reply: Reply<()> },
}

/// What modules say to a controller: destinations 0xF0 to 0xF7, and 0xF8 (hardware notes §1.1).
const FROM_MODULES: [Accepted; 2] = [Accepted { id: 0xF000, mask: 0xF800 }, Accepted { id: 0xF800, mask: 0xFF00 }];
/// What SECC boards say, whatever their connector (hardware notes §3).
const FROM_BOARDS: [Accepted; 1] = [Accepted { id: 0x0006_B000, mask: 0x00FF_F000 }];

enum News {
    Can(WhichBus, BusNews),
    Boards(IoNews),
    Wear(Totals),
}

struct Ports {
    modules: mpsc::Sender<Frame>,
    switch_off: mpsc::Sender<Frame>,
    vehicles: mpsc::Sender<Frame>,
    modules_dropped: Dropped,
    vehicles_dropped: Dropped,
    coils: Coils,
}

struct Service {
    settings: Settings,
    cabinet: Cabinet,
    handover: Handover,
    clock: Clock,
    ports: Ports,
    wear_book: WearBook,
}

/// Runs the service until it is asked to stop. What the last process left running is taken up before the bus is: the
/// vehicles wait for a frame, nobody else waits as briefly. Only the service manager's own successor is handed that, so
/// that nobody acts on the hardware beside the holder of the name.
///
/// # Errors
/// When the bus is lost or a task ends unasked. A port that is lost is a condition, not an end.
pub async fn run(settings: Settings, process: Process) -> Result<(), Exit> {
    let clock = process.life.clock.clone();
    let now = clock.now().boottime;
    let handover = Handover::open(process.descriptors.clone());
    let left = handover.left(now, &settings);
    let goes_on = left.is_some();
    let cabinet = match left {
        Some(left) => Cabinet::resume(&settings, left, now),
        None => Cabinet::new(&settings, now),
    };
    let (sender, mut requests) = mpsc::channel(32);
    let mut tasks = JoinSet::new();
    let (told, mut news) = mpsc::channel(256);
    let ports = open_ports(&settings, &handover, &clock, &mut tasks, &told);
    let wear_book = WearBook::open(process.state_directory()?.to_owned(), move |totals| {
        // Nobody listens any more in a process that ends.
        let _ = told.blocking_send(News::Wear(totals));
    });
    let shown = (cabinet.state(now), cabinet.connector_states(now));
    let mut service = Service { settings, cabinet, handover, clock, ports, wear_book };

    let opened = {
        let mut opening = pin!(Front::open(&process, Desk::new(sender), shown));
        if goes_on { service.meanwhile(opening, &mut news).await } else { opening.as_mut().await }
    };
    let (mut front, mut without_bus) = match opened {
        Ok(front) => (Some(front), None),
        Err(exit) if goes_on => (None, Some(exit)),
        Err(exit) => return Err(exit),
    };
    let mut stopping_until: Option<BoottimeMillis> = None;
    if let Some(exit) = &without_bus {
        stopping_until = Some(service.stop_without_bus(exit));
    }

    let Life { stop, mut watchdog, .. } = process.life;
    let bus = front.as_ref().map(|front| front.bus().clone());
    let lost = async {
        match &bus {
            Some(bus) => bus.lost().await,
            None => pending().await,
        }
    };
    let asked_to_stop = async {
        match &bus {
            Some(bus) => bus.asked_to_stop(stop).await,
            None => pending().await,
        }
    };
    tokio::pin!(lost, asked_to_stop);
    let mut ticks = ticks();
    loop {
        tokio::select! {
            kind = &mut asked_to_stop, if stopping_until.is_none() => match kind {
                // The next process goes on with what runs: nothing is switched.
                StopKind::Restart if service.cabinet.is_in_use() => {
                    service.leave().await;
                    return Ok(());
                }
                StopKind::Restart | StopKind::Stop => stopping_until = Some(service.stop()),
            },
            exit = &mut lost, if without_bus.is_none() => {
                let until = service.stop_without_bus(&exit);
                stopping_until = stopping_until.or(Some(until));
                (without_bus, front) = (Some(exit), None);
            }
            ended = tasks.join_next() => return Err(Exit::Internal(format!("a port's task ended: {ended:?}"))),
            () = watchdog.due() => watchdog.feed(),
            Some(told) = news.recv() => service.heard_all(told, &mut news),
            Some(request) = requests.recv() => service.asked(request, stopping_until.is_some()),
            _ = ticks.tick() => {}
        }
        let now = service.act();
        if let Some(front) = front.as_mut().filter(|front| front.is_due(now) || stopping_until.is_some()) {
            front.publish(now, &service.cabinet).await;
        }
        let at_rest = || service.cabinet.is_at_rest(now) && service.ports.coils.all_written();
        if stopping_until.is_some_and(|until| at_rest() || until <= now) {
            break;
        }
    }
    service.keep_wear_at_the_end().await;
    if let Some(exit) = without_bus {
        return Err(exit);
    }
    if let Some(bus) = &bus {
        bus.release().await;
    }
    Ok(())
}

fn ticks() -> Interval {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn open_ports(
    settings: &Settings,
    handover: &Handover,
    clock: &Clock,
    tasks: &mut JoinSet<()>,
    news: &mpsc::Sender<News>,
) -> Ports {
    let (modules, to_modules) = mpsc::channel(256);
    let (vehicles, to_vehicles) = mpsc::channel(64);
    let (switch_off, to_switch_off) = mpsc::channel(64);
    let (_, nothing_urgent) = mpsc::channel(1);
    let coils = Coils::new();
    let (modules_dropped, vehicles_dropped) = (Dropped::default(), Dropped::default());
    let link = |bus| {
        let (address, accepted, bit_rate) = match bus {
            WhichBus::Modules => (&settings.modules_bus, FROM_MODULES.to_vec(), settings.modules_bit_rate),
            WhichBus::Vehicles => (&settings.vehicle_bus, FROM_BOARDS.to_vec(), settings.vehicle_bit_rate),
        };
        Link { address: address.clone(), accepted, bit_rate, left_open: handover.socket(bus), clock: clock.clone() }
    };
    let outgoing = Outgoing::new(to_modules, to_switch_off, modules::is_overruled, modules_dropped.clone());
    let told = |told| News::Can(WhichBus::Modules, told);
    tasks.spawn(serve_bus(link(WhichBus::Modules), outgoing, news.clone(), told, handover.keeper(WhichBus::Modules)));
    let outgoing = Outgoing::new(to_vehicles, nothing_urgent, |_, _| false, vehicles_dropped.clone());
    let told = |told| News::Can(WhichBus::Vehicles, told);
    tasks.spawn(serve_bus(link(WhichBus::Vehicles), outgoing, news.clone(), told, handover.keeper(WhichBus::Vehicles)));
    let (units, gate) = (settings.units(), settings.gate());
    let (address, told) = (settings.io_address.clone(), news.clone());
    tasks.spawn(serve_units::<Gateway, _>(address, units, gate, coils.clone(), told, News::Boards));
    Ports { modules, switch_off, vehicles, modules_dropped, vehicles_dropped, coils }
}

impl Ports {
    /// Everything was taken over by the ports' tasks.
    fn is_empty(&self) -> bool {
        let queues = [&self.modules, &self.switch_off, &self.vehicles];
        queues.iter().all(|queue| queue.capacity() == queue.max_capacity()) && self.coils.all_written()
    }
}

impl Service {
    /// Goes on with what ran until the bus is there or cannot be had.
    async fn meanwhile(
        &mut self,
        mut opening: Pin<&mut impl Future<Output = Result<Front, Exit>>>,
        news: &mut mpsc::Receiver<News>,
    ) -> Result<Front, Exit> {
        let mut ticks = ticks();
        loop {
            self.act();
            tokio::select! {
                opened = &mut opening => return opened,
                Some(told) = news.recv() => self.heard_all(told, news),
                _ = ticks.tick() => {}
            }
        }
    }

    /// All that has come in counts before anything is done.
    fn heard_all(&mut self, first: News, news: &mut mpsc::Receiver<News>) {
        self.heard(first);
        while let Ok(told) = news.try_recv() {
            self.heard(told);
        }
    }

    fn heard(&mut self, news: News) {
        match news {
            News::Can(bus, told) => self.cabinet.bus_told(self.clock.now().boottime, bus, told),
            News::Boards(told) => self.cabinet.boards_told(self.clock.now().boottime, told),
            News::Wear(totals) => {
                self.cabinet.wear_was(&totals);
                self.wear_book.read(totals);
            }
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
            Request::ResetFault { connector, reply } => answer(reply, self.cabinet.reset_fault(now, connector)),
            Request::NoteReplaced { connector, module, reply } => match self.cabinet.replaced(connector, module) {
                Ok(totals) => self.wear_book.note(now, totals, Some(reply)),
                Err(refused) => answer(reply, Err(refused)),
            },
        }
    }

    /// Every delivery ends; until when that is waited for.
    fn stop(&mut self) -> BoottimeMillis {
        let now = self.clock.now().boottime;
        self.cabinet.stop_all(now);
        now.after(STOP_LIMIT)
    }

    /// Nobody can stop what runs any more: it is brought to rest first.
    fn stop_without_bus(&mut self, exit: &Exit) -> BoottimeMillis {
        tracing::error!(%exit, "the bus is lost: safe stop");
        self.stop()
    }

    /// The last act of a process whose successor goes on: the boards are told once more, so that they can wait, and the
    /// state is left. Dropping the ports closes this process's ends only; the service manager holds the sockets.
    async fn leave(&mut self) {
        self.cabinet.tell_again();
        let now = self.act();
        self.handover.note(now, &self.settings, &self.cabinet, true);
        let sent = async {
            while !self.ports.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        // What cannot be sent now, the next process says.
        let _ = tokio::time::timeout(LEAVE_LIMIT, sent).await;
    }

    fn keep_wear(&mut self, now: BoottimeMillis, reply: Option<Reply<()>>) {
        if let Some(totals) = self.cabinet.wear() {
            self.wear_book.note(now, totals, reply);
        }
    }

    /// What was counted is on disk before a process ends that nobody follows; a disk that hangs is not waited for.
    async fn keep_wear_at_the_end(&mut self) {
        let (reply, written) = oneshot::channel();
        self.keep_wear(self.clock.now().boottime, Some(reply));
        let _ = tokio::time::timeout(WEAR_LIMIT, written).await;
    }

    fn act(&mut self) -> BoottimeMillis {
        let now = self.clock.now().boottime;
        let effects = self.cabinet.act(now);
        // Noted before anything is switched: the next process must know what was ordered.
        let switches = effects.iter().any(|effect| matches!(effect, Effect::Coil(_)));
        self.handover.note(now, &self.settings, &self.cabinet, switches);
        if self.wear_book.is_due(now) {
            self.keep_wear(now, None);
        }
        let ports = &self.ports;
        for effect in effects {
            // A full queue is a bus that does not take frames: it is stale by the time there is room, and the next
            // cycle says what holds then. The bus task reports the loss itself.
            match effect {
                Effect::Send(WhichBus::Modules, frame) if modules::is_off(&frame) => {
                    send(&ports.switch_off, frame, &ports.modules_dropped);
                }
                Effect::Send(WhichBus::Modules, frame) => send(&ports.modules, frame, &ports.modules_dropped),
                Effect::Send(WhichBus::Vehicles, frame) => send(&ports.vehicles, frame, &ports.vehicles_dropped),
                Effect::Coil(order) => ports.coils.order(order),
            }
        }
        now
    }
}

fn send(to: &mpsc::Sender<Frame>, frame: Frame, dropped: &Dropped) {
    if to.try_send(frame).is_err() {
        dropped.add(1);
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
