//! What power notes about running deliveries in the runtime directory, for itself after a crash: it survives the
//! process and not the machine. It is advice; what the hardware says comes first.

use crate::limit::HeldLimit;
use busbar_interfaces::words::StopCause;
use busbar_interfaces::{BoottimeMillis, ConnectorId, TransactionId};
use busbar_runtime::durable;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One delivery that runs or is being ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryRecord {
    /// The delivery.
    pub delivery: TransactionId,
    /// Until when its lease holds.
    pub lease_until: BoottimeMillis,
    /// The limit that was held.
    pub limit: Option<HeldLimit>,
    /// Why it is being ended, and whether in an emergency.
    pub ending: Option<(StopCause, bool)>,
    /// Addresses of the modules that are told to deliver.
    pub modules: Vec<u8>,
}

/// What is noted of a connector.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConnectorRecord {
    /// The delivery that runs.
    pub delivery: Option<DeliveryRecord>,
    /// A contactor that did not follow.
    pub contactor_fault: Option<String>,
}

/// Every connector of which there is something to note.
pub type Deliveries = BTreeMap<ConnectorId, ConnectorRecord>;

/// The file.
#[derive(Debug)]
pub struct Record {
    path: PathBuf,
    written: Option<Deliveries>,
}

impl Record {
    /// The record in the runtime directory.
    pub fn in_directory(directory: &Path) -> Record {
        Record { path: directory.join("power.deliveries.json"), written: None }
    }

    /// What the last process noted; nothing when there is no record or it cannot be read.
    pub fn read(&self) -> Deliveries {
        let read = durable::read(&self.path).map_err(|error| error.to_string()).and_then(|text| {
            text.map_or(Ok(Deliveries::new()), |text| serde_json::from_str(&text).map_err(|error| error.to_string()))
        });
        read.unwrap_or_else(|error| {
            tracing::warn!(file = %self.path.display(), error, "the record of running deliveries cannot be read");
            Deliveries::new()
        })
    }

    /// Notes the deliveries, if they differ from what was noted last.
    pub fn write(&mut self, deliveries: Deliveries) {
        if self.written.as_ref() == Some(&deliveries) {
            return;
        }
        let written = serde_json::to_vec(&deliveries)
            .map_err(|error| error.to_string())
            .and_then(|text| durable::hand_over(&self.path, &text).map_err(|error| error.to_string()));
        match written {
            Ok(()) => self.written = Some(deliveries),
            // Without the record a crash ends in a safe stop instead of going on: degraded, not dangerous.
            Err(error) => tracing::warn!(file = %self.path.display(), error, "running deliveries cannot be noted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_read_by_the_next_process() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut record = Record::in_directory(directory.path());
        assert!(record.read().is_empty());
        let delivery = DeliveryRecord {
            delivery: TransactionId(7),
            lease_until: BoottimeMillis(9),
            limit: None,
            ending: Some((StopCause::Unplugged, true)),
            modules: vec![3, 4],
        };
        let noted = ConnectorRecord { delivery: Some(delivery), contactor_fault: Some("it sticks".to_owned()) };
        record.write(Deliveries::from([(ConnectorId(2), noted.clone())]));
        assert_eq!(Record::in_directory(directory.path()).read().get(&ConnectorId(2)), Some(&noted));
        record.write(Deliveries::new());
        assert!(Record::in_directory(directory.path()).read().is_empty());
    }
}
