//! What is wrong with a connector now, as fault codes.

use super::reasons::Reason;
use super::{Connector, Seen, temperature};
use crate::vehicle::BOARD_SILENCE;
use busbar_interfaces::{BoottimeMillis, Condition};
use std::time::Duration;

/// DTC "SECC socket connection fault".
pub const BOARD_SILENT: &str = "0x10000C";
/// DTC "terminal emergency stop pressed".
const EMERGENCY_STOP: &str = "0x100202";
/// DTC "vehicle connector lock control error".
const LOCK: &str = "0x100205";
/// DTC "output relay control error".
const CONTACTOR: &str = "0x100208";
/// DTC "power cabinet water level error", of the terminal's list.
const WATER: &str = "0x10020B";
/// DTC "tilt sensor triggered".
const TILT: &str = "0x10020E";
/// DTC "cable connector over-temperature".
const HEAT: &str = "0x100102";
/// A board that has just started, or one between sessions, may be silent for this time.
const PATIENCE: Duration = Duration::from_secs(1);
/// After the start modules may be silent for this time.
const MODULES_PATIENCE: Duration = Duration::from_secs(2);

impl Connector {
    /// What is wrong with this connector now.
    pub fn conditions(&self, now: BoottimeMillis, seen: &Seen) -> Vec<Condition> {
        let levels = self.port_levels(now, seen).into_iter().chain(self.levels(seen)).flatten();
        let mut conditions: Vec<Condition> = levels.map(|(code, detail)| self.condition(code, detail)).collect();
        for latch in self.run.emergencies.latched() {
            // What is still there is shown as that.
            let shown = |code: &str| conditions.iter().any(|condition| condition.code == code);
            if let Some(code) = latch.reason.meaning().stays.filter(|code| !shown(code)) {
                conditions.push(self.condition(code, latch.text()));
            }
        }
        conditions
    }

    fn condition(&self, code: &str, detail: String) -> Condition {
        Condition { code: code.to_owned(), connector: self.id(), detail }
    }

    /// Those who do not answer.
    fn port_levels(&self, now: BoottimeMillis, seen: &Seen) -> [Option<(&'static str, String)>; 2] {
        let (connector, started) = (self.id(), self.run.started);
        let patience = if self.is_in_use() { BOARD_SILENCE } else { PATIENCE };
        let silent = self.run.vehicle.silence(now, started) > patience && now.since(self.run.looked_from) > patience;
        let none = now.since(started) > MODULES_PATIENCE && seen.output.usable == 0;
        let fitted = seen.output.fitted;
        [
            silent.then(|| (BOARD_SILENT, format!("the SECC board of connector {connector} is silent"))),
            none.then(|| {
                let detail = format!("none of the {fitted} modules of connector {connector} answers or is usable");
                ("0x200001", detail)
            }),
        ]
    }

    /// What sensors and contacts say.
    fn levels(&self, seen: &Seen) -> [Option<(&'static str, String)>; 7] {
        let is = |code: &'static str, there: bool, detail: &str| there.then(|| (code, detail.to_owned()));
        let pressed = seen.board.is_some_and(|board| !board.emergency_stop_healthy());
        let milliamperes = seen.output.current.0;
        let hot = format!("the plug is or was above {} °C and has not cooled down", temperature::HARD_LIMIT);
        [
            is(EMERGENCY_STOP, pressed, "the emergency stop is pressed"),
            is(TILT, seen.board.is_some_and(|board| board.tilted()), "the cabinet is tilted"),
            is(WATER, seen.board.is_some_and(|board| board.water()), "water in the cabinet"),
            is(HEAT, self.run.too_hot, &hot),
            self.run.lock.fault().map(|fault| (LOCK, fault.clone())),
            self.contactor_level(),
            self.run
                .overshoot
                .current_when_off
                .then(|| ("0x200002", format!("{milliamperes} mA flow although every module was told to be off"))),
        ]
    }

    fn contactor_level(&self) -> Option<(&'static str, String)> {
        let found_closed = self.run.delivery.as_ref().is_some_and(|delivery| delivery.id.0 == 0);
        let found = || (CONTACTOR, format!("{}; it is being opened", Reason::FoundClosed.text()));
        let fault = self.run.contactors.fault().map(|fault| (CONTACTOR, fault.clone()));
        fault.or_else(|| found_closed.then(found))
    }
}
