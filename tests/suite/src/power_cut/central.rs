//! `ocpp` as session sees it, scripted: the link stands, the CSMS knows every badge as good, and it has confirmed what
//! the script says.

use busbar_interfaces::ocpp::{Authorization, OcppState};
use busbar_interfaces::words::{AuthorizationStatus, Link, Registration};
use busbar_interfaces::{BoottimeMillis, CallError, Condition, UnixMillis, names};
use busbar_runtime::{Bus, Exit, Object, Shown};
use std::sync::{Arc, Mutex, PoisonError};

/// The scripted peer. It lives as long as this does.
pub struct Central {
    object: Object<OcppState>,
    asked: Arc<Mutex<Vec<String>>>,
    // The name is given back when the connection goes.
    _bus: Bus,
}

impl Central {
    /// On a bus, with nothing confirmed.
    ///
    /// # Errors
    /// When the bus does not take it.
    pub async fn start(address: &str) -> Result<Central, Exit> {
        let bus = Bus::connect(names::OCPP, address).await?;
        let (object, shown) = Object::new(&bus, names::OCPP.root, linked());
        let asked = Arc::new(Mutex::new(Vec::new()));
        bus.serve(names::OCPP.root, RootObject { shown, asked: asked.clone() }).await?;
        bus.claim().await?;
        Ok(Central { object, asked, _bus: bus })
    }

    /// The CSMS has confirmed everything up to an event.
    pub async fn confirm(&self, confirmed_event: u64) {
        self.object.publish(OcppState { confirmed_event, ..self.object.state() }).await;
    }

    /// The badges that it was asked about.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn linked() -> OcppState {
    OcppState {
        link: Link::Accepted,
        link_since_unix_millis: UnixMillis(1),
        link_reason: String::new(),
        next_attempt_boottime_millis: BoottimeMillis(0),
        registration: Registration::Accepted,
        central_system_url: String::new(),
        identity: String::new(),
        security_profile: 0,
        is_trial: false,
        confirmed_event: 0,
        undelivered_events: 0,
        conditions: Vec::new(),
    }
}

struct RootObject {
    shown: Shown<OcppState>,
    asked: Arc<Mutex<Vec<String>>>,
}

#[zbus::interface(name = "io.busbar.Ocpp1")]
impl RootObject {
    async fn authorize(&self, id_tag: String) -> Result<(Authorization,), CallError> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(id_tag);
        Ok((Authorization {
            status: AuthorizationStatus::Accepted,
            parent_id_tag: String::new(),
            expires_unix_millis: UnixMillis(0),
        },))
    }

    #[zbus(property)]
    fn link(&self) -> Link {
        self.shown.get(|state| state.link)
    }

    #[zbus(property)]
    fn link_since_unix_millis(&self) -> UnixMillis {
        self.shown.get(|state| state.link_since_unix_millis)
    }

    #[zbus(property)]
    fn link_reason(&self) -> String {
        self.shown.get(|state| state.link_reason.clone())
    }

    #[zbus(property)]
    fn next_attempt_boottime_millis(&self) -> BoottimeMillis {
        self.shown.get(|state| state.next_attempt_boottime_millis)
    }

    #[zbus(property)]
    fn registration(&self) -> Registration {
        self.shown.get(|state| state.registration)
    }

    #[zbus(property)]
    fn central_system_url(&self) -> String {
        self.shown.get(|state| state.central_system_url.clone())
    }

    #[zbus(property)]
    fn identity(&self) -> String {
        self.shown.get(|state| state.identity.clone())
    }

    #[zbus(property)]
    fn security_profile(&self) -> u32 {
        self.shown.get(|state| state.security_profile)
    }

    #[zbus(property)]
    fn is_trial(&self) -> bool {
        self.shown.get(|state| state.is_trial)
    }

    #[zbus(property)]
    fn confirmed_event(&self) -> u64 {
        self.shown.get(|state| state.confirmed_event)
    }

    #[zbus(property)]
    fn undelivered_events(&self) -> u32 {
        self.shown.get(|state| state.undelivered_events)
    }

    #[zbus(property)]
    fn conditions(&self) -> Vec<Condition> {
        self.shown.get(|state| state.conditions.clone())
    }
}
