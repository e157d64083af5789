//! The Firmware Management profile.

use crate::Hidden;
use crate::fields::Fields;
use crate::frame::Refusal;

/// GetDiagnostics.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetDiagnostics {
    /// The folder to which the diagnostics are sent; may carry a password.
    pub location: Hidden,
    /// How often a failed upload is tried again.
    pub retries: Option<u32>,
    /// Seconds from one attempt to the next.
    pub retry_interval_seconds: Option<u32>,
    /// From when.
    pub from_unix_millis: Option<u64>,
    /// Until when.
    pub until_unix_millis: Option<u64>,
}

impl GetDiagnostics {
    pub(super) fn read(fields: &Fields<'_>) -> Result<GetDiagnostics, Refusal> {
        Ok(GetDiagnostics {
            location: fields.address("location", usize::MAX)?,
            retries: fields.optional_count("retries")?,
            retry_interval_seconds: fields.optional_count("retryInterval")?,
            from_unix_millis: fields.optional_moment("startTime")?,
            until_unix_millis: fields.optional_moment("stopTime")?,
        })
    }
}

/// UpdateFirmware.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateFirmware {
    /// Where the firmware is; may carry a password.
    pub location: Hidden,
    /// How often a failed download is tried again.
    pub retries: Option<u32>,
    /// Not fetched before.
    pub retrieve_unix_millis: u64,
    /// Seconds from one attempt to the next.
    pub retry_interval_seconds: Option<u32>,
}

impl UpdateFirmware {
    pub(super) fn read(fields: &Fields<'_>) -> Result<UpdateFirmware, Refusal> {
        Ok(UpdateFirmware {
            location: fields.address("location", usize::MAX)?,
            retries: fields.optional_count("retries")?,
            retrieve_unix_millis: fields.moment("retrieveDate")?,
            retry_interval_seconds: fields.optional_count("retryInterval")?,
        })
    }
}
