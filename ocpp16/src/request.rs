//! The requests of the CSMS, one file for each feature profile. What is judged here is the shape: types, lengths,
//! words and ranges. Whether the station has the connector, the key or the transaction is the station's to say.

mod core;
mod firmware;
mod local_list;
mod reservation;
mod security;
mod smart_charging;
mod trigger;

pub use self::core::{
    ChangeAvailability, ChangeConfiguration, DataTransfer, GetConfiguration, RemoteStartTransaction,
    RemoteStopTransaction, Reset, UnlockConnector,
};
pub use firmware::{GetDiagnostics, UpdateFirmware};
pub use local_list::{AuthorizationStatus, IdTagInfo, LocalListEntry, SendLocalList, UpdateType};
pub use reservation::{CancelReservation, ReserveNow};
pub use security::{
    CertificateHash, CertificateSigned, CertificateUse, DeleteCertificate, ExtendedTriggerMessage,
    ExtendedTriggeredMessage, GetInstalledCertificateIds, GetLog, HashAlgorithm, InstallCertificate, LogType,
    SignedUpdateFirmware,
};
pub use smart_charging::{
    ChargingProfile, ChargingProfileKind, ChargingProfilePurpose, ChargingRateUnit, ChargingSchedule,
    ClearChargingProfile, GetCompositeSchedule, Recurrency, SchedulePeriod, SetChargingProfile,
};
pub use trigger::{TriggerMessage, TriggeredMessage};

use crate::fields::Fields;
use crate::frame::{self, ErrorCode, Refusal};
use serde_json::Value;

/// A request of the CSMS, read.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Take a connector into service or out of it.
    ChangeAvailability(ChangeAvailability),
    /// Change a configuration key.
    ChangeConfiguration(ChangeConfiguration),
    /// Forget the badges that the CSMS allowed earlier.
    ClearCache,
    /// Something of a vendor's own.
    DataTransfer(DataTransfer),
    /// Tell configuration keys, or all of them.
    GetConfiguration(GetConfiguration),
    /// Start a charge.
    RemoteStartTransaction(RemoteStartTransaction),
    /// Stop a charge.
    RemoteStopTransaction(RemoteStopTransaction),
    /// Start anew.
    Reset(Reset),
    /// Let a cable go.
    UnlockConnector(UnlockConnector),
    /// Send the diagnostics to an address.
    GetDiagnostics(GetDiagnostics),
    /// Fetch and install a firmware.
    UpdateFirmware(UpdateFirmware),
    /// Tell the version of the local list.
    GetLocalListVersion,
    /// Replace or change the local list.
    SendLocalList(SendLocalList),
    /// Give a reserved connector free.
    CancelReservation(CancelReservation),
    /// Keep a connector for a badge.
    ReserveNow(ReserveNow),
    /// Drop charging profiles.
    ClearChargingProfile(ClearChargingProfile),
    /// Tell the limits that the profiles make together.
    GetCompositeSchedule(GetCompositeSchedule),
    /// Install a charging profile.
    SetChargingProfile(SetChargingProfile),
    /// Send a message now.
    TriggerMessage(TriggerMessage),
    /// Here is the certificate that the station asked to have signed.
    CertificateSigned(CertificateSigned),
    /// Remove a certificate.
    DeleteCertificate(DeleteCertificate),
    /// Send a message now; with the messages of the security extension.
    ExtendedTriggerMessage(ExtendedTriggerMessage),
    /// Tell which root certificates are installed.
    GetInstalledCertificateIds(GetInstalledCertificateIds),
    /// Send a log to an address.
    GetLog(GetLog),
    /// Install a root certificate.
    InstallCertificate(InstallCertificate),
    /// Fetch, verify and install a signed firmware.
    SignedUpdateFirmware(SignedUpdateFirmware),
}

type Reader = fn(&Fields<'_>) -> Result<Request, Refusal>;

const READERS: [(&str, Reader); 26] = [
    ("ChangeAvailability", |fields| ChangeAvailability::read(fields).map(Request::ChangeAvailability)),
    ("ChangeConfiguration", |fields| ChangeConfiguration::read(fields).map(Request::ChangeConfiguration)),
    ("ClearCache", |_| Ok(Request::ClearCache)),
    ("DataTransfer", |fields| DataTransfer::read(fields).map(Request::DataTransfer)),
    ("GetConfiguration", |fields| GetConfiguration::read(fields).map(Request::GetConfiguration)),
    ("RemoteStartTransaction", |fields| RemoteStartTransaction::read(fields).map(Request::RemoteStartTransaction)),
    ("RemoteStopTransaction", |fields| RemoteStopTransaction::read(fields).map(Request::RemoteStopTransaction)),
    ("Reset", |fields| Reset::read(fields).map(Request::Reset)),
    ("UnlockConnector", |fields| UnlockConnector::read(fields).map(Request::UnlockConnector)),
    ("GetDiagnostics", |fields| GetDiagnostics::read(fields).map(Request::GetDiagnostics)),
    ("UpdateFirmware", |fields| UpdateFirmware::read(fields).map(Request::UpdateFirmware)),
    ("GetLocalListVersion", |_| Ok(Request::GetLocalListVersion)),
    ("SendLocalList", |fields| SendLocalList::read(fields).map(Request::SendLocalList)),
    ("CancelReservation", |fields| CancelReservation::read(fields).map(Request::CancelReservation)),
    ("ReserveNow", |fields| ReserveNow::read(fields).map(Request::ReserveNow)),
    ("ClearChargingProfile", |fields| ClearChargingProfile::read(fields).map(Request::ClearChargingProfile)),
    ("GetCompositeSchedule", |fields| GetCompositeSchedule::read(fields).map(Request::GetCompositeSchedule)),
    ("SetChargingProfile", |fields| SetChargingProfile::read(fields).map(Request::SetChargingProfile)),
    ("TriggerMessage", |fields| TriggerMessage::read(fields).map(Request::TriggerMessage)),
    ("CertificateSigned", |fields| CertificateSigned::read(fields).map(Request::CertificateSigned)),
    ("DeleteCertificate", |fields| DeleteCertificate::read(fields).map(Request::DeleteCertificate)),
    ("ExtendedTriggerMessage", |fields| ExtendedTriggerMessage::read(fields).map(Request::ExtendedTriggerMessage)),
    ("GetInstalledCertificateIds", |fields| {
        GetInstalledCertificateIds::read(fields).map(Request::GetInstalledCertificateIds)
    }),
    ("GetLog", |fields| GetLog::read(fields).map(Request::GetLog)),
    ("InstallCertificate", |fields| InstallCertificate::read(fields).map(Request::InstallCertificate)),
    ("SignedUpdateFirmware", |fields| SignedUpdateFirmware::read(fields).map(Request::SignedUpdateFirmware)),
];

/// What only a station sends; DataTransfer goes both ways.
const OF_A_STATION: [&str; 13] = [
    "Authorize",
    "BootNotification",
    "DiagnosticsStatusNotification",
    "FirmwareStatusNotification",
    "Heartbeat",
    "LogStatusNotification",
    "MeterValues",
    "SecurityEventNotification",
    "SignCertificate",
    "SignedFirmwareStatusNotification",
    "StartTransaction",
    "StatusNotification",
    "StopTransaction",
];

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// The CALLERROR that it gets.
    pub fn read(action: &str, payload: &Value) -> Result<Request, Refusal> {
        match READERS.iter().find(|(known, _)| *known == action) {
            Some((_, read)) => read(&Fields::of(payload)?),
            None if OF_A_STATION.contains(&action) => {
                Err(Refusal::new(ErrorCode::NotSupported, "only a station sends this action"))
            }
            None => Err(frame::unknown_action()),
        }
    }

    /// Every action that the CSMS may ask of a station.
    pub fn actions() -> impl Iterator<Item = &'static str> {
        READERS.iter().map(|(action, _)| *action)
    }

    /// OCPP's name of this request.
    pub fn action(&self) -> &'static str {
        match self {
            Request::ChangeAvailability(_) => "ChangeAvailability",
            Request::ChangeConfiguration(_) => "ChangeConfiguration",
            Request::ClearCache => "ClearCache",
            Request::DataTransfer(_) => "DataTransfer",
            Request::GetConfiguration(_) => "GetConfiguration",
            Request::RemoteStartTransaction(_) => "RemoteStartTransaction",
            Request::RemoteStopTransaction(_) => "RemoteStopTransaction",
            Request::Reset(_) => "Reset",
            Request::UnlockConnector(_) => "UnlockConnector",
            Request::GetDiagnostics(_) => "GetDiagnostics",
            Request::UpdateFirmware(_) => "UpdateFirmware",
            Request::GetLocalListVersion => "GetLocalListVersion",
            Request::SendLocalList(_) => "SendLocalList",
            Request::CancelReservation(_) => "CancelReservation",
            Request::ReserveNow(_) => "ReserveNow",
            Request::ClearChargingProfile(_) => "ClearChargingProfile",
            Request::GetCompositeSchedule(_) => "GetCompositeSchedule",
            Request::SetChargingProfile(_) => "SetChargingProfile",
            Request::TriggerMessage(_) => "TriggerMessage",
            Request::CertificateSigned(_) => "CertificateSigned",
            Request::DeleteCertificate(_) => "DeleteCertificate",
            Request::ExtendedTriggerMessage(_) => "ExtendedTriggerMessage",
            Request::GetInstalledCertificateIds(_) => "GetInstalledCertificateIds",
            Request::GetLog(_) => "GetLog",
            Request::InstallCertificate(_) => "InstallCertificate",
            Request::SignedUpdateFirmware(_) => "SignedUpdateFirmware",
        }
    }
}
