//! Figures of the standards that no licensed text was at hand for (hardware notes §9.2): each with the clause that it
//! is said to come from and whether somebody has read it there. Where a figure is a least slope the station is twice as
//! quick, so that a wrong one does no harm.

use busbar_interfaces::Millivolts;
use std::time::Duration;

/// A figure and its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figure<T> {
    /// The figure.
    pub value: T,
    /// Where it is said to stand.
    pub clause: &'static str,
    /// Somebody has read it there.
    pub verified: bool,
}

const fn unverified<T>(value: T, clause: &'static str) -> Figure<T> {
    Figure { value, clause, verified: false }
}

/// Least slope of a normal stop, in milliamperes per second.
pub const NORMAL_RAMP_DOWN: Figure<u32> = unverified(100_000, "IEC 61851-23, normal shutdown");
/// Least slope of an error stop, likewise.
pub const ERROR_RAMP_DOWN: Figure<u32> = unverified(200_000, "IEC 61851-23, error shutdown");
/// In an emergency the current is at or below this ...
pub const EMERGENCY_CURRENT: Figure<u32> = unverified(5_000, "IEC 61851-23, emergency shutdown");
/// ... within this time of the trigger; a fault stop ends within it as well (hardware notes §6.1).
pub const EMERGENCY_TIME: Figure<Duration> = unverified(Duration::from_secs(1), "IEC 61851-23, emergency shutdown");
/// Voltage above what was negotiated is borne this long.
pub const OVER_VOLTAGE_TIME: Figure<Duration> =
    unverified(Duration::from_millis(400), "IEC 61851-23, overvoltage during charge");
/// Cable check and precharge: no more current than this, in milliamperes.
pub const TEST_CURRENT: Figure<u32> = unverified(2_000, "IEC 61851-23, CC.4.1");
/// The test voltage is reached within this of the target, in millivolts ...
pub const TEST_VOLTAGE_BAND: Figure<u32> = unverified(10_000, "IEC 61851-23, CC.4.1");
/// ... within this time, or the output is off: what is short-circuited never gets there (§6.3.1.109).
pub const TEST_VOLTAGE_TIME: Figure<Duration> = unverified(Duration::from_secs(10), "IEC 61851-23, CC.4.1");
/// The vehicle closes its contactors within this of its battery's voltage, in millivolts.
pub const PRECHARGE_BAND: Figure<u32> = unverified(20_000, "IEC 61851-23, CC.5.1");
/// A side is dead below this.
pub const DEAD_VOLTAGE: Figure<Millivolts> = unverified(Millivolts(60_000), "IEC 61851-23, 60 V DC");
/// Likewise, as everybody compares with it: connectors, modules, the relay matrix.
pub const DEAD: Millivolts = DEAD_VOLTAGE.value;
/// The station's budget for the cable check: the vehicle waits 40 s.
pub const CABLE_CHECK_TIME: Figure<Duration> = unverified(Duration::from_secs(35), "ISO 15118-2, V2G_EV_CableCheck");
/// The station's budget for the precharge: the vehicle waits 7 s.
pub const PRECHARGE_TIME: Figure<Duration> = unverified(Duration::from_secs(5), "ISO 15118-2, V2G_EV_PreCharge");

#[cfg(test)]
mod tests {
    use super::*;

    /// What contradicts itself does not compile.
    const _: () = {
        assert!(ERROR_RAMP_DOWN.value >= NORMAL_RAMP_DOWN.value);
        assert!(CABLE_CHECK_TIME.value.as_secs() < 40 && PRECHARGE_TIME.value.as_secs() < 7);
        assert!(TEST_VOLTAGE_TIME.value.as_secs() < CABLE_CHECK_TIME.value.as_secs());
    };

    #[test]
    fn a_figure_that_is_called_verified_names_its_clause_number() {
        let figures = [NORMAL_RAMP_DOWN, ERROR_RAMP_DOWN, EMERGENCY_CURRENT, TEST_CURRENT, TEST_VOLTAGE_BAND];
        for figure in figures {
            let numbered = figure.clause.chars().filter(|letter| *letter == '.').count() >= 2;
            assert!(!figure.verified || numbered, "{figure:?}");
        }
    }
}
