//! A small OCPP 1.6J central system for tests and the demo: it answers like an ordinary back office, records every
//! frame, and misbehaves on request (no answer, late answer, errors, resets, silence).
//!
//! It is not a back office: it keeps nothing on disk, checks no schema and trusts everybody.

mod answers;
mod books;
mod central;
mod command;
mod conversation;
mod frame;
mod identity;
mod journal;
mod office;
mod program;

pub use answers::Answer;
pub use books::{Books, Stray, Transaction, transactions};
pub use central::{CallFailure, Csms, Options, Reply, Timeout};
pub use frame::{Direction, Frame, Message};
pub use journal::Link;
pub use program::{Arguments, Fault, run};
