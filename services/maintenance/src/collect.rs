//! What every service says of itself: all properties of all its objects, read over the bus within a limit of time, as
//! JSON. A service that is absent, silent or half-read is written down as such.

use busbar_interfaces::{ServiceName, UnixMillis, names};
use busbar_runtime::Bus;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;
use zbus::{OwnedVariant, Variant};

/// One call.
const CALL_LIMIT: Duration = Duration::from_secs(2);
/// One service; less than what a caller of `WriteReport` waits.
const SERVICE_LIMIT: Duration = Duration::from_secs(6);
/// Objects that are read of one service; a station has three in each.
const MOST_OBJECTS: usize = 64;

/// A report on the whole suite, sorted and spread over lines, as a person reads it.
pub async fn report(bus: Bus, at: UnixMillis) -> Vec<u8> {
    let mut asked = JoinSet::new();
    for service in names::ALL {
        let bus = bus.clone();
        asked.spawn(async move { (service.role, describe(&bus, service).await) });
    }
    let mut services = BTreeMap::new();
    while let Some(described) = asked.join_next().await {
        match described {
            Ok((role, description)) => drop(services.insert(role, description)),
            Err(error) => tracing::error!(%error, "a service could not be described"),
        }
    }
    let report = json!({
        "written_unix_millis": at.0,
        "written_by": concat!("busbar-maintenance ", env!("CARGO_PKG_VERSION")),
        "services": services,
    });
    let mut text = serde_json::to_vec_pretty(&report).unwrap_or_default();
    text.push(b'\n');
    text
}

async fn describe(bus: &Bus, service: ServiceName) -> Value {
    let mut objects = BTreeMap::new();
    let missing = match timeout(SERVICE_LIMIT, walk(bus, service, &mut objects)).await {
        Ok(Ok(())) => Value::Null,
        Ok(Err(error)) => Value::from(error),
        Err(_) => Value::from(format!("not all of it within {} s", SERVICE_LIMIT.as_secs())),
    };
    json!({ "present": !objects.is_empty(), "objects": objects, "missing": missing })
}

/// Reads one object after the other, beginning with the root; what was read before an error stays.
async fn walk(bus: &Bus, service: ServiceName, objects: &mut BTreeMap<String, Value>) -> Result<(), String> {
    let mut waiting = vec![service.root.to_owned()];
    while let Some(path) = waiting.pop() {
        if objects.len() >= MOST_OBJECTS {
            return Err(format!("only {MOST_OBJECTS} objects are read"));
        }
        let text: String = ask(bus, service, &path, "org.freedesktop.DBus.Introspectable", "Introspect", &()).await?;
        let node = zbus_xml::Node::try_from(text.as_str()).map_err(|error| format!("{path}: {error}"))?;
        let children = node.nodes().iter().filter_map(zbus_xml::Node::name);
        waiting.extend(children.map(|child| format!("{path}/{child}")));
        let mut interfaces = Map::new();
        for interface in node.interfaces() {
            let name = interface.name().to_string();
            if name.starts_with("io.busbar.") {
                let properties: HashMap<String, OwnedVariant> =
                    ask(bus, service, &path, "org.freedesktop.DBus.Properties", "GetAll", &(name.as_str())).await?;
                let properties: BTreeMap<String, Value> =
                    properties.iter().map(|(name, value)| (name.clone(), plain(value))).collect();
                interfaces.insert(name, json!(properties));
            }
        }
        // A node without interfaces is only part of a path.
        if !interfaces.is_empty() {
            objects.insert(path, Value::Object(interfaces));
        }
    }
    Ok(())
}

async fn ask<B, R>(
    bus: &Bus,
    service: ServiceName,
    path: &str,
    interface: &str,
    method: &str,
    body: &B,
) -> Result<R, String>
where
    B: serde::Serialize + zbus::DynamicType + Sync,
    R: serde::de::DeserializeOwned + zbus::Type,
{
    let call = bus.connection().call_method(Some(service.bus_name), path, Some(interface), method, body);
    match timeout(CALL_LIMIT, call).await {
        Ok(Ok(answer)) => answer.body().deserialize().map_err(|error| format!("{path}: {error}")),
        Ok(Err(error)) => Err(format!("{path}: {error}")),
        Err(_) => Err(format!("{path}: no answer within {} s", CALL_LIMIT.as_secs())),
    }
}

/// A value without its types: structures become arrays, dictionaries objects.
fn plain(value: &Variant<'_>) -> Value {
    match value {
        Variant::U8(value) => Value::from(*value),
        Variant::Bool(value) => Value::from(*value),
        Variant::I16(value) => Value::from(*value),
        Variant::U16(value) => Value::from(*value),
        Variant::I32(value) => Value::from(*value),
        Variant::U32(value) => Value::from(*value),
        Variant::I64(value) => Value::from(*value),
        Variant::U64(value) => Value::from(*value),
        Variant::F64(value) => Value::from(*value),
        Variant::Str(value) => Value::from(value.as_str()),
        Variant::Signature(value) => Value::from(value.to_string()),
        Variant::ObjectPath(value) => Value::from(value.as_str()),
        Variant::Variant(value) => plain(value),
        Variant::Array(values) => values.inner().iter().map(plain).collect(),
        Variant::Structure(values) => values.fields().iter().map(plain).collect(),
        Variant::Dict(entries) => {
            let entry = |(key, value): (&Variant<'_>, &Variant<'_>)| match plain(key) {
                Value::String(key) => (key, plain(value)),
                key => (key.to_string(), plain(value)),
            };
            Value::Object(entries.iter().map(entry).collect())
        }
        Variant::Fd(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use busbar_interfaces::{Condition, ConnectorId};
    use busbar_runtime::object::properties;

    #[test]
    fn properties_become_plain_values() {
        let condition =
            Condition { code: "0x10020F".to_owned(), connector: ConnectorId(1), detail: "meter".to_owned() };
        let state = busbar_interfaces::metering::MeteringState { conditions: vec![condition] };
        let properties = properties(&state).expect("goes on the bus");
        let conditions = properties.get("Conditions").map(|value| plain(value));
        assert_eq!(conditions, Some(json!([["0x10020F", 1, "meter"]])));

        let values = [("HeartbeatInterval".to_owned(), "60".to_owned())].into_iter().collect();
        let state = busbar_interfaces::settings::SettingsState { values, ..Default::default() };
        let properties = busbar_runtime::object::properties(&state).expect("goes on the bus");
        let values = properties.get("Values").map(|value| plain(value));
        assert_eq!(values, Some(json!({ "HeartbeatInterval": "60" })));
    }
}
