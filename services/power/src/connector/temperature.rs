//! What the plug's temperature allows (hardware notes §6.1): everything up to 80 °C, falling to nothing at 90 °C, and a
//! fault stop above 95 °C. Pure.

use busbar_interfaces::Watts;

/// From here on the power falls ...
const DERATE_FROM: i16 = 80;
/// ... to nothing here.
const DERATE_TO: i16 = 90;
/// Above this the delivery ends.
pub const HARD_LIMIT: i16 = 95;

/// The most power at a temperature; nothing while it does not limit.
pub fn allows(rated: Watts, celsius: Option<i16>) -> Option<Watts> {
    let celsius = celsius.filter(|celsius| *celsius > DERATE_FROM)?;
    let left = u32::from(DERATE_TO.saturating_sub(celsius).max(0).unsigned_abs());
    let whole = u32::from(DERATE_TO.abs_diff(DERATE_FROM));
    Some(Watts(rated.0.saturating_mul(left).checked_div(whole).unwrap_or(0)))
}

/// Whether the plug is too hot: above the hard limit, and then until it has cooled to where nothing is limited.
pub fn is_too_hot(was: bool, celsius: Option<i16>) -> bool {
    celsius.map_or(was, |celsius| celsius > HARD_LIMIT || (was && celsius > DERATE_FROM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_d_linear_from_80_to_90() {
        let table = [
            (None, None),
            (Some(25), None),
            (Some(80), None),
            (Some(81), Some(162_000)),
            (Some(85), Some(90_000)),
            (Some(89), Some(18_000)),
            (Some(90), Some(0)),
            (Some(215), Some(0)),
        ];
        for (celsius, watts) in table {
            assert_eq!(allows(Watts(180_000), celsius), watts.map(Watts), "{celsius:?}");
        }
    }

    #[test]
    fn class_f_above_95_until_it_has_cooled() {
        let (mut hot, mut seen) = (false, Vec::new());
        for celsius in [Some(95), Some(96), None, Some(81), Some(80), Some(90)] {
            hot = is_too_hot(hot, celsius);
            seen.push(hot);
        }
        assert_eq!(seen, [false, true, true, true, false, false]);
    }
}
