//! How the modules of one connector share its current: which of them give any, and how much each. Pure arithmetic.
//! Few modules at low load work better than many that idle; the others wait at zero current and help at once.

use super::driver::Address;
use std::collections::{BTreeMap, BTreeSet};

/// More than this share of what the modules in use can give calls for another one, in percent.
const TOO_MUCH: u64 = 80;
/// Less than this lets one go, if the others then stay below the upper bound.
const TOO_LITTLE: u64 = 40;

/// A module that may give current, in mA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// By what it shares: its rated current at this voltage.
    pub weight: u32,
    /// What it can give now.
    pub limit: u32,
}

/// The modules that may give current.
pub type Parts = BTreeMap<Address, Part>;

fn total(values: impl Iterator<Item = u32>) -> u64 {
    values.map(u64::from).sum()
}

fn small(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Which of them give current, of those that did so far; fewer only when `may_shrink`.
pub fn chosen(load: u32, before: &BTreeSet<Address>, parts: &Parts, may_shrink: bool) -> BTreeSet<Address> {
    let mut chosen: BTreeSet<Address> = before.iter().copied().filter(|each| parts.contains_key(each)).collect();
    let limit = |address: &Address| parts.get(address).map_or(0, |part| part.limit);
    let capacity = |chosen: &BTreeSet<Address>| total(chosen.iter().map(limit));
    let percent = |capacity: u64, percent: u64| capacity.saturating_mul(percent) / 100;
    while chosen.is_empty() || u64::from(load) > percent(capacity(&chosen), TOO_MUCH) {
        // The strongest first, then the lowest address.
        let idle = parts.keys().filter(|address| !chosen.contains(address));
        let Some(next) = idle.max_by_key(|address| (limit(address), std::cmp::Reverse(**address))) else { break };
        chosen.insert(*next);
    }
    if may_shrink && chosen.len() > 1 && u64::from(load) < percent(capacity(&chosen), TOO_LITTLE) {
        let weakest = chosen.iter().copied().min_by_key(|address| (limit(address), std::cmp::Reverse(*address)));
        let without: BTreeSet<Address> = chosen.iter().copied().filter(|each| Some(*each) != weakest).collect();
        if u64::from(load) <= percent(capacity(&without), TOO_MUCH) {
            return without;
        }
    }
    chosen
}

/// Shares a current by weight; what is above a limit goes to the others. The sum is never above what is shared.
pub fn shares(load: u32, parts: &Parts) -> BTreeMap<Address, u32> {
    let mut given: BTreeMap<Address, u32> = parts.keys().map(|address| (*address, 0)).collect();
    let mut open: Parts = parts.clone();
    let mut left = u64::from(load);
    while !open.is_empty() {
        let weights = total(open.values().map(|part| part.weight)).max(1);
        let share = |part: &Part| left.saturating_mul(u64::from(part.weight)) / weights;
        let (full, rest): (Parts, Parts) = open.iter().partition(|(_, part)| share(part) >= u64::from(part.limit));
        if full.is_empty() {
            given.extend(rest.iter().map(|(address, part)| (*address, small(share(part)))));
            break;
        }
        given.extend(full.iter().map(|(address, part)| (*address, part.limit)));
        left = left.saturating_sub(total(full.values().map(|part| part.limit)));
        open = rest;
    }
    // What whole milliamperes leave over.
    let mut left = u64::from(load).saturating_sub(total(given.values().copied()));
    for (address, value) in &mut given {
        let room = parts.get(address).map_or(0, |part| part.limit.saturating_sub(*value));
        let more = left.min(u64::from(room));
        *value = value.saturating_add(small(more));
        left = left.saturating_sub(more);
    }
    given
}

/// Moves current from one module to another by at most `step`: a module takes over no faster than it can follow, and
/// until then the others keep what they give. The sum stays what it was in `target`.
pub fn handed_over(
    before: &BTreeMap<Address, u32>,
    target: &BTreeMap<Address, u32>,
    parts: &Parts,
    step: u32,
) -> BTreeMap<Address, u32> {
    let was = |address: &Address| before.get(address).copied().unwrap_or(0);
    let limit = |address: &Address| parts.get(address).map_or(0, |part| part.limit);
    let early = |address: &Address, value: u32| value.saturating_sub(was(address).saturating_add(step));
    let kept = |address: &Address, value: u32| was(address).min(limit(address)).saturating_sub(value);
    let too_early = total(target.iter().map(|(address, value)| early(address, *value)));
    let keeping = total(target.iter().map(|(address, value)| kept(address, *value)));
    let moved = too_early.min(keeping);
    let (mut to_take, mut to_give) = (moved, moved);
    let mut result = target.clone();
    for (address, value) in &mut result {
        let take = u64::from(early(address, *value)).min(to_take);
        let give = u64::from(kept(address, *value)).min(to_give);
        (to_take, to_give) = (to_take.saturating_sub(take), to_give.saturating_sub(give));
        *value = value.saturating_sub(small(take)).saturating_add(small(give));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(limits: &[(u32, u32)]) -> Parts {
        let parts = limits.iter().map(|(weight, limit)| Part { weight: *weight, limit: *limit });
        (1..).map(Address).zip(parts).collect()
    }

    fn values(shares: &BTreeMap<Address, u32>) -> Vec<u32> {
        shares.values().copied().collect()
    }

    #[test]
    fn shares_by_rating_and_what_one_cannot_the_others_do() {
        type Row<'a> = (&'a str, u32, &'a [(u32, u32)], &'a [u32]);
        let table: [Row; 6] = [
            ("alike", 80, &[(100, 100), (100, 100)], &[40, 40]),
            ("by rating", 90, &[(100, 100), (50, 50)], &[60, 30]),
            ("one derates", 90, &[(100, 20), (100, 100)], &[20, 70]),
            ("two derate", 150, &[(100, 20), (100, 50), (100, 100)], &[20, 50, 80]),
            ("more than there is", 500, &[(100, 20), (100, 100)], &[20, 100]),
            ("a remainder", 100, &[(10, 100), (10, 100), (10, 100)], &[34, 33, 33]),
        ];
        for (what, load, limits, expected) in table {
            assert_eq!(values(&shares(load, &parts(limits))), expected, "{what}");
        }
    }

    #[test]
    fn few_modules_at_low_load_and_many_at_high() {
        let four = parts(&[(100, 100); 4]);
        let table: [(&str, u32, usize, bool, usize); 9] = [
            ("nothing to do", 0, 0, true, 1),
            ("one is enough", 80, 0, true, 1),
            ("more than four fifths", 81, 1, false, 2),
            ("much at once", 300, 1, false, 4),
            ("more than there is", 900, 1, false, 4),
            ("the upper bound stays", 80, 2, true, 2),
            ("two fifths let one go", 79, 2, true, 1),
            ("but not before its time", 79, 2, false, 2),
            ("one after the other", 10, 4, true, 3),
        ];
        for (what, load, before, may_shrink, expected) in table {
            let before: BTreeSet<Address> = four.keys().copied().take(before).collect();
            assert_eq!(chosen(load, &before, &four, may_shrink).len(), expected, "{what}");
        }
        // One that has failed is replaced at once.
        let before = BTreeSet::from([Address(9)]);
        assert_eq!(chosen(50, &before, &four, false), BTreeSet::from([Address(1)]));
    }

    #[test]
    fn a_module_takes_over_step_by_step() {
        let two = parts(&[(100, 100), (100, 100)]);
        let map = |a, b| BTreeMap::from([(Address(1), a), (Address(2), b)]);
        let table = [
            ("a step", (80, 0), (41, 41), 5, (77, 5)),
            ("the next", (77, 5), (41, 41), 5, (72, 10)),
            ("there", (44, 38), (41, 41), 5, (41, 41)),
            ("nobody keeps it: at once", (0, 0), (40, 40), 5, (40, 40)),
            ("less for both", (80, 0), (10, 10), 5, (15, 5)),
        ];
        for (what, (a, b), (x, y), step, (m, n)) in table {
            assert_eq!(handed_over(&map(a, b), &map(x, y), &two, step), map(m, n), "{what}");
        }
    }

    proptest! {
        #[test]
        fn never_more_than_asked_and_none_above_its_limit(
            load in 0u32..700_000,
            limits in proptest::collection::vec((0u32..120_000, 0u32..120_000), 0..8),
            before in proptest::collection::vec(0u32..120_000, 0..8),
            step in 0u32..10_000,
        ) {
            let parts = parts(&limits);
            let target = shares(load, &parts);
            let before: BTreeMap<Address, u32> = (1..).map(Address).zip(before).collect();
            for given in [&target, &handed_over(&before, &target, &parts, step)] {
                let sum = total(given.values().copied());
                let most = total(limits.iter().map(|(_, limit)| *limit));
                prop_assert!(sum <= u64::from(load));
                prop_assert_eq!(sum, u64::from(load).min(most), "and not less than can be given");
                for (address, value) in given {
                    prop_assert!(*value <= parts[address].limit);
                }
            }
        }

        #[test]
        fn what_is_chosen_suffices_or_is_everything(
            load in 0u32..700_000,
            limits in proptest::collection::vec(1u32..120_000, 1..8),
            before in proptest::collection::btree_set((1u8..9).prop_map(Address), 0..8),
            may_shrink: bool,
        ) {
            let limits: Vec<(u32, u32)> = limits.iter().map(|limit| (*limit, *limit)).collect();
            let parts = parts(&limits);
            let chosen = chosen(load, &before, &parts, may_shrink);
            let capacity = total(chosen.iter().map(|address| parts[address].limit));
            prop_assert!(chosen.len() == parts.len() || u64::from(load) <= capacity * TOO_MUCH / 100);
        }
    }
}
