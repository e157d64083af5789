//! The loop of session: news in, `Station::step`, effects out. Events are on disk before anything is done or said.

use crate::connector::Connector;
use crate::effect::Effect;
use crate::ledger::Ledger;
use crate::objects::{ConnectorObject, RootObject};
use crate::peers;
use crate::rules::Rules;
use crate::settings::Settings;
use crate::station::{Input, Output, Remembered, Station, Ticket};
use busbar_interfaces::faults::FaultsState;
use busbar_interfaces::ocpp::OcppState;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::session::{SessionConnectorState, SessionState, TransactionEvent};
use busbar_interfaces::settings::SettingsState;
use busbar_interfaces::words::{
    Availability, AvailabilityVerdict, BadgeOutcome, EventKind, KeyOrigin, StopReason, Verdict,
};
use busbar_interfaces::{BoottimeMillis, CallError, ConnectorId, TransactionId, names};
use busbar_runtime::{Bus, Clock, Desk, Exit, Life, Object, Reply, View, follow};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use zbus::object_server::SignalEmitter;

/// The longest tag that OCPP 1.6 carries (`IdToken`, CiString20).
const LONGEST_ID_TAG: usize = 20;
/// The longest time for which nothing may begin: a station that has not restarted by then serves drivers again.
const LONGEST_PAUSE_MILLIS: u32 = 10 * 60 * 1000;

/// What the bus objects ask.
pub enum Request {
    Badge {
        id_tag: String,
        shown: ConnectorId,
        valid_until: BoottimeMillis,
        reply: Reply<(BadgeOutcome, ConnectorId)>,
    },
    RemoteStart {
        connector: ConnectorId,
        id_tag: String,
        valid_until: BoottimeMillis,
        reply: Reply<Verdict>,
    },
    Stop {
        transaction: TransactionId,
        reason: StopReason,
        reply: Reply<Verdict>,
    },
    StopAll {
        reason: StopReason,
        no_start_millis: u32,
        reply: Reply<()>,
    },
    Order {
        connector: ConnectorId,
        availability: Availability,
        origin: KeyOrigin,
        valid_until: BoottimeMillis,
        reply: Reply<AvailabilityVerdict>,
    },
    EventsAfter {
        cursor: u64,
        max: u32,
        reply: Reply<Vec<TransactionEvent>>,
    },
}

/// What a peer shows, or what a call to it brought.
enum News {
    Settings(View<SettingsState>),
    Link(View<OcppState>),
    Faults(View<FaultsState>),
    Power(ConnectorId, View<PowerConnectorState>),
}

enum Waiting {
    Badge(Reply<(BadgeOutcome, ConnectorId)>),
    Verdict(Reply<Verdict>),
    Order(Reply<AvailabilityVerdict>),
    StopAll(Reply<()>),
}

struct Service {
    bus: Bus,
    clock: Clock,
    ledger: Ledger,
    station: Station,
    lease: Duration,
    root: Object<SessionState>,
    objects: BTreeMap<ConnectorId, Object<SessionConnectorState>>,
    calls: JoinSet<Option<Input>>,
    waiting: BTreeMap<Ticket, Waiting>,
    next_ticket: u64,
}

/// Runs the service until it is asked to stop.
///
/// # Errors
/// When the ledger cannot be written, the bus is lost, or a task ends unasked.
pub async fn run(settings: Settings, ledger: Ledger, bus: Bus, life: Life) -> Result<(), Exit> {
    let Life { clock, mut stop, mut watchdog } = life;
    let now = clock.now();
    let (sender, mut requests) = mpsc::channel(64);
    let desk = Desk::new(sender);
    let mut connectors = BTreeMap::new();
    let mut objects = BTreeMap::new();
    for id in [ConnectorId(1), ConnectorId(2)] {
        let mut connector = Connector::restore(id, ledger.connector(id)?, now);
        let path = names::SESSION.connector(id);
        let (object, shown) = Object::new(&bus, &path, connector.state(now));
        bus.serve(&path, ConnectorObject { shown }).await?;
        connectors.insert(id, connector);
        objects.insert(id, object);
    }
    let lease = settings.delivery_lease;
    let remembered = Remembered {
        rules: ledger.rules()?,
        next_transaction: ledger.next_transaction()?,
        is_inoperative: ledger.is_inoperative(ConnectorId::STATION)?,
        no_start_until: ledger.starts_held_until()?,
    };
    let station = Station::new(settings, connectors, remembered);
    let (root, shown) = Object::new(&bus, names::SESSION.root, root_state(&ledger, &station));
    bus.serve(names::SESSION.root, RootObject { desk, shown }).await?;
    let mut service = Service {
        bus: bus.clone(),
        clock,
        ledger,
        station,
        lease,
        root,
        objects,
        calls: JoinSet::new(),
        waiting: BTreeMap::new(),
        next_ticket: 0,
    };
    let (mut news, mut followers) = follow_peers(&bus);
    bus.ready().await?;

    let lost = bus.lost();
    tokio::pin!(lost);
    loop {
        let wake = service.station.next_wake().map(|at| at.since(service.clock.now().boottime));
        tokio::select! {
            () = stop.asked() => break,
            exit = &mut lost => return Err(exit),
            ended = followers.join_next() => return Err(Exit::Internal(format!("a follower ended: {ended:?}"))),
            () = watchdog.due() => watchdog.feed(),
            () = tokio::time::sleep(wake.unwrap_or_default()), if wake.is_some() => service.step(Input::Wake).await?,
            Some(request) = requests.recv() => service.asked(request).await?,
            Some(news) = news.recv() => service.heard(news).await?,
            Some(answer) = service.calls.join_next(), if !service.calls.is_empty() => match answer {
                Ok(Some(input)) => service.step(input).await?,
                Ok(None) => {}
                Err(error) => return Err(Exit::Internal(format!("a call to a peer failed: {error}"))),
            },
        }
    }
    service.ledger.close()?;
    bus.release().await;
    Ok(())
}

fn root_state(ledger: &Ledger, station: &Station) -> SessionState {
    SessionState {
        journal_id: ledger.journal_id(),
        last_event: ledger.last_event(),
        delivered_event: ledger.delivered_event(),
        availability: station.availability(),
    }
}

fn follow_peers(bus: &Bus) -> (mpsc::Receiver<News>, JoinSet<()>) {
    let (sender, news) = mpsc::channel(64);
    let mut followers = JoinSet::new();
    let root = |service: names::ServiceName| (service, service.root.to_owned());
    let (peer, path) = root(names::SETTINGS);
    followers.spawn(follow(bus.clone(), peer, path, sender.clone(), News::Settings));
    let (peer, path) = root(names::OCPP);
    followers.spawn(follow(bus.clone(), peer, path, sender.clone(), News::Link));
    let (peer, path) = root(names::FAULTS);
    followers.spawn(follow(bus.clone(), peer, path, sender.clone(), News::Faults));
    for id in [ConnectorId(1), ConnectorId(2)] {
        let path = names::POWER.connector(id);
        followers.spawn(follow(bus.clone(), names::POWER, path, sender.clone(), move |view| News::Power(id, view)));
    }
    (news, followers)
}

impl Service {
    async fn heard(&mut self, news: News) -> Result<(), Exit> {
        let input = match news {
            News::Settings(View::Present(settings)) => {
                let rules = Rules::of(&settings);
                self.ledger.follow_rules(&rules)?;
                Input::Rules(rules)
            }
            News::Link(View::Present(link)) => {
                self.ledger.confirmed(Some(link.confirmed_event))?;
                Input::Link(link.link)
            }
            News::Link(View::Absent) => {
                self.ledger.confirmed(None)?;
                return Ok(());
            }
            News::Faults(View::Present(faults)) => Input::Faults(faults.active),
            News::Power(connector, view) => Input::Power(connector, view.present().cloned().map(Box::new)),
            // The last values of a peer that is away stay valid: the keys, the link for the sampling, the levels.
            News::Settings(View::Absent) | News::Faults(View::Absent) => return Ok(()),
        };
        self.step(input).await
    }

    async fn asked(&mut self, request: Request) -> Result<(), Exit> {
        match request {
            Request::Badge { id_tag, shown, valid_until, reply } => match self.checked(id_tag, valid_until) {
                Ok(id_tag) => {
                    let ticket = self.ticket(Waiting::Badge(reply));
                    self.step(Input::Badge { ticket, id_tag, shown, valid_until }).await
                }
                Err(error) => answer(reply, Err(error)),
            },
            Request::RemoteStart { connector, id_tag, valid_until, reply } => match self.checked(id_tag, valid_until) {
                Ok(id_tag) => {
                    let ticket = self.ticket(Waiting::Verdict(reply));
                    self.step(Input::RemoteStart { ticket, connector, id_tag }).await
                }
                Err(error) => answer(reply, Err(error)),
            },
            Request::Stop { transaction, reason, reply } => {
                let ticket = self.ticket(Waiting::Verdict(reply));
                self.step(Input::Stop { ticket, transaction, reason }).await
            }
            Request::StopAll { reason, no_start_millis, reply } => {
                if no_start_millis > LONGEST_PAUSE_MILLIS {
                    let text = format!("no_start_millis is {no_start_millis}; it must be 0 to {LONGEST_PAUSE_MILLIS}");
                    return answer(reply, Err(CallError::OutOfRange(text)));
                }
                let until = self.clock.now().boottime.after(Duration::from_millis(no_start_millis.into()));
                let no_start_until = (no_start_millis > 0).then_some(until);
                let ticket = self.ticket(Waiting::StopAll(reply));
                self.step(Input::StopAll { ticket, reason, no_start_until }).await
            }
            Request::Order { connector, availability, origin, valid_until, reply } => {
                match self.checked_order(availability, origin, valid_until) {
                    Ok(()) => {
                        let ticket = self.ticket(Waiting::Order(reply));
                        self.step(Input::Order { ticket, connector, availability, origin }).await
                    }
                    Err(error) => answer(reply, Err(error)),
                }
            }
            Request::EventsAfter { cursor, max, reply } => {
                // Whoever reads must not end the owner of the transactions.
                let events = self.ledger.events_after(cursor, max).map_err(|error| {
                    tracing::error!(cursor, %error, "the journal cannot be read there");
                    CallError::Internal("the journal cannot be read there; the log says why".to_owned())
                });
                answer(reply, events)
            }
        }
    }

    /// A request that is in time and whose tag OCPP can carry.
    fn checked(&self, id_tag: String, valid_until: BoottimeMillis) -> Result<String, CallError> {
        self.in_time(valid_until)?;
        match id_tag.chars().count() {
            1..=LONGEST_ID_TAG => Ok(id_tag),
            length => Err(CallError::OutOfRange(format!("id_tag has {length} characters; it must have 1 to 20"))),
        }
    }

    /// An order that is in time, and whose words are known.
    fn checked_order(
        &self,
        availability: Availability,
        origin: KeyOrigin,
        valid_until: BoottimeMillis,
    ) -> Result<(), CallError> {
        self.in_time(valid_until)?;
        if availability == Availability::Unknown {
            return Err(CallError::OutOfRange("availability must be \"operative\" or \"inoperative\"".to_owned()));
        }
        match origin {
            KeyOrigin::Csms | KeyOrigin::Engineer => Ok(()),
            other => Err(CallError::OutOfRange(format!("origin is \"{other}\"; it must be \"csms\" or \"engineer\""))),
        }
    }

    fn in_time(&self, valid_until: BoottimeMillis) -> Result<(), CallError> {
        if self.clock.now().boottime < valid_until {
            return Ok(());
        }
        Err(CallError::Expired("whoever asked no longer waits; nothing was done".to_owned()))
    }

    fn ticket(&mut self, waiting: Waiting) -> Ticket {
        self.next_ticket = self.next_ticket.wrapping_add(1);
        let ticket = Ticket(self.next_ticket);
        self.waiting.insert(ticket, waiting);
        ticket
    }

    async fn step(&mut self, input: Input) -> Result<(), Exit> {
        let outputs = self.station.step(self.clock.now(), input);
        for output in outputs {
            match output {
                Output::Connector(Effect::Record(event)) => self.record(*event).await?,
                Output::Connector(Effect::RecordUnplugged(connector)) => self.ledger.unplugged(connector)?,
                Output::Connector(Effect::RecordHeld(transaction)) => self.ledger.held(transaction)?,
                Output::Connector(Effect::RecordEnding(transaction, reason, id_tag)) => {
                    self.ledger.ending(transaction, reason, &id_tag)?;
                }
                Output::Connector(effect) => {
                    self.calls.spawn(peers::call(self.bus.connection().clone(), effect, self.lease));
                }
                Output::RecordOrder(connectors, availability, origin) => {
                    self.ledger.order(&connectors, availability, origin, self.clock.now().unix)?;
                    let connectors: Vec<u32> = connectors.iter().map(|connector| connector.0).collect();
                    tracing::info!(?connectors, %availability, %origin, "an order about the availability");
                }
                Output::RecordHold(until) => self.ledger.hold_starts(until)?,
                Output::Authorize { question, id_tag } => {
                    let asked = peers::authorize(self.bus.connection().clone(), question, id_tag);
                    self.calls.spawn(async move { Some(asked.await) });
                }
                Output::BadgeAnswer(ticket, outcome, connector) => {
                    if let Some(Waiting::Badge(reply)) = self.waiting.remove(&ticket) {
                        answer(reply, Ok((outcome, connector)))?;
                    }
                }
                Output::VerdictAnswer(ticket, verdict) => {
                    if let Some(Waiting::Verdict(reply)) = self.waiting.remove(&ticket) {
                        answer(reply, Ok(verdict))?;
                    }
                }
                Output::OrderAnswer(ticket, verdict) => {
                    if let Some(Waiting::Order(reply)) = self.waiting.remove(&ticket) {
                        answer(reply, Ok(verdict))?;
                    }
                }
                Output::StopAllAnswer(ticket) => {
                    if let Some(Waiting::StopAll(reply)) = self.waiting.remove(&ticket) {
                        answer(reply, Ok(()))?;
                    }
                }
            }
        }
        self.root.publish(root_state(&self.ledger, &self.station)).await;
        let now = self.clock.now();
        for (id, connector) in self.station.connectors() {
            if let Some(object) = self.objects.get(&id) {
                object.publish(connector.state(now)).await;
            }
        }
        Ok(())
    }

    async fn record(&mut self, event: TransactionEvent) -> Result<(), Exit> {
        let event = self.ledger.record(event)?;
        let (transaction, connector) = (event.transaction.0, event.connector.0);
        let energy_milliwatt_hours = event.energy_milliwatt_hours.0;
        match event.kind {
            EventKind::Started => tracing::info!(transaction, connector, energy_milliwatt_hours, "transaction started"),
            EventKind::Stopped => {
                let reason = event.reason.as_str();
                tracing::info!(transaction, connector, energy_milliwatt_hours, reason, "transaction stopped");
            }
            _ => tracing::trace!(transaction, connector, energy_milliwatt_hours, "sample"),
        }
        self.root.publish(root_state(&self.ledger, &self.station)).await;
        let emitter = SignalEmitter::new(self.bus.connection(), names::SESSION.root)?;
        RootObject::event_appended(&emitter, event.sequence).await?;
        Ok(())
    }
}

fn answer<R>(reply: Reply<R>, value: Result<R, CallError>) -> Result<(), Exit> {
    // A caller that has gone needs no answer.
    let _ = reply.send(value);
    Ok(())
}
