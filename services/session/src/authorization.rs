//! Who may charge: by the station's own word where the rules allow it, else by the CSMS's. Pure.

use crate::rules::Rules;
use busbar_interfaces::UnixMillis;
use busbar_interfaces::ocpp::Authorization;
use busbar_interfaces::words::{AuthorizationSource, AuthorizationStatus, DecisionReason};

/// What the station itself knows of a badge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// What stands on the local authorization list.
    pub list: Option<Authorization>,
    /// What the CSMS said of it last.
    pub cache: Option<Authorization>,
}

impl Known {
    /// What counts of it: the list comes before the cache (OCPP 1.6, 3.5.3), and neither counts while it is off.
    pub fn counts(&self, rules: &Rules) -> Option<(AuthorizationSource, &Authorization)> {
        let list = self.list.as_ref().filter(|_| rules.list_enabled);
        let cache = self.cache.as_ref().filter(|_| rules.cache_enabled);
        list.map(|word| (AuthorizationSource::LocalList, word)).or(cache.map(|word| (AuthorizationSource::Cache, word)))
    }

    /// The group of the badge, as far as it is known; empty when it is known to have none.
    pub fn group(&self, rules: &Rules) -> Option<String> {
        self.counts(rules).map(|(_, word)| word.parent_id_tag.clone())
    }
}

/// A badge that may charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Driver {
    /// The badge.
    pub id_tag: String,
    /// Its group; empty when it has none, or none is known.
    pub parent_id_tag: String,
    /// By whose word it may.
    pub authorized_by: AuthorizationSource,
}

/// What came of a question to the CSMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CentralWord {
    /// It has said this.
    Said(Authorization),
    /// It is there and has not answered in time.
    Silent,
    /// It could not be asked.
    Unreachable,
}

/// What is to be said of a badge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// It may charge, by this word.
    Accept(AuthorizationSource),
    /// It may not.
    Refuse(AuthorizationSource, DecisionReason),
    /// The CSMS must say.
    AskCsms,
}

/// About a badge shown at the station. `online` is that the CSMS has accepted the station and is linked.
pub fn of_badge(rules: &Rules, online: bool, known: &Known, now: UnixMillis) -> Ruling {
    if !rules.badge_needed {
        return Ruling::Accept(AuthorizationSource::Free);
    }
    if !online {
        return offline(rules, known, now);
    }
    match known.counts(rules) {
        Some((source, word)) if rules.local_pre_authorize && standing(word, now).is_ok() => Ruling::Accept(source),
        // Also about a badge that is known and not good: the CSMS may have changed its mind.
        _ => Ruling::AskCsms,
    }
}

/// About the badge that a remote start names.
pub fn of_remote_start(rules: &Rules, online: bool, known: &Known, now: UnixMillis) -> Ruling {
    if rules.badge_needed && rules.authorize_remote {
        of_badge(rules, online, known, now)
    } else {
        Ruling::Accept(AuthorizationSource::Remote)
    }
}

/// The CSMS was asked.
pub fn of_answer(rules: &Rules, answer: &CentralWord, known: &Known, now: UnixMillis) -> Ruling {
    match answer {
        CentralWord::Said(word) => match reason_of(word.status) {
            None => Ruling::Accept(AuthorizationSource::Csms),
            Some(reason) => Ruling::Refuse(AuthorizationSource::Csms, reason),
        },
        // With a link, no answer is no permission.
        CentralWord::Silent => Ruling::Refuse(AuthorizationSource::Csms, DecisionReason::NoAnswer),
        CentralWord::Unreachable => offline(rules, known, now),
    }
}

/// Without the CSMS (OCPP 1.6, 3.5.4): what is known as good may if the rules say so, what is known as anything else
/// may not, and for the rest there is a rule of its own.
fn offline(rules: &Rules, known: &Known, now: UnixMillis) -> Ruling {
    match known.counts(rules).map(|(source, word)| (source, standing(word, now))) {
        Some((source, Ok(()))) if rules.local_authorize_offline => Ruling::Accept(source),
        Some((source, Err(reason))) => Ruling::Refuse(source, reason),
        _ if rules.allow_unknown_offline => Ruling::Accept(AuthorizationSource::Offline),
        _ => Ruling::Refuse(AuthorizationSource::Offline, DecisionReason::UnknownOffline),
    }
}

/// Whether a word that was kept still says yes. A clock that was not set yet stands in the past and ends nothing: the
/// right of the driver is not taken away by a clock that is wrong.
fn standing(word: &Authorization, now: UnixMillis) -> Result<(), DecisionReason> {
    match reason_of(word.status) {
        Some(reason) => Err(reason),
        None if word.expires_unix_millis.0 != 0 && word.expires_unix_millis <= now => Err(DecisionReason::Expired),
        None => Ok(()),
    }
}

fn reason_of(status: AuthorizationStatus) -> Option<DecisionReason> {
    match status {
        AuthorizationStatus::Accepted => None,
        AuthorizationStatus::Blocked => Some(DecisionReason::Blocked),
        AuthorizationStatus::Expired => Some(DecisionReason::Expired),
        AuthorizationStatus::ConcurrentTx => Some(DecisionReason::ConcurrentTx),
        AuthorizationStatus::Invalid | AuthorizationStatus::Unknown => Some(DecisionReason::Invalid),
    }
}

#[cfg(test)]
mod tests;
