//! The machine that the station runs on, as far as a restart goes: it answers where systemd's login manager would, and
//! on `Reboot` ends every service without warning, empties what a boot empties, and starts them again. The plant, the
//! CSMS and the bus stay: they are the world outside.

use crate::failure::Failure;
use crate::supervisor::Switch;
use busbar_private_bus::PrivateBus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use zbus::{Connection, fdo};

const NAME: &str = "org.freedesktop.login1";
const PATH: &str = "/org/freedesktop/login1";

/// The machine of a bench.
#[derive(Debug)]
pub struct Machine {
    reboots: watch::Receiver<u32>,
    refuses: Arc<AtomicBool>,
    task: JoinHandle<()>,
    // The name is held as long as the connection is.
    _bus: Connection,
}

/// What stands where the login manager does.
struct LoginManager {
    wanted: mpsc::Sender<()>,
    refuses: Arc<AtomicBool>,
}

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl LoginManager {
    /// Restarts the machine; like the real one, it answers before it does.
    async fn reboot(&self, interactive: bool) -> fdo::Result<()> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err(fdo::Error::AccessDenied("the bench was told to refuse".to_owned()));
        }
        if interactive {
            return Err(fdo::Error::InvalidArgs("nobody is here to be asked for a password".to_owned()));
        }
        // One that waits already is as good.
        let _ = self.wanted.try_send(());
        Ok(())
    }
}

impl Machine {
    /// A machine that these services run on.
    pub async fn start(bus: &PrivateBus, services: Vec<Switch>) -> Result<Machine, Failure> {
        let (wanted, wish) = mpsc::channel(1);
        let refuses = Arc::new(AtomicBool::new(false));
        let bus = bus.connect().await?;
        bus.object_server().at(PATH, LoginManager { wanted, refuses: refuses.clone() }).await?;
        bus.request_name(NAME).await?;
        let (tell, reboots) = watch::channel(0);
        let task = tokio::spawn(run(services, wish, tell));
        Ok(Machine { reboots, refuses, task, _bus: bus })
    }

    /// How often it has restarted, with all services ready again.
    pub fn reboots(&self) -> u32 {
        *self.reboots.borrow()
    }

    /// Waits until it has restarted so often, with all services ready again.
    ///
    /// # Errors
    /// When it has not in time.
    pub async fn rebooted(&self, times: u32, limit: Duration) -> Result<(), Failure> {
        let mut reboots = self.reboots.clone();
        let waited = tokio::time::timeout(limit, reboots.wait_for(|reboots| *reboots >= times)).await;
        let late =
            || Failure::TooLate(format!("{} restarts of the machine after {limit:?}, not {times}", self.reboots()));
        match waited {
            Ok(Ok(_)) => Ok(()),
            _ => Err(late()),
        }
    }

    /// Whether it refuses to restart from now on.
    pub fn refuse(&self, refuse: bool) {
        self.refuses.store(refuse, Ordering::SeqCst);
    }

    /// It is switched off for good: nobody can restart it while the services are stopped.
    pub fn end(&self) {
        self.task.abort();
    }
}

async fn run(services: Vec<Switch>, mut wish: mpsc::Receiver<()>, tell: watch::Sender<u32>) {
    while wish.recv().await.is_some() {
        // All of them go down before the first comes up: nobody meets a peer from before.
        for service in &services {
            service.off().await;
        }
        for service in &services {
            service.is_off().await;
        }
        for service in &services {
            service.on().await;
        }
        for service in &services {
            if let Err(failure) = service.is_ready().await {
                eprintln!("after a restart of the machine: {failure}");
            }
        }
        tell.send_modify(|reboots| *reboots += 1);
    }
}
