//! The `[hmi]` section of the station file.

use busbar_runtime::Sections;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Checked settings of this service.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where the driver's page is served, if it is.
    pub page: Option<SocketAddr>,
    /// The serial device of the PN532 card reader, if one is fitted.
    pub reader: Option<PathBuf>,
}

impl Settings {
    /// Reads and checks the section.
    pub fn read(file: &mut Sections<'_, '_>) -> Settings {
        file.section("hmi", |section| Settings {
            page: section.parsed("page", Some("127.0.0.1:0"), address).flatten(),
            reader: section.parsed("reader", Some(""), device).flatten(),
        })
    }
}

fn address(text: &str) -> Result<Option<SocketAddr>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        "must be ADDRESS:PORT with a numeric address, such as \"127.0.0.1:8080\" (port 0: any free one), or empty"
            .to_owned()
    })
}

fn device(text: &str) -> Result<Option<PathBuf>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.strip_prefix("pn532:") {
        Some(path) if path.starts_with('/') => Ok(Some(PathBuf::from(path))),
        _ => Err("must be pn532:/PATH/OF/THE/SERIAL/DEVICE, such as \"pn532:/dev/ttyUSB0\", or empty".to_owned()),
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
    fn a_page_on_this_machine_and_no_reader_unless_told() {
        let settings = read("").expect("good");
        assert_eq!(settings.page, Some(SocketAddr::from(([127, 0, 0, 1], 0))));
        assert_eq!(settings.reader, None);
        let settings = read("[hmi]\npage = \"\"\nreader = \"pn532:/dev/ttyS1\"\n").expect("good");
        assert_eq!((settings.page, settings.reader), (None, Some(PathBuf::from("/dev/ttyS1"))));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for text in ["page = \"8080\"", "reader = \"/dev/ttyS1\"", "reader = \"pn532:ttyS1\"", "screen = 1"] {
            assert_eq!(read(&format!("[hmi]\n{text}\n")), None, "{text}");
        }
    }
}
