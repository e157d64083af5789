//! Starting programs that end with us: when this process is killed, the kernel kills what it started, as a mains
//! failure would end a station.

use crate::failure::Failure;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::{Child, Command};

/// Where the programs of the workspace are: beside this one, or above it for a test.
///
/// # Errors
/// When they have not been built.
pub fn programs() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe()?;
    let directories = own.ancestors().skip(1).take(2);
    let found = directories.map(Path::to_path_buf).find(|directory| directory.join("busbar-plant").exists());
    found.ok_or_else(|| Failure::Missing(own.with_file_name("busbar-plant")))
}

/// A command whose process is killed when this one dies. `setpriv` belongs to every Debian (package util-linux).
pub fn command(program: &Path) -> Result<Command, Failure> {
    if program.is_absolute() && !program.exists() {
        return Err(Failure::Missing(program.to_owned()));
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program).stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

/// Starts a command.
pub fn start(mut command: Command, program: &str) -> Result<Child, Failure> {
    command.spawn().map_err(|source| Failure::Start { program: program.to_owned(), source })
}

/// A log file to append to.
pub fn log(path: &Path) -> Result<File, Failure> {
    Ok(OpenOptions::new().create(true).append(true).open(path)?)
}
