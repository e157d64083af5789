//! How the faults that are on befall the simulated devices: one place that hands each device its share.
//!
//! It is done anew at every change and starts from sound devices, so that no fault leaves a trace when it ends.

use std::time::Duration;

use super::Cabinet;
use crate::board::{PILOT_A, PILOT_B, PILOT_ERROR, Troubles};
use crate::car::Manners;
use crate::contactor::{Defects, Mirror};
use crate::fault::{Fault, Faults, Kind};
use crate::module::{Conditions, LINE_VOLTS, MAXIMUM_WATTS};
use crate::thermal::{CONTACT_OHMS, ROOM_CELSIUS};
use crate::wiring::{Connector, Pole};

/// What two line voltages fall to when the phase between them is gone.
const LOST_PHASE_VOLTS: f64 = 231.0;

impl Cabinet {
    /// Hands every device what befalls it now.
    pub(super) fn suffer(&mut self) {
        let faults = &self.faults;
        let conditions: Vec<Conditions> = (1..).zip(&self.rack.modules).map(|(of, _)| conditions(faults, of)).collect();
        for (index, module) in self.rack.modules.iter_mut().enumerate() {
            let Some(mut own) = conditions.get(index).cloned() else { continue };
            let address = address(&conditions, index);
            let others = conditions.iter().enumerate().filter(|(other, _)| *other != index);
            own.duplicate_address =
                others.map(|(other, _)| other).any(|other| self::address(&conditions, other) == address);
            module.conditions = own;
        }
        for connector in Connector::ALL {
            self.connector_suffers(connector);
        }
    }

    fn connector_suffers(&mut self, connector: Connector) {
        let faults = &self.faults;
        let has = |kind| faults.connector(kind, connector);
        let value = |kind| faults.connector_value(kind, connector);

        let branch = connector.of_mut(&mut self.circuit.branches);
        for (module, relay) in (1..).zip(&mut branch.relays) {
            relay.defects = defects(&RELAY_KINDS, |kind| faults.relay(kind, connector, module));
        }
        branch.plus.defects = defects(&POLE_KINDS, |kind| faults.pole(kind, connector, Pole::Plus));
        branch.minus.defects = defects(&POLE_KINDS, |kind| faults.pole(kind, connector, Pole::Minus));
        branch.bleeder_broken = has(Kind::BleederBroken);

        let around = connector.of_mut(&mut self.surroundings);
        around.door_open = has(Kind::DoorOpen);
        around.tilted = has(Kind::Tilted);
        around.water = has(Kind::Water);
        around.insulation_bad = has(Kind::InsulationBad);
        around.held_kilohms = value(Kind::InsulationResistance);
        around.falling_kilohms = value(Kind::InsulationFalls);
        around.lock.stuck = has(Kind::LockStuck);
        around.lock.feedback_lies = has(Kind::LockFeedbackLies);

        connector.of_mut(&mut self.meters).set_stuck(has(Kind::MeterStuck));

        let board = connector.of_mut(&mut self.boards);
        board.contacts.ambient_celsius = ambient(faults);
        board.contacts.contact_ohms = value(Kind::PlugResistance).map_or(CONTACT_OHMS, |micro| micro / 1e6);
        board.contacts.held_celsius = value(Kind::PlugHot);
        board.contacts.sensor_broken = has(Kind::PlugSensorBroken);
        board.troubles = troubles(faults, connector);
        board.manners = manners(faults, connector);
    }
}

fn ambient(faults: &Faults) -> f64 {
    faults.value(Fault::of_cabinet(Kind::AmbientHot)).map_or(ROOM_CELSIUS, |celsius| celsius as f64)
}

/// The line voltages with what is wrong with the mains.
fn line_volts(faults: &Faults) -> [f64; 3] {
    let value = |kind| faults.value(Fault::of_cabinet(kind)).map(|volts| volts as f64);
    let all = value(Kind::MainsUnderVoltage).or(value(Kind::MainsOverVoltage));
    let [sound, ..] = LINE_VOLTS;
    match all {
        Some(volts) => LINE_VOLTS.map(|line| line * volts / sound),
        None if faults.cabinet(Kind::MainsPhaseLost) => [sound, LOST_PHASE_VOLTS, LOST_PHASE_VOLTS],
        None => LINE_VOLTS,
    }
}

fn conditions(faults: &Faults, number: u8) -> Conditions {
    let has = |kind| faults.module(kind, number);
    let value = |kind| faults.value(Fault::of_module(kind, number));
    let mut line_volts = line_volts(faults);
    if has(Kind::ModulePhaseLost) {
        let [sound, ..] = line_volts;
        line_volts = [sound, LOST_PHASE_VOLTS, LOST_PHASE_VOLTS];
    }
    Conditions {
        ambient_celsius: ambient(faults),
        line_volts,
        mains_low: faults.cabinet(Kind::MainsUnderVoltage),
        mains_high: faults.cabinet(Kind::MainsOverVoltage),
        phase_lost: has(Kind::ModulePhaseLost) || faults.cabinet(Kind::MainsPhaseLost),
        silent: has(Kind::ModuleSilent),
        mute: has(Kind::ModuleMute),
        trip: has(Kind::ModuleTrip),
        broken: has(Kind::ModuleBroken),
        over_temperature: has(Kind::ModuleOverTemperature),
        over_voltage: has(Kind::ModuleOverVoltageTrip),
        short: has(Kind::ModuleShort),
        fan: has(Kind::ModuleFan),
        imbalance: has(Kind::ModuleImbalance),
        duplicate_address: false,
        // A module that is to have its own address takes the next one: the fault is that two have the same.
        address: value(Kind::ModuleDuplicateAddress)
            .and_then(|address| u8::try_from(address).ok())
            .map(|address| if address == number { address % 6 + 1 } else { address }),
        excess_volts: value(Kind::ModuleOverVoltage).map_or(0.0, |volts| volts as f64),
        watts: value(Kind::ModuleDerate).map_or(MAXIMUM_WATTS, |watts| watts as f64),
        stuck_on: has(Kind::ModuleStuckOn),
    }
}

fn address(all: &[Conditions], index: usize) -> Option<u8> {
    let own = u8::try_from(index).ok().map(|index| index.saturating_add(1));
    all.get(index).and_then(|conditions| conditions.address).or(own)
}

/// The kinds by which a contact can be defective: stuck open, stuck closed, welded, slow, and the two mirrors.
type ContactKinds = [Kind; 6];

const RELAY_KINDS: ContactKinds = [
    Kind::RelayStuckOpen,
    Kind::RelayStuckClosed,
    Kind::RelayWelded,
    Kind::RelaySlow,
    Kind::RelayMirrorLies,
    Kind::RelayMirrorFollowsCoil,
];

const POLE_KINDS: ContactKinds = [
    Kind::PoleStuckOpen,
    Kind::PoleStuckClosed,
    Kind::PoleWelded,
    Kind::PoleSlow,
    Kind::PoleMirrorLies,
    Kind::PoleMirrorFollowsCoil,
];

fn defects(kinds: &ContactKinds, value: impl Fn(Kind) -> Option<i64>) -> Defects {
    let [open, closed, welded, slow, lies, follows] = kinds.map(value);
    Defects {
        stuck: open.map(|_| false).or(closed.map(|_| true)),
        welded: welded.is_some(),
        slow: slow.map_or(Duration::ZERO, millis),
        mirror: match (lies, follows) {
            (Some(_), _) => Mirror::Opposite,
            (None, Some(_)) => Mirror::Coil,
            (None, None) => Mirror::Truth,
        },
    }
}

fn troubles(faults: &Faults, connector: Connector) -> Troubles {
    let has = |kind| faults.connector(kind, connector);
    let pilots = [(Kind::PilotError, PILOT_ERROR), (Kind::PilotLost, PILOT_A), (Kind::PilotDrops, PILOT_B)];
    Troubles {
        silent: has(Kind::BoardSilent),
        deaf: has(Kind::BoardDeaf),
        frozen: has(Kind::BoardFrozen),
        nonsense: has(Kind::BoardNonsense),
        emergency: has(Kind::BoardEmergency),
        rushed: has(Kind::BoardRushed),
        not_available: has(Kind::BoardNotAvailable),
        late: faults.value(Fault::of_connector(Kind::BoardLate, connector)).map_or(Duration::ZERO, millis),
        pilot: pilots.into_iter().find(|(kind, _)| has(*kind)).map(|(_, volts)| volts),
    }
}

fn manners(faults: &Faults, connector: Connector) -> Manners {
    let has = |kind| faults.connector(kind, connector);
    let value = |kind| faults.connector_value(kind, connector);
    Manners {
        never_closes: has(Kind::CarNeverCloses),
        opens: has(Kind::CarOpensUnderLoad),
        welded: has(Kind::CarWelded),
        does_not_stop: has(Kind::CarDoesNotStop),
        excess_amperes: value(Kind::CarAsksMore).unwrap_or_default(),
        wild: has(Kind::CarWild),
        excess_volts: value(Kind::CarHighVoltage).unwrap_or_default(),
        lingers: faults
            .value(Fault::of_connector(Kind::CarLingers, connector))
            .and_then(|state| u8::try_from(state).ok()),
        pauses: has(Kind::CarPauses),
        maximum_amperes: value(Kind::CarMaximumCurrent),
        maximum_watts: value(Kind::CarMaximumPower),
        maximum_volts: value(Kind::CarMaximumVoltage),
    }
}

fn millis(value: i64) -> Duration {
    Duration::from_millis(u64::try_from(value).unwrap_or_default())
}
