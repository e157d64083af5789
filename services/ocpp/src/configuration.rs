//! The configuration keys as they were followed last: what GetConfiguration answers from, and the ones that the link
//! itself lives by.

use crate::fields::outside;
use crate::frame::Refusal;
use busbar_interfaces::settings::SettingsState;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use url::Url;

/// Written, never read back.
const NEVER_TOLD: &str = "authorizationkey";

/// The keys and what they mean.
#[derive(Default)]
pub struct Configuration {
    state: SettingsState,
    /// Key in lower case → key as it is spelled.
    spelling: HashMap<String, String>,
    read_only: HashSet<String>,
    /// MeterValuesSampledData.
    pub measurands: Vec<String>,
}

/// Where the CSMS is and who the station is there.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// The whole address: URL and identity.
    pub address: Url,
    /// The URL as people may see it: without credentials.
    pub shown_url: String,
    /// The identity.
    pub identity: String,
}

/// Why there is no address to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoTarget {
    /// No URL or no identity is set.
    Unset,
    /// The URL cannot be used; the text says why and shows no credentials.
    Unusable(&'static str),
}

impl Configuration {
    /// From the followed values.
    pub fn of(state: SettingsState) -> Configuration {
        let lower = |key: &String| key.to_lowercase();
        let spelling =
            state.values.keys().filter(|key| lower(key) != NEVER_TOLD).map(|key| (lower(key), key.clone())).collect();
        let read_only = state.read_only_keys.iter().map(lower).collect();
        let list = state.value("MeterValuesSampledData").unwrap_or_default();
        let measurands = list.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
        Configuration { spelling, read_only, measurands, state }
    }

    /// A key that is a number; the default when it is absent or no number.
    pub fn number(&self, key: &str, default: u64) -> u64 {
        self.state.value(key).and_then(|value| value.trim().parse().ok()).unwrap_or(default)
    }

    /// A key that is a number of seconds.
    pub fn seconds(&self, key: &str, default: u64) -> Duration {
        // A year is beyond any sensible wait and keeps every sum of moments in range.
        Duration::from_secs(self.number(key, default).min(366 * 24 * 3600))
    }

    /// A key that is true or false.
    pub fn flag(&self, key: &str, default: bool) -> bool {
        self.state.value(key).map_or(default, |value| value.trim().eq_ignore_ascii_case("true"))
    }

    /// Where to connect.
    ///
    /// # Errors
    /// When there is nowhere to connect to.
    pub fn target(&self) -> Result<Target, NoTarget> {
        let text = |key| self.state.value(key).map(str::trim).filter(|text| !text.is_empty()).ok_or(NoTarget::Unset);
        let (url, identity) = (text("SupervisionUrl")?, text("BoxIdentifier")?);
        let mut address = Url::parse(url).map_err(|_| NoTarget::Unusable("it is not a URL"))?;
        match address.scheme() {
            "ws" => {}
            "wss" => return Err(NoTarget::Unusable("TLS (wss) is not built in this version")),
            _ => return Err(NoTarget::Unusable("the scheme must be ws")),
        }
        // A URL of this scheme has a path and may have a user; both calls cannot fail then.
        let credentials = address.set_username("").and_then(|()| address.set_password(None));
        address.set_fragment(None);
        let shown_url = address.to_string();
        address.path_segments_mut().map_err(|()| NoTarget::Unusable("it has no path"))?.pop_if_empty().push(identity);
        credentials.map_err(|()| NoTarget::Unusable("it has no host"))?;
        Ok(Target { address, shown_url, identity: identity.to_owned() })
    }

    /// What GetConfiguration is answered: the keys that were asked for, or all.
    ///
    /// # Errors
    /// When more keys are asked for than the station allows.
    pub fn answer(&self, asked: Option<&[String]>) -> Result<Value, Refusal> {
        let Some(asked) = asked.filter(|asked| !asked.is_empty()) else {
            let mut all: Vec<&String> = self.spelling.values().collect();
            all.sort();
            let known: Vec<Value> = all.into_iter().map(|key| self.told(key)).collect();
            return Ok(json!({"configurationKey": known}));
        };
        let most = self.number("GetConfigurationMaxKeys", 50);
        if asked.len() as u64 > most {
            return Err(outside("key", &format!("may hold at most {most} keys")));
        }
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for key in asked {
            match self.spelling.get(&key.to_lowercase()) {
                Some(key) => known.push(self.told(key)),
                None => unknown.push(json!(key)),
            }
        }
        Ok(json!({"configurationKey": known, "unknownKey": unknown}))
    }

    fn told(&self, key: &str) -> Value {
        let value: String = self.state.value(key).unwrap_or_default().chars().take(500).collect();
        json!({"key": key, "readonly": self.read_only.contains(&key.to_lowercase()), "value": value})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(values: &[(&str, &str)]) -> Configuration {
        let values = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let read_only_keys = vec!["NumberOfConnectors".to_owned(), "GetConfigurationMaxKeys".to_owned()];
        Configuration::of(SettingsState { values, read_only_keys })
    }

    #[test]
    fn keys_are_told_in_any_case_and_the_key_of_the_station_never() {
        let configuration =
            configuration(&[("HeartbeatInterval", "60"), ("NumberOfConnectors", "2"), ("AuthorizationKey", "SECRET")]);
        let asked = ["heartbeatinterval", "NUMBEROFCONNECTORS", "authorizationkey", "Other"].map(str::to_owned);
        assert_eq!(
            configuration.answer(Some(&asked)).expect("an answer"),
            json!({
                "configurationKey": [
                    {"key": "HeartbeatInterval", "readonly": false, "value": "60"},
                    {"key": "NumberOfConnectors", "readonly": true, "value": "2"},
                ],
                "unknownKey": ["authorizationkey", "Other"],
            })
        );
        for asked in [None, Some([].as_slice())] {
            let all = configuration.answer(asked).expect("an answer");
            assert_eq!(all["configurationKey"].as_array().map(Vec::len), Some(2));
            assert!(!all.to_string().contains("SECRET"));
        }
    }

    #[test]
    fn more_keys_than_allowed_are_refused() {
        let keys: Vec<String> = (0..3).map(|n| n.to_string()).collect();
        assert!(configuration(&[("GetConfigurationMaxKeys", "3")]).answer(Some(&keys)).is_ok());
        let refusal = configuration(&[("GetConfigurationMaxKeys", "2")]).answer(Some(&keys)).expect_err("too many");
        assert_eq!(refusal.code, crate::frame::ErrorCode::PropertyConstraintViolation);
    }

    #[test]
    fn the_address_is_url_and_identity_without_credentials() {
        let target = |url, identity| configuration(&[("SupervisionUrl", url), ("BoxIdentifier", identity)]).target();
        let address = |url, identity| target(url, identity).map(|target| target.address.to_string()).ok();
        assert_eq!(address("ws://csms:9000/ocpp", "CP 1/ä").as_deref(), Some("ws://csms:9000/ocpp/CP%201%2F%C3%A4"));
        assert_eq!(address("ws://csms/ocpp/", "CP1").as_deref(), Some("ws://csms/ocpp/CP1"));
        assert_eq!(address("ws://csms", "CP1").as_deref(), Some("ws://csms/CP1"));
        let shown = target("ws://user:secret@csms/ocpp", "CP1").map(|target| target.shown_url).ok();
        assert_eq!(shown.as_deref(), Some("ws://csms/ocpp"));
        assert_eq!(target("", "CP1").err(), Some(NoTarget::Unset));
        assert_eq!(target("ws://csms", " ").err(), Some(NoTarget::Unset));
        for url in ["wss://csms/ocpp", "http://csms", "csms", "ws://"] {
            assert!(matches!(target(url, "CP1").err(), Some(NoTarget::Unusable(_))), "{url}");
        }
    }
}
