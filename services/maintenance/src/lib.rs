//! `io.busbar.Maintenance1`: which services of the suite are there, reports for the technician, and the restart of the
//! station. When this process dies, reports that were written are still there, and a restart goes on when it is back;
//! nothing else of the station depends on it.

mod collect;
mod machine;
mod objects;
mod order;
mod reset;
mod restart;
mod roster;
mod service;
mod settings;
mod shelf;

pub use order::OrderFile;
pub use reset::Limits;
pub use service::run;
pub use settings::Settings;
pub use shelf::Shelf;
