//! What the bus objects ask, and who waits for the answer.

use crate::local_list::Update;
use crate::reservation::Reserved;
use busbar_interfaces::ocpp::Authorization;
use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::words::{
    Availability, AvailabilityVerdict, BadgeOutcome, KeyOrigin, ListVerdict, ReservationVerdict, StopReason, Verdict,
};
use busbar_interfaces::{BoottimeMillis, CallError, ConnectorId, ReservationId, TransactionId};
use busbar_runtime::Reply;

/// The longest tag that OCPP 1.6 carries (`IdToken`, CiString20).
const LONGEST_ID_TAG: usize = 20;

/// What the bus objects ask.
pub enum Request {
    Badge {
        id_tag: String,
        shown: ConnectorId,
        valid_until: BoottimeMillis,
        reply: Reply<(BadgeOutcome, ConnectorId)>,
    },
    RemoteStart {
        connector: ConnectorId,
        id_tag: String,
        valid_until: BoottimeMillis,
        reply: Reply<Verdict>,
    },
    Stop {
        transaction: TransactionId,
        reason: StopReason,
        reply: Reply<Verdict>,
    },
    StopAll {
        reason: StopReason,
        no_start_millis: u32,
        reply: Reply<()>,
    },
    Order {
        connector: ConnectorId,
        availability: Availability,
        origin: KeyOrigin,
        valid_until: BoottimeMillis,
        reply: Reply<AvailabilityVerdict>,
    },
    Deauthorize {
        transaction: TransactionId,
        reply: Reply<Verdict>,
    },
    Learn {
        id_tag: String,
        authorization: Authorization,
        reply: Reply<()>,
    },
    UpdateLocalList {
        update: Update,
        valid_until: BoottimeMillis,
        reply: Reply<ListVerdict>,
    },
    ClearCache {
        valid_until: BoottimeMillis,
        reply: Reply<Verdict>,
    },
    Reserve {
        reserved: Reserved,
        valid_until: BoottimeMillis,
        reply: Reply<ReservationVerdict>,
    },
    CancelReservation {
        reservation: ReservationId,
        valid_until: BoottimeMillis,
        reply: Reply<Verdict>,
    },
    EventsAfter {
        cursor: u64,
        max: u32,
        reply: Reply<Vec<TransactionEvent>>,
    },
}

/// Who waits for what `Station::step` says.
pub enum Waiting {
    Badge(Reply<(BadgeOutcome, ConnectorId)>),
    Verdict(Reply<Verdict>),
    Order(Reply<AvailabilityVerdict>),
    Reservation(Reply<ReservationVerdict>),
    Done(Reply<()>),
}

/// A tag that OCPP can carry.
///
/// # Errors
/// `OutOfRange`, with the name of the argument.
pub fn check_id_tag(argument: &str, id_tag: &str) -> Result<(), CallError> {
    match id_tag.chars().count() {
        1..=LONGEST_ID_TAG => Ok(()),
        length => Err(CallError::OutOfRange(format!("{argument} has {length} characters; it must have 1 to 20"))),
    }
}

/// A group that OCPP can carry; empty is none.
///
/// # Errors
/// `OutOfRange`, with the name of the argument.
pub fn check_group(argument: &str, parent_id_tag: &str) -> Result<(), CallError> {
    if parent_id_tag.is_empty() { Ok(()) } else { check_id_tag(argument, parent_id_tag) }
}

/// A list whose tags OCPP can carry.
///
/// # Errors
/// `OutOfRange`, with the name of the argument.
pub fn check_list(update: &Update) -> Result<(), CallError> {
    for entry in &update.entries {
        check_id_tag("a badge of entries", &entry.id_tag)?;
        check_group("a group of entries", &entry.authorization.parent_id_tag)?;
    }
    update.removed.iter().try_for_each(|id_tag| check_id_tag("a badge of removed_id_tags", id_tag))
}

/// Words about an order that this version knows.
///
/// # Errors
/// `OutOfRange`, with the words that are possible.
pub fn check_order(availability: Availability, origin: KeyOrigin) -> Result<(), CallError> {
    if availability == Availability::Unknown {
        return Err(CallError::OutOfRange("availability must be \"operative\" or \"inoperative\"".to_owned()));
    }
    match origin {
        KeyOrigin::Csms | KeyOrigin::Engineer => Ok(()),
        other => Err(CallError::OutOfRange(format!("origin is \"{other}\"; it must be \"csms\" or \"engineer\""))),
    }
}
