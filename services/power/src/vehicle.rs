//! One connector's SECC board and the vehicle behind it, as the frames tell. Pure.

use crate::advantics::{BoardStatus, Function, PowerControl, Word};
use busbar_interfaces::{BoottimeMillis, Milliamperes, Millivolts, Percent};
use std::time::Duration;

/// A board that has not told its status for this time is gone: stop all power (ADVANTICS manual).
pub const BOARD_SILENCE: Duration = Duration::from_millis(200);
/// What the board wanted (6B003, 100 ms cycle) counts for this time.
pub const CONTROL_SILENCE: Duration = Duration::from_millis(250);
/// What the pilot showed (6B203, 100 ms cycle) counts for this time.
pub const PILOT_SILENCE: Duration = Duration::from_secs(1);
/// Status and control are two frames: while the second of a change is on its way, the last wish that agreed counts.
const BETWEEN_FRAMES: Duration = Duration::from_millis(150);

/// What is known of a board and its vehicle.
#[derive(Debug, Clone)]
pub struct Vehicle {
    status: Option<(BoardStatus, BoottimeMillis)>,
    control: PowerControl,
    control_heard: Option<BoottimeMillis>,
    agreed: PowerControl,
    contradicted_since: Option<BoottimeMillis>,
    pilot: Option<(bool, BoottimeMillis)>,
    /// The vehicle's highest voltage, when it has told it.
    pub most_voltage: Option<Millivolts>,
    /// The vehicle's highest current, likewise.
    pub most_current: Option<Milliamperes>,
    /// The battery's state of charge.
    pub state_of_charge: Percent,
    /// The vehicle's identity in hexadecimal; empty when it has not told it.
    pub id: String,
    /// The board has said that the session is over, since this was last cleared.
    pub finished: bool,
    /// The board has raised an emergency, since this was last cleared; true inside when the vehicle did.
    pub emergency: Option<bool>,
}

impl Default for Vehicle {
    fn default() -> Vehicle {
        Vehicle {
            status: None,
            control: PowerControl::default(),
            control_heard: None,
            agreed: PowerControl::default(),
            contradicted_since: None,
            pilot: None,
            most_voltage: None,
            most_current: None,
            state_of_charge: Percent::UNKNOWN,
            id: String::new(),
            finished: false,
            emergency: None,
        }
    }
}

impl Vehicle {
    /// Takes in a word of the board.
    pub fn hear(&mut self, now: BoottimeMillis, word: Word) {
        match word {
            Word::Status(status) => {
                self.status = Some((status, now));
                self.compare(now);
            }
            Word::Control(control) => {
                self.control = control;
                self.control_heard = Some(now);
                self.compare(now);
            }
            Word::Finished { .. } => self.finished = true,
            Word::Emergency { from_vehicle } => self.emergency = Some(from_vehicle),
            Word::Battery { state_of_charge } => self.state_of_charge = state_of_charge,
            Word::MostVoltage(most) => self.most_voltage = Some(most).filter(|most| most.0 > 0),
            Word::MostCurrent(most) => self.most_current = Some(most).filter(|most| most.0 > 0),
            Word::VehicleId(id) => self.id = id.iter().map(|byte| format!("{byte:02X}")).collect(),
            Word::Pilot { plugged } => {
                if !plugged {
                    self.forget_vehicle();
                }
                self.pilot = Some((plugged, now));
            }
            Word::NewSession | Word::ChargeEdge(_) => {}
        }
    }

    /// A new delivery begins: what was said in the last one no longer counts.
    pub fn begin(&mut self) {
        self.finished = false;
        self.emergency = None;
        self.forget_wishes();
    }

    fn forget_vehicle(&mut self) {
        self.state_of_charge = Percent::UNKNOWN;
        self.id.clear();
        self.forget_wishes();
    }

    fn forget_wishes(&mut self) {
        self.control = PowerControl::default();
        self.agreed = PowerControl::default();
        self.contradicted_since = None;
        self.most_voltage = None;
        self.most_current = None;
    }

    fn compare(&mut self, now: BoottimeMillis) {
        if self.status.is_none_or(|(status, _)| agrees(status, self.control)) {
            self.agreed = self.control;
            self.contradicted_since = None;
        } else {
            self.contradicted_since.get_or_insert(now);
        }
    }

    /// What the board is doing; nothing when it is silent.
    pub fn status(&self, now: BoottimeMillis) -> Option<BoardStatus> {
        self.status.filter(|(_, heard)| now.since(*heard) <= BOARD_SILENCE).map(|(status, _)| status)
    }

    /// How long the board has been silent; since the beginning if it was never heard.
    pub fn silence(&self, now: BoottimeMillis, beginning: BoottimeMillis) -> Duration {
        now.since(self.status.map_or(beginning, |(_, heard)| heard))
    }

    /// How long the board has not said what it wants, but no longer than since `beginning`.
    pub fn control_silence(&self, now: BoottimeMillis, beginning: BoottimeMillis) -> Duration {
        now.since(self.control_heard.map_or(beginning, |heard| heard.max(beginning)))
    }

    /// Whether the control pilot sees a vehicle; nothing when it was not told for a second.
    pub fn plugged(&self, now: BoottimeMillis) -> Option<bool> {
        self.pilot.filter(|(_, heard)| now.since(*heard) <= PILOT_SILENCE).map(|(plugged, _)| plugged)
    }

    /// What the board wants of the output; nothing when it is silent. A function that does not belong to the board's
    /// status is off.
    pub fn control(&self, now: BoottimeMillis) -> PowerControl {
        let fresh = self.control_heard.is_some_and(|heard| now.since(heard) <= CONTROL_SILENCE);
        let Some(status) = self.status(now).filter(|_| fresh) else { return PowerControl::default() };
        if agrees(status, self.control) {
            return self.control;
        }
        let gives = matches!(status, BoardStatus::InsulationTest | BoardStatus::Precharge | BoardStatus::Charging);
        let on_its_way = self.contradicted_since.is_some_and(|since| now.since(since) <= BETWEEN_FRAMES);
        let PowerControl { close_contactors, lower_voltage, .. } = self.control;
        if gives && on_its_way && close_contactors {
            PowerControl { close_contactors, lower_voltage, ..self.agreed }
        } else {
            PowerControl { function: Function::Off, ..self.control }
        }
    }

    /// Status, control and pilot have all been heard.
    pub fn is_known(&self, now: BoottimeMillis) -> bool {
        self.status(now).is_some() && self.control_heard.is_some() && self.plugged(now).is_some()
    }
}

/// Each function has one status in which it may be asked for, and only with the contactors closed.
fn agrees(status: BoardStatus, control: PowerControl) -> bool {
    match control.function {
        Function::Off | Function::Standby => true,
        Function::InsulationTest => status == BoardStatus::InsulationTest && control.close_contactors,
        Function::Precharge => status == BoardStatus::Precharge && control.close_contactors,
        Function::PowerTransfer => status == BoardStatus::Charging && control.close_contactors,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRANSFER: PowerControl = PowerControl {
        voltage: Millivolts(400_000),
        current: Milliamperes(50_000),
        function: Function::PowerTransfer,
        close_contactors: true,
        lower_voltage: false,
    };

    #[test]
    fn a_silent_board_wants_nothing() {
        let mut vehicle = Vehicle::default();
        let now = BoottimeMillis(1000);
        vehicle.hear(now, Word::Status(BoardStatus::Charging));
        vehicle.hear(now, Word::Control(TRANSFER));
        assert_eq!(vehicle.control(now.after(BOARD_SILENCE)), TRANSFER);
        let later = now.after(BOARD_SILENCE + Duration::from_millis(1));
        assert_eq!(vehicle.control(later), PowerControl::default());
        assert_eq!(vehicle.status(later), None);
        let later = now.after(CONTROL_SILENCE + Duration::from_millis(1));
        vehicle.hear(later, Word::Status(BoardStatus::Charging));
        assert_eq!(vehicle.control(later), PowerControl::default(), "only the status went on");
    }

    #[test]
    fn a_function_counts_only_in_its_own_status() {
        let mut vehicle = Vehicle::default();
        let now = BoottimeMillis(1000);
        vehicle.hear(now, Word::Status(BoardStatus::Precharge));
        vehicle.hear(now, Word::Control(PowerControl { function: Function::Precharge, ..TRANSFER }));
        vehicle.hear(now, Word::Control(TRANSFER));
        assert_eq!(vehicle.control(now).function, Function::Precharge, "the frame with the status may be on its way");
        let later = now.after(BETWEEN_FRAMES + Duration::from_millis(1));
        assert_eq!(vehicle.control(later).function, Function::Off);
        vehicle.hear(later, Word::Status(BoardStatus::Charging));
        assert_eq!(vehicle.control(later).function, Function::PowerTransfer);
        vehicle.hear(later, Word::Status(BoardStatus::Ending));
        assert_eq!(vehicle.control(later).function, Function::Off, "at once");
    }

    #[test]
    fn a_pilot_that_is_no_longer_told_is_not_known() {
        let mut vehicle = Vehicle::default();
        vehicle.hear(BoottimeMillis(1000), Word::Pilot { plugged: true });
        assert_eq!(vehicle.plugged(BoottimeMillis(2000)), Some(true));
        assert_eq!(vehicle.plugged(BoottimeMillis(2001)), None);
    }
}
