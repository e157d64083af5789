//! Delivery under random drops, silences, errors and crashes: each event reaches the CSMS once, in order, and with the
//! CSMS's number of its transaction.

use crate::charge_point::bench::{Bench, keys};
use crate::delivery::examples::{sample, started, stopped};
use crate::exchange::Input;
use crate::ledger::Kept;
use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::words::EventKind;
use busbar_runtime::View;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What the world does next.
#[derive(Debug, Clone)]
enum Happening {
    Append(usize),
    Answer,
    LoseAnswer,
    Error,
    Silence,
    Drop,
    Restart,
    Session(bool),
    Keep,
    Pass(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => (1usize..4).prop_map(Happening::Append),
        10 => Just(Happening::Answer),
        1 => Just(Happening::LoseAnswer),
        1 => Just(Happening::Error),
        1 => Just(Happening::Silence),
        2 => Just(Happening::Drop),
        1 => Just(Happening::Restart),
        1 => any::<bool>().prop_map(Happening::Session),
        2 => Just(Happening::Keep),
        2 => (1u64..40_000).prop_map(Happening::Pass),
    ]
}

/// A CSMS that knows repeats by their ids, as the station promises.
#[derive(Default)]
struct Books {
    /// Message id → the answer that it got.
    answered: BTreeMap<String, Value>,
    /// Events as they arrived for the first time.
    order: Vec<u64>,
    next_number: i32,
    /// Journal messages whose answer has reached the station.
    reached: BTreeSet<String>,
    /// Those of them that are from before a crash, and those of these that came again.
    before: BTreeSet<String>,
    doubled: BTreeSet<String>,
    /// Starts whose badge is not accepted.
    refused: BTreeSet<u64>,
}

impl Books {
    fn answer(&mut self, call: &Value) -> Value {
        let id = call[1].as_str().expect("an id").to_owned();
        self.doubled.extend(self.before.get(&id).cloned());
        if let Some(answer) = self.answered.get(&id) {
            return answer.clone();
        }
        if let Some(sequence) = id.strip_prefix("j-").and_then(|id| id.rsplit('-').next()) {
            self.order.push(sequence.parse().expect("a number"));
        }
        let last = self.order.last().copied();
        let answer = match call[2].as_str() {
            Some("BootNotification") => {
                json!({"status": "Accepted", "interval": 0, "currentTime": "2026-11-01T12:00:00Z"})
            }
            Some("StartTransaction") => {
                self.next_number += 1;
                let status = if self.next_number % 3 == 0 { "Invalid" } else { "Accepted" };
                self.refused.extend(last.filter(|_| status == "Invalid"));
                json!({"transactionId": self.next_number, "idTagInfo": {"status": status}})
            }
            _ => json!({}),
        };
        self.answered.insert(id, answer.clone());
        answer
    }

    /// The number that the start of an event's transaction was answered with.
    fn number_of(&self, journal: &[TransactionEvent], sequence: u64) -> Option<i32> {
        let event = &journal[usize::try_from(sequence).expect("fits") - 1];
        let start = journal.iter().find(|start| start.transaction == event.transaction)?;
        let answer = self.answered.get(&format!("j-abc-{}", start.sequence))?;
        i32::try_from(answer["transactionId"].as_i64()?).ok()
    }
}

/// The next events of two transactions in turn: start, two samples, stop.
fn grow(journal: &mut Vec<TransactionEvent>, count: usize) {
    for _ in 0..count {
        let sequence = journal.len() as u64 + 1;
        let transaction = 1 + (sequence - 1) / 4;
        journal.push(match (sequence - 1) % 4 {
            0 => started(sequence, transaction),
            3 => stopped(sequence, transaction),
            _ => sample(sequence, transaction),
        });
    }
}

/// The CSMS looks at the next frame and answers it; what a transaction message says is checked.
fn serve_one(bench: &mut Bench, books: &mut Books, reach: bool) -> Result<(), TestCaseError> {
    let Some(call) = bench.sent.pop_front() else { return Ok(()) };
    let answer = books.answer(&call);
    if let Some(sequence) = call[1].as_str().and_then(|id| id.strip_prefix("j-")).and_then(|id| id.rsplit('-').next()) {
        let sequence: u64 = sequence.parse().expect("a number");
        let kind = bench.journal[usize::try_from(sequence).expect("fits") - 1].kind;
        if kind != EventKind::Started {
            let number = books.number_of(&bench.journal, sequence);
            prop_assert_eq!(call[3]["transactionId"].as_i64(), number.map(i64::from), "{}", call);
        }
    }
    if reach {
        if call[1].as_str().is_some_and(|id| id.starts_with("j-")) {
            books.reached.insert(call[1].as_str().unwrap_or_default().to_owned());
        }
        bench.answer(&call, &answer);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn case_b23_every_event_arrives_once_in_order_and_with_the_right_number(
        happenings in proptest::collection::vec(happening(), 1..80)
    ) {
        // Attempts without end: what is given up has tests of its own.
        let configured = || Input::Settings(View::Present(keys(&[("TransactionMessageAttempts", "1000000")])));
        let mut books = Books::default();
        let mut bench = Bench::new();
        bench.step(configured());
        let mut session = true;
        let mut restarts = 0;
        for happening in happenings {
            if !bench.open && bench.point.connection.target().is_some() {
                bench.open();
            }
            match happening {
                Happening::Append(count) => {
                    grow(&mut bench.journal, count);
                    if session { bench.append([]); }
                }
                Happening::Answer => serve_one(&mut bench, &mut books, true)?,
                Happening::LoseAnswer => {
                    serve_one(&mut bench, &mut books, false)?;
                    bench.end();
                }
                Happening::Error => {
                    if let Some(call) = bench.sent.pop_front() {
                        bench.text(&json!([4, call[1], "InternalError", "", {}]).to_string());
                    }
                }
                Happening::Silence => {
                    bench.sent.pop_front();
                    bench.pass(30_000);
                }
                Happening::Drop => bench.end(),
                Happening::Restart => {
                    restarts += 1;
                    books.before.clone_from(&books.reached);
                    bench = bench.restart();
                    bench.step(configured());
                    if session { bench.append([]); }
                }
                Happening::Session(present) => {
                    session = present;
                    if present { bench.append([]); } else { bench.step(Input::Session(View::Absent)); }
                }
                Happening::Keep => {
                    bench.keep_at_once = !bench.keep_at_once;
                    bench.write();
                    bench.step(Input::Kept(Kept { note: bench.last_note, ..Kept::default() }));
                }
                Happening::Pass(millis) => bench.pass(millis),
            }
        }
        // The world calms down, and everything arrives.
        bench.keep_at_once = true;
        bench.write();
        bench.step(Input::Kept(Kept { note: bench.last_note, ..Kept::default() }));
        bench.append([]);
        for _ in 0..2000 {
            if !bench.open { bench.open(); }
            if bench.sent.is_empty() { bench.pass(5_000); }
            serve_one(&mut bench, &mut books, true)?;
            if bench.ledger.cursor == bench.journal.len() as u64 { break; }
        }
        prop_assert_eq!(bench.ledger.cursor, bench.journal.len() as u64);
        let expected: Vec<u64> = (1..=bench.journal.len() as u64).collect();
        prop_assert_eq!(books.order, expected);
        // Nobody has settled it, so each badge that is not accepted is still to be told.
        let transaction = |sequence: &u64| bench.journal[usize::try_from(*sequence).expect("fits") - 1].transaction;
        let refused: Vec<_> = books.refused.iter().map(transaction).collect();
        prop_assert_eq!(&bench.ledger.deauthorize, &refused);
        let is_sample = |id: &&String| {
            let sequence = id.rsplit('-').next().and_then(|sequence| sequence.parse::<usize>().ok());
            sequence.is_some_and(|sequence| bench.journal[sequence - 1].kind == EventKind::Sample)
        };
        let doubled: Vec<&String> = books.doubled.iter().filter(|id| !is_sample(id)).collect();
        prop_assert!(doubled.len() <= restarts, "{doubled:?} twice in {restarts} crashes");
    }
}
