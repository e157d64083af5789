//! What goes into the pure charge point and what comes out of it. Nothing here shows a badge in its `Debug`.

use crate::connection::Order;
use crate::frame::Wire;
use crate::hidden::Hidden;
use crate::ledger::Note;
use crate::record::Record;
use busbar_interfaces::faults::FaultsState;
use busbar_interfaces::ocpp::{Authorization, OcppState};
use busbar_interfaces::session::{SessionConnectorState, SessionState, TransactionEvent};
use busbar_interfaces::settings::SettingsState;
use busbar_interfaces::words::{SetVerdict, Verdict};
use busbar_interfaces::{CallError, ConnectorId, TransactionId};
use busbar_runtime::View;

/// What the charge point takes in.
pub enum Input {
    Settings(View<SettingsState>),
    Session(View<SessionState>),
    Connector(ConnectorId, View<SessionConnectorState>),
    Faults(View<FaultsState>),
    /// The link is open.
    Opened {
        number: u64,
    },
    /// The link has ended, or could not be opened.
    Ended {
        number: u64,
        dice: u32,
    },
    /// The CSMS gave a sign of life.
    Heard {
        number: u64,
    },
    Text {
        number: u64,
        text: Wire,
    },
    /// The journal was read; no events when `session` did not answer.
    Fetched {
        after: u64,
        events: Option<Vec<TransactionEvent>>,
    },
    /// Everything up to this note is on disk.
    Kept {
        note: u64,
    },
    /// A peer asks about a badge.
    Authorize {
        asker: u64,
        id_tag: Hidden,
    },
    /// A peer has answered a question.
    Answered {
        serial: u64,
        answer: Answer,
    },
    /// `session` was asked to stop a transaction whose badge the CSMS does not accept.
    Deauthorized {
        transaction: TransactionId,
        settled: bool,
    },
    /// A moment that [`ChargePoint::next_wake`] named has come.
    Wake,
}

/// What is to be done, in this order.
pub enum Effect {
    Link(Order),
    Send(Wire),
    Fetch { after: u64, max: u32 },
    Keep { number: u64, note: Note },
    Record(Record),
    Ask { serial: u64, question: Question },
    Deauthorize { transaction: TransactionId },
    Authorized { asker: u64, verdict: Result<Authorization, NoVerdict> },
    Publish(OcppState),
}

/// Why there is no word of the CSMS on a badge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoVerdict {
    /// There is no link on which the CSMS has accepted the station, or it was lost meanwhile.
    NoLink,
    /// The link is there, the answer is not.
    Late,
    /// Too many badges wait already.
    TooMany,
}

impl From<NoVerdict> for CallError {
    fn from(reason: NoVerdict) -> CallError {
        match reason {
            NoVerdict::NoLink => {
                CallError::NotReady("there is no link on which the CSMS has accepted the station".to_owned())
            }
            NoVerdict::Late => CallError::Busy("the CSMS has not answered in time; ask again".to_owned()),
            NoVerdict::TooMany => CallError::Busy("too many badges wait for the CSMS; ask again".to_owned()),
        }
    }
}

/// What a peer is asked for the CSMS.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    RemoteStart { connector: ConnectorId, id_tag: Hidden },
    RemoteStop { transaction: TransactionId },
    Set { key: String, value: Hidden },
}

/// What the peer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Verdict(Verdict),
    Set(SetVerdict),
    /// Nothing, or an error.
    Failed,
}

impl Answer {
    /// OCPP's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Answer::Verdict(Verdict::Accepted) | Answer::Set(SetVerdict::Accepted) => "Accepted",
            Answer::Set(SetVerdict::RebootRequired) => "RebootRequired",
            Answer::Set(SetVerdict::NotSupported) => "NotSupported",
            Answer::Verdict(Verdict::Rejected | Verdict::Unknown)
            | Answer::Set(SetVerdict::Rejected | SetVerdict::Unknown)
            | Answer::Failed => "Rejected",
        }
    }
}
