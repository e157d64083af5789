//! The log of the traffic with the CSMS, as `ocpp` writes it: its last lines, and what is appended.

use crate::failure::Failure;
use crate::log_file::LogFile;
use crate::output::print;
use crate::words::line;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

/// How often a person who watches sees something new.
const LOOK: Duration = Duration::from_millis(200);

/// Shows the last lines, and with `follow` what is appended until Ctrl-C.
pub async fn show(path: &str, lines: usize, follow: bool) -> Result<(), Failure> {
    if path.is_empty() {
        return Err(Failure::Refused("ocpp keeps no traffic log; its own log says why".to_owned()));
    }
    let path = Path::new(path);
    let failed = |error: std::io::Error| {
        let path = path.display();
        Failure::Refused(format!("the traffic log {path} cannot be read: {error}; run this as a user who may read it"))
    };
    let mut interrupted = signal(SignalKind::interrupt()).map_err(|error| Failure::Internal(error.to_string()))?;
    let (mut log, last) = LogFile::open(path, lines).map_err(failed)?;
    print(&rendered(&last))?;
    if !follow {
        return print(&rendered(&log.rest().into_iter().collect::<Vec<_>>()));
    }
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = interrupted.recv() => return Ok(()),
            _ = look.tick() => print(&rendered(&log.appended().map_err(failed)?))?,
        }
    }
}

#[derive(Deserialize)]
struct Line<'a> {
    frame: u64,
    time: String,
    direction: String,
    #[serde(borrow)]
    text: &'a RawValue,
}

fn rendered(lines: &[Vec<u8>]) -> String {
    lines.iter().map(|bytes| shown(&String::from_utf8_lossy(bytes)) + "\n").collect()
}

/// One line of the log for a person; one that is not of the log's making as it is.
fn shown(text: &str) -> String {
    let Ok(read) = serde_json::from_str::<Line<'_>>(text) else { return line(text) };
    let arrow = match read.direction.as_str() {
        "out" => "->",
        "in" => "<-",
        "link" => "--",
        _ => return line(text),
    };
    // A frame is there as JSON; a sentence about the link is a JSON text.
    let said = serde_json::from_str(read.text.get()).unwrap_or_else(|_| read.text.get().to_owned());
    format!("{}  #{}  {arrow}  {}", line(&read.time), read.frame, line(&said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_b35_a_line_shows_its_time_its_number_its_direction_and_the_frame_as_it_was() {
        for (logged, expected) in [
            (
                r#"{"frame":7,"time":"2026-01-01T00:00:00.000Z","direction":"out","text":[2,"1","Heartbeat",{}]}"#,
                r#"2026-01-01T00:00:00.000Z  #7  ->  [2,"1","Heartbeat",{}]"#,
            ),
            (
                r#"{"direction":"in","frame":8,"text":[3,"1",{"z":1,"a":1.50}],"time":"2026-01-01T00:00:00.000Z"}"#,
                r#"2026-01-01T00:00:00.000Z  #8  <-  [3,"1",{"z":1,"a":1.50}]"#,
            ),
            (
                r#"{"frame":9,"time":"T","direction":"link","text":"the CSMS closed the link\u001b[2J"}"#,
                r"T  #9  --  the CSMS closed the link\u{1b}[2J",
            ),
            (r#"{"frame":9,"time":"T","direction":"in","text":"[3,\"1\",{}]"}"#, r#"T  #9  <-  [3,"1",{}]"#),
        ] {
            assert_eq!(shown(logged), expected);
        }
    }

    #[test]
    fn a_line_that_is_not_of_the_logs_making_is_shown_as_it_is() {
        for bad in [
            "",
            "nonsense",
            r#"{"frame":1"#,
            "[]",
            r#"{"frame":-1,"time":"T","direction":"in","text":1}"#,
            r#"{"frame":1,"time":"T","direction":"up","text":1}"#,
        ] {
            assert_eq!(shown(bad), bad);
        }
        assert_eq!(rendered(&[b"\xff\x1b".to_vec(), b"x".to_vec()]), "\u{FFFD}\\u{1b}\nx\n");
    }
}
