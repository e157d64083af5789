//! What the PN532 reader chip says: frames cut out of the serial line's bytes, commands and answers. Pure; the serial
//! line is in `reader`. Source: NXP UM0701-02, sections 6.2 (frames) and 7.3.5 (InListPassiveTarget).

use pn532::requests::{Command, SAMMode};
use pn532::{Interface, Pn532, Request};
use std::convert::Infallible;
use std::task::Poll;

/// Brings the chip out of power-down: two bytes to wake it and the time to do so.
pub const WAKE_UP: [u8; 16] = [0x55, 0x55, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// The longest answer of a normal frame without its two leading bytes.
const LONGEST_ANSWER: usize = 253;
/// Bytes that are kept while no frame begins in them; more is noise.
const MOST_BYTES: usize = 1024;

/// A command of this reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Work as a plain reader.
    Configure,
    /// Say who you are; proves that the chip is there.
    Identify,
    /// Wait for a card.
    ListCard,
}

/// The chip said something that is not an answer to what it was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the reader's answer cannot be understood: {0}")]
pub struct Garbled(String);

/// The chip as a conversation of frames.
pub struct Chip {
    protocol: Pn532<Wire, (), 272>,
}

/// What goes over the line: the library writes here and reads the one frame that was put here.
#[derive(Default)]
struct Wire {
    to_chip: Vec<u8>,
    from_chip: Vec<u8>,
}

impl Interface for Wire {
    type Error = Infallible;

    fn write(&mut self, frame: &mut [u8]) -> Result<(), Infallible> {
        self.to_chip.extend_from_slice(frame);
        Ok(())
    }

    fn wait_ready(&mut self) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Infallible> {
        for (to, from) in buffer.iter_mut().zip(self.from_chip.drain(..)) {
            *to = from;
        }
        Ok(())
    }
}

impl Chip {
    /// A chip that was told nothing yet.
    pub fn new() -> Chip {
        Chip { protocol: Pn532::new_async(Wire::default()) }
    }

    /// The bytes of a command.
    pub fn order(&mut self, order: Order) -> Vec<u8> {
        // Writing into memory cannot fail.
        let _ = match order {
            Order::Configure => self.protocol.send(&Request::sam_configuration(SAMMode::Normal, true)),
            Order::Identify => self.protocol.send(&Request::GET_FIRMWARE_VERSION),
            Order::ListCard => self.protocol.send(&Request::INLIST_ONE_ISO_A_TARGET),
        };
        std::mem::take(&mut self.protocol.interface.to_chip)
    }

    /// The bytes that end a command without an answer.
    pub fn abort(&mut self) -> Vec<u8> {
        // Writing into memory cannot fail.
        let _ = self.protocol.abort();
        std::mem::take(&mut self.protocol.interface.to_chip)
    }

    /// Checks that a frame acknowledges the command.
    ///
    /// # Errors
    /// When it does not.
    pub fn acknowledged(&mut self, frame: Vec<u8>) -> Result<(), Garbled> {
        self.protocol.interface.from_chip = frame;
        self.protocol.receive_ack().map_err(|error| Garbled(format!("{error:?}")))
    }

    /// The content of the frame that answers a command.
    ///
    /// # Errors
    /// When it is not such a frame.
    pub fn answer(&mut self, order: Order, frame: Vec<u8>) -> Result<Vec<u8>, Garbled> {
        self.protocol.interface.from_chip = frame;
        let command = match order {
            Order::Configure => Command::SAMConfiguration,
            Order::Identify => Command::GetFirmwareVersion,
            Order::ListCard => Command::InListPassiveTarget,
        };
        let answer = self.protocol.receive_response(command, LONGEST_ANSWER);
        answer.map(<[u8]>::to_vec).map_err(|error| Garbled(format!("{error:?}")))
    }
}

/// Cuts the first frame out of the bytes that were heard; what comes before it is noise.
pub fn next_frame(heard: &mut Vec<u8>) -> Option<Vec<u8>> {
    loop {
        let start = heard.windows(3).position(|bytes| bytes == [0x00, 0x00, 0xFF]);
        let Some(start) = start else {
            // The last two bytes may be the beginning of a start code.
            let noise = if heard.len() > MOST_BYTES { heard.len().saturating_sub(2) } else { 0 };
            heard.drain(..noise);
            return None;
        };
        heard.drain(..start);
        let length = match heard.as_slice() {
            [_, _, _, 0x00, 0xFF, ..] | [_, _, _, 0xFF, 0x00, ..] => 6,
            [_, _, _, length, check, ..] if length.wrapping_add(*check) == 0 => usize::from(*length).saturating_add(7),
            [_, _, _, _, _, ..] => {
                heard.drain(..1);
                continue;
            }
            _ => return None,
        };
        return (heard.len() >= length).then(|| heard.drain(..length).collect());
    }
}

/// The identifier of the card in an answer to [`Order::ListCard`], if there is a card.
pub fn identifier(answer: &[u8]) -> Option<&[u8]> {
    // Number of targets, then for the first: its number, SENS_RES (2), SEL_RES, length of the identifier.
    match answer {
        [targets, _, _, _, _, length, rest @ ..] if *targets > 0 => rest.get(..usize::from(*length)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ACK: [u8; 6] = [0x00, 0x00, 0xFF, 0x00, 0xFF, 0x00];
    /// The answer to InListPassiveTarget for a storage card with a four-byte identifier.
    const CARD: [u8; 19] = [
        0x00, 0x00, 0xFF, 0x0C, 0xF4, 0xD5, 0x4B, 0x01, 0x01, 0x00, 0x04, 0x08, 0x04, 0x12, 0x67, 0x58, 0x32, 0xCB,
        0x00,
    ];

    #[test]
    fn the_bytes_of_the_commands() {
        let mut chip = Chip::new();
        assert_eq!(chip.order(Order::Identify), [0x00, 0x00, 0xFF, 0x02, 0xFE, 0xD4, 0x02, 0x2A, 0x00]);
        assert_eq!(chip.order(Order::ListCard), [0, 0, 0xFF, 0x04, 0xFC, 0xD4, 0x4A, 0x01, 0x00, 0xE1, 0x00]);
        assert_eq!(chip.order(Order::Configure), [0, 0, 0xFF, 5, 0xFB, 0xD4, 0x14, 1, 0, 1, 0x16, 0x00]);
        assert_eq!(chip.abort(), ACK);
    }

    #[test]
    fn a_card_out_of_noise_and_pieces() {
        let mut chip = Chip::new();
        let mut heard = vec![0x55, 0x00, 0xFF];
        heard.extend(ACK);
        heard.extend(&CARD[..7]);
        let frame = next_frame(&mut heard).expect("the acknowledgement");
        assert_eq!(chip.acknowledged(frame), Ok(()));
        assert_eq!(next_frame(&mut heard), None);
        heard.extend(&CARD[7..]);
        let frame = next_frame(&mut heard).expect("the answer");
        let answer = chip.answer(Order::ListCard, frame).expect("a card");
        assert_eq!(identifier(&answer), Some([0x12, 0x67, 0x58, 0x32].as_slice()));
        assert!(heard.is_empty());
    }

    #[test]
    fn what_is_broken_is_not_an_answer() {
        let mut chip = Chip::new();
        let mut broken = CARD;
        broken[14] ^= 1;
        assert!(chip.answer(Order::ListCard, broken.to_vec()).is_err());
        assert!(chip.answer(Order::Identify, CARD.to_vec()).is_err());
        assert!(chip.acknowledged(CARD.to_vec()).is_err());
        assert_eq!(identifier(&[0]), None);
        assert_eq!(identifier(&[1, 1, 0, 4, 8, 7, 1, 2]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic(mut heard in proptest::collection::vec(prop_oneof![Just(0u8), Just(0xFF), any::<u8>()], 0..600)) {
            let mut chip = Chip::new();
            while let Some(frame) = next_frame(&mut heard) {
                let _ = chip.acknowledged(frame.clone());
                if let Ok(answer) = chip.answer(Order::ListCard, frame) {
                    let _ = identifier(&answer);
                }
            }
        }
    }
}
