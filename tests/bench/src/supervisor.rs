//! A small service manager: starts a service with what systemd would give it, hears its notifications, and starts it
//! again when it exits unasked.

use crate::children;
use crate::failure::Failure;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixDatagram;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Pause before a service that exited is started again (`RestartSec=`).
const RESTART_PAUSE: Duration = Duration::from_millis(50);
/// A service that has not stopped by then is killed (`TimeoutStopSec=`).
const STOP_LIMIT: Duration = Duration::from_secs(15);
/// The exit code of a station file with faults: starting again would not help (`RestartPreventExitStatus=`).
const SETTINGS_EXIT: i32 = 78;

/// How a service is started.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Its role.
    pub role: &'static str,
    /// Its program.
    pub program: PathBuf,
    /// The bus.
    pub bus: String,
    /// The root of the station file.
    pub root: PathBuf,
    /// `STATE_DIRECTORY`.
    pub state: PathBuf,
    /// `RUNTIME_DIRECTORY`.
    pub runtime: PathBuf,
    /// Where its notifications go.
    pub notify: PathBuf,
    /// Where its log goes.
    pub log: PathBuf,
    /// What it logs.
    pub log_filter: String,
}

/// What is known of a supervised service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Its process, while there is one.
    pub process: Option<u32>,
    /// This process has said `READY=1`.
    pub ready: bool,
    /// How often it was started.
    pub starts: u32,
    /// The last exit, as text.
    pub last_exit: String,
}

/// A supervised service.
#[derive(Debug)]
pub struct Supervised {
    unit: Arc<Unit>,
    known: watch::Receiver<Known>,
    stop: mpsc::Sender<()>,
    task: JoinHandle<()>,
}

impl Supervised {
    /// Starts supervising.
    ///
    /// # Errors
    /// When its directories or its program are missing.
    pub fn start(unit: Unit) -> Result<Supervised, Failure> {
        for directory in [&unit.state, &unit.runtime] {
            std::fs::create_dir_all(directory)?;
        }
        children::command(&unit.program)?;
        let notify = UnixDatagram::bind(&unit.notify)?;
        let unit = Arc::new(unit);
        let (tell, known) = watch::channel(Known::default());
        let (stop, stopped) = mpsc::channel(1);
        let task = tokio::spawn(supervise(unit.clone(), notify, tell, stopped));
        Ok(Supervised { unit, known, stop, task })
    }

    /// Its role.
    pub fn role(&self) -> &'static str {
        self.unit.role
    }

    /// What is known of it now.
    pub fn known(&self) -> Known {
        self.known.borrow().clone()
    }

    /// Waits until something is true of it.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn wait(&self, limit: Duration, is: impl FnMut(&Known) -> bool) -> Result<Known, Failure> {
        let mut known = self.known.clone();
        let waited = tokio::time::timeout(limit, known.wait_for(is)).await;
        let found = waited.ok().and_then(Result::ok).map(|known| known.clone());
        found.ok_or_else(|| {
            let log = std::fs::read_to_string(&self.unit.log).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(10).collect();
            let last: Vec<&str> = last.into_iter().rev().collect();
            Failure::TooLate(format!("{}: {:?}; its log ends:\n{}", self.unit.role, self.known(), last.join("\n")))
        })
    }

    /// Sends its process a signal.
    ///
    /// # Errors
    /// When there is no process.
    pub fn signal(&self, signal: Signal) -> Result<(), Failure> {
        let process = self.known().process.and_then(|process| i32::try_from(process).ok());
        let process = process.ok_or_else(|| Failure::Broken(format!("{} does not run", self.unit.role)))?;
        kill(Pid::from_raw(process), signal).map_err(|error| Failure::Broken(error.to_string()))
    }

    /// Stops it as `systemctl stop` does.
    pub async fn stop(self) {
        // A supervisor that has ended by itself hears nothing, and there is nothing to stop then.
        let _ = self.stop.send(()).await;
        let _ = self.task.await;
    }
}

async fn supervise(unit: Arc<Unit>, notify: UnixDatagram, tell: watch::Sender<Known>, mut stop: mpsc::Receiver<()>) {
    loop {
        let mut child = match spawn(&unit) {
            Ok(child) => child,
            Err(failure) => {
                tell.send_modify(|known| known.last_exit = failure.to_string());
                return;
            }
        };
        tell.send_modify(|known| {
            known.process = child.id();
            known.ready = false;
            known.starts += 1;
        });
        let mut buffer = [0u8; 1024];
        let mut stopping = false;
        let exit = loop {
            tokio::select! {
                exit = child.wait() => break exit,
                received = notify.recv(&mut buffer) => {
                    let message = received.ok().and_then(|length| buffer.get(..length)).unwrap_or_default();
                    let ready = message.split(|byte| *byte == b'\n').any(|line| line == b"READY=1");
                    tell.send_if_modified(|known| ready && !std::mem::replace(&mut known.ready, true));
                }
                _ = stop.recv(), if !stopping => {
                    stopping = true;
                    let process = child.id().and_then(|process| i32::try_from(process).ok());
                    let asked = process.map(|process| kill(Pid::from_raw(process), Signal::SIGTERM));
                    if asked.is_none_or(|asked| asked.is_err()) {
                        continue;
                    }
                }
                () = sleep(STOP_LIMIT), if stopping => {
                    // What does not stop in time is killed; the exit is seen above.
                    let _ = child.start_kill();
                }
            }
        };
        let code = exit.as_ref().ok().and_then(std::process::ExitStatus::code);
        let exit = exit.map_or_else(|error| error.to_string(), |status| status.to_string());
        tell.send_modify(|known| {
            known.process = None;
            known.ready = false;
            known.last_exit = exit;
        });
        if stopping || code == Some(SETTINGS_EXIT) {
            return;
        }
        tokio::select! {
            () = sleep(RESTART_PAUSE) => {}
            _ = stop.recv() => return,
        }
    }
}

fn spawn(unit: &Unit) -> Result<tokio::process::Child, Failure> {
    let mut command = children::command(&unit.program)?;
    let log = children::log(&unit.log)?;
    command
        .arg("--root")
        .arg(&unit.root)
        .env("BUSBAR_BUS", &unit.bus)
        .env("BUSBAR_LOG", &unit.log_filter)
        .env("STATE_DIRECTORY", &unit.state)
        .env("RUNTIME_DIRECTORY", &unit.runtime)
        .env("NOTIFY_SOCKET", &unit.notify)
        .env_remove("JOURNAL_STREAM")
        .stdout(log.try_clone()?)
        .stderr(log);
    children::start(command, unit.role)
}
