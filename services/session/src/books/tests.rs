//! What the self-check says of each event, and that nothing irregular is ever written.

use super::*;
use busbar_interfaces::words::{ReadingContext, StopReason};
use busbar_interfaces::{BoottimeMillis, ConnectorId, Milliamperes, Millivolts, Percent, Watts};
use proptest::prelude::*;

/// When the transaction of the tables began.
const BEGIN: u64 = 1_800_000_000_000;

fn event(kind: EventKind, transaction: u64, register: u64, unix: u64) -> TransactionEvent {
    TransactionEvent {
        sequence: 0,
        transaction: TransactionId(transaction),
        connector: ConnectorId(1),
        kind,
        unix_millis: UnixMillis(unix),
        boottime_millis: BoottimeMillis(0),
        boot: String::new(),
        context: ReadingContext::SamplePeriodic,
        energy_milliwatt_hours: MilliwattHours(register),
        watts: Watts(0),
        millivolts: Millivolts(0),
        milliamperes: Milliamperes(0),
        offered_watts: Watts(0),
        state_of_charge_percent: Percent::UNKNOWN,
        id_tag: String::new(),
        reason: StopReason::None,
        reservation: Vec::new(),
        signed_data: String::new(),
    }
}

fn open(transaction: u64, register: u64) -> Last {
    let open = Open {
        transaction: TransactionId(transaction),
        started: UnixMillis(BEGIN),
        energy: MilliwattHours(register),
        of_this_run: false,
    };
    Last { open: Some(open), stopped_energy: Some(MilliwattHours(1_000)) }
}

#[test]
fn case_11_case_b50_what_the_check_makes_of_an_event() {
    use EventKind::{Sample, Started, Stopped};
    let idle = Last { open: None, stopped_energy: Some(MilliwattHours(1_234_500_000)) };
    let fresh = Last::default();
    let runs = open(7, 5_000_000);
    let back = Some("the meter went back from 5.000000 kWh to 4.999999 kWh in transaction 7");
    let early = Some("the clock stands 11 s before the begin of transaction 7");
    let both = Some(
        "the meter went back from 5.000000 kWh to 0.000000 kWh in transaction 7; the clock stands 3600 s before the \
         begin of transaction 7",
    );
    let exchanged = Some(
        "transaction 7 begins with the meter at 0.000100 kWh, and the last one stopped at 1234.500000 kWh: the meter \
         was exchanged or reset",
    );
    let table = [
        // books, what, register and time as they come, register and time as they are written, irregularity
        (fresh, Started, 0, BEGIN, 0, BEGIN, None),
        (idle, Started, 1_234_500_000, BEGIN, 1_234_500_000, BEGIN, None),
        (idle, Started, 100, BEGIN, 100, BEGIN, exchanged),
        (runs, Sample, 5_000_000, BEGIN, 5_000_000, BEGIN, None),
        (runs, Sample, 5_000_001, BEGIN + 1, 5_000_001, BEGIN + 1, None),
        (runs, Sample, 4_999_999, BEGIN + 1, 5_000_000, BEGIN + 1, back),
        (runs, Stopped, 4_999_999, BEGIN + 1, 5_000_000, BEGIN + 1, back),
        (runs, Stopped, 6_000_000, BEGIN - 1, 6_000_000, BEGIN, None),
        (runs, Stopped, 6_000_000, BEGIN - 10_000, 6_000_000, BEGIN, None),
        (runs, Sample, 6_000_000, BEGIN - 11_000, 6_000_000, BEGIN, early),
        (runs, Stopped, 0, BEGIN - 3_600_000, 5_000_000, BEGIN, both),
    ];
    for (last, kind, register, unix, written, written_unix, irregularity) in table {
        let event = event(kind, 7, register, unix);
        let checked = check(&last, &event).expect("written");
        let row = format!("{kind} {register} {unix}");
        assert_eq!(checked.irregularity.as_deref(), irregularity, "{row}");
        let as_written = TransactionEvent {
            energy_milliwatt_hours: MilliwattHours(written),
            unix_millis: UnixMillis(written_unix),
            ..event
        };
        assert_eq!(checked.event, as_written, "{row}");
    }
}

#[test]
fn case_20_a_clock_that_is_set_right_in_a_charge_is_no_nonsense() {
    let start = event(EventKind::Started, 7, 0, BEGIN);
    let stop = event(EventKind::Stopped, 7, 1, BEGIN - 3_600_000);
    for (of_this_run, written) in [(true, BEGIN - 3_600_000), (false, BEGIN)] {
        let checked = check(&Last::default().after(&start, of_this_run), &stop).expect("written");
        assert_eq!((checked.event.unix_millis.0, checked.irregularity.is_none()), (written, of_this_run));
    }
}

#[test]
fn case_b19_case_b50_what_makes_no_sense_is_not_written() {
    use EventKind::{Sample, Started, Stopped};
    let table = [
        // books, what, transaction, refusal
        (open(7, 0), Started, 8, Refusal::SecondStart(TransactionId(7))),
        (open(7, 0), Started, 7, Refusal::SecondStart(TransactionId(7))),
        (open(7, 0), Sample, 8, Refusal::NotRunning),
        (open(7, 0), Stopped, 6, Refusal::NotRunning),
        (Last::default(), Sample, 7, Refusal::NotRunning),
        (Last::default(), Stopped, 7, Refusal::NotRunning),
    ];
    for (last, kind, transaction, refusal) in table {
        assert_eq!(check(&last, &event(kind, transaction, 1, BEGIN)), Err(refusal), "{kind} {transaction}");
    }
}

proptest! {
    /// Whatever comes: within a transaction no register that is written is below the one before, no time before the
    /// start; there is one start and at most one stop of each; and what is written as it came is no irregularity.
    #[test]
    fn case_11_case_b50_whatever_comes_what_is_written_adds_up(
        events in proptest::collection::vec((0u8..3, 1u64..4, 0u64..50, BEGIN - 40_000..BEGIN + 40_000), 1..60),
    ) {
        let mut last = Last::default();
        let mut written: Vec<TransactionEvent> = Vec::new();
        for (kind, transaction, register, unix) in events {
            let kind = [EventKind::Started, EventKind::Sample, EventKind::Stopped][usize::from(kind)];
            let event = event(kind, transaction, register, unix);
            let Ok(checked) = check(&last, &event) else { continue };
            if kind != EventKind::Started && checked.irregularity.is_none() {
                prop_assert_eq!(checked.event.energy_milliwatt_hours, event.energy_milliwatt_hours);
            }
            last = last.after(&checked.event, false);
            written.push(checked.event);
        }
        for (number, event) in written.iter().enumerate() {
            if event.kind == EventKind::Started {
                let own: Vec<_> =
                    written[number + 1..].iter().take_while(|other| other.kind != EventKind::Started).collect();
                prop_assert!(own.iter().all(|other| other.transaction == event.transaction));
                prop_assert!(own.iter().all(|other| other.unix_millis >= event.unix_millis));
                prop_assert!(own.is_sorted_by_key(|other| other.energy_milliwatt_hours));
                prop_assert!(own.iter().all(|other| other.energy_milliwatt_hours >= event.energy_milliwatt_hours));
                let stops = own.iter().position(|other| other.kind == EventKind::Stopped);
                prop_assert!(stops.is_none_or(|place| place + 1 == own.len()));
            }
        }
        prop_assert!(written.first().is_none_or(|event| event.kind == EventKind::Started));
    }
}
