//! The register map of the Acrel DJSF1352-RN meter, addresses 0 to 19.
//!
//! Values are a raw word and a decimal exponent beside it: value = raw x 10^(exponent - 3). The exponent moves
//! with the size of the value, as a reader must expect. Energy is in tenths of a watt hour, high word first.

use crate::meter::Meter;

/// Number of registers served.
pub const REGISTERS: usize = 20;

/// The smallest exponent the plant uses: hundredths.
const FINEST_EXPONENT: i32 = 1;

/// The registers as they stand now.
pub fn registers(meter: &Meter) -> [u16; REGISTERS] {
    let (volts, volts_exponent) = scaled(meter.volts().max(0.0));
    let (amperes, amperes_exponent) = scaled(meter.amperes());
    let (watts, watts_exponent) = scaled(meter.volts() * meter.amperes());
    let recorded = meter.recorded();
    let [import_high, import_low] = tenths_of_watt_hours(recorded.import_milliwatt_hours);
    let [export_high, export_low] = tenths_of_watt_hours(recorded.export_milliwatt_hours);
    let mut map = [0; REGISTERS];
    let values = [
        (0, volts),
        (1, volts_exponent),
        (2, amperes),
        (3, amperes_exponent),
        // 4: broken wire, none. 5: temperature in tenths of a degree.
        (5, 250),
        (8, watts),
        (9, watts_exponent),
        (12, import_high),
        (13, import_low),
        (14, export_high),
        (15, export_low),
        // 16: ratio of the voltage transformer. 17: rated current.
        (16, 1),
        (17, 300),
    ];
    for (address, value) in values {
        if let Some(register) = map.get_mut(address) {
            *register = value;
        }
    }
    map
}

/// A value as signed 16-bit word and exponent, as fine as it fits.
fn scaled(value: f64) -> (u16, u16) {
    let mut exponent = FINEST_EXPONENT;
    loop {
        let raw = (value * 10_f64.powi(3 - exponent)).round();
        if raw.abs() <= f64::from(i16::MAX) || exponent > 6 {
            // The two's complement of the word; a value beyond every exponent saturates.
            return (raw as i16 as u16, exponent as u16);
        }
        exponent += 1;
    }
}

/// High and low word of an energy in tenths of a watt hour; it rolls over like the meter's register.
fn tenths_of_watt_hours(milliwatt_hours: u64) -> [u16; 2] {
    let tenths = milliwatt_hours / 100;
    [(tenths >> 16) as u16, tenths as u16]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::meter::Readings;

    fn value(map: &[u16; REGISTERS], address: usize) -> f64 {
        f64::from(map[address] as i16) * 10_f64.powi(i32::from(map[address + 1]) - 3)
    }

    #[test]
    fn momentary_values_carry_their_exponent() {
        let mut meter = Meter::default();
        for (volts, amperes) in [(0.0, 0.0), (412.37, 1.25), (999.9, 600.0), (350.0, -0.4)] {
            meter.step(Duration::ZERO, volts, amperes);
            let map = registers(&meter);
            assert!((value(&map, 0) - volts).abs() < 0.1);
            assert!((value(&map, 2) - amperes).abs() < 0.1);
            assert!((value(&map, 8) - volts * amperes).abs() <= 50.0);
        }
        assert_eq!(scaled(412.37), (4124, 2));
        assert_eq!(scaled(-0.4), (40_i16.wrapping_neg() as u16, 1));
    }

    #[test]
    fn energy_is_in_tenths_high_word_first() {
        let readings = Readings { import_milliwatt_hours: 6_553_599, export_milliwatt_hours: 250 };
        assert_eq!(registers(&Meter::restored(readings))[12..16], [0, 65_535, 0, 2]);
        let map = registers(&Meter::restored(Readings { import_milliwatt_hours: 6_553_800, ..readings }));
        assert_eq!(map[12..14], [1, 2]);
    }
}
