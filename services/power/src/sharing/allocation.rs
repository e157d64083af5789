//! Who should own which module (hardware notes §6.2, rule 9): first come keeps, a fair share when more than one asks,
//! few modules at low load. Says how it should be in the end; when a module may move is decided elsewhere.

use super::Address;
use busbar_interfaces::{BoottimeMillis, ConnectorId, Watts};
use std::collections::{BTreeMap, BTreeSet};

/// A connector that is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Which.
    pub connector: ConnectorId,
    /// First come, first served.
    pub since: BoottimeMillis,
    /// What its car asks.
    pub asked: Watts,
    /// What it could take at most.
    pub most: Watts,
}

/// A module that may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub address: Address,
    /// What it can give.
    pub rating: Watts,
    /// The connectors that it can be joined with, and how worn the relay to each is.
    pub reach: BTreeMap<ConnectorId, u32>,
    /// Whose it is.
    pub owner: Option<ConnectorId>,
    /// Since when it is there.
    pub since: BoottimeMillis,
}

/// How the modules should be shared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The owner of each; a module that nobody needs is not in it.
    pub owners: BTreeMap<Address, ConnectorId>,
    /// Connectors that own more modules than their cars need.
    pub surplus: BTreeSet<ConnectorId>,
}

/// A car that asks this much of what its modules can give, in percent, is taken to be held back by them.
const HELD_BACK_PERCENT: u64 = 98;
/// A module is spare when the car asks no more than this of what the others can give.
const SPARE_PERCENT: u64 = 90;

/// Shares the modules among the connectors in use.
pub fn plan(claims: &[Claim], modules: &[Candidate]) -> Plan {
    let mut claims: Vec<&Claim> = claims.iter().collect();
    claims.sort_by_key(|claim| (claim.since, claim.connector));
    let needs: BTreeMap<ConnectorId, usize> =
        claims.iter().map(|claim| (claim.connector, needed(claim, modules))).collect();
    let quotas = quotas(&claims, &needs, modules);
    let quota = |connector| quotas.get(&connector).copied().unwrap_or(0);
    let mut table = Table { modules, owners: BTreeMap::new() };
    for claim in &claims {
        let kept = own(modules, claim.connector).into_iter().take(quota(claim.connector));
        table.owners.extend(kept.map(|module| (module.address, claim.connector)));
    }
    for claim in &claims {
        while table.count(claim.connector) < quota(claim.connector)
            && table.place(claim.connector, &mut BTreeSet::new())
        {}
    }
    // Hysteresis of one module: what nobody else needs may stay.
    for claim in &claims {
        let own = own(modules, claim.connector);
        let spare = own.iter().find(|module| !table.owners.contains_key(&module.address));
        if let Some(spare) = spare.filter(|_| table.count(claim.connector) >= quota(claim.connector)) {
            table.owners.insert(spare.address, claim.connector);
        }
    }
    let has_surplus = |claim: &&&Claim| {
        let needed = needs.get(&claim.connector).copied().unwrap_or(0);
        own(modules, claim.connector).len() > needed
    };
    let surplus = claims.iter().filter(has_surplus).map(|claim| claim.connector).collect();
    Plan { owners: table.owners, surplus }
}

/// The modules of a connector, those first that it should keep: the latest to come, which must stay longest anyway.
fn own(modules: &[Candidate], connector: ConnectorId) -> Vec<&Candidate> {
    let mut own: Vec<&Candidate> = modules.iter().filter(|module| module.owner == Some(connector)).collect();
    own.sort_by_key(|module| (std::cmp::Reverse(module.since), module.address));
    own
}

fn percent(watts: u64, percent: u64) -> u64 {
    watts.saturating_mul(percent) / 100
}

/// How many modules a car needs, at least one.
fn needed(claim: &Claim, modules: &[Candidate]) -> usize {
    let own = own(modules, claim.connector);
    let others = modules.iter().filter(|module| module.owner != Some(claim.connector));
    let others = others.filter(|module| module.reach.contains_key(&claim.connector));
    let (asked, most) = (u64::from(claim.asked.0), u64::from(claim.most.0));
    let sum = |modules: &[&Candidate]| modules.iter().map(|module| u64::from(module.rating.0)).sum::<u64>();
    let has = sum(&own);
    let held_back = !own.is_empty() && asked >= percent(has, HELD_BACK_PERCENT);
    let wish = if held_back { most } else { asked.min(most) };
    let owned = own.len();
    let all: Vec<&Candidate> = own.into_iter().chain(others).collect();
    let mut gives = 0u64;
    for (index, module) in all.iter().enumerate() {
        gives = gives.saturating_add(u64::from(module.rating.0));
        let count = index.saturating_add(1);
        let enough = match count < owned {
            true => asked <= percent(gives, SPARE_PERCENT) || most <= gives,
            false => wish <= gives,
        };
        if enough {
            return count;
        }
    }
    all.len().max(1)
}

/// How many modules each connector should have: what it needs up to a fair share, then the rest, first come first.
fn quotas(
    claims: &[&Claim],
    needs: &BTreeMap<ConnectorId, usize>,
    modules: &[Candidate],
) -> BTreeMap<ConnectorId, usize> {
    let fair = modules.len().checked_div(claims.len()).unwrap_or(0).max(1);
    let need = |claim: &Claim| {
        let reached = modules.iter().filter(|module| module.reach.contains_key(&claim.connector)).count();
        needs.get(&claim.connector).copied().unwrap_or(0).min(reached)
    };
    let mut quotas: BTreeMap<ConnectorId, usize> =
        claims.iter().map(|claim| (claim.connector, need(claim).min(fair))).collect();
    let mut rest = modules.len().saturating_sub(quotas.values().sum());
    for claim in claims {
        let quota = quotas.entry(claim.connector).or_default();
        let more = need(claim).saturating_sub(*quota).min(rest);
        *quota = quota.saturating_add(more);
        rest = rest.saturating_sub(more);
    }
    quotas
}

/// Who gets which module, while it is being found out.
struct Table<'a> {
    modules: &'a [Candidate],
    owners: BTreeMap<Address, ConnectorId>,
}

impl Table<'_> {
    fn count(&self, connector: ConnectorId) -> usize {
        self.owners.values().filter(|owner| **owner == connector).count()
    }

    /// Gives a connector one more module: one that is free, otherwise one whose owner can take another instead
    /// (an augmenting path of a bipartite matching). The least worn relay first.
    fn place(&mut self, connector: ConnectorId, tried: &mut BTreeSet<Address>) -> bool {
        let reached = self.modules.iter().filter_map(|module| Some((module.reach.get(&connector)?, module)));
        let mut reached: Vec<(bool, u32, Address)> = reached
            .map(|(wear, module)| (module.owner.is_some_and(|owner| owner != connector), *wear, module.address))
            .collect();
        reached.sort();
        let (free, taken): (Vec<_>, Vec<_>) =
            reached.into_iter().map(|(_, _, module)| module).partition(|module| !self.owners.contains_key(module));
        if let Some(module) = free.iter().find(|module| !tried.contains(*module)) {
            self.owners.insert(*module, connector);
            return true;
        }
        for module in taken {
            let owner = self.owners.get(&module).copied().filter(|owner| *owner != connector);
            let Some(owner) = owner.filter(|_| tried.insert(module)) else { continue };
            if self.place(owner, tried) {
                self.owners.insert(module, connector);
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ConnectorId = ConnectorId(1);
    const B: ConnectorId = ConnectorId(2);

    fn claim(connector: ConnectorId, since: u64, asked: u32, most: u32) -> Claim {
        Claim { connector, since: BoottimeMillis(since), asked: Watts(asked * 1000), most: Watts(most * 1000) }
    }

    /// One letter for each module: A, B, or - for free; all of 30 kW and within reach of both.
    fn modules(owners: &str) -> Vec<Candidate> {
        let owner = |letter| [('A', A), ('B', B)].into_iter().find(|(each, _)| *each == letter).map(|(_, owner)| owner);
        let each = |(address, letter): (u8, char)| Candidate {
            address: Address(address),
            rating: Watts(30_000),
            reach: BTreeMap::from([(A, 0), (B, 0)]),
            owner: owner(letter),
            since: BoottimeMillis(0),
        };
        (0u8..).zip(owners.chars()).map(each).collect()
    }

    fn shown(plan: &Plan, count: u8) -> String {
        let letter = |owner: Option<&ConnectorId>| owner.map_or('-', |owner| if *owner == A { 'A' } else { 'B' });
        (0..count).map(|address| letter(plan.owners.get(&Address(address)))).collect()
    }

    #[test]
    fn rule_6_2_9_first_come_keeps_and_a_fair_share_when_both_ask() {
        // kW that A and B ask; nothing is not in use; A came first, and each could take 200 kW.
        for (owners, a, b, wanted, why) in [
            ("------", Some(200), None, "AAAAAA", "alone"),
            ("------", Some(50), None, "AA----", "few at low load"),
            ("AAAAAA", Some(200), Some(200), "AAABBB", "half each"),
            ("AA----", Some(50), Some(200), "AABBBB", "what the first does not need"),
            ("AABBBB", Some(60), Some(120), "AABBBA", "held back by two: up to half"),
            ("AAA---", Some(200), Some(10), "AAAAAB", "and all that the other does not need"),
            ("AAABBB", Some(10), Some(200), "ABBBBB", "surplus goes to who asks"),
            ("AAABBB", Some(10), Some(10), "AA-BB-", "one more than it needs may stay"),
            ("AA", Some(200), Some(200), "AB", "each at least one"),
            ("A", Some(200), Some(200), "A", "first come keeps"),
            ("AAAAA", Some(200), Some(200), "AAABB", "an odd one is the first one's"),
            ("AAAB--", Some(0), Some(0), "AA-B--", "never less than one"),
            ("AA", None, Some(10), "--", "not to be shared"),
        ] {
            let claims = [a.map(|asked| claim(A, 1, asked, 200)), b.map(|asked| claim(B, 2, asked, 200))];
            let claims: Vec<Claim> = claims.into_iter().flatten().collect();
            let of_claims: Vec<Candidate> = modules(owners)
                .into_iter()
                .filter(|module| module.owner.is_none_or(|owner| claims.iter().any(|claim| claim.connector == owner)))
                .collect();
            let plan = plan(&claims, &of_claims);
            assert_eq!(shown(&plan, u8::try_from(owners.len()).expect("few")), wanted, "{why}");
        }
    }

    #[test]
    fn a_limit_needs_no_more_modules_than_give_it() {
        let plan = plan(&[claim(A, 1, 60, 60)], &modules("AA----"));
        assert_eq!((shown(&plan, 6).as_str(), plan.surplus.len()), ("AA----", 0));
    }

    #[test]
    fn a_module_that_only_one_can_reach_is_used_there() {
        let mut modules = modules("BB--");
        for module in modules.iter_mut().skip(2) {
            module.reach = BTreeMap::from([(B, 0)]);
        }
        let plan = plan(&[claim(A, 1, 50, 200), claim(B, 2, 50, 200)], &modules);
        assert_eq!(shown(&plan, 4), "AABB");
    }
}
