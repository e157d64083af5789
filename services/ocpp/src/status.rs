//! What the CSMS should know of the connectors, what it was told, and the StatusNotifications in between.

use crate::messages::{set, timestamp};
use crate::record::Told;
use busbar_interfaces::faults::ERROR_CODES;
use busbar_interfaces::faults::{ActiveFault, FaultsState};
use busbar_interfaces::session::SessionConnectorState;
use busbar_interfaces::words::{ConnectorStatus, FaultClass};
use busbar_interfaces::{BoottimeMillis, ConnectorId, UnixMillis};
use busbar_runtime::Moment;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Changes that wait while the link is busy; beyond, the older changes of the same connector are left out.
const MOST_WAITING: usize = 16;
/// A status that was not taken in is told again after this time.
const AGAIN: Duration = Duration::from_secs(10);

/// One status and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub told: Told,
    pub since: UnixMillis,
}

/// The statuses of connectors 0, 1 and 2.
#[derive(Default)]
pub struct Statuses {
    vendor: String,
    connectors: BTreeMap<u32, SessionConnectorState>,
    faults: Option<FaultsState>,
    wanted: BTreeMap<u32, Status>,
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

    /// A connector of `session` says this.
    pub fn connector(&mut self, now: Moment, connector: ConnectorId, state: SessionConnectorState, telling: bool) {
        self.connectors.insert(connector.0, state);
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
        self.waiting = self.wanted.iter().map(|(connector, status)| (*connector, status.clone())).collect();
    }

    /// The CSMS cannot be told any more.
    pub fn suspend(&mut self) {
        self.waiting.clear();
    }

    /// The next StatusNotification, if one is due.
    pub fn next(&mut self, now: BoottimeMillis) -> Option<(u32, Told, Value)> {
        if self.not_before.is_some_and(|moment| moment > now) {
            return None;
        }
        while let Some((connector, status)) = self.waiting.front() {
            if self.told.get(connector) != Some(&status.told) {
                return Some((*connector, status.told.clone(), self.payload(*connector, status)));
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
        self.not_before.filter(|_| !self.waiting.is_empty())
    }

    fn update(&mut self, now: Moment, telling: bool) {
        let station = self.faults.as_ref().map(|faults| station_status(faults, now.unix));
        let connectors = self.connectors.iter().filter_map(|(connector, state)| {
            Some((*connector, connector_status(*connector, state, self.faults.as_ref(), now.unix)?))
        });
        let wanted: Vec<(u32, Status)> = station.map(|status| (0, status)).into_iter().chain(connectors).collect();
        for (connector, status) in wanted {
            if self.wanted.get(&connector).is_some_and(|before| before.told == status.told) {
                continue;
            }
            self.wanted.insert(connector, status.clone());
            if telling {
                if self.waiting.len() >= MOST_WAITING {
                    self.waiting.retain(|(waiting, _)| *waiting != connector);
                }
                self.waiting.push_back((connector, status));
            }
        }
    }

    fn payload(&self, connector: u32, status: &Status) -> Value {
        let told = &status.told;
        let text = |text: &str| (!text.is_empty()).then(|| Value::from(text));
        let mut payload = json!({
            "connectorId": connector,
            "status": told.status,
            "errorCode": told.error_code,
            "timestamp": timestamp(status.since),
        });
        set(&mut payload, "info", text(&told.info));
        set(&mut payload, "vendorErrorCode", text(&told.vendor_error_code));
        if !told.vendor_error_code.is_empty() {
            set(&mut payload, "vendorId", text(&self.vendor));
        }
        payload
    }
}

fn station_status(faults: &FaultsState, now: UnixMillis) -> Status {
    let fault = faults.active.iter().find(|fault| stops(fault) && fault.connector == ConnectorId::STATION);
    match fault {
        Some(fault) => Status { told: faulted(Some(fault), &fault.code), since: since(fault.since_unix_millis, now) },
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
        status: "Faulted".to_owned(),
        error_code: if known { error_code } else { "OtherError" }.to_owned(),
        info: fault.map(|fault| short(&fault.title)).unwrap_or_default(),
        vendor_error_code: short(fault.map_or(code, |fault| &fault.code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use busbar_interfaces::words::StopReason;
    use busbar_interfaces::{MilliwattHours, TransactionId};

    pub fn connector(status: ConnectorStatus, fault_code: &str) -> SessionConnectorState {
        SessionConnectorState {
            status,
            status_since_unix_millis: UnixMillis(1_709_294_400_000),
            fault_code: fault_code.to_owned(),
            transaction: TransactionId(0),
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
                since_unix_millis: UnixMillis(1_709_294_400_000),
            }],
        }
    }

    fn tell_all(statuses: &mut Statuses) -> Vec<Value> {
        let mut sent = Vec::new();
        while let Some((connector, told, payload)) = statuses.next(BoottimeMillis(0)) {
            statuses.answered(connector, told);
            sent.push(payload);
        }
        sent
    }

    #[test]
    fn a_fault_is_told_with_its_codes_and_the_time() {
        let mut statuses = Statuses::new("Maker", BTreeMap::new());
        statuses.resume();
        let now = Moment::default();
        statuses.faults(now, fault("0x10020F", 2, FaultClass::Stop), true);
        statuses.connector(now, ConnectorId(2), connector(ConnectorStatus::Faulted, "0x10020F"), true);
        let sent = tell_all(&mut statuses);
        assert_eq!(sent[0]["status"], "Available");
        assert_eq!(
            sent[1],
            json!({"connectorId": 2, "status": "Faulted", "errorCode": "PowerMeterFailure",
                   "info": "meter failure with a description that is longer th", "vendorErrorCode": "0x10020F",
                   "vendorId": "Maker", "timestamp": "2024-03-01T12:00:00.000Z"})
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
            statuses.faults(Moment::default(), fault("0x200202", connector, class), true);
            assert_eq!(tell_all(&mut statuses)[0]["status"], status);
        }
    }

    #[test]
    fn while_the_link_is_up_every_change_is_told_and_after_a_gap_only_what_differs() {
        let mut statuses = Statuses::new("Maker", BTreeMap::new());
        let now = Moment::default();
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
            statuses.connector(Moment::default(), ConnectorId(1), connector(status, ""), true);
        }
        assert!(statuses.waiting.len() <= MOST_WAITING + 1);
        assert_eq!(tell_all(&mut statuses).last().expect("the last one")["status"], "Available");
    }
}
