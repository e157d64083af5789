//! What a connector asks of the station's modules and power. Pure.

use super::{Connector, HIGHEST_VOLTAGE, Seen, contactors};
use crate::figures::DEAD;
use crate::sharing::{ConnectorSeen, Joining};
use crate::vehicle::advantics::{BoardStatus, Function};
use busbar_interfaces::{BoottimeMillis, Millivolts, Watts};

/// Before it has told its battery's voltage, a vehicle is taken to have this.
const LIKELY_VOLTAGE: Millivolts = Millivolts(400_000);

impl Connector {
    /// It is being ended in an emergency.
    pub fn is_in_emergency(&self) -> bool {
        self.ending().is_some_and(|ending| ending.is_emergency())
    }

    /// Its modules are told to give.
    pub fn gives(&self) -> bool {
        self.run.output.is_some()
    }

    /// What ran in the last process is being looked at.
    pub fn is_looked_at(&self) -> bool {
        self.run.delivery.as_ref().is_some_and(|delivery| delivery.adoption.is_some())
    }

    /// What it asks; its bus has this voltage, as its modules say.
    pub fn claim(&self, now: BoottimeMillis, seen: &Seen, bus_voltage: Option<Millivolts>) -> ConnectorSeen {
        let limit = self.own_ceiling(now, seen);
        let most = self.most(limit);
        let delivers = self.vehicle_asks(now);
        let control = self.run.vehicle.control(now);
        ConnectorSeen {
            in_use: self.is_in_use() || self.run.weld_check.goes_on(),
            since: self.run.delivery.as_ref().map_or(now, |delivery| delivery.began),
            asked: if delivers { control.voltage.power(control.current) } else { most },
            most,
            limit,
            joining: self.joining(now),
            bus_voltage,
            at_rest: seen.output.at_rest,
            contactor_closed: seen.board.is_none_or(|board| !contactors::is_open(&board)),
            emergency: self.is_in_emergency(),
            hands_off: self.is_looked_at(),
        }
    }

    fn vehicle_asks(&self, now: BoottimeMillis) -> bool {
        self.run.vehicle.control(now).function == Function::PowerTransfer
    }

    /// What its vehicle could take.
    fn most(&self, limit: Watts) -> Watts {
        let vehicle = &self.run.vehicle;
        let voltage = vehicle.battery_voltage().filter(|voltage| *voltage >= DEAD).unwrap_or(LIKELY_VOLTAGE);
        let by_current = vehicle.most_current().map(|most| voltage.min(HIGHEST_VOLTAGE).power(most));
        let by_power = vehicle.most_power();
        [by_current, by_power].into_iter().flatten().fold(limit, Watts::min)
    }

    /// Modules join dead before the cable check and live in the transfer of power; between them and after nothing moves.
    fn joining(&self, now: BoottimeMillis) -> Joining {
        let Some(delivery) = self.run.delivery.as_ref().filter(|delivery| delivery.ending.is_none()) else {
            return Joining::Held;
        };
        let charges = self.run.vehicle.status(now) == Some(BoardStatus::Charging);
        match self.run.contactors.wanted() {
            Some(true) if charges && self.vehicle_asks(now) => Joining::Live,
            Some(true) => Joining::Held,
            _ if delivery.closed_once => Joining::Held,
            _ => Joining::Dead,
        }
    }
}
