//! Every fault on a whole cabinet in virtual time: what it does to frames, inputs and the circuit, and that it leaves
//! nothing behind when it ends.

// A test fails by panicking, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod scripted;

use std::time::Duration;

use busbar_plant::cabinet::Bus;
use busbar_plant::car::Vehicle;
use busbar_plant::fault::{Fault, Kind, TABLE};
use busbar_plant::frame::Frame;
use busbar_plant::module::Module;
use busbar_plant::timing::Timing;
use busbar_plant::wiring::{Connector, IoBoard};

use scripted::Station;

const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(200);
const ONE: Connector = Connector::One;
const OUTPUT: IoBoard = IoBoard::Output(ONE);

/// Faults of the wires, which the cabinet does not feel: `traffic` and the process are tested with them.
const OF_WIRES: [Kind; 15] = [
    Kind::BusDown,
    Kind::BusOff,
    Kind::BusStationUnheard,
    Kind::BusHardwareUnheard,
    Kind::BusDelay,
    Kind::BusDrop,
    Kind::BusDuplicate,
    Kind::BusIdentifierLost,
    Kind::IoDown,
    Kind::IoSlow,
    Kind::UnitDown,
    Kind::MeterDown,
    Kind::MeterSlow,
    // These two need two steps and have tests of their own below.
    Kind::LockStuck,
    Kind::PoleWelded,
];

fn set(station: &mut Station, name: &str, value: Option<i64>) {
    let fault = Fault::from_name(name).unwrap();
    station.cabinet.set_fault(fault, Some(value.unwrap_or_else(|| fault.usual_value())));
}

fn clear(station: &mut Station, name: &str) {
    station.cabinet.set_fault(Fault::from_name(name).unwrap(), None);
}

/// A station that charges a car with three modules.
fn charging() -> Station {
    let mut station = Station::new(Timing::quick(), ONE);
    station.lenient = true;
    station.plug(Vehicle { maximum_watts: 50_000, ..Vehicle::default() });
    station.run_until("charging", 30 * SECOND);
    station.run_while(10 * SECOND, |station| amperes(station) < 100.0);
    station
}

fn amperes(station: &Station) -> f64 {
    station.cabinet.branch(ONE).amperes
}

fn first(station: &Station) -> &Module {
    &station.cabinet.rack.modules[0]
}

fn ask(station: &mut Station, id: u32) -> Vec<Frame> {
    station.cabinet.receive(Bus::Modules, &Frame::extended(id, [0; 8]))
}

/// State 0, 1 and 2 of module 1 as its answer tells them.
fn states(station: &mut Station) -> [u8; 3] {
    let [.., state2, state1, state0] = ask(station, 0x0284_01F0)[0].padded();
    [state0, state1, state2]
}

fn tells(station: &mut Station, states: [u8; 3]) -> bool {
    self::states(station) == states
}

fn line_tenths(station: &mut Station) -> [u16; 3] {
    let data = ask(station, 0x0286_01F0)[0].padded();
    [0, 2, 4].map(|at| u16::from_be_bytes([data[at], data[at + 1]]))
}

fn input(station: &Station, channel: usize) -> bool {
    station.cabinet.inputs(OUTPUT)[channel]
}

fn relay_mirror(station: &Station, channel: usize) -> bool {
    station.cabinet.inputs(IoBoard::Matrix(ONE))[channel]
}

fn sensors(station: &Station) -> [f64; 2] {
    station.cabinet.board(ONE).contacts.sensors().map(f64::round)
}

fn wire(station: &Station, number: u32) -> Option<Vec<u8>> {
    station.last_frames.get(&number).cloned()
}

/// Status byte of the board since the last look.
fn told_status(station: &mut Station) -> Option<u8> {
    station.last_frames.clear();
    station.run_for(MOMENT);
    wire(station, 0x000).map(|data| data[0])
}

fn pilot(station: &mut Station) -> u8 {
    station.run_for(MOMENT);
    wire(station, 0x203).unwrap()[0]
}

/// One row: the fault, its number, how many milliseconds it lasts in a charge, and what is seen then.
type Row = (&'static str, Option<i64>, u64, fn(&mut Station) -> bool);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("ambient", Some(70), 5_000, |s| first(s).celsius() > 70.0 && first(s).status().derating),
    ("mains-phase-lost", None, 200, |s| line_tenths(s) == [4005, 2310, 2310] && tells(s, [0, 0x40, 0x09])),
    ("mains-under-voltage", Some(300), 200, |s| line_tenths(s)[0] == 3000 && tells(s, [0, 0x41, 0xA0])),
    ("mains-over-voltage", Some(480), 200, |s| line_tenths(s)[0] == 4800 && tells(s, [0, 0x41, 0xC0])),
    ("module-1-silent", None, 200, |s| ask(s, 0x0283_01F0).is_empty() && ask(s, 0x0283_3FF0).len() == 5),
    ("module-1-mute", None, 200, |s| {
        let answers = s.cabinet.receive(Bus::Modules, &Frame::extended(0x029A_01F0, [1, 0, 0, 0, 0, 0, 0, 0]));
        answers.is_empty() && !first(s).is_on()
    }),
    ("module-1-trip", None, 200, |s| tells(s, [0, 0x45, 0])),
    ("module-1-broken", None, 200, |s| tells(s, [0, 0x43, 0])),
    ("module-1-over-temperature", None, 200, |s| tells(s, [0, 0x51, 0])),
    ("module-1-over-voltage", Some(40), 200, |s| first(s).regulated_volts() > 455.0),
    ("module-1-over-voltage-trip", None, 200, |s| tells(s, [0, 0x61, 0])),
    ("module-1-short", None, 200, |s| tells(s, [1, 0x41, 0])),
    ("module-1-fan", None, 200, |s| tells(s, [0, 0x48, 0]) && first(s).is_on()),
    ("module-1-imbalance", None, 200, |s| tells(s, [0, 0x40, 4])),
    ("module-1-phase-lost", None, 200, |s| tells(s, [0, 0x40, 9]) && line_tenths(s) == [4005, 2310, 2310]),
    ("module-5-duplicate-address", Some(1), 200, |s| {
        ask(s, 0x0283_01F0).len() == 2 && ask(s, 0x0283_05F0).is_empty() && states(s)[2] == 2
    }),
    ("module-1-derate", Some(3_000), 200, |s| first(s).amperes < 9.0 && tells(s, [0, 0x40, 1])),
    ("module-1-stuck-on", None, 200, |s| {
        s.cabinet.receive(Bus::Modules, &Frame::extended(0x029A_3FF0, [1, 0, 0, 0, 0, 0, 0, 0]));
        first(s).is_on() && !s.cabinet.rack.modules[1].is_on()
    }),
    ("relay-1-1-stuck-open", None, 200, |s| !relay_mirror(s, 0) && first(s).amperes == 0.0),
    ("relay-1-4-stuck-closed", None, 200, |s| relay_mirror(s, 3) && s.cabinet.branch(ONE).relays[3].closings() == 1),
    ("relay-1-1-welded", None, 200, |s| {
        s.cabinet.set_coil(IoBoard::Matrix(ONE), 0, false).unwrap();
        s.run_for(MOMENT);
        relay_mirror(s, 0)
    }),
    ("relay-1-4-slow", Some(300), 200, |s| {
        s.cabinet.set_coil(IoBoard::Matrix(ONE), 3, true).unwrap();
        s.run_for(MOMENT);
        let before = relay_mirror(s, 3);
        s.run_for(MOMENT);
        !before && relay_mirror(s, 3)
    }),
    ("relay-1-1-mirror-lies", None, 200, |s| !relay_mirror(s, 0) && first(s).amperes > 0.0),
    ("relay-1-4-mirror-follows-coil", None, 200, |s| {
        s.cabinet.set_coil(IoBoard::Matrix(ONE), 3, true).unwrap();
        relay_mirror(s, 3) && !s.cabinet.branch(ONE).relays[3].is_closed()
    }),
    ("contactor-1-plus-stuck-open", None, 200, |s| !input(s, 0) && input(s, 1) && amperes(s) == 0.0),
    ("contactor-2-minus-stuck-closed", None, 200, |s| {
        s.cabinet.inputs(IoBoard::Output(Connector::Two))[..2] == [false, true]
    }),
    ("contactor-2-plus-slow", Some(300), 200, |s| {
        let other = IoBoard::Output(Connector::Two);
        s.cabinet.set_coil(other, 0, true).unwrap();
        s.run_for(MOMENT);
        !s.cabinet.inputs(other)[0]
    }),
    ("contactor-1-plus-mirror-lies", None, 200, |s| !input(s, 0) && amperes(s) > 50.0),
    ("contactor-2-minus-mirror-follows-coil", None, 200, |s| {
        let other = IoBoard::Output(Connector::Two);
        s.cabinet.set_coil(other, 1, true).unwrap();
        s.cabinet.inputs(other)[1]
    }),
    ("bleeder-1-broken", None, 200, |s| s.cabinet.branch(ONE).bleeder_broken),
    ("lock-1-feedback-lies", None, 200, |s| input(s, 5)),
    ("door-1-open", None, 200, |s| !input(s, 4)),
    ("tilt-1-tripped", None, 200, |s| !input(s, 6)),
    ("water-1-inside", None, 200, |s| !input(s, 7)),
    ("insulation-1-bad", None, 200, |s| !input(s, 3)),
    ("insulation-1-resistance", Some(99), 200, |s| !input(s, 3)),
    ("insulation-1-falls", Some(500), 2_000, |s| !input(s, 3)),
    ("meter-1-stuck", None, 1_000, |s| {
        let meter = s.cabinet.meter(ONE);
        meter.recorded() != meter.readings() && meter.amperes() > 50.0
    }),
    ("plug-1-hot", Some(88), 200, |s| sensors(s) == [88.0, 88.0]),
    ("plug-1-resistance", Some(10_000), 8_000, |s| sensors(s)[0] > 90.0 && wire(s, 0x201).unwrap()[6] > 130),
    ("plug-1-sensor-broken", None, 1_000, |s| sensors(s)[0] == -40.0 && wire(s, 0x201).unwrap()[6] == 0),
    ("board-1-silent", None, 200, |s| told_status(s).is_none()),
    ("board-1-deaf", None, 1_000, |s| s.events.contains(&(5, vec![1]))),
    ("board-1-frozen", None, 200, |s| told_status(s) == Some(7) && wire(s, 0x003).is_none()),
    ("board-1-nonsense", None, 200, |s| told_status(s) == Some(200)),
    ("board-1-emergency", None, 200, |s| s.events.contains(&(5, vec![1]))),
    ("board-1-rushed", None, 200, |s| s.events.contains(&(4, vec![1])) && s.status() != "charging"),
    ("board-1-not-available", None, 200, |s| told_status(s) == Some(12) && s.events.contains(&(5, vec![1]))),
    ("board-1-late", Some(10_000), 200, |s| told_status(s).is_none()),
    ("car-1-never-closes", None, 200, |s| s.cabinet.board(ONE).connected_battery().is_none()),
    ("car-1-opens-under-load", None, 200, |s| amperes(s) == 0.0 && s.status() == "charging"),
    ("car-1-welded", None, 200, |s| {
        s.script.start_allowed = false;
        s.run_for(3 * SECOND);
        s.cabinet.board(ONE).connected_battery().is_some()
    }),
    ("car-1-does-not-stop", None, 200, |s| {
        s.script.start_allowed = false;
        s.run_for(SECOND);
        s.status() == "charging" && amperes(s) > 50.0
    }),
    ("car-1-asks-more", Some(500), 200, |s| s.cabinet.board(ONE).demand_amperes() > 550.0),
    ("car-1-wild", None, 200, |s| {
        let mut demands = Vec::new();
        for _ in 0..6 {
            demands.push(s.cabinet.board(ONE).demand_amperes());
            s.run_for(SECOND / 2);
        }
        demands.iter().copied().fold(f64::MAX, f64::min) < 15.0 && demands.iter().any(|demand| *demand > 50.0)
    }),
    ("car-1-high-voltage", Some(40), 200, |s| s.cabinet.branch(ONE).cable_volts > 455.0),
    ("car-1-pilot-drops", None, 200, |s| pilot(s) == 9 && s.status() == "charging"),
    ("car-1-pilot-error", None, 200, |s| pilot(s) == 0),
    ("car-1-pilot-lost", None, 200, |s| pilot(s) == 12),
    ("car-1-lingers", Some(8), 200, |s| {
        s.cabinet.board_mut(ONE).car_mut().unwrap().stopped = true;
        s.run_for(SECOND * 2);
        let lingers = s.status() == "ending";
        clear(s, "car-1-lingers");
        s.run_for(SECOND);
        lingers && s.status() != "ending"
    }),
    ("car-1-pauses", None, 200, |s| {
        let paused = told_status(s) == Some(13) && amperes(s) < 1.0;
        clear(s, "car-1-pauses");
        s.run_for(SECOND);
        paused && s.status() == "charging" && amperes(s) > 50.0
    }),
    ("car-1-maximum-current", Some(30), 200, |s| amperes(s) < 31.0 && wire(s, 0x102).unwrap()[2..4] == [44, 1]),
    ("car-1-maximum-power", Some(8_000), 200, |s| amperes(s) < 25.0 && wire(s, 0x102).unwrap()[6] == 8),
    ("car-1-maximum-voltage", Some(410), 200, |s| wire(s, 0x101).unwrap()[2..4] == [4, 16]),
];

#[test]
fn every_fault_of_the_cabinet_has_a_row() {
    let named = |kind: Kind| ROWS.iter().any(|(name, ..)| Fault::from_name(name).unwrap().kind == kind);
    for row in TABLE {
        assert!(named(row.kind) != OF_WIRES.contains(&row.kind), "{}", row.pattern);
    }
}

#[test]
fn a_fault_does_what_it_says() {
    for (name, value, lasts, seen) in ROWS {
        let mut station = charging();
        set(&mut station, name, *value);
        station.run_for(Duration::from_millis(*lasts));
        assert!(seen(&mut station), "{name} is not seen; {} {:?}", station.status(), station.last_frames);
    }
}

#[test]
fn nothing_is_seen_of_a_fault_that_is_not_there() {
    // What looks at the behaviour of a stop would end the charge; all others are asked of one sound station.
    const ACTIVE: [&str; 10] = [
        "module-1-mute",
        "relay-1-1-welded",
        "relay-1-4-slow",
        "car-1-welded",
        "car-1-does-not-stop",
        "car-1-lingers",
        "car-1-pauses",
        "module-1-stuck-on",
        "relay-1-4-mirror-follows-coil",
        "contactor-2-plus-slow",
    ];
    let mut station = charging();
    station.run_for(SECOND);
    for (name, _, _, seen) in ROWS.iter().filter(|(name, ..)| !ACTIVE.contains(name)) {
        // The mirror of a commanded contact is true for a moment only without a fault too: it is looked at at once.
        let looks = !seen(&mut station) || *name == "contactor-2-minus-mirror-follows-coil";
        assert!(looks || *name == "meter-1-stuck", "{name} is seen");
    }
    assert_eq!(station.violations(), [""; 0]);
}

#[test]
fn a_charge_after_every_fault_has_come_and_gone_is_like_any_other() {
    let mut station = Station::new(Timing::quick(), ONE);
    for fault in Fault::all() {
        station.cabinet.set_fault(fault, Some(fault.usual_value()));
        station.cabinet.set_fault(fault, None);
    }
    assert_eq!(station.cabinet.faults().active().count(), 0);
    station.plug(Vehicle { maximum_watts: 50_000, ..Vehicle::default() });
    station.run_until("charging", 2 * SECOND);
    station.run_for(3 * SECOND);
    assert!(amperes(&station) > 100.0);
    let statistics = station.cabinet.board(ONE).statistics();
    assert_eq!((statistics.interruptions, statistics.dips), (0, 0));
    assert_eq!(station.violations(), [""; 0]);
    assert_eq!(station.cabinet.hazards().count(), 0);
}

#[test]
fn a_stuck_lock_and_a_welded_pole_stay_where_they_are() {
    let mut station = charging();
    station.cabinet.set_coil(OUTPUT, 3, true).unwrap();
    station.run_for(MOMENT);
    assert!(input(&station, 5));
    set(&mut station, "lock-1-stuck", None);
    set(&mut station, "contactor-1-plus-welded", None);
    station.script.user_stop = true;
    station.run_until("waiting-for-pev", 5 * SECOND);
    station.cabinet.set_coil(OUTPUT, 3, false).unwrap();
    station.run_for(MOMENT);
    let inputs = station.cabinet.inputs(OUTPUT);
    assert_eq!((inputs[0], inputs[1], inputs[5]), (true, false, true));
    clear(&mut station, "lock-1-stuck");
    clear(&mut station, "contactor-1-plus-welded");
    station.run_for(MOMENT);
    let inputs = station.cabinet.inputs(OUTPUT);
    assert_eq!((inputs[0], inputs[1], inputs[5]), (false, false, false));
}

/// A way to hurt somebody, and the alarm for it.
type Harm = (&'static str, &'static [&'static str], fn(&mut Station), Option<&'static str>);

fn press(station: &mut Station) {
    station.script.follows = false;
    station.cabinet.surroundings_mut(ONE).emergency_stop = true;
    station.run_for(2 * SECOND);
}

#[rustfmt::skip]
const HARMS: &[Harm] = &[
    ("the emergency stop is ignored", &[], press, Some("current 1 s after an emergency (emergency-stop")),
    ("nobody hears that the modules are to stop", &["module-1-silent", "module-2-silent", "module-3-silent"], press,
        Some("current 1.5 s after an emergency (emergency-stop")),
    ("neither modules nor contactor can be reached", &["module-1-silent", "io-down"], press, None),
    ("the cabinet is tilted", &["tilt-1-tripped"], |s| { s.script.follows = false; s.run_for(2 * SECOND); },
        Some("current 1 s after an emergency (tilt")),
    ("the pilot drops", &["car-1-pilot-drops"], |s| { s.script.follows = false; s.run_for(2 * SECOND); },
        Some("current 1 s after an emergency (control-pilot")),
    ("the plug is pulled", &[], |s| { s.script.follows = false; s.unplug(); s.run_for(2 * SECOND); },
        Some("voltage on an open connector")),
    ("the contactor opens under load", &[], |s| {
        s.script.follows = false;
        s.cabinet.set_coil(OUTPUT, 0, false).unwrap();
        s.run_for(MOMENT);
    }, Some("output contactor opened under load")),
    ("a module that cannot be stopped feeds it", &["module-2-stuck-on"], |s| {
        s.script.follows = false;
        s.cabinet.set_coil(OUTPUT, 0, false).unwrap();
        s.run_for(MOMENT);
    }, None),
    ("the contactor falls open by itself", &["contactor-1-plus-stuck-open"], |s| s.run_for(MOMENT), None),
    ("the lock opens in the charge", &[], |s| {
        s.cabinet.set_coil(OUTPUT, 3, true).unwrap();
        s.run_for(MOMENT);
        s.cabinet.set_coil(OUTPUT, 3, false).unwrap();
        s.run_for(MOMENT);
    }, Some("voltage on a cable that is not locked")),
    ("a lock that is not wired", &[], |s| s.run_for(SECOND), None),
    ("the feedback of the lock lies", &["lock-1-feedback-lies"], |s| {
        s.cabinet.set_coil(OUTPUT, 3, true).unwrap();
        s.run_for(MOMENT);
        s.cabinet.set_coil(OUTPUT, 3, false).unwrap();
        s.run_for(MOMENT);
    }, None),
    ("a module's relay closes onto a live bus", &[], |s| {
        s.run_for(MOMENT);
        s.ask(0x029C_05F0, [0, 3, 0x0D, 0x40, 0, 0, 0x0F, 0xA0]);
        s.ask(0x029A_05F0, [0; 8]);
        s.run_for(MOMENT);
        s.cabinet.set_coil(IoBoard::Matrix(ONE), 4, true).unwrap();
        s.run_for(MOMENT);
    }, Some("relay of module 5 closed onto a voltage difference")),
    ("a relay sticks closed on a live bus", &["relay-1-5-stuck-closed"], |s| s.run_for(MOMENT), None),
    ("a module feeds both buses", &[], |s| {
        s.cabinet.set_coil(IoBoard::Matrix(Connector::Two), 0, true).unwrap();
        s.run_for(MOMENT);
    }, Some("module 1 is connected to both buses")),
    ("a relay of the other bus sticks closed", &["relay-2-1-stuck-closed"], |s| s.run_for(MOMENT), None),
    ("the contactor closes without a vehicle", &[], |s| {
        let other = IoBoard::Output(Connector::Two);
        [0, 1].into_iter().for_each(|coil| s.cabinet.set_coil(other, coil, true).unwrap());
        s.run_for(2 * SECOND);
    }, Some("connector 2: output contactor closed without a vehicle")),
    ("the vehicle's own battery is too high", &["car-1-high-voltage"], |s| s.run_for(MOMENT), None),
];

#[test]
fn what_the_station_does_is_a_violation_and_what_a_fault_does_is_not() {
    for (what, faults, harm, alarm) in HARMS {
        let mut station = charging();
        assert_eq!(station.violations(), [""; 0], "{what}: before");
        faults.iter().for_each(|name| set(&mut station, name, None));
        harm(&mut station);
        let violations = station.violations();
        match alarm {
            Some(alarm) => assert!(violations.iter().any(|text| text.contains(alarm)), "{what}: {violations:?}"),
            None => assert_eq!(violations, [""; 0], "{what}"),
        }
    }
}

#[test]
fn two_vehicles_in_one_node_are_told() {
    let mut station = charging();
    set(&mut station, "relay-2-1-stuck-closed", None);
    let two = IoBoard::Output(Connector::Two);
    let now = station.cabinet.now();
    assert!(station.cabinet.board_mut(Connector::Two).plug_in(now, Vehicle::default()));
    let car = station.cabinet.board_mut(Connector::Two).car_mut().unwrap();
    car.contactor.command(true);
    [0, 1].into_iter().for_each(|coil| station.cabinet.set_coil(two, coil, true).unwrap());
    station.run_for(MOMENT);
    let told: Vec<String> = station.cabinet.hazards().collect();
    assert!(told.iter().any(|text| text.contains("two vehicles")), "{told:?}");
}
