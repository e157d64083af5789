//! What happens in one run, and in which order: a list of steps that a seed stands for. Pure.

use busbar_csms::Odds;
use fastrand::Rng;
use std::time::Duration;

/// The most that a step waits before the next one.
const LONGEST_PAUSE_MILLIS: u64 = 220;
/// What a message sets off is over after this time.
const LONGEST_MOMENT_MICROS: u64 = 8_000;
/// No process stands still for longer.
const LONGEST_FREEZE_MILLIS: u64 = 300;
/// The CSMS is not away for longer.
const LONGEST_ABSENCE_MILLIS: u64 = 1_200;

/// A process that is killed or stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The link to the CSMS.
    Ocpp,
    /// The transactions.
    Session,
    /// The configuration keys.
    Settings,
}

impl Victim {
    /// Its role, as units and programs are named.
    pub fn role(self) -> &'static str {
        match self {
            Victim::Ocpp => "ocpp",
            Victim::Session => "session",
            Victim::Settings => "settings",
        }
    }
}

/// How a link ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// A reset.
    Reset,
    /// A WebSocket close in good order.
    Close,
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A vehicle is plugged in.
    Plug(u32),
    /// It is unplugged.
    Unplug(u32),
    /// It is unplugged, and the next one plugged in.
    Swap(u32),
    /// Likewise, and the next driver shows a badge that was not seen before.
    Charge {
        /// Where.
        connector: u32,
        /// The CSMS does not accept the badge.
        bad: bool,
    },
    /// A driver with a badge that was not seen before.
    Badge {
        /// The connector on the screen.
        shown: u32,
        /// The CSMS does not accept the badge.
        bad: bool,
    },
    /// The driver of the connector shows the badge again.
    BadgeAgain(u32),
    /// A fault comes to a connector, or goes again.
    Fault(u32, bool),
    /// The CSMS wants a charge.
    RemoteStart {
        /// Where.
        connector: u32,
        /// It does not accept its own driver's tag.
        bad: bool,
    },
    /// The CSMS ends a charge of its books.
    RemoteStop(u32),
    /// The CSMS changes a configuration key.
    Change(&'static str, u64),
    /// The CSMS wants a message.
    Trigger(&'static str),
    /// The CSMS has this kind of day from now on.
    Mood(Odds, u64),
    /// The CSMS behaves.
    Calm,
    /// The link ends.
    Cut(Cut),
    /// The CSMS is away for so long: it resets whoever connects.
    Refuse(Duration),
    /// The CSMS hangs for so long: it reads and writes nothing.
    Stall(Duration),
    /// Processes are killed at the same moment.
    Kill(Vec<Victim>),
    /// A process is killed when the CSMS next reads a message that it has to do with, or so long after it.
    KillAt(Victim, Duration),
    /// The link is reset when the CSMS next reads a message of the journal, or so long after it.
    CutAt(Duration),
    /// A process stands still for so long.
    Freeze(Victim, Duration),
}

/// A step, and how long it is quiet after it.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// What happens.
    pub step: Step,
    /// Until the next step.
    pub pause: Duration,
}

/// The steps that a seed stands for.
pub fn plan(seed: u64) -> Vec<Planned> {
    let mut dice = Rng::with_seed(seed);
    let steps = dice.usize(60..=150);
    (0..steps)
        .map(|_| {
            let step = step(&mut dice);
            Planned { step, pause: Duration::from_millis(dice.u64(0..=LONGEST_PAUSE_MILLIS)) }
        })
        .collect()
}

fn step(dice: &mut Rng) -> Step {
    let connector = dice.u32(1..=2);
    match dice.u32(0..100) {
        0..7 => Step::Plug(connector),
        7..9 => Step::Unplug(connector),
        9..12 => Step::Swap(connector),
        12..24 => Step::Charge { connector, bad: dice.u32(0..8) == 0 },
        24..30 => Step::Badge { shown: connector, bad: dice.u32(0..8) == 0 },
        30..33 => Step::BadgeAgain(connector),
        33..34 => Step::Fault(connector, true),
        34..38 => Step::Fault(connector, false),
        38..45 => Step::RemoteStart { connector, bad: dice.u32(0..8) == 0 },
        45..48 => Step::RemoteStop(connector),
        48..52 => change(dice),
        52..55 => Step::Trigger(dice.choice(["MeterValues", "Heartbeat", "StatusNotification"]).unwrap_or("Heartbeat")),
        55..63 => Step::Mood(odds(dice), dice.u64(..)),
        63..65 => Step::Calm,
        65..68 => Step::Cut(if dice.bool() { Cut::Reset } else { Cut::Close }),
        68..72 => Step::CutAt(moment(dice)),
        72..75 => Step::Refuse(duration(dice, LONGEST_ABSENCE_MILLIS)),
        75..77 => Step::Stall(duration(dice, LONGEST_ABSENCE_MILLIS)),
        77..79 => Step::Kill(vec![Victim::Ocpp]),
        79..81 => Step::Kill(vec![Victim::Session]),
        81..82 => Step::Kill(vec![Victim::Settings]),
        82..84 => Step::Kill(two(dice)),
        84..92 => Step::KillAt(Victim::Ocpp, moment(dice)),
        92..95 => Step::KillAt(Victim::Session, moment(dice)),
        _ => {
            let victim = if dice.bool() { Victim::Ocpp } else { Victim::Session };
            Step::Freeze(victim, duration(dice, LONGEST_FREEZE_MILLIS))
        }
    }
}

/// So soon that it falls into what a message sets off: the answer, and the disk.
fn moment(dice: &mut Rng) -> Duration {
    Duration::from_micros(dice.u64(0..=LONGEST_MOMENT_MICROS))
}

fn two(dice: &mut Rng) -> Vec<Victim> {
    let mut victims = vec![Victim::Ocpp, Victim::Session, Victim::Settings];
    victims.remove(dice.usize(0..3));
    victims
}

fn duration(dice: &mut Rng, most_millis: u64) -> Duration {
    Duration::from_millis(dice.u64(20..=most_millis))
}

fn change(dice: &mut Rng) -> Step {
    match dice.u32(0..7) {
        6 => Step::Change("ClockAlignedDataInterval", dice.u64(0..=2)),
        0 => Step::Change("WebSocketPingInterval", dice.u64(1..=3)),
        1 => Step::Change("HeartbeatInterval", dice.u64(1..=5)),
        2 => Step::Change("MeterValueSampleInterval", dice.u64(2..=3)),
        _ => Step::Change("MeterValueSampleInterval", 1),
    }
}

/// A kind of day: most are mixed, some have one trouble alone. Silence is rare in all of them, because the station waits
/// for seconds after one.
fn odds(dice: &mut Rng) -> Odds {
    let together = dice.f64() * 0.6;
    let none = Odds::default();
    match dice.u32(0..8) {
        0 => Odds { error: together, ..none },
        1 => Odds { cut_before: together, ..none },
        2 => Odds { cut_after: together, ..none },
        3 => Odds { late: together, ..none },
        4 => Odds { never: together / 4.0, twice: together / 2.0, ..none },
        _ => Odds { never: together / 20.0, ..Odds::even(together) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_stands_for_its_steps() {
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn every_kind_of_step_happens() {
        let all: Vec<Step> = (0..50).flat_map(plan).map(|planned| planned.step).collect();
        let kinds: std::collections::HashSet<_> = all.iter().map(std::mem::discriminant).collect();
        assert_eq!(kinds.len(), 20);
        assert!(all.iter().any(|step| matches!(step, Step::Kill(victims) if victims.len() == 2)));
    }
}
