//! How a command fails, and with which exit code.

use busbar_interfaces::CallError;

/// Why a command could not be carried out.
#[derive(Debug)]
pub enum Failure {
    /// There is no bus.
    Bus(String),
    /// A service refused, or is not there.
    Refused(String),
    /// The station file has faults; one in a line.
    StationFile(String),
    /// This program failed.
    Internal(String),
}

impl Failure {
    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Bus(_) => 69,
            Failure::Refused(_) => 1,
            Failure::StationFile(_) => 78,
            Failure::Internal(_) => 70,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Bus(text) | Failure::Refused(text) | Failure::StationFile(text) | Failure::Internal(text) => {
                f.write_str(text)
            }
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Failure {
        match error {
            CallError::Bus(error) => error.into(),
            refused => Failure::Refused(refused.to_string()),
        }
    }
}

impl From<zbus::Error> for Failure {
    fn from(error: zbus::Error) -> Failure {
        match error {
            zbus::Error::FDO(inner) => match *inner {
                zbus::fdo::Error::ServiceUnknown(text) | zbus::fdo::Error::NameHasNoOwner(text) => Failure::Bus(
                    format!("the service is not on the bus; `busbarctl status` shows which ones are ({text})"),
                ),
                inner => Failure::Refused(inner.to_string()),
            },
            zbus::Error::MethodError(name, text, _) => {
                Failure::Refused(format!("{name}: {}", text.unwrap_or_default()))
            }
            other => Failure::Refused(other.to_string()),
        }
    }
}
