//! The journal of a station held against itself and the meters: no hole, one start and one stop for each transaction, the
//! stop last, nothing on top of anything, and no energy before a start, between two transactions or after a stop. Pure.

use busbar_interfaces::TransactionId;
use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::words::EventKind;
use std::collections::BTreeMap;

/// What does not add up in a whole journal, with the registers of the meters before and after it, by connector.
pub fn judge(journal: &[TransactionEvent], registers: &BTreeMap<u32, (u64, u64)>, wrong: &mut Vec<String>) {
    let mut open: BTreeMap<u32, &TransactionEvent> = BTreeMap::new();
    let mut booked: BTreeMap<u32, u64> =
        registers.iter().map(|(connector, (before, _))| (*connector, *before)).collect();
    let mut last_transaction = TransactionId(0);
    for (number, event) in (1..).zip(journal) {
        let energy = event.energy_milliwatt_hours.0;
        let register = booked.insert(event.connector.0, energy).unwrap_or(0);
        if event.sequence != number {
            wrong.push(format!("the journal has a hole, or a number twice, before {event:?}"));
        }
        if energy < register {
            wrong.push(format!("the register goes back from {register} mWh in {event:?}"));
        }
        let before = open.get(&event.connector.0).copied();
        match event.kind {
            EventKind::Started => {
                if before.is_some() || event.transaction <= last_transaction {
                    wrong.push(format!("begins on top of {before:?}, or again: {event:?}"));
                }
                if energy != register {
                    let free = energy.abs_diff(register);
                    wrong.push(format!("{free} mWh on nobody's bill, between two transactions or before {event:?}"));
                }
                last_transaction = event.transaction;
                open.insert(event.connector.0, event);
            }
            EventKind::Sample | EventKind::Stopped => {
                if before.is_none_or(|before| before.transaction != event.transaction) {
                    wrong.push(format!("its transaction does not run: {event:?}"));
                }
                if before.is_some_and(|before| event.unix_millis < before.unix_millis) {
                    wrong.push(format!("is from before the start of its transaction: {event:?}"));
                }
                if event.kind == EventKind::Stopped {
                    open.remove(&event.connector.0);
                }
            }
            EventKind::Unknown => wrong.push(format!("of no kind: {event:?}")),
        }
    }
    for event in open.values() {
        wrong.push(format!("never stopped: {event:?}"));
    }
    for (connector, (_, after)) in registers {
        let booked = booked.get(connector).copied().unwrap_or(0);
        if booked != *after {
            wrong.push(format!("connector {connector}: {booked} mWh in the journal, {after} mWh in the meter"));
        }
    }
}
