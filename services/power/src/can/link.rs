//! Keeps one bus open: takes over or opens the connection, carries frames both ways, tells how the bus fares, and tries
//! again when it is lost. A controller that is bus-off is a bus that is down, until it has restarted.

use super::health::Watch;
use super::kernel::Interface;
use super::network::Server;
use super::outgoing::Due;
use super::{Accepted, BusAddress, BusNews, BusState, CanBus, Frame, Heard, Outgoing, Port, Sending};
use busbar_interfaces::BoottimeMillis;
use busbar_runtime::Clock;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

/// The first wait before a bus that was lost is tried again, doubled up to the last.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How often the health of the bus is told.
const HEALTH: Duration = Duration::from_secs(1);
/// An urgent frame that finds no room is tried again after this time: a frame takes 1.1 ms at 125 kbit/s (hardware
/// notes §1.1).
const NO_ROOM: Duration = Duration::from_millis(2);

/// What is to be kept open.
#[derive(Debug)]
pub struct Link {
    /// Where the bus is.
    pub address: BusAddress,
    /// The frames that are wanted; all when there are none.
    pub accepted: Vec<Accepted>,
    /// The bus's bits per second, against which its load counts.
    pub bit_rate: u32,
    /// The socket that the last process left open.
    pub left_open: Option<OwnedFd>,
    /// The time.
    pub clock: Clock,
}

/// Keeps one bus open: frames out from `outgoing`, news to `news`. Of every socket that it opens, not of one that it
/// takes over, `opened` gets a descriptor to keep for the next process. Ends when the loop does.
pub async fn serve_bus<I>(
    link: Link,
    outgoing: Outgoing,
    news: mpsc::Sender<I>,
    input: impl Fn(BusNews) -> I,
    opened: impl Fn(OwnedFd),
) {
    let Link { address, accepted, bit_rate, left_open, clock } = link;
    let line = Line::new(accepted.clone(), bit_rate, clock, news, input);
    // A bus ends when the loop does: nobody waits for its last word.
    let _ = match address {
        BusAddress::Kernel { interface } => {
            let port = Interface { name: interface, accepted };
            keep_open(&port, left_open, outgoing, line, opened).await
        }
        BusAddress::Network { host_and_port, bus } => {
            let port = Server { host_and_port, bus };
            keep_open(&port, left_open, outgoing, line, opened).await
        }
    };
}

/// `None` when the loop has ended, which is its only end.
async fn keep_open<I, P: Port>(
    port: &P,
    mut left_open: Option<OwnedFd>,
    mut outgoing: Outgoing,
    mut line: Line<I, impl Fn(BusNews) -> I>,
    opened: impl Fn(OwnedFd),
) -> Option<()> {
    let mut wait = RETRY.0;
    let mut was_lost = false;
    loop {
        let connected = line.meanwhile(&outgoing, connect(port, left_open.take(), &opened)).await?;
        let reason = match connected {
            Ok(mut bus) => {
                if was_lost {
                    outgoing.forget();
                }
                wait = RETRY.0;
                exchange(&mut bus, &mut outgoing, &mut line).await?
            }
            Err(reason) => reason,
        };
        was_lost = true;
        line.enter(&outgoing, BusState::Down).await?;
        line.tell(BusNews::Down(reason)).await?;
        line.meanwhile(&outgoing, sleep(wait)).await?;
        wait = (wait * 2).min(RETRY.1);
    }
}

/// Takes over what was left open, and opens anew if that is not usable.
async fn connect<P: Port>(port: &P, left_open: Option<OwnedFd>, opened: &impl Fn(OwnedFd)) -> Result<P::Bus, String> {
    if let Some(left) = left_open {
        match port.take_over(left).await {
            Ok(bus) => return Ok(bus),
            Err(reason) => {
                tracing::warn!(reason, "the CAN socket that was left open is not usable: a new one is opened")
            }
        }
    }
    let bus = port.open().await?;
    if let Some(descriptor) = bus.descriptor() {
        opened(descriptor);
    }
    Ok(bus)
}

/// Returns why the bus was lost, or `None` when the loop has ended.
async fn exchange<I>(
    bus: &mut impl CanBus,
    outgoing: &mut Outgoing,
    line: &mut Line<I, impl Fn(BusNews) -> I>,
) -> Option<String> {
    if bus.is_off() == Some(true) {
        line.enter(outgoing, BusState::BusOff).await?;
        line.tell(off(bus)).await?;
    } else {
        line.enter(outgoing, BusState::Active).await?;
        line.tell(BusNews::Up).await?;
    }
    loop {
        let is_off = line.watch.state() == BusState::BusOff;
        tokio::select! {
            // What a controller that is bus-off were given, it would send when it has restarted, and it would be stale.
            due = outgoing.next(), if !is_off => {
                if let Err(reason) = send(bus, outgoing, line, due?).await {
                    return Some(reason);
                }
            }
            heard = bus.receive() => match heard {
                Ok(Heard::Frame(frame)) => line.received(frame).await?,
                Ok(Heard::Error(error)) => {
                    let before = line.watch.state();
                    line.watch.error(line.now(), &error);
                    line.changed(bus, outgoing, before).await?;
                }
                Ok(Heard::Refused(what)) => line.refused(outgoing, what),
                Err(reason) => return Some(reason),
            },
            _ = line.ticks.tick() => {
                line.look_at(bus, outgoing).await?;
                line.tell_health(outgoing).await?;
            }
        }
    }
}

/// Sends a frame, or keeps or drops it where there is no room.
async fn send<I, N>(
    bus: &mut impl CanBus,
    outgoing: &mut Outgoing,
    line: &mut Line<I, N>,
    due: Due,
) -> Result<(), String> {
    match bus.send(&due.frame).await {
        Ok(Sending::Done) => line.watch.sent(line.now(), &due.frame),
        Ok(Sending::NoRoom) => {
            let again = due.urgent;
            outgoing.not_taken(due);
            if again {
                sleep(NO_ROOM).await;
            }
        }
        Err(reason) => {
            outgoing.not_taken(due);
            return Err(reason);
        }
    }
    Ok(())
}

fn off(bus: &impl CanBus) -> BusNews {
    let remedy = bus.remedy();
    BusNews::Down(format!("bus-off: the controller has left the bus after too many errors; {remedy}"))
}

/// The way from a bus to the loop, and what is known of the bus.
struct Line<I, N> {
    accepted: Vec<Accepted>,
    clock: Clock,
    news: mpsc::Sender<I>,
    input: N,
    watch: Watch,
    ticks: Interval,
    refusal: Option<String>,
}

impl<I, N> Line<I, N> {
    fn now(&self) -> BoottimeMillis {
        self.clock.now().boottime
    }

    /// What the server refuses was not sent; each refusal is logged when it begins.
    fn refused(&mut self, outgoing: &Outgoing, what: String) {
        outgoing.dropped().add(1);
        if self.refusal.as_ref() != Some(&what) {
            tracing::warn!(what, "the CAN server refused something");
            self.refusal = Some(what);
        }
    }
}

impl<I, N: Fn(BusNews) -> I> Line<I, N> {
    fn new(accepted: Vec<Accepted>, bit_rate: u32, clock: Clock, news: mpsc::Sender<I>, input: N) -> Line<I, N> {
        let watch = Watch::new(clock.now().boottime, bit_rate);
        let mut ticks = interval(HEALTH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Line { accepted, clock, news, input, watch, ticks, refusal: None }
    }

    async fn tell(&self, told: BusNews) -> Option<()> {
        self.news.send((self.input)(told)).await.ok()
    }

    async fn tell_health(&mut self, outgoing: &Outgoing) -> Option<()> {
        let health = self.watch.health(self.now(), outgoing.dropped().count());
        self.tell(BusNews::Health(health)).await
    }

    async fn received(&mut self, frame: Frame) -> Option<()> {
        self.watch.received(self.now(), &frame);
        if self.accepted.is_empty() || self.accepted.iter().any(|each| each.takes(&frame)) {
            self.tell(BusNews::Received(frame)).await?;
        }
        Some(())
    }

    /// The bus is in this state now, which is told if it is another one.
    async fn enter(&mut self, outgoing: &Outgoing, state: BusState) -> Option<()> {
        let before = self.watch.state();
        self.watch.enter(self.now(), state);
        if before == state { Some(()) } else { self.tell_health(outgoing).await }
    }

    /// The state may have changed: a controller that has left the bus, or come back, is more than a number.
    async fn changed(&mut self, bus: &impl CanBus, outgoing: &mut Outgoing, before: BusState) -> Option<()> {
        let state = self.watch.state();
        if state == before {
            return Some(());
        }
        self.tell_health(outgoing).await?;
        if state == BusState::BusOff {
            self.tell(off(bus)).await
        } else if before == BusState::BusOff {
            outgoing.forget();
            self.tell(BusNews::Up).await
        } else {
            Some(())
        }
    }

    /// An error frame may have been lost: what can be seen without one counts.
    async fn look_at(&mut self, bus: &impl CanBus, outgoing: &mut Outgoing) -> Option<()> {
        let before = self.watch.state();
        match bus.is_off() {
            Some(true) => self.watch.enter(self.now(), BusState::BusOff),
            Some(false) if before == BusState::BusOff => self.watch.enter(self.now(), BusState::Active),
            Some(false) | None => {}
        }
        self.changed(bus, outgoing, before).await
    }

    /// Does something that takes time while the health goes on being told.
    async fn meanwhile<T>(&mut self, outgoing: &Outgoing, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                _ = self.ticks.tick() => self.tell_health(outgoing).await?,
            }
        }
    }
}

#[cfg(test)]
mod tests;
