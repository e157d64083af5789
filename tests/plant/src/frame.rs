//! One classic CAN frame, as it travels between the hub, the power modules and the vehicle boards.
//!
//! It knows nothing about what the bytes mean; that is the business of `infypower` and `advantics`.

use std::fmt;

/// A classic CAN frame with up to eight data bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    id: u32,
    extended: bool,
    bytes: [u8; 8],
    length: usize,
}

/// Why a frame cannot exist.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FrameError {
    /// More than eight data bytes.
    #[error("a frame carries at most 8 bytes, not {0}")]
    TooLong(usize),
    /// The identifier does not fit its format.
    #[error("identifier {0:X} is too large for its format")]
    Identifier(u32),
}

impl Frame {
    /// A frame with a 29-bit or an 11-bit identifier.
    ///
    /// # Errors
    /// When the identifier or the data do not fit.
    pub fn new(id: u32, extended: bool, data: &[u8]) -> Result<Self, FrameError> {
        let largest = if extended { 0x1FFF_FFFF } else { 0x7FF };
        if id > largest {
            return Err(FrameError::Identifier(id));
        }
        let mut bytes = [0; 8];
        bytes.get_mut(..data.len()).ok_or(FrameError::TooLong(data.len()))?.copy_from_slice(data);
        Ok(Self { id, extended, bytes, length: data.len() })
    }

    /// A 29-bit frame whose payload has its length fixed by the caller's type; the identifier is cut to 29 bits.
    pub fn extended<const LENGTH: usize>(id: u32, data: [u8; LENGTH]) -> Self {
        const { assert!(LENGTH <= 8, "a frame carries at most 8 bytes") };
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(data) {
            *to = from;
        }
        Self { id: id & 0x1FFF_FFFF, extended: true, bytes, length: LENGTH }
    }

    /// The identifier.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// True for a 29-bit identifier.
    pub fn is_extended(&self) -> bool {
        self.extended
    }

    /// The data bytes.
    pub fn data(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// All eight bytes, the missing ones as zero.
    pub fn padded(&self) -> [u8; 8] {
        self.bytes
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.extended { 8 } else { 3 };
        write!(f, "{:0digits$X}#", self.id)?;
        self.data().iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}
