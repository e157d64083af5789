//! Busbar's test plant: the hardware of one charging station as a process of its own.
//!
//! It owns simulated power modules, contactors, meters, vehicle boards with vehicles, and a card reader, and serves
//! them on the protocols of the real devices. Nothing of Busbar runs in it; when it dies, the "hardware" is gone
//! and only the meters' registers remain.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use zbus::Connection;
use zbus::fdo::{RequestNameFlags, RequestNameReply};

use crate::cabinet::Bus;
use crate::control::{Addresses, ConnectorObject, Root, connector_path};
use crate::kernel_bus::KernelBus;
use crate::ledger::{Ledger, LedgerError};
use crate::modbus::{IoBoards, MeterPort};
use crate::plant::Plant;
use crate::reader::Line;
use crate::settings::Settings;
use crate::wiring::Connector;

pub mod acrel;
pub mod advantics;
pub mod alarm;
pub mod board;
pub mod cabinet;
pub mod car;
pub mod circuit;
pub mod contactor;
pub mod control;
pub mod danger;
pub mod dialogue;
pub mod excuse;
pub mod fault;
pub mod frame;
pub mod guard;
pub mod hearing;
pub mod hub;
pub mod infypower;
pub mod kernel_bus;
pub mod ledger;
pub mod lock;
pub mod meter;
pub mod modbus;
pub mod module;
pub mod overview;
pub mod plant;
pub mod plug_options;
pub mod pn532;
pub mod rack;
pub mod reaction;
pub mod reader;
pub mod settings;
pub mod socketcand;
pub mod statistics;
pub mod surroundings;
pub mod thermal;
pub mod timing;
pub mod traffic;
pub mod wiring;

/// A peer on the bus that does not answer for this long is given up.
const METHOD_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the plant ended without being asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The bus cannot be reached.
    #[error("the bus failed")]
    Bus(#[from] zbus::Error),
    /// The bus has closed the connection.
    #[error("the bus has closed the connection")]
    BusClosed,
    /// Another plant has the name.
    #[error("another process owns {}", control::SERVICE)]
    NameTaken,
    /// The meters' registers cannot be kept.
    #[error("the meters' registers cannot be kept")]
    Storage(#[from] LedgerError),
    /// A port of the plant failed.
    #[error("a port failed")]
    Port(#[from] io::Error),
    /// A CAN interface of the kernel cannot be had.
    #[error("CAN interface {interface}")]
    Interface {
        /// Its address.
        interface: String,
        /// What the system said.
        source: io::Error,
    },
    /// The card reader's line cannot be had.
    #[error("card reader line {}", path.display())]
    Reader {
        /// Where the link should be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Failure {
    /// The exit code of the process.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Bus(_) | Self::BusClosed | Self::NameTaken => 69,
            Self::Port(_) | Self::Interface { .. } | Self::Reader { .. } => 70,
            Self::Storage(_) => 74,
        }
    }
}

/// Runs the plant until `stop` completes.
///
/// # Errors
/// When the plant cannot start, or something it needs fails.
pub async fn run(settings: Settings, stop: impl Future<Output = ()>) -> Result<(), Failure> {
    let ledger = Ledger::open(&settings.state)?;
    let (plant, reader_says) = Plant::new(settings.timing(), settings.plugs.0, ledger);
    let reader = || settings.reader.clone();
    let line = Line::open(&settings.reader).map_err(|source| Failure::Reader { path: reader(), source })?;
    let can = TcpListener::bind(settings.can).await?;
    let io = TcpListener::bind(settings.io).await?;
    let meters = [TcpListener::bind(settings.meter_one).await?, TcpListener::bind(settings.meter_two).await?];
    let [meter_one, meter_two] = &meters;
    let addresses = Addresses {
        can: can.local_addr()?.to_string(),
        io: io.local_addr()?.to_string(),
        meters: [meter_one.local_addr()?.to_string(), meter_two.local_addr()?.to_string()],
        reader: settings.reader.display().to_string(),
    };

    let mut tasks: JoinSet<Result<(), Failure>> = JoinSet::new();
    let clock = Arc::clone(&plant);
    tasks.spawn(async move { Ok(clock.run_clock().await?) });
    tasks.spawn(keep(Arc::clone(&plant), |plant| socketcand::serve(can, plant)));
    tasks.spawn(keep(Arc::clone(&plant), |plant| line.serve(plant, reader_says)));
    tasks.spawn(keep(Arc::clone(&plant), async move |plant| {
        modbus::serve(io, IoBoards(Arc::clone(&plant)), &plant.links.io).await
    }));
    let interfaces = [(Bus::Modules, &settings.modules_bus), (Bus::Vehicles, &settings.vehicle_bus)];
    for (bus, interface) in interfaces.into_iter().filter_map(|(bus, named)| Some((bus, named.as_ref()?))) {
        let joined = KernelBus::open(interface, bus);
        let joined = joined.map_err(|source| Failure::Interface { interface: interface.to_string(), source })?;
        tasks.spawn(keep(Arc::clone(&plant), |plant| joined.serve(plant)));
    }
    for (connector, listener) in Connector::ALL.into_iter().zip(meters) {
        tasks.spawn(keep(Arc::clone(&plant), async move |plant| {
            let port = MeterPort { plant: Arc::clone(&plant), connector };
            modbus::serve(listener, port, connector.of(&plant.links.meters)).await
        }));
    }

    let bus = serve_control(&settings.bus, &plant, addresses).await?;
    tracing::info!("plant ready");
    let ended = tokio::select! {
        () = stop => Ok(()),
        () = bus.closed() => Err(Failure::BusClosed),
        // Every task runs for ever; panics abort the process, so a join error cannot be seen here.
        Some(Ok(ended)) = tasks.join_next() => ended,
    };
    if ended.is_ok() {
        bus.release_name(control::SERVICE).await?;
        bus.graceful_shutdown().await;
    }
    ended
}

/// A port as a task of the plant.
async fn keep<F>(plant: Arc<Plant>, serve: impl FnOnce(Arc<Plant>) -> F) -> Result<(), Failure>
where
    F: Future<Output = io::Result<()>>,
{
    Ok(serve(plant).await?)
}

/// Serves the control objects, then claims the name.
async fn serve_control(address: &str, plant: &Arc<Plant>, addresses: Addresses) -> Result<Connection, Failure> {
    let mut builder = zbus::connection::Builder::address(address)
        .method_timeout(METHOD_TIMEOUT)
        .serve_at(control::ROOT, Root { plant: Arc::clone(plant), addresses });
    for connector in Connector::ALL {
        let object = ConnectorObject { plant: Arc::clone(plant), connector };
        builder = builder.serve_at(connector_path(connector), object);
    }
    let bus = builder.build().await?;
    match bus.request_name_with_flags(control::SERVICE, RequestNameFlags::DO_NOT_QUEUE).await {
        Ok(RequestNameReply::PrimaryOwner | RequestNameReply::AlreadyOwner) => Ok(bus),
        Ok(_) | Err(zbus::Error::NameTaken) => Err(Failure::NameTaken),
        Err(error) => Err(error.into()),
    }
}
