//! The plant's alarms: every danger that came about, when, and which fault excuses it.
//!
//! An alarm without an excuse is a violation: the station could have prevented it.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::fault::Fault;

/// Number of alarms kept of each sort.
const KEPT: usize = 100;

/// A danger that came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    /// Time since the start of the plant.
    pub at: Duration,
    /// What happened.
    pub text: String,
    /// The fault that made it unavoidable.
    pub excuse: Option<Fault>,
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s: {}", self.at.as_secs_f64(), self.text)?;
        self.excuse.map_or(Ok(()), |fault| write!(f, " [{fault}]"))
    }
}

/// All alarms of the plant.
#[derive(Clone, Debug, Default)]
pub struct Alarms {
    violations: VecDeque<Alarm>,
    hazards: VecDeque<Alarm>,
}

impl Alarms {
    /// Notes an alarm; the oldest ones make room.
    pub fn note(&mut self, alarm: Alarm) {
        match alarm.excuse {
            None => tracing::warn!(violation = %alarm, "the station did what no station may do"),
            Some(_) => tracing::info!(hazard = %alarm, "a fault did what no station may do"),
        }
        if alarm.excuse.is_none() {
            keep(&mut self.violations, alarm.clone());
        }
        keep(&mut self.hazards, alarm);
    }

    /// What the station could have prevented, newest last.
    pub fn violations(&self) -> impl Iterator<Item = &Alarm> {
        self.violations.iter()
    }

    /// Everything that was dangerous, newest last.
    pub fn hazards(&self) -> impl Iterator<Item = &Alarm> {
        self.hazards.iter()
    }
}

fn keep(alarms: &mut VecDeque<Alarm>, alarm: Alarm) {
    if alarms.len() >= KEPT {
        alarms.pop_front();
    }
    alarms.push_back(alarm);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_fault_excuses_is_a_hazard_and_no_violation() {
        let mut alarms = Alarms::default();
        let fault = Fault::from_name("module-1-silent").ok();
        for (at, excuse) in (0..).zip([None, fault, None]) {
            alarms.note(Alarm { at: Duration::from_millis(at), text: "sparks".to_owned(), excuse });
        }
        let texts = |alarms: Vec<&Alarm>| alarms.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(texts(alarms.violations().collect()), ["0.000 s: sparks", "0.002 s: sparks"]);
        let all = ["0.000 s: sparks", "0.001 s: sparks [module-1-silent]", "0.002 s: sparks"];
        assert_eq!(texts(alarms.hazards().collect()), all);
        (0..KEPT).for_each(|_| alarms.note(Alarm { at: Duration::ZERO, text: String::new(), excuse: None }));
        assert_eq!((alarms.violations().count(), alarms.hazards().count()), (KEPT, KEPT));
    }
}
