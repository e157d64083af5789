//! The cache against a list that is searched from end to end.

use super::*;
use busbar_interfaces::UnixMillis;
use busbar_interfaces::words::AuthorizationStatus;
use proptest::prelude::*;

fn accepted(parent_id_tag: &str) -> Authorization {
    Authorization {
        status: AuthorizationStatus::Accepted,
        parent_id_tag: parent_id_tag.to_owned(),
        expires_unix_millis: UnixMillis(0),
    }
}

fn database() -> Connection {
    let database = Connection::open_in_memory().expect("opens");
    database.execute_batch(SCHEMA).expect("the table");
    database
}

fn learned(database: &mut Connection, badges: u32, id_tag: &str, authorization: &Authorization) -> u32 {
    let books = database.transaction().expect("begins");
    let badges = learn(&books, badges, id_tag, authorization).expect("learns");
    books.commit().expect("commits");
    assert_eq!(count(database).expect("counts"), badges);
    badges
}

/// What the cache holds, the one that was learned first at the beginning.
fn held(database: &Connection) -> Vec<(String, Authorization)> {
    let mut query = database.prepare("SELECT id_tag FROM cache ORDER BY learned").expect("prepares");
    let id_tags = query.query_map([], |row| row.get::<_, String>(0)).expect("reads").map(|id_tag| id_tag.expect("ok"));
    id_tags
        .map(|id_tag| {
            let authorization = find(database, &id_tag).expect("reads").expect("there");
            (id_tag.to_ascii_lowercase(), authorization)
        })
        .collect()
}

#[test]
fn case_25_a_badge_is_the_same_in_any_case_and_what_was_learned_last_holds() {
    let mut database = database();
    let blocked = Authorization { status: AuthorizationStatus::Blocked, ..accepted("Group") };
    assert_eq!(learned(&mut database, 0, "AbC1", &accepted("")), 1);
    assert_eq!(learned(&mut database, 1, "aBc1", &blocked), 1);
    assert_eq!(find(&database, "ABC1").expect("reads"), Some(blocked));
    assert_eq!(find(&database, "ABC2").expect("reads"), None);
}

#[test]
fn what_is_known_is_not_written_again() {
    let mut database = database();
    learned(&mut database, 0, "A", &accepted("G"));
    let before = database.total_changes();
    learned(&mut database, 1, "a", &accepted("G"));
    assert_eq!(database.total_changes(), before);
}

#[test]
fn tc_061_1_every_badge_is_forgotten() {
    let mut database = database();
    learned(&mut database, 0, "A", &accepted(""));
    let books = database.transaction().expect("begins");
    clear(&books).expect("clears");
    books.commit().expect("commits");
    assert_eq!((count(&database).expect("counts"), find(&database, "A").expect("reads")), (0, None));
}

/// A good word of some group, or a bad one.
fn word(number: u8) -> Authorization {
    match number {
        3 => Authorization { status: AuthorizationStatus::Blocked, ..accepted("") },
        group => accepted(&group.to_string()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Near the bound, whatever is learned of old badges and new ones: what is there is what a plain list would hold.
    #[test]
    fn case_25_at_its_bound_a_bad_badge_goes_or_the_one_of_which_nothing_was_learned_for_the_longest_time(
        words in proptest::collection::vec((0u32..2_100, 0u8..4, proptest::bool::ANY), 1..200),
    ) {
        let mut database = database();
        let first = MOST - 20;
        // When it was learned, of which badge, what.
        let mut model: Vec<(i64, String, Authorization)> =
            (0..first).map(|number| (i64::from(number) + 1, format!("tag{number}"), accepted("0"))).collect();
        let books = database.transaction().expect("begins");
        for (number, (_, id_tag, authorization)) in (0..).zip(&model) {
            learn(&books, number, id_tag, authorization).expect("learns");
        }
        books.commit().expect("commits");
        let mut badges = first;
        for (number, group, is_upper) in words {
            let (id_tag, authorization) = (format!("tag{number}"), word(group));
            let written = if is_upper { id_tag.to_ascii_uppercase() } else { id_tag.clone() };
            badges = learned(&mut database, badges, &written, &authorization);
            let newest = model.last().expect("never empty").0;
            let known = model.iter().position(|(_, known, _)| *known == id_tag);
            if known.is_some_and(|place| model[place].2 == authorization && model[place].0 >= newest - MOVES_UP) {
                continue;
            }
            known.map(|place| model.remove(place));
            model.push((newest + 1, id_tag, authorization));
            if model.len() > 2000 {
                let bad = model.iter().take(2000).position(|(.., word)| word.status != AuthorizationStatus::Accepted);
                model.remove(bad.unwrap_or(0));
            }
        }
        prop_assert!(badges <= MOST);
        let model: Vec<_> = model.into_iter().map(|(_, id_tag, word)| (id_tag, word)).collect();
        prop_assert!(held(&database) == model, "not what a plain list would hold");
    }
}
