//! Chaos on purpose: the real ocpp, session and settings on a bus of their own, with a scripted car park, a CSMS on a bad
//! day and somebody who kills processes. One seed is one run; what must hold afterwards is judged from session's journal
//! and from what the CSMS has recorded.

pub mod judge;
pub mod peers;
pub mod plan;
pub mod processes;
pub mod run;
