//! OCPP's date-times: RFC 3339 on the wire, milliseconds since 1970 here.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Reads a date-time; one without an offset counts as UTC. What lies before 1970 (some CSMS write the year 1 for "from
/// the beginning") is the first millisecond after it, because a keeper of dates may hold zero for "no date".
pub fn read(text: &str) -> Option<u64> {
    let timestamp = text.parse::<Timestamp>().ok().or_else(|| {
        let civil = text.parse::<DateTime>().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
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
