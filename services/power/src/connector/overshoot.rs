//! Modules that give more than they are told. Pure.

use super::contactors::follow;
use super::reasons::Reason;
use crate::figures::OVER_VOLTAGE_TIME;
use busbar_interfaces::{BoottimeMillis, Milliamperes, Millivolts};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// More current than asked for is borne this long.
const OVER_CURRENT_LIMIT: Duration = Duration::from_secs(1);
/// Modules that are told to be off have this time.
const OFF_LIMIT: Duration = Duration::from_secs(1);
/// More than this does not flow then.
const CURRENT_WHEN_OFF: Milliamperes = Milliamperes(1_000);

/// How long they have given too much.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Overshoot {
    voltage_since: Option<BoottimeMillis>,
    current_since: Option<BoottimeMillis>,
    off_since: Option<BoottimeMillis>,
    /// Current flows although every module was told to be off.
    pub current_when_off: bool,
}

impl Overshoot {
    /// Compares what they give with what they were `told`; says what is too much, with the figures.
    pub fn watch(
        &mut self,
        now: BoottimeMillis,
        told: Option<(Millivolts, Milliamperes)>,
        transfer: bool,
        (volts, amperes): (Millivolts, Milliamperes),
    ) -> Option<(Reason, String)> {
        let most_voltage = told.map_or(u32::MAX, |(asked, _)| {
            // In transfer the battery is what is protected: only what a measurement may be wrong by.
            if transfer { asked.0.saturating_add(asked.0 / 50).saturating_add(5_000) } else { tenth_more(asked.0) }
        });
        let most_current = told.map_or(u32::MAX, |(_, asked)| asked.0.saturating_add((asked.0 / 10).max(10_000)));
        let off = follow(&mut self.off_since, now, told.is_none());
        self.current_when_off = off > OFF_LIMIT && amperes > CURRENT_WHEN_OFF;
        let high = follow(&mut self.voltage_since, now, volts.0 > most_voltage);
        let much = follow(&mut self.current_since, now, amperes.0 > most_current);
        if high > OVER_VOLTAGE_TIME.value {
            Some((Reason::OverVoltage, format!("{} mV, more than {most_voltage} mV", volts.0)))
        } else if much > OVER_CURRENT_LIMIT {
            Some((Reason::OverCurrent, format!("{} mA, more than {most_current} mA", amperes.0)))
        } else {
            None
        }
    }
}

/// A value and a tenth of it.
pub fn tenth_more(value: u32) -> u32 {
    value.saturating_add(value / 10)
}
