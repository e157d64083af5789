//! The port to one meter: Modbus TCP, connected on demand, every exchange limited in time.

use crate::acrel::{self, Registers};
use crate::service::Input;
use crate::settings::MeterWiring;
use busbar_interfaces::metering::Reading;
use busbar_runtime::Reply;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_modbus::client::{Context, Reader, tcp};
use tokio_modbus::slave::Slave;

/// A meter that answers a TCP connection but not a request within this time has missed it.
const EXCHANGE_LIMIT: Duration = Duration::from_millis(800);

/// What one exchange brought, or why it failed.
pub type Answer = Result<Registers, String>;

/// Reads one meter on schedule and whenever a latch asks for it; every answer becomes an input of the loop, with the
/// latch that it belongs to. Ends when the loop does.
pub async fn read_meter(
    wiring: MeterWiring,
    poll: Duration,
    mut latches: mpsc::Receiver<Reply<Reading>>,
    inputs: mpsc::Sender<Input>,
) {
    let mut connection: Option<Context> = None;
    let mut ticks = interval_at(Instant::now(), poll);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let latch = tokio::select! {
            _ = ticks.tick() => None,
            latch = latches.recv() => match latch { Some(latch) => Some(latch), None => return },
        };
        let answer = match timeout(EXCHANGE_LIMIT, exchange(&mut connection, &wiring)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {} ms", EXCHANGE_LIMIT.as_millis())),
        };
        if answer.is_err() {
            connection = None;
        }
        if inputs.send(Input::Answered { connector: wiring.connector, answer, latch }).await.is_err() {
            return;
        }
    }
}

async fn exchange(connection: &mut Option<Context>, wiring: &MeterWiring) -> Answer {
    let context = match connection {
        Some(context) => context,
        None => {
            let stream = TcpStream::connect(&wiring.address).await.map_err(|error| error.to_string())?;
            stream.set_nodelay(true).map_err(|error| error.to_string())?;
            connection.insert(tcp::attach_slave(stream, Slave(wiring.unit)))
        }
    };
    let registers = context
        .read_holding_registers(acrel::FIRST_REGISTER, acrel::REGISTERS)
        .await
        .map_err(|error| error.to_string())?
        .map_err(|exception| format!("Modbus exception: {exception}"))?;
    acrel::decode(&registers, wiring.count_milliwatt_hours).map_err(|error| error.to_string())
}
