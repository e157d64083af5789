//! The cabinet at a glance, as rows for a person.
//!
//! It only looks; the tables are drawn by `busbarctl`.

use crate::cabinet::Cabinet;
use crate::contactor::Contactor;
use crate::module::Module;
use crate::wiring::{Connector, Pole};

/// Number, on, millivolts, milliamperes, degrees, set millivolts, set milliamperes, buses, what is wrong.
pub type ModuleRow = (u8, bool, u32, u32, i32, u32, u32, String, String);
/// Name, coil, contact, mirror contact, closings.
pub type SwitchRow = (String, bool, bool, bool, u32);

/// The power modules.
pub fn modules(cabinet: &Cabinet) -> Vec<ModuleRow> {
    let row = |(number, module): (u8, &Module)| {
        let thousandths = |value: f64| (value * 1000.0).round() as u32;
        let (set_volts, set_amperes) = module.set_point();
        (
            number,
            module.is_on(),
            thousandths(module.volts),
            thousandths(module.amperes),
            module.celsius().round() as i32,
            thousandths(set_volts),
            thousandths(set_amperes),
            buses(cabinet, number),
            complaints(module),
        )
    };
    (1..).zip(&cabinet.rack.modules).map(row).collect()
}

fn buses(cabinet: &Cabinet, number: u8) -> String {
    let index = usize::from(number).saturating_sub(1);
    let feeds = |connector: &Connector| cabinet.feeding(*connector).get(index).copied().unwrap_or(false);
    let buses: Vec<String> = Connector::ALL.iter().filter(|of| feeds(of)).map(ToString::to_string).collect();
    if buses.is_empty() { "none".to_owned() } else { buses.join("+") }
}

fn complaints(module: &Module) -> String {
    let (status, conditions) = (module.status(), &module.conditions);
    let words: Vec<&str> = [
        (conditions.silent, "silent"),
        (conditions.mute, "mute"),
        (status.tripped, "tripped"),
        (status.fault, "broken"),
        (status.short, "short"),
        (status.over_temperature, "too hot"),
        (status.over_voltage, "over-voltage"),
        (conditions.excess_volts > 0.0, "too much voltage"),
        (status.fan, "fan"),
        (status.imbalance, "imbalance"),
        (status.phase_lost, "phase lost"),
        (status.mains_low, "mains low"),
        (status.mains_high, "mains high"),
        (status.duplicate_address, "duplicate address"),
        (status.derating, "derating"),
        (conditions.stuck_on, "stuck on"),
        (status.controller_lost, "hears nobody"),
    ]
    .into_iter()
    .filter_map(|(holds, word)| holds.then_some(word))
    .collect();
    if words.is_empty() { "ok".to_owned() } else { words.join(", ") }
}

/// The matrix relays and output contactors.
pub fn switches(cabinet: &Cabinet) -> Vec<SwitchRow> {
    let row = |name: String, contact: &Contactor| {
        (name, contact.coil(), contact.is_closed(), contact.mirror(), contact.closings())
    };
    let mut rows = Vec::new();
    for connector in Connector::ALL {
        let branch = cabinet.branch(connector);
        let relays = (1..).zip(&branch.relays);
        rows.extend(relays.map(|(module, relay): (u8, _)| row(format!("relay-{connector}-{module}"), relay)));
        let poles = Pole::ALL.into_iter().zip([&branch.plus, &branch.minus]);
        rows.extend(poles.map(|(pole, contact)| row(format!("contactor-{connector}-{}", pole.word()), contact)));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantics::Plug;
    use crate::fault::Fault;
    use crate::timing::Timing;
    use crate::wiring::IoBoard;
    use std::time::Duration;

    #[test]
    fn a_glance_shows_who_feeds_what_and_what_is_wrong() {
        let mut cabinet = Cabinet::new(Timing::quick(), [Plug::Ccs2; 2], Default::default());
        cabinet.set_coil(IoBoard::Matrix(Connector::Two), 2, true).unwrap();
        cabinet.set_fault(Fault::from_name("module-3-trip").unwrap(), Some(0));
        cabinet.advance(Duration::from_millis(50));
        let third = modules(&cabinet).remove(2);
        assert_eq!((third.0, third.1, third.7.as_str(), third.8.as_str()), (3, false, "2", "tripped, hears nobody"));
        let relay = switches(&cabinet).into_iter().find(|row| row.0 == "relay-2-3").unwrap();
        assert_eq!((relay.1, relay.2, relay.3, relay.4), (true, true, true, 1));
        assert_eq!(switches(&cabinet).len(), 16);
    }
}
