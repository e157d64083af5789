//! The text of the socketcand protocol: requests out of a stream of bytes, and the words of the answers.
//!
//! Pure: the connections are in `socketcand`.

use std::fmt::Write as _;
use std::time::Duration;

use crate::frame::Frame;

/// Greeting of a new connection.
pub const HI: &str = "< hi >";
/// Consent.
pub const OK: &str = "< ok >";
/// Answer to a sign of life.
pub const ECHO: &str = "< echo >";

/// Longest request; the longest valid one is far shorter.
const LONGEST_REQUEST: usize = 256;

/// A request of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Use the bus with this name.
    Open(String),
    /// Receive every frame.
    RawMode,
    /// Are you there?
    Echo,
    /// Send a frame.
    Send(Frame),
}

/// Cuts a stream into requests, however its segments fall.
#[derive(Debug, Default)]
pub struct Parser {
    buffer: Vec<u8>,
}

impl Parser {
    /// Takes bytes as they arrive.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend(bytes);
    }

    /// The next request, or a text that says what was wrong with it; `None` until more bytes come.
    pub fn next_request(&mut self) -> Option<Result<Request, String>> {
        let blanks = self.buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.buffer.drain(..blanks);
        if self.buffer.first()? != &b'<' {
            let rubbish = self.buffer.iter().position(|byte| *byte == b'<').unwrap_or(self.buffer.len());
            self.buffer.drain(..rubbish);
            return Some(Err("text outside of < >".to_owned()));
        }
        let Some(end) = self.buffer.iter().position(|byte| *byte == b'>') else {
            if self.buffer.len() <= LONGEST_REQUEST {
                return None;
            }
            self.buffer.clear();
            return Some(Err("message too long".to_owned()));
        };
        // A second opening means that the first message was never finished.
        let body: Vec<u8> = self.buffer.drain(..=end).collect();
        let text = body.rsplit(|byte| *byte == b'<').next().unwrap_or_default();
        let text = String::from_utf8_lossy(text);
        Some(parse(text.trim_end_matches('>')))
    }
}

fn parse(text: &str) -> Result<Request, String> {
    let mut words = text.split_ascii_whitespace();
    match (words.next(), words.next()) {
        (Some("open"), Some(name)) => Ok(Request::Open(name.to_owned())),
        (Some("rawmode"), None) => Ok(Request::RawMode),
        (Some("echo"), None) => Ok(Request::Echo),
        (Some("send"), Some(id)) => parse_frame(id, words).map(Request::Send),
        (Some(command), _) => Err(format!("unknown or malformed command {command:?}")),
        (None, _) => Err("empty message".to_owned()),
    }
}

fn parse_frame<'a>(id: &str, mut words: impl Iterator<Item = &'a str>) -> Result<Frame, String> {
    // The number of digits tells the format.
    let extended = match id.len() {
        1..=3 => false,
        8 => true,
        _ => return Err(format!("identifier {id:?} has neither 3 nor 8 digits")),
    };
    let number = u32::from_str_radix(id, 16).map_err(|_| format!("identifier {id:?} is not hexadecimal"))?;
    let length = words.next().and_then(|word| word.parse::<usize>().ok()).ok_or("no length")?;
    let data: Vec<u8> = words
        .map(|word| u8::from_str_radix(word, 16).map_err(|_| format!("byte {word:?} is not hexadecimal")))
        .collect::<Result<_, _>>()?;
    if data.len() != length {
        return Err(format!("{} bytes given, {length} announced", data.len()));
    }
    Frame::new(number, extended, &data).map_err(|error| error.to_string())
}

/// A received frame as the client reads it.
pub fn frame(frame: &Frame, at: Duration) -> String {
    let digits = if frame.is_extended() { 8 } else { 3 };
    let mut text = format!("< frame {:0digits$X} {}.{:06} ", frame.id(), at.as_secs(), at.subsec_micros());
    for byte in frame.data() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02X}");
    }
    text.push_str(" >");
    text
}

/// A refusal.
pub fn error(text: &str) -> String {
    format!("< error {} >", text.replace(['<', '>'], ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(segments: &[&str]) -> Vec<Result<Request, String>> {
        let mut parser = Parser::default();
        let mut found = Vec::new();
        for segment in segments {
            parser.feed(segment.as_bytes());
            while let Some(request) = parser.next_request() {
                found.push(request);
            }
        }
        found
    }

    #[test]
    fn several_messages_in_one_segment_and_one_in_many() {
        let whole = "< open modules >< rawmode >\n< send 029A3FF0 8 1 0 0 0 0 0 0 0 ><echo>";
        let at_once = requests(&[whole]);
        let letters: Vec<String> = whole.chars().map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        assert_eq!(at_once, requests(&letters));
        let frame = Frame::extended(0x029A_3FF0, [1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(
            at_once,
            [
                Ok(Request::Open("modules".to_owned())),
                Ok(Request::RawMode),
                Ok(Request::Send(frame)),
                Ok(Request::Echo)
            ]
        );
    }

    #[test]
    fn malformed_messages_are_refused_and_the_next_is_read() {
        for wrong in [
            "< >",
            "< bcmmode >",
            "< open >",
            "< send 12345 0 >",
            "< send 7FF 9 0 0 0 0 0 0 0 0 0 >",
            "< send FFF 0 >",
            "< send 123 2 11 >",
            "< send 123 1 1G >",
            "hello ",
        ] {
            let found = requests(&[wrong, "< echo >"]);
            assert!(matches!(found.as_slice(), [Err(_), Ok(Request::Echo)]), "{wrong}: {found:?}");
        }
        let found = requests(&["< send 123 < echo >"]);
        assert_eq!(found, [Ok(Request::Echo)]);
        let found = requests(&["<", &"x".repeat(LONGEST_REQUEST), " < echo >"]);
        assert!(matches!(found.as_slice(), [Err(_), Ok(Request::Echo)]), "{found:?}");
    }

    #[test]
    fn answers_look_as_documented() {
        let at = Duration::new(17, 4_000);
        let short = Frame::new(0x123, false, &[0xAB, 1]).unwrap();
        assert_eq!(frame(&short, at), "< frame 123 17.000004 AB01 >");
        assert_eq!(frame(&Frame::extended(0x106_B000, [7]), at), "< frame 0106B000 17.000004 07 >");
        assert_eq!(error("no > bus"), "< error no  bus >");
    }
}
