//! Frames of the ADVANTICS generic EVSE protocol v3.6, which a SECC board speaks for CCS and CHAdeMO alike: 29-bit
//! identifiers whose bits 28-24 are the connector, little-endian, 100 ms cycle (hardware notes §3.2). `words` are the
//! meanings, `from_board` and `to_board` the two directions.

mod from_board;
mod to_board;
pub mod words;

pub use from_board::decode;
pub use to_board::{Permission, StationLimits, StationStatus, limits, permission, station_status};
pub use words::{
    Battery, BoardStatus, ChargeLimits, Energy, Function, Inputs, Pilot, PilotState, PowerControl, Session, Voltages,
    Word,
};

#[cfg(test)]
mod tests;
