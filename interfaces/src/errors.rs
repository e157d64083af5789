//! The errors of every Busbar method: programs match the names, the text is for people.

use zbus::DBusError;

/// What a method of a Busbar service fails with. The names begin with `io.busbar.Error.`.
#[derive(Debug, Clone, DBusError)]
#[zbus(prefix = "io.busbar.Error")]
pub enum CallError {
    /// What it needs is absent or not yet known; the same call may succeed later.
    NotReady(String),
    /// An argument is outside its range; the text names it and the range.
    OutOfRange(String),
    /// There is no such thing.
    NotFound(String),
    /// It contradicts what is going on.
    Conflict(String),
    /// Too much is waiting; repeat later.
    Busy(String),
    /// The lease or request that it refers to has ended.
    Expired(String),
    /// The caller may not.
    NotPermitted(String),
    /// This version of the service does not do that.
    NotSupported(String),
    /// The service itself failed; its log says how.
    Internal(String),
    /// The bus or the peer failed.
    #[zbus(error)]
    Bus(zbus::Error),
}

impl CallError {
    /// The request never reached a peer that could have acted on it, or the peer has no answer now: ask again.
    pub fn may_be_repeated(&self) -> bool {
        matches!(self, CallError::Bus(_) | CallError::NotReady(_) | CallError::Busy(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_the_prefix() {
        let error = CallError::Expired("delivery 7 has ended".to_owned());
        assert_eq!(error.name().as_str(), "io.busbar.Error.Expired");
        assert!(error.name().as_str().starts_with(crate::names::ERROR_PREFIX));
    }
}
