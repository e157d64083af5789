//! The central system over real sockets, with a WebSocket client in the station's place.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::time::Duration;

use busbar_csms::{Answer, CallFailure, Csms, Direction, Frame, Message, Options};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message as WsMessage};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Everything here takes milliseconds; only a fault takes this long.
const SOON: Duration = Duration::from_secs(10);

/// For what must not happen while other things do.
const BRIEFLY: Duration = Duration::from_millis(50);

struct Station {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Station {
    async fn connect(csms: &Csms, path: &str) -> Result<Self, Error> {
        let mut request = format!("{}/{path}", csms.url()).into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("Sec-WebSocket-Protocol", HeaderValue::from_static("ocpp2.0.1, ocpp1.6"));
        headers.insert("Authorization", HeaderValue::from_static("Basic eDp5"));
        let (socket, response) = timeout(SOON, connect_async(request)).await.expect("a handshake in time")?;
        assert_eq!(response.headers().get("Sec-WebSocket-Protocol").unwrap(), "ocpp1.6");
        Ok(Self { socket })
    }

    async fn send(&mut self, text: &str) {
        self.socket.send(WsMessage::text(text)).await.unwrap();
    }

    async fn ask(&mut self, id: &str, action: &str, payload: Value) -> Message {
        self.send(&json!([2, id, action, payload]).to_string()).await;
        self.hear().await
    }

    async fn hear(&mut self) -> Message {
        match self.next().await {
            Some(Ok(WsMessage::Text(text))) => Message::parse(&text),
            other => panic!("{other:?}"),
        }
    }

    async fn next(&mut self) -> Option<Result<WsMessage, Error>> {
        timeout(SOON, self.socket.next()).await.expect("something in time")
    }

    async fn is_reset(&mut self) -> bool {
        matches!(self.next().await, Some(Err(_)))
    }
}

async fn csms() -> Csms {
    Csms::start(Options::default()).await.unwrap()
}

fn result(message: Message) -> Value {
    match message {
        Message::Result { payload, .. } => payload,
        other => panic!("{other:?}"),
    }
}

fn error(message: Message) -> (String, String) {
    match message {
        Message::Error { id, code, .. } => (id, code),
        other => panic!("{other:?}"),
    }
}

fn answers_call(frame: &Frame) -> bool {
    frame.direction == Direction::FromStation && matches!(frame.message, Message::Result { .. })
}

#[tokio::test]
async fn a_station_boots_and_charges_and_all_is_recorded() {
    let csms = csms().await;
    csms.set_boot("Accepted", 42);
    csms.set_tag("GUEST", "Blocked", None);
    let mut station = Station::connect(&csms, "CP%201").await.unwrap();
    csms.wait_connected(SOON, "CP 1").await.unwrap();

    let boot = result(station.ask("1", "BootNotification", json!({"chargePointVendor": "v"})).await);
    assert_eq!((boot["status"].as_str(), boot["interval"].as_i64()), (Some("Accepted"), Some(42)));
    let refused = result(station.ask("2", "Authorize", json!({"idTag": "guest"})).await);
    assert_eq!(refused, json!({"idTagInfo": {"status": "Blocked"}}));
    let start = json!({"connectorId": 2, "idTag": "A", "meterStart": 5, "timestamp": "2026-01-01T00:00:00Z"});
    let started = result(station.ask("3", "StartTransaction", start).await);
    assert_eq!(started["transactionId"], 1000);
    let stop =
        json!({"transactionId": 1000, "meterStop": 9, "timestamp": "2026-01-01T01:00:00Z", "reason": "EVDisconnected"});
    result(station.ask("4", "StopTransaction", stop).await);
    assert_eq!(error(station.ask("5", "Sing", json!({})).await), ("5".into(), "NotImplemented".into()));

    let books = csms.books();
    assert_eq!(books.irregularities, [] as [&str; 0]);
    let [booked] = books.transactions.as_slice() else { panic!("{books:?}") };
    assert_eq!((booked.connector, booked.meter_stop), (2, Some(9)));
    let frames = csms.frames();
    assert_eq!(frames.len(), 10);
    assert!(frames.iter().enumerate().all(|(n, frame)| frame.seq == n as u64 && frame.identity == "CP 1"));
    assert!(frames.is_sorted_by_key(|frame| frame.offset_millis));
    assert!(frames[0].is_request("BootNotification") && frames[1].direction == Direction::ToStation);
}

#[tokio::test]
async fn case_25_what_is_said_about_a_tag_is_said_at_once_at_the_start_or_never() {
    let csms = csms().await;
    let info = json!({"status": "Accepted", "parentIdTag": "FLEET", "expiryDate": "2026-01-01T00:00:00Z"});
    csms.set_tag_info("DRIVER", info.clone());
    let mut station = Station::connect(&csms, "CP1").await.unwrap();
    assert_eq!(result(station.ask("1", "Authorize", json!({"idTag": "driver"})).await), json!({"idTagInfo": info}));

    csms.once("StartTransaction", Answer::Patched(json!({"idTagInfo": {"status": "ConcurrentTx"}})));
    let start = json!({
        "connectorId": 1, "idTag": "DRIVER", "meterStart": 5, "timestamp": "2026-01-01T00:00:00Z", "reservationId": 12,
    });
    let started = result(station.ask("2", "StartTransaction", start).await);
    assert_eq!(started, json!({"transactionId": 1000, "idTagInfo": {"status": "ConcurrentTx"}}));
    assert_eq!(csms.books().transactions[0].reservation_id, Some(12));

    csms.on("Authorize", Answer::Nothing);
    station.send(&json!([2, "3", "Authorize", {"idTag": "DRIVER"}]).to_string()).await;
    assert!(matches!(station.ask("4", "Heartbeat", json!({})).await, Message::Result { id, .. } if id == "4"));
    csms.on("Authorize", Answer::Ordinary);
    assert!(
        matches!(station.ask("5", "Authorize", json!({"idTag": "x"})).await, Message::Result { id, .. } if id == "5")
    );
}

#[tokio::test]
async fn calls_are_answered_by_result_error_or_garbage() {
    let csms = csms().await;
    let mut station = Station::connect(&csms, "CP1").await.unwrap();
    csms.wait_connected(SOON, "CP1").await.unwrap();
    let station_side = async {
        for answer in [r#"[3,"$ID",{"status":"Accepted"}]"#, r#"[4,"$ID","NotSupported","no",{}]"#, r#"[3,"$ID"]"#] {
            let Message::Call { id, action, payload } = station.hear().await else { panic!("no call") };
            assert_eq!((action.as_str(), payload), ("Reset", json!({"type": "Soft"})));
            station.send(&answer.replace("$ID", &id)).await;
        }
    };
    let test_side = async {
        let call = || csms.call("CP1", "Reset", json!({"type": "Soft"}));
        assert_eq!(call().await.unwrap().status(), Some("Accepted"));
        assert!(matches!(call().await, Err(CallFailure::CallError { code, .. }) if code == "NotSupported"));
        assert!(matches!(call().await, Err(CallFailure::Malformed { .. })));
    };
    tokio::join!(station_side, test_side);
}

#[tokio::test]
async fn calls_may_overlap_and_are_told_apart() {
    let csms = csms().await;
    let mut station = Station::connect(&csms, "CP1").await.unwrap();
    csms.wait_connected(SOON, "CP1").await.unwrap();
    let station_side = async {
        let mut heard = Vec::new();
        for _ in 0..16 {
            heard.push(station.hear().await);
        }
        for call in heard.into_iter().rev() {
            let Message::Call { id, payload, .. } = call else { panic!("{call:?}") };
            station.send(&json!([3, id, payload]).to_string()).await;
        }
    };
    let csms = &csms;
    let test_side =
        futures_util::future::join_all((0..16).map(|n| async move {
            csms.call("CP1", "DataTransfer", json!({"n": n})).await.unwrap().payload["n"] == n
        }));
    let ((), told_apart) = tokio::join!(station_side, test_side);
    assert!(told_apart.into_iter().all(|right| right));
}

#[tokio::test]
async fn calls_fail_without_a_link_an_answer_or_to_the_end() {
    let csms = csms().await;
    let none = csms.call("CP1", "Reset", json!({})).await;
    assert_eq!(none, Err(CallFailure::NotConnected { identity: "CP1".into() }));

    let mut station = Station::connect(&csms, "CP1").await.unwrap();
    csms.wait_connected(SOON, "CP1").await.unwrap();
    let unanswered = csms.call_within(BRIEFLY, "CP1", "Reset", json!({})).await;
    assert!(matches!(unanswered, Err(CallFailure::NoAnswer { waited_millis: 50, .. })), "{unanswered:?}");

    let (lost, ()) = tokio::join!(csms.call("CP1", "Reset", json!({})), async {
        station.hear().await;
        station.hear().await;
        assert!(csms.drop_connection("CP1"));
    });
    assert!(matches!(lost, Err(CallFailure::LinkLost { .. })), "{lost:?}");
}

#[tokio::test]
async fn malformed_texts_are_answered_with_an_error() {
    let csms = csms().await;
    let mut station = Station::connect(&csms, "CP1").await.unwrap();
    for (text, id, code) in [
        ("{[", "-1", "FormationViolation"),
        (r#"[2,"a","Heartbeat"]"#, "a", "FormationViolation"),
        (r#"[7,"a","Heartbeat",{}]"#, "a", "ProtocolError"),
    ] {
        station.send(text).await;
        assert_eq!(error(station.hear().await), (id.into(), code.into()), "{text}");
    }
    station.socket.send(WsMessage::binary(vec![1, 2])).await.unwrap();
    assert_eq!(error(station.hear().await), ("-1".into(), "FormationViolation".into()));
    let malformed = csms.frames().into_iter().filter(|frame| matches!(frame.message, Message::Malformed { .. }));
    assert_eq!(malformed.count(), 4);
    // An answer is never answered: the next thing heard belongs to the next request.
    station.send(r#"[3,"a"]"#).await;
    assert!(matches!(station.ask("b", "Heartbeat", json!({})).await, Message::Result { id, .. } if id == "b"));
}

#[tokio::test]
async fn put_answers_late_answers_and_none() {
    let csms = csms().await;
    csms.once("Heartbeat", Answer::error("InternalError"));
    csms.once("Heartbeat", Answer::Nothing);
    csms.once("Heartbeat", Answer::Payload(json!({"late": true})).after(Duration::from_millis(300)));
    let mut station = Station::connect(&csms, "CP1").await.unwrap();
    assert_eq!(error(station.ask("1", "Heartbeat", json!({})).await).1, "InternalError");
    station.send(r#"[2,"2","Heartbeat",{}]"#).await;
    station.send(r#"[2,"3","Heartbeat",{}]"#).await;
    // Meanwhile others are answered.
    assert!(matches!(station.ask("4", "Heartbeat", json!({})).await, Message::Result { id, .. } if id == "4"));
    assert_eq!(station.hear().await, Message::Result { id: "3".into(), payload: json!({"late": true}) });
}

#[tokio::test]
async fn a_request_can_cost_the_connection() {
    let csms = csms().await;
    csms.once("StartTransaction", Answer::Drop);
    let mut station = Station::connect(&csms, "CP1").await.unwrap();
    let start = json!({"connectorId": 1, "idTag": "A", "meterStart": 5, "timestamp": "2026-01-01T00:00:00Z"});
    station.send(&json!([2, "1", "StartTransaction", start]).to_string()).await;
    assert!(station.is_reset().await);
    csms.wait_disconnected(SOON, "CP1").await.unwrap();
    let mut station = Station::connect(&csms, "CP1").await.unwrap();
    assert_eq!(result(station.ask("1", "StartTransaction", start).await)["transactionId"], 1000);
    let books = csms.books();
    assert_eq!((books.transactions.len(), books.transactions[0].start_count), (1, 2));
    assert_eq!((books.irregularities.len(), books.unexcused().count()), (1, 0));
}

#[tokio::test]
async fn stalled_it_reads_nothing_and_answers_nothing() {
    let csms = csms().await;
    let mut station = Station::connect(&csms, "CP1").await.unwrap();
    result(station.ask("1", "Heartbeat", json!({})).await);
    csms.stall(true);
    let mark = csms.mark();
    station.send(r#"[2,"2","Heartbeat",{}]"#).await;
    station.socket.send(WsMessage::Ping("x".into())).await.unwrap();
    csms.wait_for_since(mark, BRIEFLY, |_| true).await.unwrap_err();
    assert!(timeout(BRIEFLY, station.socket.next()).await.is_err());
    assert!(csms.connected("CP1"));
    let call = csms.call_within(BRIEFLY, "CP1", "Reset", json!({})).await;
    assert!(matches!(call, Err(CallFailure::NoAnswer { .. })));
    csms.stall(false);
    assert!(matches!(station.hear().await, Message::Call { .. }));
    assert!(matches!(station.hear().await, Message::Result { id, .. } if id == "2"));
    assert!(matches!(station.next().await, Some(Ok(WsMessage::Pong(_)))));
    assert_eq!(csms.links()[0].pings, 1);
}

#[tokio::test]
async fn dropped_closed_and_refused() {
    let csms = csms().await;
    let mut station = Station::connect(&csms, "CP1").await.unwrap();
    csms.wait_connected(SOON, "CP1").await.unwrap();
    assert!(csms.drop_connection("CP1"));
    assert!(!csms.connected("CP1") && !csms.drop_connection("CP1"));
    assert!(station.is_reset().await);

    let mut station = Station::connect(&csms, "CP1").await.unwrap();
    csms.wait_connected(SOON, "CP1").await.unwrap();
    assert!(csms.close_connection("CP1", 1001).await);
    assert!(matches!(station.next().await, Some(Ok(WsMessage::Close(Some(frame)))) if u16::from(frame.code) == 1001));
    assert!(station.next().await.is_none());
    csms.wait_disconnected(SOON, "CP1").await.unwrap();

    csms.refuse(true);
    assert!(Station::connect(&csms, "CP1").await.is_err());
    csms.refuse(false);
    Station::connect(&csms, "CP1").await.unwrap();
    csms.wait_until(SOON, |csms| (csms.links().len() == 4).then_some(())).await.unwrap();
    let links = csms.links();
    assert_eq!(links.iter().map(|link| link.accepted).collect::<Vec<_>>(), [true, true, false, true]);
    assert!(links[..3].iter().all(|link| link.closed_millis.is_some()));
    assert_eq!(links[0].authorization.as_deref(), Some("Basic eDp5"));
}

#[tokio::test]
async fn a_new_connection_replaces_the_old_one() {
    let csms = csms().await;
    let mut old = Station::connect(&csms, "CP1").await.unwrap();
    let mut other = Station::connect(&csms, "CP2").await.unwrap();
    let mut new = Station::connect(&csms, "CP1").await.unwrap();
    assert!(old.is_reset().await);
    for station in [&mut new, &mut other] {
        result(station.ask("1", "Heartbeat", json!({})).await);
    }
    assert!(csms.connected("CP1") && csms.connected("CP2"));
}

#[tokio::test]
async fn other_paths_and_subprotocols_are_turned_away() {
    let csms = csms().await;
    let fault = Station::connect(&csms, "a/b").await.err();
    assert!(matches!(&fault, Some(Error::Http(response)) if response.status() == 404), "{fault:?}");
    // A client that offers no subprotocol gets a WebSocket that is closed at once.
    let (mut socket, _) = connect_async(format!("{}/CP1", csms.url())).await.unwrap();
    let first = timeout(SOON, socket.next()).await.unwrap();
    assert!(matches!(first, Some(Ok(WsMessage::Close(_)))), "{first:?}");
    assert!(!csms.connected("CP1"));
}

#[tokio::test]
async fn raw_texts_go_out_as_they_are() {
    let csms = csms().await;
    assert!(!csms.send_raw("CP1", "[").await);
    let mut station = Station::connect(&csms, "CP1").await.unwrap();
    csms.wait_connected(SOON, "CP1").await.unwrap();
    assert!(csms.send_raw("CP1", "[2,").await);
    assert!(matches!(station.next().await, Some(Ok(WsMessage::Text(text))) if text.as_str() == "[2,"));
    let last = csms.frames().pop().unwrap();
    assert_eq!((last.raw.as_str(), last.direction), ("[2,", Direction::ToStation));
}

#[tokio::test]
async fn waiting_finds_old_and_coming_frames_or_times_out() {
    let csms = csms().await;
    let mut station = Station::connect(&csms, "CP1").await.unwrap();
    let (found, _) = tokio::join!(
        csms.wait_for(SOON, |frame| frame.is_request("Heartbeat")),
        station.ask("1", "Heartbeat", json!({}))
    );
    assert_eq!(found.unwrap().seq, 0);
    csms.wait_for(SOON, |frame| frame.is_request("Heartbeat")).await.unwrap();
    let missed = csms.wait_for(BRIEFLY, answers_call).await.unwrap_err();
    assert_eq!((missed.waited_millis, missed.frames), (50, 2));
    assert!(missed.last.contains("currentTime"), "{missed}");
    csms.wait_for_since(csms.mark(), BRIEFLY, |_| true).await.unwrap_err();
}

#[tokio::test]
async fn memory_is_bounded_on_request_and_a_successor_takes_the_port() {
    let csms = Csms::start(Options { keep: Some(4), ..Options::default() }).await.unwrap();
    let mut station = Station::connect(&csms, "CP1").await.unwrap();
    for n in 0..10 {
        result(station.ask(&n.to_string(), "Heartbeat", json!({})).await);
    }
    assert_eq!((csms.frames().len(), csms.dropped_frames(), csms.mark()), (4, 16, 20));
    let listen = csms.address();
    csms.stop().await;
    assert!(!matches!(station.next().await, Some(Ok(WsMessage::Text(_)))));
    let successor = Csms::start(Options { listen, ..Options::default() }).await.unwrap();
    Station::connect(&successor, "CP1").await.unwrap();
}
