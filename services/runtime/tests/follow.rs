//! Following a peer that is absent, appears, changes, dies and returns, and that others try to speak for.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test"
)]

mod idle;

use busbar_interfaces::metering::{MeterState, Reading};
use busbar_interfaces::service::ServiceState;
use busbar_interfaces::{ConnectorId, Published, Watts, names};
use busbar_private_bus::PrivateBus;
use busbar_runtime::{Bus, Object, Shown, View, follow, object};
use idle::LIMIT;
use std::collections::HashMap;
use tokio::sync::mpsc;
use tokio::time::timeout;
use zbus::OwnedVariant;

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

fn path() -> String {
    names::METERING.connector(ConnectorId(1))
}

fn reading(watts: i64) -> Reading {
    Reading { watts: Watts(watts.try_into().expect("fits")), ..Reading::default() }
}

fn meter(model: &str, watts: i64) -> MeterState {
    MeterState { present: true, model: model.to_owned(), reading: reading(watts) }
}

struct Meter(Shown<MeterState>);

#[zbus::interface(name = "io.busbar.Metering1.Meter", spawn = false)]
impl Meter {
    #[zbus(property)]
    fn present(&self) -> bool {
        self.0.get(|state| state.present)
    }

    #[zbus(property)]
    fn model(&self) -> String {
        self.0.get(|state| state.model.clone())
    }

    #[zbus(property)]
    fn reading(&self) -> Reading {
        self.0.get(|state| state.reading.clone())
    }
}

/// A metering service with one meter; it is gone when this is dropped.
struct Peer {
    bus: Bus,
    meter: Object<MeterState>,
}

impl Peer {
    /// Serves the object, without the name.
    async fn serve(private: &PrivateBus, state: MeterState) -> Peer {
        let bus = Bus::connect(names::METERING, private.address()).await.expect("the bus is there");
        let (meter, shown) = Object::new(&bus, &path(), state);
        bus.serve(&path(), Meter(shown)).await.expect("served");
        Peer { bus, meter }
    }

    async fn start(private: &PrivateBus, state: MeterState) -> Peer {
        let peer = Peer::serve(private, state).await;
        // A predecessor that was dropped may hold the name until the daemon has seen its end.
        timeout(LIMIT, async { while peer.bus.claim().await.is_err() {} }).await.expect("the name becomes free");
        peer
    }
}

/// What the service under test is told.
struct Told<S>(mpsc::Receiver<View<S>>);

impl<S: Published + Send + 'static> Told<S> {
    async fn of(private: &PrivateBus, path: String) -> Told<S> {
        let bus = Bus::connect(names::SESSION, private.address()).await.expect("the bus is there");
        let (sender, told) = mpsc::channel(4);
        tokio::spawn(follow(bus, names::METERING, path, sender, |view| view));
        Told(told)
    }

    async fn next(&mut self) -> View<S> {
        timeout(LIMIT, self.0.recv()).await.expect("news in time").expect("follow goes on")
    }
}

#[tokio::test]
async fn a_peer_is_absent_comes_changes_goes_and_returns() {
    let private = PrivateBus::start().await.expect("a bus");
    let mut told = Told::of(&private, path()).await;
    assert_eq!(told.next().await, View::Absent, "the first input, while nobody is there");

    let peer = Peer::start(&private, meter("first", 1)).await;
    assert_eq!(told.next().await, View::Present(meter("first", 1)));
    peer.meter.publish(meter("first", 2)).await;
    assert_eq!(told.next().await, View::Present(meter("first", 2)));
    drop(peer);
    assert_eq!(told.next().await, View::Absent);

    let peer = Peer::start(&private, meter("second", 3)).await;
    assert_eq!(told.next().await, View::Present(meter("second", 3)), "the new values, not the remembered ones");
    peer.meter.publish(meter("second", 4)).await;
    assert_eq!(told.next().await, View::Present(meter("second", 4)), "the new peer is followed too");
}

#[tokio::test]
async fn a_peer_that_is_there_already_is_the_first_input() {
    let private = PrivateBus::start().await.expect("a bus");
    let _peer = Peer::start(&private, meter("early", 1)).await;
    let mut told = Told::of(&private, path()).await;
    assert_eq!(told.next().await, View::Present(meter("early", 1)));
}

#[tokio::test]
async fn a_process_that_is_killed_is_absent_and_its_successor_is_seen() {
    let private = PrivateBus::start().await.expect("a bus");
    let root = idle::root(&["[metering]\n"]);
    let mut told = Told::<ServiceState>::of(&private, names::METERING.root.to_owned()).await;
    assert_eq!(told.next().await, View::Absent);
    for _ in 0..3 {
        let mut process = idle::command(private.address(), root.path()).spawn().expect("starts");
        let view = told.next().await;
        assert_eq!(view.present().map(|state| state.process_id), process.id());
        process.kill().await.expect("SIGKILL");
        assert_eq!(told.next().await, View::Absent);
    }
}

/// Emits what the real owner would emit; when this returns, the daemon has passed it on.
async fn forge(private: &PrivateBus, state: &MeterState) {
    let forger = private.connect().await.expect("a client");
    let changed: HashMap<String, OwnedVariant> = object::properties(state).expect("values");
    let invalidated: &[&str] = &[];
    let body = (MeterState::INTERFACE, changed, invalidated);
    let nobody = None::<zbus::names::BusName<'_>>;
    forger.emit_signal(nobody, path().as_str(), PROPERTIES, "PropertiesChanged", &body).await.expect("sent");
    // The daemon serves one client in order: when it answers, it has seen the signal.
    let daemon = zbus::fdo::DBusProxy::new(&forger).await.expect("a proxy");
    daemon.get_id().await.expect("an answer");
}

#[tokio::test]
async fn who_does_not_own_the_name_changes_nothing() {
    let private = PrivateBus::start().await.expect("a bus");
    let mut told = Told::of(&private, path()).await;
    assert_eq!(told.next().await, View::Absent);
    forge(&private, &meter("forged", 9)).await;
    let peer = Peer::start(&private, meter("real", 1)).await;
    assert_eq!(told.next().await, View::Present(meter("real", 1)), "not the forged one before it");

    forge(&private, &meter("forged", 9)).await;
    // Only the reading goes out, so a forged model would still be there.
    peer.meter.publish(meter("real", 2)).await;
    assert_eq!(told.next().await, View::Present(meter("real", 2)));
}

#[tokio::test]
async fn an_owner_that_does_not_serve_the_object_is_absent() {
    let private = PrivateBus::start().await.expect("a bus");
    let other = Peer::start(&private, meter("of connector 1", 1)).await;
    let mut told = Told::of(&private, names::METERING.connector(ConnectorId(2))).await;
    assert_eq!(told.next().await, View::<MeterState>::Absent);
    // What happens at its other objects is no news here.
    other.meter.publish(meter("of connector 1", 2)).await;
    drop(other);

    // From an owner without the object to one with it: the first news is the object.
    let state = meter("of connector 2", 1);
    let bus = Bus::connect(names::METERING, private.address()).await.expect("the bus is there");
    let (_object, shown) = Object::new(&bus, &names::METERING.connector(ConnectorId(2)), state.clone());
    bus.serve(&names::METERING.connector(ConnectorId(2)), Meter(shown)).await.expect("served");
    timeout(LIMIT, async { while bus.claim().await.is_err() {} }).await.expect("the name becomes free");
    assert_eq!(told.next().await, View::Present(state));
}

#[tokio::test]
async fn an_owner_that_stays_silent_is_absent() {
    let private = PrivateBus::start().await.expect("a bus");
    // A connection that serves nothing at all does not answer calls: it looks like a process that hangs.
    let silent = Bus::connect(names::METERING, private.address()).await.expect("the bus is there");
    silent.claim().await.expect("the name is free");
    let mut told = Told::<MeterState>::of(&private, path()).await;
    // It gets two chances of five seconds.
    let view = timeout(LIMIT * 2, told.0.recv()).await.expect("in time");
    assert_eq!(view, Some(View::Absent));
    drop(silent);
    let _peer = Peer::start(&private, meter("awake", 1)).await;
    assert_eq!(told.next().await, View::Present(meter("awake", 1)));
}

struct Older;

#[zbus::interface(name = "io.busbar.Metering1.Meter", spawn = false)]
impl Older {
    #[zbus(property)]
    fn present(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn an_owner_that_speaks_another_version_is_absent() {
    let private = PrivateBus::start().await.expect("a bus");
    let bus = Bus::connect(names::METERING, private.address()).await.expect("the bus is there");
    bus.serve(&path(), Older).await.expect("served");
    bus.claim().await.expect("the name is free");
    let mut told = Told::<MeterState>::of(&private, path()).await;
    assert_eq!(told.next().await, View::Absent);
}

#[tokio::test]
async fn a_change_of_another_interface_at_the_path_is_not_news() {
    let private = PrivateBus::start().await.expect("a bus");
    let peer = Peer::start(&private, meter("real", 1)).await;
    let mut told = Told::of(&private, path()).await;
    assert_eq!(told.next().await, View::Present(meter("real", 1)));
    let changed: HashMap<String, OwnedVariant> = object::properties(&meter("other", 9)).expect("values");
    let invalidated: &[&str] = &[];
    let body = ("io.busbar.Other1", changed, invalidated);
    let nobody = None::<zbus::names::BusName<'_>>;
    let connection = peer.bus.connection();
    connection.emit_signal(nobody, path().as_str(), PROPERTIES, "PropertiesChanged", &body).await.expect("sent");
    peer.meter.publish(meter("real", 2)).await;
    assert_eq!(told.next().await, View::Present(meter("real", 2)));
}

#[tokio::test]
async fn following_ends_with_the_bus_and_with_its_listener() {
    let private = PrivateBus::start().await.expect("a bus");
    let bus = Bus::connect(names::SESSION, private.address()).await.expect("the bus is there");
    let (sender, mut told) = mpsc::channel(4);
    let following = follow(bus.clone(), names::METERING, path(), sender, |view: View<MeterState>| view);
    let following = tokio::spawn(following);
    assert_eq!(told.recv().await, Some(View::Absent));
    drop(told);
    timeout(LIMIT, following).await.expect("it ends with its listener").expect("no panic");

    let (sender, mut told) = mpsc::channel(4);
    let following = tokio::spawn(follow(bus, names::METERING, path(), sender, |view: View<MeterState>| view));
    assert_eq!(told.recv().await, Some(View::Absent));
    private.stop().await;
    timeout(LIMIT, following).await.expect("it ends with the bus").expect("no panic");
}
