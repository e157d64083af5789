//! The other services: what is followed, and the calls that are made for the CSMS and for the journal. Every call is
//! bounded by the connection's time limit.

use crate::exchange::{Answer, Input, Question};
use busbar_interfaces::faults::FaultsState;
use busbar_interfaces::session::{SessionConnectorState, SessionProxy, SessionState, TransactionEvent};
use busbar_interfaces::settings::{SettingsProxy, SettingsState};
use busbar_interfaces::words::{KeyOrigin, StopReason};
use busbar_interfaces::{BoottimeMillis, CallError, ConnectorId, TransactionId, names};
use busbar_runtime::bus::REQUEST_VALIDITY;
use busbar_runtime::{Bus, Clock, Exit, follow};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use zbus::proxy::CacheProperties;

/// The connectors of this family.
const CONNECTORS: [ConnectorId; 2] = [ConnectorId(1), ConnectorId(2)];

/// Follows everything that the charge point lives by.
pub fn follow_all<I: From<Input> + Send + 'static>(tasks: &mut JoinSet<()>, bus: &Bus, inputs: &mpsc::Sender<I>) {
    let (settings, session, faults) = (names::SETTINGS, names::SESSION, names::FAULTS);
    let path = |root: &str| root.to_owned();
    tasks.spawn(follow::<SettingsState, I>(bus.clone(), settings, path(settings.root), inputs.clone(), |view| {
        Input::Settings(view).into()
    }));
    tasks.spawn(follow::<SessionState, I>(bus.clone(), session, path(session.root), inputs.clone(), |view| {
        Input::Session(view).into()
    }));
    tasks.spawn(follow::<FaultsState, I>(bus.clone(), faults, path(faults.root), inputs.clone(), |view| {
        Input::Faults(view).into()
    }));
    for connector in CONNECTORS {
        tasks.spawn(follow::<SessionConnectorState, I>(
            bus.clone(),
            session,
            session.connector(connector),
            inputs.clone(),
            move |view| Input::Connector(connector, view).into(),
        ));
    }
}

/// The methods of the peers.
#[derive(Clone)]
pub struct Peers {
    session: SessionProxy<'static>,
    settings: SettingsProxy<'static>,
    clock: Clock,
}

impl Peers {
    /// On a bus; the peers need not be there.
    ///
    /// # Errors
    /// When the bus fails.
    pub async fn new(bus: &Bus, clock: Clock) -> Result<Peers, Exit> {
        let connection = bus.connection();
        Ok(Peers {
            session: SessionProxy::builder(connection).cache_properties(CacheProperties::No).build().await?,
            settings: SettingsProxy::builder(connection).cache_properties(CacheProperties::No).build().await?,
            clock,
        })
    }

    /// Asks what the CSMS wants to know. A peer that gets to it too late changes nothing and says so, which is a no.
    pub async fn answer(&self, question: Question) -> Answer {
        let answer = match question {
            Question::RemoteStart { connector, id_tag } => {
                self.session.remote_start(connector, &id_tag.0, self.valid_until()).await.map(Answer::Verdict)
            }
            Question::RemoteStop { transaction } => {
                self.session.stop_transaction(transaction, StopReason::Remote).await.map(Answer::Verdict)
            }
            Question::Set { key, value } => {
                self.settings.set(&key, &value.0, KeyOrigin::Csms, self.valid_until()).await.map(Answer::Set)
            }
        };
        answer.unwrap_or_else(|error| {
            // The name alone: a peer's text might repeat what it was given.
            tracing::warn!(error = %name_of(&error), "a peer does not answer what the CSMS asks");
            Answer::Failed
        })
    }

    fn valid_until(&self) -> BoottimeMillis {
        self.clock.now().boottime.after(REQUEST_VALIDITY)
    }

    /// Events of the journal; nothing when `session` does not answer.
    pub async fn events(&self, after: u64, max: u32) -> Option<Vec<TransactionEvent>> {
        match self.session.events_after(after, max).await {
            Ok(events) => Some(events),
            Err(error) => {
                tracing::debug!(after, error = %name_of(&error), "the journal cannot be read now");
                None
            }
        }
    }

    /// Stops a transaction whose badge the CSMS does not accept; tells whether that is settled.
    pub async fn deauthorize(&self, transaction: TransactionId) -> bool {
        match self.session.stop_transaction(transaction, StopReason::DeAuthorized).await {
            Ok(verdict) => {
                tracing::info!(transaction = transaction.0, %verdict, "a transaction is stopped: its badge is not accepted");
                true
            }
            Err(error) if error.may_be_repeated() => false,
            Err(error) => {
                tracing::error!(transaction = transaction.0, error = %name_of(&error), "a transaction cannot be stopped");
                true
            }
        }
    }
}

fn name_of(error: &CallError) -> String {
    use zbus::DBusError;
    error.name().to_string()
}
