//! Every configuration key of the station: who may change it, what it takes, what it is at the factory. Pure data and
//! the judgement of a value. Sources: OCPP 1.6 section 9, the security whitepaper, guide DOCA0311EN-01.

use busbar_interfaces::words::KeyAccess;
use busbar_runtime::StationSection;
use url::Url;

/// One configuration key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The canonical spelling.
    pub name: &'static str,
    /// Who may change it.
    pub access: KeyAccess,
    /// What it takes.
    takes: Takes,
    /// What it is when nobody has said anything else.
    given: Given,
    /// Which of the values that it takes this version of the station lives up to.
    honours: Honours,
}

/// A key must not accept what then has no effect, or takes the station off the net.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Honours {
    Everything,
    /// Built later: nothing in the station reads the key yet, so it stays as it is.
    OnlyGiven,
    /// Built later: TLS. A station that went to a wss:// address could not be called back.
    WithoutTls,
}

#[derive(Debug, Clone, Copy)]
enum Takes {
    Boolean,
    /// A whole number from..=to.
    Integer(u32, u32),
    /// A comma-separated list of at most this many measurands.
    Measurands(usize),
    /// One entry of OCPP's list of phase rotations.
    PhaseRotation,
    /// From..=to characters, none of them a control character.
    Text(usize, usize),
    /// The charge point identity, which is part of an address and a user name.
    Identity,
    /// Where the CSMS is.
    Address,
    /// The password of HTTP Basic authentication.
    Password,
    /// Read only.
    Nothing,
}

#[derive(Debug, Clone, Copy)]
enum Given {
    As(&'static str),
    /// The rated power of the model in kilowatts.
    RatedKilowatts,
    /// The serial number of the station.
    Serial,
}

/// The password that is never read back.
const AUTHORIZATION_KEY: &str = "AuthorizationKey";
/// Whitepaper: 0 nothing, 1 Basic authentication, 2 with TLS. The rule that the CSMS may not lower it comes with 1.
const SECURITY_PROFILE: &str = "SecurityProfile";
/// Where the CSMS is.
pub const SUPERVISION_URL: &str = "SupervisionUrl";
/// The charge point identity.
pub const BOX_IDENTIFIER: &str = "BoxIdentifier";

/// What the meters and the vehicle side can tell.
const MEASURANDS: [&str; 7] = [
    "Current.Import",
    "Current.Offered",
    "Energy.Active.Import.Register",
    "Power.Active.Import",
    "Power.Offered",
    "SoC",
    "Voltage",
];
/// OCPP 1.6, key `ConnectorPhaseRotation`.
const ROTATIONS: [&str; 8] = ["NotApplicable", "Unknown", "RST", "RTS", "SRT", "STR", "TRS", "TSR"];
const ALIGNED: &str = "Current.Import,Current.Offered,Energy.Active.Import.Register,Power.Offered,Power.Active.Import";
const SAMPLED: &str =
    "Current.Import,Current.Offered,Energy.Active.Import.Register,Power.Offered,Power.Active.Import,SoC";
const PROFILES: &str = "Core,FirmwareManagement,LocalAuthListManagement,Reservation,SmartCharging,RemoteTrigger";
const WEEK: u32 = 604_800;

const fn writable(name: &'static str, takes: Takes, given: &'static str) -> Key {
    Key { name, access: KeyAccess::ReadWrite, takes, given: Given::As(given), honours: Honours::Everything }
}

/// A key that nothing reads yet.
const fn unread(name: &'static str, takes: Takes, given: &'static str) -> Key {
    Key { name, access: KeyAccess::ReadWrite, takes, given: Given::As(given), honours: Honours::OnlyGiven }
}

const fn fixed(name: &'static str, given: &'static str) -> Key {
    Key {
        name,
        access: KeyAccess::ReadOnly,
        takes: Takes::Nothing,
        given: Given::As(given),
        honours: Honours::Everything,
    }
}

const fn rated(name: &'static str) -> Key {
    Key {
        name,
        access: KeyAccess::ReadOnly,
        takes: Takes::Nothing,
        given: Given::RatedKilowatts,
        honours: Honours::Everything,
    }
}

/// All keys.
pub const ALL: &[Key] = &[
    writable("AllowOfflineTxForUnknownId", Takes::Boolean, "true"),
    unread("AuthorizationCacheEnabled", Takes::Boolean, "false"),
    writable("AuthorizeRemoteTxRequests", Takes::Boolean, "true"),
    unread("ClockAlignedDataInterval", Takes::Integer(0, WEEK), "0"),
    writable("ConnectionTimeOut", Takes::Integer(1, WEEK), "120"),
    fixed("GetConfigurationMaxKeys", "50"),
    writable("HeartbeatInterval", Takes::Integer(1, WEEK), "60"),
    unread("LocalAuthorizeOffline", Takes::Boolean, "true"),
    unread("LocalPreAuthorize", Takes::Boolean, "false"),
    unread("MeterValuesAlignedData", Takes::Measurands(9), ALIGNED),
    fixed("MeterValuesAlignedDataMaxLength", "9"),
    writable("MeterValuesSampledData", Takes::Measurands(9), SAMPLED),
    fixed("MeterValuesSampledDataMaxLength", "9"),
    writable("MeterValueSampleInterval", Takes::Integer(0, WEEK), "60"),
    unread("MinimumStatusDuration", Takes::Integer(0, WEEK), "10"),
    fixed("NumberOfConnectors", "2"),
    unread("ResetRetries", Takes::Integer(0, 100), "2"),
    unread("ConnectorPhaseRotation", Takes::PhaseRotation, "NotApplicable"),
    fixed("ConnectorPhaseRotationMaxLength", "1"),
    unread("StopTransactionOnEVSideDisconnect", Takes::Boolean, "true"),
    writable("StopTransactionOnInvalidId", Takes::Boolean, "true"),
    unread("StopTxnAlignedData", Takes::Measurands(0), ""),
    fixed("StopTxnAlignedDataMaxLength", "0"),
    unread("StopTxnSampledData", Takes::Measurands(0), ""),
    fixed("StopTxnSampledDataMaxLength", "0"),
    fixed("SupportedFeatureProfiles", PROFILES),
    fixed("SupportedFeatureProfilesMaxLength", "6"),
    writable("TransactionMessageAttempts", Takes::Integer(0, 1000), "2"),
    writable("TransactionMessageRetryInterval", Takes::Integer(0, WEEK), "10"),
    unread("UnlockConnectorOnEVSideDisconnect", Takes::Boolean, "false"),
    writable("WebSocketPingInterval", Takes::Integer(0, WEEK), "20"),
    unread("LocalAuthListEnabled", Takes::Boolean, "false"),
    fixed("LocalAuthListMaxLength", "4000"),
    fixed("SendLocalListMaxLength", "400"),
    fixed("ReserveConnectorZeroSupported", "true"),
    fixed("ChargeProfileMaxStackLevel", "20"),
    fixed("ChargingScheduleAllowedChargingRateUnit", "Power"),
    fixed("ChargingScheduleMaxPeriods", "20"),
    fixed("ConnectorSwitch3to1PhaseSupported", "false"),
    fixed("MaxChargingProfilesInstalled", "40"),
    Key {
        name: AUTHORIZATION_KEY,
        access: KeyAccess::WriteOnly,
        takes: Takes::Password,
        given: Given::As(""),
        honours: Honours::OnlyGiven,
    },
    // The whitepaper's. Profile 3 needs client certificates, for which there is no store yet.
    unread(SECURITY_PROFILE, Takes::Integer(0, 2), "0"),
    unread("CpoName", Takes::Text(0, 255), ""),
    fixed("AdditionalRootCertificateCheck", "false"),
    fixed("CertificateSignedMaxChainSize", "10000"),
    fixed("CertificateStoreMaxLength", "0"),
    fixed("SupportedFileTransferProtocols", "FTP,HTTP,HTTPS"),
    // The vendor's.
    writable("AuthenticationOCPPMode", Takes::Boolean, "true"),
    writable("DefaultIdTag", Takes::Text(1, 20), "SIMTAG"),
    Key {
        name: SUPERVISION_URL,
        access: KeyAccess::ReadWrite,
        takes: Takes::Address,
        given: Given::As(""),
        honours: Honours::WithoutTls,
    },
    Key {
        name: BOX_IDENTIFIER,
        access: KeyAccess::ReadWrite,
        takes: Takes::Identity,
        given: Given::Serial,
        honours: Honours::Everything,
    },
    rated("ChargeLimitedPower"),
    rated("ConnectorALimitedPower"),
    rated("ConnectorBLimitedPower"),
    writable("disconnectedMeterValueSampleInterval", Takes::Integer(5, 3600), "900"),
    unread("SecurityEventsEnabled", Takes::Boolean, "true"),
    writable("EnableMeterValuesContainVoltage", Takes::Boolean, "false"),
    writable("EnableRemoteStartNoConnectedEV", Takes::Boolean, "true"),
];

impl Key {
    /// The key of a name in any case.
    pub fn named(name: &str) -> Option<&'static Key> {
        ALL.iter().find(|key| key.name.eq_ignore_ascii_case(name))
    }

    /// The value when nobody has said anything else.
    pub fn factory_value(&self, station: &StationSection) -> String {
        match self.given {
            Given::As(text) => text.to_owned(),
            Given::RatedKilowatts => (station.product.rated.0 / 1000).to_string(),
            Given::Serial => station.serial.clone(),
        }
    }

    /// The factory value is the station file's and not this program's.
    pub fn comes_from_station_file(&self) -> bool {
        !matches!(self.given, Given::As(_))
    }

    /// The canonical form of a value, or what would be right. The text never repeats the value, which may be a secret.
    pub fn accept(&self, value: &str) -> Result<String, String> {
        let value = self.canonical(value)?;
        let only = "this version cannot honour";
        match (self.honours, self.given) {
            (Honours::OnlyGiven, Given::As(given)) if value != given => {
                Err(format!("{only} another value than `{given}`"))
            }
            (Honours::WithoutTls, _) if value.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("wss:")) => {
                Err(format!("{only} a wss:// address, because TLS is not built"))
            }
            _ => Ok(value),
        }
    }

    /// The canonical form of a value that fits the key, whether or not this version lives up to it.
    fn canonical(&self, value: &str) -> Result<String, String> {
        match self.takes {
            Takes::Boolean => {
                let lower = value.to_ascii_lowercase();
                if matches!(lower.as_str(), "true" | "false") { Ok(lower) } else { Err("must be true or false".into()) }
            }
            Takes::Integer(least, most) => {
                let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
                match value.parse::<u32>() {
                    Ok(number) if digits && (least..=most).contains(&number) => Ok(number.to_string()),
                    _ => Err(format!("must be a whole number from {least} to {most}")),
                }
            }
            Takes::Measurands(most) => measurands(value, most),
            Takes::PhaseRotation => {
                let word = ["0.", "1.", "2."].iter().find_map(|index| value.strip_prefix(index)).unwrap_or(value);
                when(ROTATIONS.contains(&word), value, || format!("must be one of {}", ROTATIONS.join(", ")))
            }
            Takes::Text(least, most) => {
                let good = (least..=most).contains(&value.chars().count()) && !value.chars().any(char::is_control);
                when(good, value, || format!("must have {least} to {most} characters"))
            }
            Takes::Identity => when(is_identity(value), value, || {
                "must have 1 to 50 characters, each a letter, a digit or one of - _ . * = + | @".to_owned()
            }),
            Takes::Address => when(value.is_empty() || is_address(value), value, || {
                "must be a ws:// or wss:// address without user, query or fragment, of at most 255 characters"
                    .to_owned()
            }),
            // Whitepaper, section on Basic authentication: 16 to 40 characters.
            Takes::Password => {
                let good = (16..=40).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic());
                when(good, value, || "must have 16 to 40 characters of ASCII without spaces".to_owned())
            }
            Takes::Nothing => Err("is read only".to_owned()),
        }
    }
}

fn when(good: bool, value: &str, otherwise: impl FnOnce() -> String) -> Result<String, String> {
    if good { Ok(value.to_owned()) } else { Err(otherwise()) }
}

fn measurands(value: &str, most: usize) -> Result<String, String> {
    if value.is_empty() {
        return Ok(String::new());
    }
    let entries: Vec<&str> = value.split(',').collect();
    let known = entries.iter().all(|entry| MEASURANDS.contains(entry));
    let once = entries.iter().enumerate().all(|(index, entry)| !entries.iter().take(index).any(|other| other == entry));
    when(known && once && entries.len() <= most, value, || match most {
        0 => "must be empty".to_owned(),
        _ => format!("must be a list of at most {most} different measurands out of {}", MEASURANDS.join(", ")),
    })
}

fn is_identity(value: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.*=+|@".contains(&byte);
    // A dot segment would vanish from the address that the identity is appended to.
    (1..=50).contains(&value.len()) && value.bytes().all(fits) && !matches!(value, "." | "..")
}

fn is_address(value: &str) -> bool {
    let plain = value.len() <= 255 && value.bytes().all(|byte| byte.is_ascii_graphic());
    plain
        && Url::parse(value).is_ok_and(|url| {
            matches!(url.scheme(), "ws" | "wss")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn station() -> StationSection {
        StationSection {
            vendor: "V".into(),
            serial: "S-1".into(),
            product: busbar_interfaces::product::Product::of_reference("EVD1S150THB").expect("in the family"),
        }
    }

    fn accept(key: &str, value: &str) -> Result<String, String> {
        Key::named(key).expect("a key").accept(value)
    }

    #[test]
    fn what_the_station_cannot_honour_is_not_accepted() {
        for (key, value) in [
            ("SupervisionUrl", "wss://csms.example/"),
            ("SupervisionUrl", "WSS://csms.example/"),
            ("SecurityProfile", "1"),
            ("AuthorizationKey", "0123456789abcdef"),
            ("StopTransactionOnEVSideDisconnect", "false"),
            ("LocalPreAuthorize", "true"),
            ("ClockAlignedDataInterval", "900"),
            ("MeterValuesAlignedData", "SoC"),
            ("MinimumStatusDuration", "0"),
            ("LocalAuthorizeOffline", "false"),
            ("ResetRetries", "0"),
            ("UnlockConnectorOnEVSideDisconnect", "true"),
            ("AuthorizationCacheEnabled", "true"),
            ("LocalAuthListEnabled", "true"),
            ("ConnectorPhaseRotation", "RST"),
            ("SecurityEventsEnabled", "false"),
            ("CpoName", "Operator"),
        ] {
            let refused = accept(key, value).expect_err(key);
            assert!(refused.starts_with("this version cannot honour"), "{key}: {refused}");
            assert!(!refused.contains("0123456789abcdef"), "a secret is not repeated");
        }
        assert_eq!(accept("localauthorizeoffline", "TRUE").as_deref(), Ok("true"), "what it is already");
    }

    #[test]
    fn every_key_has_one_spelling_and_a_factory_value_that_it_takes() {
        let names: BTreeSet<String> = ALL.iter().map(|key| key.name.to_ascii_lowercase()).collect();
        assert_eq!(names.len(), ALL.len());
        for key in ALL.iter().filter(|key| key.access == KeyAccess::ReadWrite) {
            let value = key.factory_value(&station());
            assert_eq!(key.accept(&value), Ok(value.clone()), "{}", key.name);
        }
    }

    #[test]
    fn the_model_gives_the_power_keys() {
        for name in ["ChargeLimitedPower", "ConnectorALimitedPower", "connectorBlimitedPOWER"] {
            assert_eq!(Key::named(name).expect("a key").factory_value(&station()), "150");
        }
    }

    #[test]
    fn values_that_are_taken_and_their_canonical_form() {
        for (key, value, canonical) in [
            ("authorizeremotetxrequests", "FALSE", "false"),
            ("localpreauthorize", "TRUE", "true"),
            ("HeartbeatInterval", "0300", "300"),
            ("MeterValuesSampledData", "", ""),
            ("MeterValuesSampledData", "SoC,Voltage", "SoC,Voltage"),
            ("ConnectorPhaseRotation", "0.RST", "0.RST"),
            ("SupervisionUrl", "wss://csms.example:8443/ocpp", "wss://csms.example:8443/ocpp"),
            ("SupervisionUrl", "ws://[2001:db8::1]/", "ws://[2001:db8::1]/"),
            ("BoxIdentifier", "DE*ABC*E1-2", "DE*ABC*E1-2"),
            ("disconnectedMeterValueSampleInterval", "5", "5"),
            ("AuthorizationKey", "0123456789abcdef", "0123456789abcdef"),
        ] {
            let key = Key::named(key).expect("a key");
            assert_eq!(key.canonical(value).as_deref(), Ok(canonical), "{}", key.name);
        }
    }

    #[test]
    fn values_that_are_not_taken() {
        for (key, value) in [
            ("LocalPreAuthorize", " true"),
            ("LocalPreAuthorize", "1"),
            ("HeartbeatInterval", "0"),
            ("HeartbeatInterval", "+5"),
            ("HeartbeatInterval", "-5"),
            ("HeartbeatInterval", "99999999999"),
            ("MeterValuesSampledData", "SoC, Voltage"),
            ("MeterValuesSampledData", "SoC,SoC"),
            ("MeterValuesSampledData", "Temperature"),
            ("StopTxnSampledData", "SoC"),
            ("ConnectorPhaseRotation", "RST,RST"),
            ("SupervisionUrl", "http://csms.example"),
            ("SupervisionUrl", "ws://user:word@csms.example/"),
            ("SupervisionUrl", "ws://"),
            ("SupervisionUrl", "ws://csms.example/a b"),
            ("BoxIdentifier", "a/b"),
            ("BoxIdentifier", ".."),
            ("BoxIdentifier", ""),
            ("DefaultIdTag", "123456789012345678901"),
            ("DefaultIdTag", ""),
            ("AuthorizationKey", "short"),
            ("NumberOfConnectors", "2"),
            ("SecurityProfile", "3"),
        ] {
            assert!(Key::named(key).expect("a key").canonical(value).is_err(), "{key} {value}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_accepted_again_unchanged(index in 0..ALL.len(), value in "[a-zA-Z0-9:/.,@ -]{0,60}") {
            if let Some(Ok(canonical)) = ALL.get(index).map(|key| key.accept(&value)) {
                prop_assert_eq!(ALL[index].accept(&canonical), Ok(canonical.clone()));
            }
        }
    }
}
