//! The ocpp process.

use busbar_interfaces::names;
use busbar_ocpp::{Ledger, RecordFile, Settings, TrafficLog};
use std::process::ExitCode;

fn main() -> ExitCode {
    busbar_runtime::run(names::OCPP, env!("CARGO_PKG_VERSION"), |process| async move {
        let mut settings = process.settings(Settings::read)?;
        settings.link.keep_in(process.state_directory()?, process.credentials_directory());
        let ledger = Ledger::open(process.state_directory()?)?;
        let log = TrafficLog::open(process.state_directory()?, settings.traffic_log_bytes);
        let record = RecordFile::new(process.runtime_directory()?);
        let bus = process.connect(ledger.set_aside()).await?;
        busbar_ocpp::run(settings, ledger, record, log, bus, process.life).await
    })
}
