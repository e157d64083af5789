//! Which fault makes a danger one that no software could have prevented.
//!
//! The rule throughout: a fault excuses only what it brings about by itself. A welded relay that says so does not
//! excuse a station that closes the relay of the other bus; a module that cannot be switched off does not excuse a
//! station that leaves the contactor closed.

use std::time::Duration;

use crate::cabinet::Bus;
use crate::circuit::Circuit;
use crate::contactor::Contactor;
use crate::danger::{Cause, Contact, Danger};
use crate::fault::{Fault, Faults, Kind};
use crate::wiring::{Connector, IoBoard, Pole};

/// What an excuse is looked for in.
#[derive(Clone, Copy, Debug)]
pub struct Excuses<'a> {
    /// Time since the start of the plant.
    pub now: Duration,
    /// The faults.
    pub faults: &'a Faults,
    /// The circuit with its contacts.
    pub circuit: &'a Circuit,
}

impl Excuses<'_> {
    /// The fault that excuses a danger; `None` when the station is to blame.
    pub fn of(&self, danger: &Danger) -> Option<Fault> {
        match danger {
            Danger::ClosedOnDifference { contact, .. } => self.moved_by_itself(*contact, true),
            Danger::OpenedUnderLoad { contact, .. } => {
                self.moved_by_itself(*contact, false).or_else(|| self.unreachable_source(connector_of(*contact)))
            }
            Danger::BothBuses(module) => Connector::ALL.into_iter().find_map(|connector| {
                let relay = Contact::Relay(connector, *module);
                self.moved_by_itself(relay, true).or_else(|| self.hidden(relay))
            }),
            Danger::VehiclesJoined => contacts().find_map(|contact| {
                let closed = self.moved_by_itself(contact, true).filter(|_| self.is_closed(contact));
                closed.or_else(|| self.hidden(contact))
            }),
            Danger::OverVoltage { connector, .. } => self
                .had(Fault::of_connector(Kind::CarHighVoltage, *connector))
                .or_else(|| self.had(Fault::of_connector(Kind::CarMaximumVoltage, *connector)))
                .or_else(|| self.of_sources(*connector, &[Kind::ModuleOverVoltage]))
                .or_else(|| self.unreachable_source(*connector)),
            Danger::OverDemand { connector, .. } | Danger::AboveLimit { connector, .. } => {
                self.unreachable_source(*connector).or_else(|| self.of_vehicle(*connector))
            }
            Danger::CurrentAfterEmergency { connector, still: false, .. } => self.unreachable_source(*connector),
            Danger::CurrentAfterEmergency { connector, cause, still: true, .. } => {
                // The vehicle's own contactors would have to part when the cause is in the vehicle.
                let in_vehicle = matches!(cause, Cause::Unplugged);
                self.unreachable_source(*connector).and(self.unreachable_output(*connector)).filter(|_| !in_vehicle)
            }
            Danger::OpenConnectorLive { connector, .. } | Danger::OutputWithoutSession { connector, .. } => {
                let bleeder = self.had(Fault::of_connector(Kind::BleederBroken, *connector));
                let source = self.unreachable_source(*connector).and(self.unreachable_output(*connector));
                bleeder.or(source).or_else(|| self.io(*connector))
            }
            Danger::UnlockedLive { connector, .. } => {
                self.had(Fault::of_connector(Kind::LockFeedbackLies, *connector)).or_else(|| self.io(*connector))
            }
            Danger::ClosedWithoutVehicle { connector } => self.unreachable_output(*connector),
        }
    }

    fn had(&self, fault: Fault) -> Option<Fault> {
        self.faults.had(self.now, fault).then_some(fault)
    }

    /// The fault by which a contact takes a position that its coil does not have.
    fn moved_by_itself(&self, contact: Contact, closed: bool) -> Option<Fault> {
        let [relay, pole] = match closed {
            true => [Kind::RelayStuckClosed, Kind::PoleStuckClosed],
            false => [Kind::RelayStuckOpen, Kind::PoleStuckOpen],
        };
        match contact {
            Contact::Relay(connector, module) => {
                let commanded = self.relay(connector, module).is_some_and(|relay| relay.coil() == closed);
                self.had(Fault::of_relay(relay, connector, module)).filter(|_| !commanded)
            }
            Contact::Output(connector) => {
                let branch = connector.of(&self.circuit.branches);
                let mut poles = Pole::ALL.into_iter().zip([branch.plus.coil(), branch.minus.coil()]);
                poles.find_map(|(of, coil)| self.had(Fault::of_pole(pole, connector, of)).filter(|_| coil != closed))
            }
        }
    }

    /// The fault by which a contact is closed although coil and mirror say that it is open.
    fn hidden(&self, contact: Contact) -> Option<Fault> {
        let held = self.of_contact(contact, Kind::RelayWelded, Kind::PoleWelded);
        let lies = self.of_contact(contact, Kind::RelayMirrorLies, Kind::PoleMirrorLies);
        let follows = || self.of_contact(contact, Kind::RelayMirrorFollowsCoil, Kind::PoleMirrorFollowsCoil);
        held.filter(|_| self.is_closed(contact)).and(lies.or_else(follows))
    }

    fn of_contact(&self, contact: Contact, relay: Kind, pole: Kind) -> Option<Fault> {
        match contact {
            Contact::Relay(connector, module) => self.had(Fault::of_relay(relay, connector, module)),
            Contact::Output(connector) => {
                Pole::ALL.into_iter().find_map(|of| self.had(Fault::of_pole(pole, connector, of)))
            }
        }
    }

    fn is_closed(&self, contact: Contact) -> bool {
        match contact {
            Contact::Output(connector) => connector.of(&self.circuit.branches).output_closed(),
            Contact::Relay(connector, module) => self.relay(connector, module).is_some_and(Contactor::is_closed),
        }
    }

    fn relay(&self, connector: Connector, module: u8) -> Option<&Contactor> {
        connector.of(&self.circuit.branches).relays.get(usize::from(module).saturating_sub(1))
    }

    /// The fault because of which a module that feeds a connector cannot be switched off.
    fn unreachable_source(&self, connector: Connector) -> Option<Fault> {
        const OF_MODULE: [Kind; 3] = [Kind::ModuleStuckOn, Kind::ModuleSilent, Kind::ModuleDuplicateAddress];
        const OF_BUS: [Kind; 3] = [Kind::BusDown, Kind::BusOff, Kind::BusStationUnheard];
        let of_bus = || OF_BUS.into_iter().find_map(|kind| self.had(Fault::of_bus(kind, Bus::Modules)));
        self.of_sources(connector, &OF_MODULE).or_else(of_bus)
    }

    /// A fault of a module that feeds a connector.
    fn of_sources(&self, connector: Connector, kinds: &[Kind]) -> Option<Fault> {
        let relays = connector.of(&self.circuit.branches).relays;
        let feeding = (1..).zip(relays).filter(|(_, relay)| relay.is_closed() || relay.coil());
        let numbers: Vec<u8> = feeding.map(|(number, _)| number).collect();
        let of = |number: &u8| kinds.iter().find_map(|kind| self.had(Fault::of_module(*kind, *number)));
        numbers.iter().find_map(of)
    }

    /// The fault because of which a connector's output cannot be opened: one pole would be enough.
    fn unreachable_output(&self, connector: Connector) -> Option<Fault> {
        let held = |pole: Pole| {
            let held = [Kind::PoleWelded, Kind::PoleStuckClosed];
            held.into_iter().find_map(|kind| self.had(Fault::of_pole(kind, connector, pole)))
        };
        let [plus, minus] = Pole::ALL.map(held);
        plus.and(minus).or_else(|| self.io(connector))
    }

    /// The fault because of which the output board of a connector does not listen.
    fn io(&self, connector: Connector) -> Option<Fault> {
        let unit = IoBoard::Output(connector).unit();
        let board = Fault { kind: Kind::UnitDown, subject: crate::fault::Subject::Unit(unit) };
        self.had(Fault::of_cabinet(Kind::IoDown)).or_else(|| self.had(board))
    }

    /// A vehicle that withdraws its demand or its limits faster than anybody can follow, or whose wishes the
    /// station is never told.
    fn of_vehicle(&self, connector: Connector) -> Option<Fault> {
        const KINDS: [Kind; 2] = [Kind::CarWild, Kind::CarOpensUnderLoad];
        KINDS.into_iter().find_map(|kind| self.had(Fault::of_connector(kind, connector)))
    }
}

fn connector_of(contact: Contact) -> Connector {
    match contact {
        Contact::Relay(connector, _) | Contact::Output(connector) => connector,
    }
}

fn contacts() -> impl Iterator<Item = Contact> {
    let of = |connector| (1..=6).map(move |module| Contact::Relay(connector, module));
    let relays = Connector::ALL.into_iter().flat_map(of);
    relays.chain(Connector::ALL.map(Contact::Output))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Connector = Connector::One;

    /// The excuse for a danger at connector 1, fed by modules 1 and 2, with some faults.
    fn excuse(danger: Danger, names: &[&str]) -> Option<String> {
        let mut circuit = Circuit::default();
        for relay in circuit.branches[0].relays.iter_mut().take(2) {
            relay.command(true);
            relay.step(Duration::ZERO, Duration::ZERO);
        }
        let mut faults = Faults::default();
        for name in names {
            let fault = Fault::from_name(name).unwrap();
            faults.begin(fault, fault.usual_value());
        }
        let excuses = Excuses { now: Duration::ZERO, faults: &faults, circuit: &circuit };
        excuses.of(&danger).map(|fault| fault.name())
    }

    #[test]
    fn a_fault_excuses_only_what_it_brings_about_by_itself() {
        let relay = Contact::Relay(ONE, 1);
        let other = Contact::Relay(ONE, 3);
        let output = Contact::Output(ONE);
        let closed = |contact| Danger::ClosedOnDifference { contact, volts: 400.0, other_volts: 300.0 };
        let opened = |contact| Danger::OpenedUnderLoad { contact, amperes: 50.0 };
        let late = |still| Danger::CurrentAfterEmergency { connector: ONE, cause: Cause::Tilt, amperes: 50.0, still };
        let open_live = Danger::OpenConnectorLive { connector: ONE, volts: 400.0 };
        let unlocked = Danger::UnlockedLive { connector: ONE, volts: 400.0 };
        let over = Danger::OverVoltage { connector: ONE, volts: 500.0, limit: 420.0 };
        for (danger, faults, expected) in [
            (closed(other), &["relay-1-3-stuck-closed"][..], Some("relay-1-3-stuck-closed")),
            // Its coil was energised: the station closed it.
            (closed(relay), &["relay-1-1-stuck-closed"], None),
            (closed(relay), &["relay-1-1-welded"], None),
            (closed(relay), &["relay-1-2-stuck-closed"], None),
            (closed(output), &["contactor-1-minus-stuck-closed"], Some("contactor-1-minus-stuck-closed")),
            (opened(output), &[], None),
            (opened(relay), &["relay-1-1-stuck-open"], Some("relay-1-1-stuck-open")),
            (opened(output), &["contactor-1-plus-stuck-open"], None),
            (opened(output), &["module-2-stuck-on"], Some("module-2-stuck-on")),
            (opened(output), &["module-3-stuck-on"], None),
            (opened(output), &["modules-bus-down"], Some("modules-bus-down")),
            (opened(output), &["module-1-trip"], None),
            (Danger::BothBuses(2), &["relay-2-2-stuck-closed"], Some("relay-2-2-stuck-closed")),
            (Danger::BothBuses(2), &["relay-1-2-welded"], None),
            (Danger::BothBuses(2), &["relay-1-2-welded", "relay-1-2-mirror-lies"], Some("relay-1-2-mirror-lies")),
            (Danger::VehiclesJoined, &["relay-1-2-stuck-closed"], None),
            (Danger::VehiclesJoined, &["relay-1-4-stuck-closed"], None),
            (late(false), &["module-1-silent"], Some("module-1-silent")),
            (late(true), &["module-1-silent"], None),
            (late(true), &["contactor-1-plus-welded", "contactor-1-minus-welded"], None),
            (late(true), &["module-1-silent", "contactor-1-plus-welded"], None),
            (late(true), &["module-1-silent", "io-down"], Some("io-down")),
            (open_live, &["contactor-1-plus-welded", "contactor-1-minus-welded"], None),
            (open_live, &["bleeder-1-broken"], Some("bleeder-1-broken")),
            (unlocked, &["lock-1-stuck"], None),
            (unlocked, &["lock-1-feedback-lies"], Some("lock-1-feedback-lies")),
            (over, &["module-1-over-voltage"], Some("module-1-over-voltage")),
            (over, &["module-5-over-voltage"], None),
            (over, &["car-1-high-voltage"], Some("car-1-high-voltage")),
            (Danger::ClosedWithoutVehicle { connector: ONE }, &["contactor-1-plus-welded"], None),
        ] {
            assert_eq!(excuse(danger, faults).as_deref(), expected, "{danger} with {faults:?}");
        }
    }
}
