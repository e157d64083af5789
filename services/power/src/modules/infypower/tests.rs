use super::*;
use crate::modules::alarm::Severity;
use proptest::prelude::*;
use std::collections::BTreeSet;

const ONE: Target = Target::Module(Address(1));

#[test]
fn the_documents_sample_frames() {
    let set = set_output(Address(5), 500_000, 50_000);
    let all_off = switch_target(Target::Everyone, false);
    let table: [(&str, Frame, u32, &[u8]); 14] = [
        ("count all", read_count(Target::Everyone), 0x0282_3FF0, &[0; 8]),
        ("output of module 1", read_output(Address(1)), 0x0283_01F0, &[0; 8]),
        ("status of module 1", read_status(Address(1)), 0x0284_01F0, &[0; 8]),
        ("set module 5", set, 0x029C_05F0, &[0x00, 0x07, 0xA1, 0x20, 0x00, 0x00, 0xC3, 0x50]),
        ("everything off", all_off, 0x029A_3FF0, &[1, 0, 0, 0, 0, 0, 0, 0]),
        ("whole system", set_total(Target::Everyone, 0, 0), 0x029B_3FF0, &[0; 8]),
        ("group 1 on", switch_target(Target::Group(1), true), 0x02DA_01F0, &[0; 8]),
        ("group 1 set", set_total(Target::Group(1), 0, 0), 0x02DB_01F0, &[0; 8]),
        ("group 1 output", read_total(Target::Group(1)), 0x02C1_01F0, &[0; 8]),
        ("walk-in", Infypower.walk_in(Address(2), true).remove(0), 0x0293_02F0, &[1, 0, 0, 0, 0, 0, 0, 0]),
        ("blink", Infypower.blink(Address(2), true).remove(0), 0x0294_02F0, &[1, 0, 0, 0, 0, 0, 0, 0]),
        ("group", Infypower.set_group(Address(2), 3).remove(0), 0x0296_02F0, &[3, 0, 0, 0, 0, 0, 0, 0]),
        ("dial", address_mode(ONE, AddressMode::ByDial), 0x029F_01F0, &[1, 0, 0, 0, 0, 0, 0, 0]),
        ("auto", address_mode(ONE, AddressMode::Automatic), 0x029F_01F0, &[0, 0, 0, 0, 0, 0, 0, 0]),
    ];
    for (what, frame, id, data) in table {
        assert_eq!((frame.id(), frame.data()), (id, data), "{what}");
        assert!(frame.is_extended(), "{what}");
    }
}

#[test]
fn every_question_has_its_command() {
    let table = [
        (Reading::Output, 0x0283_05F0),
        (Reading::Status, 0x0284_05F0),
        (Reading::Mains, 0x0286_05F0),
        (Reading::Ratings, 0x028A_05F0),
        (Reading::Serial, 0x028B_05F0),
        (Reading::Available, 0x028C_05F0),
    ];
    for (what, id) in table {
        let frames = Infypower.read(Address(5), what);
        assert_eq!(frames, [Frame::extended(id, &[0; 8])], "{what:?}");
    }
    assert_eq!(Infypower.discover(), [Frame::extended(0x0282_3FF0, &[0; 8]), Frame::extended(0x0283_3FF0, &[0; 8])]);
}

#[test]
fn the_documents_sample_replies() {
    let output = Reply::Output { voltage: Millivolts(500_000), current: Milliamperes(50_000) };
    let status = Status { alarms: BTreeSet::from([Alarm::WalkIn]), ambient_celsius: Some(27), group: Some(2) };
    let ratings = Ratings {
        maximum_voltage: Millivolts(750_000),
        minimum_voltage: Millivolts(100_000),
        maximum_current: Milliamperes(25_600),
        power: Watts(15_000),
    };
    let available = Reply::Available { bus_voltage: Some(Millivolts(495_200)), current: Milliamperes(35_800) };
    let mains = Reply::Mains([Some(Millivolts(402_000)), Some(Millivolts(400_500)), Some(Millivolts(400_700))]);
    let fivehundred = [0x43, 0xFA, 0, 0, 0x42, 0x48, 0, 0];
    let table: [(u32, [u8; 8], Target, Reply); 8] = [
        (0x0283_F001, fivehundred, ONE, output.clone()),
        (0x02C1_F001, fivehundred, Target::Group(1), output),
        (0x0282_F03F, [0, 0, 7, 0, 0, 0, 0, 0], Target::Everyone, Reply::Count(7)),
        (0x0284_F001, [0, 0, 2, 0, 0x1B, 0, 0x40, 0], ONE, Reply::Status(status)),
        (0x0286_F001, [0x0F, 0xB4, 0x0F, 0xA5, 0x0F, 0xA7, 0, 0], ONE, mains),
        (0x028A_F001, [0x02, 0xEE, 0, 0x64, 0x01, 0, 0x05, 0xDC], ONE, Reply::Ratings(ratings)),
        (
            0x028B_F001,
            [0x56, 0x13, 0x0C, 0x15, 0xA3, 0xFB, 0x06, 0xA8],
            ONE,
            Reply::Serial("081807123451V1704".to_owned()),
        ),
        (0x028C_F001, [0x13, 0x58, 0x01, 0x66, 0, 0, 0, 0], ONE, available),
    ];
    for (id, data, from, reply) in table {
        assert_eq!(decode(&Frame::extended(id, &data)), Some((from, reply)), "{id:08X}");
    }
}

#[test]
fn the_status_bits_and_how_bad_they_are() {
    use Severity::{State, Unavailable, Unusable, Warning};
    // State0 is byte 7, state1 byte 6, state2 byte 5.
    let table: [(usize, u8, &str, Severity); 21] = [
        (7, 0, "output-short", Unusable),
        (7, 2, "internal-communication", Warning),
        (7, 3, "input-or-bus-abnormal", Warning),
        (7, 4, "sleeping", State),
        (7, 5, "discharge-abnormal", Warning),
        (6, 0, "output-off", State),
        (6, 1, "module-fault", Unusable),
        (6, 2, "protection", Unavailable),
        (6, 3, "fan-fault", Warning),
        (6, 4, "over-temperature", Unavailable),
        (6, 5, "output-over-voltage", Unusable),
        (6, 6, "walk-in", State),
        (6, 7, "controller-lost", State),
        (5, 0, "derating", Warning),
        (5, 1, "duplicate-address", Unusable),
        (5, 2, "current-imbalance", Warning),
        (5, 3, "input-phase-lost", Unavailable),
        (5, 4, "input-unbalanced", Warning),
        (5, 5, "input-under-voltage", Unavailable),
        (5, 6, "input-over-voltage", Unavailable),
        (5, 7, "pfc-off", State),
    ];
    for (byte, bit, word, severity) in table {
        let mut data = [0; 8];
        data[byte] = 1 << bit;
        let Some((_, Reply::Status(status))) = decode(&Frame::extended(0x0284_F001, &data)) else { panic!("{word}") };
        let told: Vec<_> = status.alarms.iter().map(|alarm| (alarm.word(), alarm.severity())).collect();
        assert_eq!(told, [(word, severity)], "byte {byte} bit {bit}");
    }
    let cold = Frame::extended(0x0284_F001, &[0, 0, 0, 0, 0xF6, 0, 0, 0]);
    let Some((_, Reply::Status(status))) = decode(&cold) else { panic!("a status") };
    assert_eq!(status.ambient_celsius, Some(-10));
}

#[test]
fn our_own_frames_and_errors_are_told_apart() {
    assert_eq!(decode(&read_output(Address(1))), None);
    let table = [(2, Refusal::CommandInvalid), (3, Refusal::DataInvalid), (7, Refusal::Busy), (5, Refusal::Other(5))];
    for (error, refusal) in table {
        let refused = Frame::extended(0x0283_F001 | (error << 26), &[0; 8]);
        let asked = Asked::Reading(Reading::Output);
        assert_eq!(decode(&refused), Some((ONE, Reply::Refused { command: 3, asked, refusal })));
    }
    assert_eq!(decode(&Frame::extended(0x029A_F001, &[0; 8])), Some((ONE, Reply::Taken { command: 0x1A })));
    let no_number = Frame::extended(0x0283_F001, &[0x7F, 0xC0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(decode(&no_number), Some((ONE, Reply::Unreadable { command: 3 })));
    assert_eq!(decode(&Frame::standard(0x283, &[0; 8])), None);
}

#[test]
fn off_for_everyone_overrules_every_order_and_no_question() {
    let (one, all) = (switch(Address(1), false), switch_target(Target::Everyone, false));
    let total = set_total(Target::Everyone, 1, 1);
    let table = [
        (switch(Address(1), true), true, true),
        (set_output(Address(1), 1, 1), true, true),
        (set_output(Address(2), 1, 1), false, true),
        (total, false, true),
        (read_output(Address(1)), false, false),
    ];
    for (frame, by_one, by_all) in table {
        assert_eq!((is_overruled(&frame, &one), is_overruled(&frame, &all)), (by_one, by_all), "{frame:?}");
    }
    assert!(is_off(&one) && is_off(&all) && !is_off(&switch(Address(1), true)));
}

proptest! {
    #[test]
    fn no_frame_is_a_panic(id in 0u32..0x2000_0000, data in proptest::collection::vec(any::<u8>(), 0..=8)) {
        let _ = decode(&Frame::extended(id, &data));
    }
}
