//! What this program knows from one boot to the next: the charge that ran, and how the checks went.

use crate::station::KEPT;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;

/// Where the harness and this program leave each other word (packaging/image/README.md).
const AGAIN: &str = "/run/image-test/again";

/// The record.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// How many checks were right.
    pub passed: u32,
    /// The names of those that were not.
    pub failed: Vec<String>,
    /// The charge that ran when the machine went down.
    pub running: Option<Running>,
}

/// A charge that ran when the machine went down.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Running {
    /// The station's number of it.
    pub transaction: u64,
    /// The operator's number of it.
    pub central: i64,
    /// The meter before the machine went down.
    pub register: u64,
}

impl Record {
    /// What the boot before has left.
    ///
    /// # Errors
    /// When it has left nothing.
    pub fn read() -> Result<Record> {
        let path = format!("{KEPT}/record.json");
        let text = std::fs::read_to_string(&path).with_context(|| path)?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Leaves it for the next boot, and asks the harness for that.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn ask_for(&self, boot: &str) -> Result<()> {
        let mut file = File::create(format!("{KEPT}/record.json"))?;
        file.write_all(serde_json::to_string(self)?.as_bytes())?;
        file.sync_all()?;
        File::open(KEPT)?.sync_all()?;
        Ok(std::fs::write(AGAIN, boot)?)
    }
}
