//! What the central system's books hold about one transaction. Pure.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// One transaction as the station reported it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Transaction {
    /// The charge point.
    pub identity: String,
    /// The id this central system gave it; `None` until its start has been answered.
    pub transaction_id: Option<i64>,
    /// `connectorId` of the start.
    pub connector: i64,
    /// `idTag` of the start.
    pub id_tag: String,
    /// `reservationId` of the start.
    pub reservation_id: Option<i64>,
    /// `idTagInfo.status` that the start was answered with.
    pub tag_status: Option<String>,
    /// `meterStart` in Wh.
    pub meter_start: i64,
    /// `timestamp` of the start, as sent.
    pub timestamp: String,
    /// `meterStop` in Wh, of the first stop.
    pub meter_stop: Option<i64>,
    /// `reason` of the first stop; OCPP reads an absent one as `Local`.
    pub reason: Option<String>,
    /// `timestamp` of the first stop, as sent.
    pub stop_timestamp: Option<String>,
    /// `transactionData` of the first stop.
    pub transaction_data: Vec<Value>,
    /// Payloads of its MeterValues in the order received, repeats included.
    pub meter_values: Vec<Value>,
    /// How often its StartTransaction was received.
    pub start_count: u32,
    /// How often its StopTransaction was received.
    pub stop_count: u32,
    /// The different message ids its StartTransaction came under, in the order received.
    pub start_message_ids: Vec<String>,
    /// The different message ids its StopTransaction came under, in the order received.
    pub stop_message_ids: Vec<String>,
    #[serde(skip)]
    pub(crate) trail: Trail,
}

/// What must be remembered about a transaction to judge what comes next.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Trail {
    pub(crate) start_answered: bool,
    pub(crate) stop_answered: bool,
    pub(crate) stop: Option<Value>,
    /// By timestamp and context: whether a MeterValues that held it was answered.
    pub(crate) samples: HashMap<String, bool>,
    pub(crate) last_sample: Option<Timestamp>,
}

/// A message about a transaction that nobody had started.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stray {
    /// The charge point.
    pub identity: String,
    /// `MeterValues` or `StopTransaction`.
    pub action: String,
    /// Its message id.
    pub message_id: String,
    /// The id it named.
    pub transaction_id: i64,
    /// Its payload.
    pub payload: Value,
}

impl Transaction {
    /// For remarks.
    pub(crate) fn name(&self) -> String {
        match self.transaction_id {
            Some(id) => format!("{} transaction {id}", self.identity),
            None => format!("{} transaction on connector {} from {}", self.identity, self.connector, self.timestamp),
        }
    }

    /// Whether a stop is still owed: a transaction whose tag was refused need not have become one.
    pub(crate) fn is_open(&self) -> bool {
        self.stop_count == 0 && self.tag_status.as_deref().is_none_or(|status| status == "Accepted")
    }

    /// Notes a StartTransaction; a repeat under the same message id is no further message.
    pub(crate) fn note_start(&mut self, message_id: &str) {
        self.start_count = self.start_count.saturating_add(1);
        note_once(&mut self.start_message_ids, message_id);
    }

    /// Likewise for a StopTransaction.
    pub(crate) fn note_stop(&mut self, message_id: &str) {
        self.stop_count = self.stop_count.saturating_add(1);
        note_once(&mut self.stop_message_ids, message_id);
    }
}

fn note_once(message_ids: &mut Vec<String>, message_id: &str) {
    if !message_ids.iter().any(|known| known == message_id) {
        message_ids.push(message_id.to_owned());
    }
}
