//! What the modules of one connector do together. Pure.

use super::deliver::Spread;
use super::module::{Hold, Module};
use super::rack::Rack;
use crate::figures::DEAD;
use busbar_interfaces::{BoottimeMillis, ConnectorId, Milliamperes, Millivolts, Watts};
use serde::{Deserialize, Serialize};

/// What the modules of one connector do together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Output {
    /// Modules that are heard and usable.
    pub usable: u32,
    /// Modules of this connector.
    pub fitted: u32,
    /// Modules that share the current now; the others that are on wait without.
    pub giving: u32,
    /// The highest of their voltages.
    pub voltage: Millivolts,
    /// The sum of their currents; one that was told to deliver counts with its last reading until it must be off.
    pub current: Milliamperes,
    /// All are told to be off, and at least two readings since say that no current flows.
    pub at_rest: bool,
    /// What they can give together.
    pub power: Watts,
    /// Likewise.
    pub most_current: Milliamperes,
    /// A module that was told to deliver has not been heard for 2 s, and is neither back nor surely off.
    pub lost_one_in_use: bool,
    /// Each of them has been read, or must be off.
    pub current_known: bool,
    /// Each that is told to deliver has been read by this process.
    pub looked_at: bool,
    /// Each of those is joined with the connector's bus.
    pub joined: bool,
    /// When the oldest of the readings was taken; zero when there is none.
    pub sampled: BoottimeMillis,
}

impl Rack {
    /// What the modules of a connector do.
    pub fn output(&self, now: BoottimeMillis, connector: ConnectorId) -> Output {
        let (started, can) = (self.started, self.capabilities());
        let delivers = self.owned(connector).any(Module::is_on);
        let mut output = Output { at_rest: true, current_known: true, ..Output::default() };
        let mut sampled: Option<BoottimeMillis> = None;
        for module in self.owned(connector) {
            let said = &module.said;
            let must_be_off = module.must_be_off(now, started, &can);
            let measured = said.is_measured(now);
            output.fitted = output.fitted.saturating_add(1);
            output.at_rest &= module.is_at_rest(now, started, &can);
            output.current_known &= measured || must_be_off;
            output.lost_one_in_use |= (module.lost && !must_be_off) || (module.is_on() && !measured);
            if let Some(at) = said.measured_at().filter(|_| !must_be_off) {
                output.current.0 = output.current.0.saturating_add(said.current.0);
                output.voltage = output.voltage.max(said.voltage);
                if measured {
                    sampled = Some(sampled.map_or(at, |sampled| sampled.min(at)));
                }
            }
            // While others deliver, one that is not joined does not help.
            if said.is_usable(now) && module.hold != Hold::Off && (module.joined || !delivers) {
                output.power.0 = output.power.0.saturating_add(module.power().0);
                let most = said.ratings.maximum_current.min(said.cap.unwrap_or(said.ratings.maximum_current));
                output.most_current.0 = output.most_current.0.saturating_add(most.0);
            }
            output.usable = output.usable.saturating_add(u32::from(said.is_usable(now)));
        }
        let giving = self.spreads.get(&connector).map_or(0, Spread::count);
        output.giving = u32::try_from(giving).unwrap_or(u32::MAX);
        let on = || self.owned(connector).filter(|module| module.is_on());
        output.looked_at = on().all(|module| module.said.measured_at().is_some_and(|at| at >= self.looked_from));
        output.joined = on().all(|module| module.joined);
        output.sampled = sampled.unwrap_or_default();
        output
    }

    /// Modules that are heard.
    pub fn present(&self, now: BoottimeMillis) -> u32 {
        u32::try_from(self.modules.values().filter(|module| module.said.is_heard(now)).count()).unwrap_or(u32::MAX)
    }
}

impl Module {
    /// What it can give now: its rating, and less when it says so.
    pub(super) fn power(&self) -> Watts {
        let rated = self.said.ratings.power;
        self.said.cap.filter(|_| self.said.voltage >= DEAD).map_or(rated, |cap| rated.min(self.said.voltage.power(cap)))
    }
}
