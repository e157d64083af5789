//! The costs that are shown, kept over a crash or an upgrade of this process in the middle of a charge. They are in the
//! runtime directory: when the machine has started again, no charge runs that they could be about.

use crate::cost::Cost;
use busbar_interfaces::ConnectorId;
use busbar_runtime::durable;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// The cost of each connector that has one.
pub type Costs = BTreeMap<ConnectorId, Cost>;

/// The file of the costs.
#[derive(Debug, Clone)]
pub struct CostFile(PathBuf);

impl CostFile {
    /// In the runtime directory.
    pub fn new(runtime_directory: &Path) -> CostFile {
        CostFile(runtime_directory.join("costs.json"))
    }

    /// What was kept; nothing when there is no file, or none that can be read: the CSMS tells the next cost soon.
    pub fn read(&self) -> Costs {
        let text = durable::read(&self.0).map_err(|error| error.to_string());
        let costs = text.and_then(|text| match text {
            None => Ok(Vec::new()),
            Some(text) => serde_json::from_str::<Vec<(ConnectorId, Cost)>>(&text).map_err(|error| error.to_string()),
        });
        match costs {
            Ok(costs) => costs.into_iter().collect(),
            Err(error) => {
                tracing::warn!(file = %self.0.display(), error, "the costs that were shown cannot be read");
                Costs::new()
            }
        }
    }

    /// Keeps these and no others.
    ///
    /// # Errors
    /// What the file system says; what was kept before is then still in place.
    pub fn write(&self, costs: &Costs) -> io::Result<()> {
        durable::replace(&self.0, &serde_json::to_vec(&costs.iter().collect::<Vec<_>>())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_come_back_and_a_broken_file_holds_none() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = CostFile::new(directory.path());
        assert_eq!(file.read(), Costs::new());
        let cost = Cost::told("12.40 EUR", None).expect("can be shown");
        let costs = Costs::from([(ConnectorId(2), cost)]);
        file.write(&costs).expect("written");
        assert_eq!(file.read(), costs);
        durable::replace(&directory.path().join("costs.json"), b"[[2,{\"te").expect("written");
        assert_eq!(file.read(), Costs::new());
    }
}
