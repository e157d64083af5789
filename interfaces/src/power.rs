//! `io.busbar.Power1` and its connectors: what the hardware is doing and the leases that command it.

use crate::service::{Condition, Published};
use crate::units::{BoottimeMillis, ConnectorId, Milliamperes, Millivolts, Percent, TransactionId, Watts};
use crate::words::{BusState, ConnectorType, Lock, ModuleState, OfferedBy, Phase, Plug, RelayState, StopCause};
use crate::{CallError, names};
use serde::{Deserialize, Serialize};
use zbus::{DeserializeDict, SerializeDict, Type};

/// A temperature that is not known.
pub const CELSIUS_UNKNOWN: i32 = i32::MIN;

/// In the place of a module: the output contactors of the connector. Modules have addresses up to 62.
pub const OUTPUT_CONTACTORS: u8 = 255;

/// Properties of `io.busbar.Power1`.
#[derive(Debug, Clone, PartialEq, Default, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct PowerState {
    /// Rated power of the station.
    pub rated_watts: Watts,
    /// Power modules that answer.
    pub modules_present: u32,
    /// The CAN buses.
    pub can_buses: Vec<CanBusState>,
    /// The power modules.
    pub modules: Vec<ModuleInfo>,
    /// The output contactors and the relays of the modules.
    pub relays: Vec<RelayInfo>,
    /// What is wrong now.
    pub conditions: Vec<Condition>,
}

impl Published for PowerState {
    const INTERFACE: &'static str = names::POWER.bus_name;
}

/// A CAN bus, as its transport counts since the process started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct CanBusState {
    /// "modules" or "vehicles".
    pub bus: String,
    /// Where it is, as in the station file.
    pub address: String,
    /// What its controller says.
    pub state: BusState,
    /// Since when.
    pub since_boottime_millis: BoottimeMillis,
    /// Frames sent.
    pub frames_sent: u64,
    /// Frames received.
    pub frames_received: u64,
    /// Frames that could not be sent.
    pub frames_dropped: u64,
    /// Error frames seen.
    pub error_frames: u64,
    /// The controller's transmit error counter.
    pub transmit_errors: u32,
    /// Its receive error counter.
    pub receive_errors: u32,
    /// How often it left the bus.
    pub bus_offs: u32,
    /// How much of the bit rate was used in the last second, in thousandths.
    pub load_permille: u32,
}

/// A power module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct ModuleInfo {
    /// Its address on the modules' bus.
    pub address: u8,
    /// Its serial number; empty until it has told it.
    pub serial: String,
    /// The connector that it serves; 0 when it is free or on its way.
    pub connector: ConnectorId,
    /// What it does.
    pub state: ModuleState,
    /// Rated power; 0 until it has told it.
    pub rated_watts: Watts,
    /// Voltage at its output.
    pub output_millivolts: Millivolts,
    /// Its current.
    pub output_milliamperes: Milliamperes,
    /// Air at its inlet.
    pub inlet_celsius: i32,
    /// What it reports, in words.
    pub alarms: Vec<String>,
}

/// A relay of the matrix, or the output contactors of a connector, both poles together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct RelayInfo {
    /// The connector that it leads to.
    pub connector: ConnectorId,
    /// The module that it leads from; `OUTPUT_CONTACTORS` for those.
    pub module: u8,
    /// What its mirror contact says.
    pub state: RelayState,
    /// How often it was closed.
    pub cycles: u32,
    /// How often it was opened although current may have flowed.
    pub forced_openings: u32,
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
    /// What the station offers: the least of ratings, modules and limits.
    pub offered_watts: Watts,
    /// Which of them that is.
    pub offered_by: OfferedBy,
    /// Since when that one.
    pub offered_since_boottime_millis: BoottimeMillis,
    /// Modules that serve this connector.
    pub modules_joined: u32,
    /// The lock of the coupler.
    pub lock: Lock,
    /// The hottest sensor of the plug; `CELSIUS_UNKNOWN` when none is known.
    pub plug_celsius: i32,
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
    /// Resets what is latched at the connector.
    fn reset_fault(&self) -> Result<(), CallError>;
    /// The wear of a relay begins anew.
    fn note_replaced(&self, module: u8) -> Result<(), CallError>;
}
