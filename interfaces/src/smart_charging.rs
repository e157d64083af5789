//! `io.busbar.SmartCharging1` and its connectors: the limit that holds now.

use crate::names;
use crate::service::Published;
use crate::units::Watts;
use crate::words::LimitSource;
use zbus::{DeserializeDict, SerializeDict, Type};

/// Properties of `io.busbar.SmartCharging1`.
#[derive(Debug, Clone, PartialEq, Default, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct SmartChargingState {
    /// What the site's connection gives the whole station.
    pub site_limit_watts: Watts,
}

impl Published for SmartChargingState {
    const INTERFACE: &'static str = names::SMART_CHARGING.bus_name;
}

/// Properties of `io.busbar.SmartCharging1.Connector`.
#[derive(Debug, Clone, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct ConnectorLimitState {
    /// The limit of this connector now.
    pub limit_watts: Watts,
    /// Where it comes from.
    pub source: LimitSource,
    /// Power has confirmed that it holds this limit.
    pub held: bool,
}

impl Published for ConnectorLimitState {
    const INTERFACE: &'static str = names::SMART_CHARGING_CONNECTOR_INTERFACE;
}
