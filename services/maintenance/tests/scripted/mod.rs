//! The peers that a restart of the station meets, each with a script: `session`, `ocpp`, `settings` and the machine.

use busbar_interfaces::ocpp::OcppState;
use busbar_interfaces::session::{Decision, Reservation, SessionConnectorState, SessionState};
use busbar_interfaces::settings::SettingsState;
use busbar_interfaces::words::{AuthorizationSource, Availability, ConnectorStatus, Link, Registration, StopReason};
use busbar_interfaces::{
    BoottimeMillis, CallError, Condition, ConnectorId, MilliwattHours, ServiceName, TransactionId, UnixMillis, names,
};
use busbar_private_bus::lone::Lone;
use busbar_runtime::{Bus, Object, Shown};
use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex};
use zbus::{Connection, fdo};

/// What a peer does when it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// What it should.
    Obeys,
    /// It says yes and does nothing.
    Idles,
    /// It says no.
    Refuses,
    /// It does not answer.
    Hangs,
    /// It loses its connection to the bus.
    Dies,
}

/// The calls that a peer got.
pub type Calls<T> = Arc<Mutex<Vec<T>>>;

async fn connect(bench: &Lone, service: ServiceName) -> Bus {
    Bus::connect(service, bench.address()).await.expect("the bus is there")
}

/// `session` with a charge on connector 1.
pub struct Session {
    pub stops: Calls<(StopReason, u32)>,
    pub bus: Bus,
    root: Arc<Object<SessionState>>,
    connectors: Arc<Vec<Object<SessionConnectorState>>>,
}

impl Session {
    pub async fn start(bench: &Lone, script: Script) -> Session {
        let bus = connect(bench, names::SESSION).await;
        let mut connectors = Vec::new();
        for number in [1, 2] {
            let path = names::SESSION.connector(ConnectorId(number));
            let (object, shown) = Object::new(&bus, &path, connector(if number == 1 { 4 } else { 0 }));
            bus.serve(&path, ConnectorObject(shown)).await.expect("served");
            connectors.push(object);
        }
        let state = SessionState { journal_id: 1, last_event: 7, delivered_event: 7, ..SessionState::default() };
        let (root, shown) = Object::new(&bus, names::SESSION.root, state);
        let session = Session { stops: Calls::default(), bus, root: Arc::new(root), connectors: Arc::new(connectors) };
        let (stops, bus) = (session.stops.clone(), session.bus.clone());
        let (root, connectors) = (session.root.clone(), session.connectors.clone());
        let object = SessionObject { script, shown, stops, bus, root, connectors };
        session.bus.serve(names::SESSION.root, object).await.expect("served");
        session.bus.claim().await.expect("the name is free");
        session
    }

    pub fn stops(&self) -> Vec<(StopReason, u32)> {
        self.stops.lock().expect("sound").clone()
    }
}

fn connector(transaction: u64) -> SessionConnectorState {
    SessionConnectorState {
        status: ConnectorStatus::Charging,
        availability: Availability::Operative,
        availability_is_scheduled: false,
        status_since_unix_millis: UnixMillis(1),
        fault_code: String::new(),
        transaction: TransactionId(transaction),
        authorized_by: AuthorizationSource::Csms,
        last_transaction: TransactionId(4 - transaction),
        started_unix_millis: UnixMillis(1),
        energy_milliwatt_hours: MilliwattHours(1),
        last_stop_reason: StopReason::Local,
    }
}

struct SessionObject {
    script: Script,
    shown: Shown<SessionState>,
    stops: Calls<(StopReason, u32)>,
    bus: Bus,
    root: Arc<Object<SessionState>>,
    connectors: Arc<Vec<Object<SessionConnectorState>>>,
}

#[zbus::interface(name = "io.busbar.Session1")]
impl SessionObject {
    async fn stop_all(&self, reason: StopReason, no_start_millis: u32) -> Result<(), CallError> {
        self.stops.lock().expect("sound").push((reason, no_start_millis));
        match self.script {
            Script::Obeys => {
                self.connectors[0].publish(connector(0)).await;
                self.root.publish(SessionState { last_event: 8, ..self.root.state() }).await;
                Ok(())
            }
            Script::Idles => Ok(()),
            Script::Refuses => Err(CallError::Busy("scripted".to_owned())),
            Script::Hangs => pending().await,
            Script::Dies => {
                self.bus.connection().clone().close().await.expect("closed");
                pending().await
            }
        }
    }

    #[zbus(property)]
    fn journal_id(&self) -> u64 {
        self.shown.get(|state| state.journal_id)
    }

    #[zbus(property)]
    fn last_event(&self) -> u64 {
        self.shown.get(|state| state.last_event)
    }

    #[zbus(property)]
    fn delivered_event(&self) -> u64 {
        self.shown.get(|state| state.delivered_event)
    }

    #[zbus(property)]
    fn availability(&self) -> Availability {
        self.shown.get(|state| state.availability)
    }

    #[zbus(property)]
    fn last_decision(&self) -> Decision {
        self.shown.get(|state| state.last_decision)
    }

    #[zbus(property)]
    fn local_list_version(&self) -> i32 {
        self.shown.get(|state| state.local_list_version)
    }

    #[zbus(property)]
    fn local_list_badges(&self) -> u32 {
        self.shown.get(|state| state.local_list_badges)
    }

    #[zbus(property)]
    fn cached_badges(&self) -> u32 {
        self.shown.get(|state| state.cached_badges)
    }

    #[zbus(property)]
    fn reservations(&self) -> Vec<Reservation> {
        self.shown.get(|state| state.reservations.clone())
    }

    #[zbus(property)]
    fn conditions(&self) -> Vec<Condition> {
        self.shown.get(|state| state.conditions.clone())
    }
}

struct ConnectorObject(Shown<SessionConnectorState>);

#[zbus::interface(name = "io.busbar.Session1.Connector")]
impl ConnectorObject {
    #[zbus(property)]
    fn status(&self) -> ConnectorStatus {
        self.0.get(|state| state.status)
    }

    #[zbus(property)]
    fn availability(&self) -> Availability {
        self.0.get(|state| state.availability)
    }

    #[zbus(property)]
    fn availability_is_scheduled(&self) -> bool {
        self.0.get(|state| state.availability_is_scheduled)
    }

    #[zbus(property)]
    fn status_since_unix_millis(&self) -> UnixMillis {
        self.0.get(|state| state.status_since_unix_millis)
    }

    #[zbus(property)]
    fn fault_code(&self) -> String {
        self.0.get(|state| state.fault_code.clone())
    }

    #[zbus(property)]
    fn transaction(&self) -> TransactionId {
        self.0.get(|state| state.transaction)
    }

    #[zbus(property)]
    fn authorized_by(&self) -> AuthorizationSource {
        self.0.get(|state| state.authorized_by)
    }

    #[zbus(property)]
    fn last_transaction(&self) -> TransactionId {
        self.0.get(|state| state.last_transaction)
    }

    #[zbus(property)]
    fn started_unix_millis(&self) -> UnixMillis {
        self.0.get(|state| state.started_unix_millis)
    }

    #[zbus(property)]
    fn energy_milliwatt_hours(&self) -> MilliwattHours {
        self.0.get(|state| state.energy_milliwatt_hours)
    }

    #[zbus(property)]
    fn last_stop_reason(&self) -> StopReason {
        self.0.get(|state| state.last_stop_reason)
    }
}

/// `ocpp`, which has delivered everything up to an event.
pub struct Ocpp {
    _bus: Bus,
    object: Object<OcppState>,
}

impl Ocpp {
    pub async fn start(bench: &Lone, confirmed_event: u64) -> Ocpp {
        let bus = connect(bench, names::OCPP).await;
        let state = OcppState {
            link: Link::Accepted,
            link_since_unix_millis: UnixMillis(1),
            link_reason: String::new(),
            next_attempt_boottime_millis: BoottimeMillis(0),
            registration: Registration::Accepted,
            central_system_url: String::new(),
            identity: String::new(),
            security_profile: 0,
            is_trial: false,
            confirmed_event,
            undelivered_events: 0,
            conditions: Vec::new(),
        };
        let (object, shown) = Object::new(&bus, names::OCPP.root, state);
        bus.serve(names::OCPP.root, OcppObject(shown)).await.expect("served");
        bus.claim().await.expect("the name is free");
        Ocpp { _bus: bus, object }
    }

    pub async fn confirm(&self, confirmed_event: u64) {
        self.object.publish(OcppState { confirmed_event, ..self.object.state() }).await;
    }
}

struct OcppObject(Shown<OcppState>);

#[zbus::interface(name = "io.busbar.Ocpp1")]
impl OcppObject {
    #[zbus(property)]
    fn link(&self) -> Link {
        self.0.get(|state| state.link)
    }

    #[zbus(property)]
    fn link_since_unix_millis(&self) -> UnixMillis {
        self.0.get(|state| state.link_since_unix_millis)
    }

    #[zbus(property)]
    fn link_reason(&self) -> String {
        self.0.get(|state| state.link_reason.clone())
    }

    #[zbus(property)]
    fn next_attempt_boottime_millis(&self) -> BoottimeMillis {
        self.0.get(|state| state.next_attempt_boottime_millis)
    }

    #[zbus(property)]
    fn registration(&self) -> Registration {
        self.0.get(|state| state.registration)
    }

    #[zbus(property)]
    fn central_system_url(&self) -> String {
        self.0.get(|state| state.central_system_url.clone())
    }

    #[zbus(property)]
    fn identity(&self) -> String {
        self.0.get(|state| state.identity.clone())
    }

    #[zbus(property)]
    fn security_profile(&self) -> u32 {
        self.0.get(|state| state.security_profile)
    }

    #[zbus(property)]
    fn is_trial(&self) -> bool {
        self.0.get(|state| state.is_trial)
    }

    #[zbus(property)]
    fn confirmed_event(&self) -> u64 {
        self.0.get(|state| state.confirmed_event)
    }

    #[zbus(property)]
    fn undelivered_events(&self) -> u32 {
        self.0.get(|state| state.undelivered_events)
    }

    #[zbus(property)]
    fn conditions(&self) -> Vec<Condition> {
        self.0.get(|state| state.conditions.clone())
    }
}

/// `settings` with a value of ResetRetries.
pub async fn settings(bench: &Lone, reset_retries: u32) -> Bus {
    let bus = connect(bench, names::SETTINGS).await;
    let values = BTreeMap::from([("ResetRetries".to_owned(), reset_retries.to_string())]);
    let state = SettingsState { values, ..SettingsState::default() };
    let (_object, shown) = Object::new(&bus, names::SETTINGS.root, state);
    bus.serve(names::SETTINGS.root, SettingsObject(shown)).await.expect("served");
    bus.claim().await.expect("the name is free");
    bus
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

/// The machine: what stands where systemd's login manager does.
pub struct Machine {
    calls: Calls<bool>,
    _bus: Connection,
}

impl Machine {
    pub async fn start(bench: &Lone, script: Script) -> Machine {
        let bus = bench.client().await;
        let calls = Calls::default();
        let manager = LoginManager { script, calls: calls.clone(), bus: bus.clone() };
        bus.object_server().at("/org/freedesktop/login1", manager).await.expect("served");
        bus.request_name("org.freedesktop.login1").await.expect("the name is free");
        Machine { calls, _bus: bus }
    }

    pub fn reboots(&self) -> usize {
        self.calls.lock().expect("sound").len()
    }
}

struct LoginManager {
    script: Script,
    calls: Calls<bool>,
    bus: Connection,
}

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl LoginManager {
    async fn reboot(&self, interactive: bool) -> fdo::Result<()> {
        assert!(!interactive, "nobody is there to be asked");
        self.calls.lock().expect("sound").push(interactive);
        match self.script {
            Script::Obeys | Script::Idles => Ok(()),
            Script::Refuses => Err(fdo::Error::AccessDenied("scripted".to_owned())),
            Script::Hangs => pending().await,
            Script::Dies => {
                self.bus.clone().close().await.expect("closed");
                pending().await
            }
        }
    }
}
