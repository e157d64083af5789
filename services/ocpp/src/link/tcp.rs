//! The way to a host: its name looked up, its addresses tried one after the other, and a connection that notices when
//! the other side is gone.

use crate::link::dial::Deadline;
use crate::link::error::{DialError, Doing};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;

/// An address that leads nowhere takes no more than this from those after it.
const ADDRESS_LIMIT: Duration = Duration::from_secs(4);
/// More addresses of one name are not tried.
const MOST_ADDRESSES: usize = 8;
/// What was sent and is not acknowledged after this time will not be: the connection is lost (half-open).
const UNACKNOWLEDGED_LIMIT: Duration = Duration::from_secs(30);
/// A silent connection is asked after this time whether it still is one, and again in these steps.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_STEP: Duration = Duration::from_secs(10);
const KEEP_ALIVE_STEPS: u32 = 3;

/// Connects to a host by its name, or by its address with or without brackets.
///
/// # Errors
/// When the name has no address or none answers in time.
pub async fn reach(host: &str, port: u16, deadline: Deadline) -> Result<TcpStream, DialError> {
    let host = host.trim_matches(['[', ']']);
    let found = deadline.within(Doing::Resolving, async {
        let not_resolved = |source| DialError::NotResolved { name: host.to_owned(), source };
        Ok(lookup_host((host, port)).await.map_err(not_resolved)?.take(MOST_ADDRESSES).collect::<Vec<SocketAddr>>())
    });
    connect(&found.await?, deadline).await
}

/// Connects to the first address that answers.
///
/// # Errors
/// What each of them said when none did.
pub async fn connect(addresses: &[SocketAddr], deadline: Deadline) -> Result<TcpStream, DialError> {
    let mut tried = Vec::new();
    let mut remaining = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for address in addresses {
        let share = deadline.left().checked_div(remaining).unwrap_or_default();
        // The last one has nobody to leave time to.
        let limit = if remaining > 1 { share.min(ADDRESS_LIMIT) } else { share };
        remaining = remaining.saturating_sub(1);
        match timeout(limit, connect_to(*address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => tried.push((*address, error)),
            Err(_) => tried.push((*address, io::ErrorKind::TimedOut.into())),
        }
    }
    Err(DialError::Unreached(tried))
}

async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
    // Without it the second of two frames in a row waits for the CSMS to acknowledge the first.
    socket.set_nodelay(true)?;
    let options = SockRef::from(&socket);
    options.set_tcp_user_timeout(Some(UNACKNOWLEDGED_LIMIT))?;
    let keep_alive =
        TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE_STEP).with_retries(KEEP_ALIVE_STEPS);
    options.set_tcp_keepalive(&keep_alive)?;
    socket.connect(address).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("an address");
        (listener, address)
    }

    fn deadline() -> Deadline {
        Deadline::after(Duration::from_secs(5))
    }

    #[tokio::test]
    async fn case_35_a_half_open_connection_is_noticed_and_a_frame_goes_at_once() {
        let (_listener, address) = listener().await;
        let stream = connect(&[address], deadline()).await.expect("connects");
        let options = SockRef::from(&stream);
        assert_eq!(options.tcp_user_timeout().expect("an option"), Some(UNACKNOWLEDGED_LIMIT));
        assert!(options.keepalive().expect("an option"));
        assert_eq!(options.tcp_keepalive_time().expect("an option"), KEEP_ALIVE);
        assert!(stream.nodelay().expect("an option"));
    }

    #[tokio::test]
    async fn case_b34_the_second_address_of_a_name_is_used_when_the_first_refuses() {
        let (dead, refusing) = listener().await;
        drop(dead);
        let (_listener, address) = listener().await;
        let stream = connect(&[refusing, address], deadline()).await.expect("connects");
        assert_eq!(stream.peer_addr().expect("an address"), address);
    }

    #[tokio::test]
    async fn an_address_that_swallows_everything_leaves_time_for_the_next() {
        // A listener whose queue is full lets every further call wait.
        let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        full.bind(&"127.0.0.1:0".parse::<SocketAddr>().expect("an address").into()).expect("binds");
        full.listen(0).expect("listens");
        let swallowing = full.local_addr().expect("an address").as_socket().expect("of IP");
        let mut waiting = Vec::new();
        while let Ok(Ok(stream)) = timeout(Duration::from_millis(300), TcpStream::connect(swallowing)).await {
            waiting.push(stream);
        }
        let (_listener, address) = listener().await;
        let short = Deadline::after(Duration::from_secs(2));
        let stream = connect(&[swallowing, address], short).await.expect("connects");
        assert_eq!(stream.peer_addr().expect("an address"), address);
        assert!(!short.left().is_zero(), "there is time left for what comes next");
    }

    #[tokio::test]
    async fn case_b34_a_name_that_does_not_exist_is_named() {
        let error = reach("csms.invalid", 80, deadline()).await.expect_err("no such name");
        let text = error.text();
        assert!(text.contains("csms.invalid"), "{text}");
    }
}
