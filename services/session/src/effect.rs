//! What a connector and its transaction want done, and the answers that come back.

use crate::authorization::Driver;
use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::words::{DecisionReason, StopReason};
use busbar_interfaces::{ConnectorId, MilliwattHours, TransactionId};

/// What a meter reading is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `meterStart`.
    Begin,
    /// A sample, or two of one reading.
    Sample,
    /// `meterStop`.
    End,
}

/// What power says to a start or a renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryAnswer {
    /// The lease holds.
    Held,
    /// The delivery is over, or cannot begin; the text says why.
    Over(String),
    /// The hardware has not answered yet, or a fault stands against it; the text says which.
    NotReady(String),
    /// Power could not be asked.
    Unreachable,
}

/// What a connector wants done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Write the start of this driver's transaction to the journal; nothing after it happens if that fails.
    Start(Box<TransactionEvent>, Driver),
    /// Write another event to the journal; likewise.
    Record(Box<TransactionEvent>),
    /// Remember that the vehicle of the last transaction is gone.
    RecordUnplugged(ConnectorId),
    /// Write to disk that power holds the delivery of a transaction.
    RecordHeld(TransactionId),
    /// Write to disk the number of power's delivery for a transaction; none while its vehicle is unplugged.
    RecordDelivery(TransactionId, Option<TransactionId>),
    /// Write to disk what the meter of a transaction lacks against the one before it was exchanged or reset.
    RecordOffset(TransactionId, MilliwattHours),
    /// Write to disk that a transaction is to end, why, and by whose badge.
    RecordEnding(TransactionId, StopReason, String),
    /// Write to disk that nothing more flows in a transaction, which stays.
    RecordSuspended(TransactionId),
    /// Write to disk the group of the badge that has started a transaction.
    RecordGroup(TransactionId, String),
    /// Write to disk that the books of a connector did not add up in a transaction.
    RecordIrregular(ConnectorId, TransactionId, String),
    /// Read the meter.
    Latch(ConnectorId, Purpose),
    /// Start a delivery.
    StartDelivery(ConnectorId, TransactionId),
    /// Renew its lease.
    RenewDelivery(ConnectorId, TransactionId),
    /// End it.
    StopDelivery(ConnectorId, TransactionId),
    /// The transaction that was asked for runs, or cannot: whoever asked may be told.
    Opened(ConnectorId, Result<(), DecisionReason>),
}
