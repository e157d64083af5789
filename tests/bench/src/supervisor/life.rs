//! The life of a supervised service: one process after the other, until it is stopped.

use super::{Known, Unit, Wish};
use crate::children;
use crate::descriptor_store::DescriptorStore;
use crate::failure::Failure;
use crate::notifications::{Notification, Notifications};
use crate::systemd::JobKind;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::Child;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// Pause before a service that exited is started again (`RestartSec=`).
const RESTART_PAUSE: Duration = Duration::from_millis(50);
/// A service that has not stopped by then is killed (`TimeoutStopSec=`).
const STOP_LIMIT: Duration = Duration::from_secs(15);
/// The exit code of a station file with faults: starting again would not help (`RestartPreventExitStatus=`).
const SETTINGS_EXIT: i32 = 78;

/// A service under supervision.
pub struct Life {
    unit: Arc<Unit>,
    /// The unit's, until an upgrade brings another.
    program: PathBuf,
    notifications: Notifications,
    /// Over a crash and a restart, but not over a stop or a restart of the machine.
    store: DescriptorStore,
    tell: watch::Sender<Known>,
    wishes: mpsc::Receiver<Wish>,
}

impl Life {
    /// A service that does not run yet.
    pub fn new(
        unit: Arc<Unit>,
        notifications: Notifications,
        tell: watch::Sender<Known>,
        wishes: mpsc::Receiver<Wish>,
    ) -> Life {
        let program = unit.program.clone();
        Life { unit, program, notifications, store: DescriptorStore::default(), tell, wishes }
    }

    /// Leads it to its end.
    pub async fn lead(mut self) {
        loop {
            let next = match self.run().await {
                // It has ended by itself.
                Some(Wish::On) => tokio::select! {
                    () = sleep(RESTART_PAUSE) => Some(Wish::On),
                    wish = self.wishes.recv() => wish,
                },
                ended => ended,
            };
            match next {
                Some(Wish::On) => {}
                Some(Wish::Restart(program)) => self.program = program.unwrap_or(self.program),
                Some(Wish::Off) => {
                    if let Err(failure) = self.stay_off().await {
                        self.tell.send_modify(|known| known.last_exit = failure.to_string());
                        return;
                    }
                }
                Some(Wish::Stop) | None => return,
            }
        }
    }

    /// Runs one process to its end. Says what comes next; nothing when it cannot run at all.
    async fn run(&mut self) -> Option<Wish> {
        let mut child = match self.spawn() {
            Ok(child) => child,
            Err(failure) => {
                self.tell.send_modify(|known| known.last_exit = failure.to_string());
                return None;
            }
        };
        self.unit.systemd.runs(self.unit.role, child.id());
        self.tell.send_modify(|known| {
            known.process = child.id();
            known.ready = false;
            known.starts += 1;
        });
        let mut ending: Option<Wish> = None;
        let mut stop_by = Instant::now();
        let exit = loop {
            tokio::select! {
                exit = child.wait() => break exit,
                notification = self.notifications.next() => self.hear(notification),
                wish = self.wishes.recv(), if ending.is_none() => {
                    stop_by = Instant::now() + STOP_LIMIT;
                    ending = self.end(&mut child, wish.unwrap_or(Wish::Stop)).await;
                }
                () = sleep_until(stop_by), if ending.is_some() => {
                    // What does not stop in time is killed; the exit is seen above.
                    let _ = child.start_kill();
                    stop_by = Instant::now() + STOP_LIMIT;
                }
            }
        };
        // What it sent with its last breath was sent.
        while let Some(notification) = self.notifications.waiting() {
            self.store.hear(notification);
        }
        self.unit.systemd.runs(self.unit.role, None);
        self.unit.systemd.end(self.unit.role).await;
        let code = exit.as_ref().ok().and_then(std::process::ExitStatus::code);
        let exit = exit.map_or_else(|error| error.to_string(), |status| status.to_string());
        self.tell.send_modify(|known| {
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

    /// Does to a process what a wish asks for; says whether its end is awaited now.
    async fn end(&self, child: &mut Child, wish: Wish) -> Option<Wish> {
        let job = match wish {
            Wish::On => return None,
            Wish::Off => {
                // The exit is seen by who waits for it.
                let _ = child.start_kill();
                return Some(wish);
            }
            Wish::Stop => JobKind::Stop,
            Wish::Restart(_) => JobKind::Restart,
        };
        // Before the signal: the service asks for it as soon as it has that.
        self.unit.systemd.begin(self.unit.role, job).await;
        let process = child.id().and_then(|process| i32::try_from(process).ok());
        // A process that has gone already needs no signal.
        let _ = process.map(|process| kill(Pid::from_raw(process), Signal::SIGTERM));
        Some(wish)
    }

    fn hear(&mut self, notification: Notification) {
        let ready = notification.says("READY=1");
        self.store.hear(notification);
        self.tell.send_if_modified(|known| ready && !std::mem::replace(&mut known.ready, true));
    }

    /// The machine is down until it is switched on: the runtime directory is empty, as a tmpfs is, no descriptor is
    /// kept, and no word of the process before is left.
    async fn stay_off(&mut self) -> Result<(), Failure> {
        std::fs::remove_dir_all(&self.unit.runtime)?;
        std::fs::create_dir_all(&self.unit.runtime)?;
        self.store.clear();
        self.tell.send_modify(|known| known.is_off = true);
        loop {
            match self.wishes.recv().await {
                Some(Wish::On) => break,
                Some(Wish::Off | Wish::Restart(_)) => {}
                Some(Wish::Stop) | None => {
                    return Err(Failure::Broken("stopped while the machine was off".to_owned()));
                }
            }
        }
        self.tell.send_modify(|known| known.is_off = false);
        Ok(())
    }

    fn spawn(&self) -> Result<Child, Failure> {
        let unit = &self.unit;
        let mut command = children::command_with(&self.program, self.store.copies()?)?;
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
}
