//! The status transitions of OCPP 1.6 (section 4.9, A1 to I9): how each of them comes about on this station, and which
//! do not. `random` holds every walk against the same table.

use super::play::{ONE, Play, TWO};
use crate::rules::Rules;
use busbar_interfaces::faults::ActiveFault;
use busbar_interfaces::words::ConnectorStatus::{
    self, Available, Charging, Faulted, Finishing, Preparing, Reserved, SuspendedEv, SuspendedEvse, Unavailable,
};
use busbar_interfaces::words::{Availability, FaultClass, StopCause};
use busbar_interfaces::{ConnectorId, Milliamperes, TransactionId, UnixMillis, Watts};

const STATION: ConnectorId = ConnectorId::STATION;

/// What may happen to a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Plug,
    Unplug,
    TearOff,
    Badge,
    StopBeforeItFlows,
    StaysAndIsUnplugged,
    VehicleAsksForNothing,
    VehicleAsksAgain,
    LimitIsZero,
    LimitIsLifted,
    LimitIsLiftedAndVehicleAsksForNothing,
    Reserve,
    ReserveStation,
    CancelReservation,
    OutOfService,
    InService,
    Fault,
    FaultGoes,
    ShortFault,
}

/// How a status is reached.
fn reach(play: &mut Play, status: ConnectorStatus) {
    let way: &[Event] = match status {
        Available => &[],
        Preparing => &[Event::Plug],
        Charging => &[Event::Plug, Event::Badge],
        SuspendedEv => &[Event::Plug, Event::Badge, Event::VehicleAsksForNothing],
        SuspendedEvse => &[Event::Plug, Event::Badge, Event::LimitIsZero],
        Finishing => &[Event::Plug, Event::Badge, Event::Badge],
        Reserved => &[Event::Reserve],
        Unavailable => &[Event::OutOfService],
        Faulted => &[Event::Fault],
        ConnectorStatus::Unknown => unreachable!("nothing is unknown here"),
    };
    way.iter().for_each(|event| happen(play, *event));
    assert_eq!(play.status(ONE), status);
}

fn happen(play: &mut Play, event: Event) {
    match event {
        Event::Plug => play.plug(ONE, true),
        Event::Unplug => play.plug(ONE, false),
        Event::TearOff => {
            let power = play.power.get_mut(&ONE).expect("a connector");
            power.plug = busbar_interfaces::words::Plug::Unplugged;
            let delivery = power.delivery;
            play.power_ends(ONE, delivery, StopCause::Unplugged);
        }
        Event::Badge => {
            play.badge("TAG");
        }
        Event::StopBeforeItFlows => {
            // Power does not take the delivery on.
            play.power.get_mut(&ONE).expect("a connector").ended_delivery = TransactionId(1);
            play.badge("TAG");
        }
        Event::StaysAndIsUnplugged => {
            play.follow(Rules { stop_on_unplug: false, ..play.rules.clone() });
            play.unplug_unseen(ONE);
            play.badge("TAG");
        }
        Event::VehicleAsksForNothing => request(play, 0),
        Event::VehicleAsksAgain => request(play, 100_000),
        Event::LimitIsZero => limit(play, 0),
        Event::LimitIsLifted => limit(play, 90_000),
        Event::LimitIsLiftedAndVehicleAsksForNothing => {
            play.power.get_mut(&ONE).expect("a connector").requested_milliamperes = Milliamperes(0);
            limit(play, 90_000);
        }
        Event::Reserve => {
            play.reserve(7, ONE, "TAG");
        }
        Event::ReserveStation => {
            play.reserve(8, STATION, "TAG");
        }
        Event::CancelReservation => {
            play.cancel(7);
        }
        Event::OutOfService => {
            play.order(ONE, Availability::Inoperative);
        }
        Event::InService => {
            play.order(ONE, Availability::Operative);
        }
        Event::Fault => play.faults(vec![fault("0x100213", ONE)]),
        Event::FaultGoes => play.faults(Vec::new()),
        Event::ShortFault => {
            play.power_hangs = true;
            play.faults(vec![fault("0x100213", ONE)]);
            play.faults(Vec::new());
        }
    }
    play.settle();
}

pub fn fault(code: &str, connector: ConnectorId) -> ActiveFault {
    ActiveFault {
        code: code.to_owned(),
        connector,
        class: FaultClass::Stop,
        error_code: "InternalError".to_owned(),
        title: String::new(),
        detail: String::new(),
        since_unix_millis: UnixMillis(0),
    }
}

fn request(play: &mut Play, milliamperes: u32) {
    play.power.get_mut(&ONE).expect("a connector").requested_milliamperes = Milliamperes(milliamperes);
    play.show_power(ONE);
}

fn limit(play: &mut Play, watts: u32) {
    play.power.get_mut(&ONE).expect("a connector").limit_watts = Watts(watts);
    play.show_power(ONE);
}

/// Every transition of OCPP's table that this station makes: its name, from, what happens, to.
#[rustfmt::skip]
const MADE: &[(&str, ConnectorStatus, &[Event], ConnectorStatus)] = &[
    ("A2", Available,     &[Event::Plug],                                        Preparing),
    ("A7", Available,     &[Event::Reserve],                                     Reserved),
    ("A8", Available,     &[Event::OutOfService],                                Unavailable),
    ("A9", Available,     &[Event::Fault],                                       Faulted),
    ("B1", Preparing,     &[Event::Unplug],                                      Available),
    ("B3", Preparing,     &[Event::Badge],                                       Charging),
    ("B5", Preparing,     &[Event::LimitIsZero, Event::Badge],                   SuspendedEvse),
    ("B9", Preparing,     &[Event::Fault],                                       Faulted),
    ("C1", Charging,      &[Event::TearOff],                                     Available),
    ("C4", Charging,      &[Event::VehicleAsksForNothing],                       SuspendedEv),
    ("C5", Charging,      &[Event::LimitIsZero],                                 SuspendedEvse),
    ("C6", Charging,      &[Event::Badge],                                       Finishing),
    ("C8", Charging,      &[Event::OutOfService, Event::TearOff],                Unavailable),
    ("C9", Charging,      &[Event::Fault],                                       Faulted),
    ("D1", SuspendedEv,   &[Event::TearOff],                                     Available),
    ("D3", SuspendedEv,   &[Event::VehicleAsksAgain],                            Charging),
    ("D5", SuspendedEv,   &[Event::LimitIsZero],                                 SuspendedEvse),
    ("D6", SuspendedEv,   &[Event::Badge],                                       Finishing),
    ("D8", SuspendedEv,   &[Event::OutOfService, Event::TearOff],                Unavailable),
    ("D9", SuspendedEv,   &[Event::Fault],                                       Faulted),
    ("E1", SuspendedEvse, &[Event::TearOff],                                     Available),
    ("E3", SuspendedEvse, &[Event::LimitIsLifted],                               Charging),
    ("E4", SuspendedEvse, &[Event::LimitIsLiftedAndVehicleAsksForNothing],       SuspendedEv),
    ("E6", SuspendedEvse, &[Event::Badge],                                       Finishing),
    ("E8", SuspendedEvse, &[Event::OutOfService, Event::TearOff],                Unavailable),
    ("E9", SuspendedEvse, &[Event::Fault],                                       Faulted),
    ("F1", Finishing,     &[Event::Unplug],                                      Available),
    ("F8", Finishing,     &[Event::OutOfService],                                Unavailable),
    ("F9", Finishing,     &[Event::Fault],                                       Faulted),
    ("G1", Reserved,      &[Event::CancelReservation],                           Available),
    ("G2", Reserved,      &[Event::Plug],                                        Preparing),
    ("G8", Reserved,      &[Event::OutOfService],                                Unavailable),
    ("G9", Reserved,      &[Event::Fault],                                       Faulted),
    ("H1", Unavailable,   &[Event::InService],                                   Available),
    ("H2", Unavailable,   &[Event::Plug, Event::InService],                      Preparing),
    ("H9", Unavailable,   &[Event::Fault],                                       Faulted),
    ("I1", Faulted,       &[Event::FaultGoes],                                   Available),
    ("I2", Faulted,       &[Event::Plug, Event::FaultGoes],                      Preparing),
    ("I8", Faulted,       &[Event::OutOfService, Event::FaultGoes],              Unavailable),
];

/// OCPP's transitions that take more than one event after the status.
#[rustfmt::skip]
const MADE_ON_THE_WAY: &[(&str, &[Event], ConnectorStatus, ConnectorStatus)] = &[
    // By the rules the transaction stays, and the cable was out before power could flow.
    ("B4", &[Event::Plug, Event::StaysAndIsUnplugged],                           Preparing, SuspendedEv),
    // The transaction began and ended before current flowed.
    ("B6", &[Event::Plug, Event::StopBeforeItFlows],                             Preparing, Finishing),
    // A fault ends the charge and goes before that is done.
    ("I3", &[Event::Plug, Event::Badge, Event::ShortFault],                      Faulted,   Charging),
    ("I4", &[Event::Plug, Event::Badge, Event::VehicleAsksForNothing, Event::ShortFault], Faulted, SuspendedEv),
    ("I5", &[Event::Plug, Event::Badge, Event::LimitIsZero, Event::ShortFault],  Faulted,   SuspendedEvse),
    // A fault ends the charge; the vehicle is still there when it goes.
    ("I6", &[Event::Plug, Event::Badge, Event::Fault, Event::FaultGoes],         Faulted,   Finishing),
    // The station is reserved, and one of its connectors faulted for a while.
    ("I7", &[Event::ReserveStation, Event::Fault, Event::FaultGoes],             Faulted,   Reserved),
];

/// OCPP's transitions that this station does not make, and why.
#[rustfmt::skip]
const NOT_MADE: &[(&str, ConnectorStatus, ConnectorStatus, &str)] = &[
    ("A3", Available,   Charging,      "a DC charge is prepared: insulation, pre-charge"),
    ("A4", Available,   SuspendedEv,   "likewise"),
    ("A5", Available,   SuspendedEvse, "likewise"),
    ("F2", Finishing,   Preparing,     "the vehicle has to be plugged in anew"),
    ("H3", Unavailable, Charging,      "a DC charge is prepared"),
    ("H4", Unavailable, SuspendedEv,   "likewise"),
    ("H5", Unavailable, SuspendedEvse, "likewise"),
];

/// What is not in OCPP's table and follows from its text: one status goes straight to the one that is true now, without
/// a detour over Available that nobody could use.
#[rustfmt::skip]
const BEYOND: &[(&str, ConnectorStatus, ConnectorStatus, &str)] = &[
    ("B7", Preparing,     Reserved,    "whoever it is reserved for went away again without a charge"),
    ("B8", Preparing,     Unavailable, "an order holds at once where no transaction runs (5.2)"),
    ("C7", Charging,      Reserved,    "the station is reserved, and the vehicle was torn off"),
    ("D7", SuspendedEv,   Reserved,    "likewise"),
    ("E7", SuspendedEvse, Reserved,    "likewise"),
    ("F7", Finishing,     Reserved,    "the station is reserved, and the vehicle was unplugged"),
    ("H6", Unavailable,   Finishing,   "back in service with the vehicle that was charged"),
    ("H7", Unavailable,   Reserved,    "back in service while the station is reserved"),
];

/// Whether a connector may go from one status to another.
pub fn is_allowed(from: ConnectorStatus, to: ConnectorStatus) -> bool {
    let made = MADE.iter().map(|(_, from, _, to)| (*from, *to));
    let on_the_way = MADE_ON_THE_WAY.iter().map(|(_, _, from, to)| (*from, *to));
    let beyond = BEYOND.iter().map(|(_, from, to, _)| (*from, *to));
    let unknown = from == ConnectorStatus::Unknown || to == ConnectorStatus::Unknown;
    unknown || made.chain(on_the_way).chain(beyond).any(|pair| pair == (from, to))
}

#[test]
fn case_23_every_transition_of_ocpp_comes_about_as_it_should() {
    for (name, from, events, to) in MADE {
        let mut play = Play::new();
        reach(&mut play, *from);
        let shown = play.statuses.len();
        events.iter().for_each(|event| happen(&mut play, *event));
        play.pass(3_000);
        let since: Vec<ConnectorStatus> =
            play.statuses_since(shown).into_iter().filter(|(id, _)| *id == ONE).map(|(_, status)| status).collect();
        assert_eq!(since, [*to], "{name}");
    }
    for (name, events, from, to) in MADE_ON_THE_WAY {
        let mut play = Play::new();
        events.iter().for_each(|event| happen(&mut play, *event));
        play.pass(3_000);
        let of_one: Vec<ConnectorStatus> =
            play.statuses.iter().filter(|(id, _)| *id == ONE).map(|(_, status)| *status).collect();
        assert!(of_one.windows(2).any(|pair| pair == [*from, *to]), "{name}: {of_one:?}");
    }
}

#[test]
fn the_table_is_whole() {
    // OCPP 1.6, 4.9: rows A to I, columns 1 to 9.
    let ocpp = "A2 A3 A4 A5 A7 A8 A9 B1 B3 B4 B5 B6 B9 C1 C4 C5 C6 C8 C9 D1 D3 D5 D6 D8 D9 E1 E3 E4 E6 E8 E9 \
                F1 F2 F8 F9 G1 G2 G8 G9 H1 H2 H3 H4 H5 H9 I1 I2 I3 I4 I5 I6 I7 I8";
    let made = MADE.iter().map(|(name, ..)| *name);
    let mut here: Vec<&str> = made
        .chain(MADE_ON_THE_WAY.iter().map(|(name, ..)| *name))
        .chain(NOT_MADE.iter().map(|(name, ..)| *name))
        .collect();
    here.sort_unstable();
    assert_eq!(here.join(" "), ocpp);
    let order = [Available, Preparing, Charging, SuspendedEv, SuspendedEvse, Finishing, Reserved, Unavailable, Faulted];
    let name = |from: ConnectorStatus, to: ConnectorStatus| {
        let place = |status| order.iter().position(|each| *each == status).expect("a status");
        let row = char::from(b'A' + u8::try_from(place(from)).expect("small"));
        format!("{row}{}", place(to) + 1)
    };
    let named = MADE.iter().map(|(of, from, _, to)| (of, from, to));
    let on_the_way = MADE_ON_THE_WAY.iter().map(|(of, _, from, to)| (of, from, to));
    let others = NOT_MADE.iter().chain(BEYOND).map(|(of, from, to, _)| (of, from, to));
    for (of, from, to) in named.chain(on_the_way).chain(others) {
        assert_eq!(**of, name(*from, *to));
    }
}

#[test]
fn tc_049_a_reserved_station_keeps_both_of_its_connectors() {
    let mut play = Play::new();
    happen(&mut play, Event::ReserveStation);
    assert_eq!((play.status(ONE), play.status(TWO)), (Reserved, Reserved));
}
