//! `io.busbar.Hmi1` and its connectors: the driver's screen and the card reader.

use crate::service::{Condition, Published};
use crate::units::{ConnectorId, MilliwattHours, Percent, Watts};
use crate::words::{ReaderState, Screen};
use crate::{CallError, names};
use zbus::{DeserializeDict, SerializeDict, Type};

/// Properties of `io.busbar.Hmi1`.
#[derive(Debug, Clone, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct HmiState {
    /// Where the driver's screen is served; empty when it is not.
    pub page_address: String,
    /// The card reader.
    pub reader: ReaderState,
    /// The connector that the screen shows.
    pub shown_connector: ConnectorId,
    /// What is wrong now.
    pub conditions: Vec<Condition>,
}

impl Published for HmiState {
    const INTERFACE: &'static str = names::HMI.bus_name;
}

/// Properties of `io.busbar.Hmi1.Connector`.
#[derive(Debug, Clone, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct ScreenState {
    /// What is shown.
    pub screen: Screen,
    /// The line of text under it, as the driver reads it.
    pub message: String,
    /// Energy shown.
    pub energy_milliwatt_hours: MilliwattHours,
    /// Power shown.
    pub watts: Watts,
    /// State of charge shown.
    pub state_of_charge_percent: Percent,
    /// The cost of the charge as the CSMS has told it, as the driver reads it, such as `12.40 EUR`; empty when it has not.
    pub cost: String,
}

impl Published for ScreenState {
    const INTERFACE: &'static str = names::HMI_CONNECTOR_INTERFACE;
}

/// Methods of `io.busbar.Hmi1`.
#[zbus::proxy(interface = "io.busbar.Hmi1", default_service = "io.busbar.Hmi1", default_path = "/io/busbar/Hmi1")]
pub trait Hmi {
    /// Shows another connector, as a touch on the screen does.
    fn show_connector(&self, connector: ConnectorId) -> Result<(), CallError>;
    /// Shows what the charge on a connector costs, until the next charge there begins.
    fn show_cost(&self, connector: ConnectorId, cost: &str) -> Result<(), CallError>;
}
