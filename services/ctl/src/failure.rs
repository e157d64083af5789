//! How a command fails, and with which exit code.

use busbar_interfaces::CallError;

/// Why a command could not be carried out.
#[derive(Debug)]
pub enum Failure {
    /// The command line asks for something that is not done like this.
    Usage(String),
    /// There is no bus.
    Bus(String),
    /// A service refused, or is not there.
    Refused(String),
    /// The station file has faults; one in a line.
    StationFile(String),
    /// This program failed.
    Internal(String),
    /// Whoever read the output has read enough; nothing is wrong.
    NobodyReads,
}

impl Failure {
    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Failure::NobodyReads => 0,
            Failure::Usage(_) => 64,
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
            Failure::Usage(text)
            | Failure::Bus(text)
            | Failure::Refused(text)
            | Failure::StationFile(text)
            | Failure::Internal(text) => f.write_str(text),
            Failure::NobodyReads => f.write_str("nobody reads the output any more"),
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
                zbus::fdo::Error::ServiceUnknown(text) | zbus::fdo::Error::NameHasNoOwner(text) => absent(&text),
                inner => Failure::Refused(inner.to_string()),
            },
            zbus::Error::MethodError(name, text, _)
                if ["ServiceUnknown", "NameHasNoOwner"]
                    .iter()
                    .any(|absent| name.strip_prefix("org.freedesktop.DBus.Error.") == Some(absent)) =>
            {
                absent(&text.unwrap_or_default())
            }
            zbus::Error::MethodError(name, text, _) => {
                Failure::Refused(format!("{name}: {}", text.unwrap_or_default()))
            }
            other => Failure::Refused(other.to_string()),
        }
    }
}

fn absent(text: &str) -> Failure {
    Failure::Bus(format!("the service is not on the bus; `busbarctl status` shows which ones are ({text})"))
}
