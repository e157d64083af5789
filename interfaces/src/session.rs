//! `io.busbar.Session1` and its connectors: transactions, who may charge, the journal.

use crate::ocpp::Authorization;
use crate::service::{Condition, Published};
use crate::units::{
    BoottimeMillis, ConnectorId, Milliamperes, Millivolts, MilliwattHours, Percent, ReservationId, TransactionId,
    UnixMillis, Watts,
};
use crate::words::{
    AuthorizationSource, Availability, AvailabilityVerdict, BadgeOutcome, ConnectorStatus, DecisionReason, EventKind,
    KeyOrigin, ListVerdict, ReadingContext, ReservationVerdict, StopReason, Verdict,
};
use crate::{CallError, names};
use serde::{Deserialize, Serialize};
use zbus::{DeserializeDict, SerializeDict, Type};

/// Properties of `io.busbar.Session1`.
#[derive(Debug, Clone, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct SessionState {
    /// Names the journal: a random number that was made with it. Another one is another journal, whose events begin
    /// again at 1.
    pub journal_id: u64,
    /// Number of the last event of the transaction journal; 0 when it is empty.
    pub last_event: u64,
    /// The last event that `ocpp` has said is delivered, as far as this service knows; events up to it may be gone.
    pub delivered_event: u64,
    /// Whether the station as a whole may be used.
    pub availability: Availability,
    /// The last decision about a badge.
    pub last_decision: Decision,
    /// The version of the local authorization list; 0 when it is empty, -1 when it is switched off.
    pub local_list_version: i32,
    /// Badges on the local authorization list, also while it is switched off.
    pub local_list_badges: u32,
    /// Badges in the authorization cache.
    pub cached_badges: u32,
    /// What is reserved, by number.
    pub reservations: Vec<Reservation>,
    /// What is wrong now.
    pub conditions: Vec<Condition>,
}

impl Published for SessionState {
    const INTERFACE: &'static str = names::SESSION.bus_name;
}

/// A station on its first day, whose journal has no name yet.
impl Default for SessionState {
    fn default() -> SessionState {
        SessionState {
            journal_id: 0,
            last_event: 0,
            delivered_event: 0,
            availability: Availability::Operative,
            last_decision: Decision::NONE,
            local_list_version: -1,
            local_list_badges: 0,
            cached_badges: 0,
            reservations: Vec::new(),
            conditions: Vec::new(),
        }
    }
}

/// A decision about a badge. It does not say whose badge it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Decision {
    /// The connector that it is about; 0 is whichever is plugged in.
    pub connector: ConnectorId,
    /// Whether the badge may do what it was shown for.
    pub verdict: Verdict,
    /// Who has said so.
    pub source: AuthorizationSource,
    /// Why.
    pub reason: DecisionReason,
    /// When; 0 before the first.
    pub unix_millis: UnixMillis,
}

impl Decision {
    /// Before the first.
    pub const NONE: Decision = Decision {
        connector: ConnectorId::STATION,
        verdict: Verdict::Rejected,
        source: AuthorizationSource::None,
        reason: DecisionReason::None,
        unix_millis: UnixMillis(0),
    };
}

/// A reservation as everybody may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Reservation {
    /// The CSMS's number of it.
    pub reservation: ReservationId,
    /// The connector; 0 is any one of them.
    pub connector: ConnectorId,
    /// Until when.
    pub expires_unix_millis: UnixMillis,
}

/// A badge on the local authorization list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct LocalListEntry {
    /// The badge.
    pub id_tag: String,
    /// What the CSMS says of it.
    pub authorization: Authorization,
}

/// Properties of `io.busbar.Session1.Connector`.
#[derive(Debug, Clone, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct SessionConnectorState {
    /// The connector's status.
    pub status: ConnectorStatus,
    /// Whether it may be used, by order; also ordered for a transaction's end.
    pub availability: Availability,
    /// The order waits for the running transaction to end.
    pub availability_is_scheduled: bool,
    /// Since when it has it.
    pub status_since_unix_millis: UnixMillis,
    /// The fault code (DTC) that makes it faulted; empty when it is not.
    pub fault_code: String,
    /// The transaction that runs; 0 when none does.
    pub transaction: TransactionId,
    /// Who has let the running (or else the last) transaction begin.
    pub authorized_by: AuthorizationSource,
    /// The last transaction of this connector that is over; 0 when there is none.
    pub last_transaction: TransactionId,
    /// When the running (or else the last) transaction began; 0 when there is none.
    pub started_unix_millis: UnixMillis,
    /// Energy of the running (or else the last) transaction at its last meter sample.
    pub energy_milliwatt_hours: MilliwattHours,
    /// Why the last transaction ended.
    pub last_stop_reason: StopReason,
}

impl Published for SessionConnectorState {
    const INTERFACE: &'static str = names::SESSION_CONNECTOR_INTERFACE;
}

/// One event of the transaction journal. Every field that does not belong to its kind is zero or empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct TransactionEvent {
    /// Its number: 1 and up. Numbers of samples may be missing: the journal thins them out when the CSMS stays away.
    pub sequence: u64,
    /// The transaction.
    pub transaction: TransactionId,
    /// The connector.
    pub connector: ConnectorId,
    /// What happened.
    pub kind: EventKind,
    /// When, as the wall clock of the machine had it.
    pub unix_millis: UnixMillis,
    /// When, in the run of the machine that `boot` names: what holds when the wall clock was not set yet.
    pub boottime_millis: BoottimeMillis,
    /// The run of the machine (the kernel's boot id).
    pub boot: String,
    /// What the meter was read for.
    pub context: ReadingContext,
    /// The meter's register.
    pub energy_milliwatt_hours: MilliwattHours,
    /// Power, in a sample.
    pub watts: Watts,
    /// Voltage, in a sample.
    pub millivolts: Millivolts,
    /// Current, in a sample.
    pub milliamperes: Milliamperes,
    /// Power that the station offered, in a sample.
    pub offered_watts: Watts,
    /// State of charge, in a sample.
    pub state_of_charge_percent: Percent,
    /// The badge: who started it, or who stopped it if that was somebody.
    pub id_tag: String,
    /// Why it stopped.
    pub reason: StopReason,
    /// The reservation that the start has used up: none or one.
    pub reservation: Vec<ReservationId>,
    /// The reading as the meter has signed it; empty when it signs nothing.
    pub signed_data: String,
}

/// Methods and signals of `io.busbar.Session1`.
#[zbus::proxy(
    interface = "io.busbar.Session1",
    default_service = "io.busbar.Session1",
    default_path = "/io/busbar/Session1"
)]
pub trait Session {
    /// A badge was shown at the station. Whoever asks no longer waits after `valid_until`.
    fn present_badge(
        &self,
        id_tag: &str,
        shown_connector: ConnectorId,
        valid_until_boottime_millis: BoottimeMillis,
    ) -> Result<(BadgeOutcome, ConnectorId), CallError>;
    /// The CSMS asks for a charge; likewise.
    fn remote_start(
        &self,
        connector: ConnectorId,
        id_tag: &str,
        valid_until_boottime_millis: BoottimeMillis,
    ) -> Result<Verdict, CallError>;
    /// Ends a transaction.
    fn stop_transaction(&self, transaction: TransactionId, reason: StopReason) -> Result<Verdict, CallError>;
    /// Ends every transaction with this reason, and begins none for so long.
    fn stop_all(&self, reason: StopReason, no_start_millis: u32) -> Result<(), CallError>;
    /// Orders a connector, or with 0 the station and all of them, in or out of service.
    fn set_availability(
        &self,
        connector: ConnectorId,
        availability: Availability,
        origin: KeyOrigin,
        valid_until_boottime_millis: BoottimeMillis,
    ) -> Result<AvailabilityVerdict, CallError>;
    /// The CSMS does not accept the badge of a transaction that it was told of.
    fn deauthorize(&self, transaction: TransactionId) -> Result<Verdict, CallError>;
    /// The CSMS's word on a badge, told along with something else.
    fn learn_authorization(&self, id_tag: &str, authorization: &Authorization) -> Result<(), CallError>;
    /// Replaces or changes the local authorization list.
    fn update_local_list(
        &self,
        version: i32,
        is_full: bool,
        entries: &[LocalListEntry],
        removed_id_tags: &[String],
        valid_until_boottime_millis: BoottimeMillis,
    ) -> Result<ListVerdict, CallError>;
    /// Forgets every badge of the authorization cache.
    fn clear_cache(&self, valid_until_boottime_millis: BoottimeMillis) -> Result<Verdict, CallError>;
    /// Keeps a connector, or with 0 any one of them, for a driver.
    fn reserve(
        &self,
        reservation: ReservationId,
        connector: ConnectorId,
        id_tag: &str,
        parent_id_tag: &str,
        expires_unix_millis: UnixMillis,
        valid_until_boottime_millis: BoottimeMillis,
    ) -> Result<ReservationVerdict, CallError>;
    /// Ends a reservation.
    fn cancel_reservation(
        &self,
        reservation: ReservationId,
        valid_until_boottime_millis: BoottimeMillis,
    ) -> Result<Verdict, CallError>;
    /// Events of the journal after a cursor.
    fn events_after(&self, cursor: u64, max: u32) -> Result<Vec<TransactionEvent>, CallError>;
    /// An event was appended.
    #[zbus(signal)]
    fn event_appended(&self, sequence: u64);
}
