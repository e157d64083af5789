use super::*;
use serde::Deserialize;

const NAME: &str = "notebook";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct State {
    count: u32,
    volts: f64,
    words: Vec<String>,
}

fn state(count: u32) -> State {
    State { count, volts: 400.0 + f64::from(count) / 3.0, words: vec!["delivering".to_owned(); 3] }
}

#[test]
fn the_next_process_reads_what_was_written_last() {
    let mut process = Descriptors::by_hand();
    let mut written = None;
    for count in 0..7 {
        let mut notebook = Notebook::open(&process, NAME, 200);
        assert_eq!(notebook.read::<State>(), written);
        for state in [state(100 + count), state(count)] {
            assert!(notebook.write(&state));
            assert_eq!(notebook.read::<State>().as_ref(), Some(&state));
            written = Some(state);
        }
        process = process.next_process();
    }
}

#[test]
fn without_a_service_manager_a_notebook_is_empty_at_the_next_start() {
    let nobody = Descriptors::none();
    let mut notebook = Notebook::open(&nobody, NAME, 200);
    assert!(notebook.write(&state(1)));
    assert_eq!(notebook.read::<State>(), Some(state(1)));
    assert_eq!(Notebook::open(&nobody, NAME, 200).read::<State>(), None);
}

#[test]
fn a_state_that_is_too_long_leaves_the_former_one() {
    let mut notebook = Notebook::open(&Descriptors::by_hand(), NAME, 200);
    assert!(notebook.write(&state(1)));
    let long = State { words: vec!["delivering".to_owned(); 30], ..state(2) };
    assert!(!notebook.write(&long));
    assert!(!notebook.write(&long));
    assert_eq!(notebook.read::<State>(), Some(state(1)));
    assert!(notebook.write(&state(3)));
    assert_eq!(notebook.read::<State>(), Some(state(3)));
}

#[test]
fn a_program_with_another_size_finds_the_state() {
    for (before, after, found) in [(200, 4000, true), (4000, 200, true), (4000, 10, false)] {
        let first = Descriptors::by_hand();
        assert!(Notebook::open(&first, NAME, before).write(&state(1)));
        let second = first.next_process();
        let mut notebook = Notebook::open(&second, NAME, after);
        assert_eq!(notebook.read::<State>(), found.then(|| state(1)), "{before} to {after}");
        assert_eq!(notebook.write(&state(2)), found, "{before} to {after}");
        let third = Notebook::open(&second.next_process(), NAME, after);
        assert_eq!(third.read::<State>(), found.then(|| state(2)), "{before} to {after}");
    }
}

#[test]
fn another_type_is_no_state() {
    let first = Descriptors::by_hand();
    assert!(Notebook::open(&first, NAME, 200).write(&"an older program's"));
    let mut notebook = Notebook::open(&first.next_process(), NAME, 200);
    assert_eq!(notebook.read::<State>(), None);
    assert!(notebook.write(&state(1)));
    assert_eq!(notebook.read::<State>(), Some(state(1)));
}

#[test]
fn a_descriptor_that_is_no_notebook_is_replaced() {
    let first = Descriptors::by_hand();
    first.keep(NAME, tempfile::tempfile().expect("a file").as_fd());
    let second = first.next_process();
    assert!(Notebook::open(&second, NAME, 200).write(&state(1)));
    assert_eq!(Notebook::open(&second.next_process(), NAME, 200).read::<State>(), Some(state(1)));
}

#[test]
fn nobody_can_change_its_length() {
    let file = create(NAME, 200).expect("a memfd");
    assert_eq!(file.metadata().expect("known").len(), 2 * (20 + 200));
    assert!(file.set_len(0).is_err());
    assert!(file.set_len(4096).is_err());
    assert!(file.write_all_at(&[1], 2 * (20 + 200)).is_err());
}
