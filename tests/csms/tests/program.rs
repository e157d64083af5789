//! The program over its standard streams, with a WebSocket client in the station's place.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::process::Stdio;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};

const SOON: Duration = Duration::from_secs(20);

struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    url: String,
}

impl Program {
    async fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_busbar-csms"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut program = Self { child, stdin, lines, url: String::new() };
        program.url = program.line().await["url"].as_str().unwrap().to_owned();
        program
    }

    async fn line(&mut self) -> Value {
        let line = timeout(SOON, self.lines.next_line()).await.expect("a line in time").unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    }

    async fn tell(&mut self, line: &str) {
        self.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    async fn terminate(&mut self) -> Option<i32> {
        let pid = Pid::from_raw(self.child.id().unwrap().try_into().unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        timeout(SOON, self.child.wait()).await.expect("an end in time").unwrap().code()
    }
}

#[tokio::test]
async fn frames_come_out_and_commands_go_in() {
    let mut program = Program::start(&[]).await;
    let mut request = format!("{}/CP1", program.url).into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("ocpp1.6"));
    let (mut station, _) = connect_async(request).await.unwrap();

    program.tell(r#"{"tag":{"tag":"A","status":"Expired"}}"#).await;
    // Answered in turn, so the tag is set by then.
    program.tell("nonsense").await;
    assert!(program.line().await["error"]["fault"].as_str().unwrap().contains("expected"));
    station.send(Message::text(r#"[2,"1","Authorize",{"idTag":"A"}]"#)).await.unwrap();
    let asked = program.line().await;
    assert_eq!(asked["frame"]["direction"], "from-station");
    assert_eq!(asked["frame"]["message"]["call"]["action"], "Authorize");
    assert_eq!(program.line().await["frame"]["message"]["result"]["payload"]["idTagInfo"]["status"], "Expired");
    station.next().await.unwrap().unwrap();

    program.tell(r#"{"call":{"identity":"CP1","action":"ClearCache"}}"#).await;
    let call = station.next().await.unwrap().unwrap().into_text().unwrap();
    let id = serde_json::from_str::<Value>(&call).unwrap()[1].clone();
    station.send(Message::text(json!([3, id, {"status": "Accepted"}]).to_string())).await.unwrap();
    let mut lines = [program.line().await, program.line().await, program.line().await];
    lines.sort_by_key(|line| line.get("reply").is_some());
    assert_eq!(lines[0]["frame"]["raw"], call.as_str());
    assert_eq!(lines[2]["reply"]["payload"], json!({"status": "Accepted"}));

    for absent in [r#"{"drop":"CP9"}"#, r#"{"call":{"identity":"CP9","action":"ClearCache"}}"#] {
        program.tell(absent).await;
        assert_eq!(program.line().await["error"]["fault"], "CP9 is not connected");
    }
    program.tell(r#"{"drop":"CP1"}"#).await;
    assert!(timeout(SOON, station.next()).await.unwrap().unwrap().is_err());
    assert_eq!(program.terminate().await, Some(0));
}

#[tokio::test]
async fn frames_go_to_the_log_and_the_end_of_input_is_not_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("frames.jsonl");
    let mut program = Program::start(&["--log", log.to_str().unwrap()]).await;
    program.stdin = None;
    let mut request = format!("{}/CP1", program.url).into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("ocpp1.6"));
    let (mut station, _) = connect_async(request).await.unwrap();
    station.send(Message::text(r#"[2,"1","Heartbeat",{}]"#)).await.unwrap();
    station.next().await.unwrap().unwrap();
    assert_eq!(program.terminate().await, Some(0));
    let written = tokio::fs::read_to_string(&log).await.unwrap();
    let frames: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(frames.len(), 2);
    assert_eq!(frames[0]["frame"]["raw"], r#"[2,"1","Heartbeat",{}]"#);
}

#[tokio::test]
async fn certificates_come_from_files_and_passwords_from_commands() {
    let folder = tempfile::tempdir().unwrap();
    let made = busbar_csms::Tls::self_signed(&["localhost"]).unwrap().tls;
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
    tokio::fs::write(&certificate, made.chain_pem).await.unwrap();
    tokio::fs::write(&key, made.key_pem).await.unwrap();
    let mut program =
        Program::start(&["--certificate", certificate.to_str().unwrap(), "--key", key.to_str().unwrap()]).await;
    assert!(program.url.starts_with("wss://"), "{}", program.url);
    assert_eq!(program.terminate().await, Some(0));

    let mut program = Program::start(&[]).await;
    program.tell(r#"{"password":{"identity":"CP1","password":"secret"}}"#).await;
    program.tell(r#"{"chaos":{"odds":{"error":1.0}}}"#).await;
    // Answered in turn, so both are obeyed by then.
    program.tell("nonsense").await;
    program.line().await;
    let mut request = format!("{}/CP1", program.url).into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("ocpp1.6"));
    let refused = connect_async(request.clone()).await.err();
    assert!(matches!(&refused, Some(Error::Http(response)) if response.status() == 401), "{refused:?}");
    request.headers_mut().insert("Authorization", HeaderValue::from_static("Basic Q1AxOnNlY3JldA=="));
    let (mut station, _) = connect_async(request).await.unwrap();
    station.send(Message::text(r#"[2,"1","Heartbeat",{}]"#)).await.unwrap();
    let answer = station.next().await.unwrap().unwrap().into_text().unwrap();
    assert!(answer.contains("InternalError"), "{answer}");
    assert_eq!(program.terminate().await, Some(0));
}

#[tokio::test]
async fn faults_at_the_start_have_their_exit_codes() {
    let program = Program::start(&[]).await;
    let taken = program.url.strip_prefix("ws://").and_then(|url| url.strip_suffix("/ocpp")).unwrap();
    for (arguments, code) in
        [(["--listen", taken], 69), (["--listen", "nowhere"], 64), (["--log", "/nonexistent/frames.jsonl"], 74)]
    {
        let mut child = Command::new(env!("CARGO_BIN_EXE_busbar-csms"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let ended = timeout(SOON, child.wait()).await.expect("an end in time").unwrap();
        assert_eq!(ended.code(), Some(code), "{arguments:?}");
    }
}
