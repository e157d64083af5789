//! The maintenance process with all its directories.

use busbar_private_bus::lone::Lone;
use std::path::PathBuf;
use std::process::{Child, Command};

/// The program.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_busbar-maintenance");

/// A process that is killed without warning when it is dropped.
pub struct Process(Child);

impl Process {
    /// Starts the program; a second start finds the directories of the first.
    pub fn start(bench: &Lone) -> Process {
        let mut command = Command::new(PROGRAM);
        command.arg("--bus").arg(bench.address()).arg("--root").arg(bench.root());
        command.arg("--state").arg(bench.state_directory()).arg("--runtime").arg(runtime_directory(bench));
        Process(command.spawn().expect("starts"))
    }
}

/// What a boot empties.
pub fn runtime_directory(bench: &Lone) -> PathBuf {
    bench.root().join("run/maintenance")
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("gone");
    }
}
