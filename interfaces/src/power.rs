//! `io.busbar.Power1` and its connectors: what the hardware is doing and the leases that command it.

use crate::service::{Condition, Published};
use crate::units::{BoottimeMillis, Milliamperes, Millivolts, Percent, TransactionId, Watts};
use crate::words::{ConnectorType, Phase, Plug, StopCause};
use crate::{CallError, names};
use zbus::{DeserializeDict, SerializeDict, Type};

/// Properties of `io.busbar.Power1`.
#[derive(Debug, Clone, PartialEq, Default, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct PowerState {
    /// Rated power of the station.
    pub rated_watts: Watts,
    /// Power modules that answer.
    pub modules_present: u32,
    /// What is wrong now.
    pub conditions: Vec<Condition>,
}

impl Published for PowerState {
    const INTERFACE: &'static str = names::POWER.bus_name;
}

/// Properties of `io.busbar.Power1.Connector`.
#[derive(Debug, Clone, PartialEq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct PowerConnectorState {
    /// The plug standard.
    pub connector_type: ConnectorType,
    /// Rated power of this connector.
    pub rated_watts: Watts,
    /// Whether a vehicle is plugged in.
    pub plug: Plug,
    /// Where the delivery is.
    pub phase: Phase,
    /// The delivery that is asked for; 0 when none is.
    pub delivery: TransactionId,
    /// The last delivery that ended; 0 when none has since the process started.
    pub ended_delivery: TransactionId,
    /// Why that one ended.
    pub stop_cause: StopCause,
    /// The vehicle's identity as its board tells it (EVCCID); empty when it does not.
    pub vehicle_id: String,
    /// The battery's state of charge.
    pub state_of_charge_percent: Percent,
    /// The voltage that the vehicle asks for.
    pub requested_millivolts: Millivolts,
    /// The current that the vehicle asks for.
    pub requested_milliamperes: Milliamperes,
    /// The voltage at the output.
    pub output_millivolts: Millivolts,
    /// The current at the output.
    pub output_milliamperes: Milliamperes,
    /// The limit that holds, from `HoldLimit` or the station file's fallback.
    pub limit_watts: Watts,
    /// What the station offers: the least of ratings, modules and limit.
    pub offered_watts: Watts,
    /// When the measured values were taken.
    pub sampled_boottime_millis: BoottimeMillis,
}

impl Published for PowerConnectorState {
    const INTERFACE: &'static str = names::POWER_CONNECTOR_INTERFACE;
}

/// Methods of `io.busbar.Power1.Connector`.
#[zbus::proxy(interface = "io.busbar.Power1.Connector", default_service = "io.busbar.Power1")]
pub trait PowerConnector {
    /// Starts a delivery.
    fn start_delivery(&self, delivery: TransactionId, lease_millis: u32) -> Result<(), CallError>;
    /// Renews the lease of the delivery that runs.
    fn renew_delivery(&self, delivery: TransactionId, lease_millis: u32) -> Result<(), CallError>;
    /// Ends a delivery.
    fn stop_delivery(&self, delivery: TransactionId) -> Result<(), CallError>;
    /// Keeps the output at or below a limit until the lease ends.
    fn hold_limit(&self, limit_watts: Watts, lease_millis: u32) -> Result<Watts, CallError>;
}
