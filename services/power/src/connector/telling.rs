//! What the board and the bus are told of a connector.

use super::{Connector, HIGHEST_VOLTAGE, Orders, Seen, limit};
use crate::cabinet::LOOK;
use crate::vehicle::advantics::{self, Function, Permission, StationLimits, StationStatus};
use crate::watchdogs;
use busbar_interfaces::power::{CELSIUS_UNKNOWN, PowerConnectorState};
use busbar_interfaces::words::{ConnectorType, Lock, Phase, Plug};
use busbar_interfaces::{BoottimeMillis, Milliamperes, Millivolts, TransactionId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The cycle of the board's protocol, less the time until the cabinet is looked at again: never longer than it.
const CYCLE: Duration = watchdogs::STATION_STATUS.limit.saturating_sub(LOOK);
/// While nothing runs.
const IDLE_CYCLE: Duration = Duration::from_secs(1);

/// What the board was told last.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Told {
    at: BoottimeMillis,
    what: Option<(Permission, bool)>,
    status: Option<StationStatus>,
}

impl Told {
    /// It shall be told again at once.
    pub fn forget(&mut self) {
        self.what = None;
    }
}

impl Connector {
    pub(super) fn tell_board(&mut self, now: BoottimeMillis, seen: &Seen, orders: &mut Orders) {
        let in_use = self.is_in_use();
        let chademo = self.wiring.connector_type == ConnectorType::Chademo;
        let ending = self.ending();
        let stop = ending.is_some() || self.run.winding_down.is_some();
        let mut permission = if in_use { Permission::granted(chademo, stop) } else { Permission::default() };
        // What can be offered is known when the modules are there.
        permission.parameters_done &= seen.modules_ready || self.phase() != Phase::Negotiating;
        let enable = !ending.is_some_and(|ending| ending.is_emergency())
            && self.run.winding_down.is_none_or(|winding_down| winding_down.enable);
        let changed = self.run.told.what != Some((permission, enable));
        let cycle = if in_use { CYCLE } else { IDLE_CYCLE };
        if !changed && now.since(self.run.told.at) < cycle {
            return;
        }
        let id = self.id();
        let mut told_status = None;
        if in_use {
            let measured = StationStatus {
                voltage: seen.output.voltage,
                current: seen.output.current,
                module_celsius: seen.module_celsius,
                cabinet_celsius: seen.cabinet_celsius,
                enable,
                insulation_good: seen.board.is_some_and(|board| board.insulation_good()),
            };
            // A process that has not looked yet repeats what the last one told: it knows no better, and silence would
            // end the session.
            let before = self.run.told.status.filter(|_| self.is_looked_at() && seen.board.is_none());
            let status = before.map_or(measured, |before| StationStatus { enable, ..before });
            told_status = Some(status);
            let (voltage, charge) = (HIGHEST_VOLTAGE, self.most_current(now, seen));
            orders.frames.push(advantics::station_status(id, status));
            orders.frames.push(advantics::limits(id, StationLimits { voltage, charge, ..StationLimits::default() }));
        }
        orders.frames.push(advantics::permission(id, permission));
        self.run.told = Told { at: now, what: Some((permission, enable)), status: told_status };
    }

    /// What its object shows.
    pub fn state(&self, now: BoottimeMillis, seen: &Seen) -> PowerConnectorState {
        let vehicle = &self.run.vehicle;
        let control = vehicle.control(now);
        let wants = control.function == Function::PowerTransfer;
        let ceiling = self.ceiling(now, seen);
        PowerConnectorState {
            connector_type: self.wiring.connector_type,
            rated_watts: self.wiring.rated,
            plug: match vehicle.plugged(now) {
                Some(true) => Plug::Plugged,
                Some(false) => Plug::Unplugged,
                None => Plug::Unknown,
            },
            phase: self.phase(),
            delivery: self.run.delivery.as_ref().map_or(TransactionId(0), |delivery| delivery.id),
            ended_delivery: self.run.ended,
            stop_cause: self.run.stop_cause,
            vehicle_id: vehicle.id.clone(),
            state_of_charge_percent: vehicle.state_of_charge(),
            requested_millivolts: if wants { control.voltage } else { Millivolts(0) },
            requested_milliamperes: if wants { control.current } else { Milliamperes(0) },
            output_millivolts: seen.output.voltage,
            output_milliamperes: seen.output.current,
            limit_watts: limit::in_force(self.run.limit, self.rules.fallback_limit, now),
            offered_watts: ceiling.watts,
            offered_by: ceiling.holder,
            offered_since_boottime_millis: ceiling.since,
            modules_joined: 0,
            lock: seen.board.map_or(Lock::Unknown, |board| match board.locked() {
                Some(true) => Lock::Locked,
                Some(false) => Lock::Unlocked,
                None => Lock::None,
            }),
            plug_celsius: vehicle.plug_celsius().map_or(CELSIUS_UNKNOWN, i32::from),
            sampled_boottime_millis: seen.output.sampled,
        }
    }
}
