//! The bus object of settings: thin, no decisions.

use crate::service::{Input, Wish};
use busbar_interfaces::settings::{KeyRecord, SettingsState};
use busbar_interfaces::words::{KeyOrigin, SetVerdict};
use busbar_interfaces::{BoottimeMillis, CallError, names};
use busbar_runtime::{Bus, Desk, Shown};
use std::collections::BTreeMap;
use zbus::fdo::DBusProxy;
use zbus::message::Header;

pub struct RootObject {
    pub desk: Desk<Input>,
    pub shown: Shown<SettingsState>,
    pub bus: Bus,
}

impl RootObject {
    /// Whether a message comes from the process that owns the name of `ocpp` now. A policy can say the same, but a
    /// password does not rest on one.
    async fn is_from_ocpp(&self, header: &Header<'_>) -> Result<bool, zbus::Error> {
        let daemon = DBusProxy::new(self.bus.connection()).await?;
        // When nobody owns the name, nobody is `ocpp`.
        let owner = daemon.get_name_owner(names::OCPP.bus_name.try_into()?).await.ok();
        Ok(owner.is_some_and(|owner| header.sender() == Some(owner.inner())))
    }
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

    /// The value of a write-only key as a sealed memory file; for `ocpp` alone.
    #[zbus(out_args("secret"))]
    async fn open_secret(&self, key: String, #[zbus(header)] header: Header<'_>) -> Result<zbus::OwnedFd, CallError> {
        let is_from_ocpp = self.is_from_ocpp(&header).await?;
        self.desk.ask(|reply| Input::OpenSecret { key, is_from_ocpp, reply }).await.map(zbus::OwnedFd::from)
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

    /// The write-only keys, each with the moment of its last change.
    #[zbus(property)]
    fn secrets(&self) -> BTreeMap<String, u64> {
        self.shown.get(|state| state.secrets.clone())
    }
}
