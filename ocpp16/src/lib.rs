//! OCPP-J 1.6 with its security extension, as a charging station speaks it: frames, the requests of the central
//! system (CSMS), the station's own requests, and the answers to both. Reading is total: whatever text the CSMS sends
//! becomes a typed value, or the CALLERROR that OCPP-J names for its fault.
//!
//! Nothing here opens a socket, asks for the time or knows a bus; what is a matter of the station (is there such a
//! connector, is the key known) is judged by whoever uses this crate. The public crate `rust-ocpp` does not serve: it
//! checks by JSON schema, so its errors cannot be told apart into OCPP's error codes, and it lacks the extension.
//!
//! Times are milliseconds since 1970 (`…_unix_millis`), energy is whole watt-hours, badges and secrets are [`Hidden`].

pub mod answer;
pub mod confirmation;
pub mod fields;
pub mod frame;
mod hidden;
pub mod moment;
mod payload;
pub mod report;
pub mod request;
mod tenths;
mod transaction;
mod word;

pub use hidden::Hidden;
pub use tenths::Tenths;
pub use transaction::CentralTransaction;
pub use word::Word;
