//! OCPP's date-times: RFC 3339 on the wire, milliseconds since 1970 here.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;

/// Reads a date-time; one without an offset counts as UTC. What lies before 1970 (some CSMS write the year 1 for "from
/// the beginning") is the first millisecond after it, because a keeper of dates may hold zero for "no date". The last
/// day of the year 9999 (some write it for "without an end") is the last moment that there is.
pub fn read(text: &str) -> Option<u64> {
    let timestamp = text.parse::<Timestamp>().ok().or_else(|| {
        let civil = text.parse::<DateTime>().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |zoned| zoned.timestamp()))
    });
    let timestamp = timestamp.or_else(|| {
        let pieces = Pieces::parse(text).ok()?;
        (pieces.time().is_some() && pieces.date() == Date::MAX).then_some(Timestamp::MAX)
    })?;
    Some(u64::try_from(timestamp.as_millisecond()).unwrap_or(0).max(1))
}

/// Writes RFC 3339 in UTC with milliseconds.
pub fn write(unix_millis: u64) -> String {
    let millis = i64::try_from(unix_millis).unwrap_or(i64::MAX);
    // A moment beyond the year 9999 is a clock that was never set right.
    format!("{:.3}", Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The last moment that there is, in milliseconds.
    const LAST: u64 = 253_402_207_200_999;

    #[test]
    fn moments_are_read() {
        for (text, millis) in [
            ("2024-03-01T12:00:00Z", Some(1_709_294_400_000)),
            ("2024-03-01T12:00:00.250Z", Some(1_709_294_400_250)),
            ("2024-03-01T13:00:00.5+01:00", Some(1_709_294_400_500)),
            ("2024-03-01T12:00:00", Some(1_709_294_400_000)),
            ("2024-03-01T12:00:00.1234567Z", Some(1_709_294_400_123)),
            ("0001-01-01T00:00:00Z", Some(1)),
            ("1970-01-01T00:00:00Z", Some(1)),
            ("9999-12-31T23:59:59Z", Some(LAST)),
            ("9999-12-31T23:59:59.9999999Z", Some(LAST)),
            ("9999-12-31T23:59:59+01:00", Some(LAST)),
            ("9999-12-31T23:59:59", Some(LAST)),
            ("9999-12-31T25:00:00Z", None),
            ("2024-02-30T12:00:00Z", None),
            ("2024-03-01T25:00:00Z", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(read(text), millis, "{text}");
        }
    }

    #[test]
    fn a_moment_is_written_with_milliseconds() {
        assert_eq!(write(1_709_294_400_250), "2024-03-01T12:00:00.250Z");
        assert_eq!(write(0), "1970-01-01T00:00:00.000Z");
        assert!(write(u64::MAX).starts_with("9999-12-30T"));
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in ".{0,40}") {
            let _ = read(&text);
        }

        #[test]
        fn what_is_written_is_read_back(millis in 1u64..253_000_000_000_000) {
            prop_assert_eq!(read(&write(millis)), Some(millis));
        }
    }
}
