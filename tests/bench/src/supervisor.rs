//! A small service manager: starts a service with what systemd would give it, hears its notifications, starts it again
//! when it exits unasked, and loses it when the machine restarts.

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

/// A service that has not said that it is ready by then has failed.
pub const READY_LIMIT: Duration = Duration::from_secs(20);
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
    /// The machine is off, and what a boot empties is empty.
    pub is_off: bool,
    /// How often it was started.
    pub starts: u32,
    /// The last exit, as text.
    pub last_exit: String,
}

/// What a supervisor is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// As `systemctl stop` does.
    Stop,
    /// The machine goes down, without warning.
    Off,
    /// It is up again.
    On,
}

/// A supervised service.
#[derive(Debug)]
pub struct Supervised {
    unit: Arc<Unit>,
    known: watch::Receiver<Known>,
    wishes: mpsc::Sender<Wish>,
    task: JoinHandle<()>,
}

/// What a restart of the machine does to a service.
#[derive(Debug, Clone)]
pub struct Switch {
    unit: Arc<Unit>,
    known: watch::Receiver<Known>,
    wishes: mpsc::Sender<Wish>,
}

impl Switch {
    /// The machine goes down. A supervisor that has ended by itself has nothing to lose.
    pub async fn off(&self) {
        let _ = self.wishes.send(Wish::Off).await;
    }

    /// Waits until nothing of it is left but its state on disk.
    pub async fn is_off(&self) {
        let mut known = self.known.clone();
        // An error says that the supervisor has ended by itself: there is no process either.
        let _ = known.wait_for(|known| known.is_off).await;
    }

    /// The machine is up again.
    pub async fn on(&self) {
        let _ = self.wishes.send(Wish::On).await;
    }

    /// Waits until it is ready again.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn is_ready(&self) -> Result<(), Failure> {
        wait(&self.unit, &self.known, READY_LIMIT, |known| known.ready).await.map(drop)
    }
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
        let (wishes, wished) = mpsc::channel(1);
        let task = tokio::spawn(supervise(unit.clone(), notify, tell, wished));
        Ok(Supervised { unit, known, wishes, task })
    }

    /// What the machine does to it.
    pub fn switch(&self) -> Switch {
        Switch { unit: self.unit.clone(), known: self.known.clone(), wishes: self.wishes.clone() }
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
        wait(&self.unit, &self.known, limit, is).await
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
        let _ = self.wishes.send(Wish::Stop).await;
        let _ = self.task.await;
    }
}

async fn wait(
    unit: &Unit,
    known: &watch::Receiver<Known>,
    limit: Duration,
    is: impl FnMut(&Known) -> bool,
) -> Result<Known, Failure> {
    let mut known = known.clone();
    let waited = tokio::time::timeout(limit, known.wait_for(is)).await;
    let found = waited.ok().and_then(Result::ok).map(|known| known.clone());
    found.ok_or_else(|| {
        let log = std::fs::read_to_string(&unit.log).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(10).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        Failure::TooLate(format!("{}: {:?}; its log ends:\n{}", unit.role, *known.borrow(), last.join("\n")))
    })
}

async fn supervise(
    unit: Arc<Unit>,
    notify: UnixDatagram,
    tell: watch::Sender<Known>,
    mut wishes: mpsc::Receiver<Wish>,
) {
    loop {
        let next = match run(&unit, &notify, &tell, &mut wishes).await {
            // It has ended by itself.
            Some(Wish::On) => tokio::select! {
                () = sleep(RESTART_PAUSE) => Some(Wish::On),
                wish = wishes.recv() => wish,
            },
            ended => ended,
        };
        match next {
            Some(Wish::On) => {}
            Some(Wish::Off) => {
                if let Err(failure) = stay_off(&unit, &notify, &tell, &mut wishes).await {
                    tell.send_modify(|known| known.last_exit = failure.to_string());
                    return;
                }
            }
            Some(Wish::Stop) | None => return,
        }
    }
}

/// Runs one process to its end. Says what comes next; nothing when it cannot run at all.
async fn run(
    unit: &Unit,
    notify: &UnixDatagram,
    tell: &watch::Sender<Known>,
    wishes: &mut mpsc::Receiver<Wish>,
) -> Option<Wish> {
    let mut child = match spawn(unit) {
        Ok(child) => child,
        Err(failure) => {
            tell.send_modify(|known| known.last_exit = failure.to_string());
            return None;
        }
    };
    tell.send_modify(|known| {
        known.process = child.id();
        known.ready = false;
        known.starts += 1;
    });
    let mut buffer = [0u8; 1024];
    let mut ending = None;
    let exit = loop {
        tokio::select! {
            exit = child.wait() => break exit,
            received = notify.recv(&mut buffer) => {
                let message = received.ok().and_then(|length| buffer.get(..length)).unwrap_or_default();
                let ready = message.split(|byte| *byte == b'\n').any(|line| line == b"READY=1");
                tell.send_if_modified(|known| ready && !std::mem::replace(&mut known.ready, true));
            }
            wish = wishes.recv(), if ending.is_none() => match wish {
                Some(Wish::On) => {}
                Some(Wish::Off) => {
                    ending = Some(Wish::Off);
                    // The exit is seen above.
                    let _ = child.start_kill();
                }
                Some(Wish::Stop) | None => {
                    ending = Some(Wish::Stop);
                    let process = child.id().and_then(|process| i32::try_from(process).ok());
                    // A process that has gone already needs no signal.
                    let _ = process.map(|process| kill(Pid::from_raw(process), Signal::SIGTERM));
                }
            },
            () = sleep(STOP_LIMIT), if ending.is_some() => {
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
    match ending {
        None if code == Some(SETTINGS_EXIT) => None,
        None => Some(Wish::On),
        ending => ending,
    }
}

/// The machine is down until it is switched on: the runtime directory is empty, as a tmpfs is, and no word of the
/// process before is left.
async fn stay_off(
    unit: &Unit,
    notify: &UnixDatagram,
    tell: &watch::Sender<Known>,
    wishes: &mut mpsc::Receiver<Wish>,
) -> Result<(), Failure> {
    std::fs::remove_dir_all(&unit.runtime)?;
    std::fs::create_dir_all(&unit.runtime)?;
    let mut buffer = [0u8; 1024];
    while notify.try_recv(&mut buffer).is_ok() {}
    tell.send_modify(|known| known.is_off = true);
    loop {
        match wishes.recv().await {
            Some(Wish::On) => break,
            Some(Wish::Off) => {}
            Some(Wish::Stop) | None => return Err(Failure::Broken("stopped while the machine was off".to_owned())),
        }
    }
    tell.send_modify(|known| known.is_off = false);
    Ok(())
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
