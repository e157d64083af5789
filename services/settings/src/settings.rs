//! The `[station]` and `[settings]` sections of the station file.

use crate::keys::{BOX_IDENTIFIER, Key, SECURITY_PROFILE, SUPERVISION_URL};
use crate::rules::{Way, profile_of};
use busbar_runtime::{Section, Sections, StationSection};
use std::collections::BTreeMap;

/// Checked settings of this service.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// What station this is.
    pub station: StationSection,
    /// Values that the station file gives to keys, in canonical spelling and form.
    pub defaults: BTreeMap<&'static str, String>,
}

impl Settings {
    /// Reads and checks the sections.
    pub fn read(file: &mut Sections<'_, '_>) -> Settings {
        let defaults = file.section("settings", read_defaults);
        let station = file.section("station", |section| {
            let station = StationSection::read(section);
            let identity = Key::named(BOX_IDENTIFIER).filter(|_| !defaults.contains_key(BOX_IDENTIFIER));
            // A serial number that is missing or too long is a fault already.
            if let Some(Err(wanted)) = identity.map(|key| key.accept(&station.serial))
                && !station.serial.is_empty()
            {
                let message = format!("is also the {BOX_IDENTIFIER}, which {wanted}; or set that in settings.defaults");
                section.refuse("serial", message);
            }
            station
        });
        Settings { station, defaults }
    }
}

fn read_defaults(section: &mut Section<'_, '_>) -> BTreeMap<&'static str, String> {
    let mut defaults = BTreeMap::new();
    for (name, value) in section.texts("defaults") {
        let Some(key) = Key::named(&name) else {
            section.refuse_entry("defaults", &name, "is not a configuration key");
            continue;
        };
        if key.is_secret() {
            let message =
                format!("is a secret, which a station file must not hold; load it as the credential {}", key.name);
            section.refuse_entry("defaults", &name, message);
            continue;
        }
        match key.accept(&value) {
            Ok(value) => {
                if defaults.insert(key.name, value).is_some() {
                    section.refuse_entry("defaults", &name, format!("`{}` is there twice", key.name));
                }
            }
            Err(wanted) => section.refuse_entry("defaults", &name, wanted),
        }
    }
    let value = |key: &str| defaults.get(key).map_or("", String::as_str);
    // The password cannot stand here, so nothing is said of it.
    let way =
        Way { addresses: value(SUPERVISION_URL), profile: profile_of(value(SECURITY_PROFILE)), has_password: true };
    if let Some(fault) = way.contradiction() {
        section.refuse_entry("defaults", SECURITY_PROFILE, fault);
    }
    defaults
}

#[cfg(test)]
mod tests {
    use super::*;
    use busbar_runtime::StationFile;

    fn read(text: &str) -> Result<Settings, Vec<String>> {
        StationFile::from_layers([("station.toml".into(), text.to_owned())])
            .sections(Settings::read)
            .map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    const STATION: &str = "[station]\nmodel = \"EVD1S180TBB\"\nserial = \"SN-7\"\n";

    #[test]
    fn the_least_that_a_station_file_must_say() {
        let settings = read(STATION).expect("good");
        assert_eq!(settings.station.vendor, "Schneider Electric");
        assert_eq!(settings.station.product.rated, busbar_interfaces::Watts(180_000));
        assert!(settings.defaults.is_empty());
    }

    #[test]
    fn defaults_are_taken_in_canonical_form() {
        let text =
            format!("{STATION}[settings.defaults]\nheartbeatinterval = 300\nAuthorizeRemoteTxRequests = false\n");
        let settings = read(&text).expect("good");
        assert_eq!(settings.defaults.get("HeartbeatInterval").map(String::as_str), Some("300"));
        assert_eq!(settings.defaults.get("AuthorizeRemoteTxRequests").map(String::as_str), Some("false"));
    }

    #[test]
    fn a_station_may_be_made_for_a_secure_csms() {
        let text = format!(
            "{STATION}[settings.defaults]\nSecurityProfile = 2\nSupervisionUrl = \"wss://a.example/ wss://b.example/\"\n"
        );
        let settings = read(&text).expect("good");
        assert_eq!(settings.defaults.get("SecurityProfile").map(String::as_str), Some("2"));
        assert_eq!(settings.defaults.len(), 2);
    }

    #[test]
    fn each_impossible_default_is_a_fault_of_its_own() {
        let faults = read(&format!(
            "{STATION}[settings.defaults]\nNoSuchKey = 1\nHeartbeatInterval = \"often\"\nNumberOfConnectors = 2\n\
             AuthorizationKey = \"0123456789abcdef\"\nConnectionTimeOut = 1\nconnectiontimeout = 2\n\
             SupervisionUrl = \"ws://csms.example/\"\nSecurityProfile = 2\nSecurityEventsEnabled = false\n"
        ))
        .expect_err("faults");
        assert_eq!(faults.len(), 7, "{faults:#?}");
        for named in [".NoSuchKey`", ".HeartbeatInterval`", ".NumberOfConnectors`", ".AuthorizationKey`", "twice"] {
            assert!(faults.iter().any(|fault| fault.contains(named)), "{named} in {faults:#?}");
        }
        for (named, why) in [
            (".SecurityProfile`", "wss:// addresses"),
            (".SecurityEventsEnabled`", "this version cannot honour"),
            (".AuthorizationKey`", "credential"),
        ] {
            let told = |fault: &&String| fault.contains(named) && fault.contains(why);
            assert_eq!(faults.iter().filter(told).count(), 1, "{named} in {faults:#?}");
        }
        assert!(!faults.concat().contains("0123456789abcdef"), "a secret is not repeated");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for text in [
            "[station]\nmodel = \"EVD1S180TBB\"\n",
            "[station]\nmodel = \"T1000\"\nserial = \"1\"\n",
            "[station]\nmodel = \"EVD1S180TBB\"\nserial = \"12345678901234567890123456\"\n",
            "[station]\nmodel = \"EVD1S180TBB\"\nserial = \"1\"\nvendor = \"a vendor of a long name\"\n",
            "[station]\nmodel = \"EVD1S180TBB\"\nserial = \"1\"\ncolour = \"green\"\n",
            "[station]\nmodel = \"EVD1S180TBB\"\nserial = \"1/2\"\n",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        let named =
            "[station]\nmodel = \"EVD1S180TBB\"\nserial = \"1/2\"\n[settings.defaults]\nBoxIdentifier = \"CP1\"\n";
        assert!(read(named).is_ok(), "a serial number that is not the identity need not be one");
    }
}
