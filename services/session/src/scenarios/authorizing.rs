//! Badges and remote starts from the question to the charge: who is asked, who is believed, and what is told of it.

use super::play::{ONE, Play, TWO, accepted, word};
use crate::authorization::{CentralWord, Known};
use crate::rules::Rules;
use crate::station::{Input, Output, Ticket};
use busbar_interfaces::words::{
    AuthorizationSource, AuthorizationStatus, BadgeOutcome, ConnectorStatus, DecisionReason, EventKind, Link,
    StopReason, Verdict,
};
use busbar_interfaces::{BoottimeMillis, ConnectorId, TransactionId};

const STATION: ConnectorId = ConnectorId::STATION;

/// The list and the cache are on, and badges that they know start without a question.
fn local() -> Rules {
    let rules = Play::new().rules;
    Rules { list_enabled: true, cache_enabled: true, local_pre_authorize: true, ..rules }
}

fn known_to_list(group: &str) -> Known {
    Known { list: Some(word(AuthorizationStatus::Accepted, group)), cache: None }
}

fn known_to_cache() -> Known {
    Known { list: None, cache: Some(accepted()) }
}

fn decision(play: &Play) -> (Verdict, AuthorizationSource, DecisionReason) {
    let decision = play.last_decision();
    (decision.verdict, decision.source, decision.reason)
}

fn starts(play: &Play) -> usize {
    play.kinds().iter().filter(|kind| **kind == EventKind::Started).count()
}

#[test]
fn tc_007_1_tc_008_1_a_badge_that_is_known_starts_without_a_question() {
    for (known, source) in
        [(known_to_list(""), AuthorizationSource::LocalList), (known_to_cache(), AuthorizationSource::Cache)]
    {
        let mut play = Play::new();
        play.follow(local());
        play.known.insert("TAG".to_owned(), known);
        play.plug(ONE, true);
        play.step(Input::Badge {
            ticket: Ticket(1),
            id_tag: "TAG".to_owned(),
            known: play.known("TAG"),
            shown: ONE,
            valid_until: BoottimeMillis(play.now + 9_000),
        });
        assert_eq!(play.questions, [], "the CSMS is not asked");
        play.settle();
        assert_eq!(play.status(ONE), ConnectorStatus::Charging);
        assert_eq!(decision(&play), (Verdict::Accepted, source, DecisionReason::Accepted));
        assert_eq!(play.drivers[&TransactionId(1)].authorized_by, source);
    }
}

#[test]
fn tc_007_2_tc_008_2_a_remote_start_of_a_badge_that_is_known_asks_nobody() {
    for known in [known_to_list(""), known_to_cache()] {
        let mut play = Play::new();
        play.follow(local());
        play.known.insert("REMOTE".to_owned(), known);
        play.plug(ONE, true);
        assert_eq!(play.remote_start(ONE), Some(Verdict::Accepted));
        assert_eq!(play.questions, []);
        play.settle();
        assert_eq!(play.status(ONE), ConnectorStatus::Charging);
    }
}

#[test]
fn tc_061_1_tc_061_2_a_badge_that_is_not_known_any_more_is_asked_about() {
    let mut play = Play::new();
    play.follow(local());
    play.plug(ONE, true);
    play.remote_start(ONE);
    assert_eq!(play.questions.len(), 1);
    play.settle();
    assert_eq!(play.learned, [("REMOTE".to_owned(), accepted())], "and what the CSMS says is kept");
}

#[test]
fn tc_023_4_a_badge_that_the_csms_does_not_know_starts_nothing() {
    #[rustfmt::skip]
    let table = [
        (AuthorizationStatus::Invalid,      DecisionReason::Invalid),
        (AuthorizationStatus::Blocked,      DecisionReason::Blocked),
        (AuthorizationStatus::Expired,      DecisionReason::Expired),
        (AuthorizationStatus::ConcurrentTx, DecisionReason::ConcurrentTx),
    ];
    for (status, reason) in table {
        let mut play = Play::new();
        play.central.insert("TAG".to_owned(), word(status, ""));
        play.plug(ONE, true);
        assert_eq!(play.badge("TAG"), Some(BadgeOutcome::Refused));
        assert_eq!(decision(&play), (Verdict::Rejected, AuthorizationSource::Csms, reason));
        assert_eq!((starts(&play), play.status(ONE)), (0, ConnectorStatus::Preparing));
    }
}

#[test]
fn tc_023_5_a_remote_start_is_accepted_and_a_badge_that_is_invalid_starts_nothing() {
    let mut play = Play::new();
    play.central.insert("REMOTE".to_owned(), word(AuthorizationStatus::Invalid, ""));
    play.plug(ONE, true);
    assert_eq!(play.remote_start(ONE), Some(Verdict::Accepted));
    play.settle();
    assert_eq!((starts(&play), play.status(ONE)), (0, ConnectorStatus::Preparing));
}

#[test]
fn tc_037_1_without_the_csms_the_offline_rules_hold() {
    let mut play = Play::new();
    play.follow(Rules { allow_unknown_offline: false, ..local() });
    play.known.insert("CACHED".to_owned(), known_to_cache());
    play.step(Input::Link(Link::Disconnected));
    play.plug(ONE, true);
    assert_eq!(play.badge("OTHER"), Some(BadgeOutcome::Refused));
    let unknown = (Verdict::Rejected, AuthorizationSource::Offline, DecisionReason::UnknownOffline);
    assert_eq!(decision(&play), unknown);
    assert_eq!(play.badge("CACHED"), Some(BadgeOutcome::Starting));
    assert_eq!(decision(&play), (Verdict::Accepted, AuthorizationSource::Cache, DecisionReason::Accepted));
}

#[test]
fn a_csms_that_is_there_and_says_nothing_lets_nobody_charge() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.remote_start(ONE);
    let (question, _) = play.questions.pop().expect("a question");
    play.step(Input::Authorized { question, answer: CentralWord::Silent });
    play.settle();
    assert_eq!(decision(&play), (Verdict::Rejected, AuthorizationSource::Csms, DecisionReason::NoAnswer));
    assert_eq!(starts(&play), 0);
}

#[test]
fn free_charging_starts_with_the_plug_and_the_default_tag() {
    let mut play = Play::new();
    play.follow(Rules { badge_needed: false, default_id_tag: "FREE".to_owned(), ..local() });
    play.plug(TWO, true);
    play.settle();
    let of_start = play.events.first().map(|event| (event.connector, event.id_tag.as_str()));
    assert_eq!(of_start, Some((TWO, "FREE")));
    assert_eq!(decision(&play), (Verdict::Accepted, AuthorizationSource::Free, DecisionReason::Accepted));
    assert_eq!(play.questions, []);
}

/// The guide's table of remote starts, and OCPP's cases beside it.
#[test]
fn case_08_tc_010_tc_011_tc_026_tc_027_the_guides_table_of_remote_starts() {
    use Verdict::{Accepted, Rejected};
    type Row<'a> = (u32, &'a [ConnectorId], bool, Verdict, Option<ConnectorId>, Option<ConnectorId>);
    let none: &[ConnectorId] = &[];
    #[rustfmt::skip]
    let table: &[Row<'_>] = &[
        // named  plugged in   before the plug  verdict    starts at once at   then plugged in at 2
        (1,       &[ONE],      false,           Accepted,  Some(ONE),          Some(ONE)),
        (1,       &[ONE],      true,            Accepted,  Some(ONE),          Some(ONE)),
        (2,       &[ONE, TWO], true,            Accepted,  Some(TWO),          Some(TWO)),
        (2,       none,        false,           Rejected,  None,               None),
        (2,       none,        true,            Accepted,  None,               Some(TWO)),
        (1,       none,        true,            Accepted,  None,               None),
        (3,       none,        true,            Rejected,  None,               None),
        (3,       &[ONE],      true,            Rejected,  None,               None),
        (0,       &[ONE],      false,           Accepted,  Some(ONE),          Some(ONE)),
        (0,       &[TWO],      true,            Accepted,  Some(TWO),          Some(TWO)),
        (0,       &[ONE, TWO], true,            Accepted,  Some(ONE),          Some(ONE)),
        (0,       none,        false,           Rejected,  None,               None),
        (0,       none,        true,            Accepted,  None,               Some(TWO)),
    ];
    for row in table {
        let (named, plugged, remote_start_before_plug, verdict, at_once, then) = *row;
        let mut play = Play::new();
        play.follow(Rules { remote_start_before_plug, ..play.rules.clone() });
        plugged.iter().for_each(|connector| play.plug(*connector, true));
        assert_eq!(play.remote_start(ConnectorId(named)), Some(verdict), "{row:?}");
        play.settle();
        let started = |play: &Play| play.events.first().map(|event| event.connector);
        assert_eq!(started(&play), at_once, "{row:?}");
        play.plug(TWO, true);
        play.settle();
        assert_eq!(started(&play), then, "{row:?}");
    }
}

#[test]
fn tc_011_2_case_06_a_driver_who_does_not_plug_in_is_forgotten() {
    for connector in [ONE, STATION] {
        let mut play = Play::new();
        assert_eq!(play.remote_start(connector), Some(Verdict::Accepted));
        play.settle();
        let awaited = if connector == ONE { ConnectorStatus::Preparing } else { ConnectorStatus::Available };
        assert_eq!(play.status(ONE), awaited);
        play.pass(121_000);
        assert_eq!(play.status(ONE), ConnectorStatus::Available);
        play.plug(ONE, true);
        play.settle();
        assert_eq!(starts(&play), 0, "{connector:?}");
    }
}

#[test]
fn tc_026_a_remote_start_where_a_transaction_runs_or_an_order_or_a_fault_stands_is_rejected() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.badge("TAG");
    assert_eq!(play.remote_start(ONE), Some(Verdict::Rejected));
    assert_eq!(decision(&play).2, DecisionReason::Occupied);
    play.faults(vec![super::matrix::fault("0x100213", TWO)]);
    assert_eq!(play.remote_start(TWO), Some(Verdict::Rejected));
    assert_eq!(decision(&play).2, DecisionReason::Faulted);
}

#[test]
fn without_room_on_the_disk_nothing_begins_and_what_runs_goes_on() {
    let mut play = Play::new();
    play.plug(ONE, true);
    play.badge("TAG");
    play.station.space(false);
    play.plug(TWO, true);
    assert_eq!(play.badge("OTHER"), Some(BadgeOutcome::OutOfService));
    assert_eq!(decision(&play).2, DecisionReason::NoSpace);
    assert_eq!(play.remote_start(TWO), Some(Verdict::Rejected));
    play.pass(11_000);
    assert_eq!(play.kinds(), [EventKind::Started, EventKind::Sample]);
    play.station.space(true);
    assert_eq!(play.remote_start(TWO), Some(Verdict::Accepted));
}

#[test]
fn tc_069_case_07_a_badge_of_the_same_group_ends_the_charge_and_another_does_not() {
    #[rustfmt::skip]
    let table = [
        // the second badge                                        outcome                 by whom it ended
        (word(AuthorizationStatus::Accepted, "FLEET"),             BadgeOutcome::Stopping, Some("SECOND")),
        (word(AuthorizationStatus::Accepted, "fleet"),             BadgeOutcome::Stopping, Some("SECOND")),
        (word(AuthorizationStatus::ConcurrentTx, "FLEET"),         BadgeOutcome::Stopping, Some("SECOND")),
        (word(AuthorizationStatus::Blocked, "FLEET"),              BadgeOutcome::Refused,  None),
        (word(AuthorizationStatus::Accepted, "OTHERS"),            BadgeOutcome::Refused,  None),
        (word(AuthorizationStatus::Accepted, ""),                  BadgeOutcome::Refused,  None),
    ];
    for (second, outcome, by) in table {
        let mut play = Play::new();
        play.central.insert("FIRST".to_owned(), word(AuthorizationStatus::Accepted, "FLEET"));
        play.central.insert("SECOND".to_owned(), second.clone());
        play.plug(ONE, true);
        play.badge("FIRST");
        play.restart();
        assert_eq!(play.badge("SECOND"), Some(outcome), "{second:?}");
        let stop = play.events.iter().find(|event| event.kind == EventKind::Stopped);
        assert_eq!(stop.map(|stop| (stop.id_tag.as_str(), stop.reason)), by.map(|by| (by, StopReason::Local)));
    }
}

#[test]
fn tc_069_a_group_that_the_csms_tells_with_the_start_counts_too() {
    let mut play = Play::new();
    play.step(Input::Link(Link::Disconnected));
    play.plug(ONE, true);
    play.badge("FIRST");
    play.step(Input::Link(Link::Accepted));
    let authorization = word(AuthorizationStatus::Accepted, "FLEET");
    play.step(Input::Learn { ticket: Ticket(90), id_tag: "first".to_owned(), authorization: authorization.clone() });
    assert_eq!(play.answers.last(), Some(&Output::DoneAnswer(Ticket(90))));
    play.central.insert("SECOND".to_owned(), authorization);
    assert_eq!(play.badge("SECOND"), Some(BadgeOutcome::Stopping));
    assert_eq!(decision(&play), (Verdict::Accepted, AuthorizationSource::Badge, DecisionReason::SameGroup));
}

#[test]
fn the_shown_connector_decides_whether_a_badge_of_the_group_ends_or_begins() {
    #[rustfmt::skip]
    let table = [
        // shown  2 is plugged in  outcome                 about
        (ONE,     true,            BadgeOutcome::Stopping, ONE),
        (TWO,     true,            BadgeOutcome::Starting, TWO),
        (ONE,     false,           BadgeOutcome::Stopping, ONE),
        (TWO,     false,           BadgeOutcome::Stopping, ONE),
    ];
    for (shown, plugged, outcome, connector) in table {
        let mut play = Play::new();
        for badge in ["FIRST", "SECOND"] {
            play.central.insert(badge.to_owned(), word(AuthorizationStatus::Accepted, "FLEET"));
        }
        play.plug(ONE, true);
        play.badge("FIRST");
        play.plug(TWO, plugged);
        let (ticket, valid_until) = (Ticket(80), BoottimeMillis(play.now + 9_000));
        let known = Known::default();
        play.step(Input::Badge { ticket, id_tag: "SECOND".to_owned(), known, shown, valid_until });
        play.settle();
        assert!(play.answers.contains(&Output::BadgeAnswer(ticket, outcome, connector)), "{shown:?} {plugged}");
    }
}
