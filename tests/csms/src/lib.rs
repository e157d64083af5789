//! A small OCPP 1.6J central system for tests and the demo: it answers like an ordinary back office, records every
//! frame, and misbehaves on request (no answer, late answer, errors, resets, silence).
//!
//! It is not a back office: it keeps nothing on disk and checks no schema.

mod answers;
mod books;
mod central;
mod chaos;
mod command;
mod conversation;
mod frame;
mod identity;
mod journal;
mod office;
mod password;
mod program;
mod tls;
mod transaction;
mod wire;

pub use answers::Answer;
pub use books::{Books, transactions};
pub use central::{CallFailure, Csms, Options, Reply, Timeout};
pub use chaos::{Chaos, Odds, Trick};
pub use frame::{Direction, Frame, Message};
pub use journal::Link;
pub use password::{Password, Passwords};
pub use program::{Arguments, Fault, run};
pub use tls::{Authority, Issued, SelfSigned, Tls, TlsFault, TlsVersions};
pub use transaction::{Stray, Transaction};
pub use wire::Secured;
