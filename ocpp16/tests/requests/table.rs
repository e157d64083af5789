//! Every field of every request that the CSMS may send, as OCPP 1.6 edition 2 and the security extension have it.

use serde_json::{Value, json};

pub struct Spec {
    pub action: &'static str,
    /// With every field.
    pub full: Value,
    pub fields: Vec<Field>,
}

pub struct Field {
    /// A JSON pointer without its first slash.
    pub at: &'static str,
    pub must: bool,
    pub kind: Kind,
}

#[derive(Clone, Copy)]
pub enum Kind {
    Text(usize),
    Badge,
    Integer,
    /// Not negative.
    Count,
    /// 1 or more.
    FromOne,
    Tenths,
    Word(&'static [&'static str]),
    Moment,
    Address(usize),
    Object,
    /// A list of objects that has at least so many.
    Objects(usize),
    /// A list of texts of at most so many characters.
    Texts(usize),
    /// A text, or an object that is tolerated.
    VendorData,
}
use Kind::*;

fn must(at: &'static str, kind: Kind) -> Field {
    Field { at, must: true, kind }
}

fn may(at: &'static str, kind: Kind) -> Field {
    Field { at, must: false, kind }
}

const NO_LIMIT: usize = usize::MAX;
const PURPOSES: Kind = Word(&["ChargePointMaxProfile", "TxDefaultProfile", "TxProfile"]);
const UNITS: Kind = Word(&["A", "W"]);
const USES: Kind = Word(&["CentralSystemRootCertificate", "ManufacturerRootCertificate"]);

fn profile() -> Value {
    json!({"chargingProfileId": 3, "transactionId": 77, "stackLevel": 1, "chargingProfilePurpose": "TxProfile",
           "chargingProfileKind": "Recurring", "recurrencyKind": "Daily", "validFrom": "2024-03-01T00:00:00Z",
           "validTo": "2024-04-01T00:00:00Z", "chargingSchedule": {
               "duration": 3600, "startSchedule": "2024-03-01T12:00:00Z", "chargingRateUnit": "W",
               "minChargingRate": 0.5,
               "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 11000.0, "numberPhases": 3}]}})
}

/// The fields of a charging profile below `at`.
macro_rules! profile_fields {
    ($at:literal) => {
        vec![
            must(concat!($at, "/chargingProfileId"), Integer),
            may(concat!($at, "/transactionId"), Integer),
            must(concat!($at, "/stackLevel"), Count),
            must(concat!($at, "/chargingProfilePurpose"), PURPOSES),
            must(concat!($at, "/chargingProfileKind"), Word(&["Absolute", "Recurring", "Relative"])),
            may(concat!($at, "/recurrencyKind"), Word(&["Daily", "Weekly"])),
            may(concat!($at, "/validFrom"), Moment),
            may(concat!($at, "/validTo"), Moment),
            must(concat!($at, "/chargingSchedule"), Object),
            may(concat!($at, "/chargingSchedule/duration"), Count),
            may(concat!($at, "/chargingSchedule/startSchedule"), Moment),
            must(concat!($at, "/chargingSchedule/chargingRateUnit"), UNITS),
            may(concat!($at, "/chargingSchedule/minChargingRate"), Tenths),
            must(concat!($at, "/chargingSchedule/chargingSchedulePeriod"), Objects(1)),
            must(concat!($at, "/chargingSchedule/chargingSchedulePeriod/0/startPeriod"), Count),
            must(concat!($at, "/chargingSchedule/chargingSchedulePeriod/0/limit"), Tenths),
            may(concat!($at, "/chargingSchedule/chargingSchedulePeriod/0/numberPhases"), Count),
        ]
    };
}

fn local_list(update: &str, info: fn(&'static str, Kind) -> Field) -> Spec {
    Spec {
        action: "SendLocalList",
        full: json!({"listVersion": 4, "updateType": update, "localAuthorizationList": [
            {"idTag": "BADGE", "idTagInfo": {"status": "Accepted", "parentIdTag": "GROUP",
             "expiryDate": "2030-01-01T00:00:00Z"}}]}),
        fields: vec![
            must("listVersion", Integer),
            must("updateType", Word(&["Differential", "Full"])),
            may("localAuthorizationList", Objects(0)),
            must("localAuthorizationList/0/idTag", Badge),
            info("localAuthorizationList/0/idTagInfo", Object),
            must(
                "localAuthorizationList/0/idTagInfo/status",
                Word(&["Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx"]),
            ),
            may("localAuthorizationList/0/idTagInfo/parentIdTag", Badge),
            may("localAuthorizationList/0/idTagInfo/expiryDate", Moment),
        ],
    }
}

pub fn specs() -> Vec<Spec> {
    let mut specs = core();
    specs.extend(other_profiles());
    specs.extend(security());
    specs
}

fn core() -> Vec<Spec> {
    let mut remote_start = profile_fields!("chargingProfile");
    remote_start.extend([may("connectorId", Count), must("idTag", Badge), may("chargingProfile", Object)]);
    vec![
        Spec {
            action: "ChangeAvailability",
            full: json!({"connectorId": 1, "type": "Inoperative"}),
            fields: vec![must("connectorId", Count), must("type", Word(&["Inoperative", "Operative"]))],
        },
        Spec {
            action: "ChangeConfiguration",
            full: json!({"key": "AuthorizationKey", "value": "SECRET"}),
            fields: vec![must("key", Text(50)), must("value", Text(500))],
        },
        Spec { action: "ClearCache", full: json!({}), fields: vec![] },
        Spec {
            action: "DataTransfer",
            full: json!({"vendorId": "com.se.cost", "messageId": "CostUpdated", "data": "{\"totalCost\":1}"}),
            fields: vec![must("vendorId", Text(255)), may("messageId", Text(50)), may("data", VendorData)],
        },
        Spec {
            action: "GetConfiguration",
            full: json!({"key": ["HeartbeatInterval"]}),
            fields: vec![may("key", Texts(50))],
        },
        Spec {
            action: "RemoteStartTransaction",
            full: json!({"connectorId": 2, "idTag": "BADGE", "chargingProfile": profile()}),
            fields: remote_start,
        },
        Spec {
            action: "RemoteStopTransaction",
            full: json!({"transactionId": -3}),
            fields: vec![must("transactionId", Integer)],
        },
        Spec { action: "Reset", full: json!({"type": "Hard"}), fields: vec![must("type", Word(&["Hard", "Soft"]))] },
        Spec { action: "UnlockConnector", full: json!({"connectorId": 1}), fields: vec![must("connectorId", FromOne)] },
    ]
}

fn other_profiles() -> Vec<Spec> {
    let mut set_profile = profile_fields!("csChargingProfiles");
    set_profile.extend([must("connectorId", Count), must("csChargingProfiles", Object)]);
    vec![
        Spec {
            action: "GetDiagnostics",
            full: json!({"location": "ftp://user:SECRET@host/in", "retries": 2, "retryInterval": 30,
                         "startTime": "2024-03-01T00:00:00Z", "stopTime": "2024-03-02T00:00:00Z"}),
            fields: vec![
                must("location", Address(NO_LIMIT)),
                may("retries", Count),
                may("retryInterval", Count),
                may("startTime", Moment),
                may("stopTime", Moment),
            ],
        },
        Spec {
            action: "UpdateFirmware",
            full: json!({"location": "https://host/f.bin", "retries": 2, "retrieveDate": "2024-03-01T00:00:00Z",
                         "retryInterval": 30}),
            fields: vec![
                must("location", Address(NO_LIMIT)),
                may("retries", Count),
                must("retrieveDate", Moment),
                may("retryInterval", Count),
            ],
        },
        Spec { action: "GetLocalListVersion", full: json!({}), fields: vec![] },
        local_list("Full", must),
        local_list("Differential", may),
        Spec {
            action: "CancelReservation",
            full: json!({"reservationId": -5}),
            fields: vec![must("reservationId", Integer)],
        },
        Spec {
            action: "ReserveNow",
            full: json!({"connectorId": 0, "expiryDate": "2024-03-01T12:00:00Z", "idTag": "BADGE",
                         "parentIdTag": "GROUP", "reservationId": 5}),
            fields: vec![
                must("connectorId", Count),
                must("expiryDate", Moment),
                must("idTag", Badge),
                may("parentIdTag", Badge),
                must("reservationId", Integer),
            ],
        },
        Spec {
            action: "ClearChargingProfile",
            full: json!({"id": 3, "connectorId": 1, "chargingProfilePurpose": "TxProfile", "stackLevel": 0}),
            fields: vec![
                may("id", Integer),
                may("connectorId", Count),
                may("chargingProfilePurpose", PURPOSES),
                may("stackLevel", Count),
            ],
        },
        Spec {
            action: "GetCompositeSchedule",
            full: json!({"connectorId": 0, "duration": 86400, "chargingRateUnit": "W"}),
            fields: vec![must("connectorId", Count), must("duration", Count), may("chargingRateUnit", UNITS)],
        },
        Spec {
            action: "SetChargingProfile",
            full: json!({"connectorId": 1, "csChargingProfiles": profile()}),
            fields: set_profile,
        },
        Spec {
            action: "TriggerMessage",
            full: json!({"requestedMessage": "StatusNotification", "connectorId": 1}),
            fields: vec![
                must(
                    "requestedMessage",
                    Word(&[
                        "BootNotification",
                        "DiagnosticsStatusNotification",
                        "FirmwareStatusNotification",
                        "Heartbeat",
                        "MeterValues",
                        "StatusNotification",
                    ]),
                ),
                may("connectorId", Count),
            ],
        },
    ]
}

fn security() -> Vec<Spec> {
    vec![
        Spec {
            action: "CertificateSigned",
            full: json!({"certificateChain": "-----BEGIN CERTIFICATE-----"}),
            fields: vec![must("certificateChain", Text(10_000))],
        },
        Spec {
            action: "DeleteCertificate",
            full: json!({"certificateHashData": {"hashAlgorithm": "SHA256", "issuerNameHash": "aa",
                         "issuerKeyHash": "bb", "serialNumber": "01"}}),
            fields: vec![
                must("certificateHashData", Object),
                must("certificateHashData/hashAlgorithm", Word(&["SHA256", "SHA384", "SHA512"])),
                must("certificateHashData/issuerNameHash", Text(128)),
                must("certificateHashData/issuerKeyHash", Text(128)),
                must("certificateHashData/serialNumber", Text(40)),
            ],
        },
        Spec {
            action: "ExtendedTriggerMessage",
            full: json!({"requestedMessage": "SignChargePointCertificate", "connectorId": 1}),
            fields: vec![
                must(
                    "requestedMessage",
                    Word(&[
                        "BootNotification",
                        "LogStatusNotification",
                        "FirmwareStatusNotification",
                        "Heartbeat",
                        "MeterValues",
                        "SignChargePointCertificate",
                        "StatusNotification",
                    ]),
                ),
                may("connectorId", Count),
            ],
        },
        Spec {
            action: "GetInstalledCertificateIds",
            full: json!({"certificateType": "ManufacturerRootCertificate"}),
            fields: vec![must("certificateType", USES)],
        },
        Spec {
            action: "GetLog",
            full: json!({"logType": "SecurityLog", "requestId": 9, "retries": 1, "retryInterval": 10,
                         "log": {"remoteLocation": "https://user:SECRET@host/in",
                                 "oldestTimestamp": "2024-03-01T00:00:00Z", "latestTimestamp": "2024-03-02T00:00:00Z"}}),
            fields: vec![
                must("logType", Word(&["DiagnosticsLog", "SecurityLog"])),
                must("requestId", Integer),
                may("retries", Count),
                may("retryInterval", Count),
                must("log", Object),
                must("log/remoteLocation", Address(512)),
                may("log/oldestTimestamp", Moment),
                may("log/latestTimestamp", Moment),
            ],
        },
        Spec {
            action: "InstallCertificate",
            full: json!({"certificateType": "CentralSystemRootCertificate", "certificate": "-----BEGIN CERTIFICATE-----"}),
            fields: vec![must("certificateType", USES), must("certificate", Text(5500))],
        },
        Spec {
            action: "SignedUpdateFirmware",
            full: json!({"retries": 1, "retryInterval": 10, "requestId": 9, "firmware": {
                "location": "https://host/f.bin", "retrieveDateTime": "2024-03-01T00:00:00Z",
                "installDateTime": "2024-03-01T02:00:00Z", "signingCertificate": "-----BEGIN CERTIFICATE-----",
                "signature": "c2ln"}}),
            fields: vec![
                may("retries", Count),
                may("retryInterval", Count),
                must("requestId", Integer),
                must("firmware", Object),
                must("firmware/location", Address(512)),
                must("firmware/retrieveDateTime", Moment),
                may("firmware/installDateTime", Moment),
                must("firmware/signingCertificate", Text(5500)),
                must("firmware/signature", Text(800)),
            ],
        },
    ]
}
