//! The command itself on a bus of its own, against a scripted ocpp, a scripted session and a scripted settings.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test"
)]

use busbar_interfaces::ocpp::{ActionCount, UndeliveredEvent};
use busbar_interfaces::session::{Decision, Reservation, SessionConnectorState, SessionState, TransactionEvent};
use busbar_interfaces::words::{
    AuthorizationSource, Availability, ConnectorStatus, DataTransferStatus, DecisionReason, EventKind, KeyOrigin, Link,
    ReadingContext, Registration, SetVerdict, StopReason, Verdict,
};
use busbar_interfaces::{
    BoottimeMillis, CallError, Condition, ConnectorId, Milliamperes, Millivolts, MilliwattHours, Percent,
    ReservationId, TransactionId, UnixMillis, Watts, names,
};
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

/// Session with a reservation, a list, a cache and a badge that was refused.
struct Session(SessionState);

fn session() -> SessionState {
    SessionState {
        journal_id: 1,
        last_event: 2,
        last_decision: Decision {
            connector: ConnectorId(2),
            verdict: Verdict::Rejected,
            source: AuthorizationSource::Cache,
            reason: DecisionReason::Reserved,
            unix_millis: UnixMillis(1_767_225_600_000),
        },
        local_list_version: 12,
        local_list_badges: 340,
        cached_badges: 5,
        reservations: vec![Reservation {
            reservation: ReservationId(-7),
            connector: ConnectorId(2),
            expires_unix_millis: UnixMillis(1_767_229_200_000),
        }],
        ..SessionState::default()
    }
}

fn event(sequence: u64) -> TransactionEvent {
    TransactionEvent {
        sequence,
        transaction: TransactionId(sequence),
        connector: ConnectorId(1),
        kind: EventKind::Started,
        unix_millis: UnixMillis(1_767_225_600_000),
        boottime_millis: BoottimeMillis(1),
        boot: String::new(),
        context: ReadingContext::TransactionBegin,
        energy_milliwatt_hours: MilliwattHours(1),
        watts: Watts(0),
        millivolts: Millivolts(0),
        milliamperes: Milliamperes(0),
        offered_watts: Watts(0),
        state_of_charge_percent: Percent::UNKNOWN,
        id_tag: "TAG".to_owned(),
        reason: StopReason::None,
        reservation: if sequence == 2 { vec![ReservationId(-7)] } else { Vec::new() },
        signed_data: String::new(),
    }
}

#[zbus::interface(name = "io.busbar.Session1")]
impl Session {
    async fn cancel_reservation(
        &self,
        reservation: ReservationId,
        valid_until_boottime_millis: BoottimeMillis,
    ) -> Result<Verdict, CallError> {
        assert!(valid_until_boottime_millis > BoottimeMillis(0));
        match reservation.0 {
            -7 => Ok(Verdict::Accepted),
            99 => Err(CallError::Busy("too many requests wait; repeat later".to_owned())),
            _ => Ok(Verdict::Rejected),
        }
    }

    async fn clear_cache(&self, valid_until_boottime_millis: BoottimeMillis) -> Verdict {
        assert!(valid_until_boottime_millis > BoottimeMillis(0));
        if self.0.cached_badges > 0 { Verdict::Accepted } else { Verdict::Rejected }
    }

    async fn events_after(&self, cursor: u64, max: u32) -> Vec<TransactionEvent> {
        (cursor + 1..=2).take(max as usize).map(event).collect()
    }

    #[zbus(property)]
    fn journal_id(&self) -> u64 {
        self.0.journal_id
    }

    #[zbus(property)]
    fn last_event(&self) -> u64 {
        self.0.last_event
    }

    #[zbus(property)]
    fn delivered_event(&self) -> u64 {
        self.0.delivered_event
    }

    #[zbus(property)]
    fn availability(&self) -> Availability {
        self.0.availability
    }

    #[zbus(property)]
    fn last_decision(&self) -> Decision {
        self.0.last_decision
    }

    #[zbus(property)]
    fn local_list_version(&self) -> i32 {
        self.0.local_list_version
    }

    #[zbus(property)]
    fn local_list_badges(&self) -> u32 {
        self.0.local_list_badges
    }

    #[zbus(property)]
    fn cached_badges(&self) -> u32 {
        self.0.cached_badges
    }

    #[zbus(property)]
    fn reservations(&self) -> Vec<Reservation> {
        self.0.reservations.clone()
    }

    #[zbus(property)]
    fn conditions(&self) -> Vec<Condition> {
        self.0.conditions.clone()
    }
}

struct SessionConnector(SessionConnectorState);

#[zbus::interface(name = "io.busbar.Session1.Connector")]
impl SessionConnector {
    #[zbus(property)]
    fn status(&self) -> ConnectorStatus {
        self.0.status
    }

    #[zbus(property)]
    fn availability(&self) -> Availability {
        self.0.availability
    }

    #[zbus(property)]
    fn availability_is_scheduled(&self) -> bool {
        self.0.availability_is_scheduled
    }

    #[zbus(property)]
    fn status_since_unix_millis(&self) -> UnixMillis {
        self.0.status_since_unix_millis
    }

    #[zbus(property)]
    fn fault_code(&self) -> String {
        self.0.fault_code.clone()
    }

    #[zbus(property)]
    fn transaction(&self) -> TransactionId {
        self.0.transaction
    }

    #[zbus(property)]
    fn authorized_by(&self) -> AuthorizationSource {
        self.0.authorized_by
    }

    #[zbus(property)]
    fn last_transaction(&self) -> TransactionId {
        self.0.last_transaction
    }

    #[zbus(property)]
    fn started_unix_millis(&self) -> UnixMillis {
        self.0.started_unix_millis
    }

    #[zbus(property)]
    fn energy_milliwatt_hours(&self) -> MilliwattHours {
        self.0.energy_milliwatt_hours
    }

    #[zbus(property)]
    fn last_stop_reason(&self) -> StopReason {
        self.0.last_stop_reason
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

    async fn session(&self, state: SessionState) -> Bus {
        let bus = Bus::connect(names::SESSION, self.bus.address()).await.expect("the bus is there");
        bus.serve(names::SESSION.root, Session(state)).await.expect("served");
        for (number, status) in [(1, ConnectorStatus::Charging), (2, ConnectorStatus::Reserved)] {
            let state = SessionConnectorState {
                status,
                availability: Availability::Operative,
                availability_is_scheduled: false,
                status_since_unix_millis: UnixMillis(1),
                fault_code: String::new(),
                transaction: TransactionId(if number == 1 { 7 } else { 0 }),
                authorized_by: AuthorizationSource::LocalList,
                last_transaction: TransactionId(0),
                started_unix_millis: UnixMillis(1),
                energy_milliwatt_hours: MilliwattHours(0),
                last_stop_reason: StopReason::None,
            };
            let path = names::SESSION.connector(ConnectorId(number));
            bus.serve(&path, SessionConnector(state)).await.expect("served");
        }
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

#[tokio::test]
async fn without_session_its_commands_say_so_and_the_status_goes_on() {
    let bench = Bench::new().await;
    for line in [&["reservation", "cancel", "12"][..], &["cache", "clear"], &["journal"]] {
        let output = bench.run(line).await;
        assert_eq!(output.status.code(), Some(69), "{line:?}: {}", error(&output));
        assert!(error(&output).contains("not on the bus"), "{}", error(&output));
    }
    let status = bench.run(&["status"]).await;
    assert!(status.status.success() && out(&status).contains("badges           not known"), "{status:?}");
    let json: serde_json::Value = serde_json::from_slice(&bench.run(&["status", "--json"]).await.stdout).expect("JSON");
    assert_eq!((&json["badges"], &json["reservations"]), (&serde_json::Value::Null, &serde_json::Value::Null));
}

#[tokio::test]
async fn case_26_the_status_shows_what_is_reserved_and_why_a_badge_was_refused() {
    let bench = Bench::new().await;
    let _session = bench.session(session()).await;
    let text = out(&bench.run(&["status"]).await);
    for said in [
        "connector 2      reserved;",
        "reserved         connector 2 until 2026-01-01T01:00:00Z",
        "last badge       refused at connector 2: it is reserved for another driver (the badge is in the cache); \
         2026-01-01T00:00:00Z (",
        "local list       version 12, 340 badges\n",
        "cache            5 badges\n",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let json: serde_json::Value = serde_json::from_slice(&bench.run(&["status", "--json"]).await.stdout).expect("JSON");
    let expected = serde_json::json!({
        "last_decision": {
            "connector": 2, "verdict": "rejected", "source": "cache", "reason": "reserved", "unix_millis": 1_767_225_600_000_u64,
        },
        "local_list_version": 12,
        "local_list_badges": 340,
        "cached_badges": 5,
    });
    assert_eq!(json["badges"], expected);
    let expected = serde_json::json!([
        { "reservation": -7, "connector": 2, "expires_unix_millis": 1_767_229_200_000_u64 }
    ]);
    assert_eq!(json["reservations"], expected);
    assert_eq!(json["connectors"]["1"]["authorized_by"], "local-list");
}

#[tokio::test]
async fn tc_051_a_reservation_is_cancelled_by_its_number() {
    let bench = Bench::new().await;
    let _session = bench.session(session()).await;
    let cancelled = bench.run(&["reservation", "cancel", "-7"]).await;
    assert!(cancelled.status.success() && out(&cancelled) == "accepted: reservation -7 is over\n", "{cancelled:?}");
    for (number, code, said) in
        [("12", 1, "there is no reservation 12"), ("99", 1, "too many requests wait"), ("a", 64, "invalid value")]
    {
        let refused = bench.run(&["reservation", "cancel", number]).await;
        assert_eq!((refused.status.code(), out(&refused).as_str()), (Some(code), ""), "{number}");
        assert!(error(&refused).contains(said), "{}", error(&refused));
    }
}

#[tokio::test]
async fn tc_061_1_the_cache_is_cleared_unless_it_is_switched_off() {
    let bench = Bench::new().await;
    let on = bench.session(session()).await;
    let cleared = bench.run(&["cache", "clear"]).await;
    assert!(cleared.status.success() && out(&cleared).starts_with("accepted: the cache is empty"), "{cleared:?}");
    on.release().await;
    drop(on);
    let _off = bench.session(SessionState::default()).await;
    let refused = bench.run(&["cache", "clear"]).await;
    assert_eq!((refused.status.code(), out(&refused).as_str()), (Some(1), ""));
    assert!(error(&refused).contains("AuthorizationCacheEnabled"), "{}", error(&refused));
}

#[tokio::test]
async fn case_26_the_journal_shows_the_reservation_of_a_start() {
    let bench = Bench::new().await;
    let _session = bench.session(session()).await;
    let listed = out(&bench.run(&["journal"]).await);
    let events: Vec<serde_json::Value> = listed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let reservations: Vec<_> = events.iter().map(|event| &event["reservation"]).collect();
    assert_eq!(reservations, [&serde_json::json!([]), &serde_json::json!([-7])], "{listed}");
}
