//! Cases that other stacks get wrong (their numbers are the checklist's), shown on the charge point against a CSMS that
//! the test plays.

use super::bench::{Bench, START, keys, status};
use super::*;
use crate::configuration::Way;
use crate::delivery::examples::{sample, started, stopped};
use crate::exchange::{Answer, Question};
use crate::trial::Return;
use busbar_interfaces::faults::{ActiveFault, FaultsState};
use busbar_interfaces::session::{SessionState, TransactionEvent};
use busbar_interfaces::words::{
    Availability, AvailabilityVerdict, ConnectorStatus, DataTransferStatus, FaultClass, Registration, SetVerdict,
};
use busbar_interfaces::{TransactionId, UnixMillis};
use serde_json::{Value, json};

/// A station that is accepted, whose session is there, and of which the CSMS knows everything.
fn settled() -> Bench {
    settled_with(&[])
}

fn settled_with(changed: &[(&str, &str)]) -> Bench {
    let mut bench = Bench::new();
    bench.step(Input::Faults(View::Present(FaultsState::default())));
    bench.append([]);
    for connector in CONNECTORS {
        bench.step(Input::Connector(ConnectorId(connector), View::Present(status(ConnectorStatus::Available))));
    }
    bench.step(Input::Settings(View::Present(keys(changed))));
    bench.open();
    bench.boot("Accepted", 86_400);
    for _ in 0..3 {
        bench.serve(&json!({}), "StatusNotification");
    }
    bench.quiet();
    bench
}

fn refuse(bench: &mut Bench, action: &str) -> Value {
    let call = bench.call(action);
    bench.text(&json!([4, call[1], "InternalError", "", {}]).to_string());
    call
}

fn fault(code: &str) -> FaultsState {
    FaultsState {
        active: vec![ActiveFault {
            code: code.to_owned(),
            connector: ConnectorId(1),
            class: FaultClass::Stop,
            error_code: "PowerMeterFailure".to_owned(),
            title: "meter failure".to_owned(),
            detail: String::new(),
            since_unix_millis: UnixMillis(START),
        }],
    }
}

fn is(bench: &mut Bench, connector: u32, word: ConnectorStatus) {
    bench.step(Input::Connector(ConnectorId(connector), View::Present(status(word))));
}

mod badges;
mod delivery;
mod operations;
mod reservations;
mod standing;
mod way;
