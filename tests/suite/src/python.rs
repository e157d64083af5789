//! A Python with what a test's other side needs, installed once under target/; the test says that it is skipped where
//! there is none.

#![allow(clippy::disallowed_methods, reason = "tests")]

use anyhow::Result;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// Installing may have to wait for a slow network.
const INSTALL_LIMIT: Duration = Duration::from_secs(300);

/// The folder of tests/ where the programs of that other side are.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name(name)
}

/// A Python that has what the `requirements.txt` of a folder of tests/ names, installed under `temporary`; nothing where
/// none can be had.
///
/// # Errors
/// When files cannot be written.
pub async fn with(name: &str, temporary: &Path) -> Result<Option<PathBuf>> {
    let home = temporary.join(name);
    fs::create_dir_all(&home)?;
    let turn = fs::File::create(home.join("lock"))?;
    // One at a time installs; the others find it done.
    let turn = tokio::task::spawn_blocking(move || turn.lock().map(|()| turn)).await??;
    let installed = install(&home, &folder(name).join("requirements.txt")).await?;
    drop(turn);
    Ok(match installed {
        Ok(python) => Some(python),
        Err(why) => {
            // Past the test's captured output: whoever runs it is to see that it has not tested anything.
            writeln!(std::io::stderr(), "skipped: {name} cannot be installed: {why}")?;
            None
        }
    })
}

/// The inner error says why it cannot be installed here.
async fn install(home: &Path, requirements: &Path) -> Result<Result<PathBuf, String>> {
    let wanted = fs::read_to_string(requirements)?;
    let (venv, done) = (home.join("venv"), home.join("installed"));
    let python = venv.join("bin/python");
    if python.exists() && fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(Ok(python));
    }
    if venv.exists() {
        fs::remove_dir_all(&venv)?;
    }
    let mut version = Command::new("python3");
    version.args(["-c", "import sys; sys.exit(sys.version_info < (3, 11))"]);
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(&venv);
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(requirements);
    for (what, mut command) in [("python3, 3.11 or later", version), ("python3-venv", make), ("pip install", pip)] {
        command.stdin(Stdio::null()).kill_on_drop(true);
        let said = match timeout(INSTALL_LIMIT, command.output()).await {
            Ok(Ok(output)) if output.status.success() => continue,
            Ok(Ok(output)) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("not done after {INSTALL_LIMIT:?}"),
        };
        return Ok(Err(format!("{what}: {said}")));
    }
    fs::write(&done, wanted)?;
    Ok(Ok(python))
}
