//! What a service tells its service manager (sd_notify(3)): lines of `NAME=value`, and descriptors that come with them.

use crate::descriptor_store;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use tokio::io::Interest;
use tokio::net::UnixDatagram;

/// The socket of one service.
#[derive(Debug)]
pub struct Notifications(UnixDatagram);

/// One message.
#[derive(Debug, Default)]
pub struct Notification {
    /// Its lines.
    pub text: String,
    /// What came with it.
    pub descriptors: Vec<OwnedFd>,
}

impl Notification {
    /// Whether a line is in it.
    pub fn says(&self, line: &str) -> bool {
        self.text.lines().any(|said| said == line)
    }

    /// The value of a name.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    }
}

impl Notifications {
    /// Listens.
    ///
    /// # Errors
    /// When there is a socket already.
    pub fn listen(path: &Path) -> io::Result<Notifications> {
        UnixDatagram::bind(path).map(Notifications)
    }

    /// The next message. One that cannot be received says nothing.
    pub async fn next(&self) -> Notification {
        self.0.async_io(Interest::READABLE, || receive(&self.0)).await.unwrap_or_default()
    }

    /// A message that is there already.
    pub fn waiting(&self) -> Option<Notification> {
        self.0.try_io(Interest::READABLE, || receive(&self.0)).ok()
    }
}

/// Descriptors that are more than a store can hold are closed by the kernel.
fn receive(socket: &UnixDatagram) -> io::Result<Notification> {
    let mut text = [0_u8; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(descriptor_store::MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(socket, &mut [IoSliceMut::new(&mut text)], &mut control, flags)?;
    let text = text.get(..received.bytes).unwrap_or_default();
    let descriptors = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    Ok(Notification { text: String::from_utf8_lossy(text).into_owned(), descriptors: descriptors.flatten().collect() })
}
