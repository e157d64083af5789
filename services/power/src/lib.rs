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
//!
//! Two vehicles are kept apart twice (hardware notes §6.2, rule 4): the sharing looks before it orders a relay or a
//! contactor, and the I/O port, with code and a picture of its own, before it writes a coil. Both stand in this process: the
//! notes' second process is the port's task here, and an interlock in the wiring is a third.
//!
//! An emergency is latched with the ten seconds before it. What could hurt somebody (emergency stop, tilt, insulation,
//! a contactor, too much voltage or current, a short circuit in the cable check) stays until its cause has gone and the
//! vehicle too, or somebody resets it; the weld check at the end of every session must have passed in any case. What
//! needs an answer in 9 ms (over-voltage, IEC 61851-23 table 103) is a comparator's work, not a process's.

mod cabinet;
mod can;
mod connector;
mod figures;
mod front;
mod handover;
mod io;
mod modules;
mod objects;
#[cfg(test)]
mod scenarios;
mod service;
mod settings;
mod sharing;
mod vehicle;
mod watchdogs;
mod wear;

pub use service::run;
pub use settings::Settings;
