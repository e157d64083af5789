//! The ceiling of a connector and its reasons: the least of all that limits it, which of them holds, and since when. Of
//! these, one limit is held by somebody else as a lease; when it ends, the fallback of the station file applies. Pure.

use busbar_interfaces::words::OfferedBy;
use busbar_interfaces::{BoottimeMillis, Watts};
use serde::{Deserialize, Serialize};

/// A held limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldLimit {
    /// The most power.
    pub watts: Watts,
    /// Until when it holds.
    pub until: BoottimeMillis,
}

/// The held limit of a moment, or the fallback.
pub fn in_force(held: Option<HeldLimit>, fallback: Watts, now: BoottimeMillis) -> Watts {
    alive(held, now).unwrap_or(fallback)
}

/// The held limit, while its lease holds.
pub fn alive(held: Option<HeldLimit>, now: BoottimeMillis) -> Option<Watts> {
    held.filter(|limit| now < limit.until).map(|limit| limit.watts)
}

/// Everything that limits at a moment; nothing where it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidates {
    /// The station's rating.
    pub station_rating: Watts,
    /// ChargeLimitedPower.
    pub station_limit: Option<Watts>,
    /// The connector's rating.
    pub connector_rating: Watts,
    /// ConnectorALimitedPower or ConnectorBLimitedPower.
    pub connector_limit: Option<Watts>,
    /// The limit that somebody holds.
    pub held: Option<Watts>,
    /// What holds otherwise.
    pub fallback: Watts,
    /// What the modules can give.
    pub modules: Watts,
    /// What the other connector leaves.
    pub share: Watts,
    /// What the plug's temperature allows.
    pub temperature: Option<Watts>,
}

impl Candidates {
    /// The least of them; of two that are as low the first in the order of the words: what is fixed before what changes.
    pub fn lowest(&self) -> (Watts, OfferedBy) {
        let fallback = self.held.is_none().then_some(self.fallback);
        let others = [
            (self.station_limit, OfferedBy::StationLimit),
            (Some(self.connector_rating), OfferedBy::ConnectorRating),
            (self.connector_limit, OfferedBy::ConnectorLimit),
            (self.held, OfferedBy::HeldLimit),
            (fallback, OfferedBy::FallbackLimit),
            (Some(self.modules), OfferedBy::Modules),
            (Some(self.share), OfferedBy::Share),
            (self.temperature, OfferedBy::Temperature),
        ];
        let others = others.into_iter().filter_map(|(watts, holder)| Some((watts?, holder)));
        others.fold((self.station_rating, OfferedBy::StationRating), |least, other| least.min(other))
    }
}

/// The ceiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ceiling {
    /// The most power.
    pub watts: Watts,
    /// What holds it there.
    pub holder: OfferedBy,
    /// Since when it is that.
    pub since: BoottimeMillis,
}

/// The ceiling now, after what it was before.
pub fn explain(before: Option<Ceiling>, candidates: &Candidates, now: BoottimeMillis) -> Ceiling {
    let (watts, holder) = candidates.lowest();
    let since = before.filter(|before| before.holder == holder).map_or(now, |before| before.since);
    Ceiling { watts, holder, since }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Candidates = Candidates {
        station_rating: Watts(180_000),
        station_limit: Some(Watts(180_000)),
        connector_rating: Watts(180_000),
        connector_limit: Some(Watts(180_000)),
        held: Some(Watts(180_000)),
        fallback: Watts(1),
        modules: Watts(180_000),
        share: Watts(180_000),
        temperature: Some(Watts(180_000)),
    };

    #[test]
    fn a_limit_holds_until_its_lease_ends() {
        let held = Some(HeldLimit { watts: Watts(9), until: BoottimeMillis(100) });
        assert_eq!(in_force(held, Watts(50), BoottimeMillis(99)), Watts(9));
        assert_eq!(in_force(held, Watts(50), BoottimeMillis(100)), Watts(50));
        assert_eq!(in_force(None, Watts(50), BoottimeMillis(0)), Watts(50));
    }

    #[test]
    fn the_lowest_is_named_whichever_it_is() {
        let low = Watts(7_000);
        let table = [
            (Candidates { station_rating: low, ..ALL }, "station-rating"),
            (Candidates { station_limit: Some(low), ..ALL }, "station-limit"),
            (Candidates { connector_rating: low, ..ALL }, "connector-rating"),
            (Candidates { connector_limit: Some(low), ..ALL }, "connector-limit"),
            (Candidates { held: Some(low), ..ALL }, "held-limit"),
            (Candidates { held: None, fallback: low, ..ALL }, "fallback-limit"),
            (Candidates { modules: low, ..ALL }, "modules"),
            (Candidates { share: low, ..ALL }, "share"),
            (Candidates { temperature: Some(low), ..ALL }, "temperature"),
        ];
        for (candidates, name) in table {
            let (watts, holder) = candidates.lowest();
            assert_eq!((watts, holder.as_str()), (low, name));
        }
    }

    #[test]
    fn ties_go_to_the_first_in_the_order() {
        assert_eq!(ALL.lowest(), (Watts(180_000), OfferedBy::StationRating));
        let both = Candidates { share: Watts(5), modules: Watts(5), temperature: Some(Watts(5)), ..ALL };
        assert_eq!(both.lowest(), (Watts(5), OfferedBy::Modules));
    }

    #[test]
    fn since_changes_with_the_reason_and_not_with_the_value() {
        let share = |watts| Candidates { share: Watts(watts), ..ALL };
        let first = explain(None, &share(50), BoottimeMillis(10));
        let second = explain(Some(first), &share(40), BoottimeMillis(20));
        assert_eq!((second.watts, second.since), (Watts(40), BoottimeMillis(10)));
        let modules = Candidates { modules: Watts(1), ..share(40) };
        let third = explain(Some(second), &modules, BoottimeMillis(30));
        assert_eq!((third.holder, third.since), (OfferedBy::Modules, BoottimeMillis(30)));
        let fourth = explain(Some(third), &share(40), BoottimeMillis(40));
        assert_eq!((fourth.holder, fourth.since), (OfferedBy::Share, BoottimeMillis(40)));
    }
}
