//! The payloads of the station's own requests, and what the CSMS's answers to them say.

use crate::fields::Fields;
use crate::frame::Refusal;
use crate::meter_values::sampled_values;
use crate::settings::Settings;
use busbar_interfaces::ocpp::Authorization;
use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::words::{AuthorizationStatus, StopReason};
use busbar_interfaces::{MilliwattHours, UnixMillis};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

/// The CSMS's verdict on the station itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootStatus {
    Accepted,
    Pending,
    Rejected,
}

/// The answer to BootNotification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootAnswer {
    pub status: BootStatus,
    /// Between heartbeats, or until the next BootNotification.
    pub interval_seconds: u64,
}

/// BootNotification.req.
pub fn boot(settings: &Settings) -> Value {
    json!({
        "chargePointVendor": settings.vendor,
        "chargePointModel": settings.model,
        "chargePointSerialNumber": settings.serial,
        "firmwareVersion": env!("CARGO_PKG_VERSION"),
    })
}

/// BootNotification.conf.
///
/// # Errors
/// When it is not one.
pub fn boot_answer(payload: &Value) -> Result<BootAnswer, Refusal> {
    let fields = Fields::of(payload)?;
    let status = match fields.text("status", 20)? {
        "Accepted" => BootStatus::Accepted,
        "Pending" => BootStatus::Pending,
        "Rejected" => BootStatus::Rejected,
        _ => return Err(crate::fields::outside("status", "must be Accepted, Pending or Rejected")),
    };
    let interval_seconds = u64::try_from(fields.integer("interval")?).unwrap_or(0);
    Ok(BootAnswer { status, interval_seconds })
}

/// Authorize.req.
pub fn authorize(id_tag: &str) -> Value {
    json!({"idTag": id_tag})
}

/// The `idTagInfo` of Authorize.conf, StartTransaction.conf and StopTransaction.conf.
///
/// # Errors
/// When it is missing or not one.
pub fn id_tag_info(payload: &Value) -> Result<Authorization, Refusal> {
    let fields = Fields::of(payload)?.object("idTagInfo")?;
    let status = match fields.text("status", 20)? {
        "Accepted" => AuthorizationStatus::Accepted,
        "Blocked" => AuthorizationStatus::Blocked,
        "Expired" => AuthorizationStatus::Expired,
        "ConcurrentTx" => AuthorizationStatus::ConcurrentTx,
        // A word that OCPP does not have is no permission to charge.
        _ => AuthorizationStatus::Invalid,
    };
    Ok(Authorization {
        status,
        parent_id_tag: fields.optional_text("parentIdTag", 20)?.unwrap_or_default().to_owned(),
        expires_unix_millis: fields.optional_text("expiryDate", 64)?.and_then(moment).unwrap_or_default(),
    })
}

/// StartTransaction.req of a `started` event.
pub fn start(event: &TransactionEvent) -> Value {
    json!({
        "connectorId": event.connector.0,
        "idTag": event.id_tag,
        "meterStart": watt_hours(event.energy_milliwatt_hours),
        "timestamp": timestamp(event.unix_millis),
    })
}

/// The `transactionId` of StartTransaction.conf; any number is one, also zero and below.
///
/// # Errors
/// When it is missing or not a number.
pub fn start_answer(payload: &Value) -> Result<i32, Refusal> {
    Fields::of(payload)?.integer("transactionId")
}

/// MeterValues.req of a `sample` event; nothing when there is nothing to tell.
pub fn meter_values(
    event: &TransactionEvent,
    central: i32,
    measurands: &[String],
    with_voltage: bool,
) -> Option<Value> {
    let values = sampled_values(event, measurands, with_voltage);
    if values.is_empty() {
        return None;
    }
    Some(json!({
        "connectorId": event.connector.0,
        "transactionId": central,
        "meterValue": [{"timestamp": timestamp(event.unix_millis), "sampledValue": values}],
    }))
}

/// StopTransaction.req of a `stopped` event.
pub fn stop(event: &TransactionEvent, central: i32) -> Value {
    let mut payload = json!({
        "transactionId": central,
        "meterStop": watt_hours(event.energy_milliwatt_hours),
        "timestamp": timestamp(event.unix_millis),
    });
    set(&mut payload, "reason", reason(event.reason).map(Value::from));
    set(&mut payload, "idTag", (!event.id_tag.is_empty()).then(|| Value::from(event.id_tag.as_str())));
    payload
}

/// Sets a field that may be left out.
pub fn set(payload: &mut Value, field: &str, value: Option<Value>) {
    if let (Some(object), Some(value)) = (payload.as_object_mut(), value) {
        object.insert(field.to_owned(), value);
    }
}

fn reason(reason: StopReason) -> Option<&'static str> {
    Some(match reason {
        StopReason::None => return None,
        StopReason::Local => "Local",
        StopReason::Remote => "Remote",
        StopReason::EvDisconnected => "EVDisconnected",
        StopReason::EmergencyStop => "EmergencyStop",
        StopReason::DeAuthorized => "DeAuthorized",
        StopReason::PowerLoss => "PowerLoss",
        StopReason::Reboot => "Reboot",
        StopReason::Other | StopReason::Unknown => "Other",
    })
}

/// Whole watt-hours, as OCPP's 32-bit integer carries them.
fn watt_hours(energy: MilliwattHours) -> i32 {
    i32::try_from(energy.watt_hours()).unwrap_or(i32::MAX)
}

/// RFC 3339 in UTC with milliseconds.
pub fn timestamp(moment: UnixMillis) -> String {
    let millis = i64::try_from(moment.0).unwrap_or(i64::MAX);
    // A moment beyond the year 9999 is a clock that was never set right.
    format!("{:.3}", Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX))
}

/// A date of the CSMS; one without an offset counts as UTC.
fn moment(text: &str) -> Option<UnixMillis> {
    let timestamp = text.parse::<Timestamp>().ok().or_else(|| {
        let civil = text.parse::<DateTime>().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })?;
    u64::try_from(timestamp.as_millisecond()).ok().map(UnixMillis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::examples::{started, stopped};

    #[test]
    fn a_start_and_a_stop_as_ocpp_writes_them() {
        assert_eq!(
            start(&started(1, 7)),
            json!({"connectorId": 1, "idTag": "BADGE", "meterStart": 12345, "timestamp": "2024-03-01T12:00:00.250Z"})
        );
        let event = TransactionEvent { reason: StopReason::EvDisconnected, ..stopped(2, 7) };
        assert_eq!(
            stop(&event, 0),
            json!({"transactionId": 0, "meterStop": 12345, "timestamp": "2024-03-01T12:00:00.250Z",
                   "reason": "EVDisconnected"})
        );
        let event = TransactionEvent { reason: StopReason::None, id_tag: "BADGE".to_owned(), ..stopped(2, 7) };
        let payload = stop(&event, 5);
        assert_eq!(payload.get("reason"), None);
        assert_eq!(payload["idTag"], "BADGE");
    }

    #[test]
    fn every_reason_is_a_word_of_ocpp() {
        let words =
            ["DeAuthorized", "EmergencyStop", "EVDisconnected", "Local", "Other", "PowerLoss", "Reboot", "Remote"];
        for known in StopReason::KNOWN.iter().filter(|known| **known != StopReason::None) {
            assert!(words.contains(&reason(*known).expect("a word")), "{known}");
        }
    }

    #[test]
    fn a_verdict_with_group_and_expiry() {
        let payload =
            json!({"idTagInfo": {"status": "Blocked", "parentIdTag": "G", "expiryDate": "2024-03-01T12:00:00Z"}});
        let verdict = id_tag_info(&payload).expect("a verdict");
        assert_eq!(verdict.status, AuthorizationStatus::Blocked);
        assert_eq!(verdict.parent_id_tag, "G");
        assert_eq!(verdict.expires_unix_millis, UnixMillis(1_709_294_400_000));
        assert_eq!(moment("2024-03-01T13:00:00.5+01:00"), Some(UnixMillis(1_709_294_400_500)));
        assert_eq!(moment("2024-03-01T12:00:00"), Some(UnixMillis(1_709_294_400_000)));
        assert_eq!(moment("soon"), None);
        assert!(id_tag_info(&json!({})).is_err());
        let odd = id_tag_info(&json!({"idTagInfo": {"status": "Perhaps"}})).expect("a verdict");
        assert_eq!(odd.status, AuthorizationStatus::Invalid);
    }

    #[test]
    fn a_boot_answer() {
        let answer = boot_answer(&json!({"status": "Pending", "interval": 0, "currentTime": "x"}));
        assert_eq!(answer, Ok(BootAnswer { status: BootStatus::Pending, interval_seconds: 0 }));
        assert!(boot_answer(&json!({"status": "Fine", "interval": 1})).is_err());
        assert!(boot_answer(&json!([])).is_err());
    }
}
