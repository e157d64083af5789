//! Reservations, which are `session`'s: the CSMS's wishes on their way to it, and the number that a start tells.

use super::*;
use busbar_interfaces::ReservationId;
use busbar_interfaces::words::{ReservationVerdict, Verdict};
use busbar_ocpp16::request::ReserveNow;

fn wish(connector: u32) -> Value {
    json!({"connectorId": connector, "expiryDate": "2026-11-01T12:00:00Z", "idTag": "A", "parentIdTag": "G",
           "reservationId": -3})
}

#[test]
fn tc_046_1_case_26_the_start_that_uses_a_reservation_up_tells_its_number() {
    let mut bench = settled();
    let reserved = TransactionEvent { reservation: vec![ReservationId(-3)], ..started(1, 7) };
    bench.append([reserved, stopped(2, 7), started(3, 8)]);
    let start = bench.serve(&json!({"transactionId": 5}), "StartTransaction");
    assert_eq!((&start[3]["reservationId"], &start[3]["idTag"]), (&json!(-3), &json!("BADGE")));
    bench.serve(&json!({}), "StopTransaction");
    assert_eq!(bench.call("StartTransaction")[3].get("reservationId"), None);
}

#[test]
fn tc_048_1_tc_048_2_tc_048_3_tc_048_4_tc_050_1_tc_050_4_the_verdict_on_a_reservation_is_sessions() {
    for (verdict, word) in [
        (Answer::Reservation(ReservationVerdict::Accepted), "Accepted"),
        (Answer::Reservation(ReservationVerdict::Faulted), "Faulted"),
        (Answer::Reservation(ReservationVerdict::Occupied), "Occupied"),
        (Answer::Reservation(ReservationVerdict::Unavailable), "Unavailable"),
        (Answer::Reservation(ReservationVerdict::Rejected), "Rejected"),
        (Answer::Reservation(ReservationVerdict::Unknown), "Rejected"),
        (Answer::Failed, "Rejected"),
    ] {
        // Which connectors there are is session's to say, too.
        for connector in [0, 1, 2, 3] {
            let mut bench = settled();
            bench.text(&json!([2, "r", "ReserveNow", wish(connector)]).to_string());
            bench.quiet();
            let (serial, question) = bench.question();
            let expected = ReserveNow {
                connector,
                expiry_unix_millis: 1_793_534_400_000,
                id_tag: "A".into(),
                parent_id_tag: Some("G".into()),
                reservation: -3,
            };
            assert!(!format!("{question:?}").contains("\"A\""));
            assert_eq!(question.without_answer(), Answer::Failed);
            assert_eq!(question, Question::Reserve(expected));
            bench.step(Input::Answered { serial, answer: verdict });
            assert_eq!(bench.sent.pop_front(), Some(json!([3, "r", {"status": word}])));
        }
    }
}

#[test]
fn tc_048_4_nothing_is_reserved_without_session() {
    let mut bench = settled();
    bench.step(Input::Session(View::Absent));
    assert_eq!(bench.ask("ReserveNow", &wish(1))[2]["status"], "Rejected");
    assert_eq!(bench.ask("CancelReservation", &json!({"reservationId": -3}))[2]["status"], "Rejected");
}

#[test]
fn tc_051_tc_052_a_reservation_is_cancelled_by_session_which_knows_its_number_or_not() {
    let mut bench = settled();
    for (verdict, word) in [
        (Answer::Verdict(Verdict::Accepted), "Accepted"),
        (Answer::Verdict(Verdict::Rejected), "Rejected"),
        (Answer::Failed, "Rejected"),
    ] {
        bench.text(&json!([2, "c", "CancelReservation", {"reservationId": -3}]).to_string());
        bench.quiet();
        let (serial, question) = bench.question();
        assert_eq!(question, Question::CancelReservation { reservation: ReservationId(-3) });
        bench.step(Input::Answered { serial, answer: verdict });
        assert_eq!(bench.sent.pop_front(), Some(json!([3, "c", {"status": word}])));
    }
}
