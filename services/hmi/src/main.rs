//! The HMI process.

use busbar_hmi::{CostFile, Settings};
use busbar_interfaces::names;
use std::process::ExitCode;

fn main() -> ExitCode {
    busbar_runtime::run(names::HMI, env!("CARGO_PKG_VERSION"), |process| async move {
        let settings = process.settings(Settings::read)?;
        let costs = CostFile::new(process.runtime_directory()?);
        let bus = process.connect(None).await?;
        busbar_hmi::run(settings, costs, bus, process.life).await
    })
}
