//! The port: what it is ordered, what it reports, and that it stays with a CSMS that asks a lot.

use super::*;
use crate::charge_point::bench::{keys, settings as station};
use crate::charge_point::{Beginning, ChargePoint};
use crate::exchange::Effect;
use crate::link::servers::{Answer, LIMIT, accept, dead_port, listener, settings, target, upgrade};
use crate::link::talk::Stream;
use busbar_ocpp16::frame::MOST_BYTES;
use busbar_runtime::{Clock, View};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

struct Case {
    port: LinkPort,
    inputs: mpsc::Receiver<Input>,
    listener: TcpListener,
    url: String,
    target: Target,
}

async fn case() -> Case {
    case_with(8).await
}

async fn case_with(waiting_inputs: usize) -> Case {
    let (listener, at) = listener().await;
    let url = format!("ws://127.0.0.1:{at}/ocpp");
    let (sender, inputs) = mpsc::channel(waiting_inputs);
    let (port, serving) = LinkPort::new(settings(), sender);
    tokio::spawn(serving);
    Case { port, inputs, listener, target: target(&[format!("{url}/CP1")]), url }
}

impl Case {
    async fn accept(&mut self) -> WebSocketStream<Stream> {
        upgrade(accept(&self.listener).await, Answer::Confirm).await.1.expect("a WebSocket")
    }

    async fn open(&mut self, number: u64) -> WebSocketStream<Stream> {
        self.port.order(Order::Open { number, target: self.target.clone() });
        let csms = self.accept().await;
        let input = self.input().await;
        assert!(matches!(input, Input::Opened { number: opened, url } if opened == number && url == self.url));
        csms
    }

    async fn input(&mut self) -> Input {
        timeout(LIMIT, self.inputs.recv()).await.expect("in time").expect("an input")
    }

    async fn ended(&mut self, number: u64) -> String {
        match self.input().await {
            Input::Ended { number: ended, reason, .. } if ended == number => reason,
            _ => panic!("the link {number} has not ended"),
        }
    }
}

#[tokio::test]
async fn texts_go_both_ways_and_a_close_comes_after_what_was_handed_over() {
    let mut case = case().await;
    let mut csms = case.open(1).await;
    csms.send(Message::text("[3]")).await.expect("sent");
    assert!(matches!(case.input().await, Input::Text { number: 1, text } if text.0 == "[3]"));
    csms.send(Message::Pong(Vec::new().into())).await.expect("sent");
    assert!(matches!(case.input().await, Input::Heard { number: 1 }));
    case.port.send(Wire("[2]".to_owned()));
    case.port.order(Order::Close { number: 1 });
    let got = csms.next().await.expect("a message").expect("sound");
    assert_eq!(got, Message::text("[2]"));
    assert!(csms.next().await.expect("a message").expect("sound").is_close());
    drop(csms);
    assert_eq!(case.ended(1).await, "the station closed it");
}

#[tokio::test]
async fn case_34_a_message_that_is_too_long_ends_the_link_and_the_next_one_opens() {
    let mut case = case().await;
    let mut csms = case.open(1).await;
    // The station may close before it has read all of it.
    let _ = csms.send(Message::text("x".repeat(MOST_BYTES + 1))).await;
    assert_eq!(case.ended(1).await, "the CSMS sent a message of more than 262144 bytes");
    case.port.send(Wire("late".to_owned()));
    let mut csms = case.open(2).await;
    case.port.order(Order::Ping);
    assert!(csms.next().await.expect("a message").expect("sound").is_ping());
}

#[tokio::test]
async fn case_34_a_binary_message_is_a_sign_of_life_and_nothing_else() {
    let mut case = case().await;
    let mut csms = case.open(1).await;
    csms.send(Message::binary(vec![0xFF, 0x00])).await.expect("sent");
    assert!(matches!(case.input().await, Input::Binary { number: 1 }));
    csms.send(Message::text("[]")).await.expect("sent");
    assert!(matches!(case.input().await, Input::Text { number: 1, .. }));
}

#[tokio::test]
async fn case_35_b32_every_close_code_ends_the_link_and_is_told() {
    let mut case = case().await;
    let reasons = [
        (CloseCode::Normal, "", "the CSMS closed it with code 1000".to_owned()),
        (CloseCode::Away, "restart", "the CSMS closed it with code 1001: restart".to_owned()),
        (CloseCode::Policy, "un\nknown", "the CSMS closed it with code 1008: un known".to_owned()),
        (CloseCode::Size, &"x".repeat(100), format!("the CSMS closed it with code 1009: {}…", "x".repeat(79))),
        (CloseCode::Error, "", "the CSMS closed it with code 1011".to_owned()),
        (CloseCode::Library(4001), "taken", "the CSMS closed it with code 4001: taken".to_owned()),
    ];
    for ((code, reason, expected), number) in reasons.into_iter().zip(1..) {
        let mut csms = case.open(number).await;
        csms.close(Some(CloseFrame { code, reason: reason.into() })).await.expect("sent");
        let answer = csms.next().await.expect("a message").expect("sound");
        assert!(answer.is_close(), "a close is answered with one");
        assert!(csms.next().await.is_none());
        drop(csms);
        assert_eq!(case.ended(number).await, expected);
    }
}

#[tokio::test]
async fn case_35_a_connection_that_is_cut_is_told() {
    let mut case = case().await;
    let csms = case.open(1).await;
    drop(csms);
    assert_eq!(case.ended(1).await, "the connection was cut");
}

#[tokio::test]
async fn a_link_that_is_no_longer_wanted_is_not_waited_for() {
    let mut case = case().await;
    // The listener never answers the handshake.
    case.port.order(Order::Open { number: 1, target: case.target.clone() });
    let (_stream, _) = case.listener.accept().await.expect("a connection");
    case.port.order(Order::Close { number: 1 });
    assert_eq!(case.ended(1).await, "the station closed it");
}

#[tokio::test]
async fn case_b34_a_link_that_cannot_be_opened_is_reported_once_with_its_reason() {
    let mut case = case().await;
    let at = dead_port().await;
    case.target = target(&[format!("ws://127.0.0.1:{at}/CP1")]);
    for number in [1, 2] {
        case.port.order(Order::Open { number, target: case.target.clone() });
        let expected = format!("ws://127.0.0.1:{at}/: no connection: 127.0.0.1:{at}: connection refused");
        assert_eq!(case.ended(number).await, expected);
    }
}

/// The charge point on a real link, as the service's loop has it, with no more room for inputs than `inputs` has.
async fn live(mut port: LinkPort, mut inputs: mpsc::Receiver<Input>, url: String) {
    let clock = Clock::system();
    let mut point = ChargePoint::new(station(), Beginning::default(), clock.now());
    let mut next = Some(Input::Settings(View::Present(keys(&[("SupervisionUrl", &url)]))));
    while let Some(input) = next {
        assert!(!matches!(input, Input::Ended { .. }), "the link stays");
        for effect in point.step(clock.now(), input) {
            match effect {
                Effect::Link(order) => port.order(order),
                Effect::Send(text) => port.send(text),
                _ => {}
            }
        }
        next = inputs.recv().await;
    }
}

#[tokio::test]
async fn case_34_a_burst_of_requests_is_answered_to_the_last_one_on_the_link_that_stays() {
    for waiting_inputs in [1, 64, 300] {
        let mut case = case_with(waiting_inputs).await;
        let (nothing, none) = mpsc::channel(1);
        drop(nothing);
        let inputs = std::mem::replace(&mut case.inputs, none);
        let Case { port, listener, url, .. } = case;
        let living = tokio::spawn(live(port, inputs, url));
        let mut csms = upgrade(accept(&listener).await, Answer::Confirm).await.1.expect("a WebSocket");
        for number in 0..300 {
            let request = json!([2, number.to_string(), "GetConfiguration", {}]).to_string();
            csms.feed(Message::text(request)).await.expect("fed");
        }
        csms.flush().await.expect("sent");
        let mut answered = Vec::new();
        while answered.len() < 300 {
            let got = timeout(LIMIT, csms.next()).await.expect("in time").expect("the link stays").expect("sound");
            let Message::Text(text) = got else { continue };
            let frame: Value = serde_json::from_str(&text).expect("JSON");
            if frame[0] == 3 {
                assert!(frame[2]["configurationKey"].is_array());
                answered.push(frame[1].as_str().expect("an id").to_owned());
            }
        }
        let all: Vec<String> = (0..300).map(|number| number.to_string()).collect();
        assert_eq!(answered, all, "each once, in order");
        living.abort();
    }
}
