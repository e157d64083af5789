//! `io.busbar.Session1`: who may charge, the transactions and their journal, the status of each connector and whether
//! it is in service. Owns the truth about transactions. When this process dies, power holds the delivery for its lease;
//! back within it, the open transactions are read from the ledger, the lease is renewed and nobody noticed.

mod admission;
mod authorization;
mod books;
mod cache;
mod connector;
mod effect;
mod journal;
mod ledger;
mod local_list;
mod objects;
mod peers;
mod request;
mod reservation;
mod rules;
#[cfg(test)]
mod scenarios;
mod schedule;
mod service;
mod settings;
mod station;
mod status;
mod transaction;

pub use ledger::Ledger;
pub use service::run;
pub use settings::Settings;
