//! Tests of the vehicle.

use super::*;

fn car(percent: u8) -> Car {
    Car::new(Vehicle { state_of_charge_percent: percent, ..Vehicle::default() })
}

#[test]
fn voltage_and_power_follow_the_state_of_charge() {
    assert!((car(0).open_circuit_volts() - 349.9).abs() < 0.1);
    assert!((car(100).open_circuit_volts() - 409.9).abs() < 0.1);
    let at_inlet = |car: Car| (car.open_circuit_volts() + car.ohms() * car.wish_amperes()) * car.wish_amperes();
    assert!((at_inlet(car(50)) - 150_000.0).abs() < 1.0);
    assert!((at_inlet(car(80)) - 30_000.0).abs() < 1.0);
    assert_eq!(car(100).wish_amperes(), 0.0);
    assert!(car(100).wants_to_end());
}

#[test]
fn the_demand_rises_on_its_slope_and_falls_at_once() {
    let mut car = car(20);
    car.ramp(Duration::from_secs(2), true, 20.0);
    assert!((car.demand_amperes(500.0) - 40.0).abs() < 1e-9);
    assert!((car.demand_amperes(12.34) - 12.3).abs() < 1e-9);
    assert_eq!(car.demand_amperes(0.0), 0.0);
    car.paused = true;
    car.ramp(Duration::from_millis(10), true, 20.0);
    assert_eq!(car.demand_amperes(500.0), 0.0);
}

#[test]
fn a_tiny_vehicle_still_asks_for_one_step() {
    let mut car = Car::new(Vehicle { maximum_watts: 5, ..Vehicle::default() });
    car.ramp(Duration::from_secs(2), true, 20.0);
    assert!((car.demand_amperes(500.0) - 0.1).abs() < 1e-9);
}

#[test]
fn it_protects_itself() {
    let mut car = car(20);
    let second = Duration::from_secs(1);
    assert_eq!(car.protect(second, 500.0, 0.0, 0.0), None);
    car.contactor.command(true);
    car.contactor.step(second, second);
    assert!(matches!(car.protect(second, 427.0, 0.0, 0.0), Some(Complaint::Volts(..))));
    assert_eq!(car.protect(second, 400.0, 120.0, 100.0), None);
    assert_eq!(car.protect(second, 400.0, 121.0, 100.0), None);
    assert!(matches!(car.protect(second, 400.0, 121.0, 100.0), Some(Complaint::Amperes(..))));
}

#[test]
fn what_flows_is_stored() {
    let mut car = car(50);
    let (before, volts) = (car.stored_watt_hours, car.open_circuit_volts());
    car.step(Duration::from_secs(3600), Duration::ZERO, 10.0);
    assert!((car.stored_watt_hours - before - 10.0 * volts).abs() < 1e-6);
}

#[test]
fn bad_manners_show_in_what_it_tells_and_does() {
    let second = Duration::from_secs(1);
    let with = |manners: Manners| {
        let mut car = car(20);
        car.manners = manners;
        car.contactor.command(true);
        car.step(Duration::from_millis(10), Duration::ZERO, 0.0);
        car.ramp(second, true, 500.0);
        car
    };
    let good = Manners::default();
    assert!(!with(Manners { never_closes: true, ..good }).contactor.is_closed());
    assert!(!with(Manners { opens: true, ..good }).contactor.is_closed());
    let asking = with(Manners { excess_amperes: 70.0, ..good });
    assert!((asking.demand_amperes(30.0) - 100.0).abs() < 1e-9);
    let high = with(Manners { excess_volts: 40.0, ..good });
    assert!((high.open_circuit_volts() - 460.0).abs() < 1e-9 && (high.maximum_volts() - 420.0).abs() < 1e-9);
    let slow = with(Manners { maximum_amperes: Some(50.0), maximum_watts: Some(4_000.0), ..good });
    assert!((slow.maximum_amperes() - 50.0).abs() < 1e-9 && slow.wish_amperes() < 12.0);
    let mut endless = with(Manners { does_not_stop: true, ..good });
    endless.stopped = true;
    assert!(!endless.wants_to_end());
    let mut wild = with(Manners { wild: true, ..good });
    let mut wishes = Vec::new();
    for _ in 0..6 {
        wishes.push((wild.maximum_amperes() / 4.0).round());
        wild.step(WILD_PERIOD, Duration::ZERO, 0.0);
    }
    assert_eq!(wishes, [100.0, 15.0, 70.0, 2.0, 100.0, 40.0]);
    let mut welded = with(Manners { welded: true, ..good });
    welded.contactor.command(false);
    welded.step(second, Duration::ZERO, 0.0);
    assert!(welded.contactor.is_closed());
}
