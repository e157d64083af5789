//! The two ends of a charge.

use super::{MeterValue, Report};
use crate::payload::Payload;
use crate::word::words;
use crate::{CentralTransaction, Hidden};
use serde_json::Value;

words!(
    /// Why a charge ended.
    StopReason {
        DeAuthorized = "DeAuthorized",
        EmergencyStop = "EmergencyStop",
        EvDisconnected = "EVDisconnected",
        HardReset = "HardReset",
        Local = "Local",
        Other = "Other",
        PowerLoss = "PowerLoss",
        Reboot = "Reboot",
        Remote = "Remote",
        SoftReset = "SoftReset",
        UnlockCommand = "UnlockCommand",
    }
);

/// StartTransaction.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartTransaction {
    /// Where.
    pub connector: u32,
    /// For whom.
    pub id_tag: Hidden,
    /// The meter's register at the start.
    pub meter_start_watt_hours: u64,
    /// The reservation that ends with it.
    pub reservation: Option<i32>,
    /// When it began, not when this is sent.
    pub unix_millis: u64,
}

impl Report for StartTransaction {
    const ACTION: &'static str = "StartTransaction";

    fn payload(&self) -> Value {
        Payload::default()
            .count("connectorId", self.connector)
            .badge("idTag", &self.id_tag)
            .count("meterStart", self.meter_start_watt_hours)
            .optional_count("reservationId", self.reservation)
            .moment("timestamp", self.unix_millis)
            .into()
    }
}

/// StopTransaction.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopTransaction {
    /// Which charge.
    pub transaction: CentralTransaction,
    /// Who ended it, if it was a badge.
    pub id_tag: Option<Hidden>,
    /// The meter's register at the end.
    pub meter_stop_watt_hours: u64,
    /// When it ended, not when this is sent.
    pub unix_millis: u64,
    /// Why; OCPP reads None as Local.
    pub reason: Option<StopReason>,
    /// Left out when there is none.
    pub data: Vec<MeterValue>,
}

impl Report for StopTransaction {
    const ACTION: &'static str = "StopTransaction";

    fn payload(&self) -> Value {
        let payload = Payload::default()
            .count("transactionId", self.transaction.number())
            .optional_badge("idTag", self.id_tag.as_ref())
            .count("meterStop", self.meter_stop_watt_hours)
            .moment("timestamp", self.unix_millis)
            .optional_word("reason", self.reason);
        if self.data.is_empty() {
            return payload.into();
        }
        let data: Vec<Value> = self.data.iter().map(MeterValue::payload).collect();
        payload.value("transactionData", data).into()
    }
}
