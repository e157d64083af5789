//! What the CSMS has been told in this run of the machine. It is kept in the runtime directory: there after a crash or
//! an upgrade of the process, gone after the machine started again, when the CSMS has to be told anew.

use busbar_runtime::durable;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// The registration and the statuses.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Record {
    /// The address that it is about, without credentials.
    pub url: String,
    /// The identity that it is about.
    pub identity: String,
    /// The CSMS has accepted the station.
    pub accepted: bool,
    /// Between heartbeats; absent when the key HeartbeatInterval decides.
    pub interval_seconds: Option<u64>,
    /// The last status that it was told of each connector.
    pub told: BTreeMap<u32, Told>,
}

/// What a StatusNotification says, but for its time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Told {
    /// `status`.
    pub status: String,
    /// `errorCode`.
    pub error_code: String,
    /// `info`; empty when left out.
    pub info: String,
    /// `vendorErrorCode`; empty when left out.
    pub vendor_error_code: String,
}

/// The file of the record.
#[derive(Debug, Clone)]
pub struct RecordFile(PathBuf);

impl RecordFile {
    /// In the runtime directory.
    pub fn new(runtime_directory: &Path) -> RecordFile {
        RecordFile(runtime_directory.join("registration.json"))
    }

    /// The record; an empty one when there is none, or none that can be read: the CSMS is then told once more.
    pub(crate) fn read(&self) -> Record {
        let text = match durable::read(&self.0) {
            Ok(text) => text.unwrap_or_default(),
            Err(error) => {
                tracing::warn!(file = %self.0.display(), %error, "the registration record cannot be read");
                return Record::default();
            }
        };
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub(crate) fn write(&self, record: &Record) -> io::Result<()> {
        if let Some(directory) = self.0.parent() {
            std::fs::create_dir_all(directory)?;
        }
        durable::replace(&self.0, &serde_json::to_vec(record)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_and_a_broken_one_is_none() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = RecordFile::new(directory.path());
        assert_eq!(file.read(), Record::default());
        let told = Told { status: "Available".into(), error_code: "NoError".into(), ..Told::default() };
        let record = Record {
            url: "ws://csms/".into(),
            identity: "CP1".into(),
            accepted: true,
            interval_seconds: Some(300),
            told: BTreeMap::from([(1, told)]),
        };
        file.write(&record).expect("written");
        assert_eq!(file.read(), record);
        durable::replace(&file.0, b"{\"url\":").expect("written");
        assert_eq!(file.read(), Record::default());
    }
}
