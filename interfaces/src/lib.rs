//! What Busbar's processes say to each other: bus names, units, wire words, errors, the state that each object
//! publishes and the methods that it answers. The texts that engineers read are `xml/*.xml`; a test of each service
//! compares what it serves with them. Nothing here does I/O or decides anything.

pub mod errors;
pub mod faults;
pub mod hmi;
pub mod maintenance;
pub mod metering;
pub mod names;
pub mod ocpp;
pub mod power;
pub mod product;
pub mod service;
pub mod session;
pub mod settings;
pub mod smart_charging;
pub mod units;
pub mod words;

pub use errors::CallError;
pub use names::ServiceName;
pub use service::{Condition, Published};
pub use units::{
    BoottimeMillis, ConnectorId, Milliamperes, Millivolts, MilliwattHours, Percent, ReservationId, TransactionId,
    UnixMillis, Watts,
};
