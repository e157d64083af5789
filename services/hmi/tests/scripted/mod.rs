//! The session that the HMI meets, scripted, and what the driver sees.

use busbar_interfaces::hmi::{HmiState, ScreenState};
use busbar_interfaces::session::SessionConnectorState;
use busbar_interfaces::words::{AuthorizationSource, Availability, ConnectorStatus, StopReason};
use busbar_interfaces::{ConnectorId, MilliwattHours, TransactionId, UnixMillis, names};
use busbar_runtime::{Shown, object};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zbus::Connection;

/// One connector of session.
pub struct SessionConnector(pub Shown<SessionConnectorState>);

#[zbus::interface(name = "io.busbar.Session1.Connector")]
impl SessionConnector {
    #[zbus(property)]
    fn status(&self) -> ConnectorStatus {
        self.0.get(|state| state.status)
    }

    #[zbus(property)]
    fn availability(&self) -> Availability {
        self.0.get(|state| state.availability)
    }

    #[zbus(property)]
    fn availability_is_scheduled(&self) -> bool {
        self.0.get(|state| state.availability_is_scheduled)
    }

    #[zbus(property)]
    fn status_since_unix_millis(&self) -> UnixMillis {
        self.0.get(|state| state.status_since_unix_millis)
    }

    #[zbus(property)]
    fn fault_code(&self) -> String {
        self.0.get(|state| state.fault_code.clone())
    }

    #[zbus(property)]
    fn transaction(&self) -> TransactionId {
        self.0.get(|state| state.transaction)
    }

    #[zbus(property)]
    fn authorized_by(&self) -> AuthorizationSource {
        self.0.get(|state| state.authorized_by)
    }

    #[zbus(property)]
    fn last_transaction(&self) -> TransactionId {
        self.0.get(|state| state.last_transaction)
    }

    #[zbus(property)]
    fn started_unix_millis(&self) -> UnixMillis {
        self.0.get(|state| state.started_unix_millis)
    }

    #[zbus(property)]
    fn energy_milliwatt_hours(&self) -> MilliwattHours {
        self.0.get(|state| state.energy_milliwatt_hours)
    }

    #[zbus(property)]
    fn last_stop_reason(&self) -> StopReason {
        self.0.get(|state| state.last_stop_reason)
    }
}

/// What session says of it.
pub fn charge(status: ConnectorStatus, transaction: u64, last: u64) -> SessionConnectorState {
    SessionConnectorState {
        status,
        availability: Availability::Operative,
        availability_is_scheduled: false,
        status_since_unix_millis: UnixMillis(0),
        fault_code: String::new(),
        transaction: TransactionId(transaction),
        authorized_by: AuthorizationSource::Csms,
        last_transaction: TransactionId(last),
        started_unix_millis: UnixMillis(0),
        energy_milliwatt_hours: MilliwattHours(1_000_000),
        last_stop_reason: StopReason::None,
    }
}

/// What the HMI says of a connector.
pub async fn screen(client: &Connection, connector: ConnectorId) -> Option<ScreenState> {
    object::fetch(client, names::HMI, &names::HMI.connector(connector)).await.ok()
}

/// What a browser is told of the station.
pub async fn page(client: &Connection) -> String {
    let root: HmiState = object::fetch(client, names::HMI, names::HMI.root).await.expect("the root");
    let address = root.page_address.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut stream = TcpStream::connect(&address).await.expect("served");
    let request = format!("GET /state HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    answer
}
