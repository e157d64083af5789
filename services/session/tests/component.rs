//! The session process on a bus of its own: what its object promises outlives the process, and power, faults, the
//! meter and the CSMS may all be away.

#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::panic, missing_docs, reason = "a test")]

use busbar_interfaces::ocpp::Authorization;
use busbar_interfaces::session::{LocalListEntry, SessionConnectorState, SessionProxy, SessionState};
use busbar_interfaces::settings::SettingsState;
use busbar_interfaces::words::{
    AuthorizationStatus, Availability, AvailabilityVerdict, BadgeOutcome, ConnectorStatus, DecisionReason, KeyOrigin,
    ListVerdict, ReservationVerdict, StopReason, Verdict,
};
use busbar_interfaces::{BoottimeMillis, CallError, ConnectorId, ReservationId, TransactionId, UnixMillis, names};
use busbar_private_bus::lone::{Lone, until};
use busbar_runtime::object::fetch;
use busbar_runtime::{Bus, Object, Shown};
use std::collections::BTreeMap;
use zbus::Connection;
use zbus::proxy::CacheProperties;

const PROGRAM: &str = env!("CARGO_BIN_EXE_busbar-session");
const ONE: ConnectorId = ConnectorId(1);
const TWO: ConnectorId = ConnectorId(2);
const LATER: BoottimeMillis = BoottimeMillis(u64::MAX);

async fn session(client: &Connection) -> SessionProxy<'static> {
    until("the session", async || fetch::<SessionState>(client, names::SESSION, names::SESSION.root).await.ok()).await;
    let proxy = SessionProxy::builder(client).cache_properties(CacheProperties::No).build().await;
    proxy.expect("a proxy")
}

/// The configuration keys of a station, as settings shows them, until this is dropped.
async fn settings(bench: &Lone, keys: &[(&str, &str)]) -> (Bus, Object<SettingsState>) {
    let bus = Bus::connect(names::SETTINGS, bench.address()).await.expect("the bus is there");
    let values = keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let state = SettingsState { values, ..SettingsState::default() };
    let (object, shown) = Object::new(&bus, names::SETTINGS.root, state);
    bus.serve(names::SETTINGS.root, SettingsObject(shown)).await.expect("served");
    bus.claim().await.expect("the name is free");
    (bus, object)
}

struct SettingsObject(Shown<SettingsState>);

#[zbus::interface(name = "io.busbar.Settings1")]
impl SettingsObject {
    #[zbus(property)]
    fn values(&self) -> BTreeMap<String, String> {
        self.0.get(|state| state.values.clone())
    }

    #[zbus(property)]
    fn read_only_keys(&self) -> Vec<String> {
        self.0.get(|state| state.read_only_keys.clone())
    }

    #[zbus(property)]
    fn secrets(&self) -> BTreeMap<String, u64> {
        self.0.get(|state| state.secrets.clone())
    }
}

async fn root(client: &Connection) -> SessionState {
    fetch(client, names::SESSION, names::SESSION.root).await.expect("the root")
}

async fn connector(client: &Connection, id: ConnectorId) -> SessionConnectorState {
    fetch(client, names::SESSION, &names::SESSION.connector(id)).await.expect("a connector")
}

#[tokio::test]
async fn case_21_case_b24_an_order_is_answered_when_it_is_on_disk_and_is_there_after_a_kill() {
    let bench = Lone::new(PROGRAM, "").await;
    let client = bench.client().await;
    let running = bench.start();
    let proxy = session(&client).await;
    let order = async |connector, availability| {
        proxy.set_availability(connector, availability, KeyOrigin::Csms, LATER).await.expect("a verdict")
    };
    assert_eq!(order(ConnectorId(3), Availability::Inoperative).await, AvailabilityVerdict::Rejected);
    assert_eq!(order(ConnectorId::STATION, Availability::Inoperative).await, AvailabilityVerdict::Accepted);
    assert_eq!(order(TWO, Availability::Operative).await, AvailabilityVerdict::Accepted);
    drop(running);

    let _running = bench.start();
    session(&client).await;
    assert_eq!(root(&client).await.availability, Availability::Inoperative);
    assert_eq!(connector(&client, ONE).await.availability, Availability::Inoperative);
    let two = connector(&client, TWO).await;
    assert_eq!((two.availability, two.availability_is_scheduled), (Availability::Operative, false));
    until("the status", async || (connector(&client, ONE).await.status == ConnectorStatus::Unavailable).then_some(()))
        .await;
}

#[tokio::test]
async fn tc_034_an_order_for_the_station_is_there_after_a_power_failure() {
    let bench = Lone::new(PROGRAM, "").await;
    let client = bench.client().await;
    let running = bench.start();
    let order = session(&client).await;
    let inoperative = Availability::Inoperative;
    order.set_availability(ConnectorId::STATION, inoperative, KeyOrigin::Engineer, LATER).await.expect("a verdict");
    drop(running);
    bench.restart_the_machine();
    let _running = bench.start();
    session(&client).await;
    assert_eq!(root(&client).await.availability, inoperative);
    for id in [ONE, TWO] {
        until("the status", async || {
            (connector(&client, id).await.status == ConnectorStatus::Unavailable).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn an_order_that_comes_late_or_in_unknown_words_changes_nothing() {
    let bench = Lone::new(PROGRAM, "").await;
    let client = bench.client().await;
    let _running = bench.start();
    let proxy = session(&client).await;
    let inoperative = Availability::Inoperative;
    let late = proxy.set_availability(ONE, inoperative, KeyOrigin::Csms, BoottimeMillis(1)).await;
    assert!(matches!(late, Err(CallError::Expired(_))), "{late:?}");
    let odd = proxy.set_availability(ONE, Availability::Unknown, KeyOrigin::Csms, LATER).await;
    assert!(matches!(odd, Err(CallError::OutOfRange(_))), "{odd:?}");
    let odd = proxy.set_availability(ONE, inoperative, KeyOrigin::Rollback, LATER).await;
    assert!(matches!(odd, Err(CallError::OutOfRange(_))), "{odd:?}");
    assert_eq!(connector(&client, ONE).await.availability, Availability::Operative);
}

#[tokio::test]
async fn a_pause_before_a_reset_is_at_most_ten_minutes_and_outlives_the_process() {
    let bench = Lone::new(PROGRAM, "").await;
    let client = bench.client().await;
    let running = bench.start();
    let proxy = session(&client).await;
    let long = proxy.stop_all(StopReason::SoftReset, 600_001).await;
    assert!(matches!(long, Err(CallError::OutOfRange(_))), "{long:?}");
    proxy.stop_all(StopReason::SoftReset, 600_000).await.expect("taken");
    drop(running);
    let _running = bench.start();
    let proxy = session(&client).await;
    let why = async || {
        let outcome = proxy.present_badge("TAG", ONE, LATER).await.expect("an outcome");
        assert_eq!(outcome, (BadgeOutcome::OutOfService, ONE));
        root(&client).await.last_decision.reason
    };
    assert_eq!(why().await, DecisionReason::NotReady, "no key was ever heard");
    let settings = settings(&bench, &[]).await;
    until("the keys", async || (why().await == DecisionReason::Restarting).then_some(())).await;
    proxy.stop_all(StopReason::SoftReset, 0).await.expect("lifted");
    let free = proxy.present_badge("TAG", ONE, LATER).await.expect("an outcome");
    assert_eq!(free, (BadgeOutcome::NoVehicle, ONE));
    drop(settings);
    let unknown = proxy.stop_transaction(TransactionId(1), StopReason::Remote).await.expect("a verdict");
    assert_eq!(unknown, Verdict::Rejected);
}

#[tokio::test]
async fn tc_043_2_tc_061_1_tc_051_what_the_csms_has_said_of_badges_is_there_after_a_kill() {
    let bench = Lone::new(PROGRAM, "").await;
    let client = bench.client().await;
    let running = bench.start();
    let proxy = session(&client).await;
    let entry = |id_tag: &str| LocalListEntry {
        id_tag: id_tag.to_owned(),
        authorization: Authorization {
            status: AuthorizationStatus::Accepted,
            parent_id_tag: "FLEET".to_owned(),
            expires_unix_millis: UnixMillis(0),
        },
    };
    let update = async |version, is_full, entries: &[LocalListEntry], removed: &[String]| {
        proxy.update_local_list(version, is_full, entries, removed, LATER).await.expect("a verdict")
    };
    assert_eq!(update(1, true, &[entry("A")], &[]).await, ListVerdict::NotSupported, "it is switched off");
    assert_eq!(proxy.clear_cache(LATER).await.expect("a verdict"), Verdict::Rejected, "likewise");
    let keys = [("LocalAuthListEnabled", "true"), ("AuthorizationCacheEnabled", "true")];
    let _settings = settings(&bench, &keys).await;
    until("the keys", async || (root(&client).await.local_list_version == 0).then_some(())).await;
    assert_eq!(update(2, true, &[entry("A"), entry("B")], &[]).await, ListVerdict::Accepted);
    assert_eq!(update(5, false, &[entry("C")], &["a".to_owned()]).await, ListVerdict::Accepted);
    assert_eq!(update(4, false, &[entry("D")], &[]).await, ListVerdict::VersionMismatch);
    assert_eq!(update(6, false, &[entry("D"), entry("d")], &[]).await, ListVerdict::Failed);
    proxy.learn_authorization("E", &entry("E").authorization).await.expect("taken");
    let too_long = proxy.learn_authorization(&"X".repeat(21), &entry("E").authorization).await;
    assert!(matches!(too_long, Err(CallError::OutOfRange(_))), "{too_long:?}");
    let later = UnixMillis(u64::MAX / 2);
    let reserve = proxy.reserve(ReservationId(-1), ONE, "A", "", later, LATER).await.expect("a verdict");
    assert_eq!(reserve, ReservationVerdict::Faulted, "power is away");
    assert_eq!(proxy.cancel_reservation(ReservationId(-1), LATER).await.expect("a verdict"), Verdict::Rejected);
    let known = |state: SessionState| (state.local_list_version, state.local_list_badges, state.cached_badges);
    assert_eq!(known(root(&client).await), (5, 2, 1));
    drop(running);

    let _running = bench.start();
    let proxy = session(&client).await;
    until("what it knew", async || (known(root(&client).await) == (5, 2, 1)).then_some(())).await;
    assert_eq!(proxy.clear_cache(LATER).await.expect("a verdict"), Verdict::Accepted);
    assert_eq!(known(root(&client).await), (5, 2, 0));
}

#[tokio::test]
async fn the_journal_keeps_its_name() {
    let bench = Lone::new(PROGRAM, "").await;
    let client = bench.client().await;
    let running = bench.start();
    session(&client).await;
    let state = root(&client).await;
    assert!(state.journal_id > 0);
    assert_eq!((state.last_event, state.delivered_event), (0, 0));
    drop(running);
    let _running = bench.start();
    session(&client).await;
    assert_eq!(root(&client).await.journal_id, state.journal_id);
}
