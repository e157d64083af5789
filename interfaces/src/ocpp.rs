//! `io.busbar.Ocpp1`: the link to the CSMS.

use crate::service::Published;
use crate::units::{TransactionId, UnixMillis};
use crate::words::{AuthorizationStatus, Link};
use crate::{CallError, names};
use serde::{Deserialize, Serialize};
use zbus::{DeserializeDict, SerializeDict, Type};

/// Properties of `io.busbar.Ocpp1`.
#[derive(Debug, Clone, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct OcppState {
    /// The state of the link.
    pub link: Link,
    /// Since when.
    pub link_since_unix_millis: UnixMillis,
    /// The address in use, without credentials; empty when none is set.
    pub central_system_url: String,
    /// The charge point identity in use.
    pub identity: String,
    /// The last event of the transaction journal that the CSMS has confirmed.
    pub confirmed_event: u64,
}

impl Published for OcppState {
    const INTERFACE: &'static str = names::OCPP.bus_name;
}

/// The CSMS's word on a badge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Authorization {
    /// The verdict.
    pub status: AuthorizationStatus,
    /// The group of the badge; empty when it has none.
    pub parent_id_tag: String,
    /// Until when the verdict may be kept; 0 for no end.
    pub expires_unix_millis: UnixMillis,
}

/// Methods of `io.busbar.Ocpp1`.
#[zbus::proxy(interface = "io.busbar.Ocpp1", default_service = "io.busbar.Ocpp1", default_path = "/io/busbar/Ocpp1")]
pub trait Ocpp {
    /// Asks the CSMS about a badge.
    fn authorize(&self, id_tag: &str) -> Result<Authorization, CallError>;
    /// The CSMS's number of a transaction.
    fn central_transaction(&self, transaction: TransactionId) -> Result<i32, CallError>;
}
