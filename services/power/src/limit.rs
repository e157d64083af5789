//! The limit that somebody holds for a connector: a lease. When it ends, the fallback of the station file applies.

use busbar_interfaces::{BoottimeMillis, Watts};

/// A held limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HeldLimit {
    /// The most power.
    pub watts: Watts,
    /// Until when it holds.
    pub until: BoottimeMillis,
}

/// The limit that holds at a moment.
pub fn in_force(held: Option<HeldLimit>, fallback: Watts, now: BoottimeMillis) -> Watts {
    held.filter(|limit| now < limit.until).map_or(fallback, |limit| limit.watts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_holds_until_its_lease_ends() {
        let held = Some(HeldLimit { watts: Watts(9), until: BoottimeMillis(100) });
        assert_eq!(in_force(held, Watts(50), BoottimeMillis(99)), Watts(9));
        assert_eq!(in_force(held, Watts(50), BoottimeMillis(100)), Watts(50));
        assert_eq!(in_force(None, Watts(50), BoottimeMillis(0)), Watts(50));
    }
}
