//! Restarting the station, step by step: the charges are ended, the CSMS is told of them, the machine is asked to
//! restart. Nobody who is away, silent or refuses holds it up for longer than its limit. Pure.

use crate::order::{Order, Phase};
use busbar_interfaces::words::StopReason;
use busbar_interfaces::{BoottimeMillis, ConnectorId, TransactionId};
use busbar_runtime::Moment;
use std::collections::BTreeMap;
use std::time::Duration;

/// The connectors of a station.
pub const CONNECTORS: [ConnectorId; 2] = [ConnectorId(1), ConnectorId(2)];
/// No charge begins for so long; renewed with every attempt, so that it holds over all of them and ends by itself.
pub const NO_START: Duration = Duration::from_secs(240);
/// ResetRetries before `settings` has been heard.
const RETRIES: u32 = 2;
/// What belongs together comes in several messages of several objects; a picture counts when it has held for so long.
const SETTLE: Duration = Duration::from_millis(300);
/// A peer that is away for so long does not only restart.
const AWAY: Duration = Duration::from_secs(3);
/// `session` is asked again after a refusal.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// The service manager answers by then, or has not heard.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// A machine that has agreed to restart is down by then.
const DOWN_LIMIT: Duration = Duration::from_secs(60);

/// How long the steps may last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Ending the transactions of a soft restart.
    pub soft_stop: Duration,
    /// Ending the transactions of a hard one.
    pub hard_stop: Duration,
    /// Telling the CSMS, in a soft restart.
    pub delivery: Duration,
    /// Between two attempts to restart the machine.
    pub pause: Duration,
}

/// What the sequence takes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Somebody wants the station to restart.
    Order { hard: bool },
    /// The last event of the journal; nothing while `session` is away.
    Session { last_event: Option<u64> },
    /// The transaction of a connector, 0 for none; nothing while it is not known.
    Connector { connector: ConnectorId, transaction: Option<TransactionId> },
    /// The last event that the CSMS has confirmed; nothing while `ocpp` is away.
    Confirmed { event: Option<u64> },
    /// The key ResetRetries; nothing while `settings` is away, and the last value goes on to hold.
    Retries(Option<u32>),
    /// What `session` has said to the request with this number.
    StopAnswered { ask: u32, done: bool },
    /// What the service manager has said to an attempt.
    RestartAnswered { attempt: u32, result: Result<(), String> },
    /// A moment that was waited for has come.
    Wake,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Puts the order on disk.
    Keep(Order),
    /// Removes it.
    Forget,
    /// Ends every transaction and lets none begin for so long.
    StopAll { ask: u32, reason: StopReason, no_start: Duration },
    /// Asks the machine to restart.
    Restart { attempt: u32 },
    /// Remembers that the station could not be restarted, and why.
    Failed(String),
    /// Tells a technician what was not waited for any longer.
    Warn(&'static str),
}

/// What is known of the peers.
#[derive(Debug, Clone)]
struct Peers {
    session_away_since: Option<BoottimeMillis>,
    ocpp_away_since: Option<BoottimeMillis>,
    last_event: u64,
    confirmed_event: u64,
    transactions: BTreeMap<ConnectorId, TransactionId>,
}

/// The request to `session`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Due(BoottimeMillis),
    Asked(u32),
    Done,
}

/// The request to the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    Due(BoottimeMillis),
    /// No answer yet.
    Asked(BoottimeMillis),
    /// It has agreed.
    Going(BoottimeMillis),
}

/// A restart that runs.
#[derive(Debug, Clone)]
struct Run {
    order: Order,
    ask: Ask,
    attempt: Attempt,
    quiet_since: Option<BoottimeMillis>,
}

/// The sequence.
#[derive(Debug, Clone)]
pub struct Reset {
    limits: Limits,
    retries: u32,
    asks: u32,
    peers: Peers,
    run: Option<Run>,
    failed: Option<String>,
}

impl Reset {
    /// A sequence that goes on where the process ended, if it was under way.
    pub fn new(limits: Limits, unfinished: Option<Order>, failed: Option<String>, now: Moment) -> Reset {
        let away = Some(now.boottime);
        let peers = Peers {
            session_away_since: away,
            ocpp_away_since: away,
            last_event: 0,
            confirmed_event: 0,
            transactions: BTreeMap::new(),
        };
        let run = unfinished.map(|order| Run::new(order, now.boottime));
        Reset { limits, retries: RETRIES, asks: 0, peers, run, failed }
    }

    /// The restart that is under way; true is a hard one.
    pub fn pending(&self) -> Option<bool> {
        self.run.as_ref().map(|run| run.order.hard)
    }

    /// Why the station could not be restarted.
    pub fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// Takes in what happened.
    pub fn step(&mut self, now: Moment, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.take(now, input, &mut effects);
        while self.advance(now.boottime, &mut effects) {}
        effects
    }

    /// When `Wake` is due.
    pub fn next_wake(&self) -> Option<BoottimeMillis> {
        let run = self.run.as_ref()?;
        let ask = match run.ask {
            Ask::Due(at) if self.peers.session_away_since.is_none() => Some(at),
            _ => None,
        };
        let quiet = run.quiet_since.map(|since| since.after(SETTLE));
        let away = |since: Option<BoottimeMillis>| since.map(|since| since.after(AWAY));
        let phase = match run.order.phase {
            Phase::Stopping => [Some(run.order.until_boottime_millis), quiet, away(self.peers.session_away_since)],
            Phase::Delivering => [Some(run.order.until_boottime_millis), quiet, away(self.peers.ocpp_away_since)],
            Phase::Restarting => [Some(run.attempt.due()), None, None],
        };
        phase.into_iter().flatten().chain(ask).min()
    }

    fn take(&mut self, now: Moment, input: Input, effects: &mut Vec<Effect>) {
        let at = now.boottime;
        match input {
            Input::Order { hard } => match &mut self.run {
                None => self.begin(now, hard, effects),
                Some(run) if hard && !run.order.hard => {
                    run.harden(at, self.limits);
                    effects.push(Effect::Keep(run.order.clone()));
                }
                Some(_) => {}
            },
            Input::Session { last_event: Some(event) } => {
                self.peers.last_event = event;
                // Another process, which does not know that it has been asked.
                if self.peers.session_away_since.take().is_some()
                    && let Some(run) = &mut self.run
                {
                    run.ask = Ask::Due(at);
                }
            }
            Input::Session { last_event: None } => drop(self.peers.session_away_since.get_or_insert(at)),
            Input::Connector { connector, transaction: Some(transaction) } => {
                self.peers.transactions.insert(connector, transaction);
            }
            Input::Connector { connector, transaction: None } => drop(self.peers.transactions.remove(&connector)),
            Input::Confirmed { event: Some(event) } => {
                self.peers.confirmed_event = event;
                self.peers.ocpp_away_since = None;
            }
            Input::Confirmed { event: None } => drop(self.peers.ocpp_away_since.get_or_insert(at)),
            Input::Retries(retries) => self.retries = retries.unwrap_or(self.retries),
            Input::StopAnswered { ask, done } => {
                if let Some(run) = &mut self.run
                    && run.ask == Ask::Asked(ask)
                {
                    run.ask = if done { Ask::Done } else { Ask::Due(at.after(ASK_AGAIN)) };
                }
            }
            Input::RestartAnswered { attempt, result } => self.answered(at, attempt, result, effects),
            Input::Wake => {}
        }
    }

    fn begin(&mut self, now: Moment, hard: bool, effects: &mut Vec<Effect>) {
        let order = Order {
            hard,
            ordered_unix_millis: now.unix,
            phase: Phase::Stopping,
            until_boottime_millis: now.boottime.after(self.limits.stop(hard)),
            attempts: 0,
        };
        effects.push(Effect::Keep(order.clone()));
        self.run = Some(Run::new(order, now.boottime));
    }

    /// One decision; true when there may be another one to take at once.
    fn advance(&mut self, now: BoottimeMillis, effects: &mut Vec<Effect>) -> bool {
        let Some(run) = &mut self.run else { return false };
        if let Ask::Due(at) = run.ask
            && at <= now
            && self.peers.session_away_since.is_none()
        {
            self.asks = self.asks.wrapping_add(1);
            run.ask = Ask::Asked(self.asks);
            effects.push(Effect::StopAll { ask: self.asks, reason: run.reason(), no_start: NO_START });
        }
        match run.order.phase {
            Phase::Stopping => {
                let quiet = run.ask == Ask::Done && self.peers.none_charges();
                let over = run.is_over(now, quiet, self.peers.session_away_since);
                if over == Over::TooLate {
                    effects.push(Effect::Warn("transactions were not over in time; the restart goes on"));
                }
                if over != Over::No {
                    let (next, until) = match run.order.hard {
                        true => (Phase::Restarting, now),
                        false => (Phase::Delivering, now.after(self.limits.delivery)),
                    };
                    run.enter(next, now, until, effects);
                }
                over != Over::No
            }
            Phase::Delivering => {
                let over = run.is_over(now, self.peers.all_is_delivered(), self.peers.ocpp_away_since);
                if over == Over::TooLate {
                    effects.push(Effect::Warn("the CSMS has not heard of everything in time; the restart goes on"));
                }
                if over != Over::No {
                    run.enter(Phase::Restarting, now, now, effects);
                }
                over != Over::No
            }
            Phase::Restarting => self.attempt(now, effects),
        }
    }

    fn attempt(&mut self, now: BoottimeMillis, effects: &mut Vec<Effect>) -> bool {
        let Some(run) = &mut self.run else { return false };
        if now < run.attempt.due() {
            return false;
        }
        match run.attempt {
            Attempt::Due(_) => {
                run.order.attempts = run.order.attempts.saturating_add(1);
                run.attempt = Attempt::Asked(now);
                effects.push(Effect::Keep(run.order.clone()));
                if self.peers.session_away_since.is_none() && run.order.attempts > 1 {
                    self.asks = self.asks.wrapping_add(1);
                    effects.push(Effect::StopAll { ask: self.asks, reason: run.reason(), no_start: NO_START });
                }
                effects.push(Effect::Restart { attempt: run.order.attempts });
                false
            }
            Attempt::Asked(_) => self.attempt_failed(now, "the service manager is silent".to_owned(), effects),
            Attempt::Going(_) => {
                self.attempt_failed(now, "the machine has agreed to restart, and still runs".to_owned(), effects)
            }
        }
    }

    fn answered(&mut self, now: BoottimeMillis, attempt: u32, result: Result<(), String>, effects: &mut Vec<Effect>) {
        let Some(run) = &mut self.run else { return };
        // Not about this attempt, or it has been given up.
        if run.order.phase != Phase::Restarting
            || run.order.attempts != attempt
            || !matches!(run.attempt, Attempt::Asked(_))
        {
            return;
        }
        match result {
            Ok(()) => run.attempt = Attempt::Going(now),
            Err(error) => drop(self.attempt_failed(now, error, effects)),
        }
    }

    fn attempt_failed(&mut self, now: BoottimeMillis, error: String, effects: &mut Vec<Effect>) -> bool {
        let Some(run) = &mut self.run else { return false };
        if run.order.attempts <= self.retries {
            run.attempt = Attempt::Due(now.after(self.limits.pause));
            return true;
        }
        let error = format!("given up after {} attempts: {error}", run.order.attempts);
        let reason = run.reason();
        self.run = None;
        self.failed = Some(error.clone());
        self.asks = self.asks.wrapping_add(1);
        effects.extend([
            Effect::Failed(error),
            Effect::Forget,
            // Charges may begin again at once.
            Effect::StopAll { ask: self.asks, reason, no_start: Duration::ZERO },
        ]);
        false
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    No,
    Yes,
    TooLate,
}

impl Run {
    fn new(order: Order, now: BoottimeMillis) -> Run {
        Run { order, ask: Ask::Due(now), attempt: Attempt::Due(now), quiet_since: None }
    }

    fn reason(&self) -> StopReason {
        if self.order.hard { StopReason::HardReset } else { StopReason::SoftReset }
    }

    /// Whether this phase is over: what it waits for has held, the peer is away, or the time is.
    fn is_over(&mut self, now: BoottimeMillis, quiet: bool, away_since: Option<BoottimeMillis>) -> Over {
        self.quiet_since = quiet.then(|| self.quiet_since.unwrap_or(now));
        let held = |since: Option<BoottimeMillis>, limit| since.is_some_and(|since| now >= since.after(limit));
        if held(self.quiet_since, SETTLE) || held(away_since, AWAY) {
            Over::Yes
        } else if now >= self.order.until_boottime_millis {
            Over::TooLate
        } else {
            Over::No
        }
    }

    fn enter(&mut self, phase: Phase, now: BoottimeMillis, until: BoottimeMillis, effects: &mut Vec<Effect>) {
        self.order.phase = phase;
        self.order.until_boottime_millis = until;
        self.quiet_since = None;
        if phase == Phase::Restarting {
            self.attempt = Attempt::Due(now);
        } else {
            effects.push(Effect::Keep(self.order.clone()));
        }
    }

    /// A soft restart becomes a hard one.
    fn harden(&mut self, now: BoottimeMillis, limits: Limits) {
        self.order.hard = true;
        self.ask = Ask::Due(now);
        match self.order.phase {
            Phase::Stopping => {
                let until = now.after(limits.hard_stop);
                self.order.until_boottime_millis = self.order.until_boottime_millis.min(until);
            }
            Phase::Delivering => {
                self.order.phase = Phase::Restarting;
                self.order.until_boottime_millis = now;
                self.attempt = Attempt::Due(now);
            }
            Phase::Restarting => {}
        }
    }
}

impl Attempt {
    /// When something has to be done about it.
    fn due(self) -> BoottimeMillis {
        match self {
            Attempt::Due(at) => at,
            Attempt::Asked(since) => since.after(ANSWER_LIMIT),
            Attempt::Going(since) => since.after(DOWN_LIMIT),
        }
    }
}

impl Limits {
    fn stop(&self, hard: bool) -> Duration {
        if hard { self.hard_stop } else { self.soft_stop }
    }
}

impl Peers {
    fn none_charges(&self) -> bool {
        CONNECTORS.iter().all(|connector| self.transactions.get(connector) == Some(&TransactionId(0)))
    }

    /// A journal that was never heard of has nothing to deliver.
    fn all_is_delivered(&self) -> bool {
        self.last_event == 0 || (self.ocpp_away_since.is_none() && self.confirmed_event >= self.last_event)
    }
}

#[cfg(test)]
mod tests;
