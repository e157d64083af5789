//! The session process.

use busbar_interfaces::names;
use busbar_session::{Ledger, Settings};
use std::process::ExitCode;

fn main() -> ExitCode {
    busbar_runtime::run(names::SESSION, env!("CARGO_PKG_VERSION"), |process| async move {
        let settings = process.settings(Settings::read)?;
        let boot = busbar_runtime::boot_id();
        let ledger = Ledger::open(process.state_directory()?, process.runtime_directory()?, boot)?;
        let bus = process.connect(ledger.set_aside()).await?;
        busbar_session::run(settings, ledger, bus, process.life).await
    })
}
