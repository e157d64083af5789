//! The command itself on a bus of its own, against a scripted ocpp and a scripted settings.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test"
)]

use busbar_interfaces::ocpp::{ActionCount, UndeliveredEvent};
use busbar_interfaces::words::{DataTransferStatus, EventKind, KeyOrigin, Link, Registration, SetVerdict};
use busbar_interfaces::{BoottimeMillis, CallError, Condition, TransactionId, UnixMillis, names};
use busbar_private_bus::PrivateBus;
use busbar_runtime::Bus;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Anything that a test waits for happens within this time or never.
const LIMIT: Duration = Duration::from_secs(10);

struct Ocpp;

fn undelivered(number: u64) -> UndeliveredEvent {
    UndeliveredEvent {
        number,
        sequence: number,
        transaction: TransactionId(if number <= 150 { 7 } else { 8 }),
        kind: EventKind::Sample,
        reason: "FormationViolation".to_owned(),
        unix_millis: UnixMillis(1_767_225_600_000),
        is_resending: false,
    }
}

#[zbus::interface(name = "io.busbar.Ocpp1")]
impl Ocpp {
    async fn data_transfer(&self, vendor: &str, message: &str, data: &str) -> (DataTransferStatus, String) {
        match vendor {
            "com.example" => (DataTransferStatus::Accepted, format!("{message}/{data}")),
            _ => (DataTransferStatus::UnknownVendorId, String::new()),
        }
    }

    async fn list_undelivered(&self, after: u64, max: u32) -> Vec<UndeliveredEvent> {
        (after + 1..=250).take(max as usize).map(undelivered).collect()
    }

    async fn resend(&self, transaction: TransactionId) -> Result<u32, CallError> {
        match transaction.0 {
            7 => Ok(150),
            _ => Err(CallError::NotFound("there is no such transaction".to_owned())),
        }
    }

    async fn discard(&self, transaction: TransactionId) -> u32 {
        u32::try_from(transaction.0).expect("small")
    }

    #[zbus(property)]
    fn link(&self) -> Link {
        Link::Accepted
    }

    #[zbus(property)]
    fn link_since_unix_millis(&self) -> UnixMillis {
        UnixMillis(1_767_225_600_000)
    }

    #[zbus(property)]
    fn link_reason(&self) -> String {
        String::new()
    }

    #[zbus(property)]
    fn next_attempt_boottime_millis(&self) -> BoottimeMillis {
        BoottimeMillis(0)
    }

    #[zbus(property)]
    fn registration(&self) -> Registration {
        Registration::Accepted
    }

    #[zbus(property)]
    fn central_system_url(&self) -> String {
        "ws://csms.example/".to_owned()
    }

    #[zbus(property)]
    fn identity(&self) -> String {
        "CP-1".to_owned()
    }

    #[zbus(property)]
    fn security_profile(&self) -> u32 {
        0
    }

    #[zbus(property)]
    fn is_trial(&self) -> bool {
        false
    }

    #[zbus(property)]
    fn confirmed_event(&self) -> u64 {
        99
    }

    #[zbus(property)]
    fn undelivered_events(&self) -> u32 {
        250
    }

    #[zbus(property)]
    fn conditions(&self) -> Vec<Condition> {
        Vec::new()
    }
}

struct Traffic(PathBuf);

#[zbus::interface(name = "io.busbar.Ocpp1.Traffic")]
impl Traffic {
    #[zbus(property)]
    fn log_file(&self) -> String {
        self.0.display().to_string()
    }

    #[zbus(property)]
    fn last_frame(&self) -> u64 {
        3
    }

    #[zbus(property)]
    fn bytes_received(&self) -> u64 {
        1
    }

    #[zbus(property)]
    fn bytes_sent(&self) -> u64 {
        2
    }

    #[zbus(property)]
    fn in_flight_action(&self) -> String {
        String::new()
    }

    #[zbus(property)]
    fn in_flight_boottime_millis(&self) -> BoottimeMillis {
        BoottimeMillis(0)
    }

    #[zbus(property)]
    fn round_trip_millis(&self) -> u32 {
        5
    }

    #[zbus(property)]
    fn waiting_events(&self) -> u64 {
        0
    }

    #[zbus(property)]
    fn oldest_event_unix_millis(&self) -> UnixMillis {
        UnixMillis(0)
    }

    #[zbus(property)]
    fn ignored_frames(&self) -> u64 {
        0
    }

    #[zbus(property)]
    fn actions(&self) -> Vec<ActionCount> {
        vec![ActionCount { action: "Heartbeat".to_owned(), sent: 3, answered: 3, ..ActionCount::default() }]
    }
}

struct Settings(mpsc::Sender<(String, String)>);

#[zbus::interface(name = "io.busbar.Settings1")]
impl Settings {
    async fn set(&self, key: String, value: String, origin: KeyOrigin, _valid_until: BoottimeMillis) -> SetVerdict {
        assert_eq!(origin, KeyOrigin::Engineer);
        self.0.send((key, value)).await.expect("the test listens");
        SetVerdict::RebootRequired
    }
}

struct Bench {
    bus: PrivateBus,
    directory: TempDir,
}

impl Bench {
    async fn new() -> Bench {
        let directory = tempfile::tempdir().expect("a directory");
        Bench { bus: PrivateBus::start().await.expect("a bus"), directory }
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("traffic.jsonl")
    }

    async fn ocpp(&self) -> Bus {
        let bus = Bus::connect(names::OCPP, self.bus.address()).await.expect("the bus is there");
        bus.serve(names::OCPP.root, Ocpp).await.expect("served");
        bus.serve(names::OCPP.root, Traffic(self.log())).await.expect("served");
        bus.claim().await.expect("the name is free");
        bus
    }

    fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_busbarctl"));
        command.arg("--bus").arg(self.bus.address()).args(line).kill_on_drop(true);
        command
    }

    async fn run(&self, line: &[&str]) -> Output {
        timeout(LIMIT, self.command(line).output()).await.expect("in time").expect("runs")
    }
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn append(path: &Path, frames: std::ops::RangeInclusive<u64>) {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).expect("opens");
    for frame in frames {
        writeln!(file, r#"{{"frame":{frame},"time":"T","direction":"out","text":[2,"{frame}","Heartbeat",{{}}]}}"#)
            .expect("written");
    }
}

#[tokio::test]
async fn without_ocpp_the_commands_about_it_say_that_it_is_absent() {
    let bench = Bench::new().await;
    for line in
        [&["ocpp"][..], &["queue"], &["ocpp", "log"], &["queue", "resend", "7"], &["ocpp", "data-transfer", "v"]]
    {
        let output = bench.run(line).await;
        assert_eq!(output.status.code(), Some(69), "{line:?}: {}", error(&output));
        assert!(error(&output).contains("not on the bus"), "{}", error(&output));
    }
}

#[tokio::test]
async fn case_b21_the_queue_is_listed_page_by_page_and_worked_on() {
    let bench = Bench::new().await;
    let _ocpp = bench.ocpp().await;
    let listed = bench.run(&["queue"]).await;
    assert_eq!(out(&listed).lines().filter(|line| line.contains("FormationViolation")).count(), 250);

    let asked = bench.run(&["queue", "discard", "8"]).await;
    assert_eq!((asked.status.code(), out(&asked).as_str()), (Some(64), ""));
    assert!(error(&asked).contains("100 events of transaction 8"), "{}", error(&asked));
    let discarded = bench.run(&["queue", "discard", "8", "--yes"]).await;
    assert!(discarded.status.success() && out(&discarded).starts_with("8 events of transaction 8"), "{discarded:?}");

    let resent = bench.run(&["queue", "resend", "7"]).await;
    assert!(resent.status.success() && out(&resent).starts_with("150 events"), "{resent:?}");
    let unknown = bench.run(&["queue", "resend", "9"]).await;
    assert_eq!(unknown.status.code(), Some(1));
    assert!(error(&unknown).contains("there is no such transaction"), "{}", error(&unknown));
}

#[tokio::test]
async fn the_link_is_shown_as_text_and_as_json_and_a_message_goes_over_it() {
    let bench = Bench::new().await;
    let _ocpp = bench.ocpp().await;
    let text = out(&bench.run(&["ocpp"]).await);
    assert!(text.contains("accepted: the CSMS has accepted") && text.contains("Heartbeat"), "{text}");
    let json: serde_json::Value = serde_json::from_slice(&bench.run(&["ocpp", "--json"]).await.stdout).expect("JSON");
    assert_eq!((&json["link"], &json["traffic"]["last_frame"]), (&"accepted".into(), &3.into()));
    assert_eq!(bench.run(&["ocpp", "--json", "log"]).await.status.code(), Some(64));

    let sent = bench.run(&["ocpp", "data-transfer", "com.example", "--message", "Ping", "--data", "x"]).await;
    assert!(sent.status.success() && out(&sent) == "accepted\nPing/x\n", "{sent:?}");
    let refused = bench.run(&["ocpp", "data-transfer", "com.nobody"]).await;
    assert_eq!((refused.status.code(), out(&refused).as_str()), (Some(1), "unknown-vendor-id\n"));
}

async fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    timeout(LIMIT, lines.next_line()).await.expect("in time").expect("readable").expect("a line")
}

async fn interrupted(mut child: Child) -> Option<i32> {
    let process = child.id().expect("runs").to_string();
    assert!(Command::new("kill").args(["-INT", &process]).status().await.expect("runs").success());
    timeout(LIMIT, child.wait()).await.expect("in time").expect("ended").code()
}

#[tokio::test]
async fn the_log_is_followed_over_a_rotation_and_a_death_of_ocpp_until_ctrl_c() {
    let bench = Bench::new().await;
    let ocpp = bench.ocpp().await;
    append(&bench.log(), 1..=30);
    let last = out(&bench.run(&["ocpp", "log", "--lines", "2"]).await);
    assert_eq!(last, "T  #29  ->  [2,\"29\",\"Heartbeat\",{}]\nT  #30  ->  [2,\"30\",\"Heartbeat\",{}]\n");

    let mut child =
        bench.command(&["ocpp", "log", "--follow", "-n", "1"]).stdout(Stdio::piped()).spawn().expect("runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    assert!(next(&mut lines).await.contains("#30"));
    append(&bench.log(), 31..=31);
    assert!(next(&mut lines).await.contains("#31"));
    ocpp.release().await;
    drop(ocpp);
    std::fs::rename(bench.log(), bench.directory.path().join("traffic.jsonl.1")).expect("renamed");
    append(&bench.log(), 32..=33);
    assert!(next(&mut lines).await.contains("#32"));
    assert!(next(&mut lines).await.contains("#33"));
    assert_eq!(interrupted(child).await, Some(0));
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_fault() {
    let bench = Bench::new().await;
    let _ocpp = bench.ocpp().await;
    append(&bench.log(), 1..=5000);
    let mut child = bench.command(&["ocpp", "log", "-n", "5000"]).stdout(Stdio::piped()).spawn().expect("runs");
    drop(child.stdout.take());
    let status = timeout(LIMIT, child.wait()).await.expect("in time").expect("ended");
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn a_password_comes_from_standard_input_and_is_in_no_answer() {
    let bench = Bench::new().await;
    let bus = Bus::connect(names::SETTINGS, bench.bus.address()).await.expect("the bus is there");
    let (sender, mut set) = mpsc::channel(1);
    bus.serve(names::SETTINGS.root, Settings(sender)).await.expect("served");
    bus.claim().await.expect("the name is free");

    let mut command = bench.command(&["settings", "set", "AuthorizationKey", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
    child.stdin.take().expect("piped").write_all(b"correct-horse-battery\n").await.expect("written");
    let output = timeout(LIMIT, child.wait_with_output()).await.expect("in time").expect("ended");
    let asked = set.recv().await.expect("set");
    assert_eq!(asked, ("AuthorizationKey".to_owned(), "correct-horse-battery".to_owned()));
    assert!(output.status.success() && out(&output).contains("after the next restart"), "{output:?}");
    assert!(!format!("{}{}", out(&output), error(&output)).contains("horse"));

    let mut command = bench.command(&["settings", "set", "AuthorizationKey", "-"]);
    let output = command.stdin(Stdio::null()).output().await.expect("runs");
    assert_eq!(output.status.code(), Some(64), "{}", error(&output));
}
