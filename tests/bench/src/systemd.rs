//! What a service asks of systemd on the bus: which job is at work on its unit (org.freedesktop.systemd1(5)). These
//! members and no others; the supervisors say what there is to tell.

use crate::failure::Failure;
use busbar_private_bus::PrivateBus;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zbus::{Connection, ObjectPath, fdo};

const NAME: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    /// `systemctl stop`.
    Stop,
    /// `systemctl restart`.
    Restart,
}

/// The stand-in.
#[derive(Debug, Clone)]
pub struct Systemd {
    units: Arc<Mutex<Units>>,
    // The name is held as long as the connection is.
    bus: Connection,
}

#[derive(Debug, Default)]
struct Units {
    jobs_so_far: u32,
    by_role: BTreeMap<&'static str, Unit>,
}

#[derive(Debug, Default)]
struct Unit {
    process: Option<u32>,
    /// The number of its job.
    job: Option<u32>,
}

impl Systemd {
    /// A service manager without units.
    ///
    /// # Errors
    /// When the bus fails.
    pub async fn start(bus: &PrivateBus) -> Result<Systemd, Failure> {
        let bus = bus.connect().await?;
        let units = Arc::new(Mutex::new(Units::default()));
        bus.object_server().at(PATH, ManagerObject { units: units.clone() }).await?;
        bus.request_name(NAME).await?;
        Ok(Systemd { units, bus })
    }

    /// Loads a unit; one that is loaded already stays.
    ///
    /// # Errors
    /// When the bus fails.
    pub async fn load(&self, role: &'static str) -> Result<(), Failure> {
        self.lock().by_role.entry(role).or_default();
        let object = UnitObject { role, units: self.units.clone() };
        self.bus.object_server().at(unit_path(role), object).await?;
        Ok(())
    }

    /// The process of a unit from now on.
    pub fn runs(&self, role: &'static str, process: Option<u32>) {
        self.lock().by_role.entry(role).or_default().process = process;
    }

    /// A job begins to work on a unit. It is seen before this returns.
    pub async fn begin(&self, role: &'static str, kind: JobKind) {
        let number = {
            let mut units = self.lock();
            units.jobs_so_far += 1;
            units.jobs_so_far
        };
        // A bus that fails is seen by everybody; the service then takes this for a stop.
        let _ = self.bus.object_server().at(job_path(number), JobObject { kind }).await;
        self.lock().by_role.entry(role).or_default().job = Some(number);
    }

    /// The job of a unit is done.
    pub async fn end(&self, role: &'static str) {
        let number = self.lock().by_role.get_mut(role).and_then(|unit| unit.job.take());
        if let Some(number) = number {
            // One that could not be served is not there.
            let _ = self.bus.object_server().remove::<JobObject, _>(job_path(number)).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Units> {
        lock(&self.units)
    }
}

fn lock(units: &Mutex<Units>) -> MutexGuard<'_, Units> {
    units.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The object of `busbar-ROLE.service`, with systemd's escapes: a hyphen is `_2d`, a dot `_2e`.
fn unit_path(role: &str) -> String {
    format!("{PATH}/unit/busbar_2d{}_2eservice", role.replace('-', "_2d"))
}

fn job_path(number: u32) -> String {
    format!("{PATH}/job/{number}")
}

fn path(text: String) -> fdo::Result<ObjectPath<'static>> {
    ObjectPath::try_from(text).map_err(|error| fdo::Error::Failed(error.to_string()))
}

struct ManagerObject {
    units: Arc<Mutex<Units>>,
}

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl ManagerObject {
    #[zbus(name = "GetUnitByPID")]
    fn get_unit_by_pid(&self, process: u32) -> fdo::Result<ObjectPath<'static>> {
        let units = lock(&self.units);
        let found = units.by_role.iter().find(|(_, unit)| unit.process == Some(process));
        let (role, _) = found.ok_or_else(|| fdo::Error::Failed(format!("process {process} is of no unit")))?;
        path(unit_path(role))
    }
}

struct UnitObject {
    role: &'static str,
    units: Arc<Mutex<Units>>,
}

#[zbus::interface(name = "org.freedesktop.systemd1.Unit")]
impl UnitObject {
    #[zbus(property)]
    fn id(&self) -> String {
        format!("busbar-{}.service", self.role)
    }

    #[zbus(property)]
    fn job(&self) -> fdo::Result<(u32, ObjectPath<'static>)> {
        let job = lock(&self.units).by_role.get(self.role).and_then(|unit| unit.job);
        match job {
            Some(number) => Ok((number, path(job_path(number))?)),
            None => Ok((0, path("/".to_owned())?)),
        }
    }
}

struct JobObject {
    kind: JobKind,
}

#[zbus::interface(name = "org.freedesktop.systemd1.Job")]
impl JobObject {
    #[zbus(property)]
    fn job_type(&self) -> String {
        match self.kind {
            JobKind::Stop => "stop",
            JobKind::Restart => "restart",
        }
        .to_owned()
    }
}
