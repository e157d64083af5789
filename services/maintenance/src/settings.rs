//! The `[maintenance]` section of the station file.

use busbar_runtime::Sections;

/// Checked settings of this service.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How many reports are kept.
    pub reports_kept: usize,
}

impl Settings {
    /// Reads and checks the section.
    pub fn read(file: &mut Sections<'_, '_>) -> Settings {
        file.section("maintenance", |section| {
            let kept = section.integer("reports_kept", 1..=1000, Some(10));
            Settings { reports_kept: usize::try_from(kept).unwrap_or(1) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use busbar_runtime::StationFile;

    fn read(text: &str) -> Option<usize> {
        let file = StationFile::from_layers([("station.toml".into(), text.to_owned())]);
        file.sections(Settings::read).ok().map(|settings| settings.reports_kept)
    }

    #[test]
    fn ten_reports_unless_told() {
        assert_eq!(read(""), Some(10));
        assert_eq!(read("[maintenance]\nreports_kept = 3\n"), Some(3));
        assert_eq!(read("[maintenance]\nreports_kept = 0\n"), None);
        assert_eq!(read("[maintenance]\nreports = 3\n"), None);
    }
}
