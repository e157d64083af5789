//! `io.busbar.Faults1`: which fault codes are active, what they mean, and what was wrong before. When this process dies,
//! the detectors go on acting by themselves; when it is back it reads their levels again, and a fault that has been
//! there all the time is still the same one.

mod catalogue;
mod history;
mod objects;
mod register;
mod service;
mod settings;

pub use history::History;
pub use service::run;
pub use settings::Settings;
