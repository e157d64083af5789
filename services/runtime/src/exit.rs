//! How a process ends: the exit codes of the conventions, section 3, and the text that goes with each.

use std::process::ExitCode;

/// Why a process ends before it was asked to, or that it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Exit {
    /// The settings were checked and are good; nothing else was asked for.
    #[error("the settings are good")]
    Checked,
    /// The command line is wrong.
    #[error("{0}")]
    Arguments(String),
    /// The bus cannot be reached, is gone, or somebody else holds the name.
    #[error("{0}")]
    Bus(String),
    /// A part of the process ended or failed.
    #[error("{0}")]
    Internal(String),
    /// The durable state cannot be read or written.
    #[error("{0}")]
    Storage(String),
    /// The station file has faults; the text lists all of them, one in a line.
    #[error("{0}")]
    Settings(String),
}

impl Exit {
    /// The exit code that the service manager sees.
    pub fn code(&self) -> u8 {
        match self {
            Exit::Checked => 0,
            Exit::Arguments(_) => 64,
            Exit::Bus(_) => 69,
            Exit::Internal(_) => 70,
            Exit::Storage(_) => 74,
            Exit::Settings(_) => 78,
        }
    }
}

impl From<&Exit> for ExitCode {
    fn from(exit: &Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

impl From<zbus::Error> for Exit {
    fn from(error: zbus::Error) -> Exit {
        Exit::Bus(format!("the bus failed: {error}"))
    }
}
