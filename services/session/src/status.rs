//! The status of a connector, in OCPP 1.6's words, from what is true of it.

use busbar_interfaces::words::{ConnectorStatus, Phase};

/// What a status depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// A fault that stops charging concerns it.
    pub faulted: bool,
    /// It is ordered out of service, and the order waits for no transaction.
    pub out_of_service: bool,
    /// A vehicle is plugged in.
    pub plugged: bool,
    /// A driver is accepted or a transaction is being prepared.
    pub driver_accepted: bool,
    /// A transaction runs.
    pub transaction: bool,
    /// The transaction's delivery is over or being ended.
    pub ending: bool,
    /// Where the delivery is.
    pub phase: Option<Phase>,
    /// Current has flowed in this transaction.
    pub has_flowed: bool,
    /// The vehicle asks for no current.
    pub vehicle_wants_nothing: bool,
    /// The station's limit is zero.
    pub station_gives_nothing: bool,
    /// A transaction is over and its vehicle is still plugged in.
    pub awaits_unplug: bool,
}

/// The status that OCPP 1.6 (section 4.9) has for these facts.
pub fn of(facts: Facts) -> ConnectorStatus {
    if facts.faulted {
        ConnectorStatus::Faulted
    } else if facts.transaction {
        match facts.phase {
            // Until its end is on disk the transaction runs, for the operator too.
            _ if facts.ending && facts.has_flowed => ConnectorStatus::Charging,
            _ if facts.ending => ConnectorStatus::Preparing,
            Some(Phase::Delivering) if facts.station_gives_nothing => ConnectorStatus::SuspendedEvse,
            Some(Phase::Delivering) if facts.vehicle_wants_nothing && facts.has_flowed => ConnectorStatus::SuspendedEv,
            Some(Phase::Delivering) => ConnectorStatus::Charging,
            // Power is away for a moment: what flowed goes on flowing.
            None if facts.has_flowed => ConnectorStatus::Charging,
            _ => ConnectorStatus::Preparing,
        }
    } else if facts.out_of_service {
        ConnectorStatus::Unavailable
    } else if facts.awaits_unplug {
        ConnectorStatus::Finishing
    } else if facts.plugged || facts.driver_accepted {
        ConnectorStatus::Preparing
    } else {
        ConnectorStatus::Available
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_life_of_a_connector() {
        let free = Facts::default();
        let plugged = Facts { plugged: true, ..free };
        let running = Facts { transaction: true, phase: Some(Phase::CableCheck), ..plugged };
        let flowing = Facts { phase: Some(Phase::Delivering), has_flowed: true, ..running };
        for (facts, status) in [
            (free, ConnectorStatus::Available),
            (plugged, ConnectorStatus::Preparing),
            (Facts { driver_accepted: true, ..free }, ConnectorStatus::Preparing),
            (running, ConnectorStatus::Preparing),
            (flowing, ConnectorStatus::Charging),
            (Facts { phase: None, ..flowing }, ConnectorStatus::Charging),
            (Facts { vehicle_wants_nothing: true, ..flowing }, ConnectorStatus::SuspendedEv),
            (
                Facts { station_gives_nothing: true, vehicle_wants_nothing: true, ..flowing },
                ConnectorStatus::SuspendedEvse,
            ),
            (Facts { ending: true, phase: Some(Phase::Stopping), ..flowing }, ConnectorStatus::Charging),
            (Facts { awaits_unplug: true, ..plugged }, ConnectorStatus::Finishing),
            (Facts { faulted: true, ..flowing }, ConnectorStatus::Faulted),
            (Facts { out_of_service: true, ..free }, ConnectorStatus::Unavailable),
            (Facts { out_of_service: true, awaits_unplug: true, ..plugged }, ConnectorStatus::Unavailable),
            (Facts { out_of_service: true, faulted: true, ..free }, ConnectorStatus::Faulted),
        ] {
            assert_eq!(of(facts), status, "{facts:?}");
        }
    }
}
