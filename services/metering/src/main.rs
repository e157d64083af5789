//! The metering process.

use busbar_interfaces::names;
use busbar_metering::Settings;
use std::process::ExitCode;

fn main() -> ExitCode {
    busbar_runtime::run(names::METERING, env!("CARGO_PKG_VERSION"), |process| async move {
        let settings = process.settings(Settings::read)?;
        let bus = process.connect(None).await?;
        busbar_metering::run(settings, bus, process.life).await
    })
}
