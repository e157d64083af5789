//! What is asked and told on the bus, by whatever make, and what is told of it to people.

use super::*;

#[test]
fn a_set_point_is_repeated_at_least_once_a_second() {
    let mut rack = rack();
    let mut last = None;
    for now in (1000..6000).step_by(25) {
        rack.hear(at(now), &reading(1, 400.0, 20.0));
        rack.deliver(at(now), ONE, VOLTAGE, Milliamperes(20_000));
        if rack.frames_due(at(now), |_| true).contains(&set(1, 20_000)) {
            assert!(last.is_none_or(|last| now - last <= 1000), "{last:?} and {now}");
            last = Some(now);
        }
    }
    assert!(last.is_some_and(|last| last > 5000));
}

#[test]
fn what_is_asked_and_how_often() {
    let mut rack = rack();
    rack.rest(at(0), TWO);
    let mut asked: BTreeMap<u32, u32> = BTreeMap::new();
    for now in (2000..22_000).step_by(25) {
        rack.hear(at(now), &reading(1, 400.0, 20.0));
        rack.hear(at(now), &reading(3, 0.0, 0.0));
        rack.deliver(at(now), ONE, VOLTAGE, Milliamperes(20_000));
        for frame in rack.frames_due(at(now), |connector| connector == ONE) {
            *asked.entry(frame.id()).or_default() += 1;
        }
    }
    let table = [
        ("output in use, sooner at first", 0x0283_01F0, 230..=260),
        ("output at rest", 0x0283_03F0, 19..=21),
        ("status", 0x0284_01F0, 19..=21),
        ("what it could give, in use", 0x028C_01F0, 19..=21),
        ("what it could give, at rest", 0x028C_03F0, 13..=14),
        ("mains", 0x0286_01F0, 2..=3),
        ("ratings of one that does not tell", 0x028A_01F0, 5..=5),
        ("serial number likewise", 0x028B_01F0, 5..=5),
        ("nothing of one that is not heard", 0x028C_02F0, 0..=0),
        ("who is there", 0x0282_3FF0, 1..=1),
        ("soft start, once and off", 0x0293_03F0, 1..=1),
    ];
    for (what, id, times) in table {
        let count = asked.get(&id).copied().unwrap_or(0);
        assert!(times.contains(&count), "{what}: {count}");
    }
}

#[test]
fn ratings_serial_number_and_temperature_are_told() {
    let (mut rack, now) = (rack(), at(1000));
    rack.hear(now, &Frame::extended(0x028A_F003, &[0x02, 0xEE, 0, 0x64, 0x01, 0, 0x05, 0xDC]));
    rack.hear(now, &Frame::extended(0x028B_F003, &[0x56, 0x13, 0x0C, 0x15, 0xA3, 0xFB, 0x06, 0xA8]));
    rack.hear(now, &status(3, [0; 3]));
    let facts = fact(&rack, now, 3);
    assert_eq!(
        (facts.rating, facts.rated_current, facts.ambient_celsius),
        (Watts(15_000), Milliamperes(25_600), Some(25))
    );
    assert_eq!(facts.serial.as_deref(), Some("081807123451V1704"));
}

#[test]
fn a_question_that_a_module_does_not_know_is_asked_no_more() {
    let mut rack = rack();
    rack.hear(at(1000), &reading(3, 0.0, 0.0));
    rack.hear(at(1000), &Frame::extended(0x028C_F003 | (2 << 26), &[0; 8]));
    let frames = rack.frames_due(at(1000), |_| true);
    assert!(frames.iter().all(|frame| frame.id() != 0x028C_03F0));
}

#[test]
fn who_is_there_is_compared_with_the_station_file() {
    let fitted = [(1, Some("A")), (2, None)]
        .map(|(address, serial)| Fitted { address: Address(address), serial: serial.map(str::to_owned) });
    let mut rack = Rack::new(Family::Infypower, &fitted, true, at(0));
    let table: [(&str, u64, Option<Frame>, &[&str]); 6] = [
        ("patience at the start", 4_999, None, &[]),
        ("two are missed", 5_000, None, &["modules of the station file that are silent: 1, 2"]),
        (
            "one speaks, and it is another one",
            6_000,
            Some(Frame::extended(0x028B_F001, &[0x56, 0x13, 0x0C, 0x15, 0xA3, 0xFB, 0x06, 0xA8])),
            &[
                "modules of the station file that are silent: 2",
                "modules that answer, but not what volts and amperes they give: 1",
                "module 1 has the serial number 081807123451V1704, the station file says A",
            ],
        ),
        (
            "more are counted than fitted",
            7_000,
            Some(Frame::extended(0x0282_F03F, &[0, 0, 3, 0, 0, 0, 0, 0])),
            &[
                "modules of the station file that are silent: 2",
                "modules that answer, but not what volts and amperes they give: 1",
                "3 modules are on the bus, 2 in the station file",
                "module 1 has the serial number 081807123451V1704, the station file says A",
            ],
        ),
        (
            "it is read",
            7_200,
            Some(reading(1, 0.0, 0.0)),
            &[
                "modules of the station file that are silent: 2",
                "3 modules are on the bus, 2 in the station file",
                "module 1 has the serial number 081807123451V1704, the station file says A",
            ],
        ),
        (
            "a stranger",
            7_500,
            Some(reading(7, 0.0, 0.0)),
            &[
                "modules of the station file that are silent: 2",
                "modules that answer and are not in the station file: 7",
                "module 1 has the serial number 081807123451V1704, the station file says A",
            ],
        ),
    ];
    for (what, now, frame, expected) in table {
        frame.into_iter().for_each(|frame| rack.hear(at(now), &frame));
        let told: Vec<String> = rack.conditions(at(now)).into_iter().map(|condition| condition.detail).collect();
        assert_eq!(told, expected, "{what}");
    }
}

#[test]
fn a_fault_is_told_by_its_words() {
    let mut rack = rack();
    rack.hear(at(1000), &status(3, [0b10_0000, 0b1010, 0]));
    rack.hear(at(1000), &status(2, [0, 0b1_0000, 0]));
    let told: Vec<(String, String)> =
        rack.conditions(at(1000)).into_iter().map(|condition| (condition.code, condition.detail)).collect();
    let expected = [
        ("0xB00008", "module 2: over-temperature"),
        ("0xB00008", "module 3: module-fault, input-under-voltage, fan-fault"),
    ];
    assert_eq!(told, expected.map(|(code, detail)| (code.to_owned(), detail.to_owned())));
}

/// A reply of a UUGreen module.
fn uugreen(module: u8, command: u8, value: u32) -> Frame {
    let [b0, b1, b2, b3] = value.to_be_bytes();
    Frame::extended(0x0220_0000 | u32::from(module) << 14 | 0x155, &[3, command, 0, 0, b0, b1, b2, b3])
}

#[test]
fn another_make_is_driven_by_the_same_orders() {
    let fitted = [1, 2].map(|address| Fitted { address: Address(address), serial: None });
    let mut rack = Rack::new(Family::Uugreen, &fitted, true, at(0));
    for module in [1, 2] {
        assert!(rack.assign(at(0), Address(module), Some(ONE)));
        rack.joined(Address(module), true);
    }
    rack.rest(at(100), ONE);
    let frames = rack.frames_due(at(100), |_| true);
    assert_eq!(frames[0], Frame::extended(0x0220_0000, &[0, 4, 0, 0, 0, 0, 0, 1]), "everyone off");
    rack.hear(at(1000), &uugreen(1, 98, 0));
    assert!(!fact(&rack, at(1000), 1).usable, "half of a reading");
    rack.hear(at(1000), &uugreen(1, 48, 0));
    assert!(fact(&rack, at(1000), 1).usable);
    rack.deliver(at(1000), ONE, VOLTAGE, Milliamperes(60_000));
    let orders: Vec<Frame> = rack.frames_due(at(1000), |_| true).into_iter().filter(|f| f.data()[0] == 0).collect();
    let [set_volts, set_amperes, on] = [(2, 400_000u32), (3, 60_000), (4, 0)].map(|(command, value)| {
        let [b0, b1, b2, b3] = value.to_be_bytes();
        Frame::extended(0x0220_4000, &[0, command, 0, 0, b0, b1, b2, b3])
    });
    assert!(orders.ends_with(&[set_volts, set_amperes, on]), "{orders:?}");
    // It may go on when it hears nothing: silence alone never says that it is off.
    rack.rest(at(2000), ONE);
    assert!(!fact(&rack, at(3_600_000), 1).surely_dead && !rack.output(at(3_600_000), ONE).at_rest);
    for _ in 0..2 {
        rack.hear(at(3_000), &uugreen(1, 98, 0));
        rack.hear(at(3_000), &uugreen(1, 48, 0));
    }
    assert!(!fact(&rack, at(3_000), 1).at_rest, "it settles for two seconds");
    assert!(fact(&rack, at(4_000), 1).at_rest);
}
