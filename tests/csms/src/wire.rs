//! The byte stream under a WebSocket: plain TCP, or TLS over it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ProtocolVersion;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A station that reads nothing does not hold up the end of its connection any longer.
const FAREWELL_DEADLINE: Duration = Duration::from_secs(1);

/// A connection's byte stream.
pub(crate) enum Wire {
    Plain(TcpStream),
    Secured(Box<TlsStream<TcpStream>>),
}

/// What was agreed on in a TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Secured {
    /// `1.2` or `1.3`.
    pub version: String,
    /// Cipher suite, in the words of the TLS library.
    pub suite: String,
    /// The station's own certificate as DER, where one was asked for.
    #[serde(skip)]
    pub station_certificate: Option<Vec<u8>>,
}

impl Wire {
    /// TLS over this stream.
    ///
    /// # Errors
    /// Why the two sides did not agree.
    pub(crate) async fn secured(acceptor: &TlsAcceptor, stream: TcpStream) -> io::Result<Self> {
        Ok(Self::Secured(Box::new(acceptor.accept(stream).await?)))
    }

    /// What was agreed on; `None` on plain TCP.
    pub(crate) fn agreed(&self) -> Option<Secured> {
        let Self::Secured(stream) = self else { return None };
        let (_, session) = stream.get_ref();
        let version = match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "1.2".to_owned(),
            Some(ProtocolVersion::TLSv1_3) => "1.3".to_owned(),
            other => format!("{other:?}"),
        };
        let suite = session.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite())).unwrap_or_default();
        let station_certificate = session.peer_certificates().and_then(|chain| chain.first()).map(|own| own.to_vec());
        Some(Secured { version, suite, station_certificate })
    }

    /// Makes the coming drop of the socket a TCP reset; failing that it is an ordinary end.
    pub(crate) fn reset(&self) {
        let tcp = match self {
            Self::Plain(stream) => stream,
            Self::Secured(stream) => stream.get_ref().0,
        };
        let _unset = tcp.set_zero_linger();
    }

    /// Ends the stream in good order, as far as the other side takes part.
    pub(crate) async fn end(&mut self) {
        let _gone = timeout(FAREWELL_DEADLINE, self.shutdown()).await;
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Secured(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Secured(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Secured(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Secured(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
