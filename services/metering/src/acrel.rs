//! The register map of the Acrel DJSF1352-RN (read with function 03): voltage, current and power as a number with a
//! decimal exponent register, energy as a 32-bit counter, high word first. Source: the maker's register list.

use busbar_interfaces::{Milliamperes, Millivolts, MilliwattHours, Watts};

/// The model's name in the station file.
pub const MODEL: &str = "acrel-djsf1352-rn";
/// First register of the block that one reading takes.
pub const FIRST_REGISTER: u16 = 0;
/// Registers 0 to 13 carry everything in one exchange, so the values belong together.
pub const REGISTERS: u16 = 14;

/// What one exchange with the meter says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Registers {
    /// Import register.
    pub energy: MilliwattHours,
    /// Voltage.
    pub voltage: Millivolts,
    /// Current towards the vehicle; a current the other way counts as none.
    pub current: Milliamperes,
    /// Power towards the vehicle; likewise.
    pub power: Watts,
}

/// Why a block of registers is not a reading.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Implausible {
    /// The meter sent fewer registers than were asked for.
    #[error("the meter sent {0} registers, {REGISTERS} were asked for")]
    TooShort(usize),
    /// A decimal exponent is outside what the display can show.
    #[error("the exponent {0} is not one of the meter's")]
    Exponent(u16),
}

/// Reads the block.
pub fn decode(registers: &[u16], count_milliwatt_hours: u64) -> Result<Registers, Implausible> {
    let &[v, v_exponent, i, i_exponent, _, _, _, _, p, p_exponent, _, _, import_high, import_low, ..] = registers
    else {
        return Err(Implausible::TooShort(registers.len()));
    };
    let counts = (u64::from(import_high) << 16) | u64::from(import_low);
    let milli = |raw: i64, exponent: u16| -> Result<u32, Implausible> {
        // The value is raw · 10^(exponent − 3) units, so raw · 10^exponent thousandths of a unit.
        let factor = match exponent {
            0..=6 => 10i64.pow(u32::from(exponent)),
            _ => return Err(Implausible::Exponent(exponent)),
        };
        Ok(u32::try_from(raw.saturating_mul(factor).max(0)).unwrap_or(u32::MAX))
    };
    let signed = |raw: u16| i64::from(i16::from_be_bytes(raw.to_be_bytes()));
    Ok(Registers {
        energy: MilliwattHours(counts.saturating_mul(count_milliwatt_hours)),
        voltage: Millivolts(milli(i64::from(v), v_exponent)?),
        current: Milliamperes(milli(signed(i), i_exponent)?),
        // Scaled like the others; that the unit is the watt is an assumption to check on the device.
        power: Watts(milli(signed(p), p_exponent)? / 1000),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_block_with_known_values() {
        let mut block = [0u16; 14];
        block[0] = 4012; // 401.2 V
        block[1] = 2;
        block[2] = 1250; // 125.0 A
        block[3] = 2;
        block[8] = 5015; // 50.15 kW
        block[9] = 4;
        block[12] = 1;
        block[13] = 2;
        assert_eq!(
            decode(&block, 100),
            Ok(Registers {
                energy: MilliwattHours(6_553_800),
                voltage: Millivolts(401_200),
                current: Milliamperes(125_000),
                power: Watts(50_150),
            })
        );
    }

    #[test]
    fn a_short_block_and_a_foreign_exponent_are_refused() {
        assert_eq!(decode(&[0; 13], 100), Err(Implausible::TooShort(13)));
        let mut block = [0u16; 14];
        block[1] = 40;
        assert_eq!(decode(&block, 100), Err(Implausible::Exponent(40)));
    }

    proptest! {
        #[test]
        fn no_block_is_a_panic(block in proptest::collection::vec(any::<u16>(), 0..20), count in any::<u64>()) {
            let _ = decode(&block, count);
        }
    }
}
