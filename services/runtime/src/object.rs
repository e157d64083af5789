//! An object whose state is published: the getters read it, changes go out in one `PropertiesChanged`, and a value
//! that did not change is not sent.

use crate::bus::Bus;
use busbar_interfaces::{Published, ServiceName};
use std::collections::HashMap;
use tokio::sync::watch;
use zbus::OwnedVariant;
use zbus::wire::serialized::Context;

/// The loop's side of an object: it publishes.
#[derive(Debug)]
pub struct Object<S> {
    state: watch::Sender<S>,
    bus: Bus,
    path: String,
}

/// The getters' side of an object: what was published last.
#[derive(Debug, Clone)]
pub struct Shown<S>(watch::Receiver<S>);

impl<S: Clone> Shown<S> {
    /// One value out of the state.
    pub fn get<T>(&self, value: impl FnOnce(&S) -> T) -> T {
        value(&self.0.borrow())
    }
}

impl<S: Published> Object<S> {
    /// An object at a path with its first state, and what its getters read.
    pub fn new(bus: &Bus, path: &str, state: S) -> (Object<S>, Shown<S>) {
        let (state, shown) = watch::channel(state);
        (Object { state, bus: bus.clone(), path: path.to_owned() }, Shown(shown))
    }

    /// What was published last.
    pub fn state(&self) -> S {
        self.state.borrow().clone()
    }

    /// Publishes a state: all that changed, in one signal.
    pub async fn publish(&self, next: S) {
        if *self.state.borrow() == next {
            return;
        }
        let before = self.state.send_replace(next.clone());
        match changes(&before, &next) {
            Ok(changed) => self.emit(changed).await,
            Err(error) => tracing::error!(path = self.path, %error, "a state cannot be put on the bus"),
        }
    }

    async fn emit(&self, changed: HashMap<String, OwnedVariant>) {
        let invalidated: &[&str] = &[];
        let sent = self
            .bus
            .connection()
            .emit_signal(
                None::<zbus::names::BusName<'_>>,
                self.path.as_str(),
                "org.freedesktop.DBus.Properties",
                "PropertiesChanged",
                &(S::INTERFACE, changed, invalidated),
            )
            .await;
        if let Err(error) = sent {
            // The loop learns of a lost bus from `Bus::lost`; the value is in the state for whoever asks.
            tracing::warn!(path = self.path, %error, "a change could not be sent");
        }
    }
}

/// All properties of a state as the bus carries them.
///
/// # Errors
/// When the state cannot be put into bus values: a fault of the program.
pub fn properties<S: Published>(state: &S) -> Result<HashMap<String, OwnedVariant>, zbus::Error> {
    let context = Context::new(zbus::wire::LE, 0);
    let encoded = zbus::wire::to_bytes(context, state)?;
    let (properties, _) = encoded.deserialize()?;
    Ok(properties)
}

/// A state from the properties that a peer published.
///
/// # Errors
/// When a property is missing or has another type: the peer speaks another version of the interface.
pub fn state_of<S: Published>(properties: &HashMap<String, OwnedVariant>) -> Result<S, zbus::Error> {
    let context = Context::new(zbus::wire::LE, 0);
    let encoded = zbus::wire::to_bytes(context, properties)?;
    let (state, _) = encoded.deserialize()?;
    Ok(state)
}

/// Asks a peer once for the state of one of its objects.
///
/// # Errors
/// When nobody owns the name, the object is not served, or it speaks another version.
pub async fn fetch<S: Published>(bus: &zbus::Connection, peer: ServiceName, path: &str) -> Result<S, zbus::Error> {
    let answer = bus
        .call_method(Some(peer.bus_name), path, Some("org.freedesktop.DBus.Properties"), "GetAll", &(S::INTERFACE))
        .await?;
    state_of(&answer.body().deserialize()?)
}

fn changes<S: Published>(before: &S, next: &S) -> Result<HashMap<String, OwnedVariant>, zbus::Error> {
    let before = properties(before)?;
    let mut next = properties(next)?;
    next.retain(|name, value| before.get(name) != Some(value));
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use busbar_interfaces::metering::{MeterState, Reading};
    use busbar_interfaces::{MilliwattHours, Watts};

    #[test]
    fn a_state_survives_the_bus() {
        let reading = Reading { energy_milliwatt_hours: MilliwattHours(7), watts: Watts(9), ..Reading::default() };
        let state = MeterState { present: true, model: "m".to_owned(), reading };
        let properties = properties(&state).expect("goes on the bus");
        assert_eq!(properties.len(), 3);
        assert_eq!(state_of::<MeterState>(&properties).expect("comes back"), state);
    }

    #[test]
    fn only_what_changed_is_sent() {
        let before = MeterState { present: true, model: "m".to_owned(), reading: Reading::default() };
        let next = MeterState { present: false, ..before.clone() };
        let changed = changes(&before, &next).expect("compares");
        assert_eq!(changed.keys().collect::<Vec<_>>(), ["Present"]);
    }
}
