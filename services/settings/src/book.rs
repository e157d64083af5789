//! What every key is now, and the verdict on a change. Pure: the ledger writes what this decides, and only what is
//! written is entered here.

use crate::catalogue;
use crate::keys::{AUTHORIZATION_KEY, Key, SECURITY_PROFILE, SUPERVISION_URL};
use crate::rules::{self, Way};
use crate::secret::Secret;
use crate::settings::Settings;
use busbar_interfaces::UnixMillis;
use busbar_interfaces::settings::{KeyRecord, SettingsState};
use busbar_interfaces::words::{KeyAccess, KeyOrigin, SetVerdict};
use std::collections::BTreeMap;

/// A key's value as somebody set it: one row of the ledger. Not printable: the value may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key in canonical spelling.
    pub key: String,
    /// The value in canonical form.
    pub value: String,
    /// Who set it.
    pub origin: KeyOrigin,
    /// When.
    pub changed: UnixMillis,
}

/// What is to be done about a wish to change a key.
#[derive(PartialEq, Eq)]
pub enum Decision {
    /// It is written, then entered, then answered.
    Write(Entry, SetVerdict),
    /// It is so already: it is answered.
    Answer(SetVerdict),
}

/// Why a change is not made. The texts never repeat a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such key.
    #[error("`{0}` is not a configuration key; `busbarctl settings list` has all")]
    NoSuchKey(String),
    /// The value is not one of the key's.
    #[error("`{key}` {wanted}")]
    Value {
        /// The key.
        key: &'static str,
        /// What would be right.
        wanted: String,
    },
    /// The value may not hold now.
    #[error("`{key}` {why}")]
    Rule {
        /// The key.
        key: &'static str,
        /// What is in the way.
        why: &'static str,
    },
}

/// Why a secret is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoSecret {
    /// There is no such key.
    #[error("is not a configuration key")]
    NoSuchKey,
    /// The key can be read where all keys are.
    #[error("is no secret: read it in Values")]
    Readable,
    /// The key has no value.
    #[error("is not set")]
    Unset,
}

/// What every key is now.
pub struct Book {
    entries: BTreeMap<&'static str, Entry>,
    factory: BTreeMap<&'static str, String>,
}

impl Book {
    /// The factory values, then what the ledger holds. A row that this version does not take keeps its place in the
    /// ledger and has no effect; `strange` is told its key.
    pub fn open(settings: &Settings, rows: Vec<Entry>, mut strange: impl FnMut(&str)) -> Book {
        let factory: BTreeMap<_, _> =
            catalogue::ALL.iter().map(|key| (key.name, key.factory_value(&settings.station))).collect();
        let entry = |key: &'static Key| {
            let from_file = key.comes_from_station_file();
            let origin = if from_file { KeyOrigin::StationFile } else { KeyOrigin::Default };
            let value = factory.get(key.name).cloned().unwrap_or_default();
            (key.name, Entry { key: key.name.to_owned(), value, origin, changed: UnixMillis(0) })
        };
        let entries = catalogue::ALL.iter().map(entry).collect();
        let mut book = Book { entries, factory };
        for row in rows {
            let taken = Key::named(&row.key).is_some_and(|key| key.name == row.key && key.accept(&row.value).is_ok());
            if taken {
                book.enter(row);
            } else {
                strange(&row.key);
            }
        }
        book
    }

    /// The station's own values for keys of which the ledger holds nothing: all of them on the first start, none of
    /// those that were ever set. They are to be written, then entered.
    pub fn first_values(&self, settings: &Settings, password: Option<&Secret>, now: UnixMillis) -> Vec<Entry> {
        let password = password.map(|password| (AUTHORIZATION_KEY, password.reveal()));
        let told = settings.defaults.iter().map(|(key, value)| (*key, value.as_str())).chain(password);
        let missing = told.filter(|(key, _)| self.entries.get(key).is_none_or(|entry| entry.changed == UnixMillis(0)));
        missing
            .map(|(key, value)| Entry {
                key: key.to_owned(),
                value: value.to_owned(),
                origin: KeyOrigin::StationFile,
                // 0 says that a key was never set, whatever the wall clock shows.
                changed: now.max(UnixMillis(1)),
            })
            .collect()
    }

    /// Judges a change.
    ///
    /// # Errors
    /// Why it is not made.
    pub fn judge(&self, name: &str, value: &str, origin: KeyOrigin, now: UnixMillis) -> Result<Decision, Refusal> {
        let key = Key::named(name).ok_or_else(|| Refusal::NoSuchKey(name.to_owned()))?;
        let value = key.accept(value).map_err(|wanted| Refusal::Value { key: key.name, wanted })?;
        rules::permit(key, self.value(key.name), &value, origin, self.way())
            .map_err(|why| Refusal::Rule { key: key.name, why })?;
        let verdict = if key.needs_restart() { SetVerdict::RebootRequired } else { SetVerdict::Accepted };
        let old = self.entries.get(key.name);
        let never = UnixMillis(0);
        let same = |old: &&Entry| old.value == value && old.origin == origin && old.changed != never;
        if old.filter(same).is_some() {
            return Ok(Decision::Answer(verdict));
        }
        let before = old.map_or(never, |entry| entry.changed);
        let changed = if key.is_secret() { now.max(after(before)) } else { now };
        Ok(Decision::Write(Entry { key: key.name.to_owned(), value, origin, changed }, verdict))
    }

    /// What is wrong with the keys that depend on each other.
    pub fn contradiction(&self) -> Option<&'static str> {
        self.way().contradiction()
    }

    /// The value of a write-only key.
    ///
    /// # Errors
    /// When there is none to show.
    pub fn secret(&self, name: &str) -> Result<&str, NoSecret> {
        let key = Key::named(name).ok_or(NoSecret::NoSuchKey)?;
        if !key.is_secret() {
            return Err(NoSecret::Readable);
        }
        Some(self.value(key.name)).filter(|value| !value.is_empty()).ok_or(NoSecret::Unset)
    }

    /// Enters what the ledger holds now.
    pub fn enter(&mut self, entry: Entry) {
        if let Some(key) = Key::named(&entry.key) {
            self.entries.insert(key.name, entry);
        }
    }

    /// What the object publishes: of a write-only key the moment alone.
    pub fn state(&self) -> SettingsState {
        let readable = catalogue::ALL.iter().filter(|key| !key.is_secret());
        let read_only = catalogue::ALL.iter().filter(|key| key.access == KeyAccess::ReadOnly);
        let secret = catalogue::ALL.iter().filter(|key| key.is_secret());
        let changed = |key: &Key| self.entries.get(key.name).map_or(0, |entry| entry.changed.0);
        SettingsState {
            values: readable.map(|key| (key.name.to_owned(), self.value(key.name).to_owned())).collect(),
            read_only_keys: read_only.map(|key| key.name.to_owned()).collect(),
            secrets: secret.map(|key| (key.name.to_owned(), changed(key))).collect(),
        }
    }

    /// Every key with what the catalogue says of it, in its order; the value of a write-only key stays here.
    pub fn records(&self) -> Vec<KeyRecord> {
        let shown = |key: &Key, value: &str| if key.is_secret() { String::new() } else { value.to_owned() };
        let record = |key: &Key| {
            let entry = self.entries.get(key.name)?;
            Some(KeyRecord {
                key: key.name.to_owned(),
                value: shown(key, &entry.value),
                access: key.access,
                origin: entry.origin,
                changed_unix_millis: entry.changed,
                default_value: shown(key, self.factory.get(key.name)?),
                takes: key.takes_in_words(),
                applied_by: key.applied_by.iter().map(|role| (*role).to_owned()).collect(),
                restart_needed: key.needs_restart(),
            })
        };
        catalogue::ALL.iter().filter_map(record).collect()
    }

    fn value(&self, key: &str) -> &str {
        self.entries.get(key).map_or("", |entry| entry.value.as_str())
    }

    fn way(&self) -> Way<'_> {
        Way {
            addresses: self.value(SUPERVISION_URL),
            profile: rules::profile_of(self.value(SECURITY_PROFILE)),
            has_password: !self.value(AUTHORIZATION_KEY).is_empty(),
        }
    }
}

/// The next moment: what was changed twice within a millisecond, or while the wall clock was set back, was changed.
fn after(moment: UnixMillis) -> UnixMillis {
    UnixMillis(moment.0.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use busbar_interfaces::Watts;
    use busbar_runtime::StationSection;

    const NOW: UnixMillis = UnixMillis(1_000);
    const PASSWORD: &str = "correct-horse-battery";
    const WSS: &str = "wss://csms.example/";

    fn settings(defaults: &[(&'static str, &str)]) -> Settings {
        Settings {
            station: StationSection {
                vendor: "V".into(),
                product: busbar_interfaces::product::Product::of_reference("EVD1S180TBB").expect("in the family"),
                limited: Watts(180_000),
                connectors_limited: [Watts(180_000); 2],
                serial: "SN-7".into(),
            },
            defaults: defaults.iter().map(|(key, value)| (*key, (*value).to_owned())).collect(),
        }
    }

    fn row(key: &str, value: &str, origin: KeyOrigin) -> Entry {
        Entry { key: key.to_owned(), value: value.to_owned(), origin, changed: UnixMillis(5) }
    }

    fn book(rows: Vec<Entry>) -> Book {
        Book::open(&settings(&[]), rows, |key| panic!("{key} is strange"))
    }

    fn set(book: &mut Book, key: &str, value: &str, origin: KeyOrigin) -> SetVerdict {
        match book.judge(key, value, origin, NOW) {
            Err(Refusal::NoSuchKey(_)) => SetVerdict::NotSupported,
            Err(_) => SetVerdict::Rejected,
            Ok(Decision::Answer(verdict)) => verdict,
            Ok(Decision::Write(entry, verdict)) => {
                book.enter(entry);
                verdict
            }
        }
    }

    #[test]
    fn the_first_start_writes_the_station_files_values_and_later_starts_only_new_ones() {
        let first = settings(&[("HeartbeatInterval", "300"), ("SecurityProfile", "2"), ("SupervisionUrl", WSS)]);
        let rows = Book::open(&first, Vec::new(), |_| {}).first_values(&first, None, NOW);
        assert_eq!(rows.len(), 3);
        let later = settings(&[("HeartbeatInterval", "20"), ("ConnectionTimeOut", "5")]);
        let mut book = Book::open(&later, rows, |_| {});
        let new = book.first_values(&later, None, NOW);
        assert_eq!(new.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), ["ConnectionTimeOut"]);
        new.into_iter().for_each(|entry| book.enter(entry));
        assert_eq!((book.value("HeartbeatInterval"), book.value("ConnectionTimeOut")), ("300", "5"));
        assert_eq!((book.value("SecurityProfile"), book.value("SupervisionUrl")), ("2", WSS));
        assert!(
            book.contradiction().is_some_and(|fault| fault.contains("AuthorizationKey")),
            "it is told at the start"
        );
    }

    #[test]
    fn a_credential_is_the_first_password_and_never_a_later_one() {
        let settings = settings(&[]);
        let credential = Secret::new(PASSWORD.to_owned());
        // A machine whose wall clock stands at the beginning of its time.
        let rows = Book::open(&settings, Vec::new(), |_| {}).first_values(&settings, Some(&credential), UnixMillis(0));
        let mut book = book(rows);
        assert_eq!(book.secret("AuthorizationKey"), Ok(PASSWORD));
        assert_eq!(book.state().secrets.get("AuthorizationKey"), Some(&1));
        assert_eq!(book.first_values(&settings, Some(&credential), NOW).len(), 0);
        assert_eq!(set(&mut book, "AuthorizationKey", "", KeyOrigin::Engineer), SetVerdict::Accepted);
        assert_eq!(
            book.first_values(&settings, Some(&credential), NOW).len(),
            0,
            "an engineer has said that there is none"
        );
    }

    #[test]
    fn the_serial_number_is_the_identity_until_somebody_says_otherwise() {
        let mut book = book(Vec::new());
        assert_eq!(book.value("BoxIdentifier"), "SN-7");
        assert_eq!(set(&mut book, "boxidentifier", "CP-1", KeyOrigin::Engineer), SetVerdict::Accepted);
        assert_eq!(book.state().value("BoxIdentifier"), Some("CP-1"));
    }

    #[test]
    fn tc_021_tc_040_1_tc_040_2_case_31_verdicts() {
        let mut book = book(Vec::new());
        for (key, value, verdict) in [
            ("HEARTBEATINTERVAL", "30", SetVerdict::Accepted),
            ("MeterValueSampleInterval", "-1", SetVerdict::Rejected),
            ("HeartbeatInterval", "soon", SetVerdict::Rejected),
            ("NumberOfConnectors", "2", SetVerdict::Rejected),
            ("NoSuchKey", "2", SetVerdict::NotSupported),
            ("", "", SetVerdict::NotSupported),
            ("SupervisionUrl", "", SetVerdict::Rejected),
            ("SecurityProfile", "1", SetVerdict::Rejected),
            ("SecurityProfile", "0", SetVerdict::Accepted),
            ("LocalPreAuthorize", "true", SetVerdict::Accepted),
            ("UnlockConnectorOnEVSideDisconnect", "true", SetVerdict::Rejected),
            ("ResetRetries", "3", SetVerdict::Accepted),
            ("WebSocketPingInterval", "0", SetVerdict::Accepted),
        ] {
            assert_eq!(set(&mut book, key, value, KeyOrigin::Csms), verdict, "{key} = {value}");
        }
        assert_eq!(book.value("HeartbeatInterval"), "30");
    }

    #[test]
    fn tc_083_tc_084_the_csms_goes_up_by_address_then_password_then_profile_and_never_down() {
        let mut book = book(Vec::new());
        for (key, value, verdict) in [
            ("SecurityProfile", "2", SetVerdict::Rejected),
            ("SupervisionUrl", WSS, SetVerdict::Accepted),
            ("SecurityProfile", "2", SetVerdict::Rejected),
            // Whitepaper: it may be set before a profile needs it.
            ("AuthorizationKey", PASSWORD, SetVerdict::Accepted),
            ("SecurityProfile", "2", SetVerdict::Accepted),
            ("SecurityProfile", "1", SetVerdict::Rejected),
            ("SupervisionUrl", "ws://csms.example/", SetVerdict::Rejected),
            ("AuthorizationKey", "", SetVerdict::Rejected),
            ("AuthorizationKey", "another-password-of-it", SetVerdict::Accepted),
            ("SecurityProfile", "3", SetVerdict::Accepted),
        ] {
            assert_eq!(set(&mut book, key, value, KeyOrigin::Csms), verdict, "{key} = {value}");
        }
        assert_eq!(book.contradiction(), None);
    }

    #[test]
    fn case_32_the_way_back_is_open_in_any_order() {
        let all = [("SecurityProfile", "0"), ("SupervisionUrl", "ws://csms.example/"), ("AuthorizationKey", "")];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut book = book(vec![
                row("SupervisionUrl", WSS, KeyOrigin::Csms),
                row("AuthorizationKey", PASSWORD, KeyOrigin::Csms),
                row("SecurityProfile", "2", KeyOrigin::Csms),
            ]);
            for (key, value) in order.map(|index: usize| all[index]) {
                assert_eq!(set(&mut book, key, value, KeyOrigin::Rollback), SetVerdict::Accepted, "{key}");
            }
            let origin =
                book.records().into_iter().find(|record| record.key == "SecurityProfile").expect("there").origin;
            assert_eq!(origin, KeyOrigin::Rollback, "it is seen where a value comes from");
        }
    }

    #[test]
    fn the_same_again_is_accepted_without_a_write() {
        let mut book = book(Vec::new());
        assert_eq!(set(&mut book, "ConnectionTimeOut", "120", KeyOrigin::Csms), SetVerdict::Accepted);
        let again = book.judge("ConnectionTimeOut", "120", KeyOrigin::Csms, UnixMillis(9_999));
        assert!(again == Ok(Decision::Answer(SetVerdict::Accepted)));
        assert!(matches!(book.judge("ConnectionTimeOut", "120", KeyOrigin::Engineer, NOW), Ok(Decision::Write(..))));
    }

    #[test]
    fn tc_073_two_passwords_never_have_the_same_moment() {
        let mut book = book(Vec::new());
        assert_eq!(book.state().secrets.get("AuthorizationKey"), Some(&0));
        let mut last = 0;
        for (password, now) in [("first-password-16", 1_000), ("other-password-16", 1_000), ("third-password-16", 7)] {
            let Ok(Decision::Write(entry, _)) =
                book.judge("AuthorizationKey", password, KeyOrigin::Csms, UnixMillis(now))
            else {
                panic!("not written");
            };
            book.enter(entry);
            let moment = book.state().secrets["AuthorizationKey"];
            assert!(moment > last && moment >= 1_000, "{moment}");
            last = moment;
        }
    }

    #[test]
    fn a_secret_never_leaves_by_what_is_published_listed_or_said() {
        let mut book = book(Vec::new());
        assert_eq!(book.secret("authorizationkey"), Err(NoSecret::Unset));
        book.enter(row("AuthorizationKey", PASSWORD, KeyOrigin::Csms));
        assert_eq!(book.secret("authorizationkey"), Ok(PASSWORD));
        assert_eq!(book.secret("HeartbeatInterval"), Err(NoSecret::Readable));
        assert_eq!(book.secret("NoSuchKey"), Err(NoSecret::NoSuchKey));
        assert!(!format!("{:?}{:?}", book.state(), book.records()).contains(PASSWORD));
        assert_eq!(book.state().value("AuthorizationKey"), None);
        let record = book.records().into_iter().find(|record| record.key == "AuthorizationKey").expect("listed");
        assert_eq!((record.access, record.origin), (KeyAccess::WriteOnly, KeyOrigin::Csms));
        let spaced = format!("{PASSWORD} {PASSWORD}");
        let refusal = book.judge("AuthorizationKey", &spaced, KeyOrigin::Engineer, NOW).err().expect("refused");
        assert!(!format!("{refusal}{refusal:?}").contains(PASSWORD));
    }

    #[test]
    fn a_record_tells_what_the_catalogue_says() {
        let mut book = book(Vec::new());
        assert_eq!(set(&mut book, "ClockAlignedDataInterval", "900", KeyOrigin::Csms), SetVerdict::Accepted);
        let find = |name: &str| book.records().into_iter().find(|record| record.key == name).expect("listed");
        let record = find("ClockAlignedDataInterval");
        assert_eq!((record.value.as_str(), record.default_value.as_str()), ("900", "0"));
        assert_eq!(record.takes, "a whole number of seconds from 0 to 86400");
        assert_eq!(record.applied_by, ["ocpp", "session"]);
        assert!(!record.restart_needed);
        assert_eq!((record.origin, record.changed_unix_millis), (KeyOrigin::Csms, NOW));
        assert_eq!(find("BoxIdentifier").default_value, "SN-7");
    }

    #[test]
    fn a_row_of_another_version_has_no_effect() {
        let mut strange = Vec::new();
        let rows = vec![
            row("KeyOfTomorrow", "1", KeyOrigin::Csms),
            row("HeartbeatInterval", "never", KeyOrigin::Csms),
            row("NumberOfConnectors", "7", KeyOrigin::Csms),
            row("SecurityEventsEnabled", "false", KeyOrigin::Csms),
            row("AuthorizationKey", "too-short", KeyOrigin::Csms),
        ];
        let book = Book::open(&settings(&[]), rows, |key| strange.push(key.to_owned()));
        let others = ["SecurityEventsEnabled", "AuthorizationKey"];
        assert_eq!(strange, [&["KeyOfTomorrow", "HeartbeatInterval", "NumberOfConnectors"][..], &others].concat());
        assert_eq!((book.value("SecurityEventsEnabled"), book.value("AuthorizationKey")), ("true", ""));
        assert_eq!((book.value("HeartbeatInterval"), book.value("NumberOfConnectors")), ("60", "2"));
    }
}
