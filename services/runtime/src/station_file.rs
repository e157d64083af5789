//! The station file: TOML in layers, later ones win key by key. A service reads its own section through [`Section`],
//! which collects every fault (unknown key, wrong type, impossible value, missing key) with file, line and key, so
//! that all of them are reported together.

use crate::durable;
use crate::exit::Exit;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use toml_spanner::{Arena, Document, Item, Span, Table};

/// The sections that a station file may have; each belongs to one service, `station` to all.
pub const SECTIONS: [&str; 10] =
    ["station", "settings", "power", "metering", "faults", "smart-charging", "session", "ocpp", "maintenance", "hmi"];

/// The texts of all layers, oldest first.
#[derive(Debug, Default)]
pub struct StationFile {
    layers: Vec<(PathBuf, String)>,
}

/// One fault of the station file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file; the last layer when the fault is that nobody sets a key.
    pub file: String,
    /// The line, from 1; 0 when there is none.
    pub line: usize,
    /// The key with its section, such as `power.modules_bus`.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}: `{}`: {}", self.file, self.key, self.message),
            line => write!(f, "{}:{line}: `{}`: {}", self.file, self.key, self.message),
        }
    }
}

impl StationFile {
    /// Reads all layers under a root directory, which is `/` on a station.
    ///
    /// # Errors
    /// [`Exit::Settings`] when a file is there and cannot be read, or when there is none at all.
    pub fn read(root: &Path) -> Result<StationFile, Exit> {
        let mut paths = vec![root.join("usr/lib/busbar/station.toml"), root.join("etc/busbar/station.toml")];
        for directory in ["etc/busbar/station.d", "run/busbar/station.d"] {
            paths.extend(drop_ins(&root.join(directory))?);
        }
        let mut layers = Vec::new();
        for path in paths {
            let text = durable::read(&path)
                .map_err(|error| Exit::Settings(format!("{}: cannot be read: {error}", path.display())))?;
            layers.extend(text.map(|text| (path, text)));
        }
        if layers.is_empty() {
            let expected = root.join("etc/busbar/station.toml");
            return Err(Exit::Settings(format!("there is no station file; write `{}`", expected.display())));
        }
        Ok(StationFile { layers })
    }

    /// A station file from texts, oldest first.
    pub fn from_layers(layers: impl IntoIterator<Item = (PathBuf, String)>) -> StationFile {
        StationFile { layers: layers.into_iter().collect() }
    }

    /// Reads sections: `read` gets a way to open each of them, and its result counts only if there was no fault.
    ///
    /// # Errors
    /// Every fault that was found.
    pub fn sections<T>(&self, read: impl FnOnce(&mut Sections<'_, '_>) -> T) -> Result<T, Vec<Fault>> {
        let arena = Arena::new();
        let documents: Vec<(String, &str, Document<'_>)> = self
            .layers
            .iter()
            .map(|(path, text)| {
                (path.display().to_string(), text.as_str(), toml_spanner::parse_recoverable(text, &arena))
            })
            .collect();
        let layers: Vec<Layer<'_>> =
            documents.iter().map(|(file, text, document)| Layer { file, text, table: document.table() }).collect();
        let mut faults: Vec<Fault> = Vec::new();
        for (file, text, document) in &documents {
            faults.extend(document.errors().iter().map(|error| Fault {
                file: file.clone(),
                line: line_of(text, error.span()),
                key: error.path().map_or_else(|| key_at(text, error.span()), |path| path.to_string()),
                message: error.message(text),
            }));
        }
        let mut sections = Sections { layers: &layers, faults: &mut faults };
        sections.refuse_unknown_sections();
        let result = read(&mut sections);
        faults.sort();
        faults.dedup();
        if faults.is_empty() { Ok(result) } else { Err(faults) }
    }
}

#[allow(clippy::disallowed_methods, reason = "the station file is read here")]
fn drop_ins(directory: &Path) -> Result<Vec<PathBuf>, Exit> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Exit::Settings(format!("{}: cannot be read: {error}", directory.display()))),
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    Ok(files)
}

/// The address of a TCP server, for [`Section::parsed`].
///
/// # Errors
/// A text that says what would be right.
pub fn host_and_port(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) => Ok(text.to_owned()),
        _ => Err("must be HOST:PORT, such as \"192.168.1.40:502\"".to_owned()),
    }
}

fn line_of(text: &str, span: Span) -> usize {
    let before = text.get(..span.range().start).unwrap_or(text);
    before.matches('\n').count().saturating_add(1)
}

fn key_at(text: &str, span: Span) -> String {
    text.get(span.range()).unwrap_or_default().trim().chars().take(40).collect()
}

#[derive(Debug, Clone, Copy)]
struct Layer<'a> {
    file: &'a str,
    text: &'a str,
    table: &'a Table<'a>,
}

impl Layer<'_> {
    fn fault(&self, span: Span, key: String, message: String) -> Fault {
        Fault { file: self.file.to_owned(), line: line_of(self.text, span), key, message }
    }
}

/// The whole file, from which sections are opened.
pub struct Sections<'a, 'f> {
    layers: &'f [Layer<'a>],
    faults: &'f mut Vec<Fault>,
}

impl<'a> Sections<'a, '_> {
    /// Reads one section.
    pub fn section<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Section<'a, '_>) -> T) -> T {
        read_section(self.layers, name.to_owned(), name, self.faults, read)
    }

    fn refuse_unknown_sections(&mut self) {
        for layer in self.layers {
            for (key, item) in layer.table.entries() {
                let known = SECTIONS.contains(&key.as_str());
                if !known || item.as_table().is_none() {
                    let message = format!("is not a section; the sections are {}", SECTIONS.join(", "));
                    self.faults.push(layer.fault(key.span, key.as_str().to_owned(), message));
                }
            }
        }
    }
}

/// Reads the sub-tables that layers have under a key, then refuses the keys that the reader did not ask for.
fn read_section<'a, T>(
    layers: &[Layer<'a>],
    path: String,
    key: &str,
    faults: &mut Vec<Fault>,
    read: impl FnOnce(&mut Section<'a, '_>) -> T,
) -> T {
    let layers: Vec<Layer<'a>> = layers
        .iter()
        .filter_map(|layer| {
            let table = layer.table.get(key)?.as_table()?;
            Some(Layer { table, ..*layer })
        })
        .collect();
    read_tables(layers, path, faults, read)
}

fn read_tables<'a, T>(
    layers: Vec<Layer<'a>>,
    path: String,
    faults: &mut Vec<Fault>,
    read: impl FnOnce(&mut Section<'a, '_>) -> T,
) -> T {
    let mut section = Section { layers, path, asked: BTreeSet::new(), faults };
    let result = read(&mut section);
    section.refuse_unknown_keys();
    result
}

/// One section of the station file. A reader that finds a fault records it and returns a stand-in, which never
/// reaches the service: with a fault there are no settings.
pub struct Section<'a, 'f> {
    layers: Vec<Layer<'a>>,
    path: String,
    asked: BTreeSet<&'static str>,
    faults: &'f mut Vec<Fault>,
}

impl<'a> Section<'a, '_> {
    /// A text; `default` when nobody sets it, a fault when there is no default either.
    pub fn text(&mut self, key: &'static str, default: Option<&str>) -> String {
        self.parsed(key, default, |text| Ok(text.to_owned())).unwrap_or_default()
    }

    /// A text that must mean something: `parse` says what, or what would be right.
    pub fn parsed<T>(
        &mut self,
        key: &'static str,
        default: Option<&str>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (layer, item) = match self.find(key) {
            Some(found) => found,
            None => {
                return match default {
                    Some(default) => parse(default).map_err(|message| self.missing(key, &message)).ok(),
                    None => {
                        self.missing(key, "must be set");
                        None
                    }
                };
            }
        };
        match item.as_str() {
            Some(text) => parse(text).map_err(|message| self.at(layer, item, key, message)).ok(),
            None => {
                self.at(layer, item, key, format!("must be a text in quotes, not {}", item.type_str()));
                None
            }
        }
    }

    /// A whole number within a range.
    pub fn integer(&mut self, key: &'static str, range: RangeInclusive<u64>, default: Option<u64>) -> u64 {
        let stand_in = *range.start();
        let Some((layer, item)) = self.find(key) else {
            return default.unwrap_or_else(|| {
                self.missing(key, "must be set");
                stand_in
            });
        };
        let wanted = format!("must be a whole number from {} to {}", range.start(), range.end());
        match item.as_u64() {
            Some(value) if range.contains(&value) => value,
            Some(value) => {
                self.at(layer, item, key, format!("{wanted}, not {value}"));
                stand_in
            }
            None => {
                self.at(layer, item, key, format!("{wanted}, not {}", item.type_str()));
                stand_in
            }
        }
    }

    /// A whole number within a range that need not be set.
    pub fn optional_integer(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        self.find(key)?;
        Some(self.integer(key, range, None))
    }

    /// True or false.
    pub fn flag(&mut self, key: &'static str, default: bool) -> bool {
        let Some((layer, item)) = self.find(key) else { return default };
        item.as_bool().unwrap_or_else(|| {
            self.at(layer, item, key, format!("must be true or false, not {}", item.type_str()));
            default
        })
    }

    /// A table of texts with free keys; later layers win key by key. Whole numbers and booleans count as their text.
    pub fn texts(&mut self, key: &'static str) -> BTreeMap<String, String> {
        self.asked.insert(key);
        let mut texts = BTreeMap::new();
        for layer in self.layers.clone() {
            let Some(item) = layer.table.get(key) else { continue };
            let Some(table) = item.as_table() else {
                self.at(layer, item, key, format!("must be a table, not {}", item.type_str()));
                continue;
            };
            for (name, item) in table.entries() {
                let text = item
                    .as_str()
                    .map(str::to_owned)
                    .or_else(|| item.as_i64().map(|value| value.to_string()))
                    .or_else(|| item.as_bool().map(|value| value.to_string()));
                match text {
                    Some(text) => drop(texts.insert(name.as_str().to_owned(), text)),
                    None => {
                        let key = format!("{}.{key}.{}", self.path, name.as_str());
                        let message = format!("must be a text, a whole number or a boolean, not {}", item.type_str());
                        self.faults.push(layer.fault(item.span(), key, message));
                    }
                }
            }
        }
        texts
    }

    /// An array of texts, as the last layer that has it gives it; `default` when nobody sets it.
    pub fn list_of_texts(&mut self, key: &'static str, default: &[&str]) -> Vec<String> {
        let Some((layer, item)) = self.find(key) else {
            return default.iter().map(|text| (*text).to_owned()).collect();
        };
        let texts = item.as_array().and_then(|array| {
            array.iter().map(|element| element.as_str().map(str::to_owned)).collect::<Option<Vec<String>>>()
        });
        texts.unwrap_or_else(|| {
            self.at(layer, item, key, "must be an array of texts in quotes".to_owned());
            Vec::new()
        })
    }

    /// A table within this section.
    pub fn section<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Section<'a, '_>) -> T) -> T {
        self.asked.insert(key);
        for layer in self.layers.clone() {
            if let Some(item) = layer.table.get(key).filter(|item| item.as_table().is_none()) {
                self.at(layer, item, key, format!("must be a table, not {}", item.type_str()));
            }
        }
        let path = format!("{}.{key}", self.path);
        read_section(&self.layers, path, key, self.faults, read)
    }

    /// An array of tables, as the last layer that has it gives it.
    pub fn list<T>(&mut self, key: &'static str, mut read: impl FnMut(&mut Section<'a, '_>) -> T) -> Vec<T> {
        let Some((layer, item)) = self.find(key) else { return Vec::new() };
        let Some(array) = item.as_array() else {
            self.at(layer, item, key, format!("must be an array of tables, not {}", item.type_str()));
            return Vec::new();
        };
        let mut results = Vec::new();
        for (index, element) in array.iter().enumerate() {
            let path = format!("{}.{key}[{index}]", self.path);
            match element.as_table() {
                Some(table) => {
                    results.push(read_tables(vec![Layer { table, ..layer }], path, self.faults, &mut read));
                }
                None => {
                    let message = format!("must be a table, not {}", element.type_str());
                    self.faults.push(layer.fault(element.span(), path, message));
                }
            }
        }
        results
    }

    /// Records a fault that no single value shows, at the line of a key.
    pub fn refuse(&mut self, key: &'static str, message: impl Into<String>) {
        match self.find(key) {
            Some((layer, item)) => self.at(layer, item, key, message.into()),
            None => self.missing(key, &message.into()),
        }
    }

    /// Records a fault of one entry of a table of texts, at its line.
    pub fn refuse_entry(&mut self, key: &'static str, entry: &str, message: impl Into<String>) {
        let found = self.layers.iter().rev().find_map(|layer| {
            let item = layer.table.get(key)?.as_table()?.get(entry)?;
            Some((*layer, item))
        });
        match found {
            Some((layer, item)) => self.at(layer, item, &format!("{key}.{entry}"), message.into()),
            None => self.refuse(key, message),
        }
    }

    fn find(&mut self, key: &'static str) -> Option<(Layer<'a>, &'a Item<'a>)> {
        self.asked.insert(key);
        self.layers.iter().rev().find_map(|layer| layer.table.get(key).map(|item| (*layer, item)))
    }

    fn at(&mut self, layer: Layer<'a>, item: &Item<'a>, key: &str, message: String) {
        self.faults.push(layer.fault(item.span(), format!("{}.{key}", self.path), message));
    }

    fn missing(&mut self, key: &str, message: &str) {
        let file = self.layers.last().map_or("the station file", |layer| layer.file).to_owned();
        let key = format!("{}.{key}", self.path);
        self.faults.push(Fault { file, line: 0, key, message: message.to_owned() });
    }

    fn refuse_unknown_keys(&mut self) {
        for layer in &self.layers {
            for (key, _) in layer.table.entries() {
                if !self.asked.contains(key.as_str()) {
                    let known: Vec<&str> = self.asked.iter().copied().collect();
                    let message = format!("is not a key of this section; its keys are {}", known.join(", "));
                    self.faults.push(layer.fault(key.span, format!("{}.{}", self.path, key.as_str()), message));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(layers: &[&str]) -> StationFile {
        let named = layers.iter().enumerate();
        StationFile::from_layers(named.map(|(n, text)| (PathBuf::from(format!("layer{n}.toml")), (*text).to_owned())))
    }

    #[test]
    fn later_layers_win_key_by_key() {
        let file = file(&["[power]\nname = \"a\"\nwatts = 1\n", "[power]\nwatts = 2\n"]);
        let read = file.sections(|all| {
            all.section("power", |power| (power.text("name", None), power.integer("watts", 0..=9, None)))
        });
        assert_eq!(read, Ok(("a".to_owned(), 2)));
    }

    #[test]
    fn a_list_of_texts_is_one_value_and_holds_nothing_else() {
        let read = |text: &str| {
            let read = file(&[text]).sections(|all| all.section("ocpp", |ocpp| ocpp.list_of_texts("roots", &["a"])));
            read.map_err(|faults| faults.iter().map(|fault| (fault.line, fault.key.clone())).collect::<Vec<_>>())
        };
        assert_eq!(read("[ocpp]\n"), Ok(vec!["a".to_owned()]));
        assert_eq!(read("[ocpp]\nroots = []\n"), Ok(Vec::new()));
        assert_eq!(read("[ocpp]\nroots = [\"b\", \"c\"]\n"), Ok(vec!["b".to_owned(), "c".to_owned()]));
        for text in ["[ocpp]\nroots = \"b\"\n", "[ocpp]\nroots = [\"b\", 1]\n"] {
            assert_eq!(read(text), Err(vec![(2, "ocpp.roots".to_owned())]), "{text}");
        }
    }

    #[test]
    fn all_faults_come_together_with_file_line_and_key() {
        let file = file(&[
            "[power]\nwatts = \"many\"\nwats = 1\n[pover]\n",
            "[power]\nlimit = 99\n[[power.module]]\naddress = true\n",
        ]);
        let faults = file
            .sections(|all| {
                all.section("power", |power| {
                    power.integer("watts", 0..=9, None);
                    power.integer("limit", 0..=9, None);
                    power.text("bus", None);
                    power.list("module", |module| module.integer("address", 0..=62, None));
                })
            })
            .expect_err("there are faults");
        let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
        assert_eq!(lines.len(), 6, "{lines:#?}");
        for expected in [
            "layer0.toml:2: `power.watts`: must be a whole number from 0 to 9, not string",
            "layer0.toml:3: `power.wats`: is not a key",
            "layer0.toml:4: `pover`: is not a section",
            "layer1.toml: `power.bus`: must be set",
            "layer1.toml:2: `power.limit`: must be a whole number from 0 to 9, not 99",
            "layer1.toml:4: `power.module[0].address`: must be a whole number",
        ] {
            assert!(lines.iter().any(|line| line.starts_with(expected)), "{expected} in {lines:#?}");
        }
    }

    #[test]
    fn a_file_that_is_not_toml_is_a_fault_with_its_line() {
        let faults = file(&["[power]\nwatts = = 3\n"])
            .sections(|all| all.section("power", |power| power.integer("watts", 0..=9, Some(1))))
            .expect_err("not TOML");
        assert_eq!(faults.first().map(|fault| fault.line), Some(2), "{faults:?}");
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_a_panic(text in "[\\[\\]a-z=\"' .\\n0-9{}#]{0,120}") {
            let _ = file(&[&text]).sections(|all| {
                all.section("power", |power| {
                    power.text("a", Some("x"));
                    power.texts("b");
                    power.list("c", |c| c.flag("d", true))
                })
            });
        }
    }
}
