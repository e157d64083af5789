//! Whole deliveries in pure code and virtual time: modules, boards and a SECC board that do as they are told around
//! `Cabinet::act`, and what must hold when one of them does not.

use crate::advantics::{self};
use crate::cabinet::{Cabinet, Effect, WhichBus};
use crate::can::{BusNews, Frame};
use crate::io::{Board, IoNews};
use crate::record::Deliveries;
use crate::settings::tests::{STATION, read};
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::words::{Phase, StopCause};
use busbar_interfaces::{BoottimeMillis, ConnectorId, Milliamperes, TransactionId, Watts};
use std::collections::BTreeMap;
use std::time::Duration;

mod hostile;

const ONE: ConnectorId = ConnectorId(1);
const LEASE: Duration = Duration::from_secs(30);
const BATTERY_VOLTS: f32 = 400.0;
/// Inputs of an output board: mirrors open, emergency stop and insulation healthy, door closed.
const HEALTHY: [bool; 8] = [false, false, true, true, true, false, false, false];

/// Frame 6B003 by its fields.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Wish {
    decivolts: u16,
    deciamperes: u16,
    flags: u8,
}

const NOTHING: Wish = Wish { decivolts: 0, deciamperes: 0, flags: 0 };
const CABLE_CHECK: Wish = Wish { decivolts: 4500, deciamperes: 20, flags: 0x42 };
const LOWER: Wish = Wish { decivolts: 0, deciamperes: 0, flags: 0xC1 };
const PRECHARGE: Wish = Wish { decivolts: 4000, deciamperes: 20, flags: 0x44 };
const TRANSFER: Wish = Wish { decivolts: 4200, deciamperes: 600, flags: 0x48 };
const STANDBY: Wish = Wish { decivolts: 0, deciamperes: 0, flags: 0x41 };

#[derive(Debug, Clone, Copy, Default)]
struct Module {
    on: bool,
    volts: f32,
    amperes: f32,
    silent: bool,
}

struct Play {
    now: u64,
    cabinet: Cabinet,
    modules: BTreeMap<u8, Module>,
    boards: BTreeMap<u8, ([bool; 8], [bool; 8])>,
    status: u8,
    wish: Wish,
    plugged: bool,
    board_silent: bool,
    control_silent: bool,
    pilot_silent: bool,
    /// Coil orders get lost on the way.
    orders_lost: bool,
    /// The I/O boards are not read.
    boards_unread: bool,
    /// What the vehicle tells of its limits: decivolts, deciamperes.
    most: Option<(u16, u16)>,
    /// What modules give on top of what they are told.
    excess: (f32, f32),
    /// A module that gives current although it is told to be off.
    sticks: bool,
    /// Frames on the modules' bus, ours.
    module_frames: u64,
    to_board: Vec<Frame>,
    /// Highest current that the module of connector 1 gave while its contactors moved.
    worst_switched_amperes: f32,
}

impl Play {
    fn new() -> Play {
        Play::with_record(&Deliveries::new())
    }

    fn with_record(record: &Deliveries) -> Play {
        let settings = read(STATION).expect("good");
        let boards = [(1, HEALTHY), (2, HEALTHY), (3, [false; 8]), (4, [false; 8])];
        let boards = boards.map(|(unit, inputs)| (unit, (inputs, [false; 8])));
        let mut play = Play {
            now: 10_000,
            cabinet: Cabinet::new(&settings, record, BoottimeMillis(10_000)),
            modules: BTreeMap::from([(1, Module::default()), (2, Module::default())]),
            boards: BTreeMap::from(boards),
            status: 1,
            wish: NOTHING,
            plugged: false,
            board_silent: false,
            control_silent: false,
            pilot_silent: false,
            orders_lost: false,
            boards_unread: false,
            most: None,
            excess: (0.0, 0.0),
            sticks: false,
            module_frames: 0,
            to_board: Vec::new(),
            worst_switched_amperes: 0.0,
        };
        for bus in [WhichBus::Modules, WhichBus::Vehicles] {
            play.cabinet.bus_told(BoottimeMillis(10_000), bus, BusNews::Up);
        }
        play
    }

    /// A running charge: plugged, everything passed, 60 A flow.
    fn charging() -> Play {
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

    fn at(&self) -> BoottimeMillis {
        BoottimeMillis(self.now)
    }

    fn start(&mut self, delivery: TransactionId) -> Result<(), busbar_interfaces::CallError> {
        self.cabinet.start(self.at(), ONE, delivery, LEASE)
    }

    fn state(&self) -> PowerConnectorState {
        self.cabinet.connector_states(self.at()).remove(0).1
    }

    fn module(&self) -> Module {
        self.modules[&1]
    }

    fn contactors(&self) -> bool {
        self.boards[&1].0[0]
    }

    /// Time passes in steps of 10 ms; everything that is told does as it is told.
    fn run(&mut self, millis: u64) {
        let until = self.now + millis;
        while self.now < until {
            self.now += 10;
            if self.now.is_multiple_of(100) && !self.board_silent {
                self.board_speaks();
            }
            if self.now.is_multiple_of(50) && !self.boards_unread {
                let boards = self.boards.iter().map(|(unit, (inputs, coils))| (*unit, Board::of(*inputs, *coils)));
                self.cabinet.boards_told(BoottimeMillis(self.now), IoNews::Read(boards.collect()));
            }
            for effect in self.cabinet.act(self.at()) {
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
                        if order.coil < 2 || order.unit > 2 {
                            inputs[usize::from(order.coil)] = order.on;
                        }
                    }
                }
            }
        }
    }

    fn board_speaks(&mut self) {
        let Wish { decivolts, deciamperes, flags } = self.wish;
        let ([v0, v1], [i0, i1]) = (decivolts.to_le_bytes(), deciamperes.to_le_bytes());
        let pilot = if self.plugged { 6 } else { 12 };
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
    fn precharged() -> Play {
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

    fn stop(&mut self) {
        let now = self.at();
        self.cabinet.connector(ONE).expect("there").stop(now, TransactionId(7)).expect("stops");
    }

    fn codes(&self) -> Vec<String> {
        self.cabinet.state(self.at()).conditions.into_iter().map(|each| each.code).collect()
    }

    fn coil(&self, unit: u8, coil: usize) -> bool {
        self.boards[&unit].1[coil]
    }

    /// A mirror contact or another input.
    fn set_input(&mut self, unit: u8, input: usize, on: bool) {
        self.boards.get_mut(&unit).expect("a board").0[input] = on;
    }

    /// The contactor of one pole and its mirror contact.
    fn set_pole(&mut self, pole: usize, on: bool) {
        let (inputs, coils) = self.boards.get_mut(&1).expect("a board");
        (inputs[pole], coils[pole]) = (on, on);
    }

    fn module_hears(&mut self, frame: &Frame) {
        self.module_frames += 1;
        let (excess, sticks) = (self.excess, self.sticks);
        let [_, command, address, _] = frame.id().to_be_bytes();
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
                let volts = if module.on { volts + excess.0 } else { 0.0 };
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

    /// The last 63000 that connector 1's board got: volts in tenths, enable.
    fn told_enable(&self) -> Option<bool> {
        let status = self.to_board.iter().rev().find(|frame| frame.id() == 0x0106_3000)?;
        Some(status.data()[6] == 1)
    }
}

impl Board {
    fn of(inputs: [bool; 8], coils: [bool; 8]) -> Board {
        let mut board = Board::with_inputs(inputs);
        for (coil, on) in coils.into_iter().enumerate() {
            board.set_coil(coil as u8, on);
        }
        board
    }
}

#[test]
fn a_delivery_from_the_plug_to_the_end() {
    let mut play = Play::charging();
    assert!(play.contactors());
    assert_eq!(play.told_enable(), Some(true));
    play.cabinet.connector(ONE).expect("there").stop(BoottimeMillis(play.now), TransactionId(7)).expect("stops");
    play.run(10);
    assert_eq!(play.state().phase, Phase::Stopping);
    (play.status, play.wish) = (8, STANDBY);
    play.run(1_000);
    let state = play.state();
    assert_eq!((state.delivery, state.ended_delivery), (TransactionId(0), TransactionId(7)));
    assert_eq!(state.stop_cause, StopCause::Requested);
    assert!(!play.module().on && !play.contactors());
    assert_eq!(play.worst_switched_amperes, 0.0, "contactors moved without current");
    let last = play.to_board.iter().rev().find(|frame| frame.id() == 0x0106_3002).expect("told");
    assert_eq!(last.data(), advantics::permission(ONE, advantics::Permission { start: true, stop: true }).data());
}

#[test]
fn nothing_is_energised_before_the_contactors_are_closed() {
    let mut play = Play::new();
    play.plugged = true;
    play.run(3_000);
    play.start(TransactionId(7)).expect("starts");
    (play.status, play.wish) = (4, CABLE_CHECK);
    // The mirror contacts do not follow.
    for _ in 0..40 {
        play.run(10);
        let (inputs, _) = play.boards.get_mut(&1).expect("a board");
        (inputs[0], inputs[1]) = (false, false);
        assert!(!play.module().on);
    }
    play.run(2_000);
    let codes: Vec<String> = play.cabinet.state(play.at()).conditions.into_iter().map(|each| each.code).collect();
    assert!(codes.contains(&"0x100208".to_owned()), "{codes:?}");
    assert!(!play.module().on);
}

#[test]
fn a_limit_is_never_exceeded_and_zero_leaves_the_residual() {
    let mut play = Play::charging();
    let held = play.cabinet.connector(ONE).expect("there").hold_limit(BoottimeMillis(play.now), Watts(20_000), LEASE);
    assert_eq!(held, Watts(20_000));
    play.run(300);
    assert_eq!(play.state().output_milliamperes, Milliamperes(50_000), "20 kW at 400 V");
    play.cabinet.connector(ONE).expect("there").hold_limit(BoottimeMillis(play.now), Watts(0), LEASE);
    play.run(300);
    assert_eq!(play.state().output_milliamperes, Milliamperes(500), "half an ampere for each module");
    // The leases of the limit and of the delivery end; the fallback holds for what goes on.
    play.cabinet
        .connector(ONE)
        .expect("there")
        .renew(BoottimeMillis(play.now), TransactionId(7), LEASE * 4)
        .expect("renews");
    play.run(40_000);
    assert_eq!(play.state().limit_watts, Watts(180_000));
    assert_eq!(play.state().output_milliamperes, Milliamperes(60_000), "what the vehicle asks for");
}

#[test]
fn a_lease_that_nobody_renews_ends_the_delivery() {
    let mut play = Play::charging();
    play.run(31_000);
    assert_eq!(play.state().stop_cause, StopCause::LeaseEnded);
    assert!(!play.module().on && !play.contactors());
}

#[test]
fn whatever_fails_in_a_charge_ends_it_safely() {
    type Failure = fn(&mut Play);
    let failures: [(&str, Failure, StopCause); 6] = [
        ("the board falls silent", |play| play.board_silent = true, StopCause::Fault),
        ("the module falls silent", |play| play.modules.get_mut(&1).expect("there").silent = true, StopCause::Fault),
        ("the plug is pulled", |play| play.plugged = false, StopCause::Unplugged),
        (
            "the emergency stop is pressed",
            |play| play.boards.get_mut(&1).expect("there").0[2] = false,
            StopCause::EmergencyStop,
        ),
        ("the insulation fails", |play| play.boards.get_mut(&1).expect("there").0[3] = false, StopCause::Fault),
        ("the vehicle ends it", |play| (play.status, play.wish) = (8, STANDBY), StopCause::Vehicle),
    ];
    for (what, fail, cause) in failures {
        let mut play = Play::charging();
        fail(&mut play);
        play.run(15_000);
        let state = play.state();
        assert_eq!((state.ended_delivery, state.stop_cause), (TransactionId(7), cause), "{what}");
        assert!(!play.contactors(), "{what}: the contactors are open");
        assert!(!play.module().on || play.module().silent, "{what}: the module is off");
    }
}

#[test]
fn a_running_output_is_taken_over_without_a_change() {
    let before = Play::charging();
    let mut play = Play::with_record(&before.cabinet.record());
    (play.modules, play.boards) = (before.modules.clone(), before.boards.clone());
    (play.status, play.wish, play.plugged, play.now) = (7, TRANSFER, true, 10_000);
    for step in 0..100 {
        play.run(10);
        assert!(play.contactors() && play.module().on, "step {step}");
        assert!(play.module().amperes >= 59.0, "step {step}: {}", play.module().amperes);
    }
    assert_eq!((play.state().delivery, play.state().phase), (TransactionId(7), Phase::Delivering));
    assert_eq!(play.told_enable(), Some(true));
}

#[test]
fn what_contradicts_the_record_is_a_safe_stop() {
    type Contradiction = fn(&mut Play);
    let contradictions: [(&str, Contradiction); 6] = [
        ("the board is not charging", |play| play.status = 5),
        ("the board is silent", |play| play.board_silent = true),
        ("the contactors are open", |play| play.boards.get_mut(&1).expect("there").0 = HEALTHY),
        ("the module is silent", |play| play.modules.get_mut(&1).expect("there").silent = true),
        ("the plug is out", |play| play.plugged = false),
        ("the emergency stop is pressed", |play| play.boards.get_mut(&1).expect("there").0[2] = false),
    ];
    for (what, contradict) in contradictions {
        let before = Play::charging();
        let mut play = Play::with_record(&before.cabinet.record());
        (play.modules, play.boards) = (before.modules.clone(), before.boards.clone());
        (play.status, play.wish, play.plugged) = (7, TRANSFER, true);
        contradict(&mut play);
        play.run(15_000);
        assert_eq!(play.state().ended_delivery, TransactionId(7), "{what}");
        assert!(!play.contactors(), "{what}: the contactors are open");
        assert!(!play.module().on || play.module().silent, "{what}: the module is off");
    }
}

#[test]
fn a_delivery_needs_a_vehicle_and_hardware_that_answers() {
    let mut play = Play::new();
    assert!(play.start(TransactionId(1)).is_err(), "nothing has answered");
    play.run(3_000);
    assert!(play.start(TransactionId(1)).is_err(), "no vehicle");
    play.plugged = true;
    play.run(200);
    play.start(TransactionId(1)).expect("starts");
    play.start(TransactionId(1)).expect("the same again is its renewal");
    assert!(play.start(TransactionId(2)).is_err(), "another one runs");
}
