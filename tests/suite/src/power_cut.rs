//! The power-cut sweep: one whole scripted session with every kind of durable write in it, lived again and again, each
//! time with the process of session killed at another write. The real session and settings, everybody else scripted.

pub mod central;
pub mod charging;
pub mod life;
pub mod promises;
pub mod script;
pub mod station;
