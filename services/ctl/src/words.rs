//! How moments, spans of time, numbers and texts from elsewhere are written for a person at a terminal. Pure.

use busbar_interfaces::UnixMillis;
use jiff::Timestamp;

/// What stands for something that is not there.
pub const NOTHING: &str = "-";

/// A moment of the wall clock to the second, in UTC; [`NOTHING`] for 0.
pub fn moment(at: UnixMillis) -> String {
    let seconds = i64::try_from(at.0 / 1000).ok().filter(|seconds| *seconds > 0);
    let shown = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    shown.map_or_else(|| NOTHING.to_owned(), |shown| shown.to_string())
}

/// A span of time in its two largest units.
pub fn span(millis: u64) -> String {
    let seconds = millis / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let two = |many: u64, large: &str, few: u64, small: &str| match few {
        0 => format!("{many} {large}"),
        _ => format!("{many} {large} {few} {small}"),
    };
    match seconds {
        0 => format!("{millis} ms"),
        1..60 => format!("{seconds} s"),
        60..3600 => two(minutes, "min", seconds % 60, "s"),
        3600..86_400 => two(hours, "h", minutes, "min"),
        _ => two(days, "d", hours, "h"),
    }
}

/// A moment of the wall clock and how long ago it was.
pub fn since(at: UnixMillis, now: UnixMillis) -> String {
    if at.0 == 0 {
        return NOTHING.to_owned();
    }
    format!("{} ({} ago)", moment(at), span(now.0.saturating_sub(at.0)))
}

/// A moment of the wall clock to come and how long it is until then.
pub fn until(at: UnixMillis, now: UnixMillis) -> String {
    match at.0.checked_sub(now.0) {
        Some(left) => format!("{}, in {}", moment(at), span(left)),
        None => moment(at),
    }
}

/// A number of things.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A number of bytes.
pub fn bytes(number: u64) -> String {
    match number {
        0..10_240 => count(number, "byte", "bytes"),
        10_240..10_485_760 => format!("{} KiB", number / 1024),
        _ => format!("{} MiB", number / 1_048_576),
    }
}

/// A text that came from elsewhere, on one line and without power over the terminal.
pub fn line(text: &str) -> String {
    escaped(text, |_| false)
}

/// The same over several lines.
pub fn lines(text: &str) -> String {
    escaped(text, |character| matches!(character, '\n' | '\t'))
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        // What turns the direction of the text round could make one thing look like another.
        let turns = matches!(character, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
        if (character.is_control() || turns) && !stays(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_in_their_two_largest_units() {
        for (millis, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1 s"),
            (59_999, "59 s"),
            (60_000, "1 min"),
            (61_000, "1 min 1 s"),
            (7_380_000, "2 h 3 min"),
            (86_400_000, "1 d"),
            (460_800_000, "5 d 8 h"),
        ] {
            assert_eq!(span(millis), text);
        }
    }

    #[test]
    fn moments_in_utc() {
        assert_eq!(moment(UnixMillis(1_767_225_600_999)), "2026-01-01T00:00:00Z");
        assert_eq!(moment(UnixMillis(0)), "-");
        assert_eq!(moment(UnixMillis(u64::MAX)), "-", "a clock that makes no sense");
        assert_eq!(
            since(UnixMillis(1_767_225_600_000), UnixMillis(1_767_225_604_000)),
            "2026-01-01T00:00:00Z (4 s ago)"
        );
        assert_eq!(since(UnixMillis(0), UnixMillis(5)), "-");
        let midnight = UnixMillis(1_767_225_600_000);
        assert_eq!(until(midnight, UnixMillis(1_767_225_596_000)), "2026-01-01T00:00:00Z, in 4 s");
        assert_eq!(until(midnight, UnixMillis(1_767_225_600_001)), "2026-01-01T00:00:00Z", "it is over");
    }

    #[test]
    fn numbers_of_bytes_are_readable() {
        assert_eq!((bytes(1).as_str(), bytes(10_239).as_str()), ("1 byte", "10239 bytes"));
        assert_eq!((bytes(10_240).as_str(), bytes(20_971_520).as_str()), ("10 KiB", "20 MiB"));
    }

    #[test]
    fn a_text_from_elsewhere_has_no_power_over_the_terminal() {
        assert_eq!(line("a\u{1b}[2Jb\nc\u{9b}d"), r"a\u{1b}[2Jb\nc\u{9b}d");
        assert_eq!(line("\u{202E}x äöü €"), r"\u{202e}x äöü €");
        assert_eq!(lines("a\tb\nc\u{1b}"), "a\tb\nc\\u{1b}");
    }
}
