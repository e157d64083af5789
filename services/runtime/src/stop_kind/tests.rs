use super::*;
use busbar_private_bus::PrivateBus;
use zbus::ObjectPath;
use zbus::fdo;

const UNIT: &str = "/org/freedesktop/systemd1/unit/busbar_2dpower_2eservice";
const JOB: &str = "/org/freedesktop/systemd1/job/4711";

/// What a scripted service manager says.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Script {
    Job(&'static str),
    NoJob,
    JobThatIsGone,
    UnknownProcess,
    Silence,
}

struct Manager(Script);
struct UnitObject(Script);
struct JobObject(&'static str);

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    #[zbus(name = "GetUnitByPID")]
    async fn get_unit_by_pid(&self, process: u32) -> fdo::Result<ObjectPath<'static>> {
        assert_eq!(process, std::process::id());
        match self.0 {
            Script::UnknownProcess => Err(fdo::Error::Failed("no unit has this process".to_owned())),
            Script::Silence => std::future::pending().await,
            _ => Ok(ObjectPath::from_static_str_unchecked(UNIT)),
        }
    }
}

#[zbus::interface(name = "org.freedesktop.systemd1.Unit")]
impl UnitObject {
    #[zbus(property)]
    fn job(&self) -> (u32, ObjectPath<'static>) {
        match self.0 {
            Script::NoJob => (0, ObjectPath::from_static_str_unchecked("/")),
            _ => (4711, ObjectPath::from_static_str_unchecked(JOB)),
        }
    }
}

#[zbus::interface(name = "org.freedesktop.systemd1.Job")]
impl JobObject {
    #[zbus(property)]
    fn job_type(&self) -> String {
        self.0.to_owned()
    }
}

async fn manager(bus: &PrivateBus, script: Script) -> Connection {
    let connection = bus.connect().await.expect("a connection");
    let objects = connection.object_server();
    objects.at("/org/freedesktop/systemd1", Manager(script)).await.expect("served");
    objects.at(UNIT, UnitObject(script)).await.expect("served");
    if let Script::Job(job) = script {
        objects.at(JOB, JobObject(job)).await.expect("served");
    }
    connection.request_name("org.freedesktop.systemd1").await.expect("the name is free");
    connection
}

#[tokio::test]
async fn only_a_restart_is_a_restart() {
    let bus = PrivateBus::start().await.expect("a bus");
    let service = bus.connect().await.expect("a connection");
    for (script, kind) in [
        (Script::Job("restart"), StopKind::Restart),
        (Script::Job("try-restart"), StopKind::Restart),
        (Script::Job("stop"), StopKind::Stop),
        (Script::Job("start"), StopKind::Stop),
        (Script::Job("reload"), StopKind::Stop),
        (Script::Job("a word of tomorrow"), StopKind::Stop),
        (Script::NoJob, StopKind::Stop),
        (Script::JobThatIsGone, StopKind::Stop),
        (Script::UnknownProcess, StopKind::Stop),
    ] {
        let manager = manager(&bus, script).await;
        assert_eq!(ask(&service, None).await, kind, "{script:?}");
        assert_eq!(ask(&service, unit(&service).await.ok()).await, kind, "{script:?}, with the unit known before");
        manager.close().await.expect("closed");
    }
    assert_eq!(ask(&service, None).await, StopKind::Stop, "nobody is there");
}

#[tokio::test]
async fn a_service_manager_that_does_not_answer_is_not_waited_for() {
    let bus = PrivateBus::start().await.expect("a bus");
    let service = bus.connect().await.expect("a connection");
    let _manager = manager(&bus, Script::Silence).await;
    let asked = tokio::time::Instant::now();
    assert_eq!(ask(&service, None).await, StopKind::Stop);
    assert!((LIMIT..LIMIT * 10).contains(&asked.elapsed()), "{:?}", asked.elapsed());
}
