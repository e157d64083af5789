//! What is sampled in a transaction, when, and for which reason.

use super::play::{ONE, Play};
use crate::rules::Rules;
use crate::station::Input;
use busbar_interfaces::words::{EventKind, Link, ReadingContext};
use std::time::Duration;

fn rules(periodic: u64, clock: u64) -> Input {
    Input::Rules(Rules {
        sample_interval: Duration::from_secs(periodic),
        clock_interval: Duration::from_secs(clock),
        ..Rules::default()
    })
}

fn charging(periodic: u64, clock: u64) -> Play {
    let mut play = Play::new();
    play.step(rules(periodic, clock));
    play.plug(ONE, true);
    play.badge("TAG");
    play
}

/// The wall times of the samples with a context.
fn times(play: &Play, context: ReadingContext) -> Vec<u64> {
    play.events.iter().filter(|event| event.context == context).map(|event| event.unix_millis.0).collect()
}

#[test]
fn case_30_every_event_says_what_the_meter_was_read_for_and_when_in_both_clocks() {
    let mut play = charging(10, 15);
    play.pass(31_000);
    play.badge("TAG");
    let contexts: Vec<_> = play.events.iter().map(|event| (event.kind, event.context)).collect();
    let periodic = (EventKind::Sample, ReadingContext::SamplePeriodic);
    let clock = (EventKind::Sample, ReadingContext::SampleClock);
    assert_eq!(contexts.first(), Some(&(EventKind::Started, ReadingContext::TransactionBegin)));
    assert_eq!(contexts.last(), Some(&(EventKind::Stopped, ReadingContext::TransactionEnd)));
    assert_eq!(contexts.iter().filter(|each| **each == periodic).count(), 3);
    assert_eq!(contexts.iter().filter(|each| **each == clock).count(), 2);
    assert!(play.events.iter().all(|event| event.unix_millis.0 == event.boottime_millis.0 + 100_000_000));
}

#[test]
fn tc_071_samples_of_the_clock_lie_on_its_grid() {
    let mut play = charging(0, 900);
    play.pass(4 * 900_000);
    let times = times(&play, ReadingContext::SampleClock);
    assert_eq!(times.len(), 4);
    assert!(times.iter().all(|time| time % 900_000 == 0), "{times:?}");
    assert!(times.is_sorted());
}

#[test]
fn one_reading_serves_both_schedules_when_they_fall_together() {
    // The wall clock stands at 101 s past a multiple of 100 s when the charge begins.
    let mut play = Play::new();
    play.step(rules(100, 100));
    play.plug(ONE, true);
    play.wall_offset = -1_000;
    play.badge("TAG");
    play.pass(100_000);
    let of: Vec<_> = play.events.iter().skip(1).map(|event| (event.context, event.energy_milliwatt_hours)).collect();
    assert_eq!(of.len(), 2);
    assert_eq!(of[0].1, of[1].1);
    assert_ne!(of[0].0, of[1].0);
}

#[test]
fn case_20_a_step_of_the_clock_back_in_a_charge_samples_no_slot_twice() {
    let mut play = charging(0, 60);
    play.pass(125_000);
    let before = times(&play, ReadingContext::SampleClock);
    play.wall_offset = -30_000;
    play.pass(180_000);
    let after = times(&play, ReadingContext::SampleClock);
    assert!(after.len() >= before.len() + 2);
    assert!(after.is_sorted_by(|a, b| a < b), "{after:?}");
}

#[test]
fn case_20_a_step_of_the_clock_leaves_the_periodic_samples_where_they_are() {
    let mut play = charging(10, 0);
    play.pass(15_000);
    play.wall_offset = 7_200_000;
    play.pass(10_000);
    play.wall_offset = -3_600_000;
    play.pass(10_000);
    let begin = play.events[0].boottime_millis.0;
    let times: Vec<u64> = play.events.iter().map(|event| event.boottime_millis.0 - begin).collect();
    assert_eq!(times, [0, 10_000, 20_000, 30_000]);
}

#[test]
fn case_20_around_midnight_the_grid_begins_anew() {
    // 100 000 000 ms is 13 600 s past midnight; the next one is at 172 800 000 ms.
    let mut play = charging(0, 50_000);
    play.pass(86_400_000);
    assert_eq!(times(&play, ReadingContext::SampleClock), [136_400_000, 172_800_000]);
}

#[test]
fn a_restart_of_the_process_keeps_both_schedules() {
    let mut play = charging(10, 15);
    play.pass(24_000);
    let rules_again = rules(10, 15);
    play.restart();
    play.step(rules_again);
    play.settle();
    play.pass(20_000);
    let begin = play.events[0].unix_millis.0;
    let periodic: Vec<u64> = times(&play, ReadingContext::SamplePeriodic).iter().map(|time| time - begin).collect();
    assert_eq!(periodic, [10_000, 20_000, 30_000, 40_000]);
    let clock = times(&play, ReadingContext::SampleClock);
    assert!(clock.iter().all(|time| time % 15_000 == 0), "{clock:?}");
    assert_eq!(clock.len(), 3);
}

#[test]
fn case_22_case_b22_without_a_link_samples_are_taken_at_the_offline_interval_and_kept() {
    let mut play = charging(60, 0);
    play.step(Input::Link(Link::Disconnected));
    play.pass(2 * 900_000);
    let offline = times(&play, ReadingContext::SamplePeriodic).len();
    assert_eq!(offline, 2);
    play.step(Input::Link(Link::Accepted));
    play.pass(300_000);
    let begin = play.events[0].unix_millis.0;
    let times: Vec<u64> = times(&play, ReadingContext::SamplePeriodic).iter().map(|time| time - begin).collect();
    assert_eq!(times, [900_000, 1_800_000, 1_860_000, 1_920_000, 1_980_000, 2_040_000, 2_100_000]);
}
