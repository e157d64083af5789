//! Vectors: each frame of the table in both directions, byte by byte.

use super::to_board::outputs;
use super::words::{PilotState, Pins, Protocol};
use super::*;
use crate::can::Frame;
use busbar_interfaces::{ConnectorId, Milliamperes, Millivolts, Percent, Watts};
use proptest::prelude::*;

const ONE: ConnectorId = ConnectorId(1);

#[test]
fn the_identifiers_carry_the_connector() {
    assert_eq!(station_status(ONE, StationStatus::default()).id(), 0x0106_3000);
    assert_eq!(permission(ConnectorId(2), Permission::default()).id(), 0x0206_3002);
    let status = Frame::extended(0x0206_B000, &[7]);
    assert_eq!(decode(&status), Some((ConnectorId(2), Word::Status(BoardStatus::Charging))));
    assert_eq!(decode(&Frame::extended(0x0106_3000, &[7])), None, "our own");
    assert_eq!(decode(&Frame::standard(0x100, &[7])), None);
}

#[test]
fn frame_6b000_every_number_is_a_word_of_its_own() {
    use BoardStatus::*;
    let words = [
        Initialising,
        WaitingForVehicle,
        Negotiating,
        FullInfo,
        InsulationTest,
        Precharge,
        WaitingForCharge,
        Charging,
        Ending,
        Welding,
        Closing,
        Authorising,
        NotAvailable,
        Pause,
        Unknown(14),
    ];
    for (number, word) in (0..).zip(words) {
        let frame = Frame::extended(0x0106_B000, &[number]);
        assert_eq!(decode(&frame), Some((ONE, Word::Status(word))), "{number}");
    }
}

#[test]
fn power_control_bit_by_bit() {
    // 400.0 V, 125.0 A, least -2.0 A, power transfer, a range, contactors closed.
    let frame = Frame::extended(0x0106_B003, &[0xA0, 0x0F, 0xE2, 0x04, 0xEC, 0xFF, 0x68]);
    let expected = PowerControl {
        voltage: Millivolts(400_000),
        current: Milliamperes(125_000),
        least_milliamperes: -2_000,
        function: Function::PowerTransfer,
        range: true,
        close_contactors: true,
        lower_voltage: false,
    };
    assert_eq!(decode(&frame), Some((ONE, Word::Control(expected))));
    for (flags, function, close_contactors, lower_voltage) in [
        (0x00, Function::Off, false, false),
        (0xC1, Function::Standby, true, true),
        (0x42, Function::InsulationTest, true, false),
        (0x44, Function::Precharge, true, false),
        (0x80, Function::Off, false, true),
        (0x4F, Function::Off, true, false),
    ] {
        let frame = Frame::extended(0x0106_B003, &[0, 0, 0xF6, 0xFF, 0, 0, flags]);
        let expected = PowerControl { function, close_contactors, lower_voltage, ..PowerControl::default() };
        assert_eq!(decode(&frame), Some((ONE, Word::Control(expected))), "{flags:02X}: less than nothing is nothing");
    }
}

#[test]
fn the_boards_other_frames_byte_by_byte() {
    let limits = |least, most, least_kilowatts: u32, most_kilowatts: u32| ChargeLimits {
        least_current: Milliamperes(least),
        most_current: Milliamperes(most),
        least_power: Watts(least_kilowatts * 1000),
        most_power: Watts(most_kilowatts * 1000),
    };
    let pilot = |state, duty_permille| Word::Pilot(Pilot { state, duty_permille });
    let vectors: &[(u32, &[u8], Word)] = &[
        (0x001, &[2, 1], session(Protocol::Iso15118Part2, Pins::CcsExtended)),
        (0x001, &[0, 0], session(Protocol::Din70121, Pins::CcsCore)),
        (0x001, &[1, 3], session(Protocol::IsoDraft2010, Pins::Ac)),
        (0x001, &[3, 2], session(Protocol::Chademo0, Pins::Chademo)),
        (0x001, &[4, 2], session(Protocol::Chademo1, Pins::Chademo)),
        (0x001, &[5, 2], session(Protocol::Chademo2, Pins::Chademo)),
        (0x001, &[6, 4], session(Protocol::PilotOnly, Pins::Mcs)),
        (0x001, &[7, 1], session(Protocol::Iso15118Part20, Pins::CcsExtended)),
        (0x001, &[8, 5], session(Protocol::Unknown(8), Pins::Unknown(5))),
        (0x002, &[1], Word::ChargeEdge(true)),
        (0x002, &[0], Word::ChargeEdge(false)),
        (0x004, &[0], Word::Finished { clean: true }),
        (0x004, &[1], Word::Finished { clean: false }),
        (0x005, &[1], Word::Emergency { from_vehicle: false }),
        (0x005, &[3], Word::Emergency { from_vehicle: true }),
        (
            0x100,
            &[77, 0, 41, 10, 80, 100],
            Word::Battery(Battery {
                capacity_kilowatt_hours: 77,
                present: Percent(41),
                least: Percent(10),
                target: Percent(80),
                most: Percent(100),
            }),
        ),
        (
            0x101,
            &[0xB8, 0x0B, 0x68, 0x10, 0xA0, 0x0F],
            Word::Voltages(Voltages {
                least: Millivolts(300_000),
                most: Millivolts(420_000),
                present: Millivolts(400_000),
            }),
        ),
        (0x102, &[10, 0, 0xE2, 0x04, 1, 0, 50, 0], Word::Charge(limits(1_000, 125_000, 1, 50))),
        (0x103, &[0, 0, 0x64, 0x00, 0, 0, 11, 0], Word::Discharge(limits(0, 10_000, 0, 11))),
        (
            0x104,
            &[0xFE, 0xFF, 30, 0, 45, 0],
            Word::Energy(Energy { least_kilowatt_hours: -2, target_kilowatt_hours: 30, most_kilowatt_hours: 45 }),
        ),
        (0x105, &[0x00, 0x1A, 0x2B, 0x3C, 0x4D, 0x5E], Word::VehicleId([0x00, 0x1A, 0x2B, 0x3C, 0x4D, 0x5E])),
        (
            0x201,
            &[0b1010, 0, 0, 0, 0, 85, 120, 0],
            Word::Inputs(Inputs {
                digital: [false, true, false, true],
                board_celsius: 45,
                plug_celsius: [Some(80), None],
            }),
        ),
        (0x203, &[12, 0xE8, 0x03, 0, 0, 0, 0, 0], pilot(PilotState::A, 1000)),
        (0x203, &[9, 50, 0, 0, 0, 0, 0, 0], pilot(PilotState::B, 50)),
        (0x203, &[6, 50, 0, 0, 0, 0, 0, 0], pilot(PilotState::C, 50)),
        (0x203, &[3, 50, 0, 0, 0, 0, 0, 0], pilot(PilotState::D, 50)),
        (0x203, &[0, 0, 0, 0, 0, 0, 0, 0], pilot(PilotState::Ef, 0)),
        (0x203, &[7, 0], pilot(PilotState::Unknown(7), 0)),
    ];
    for (number, data, word) in vectors {
        let frame = Frame::extended(0x0106_B000 | number, data);
        assert_eq!(decode(&frame), Some((ONE, *word)), "{number:03X} {data:?}");
    }
}

fn session(protocol: Protocol, pins: Pins) -> Word {
    Word::NewSession(Session { protocol, pins })
}

#[test]
fn the_stations_words_bit_by_bit() {
    let status = StationStatus {
        voltage: Millivolts(401_250),
        current: Milliamperes(99_990),
        module_celsius: Some(61),
        cabinet_celsius: Some(-5),
        enable: true,
        insulation_good: true,
    };
    assert_eq!(station_status(ONE, status).data(), [0xAC, 0x0F, 0xE7, 0x03, 101, 35, 1, 255]);
    let unknown = StationStatus { module_celsius: None, cabinet_celsius: Some(-60), enable: false, ..status };
    assert_eq!(station_status(ONE, unknown).data()[4..7], [0, 0, 0]);
    let hot = StationStatus { module_celsius: Some(300), insulation_good: false, ..status };
    assert_eq!(station_status(ONE, hot).data()[4..], [255, 35, 1, 0]);
    let told = StationLimits {
        voltage: Millivolts(1_000_000),
        charge: Milliamperes(300_000),
        discharge: Milliamperes(10_000),
        range_target_milliamperes: -2_000,
    };
    assert_eq!(limits(ONE, told).data(), [0x10, 0x27, 0xB8, 0x0B, 100, 0, 0xEC, 0xFF]);
    assert_eq!(outputs(ONE, [true, false, true, false], [0xFF, 0, 0x81]).data(), [0xF5, 0x0F, 0x10, 0x08, 0, 0, 0, 0]);
    assert_eq!(outputs(ONE, [false; 4], [0; 3]).id(), 0x0106_3201);
}

#[test]
fn frame_63002_each_bit() {
    let none = Permission::default();
    for (told, bytes) in [
        (none, [0, 0, 0]),
        (Permission { start: true, ..none }, [1, 0, 0]),
        (Permission { chademo_button: true, ..none }, [2, 0, 0]),
        (Permission { authorisation_done: true, ..none }, [0, 1, 0]),
        (Permission { authorisation_valid: true, ..none }, [0, 2, 0]),
        (Permission { parameters_done: true, ..none }, [0, 4, 0]),
        (Permission { stop: true, ..none }, [0, 0, 1]),
        (Permission::granted(false, false), [1, 7, 0]),
        (Permission::granted(true, true), [3, 7, 1]),
    ] {
        assert_eq!(permission(ONE, told).data(), bytes, "{told:?}");
    }
}

proptest! {
    #[test]
    fn no_frame_is_a_panic(id in 0u32..0x2000_0000, data in proptest::collection::vec(any::<u8>(), 0..=8)) {
        let _ = decode(&Frame::extended(id, &data));
    }

    #[test]
    fn no_word_to_the_board_is_a_panic(milli in any::<u32>(), celsius in any::<i16>(), target in any::<i32>()) {
        let (voltage, current) = (Millivolts(milli), Milliamperes(milli));
        let celsius = Some(celsius);
        let status = StationStatus { voltage, current, module_celsius: celsius, ..StationStatus::default() };
        let _ = station_status(ONE, status);
        let told = StationLimits { voltage, charge: current, discharge: current, range_target_milliamperes: target };
        let _ = limits(ONE, told);
    }
}
