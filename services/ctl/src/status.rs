//! The state of a whole station at a glance: gathered from every service that is there, shown as text or JSON.

use busbar_interfaces::faults::{ActiveFault, FaultsState};
use busbar_interfaces::ocpp::OcppState;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::service::ServiceState;
use busbar_interfaces::session::SessionConnectorState;
use busbar_interfaces::words::{ConnectorStatus, Link, Phase, Plug};
use busbar_interfaces::{ConnectorId, names};
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
    /// Where it goes.
    pub central_system_url: String,
    /// Who we are there.
    pub identity: String,
    /// The last journal event that the CSMS has confirmed.
    pub confirmed_event: u64,
}

/// One connector, as session and power tell it; what an absent service would tell is missing.
#[derive(Debug, Serialize)]
pub struct Connector {
    /// Its status in OCPP's words.
    pub status: Option<ConnectorStatus>,
    /// The transaction that runs.
    pub transaction: Option<u64>,
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
        central_system_url: state.central_system_url,
        identity: state.identity,
        confirmed_event: state.confirmed_event,
    });
    let faults = fetch::<FaultsState>(bus, names::FAULTS, names::FAULTS.root).await.ok().map(|state| state.active);
    let mut connectors = BTreeMap::new();
    for id in [ConnectorId(1), ConnectorId(2)] {
        connectors.insert(id.0, connector(bus, id).await);
    }
    Status { services, link, connectors, faults }
}

async fn connector(bus: &Connection, id: ConnectorId) -> Connector {
    let session = fetch::<SessionConnectorState>(bus, names::SESSION, &names::SESSION.connector(id)).await.ok();
    let power = fetch::<PowerConnectorState>(bus, names::POWER, &names::POWER.connector(id)).await.ok();
    let (session, power) = (session.as_ref(), power.as_ref());
    Connector {
        status: session.map(|session| session.status),
        transaction: session.map(|session| session.transaction.0).filter(|transaction| *transaction > 0),
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
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
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
            Some(link) => writeln!(
                text,
                "CSMS             {} as {} at {}; confirmed up to event {}",
                link.link, link.identity, link.central_system_url, link.confirmed_event
            )?,
            None => writeln!(text, "CSMS             not known, ocpp is absent")?,
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
            writeln!(text)?;
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
                        fault.title, fault.detail
                    )?;
                }
            }
        }
        Ok(())
    }
}
