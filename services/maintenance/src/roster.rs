//! The services of the suite as they come and go. Pure.

use busbar_interfaces::maintenance::ServiceRecord;
use busbar_interfaces::service::ServiceState;
use busbar_interfaces::{ServiceName, names};
use busbar_runtime::View;
use std::collections::BTreeMap;

struct Seen {
    service: ServiceName,
    present: Option<ServiceState>,
    /// The process that was there last; 0 before the first.
    last_process: u32,
    starts: u32,
}

/// The services of the suite.
pub struct Roster {
    services: BTreeMap<ServiceName, Seen>,
}

impl Roster {
    /// Nobody has been seen yet.
    pub fn new() -> Roster {
        let seen = |service| (service, Seen { service, present: None, last_process: 0, starts: 0 });
        Roster { services: names::ALL.into_iter().map(seen).collect() }
    }

    /// A service came, went, or is another process.
    pub fn seen(&mut self, service: ServiceName, view: View<ServiceState>) {
        let Some(seen) = self.services.get_mut(&service) else { return };
        let View::Present(state) = view else {
            seen.present = None;
            return;
        };
        if state.process_id != seen.last_process {
            seen.last_process = state.process_id;
            seen.starts = seen.starts.saturating_add(1);
        }
        seen.present = Some(state);
    }

    /// What is published, in the order of the suite.
    pub fn records(&self) -> Vec<ServiceRecord> {
        names::ALL.iter().filter_map(|service| self.services.get(service)).map(Seen::record).collect()
    }
}

impl Seen {
    fn record(&self) -> ServiceRecord {
        let present = self.present.as_ref();
        ServiceRecord {
            role: self.service.role.to_owned(),
            present: present.is_some(),
            version: present.map(|state| state.version.clone()).unwrap_or_default(),
            process_id: present.map_or(0, |state| state.process_id),
            starts: self.starts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(process_id: u32) -> View<ServiceState> {
        View::Present(ServiceState { version: "0.1.0".to_owned(), process_id, ..ServiceState::default() })
    }

    fn power(roster: &Roster) -> ServiceRecord {
        roster.records().into_iter().find(|record| record.role == "power").expect("listed")
    }

    #[test]
    fn every_service_is_listed_before_it_was_seen() {
        let records = Roster::new().records();
        assert_eq!(records.len(), names::ALL.len());
        assert!(records.iter().all(|record| !record.present && record.starts == 0));
    }

    #[test]
    fn only_another_process_is_another_start() {
        let mut roster = Roster::new();
        for (view, present, starts) in [
            (process(10), true, 1),
            (View::Absent, false, 1),
            (process(10), true, 1),
            (process(11), true, 2),
            (View::Absent, false, 2),
            (process(12), true, 3),
        ] {
            roster.seen(names::POWER, view);
            assert_eq!((power(&roster).present, power(&roster).starts), (present, starts));
        }
        assert_eq!((power(&roster).process_id, power(&roster).version.as_str()), (12, "0.1.0"));
    }
}
