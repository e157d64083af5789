//! What every service publishes about itself, and what makes a struct the published state of an object.

use crate::units::{ConnectorId, UnixMillis};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use zbus::{DeserializeDict, SerializeDict, Type};

/// The whole state of one object: all properties of one interface. The same struct is what the server publishes and
/// what a follower reads, so the two cannot differ.
pub trait Published: Clone + PartialEq + Serialize + DeserializeOwned + Type + Send + Sync + 'static {
    /// The interface whose properties these are.
    const INTERFACE: &'static str;
}

/// Properties of `io.busbar.Service1`, which every service serves at its root.
#[derive(Debug, Clone, PartialEq, Default, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct ServiceState {
    /// Version of the program.
    pub version: String,
    /// The process.
    pub process_id: u32,
    /// When it was ready.
    pub started_unix_millis: UnixMillis,
    /// Databases that were damaged when it started, under the names that they were set aside as.
    pub set_aside_files: Vec<String>,
}

impl Published for ServiceState {
    const INTERFACE: &'static str = crate::names::SERVICE_INTERFACE;
}

/// Something that is wrong now, as its detector sees it: a level that is there as long as the cause is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Type)]
pub struct Condition {
    /// The fault code (DTC) as the guide writes it, such as `0x10020F`.
    pub code: String,
    /// The connector that it concerns; 0 for the whole station.
    pub connector: ConnectorId,
    /// What exactly: the device, its address, what it did not do.
    pub detail: String,
}
