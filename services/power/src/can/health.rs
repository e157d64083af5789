//! How a bus fares: state, counts and load. Pure: what happened goes in with its time.

use super::{ErrorFrame, Frame, wire};
use busbar_interfaces::BoottimeMillis;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

/// The load is that of this time.
const LOAD_OVER: Duration = Duration::from_secs(1);

/// What the controller of a bus may do (ISO 11898-1, fault confinement).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BusState {
    /// Everything.
    Active,
    /// Everything, but it has seen so many errors that it may no longer stop others' frames.
    Passive,
    /// Nothing: it has caused so many errors that it has left the bus.
    BusOff,
    /// There is no connection to the bus.
    Down,
}

impl std::fmt::Display for BusState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            BusState::Active => "active",
            BusState::Passive => "passive",
            BusState::BusOff => "bus-off",
            BusState::Down => "down",
        })
    }
}

/// How a bus fares. Counts are since the start of the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Its state.
    pub state: BusState,
    /// Since when.
    pub since: BoottimeMillis,
    /// Frames that were sent.
    pub sent: u64,
    /// Frames that came, also those that were not wanted.
    pub received: u64,
    /// Frames that could not be queued or sent.
    pub dropped: u64,
    /// Error frames that came.
    pub error_frames: u64,
    /// The controller's counter of errors in sending, as it told it last; 0 when it did not.
    pub transmit_errors: u8,
    /// Its counter of errors in receiving, likewise.
    pub receive_errors: u8,
    /// How often it was bus-off.
    pub bus_offs: u64,
    /// The frames of the last second, both ways, in thousandths of what the bit rate carries. Frames that the kernel
    /// filters out are not seen.
    pub load_permille: u16,
}

/// Keeps count of one bus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    health: Health,
    bits_per_second: u32,
    /// Bits on the wire by the millisecond in which they were seen, the oldest first.
    seen: VecDeque<(BoottimeMillis, u64)>,
}

impl Watch {
    /// A bus that is not open yet.
    pub fn new(now: BoottimeMillis, bits_per_second: u32) -> Watch {
        let health = Health {
            state: BusState::Down,
            since: now,
            sent: 0,
            received: 0,
            dropped: 0,
            error_frames: 0,
            transmit_errors: 0,
            receive_errors: 0,
            bus_offs: 0,
            load_permille: 0,
        };
        Watch { health, bits_per_second, seen: VecDeque::new() }
    }

    /// The state.
    pub fn state(&self) -> BusState {
        self.health.state
    }

    /// A frame was sent.
    pub fn sent(&mut self, now: BoottimeMillis, frame: &Frame) {
        self.health.sent = self.health.sent.saturating_add(1);
        self.on_the_wire(now, frame);
    }

    /// A frame came.
    pub fn received(&mut self, now: BoottimeMillis, frame: &Frame) {
        self.health.received = self.health.received.saturating_add(1);
        self.on_the_wire(now, frame);
    }

    fn on_the_wire(&mut self, now: BoottimeMillis, frame: &Frame) {
        let bits = u64::from(wire::bits(frame));
        match self.seen.back_mut() {
            Some((at, sum)) if *at >= now => *sum = sum.saturating_add(bits),
            _ => self.seen.push_back((now, bits)),
        }
        self.forget_old(now);
    }

    fn forget_old(&mut self, now: BoottimeMillis) {
        while self.seen.front().is_some_and(|(at, _)| now.since(*at) >= LOAD_OVER) {
            self.seen.pop_front();
        }
    }

    /// An error frame came.
    pub fn error(&mut self, now: BoottimeMillis, error: &ErrorFrame) {
        self.health.error_frames = self.health.error_frames.saturating_add(1);
        if let Some((transmit, receive)) = error.counters {
            (self.health.transmit_errors, self.health.receive_errors) = (transmit, receive);
        }
        match (self.health.state, error.state) {
            // Word of before the controller left the bus: only its return to the active state ends that.
            (BusState::BusOff, Some(BusState::Passive)) | (_, None) => {}
            (_, Some(state)) => self.enter(now, state),
        }
    }

    /// The bus is in this state from now on.
    pub fn enter(&mut self, now: BoottimeMillis, state: BusState) {
        let before = std::mem::replace(&mut self.health.state, state);
        if before == state {
            return;
        }
        self.health.since = now;
        if state == BusState::BusOff {
            self.health.bus_offs = self.health.bus_offs.saturating_add(1);
        }
        if before == BusState::BusOff || state == BusState::Down {
            // A controller that starts again counts from zero.
            (self.health.transmit_errors, self.health.receive_errors) = (0, 0);
        }
    }

    /// How the bus fares now; the frames that were dropped are counted by those who drop them.
    pub fn health(&mut self, now: BoottimeMillis, dropped: u64) -> Health {
        self.forget_old(now);
        let bits: u64 = self.seen.iter().map(|(_, bits)| *bits).fold(0, u64::saturating_add);
        let permille = bits.saturating_mul(1000).checked_div(u64::from(self.bits_per_second)).unwrap_or(0);
        self.health.load_permille = u16::try_from(permille).unwrap_or(u16::MAX);
        self.health.dropped = dropped;
        self.health.clone()
    }
}

#[cfg(test)]
mod tests;
