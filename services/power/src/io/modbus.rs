//! Units behind a Modbus TCP gateway (Waveshare RTU IO 8CH): eight coils, eight inputs each. Outputs keep their state when
//! the bus dies, so the coils' supply needs a watchdog relay of its own (hardware notes §6.1).

use super::port::DigitalIo;
use super::{CHANNELS, CoilOrder};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_modbus::client::{Context, Reader, Writer, tcp};
use tokio_modbus::slave::{Slave, SlaveContext};

/// A request that takes longer has failed.
const EXCHANGE_LIMIT: Duration = Duration::from_millis(100);
/// Coils and inputs of a unit, as Modbus counts them.
const ALL: u16 = 8;

/// An open gateway.
pub struct Gateway(Context);

impl DigitalIo for Gateway {
    async fn open(address: &str) -> Result<Gateway, String> {
        let stream = timeout(EXCHANGE_LIMIT, TcpStream::connect(address)).await.map_err(|_| "no answer".to_owned())?;
        let stream = stream.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Gateway(tcp::attach(stream)))
    }

    async fn inputs(&mut self, unit: u8) -> Result<[bool; CHANNELS], String> {
        self.0.set_slave(Slave(unit));
        eight(&within(self.0.read_discrete_inputs(0, ALL)).await?)
    }

    async fn coils(&mut self, unit: u8) -> Result<[bool; CHANNELS], String> {
        self.0.set_slave(Slave(unit));
        eight(&within(self.0.read_coils(0, ALL)).await?)
    }

    async fn write(&mut self, order: CoilOrder) -> Result<(), String> {
        self.0.set_slave(Slave(order.unit));
        within(self.0.write_single_coil(u16::from(order.coil), order.on)).await
    }
}

/// One request and its answer.
async fn within<T>(request: impl Future<Output = tokio_modbus::Result<T>>) -> Result<T, String> {
    let answer = timeout(EXCHANGE_LIMIT, request).await.map_err(|_| "no answer".to_owned())?;
    answer.map_err(|error| error.to_string())?.map_err(|exception| exception.to_string())
}

fn eight(bits: &[bool]) -> Result<[bool; CHANNELS], String> {
    let first = bits.get(..CHANNELS).and_then(|first| <[bool; CHANNELS]>::try_from(first).ok());
    first.ok_or_else(|| format!("a unit answered {} bits of {CHANNELS}", bits.len()))
}
