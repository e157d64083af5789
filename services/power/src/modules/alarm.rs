//! What a module can report of itself, in words that do not depend on its maker, and how bad each of them is
//! (hardware notes §1.1, "severity mapping").

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What an alarm means for the use of its module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// No fault: what the module does.
    State,
    /// It works on; somebody should look.
    Warning,
    /// Not to be used until it has been clear for a while.
    Unavailable,
    /// Must not be used.
    Unusable,
}

/// A report of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alarm {
    /// The output is short-circuited.
    OutputShort,
    /// The module is broken.
    ModuleFault,
    /// Two modules have one address or serial number.
    DuplicateAddress,
    /// The output voltage was too high.
    OutputOverVoltage,
    /// The output voltage is too low.
    OutputUnderVoltage,
    /// Its share of the current is far from that of its neighbours, so far that it must not be used.
    OutputImbalance,
    /// Its output relay does not follow.
    OutputRelayFault,
    /// Its bleeder resistor is broken.
    BleederFault,
    /// Its inner bus is too high.
    InnerBusOverVoltage,
    /// Its inner bus is too low.
    InnerBusUnderVoltage,
    /// The halves of its inner bus differ.
    InnerBusUnbalanced,
    /// Its two stages do not hear each other.
    InnerLinkFault,
    /// Its mains stage is broken.
    PfcFault,
    /// Its output stage is broken.
    DcdcFault,
    /// A fan stands still, and the module with it.
    FanStopped,
    /// A fan's driver is broken, likewise.
    FanDriverFault,
    /// A protection has tripped.
    Protection,
    /// Too hot.
    OverTemperature,
    /// Too cold.
    UnderTemperature,
    /// A mains phase is missing.
    InputPhaseLost,
    /// The mains are too high.
    InputOverVoltage,
    /// The mains are too low.
    InputUnderVoltage,
    /// A fan is faulty.
    FanFault,
    /// Its share of the current is far from that of its neighbours.
    CurrentImbalance,
    /// It gives less than its rating.
    Derating,
    /// The mains phases differ.
    InputUnbalanced,
    /// Its inner communication is disturbed.
    InternalCommunication,
    /// Mains or inner bus are abnormal.
    InputOrBusAbnormal,
    /// Its output did not discharge as it should.
    DischargeAbnormal,
    /// It sleeps.
    Sleeping,
    /// Its output is off.
    OutputOff,
    /// It starts softly.
    WalkIn,
    /// Its mains stage is off.
    PfcOff,
    /// It misses its controller.
    ControllerLost,
}

impl Alarm {
    /// How bad it is. Bits that the mapping of the hardware notes does not name are warnings.
    pub fn severity(self) -> Severity {
        match self {
            Alarm::OutputShort
            | Alarm::ModuleFault
            | Alarm::DuplicateAddress
            | Alarm::OutputOverVoltage
            | Alarm::OutputUnderVoltage
            | Alarm::OutputImbalance
            | Alarm::OutputRelayFault
            | Alarm::BleederFault
            | Alarm::InnerBusOverVoltage
            | Alarm::InnerBusUnderVoltage
            | Alarm::InnerBusUnbalanced
            | Alarm::InnerLinkFault
            | Alarm::PfcFault
            | Alarm::DcdcFault
            | Alarm::FanStopped
            | Alarm::FanDriverFault => Severity::Unusable,
            Alarm::Protection
            | Alarm::OverTemperature
            | Alarm::UnderTemperature
            | Alarm::InputPhaseLost
            | Alarm::InputOverVoltage
            | Alarm::InputUnderVoltage => Severity::Unavailable,
            Alarm::FanFault
            | Alarm::CurrentImbalance
            | Alarm::Derating
            | Alarm::InputUnbalanced
            | Alarm::InternalCommunication
            | Alarm::InputOrBusAbnormal
            | Alarm::DischargeAbnormal => Severity::Warning,
            Alarm::Sleeping | Alarm::OutputOff | Alarm::WalkIn | Alarm::PfcOff | Alarm::ControllerLost => {
                Severity::State
            }
        }
    }

    /// Its kebab-case word.
    pub fn word(self) -> &'static str {
        match self {
            Alarm::OutputShort => "output-short",
            Alarm::ModuleFault => "module-fault",
            Alarm::DuplicateAddress => "duplicate-address",
            Alarm::OutputOverVoltage => "output-over-voltage",
            Alarm::OutputUnderVoltage => "output-under-voltage",
            Alarm::OutputImbalance => "output-imbalance",
            Alarm::OutputRelayFault => "output-relay-fault",
            Alarm::BleederFault => "bleeder-fault",
            Alarm::InnerBusOverVoltage => "inner-bus-over-voltage",
            Alarm::InnerBusUnderVoltage => "inner-bus-under-voltage",
            Alarm::InnerBusUnbalanced => "inner-bus-unbalanced",
            Alarm::InnerLinkFault => "inner-link-fault",
            Alarm::PfcFault => "pfc-fault",
            Alarm::DcdcFault => "dcdc-fault",
            Alarm::FanStopped => "fan-stopped",
            Alarm::FanDriverFault => "fan-driver-fault",
            Alarm::Protection => "protection",
            Alarm::OverTemperature => "over-temperature",
            Alarm::UnderTemperature => "under-temperature",
            Alarm::InputPhaseLost => "input-phase-lost",
            Alarm::InputOverVoltage => "input-over-voltage",
            Alarm::InputUnderVoltage => "input-under-voltage",
            Alarm::FanFault => "fan-fault",
            Alarm::CurrentImbalance => "current-imbalance",
            Alarm::Derating => "derating",
            Alarm::InputUnbalanced => "input-unbalanced",
            Alarm::InternalCommunication => "internal-communication",
            Alarm::InputOrBusAbnormal => "input-or-bus-abnormal",
            Alarm::DischargeAbnormal => "discharge-abnormal",
            Alarm::Sleeping => "sleeping",
            Alarm::OutputOff => "output-off",
            Alarm::WalkIn => "walk-in",
            Alarm::PfcOff => "pfc-off",
            Alarm::ControllerLost => "controller-lost",
        }
    }
}

/// The worst of a set; states when there is none.
pub fn worst(alarms: &BTreeSet<Alarm>) -> Severity {
    alarms.iter().map(|alarm| alarm.severity()).max().unwrap_or(Severity::State)
}

/// The words of those that are no mere states, for people.
pub fn words(alarms: &BTreeSet<Alarm>) -> String {
    let told = alarms.iter().filter(|alarm| alarm.severity() > Severity::State);
    told.map(|alarm| alarm.word()).collect::<Vec<_>>().join(", ")
}

/// The alarms of the bits that are set in a word.
pub fn of_bits(word: u32, table: &[(u32, Alarm)]) -> impl Iterator<Item = Alarm> {
    table.iter().filter(move |(bit, _)| word.checked_shr(*bit).unwrap_or(0) & 1 == 1).map(|(_, alarm)| *alarm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_an_alarm_is_how_it_travels() {
        for alarm in [Alarm::OutputShort, Alarm::DcdcFault, Alarm::InnerBusUnderVoltage, Alarm::WalkIn, Alarm::PfcOff] {
            assert_eq!(serde_json::to_string(&alarm).expect("a word"), format!("{:?}", alarm.word()));
        }
    }

    #[test]
    fn states_are_not_told_and_the_worst_counts() {
        let alarms = BTreeSet::from([Alarm::WalkIn, Alarm::FanFault, Alarm::OverTemperature]);
        assert_eq!(words(&alarms), "over-temperature, fan-fault");
        assert_eq!(worst(&alarms), Severity::Unavailable);
        assert_eq!(worst(&BTreeSet::new()), Severity::State);
    }
}
