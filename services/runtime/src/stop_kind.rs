//! Why the process was asked to stop: SIGTERM is the same for `systemctl stop` and `systemctl restart`, but the job that
//! the service manager is at tells them apart. systemd keeps the type "restart" while the old process stops, and makes
//! it a "start" when that has ended.

use std::time::Duration;
use zbus::proxy::CacheProperties;
use zbus::{Connection, OwnedObjectPath};

/// Who has not answered by then counts as one who does not know: the process has little time to stop.
const LIMIT: Duration = Duration::from_millis(100);

/// Why the process was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopKind {
    /// For good, or for a shutdown of the machine, or nobody knows why: everything is made safe.
    Stop,
    /// To be started again at once: what runs may go on for the next process.
    Restart,
}

/// systemd's manager, as far as it is asked (org.freedesktop.systemd1(5)).
#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
trait ServiceManager {
    #[zbus(name = "GetUnitByPID")]
    fn get_unit_by_pid(&self, process: u32) -> zbus::Result<OwnedObjectPath>;
}

#[zbus::proxy(interface = "org.freedesktop.systemd1.Unit", default_service = "org.freedesktop.systemd1")]
trait Unit {
    /// The number of the job that the manager is at, 0 for none, and its object.
    #[zbus(property)]
    fn job(&self) -> zbus::Result<(u32, OwnedObjectPath)>;
}

#[zbus::proxy(interface = "org.freedesktop.systemd1.Job", default_service = "org.freedesktop.systemd1")]
trait Job {
    #[zbus(property)]
    fn job_type(&self) -> zbus::Result<String>;
}

/// The unit of this process, which stays the same: who knows it before it is asked to stop asks less then.
pub(crate) async fn unit(bus: &Connection) -> zbus::Result<OwnedObjectPath> {
    let manager = ServiceManagerProxy::builder(bus).cache_properties(CacheProperties::No).build().await?;
    manager.get_unit_by_pid(std::process::id()).await
}

/// Asks the service manager. Whatever is not clearly a restart is a stop: no answer, no manager, no job.
pub(crate) async fn ask(bus: &Connection, known: Option<OwnedObjectPath>) -> StopKind {
    let kind = match tokio::time::timeout(LIMIT, job_type(bus, known)).await {
        Ok(Ok(Some(job))) if ["restart", "try-restart"].contains(&job.as_str()) => StopKind::Restart,
        Ok(Ok(_)) => StopKind::Stop,
        Ok(Err(error)) => {
            tracing::info!(%error, "the service manager does not say why to stop");
            StopKind::Stop
        }
        Err(_) => {
            tracing::warn!("the service manager does not say why to stop in time");
            StopKind::Stop
        }
    };
    tracing::info!(?kind, "asked to stop");
    kind
}

async fn job_type(bus: &Connection, known: Option<OwnedObjectPath>) -> zbus::Result<Option<String>> {
    let unit = match known {
        Some(unit) => unit,
        None => unit(bus).await?,
    };
    let unit = UnitProxy::builder(bus).path(unit).cache_properties(CacheProperties::No).build().await?;
    let (number, job) = unit.job().await?;
    if number == 0 {
        return Ok(None);
    }
    let job = JobProxy::builder(bus).path(job).cache_properties(CacheProperties::No).build().await?;
    job.job_type().await.map(Some)
}

#[cfg(test)]
mod tests;
