//! What is known of each module, for those that decide whose it is and for publication. Pure.

use super::alarm::{self, Alarm, Severity};
use super::driver::Address;
use super::module::{Hold, Module, Order};
use super::rack::Rack;
use busbar_interfaces::{BoottimeMillis, ConnectorId, Milliamperes, Millivolts, Watts};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a module does, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModuleState {
    /// It was never heard.
    Unheard,
    /// It is not heard any more.
    Silent,
    /// It must not be used.
    Unusable,
    /// It is not used until its alarms have been clear for a while.
    Unavailable,
    /// It is told to be off and does not show yet that it is.
    Stopping,
    /// It is off.
    Off,
    /// It is on at the voltage of the bus that it will join.
    Preparing,
    /// It is on without current.
    Standby,
    /// It gives current.
    Delivering,
}

/// What is known of a module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModuleFacts {
    /// Its address.
    pub address: Address,
    /// The connector that it works for.
    pub owner: Option<ConnectorId>,
    /// Its relay to the owner's bus is closed.
    pub joined: bool,
    /// It is heard, and nothing stands against its use.
    pub usable: bool,
    /// Its output has not been read for 2 s.
    pub silent: bool,
    /// It must be off by its own silence shutdown, or a fresh reading shows it dead.
    pub surely_dead: bool,
    /// It is told to be off, and two readings since say that no current flows.
    pub at_rest: bool,
    /// It is told to be on.
    pub on: bool,
    /// Output voltage as last read.
    pub voltage: Millivolts,
    /// Output current likewise.
    pub current: Milliamperes,
    /// Both were read in the last half second.
    pub fresh: bool,
    /// The voltage beyond its output diode.
    pub bus_voltage: Option<Millivolts>,
    /// Its rated power.
    pub rating: Watts,
    /// Its rated current.
    pub rated_current: Milliamperes,
    /// The current that it can give now; the rated one unless it says less.
    pub available_current: Milliamperes,
    /// The power that it can give now likewise.
    pub available_power: Watts,
    /// Air at its inlet, °C.
    pub ambient_celsius: Option<i16>,
    /// Line voltages of the mains.
    pub mains: [Option<Millivolts>; 3],
    /// What it reports, states included.
    pub alarms: BTreeSet<Alarm>,
    /// Its serial number.
    pub serial: Option<String>,
    /// What it does.
    pub state: ModuleState,
}

impl Rack {
    /// What is known of each module.
    pub fn facts(&self, now: BoottimeMillis) -> Vec<ModuleFacts> {
        self.modules.values().map(|module| self.facts_of(now, module)).collect()
    }

    fn facts_of(&self, now: BoottimeMillis, module: &Module) -> ModuleFacts {
        let can = self.capabilities();
        let (said, rated_current) = (&module.said, module.said.ratings.maximum_current);
        let must_be_off = module.must_be_off(now, self.started, &can);
        let at_rest = module.is_quiet(now, &can);
        ModuleFacts {
            address: module.address,
            owner: module.owner,
            joined: module.joined,
            usable: said.is_usable(now),
            silent: !said.is_measured(now),
            surely_dead: must_be_off || said.is_measured_dead(now),
            at_rest,
            on: module.is_on(),
            voltage: said.voltage,
            current: said.current,
            fresh: said.is_fresh(now),
            bus_voltage: said.bus_voltage,
            rating: said.ratings.power,
            rated_current,
            available_current: rated_current.min(said.cap.unwrap_or(rated_current)),
            available_power: module.power(),
            ambient_celsius: said.ambient_celsius,
            mains: said.mains,
            alarms: said.alarms.clone(),
            serial: said.serial.clone(),
            state: state(now, module, at_rest),
        }
    }
}

fn state(now: BoottimeMillis, module: &Module, at_rest: bool) -> ModuleState {
    let said = &module.said;
    if said.heard.is_none() {
        return ModuleState::Unheard;
    }
    if !said.is_measured(now) {
        return ModuleState::Silent;
    }
    if said.is_barred(now) {
        let unusable = alarm::worst(&said.alarms) == Severity::Unusable;
        return if unusable { ModuleState::Unusable } else { ModuleState::Unavailable };
    }
    match (module.order, module.hold) {
        (Some(Order::On { .. }), Hold::Prepared(_)) => ModuleState::Preparing,
        (Some(Order::On { current: Milliamperes(0), .. }), _) => ModuleState::Standby,
        (Some(Order::On { .. }), _) => ModuleState::Delivering,
        (Some(Order::Off), _) if at_rest => ModuleState::Off,
        (Some(Order::Off) | None, _) => ModuleState::Stopping,
    }
}
