//! One connector's SECC board and the vehicle behind it, as the frames tell. Pure.

use crate::advantics::{BoardStatus, PowerControl, Word};
use busbar_interfaces::{BoottimeMillis, Percent};
use std::time::Duration;

/// A board that has not told its status for this time is gone: stop all power (ADVANTICS manual).
pub const BOARD_SILENCE: Duration = Duration::from_millis(200);

/// What is known of a board and its vehicle.
#[derive(Debug, Clone)]
pub struct Vehicle {
    status: Option<(BoardStatus, BoottimeMillis)>,
    control: PowerControl,
    control_heard: bool,
    /// The control pilot sees a vehicle.
    pub plugged: Option<bool>,
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
            control_heard: false,
            plugged: None,
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
            Word::Status(status) => self.status = Some((status, now)),
            Word::Control(control) => {
                self.control = control;
                self.control_heard = true;
            }
            Word::Finished { .. } => self.finished = true,
            Word::Emergency { from_vehicle } => self.emergency = Some(from_vehicle),
            Word::Battery { state_of_charge } => self.state_of_charge = state_of_charge,
            Word::VehicleId(id) => self.id = id.iter().map(|byte| format!("{byte:02X}")).collect(),
            Word::Pilot { plugged } => {
                if !plugged {
                    self.forget_vehicle();
                }
                self.plugged = Some(plugged);
            }
            Word::NewSession | Word::ChargeEdge(_) => {}
        }
    }

    /// A new delivery begins: what was said in the last one no longer counts.
    pub fn begin(&mut self) {
        self.finished = false;
        self.emergency = None;
        self.control = PowerControl::default();
    }

    fn forget_vehicle(&mut self) {
        self.state_of_charge = Percent::UNKNOWN;
        self.id.clear();
        self.control = PowerControl::default();
    }

    /// What the board is doing; nothing when it is silent.
    pub fn status(&self, now: BoottimeMillis) -> Option<BoardStatus> {
        self.status.filter(|(_, heard)| now.since(*heard) <= BOARD_SILENCE).map(|(status, _)| status)
    }

    /// How long the board has been silent; since the beginning if it was never heard.
    pub fn silence(&self, now: BoottimeMillis, beginning: BoottimeMillis) -> Duration {
        now.since(self.status.map_or(beginning, |(_, heard)| heard))
    }

    /// What the board wants of the output; nothing when it is silent.
    pub fn control(&self, now: BoottimeMillis) -> PowerControl {
        if self.status(now).is_some() { self.control } else { PowerControl::default() }
    }

    /// Status, control and pilot have all been heard.
    pub fn is_known(&self, now: BoottimeMillis) -> bool {
        self.status(now).is_some() && self.control_heard && self.plugged.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantics::Function;

    #[test]
    fn a_silent_board_wants_nothing() {
        let mut vehicle = Vehicle::default();
        let now = BoottimeMillis(1000);
        vehicle.hear(now, Word::Status(BoardStatus::Charging));
        let control = PowerControl { function: Function::PowerTransfer, ..PowerControl::default() };
        vehicle.hear(now, Word::Control(control));
        assert_eq!(vehicle.control(now.after(BOARD_SILENCE)), control);
        let later = now.after(BOARD_SILENCE + Duration::from_millis(1));
        assert_eq!(vehicle.control(later), PowerControl::default());
        assert_eq!(vehicle.status(later), None);
    }
}
