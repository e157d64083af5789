//! The operator: a CSMS on this machine that speaks TLS and asks for a password, and what a station is given to trust it.

use anyhow::{Context, Result};
use busbar_csms::{Csms, Options, Passwords, Tls};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Always the same, so that the station finds the CSMS of the next boot.
const ADDRESS: ([u8; 4], u16) = ([127, 0, 0, 1], 9443);
const PASSWORD: &str = "correct-horse-battery";
const ROOT: &str = "/etc/busbar/roots/image-test.pem";
const CREDENTIAL: &str = "/etc/credstore/busbar.AuthorizationKey";

/// Starts the CSMS, and puts the root of its certificate and the station's password where a technician would.
///
/// # Errors
/// When it does not start, or a file cannot be written.
pub async fn start() -> Result<Csms> {
    let made = Tls::self_signed(&["127.0.0.1"])?;
    write(ROOT, &made.root_pem, 0o644)?;
    write(CREDENTIAL, PASSWORD, 0o600)?;
    let options = Options {
        listen: SocketAddr::from(ADDRESS),
        tls: Some(made.tls),
        password: Some(Passwords::ForAll(PASSWORD.into())),
        ..Options::default()
    };
    Csms::start(options).await.context("the CSMS")
}

/// Writes a file with its mode, and the directories above it.
pub fn write(path: &str, text: &str, mode: u32) -> Result<()> {
    let path = Path::new(path);
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, text).with_context(|| path.display().to_string())?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}
