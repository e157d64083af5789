//! The link between the station and its operator, as tests work on it: cut and healed, its keys changed from afar or at
//! the station, its state watched on the bus.

use crate::scene::{IDENTITY, LIMIT, Scene};
use anyhow::{Context, Result};
use busbar_csms::Csms;
use busbar_interfaces::names;
use busbar_interfaces::ocpp::OcppState;
use busbar_interfaces::settings::{KeyRecord, SettingsProxy};
use busbar_interfaces::words::{Link, Registration};
use serde_json::{Value, json};
use std::process::{Output, Stdio};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The operator changes a key; its answer.
///
/// # Errors
/// When there is none, or none with a status.
pub async fn change(csms: &Csms, key: &str, value: &str) -> Result<String> {
    let answer = csms.call(IDENTITY, "ChangeConfiguration", json!({ "key": key, "value": value })).await?;
    answer.status().map(str::to_owned).with_context(|| format!("{key}: {answer:?}"))
}

/// The operator asks for a key: its value, if the station tells it.
///
/// # Errors
/// When there is no answer.
pub async fn ask(csms: &Csms, key: &str) -> Result<Option<String>> {
    let answer = csms.call(IDENTITY, "GetConfiguration", json!({ "key": [key] })).await?;
    let value = answer.payload.pointer("/configurationKey/0/value").and_then(Value::as_str);
    Ok(value.map(str::to_owned))
}

/// The operator asks for a sign of life and answers it: the station knows then that the link is a good one.
///
/// # Errors
/// When there is none.
pub async fn prove(csms: &Csms) -> Result<()> {
    let from = csms.mark();
    csms.call(IDENTITY, "TriggerMessage", json!({ "requestedMessage": "Heartbeat" })).await?;
    let answered = csms.wait_for_since(from, LIMIT, |frame| {
        frame.direction == busbar_csms::Direction::ToStation && frame.raw.contains("currentTime")
    });
    answered.await.map_err(|timeout| anyhow::anyhow!("no heartbeat was answered: {timeout:?}"))?;
    Ok(())
}

/// How often the operator was sent a request since a frame.
pub fn requests(csms: &Csms, from: u64, action: &str) -> usize {
    csms.frames_since(from).iter().filter(|frame| frame.is_request(action)).count()
}

impl Scene {
    /// Waits until the link is as it should be, as the station says itself.
    ///
    /// # Errors
    /// What it says instead.
    pub async fn link(&self, is: impl Fn(&OcppState) -> bool) -> Result<OcppState> {
        Ok(self.bench.wait_for(names::OCPP, names::OCPP.root, LIMIT, is).await?)
    }

    /// Waits until the operator has accepted the station, on an address.
    ///
    /// # Errors
    /// What the station says instead.
    pub async fn accepted_at(&self, url: &str) -> Result<OcppState> {
        let here = |state: &OcppState| state.central_system_url.trim_end_matches('/') == url.trim_end_matches('/');
        let accepted = |state: &OcppState| state.link == Link::Accepted && state.registration == Registration::Accepted;
        self.link(|state| accepted(state) && here(state)).await
    }

    /// Cuts the link; there is none until [`Scene::heal`].
    ///
    /// # Errors
    /// When the station does not notice.
    pub async fn cut(&self) -> Result<()> {
        let csms = self.csms()?;
        csms.refuse(true);
        csms.drop_connection(IDENTITY);
        self.link(|state| state.link == Link::Disconnected).await?;
        Ok(())
    }

    /// Lets the station in again, and waits until it is.
    ///
    /// # Errors
    /// When it does not come.
    pub async fn heal(&self) -> Result<()> {
        self.csms()?.refuse(false);
        self.link(|state| state.link == Link::Accepted).await?;
        Ok(())
    }

    /// All that `settings` tells of a key.
    ///
    /// # Errors
    /// When it tells nothing.
    pub async fn key(&self, key: &str) -> Result<KeyRecord> {
        let keys = SettingsProxy::new(self.bench.bus()).await?.list_keys().await?;
        keys.into_iter().find(|record| record.key == key).with_context(|| format!("there is no key {key}"))
    }

    /// Runs the engineer's command at the station.
    ///
    /// # Errors
    /// When it cannot be run.
    pub async fn busbarctl(&self, arguments: &[&str]) -> Result<Output> {
        self.busbarctl_reading("", arguments).await
    }

    /// Likewise, with something to read on its standard input.
    ///
    /// # Errors
    /// When it cannot be run.
    pub async fn busbarctl_reading(&self, input: &str, arguments: &[&str]) -> Result<Output> {
        let own = std::env::current_exe()?;
        let program = own.ancestors().nth(2).context("the directory of the programs")?.join("busbarctl");
        let mut command = Command::new(program);
        command.arg("--bus").arg(self.bench.bus_address()).args(arguments).kill_on_drop(true);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut pipe = child.stdin.take().context("a standard input")?;
        // A command that reads nothing may have ended already.
        let _ = pipe.write_all(input.as_bytes()).await;
        drop(pipe);
        Ok(tokio::time::timeout(LIMIT, child.wait_with_output()).await??)
    }
}
