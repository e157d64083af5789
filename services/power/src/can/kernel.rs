//! The kernel's CAN interface, such as `can0`. Its bit rate and restart time are the network configuration's.

use super::{Accepted, CanBus, ErrorFrame, Frame, Heard, Port, Sending};
use nix::errno::Errno;
use socketcan::id::{CAN_EFF_FLAG, CAN_RTR_FLAG};
use socketcan::{CanAddr, CanFrame, CanSocket, EmbeddedFrame, ExtendedId, Id, Socket, SocketOptions, StandardId};
use std::io::{Error, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Frames may wait in the socket while one process follows the other: some hundred at a kilobyte each.
const RECEIVE_BUFFER: usize = 512 * 1024;

/// An interface, and what is wanted of it.
pub struct Interface {
    /// Its name.
    pub name: String,
    /// The frames that are wanted; all when there are none.
    pub accepted: Vec<Accepted>,
}

/// An open interface.
pub struct KernelBus {
    socket: AsyncFd<CanSocket>,
    interface: String,
}

impl Port for Interface {
    type Bus = KernelBus;

    async fn open(&self) -> Result<KernelBus, String> {
        if carrier(&self.name) == Carrier::InterfaceDown {
            return Err(format!("interface `{0}` is down; `ip link set {0} up` brings it up", self.name));
        }
        CanSocket::open(&self.name).and_then(|socket| self.prepare(socket)).map_err(|error| self.failed(&error))
    }

    async fn take_over(&self, left: OwnedFd) -> Result<KernelBus, String> {
        let socket = CanSocket::from(left);
        // Bound to this interface already, it stays so with all that waits in it; what is no CAN socket is refused.
        CanAddr::from_iface(&self.name)
            .and_then(|address| socket.as_raw_socket().bind(&address.into_sock_addr()))
            .and_then(|()| self.prepare(socket))
            .map_err(|error| self.failed(&error))
    }
}

impl Interface {
    fn failed(&self, error: &Error) -> String {
        format!("interface `{}`: {error}", self.name)
    }

    fn prepare(&self, socket: CanSocket) -> Result<KernelBus, Error> {
        socket.set_error_filter_accept_all()?;
        if self.accepted.is_empty() {
            socket.set_filter_accept_all()?;
        } else {
            let filters: Vec<(u32, u32)> = self.accepted.iter().map(filter).collect();
            socket.set_filters(&filters)?;
        }
        socket.as_raw_socket().set_recv_buffer_size(RECEIVE_BUFFER)?;
        KernelBus::new(socket, self.name.clone())
    }
}

/// The identifier and the mask as the kernel takes them: extended frames that carry data.
fn filter(accepted: &Accepted) -> (u32, u32) {
    (accepted.id | CAN_EFF_FLAG, accepted.mask | CAN_EFF_FLAG | CAN_RTR_FLAG)
}

impl KernelBus {
    #[allow(deprecated, reason = "only a type that changes its descriptor is a danger; a CanSocket owns its own")]
    fn new(socket: CanSocket, interface: String) -> Result<KernelBus, Error> {
        socket.set_nonblocking(true)?;
        Ok(KernelBus { socket: AsyncFd::with_interest(socket, Interest::READABLE)?, interface })
    }
}

impl CanBus for KernelBus {
    async fn send(&mut self, frame: &Frame) -> Result<Sending, String> {
        let frame = to_kernel(frame).ok_or("the frame cannot be sent")?;
        match self.socket.get_ref().write_frame(&frame) {
            Ok(()) => Ok(Sending::Done),
            // The interface's queue is full: nobody acknowledges, or more is sent than the bus carries.
            Err(error) if is_no_room(&error) => Ok(Sending::NoRoom),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn receive(&mut self) -> Result<Heard, String> {
        loop {
            let read = self.socket.async_io(Interest::READABLE, |socket| socket.read_frame()).await;
            if let Some(heard) = read.map_err(|error| error.to_string()).map(from_kernel)? {
                return Ok(heard);
            }
        }
    }

    fn is_off(&self) -> Option<bool> {
        match carrier(&self.interface) {
            Carrier::On => Some(false),
            Carrier::Off => Some(true),
            Carrier::InterfaceDown | Carrier::Unknown => None,
        }
    }

    fn remedy(&self) -> String {
        let name = &self.interface;
        format!(
            "`{name}` restarts by itself if its restart-ms is set, otherwise by `ip link set {name} type can restart`"
        )
    }

    fn descriptor(&self) -> Option<OwnedFd> {
        self.socket.get_ref().as_fd().try_clone_to_owned().ok()
    }
}

fn is_no_room(error: &Error) -> bool {
    error.kind() == ErrorKind::WouldBlock || error.raw_os_error() == Some(Errno::ENOBUFS as i32)
}

fn to_kernel(frame: &Frame) -> Option<CanFrame> {
    let id = if frame.is_extended() {
        Id::Extended(ExtendedId::new(frame.id())?)
    } else {
        Id::Standard(StandardId::new(u16::try_from(frame.id()).ok()?)?)
    };
    CanFrame::new(id, frame.data())
}

fn from_kernel(frame: CanFrame) -> Option<Heard> {
    match frame {
        CanFrame::Data(frame) => Some(Heard::Frame(match frame.id() {
            Id::Extended(id) => Frame::extended(id.as_raw(), frame.data()),
            Id::Standard(id) => Frame::standard(u32::from(id.as_raw()), frame.data()),
        })),
        CanFrame::Error(frame) => Some(Heard::Error(ErrorFrame::from(&frame.into_error()))),
        CanFrame::Remote(_) => None,
    }
}

/// What the kernel says of an interface's carrier: a CAN controller that is bus-off has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carrier {
    On,
    Off,
    InterfaceDown,
    Unknown,
}

/// Error frames of before the socket was opened are not to be had; the carrier is.
#[allow(clippy::disallowed_methods, reason = "the kernel tells it in a file")]
fn carrier(interface: &str) -> Carrier {
    read_carrier(std::fs::read_to_string(format!("/sys/class/net/{interface}/carrier")))
}

fn read_carrier(read: Result<String, Error>) -> Carrier {
    match read.as_deref().map(str::trim) {
        Ok("1") => Carrier::On,
        Ok("0") => Carrier::Off,
        Err(error) if error.kind() == ErrorKind::InvalidInput => Carrier::InterfaceDown,
        _ => Carrier::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::can::BusState;
    use std::os::unix::net::UnixDatagram;

    /// A pair of sockets that keep the borders of messages, as a CAN socket does, stands for the interface.
    fn bus() -> (KernelBus, UnixDatagram) {
        let (ours, theirs) = UnixDatagram::pair().expect("a pair");
        let socket = CanSocket::from(OwnedFd::from(ours));
        (KernelBus::new(socket, "no-such-interface".to_owned()).expect("a bus"), theirs)
    }

    /// A `struct can_frame` of `linux/can.h`.
    fn raw(id: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes =
            [id.to_ne_bytes().as_slice(), &[u8::try_from(data.len()).expect("short"), 0, 0, 0], data].concat();
        bytes.resize(16, 0);
        bytes
    }

    #[tokio::test]
    async fn frames_and_error_frames_as_the_kernel_lays_them_out() {
        let (mut bus, kernel) = bus();
        #[rustfmt::skip]
        let cases = [
            (raw(0x8283_F001, &[1, 2]),                    Heard::Frame(Frame::extended(0x0283_F001, &[1, 2]))),
            (raw(0x0000_0102, &[]),                        Heard::Frame(Frame::standard(0x102, &[]))),
            (raw(0x2000_0040, &[0; 8]),                    Heard::Error(ErrorFrame { state: Some(BusState::BusOff), counters: None })),
            (raw(0x2000_0204, &[0, 0x20, 0, 0, 0, 0, 130, 1]), Heard::Error(ErrorFrame { state: Some(BusState::Passive), counters: Some((130, 1)) })),
        ];
        kernel.send(&raw(0x4000_0102, &[])).expect("sent: a remote frame, which nobody wants");
        for (bytes, expected) in cases {
            kernel.send(&bytes).expect("sent");
            assert_eq!(bus.receive().await, Ok(expected));
        }
        for (frame, expected) in [
            (Frame::extended(0x028A_01F0, &[0; 8]), raw(0x828A_01F0, &[0; 8])),
            (Frame::standard(0x109, &[5]), raw(0x109, &[5])),
        ] {
            assert_eq!(bus.send(&frame).await, Ok(Sending::Done));
            let mut bytes = [0; 32];
            let length = kernel.recv(&mut bytes).expect("received");
            assert_eq!(bytes[..length], expected);
        }
    }

    #[tokio::test]
    async fn a_full_queue_is_no_loss_of_the_bus() {
        let (mut bus, kernel) = bus();
        let frame = Frame::extended(0x028A_01F0, &[0; 8]);
        while bus.send(&frame).await.expect("not lost") == Sending::Done {}
        assert!(is_no_room(&Error::from_raw_os_error(Errno::ENOBUFS as i32)));
        assert!(!is_no_room(&Error::from_raw_os_error(Errno::ENETDOWN as i32)));
        drop(kernel);
        assert!(bus.send(&frame).await.is_err());
    }

    #[tokio::test]
    async fn the_descriptor_for_the_next_process_is_the_same_socket() {
        let (bus, kernel) = bus();
        let left = bus.descriptor().expect("a descriptor");
        drop(bus);
        kernel.send(&raw(0x8283_F001, &[9])).expect("somebody still listens");
        let mut next = KernelBus::new(CanSocket::from(left), "no-such-interface".to_owned()).expect("a bus");
        assert_eq!(next.receive().await, Ok(Heard::Frame(Frame::extended(0x0283_F001, &[9]))));
    }

    #[tokio::test]
    async fn what_is_no_can_socket_is_not_taken_over() {
        let interface = Interface { name: "lo".to_owned(), accepted: Vec::new() };
        let socket = UnixDatagram::unbound().expect("a socket");
        assert!(interface.take_over(OwnedFd::from(socket)).await.is_err());
        let pipe = std::io::pipe().expect("a pipe").0;
        assert!(interface.take_over(OwnedFd::from(pipe)).await.is_err());
    }

    #[test]
    fn filters_take_extended_data_frames_only() {
        let vehicles = Accepted { id: 0x0006_B000, mask: 0x00FF_F000 };
        assert_eq!(filter(&vehicles), (0x8006_B000, 0xC0FF_F000));
    }

    #[test]
    fn the_carrier_says_whether_the_controller_is_off() {
        let told = |text: &str| Ok(text.to_owned());
        for (read, expected) in [
            (told("1\n"), Carrier::On),
            (told("0\n"), Carrier::Off),
            (told(""), Carrier::Unknown),
            (Err(ErrorKind::InvalidInput.into()), Carrier::InterfaceDown),
            (Err(ErrorKind::NotFound.into()), Carrier::Unknown),
        ] {
            assert_eq!(read_carrier(read), expected);
        }
    }
}
