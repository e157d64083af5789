//! The Reservation profile.

use crate::Hidden;
use crate::fields::Fields;
use crate::frame::Refusal;

/// CancelReservation.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelReservation {
    /// The CSMS's number of it.
    pub reservation: i32,
}

impl CancelReservation {
    pub(super) fn read(fields: &Fields<'_>) -> Result<CancelReservation, Refusal> {
        Ok(CancelReservation { reservation: fields.integer("reservationId")? })
    }
}

/// ReserveNow.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReserveNow {
    /// 0: any one of them.
    pub connector: u32,
    /// Until when.
    pub expiry_unix_millis: u64,
    /// For whom.
    pub id_tag: Hidden,
    /// Or for whoever belongs to this group.
    pub parent_id_tag: Option<Hidden>,
    /// The CSMS's number of it; one that the station knows already is replaced.
    pub reservation: i32,
}

impl ReserveNow {
    pub(super) fn read(fields: &Fields<'_>) -> Result<ReserveNow, Refusal> {
        Ok(ReserveNow {
            connector: fields.count("connectorId")?,
            expiry_unix_millis: fields.moment("expiryDate")?,
            id_tag: fields.badge("idTag")?,
            parent_id_tag: fields.optional_badge("parentIdTag")?,
            reservation: fields.integer("reservationId")?,
        })
    }
}
