//! Whole sessions in virtual time, with a scripted station on the other side of the frames.

// A test fails by panicking, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod scripted;

use std::time::Duration;

use busbar_plant::car::Vehicle;
use busbar_plant::timing::Timing;
use busbar_plant::wiring::{Connector, IoBoard};

use scripted::Station;

const SECOND: Duration = Duration::from_secs(1);
const SESSION: [&str; 11] = [
    "negotiating",
    "ccs-authorisation",
    "full-info",
    "insulation-test",
    "precharge",
    "waiting-for-charge",
    "charging",
    "ending",
    "welding",
    "closing",
    "waiting-for-pev",
];

fn small_battery(percent: u8, target: u8) -> Vehicle {
    Vehicle {
        state_of_charge_percent: percent,
        target_state_of_charge_percent: target,
        capacity_watt_hours: 2_000,
        maximum_watts: 50_000,
        ..Vehicle::default()
    }
}

fn charging(timing: Timing) -> Station {
    let mut station = Station::new(timing, Connector::One);
    station.plug(small_battery(20, 100));
    station.run_until("charging", 30 * SECOND);
    let wanted = |station: &Station| station.cabinet.branch(Connector::One).amperes < 100.0;
    station.run_while(10 * SECOND, wanted);
    station.events.clear();
    station
}

#[test]
fn a_full_charge_runs_through_all_states_and_the_energy_adds_up() {
    let mut station = Station::new(Timing::quick(), Connector::One);
    station.run_for(SECOND);
    station.states.clear();
    let vehicle = small_battery(20, 90);
    station.plug(vehicle.clone());
    let to_charging = station.run_until("charging", 2 * SECOND);
    assert!(to_charging < SECOND, "{to_charging:?}");
    station.run_until("waiting-for-pev", 600 * SECOND);
    station.run_for(SECOND);

    assert_eq!(station.states, SESSION);
    assert_eq!(station.violations(), [""; 0]);
    let numbers: Vec<u32> = station.events.iter().map(|(number, _)| *number).filter(|n| *n != 0x105).collect();
    assert_eq!(numbers, [1, 2, 2, 4]);
    assert_eq!(station.events.last(), Some(&(0x105, vehicle.id.to_vec())));
    assert!(station.events.contains(&(4, vec![0])));

    let board = station.cabinet.board(Connector::One);
    let metered = station.cabinet.meter(Connector::One).readings().import_milliwatt_hours;
    assert_eq!(board.statistics().delivered_milliwatt_hours(), metered);
    let stored = 2_000_000.0 * (board.state_of_charge() - 0.2);
    assert!((board.state_of_charge() - 0.9).abs() < 1e-3);
    let loss_share = (metered as f64 - stored) / stored;
    // 120 A through 50 mΩ at 370 V lose at most 2 %.
    assert!((0.0..0.02).contains(&loss_share), "{metered} mWh metered, {stored} mWh stored");
    assert_eq!((board.statistics().interruptions, board.statistics().charges), (0, 1));
    assert!(board.statistics().longest_station_silence <= Duration::from_millis(110));
    assert!(!station.cabinet.branch(Connector::One).output_closed());
}

#[test]
fn a_realistic_start_takes_about_twenty_seconds() {
    let mut station = Station::new(Timing::realistic(), Connector::One);
    station.plug(Vehicle::default());
    let to_charging = station.run_until("charging", 30 * SECOND);
    assert!((10 * SECOND..25 * SECOND).contains(&to_charging), "{to_charging:?}");
    station.run_for(10 * SECOND);
    assert!(station.cabinet.branch(Connector::One).amperes > 150.0);
    assert_eq!(station.violations(), [""; 0]);
}

#[test]
fn the_chademo_side_works_too() {
    let mut station = Station::new(Timing::quick(), Connector::Two);
    station.plug(small_battery(50, 60));
    station.run_until("charging", 2 * SECOND);
    station.run_until("waiting-for-pev", 60 * SECOND);
    assert!(station.events.contains(&(1, vec![4, 2])));
    assert!(!station.events.iter().any(|(number, _)| *number == 0x105));
    assert_eq!(station.violations(), [""; 0]);
}

#[test]
fn a_new_session_needs_the_permission_withdrawn_and_given_again() {
    let mut station = charging(Timing::quick());
    station.script.user_stop = true;
    station.run_until("waiting-for-pev", 5 * SECOND);
    station.script.user_stop = false;
    station.run_for(SECOND);
    assert_eq!(station.status(), "waiting-for-pev");
    station.script.start_allowed = false;
    station.run_for(SECOND);
    assert_eq!(station.status(), "waiting-for-pev");
    station.script.start_allowed = true;
    station.run_until("charging", 2 * SECOND);
    assert_eq!(station.cabinet.board(Connector::One).statistics().charges, 2);
    station.script.start_allowed = false;
    station.run_until("waiting-for-pev", 5 * SECOND);
    assert_eq!(station.violations(), [""; 0]);
}

#[test]
fn the_board_waits_for_the_authorisation_and_a_denied_one_ends_the_session() {
    let mut station = Station::new(Timing::quick(), Connector::One);
    station.script.decisions = 0;
    station.plug(Vehicle::default());
    station.run_until("ccs-authorisation", SECOND);
    station.run_for(5 * SECOND);
    assert_eq!(station.status(), "ccs-authorisation");
    station.script.decisions = 0b001;
    station.run_until("waiting-for-pev", SECOND);
    assert_eq!(station.states, ["negotiating", "ccs-authorisation", "ending", "closing", "waiting-for-pev"]);
    assert!(station.events.contains(&(4, vec![0])));
}

#[test]
fn a_pause_is_no_interruption() {
    let mut station = charging(Timing::quick());
    station.cabinet.board_mut(Connector::One).car_mut().unwrap().paused = true;
    station.run_for(2 * SECOND);
    assert_eq!(station.status(), "charging");
    assert!(station.cabinet.branch(Connector::One).amperes < 0.1);
    station.cabinet.board_mut(Connector::One).car_mut().unwrap().paused = false;
    station.run_while(5 * SECOND, |station| station.cabinet.branch(Connector::One).amperes < 100.0);
    assert_eq!(station.cabinet.board(Connector::One).statistics().interruptions, 0);
    assert_eq!(station.violations(), [""; 0]);
}

#[test]
fn the_demand_stays_below_what_the_station_offers() {
    let mut station = charging(Timing::quick());
    station.script.limit_tenths_of_amperes = 305;
    station.run_for(SECOND);
    assert!((station.cabinet.branch(Connector::One).amperes - 30.5).abs() < 0.1);
    station.script.limit_tenths_of_amperes = 0;
    station.run_for(SECOND);
    assert_eq!((station.status(), station.cabinet.board(Connector::One).demand_amperes()), ("charging", 0.0));
}

#[test]
fn a_silent_station_loses_its_session() {
    let mut station = charging(Timing::quick());
    station.script.silent = true;
    station.script.follows = false;
    let noticed = station.run_until("ending", SECOND);
    assert!((Duration::from_millis(390)..Duration::from_millis(520)).contains(&noticed), "{noticed:?}");
    station.run_until("closing", 2 * SECOND);
    // A second of emergency frames, then the report of a hurried end; the vehicle opened under load.
    let emergencies = station.events.iter().filter(|event| **event == (5, vec![1])).count();
    assert_eq!(emergencies, 10);
    assert_eq!(station.events.last(), Some(&(4, vec![1])));
    assert!(station.cabinet.board(Connector::One).connected_battery().is_none());
    let silence = station.cabinet.board(Connector::One).statistics().longest_station_silence;
    assert!(silence > Duration::from_millis(500));
    // The modules hear nothing either, and switch off ten seconds later.
    station.run_for(9 * SECOND);
    assert!(!station.cabinet.rack.modules[0].is_on() && station.cabinet.rack.modules[0].controller_lost());
}

#[test]
fn a_withdrawn_enable_and_bad_insulation_are_emergencies() {
    for (system_enable, insulation) in [(false, 255), (true, 5)] {
        let mut station = charging(Timing::quick());
        station.script.system_enable = system_enable;
        station.script.insulation = insulation;
        station.run_until("closing", 3 * SECOND);
        assert!(station.events.contains(&(5, vec![1])) && station.events.contains(&(4, vec![1])));
        assert_eq!(station.violations(), [""; 0]);
    }
}

#[test]
fn a_pulled_plug_ends_the_current_at_once() {
    let mut station = charging(Timing::quick());
    station.unplug();
    station.run_for(Duration::from_millis(10));
    assert_eq!(station.cabinet.branch(Connector::One).amperes, 0.0);
    station.run_until("waiting-for-pev", 3 * SECOND);
    assert!(station.events.contains(&(5, vec![3])) && station.events.contains(&(4, vec![1])));
    assert!(station.cabinet.board(Connector::One).statistics().delivered_milliwatt_hours() > 0);
    station.plug(small_battery(20, 100));
    station.run_until("charging", 2 * SECOND);
}

#[test]
fn a_poor_insulation_never_passes_the_test() {
    let mut timing = Timing::quick();
    timing.cable_check_limit = 5 * SECOND;
    let mut station = Station::new(timing, Connector::One);
    station.script.insulation = 49;
    station.plug(Vehicle::default());
    station.run_until("insulation-test", 2 * SECOND);
    station.run_until("closing", 8 * SECOND);
    assert!(!station.states.contains(&"precharge"));
}

#[test]
fn a_contactor_opened_under_load_is_a_violation_and_an_interruption() {
    let mut station = charging(Timing::quick());
    station.script.follows = false;
    station.cabinet.set_coil(IoBoard::Output(Connector::One), 0, false).unwrap();
    station.run_for(Duration::from_millis(100));
    let violations = station.violations();
    assert!(matches!(violations.as_slice(), [one] if one.contains("output contactor opened under load")));
    assert_eq!(station.cabinet.board(Connector::One).statistics().interruptions, 1);
}

#[test]
fn current_nobody_asked_for_is_a_violation() {
    let mut station = charging(Timing::quick());
    station.script.follows = false;
    station.cabinet.board_mut(Connector::One).car_mut().unwrap().paused = true;
    station.run_until("ending", 2 * SECOND);
    let violations = station.violations();
    assert!(matches!(violations.as_slice(), [one] if one.contains("current above the car's demand")));
    station.run_until("closing", 2 * SECOND);
    assert!(station.events.contains(&(5, vec![3])));
}

#[test]
fn a_tiny_vehicle_charges_without_interruption() {
    let mut station = Station::new(Timing::quick(), Connector::One);
    station.plug(Vehicle { maximum_watts: 5, capacity_watt_hours: 10, ..Vehicle::default() });
    station.run_until("charging", 2 * SECOND);
    station.run_for(10 * SECOND);
    let board = station.cabinet.board(Connector::One);
    assert_eq!(board.statistics().interruptions, 0);
    assert!(board.statistics().delivered_milliwatt_hours() > 50);
}
