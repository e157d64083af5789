//! Logging: to journald with its fields when the service manager connected us to it, else to stderr as lines.

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Starts logging. `filter` is a tracing filter such as `info` or `busbar_power=debug`.
pub(crate) fn start(filter: &str, to_journal: bool) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let output = match to_journal.then(tracing_journald::layer) {
        Some(Ok(journal)) => journal.boxed(),
        // Without a journal the lines on stderr are what there is.
        _ => tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).boxed(),
    };
    // A second subscriber can only be a test's; the first one stays.
    let _ = tracing_subscriber::registry().with(output.with_filter(filter)).try_init();
}
