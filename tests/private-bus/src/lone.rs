//! One service alone on a bus of its own, as a process with its own directories, for the component tests of services.
//! Whatever fails here fails the test, with the reason.
#![allow(clippy::expect_used, clippy::panic, clippy::disallowed_methods, reason = "only tests use it")]

use crate::PrivateBus;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;
use tempfile::TempDir;
use zbus::Connection;

/// Anything that a test waits for happens within this time or never.
const LIMIT: Duration = Duration::from_secs(10);

/// A bus of its own, a station file, a state directory and a runtime directory for one program.
pub struct Lone {
    program: &'static str,
    bus: PrivateBus,
    directory: TempDir,
}

/// A process that is killed without warning when it is dropped.
pub struct Running(Child);

impl Lone {
    /// A bus and a station file for a program, which is not started yet.
    pub async fn new(program: &'static str, station_file: &str) -> Lone {
        let directory = tempfile::tempdir().expect("a directory");
        let station = directory.path().join("etc/busbar");
        std::fs::create_dir_all(&station).expect("made");
        std::fs::write(station.join("station.toml"), station_file).expect("written");
        Lone { program, bus: PrivateBus::start().await.expect("a bus"), directory }
    }

    /// Starts the program; a second start finds the state of the first.
    pub fn start(&self) -> Running {
        let mut command = Command::new(self.program);
        std::fs::create_dir_all(self.runtime_directory()).expect("made");
        command.arg("--bus").arg(self.bus.address()).arg("--root").arg(self.directory.path());
        command.arg("--state").arg(self.state_directory()).arg("--runtime").arg(self.runtime_directory());
        Running(command.spawn().expect("starts"))
    }

    /// Empties what does not survive a restart of the machine. The program must not run.
    pub fn restart_the_machine(&self) {
        std::fs::remove_dir_all(self.runtime_directory()).expect("a boot empties it");
    }

    /// The address of the bus.
    pub fn address(&self) -> &str {
        self.bus.address()
    }

    /// A connection to the bus.
    pub async fn client(&self) -> Connection {
        self.bus.connect().await.expect("the bus is there")
    }

    /// Where the program keeps its state.
    pub fn state_directory(&self) -> std::path::PathBuf {
        self.directory.path().join("state")
    }

    /// Where it keeps what survives the process and not the machine.
    pub fn runtime_directory(&self) -> std::path::PathBuf {
        self.directory.path().join("runtime")
    }

    /// The root of the station file.
    pub fn root(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("gone");
    }
}

/// Waits for a condition that nobody announces.
pub async fn until<T>(what: &str, condition: impl AsyncFn() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, wait).await.unwrap_or_else(|_| panic!("{what} did not come about"))
}
