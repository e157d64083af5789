//! `io.busbar.Metering1` and its meters.

use crate::service::{Condition, Published};
use crate::units::{BoottimeMillis, Milliamperes, Millivolts, MilliwattHours, UnixMillis, Watts};
use crate::{CallError, names};
use serde::{Deserialize, Serialize};
use zbus::{DeserializeDict, SerializeDict, Type};

/// Properties of `io.busbar.Metering1`.
#[derive(Debug, Clone, PartialEq, Default, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct MeteringState {
    /// What is wrong now.
    pub conditions: Vec<Condition>,
}

impl Published for MeteringState {
    const INTERFACE: &'static str = names::METERING.bus_name;
}

/// Values that were read from a meter in one exchange.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Type)]
pub struct Reading {
    /// The import register.
    pub energy_milliwatt_hours: MilliwattHours,
    /// Voltage.
    pub millivolts: Millivolts,
    /// Current towards the vehicle.
    pub milliamperes: Milliamperes,
    /// Power towards the vehicle.
    pub watts: Watts,
    /// When, for ages.
    pub sampled_boottime_millis: BoottimeMillis,
    /// When, for people and bills.
    pub sampled_unix_millis: UnixMillis,
    /// The reading as the meter has signed it, in the meter's own format; empty when it signs nothing.
    pub signed_data: String,
}

/// Properties of `io.busbar.Metering1.Meter`.
#[derive(Debug, Clone, PartialEq, Default, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct MeterState {
    /// The meter answers.
    pub present: bool,
    /// Model of the meter, from the station file.
    pub model: String,
    /// The last reading; all zero before the first.
    pub reading: Reading,
}

impl Published for MeterState {
    const INTERFACE: &'static str = names::METERING_METER_INTERFACE;
}

/// Methods of `io.busbar.Metering1.Meter`.
#[zbus::proxy(interface = "io.busbar.Metering1.Meter", default_service = "io.busbar.Metering1")]
pub trait Meter {
    /// Reads the meter now.
    fn latch(&self) -> Result<Reading, CallError>;
}
