//! The manual pages and the completions of this command, made from the command line itself: a package brings them.

use crate::arguments::Arguments;
use clap::CommandFactory;
use clap_complete::Shell;
use std::io;
use std::path::Path;

/// Writes `man1/*.1`, and a completion for each of the shells that Debian users have.
///
/// # Errors
/// When a file cannot be written.
#[allow(clippy::disallowed_methods, reason = "these files are for a package, and nobody reads them yet")]
pub fn write(directory: &Path) -> io::Result<()> {
    let pages = directory.join("man1");
    std::fs::create_dir_all(&pages)?;
    clap_mangen::generate_to(Arguments::command(), pages)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Arguments::command(), "busbarctl", directory)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, clippy::expect_used, reason = "tests")]
    fn every_command_has_a_page_and_each_shell_its_completion() {
        let directory = tempfile::tempdir().expect("a directory");
        write(directory.path()).expect("written");
        for file in ["man1/busbarctl.1", "man1/busbarctl-status.1", "man1/busbarctl-settings-set.1"] {
            assert!(directory.path().join(file).exists(), "{file}");
        }
        for file in ["busbarctl.bash", "_busbarctl", "busbarctl.fish"] {
            let text = std::fs::read_to_string(directory.path().join(file)).expect("a completion");
            assert!(text.contains("availability"), "{file}");
        }
    }
}
