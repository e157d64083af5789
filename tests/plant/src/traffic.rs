//! The wire of a CAN bus with its faults: which frames pass, how often, and when.
//!
//! Pure: `plant` asks it about each frame and delivers what it lets through. Losses follow a fixed sequence from the
//! moment the fault begins, so that a test sees the same ones each time.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;

use crate::cabinet::Bus;
use crate::fault::{Fault, Faults, Kind};
use crate::frame::Frame;
use crate::hub::MemberId;

/// Where the sequence of losses begins.
const SEED: u64 = 2_026;

/// Who sent a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client, which is the station or who watches it; `None` when it does not listen itself.
    Client(Option<MemberId>),
    /// A simulated node.
    Hardware,
}

/// A frame that is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    /// Which bus.
    pub bus: Bus,
    /// Who sent it.
    pub origin: Origin,
    /// What.
    pub frame: Frame,
}

/// Frames on their way, and the sequence of losses of each bus.
#[derive(Clone, Debug)]
pub struct Traffic {
    waiting: VecDeque<(Duration, Passage)>,
    chances: [Rng; 2],
}

impl Default for Traffic {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), chances: chances() }
    }
}

impl Traffic {
    /// A fault has begun or ended: losses begin anew.
    pub fn restart(&mut self) {
        self.chances = chances();
    }

    /// Takes a frame and gives it back as often as it arrives at once; what is late waits.
    pub fn pass(&mut self, now: Duration, faults: &Faults, passage: Passage) -> Vec<Passage> {
        let value = |kind| faults.value(Fault::of_bus(kind, passage.bus));
        if self.is_lost(faults, &passage) {
            return Vec::new();
        }
        let copies = if faults.bus(Kind::BusDuplicate, passage.bus) { 2 } else { 1 };
        let arrivals = vec![passage; copies];
        match value(Kind::BusDelay) {
            None => arrivals,
            Some(millis) => {
                let due = now.saturating_add(Duration::from_millis(u64::try_from(millis).unwrap_or_default()));
                self.waiting.extend(arrivals.into_iter().map(|passage| (due, passage)));
                Vec::new()
            }
        }
    }

    /// The late frames that arrive by now.
    pub fn due(&mut self, now: Duration) -> Vec<Passage> {
        let (due, later) = self.waiting.drain(..).partition::<VecDeque<_>, _>(|(at, _)| *at <= now);
        self.waiting = later;
        due.into_iter().map(|(_, passage)| passage).collect()
    }

    fn is_lost(&mut self, faults: &Faults, passage: &Passage) -> bool {
        let has = |kind| faults.bus(kind, passage.bus);
        let value = |kind| faults.value(Fault::of_bus(kind, passage.bus));
        let unheard = match passage.origin {
            Origin::Client(_) => Kind::BusStationUnheard,
            Origin::Hardware => Kind::BusHardwareUnheard,
        };
        let identifier = value(Kind::BusIdentifierLost).is_some_and(|id| id == i64::from(passage.frame.id()));
        let dropped = value(Kind::BusDrop).is_some_and(|percent| self.draw(passage.bus) < percent);
        has(Kind::BusOff) || has(Kind::BusDown) || has(unheard) || identifier || dropped
    }

    /// A number from 0 to 99.
    fn draw(&mut self, bus: Bus) -> i64 {
        bus.of_mut(&mut self.chances).i64(0..100)
    }
}

fn chances() -> [Rng; 2] {
    [Rng::with_seed(SEED), Rng::with_seed(SEED)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(origin: Origin) -> Passage {
        Passage { bus: Bus::Vehicles, origin, frame: Frame::extended(0x0106_B000, [7]) }
    }

    fn faults(names: &[(&str, i64)]) -> Faults {
        let mut faults = Faults::default();
        for (name, value) in names {
            faults.begin(Fault::from_name(name).unwrap(), *value);
        }
        faults
    }

    #[test]
    fn each_fault_takes_its_frames_and_no_others() {
        let (station, hardware) = (Origin::Client(None), Origin::Hardware);
        for (name, value, from_station, from_hardware) in [
            ("modules-bus-off", 0, 1, 1),
            ("vehicles-bus-off", 0, 0, 0),
            ("vehicles-bus-down", 0, 0, 0),
            ("vehicles-bus-station-unheard", 0, 0, 1),
            ("vehicles-bus-hardware-unheard", 0, 1, 0),
            ("vehicles-bus-duplicate", 0, 2, 2),
            ("vehicles-bus-identifier-lost", 0x0106_B000, 0, 0),
            ("vehicles-bus-identifier-lost", 0x0106_3000, 1, 1),
            ("vehicles-bus-drop", 100, 0, 0),
        ] {
            let faults = faults(&[(name, value)]);
            let mut traffic = Traffic::default();
            let mut arrive = |origin| traffic.pass(Duration::ZERO, &faults, passage(origin)).len();
            assert_eq!((arrive(station), arrive(hardware)), (from_station, from_hardware), "{name}");
        }
    }

    #[test]
    fn losses_have_their_share_and_are_the_same_each_time() {
        let faults = faults(&[("vehicles-bus-drop", 30)]);
        let mut traffic = Traffic::default();
        let mut run = || {
            traffic.restart();
            let mut passed = |_| traffic.pass(Duration::ZERO, &faults, passage(Origin::Hardware)).len();
            (0..10_000).map(&mut passed).collect::<Vec<_>>()
        };
        let first = run();
        assert_eq!(first, run());
        assert!((6_800..7_200).contains(&first.iter().sum::<usize>()), "{}", first.iter().sum::<usize>());
    }

    #[test]
    fn late_frames_arrive_in_their_order() {
        let faults = faults(&[("vehicles-bus-delay", 50), ("vehicles-bus-duplicate", 0)]);
        let mut traffic = Traffic::default();
        let at = Duration::from_millis;
        assert!(traffic.pass(at(0), &faults, passage(Origin::Hardware)).is_empty());
        traffic.pass(at(10), &faults, passage(Origin::Client(None)));
        assert!(traffic.due(at(49)).is_empty());
        assert_eq!(traffic.due(at(50)), [passage(Origin::Hardware); 2]);
        assert_eq!(traffic.due(at(60)), [passage(Origin::Client(None)); 2]);
    }
}
