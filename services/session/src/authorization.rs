//! Who may charge: by itself where the rules allow, else by asking the CSMS.

use crate::rules::Rules;
use busbar_interfaces::words::AuthorizationStatus;

/// What the rules say about a badge before anybody was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It may charge.
    Accept,
    /// It may not.
    Refuse,
    /// The CSMS must say.
    AskCsms,
}

/// Decides about a badge shown at the station. `online` is that the CSMS has accepted the station and is linked.
pub fn of_badge(rules: &Rules, online: bool) -> Decision {
    if !rules.badge_needed {
        Decision::Accept
    } else if online {
        Decision::AskCsms
    } else {
        offline(rules)
    }
}

/// Decides about the badge that a remote start names.
pub fn of_remote_start(rules: &Rules, online: bool) -> Decision {
    if rules.badge_needed && rules.authorize_remote { of_badge(rules, online) } else { Decision::Accept }
}

/// The CSMS was asked: its word, or none because the link was lost meanwhile.
pub fn of_answer(rules: &Rules, answer: Option<AuthorizationStatus>) -> Decision {
    match answer {
        Some(AuthorizationStatus::Accepted) => Decision::Accept,
        Some(_) => Decision::Refuse,
        None => offline(rules),
    }
}

/// Without the CSMS and without a list or cache, only the strategy "every badge" lets one charge.
fn offline(rules: &Rules) -> Decision {
    if rules.allow_unknown_offline { Decision::Accept } else { Decision::Refuse }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_guide() {
        let rules = |badge_needed, allow_unknown_offline, authorize_remote| Rules {
            badge_needed,
            allow_unknown_offline,
            authorize_remote,
            ..Rules::default()
        };
        for (rules, online, badge, remote) in [
            (rules(true, true, true), true, Decision::AskCsms, Decision::AskCsms),
            (rules(true, true, true), false, Decision::Accept, Decision::Accept),
            (rules(true, false, true), false, Decision::Refuse, Decision::Refuse),
            (rules(true, true, false), true, Decision::AskCsms, Decision::Accept),
            (rules(false, false, true), true, Decision::Accept, Decision::Accept),
            (rules(false, false, true), false, Decision::Accept, Decision::Accept),
        ] {
            assert_eq!(of_badge(&rules, online), badge, "{rules:?} {online}");
            assert_eq!(of_remote_start(&rules, online), remote, "{rules:?} {online}");
        }
        assert_eq!(of_answer(&rules(true, false, true), None), Decision::Refuse);
        assert_eq!(of_answer(&rules(true, true, true), Some(AuthorizationStatus::Blocked)), Decision::Refuse);
        assert_eq!(of_answer(&rules(true, true, true), Some(AuthorizationStatus::Unknown)), Decision::Refuse);
    }
}
