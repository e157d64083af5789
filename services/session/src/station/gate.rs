//! What the gate says of the connectors: where a charge may begin, for whom, and what a driver is told whom nobody awaits.

use super::Station;
use crate::admission;
use crate::connector::Connector;
use crate::reservation::Claim;
use busbar_interfaces::words::DecisionReason;
use busbar_interfaces::{ConnectorId, ReservationId};

impl Station {
    /// What the gate looks at, for a driver with this claim.
    fn facts(&self, each: &Connector, claim: Claim) -> admission::Facts {
        each.facts(self.no_start_until.is_some(), self.has_space, claim)
    }

    /// What is told to a driver whose badge nobody awaits.
    pub(super) fn why_no_badge_is_awaited(&self) -> DecisionReason {
        let against = |each: &Connector| admission::before_the_plug(self.facts(each, Claim::Free)).err();
        if self.rules.is_none() || !self.connectors.values().all(Connector::is_known) {
            DecisionReason::NotReady
        } else if self.no_start_until.is_some() {
            DecisionReason::Restarting
        } else if !self.connectors.values().any(Connector::is_operative) {
            DecisionReason::Unavailable
        } else if let Some(reason) =
            self.connectors.values().filter(|each| each.plugged() && each.is_free()).find_map(against)
        {
            reason
        } else if self
            .connectors
            .iter()
            .any(|(id, each)| each.plugged() && (!each.is_free() || self.is_asked_about(*id)))
        {
            DecisionReason::Occupied
        } else {
            DecisionReason::NoVehicle
        }
    }

    /// What a driver may claim of a connector.
    pub(super) fn claim(&self, connector: ConnectorId, id_tag: &str, group: Option<&str>) -> Claim {
        self.reservations.claim(connector, id_tag, group)
    }

    /// Likewise of whichever is plugged in first, with 0: what stands best among those that he could get.
    pub(super) fn claim_of_target(&self, target: ConnectorId, id_tag: &str, group: Option<&str>) -> Claim {
        if target != ConnectorId::STATION {
            return self.claim(target, id_tag, group);
        }
        let could_get = |(id, each): (&ConnectorId, &Connector)| {
            let is_free = each.is_empty() && admission::before_the_plug(self.facts(each, Claim::Free)).is_ok();
            is_free.then(|| self.claim(*id, id_tag, group))
        };
        let claims: Vec<Claim> = self.connectors.iter().filter_map(could_get).collect();
        let usable = claims.iter().find(|claim| !matches!(claim, Claim::Kept { .. }));
        let perhaps = claims.iter().find(|claim| claim.is_open());
        usable.or(perhaps).or(claims.first()).copied().unwrap_or(Claim::Free)
    }

    /// The gate: whether a charge may begin at a connector now, for somebody with this claim.
    pub(super) fn may_begin(
        &self,
        connector: ConnectorId,
        claim: Claim,
    ) -> Result<Option<ReservationId>, DecisionReason> {
        let each = self.connectors.get(&connector).ok_or(DecisionReason::NoVehicle)?;
        if each.opening().is_some() {
            return Err(DecisionReason::Occupied);
        }
        admission::now(self.facts(each, claim))
    }

    /// The gate, for the driver whose transaction is being opened at a connector.
    pub(super) fn admitted(&self, connector: ConnectorId) -> Result<Option<ReservationId>, DecisionReason> {
        let each = self.connectors.get(&connector).ok_or(DecisionReason::NoVehicle)?;
        let claim = each
            .opening()
            .map_or(Claim::Free, |driver| self.claim(connector, &driver.id_tag, Some(&driver.parent_id_tag)));
        admission::now(self.facts(each, claim))
    }

    /// Whether a remote start may have this connector, or with 0 whichever is plugged in first: now, or when a vehicle
    /// comes. A group that is not known yet may still turn out to be the right one.
    pub(super) fn may_await(
        &self,
        target: ConnectorId,
        id_tag: &str,
        group: Option<&str>,
    ) -> Result<(), DecisionReason> {
        let before_plug = self.rules.as_ref().is_some_and(|rules| rules.remote_start_before_plug);
        if self.is_asked_about(target) {
            return Err(DecisionReason::Occupied);
        }
        let gate = |id: ConnectorId, each: &Connector| {
            let claim = match self.claim(id, id_tag, group) {
                Claim::Kept { perhaps_of_group: true } if self.online => Claim::Free,
                claim => claim,
            };
            if each.awaited().is_some() || !each.is_free() {
                return Err(DecisionReason::Occupied);
            }
            let facts = self.facts(each, claim);
            if each.plugged() { admission::now(facts) } else { admission::before_the_plug(facts) }
        };
        match self.connectors.get(&target) {
            Some(each) if each.plugged() || before_plug => gate(target, each).map(drop),
            Some(_) => Err(DecisionReason::NoVehicle),
            None if target != ConnectorId::STATION || !before_plug => Err(DecisionReason::NoVehicle),
            None if self.roaming.is_some() => Err(DecisionReason::Occupied),
            None => {
                let unplugged = self.connectors.iter().filter(|(_, each)| !each.plugged());
                let mut gates = unplugged.map(|(id, each)| gate(*id, each).map(drop));
                let first = gates.next().unwrap_or(Err(DecisionReason::Occupied));
                gates.find(Result::is_ok).unwrap_or(first)
            }
        }
    }

    /// Connectors where a badge is awaited: a charge could begin there, and nobody is being asked about yet.
    pub(super) fn openable(&self) -> impl Iterator<Item = ConnectorId> {
        let awaits = |id: &ConnectorId, each: &Connector| {
            // Whoever it is reserved for may come.
            let is_open = admission::now(self.facts(each, Claim::Free)).is_ok();
            each.is_free() && is_open && !self.is_asked_about(*id)
        };
        self.connectors.iter().filter(move |(id, each)| awaits(id, each)).map(|(id, _)| *id)
    }

    /// Whether somebody's start is being decided there.
    pub(super) fn is_undecided(&self, connector: ConnectorId) -> bool {
        self.is_asked_about(connector) || self.connectors.get(&connector).is_some_and(|each| each.opening().is_some())
    }

    pub(super) fn is_asked_about(&self, connector: ConnectorId) -> bool {
        self.questions.values().any(|question| question.connector == Some(connector))
    }
}
