//! A decimal number with one place, as OCPP writes the limits of charging schedules, without floating point.

use serde_json::Value;
use std::fmt;

/// Beyond any charging rate, and exact in a JSON number.
const MOST: f64 = 1e12;
/// What computing in binary fractions may leave of 21.3 is still 21.3.
const ROUNDING: f64 = 1e-4;

/// A number of tenths: `Tenths(163)` is 16.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tenths(pub i64);

impl Tenths {
    /// So many whole ones.
    pub fn of_whole(whole: u32) -> Tenths {
        Tenths(i64::from(whole) * 10)
    }

    /// The whole ones, rounded down.
    pub fn whole(self) -> i64 {
        self.0.div_euclid(10)
    }

    /// A number with at most one decimal place; nothing when it has more, or is too large.
    pub(crate) fn of(number: f64) -> Option<Tenths> {
        let tenths = (number * 10.0).round();
        let close = (number * 10.0 - tenths).abs() <= ROUNDING;
        // The bound is checked first, so the conversion is exact.
        (tenths.abs() <= MOST && close).then_some(Tenths(tenths as i64))
    }

    /// As a JSON number: `16`, `16.3`.
    pub(crate) fn to_json(self) -> Value {
        if self.0 % 10 == 0 { Value::from(self.0 / 10) } else { Value::from(self.0 as f64 / 10.0) }
    }
}

impl fmt::Display for Tenths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_json())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_29_a_limit_has_one_decimal_place() {
        for (number, tenths) in [
            (0.0, Some(0)),
            (16.3, Some(163)),
            (-0.1, Some(-1)),
            (11_000.0, Some(110_000)),
            (7.1 * 3.0, Some(213)),
            (16.35, None),
            (0.001, None),
            (1e300, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(Tenths::of(number), tenths.map(Tenths), "{number}");
        }
        assert_eq!(Tenths::of_whole(60_000).whole(), 60_000);
        assert_eq!(Tenths(19).whole(), 1);
        assert_eq!(Tenths(163).to_string(), "16.3");
        assert_eq!(Tenths(160).to_json().to_string(), "16");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(tenths in -10_000_000_000i64..10_000_000_000) {
            let text = Tenths(tenths).to_json().to_string();
            let value: Value = serde_json::from_str(&text).expect("JSON");
            prop_assert_eq!(Tenths::of(value.as_f64().expect("a number")), Some(Tenths(tenths)), "{}", text);
        }
    }
}
