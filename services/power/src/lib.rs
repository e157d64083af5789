//! `io.busbar.Power1`: power modules, contactors, the vehicle side, and the leases that command them. Owns the truth
//! about what the hardware is doing. When this process dies the modules go on with their last set-points; back in
//! time, it looks at board, contactors, modules and its own record, and takes the output over if all agree. Anything
//! else is a safe stop.

mod advantics;
mod cabinet;
mod can;
mod connector;
mod infypower;
mod io;
mod limit;
mod objects;
mod rack;
mod record;
#[cfg(test)]
mod scenarios;
mod service;
mod settings;
mod socketcan_port;
mod socketcand_port;
mod vehicle;

pub use record::Record;
pub use service::run;
pub use settings::Settings;
