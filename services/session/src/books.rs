//! The self-check of the book-keeping: each event is held against what the books say of its connector before it is
//! written, by the rules by which back offices find nonsense in what stations send. Pure.

use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::words::EventKind;
use busbar_interfaces::{MilliwattHours, TransactionId, UnixMillis};

/// A wall clock that is set back by so much in a transaction is set right, and no more than that.
const SET_RIGHT_MILLIS: u64 = 10_000;

/// A transaction that runs, as the books have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// Its number.
    pub transaction: TransactionId,
    /// When it began.
    pub started: UnixMillis,
    /// The register at its last event.
    pub energy: MilliwattHours,
    /// It began in this run of the machine: its events are dated by the clock that is never set, and a wall clock that
    /// is set right in the middle is no nonsense.
    pub of_this_run: bool,
}

/// What the books say of a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Last {
    /// The transaction that runs.
    pub open: Option<Open>,
    /// The register when the last one stopped.
    pub stopped_energy: Option<MilliwattHours>,
}

/// An event as it is written, and what was irregular about it, for a technician.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The event.
    pub event: TransactionEvent,
    /// What did not add up.
    pub irregularity: Option<String>,
}

/// Why an event is not written at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It begins a transaction where this one runs.
    SecondStart(TransactionId),
    /// It belongs to a transaction that does not run there.
    NotRunning,
}

/// Holds an event against the books.
pub fn check(last: &Last, event: &TransactionEvent) -> Result<Checked, Refusal> {
    match (event.kind, last.open) {
        (EventKind::Started, Some(open)) => Err(Refusal::SecondStart(open.transaction)),
        (EventKind::Started, None) => Ok(check_start(last.stopped_energy, event)),
        (_, Some(open)) if open.transaction == event.transaction => Ok(check_within(open, event)),
        _ => Err(Refusal::NotRunning),
    }
}

impl Last {
    /// What the books say when this event is written, in a run of the machine that has a name or has none.
    pub fn after(self, event: &TransactionEvent, of_this_run: bool) -> Last {
        let energy = event.energy_milliwatt_hours;
        match event.kind {
            EventKind::Started => {
                let open = Open { transaction: event.transaction, started: event.unix_millis, energy, of_this_run };
                Last { open: Some(open), ..self }
            }
            EventKind::Stopped => Last { open: None, stopped_energy: Some(energy) },
            EventKind::Sample | EventKind::Unknown => {
                Last { open: self.open.map(|open| Open { energy, ..open }), ..self }
            }
        }
    }
}

/// Between two transactions the meter was exchanged or reset: the next one counts from where it stands now.
fn check_start(stopped: Option<MilliwattHours>, event: &TransactionEvent) -> Checked {
    let register = event.energy_milliwatt_hours;
    let irregularity = stopped.filter(|stopped| register < *stopped).map(|stopped| {
        format!(
            "transaction {} begins with the meter at {}, and the last one stopped at {}: the meter was exchanged or reset",
            event.transaction,
            kwh(register),
            kwh(stopped)
        )
    });
    Checked { event: event.clone(), irregularity }
}

fn check_within(open: Open, event: &TransactionEvent) -> Checked {
    let (register, when) = (event.energy_milliwatt_hours, event.unix_millis);
    let mut found = Vec::new();
    if register < open.energy {
        let (from, to) = (kwh(open.energy), kwh(register));
        found.push(format!("the meter went back from {from} to {to} in transaction {}", event.transaction));
    }
    let early = if open.of_this_run { 0 } else { open.started.0.saturating_sub(when.0) };
    if early > SET_RIGHT_MILLIS {
        let seconds = early / 1000;
        found.push(format!("the clock stands {seconds} s before the begin of transaction {}", event.transaction));
    }
    let event = TransactionEvent {
        energy_milliwatt_hours: register.max(open.energy),
        unix_millis: if open.of_this_run { when } else { when.max(open.started) },
        ..event.clone()
    };
    Checked { event, irregularity: (!found.is_empty()).then(|| found.join("; ")) }
}

/// As the meter's own display has it.
fn kwh(register: MilliwattHours) -> String {
    format!("{}.{:06} kWh", register.0 / 1_000_000, register.0 % 1_000_000)
}

#[cfg(test)]
mod tests;
