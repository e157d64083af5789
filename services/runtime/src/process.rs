//! One process of the suite from its first instruction to its exit code: arguments, log, station file, signals,
//! the bus, and the words to the service manager.

use crate::bus::Bus;
use crate::clock::{Clock, Moment};
use crate::descriptors::Descriptors;
use crate::exit::Exit;
use crate::station_file::{Sections, StationFile};
use crate::watchdog::{self, Watchdog};
use crate::{log, service_object};
use busbar_interfaces::ServiceName;
use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// What every Busbar service understands on its command line.
#[derive(Debug, Parser)]
#[command(version, disable_help_subcommand = true)]
struct Arguments {
    /// Checks the station file's sections that concern this service, reports every fault, and ends.
    #[arg(long)]
    check: bool,
    /// The directory under which usr/lib/busbar, etc/busbar and run/busbar are looked for.
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// The bus; without it the system bus.
    #[arg(long, value_name = "ADDRESS", env = "BUSBAR_BUS", default_value = "unix:path=/run/dbus/system_bus_socket")]
    bus: String,
    /// Where durable state is kept; the service manager gives it.
    #[arg(long, value_name = "DIR", env = "STATE_DIRECTORY")]
    state: Option<PathBuf>,
    /// Where state is kept that must survive the process but not the machine; the service manager gives it.
    #[arg(long, value_name = "DIR", env = "RUNTIME_DIRECTORY")]
    runtime: Option<PathBuf>,
    /// Where the service manager puts secrets for this process.
    #[arg(long, value_name = "DIR", env = "CREDENTIALS_DIRECTORY")]
    credentials: Option<PathBuf>,
    /// What is logged, as a tracing filter.
    #[arg(long, value_name = "FILTER", env = "BUSBAR_LOG", default_value = "info")]
    log: String,
}

/// A process that has read its arguments and waits for nothing yet.
pub struct Process {
    service: ServiceName,
    version: &'static str,
    arguments: Arguments,
    station_file: StationFile,
    started: Moment,
    /// What the service manager keeps for this process and kept of the one before. What is not taken when the service
    /// is ready is dropped.
    pub descriptors: Descriptors,
    /// What a service's loop lives by.
    pub life: Life,
}

/// What a service's loop lives by.
pub struct Life {
    /// The clocks.
    pub clock: Clock,
    /// The request to stop.
    pub stop: Stop,
    /// The service manager's watchdog.
    pub watchdog: Watchdog,
}

/// The request to stop: SIGTERM or SIGINT.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// A stop that a test asks for by sending `true`.
    pub fn by_hand(asked: watch::Receiver<bool>) -> Stop {
        Stop(asked)
    }

    /// Returns when the process was asked to stop.
    pub async fn asked(&mut self) {
        // A sender that is gone can no longer ask; the process then runs until it is killed.
        if self.0.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Runs a service and turns its end into an exit code. Called by every `main`.
pub fn run<F>(service: ServiceName, version: &'static str, body: impl FnOnce(Process) -> F) -> ExitCode
where
    F: Future<Output = Result<(), Exit>>,
{
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are answers, not faults; clap prints both kinds to the right stream.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS };
        }
    };
    log::start(&arguments.log, journal_is_connected() && !arguments.check);
    // Before anything else is opened.
    let descriptors = Descriptors::from_environment();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the process cannot start");
            return ExitCode::from(70);
        }
    };
    let ended = runtime.block_on(async {
        let process = Process::prepare(service, version, arguments, descriptors)?;
        body(process).await
    });
    match ended {
        Ok(()) | Err(Exit::Checked) => ExitCode::SUCCESS,
        Err(exit) => {
            match &exit {
                // The faults are for people at a terminal too: as they are, one in a line.
                Exit::Settings(faults) => eprintln!("{faults}"),
                _ => tracing::error!(%exit, code = exit.code(), "the process ends"),
            }
            ExitCode::from(&exit)
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "services/runtime reads the environment")]
fn journal_is_connected() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some()
}

impl Process {
    fn prepare(
        service: ServiceName,
        version: &'static str,
        arguments: Arguments,
        descriptors: Descriptors,
    ) -> Result<Process, Exit> {
        let clock = Clock::system();
        let failed = |error: std::io::Error| Exit::Internal(format!("signals cannot be received: {error}"));
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let (ask, asked) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            watchdog::tell(sd_notify::NotifyState::Stopping);
            // The loop may have ended by itself; then nobody listens any more.
            let _ = ask.send(true);
            std::future::pending::<()>().await;
        });
        let station_file = StationFile::read(&arguments.root)?;
        Ok(Process {
            service,
            version,
            started: clock.now(),
            descriptors,
            life: Life { clock, stop: Stop(asked), watchdog: Watchdog::from_environment() },
            arguments,
            station_file,
        })
    }

    /// The checked settings of this service.
    ///
    /// # Errors
    /// [`Exit::Settings`] with every fault; [`Exit::Checked`] when only a check was asked for.
    pub fn settings<T>(&self, read: impl FnOnce(&mut Sections<'_, '_>) -> T) -> Result<T, Exit> {
        let settings = self.station_file.sections(read).map_err(|faults| {
            let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
            Exit::Settings(lines.join("\n"))
        })?;
        if self.arguments.check { Err(Exit::Checked) } else { Ok(settings) }
    }

    /// Where durable state is kept.
    ///
    /// # Errors
    /// [`Exit::Arguments`] when nobody said where.
    pub fn state_directory(&self) -> Result<&Path, Exit> {
        self.arguments.state.as_deref().ok_or_else(|| {
            Exit::Arguments("no state directory: give --state DIR, or set StateDirectory= in the unit".to_owned())
        })
    }

    /// Where state is kept that survives the process but not the machine.
    ///
    /// # Errors
    /// [`Exit::Arguments`] when nobody said where.
    pub fn runtime_directory(&self) -> Result<&Path, Exit> {
        self.arguments.runtime.as_deref().ok_or_else(|| {
            Exit::Arguments("no runtime directory: give --runtime DIR, or set RuntimeDirectory= in the unit".to_owned())
        })
    }

    /// Where the service manager puts secrets for this process; nowhere when the unit names none.
    pub fn credentials_directory(&self) -> Option<&Path> {
        self.arguments.credentials.as_deref()
    }

    /// Connects to the bus and serves `io.busbar.Service1`; the name is claimed by [`Bus::ready`].
    ///
    /// # Errors
    /// [`Exit::Bus`] when there is no bus.
    pub async fn connect(&self, set_aside: Option<&Path>) -> Result<Bus, Exit> {
        let bus = Bus::connect(self.service, &self.arguments.bus).await?.with_descriptors(self.descriptors.clone());
        service_object::serve(&bus, self.service.root, self.version, self.started, set_aside).await?;
        Ok(bus)
    }
}
