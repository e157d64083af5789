//! The settings process.

use busbar_interfaces::names;
use busbar_settings::{Ledger, Settings, credential};
use std::process::ExitCode;

fn main() -> ExitCode {
    busbar_runtime::run(names::SETTINGS, env!("CARGO_PKG_VERSION"), |process| async move {
        let settings = process.settings(Settings::read)?;
        let password = credential::read()?;
        let (ledger, set_aside) = Ledger::open(process.state_directory()?)?;
        let bus = process.connect(set_aside.as_deref()).await?;
        busbar_settings::run(settings, password, ledger, bus, process.life).await
    })
}
