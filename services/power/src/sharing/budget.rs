//! The station's limit, shared among the connectors: each at least its half if it wants it, what one does not take to
//! the other. One is raised only when the others have come down. Pure.

use busbar_interfaces::{BoottimeMillis, ConnectorId, Watts};
use std::collections::BTreeMap;

/// What a connector could do with power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// Which.
    pub connector: ConnectorId,
    /// First come, first served.
    pub since: BoottimeMillis,
    /// What its car asks.
    pub asked: Watts,
    /// What its modules and its own limit let it give.
    pub can: Watts,
    /// What it gives now.
    pub gives: Watts,
}

/// A car that asks this much of its budget, in percent, is taken to be held back by it.
const HELD_BACK_PERCENT: u64 = 95;
/// What a car asks is given it with this much to spare, in percent.
const SPARE_PERCENT: u64 = 110;
/// A car that asks nothing is still offered this much: what it is told bounds what it can ask next. In watts.
const STANDING: u64 = 3_000;

/// Shares `limit`, with what was shared last time.
pub fn budgets(limit: Watts, wants: &[Want], before: &BTreeMap<ConnectorId, Watts>) -> BTreeMap<ConnectorId, Watts> {
    let mut wants = wants.to_vec();
    wants.sort_by_key(|want| (want.since, want.connector));
    let targets = targets(u64::from(limit.0), &wants, before);
    let target = |connector| targets.get(&connector).copied().unwrap_or(0);
    let had = |connector| before.get(&connector).map_or(0, |watts| u64::from(watts.0));
    let mut granted: BTreeMap<ConnectorId, u64> =
        wants.iter().map(|want| (want.connector, target(want.connector).min(had(want.connector)))).collect();
    for want in &wants {
        let others = wants.iter().filter(|other| other.connector != want.connector);
        let taken: u64 = others
            .map(|other| granted.get(&other.connector).copied().unwrap_or(0).max(u64::from(other.gives.0)))
            .fold(0, u64::saturating_add);
        let room = u64::from(limit.0).saturating_sub(taken);
        let now = granted.entry(want.connector).or_default();
        *now = (*now).max(target(want.connector).min(room));
    }
    granted.into_iter().map(|(connector, watts)| (connector, Watts(u32::try_from(watts).unwrap_or(u32::MAX)))).collect()
}

/// How it should be in the end.
fn targets(limit: u64, wants: &[Want], before: &BTreeMap<ConnectorId, Watts>) -> BTreeMap<ConnectorId, u64> {
    let can = |want: &Want| u64::from(want.can.0);
    if wants.iter().map(can).fold(0, u64::saturating_add) <= limit {
        return wants.iter().map(|want| (want.connector, can(want))).collect();
    }
    let wish = |want: &Want| {
        let asked = u64::from(want.asked.0);
        let had = before.get(&want.connector).map_or(0, |watts| u64::from(watts.0));
        let held_back = asked > 0 && asked.saturating_mul(100) >= had.saturating_mul(HELD_BACK_PERCENT);
        let spared = STANDING.max(asked.saturating_mul(SPARE_PERCENT) / 100);
        if held_back { can(want) } else { can(want).min(spared) }
    };
    let fair = limit.checked_div(u64::try_from(wants.len()).unwrap_or(1)).unwrap_or(limit);
    let mut targets: BTreeMap<ConnectorId, u64> =
        wants.iter().map(|want| (want.connector, wish(want).min(fair))).collect();
    let mut rest = limit.saturating_sub(targets.values().sum());
    // First what is wished, then what may be wished next.
    for most in [&wish as &dyn Fn(&Want) -> u64, &can] {
        for want in wants {
            let target = targets.entry(want.connector).or_default();
            let more = most(want).saturating_sub(*target).min(rest);
            *target = target.saturating_add(more);
            rest = rest.saturating_sub(more);
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: ConnectorId = ConnectorId(1);
    const B: ConnectorId = ConnectorId(2);

    fn want(connector: ConnectorId, asked: u32, can: u32, gives: u32) -> Want {
        let watts = |kilowatts: u32| Watts(kilowatts * 1000);
        let since = BoottimeMillis(connector.0.into());
        Want { connector, since, asked: watts(asked), can: watts(can), gives: watts(gives) }
    }

    #[test]
    fn the_stations_limit_is_shared_as_the_cars_ask() {
        //   limit, A: asks, can, gives, had; B likewise; A gets, B gets
        for (limit, a, b, gets) in [
            (200, (90, 90, 90, 90), (90, 90, 90, 90), (90, 90)),
            (100, (90, 90, 90, 90), (90, 90, 0, 0), (50, 10)),
            (100, (50, 90, 50, 50), (90, 90, 10, 10), (50, 50)),
            (100, (20, 90, 20, 50), (90, 90, 50, 50), (22, 78)),
            (0, (90, 90, 90, 90), (90, 90, 0, 0), (0, 0)),
            (90, (0, 60, 0, 45), (45, 90, 45, 45), (3, 87)),
            (90, (0, 60, 0, 3), (87, 90, 87, 87), (3, 87)),
            (90, (3, 60, 3, 3), (87, 90, 87, 87), (3, 45)),
            (90, (3, 60, 3, 3), (45, 90, 45, 45), (45, 45)),
        ] {
            let wants = [want(A, a.0, a.1, a.2), want(B, b.0, b.1, b.2)];
            let before = BTreeMap::from([(A, Watts(a.3 * 1000)), (B, Watts(b.3 * 1000))]);
            let got = budgets(Watts(limit * 1000), &wants, &before);
            let case = format!("{limit} kW, {a:?}, {b:?}");
            assert_eq!((got[&A], got[&B]), (Watts(gets.0 * 1000), Watts(gets.1 * 1000)), "{case}");
        }
    }

    proptest! {
        #[test]
        fn cars_that_always_ask_the_same_come_to_budgets_that_stay(
            limit in 0u32..200,
            a in (0u32..200, 0u32..200),
            b in (0u32..200, 0u32..200),
        ) {
            let mut had = BTreeMap::new();
            let mut last = Vec::new();
            for _ in 0..20 {
                // A car takes what it asks, up to what it may.
                let may = |id| had.get(&id).map_or(0, |watts: &Watts| watts.0 / 1000);
                let wants = [want(A, a.0.min(may(A)), a.1, a.0.min(may(A))), want(B, b.0.min(may(B)), b.1, b.0.min(may(B)))];
                had = budgets(Watts(limit * 1000), &wants, &had);
                last.push(had.clone());
            }
            prop_assert_eq!(&last[18], &last[19], "{:?}", last);
        }

        #[test]
        fn budgets_never_exceed_the_limit_nor_what_others_still_give(
            limit in 0u32..200,
            a in (0u32..200, 0u32..200, 0u32..200, 0u32..200),
            b in (0u32..200, 0u32..200, 0u32..200, 0u32..200),
        ) {
            let wants = [want(A, a.0, a.1, a.2), want(B, b.0, b.1, b.2)];
            let before = BTreeMap::from([(A, Watts(a.3 * 1000)), (B, Watts(b.3 * 1000))]);
            let limit = Watts(limit * 1000);
            let got = budgets(limit, &wants, &before);
            prop_assert!(got[&A].0 + got[&B].0 <= limit.0);
            for (one, other) in [(0, 1), (1, 0)] {
                let (one, other) = (&wants[one], &wants[other]);
                prop_assert!(got[&one.connector] <= one.can);
                let raised = got[&one.connector] > before[&one.connector];
                prop_assert!(!raised || got[&one.connector].0 + other.gives.0 <= limit.0);
            }
        }
    }
}
