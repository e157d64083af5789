//! The bus object of ocpp: thin, no decisions.

use crate::hidden::Hidden;
use crate::service::Input;
use busbar_interfaces::ocpp::{Authorization, OcppState};
use busbar_interfaces::words::Link;
use busbar_interfaces::{CallError, TransactionId, UnixMillis};
use busbar_runtime::{Desk, Shown};

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
        let id_tag = Hidden(id_tag);
        self.desk.ask(|reply| Input::Authorize { id_tag, reply }).await.map(|authorization| (authorization,))
    }

    /// The CSMS's number of a transaction.
    #[zbus(out_args("central_transaction"))]
    async fn central_transaction(&self, transaction: TransactionId) -> Result<i32, CallError> {
        self.desk.ask(|reply| Input::CentralTransaction { transaction, reply }).await
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
