//! A CAN interface of the kernel, such as `vcan0`, as one more member of a simulated bus: the station and whoever else
//! listens there hear the cabinet, and the cabinet hears them.
//!
//! An interface cannot be cut and tells of no bus-off: while its bus is down or off, nothing passes either way.

use std::fmt;
use std::io::{self, ErrorKind};
use std::str::FromStr;
use std::sync::Arc;

use socketcan::{CanFrame, CanSocket, EmbeddedFrame, ExtendedId, Id, Socket, StandardId};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

use crate::cabinet::Bus;
use crate::frame::Frame;
use crate::plant::Plant;

/// The address of an interface, `socketcan:NAME`, as a station file writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface(String);

/// An address that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be socketcan:INTERFACE, such as socketcan:vcan0")]
pub struct NoInterface;

impl FromStr for Interface {
    type Err = NoInterface;

    fn from_str(text: &str) -> Result<Self, NoInterface> {
        let name = text.strip_prefix("socketcan:").filter(|name| !name.is_empty() && !name.contains('/'));
        name.map(|name| Self(name.to_owned())).ok_or(NoInterface)
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "socketcan:{}", self.0)
    }
}

/// A socket at an interface.
#[derive(Debug)]
pub struct KernelBus {
    socket: AsyncFd<CanSocket>,
    bus: Bus,
}

impl KernelBus {
    /// Joins an interface, which must be up.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn open(interface: &Interface, bus: Bus) -> io::Result<Self> {
        Self::new(CanSocket::open(&interface.0)?, bus)
    }

    #[allow(deprecated, reason = "only a type that changes its descriptor is a danger; a CanSocket owns its own")]
    fn new(socket: CanSocket, bus: Bus) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket: AsyncFd::with_interest(socket, Interest::READABLE)?, bus })
    }

    /// Carries frames both ways for ever.
    ///
    /// # Errors
    /// When the interface fails.
    pub async fn serve(self, plant: Arc<Plant>) -> io::Result<()> {
        let down = self.bus.of(&plant.links.buses).subscribe();
        let off = self.bus.of(&plant.links.buses_off).subscribe();
        let mute = |link: &watch::Receiver<bool>| *link.borrow();
        let (mut id, mut queue) = plant.join(self.bus);
        loop {
            tokio::select! {
                read = self.socket.async_io(Interest::READABLE, |socket| socket.read_frame()) => {
                    let frame = read.map(from_kernel)?;
                    if let Some(frame) = frame.filter(|_| !mute(&down) && !mute(&off)) {
                        plant.send(self.bus, Some(id), &frame);
                    }
                }
                frame = queue.recv() => match frame {
                    Some(frame) if mute(&down) || mute(&off) => tracing::trace!(?frame, "the bus is mute"),
                    Some(frame) => self.say(&frame)?,
                    // The hub gives up whoever does not keep up; a wire has no memory of what was lost on it.
                    None => (id, queue) = plant.join(self.bus),
                },
            }
        }
    }

    /// Writes without waiting: a bus whose queue is full loses the frame.
    fn say(&self, frame: &Frame) -> io::Result<()> {
        let Some(frame) = to_kernel(frame) else { return Ok(()) };
        match self.socket.get_ref().write_frame(&frame) {
            Err(error) if !is_no_room(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

fn is_no_room(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock || error.raw_os_error() == Some(nix::errno::Errno::ENOBUFS as i32)
}

fn to_kernel(frame: &Frame) -> Option<CanFrame> {
    let id = if frame.is_extended() {
        Id::Extended(ExtendedId::new(frame.id())?)
    } else {
        Id::Standard(StandardId::new(u16::try_from(frame.id()).ok()?)?)
    };
    CanFrame::new(id, frame.data())
}

fn from_kernel(frame: CanFrame) -> Option<Frame> {
    let CanFrame::Data(frame) = frame else { return None };
    match frame.id() {
        Id::Extended(id) => Frame::new(id.as_raw(), true, frame.data()).ok(),
        Id::Standard(id) => Frame::new(u32::from(id.as_raw()), false, frame.data()).ok(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixDatagram;

    use super::*;
    use crate::advantics::Plug;
    use crate::ledger::Ledger;
    use crate::timing::Timing;

    #[test]
    fn an_interface_is_named_as_in_a_station_file() {
        assert_eq!("socketcan:vcan0".parse::<Interface>().unwrap().to_string(), "socketcan:vcan0");
        for wrong in ["vcan0", "socketcan:", "socketcan://127.0.0.1:1/modules"] {
            assert_eq!(wrong.parse::<Interface>(), Err(NoInterface));
        }
    }

    /// A `struct can_frame` of `linux/can.h`; a pair of sockets that keep messages apart stands for the interface.
    fn raw(id: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = [&id.to_ne_bytes()[..], &[u8::try_from(data.len()).unwrap(), 0, 0, 0], data].concat();
        bytes.resize(16, 0);
        bytes
    }

    #[tokio::test]
    async fn frames_pass_both_ways() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&directory.path().join("meters")).unwrap();
        let (plant, _reader) = Plant::new(Timing::quick(), [Plug::Ccs2, Plug::Ccs2], ledger);
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let theirs = tokio::net::UnixDatagram::from_std(theirs).unwrap();
        let (_, mut heard) = plant.join(Bus::Vehicles);
        let bus = KernelBus::new(CanSocket::from(OwnedFd::from(ours)), Bus::Vehicles).unwrap();
        let served = tokio::spawn(bus.serve(Arc::clone(&plant)));

        let frame = Frame::extended(0x0283_F001, [1, 2]);
        theirs.send(&raw(0x8283_F001, &[1, 2])).await.unwrap();
        assert_eq!(heard.recv().await, Some(frame));

        let mut bytes = [0; 32];
        plant.send(Bus::Vehicles, None, &frame);
        let length = theirs.recv(&mut bytes).await.unwrap();
        assert_eq!(bytes[..length], raw(0x8283_F001, &[1, 2]));

        served.abort();
    }
}
