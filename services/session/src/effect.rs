//! What a connector and its transaction want done, and the answers that come back.

use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::words::StopReason;
use busbar_interfaces::{ConnectorId, TransactionId};

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
    /// Write to the journal; nothing after it happens if that fails.
    Record(Box<TransactionEvent>),
    /// Remember that the vehicle of the last transaction is gone.
    RecordUnplugged(ConnectorId),
    /// Write to disk that power holds the delivery of a transaction.
    RecordHeld(TransactionId),
    /// Write to disk that a transaction is to end, why, and by whose badge.
    RecordEnding(TransactionId, StopReason, String),
    /// Read the meter.
    Latch(ConnectorId, Purpose),
    /// Start the delivery of a transaction.
    StartDelivery(ConnectorId, TransactionId),
    /// Renew its lease.
    RenewDelivery(ConnectorId, TransactionId),
    /// End it.
    StopDelivery(ConnectorId, TransactionId),
    /// The transaction that was asked for runs, or cannot: whoever asked may be told.
    Opened(ConnectorId, bool),
}
