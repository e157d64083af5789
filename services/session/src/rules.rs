//! The configuration keys that decide about sessions, as values with a meaning. Until settings is heard for the first
//! time in the life of the station there are none, and nothing charges; afterwards the last that were followed hold.

use busbar_interfaces::settings::SettingsState;
use std::time::Duration;

/// What the configuration keys say about sessions.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Rules {
    /// `AuthenticationOCPPMode`: false is free charging.
    pub badge_needed: bool,
    /// `DefaultIdTag`: the tag reported in free charging.
    pub default_id_tag: String,
    /// `AllowOfflineTxForUnknownId`.
    pub allow_unknown_offline: bool,
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
    /// `ClockAlignedDataInterval`; zero is no samples. Rules that were stored by an earlier version lack it.
    #[serde(default)]
    pub clock_interval: Duration,
}

impl Rules {
    /// Reads the keys; one that is missing has the guide's default.
    pub fn of(settings: &SettingsState) -> Rules {
        let flag = |key: &str, default: bool| settings.value(key).map_or(default, |value| value == "true");
        let seconds = |key: &str, default: u64| {
            Duration::from_secs(settings.value(key).and_then(|value| value.parse().ok()).unwrap_or(default))
        };
        Rules {
            badge_needed: flag("AuthenticationOCPPMode", true),
            default_id_tag: settings.value("DefaultIdTag").unwrap_or("SIMTAG").to_owned(),
            allow_unknown_offline: flag("AllowOfflineTxForUnknownId", true),
            authorize_remote: flag("AuthorizeRemoteTxRequests", true),
            remote_start_before_plug: flag("EnableRemoteStartNoConnectedEV", true),
            connection_timeout: seconds("ConnectionTimeOut", 120),
            sample_interval: seconds("MeterValueSampleInterval", 60),
            sample_interval_offline: seconds("disconnectedMeterValueSampleInterval", 900),
            clock_interval: seconds("ClockAlignedDataInterval", 0),
        }
    }
}

#[cfg(test)]
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
