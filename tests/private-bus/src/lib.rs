//! A message bus of its own for one test or one bench: a `dbus-daemon` in a temporary directory, on which everybody
//! may own every name. It knows nothing of Busbar; the station's policy is tested elsewhere.

pub mod lone;

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use zbus::Connection;

/// A daemon that has not told its address by then has failed.
const START_LIMIT: Duration = Duration::from_secs(20);
/// A daemon that has not ended by then is killed.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// A method call that has no answer after this time has failed.
const METHOD_TIMEOUT: Duration = Duration::from_secs(10);

/// A bus of its own. The daemon is killed when this is dropped, and when the thread that started it ends, so that a
/// test that is killed leaves nothing behind.
#[derive(Debug)]
pub struct PrivateBus {
    address: String,
    daemon: Child,
    // Last, so that the socket is removed after the daemon is gone.
    _directory: TempDir,
}

/// Why there is no bus.
#[derive(Debug, thiserror::Error)]
pub enum PrivateBusError {
    /// The directory or the log cannot be used.
    #[error("the files of a private bus cannot be written")]
    Files(#[source] io::Error),
    /// `setpriv`, which starts the daemon, cannot be run.
    #[error("`setpriv` does not run; is the package `util-linux` installed?")]
    Spawn(#[source] io::Error),
    /// The daemon ended, or stayed silent.
    #[error("dbus-daemon did not start; is the package `dbus-daemon` installed?")]
    Silent,
}

impl PrivateBus {
    /// Starts a daemon and returns when clients can connect. What the daemon complains about is dropped.
    ///
    /// # Errors
    /// When a program is missing or the daemon does not start.
    pub async fn start() -> Result<PrivateBus, PrivateBusError> {
        PrivateBus::start_with(Stdio::null()).await
    }

    /// Starts a daemon that appends what it complains about to a file.
    ///
    /// # Errors
    /// When a program is missing, the file cannot be written, or the daemon does not start.
    pub async fn start_logged(log: &Path) -> Result<PrivateBus, PrivateBusError> {
        let log = OpenOptions::new().create(true).append(true).open(log).map_err(PrivateBusError::Files)?;
        PrivateBus::start_with(log.into()).await
    }

    async fn start_with(log: Stdio) -> Result<PrivateBus, PrivateBusError> {
        let directory = tempfile::Builder::new().prefix("private-bus-").tempdir().map_err(PrivateBusError::Files)?;
        let config = directory.path().join("bus.conf");
        write(&config, &configuration(&directory.path().join("bus"))).map_err(PrivateBusError::Files)?;
        // The kernel kills the daemon with us; `kill_on_drop` covers the ends that unwind.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "dbus-daemon", "--nofork", "--nopidfile", "--print-address=1"]);
        command.arg("--config-file").arg(&config);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        let mut daemon = command.spawn().map_err(PrivateBusError::Spawn)?;
        let output = daemon.stdout.take().ok_or(PrivateBusError::Silent)?;
        // The address is printed when the daemon listens on it.
        let address = timeout(START_LIMIT, BufReader::new(output).lines().next_line()).await;
        let address = address.ok().and_then(Result::ok).flatten().ok_or(PrivateBusError::Silent)?;
        Ok(PrivateBus { address, daemon, _directory: directory })
    }

    /// The address that clients connect to.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The daemon's process, while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.daemon.id()
    }

    /// A client without a name, whose calls fail when nobody answers.
    ///
    /// # Errors
    /// When the daemon is gone.
    pub async fn connect(&self) -> Result<Connection, zbus::Error> {
        zbus::connection::Builder::address(self.address.as_str()).method_timeout(METHOD_TIMEOUT).build().await
    }

    /// Asks the daemon to end, as a shutdown of the machine does, and waits until it is gone.
    pub async fn stop(mut self) {
        let process = self.daemon.id().and_then(|process| i32::try_from(process).ok());
        if let Some(process) = process {
            // It may be gone already; then there is nobody to ask.
            let _ = kill(Pid::from_raw(process), Signal::SIGTERM);
        }
        if timeout(STOP_LIMIT, self.daemon.wait()).await.is_err() {
            // The exit is the answer; a daemon that cannot be killed is gone.
            let _ = self.daemon.kill().await;
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "the daemon reads its configuration from a file")]
fn write(path: &Path, text: &str) -> io::Result<()> {
    std::fs::write(path, text)
}

/// No service directories: nothing of the machine is started by a call.
fn configuration(socket: &Path) -> String {
    format!(
        r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
  "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#,
        socket.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bus_is_there_until_it_is_stopped() {
        let bus = PrivateBus::start().await.expect("a bus");
        let client = bus.connect().await.expect("a client");
        let process = bus.process_id().expect("it runs");
        let daemon = zbus::fdo::DBusProxy::new(&client).await.expect("a proxy");
        let known = daemon.get_connection_unix_process_id("org.freedesktop.DBus".try_into().expect("a name")).await;
        assert_eq!(known.expect("the daemon's process"), process);
        bus.stop().await;
        assert!(!Path::new(&format!("/proc/{process}")).exists());
        timeout(STOP_LIMIT, client.closed()).await.expect("the client sees the end");
    }

    #[tokio::test]
    async fn a_bus_that_is_dropped_is_killed() {
        let bus = PrivateBus::start().await.expect("a bus");
        let client = bus.connect().await.expect("a client");
        drop(bus);
        timeout(STOP_LIMIT, client.closed()).await.expect("the client sees the end");
    }
}
