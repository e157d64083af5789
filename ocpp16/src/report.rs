//! The station's own requests. Whatever a field holds, what is written keeps OCPP's lengths and ranges: a text that is
//! too long loses its end, for a report that a strict CSMS refuses tells it nothing at all.

mod core;
mod maintenance;
mod metering;
mod status;
mod transactions;

pub use self::core::{Authorize, BootNotification, DataTransfer, Heartbeat};
pub use maintenance::{
    DiagnosticsStatus, DiagnosticsStatusNotification, FirmwareStatus, FirmwareStatusNotification, LogStatus,
    LogStatusNotification, SecurityEventNotification, SignCertificate, SignedFirmwareStatus,
    SignedFirmwareStatusNotification,
};
pub use metering::{
    Location, Measurand, MeterValue, MeterValues, Phase, ReadingContext, SampledValue, Unit, ValueFormat,
};
pub use status::{ChargePointErrorCode, ChargePointStatus, StatusNotification};
pub use transactions::{StartTransaction, StopReason, StopTransaction};

use serde_json::Value;

/// A request of the station.
pub trait Report {
    /// OCPP's name of it.
    const ACTION: &'static str;

    /// As OCPP writes it.
    fn payload(&self) -> Value;
}
