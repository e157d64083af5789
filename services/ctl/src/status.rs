//! The state of a whole station at a glance: gathered from every service that is there, shown as text or JSON.

use crate::badges::{Badges, reserved};
use crate::link::{next_attempt, registration};
use crate::table::item;
use crate::words::{count, line, since};
use busbar_interfaces::faults::{ActiveFault, FaultsState};
use busbar_interfaces::ocpp::OcppState;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::service::ServiceState;
use busbar_interfaces::session::{Reservation, SessionConnectorState, SessionState};
use busbar_interfaces::words::{AuthorizationSource, Availability, ConnectorStatus, Link, Phase, Plug, Registration};
use busbar_interfaces::{Condition, ConnectorId, UnixMillis, names};
use busbar_runtime::Moment;
use busbar_runtime::object::fetch;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use zbus::Connection;

/// A whole station.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Every service by role; nothing for one that is absent.
    pub services: BTreeMap<&'static str, Option<Service>>,
    /// The link to the CSMS; nothing while `ocpp` is absent.
    pub link: Option<LinkStatus>,
    /// Whether the station as a whole may be used, by order; nothing while `session` is absent.
    pub availability: Option<Availability>,
    /// Who may charge; nothing while `session` is absent.
    pub badges: Option<Badges>,
    /// What is reserved; nothing while `session` is absent.
    pub reservations: Option<Vec<Reservation>>,
    /// The connectors by number.
    pub connectors: BTreeMap<u32, Connector>,
    /// What is wrong; nothing while `faults` is absent.
    pub faults: Option<Vec<ActiveFault>>,
}

/// A service that is there.
#[derive(Debug, Serialize)]
pub struct Service {
    /// Its version.
    pub version: String,
    /// Its process.
    pub process_id: u32,
    /// Damaged databases that it set aside.
    pub set_aside_files: Vec<String>,
}

/// The link.
#[derive(Debug, Serialize)]
pub struct LinkStatus {
    /// Its state.
    pub link: Link,
    /// Since when.
    pub link_since_unix_millis: u64,
    /// Why there is none, or why the last one ended.
    pub link_reason: String,
    /// When the next attempt is made; 0 when none is planned.
    pub next_attempt_boottime_millis: u64,
    /// What the CSMS has said to the last BootNotification.
    pub registration: Registration,
    /// Where it goes.
    pub central_system_url: String,
    /// Who we are there.
    pub identity: String,
    /// The last journal event that the CSMS has confirmed.
    pub confirmed_event: u64,
    /// Events that the CSMS has refused for good and that wait for a person.
    pub undelivered_events: u32,
    /// What is wrong with it.
    pub conditions: Vec<Condition>,
}

/// One connector, as session and power tell it; what an absent service would tell is missing.
#[derive(Debug, Serialize)]
pub struct Connector {
    /// Its status in OCPP's words.
    pub status: Option<ConnectorStatus>,
    /// Whether it may be used, by order.
    pub availability: Option<Availability>,
    /// The order waits for the running transaction to end.
    pub availability_is_scheduled: Option<bool>,
    /// The transaction that runs.
    pub transaction: Option<u64>,
    /// By whose word that one or the last began.
    pub authorized_by: Option<AuthorizationSource>,
    /// Energy of that one or the last.
    pub energy_milliwatt_hours: Option<u64>,
    /// Whether a vehicle is plugged in.
    pub plug: Option<Plug>,
    /// Where the delivery is.
    pub phase: Option<Phase>,
    /// Voltage at the output.
    pub output_millivolts: Option<u32>,
    /// Current at the output.
    pub output_milliamperes: Option<u32>,
    /// What the station offers.
    pub offered_watts: Option<u32>,
    /// State of charge, if the vehicle tells it.
    pub state_of_charge_percent: Option<u8>,
}

/// Gathers the state of a station.
pub async fn gather(bus: &Connection) -> Status {
    let mut services = BTreeMap::new();
    for service in names::ALL {
        let state = fetch::<ServiceState>(bus, service, service.root).await.ok();
        let state = state.map(|state| Service {
            version: state.version,
            process_id: state.process_id,
            set_aside_files: state.set_aside_files,
        });
        services.insert(service.role, state);
    }
    let link = fetch::<OcppState>(bus, names::OCPP, names::OCPP.root).await.ok().map(|state| LinkStatus {
        link: state.link,
        link_since_unix_millis: state.link_since_unix_millis.0,
        link_reason: state.link_reason,
        next_attempt_boottime_millis: state.next_attempt_boottime_millis.0,
        registration: state.registration,
        central_system_url: state.central_system_url,
        identity: state.identity,
        confirmed_event: state.confirmed_event,
        undelivered_events: state.undelivered_events,
        conditions: state.conditions,
    });
    let session = fetch::<SessionState>(bus, names::SESSION, names::SESSION.root).await.ok();
    let availability = session.as_ref().map(|state| state.availability);
    let badges = session.as_ref().map(Badges::new);
    let reservations = session.map(|state| state.reservations);
    let faults = fetch::<FaultsState>(bus, names::FAULTS, names::FAULTS.root).await.ok().map(|state| state.active);
    let mut connectors = BTreeMap::new();
    for id in [ConnectorId(1), ConnectorId(2)] {
        connectors.insert(id.0, connector(bus, id).await);
    }
    Status { services, link, availability, badges, reservations, connectors, faults }
}

async fn connector(bus: &Connection, id: ConnectorId) -> Connector {
    let session = fetch::<SessionConnectorState>(bus, names::SESSION, &names::SESSION.connector(id)).await.ok();
    let power = fetch::<PowerConnectorState>(bus, names::POWER, &names::POWER.connector(id)).await.ok();
    let (session, power) = (session.as_ref(), power.as_ref());
    Connector {
        status: session.map(|session| session.status),
        availability: session.map(|session| session.availability),
        availability_is_scheduled: session.map(|session| session.availability_is_scheduled),
        transaction: session.map(|session| session.transaction.0).filter(|transaction| *transaction > 0),
        authorized_by: session.map(|session| session.authorized_by),
        energy_milliwatt_hours: session.map(|session| session.energy_milliwatt_hours.0),
        plug: power.map(|power| power.plug),
        phase: power.map(|power| power.phase),
        output_millivolts: power.map(|power| power.output_millivolts.0),
        output_milliamperes: power.map(|power| power.output_milliamperes.0),
        offered_watts: power.map(|power| power.offered_watts.0),
        state_of_charge_percent: power.and_then(|power| power.state_of_charge_percent.known()),
    }
}

impl Status {
    /// The status as an engineer reads it in a terminal.
    pub fn to_text(&self, now: Moment) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text, now);
        text
    }

    fn write(&self, text: &mut String, now: Moment) -> std::fmt::Result {
        for (role, service) in &self.services {
            match service {
                Some(service) => writeln!(text, "{role:<16} {} (process {})", service.version, service.process_id)?,
                None => writeln!(text, "{role:<16} absent")?,
            }
            for file in service.iter().flat_map(|service| &service.set_aside_files) {
                writeln!(text, "{:<16} a damaged database was set aside: {file}", "")?;
            }
        }
        match &self.link {
            Some(link) => text.push_str(&link.to_text(now)),
            None => writeln!(text, "CSMS             not known, ocpp is absent")?,
        }
        if self.availability == Some(Availability::Inoperative) {
            writeln!(text, "station          out of service by order (`busbarctl availability 0 operative` ends it)")?;
        }
        for (number, connector) in &self.connectors {
            let status = connector.status.map_or("not known", ConnectorStatus::as_str);
            let phase = connector.phase.map_or("not known", Phase::as_str);
            let milli = |value: Option<u32>| f64::from(value.unwrap_or(0)) / 1000.0;
            let (volts, amperes) = (milli(connector.output_millivolts), milli(connector.output_milliamperes));
            write!(text, "connector {number}      {status}; delivery {phase}; {volts:.1} V, {amperes:.1} A")?;
            if let Some(soc) = connector.state_of_charge_percent {
                write!(text, "; battery {soc} %")?;
            }
            if let Some(transaction) = connector.transaction {
                let energy = connector.energy_milliwatt_hours.unwrap_or(0) / 1000;
                write!(text, "; transaction {transaction}, {energy} Wh")?;
            }
            text.push_str(connector.order());
            writeln!(text)?;
        }
        text.push_str(&reserved(self.reservations.as_deref().unwrap_or_default(), now.unix));
        match &self.badges {
            Some(badges) => text.push_str(&badges.to_text(now.unix)),
            None => writeln!(text, "badges           not known, session is absent")?,
        }
        match &self.faults {
            None => writeln!(text, "faults           not known, faults is absent")?,
            Some(faults) if faults.is_empty() => writeln!(text, "faults           none")?,
            Some(faults) => {
                for fault in faults {
                    let (code, connector) = (&fault.code, fault.connector);
                    writeln!(
                        text,
                        "fault            {code} connector {connector}: {} ({})",
                        fault.title,
                        line(&fault.detail)
                    )?;
                }
            }
        }
        Ok(())
    }
}

impl LinkStatus {
    fn to_text(&self, now: Moment) -> String {
        let since = since(UnixMillis(self.link_since_unix_millis), now.unix);
        let (link, identity, url) = (self.link, &self.identity, &self.central_system_url);
        let state =
            format!("{link} as {identity} at {url}; confirmed up to event {}; since {since}", self.confirmed_event);
        let mut text = item("CSMS", &state);
        let mut also = |what: &str, value: &str| text += &item("", &format!("{what}: {value}"));
        if matches!(self.link, Link::Disconnected | Link::Unconfigured) {
            if !self.link_reason.is_empty() {
                also("why", &self.link_reason);
            }
            also("next attempt", &next_attempt(self.next_attempt_boottime_millis, now));
        }
        if self.registration != Registration::Accepted {
            also("registration", registration(self.registration));
        }
        for condition in &self.conditions {
            also(&condition.code, &condition.detail);
        }
        if self.undelivered_events > 0 {
            let events = count(self.undelivered_events.into(), "event", "events");
            also("undelivered", &format!("{events} refused for good; `busbarctl queue` shows them"));
        }
        text
    }
}

impl Connector {
    /// An order about its use, if there is one that a technician would not see in its status.
    fn order(&self) -> &'static str {
        match (self.availability, self.availability_is_scheduled) {
            (Some(Availability::Inoperative), Some(true)) => "; out of service after this transaction",
            (Some(Availability::Operative), Some(true)) => "; in service after this transaction",
            (Some(Availability::Inoperative), _) => "; out of service by order",
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::badges::tests::{decision, reservation};
    use crate::link::tests::NOW;
    use busbar_interfaces::words::DecisionReason;

    fn connector(status: ConnectorStatus, availability: Availability, scheduled: bool) -> Connector {
        Connector {
            status: Some(status),
            availability: Some(availability),
            availability_is_scheduled: Some(scheduled),
            transaction: (status == ConnectorStatus::Charging).then_some(7),
            authorized_by: Some(AuthorizationSource::Csms),
            energy_milliwatt_hours: Some(1_500_000),
            plug: Some(Plug::Plugged),
            phase: Some(Phase::Idle),
            output_millivolts: Some(400_000),
            output_milliamperes: Some(1_500),
            offered_watts: Some(0),
            state_of_charge_percent: None,
        }
    }

    fn link(link: Link) -> LinkStatus {
        LinkStatus {
            link,
            link_since_unix_millis: 1_767_225_600_000,
            link_reason: "csms.example: connection refused".to_owned(),
            next_attempt_boottime_millis: 103_200,
            registration: Registration::Accepted,
            central_system_url: "ws://csms.example/".to_owned(),
            identity: "CP-1".to_owned(),
            confirmed_event: 99,
            undelivered_events: 0,
            conditions: Vec::new(),
        }
    }

    fn status(link: Option<LinkStatus>) -> Status {
        let one = connector(ConnectorStatus::Charging, Availability::Inoperative, true);
        let two = connector(ConnectorStatus::Unavailable, Availability::Inoperative, false);
        Status {
            services: BTreeMap::from([("hmi", None)]),
            link,
            availability: Some(Availability::Operative),
            badges: Some(Badges::new(&SessionState::default())),
            reservations: Some(Vec::new()),
            connectors: BTreeMap::from([(1, one), (2, two)]),
            faults: Some(Vec::new()),
        }
    }

    #[test]
    fn a_station_at_work_is_told_without_what_is_as_it_should_be() {
        assert_eq!(
            status(Some(link(Link::Accepted))).to_text(NOW),
            "hmi              absent\n\
             CSMS             accepted as CP-1 at ws://csms.example/; confirmed up to event 99; since \
             2026-01-01T00:00:00Z (3 min 5 s ago)\n\
             connector 1      charging; delivery idle; 400.0 V, 1.5 A; transaction 7, 1500 Wh; out of service after this \
             transaction\n\
             connector 2      unavailable; delivery idle; 400.0 V, 1.5 A; out of service by order\n\
             last badge       none since session has started\n\
             local list       switched off (LocalAuthListEnabled), 0 badges on it\n\
             cache            0 badges\n\
             faults           none\n"
        );
    }

    #[test]
    fn case_26_a_reserved_connector_a_refused_badge_the_list_and_the_cache_are_told() {
        let reserved = connector(ConnectorStatus::Reserved, Availability::Operative, false);
        let session = SessionState {
            last_decision: decision(2, AuthorizationSource::LocalList, DecisionReason::Reserved),
            local_list_version: 12,
            local_list_badges: 340,
            cached_badges: 5,
            ..SessionState::default()
        };
        let status = Status {
            connectors: BTreeMap::from([(2, reserved)]),
            badges: Some(Badges::new(&session)),
            reservations: Some(vec![reservation(7, 2)]),
            ..status(None)
        };
        let text = status.to_text(NOW);
        let about = "connector 2      reserved; delivery idle; 400.0 V, 1.5 A\n\
             reserved         connector 2 until 2026-01-01T00:13:05Z, in 10 min (`busbarctl reservation cancel 7` ends \
             it)\n\
             last badge       refused at connector 2: it is reserved for another driver (the badge is on the local \
             list); 2026-01-01T00:00:00Z (3 min 5 s ago)\n\
             local list       version 12, 340 badges\n\
             cache            5 badges\n";
        assert!(text.contains(about), "{text}");
        let text = Status { badges: None, reservations: None, ..status }.to_text(NOW);
        assert!(text.contains("badges           not known, session is absent") && !text.contains("until"), "{text}");
    }

    #[test]
    fn a_link_that_needs_somebody_says_why() {
        let trouble =
            LinkStatus { registration: Registration::Pending, undelivered_events: 1, ..link(Link::Disconnected) };
        let text = status(Some(trouble)).to_text(NOW);
        for said in [
            "                 why: csms.example: connection refused\n",
            "                 next attempt: in 4 s\n",
            "                 registration: pending",
            "                 undelivered: 1 event refused for good; `busbarctl queue` shows them\n",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
    }

    #[test]
    fn a_station_that_is_out_of_service_says_how_to_end_it() {
        let text = Status { availability: Some(Availability::Inoperative), ..status(None) }.to_text(NOW);
        assert!(
            text.contains("station          out of service by order (`busbarctl availability 0 operative`"),
            "{text}"
        );
        assert!(text.contains("CSMS             not known, ocpp is absent"), "{text}");
    }
}
