//! A tiny station for the tests: it follows what a vehicle board asks, in virtual time, over frames and coils only.

// Each test file uses a part of it.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::time::Duration;

use busbar_plant::advantics::Plug;
use busbar_plant::cabinet::{Bus, Cabinet};
use busbar_plant::car::Vehicle;
use busbar_plant::frame::Frame;
use busbar_plant::timing::Timing;
use busbar_plant::wiring::{Connector, IoBoard};

const TICK: Duration = Duration::from_millis(10);
const MODULES: std::ops::RangeInclusive<u32> = 1..=3;

/// Which frames the station sends, and with what content; a test changes it to misbehave.
#[derive(Debug)]
pub struct Script {
    pub start_allowed: bool,
    /// Bits 8 to 10 of the sequence frame: decided, valid, parameters done.
    pub decisions: u8,
    pub system_enable: bool,
    pub insulation: u8,
    pub silent: bool,
    pub user_stop: bool,
    pub follows: bool,
    pub limit_tenths_of_amperes: u16,
}

/// The station, the cabinet it runs, and what it has seen.
pub struct Station {
    pub cabinet: Cabinet,
    pub script: Script,
    pub connector: Connector,
    /// States of the board in the order they appeared.
    pub states: Vec<&'static str>,
    /// Frames of the board that are sent once, and the emergency frame, by the last three digits.
    pub events: Vec<(u32, Vec<u8>)>,
    /// The newest frame of the board of each sort, by the last three digits.
    pub last_frames: BTreeMap<u32, Vec<u8>>,
    /// Modules may be without an answer.
    pub lenient: bool,
    control: [u8; 8],
    next_frames: Duration,
}

impl Station {
    pub fn new(timing: Timing, connector: Connector) -> Self {
        let mut cabinet = Cabinet::new(timing, [Plug::Ccs2, Plug::Chademo], Default::default());
        for module in 0..3 {
            cabinet.set_coil(IoBoard::Matrix(connector), module, true).unwrap();
        }
        let script = Script {
            start_allowed: true,
            decisions: 0b111,
            system_enable: true,
            insulation: 255,
            silent: false,
            user_stop: false,
            follows: true,
            limit_tenths_of_amperes: 2000,
        };
        let (states, events) = (Vec::new(), Vec::new());
        Self {
            cabinet,
            script,
            connector,
            states,
            events,
            last_frames: BTreeMap::new(),
            lenient: false,
            control: [0; 8],
            next_frames: Duration::ZERO,
        }
    }

    pub fn plug(&mut self, vehicle: Vehicle) {
        let now = self.cabinet.now();
        assert!(self.cabinet.board_mut(self.connector).plug_in(now, vehicle));
    }

    pub fn unplug(&mut self) {
        let now = self.cabinet.now();
        assert!(self.cabinet.board_mut(self.connector).unplug(now));
    }

    pub fn status(&self) -> &'static str {
        self.cabinet.board(self.connector).status().word()
    }

    pub fn violations(&self) -> Vec<String> {
        self.cabinet.violations().collect()
    }

    /// Runs until the board is in a state, at most for `limit`; returns how long it took.
    pub fn run_until(&mut self, status: &str, limit: Duration) -> Duration {
        self.run_while(limit, |station| station.status() != status)
    }

    /// Runs while a condition holds, at most for `limit`; returns how long it took.
    pub fn run_while(&mut self, limit: Duration, condition: impl Fn(&Self) -> bool) -> Duration {
        let start = self.cabinet.now();
        while condition(self) {
            let elapsed = self.cabinet.now() - start;
            assert!(elapsed < limit, "{} after {elapsed:?}, {:?}", self.status(), self.violations());
            self.tick();
        }
        self.cabinet.now() - start
    }

    pub fn run_for(&mut self, time: Duration) {
        let end = self.cabinet.now() + time;
        while self.cabinet.now() < end {
            self.tick();
        }
    }

    fn tick(&mut self) {
        for (bus, frame) in self.cabinet.advance(TICK) {
            assert_eq!(bus, Bus::Vehicles, "modules speak only when they are asked");
            self.hear(&frame);
        }
        if self.script.follows {
            self.follow();
        }
        if self.cabinet.now() >= self.next_frames && !self.script.silent {
            self.next_frames = self.cabinet.now() + Duration::from_millis(100);
            self.speak();
        }
    }

    fn hear(&mut self, frame: &Frame) {
        if frame.id() >> 24 != u32::from(self.connector.number()) {
            return;
        }
        self.last_frames.insert(frame.id() & 0xFFF, frame.data().to_vec());
        match frame.id() & 0xFFF {
            0x000 => {
                let status = self.status();
                if self.states.last() != Some(&status) {
                    self.states.push(status);
                }
            }
            0x003 => self.control = frame.padded(),
            number @ (0x001 | 0x002 | 0x004 | 0x005 | 0x105) => {
                self.events.push((number, frame.data().to_vec()));
            }
            _ => {}
        }
    }

    /// Modules, contactor and bleeder as the board asks.
    fn follow(&mut self) {
        let [volts_low, volts_high, amperes_low, amperes_high, _, _, bits, _] = self.control;
        let millivolts = u32::from(u16::from_le_bytes([volts_low, volts_high])) * 100;
        let milliamperes = u32::from(u16::from_le_bytes([amperes_low, amperes_high])) * 100;
        let running = bits & 0xF > 1;
        for module in MODULES {
            let share = milliamperes / MODULES.count() as u32;
            let [a, b, c, d] = millivolts.to_be_bytes();
            let [e, f, g, h] = share.to_be_bytes();
            self.ask(0x029C_00F0 | module << 8, [a, b, c, d, e, f, g, h]);
            self.ask(0x029A_00F0 | module << 8, [u8::from(!running), 0, 0, 0, 0, 0, 0, 0]);
        }
        let board = IoBoard::Output(self.connector);
        let close = bits & 0x40 != 0;
        if close || self.cabinet.branch(self.connector).amperes < 1.0 {
            self.cabinet.set_coil(board, 0, close).unwrap();
            self.cabinet.set_coil(board, 1, close).unwrap();
        }
        self.cabinet.set_coil(board, 2, bits & 0x80 != 0).unwrap();
    }

    pub fn ask(&mut self, id: u32, payload: [u8; 8]) {
        let answers = self.cabinet.receive(Bus::Modules, &Frame::extended(id, payload)).len();
        assert!(answers == 1 || self.lenient, "{answers} answers to {id:X}");
    }

    fn speak(&mut self) {
        let base = u32::from(self.connector.number()) << 24 | 0x0006_3000;
        let branch = self.cabinet.branch(self.connector);
        let [a, b] = ((branch.cable_volts * 10.0) as u16).to_le_bytes();
        let [c, d] = ((branch.amperes * 10.0) as i16).to_le_bytes();
        let Script { start_allowed, decisions, system_enable, insulation, user_stop, .. } = self.script;
        let status = [a, b, c, d, 65, 65, u8::from(system_enable), insulation];
        let [e, f] = self.script.limit_tenths_of_amperes.to_le_bytes();
        let limits = [0x10, 0x27, e, f, 0, 0, 0, 0];
        let sequence = [u8::from(start_allowed), decisions, u8::from(user_stop)];
        for frame in
            [Frame::extended(base, status), Frame::extended(base + 1, limits), Frame::extended(base + 2, sequence)]
        {
            self.cabinet.receive(Bus::Vehicles, &frame);
        }
    }
}
