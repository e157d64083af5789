//! The text of the socketcand protocol, in its raw mode: `< send ID DLC bytes >` out, `< frame ID TIME bytes >` and
//! `< error CLASSES TIME >` in. Three digits of an identifier are 11 bits, eight are 29. Pure.

use crate::can::{ErrorFrame, Frame, Heard};

/// The longest message that the protocol has in raw mode is far shorter; more is not socketcand.
const LONGEST_MESSAGE: usize = 512;

/// A message that does not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endless;

/// Cuts a stream into messages, however its segments fall. What stands outside of `< >` is passed over: after a
/// take-over the stream begins anywhere.
#[derive(Debug, Default)]
pub struct Splitter {
    buffer: Vec<u8>,
}

impl Splitter {
    /// Where bytes go as they arrive.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// The next message without its brackets; `None` until more bytes come.
    pub fn next(&mut self) -> Result<Option<String>, Endless> {
        let begin = self.buffer.iter().position(|byte| *byte == b'<').unwrap_or(self.buffer.len());
        self.buffer.drain(..begin);
        let Some(end) = self.buffer.iter().position(|byte| *byte == b'>') else {
            return if self.buffer.len() > LONGEST_MESSAGE { Err(Endless) } else { Ok(None) };
        };
        let message: Vec<u8> = self.buffer.drain(..=end).collect();
        // A second opening means that the first message was never finished.
        let inside = message.strip_suffix(b">").unwrap_or(&message).rsplit(|byte| *byte == b'<').next();
        Ok(Some(String::from_utf8_lossy(inside.unwrap_or_default()).trim().to_owned()))
    }
}

/// A frame that is to be sent.
pub fn encode(frame: &Frame) -> String {
    let id = if frame.is_extended() { format!("{:08X}", frame.id()) } else { format!("{:03X}", frame.id()) };
    let bytes: String = frame.data().iter().map(|byte| format!(" {byte:02X}")).collect();
    format!("< send {id} {}{bytes} >", frame.data().len())
}

/// A message, if it says something about the bus.
pub fn decode(message: &str) -> Option<Heard> {
    let mut words = message.split_ascii_whitespace();
    match words.next()? {
        "frame" => frame(words).map(Heard::Frame),
        "error" => Some(error_frame(words).map_or_else(|| Heard::Refused(message.to_owned()), Heard::Error)),
        _ => None,
    }
}

fn frame<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Frame> {
    let id = words.next()?;
    let _time = words.next()?;
    let bytes = bytes(words.next().unwrap_or_default())?;
    match (id.len(), number(id)?) {
        (..=3, id) if id <= 0x7FF => Some(Frame::standard(id, &bytes)),
        (4..=8, id) if id <= 0x1FFF_FFFF => Some(Frame::extended(id, &bytes)),
        _ => None,
    }
}

/// An error frame's classes and time. The public server sends no bytes with it; one that does is understood.
fn error_frame<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<ErrorFrame> {
    let classes = words.next().filter(|word| word.len() >= 3).and_then(number)?;
    words.next()?.parse::<f64>().ok()?;
    ErrorFrame::read(classes, &bytes(words.next().unwrap_or_default())?)
}

fn number(digits: &str) -> Option<u32> {
    // The number parser of the language would take a sign, too.
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
}

/// Two digits for each byte, eight bytes at most.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let byte = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(number).and_then(|byte| u8::try_from(byte).ok());
    let whole = digits.len().is_multiple_of(2) && digits.len() <= 16;
    whole.then(|| digits.as_bytes().chunks(2).map(byte).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::can::BusState;
    use proptest::prelude::*;

    fn split(segments: &[&str]) -> Result<Vec<String>, Endless> {
        let (mut splitter, mut messages) = (Splitter::default(), Vec::new());
        for segment in segments {
            splitter.buffer().extend(segment.as_bytes());
            while let Some(message) = splitter.next()? {
                messages.push(message);
            }
        }
        Ok(messages)
    }

    #[test]
    fn messages_are_cut_out_of_what_comes() {
        #[rustfmt::skip]
        let cases: [(&str, &[&str], &[&str]); 10] = [
            ("one",                       &["< hi >"],                             &["hi"]),
            ("joined",                    &["< ok >< ok >\n< echo >"],             &["ok", "ok", "echo"]),
            ("split in a word",           &["< fra", "me 1 2 ", "33 >"],           &["frame 1 2 33"]),
            ("split in a bracket",        &["<", " hi ", ">", "< ok", ">"],        &["hi", "ok"]),
            ("no blanks",                 &["<hi><ok>"],                           &["hi", "ok"]),
            ("begun in mid-message",      &["0 43FA >< frame 1 2 33 >"],           &["frame 1 2 33"]),
            ("begun there, split",        &["83F001 1.0", " 43 ", ">", "< hi >"],  &["hi"]),
            ("never finished",            &["< frame 123 1.0 0< frame 1 2 33 >"],  &["frame 1 2 33"]),
            ("rubbish between",           &["< hi > > >> \0ü < ok >"],             &["hi", "ok"]),
            ("nothing inside",            &["<><  >"],                             &["", ""]),
        ];
        for (what, segments, messages) in cases {
            assert_eq!(split(segments).expect("ends"), messages, "{what}");
        }
    }

    #[test]
    fn a_message_without_an_end_is_refused_and_rubbish_outside_is_not_kept() {
        assert_eq!(split(&["< ", &"x".repeat(600)]), Err(Endless));
        let mut splitter = Splitter::default();
        splitter.buffer().extend("x".repeat(100_000).as_bytes());
        assert_eq!(splitter.next(), Ok(None));
        assert!(splitter.buffer().is_empty());
    }

    #[test]
    fn frames_as_the_protocol_writes_them() {
        assert_eq!(encode(&Frame::extended(0x0283_01F0, &[0, 0xA1])), "< send 028301F0 2 00 A1 >");
        assert_eq!(encode(&Frame::standard(0x108, &[])), "< send 108 0 >");
        let got = |frame| Some(Heard::Frame(frame));
        let said = |state, counters| Some(Heard::Error(ErrorFrame { state, counters }));
        let refused = |text: &str| Some(Heard::Refused(text.to_owned()));
        #[rustfmt::skip]
        let cases = [
            ("frame 0283F001 1700000000.123456 43FA0000", got(Frame::extended(0x0283_F001, &[0x43, 0xFA, 0, 0]))),
            ("frame 108 1.0 ",                            got(Frame::standard(0x108, &[]))),
            ("frame 108 1.0 0011223344556677FF",          None),
            ("frame 108 1.0 001",                         None),
            ("frame 108 1.0 +1",                          None),
            ("frame 800 1.0 00",                          None),
            ("frame 20000000 1.0 00",                     None),
            ("frame zz 1.0 00",                           None),
            ("frame 108",                                 None),
            ("ok",                                        None),
            ("",                                          None),
            ("error 040 1700000000.5",                    said(Some(BusState::BusOff), None)),
            ("error 100 1.0",                             said(Some(BusState::Active), None)),
            ("error 204 1.0",                             said(None, None)),
            ("error 204 1.0 0020000000008005",            said(Some(BusState::Passive), Some((128, 5)))),
            ("error could not open bus",                  refused("error could not open bus")),
            ("error bad frame",                           refused("error bad frame")),
            ("error",                                     refused("error")),
        ];
        for (message, expected) in cases {
            assert_eq!(decode(message), expected, "{message}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(segments in proptest::collection::vec("(< ?)?((frame|error) )?[0-9A-Fa-f<>. +éx]{0,60}", 0..8)) {
            let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
            for message in split(&segments).unwrap_or_default() {
                let _ = decode(&message);
            }
        }

        #[test]
        fn no_bytes_are_a_panic(bytes: Vec<u8>) {
            let mut splitter = Splitter::default();
            splitter.buffer().extend(bytes);
            while let Ok(Some(message)) = splitter.next() {
                let _ = decode(&message);
            }
        }

        #[test]
        fn rule_wherever_the_stream_is_cut_the_frames_after_it_are_all_read(
            cut in 0usize..=28, segments in proptest::collection::vec(1usize..20, 1..40)
        ) {
            let stream: String = (0..8).map(|number| format!("< frame 0283F00{number} 1.0 43FA >\n")).collect();
            let (mut splitter, mut numbers, mut rest) = (Splitter::default(), Vec::new(), &stream[cut..]);
            for length in segments.into_iter().chain([usize::MAX]) {
                let (now, later) = rest.split_at(length.min(rest.len()));
                splitter.buffer().extend(now.as_bytes());
                rest = later;
                while let Some(message) = splitter.next().expect("ends") {
                    if let Some(Heard::Frame(frame)) = decode(&message) {
                        numbers.push(frame.id() & 0xF);
                    }
                }
            }
            let first = if cut == 0 { 0 } else { 1 };
            prop_assert_eq!(numbers, (first..8).collect::<Vec<u32>>());
        }
    }
}
