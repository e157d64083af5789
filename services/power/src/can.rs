//! A CAN bus as power sees it: frames, whether the bus is there, and how it fares. `socketcan:can0` is the kernel's
//! interface; `socketcand://host:port/bus` the public network protocol for machines whose kernel has none. `link` keeps
//! a bus open; the other files are what it needs.

mod error_frame;
mod health;
mod kernel;
mod link;
#[cfg(test)]
mod memory;
mod network;
mod outgoing;
mod wire;

pub use error_frame::ErrorFrame;
pub use health::{BusState, Health};
pub use link::{Link, serve_bus};
pub use outgoing::{Dropped, Outgoing};

use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;

/// A CAN 2.0 data frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// Extended frames that are wanted from a bus: those whose identifier is `id` in the bits of `mask`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The bits that must be there.
    pub id: u32,
    /// The bits that are looked at.
    pub mask: u32,
}

impl Accepted {
    /// Whether this frame is wanted.
    pub fn takes(&self, frame: &Frame) -> bool {
        frame.is_extended() && frame.id() & self.mask == self.id & self.mask
    }
}

/// Where a bus is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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
    /// It is not, or its controller is bus-off; why. What was said before is lost.
    Down(String),
    /// A frame came.
    Received(Frame),
    /// How it fares: once a second, and at once when its state changes.
    Health(Health),
}

/// What became of a frame that was to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    /// It is on its way.
    Done,
    /// The bus has no room for it now: it was not taken.
    NoRoom,
}

/// What comes in from a bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A frame.
    Frame(Frame),
    /// Word of the controller about itself.
    Error(ErrorFrame),
    /// Something that was sent was refused; why.
    Refused(String),
}

/// One connection to a bus. An error of its methods means that the connection is lost.
pub trait CanBus {
    /// Sends a frame.
    async fn send(&mut self, frame: &Frame) -> Result<Sending, String>;
    /// Waits for what comes in. Dropping the future before it is ready loses nothing.
    async fn receive(&mut self) -> Result<Heard, String>;
    /// Whether the controller is bus-off, where that can be seen without an error frame.
    fn is_off(&self) -> Option<bool>;
    /// What brings the controller back from bus-off.
    fn remedy(&self) -> String;
    /// A second descriptor of its socket, for the process that comes after this one.
    fn descriptor(&self) -> Option<OwnedFd>;
}

/// Where connections to one bus are made.
pub trait Port {
    /// What it makes.
    type Bus: CanBus;
    /// A new connection.
    async fn open(&self) -> Result<Self::Bus, String>;
    /// The connection that the last process left open, if it is one to this bus; frames that wait in it are kept.
    async fn take_over(&self, left: OwnedFd) -> Result<Self::Bus, String>;
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn only_what_is_addressed_to_a_controller_is_accepted() {
        // Destinations 0xF0 to 0xF7, and 0xF8 (hardware notes §1.1).
        let modules = [Accepted { id: 0xF000, mask: 0xF800 }, Accepted { id: 0xF800, mask: 0xFF00 }];
        for (frame, taken) in [
            (Frame::extended(0x0283_F001, &[]), true),
            (Frame::extended(0x0283_F701, &[]), true),
            (Frame::extended(0x0283_F801, &[]), true),
            (Frame::extended(0x0283_F901, &[]), false),
            (Frame::extended(0x0283_01F0, &[]), false),
            (Frame::extended(0x029A_3FF0, &[]), false),
            (Frame::standard(0x100, &[]), false),
        ] {
            assert_eq!(modules.iter().any(|each| each.takes(&frame)), taken, "{frame:?}");
        }
    }
}
