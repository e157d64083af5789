//! The judge itself: it has nothing to say about a run in which all is well, and names each thing that is not.

use super::*;
use busbar_interfaces::words::EventKind;
use busbar_interfaces::{
    BoottimeMillis, ConnectorId, Milliamperes, Millivolts, MilliwattHours, Percent, UnixMillis, Watts,
};
use serde_json::json;

const STARTED: u64 = 1_793_534_400_000;

fn event(sequence: u64, kind: EventKind, energy: u64) -> TransactionEvent {
    let (context, tag, reason) = match kind {
        EventKind::Started => (ReadingContext::TransactionBegin, "TAG1", StopReason::None),
        EventKind::Stopped => (ReadingContext::TransactionEnd, "", StopReason::EvDisconnected),
        _ => (ReadingContext::SamplePeriodic, "", StopReason::None),
    };
    TransactionEvent {
        sequence,
        transaction: TransactionId(1),
        connector: ConnectorId(1),
        kind,
        unix_millis: UnixMillis(STARTED + sequence * 1000),
        boottime_millis: BoottimeMillis(sequence),
        boot: String::new(),
        context,
        energy_milliwatt_hours: MilliwattHours(energy),
        watts: Watts(0),
        millivolts: Millivolts(0),
        milliamperes: Milliamperes(0),
        offered_watts: Watts(0),
        state_of_charge_percent: Percent::UNKNOWN,
        id_tag: tag.to_owned(),
        reason,
        reservation: Vec::new(),
        signed_data: String::new(),
    }
}

fn at(sequence: u64) -> String {
    format!("{:.3}", Timestamp::from_millisecond((STARTED + sequence * 1000) as i64).expect("a time"))
}

fn frame(direction: Direction, text: &Value, millis: u64) -> Frame {
    let raw = text.to_string();
    let message = Message::parse(&raw);
    let identity = String::new();
    Frame {
        seq: 0,
        at: Timestamp::UNIX_EPOCH,
        offset_millis: millis,
        identity,
        direction,
        doubtful: false,
        raw,
        message,
    }
}

fn call(id: &str, action: &str, payload: Value) -> Frame {
    frame(Direction::FromStation, &json!([2, id, action, payload]), 10)
}

fn result(id: &str, payload: Value) -> Frame {
    frame(Direction::ToStation, &json!([3, id, payload]), 10)
}

fn start() -> Frame {
    let payload = json!({"connectorId": 1, "idTag": "TAG1", "meterStart": 5000, "timestamp": at(1)});
    call("j-ab-1", "StartTransaction", payload)
}

fn sample(sequence: u64, number: i64, energy: &str) -> Frame {
    let value = json!({"value": energy, "context": "Sample.Periodic", "measurand": "Energy.Active.Import.Register"});
    let values = json!([{"timestamp": at(sequence), "sampledValue": [value]}]);
    let payload = json!({"connectorId": 1, "transactionId": number, "meterValue": values});
    call(&format!("j-ab-{sequence}"), "MeterValues", payload)
}

fn stop(meter: u64) -> Frame {
    let payload = json!({"transactionId": 7, "meterStop": meter, "timestamp": at(4), "reason": "EVDisconnected"});
    call("j-ab-4", "StopTransaction", payload)
}

fn link(opened_millis: u64) -> Link {
    let (identity, refusal, authorization, secured) = (String::new(), None, None, None);
    let (number, pings, closed_millis, accepted) = (0, 0, None, true);
    Link { number, identity, accepted, refusal, authorization, secured, opened_millis, closed_millis, pings }
}

fn frames() -> Vec<Frame> {
    vec![
        start(),
        result("j-ab-1", json!({"transactionId": 7})),
        sample(2, 7, "5001"),
        result("j-ab-2", json!({})),
        sample(3, 7, "5002"),
        result("j-ab-3", json!({})),
        stop(5003),
        result("j-ab-4", json!({})),
    ]
}

/// A short charge, and what the CSMS has recorded of it.
fn evidence(mut frames: Vec<Frame>) -> Evidence {
    for (seq, frame) in (0..).zip(&mut frames) {
        frame.seq = seq;
    }
    let journal = vec![
        event(1, EventKind::Started, 5_000_000),
        event(2, EventKind::Sample, 5_001_100),
        event(3, EventKind::Sample, 5_002_200),
        event(4, EventKind::Stopped, 5_003_300),
    ];
    let promise = Promise { asked: 1, promised: BTreeMap::from([(1, 1)]) };
    Evidence {
        journal_id: 0xab,
        journal,
        confirmed: 4,
        undelivered: Vec::new(),
        attempts: 2,
        frames,
        links: vec![link(0), link(20), link(30)],
        kills: Vec::new(),
        promises: BTreeMap::from([("TAG1".to_owned(), promise)]),
        registers: BTreeMap::from([(1, (5_000_000, 5_003_300))]),
    }
}

fn refused(sequence: u64, kind: EventKind, reason: &str) -> UndeliveredEvent {
    UndeliveredEvent {
        number: sequence,
        sequence,
        transaction: TransactionId(1),
        kind,
        reason: reason.to_owned(),
        unix_millis: UnixMillis(0),
        is_resending: false,
    }
}

/// What the judge says, as one text; empty when all is well.
fn says(evidence: &Evidence) -> String {
    judge(evidence).0.join("\n")
}

fn later(frame: Frame, offset_millis: u64) -> Frame {
    Frame { offset_millis, ..frame }
}

#[test]
fn a_charge_in_good_order_is_nothing_to_speak_of() {
    let (wrong, tally) = judge(&evidence(frames()));
    assert_eq!(wrong, [] as [String; 0]);
    assert_eq!((tally.transactions, tally.samples, tally.repeats, tally.links), (1, 2, 0, 3));
}

#[test]
fn what_is_lost_is_seen() {
    for (gone, of) in [(0, "j-ab-1"), (2, "MeterValues"), (6, "Stopped")] {
        let mut frames = frames();
        frames.drain(gone..gone + 2);
        let says = says(&evidence(frames));
        assert!(says.contains("the CSMS has not taken it") || says.contains("transactionId"), "{of}: {says}");
    }
    let mut frames = frames();
    frames.remove(7);
    assert!(says(&evidence(frames)).contains("the CSMS has not taken it"), "sent, and never answered");
    assert!(says(&Evidence { confirmed: 3, ..evidence(self::frames()) }).contains("confirmed up to 3"));
}

#[test]
fn wrong_content_and_a_wrong_number_are_seen() {
    for (place, other) in [(6, stop(5004)), (2, sample(2, 8, "5001")), (2, sample(2, 7, "5000"))] {
        let mut frames = frames();
        frames[place] = other;
        assert!(says(&evidence(frames)).contains("and its event"));
    }
    let mut twice = frames();
    twice.push(later(stop(5004), 25));
    assert!(says(&evidence(twice)).contains("the message id j-ab-4 stands for"));
}

#[test]
fn what_is_in_no_journal_is_seen() {
    let mut invented = frames();
    invented.push(sample(5, 7, "5003"));
    assert!(says(&evidence(invented)).contains("j-ab-5 stands for no event"));
    let mut foreign = frames();
    foreign.push(call("s-1-1", "StopTransaction", json!({"transactionId": 7})));
    assert!(says(&evidence(foreign)).contains("of no event"));
    let stranger = Evidence { promises: BTreeMap::new(), ..evidence(frames()) };
    assert!(says(&stranger).contains("for which nobody has asked"));
}

#[test]
fn another_order_is_seen() {
    let mut frames = frames();
    frames.swap(2, 4);
    frames.swap(3, 5);
    let says = says(&evidence(frames));
    assert!(
        says.contains("arrives in frame 4, after event 3") && says.contains("goes back from event 3 to 2"),
        "{says}"
    );
}

#[test]
fn a_repeat_is_right_where_the_answer_may_have_been_lost() {
    let again = |at: u64| {
        let mut frames = frames();
        frames.extend([later(stop(5003), at), later(result("j-ab-4", json!({})), at)]);
        evidence(frames)
    };
    assert_eq!(judge(&again(25)).1.answered_repeats, 1);
    assert_eq!(says(&again(25)), "");
    assert!(says(&again(10)).contains("answered on this link"));
}

#[test]
fn more_than_one_repeat_needs_a_kill_and_then_one_start_or_stop_at_most() {
    let mut frames = frames();
    frames.extend([later(sample(3, 7, "5002"), 25), later(result("j-ab-3", json!({})), 25), later(stop(5003), 25)]);
    assert!(says(&evidence(frames.clone())).contains("too much comes again"));
    let killed = Evidence { kills: vec![8], ..evidence(frames) };
    assert_eq!(says(&killed), "");
    let mut both = self::frames();
    both.extend([later(start(), 25), later(stop(5003), 25)]);
    assert!(says(&Evidence { kills: vec![8], ..evidence(both) }).contains("too much comes again"));
}

#[test]
fn a_refusal_for_good_needs_its_callerrors() {
    let error = || frame(Direction::ToStation, &json!([4, "j-ab-3", "InternalError", "", {}]), 10);
    let mut frames = frames();
    frames[5] = error();
    let undelivered = vec![refused(3, EventKind::Sample, "InternalError")];
    let once = Evidence { undelivered: undelivered.clone(), ..evidence(frames.clone()) };
    assert!(says(&once).contains("refused without a reason (1 CALLERRORs)"));
    frames.splice(6..6, [sample(3, 7, "5002"), error()]);
    assert_eq!(says(&Evidence { undelivered, ..evidence(frames.clone()) }), "");
    assert!(says(&evidence(frames)).contains("the CSMS has not taken it"));
}

#[test]
fn without_a_start_the_rest_is_left_out_and_only_then() {
    let error = || frame(Direction::ToStation, &json!([4, "j-ab-1", "InternalError", "", {}]), 10);
    let rest = (2..=4).map(|sequence| {
        refused(sequence, if sequence == 4 { EventKind::Stopped } else { EventKind::Sample }, NO_START)
    });
    let first = refused(1, EventKind::Started, "InternalError");
    let all: Vec<UndeliveredEvent> = std::iter::once(first).chain(rest.clone()).collect();
    let refusals = vec![start(), error(), start(), error()];
    assert_eq!(says(&Evidence { undelivered: all, ..evidence(refusals) }), "");
    let orphans = Evidence { undelivered: rest.collect(), ..evidence(frames()) };
    assert!(says(&orphans).contains("refused without a reason"));
}

#[test]
fn a_journal_that_is_not_right_is_seen() {
    let with = |change: fn(&mut Vec<TransactionEvent>)| {
        let mut evidence = evidence(frames());
        change(&mut evidence.journal);
        says(&evidence)
    };
    assert!(with(|journal| drop(journal.pop())).contains("never stopped"));
    assert!(with(|journal| drop(journal.remove(1))).contains("a hole"));
    assert!(with(|journal| journal[2].energy_milliwatt_hours.0 = 1).contains("goes back"));
    assert!(with(|journal| journal[0].energy_milliwatt_hours.0 += 1).contains("between two transactions"));
    assert!(with(|journal| journal[3].energy_milliwatt_hours.0 -= 1).contains("in the meter"));
    assert!(with(|journal| journal[1].transaction.0 = 2).contains("does not run"));
    assert!(with(|journal| journal[0].connector.0 = 2).contains("and the journal has"));
}
