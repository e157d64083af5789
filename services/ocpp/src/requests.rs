//! The requests of the CSMS: which there are, which this version has built, and what their payloads say.

use crate::fields::{Fields, outside};
use crate::frame::{ErrorCode, Refusal};
use crate::hidden::Hidden;
use serde_json::Value;

/// A request that this version answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Start a charge; without a connector on any.
    RemoteStart { connector: Option<u32>, id_tag: Hidden, with_profile: bool },
    /// Stop the transaction with the CSMS's number.
    RemoteStop { central: i32 },
    /// Tell configuration keys, or all of them.
    GetConfiguration { keys: Option<Vec<String>> },
    /// Change a configuration key.
    ChangeConfiguration { key: String, value: Hidden },
    /// Unlock a cable: the cables of this family are captive.
    UnlockConnector,
}

/// Actions of OCPP 1.6 and of its security extension that this version knows and has not built, and those that only a
/// station sends.
const NOT_BUILT: [&str; 34] = [
    "Authorize",
    "BootNotification",
    "CancelReservation",
    "CertificateSigned",
    "ChangeAvailability",
    "ClearCache",
    "ClearChargingProfile",
    "DataTransfer",
    "DeleteCertificate",
    "DiagnosticsStatusNotification",
    "ExtendedTriggerMessage",
    "FirmwareStatusNotification",
    "GetCompositeSchedule",
    "GetDiagnostics",
    "GetInstalledCertificateIds",
    "GetLocalListVersion",
    "GetLog",
    "Heartbeat",
    "InstallCertificate",
    "LogStatusNotification",
    "MeterValues",
    "ReserveNow",
    "Reset",
    "SecurityEventNotification",
    "SendLocalList",
    "SetChargingProfile",
    "SignCertificate",
    "SignedFirmwareStatusNotification",
    "SignedUpdateFirmware",
    "StartTransaction",
    "StatusNotification",
    "StopTransaction",
    "TriggerMessage",
    "UpdateFirmware",
];

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// The CALLERROR that it gets.
    pub fn read(action: &str, payload: &Value) -> Result<Request, Refusal> {
        match action {
            "RemoteStartTransaction" => remote_start(Fields::of(payload)?),
            "RemoteStopTransaction" => {
                Ok(Request::RemoteStop { central: Fields::of(payload)?.integer("transactionId")? })
            }
            "GetConfiguration" => {
                let keys = Fields::of(payload)?.optional_texts("key", 50)?;
                Ok(Request::GetConfiguration { keys: keys.map(|keys| keys.into_iter().map(str::to_owned).collect()) })
            }
            "ChangeConfiguration" => {
                let fields = Fields::of(payload)?;
                Ok(Request::ChangeConfiguration {
                    key: fields.text("key", 50)?.to_owned(),
                    value: fields.text("value", 500)?.into(),
                })
            }
            "UnlockConnector" => match Fields::of(payload)?.integer("connectorId")? {
                1.. => Ok(Request::UnlockConnector),
                _ => Err(outside("connectorId", "must be 1 or more")),
            },
            known if NOT_BUILT.contains(&known) => Err(Refusal::new(
                ErrorCode::NotSupported,
                "this version of the station does not answer this action of OCPP 1.6",
            )),
            _ => Err(Refusal::new(ErrorCode::NotImplemented, "the station does not know this action")),
        }
    }
}

fn remote_start(fields: Fields<'_>) -> Result<Request, Refusal> {
    let connector = fields.optional_integer("connectorId")?;
    let connector = connector.map(u32::try_from).transpose();
    let id_tag = fields.text("idTag", 20)?;
    if id_tag.is_empty() {
        return Err(outside("idTag", "must not be empty"));
    }
    Ok(Request::RemoteStart {
        connector: connector.map_err(|_| outside("connectorId", "must not be negative"))?,
        id_tag: id_tag.into(),
        with_profile: fields.optional_object("chargingProfile")?.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn requests_are_read() {
        let start = Request::read("RemoteStartTransaction", &json!({"idTag": "BADGE", "connectorId": 2, "x": 1}));
        assert_eq!(start, Ok(Request::RemoteStart { connector: Some(2), id_tag: "BADGE".into(), with_profile: false }));
        assert_eq!(
            Request::read("RemoteStartTransaction", &json!({"idTag": "BADGE", "connectorId": null})),
            Ok(Request::RemoteStart { connector: None, id_tag: "BADGE".into(), with_profile: false })
        );
        assert_eq!(
            Request::read("RemoteStopTransaction", &json!({"transactionId": -3})),
            Ok(Request::RemoteStop { central: -3 })
        );
        assert_eq!(Request::read("GetConfiguration", &json!({})), Ok(Request::GetConfiguration { keys: None }));
    }

    #[test]
    fn every_fault_has_its_code() {
        let long = "x".repeat(501);
        for (action, payload, code) in [
            ("Explode", json!({}), ErrorCode::NotImplemented),
            ("getConfiguration", json!({}), ErrorCode::NotImplemented),
            ("TriggerMessage", json!({"requestedMessage": "Heartbeat"}), ErrorCode::NotSupported),
            ("SetChargingProfile", json!({}), ErrorCode::NotSupported),
            ("SignedUpdateFirmware", json!({}), ErrorCode::NotSupported),
            ("BootNotification", json!({}), ErrorCode::NotSupported),
            ("GetConfiguration", json!([]), ErrorCode::TypeConstraintViolation),
            ("GetConfiguration", json!({"key": "A"}), ErrorCode::TypeConstraintViolation),
            ("GetConfiguration", json!({"key": ["A", 5]}), ErrorCode::TypeConstraintViolation),
            ("GetConfiguration", json!({"key": [&long[..51]]}), ErrorCode::PropertyConstraintViolation),
            ("ChangeConfiguration", json!({"key": "A"}), ErrorCode::OccurenceConstraintViolation),
            ("ChangeConfiguration", json!({"key": "A", "value": null}), ErrorCode::OccurenceConstraintViolation),
            ("ChangeConfiguration", json!({"key": "A", "value": 5}), ErrorCode::TypeConstraintViolation),
            ("ChangeConfiguration", json!({"key": "A", "value": long}), ErrorCode::PropertyConstraintViolation),
            ("RemoteStartTransaction", json!({}), ErrorCode::OccurenceConstraintViolation),
            ("RemoteStartTransaction", json!({"idTag": ""}), ErrorCode::PropertyConstraintViolation),
            ("RemoteStartTransaction", json!({"idTag": &long[..21]}), ErrorCode::PropertyConstraintViolation),
            ("RemoteStartTransaction", json!({"idTag": "A", "connectorId": "1"}), ErrorCode::TypeConstraintViolation),
            ("RemoteStartTransaction", json!({"idTag": "A", "connectorId": 1.5}), ErrorCode::TypeConstraintViolation),
            (
                "RemoteStartTransaction",
                json!({"idTag": "A", "connectorId": -1}),
                ErrorCode::PropertyConstraintViolation,
            ),
            ("RemoteStartTransaction", json!({"idTag": "A", "chargingProfile": 1}), ErrorCode::TypeConstraintViolation),
            ("RemoteStopTransaction", json!({}), ErrorCode::OccurenceConstraintViolation),
            ("RemoteStopTransaction", json!({"transactionId": true}), ErrorCode::TypeConstraintViolation),
            (
                "RemoteStopTransaction",
                json!({"transactionId": 3_000_000_000u32}),
                ErrorCode::PropertyConstraintViolation,
            ),
            ("RemoteStopTransaction", json!({"transactionId": u64::MAX}), ErrorCode::PropertyConstraintViolation),
            ("UnlockConnector", json!({"connectorId": 0}), ErrorCode::PropertyConstraintViolation),
        ] {
            let refusal = Request::read(action, &payload).expect_err("a fault");
            assert_eq!(refusal.code, code, "{action} {payload}");
        }
    }

    #[test]
    fn no_badge_and_no_value_reaches_a_text() {
        let start = Request::read("RemoteStartTransaction", &json!({"idTag": "SECRET"}));
        assert!(!format!("{start:?}").contains("SECRET"));
        let change = Request::read("ChangeConfiguration", &json!({"key": "AuthorizationKey", "value": "SECRET"}));
        assert!(!format!("{change:?}").contains("SECRET"));
        for payload in [json!({"idTag": "SECRET-SECRET-SECRET-SECRET"}), json!({"idTag": ["SECRET"]})] {
            let refusal = Request::read("RemoteStartTransaction", &payload).expect_err("a fault");
            assert!(!format!("{refusal:?} {refusal}").contains("SECRET"));
        }
    }

    proptest! {
        #[test]
        fn no_payload_is_a_panic(action in 0usize..6, key in "[a-zA-Z]{1,12}", number in any::<i64>(), text in ".{0,30}") {
            let actions = ["RemoteStartTransaction", "RemoteStopTransaction", "GetConfiguration", "ChangeConfiguration",
                           "UnlockConnector", "Reset"];
            let _ = Request::read(actions[action], &json!({key: number, "key": [&text], "idTag": text, "connectorId": number}));
        }
    }
}
