//! `io.busbar.Ocpp1`: the link to the CSMS.

use crate::service::{Condition, Published};
use crate::units::{BoottimeMillis, TransactionId, UnixMillis};
use crate::words::{AuthorizationStatus, DataTransferStatus, EventKind, Link, Registration};
use crate::{CallError, names};
use serde::{Deserialize, Serialize};
use zbus::{DeserializeDict, SerializeDict, Type};

/// Properties of `io.busbar.Ocpp1`: what changes seldom, and is followed.
#[derive(Debug, Clone, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct OcppState {
    /// The state of the link.
    pub link: Link,
    /// Since when.
    pub link_since_unix_millis: UnixMillis,
    /// Why there is no link, or why the last one ended; empty before the first attempt.
    pub link_reason: String,
    /// When the next attempt is made; 0 when none is planned.
    pub next_attempt_boottime_millis: BoottimeMillis,
    /// What the CSMS has said to the last BootNotification; unknown before.
    pub registration: Registration,
    /// The address in use, without credentials; empty when none is set.
    pub central_system_url: String,
    /// The charge point identity in use.
    pub identity: String,
    /// The security profile in use: 0 plain, 1 with a password, 2 TLS with a password, 3 TLS with a certificate.
    pub security_profile: u32,
    /// The address, identity, password or security profile is a new one that has not brought the station to the CSMS yet.
    pub is_trial: bool,
    /// The last event of the transaction journal that the CSMS has confirmed.
    pub confirmed_event: u64,
    /// Events that the CSMS has refused for good and that wait for a person.
    pub undelivered_events: u32,
    /// What is wrong now.
    pub conditions: Vec<Condition>,
}

impl Published for OcppState {
    const INTERFACE: &'static str = names::OCPP.bus_name;
}

/// Properties of `io.busbar.Ocpp1.Traffic`: what changes with every frame; read, not followed.
#[derive(Debug, Clone, PartialEq, Default, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct TrafficState {
    /// The file of the traffic log.
    pub log_file: String,
    /// The last frame's number in it.
    pub last_frame: u64,
    /// Bytes of the frames from the CSMS since this process started.
    pub bytes_received: u64,
    /// Bytes of the frames to the CSMS since this process started.
    pub bytes_sent: u64,
    /// The action of the station's own request that waits for its answer; empty when none does.
    pub in_flight_action: String,
    /// Since when; 0 when none does.
    pub in_flight_boottime_millis: BoottimeMillis,
    /// From the station's last answered request to its answer; 0 before the first.
    pub round_trip_millis: u32,
    /// Events of the transaction journal that are not confirmed.
    pub waiting_events: u64,
    /// When the oldest of them happened; 0 when there is none, or it has not been read yet.
    pub oldest_event_unix_millis: UnixMillis,
    /// Texts and answers of the CSMS that made no sense.
    pub ignored_frames: u64,
    /// Each action that was seen since this process started.
    pub actions: Vec<ActionCount>,
}

impl Published for TrafficState {
    const INTERFACE: &'static str = names::OCPP_TRAFFIC_INTERFACE;
}

/// How often an action of OCPP was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Type)]
pub struct ActionCount {
    /// The action.
    pub action: String,
    /// Requests of the station, repeats included.
    pub sent: u64,
    /// Answers to them.
    pub answered: u64,
    /// CALLERRORs to them.
    pub refused: u64,
    /// Requests of the CSMS.
    pub received: u64,
    /// CALLERRORs that it was answered.
    pub faulted: u64,
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

/// An event of the transaction journal that the CSMS has refused for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct UndeliveredEvent {
    /// Its number in this list.
    pub number: u64,
    /// Its number in the journal.
    pub sequence: u64,
    /// The transaction.
    pub transaction: TransactionId,
    /// What happened.
    pub kind: EventKind,
    /// Why the CSMS has not taken it.
    pub reason: String,
    /// When it was given up.
    pub unix_millis: UnixMillis,
    /// It is to be sent again.
    pub is_resending: bool,
}

/// Methods of `io.busbar.Ocpp1`.
#[zbus::proxy(interface = "io.busbar.Ocpp1", default_service = "io.busbar.Ocpp1", default_path = "/io/busbar/Ocpp1")]
pub trait Ocpp {
    /// Asks the CSMS about a badge.
    fn authorize(&self, id_tag: &str) -> Result<Authorization, CallError>;
    /// The CSMS's number of a transaction.
    fn central_transaction(&self, transaction: TransactionId) -> Result<i32, CallError>;
    /// Sends a vendor's message to the CSMS.
    fn data_transfer(
        &self,
        vendor_id: &str,
        message_id: &str,
        data: &str,
    ) -> Result<(DataTransferStatus, String), CallError>;
    /// Events that the CSMS has refused for good.
    fn list_undelivered(&self, after: u64, max: u32) -> Result<Vec<UndeliveredEvent>, CallError>;
    /// Sends the undelivered events of a transaction again, in order.
    fn resend(&self, transaction: TransactionId) -> Result<u32, CallError>;
    /// Forgets the undelivered events of a transaction.
    fn discard(&self, transaction: TransactionId) -> Result<u32, CallError>;
}
