//! The status of a connector, in OCPP 1.6's words, from what is true of it. Pure, and without a memory: whatever
//! happened in between, the same facts are the same status.

use crate::transaction::Pause;
use busbar_interfaces::words::ConnectorStatus;

/// What a status depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// A fault that stops charging concerns it.
    pub faulted: bool,
    /// It is ordered out of service; the order waits for a transaction.
    pub out_of_service: bool,
    /// A vehicle is plugged in.
    pub plugged: bool,
    /// A driver is accepted or a transaction is being prepared.
    pub driver_accepted: bool,
    /// A transaction runs.
    pub transaction: bool,
    /// Power could flow in this transaction.
    pub has_delivered: bool,
    /// Who keeps its current at zero.
    pub pause: Option<Pause>,
    /// A transaction is over and its vehicle is still plugged in.
    pub charged: bool,
    /// It is reserved for somebody.
    pub kept: bool,
}

/// The status that OCPP 1.6 (section 4.9) has for these facts.
pub fn of(facts: Facts) -> ConnectorStatus {
    if facts.faulted {
        ConnectorStatus::Faulted
    } else if facts.transaction {
        of_transaction(facts)
    } else if facts.out_of_service {
        ConnectorStatus::Unavailable
    } else if facts.charged {
        ConnectorStatus::Finishing
    } else if facts.plugged || facts.driver_accepted {
        ConnectorStatus::Preparing
    } else if facts.kept {
        ConnectorStatus::Reserved
    } else {
        ConnectorStatus::Available
    }
}

/// Until its end is on disk the transaction runs, for the operator too.
fn of_transaction(facts: Facts) -> ConnectorStatus {
    match facts.pause {
        Some(Pause::Vehicle) => ConnectorStatus::SuspendedEv,
        Some(Pause::Station) => ConnectorStatus::SuspendedEvse,
        // Also while power is away for a moment, or ends the delivery.
        None if facts.has_delivered => ConnectorStatus::Charging,
        None => ConnectorStatus::Preparing,
    }
}

#[cfg(test)]
mod tests;
