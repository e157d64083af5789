//! The Local Auth List Management profile.

use crate::Hidden;
use crate::fields::{Fields, missing};
use crate::frame::Refusal;
use crate::word::words;

/// As many badges as a station of this family keeps (LocalAuthListMaxLength); how many may come at once is its key
/// SendLocalListMaxLength.
const MOST_ENTRIES: usize = 4000;

words!(
    /// What the CSMS says of a badge.
    AuthorizationStatus {
        /// May charge.
        Accepted = "Accepted",
        /// Is barred.
        Blocked = "Blocked",
        /// Was valid once.
        Expired = "Expired",
        /// Is not known.
        Invalid = "Invalid",
        /// Is charging elsewhere already.
        ConcurrentTx = "ConcurrentTx",
    }
);
words!(
    /// How a sent list is meant.
    UpdateType {
        /// Changes of the list that the station has.
        Differential = "Differential",
        /// The whole list.
        Full = "Full",
    }
);

/// What is known of a badge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdTagInfo {
    /// Whether it may charge.
    pub status: AuthorizationStatus,
    /// The group that it belongs to.
    pub parent_id_tag: Option<Hidden>,
    /// Until when this holds.
    pub expiry_unix_millis: Option<u64>,
}

impl IdTagInfo {
    fn read(fields: &Fields<'_>) -> Result<IdTagInfo, Refusal> {
        Ok(IdTagInfo {
            status: fields.word("status")?,
            parent_id_tag: fields.optional_badge("parentIdTag")?,
            expiry_unix_millis: fields.optional_moment("expiryDate")?,
        })
    }
}

/// A line of the local list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalListEntry {
    /// The badge.
    pub id_tag: Hidden,
    /// None: the badge is taken off the list. A full list never says so.
    pub info: Option<IdTagInfo>,
}

/// SendLocalList.req.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendLocalList {
    /// The version after this change. OCPP has -1 and 0 for "none", and CSMS send them all the same.
    pub version: i32,
    /// The whole list, or changes.
    pub update: UpdateType,
    /// In the CSMS's order; a missing list is an empty one.
    pub entries: Vec<LocalListEntry>,
}

impl SendLocalList {
    pub(super) fn read(fields: &Fields<'_>) -> Result<SendLocalList, Refusal> {
        let version = fields.integer("listVersion")?;
        let update = fields.word("updateType")?;
        let entries = fields.optional_objects("localAuthorizationList", 0..=MOST_ENTRIES)?.unwrap_or_default();
        let entry = |entry: &Fields<'_>| {
            let info = entry.optional_object("idTagInfo")?.map(|info| IdTagInfo::read(&info)).transpose()?;
            // OCPP: "Required when UpdateType is Full".
            if info.is_none() && update == UpdateType::Full {
                return Err(missing(&entry.path("idTagInfo")));
            }
            Ok(LocalListEntry { id_tag: entry.badge("idTag")?, info })
        };
        let entries = entries.iter().map(entry).collect::<Result<_, Refusal>>()?;
        Ok(SendLocalList { version, update, entries })
    }
}
