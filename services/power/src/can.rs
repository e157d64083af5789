//! A CAN bus as power sees it: frames, and whether the bus is there. `socketcan:can0` is the kernel's interface;
//! `socketcand://host:port/bus` the public network protocol for machines whose kernel has none.

use crate::{infypower, socketcan_port, socketcand_port};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc;

/// A CAN 2.0 data frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    id: u32,
    extended: bool,
    data: [u8; 8],
    length: u8,
}

impl Frame {
    /// A frame with a 29-bit identifier; more than eight bytes are cut off.
    pub fn extended(id: u32, bytes: &[u8]) -> Frame {
        Frame::new(id & 0x1FFF_FFFF, true, bytes)
    }

    /// A frame with an 11-bit identifier; likewise.
    pub fn standard(id: u32, bytes: &[u8]) -> Frame {
        Frame::new(id & 0x7FF, false, bytes)
    }

    fn new(id: u32, extended: bool, bytes: &[u8]) -> Frame {
        let mut data = [0; 8];
        data.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Frame { id, extended, data, length: u8::try_from(bytes.len().min(8)).unwrap_or(8) }
    }

    /// The identifier.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Whether it has 29 bits.
    pub fn is_extended(&self) -> bool {
        self.extended
    }

    /// The bytes.
    pub fn data(&self) -> &[u8] {
        self.data.get(..usize::from(self.length)).unwrap_or(&self.data)
    }
}

/// Where a bus is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BusAddress {
    /// An interface of the kernel.
    Kernel { interface: String },
    /// A socketcand server.
    Network { host_and_port: String, bus: String },
}

impl BusAddress {
    /// Reads `socketcan:INTERFACE` or `socketcand://HOST:PORT/BUS`.
    ///
    /// # Errors
    /// A text that says what would be right.
    pub fn parse(text: &str) -> Result<BusAddress, String> {
        let wrong = || {
            "must be \"socketcan:INTERFACE\" such as \"socketcan:can0\", or \"socketcand://HOST:PORT/BUS\"".to_owned()
        };
        if let Some(interface) = text.strip_prefix("socketcan:") {
            let good = !interface.is_empty() && interface.len() < 16 && !interface.contains('/');
            return if good { Ok(BusAddress::Kernel { interface: interface.to_owned() }) } else { Err(wrong()) };
        }
        let (host_and_port, bus) =
            text.strip_prefix("socketcand://").and_then(|rest| rest.split_once('/')).ok_or_else(wrong)?;
        let port_is_good = host_and_port
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0));
        let bus_is_good = !bus.is_empty() && bus.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if port_is_good && bus_is_good {
            Ok(BusAddress::Network { host_and_port: host_and_port.to_owned(), bus: bus.to_owned() })
        } else {
            Err(wrong())
        }
    }
}

impl std::fmt::Display for BusAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BusAddress::Kernel { interface } => write!(f, "socketcan:{interface}"),
            BusAddress::Network { host_and_port, bus } => write!(f, "socketcand://{host_and_port}/{bus}"),
        }
    }
}

/// What a bus tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BusNews {
    /// It is there.
    Up,
    /// It is not; why.
    Down(String),
    /// A frame came.
    Received(Frame),
}

/// One connection to a bus.
pub trait CanBus {
    /// Sends a frame.
    async fn send(&mut self, frame: &Frame) -> Result<(), String>;
    /// Waits for a frame. Dropping the future before it is ready loses nothing.
    async fn receive(&mut self) -> Result<Frame, String>;
}

/// The first wait before a bus that was lost is tried again, doubled up to the last.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Frames to a bus.
pub struct Outgoing {
    /// In their order.
    pub queue: mpsc::Receiver<Frame>,
    /// Before all others; orders to the same module that wait in the queue are dropped, so that they undo nothing.
    pub urgent: mpsc::Receiver<Frame>,
    /// Taken out of the queue and not sent yet.
    waiting: VecDeque<Frame>,
}

impl Outgoing {
    /// Nothing waits.
    pub fn new(queue: mpsc::Receiver<Frame>, urgent: mpsc::Receiver<Frame>) -> Outgoing {
        Outgoing { queue, urgent, waiting: VecDeque::new() }
    }

    /// The next frame; `None` when there will be none. Dropping the future before it is ready loses nothing.
    async fn next(&mut self) -> Option<Frame> {
        let urgent = match self.urgent.try_recv() {
            Ok(frame) => frame,
            Err(_) => match self.waiting.pop_front() {
                Some(frame) => return Some(frame),
                None => tokio::select! {
                    biased;
                    Some(frame) = self.urgent.recv() => frame,
                    frame = self.queue.recv() => return frame,
                },
            },
        };
        while let Ok(frame) = self.queue.try_recv() {
            self.waiting.push_back(frame);
        }
        self.waiting.retain(|frame| !infypower::is_overruled(frame, &urgent));
        Some(urgent)
    }

    /// What was to be sent while the bus was away is stale: the next cycle says what holds then.
    fn forget(&mut self) {
        self.waiting.clear();
        while self.queue.try_recv().is_ok() || self.urgent.try_recv().is_ok() {}
    }
}

/// Keeps one bus open: frames out from `outgoing`, news to `news`. Ends when the loop does.
pub async fn serve_bus<I>(
    address: BusAddress,
    mut outgoing: Outgoing,
    news: mpsc::Sender<I>,
    input: impl Fn(BusNews) -> I,
) {
    let mut wait = RETRY.0;
    loop {
        let ended = match &address {
            BusAddress::Kernel { interface } => match socketcan_port::open(interface) {
                Ok(bus) => exchange(bus, &mut outgoing, &news, &input, &mut wait).await,
                Err(reason) => Some(reason),
            },
            BusAddress::Network { host_and_port, bus } => match socketcand_port::open(host_and_port, bus).await {
                Ok(bus) => exchange(bus, &mut outgoing, &news, &input, &mut wait).await,
                Err(reason) => Some(reason),
            },
        };
        let Some(reason) = ended else { return };
        if news.send(input(BusNews::Down(reason))).await.is_err() {
            return;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY.1);
        outgoing.forget();
    }
}

/// Returns why the bus was lost, or `None` when the loop has ended.
async fn exchange<I>(
    mut bus: impl CanBus,
    outgoing: &mut Outgoing,
    news: &mpsc::Sender<I>,
    input: &impl Fn(BusNews) -> I,
    wait: &mut Duration,
) -> Option<String> {
    news.send(input(BusNews::Up)).await.ok()?;
    *wait = RETRY.0;
    loop {
        tokio::select! {
            frame = outgoing.next() => {
                if let Err(reason) = bus.send(&frame?).await {
                    return Some(reason);
                }
            }
            frame = bus.receive() => match frame {
                Ok(frame) => news.send(input(BusNews::Received(frame))).await.ok()?,
                Err(reason) => return Some(reason),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infypower::Address;

    #[tokio::test]
    async fn off_is_sent_first_and_nothing_after_it_undoes_it() {
        let ((queue, queued), (urgent, first)) = (mpsc::channel(8), mpsc::channel(8));
        let mut outgoing = Outgoing::new(queued, first);
        let on = |module| infypower::switch(Address(module), true);
        queue.send(on(1)).await.expect("room");
        queue.send(on(2)).await.expect("room");
        queue.send(infypower::read_output(Address(1))).await.expect("room");
        let off = infypower::switch(Address(1), false);
        urgent.send(off.clone()).await.expect("room");
        assert_eq!(outgoing.next().await, Some(off));
        assert_eq!(outgoing.next().await, Some(on(2)));
        assert_eq!(outgoing.next().await, Some(infypower::read_output(Address(1))), "a question undoes nothing");
    }

    #[test]
    fn addresses_come_back_as_they_were_written() {
        for text in ["socketcan:can0", "socketcand://127.0.0.1:29536/modules"] {
            assert_eq!(BusAddress::parse(text).expect(text).to_string(), text);
        }
        for text in [
            "",
            "can0",
            "socketcan:",
            "socketcand://host/bus",
            "socketcand://host:0/bus",
            "socketcand://h:1/",
            "socketcand://h:1/a b",
        ] {
            assert!(BusAddress::parse(text).is_err(), "{text}");
        }
    }
}
