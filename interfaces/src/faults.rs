//! `io.busbar.Faults1`: what is wrong now, what it means, what was wrong before.

use crate::service::Published;
use crate::units::{ConnectorId, UnixMillis};
use crate::words::{FaultClass, FaultEdge};
use crate::{CallError, names};
use serde::{Deserialize, Serialize};
use zbus::{DeserializeDict, SerializeDict, Type};

/// OCPP 1.6's values of `errorCode` (section 7.6).
pub const ERROR_CODES: [&str; 16] = [
    "ConnectorLockFailure",
    "EVCommunicationError",
    "GroundFailure",
    "HighTemperature",
    "InternalError",
    "LocalListConflict",
    "NoError",
    "OtherError",
    "OverCurrentFailure",
    "OverVoltage",
    "PowerMeterFailure",
    "PowerSwitchFailure",
    "ReaderFailure",
    "ResetFailure",
    "UnderVoltage",
    "WeakSignal",
];

/// A fault that is active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ActiveFault {
    /// The fault code (DTC).
    pub code: String,
    /// The connector; 0 for the whole station.
    pub connector: ConnectorId,
    /// How serious it is.
    pub class: FaultClass,
    /// OCPP 1.6's `errorCode`, one of [`ERROR_CODES`].
    pub error_code: String,
    /// The fault in words.
    pub title: String,
    /// What exactly, from the detector.
    pub detail: String,
    /// Since when.
    pub since_unix_millis: UnixMillis,
}

/// Properties of `io.busbar.Faults1`.
#[derive(Debug, Clone, PartialEq, Default, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct FaultsState {
    /// What is wrong now.
    pub active: Vec<ActiveFault>,
}

impl Published for FaultsState {
    const INTERFACE: &'static str = names::FAULTS.bus_name;
}

/// One entry of the fault history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct FaultEvent {
    /// Its number.
    pub sequence: u64,
    /// The fault code (DTC).
    pub code: String,
    /// The connector; 0 for the whole station.
    pub connector: ConnectorId,
    /// Came or went.
    pub edge: FaultEdge,
    /// What exactly.
    pub detail: String,
    /// When.
    pub unix_millis: UnixMillis,
}

/// Methods and signals of `io.busbar.Faults1`.
#[zbus::proxy(
    interface = "io.busbar.Faults1",
    default_service = "io.busbar.Faults1",
    default_path = "/io/busbar/Faults1"
)]
pub trait Faults {
    /// Entries of the history after a cursor.
    fn events_after(&self, cursor: u64, max: u32) -> Result<Vec<FaultEvent>, CallError>;
    /// An entry was appended.
    #[zbus(signal)]
    fn event_appended(&self, sequence: u64);
}
