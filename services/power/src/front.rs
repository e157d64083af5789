//! What the bus sees of the cabinet: its objects, and when which of their values is published.

use crate::cabinet::Cabinet;
use crate::objects::{ConnectorObject, RootObject};
use crate::service::Request;
use busbar_interfaces::power::{CanBusState, PowerConnectorState, PowerState};
use busbar_interfaces::{BoottimeMillis, ConnectorId, Milliamperes, Millivolts, names};
use busbar_runtime::{Bus, Desk, Exit, Object, Process};
use std::collections::BTreeMap;
use std::time::Duration;

/// What has changed is published this often at most: hundreds of frames a second come in, and most change nothing.
const AT_ONCE: Duration = Duration::from_millis(20);
/// Measured values are published this often while they flow; everything else at once.
const MEASURED: Duration = Duration::from_secs(1);
/// Counters of the buses and measured values of the modules are published this often.
const COUNTED: Duration = Duration::from_secs(10);

/// The service's objects on the bus.
pub struct Front {
    bus: Bus,
    root: Object<PowerState>,
    connectors: BTreeMap<ConnectorId, Object<PowerConnectorState>>,
    published_at: BoottimeMillis,
    measured_at: BoottimeMillis,
    counted_at: BoottimeMillis,
}

impl Front {
    /// Connects, serves the objects with the first states that they show, and claims the name.
    pub async fn open(
        process: &Process,
        desk: Desk<Request>,
        (root, connectors): (PowerState, Vec<(ConnectorId, PowerConnectorState)>),
    ) -> Result<Front, Exit> {
        let bus = process.connect(None).await?;
        let (root, shown) = Object::new(&bus, names::POWER.root, root);
        bus.serve(names::POWER.root, RootObject { shown }).await?;
        let mut objects = BTreeMap::new();
        for (connector, state) in connectors {
            let path = names::POWER.connector(connector);
            let (object, shown) = Object::new(&bus, &path, state);
            bus.serve(&path, ConnectorObject { connector, desk: desk.clone(), shown }).await?;
            objects.insert(connector, object);
        }
        bus.ready().await?;
        let never = BoottimeMillis(0);
        Ok(Front { bus, root, connectors: objects, published_at: never, measured_at: never, counted_at: never })
    }

    /// The connection.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// It is time to publish what has changed.
    pub fn is_due(&self, now: BoottimeMillis) -> bool {
        now.since(self.published_at) >= AT_ONCE
    }

    /// Publishes what has changed.
    pub async fn publish(&mut self, now: BoottimeMillis, cabinet: &Cabinet) {
        self.published_at = now;
        self.publish_root(now, cabinet).await;
        let measured_due = now.since(self.measured_at) >= MEASURED;
        if measured_due {
            self.measured_at = now;
        }
        for (id, state) in cabinet.connector_states(now) {
            let Some(object) = self.connectors.get(&id) else { continue };
            let shown = object.state();
            // What only measures waits for its turn; a change of anything else takes the fresh values along.
            let with_old_measurements = PowerConnectorState {
                requested_millivolts: shown.requested_millivolts,
                output_millivolts: shown.output_millivolts,
                output_milliamperes: shown.output_milliamperes,
                offered_watts: shown.offered_watts,
                plug_celsius: shown.plug_celsius,
                sampled_boottime_millis: shown.sampled_boottime_millis,
                requested_milliamperes: if (shown.requested_milliamperes.0 == 0)
                    == (state.requested_milliamperes.0 == 0)
                {
                    shown.requested_milliamperes
                } else {
                    state.requested_milliamperes
                },
                ..state.clone()
            };
            let first_current = shown.output_milliamperes.0 == 0 && state.output_milliamperes.0 > 0;
            if measured_due || first_current || with_old_measurements != shown {
                object.publish(state).await;
            }
        }
    }

    async fn publish_root(&mut self, now: BoottimeMillis, cabinet: &Cabinet) {
        let state = cabinet.state(now);
        let shown = self.root.state();
        if now.since(self.counted_at) < COUNTED && without_counts(state.clone()) == without_counts(shown) {
            return;
        }
        self.counted_at = now;
        self.root.publish(state).await;
    }
}

/// What is left of the root's state without that which changes all the time.
fn without_counts(mut state: PowerState) -> PowerState {
    for bus in &mut state.can_buses {
        *bus = CanBusState {
            frames_sent: 0,
            frames_received: 0,
            frames_dropped: 0,
            error_frames: 0,
            transmit_errors: 0,
            receive_errors: 0,
            load_permille: 0,
            ..bus.clone()
        };
    }
    for module in &mut state.modules {
        (module.output_millivolts, module.output_milliamperes) = (Millivolts(0), Milliamperes(0));
        module.inlet_celsius = 0;
    }
    state
}
