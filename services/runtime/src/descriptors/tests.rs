#![allow(clippy::disallowed_methods, reason = "a test opens files")]

use super::*;
use std::fs::File;
use std::io::Read;

/// An open file that says something.
fn file(text: &str) -> File {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("file");
    std::fs::write(&path, text).expect("written");
    File::open(path).expect("opened")
}

fn says(descriptor: Option<OwnedFd>) -> Option<String> {
    let mut text = String::new();
    File::from(descriptor?).read_to_string(&mut text).expect("read");
    Some(text)
}

#[test]
fn what_is_kept_is_found_by_the_next_process_once() {
    let first = Descriptors::by_hand();
    first.keep("modules-bus", file("one").as_fd());
    assert!(first.take("modules-bus").is_none(), "nothing was handed to the first one");
    let second = first.next_process();
    assert_eq!(says(second.take("modules-bus")).as_deref(), Some("one"));
    assert!(second.take("modules-bus").is_none());
    assert!(second.next_process().take("modules-bus").is_some(), "it is still kept");
}

#[test]
fn one_name_is_one_descriptor() {
    let first = Descriptors::by_hand();
    first.keep("a", file("old").as_fd());
    first.keep("a", file("new").as_fd());
    first.keep("b", file("other").as_fd());
    let second = first.next_process();
    assert_eq!(says(second.take("a")).as_deref(), Some("new"));
    assert_eq!(says(second.take("b")).as_deref(), Some("other"));
}

#[test]
fn what_is_forgotten_or_not_taken_is_gone() {
    let first = Descriptors::by_hand();
    for name in ["forgotten", "taken", "left"] {
        first.keep(name, file(name).as_fd());
    }
    first.forget("forgotten");
    let second = first.next_process();
    assert!(second.take("forgotten").is_none());
    assert!(second.take("taken").is_some());
    second.forget_unclaimed();
    let third = second.next_process();
    assert!(third.take("left").is_none());
    assert!(third.take("taken").is_some());
}

#[test]
fn without_a_service_manager_nothing_is_kept() {
    let nobody = Descriptors::none();
    nobody.keep("a", file("one").as_fd());
    nobody.forget("a");
    assert!(nobody.take("a").is_none());
    assert!(nobody.next_process().take("a").is_none());
}

#[test]
fn a_name_is_letters_digits_and_hyphens() {
    let longest = "a".repeat(LONGEST_NAME);
    let too_long = "a".repeat(LONGEST_NAME + 1);
    for (name, is) in [
        ("modules-bus", true),
        ("meter-3", true),
        (longest.as_str(), true),
        (too_long.as_str(), false),
        ("", false),
        ("a:b", false),
        ("A", false),
        ("a b", false),
        ("a\nFDSTOREREMOVE=1", false),
        ("zähler", false),
    ] {
        assert_eq!(is_name(name), is, "{name}");
        let store = Descriptors::by_hand();
        store.keep(name, file("one").as_fd());
        assert_eq!(store.next_process().take(name).is_some(), is, "{name}");
    }
}
