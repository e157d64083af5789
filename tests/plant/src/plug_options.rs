//! The options of a plug-in as they come over the bus, checked one by one.
//!
//! Every fault names the key, the value and the range, because a test author reads it.

use std::collections::HashMap;

use zbus::{OwnedVariant, Variant};

use crate::car::Vehicle;

/// Reads the options into a vehicle; what is not given stays at its usual value.
///
/// # Errors
/// A text that names an unknown key or an impossible value.
pub fn vehicle(options: &HashMap<String, OwnedVariant>) -> Result<Vehicle, String> {
    let mut vehicle = Vehicle::default();
    for (key, value) in options {
        match key.as_str() {
            "StateOfChargePercent" => vehicle.state_of_charge_percent = percent(key, value, 0)?,
            "TargetStateOfChargePercent" => vehicle.target_state_of_charge_percent = percent(key, value, 1)?,
            "CapacityWattHours" => vehicle.capacity_watt_hours = number(key, value, 1, 1_000_000)?,
            "MaximumWatts" => vehicle.maximum_watts = number(key, value, 1, 1_000_000)?,
            "MaximumMilliamperes" => vehicle.maximum_milliamperes = number(key, value, 1, 1_000_000)?,
            "MaximumMillivolts" => vehicle.maximum_millivolts = number(key, value, 60_000, 1_000_000)?,
            "VehicleId" => vehicle.id = identifier(key, value)?,
            _ => {
                return Err(format!(
                    "no option {key:?}; the options are StateOfChargePercent, TargetStateOfChargePercent, \
                     CapacityWattHours, MaximumWatts, MaximumMilliamperes, MaximumMillivolts and VehicleId"
                ));
            }
        }
    }
    Ok(vehicle)
}

/// Reads an even number of hexadecimal digits as bytes.
pub fn bytes_from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text.chars().map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(high << 4 | low).ok(),
        _ => None,
    });
    pairs.collect()
}

fn percent(key: &str, value: &OwnedVariant, least: u32) -> Result<u8, String> {
    number(key, value, least, 100).map(|percent| u8::try_from(percent).unwrap_or(100))
}

fn number(key: &str, value: &OwnedVariant, least: u32, most: u32) -> Result<u32, String> {
    // Any integer type will do: the range is what matters.
    let given: Option<i128> = match &**value {
        Variant::U8(number) => Some((*number).into()),
        Variant::U16(number) => Some((*number).into()),
        Variant::U32(number) => Some((*number).into()),
        Variant::U64(number) => Some((*number).into()),
        Variant::I16(number) => Some((*number).into()),
        Variant::I32(number) => Some((*number).into()),
        Variant::I64(number) => Some((*number).into()),
        _ => None,
    };
    given
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("{key} is {:?}, it must be a whole number from {least} to {most}", &**value))
}

fn identifier(key: &str, value: &OwnedVariant) -> Result<[u8; 6], String> {
    let text = match &**value {
        Variant::Str(text) => Some(text.as_str()),
        _ => None,
    };
    text.and_then(bytes_from_hex)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| format!("{key} is {:?}, it must be a text of 12 hexadecimal digits", &**value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(key: &str, value: Variant<'static>) -> Result<Vehicle, String> {
        vehicle(&HashMap::from([(key.to_owned(), value.try_into_owned().unwrap())]))
    }

    #[test]
    fn options_replace_the_usual_values() {
        assert_eq!(vehicle(&HashMap::new()), Ok(Vehicle::default()));
        let given = read("StateOfChargePercent", Variant::U8(77)).unwrap();
        assert_eq!(given, Vehicle { state_of_charge_percent: 77, ..Vehicle::default() });
        assert_eq!(read("MaximumWatts", Variant::I32(5)).unwrap().maximum_watts, 5);
        let given = read("VehicleId", Variant::from("0102030a0B0c")).unwrap();
        assert_eq!(given.id, [1, 2, 3, 10, 11, 12]);
    }

    #[test]
    fn impossible_values_are_named_with_their_range() {
        for (key, value, range) in [
            ("StateOfChargePercent", Variant::U8(101), "0 to 100"),
            ("TargetStateOfChargePercent", Variant::U8(0), "1 to 100"),
            ("CapacityWattHours", Variant::I32(-1), "1 to 1000000"),
            ("MaximumMillivolts", Variant::from("high"), "60000 to 1000000"),
            ("VehicleId", Variant::from("0102030A0B"), "12 hexadecimal digits"),
            ("Colour", Variant::from("red"), "MaximumWatts"),
        ] {
            let text = read(key, value).unwrap_err();
            assert!(text.contains(key) && text.contains(range), "{text}");
        }
    }
}
