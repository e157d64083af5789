//! A small service manager: starts a service with what systemd would give it, hears its notifications, keeps its
//! descriptors, starts it again when it exits unasked or when it is told to, and loses it when the machine restarts.

mod life;

use crate::children;
use crate::failure::Failure;
use crate::notifications::Notifications;
use crate::systemd::Systemd;
use life::Life;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// A service that has not said that it is ready by then has failed.
pub const READY_LIMIT: Duration = Duration::from_secs(20);

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
    /// Whom it can ask why it is stopped.
    pub systemd: Systemd,
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
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wish {
    /// As `systemctl stop` does.
    Stop,
    /// As `systemctl restart` does; with another program from now on, as an upgrade does.
    Restart(Option<PathBuf>),
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
    pub async fn start(unit: Unit) -> Result<Supervised, Failure> {
        for directory in [&unit.state, &unit.runtime] {
            std::fs::create_dir_all(directory)?;
        }
        children::command(&unit.program)?;
        let notifications = Notifications::listen(&unit.notify)?;
        unit.systemd.load(unit.role).await?;
        let unit = Arc::new(unit);
        let (tell, known) = watch::channel(Known::default());
        let (wishes, wished) = mpsc::channel(1);
        let task = tokio::spawn(Life::new(unit.clone(), notifications, tell, wished).lead());
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

    /// Restarts it as `systemctl restart` does, and waits until it is ready again.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn restart(&self) -> Result<(), Failure> {
        self.begin_anew(None).await
    }

    /// Restarts it with another program, as an upgrade does, and waits until that is ready.
    ///
    /// # Errors
    /// When there is no such program, or it is not ready in time.
    pub async fn upgrade(&self, program: PathBuf) -> Result<(), Failure> {
        children::command(&program)?;
        self.begin_anew(Some(program)).await
    }

    async fn begin_anew(&self, program: Option<PathBuf>) -> Result<(), Failure> {
        let starts = self.known().starts;
        // A supervisor that has ended by itself hears nothing, and the wait below says so.
        let _ = self.wishes.send(Wish::Restart(program)).await;
        self.wait(READY_LIMIT, |known| known.ready && known.starts > starts).await.map(drop)
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
