//! The faults process.

use busbar_faults::{History, Settings};
use busbar_interfaces::names;
use std::process::ExitCode;

fn main() -> ExitCode {
    busbar_runtime::run(names::FAULTS, env!("CARGO_PKG_VERSION"), |process| async move {
        let settings = process.settings(Settings::read)?;
        let (history, set_aside) = History::open(process.state_directory()?)?;
        let bus = process.connect(set_aside.as_deref()).await?;
        busbar_faults::run(settings, history, bus, process.life).await
    })
}
