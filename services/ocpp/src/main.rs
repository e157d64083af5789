//! The ocpp process.

use busbar_interfaces::names;
use busbar_ocpp::{Ledger, RecordFile, Settings};
use std::process::ExitCode;

fn main() -> ExitCode {
    busbar_runtime::run(names::OCPP, env!("CARGO_PKG_VERSION"), |process| async move {
        let settings = process.settings(Settings::read)?;
        let ledger = Ledger::open(process.state_directory()?)?;
        let record = RecordFile::new(process.runtime_directory()?);
        let bus = process.connect(ledger.set_aside()).await?;
        busbar_ocpp::run(settings, ledger, record, bus, process.life).await
    })
}
