//! The kernel's CAN interface, such as `can0`. Its bit rate and restart time are the network configuration's.

use crate::can::{CanBus, Frame};
use socketcan::tokio::CanSocket;
use socketcan::{CanFrame, EmbeddedFrame, ExtendedId, Id, StandardId};

/// An open interface.
pub struct KernelBus(CanSocket);

/// Opens an interface.
pub fn open(interface: &str) -> Result<KernelBus, String> {
    CanSocket::open(interface).map(KernelBus).map_err(|error| format!("interface `{interface}`: {error}"))
}

impl CanBus for KernelBus {
    async fn send(&mut self, frame: &Frame) -> Result<(), String> {
        let id = if frame.is_extended() {
            ExtendedId::new(frame.id()).map(Id::Extended)
        } else {
            u16::try_from(frame.id()).ok().and_then(StandardId::new).map(Id::Standard)
        };
        let frame = id.and_then(|id| CanFrame::new(id, frame.data())).ok_or("the frame cannot be sent")?;
        self.0.write_frame(frame).await.map_err(|error| error.to_string())
    }

    async fn receive(&mut self) -> Result<Frame, String> {
        loop {
            let received = self.0.read_frame().await.map_err(|error| error.to_string())?;
            if let CanFrame::Data(frame) = received {
                return Ok(match frame.id() {
                    Id::Extended(id) => Frame::extended(id.as_raw(), frame.data()),
                    Id::Standard(id) => Frame::standard(u32::from(id.as_raw()), frame.data()),
                });
            }
        }
    }
}
