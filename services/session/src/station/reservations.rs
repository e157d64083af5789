//! Reservations of the station: what the CSMS wants kept, and when that ends.

use super::{Output, Station};
use crate::connector::Connector;
use crate::effect::Effect;
use crate::reservation::Reserved;
use busbar_interfaces::words::{ReservationVerdict, Verdict};
use busbar_interfaces::{ConnectorId, ReservationId};
use busbar_runtime::Moment;

impl Station {
    /// OCPP 1.6, 5.13. What cannot be kept changes nothing, also about the reservation with its number.
    pub(super) fn reserve(&mut self, now: Moment, reserved: Reserved, outputs: &mut Vec<Output>) -> ReservationVerdict {
        let verdict = self.reservable(now, &reserved);
        if verdict == ReservationVerdict::Accepted {
            self.reservations.insert(reserved.clone());
            outputs.push(Output::RecordReservation(reserved));
        }
        verdict
    }

    fn reservable(&self, now: Moment, reserved: &Reserved) -> ReservationVerdict {
        let of_station = reserved.connector == ConnectorId::STATION;
        let allowed = self.rules.as_ref().is_some_and(|rules| rules.reserve_station || !of_station);
        if !allowed || reserved.expires <= now.unix || self.no_start_until.is_some() {
            return ReservationVerdict::Rejected;
        }
        let verdicts: Vec<ReservationVerdict> = match self.connectors.get(&reserved.connector) {
            Some(connector) => vec![self.of_connector(reserved.connector, connector)],
            None if of_station => self.connectors.iter().map(|(id, each)| self.of_connector(*id, each)).collect(),
            None => return ReservationVerdict::Rejected,
        };
        let free = |(id, each): (&ConnectorId, &Connector)| {
            (self.of_connector(*id, each) == ReservationVerdict::Accepted).then_some(*id)
        };
        let free: Vec<ConnectorId> = self.connectors.iter().filter_map(free).collect();
        // What comes first here is told when there are several reasons.
        let order = [
            ReservationVerdict::Accepted,
            ReservationVerdict::Occupied,
            ReservationVerdict::Unavailable,
            ReservationVerdict::Faulted,
        ];
        let verdict = order.into_iter().find(|verdict| verdicts.contains(verdict));
        match verdict.unwrap_or(ReservationVerdict::Rejected) {
            ReservationVerdict::Accepted if !self.reservations.fits(reserved, &free) => ReservationVerdict::Occupied,
            verdict => verdict,
        }
    }

    /// Whether a connector can be kept, apart from what is reserved already.
    fn of_connector(&self, id: ConnectorId, connector: &Connector) -> ReservationVerdict {
        if connector.is_faulted() || !connector.works() {
            ReservationVerdict::Faulted
        } else if !connector.is_operative() {
            ReservationVerdict::Unavailable
        } else if !connector.is_empty() || self.is_asked_about(id) {
            ReservationVerdict::Occupied
        } else {
            ReservationVerdict::Accepted
        }
    }

    pub(super) fn cancel_reservation(&mut self, reservation: ReservationId, outputs: &mut Vec<Output>) -> Verdict {
        if !self.reservations.remove(reservation) {
            return Verdict::Rejected;
        }
        outputs.push(Output::EndReservation(reservation));
        Verdict::Accepted
    }

    /// A start that is being written down takes its reservation with it, in the same commit.
    pub(super) fn use_up_reservations(&mut self, outputs: &[Output]) {
        for output in outputs {
            if let Output::Connector(Effect::Start(event, _)) = output {
                for reservation in &event.reservation {
                    self.reservations.remove(*reservation);
                }
            }
        }
    }

    /// OCPP 1.6, 5.13: a reservation ends with its time, and when what it keeps is faulted or out of service.
    pub(super) fn end_reservations(&mut self, now: Moment, outputs: &mut Vec<Output>) {
        let is_lost = |connector: &Connector| connector.is_faulted() || !connector.is_operative();
        let lost = |reserved: &Reserved| match self.connectors.get(&reserved.connector) {
            Some(connector) => is_lost(connector),
            None => self.connectors.values().all(is_lost),
        };
        let mut over = self.reservations.expired(now.unix);
        over.extend(self.reservations.iter().filter(|reserved| lost(reserved)).map(|reserved| reserved.reservation));
        for reservation in over {
            self.cancel_reservation(reservation, outputs);
        }
    }
}
