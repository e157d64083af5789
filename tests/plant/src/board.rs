//! The vehicle board of one connector together with the vehicle behind it: the session as the station sees it.
//!
//! Pure: the cabinet calls `receive` for each frame and `step` for each tick, and sends what comes out. The states
//! and their order follow the ADVANTICS sequence; the voltages and times of the tests follow IEC 61851-23.

use std::time::Duration;

use crate::advantics::{FromStation, Origin, Plug, Sender, Status};
use crate::car::{Car, Complaint, Manners, Vehicle};
use crate::circuit::Battery;
use crate::frame::Frame;
use crate::hearing::Hearing;
use crate::statistics::Statistics;
use crate::thermal;
use crate::timing::Timing;

mod messages;
mod sequence;

use messages::Late;

/// Current allowed during the cable check and the precharge.
const TEST_AMPERES: f64 = 2.0;
/// Voltage that counts as none.
const SAFE_VOLTS: f64 = 20.0;
/// Voltage difference at which a vehicle closes its contactors.
const PRECHARGE_VOLTS: f64 = 20.0;
/// Current below which a normal end continues.
const ENDED_AMPERES: f64 = 1.0;
/// Current below which a vehicle opens its contactors in an emergency.
const EMERGENCY_AMPERES: f64 = 5.0;
/// Insulation resistance that passes the cable check.
const INSULATION_PASS_KILOHMS: f64 = 100.0;
/// Insulation resistance per volt below which a running session is broken off.
const INSULATION_FAULT_KILOHMS_PER_VOLT: f64 = 0.1;

/// Control pilot voltage in state A.
pub const PILOT_A: u8 = 12;
/// State B.
pub const PILOT_B: u8 = 9;
/// State C.
pub const PILOT_C: u8 = 6;
/// States E and F.
pub const PILOT_ERROR: u8 = 0;

/// What the vehicle's inlet measures.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inlet {
    /// Voltage of the cable.
    pub volts: f64,
    /// Current into the vehicle.
    pub amperes: f64,
}

/// What a step brought forth.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Frames to send.
    pub frames: Vec<Frame>,
    /// What was wrong with the power.
    pub complaints: Vec<Complaint>,
}

/// What is wrong with a board.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Troubles {
    /// It sends nothing.
    pub silent: bool,
    /// It hears nothing.
    pub deaf: bool,
    /// It sends its state and the control pilot, nothing else.
    pub frozen: bool,
    /// It tells a state that does not exist.
    pub nonsense: bool,
    /// It breaks every session off.
    pub emergency: bool,
    /// It ends every session in a hurry.
    pub rushed: bool,
    /// It is not available.
    pub not_available: bool,
    /// Its frames are late.
    pub late: Duration,
    /// What the control pilot shows while a vehicle is there.
    pub pilot: Option<u8>,
}

/// A broken-off session on its way to the closing state.
#[derive(Clone, Copy, Debug)]
struct Emergency {
    origin: Origin,
    since: Duration,
    next_frame: Duration,
}

/// The board and its vehicle.
#[derive(Clone, Debug)]
pub struct Board {
    sender: Sender,
    plug: Plug,
    status: Status,
    entered: Duration,
    /// The second half of a state: the voltage is being lowered.
    lowering: bool,
    insulation_passes: u32,
    next_insulation_cycle: Duration,
    matched_since: Option<Duration>,
    /// The cable has carried voltage in this session.
    powered: bool,
    /// The station has withdrawn its permission since the last session began.
    rearmed: bool,
    /// The vehicle has not been in any session yet.
    fresh: bool,
    emergency: Option<Emergency>,
    hearing: Hearing,
    car: Option<Car>,
    last_state_of_charge: f64,
    statistics: Statistics,
    changed: bool,
    next_frames: Duration,
    next_slow_frames: Duration,
    pending: Outcome,
    late: Late,
    /// What is wrong with the board.
    pub troubles: Troubles,
    /// How its vehicle misbehaves.
    pub manners: Manners,
    /// The plug with its contacts and sensors.
    pub contacts: thermal::Plug,
}

impl Board {
    /// A board without a vehicle for a connector counted from 1.
    pub fn new(connector: u8, plug: Plug) -> Self {
        Self {
            sender: Sender::new(connector),
            plug,
            status: Status::WaitingForPev,
            entered: Duration::ZERO,
            lowering: false,
            insulation_passes: 0,
            next_insulation_cycle: Duration::ZERO,
            matched_since: None,
            powered: false,
            rearmed: false,
            fresh: false,
            emergency: None,
            hearing: Hearing::default(),
            car: None,
            last_state_of_charge: 0.0,
            statistics: Statistics::default(),
            changed: true,
            next_frames: Duration::ZERO,
            next_slow_frames: Duration::ZERO,
            pending: Outcome::default(),
            late: Late::default(),
            troubles: Troubles::default(),
            manners: Manners::default(),
            contacts: thermal::Plug::default(),
        }
    }

    /// A vehicle arrives; false when one is there already.
    pub fn plug_in(&mut self, now: Duration, vehicle: Vehicle) -> bool {
        if self.car.is_some() {
            return false;
        }
        self.car = Some(Car::new(vehicle));
        self.statistics = Statistics::default();
        self.next_slow_frames = now;
        self.changed = true;
        // A session that is still closing ends first; a new vehicle needs no withdrawn permission.
        self.fresh = true;
        if self.status == Status::WaitingForPev {
            self.enter(now, Status::Negotiating);
        }
        true
    }

    /// The vehicle is torn off or leaves; false when there is none.
    pub fn unplug(&mut self, now: Duration) -> bool {
        if self.car.take().is_none() {
            return false;
        }
        self.changed = true;
        match self.status {
            Status::WaitingForPev | Status::Negotiating => self.enter(now, Status::WaitingForPev),
            Status::CcsAuthorisation | Status::FullInfo => self.close(now, true),
            Status::Closing => {}
            _ => self.break_off(now, Origin::Vehicle),
        }
        true
    }

    /// Takes a frame of the station.
    pub fn receive(&mut self, now: Duration, content: FromStation) {
        if !self.troubles.deaf {
            self.hearing.take(now, content);
        }
    }

    /// Lets `dt` pass until `now`.
    pub fn step(
        &mut self,
        now: Duration,
        dt: Duration,
        inlet: Inlet,
        silence_limit: Duration,
        timing: &Timing,
    ) -> Outcome {
        self.contacts.step(dt, timing.plug_heat, inlet.amperes);
        if let Some(car) = &mut self.car {
            car.manners = self.manners;
            car.step(dt, timing.contactor_travel, inlet.amperes);
            car.ramp(dt, self.status == Status::Charging, timing.demand_amperes_per_second);
            self.last_state_of_charge = car.state_of_charge();
        }
        let wish = self.car.as_ref().filter(|_| self.status == Status::Charging).map_or(0.0, Car::wish_amperes);
        self.statistics.step(dt, inlet.volts, inlet.amperes, wish, self.demand_amperes());
        self.protect(now, dt, inlet, silence_limit);
        self.make_trouble(now);
        if self.emergency.is_some() {
            self.go_on_breaking_off(now, inlet, timing);
        } else if self.is_in_session() && self.status != Status::Ending && self.shall_end() {
            self.end(now);
        } else if !self.changed {
            // A state that was entered between two steps is announced before it is left.
            self.advance(now, inlet, silence_limit, timing);
        }
        self.hearing.user_stop = false;
        self.send_cyclic(now, timing);
        self.let_through(now)
    }

    /// Ends a session as a board in trouble does.
    fn make_trouble(&mut self, now: Duration) {
        if !self.is_in_session() || self.emergency.is_some() {
            return;
        }
        if self.troubles.emergency || self.troubles.not_available {
            self.break_off(now, Origin::Station);
        } else if self.troubles.rushed {
            if let Some(car) = &mut self.car {
                car.contactor.command(false);
            }
            self.close(now, true);
        }
    }

    /// The states in which the station must be heard.
    fn is_in_session(&self) -> bool {
        !matches!(self.status, Status::WaitingForPev | Status::Negotiating | Status::Closing)
    }

    fn is_before_power(&self) -> bool {
        matches!(self.status, Status::CcsAuthorisation | Status::FullInfo)
    }

    /// Watches the station's frames and what flows.
    fn protect(&mut self, now: Duration, dt: Duration, inlet: Inlet, silence_limit: Duration) {
        if !self.is_in_session() || self.emergency.is_some() {
            return;
        }
        let silence = self.hearing.silence(now);
        self.statistics.longest_station_silence = self.statistics.longest_station_silence.max(silence);
        let forbidden = !self.hearing.allows_power() && !self.is_before_power();
        if silence > silence_limit || forbidden || self.has_insulation_fault() {
            self.break_off(now, Origin::Station);
            return;
        }
        let demand = self.demand_amperes();
        let charging = matches!(self.status, Status::Charging | Status::Pause);
        let car = self.car.as_mut().filter(|_| charging);
        if let Some(complaint) = car.and_then(|car| car.protect(dt, inlet.volts, inlet.amperes, demand)) {
            self.pending.complaints.push(complaint);
            self.break_off(now, Origin::Vehicle);
        }
    }

    fn has_insulation_fault(&self) -> bool {
        let watched =
            matches!(self.status, Status::Precharge | Status::WaitingForCharge | Status::Charging | Status::Pause);
        let volts = self.car.as_ref().map_or(0.0, Car::maximum_volts);
        watched && self.hearing.insulation_kilohms() < volts * INSULATION_FAULT_KILOHMS_PER_VOLT
    }

    fn shall_end(&self) -> bool {
        let unavailable = self.is_before_power() && !self.hearing.allows_power();
        let ending = !matches!(self.status, Status::Welding);
        let car = self.car.as_ref().is_some_and(Car::wants_to_end);
        let told = (self.hearing.user_stop || !self.hearing.bits.start_allowed) && !self.manners.does_not_stop;
        ending && (unavailable || car || told)
    }

    /// The state.
    pub fn status(&self) -> Status {
        self.status
    }

    /// True while there may be voltage at the vehicle.
    pub fn is_powered(&self) -> bool {
        self.powered && self.is_in_session()
    }

    /// True while the board announces an emergency.
    pub fn is_in_emergency(&self) -> bool {
        self.emergency.is_some()
    }

    /// True while the vehicle charges and the control pilot says that it does not.
    pub fn has_lost_pilot(&self) -> bool {
        self.status == Status::Charging && self.pilot_volts() != PILOT_C
    }

    /// The current the vehicle asks for over the wire.
    pub fn demand_amperes(&self) -> f64 {
        let charging = self.status == Status::Charging;
        let car = self.car.as_ref().filter(|_| charging);
        car.map_or(0.0, |car| car.demand_amperes(self.hearing.limit_amperes))
    }

    /// The battery, while its contactors are closed.
    pub fn connected_battery(&self) -> Option<Battery> {
        self.car.as_ref().and_then(Car::connected_battery)
    }

    /// The vehicle.
    pub fn car(&self) -> Option<&Car> {
        self.car.as_ref()
    }

    /// The vehicle, for its driver.
    pub fn car_mut(&mut self) -> Option<&mut Car> {
        self.car.as_mut()
    }

    /// State of charge from 0 to 1 of the vehicle that is or was plugged in.
    pub fn state_of_charge(&self) -> f64 {
        self.last_state_of_charge
    }

    /// Observations of this or the last plug-in.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }
}
