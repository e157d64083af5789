//! What one process of a service hands to the next, through the bench's service manager: over SIGKILL, a restart and an
//! upgrade everything, over a stop and a restart of the machine nothing.
#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use busbar_bench::supervisor::{Known, READY_LIMIT, Supervised, Unit};
use busbar_bench::systemd::Systemd;
use busbar_private_bus::PrivateBus;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::time::timeout;

const ROLE: &str = "metering";

/// The example beside the tests.
fn keeper() -> PathBuf {
    let test = std::env::current_exe().expect("a test");
    let program = test.ancestors().nth(2).expect("the target directory").join("examples/keeper");
    assert!(program.exists(), "build it first: cargo build -p busbar-bench --example keeper");
    program
}

/// One service alone with its service manager.
struct Lone {
    service: Supervised,
    unit: Unit,
    _bus: PrivateBus,
    _directory: TempDir,
}

/// What a process has found of the ones before.
struct Found {
    port: u64,
    writes: Option<u64>,
    stopped: Option<String>,
}

/// Somebody on the other side of the socket.
struct Client(UdpSocket);

impl Client {
    async fn of(port: u64) -> Client {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let port = u16::try_from(port).expect("a port");
        socket.connect(("127.0.0.1", port)).await.expect("connected");
        Client(socket)
    }

    async fn answer(&self) -> u64 {
        let mut answer = [0; 8];
        let answered = timeout(READY_LIMIT, self.0.recv(&mut answer)).await;
        answered.expect("in time").expect("an answer");
        u64::from_le_bytes(answer)
    }

    /// Asks until the service has written so many states more than it had at the first answer.
    async fn writes_at_least(&self, more: u64) -> u64 {
        let mut first = None;
        loop {
            self.0.send(&[0]).await.expect("sent");
            let writes = self.answer().await;
            if writes >= *first.get_or_insert(writes) + more {
                return writes;
            }
        }
    }
}

impl Lone {
    async fn start() -> Lone {
        let bus = PrivateBus::start().await.expect("a bus");
        let directory = tempfile::tempdir().expect("a directory");
        let etc = directory.path().join("etc/busbar");
        std::fs::create_dir_all(&etc).expect("made");
        std::fs::write(etc.join("station.toml"), "[metering]\n").expect("written");
        let path = |name: &str| directory.path().join(name);
        let unit = Unit {
            role: ROLE,
            program: keeper(),
            bus: bus.address().to_owned(),
            root: directory.path().to_owned(),
            state: path("state"),
            runtime: path("runtime"),
            notify: path("notify"),
            log: path("log"),
            log_filter: "info".to_owned(),
            systemd: Systemd::start(&bus).await.expect("a service manager"),
        };
        let service = Supervised::start(unit.clone()).await.expect("started");
        service.wait(READY_LIMIT, |known| known.ready).await.expect("ready");
        Lone { service, unit, _bus: bus, _directory: directory }
    }

    /// Kills it and waits for its successor.
    async fn kill(&self) -> Known {
        let starts = self.service.known().starts;
        self.service.signal(Signal::SIGKILL).expect("killed");
        self.service.wait(READY_LIMIT, |known| known.ready && known.starts > starts).await.expect("back")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.unit.log).expect("a log")
    }

    /// The last line with this word that a process has printed.
    fn last(&self, word: &str) -> Value {
        let log = self.log();
        let line = log.lines().rfind(|line| line.starts_with('{') && line.contains(word));
        serde_json::from_str(line.unwrap_or_else(|| panic!("no `{word}` in\n{log}"))).expect("JSON")
    }

    /// What the process found that runs now.
    fn found(&self) -> Found {
        let line = self.last("found");
        assert_ne!(line["found"]["is_whole"], false, "{line}");
        Found {
            port: line["port"].as_u64().expect("a port"),
            writes: line["found"]["writes"].as_u64(),
            stopped: line["found"]["stopped"].as_str().map(str::to_owned),
        }
    }

    /// A variable of the process that runs now.
    fn environment(&self, name: &str) -> Option<String> {
        let process = self.service.known().process.expect("it runs");
        let environment = std::fs::read(format!("/proc/{process}/environ")).expect("its environment");
        let environment = String::from_utf8(environment).expect("text");
        environment.split('\0').find_map(|line| Some(line.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
    }

    fn runs(&self) -> PathBuf {
        let process = self.service.known().process.expect("it runs");
        std::fs::read_link(Path::new("/proc").join(process.to_string()).join("exe")).expect("a program")
    }
}

#[tokio::test]
async fn a_process_that_is_killed_at_any_instant_leaves_everything_to_the_next() {
    let lone = Lone::start().await;
    let first = lone.found();
    assert_eq!(first.writes, None, "nothing was there before");
    let client = Client::of(first.port).await;
    for kill in 0..25 {
        let told = client.writes_at_least(kill % 5 + 1).await;
        lone.kill().await;
        let Found { port, writes, stopped } = lone.found();
        assert_eq!((port, stopped), (first.port, None), "the same socket after kill {kill}");
        let writes = writes.expect("a state");
        assert!(writes >= told, "{writes} after {told}, kill {kill}");
    }
    lone.service.stop().await;
}

#[tokio::test]
async fn what_comes_while_nobody_is_there_waits_for_the_next() {
    let lone = Lone::start().await;
    let client = Client::of(lone.found().port).await;
    let told = client.writes_at_least(1).await;
    let starts = lone.service.known().starts;
    lone.service.signal(Signal::SIGSTOP).expect("stands still");
    client.0.send(&[0]).await.expect("sent");
    lone.service.signal(Signal::SIGKILL).expect("killed");
    lone.service.wait(READY_LIMIT, |known| known.ready && known.starts > starts).await.expect("back");
    assert!(client.answer().await >= told);
    lone.service.stop().await;
}

#[tokio::test]
async fn a_process_is_told_what_is_handed_over_and_drops_what_it_does_not_know() {
    let lone = Lone::start().await;
    assert_eq!(lone.environment("LISTEN_FDNAMES"), None);
    for names in ["notebook:socket:left-over", "notebook:socket", "notebook:socket"] {
        let known = lone.kill().await;
        assert_eq!(lone.environment("LISTEN_FDNAMES").as_deref(), Some(names));
        assert_eq!(lone.environment("LISTEN_PID"), known.process.map(|process| process.to_string()));
    }
    lone.service.stop().await;
}

#[tokio::test]
async fn a_restart_is_told_from_a_stop() {
    let lone = Lone::start().await;
    let first = lone.found();
    let client = Client::of(first.port).await;
    for restart in 0..3 {
        client.writes_at_least(1).await;
        lone.service.restart().await.expect("back");
        let Found { port, writes, stopped } = lone.found();
        assert_eq!((port, stopped.as_deref()), (first.port, Some("restart")), "{restart}: {}", lone.log());
        assert!(writes.is_some());
    }
    let Lone { service, unit, _bus, _directory } = lone;
    service.stop().await;
    let log = std::fs::read_to_string(&unit.log).expect("a log");
    assert_eq!(log.matches("kind=Restart").count(), 3, "{log}");
    assert_eq!(log.matches("kind=Stop").count(), 1, "{log}");
    // The next one is another supervisor's, in the place of the first.
    std::fs::remove_file(&unit.notify).expect("the socket was there");
    let service = Supervised::start(unit.clone()).await.expect("started");
    let lone = Lone { service, unit, _bus, _directory };
    lone.service.wait(READY_LIMIT, |known| known.ready).await.expect("ready");
    assert_eq!(lone.found().writes, None, "a stop leaves nothing");
    lone.service.stop().await;
}

#[tokio::test]
async fn a_signal_alone_is_a_stop() {
    let lone = Lone::start().await;
    let starts = lone.service.known().starts;
    lone.service.signal(Signal::SIGTERM).expect("sent");
    lone.service.wait(READY_LIMIT, |known| known.ready && known.starts > starts).await.expect("back");
    assert_eq!(lone.found().stopped.as_deref(), Some("stop"));
    lone.service.stop().await;
}

#[tokio::test]
async fn an_upgrade_is_another_program_with_the_same_state() {
    let lone = Lone::start().await;
    let first = lone.found();
    let newer = lone.unit.root.join("newer");
    std::fs::copy(keeper(), &newer).expect("copied");
    lone.service.upgrade(newer.clone()).await.expect("back");
    assert_eq!(lone.runs(), newer);
    let Found { port, stopped, .. } = lone.found();
    assert_eq!((port, stopped.as_deref()), (first.port, Some("restart")), "{}", lone.log());
    lone.kill().await;
    assert_eq!(lone.runs(), newer, "a crash starts the newer one again");
    assert!(lone.service.upgrade(lone.unit.root.join("missing")).await.is_err());
    assert_eq!(lone.runs(), newer, "it still runs");
    lone.service.stop().await;
}

#[tokio::test]
async fn a_restart_of_the_machine_leaves_nothing() {
    let lone = Lone::start().await;
    let switch = lone.service.switch();
    switch.off().await;
    switch.is_off().await;
    switch.on().await;
    switch.is_ready().await.expect("ready");
    assert_eq!(lone.found().writes, None);
    lone.service.stop().await;
}
