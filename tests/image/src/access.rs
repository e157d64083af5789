//! What `ACCESS.md` gives to whom, and everything that could be called at all, as the contracts list it. Pure.

use anyhow::{Context, Result};
use std::collections::BTreeSet;
use zbus_xml::{Interface, Node};

const ACCESS: &str = include_str!("../../../bus-config/ACCESS.md");

/// The contracts: interface and text.
const CONTRACTS: [&str; 15] = [
    include_str!("../../../interfaces/xml/io.busbar.Faults1.xml"),
    include_str!("../../../interfaces/xml/io.busbar.Hmi1.Connector.xml"),
    include_str!("../../../interfaces/xml/io.busbar.Hmi1.xml"),
    include_str!("../../../interfaces/xml/io.busbar.Maintenance1.xml"),
    include_str!("../../../interfaces/xml/io.busbar.Metering1.Meter.xml"),
    include_str!("../../../interfaces/xml/io.busbar.Metering1.xml"),
    include_str!("../../../interfaces/xml/io.busbar.Ocpp1.Traffic.xml"),
    include_str!("../../../interfaces/xml/io.busbar.Ocpp1.xml"),
    include_str!("../../../interfaces/xml/io.busbar.Power1.Connector.xml"),
    include_str!("../../../interfaces/xml/io.busbar.Power1.xml"),
    include_str!("../../../interfaces/xml/io.busbar.Session1.Connector.xml"),
    include_str!("../../../interfaces/xml/io.busbar.Session1.xml"),
    include_str!("../../../interfaces/xml/io.busbar.Settings1.xml"),
    include_str!("../../../interfaces/xml/io.busbar.SmartCharging1.Connector.xml"),
    include_str!("../../../interfaces/xml/io.busbar.SmartCharging1.xml"),
];

/// A method of a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// The bus name of the service.
    pub service: String,
    /// The interface.
    pub interface: String,
    /// The member.
    pub member: String,
}

/// Every method of the nine services' own interfaces.
///
/// # Errors
/// When a contract cannot be read.
pub fn every_call() -> Result<Vec<Call>> {
    let mut calls = Vec::new();
    for text in CONTRACTS {
        let node = Node::try_from(text)?;
        for interface in node.interfaces() {
            calls.extend(calls_of(interface)?);
        }
    }
    Ok(calls)
}

fn calls_of(interface: &Interface<'_>) -> Result<Vec<Call>> {
    let name = interface.name().to_string();
    let service = name.split('.').take(3).collect::<Vec<_>>().join(".");
    let call = |member: &str| Call { service: service.clone(), interface: name.clone(), member: member.to_owned() };
    name.strip_prefix("io.busbar.").context("not an interface of ours")?;
    Ok(interface.methods().map(|method| call(&method.name())).collect())
}

/// Who a user is to the policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nobody in particular.
    Ordinary,
    /// In the group that may read.
    Reader,
    /// In the group that may do what engineers do, or root.
    Engineer,
    /// The user of the service with this role.
    Service(&'static str),
}

impl Standing {
    /// Whether the properties of the services may be read.
    pub fn reads(self) -> bool {
        self != Standing::Ordinary
    }

    /// The methods that `ACCESS.md` gives.
    pub fn calls(self) -> BTreeSet<(String, String)> {
        let is_ours = |caller: &str| match self {
            Standing::Ordinary | Standing::Reader => false,
            Standing::Engineer => caller.contains("`busbar-engineer`"),
            Standing::Service(role) => caller.trim() == format!("`busbar-{role}`"),
        };
        let rows = ACCESS.lines().filter_map(|line| {
            let mut cells = line.trim_matches('|').split('|');
            Some((cells.next()?, word(cells.next()?)?, word(cells.next()?)?))
        });
        let ours = rows.filter(|(caller, interface, _)| is_ours(caller) && interface.starts_with("io.busbar."));
        ours.map(|(_, interface, member)| (interface.to_owned(), member.to_owned())).collect()
    }
}

/// The word of a cell that holds nothing but one, as code.
fn word(cell: &str) -> Option<&str> {
    cell.trim().strip_prefix('`')?.strip_suffix('`').filter(|word| !word.contains('`'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use busbar_interfaces::names;

    fn given(standing: Standing, interface: &str, member: &str) -> bool {
        standing.calls().contains(&(interface.to_owned(), member.to_owned()))
    }

    #[test]
    fn the_tables_are_read() {
        let power = "io.busbar.Power1.Connector";
        #[rustfmt::skip]
        let cases = [
            (Standing::Ordinary,            power,                   "ResetFault",    false),
            (Standing::Reader,              power,                   "ResetFault",    false),
            (Standing::Engineer,            power,                   "ResetFault",    true),
            (Standing::Engineer,            power,                   "StartDelivery", false),
            (Standing::Service("session"),  power,                   "StartDelivery", true),
            (Standing::Service("ocpp"),     power,                   "StartDelivery", false),
            (Standing::Service("ocpp"),     "io.busbar.Settings1",   "OpenSecret",    true),
            (Standing::Engineer,            "io.busbar.Settings1",   "OpenSecret",    false),
            (Standing::Service("settings"), "io.busbar.Settings1",   "Set",           false),
        ];
        for (standing, interface, member, expected) in cases {
            assert_eq!(given(standing, interface, member), expected, "{standing:?} {interface}.{member}");
        }
    }

    #[test]
    fn what_is_given_can_be_called() {
        let calls = every_call().unwrap();
        assert!(calls.len() > 25, "{calls:?}");
        let exists = |(interface, member): &(String, String)| {
            calls.iter().any(|call| call.interface == *interface && call.member == *member)
        };
        let services = names::ALL.into_iter().map(|service| Standing::Service(service.role));
        for standing in services.chain([Standing::Engineer]) {
            let unknown: Vec<_> = standing.calls().into_iter().filter(|call| !exists(call)).collect();
            assert!(unknown.is_empty(), "{standing:?} {unknown:?}");
        }
        assert!(calls.iter().all(|call| names::ALL.iter().any(|service| service.bus_name == call.service)));
    }
}
