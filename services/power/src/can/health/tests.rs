use super::BusState::{Active, BusOff, Down, Passive};
use super::*;
use proptest::prelude::*;

fn at(millis: u64) -> BoottimeMillis {
    BoottimeMillis(millis)
}

fn frame() -> Frame {
    Frame::extended(0x0283_01F0, &[0; 8])
}

#[test]
fn the_load_is_that_of_the_last_second() {
    let bits = u64::from(wire::bits(&frame()));
    let of = |frames: u64, rate: u64| u16::try_from(frames * bits * 1000 / rate).expect("small");
    #[rustfmt::skip]
    let cases: [(&str, u32, &[u64], u64, u16); 7] = [
        ("nothing",                      125_000, &[],                1_000, 0),
        ("one",                          125_000, &[1_000],           1_000, of(1, 125_000)),
        ("one, almost a second ago",     125_000, &[1_000],           1_999, of(1, 125_000)),
        ("one, a second ago",            125_000, &[1_000],           2_000, 0),
        ("the old one no longer counts", 125_000, &[500, 1_000, 1_400], 1_600, of(2, 125_000)),
        ("three at once, fast bus",      500_000, &[900, 900, 900],   1_000, of(3, 500_000)),
        ("no bit rate",                  0,       &[900],             1_000, 0),
    ];
    for (what, rate, frames, now, expected) in cases {
        let mut watch = Watch::new(at(0), rate);
        frames.iter().for_each(|millis| watch.received(at(*millis), &frame()));
        assert_eq!(watch.health(at(now), 0).load_permille, expected, "{what}");
    }
}

#[test]
fn both_ways_count_and_six_modules_at_ten_hertz_are_the_notes_thirteen_percent() {
    // Hardware notes §1.1: 6 modules × (request + reply) × 10 Hz at 125 kbit/s.
    let mut watch = Watch::new(at(0), 125_000);
    let reply = Frame::extended(0x0283_F001, &[0x43, 0xFA, 0, 0, 0x42, 0x48, 0, 0]);
    for millis in (0..1000).step_by(100) {
        for _ in 0..6 {
            watch.sent(at(millis), &frame());
            watch.received(at(millis), &reply);
        }
    }
    let health = watch.health(at(999), 0);
    assert_eq!((health.sent, health.received), (60, 60));
    assert!((125..=145).contains(&health.load_permille), "{}", health.load_permille);
}

#[test]
fn states_follow_what_the_controller_says() {
    let says = |state| ErrorFrame { state: Some(state), counters: None };
    #[rustfmt::skip]
    let cases: [(&str, BusState, ErrorFrame, BusState); 7] = [
        ("too many errors",                 Active,  says(Passive),         Passive),
        ("fewer again",                     Passive, says(Active),          Active),
        ("far too many",                    Passive, says(BusOff),          BusOff),
        ("restarted",                       BusOff,  says(Active),          Active),
        ("late word of before bus-off",     BusOff,  says(Passive),         BusOff),
        ("something else",                  Passive, ErrorFrame::default(), Passive),
        ("something else while bus-off",    BusOff,  ErrorFrame::default(), BusOff),
    ];
    for (what, before, said, after) in cases {
        let mut watch = Watch::new(at(0), 125_000);
        watch.enter(at(5), before);
        watch.error(at(10), &said);
        let since = if before == after { at(5) } else { at(10) };
        let health = watch.health(at(20), 0);
        assert_eq!((health.state, health.since, health.error_frames), (after, since, 1), "{what}");
    }
}

#[test]
fn counters_are_the_last_told_and_zero_after_a_restart() {
    let mut watch = Watch::new(at(0), 125_000);
    watch.enter(at(1), Active);
    watch.error(at(2), &ErrorFrame { state: Some(Passive), counters: Some((130, 7)) });
    watch.error(at(3), &ErrorFrame::default());
    let health = watch.health(at(3), 4);
    assert_eq!((health.transmit_errors, health.receive_errors, health.dropped), (130, 7, 4));
    watch.error(at(4), &ErrorFrame { state: Some(BusOff), counters: Some((248, 7)) });
    watch.error(at(5), &ErrorFrame { state: Some(BusOff), counters: None });
    watch.error(at(6), &ErrorFrame { state: Some(Active), counters: None });
    let health = watch.health(at(6), 4);
    assert_eq!((health.transmit_errors, health.receive_errors, health.bus_offs), (0, 0, 1));
    watch.enter(at(7), Down);
    assert_eq!(watch.health(at(8), 4).since, at(7));
}

#[test]
fn a_health_survives_its_text_and_says_its_state_in_words() {
    let mut watch = Watch::new(at(3), 125_000);
    watch.enter(at(4), BusOff);
    let text = serde_json::to_string(&watch).expect("text");
    assert!(text.contains("\"bus-off\""), "{text}");
    assert_eq!(serde_json::from_str::<Watch>(&text).expect("a watch"), watch);
}

proptest! {
    #[test]
    fn rule_the_load_never_counts_more_than_a_second(steps in proptest::collection::vec((0u64..300, 0usize..4), 1..60)) {
        let (mut watch, mut now, mut log) = (Watch::new(at(0), 125_000), 0, Vec::new());
        for (pause, frames) in steps {
            now += pause;
            for _ in 0..frames {
                watch.sent(at(now), &frame());
                log.push(now);
            }
            let recent = log.iter().filter(|seen| now - **seen < 1000).count() as u64;
            let expected = recent * u64::from(wire::bits(&frame())) * 1000 / 125_000;
            prop_assert_eq!(u64::from(watch.health(at(now), 0).load_permille), expected);
        }
    }
}
