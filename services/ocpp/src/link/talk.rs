//! What goes over an open link until it ends. Frames are bounded in size, and their number by what the CSMS takes:
//! one that asks faster than it takes the answers is not heard until it has taken them.

use crate::exchange::Input;
use crate::link::error::{DialError, plain, printable};
use busbar_ocpp16::frame::{MOST_BYTES, Wire};
use futures_util::{SinkExt, StreamExt};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

/// A frame that the network does not take within this time is not going to be.
pub const WRITING_LIMIT: Duration = Duration::from_secs(10);
/// The CSMS's part of closing.
const CLOSING_LIMIT: Duration = Duration::from_secs(1);
/// Nothing is read while more frames than this wait for the network.
pub const READ_BELOW: usize = 16;
/// What is shown of a CSMS's reason to close.
const MOST_CLOSE_REASON_CHARACTERS: usize = 80;

/// What a WebSocket goes over: TCP, or TLS over it.
pub trait Carrier: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Carrier for T {}

/// Any of them.
pub type Stream = Box<dyn Carrier>;

/// What goes over the link, in order.
pub enum Command {
    Text(Wire),
    Ping,
}

/// Links up to this number must close, and why.
#[derive(Debug, Clone, Copy)]
pub struct Ending {
    pub number: u64,
    pub reason: &'static str,
}

/// Carries frames until the link ends; tells why it did.
pub async fn talk<S: Carrier, I: From<Input>>(
    mut socket: WebSocketStream<S>,
    number: u64,
    commands: &mut mpsc::Receiver<Command>,
    close: &mut watch::Receiver<Ending>,
    inputs: &mpsc::Sender<I>,
    writing_limit: Duration,
) -> String {
    loop {
        let input = tokio::select! {
            message = socket.next(), if commands.len() <= READ_BELOW => match message {
                Some(Ok(Message::Text(text))) => Input::Text { number, text: Wire(text.as_str().to_owned()) },
                Some(Ok(Message::Binary(_))) => Input::Binary { number },
                Some(Ok(Message::Close(frame))) => {
                    answer_farewell(&mut socket).await;
                    return closed(frame.as_ref());
                }
                Some(Ok(Message::Ping(_))) => {
                    // The pong goes out before anything else is read: pings that nobody takes the pongs of pile up
                    // nowhere.
                    if let Err(reason) = bounded(writing_limit, socket.flush()).await {
                        return reason;
                    }
                    Input::Heard { number }
                }
                Some(Ok(Message::Pong(_) | Message::Frame(_))) => Input::Heard { number },
                Some(Err(error)) => return fail(&mut socket, &error).await,
                None => return "the CSMS closed it".to_owned(),
            },
            command = commands.recv() => {
                let Some(command) = command else {
                    bid_farewell(&mut socket).await;
                    return "the service stops".to_owned();
                };
                if let Err(reason) = write(&mut socket, command, writing_limit).await {
                    return reason;
                }
                continue;
            }
            reason = ordered_to_close(close, number) => {
                // What was handed over before the order to close is still sent.
                while let Ok(command) = commands.try_recv() {
                    if let Err(reason) = write(&mut socket, command, writing_limit).await {
                        return reason;
                    }
                }
                bid_farewell(&mut socket).await;
                return reason.to_owned();
            }
        };
        if inputs.send(input.into()).await.is_err() {
            return "the service stops".to_owned();
        }
    }
}

/// Returns when this link must close, also because the service stops; tells why.
pub async fn ordered_to_close(close: &mut watch::Receiver<Ending>, number: u64) -> &'static str {
    close.wait_for(|ending| ending.number >= number).await.map_or("the service stops", |ending| ending.reason)
}

/// Puts one frame on the network, in one write if the network takes it.
///
/// # Errors
/// Why the link has ended.
pub async fn write<S: Carrier>(
    socket: &mut WebSocketStream<S>,
    command: Command,
    limit: Duration,
) -> Result<(), String> {
    let message = match command {
        Command::Text(Wire(text)) => Message::text(text),
        Command::Ping => Message::Ping(Vec::new().into()),
    };
    bounded(limit, socket.send(message)).await
}

async fn bounded(limit: Duration, writing: impl Future<Output = Result<(), Error>>) -> Result<(), String> {
    match timeout(limit, writing).await {
        Ok(written) => written.map_err(|error| lost(&error)),
        Err(_) => Err("the network takes nothing".to_owned()),
    }
}

async fn bid_farewell<S: Carrier>(socket: &mut WebSocketStream<S>) {
    // A CSMS that does not answer is left without.
    let _ = timeout(CLOSING_LIMIT, async {
        if socket.close(None).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    })
    .await;
}

/// The CSMS has closed: it is answered, and it is the one to hang up.
async fn answer_farewell<S: Carrier>(socket: &mut WebSocketStream<S>) {
    let _ = timeout(CLOSING_LIMIT, async {
        if socket.flush().await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    })
    .await;
}

/// The CSMS broke the rules, or the connection is gone: it is told which rule, if it still listens.
async fn fail<S: Carrier>(socket: &mut WebSocketStream<S>, error: &Error) -> String {
    let code = match error {
        Error::Utf8(_) => Some(CloseCode::Invalid),
        Error::Capacity(_) => Some(CloseCode::Size),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(_) => Some(CloseCode::Protocol),
        _ => None,
    };
    if let Some(code) = code {
        let _ = timeout(CLOSING_LIMIT, async {
            socket.close(Some(CloseFrame { code, reason: "".into() })).await?;
            // What is not read would make the kernel take the farewell back.
            let stream = socket.get_mut();
            stream.shutdown().await?;
            tokio::io::copy(stream, &mut tokio::io::sink()).await?;
            Ok::<(), Error>(())
        })
        .await;
    }
    lost(error)
}

fn lost(error: &Error) -> String {
    match error {
        Error::Utf8(_) => "the CSMS sent a text that is not UTF-8".to_owned(),
        Error::Capacity(CapacityError::MessageTooLong { .. }) => {
            format!("the CSMS sent a message of more than {MOST_BYTES} bytes")
        }
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => "the connection was cut".to_owned(),
        Error::Protocol(error) => format!("the CSMS broke the rules of the WebSocket: {error}"),
        Error::Io(error) => match DialError::of_tls(error) {
            Some(error) => format!("the connection is lost: {}", error.text()),
            None if error.kind() == ErrorKind::UnexpectedEof => "the connection was cut".to_owned(),
            None => format!("the connection is lost: {}", plain(error)),
        },
        Error::ConnectionClosed | Error::AlreadyClosed => "the CSMS closed it".to_owned(),
        other => format!("the connection is lost: {other}"),
    }
}

/// What a close frame says, as far as it is fit to be shown.
fn closed(frame: Option<&CloseFrame>) -> String {
    let Some(frame) = frame else { return "the CSMS closed it without a code".to_owned() };
    let code = u16::from(frame.code);
    let reason = printable(frame.reason.trim(), MOST_CLOSE_REASON_CHARACTERS);
    if reason.is_empty() {
        format!("the CSMS closed it with code {code}")
    } else {
        format!("the CSMS closed it with code {code}: {reason}")
    }
}
