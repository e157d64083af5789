//! One configuration key: what the catalogue says of it, and the judgement of a value that follows from that. Pure.

use crate::catalogue;
use crate::takes::Takes;
use busbar_interfaces::words::KeyAccess;
use busbar_runtime::StationSection;

/// The password that is never read back.
pub const AUTHORIZATION_KEY: &str = "AuthorizationKey";
/// Whitepaper: 0 nothing, 1 a password, 2 TLS and a password, 3 TLS and the station's own certificate.
pub const SECURITY_PROFILE: &str = "SecurityProfile";
/// Where the CSMS is.
pub const SUPERVISION_URL: &str = "SupervisionUrl";
/// The charge point identity.
pub const BOX_IDENTIFIER: &str = "BoxIdentifier";

/// One configuration key: a row of the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The canonical spelling.
    pub name: &'static str,
    /// Who may change it.
    pub access: KeyAccess,
    /// Which values it takes.
    pub takes: Takes,
    /// What it is when nobody has said anything else.
    pub given: Given,
    /// When a change holds.
    pub holds: Holds,
    /// The roles of the services that act on it, in the order of their names.
    pub applied_by: &'static [&'static str],
}

/// What a key is when nobody has said anything else.
#[derive(Debug, Clone, Copy)]
pub enum Given {
    /// This value.
    As(&'static str),
    /// The most power of the station in kilowatts: the model's rating, or less by the station file.
    StationKilowatts,
    /// The most power of a connector in kilowatts, likewise; 0 is A.
    ConnectorKilowatts(usize),
    /// The serial number of the station.
    Serial,
}

/// When a change of a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// As soon as it is answered.
    AtOnce,
    /// After the next restart of the station; the answer says so. No key of this version is one.
    AfterRestart,
}

impl Key {
    /// The key of a name in any case.
    pub fn named(name: &str) -> Option<&'static Key> {
        catalogue::ALL.iter().find(|key| key.name.eq_ignore_ascii_case(name))
    }

    /// The value when nobody has said anything else.
    pub fn factory_value(&self, station: &StationSection) -> String {
        match self.given {
            Given::As(text) => text.to_owned(),
            Given::StationKilowatts => (station.limited.0 / 1000).to_string(),
            Given::ConnectorKilowatts(index) => {
                let limited = station.connectors_limited.get(index).copied().unwrap_or(station.limited);
                (limited.0 / 1000).to_string()
            }
            Given::Serial => station.serial.clone(),
        }
    }

    /// The factory value is the station file's and not this program's.
    pub fn comes_from_station_file(&self) -> bool {
        !matches!(self.given, Given::As(_))
    }

    /// The value is never read back.
    pub fn is_secret(&self) -> bool {
        self.access == KeyAccess::WriteOnly
    }

    /// A change is told to be good only after a restart.
    pub fn needs_restart(&self) -> bool {
        self.holds == Holds::AfterRestart
    }

    /// The one value that a key may have on which nothing in the station acts: what is accepted must have an effect.
    fn only_value(&self) -> Option<&'static str> {
        match self.given {
            Given::As(given) if self.access != KeyAccess::ReadOnly && self.applied_by.is_empty() => Some(given),
            _ => None,
        }
    }

    /// What it takes, in words.
    pub fn takes_in_words(&self) -> String {
        match (self.access, self.only_value()) {
            (KeyAccess::ReadOnly, _) => "nothing: it is read-only".to_owned(),
            (_, Some("")) => "only the empty value, because nothing in this version acts on the key".to_owned(),
            (_, Some(only)) => format!("only `{only}`, because nothing in this version acts on the key"),
            _ => self.takes.to_string(),
        }
    }

    /// The canonical form of a value, or what would be right. The text never repeats the value, which may be a secret.
    pub fn accept(&self, value: &str) -> Result<String, String> {
        if self.access == KeyAccess::ReadOnly {
            return Err("is read-only".to_owned());
        }
        let value = self.takes.canonical(value).ok_or_else(|| format!("must be {}", self.takes))?;
        match self.only_value() {
            Some(only) if value != only => Err(format!(
                "stays as it is: this version cannot honour another value than `{only}`, because nothing in the \
                 station acts on the key"
            )),
            _ => Ok(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(key: &str, value: &str) -> Result<String, String> {
        Key::named(key).expect("a key").accept(value)
    }

    #[test]
    fn case_31_case_c_s10_what_nothing_acts_on_is_not_accepted() {
        for (key, value) in [
            ("UnlockConnectorOnEVSideDisconnect", "true"),
            ("ConnectorPhaseRotation", "RST"),
            ("SecurityEventsEnabled", "false"),
            ("CpoName", "Operator"),
        ] {
            let refused = accept(key, value).expect_err(key);
            assert!(refused.contains("this version cannot honour"), "{key}: {refused}");
            let words = Key::named(key).expect("a key").takes_in_words();
            assert!(words.starts_with("only "), "{key}: {words}");
        }
        assert_eq!(accept("securityeventsenabled", "TRUE").as_deref(), Ok("true"), "what it is already");
        assert_eq!(accept("StopTxnSampledData", "").as_deref(), Ok(""), "what it is already");
    }

    #[test]
    fn case_31_a_name_is_taken_in_any_case_and_keeps_its_spelling() {
        for name in ["heartbeatinterval", "HEARTBEATINTERVAL", "HeartbeatInterval"] {
            assert_eq!(Key::named(name).map(|key| key.name), Some("HeartbeatInterval"));
        }
        for name in ["", " HeartbeatInterval", "HeartbeatInterval ", "Heartbeat"] {
            assert!(Key::named(name).is_none(), "{name}");
        }
    }

    #[test]
    fn case_31_a_read_only_key_takes_nothing_not_even_its_own_value() {
        assert_eq!(accept("NumberOfConnectors", "2"), Err("is read-only".to_owned()));
        assert_eq!(Key::named("NumberOfConnectors").expect("a key").takes_in_words(), "nothing: it is read-only");
    }

    #[test]
    fn tc_040_2_an_impossible_value_is_told_what_would_be_right() {
        let refused = accept("MeterValueSampleInterval", "-1").expect_err("negative");
        assert_eq!(refused, "must be a whole number of seconds from 0 to 604800");
    }

    #[test]
    fn a_refusal_never_repeats_a_secret() {
        let refused = accept("AuthorizationKey", "too-short").expect_err("short");
        assert!(!refused.contains("too-short"), "{refused}");
    }
}
