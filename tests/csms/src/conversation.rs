//! One connection: handshake, then frames in and out until either side ends it. It owns the socket and decides nothing.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL, WWW_AUTHENTICATE};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message as WsMessage};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use crate::answers::{self, Deed};
use crate::frame::Message;
use crate::identity;
use crate::journal::Caller;
use crate::office::Office;
use crate::wire::Wire;

/// The subprotocol of OCPP 1.6 over JSON.
const SUBPROTOCOL: &str = "ocpp1.6";

/// A station that takes longer to ask for its WebSocket is let go.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// What the central system wants of a connection.
#[derive(Debug)]
pub(crate) enum Order {
    Send(String),
    Close(u16),
}

/// How somebody who connects is received.
enum Reception {
    /// A station that speaks OCPP 1.6.
    Welcome(WebSocketStream<Wire>, Caller),
    /// A WebSocket without the subprotocol.
    Stranger(WebSocketStream<Wire>, Caller),
    /// Nobody, and why.
    TurnedAway(Caller, String),
}

/// Serves one connection to its end.
pub(crate) async fn hold(office: Arc<Office>, tls: Option<TlsAcceptor>, stream: TcpStream) {
    if office.is_refusing() {
        Wire::Plain(stream).reset();
        office.refused(Caller::default(), "connections are refused".to_owned());
        return;
    }
    // Without this a small frame after another waits for the peer's delayed acknowledgement; a socket that cannot be
    // set is a socket that is already gone.
    if stream.set_nodelay(true).is_err() || until_unstalled(&mut office.stalled()).await.is_none() {
        return;
    }
    let reception = timeout(HANDSHAKE_DEADLINE, receive(&office, tls, stream)).await;
    let late = |_| Reception::TurnedAway(Caller::default(), "no handshake in time".to_owned());
    let (mut socket, caller) = match reception.unwrap_or_else(late) {
        Reception::Welcome(socket, caller) => (socket, caller),
        Reception::Stranger(mut socket, caller) => {
            // OCPP-J 1.6, 3.2: complete the handshake without a subprotocol, then close at once.
            office.refused(caller, format!("it does not offer {SUBPROTOCOL}"));
            let _gone = socket.close(None).await;
            return socket.get_mut().end().await;
        }
        Reception::TurnedAway(caller, why) => return office.refused(caller, why),
    };
    let mut extension = office.open(caller);
    let end = tokio::select! {
        biased;
        _ = &mut extension.held => End::Reset,
        end = converse(&office, &mut socket, &mut extension.orders, &mut extension.stalled,
            &extension.identity, extension.number) => end,
    };
    match end {
        End::Reset => socket.get_ref().reset(),
        End::Closed => socket.get_mut().end().await,
    }
    drop(socket);
    office.closed(&extension.identity, extension.number);
}

/// How a conversation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// By the station, or by a failed socket.
    Closed,
    /// By this side, without a word.
    Reset,
}

async fn receive(office: &Office, tls: Option<TlsAcceptor>, stream: TcpStream) -> Reception {
    let wire = match tls {
        None => Wire::Plain(stream),
        Some(acceptor) => match Wire::secured(&acceptor, stream).await {
            Ok(wire) => wire,
            Err(fault) => return Reception::TurnedAway(Caller::default(), format!("TLS: {fault}")),
        },
    };
    let mut caller = Caller { secured: wire.agreed(), ..Caller::default() };
    let mut speaks_ocpp = false;
    #[allow(clippy::result_large_err, reason = "the signature is the WebSocket library's")]
    let admit = |request: &Request, mut response: Response| {
        caller.identity =
            identity::from_path(request.uri().path()).ok_or_else(|| turned_away(StatusCode::NOT_FOUND))?;
        let headers = request.headers();
        caller.authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if office.is_refusing() {
            return Err(turned_away(StatusCode::SERVICE_UNAVAILABLE));
        }
        if !office.admits(&caller) {
            return Err(turned_away(StatusCode::UNAUTHORIZED));
        }
        speaks_ocpp = headers
            .get_all(SEC_WEBSOCKET_PROTOCOL)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|offered| offered.trim() == SUBPROTOCOL);
        if speaks_ocpp {
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        }
        Ok(response)
    };
    match accept_hdr_async(wire, admit).await {
        Ok(socket) if speaks_ocpp => Reception::Welcome(socket, caller),
        Ok(socket) => Reception::Stranger(socket, caller),
        Err(fault) => Reception::TurnedAway(caller, fault.to_string()),
    }
}

fn turned_away(status: StatusCode) -> ErrorResponse {
    let mut response = ErrorResponse::new(None);
    *response.status_mut() = status;
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"ocpp\""));
    }
    response
}

/// Returns once nothing is stalled; `None` if the central system is gone.
async fn until_unstalled(stalled: &mut watch::Receiver<bool>) -> Option<()> {
    stalled.wait_for(|stalled| !stalled).await.ok().map(|_| ())
}

async fn converse(
    office: &Office,
    socket: &mut WebSocketStream<Wire>,
    orders: &mut mpsc::Receiver<Order>,
    stalled: &mut watch::Receiver<bool>,
    identity: &str,
    number: u64,
) -> End {
    let mut later = FuturesUnordered::new();
    loop {
        if until_unstalled(stalled).await.is_none() {
            return End::Closed;
        }
        let deed = tokio::select! {
            biased;
            _ = stalled.changed() => continue,
            Some(order) = orders.recv() => match order {
                Order::Send(text) => Deed::send(text),
                Order::Close(code) => {
                    let frame = CloseFrame { code: code.into(), reason: "".into() };
                    // The station answers with its own close frame, which ends the reading below.
                    match socket.close(Some(frame)).await {
                        Ok(()) => continue,
                        Err(_) => return End::Closed,
                    }
                }
            },
            Some(deed) = later.next(), if !later.is_empty() => deed,
            incoming = socket.next() => match read(office, identity, number, incoming) {
                Incoming::Respond(response) if response.delay.is_zero() => response.deed,
                Incoming::Respond(response) => {
                    later.push(async move {
                        sleep(response.delay).await;
                        response.deed
                    });
                    continue;
                }
                Incoming::Other => continue,
                Incoming::End => return End::Closed,
            },
        };
        for text in deed.texts {
            office.record_sent(identity, &text, deed.doubtful);
            if socket.send(WsMessage::text(text)).await.is_err() {
                return End::Closed;
            }
        }
        if deed.cut {
            return End::Reset;
        }
    }
}

/// What one read of the socket brought.
enum Incoming {
    Respond(answers::Response),
    Other,
    End,
}

fn read(office: &Office, identity: &str, number: u64, incoming: Option<Result<WsMessage, Error>>) -> Incoming {
    match incoming {
        Some(Ok(WsMessage::Text(text))) => {
            let message = Message::parse(&text);
            Incoming::Respond(office.take(identity, text.to_string(), message))
        }
        Some(Ok(WsMessage::Binary(bytes))) => {
            let raw = format!("<{} bytes of binary>", bytes.len());
            Incoming::Respond(office.take(identity, raw, Message::binary()))
        }
        Some(Ok(WsMessage::Ping(_))) => {
            office.pinged(number);
            Incoming::Other
        }
        Some(Ok(_)) => Incoming::Other,
        Some(Err(_)) | None => Incoming::End,
    }
}
