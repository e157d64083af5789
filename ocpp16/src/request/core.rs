//! The Core profile.

use super::ChargingProfile;
use crate::Hidden;
use crate::fields::{Fields, outside};
use crate::frame::Refusal;
use crate::word::words;

/// More keys than any station has; how many may be asked for at once is its key GetConfigurationMaxKeys.
const MOST_KEYS: usize = 1000;

words!(
    AvailabilityType {
        Operative = "Operative",
        Inoperative = "Inoperative",
    }
);
words!(
    ResetType {
        Hard = "Hard",
        Soft = "Soft",
    }
);

/// ChangeAvailability.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeAvailability {
    /// 0 is the station with all of its connectors.
    pub connector: u32,
    /// Into service, or out of it.
    pub operative: bool,
}

impl ChangeAvailability {
    pub(super) fn read(fields: &Fields<'_>) -> Result<ChangeAvailability, Refusal> {
        Ok(ChangeAvailability {
            connector: fields.count("connectorId")?,
            operative: fields.word::<AvailabilityType>("type")? == AvailabilityType::Operative,
        })
    }
}

/// ChangeConfiguration.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeConfiguration {
    /// In whatever case the CSMS wrote it.
    pub key: String,
    /// May be a password.
    pub value: Hidden,
}

impl ChangeConfiguration {
    pub(super) fn read(fields: &Fields<'_>) -> Result<ChangeConfiguration, Refusal> {
        Ok(ChangeConfiguration { key: fields.text("key", 50)?.to_owned(), value: fields.text("value", 500)?.into() })
    }
}

/// DataTransfer.req from the CSMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataTransfer {
    /// Whose message it is.
    pub vendor_id: String,
    /// Which of the vendor's messages.
    pub message_id: Option<String>,
    /// A text of the vendor's; an object, which OCPP does not have here and some CSMS send, as its JSON text.
    pub data: Option<String>,
}

impl DataTransfer {
    pub(super) fn read(fields: &Fields<'_>) -> Result<DataTransfer, Refusal> {
        Ok(DataTransfer {
            vendor_id: fields.text("vendorId", 255)?.to_owned(),
            message_id: fields.optional_text("messageId", 50)?.map(str::to_owned),
            data: fields.optional_vendor_data("data")?,
        })
    }
}

/// GetConfiguration.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetConfiguration {
    /// None or an empty list: all keys.
    pub keys: Option<Vec<String>>,
}

impl GetConfiguration {
    pub(super) fn read(fields: &Fields<'_>) -> Result<GetConfiguration, Refusal> {
        let keys = fields.optional_texts("key", MOST_KEYS, 50)?;
        Ok(GetConfiguration { keys: keys.map(|keys| keys.into_iter().map(str::to_owned).collect()) })
    }
}

/// RemoteStartTransaction.req.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteStartTransaction {
    /// None: on any.
    pub connector: Option<u32>,
    /// For whom.
    pub id_tag: Hidden,
    /// The limits of the charge that begins.
    pub profile: Option<ChargingProfile>,
}

impl RemoteStartTransaction {
    pub(super) fn read(fields: &Fields<'_>) -> Result<RemoteStartTransaction, Refusal> {
        let profile = fields.optional_object("chargingProfile")?;
        Ok(RemoteStartTransaction {
            connector: fields.optional_count("connectorId")?,
            id_tag: fields.badge("idTag")?,
            profile: profile.map(|profile| ChargingProfile::read(&profile)).transpose()?,
        })
    }
}

/// RemoteStopTransaction.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteStopTransaction {
    /// A number that the CSMS gave, or a wrong one.
    pub transaction: i32,
}

impl RemoteStopTransaction {
    pub(super) fn read(fields: &Fields<'_>) -> Result<RemoteStopTransaction, Refusal> {
        Ok(RemoteStopTransaction { transaction: fields.integer("transactionId")? })
    }
}

/// Reset.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reset {
    /// The whole machine; else the programs alone, after the charges have been stopped in good order.
    pub hard: bool,
}

impl Reset {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Reset, Refusal> {
        Ok(Reset { hard: fields.word::<ResetType>("type")? == ResetType::Hard })
    }
}

/// UnlockConnector.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnlockConnector {
    /// Never 0: the station itself has no lock.
    pub connector: u32,
}

impl UnlockConnector {
    pub(super) fn read(fields: &Fields<'_>) -> Result<UnlockConnector, Refusal> {
        match fields.count("connectorId")? {
            0 => Err(outside(&fields.path("connectorId"), "must be 1 or more")),
            connector => Ok(UnlockConnector { connector }),
        }
    }
}
