//! What a user is let do on the bus: tries every method of every service, every way to read and to write, and to own
//! every name, in one process on one connection. Arguments are wrong on purpose: what the bus lets through, the service
//! then refuses, so nothing happens.

use crate::access::{self, Call};
use anyhow::Result;
use busbar_interfaces::{ServiceName, names};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zbus::fdo::RequestNameFlags;
use zbus::{Connection, Variant};

const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// What came of it: by what was tried, whether the bus let it through.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Findings {
    /// Methods, as `INTERFACE.MEMBER`.
    pub calls: BTreeMap<String, bool>,
    /// By service: `GetAll` of the properties.
    pub reads: BTreeMap<String, bool>,
    /// By service: `Set` of a property.
    pub writes: BTreeMap<String, bool>,
    /// By name: whether the bus would give it to this user, had nobody else it.
    pub names: BTreeMap<String, bool>,
    /// By name: whether this user got it although the service has it.
    pub taken: BTreeMap<String, bool>,
}

/// Tries everything and prints what came of it as one line of JSON.
///
/// # Errors
/// When there is no bus.
pub async fn run() -> Result<()> {
    let bus = busbar_runtime::bus::connect(SYSTEM_BUS).await?;
    let mut findings = Findings::default();
    for call in access::every_call()? {
        let let_through = try_call(&bus, &call).await;
        findings.calls.insert(format!("{}.{}", call.interface, call.member), let_through);
    }
    for service in names::ALL {
        let name = service.bus_name.to_owned();
        findings.reads.insert(name.clone(), reads(&bus, service).await);
        findings.writes.insert(name.clone(), writes(&bus, service).await);
        let flags = RequestNameFlags::DO_NOT_QUEUE | RequestNameFlags::REPLACE_EXISTING;
        let reply = bus.request_name_with_flags(service.bus_name, flags).await;
        findings.names.insert(name.clone(), matches!(&reply, Ok(_) | Err(zbus::Error::NameTaken)));
        findings.taken.insert(name, reply.is_ok());
    }
    println!("{}", serde_json::to_string(&findings)?);
    Ok(())
}

async fn try_call(bus: &Connection, call: &Call) -> bool {
    let Some(service) = names::ALL.into_iter().find(|service| service.bus_name == call.service) else { return false };
    let wrong = &(("no", "method", "takes", "this"),);
    let interface = Some(call.interface.as_str());
    let answer = bus.call_method(Some(service.bus_name), service.root, interface, call.member.as_str(), wrong).await;
    is_let_through(&answer)
}

async fn reads(bus: &Connection, service: ServiceName) -> bool {
    let body = &(names::SERVICE_INTERFACE,);
    let answer = bus.call_method(Some(service.bus_name), service.root, Some(PROPERTIES), "GetAll", body).await;
    is_let_through(&answer)
}

async fn writes(bus: &Connection, service: ServiceName) -> bool {
    let body = &(names::SERVICE_INTERFACE, "Version", Variant::from("another"));
    let answer = bus.call_method(Some(service.bus_name), service.root, Some(PROPERTIES), "Set", body).await;
    is_let_through(&answer)
}

/// Anything but a refusal by the bus comes from the service.
fn is_let_through<T>(answer: &Result<T, zbus::Error>) -> bool {
    !matches!(answer, Err(zbus::Error::FDO(error)) if matches!(**error, zbus::fdo::Error::AccessDenied(_)))
}
