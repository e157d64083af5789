//! The program `busbar-plant`: reads its arguments, runs the plant, and stops it on SIGTERM.

use std::process::ExitCode;

use busbar_plant::settings::Settings;
use busbar_plant::{Failure, run};
use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};

/// Exit code for wrong arguments.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let settings = match Settings::try_parse() {
        Ok(settings) => settings,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    match start(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!(error = &failure as &dyn std::error::Error, "the plant failed");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn start(settings: Settings) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        run(settings, async move { _ = terminate.recv().await }).await
    })
}
