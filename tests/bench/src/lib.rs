//! A whole station on one machine: a private bus, the simulated hardware, every service under a small service
//! manager that restarts what exits and keeps its descriptors, a machine that restarts when it is asked to, and a CSMS unless there is one
//! already. The program is `busbar-bench`; tests use the library.

#![allow(clippy::disallowed_methods, reason = "the bench lays out the files of a station, as packages would")]

pub mod bench;
mod children;
pub mod demo;
mod descriptor_store;
mod failure;
mod machine;
mod measure;
mod notifications;
pub mod program;
pub mod station_file;
pub mod supervisor;
pub mod systemd;

pub use bench::{Bench, Options, wait_for};
pub use failure::Failure;
pub use machine::Machine;
