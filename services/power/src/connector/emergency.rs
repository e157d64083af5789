//! What is kept of an emergency (hardware notes §9.5, steps 6 and 7): reason, moment, and the last ten seconds before
//! it; and when it may be forgotten. Pure.

use super::reasons::Reason;
use crate::vehicle::advantics::BoardStatus;
use busbar_interfaces::words::Phase;
use busbar_interfaces::{BoottimeMillis, Milliamperes, Millivolts};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

/// A moment is kept this often ...
const EVERY: Duration = Duration::from_millis(100);
/// ... and so many of them: ten seconds.
const KEPT: usize = 100;

/// What was at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// When.
    pub at: BoottimeMillis,
    /// At the output.
    pub voltage: Millivolts,
    /// Likewise.
    pub current: Milliamperes,
    /// What the vehicle asked for.
    pub requested_voltage: Millivolts,
    /// Likewise.
    pub requested_current: Milliamperes,
    /// Where the delivery was.
    pub phase: Phase,
    /// Where the board was.
    pub status: Option<BoardStatus>,
}

/// The last ten seconds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct History(VecDeque<Moment>);

impl History {
    /// Keeps a moment, when one is due.
    pub fn note(&mut self, moment: Moment) {
        if self.0.back().is_none_or(|last| moment.at.since(last.at) >= EVERY) {
            self.push(moment);
        }
    }

    fn push(&mut self, moment: Moment) {
        while self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back(moment);
    }

    /// A delivery begins: what was before belongs to another vehicle.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The moments up to and with this one.
    fn until(&self, moment: Moment) -> Vec<Moment> {
        let mut history = self.clone();
        history.push(moment);
        history.0.into()
    }
}

/// A latched emergency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latch {
    /// Why.
    pub reason: Reason,
    /// What was seen, where there are figures.
    pub detail: Option<String>,
    /// When.
    pub at: BoottimeMillis,
    /// The ten seconds before, the moment itself last.
    pub snapshot: Vec<Moment>,
}

impl Latch {
    /// In words.
    pub fn text(&self) -> String {
        let detail = self.detail.as_ref().map_or_else(String::new, |detail| format!(" ({detail})"));
        format!(
            "{}{detail} in a delivery; clears when the cause and the vehicle are gone, or on reset",
            self.reason.text()
        )
    }
}

/// The emergencies of a connector.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Emergencies {
    latched: Vec<Latch>,
    last: Option<Latch>,
}

impl Emergencies {
    /// Latches a reason; once until it is forgotten.
    pub fn latch(&mut self, reason: Reason, detail: Option<String>, history: &History, moment: Moment) {
        if self.latched.iter().any(|latch| latch.reason == reason) {
            return;
        }
        self.latched.push(Latch { reason, detail, at: moment.at, snapshot: history.until(moment) });
    }

    /// What is latched.
    pub fn latched(&self) -> &[Latch] {
        &self.latched
    }

    /// The emergency that was forgotten last, with its snapshot.
    #[cfg_attr(not(test), expect(dead_code, reason = "shown by the report of the connector"))]
    pub fn last(&self) -> Option<&Latch> {
        self.last.as_ref()
    }

    /// Forgets those of which `may_go` says so.
    pub fn forget(&mut self, may_go: impl Fn(Reason) -> bool) {
        let (gone, stay) = std::mem::take(&mut self.latched).into_iter().partition(|latch| may_go(latch.reason));
        self.latched = stay;
        let gone: Vec<Latch> = gone;
        self.last = gone.into_iter().next_back().or_else(|| self.last.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(at: u64) -> Moment {
        Moment {
            at: BoottimeMillis(at),
            voltage: Millivolts(400_000),
            current: Milliamperes(60_000),
            requested_voltage: Millivolts(420_000),
            requested_current: Milliamperes(60_000),
            phase: Phase::Delivering,
            status: Some(BoardStatus::Charging),
        }
    }

    #[test]
    fn rule_9_5_6_the_snapshot_is_the_last_ten_seconds_and_no_more() {
        let mut history = History::default();
        for at in (0..60_000).step_by(10) {
            history.note(moment(at));
        }
        let mut emergencies = Emergencies::default();
        emergencies.latch(Reason::Tilt, None, &history, moment(59_995));
        emergencies.latch(Reason::Tilt, None, &history, moment(60_100));
        let [latch] = emergencies.latched() else { panic!("one: {emergencies:?}") };
        assert_eq!((latch.at, latch.snapshot.len()), (BoottimeMillis(59_995), KEPT));
        assert_eq!(latch.snapshot[0].at, BoottimeMillis(50_100));
        assert_eq!(latch.snapshot[KEPT - 1].at, BoottimeMillis(59_995));
    }

    #[test]
    fn what_is_forgotten_last_can_still_be_read() {
        let mut emergencies = Emergencies::default();
        for reason in [Reason::Tilt, Reason::Unplugged] {
            emergencies.latch(reason, None, &History::default(), moment(1));
        }
        emergencies.forget(|reason| reason == Reason::Unplugged);
        assert_eq!(emergencies.latched().len(), 1);
        assert_eq!(emergencies.last().map(|latch| latch.reason), Some(Reason::Unplugged));
        emergencies.forget(|_| false);
        assert_eq!(emergencies.last().map(|latch| latch.reason), Some(Reason::Unplugged));
    }
}
