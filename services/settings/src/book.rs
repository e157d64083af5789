//! What every key is now, and the verdict on a change. Pure: the ledger writes what this decides, and only what is
//! written is entered here.

use crate::keys::{self, Key, SUPERVISION_URL};
use crate::settings::Settings;
use busbar_interfaces::UnixMillis;
use busbar_interfaces::settings::{KeyRecord, SettingsState};
use busbar_interfaces::words::{KeyAccess, KeyOrigin, SetVerdict};
use std::collections::BTreeMap;

/// A key's value as somebody set it: one row of the ledger.
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
    Write(Entry),
    /// It is answered; nothing changes.
    Answer(SetVerdict),
}

/// What every key is now.
pub struct Book {
    entries: BTreeMap<&'static str, Entry>,
}

impl Book {
    /// The factory values, then what the ledger holds. A row that this version does not take keeps its place in the
    /// ledger and has no effect; `strange` is told its key.
    pub fn open(settings: &Settings, rows: Vec<Entry>, mut strange: impl FnMut(&str)) -> Book {
        let factory = |key: &'static Key| {
            let from_file = key.comes_from_station_file();
            let origin = if from_file { KeyOrigin::StationFile } else { KeyOrigin::Default };
            let value = key.factory_value(&settings.station);
            (key.name, Entry { key: key.name.to_owned(), value, origin, changed: UnixMillis(0) })
        };
        let mut book = Book { entries: keys::ALL.iter().map(factory).collect() };
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

    /// The station file's values for keys of which the ledger holds nothing: all of them on the first start, none of
    /// those that were ever set. They are to be written, then entered.
    pub fn first_values(&self, settings: &Settings, now: UnixMillis) -> Vec<Entry> {
        let missing = settings
            .defaults
            .iter()
            .filter(|(key, _)| self.entries.get(*key).is_none_or(|entry| entry.changed == UnixMillis(0)));
        missing
            .map(|(key, value)| Entry {
                key: (*key).to_owned(),
                value: value.clone(),
                origin: KeyOrigin::StationFile,
                changed: now,
            })
            .collect()
    }

    /// Judges a change.
    pub fn judge(&self, name: &str, value: &str, origin: KeyOrigin, now: UnixMillis) -> Decision {
        let Some(key) = Key::named(name) else { return Decision::Answer(SetVerdict::NotSupported) };
        match key.accept(value) {
            Ok(value) if allows(key, &value, origin) => {
                let entry = Entry { key: key.name.to_owned(), value, origin, changed: now };
                let same = self.entries.get(key.name).is_some_and(|old| {
                    old.value == entry.value && old.origin == entry.origin && old.changed != UnixMillis(0)
                });
                if same { Decision::Answer(SetVerdict::Accepted) } else { Decision::Write(entry) }
            }
            _ => Decision::Answer(SetVerdict::Rejected),
        }
    }

    fn value(&self, key: &str) -> &str {
        self.entries.get(key).map_or("", |entry| entry.value.as_str())
    }

    /// Enters what the ledger holds now.
    pub fn enter(&mut self, entry: Entry) {
        if let Some(key) = Key::named(&entry.key) {
            self.entries.insert(key.name, entry);
        }
    }

    /// What the object publishes: nothing that is write-only.
    pub fn state(&self) -> SettingsState {
        let readable = keys::ALL.iter().filter(|key| key.access != KeyAccess::WriteOnly);
        let read_only = keys::ALL.iter().filter(|key| key.access == KeyAccess::ReadOnly);
        SettingsState {
            values: readable.map(|key| (key.name.to_owned(), self.value(key.name).to_owned())).collect(),
            read_only_keys: read_only.map(|key| key.name.to_owned()).collect(),
        }
    }

    /// Every key with its access, in the order of the table; the value of a write-only key stays here.
    pub fn records(&self) -> Vec<KeyRecord> {
        let record = |key: &Key| {
            let entry = self.entries.get(key.name)?;
            let hidden = key.access == KeyAccess::WriteOnly;
            Some(KeyRecord {
                key: key.name.to_owned(),
                value: if hidden { String::new() } else { entry.value.clone() },
                access: key.access,
                origin: entry.origin,
                changed_unix_millis: entry.changed,
            })
        };
        keys::ALL.iter().filter_map(record).collect()
    }
}

/// The rules that concern more than the value.
fn allows(key: &Key, value: &str, origin: KeyOrigin) -> bool {
    // Without an address the CSMS could not undo it.
    key.name != SUPERVISION_URL || origin == KeyOrigin::Engineer || !value.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use busbar_runtime::StationSection;

    const NOW: UnixMillis = UnixMillis(1_000);
    const PASSWORD: &str = "correct-horse-battery";

    fn settings(defaults: &[(&'static str, &str)]) -> Settings {
        Settings {
            station: StationSection {
                vendor: "V".into(),
                product: busbar_interfaces::product::Product::of_reference("EVD1S180TBB").expect("in the family"),
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
            Decision::Answer(verdict) => verdict,
            Decision::Write(entry) => {
                book.enter(entry);
                SetVerdict::Accepted
            }
        }
    }

    #[test]
    fn the_first_start_writes_the_station_files_values_and_later_starts_only_new_ones() {
        let first = settings(&[("HeartbeatInterval", "300")]);
        let rows = Book::open(&first, Vec::new(), |_| {}).first_values(&first, NOW);
        assert_eq!(rows.len(), 1);
        let later = settings(&[("HeartbeatInterval", "20"), ("ConnectionTimeOut", "5")]);
        let mut book = Book::open(&later, rows, |_| {});
        let new = book.first_values(&later, NOW);
        assert_eq!(new.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), ["ConnectionTimeOut"]);
        new.into_iter().for_each(|entry| book.enter(entry));
        assert_eq!((book.value("HeartbeatInterval"), book.value("ConnectionTimeOut")), ("300", "5"));
    }

    #[test]
    fn the_serial_number_is_the_identity_until_somebody_says_otherwise() {
        let mut book = book(Vec::new());
        assert_eq!(book.value("BoxIdentifier"), "SN-7");
        assert_eq!(set(&mut book, "boxidentifier", "CP-1", KeyOrigin::Engineer), SetVerdict::Accepted);
        assert_eq!(book.state().value("BoxIdentifier"), Some("CP-1"));
    }

    #[test]
    fn verdicts() {
        let mut book = book(Vec::new());
        for (key, value, verdict) in [
            ("HEARTBEATINTERVAL", "30", SetVerdict::Accepted),
            ("HeartbeatInterval", "soon", SetVerdict::Rejected),
            ("NumberOfConnectors", "2", SetVerdict::Rejected),
            ("NoSuchKey", "2", SetVerdict::NotSupported),
            ("", "", SetVerdict::NotSupported),
            ("SupervisionUrl", "", SetVerdict::Rejected),
            ("SupervisionUrl", "wss://csms.example/", SetVerdict::Rejected),
            ("SecurityProfile", "1", SetVerdict::Rejected),
            ("SecurityProfile", "0", SetVerdict::Accepted),
            ("AuthorizationKey", PASSWORD, SetVerdict::Rejected),
            ("LocalPreAuthorize", "true", SetVerdict::Rejected),
        ] {
            assert_eq!(set(&mut book, key, value, KeyOrigin::Csms), verdict, "{key} = {value}");
        }
        assert_eq!(book.value("HeartbeatInterval"), "30");
    }

    #[test]
    fn the_same_again_is_accepted_without_a_write() {
        let mut book = book(Vec::new());
        assert_eq!(set(&mut book, "ConnectionTimeOut", "120", KeyOrigin::Csms), SetVerdict::Accepted);
        let again = book.judge("ConnectionTimeOut", "120", KeyOrigin::Csms, UnixMillis(9_999));
        assert!(again == Decision::Answer(SetVerdict::Accepted));
        assert!(matches!(book.judge("ConnectionTimeOut", "120", KeyOrigin::Engineer, NOW), Decision::Write(_)));
    }

    #[test]
    fn a_secret_never_leaves() {
        let mut book = book(Vec::new());
        book.enter(row("AuthorizationKey", PASSWORD, KeyOrigin::Csms));
        assert!(!format!("{:?}{:?}", book.state(), book.records()).contains(PASSWORD));
        assert_eq!(book.state().value("AuthorizationKey"), None);
        let record = book.records().into_iter().find(|record| record.key == "AuthorizationKey").expect("listed");
        assert_eq!((record.access, record.origin), (KeyAccess::WriteOnly, KeyOrigin::Csms));
    }

    #[test]
    fn a_row_of_another_version_has_no_effect() {
        let mut strange = Vec::new();
        let rows = vec![
            row("KeyOfTomorrow", "1", KeyOrigin::Csms),
            row("HeartbeatInterval", "never", KeyOrigin::Csms),
            row("NumberOfConnectors", "7", KeyOrigin::Csms),
            row("SupervisionUrl", "wss://csms.example/", KeyOrigin::Csms),
            row("LocalPreAuthorize", "true", KeyOrigin::Csms),
            row("AuthorizationKey", PASSWORD, KeyOrigin::Csms),
        ];
        let book = Book::open(&settings(&[]), rows, |key| strange.push(key.to_owned()));
        let others = ["SupervisionUrl", "LocalPreAuthorize", "AuthorizationKey"];
        assert_eq!(strange, [&["KeyOfTomorrow", "HeartbeatInterval", "NumberOfConnectors"][..], &others].concat());
        assert_eq!((book.value("SupervisionUrl"), book.value("AuthorizationKey")), ("", ""));
        assert_eq!((book.value("HeartbeatInterval"), book.value("NumberOfConnectors")), ("60", "2"));
    }
}
