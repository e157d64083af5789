//! What limits the current, and what the ceiling says of it.

use super::*;
use crate::connector::Seen;
use crate::connector::limit::Ceiling;
use busbar_interfaces::words::OfferedBy;

fn ceiling(play: &mut Play) -> Ceiling {
    let (now, seen) = (play.at(), play.cabinet.seen(play.at(), ONE));
    play.cabinet.connector(ONE).expect("there").ceiling(now, &seen)
}

fn hold(play: &mut Play, watts: u32) -> BoottimeMillis {
    let now = play.at();
    play.cabinet.connector(ONE).expect("there").hold_limit(now, Watts(watts), LEASE);
    now
}

#[test]
fn the_ceiling_says_which_limit_holds_and_since_when() {
    let mut play = Play::wired_at(Some(Step::Charging));
    assert_eq!((ceiling(&mut play).watts, ceiling(&mut play).holder), (Watts(30_000), OfferedBy::Modules));
    let since = hold(&mut play, 20_000);
    play.run(100);
    let held = ceiling(&mut play);
    assert_eq!((held.watts, held.holder), (Watts(20_000), OfferedBy::HeldLimit));
    assert!(held.since.0 - since.0 <= 10);
    hold(&mut play, 10_000);
    play.run(5_000);
    assert_eq!(ceiling(&mut play), Ceiling { watts: Watts(10_000), ..held }, "the value, not the reason");
    play.plug_celsius = Some(89);
    play.run(300);
    assert_eq!(ceiling(&mut play).holder, OfferedBy::HeldLimit, "18 kW are left by the temperature");
    hold(&mut play, 25_000);
    play.run(100);
    assert_eq!((ceiling(&mut play).watts, ceiling(&mut play).holder), (Watts(18_000), OfferedBy::Temperature));
    play.run(3_000);
    assert_eq!(play.state().offered_watts, Watts(18_000));
    assert_eq!(play.state().output_milliamperes, Milliamperes(45_000), "18 kW at 400 V");
}

#[test]
fn class_d_the_current_falls_with_the_plugs_temperature_and_comes_back() {
    let mut play = Play::wired_at(Some(Step::Charging));
    // Temperature, amperes at 400 V of 180 kW or of what the module gives.
    for (celsius, milliamperes) in [(80, 60_000), (88, 60_000), (89, 45_000), (90, 0), (89, 45_000), (60, 60_000)] {
        play.plug_celsius = Some(celsius);
        play.run(3_500);
        assert_eq!(play.state().output_milliamperes, Milliamperes(milliamperes), "{celsius} °C");
        assert_eq!(play.state().delivery, TransactionId(7));
        hold(&mut play, 180_000);
        let now = play.at();
        play.cabinet.connector(ONE).expect("there").renew(now, TransactionId(7), LEASE).expect("renews");
    }
    play.plug_celsius = Some(96);
    play.run(2_000);
    assert_eq!((play.state().stop_cause, play.contactors()), (StopCause::Fault, false));
    assert_eq!(play.codes(), ["0x100102"]);
    play.plug_celsius = Some(81);
    play.run(200);
    assert_eq!(play.codes(), ["0x100102"], "it has not cooled down");
    play.plug_celsius = Some(80);
    play.run(200);
    assert!(play.codes().is_empty());
}

#[test]
fn a_limit_of_zero_leaves_half_an_ampere_for_each_module_in_use() {
    let mut play = Play::wired_at(Some(Step::Charging));
    hold(&mut play, 0);
    let mut seen: Seen = play.cabinet.seen(play.at(), ONE);
    // Modules in use, modules that are usable, what is left.
    for (in_use, usable, left) in [(1, 1, 500), (2, 6, 1_000), (6, 6, 3_000), (0, 6, 500), (3, 2, 1_000), (1, 0, 0)] {
        (seen.modules_in_use, seen.output.usable) = (in_use, usable);
        let now = play.at();
        let connector = play.cabinet.connector(ONE).expect("there");
        let orders = connector.clone().act(now, &seen);
        let told = orders.output.map(|(_, current)| current);
        let expected = (usable > 0).then_some(Milliamperes(left));
        assert_eq!(told, expected, "{in_use} of {usable}");
    }
}

#[test]
fn a_share_that_is_to_shrink_is_a_limit_at_once() {
    let mut play = Play::wired_at(Some(Step::Charging));
    let mut seen = play.cabinet.seen(play.at(), ONE);
    (seen.output.power, seen.reduce_to) = (Watts(60_000), Some(Watts(8_000)));
    let now = play.at();
    let connector = play.cabinet.connector(ONE).expect("there");
    let orders = connector.act(now, &seen);
    assert_eq!(orders.output.map(|(_, current)| current), Some(Milliamperes(20_000)), "8 kW at 400 V");
    assert_eq!(connector.ceiling(now, &seen).holder, OfferedBy::Share);
    for (limited, holder) in [
        (Seen { station_limit: Some(Watts(4_000)), ..seen }, OfferedBy::StationLimit),
        (Seen { connector_limit: Some(Watts(4_000)), ..seen }, OfferedBy::ConnectorLimit),
    ] {
        assert_eq!(connector.ceiling(now, &limited).holder, holder);
    }
}
