//! The example `idle` as a process, with what a service manager would give it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

/// Nothing here takes longer, unless it never happens.
pub const LIMIT: Duration = Duration::from_secs(10);

/// Where `cargo test` put the example: beside the directory of the tests.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a test");
    let program = test.ancestors().nth(2).expect("the target directory").join("examples/idle");
    assert!(program.exists(), "build it first: cargo build -p busbar-runtime --example idle");
    program
}

/// A root directory with a station file of these layers.
pub fn root(layers: &[&str]) -> TempDir {
    let root = tempfile::tempdir().expect("a directory");
    for (path, text) in ["etc/busbar/station.toml", "etc/busbar/station.d/10-site.toml"].into_iter().zip(layers) {
        let file = root.path().join(path);
        fs::create_dir_all(file.parent().expect("a directory")).expect("made");
        fs::write(file, text).expect("written");
    }
    root
}

/// A command that hears nothing from the service manager that may run this test.
pub fn command(bus: &str, root: &Path) -> Command {
    let mut command = Command::new(program());
    for variable in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM", "BUSBAR_LOG"] {
        command.env_remove(variable);
    }
    command.arg("--bus").arg(bus).arg("--root").arg(root);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}
