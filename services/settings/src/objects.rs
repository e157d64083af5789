//! The bus object of settings: thin, no decisions.

use crate::service::{Input, Wish};
use busbar_interfaces::settings::{KeyRecord, SettingsState};
use busbar_interfaces::words::{KeyOrigin, SetVerdict};
use busbar_interfaces::{BoottimeMillis, CallError};
use busbar_runtime::{Desk, Shown};
use std::collections::BTreeMap;

pub struct RootObject {
    pub desk: Desk<Input>,
    pub shown: Shown<SettingsState>,
}

/// The configuration keys.
#[zbus::interface(name = "io.busbar.Settings1", spawn = false)]
impl RootObject {
    /// Changes one key.
    #[zbus(out_args("verdict"))]
    async fn set(
        &self,
        key: String,
        value: String,
        origin: KeyOrigin,
        valid_until_boottime_millis: BoottimeMillis,
    ) -> Result<SetVerdict, CallError> {
        let valid_until = valid_until_boottime_millis;
        self.desk.ask(|reply| Input::Set { wish: Wish { key, value, origin, valid_until }, reply }).await
    }

    /// Every key with access and origin.
    #[zbus(out_args("keys"))]
    async fn list_keys(&self) -> Result<(Vec<KeyRecord>,), CallError> {
        self.desk.ask(|reply| Input::ListKeys { reply }).await.map(|keys| (keys,))
    }

    /// Every key that may be read, with its value.
    #[zbus(property)]
    fn values(&self) -> BTreeMap<String, String> {
        self.shown.get(|state| state.values.clone())
    }

    /// The keys that cannot be written.
    #[zbus(property(emits_changed_signal = "const"))]
    fn read_only_keys(&self) -> Vec<String> {
        self.shown.get(|state| state.read_only_keys.clone())
    }
}
