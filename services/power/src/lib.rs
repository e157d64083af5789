//! `io.busbar.Power1`: power modules, contactors, the vehicle side, and the leases that command them. Owns the truth
//! about what the hardware is doing. When this process dies the modules go on with their last set-points; back in
//! time, it looks at board, contactors, modules and its own record, and takes the output over if all agree. Anything
//! else is a safe stop, and so is a planned stop of the service.
//!
//! What the software does not do: the voltage at the cable is never measured, only that of the modules. Assumed wired:
//! a voltage sensor of the SECC board at the cable, which it uses for its weld check, and a watchdog relay in the supply
//! of the coils. After a session the cable is emptied through the resistor for up to 10 s, without proof that it is
//! empty. `fallback_limit_watts` holds whenever nobody holds a limit; where the mains cannot carry the station's rating,
//! it must be set to what they carry, because its default is that rating.

mod advantics;
mod cabinet;
mod can;
mod connector;
mod contactors;
mod infypower;
mod io;
mod limit;
mod matrix;
mod objects;
mod rack;
mod record;
#[cfg(test)]
mod scenarios;
mod service;
mod settings;
mod socketcan_port;
mod socketcand_port;
mod supervision;
mod vehicle;

pub use record::Record;
pub use service::run;
pub use settings::Settings;
