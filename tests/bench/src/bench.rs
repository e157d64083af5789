//! One station: started, watched, killed in parts, stopped.

use crate::children;
use crate::failure::Failure;
use crate::machine::Machine;
use crate::station_file::{self, Wiring};
use crate::supervisor::{READY_LIMIT, Supervised, Unit};
use crate::systemd::Systemd;
use busbar_csms::{Csms, Options as CsmsOptions};
use busbar_ctl::plant;
use busbar_interfaces::hmi::HmiState;
use busbar_interfaces::settings::SettingsProxy;
use busbar_interfaces::words::KeyOrigin;
use busbar_interfaces::{Published, ServiceName, names};
use busbar_private_bus::PrivateBus;
use busbar_runtime::Clock;
use busbar_runtime::bus::REQUEST_VALIDITY;
use busbar_runtime::object::fetch;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Child;
use tokio::time::{Instant, sleep};
use zbus::Connection;

/// How often a condition is looked at that nobody announces.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What station is to be run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where everything is kept that survives a mains failure.
    pub state: PathBuf,
    /// The CSMS; nothing for a small one of our own.
    pub csms: Option<String>,
    /// Charge point identity.
    pub identity: String,
    /// Commercial reference.
    pub model: String,
    /// Factory defaults of configuration keys.
    pub settings: Vec<(String, String)>,
    /// Short durations.
    pub quick: bool,
    /// What the services log.
    pub log: String,
    /// Text that is put after the station file that the bench writes.
    pub station_file: String,
}

impl Options {
    /// A quick station with its state in a directory.
    pub fn quick(state: &Path) -> Options {
        Options {
            state: state.to_owned(),
            csms: None,
            identity: "BENCH".to_owned(),
            model: "EVD1S180TBB".to_owned(),
            settings: Vec::new(),
            quick: true,
            log: "info".to_owned(),
            station_file: String::new(),
        }
    }

    /// With a factory default.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Options {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }
}

/// One bench at a time works in a directory: two stations on one set of books would spoil them.
fn lock(state: &Path) -> Result<File, Failure> {
    let path = state.join("bench.lock");
    let file = File::create(&path).map_err(|error| Failure::Broken(format!("{}: {error}", path.display())))?;
    file.try_lock().map_err(|_| Failure::Broken(format!("another busbar-bench works in {}", state.display())))?;
    Ok(file)
}

/// What a bench keeps in its directory for the next start.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// The address of the bench's own CSMS.
    csms_address: Option<SocketAddr>,
    /// The CSMS that was given last.
    csms: Option<String>,
}

/// A station that runs.
pub struct Bench {
    bus: Connection,
    csms: Option<Csms>,
    machine: Machine,
    services: BTreeMap<&'static str, Supervised>,
    plant: Child,
    private_bus: PrivateBus,
    state: PathBuf,
    /// Held as long as the bench runs.
    _lock: File,
    // Last, so that it is removed after everything that uses it is gone.
    _run: TempDir,
}

impl Bench {
    /// Starts a station and returns when every service is ready.
    ///
    /// # Errors
    /// What did not start, and the end of its log.
    pub async fn start(options: Options) -> Result<Bench, Failure> {
        let programs = children::programs()?;
        std::fs::create_dir_all(&options.state)?;
        let state = std::path::absolute(&options.state)?;
        let lock = lock(&state)?;
        let logs = state.join("log");
        std::fs::create_dir_all(&logs)?;
        let run = tempfile::Builder::new().prefix("busbar-").tempdir()?;
        let mut kept = Kept::read(&state);
        let (csms, url) = csms(&options, &mut kept).await?;

        let private_bus = PrivateBus::start_logged(&logs.join("dbus-daemon.log")).await?;
        let bus = private_bus.connect().await?;
        let reader = run.path().join("reader");
        let plant = start_plant(&programs, private_bus.address(), &options, &reader, &state, &logs)?;
        let wiring = wait_for_plant(&bus).await?;
        let text = station_file::text(&Wiring {
            model: &options.model,
            identity: &options.identity,
            csms: &url,
            modules_bus: &format!("socketcand://{}/modules", wiring.can),
            vehicle_bus: &format!("socketcand://{}/vehicles", wiring.can),
            io: &wiring.io,
            meters: &wiring.meters,
            reader: &reader.display().to_string(),
            quick: options.quick,
            settings: &options.settings,
        });
        let etc = state.join("etc/busbar");
        std::fs::create_dir_all(&etc)?;
        std::fs::write(etc.join("station.toml"), text + &options.station_file)?;
        check(&programs, &state).await?;

        let systemd = Systemd::start(&private_bus).await?;
        let mut services = BTreeMap::new();
        for service in names::ALL {
            let directories = Directories { programs: &programs, state: &state, run: run.path() };
            let unit = unit(service, directories, private_bus.address(), &options.log, systemd.clone());
            services.insert(service.role, Supervised::start(unit).await?);
        }
        for service in services.values() {
            service.wait(READY_LIMIT, |known| known.ready).await?;
        }
        let machine = Machine::start(&private_bus, services.values().map(Supervised::switch).collect()).await?;
        let bench =
            Bench { bus, csms, machine, services, plant, private_bus, state: state.clone(), _lock: lock, _run: run };
        bench.point_to_csms(&url, &kept).await?;
        kept.csms = Some(url);
        kept.write(&state)?;
        Ok(bench)
    }

    /// A station that was told of another CSMS than last time is pointed there; factory defaults no longer count.
    async fn point_to_csms(&self, url: &str, kept: &Kept) -> Result<(), Failure> {
        if kept.csms.as_deref().is_some_and(|last| last != url) {
            let settings = SettingsProxy::new(&self.bus).await?;
            let valid_until = Clock::system().now().boottime.after(REQUEST_VALIDITY);
            settings.set("SupervisionUrl", url, KeyOrigin::Engineer, valid_until).await?;
        }
        Ok(())
    }

    /// The address of the private bus.
    pub fn bus_address(&self) -> &str {
        self.private_bus.address()
    }

    /// A connection to the private bus.
    pub fn bus(&self) -> &Connection {
        &self.bus
    }

    /// The bench's own CSMS, if it has one.
    pub fn csms(&self) -> Option<&Csms> {
        self.csms.as_ref()
    }

    /// Where the state is.
    pub fn state_directory(&self) -> &Path {
        &self.state
    }

    /// A service under its supervisor.
    ///
    /// # Errors
    /// When there is no such role.
    pub fn service(&self, role: &str) -> Result<&Supervised, Failure> {
        self.services.get(role).ok_or_else(|| Failure::Broken(format!("there is no service `{role}`")))
    }

    /// Every process by role, the plant and the bus daemon included.
    pub fn processes(&self) -> BTreeMap<String, u32> {
        let own = [("plant", self.plant.id()), ("dbus-daemon", self.private_bus.process_id())];
        let services = self.services.iter().map(|(role, service)| (*role, service.known().process));
        services.chain(own).filter_map(|(role, process)| Some((role.to_owned(), process?))).collect()
    }

    /// Kills a service and waits until its successor is ready.
    ///
    /// # Errors
    /// When it does not come back.
    pub async fn kill(&self, role: &str) -> Result<(), Failure> {
        let service = self.service(role)?;
        let starts = service.known().starts;
        service.signal(Signal::SIGKILL)?;
        service.wait(READY_LIMIT, |known| known.ready && known.starts > starts).await?;
        Ok(())
    }

    /// Restarts a service as `systemctl restart` does, and waits until its successor is ready.
    ///
    /// # Errors
    /// When it does not come back.
    pub async fn restart(&self, role: &str) -> Result<(), Failure> {
        self.service(role)?.restart().await
    }

    /// Restarts a service with another program, as an upgrade does, and waits until that is ready.
    ///
    /// # Errors
    /// When there is no such program, or it does not become ready.
    pub async fn upgrade(&self, role: &str, program: &Path) -> Result<(), Failure> {
        self.service(role)?.upgrade(program.to_owned()).await
    }

    /// The machine that the services run on: it restarts when one of them asks for it.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// How often the machine has restarted, with all services ready again.
    pub fn reboots(&self) -> u32 {
        self.machine.reboots()
    }

    /// The address of the driver's page.
    ///
    /// # Errors
    /// When hmi is not there.
    pub async fn page_address(&self) -> Result<String, Failure> {
        Ok(fetch::<HmiState>(&self.bus, names::HMI, names::HMI.root).await?.page_address)
    }

    /// Waits until an object of a service shows something.
    ///
    /// # Errors
    /// What it shows instead when the time is over.
    pub async fn wait_for<S: Published + std::fmt::Debug>(
        &self,
        peer: ServiceName,
        path: &str,
        limit: Duration,
        is: impl Fn(&S) -> bool,
    ) -> Result<S, Failure> {
        wait_for(&self.bus, peer, path, limit, is).await
    }

    /// Stops the station as a shutdown of the machine does.
    pub async fn stop(mut self) {
        self.machine.end();
        let stopping: Vec<_> = std::mem::take(&mut self.services).into_values().map(Supervised::stop).collect();
        futures_util::future::join_all(stopping).await;
        let process = self.plant.id().and_then(|process| i32::try_from(process).ok()).map(nix::unistd::Pid::from_raw);
        // A process that has gone already needs no signal.
        let _ = process.map(|process| nix::sys::signal::kill(process, Signal::SIGTERM));
        let _ = tokio::time::timeout(Duration::from_secs(5), self.plant.wait()).await;
        self.private_bus.stop().await;
        if let Some(csms) = self.csms {
            csms.stop().await;
        }
    }
}

impl Kept {
    fn read(state: &Path) -> Kept {
        let text = std::fs::read_to_string(state.join("bench.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    fn write(&self, state: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string(self).map_err(|error| Failure::Broken(error.to_string()))?;
        Ok(std::fs::write(state.join("bench.json"), text)?)
    }
}

/// The CSMS: a given one, or our own at the address that it had last time.
async fn csms(options: &Options, kept: &mut Kept) -> Result<(Option<Csms>, String), Failure> {
    if let Some(url) = &options.csms {
        return Ok((None, url.clone()));
    }
    let listen = kept.csms_address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
    let csms = match Csms::start(CsmsOptions { listen, ..CsmsOptions::default() }).await {
        Ok(csms) => csms,
        // Somebody else has the port by now; the station is told of the new one.
        Err(_) => Csms::start(CsmsOptions::default()).await?,
    };
    kept.csms_address = Some(csms.address());
    let url = csms.url();
    Ok((Some(csms), url))
}

fn start_plant(
    programs: &Path,
    bus: &str,
    options: &Options,
    reader: &Path,
    state: &Path,
    logs: &Path,
) -> Result<Child, Failure> {
    let mut command = children::command(&programs.join("busbar-plant"))?;
    command.args(["--bus", bus, "--model", &options.model]);
    command.arg("--reader").arg(reader).arg("--state").arg(state.join("plant.meters"));
    if options.quick {
        command.arg("--quick");
    }
    let log = children::log(&logs.join("plant.log"))?;
    command.stdout(log.try_clone()?).stderr(log);
    children::start(command, "busbar-plant")
}

/// Waits until an object of a service shows something, on whatever bus the service is.
///
/// # Errors
/// What it shows instead when the time is over.
pub async fn wait_for<S: Published + std::fmt::Debug>(
    bus: &Connection,
    peer: ServiceName,
    path: &str,
    limit: Duration,
    is: impl Fn(&S) -> bool,
) -> Result<S, Failure> {
    let deadline = Instant::now() + limit;
    loop {
        let state = fetch::<S>(bus, peer, path).await;
        match state {
            Ok(state) if is(&state) => return Ok(state),
            last if Instant::now() >= deadline => {
                return Err(Failure::TooLate(format!("{path} shows {last:?} after {limit:?}")));
            }
            _ => sleep(LOOK_AGAIN).await,
        }
    }
}

struct PlantWiring {
    can: String,
    io: String,
    meters: Vec<String>,
}

async fn wait_for_plant(bus: &Connection) -> Result<PlantWiring, Failure> {
    let deadline = Instant::now() + READY_LIMIT;
    loop {
        let plant = plant::plant(bus).await?;
        match (plant.can_address().await, plant.io_address().await, plant.meter_addresses().await) {
            (Ok(can), Ok(io), Ok(meters)) => return Ok(PlantWiring { can, io, meters }),
            (failed, ..) if Instant::now() >= deadline => {
                return Err(Failure::TooLate(format!("the plant did not start: {failed:?}")));
            }
            _ => sleep(LOOK_AGAIN).await,
        }
    }
}

/// A station whose file has a fault does not start in part.
async fn check(programs: &Path, root: &Path) -> Result<(), Failure> {
    match busbar_ctl::check::station_file(root, programs).await {
        Ok(()) => Ok(()),
        Err(busbar_ctl::Failure::StationFile(faults)) => Err(Failure::StationFile(faults)),
        Err(other) => Err(Failure::Broken(other.to_string())),
    }
}

/// Where a service finds what it needs.
struct Directories<'a> {
    programs: &'a Path,
    state: &'a Path,
    run: &'a Path,
}

fn unit(service: ServiceName, directories: Directories<'_>, bus: &str, log: &str, systemd: Systemd) -> Unit {
    let Directories { programs, state, run } = directories;
    let role = service.role;
    Unit {
        role,
        program: programs.join(format!("busbar-{role}")),
        bus: bus.to_owned(),
        root: state.to_owned(),
        state: state.join("state").join(role),
        runtime: run.join("run").join(role),
        notify: run.join(format!("notify-{role}")),
        log: state.join("log").join(format!("{role}.log")),
        log_filter: log.to_owned(),
        systemd,
    }
}
