//! The configuration keys of the station, one row each: name, what it takes, what it is at the factory, when a change
//! holds, and the services that act on it. Pure data. Sources: OCPP 1.6 section 9, the security whitepaper, guide
//! DOCA0311EN-01.

use crate::keys::Given::{self, As, ConnectorKilowatts, Serial, StationKilowatts};
use crate::keys::Holds::{self, AtOnce};
use crate::keys::{AUTHORIZATION_KEY, BOX_IDENTIFIER, Key, SECURITY_PROFILE, SUPERVISION_URL};
use crate::takes::Takes::{
    self, Addresses, Boolean, Count, Identity, Measurands, Nothing, Password, PhaseRotation, Seconds, Text,
};
use busbar_interfaces::names;
use busbar_interfaces::words::KeyAccess;

const MAINTENANCE: &str = names::MAINTENANCE.role;
const OCPP: &str = names::OCPP.role;
const SESSION: &str = names::SESSION.role;
/// Nothing acts on it: it only tells what the station is; or, of a key that is written, that comes later, and until then
/// the key keeps its factory value, because what is accepted must have an effect.
const NOBODY: &[&str] = &[];

const DAY: u32 = 86_400;
const WEEK: u32 = 7 * DAY;

const ALIGNED: &str = "Current.Import,Current.Offered,Energy.Active.Import.Register,Power.Offered,Power.Active.Import";
const SAMPLED: &str =
    "Current.Import,Current.Offered,Energy.Active.Import.Register,Power.Offered,Power.Active.Import,SoC";
const PROFILES: &str = "Core,FirmwareManagement,LocalAuthListManagement,Reservation,SmartCharging,RemoteTrigger";

/// A key that is read and written.
const fn key(name: &'static str, takes: Takes, given: Given, holds: Holds, applied_by: &'static [&'static str]) -> Key {
    Key { name, access: KeyAccess::ReadWrite, takes, given, holds, applied_by }
}

/// A key that is written and never read back.
const fn secret(name: &'static str, takes: Takes, holds: Holds, applied_by: &'static [&'static str]) -> Key {
    Key { name, access: KeyAccess::WriteOnly, takes, given: As(""), holds, applied_by }
}

/// A key that is read: what the station is, or cannot do otherwise.
const fn fixed(name: &'static str, given: Given, applied_by: &'static [&'static str]) -> Key {
    Key { name, access: KeyAccess::ReadOnly, takes: Nothing, given, holds: AtOnce, applied_by }
}

/// All keys.
pub const ALL: &[Key] = &[
    // OCPP 1.6, Core.
    key("AllowOfflineTxForUnknownId", Boolean, As("true"), AtOnce, &[SESSION]),
    key("AuthorizationCacheEnabled", Boolean, As("false"), AtOnce, &[SESSION]),
    key("AuthorizeRemoteTxRequests", Boolean, As("true"), AtOnce, &[SESSION]),
    key("ClockAlignedDataInterval", Seconds(0, DAY), As("0"), AtOnce, &[OCPP, SESSION]),
    key("ConnectionTimeOut", Seconds(1, WEEK), As("120"), AtOnce, &[SESSION]),
    fixed("GetConfigurationMaxKeys", As("50"), &[OCPP]),
    key("HeartbeatInterval", Seconds(1, WEEK), As("60"), AtOnce, &[OCPP]),
    key("LocalAuthorizeOffline", Boolean, As("true"), AtOnce, &[SESSION]),
    key("LocalPreAuthorize", Boolean, As("false"), AtOnce, &[SESSION]),
    key("MeterValuesAlignedData", Measurands(9), As(ALIGNED), AtOnce, &[OCPP]),
    fixed("MeterValuesAlignedDataMaxLength", As("9"), NOBODY),
    key("MeterValuesSampledData", Measurands(9), As(SAMPLED), AtOnce, &[OCPP]),
    fixed("MeterValuesSampledDataMaxLength", As("9"), NOBODY),
    key("MeterValueSampleInterval", Seconds(0, WEEK), As("60"), AtOnce, &[SESSION]),
    key("MinimumStatusDuration", Seconds(0, WEEK), As("10"), AtOnce, &[OCPP]),
    fixed("NumberOfConnectors", As("2"), NOBODY),
    key("ResetRetries", Count(0, 100), As("2"), AtOnce, &[MAINTENANCE]),
    key("ConnectorPhaseRotation", PhaseRotation, As("NotApplicable"), AtOnce, NOBODY),
    fixed("ConnectorPhaseRotationMaxLength", As("1"), NOBODY),
    key("StopTransactionOnEVSideDisconnect", Boolean, As("true"), AtOnce, &[SESSION]),
    key("StopTransactionOnInvalidId", Boolean, As("true"), AtOnce, &[SESSION]),
    key("StopTxnAlignedData", Measurands(0), As(""), AtOnce, NOBODY),
    fixed("StopTxnAlignedDataMaxLength", As("0"), NOBODY),
    key("StopTxnSampledData", Measurands(0), As(""), AtOnce, NOBODY),
    fixed("StopTxnSampledDataMaxLength", As("0"), NOBODY),
    fixed("SupportedFeatureProfiles", As(PROFILES), NOBODY),
    fixed("SupportedFeatureProfilesMaxLength", As("6"), NOBODY),
    key("TransactionMessageAttempts", Count(0, 1000), As("2"), AtOnce, &[OCPP]),
    key("TransactionMessageRetryInterval", Seconds(0, WEEK), As("10"), AtOnce, &[OCPP]),
    key("UnlockConnectorOnEVSideDisconnect", Boolean, As("false"), AtOnce, NOBODY),
    key("WebSocketPingInterval", Seconds(0, WEEK), As("20"), AtOnce, &[OCPP]),
    // OCPP 1.6, the other profiles.
    key("LocalAuthListEnabled", Boolean, As("false"), AtOnce, &[SESSION]),
    fixed("LocalAuthListMaxLength", As("4000"), &[SESSION]),
    fixed("SendLocalListMaxLength", As("400"), &[SESSION]),
    fixed("ReserveConnectorZeroSupported", As("true"), &[SESSION]),
    fixed("ChargeProfileMaxStackLevel", As("20"), NOBODY),
    fixed("ChargingScheduleAllowedChargingRateUnit", As("Power"), NOBODY),
    fixed("ChargingScheduleMaxPeriods", As("20"), NOBODY),
    fixed("ConnectorSwitch3to1PhaseSupported", As("false"), NOBODY),
    fixed("MaxChargingProfilesInstalled", As("40"), NOBODY),
    // The whitepaper's.
    secret(AUTHORIZATION_KEY, Password, AtOnce, &[OCPP]),
    key(SECURITY_PROFILE, Count(0, 3), As("0"), AtOnce, &[OCPP]),
    key("CpoName", Text(0, 255), As(""), AtOnce, NOBODY),
    fixed("AdditionalRootCertificateCheck", As("false"), NOBODY),
    fixed("CertificateSignedMaxChainSize", As("10000"), NOBODY),
    fixed("CertificateStoreMaxLength", As("0"), NOBODY),
    fixed("SupportedFileTransferProtocols", As("FTP,HTTP,HTTPS"), NOBODY),
    // The vendor's.
    key("AuthenticationOCPPMode", Boolean, As("true"), AtOnce, &[SESSION]),
    key("DefaultIdTag", Text(1, 20), As("SIMTAG"), AtOnce, &[SESSION]),
    key(SUPERVISION_URL, Addresses, As(""), AtOnce, &[OCPP]),
    key(BOX_IDENTIFIER, Identity, Serial, AtOnce, &[OCPP]),
    fixed("ChargeLimitedPower", StationKilowatts, NOBODY),
    fixed("ConnectorALimitedPower", ConnectorKilowatts(0), NOBODY),
    fixed("ConnectorBLimitedPower", ConnectorKilowatts(1), NOBODY),
    key("disconnectedMeterValueSampleInterval", Seconds(5, 3600), As("900"), AtOnce, &[SESSION]),
    key("SecurityEventsEnabled", Boolean, As("true"), AtOnce, NOBODY),
    key("EnableMeterValuesContainVoltage", Boolean, As("false"), AtOnce, &[OCPP]),
    key("EnableRemoteStartNoConnectedEV", Boolean, As("true"), AtOnce, &[SESSION]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use busbar_interfaces::Watts;
    use busbar_runtime::StationSection;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn station() -> StationSection {
        StationSection {
            vendor: "V".into(),
            serial: "S-1".into(),
            product: busbar_interfaces::product::Product::of_reference("EVD1S150THB").expect("in the family"),
            limited: Watts(150_000),
            connectors_limited: [Watts(90_000), Watts(120_000)],
        }
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
    fn the_station_file_gives_the_power_keys() {
        for (name, kilowatts) in
            [("ChargeLimitedPower", "150"), ("ConnectorALimitedPower", "90"), ("connectorBlimitedPOWER", "120")]
        {
            assert_eq!(Key::named(name).expect("a key").factory_value(&station()), kilowatts);
        }
    }

    #[test]
    fn case_31_a_list_is_as_long_as_its_max_length_key_says() {
        for key in ALL {
            if let Measurands(most) = key.takes {
                let name = format!("{}MaxLength", key.name);
                let told = Key::named(&name).expect("a list has a key of its length").factory_value(&station());
                assert_eq!(told, most.to_string(), "{name}");
            }
        }
    }

    #[test]
    fn case_c_s11_no_key_needs_a_restart_so_none_may_say_so() {
        assert!(ALL.iter().all(|key| !key.needs_restart()));
    }

    #[test]
    fn the_services_of_a_key_stand_in_the_order_of_their_names() {
        for key in ALL {
            assert!(key.applied_by.is_sorted(), "{}", key.name);
            assert!(key.applied_by.iter().all(|role| names::ServiceName::of_role(role).is_some()), "{}", key.name);
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
