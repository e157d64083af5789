//! `busbarctl`: what an engineer or a technician does to a station from a shell. It is a peer on the bus like any
//! other and knows nothing that `busctl` could not find out.

mod arguments;
mod badges;
pub mod check;
mod commands;
mod failure;
mod keys;
mod link;
mod log_file;
mod manual;
mod orders;
mod output;
pub mod plant;
mod power;
mod queue;
pub mod status;
mod table;
mod traffic_log;
mod words;

pub use arguments::Arguments;
pub use clap::Parser;
pub use failure::Failure;

/// Carries out one command.
///
/// # Errors
/// Why it could not be carried out.
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Internal(error.to_string()))?;
    runtime.block_on(commands::run(arguments))
}
