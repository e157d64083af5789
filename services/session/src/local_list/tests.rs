//! What each update makes of the list: tables of the decision, and the list on disk against a plain map.

use super::*;
use busbar_interfaces::UnixMillis;
use busbar_interfaces::words::AuthorizationStatus;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::convert::Infallible;

const LIMITS: Limits = Limits { at_once: 3, in_all: 5 };
const FULL: bool = true;
const CHANGE: bool = false;

fn authorization(group: &str) -> Authorization {
    Authorization {
        status: AuthorizationStatus::Accepted,
        parent_id_tag: group.to_owned(),
        expires_unix_millis: UnixMillis(0),
    }
}

fn update_of(is_full: bool, version: i32, entries: &[&str], removed: &[&str]) -> Update {
    let entry = |id_tag: &&str| LocalListEntry { id_tag: (*id_tag).to_owned(), authorization: authorization("") };
    Update {
        version,
        is_full,
        entries: entries.iter().map(entry).collect(),
        removed: removed.iter().map(|id_tag| (*id_tag).to_owned()).collect(),
    }
}

/// What becomes of a list with these badges at this version: its version and size after it, or the refusal.
fn judged(version: i32, listed: &[&str], update: &Update) -> Result<(i32, u32), ListVerdict> {
    let held = Held { version, badges: u32::try_from(listed.len()).expect("few") };
    let is_listed = |id_tag: &str| Ok::<_, Infallible>(listed.iter().any(|known| known.eq_ignore_ascii_case(id_tag)));
    let Ok(judged) = judge(held, update, LIMITS, is_listed);
    judged.map(|held| (held.version, held.badges))
}

type Row<'a> = (i32, &'a [&'a str], bool, i32, &'a [&'a str], &'a [&'a str], Result<(i32, u32), ListVerdict>);

fn hold(table: &[Row<'_>]) {
    for (version, listed, is_full, new, entries, removed, expected) in table {
        let update = update_of(*is_full, *new, entries, removed);
        let row = format!("{version} {listed:?}: {is_full} {new} {entries:?} {removed:?}");
        assert_eq!(judged(*version, listed, &update), *expected, "{row}");
    }
}

#[test]
fn case_25_versions() {
    let (failed, mismatch) = (Err(ListVerdict::Failed), Err(ListVerdict::VersionMismatch));
    hold(&[
        // version, on the list; full or change, its version, entries, removed; version and size then
        (3, &["a"], FULL, 1, &["b"], &[], Ok((1, 1))),
        (3, &["a"], FULL, 3, &["b"], &[], Ok((3, 1))),
        (3, &["a"], FULL, 0, &["b"], &[], failed),
        (3, &["a"], FULL, -1, &["b"], &[], failed),
        (3, &["a"], FULL, -1, &[], &[], failed),
        (3, &["a"], CHANGE, 4, &["b"], &[], Ok((4, 2))),
        (3, &["a"], CHANGE, i32::MAX, &["b"], &[], Ok((i32::MAX, 2))),
        (3, &["a"], CHANGE, 3, &["b"], &[], mismatch),
        (3, &["a"], CHANGE, 2, &["b"], &[], mismatch),
        (3, &["a"], CHANGE, 0, &["b"], &[], failed),
        (3, &["a"], CHANGE, 0, &[], &[], failed),
        (3, &["a"], CHANGE, -1, &["b"], &[], failed),
        (0, &[], CHANGE, 1, &["b"], &[], Ok((1, 1))),
        (3, &["a"], CHANGE, 9, &[], &[], Ok((9, 1))),
    ]);
}

#[test]
fn case_25_badges_that_are_named_twice_and_badges_beyond_the_limits() {
    let failed = Err(ListVerdict::Failed);
    let four: &[&str] = &["a", "b", "c", "d"];
    hold(&[
        // version, on the list; full or change, its version, entries, removed; version and size then
        (3, &["a"], FULL, 4, &["b", "B"], &[], failed),
        (3, &["a"], CHANGE, 4, &["b", "b"], &[], failed),
        (3, &["a"], CHANGE, 4, &["A"], &["a"], failed),
        (3, &["a"], CHANGE, 4, &[], &["a", "A"], failed),
        (3, &["a"], CHANGE, 4, &["A"], &[], Ok((4, 1))),
        (3, &["a"], CHANGE, 4, &["b"], &["A"], Ok((4, 1))),
        (3, &["a"], CHANGE, 4, &[], &["nobody"], Ok((4, 1))),
        (3, &["a"], FULL, 4, &["b", "c", "d"], &[], Ok((4, 3))),
        (3, &["a"], FULL, 4, four, &[], failed),
        (3, &["a"], CHANGE, 4, &["b", "c"], &["x", "y"], failed),
        (3, four, CHANGE, 4, &["e"], &[], Ok((4, 5))),
        (3, four, CHANGE, 4, &["e", "f"], &[], failed),
        (3, four, CHANGE, 4, &["e", "f"], &["a"], Ok((4, 5))),
        (3, four, CHANGE, 4, &["A", "B", "e"], &[], Ok((4, 5))),
        (3, &["a"], FULL, 4, &["b"], &["a"], failed),
    ]);
}

#[test]
fn case_25_case_b51_tc_042_2_an_empty_list_has_version_0() {
    hold(&[
        // version, on the list; full or change, its version, entries, removed; version and size then
        (0, &[], FULL, 1, &[], &[], Ok((0, 0))),
        (0, &[], FULL, 0, &[], &[], Ok((0, 0))),
        (5, &["a"], FULL, 0, &[], &[], Ok((0, 0))),
        (5, &["a"], FULL, 6, &[], &[], Ok((0, 0))),
        (5, &["a"], CHANGE, 6, &[], &["A"], Ok((0, 0))),
        (0, &[], CHANGE, 2, &[], &[], Ok((0, 0))),
    ]);
}

#[test]
fn tc_043_a_full_list_and_then_a_change() {
    hold(&[
        // version, on the list; full or change, its version, entries, removed; version and size then
        (0, &[], FULL, 1, &["a", "b"], &[], Ok((1, 2))),
        (1, &["a", "b"], CHANGE, 2, &["c"], &["a"], Ok((2, 2))),
    ]);
}

#[test]
fn tc_043_2_a_change_that_is_older_than_the_list() {
    hold(&[
        // version, on the list; full or change, its version, entries, removed; version and size then
        (0, &[], FULL, 2, &["a"], &[], Ok((2, 1))),
        (2, &["a"], CHANGE, 5, &["b"], &[], Ok((5, 2))),
        (5, &["a", "b"], CHANGE, 4, &["c"], &[], Err(ListVerdict::VersionMismatch)),
    ]);
}

#[test]
fn a_badge_does_not_get_into_a_log() {
    let shown = format!("{:?}", update_of(FULL, 1, &["SECRET"], &["HIDDEN"]));
    assert_eq!(shown, "Update { version: 1, is_full: true, entries: 1, removed: 1 }");
}

fn database() -> Connection {
    let database = Connection::open_in_memory().expect("opens");
    database.execute_batch(SCHEMA).expect("the tables");
    database
}

fn applied(database: &mut Connection, of: &Update) -> Result<Held, ListVerdict> {
    let before = held(database).expect("reads");
    let books = database.transaction().expect("begins");
    let verdict = update(&books, before, of, LIMITS).expect("writes");
    books.commit().expect("commits");
    let after = held(database).expect("reads");
    assert_eq!(after, verdict.unwrap_or(before), "what it says is what is on disk");
    verdict
}

#[test]
fn a_list_that_is_sent_again_is_not_written_again() {
    let mut database = database();
    applied(&mut database, &update_of(FULL, 4, &["a", "b", "c"], &[])).expect("accepted");
    let before = database.total_changes();
    applied(&mut database, &update_of(FULL, 4, &["A", "b", "c"], &[])).expect("accepted");
    assert_eq!(database.total_changes(), before);
}

/// The list as somebody with a plain map would keep it.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    version: i32,
    badges: BTreeMap<String, Authorization>,
}

impl Model {
    fn update(&mut self, update: &Update) -> ListVerdict {
        let mut after = if update.is_full { Model::default() } else { self.clone() };
        let mut named = Vec::new();
        for entry in &update.entries {
            named.push(entry.id_tag.to_ascii_lowercase());
            after.badges.insert(entry.id_tag.to_ascii_lowercase(), entry.authorization.clone());
        }
        for id_tag in &update.removed {
            named.push(id_tag.to_ascii_lowercase());
            after.badges.remove(&id_tag.to_ascii_lowercase());
        }
        let count = named.len();
        named.sort();
        named.dedup();
        after.version = if after.badges.is_empty() { 0 } else { update.version };
        let makes_no_sense = update.version < 0
            || (update.version == 0 && !(update.is_full && count == 0))
            || (update.is_full && !update.removed.is_empty());
        if makes_no_sense {
            return ListVerdict::Failed;
        }
        if !update.is_full && update.version <= self.version {
            return ListVerdict::VersionMismatch;
        }
        if named.len() < count || count > 3 || after.badges.len() > 5 {
            return ListVerdict::Failed;
        }
        *self = after;
        ListVerdict::Accepted
    }
}

fn id_tag() -> impl Strategy<Value = String> {
    (0usize..9, proptest::bool::ANY).prop_map(|(number, is_upper)| {
        let id_tag = format!("badge{number}");
        if is_upper { id_tag.to_ascii_uppercase() } else { id_tag }
    })
}

proptest! {
    /// Any updates one after the other, good ones and bad ones.
    #[test]
    fn case_25_case_b51_the_list_is_what_a_plain_map_would_be(
        updates in proptest::collection::vec(
            (
                proptest::bool::weighted(0.2),
                -1i32..12,
                proptest::collection::vec((id_tag(), 0u8..3), 0..4),
                proptest::collection::vec(id_tag(), 0..2),
            ),
            1..30,
        ),
    ) {
        let (mut database, mut model) = (database(), Model::default());
        for (is_full, version, entries, removed) in updates {
            let entry = |(id_tag, group): (String, u8)| {
                LocalListEntry { id_tag, authorization: authorization(&group.to_string()) }
            };
            let update = Update { version, is_full, entries: entries.into_iter().map(entry).collect(), removed };
            let verdict = applied(&mut database, &update).map_or_else(|refused| refused, |_| ListVerdict::Accepted);
            prop_assert_eq!(verdict, model.update(&update));
            let held = held(&database).expect("reads");
            prop_assert_eq!((held.version, held.badges as usize), (model.version, model.badges.len()));
            for number in 0..9 {
                let id_tag = format!("Badge{number}");
                let expected = model.badges.get(&id_tag.to_ascii_lowercase()).cloned();
                prop_assert_eq!(find(&database, &id_tag).expect("reads"), expected);
            }
        }
    }
}
