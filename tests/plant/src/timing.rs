//! How long the simulated hardware takes for what it does.
//!
//! Two sets exist: one as slow as real hardware, and one for tests that play many sessions. Limits that a
//! station must keep (silence of a module or of the station) are the same in both.

use std::time::Duration;

/// Durations and slopes of the plant.
#[derive(Clone, Debug)]
pub struct Timing {
    /// A module's soft start from nothing to its highest voltage.
    pub full_voltage_rise: Duration,
    /// From a coil's command to the contact and its mirror contact.
    pub contactor_travel: Duration,
    /// Time constant with which an unfed circuit loses its voltage.
    pub self_discharge: Duration,
    /// Time constant with the discharge resistor of a connector switched on.
    pub bleeder_discharge: Duration,
    /// From plugging in to the earliest start of a session: matching and protocol negotiation.
    pub negotiation: Duration,
    /// The exchange of the charge parameters.
    pub parameter_exchange: Duration,
    /// The insulation test lasts at least this long.
    pub cable_check: Duration,
    /// One evaluation of the insulation resistance.
    pub insulation_cycle: Duration,
    /// Good evaluations in a row that pass the test.
    pub insulation_cycles: u32,
    /// The voltage must match the battery this long before the vehicle closes its contactors.
    pub precharge: Duration,
    /// From closed vehicle contactors to the first demand.
    pub before_charge: Duration,
    /// First part of the weld check, before the board asks for the voltage to be lowered.
    pub weld_check: Duration,
    /// The board stays in its closing state this long.
    pub closing: Duration,
    /// Slope of the vehicle's demand.
    pub demand_amperes_per_second: f64,
    /// Period of the board's cyclic frames.
    pub frame_period: Duration,
    /// Period of the slow frames (vehicle identifier, inputs).
    pub slow_frame_period: Duration,
    /// The insulation test fails after this time.
    pub cable_check_limit: Duration,
    /// The precharge fails after this time.
    pub precharge_limit: Duration,
    /// The current must have fallen within this time of a normal end.
    pub ending_limit: Duration,
    /// The weld check gives up waiting for a low voltage after this time.
    pub welding_limit: Duration,
    /// How long an emergency is announced, and when the vehicle opens whatever flows.
    pub emergency: Duration,
    /// A module that hears no controller for this time switches off.
    pub module_silence: Duration,
    /// Time constant of a module's temperature.
    pub module_heat: Duration,
    /// Time constant of a plug's temperature.
    pub plug_heat: Duration,
    /// From the coil of a cable lock to its bolt and its feedback.
    pub lock_travel: Duration,
    /// How long a presented badge stays in the reader's field.
    pub badge_in_field: Duration,
}

impl Timing {
    /// As slow as real hardware.
    pub fn realistic() -> Self {
        Self {
            full_voltage_rise: Duration::from_secs(3),
            contactor_travel: Duration::from_millis(30),
            self_discharge: Duration::from_millis(800),
            bleeder_discharge: Duration::from_millis(150),
            negotiation: Duration::from_secs(5),
            parameter_exchange: Duration::from_secs(2),
            cable_check: Duration::from_secs(8),
            insulation_cycle: Duration::from_millis(100),
            insulation_cycles: 10,
            precharge: Duration::from_secs(2),
            before_charge: Duration::from_millis(500),
            weld_check: Duration::from_millis(500),
            closing: Duration::from_millis(500),
            demand_amperes_per_second: 20.0,
            frame_period: Duration::from_millis(100),
            slow_frame_period: Duration::from_secs(1),
            cable_check_limit: Duration::from_secs(40),
            precharge_limit: Duration::from_secs(10),
            ending_limit: Duration::from_secs(5),
            welding_limit: Duration::from_secs(5),
            emergency: Duration::from_secs(1),
            module_silence: Duration::from_secs(10),
            module_heat: Duration::from_secs(60),
            plug_heat: Duration::from_secs(120),
            lock_travel: Duration::from_millis(300),
            badge_in_field: Duration::from_millis(300),
        }
    }

    /// Short durations, for many sessions in little time.
    pub fn quick() -> Self {
        Self {
            full_voltage_rise: Duration::from_millis(100),
            contactor_travel: Duration::from_millis(10),
            self_discharge: Duration::from_millis(20),
            bleeder_discharge: Duration::from_millis(8),
            negotiation: Duration::ZERO,
            parameter_exchange: Duration::ZERO,
            cable_check: Duration::from_millis(100),
            insulation_cycle: Duration::from_millis(20),
            insulation_cycles: 3,
            precharge: Duration::from_millis(50),
            before_charge: Duration::from_millis(20),
            weld_check: Duration::from_millis(20),
            closing: Duration::from_millis(50),
            demand_amperes_per_second: 500.0,
            module_heat: Duration::from_millis(500),
            plug_heat: Duration::from_secs(1),
            lock_travel: Duration::from_millis(20),
            ..Self::realistic()
        }
    }
}
