//! Who is on the modules' bus, compared with the station file; and what is wrong with modules, in words. Pure.

use super::alarm::{self, Severity};
use super::driver::{Address, ModuleDriver, Reply};
use super::rack::Rack;
use super::telemetry::Telemetry;
use crate::can::Frame;
use busbar_interfaces::{BoottimeMillis, Condition, ConnectorId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Everyone is asked this often who is there.
const EVERY: Duration = Duration::from_secs(30);
/// A stranger that has not answered for this time is gone.
const GONE: Duration = Duration::from_secs(75);
/// After the start nobody is missed before this time.
const PATIENCE: Duration = Duration::from_secs(5);

/// Busbar's own: a power module is silent or strange. The others go on: the guide's 0x200001 would stop the station.
const COMMUNICATION: &str = "0xB00007";
/// Busbar's own: a power module reports a fault and is not used. Likewise for 0x200002 and
/// 0x200101.
const FAULT: &str = "0xB00008";

/// Who is on the bus besides the modules of the station file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Discovery {
    asked_next: BoottimeMillis,
    /// Modules that are not in the station file, and when they were heard.
    strangers: BTreeMap<Address, BoottimeMillis>,
    /// How many modules the bus counts.
    counted: Option<u8>,
}

impl Discovery {
    /// Everyone is to be asked at once.
    pub fn ask_now(&mut self) {
        self.asked_next = BoottimeMillis(0);
    }

    /// The question who is there, when it is due.
    pub fn questions_due(&mut self, now: BoottimeMillis, driver: &dyn ModuleDriver) -> Vec<Frame> {
        if now < self.asked_next {
            return Vec::new();
        }
        self.asked_next = now.after(EVERY);
        self.strangers.retain(|_, heard| now.since(*heard) < GONE);
        driver.discover()
    }

    /// A module spoke that is not in the station file.
    pub fn hear_stranger(&mut self, now: BoottimeMillis, address: Address) {
        if self.strangers.insert(address, now).is_none() {
            tracing::warn!(module = address.0, "a module answers that is not in the station file");
        }
    }

    /// The whole system spoke.
    pub fn hear_everyone(&mut self, reply: Reply) {
        if let Reply::Count(count) = reply {
            self.counted = Some(count);
        }
    }
}

fn list(addresses: impl Iterator<Item = Address>) -> String {
    addresses.map(|address| address.0.to_string()).collect::<Vec<_>>().join(", ")
}

impl Rack {
    /// What is wrong with modules, for the station as a whole; none of it stands against a delivery by itself. Without
    /// their bus all are silent, and the bus is the fault.
    pub fn conditions(&self, now: BoottimeMillis) -> Vec<Condition> {
        let condition =
            |code: &str, detail: String| Condition { code: code.to_owned(), connector: ConnectorId::STATION, detail };
        let mut conditions = Vec::new();
        let missing = list(self.modules.values().filter(|each| !each.said.is_heard(now)).map(|each| each.address));
        if !missing.is_empty() && now.since(self.started) >= PATIENCE {
            conditions
                .push(condition(COMMUNICATION, format!("modules of the station file that are silent: {missing}")));
        }
        let unread = |said: &Telemetry| said.is_heard(now) && !said.is_measured(now);
        let unread = list(self.modules.values().filter(|each| unread(&each.said)).map(|each| each.address));
        if !unread.is_empty() && now.since(self.started) >= PATIENCE {
            let detail = format!("modules that answer, but not what volts and amperes they give: {unread}");
            conditions.push(condition(COMMUNICATION, detail));
        }
        let strangers = list(self.discovery.strangers.keys().copied());
        let counted = self.discovery.counted.map_or(0, usize::from);
        if !strangers.is_empty() {
            let detail = format!("modules that answer and are not in the station file: {strangers}");
            conditions.push(condition(COMMUNICATION, detail));
        } else if counted > self.modules.len() {
            let fitted = self.modules.len();
            let detail = format!("{counted} modules are on the bus, {fitted} in the station file");
            conditions.push(condition(COMMUNICATION, detail));
        }
        for module in self.modules.values() {
            let (number, said) = (module.address.0, &module.said);
            if alarm::worst(&said.alarms) >= Severity::Unavailable {
                conditions.push(condition(FAULT, format!("module {number}: {}", alarm::words(&said.alarms))));
            }
            if let (Some(expected), Some(serial)) = (&module.serial, &said.serial)
                && expected != serial
            {
                let detail =
                    format!("module {number} has the serial number {serial}, the station file says {expected}");
                conditions.push(condition(COMMUNICATION, detail));
            }
        }
        conditions
    }
}
