//! How a bench fails.

use std::path::PathBuf;

/// Why a bench cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A program is missing.
    #[error("`{}` is missing: build the workspace first (cargo build --workspace --bins)", .0.display())]
    Missing(PathBuf),
    /// A program cannot be started.
    #[error("`{program}` cannot be started: {source}")]
    Start {
        /// Which.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// Something did not happen in time.
    #[error("{0}")]
    TooLate(String),
    /// The station file has faults; one in a line.
    #[error("{0}")]
    StationFile(String),
    /// The bus, the CSMS or a file failed.
    #[error("{0}")]
    Broken(String),
    /// The demo's charge was not right.
    #[error("{0}")]
    Wrong(String),
}

impl Failure {
    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Missing(_) | Failure::Start { .. } | Failure::Broken(_) => 70,
            Failure::TooLate(_) => 69,
            Failure::StationFile(_) => 78,
            Failure::Wrong(_) => 1,
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::Broken(error.to_string())
    }
}

impl From<zbus::Error> for Failure {
    fn from(error: zbus::Error) -> Failure {
        Failure::Broken(error.to_string())
    }
}

impl From<busbar_private_bus::PrivateBusError> for Failure {
    fn from(error: busbar_private_bus::PrivateBusError) -> Failure {
        use busbar_private_bus::PrivateBusError;
        match error {
            PrivateBusError::Spawn(source) => Failure::Start { program: "setpriv".to_owned(), source },
            PrivateBusError::Silent => Failure::TooLate(error.to_string()),
            PrivateBusError::Files(source) => source.into(),
        }
    }
}

impl From<busbar_runtime::Exit> for Failure {
    fn from(exit: busbar_runtime::Exit) -> Failure {
        Failure::Broken(exit.to_string())
    }
}

impl From<busbar_interfaces::CallError> for Failure {
    fn from(error: busbar_interfaces::CallError) -> Failure {
        Failure::Broken(error.to_string())
    }
}
