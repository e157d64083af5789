//! The Modbus TCP ports: one for the I/O boards, one for each meter.
//!
//! While a link is down its connections are cut and new ones are closed at once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_modbus::server::Service;
use tokio_modbus::server::tcp::Server;
use tokio_modbus::{ExceptionCode, Request, Response, SlaveRequest};

use crate::acrel;
use crate::fault::{Fault, Kind, Subject};
use crate::plant::Plant;
use crate::wiring::{CHANNELS, Connector, IoBoard};

/// Address that means all coils of a board.
const EVERY_COIL: u16 = 0x00FF;
/// Unit number of a meter.
const METER_UNIT: u8 = 1;

/// Serves a port for ever.
///
/// # Errors
/// When no connection can be accepted any more.
pub async fn serve<S>(listener: TcpListener, service: S, link: &watch::Sender<bool>) -> io::Result<()>
where
    S: Service<Request = SlaveRequest<'static>> + Clone + Send + Sync + 'static,
    Response: From<S::Response>,
{
    let mut down = link.subscribe();
    let server = Server::new(listener);
    loop {
        let is_down = *down.borrow_and_update();
        let accept = |stream: tokio::net::TcpStream, _| {
            let service = service.clone();
            async move {
                stream.set_nodelay(true)?;
                Ok((!is_down).then_some((service, stream)))
            }
        };
        let lost = |error: io::Error| {
            tracing::debug!(error = &error as &dyn std::error::Error, "Modbus client lost");
        };
        tokio::select! {
            served = server.serve(&accept, lost) => return served,
            // Leaving the server cuts its connections. The sender lives as long as the plant.
            _ = down.changed() => {}
        }
    }
}

/// An answer, perhaps a late one.
type Answer = Pin<Box<dyn Future<Output = Result<Response, ExceptionCode>> + Send>>;

fn give(late: Option<Duration>, answer: Result<Response, ExceptionCode>) -> Answer {
    Box::pin(async move {
        if let Some(late) = late {
            tokio::time::sleep(late).await;
        }
        answer
    })
}

/// How late answers are because of a fault.
fn lateness(plant: &Plant, fault: Fault) -> Option<Duration> {
    let millis = plant.with(|cabinet| cabinet.faults().value(fault))?;
    u64::try_from(millis).ok().map(Duration::from_millis)
}

/// The I/O boards behind one port; the unit number picks the board.
#[derive(Clone, Debug)]
pub struct IoBoards(pub Arc<Plant>);

impl IoBoards {
    fn late(&self) -> Option<Duration> {
        lateness(&self.0, Fault::of_cabinet(Kind::IoSlow))
    }

    fn answer(&self, unit: u8, request: &Request<'_>) -> Result<Response, ExceptionCode> {
        let board = IoBoard::from_unit(unit).ok_or(ExceptionCode::GatewayTargetDevice)?;
        let down = Fault { kind: Kind::UnitDown, subject: Subject::Unit(unit) };
        if self.0.with(|cabinet| cabinet.faults().has(down)) {
            return Err(ExceptionCode::GatewayTargetDevice);
        }
        match request {
            Request::ReadCoils(address, quantity) => {
                let coils = self.0.with(|cabinet| cabinet.coils(board));
                Ok(Response::ReadCoils(block(&coils, *address, *quantity)?))
            }
            Request::ReadDiscreteInputs(address, quantity) => {
                let inputs = self.0.with(|cabinet| cabinet.inputs(board));
                if let IoBoard::Output(connector) = board {
                    self.0.note_inputs_read(connector);
                }
                Ok(Response::ReadDiscreteInputs(block(&inputs, *address, *quantity)?))
            }
            Request::WriteSingleCoil(EVERY_COIL, on) => {
                self.write(board, 0, &[*on; CHANNELS])?;
                Ok(Response::WriteSingleCoil(EVERY_COIL, *on))
            }
            Request::WriteSingleCoil(address, on) => {
                self.write(board, *address, &[*on])?;
                Ok(Response::WriteSingleCoil(*address, *on))
            }
            Request::WriteMultipleCoils(address, coils) => {
                self.write(board, *address, coils)?;
                let quantity = u16::try_from(coils.len()).map_err(|_| ExceptionCode::IllegalDataValue)?;
                Ok(Response::WriteMultipleCoils(*address, quantity))
            }
            _ => Err(ExceptionCode::IllegalFunction),
        }
    }

    /// Sets coils, all or none.
    fn write(&self, board: IoBoard, address: u16, coils: &[bool]) -> Result<(), ExceptionCode> {
        let first = usize::from(address);
        if coils.is_empty() {
            return Err(ExceptionCode::IllegalDataValue);
        }
        if first + coils.len() > CHANNELS {
            return Err(ExceptionCode::IllegalDataAddress);
        }
        self.0
            .with(|cabinet| (first..).zip(coils).try_for_each(|(channel, on)| cabinet.set_coil(board, channel, *on)))
            .map_err(|_| ExceptionCode::IllegalDataAddress)
    }
}

impl Service for IoBoards {
    type Request = SlaveRequest<'static>;
    type Response = Response;
    type Exception = ExceptionCode;
    type Future = Answer;

    fn call(&self, SlaveRequest { slave, request }: Self::Request) -> Self::Future {
        let late = self.late();
        give(late, self.answer(slave, &request))
    }
}

/// The meter of a connector behind its port.
#[derive(Clone, Debug)]
pub struct MeterPort {
    /// The plant.
    pub plant: Arc<Plant>,
    /// Whose meter.
    pub connector: Connector,
}

impl MeterPort {
    fn late(&self) -> Option<Duration> {
        lateness(&self.plant, Fault::of_connector(Kind::MeterSlow, self.connector))
    }

    fn answer(&self, unit: u8, request: &Request<'_>) -> Result<Response, ExceptionCode> {
        if unit != METER_UNIT {
            return Err(ExceptionCode::GatewayTargetDevice);
        }
        match request {
            Request::ReadHoldingRegisters(address, quantity) => {
                let map = self.plant.with(|cabinet| acrel::registers(cabinet.meter(self.connector)));
                Ok(Response::ReadHoldingRegisters(block(&map, *address, *quantity)?))
            }
            _ => Err(ExceptionCode::IllegalFunction),
        }
    }
}

impl Service for MeterPort {
    type Request = SlaveRequest<'static>;
    type Response = Response;
    type Exception = ExceptionCode;
    type Future = Answer;

    fn call(&self, SlaveRequest { slave, request }: Self::Request) -> Self::Future {
        let late = self.late();
        give(late, self.answer(slave, &request))
    }
}

fn block<T: Copy>(all: &[T], address: u16, quantity: u16) -> Result<Vec<T>, ExceptionCode> {
    if quantity == 0 {
        return Err(ExceptionCode::IllegalDataValue);
    }
    let first = usize::from(address);
    let asked = all.get(first..first + usize::from(quantity));
    asked.map(<[T]>::to_vec).ok_or(ExceptionCode::IllegalDataAddress)
}
