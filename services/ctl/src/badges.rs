//! Who may charge, in words for a technician: the last decision about a badge, the local list, the cache, what is
//! reserved. Pure.

use crate::table::item;
use crate::words::{count, since, until};
use busbar_interfaces::session::{Decision, Reservation, SessionState};
use busbar_interfaces::words::{AuthorizationSource, DecisionReason, Verdict};
use busbar_interfaces::{ConnectorId, UnixMillis};
use serde::Serialize;

/// What `session` says of badges. The names are those of its properties in another spelling.
#[derive(Debug, Serialize)]
pub struct Badges {
    last_decision: Decision,
    local_list_version: i32,
    local_list_badges: u32,
    cached_badges: u32,
}

impl Badges {
    /// Out of all that `session` says.
    pub fn new(state: &SessionState) -> Badges {
        Badges {
            last_decision: state.last_decision,
            local_list_version: state.local_list_version,
            local_list_badges: state.local_list_badges,
            cached_badges: state.cached_badges,
        }
    }

    /// As lines of a list.
    pub fn to_text(&self, now: UnixMillis) -> String {
        item("last badge", &decided(&self.last_decision, now))
            + &item("local list", &self.local_list())
            + &item("cache", &count(self.cached_badges.into(), "badge", "badges"))
    }

    fn local_list(&self) -> String {
        let badges = count(self.local_list_badges.into(), "badge", "badges");
        match self.local_list_version {
            -1 => format!("switched off (LocalAuthListEnabled), {badges} on it"),
            version => format!("version {version}, {badges}"),
        }
    }
}

/// What is reserved, as lines of a list; none when nothing is.
pub fn reserved(reservations: &[Reservation], now: UnixMillis) -> String {
    let line = |kept: &Reservation| {
        let (number, until) = (kept.reservation, until(kept.expires_unix_millis, now));
        let what = place(kept.connector);
        item("reserved", &format!("{what} until {until} (`busbarctl reservation cancel {number}` ends it)"))
    };
    reservations.iter().map(line).collect()
}

fn place(connector: ConnectorId) -> String {
    if connector == ConnectorId::STATION { "any connector".to_owned() } else { format!("connector {connector}") }
}

fn decided(decision: &Decision, now: UnixMillis) -> String {
    if decision.unix_millis.0 == 0 {
        return "none since session has started".to_owned();
    }
    let verdict = match decision.verdict {
        Verdict::Accepted => "accepted",
        Verdict::Rejected => "refused",
        Verdict::Unknown => UNKNOWN,
    };
    let (place, why, source) = (place(decision.connector), reason(decision.reason), source(decision.source));
    format!("{verdict} at {place}: {why} ({source}); {}", since(decision.unix_millis, now))
}

/// What stands for a word of a newer station.
const UNKNOWN: &str = "a word that this version of busbarctl does not know";

fn reason(reason: DecisionReason) -> &'static str {
    match reason {
        DecisionReason::None => "no reason is given",
        DecisionReason::Accepted => "the badge may charge",
        DecisionReason::Blocked => "the badge is blocked",
        DecisionReason::Expired => "the badge is no longer valid",
        DecisionReason::Invalid => "nobody knows the badge",
        DecisionReason::ConcurrentTx => "the badge charges elsewhere already",
        DecisionReason::UnknownOffline => "the CSMS cannot be asked, and AllowOfflineTxForUnknownId is false",
        DecisionReason::NoAnswer => "the CSMS is there and has not answered",
        DecisionReason::SameBadge => "the badge ends what it has begun",
        DecisionReason::SameGroup => "the badge ends what one of its group has begun",
        DecisionReason::NoVehicle => "no vehicle waits for a badge there",
        DecisionReason::Occupied => "a transaction runs there, or another driver is awaited",
        DecisionReason::Reserved => "it is reserved for another driver",
        DecisionReason::Unavailable => "it is out of service by order",
        DecisionReason::Faulted => "a fault stands against it, or power is away",
        DecisionReason::Restarting => "the station is about to restart",
        DecisionReason::NoMeter => "the meter does not answer",
        DecisionReason::NoSpace => "the disk is full",
        DecisionReason::TooLate => "it took so long that nobody waited any more",
        DecisionReason::NotReady => "the configuration keys are not known yet",
        DecisionReason::Unknown => UNKNOWN,
    }
}

/// By whose word; what stands against a connector is nobody's word, but the badge was looked at before.
fn source(source: AuthorizationSource) -> &'static str {
    match source {
        AuthorizationSource::None => "nobody was asked about the badge",
        AuthorizationSource::Csms => "the CSMS was asked about the badge",
        AuthorizationSource::LocalList => "the badge is on the local list",
        AuthorizationSource::Cache => "the badge is in the cache",
        AuthorizationSource::Offline => "the rule for badges that are not known, without the CSMS",
        AuthorizationSource::Free => "charging is free, AuthenticationOCPPMode is false",
        AuthorizationSource::Remote => "the CSMS asked for the charge, AuthorizeRemoteTxRequests is false",
        AuthorizationSource::Badge => "it is the badge that began it",
        AuthorizationSource::Unknown => UNKNOWN,
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use busbar_interfaces::ReservationId;
    use std::collections::BTreeSet;

    const NOW: UnixMillis = UnixMillis(1_767_225_785_000);

    pub fn decision(connector: u32, source: AuthorizationSource, reason: DecisionReason) -> Decision {
        let goes = [DecisionReason::Accepted, DecisionReason::SameBadge, DecisionReason::SameGroup];
        let verdict = if goes.contains(&reason) { Verdict::Accepted } else { Verdict::Rejected };
        let unix_millis = UnixMillis(1_767_225_600_000);
        Decision { connector: ConnectorId(connector), verdict, source, reason, unix_millis }
    }

    pub fn reservation(number: i32, connector: u32) -> Reservation {
        Reservation {
            reservation: ReservationId(number),
            connector: ConnectorId(connector),
            expires_unix_millis: UnixMillis(1_767_226_385_000),
        }
    }

    #[test]
    fn case_25_a_decision_says_where_what_why_by_whose_word_and_when() {
        use {AuthorizationSource as Source, DecisionReason as Reason};
        for (connector, source, reason, said) in [
            (
                1,
                Source::LocalList,
                Reason::Blocked,
                "refused at connector 1: the badge is blocked (the badge is on the local list)",
            ),
            (
                2,
                Source::Csms,
                Reason::Reserved,
                "refused at connector 2: it is reserved for another driver (the CSMS was asked about the badge)",
            ),
            (
                1,
                Source::Csms,
                Reason::NoAnswer,
                "refused at connector 1: the CSMS is there and has not answered (the CSMS was asked about the badge)",
            ),
            (
                2,
                Source::Offline,
                Reason::UnknownOffline,
                "refused at connector 2: the CSMS cannot be asked, and AllowOfflineTxForUnknownId is false (the rule for \
                 badges that are not known, without the CSMS)",
            ),
            (
                1,
                Source::None,
                Reason::Restarting,
                "refused at connector 1: the station is about to restart (nobody was asked about the badge)",
            ),
            (
                0,
                Source::Cache,
                Reason::Accepted,
                "accepted at any connector: the badge may charge (the badge is in the cache)",
            ),
            (
                1,
                Source::Badge,
                Reason::SameBadge,
                "accepted at connector 1: the badge ends what it has begun (it is the badge that began it)",
            ),
        ] {
            let text = decided(&decision(connector, source, reason), NOW);
            assert_eq!(text, format!("{said}; 2026-01-01T00:00:00Z (3 min 5 s ago)"));
        }
        assert_eq!(decided(&Decision::NONE, NOW), "none since session has started");
    }

    #[test]
    fn every_reason_and_every_source_has_a_text_of_its_own() {
        let reasons: BTreeSet<&str> = DecisionReason::KNOWN.iter().map(|known| reason(*known)).collect();
        assert_eq!(reasons.len(), DecisionReason::KNOWN.len());
        let sources: BTreeSet<&str> = AuthorizationSource::KNOWN.iter().map(|known| source(*known)).collect();
        assert_eq!(sources.len(), AuthorizationSource::KNOWN.len());
    }

    #[test]
    fn the_local_list_and_the_cache_are_counted_also_while_they_are_switched_off() {
        for (version, badges, cached, said) in [
            (12, 340, 5, "local list       version 12, 340 badges\ncache            5 badges\n"),
            (0, 0, 1, "local list       version 0, 0 badges\ncache            1 badge\n"),
            (
                -1,
                1,
                0,
                "local list       switched off (LocalAuthListEnabled), 1 badge on it\ncache            0 badges\n",
            ),
        ] {
            let state = SessionState {
                local_list_version: version,
                local_list_badges: badges,
                cached_badges: cached,
                ..SessionState::default()
            };
            let text = Badges::new(&state).to_text(NOW);
            assert_eq!(text, format!("last badge       none since session has started\n{said}"));
        }
    }

    #[test]
    fn case_26_what_is_reserved_says_until_when_in_utc_and_how_to_end_it() {
        assert_eq!(reserved(&[], NOW), "");
        assert_eq!(
            reserved(&[reservation(-7, 2), reservation(12, 0)], NOW),
            "reserved         connector 2 until 2026-01-01T00:13:05Z, in 10 min (`busbarctl reservation cancel -7` ends \
             it)\n\
             reserved         any connector until 2026-01-01T00:13:05Z, in 10 min (`busbarctl reservation cancel 12` ends \
             it)\n"
        );
    }
}
