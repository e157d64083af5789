//! The table of silences, row by row: those that this process keeps are played, of the others it is checked that this
//! process speaks in time or that the row says who keeps it.

use super::*;
use crate::io::LOST_AFTER;
use crate::watchdogs::{self, Enforced, Watchdog};
use std::time::Duration;

/// How long after a silence begins the modules are told off.
fn off_after(silence: fn(&mut Play)) -> Duration {
    let mut play = Play::wired_at(Some(Step::Charging));
    let begin = play.now;
    silence(&mut play);
    play.run(4_000);
    Duration::from_millis(play.told_off_since(begin).expect("off") - begin)
}

/// The longest time between two frames of ours while a charge runs.
fn longest_gap(is: fn(&Effect) -> bool) -> Duration {
    let mut play = Play::wired_at(Some(Step::Charging));
    let begin = play.now;
    play.run(20_000);
    let times: Vec<u64> = play.done_since(begin).filter(|(_, effect)| is(effect)).map(|(when, _)| *when).collect();
    let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
    Duration::from_millis(gaps.max().expect("more than one"))
}

fn set_point(effect: &Effect) -> bool {
    matches!(effect, Effect::Send(WhichBus::Modules, frame) if frame.id() == 0x029C_01F0)
}

fn station_status(effect: &Effect) -> bool {
    matches!(effect, Effect::Send(WhichBus::Vehicles, frame) if frame.id() == 0x0106_3000)
}

/// A silence is noticed no earlier than a cycle before the row's limit and no later than a cycle after it.
fn around(row: &Watchdog, measured: Duration) {
    let cycle = Duration::from_millis(100);
    assert!(measured + cycle >= row.limit && measured <= row.limit + cycle, "{}: {measured:?}", row.source);
}

#[test]
fn table_9_4_row_by_row() {
    for row in watchdogs::TABLE {
        match (row.source, row.enforced) {
            ("SECC 6B000", _) => around(row, off_after(|play| play.board_silent = true)),
            ("SECC 6B003", _) => around(row, off_after(|play| play.control_silent = true)),
            ("SECC 6B203", _) => around(row, off_after(|play| play.pilot_silent = true)),
            ("power module in session", _) => {
                around(row, off_after(|play| play.modules.get_mut(&1).expect("there").silent = true));
            }
            ("power module", _) => {
                // It counts as off only then: until then it may still feed, and nothing new begins.
                let mut play = Play::wired_at(Some(Step::Charging));
                play.modules.get_mut(&1).expect("there").silent = true;
                play.stop();
                (play.status, play.wish) = (1, NOTHING);
                let busy = |play: &mut Play| {
                    matches!(play.start(TransactionId(8)), Err(busbar_interfaces::CallError::Busy(_)))
                };
                play.run(10_500);
                assert!(busy(&mut play));
                play.run(1_000);
                assert!(!busy(&mut play));
            }
            ("I/O board", _) => {
                // Hardware notes §9.4: 500 ms until stop inputs count as tripped.
                let off = off_after(|play| play.boards_unread = true);
                assert!(off >= row.limit && off <= Duration::from_millis(500), "{off:?}");
            }
            ("insulation monitor", _) => {
                // A relay on an I/O board: both its word and its silence are known sooner.
                assert!(off_after(|play| play.set_input(1, 3, false)) < row.limit);
                assert!(LOST_AFTER < row.limit);
            }
            ("controller", Enforced::Device) => assert!(longest_gap(set_point) * 5 < row.limit),
            ("station 63000", _) => assert!(longest_gap(station_status) <= row.limit),
            (source, enforced) => {
                let elsewhere = [Enforced::Device, Enforced::Metering, Enforced::Hardware, Enforced::NotFitted];
                assert!(elsewhere.contains(&enforced), "{source} is kept here and is not played");
            }
        }
        assert!(!row.action.is_empty() && !row.listener.is_empty(), "{row:?}");
    }
}
