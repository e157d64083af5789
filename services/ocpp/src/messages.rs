//! The domain's words in OCPP's: the station's own requests from what the journal and the peers say, and the CSMS's
//! answers as the bus carries them.

use crate::configuration::Configuration;
use crate::meter_values::{sampled_values, signed_value};
use crate::settings::Settings;
use busbar_interfaces::UnixMillis;
use busbar_interfaces::ocpp::Authorization;
use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::words::{self, AuthorizationStatus, ReadingContext};
use busbar_ocpp16::confirmation::{self, IdTagInfo};
use busbar_ocpp16::report::{
    Authorize, BootNotification, DataTransfer, MeterValue, MeterValues, Report, StartTransaction, StopReason,
    StopTransaction,
};
use busbar_ocpp16::{CentralTransaction, Hidden};
use serde_json::Value;

/// A request of the station: its action and its payload.
pub type Told = (&'static str, Value);

/// A request as it is told.
pub fn told<R: Report>(report: &R) -> Told {
    (R::ACTION, report.payload())
}

/// BootNotification.req.
pub fn boot(settings: &Settings) -> Told {
    told(&BootNotification {
        vendor: settings.vendor.clone(),
        model: settings.model.clone(),
        serial: Some(settings.serial.clone()),
        firmware_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        ..BootNotification::default()
    })
}

/// Authorize.req.
pub fn authorize(id_tag: &Hidden) -> Told {
    told(&Authorize { id_tag: id_tag.clone() })
}

/// DataTransfer.req.
pub fn data_transfer(vendor_id: String, message_id: String, data: String) -> Told {
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    told(&DataTransfer { vendor_id, message_id: given(message_id), data: given(data) })
}

/// StartTransaction.req of a `started` event that happened then.
pub fn start(event: &TransactionEvent, at: UnixMillis) -> Told {
    told(&StartTransaction {
        connector: event.connector.0,
        id_tag: Hidden::from(event.id_tag.as_str()),
        meter_start_watt_hours: event.energy_milliwatt_hours.watt_hours(),
        reservation: event.reservation.first().map(|reservation| reservation.0),
        unix_millis: at.0,
    })
}

/// MeterValues.req of a sample; nothing when there is nothing to tell. A sample of the clock has its own list of
/// measurands; an empty list is the register alone. A signed reading comes on top. A sample of an end of the transaction
/// holds nothing else: StartTransaction and StopTransaction have told the register, and have no room for what the meter
/// has signed.
pub fn meter_values(
    event: &TransactionEvent,
    at: UnixMillis,
    transaction: Option<CentralTransaction>,
    keys: &Configuration,
) -> Option<Told> {
    let list = if event.context == ReadingContext::SampleClock { &keys.aligned } else { &keys.sampled };
    let with_voltage = keys.flag("EnableMeterValuesContainVoltage", false);
    let is_end = matches!(event.context, ReadingContext::TransactionBegin | ReadingContext::TransactionEnd);
    let mut values = if is_end { Vec::new() } else { sampled_values(event, list, with_voltage) };
    values.extend(signed_value(event));
    if values.is_empty() {
        return None;
    }
    let values = vec![MeterValue { unix_millis: at.0, values }];
    Some(told(&MeterValues { connector: event.connector.0, transaction, values }))
}

/// StopTransaction.req of a `stopped` event. This station sends no `transactionData`: the lists for it hold nothing
/// (station facts, StopTxnSampledDataMaxLength and StopTxnAlignedDataMaxLength are 0).
pub fn stop(event: &TransactionEvent, at: UnixMillis, transaction: CentralTransaction) -> Told {
    told(&StopTransaction {
        transaction,
        id_tag: Some(Hidden::from(event.id_tag.as_str())).filter(|tag| !tag.as_str().is_empty()),
        meter_stop_watt_hours: event.energy_milliwatt_hours.watt_hours(),
        unix_millis: at.0,
        reason: reason(event.reason),
        data: Vec::new(),
    })
}

fn reason(reason: words::StopReason) -> Option<StopReason> {
    Some(match reason {
        words::StopReason::None => return None,
        words::StopReason::Local => StopReason::Local,
        words::StopReason::Remote => StopReason::Remote,
        words::StopReason::EvDisconnected => StopReason::EvDisconnected,
        words::StopReason::EmergencyStop => StopReason::EmergencyStop,
        words::StopReason::DeAuthorized => StopReason::DeAuthorized,
        words::StopReason::PowerLoss => StopReason::PowerLoss,
        words::StopReason::Reboot => StopReason::Reboot,
        words::StopReason::SoftReset => StopReason::SoftReset,
        words::StopReason::HardReset => StopReason::HardReset,
        words::StopReason::Other | words::StopReason::Unknown => StopReason::Other,
    })
}

/// The CSMS's word on a badge, as the bus carries it.
pub fn authorization(info: &IdTagInfo) -> Authorization {
    Authorization {
        status: match info.status {
            confirmation::AuthorizationStatus::Accepted => AuthorizationStatus::Accepted,
            confirmation::AuthorizationStatus::Blocked => AuthorizationStatus::Blocked,
            confirmation::AuthorizationStatus::Expired => AuthorizationStatus::Expired,
            confirmation::AuthorizationStatus::Invalid => AuthorizationStatus::Invalid,
            confirmation::AuthorizationStatus::ConcurrentTx => AuthorizationStatus::ConcurrentTx,
        },
        parent_id_tag: info.parent_id_tag.as_ref().map(|tag| tag.as_str().to_owned()).unwrap_or_default(),
        expires_unix_millis: UnixMillis(info.expiry_unix_millis.unwrap_or(0)),
    }
}

/// The CSMS's word on a vendor's message, as the bus carries it.
pub fn data_transfer_status(status: confirmation::DataTransferStatus) -> words::DataTransferStatus {
    match status {
        confirmation::DataTransferStatus::Accepted => words::DataTransferStatus::Accepted,
        confirmation::DataTransferStatus::Rejected => words::DataTransferStatus::Rejected,
        confirmation::DataTransferStatus::UnknownMessageId => words::DataTransferStatus::UnknownMessageId,
        confirmation::DataTransferStatus::UnknownVendorId => words::DataTransferStatus::UnknownVendorId,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::examples::{sample, started, stopped};
    use busbar_interfaces::ReservationId;
    use serde_json::json;

    const AT: UnixMillis = UnixMillis(1_793_534_400_250);

    #[test]
    fn a_start_and_a_stop_as_ocpp_writes_them() {
        assert_eq!(
            start(&started(1, 7), AT),
            (
                "StartTransaction",
                json!({"connectorId": 1, "idTag": "BADGE", "meterStart": 12345, "timestamp": "2026-11-01T12:00:00.250Z"})
            )
        );
        let event = TransactionEvent { reason: words::StopReason::EvDisconnected, ..stopped(2, 7) };
        assert_eq!(
            stop(&event, AT, CentralTransaction::confirmed(0)).1,
            json!({"transactionId": 0, "meterStop": 12345, "timestamp": "2026-11-01T12:00:00.250Z",
                   "reason": "EVDisconnected"})
        );
        let event = TransactionEvent { reason: words::StopReason::None, id_tag: "BADGE".to_owned(), ..stopped(2, 7) };
        let payload = stop(&event, AT, CentralTransaction::confirmed(5)).1;
        assert_eq!(payload.get("reason"), None);
        assert_eq!(payload["idTag"], "BADGE");
    }

    #[test]
    fn tc_046_1_a_start_tells_the_reservation_that_it_has_used_up() {
        for (reservation, told) in [
            (vec![], None),
            (vec![ReservationId(12)], Some(json!(12))),
            (vec![ReservationId(0)], Some(json!(0))),
            (vec![ReservationId(i32::MIN)], Some(json!(i32::MIN))),
        ] {
            let event = TransactionEvent { reservation, ..started(1, 7) };
            assert_eq!(start(&event, AT).1.get("reservationId").cloned(), told);
        }
    }

    #[test]
    fn case_30_a_signed_reading_comes_with_the_others_and_alone_at_the_ends() {
        let keys = Configuration::default();
        for (context, signed, told) in [
            (ReadingContext::SamplePeriodic, "", vec![("Sample.Periodic", "Raw")]),
            (
                ReadingContext::SamplePeriodic,
                "OCMF|{}",
                vec![("Sample.Periodic", "Raw"), ("Sample.Periodic", "SignedData")],
            ),
            (ReadingContext::SampleClock, "OCMF|{}", vec![("Sample.Clock", "Raw"), ("Sample.Clock", "SignedData")]),
            (ReadingContext::Trigger, "OCMF|{}", vec![("Trigger", "Raw"), ("Trigger", "SignedData")]),
            (ReadingContext::TransactionBegin, "OCMF|{}", vec![("Transaction.Begin", "SignedData")]),
            (ReadingContext::TransactionEnd, "OCMF|{}", vec![("Transaction.End", "SignedData")]),
            (ReadingContext::TransactionBegin, "", vec![]),
            (ReadingContext::TransactionEnd, "", vec![]),
        ] {
            let event = TransactionEvent { context, signed_data: signed.to_owned(), ..sample(3, 1) };
            let message = meter_values(&event, AT, None, &keys);
            let values = message.map(|(_, payload)| payload["meterValue"][0]["sampledValue"].clone());
            let values = values.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
            let text = |value: &Value, field: &str| value[field].as_str().expect("a text").to_owned();
            let got: Vec<(String, String)> =
                values.iter().map(|value| (text(value, "context"), text(value, "format"))).collect();
            let got: Vec<(&str, &str)> =
                got.iter().map(|(context, format)| (context.as_str(), format.as_str())).collect();
            assert_eq!(got, told, "{context} {signed}");
        }
    }

    #[test]
    fn a_signed_reading_is_told_as_it_is_however_long() {
        let signed_data = "\"é{}".repeat(4000);
        let event = TransactionEvent { signed_data, context: ReadingContext::TransactionEnd, ..sample(3, 1) };
        let (_, payload) = meter_values(&event, AT, None, &Configuration::default()).expect("values");
        assert_eq!(
            payload["meterValue"][0]["sampledValue"],
            json!([{"value": event.signed_data, "context": "Transaction.End", "format": "SignedData",
                    "measurand": "Energy.Active.Import.Register"}])
        );
        // The ends of the transaction themselves have no room for it.
        let (begin, end) = (started(1, 7), stopped(2, 7));
        let signed = |event: &TransactionEvent| TransactionEvent { signed_data: "OCMF|{}".to_owned(), ..event.clone() };
        assert_eq!(start(&signed(&begin), AT), start(&begin, AT));
        let central = CentralTransaction::confirmed(5);
        assert_eq!(stop(&signed(&end), AT, central), stop(&end, AT, central));
    }

    #[test]
    fn case_10_every_reason_is_a_word_of_ocpp() {
        for known in words::StopReason::KNOWN.iter().filter(|known| **known != words::StopReason::None) {
            assert!(reason(*known).is_some(), "{known}");
        }
        assert_eq!(reason(words::StopReason::SoftReset), Some(StopReason::SoftReset));
    }

    #[test]
    fn tc_070_tc_071_a_sample_of_the_clock_has_its_own_list_and_an_empty_list_is_the_register() {
        let keys = |sampled: &str, aligned: &str| {
            let values = [("MeterValuesSampledData", sampled), ("MeterValuesAlignedData", aligned)];
            let values = values.map(|(key, value)| (key.to_owned(), value.to_owned()));
            let values = values.into_iter().collect();
            Configuration::of(busbar_interfaces::settings::SettingsState { values, ..Default::default() })
        };
        let measurands = |context, keys: &Configuration| {
            let event = TransactionEvent { context, ..sample(3, 1) };
            let (action, payload) = meter_values(&event, AT, None, keys).expect("values");
            assert_eq!(action, "MeterValues");
            assert_eq!(payload.get("transactionId"), None);
            let values = payload["meterValue"][0]["sampledValue"].as_array().expect("values").clone();
            let text = |value: &Value, field: &str| value[field].as_str().expect("a text").to_owned();
            values.iter().map(|value| (text(value, "measurand"), text(value, "context"))).collect::<Vec<_>>()
        };
        let keys = keys("SoC", "");
        let sampled = measurands(ReadingContext::SamplePeriodic, &keys);
        assert_eq!(sampled, [("SoC".to_owned(), "Sample.Periodic".to_owned())]);
        let aligned = measurands(ReadingContext::SampleClock, &keys);
        assert_eq!(aligned, [("Energy.Active.Import.Register".to_owned(), "Sample.Clock".to_owned())]);
        assert_eq!(measurands(ReadingContext::Trigger, &keys), [("SoC".to_owned(), "Trigger".to_owned())]);
    }
}
