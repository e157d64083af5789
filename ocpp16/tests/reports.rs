//! What the station writes keeps OCPP's fields, words, lengths and ranges, whatever it is given.
#![allow(clippy::indexing_slicing, clippy::expect_used, clippy::panic, missing_docs, reason = "tests")]

use busbar_ocpp16::report::*;
use busbar_ocpp16::{CentralTransaction, Word, moment};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

/// What OCPP allows in a field.
#[derive(Clone, Copy)]
enum Kind {
    Text(usize),
    Integer,
    Word,
    Moment,
    Values,
}
use Kind::*;

/// A report: its action, its fields, and of them those that must be there.
type Shape = (&'static str, &'static [(&'static str, Kind)], &'static [&'static str]);

const REPORTS: [Shape; 14] = [
    (
        "BootNotification",
        &[
            ("chargePointVendor", Text(20)),
            ("chargePointModel", Text(20)),
            ("chargePointSerialNumber", Text(25)),
            ("chargeBoxSerialNumber", Text(25)),
            ("firmwareVersion", Text(50)),
            ("iccid", Text(20)),
            ("imsi", Text(20)),
            ("meterSerialNumber", Text(25)),
            ("meterType", Text(25)),
        ],
        &["chargePointVendor", "chargePointModel"],
    ),
    ("Heartbeat", &[], &[]),
    ("Authorize", &[("idTag", Text(20))], &["idTag"]),
    ("DataTransfer", &[("vendorId", Text(255)), ("messageId", Text(50)), ("data", Text(usize::MAX))], &["vendorId"]),
    (
        "StartTransaction",
        &[
            ("connectorId", Integer),
            ("idTag", Text(20)),
            ("meterStart", Integer),
            ("reservationId", Integer),
            ("timestamp", Moment),
        ],
        &["connectorId", "idTag", "meterStart", "timestamp"],
    ),
    (
        "StopTransaction",
        &[
            ("transactionId", Integer),
            ("idTag", Text(20)),
            ("meterStop", Integer),
            ("timestamp", Moment),
            ("reason", Word),
            ("transactionData", Values),
        ],
        &["transactionId", "meterStop", "timestamp"],
    ),
    (
        "MeterValues",
        &[("connectorId", Integer), ("transactionId", Integer), ("meterValue", Values)],
        &["connectorId", "meterValue"],
    ),
    (
        "StatusNotification",
        &[
            ("connectorId", Integer),
            ("errorCode", Word),
            ("status", Word),
            ("timestamp", Moment),
            ("info", Text(50)),
            ("vendorId", Text(255)),
            ("vendorErrorCode", Text(50)),
        ],
        &["connectorId", "errorCode", "status", "timestamp"],
    ),
    ("DiagnosticsStatusNotification", &[("status", Word)], &["status"]),
    ("FirmwareStatusNotification", &[("status", Word)], &["status"]),
    ("LogStatusNotification", &[("status", Word), ("requestId", Integer)], &["status"]),
    ("SignedFirmwareStatusNotification", &[("status", Word), ("requestId", Integer)], &["status"]),
    (
        "SecurityEventNotification",
        &[("type", Text(50)), ("timestamp", Moment), ("techInfo", Text(255))],
        &["type", "timestamp"],
    ),
    ("SignCertificate", &[("csr", Text(5500))], &["csr"]),
];

fn check<R: Report>(report: &R) {
    let payload = report.payload();
    let (_, fields, must) = REPORTS.iter().find(|(action, ..)| *action == R::ACTION).expect("listed");
    for name in *must {
        assert!(payload.get(name).is_some(), "{} without {name}", R::ACTION);
    }
    for (name, value) in payload.as_object().expect("an object") {
        let (_, kind) = fields.iter().find(|(known, _)| known == name).expect("a field of OCPP");
        let right = match kind {
            Text(most) => value.as_str().is_some_and(|text| text.chars().count() <= *most),
            Integer => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
            Word => value.as_str().is_some_and(|word| !word.is_empty()),
            Moment => is_moment(value),
            Values => value.as_array().expect("a list").iter().all(|value| {
                let values = value["sampledValue"].as_array().expect("a list");
                is_moment(&value["timestamp"]) && values.iter().all(|value| value["value"].is_string())
            }),
        };
        assert!(right, "{} {name}: {value}", R::ACTION);
    }
}

fn is_moment(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.ends_with('Z') && text.len() == 24 && moment::read(text).is_some())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "(?s).{0,40}", "(?s).{40,600}"]
}

fn maybe() -> impl Strategy<Value = Option<String>> {
    prop::option::of(text())
}

fn meter_values() -> impl Strategy<Value = Vec<MeterValue>> {
    let sampled = (text(), select(Measurand::ALL), select(Unit::ALL), select(ReadingContext::ALL));
    let sampled = sampled.prop_map(|(value, measurand, unit, context)| SampledValue {
        value,
        context: Some(context),
        format: Some(ValueFormat::Raw),
        measurand: Some(measurand),
        phase: None,
        location: Some(Location::Outlet),
        unit: Some(unit),
    });
    let moment = (any::<u64>(), prop::collection::vec(sampled, 1..4));
    let moment = moment.prop_map(|(unix_millis, values)| MeterValue { unix_millis, values });
    prop::collection::vec(moment, 0..3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn case_36_who_the_station_is_keeps_ocpps_lengths(
        (vendor, model, vendor_id, kind) in (text(), text(), text(), text()),
        (serial, charge_box_serial, firmware_version) in (maybe(), maybe(), maybe()),
        (iccid, imsi, meter_serial, meter_type) in (maybe(), maybe(), maybe(), maybe()),
        (id_tag, csr, unix_millis) in (text(), "(?s).{0,7000}", any::<u64>()),
    ) {
        check(&SecurityEventNotification { kind, unix_millis, detail: imsi.clone() });
        check(&DataTransfer { vendor_id, message_id: iccid.clone(), data: serial.clone() });
        check(&BootNotification {
            vendor, model, serial, charge_box_serial, firmware_version, iccid, imsi, meter_serial, meter_type,
        });
        check(&Heartbeat);
        check(&Authorize { id_tag: id_tag.into() });
        check(&SignCertificate { request: csr });
    }

    #[test]
    fn case_36_a_charge_keeps_ocpps_lengths(
        (connector, number, reservation) in (any::<u32>(), any::<i32>(), any::<Option<i32>>()),
        (register, unix_millis) in (any::<u64>(), any::<u64>()),
        (id_tag, stopped_by, reason) in (text(), maybe(), prop::option::of(select(StopReason::ALL))),
        values in meter_values(),
    ) {
        let transaction = CentralTransaction::confirmed(number);
        check(&StartTransaction {
            connector, id_tag: id_tag.into(), meter_start_watt_hours: register, reservation, unix_millis,
        });
        check(&StopTransaction {
            transaction, id_tag: stopped_by.map(Into::into), meter_stop_watt_hours: register, unix_millis, reason,
            data: values.clone(),
        });
        check(&MeterValues { connector, transaction: reservation.map(CentralTransaction::confirmed), values });
    }

    #[test]
    fn case_36_a_status_keeps_ocpps_lengths(
        connector in any::<u32>(), unix_millis in any::<u64>(), request in any::<Option<i32>>(),
        status in select(ChargePointStatus::ALL), error_code in select(ChargePointErrorCode::ALL),
        (info, vendor_id, vendor_error_code) in (maybe(), maybe(), maybe()),
        (log, signed) in (select(LogStatus::ALL), select(SignedFirmwareStatus::ALL)),
        (diagnostics, firmware) in (select(DiagnosticsStatus::ALL), select(FirmwareStatus::ALL)),
    ) {
        check(&StatusNotification { connector, status, error_code, info, vendor_id, vendor_error_code, unix_millis });
        check(&LogStatusNotification { status: log, request });
        check(&SignedFirmwareStatusNotification { status: signed, request });
        check(&DiagnosticsStatusNotification { status: diagnostics });
        check(&FirmwareStatusNotification { status: firmware });
    }
}

#[test]
fn case_b18_a_start_and_a_stop_as_ocpp_writes_them() {
    let start = StartTransaction {
        connector: 1,
        id_tag: "BADGE".into(),
        meter_start_watt_hours: 12_345,
        reservation: None,
        unix_millis: 1_709_294_400_250,
    };
    assert_eq!(
        start.payload(),
        json!({"connectorId": 1, "idTag": "BADGE", "meterStart": 12345, "timestamp": "2024-03-01T12:00:00.250Z"})
    );
    assert!(!format!("{start:?}").contains("BADGE"));
    let stop = StopTransaction {
        transaction: CentralTransaction::confirmed(0),
        id_tag: None,
        meter_stop_watt_hours: 12_345,
        unix_millis: 1_709_294_400_250,
        reason: Some(StopReason::EvDisconnected),
        data: Vec::new(),
    };
    assert_eq!(
        stop.payload(),
        json!({"transactionId": 0, "meterStop": 12345, "timestamp": "2024-03-01T12:00:00.250Z",
               "reason": "EVDisconnected"})
    );
    let stop = StopTransaction {
        transaction: CentralTransaction::confirmed(-7),
        id_tag: Some("BADGE".into()),
        reason: None,
        ..stop
    };
    assert_eq!((&stop.payload()["transactionId"], &stop.payload()["idTag"]), (&json!(-7), &json!("BADGE")));
    assert_eq!(stop.payload().get("reason"), None);
}

#[test]
fn case_30_meter_values_are_spelled_as_ocpp_spells_them() {
    let values = MeterValues {
        connector: 2,
        transaction: None,
        values: vec![MeterValue {
            unix_millis: 0,
            values: vec![SampledValue {
                value: "57".to_owned(),
                context: Some(ReadingContext::TransactionBegin),
                format: Some(ValueFormat::Raw),
                measurand: Some(Measurand::StateOfCharge),
                phase: None,
                location: Some(Location::Ev),
                unit: Some(Unit::Percent),
            }],
        }],
    };
    assert_eq!(
        values.payload(),
        json!({"connectorId": 2, "meterValue": [{"timestamp": "1970-01-01T00:00:00.000Z", "sampledValue": [
            {"value": "57", "context": "Transaction.Begin", "format": "Raw", "measurand": "SoC", "location": "EV",
             "unit": "Percent"}]}]})
    );
    assert_eq!(Unit::Celsius.as_str(), "Celcius");
    assert_eq!(Measurand::read("Power.Offered"), Some(Measurand::PowerOffered));
    assert_eq!(Measurand::read("power.offered"), None);
    assert_eq!((Measurand::ALL.len(), StopReason::ALL.len(), ChargePointErrorCode::ALL.len()), (22, 11, 16));
}

#[test]
fn a_status_of_a_fault() {
    let status = StatusNotification {
        connector: 0,
        status: ChargePointStatus::Faulted,
        error_code: ChargePointErrorCode::OtherError,
        info: Some("terminal door open".to_owned()),
        vendor_id: Some(String::new()),
        vendor_error_code: Some("0x10020C".to_owned()),
        unix_millis: 1_709_294_400_000,
    };
    assert_eq!(
        status.payload(),
        json!({"connectorId": 0, "status": "Faulted", "errorCode": "OtherError", "info": "terminal door open",
               "vendorErrorCode": "0x10020C", "timestamp": "2024-03-01T12:00:00.000Z"})
    );
}
