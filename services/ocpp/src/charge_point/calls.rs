//! The station's own requests to the CSMS: which is next, one at a time, and what its answer means.

use super::{CONNECTORS, ChargePoint};
use crate::exchange::{Effect, NoAnswer};
use crate::ledger::Note;
use crate::messages::{self, Told};
use crate::record;
use crate::registration::Standing;
use crate::traffic::Counted;
use busbar_interfaces::ocpp::Authorization;
use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::words::DataTransferStatus;
use busbar_interfaces::{BoottimeMillis, ConnectorId, UnixMillis};
use busbar_ocpp16::confirmation::{self, RegistrationStatus};
use busbar_ocpp16::report::{Heartbeat, Report, StatusNotification};
use busbar_ocpp16::{Hidden, frame};
use busbar_runtime::Moment;
use serde_json::Value;
use std::time::Duration;

/// Badges, and vendors' messages, that may wait for the CSMS at a time.
const MOST_WAITING: usize = 16;
/// Messages that the CSMS asked for and that may wait at a time.
const MOST_WISHES: usize = 16;
/// Who asks on the bus is answered within this time, which is below the time limit of calls on the bus.
const ASK_LIMIT: Duration = Duration::from_secs(8);

/// A request of the station that is on the wire.
pub(super) struct Outstanding {
    pub id: String,
    pub action: &'static str,
    pub call: Call,
    pub sent: BoottimeMillis,
    pub deadline: BoottimeMillis,
}

pub(super) enum Call {
    Boot,
    Heartbeat,
    Authorize {
        asker: u64,
    },
    Transfer {
        asker: u64,
    },
    Status {
        connector: u32,
        told: record::Told,
    },
    /// Nothing depends on the answer.
    Wish,
    Journal,
}

impl Call {
    /// A CSMS that does not answer this has gone.
    pub fn proves_the_link(&self) -> bool {
        matches!(self, Call::Boot | Call::Heartbeat)
    }
}

/// A badge that a peer asks about.
pub(super) struct Asked {
    asker: u64,
    id_tag: Hidden,
    pub until: BoottimeMillis,
}

/// A vendor's message that somebody wants sent.
pub(super) struct Transfer {
    asker: u64,
    message: Told,
    pub until: BoottimeMillis,
}

/// What the CSMS has asked to be told (TriggerMessage), and what is told by the clock.
pub(super) enum Wish {
    Heartbeat,
    Status { connector: u32 },
    Message(Told),
}

/// The next request of the station.
struct Next {
    call: Call,
    id: String,
    action: &'static str,
    payload: Value,
    limit: Duration,
}

impl ChargePoint {
    /// Sends the next request of the station, if the wire is free: one at a time (OCPP-J 1.6, 4.1.1).
    pub(super) fn speak(&mut self, now: Moment, effects: &mut Vec<Effect>) {
        if self.outstanding.is_some() || !self.connection.is_right() {
            return;
        }
        let Some(Next { call, id, action, payload, limit }) = self.next_call(now) else { return };
        self.send(frame::call(&id, action, &payload), effects);
        self.traffic.count(action, Counted::Sent);
        self.traffic.in_flight(Some((action, now.boottime)));
        let deadline = now.boottime.after(limit);
        self.outstanding = Some(Outstanding { id, action, call, sent: now.boottime, deadline });
    }

    /// What may be sent in which standing (OCPP 1.6, 4.2): BootNotification until it is answered Accepted; while it is
    /// Pending also what the CSMS has asked for.
    fn next_call(&mut self, now: Moment) -> Option<Next> {
        let boottime = now.boottime;
        let limit = self.settings.call_timeout;
        let standing = self.registration.standing();
        if self.registration.boot_due(boottime) {
            let message = messages::boot(&self.settings);
            return Some(self.fresh(Call::Boot, message, limit));
        }
        if standing == Standing::Accepted {
            if let Some(Asked { asker, id_tag, until }) = self.asked.pop_front() {
                let message = messages::authorize(&id_tag);
                return Some(self.fresh(Call::Authorize { asker }, message, until.since(boottime)));
            }
            if let Some(Transfer { asker, message, until }) = self.transfers.pop_front() {
                return Some(self.fresh(Call::Transfer { asker }, message, until.since(boottime)));
            }
        }
        if matches!(standing, Standing::Accepted | Standing::Pending)
            && let Some(next) = self.next_wish(now)
        {
            return Some(next);
        }
        if standing != Standing::Accepted {
            return None;
        }
        if self.registration.heartbeat_due(boottime) {
            self.registration.heartbeat_sent(boottime);
            return Some(self.fresh(Call::Heartbeat, messages::told(&Heartbeat), limit));
        }
        if let Some((connector, told, payload)) = self.statuses.next(now, &self.wall) {
            let message = (StatusNotification::ACTION, payload);
            return Some(self.fresh(Call::Status { connector, told }, message, limit));
        }
        let message = self.delivery.next(now, &self.keys, &self.wall)?;
        Some(Next { call: Call::Journal, id: message.id, action: message.action, payload: message.payload, limit })
    }

    fn next_wish(&mut self, now: Moment) -> Option<Next> {
        let limit = self.settings.call_timeout;
        while let Some(wish) = self.wishes.pop_front() {
            match wish {
                Wish::Heartbeat => {
                    self.registration.heartbeat_sent(now.boottime);
                    return Some(self.fresh(Call::Heartbeat, messages::told(&Heartbeat), limit));
                }
                Wish::Status { connector } => {
                    // Of a connector that nobody has said anything about, nothing can be told.
                    let Some((told, payload)) = self.statuses.present(connector, now, &self.wall) else { continue };
                    let message = (StatusNotification::ACTION, payload);
                    return Some(self.fresh(Call::Status { connector, told }, message, limit));
                }
                Wish::Message(message) => return Some(self.fresh(Call::Wish, message, limit)),
            }
        }
        None
    }

    /// A request with an id that no other run of this process has used.
    fn fresh(&mut self, call: Call, (action, payload): Told, limit: Duration) -> Next {
        self.serial = self.serial.saturating_add(1);
        Next { call, id: format!("s-{:x}-{}", self.run, self.serial), action, payload, limit }
    }

    /// Whether there is room for another message that the CSMS asks for.
    pub(super) fn has_room_for_wishes(&self) -> bool {
        self.wishes.len().saturating_add(self.readings).saturating_add(CONNECTORS.len()) < MOST_WISHES
    }

    /// A meter was read because the CSMS asked, or by the clock; one that does not answer has nothing to tell.
    pub(super) fn meter_read(&mut self, now: Moment, connector: ConnectorId, sample: Option<&TransactionEvent>) {
        self.readings = self.readings.saturating_sub(1);
        let Some(sample) = sample.filter(|_| self.connection.is_right()) else { return };
        let transaction = self.statuses.transaction(connector.0);
        let central = transaction.and_then(|transaction| self.delivery.central(transaction));
        let at = self.wall.of_event(now, sample);
        if let Some(message) = messages::meter_values(sample, at, central, &self.keys) {
            self.wishes.push_back(Wish::Message(message));
        }
    }

    pub(super) fn authorize(&mut self, now: BoottimeMillis, asker: u64, id_tag: Hidden, effects: &mut Vec<Effect>) {
        match self.refuses_to_ask(self.asked.len()) {
            Some(reason) => effects.push(Effect::Authorized { asker, verdict: Err(reason) }),
            None => {
                let until = now.after(self.settings.call_timeout.min(ASK_LIMIT));
                self.asked.push_back(Asked { asker, id_tag, until });
            }
        }
    }

    pub(super) fn transfer(
        &mut self,
        now: BoottimeMillis,
        asker: u64,
        (vendor_id, message_id, data): (String, String, String),
        effects: &mut Vec<Effect>,
    ) {
        match self.refuses_to_ask(self.transfers.len()) {
            Some(reason) => effects.push(Effect::Transferred { asker, answer: Err(reason) }),
            None => {
                let until = now.after(self.settings.call_timeout.min(ASK_LIMIT));
                let message = messages::data_transfer(vendor_id, message_id, data);
                self.transfers.push_back(Transfer { asker, message, until });
            }
        }
    }

    fn refuses_to_ask(&self, waiting: usize) -> Option<NoAnswer> {
        if !self.accepted() {
            Some(NoAnswer::NoLink)
        } else if waiting >= MOST_WAITING {
            Some(NoAnswer::TooMany)
        } else {
            None
        }
    }

    /// Whoever has waited for too long is told so.
    pub(super) fn askers_time_out(&mut self, now: BoottimeMillis, effects: &mut Vec<Effect>) {
        for asked in self.asked.iter().filter(|asked| asked.until <= now) {
            effects.push(Effect::Authorized { asker: asked.asker, verdict: Err(NoAnswer::Late) });
        }
        for transfer in self.transfers.iter().filter(|transfer| transfer.until <= now) {
            effects.push(Effect::Transferred { asker: transfer.asker, answer: Err(NoAnswer::Late) });
        }
        self.asked.retain(|asked| asked.until > now);
        self.transfers.retain(|transfer| transfer.until > now);
    }

    /// The link is lost: whoever waits for a word of the CSMS gets none.
    pub(super) fn nobody_answers(&mut self, in_flight: Option<Outstanding>, effects: &mut Vec<Effect>) {
        let call = in_flight.map(|outstanding| outstanding.call);
        let authorized = |asker| Effect::Authorized { asker, verdict: Err(NoAnswer::NoLink) };
        let transferred = |asker| Effect::Transferred { asker, answer: Err(NoAnswer::NoLink) };
        match call {
            Some(Call::Authorize { asker }) => effects.push(authorized(asker)),
            Some(Call::Transfer { asker }) => effects.push(transferred(asker)),
            _ => {}
        }
        effects.extend(self.asked.drain(..).map(|asked| authorized(asked.asker)));
        effects.extend(self.transfers.drain(..).map(|transfer| transferred(transfer.asker)));
    }

    /// No answer came in time.
    pub(super) fn unanswered(&mut self, now: Moment, outstanding: Outstanding, effects: &mut Vec<Effect>) {
        match outstanding.call {
            Call::Boot => self.registration.not_booted(now.boottime),
            Call::Heartbeat | Call::Wish => {}
            Call::Authorize { asker } => effects.push(Effect::Authorized { asker, verdict: Err(NoAnswer::Late) }),
            Call::Transfer { asker } => effects.push(Effect::Transferred { asker, answer: Err(NoAnswer::Late) }),
            Call::Status { .. } => self.statuses.unanswered(now.boottime),
            Call::Journal => self.delivery.unanswered(now, &outstanding.id),
        }
    }

    /// A journal that was exchanged takes its message on the wire with it.
    pub(super) fn forget_journal_call(&mut self) {
        if let Some(Outstanding { id, call: Call::Journal, .. }) = &self.outstanding
            && !self.delivery.knows(id)
        {
            self.outstanding = None;
            self.traffic.in_flight(None);
        }
    }

    /// The CSMS's answer to a request of the station: a payload, or why there is none.
    pub(super) fn answered(&mut self, now: Moment, id: &str, answer: Result<&Value, &str>, effects: &mut Vec<Effect>) {
        let Some(outstanding) = self.outstanding.take_if(|outstanding| outstanding.id == id) else {
            // A late answer is an answer all the same: the message is the same.
            if self.delivery.knows(id) {
                self.journal_answered(now, id, answer);
            } else {
                self.ignore("an answer to nothing");
            }
            return;
        };
        self.traffic.in_flight(None);
        self.traffic.count(outstanding.action, if answer.is_ok() { Counted::Answered } else { Counted::Refused });
        let took = now.boottime.since(outstanding.sent).as_millis();
        self.traffic.state_mut().round_trip_millis = u32::try_from(took).unwrap_or(u32::MAX);
        // What the old CSMS still says is not said by the new one.
        let is_right = self.connection.is_right();
        match outstanding.call {
            Call::Boot | Call::Status { .. } if !is_right => {}
            Call::Boot => self.boot_answered(now, answer, effects),
            Call::Heartbeat => {
                let time = answer.ok().map(confirmation::Heartbeat::read);
                self.central_time(now, time.and_then(|answer| answer.current_unix_millis), effects);
            }
            Call::Wish => {}
            Call::Authorize { asker } => {
                effects.push(Effect::Authorized { asker, verdict: verdict(answer) });
            }
            Call::Transfer { asker } => effects.push(Effect::Transferred { asker, answer: transferred(answer) }),
            Call::Status { connector, told } => {
                if let Err(reason) = answer {
                    tracing::warn!(connector, reason, "the CSMS does not take a status");
                }
                self.statuses.answered(connector, told);
            }
            Call::Journal => self.journal_answered(now, id, answer),
        }
        self.proven();
    }

    /// A CSMS that knows the station has sent something. What still comes over the old link says nothing about the new
    /// way.
    pub(super) fn proven(&mut self) {
        let is_known = matches!(self.registration.standing(), Standing::Accepted | Standing::Pending);
        if is_known
            && self.connection.is_up()
            && !self.connection.is_moving()
            && let Some(ways) = self.trial.answered()
        {
            self.delivery.note(Note::Ways(ways));
        }
    }

    fn journal_answered(&mut self, now: Moment, id: &str, answer: Result<&Value, &str>) {
        match answer {
            Ok(payload) => {
                if let Some(learned) = self.delivery.taken(now, id, payload, &self.keys) {
                    self.learning.add(learned);
                }
            }
            Err(reason) => self.delivery.refused(now, id, reason, &self.keys),
        }
    }

    fn boot_answered(&mut self, now: Moment, answer: Result<&Value, &str>, effects: &mut Vec<Effect>) {
        let answer = answer
            .map_err(str::to_owned)
            .and_then(|payload| confirmation::BootNotification::read(payload).map_err(|fault| fault.to_string()));
        match answer {
            Ok(answer) => {
                self.central_time(now, answer.current_unix_millis, effects);
                let was_accepted = self.registration.standing() == Standing::Accepted;
                self.registration.booted(now.boottime, answer);
                if answer.status == RegistrationStatus::Accepted {
                    if !was_accepted {
                        self.statuses.told.clear();
                    }
                    self.statuses.resume();
                }
            }
            Err(reason) => {
                tracing::warn!(reason, "the CSMS has not answered BootNotification as it should");
                self.registration.not_booted(now.boottime);
            }
        }
    }

    fn central_time(&mut self, now: Moment, time: Option<u64>, effects: &mut Vec<Effect>) {
        let Some(central) = time.map(UnixMillis) else { return };
        if self.wall.central_time(now, central) {
            effects.push(Effect::SetClock { central });
        }
    }
}

/// The CSMS's word on a badge. One that is there and says nothing of use has not said yes, and nothing else either: the
/// offline rules are not for it, and nobody keeps it.
fn verdict(answer: Result<&Value, &str>) -> Result<Authorization, NoAnswer> {
    let said = answer
        .map_err(str::to_owned)
        .and_then(|payload| confirmation::Authorize::read(payload).map_err(|fault| fault.to_string()));
    said.map(|answer| messages::authorization(&answer.id_tag_info)).map_err(|reason| {
        tracing::warn!(reason, "the CSMS has answered Authorize without a verdict, which is no permission");
        NoAnswer::Refused
    })
}

/// The CSMS's word on a vendor's message.
fn transferred(answer: Result<&Value, &str>) -> Result<(DataTransferStatus, String), NoAnswer> {
    let payload = answer.map_err(|_| NoAnswer::Refused)?;
    let answer = confirmation::DataTransfer::read(payload).map_err(|_| NoAnswer::Refused)?;
    Ok((messages::data_transfer_status(answer.status), answer.data.unwrap_or_default()))
}
