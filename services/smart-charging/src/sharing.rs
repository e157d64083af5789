//! How what the site gives is shared: equally among the connectors that deliver or are about to. Pure.

use busbar_interfaces::smart_charging::ConnectorLimitState;
use busbar_interfaces::words::LimitSource;
use busbar_interfaces::{ConnectorId, Watts};
use std::collections::BTreeMap;

/// The limit of each connector. A connector at rest gets what would be left for it if it began now, so that the sum
/// never exceeds what the site gives, not even before the first renewal.
pub fn shares(site: Watts, active: &BTreeMap<ConnectorId, bool>) -> BTreeMap<ConnectorId, Watts> {
    let busy = active.values().filter(|active| **active).count();
    active
        .iter()
        .map(|(connector, is_active)| {
            let sharers = if *is_active { busy } else { busy.saturating_add(1) };
            let sharers = u32::try_from(sharers.max(1)).unwrap_or(u32::MAX);
            (*connector, Watts(site.0.checked_div(sharers).unwrap_or(0)))
        })
        .collect()
}

/// What a connector's object shows for a share.
pub fn shown(share: Watts, held: bool) -> ConnectorLimitState {
    ConnectorLimitState { limit_watts: share, source: LimitSource::Site, held }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn two_sharers_get_half_each() {
        let active = |a, b| BTreeMap::from([(ConnectorId(1), a), (ConnectorId(2), b)]);
        let of = |a, b| shares(Watts(100), &active(a, b)).into_values().collect::<Vec<_>>();
        assert_eq!(of(true, true), [Watts(50), Watts(50)]);
        assert_eq!(of(true, false), [Watts(100), Watts(50)]);
        assert_eq!(of(false, false), [Watts(100), Watts(100)]);
    }

    proptest! {
        #[test]
        fn those_who_deliver_never_exceed_the_site(site in any::<u32>(), a in any::<bool>(), b in any::<bool>()) {
            let active = BTreeMap::from([(ConnectorId(1), a), (ConnectorId(2), b)]);
            let sum: u64 = shares(Watts(site), &active)
                .into_iter()
                .filter(|(id, _)| active.get(id) == Some(&true))
                .map(|(_, share)| u64::from(share.0))
                .sum();
            prop_assert!(sum <= u64::from(site));
        }
    }
}
