//! The service manager's watchdog: told by `WATCHDOG_USEC`, fed by the service's own loop at half of that time, so
//! that a loop that hangs is seen.

use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Reminds the loop to feed the watchdog.
#[derive(Debug)]
pub struct Watchdog {
    every: Option<Duration>,
    next: Option<Instant>,
}

impl Watchdog {
    pub(crate) fn from_environment() -> Watchdog {
        let every = sd_notify::watchdog_enabled().map(|timeout| timeout / 2);
        Watchdog { every, next: None }
    }

    /// Returns when it is time to feed; never, if the service manager does not watch.
    pub async fn due(&mut self) {
        match self.every {
            Some(every) => {
                let next = *self.next.get_or_insert_with(|| Instant::now() + every);
                sleep_until(next).await;
            }
            None => std::future::pending().await,
        }
    }

    /// Tells the service manager that the loop is alive.
    pub fn feed(&mut self) {
        self.next = self.every.map(|every| Instant::now() + every);
        tell(sd_notify::NotifyState::Watchdog);
    }
}

/// Tells the service manager something; without one it is a no-op.
pub(crate) fn tell(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}
