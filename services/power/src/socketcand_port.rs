//! A bus behind a socketcand server, in its raw mode: `< send ID DLC bytes >` out, `< frame ID TIME bytes >` in. The
//! number of digits of an identifier tells 11 from 29 bits. Several messages may come in one segment, and split ones.

use crate::can::{CanBus, Frame};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A server that does not open the bus within this time is not there.
const OPENING_LIMIT: Duration = Duration::from_secs(2);
/// The longest message that the protocol has in raw mode is far shorter; more is not socketcand.
const LONGEST_MESSAGE: usize = 512;

/// An open bus.
pub struct NetworkBus {
    stream: TcpStream,
    received: Vec<u8>,
}

/// Opens a bus of a server.
pub async fn open(host_and_port: &str, bus: &str) -> Result<NetworkBus, String> {
    let opening = async {
        let stream = TcpStream::connect(host_and_port).await.map_err(|error| format!("{host_and_port}: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let mut port = NetworkBus { stream, received: Vec::new() };
        port.expect("hi").await?;
        port.say(&format!("< open {bus} >")).await?;
        port.expect("ok").await?;
        port.say("< rawmode >").await?;
        port.expect("ok").await?;
        Ok(port)
    };
    timeout(OPENING_LIMIT, opening).await.unwrap_or_else(|_| Err(format!("{host_and_port}: no answer")))
}

impl NetworkBus {
    async fn say(&mut self, message: &str) -> Result<(), String> {
        self.stream.write_all(message.as_bytes()).await.map_err(|error| error.to_string())
    }

    async fn expect(&mut self, word: &str) -> Result<(), String> {
        let message = self.message().await?;
        if message == word { Ok(()) } else { Err(format!("the server said `{message}`, not `{word}`")) }
    }

    /// The next message without its brackets. What was read stays in `received` until a whole message is there, so
    /// that dropping the future loses nothing.
    async fn message(&mut self) -> Result<String, String> {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'>') {
                let message: Vec<u8> = self.received.drain(..=end).collect();
                let text = String::from_utf8_lossy(&message);
                return Ok(text.trim_matches(|c: char| c == '<' || c == '>' || c.is_whitespace()).to_owned());
            }
            if self.received.len() > LONGEST_MESSAGE {
                return Err("the server's message has no end".to_owned());
            }
            let read = self.stream.read_buf(&mut self.received).await.map_err(|error| error.to_string())?;
            if read == 0 {
                return Err("the server closed the connection".to_owned());
            }
        }
    }
}

impl CanBus for NetworkBus {
    async fn send(&mut self, frame: &Frame) -> Result<(), String> {
        self.say(&encode(frame)).await
    }

    async fn receive(&mut self) -> Result<Frame, String> {
        loop {
            let message = self.message().await?;
            if let Some(frame) = decode(&message) {
                return Ok(frame);
            }
            if let Some(error) = message.strip_prefix("error") {
                tracing::warn!(error = error.trim(), "the CAN server refused something");
            }
        }
    }
}

fn encode(frame: &Frame) -> String {
    let id = if frame.is_extended() { format!("{:08X}", frame.id()) } else { format!("{:03X}", frame.id()) };
    let bytes: String = frame.data().iter().map(|byte| format!(" {byte:02X}")).collect();
    format!("< send {id} {}{bytes} >", frame.data().len())
}

fn decode(message: &str) -> Option<Frame> {
    let mut words = message.split_ascii_whitespace();
    if words.next() != Some("frame") {
        return None;
    }
    let id = words.next()?;
    let _time = words.next()?;
    let digits = words.next().unwrap_or_default().as_bytes();
    let bytes: Option<Vec<u8>> = digits
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    let number = u32::from_str_radix(id, 16).ok()?;
    let bytes = bytes.filter(|bytes| bytes.len() <= 8)?;
    Some(if id.len() > 3 { Frame::extended(number, &bytes) } else { Frame::standard(number, &bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::net::TcpListener;

    #[test]
    fn frames_as_the_protocol_writes_them() {
        assert_eq!(encode(&Frame::extended(0x0283_01F0, &[0, 0xA1])), "< send 028301F0 2 00 A1 >");
        assert_eq!(encode(&Frame::standard(0x108, &[])), "< send 108 0 >");
        assert_eq!(
            decode("frame 0283F001 1700000000.123456 43FA0000"),
            Some(Frame::extended(0x0283_F001, &[0x43, 0xFA, 0, 0]))
        );
        assert_eq!(decode("frame 108 1.0 "), Some(Frame::standard(0x108, &[])));
        assert_eq!(decode("frame 108 1.0 0011223344556677FF"), None);
        assert_eq!(decode("frame zz 1.0 00"), None);
    }

    #[tokio::test]
    async fn split_and_joined_messages_are_all_read() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = server.local_addr().expect("an address").to_string();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = server.accept().await.expect("a client");
            for part in
                ["< hi >< ok >< o", "k >< frame 123 1.0 01 >< fra", "me 456 1.0 02 >< error x >< frame 789 1.0 03 >"]
            {
                stream.write_all(part.as_bytes()).await.expect("written");
                tokio::task::yield_now().await;
            }
            stream
        });
        let mut bus = open(&address, "b").await.expect("opens");
        for expected in [0x123, 0x456, 0x789] {
            assert_eq!(bus.receive().await.expect("a frame").id(), expected);
        }
        drop(serving.await.expect("served"));
        assert!(bus.receive().await.is_err());
    }

    proptest! {
        #[test]
        fn no_message_is_a_panic(message in "(frame )?[0-9A-Fa-f. éx]{0,40}") {
            let _ = decode(&message);
        }
    }
}
