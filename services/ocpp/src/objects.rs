//! The bus objects of ocpp: thin, no decisions.

use crate::service::Input;
use busbar_interfaces::ocpp::{ActionCount, Authorization, OcppState, TrafficState, UndeliveredEvent};
use busbar_interfaces::words::{DataTransferStatus, Link, Registration};
use busbar_interfaces::{BoottimeMillis, CallError, Condition, TransactionId, UnixMillis};
use busbar_ocpp16::Hidden;
use busbar_runtime::{Desk, Shown};
use zbus::fdo;

pub struct RootObject {
    pub desk: Desk<Input>,
    pub shown: Shown<OcppState>,
}

/// The link to the CSMS.
// Methods are spawned: Authorize waits for the CSMS, and nobody else's call may wait for that.
#[zbus::interface(name = "io.busbar.Ocpp1")]
impl RootObject {
    /// Asks the CSMS about a badge.
    #[zbus(out_args("authorization"))]
    async fn authorize(&self, id_tag: String) -> Result<(Authorization,), CallError> {
        let id_tag = Hidden::from(id_tag);
        self.desk.ask(|reply| Input::Authorize { id_tag, reply }).await.map(|authorization| (authorization,))
    }

    /// The CSMS's number of a transaction.
    #[zbus(out_args("central_transaction"))]
    async fn central_transaction(&self, transaction: TransactionId) -> Result<i32, CallError> {
        self.desk.ask(|reply| Input::CentralTransaction { transaction, reply }).await
    }

    /// Sends a vendor's message to the CSMS.
    #[zbus(out_args("status", "data"))]
    async fn data_transfer(
        &self,
        vendor_id: String,
        message_id: String,
        data: String,
    ) -> Result<(DataTransferStatus, String), CallError> {
        self.desk.ask(|reply| Input::Transfer { vendor_id, message_id, data, reply }).await
    }

    /// Events that the CSMS has refused for good, oldest first.
    #[zbus(out_args("events"))]
    async fn list_undelivered(&self, after: u64, max: u32) -> Result<(Vec<UndeliveredEvent>,), CallError> {
        self.desk.ask(|reply| Input::ListUndelivered { after, max, reply }).await.map(|events| (events,))
    }

    /// Sends the undelivered events of a transaction again.
    #[zbus(out_args("events"))]
    async fn resend(&self, transaction: TransactionId) -> Result<u32, CallError> {
        self.desk.ask(|reply| Input::Resend { transaction, reply }).await
    }

    /// Forgets the undelivered events of a transaction.
    #[zbus(out_args("events"))]
    async fn discard(&self, transaction: TransactionId) -> Result<u32, CallError> {
        self.desk.ask(|reply| Input::Discard { transaction, reply }).await
    }

    /// The state of the link.
    #[zbus(property)]
    fn link(&self) -> Link {
        self.shown.get(|state| state.link)
    }

    /// Since when.
    #[zbus(property)]
    fn link_since_unix_millis(&self) -> UnixMillis {
        self.shown.get(|state| state.link_since_unix_millis)
    }

    /// Why there is no link, or why the last one ended.
    #[zbus(property)]
    fn link_reason(&self) -> String {
        self.shown.get(|state| state.link_reason.clone())
    }

    /// When the next attempt is made; 0 when none is planned.
    #[zbus(property)]
    fn next_attempt_boottime_millis(&self) -> BoottimeMillis {
        self.shown.get(|state| state.next_attempt_boottime_millis)
    }

    /// What the CSMS has said to the last BootNotification.
    #[zbus(property)]
    fn registration(&self) -> Registration {
        self.shown.get(|state| state.registration)
    }

    /// The security profile in use.
    #[zbus(property)]
    fn security_profile(&self) -> u32 {
        self.shown.get(|state| state.security_profile)
    }

    /// A new way to the CSMS has still to show that it works.
    #[zbus(property)]
    fn is_trial(&self) -> bool {
        self.shown.get(|state| state.is_trial)
    }

    /// Events that the CSMS has refused for good.
    #[zbus(property)]
    fn undelivered_events(&self) -> u32 {
        self.shown.get(|state| state.undelivered_events)
    }

    /// What is wrong now.
    #[zbus(property)]
    fn conditions(&self) -> Vec<Condition> {
        self.shown.get(|state| state.conditions.clone())
    }

    /// The address in use, without credentials; empty when none can be used.
    #[zbus(property)]
    fn central_system_url(&self) -> String {
        self.shown.get(|state| state.central_system_url.clone())
    }

    /// The charge point identity in use.
    #[zbus(property)]
    fn identity(&self) -> String {
        self.shown.get(|state| state.identity.clone())
    }

    /// The last event of the transaction journal that the CSMS has confirmed.
    #[zbus(property)]
    fn confirmed_event(&self) -> u64 {
        self.shown.get(|state| state.confirmed_event)
    }
}

/// What goes over the link: read when somebody asks, because it changes with every frame.
pub struct TrafficObject {
    pub desk: Desk<Input>,
}

impl TrafficObject {
    async fn state<T>(&self, value: impl FnOnce(TrafficState) -> T) -> fdo::Result<T> {
        let state = self.desk.ask(|reply| Input::Traffic { reply }).await;
        state.map(value).map_err(|error| fdo::Error::Failed(error.to_string()))
    }
}

/// The traffic with the CSMS since this process started.
#[zbus::interface(name = "io.busbar.Ocpp1.Traffic")]
impl TrafficObject {
    /// The file of the traffic log.
    #[zbus(property(emits_changed_signal = "false"))]
    async fn log_file(&self) -> fdo::Result<String> {
        self.state(|state| state.log_file).await
    }

    /// The last frame's number in it.
    #[zbus(property(emits_changed_signal = "false"))]
    async fn last_frame(&self) -> fdo::Result<u64> {
        self.state(|state| state.last_frame).await
    }

    /// Bytes of the frames from the CSMS.
    #[zbus(property(emits_changed_signal = "false"))]
    async fn bytes_received(&self) -> fdo::Result<u64> {
        self.state(|state| state.bytes_received).await
    }

    /// Bytes of the frames to the CSMS.
    #[zbus(property(emits_changed_signal = "false"))]
    async fn bytes_sent(&self) -> fdo::Result<u64> {
        self.state(|state| state.bytes_sent).await
    }

    /// The station's own request that waits for its answer.
    #[zbus(property(emits_changed_signal = "false"))]
    async fn in_flight_action(&self) -> fdo::Result<String> {
        self.state(|state| state.in_flight_action).await
    }

    /// Since when it waits.
    #[zbus(property(emits_changed_signal = "false"))]
    async fn in_flight_boottime_millis(&self) -> fdo::Result<BoottimeMillis> {
        self.state(|state| state.in_flight_boottime_millis).await
    }

    /// From the station's last answered request to its answer.
    #[zbus(property(emits_changed_signal = "false"))]
    async fn round_trip_millis(&self) -> fdo::Result<u32> {
        self.state(|state| state.round_trip_millis).await
    }

    /// Events of the transaction journal that are not confirmed.
    #[zbus(property(emits_changed_signal = "false"))]
    async fn waiting_events(&self) -> fdo::Result<u64> {
        self.state(|state| state.waiting_events).await
    }

    /// When the oldest of them happened.
    #[zbus(property(emits_changed_signal = "false"))]
    async fn oldest_event_unix_millis(&self) -> fdo::Result<UnixMillis> {
        self.state(|state| state.oldest_event_unix_millis).await
    }

    /// Frames of the CSMS that made no sense.
    #[zbus(property(emits_changed_signal = "false"))]
    async fn ignored_frames(&self) -> fdo::Result<u64> {
        self.state(|state| state.ignored_frames).await
    }

    /// Each action that was seen.
    #[zbus(property(emits_changed_signal = "false"))]
    async fn actions(&self) -> fdo::Result<Vec<ActionCount>> {
        self.state(|state| state.actions).await
    }
}
