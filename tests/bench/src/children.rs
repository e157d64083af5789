//! Starting programs that end with us: when this process is killed, the kernel kills what it started, as a mains
//! failure would end a station.

use crate::failure::Failure;
use command_fds::{CommandFdExt, FdMapping};
use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
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

/// A command that finds descriptors, as sd_listen_fds(3) says: from 3 on, with their names and its own number in the
/// environment. That number is known only when the process is there, so a shell writes it down and becomes the program.
pub fn command_with(program: &Path, descriptors: Vec<(String, OwnedFd)>) -> Result<Command, Failure> {
    const BECOME: &str = r#"export LISTEN_PID=$$; exec "$@""#;
    let plain = command(program)?;
    if descriptors.is_empty() {
        return Ok(plain);
    }
    let mut command = command(Path::new("sh"))?;
    command.args(["-c", BECOME, "sh"]).arg(program);
    let (names, descriptors): (Vec<String>, Vec<OwnedFd>) = descriptors.into_iter().unzip();
    command.env("LISTEN_FDS", names.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
    let numbered = (3..).zip(descriptors).map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd });
    command.fd_mappings(numbered.collect()).map_err(|error| Failure::Broken(error.to_string()))?;
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
