//! The sequence on paper: whoever is away, silent or refuses, the restart comes, in its time and no sooner.

use super::*;
use busbar_interfaces::UnixMillis;
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    soft_stop: Duration::from_secs(30),
    hard_stop: Duration::from_secs(10),
    delivery: Duration::from_secs(30),
    pause: Duration::from_secs(10),
};

/// A station on which time passes by itself: every wake that is due is carried out.
struct Paper {
    reset: Reset,
    now: u64,
    done: Vec<(u64, Effect)>,
}

fn moment(millis: u64) -> Moment {
    Moment { boottime: BoottimeMillis(millis), unix: UnixMillis(1_000_000 + millis) }
}

impl Paper {
    /// A station with a charge on connector 1 and 7 events, all of them delivered.
    fn charging() -> Paper {
        let mut paper = Paper::deserted();
        paper.hear(Input::Session { last_event: Some(7) });
        paper.hear(Input::Confirmed { event: Some(7) });
        paper.transaction(1, 4);
        paper.transaction(2, 0);
        paper
    }

    /// A station on which nobody else lives.
    fn deserted() -> Paper {
        Paper { reset: Reset::new(LIMITS, None, None, moment(0)), now: 0, done: Vec::new() }
    }

    fn hear(&mut self, input: Input) {
        let effects = self.reset.step(moment(self.now), input);
        self.done.extend(effects.into_iter().map(|effect| (self.now, effect)));
        let wake = self.reset.next_wake();
        assert!(wake.is_none_or(|wake| wake.0 > self.now), "{wake:?} is not after {}", self.now);
    }

    fn transaction(&mut self, connector: u32, transaction: u64) {
        let transaction = Some(TransactionId(transaction));
        self.hear(Input::Connector { connector: ConnectorId(connector), transaction });
    }

    fn stopped(&mut self) {
        let ask = self.last_ask();
        self.hear(Input::StopAnswered { ask, done: true });
    }

    fn last_ask(&self) -> u32 {
        let ask = |(_, effect): &(u64, Effect)| match effect {
            Effect::StopAll { ask, .. } => Some(*ask),
            _ => None,
        };
        self.done.iter().rev().find_map(ask).expect("session was asked")
    }

    /// Lets time pass.
    fn pass(&mut self, millis: u64) {
        let end = self.now + millis;
        while let Some(wake) = self.reset.next_wake().filter(|wake| wake.0 <= end) {
            self.now = wake.0;
            self.hear(Input::Wake);
        }
        self.now = end;
    }

    fn restarts(&self) -> Vec<u64> {
        let restarts = self.done.iter().filter(|(_, effect)| matches!(effect, Effect::Restart { .. }));
        restarts.map(|(at, _)| *at).collect()
    }

    fn stops(&self) -> Vec<(StopReason, Duration)> {
        let stop = |(_, effect): &(u64, Effect)| match effect {
            Effect::StopAll { reason, no_start, .. } => Some((*reason, *no_start)),
            _ => None,
        };
        self.done.iter().filter_map(stop).collect()
    }

    fn refuse(&mut self) {
        let attempt = u32::try_from(self.restarts().len()).expect("few");
        self.hear(Input::RestartAnswered { attempt, result: Err("refused".to_owned()) });
    }
}

#[test]
fn tc_016_soft_ends_the_charge_tells_the_csms_and_restarts() {
    let mut paper = Paper::charging();
    paper.hear(Input::Order { hard: false });
    assert!(matches!(paper.done[0].1, Effect::Keep(Order { hard: false, phase: Phase::Stopping, .. })));
    assert_eq!(paper.stops(), [(StopReason::SoftReset, NO_START)]);
    paper.stopped();
    paper.pass(5_000);
    assert_eq!(paper.restarts(), [0u64; 0], "a charge still runs");
    paper.hear(Input::Session { last_event: Some(8) });
    paper.transaction(1, 0);
    paper.pass(10_000);
    assert_eq!(paper.restarts(), [0u64; 0], "the CSMS has not heard of its end");
    paper.hear(Input::Confirmed { event: Some(8) });
    paper.pass(1_000);
    assert_eq!(paper.restarts(), [15_300]);
    assert!(paper.done.iter().all(|(_, effect)| !matches!(effect, Effect::Warn(_))));
}

#[test]
fn tc_015_hard_ends_the_charge_and_does_not_wait_for_the_csms() {
    let mut paper = Paper::charging();
    paper.hear(Input::Order { hard: true });
    assert_eq!(paper.stops(), [(StopReason::HardReset, NO_START)]);
    paper.stopped();
    paper.hear(Input::Session { last_event: Some(8) });
    paper.transaction(1, 0);
    paper.pass(1_000);
    assert_eq!(paper.restarts(), [300]);
}

#[test]
fn tc_013_014_without_a_charge_it_restarts_at_once() {
    for hard in [true, false] {
        let mut paper = Paper::charging();
        paper.transaction(1, 0);
        paper.hear(Input::Order { hard });
        paper.stopped();
        paper.pass(1_000);
        assert_eq!(paper.restarts(), [if hard { 300 } else { 600 }]);
    }
}

#[test]
fn the_end_of_a_charge_and_its_event_may_come_in_any_order() {
    let mut paper = Paper::charging();
    paper.hear(Input::Order { hard: false });
    paper.stopped();
    // The connector says that it is over before the journal says that there is another event.
    paper.transaction(1, 0);
    paper.pass(500);
    paper.hear(Input::Session { last_event: Some(8) });
    paper.pass(10_000);
    assert_eq!(paper.restarts(), [0u64; 0]);
}

#[test]
fn case_16_a_csms_that_stays_away_is_waited_for_half_a_minute() {
    let mut paper = Paper::charging();
    paper.hear(Input::Order { hard: false });
    paper.stopped();
    paper.hear(Input::Session { last_event: Some(8) });
    paper.transaction(1, 0);
    paper.pass(60_000);
    assert_eq!(paper.restarts().first(), Some(&30_300));
    assert!(paper.done.iter().any(|(_, effect)| matches!(effect, Effect::Warn(_))));
}

#[test]
fn a_charge_that_does_not_end_is_waited_for_within_limits() {
    for (hard, limit) in [(true, 10_000), (false, 30_000)] {
        let mut paper = Paper::charging();
        paper.hear(Input::Order { hard });
        paper.stopped();
        paper.pass(limit - 1);
        assert_eq!(paper.restarts(), [0u64; 0]);
        paper.pass(1_000);
        assert_eq!(paper.restarts(), [if hard { limit } else { limit + 300 }]);
    }
}

#[test]
fn on_a_station_where_nobody_else_lives_it_restarts_too() {
    let mut paper = Paper::deserted();
    paper.pass(1_000_000);
    paper.hear(Input::Order { hard: false });
    paper.pass(1_000);
    assert_eq!(paper.restarts(), [1_000_000]);
    assert_eq!(paper.stops(), []);
}

#[test]
fn a_session_that_restarts_meanwhile_is_asked_again() {
    let mut paper = Paper::charging();
    paper.hear(Input::Order { hard: false });
    paper.hear(Input::Session { last_event: None });
    paper.hear(Input::Connector { connector: ConnectorId(1), transaction: None });
    paper.pass(1_000);
    paper.hear(Input::Session { last_event: Some(7) });
    paper.transaction(1, 4);
    assert_eq!(paper.stops().len(), 2);
    paper.stopped();
    paper.pass(2_000);
    assert_eq!(paper.restarts(), [0u64; 0]);
    // And again while the CSMS is being told: it must not begin a charge then.
    paper.transaction(1, 0);
    paper.hear(Input::Session { last_event: Some(8) });
    paper.pass(1_000);
    paper.hear(Input::Session { last_event: None });
    paper.hear(Input::Session { last_event: Some(8) });
    assert_eq!(paper.stops().len(), 3);
}

#[test]
fn a_session_that_refuses_is_asked_every_second() {
    let mut paper = Paper::charging();
    paper.hear(Input::Order { hard: true });
    for _ in 0..3 {
        let ask = paper.last_ask();
        paper.hear(Input::StopAnswered { ask, done: false });
        paper.pass(1_000);
    }
    assert_eq!(paper.stops().len(), 4);
    paper.pass(10_000);
    assert_eq!(paper.restarts(), [10_000]);
}

#[test]
fn a_second_order_changes_nothing_but_hard_after_soft() {
    let mut paper = Paper::charging();
    paper.hear(Input::Order { hard: false });
    paper.stopped();
    let before = paper.done.len();
    paper.hear(Input::Order { hard: false });
    assert_eq!(paper.done.len(), before);
    paper.pass(5_000);
    paper.hear(Input::Order { hard: true });
    assert_eq!(paper.stops().last().map(|stop| stop.0), Some(StopReason::HardReset));
    paper.hear(Input::Order { hard: false });
    assert_eq!(paper.reset.pending(), Some(true));
    paper.pass(10_000);
    assert_eq!(paper.restarts(), [15_000]);
}

#[test]
fn hard_after_soft_does_not_wait_for_the_csms_any_longer() {
    let mut paper = Paper::charging();
    paper.hear(Input::Order { hard: false });
    paper.stopped();
    paper.hear(Input::Session { last_event: Some(8) });
    paper.transaction(1, 0);
    paper.pass(5_000);
    paper.hear(Input::Order { hard: true });
    assert_eq!(paper.restarts(), [5_000]);
}

#[test]
fn case_c_s10_a_machine_that_refuses_is_asked_as_often_as_reset_retries_says() {
    for retries in [0, 2, 5] {
        let mut paper = Paper::charging();
        paper.hear(Input::Retries(Some(retries)));
        // Settings may go away; what it has said last holds.
        paper.hear(Input::Retries(None));
        paper.hear(Input::Order { hard: true });
        paper.pass(10_000);
        for _ in 0..=retries {
            paper.refuse();
            paper.pass(10_000);
        }
        let expected: Vec<u64> = (0..=u64::from(retries)).map(|attempt| 10_000 + attempt * 10_000).collect();
        assert_eq!(paper.restarts(), expected);
        assert_eq!(paper.reset.pending(), None);
        assert!(paper.reset.failed().is_some_and(|error| error.contains("refused")));
        let last: Vec<&Effect> = paper.done.iter().rev().take(3).map(|(_, effect)| effect).collect();
        assert!(matches!(last[0], Effect::StopAll { no_start: Duration::ZERO, .. }));
        assert!(matches!((last[1], last[2]), (Effect::Forget, Effect::Failed(_))));
    }
}

#[test]
fn a_machine_that_is_silent_or_does_not_go_down_counts_as_refusing() {
    let mut paper = Paper::charging();
    paper.hear(Input::Retries(Some(1)));
    paper.hear(Input::Order { hard: true });
    paper.pass(10_000);
    // Silent for ten seconds, then the pause.
    paper.pass(20_000);
    assert_eq!(paper.restarts(), [10_000, 30_000]);
    paper.hear(Input::RestartAnswered { attempt: 1, result: Err("late".to_owned()) });
    paper.hear(Input::RestartAnswered { attempt: 2, result: Ok(()) });
    paper.pass(59_999);
    assert_eq!(paper.reset.failed(), None);
    paper.pass(1);
    assert!(paper.reset.failed().is_some());
}

#[test]
fn charges_stay_away_over_all_attempts() {
    let mut paper = Paper::charging();
    paper.hear(Input::Retries(Some(20)));
    paper.hear(Input::Order { hard: false });
    paper.stopped();
    paper.pass(300_000);
    let mut holds_until = 0;
    for (at, effect) in &paper.done {
        match effect {
            Effect::StopAll { no_start, .. } => {
                assert!(*at == 0 || *at < holds_until, "charges might have begun before {at}");
                holds_until = at + u64::try_from(no_start.as_millis()).expect("short");
            }
            Effect::Restart { .. } => assert!(*at < holds_until),
            _ => {}
        }
    }
}

#[test]
fn after_a_crash_it_goes_on_where_it_was() {
    let kept = |phase, until, attempts| Order {
        hard: false,
        ordered_unix_millis: UnixMillis(1),
        phase,
        until_boottime_millis: BoottimeMillis(until),
        attempts,
    };
    let resumed = |order: Order, now: u64| {
        let mut paper = Paper { reset: Reset::new(LIMITS, Some(order), None, moment(now)), now, done: Vec::new() };
        paper.hear(Input::Session { last_event: Some(8) });
        paper.hear(Input::Confirmed { event: Some(7) });
        paper.transaction(1, 0);
        paper.transaction(2, 0);
        paper.stopped();
        paper
    };
    let mut paper = resumed(kept(Phase::Stopping, 30_000, 0), 20_000);
    paper.pass(60_000);
    assert_eq!(paper.restarts().first(), Some(&50_300), "the delivery has its own limit");

    let mut paper = resumed(kept(Phase::Delivering, 40_000, 0), 20_000);
    paper.pass(60_000);
    assert_eq!(paper.restarts().first(), Some(&40_000), "the limit is the one from before");

    let paper = resumed(kept(Phase::Restarting, 40_000, 1), 50_000);
    assert_eq!(paper.restarts(), [50_000]);
    assert!(paper.done.iter().any(|(_, effect)| *effect == Effect::Restart { attempt: 2 }));
}

fn anything() -> impl Strategy<Value = Input> {
    prop_oneof![
        any::<bool>().prop_map(|hard| Input::Order { hard }),
        proptest::option::of(0..3u64).prop_map(|last_event| Input::Session { last_event }),
        (1..3u32, proptest::option::of(0..2u64)).prop_map(|(connector, transaction)| Input::Connector {
            connector: ConnectorId(connector),
            transaction: transaction.map(TransactionId),
        }),
        proptest::option::of(0..3u64).prop_map(|event| Input::Confirmed { event }),
        proptest::option::of(0..3u32).prop_map(Input::Retries),
        (0..5u32, any::<bool>()).prop_map(|(ask, done)| Input::StopAnswered { ask, done }),
        (0..5u32, any::<bool>()).prop_map(|(attempt, yes)| {
            let result = if yes { Ok(()) } else { Err("no".to_owned()) };
            Input::RestartAnswered { attempt, result }
        }),
        Just(Input::Wake),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_it_ends_in_its_time(inputs in proptest::collection::vec((anything(), 0..4_000u64), 1..60)) {
        let mut paper = Paper::deserted();
        for (input, pause) in inputs {
            paper.hear(input);
            paper.pass(pause);
        }
        // Nothing is heard of anybody any more.
        paper.pass(30_000 + 30_000 + 4 * (60_000 + 10_000));
        prop_assert_eq!(paper.reset.pending(), None);
        let orders = paper.done.iter().filter(|(_, effect)| matches!(effect, Effect::Forget)).count();
        prop_assert!(paper.restarts().len() <= 3 * orders, "{:?}", paper.done);
        let mut is_kept = false;
        for (_, effect) in &paper.done {
            match effect {
                Effect::Keep(_) => is_kept = true,
                Effect::Forget => is_kept = false,
                Effect::Restart { .. } => prop_assert!(is_kept, "an attempt without an order on disk"),
                _ => {}
            }
        }
    }
}
