//! What a process and its files cost, as the kernel tells.

use anyhow::{Context, Result};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The proportional set size of a process, in KiB (proc(5), `smaps_rollup`).
///
/// # Errors
/// When there is no such process.
pub fn pss_kib(process: u32) -> Result<u64> {
    let path = format!("/proc/{process}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| path)?;
    pss(&text).context("no line `Pss:`")
}

fn pss(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What a file or a directory with all that is in it takes on disk, in KiB.
///
/// # Errors
/// When it cannot be looked at.
pub fn disk_kib(path: &Path) -> Result<u64> {
    let found = std::fs::symlink_metadata(path).with_context(|| path.display().to_string())?;
    let mut kib = found.blocks() / 2;
    if found.is_dir() {
        for entry in std::fs::read_dir(path)? {
            kib = kib.saturating_add(disk_kib(&entry?.path())?);
        }
    }
    Ok(kib)
}

/// Whether a process runs the very file that is installed under this name now, not one that was replaced.
///
/// # Errors
/// When there is no such process or file.
pub fn runs_what_is_installed(process: u32, program: &str) -> Result<bool> {
    let running = std::fs::metadata(format!("/proc/{process}/exe"))?;
    let installed = std::fs::metadata(program).with_context(|| program.to_owned())?;
    Ok((running.dev(), running.ino()) == (installed.dev(), installed.ino()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_line_is_found_among_its_likes() {
        let text = "55d0-7ffe ---p 00000000 00:00 0 [rollup]\nRss:   9000 kB\nPss:   4711 kB\nPss_Anon: 3 kB\n";
        assert_eq!(pss(text), Some(4711));
        assert_eq!(pss("Rss: 1 kB\n"), None);
    }

    #[test]
    fn this_process_has_a_size_and_runs_its_program() {
        let program = std::env::current_exe().unwrap();
        assert!(pss_kib(std::process::id()).unwrap() > 0);
        assert!(runs_what_is_installed(std::process::id(), program.to_str().unwrap()).unwrap());
        assert!(!runs_what_is_installed(std::process::id(), "/bin/sh").unwrap());
        assert!(disk_kib(&program).unwrap() > 0);
    }
}
