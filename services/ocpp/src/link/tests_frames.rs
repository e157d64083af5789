//! Frames over a WebSocket without a network: how they are written, and what a CSMS that breaks the rules brings about.

use super::*;
use crate::link::servers::LIMIT;
use crate::link::talk::{Carrier, talk, write};
use crate::link::upgrade::frames;
use futures_util::{SinkExt, StreamExt};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};

/// Counts the writes.
pub struct Counting {
    stream: DuplexStream,
    writes: Arc<AtomicUsize>,
}

impl Counting {
    pub fn new(stream: DuplexStream) -> (Counting, Arc<AtomicUsize>) {
        let writes = Arc::new(AtomicUsize::new(0));
        (Counting { stream, writes: writes.clone() }, writes)
    }
}

impl AsyncRead for Counting {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counting {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

async fn station<S: Carrier>(stream: S) -> WebSocketStream<S> {
    WebSocketStream::from_raw_socket(stream, Role::Client, Some(frames())).await
}

async fn csms(stream: DuplexStream) -> WebSocketStream<DuplexStream> {
    WebSocketStream::from_raw_socket(stream, Role::Server, None).await
}

/// The link's part until its end: the reason, and how often something was heard.
async fn live(stream: DuplexStream) -> (String, usize) {
    let (_commands, mut orders) = mpsc::channel(1);
    let (_close, mut closed) = watch::channel(Ending { number: 0, reason: "" });
    let (sender, mut inputs) = mpsc::channel::<Input>(1);
    let heard = tokio::spawn(async move {
        let mut heard = 0;
        while inputs.recv().await.is_some() {
            heard += 1;
        }
        heard
    });
    let writing = Duration::from_millis(200);
    let reason = talk(station(stream).await, 1, &mut orders, &mut closed, &sender, writing).await;
    drop(sender);
    (reason, heard.await.expect("counted"))
}

#[tokio::test]
async fn a_frame_is_one_write() {
    let (ours, theirs) = duplex(1 << 20);
    let (carrier, writes) = Counting::new(ours);
    let mut socket = station(carrier).await;
    let mut csms = csms(theirs).await;
    for (length, number) in [2, 200, 70_000, 200_000].into_iter().zip(1..) {
        let text = "x".repeat(length);
        write(&mut socket, Command::Text(Wire(text.clone())), LIMIT).await.expect("written");
        assert_eq!(writes.load(Ordering::Relaxed), number, "{length} characters");
        assert_eq!(csms.next().await.expect("a message").expect("sound"), Message::text(text));
    }
}

#[tokio::test]
async fn a_frame_that_the_network_does_not_take_ends_the_link() {
    let (ours, _theirs) = duplex(1024);
    let mut socket = station(ours).await;
    let long = Command::Text(Wire("x".repeat(4096)));
    let written = write(&mut socket, long, Duration::from_millis(50)).await;
    assert_eq!(written, Err("the network takes nothing".to_owned()));
}

#[tokio::test]
async fn case_34_pings_are_answered_and_a_flood_whose_pongs_nobody_takes_ends_the_link() {
    let (ours, theirs) = duplex(4096);
    let living = tokio::spawn(live(ours));
    let mut csms = csms(theirs).await;
    csms.send(Message::Ping("a".into())).await.expect("sent");
    assert_eq!(csms.next().await.expect("a message").expect("sound"), Message::Pong("a".into()));
    let (stream, ping) = (csms.get_mut(), [&[0x89, 125][..], &[b'x'; 125]].concat());
    // Written past the WebSocket, which would read the pongs.
    let flood = async { while tokio::io::AsyncWriteExt::write_all(stream, &ping).await.is_ok() {} };
    timeout(LIMIT, flood).await.expect("the station hangs up in time");
    let (reason, heard) = timeout(LIMIT, living).await.expect("in time").expect("ended");
    assert_eq!(reason, "the network takes nothing");
    assert!(heard < 100, "{heard} pings were read though nobody took the pongs");
}

#[tokio::test]
async fn case_34_what_breaks_the_rules_is_answered_with_its_close_code() {
    let text = |payload: &'static [u8], whole: bool| Frame::message(payload, OpCode::Data(Data::Text), whole);
    let long = Frame::message(vec![b'x'; busbar_ocpp16::frame::MOST_BYTES + 1], OpCode::Data(Data::Text), true);
    for (frames, code, expected) in [
        (vec![text(&[0xC3, 0x28], true)], CloseCode::Invalid, "the CSMS sent a text that is not UTF-8"),
        (vec![long], CloseCode::Size, "the CSMS sent a message of more than 262144 bytes"),
        (
            vec![Frame::message("x", OpCode::Data(Data::Continue), true)],
            CloseCode::Protocol,
            "the CSMS broke the rules of the WebSocket: Continue frame but nothing to continue",
        ),
    ] {
        let (ours, theirs) = duplex(1 << 20);
        let living = tokio::spawn(live(ours));
        let mut csms = csms(theirs).await;
        for frame in frames {
            csms.send(Message::Frame(frame)).await.expect("sent");
        }
        match timeout(LIMIT, csms.next()).await.expect("in time") {
            Some(Ok(Message::Close(Some(frame)))) => assert_eq!(frame.code, code),
            other => panic!("not closed with {code}: {other:?}"),
        }
        drop(csms);
        assert_eq!(timeout(LIMIT, living).await.expect("in time").expect("ended").0, expected);
    }
}

#[tokio::test]
async fn case_34_a_message_in_endless_pieces_is_bounded() {
    let (ours, theirs) = duplex(1 << 20);
    let living = tokio::spawn(live(ours));
    let mut csms = csms(theirs).await;
    let piece = |kind| Message::Frame(Frame::message(vec![b'x'; 64 * 1024], OpCode::Data(kind), false));
    csms.send(piece(Data::Text)).await.expect("sent");
    let pieces = async { while csms.send(piece(Data::Continue)).await.is_ok() {} };
    timeout(LIMIT, pieces).await.expect("the station hangs up in the midst of it");
    let (reason, _) = timeout(LIMIT, living).await.expect("in time").expect("ended");
    assert_eq!(reason, "the CSMS sent a message of more than 262144 bytes");
}
