//! The other side of every scenario: modules, boards and a SECC board that do as they are told around `Cabinet::act`,
//! unless a test says otherwise.

use crate::cabinet::{Cabinet, Effect, WhichBus};
use crate::can::{BusNews, Frame};
use crate::io::{IoNews, Unit};
use crate::modules;
use crate::modules::driver::{Address, ModuleDriver, Target};
use crate::modules::infypower::Infypower;
use crate::settings::Settings;
use crate::settings::tests::{STATION, read};
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::words::Phase;
use busbar_interfaces::{BoottimeMillis, ConnectorId, Milliamperes, TransactionId};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) const ONE: ConnectorId = ConnectorId(1);
pub(super) const LEASE: Duration = Duration::from_secs(30);
pub(super) const BATTERY_VOLTS: f32 = 400.0;
/// Inputs of an output board: mirrors open, emergency stop and insulation healthy, door closed.
pub(super) const HEALTHY: [bool; 8] = [false, false, true, true, true, false, false, false];

/// Frame 6B003 by its fields.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wish {
    pub(super) decivolts: u16,
    pub(super) deciamperes: u16,
    pub(super) flags: u8,
}

pub(super) const NOTHING: Wish = Wish { decivolts: 0, deciamperes: 0, flags: 0 };
pub(super) const CABLE_CHECK: Wish = Wish { decivolts: 4500, deciamperes: 20, flags: 0x42 };
pub(super) const LOWER: Wish = Wish { decivolts: 0, deciamperes: 0, flags: 0xC1 };
pub(super) const PRECHARGE: Wish = Wish { decivolts: 4000, deciamperes: 20, flags: 0x44 };
pub(super) const TRANSFER: Wish = Wish { decivolts: 4200, deciamperes: 600, flags: 0x48 };
/// A pause: current 0, the contactors stay.
pub(super) const PAUSED: Wish = Wish { decivolts: 4200, deciamperes: 0, flags: 0x48 };
pub(super) const STANDBY: Wish = Wish { decivolts: 0, deciamperes: 0, flags: 0x41 };

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Module {
    pub(super) on: bool,
    pub(super) volts: f32,
    pub(super) amperes: f32,
    pub(super) silent: bool,
}

pub(super) struct Play {
    pub(super) now: u64,
    pub(super) settings: Settings,
    pub(super) cabinet: Cabinet,
    pub(super) modules: BTreeMap<u8, Module>,
    pub(super) boards: BTreeMap<u8, ([bool; 8], [bool; 8])>,
    pub(super) status: u8,
    pub(super) wish: Wish,
    pub(super) plugged: bool,
    pub(super) board_silent: bool,
    pub(super) control_silent: bool,
    pub(super) pilot_silent: bool,
    /// The pilot is in state B although the vehicle ought to be ready.
    pub(super) pilot_lowered: bool,
    /// Coil orders get lost on the way.
    pub(super) orders_lost: bool,
    /// The I/O boards are not read.
    pub(super) boards_unread: bool,
    /// What the vehicle tells of its limits: decivolts, deciamperes.
    pub(super) most: Option<(u16, u16)>,
    /// What modules give on top of what they are told.
    pub(super) excess: (f32, f32),
    /// A module that gives current although it is told to be off.
    pub(super) sticks: bool,
    /// Lock, tilt and water sensors are wired.
    pub(super) wired: bool,
    /// The lock's feedback stays at this.
    pub(super) lock_sticks: Option<bool>,
    /// Poles whose mirror contact stays closed once it was.
    pub(super) welded: [bool; 2],
    /// What the modules of a connector show although they are off.
    pub(super) back_feed: f32,
    /// The modules never come up to their voltage.
    pub(super) short_circuit: bool,
    /// What the sensor in the plug says.
    pub(super) plug_celsius: Option<u8>,
    /// The board raises an emergency of this origin.
    pub(super) emergency_of_board: Option<u8>,
    /// Everything that was ever done, and when.
    pub(super) done: Vec<(u64, Effect)>,
    /// Frames on the modules' bus, ours.
    pub(super) module_frames: u64,
    pub(super) to_board: Vec<Frame>,
    /// Highest current that the module of connector 1 gave while its contactors moved.
    pub(super) worst_switched_amperes: f32,
}

impl Play {
    pub(super) fn new() -> Play {
        Play::of(STATION)
    }

    fn of(station: &str) -> Play {
        let settings = read(station).expect("good");
        let boards = [(1, HEALTHY), (2, HEALTHY), (3, [false; 8]), (4, [false; 8])];
        let boards = boards.map(|(unit, inputs)| (unit, (inputs, [false; 8])));
        let mut play = Play {
            now: 10_000,
            cabinet: Cabinet::new(&settings, BoottimeMillis(10_000)),
            settings,
            modules: BTreeMap::from([(1, Module::default()), (2, Module::default())]),
            boards: BTreeMap::from(boards),
            status: 1,
            wish: NOTHING,
            plugged: false,
            board_silent: false,
            control_silent: false,
            pilot_silent: false,
            pilot_lowered: false,
            orders_lost: false,
            boards_unread: false,
            most: None,
            excess: (0.0, 0.0),
            sticks: false,
            wired: false,
            lock_sticks: None,
            welded: [false; 2],
            back_feed: 0.0,
            short_circuit: false,
            plug_celsius: None,
            emergency_of_board: None,
            done: Vec::new(),
            module_frames: 0,
            to_board: Vec::new(),
            worst_switched_amperes: 0.0,
        };
        for bus in [WhichBus::Modules, WhichBus::Vehicles] {
            play.cabinet.bus_told(BoottimeMillis(10_000), bus, BusNews::Up);
        }
        play
    }

    /// Another process, that goes on with what this one left some milliseconds ago.
    pub(super) fn restart(&mut self, gap_millis: u64) {
        let mut left = Vec::new();
        ciborium::into_writer(&self.cabinet.leave(), &mut left).expect("can be written");
        self.now += gap_millis;
        let left = ciborium::from_reader(left.as_slice()).expect("can be read");
        self.cabinet = Cabinet::resume(&self.settings, left, self.at());
        for bus in [WhichBus::Modules, WhichBus::Vehicles] {
            self.cabinet.bus_told(self.at(), bus, BusNews::Up);
        }
    }

    /// A running charge: plugged, everything passed, 60 A flow.
    pub(super) fn charging() -> Play {
        let mut play = Play::new();
        play.plugged = true;
        play.run(3_000);
        play.start(TransactionId(7)).expect("starts");
        for (status, wish) in [(2, NOTHING), (4, CABLE_CHECK), (4, LOWER), (5, PRECHARGE), (7, TRANSFER)] {
            play.status = status;
            play.wish = wish;
            play.run(if status == 7 { 6_000 } else { 1_000 });
        }
        assert_eq!(play.state().phase, Phase::Delivering);
        assert_eq!(play.state().output_milliamperes, Milliamperes(60_000));
        play
    }

    pub(super) fn at(&self) -> BoottimeMillis {
        BoottimeMillis(self.now)
    }

    pub(super) fn start(&mut self, delivery: TransactionId) -> Result<(), busbar_interfaces::CallError> {
        self.cabinet.start(self.at(), ONE, delivery, LEASE)
    }

    pub(super) fn state(&self) -> PowerConnectorState {
        self.cabinet.connector_states(self.at()).remove(0).1
    }

    pub(super) fn module(&self) -> Module {
        self.modules[&1]
    }

    pub(super) fn contactors(&self) -> bool {
        self.boards[&1].0[0]
    }

    /// Time passes in steps of 10 ms; everything that is told does as it is told.
    pub(super) fn run(&mut self, millis: u64) {
        let until = self.now + millis;
        while self.now < until {
            self.now += 10;
            if self.now.is_multiple_of(100) && !self.board_silent {
                self.board_speaks();
            }
            if self.now.is_multiple_of(50) && !self.boards_unread {
                let units =
                    self.boards.iter().map(|(unit, (inputs, coils))| (*unit, self.unit(*unit, *inputs, *coils)));
                let units = units.collect();
                self.cabinet.boards_told(BoottimeMillis(self.now), IoNews::Read(units));
            }
            for effect in self.cabinet.act(self.at()) {
                self.done.push((self.now, effect.clone()));
                match effect {
                    Effect::Send(WhichBus::Modules, frame) => self.module_hears(&frame),
                    Effect::Send(WhichBus::Vehicles, frame) => self.to_board.push(frame),
                    Effect::Coil(_) if self.orders_lost => {}
                    Effect::Coil(order) => {
                        let unit_amperes = self.module().amperes;
                        let (inputs, coils) = self.boards.get_mut(&order.unit).expect("a board");
                        if order.unit == 1 && order.coil < 2 && inputs[usize::from(order.coil)] != order.on {
                            self.worst_switched_amperes = self.worst_switched_amperes.max(unit_amperes);
                        }
                        coils[usize::from(order.coil)] = order.on;
                        let sticks = order.unit == 1 && order.coil < 2 && self.welded[usize::from(order.coil)];
                        if (order.coil < 2 || order.unit > 2) && (order.on || !sticks) {
                            inputs[usize::from(order.coil)] = order.on;
                        }
                        if order.unit == 1 && order.coil == 3 && self.wired {
                            inputs[5] = order.on;
                        }
                    }
                }
            }
        }
    }

    fn unit(&self, unit: u8, mut inputs: [bool; 8], coils: [bool; 8]) -> Unit {
        if unit == 1
            && let Some(locked) = self.lock_sticks
        {
            inputs[5] = locked;
        }
        Unit { inputs, coils }
    }

    pub(super) fn board_speaks(&mut self) {
        let Wish { decivolts, deciamperes, flags } = self.wish;
        let ([v0, v1], [i0, i1]) = (decivolts.to_le_bytes(), deciamperes.to_le_bytes());
        let pilot = match (self.plugged, self.pilot_lowered) {
            (false, _) => 12,
            (true, true) => 9,
            (true, false) => 6,
        };
        let mut frames = vec![
            Frame::extended(0x0106_B000, &[self.status]),
            Frame::extended(0x0206_B000, &[1]),
            Frame::extended(0x0206_B203, &[12, 0]),
        ];
        if let Some((decivolts, deciamperes)) = self.most {
            let ([v0, v1], [i0, i1]) = (decivolts.to_le_bytes(), deciamperes.to_le_bytes());
            frames.push(Frame::extended(0x0106_B101, &[0, 0, v0, v1, 0, 0]));
            frames.push(Frame::extended(0x0106_B102, &[0, 0, i0, i1, 0, 0, 0, 0]));
        }
        if let Some(raw) = self.plug_celsius.map(|celsius| celsius + 40) {
            frames.push(Frame::extended(0x0106_B201, &[0, 0, 0, 0, 0, 80, raw, 65]));
        }
        if let Some(origin) = self.emergency_of_board {
            frames.push(Frame::extended(0x0106_B005, &[origin]));
        }
        if !self.pilot_silent {
            frames.push(Frame::extended(0x0106_B203, &[pilot, 0]));
        }
        if !self.control_silent {
            frames.push(Frame::extended(0x0106_B003, &[v0, v1, i0, i1, 0, 0, flags]));
        }
        for frame in frames {
            self.cabinet.bus_told(self.at(), WhichBus::Vehicles, BusNews::Received(frame));
        }
    }

    /// A charge up to the precharge: the next step is power.
    pub(super) fn precharged() -> Play {
        let mut play = Play::new();
        play.plugged = true;
        play.run(3_000);
        play.start(TransactionId(7)).expect("starts");
        for (status, wish) in [(2, NOTHING), (4, CABLE_CHECK), (4, LOWER), (5, PRECHARGE)] {
            (play.status, play.wish) = (status, wish);
            play.run(1_000);
        }
        assert!(play.module().on);
        play
    }

    pub(super) fn stop(&mut self) {
        let now = self.at();
        self.cabinet.connector(ONE).expect("there").stop(now, TransactionId(7)).expect("stops");
    }

    pub(super) fn codes(&self) -> Vec<String> {
        self.cabinet.state(self.at()).conditions.into_iter().map(|each| each.code).collect()
    }

    pub(super) fn coil(&self, unit: u8, coil: usize) -> bool {
        self.boards[&unit].1[coil]
    }

    /// A mirror contact or another input.
    pub(super) fn set_input(&mut self, unit: u8, input: usize, on: bool) {
        self.boards.get_mut(&unit).expect("a board").0[input] = on;
    }

    /// The contactor of one pole and its mirror contact.
    pub(super) fn set_pole(&mut self, pole: usize, on: bool) {
        let (inputs, coils) = self.boards.get_mut(&1).expect("a board");
        (inputs[pole], coils[pole]) = (on, on);
    }

    pub(super) fn module_hears(&mut self, frame: &Frame) {
        self.module_frames += 1;
        let (excess, sticks) = (self.excess, self.sticks);
        let (back_feed, short_circuit) = (self.back_feed, self.short_circuit);
        let [_, command, address, _] = frame.id().to_be_bytes();
        if address == 0x3F && modules::is_off(frame) {
            for module in self.modules.values_mut().filter(|module| !module.silent) {
                *module = Module::default();
            }
        }
        let Some(module) = self.modules.get_mut(&address).filter(|module| !module.silent) else { return };
        let data = frame.data();
        let answer = match command & 0x3F {
            0x1A => {
                module.on = data[0] == 0;
                if !module.on {
                    (module.volts, module.amperes) = (0.0, 0.0);
                }
                None
            }
            0x1C => {
                module.volts = u32::from_be_bytes([data[0], data[1], data[2], data[3]]) as f32 / 1000.0;
                module.amperes = u32::from_be_bytes([data[4], data[5], data[6], data[7]]) as f32 / 1000.0;
                None
            }
            0x03 => {
                // With the vehicle's contactors closed the battery rules the voltage, else no current flows.
                let connected = self.wish.flags & 0x08 != 0;
                let volts = if connected && module.on { BATTERY_VOLTS } else { module.volts };
                let amperes = if connected && module.on { module.amperes } else { 0.0 };
                let volts = if module.on { volts + excess.0 } else { back_feed };
                let volts = if short_circuit { 0.0 } else { volts };
                let amperes = if module.on { amperes + excess.1 } else { amperes };
                let amperes = if sticks { 60.0 } else { amperes };
                Some(volts.to_be_bytes().into_iter().chain(amperes.to_be_bytes()).collect::<Vec<u8>>())
            }
            0x04 => Some(vec![0; 8]),
            _ => None,
        };
        if let Some(answer) = answer {
            let reply = Frame::extended(0x0280_F000 | u32::from(command & 0x3F) << 16 | u32::from(address), &answer);
            self.cabinet.bus_told(self.at(), WhichBus::Modules, BusNews::Received(reply));
        }
    }

    /// A station with lock, tilt and water sensors, in good order.
    pub(super) fn wired() -> Play {
        let mut text = STATION.to_owned();
        for connector in 1..=2 {
            text += &format!(
                "[[power.output]]\nconnector = {connector}\nname = \"lock\"\nunit = {connector}\nchannel = 3\n"
            );
            for (name, channel) in [("lock", 5), ("tilt", 6), ("water", 7)] {
                text += &format!(
                    "[[power.input]]\nconnector = {connector}\nname = {name:?}\nunit = {connector}\nchannel = {channel}\n"
                );
            }
        }
        let mut play = Play::of(&text);
        play.wired = true;
        for unit in [1, 2] {
            play.set_input(unit, 6, true);
            play.set_input(unit, 7, true);
        }
        play
    }

    /// One that has come to a step of the sequence, a second ago; `None` is a vehicle that is only plugged in.
    pub(super) fn wired_at(step: Option<Step>) -> Play {
        let mut play = Play::wired();
        play.plugged = true;
        play.run(3_000);
        let Some(last) = step else { return play };
        play.start(TransactionId(7)).expect("starts");
        for step in Step::ALL.into_iter().filter(|step| *step <= last) {
            play.go(step);
        }
        play
    }

    /// One step further.
    pub(super) fn go(&mut self, step: Step) {
        if step == Step::Stopping {
            self.stop();
            self.run(100);
            return;
        }
        (self.status, self.wish) = step.told();
        self.run(if step == Step::Charging { 4_000 } else { 1_000 });
    }

    /// What was done from a moment on.
    pub(super) fn done_since(&self, at: u64) -> impl Iterator<Item = &(u64, Effect)> {
        self.done.iter().filter(move |(when, _)| *when >= at)
    }

    /// When the module of connector 1 was first told off from a moment on.
    pub(super) fn told_off_since(&self, at: u64) -> Option<u64> {
        let is_off =
            |effect: &Effect| matches!(effect, Effect::Send(WhichBus::Modules, frame) if is_off_for_one(frame));
        self.done_since(at).find(|(_, effect)| is_off(effect)).map(|(when, _)| *when)
    }

    /// When a coil of connector 1 was first ordered so from a moment on.
    pub(super) fn ordered_since(&self, at: u64, coil: u8, on: bool) -> Option<u64> {
        let is = |effect: &Effect| matches!(effect, Effect::Coil(order) if order.unit == 1 && order.coil == coil && order.on == on);
        self.done_since(at).find(|(_, effect)| is(effect)).map(|(when, _)| *when)
    }

    /// The last 63000 that connector 1's board got: volts in tenths, enable.
    pub(super) fn told_enable(&self) -> Option<bool> {
        let status = self.to_board.iter().rev().find(|frame| frame.id() == 0x0106_3000)?;
        Some(status.data()[6] == 1)
    }
}

/// The steps of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Negotiating,
    CableCheck,
    Lowered,
    Precharge,
    WaitingForCharge,
    Charging,
    Paused,
    Stopping,
}

impl Step {
    pub(super) const ALL: [Step; 8] = [
        Step::Negotiating,
        Step::CableCheck,
        Step::Lowered,
        Step::Precharge,
        Step::WaitingForCharge,
        Step::Charging,
        Step::Paused,
        Step::Stopping,
    ];

    /// The board's status and wish in it.
    pub(super) fn told(self) -> (u8, Wish) {
        match self {
            Step::Negotiating => (2, NOTHING),
            Step::CableCheck => (4, CABLE_CHECK),
            Step::Lowered => (4, LOWER),
            Step::Precharge => (5, PRECHARGE),
            Step::WaitingForCharge => (6, PRECHARGE),
            Step::Charging | Step::Stopping => (7, TRANSFER),
            Step::Paused => (13, PAUSED),
        }
    }
}

/// The frame switches the module of connector 1 off, alone or with all others.
pub(super) fn is_off_for_one(frame: &Frame) -> bool {
    [Target::Module(Address(1)), Target::Everyone].iter().any(|target| Infypower.switch(*target, false).contains(frame))
}
