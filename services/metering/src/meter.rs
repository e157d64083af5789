//! What the answers of one meter mean: present, absent, implausible. Pure; time is in the answers.

use crate::acrel::Registers;
use busbar_interfaces::metering::{MeterState, Reading};
use busbar_interfaces::{Condition, ConnectorId};
use busbar_runtime::Moment;

/// DTC of a meter that fails, from the guide's table.
const METER_FAILURE: &str = "0x10020F";
/// A meter is absent after this many exchanges in a row that failed.
const MISSES_UNTIL_ABSENT: u32 = 3;

/// One meter and what is known of it.
#[derive(Debug, Clone)]
pub struct Meter {
    connector: ConnectorId,
    /// Model, address and unit, as they stand in the fault's text.
    place: String,
    state: MeterState,
    misses: u32,
    last_failure: String,
}

impl Meter {
    /// A meter that has not been heard yet: absent until it answers.
    pub fn new(connector: ConnectorId, model: &str, place: String) -> Meter {
        let state = MeterState { present: false, model: model.to_owned(), reading: Reading::default() };
        Meter { connector, place, state, misses: 0, last_failure: String::new() }
    }

    /// Takes in what one exchange brought.
    pub fn answered(&mut self, now: Moment, answer: Result<Registers, String>) -> Result<Reading, String> {
        match answer {
            Ok(registers) => {
                if registers.energy < self.state.reading.energy_milliwatt_hours && self.state.present {
                    tracing::warn!(
                        connector = self.connector.0,
                        before_milliwatt_hours = self.state.reading.energy_milliwatt_hours.0,
                        now_milliwatt_hours = registers.energy.0,
                        "the meter's register went back: it was exchanged or reset"
                    );
                }
                if !self.state.present {
                    tracing::info!(connector = self.connector.0, meter = self.place, "the meter answers");
                }
                self.misses = 0;
                self.state.present = true;
                self.state.reading = Reading {
                    energy_milliwatt_hours: registers.energy,
                    millivolts: registers.voltage,
                    milliamperes: registers.current,
                    watts: registers.power,
                    sampled_boottime_millis: now.boottime,
                    sampled_unix_millis: now.unix,
                    // The models that are known here sign nothing.
                    signed_data: String::new(),
                };
                Ok(self.state.reading.clone())
            }
            Err(failure) => {
                self.misses = self.misses.saturating_add(1);
                if self.misses == MISSES_UNTIL_ABSENT {
                    tracing::error!(connector = self.connector.0, meter = self.place, failure, "the meter is lost");
                    self.state.present = false;
                }
                self.last_failure.clone_from(&failure);
                Err(format!("meter {} of connector {} does not answer: {failure}", self.place, self.connector))
            }
        }
    }

    /// What its object shows.
    pub fn state(&self) -> &MeterState {
        &self.state
    }

    /// The fault that is there while the meter is not.
    pub fn condition(&self) -> Option<Condition> {
        (self.misses >= MISSES_UNTIL_ABSENT).then(|| Condition {
            code: METER_FAILURE.to_owned(),
            connector: self.connector,
            detail: format!("meter {}: {}", self.place, self.last_failure),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use busbar_interfaces::MilliwattHours;

    fn meter() -> Meter {
        Meter::new(ConnectorId(1), "acrel-djsf1352-rn", "acrel-djsf1352-rn at 10.0.0.1:502 unit 1".to_owned())
    }

    #[test]
    fn a_meter_is_lost_after_three_misses_and_found_by_one_answer() {
        let mut meter = meter();
        for miss in 1..=3 {
            assert!(meter.answered(Moment::default(), Err("refused".to_owned())).is_err());
            assert_eq!(meter.condition().is_some(), miss == 3);
        }
        let condition = meter.condition().expect("lost");
        assert_eq!(condition.code, "0x10020F");
        assert!(condition.detail.contains("10.0.0.1:502") && condition.detail.contains("refused"));
        let answer = Registers { energy: MilliwattHours(5), ..Registers::default() };
        let reading = meter.answered(Moment::default(), Ok(answer)).expect("a reading");
        assert_eq!((reading.energy_milliwatt_hours, reading.signed_data.as_str()), (MilliwattHours(5), ""));
        assert_eq!(meter.condition(), None);
        assert!(meter.state().present);
    }
}
