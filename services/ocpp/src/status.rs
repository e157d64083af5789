//! What the CSMS should know of the connectors, what it was told, and the StatusNotifications in between.

use crate::record::Told;
use crate::wall::Wall;
use busbar_interfaces::faults::ERROR_CODES;
use busbar_interfaces::faults::{ActiveFault, FaultsState};
use busbar_interfaces::session::SessionConnectorState;
use busbar_interfaces::words::{Availability, ConnectorStatus, FaultClass};
use busbar_interfaces::{BoottimeMillis, ConnectorId, TransactionId, UnixMillis};
use busbar_ocpp16::Word;
use busbar_ocpp16::report::{ChargePointErrorCode, ChargePointStatus, Report, StatusNotification};
use busbar_runtime::Moment;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Changes that wait while the link is busy; beyond, the older changes of the same connector are left out.
const MOST_WAITING: usize = 16;
/// OCPP's word of a status that is told at once.
const FAULTED: &str = "Faulted";
/// A status that was not taken in is told again after this time.
const AGAIN: Duration = Duration::from_secs(10);

/// One status and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub told: Told,
    pub since: UnixMillis,
}

/// A status that the CSMS should know, and since when that is so.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    status: Status,
    from: BoottimeMillis,
}

/// The statuses of connectors 0, 1 and 2.
///
/// With a MinimumStatusDuration a status is told when it has lasted that long (OCPP 1.6, 9.1). At once are told: the
/// first status of a connector, and that a sound one is faulted. So a fault that flaps is told once, and its end when it
/// stays away.
#[derive(Default)]
pub struct Statuses {
    vendor: String,
    least: Duration,
    connectors: BTreeMap<u32, SessionConnectorState>,
    station: Option<Availability>,
    faults: Option<FaultsState>,
    wanted: BTreeMap<u32, Wanted>,
    /// What the CSMS was told last.
    pub told: BTreeMap<u32, Told>,
    waiting: VecDeque<(u32, Status)>,
    not_before: Option<BoottimeMillis>,
}

impl Statuses {
    /// With what the CSMS was told before this process started.
    pub fn new(vendor: &str, told: BTreeMap<u32, Told>) -> Statuses {
        Statuses { vendor: vendor.to_owned(), told, ..Statuses::default() }
    }

    /// MinimumStatusDuration.
    pub fn configure(&mut self, least: Duration) {
        self.least = least;
    }

    /// A connector of `session` says this.
    pub fn connector(&mut self, now: Moment, connector: ConnectorId, state: SessionConnectorState, telling: bool) {
        self.connectors.insert(connector.0, state);
        self.update(now, telling);
    }

    /// The transaction that runs on a connector, as far as `session` has said.
    pub fn transaction(&self, connector: u32) -> Option<TransactionId> {
        self.connectors.get(&connector).map(|state| state.transaction).filter(|transaction| transaction.0 != 0)
    }

    /// `session` says whether the station is in service.
    pub fn availability(&mut self, now: Moment, availability: Availability, telling: bool) {
        self.station = Some(availability);
        self.update(now, telling);
    }

    /// `faults` says this.
    pub fn faults(&mut self, now: Moment, faults: FaultsState, telling: bool) {
        self.faults = Some(faults);
        self.update(now, telling);
    }

    /// The CSMS can be told from now on: what differs from what it knows.
    pub fn resume(&mut self) {
        self.not_before = None;
        self.waiting.clear();
    }

    /// The CSMS cannot be told any more.
    pub fn suspend(&mut self) {
        self.waiting.clear();
    }

    /// The StatusNotification of a connector as it is now, whether or not the CSMS knows.
    pub fn present(&self, connector: u32, now: Moment, wall: &Wall) -> Option<(Told, Value)> {
        let wanted = self.wanted.get(&connector)?;
        Some((wanted.status.told.clone(), self.payload(connector, &wanted.status, now, wall)))
    }

    /// The next StatusNotification, if one is due.
    pub fn next(&mut self, now: Moment, wall: &Wall) -> Option<(u32, Told, Value)> {
        self.let_stable_ones_pass(now.boottime);
        if self.not_before.is_some_and(|moment| moment > now.boottime) {
            return None;
        }
        while let Some((connector, status)) = self.waiting.front() {
            if self.told.get(connector) != Some(&status.told) {
                return Some((*connector, status.told.clone(), self.payload(*connector, status, now, wall)));
            }
            self.waiting.pop_front();
        }
        None
    }

    /// The CSMS has answered; one that refuses a status will not take it a second time.
    pub fn answered(&mut self, connector: u32, told: Told) {
        if self.waiting.front().is_some_and(|(first, status)| *first == connector && status.told == told) {
            self.waiting.pop_front();
        }
        self.told.insert(connector, told);
        self.not_before = None;
    }

    /// The CSMS has not answered.
    pub fn unanswered(&mut self, now: BoottimeMillis) {
        self.not_before = Some(now.after(AGAIN));
    }

    /// When [`Statuses::next`] should be asked again.
    pub fn due(&self) -> Option<BoottimeMillis> {
        if !self.waiting.is_empty() {
            return self.not_before;
        }
        let unsettled =
            self.wanted.iter().filter(|(connector, wanted)| self.last(**connector) != Some(&wanted.status.told));
        let due = unsettled.map(|(_, wanted)| wanted.from.after(self.least)).min();
        due.map(|due| self.not_before.map_or(due, |not_before| due.max(not_before)))
    }

    /// What the CSMS knows of a connector, or will when it has answered all that waits.
    fn last(&self, connector: u32) -> Option<&Told> {
        let waiting =
            self.waiting.iter().rev().find(|(waiting, _)| *waiting == connector).map(|(_, status)| &status.told);
        waiting.or_else(|| self.told.get(&connector))
    }

    /// Whether a status need not last before it is told.
    fn is_urgent(&self, connector: u32, told: &Told) -> bool {
        self.last(connector).is_none_or(|last| told.status == FAULTED && last.status != FAULTED)
    }

    fn let_stable_ones_pass(&mut self, now: BoottimeMillis) {
        let passes = |(connector, wanted): &(&u32, &Wanted)| {
            let told = &wanted.status.told;
            let new = self.last(**connector) != Some(told);
            new && (now.since(wanted.from) >= self.least || self.is_urgent(**connector, told))
        };
        let due: Vec<(u32, Status)> =
            self.wanted.iter().filter(passes).map(|(connector, wanted)| (*connector, wanted.status.clone())).collect();
        self.waiting.extend(due);
    }

    fn update(&mut self, now: Moment, telling: bool) {
        let station = match (&self.faults, self.station) {
            (None, _) | (_, None) => None,
            (Some(faults), Some(availability)) => Some(station_status(faults, availability, now.unix)),
        };
        let connectors = self.connectors.iter().filter_map(|(connector, state)| {
            Some((*connector, connector_status(*connector, state, self.faults.as_ref(), now.unix)?))
        });
        let wanted: Vec<(u32, Status)> = station.map(|status| (0, status)).into_iter().chain(connectors).collect();
        for (connector, status) in wanted {
            if self.wanted.get(&connector).is_some_and(|before| before.status.told == status.told) {
                continue;
            }
            self.wanted.insert(connector, Wanted { status: status.clone(), from: now.boottime });
            // Without a minimum every change is told, also one that is over by the time that the wire is free.
            if telling && self.least.is_zero() {
                if self.waiting.len() >= MOST_WAITING {
                    self.waiting.retain(|(waiting, _)| *waiting != connector);
                }
                self.waiting.push_back((connector, status));
            }
        }
    }

    fn payload(&self, connector: u32, status: &Status, now: Moment, wall: &Wall) -> Value {
        let told = &status.told;
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let vendor_error_code = given(&told.vendor_error_code);
        let notification = StatusNotification {
            connector,
            status: ChargePointStatus::read(&told.status).unwrap_or(ChargePointStatus::Unavailable),
            error_code: ChargePointErrorCode::read(&told.error_code).unwrap_or(ChargePointErrorCode::OtherError),
            info: given(&told.info),
            vendor_id: vendor_error_code.as_ref().map(|_| self.vendor.clone()),
            vendor_error_code,
            unix_millis: wall.of_date(now, status.since).0,
        };
        notification.payload()
    }
}

fn station_status(faults: &FaultsState, availability: Availability, now: UnixMillis) -> Status {
    let fault = faults.active.iter().find(|fault| stops(fault) && fault.connector == ConnectorId::STATION);
    match fault {
        Some(fault) => Status { told: faulted(Some(fault), &fault.code), since: since(fault.since_unix_millis, now) },
        None if availability == Availability::Inoperative => Status { told: sound("Unavailable"), since: now },
        None => Status { told: sound("Available"), since: now },
    }
}

/// Nothing for a status that this version does not know: the CSMS keeps the one that it was told.
fn connector_status(
    connector: u32,
    state: &SessionConnectorState,
    faults: Option<&FaultsState>,
    now: UnixMillis,
) -> Option<Status> {
    let told = match state.status {
        ConnectorStatus::Available => sound("Available"),
        ConnectorStatus::Preparing => sound("Preparing"),
        ConnectorStatus::Charging => sound("Charging"),
        ConnectorStatus::SuspendedEv => sound("SuspendedEV"),
        ConnectorStatus::SuspendedEvse => sound("SuspendedEVSE"),
        ConnectorStatus::Finishing => sound("Finishing"),
        ConnectorStatus::Reserved => sound("Reserved"),
        ConnectorStatus::Unavailable => sound("Unavailable"),
        ConnectorStatus::Faulted => {
            let here = |fault: &&ActiveFault| [0, connector].contains(&fault.connector.0);
            let active = || faults.into_iter().flat_map(|faults| &faults.active).filter(here);
            let named = active().find(|fault| fault.code == state.fault_code);
            faulted(named.or_else(|| active().find(|fault| stops(fault))), &state.fault_code)
        }
        ConnectorStatus::Unknown => return None,
    };
    Some(Status { told, since: since(state.status_since_unix_millis, now) })
}

fn stops(fault: &ActiveFault) -> bool {
    fault.class != FaultClass::Warning
}

fn since(moment: UnixMillis, now: UnixMillis) -> UnixMillis {
    if moment.0 == 0 { now } else { moment }
}

fn sound(status: &str) -> Told {
    Told { status: status.to_owned(), error_code: "NoError".to_owned(), ..Told::default() }
}

fn faulted(fault: Option<&ActiveFault>, code: &str) -> Told {
    let error_code = fault.map_or("OtherError", |fault| fault.error_code.as_str());
    let known = ERROR_CODES.contains(&error_code) && error_code != "NoError";
    let short = |text: &str| text.chars().take(50).collect();
    Told {
        status: FAULTED.to_owned(),
        error_code: if known { error_code } else { "OtherError" }.to_owned(),
        info: fault.map(|fault| short(&fault.title)).unwrap_or_default(),
        vendor_error_code: short(fault.map_or(code, |fault| &fault.code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use busbar_interfaces::MilliwattHours;
    use busbar_interfaces::words::{AuthorizationSource, StopReason};
    use serde_json::json;

    const NOON: Moment = Moment { boottime: BoottimeMillis(3_600_000), unix: UnixMillis(1_793_534_400_000) };

    pub fn connector(status: ConnectorStatus, fault_code: &str) -> SessionConnectorState {
        SessionConnectorState {
            status,
            availability: Availability::Operative,
            availability_is_scheduled: false,
            status_since_unix_millis: UnixMillis(1_793_534_400_000),
            fault_code: fault_code.to_owned(),
            transaction: TransactionId(0),
            authorized_by: AuthorizationSource::None,
            last_transaction: TransactionId(0),
            started_unix_millis: UnixMillis(0),
            energy_milliwatt_hours: MilliwattHours(0),
            last_stop_reason: StopReason::None,
        }
    }

    fn fault(code: &str, connector: u32, class: FaultClass) -> FaultsState {
        FaultsState {
            active: vec![ActiveFault {
                code: code.to_owned(),
                connector: ConnectorId(connector),
                class,
                error_code: "PowerMeterFailure".to_owned(),
                title: "meter failure with a description that is longer than fifty".to_owned(),
                detail: "meter 1".to_owned(),
                since_unix_millis: UnixMillis(1_793_534_400_000),
            }],
        }
    }

    fn tell_all(statuses: &mut Statuses) -> Vec<Value> {
        let mut sent = Vec::new();
        while let Some((connector, told, payload)) = statuses.next(NOON, &Wall::default()) {
            statuses.answered(connector, told);
            sent.push(payload);
        }
        sent
    }

    #[test]
    fn a_fault_is_told_with_its_codes_and_the_time() {
        let mut statuses = Statuses::new("Maker", BTreeMap::new());
        statuses.resume();
        let now = NOON;
        statuses.availability(now, Availability::Operative, true);
        statuses.faults(now, fault("0x10020F", 2, FaultClass::Stop), true);
        statuses.connector(now, ConnectorId(2), connector(ConnectorStatus::Faulted, "0x10020F"), true);
        let sent = tell_all(&mut statuses);
        assert_eq!(sent[0]["status"], "Available");
        assert_eq!(
            sent[1],
            json!({"connectorId": 2, "status": "Faulted", "errorCode": "PowerMeterFailure",
                   "info": "meter failure with a description that is longer th", "vendorErrorCode": "0x10020F",
                   "vendorId": "Maker", "timestamp": "2026-11-01T12:00:00.000Z"})
        );
    }

    #[test]
    fn the_station_is_faulted_by_its_own_stopping_faults_only() {
        for (connector, class, status) in [
            (0, FaultClass::Stop, "Faulted"),
            (0, FaultClass::Warning, "Available"),
            (1, FaultClass::Stop, "Available"),
        ] {
            let mut statuses = Statuses::new("Maker", BTreeMap::new());
            statuses.availability(NOON, Availability::Operative, true);
            statuses.faults(NOON, fault("0x200202", connector, class), true);
            assert_eq!(tell_all(&mut statuses)[0]["status"], status);
        }
    }

    #[test]
    fn while_the_link_is_up_every_change_is_told_and_after_a_gap_only_what_differs() {
        let mut statuses = Statuses::new("Maker", BTreeMap::new());
        let now = NOON;
        let words = |sent: &[Value]| sent.iter().map(|payload| payload["status"].to_string()).collect::<Vec<_>>();
        for status in [ConnectorStatus::Preparing, ConnectorStatus::Charging, ConnectorStatus::Finishing] {
            statuses.connector(now, ConnectorId(1), connector(status, ""), true);
        }
        assert_eq!(words(&tell_all(&mut statuses)), ["\"Preparing\"", "\"Charging\"", "\"Finishing\""]);
        statuses.suspend();
        statuses.connector(now, ConnectorId(1), connector(ConnectorStatus::Available, ""), false);
        statuses.connector(now, ConnectorId(1), connector(ConnectorStatus::Finishing, ""), false);
        statuses.connector(now, ConnectorId(2), connector(ConnectorStatus::Available, ""), false);
        statuses.resume();
        let sent = tell_all(&mut statuses);
        assert_eq!(sent.len(), 1, "{sent:?}");
        assert_eq!(sent[0]["connectorId"], 2);
    }

    #[test]
    fn a_flood_of_changes_does_not_grow_without_end() {
        let mut statuses = Statuses::new("Maker", BTreeMap::new());
        for round in 0..1000 {
            let status = if round % 2 == 0 { ConnectorStatus::Preparing } else { ConnectorStatus::Available };
            statuses.connector(NOON, ConnectorId(1), connector(status, ""), true);
        }
        assert!(statuses.waiting.len() <= MOST_WAITING + 1);
        assert_eq!(tell_all(&mut statuses).last().expect("the last one")["status"], "Available");
    }
}
