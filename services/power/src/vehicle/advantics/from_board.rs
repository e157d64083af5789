//! Reads a board's frames.

use super::words::{
    Battery, BoardStatus, ChargeLimits, Energy, Function, Inputs, Pilot, PilotState, Pins, PowerControl, Protocol,
    Session, Voltages, Word,
};
use crate::can::Frame;
use busbar_interfaces::{ConnectorId, Milliamperes, Millivolts, Percent, Watts};

const FROM_BOARD: u32 = 0x06_B000;

/// Reads a frame; `None` if it is not a board's word, or too short for one.
pub fn decode(frame: &Frame) -> Option<(ConnectorId, Word)> {
    if !frame.is_extended() || (frame.id() & 0xFF_F000) != FROM_BOARD {
        return None;
    }
    let word = word(frame.id() & 0xFFF, frame.data())?;
    Some((ConnectorId(frame.id() >> 24), word))
}

fn word(number: u32, data: &[u8]) -> Option<Word> {
    Some(match (number, data) {
        (0x000, [status, ..]) => Word::Status(BoardStatus::of(*status)),
        (0x001, [protocol, pins, ..]) => {
            Word::NewSession(Session { protocol: protocol_of(*protocol), pins: pins_of(*pins) })
        }
        (0x002, [edge, ..]) => Word::ChargeEdge(*edge == 1),
        (0x003, [v0, v1, i0, i1, l0, l1, flags, ..]) => {
            Word::Control(control([*v0, *v1], [*i0, *i1], [*l0, *l1], *flags))
        }
        (0x004, [how, ..]) => Word::Finished { clean: *how == 0 },
        (0x005, [origin, ..]) => Word::Emergency { from_vehicle: *origin == 3 },
        (0x100, [c0, c1, present, least, target, most, ..]) => Word::Battery(Battery {
            capacity_kilowatt_hours: u16::from_le_bytes([*c0, *c1]),
            present: Percent(*present),
            least: Percent(*least),
            target: Percent(*target),
            most: Percent(*most),
        }),
        (0x101, [l0, l1, m0, m1, p0, p1, ..]) => Word::Voltages(Voltages {
            least: millivolts([*l0, *l1]),
            most: millivolts([*m0, *m1]),
            present: millivolts([*p0, *p1]),
        }),
        (0x102, [a, b, c, d, e, f, g, h]) => Word::Charge(charge_limits([*a, *b], [*c, *d], [*e, *f], [*g, *h])),
        (0x103, [a, b, c, d, e, f, g, h]) => Word::Discharge(charge_limits([*a, *b], [*c, *d], [*e, *f], [*g, *h])),
        (0x104, [l0, l1, t0, t1, m0, m1, ..]) => Word::Energy(Energy {
            least_kilowatt_hours: i16::from_le_bytes([*l0, *l1]),
            target_kilowatt_hours: i16::from_le_bytes([*t0, *t1]),
            most_kilowatt_hours: i16::from_le_bytes([*m0, *m1]),
        }),
        (0x105, [a, b, c, d, e, f, ..]) => Word::VehicleId([*a, *b, *c, *d, *e, *f]),
        (0x201, [inputs, _, _, _, _, board, first, second]) => Word::Inputs(Inputs {
            digital: [0, 1, 2, 3].map(|bit| inputs >> bit & 1 == 1),
            board_celsius: celsius(*board),
            // The lowest number stands for a sensor that is not fitted: no plug is that cold.
            plug_celsius: [*first, *second].map(|raw| (raw > 0).then(|| celsius(raw))),
        }),
        (0x203, [state, rest @ ..]) => {
            let duty = rest.first_chunk().map_or(0, |duty| u16::from_le_bytes(*duty));
            Word::Pilot(Pilot { state: pilot_of(*state), duty_permille: duty })
        }
        _ => return None,
    })
}

fn control(voltage: [u8; 2], most: [u8; 2], least: [u8; 2], flags: u8) -> PowerControl {
    PowerControl {
        voltage: millivolts(voltage),
        current: Milliamperes(u32::from(i16::from_le_bytes(most).max(0).unsigned_abs()).saturating_mul(100)),
        least_milliamperes: i32::from(i16::from_le_bytes(least)).saturating_mul(100),
        function: match flags & 0x0F {
            1 => Function::Standby,
            2 => Function::InsulationTest,
            4 => Function::Precharge,
            8 => Function::PowerTransfer,
            _ => Function::Off,
        },
        range: flags & 0x20 != 0,
        close_contactors: flags & 0x40 != 0,
        lower_voltage: flags & 0x80 != 0,
    }
}

fn charge_limits(least: [u8; 2], most: [u8; 2], least_power: [u8; 2], most_power: [u8; 2]) -> ChargeLimits {
    ChargeLimits {
        least_current: milliamperes(least),
        most_current: milliamperes(most),
        least_power: kilowatts(least_power),
        most_power: kilowatts(most_power),
    }
}

fn millivolts(tenths: [u8; 2]) -> Millivolts {
    Millivolts(u32::from(u16::from_le_bytes(tenths)).saturating_mul(100))
}

fn milliamperes(tenths: [u8; 2]) -> Milliamperes {
    Milliamperes(u32::from(u16::from_le_bytes(tenths)).saturating_mul(100))
}

fn kilowatts(bytes: [u8; 2]) -> Watts {
    Watts(u32::from(u16::from_le_bytes(bytes)).saturating_mul(1000))
}

fn celsius(raw: u8) -> i16 {
    i16::from(raw).saturating_sub(40)
}

fn protocol_of(number: u8) -> Protocol {
    match number {
        0 => Protocol::Din70121,
        1 => Protocol::IsoDraft2010,
        2 => Protocol::Iso15118Part2,
        3 => Protocol::Chademo0,
        4 => Protocol::Chademo1,
        5 => Protocol::Chademo2,
        6 => Protocol::PilotOnly,
        7 => Protocol::Iso15118Part20,
        other => Protocol::Unknown(other),
    }
}

fn pins_of(number: u8) -> Pins {
    match number {
        0 => Pins::CcsCore,
        1 => Pins::CcsExtended,
        2 => Pins::Chademo,
        3 => Pins::Ac,
        4 => Pins::Mcs,
        other => Pins::Unknown(other),
    }
}

fn pilot_of(number: u8) -> PilotState {
    match number {
        12 => PilotState::A,
        9 => PilotState::B,
        6 => PilotState::C,
        3 => PilotState::D,
        0 => PilotState::Ef,
        other => PilotState::Unknown(other),
    }
}
