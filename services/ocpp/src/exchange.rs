//! What goes into the pure charge point and what comes out of it. Nothing here shows a badge in its `Debug`.

use crate::configuration::Way;
use crate::connection::Order;
use crate::learning::Learned;
use crate::ledger::{Kept, Note, Open};
use crate::record::Record;
use crate::resend::Undelivered;
use crate::trial::Return;
use busbar_interfaces::faults::FaultsState;
use busbar_interfaces::ocpp::{Authorization, OcppState};
use busbar_interfaces::session::{SessionConnectorState, SessionState, TransactionEvent};
use busbar_interfaces::settings::SettingsState;
use busbar_interfaces::words::{
    Availability, AvailabilityVerdict, DataTransferStatus, ListVerdict, ReadingContext, ReservationVerdict, SetVerdict,
    Verdict,
};
use busbar_interfaces::{CallError, ConnectorId, ReservationId, TransactionId, UnixMillis};
use busbar_ocpp16::Hidden;
use busbar_ocpp16::frame::Wire;
use busbar_ocpp16::request::{ReserveNow, SendLocalList};
use busbar_runtime::View;

/// What the charge point takes in.
pub enum Input {
    Settings(View<SettingsState>),
    /// AuthorizationKey as it was changed at that moment; nothing when it could not be read.
    Key {
        changed: u64,
        key: Option<Hidden>,
    },
    Session(View<SessionState>),
    Connector(ConnectorId, View<SessionConnectorState>),
    Faults(View<FaultsState>),
    /// The link is open, to this address.
    Opened {
        number: u64,
        url: String,
    },
    /// The link has ended, or could not be opened.
    Ended {
        number: u64,
        dice: u32,
        reason: String,
    },
    /// The CSMS gave a sign of life.
    Heard {
        number: u64,
    },
    /// It sent a frame that is no text.
    Binary {
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
    /// A person wants undelivered events sent again.
    SendAgain {
        transaction: TransactionId,
        open: Option<Open>,
        events: Vec<Undelivered>,
    },
    /// What is on disk.
    Kept(Kept),
    /// A meter was read outside the journal; nothing when it did not answer.
    Read {
        connector: ConnectorId,
        sample: Option<Box<TransactionEvent>>,
    },
    /// A peer asks about a badge.
    Authorize {
        asker: u64,
        id_tag: Hidden,
    },
    /// A vendor's message for the CSMS.
    Transfer {
        asker: u64,
        vendor_id: String,
        message_id: String,
        data: String,
    },
    /// A peer has answered a question.
    Answered {
        serial: u64,
        answer: Answer,
    },
    /// `session` was told of a transaction whose badge the CSMS does not accept.
    Deauthorized {
        transaction: TransactionId,
        settled: bool,
    },
    /// `session` was told what the CSMS says of a badge, or could not be told.
    Learned,
    /// Whether something keeps the machine's clock right; nothing when it does not say.
    Clock {
        synchronised: Option<bool>,
    },
    /// `settings` was asked to return to the way that worked.
    Returned(Return),
    /// A moment that [`ChargePoint::next_wake`] named has come.
    Wake,
}

/// What is to be done, in this order.
pub enum Effect {
    Link(Order),
    Send(Wire),
    ReadKey {
        changed: u64,
    },
    Fetch {
        after: u64,
        max: u32,
    },
    Keep {
        number: u64,
        note: Note,
    },
    Record(Record),
    Ask {
        serial: u64,
        question: Question,
    },
    Read {
        connector: ConnectorId,
        context: ReadingContext,
    },
    Deauthorize {
        transaction: TransactionId,
    },
    Learn(Learned),
    Authorized {
        asker: u64,
        verdict: Result<Authorization, NoAnswer>,
    },
    Transferred {
        asker: u64,
        answer: Result<(DataTransferStatus, String), NoAnswer>,
    },
    SetClock {
        central: UnixMillis,
    },
    /// `with_key` tells that the password is another one, too.
    Return {
        way: Way,
        with_key: bool,
    },
    Publish(OcppState),
}

/// Why there is no word of the CSMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// There is no link on which the CSMS has accepted the station, or it was lost meanwhile.
    NoLink,
    /// The link is there, the answer is not.
    Late,
    /// Too many wait already.
    TooMany,
    /// It answered that it cannot.
    Refused,
}

impl From<NoAnswer> for CallError {
    fn from(reason: NoAnswer) -> CallError {
        match reason {
            NoAnswer::NoLink => {
                CallError::NotReady("there is no link on which the CSMS has accepted the station".to_owned())
            }
            NoAnswer::Late => CallError::Busy("the CSMS has not answered in time; ask again".to_owned()),
            NoAnswer::TooMany => CallError::Busy("too many wait for the CSMS; ask again".to_owned()),
            NoAnswer::Refused => CallError::NotSupported("the CSMS has answered with an error".to_owned()),
        }
    }
}

/// What a peer is asked for the CSMS.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    RemoteStart { connector: ConnectorId, id_tag: Hidden },
    RemoteStop { transaction: TransactionId },
    Set { key: String, value: Hidden },
    SetAvailability { connector: ConnectorId, availability: Availability },
    UpdateLocalList(SendLocalList),
    ClearCache,
    Reserve(ReserveNow),
    CancelReservation { reservation: ReservationId },
    Reset { hard: bool },
    ShowCost { connector: ConnectorId, cost: String },
}

impl Question {
    /// What stands for the answer of a peer that gives none.
    pub fn without_answer(&self) -> Answer {
        match self {
            Question::UpdateLocalList(_) => Answer::List(ListVerdict::Failed),
            _ => Answer::Failed,
        }
    }
}

/// What the peer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Verdict(Verdict),
    Set(SetVerdict),
    Availability(AvailabilityVerdict),
    List(ListVerdict),
    Reservation(ReservationVerdict),
    /// It is done.
    Done,
    /// Nothing, or an error.
    Failed,
}

impl Answer {
    /// OCPP's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Answer::Verdict(Verdict::Accepted)
            | Answer::Set(SetVerdict::Accepted)
            | Answer::Availability(AvailabilityVerdict::Accepted)
            | Answer::List(ListVerdict::Accepted)
            | Answer::Reservation(ReservationVerdict::Accepted)
            | Answer::Done => "Accepted",
            Answer::Set(SetVerdict::RebootRequired) => "RebootRequired",
            Answer::Set(SetVerdict::NotSupported) | Answer::List(ListVerdict::NotSupported) => "NotSupported",
            Answer::Availability(AvailabilityVerdict::Scheduled) => "Scheduled",
            Answer::List(ListVerdict::VersionMismatch) => "VersionMismatch",
            Answer::List(ListVerdict::Failed | ListVerdict::Unknown) => "Failed",
            Answer::Reservation(ReservationVerdict::Faulted) => "Faulted",
            Answer::Reservation(ReservationVerdict::Occupied) => "Occupied",
            Answer::Reservation(ReservationVerdict::Unavailable) => "Unavailable",
            Answer::Verdict(Verdict::Rejected | Verdict::Unknown)
            | Answer::Set(SetVerdict::Rejected | SetVerdict::Unknown)
            | Answer::Availability(AvailabilityVerdict::Rejected | AvailabilityVerdict::Unknown)
            | Answer::Reservation(ReservationVerdict::Rejected | ReservationVerdict::Unknown)
            | Answer::Failed => "Rejected",
        }
    }
}
