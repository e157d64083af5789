//! What a connector is doing, and what is wrong with it.

use super::Report;
use crate::payload::Payload;
use crate::word::words;
use serde_json::Value;

words!(
    /// What a connector, or the station, is doing. The station itself is Available, Unavailable or Faulted.
    ChargePointStatus {
        Available = "Available",
        Preparing = "Preparing",
        Charging = "Charging",
        SuspendedEvse = "SuspendedEVSE",
        SuspendedEv = "SuspendedEV",
        Finishing = "Finishing",
        Reserved = "Reserved",
        Unavailable = "Unavailable",
        Faulted = "Faulted",
    }
);
words!(
    /// What is wrong.
    ChargePointErrorCode {
        ConnectorLockFailure = "ConnectorLockFailure",
        EvCommunicationError = "EVCommunicationError",
        GroundFailure = "GroundFailure",
        HighTemperature = "HighTemperature",
        InternalError = "InternalError",
        LocalListConflict = "LocalListConflict",
        NoError = "NoError",
        OtherError = "OtherError",
        OverCurrentFailure = "OverCurrentFailure",
        OverVoltage = "OverVoltage",
        PowerMeterFailure = "PowerMeterFailure",
        PowerSwitchFailure = "PowerSwitchFailure",
        ReaderFailure = "ReaderFailure",
        ResetFailure = "ResetFailure",
        UnderVoltage = "UnderVoltage",
        WeakSignal = "WeakSignal",
    }
);

/// StatusNotification.req. What is None or empty is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusNotification {
    /// 0 is the station.
    pub connector: u32,
    /// What it is doing.
    pub status: ChargePointStatus,
    /// What is wrong with it.
    pub error_code: ChargePointErrorCode,
    /// The same for people.
    pub info: Option<String>,
    /// Whose the vendor's error code is.
    pub vendor_id: Option<String>,
    /// The vendor's own code.
    pub vendor_error_code: Option<String>,
    /// Since when. OCPP may do without; this station always says it.
    pub unix_millis: u64,
}

impl Report for StatusNotification {
    const ACTION: &'static str = "StatusNotification";

    fn payload(&self) -> Value {
        Payload::default()
            .count("connectorId", self.connector)
            .word("errorCode", self.error_code)
            .word("status", self.status)
            .moment("timestamp", self.unix_millis)
            .optional_text("info", self.info.as_deref(), 50)
            .optional_text("vendorId", self.vendor_id.as_deref(), 255)
            .optional_text("vendorErrorCode", self.vendor_error_code.as_deref(), 50)
            .into()
    }
}
