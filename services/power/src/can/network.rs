//! A bus behind a socketcand server: the connection and its opening; the words are in `text`.

mod text;

use super::{CanBus, Frame, Heard, Port, Sending};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use text::{Endless, Splitter, decode, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// A server that does not open the bus within this time is not there.
const OPENING_LIMIT: Duration = Duration::from_secs(2);
/// A server that does not take a frame within this time is lost.
const SENDING_LIMIT: Duration = Duration::from_millis(500);

/// A bus of a server.
pub struct Server {
    /// Where the server is.
    pub host_and_port: String,
    /// The bus.
    pub bus: String,
}

/// An open bus.
pub struct NetworkBus {
    stream: TcpStream,
    received: Splitter,
}

impl Port for Server {
    type Bus = NetworkBus;

    async fn open(&self) -> Result<NetworkBus, String> {
        let here = &self.host_and_port;
        let opening = async {
            let stream = TcpStream::connect(here).await.map_err(|error| format!("{here}: {error}"))?;
            stream.set_nodelay(true).map_err(|error| error.to_string())?;
            let mut port = NetworkBus { stream, received: Splitter::default() };
            port.expect("hi").await?;
            port.say(&format!("< open {} >", self.bus)).await?;
            port.expect("ok").await?;
            port.say("< rawmode >").await?;
            port.expect("ok").await?;
            Ok(port)
        };
        timeout(OPENING_LIMIT, opening).await.unwrap_or_else(|_| Err(format!("{here}: no answer")))
    }

    async fn take_over(&self, left: OwnedFd) -> Result<NetworkBus, String> {
        let here = &self.host_and_port;
        let unusable = |error: std::io::Error| error.to_string();
        let stream = std::net::TcpStream::from(left);
        let peer = stream.peer_addr().map_err(unusable)?;
        let looked_up = timeout(OPENING_LIMIT, lookup_host(here)).await.map_err(|_| format!("{here}: not found"))?;
        if !looked_up.map_err(unusable)?.any(|address| address == peer) {
            return Err(format!("it leads to {peer}, not to {here}"));
        }
        stream.set_nonblocking(true).map_err(unusable)?;
        let stream = TcpStream::from_std(stream).map_err(unusable)?;
        Ok(NetworkBus { stream, received: Splitter::default() })
    }
}

impl NetworkBus {
    async fn say(&mut self, message: &str) -> Result<(), String> {
        self.stream.write_all(message.as_bytes()).await.map_err(|error| error.to_string())
    }

    async fn expect(&mut self, word: &str) -> Result<(), String> {
        let message = self.message().await?;
        if message == word { Ok(()) } else { Err(format!("the server said `{message}`, not `{word}`")) }
    }

    /// The next message. What was read stays in `received` until a whole message is there, so that dropping the future
    /// loses nothing.
    async fn message(&mut self) -> Result<String, String> {
        loop {
            match self.received.next() {
                Ok(Some(message)) => return Ok(message),
                Ok(None) => {}
                Err(Endless) => return Err("the server's message has no end".to_owned()),
            }
            let read = self.stream.read_buf(self.received.buffer()).await.map_err(|error| error.to_string())?;
            if read == 0 {
                return Err("the server closed the connection".to_owned());
            }
        }
    }
}

impl CanBus for NetworkBus {
    async fn send(&mut self, frame: &Frame) -> Result<Sending, String> {
        match timeout(SENDING_LIMIT, self.say(&encode(frame))).await {
            Ok(said) => said.map(|()| Sending::Done),
            Err(_) => Err("the server takes nothing any more".to_owned()),
        }
    }

    async fn receive(&mut self) -> Result<Heard, String> {
        loop {
            if let Some(heard) = decode(&self.message().await?) {
                return Ok(heard);
            }
        }
    }

    fn is_off(&self) -> Option<bool> {
        None
    }

    fn remedy(&self) -> String {
        "the server's interface restarts by itself if its restart-ms is set, otherwise by hand".to_owned()
    }

    fn descriptor(&self) -> Option<OwnedFd> {
        self.stream.as_fd().try_clone_to_owned().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// Serves one client with these parts, whatever it says.
    async fn serving(parts: &'static [&'static str]) -> (Server, tokio::task::JoinHandle<TcpStream>) {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let host_and_port = server.local_addr().expect("an address").to_string();
        let task = tokio::spawn(async move {
            let (mut stream, _) = server.accept().await.expect("a client");
            for part in parts {
                stream.write_all(part.as_bytes()).await.expect("written");
                tokio::task::yield_now().await;
            }
            stream
        });
        (Server { host_and_port, bus: "b".to_owned() }, task)
    }

    async fn hear_frame(bus: &mut NetworkBus) -> u32 {
        match bus.receive().await.expect("open") {
            Heard::Frame(frame) => frame.id(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn split_and_joined_messages_are_all_read() {
        let parts =
            &["< hi >< ok >< o", "k >< frame 123 1.0 01 >< fra", "me 456 1.0 02 >< error x >< frame 789 1.0 03 >"];
        let (server, task) = serving(parts).await;
        let mut bus = server.open().await.expect("opens");
        assert_eq!((hear_frame(&mut bus).await, hear_frame(&mut bus).await), (0x123, 0x456));
        assert_eq!(bus.receive().await, Ok(Heard::Refused("error x".to_owned())));
        assert_eq!(hear_frame(&mut bus).await, 0x789);
        drop(task.await.expect("served"));
        assert!(bus.receive().await.is_err());
    }

    #[tokio::test]
    async fn a_taken_over_connection_goes_on_at_the_next_message() {
        let (server, task) = serving(&["< hi >< ok >< ok >", "< frame 123 1.0 01 >< frame 45"]).await;
        let mut last = server.open().await.expect("opens");
        assert_eq!(hear_frame(&mut last).await, 0x123);
        let mut stream = task.await.expect("served");
        // The last process has read the beginning of a message, and dies with it.
        assert!(!last.received.buffer().is_empty());
        let left = last.descriptor().expect("a descriptor");
        drop(last);
        stream.write_all(b"6 1.0 02 >< frame 789 1.0 03 >< frame 78A 1.0 >").await.expect("written");
        let mut next = server.take_over(left).await.expect("usable");
        assert_eq!((hear_frame(&mut next).await, hear_frame(&mut next).await), (0x789, 0x78A));
        assert_eq!(next.send(&Frame::standard(0x108, &[])).await, Ok(Sending::Done));
        let mut said = vec![0; 64];
        let mut text = String::new();
        while !text.ends_with("< send 108 0 >") {
            let length = stream.read(&mut said).await.expect("open");
            text.push_str(std::str::from_utf8(&said[..length]).expect("text"));
        }
    }

    #[tokio::test]
    async fn what_leads_elsewhere_is_not_taken_over() {
        let (server, _task) = serving(&[]).await;
        let elsewhere = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let stream = TcpStream::connect(elsewhere.local_addr().expect("an address")).await.expect("connects");
        let left = stream.as_fd().try_clone_to_owned().expect("a descriptor");
        assert!(server.take_over(left).await.is_err_and(|reason| reason.contains("not to")));
        let left = elsewhere.as_fd().try_clone_to_owned().expect("a descriptor");
        assert!(server.take_over(left).await.is_err(), "a listening socket");
        let left = OwnedFd::from(std::io::pipe().expect("a pipe").0);
        assert!(server.take_over(left).await.is_err(), "no socket at all");
    }
}
