//! One connector's SECC board and the vehicle behind it, as the frames tell. Pure.

pub mod advantics;

use crate::watchdogs;
use advantics::{
    Battery, BoardStatus, ChargeLimits, Energy, Function, Inputs, Pilot, PilotState, PowerControl, Session, Voltages,
    Word,
};
use busbar_interfaces::{BoottimeMillis, Milliamperes, Millivolts, Percent, Watts};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A board that has not told its status for this time is gone: stop all power (ADVANTICS manual).
pub const BOARD_SILENCE: Duration = watchdogs::BOARD_STATUS.limit;
/// What the board wanted (6B003, 100 ms cycle) counts for this time.
pub const CONTROL_SILENCE: Duration = watchdogs::BOARD_CONTROL.limit;
/// What the pilot showed (6B203, 100 ms cycle) counts for this time.
pub const PILOT_SILENCE: Duration = watchdogs::BOARD_PILOT.limit;
/// Status and control are two frames: while the second of a change is on its way, the last wish that agreed counts.
const BETWEEN_FRAMES: Duration = Duration::from_millis(150);

/// What is known of a board and its vehicle.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Vehicle {
    status: Option<(BoardStatus, BoottimeMillis)>,
    control: PowerControl,
    control_heard: Option<BoottimeMillis>,
    agreed: PowerControl,
    contradicted_since: Option<BoottimeMillis>,
    pilot: Option<(Pilot, BoottimeMillis)>,
    /// In this session the pilot has been in state C or D.
    #[serde(default)]
    was_ready: bool,
    session: Option<Session>,
    battery: Option<Battery>,
    voltages: Option<Voltages>,
    charge: Option<ChargeLimits>,
    discharge: Option<ChargeLimits>,
    energy: Option<Energy>,
    inputs: Option<Inputs>,
    /// The vehicle's identity in hexadecimal; empty when it has not told it.
    pub id: String,
    /// The board has said that the session is over, since this was last cleared.
    pub finished: bool,
    /// The board has raised an emergency, since this was last cleared; true inside when the vehicle did.
    pub emergency: Option<bool>,
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
            Word::Finished { clean } => {
                tracing::debug!(clean, "the board closed its session");
                self.finished = true;
            }
            Word::Emergency { from_vehicle } => self.emergency = Some(from_vehicle),
            Word::Battery(battery) => self.battery = Some(battery),
            Word::Voltages(voltages) => self.voltages = Some(voltages),
            Word::Charge(limits) => self.charge = Some(limits),
            Word::Discharge(limits) => self.discharge = Some(limits),
            Word::Energy(energy) => self.energy = Some(energy),
            Word::VehicleId(id) => self.id = id.iter().map(|byte| format!("{byte:02X}")).collect(),
            Word::Inputs(inputs) => self.inputs = Some(inputs),
            Word::Pilot(pilot) => {
                if !pilot.is_plugged() {
                    self.forget_vehicle();
                }
                self.was_ready |= pilot.is_ready();
                self.pilot = Some((pilot, now));
            }
            Word::NewSession(session) => {
                if self.session != Some(session) {
                    tracing::info!(protocol = ?session.protocol, pins = ?session.pins, "a vehicle talks");
                }
                self.session = Some(session);
            }
            Word::ChargeEdge(starts) => tracing::debug!(starts, "the board says that the charge starts or stops"),
        }
    }

    /// A new delivery begins: what was said in the last one no longer counts.
    pub fn begin(&mut self) {
        self.finished = false;
        self.emergency = None;
        self.was_ready = false;
        self.forget_wishes();
    }

    fn forget_vehicle(&mut self) {
        (self.session, self.battery, self.energy, self.discharge) = (None, None, None, None);
        self.id.clear();
        self.forget_wishes();
    }

    fn forget_wishes(&mut self) {
        self.control = PowerControl::default();
        self.agreed = PowerControl::default();
        self.contradicted_since = None;
        self.voltages = None;
        self.charge = None;
    }

    /// The vehicle's highest voltage, when it has told it.
    pub fn most_voltage(&self) -> Option<Millivolts> {
        self.voltages.map(|voltages| voltages.most).filter(|most| most.0 > 0)
    }

    /// The vehicle's highest current, likewise.
    pub fn most_current(&self) -> Option<Milliamperes> {
        self.charge.map(|limits| limits.most_current).filter(|most| most.0 > 0)
    }

    /// The vehicle's highest power, likewise.
    pub fn most_power(&self) -> Option<Watts> {
        self.charge.map(|limits| limits.most_power).filter(|most| most.0 > 0)
    }

    /// The battery's voltage, as far as the vehicle has told it.
    pub fn battery_voltage(&self) -> Option<Millivolts> {
        self.voltages.map(|voltages| voltages.present).filter(|present| present.0 > 0).or(self.most_voltage())
    }

    /// The battery's state of charge.
    pub fn state_of_charge(&self) -> Percent {
        self.battery.map_or(Percent::UNKNOWN, |battery| battery.present)
    }

    /// The hottest sensor in the plug; nothing when none has ever answered. One that falls silent keeps its last
    /// value: the plug does not cool down because nobody looks.
    pub fn plug_celsius(&self) -> Option<i16> {
        self.inputs.and_then(|inputs| inputs.plug_celsius.into_iter().flatten().max())
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
        self.pilot.filter(|(_, heard)| now.since(*heard) <= PILOT_SILENCE).map(|(pilot, _)| pilot.is_plugged())
    }

    /// The pilot says that the vehicle is ready to take power.
    pub fn is_ready(&self, now: BoottimeMillis) -> bool {
        self.plugged(now) == Some(true) && self.pilot.is_some_and(|(pilot, _)| pilot.is_ready())
    }

    /// The pilot is in state B where only C and D are: the vehicle has gone back from them, or has not come to them
    /// although the board has been in the sequence for a while.
    pub fn is_pilot_lowered(&self, now: BoottimeMillis, under_way: BoottimeMillis) -> bool {
        let in_loop = self.status(now).is_some_and(BoardStatus::is_in_loop);
        let lowered = self.pilot.is_some_and(|(pilot, _)| pilot.state == PilotState::B);
        in_loop && lowered && (self.was_ready || now.since(under_way) > PILOT_SILENCE)
    }

    /// What the board wants of the output; nothing when it is silent. A function that does not belong to the board's
    /// status is off.
    pub fn control(&self, now: BoottimeMillis) -> PowerControl {
        let fresh = self.control_heard.is_some_and(|heard| now.since(heard) <= CONTROL_SILENCE);
        let Some(status) = self.status(now).filter(|_| fresh) else { return PowerControl::default() };
        if agrees(status, self.control) {
            return self.control;
        }
        // A pause and the end of a session are followed at once.
        let gives = status.is_in_loop() && status != BoardStatus::Pause;
        let on_its_way = self.contradicted_since.is_some_and(|since| now.since(since) <= BETWEEN_FRAMES);
        let PowerControl { close_contactors, lower_voltage, .. } = self.control;
        if gives && on_its_way && close_contactors {
            PowerControl { close_contactors, lower_voltage, ..self.agreed }
        } else {
            PowerControl { function: Function::Off, ..self.control }
        }
    }

    /// Status, pilot, and in the sequence what the board wants have all been heard, not too long ago.
    pub fn is_known(&self, now: BoottimeMillis) -> bool {
        let Some(status) = self.status(now) else { return false };
        let control_is_fresh = self.control_heard.is_some_and(|heard| now.since(heard) <= CONTROL_SILENCE);
        (control_is_fresh || !status.is_in_loop()) && self.plugged(now).is_some()
    }
}

/// Each function has one status in which it may be asked for, and only with the contactors closed.
fn agrees(status: BoardStatus, control: PowerControl) -> bool {
    match control.function {
        Function::Off | Function::Standby => true,
        Function::InsulationTest => status == BoardStatus::InsulationTest && control.close_contactors,
        Function::Precharge => {
            matches!(status, BoardStatus::Precharge | BoardStatus::WaitingForCharge) && control.close_contactors
        }
        Function::PowerTransfer => status == BoardStatus::Charging && control.close_contactors,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use advantics::words::PilotState;

    const TRANSFER: PowerControl = PowerControl {
        voltage: Millivolts(400_000),
        current: Milliamperes(50_000),
        function: Function::PowerTransfer,
        close_contactors: true,
        lower_voltage: false,
        range: false,
        least_milliamperes: 0,
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
        let plugged = Pilot { state: PilotState::C, duty_permille: 50 };
        vehicle.hear(BoottimeMillis(1000), Word::Pilot(plugged));
        assert_eq!(vehicle.plugged(BoottimeMillis(2000)), Some(true));
        assert_eq!(vehicle.plugged(BoottimeMillis(2001)), None);
    }

    #[test]
    fn a_pause_ends_the_transfer_at_once_and_the_precharge_goes_on_until_the_vehicle_is_connected() {
        let mut vehicle = Vehicle::default();
        let now = BoottimeMillis(1000);
        vehicle.hear(now, Word::Status(BoardStatus::WaitingForCharge));
        let precharge = PowerControl { function: Function::Precharge, ..TRANSFER };
        vehicle.hear(now, Word::Control(precharge));
        assert_eq!(vehicle.control(now), precharge);
        vehicle.hear(now, Word::Status(BoardStatus::Charging));
        vehicle.hear(now, Word::Control(TRANSFER));
        assert_eq!(vehicle.control(now), TRANSFER);
        vehicle.hear(now, Word::Status(BoardStatus::Pause));
        assert_eq!(vehicle.control(now), PowerControl { function: Function::Off, ..TRANSFER }, "contactors stay");
    }

    #[test]
    fn what_a_vehicle_told_goes_with_it() {
        let mut vehicle = Vehicle::default();
        let now = BoottimeMillis(1000);
        vehicle.hear(now, Word::VehicleId([0x00, 0x1A, 0x2B, 0x3C, 0x4D, 0x5E]));
        let (least, target, most) = (Percent(0), Percent(80), Percent(100));
        let battery = Battery { capacity_kilowatt_hours: 77, present: Percent(41), least, target, most };
        vehicle.hear(now, Word::Battery(battery));
        assert_eq!((vehicle.id.as_str(), vehicle.state_of_charge()), ("001A2B3C4D5E", Percent(41)));
        vehicle.hear(now, Word::Pilot(Pilot { state: PilotState::A, duty_permille: 1000 }));
        assert_eq!((vehicle.id.as_str(), vehicle.state_of_charge()), ("", Percent::UNKNOWN));
    }

    #[test]
    fn the_hottest_plug_sensor_counts() {
        let mut vehicle = Vehicle::default();
        let hear = |vehicle: &mut Vehicle, plug_celsius| {
            let inputs = Inputs { digital: [false; 4], board_celsius: 40, plug_celsius };
            vehicle.hear(BoottimeMillis(0), Word::Inputs(inputs));
        };
        for (sensors, hottest) in [([None, None], None), ([Some(30), None], Some(30)), ([Some(30), Some(85)], Some(85))]
        {
            hear(&mut vehicle, sensors);
            assert_eq!(vehicle.plug_celsius(), hottest, "{sensors:?}");
        }
    }
}
