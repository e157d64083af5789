//! What a booted station has to show. Runs as root in the booted image, after multi-user.target: brings up a cabinet on
//! the kernel's CAN buses and a CSMS with TLS, starts `busbar.target`, and goes through a list of checks, of which some
//! end in another boot. `README.md` tells what the harness has to give.

#![allow(clippy::disallowed_methods, reason = "a test lays out the files of a station and calls apt")]

mod access;
mod charge;
mod checks;
mod operator;
mod plan;
mod probe;
mod processes;
mod record;
mod station;
mod systemd;

use clap::Parser;
use std::process::ExitCode;

/// Everything that a booted station has to show.
#[derive(Debug, Parser)]
#[command(name = "busbar-image-test", version)]
struct Arguments {
    /// The machine was restarted in good order.
    #[arg(long)]
    after_reboot: bool,
    /// The machine lost its power.
    #[arg(long)]
    after_power_cut: bool,
    /// Only the checks whose name contains this; neither reboot nor power cut.
    #[arg(long, value_name = "WORD")]
    only: Option<String>,
    /// Tries everything on the bus as the user that runs this, and prints what came of it. For the check of the policies.
    #[arg(long, hide = true)]
    probe: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        runtime.block_on(async {
            match arguments {
                Arguments { probe: true, .. } => probe::run().await.map(|()| true),
                Arguments { after_reboot: true, .. } => plan::after_reboot().await,
                Arguments { after_power_cut: true, .. } => plan::after_power_cut().await,
                Arguments { only, .. } => plan::first_boot(only.as_deref()).await,
            }
        })
    });
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(fault) => {
            println!("the test cannot go on: {fault:#}");
            ExitCode::from(2)
        }
    }
}
