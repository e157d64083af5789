//! How many bits a frame is on the wire (ISO 11898-1, classic frames). Pure. Stuffing is not estimated: every bit up to
//! the checksum is known, so the bits that the controller puts in are counted.

use super::Frame;

/// Delimiters, acknowledgement and end of the frame, and the pause after it: none of them is stuffed.
const AFTER_THE_CHECKSUM: u32 = 13;
/// The generator of the 15-bit checksum.
const POLYNOMIAL: u16 = 0x4599;
/// After so many equal bits one of the other kind is put in.
const LONGEST_RUN: u8 = 5;

/// The frame's bits on the wire, with stuffing and the pause after it.
pub fn bits(frame: &Frame) -> u32 {
    let mut wire = Wire::default();
    wire.put(0, 1);
    if frame.is_extended() {
        // SRR and IDE are recessive; RTR and two reserved bits are not.
        wire.put(frame.id() >> 18, 11);
        wire.put(0b11, 2);
        wire.put(frame.id(), 18);
    } else {
        wire.put(frame.id(), 11);
    }
    wire.put(0, 3);
    wire.put(u32::try_from(frame.data().len()).unwrap_or(8), 4);
    frame.data().iter().for_each(|byte| wire.put(u32::from(*byte), 8));
    wire.put(u32::from(wire.checksum), 15);
    wire.bits.saturating_add(AFTER_THE_CHECKSUM)
}

#[derive(Default)]
struct Wire {
    bits: u32,
    last: Option<bool>,
    run: u8,
    checksum: u16,
}

impl Wire {
    /// Puts the lowest `count` bits, the highest of them first.
    fn put(&mut self, value: u32, count: u32) {
        for place in (0..count).rev() {
            self.bit((value >> place) & 1 == 1);
        }
    }

    fn bit(&mut self, bit: bool) {
        let divides = bit != (self.checksum & 0x4000 != 0);
        self.checksum = (self.checksum << 1) & 0x7FFF;
        if divides {
            self.checksum ^= POLYNOMIAL;
        }
        self.bits = self.bits.saturating_add(1);
        self.run = if self.last == Some(bit) { self.run.saturating_add(1) } else { 1 };
        self.last = Some(bit);
        if self.run == LONGEST_RUN {
            self.bits = self.bits.saturating_add(1);
            (self.last, self.run) = (Some(!bit), 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_checksum_is_that_of_can() {
        // The check value of CRC-15/CAN in the catalogue of parametrised CRC algorithms.
        let mut wire = Wire::default();
        b"123456789".iter().for_each(|byte| wire.put(u32::from(*byte), 8));
        assert_eq!(wire.checksum, 0x059E);
    }

    #[test]
    fn frames_have_their_fields_and_their_stuffing() {
        // 34 zeros in a row take a bit after each five: 5, 10, 15, 20, 25, 30, as the bit put in breaks the run.
        assert_eq!(bits(&Frame::standard(0, &[])), 47 + 6);
        for (frame, least, most) in [
            (Frame::standard(0x555, &[0x55; 8]), 47 + 64, 47 + 64 + 24),
            (Frame::extended(0x0283_01F0, &[0; 8]), 67 + 64 + 10, 67 + 64 + 29),
            (Frame::extended(0x1555_5555, &[0xAA; 8]), 67 + 64, 67 + 64 + 8),
        ] {
            let bits = bits(&frame);
            assert!((least..=most).contains(&bits), "{frame:?}: {bits}");
        }
    }

    proptest! {
        #[test]
        fn no_frame_is_shorter_than_its_fields_or_longer_than_the_worst_stuffing(
            id: u32, extended: bool, data in proptest::collection::vec(any::<u8>(), 0..=8)
        ) {
            let frame = if extended { Frame::extended(id, &data) } else { Frame::standard(id, &data) };
            let length = u32::try_from(data.len()).expect("small") * 8;
            let (fields, stuffed) = if extended { (67 + length, 54 + length) } else { (47 + length, 34 + length) };
            prop_assert!((fields..=fields + (stuffed - 1) / 4).contains(&bits(&frame)));
        }
    }
}
