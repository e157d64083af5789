//! The smart-charging process.

use busbar_interfaces::names;
use busbar_smart_charging::Settings;
use std::process::ExitCode;

fn main() -> ExitCode {
    busbar_runtime::run(names::SMART_CHARGING, env!("CARGO_PKG_VERSION"), |process| async move {
        let settings = process.settings(Settings::read)?;
        let bus = process.connect(None).await?;
        busbar_smart_charging::run(settings, bus, process.life).await
    })
}
