//! The vehicle board of one connector together with the vehicle behind it: the session as the station sees it.
//!
//! Pure: the cabinet calls `receive` for each frame and `step` for each tick, and sends what comes out. The states
//! and their order follow the ADVANTICS sequence; the voltages and times of the tests follow IEC 61851-23.

use std::time::Duration;

use crate::advantics::{FromStation, Function, Origin, Plug, PowerControl, Sender, Status};
use crate::car::{Car, Vehicle};
use crate::circuit::Battery;
use crate::frame::Frame;
use crate::hearing::Hearing;
use crate::statistics::Statistics;
use crate::timing::Timing;

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

/// Control pilot voltages in the states A, B and C.
const PILOT_A: u8 = 12;
const PILOT_B: u8 = 9;
const PILOT_C: u8 = 6;

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
    /// What the station did wrong, in words.
    pub wrong: Vec<String>,
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
        self.hearing.take(now, content);
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
        if let Some(car) = &mut self.car {
            car.step(dt, timing.contactor_travel, inlet.amperes);
            car.ramp(dt, self.status == Status::Charging, timing.demand_amperes_per_second);
            self.last_state_of_charge = car.state_of_charge();
        }
        let wish = self.car.as_ref().filter(|_| self.status == Status::Charging).map_or(0.0, Car::wish_amperes);
        self.statistics.step(dt, inlet.volts, inlet.amperes, wish);
        self.protect(now, dt, inlet, silence_limit);
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
        std::mem::take(&mut self.pending)
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
        let charging = self.status == Status::Charging;
        let wrong = self.car.as_mut().filter(|_| charging);
        if let Some(wrong) = wrong.and_then(|car| car.protect(dt, inlet.volts, inlet.amperes, demand)) {
            self.pending.wrong.push(wrong);
            self.break_off(now, Origin::Vehicle);
        }
    }

    fn has_insulation_fault(&self) -> bool {
        let watched = matches!(self.status, Status::Precharge | Status::WaitingForCharge | Status::Charging);
        let volts = self.car.as_ref().map_or(0.0, Car::maximum_volts);
        watched && self.hearing.insulation_kilohms() < volts * INSULATION_FAULT_KILOHMS_PER_VOLT
    }

    fn shall_end(&self) -> bool {
        let unavailable = self.is_before_power() && !self.hearing.allows_power();
        let ending = !matches!(self.status, Status::Welding);
        let car = self.car.as_ref().is_some_and(Car::wants_to_end);
        ending && (unavailable || car || self.hearing.user_stop || !self.hearing.bits.start_allowed)
    }

    /// The way from state to state while nothing is wrong.
    fn advance(&mut self, now: Duration, inlet: Inlet, silence_limit: Duration, timing: &Timing) {
        let elapsed = now.saturating_sub(self.entered);
        let bits = self.hearing.bits;
        self.rearmed |= !bits.start_allowed;
        match self.status {
            Status::WaitingForPev => {
                if self.car.is_some() && self.rearmed && bits.start_allowed {
                    self.enter(now, Status::Negotiating);
                }
            }
            Status::Negotiating => {
                let present = self.hearing.silence(now) <= silence_limit && self.hearing.allows_power();
                if elapsed >= timing.negotiation && present && bits.start_allowed {
                    (self.rearmed, self.fresh) = (false, false);
                    self.enter(now, Status::CcsAuthorisation);
                }
            }
            Status::CcsAuthorisation if bits.authorisation_done => {
                if bits.authorisation_valid {
                    self.enter(now, Status::FullInfo);
                } else {
                    self.end(now);
                }
            }
            Status::CcsAuthorisation => {}
            Status::FullInfo => {
                if bits.parameters_done && elapsed >= timing.parameter_exchange {
                    self.powered = true;
                    self.insulation_passes = 0;
                    self.enter(now, Status::InsulationTest);
                }
            }
            Status::InsulationTest => self.test_insulation(now, elapsed, timing),
            Status::Precharge => self.precharge(now, elapsed, inlet, timing),
            Status::WaitingForCharge => {
                let closed = self.car.as_ref().is_some_and(|car| car.contactor.is_closed());
                if closed && elapsed >= timing.before_charge {
                    self.statistics.charges = self.statistics.charges.saturating_add(1);
                    self.pending.frames.push(self.sender.charging(true));
                    self.enter(now, Status::Charging);
                }
            }
            Status::Charging => {}
            Status::Ending => self.wind_down(now, elapsed, inlet, timing),
            Status::Welding => {
                if !self.lowering && elapsed >= timing.weld_check {
                    self.lower();
                }
                let low = self.hearing.volts <= SAFE_VOLTS && inlet.volts <= SAFE_VOLTS;
                if self.lowering && (low || elapsed >= timing.welding_limit) {
                    self.close(now, false);
                }
            }
            Status::Closing => {
                if elapsed >= timing.closing {
                    let anew = self.fresh && self.car.is_some();
                    self.enter(now, if anew { Status::Negotiating } else { Status::WaitingForPev });
                }
            }
        }
    }

    fn test_insulation(&mut self, now: Duration, elapsed: Duration, timing: &Timing) {
        if self.lowering {
            if self.hearing.volts <= SAFE_VOLTS {
                self.enter(now, Status::Precharge);
            }
        } else if self.hearing.volts >= 0.9 * self.insulation_test_volts() {
            if now >= self.next_insulation_cycle {
                self.next_insulation_cycle = now + timing.insulation_cycle;
                let passed = self.hearing.insulation_kilohms() >= INSULATION_PASS_KILOHMS;
                self.insulation_passes = if passed { self.insulation_passes.saturating_add(1) } else { 0 };
            }
            if self.insulation_passes >= timing.insulation_cycles && elapsed >= timing.cable_check {
                self.lower();
            }
        }
        if elapsed >= timing.cable_check_limit {
            self.break_off(now, Origin::Station);
        }
    }

    fn precharge(&mut self, now: Duration, elapsed: Duration, inlet: Inlet, timing: &Timing) {
        let Some(car) = &mut self.car else { return };
        let battery = car.open_circuit_volts();
        let matches = [self.hearing.volts, inlet.volts].iter().all(|volts| (volts - battery).abs() <= PRECHARGE_VOLTS);
        let since = *self.matched_since.get_or_insert(now);
        if !matches {
            self.matched_since = None;
        } else if now.saturating_sub(since) >= timing.precharge {
            car.contactor.command(true);
            self.enter(now, Status::WaitingForCharge);
            return;
        }
        if elapsed >= timing.precharge_limit {
            self.break_off(now, Origin::Vehicle);
        }
    }

    /// Waits for the current to end, then opens the vehicle's contactors.
    fn wind_down(&mut self, now: Duration, elapsed: Duration, inlet: Inlet, timing: &Timing) {
        let Some(car) = &mut self.car else { return };
        if !self.powered {
            self.close(now, false);
            return;
        }
        if inlet.amperes < ENDED_AMPERES && self.hearing.amperes < ENDED_AMPERES {
            car.contactor.command(false);
        }
        if !car.contactor.is_closed() && !car.contactor.coil() {
            self.enter(now, Status::Welding);
        } else if elapsed >= timing.ending_limit {
            self.break_off(now, Origin::Vehicle);
        }
    }

    /// Begins the normal end of a session.
    fn end(&mut self, now: Duration) {
        if self.status == Status::Charging {
            self.pending.frames.push(self.sender.charging(false));
        }
        self.enter(now, Status::Ending);
    }

    /// Begins an emergency end.
    fn break_off(&mut self, now: Duration, origin: Origin) {
        if self.emergency.is_some() {
            return;
        }
        self.end(now);
        self.emergency = Some(Emergency { origin, since: now, next_frame: now });
    }

    fn go_on_breaking_off(&mut self, now: Duration, inlet: Inlet, timing: &Timing) {
        let Some(emergency) = &mut self.emergency else { return };
        let elapsed = now.saturating_sub(emergency.since);
        if elapsed < timing.emergency && now >= emergency.next_frame {
            emergency.next_frame += timing.frame_period;
            self.pending.frames.push(self.sender.emergency(emergency.origin));
        }
        let mut open = true;
        if let Some(car) = &mut self.car {
            if inlet.amperes < EMERGENCY_AMPERES || elapsed >= timing.emergency {
                car.contactor.command(false);
            }
            open = !car.contactor.is_closed() && !car.contactor.coil();
        }
        if open && !self.lowering {
            self.lower();
        }
        if open && elapsed >= timing.emergency {
            self.close(now, true);
        }
    }

    /// Closes the session with its report.
    fn close(&mut self, now: Duration, rushed: bool) {
        self.emergency = None;
        self.pending.frames.push(self.sender.finished(rushed));
        self.enter(now, Status::Closing);
    }

    fn lower(&mut self) {
        self.lowering = true;
        self.changed = true;
    }

    fn enter(&mut self, now: Duration, status: Status) {
        if status == Status::WaitingForPev || status == Status::Negotiating {
            self.powered = false;
        }
        self.status = status;
        self.entered = now;
        self.lowering = false;
        self.matched_since = None;
        self.changed = true;
    }

    /// Test voltage of the cable check.
    fn insulation_test_volts(&self) -> f64 {
        let highest = self.car.as_ref().map_or(0.0, Car::maximum_volts);
        let test = if highest <= 500.0 { (highest + 50.0).min(500.0) } else { highest * 1.1 };
        test.min(self.hearing.limit_volts)
    }

    /// What the board asks of the power electronics at this moment.
    fn power_control(&self) -> PowerControl {
        let idle = PowerControl::default();
        let lowered = PowerControl { lower_voltage: true, ..idle };
        let standby = PowerControl { function: Function::Standby, close_contactors: true, ..idle };
        let test = PowerControl { amperes: TEST_AMPERES, ..standby };
        let battery_volts = self.car.as_ref().map_or(0.0, Car::open_circuit_volts);
        match self.status {
            _ if self.emergency.is_some() && self.lowering => lowered,
            _ if self.emergency.is_some() => PowerControl { close_contactors: true, ..idle },
            Status::InsulationTest if self.lowering => PowerControl { lower_voltage: true, ..standby },
            Status::InsulationTest => {
                PowerControl { function: Function::InsulationTest, volts: self.insulation_test_volts(), ..test }
            }
            Status::Precharge | Status::WaitingForCharge => {
                PowerControl { function: Function::Precharge, volts: battery_volts, ..test }
            }
            Status::Charging => PowerControl {
                function: Function::PowerTransfer,
                volts: self.car.as_ref().map_or(0.0, Car::maximum_volts).min(self.hearing.limit_volts),
                amperes: self.demand_amperes(),
                ..standby
            },
            Status::Ending => PowerControl { close_contactors: self.powered, ..standby },
            Status::Welding => PowerControl { close_contactors: false, lower_voltage: self.lowering, ..standby },
            Status::Closing => lowered,
            _ => idle,
        }
    }

    /// Sends the cyclic frames when they are due, or at once after a change.
    fn send_cyclic(&mut self, now: Duration, timing: &Timing) {
        if now >= self.next_slow_frames {
            self.next_slow_frames = now + timing.slow_frame_period;
            let frames = self.slow_frames();
            self.pending.frames.extend(frames);
        }
        if self.changed || now >= self.next_frames {
            self.next_frames = now + timing.frame_period;
            let frames = self.frames();
            self.pending.frames.extend(frames);
            self.changed = false;
        }
    }

    fn slow_frames(&self) -> Vec<Frame> {
        let mut frames = vec![self.sender.inputs()];
        let ccs = self.plug == Plug::Ccs2;
        frames.extend(self.car.as_ref().filter(|_| ccs).map(|car| self.sender.vehicle_id(car.vehicle().id)));
        frames
    }

    fn frames(&self) -> Vec<Frame> {
        let sender = self.sender;
        let duty_percent = if self.car.is_some() { 5.0 } else { 100.0 };
        let mut frames = vec![sender.status(self.status), sender.control_pilot(self.pilot_volts(), duty_percent)];
        if self.status == Status::Negotiating && (self.changed || !self.hearing.allows_power()) {
            frames.push(sender.new_session(self.plug));
        }
        if let Some(car) = self.car.as_ref().filter(|_| self.announces_battery()) {
            let vehicle = car.vehicle();
            let present = (car.state_of_charge() * 100.0 + 1e-9).floor() as u8;
            let capacity = f64::from(vehicle.capacity_watt_hours);
            frames.push(sender.battery(capacity, present, vehicle.target_state_of_charge_percent));
            frames.push(sender.voltages(0.0, car.maximum_volts(), car.open_circuit_volts()));
            let amperes = f64::from(vehicle.maximum_milliamperes) / 1000.0;
            frames.push(sender.charge_limits(amperes, f64::from(vehicle.maximum_watts)));
        }
        let in_control = self.is_in_session() && (self.powered || self.emergency.is_some());
        if in_control || self.status == Status::Closing {
            frames.push(sender.power_control(&self.power_control()));
        }
        frames
    }

    fn announces_battery(&self) -> bool {
        self.is_in_session() && self.status != Status::CcsAuthorisation
    }

    fn pilot_volts(&self) -> u8 {
        let ready =
            self.powered && self.is_in_session() && self.status != Status::Welding && !self.lowered_after_break();
        match &self.car {
            None => PILOT_A,
            Some(_) if ready => PILOT_C,
            Some(_) => PILOT_B,
        }
    }

    fn lowered_after_break(&self) -> bool {
        self.emergency.is_some() && self.lowering
    }

    /// The state.
    pub fn status(&self) -> Status {
        self.status
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
