//! The maintenance process.

use busbar_interfaces::names;
use busbar_maintenance::{OrderFile, Settings, Shelf};
use std::process::ExitCode;

fn main() -> ExitCode {
    busbar_runtime::run(names::MAINTENANCE, env!("CARGO_PKG_VERSION"), |process| async move {
        let settings = process.settings(Settings::read)?;
        let shelf = Shelf::open(process.state_directory()?, settings.reports_kept)?;
        let order = OrderFile::open(process.state_directory()?, process.runtime_directory()?)?;
        let bus = process.connect(None).await?;
        busbar_maintenance::run(settings, shelf, order, bus, process.life).await
    })
}
