//! `io.busbar.Metering1`: the energy meters of the station, read over Modbus. Owns the truth about energy registers.
//! When this process dies the register goes on in the meter; whoever needs a reading waits, and nothing is invented.

mod acrel;
mod meter;
mod modbus;
mod objects;
mod service;
mod settings;

pub use service::run;
pub use settings::{MeterWiring, Settings};
