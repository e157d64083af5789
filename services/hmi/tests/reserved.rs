//! A connector that is reserved, as the driver sees it: the HMI process on a bus of its own, with a scripted session.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test"
)]

mod scripted;

use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::session::{Decision, Reservation, SessionState};
use busbar_interfaces::words::{
    Availability, ConnectorStatus, ConnectorType, Lock, OfferedBy, Phase, Plug, Screen, StopCause,
};
use busbar_interfaces::{
    BoottimeMillis, Condition, ConnectorId, Milliamperes, Millivolts, Percent, ReservationId, TransactionId,
    UnixMillis, Watts, names,
};
use busbar_private_bus::lone::{Lone, until};
use busbar_runtime::{Bus, Object, Shown};
use scripted::{SessionConnector, charge, page, screen};
use zbus::Connection;

struct Session(Shown<SessionState>);

#[zbus::interface(name = "io.busbar.Session1")]
impl Session {
    #[zbus(property)]
    fn journal_id(&self) -> u64 {
        self.0.get(|state| state.journal_id)
    }

    #[zbus(property)]
    fn last_event(&self) -> u64 {
        self.0.get(|state| state.last_event)
    }

    #[zbus(property)]
    fn delivered_event(&self) -> u64 {
        self.0.get(|state| state.delivered_event)
    }

    #[zbus(property)]
    fn availability(&self) -> Availability {
        self.0.get(|state| state.availability)
    }

    #[zbus(property)]
    fn last_decision(&self) -> Decision {
        self.0.get(|state| state.last_decision)
    }

    #[zbus(property)]
    fn local_list_version(&self) -> i32 {
        self.0.get(|state| state.local_list_version)
    }

    #[zbus(property)]
    fn local_list_badges(&self) -> u32 {
        self.0.get(|state| state.local_list_badges)
    }

    #[zbus(property)]
    fn cached_badges(&self) -> u32 {
        self.0.get(|state| state.cached_badges)
    }

    #[zbus(property)]
    fn reservations(&self) -> Vec<Reservation> {
        self.0.get(|state| state.reservations.clone())
    }

    #[zbus(property)]
    fn conditions(&self) -> Vec<Condition> {
        self.0.get(|state| state.conditions.clone())
    }
}

/// Power at a connector with a vehicle that nobody charges yet.
struct Power(PowerConnectorState);

#[zbus::interface(name = "io.busbar.Power1.Connector")]
impl Power {
    #[zbus(property)]
    fn connector_type(&self) -> ConnectorType {
        self.0.connector_type
    }

    #[zbus(property)]
    fn rated_watts(&self) -> Watts {
        self.0.rated_watts
    }

    #[zbus(property)]
    fn plug(&self) -> Plug {
        self.0.plug
    }

    #[zbus(property)]
    fn phase(&self) -> Phase {
        self.0.phase
    }

    #[zbus(property)]
    fn delivery(&self) -> TransactionId {
        self.0.delivery
    }

    #[zbus(property)]
    fn ended_delivery(&self) -> TransactionId {
        self.0.ended_delivery
    }

    #[zbus(property)]
    fn stop_cause(&self) -> StopCause {
        self.0.stop_cause
    }

    #[zbus(property)]
    fn vehicle_id(&self) -> String {
        self.0.vehicle_id.clone()
    }

    #[zbus(property)]
    fn state_of_charge_percent(&self) -> Percent {
        self.0.state_of_charge_percent
    }

    #[zbus(property)]
    fn requested_millivolts(&self) -> Millivolts {
        self.0.requested_millivolts
    }

    #[zbus(property)]
    fn requested_milliamperes(&self) -> Milliamperes {
        self.0.requested_milliamperes
    }

    #[zbus(property)]
    fn output_millivolts(&self) -> Millivolts {
        self.0.output_millivolts
    }

    #[zbus(property)]
    fn output_milliamperes(&self) -> Milliamperes {
        self.0.output_milliamperes
    }

    #[zbus(property)]
    fn limit_watts(&self) -> Watts {
        self.0.limit_watts
    }

    #[zbus(property)]
    fn offered_watts(&self) -> Watts {
        self.0.offered_watts
    }

    #[zbus(property)]
    fn offered_by(&self) -> OfferedBy {
        self.0.offered_by
    }

    #[zbus(property)]
    fn offered_since_boottime_millis(&self) -> BoottimeMillis {
        self.0.offered_since_boottime_millis
    }

    #[zbus(property)]
    fn modules_joined(&self) -> u32 {
        self.0.modules_joined
    }

    #[zbus(property)]
    fn lock(&self) -> Lock {
        self.0.lock
    }

    #[zbus(property)]
    fn plug_celsius(&self) -> i32 {
        self.0.plug_celsius
    }

    #[zbus(property)]
    fn sampled_boottime_millis(&self) -> BoottimeMillis {
        self.0.sampled_boottime_millis
    }
}

async fn plugged(bench: &Lone) -> Bus {
    let bus = Bus::connect(names::POWER, bench.address()).await.expect("the bus is there");
    let state = PowerConnectorState {
        connector_type: ConnectorType::Ccs2,
        rated_watts: Watts(180_000),
        plug: Plug::Plugged,
        phase: Phase::Idle,
        delivery: TransactionId(0),
        ended_delivery: TransactionId(0),
        stop_cause: StopCause::None,
        vehicle_id: String::new(),
        state_of_charge_percent: Percent::UNKNOWN,
        requested_millivolts: Millivolts(0),
        requested_milliamperes: Milliamperes(0),
        output_millivolts: Millivolts(0),
        output_milliamperes: Milliamperes(0),
        limit_watts: Watts::NO_LIMIT,
        offered_watts: Watts(0),
        offered_by: OfferedBy::StationRating,
        offered_since_boottime_millis: BoottimeMillis(0),
        modules_joined: 1,
        lock: Lock::None,
        plug_celsius: busbar_interfaces::power::CELSIUS_UNKNOWN,
        sampled_boottime_millis: BoottimeMillis(0),
    };
    bus.serve(&names::POWER.connector(ConnectorId(1)), Power(state)).await.expect("served");
    bus.claim().await.expect("the name is free");
    bus
}

async fn says(client: &Connection, connector: u32, words: &str) -> Screen {
    let screen = until(words, async || {
        let screen = screen(client, ConnectorId(connector)).await?;
        screen.message.starts_with(words).then_some(screen)
    });
    screen.await.screen
}

#[tokio::test]
async fn tc_046_1_a_reserved_connector_is_told_to_drivers_before_and_after_they_plug_in() {
    let bench = Lone::new(env!("CARGO_BIN_EXE_busbar-hmi"), "").await;
    let bus = Bus::connect(names::SESSION, bench.address()).await.expect("the bus is there");
    let reservation = Reservation {
        reservation: ReservationId(12),
        connector: ConnectorId(1),
        expires_unix_millis: UnixMillis(1_893_456_000_000),
    };
    let kept = SessionState { reservations: vec![reservation], ..SessionState::default() };
    let (root, shown) = Object::new(&bus, names::SESSION.root, kept);
    bus.serve(names::SESSION.root, Session(shown)).await.expect("served");
    let mut connectors = Vec::new();
    for (number, status) in [(1, ConnectorStatus::Reserved), (2, ConnectorStatus::Available)] {
        let path = names::SESSION.connector(ConnectorId(number));
        let (object, shown) = Object::new(&bus, &path, charge(status, 0, 0));
        bus.serve(&path, SessionConnector(shown)).await.expect("served");
        connectors.push(object);
    }
    bus.claim().await.expect("the name is free");
    let client = bench.client().await;
    let _power = plugged(&bench).await;
    let _hmi = bench.start();

    assert_eq!(says(&client, 2, "Welcome.").await, Screen::Welcome);
    // Session and power are not heard in the same moment, nor are the connector and what is reserved.
    says(&client, 1, "Reserved.").await;
    assert!(page(&client).await.contains(r#""message":"Reserved. "#));
    connectors[0].publish(charge(ConnectorStatus::Preparing, 0, 0)).await;
    assert_eq!(says(&client, 1, "Reserved. Please show the badge").await, Screen::PresentBadge);
    root.publish(SessionState::default()).await;
    assert_eq!(says(&client, 1, "Please show your badge.").await, Screen::PresentBadge);
}
