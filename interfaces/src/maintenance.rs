//! `io.busbar.Maintenance1`: reports for the technician, and the restart of the station.

use crate::service::{Condition, Published};
use crate::units::UnixMillis;
use crate::{CallError, names};
use serde::{Deserialize, Serialize};
use zbus::{DeserializeDict, SerializeDict, Type};

/// One service of the suite as maintenance sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ServiceRecord {
    /// Its role.
    pub role: String,
    /// It holds its bus name.
    pub present: bool,
    /// Its version; empty while it is absent.
    pub version: String,
    /// Its process; 0 while it is absent.
    pub process_id: u32,
    /// How often it has appeared on the bus since maintenance started.
    pub starts: u32,
}

/// Properties of `io.busbar.Maintenance1`.
#[derive(Debug, Clone, PartialEq, Default, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct MaintenanceState {
    /// The services of the suite.
    pub services: Vec<ServiceRecord>,
    /// The last report that was written; empty when there is none.
    pub last_report: String,
    /// When; 0 when there is none.
    pub last_report_unix_millis: UnixMillis,
    /// The restart of the station that is under way, `soft` or `hard`; empty when none is.
    pub pending_reset: String,
    /// What is wrong now.
    pub conditions: Vec<Condition>,
}

impl Published for MaintenanceState {
    const INTERFACE: &'static str = names::MAINTENANCE.bus_name;
}

/// Methods of `io.busbar.Maintenance1`.
#[zbus::proxy(
    interface = "io.busbar.Maintenance1",
    default_service = "io.busbar.Maintenance1",
    default_path = "/io/busbar/Maintenance1"
)]
pub trait Maintenance {
    /// Writes the properties of every service to a file.
    fn write_report(&self) -> Result<String, CallError>;
    /// Restarts the station.
    fn reset(&self, hard: bool) -> Result<(), CallError>;
}
