//! `io.busbar.SmartCharging1`: the limit of each connector now, held at power under a lease. Owns the truth about
//! limits. When this process dies its last limits hold until their lease ends, then the station file's fallback.
//! Charging profiles are not built yet: the site's connection is what limits.

mod objects;
mod service;
mod settings;
mod sharing;

pub use service::run;
pub use settings::Settings;
