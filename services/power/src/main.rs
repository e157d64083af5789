//! The power process.

use busbar_interfaces::names;
use busbar_power::Settings;
use std::process::ExitCode;

fn main() -> ExitCode {
    busbar_runtime::run(names::POWER, env!("CARGO_PKG_VERSION"), |process| async move {
        let settings = process.settings(Settings::read)?;
        busbar_power::run(settings, process).await
    })
}
