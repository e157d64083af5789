//! `io.busbar.Settings1`: the OCPP configuration keys. Owns each key's value, access, origin and the moment of its last
//! change. When this process dies, the values that others have read stay valid with them; changes are refused until it
//! is back, and none that was accepted is lost.

mod book;
mod keys;
mod ledger;
mod objects;
mod service;
mod settings;

pub use ledger::Ledger;
pub use service::run;
pub use settings::Settings;
