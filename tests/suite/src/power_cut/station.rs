//! A station for one life: session and settings as processes on a bus of their own, the rest scripted in this process.

use crate::chaos::peers::{CONNECTORS, Peers};
use crate::chaos::plan::Victim;
use crate::chaos::processes::{Process, Program, until};
use crate::power_cut::central::Central;
use anyhow::{Context, Result, anyhow};
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::session::{SessionConnectorState, SessionProxy, SessionState, TransactionEvent};
use busbar_interfaces::settings::SettingsProxy;
use busbar_interfaces::{ConnectorId, names};
use busbar_private_bus::PrivateBus;
use busbar_runtime::object::fetch;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Child;
use tokio::time::timeout;
use zbus::Connection;
use zbus::fdo::DBusProxy;
use zbus::names::BusName;
use zbus::proxy::CacheProperties;

/// A process ends, and the bus lets go of its name, within this time or never.
const END_LIMIT: Duration = Duration::from_secs(10);
/// Events that are asked for at a time.
const PAGE: u32 = 256;

const STATION_FILE: &str = r#"
[station]
model = "EVD1S180TBB"
serial = "POWER-CUT-0001"

[settings.defaults]
MeterValueSampleInterval = "0"
LocalPreAuthorize = "true"
StopTransactionOnInvalidId = "false"
StopTransactionOnEVSideDisconnect = "false"
"#;

/// What session shows of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The station.
    pub root: SessionState,
    /// Its connectors.
    pub connectors: BTreeMap<u32, SessionConnectorState>,
}

/// The station.
pub struct Station {
    /// Power, metering and faults.
    pub peers: Peers,
    /// The link.
    pub central: Central,
    /// What people and peers call.
    pub session: SessionProxy<'static>,
    /// Likewise.
    pub settings: SettingsProxy<'static>,
    /// How often session was started.
    pub starts: usize,
    client: Connection,
    keys: Process,
    program: Program,
    process: Option<Child>,
    // Last, so that whoever uses them is gone before.
    _bus: PrivateBus,
    directory: TempDir,
}

impl Station {
    /// Everything but session, which is started apart.
    ///
    /// # Errors
    /// When something of it does not start.
    #[allow(clippy::disallowed_methods, reason = "the test lays out the files of a station, as packages would")]
    pub async fn prepare() -> Result<Station> {
        let directory = tempfile::Builder::new().prefix("busbar-power-cut-").tempdir()?;
        let etc = directory.path().join("etc/busbar");
        std::fs::create_dir_all(&etc)?;
        std::fs::write(etc.join("station.toml"), STATION_FILE)?;
        let bus = PrivateBus::start().await?;
        let client = bus.connect().await?;
        let peers = Peers::start(bus.address()).await.map_err(|exit| anyhow!("the scripted hardware: {exit}"))?;
        let central = Central::start(bus.address()).await.map_err(|exit| anyhow!("the scripted link: {exit}"))?;
        Ok(Station {
            peers,
            central,
            session: SessionProxy::builder(&client).cache_properties(CacheProperties::No).build().await?,
            settings: SettingsProxy::builder(&client).cache_properties(CacheProperties::No).build().await?,
            starts: 0,
            client,
            keys: Process::start(Victim::Settings, bus.address(), directory.path())?,
            program: Program::find(Victim::Session.role(), bus.address(), directory.path())?,
            process: None,
            _bus: bus,
            directory,
        })
    }

    /// Starts session, which kills itself at a durable write if one is given.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start_session(&mut self, failpoint: Option<u64>) -> Result<()> {
        self.until_nobody_is_session().await?;
        let failpoint = failpoint.map(|number| ("BUSBAR_FAILPOINT", number.to_string()));
        self.process = Some(self.program.spawn(failpoint.as_slice())?);
        self.starts = self.starts.saturating_add(1);
        Ok(())
    }

    async fn until_nobody_is_session(&self) -> Result<()> {
        let daemon = DBusProxy::new(&self.client).await?;
        let name = BusName::try_from(names::SESSION.bus_name)?;
        until("the name of session is free", END_LIMIT, async || {
            (daemon.name_has_owner(name.clone()).await.ok() == Some(false)).then_some(())
        })
        .await
    }

    /// How session has ended, if it has.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let Some(process) = &mut self.process else { return Ok(None) };
        let exit = process.try_wait()?;
        if exit.is_some() {
            self.process = None;
        }
        Ok(exit)
    }

    /// Stops session as the service manager does, and waits for its end.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop_session(&mut self) -> Result<ExitStatus> {
        let mut process = self.process.take().context("session runs")?;
        if let Some(number) = process.id().and_then(|number| i32::try_from(number).ok()) {
            // It may have ended by itself; then that is its exit.
            let _ = kill(Pid::from_raw(number), Signal::SIGTERM);
        }
        Ok(timeout(END_LIMIT, process.wait()).await.context("session does not stop")??)
    }

    /// The mains fail while session is down, and come back: the outputs are off, whatever was in a runtime directory is
    /// gone, and settings starts anew.
    ///
    /// # Errors
    /// When the files cannot be removed.
    pub async fn fail_mains(&mut self) -> Result<()> {
        self.peers.mains(false);
        self.keys.killer().kill();
        // What session has said last is heard before the mains are back.
        self.until_nobody_is_session().await?;
        let power = names::POWER.connector(ConnectorId(1));
        let _: PowerConnectorState = fetch(&self.client, names::POWER, &power).await?;
        std::fs::remove_dir_all(self.program.runtime_directory())?;
        std::fs::create_dir_all(self.program.runtime_directory())?;
        self.peers.mains(true);
        Ok(())
    }

    /// What session shows, if it is there.
    pub async fn seen(&self) -> Option<Seen> {
        let mut connectors = BTreeMap::new();
        for connector in CONNECTORS {
            connectors.insert(connector, self.connector(connector).await?);
        }
        Some(Seen { root: self.root().await?, connectors })
    }

    /// What it shows of the station.
    pub async fn root(&self) -> Option<SessionState> {
        fetch(&self.client, names::SESSION, names::SESSION.root).await.ok()
    }

    /// What it shows of a connector.
    pub async fn connector(&self, connector: u32) -> Option<SessionConnectorState> {
        fetch(&self.client, names::SESSION, &names::SESSION.connector(ConnectorId(connector))).await.ok()
    }

    /// The whole journal.
    pub async fn journal(&self) -> Option<Vec<TransactionEvent>> {
        let mut journal: Vec<TransactionEvent> = Vec::new();
        loop {
            let cursor = journal.last().map_or(0, |event| event.sequence);
            let page = self.session.events_after(cursor, PAGE).await.ok()?;
            if page.is_empty() {
                return Some(journal);
            }
            journal.extend(page);
        }
    }

    /// What settings did that no service does.
    pub fn faults(&self) -> Vec<String> {
        self.keys.faults()
    }

    /// The end of session's log.
    pub fn last_words(&self) -> String {
        self.program.last_words()
    }

    /// Leaves the files of this life for whoever looks into them.
    pub fn keep(self) -> PathBuf {
        self.directory.keep()
    }
}
