//! The configuration keys as they were followed last: what GetConfiguration answers from, and the ones that the link
//! itself lives by.

use crate::link::shown;
use busbar_interfaces::settings::SettingsState;
use busbar_ocpp16::Hidden;
use busbar_ocpp16::answer::{self, KeyValue};
use busbar_ocpp16::fields::outside;
use busbar_ocpp16::frame::Refusal;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::fmt;
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
    pub sampled: Vec<String>,
    /// MeterValuesAlignedData.
    pub aligned: Vec<String>,
}

/// The password of HTTP Basic authentication, as it goes over the link.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Vec<u8>);

impl Password {
    /// The whitepaper writes it in hexadecimal: 16 to 40 bytes are 32 to 80 digits. Anything else is taken as it is.
    pub fn of_key(key: &str) -> Password {
        let digits = key.bytes().all(|byte| byte.is_ascii_hexdigit()) && key.len().is_multiple_of(2) && key.len() >= 32;
        let decoded = if digits { data_encoding::HEXLOWER_PERMISSIVE.decode(key.as_bytes()).ok() } else { None };
        Password(decoded.unwrap_or_else(|| key.as_bytes().to_vec()))
    }

    /// Bytes as they are.
    #[cfg(test)]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Password {
        Password(bytes.into())
    }

    /// The bytes, for the link alone.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// The keys that decide how the station gets to the CSMS. They are changed from afar, tried, and put back together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// SupervisionUrl: one address, or several in the order to try them.
    pub url: String,
    /// BoxIdentifier.
    pub identity: String,
    /// SecurityProfile.
    pub security_profile: u8,
    /// AuthorizationKey, if one is set.
    pub key: Option<Hidden>,
}

/// Where the CSMS is, who the station is there, and how it shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Tried in this order; each is a whole address: URL and identity.
    pub addresses: Vec<Url>,
    /// The first address as people may see it: without the identity.
    pub shown_url: String,
    /// The identity.
    pub identity: String,
    /// 0 nothing, 1 a password, 2 TLS and a password, 3 TLS and a client certificate (whitepaper, 2).
    pub security_profile: u8,
    /// For HTTP Basic authentication, with the identity as the user.
    pub password: Option<Password>,
}

/// Why there is no address to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoTarget {
    /// No URL or no identity is set.
    Unset,
    /// The URL cannot be used; the text says why and shows no credentials.
    Unusable(&'static str),
}

impl NoTarget {
    /// In words.
    pub fn reason(&self) -> &'static str {
        match self {
            NoTarget::Unset => "SupervisionUrl or BoxIdentifier is not set",
            NoTarget::Unusable(reason) => reason,
        }
    }
}

impl Way {
    /// Where it leads.
    ///
    /// # Errors
    /// When it leads nowhere.
    pub fn target(&self) -> Result<Target, NoTarget> {
        if self.url.is_empty() || self.identity.is_empty() {
            return Err(NoTarget::Unset);
        }
        let urls = self.url.split(' ').filter(|url| !url.is_empty()).map(|url| self.address(url));
        let urls: Vec<(Url, String)> = urls.collect::<Result<_, _>>()?;
        let Some((_, shown_url)) = urls.first().cloned() else { return Err(NoTarget::Unset) };
        Ok(Target {
            addresses: urls.into_iter().map(|(address, _)| address).collect(),
            shown_url,
            identity: self.identity.clone(),
            security_profile: self.security_profile,
            password: self
                .key
                .as_ref()
                .filter(|_| matches!(self.security_profile, 1 | 2))
                .map(|key| Password::of_key(key.as_str())),
        })
    }

    /// The whole address of one URL, and the URL as people may see it.
    fn address(&self, url: &str) -> Result<(Url, String), NoTarget> {
        let mut address = Url::parse(url).map_err(|_| NoTarget::Unusable("SupervisionUrl is not a URL"))?;
        if !matches!(address.scheme(), "ws" | "wss") {
            return Err(NoTarget::Unusable("the scheme of SupervisionUrl must be ws or wss"));
        }
        if self.security_profile >= 2 && address.scheme() != "wss" {
            return Err(NoTarget::Unusable("SecurityProfile 2 and 3 need a wss:// address in SupervisionUrl"));
        }
        // A URL of these schemes has a path and may have a user; both calls cannot fail then.
        let credentials = address.set_username("").and_then(|()| address.set_password(None));
        credentials.map_err(|()| NoTarget::Unusable("SupervisionUrl has no host"))?;
        address.set_fragment(None);
        let segments = address.path_segments_mut();
        segments.map_err(|()| NoTarget::Unusable("SupervisionUrl has no path"))?.pop_if_empty().push(&self.identity);
        let shown = shown(&address);
        Ok((address, shown))
    }
}

impl Configuration {
    /// From the followed values.
    pub fn of(state: SettingsState) -> Configuration {
        let lower = |key: &String| key.to_lowercase();
        let spelling =
            state.values.keys().filter(|key| lower(key) != NEVER_TOLD).map(|key| (lower(key), key.clone())).collect();
        let read_only = state.read_only_keys.iter().map(lower).collect();
        let list = |key: &str| {
            let list = state.value(key).unwrap_or_default();
            list.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
        };
        let (sampled, aligned) = (list("MeterValuesSampledData"), list("MeterValuesAlignedData"));
        Configuration { spelling, read_only, sampled, aligned, state }
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

    /// The moment of the last change of AuthorizationKey; 0 when none is set.
    pub fn key_changed(&self) -> u64 {
        self.state.secrets.get("AuthorizationKey").copied().unwrap_or(0)
    }

    /// How the station is to get to the CSMS, with the password that was read last.
    pub fn way(&self, key: Option<Hidden>) -> Way {
        let text = |key| self.state.value(key).map(str::trim).unwrap_or_default().to_owned();
        Way {
            url: text("SupervisionUrl"),
            identity: text("BoxIdentifier"),
            security_profile: u8::try_from(self.number("SecurityProfile", 0)).unwrap_or(0),
            key,
        }
    }

    /// What GetConfiguration is answered: the keys that were asked for, or all.
    ///
    /// # Errors
    /// When more keys are asked for than the station allows.
    pub fn answer(&self, asked: Option<&[String]>) -> Result<Value, Refusal> {
        let Some(asked) = asked.filter(|asked| !asked.is_empty()) else {
            let mut all: Vec<&String> = self.spelling.values().collect();
            all.sort();
            let known: Vec<KeyValue> = all.into_iter().map(|key| self.told(key)).collect();
            return Ok(answer::configuration(&known, &[]));
        };
        let most = self.number("GetConfigurationMaxKeys", 50);
        if asked.len() as u64 > most {
            return Err(outside("key", &format!("may hold at most {most} keys")));
        }
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for key in asked {
            match self.spelling.get(&key.to_lowercase()) {
                Some(key) => known.push(self.told(key)),
                None => unknown.push(key.clone()),
            }
        }
        Ok(answer::configuration(&known, &unknown))
    }

    fn told(&self, key: &str) -> KeyValue {
        KeyValue {
            key: key.to_owned(),
            readonly: self.read_only.contains(&key.to_lowercase()),
            value: Some(self.state.value(key).unwrap_or_default().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn configuration(values: &[(&str, &str)]) -> Configuration {
        let values = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let read_only_keys = vec!["NumberOfConnectors".to_owned(), "GetConfigurationMaxKeys".to_owned()];
        Configuration::of(SettingsState { values, read_only_keys, secrets: BTreeMap::new() })
    }

    #[test]
    fn case_31_keys_are_told_in_any_case_and_the_password_never() {
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
    fn case_31_more_keys_than_allowed_are_refused() {
        let keys: Vec<String> = (0..3).map(|n| n.to_string()).collect();
        assert!(configuration(&[("GetConfigurationMaxKeys", "3")]).answer(Some(&keys)).is_ok());
        let refusal = configuration(&[("GetConfigurationMaxKeys", "2")]).answer(Some(&keys)).expect_err("too many");
        assert_eq!(refusal.code, busbar_ocpp16::frame::ErrorCode::PropertyConstraintViolation);
    }

    fn way(url: &str, identity: &str, security_profile: u8, key: Option<&str>) -> Way {
        Way { url: url.to_owned(), identity: identity.to_owned(), security_profile, key: key.map(Hidden::from) }
    }

    #[test]
    fn the_address_is_url_and_identity_without_credentials() {
        let target = |url, identity| way(url, identity, 0, None).target();
        let address = |url, identity| target(url, identity).map(|target| target.addresses[0].to_string()).ok();
        assert_eq!(address("ws://csms:9000/ocpp", "CP 1/ä").as_deref(), Some("ws://csms:9000/ocpp/CP%201%2F%C3%A4"));
        assert_eq!(address("ws://csms/ocpp/", "CP1").as_deref(), Some("ws://csms/ocpp/CP1"));
        assert_eq!(address("wss://csms", "CP1").as_deref(), Some("wss://csms/CP1"));
        let shown = target("ws://user:secret@csms/ocpp", "CP1").map(|target| target.shown_url).ok();
        assert_eq!(shown.as_deref(), Some("ws://csms/ocpp"));
        assert_eq!(target("", "CP1").err(), Some(NoTarget::Unset));
        assert_eq!(target("ws://csms", "").err(), Some(NoTarget::Unset));
        for url in ["http://csms", "csms", "ws://", "ws://csms csms"] {
            assert!(matches!(target(url, "CP1").err(), Some(NoTarget::Unusable(_))), "{url}");
        }
        let two = target("ws://a/x wss://b/y", "CP1").expect("two addresses");
        let two: Vec<String> = two.addresses.iter().map(Url::to_string).collect();
        assert_eq!(two, ["ws://a/x/CP1", "wss://b/y/CP1"]);
    }

    #[test]
    fn case_32_a_high_security_profile_never_dials_without_tls() {
        for (profile, url, good) in [
            (0, "ws://c", true),
            (1, "wss://c", true),
            (2, "wss://c", true),
            (2, "ws://c", false),
            (3, "wss://c ws://c", false),
        ] {
            assert_eq!(way(url, "CP1", profile, Some("0123456789abcdef")).target().is_ok(), good, "{profile} {url}");
        }
    }

    #[test]
    fn tc_085_the_password_is_what_the_hexadecimal_digits_stand_for_and_only_two_profiles_send_it() {
        let password = |profile, key| way("wss://c", "CP1", profile, key).target().expect("a target").password;
        let hex = "30313233343536373839414243444546";
        assert_eq!(password(2, Some(hex)).expect("a password").bytes(), b"0123456789ABCDEF");
        assert_eq!(password(1, Some("correct-horse-battery")).expect("a password").bytes(), b"correct-horse-battery");
        assert_eq!(password(0, Some(hex)), None);
        assert_eq!(password(3, Some(hex)), None);
        assert_eq!(password(2, None), None);
        assert!(!format!("{:?}", way("wss://c", "CP1", 2, Some("SECRET-SECRET-SE"))).contains("SECRET"));
        assert!(!format!("{:?}", password(2, Some("SECRET-SECRET-SE"))).contains("SECRET"));
    }
}
