//! The other services: what is followed, and the calls that are made for the CSMS and for the journal. Every call is
//! bounded by the connection's time limit.

use crate::charge_point::CONNECTORS;
use crate::configuration::Way;
use crate::exchange::{Answer, Input, Question};
use crate::learning::Learned;
use crate::trial::Return;
use crate::{local_list, messages};
use busbar_interfaces::faults::FaultsState;
use busbar_interfaces::hmi::HmiProxy;
use busbar_interfaces::maintenance::MaintenanceProxy;
use busbar_interfaces::metering::MeterProxy;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::session::{SessionConnectorState, SessionProxy, SessionState, TransactionEvent};
use busbar_interfaces::settings::{KeyRecord, SettingsProxy, SettingsState};
use busbar_interfaces::words::{EventKind, KeyOrigin, ReadingContext, SetVerdict, StopReason};
use busbar_interfaces::{
    BoottimeMillis, CallError, ConnectorId, Percent, ReservationId, TransactionId, UnixMillis, Watts, names,
};
use busbar_ocpp16::Hidden;
use busbar_ocpp16::request::UpdateType;
use busbar_runtime::bus::REQUEST_VALIDITY;
use busbar_runtime::object::fetch;
use busbar_runtime::{Bus, Clock, Exit, boot_id, follow};
use std::io;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use zbus::proxy::CacheProperties;

const AUTHORIZATION_KEY: &str = "AuthorizationKey";
/// No password is longer.
const MOST_SECRET_BYTES: u64 = 1024;

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
    for connector in CONNECTORS.map(ConnectorId) {
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
    bus: zbus::Connection,
    session: SessionProxy<'static>,
    settings: SettingsProxy<'static>,
    maintenance: MaintenanceProxy<'static>,
    hmi: HmiProxy<'static>,
    machine: Timedate1Proxy<'static>,
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
            maintenance: MaintenanceProxy::builder(connection).cache_properties(CacheProperties::No).build().await?,
            hmi: HmiProxy::builder(connection).cache_properties(CacheProperties::No).build().await?,
            machine: Timedate1Proxy::builder(connection).cache_properties(CacheProperties::No).build().await?,
            bus: connection.clone(),
            clock,
        })
    }

    /// Asks what the CSMS wants to know. A peer that gets to it too late changes nothing and says so, which is a no.
    pub async fn answer(&self, question: Question) -> Answer {
        let without = question.without_answer();
        let answer = match question {
            Question::RemoteStart { connector, id_tag } => {
                self.session.remote_start(connector, id_tag.as_str(), self.valid_until()).await.map(Answer::Verdict)
            }
            Question::RemoteStop { transaction } => {
                self.session.stop_transaction(transaction, StopReason::Remote).await.map(Answer::Verdict)
            }
            Question::Set { key, value } => {
                self.settings.set(&key, value.as_str(), KeyOrigin::Csms, self.valid_until()).await.map(Answer::Set)
            }
            Question::SetAvailability { connector, availability } => {
                let order = self.session.set_availability(connector, availability, KeyOrigin::Csms, self.valid_until());
                order.await.map(Answer::Availability)
            }
            Question::UpdateLocalList(sent) => {
                let (entries, removed) = local_list::entries(&sent);
                let is_full = sent.update == UpdateType::Full;
                let valid_until = self.valid_until();
                let update = self.session.update_local_list(sent.version, is_full, &entries, &removed, valid_until);
                update.await.map(Answer::List)
            }
            Question::ClearCache => self.session.clear_cache(self.valid_until()).await.map(Answer::Verdict),
            Question::Reserve(wish) => {
                let group = wish.parent_id_tag.as_ref().map(Hidden::as_str).unwrap_or_default();
                let reserve = self.session.reserve(
                    ReservationId(wish.reservation),
                    ConnectorId(wish.connector),
                    wish.id_tag.as_str(),
                    group,
                    UnixMillis(wish.expiry_unix_millis),
                    self.valid_until(),
                );
                reserve.await.map(Answer::Reservation)
            }
            Question::CancelReservation { reservation } => {
                self.session.cancel_reservation(reservation, self.valid_until()).await.map(Answer::Verdict)
            }
            Question::Reset { hard } => self.maintenance.reset(hard).await.map(|()| Answer::Done),
            Question::ShowCost { connector, cost } => self.hmi.show_cost(connector, &cost).await.map(|()| Answer::Done),
        };
        answer.unwrap_or_else(|error| {
            // The name alone: a peer's text might repeat what it was given.
            tracing::warn!(error = %name_of(&error), "a peer does not answer what the CSMS asks");
            without
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

    /// AuthorizationKey, empty when none is set; nothing when `settings` does not answer.
    pub async fn authorization_key(&self) -> Option<Hidden> {
        match self.settings.open_secret(AUTHORIZATION_KEY).await {
            Ok(file) => match read_secret(file).await {
                Ok(key) => Some(Hidden::from(key)),
                Err(error) => {
                    tracing::error!(%error, "the password of the link cannot be read");
                    None
                }
            },
            Err(CallError::NotFound(_)) => Some(Hidden::default()),
            Err(error) => {
                tracing::warn!(error = %name_of(&error), "the password of the link cannot be had now");
                None
            }
        }
    }

    /// Reads a meter outside the journal, with what power offers at that moment.
    pub async fn read_meter(
        &self,
        connector: ConnectorId,
        context: ReadingContext,
        clock: &Clock,
    ) -> Option<TransactionEvent> {
        let meter = MeterProxy::builder(&self.bus).path(names::METERING.connector(connector));
        let meter = meter.cache_properties(CacheProperties::No).build().await.ok()?;
        let reading = match meter.latch().await {
            Ok(reading) => reading,
            Err(error) => {
                tracing::warn!(connector = connector.0, error = %name_of(&error), "a meter does not answer");
                return None;
            }
        };
        let now = clock.now();
        let path = names::POWER.connector(connector);
        let power = fetch::<PowerConnectorState>(&self.bus, names::POWER, &path).await.ok();
        Some(TransactionEvent {
            sequence: 0,
            transaction: TransactionId(0),
            connector,
            kind: EventKind::Sample,
            unix_millis: now.unix,
            boottime_millis: now.boottime,
            boot: boot_id().to_owned(),
            context,
            energy_milliwatt_hours: reading.energy_milliwatt_hours,
            watts: reading.watts,
            millivolts: reading.millivolts,
            milliamperes: reading.milliamperes,
            offered_watts: power.as_ref().map_or(Watts(0), |power| power.offered_watts),
            state_of_charge_percent: power.map_or(Percent::UNKNOWN, |power| power.state_of_charge_percent),
            id_tag: String::new(),
            reason: StopReason::None,
            reservation: Vec::new(),
            signed_data: reading.signed_data,
        })
    }

    /// Whether something keeps the machine's clock right; if nothing does, it is set by the CSMS's. Nothing when the
    /// machine does not say.
    pub async fn set_clock(&self, central: UnixMillis) -> Option<bool> {
        let synchronised = self.machine.ntp_synchronized().await.ok()?;
        if !synchronised {
            let micros = i64::try_from(central.0.saturating_mul(1000)).unwrap_or(i64::MAX);
            match self.machine.set_time(micros, false, false).await {
                Ok(()) => tracing::info!("the machine's clock is set by the CSMS's"),
                Err(error) => tracing::warn!(%error, "the machine's clock is wrong and cannot be set"),
            }
        }
        Some(synchronised)
    }

    /// Puts back the way that worked; what an engineer has set stays.
    pub async fn return_to(&self, way: &Way, with_key: bool) -> Return {
        let keys = match self.settings.list_keys().await {
            Ok(keys) => keys,
            Err(error) => {
                tracing::warn!(error = %name_of(&error), "the way that worked cannot be put back now");
                return Return::Failed;
            }
        };
        let key = way.key.as_ref().map(Hidden::as_str).unwrap_or_default();
        let profile = way.security_profile.to_string();
        let wanted = [
            ("SupervisionUrl", way.url.as_str()),
            ("BoxIdentifier", way.identity.as_str()),
            (AUTHORIZATION_KEY, key),
            ("SecurityProfile", profile.as_str()),
        ];
        // A value that nobody at the station has set: the CSMS's, or the factory's because `settings` lost its own.
        let not_an_engineers = |name: &str| {
            keys.iter().find(|record: &&KeyRecord| record.key == name && record.origin != KeyOrigin::Engineer)
        };
        let mut returned = Return::Waived;
        for (name, value) in wanted {
            // The value of a write-only key is not told: whoever has read it says whether it is another one.
            let is_other =
                |record: &KeyRecord| if name == AUTHORIZATION_KEY { with_key } else { record.value != value };
            if !not_an_engineers(name).is_some_and(is_other) {
                continue;
            }
            match self.settings.set(name, value, KeyOrigin::Rollback, self.valid_until()).await {
                Ok(SetVerdict::Accepted) => {
                    tracing::warn!(key = name, "a key is put back to the value that worked");
                    returned = Return::Back;
                }
                Ok(verdict) => {
                    tracing::error!(key = name, %verdict, "a key cannot be put back");
                    return Return::Failed;
                }
                Err(error) => {
                    tracing::warn!(key = name, error = %name_of(&error), "a key cannot be put back now");
                    return Return::Failed;
                }
            }
        }
        returned
    }

    /// Tells that the CSMS does not accept the badge of a transaction; tells whether that is settled.
    pub async fn deauthorize(&self, transaction: TransactionId) -> bool {
        match self.session.deauthorize(transaction).await {
            Ok(verdict) => {
                tracing::info!(transaction = transaction.0, %verdict, "the CSMS does not accept the badge of a transaction");
                true
            }
            // Of a service that ends meanwhile it is not known what it still did.
            Err(error) if error.may_be_repeated() || matches!(error, CallError::Internal(_)) => false,
            Err(error) => {
                tracing::error!(
                    transaction = transaction.0,
                    error = %name_of(&error),
                    "a transaction whose badge the CSMS does not accept cannot be ended"
                );
                true
            }
        }
    }

    /// Tells what the CSMS says of a badge; whether that is taken in makes no difference here.
    pub async fn learn(&self, learned: Learned) {
        let authorization = messages::authorization(&learned.info);
        if let Err(error) = self.session.learn_authorization(learned.id_tag.as_str(), &authorization).await {
            tracing::debug!(error = %name_of(&error), "what the CSMS said of a badge is lost");
        }
    }
}

/// The machine's clock (systemd-timedated).
#[zbus::proxy(
    interface = "org.freedesktop.timedate1",
    default_service = "org.freedesktop.timedate1",
    default_path = "/org/freedesktop/timedate1"
)]
trait Timedate1 {
    /// Sets it.
    fn set_time(&self, usec_utc: i64, relative: bool, interactive: bool) -> zbus::Result<()>;
    /// Something keeps it right.
    #[zbus(property, name = "NTPSynchronized")]
    fn ntp_synchronized(&self) -> zbus::Result<bool>;
}

/// The content of a memory file that holds a secret.
async fn read_secret(file: zbus::OwnedFd) -> io::Result<String> {
    let mut file = tokio::fs::File::from_std(std::fs::File::from(std::os::fd::OwnedFd::from(file)));
    file.rewind().await?;
    let mut text = String::new();
    file.take(MOST_SECRET_BYTES).read_to_string(&mut text).await?;
    Ok(text)
}

fn name_of(error: &CallError) -> String {
    use zbus::DBusError;
    error.name().to_string()
}

#[cfg(test)]
mod tests;
