//! The station's answers to the CSMS. Most say one word: `status(ConfigurationStatus::RebootRequired)`; a few say
//! nothing: `empty()`; the others have a function of their own here.

pub use crate::confirmation::{DataTransferStatus, Verdict};
use crate::moment;
use crate::payload::{Payload, cut};
use crate::request::{CertificateHash, ChargingSchedule};
use crate::word::words;
use serde_json::Value;

words!(
    /// Of ChangeAvailability.
    AvailabilityStatus {
        Accepted = "Accepted",
        Rejected = "Rejected",
        /// After the charge that is running.
        Scheduled = "Scheduled",
    }
);
words!(
    /// Of ChangeConfiguration.
    ConfigurationStatus {
        Accepted = "Accepted",
        Rejected = "Rejected",
        /// Accepted, and in force after the next start.
        RebootRequired = "RebootRequired",
        /// There is no such key.
        NotSupported = "NotSupported",
    }
);
words!(
    /// Of UnlockConnector.
    UnlockStatus {
        Unlocked = "Unlocked",
        UnlockFailed = "UnlockFailed",
        /// There is no lock, or no such connector.
        NotSupported = "NotSupported",
    }
);
words!(
    /// Of SendLocalList.
    UpdateStatus {
        Accepted = "Accepted",
        Failed = "Failed",
        NotSupported = "NotSupported",
        VersionMismatch = "VersionMismatch",
    }
);
words!(
    /// Of ReserveNow.
    ReservationStatus {
        Accepted = "Accepted",
        Faulted = "Faulted",
        Occupied = "Occupied",
        Rejected = "Rejected",
        Unavailable = "Unavailable",
    }
);
words!(
    /// Of SetChargingProfile.
    ChargingProfileStatus {
        Accepted = "Accepted",
        Rejected = "Rejected",
        NotSupported = "NotSupported",
    }
);
words!(
    /// Of ClearChargingProfile.
    ClearChargingProfileStatus {
        Accepted = "Accepted",
        /// No profile matches.
        Unknown = "Unknown",
    }
);
words!(
    /// Of TriggerMessage and ExtendedTriggerMessage.
    TriggerStatus {
        Accepted = "Accepted",
        Rejected = "Rejected",
        NotImplemented = "NotImplemented",
    }
);
words!(
    /// Of DeleteCertificate.
    DeleteCertificateStatus {
        Accepted = "Accepted",
        Failed = "Failed",
        NotFound = "NotFound",
    }
);
words!(
    /// Of InstallCertificate.
    InstallCertificateStatus {
        Accepted = "Accepted",
        /// It is good and could not be installed.
        Failed = "Failed",
        /// It is no good.
        Rejected = "Rejected",
    }
);
words!(
    /// Of GetLog.
    LogAnswer {
        Accepted = "Accepted",
        Rejected = "Rejected",
        /// Accepted, and the upload that was running is given up.
        AcceptedCanceled = "AcceptedCanceled",
    }
);
words!(
    /// Of SignedUpdateFirmware.
    SignedUpdateStatus {
        Accepted = "Accepted",
        Rejected = "Rejected",
        /// Accepted, and the update that was running is given up.
        AcceptedCanceled = "AcceptedCanceled",
        InvalidCertificate = "InvalidCertificate",
        RevokedCertificate = "RevokedCertificate",
    }
);

/// OCPP's limit of a key, of a value, of a file's name.
const MOST_KEY_CHARACTERS: usize = 50;
const MOST_VALUE_CHARACTERS: usize = 500;
const MOST_FILE_CHARACTERS: usize = 255;

/// UpdateFirmware.conf, and whatever else says nothing.
pub fn empty() -> Value {
    Payload::default().into()
}

/// An answer of one word of OCPP's.
pub fn status(word: impl Into<&'static str>) -> Value {
    Payload::default().value("status", word.into()).into()
}

/// A configuration key, as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    /// In its own spelling.
    pub key: String,
    /// The CSMS may not change it.
    pub readonly: bool,
    /// None: it is not told, as a password.
    pub value: Option<String>,
}

/// GetConfiguration.conf. A value or an unknown key that is too long for OCPP is cut.
pub fn configuration(known: &[KeyValue], unknown: &[String]) -> Value {
    let key_value = |known: &KeyValue| {
        let payload = Payload::default().text("key", &known.key, MOST_KEY_CHARACTERS).value("readonly", known.readonly);
        match &known.value {
            Some(value) => payload.text("value", value, MOST_VALUE_CHARACTERS).into(),
            None => payload.into(),
        }
    };
    let known: Vec<Value> = known.iter().map(key_value).collect();
    let unknown: Vec<&str> = unknown.iter().map(|key| cut(key, MOST_KEY_CHARACTERS)).collect();
    let mut payload = Payload::default();
    if !known.is_empty() {
        payload = payload.value("configurationKey", known);
    }
    if !unknown.is_empty() {
        payload = payload.value("unknownKey", unknown);
    }
    payload.into()
}

/// DataTransfer.conf; empty data is left out.
pub fn data_transfer(status: DataTransferStatus, data: Option<&str>) -> Value {
    Payload::default().word("status", status).optional_text("data", data, usize::MAX).into()
}

/// GetDiagnostics.conf; without a name there is nothing to upload.
pub fn diagnostics(file_name: Option<&str>) -> Value {
    Payload::default().optional_text("fileName", file_name, MOST_FILE_CHARACTERS).into()
}

/// GetLog.conf.
pub fn log(status: LogAnswer, file_name: Option<&str>) -> Value {
    Payload::default().word("status", status).optional_text("filename", file_name, MOST_FILE_CHARACTERS).into()
}

/// GetLocalListVersion.conf; 0 is an empty list, -1 none at all.
pub fn local_list_version(version: i32) -> Value {
    Payload::default().value("listVersion", version).into()
}

/// GetCompositeSchedule.conf with a schedule.
pub fn composite_schedule(connector: u32, start_unix_millis: u64, schedule: &ChargingSchedule) -> Value {
    Payload::default()
        .word("status", Verdict::Accepted)
        .count("connectorId", connector)
        .value("scheduleStart", moment::write(start_unix_millis))
        .value("chargingSchedule", written(schedule))
        .into()
}

fn written(schedule: &ChargingSchedule) -> Value {
    let period = |period: &crate::request::SchedulePeriod| {
        Payload::default()
            .count("startPeriod", period.start_seconds)
            .value("limit", period.limit.to_json())
            .optional_count("numberPhases", period.phases)
            .into()
    };
    let periods: Vec<Value> = schedule.periods.iter().map(period).collect();
    let payload = Payload::default()
        .optional_count("duration", schedule.duration_seconds)
        .optional_moment("startSchedule", schedule.start_unix_millis)
        .word("chargingRateUnit", schedule.unit)
        .value("chargingSchedulePeriod", periods);
    match schedule.min_charging_rate {
        Some(rate) => payload.value("minChargingRate", rate.to_json()).into(),
        None => payload.into(),
    }
}

/// GetInstalledCertificateIds.conf; none is NotFound.
pub fn installed_certificates(hashes: &[CertificateHash]) -> Value {
    let hash = |hash: &CertificateHash| {
        Payload::default()
            .word("hashAlgorithm", hash.algorithm)
            .text("issuerNameHash", &hash.issuer_name, 128)
            .text("issuerKeyHash", &hash.issuer_key, 128)
            .text("serialNumber", &hash.serial, 40)
            .into()
    };
    if hashes.is_empty() {
        return status("NotFound");
    }
    let hashes: Vec<Value> = hashes.iter().map(hash).collect();
    Payload::default().word("status", Verdict::Accepted).value("certificateHashData", hashes).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tenths;
    use crate::request::{ChargingRateUnit, HashAlgorithm, SchedulePeriod};
    use serde_json::json;

    #[test]
    fn one_word_answers() {
        assert_eq!(empty(), json!({}));
        assert_eq!(status(ConfigurationStatus::RebootRequired), json!({"status": "RebootRequired"}));
        assert_eq!(status(Verdict::Accepted), status("Accepted"));
    }

    #[test]
    fn case_31_case_36_a_configuration_keeps_ocpp_s_lengths() {
        let key = |key: &str, value: Option<&str>| KeyValue {
            key: key.to_owned(),
            readonly: value.is_none(),
            value: value.map(str::to_owned),
        };
        let long = "ä".repeat(600);
        let known = [key("A", Some("")), key("B", None), key(&long, Some(&long))];
        let answer = configuration(&known, &["x".repeat(60), "y".to_owned()]);
        let keys = &answer["configurationKey"];
        assert_eq!(keys[0], json!({"key": "A", "readonly": false, "value": ""}));
        assert_eq!(keys[1], json!({"key": "B", "readonly": true}));
        assert_eq!(keys[2], json!({"key": "ä".repeat(50), "readonly": false, "value": "ä".repeat(500)}));
        assert_eq!(answer["unknownKey"], json!(["x".repeat(50), "y"]));
        assert_eq!(configuration(&[], &[]), json!({}));
    }

    #[test]
    fn case_33_without_a_log_there_is_no_file_name() {
        assert_eq!(diagnostics(None), json!({}));
        assert_eq!(diagnostics(Some("a.tar.gz")), json!({"fileName": "a.tar.gz"}));
        let answer = log(LogAnswer::AcceptedCanceled, Some(&"x".repeat(300)));
        assert_eq!(answer, json!({"status": "AcceptedCanceled", "filename": "x".repeat(255)}));
    }

    #[test]
    fn a_data_transfer_is_answered() {
        assert_eq!(data_transfer(DataTransferStatus::Accepted, Some("")), json!({"status": "Accepted"}));
        let answer = data_transfer(DataTransferStatus::UnknownMessageId, Some("x"));
        assert_eq!(answer, json!({"status": "UnknownMessageId", "data": "x"}));
    }

    #[test]
    fn case_29_a_composite_schedule_is_written() {
        let schedule = ChargingSchedule {
            duration_seconds: Some(600),
            start_unix_millis: None,
            unit: ChargingRateUnit::Watts,
            periods: vec![
                SchedulePeriod { start_seconds: 0, limit: Tenths::of_whole(11_000), phases: None },
                SchedulePeriod { start_seconds: u32::MAX, limit: Tenths(163), phases: Some(3) },
            ],
            min_charging_rate: Some(Tenths(5)),
        };
        assert_eq!(
            composite_schedule(1, 1_709_294_400_000, &schedule),
            json!({"status": "Accepted", "connectorId": 1, "scheduleStart": "2024-03-01T12:00:00.000Z",
                   "chargingSchedule": {"duration": 600, "chargingRateUnit": "W", "minChargingRate": 0.5,
                       "chargingSchedulePeriod": [
                           {"startPeriod": 0, "limit": 11000},
                           {"startPeriod": 2_147_483_647, "limit": 16.3, "numberPhases": 3}]}})
        );
    }

    #[test]
    fn installed_certificates_are_told_by_their_hashes() {
        assert_eq!(installed_certificates(&[]), json!({"status": "NotFound"}));
        let hash = CertificateHash {
            algorithm: HashAlgorithm::Sha256,
            issuer_name: "a".repeat(200),
            issuer_key: "b".to_owned(),
            serial: "c".repeat(50),
        };
        let told = json!({"hashAlgorithm": "SHA256", "issuerNameHash": "a".repeat(128), "issuerKeyHash": "b",
                          "serialNumber": "c".repeat(40)});
        assert_eq!(installed_certificates(&[hash]), json!({"status": "Accepted", "certificateHashData": [told]}));
    }

    #[test]
    fn case_25_a_list_version_may_be_negative() {
        assert_eq!(local_list_version(-1), json!({"listVersion": -1}));
    }
}
