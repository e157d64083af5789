//! What must hold after a run: one start and one stop for each transaction of the journal, the right numbers, the right
//! order, nothing lost, nothing doubled, nothing invented. Pure: the evidence comes in, the violations go out.

use crate::books;
use busbar_csms::{Direction, Frame, Link, Message};
use busbar_interfaces::TransactionId;
use busbar_interfaces::ocpp::UndeliveredEvent;
use busbar_interfaces::session::TransactionEvent;
use busbar_interfaces::words::{EventKind, ReadingContext, StopReason};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Samples that may come twice after a kill of ocpp: those that may be ahead of its disk, and the one on the wire.
const MOST_SAMPLES_TWICE: usize = 65;
/// Why the rest of a transaction is left out whose start was refused.
const NO_START: &str = "the CSMS has refused the start of its transaction";

/// A driver's call that may have begun transactions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Promise {
    /// Calls with this tag.
    pub asked: usize,
    /// Those that were answered with "starting", by connector.
    pub promised: BTreeMap<u32, usize>,
}

/// What is known when a run is over.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Names the journal.
    pub journal_id: u64,
    /// All its events.
    pub journal: Vec<TransactionEvent>,
    /// The last event that the CSMS has confirmed.
    pub confirmed: u64,
    /// What it has refused for good.
    pub undelivered: Vec<UndeliveredEvent>,
    /// CALLERRORs until a message is refused for good.
    pub attempts: usize,
    /// Everything that went over the link.
    pub frames: Vec<Frame>,
    /// The links.
    pub links: Vec<Link>,
    /// The number of the next frame at each kill of ocpp.
    pub kills: Vec<u64>,
    /// What drivers and the CSMS have asked for, by tag.
    pub promises: BTreeMap<String, Promise>,
    /// The registers before and after, by connector.
    pub registers: BTreeMap<u32, (u64, u64)>,
}

/// What a run amounted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Transactions.
    pub transactions: usize,
    /// Their samples.
    pub samples: usize,
    /// Messages that came again, answered or not.
    pub repeats: usize,
    /// Those of them that had been answered.
    pub answered_repeats: usize,
    /// Events that were refused for good.
    pub undelivered: usize,
    /// Links.
    pub links: usize,
}

/// One copy of a message on the wire.
#[derive(Debug)]
struct Copy {
    frame: u64,
    link: usize,
}

/// A message of the station and what became of it.
#[derive(Debug)]
struct Sent<'a> {
    action: &'a str,
    payload: &'a Value,
    copies: Vec<Copy>,
    /// Frame, link and payload of each answer.
    answers: Vec<(u64, usize, &'a Value)>,
    errors: usize,
}

/// Everything wrong in a run, in words, and what it amounted to.
pub fn judge(evidence: &Evidence) -> (Vec<String>, Tally) {
    let mut wrong = Vec::new();
    let sent = messages(evidence, &mut wrong);
    books::judge(&evidence.journal, &evidence.registers, &mut wrong);
    promises(evidence, &mut wrong);
    let numbers = numbers(evidence, &sent, &mut wrong);
    let by_event = events(evidence, &sent, &numbers, &mut wrong);
    delivered(evidence, &by_event, &mut wrong);
    order(evidence, &by_event, &mut wrong);
    let answered_repeats = repeats(evidence, &by_event, &mut wrong);
    triggered(evidence, &sent, &numbers, &mut wrong);
    let tally = Tally {
        transactions: evidence.journal.iter().filter(|event| event.kind == EventKind::Started).count(),
        samples: evidence.journal.iter().filter(|event| event.kind == EventKind::Sample).count(),
        repeats: by_event.values().map(|sent| sent.copies.len().saturating_sub(1)).sum(),
        answered_repeats,
        undelivered: evidence.undelivered.len(),
        links: evidence.links.iter().filter(|link| link.accepted).count(),
    };
    (wrong, tally)
}

/// Every request of the station by its message id; an id stands for one payload.
fn messages<'a>(evidence: &'a Evidence, wrong: &mut Vec<String>) -> HashMap<&'a str, Sent<'a>> {
    let opened: Vec<u64> = evidence.links.iter().filter(|link| link.accepted).map(|link| link.opened_millis).collect();
    let mut found: HashMap<&str, Sent<'_>> = HashMap::new();
    let mut answered = BTreeSet::new();
    for frame in &evidence.frames {
        let link = opened.partition_point(|at| *at <= frame.offset_millis);
        match (frame.direction, &frame.message) {
            (Direction::FromStation, Message::Call { id, action, payload }) => {
                let new = || Sent { action, payload, copies: Vec::new(), answers: Vec::new(), errors: 0 };
                let sent = found.entry(id).or_insert_with(new);
                if (sent.action, sent.payload) != (action.as_str(), payload) {
                    let before = sent.payload;
                    wrong.push(format!(
                        "the message id {id} stands for {before} and, in frame {}, {payload}",
                        frame.seq
                    ));
                }
                sent.copies.push(Copy { frame: frame.seq, link });
            }
            (Direction::FromStation, Message::Result { id, .. } | Message::Error { id, .. })
                if id.starts_with("csms-") && !answered.insert(id) =>
            {
                wrong.push(format!("the CSMS's request {id} was answered twice, again in frame {}", frame.seq));
            }
            (Direction::FromStation, Message::Malformed { reason, .. }) => {
                wrong.push(format!("frame {} of the station is no message: {reason}: {}", frame.seq, frame.raw));
            }
            (Direction::ToStation, Message::Result { id, payload }) => {
                if let Some(sent) = found.get_mut(id.as_str()) {
                    sent.answers.push((frame.seq, link, payload));
                }
            }
            (Direction::ToStation, Message::Error { id, .. }) => {
                if let Some(sent) = found.get_mut(id.as_str()) {
                    sent.errors = sent.errors.saturating_add(1);
                }
            }
            _ => {}
        }
    }
    found
}

/// Who was told that a transaction starts finds it in the journal, on that connector; nobody gets more than was asked for.
fn promises(evidence: &Evidence, wrong: &mut Vec<String>) {
    let mut begun: BTreeMap<&str, BTreeMap<u32, usize>> = BTreeMap::new();
    for event in evidence.journal.iter().filter(|event| event.kind == EventKind::Started) {
        let count = begun.entry(&event.id_tag).or_default().entry(event.connector.0).or_default();
        *count = count.saturating_add(1);
    }
    for (tag, promise) in &evidence.promises {
        let begun = begun.remove(tag.as_str()).unwrap_or_default();
        let kept = |(connector, promised): (&u32, &usize)| begun.get(connector).is_some_and(|begun| begun >= promised);
        if !promise.promised.iter().all(kept) || begun.values().sum::<usize>() > promise.asked {
            wrong.push(format!("{tag}: {promise:?}, and the journal has {begun:?}"));
        }
    }
    for tag in begun.keys() {
        wrong.push(format!("a transaction of {tag}, for which nobody has asked"));
    }
}

/// The CSMS's number of each transaction, from the answers to its start.
fn numbers(
    evidence: &Evidence,
    sent: &HashMap<&str, Sent<'_>>,
    wrong: &mut Vec<String>,
) -> BTreeMap<TransactionId, i64> {
    let mut numbers = BTreeMap::new();
    for (id, sent) in sent.iter().filter(|(_, sent)| sent.action == "StartTransaction") {
        let Some(event) = event_of(evidence, id) else { continue };
        for (frame, _, answer) in &sent.answers {
            let Some(number) = answer.get("transactionId").and_then(Value::as_i64) else { continue };
            if *numbers.entry(event.transaction).or_insert(number) != number {
                wrong.push(format!("the CSMS of the test has given {id} another number in frame {frame}"));
            }
        }
    }
    numbers
}

/// The event that a message id stands for: of the journal, or of the list of undelivered events.
fn event_of<'a>(evidence: &'a Evidence, id: &str) -> Option<&'a TransactionEvent> {
    let mut parts = id.split('-');
    let (kind, journal, number) = (parts.next()?, parts.next()?, parts.next()?.parse::<u64>().ok()?);
    // What is sent again has the round of sending besides.
    let round = parts.next().map(str::parse::<u32>).transpose().ok()?;
    if parts.next().is_some() || journal != format!("{:x}", evidence.journal_id) {
        return None;
    }
    let sequence = match (kind, round) {
        ("j", None) => number,
        ("r", Some(_)) => evidence.undelivered.iter().find(|event| event.number == number)?.sequence,
        _ => return None,
    };
    evidence.journal.iter().find(|event| event.sequence == sequence)
}

/// Messages of the journal by their event; each says what its event says.
fn events<'s, 'a>(
    evidence: &Evidence,
    sent: &'s HashMap<&'a str, Sent<'a>>,
    numbers: &BTreeMap<TransactionId, i64>,
    wrong: &mut Vec<String>,
) -> BTreeMap<u64, &'s Sent<'a>> {
    let mut by_event = BTreeMap::new();
    for (id, sent) in sent {
        let from_journal = id.starts_with("j-") || id.starts_with("r-");
        if !from_journal {
            if matches!(sent.action, "StartTransaction" | "StopTransaction") {
                wrong.push(format!("{id} is a {} of no event: {}", sent.action, sent.payload));
            }
            continue;
        }
        let Some(event) = event_of(evidence, id) else {
            wrong.push(format!("{id} stands for no event of the journal: {} {}", sent.action, sent.payload));
            continue;
        };
        let expected = told(event, numbers.get(&event.transaction).copied());
        let said = said(sent);
        if said != expected {
            wrong.push(format!("{id} says {said:?}, and its event {expected:?}"));
        }
        if id.starts_with("j-") {
            by_event.insert(event.sequence, sent);
        }
    }
    by_event
}

/// What counts in a message: action, connector, transaction, tag, register, time and why.
type Facts = (&'static str, Option<i64>, Option<i64>, String, Option<i64>, Option<i64>, String);

fn told(event: &TransactionEvent, number: Option<i64>) -> Facts {
    let connector = Some(i64::from(event.connector.0));
    let register = i64::try_from(event.energy_milliwatt_hours.watt_hours()).ok();
    let at = i64::try_from(event.unix_millis.0).ok();
    match event.kind {
        EventKind::Started => ("StartTransaction", connector, None, event.id_tag.clone(), register, at, String::new()),
        EventKind::Stopped => {
            ("StopTransaction", None, number, event.id_tag.clone(), register, at, reason(event.reason).to_owned())
        }
        _ => ("MeterValues", connector, number, String::new(), register, at, context(event.context).to_owned()),
    }
}

fn said(sent: &Sent<'_>) -> Facts {
    let integer = |name| sent.payload.get(name).and_then(Value::as_i64);
    let text = |name| sent.payload.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let at = |text: &str| text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond);
    let timestamp = at(&text("timestamp"));
    match sent.action {
        "StartTransaction" => (
            "StartTransaction",
            integer("connectorId"),
            None,
            text("idTag"),
            integer("meterStart"),
            timestamp,
            text(""),
        ),
        "StopTransaction" => (
            "StopTransaction",
            None,
            integer("transactionId"),
            text("idTag"),
            integer("meterStop"),
            timestamp,
            text("reason"),
        ),
        "MeterValues" => {
            let value = |path| sent.payload.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
            let at = at(&value("/meterValue/0/timestamp"));
            let connector = integer("connectorId");
            let context = value("/meterValue/0/sampledValue/0/context");
            ("MeterValues", connector, integer("transactionId"), String::new(), register(sent.payload), at, context)
        }
        _ => ("another action", None, None, String::new(), None, None, String::new()),
    }
}

/// The register of a single sample.
fn register(payload: &Value) -> Option<i64> {
    let [values] = payload.get("meterValue")?.as_array()?.as_slice() else { return None };
    let values = values.get("sampledValue")?.as_array()?;
    let is_register =
        |value: &&Value| value.get("measurand").and_then(Value::as_str) == Some("Energy.Active.Import.Register");
    values.iter().find(is_register)?.get("value")?.as_str()?.parse().ok()
}

fn context(context: ReadingContext) -> &'static str {
    match context {
        ReadingContext::SamplePeriodic => "Sample.Periodic",
        ReadingContext::SampleClock => "Sample.Clock",
        _ => "a context that the journal of this test does not have",
    }
}

fn reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::None => "",
        StopReason::Local => "Local",
        StopReason::Remote => "Remote",
        StopReason::EvDisconnected => "EVDisconnected",
        StopReason::EmergencyStop => "EmergencyStop",
        StopReason::DeAuthorized => "DeAuthorized",
        StopReason::PowerLoss => "PowerLoss",
        StopReason::Reboot => "Reboot",
        StopReason::SoftReset => "SoftReset",
        StopReason::HardReset => "HardReset",
        StopReason::Other | StopReason::Unknown => "Other",
    }
}

/// Each event was taken by the CSMS, or stands with a good reason in the list of undelivered events, not both unless the
/// answer that took it never arrived.
fn delivered(evidence: &Evidence, by_event: &BTreeMap<u64, &Sent<'_>>, wrong: &mut Vec<String>) {
    let last = evidence.journal.last().map_or(0, |event| event.sequence);
    if evidence.confirmed != last {
        wrong.push(format!("confirmed up to {}, and the journal ends with {last}", evidence.confirmed));
    }
    let mut refused = BTreeMap::new();
    for event in &evidence.undelivered {
        if refused.insert(event.sequence, event).is_some() {
            wrong.push(format!("twice among the undelivered events: {event:?}"));
        }
    }
    for event in &evidence.journal {
        let sent = by_event.get(&event.sequence);
        match refused.remove(&event.sequence) {
            Some(refused) => {
                if (refused.transaction, refused.kind) != (event.transaction, event.kind) {
                    wrong.push(format!("{refused:?} is not what the journal has: {event:?}"));
                }
                let is_first = |first: &&UndeliveredEvent| {
                    first.transaction == event.transaction && first.kind == EventKind::Started
                };
                let orphan = refused.reason == NO_START && event.kind != EventKind::Started;
                let errors = sent.map_or(0, |sent| sent.errors);
                let right = if orphan {
                    sent.is_none() && evidence.undelivered.iter().any(|first| is_first(&first))
                } else {
                    errors >= evidence.attempts
                };
                if !right {
                    wrong.push(format!("refused without a reason ({errors} CALLERRORs): {refused:?}"));
                }
            }
            None if sent.is_none_or(|sent| sent.answers.is_empty()) => {
                wrong.push(format!("counts as delivered, and the CSMS has not taken it: {event:?}"));
            }
            None => {}
        }
    }
    for event in refused.values() {
        wrong.push(format!("undelivered, and not in the journal: {event:?}"));
    }
}

/// Events arrive in the order of the journal; on each link nothing goes back.
fn order(evidence: &Evidence, by_event: &BTreeMap<u64, &Sent<'_>>, wrong: &mut Vec<String>) {
    let mut arrivals: Vec<(u64, usize, u64)> = Vec::new();
    for (sequence, sent) in by_event {
        arrivals.extend(sent.copies.iter().map(|copy| (copy.frame, copy.link, *sequence)));
    }
    arrivals.sort_unstable();
    let (mut furthest, mut before) = (0, (0, 0));
    for (frame, link, sequence) in arrivals {
        let first =
            by_event.get(&sequence).and_then(|sent| sent.copies.first()).is_some_and(|copy| copy.frame == frame);
        if first && sequence < furthest {
            wrong.push(format!("event {sequence} arrives in frame {frame}, after event {furthest}"));
        }
        if link == before.0 && sequence < before.1 {
            wrong.push(format!("frame {frame} goes back from event {} to {sequence} on one link", before.1));
        }
        furthest = sequence.max(furthest);
        before = (link, sequence);
    }
    let last = evidence.journal.last().map_or(0, |event| event.sequence);
    if furthest > last {
        wrong.push(format!("event {furthest} arrived, and the journal ends with {last}"));
    }
}

/// What had been answered comes again only where the answer may have been lost: on a new link the one message that was
/// on the wire; after a kill of ocpp one start or stop at most, and the samples that were ahead of its disk.
fn repeats(evidence: &Evidence, by_event: &BTreeMap<u64, &Sent<'_>>, wrong: &mut Vec<String>) -> usize {
    /// By link: starts and stops, samples, and whether each comes after a kill.
    #[derive(Default)]
    struct Again {
        firm: BTreeSet<u64>,
        samples: BTreeSet<u64>,
        without_kill: BTreeSet<u64>,
    }
    let mut links: BTreeMap<usize, Again> = BTreeMap::new();
    for (sequence, sent) in by_event {
        for copy in &sent.copies {
            let answer = sent.answers.iter().rev().find(|(frame, ..)| *frame < copy.frame);
            let Some((answered, link, _)) = answer else { continue };
            if *link == copy.link {
                wrong.push(format!(
                    "event {sequence} again in frame {}, answered on this link in {answered}",
                    copy.frame
                ));
            }
            let again = links.entry(copy.link).or_default();
            let is_sample = sent.action == "MeterValues";
            if is_sample { &mut again.samples } else { &mut again.firm }.insert(*sequence);
            if !evidence.kills.iter().any(|kill| (*answered..=copy.frame).contains(kill)) {
                again.without_kill.insert(*sequence);
            }
        }
    }
    for (link, again) in &links {
        if again.firm.len() > 1 || again.samples.len() > MOST_SAMPLES_TWICE || again.without_kill.len() > 1 {
            let Again { firm, samples, without_kill } = again;
            wrong.push(format!(
                "too much comes again on link {link}: starts and stops {firm:?}, samples {samples:?}; of these nothing \
                 was killed before {without_kill:?}"
            ));
        }
    }
    links.values().map(|again| again.firm.len().saturating_add(again.samples.len())).sum()
}

/// Readings outside the journal, asked for or by the clock, name a transaction by its number, and its connector.
fn triggered(
    evidence: &Evidence,
    sent: &HashMap<&str, Sent<'_>>,
    numbers: &BTreeMap<TransactionId, i64>,
    wrong: &mut Vec<String>,
) {
    let connector_of = |transaction: &TransactionId| {
        let event = evidence.journal.iter().find(|event| event.transaction == *transaction)?;
        Some(i64::from(event.connector.0))
    };
    for (id, sent) in sent.iter().filter(|(id, sent)| id.starts_with("s-") && sent.action == "MeterValues") {
        let facts = said(sent);
        let known = facts.2.is_none_or(|number| {
            numbers.iter().any(|(local, known)| *known == number && connector_of(local) == facts.1)
        });
        if !["Trigger", "Sample.Clock"].contains(&facts.6.as_str()) || !known {
            wrong.push(format!("{id} is a reading that nobody wants: {}", sent.payload));
        }
    }
}

#[cfg(test)]
mod tests;
