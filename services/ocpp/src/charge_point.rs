//! The charge point as the CSMS sees it: what comes in from the link, the peers, the ledger and the bus, and what is to
//! be done about it. Pure: time and dice are in the arguments, everything to do is in the effects.

use crate::configuration::{Configuration, NoTarget};
use crate::connection::{Connection, Order};
use crate::delivery::{Delivery, Stored};
use crate::exchange::{Effect, Input, NoVerdict, Question};
use crate::frame::{self, ErrorCode, Frame, Refusal, Wire};
use crate::hidden::Hidden;
use crate::messages::{self, BootStatus};
use crate::record::{Record, Told};
use crate::registration::{Registration, Standing};
use crate::requests::Request;
use crate::settings::Settings;
use crate::status::Statuses;
use busbar_interfaces::ocpp::{Authorization, OcppState};
use busbar_interfaces::settings::SettingsState;
use busbar_interfaces::words::{AuthorizationStatus, Link};
use busbar_interfaces::{BoottimeMillis, ConnectorId, UnixMillis};
use busbar_runtime::{Moment, View};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Requests of the CSMS that may wait for peers at a time.
const MOST_ANSWERING: usize = 32;
/// Badges that may wait for the CSMS at a time.
const MOST_AUTHORIZATIONS: usize = 16;
/// Who asks about a badge is answered within this time, which is below the time limit of calls on the bus.
const AUTHORIZE_LIMIT: Duration = Duration::from_secs(8);
/// A link that must go elsewhere stays this long for answers that are due on it.
const MOVE_GRACE: Duration = Duration::from_secs(2);
/// The confirmed event is published when delivery rests, after this many events, or after this time.
const SHOW_AFTER_EVENTS: u64 = 32;
const SHOW_AFTER: Duration = Duration::from_millis(250);

/// A request of the station that is on the wire.
struct Outstanding {
    id: String,
    call: Call,
    sent: BoottimeMillis,
    deadline: BoottimeMillis,
}

enum Call {
    Boot,
    Heartbeat,
    Authorize { asker: u64 },
    Status { connector: u32, told: Told },
    Journal,
}

struct Asked {
    asker: u64,
    id_tag: Hidden,
    until: BoottimeMillis,
}

struct Answering {
    id: String,
    link: u64,
}

/// The charge point.
pub struct ChargePoint {
    settings: Settings,
    keys: Configuration,
    settings_present: bool,
    session_present: bool,
    no_target: Option<NoTarget>,
    connection: Connection,
    link: u64,
    registration: Registration,
    statuses: Statuses,
    delivery: Delivery,
    asked: VecDeque<Asked>,
    outstanding: Option<Outstanding>,
    answering: BTreeMap<u64, Answering>,
    serial: u64,
    run: u64,
    /// Texts and answers of the CSMS that made no sense.
    ignored: u64,
    record: Record,
    shown: OcppState,
    show_by: Option<BoottimeMillis>,
    now: BoottimeMillis,
}

impl ChargePoint {
    /// With what the ledger and the record knew.
    pub fn new(settings: Settings, stored: Stored, record: Record, now: Moment) -> ChargePoint {
        let delivery = Delivery::new(stored, settings.queue_page);
        let shown = OcppState {
            link: Link::Disconnected,
            link_since_unix_millis: now.unix,
            central_system_url: String::new(),
            identity: String::new(),
            confirmed_event: delivery.kept_cursor(),
        };
        ChargePoint {
            keys: Configuration::default(),
            settings_present: false,
            session_present: false,
            no_target: None,
            connection: Connection::new(settings.retry_first, settings.retry_most),
            link: 0,
            registration: Registration::new(record.clone()),
            statuses: Statuses::new(&settings.vendor, record.told.clone()),
            delivery,
            asked: VecDeque::new(),
            outstanding: None,
            answering: BTreeMap::new(),
            serial: 0,
            run: now.unix.0,
            ignored: 0,
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

    /// Takes an input in and tells what is to be done.
    pub fn step(&mut self, now: Moment, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.now = now.boottime;
        self.take(now, input, &mut effects);
        self.time_out(now, &mut effects);
        while let Some(order) = self.connection.due(now.boottime, !self.answering.is_empty()) {
            if matches!(order, Order::Close { .. }) {
                self.link_lost(&mut effects);
            }
            effects.push(Effect::Link(order));
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
        self.remember(&mut effects);
        self.publish(now, &mut effects);
        effects
    }

    /// When to step again if nothing else happens before.
    pub fn next_wake(&self) -> Option<BoottimeMillis> {
        let idle = self.connection.is_right() && self.outstanding.is_none();
        let own = [
            self.connection.next_due(),
            self.outstanding.as_ref().map(|outstanding| outstanding.deadline),
            self.asked.iter().map(|asked| asked.until).min(),
            self.registration.next_due().filter(|_| idle),
            self.statuses.due().filter(|_| idle),
            self.delivery.next_due(self.accepted()),
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
            Input::Settings(View::Present(state)) => self.configure(now, state),
            Input::Session(view) => {
                self.session_present = view.present().is_some();
                self.delivery.journal(now, view.present().map(|state| state.last_event));
                self.forget_journal_call();
            }
            Input::Connector(connector, view) => {
                if let View::Present(state) = view {
                    self.statuses.connector(now, connector, state, self.accepted());
                }
            }
            Input::Faults(View::Absent) => {}
            Input::Faults(View::Present(state)) => self.statuses.faults(now, state, self.accepted()),
            Input::Opened { number } => {
                if self.connection.opened(boottime, number) {
                    self.link = number;
                    self.registration.opened(boottime);
                    if self.accepted() {
                        self.statuses.resume();
                    }
                }
            }
            Input::Ended { number, dice } => {
                if self.connection.ended(boottime, number, dice) {
                    self.link_lost(effects);
                }
            }
            Input::Heard { number } => {
                if self.connection.is_link(number) {
                    self.connection.heard(boottime);
                }
            }
            Input::Text { number, text } => {
                if self.connection.is_link(number) {
                    self.connection.heard(boottime);
                    self.text(now, &text, effects);
                }
            }
            Input::Fetched { after, events } => self.delivery.fetched(boottime, after, events),
            Input::Kept { note } => self.delivery.kept(note),
            Input::Authorize { asker, id_tag } => self.authorize(boottime, asker, id_tag, effects),
            Input::Answered { serial, answer } => {
                if let Some(answering) = self.answering.remove(&serial)
                    && self.connection.is_link(answering.link)
                {
                    effects.push(Effect::Send(frame::result(&answering.id, &json!({"status": answer.as_str()}))));
                }
            }
            Input::Deauthorized { transaction, settled } => self.delivery.deauthorized(boottime, transaction, settled),
            Input::Wake => {}
        }
    }

    fn configure(&mut self, now: Moment, state: SettingsState) {
        self.settings_present = true;
        self.keys = Configuration::of(state);
        let target = match self.keys.target() {
            Ok(target) => {
                self.no_target = None;
                if self.registration.at(now.boottime, &target) {
                    self.statuses.told.clear();
                    self.statuses.suspend();
                }
                Some(target)
            }
            Err(reason) => {
                if let NoTarget::Unusable(fault) = reason
                    && self.no_target.as_ref() != Some(&reason)
                {
                    tracing::error!(key = "SupervisionUrl", fault, "the address of the CSMS cannot be used");
                }
                self.no_target = Some(reason);
                None
            }
        };
        self.registration.heartbeat_key(self.keys.seconds("HeartbeatInterval", 60));
        let ping = self.keys.seconds("WebSocketPingInterval", 20);
        self.connection.configure(now.boottime, target, ping, MOVE_GRACE);
    }

    /// Nothing more comes over the link; what was on the wire may or may not have reached the CSMS.
    fn link_lost(&mut self, effects: &mut Vec<Effect>) {
        let in_flight = self.outstanding.take().and_then(|outstanding| match outstanding.call {
            Call::Authorize { asker } => Some(asker),
            Call::Boot | Call::Heartbeat | Call::Status { .. } | Call::Journal => None,
        });
        for asker in in_flight.into_iter().chain(self.asked.drain(..).map(|asked| asked.asker)) {
            effects.push(Effect::Authorized { asker, verdict: Err(NoVerdict::NoLink) });
        }
        self.delivery.link_lost();
        self.statuses.suspend();
    }

    /// A journal that was exchanged takes its message on the wire with it.
    fn forget_journal_call(&mut self) {
        if let Some(Outstanding { id, call: Call::Journal, .. }) = &self.outstanding
            && !self.delivery.is_head(id)
        {
            self.outstanding = None;
        }
    }

    fn authorize(&mut self, now: BoottimeMillis, asker: u64, id_tag: Hidden, effects: &mut Vec<Effect>) {
        let refused = if !self.accepted() {
            Some(NoVerdict::NoLink)
        } else if self.asked.len() >= MOST_AUTHORIZATIONS {
            Some(NoVerdict::TooMany)
        } else {
            None
        };
        match refused {
            Some(reason) => effects.push(Effect::Authorized { asker, verdict: Err(reason) }),
            None => {
                let until = now.after(self.settings.call_timeout.min(AUTHORIZE_LIMIT));
                self.asked.push_back(Asked { asker, id_tag, until });
            }
        }
    }

    fn time_out(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        let late = |asked: &Asked| asked.until <= now.boottime;
        for asked in self.asked.iter().filter(|asked| late(asked)) {
            effects.push(Effect::Authorized { asker: asked.asker, verdict: Err(NoVerdict::Late) });
        }
        self.asked.retain(|asked| !late(asked));
        if self.outstanding.as_ref().is_none_or(|outstanding| outstanding.deadline > now.boottime) {
            return;
        }
        let Some(outstanding) = self.outstanding.take() else { return };
        // A slow verdict or a transaction message that the CSMS chokes on says nothing about the link; these do.
        if matches!(outstanding.call, Call::Boot | Call::Heartbeat)
            && self.connection.silent_since(outstanding.sent)
            && let Some(order) =
                self.connection.drop_link(now.boottime, "a request was not answered, and nothing else came")
        {
            self.link_lost(effects);
            effects.push(Effect::Link(order));
            return;
        }
        match outstanding.call {
            Call::Boot => self.registration.not_booted(now.boottime),
            Call::Heartbeat => {}
            Call::Authorize { asker } => effects.push(Effect::Authorized { asker, verdict: Err(NoVerdict::Late) }),
            Call::Status { .. } => self.statuses.unanswered(now.boottime),
            Call::Journal => self.delivery.unanswered(now),
        }
    }

    fn text(&mut self, now: Moment, text: &Wire, effects: &mut Vec<Effect>) {
        match frame::read(&text.0) {
            // A station that is rejected says nothing at all until it asks again (OCPP 1.6, 4.2).
            Ok(Frame::Call { .. }) if self.registration.standing() == Standing::Rejected => self.ignore("rejected"),
            Ok(Frame::Call { id, action, payload }) => {
                if let Some(answer) = self.request(id, &action, &payload, effects) {
                    effects.push(Effect::Send(answer));
                }
            }
            Ok(Frame::Result { id, payload }) => self.answered(now, &id, Ok(&payload), effects),
            Ok(Frame::Error { id, code }) => {
                let code: String = code.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
                self.answered(now, &id, Err(&format!("CALLERROR {code}")), effects);
            }
            Err(broken) => {
                if let Some(id) = broken.answered {
                    self.answered(now, &id, Err("an answer that is no frame"), effects);
                } else {
                    self.ignore("no frame");
                }
                if self.registration.standing() != Standing::Rejected {
                    effects.extend(broken.answer.map(Effect::Send));
                }
            }
        }
    }

    fn ignore(&mut self, reason: &'static str) {
        self.ignored = self.ignored.saturating_add(1);
        tracing::debug!(reason, ignored = self.ignored, "a text of the CSMS is ignored");
    }

    /// A request of the CSMS: its answer, or nothing when a peer has to be asked first.
    fn request(&mut self, id: String, action: &str, payload: &Value, effects: &mut Vec<Effect>) -> Option<Wire> {
        if self.answering.values().any(|answering| answering.link == self.link && answering.id == id) {
            self.ignore("a request that is being answered");
            return None;
        }
        let request = match Request::read(action, payload) {
            Ok(request) => request,
            Err(refusal) => return Some(frame::error(&id, &refusal)),
        };
        let rejected = Some(frame::result(&id, &json!({"status": "Rejected"})));
        let charging = self.registration.standing() == Standing::Accepted && self.session_present;
        let question = match request {
            Request::GetConfiguration { keys } => {
                return Some(match self.keys.answer(keys.as_deref()) {
                    Ok(answer) => frame::result(&id, &answer),
                    Err(refusal) => frame::error(&id, &refusal),
                });
            }
            Request::UnlockConnector => return Some(frame::result(&id, &json!({"status": "NotSupported"}))),
            Request::ChangeConfiguration { key, value } => {
                if !self.settings_present {
                    return rejected;
                }
                Question::Set { key, value }
            }
            Request::RemoteStart { connector, id_tag, with_profile } => {
                // A limit that is not applied must not be promised, and profiles are not built in this version.
                if !charging || connector == Some(0) || with_profile {
                    return rejected;
                }
                Question::RemoteStart { connector: ConnectorId(connector.unwrap_or(0)), id_tag }
            }
            Request::RemoteStop { central } => match self.delivery.local(central) {
                Some(transaction) if charging => Question::RemoteStop { transaction },
                _ => return rejected,
            },
        };
        if self.answering.len() >= MOST_ANSWERING {
            let busy = Refusal::new(ErrorCode::InternalError, "busy: too many requests wait, repeat later");
            return Some(frame::error(&id, &busy));
        }
        self.serial = self.serial.saturating_add(1);
        self.answering.insert(self.serial, Answering { id, link: self.link });
        effects.push(Effect::Ask { serial: self.serial, question });
        None
    }

    /// The CSMS's answer to a request of the station: a payload, or why there is none.
    fn answered(&mut self, now: Moment, id: &str, answer: Result<&Value, &str>, effects: &mut Vec<Effect>) {
        let Some(outstanding) = self.outstanding.take_if(|outstanding| outstanding.id == id) else {
            // A late answer is an answer all the same: the message is the same.
            if self.delivery.is_head(id) {
                self.journal_answered(now, answer);
            } else {
                self.ignore("an answer to nothing");
            }
            return;
        };
        if answer.is_ok() && self.accepted() {
            self.connection.proven();
        }
        match outstanding.call {
            Call::Boot => self.boot_answered(now, answer),
            Call::Heartbeat => {}
            Call::Authorize { asker } => {
                let said = answer
                    .map_err(str::to_owned)
                    .and_then(|payload| messages::id_tag_info(payload).map_err(|fault| fault.to_string()));
                // A CSMS that is there and does not say yes has not said yes: the offline rules are not for it.
                let verdict = said.unwrap_or_else(|reason| {
                    tracing::warn!(reason, "the CSMS has answered Authorize without a verdict, which counts as no");
                    Authorization {
                        status: AuthorizationStatus::Invalid,
                        parent_id_tag: String::new(),
                        expires_unix_millis: UnixMillis(0),
                    }
                });
                effects.push(Effect::Authorized { asker, verdict: Ok(verdict) });
            }
            Call::Status { connector, told } => {
                if let Err(reason) = answer {
                    tracing::warn!(connector, reason, "the CSMS does not take a status");
                }
                self.statuses.answered(connector, told);
            }
            Call::Journal => self.journal_answered(now, answer),
        }
    }

    fn journal_answered(&mut self, now: Moment, answer: Result<&Value, &str>) {
        match answer {
            Ok(payload) => self.delivery.taken(now, payload, &self.keys),
            Err(reason) => self.delivery.refused(now, reason, &self.keys),
        }
    }

    fn boot_answered(&mut self, now: Moment, answer: Result<&Value, &str>) {
        let answer = answer
            .map_err(str::to_owned)
            .and_then(|payload| messages::boot_answer(payload).map_err(|fault| fault.to_string()));
        match answer {
            Ok(answer) => {
                self.registration.booted(now.boottime, answer);
                if answer.status == BootStatus::Accepted {
                    self.connection.proven();
                    self.statuses.resume();
                }
            }
            Err(reason) => {
                tracing::warn!(reason, "the CSMS has not answered BootNotification as it should");
                self.registration.not_booted(now.boottime);
            }
        }
    }

    /// Sends the next request of the station, if the wire is free: one at a time (OCPP-J 1.6, 4.1.1).
    fn speak(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if self.outstanding.is_some() || !self.connection.is_right() {
            return;
        }
        let Some((call, id, action, payload, limit)) = self.next_call(now) else { return };
        effects.push(Effect::Send(frame::call(&id, action, &payload)));
        self.outstanding = Some(Outstanding { id, call, sent: now.boottime, deadline: now.boottime.after(limit) });
    }

    fn next_call(&mut self, now: Moment) -> Option<(Call, String, &'static str, Value, Duration)> {
        let boottime = now.boottime;
        let limit = self.settings.call_timeout;
        if self.registration.standing() != Standing::Accepted {
            let payload = self.registration.boot_due(boottime).then(|| messages::boot(&self.settings))?;
            return Some((Call::Boot, self.fresh_id(), "BootNotification", payload, limit));
        }
        if let Some(Asked { asker, id_tag, until }) = self.asked.pop_front() {
            let payload = messages::authorize(&id_tag.0);
            return Some((Call::Authorize { asker }, self.fresh_id(), "Authorize", payload, until.since(boottime)));
        }
        if self.registration.heartbeat_due(boottime) {
            self.registration.heartbeat_sent(boottime);
            return Some((Call::Heartbeat, self.fresh_id(), "Heartbeat", json!({}), limit));
        }
        if let Some((connector, told, payload)) = self.statuses.next(boottime) {
            let call = Call::Status { connector, told };
            return Some((call, self.fresh_id(), "StatusNotification", payload, limit));
        }
        let message = self.delivery.next(now, &self.keys)?;
        Some((Call::Journal, message.id, message.action, message.payload, limit))
    }

    /// An id that no other run of this process has used.
    fn fresh_id(&mut self) -> String {
        self.serial = self.serial.saturating_add(1);
        format!("s-{:x}-{}", self.run, self.serial)
    }

    fn remember(&mut self, effects: &mut Vec<Effect>) {
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
        let target = self.connection.target();
        next.central_system_url = target.map(|target| target.shown_url.clone()).unwrap_or_default();
        next.identity = target.map(|target| target.identity.clone()).unwrap_or_default();
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

#[cfg(test)]
pub(crate) mod bench;
#[cfg(test)]
mod storm;
#[cfg(test)]
mod tests;
