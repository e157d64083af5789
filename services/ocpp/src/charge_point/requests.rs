//! The requests of the CSMS: answered at once, or when a peer has said what it does about it. No answer waits for the
//! station's own request that is on the wire.

use super::calls::Wish;
use super::{Answering, CONNECTORS, ChargePoint};
use crate::cost::{self, Cost};
use crate::exchange::{Answer, Effect, Question};
use crate::local_list;
use crate::messages::told;
use crate::registration::Standing;
use crate::traffic::Counted;
use busbar_interfaces::words::{Availability, ReadingContext};
use busbar_interfaces::{ConnectorId, ReservationId};
use busbar_ocpp16::answer;
use busbar_ocpp16::frame::{self, ErrorCode, Frame, Refusal, Wire};
use busbar_ocpp16::report::{
    DiagnosticsStatus, DiagnosticsStatusNotification, FirmwareStatus, FirmwareStatusNotification,
};
use busbar_ocpp16::request::{DataTransfer, ExtendedTriggeredMessage, Request, TriggeredMessage};
use busbar_runtime::Moment;
use serde_json::{Value, json};

/// Requests of the CSMS that may wait for peers at a time.
pub(super) const MOST_ANSWERING: usize = 32;

/// What becomes of a request.
enum Reaction {
    /// It is answered.
    Answer(Value),
    /// It is answered with a CALLERROR.
    Refuse(Refusal),
    /// A peer has to be asked.
    Ask(Question),
}

/// An answer that consists of a status.
fn status(word: &'static str) -> Reaction {
    Reaction::Answer(answer::status(word))
}

impl ChargePoint {
    /// Something came over the link.
    pub(super) fn text(&mut self, now: Moment, text: &Wire, effects: &mut Vec<Effect>) {
        let state = self.traffic.state_mut();
        state.bytes_received = state.bytes_received.saturating_add(u64::try_from(text.0.len()).unwrap_or(0));
        match frame::read(&text.0) {
            // A station that is rejected says nothing at all until it asks again (OCPP 1.6, 4.2).
            Ok(Frame::Call { .. }) if self.registration.standing() == Standing::Rejected => self.ignore("rejected"),
            Ok(Frame::Call { id, action, payload }) => {
                self.proven();
                self.connection.asked(now.boottime);
                self.request(now, id, &action, &payload, effects);
            }
            Ok(Frame::Result { id, payload }) => self.answered(now, &id, Ok(&payload), effects),
            Ok(Frame::Error { id, code }) => self.answered(now, &id, Err(&code), effects),
            Err(broken) => {
                if let Some(id) = &broken.answered {
                    self.answered(now, id, Err("the answer is not one"), effects);
                } else {
                    self.ignore("not a frame");
                }
                if let Some(answer) = broken.answer.filter(|_| self.registration.standing() != Standing::Rejected) {
                    self.send(answer, effects);
                }
            }
        }
    }

    fn request(&mut self, now: Moment, id: String, action: &str, payload: &Value, effects: &mut Vec<Effect>) {
        if self.answering.values().any(|answering| answering.link == self.link && answering.id == id) {
            self.ignore("a request that is being answered");
            return;
        }
        let request = match Request::read(action, payload) {
            Ok(request) => request,
            Err(refusal) => {
                if Request::actions().any(|known| known == action) {
                    self.traffic.count(action, Counted::Received);
                    self.traffic.count(action, Counted::Faulted);
                }
                self.send(frame::error(&id, &refusal), effects);
                return;
            }
        };
        let action = request.action();
        self.traffic.count(action, Counted::Received);
        match self.reaction(now, request, effects) {
            Reaction::Answer(answer) => self.send(frame::result(&id, &answer), effects),
            Reaction::Refuse(refusal) => {
                self.traffic.count(action, Counted::Faulted);
                self.send(frame::error(&id, &refusal), effects);
            }
            Reaction::Ask(_) if self.answering.len() >= MOST_ANSWERING => {
                let busy = Refusal::new(ErrorCode::InternalError, "busy: too many requests wait, repeat later");
                self.traffic.count(action, Counted::Faulted);
                self.send(frame::error(&id, &busy), effects);
            }
            Reaction::Ask(question) => {
                self.serial = self.serial.saturating_add(1);
                let heartbeat =
                    matches!(&question, Question::Set { key, .. } if key.eq_ignore_ascii_case("HeartbeatInterval"));
                let list_version = match &question {
                    Question::UpdateLocalList(sent) => local_list::version_after(sent),
                    _ => None,
                };
                self.answering.insert(self.serial, Answering { id, action, link: self.link, heartbeat, list_version });
                effects.push(Effect::Ask { serial: self.serial, question });
            }
        }
    }

    /// A peer has said what it does about a request.
    pub(super) fn peer_answered(&mut self, serial: u64, answer: Answer, effects: &mut Vec<Effect>) {
        let Some(answering) = self.answering.remove(&serial) else { return };
        let word = answer.as_str();
        if let Some(version) = answering.list_version.filter(|_| word == "Accepted") {
            self.list_version.accepted(version);
        }
        if !self.connection.is_link(answering.link) {
            return;
        }
        if answering.heartbeat && word == "Accepted" {
            self.registration.heartbeat_ordered();
        }
        let payload = match answering.action {
            // The guide: the answer to CostUpdated is Accepted with empty data.
            "DataTransfer" if word == "Accepted" => json!({"status": word, "data": ""}),
            _ => answer::status(word),
        };
        self.send(frame::result(&answering.id, &payload), effects);
    }

    fn reaction(&mut self, now: Moment, request: Request, effects: &mut Vec<Effect>) -> Reaction {
        let charging = self.registration.standing() == Standing::Accepted && self.session_present;
        match request {
            Request::GetConfiguration(request) => match self.keys.answer(request.keys.as_deref()) {
                Ok(answer) => Reaction::Answer(answer),
                Err(refusal) => Reaction::Refuse(refusal),
            },
            Request::ChangeConfiguration(_) if !self.settings_present => status("Rejected"),
            // A profile that needs a certificate the station does not have would take it off the net.
            Request::ChangeConfiguration(request)
                if request.key.eq_ignore_ascii_case("SecurityProfile")
                    && request.value.as_str() == "3"
                    && self.settings.link.client_certificate.is_none() =>
            {
                status("Rejected")
            }
            Request::ChangeConfiguration(request) => {
                Reaction::Ask(Question::Set { key: request.key, value: request.value })
            }
            // The cables of this family are captive: there is no lock on the station's side (station facts, 2).
            Request::UnlockConnector(_) => status("NotSupported"),
            // A limit that is not applied must not be promised, and profiles are not built in this version.
            Request::RemoteStartTransaction(request)
                if !charging || request.connector == Some(0) || request.profile.is_some() =>
            {
                status("Rejected")
            }
            Request::RemoteStartTransaction(request) => Reaction::Ask(Question::RemoteStart {
                connector: ConnectorId(request.connector.unwrap_or(0)),
                id_tag: request.id_tag,
            }),
            Request::RemoteStopTransaction(request) => match self.delivery.local(request.transaction) {
                Some(transaction) if charging => Reaction::Ask(Question::RemoteStop { transaction }),
                _ => status("Rejected"),
            },
            Request::ChangeAvailability(_) if !self.session_present => status("Rejected"),
            Request::ChangeAvailability(request) => Reaction::Ask(Question::SetAvailability {
                connector: ConnectorId(request.connector),
                availability: if request.operative { Availability::Operative } else { Availability::Inoperative },
            }),
            Request::SendLocalList(_) if !self.session_present => status("Failed"),
            Request::SendLocalList(sent) => Reaction::Ask(Question::UpdateLocalList(sent)),
            Request::GetLocalListVersion => match self.list_version.known() {
                Some(version) => Reaction::Answer(answer::local_list_version(version)),
                None => Reaction::Refuse(Refusal::new(
                    ErrorCode::InternalError,
                    "the version of the list is not known: who keeps it has not been there since this program started",
                )),
            },
            Request::ClearCache | Request::CancelReservation(_) if !self.session_present => status("Rejected"),
            Request::ClearCache => Reaction::Ask(Question::ClearCache),
            Request::CancelReservation(request) => {
                Reaction::Ask(Question::CancelReservation { reservation: ReservationId(request.reservation) })
            }
            Request::ReserveNow(_) if !charging => status("Rejected"),
            Request::ReserveNow(request) => Reaction::Ask(Question::Reserve(request)),
            Request::Reset(request) => Reaction::Ask(Question::Reset { hard: request.hard }),
            Request::DataTransfer(request) => self.data_transfer(&request),
            Request::TriggerMessage(request) => self.trigger(now, request.message, request.connector, effects),
            Request::ExtendedTriggerMessage(request) => {
                match plain(request.message) {
                    Some(message) => self.trigger(now, message, request.connector, effects),
                    // Logs and certificates of the station's own are not built in this version.
                    None => status("NotImplemented"),
                }
            }
            // No profile can be on this station yet: that is what these ask or order.
            Request::SetChargingProfile(_) => status("NotSupported"),
            Request::GetCompositeSchedule(_) => status("Rejected"),
            Request::ClearChargingProfile(_) => status("Unknown"),
            Request::GetDiagnostics(_)
            | Request::UpdateFirmware(_)
            | Request::GetLog(_)
            | Request::SignedUpdateFirmware(_)
            | Request::CertificateSigned(_)
            | Request::InstallCertificate(_)
            | Request::DeleteCertificate(_)
            | Request::GetInstalledCertificateIds(_) => Reaction::Refuse(Refusal::new(
                ErrorCode::NotSupported,
                "this version of the station does not carry out this action",
            )),
        }
    }

    /// A vendor's message: the station knows the one about the cost of a charge.
    fn data_transfer(&self, request: &DataTransfer) -> Reaction {
        if request.vendor_id != cost::VENDOR {
            return status("UnknownVendorId");
        }
        if request.message_id.as_deref() != Some(cost::MESSAGE) {
            return status("UnknownMessageId");
        }
        let Some(cost) = request.data.as_deref().and_then(Cost::read) else { return status("Rejected") };
        let by_transaction = || {
            let local = self.delivery.local(cost.transaction?)?;
            CONNECTORS.into_iter().find(|connector| self.statuses.transaction(*connector) == Some(local))
        };
        let connector = cost.connector.or_else(by_transaction).filter(|connector| CONNECTORS.contains(connector));
        match connector {
            Some(connector) => {
                Reaction::Ask(Question::ShowCost { connector: ConnectorId(connector), cost: cost.shown })
            }
            None => status("Rejected"),
        }
    }

    /// The CSMS asks for a message. It is answered first and told then (OCPP 1.6, 5.17).
    fn trigger(
        &mut self,
        now: Moment,
        message: TriggeredMessage,
        connector: Option<u32>,
        effects: &mut Vec<Effect>,
    ) -> Reaction {
        let station = connector == Some(0);
        if connector.is_some_and(|connector| connector != 0 && !CONNECTORS.contains(&connector))
            || !self.has_room_for_wishes()
        {
            return status("Rejected");
        }
        let meant = |all: &[u32]| match connector {
            Some(connector) if !station || all.contains(&0) => vec![connector],
            _ => all.to_vec(),
        };
        match message {
            TriggeredMessage::BootNotification => self.registration.boot_now(now.boottime),
            TriggeredMessage::Heartbeat => self.wishes.push_back(Wish::Heartbeat),
            TriggeredMessage::StatusNotification => {
                self.wishes.extend(meant(&[0, 1, 2]).into_iter().map(|connector| Wish::Status { connector }));
            }
            TriggeredMessage::MeterValues => {
                for connector in meant(&CONNECTORS) {
                    self.read_meter(connector, ReadingContext::Trigger, effects);
                }
            }
            // Transfers and updates are not built in this version, so none runs.
            TriggeredMessage::DiagnosticsStatusNotification => {
                let idle = DiagnosticsStatusNotification { status: DiagnosticsStatus::Idle };
                self.wishes.push_back(Wish::Message(told(&idle)));
            }
            TriggeredMessage::FirmwareStatusNotification => {
                let idle = FirmwareStatusNotification { status: FirmwareStatus::Idle };
                self.wishes.push_back(Wish::Message(told(&idle)));
            }
        }
        status("Accepted")
    }
}

/// The message of TriggerMessage that one of the extension's stands for.
fn plain(message: ExtendedTriggeredMessage) -> Option<TriggeredMessage> {
    Some(match message {
        ExtendedTriggeredMessage::BootNotification => TriggeredMessage::BootNotification,
        ExtendedTriggeredMessage::FirmwareStatusNotification => TriggeredMessage::FirmwareStatusNotification,
        ExtendedTriggeredMessage::Heartbeat => TriggeredMessage::Heartbeat,
        ExtendedTriggeredMessage::MeterValues => TriggeredMessage::MeterValues,
        ExtendedTriggeredMessage::StatusNotification => TriggeredMessage::StatusNotification,
        ExtendedTriggeredMessage::LogStatusNotification | ExtendedTriggeredMessage::SignChargePointCertificate => {
            return None;
        }
    })
}
