//! The bus objects of session: thin, no decisions.

use crate::local_list::Update;
use crate::request::Request;
use crate::reservation::Reserved;
use busbar_interfaces::ocpp::Authorization;
use busbar_interfaces::session::{
    Decision, LocalListEntry, Reservation, SessionConnectorState, SessionState, TransactionEvent,
};
use busbar_interfaces::words::{
    AuthorizationSource, Availability, AvailabilityVerdict, BadgeOutcome, ConnectorStatus, KeyOrigin, ListVerdict,
    ReservationVerdict, StopReason, Verdict,
};
use busbar_interfaces::{
    BoottimeMillis, CallError, Condition, ConnectorId, MilliwattHours, ReservationId, TransactionId, UnixMillis,
};
use busbar_runtime::{Desk, Shown};
use zbus::object_server::SignalEmitter;

pub struct RootObject {
    pub desk: Desk<Request>,
    pub shown: Shown<SessionState>,
}

/// Who may charge, and the journal of transactions.
// Methods are spawned: a badge waits for the CSMS, and nobody else's call may wait for that.
#[zbus::interface(name = "io.busbar.Session1")]
impl RootObject {
    /// A badge was shown at the station while the screen showed a connector.
    #[zbus(out_args("outcome", "connector"))]
    async fn present_badge(
        &self,
        id_tag: String,
        shown_connector: ConnectorId,
        valid_until_boottime_millis: BoottimeMillis,
    ) -> Result<(BadgeOutcome, ConnectorId), CallError> {
        let valid_until = valid_until_boottime_millis;
        self.desk.ask(|reply| Request::Badge { id_tag, shown: shown_connector, valid_until, reply }).await
    }

    /// The CSMS asks for a charge at a connector, or at any with 0.
    #[zbus(out_args("verdict"))]
    async fn remote_start(
        &self,
        connector: ConnectorId,
        id_tag: String,
        valid_until_boottime_millis: BoottimeMillis,
    ) -> Result<Verdict, CallError> {
        let valid_until = valid_until_boottime_millis;
        self.desk.ask(|reply| Request::RemoteStart { connector, id_tag, valid_until, reply }).await
    }

    /// Ends a transaction.
    #[zbus(out_args("verdict"))]
    async fn stop_transaction(&self, transaction: TransactionId, reason: StopReason) -> Result<Verdict, CallError> {
        self.desk.ask(|reply| Request::Stop { transaction, reason, reply }).await
    }

    /// Ends every transaction, and begins none for so long.
    async fn stop_all(&self, reason: StopReason, no_start_millis: u32) -> Result<(), CallError> {
        self.desk.ask(|reply| Request::StopAll { reason, no_start_millis, reply }).await
    }

    /// Orders a connector, or with 0 the station and all of them, in or out of service.
    #[zbus(out_args("verdict"))]
    async fn set_availability(
        &self,
        connector: ConnectorId,
        availability: Availability,
        origin: KeyOrigin,
        valid_until_boottime_millis: BoottimeMillis,
    ) -> Result<AvailabilityVerdict, CallError> {
        let valid_until = valid_until_boottime_millis;
        self.desk.ask(|reply| Request::Order { connector, availability, origin, valid_until, reply }).await
    }

    /// The CSMS does not accept the badge of a transaction.
    #[zbus(out_args("verdict"))]
    async fn deauthorize(&self, transaction: TransactionId) -> Result<Verdict, CallError> {
        self.desk.ask(|reply| Request::Deauthorize { transaction, reply }).await
    }

    /// The CSMS's word on a badge, told along with something else.
    async fn learn_authorization(&self, id_tag: String, authorization: Authorization) -> Result<(), CallError> {
        self.desk.ask(|reply| Request::Learn { id_tag, authorization, reply }).await
    }

    /// Replaces or changes the local authorization list.
    #[zbus(out_args("verdict"))]
    async fn update_local_list(
        &self,
        version: i32,
        is_full: bool,
        entries: Vec<LocalListEntry>,
        removed_id_tags: Vec<String>,
        valid_until_boottime_millis: BoottimeMillis,
    ) -> Result<ListVerdict, CallError> {
        let update = Update { version, is_full, entries, removed: removed_id_tags };
        let valid_until = valid_until_boottime_millis;
        self.desk.ask(|reply| Request::UpdateLocalList { update, valid_until, reply }).await
    }

    /// Forgets every badge of the authorization cache.
    #[zbus(out_args("verdict"))]
    async fn clear_cache(&self, valid_until_boottime_millis: BoottimeMillis) -> Result<Verdict, CallError> {
        let valid_until = valid_until_boottime_millis;
        self.desk.ask(|reply| Request::ClearCache { valid_until, reply }).await
    }

    /// Keeps a connector, or with 0 any one of them, for a driver.
    #[zbus(out_args("verdict"))]
    async fn reserve(
        &self,
        reservation: ReservationId,
        connector: ConnectorId,
        id_tag: String,
        parent_id_tag: String,
        expires_unix_millis: UnixMillis,
        valid_until_boottime_millis: BoottimeMillis,
    ) -> Result<ReservationVerdict, CallError> {
        let reserved = Reserved { reservation, connector, id_tag, parent_id_tag, expires: expires_unix_millis };
        let valid_until = valid_until_boottime_millis;
        self.desk.ask(|reply| Request::Reserve { reserved, valid_until, reply }).await
    }

    /// Ends a reservation.
    #[zbus(out_args("verdict"))]
    async fn cancel_reservation(
        &self,
        reservation: ReservationId,
        valid_until_boottime_millis: BoottimeMillis,
    ) -> Result<Verdict, CallError> {
        let valid_until = valid_until_boottime_millis;
        self.desk.ask(|reply| Request::CancelReservation { reservation, valid_until, reply }).await
    }

    /// Events of the journal after a cursor, oldest first.
    #[zbus(out_args("events"))]
    async fn events_after(&self, cursor: u64, max: u32) -> Result<(Vec<TransactionEvent>,), CallError> {
        self.desk.ask(|reply| Request::EventsAfter { cursor, max, reply }).await.map(|events| (events,))
    }

    /// An event was appended; only a wake-up, the event is in the journal.
    #[zbus(signal)]
    pub async fn event_appended(emitter: &SignalEmitter<'_>, sequence: u64) -> zbus::Result<()>;

    /// Names the journal.
    #[zbus(property(emits_changed_signal = "const"))]
    fn journal_id(&self) -> u64 {
        self.shown.get(|state| state.journal_id)
    }

    /// The last event that is delivered, as far as is known; 0 before the first.
    #[zbus(property)]
    fn delivered_event(&self) -> u64 {
        self.shown.get(|state| state.delivered_event)
    }

    /// Whether the station as a whole may be used.
    #[zbus(property)]
    fn availability(&self) -> Availability {
        self.shown.get(|state| state.availability)
    }

    /// The last decision about a badge.
    #[zbus(property)]
    fn last_decision(&self) -> Decision {
        self.shown.get(|state| state.last_decision)
    }

    /// The version of the local authorization list; 0 when it is empty, -1 when it is switched off.
    #[zbus(property)]
    fn local_list_version(&self) -> i32 {
        self.shown.get(|state| state.local_list_version)
    }

    /// Badges on the local authorization list.
    #[zbus(property)]
    fn local_list_badges(&self) -> u32 {
        self.shown.get(|state| state.local_list_badges)
    }

    /// Badges in the authorization cache.
    #[zbus(property)]
    fn cached_badges(&self) -> u32 {
        self.shown.get(|state| state.cached_badges)
    }

    /// What is reserved, by number.
    #[zbus(property)]
    fn reservations(&self) -> Vec<Reservation> {
        self.shown.get(|state| state.reservations.clone())
    }

    /// What is wrong now.
    #[zbus(property)]
    fn conditions(&self) -> Vec<Condition> {
        self.shown.get(|state| state.conditions.clone())
    }

    /// Number of the last event of the journal; 0 when it is empty.
    #[zbus(property)]
    fn last_event(&self) -> u64 {
        self.shown.get(|state| state.last_event)
    }
}

pub struct ConnectorObject {
    pub shown: Shown<SessionConnectorState>,
}

/// The session of one connector.
#[zbus::interface(name = "io.busbar.Session1.Connector", spawn = false)]
impl ConnectorObject {
    /// The connector's status, in OCPP 1.6's words.
    #[zbus(property)]
    fn status(&self) -> ConnectorStatus {
        self.shown.get(|state| state.status)
    }

    /// Whether it may be used, by order.
    #[zbus(property)]
    fn availability(&self) -> Availability {
        self.shown.get(|state| state.availability)
    }

    /// That order waits for a transaction to end.
    #[zbus(property)]
    fn availability_is_scheduled(&self) -> bool {
        self.shown.get(|state| state.availability_is_scheduled)
    }

    /// Since when it has that status, in milliseconds since 1970.
    #[zbus(property)]
    fn status_since_unix_millis(&self) -> UnixMillis {
        self.shown.get(|state| state.status_since_unix_millis)
    }

    /// The fault code that makes it faulted; empty when it is not.
    #[zbus(property)]
    fn fault_code(&self) -> String {
        self.shown.get(|state| state.fault_code.clone())
    }

    /// The transaction that runs; 0 when none does.
    #[zbus(property)]
    fn transaction(&self) -> TransactionId {
        self.shown.get(|state| state.transaction)
    }

    /// By whose word the running (or else the last) transaction began.
    #[zbus(property)]
    fn authorized_by(&self) -> AuthorizationSource {
        self.shown.get(|state| state.authorized_by)
    }

    /// The last transaction that is over; 0 when there is none.
    #[zbus(property)]
    fn last_transaction(&self) -> TransactionId {
        self.shown.get(|state| state.last_transaction)
    }

    /// When the running (or else the last) transaction began; 0 when there is none.
    #[zbus(property)]
    fn started_unix_millis(&self) -> UnixMillis {
        self.shown.get(|state| state.started_unix_millis)
    }

    /// Energy of the running (or else the last) transaction at its last sample, in mWh.
    #[zbus(property)]
    fn energy_milliwatt_hours(&self) -> MilliwattHours {
        self.shown.get(|state| state.energy_milliwatt_hours)
    }

    /// Why the last transaction ended.
    #[zbus(property)]
    fn last_stop_reason(&self) -> StopReason {
        self.shown.get(|state| state.last_stop_reason)
    }
}
