//! When to connect, when to ping, when a silent link is given up. Invariant: with somewhere to connect to and no link,
//! a wake-up is armed; every end of a link, of whatever kind, leads through the same back-off.

use crate::configuration::Target;
use busbar_interfaces::BoottimeMillis;
use std::time::Duration;

/// A link that lasted this long was a good one: the next failure starts the back-off anew. An open link alone proves
/// nothing: two stations of one name throw each other out for as long as both come back at once.
const STABLE: Duration = Duration::from_secs(10);
/// A link that must go elsewhere stays until the CSMS has asked nothing for so long, and no longer than the most.
const MOVE_QUIET: Duration = Duration::from_secs(2);
const MOVE_LATEST: Duration = Duration::from_secs(10);
/// A link is closed this long after the order at the latest, or the order is given again.
const CLOSING: Duration = Duration::from_secs(5);

/// What the port of the link must do. A link has a number, so that late news of an old one are known as such.
#[derive(Clone, PartialEq, Eq)]
pub enum Order {
    /// Connect.
    Open { number: u64, target: Target },
    /// Close; the port reports the link down when it is.
    Close { number: u64 },
    /// Send a ping.
    Ping,
}

#[derive(Clone, PartialEq, Eq)]
enum State {
    /// Nowhere to connect to.
    Idle,
    /// The next attempt is planned.
    Waiting {
        until: BoottimeMillis,
    },
    /// The port tries; it bounds the attempt in time.
    Opening {
        target: Target,
    },
    Up {
        target: Target,
        since: BoottimeMillis,
        heard: BoottimeMillis,
        pinged: BoottimeMillis,
    },
    /// The port was told to close; `moved` because the link goes elsewhere from now on, not because it failed.
    Closing {
        again: BoottimeMillis,
        moved: bool,
    },
}

/// The end of a link that must go elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moving {
    /// After this moment, when nothing is owed on it.
    quiet: BoottimeMillis,
    /// At the latest.
    latest: BoottimeMillis,
}

/// The one link.
pub struct Connection {
    first: Duration,
    most: Duration,
    ping: Duration,
    target: Option<Target>,
    state: State,
    number: u64,
    failures: u32,
    /// Why the station gave the last link up itself.
    given_up: Option<&'static str>,
    /// A link to an address that is no longer the right one is kept until the CSMS has asked nothing on it for a while.
    moving: Option<Moving>,
}

impl Connection {
    /// With the back-off's first and longest wait.
    pub fn new(first: Duration, most: Duration) -> Connection {
        Connection {
            first,
            most,
            ping: Duration::ZERO,
            target: None,
            state: State::Idle,
            number: 0,
            failures: 0,
            given_up: None,
            moving: None,
        }
    }

    /// The link is open.
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }

    /// The link is open and leads to the CSMS that the configuration names: the station may speak on it, also while it is
    /// to be opened anew with another password.
    pub fn is_right(&self) -> bool {
        let wanted = self.target.as_ref();
        let same = |target: &Target| {
            wanted.is_some_and(|wanted| wanted.shown_url == target.shown_url && wanted.identity == target.identity)
        };
        matches!(&self.state, State::Up { target, .. } if same(target))
    }

    /// The link is open, and not the one that the configuration wants.
    pub fn is_moving(&self) -> bool {
        self.is_up() && self.must_move()
    }

    /// This is the number of the open link.
    pub fn is_link(&self, number: u64) -> bool {
        self.is_up() && number == self.number
    }

    /// Where the link goes, or would go.
    pub fn target(&self) -> Option<&Target> {
        self.target.as_ref()
    }

    /// The address and the interval of pings (zero: none) as the configuration has them now; a link that must move may
    /// stay a while: a CSMS changes several keys one after another, and may order a reset at the end.
    pub fn configure(&mut self, now: BoottimeMillis, target: Option<Target>, ping: Duration) {
        self.ping = ping;
        if self.target == target {
            return;
        }
        self.target = target;
        self.failures = 0;
        match &self.state {
            State::Idle | State::Waiting { .. } => self.wait(now),
            State::Opening { .. } => self.moving = Some(Moving { quiet: now, latest: now }),
            State::Up { .. } => {
                let latest = self.moving.map_or(now.after(MOVE_LATEST), |moving| moving.latest);
                self.moving = Some(Moving { quiet: now.after(MOVE_QUIET), latest });
            }
            State::Closing { .. } => {}
        }
    }

    /// The port has opened the link; tells whether it is the one that was asked for.
    pub fn opened(&mut self, now: BoottimeMillis, number: u64) -> bool {
        match &self.state {
            State::Opening { target } if number == self.number => {
                self.state = State::Up { target: target.clone(), since: now, heard: now, pinged: now };
                true
            }
            _ => false,
        }
    }

    /// The link has ended or could not be opened; `dice` is any number, for the jitter. Tells whether it was the
    /// present one.
    pub fn ended(&mut self, now: BoottimeMillis, number: u64, dice: u32) -> bool {
        if number != self.number || matches!(self.state, State::Idle | State::Waiting { .. }) {
            return false;
        }
        self.forget_failures(now);
        let moved = self.moving.take().is_some() || matches!(self.state, State::Closing { moved: true, .. });
        let wait = if moved { Duration::ZERO } else { self.back_off(dice) };
        self.wait(now.after(wait));
        true
    }

    /// Why the station gave the link up, if it did.
    pub fn given_up(&mut self) -> Option<&'static str> {
        self.given_up.take()
    }

    /// The station has ended the link itself, and waits for the port to say so.
    pub fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing { .. })
    }

    /// When the next attempt is made, if one is planned.
    pub fn next_attempt(&self) -> Option<BoottimeMillis> {
        match &self.state {
            State::Waiting { until } => Some(*until),
            _ => None,
        }
    }

    /// The CSMS has asked something: a link that must go elsewhere stays a little longer.
    pub fn asked(&mut self, now: BoottimeMillis) {
        if let Some(moving) = &mut self.moving {
            moving.quiet = now.after(MOVE_QUIET);
        }
    }

    /// Something came over the link.
    pub fn heard(&mut self, now: BoottimeMillis) {
        if let State::Up { heard, .. } = &mut self.state {
            *heard = now;
        }
    }

    /// Nothing came over the link after that moment.
    pub fn silent_since(&self, moment: BoottimeMillis) -> bool {
        matches!(&self.state, State::Up { heard, .. } if *heard <= moment)
    }

    /// Gives the link up.
    pub fn drop_link(&mut self, now: BoottimeMillis, reason: &'static str) -> Option<Order> {
        if !self.is_up() {
            return None;
        }
        tracing::warn!(reason, "the link is given up");
        self.given_up = Some(reason);
        self.forget_failures(now);
        Some(self.close(now, false))
    }

    /// What is due. `answering` tells that answers are still due on the link.
    pub fn due(&mut self, now: BoottimeMillis, answering: bool) -> Option<Order> {
        if let Some(Moving { quiet, latest }) = self.moving
            && self.must_move()
            && (now >= latest || now >= quiet && !answering)
        {
            return Some(self.close(now, true));
        }
        match &mut self.state {
            State::Waiting { until } if *until <= now => {
                let Some(target) = self.target.clone() else {
                    self.state = State::Idle;
                    return None;
                };
                self.number = self.number.saturating_add(1);
                self.state = State::Opening { target: target.clone() };
                Some(Order::Open { number: self.number, target })
            }
            State::Closing { again, moved } if *again <= now => {
                let moved = *moved;
                Some(self.close(now, moved))
            }
            State::Up { heard, pinged, .. } if !self.ping.is_zero() => {
                if now.since(*heard) >= self.ping.saturating_mul(2) && *pinged > *heard {
                    return self.drop_link(now, "nothing came for two ping intervals");
                }
                if now.since(*pinged) >= self.ping {
                    *pinged = now;
                    return Some(Order::Ping);
                }
                None
            }
            _ => None,
        }
    }

    /// When [`Connection::due`] should be asked again.
    pub fn next_due(&self) -> Option<BoottimeMillis> {
        let due = match &self.state {
            State::Waiting { until } => Some(*until),
            State::Closing { again, .. } => Some(*again),
            State::Up { heard, pinged, .. } if !self.ping.is_zero() => {
                let silent = heard.after(self.ping.saturating_mul(2));
                let ping = pinged.after(self.ping);
                Some(if *pinged > *heard { silent.min(ping) } else { ping })
            }
            State::Idle | State::Opening { .. } | State::Up { .. } => None,
        };
        let moving = self.moving.filter(|_| self.must_move()).map(|Moving { quiet, latest }| [quiet, latest]);
        due.into_iter().chain(moving.into_iter().flatten()).min()
    }

    fn must_move(&self) -> bool {
        match &self.state {
            State::Up { target, .. } | State::Opening { target } => self.target.as_ref() != Some(target),
            State::Idle | State::Waiting { .. } | State::Closing { .. } => false,
        }
    }

    fn close(&mut self, now: BoottimeMillis, moved: bool) -> Order {
        self.moving = None;
        self.state = State::Closing { again: now.after(CLOSING), moved };
        Order::Close { number: self.number }
    }

    fn forget_failures(&mut self, now: BoottimeMillis) {
        if matches!(&self.state, State::Up { since, .. } if now.since(*since) >= STABLE) {
            self.failures = 0;
        }
    }

    fn wait(&mut self, until: BoottimeMillis) {
        self.state = if self.target.is_some() { State::Waiting { until } } else { State::Idle };
    }

    /// Half of the step for certain, the other half by the dice: stations that lost one CSMS come back one by one.
    fn back_off(&mut self, dice: u32) -> Duration {
        let step = self.first.saturating_mul(1u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(self.most);
        self.failures = self.failures.saturating_add(1).min(31);
        let half = u64::try_from(step.as_millis() / 2).unwrap_or(u64::MAX);
        let jitter = u64::from(dice).saturating_mul(half) / u64::from(u32::MAX);
        Duration::from_millis(half.saturating_add(jitter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(500);
    const PING: Duration = Duration::from_secs(20);

    fn target(host: &str) -> Option<Target> {
        let address: url::Url = format!("ws://{host}/CP1").parse().expect("a URL");
        Some(Target {
            shown_url: format!("ws://{host}/"),
            addresses: vec![address],
            identity: "CP1".to_owned(),
            security_profile: 0,
            password: None,
        })
    }

    fn at(millis: u64) -> BoottimeMillis {
        BoottimeMillis(millis)
    }

    fn configured() -> Connection {
        let mut connection = Connection::new(FIRST, Duration::from_secs(60));
        connection.configure(at(0), target("a"), PING);
        connection
    }

    fn opens(order: Option<Order>) -> Option<u64> {
        match order {
            Some(Order::Open { number, .. }) => Some(number),
            _ => None,
        }
    }

    #[test]
    fn case_b34_the_wait_doubles_to_its_limit_with_jitter_below() {
        let mut connection = configured();
        let mut now = 0;
        let mut waits = Vec::new();
        for dice in [u32::MAX, u32::MAX, 0, u32::MAX, u32::MAX, u32::MAX, u32::MAX, u32::MAX, 0, u32::MAX] {
            let number = opens(connection.due(at(now), false)).expect("an attempt");
            assert!(connection.ended(at(now), number, dice));
            let next = connection.next_due().expect("armed").0;
            assert_eq!(opens(connection.due(at(next - 1), false)), None);
            waits.push(next - now);
            now = next;
        }
        assert_eq!(waits, [500, 1000, 1000, 4000, 8000, 16_000, 32_000, 60_000, 30_000, 60_000]);
    }

    #[test]
    fn case_b33_only_a_link_that_lasted_starts_the_back_off_anew() {
        for (lasted, wait) in [(1000, 1000), (9_999, 1000), (10_000, 500)] {
            let mut connection = configured();
            let number = opens(connection.due(at(0), false)).expect("an attempt");
            assert!(connection.ended(at(0), number, u32::MAX));
            let number = opens(connection.due(at(500), false)).expect("an attempt");
            assert!(connection.opened(at(500), number));
            assert!(connection.ended(at(500 + lasted), number, u32::MAX));
            assert_eq!(connection.next_due(), Some(at(500 + lasted + wait)));
        }
    }

    #[test]
    fn case_35_case_b31_pings_keep_a_link_and_silence_ends_it() {
        let mut connection = configured();
        let number = opens(connection.due(at(0), false)).expect("an attempt");
        assert!(connection.opened(at(0), number));
        assert_eq!(connection.next_due(), Some(at(20_000)));
        assert!(connection.due(at(20_000), false) == Some(Order::Ping));
        connection.heard(at(20_001));
        assert!(connection.due(at(40_000), false) == Some(Order::Ping));
        assert!(connection.due(at(60_000), false) == Some(Order::Ping));
        assert_eq!(connection.next_due(), Some(at(60_001)));
        assert!(connection.due(at(60_001), false) == Some(Order::Close { number }));
        assert!(connection.ended(at(60_010), number, 0));
        assert!(connection.next_due().is_some());
    }

    #[test]
    fn another_address_closes_the_link_when_its_answers_are_out() {
        let mut connection = configured();
        let number = opens(connection.due(at(0), false)).expect("an attempt");
        assert!(connection.opened(at(0), number));
        connection.configure(at(10), target("b"), PING);
        assert!(connection.due(at(10), true).is_none());
        assert_eq!(connection.next_due(), Some(at(2010)));
        connection.asked(at(1000));
        assert!(connection.due(at(2999), false).is_none(), "the CSMS may have more to say");
        assert!(connection.due(at(3000), true).is_none(), "an answer is owed");
        assert!(connection.due(at(3000), false) == Some(Order::Close { number }));
        assert!(connection.ended(at(3060), number, u32::MAX));
        assert_eq!(opens(connection.due(at(3060), false)), Some(number + 1));
        assert!(!connection.opened(at(3070), number), "late news of the old link");
    }

    #[test]
    fn a_csms_that_never_stops_asking_does_not_keep_the_old_link() {
        let mut connection = configured();
        let number = opens(connection.due(at(0), false)).expect("an attempt");
        assert!(connection.opened(at(0), number));
        connection.configure(at(0), target("b"), PING);
        for second in 1..10 {
            connection.asked(at(second * 1000));
            assert!(connection.due(at(second * 1000), true).is_none());
        }
        connection.asked(at(10_000));
        assert!(connection.due(at(10_000), true) == Some(Order::Close { number }));
    }

    #[test]
    fn no_address_is_no_attempt() {
        let mut connection = configured();
        let number = opens(connection.due(at(0), false)).expect("an attempt");
        connection.configure(at(1), None, PING);
        assert!(connection.due(at(1), false) == Some(Order::Close { number }));
        assert!(connection.ended(at(2), number, 0));
        assert_eq!(connection.next_due(), None);
        connection.configure(at(3), target("a"), PING);
        assert!(opens(connection.due(at(3), false)).is_some());
    }
}
