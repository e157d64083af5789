//! `io.busbar.Maintenance1`: which services of the suite are there, and reports for the technician. When this process
//! dies, reports that were written are still there, and nothing else of the station depends on it.

mod collect;
mod objects;
mod roster;
mod service;
mod settings;
mod shelf;

pub use service::run;
pub use settings::Settings;
pub use shelf::Shelf;
