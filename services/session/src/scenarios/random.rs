//! Everything at random against what must always hold.

use super::matrix::fault;
use super::play::{ONE, Play, TWO, accepted, word};
use crate::authorization::{CentralWord, Known};
use crate::effect::{DeliveryAnswer, Effect};
use crate::rules::Rules;
use crate::station::{Input, Output, Ticket};
use busbar_interfaces::words::{
    AuthorizationStatus, Availability, ConnectorStatus, EventKind, Link, StopCause, StopReason,
};
use busbar_interfaces::{BoottimeMillis, ConnectorId, TransactionId};
use proptest::prelude::*;
use std::collections::BTreeSet;

#[derive(Debug, Clone)]
enum Move {
    Plug(bool, bool),
    /// Which badge, and what is known of it: 0 nothing, 1 good, 2 blocked, 3 good and of a group.
    Badge(u8, u8),
    Remote(u32, u8),
    Stop(u64),
    Deauthorize(u64),
    Learn(u8, bool),
    Answer(u8),
    CarryOut(usize),
    Lose(usize),
    PowerEnds(bool, bool),
    PowerAway(bool),
    Meter(bool),
    Online(bool),
    Order(u32, bool),
    /// Which number, connector and badge, for so long.
    Reserve(i32, u32, u8, u64),
    Cancel(i32),
    /// On which connector; none from 4 on.
    Fault(u32),
    Rules(u16),
    Space(bool),
    SetClock(i64),
    StopAll(u64),
    Restart,
    Pass(u64),
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        3 => (any::<bool>(), any::<bool>()).prop_map(|(one, plugged)| Move::Plug(one, plugged)),
        3 => (0u8..3, 0u8..4).prop_map(|(badge, known)| Move::Badge(badge, known)),
        1 => (0u32..4, 0u8..4).prop_map(|(at, known)| Move::Remote(at, known)),
        1 => (0u64..6).prop_map(Move::Stop),
        1 => (0u64..6).prop_map(Move::Deauthorize),
        1 => (0u8..3, any::<bool>()).prop_map(|(badge, group)| Move::Learn(badge, group)),
        2 => (0u8..6).prop_map(Move::Answer),
        4 => (0usize..4).prop_map(Move::CarryOut),
        1 => (0usize..4).prop_map(Move::Lose),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(one, torn)| Move::PowerEnds(one, torn)),
        1 => any::<bool>().prop_map(Move::PowerAway),
        1 => any::<bool>().prop_map(Move::Meter),
        1 => any::<bool>().prop_map(Move::Online),
        1 => (0u32..4, any::<bool>()).prop_map(|(connector, operative)| Move::Order(connector, operative)),
        1 => (-1i32..3, 0u32..4, 0u8..3, 0u64..60_000).prop_map(|(number, at, badge, millis)| {
            Move::Reserve(number, at, badge, millis)
        }),
        1 => (-1i32..3).prop_map(Move::Cancel),
        1 => (0u32..12).prop_map(Move::Fault),
        1 => any::<u16>().prop_map(Move::Rules),
        1 => any::<bool>().prop_map(Move::Space),
        1 => (-100_000i64..100_000).prop_map(Move::SetClock),
        1 => (0u64..30_000).prop_map(Move::StopAll),
        2 => Just(Move::Restart),
        3 => (1u64..20_000).prop_map(Move::Pass),
    ]
}

fn badge(number: u8) -> String {
    format!("TAG{number}")
}

fn known(what: u8) -> Known {
    match what {
        1 => Known { list: None, cache: Some(accepted()) },
        2 => Known { list: Some(word(AuthorizationStatus::Blocked, "")), cache: Some(accepted()) },
        3 => Known { list: Some(word(AuthorizationStatus::Accepted, "FLEET")), cache: None },
        _ => Known::default(),
    }
}

/// Every rule that is yes or no, by its bit.
fn rules(bits: u16) -> Rules {
    let bit = |number: u16| bits & (1 << number) != 0;
    Rules {
        badge_needed: !(bit(0) && bit(1)),
        allow_unknown_offline: bit(2),
        local_authorize_offline: bit(3),
        local_pre_authorize: bit(4),
        cache_enabled: bit(5),
        list_enabled: bit(6),
        reserve_station: bit(7) || bit(8),
        stop_on_invalid_badge: bit(9),
        stop_on_unplug: bit(10),
        authorize_remote: bit(11),
        remote_start_before_plug: bit(12),
        ..Play::new().rules
    }
}

fn of_ticket(output: &Output) -> u64 {
    match output {
        Output::BadgeAnswer(ticket, ..)
        | Output::VerdictAnswer(ticket, _)
        | Output::OrderAnswer(ticket, _)
        | Output::ReservationAnswer(ticket, _)
        | Output::DoneAnswer(ticket) => ticket.0,
        _ => 0,
    }
}

fn answer(what: u8) -> CentralWord {
    match what {
        0 => CentralWord::Unreachable,
        1 => CentralWord::Silent,
        2 => CentralWord::Said(word(AuthorizationStatus::Invalid, "")),
        3 => CentralWord::Said(word(AuthorizationStatus::ConcurrentTx, "FLEET")),
        4 => CentralWord::Said(word(AuthorizationStatus::Accepted, "FLEET")),
        _ => CentralWord::Said(accepted()),
    }
}

fn go(play: &mut Play, step: Move) {
    let connector = |one: bool| if one { ONE } else { TWO };
    match step {
        Move::Plug(one, plugged) => play.plug(connector(one), plugged),
        Move::Badge(number, what) => play.step(Input::Badge {
            ticket: Ticket(u64::from(number)),
            id_tag: badge(number),
            known: known(what),
            shown: ONE,
            valid_until: BoottimeMillis(u64::MAX),
        }),
        Move::Remote(at, what) => play.step(Input::RemoteStart {
            ticket: Ticket(7),
            connector: ConnectorId(at),
            id_tag: "REMOTE".to_owned(),
            known: known(what),
        }),
        Move::Stop(transaction) => play.step(Input::Stop {
            ticket: Ticket(8),
            transaction: TransactionId(transaction),
            reason: StopReason::Remote,
        }),
        Move::Deauthorize(transaction) => assert!(play.deauthorize(transaction).is_some()),
        Move::Learn(number, group) => play.step(Input::Learn {
            ticket: Ticket(9),
            id_tag: badge(number),
            authorization: word(AuthorizationStatus::Accepted, if group { "FLEET" } else { "" }),
        }),
        Move::Answer(what) => {
            if let Some((question, _)) = play.questions.pop() {
                play.step(Input::Authorized { question, answer: answer(what) });
            }
        }
        Move::CarryOut(which) => {
            if which < play.pending.len() {
                let effect = play.pending.remove(which);
                play.carry_out(effect);
            }
        }
        Move::Lose(which) => {
            if which < play.pending.len() {
                lose(play, which);
            }
        }
        Move::PowerEnds(one, torn) => {
            let delivery = play.power[&connector(one)].delivery;
            let cause = if torn { StopCause::Unplugged } else { StopCause::Vehicle };
            if torn {
                play.unplug_unseen(connector(one));
            }
            play.power_ends(connector(one), delivery, cause);
        }
        Move::PowerAway(one) => play.step(Input::Power(connector(one), None)),
        Move::Meter(works) => play.meter_works = works,
        Move::Online(online) => play.step(Input::Link(if online { Link::Accepted } else { Link::Disconnected })),
        Move::Order(connector, operative) => {
            let availability = if operative { Availability::Operative } else { Availability::Inoperative };
            assert!(play.order(ConnectorId(connector), availability).is_some());
        }
        Move::Reserve(number, at, of, millis) => {
            let group = if of == 0 { "FLEET" } else { "" };
            let verdict = play.reserve_for(number, ConnectorId(at), (&badge(of), group), millis);
            assert!(verdict.is_some());
        }
        Move::Cancel(number) => assert!(play.cancel(number).is_some()),
        Move::Fault(at) if at < 3 => play.faults(vec![fault("0x100213", ConnectorId(at))]),
        Move::Fault(_) => play.faults(Vec::new()),
        Move::Rules(bits) => play.follow(rules(bits)),
        Move::Space(has_space) => {
            play.station.space(has_space);
            play.step(Input::Wake);
        }
        Move::SetClock(offset) => play.wall_offset = offset,
        Move::StopAll(millis) => {
            let no_start_until = (millis > 0).then_some(BoottimeMillis(play.now + millis));
            play.step(Input::StopAll { ticket: Ticket(9), reason: StopReason::SoftReset, no_start_until });
        }
        Move::Restart => play.restart(),
        Move::Pass(millis) => {
            play.now += millis;
            play.register += millis;
            play.step(Input::Wake);
        }
    }
}

/// The peer died with the call: its failure comes back, as it does from `peers::call`.
fn lose(play: &mut Play, which: usize) {
    match play.pending.remove(which) {
        Effect::Latch(connector, purpose) => play.step(Input::Latched { connector, purpose, reading: None }),
        Effect::StartDelivery(connector, transaction) | Effect::RenewDelivery(connector, transaction) => {
            play.step(Input::Delivery { connector, transaction, answer: DeliveryAnswer::Unreachable });
        }
        _ => {}
    }
}

proptest! {
    /// Whatever happens in whatever order: one start and one stop for each transaction, energy that never goes back,
    /// disk before deed, nothing that begins against an order, a reservation or a reset, statuses that go as OCPP 1.6
    /// lets them (all checked in `Play`), and in the end nothing stays open and nobody is locked out.
    #[test]
    fn every_transaction_is_closed_once(moves in proptest::collection::vec(any_move(), 0..120)) {
        let mut play = Play::new();
        for step in moves {
            go(&mut play, step);
        }
        // The driver goes, everything answers again, and time passes.
        play.meter_works = true;
        play.follow(Play::new().rules);
        play.faults(Vec::new());
        play.station.space(true);
        play.wall_offset = 0;
        for connector in [ONE, TWO] {
            play.show_power(connector);
            let delivery = play.power[&connector].delivery;
            play.unplug_unseen(connector);
            play.power_ends(connector, delivery, StopCause::Unplugged);
            play.plug(connector, false);
        }
        play.settle();
        play.order(ConnectorId::STATION, Availability::Operative);
        play.pass(200_000);
        let of_kind = |kind| play.events.iter().filter(|event| event.kind == kind).count();
        prop_assert_eq!(of_kind(EventKind::Started), of_kind(EventKind::Stopped));
        for connector in [ONE, TWO] {
            prop_assert_eq!(play.status(connector), ConnectorStatus::Available);
            play.plug(connector, true);
            prop_assert!(play.remote_start(connector) == Some(busbar_interfaces::words::Verdict::Accepted));
            play.settle();
            prop_assert_eq!(play.status(connector), ConnectorStatus::Charging);
        }
    }

    /// Whoever asks is answered, once; and the loop never wakes up for nothing, again and again.
    #[test]
    fn everybody_is_answered_once_and_nothing_spins(
        moves in proptest::collection::vec(any_move(), 0..80),
        shown in 0u32..4,
        patience in 1u64..30_000,
    ) {
        let mut play = Play::new();
        let mut waiting = BTreeSet::new();
        for (number, step) in moves.into_iter().enumerate() {
            let ticket = 1_000_000 + number as u64;
            match step {
                Move::Badge(number, what) => {
                    waiting.insert(ticket);
                    play.step(Input::Badge {
                        ticket: Ticket(ticket),
                        id_tag: badge(number),
                        known: known(what),
                        shown: ConnectorId(shown),
                        valid_until: BoottimeMillis(play.now + patience),
                    });
                }
                // Whoever asked a process that has died knows that.
                Move::Restart => {
                    waiting.clear();
                    play.restart();
                }
                step => go(&mut play, step),
            }
            for ticket in play.answers.drain(..).map(|answer| of_ticket(&answer)).filter(|ticket| *ticket >= 1_000_000) {
                prop_assert!(waiting.remove(&ticket), "{} is answered twice", ticket);
            }
            let mut spins = 0;
            while play.station.next_wake(play.moment()).is_some_and(|wake| wake.0 <= play.now) && spins < 10 {
                let before = play.pending.len();
                play.step(Input::Wake);
                spins = if play.pending.len() == before { spins + 1 } else { 0 };
                prop_assert!(play.pending.len() < 1_000, "it asks without end");
            }
            prop_assert!(spins < 10, "it wakes up for nothing");
        }
        play.meter_works = true;
        play.settle();
        play.pass(40_000);
        for ticket in play.answers.iter().map(of_ticket).filter(|ticket| *ticket >= 1_000_000) {
            prop_assert!(waiting.remove(&ticket), "{} is answered twice", ticket);
        }
        prop_assert!(waiting.is_empty(), "never answered: {:?}", waiting);
    }
}
