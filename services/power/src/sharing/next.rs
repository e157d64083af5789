//! Which module moves next: from how the modules should be shared, what may move now (hardware notes §6.2, rule 9).

use super::allocation::{Candidate, Claim, Plan, plan};
use super::moves::Move;
use super::seen::{ConnectorSeen, Joining, Seen};
use super::{Address, Sharing};
use busbar_interfaces::{BoottimeMillis, ConnectorId};
use std::collections::BTreeMap;
use std::time::Duration;

/// A module stays at least so long where it is (rule 9).
const DWELL: Duration = Duration::from_secs(60);
/// One that its owner does not need may go to another after this time already, once in a dwell: power that one car does
/// not take goes to the other within seconds, and a module that has just been moved so stays its dwell.
const IDLE: Duration = Duration::from_secs(5);

impl Sharing {
    /// How the modules should be shared; begins the next move towards it when none runs.
    pub(super) fn begin_next(&mut self, now: BoottimeMillis, seen: &Seen) -> Plan {
        let claims = claims(seen);
        let plan = plan(&claims, &self.candidates(now, seen, &claims));
        self.note_surplus(now, seen, &plan);
        let undecided = seen.connectors.values().any(|connector| connector.hands_off);
        if self.moving.is_none() && self.verified && !undecided {
            self.moving = self.next(now, seen, &claims, &plan);
        }
        plan
    }

    fn candidates(&self, now: BoottimeMillis, seen: &Seen, claims: &[Claim]) -> Vec<Candidate> {
        let modules = self.topology.modules().filter(|module| self.is_moving(*module).is_none());
        modules.filter_map(|module| self.candidate(now, seen, claims, module)).collect()
    }

    /// A module that may be used: usable, and either in the hands of a connector or free and open on all sides.
    fn candidate(&self, now: BoottimeMillis, seen: &Seen, claims: &[Claim], module: Address) -> Option<Candidate> {
        let place = self.places.get(&module)?;
        let read = seen.modules.get(&module).filter(|read| read.usable)?;
        let available = match place.owner {
            Some(owner) => claims.iter().any(|claim| claim.connector == owner),
            None => now >= place.shunned_until && self.all_open(seen, module),
        };
        let relays = self.relays.get(&module)?.iter();
        let reach: BTreeMap<ConnectorId, u32> = relays
            .filter(|(connector, relay)| !relay.is_locked() || place.owner == Some(**connector))
            .map(|(connector, relay)| (*connector, relay.wear().cycles))
            .collect();
        let (rating, owner, since) = (read.rating, place.owner, place.since);
        available.then_some(Candidate { address: module, rating, reach, owner, since })
    }

    fn note_surplus(&mut self, now: BoottimeMillis, seen: &Seen, plan: &Plan) {
        let lives =
            |connector: &ConnectorId| seen.connectors.get(connector).is_some_and(|each| each.joining == Joining::Live);
        self.surplus_since.retain(|connector, _| plan.surplus.contains(connector) && lives(connector));
        for connector in plan.surplus.iter().filter(|connector| lives(connector)) {
            self.surplus_since.entry(*connector).or_insert(now);
        }
    }

    fn next(&self, now: BoottimeMillis, seen: &Seen, claims: &[Claim], plan: &Plan) -> Option<Move> {
        let mut takers: Vec<(bool, &Claim)> = claims
            .iter()
            .map(|claim| (self.places.values().any(|place| place.owner == Some(claim.connector)), claim))
            .collect();
        takers.sort_by_key(|(has, claim)| (*has, claim.since, claim.connector));
        for (has, claim) in takers {
            let to = claim.connector;
            if !seen.connectors.get(&to).is_some_and(may_move) {
                continue;
            }
            let mut wanted: Vec<(bool, Address)> = plan
                .owners
                .iter()
                .filter(|(module, owner)| **owner == to && self.owner(**module) != Some(to))
                .map(|(module, _)| (self.owner(*module).is_some(), *module))
                .collect();
            wanted.sort();
            let found = wanted.iter().find_map(|(_, module)| self.taken(now, seen, *module, to, !has));
            if found.is_some() {
                return found;
            }
        }
        self.parked(now, seen, claims, plan)
    }

    /// A move of this module, if it may move now; at once to a connector that has none.
    fn taken(&self, now: BoottimeMillis, seen: &Seen, module: Address, to: ConnectorId, urgent: bool) -> Option<Move> {
        let place = self.places.get(&module)?;
        let Some(from) = place.owner else { return Some(Move::begin(now, module, None, Some(to))) };
        if !seen.connectors.get(&from).is_some_and(may_move) {
            return None;
        }
        let stayed = now.since(place.since);
        let hastened = place.hastened_at.is_some_and(|at| now.since(at) < DWELL);
        let idle = !hastened && stayed >= IDLE && self.has_surplus(now, from, IDLE);
        let mut moving = Move::begin(now, module, Some(from), Some(to));
        moving.idle = idle;
        (urgent || idle || stayed >= DWELL).then_some(moving)
    }

    fn has_surplus(&self, now: BoottimeMillis, connector: ConnectorId, long: Duration) -> bool {
        self.surplus_since.get(&connector).is_some_and(|since| now.since(*since) >= long)
    }

    /// A module that nobody needs goes to rest, in no hurry.
    fn parked(&self, now: BoottimeMillis, seen: &Seen, claims: &[Claim], plan: &Plan) -> Option<Move> {
        let owned = self.candidates(now, seen, claims).into_iter().filter_map(|each| Some((each.address, each.owner?)));
        let mut spare = owned.filter(|(module, from)| {
            let stayed = self.places.get(module).is_some_and(|place| now.since(place.since) >= DWELL);
            let may = seen.connectors.get(from).is_some_and(may_move);
            stayed && may && !plan.owners.contains_key(module) && self.has_surplus(now, *from, DWELL)
        });
        spare.next().map(|(module, from)| Move::begin(now, module, Some(from), None))
    }
}

fn claims(seen: &Seen) -> Vec<Claim> {
    let in_use = seen.connectors.iter().filter(|(_, each)| each.in_use && !each.emergency);
    in_use
        .map(|(connector, each)| Claim {
            connector: *connector,
            since: each.since,
            asked: each.asked,
            most: each.most.min(each.limit),
        })
        .collect()
}

/// Modules may join it and leave it now.
fn may_move(connector: &ConnectorSeen) -> bool {
    connector.joining != Joining::Held && !connector.emergency && !connector.hands_off
}
