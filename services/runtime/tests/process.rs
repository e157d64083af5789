//! One process from its first instruction to its exit code: what it tells the service manager, and how it ends.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test"
)]

mod idle;

use busbar_interfaces::names;
use busbar_private_bus::PrivateBus;
use idle::LIMIT;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;
use tokio::net::UnixDatagram;
use tokio::process::Child;
use tokio::time::timeout;

const GOOD: &str = "[metering]\npoll_millis = 7\n";
const NO_BUS: &str = "unix:path=/nowhere/bus";

/// The service manager's ear.
struct Manager(UnixDatagram);

impl Manager {
    fn new(directory: &Path) -> (Manager, std::path::PathBuf) {
        let socket = directory.join("notify");
        (Manager(UnixDatagram::bind(&socket).expect("a socket")), socket)
    }

    /// The next thing that it is told.
    async fn hears(&self) -> String {
        let mut heard = [0; 256];
        let length = timeout(LIMIT, self.0.recv(&mut heard)).await.expect("in time").expect("a message");
        String::from_utf8_lossy(&heard[..length]).trim().to_owned()
    }
}

fn terminate(child: &Child) {
    let process = child.id().and_then(|process| i32::try_from(process).ok()).expect("it runs");
    kill(Pid::from_raw(process), Signal::SIGTERM).expect("sent");
}

/// Its exit code and what it wrote on stderr.
async fn ended(child: Child) -> (Option<i32>, String) {
    let output = timeout(LIMIT, child.wait_with_output()).await.expect("it ends").expect("its output");
    (output.status.code(), String::from_utf8(output.stderr).expect("text"))
}

#[tokio::test]
async fn ready_is_said_when_the_name_is_there_and_stopping_when_asked_to() {
    let bus = PrivateBus::start().await.expect("a bus");
    let root = idle::root(&[GOOD]);
    let (manager, socket) = Manager::new(root.path());
    let child = idle::command(bus.address(), root.path()).env("NOTIFY_SOCKET", socket).spawn().expect("starts");
    assert_eq!(manager.hears().await, "READY=1");
    let client = bus.connect().await.expect("a client");
    let daemon = zbus::fdo::DBusProxy::new(&client).await.expect("a proxy");
    let name = || names::METERING.bus_name.try_into().expect("a name");
    assert_eq!(daemon.get_connection_unix_process_id(name()).await.ok(), child.id());
    terminate(&child);
    assert_eq!(manager.hears().await, "STOPPING=1");
    let (code, log) = ended(child).await;
    assert_eq!(code, Some(0), "{log}");
    assert!(!daemon.name_has_owner(name()).await.expect("the daemon knows"));
}

#[tokio::test]
async fn a_process_that_is_not_watched_does_not_feed() {
    let bus = PrivateBus::start().await.expect("a bus");
    let root = idle::root(&[GOOD]);
    let (manager, socket) = Manager::new(root.path());
    let child = idle::command(bus.address(), root.path()).env("NOTIFY_SOCKET", socket).spawn().expect("starts");
    assert_eq!(manager.hears().await, "READY=1");
    terminate(&child);
    assert_eq!(manager.hears().await, "STOPPING=1", "and nothing in between");
    assert_eq!(ended(child).await.0, Some(0));
}

#[tokio::test]
async fn the_watchdog_is_fed_in_time() {
    const WATCHED: std::time::Duration = std::time::Duration::from_millis(400);
    let bus = PrivateBus::start().await.expect("a bus");
    let root = idle::root(&[GOOD]);
    let (manager, socket) = Manager::new(root.path());
    let mut command = idle::command(bus.address(), root.path());
    command.env("NOTIFY_SOCKET", socket).env("WATCHDOG_USEC", WATCHED.as_micros().to_string());
    let child = command.spawn().expect("starts");
    assert_eq!(manager.hears().await, "READY=1");
    for feed in 0..4 {
        let heard = timeout(WATCHED, manager.hears()).await;
        assert_eq!(heard.as_deref(), Ok("WATCHDOG=1"), "feed {feed} within the time that the service manager waits");
    }
    terminate(&child);
    // A feed may be under way when the signal comes.
    while manager.hears().await != "STOPPING=1" {}
    assert_eq!(ended(child).await.0, Some(0));
}

#[tokio::test]
async fn an_argument_that_nobody_knows_is_64() {
    let root = idle::root(&[GOOD]);
    let child = idle::command(NO_BUS, root.path()).arg("--no-such-thing").spawn().expect("starts");
    let (code, log) = ended(child).await;
    assert_eq!(code, Some(64), "{log}");
    assert!(log.contains("--no-such-thing"), "{log}");
}

#[tokio::test]
async fn help_and_version_are_answers() {
    let root = idle::root(&[]);
    for word in ["--help", "--version"] {
        let child = idle::command(NO_BUS, root.path()).arg(word).spawn().expect("starts");
        assert_eq!(ended(child).await, (Some(0), String::new()), "{word}");
    }
}

#[tokio::test]
async fn no_bus_is_69() {
    let root = idle::root(&[GOOD]);
    let (code, log) = ended(idle::command(NO_BUS, root.path()).spawn().expect("starts")).await;
    assert_eq!(code, Some(69), "{log}");
    assert!(log.contains(NO_BUS), "{log}");
}

#[tokio::test]
async fn a_bus_that_goes_away_is_69() {
    let bus = PrivateBus::start().await.expect("a bus");
    let root = idle::root(&[GOOD]);
    let (manager, socket) = Manager::new(root.path());
    let child = idle::command(bus.address(), root.path()).env("NOTIFY_SOCKET", socket).spawn().expect("starts");
    assert_eq!(manager.hears().await, "READY=1");
    bus.stop().await;
    let (code, log) = ended(child).await;
    assert_eq!(code, Some(69), "{log}");
}

#[tokio::test]
async fn a_second_process_is_69_and_the_first_one_stays() {
    let bus = PrivateBus::start().await.expect("a bus");
    let root = idle::root(&[GOOD]);
    let (manager, socket) = Manager::new(root.path());
    let first = idle::command(bus.address(), root.path()).env("NOTIFY_SOCKET", socket).spawn().expect("starts");
    assert_eq!(manager.hears().await, "READY=1");
    let second = idle::command(bus.address(), root.path()).spawn().expect("starts");
    let (code, log) = ended(second).await;
    assert_eq!(code, Some(69), "{log}");
    assert!(log.contains(names::METERING.bus_name), "{log}");
    let client = bus.connect().await.expect("a client");
    let daemon = zbus::fdo::DBusProxy::new(&client).await.expect("a proxy");
    let owner = daemon.get_connection_unix_process_id(names::METERING.bus_name.try_into().expect("a name")).await;
    assert_eq!(owner.ok(), first.id());
}

#[tokio::test]
async fn a_station_file_with_faults_is_78_and_all_of_them_are_told() {
    let root = idle::root(&["[metering]\npoll_millis = 0\npool = 1\n", "[meterin]\n[metering]\nnote = 3\n"]);
    for check in [false, true] {
        let mut command = idle::command(NO_BUS, root.path());
        if check {
            command.arg("--check");
        }
        let (code, faults) = ended(command.spawn().expect("starts")).await;
        assert_eq!(code, Some(78), "{faults}");
        assert_eq!(faults.lines().count(), 4, "{faults}");
        for expected in [
            "etc/busbar/station.toml:2: `metering.poll_millis`",
            "etc/busbar/station.toml:3: `metering.pool`",
            "etc/busbar/station.d/10-site.toml:1: `meterin`",
            "etc/busbar/station.d/10-site.toml:3: `metering.note`",
        ] {
            assert!(faults.lines().any(|line| line.contains(expected)), "{expected} in\n{faults}");
        }
    }
}

#[tokio::test]
async fn no_station_file_is_78() {
    let root = idle::root(&[]);
    let (code, faults) = ended(idle::command(NO_BUS, root.path()).spawn().expect("starts")).await;
    assert_eq!(code, Some(78), "{faults}");
    assert!(faults.contains("etc/busbar/station.toml"), "{faults}");
}

#[tokio::test]
async fn a_check_of_a_good_file_is_0_and_needs_no_bus() {
    let root = idle::root(&[GOOD]);
    let child = idle::command(NO_BUS, root.path()).arg("--check").spawn().expect("starts");
    assert_eq!(ended(child).await, (Some(0), String::new()));
}
