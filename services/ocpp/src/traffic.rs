//! The traffic with the CSMS, for people: a log of every frame with its number, direction and time, in the order of the
//! wire, written before it is acted on; and counters per action. The log is a text file, no database: it is not synced,
//! it is rotated by size, and a disk that takes nothing more costs lines of it, never the link. Passwords and badges
//! are masked in it; a text that is no JSON is told by its length alone, because nobody knows what it holds.

use busbar_interfaces::ocpp::{ActionCount, TrafficState};
use busbar_interfaces::{BoottimeMillis, UnixMillis};
use busbar_ocpp16::moment;
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Actions that are counted apart; a CSMS cannot fill the memory with invented ones.
const MOST_ACTIONS: usize = 64;
/// The end of the file in which the last frame's number is looked for: one line is never longer than a frame.
const TAIL_BYTES: u64 = 512 * 1024;
/// Fields whose text is a badge: the last characters are enough to tell two apart.
const BADGES: [&str; 2] = ["idTag", "parentIdTag"];
/// Fields that may hold a private key, put there by hand.
const CERTIFICATES: [&str; 4] = ["certificate", "certificateChain", "signingCertificate", "csr"];
const SHOWN_OF_A_BADGE: usize = 2;
const MASK: &str = "****";

/// Which way a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    In,
    Out,
}

/// The log file.
#[derive(Debug)]
pub struct TrafficLog {
    path: PathBuf,
    most_bytes: u64,
    file: Option<File>,
    bytes: u64,
    last_frame: u64,
    failing: bool,
}

impl TrafficLog {
    /// Opens (or makes) the log in a directory, and goes on with its numbers.
    pub fn open(directory: &Path, most_bytes: u64) -> TrafficLog {
        let path = directory.join("traffic.jsonl");
        let last_frame = last_frame(&path).or_else(|| last_frame(&rotated(&path))).unwrap_or(0);
        TrafficLog { path, most_bytes, file: None, bytes: 0, last_frame, failing: false }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of the last line.
    pub fn last_frame(&self) -> u64 {
        self.last_frame
    }

    /// Writes a frame.
    pub fn frame(&mut self, at: UnixMillis, direction: Direction, text: &str) {
        match direction {
            // The station's own frames hold a secret only where they name a badge; a long list of keys need not be
            // taken apart for that.
            Direction::Out if !BADGES.iter().any(|badge| text.contains(badge)) => self.line(at, "out", text),
            Direction::Out => self.line(at, "out", &masked(text)),
            Direction::In => self.line(at, "in", &masked(text)),
        }
    }

    /// Writes what became of the link.
    pub fn link(&mut self, at: UnixMillis, what: &str) {
        self.line(at, "link", &json!(what).to_string());
    }

    /// `shown` is JSON.
    fn line(&mut self, at: UnixMillis, direction: &str, shown: &str) {
        self.last_frame = self.last_frame.saturating_add(1);
        let (frame, time) = (self.last_frame, moment::write(at.0));
        let about = format!(r#"{{"frame":{frame},"time":"{time}","direction":"{direction}","text":"#);
        match self.write(&format!("{about}{shown}}}\n")) {
            Ok(()) => self.failing = false,
            Err(error) => {
                self.file = None;
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(file = %self.path.display(), %error, "the traffic log cannot be written; the link goes on");
                }
            }
        }
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        let bytes = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if self.file.is_some() && self.bytes.saturating_add(bytes) > self.most_bytes {
            fs::rename(&self.path, rotated(&self.path))?;
            self.file = None;
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let mut file = OpenOptions::new().append(true).read(true).create(true).open(&self.path)?;
                self.bytes = file.metadata()?.len();
                if is_torn(&mut file, self.bytes)? {
                    file.write_all(b"\n")?;
                    self.bytes = self.bytes.saturating_add(1);
                }
                none.insert(file)
            }
        };
        // One write for each line: it is there whole, or not, when the process is killed.
        file.write_all(line.as_bytes())?;
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }
}

/// The last line was cut off by a power failure.
fn is_torn(file: &mut File, bytes: u64) -> io::Result<bool> {
    let mut last = [0];
    if bytes == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::Start(bytes.saturating_sub(1)))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

fn rotated(path: &Path) -> PathBuf {
    path.with_extension("jsonl.1")
}

/// The number in the last whole line of a log.
#[allow(clippy::disallowed_methods, reason = "this is the port to the log's files")]
fn last_frame(path: &Path) -> Option<u64> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES))).ok()?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).ok()?;
    let tail = String::from_utf8_lossy(&tail);
    tail.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok()?.get("frame")?.as_u64())
}

/// A frame as it may be shown, in JSON.
fn masked(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(mut frame) => {
            mask(&mut frame);
            frame.to_string()
        }
        Err(_) => json!(format!("({} bytes that are not JSON)", text.len())).to_string(),
    }
}

/// Takes badges, passwords and what may hold a private key out of a frame. Names count in any case: so do some CSMS.
fn mask(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Object(fields) => {
            let is_secret = fields
                .iter()
                .any(|(name, key)| name.eq_ignore_ascii_case("key") && key.as_str().is_some_and(may_name_a_secret));
            for (name, field) in fields.iter_mut() {
                let named = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
                match field {
                    Value::String(text) if named(&BADGES) => *text = masked_badge(text),
                    other if named(&BADGES) || named(&CERTIFICATES) => *other = json!(MASK),
                    other if is_secret && named(&["value"]) => *other = json!(MASK),
                    Value::String(text) => {
                        if let Some(plain) = without_user(text) {
                            *text = plain;
                        }
                    }
                    other => mask(other),
                }
            }
        }
        _ => {}
    }
}

/// A configuration key whose value must not be seen, also when it is misspelled or of another version of OCPP.
fn may_name_a_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    let parts = ["key", "pass", "secret", "token", "pin"];
    parts.iter().any(|part| key.contains(part)) && key != "websocketpinginterval"
}

fn masked_badge(badge: &str) -> String {
    let hidden = badge.chars().count().saturating_sub(SHOWN_OF_A_BADGE);
    format!("{MASK}{}", badge.chars().skip(hidden.max(1)).collect::<String>())
}

/// An address that carries a user or a password, without them.
fn without_user(text: &str) -> Option<String> {
    if !text.contains("://") || !text.contains('@') {
        return None;
    }
    let Ok(mut address) = url::Url::parse(text) else { return Some(MASK.to_owned()) };
    if address.username().is_empty() && address.password().is_none() {
        return None;
    }
    let removed = address.set_username(MASK).and_then(|()| address.set_password(None));
    Some(if removed.is_ok() { address.to_string() } else { MASK.to_owned() })
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    Sent,
    Answered,
    Refused,
    Received,
    Faulted,
}

/// The counters, as they are shown on the bus.
#[derive(Debug, Default)]
pub struct Traffic {
    state: TrafficState,
}

impl Traffic {
    /// Everything at once.
    pub fn state(&self) -> &TrafficState {
        &self.state
    }

    /// Everything at once, to be completed.
    pub fn state_mut(&mut self) -> &mut TrafficState {
        &mut self.state
    }

    /// One more of an action.
    pub fn count(&mut self, action: &str, what: Counted) {
        let actions = &mut self.state.actions;
        let known = actions.iter().position(|count| count.action == action);
        let place = match known {
            Some(place) => place,
            None if actions.len() < MOST_ACTIONS => {
                actions.push(ActionCount { action: action.to_owned(), ..ActionCount::default() });
                actions.len().saturating_sub(1)
            }
            None => return,
        };
        let Some(count) = actions.get_mut(place) else { return };
        let counter = match what {
            Counted::Sent => &mut count.sent,
            Counted::Answered => &mut count.answered,
            Counted::Refused => &mut count.refused,
            Counted::Received => &mut count.received,
            Counted::Faulted => &mut count.faulted,
        };
        *counter = counter.saturating_add(1);
    }

    /// The station's request that is on the wire.
    pub fn in_flight(&mut self, request: Option<(&str, BoottimeMillis)>) {
        let (action, since) = request.unwrap_or(("", BoottimeMillis(0)));
        if self.state.in_flight_action != action {
            action.clone_into(&mut self.state.in_flight_action);
        }
        self.state.in_flight_boottime_millis = since;
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the test reads and breaks files")]
mod tests {
    use super::*;

    const AT: UnixMillis = UnixMillis(1_793_500_000_000);

    fn lines(path: &Path) -> Vec<Value> {
        let text = fs::read_to_string(path).expect("a log");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    #[test]
    fn case_b35_every_frame_has_a_number_a_direction_and_a_time_also_after_a_restart() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut log = TrafficLog::open(directory.path(), 1 << 20);
        log.link(AT, "ws://csms/ is open");
        log.frame(AT, Direction::Out, r#"[2,"1","Heartbeat",{}]"#);
        drop(log);
        let mut log = TrafficLog::open(directory.path(), 1 << 20);
        log.frame(AT, Direction::In, r#"[3,"1",{"currentTime":"x"}]"#);
        let lines = lines(log.path());
        assert_eq!(
            lines.iter().map(|line| (line["frame"].as_u64(), line["direction"].as_str())).collect::<Vec<_>>(),
            [(Some(1), Some("link")), (Some(2), Some("out")), (Some(3), Some("in"))]
        );
        assert_eq!(lines[1]["text"][2], "Heartbeat");
        assert!(lines[1]["time"].as_str().expect("a time").ends_with('Z'));
    }

    #[test]
    fn no_secret_reaches_the_log() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut log = TrafficLog::open(directory.path(), 1 << 20);
        for frame in [
            r#"[2,"1","ChangeConfiguration",{"key":"authorizationKEY","value":"SECRET"}]"#,
            r#"[2,"1","Authorize",{"idTag":"SECRETAB"}]"#,
            r#"[3,"1",{"idTagInfo":{"status":"Accepted","parentIdTag":"SECRETAB"}}]"#,
            r#"[2,"1","SendLocalList",{"localAuthorizationList":[{"idTag":"SECRETAB"}]}]"#,
            r#"[2,"1","GetDiagnostics",{"location":"ftp://user:SECRET@host/path"}]"#,
            r#"[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"SECRET""#,
            r#"[2,"1","ChangeConfiguration",{"Key":"AuthorizationKey","Value":"SECRET"}]"#,
            r#"[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":["SECRET"]}]"#,
            r#"[2,"1","ChangeConfiguration",{"key":"BasicAuthPassword","value":{"a":"SECRET"}}]"#,
            r#"[2,"1","RemoteStartTransaction",{"IDTAG":{"a":"SECRET"}}]"#,
            r#"[2,"1","InstallCertificate",{"certificate":"SECRET"}]"#,
        ] {
            log.frame(AT, Direction::In, frame);
        }
        let text = fs::read_to_string(log.path()).expect("a log");
        assert!(!text.contains("SECRET"), "{text}");
        assert!(text.contains("****AB") && text.contains("ftp://****@host/path") && text.contains("bytes that are"));
    }

    #[test]
    fn a_short_badge_is_not_shown_whole() {
        for (badge, shown) in [("A", "****"), ("AB", "****B"), ("ABC", "****BC"), ("", "****"), ("ÄÖÜß", "****Üß")]
        {
            assert_eq!(masked_badge(badge), shown, "{badge}");
        }
    }

    #[test]
    fn case_b43_the_log_is_bounded_and_goes_on_after_a_torn_line() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut log = TrafficLog::open(directory.path(), 4096);
        for _ in 0..100 {
            log.frame(AT, Direction::Out, r#"[2,"1","Heartbeat",{}]"#);
        }
        assert!(fs::metadata(log.path()).expect("a log").len() <= 4096);
        assert!(fs::metadata(rotated(log.path())).expect("the one before").len() <= 4096);
        let mut file = OpenOptions::new().append(true).open(log.path()).expect("opens");
        file.write_all(b"{\"frame\":1").expect("a power cut");
        drop(log);
        let mut log = TrafficLog::open(directory.path(), 1 << 20);
        assert_eq!(log.last_frame(), 100);
        log.frame(AT, Direction::Out, "[]");
        let text = fs::read_to_string(log.path()).expect("a log");
        let last = text.lines().last().expect("a line");
        assert_eq!(serde_json::from_str::<Value>(last).expect("whole")["frame"], 101);
    }

    #[test]
    fn case_17_a_disk_that_takes_nothing_costs_lines_and_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut log = TrafficLog::open(&directory.path().join("missing"), 4096);
        log.frame(AT, Direction::Out, "[]");
        assert_eq!(log.last_frame(), 1);
        fs::create_dir(directory.path().join("missing")).expect("the disk is back");
        log.frame(AT, Direction::Out, "[]");
        assert_eq!(lines(log.path()).len(), 1);
    }

    #[test]
    fn a_csms_cannot_fill_the_memory_with_actions() {
        let mut traffic = Traffic::default();
        for number in 0..1000 {
            traffic.count(&number.to_string(), Counted::Received);
        }
        traffic.count("0", Counted::Received);
        assert_eq!(traffic.state().actions.len(), MOST_ACTIONS);
        assert_eq!(traffic.state().actions[0].received, 2);
    }
}
