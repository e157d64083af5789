//! What is allowed after a kill and what is not, and that a judgement finds what is wrong.

use super::*;
use busbar_interfaces::words::ReadingContext;
use busbar_interfaces::{
    BoottimeMillis, ConnectorId, Milliamperes, Millivolts, Percent, ReservationId, UnixMillis, Watts,
};

const REMOTE: Cause = (StopReason::Remote, "");
const LOCAL: Cause = (StopReason::Local, "BERT");
const LOST: Cause = (StopReason::PowerLoss, "");

#[test]
fn what_got_no_answer_may_hold_or_not_until_it_is_answered() {
    let mut word = Word::new(1);
    assert!(word.allows(&1) && !word.allows(&2));
    word.ask(2);
    assert!(word.allows(&1) && word.allows(&2));
    word.answered();
    assert!(!word.allows(&1) && word.allows(&2));
}

#[test]
fn case_b26_the_first_cause_that_was_answered_stands_or_one_before_it_that_was_not() {
    #[rustfmt::skip]
    let table = [
        // asked for, in this order      answered, in this order   may stand in the journal
        (vec![],                         vec![],                   vec![]),
        (vec![REMOTE],                   vec![],                   vec![REMOTE]),
        (vec![REMOTE, REMOTE],           vec![1],                  vec![REMOTE, REMOTE]),
        (vec![LOCAL, LOST],              vec![1],                  vec![LOCAL, LOST]),
        (vec![LOCAL, LOST],              vec![0, 1],               vec![LOCAL]),
        (vec![LOCAL, LOST],              vec![1, 0],               vec![LOCAL]),
        (vec![LOST, REMOTE],             vec![0, 1],               vec![LOST]),
    ];
    for (asked, answered, allowed) in table {
        let mut causes = Causes::default();
        for cause in &asked {
            causes.ask(*cause);
        }
        answered.iter().for_each(|place| causes.answered(*place));
        assert_eq!(causes.allowed(), allowed, "{asked:?} {answered:?}");
    }
}

fn event(sequence: u64, kind: EventKind, energy: u64) -> TransactionEvent {
    TransactionEvent {
        sequence,
        transaction: TransactionId(1),
        connector: ConnectorId(1),
        kind,
        unix_millis: UnixMillis(1_000 + sequence),
        boottime_millis: BoottimeMillis(sequence),
        boot: String::new(),
        context: ReadingContext::SamplePeriodic,
        energy_milliwatt_hours: MilliwattHours(energy),
        watts: Watts(0),
        millivolts: Millivolts(0),
        milliamperes: Milliamperes(0),
        offered_watts: Watts(0),
        state_of_charge_percent: Percent::UNKNOWN,
        id_tag: if kind == EventKind::Started { "DORA".to_owned() } else { String::new() },
        reason: if kind == EventKind::Stopped { StopReason::Remote } else { StopReason::None },
        reservation: if kind == EventKind::Started { vec![ReservationId(7)] } else { Vec::new() },
        signed_data: String::new(),
    }
}

/// One charge with one sample, and what is left of it.
fn life() -> (Promises, Evidence) {
    let mut promises = Promises::default();
    let charge = promises.wants(1, "DORA", AuthorizationSource::LocalList, Some(7));
    promises.has_begun(charge, TransactionId(1));
    let place = promises.ask_to_end(charge, REMOTE);
    promises.is_ending(charge, place);
    promises.is_over(charge);
    let one = SessionConnectorState {
        status: ConnectorStatus::Available,
        availability: Availability::Operative,
        availability_is_scheduled: false,
        status_since_unix_millis: UnixMillis(1),
        fault_code: String::new(),
        transaction: TransactionId(0),
        authorized_by: AuthorizationSource::LocalList,
        last_transaction: TransactionId(1),
        started_unix_millis: UnixMillis(1_001),
        energy_milliwatt_hours: MilliwattHours(30),
        last_stop_reason: StopReason::Remote,
    };
    let evidence = Evidence {
        journal: vec![
            event(1, EventKind::Started, 500),
            event(2, EventKind::Sample, 510),
            event(3, EventKind::Stopped, 530),
        ],
        registers: BTreeMap::from([(1, (500, 530))]),
        begun: BTreeMap::from([(1, vec![TransactionId(1)])]),
        connectors: BTreeMap::from([(1, one)]),
    };
    (promises, evidence)
}

type Spoil = fn(&mut Promises, &mut Evidence);

#[test]
fn a_judgement_finds_what_is_wrong() {
    let (promises, evidence) = life();
    assert_eq!(promises.judge(&evidence), Vec::<String>::new());
    #[rustfmt::skip]
    let table: [(&str, Spoil); 15] = [
        // what is found              what was done
        ("has a hole",                |_, evidence| drop(evidence.journal.remove(1))),
        ("a number twice",            |_, evidence| evidence.journal[2].sequence = 2),
        ("goes back",                 |_, evidence| evidence.journal[1].energy_milliwatt_hours.0 = 540),
        ("on nobody's bill",          |_, evidence| evidence.registers = BTreeMap::from([(1, (499, 530))])),
        ("in the meter",              |_, evidence| evidence.registers = BTreeMap::from([(1, (500, 531))])),
        ("never stopped",             |_, evidence| evidence.journal.truncate(2)),
        ("does not run",              |_, evidence| evidence.journal.push(event(4, EventKind::Stopped, 530))),
        ("begins on top",             |_, evidence| evidence.journal.insert(1, event(2, EventKind::Started, 500))),
        ("begins as",                 |_, evidence| evidence.journal[0].reservation.clear()),
        ("before the start",          |_, evidence| evidence.journal[1].unix_millis.0 = 1),
        ("ends with",                 |_, evidence| evidence.journal[2].reason = StopReason::PowerLoss),
        ("somebody wanted",           |promises, _| promises.charges.clear()),
        ("twice",                     |_, evidence| evidence.begun = BTreeMap::from([(1, vec![TransactionId(1); 2])])),
        ("is another's",              |_, evidence| evidence.begun = BTreeMap::from([(2, vec![TransactionId(1)])])),
        ("is stuck",                  |_, evidence| evidence.connectors.values_mut().for_each(|one| one.status = ConnectorStatus::Finishing)),
    ];
    for (found, spoil) in table {
        let (mut promises, mut evidence) = life();
        spoil(&mut promises, &mut evidence);
        let wrong = promises.judge(&evidence);
        assert!(wrong.iter().any(|wrong| wrong.contains(found)), "{found}: {wrong:?}");
    }
}
