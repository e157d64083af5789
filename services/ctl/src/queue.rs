//! Events of the transaction journal on their way to the CSMS: what waits, and what the CSMS has refused for good and
//! a person decides about.

use crate::arguments::QueueCommand;
use crate::failure::Failure;
use crate::output::{print, print_line};
use crate::table::{item, table};
use crate::words::{NOTHING, count, moment, since};
use busbar_interfaces::ocpp::{OcppProxy, OcppState, TrafficState, UndeliveredEvent};
use busbar_interfaces::{TransactionId, UnixMillis, names};
use busbar_runtime::Clock;
use busbar_runtime::object::fetch;
use zbus::Connection;

/// Events that are asked for at a time.
const PAGE: u32 = 100;

/// Carries out one command; none shows the queue.
pub async fn run(bus: &Connection, command: Option<QueueCommand>) -> Result<(), Failure> {
    let ocpp = OcppProxy::new(bus).await?;
    match command {
        None => {
            let state: OcppState = fetch(bus, names::OCPP, names::OCPP.root).await?;
            let traffic: TrafficState = fetch(bus, names::OCPP, names::OCPP.root).await?;
            let events = undelivered(&ocpp).await?;
            print(&list(state.confirmed_event, &traffic, &events, Clock::system().now().unix))
        }
        Some(QueueCommand::Resend { transaction }) => {
            let events = ocpp.resend(TransactionId(transaction)).await?;
            print_line(&resent(transaction, events)?)
        }
        Some(QueueCommand::Discard { transaction, yes: false }) => {
            let mut events = undelivered(&ocpp).await?;
            events.retain(|event| event.transaction == TransactionId(transaction));
            Err(unconfirmed(transaction, &events))
        }
        Some(QueueCommand::Discard { transaction, yes: true }) => {
            let events = ocpp.discard(TransactionId(transaction)).await?;
            print_line(&discarded(transaction, events)?)
        }
    }
}

async fn undelivered(ocpp: &OcppProxy<'_>) -> Result<Vec<UndeliveredEvent>, Failure> {
    let mut events = Vec::new();
    let mut cursor = 0;
    loop {
        let page = ocpp.list_undelivered(cursor, PAGE).await?;
        // A page that does not go on would be asked for without end.
        let Some(last) = page.last().map(|last| last.number).filter(|last| *last > cursor) else { return Ok(events) };
        cursor = last;
        events.extend(page);
    }
}

/// What waits, and what was given up.
fn list(confirmed: u64, traffic: &TrafficState, events: &[UndeliveredEvent], now: UnixMillis) -> String {
    let text = item("confirmed", &format!("up to event {confirmed} of the journal"))
        + &item("waiting", &waiting(traffic.waiting_events, traffic.oldest_event_unix_millis, now));
    if events.is_empty() {
        return text + &item("undelivered", "none");
    }
    let told = count(u64::try_from(events.len()).unwrap_or(u64::MAX), "event", "events");
    text + &item("undelivered", &format!("{told} refused by the CSMS for good"))
        + "\n"
        + &rows(events)
        + "\nSend again: `busbarctl queue resend TRANSACTION`; give up: `busbarctl queue discard TRANSACTION --yes`.\n"
}

/// How many events wait, and for how long.
pub fn waiting(events: u64, oldest: UnixMillis, now: UnixMillis) -> String {
    match (events, oldest.0) {
        (0, _) => "nothing".to_owned(),
        (_, 0) => count(events, "event", "events"),
        _ => format!("{}, the oldest of {}", count(events, "event", "events"), since(oldest, now)),
    }
}

fn rows(events: &[UndeliveredEvent]) -> String {
    let row = |event: &UndeliveredEvent| {
        [
            event.number.to_string(),
            event.sequence.to_string(),
            event.transaction.0.to_string(),
            event.kind.to_string(),
            moment(event.unix_millis),
            if event.is_resending { "yes".to_owned() } else { NOTHING.to_owned() },
            event.reason.clone(),
        ]
    };
    let heading = ["number", "sequence", "transaction", "kind", "given up at", "resending", "reason"];
    table(heading, &events.iter().map(row).collect::<Vec<_>>())
}

fn resent(transaction: u64, events: u32) -> Result<String, Failure> {
    match events {
        0 => Err(none(transaction)),
        _ => Ok(format!(
            "{} of transaction {transaction} to be sent again, in order; `busbarctl queue` shows what became of it",
            count(events.into(), "event", "events")
        )),
    }
}

fn discarded(transaction: u64, events: u32) -> Result<String, Failure> {
    match events {
        0 => Err(none(transaction)),
        _ => Ok(format!(
            "{} of transaction {transaction} given up; the CSMS will not be told",
            count(events.into(), "event", "events")
        )),
    }
}

/// What a discard without a yes is answered.
fn unconfirmed(transaction: u64, events: &[UndeliveredEvent]) -> Failure {
    if events.is_empty() {
        return none(transaction);
    }
    let many = count(u64::try_from(events.len()).unwrap_or(u64::MAX), "event", "events");
    Failure::Usage(format!(
        "the CSMS would never be told {many} of transaction {transaction}:\n\n{}\nNothing was changed. To give them up: \
         `busbarctl queue discard {transaction} --yes`",
        rows(events)
    ))
}

fn none(transaction: u64) -> Failure {
    Failure::Refused(format!(
        "transaction {transaction} has no undelivered events; `busbarctl queue` shows the transactions that have"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use busbar_interfaces::words::EventKind;

    const NOW: UnixMillis = UnixMillis(1_767_225_785_000);

    fn event(number: u64, kind: EventKind, is_resending: bool) -> UndeliveredEvent {
        UndeliveredEvent {
            number,
            sequence: number + 90,
            transaction: TransactionId(7),
            kind,
            reason: "InternalError: no\nsuch tag".to_owned(),
            unix_millis: UnixMillis(1_767_225_600_000),
            is_resending,
        }
    }

    #[test]
    fn a_queue_in_which_nothing_is_lost() {
        let traffic = TrafficState {
            waiting_events: 12,
            oldest_event_unix_millis: UnixMillis(1_767_225_600_000),
            ..TrafficState::default()
        };
        assert_eq!(
            list(99, &traffic, &[], NOW),
            "confirmed        up to event 99 of the journal\n\
             waiting          12 events, the oldest of 2026-01-01T00:00:00Z (3 min 5 s ago)\n\
             undelivered      none\n"
        );
        assert_eq!(waiting(0, UnixMillis(0), NOW), "nothing");
        assert_eq!(waiting(1, UnixMillis(0), NOW), "1 event");
    }

    #[test]
    fn case_b21_what_was_given_up_is_a_table_and_the_remedies_stand_below() {
        let events = [event(9, EventKind::Started, false), event(10, EventKind::Stopped, true)];
        let text = list(99, &TrafficState::default(), &events, NOW);
        assert!(
            text.contains(
                "number  sequence  transaction  kind     given up at           resending  reason\n     \
             9        99            7  started  2026-01-01T00:00:00Z  -          InternalError: no\\nsuch tag\n    \
             10       100            7  stopped  2026-01-01T00:00:00Z  yes        InternalError: no\\nsuch tag\n"
            ),
            "{text}"
        );
        assert!(
            text.contains("undelivered      2 events refused") && text.contains("queue resend TRANSACTION"),
            "{text}"
        );
    }

    #[test]
    fn a_discard_without_yes_says_what_would_be_lost() {
        let failure = unconfirmed(7, &[event(9, EventKind::Started, false)]);
        let text = failure.to_string();
        assert_eq!(failure.code(), 64);
        assert!(text.contains("1 event of transaction 7") && text.contains("started"), "{text}");
        assert!(text.ends_with("`busbarctl queue discard 7 --yes`"), "{text}");
        assert_eq!(unconfirmed(7, &[]).code(), 1);
    }

    #[test]
    fn what_became_of_it_is_said_with_the_number() {
        assert!(resent(7, 2).expect("done").starts_with("2 events of transaction 7 to be sent again"));
        assert!(discarded(7, 1).expect("done").starts_with("1 event of transaction 7 given up"));
        assert_eq!((resent(7, 0).expect_err("none").code(), discarded(7, 0).expect_err("none").code()), (1, 1));
    }
}
