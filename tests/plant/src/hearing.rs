//! What a vehicle board last heard from the station, and when.
//!
//! It keeps and ages the content of the station's frames; what follows from it is decided in `board`.

use std::time::Duration;

use crate::advantics::{FromStation, SequenceBits};

/// Highest voltage a board assumes while the station has not sent its limits.
const DEFAULT_LIMIT_VOLTS: f64 = 1000.0;

/// The station as the board knows it.
#[derive(Clone, Debug)]
pub struct Hearing {
    /// Present output voltage.
    pub volts: f64,
    /// Present output current.
    pub amperes: f64,
    /// Insulation resistance in units of 2 kΩ.
    pub insulation: u8,
    /// Highest voltage the station offers.
    pub limit_volts: f64,
    /// Largest current the station offers.
    pub limit_amperes: f64,
    /// Sequence bits.
    pub bits: SequenceBits,
    /// The user has asked to stop since this was last looked at.
    pub user_stop: bool,
    system_enable: bool,
    heard_at: Option<Duration>,
}

impl Default for Hearing {
    fn default() -> Self {
        Self {
            volts: 0.0,
            amperes: 0.0,
            insulation: 0,
            limit_volts: DEFAULT_LIMIT_VOLTS,
            limit_amperes: f64::from(u16::MAX) / 10.0,
            bits: SequenceBits::default(),
            user_stop: false,
            system_enable: false,
            heard_at: None,
        }
    }
}

impl Hearing {
    /// Takes over what a frame says.
    pub fn take(&mut self, now: Duration, content: FromStation) {
        match content {
            FromStation::State { volts, amperes, system_enable, insulation } => {
                self.volts = volts;
                self.amperes = amperes;
                self.system_enable = system_enable;
                self.insulation = insulation;
                self.heard_at = Some(now);
            }
            FromStation::Limits { volts, amperes } => {
                self.limit_volts = volts;
                self.limit_amperes = amperes;
            }
            FromStation::Sequence(bits) => {
                self.user_stop |= bits.user_stop && !self.bits.user_stop;
                self.bits = bits;
            }
            FromStation::Other => {}
        }
    }

    /// How long the station's status frame has been missing.
    pub fn silence(&self, now: Duration) -> Duration {
        self.heard_at.map_or(Duration::MAX, |at| now.saturating_sub(at))
    }

    /// True when the status frame heard last allows power.
    pub fn allows_power(&self) -> bool {
        self.system_enable
    }

    /// The insulation resistance in kilohms; the highest value of the frame stands for "good".
    pub fn insulation_kilohms(&self) -> f64 {
        if self.insulation == u8::MAX { f64::INFINITY } else { f64::from(self.insulation) * 2.0 }
    }
}
