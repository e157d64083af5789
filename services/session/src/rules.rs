//! The configuration keys that decide about sessions, as values with a meaning. Until settings is heard for the first
//! time in the life of the station there are none, and nothing charges; afterwards the last that were followed hold.

use crate::settings::Settings;
use busbar_interfaces::settings::SettingsState;
use std::time::Duration;

/// What the configuration keys say about sessions. What was stored by an earlier version may lack some: those have the
/// guide's defaults until settings is heard.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Rules {
    /// `AuthenticationOCPPMode`: false is free charging.
    pub badge_needed: bool,
    /// `DefaultIdTag`: the tag reported in free charging.
    pub default_id_tag: String,
    /// `AllowOfflineTxForUnknownId`.
    pub allow_unknown_offline: bool,
    /// `LocalAuthorizeOffline`.
    pub local_authorize_offline: bool,
    /// `LocalPreAuthorize`.
    pub local_pre_authorize: bool,
    /// `AuthorizationCacheEnabled`.
    pub cache_enabled: bool,
    /// `LocalAuthListEnabled`.
    pub list_enabled: bool,
    /// `SendLocalListMaxLength`: badges that may come at a time.
    pub list_at_once: u32,
    /// `LocalAuthListMaxLength`: badges that may be on the list.
    pub list_in_all: u32,
    /// `ReserveConnectorZeroSupported`.
    pub reserve_station: bool,
    /// `StopTransactionOnInvalidId`.
    pub stop_on_invalid_badge: bool,
    /// `StopTransactionOnEVSideDisconnect`.
    pub stop_on_unplug: bool,
    /// `AuthorizeRemoteTxRequests`.
    pub authorize_remote: bool,
    /// `EnableRemoteStartNoConnectedEV`.
    pub remote_start_before_plug: bool,
    /// `ConnectionTimeOut`.
    pub connection_timeout: Duration,
    /// `MeterValueSampleInterval`; zero is no samples.
    pub sample_interval: Duration,
    /// `disconnectedMeterValueSampleInterval`.
    pub sample_interval_offline: Duration,
    /// `ClockAlignedDataInterval`; zero is no samples.
    pub clock_interval: Duration,
}

/// What every transaction goes by: the keys, if they are known, whether the CSMS can be asked, the station file.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// What the configuration keys say.
    pub rules: Option<&'a Rules>,
    /// The CSMS has accepted the station and is linked.
    pub online: bool,
    /// What the station file says.
    pub settings: &'a Settings,
}

impl Rules {
    /// Reads the keys; one that is missing has the guide's default.
    pub fn of(settings: &SettingsState) -> Rules {
        let flag = |key: &str, default: bool| settings.value(key).map_or(default, |value| value == "true");
        let seconds = |key: &str, default: u64| {
            Duration::from_secs(settings.value(key).and_then(|value| value.parse().ok()).unwrap_or(default))
        };
        let count =
            |key: &str, default: u32| settings.value(key).and_then(|value| value.parse().ok()).unwrap_or(default);
        Rules {
            badge_needed: flag("AuthenticationOCPPMode", true),
            default_id_tag: settings.value("DefaultIdTag").unwrap_or("SIMTAG").to_owned(),
            allow_unknown_offline: flag("AllowOfflineTxForUnknownId", true),
            local_authorize_offline: flag("LocalAuthorizeOffline", true),
            local_pre_authorize: flag("LocalPreAuthorize", false),
            cache_enabled: flag("AuthorizationCacheEnabled", false),
            list_enabled: flag("LocalAuthListEnabled", false),
            list_at_once: count("SendLocalListMaxLength", 400),
            list_in_all: count("LocalAuthListMaxLength", 4000),
            reserve_station: flag("ReserveConnectorZeroSupported", true),
            stop_on_invalid_badge: flag("StopTransactionOnInvalidId", true),
            stop_on_unplug: flag("StopTransactionOnEVSideDisconnect", true),
            authorize_remote: flag("AuthorizeRemoteTxRequests", true),
            remote_start_before_plug: flag("EnableRemoteStartNoConnectedEV", true),
            connection_timeout: seconds("ConnectionTimeOut", 120),
            sample_interval: seconds("MeterValueSampleInterval", 60),
            sample_interval_offline: seconds("disconnectedMeterValueSampleInterval", 900),
            clock_interval: seconds("ClockAlignedDataInterval", 0),
        }
    }
}

impl Default for Rules {
    fn default() -> Rules {
        Rules::of(&SettingsState::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_key_has_the_guides_default() {
        let rules = Rules::default();
        assert!(rules.badge_needed && rules.allow_unknown_offline && rules.authorize_remote);
        assert_eq!(rules.default_id_tag, "SIMTAG");
        assert_eq!(rules.connection_timeout, Duration::from_secs(120));
        assert_eq!(rules.clock_interval, Duration::ZERO);
    }
}
