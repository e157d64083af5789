//! Checks a station file with the services themselves, each of which knows its own section.

use crate::failure::Failure;
use busbar_interfaces::names;
use std::collections::BTreeSet;
use std::path::Path;
use tokio::process::Command;

/// Asks every service for the faults of its sections.
///
/// # Errors
/// All faults, one in a line; or that a service cannot be asked.
pub async fn station_file(root: &Path, libexec: &Path) -> Result<(), Failure> {
    let mut faults = BTreeSet::new();
    for service in names::ALL {
        let program = libexec.join(format!("busbar-{}", service.role));
        let asked = Command::new(&program).arg("--check").arg("--root").arg(root).output().await;
        let missing = |error| {
            Failure::Internal(format!("{}: {error}; say with --libexec DIR where the services are", program.display()))
        };
        let output = asked.map_err(missing)?;
        match output.status.code() {
            Some(0) => {}
            Some(78) => faults.extend(String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned)),
            _ => {
                let said = String::from_utf8_lossy(&output.stderr);
                return Err(Failure::Internal(format!("{} --check failed: {said}", program.display())));
            }
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err(Failure::StationFile(faults.into_iter().collect::<Vec<_>>().join("\n")))
}
