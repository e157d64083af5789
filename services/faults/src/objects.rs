//! The bus object of faults: thin, no decisions.

use crate::service::Input;
use busbar_interfaces::CallError;
use busbar_interfaces::faults::{ActiveFault, FaultEvent, FaultsState};
use busbar_runtime::{Desk, Shown};
use zbus::object_server::SignalEmitter;

pub struct RootObject {
    pub desk: Desk<Input>,
    pub shown: Shown<FaultsState>,
}

/// The fault codes of the station.
#[zbus::interface(name = "io.busbar.Faults1", spawn = false)]
impl RootObject {
    /// Entries of the history after a cursor.
    #[zbus(out_args("events"))]
    async fn events_after(&self, cursor: u64, max: u32) -> Result<(Vec<FaultEvent>,), CallError> {
        self.desk.ask(|reply| Input::EventsAfter { cursor, max, reply }).await.map(|events| (events,))
    }

    /// An entry was appended.
    #[zbus(signal)]
    pub async fn event_appended(emitter: &SignalEmitter<'_>, sequence: u64) -> zbus::Result<()>;

    /// What is wrong now.
    #[zbus(property)]
    fn active(&self) -> Vec<ActiveFault> {
        self.shown.get(|state| state.active.clone())
    }
}
