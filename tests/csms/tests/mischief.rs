//! Chaos and large numbers over real sockets, with a WebSocket client in the station's place.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::time::Duration;

use busbar_csms::{Books, Chaos, Csms, Message, Odds, Options, Trick};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as WsMessage;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const SOON: Duration = Duration::from_secs(10);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(csms: &Csms) -> Socket {
    let mut request = format!("{}/CP1", csms.url()).into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("ocpp1.6"));
    timeout(SOON, connect_async(request)).await.expect("a handshake in time").unwrap().0
}

/// A station that insists: the same request under the same id until it is answered, over as many links as it takes.
struct Insistent<'a> {
    csms: &'a Csms,
    socket: Socket,
}

impl Insistent<'_> {
    async fn ask(&mut self, id: &str, action: &str, payload: &Value) -> Value {
        /// Longer than the latest answer of the test.
        const PATIENCE: Duration = Duration::from_millis(500);
        let text = json!([2, id, action, payload]).to_string();
        for _ in 0..1000 {
            if self.socket.send(WsMessage::text(text.clone())).await.is_err() {
                self.socket = connect(self.csms).await;
                continue;
            }
            let answer = async {
                loop {
                    match self.socket.next().await {
                        Some(Ok(WsMessage::Text(text))) => match Message::parse(&text) {
                            Message::Result { id: answered, payload } if answered == id => return Some(payload),
                            Message::Error { id: answered, .. } if answered == id => return None,
                            _ => {}
                        },
                        Some(Ok(_)) => {}
                        Some(Err(_)) | None => return None,
                    }
                }
            };
            match timeout(PATIENCE, answer).await {
                Ok(Some(payload)) => return payload,
                Ok(None) => self.socket = connect(self.csms).await,
                Err(_) => {}
            }
        }
        panic!("{action} was never answered");
    }
}

#[tokio::test]
async fn a_station_that_insists_gets_its_books_right_through_any_chaos() {
    const SEED: u64 = 20_261_123;
    let chaos =
        Chaos { seed: SEED, odds: Odds::even(0.6), latest_millis: 30, spared: vec!["BootNotification".to_owned()] };
    let csms = Csms::start(Options { chaos: Some(chaos), ..Options::default() }).await.unwrap();
    let mut station = Insistent { csms: &csms, socket: connect(&csms).await };
    for n in 0..30 {
        let connector = n % 2 + 1;
        let at = |minute: i64| format!("2026-01-01T{:02}:{minute:02}:00Z", n / 2);
        let start = json!({"connectorId": connector, "idTag": "A", "meterStart": n, "timestamp": at(n)});
        let given = station.ask(&format!("start-{n}"), "StartTransaction", &start).await;
        let stop = json!({"transactionId": given["transactionId"], "meterStop": n + 1, "timestamp": at(n + 1)});
        station.ask(&format!("stop-{n}"), "StopTransaction", &stop).await;
    }
    let books = csms.books();
    let tricks = csms.tricks();
    assert_eq!(tricks.len(), 9, "seed {SEED}: each trick was played: {tricks:?}");
    assert!(tricks[&Trick::CutAfter] > 0 && csms.links().len() > 1);
    assert_eq!((books.transactions.len(), books.strays.len()), (30, 0), "seed {SEED}: {books:?}");
    for (n, booked) in books.transactions.iter().enumerate() {
        assert_eq!(booked.start_message_ids, [format!("start-{n}")], "seed {SEED}");
        assert_eq!(booked.stop_message_ids, [format!("stop-{n}")], "seed {SEED}");
        assert_eq!(booked.transaction_id, Some(1000 + n as i64), "seed {SEED}");
    }
    assert!(books.transactions.iter().any(|booked| booked.start_count > 1), "seed {SEED}");
    assert_eq!(books.unexcused().collect::<Vec<_>>(), [] as [&str; 0], "seed {SEED}");
    // Switched off, everything is answered at once.
    csms.set_chaos(None);
    let mark = csms.mark();
    station.ask("calm", "Heartbeat", &json!({})).await;
    assert_eq!((csms.frames_since(mark).len(), csms.tricks().len()), (2, 0));
}

#[tokio::test]
async fn a_hundred_thousand_frames_are_answered_in_flat_memory_and_time() {
    const REQUESTS: i64 = 50_000;
    const KEEP: usize = 1000;
    const AT_ONCE: i64 = 100;
    let csms = Csms::start(Options { keep: Some(KEEP), ..Options::default() }).await.unwrap();
    let (mut sink, mut stream) = connect(&csms).await.split();
    let mut books = Books::default();
    let mut noted = 0;
    for batch in 0..REQUESTS / AT_ONCE {
        for n in batch * AT_ONCE..(batch + 1) * AT_ONCE {
            let at = jiff::Timestamp::from_second(1_700_000_000 + n).unwrap();
            let payload = match n % 2 {
                0 => json!([2, format!("m{n}"), "StartTransaction",
                    {"connectorId": 1, "idTag": "A", "meterStart": n, "timestamp": at.to_string()}]),
                _ => json!([2, format!("m{n}"), "StopTransaction",
                    {"transactionId": 1000 + n / 2, "meterStop": n, "timestamp": at.to_string()}]),
            };
            sink.feed(WsMessage::text(payload.to_string())).await.unwrap();
        }
        sink.flush().await.unwrap();
        for _ in 0..AT_ONCE {
            timeout(SOON, stream.next()).await.expect("an answer in time").unwrap().unwrap();
        }
        // The record is short, so the account is carried on outside.
        for frame in csms.frames_since(noted) {
            assert_eq!(frame.seq, noted, "a frame was missed");
            noted = frame.seq + 1;
            books.note(&frame);
        }
    }
    assert_eq!((csms.mark(), csms.frames().len()), (100_000, KEEP));
    assert_eq!((books.transactions.len(), books.irregularities.len()), (25_000, 0));
}
