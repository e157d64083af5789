//! The arguments of the program.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

use crate::advantics::Plug;
use crate::kernel_bus::Interface;
use crate::timing::Timing;
use crate::wiring::plugs_of_model;

/// Of this machine alone, with a number the system picks.
const ANY_PORT: &str = "127.0.0.1:0";

/// Simulated hardware of one charging station.
#[derive(Clone, Debug, Parser)]
#[command(name = "busbar-plant", version)]
pub struct Settings {
    /// D-Bus address at which the control objects are served.
    #[arg(long)]
    pub bus: String,
    /// Station model, for example EVD1S180TBB; TB means two CCS2 plugs, TH a CHAdeMO plug as the second.
    #[arg(long = "model", value_name = "MODEL", value_parser = parse_model)]
    pub plugs: Plugs,
    /// Where the link to the card reader's serial line is put.
    #[arg(long)]
    pub reader: PathBuf,
    /// File that keeps the meters' registers.
    #[arg(long)]
    pub state: PathBuf,
    /// Where the socketcand server of both CAN buses listens; port 0 takes a free one, as with the next ones.
    #[arg(long, value_name = "HOST:PORT", default_value = ANY_PORT)]
    pub can: SocketAddr,
    /// Where the I/O boards listen.
    #[arg(long, value_name = "HOST:PORT", default_value = ANY_PORT)]
    pub io: SocketAddr,
    /// Where the meter of connector 1 listens.
    #[arg(long, value_name = "HOST:PORT", default_value = ANY_PORT)]
    pub meter_one: SocketAddr,
    /// Where the meter of connector 2 listens.
    #[arg(long, value_name = "HOST:PORT", default_value = ANY_PORT)]
    pub meter_two: SocketAddr,
    /// An interface of the kernel that the modules' bus is on too.
    #[arg(long, value_name = "socketcan:INTERFACE")]
    pub modules_bus: Option<Interface>,
    /// An interface of the kernel that the vehicle boards' bus is on too.
    #[arg(long, value_name = "socketcan:INTERFACE")]
    pub vehicle_bus: Option<Interface>,
    /// Short durations, for tests.
    #[arg(long)]
    pub quick: bool,
}

/// The plugs of the two connectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plugs(pub [Plug; 2]);

impl Settings {
    /// The durations asked for.
    pub fn timing(&self) -> Timing {
        if self.quick { Timing::quick() } else { Timing::realistic() }
    }
}

fn parse_model(model: &str) -> Result<Plugs, String> {
    plugs_of_model(model).map(Plugs).ok_or_else(|| "the model contains neither TB nor TH".to_owned())
}
