//! The port to the CSMS: one WebSocket at a time, opened, closed and bounded in size and time as it is told.

use crate::configuration::Target;
use crate::connection::Order;
use crate::exchange::Input;
use crate::frame::{MOST_BYTES, Wire};
use futures_util::{SinkExt, StreamExt};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use url::Host;

/// OCPP 1.6 over JSON; a server that does not confirm it is not a CSMS for this station.
const SUBPROTOCOL: &str = "ocpp1.6";
/// Address, TCP and handshake together.
const OPENING_LIMIT: Duration = Duration::from_secs(15);
/// A frame that the network does not take within this time is not going to be.
const WRITING_LIMIT: Duration = Duration::from_secs(10);
/// The CSMS's part of closing.
const CLOSING_LIMIT: Duration = Duration::from_secs(1);
/// Nothing is read while more frames than this wait for the network.
const READ_BELOW: usize = 16;
/// Answers that peers may still owe, and the station's own requests and pings.
const ROOM_BESIDES: usize = 128;

type Socket = WebSocketStream<TcpStream>;

/// What goes over the link, in order.
enum Command {
    Text(Wire),
    Ping,
}

/// The loop's side of the port.
pub struct LinkPort {
    /// The link to open: never lost behind frames that wait.
    open: watch::Sender<Option<(u64, Target)>>,
    commands: mpsc::Sender<Command>,
    /// Links up to this number must close.
    close: watch::Sender<u64>,
    number: u64,
    room: usize,
}

impl LinkPort {
    /// The port and the task that serves it.
    pub fn new<I: From<Input> + Send + 'static>(
        inputs: mpsc::Sender<I>,
    ) -> (LinkPort, impl Future<Output = ()> + Send + 'static) {
        // Each request that was read before reading stopped may put one answer here: there is room for all of them.
        let room = READ_BELOW.saturating_add(inputs.max_capacity()).saturating_add(ROOM_BESIDES);
        let (commands, orders) = mpsc::channel(room);
        let (open, wanted) = watch::channel(None);
        let (close, closed) = watch::channel(0);
        (LinkPort { open, commands, close, number: 0, room }, serve(wanted, orders, closed, inputs))
    }

    /// Carries an order out.
    pub fn order(&mut self, order: Order) {
        match order {
            Order::Open { number, target } => {
                self.number = number;
                self.open.send_replace(Some((number, target)));
            }
            Order::Close { number } => drop(self.close.send_replace(number)),
            Order::Ping => self.put(Command::Ping),
        }
    }

    /// Sends a text.
    pub fn send(&mut self, text: Wire) {
        self.put(Command::Text(text));
    }

    fn put(&mut self, command: Command) {
        if self.commands.try_send(command).is_err() {
            // The network takes nothing: the link is as good as lost, and its end will be reported.
            tracing::warn!(waiting_frames = self.room, "the link takes no more frames");
            self.close.send_replace(self.number);
        }
    }
}

async fn serve<I: From<Input>>(
    mut wanted: watch::Receiver<Option<(u64, Target)>>,
    mut commands: mpsc::Receiver<Command>,
    mut close: watch::Receiver<u64>,
    inputs: mpsc::Sender<I>,
) {
    let mut failing = false;
    while wanted.changed().await.is_ok() {
        let Some((number, target)) = wanted.borrow_and_update().clone() else { continue };
        let opening = timeout(OPENING_LIMIT, open(&target));
        let socket = tokio::select! {
            socket = opening => socket.unwrap_or_else(|_| Err("it takes too long".to_owned())),
            () = ordered_to_close(&mut close, number) => Err("it is no longer wanted".to_owned()),
        };
        match socket {
            Ok(socket) => {
                failing = false;
                // Frames of a link that has ended: what must arrive is sent again by whoever waits for it.
                while commands.try_recv().is_ok() {}
                tracing::info!(url = target.shown_url, identity = target.identity, "the link is open");
                if inputs.send(Input::Opened { number }.into()).await.is_err() {
                    return;
                }
                let reason = talk(socket, number, &mut commands, &mut close, &inputs).await;
                tracing::info!(url = target.shown_url, reason, "the link has ended");
            }
            // Said once for as long as it lasts.
            Err(reason) if failing => tracing::debug!(url = target.shown_url, reason, "the link cannot be opened"),
            Err(reason) => {
                failing = true;
                tracing::warn!(url = target.shown_url, reason, "the link cannot be opened; it is tried again");
            }
        }
        if inputs.send(Input::Ended { number, dice: fastrand::u32(..) }.into()).await.is_err() {
            return;
        }
    }
}

async fn open(target: &Target) -> Result<Socket, String> {
    let host = target.address.host().ok_or("the address has no host")?;
    let port = target.address.port_or_known_default().unwrap_or(80);
    let stream = match host {
        Host::Domain(name) => TcpStream::connect((name, port)).await,
        Host::Ipv4(address) => TcpStream::connect((address, port)).await,
        Host::Ipv6(address) => TcpStream::connect((address, port)).await,
    };
    let stream = stream.map_err(|error| error.to_string())?;
    // Without it the second of two frames in a row waits for the CSMS to acknowledge the first.
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let mut request = target.address.as_str().into_client_request().map_err(|error| error.to_string())?;
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(SUBPROTOCOL));
    let config = WebSocketConfig::default().max_message_size(Some(MOST_BYTES)).max_frame_size(Some(MOST_BYTES));
    let (socket, _) = client_async_with_config(request, stream, Some(config)).await.map_err(|error| match error {
        Error::Http(answer) => format!("the server answers {}", answer.status()),
        error => error.to_string(),
    })?;
    Ok(socket)
}

/// Carries frames until the link ends; tells why it did. A CSMS that asks faster than it takes the answers is not heard
/// until it has taken them.
async fn talk<I: From<Input>>(
    mut socket: Socket,
    number: u64,
    commands: &mut mpsc::Receiver<Command>,
    close: &mut watch::Receiver<u64>,
    inputs: &mpsc::Sender<I>,
) -> String {
    loop {
        let input = tokio::select! {
            message = socket.next(), if commands.len() <= READ_BELOW => match message {
                Some(Ok(Message::Text(text))) => Input::Text { number, text: Wire(text.as_str().to_owned()) },
                // Not OCPP, but a sign of life.
                Some(Ok(_)) => Input::Heard { number },
                Some(Err(error)) => return error.to_string(),
                None => return "the CSMS closed it".to_owned(),
            },
            command = commands.recv() => {
                let Some(command) = command else {
                    bid_farewell(&mut socket).await;
                    return "the service stops".to_owned();
                };
                if let Err(reason) = write(&mut socket, command, WRITING_LIMIT).await {
                    return reason;
                }
                continue;
            }
            () = ordered_to_close(close, number) => {
                // What was handed over before the order to close is still sent.
                while let Ok(command) = commands.try_recv() {
                    if let Err(reason) = write(&mut socket, command, WRITING_LIMIT).await {
                        return reason;
                    }
                }
                bid_farewell(&mut socket).await;
                return "it was given up".to_owned();
            }
        };
        if inputs.send(input.into()).await.is_err() {
            return "the service stops".to_owned();
        }
    }
}

/// Returns when this link must close, also because the service stops.
async fn ordered_to_close(close: &mut watch::Receiver<u64>, number: u64) {
    let _ = close.wait_for(|closed| *closed >= number).await;
}

async fn write(socket: &mut Socket, command: Command, limit: Duration) -> Result<(), String> {
    let message = match command {
        Command::Text(Wire(text)) => Message::text(text),
        Command::Ping => Message::Ping(Vec::new().into()),
    };
    match timeout(limit, socket.send(message)).await {
        Ok(sent) => sent.map_err(|error| error.to_string()),
        Err(_) => Err("the network takes nothing".to_owned()),
    }
}

async fn bid_farewell(socket: &mut Socket) {
    // A CSMS that does not answer is left without.
    let _ = timeout(CLOSING_LIMIT, async {
        if socket.close(None).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charge_point::ChargePoint;
    use crate::charge_point::bench::{keys, settings};
    use crate::delivery::Stored;
    use crate::exchange::Effect;
    use crate::record::Record;
    use busbar_runtime::{Clock, View};
    use serde_json::{Value, json};
    use tokio::net::TcpListener;
    use tokio_tungstenite::accept_hdr_async;
    use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

    const LIMIT: Duration = Duration::from_secs(5);

    struct Case {
        port: LinkPort,
        inputs: mpsc::Receiver<Input>,
        listener: TcpListener,
        target: Target,
    }

    async fn case() -> Case {
        case_with(8).await
    }

    async fn case_with(waiting_inputs: usize) -> Case {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let url = format!("ws://{}/ocpp/CP1", listener.local_addr().expect("an address"));
        let (sender, inputs) = mpsc::channel(waiting_inputs);
        let (port, serving) = LinkPort::new(sender);
        tokio::spawn(serving);
        let target = Target { address: url.parse().expect("a URL"), shown_url: url, identity: "CP1".to_owned() };
        Case { port, inputs, listener, target }
    }

    async fn accept(listener: &TcpListener, confirm: bool) -> WebSocketStream<TcpStream> {
        let (stream, _) = listener.accept().await.expect("a connection");
        #[allow(clippy::result_large_err, reason = "the library's signature")]
        let confirm = move |request: &Request, mut response: Response| {
            assert_eq!(request.headers()["Sec-WebSocket-Protocol"], SUBPROTOCOL);
            assert_eq!(request.uri().path(), "/ocpp/CP1");
            if confirm {
                response.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(SUBPROTOCOL));
            }
            Ok(response)
        };
        accept_hdr_async(stream, confirm).await.expect("a handshake")
    }

    impl Case {
        async fn accept(&mut self, confirm: bool) -> WebSocketStream<TcpStream> {
            accept(&self.listener, confirm).await
        }

        async fn input(&mut self) -> Input {
            timeout(LIMIT, self.inputs.recv()).await.expect("in time").expect("an input")
        }
    }

    #[tokio::test]
    async fn texts_go_both_ways_and_a_close_comes_after_what_was_handed_over() {
        let mut case = case().await;
        case.port.order(Order::Open { number: 1, target: case.target.clone() });
        let mut csms = case.accept(true).await;
        assert!(matches!(case.input().await, Input::Opened { number: 1 }));
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
        assert!(matches!(case.input().await, Input::Ended { number: 1, .. }));
    }

    #[tokio::test]
    async fn a_server_that_does_not_confirm_the_subprotocol_is_left() {
        let mut case = case().await;
        case.port.order(Order::Open { number: 1, target: case.target.clone() });
        let _csms = case.accept(false).await;
        assert!(matches!(case.input().await, Input::Ended { number: 1, .. }));
    }

    #[tokio::test]
    async fn a_message_that_is_too_long_ends_the_link_and_the_next_one_opens() {
        let mut case = case().await;
        case.port.order(Order::Open { number: 1, target: case.target.clone() });
        let mut csms = case.accept(true).await;
        assert!(matches!(case.input().await, Input::Opened { number: 1 }));
        // The station may close before it has read all of it.
        let _ = csms.send(Message::text("x".repeat(MOST_BYTES + 1))).await;
        assert!(matches!(case.input().await, Input::Ended { number: 1, .. }));
        case.port.send(Wire("late".to_owned()));
        case.port.order(Order::Open { number: 2, target: case.target.clone() });
        let mut csms = case.accept(true).await;
        assert!(matches!(case.input().await, Input::Opened { number: 2 }));
        case.port.order(Order::Ping);
        assert!(csms.next().await.expect("a message").expect("sound").is_ping());
    }

    #[tokio::test]
    async fn a_link_that_is_no_longer_wanted_is_not_waited_for() {
        let mut case = case().await;
        // The listener never answers the handshake.
        case.port.order(Order::Open { number: 1, target: case.target.clone() });
        let (_stream, _) = case.listener.accept().await.expect("a connection");
        case.port.order(Order::Close { number: 1 });
        assert!(matches!(case.input().await, Input::Ended { number: 1, .. }));
    }

    #[tokio::test]
    async fn a_frame_that_the_network_does_not_take_ends_the_link() {
        let case = case().await;
        let (socket, _csms) = tokio::join!(open(&case.target), accept(&case.listener, true));
        let mut socket = socket.expect("a link");
        // More than the buffers of both ends hold, and nobody reads.
        let long = Command::Text(Wire("x".repeat(32 << 20)));
        let written = write(&mut socket, long, Duration::from_millis(200)).await;
        assert_eq!(written, Err("the network takes nothing".to_owned()));
    }

    /// The charge point on a real link, as the service's loop has it, with no more room for inputs than `inputs` has.
    async fn live(mut port: LinkPort, mut inputs: mpsc::Receiver<Input>, url: String) {
        let clock = Clock::system();
        let mut point = ChargePoint::new(settings(), Stored::default(), Record::default(), clock.now());
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
    async fn a_burst_of_requests_is_answered_to_the_last_one_on_the_link_that_stays() {
        for waiting_inputs in [1, 64, 300] {
            let mut case = case_with(waiting_inputs).await;
            let url = format!("ws://{}/ocpp", case.listener.local_addr().expect("an address"));
            let (nothing, none) = mpsc::channel(1);
            drop(nothing);
            let inputs = std::mem::replace(&mut case.inputs, none);
            let Case { port, listener, .. } = case;
            let living = tokio::spawn(live(port, inputs, url));
            let mut csms = accept(&listener, true).await;
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
}
