//! Quantities as they travel on the bus: integers in a sub-unit, one type for each unit, so that watts cannot be
//! handed over as milliamperes.

use serde::{Deserialize, Serialize};
use std::fmt;
use zbus::Type;

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident($inner:ty), $symbol:literal) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Type,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{}", $symbol), self.0)
            }
        }
    };
}

unit!(
    /// Power in watts.
    Watts(u32), " W");
unit!(
    /// Energy in thousandths of a watt-hour.
    MilliwattHours(u64), " mWh");
unit!(
    /// Voltage in thousandths of a volt.
    Millivolts(u32), " mV");
unit!(
    /// Current towards the vehicle in thousandths of an ampere.
    Milliamperes(u32), " mA");
unit!(
    /// A share of one hundred; 255 when it is not known.
    Percent(u8), " %");
unit!(
    /// Milliseconds of CLOCK_BOOTTIME: never set, goes on in sleep; for deadlines and ages.
    BoottimeMillis(u64), " ms since boot");
unit!(
    /// Milliseconds since 1970-01-01T00:00Z: information, never a deadline.
    UnixMillis(u64), " ms since 1970");
unit!(
    /// A connector as OCPP counts: 1 is A, 2 is B, 0 is the whole station.
    ConnectorId(u32), "");
unit!(
    /// A transaction as this station counts, from 1, never used twice; 0 is none. The CSMS's own number is known to `ocpp` only.
    TransactionId(u64), "");

unit!(
    /// A reservation, by the CSMS's number: any 32-bit number, so that none of them can stand for "none".
    ReservationId(i32), "");

impl Watts {
    /// "No limit" wherever a limit is a property.
    pub const NO_LIMIT: Watts = Watts(u32::MAX);
}

impl Percent {
    /// The value that stands for "not known".
    pub const UNKNOWN: Percent = Percent(u8::MAX);

    /// The share, if it is known.
    pub fn known(self) -> Option<u8> {
        (self.0 <= 100).then_some(self.0)
    }
}

impl MilliwattHours {
    /// Whole watt-hours, rounded down: what OCPP carries.
    pub fn watt_hours(self) -> u64 {
        self.0 / 1000
    }
}

impl ConnectorId {
    /// The station as a whole.
    pub const STATION: ConnectorId = ConnectorId(0);
}

impl BoottimeMillis {
    /// The moment this much later.
    pub fn after(self, duration: std::time::Duration) -> BoottimeMillis {
        BoottimeMillis(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The time since an earlier moment; zero if it is not earlier.
    pub fn since(self, earlier: BoottimeMillis) -> std::time::Duration {
        std::time::Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Millivolts {
    /// The power at this voltage and this current.
    pub fn power(self, current: Milliamperes) -> Watts {
        let watts = u64::from(self.0).saturating_mul(u64::from(current.0)) / 1_000_000;
        Watts(u32::try_from(watts).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_travels_as_its_integer() {
        assert_eq!(<Watts as Type>::SIGNATURE.to_string(), "u");
        assert_eq!(<MilliwattHours as Type>::SIGNATURE.to_string(), "t");
        assert_eq!(<Percent as Type>::SIGNATURE.to_string(), "y");
    }

    #[test]
    fn power_of_a_voltage_and_a_current() {
        assert_eq!(Millivolts(400_000).power(Milliamperes(125_500)), Watts(50_200));
        assert_eq!(Millivolts(u32::MAX).power(Milliamperes(u32::MAX)), Watts(u32::MAX));
    }
}
