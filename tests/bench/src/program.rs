//! The command line of `busbar-bench`.

use crate::bench::{Bench, Options};
use crate::demo;
use crate::failure::Failure;
use crate::measure::{self, MeasureArguments};
use busbar_interfaces::product::Product;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// Runs a whole Busbar station on this machine.
#[derive(Debug, clap::Parser)]
#[command(name = "busbar-bench", version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a station until SIGTERM; prints one line of JSON when it is ready.
    Run(RunArguments),
    /// Runs one whole charge and prints its timeline and receipt.
    Demo {
        /// Realistic durations, about a minute, instead of quick ones.
        #[arg(long)]
        realistic: bool,
    },
    /// Measures a station under load and prints percentiles; use a release build.
    Measure(MeasureArguments),
}

#[derive(Debug, Args)]
struct RunArguments {
    /// The CSMS to connect to; without it a small one of the bench's own.
    #[arg(long, value_name = "URL")]
    csms: Option<String>,
    /// Charge point identity; like --set, a factory default.
    #[arg(long, value_name = "IDENTITY", default_value = "BENCH")]
    id: String,
    /// Commercial reference of the station.
    #[arg(long, value_name = "REFERENCE", default_value = "EVD1S180TBB", value_parser = reference)]
    model: String,
    /// Factory default of a configuration key; counts as long as the directory has no value for it.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value)]
    settings: Vec<(String, String)>,
    /// Where everything is kept that survives a mains failure.
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// Quick durations of the simulated hardware instead of realistic ones.
    #[arg(long)]
    quick: bool,
    /// What the services log, into DIR/log.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
}

fn reference(text: &str) -> Result<String, String> {
    let known = Product::of_reference(text).map(|product| product.reference);
    known.ok_or_else(|| format!("must be a commercial reference: {}", Product::references().join(", ")))
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("must be KEY=VALUE".to_owned()),
    }
}

/// Carries out the command line.
///
/// # Errors
/// Why it could not be carried out.
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match arguments.command {
            Command::Run(arguments) => run_until_asked_to_stop(arguments).await,
            Command::Demo { realistic } => demo::run(!realistic).await,
            Command::Measure(arguments) => measure::run(arguments).await,
        }
    })
}

async fn run_until_asked_to_stop(arguments: RunArguments) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let options = Options {
        state: arguments.state,
        csms: arguments.csms,
        identity: arguments.id,
        model: arguments.model,
        settings: arguments.settings,
        quick: arguments.quick,
        log: arguments.log,
        station_file: String::new(),
    };
    let starting = Bench::start(options);
    let bench = tokio::select! {
        bench = starting => bench?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let ready = serde_json::json!({
        "bus": bench.bus_address(),
        "page": bench.page_address().await?,
        "csms": bench.csms().map(busbar_csms::Csms::url),
        "processes": bench.processes(),
    });
    println!("{ready}");
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    bench.stop().await;
    Ok(())
}
