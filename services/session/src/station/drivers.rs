//! Who is let charge where: which connector a badge or a remote start means, and who has to be asked.

use super::{Output, Station, Ticket};
use crate::admission;
use crate::authorization::{self, CentralWord, Driver, Known, Ruling};
use crate::connector::Connector;
use crate::reservation::Claim;
use crate::rules::Rules;
use busbar_interfaces::ocpp::Authorization;
use busbar_interfaces::session::Decision;
use busbar_interfaces::words::{AuthorizationSource, BadgeOutcome, DecisionReason, StopReason, Verdict};
use busbar_interfaces::{BoottimeMillis, ConnectorId, TransactionId};
use busbar_runtime::Moment;

/// A badge, and what the station knows of it.
#[derive(Debug)]
pub(super) struct Badge {
    pub id_tag: String,
    pub known: Known,
}

/// A badge about which it is not decided yet.
#[derive(Debug)]
pub(super) struct Question {
    badge: Badge,
    /// The connector where it may begin something, 0 being whichever is plugged in first; none when a badge can only end
    /// something.
    pub(super) connector: Option<ConnectorId>,
    /// The connector that the screen showed.
    shown: ConnectorId,
    /// Who waits at the reader, and until when; a remote start has its answer already.
    asker: Option<(Ticket, BoottimeMillis)>,
    /// The CSMS has been asked.
    asked: bool,
}

/// A decision that something stands against a charge, whoever it is for.
pub(super) fn rejected(now: Moment, connector: ConnectorId, reason: DecisionReason) -> Decision {
    decision(now, connector, Verdict::Rejected, AuthorizationSource::None, reason)
}

fn decision(
    now: Moment,
    connector: ConnectorId,
    verdict: Verdict,
    source: AuthorizationSource,
    reason: DecisionReason,
) -> Decision {
    Decision { connector, verdict, source, reason, unix_millis: now.unix }
}

impl Station {
    /// Guide, "authentication": the badge that started a transaction ends it; else it starts one where a vehicle is
    /// plugged in, and with two of them at the connector that the screen shows. OCPP 1.6, 4.10: a badge of the same
    /// group ends it too.
    pub(super) fn badge(
        &mut self,
        now: Moment,
        asker: (Ticket, BoottimeMillis),
        badge: Badge,
        shown: ConnectorId,
        outputs: &mut Vec<Output>,
    ) {
        if self.take_the_place_of_the_first_showing(asker, &badge.id_tag, outputs) {
            return;
        }
        let waiting: Vec<ConnectorId> = self.openable().collect();
        let shown_waits = waiting.contains(&shown);
        // Somebody else's start is being decided there: who knows what this badge is shown for.
        let shown_is_undecided = self.is_undecided(shown);
        let own = self.running_of(shown, |driver| driver.id_tag.eq_ignore_ascii_case(&badge.id_tag));
        if let Some((connector, transaction)) =
            own.filter(|(id, _)| *id == shown || !(shown_waits || shown_is_undecided))
        {
            let reason = DecisionReason::SameBadge;
            self.stop_by_badge(now, asker, &badge, (connector, transaction, reason), outputs);
            return;
        }
        let target = if shown_waits { Some(shown) } else { waiting.first().copied() };
        let question = Question { badge, connector: target, shown, asker: Some(asker), asked: false };
        let may_be_of_a_group = self.running_of(shown, |driver| !driver.parent_id_tag.is_empty()).is_some();
        let Some(rules) = self.rules.as_ref().filter(|_| target.is_some() || may_be_of_a_group) else {
            self.refuse(now, &question, self.why_no_badge_is_awaited(), outputs);
            return;
        };
        let ruling = authorization::of_badge(rules, self.online, &question.badge.known, now.unix);
        let group = question.badge.known.group(rules);
        self.ruled(now, question, ruling, group, outputs);
    }

    /// A badge that is shown again while it is being checked, or while its meter is read, means the same: whoever shows
    /// it now is answered in the place of whoever showed it first.
    fn take_the_place_of_the_first_showing(
        &mut self,
        asker: (Ticket, BoottimeMillis),
        id_tag: &str,
        outputs: &mut Vec<Output>,
    ) -> bool {
        let (ticket, valid_until) = asker;
        let same =
            |question: &&mut Question| question.asker.is_some() && question.badge.id_tag.eq_ignore_ascii_case(id_tag);
        let (before, connector) = if let Some(question) = self.questions.values_mut().find(same) {
            (question.asker.replace(asker).map(|(ticket, _)| ticket), question.connector.unwrap_or(question.shown))
        } else {
            let opens =
                |each: &Connector| each.opening().is_some_and(|driver| driver.id_tag.eq_ignore_ascii_case(id_tag));
            let Some((id, each)) = self.connectors.iter_mut().find(|(_, each)| opens(each)) else { return false };
            each.open_until(valid_until);
            (self.openings.insert(*id, ticket), *id)
        };
        outputs.extend(before.map(|before| Output::BadgeAnswer(before, BadgeOutcome::Refused, connector)));
        true
    }

    /// A vehicle that went while its badge was asked about takes the question with it: the next one is another's.
    pub(super) fn forget_questions_whose_vehicle_went(&mut self, now: Moment, outputs: &mut Vec<Output>) {
        let went = |question: &Question| {
            let connector = question.connector.and_then(|connector| self.connectors.get(&connector));
            question.asker.is_some() && connector.is_some_and(|connector| !connector.plugged())
        };
        let gone: Vec<u64> = self.questions.iter().filter(|(_, each)| went(each)).map(|(number, _)| *number).collect();
        for number in gone {
            if let Some(question) = self.questions.remove(&number) {
                self.refuse(now, &question, DecisionReason::NoVehicle, outputs);
            }
        }
    }

    /// Guide, "remote start".
    pub(super) fn remote_start(
        &mut self,
        now: Moment,
        ticket: Ticket,
        connector: ConnectorId,
        badge: Badge,
        outputs: &mut Vec<Output>,
    ) {
        let Some(rules) = &self.rules else {
            self.last_decision = rejected(now, connector, DecisionReason::NotReady);
            outputs.push(Output::VerdictAnswer(ticket, Verdict::Rejected));
            return;
        };
        let ruling = authorization::of_remote_start(rules, self.online, &badge.known, now.unix);
        let group = badge.known.group(rules);
        let target = if connector == ConnectorId::STATION {
            let of_driver = |id: &ConnectorId| self.claim(*id, &badge.id_tag, group.as_deref()).is_open();
            self.openable().find(of_driver).unwrap_or(ConnectorId::STATION)
        } else {
            connector
        };
        if let Err(reason) = self.may_await(target, &badge.id_tag, group.as_deref()) {
            self.last_decision = rejected(now, target, reason);
            outputs.push(Output::VerdictAnswer(ticket, Verdict::Rejected));
            return;
        }
        outputs.push(Output::VerdictAnswer(ticket, Verdict::Accepted));
        let question = Question { badge, connector: Some(target), shown: target, asker: None, asked: false };
        self.ruled(now, question, ruling, group, outputs);
    }

    /// What came of a question to the CSMS.
    pub(super) fn authorized(&mut self, now: Moment, question: u64, answer: CentralWord, outputs: &mut Vec<Output>) {
        let (Some(question), Some(rules)) = (self.questions.remove(&question), &self.rules) else { return };
        let ruling = authorization::of_answer(rules, &answer, &question.badge.known, now.unix);
        let group = match &answer {
            CentralWord::Said(word) => Some(word.parent_id_tag.clone()),
            CentralWord::Silent | CentralWord::Unreachable => question.badge.known.group(rules),
        };
        if let CentralWord::Said(authorization) = answer {
            outputs.push(Output::Learn { id_tag: question.badge.id_tag.clone(), authorization });
        }
        self.ruled(now, question, ruling, group, outputs);
    }

    /// The CSMS does not accept the badge of a transaction: by the rules it ends, or nothing more flows in it.
    pub(super) fn deauthorize(
        &mut self,
        now: Moment,
        ticket: Ticket,
        transaction: TransactionId,
        outputs: &mut Vec<Output>,
    ) {
        let ends = self.rules.as_ref().is_none_or(|rules| rules.stop_on_invalid_badge);
        let running = |each: &Connector| {
            each.running().filter(|running| running.transaction == transaction).map(|running| running.driver.clone())
        };
        let driver = self.connectors.values().find_map(running);
        self.every_connector(outputs, |_, each, effects| {
            if ends {
                each.end(now, transaction, StopReason::DeAuthorized, "");
            } else {
                each.suspend(transaction, effects);
            }
        });
        let verdict = if driver.is_some() { Verdict::Accepted } else { Verdict::Rejected };
        outputs.extend(driver.map(|driver| Output::Distrust { id_tag: driver.id_tag }));
        outputs.push(Output::VerdictAnswer(ticket, verdict));
    }

    /// The CSMS's word on a badge, told along with something else.
    pub(super) fn learn(&mut self, id_tag: &str, authorization: Authorization, outputs: &mut Vec<Output>) {
        let group = &authorization.parent_id_tag;
        self.every_connector(outputs, |_, each, effects| each.learn_group(id_tag, group, effects));
        outputs.push(Output::Learn { id_tag: id_tag.to_owned(), authorization });
    }

    /// What is to be done about a badge now that something is known of it.
    fn ruled(
        &mut self,
        now: Moment,
        question: Question,
        ruling: Ruling,
        group: Option<String>,
        outputs: &mut Vec<Output>,
    ) {
        if ruling == Ruling::AskCsms {
            return self.ask(question, outputs);
        }
        // Whoever may charge elsewhere, or does, may end what the group has begun.
        let may_end = matches!(ruling, Ruling::Accept(_) | Ruling::Refuse(_, DecisionReason::ConcurrentTx));
        if let Some(asker) = question.asker.filter(|(_, valid_until)| may_end && now.boottime < *valid_until)
            && let Some(stop) = self.of_group(&question, group.as_deref())
        {
            return self.stop_by_badge(now, asker, &question.badge, stop, outputs);
        }
        match ruling {
            Ruling::AskCsms => {}
            Ruling::Refuse(source, reason) => {
                self.refuse(now, &question, reason, outputs);
                self.last_decision.source = source;
            }
            Ruling::Accept(source) => self.accepted(now, question, source, group, outputs),
        }
    }

    fn ask(&mut self, question: Question, outputs: &mut Vec<Output>) {
        self.next_question = self.next_question.wrapping_add(1);
        let id_tag = question.badge.id_tag.clone();
        outputs.push(Output::Authorize { question: self.next_question, id_tag });
        self.questions.insert(self.next_question, Question { asked: true, ..question });
    }

    /// A badge may charge: where it was shown, or when a vehicle comes.
    fn accepted(
        &mut self,
        now: Moment,
        question: Question,
        source: AuthorizationSource,
        group: Option<String>,
        outputs: &mut Vec<Output>,
    ) {
        let Some(connector) = question.connector else {
            return self.refuse(now, &question, DecisionReason::Occupied, outputs);
        };
        if question.asker.is_some_and(|(_, valid_until)| valid_until <= now.boottime) {
            return self.refuse(now, &question, DecisionReason::TooLate, outputs);
        }
        let Some(rules) = &self.rules else { return };
        let until = now.boottime.after(rules.connection_timeout);
        let id_tag = question.badge.id_tag.as_str();
        let claim = self.claim_of_target(connector, id_tag, group.as_deref());
        if claim == (Claim::Kept { perhaps_of_group: true }) && self.online && !question.asked {
            // OCPP 1.6, 5.13: who is of the group is looked up here, then asked of the CSMS.
            return self.ask(question, outputs);
        }
        let begins = self.may_begin(connector, claim);
        let awaits = self.may_await(connector, id_tag, group.as_deref());
        let driver =
            Driver { id_tag: id_tag.to_owned(), parent_id_tag: group.unwrap_or_default(), authorized_by: source };
        match (begins, awaits, question.asker) {
            (Ok(_), _, asker) => {
                let until = asker.map_or(until, |(_, valid_until)| valid_until);
                self.connector(connector, outputs, |each, effects| each.open(driver, until, effects));
                self.openings.extend(asker.map(|(ticket, _)| (connector, ticket)));
            }
            (Err(_), Ok(()), None) => match self.connectors.get_mut(&connector) {
                Some(each) => each.await_plug(driver, until),
                None => self.roaming = Some((driver, until)),
            },
            // The vehicle went, another driver was quicker, or an order or a fault came, while the CSMS was asked.
            (Err(reason), _, Some(_)) | (Err(_), Err(reason), None) => {
                return self.refuse(now, &question, reason, outputs);
            }
        }
        self.last_decision = decision(now, connector, Verdict::Accepted, source, DecisionReason::Accepted);
    }

    /// A badge does not get what it was shown for.
    pub(super) fn refuse(
        &mut self,
        now: Moment,
        question: &Question,
        reason: DecisionReason,
        outputs: &mut Vec<Output>,
    ) {
        let connector = question.connector.unwrap_or(question.shown);
        self.last_decision = rejected(now, connector, reason);
        let answer = |(ticket, _)| Output::BadgeAnswer(ticket, admission::outcome(reason), connector);
        outputs.extend(question.asker.map(answer));
    }

    fn stop_by_badge(
        &mut self,
        now: Moment,
        (ticket, _): (Ticket, BoottimeMillis),
        badge: &Badge,
        (connector, transaction, reason): (ConnectorId, TransactionId, DecisionReason),
        outputs: &mut Vec<Output>,
    ) {
        if let Some(each) = self.connectors.get_mut(&connector) {
            each.end(now, transaction, StopReason::Local, &badge.id_tag);
        }
        self.last_decision = decision(now, connector, Verdict::Accepted, AuthorizationSource::Badge, reason);
        outputs.push(Output::BadgeAnswer(ticket, BadgeOutcome::Stopping, connector));
    }

    /// The transaction of the badge's group that it ends: the one of the shown connector, or, where it can begin
    /// nothing, the other one.
    fn of_group(
        &self,
        question: &Question,
        group: Option<&str>,
    ) -> Option<(ConnectorId, TransactionId, DecisionReason)> {
        let group = group.filter(|group| !group.is_empty())?;
        let found = self.running_of(question.shown, |driver| driver.parent_id_tag.eq_ignore_ascii_case(group))?;
        let (connector, transaction) = found;
        let means_it = connector == question.shown || question.connector.is_none();
        means_it.then_some((connector, transaction, DecisionReason::SameGroup))
    }

    /// The transaction whose driver is meant; the one of the shown connector comes first.
    fn running_of(
        &self,
        shown: ConnectorId,
        is_meant: impl Fn(&Driver) -> bool,
    ) -> Option<(ConnectorId, TransactionId)> {
        let of = |(id, each): (&ConnectorId, &Connector)| {
            each.running().filter(|running| is_meant(&running.driver)).map(|running| (*id, running.transaction))
        };
        self.connectors.iter().filter_map(of).min_by_key(|(id, _)| (*id != shown, *id))
    }

    /// A driver who was accepted before plugging in, and everybody in free charging, starts with the plug.
    pub(super) fn start_whoever_plugged_in(&mut self, now: Moment, outputs: &mut Vec<Output>) {
        self.roaming = self.roaming.take().filter(|(_, until)| now.boottime < *until);
        let ready: Vec<ConnectorId> = self.openable().collect();
        for connector in ready {
            let Some((driver, until)) = self.rules.as_ref().and_then(|rules| {
                let driver = self.driver_at(connector, rules)?;
                Some((driver, now.boottime.after(rules.connection_timeout)))
            }) else {
                continue;
            };
            if self.roaming.as_ref().is_some_and(|(roaming, _)| *roaming == driver) {
                self.roaming = None;
            }
            self.last_decision =
                decision(now, connector, Verdict::Accepted, driver.authorized_by, DecisionReason::Accepted);
            self.connector(connector, outputs, |each, effects| each.open(driver, until, effects));
        }
    }

    /// Whose plug it is: of the driver who is awaited there, or anywhere, or in free charging of anybody.
    fn driver_at(&self, connector: ConnectorId, rules: &Rules) -> Option<Driver> {
        let awaited = self.connectors.get(&connector).and_then(Connector::awaited);
        let roaming = self.roaming.as_ref().map(|(driver, _)| driver);
        let anybody = (!rules.badge_needed).then(|| Driver {
            id_tag: rules.default_id_tag.clone(),
            parent_id_tag: String::new(),
            authorized_by: AuthorizationSource::Free,
        });
        let admitted = |driver: &Driver| {
            let claim = self.claim(connector, &driver.id_tag, Some(&driver.parent_id_tag));
            self.may_begin(connector, claim).is_ok()
        };
        [awaited.cloned(), roaming.cloned(), anybody].into_iter().flatten().find(admitted)
    }

    /// The cable was pulled out, or a fault or an order came, while the meter was read for the begin.
    pub(super) fn drop_whoever_is_no_longer_admitted(&mut self, outputs: &mut Vec<Output>) {
        let bar = |id: &ConnectorId| self.admitted(*id).err().map(|reason| (*id, reason));
        let opening = self.connectors.iter().filter(|(_, each)| each.opening().is_some()).map(|(id, _)| id);
        let dropped: Vec<(ConnectorId, DecisionReason)> = opening.filter_map(bar).collect();
        for (id, reason) in dropped {
            self.connector(id, outputs, |each, effects| each.forget_driver(reason, effects));
        }
    }
}
