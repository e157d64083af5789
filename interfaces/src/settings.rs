//! `io.busbar.Settings1`: the OCPP configuration keys.

use crate::service::Published;
use crate::units::{BoottimeMillis, UnixMillis};
use crate::words::{KeyAccess, KeyOrigin, SetVerdict};
use crate::{CallError, names};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zbus::{DeserializeDict, SerializeDict, Type};

/// Properties of `io.busbar.Settings1`.
#[derive(Debug, Clone, PartialEq, Default, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "PascalCase")]
pub struct SettingsState {
    /// Every key that may be read, with its value.
    pub values: BTreeMap<String, String>,
    /// The keys of `values` that cannot be written.
    pub read_only_keys: Vec<String>,
    /// The write-only keys, each with the moment of its last change in milliseconds since 1970; 0 when it was never
    /// set. The moment is never the same for two values.
    pub secrets: BTreeMap<String, u64>,
}

impl Published for SettingsState {
    const INTERFACE: &'static str = names::SETTINGS.bus_name;
}

impl SettingsState {
    /// The value of a key whose spelling is the canonical one.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }
}

/// One key as `ListKeys` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct KeyRecord {
    /// The key in its canonical spelling.
    pub key: String,
    /// The value; empty for a write-only key.
    pub value: String,
    /// Who may change it.
    pub access: KeyAccess,
    /// Where the value comes from.
    pub origin: KeyOrigin,
    /// When it was last changed; 0 if never.
    pub changed_unix_millis: UnixMillis,
    /// What it is when nobody has said anything else; empty for a write-only key.
    pub default_value: String,
    /// What it takes, in words.
    pub takes: String,
    /// The roles of the services that act on it, in the order of their names.
    pub applied_by: Vec<String>,
    /// A change holds only after the next restart of the station.
    pub restart_needed: bool,
}

/// Methods of `io.busbar.Settings1`.
#[zbus::proxy(
    interface = "io.busbar.Settings1",
    default_service = "io.busbar.Settings1",
    default_path = "/io/busbar/Settings1"
)]
pub trait Settings {
    /// Changes one key. Whoever asks no longer waits after `valid_until`.
    fn set(
        &self,
        key: &str,
        value: &str,
        origin: KeyOrigin,
        valid_until_boottime_millis: BoottimeMillis,
    ) -> Result<SetVerdict, CallError>;
    /// The value of a write-only key as a sealed memory file; for `ocpp` alone.
    fn open_secret(&self, key: &str) -> Result<zbus::OwnedFd, CallError>;
    /// Every key with access and origin.
    fn list_keys(&self) -> Result<Vec<KeyRecord>, CallError>;
}
