//! Everything at random against what must always hold.

use super::play::{ONE, Play, TWO};
use crate::effect::{DeliveryAnswer, Effect};
use crate::station::{Input, Ticket};
use busbar_interfaces::words::{
    AuthorizationStatus, Availability, ConnectorStatus, EventKind, Link, StopCause, StopReason,
};
use busbar_interfaces::{BoottimeMillis, ConnectorId, TransactionId};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Move {
    Plug(bool, bool),
    Badge(u8),
    Remote(u32),
    Stop(u64),
    Answer(bool),
    CarryOut(usize),
    Lose(usize),
    PowerEnds(bool),
    PowerAway(bool),
    Meter(bool),
    Online(bool),
    Order(u32, bool),
    StopAll(u64),
    Restart,
    Pass(u64),
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        (any::<bool>(), any::<bool>()).prop_map(|(one, plugged)| Move::Plug(one, plugged)),
        (0u8..3).prop_map(Move::Badge),
        (0u32..4).prop_map(Move::Remote),
        (0u64..6).prop_map(Move::Stop),
        any::<bool>().prop_map(Move::Answer),
        (0usize..4).prop_map(Move::CarryOut),
        (0usize..4).prop_map(Move::CarryOut),
        (0usize..4).prop_map(Move::Lose),
        any::<bool>().prop_map(Move::PowerEnds),
        any::<bool>().prop_map(Move::PowerAway),
        any::<bool>().prop_map(Move::Meter),
        any::<bool>().prop_map(Move::Online),
        (0u32..4, any::<bool>()).prop_map(|(connector, operative)| Move::Order(connector, operative)),
        (0u64..30_000).prop_map(Move::StopAll),
        Just(Move::Restart),
        (1u64..20_000).prop_map(Move::Pass),
    ]
}

proptest! {
    /// Whatever happens in whatever order: one start and one stop for each transaction, energy that never goes back,
    /// disk before deed (all checked in `Play`), and in the end nothing stays open.
    #[test]
    fn every_transaction_is_closed_once(moves in proptest::collection::vec(any_move(), 0..120)) {
        let mut play = Play::new();
        for step in moves {
            let connector = |one: bool| if one { ONE } else { TWO };
            match step {
                Move::Plug(one, plugged) => play.plug(connector(one), plugged),
                Move::Badge(tag) => play.step(Input::Badge {
                    ticket: Ticket(u64::from(tag)), id_tag: format!("TAG{tag}"), shown: ONE, valid_until: BoottimeMillis(u64::MAX) }),
                Move::Remote(at) => play.step(Input::RemoteStart {
                    ticket: Ticket(7), connector: ConnectorId(at), id_tag: "REMOTE".to_owned(),
                }),
                Move::Stop(transaction) => play.step(Input::Stop {
                    ticket: Ticket(8), transaction: TransactionId(transaction), reason: StopReason::Remote,
                }),
                Move::Answer(good) => if let Some(question) = play.questions.pop() {
                    let status = good.then_some(AuthorizationStatus::Accepted);
                    play.step(Input::Authorized { question, status });
                },
                Move::CarryOut(which) => if which < play.pending.len() {
                    let effect = play.pending.remove(which);
                    play.carry_out(effect);
                },
                Move::Lose(which) => if which < play.pending.len() {
                    // The peer died with the call: its failure comes back, as it does from `peers::call`.
                    match play.pending.remove(which) {
                        Effect::Latch(connector, purpose) => play.step(Input::Latched { connector, purpose, reading: None }),
                        Effect::StartDelivery(connector, transaction) | Effect::RenewDelivery(connector, transaction) => {
                            play.step(Input::Delivery { connector, transaction, answer: DeliveryAnswer::Unreachable });
                        }
                        _ => {}
                    }
                },
                Move::PowerEnds(one) => {
                    let delivery = play.power.get(&connector(one)).map_or(TransactionId(0), |power| power.delivery);
                    play.power_ends(connector(one), delivery, StopCause::Vehicle);
                }
                Move::PowerAway(one) => play.step(Input::Power(connector(one), None)),
                Move::Meter(works) => play.meter_works = works,
                Move::Online(online) => play.step(Input::Link(if online { Link::Accepted } else { Link::Disconnected })),
                Move::Order(connector, operative) => {
                    let availability = if operative { Availability::Operative } else { Availability::Inoperative };
                    prop_assert!(play.order(ConnectorId(connector), availability).is_some());
                }
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
        // The driver goes, everything answers again, and time passes.
        play.meter_works = true;
        for connector in [ONE, TWO] {
            play.show_power(connector);
            let delivery = play.power.get(&connector).map_or(TransactionId(0), |power| power.delivery);
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
        }
    }
}
