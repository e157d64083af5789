//! Following a peer across its restarts, without the library's property cache, which goes on answering for a peer
//! that is dead. Subscribe first, load second, empty the view when the owner vanishes, load again when one appears.

use crate::bus::Bus;
use crate::object::state_of;
use busbar_interfaces::{Published, ServiceName};
use futures_util::StreamExt;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use zbus::fdo::DBusProxy;
use zbus::message::Message;
use zbus::names::{BusName, OwnedUniqueName};
use zbus::{MatchRule, MessageStream, OwnedVariant};

/// The name appears after the objects (conventions, section 3), so an answer is due at once; a peer that is too busy,
/// or hangs, is asked again after a pause and is absent until it answers.
const LOAD_LIMIT: Duration = Duration::from_secs(2);
const LOAD_AGAIN: Duration = Duration::from_secs(1);

/// What a peer's object shows now.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum View<S> {
    /// Nobody owns the name, or its owner does not serve the object.
    #[default]
    Absent,
    /// What the object says.
    Present(S),
}

impl<S> View<S> {
    /// The state, if the peer is there.
    pub fn present(&self) -> Option<&S> {
        match self {
            View::Absent => None,
            View::Present(state) => Some(state),
        }
    }
}

/// Follows one object of a peer: every change of the view becomes an input of the service's loop, beginning with the
/// first one. Returns only when the bus is lost or the loop no longer listens.
pub async fn follow<S: Published, I: Send>(
    bus: Bus,
    peer: ServiceName,
    path: String,
    inputs: mpsc::Sender<I>,
    input: impl Fn(View<S>) -> I + Send,
) {
    if let Err(error) = follow_until_lost(&bus, peer, &path, &inputs, &input).await {
        tracing::error!(peer = peer.bus_name, path, %error, "a peer can no longer be followed");
    }
}

async fn follow_until_lost<S: Published, I>(
    bus: &Bus,
    peer: ServiceName,
    path: &str,
    inputs: &mpsc::Sender<I>,
    input: &impl Fn(View<S>) -> I,
) -> Result<(), zbus::Error> {
    let daemon = DBusProxy::new(bus.connection()).await?;
    let mut owners = daemon.receive_name_owner_changed_with_args(&[(0, peer.bus_name)]).await?;
    let changes = MatchRule::builder()
        .msg_type(zbus::message::Type::Signal)
        .interface("org.freedesktop.DBus.Properties")
        .member("PropertiesChanged")
        .path(path)
        .arg(0, S::INTERFACE)
        .build()?;
    let mut changes = MessageStream::for_match_rule(changes, bus.connection(), None).await?;
    let mut object = Followed::<S> { bus, peer, path, owner: None, properties: HashMap::new(), shown: None };
    object.owner = daemon.get_name_owner(BusName::try_from(peer.bus_name)?).await.ok();
    let mut loaded = object.load().await;
    let mut load_at = (object.owner.is_some() && loaded.is_none()).then(|| Instant::now() + LOAD_AGAIN);
    loop {
        if let Some(view) = object.news()
            && inputs.send(input(view)).await.is_err()
        {
            return Ok(());
        }
        let due = load_at.unwrap_or_else(Instant::now);
        tokio::select! {
            biased;
            change = owners.next() => {
                let Some(change) = change else { return Ok(()) };
                object.owner = change.args()?.new_owner().as_ref().map(|owner| OwnedUniqueName::from(owner.to_owned()));
                object.properties.clear();
                (loaded, load_at) = (None, object.owner.is_some().then(Instant::now));
            }
            () = sleep_until(due), if load_at.is_some() => {
                loaded = object.load().await;
                let again = object.owner.is_some() && loaded.is_none();
                load_at = again.then(|| Instant::now() + LOAD_AGAIN);
            }
            change = changes.next() => {
                let Some(change) = change else { return Ok(()) };
                object.apply(&change?, loaded.as_ref());
            }
            () = inputs.closed() => return Ok(()),
        }
    }
}

struct Followed<'a, S> {
    bus: &'a Bus,
    peer: ServiceName,
    path: &'a str,
    owner: Option<OwnedUniqueName>,
    properties: HashMap<String, OwnedVariant>,
    shown: Option<View<S>>,
}

impl<S: Published> Followed<'_, S> {
    /// Reads all properties from the present owner and returns its answer, which older signals must not overwrite.
    async fn load(&mut self) -> Option<Message> {
        self.properties.clear();
        let owner = self.owner.clone()?;
        let asked = self.bus.connection().call_method(
            Some(owner),
            self.path,
            Some("org.freedesktop.DBus.Properties"),
            "GetAll",
            &(S::INTERFACE),
        );
        let (peer, path) = (self.peer.bus_name, self.path);
        match timeout(LOAD_LIMIT, asked).await {
            Ok(Ok(answer)) => {
                self.properties = answer.body().deserialize().unwrap_or_default();
                Some(answer)
            }
            Ok(Err(error)) => {
                tracing::warn!(peer, path, %error, "a peer does not tell its state; asked again");
                None
            }
            Err(_) => {
                tracing::warn!(peer, path, "a peer is silent; asked again");
                None
            }
        }
    }

    fn apply(&mut self, change: &Message, loaded: Option<&Message>) {
        let sender = change.header().sender().map(|sender| sender.to_string());
        if sender.as_deref() != self.owner.as_ref().map(|owner| owner.as_str()) {
            return;
        }
        if loaded.is_none_or(|loaded| change.recv_position() < loaded.recv_position()) {
            return;
        }
        let body: Result<(String, HashMap<String, OwnedVariant>, Vec<String>), _> = change.body().deserialize();
        match body {
            Ok((_, changed, _)) => self.properties.extend(changed),
            Err(error) => tracing::warn!(peer = self.peer.bus_name, %error, "a peer's change cannot be read"),
        }
    }

    /// The view, if it differs from the one that was told last.
    fn news(&mut self) -> Option<View<S>> {
        let view = if self.properties.is_empty() {
            View::Absent
        } else {
            match state_of::<S>(&self.properties) {
                Ok(state) => View::Present(state),
                Err(error) => {
                    tracing::warn!(peer = self.peer.bus_name, path = self.path, %error, "a peer speaks another version");
                    View::Absent
                }
            }
        };
        if self.shown.as_ref() == Some(&view) {
            return None;
        }
        self.shown = Some(view.clone());
        Some(view)
    }
}
