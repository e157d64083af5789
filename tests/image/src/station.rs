//! The station of the image with everything around it: the simulated cabinet on the kernel's CAN buses, the operator,
//! the station file. What the checks wait for is here too; everything has a deadline.

use crate::operator::{self, write};
use crate::systemd::Systemd;
use anyhow::{Result, bail, ensure};
use busbar_bench::station_file::{self, Wiring};
use busbar_csms::{Csms, Frame};
use busbar_ctl::plant::{self, PlantConnectorProxy};
use busbar_interfaces::session::SessionConnectorState;
use busbar_interfaces::words::ConnectorStatus;
use busbar_interfaces::{ConnectorId, names};
use busbar_plant::settings::Settings;
use clap::Parser;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use zbus::{Connection, Variant};

/// Five times what a bench gives (boot facts: a fork costs 33 ms in User-Mode Linux).
pub const LIMIT: Duration = Duration::from_secs(150);
/// A vehicle board gives up after half a second of silence; here, where a new process takes a second, after five times
/// that. How long the station is silent is judged on the bench.
const STATION_SILENCE_MILLIS: u32 = 2_500;
/// What survives the machine.
pub const KEPT: &str = "/var/lib/busbar-image-test";
/// The driver's badge.
pub const BADGE: &str = "04A1B2C3D4E5F6";
const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket";
const IO: &str = "127.0.0.1:5020";
const METERS: [&str; 2] = ["127.0.0.1:5021", "127.0.0.1:5022"];
const READER: &str = "/dev/busbar-reader";
const MODEL: &str = "EVD1S180TBB";
const IDENTITY: &str = "IMAGE";
/// The cabinet's handles exist in tests only, and only root may turn them.
const PLANT_POLICY: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <policy user="root">
    <allow own="io.busbar.Plant1"/>
    <allow send_destination="io.busbar.Plant1"/>
  </policy>
</busconfig>
"#;

/// The station and everything around it.
pub struct Station {
    /// The system bus, as root.
    pub bus: Connection,
    /// The service manager.
    pub systemd: Systemd,
    /// The operator.
    pub csms: Csms,
}

impl Station {
    /// Brings up what is around the station, and the station; it may run already.
    ///
    /// # Errors
    /// What is missing.
    pub async fn start() -> Result<Station> {
        let bus = busbar_runtime::bus::connect(SYSTEM_BUS).await?;
        write("/etc/dbus-1/system.d/io.busbar.Plant1.conf", PLANT_POLICY, 0o644)?;
        zbus::fdo::DBusProxy::new(&bus).await?.reload_config().await?;
        std::fs::create_dir_all(KEPT)?;
        start_plant()?;
        let csms = operator::start().await?;
        write("/etc/busbar/station.toml", &station_file(&csms.url()), 0o644)?;
        let systemd = Systemd::new(&bus).await?;
        let station = Station { bus, systemd, csms };
        station.cabinet_is_up().await?;
        // As the rule for udev does when a reader is plugged in: a unit may use the devices that are there at its start.
        station.systemd.manager().start_unit("busbar.target", "replace").await?;
        if station.systemd.process("hmi").await?.is_some() {
            station.systemd.manager().restart_unit("busbar-hmi.service", "replace").await?;
        }
        Ok(station)
    }

    async fn cabinet_is_up(&self) -> Result<()> {
        until(LIMIT, "the cabinet is up", async || Ok(plant::plant(&self.bus).await?.can_address().await.is_ok()))
            .await?;
        plant::plant(&self.bus).await?.set_station_silence_millis(STATION_SILENCE_MILLIS).await?;
        let given = tokio::process::Command::new("chown").args(["busbar-hmi:busbar-hmi", READER]).status().await?;
        ensure!(given.success(), "{READER} cannot be given to busbar-hmi");
        Ok(std::fs::set_permissions(READER, std::fs::Permissions::from_mode(0o600))?)
    }

    /// Waits until every service is ready and the operator knows the station and its connectors.
    ///
    /// # Errors
    /// What is missing.
    pub async fn is_up(&self) -> Result<()> {
        for service in names::ALL {
            self.systemd.ready_after(service.role, None).await?;
        }
        self.told(0, |frame| frame.is_request("BootNotification")).await?;
        Ok(())
    }

    /// The hardware of a connector.
    ///
    /// # Errors
    /// When the cabinet is not there.
    pub async fn hardware(&self, connector: u32) -> Result<PlantConnectorProxy<'static>> {
        Ok(plant::connector(&self.bus, connector).await?)
    }

    /// The exact register of a connector's meter.
    ///
    /// # Errors
    /// When the cabinet is not there.
    pub async fn register(&self, connector: u32) -> Result<u64> {
        Ok(self.hardware(connector).await?.meter_milliwatt_hours().await?)
    }

    /// Plugs in a car.
    ///
    /// # Errors
    /// When the station does not notice.
    pub async fn plug(&self, connector: u32, watts: u32) -> Result<()> {
        // Empty and large: it takes its power as long as a check lasts.
        let vehicle = [
            ("StateOfChargePercent", Variant::from(10u8)),
            ("CapacityWattHours", Variant::from(500_000u32)),
            ("MaximumWatts", Variant::from(watts)),
        ];
        self.hardware(connector).await?.plug(vehicle.into_iter().collect()).await?;
        self.status(connector, &[ConnectorStatus::Preparing]).await.map(drop)
    }

    /// Holds the badge to the reader until the connector has one of these statuses.
    ///
    /// # Errors
    /// When it has none of them in time.
    pub async fn badge(&self, connector: u32, until_status: &[ConnectorStatus]) -> Result<()> {
        const ONE_SHOWING: Duration = Duration::from_secs(20);
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            plant::plant(&self.bus).await?.present_badge(BADGE).await?;
            // A badge that came to nothing is shown again by every driver.
            if let Ok(reached) = timeout(ONE_SHOWING, self.status(connector, until_status)).await {
                return reached.map(drop);
            }
        }
        bail!("the badge does nothing: not {until_status:?}")
    }

    /// Waits until a connector has one of these statuses; how it stands.
    ///
    /// # Errors
    /// When it has none of them in time.
    pub async fn status(&self, connector: u32, statuses: &[ConnectorStatus]) -> Result<SessionConnectorState> {
        let path = names::SESSION.connector(ConnectorId(connector));
        let is = |state: &SessionConnectorState| statuses.contains(&state.status);
        Ok(busbar_bench::wait_for(&self.bus, names::SESSION, &path, LIMIT, is).await?)
    }

    /// Waits until the operator has been told something, since a mark.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn told(&self, from: u64, what: impl FnMut(&Frame) -> bool) -> Result<Frame> {
        let told = self.csms.wait_for_since(from, LIMIT, what).await;
        told.map_err(|timeout| anyhow::anyhow!("the CSMS was not told: {timeout}; {:?}", self.csms.links().last()))
    }

    /// What the station did to the hardware that no station may do.
    ///
    /// # Errors
    /// When the cabinet is not there.
    pub async fn violations(&self) -> Result<Vec<String>> {
        Ok(plant::plant(&self.bus).await?.violations().await?)
    }

    /// After a check that failed: no vehicle, every service running.
    ///
    /// # Errors
    /// When the station does not come to rest.
    pub async fn comes_to_rest(&self) -> Result<()> {
        plant::plant(&self.bus).await?.clear_faults().await?;
        for service in names::ALL {
            self.systemd.manager().start_unit(&crate::systemd::unit(service.role), "replace").await?;
        }
        for connector in 1..=2 {
            // Where nothing is plugged in there is nothing to pull out.
            let _ = self.hardware(connector).await?.unplug().await;
        }
        self.status(1, &[ConnectorStatus::Available]).await?;
        ensure!(self.status(2, &[ConnectorStatus::Available]).await.is_ok());
        Ok(())
    }
}

/// Waits until a condition holds that nobody announces. Looks at it seldom: the guest has one slow processor.
///
/// # Errors
/// When it does not in time, or cannot be looked at.
pub async fn until(limit: Duration, what: &str, mut is: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let waiting = async {
        while !is().await? {
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    };
    timeout(limit, waiting).await.unwrap_or_else(|_| bail!("not in time: {what}"))
}

/// The cabinet runs in a thread of its own, so that nothing that the test does holds its physics up.
fn start_plant() -> Result<()> {
    let meters = format!("{KEPT}/plant.meters");
    let [one, two] = METERS;
    #[rustfmt::skip]
    let settings = Settings::try_parse_from([
        "busbar-plant", "--quick", "--bus", SYSTEM_BUS, "--model", MODEL, "--reader", READER, "--state", &meters,
        "--io", IO, "--meter-one", one, "--meter-two", two,
        "--modules-bus", "socketcan:vcan0", "--vehicle-bus", "socketcan:vcan1",
    ])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        let ended = runtime.block_on(busbar_plant::run(settings, std::future::pending()));
        println!("the cabinet has ended: {ended:?}");
    });
    Ok(())
}

fn station_file(csms: &str) -> String {
    let settings = [("SecurityProfile", "2"), ("MeterValueSampleInterval", "1")];
    let text = station_file::text(&Wiring {
        model: MODEL,
        identity: IDENTITY,
        csms,
        modules_bus: "socketcan:vcan0",
        vehicle_bus: "socketcan:vcan1",
        io: IO,
        meters: &METERS.map(str::to_owned),
        reader: READER,
        quick: true,
        settings: &settings.map(|(key, value)| (key.to_owned(), value.to_owned())),
    });
    text + "\n[ocpp]\nretry_first_millis = 500\nretry_most_millis = 2000\n"
}
