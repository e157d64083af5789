//! Open files that outlive the process: the service manager keeps them under a name (its descriptor store,
//! `FileDescriptorStoreMax=`) over a crash and a restart, hands them to the next process, and drops them on a stop.
//! Without a service manager nothing is kept, and a service does without.

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use sd_notify::NotifyState;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The longest name that the service manager takes (sd_notify(3), `FDNAME=`).
const LONGEST_NAME: usize = 255;

/// What the service manager keeps for this process, and what it kept of the one before.
#[derive(Debug, Clone, Default)]
pub struct Descriptors(Arc<Mutex<Holdings>>);

#[derive(Debug, Default)]
struct Holdings {
    keeper: Keeper,
    /// Handed over at the start, and not yet taken.
    handed_over: BTreeMap<String, OwnedFd>,
    /// The names that the service manager holds now.
    stored: BTreeSet<String>,
}

/// Who keeps.
#[derive(Debug, Default)]
enum Keeper {
    #[default]
    Nobody,
    ServiceManager,
    /// A test's.
    ByHand(BTreeMap<String, OwnedFd>),
}

impl Descriptors {
    /// Nothing was handed over, and nobody keeps anything.
    pub fn none() -> Descriptors {
        Descriptors::default()
    }

    /// A store of a test's own; [`Descriptors::next_process`] is what the next process finds.
    pub fn by_hand() -> Descriptors {
        Descriptors::new(Keeper::ByHand(BTreeMap::new()), Vec::new())
    }

    /// What a process finds that is started after this one has ended or was killed. For tests.
    pub fn next_process(&self) -> Descriptors {
        let holdings = self.lock();
        let Keeper::ByHand(store) = &holdings.keeper else { return Descriptors::none() };
        let copies = || store.iter().filter_map(|(name, kept)| Some((name.clone(), kept.try_clone().ok()?)));
        Descriptors::new(Keeper::ByHand(copies().collect()), copies().collect())
    }

    /// What the service manager handed to this process (sd_listen_fds(3)). Called once, before anything is opened.
    #[allow(clippy::disallowed_methods, reason = "services/runtime reads the environment")]
    pub(crate) fn from_environment() -> Descriptors {
        let keeper = match std::env::var_os("NOTIFY_SOCKET") {
            Some(_) => Keeper::ServiceManager,
            None => Keeper::Nobody,
        };
        let handed_over = sd_listen_fds::get().unwrap_or_else(|error| {
            tracing::warn!(%error, "what the service manager handed over is not understood");
            Vec::new()
        });
        let of_ours = handed_over.into_iter().filter_map(|(name, descriptor)| {
            let descriptor = close_on_exec(descriptor.into_std())?;
            // Whatever has no name of ours is closed here.
            Some((name.filter(|name| is_name(name))?, descriptor))
        });
        Descriptors::new(keeper, of_ours.collect())
    }

    fn new(keeper: Keeper, handed_over: Vec<(String, OwnedFd)>) -> Descriptors {
        let mut holdings = Holdings { keeper, ..Holdings::default() };
        for (name, descriptor) in handed_over {
            holdings.stored.insert(name.clone());
            if holdings.handed_over.insert(name.clone(), descriptor).is_some() {
                tracing::warn!(name, "two descriptors of one name were handed over; the last one counts");
            }
        }
        Descriptors(Arc::new(Mutex::new(holdings)))
    }

    /// What the process before kept under this name, once. The service manager goes on keeping it, until it is told
    /// to [`forget`](Descriptors::forget) it or to [`keep`](Descriptors::keep) another of the name.
    pub fn take(&self, name: &str) -> Option<OwnedFd> {
        self.lock().handed_over.remove(name)
    }

    /// Has the service manager keep a copy under a name, instead of what it kept under it before. A name is of the
    /// letters a to z, digits and hyphens. The copy stays even if the other side hangs up (`FDPOLL=0`): who keeps it
    /// decides when it is worth nothing any more. One open file is kept under one name only.
    pub fn keep(&self, name: &str, descriptor: BorrowedFd<'_>) {
        if !is_name(name) {
            tracing::error!(name, "this is no name of a descriptor: nothing is kept");
            return;
        }
        let mut holdings = self.lock();
        // The store may hold several of one name, so the former one leaves first.
        holdings.remove(name);
        if let Err(error) = holdings.store(name, descriptor) {
            tracing::warn!(name, %error, "the service manager could not be given a descriptor");
        }
    }

    /// Has the service manager drop what it keeps under a name.
    pub fn forget(&self, name: &str) {
        let mut holdings = self.lock();
        holdings.handed_over.remove(name);
        holdings.remove(name);
    }

    /// Closes what nobody took, here and at the service manager: a former version knew what it was for.
    pub(crate) fn forget_unclaimed(&self) {
        let mut holdings = self.lock();
        for (name, _closed) in std::mem::take(&mut holdings.handed_over) {
            tracing::info!(name, "a descriptor of the process before is not needed any more");
            holdings.remove(&name);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Holdings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holdings {
    fn remove(&mut self, name: &str) {
        if !self.stored.remove(name) {
            return;
        }
        match &mut self.keeper {
            Keeper::Nobody => {}
            Keeper::ServiceManager => {
                if let Err(error) = sd_notify::notify(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)]) {
                    tracing::warn!(name, %error, "the service manager could not be told to drop a descriptor");
                }
            }
            Keeper::ByHand(store) => drop(store.remove(name)),
        }
    }

    fn store(&mut self, name: &str, descriptor: BorrowedFd<'_>) -> std::io::Result<()> {
        match &mut self.keeper {
            Keeper::Nobody => {
                tracing::debug!(name, "no service manager keeps descriptors");
                return Ok(());
            }
            Keeper::ServiceManager => {
                let state = [NotifyState::FdStore, NotifyState::FdName(name), NotifyState::Custom("FDPOLL=0")];
                sd_notify::notify_with_fds(&state, &[descriptor])?;
            }
            Keeper::ByHand(store) => drop(store.insert(name.to_owned(), descriptor.try_clone_to_owned()?)),
        }
        self.stored.insert(name.to_owned());
        Ok(())
    }
}

/// So that no child inherits it; nothing if there is no such descriptor, whatever the environment says.
fn close_on_exec(descriptor: OwnedFd) -> Option<OwnedFd> {
    match fcntl(descriptor.as_fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)) {
        Ok(_) => Some(descriptor),
        Err(error) => {
            tracing::warn!(%error, "a descriptor that was announced is not there");
            // There is nothing to close.
            let _ = descriptor.into_raw_fd();
            None
        }
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests;
