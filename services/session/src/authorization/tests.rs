//! Every combination of the rules, the link, the list and the cache, read off tables.

use super::*;
use AuthorizationSource::{Cache, Csms, Free, LocalList, Offline, Remote};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn word(status: AuthorizationStatus, expires: u64) -> Authorization {
    Authorization { status, parent_id_tag: String::new(), expires_unix_millis: UnixMillis(expires) }
}

fn good() -> Authorization {
    word(AuthorizationStatus::Accepted, 0)
}

fn rules(badge_needed: bool) -> Rules {
    Rules { badge_needed, ..Rules::default() }
}

/// What a table's letter says of the badge.
fn known(letter: char) -> Option<Authorization> {
    match letter {
        '-' => None,
        'g' => Some(good()),
        'b' => Some(word(AuthorizationStatus::Blocked, 0)),
        'x' => Some(word(AuthorizationStatus::Accepted, NOW.0)),
        'v' => Some(word(AuthorizationStatus::Accepted, NOW.0 + 1)),
        _ => unreachable!("a letter of the table"),
    }
}

/// All sixteen combinations of what the rules say of local words, against everything that can be known of a badge:
/// `-` nothing, `g` good, `b` blocked, `x` good until now, `v` good for another moment.
#[test]
fn case_25_every_combination_of_rules_list_and_cache() {
    for bits in 0..64u32 {
        let bit = |number: u32| bits & (1 << number) != 0;
        let (pre, local, unknown) = (bit(0), bit(1), bit(2));
        let (list_on, cache_on, online) = (bit(3), bit(4), bit(5));
        let rules = Rules {
            local_pre_authorize: pre,
            local_authorize_offline: local,
            allow_unknown_offline: unknown,
            list_enabled: list_on,
            cache_enabled: cache_on,
            ..rules(true)
        };
        for (list, cache) in "-gbxv".chars().flat_map(|list| "-gbxv".chars().map(move |cache| (list, cache))) {
            let badge = Known { list: known(list), cache: known(cache) };
            // Which word counts: the list's, if it is on and names the badge; else the cache's, likewise.
            let (source, counts) = match (list_on && list != '-', cache_on && cache != '-') {
                (true, _) => (LocalList, list),
                (false, true) => (Cache, cache),
                (false, false) => (Offline, '-'),
            };
            let by_rule =
                if unknown { Ruling::Accept(Offline) } else { Ruling::Refuse(Offline, DecisionReason::UnknownOffline) };
            let expected = match (online, counts) {
                (true, 'g' | 'v') if pre => Ruling::Accept(source),
                (true, _) => Ruling::AskCsms,
                (false, 'g' | 'v') if local => Ruling::Accept(source),
                (false, 'b') => Ruling::Refuse(source, DecisionReason::Blocked),
                (false, 'x') => Ruling::Refuse(source, DecisionReason::Expired),
                (false, _) => by_rule,
            };
            let what = format!("{rules:?} online {online} list {list} cache {cache}");
            assert_eq!(of_badge(&rules, online, &badge, NOW), expected, "{what}");
            assert_eq!(of_remote_start(&rules, online, &badge, NOW), expected, "{what}");
            let unasked = Rules { authorize_remote: false, ..rules.clone() };
            assert_eq!(of_remote_start(&unasked, online, &badge, NOW), Ruling::Accept(Remote), "{what}");
        }
    }
}

/// The four offline strategies of the guide.
#[test]
fn the_offline_strategies_of_the_guide() {
    let no = |source, reason| Ruling::Refuse(source, reason);
    #[rustfmt::skip]
    let table = [
        // strategy              unknown  local   list    cache    on the list             in the cache            neither
        ("every badge",          true,    true,   false,  false,   Ruling::Accept(Offline), Ruling::Accept(Offline), Ruling::Accept(Offline)),
        ("every badge",          true,    false,  false,  false,   Ruling::Accept(Offline), Ruling::Accept(Offline), Ruling::Accept(Offline)),
        ("cached badges only",   false,   true,   false,  true,    no(Offline, DecisionReason::UnknownOffline), Ruling::Accept(Cache), no(Offline, DecisionReason::UnknownOffline)),
        ("local list only",      false,   true,   true,   false,   Ruling::Accept(LocalList), no(Offline, DecisionReason::UnknownOffline), no(Offline, DecisionReason::UnknownOffline)),
        ("reject every badge",   false,   false,  true,   true,    no(Offline, DecisionReason::UnknownOffline), no(Offline, DecisionReason::UnknownOffline), no(Offline, DecisionReason::UnknownOffline)),
    ];
    for (strategy, unknown, local, list, cache, listed, cached, neither) in table {
        let rules = Rules {
            allow_unknown_offline: unknown,
            local_authorize_offline: local,
            list_enabled: list,
            cache_enabled: cache,
            ..rules(true)
        };
        let ruling = |known: Known| of_badge(&rules, false, &known, NOW);
        let on_list = Known { list: Some(good()), cache: None };
        let in_cache = Known { list: None, cache: Some(good()) };
        assert_eq!(
            (ruling(on_list), ruling(in_cache), ruling(Known::default())),
            (listed, cached, neither),
            "{strategy}"
        );
    }
}

#[test]
fn free_charging_asks_nobody() {
    let blocked = Known { list: known('b'), cache: known('b') };
    for online in [true, false] {
        assert_eq!(of_badge(&rules(false), online, &blocked, NOW), Ruling::Accept(Free));
        assert_eq!(of_remote_start(&rules(false), online, &blocked, NOW), Ruling::Accept(Remote));
    }
}

#[test]
fn the_csmss_answer() {
    let said = |status| CentralWord::Said(word(status, 0));
    let offline_by_cache = Rules { cache_enabled: true, allow_unknown_offline: false, ..rules(true) };
    let cached = Known { list: None, cache: known('g') };
    let no = |reason| Ruling::Refuse(Csms, reason);
    #[rustfmt::skip]
    let table = [
        // the CSMS                                    nothing is known                     it is known as good
        (said(AuthorizationStatus::Accepted),          Ruling::Accept(Csms),                Ruling::Accept(Csms)),
        (said(AuthorizationStatus::Blocked),           no(DecisionReason::Blocked),         no(DecisionReason::Blocked)),
        (said(AuthorizationStatus::Expired),           no(DecisionReason::Expired),         no(DecisionReason::Expired)),
        (said(AuthorizationStatus::Invalid),           no(DecisionReason::Invalid),         no(DecisionReason::Invalid)),
        (said(AuthorizationStatus::ConcurrentTx),      no(DecisionReason::ConcurrentTx),    no(DecisionReason::ConcurrentTx)),
        (said(AuthorizationStatus::Unknown),           no(DecisionReason::Invalid),         no(DecisionReason::Invalid)),
        (CentralWord::Silent,                          no(DecisionReason::NoAnswer),        no(DecisionReason::NoAnswer)),
        (CentralWord::Unreachable,  Ruling::Refuse(Offline, DecisionReason::UnknownOffline), Ruling::Accept(Cache)),
    ];
    for (answer, unknown, known) in table {
        assert_eq!(of_answer(&offline_by_cache, &answer, &Known::default(), NOW), unknown, "{answer:?}");
        assert_eq!(of_answer(&offline_by_cache, &answer, &cached, NOW), known, "{answer:?}");
    }
}

#[test]
fn case_25_a_clock_that_was_not_set_yet_ends_nothing() {
    let cached = Known { list: None, cache: known('x') };
    let rules = Rules { cache_enabled: true, ..rules(true) };
    assert_eq!(of_badge(&rules, false, &cached, UnixMillis(1_000)), Ruling::Accept(Cache));
}

#[test]
fn the_list_says_the_group_before_the_cache_does() {
    let of_group = |group: &str| Some(Authorization { parent_id_tag: group.to_owned(), ..good() });
    let badge = Known { list: of_group("LIST"), cache: of_group("CACHE") };
    #[rustfmt::skip]
    let table = [
        // list    cache   group
        (true,     true,   Some("LIST")),
        (false,    true,   Some("CACHE")),
        (true,     false,  Some("LIST")),
        (false,    false,  None),
    ];
    for (list_enabled, cache_enabled, group) in table {
        let rules = Rules { list_enabled, cache_enabled, ..rules(true) };
        assert_eq!(badge.group(&rules).as_deref(), group);
    }
}
