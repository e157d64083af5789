//! The loop of session: news in, `Station::step`, effects out. Events are on disk before anything is done or said.

use crate::connector::Connector;
use crate::effect::Effect;
use crate::ledger::Ledger;
use crate::local_list::{Limits, Update};
use crate::objects::{ConnectorObject, RootObject};
use crate::peers;
use crate::request::{Request, Waiting, check_group, check_id_tag, check_list, check_order};
use crate::reservation::Reserved;
use crate::rules::Rules;
use crate::settings::Settings;
use crate::station::{Input, Output, Remembered, Station, Ticket};
use busbar_interfaces::faults::FaultsState;
use busbar_interfaces::ocpp::{Authorization, OcppState};
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::session::{Reservation, SessionConnectorState, SessionState, TransactionEvent};
use busbar_interfaces::settings::SettingsState;
use busbar_interfaces::words::{AuthorizationStatus, EventKind, ListVerdict, Verdict};
use busbar_interfaces::{BoottimeMillis, CallError, Condition, ConnectorId, names};
use busbar_runtime::{Bus, Clock, Desk, Exit, Life, Object, Reply, View, follow};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use zbus::object_server::SignalEmitter;

/// The longest time for which nothing may begin: a station that has not restarted by then serves drivers again.
const LONGEST_PAUSE_MILLIS: u32 = 10 * 60 * 1000;
/// A full disk is looked at again so often.
const LOOK_AT_THE_DISK: Duration = Duration::from_secs(10);
/// The books of a connector did not add up.
const IRREGULAR: &str = "0xB00004";
/// The disk is full.
const DISK_FULL: &str = "0xB00005";

/// What a peer shows, or what a call to it brought.
enum News {
    Settings(View<SettingsState>),
    Link(View<OcppState>),
    Faults(View<FaultsState>),
    Power(ConnectorId, View<PowerConnectorState>),
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
        reservations: ledger.reservations()?,
        has_space: ledger.has_reserve(),
        under_the_stations_order: ledger.under_the_stations_order()?,
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
    let mut look_at_the_disk = tokio::time::interval(LOOK_AT_THE_DISK);
    look_at_the_disk.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let now = service.clock.now();
        let wake = service.station.next_wake(now).map(|at| at.since(now.boottime));
        tokio::select! {
            () = stop.asked() => break,
            exit = &mut lost => return Err(exit),
            ended = followers.join_next() => return Err(Exit::Internal(format!("a follower ended: {ended:?}"))),
            () = watchdog.due() => watchdog.feed(),
            () = tokio::time::sleep(wake.unwrap_or_default()), if wake.is_some() => service.step(Input::Wake).await?,
            _ = look_at_the_disk.tick(), if !service.ledger.has_reserve() => {
                service.ledger.restore_reserve();
                service.step(Input::Wake).await?;
            }
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
    let shown = |reserved: &Reserved| Reservation {
        reservation: reserved.reservation,
        connector: reserved.connector,
        expires_unix_millis: reserved.expires,
    };
    let list_enabled = station.rules().is_some_and(|rules| rules.list_enabled);
    SessionState {
        journal_id: ledger.journal_id(),
        last_event: ledger.last_event(),
        delivered_event: ledger.delivered_event(),
        availability: station.availability(),
        last_decision: station.last_decision(),
        local_list_version: if list_enabled { ledger.local_list_version() } else { -1 },
        local_list_badges: ledger.local_list_badges(),
        cached_badges: ledger.cached_badges(),
        reservations: station.reservations().iter().map(shown).collect(),
        conditions: conditions(ledger),
    }
}

fn conditions(ledger: &Ledger) -> Vec<Condition> {
    let condition = |code: &str, connector, detail| Condition { code: code.to_owned(), connector, detail };
    let irregular = ledger.irregularities().into_iter().map(|(connector, what)| condition(IRREGULAR, connector, what));
    let full = (!ledger.has_reserve()).then(|| {
        let what = "the reserve of the journal is used up: free some space in the state directory of session";
        condition(DISK_FULL, ConnectorId::STATION, what.to_owned())
    });
    irregular.chain(full).collect()
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
                if !rules.cache_enabled {
                    // What the CSMS said before it was switched off says nothing when it is switched on again.
                    self.ledger.clear_cache()?;
                }
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
            Request::Badge { id_tag, shown, valid_until, reply } => {
                match self.in_time(valid_until).and_then(|()| check_id_tag("id_tag", &id_tag)) {
                    Ok(()) => {
                        let ticket = self.ticket(Waiting::Badge(reply));
                        let known = self.ledger.known(&id_tag)?;
                        self.step(Input::Badge { ticket, id_tag, known, shown, valid_until }).await
                    }
                    Err(error) => answer(reply, Err(error)),
                }
            }
            Request::RemoteStart { connector, id_tag, valid_until, reply } => {
                match self.in_time(valid_until).and_then(|()| check_id_tag("id_tag", &id_tag)) {
                    Ok(()) => {
                        let ticket = self.ticket(Waiting::Verdict(reply));
                        let known = self.ledger.known(&id_tag)?;
                        self.step(Input::RemoteStart { ticket, connector, id_tag, known }).await
                    }
                    Err(error) => answer(reply, Err(error)),
                }
            }
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
                let ticket = self.ticket(Waiting::Done(reply));
                self.step(Input::StopAll { ticket, reason, no_start_until }).await
            }
            Request::Order { connector, availability, origin, valid_until, reply } => {
                match self.in_time(valid_until).and_then(|()| check_order(availability, origin)) {
                    Ok(()) => {
                        let ticket = self.ticket(Waiting::Order(reply));
                        self.step(Input::Order { ticket, connector, availability, origin }).await
                    }
                    Err(error) => answer(reply, Err(error)),
                }
            }
            Request::Deauthorize { transaction, reply } => {
                let ticket = self.ticket(Waiting::Verdict(reply));
                self.step(Input::Deauthorize { ticket, transaction }).await
            }
            Request::Learn { id_tag, authorization, reply } => {
                let group = &authorization.parent_id_tag;
                match check_id_tag("id_tag", &id_tag).and_then(|()| check_group("parent_id_tag", group)) {
                    Ok(()) => {
                        let ticket = self.ticket(Waiting::Done(reply));
                        self.step(Input::Learn { ticket, id_tag, authorization }).await
                    }
                    Err(error) => answer(reply, Err(error)),
                }
            }
            Request::UpdateLocalList { update, valid_until, reply } => {
                match self.in_time(valid_until).and_then(|()| check_list(&update)) {
                    Ok(()) => {
                        let verdict = self.update_local_list(&update)?;
                        self.publish().await;
                        answer(reply, Ok(verdict))
                    }
                    Err(error) => answer(reply, Err(error)),
                }
            }
            Request::ClearCache { valid_until, reply } => match self.in_time(valid_until) {
                Ok(()) => {
                    let is_on = self.station.rules().is_some_and(|rules| rules.cache_enabled);
                    self.ledger.clear_cache()?;
                    self.publish().await;
                    answer(reply, Ok(if is_on { Verdict::Accepted } else { Verdict::Rejected }))
                }
                Err(error) => answer(reply, Err(error)),
            },
            Request::Reserve { reserved, valid_until, reply } => {
                let checked = self
                    .in_time(valid_until)
                    .and_then(|()| check_id_tag("id_tag", &reserved.id_tag))
                    .and_then(|()| check_group("parent_id_tag", &reserved.parent_id_tag));
                match checked {
                    Ok(()) => {
                        let ticket = self.ticket(Waiting::Reservation(reply));
                        self.step(Input::Reserve { ticket, reserved }).await
                    }
                    Err(error) => answer(reply, Err(error)),
                }
            }
            Request::CancelReservation { reservation, valid_until, reply } => match self.in_time(valid_until) {
                Ok(()) => {
                    let ticket = self.ticket(Waiting::Verdict(reply));
                    self.step(Input::CancelReservation { ticket, reservation }).await
                }
                Err(error) => answer(reply, Err(error)),
            },
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

    fn update_local_list(&mut self, update: &Update) -> Result<ListVerdict, Exit> {
        let Some(rules) = self.station.rules().filter(|rules| rules.list_enabled) else {
            return Ok(ListVerdict::NotSupported);
        };
        let limits = Limits { at_once: rules.list_at_once, in_all: rules.list_in_all };
        let verdict = self.ledger.update_local_list(update, limits)?;
        let (version, is_full, badges) = (update.version, update.is_full, self.ledger.local_list_badges());
        tracing::info!(version, is_full, badges, %verdict, "the CSMS has sent a local authorization list");
        Ok(verdict)
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
        self.station.space(self.ledger.has_reserve());
        let outputs = self.station.step(self.clock.now(), input);
        for output in outputs {
            match output {
                Output::Connector(effect) => self.carry_out(effect).await?,
                Output::RecordOrder(connectors, availability, origin) => {
                    self.ledger.order(&connectors, availability, origin, self.clock.now().unix)?;
                    let connectors: Vec<u32> = connectors.iter().map(|connector| connector.0).collect();
                    tracing::info!(?connectors, %availability, %origin, "an order about the availability");
                }
                Output::RecordHold(until) => self.ledger.hold_starts(until)?,
                Output::RecordReservation(reserved) => {
                    self.ledger.reserve(&reserved)?;
                    let (reservation, connector) = (reserved.reservation.0, reserved.connector.0);
                    tracing::info!(reservation, connector, "reserved");
                }
                Output::EndReservation(reservation) => {
                    self.ledger.end_reservation(reservation)?;
                    tracing::info!(reservation = reservation.0, "a reservation is over");
                }
                Output::Learn { id_tag, authorization } => {
                    // A word whose end has come counts once.
                    let end = authorization.expires_unix_millis.0;
                    let is_over = end != 0 && end <= self.clock.now().unix.0;
                    if !is_over && self.station.rules().is_some_and(|rules| rules.cache_enabled) {
                        self.ledger.learn(&id_tag, &authorization)?;
                    }
                }
                Output::Distrust { id_tag } => {
                    let cached = self.ledger.known(&id_tag)?.cache;
                    if let Some(word) = cached.filter(|word| word.status == AuthorizationStatus::Accepted) {
                        self.ledger.learn(&id_tag, &Authorization { status: AuthorizationStatus::Invalid, ..word })?;
                    }
                }
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
                Output::ReservationAnswer(ticket, verdict) => {
                    if let Some(Waiting::Reservation(reply)) = self.waiting.remove(&ticket) {
                        answer(reply, Ok(verdict))?;
                    }
                }
                Output::DoneAnswer(ticket) => {
                    if let Some(Waiting::Done(reply)) = self.waiting.remove(&ticket) {
                        answer(reply, Ok(()))?;
                    }
                }
            }
        }
        self.publish().await;
        Ok(())
    }

    /// What a connector wants: on disk here, everything else as a call of its own.
    async fn carry_out(&mut self, effect: Effect) -> Result<(), Exit> {
        match effect {
            Effect::Start(event, driver) => {
                let event = self.ledger.start(*event, driver.authorized_by, &driver.parent_id_tag)?;
                self.recorded(&event).await?;
            }
            Effect::Record(event) => {
                let event = self.ledger.record(*event)?;
                self.recorded(&event).await?;
            }
            Effect::RecordUnplugged(connector) => self.ledger.unplugged(connector)?,
            Effect::RecordHeld(transaction) => self.ledger.held(transaction)?,
            Effect::RecordDelivery(transaction, delivery) => self.ledger.deliver_as(transaction, delivery)?,
            Effect::RecordOffset(transaction, offset) => self.ledger.offset(transaction, offset)?,
            Effect::RecordEnding(transaction, reason, id_tag) => self.ledger.ending(transaction, reason, &id_tag)?,
            Effect::RecordSuspended(transaction) => self.ledger.suspend(transaction)?,
            Effect::RecordGroup(transaction, group) => self.ledger.group(transaction, &group)?,
            Effect::RecordIrregular(connector, transaction, what) => {
                self.ledger.irregular(connector, transaction, &what, self.clock.now().unix)?;
            }
            call => {
                self.calls.spawn(peers::call(self.bus.connection().clone(), call, self.lease));
            }
        }
        Ok(())
    }

    async fn publish(&mut self) {
        self.root.publish(root_state(&self.ledger, &self.station)).await;
        let now = self.clock.now();
        for (id, connector) in self.station.connectors() {
            if let Some(object) = self.objects.get(&id) {
                object.publish(connector.state(now)).await;
            }
        }
    }

    async fn recorded(&mut self, event: &TransactionEvent) -> Result<(), Exit> {
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
