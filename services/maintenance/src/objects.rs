//! The bus object of maintenance: thin, no decisions.

use crate::service::Input;
use busbar_interfaces::maintenance::{MaintenanceState, ServiceRecord};
use busbar_interfaces::{CallError, Condition, UnixMillis};
use busbar_runtime::{Desk, Shown};

pub struct RootObject {
    pub desk: Desk<Input>,
    pub shown: Shown<MaintenanceState>,
}

/// Reports for the technician, and the restart of the station.
// Methods are spawned: a report reads this service's own objects too, and must not wait for itself.
#[zbus::interface(name = "io.busbar.Maintenance1")]
impl RootObject {
    /// Writes the properties of every service to a file.
    #[zbus(out_args("path"))]
    async fn write_report(&self) -> Result<String, CallError> {
        self.desk.ask(|reply| Input::WriteReport { reply }).await
    }

    /// Restarts the station.
    async fn reset(&self, hard: bool) -> Result<(), CallError> {
        self.desk.ask(|reply| Input::Order { hard, reply }).await
    }

    /// The services of the suite.
    #[zbus(property)]
    fn services(&self) -> Vec<ServiceRecord> {
        self.shown.get(|state| state.services.clone())
    }

    /// The last report that was written; empty when there is none.
    #[zbus(property)]
    fn last_report(&self) -> String {
        self.shown.get(|state| state.last_report.clone())
    }

    /// When; 0 when there is none.
    #[zbus(property)]
    fn last_report_unix_millis(&self) -> UnixMillis {
        self.shown.get(|state| state.last_report_unix_millis)
    }

    /// The restart that is under way; empty when none is.
    #[zbus(property)]
    fn pending_reset(&self) -> String {
        self.shown.get(|state| state.pending_reset.clone())
    }

    /// What is wrong now.
    #[zbus(property)]
    fn conditions(&self) -> Vec<Condition> {
        self.shown.get(|state| state.conditions.clone())
    }
}
