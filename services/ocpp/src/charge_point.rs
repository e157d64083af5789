//! The charge point as the CSMS sees it: what comes in from the link, the peers, the ledger and the bus, and what is to
//! be done about it. Pure: time and dice are in the arguments, everything to do is in the effects.

use crate::aligned::Aligned;
use crate::configuration::{Configuration, NoTarget};
use crate::connection::{Connection, Order};
use crate::delivery::{Delivery, Stored};
use crate::exchange::{Effect, Input};
use crate::learning::Learning;
use crate::ledger::{Kept, Note};
use crate::local_list::ListVersion;
use crate::record::Record;
use crate::registration::{Registration, Standing};
use crate::settings::Settings;
use crate::status::Statuses;
use crate::traffic::Traffic;
use crate::trial::{GivenUp, Trial, Ways};
use crate::wall::Wall;
use busbar_interfaces::ocpp::{OcppState, TrafficState};
use busbar_interfaces::settings::SettingsState;
use busbar_interfaces::words::{Link, ReadingContext};
use busbar_interfaces::{BoottimeMillis, Condition, ConnectorId};
use busbar_ocpp16::Hidden;
use busbar_ocpp16::frame::Wire;
use busbar_runtime::{Moment, View};
use calls::{Asked, Outstanding, Transfer, Wish};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

mod calls;
mod requests;

/// The confirmed event is published when delivery rests, after this many events, or after this time.
const SHOW_AFTER_EVENTS: u64 = 32;
const SHOW_AFTER: Duration = Duration::from_millis(250);
/// `settings` is asked again for the password after this time.
const READ_AGAIN: Duration = Duration::from_millis(500);
/// The fault of events that the CSMS does not take, in the catalogue of `faults`.
const UNDELIVERED: &str = "0xB00001";
/// The fault of a disk that takes nothing.
const DISK_FULL: &str = "0xB00003";
/// The connectors of this family.
pub const CONNECTORS: [u32; 2] = [1, 2];

/// A request of the CSMS that waits for a peer.
struct Answering {
    id: String,
    action: &'static str,
    link: u64,
    /// It changes HeartbeatInterval.
    heartbeat: bool,
    /// The local list has this version if it is accepted, as far as that can be said here.
    list_version: Option<i32>,
}

/// The password as it was read last, and the reading of a newer one.
#[derive(Default)]
struct Key {
    changed: u64,
    value: Option<Hidden>,
    reading: Option<u64>,
    again: Option<BoottimeMillis>,
}

/// What the charge point knows when it starts.
#[derive(Default)]
pub struct Beginning {
    /// From the ledger.
    pub stored: Stored,
    /// The ways to the CSMS that are remembered.
    pub ways: Ways,
    /// Events that the CSMS has refused.
    pub undelivered: u32,
    /// What the CSMS was told in this run of the machine.
    pub record: Record,
    /// This run of the machine.
    pub boot: String,
}

/// The charge point.
pub struct ChargePoint {
    settings: Settings,
    keys: Configuration,
    key: Key,
    settings_present: bool,
    session_present: bool,
    list_version: ListVersion,
    learning: Learning,
    no_target: Option<NoTarget>,
    trial: Trial,
    connection: Connection,
    link: u64,
    link_reason: String,
    link_url: Option<String>,
    registration: Registration,
    wall: Wall,
    statuses: Statuses,
    aligned: Aligned,
    delivery: Delivery,
    kept: Kept,
    asked: VecDeque<Asked>,
    transfers: VecDeque<Transfer>,
    wishes: VecDeque<Wish>,
    /// Meters that are being read for wishes.
    readings: usize,
    outstanding: Option<Outstanding>,
    answering: BTreeMap<u64, Answering>,
    serial: u64,
    run: u64,
    traffic: Traffic,
    record: Record,
    shown: OcppState,
    show_by: Option<BoottimeMillis>,
    now: BoottimeMillis,
}

impl ChargePoint {
    /// With what the ledger and the record knew.
    pub fn new(settings: Settings, beginning: Beginning, now: Moment) -> ChargePoint {
        let Beginning { stored, ways, undelivered, record, boot } = beginning;
        let kept = Kept { undelivered, ..Kept::default() };
        let wall = Wall::new(boot, stored.boots.clone());
        let delivery = Delivery::new(stored, settings.queue_page);
        let registration = Registration::new(record.clone());
        let shown = OcppState {
            link: Link::Disconnected,
            link_since_unix_millis: now.unix,
            link_reason: String::new(),
            next_attempt_boottime_millis: BoottimeMillis(0),
            registration: registration.standing().into(),
            central_system_url: String::new(),
            identity: String::new(),
            security_profile: 0,
            is_trial: false,
            confirmed_event: delivery.kept_cursor(),
            undelivered_events: undelivered,
            conditions: conditions(kept),
        };
        ChargePoint {
            keys: Configuration::default(),
            key: Key::default(),
            settings_present: false,
            session_present: false,
            list_version: ListVersion::default(),
            learning: Learning::default(),
            no_target: None,
            trial: Trial::new(settings.trial, ways),
            connection: Connection::new(settings.retry_first, settings.retry_most),
            link: 0,
            link_reason: String::new(),
            link_url: None,
            registration,
            wall,
            statuses: Statuses::new(&settings.vendor, record.told.clone()),
            aligned: Aligned::default(),
            delivery,
            kept,
            asked: VecDeque::new(),
            transfers: VecDeque::new(),
            wishes: VecDeque::new(),
            readings: 0,
            outstanding: None,
            answering: BTreeMap::new(),
            serial: 0,
            run: now.unix.0,
            traffic: Traffic::default(),
            record,
            shown,
            show_by: None,
            now: now.boottime,
            settings,
        }
    }

    /// What the bus object shows.
    pub fn shown(&self) -> &OcppState {
        &self.shown
    }

    /// What goes over the link, for who asks.
    pub fn traffic(&self) -> TrafficState {
        let (waiting_events, oldest_event_unix_millis) = self.delivery.waiting();
        TrafficState { waiting_events, oldest_event_unix_millis, ..self.traffic.state().clone() }
    }

    /// Takes an input in and tells what is to be done.
    pub fn step(&mut self, now: Moment, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.now = now.boottime;
        self.take(now, input, &mut effects);
        self.time_out(now, &mut effects);
        if self.connection.is_moving() {
            self.trial.not_yet(now.boottime);
        }
        while let Some(order) = self.connection.due(now.boottime, !self.answering.is_empty()) {
            if matches!(order, Order::Close { .. }) {
                self.link_reason = self.connection.given_up().unwrap_or("the station goes another way").to_owned();
                self.link_lost(&mut effects);
            }
            effects.push(Effect::Link(order));
        }
        if self.aligned.due(self.wall.now(now)) {
            self.read_meters(ReadingContext::SampleClock, &mut effects);
        }
        self.speak(now, &mut effects);
        if self.accepted()
            && let Some((after, max)) = self.delivery.fetch(now.boottime)
        {
            effects.push(Effect::Fetch { after, max });
        }
        while let Some(transaction) = self.delivery.deauthorize(now.boottime) {
            effects.push(Effect::Deauthorize { transaction });
        }
        effects.extend(self.learning.next().map(Effect::Learn));
        let given_up = if self.settings_present { self.trial.give_up(now.boottime) } else { None };
        if let Some(GivenUp { ways, .. }) = &given_up {
            self.delivery.note(Note::Ways(ways.clone()));
        }
        self.remember(now, &mut effects);
        effects.extend(given_up.map(|GivenUp { to, with_key, .. }| Effect::Return { way: to, with_key }));
        self.publish(now, &mut effects);
        effects
    }

    /// When to step again if nothing else happens before.
    pub fn next_wake(&self, now: Moment) -> Option<BoottimeMillis> {
        let idle = self.connection.is_right() && self.outstanding.is_none();
        let own = [
            self.connection.next_due(),
            self.outstanding.as_ref().map(|outstanding| outstanding.deadline),
            self.asked
                .iter()
                .map(|asked| asked.until)
                .chain(self.transfers.iter().map(|transfer| transfer.until))
                .min(),
            self.registration.next_due().filter(|_| idle),
            self.statuses.due().filter(|_| idle && self.accepted()),
            self.delivery.next_due(self.accepted()),
            self.trial.next_due().filter(|_| self.settings_present),
            self.key.again,
            self.aligned.wait(self.wall.now(now)).map(|wait| now.boottime.after(wait)),
            self.show_by,
        ];
        // What was due by now and is still there waits for something else, which will be an input.
        own.into_iter().flatten().filter(|moment| *moment > self.now).min()
    }

    fn accepted(&self) -> bool {
        self.connection.is_right() && self.registration.standing() == Standing::Accepted
    }

    fn take(&mut self, now: Moment, input: Input, effects: &mut Vec<Effect>) {
        let boottime = now.boottime;
        match input {
            Input::Settings(View::Absent) => self.settings_present = false,
            Input::Settings(View::Present(state)) => self.configure(now, state, effects),
            Input::Key { changed, key } => self.key_read(now, changed, key, effects),
            Input::Session(view) => {
                let state = view.present();
                self.session_present = state.is_some();
                self.learning.session(state.is_some());
                self.delivery.journal(state);
                match state {
                    Some(state) => {
                        self.list_version.shown(state.local_list_version);
                        self.statuses.availability(now, state.availability, self.accepted());
                    }
                    None => self.list_version.away(),
                }
                self.forget_journal_call();
            }
            Input::Connector(connector, view) => {
                if let View::Present(state) = view {
                    self.statuses.connector(now, connector, state, self.accepted());
                }
            }
            Input::Faults(View::Absent) => {}
            Input::Faults(View::Present(state)) => self.statuses.faults(now, state, self.accepted()),
            Input::Opened { number, url } => {
                if self.connection.opened(boottime, number) {
                    self.link = number;
                    self.link_url = Some(url);
                    // On a link that must go elsewhere nothing is shown of the way that is configured now.
                    if !self.connection.is_moving()
                        && let Some(ways) = self.trial.opened()
                    {
                        self.delivery.note(Note::Ways(ways));
                    }
                    self.registration.opened(boottime, self.trial.is_on());
                    if self.accepted() {
                        self.statuses.resume();
                    }
                }
            }
            Input::Ended { number, dice, reason } => {
                let was_given_up = self.connection.is_closing();
                if self.connection.ended(boottime, number, dice) {
                    // The station's own reason to close is already there.
                    if !was_given_up {
                        // What the CSMS gives as its reason is any text at all.
                        self.link_reason = reason.replace(char::is_control, " ");
                    }
                    self.link_lost(effects);
                }
            }
            Input::Heard { number } => {
                if self.connection.is_link(number) {
                    self.connection.heard(boottime);
                }
            }
            Input::Binary { number } => {
                if self.connection.is_link(number) {
                    self.connection.heard(boottime);
                    self.ignore("a binary frame");
                }
            }
            Input::Text { number, text } => {
                if self.connection.is_link(number) {
                    self.connection.heard(boottime);
                    self.text(now, &text, effects);
                }
            }
            Input::Fetched { after, events } => self.delivery.fetched(boottime, after, events),
            Input::SendAgain { transaction, open, events } => self.delivery.send_again(transaction, open, events),
            Input::Kept(kept) => {
                self.delivery.kept(kept.note);
                self.kept = kept;
            }
            Input::Read { connector, sample } => self.meter_read(now, connector, sample.as_deref()),
            Input::Authorize { asker, id_tag } => self.authorize(boottime, asker, id_tag, effects),
            Input::Transfer { asker, vendor_id, message_id, data } => {
                self.transfer(boottime, asker, (vendor_id, message_id, data), effects);
            }
            Input::Answered { serial, answer } => self.peer_answered(serial, answer, effects),
            Input::Deauthorized { transaction, settled } => self.delivery.deauthorized(boottime, transaction, settled),
            Input::Learned => self.learning.told(),
            Input::Clock { synchronised } => self.wall.synchronised(synchronised),
            Input::Returned(answer) => self.trial.returned(boottime, answer),
            Input::Wake => {}
        }
    }

    fn configure(&mut self, now: Moment, state: SettingsState, effects: &mut Vec<Effect>) {
        self.settings_present = true;
        self.keys = Configuration::of(state);
        self.registration.heartbeat_key(self.keys.seconds("HeartbeatInterval", 60));
        self.statuses.configure(self.keys.seconds("MinimumStatusDuration", 10));
        self.aligned.configure(self.keys.seconds("ClockAlignedDataInterval", 0));
        self.follow_way(now, effects);
    }

    fn key_read(&mut self, now: Moment, changed: u64, key: Option<Hidden>, effects: &mut Vec<Effect>) {
        if self.key.reading != Some(changed) {
            return;
        }
        self.key.reading = None;
        match key {
            Some(key) => {
                self.key.changed = changed;
                self.key.value = Some(key).filter(|key| !key.as_str().is_empty());
                self.follow_way(now, effects);
            }
            None => self.key.again = Some(now.boottime.after(READ_AGAIN)),
        }
    }

    /// Goes where the configuration says, once the password is known that belongs to it.
    fn follow_way(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let changed = self.keys.key_changed();
        if changed == 0 {
            self.key = Key::default();
        } else if changed != self.key.changed {
            if self.key.reading != Some(changed) && self.key.again.is_none_or(|again| again <= now.boottime) {
                self.key.reading = Some(changed);
                self.key.again = None;
                effects.push(Effect::ReadKey { changed });
            }
            return;
        }
        let way = self.keys.way(self.key.value.clone());
        if let Some(ways) = self.trial.configured(now.boottime, &way) {
            self.delivery.note(Note::Ways(ways));
        }
        let target = match way.target() {
            Ok(target) => {
                self.no_target = None;
                if self.registration.at(now.boottime, &target) {
                    self.statuses.told.clear();
                    self.statuses.suspend();
                }
                Some(target)
            }
            Err(reason) => {
                if self.no_target.as_ref() != Some(&reason) {
                    tracing::error!(reason = reason.reason(), "there is no way to the CSMS");
                }
                self.no_target = Some(reason);
                None
            }
        };
        let ping = self.keys.seconds("WebSocketPingInterval", 20);
        self.connection.configure(now.boottime, target, ping);
    }

    /// Nothing more comes over the link; what was on the wire may or may not have reached the CSMS.
    fn link_lost(&mut self, effects: &mut Vec<Effect>) {
        self.link_url = None;
        let in_flight = self.outstanding.take();
        self.traffic.in_flight(None);
        self.nobody_answers(in_flight, effects);
        self.wishes.clear();
        self.delivery.link_lost();
        self.statuses.suspend();
    }

    fn time_out(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if self.key.again.is_some_and(|again| again <= now.boottime) {
            self.follow_way(now, effects);
        }
        self.askers_time_out(now.boottime, effects);
        if self.outstanding.as_ref().is_none_or(|outstanding| outstanding.deadline > now.boottime) {
            return;
        }
        let Some(outstanding) = self.outstanding.take() else { return };
        self.traffic.in_flight(None);
        // A slow verdict or a transaction message that the CSMS chokes on says nothing about the link; these do.
        if outstanding.call.proves_the_link()
            && self.connection.silent_since(outstanding.sent)
            && let Some(order) =
                self.connection.drop_link(now.boottime, "a request was not answered, and nothing else came")
        {
            self.link_reason = self.connection.given_up().unwrap_or_default().to_owned();
            self.link_lost(effects);
            effects.push(Effect::Link(order));
            return;
        }
        self.unanswered(now, outstanding, effects);
    }

    fn ignore(&mut self, reason: &str) {
        let state = self.traffic.state_mut();
        state.ignored_frames = state.ignored_frames.saturating_add(1);
        tracing::debug!(reason, ignored = state.ignored_frames, "a frame of the CSMS is ignored");
    }

    /// Hands a frame to the link.
    fn send(&mut self, text: Wire, effects: &mut Vec<Effect>) {
        let state = self.traffic.state_mut();
        state.bytes_sent = state.bytes_sent.saturating_add(u64::try_from(text.0.len()).unwrap_or(0));
        effects.push(Effect::Send(text));
    }

    /// Reads the meters of the connectors that the clock means: a transaction's readings are in the journal.
    fn read_meters(&mut self, context: ReadingContext, effects: &mut Vec<Effect>) {
        if !self.accepted() || !self.has_room_for_wishes() {
            return;
        }
        let idle = CONNECTORS.into_iter().filter(|connector| self.statuses.transaction(*connector).is_none());
        for connector in idle.collect::<Vec<_>>() {
            self.read_meter(connector, context, effects);
        }
    }

    fn read_meter(&mut self, connector: u32, context: ReadingContext, effects: &mut Vec<Effect>) {
        self.readings = self.readings.saturating_add(1);
        effects.push(Effect::Read { connector: ConnectorId(connector), context });
    }

    fn remember(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if let Some((boot, start)) = self.wall.worth_remembering(now) {
            self.delivery.note(Note::Boot { boot, start });
        }
        effects.extend(self.delivery.take_notes().into_iter().map(|(number, note)| Effect::Keep { number, note }));
        let record = Record { told: self.statuses.told.clone(), ..self.registration.record().clone() };
        if record != self.record {
            self.record = record.clone();
            effects.push(Effect::Record(record));
        }
    }

    fn publish(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let link = match (&self.no_target, self.connection.is_up()) {
            (Some(NoTarget::Unset), false) => Link::Unconfigured,
            (_, false) => Link::Disconnected,
            (_, true) if self.accepted() => Link::Accepted,
            (_, true) => Link::Registering,
        };
        let mut next = self.shown.clone();
        if next.link != link {
            tracing::info!(link = %link, "the link has changed");
            next.link = link;
            next.link_since_unix_millis = now.unix;
        }
        let no_target = self.no_target.as_ref().map(|reason| reason.reason().to_owned());
        next.link_reason = no_target.unwrap_or_else(|| self.link_reason.clone());
        next.next_attempt_boottime_millis = self.connection.next_attempt().unwrap_or(BoottimeMillis(0));
        next.registration = self.registration.standing().into();
        let target = self.connection.target();
        let url = self.link_url.clone().or_else(|| target.map(|target| target.shown_url.clone()));
        next.central_system_url = url.unwrap_or_default();
        next.identity = target.map(|target| target.identity.clone()).unwrap_or_default();
        next.security_profile = target.map_or(0, |target| u32::from(target.security_profile));
        next.is_trial = self.trial.is_on();
        next.undelivered_events = self.kept.undelivered;
        next.conditions = conditions(self.kept);
        let kept = self.delivery.kept_cursor();
        if kept == next.confirmed_event {
            self.show_by = None;
        } else {
            let by = *self.show_by.get_or_insert(now.boottime.after(SHOW_AFTER));
            let many = kept.abs_diff(next.confirmed_event) >= SHOW_AFTER_EVENTS;
            if many || by <= now.boottime || self.delivery.is_done() || !self.accepted() {
                next.confirmed_event = kept;
                self.show_by = None;
            }
        }
        if next != self.shown {
            self.shown = next.clone();
            effects.push(Effect::Publish(next));
        }
    }
}

fn conditions(kept: Kept) -> Vec<Condition> {
    let condition = |code: &str, detail| Condition { code: code.to_owned(), connector: ConnectorId::STATION, detail };
    let undelivered = (kept.undelivered > 0).then(|| {
        let events = if kept.undelivered == 1 { "event" } else { "events" };
        let remedy = "`busbarctl queue` lists what there is and sends it again";
        condition(UNDELIVERED, format!("{} {events}; {remedy}", kept.undelivered))
    });
    let full = kept.is_full.then(|| {
        condition(
            DISK_FULL,
            "what the CSMS confirms cannot be kept, so nothing more is delivered; make room".to_owned(),
        )
    });
    undelivered.into_iter().chain(full).collect()
}

#[cfg(test)]
pub(crate) mod bench;
#[cfg(test)]
mod cases;
#[cfg(test)]
mod storm;
#[cfg(test)]
mod tests;
