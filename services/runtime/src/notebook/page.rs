//! The two pages of a notebook as bytes. A page is a header (magic, length, sequence, checksum) and a body of CBOR. The
//! header is erased first and written last, so that a write that is cut anywhere leaves the other page the newest.

use super::Next;
use crc::{CRC_32_ISCSI, Crc};
use std::borrow::Cow;

/// Bytes of a header.
pub const HEADER: usize = 20;
const MAGIC: [u8; 4] = *b"bbn1";
const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// The two pages.
pub struct Pages<'a>([&'a [u8]; 2]);

/// A page that is whole.
#[derive(Debug, PartialEq, Eq)]
pub struct Whole<'a> {
    /// Which of the two.
    pub page: usize,
    /// The higher, the newer.
    pub sequence: u64,
    /// The state.
    pub body: &'a [u8],
}

/// One write of a part of the file.
#[derive(Debug)]
pub struct Stroke<'a> {
    /// Where in the file.
    pub at: u64,
    /// What.
    pub bytes: Cow<'a, [u8]>,
}

impl<'a> Pages<'a> {
    /// The pages of a file.
    pub fn of(file: &'a [u8]) -> Pages<'a> {
        let (first, second) = file.split_at(file.len() / 2);
        Pages([first, second])
    }

    /// The newer one of those that are whole.
    pub fn newest(&self) -> Option<Whole<'a>> {
        let whole = self.0.iter().enumerate().filter_map(|(page, bytes)| whole(page, bytes));
        whole.max_by_key(|whole| whole.sequence)
    }
}

fn whole(page: usize, bytes: &[u8]) -> Option<Whole<'_>> {
    let (magic, rest) = bytes.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (sequence, rest) = rest.split_first_chunk::<8>()?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    let body = rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let is_whole = *magic == MAGIC && u32::from_le_bytes(*checksum) == check(*length, *sequence, body);
    is_whole.then_some(Whole { page, sequence: u64::from_le_bytes(*sequence), body })
}

fn check(length: [u8; 4], sequence: [u8; 8], body: &[u8]) -> u32 {
    let mut checksum = CHECKSUM.digest();
    checksum.update(&length);
    checksum.update(&sequence);
    checksum.update(body);
    checksum.finalize()
}

/// The writes that put a state in its place, in their order: no header, body, header.
pub fn strokes(next: Next, size: usize, body: &[u8]) -> [Stroke<'_>; 3] {
    let page = HEADER.saturating_add(size).saturating_mul(next.page);
    let at = u64::try_from(page).unwrap_or(u64::MAX);
    let after_the_header = at.saturating_add(HEADER as u64);
    // A body is at most a notebook's size, far below this type's end.
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
    let sequence = next.sequence.to_le_bytes();
    let checksum = check(length, sequence, body).to_le_bytes();
    let header = [&MAGIC[..], &length, &sequence, &checksum].concat();
    [
        Stroke { at, bytes: vec![0; HEADER].into() },
        Stroke { at: after_the_header, bytes: body.into() },
        Stroke { at, bytes: header.into() },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Writes states one after the other; the last one is cut after so many bytes.
    fn file(states: &[Vec<u8>], size: usize, cut: usize) -> Vec<u8> {
        let mut file = vec![0; 2 * (HEADER + size)];
        let mut next = Next::default();
        for (index, state) in states.iter().enumerate() {
            let mut left = if index + 1 == states.len() { cut } else { usize::MAX };
            for stroke in strokes(next, size, state) {
                let from = usize::try_from(stroke.at).expect("small");
                let length = stroke.bytes.len().min(left);
                file[from..from + length].copy_from_slice(&stroke.bytes[..length]);
                left -= length;
            }
            next = next.after();
        }
        file
    }

    proptest! {
        #[test]
        fn a_write_that_is_cut_anywhere_leaves_the_former_state(
            states in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6),
        ) {
            let last = states.last().expect("one at least");
            let former = states.len().checked_sub(2).map(|former| &states[former]);
            let all = 2 * HEADER + last.len();
            for cut in 0..=all {
                let file = file(&states, 40, cut);
                let newest = Pages::of(&file).newest().map(|whole| whole.body);
                // The last bytes of a header may be zeros, as they were before: then it is whole a little earlier.
                let early = newest == Some(last.as_slice()) && cut > all - 4;
                prop_assert!(early || cut == all || newest == former.map(Vec::as_slice), "cut at {cut} of {all}");
            }
            let whole = file(&states, 40, all);
            prop_assert_eq!(Pages::of(&whole).newest().map(|whole| whole.body), Some(last.as_slice()));
        }

        #[test]
        fn bytes_that_nobody_wrote_are_no_state(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(Pages::of(&bytes).newest(), None);
        }

        #[test]
        fn a_changed_byte_is_seen(state in prop::collection::vec(any::<u8>(), 1..40), at in any::<prop::sample::Index>(), bit in 0..8) {
            let mut file = file(std::slice::from_ref(&state), 40, usize::MAX);
            file[at.index(HEADER + state.len())] ^= 1_u8 << bit;
            prop_assert_eq!(Pages::of(&file).newest(), None);
        }
    }
}
