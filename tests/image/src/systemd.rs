//! The service manager over its own interface on the bus: no `systemctl`, because a process costs 33 ms in the guest.

use crate::station::{LIMIT, until};
use anyhow::{Context, Result};
use std::time::Duration;
use zbus::proxy::CacheProperties;
use zbus::{Connection, OwnedObjectPath, OwnedVariant};

const SERVICE: &str = "org.freedesktop.systemd1.Service";
const UNIT: &str = "org.freedesktop.systemd1.Unit";

/// systemd's manager, as far as it is asked (org.freedesktop.systemd1(5)).
#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
pub trait Manager {
    /// Starts a unit.
    fn start_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    /// Stops a unit.
    fn stop_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    /// Restarts a unit.
    fn restart_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    /// Sends a unit's processes a signal.
    fn kill_unit(&self, name: &str, who: &str, signal: i32) -> zbus::Result<()>;
    /// The object of a unit.
    fn load_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;
    /// Restarts the machine in good order.
    fn reboot(&self) -> zbus::Result<()>;
}

/// The unit of a service.
pub fn unit(role: &str) -> String {
    format!("busbar-{role}.service")
}

/// The service manager.
#[derive(Debug, Clone)]
pub struct Systemd {
    bus: Connection,
    manager: ManagerProxy<'static>,
}

impl Systemd {
    /// Talks to the one of this machine.
    ///
    /// # Errors
    /// When it cannot be talked to.
    pub async fn new(bus: &Connection) -> Result<Systemd> {
        let manager = ManagerProxy::builder(bus).cache_properties(CacheProperties::No).build().await?;
        Ok(Systemd { bus: bus.clone(), manager })
    }

    /// Its methods.
    pub fn manager(&self) -> &ManagerProxy<'static> {
        &self.manager
    }

    async fn property(&self, unit: &str, interface: &str, name: &str) -> Result<OwnedVariant> {
        let path = self.manager.load_unit(unit).await?;
        let get = ("org.freedesktop.systemd1", "org.freedesktop.DBus.Properties");
        let asked = self.bus.call_method(Some(get.0), path.as_str(), Some(get.1), "Get", &(interface, name)).await;
        Ok(asked.with_context(|| format!("{name} of {unit}"))?.body().deserialize()?)
    }

    /// The process of a service; none while it has none.
    ///
    /// # Errors
    /// When it cannot be asked for.
    pub async fn process(&self, role: &str) -> Result<Option<u32>> {
        let process = u32::try_from(self.property(&unit(role), SERVICE, "MainPID").await?)?;
        Ok((process > 0).then_some(process))
    }

    /// How often a service was started again because it had ended by itself.
    ///
    /// # Errors
    /// When it cannot be asked for.
    pub async fn restarts(&self, role: &str) -> Result<u32> {
        Ok(u32::try_from(self.property(&unit(role), SERVICE, "NRestarts").await?)?)
    }

    /// Memory in bytes and processor time in nanoseconds of a service's control group.
    ///
    /// # Errors
    /// When they cannot be asked for.
    pub async fn usage(&self, role: &str) -> Result<(u64, u64)> {
        let memory = u64::try_from(self.property(&unit(role), SERVICE, "MemoryCurrent").await?)?;
        Ok((memory, u64::try_from(self.property(&unit(role), SERVICE, "CPUUsageNSec").await?)?))
    }

    /// What a unit is at: `active`, `activating`, `inactive`, …
    ///
    /// # Errors
    /// When it cannot be asked for.
    pub async fn state(&self, unit: &str) -> Result<String> {
        Ok(String::try_from(self.property(unit, UNIT, "ActiveState").await?)?)
    }

    /// Waits until a service is ready in another process than this one; that process.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn ready_after(&self, role: &str, before: Option<u32>) -> Result<u32> {
        let mut process = None;
        until(LIMIT, &format!("busbar-{role} is ready again"), async || {
            process = self.process(role).await?;
            Ok(process.is_some() && process != before && self.state(&unit(role)).await? == "active")
        })
        .await?;
        process.context("no process")
    }

    /// Waits until a service has stopped for good.
    ///
    /// # Errors
    /// When it is not.
    pub async fn is_stopped(&self, role: &str, limit: Duration) -> Result<()> {
        until(limit, &format!("busbar-{role} is stopped"), async || Ok(self.state(&unit(role)).await? == "inactive"))
            .await
    }
}
