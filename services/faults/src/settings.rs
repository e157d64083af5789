//! The `[faults]` section of the station file.

use busbar_runtime::Sections;

/// Checked settings of this service.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How many entries of the history are kept.
    pub history_entries: u64,
}

impl Settings {
    /// Reads and checks the section.
    pub fn read(file: &mut Sections<'_, '_>) -> Settings {
        file.section("faults", |section| Settings {
            history_entries: section.integer("history_entries", 100..=1_000_000, Some(10_000)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use busbar_runtime::StationFile;

    fn read(text: &str) -> Option<Settings> {
        StationFile::from_layers([("station.toml".into(), text.to_owned())]).sections(Settings::read).ok()
    }

    #[test]
    fn the_history_has_an_end() {
        assert_eq!(read("").map(|settings| settings.history_entries), Some(10_000));
        assert_eq!(read("[faults]\nhistory_entries = 500\n").map(|settings| settings.history_entries), Some(500));
        assert_eq!(read("[faults]\nhistory_entries = 5\n"), None);
        assert_eq!(read("[faults]\nhistory = 500\n"), None);
    }
}
