//! The PN532 card reader on its serial line: frames, commands and the card in its field.
//!
//! Pure: bytes and times come in, bytes go out. The pseudo-terminal is in `reader`.

use std::collections::VecDeque;
use std::time::Duration;

const ACK: [u8; 6] = [0x00, 0x00, 0xFF, 0x00, 0xFF, 0x00];
const SYNTAX_ERROR: [u8; 8] = [0x00, 0x00, 0xFF, 0x01, 0xFF, 0x7F, 0x81, 0x00];
const FROM_HOST: u8 = 0xD4;
const TO_HOST: u8 = 0xD5;

const GET_FIRMWARE_VERSION: u8 = 0x02;
const SAM_CONFIGURATION: u8 = 0x14;
const IN_LIST_PASSIVE_TARGET: u8 = 0x4A;

/// Bytes kept of a frame that is not complete yet.
const LONGEST_FRAME: usize = 300;

/// A frame from the host.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Heard {
    Ack,
    Nack,
    Command(Vec<u8>),
}

/// The reader.
#[derive(Debug, Default)]
pub struct Reader {
    received: VecDeque<u8>,
    waiting_for_card: bool,
    card: Option<(Vec<u8>, Duration)>,
    last_answer: Vec<u8>,
}

impl Reader {
    /// Holds a card into the field until a time; it replaces the one that is there. Returns what the reader says.
    pub fn present(&mut self, uid: Vec<u8>, until: Duration) -> Vec<u8> {
        self.card = Some((uid, until));
        if std::mem::take(&mut self.waiting_for_card) { self.list_card().unwrap_or_default() } else { Vec::new() }
    }

    /// Takes bytes from the host and returns what the reader says.
    pub fn receive(&mut self, now: Duration, bytes: &[u8]) -> Vec<u8> {
        self.received.extend(bytes);
        let mut said = Vec::new();
        while let Some(heard) = self.next_frame() {
            // Whatever comes, the host no longer waits for a card.
            self.waiting_for_card = false;
            match heard {
                Heard::Ack => {}
                Heard::Nack => said.extend(&self.last_answer),
                Heard::Command(command) => {
                    said.extend(ACK);
                    said.extend(self.perform(now, &command));
                }
            }
        }
        said
    }

    fn perform(&mut self, now: Duration, command: &[u8]) -> Vec<u8> {
        match command {
            // PN532, version 1.6, all card types.
            [GET_FIRMWARE_VERSION] => self.answer(&[GET_FIRMWARE_VERSION + 1, 0x32, 0x01, 0x06, 0x07]),
            [SAM_CONFIGURATION, _, ..] => self.answer(&[SAM_CONFIGURATION + 1]),
            // Only cards of ISO/IEC 14443 type A exist here.
            [IN_LIST_PASSIVE_TARGET, 1 | 2, baud, ..] => {
                self.card.take_if(|(_, until)| now >= *until);
                let listed = if *baud == 0 { self.list_card() } else { None };
                self.waiting_for_card = listed.is_none() && *baud == 0;
                listed.unwrap_or_default()
            }
            _ => SYNTAX_ERROR.to_vec(),
        }
    }

    fn list_card(&mut self) -> Option<Vec<u8>> {
        let (uid, _) = self.card.as_ref()?;
        let length = u8::try_from(uid.len()).ok()?;
        // The second byte tells the length of the identifier; the card is a plain storage card.
        let sense = match length {
            4 => 0x04,
            7 => 0x44,
            _ => 0x84,
        };
        let mut payload = vec![IN_LIST_PASSIVE_TARGET + 1, 1, 1, 0x00, sense, 0x08, length];
        payload.extend(uid);
        Some(self.answer(&payload))
    }

    fn answer(&mut self, payload: &[u8]) -> Vec<u8> {
        self.last_answer = frame(TO_HOST, payload);
        self.last_answer.clone()
    }

    /// Takes the next whole frame; wake-up bytes and broken frames are skipped.
    fn next_frame(&mut self) -> Option<Heard> {
        loop {
            let bytes = self.received.make_contiguous();
            let Some(start) = bytes.windows(2).position(|pair| pair == [0x00, 0xFF]) else {
                // A last zero may be the first half of a start code.
                let keep = usize::from(bytes.last() == Some(&0));
                let all = bytes.len();
                self.received.drain(..all.saturating_sub(keep));
                return None;
            };
            self.received.drain(..start);
            let (used, heard) = match &*self.received.make_contiguous() {
                [_, _, 0x00, 0xFF, ..] => (4, Some(Heard::Ack)),
                [_, _, 0xFF, 0x00, ..] => (4, Some(Heard::Nack)),
                [_, _, length, check, rest @ ..] if length.wrapping_add(*check) == 0 => {
                    let length = usize::from(*length);
                    let Some((body, [sum, ..])) = rest.split_at_checked(length) else {
                        return None;
                    };
                    let total = body.iter().fold(*sum, |total, byte| total.wrapping_add(*byte));
                    let command = body.strip_prefix(&[FROM_HOST]).filter(|_| total == 0);
                    (length + 5, command.map(|command| Heard::Command(command.to_vec())))
                }
                [_, _, _, _, ..] => (2, None),
                waiting if waiting.len() > LONGEST_FRAME => (2, None),
                _ => return None,
            };
            self.received.drain(..used);
            if heard.is_some() {
                return heard;
            }
        }
    }
}

fn frame(direction: u8, payload: &[u8]) -> Vec<u8> {
    // Commands and answers here are far shorter than the 255 bytes of a normal frame.
    let length = u8::try_from(payload.len() + 1).unwrap_or(u8::MAX);
    let sum = payload.iter().fold(direction, |sum, byte| sum.wrapping_add(*byte));
    let mut frame = vec![0x00, 0x00, 0xFF, length, length.wrapping_neg(), direction];
    frame.extend(payload);
    frame.extend([sum.wrapping_neg(), 0x00]);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRMWARE: [u8; 9] = [0x00, 0x00, 0xFF, 0x02, 0xFE, 0xD4, 0x02, 0x2A, 0x00];
    const LIST: [u8; 11] = [0x00, 0x00, 0xFF, 0x04, 0xFC, 0xD4, 0x4A, 0x01, 0x00, 0xE1, 0x00];
    const NOW: Duration = Duration::from_secs(1);

    fn acked(answer: &[u8]) -> Vec<u8> {
        [&ACK, answer].concat()
    }

    #[test]
    fn it_wakes_up_and_tells_its_version() {
        let mut reader = Reader::default();
        let wake_up = [&[0x55, 0x55][..], &[0; 14], &FIRMWARE].concat();
        let version = [0x00, 0x00, 0xFF, 0x06, 0xFA, 0xD5, 0x03, 0x32, 0x01, 0x06, 0x07, 0xE8, 0x00];
        assert_eq!(reader.receive(NOW, &wake_up), acked(&version));
        let configure = frame(FROM_HOST, &[0x14, 1, 0, 1]);
        assert_eq!(reader.receive(NOW, &configure), acked(&frame(TO_HOST, &[0x15])));
        assert_eq!(reader.receive(NOW, &frame(FROM_HOST, &[0x99])), acked(&SYNTAX_ERROR));
    }

    #[test]
    fn bytes_may_come_one_by_one_and_broken_frames_are_skipped() {
        let mut reader = Reader::default();
        let mut broken = FIRMWARE;
        broken[7] ^= 1;
        let stream = [&broken[..], &[0x12, 0x00, 0xFF, 0x33, 0x44], &FIRMWARE].concat();
        let said: Vec<u8> = stream.iter().flat_map(|byte| reader.receive(NOW, &[*byte])).collect();
        assert_eq!(said.len(), ACK.len() + 13);
    }

    #[test]
    fn a_pending_request_is_answered_when_the_card_comes() {
        let mut reader = Reader::default();
        assert_eq!(reader.receive(NOW, &LIST), ACK);
        let said = reader.present(vec![0xDE, 0xAD, 0xBE, 0xEF], NOW * 2);
        let expected = frame(TO_HOST, &[0x4B, 1, 1, 0x00, 0x04, 0x08, 4, 0xDE, 0xAD, 0xBE, 0xEF]);
        assert_eq!(said, expected);
        // Still in the field: at once. Gone: not any more.
        assert_eq!(reader.receive(NOW, &LIST), acked(&expected));
        assert_eq!(reader.receive(NOW * 2, &LIST), ACK);
    }

    #[test]
    fn an_ack_or_a_new_command_takes_the_request_back() {
        for withdrawn in [&ACK[..], &FIRMWARE] {
            let mut reader = Reader::default();
            reader.receive(NOW, &LIST);
            reader.receive(NOW, withdrawn);
            assert!(reader.present(vec![1, 2, 3, 4], NOW * 2).is_empty());
        }
    }

    #[test]
    fn a_nack_repeats_the_answer() {
        let mut reader = Reader::default();
        let said = reader.receive(NOW, &FIRMWARE);
        assert_eq!(reader.receive(NOW, &[0x00, 0x00, 0xFF, 0xFF, 0x00, 0x00]), said[ACK.len()..]);
    }
}
