//! The CSMS's answers to the station's own requests. What decides is read strictly; what only informs is left out when
//! it cannot be read, so that a CSMS with an odd date still has its station and its charges.

use crate::CentralTransaction;
use crate::fields::Fields;
use crate::frame::Refusal;
pub use crate::request::{AuthorizationStatus, IdTagInfo};
use crate::word::{Word, words};
use serde_json::Value;

words!(
    /// The CSMS's verdict on the station itself.
    RegistrationStatus {
        /// It may work.
        Accepted = "Accepted",
        /// Not yet: the CSMS may ask, the station does not tell.
        Pending = "Pending",
        /// It is not known.
        Rejected = "Rejected",
    }
);
words!(
    /// What a DataTransfer came to.
    DataTransferStatus {
        /// Done.
        Accepted = "Accepted",
        /// Known, and not done.
        Rejected = "Rejected",
        /// The vendor is known, the message is not.
        UnknownMessageId = "UnknownMessageId",
        /// The vendor is not known.
        UnknownVendorId = "UnknownVendorId",
    }
);
words!(
    /// Yes or no.
    Verdict {
        Accepted = "Accepted",
        Rejected = "Rejected",
    }
);

/// BootNotification.conf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootNotification {
    /// The verdict.
    pub status: RegistrationStatus,
    /// Between heartbeats, or until the next BootNotification; 0 leaves it to the station.
    pub interval_seconds: u64,
    /// The CSMS's clock, if it can be read.
    pub current_unix_millis: Option<u64>,
}

impl BootNotification {
    /// Reads the answer. A negative interval is 0.
    ///
    /// # Errors
    /// When status or interval is missing or not one.
    pub fn read(payload: &Value) -> Result<BootNotification, Refusal> {
        let fields = Fields::of(payload)?;
        Ok(BootNotification {
            status: fields.word("status")?,
            interval_seconds: u64::try_from(fields.integer("interval")?).unwrap_or(0),
            current_unix_millis: readable(fields.optional_moment("currentTime")),
        })
    }
}

/// Heartbeat.conf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// The CSMS's clock, if it can be read.
    pub current_unix_millis: Option<u64>,
}

impl Heartbeat {
    /// Reads the answer; any answer is a sign of life.
    pub fn read(payload: &Value) -> Heartbeat {
        let fields = Fields::of(payload);
        Heartbeat {
            current_unix_millis: fields.ok().and_then(|fields| readable(fields.optional_moment("currentTime"))),
        }
    }
}

/// Authorize.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorize {
    /// What the CSMS says of the badge.
    pub id_tag_info: IdTagInfo,
}

impl Authorize {
    /// Reads the answer.
    ///
    /// # Errors
    /// When it says nothing of the badge.
    pub fn read(payload: &Value) -> Result<Authorize, Refusal> {
        Ok(Authorize { id_tag_info: id_tag_info(&Fields::of(payload)?)? })
    }
}

/// StartTransaction.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartTransaction {
    /// The CSMS's number of the charge.
    pub transaction: CentralTransaction,
    /// What the CSMS says of the badge. The number holds even when this cannot be read.
    pub id_tag_info: Result<IdTagInfo, Refusal>,
}

impl StartTransaction {
    /// Reads the answer; any number of 32 bits is one, also zero and below.
    ///
    /// # Errors
    /// When there is no number.
    pub fn read(payload: &Value) -> Result<StartTransaction, Refusal> {
        let fields = Fields::of(payload)?;
        Ok(StartTransaction {
            transaction: CentralTransaction::confirmed(fields.integer("transactionId")?),
            id_tag_info: id_tag_info(&fields),
        })
    }
}

/// StopTransaction.conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopTransaction {
    /// What the CSMS says of the badge, if it says something that can be read.
    pub id_tag_info: Option<IdTagInfo>,
}

impl StopTransaction {
    /// Reads the answer; any answer confirms the stop.
    pub fn read(payload: &Value) -> StopTransaction {
        StopTransaction { id_tag_info: Fields::of(payload).and_then(|fields| id_tag_info(&fields)).ok() }
    }
}

/// DataTransfer.conf of the CSMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataTransfer {
    /// What it came to.
    pub status: DataTransferStatus,
    /// A text of the vendor's; a bare object as its JSON text.
    pub data: Option<String>,
}

impl DataTransfer {
    /// Reads the answer.
    ///
    /// # Errors
    /// When status is missing or not one, or data is neither text nor object.
    pub fn read(payload: &Value) -> Result<DataTransfer, Refusal> {
        let fields = Fields::of(payload)?;
        Ok(DataTransfer { status: fields.word("status")?, data: fields.optional_vendor_data("data")? })
    }
}

/// SignCertificate.conf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignCertificate {
    /// Whether a CertificateSigned will follow.
    pub status: Verdict,
}

impl SignCertificate {
    /// Reads the answer.
    ///
    /// # Errors
    /// When status is missing or not one.
    pub fn read(payload: &Value) -> Result<SignCertificate, Refusal> {
        Ok(SignCertificate { status: Fields::of(payload)?.word("status")? })
    }
}

/// A word that OCPP does not have is no permission to charge.
fn id_tag_info(fields: &Fields<'_>) -> Result<IdTagInfo, Refusal> {
    let info = fields.object("idTagInfo")?;
    Ok(IdTagInfo {
        status: AuthorizationStatus::read(info.text("status", usize::MAX)?).unwrap_or(AuthorizationStatus::Invalid),
        parent_id_tag: info.optional_badge("parentIdTag")?,
        // An end that cannot be read may have come: the word counts for now, and nobody keeps it.
        expiry_unix_millis: info.optional_moment("expiryDate").unwrap_or(Some(1)),
    })
}

fn readable<T>(field: Result<Option<T>, Refusal>) -> Option<T> {
    field.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Hidden;
    use crate::frame::ErrorCode;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn case_18_a_boot_answer() {
        let answer = BootNotification::read(&json!({"status": "Pending", "interval": 0, "currentTime": "x"}));
        let pending = RegistrationStatus::Pending;
        assert_eq!(answer, Ok(BootNotification { status: pending, interval_seconds: 0, current_unix_millis: None }));
        let now = json!({"status": "Accepted", "interval": -5, "currentTime": "2024-03-01T12:00:00Z", "more": 1});
        let answer = BootNotification::read(&now).expect("an answer");
        assert_eq!((answer.interval_seconds, answer.current_unix_millis), (0, Some(1_709_294_400_000)));
        for broken in [json!({"status": "Fine", "interval": 1}), json!({"status": "Accepted"}), json!([])] {
            assert!(BootNotification::read(&broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn case_20_a_heartbeat_brings_the_clock_if_it_can_be_read() {
        let clock = Heartbeat::read(&json!({"currentTime": "2024-03-01T12:00:00.250Z"})).current_unix_millis;
        assert_eq!(clock, Some(1_709_294_400_250));
        for odd in [json!({}), json!([]), json!({"currentTime": 5}), json!(null)] {
            assert_eq!(Heartbeat::read(&odd).current_unix_millis, None, "{odd}");
        }
    }

    #[test]
    fn case_2_a_verdict_with_group_and_expiry() {
        let payload =
            json!({"idTagInfo": {"status": "Blocked", "parentIdTag": "G", "expiryDate": "2024-03-01T12:00:00Z"}});
        let verdict = Authorize::read(&payload).expect("a verdict").id_tag_info;
        assert_eq!(verdict.status, AuthorizationStatus::Blocked);
        assert_eq!(verdict.parent_id_tag.as_ref().map(Hidden::as_str), Some("G"));
        assert_eq!(verdict.expiry_unix_millis, Some(1_709_294_400_000));
        assert!(!format!("{verdict:?}").contains('G'), "{verdict:?}");
        assert!(Authorize::read(&json!({})).is_err());
        let odd = json!({"idTagInfo": {"status": "Perhaps", "parentIdTag": "", "expiryDate": "soon"}});
        let odd = Authorize::read(&odd).expect("a verdict").id_tag_info;
        let over = Some(1);
        let nothing = IdTagInfo { status: AuthorizationStatus::Invalid, parent_id_tag: None, expiry_unix_millis: over };
        assert_eq!(odd, nothing);
    }

    #[test]
    fn case_34_what_no_bus_carries_is_no_verdict_and_no_badge() {
        let odd = json!({"idTagInfo": {"status": "Accepted", "parentIdTag": "A\u{0}B"}});
        assert!(Authorize::read(&odd).is_err());
        let refusal = DataTransfer::read(&json!({"status": "Accepted", "data": "a\u{0}"})).expect_err("no text");
        assert_eq!(refusal.code, ErrorCode::PropertyConstraintViolation);
        assert!(DataTransfer::read(&json!({"status": "Accepted", "data": "two\nlines"})).is_ok());
    }

    #[test]
    fn case_b18_any_number_is_one_and_it_outlives_a_broken_verdict() {
        for number in [0, -1, i32::MIN, i32::MAX] {
            let answer = StartTransaction::read(&json!({"transactionId": number})).expect("a number");
            assert_eq!(answer.transaction, CentralTransaction::confirmed(number));
            let refusal = answer.id_tag_info.expect_err("no verdict");
            assert_eq!(refusal.code, ErrorCode::OccurenceConstraintViolation);
        }
        for broken in [json!({"transactionId": "5"}), json!({"transactionId": 3_000_000_000u32}), json!({})] {
            assert!(StartTransaction::read(&broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn any_answer_confirms_a_stop() {
        for odd in [json!({}), json!(5), json!({"idTagInfo": 5}), json!({"idTagInfo": {}})] {
            assert_eq!(StopTransaction::read(&odd), StopTransaction { id_tag_info: None }, "{odd}");
        }
        let info = StopTransaction::read(&json!({"idTagInfo": {"status": "Expired"}})).id_tag_info;
        assert_eq!(info.map(|info| info.status), Some(AuthorizationStatus::Expired));
    }

    #[test]
    fn the_other_answers_are_read() {
        let answer = DataTransfer::read(&json!({"status": "UnknownVendorId", "data": "x"})).expect("an answer");
        assert_eq!(answer.status, DataTransferStatus::UnknownVendorId);
        assert_eq!(answer.data.as_deref(), Some("x"));
        let answer = DataTransfer::read(&json!({"status": "Accepted", "data": {"a": 1}})).expect("an answer");
        assert_eq!(answer.data.as_deref(), Some("{\"a\":1}"));
        assert!(DataTransfer::read(&json!({"status": "Perhaps"})).is_err());
        let answer = SignCertificate::read(&json!({"status": "Rejected"}));
        assert_eq!(answer, Ok(SignCertificate { status: Verdict::Rejected }));
    }

    proptest! {
        #[test]
        fn case_b5_no_answer_is_a_panic(status in ".{0,12}", number in any::<f64>(), date in ".{0,30}", nested in any::<bool>()) {
            let info = if nested { json!({"status": status, "expiryDate": date, "parentIdTag": date}) } else { json!(date) };
            let payload = json!({"status": status, "interval": number, "currentTime": date, "transactionId": number,
                                 "idTagInfo": info, "data": date});
            let _ = BootNotification::read(&payload);
            let _ = Heartbeat::read(&payload);
            let _ = Authorize::read(&payload);
            let _ = StartTransaction::read(&payload);
            let _ = StopTransaction::read(&payload);
            let _ = DataTransfer::read(&payload);
            let _ = SignCertificate::read(&payload);
        }
    }
}
