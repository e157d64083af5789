//! Whether a value that fits its key may hold now: what the CSMS may not do, what the way back may touch, and which
//! keys must fit together. Pure. The order that always works is address, then password, then a higher profile.

use crate::keys::{AUTHORIZATION_KEY, BOX_IDENTIFIER, Key, SECURITY_PROFILE, SUPERVISION_URL};
use crate::takes::are_all_tls;
use busbar_interfaces::words::KeyOrigin;

/// The keys that bring the station to its CSMS: what did not work may be taken back.
pub const WAY_TO_THE_CSMS: [&str; 4] = [SUPERVISION_URL, BOX_IDENTIFIER, AUTHORIZATION_KEY, SECURITY_PROFILE];

/// What the keys that depend on each other are now.
#[derive(Clone, Copy)]
pub struct Way<'a> {
    /// The value of `SupervisionUrl`.
    pub addresses: &'a str,
    /// The value of `SecurityProfile`.
    pub profile: u32,
    /// A value of `AuthorizationKey` is set.
    pub has_password: bool,
}

impl Way<'_> {
    fn lacks_password(self) -> bool {
        matches!(self.profile, 1 | 2) && !self.has_password
    }

    fn lacks_tls(self) -> bool {
        self.profile >= 2 && !are_all_tls(self.addresses)
    }

    /// What keeps the station from its CSMS, if the keys do not fit together. No change leads there, but a station file
    /// or the way back may.
    pub fn contradiction(self) -> Option<&'static str> {
        if self.lacks_password() {
            Some("SecurityProfile 1 and 2 need an AuthorizationKey, and none is set")
        } else if self.lacks_tls() {
            Some("SecurityProfile 2 and 3 need wss:// addresses, and SupervisionUrl has another one")
        } else {
            None
        }
    }
}

/// The station itself may take this key back to the value that worked last.
pub fn is_on_the_way_to_the_csms(key: &Key) -> bool {
    WAY_TO_THE_CSMS.contains(&key.name)
}

/// Judges a value that fits its key.
///
/// # Errors
/// Why it may not hold now, and what to do first; never the value.
pub fn permit(key: &Key, old: &str, new: &str, origin: KeyOrigin, way: Way<'_>) -> Result<(), &'static str> {
    match (key.name, origin) {
        // Without an address nobody could undo it from afar.
        (SUPERVISION_URL, KeyOrigin::Csms | KeyOrigin::Rollback) if new.is_empty() => {
            return Err("can be emptied at the station alone: the CSMS could not undo it");
        }
        (AUTHORIZATION_KEY, KeyOrigin::Csms) if new.is_empty() => {
            return Err("can be emptied at the station alone");
        }
        // The values have worked; they come back one after another, in any order.
        (_, KeyOrigin::Rollback) => return Ok(()),
        _ if old == new => return Ok(()),
        _ => {}
    }
    match key.name {
        SECURITY_PROFILE => {
            let next = Way { profile: profile_of(new), ..way };
            if origin == KeyOrigin::Csms && next.profile < way.profile {
                Err("can be lowered at the station alone")
            } else if next.lacks_password() {
                Err("1 and 2 need a password: set AuthorizationKey first")
            } else if next.lacks_tls() || next.profile >= 2 && next.addresses.is_empty() {
                Err("2 and 3 need wss:// in every address: change SupervisionUrl first")
            } else {
                Ok(())
            }
        }
        SUPERVISION_URL if (Way { addresses: new, ..way }).lacks_tls() => {
            Err("must have wss:// in every address while SecurityProfile is 2 or 3: lower SecurityProfile first")
        }
        AUTHORIZATION_KEY if (Way { has_password: !new.is_empty(), ..way }).lacks_password() => {
            Err("cannot be emptied while SecurityProfile is 1 or 2: change SecurityProfile first")
        }
        _ => Ok(()),
    }
}

/// A value of `SecurityProfile` that fits, as a number.
pub fn profile_of(value: &str) -> u32 {
    value.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WS: &str = "ws://csms.example/";
    const WSS: &str = "wss://csms.example/";

    fn profile(new: &str, origin: KeyOrigin, way: Way<'_>) -> Result<(), &'static str> {
        let old = way.profile.to_string();
        permit(Key::named(SECURITY_PROFILE).expect("a key"), &old, new, origin, way)
    }

    fn url(new: &str, origin: KeyOrigin, way: Way<'_>) -> Result<(), &'static str> {
        permit(Key::named(SUPERVISION_URL).expect("a key"), way.addresses, new, origin, way)
    }

    fn password(new: &str, origin: KeyOrigin, way: Way<'_>) -> Result<(), &'static str> {
        let old = if way.has_password { "old-password-old" } else { "" };
        permit(Key::named(AUTHORIZATION_KEY).expect("a key"), old, new, origin, way)
    }

    #[test]
    fn case_32_tc_084_the_csms_raises_the_profile_and_never_lowers_it() {
        for from in 0..=3 {
            for to in 0..=3 {
                let way = Way { addresses: WSS, profile: from, has_password: true };
                let to_text = to.to_string();
                assert_eq!(profile(&to_text, KeyOrigin::Csms, way).is_ok(), to >= from, "{from} to {to}");
                assert_eq!(profile(&to_text, KeyOrigin::Engineer, way), Ok(()), "{from} to {to}");
                assert_eq!(profile(&to_text, KeyOrigin::Rollback, way), Ok(()), "{from} to {to}");
            }
        }
    }

    #[test]
    fn case_32_a_profile_needs_what_it_rests_on() {
        // The addresses, the password, and the profiles that rest on them.
        for (addresses, has_password, good) in [
            (WS, false, &[0][..]),
            (WS, true, &[0, 1]),
            (WSS, false, &[0, 3]),
            (WSS, true, &[0, 1, 2, 3]),
            ("wss://a.example/ ws://b.example/", true, &[0, 1]),
            ("", true, &[0, 1]),
            ("", false, &[0]),
        ] {
            for to in 0..=3 {
                let way = Way { addresses, profile: 0, has_password };
                for origin in [KeyOrigin::Csms, KeyOrigin::Engineer] {
                    let permitted = profile(&to.to_string(), origin, way).is_ok();
                    assert_eq!(permitted, good.contains(&to), "{addresses:?} {has_password} {to}");
                }
            }
        }
    }

    #[test]
    fn case_32_an_address_without_tls_is_refused_under_profile_2_and_3() {
        for (profile, good) in [(0, true), (1, true), (2, false), (3, false)] {
            let way = Way { addresses: WSS, profile, has_password: true };
            for origin in [KeyOrigin::Csms, KeyOrigin::Engineer] {
                assert_eq!(url(WS, origin, way).is_ok(), good, "{profile}");
                assert_eq!(url("wss://a.example/ ws://b.example/", origin, way).is_ok(), good, "{profile}");
                assert_eq!(url("wss://other.example/", origin, way), Ok(()), "{profile}");
            }
            assert_eq!(url(WS, KeyOrigin::Rollback, way), Ok(()), "{profile}");
            assert_eq!(url("", KeyOrigin::Engineer, way), Ok(()), "{profile}");
        }
    }

    #[test]
    fn only_at_the_station_is_a_value_of_the_way_emptied() {
        let way = Way { addresses: WSS, profile: 0, has_password: true };
        assert!(url("", KeyOrigin::Csms, way).is_err() && url("", KeyOrigin::Rollback, way).is_err());
        assert!(password("", KeyOrigin::Csms, way).is_err());
        assert_eq!(password("", KeyOrigin::Engineer, way), Ok(()));
        let used = Way { profile: 2, ..way };
        assert!(password("", KeyOrigin::Engineer, used).is_err());
        assert_eq!(password("", KeyOrigin::Rollback, used), Ok(()));
        assert_eq!(password("", KeyOrigin::Engineer, Way { profile: 3, ..way }), Ok(()));
    }

    #[test]
    fn case_b45_a_refusal_names_the_key_that_is_in_the_way() {
        let way = Way { addresses: WS, profile: 0, has_password: false };
        assert!(profile("1", KeyOrigin::Engineer, way).is_err_and(|why| why.contains(AUTHORIZATION_KEY)));
        assert!(profile("3", KeyOrigin::Engineer, way).is_err_and(|why| why.contains(SUPERVISION_URL)));
        let secure = Way { addresses: WSS, profile: 2, has_password: true };
        assert!(url(WS, KeyOrigin::Engineer, secure).is_err_and(|why| why.contains(SECURITY_PROFILE)));
        assert!(password("", KeyOrigin::Engineer, secure).is_err_and(|why| why.contains(SECURITY_PROFILE)));
    }

    #[test]
    fn what_a_station_file_makes_of_it_may_contradict_itself_and_can_be_mended_step_by_step() {
        let way = Way { addresses: WS, profile: 2, has_password: false };
        assert!(way.contradiction().is_some_and(|fault| fault.contains(AUTHORIZATION_KEY)));
        assert_eq!(url(WSS, KeyOrigin::Csms, way), Ok(()));
        let way = Way { addresses: WSS, ..way };
        assert_eq!(password("a-password-of-16", KeyOrigin::Csms, way), Ok(()));
        assert_eq!(Way { has_password: true, ..way }.contradiction(), None);
        assert!(Way { addresses: WS, has_password: true, ..way }.contradiction().is_some());
        assert_eq!(profile("2", KeyOrigin::Csms, way), Ok(()), "what it is already");
    }
}
