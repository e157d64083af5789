//! The TCP port of the CAN buses: the raw mode of the socketcand protocol.
//!
//! One bus per connection. While a bus is down its connections are cut and new ones are refused.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{self, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::cabinet::Bus;
use crate::dialogue::{self, ECHO, HI, OK, Parser, Request};
use crate::frame::Frame;
use crate::hub::MemberId;
use crate::plant::Plant;

/// A client that does not take its frames for this long is cut off.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);

/// Serves clients for ever.
///
/// # Errors
/// When no connection can be accepted any more.
pub async fn serve(listener: TcpListener, plant: Arc<Plant>) -> io::Result<()> {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, address) = accepted?;
                let plant = Arc::clone(&plant);
                clients.spawn(async move {
                    if let Err(error) = Client::serve(stream, plant).await {
                        tracing::debug!(%address, error = &error as &dyn std::error::Error, "CAN client lost");
                    }
                });
            }
            Some(_) = clients.join_next() => {}
        }
    }
}

/// The bus with a name.
fn bus_by_name(name: &str) -> Option<Bus> {
    Bus::ALL.into_iter().find(|bus| bus.name() == name)
}

/// An open bus: whether it is down, and whether it is off.
#[derive(Debug)]
struct Open {
    bus: Bus,
    down: watch::Receiver<bool>,
    off: watch::Receiver<bool>,
}

/// One connection.
struct Client {
    plant: Arc<Plant>,
    writer: OwnedWriteHalf,
    open: Option<Open>,
    raw: Option<(MemberId, mpsc::Receiver<Frame>)>,
}

impl Client {
    async fn serve(stream: TcpStream, plant: Arc<Plant>) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let (mut reader, writer) = stream.into_split();
        let mut client = Self { plant, writer, open: None, raw: None };
        client.say(HI).await?;
        let mut parser = Parser::default();
        let mut bytes = [0; 4096];
        loop {
            tokio::select! {
                read = reader.read(&mut bytes) => {
                    let read = bytes.get(..read?).unwrap_or_default();
                    if read.is_empty() {
                        return Ok(());
                    }
                    parser.feed(read);
                    while let Some(request) = parser.next_request() {
                        if !client.perform(request).await? {
                            return Ok(());
                        }
                    }
                }
                frames = next_frames(&mut client.raw) => {
                    if frames.is_empty() {
                        return Err(io::Error::other("the client was too slow"));
                    }
                    client.say(&told(&frames)).await?;
                }
                state = changed(&mut client.open) => match state {
                    BusState::Down => return Ok(()),
                    BusState::Off(name) => client.refuse(&format!("bus {name} is off")).await?,
                    BusState::Well => {}
                },
            }
        }
    }

    /// Does what the client asks; false ends the connection.
    async fn perform(&mut self, request: Result<Request, String>) -> io::Result<bool> {
        match request {
            Ok(Request::Echo) => self.say(ECHO).await?,
            Ok(Request::Open(name)) => return self.open(&name).await,
            Ok(Request::RawMode) => match &self.open {
                Some(open) => {
                    self.raw = Some(self.plant.join(open.bus));
                    self.say(OK).await?;
                }
                None => self.refuse("open a bus first").await?,
            },
            Ok(Request::Send(frame)) => match &self.open {
                Some(open) => self.plant.send(open.bus, self.raw.as_ref().map(|(id, _)| *id), &frame),
                None => self.refuse("open a bus first").await?,
            },
            Err(text) => self.refuse(&text).await?,
        }
        Ok(true)
    }

    async fn open(&mut self, name: &str) -> io::Result<bool> {
        let Some(bus) = bus_by_name(name) else {
            self.refuse(&format!("no bus {name}, only modules and vehicles")).await?;
            return Ok(true);
        };
        if self.open.is_some() {
            self.refuse("a bus is open already").await?;
            return Ok(true);
        }
        let down = bus.of(&self.plant.links.buses).subscribe();
        if *down.borrow() {
            self.refuse(&format!("bus {name} is down")).await?;
            return Ok(false);
        }
        let off = bus.of(&self.plant.links.buses_off).subscribe();
        let is_off = *off.borrow();
        self.open = Some(Open { bus, down, off });
        self.say(OK).await?;
        if is_off {
            self.refuse(&format!("bus {name} is off")).await?;
        }
        Ok(true)
    }

    async fn refuse(&mut self, text: &str) -> io::Result<()> {
        self.say(&dialogue::error(text)).await
    }

    async fn say(&mut self, text: &str) -> io::Result<()> {
        match timeout(WRITE_PATIENCE, self.writer.write_all(text.as_bytes())).await {
            Ok(written) => written,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// Waits for frames and takes all that are there; none when the hub has given the client up.
async fn next_frames(raw: &mut Option<(MemberId, mpsc::Receiver<Frame>)>) -> Vec<Frame> {
    const MOST_AT_ONCE: usize = 64;
    let Some((_, queue)) = raw else { return std::future::pending().await };
    let mut frames = Vec::new();
    queue.recv_many(&mut frames, MOST_AT_ONCE).await;
    frames
}

/// What has become of a bus.
enum BusState {
    Down,
    Off(&'static str),
    Well,
}

/// Waits until something becomes of the bus of a connection.
async fn changed(open: &mut Option<Open>) -> BusState {
    let Some(Open { bus, down, off }) = open else { return std::future::pending().await };
    tokio::select! {
        // An error means that the plant is going away, which also ends the connection.
        _ = down.wait_for(|down| *down) => BusState::Down,
        changed = off.changed() => match changed {
            Err(_) => BusState::Down,
            Ok(()) if *off.borrow_and_update() => BusState::Off(bus.name()),
            Ok(()) => BusState::Well,
        },
    }
}

// Frames carry the time of day for whoever records them; nothing in the plant depends on it.
#[allow(clippy::disallowed_methods)]
fn told(frames: &[Frame]) -> String {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    frames.iter().map(|frame| dialogue::frame(frame, at)).collect()
}
