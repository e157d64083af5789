//! `io.busbar.Service1`: what every service tells about itself at its root object.

use crate::bus::Bus;
use crate::clock::Moment;
use crate::exit::Exit;
use crate::object::{Object, Shown};
use busbar_interfaces::UnixMillis;
use busbar_interfaces::service::ServiceState;
use std::path::Path;

/// Serves the interface at the service's root.
///
/// # Errors
/// [`Exit::Bus`] when it cannot be served.
pub async fn serve(
    bus: &Bus,
    root: &str,
    version: &str,
    started: Moment,
    set_aside: Option<&Path>,
) -> Result<(), Exit> {
    let state = ServiceState {
        version: version.to_owned(),
        process_id: std::process::id(),
        started_unix_millis: started.unix,
        set_aside_files: set_aside.map(|file| file.display().to_string()).into_iter().collect(),
    };
    let (_, shown) = Object::new(bus, root, state);
    bus.serve(root, ServiceObject { shown }).await
}

struct ServiceObject {
    shown: Shown<ServiceState>,
}

/// What a Busbar process tells about itself.
#[zbus::interface(name = "io.busbar.Service1", spawn = false)]
impl ServiceObject {
    /// Version of the program.
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> String {
        self.shown.get(|state| state.version.clone())
    }

    /// The process.
    #[zbus(property(emits_changed_signal = "const"))]
    fn process_id(&self) -> u32 {
        self.shown.get(|state| state.process_id)
    }

    /// When it started, in milliseconds since 1970.
    #[zbus(property(emits_changed_signal = "const"))]
    fn started_unix_millis(&self) -> UnixMillis {
        self.shown.get(|state| state.started_unix_millis)
    }

    /// Damaged databases that were found at the start, under the names that they were set aside as.
    #[zbus(property(emits_changed_signal = "const"))]
    fn set_aside_files(&self) -> Vec<String> {
        self.shown.get(|state| state.set_aside_files.clone())
    }
}
