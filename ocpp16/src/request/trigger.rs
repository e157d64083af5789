//! The Remote Trigger profile.

use crate::fields::Fields;
use crate::frame::Refusal;
use crate::word::words;

words!(
    /// A message that TriggerMessage can ask for.
    TriggeredMessage {
        BootNotification = "BootNotification",
        DiagnosticsStatusNotification = "DiagnosticsStatusNotification",
        FirmwareStatusNotification = "FirmwareStatusNotification",
        Heartbeat = "Heartbeat",
        MeterValues = "MeterValues",
        StatusNotification = "StatusNotification",
    }
);

/// TriggerMessage.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerMessage {
    /// Which message.
    pub message: TriggeredMessage,
    /// Of which connector; None: of all. Some CSMS write 0, which OCPP does not have here, for the station.
    pub connector: Option<u32>,
}

impl TriggerMessage {
    pub(super) fn read(fields: &Fields<'_>) -> Result<TriggerMessage, Refusal> {
        Ok(TriggerMessage {
            message: fields.word("requestedMessage")?,
            connector: fields.optional_count("connectorId")?,
        })
    }
}
