//! What one process of power leaves to the next: the sockets of the CAN buses, and the state of the whole cabinet as it
//! was a moment ago, both kept by the service manager over a crash, a restart and an upgrade. It is advice; what the
//! hardware says comes first. A stop, and a restart of the machine, leave nothing.

use crate::cabinet::{Cabinet, Left, WhichBus};
use crate::settings::Settings;
use busbar_interfaces::BoottimeMillis;
use busbar_runtime::{Descriptors, Notebook};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// The most bytes of the state; it has some tens of thousands.
const SIZE: usize = 512 * 1024;
/// While something runs, the state is noted this often, and before anything is switched.
const OFTEN: Duration = Duration::from_millis(100);
/// At rest.
const SELDOM: Duration = Duration::from_secs(2);
/// A state that is older than this says nothing about a running output: the vehicle has long given up.
const OLDEST: Duration = Duration::from_secs(2);

/// The state as it is noted.
#[derive(Serialize)]
struct Noted<'a> {
    at: BoottimeMillis,
    settings: &'a Settings,
    left: &'a Left,
}

/// The state as it is found.
#[derive(Deserialize)]
struct Found {
    at: BoottimeMillis,
    settings: Settings,
    left: Left,
}

/// What is handed over.
#[derive(Debug)]
pub struct Handover {
    descriptors: Descriptors,
    notebook: Notebook,
    noted_at: BoottimeMillis,
    was_in_use: bool,
}

impl Handover {
    /// What the last process left.
    pub fn open(descriptors: Descriptors) -> Handover {
        let notebook = Notebook::open(&descriptors, "cabinet", SIZE);
        Handover { descriptors, notebook, noted_at: BoottimeMillis(0), was_in_use: false }
    }

    /// The state that the last process left, when it is not too old and the station file is the same.
    pub fn left(&self, now: BoottimeMillis, settings: &Settings) -> Option<Left> {
        let found: Found = self.notebook.read()?;
        let age = now.since(found.at);
        if age > OLDEST {
            tracing::warn!(age_millis = age.as_millis(), "the state of the last process is too old");
            return None;
        }
        if found.settings != *settings {
            tracing::warn!("the station file has changed: the state of the last process does not count");
            return None;
        }
        tracing::info!(age_millis = age.as_millis(), "the state of the last process was found");
        Some(found.left)
    }

    /// The socket of a bus that the last process left open.
    pub fn socket(&self, bus: WhichBus) -> Option<OwnedFd> {
        self.descriptors.take(name(bus))
    }

    /// Keeps the socket of a bus for the next process.
    pub fn keeper(&self, bus: WhichBus) -> impl Fn(OwnedFd) + Send + use<> {
        let descriptors = self.descriptors.clone();
        move |socket| descriptors.keep(name(bus), socket.as_fd())
    }

    /// Notes the state, when it is due, or at once: before something is switched, and as the last word.
    pub fn note(&mut self, now: BoottimeMillis, settings: &Settings, cabinet: &Cabinet, at_once: bool) {
        let in_use = cabinet.is_in_use();
        let every = if in_use { OFTEN } else { SELDOM };
        let changed = std::mem::replace(&mut self.was_in_use, in_use) != in_use;
        if at_once || changed || now.since(self.noted_at) >= every {
            self.noted_at = now;
            // Without it a crash ends in a safe stop instead of going on: degraded, not dangerous. It is logged there.
            self.notebook.write(&Noted { at: now, settings, left: &cabinet.leave() });
        }
    }
}

fn name(bus: WhichBus) -> &'static str {
    match bus {
        WhichBus::Modules => "can-modules",
        WhichBus::Vehicles => "can-vehicles",
    }
}
