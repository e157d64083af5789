//! What is reserved: which connector is kept for whom, and until when. Pure.

use busbar_interfaces::{ConnectorId, ReservationId, UnixMillis};
use std::collections::BTreeMap;

/// A connector, or with 0 any one of them, is kept for a driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserved {
    /// The CSMS's number of it.
    pub reservation: ReservationId,
    /// The connector; 0 is any one of them.
    pub connector: ConnectorId,
    /// For whom.
    pub id_tag: String,
    /// Or for whoever is of this group; empty for nobody else.
    pub parent_id_tag: String,
    /// Until when, on the wall clock.
    pub expires: UnixMillis,
}

/// What a driver may claim of a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is kept for nobody.
    Free,
    /// It is kept for this driver.
    Uses(ReservationId),
    /// It is kept for others.
    Kept {
        /// They are a group, and nobody has said yet which the driver's is.
        perhaps_of_group: bool,
    },
}

impl Claim {
    /// The driver may use it, or it may yet turn out so.
    pub fn is_open(self) -> bool {
        self != Claim::Kept { perhaps_of_group: false }
    }
}

/// Everything that is reserved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reservations(BTreeMap<ReservationId, Reserved>);

impl Reservations {
    /// As the ledger left it.
    pub fn new(reserved: Vec<Reserved>) -> Reservations {
        Reservations(reserved.into_iter().map(|reserved| (reserved.reservation, reserved)).collect())
    }

    /// All of it, by number.
    pub fn iter(&self) -> impl Iterator<Item = &Reserved> {
        self.0.values()
    }

    /// Adds one, in the place of the one with its number.
    pub fn insert(&mut self, reserved: Reserved) {
        self.0.insert(reserved.reservation, reserved);
    }

    /// Ends one; false if there is none with this number.
    pub fn remove(&mut self, reservation: ReservationId) -> bool {
        self.0.remove(&reservation).is_some()
    }

    /// Whether a connector is kept for somebody.
    pub fn keeps(&self, connector: ConnectorId) -> bool {
        self.about(connector).next().is_some()
    }

    /// What a driver may claim of a connector. Whoever has reserved the station may have any connector that is not kept
    /// for somebody by a reservation of its own.
    pub fn claim(&self, connector: ConnectorId, id_tag: &str, group: Option<&str>) -> Claim {
        // The one that names the badge, before one of its group.
        let by_name = self.about(connector).find(|reserved| reserved.id_tag.eq_ignore_ascii_case(id_tag));
        let by_group = self.about(connector).find(|reserved| group.is_some_and(|group| reserved.is_of(group)));
        if let Some(reserved) = by_name.or(by_group) {
            return Claim::Uses(reserved.reservation);
        }
        if !self.keeps(connector) {
            return Claim::Free;
        }
        let is_of_some_group = self.about(connector).any(|reserved| !reserved.parent_id_tag.is_empty());
        Claim::Kept { perhaps_of_group: group.is_none() && is_of_some_group }
    }

    /// Whether another reservation fits in beside those that stay: each connector is kept once, and as many of those
    /// that are free are kept by none of their own as there are reservations of the station.
    pub fn fits(&self, new: &Reserved, free: &[ConnectorId]) -> bool {
        let mut then = self.clone();
        then.insert(new.clone());
        let of_its_own = |connector: ConnectorId| then.iter().filter(|each| each.connector == connector).count();
        let left = free.iter().filter(|connector| of_its_own(**connector) == 0).count();
        let alone = new.connector == ConnectorId::STATION || of_its_own(new.connector) == 1;
        alone && left >= of_its_own(ConnectorId::STATION)
    }

    /// The reservations whose time is over.
    pub fn expired(&self, now: UnixMillis) -> Vec<ReservationId> {
        self.iter().filter(|reserved| reserved.expires <= now).map(|reserved| reserved.reservation).collect()
    }

    /// When the next one is.
    pub fn next_expiry(&self) -> Option<UnixMillis> {
        self.iter().map(|reserved| reserved.expires).min()
    }

    /// Those that decide about a connector: its own, else those of the station.
    fn about(&self, connector: ConnectorId) -> impl Iterator<Item = &Reserved> {
        let has_its_own = self.iter().any(|reserved| reserved.connector == connector);
        let decides = if has_its_own { connector } else { ConnectorId::STATION };
        self.iter().filter(move |reserved| reserved.connector == decides)
    }
}

impl Reserved {
    fn is_of(&self, group: &str) -> bool {
        !group.is_empty() && self.parent_id_tag.eq_ignore_ascii_case(group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATION: u32 = 0;

    fn reserved(number: i32, connector: u32, id_tag: &str, group: &str) -> Reserved {
        Reserved {
            reservation: ReservationId(number),
            connector: ConnectorId(connector),
            id_tag: id_tag.to_owned(),
            parent_id_tag: group.to_owned(),
            expires: UnixMillis(1_000),
        }
    }

    #[test]
    fn case_26_who_may_claim_what() {
        let uses = |number| Claim::Uses(ReservationId(number));
        let kept = Claim::Kept { perhaps_of_group: false };
        let perhaps = Claim::Kept { perhaps_of_group: true };
        let one = vec![reserved(-1, 1, "ANNA", "")];
        let fleet = vec![reserved(0, 1, "ANNA", "FLEET")];
        let any = vec![reserved(5, STATION, "ANNA", "FLEET")];
        let both = vec![reserved(5, STATION, "ANNA", ""), reserved(6, 1, "BERT", "")];
        let two = vec![reserved(5, STATION, "ANNA", "FLEET"), reserved(6, STATION, "BERT", "")];
        #[rustfmt::skip]
        let table = [
            // what is reserved   at  badge    group            claim
            (vec![],              1,  "ANNA",  None,            Claim::Free),
            (one.clone(),         1,  "anna",  None,            uses(-1)),
            (one.clone(),         1,  "BERT",  None,            kept),
            (one.clone(),         2,  "BERT",  None,            Claim::Free),
            (fleet.clone(),       1,  "BERT",  Some("fleet"),   uses(0)),
            (fleet.clone(),       1,  "BERT",  Some("OTHERS"),  kept),
            (fleet.clone(),       1,  "BERT",  Some(""),        kept),
            (fleet,               1,  "BERT",  None,            perhaps),
            (one,                 1,  "BERT",  Some(""),        kept),
            (any.clone(),         1,  "ANNA",  None,            uses(5)),
            (any.clone(),         2,  "ANNA",  None,            uses(5)),
            (any,                 2,  "BERT",  None,            perhaps),
            (both.clone(),        1,  "BERT",  None,            uses(6)),
            (both.clone(),        1,  "ANNA",  None,            kept),
            (both.clone(),        2,  "BERT",  None,            kept),
            (both,                2,  "ANNA",  None,            uses(5)),
            // The one that names the badge comes before one of its group.
            (two,                 1,  "BERT",  Some("FLEET"),   uses(6)),
        ];
        for (list, connector, id_tag, group, claim) in table {
            let book = Reservations::new(list);
            assert_eq!(book.claim(ConnectorId(connector), id_tag, group), claim, "{book:?} {connector} {id_tag}");
        }
    }

    #[test]
    fn case_26_what_fits_beside_what() {
        #[rustfmt::skip]
        let table = [
            // reserved: connectors  new: number, connector  free     fits
            (vec![],                 (1, 1),                 vec![1, 2], true),
            (vec![],                 (1, STATION),           vec![2],    true),
            (vec![],                 (1, STATION),           vec![],     false),
            (vec![(1, 1)],           (2, 1),                 vec![1, 2], false),
            (vec![(1, 1)],           (1, 1),                 vec![1, 2], true),
            (vec![(1, 1)],           (1, 2),                 vec![1, 2], true),
            (vec![(1, 1)],           (2, STATION),           vec![1, 2], true),
            (vec![(1, 1)],           (2, STATION),           vec![1],    false),
            (vec![(1, STATION)],     (2, STATION),           vec![1, 2], true),
            (vec![(1, STATION)],     (2, 1),                 vec![1, 2], true),
            (vec![(1, STATION)],     (2, 1),                 vec![1],    false),
            (vec![(1, STATION), (2, 1)], (3, 2),             vec![1, 2], false),
            (vec![(1, STATION), (2, 1)], (3, STATION),       vec![1, 2], false),
        ];
        for (list, (number, connector), free, fits) in table {
            let list: Vec<Reserved> = list.into_iter().map(|(number, at)| reserved(number, at, "X", "")).collect();
            let free: Vec<ConnectorId> = free.into_iter().map(ConnectorId).collect();
            let book = Reservations::new(list);
            assert_eq!(book.fits(&reserved(number, connector, "Y", ""), &free), fits, "{book:?} {number} {connector}");
        }
    }

    #[test]
    fn tc_047_it_ends_at_its_end() {
        let book = Reservations::new(vec![reserved(1, 1, "X", "")]);
        assert_eq!((book.expired(UnixMillis(999)), book.next_expiry()), (vec![], Some(UnixMillis(1_000))));
        assert_eq!(book.expired(UnixMillis(1_000)), [ReservationId(1)]);
    }
}
