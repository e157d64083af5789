//! `io.busbar.Settings1`: the OCPP configuration keys. Owns each key's value, access, origin and the moment of its last
//! change. When this process dies, the values that others have read stay valid with them; changes are refused until it
//! is back, and none that was accepted is lost.

#[cfg(test)]
mod appliers;
mod book;
mod catalogue;
pub mod credential;
mod keys;
mod ledger;
mod objects;
mod rules;
mod secret;
mod service;
mod settings;
mod takes;

pub use ledger::Ledger;
pub use secret::Secret;
pub use service::run;
pub use settings::Settings;
