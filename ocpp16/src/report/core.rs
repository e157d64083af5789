//! Who the station is, that it is there, and whether a badge may charge.

use super::Report;
use crate::Hidden;
use crate::payload::Payload;
use serde_json::Value;

/// BootNotification.req. What is None or empty is left out, but for vendor and model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BootNotification {
    /// The maker.
    pub vendor: String,
    /// Its name for this station.
    pub model: String,
    /// Of the station.
    pub serial: Option<String>,
    /// Of the charge box; OCPP has it as obsolete, some CSMS know the station by it.
    pub charge_box_serial: Option<String>,
    /// Of the whole software.
    pub firmware_version: Option<String>,
    /// Of the SIM card.
    pub iccid: Option<String>,
    /// Of the SIM card.
    pub imsi: Option<String>,
    /// Of the main meter.
    pub meter_serial: Option<String>,
    /// Of the main meter.
    pub meter_type: Option<String>,
}

impl Report for BootNotification {
    const ACTION: &'static str = "BootNotification";

    fn payload(&self) -> Value {
        Payload::default()
            .text("chargePointVendor", &self.vendor, 20)
            .text("chargePointModel", &self.model, 20)
            .optional_text("chargePointSerialNumber", self.serial.as_deref(), 25)
            .optional_text("chargeBoxSerialNumber", self.charge_box_serial.as_deref(), 25)
            .optional_text("firmwareVersion", self.firmware_version.as_deref(), 50)
            .optional_text("iccid", self.iccid.as_deref(), 20)
            .optional_text("imsi", self.imsi.as_deref(), 20)
            .optional_text("meterSerialNumber", self.meter_serial.as_deref(), 25)
            .optional_text("meterType", self.meter_type.as_deref(), 25)
            .into()
    }
}

/// Heartbeat.req.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Heartbeat;

impl Report for Heartbeat {
    const ACTION: &'static str = "Heartbeat";

    fn payload(&self) -> Value {
        Payload::default().into()
    }
}

/// Authorize.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorize {
    /// The badge that was presented.
    pub id_tag: Hidden,
}

impl Report for Authorize {
    const ACTION: &'static str = "Authorize";

    fn payload(&self) -> Value {
        Payload::default().badge("idTag", &self.id_tag).into()
    }
}

/// DataTransfer.req of the station.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DataTransfer {
    /// Whose message it is.
    pub vendor_id: String,
    /// Which of the vendor's messages.
    pub message_id: Option<String>,
    /// OCPP sets no limit.
    pub data: Option<String>,
}

impl Report for DataTransfer {
    const ACTION: &'static str = "DataTransfer";

    fn payload(&self) -> Value {
        Payload::default()
            .text("vendorId", &self.vendor_id, 255)
            .optional_text("messageId", self.message_id.as_deref(), 50)
            .optional_text("data", self.data.as_deref(), usize::MAX)
            .into()
    }
}
