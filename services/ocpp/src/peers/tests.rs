//! The calls to `session` and to a meter on a bus of its own: what they carry, and what an answer, an error and nobody
//! there mean.

use super::*;
use busbar_interfaces::MilliwattHours;
use busbar_interfaces::metering::Reading;
use busbar_interfaces::ocpp::Authorization;
use busbar_interfaces::session::LocalListEntry;
use busbar_interfaces::words::{AuthorizationStatus, ListVerdict, ReservationVerdict, Verdict};
use busbar_ocpp16::confirmation::{self, IdTagInfo};
use busbar_ocpp16::request::{self, ReserveNow, SendLocalList};
use busbar_private_bus::PrivateBus;
use std::sync::{Arc, Mutex};

/// What `session` was asked.
#[derive(Debug, Clone, PartialEq)]
enum Call {
    Deauthorize(u64),
    Learn(String, Authorization),
    List(i32, bool, Vec<LocalListEntry>, Vec<String>),
    ClearCache,
    Reserve(i32, u32, String, String, u64),
    Cancel(i32),
}

/// `session` as it answers next, and what it was asked so far.
#[derive(Default)]
struct Script {
    error: Option<CallError>,
    verdict: Option<Verdict>,
    list: Option<ListVerdict>,
    reservation: Option<ReservationVerdict>,
    calls: Vec<Call>,
    /// The ends of what was asked.
    until: Vec<BoottimeMillis>,
}

#[derive(Clone, Default)]
struct Session(Arc<Mutex<Script>>);

impl Session {
    fn answers(&self, script: Script) {
        *self.0.lock().expect("sound") = script;
    }

    fn called<T>(
        &self,
        call: Call,
        until: Option<BoottimeMillis>,
        answer: impl FnOnce(&Script) -> Option<T>,
    ) -> Result<T, CallError> {
        let mut script = self.0.lock().expect("sound");
        script.calls.push(call);
        script.until.extend(until);
        match script.error.clone() {
            Some(error) => Err(error),
            None => Ok(answer(&script).expect("a verdict is scripted")),
        }
    }

    fn calls(&self) -> Vec<Call> {
        self.0.lock().expect("sound").calls.clone()
    }

    fn until(&self) -> Vec<BoottimeMillis> {
        self.0.lock().expect("sound").until.clone()
    }
}

#[zbus::interface(name = "io.busbar.Session1")]
impl Session {
    async fn deauthorize(&self, transaction: TransactionId) -> Result<Verdict, CallError> {
        self.called(Call::Deauthorize(transaction.0), None, |script| script.verdict)
    }

    async fn learn_authorization(&self, id_tag: String, authorization: Authorization) -> Result<(), CallError> {
        self.called(Call::Learn(id_tag, authorization), None, |_| Some(()))
    }

    async fn update_local_list(
        &self,
        version: i32,
        is_full: bool,
        entries: Vec<LocalListEntry>,
        removed_id_tags: Vec<String>,
        valid_until_boottime_millis: BoottimeMillis,
    ) -> Result<ListVerdict, CallError> {
        let call = Call::List(version, is_full, entries, removed_id_tags);
        self.called(call, Some(valid_until_boottime_millis), |script| script.list)
    }

    async fn clear_cache(&self, valid_until_boottime_millis: BoottimeMillis) -> Result<Verdict, CallError> {
        self.called(Call::ClearCache, Some(valid_until_boottime_millis), |script| script.verdict)
    }

    async fn reserve(
        &self,
        reservation: ReservationId,
        connector: ConnectorId,
        id_tag: String,
        parent_id_tag: String,
        expires_unix_millis: UnixMillis,
        valid_until_boottime_millis: BoottimeMillis,
    ) -> Result<ReservationVerdict, CallError> {
        let call = Call::Reserve(reservation.0, connector.0, id_tag, parent_id_tag, expires_unix_millis.0);
        self.called(call, Some(valid_until_boottime_millis), |script| script.reservation)
    }

    async fn cancel_reservation(
        &self,
        reservation: ReservationId,
        valid_until_boottime_millis: BoottimeMillis,
    ) -> Result<Verdict, CallError> {
        self.called(Call::Cancel(reservation.0), Some(valid_until_boottime_millis), |script| script.verdict)
    }
}

/// A meter that signs.
struct Meter;

#[zbus::interface(name = "io.busbar.Metering1.Meter")]
impl Meter {
    async fn latch(&self) -> Result<Reading, CallError> {
        let signed_data = "OCMF|{}".to_owned();
        Ok(Reading { energy_milliwatt_hours: MilliwattHours(5), signed_data, ..Reading::default() })
    }
}

/// Peers on a bus, on which nobody else is yet.
async fn peers(bus: &PrivateBus) -> (Bus, Peers) {
    let own = Bus::connect(names::OCPP, bus.address()).await.expect("the bus is there");
    let peers = Peers::new(&own, Clock::system()).await.expect("peers");
    (own, peers)
}

async fn session(bus: &PrivateBus) -> (Bus, Session) {
    let session = Session::default();
    let own = Bus::connect(names::SESSION, bus.address()).await.expect("the bus is there");
    own.serve(names::SESSION.root, session.clone()).await.expect("served");
    own.claim().await.expect("the name is free");
    (own, session)
}

fn info(status: request::AuthorizationStatus, parent: Option<&str>, expiry: Option<u64>) -> IdTagInfo {
    IdTagInfo { status, parent_id_tag: parent.map(Hidden::from), expiry_unix_millis: expiry }
}

fn authorization(status: AuthorizationStatus, parent: &str, expires: u64) -> Authorization {
    Authorization { status, parent_id_tag: parent.to_owned(), expires_unix_millis: UnixMillis(expires) }
}

fn a_list(update: UpdateType) -> Question {
    let entry = |id_tag: &str, info| request::LocalListEntry { id_tag: id_tag.into(), info };
    let blocked = info(request::AuthorizationStatus::Blocked, Some("G"), Some(7));
    let accepted = info(request::AuthorizationStatus::Accepted, None, None);
    let entries = vec![entry("A", Some(blocked)), entry("B", None), entry("C", Some(accepted))];
    Question::UpdateLocalList(SendLocalList { version: 3, update, entries })
}

fn a_wish(parent: Option<&str>) -> Question {
    Question::Reserve(ReserveNow {
        connector: 2,
        expiry_unix_millis: 9,
        id_tag: "A".into(),
        parent_id_tag: parent.map(Hidden::from),
        reservation: -5,
    })
}

#[tokio::test]
async fn tc_043_tc_048_tc_051_tc_061_1_what_the_csms_orders_reaches_session_and_its_verdict_comes_back() {
    let bus = PrivateBus::start().await.expect("a bus");
    let (_own, peers) = peers(&bus).await;
    let (_other, session) = session(&bus).await;
    let entry = |id_tag: &str, authorization| LocalListEntry { id_tag: id_tag.to_owned(), authorization };
    let list = |is_full| {
        let blocked = entry("A", authorization(AuthorizationStatus::Blocked, "G", 7));
        let accepted = entry("C", authorization(AuthorizationStatus::Accepted, "", 0));
        Call::List(3, is_full, vec![blocked, accepted], vec!["B".to_owned()])
    };
    let reserve = |parent: &str| Call::Reserve(-5, 2, "A".to_owned(), parent.to_owned(), 9);
    let cancel = Question::CancelReservation { reservation: ReservationId(-5) };
    let (lists, verdicts, places) = (Answer::List, Answer::Verdict, Answer::Reservation);
    for (question, call, answer) in [
        (a_list(UpdateType::Full), list(true), lists(ListVerdict::Accepted)),
        (a_list(UpdateType::Differential), list(false), lists(ListVerdict::VersionMismatch)),
        (Question::ClearCache, Call::ClearCache, verdicts(Verdict::Accepted)),
        (a_wish(Some("G")), reserve("G"), places(ReservationVerdict::Occupied)),
        (a_wish(None), reserve(""), places(ReservationVerdict::Accepted)),
        (cancel, Call::Cancel(-5), verdicts(Verdict::Rejected)),
    ] {
        let script = match answer {
            Answer::List(verdict) => Script { list: Some(verdict), ..Script::default() },
            Answer::Reservation(verdict) => Script { reservation: Some(verdict), ..Script::default() },
            Answer::Verdict(verdict) => Script { verdict: Some(verdict), ..Script::default() },
            _ => Script::default(),
        };
        session.answers(script);
        let before = Clock::system().now().boottime.after(REQUEST_VALIDITY);
        assert_eq!(peers.answer(question).await, answer);
        let after = Clock::system().now().boottime.after(REQUEST_VALIDITY);
        assert_eq!(session.calls(), [call]);
        assert!(session.until().iter().all(|until| (before..=after).contains(until)), "nothing comes too late");
        assert_eq!(session.until().len(), 1);
    }
}

#[tokio::test]
async fn tc_043_3_tc_048_4_an_error_and_nobody_there_are_a_no_in_the_words_of_the_request() {
    let bus = PrivateBus::start().await.expect("a bus");
    let (_own, peers) = peers(&bus).await;
    let questions = || {
        let cancel = Question::CancelReservation { reservation: ReservationId(-5) };
        [
            (a_list(UpdateType::Full), "Failed"),
            (Question::ClearCache, "Rejected"),
            (a_wish(None), "Rejected"),
            (cancel, "Rejected"),
        ]
    };
    for (question, word) in questions() {
        assert_eq!(peers.answer(question).await.as_str(), word, "nobody is there");
    }
    let (_other, session) = session(&bus).await;
    for error in
        [CallError::OutOfRange(String::new()), CallError::Expired(String::new()), CallError::Busy(String::new())]
    {
        for (question, word) in questions() {
            session.answers(Script { error: Some(error.clone()), ..Script::default() });
            assert_eq!(peers.answer(question).await.as_str(), word, "{error}");
        }
    }
}

#[tokio::test]
async fn case_02_a_badge_that_is_not_accepted_is_settled_when_session_has_said_so() {
    let bus = PrivateBus::start().await.expect("a bus");
    let (_own, peers) = peers(&bus).await;
    assert!(!peers.deauthorize(TransactionId(7)).await, "nobody is there");
    let (_other, session) = session(&bus).await;
    let text = String::new;
    for (answer, settled) in [
        (Ok(Verdict::Accepted), true),
        (Ok(Verdict::Rejected), true),
        (Err(CallError::Busy(text())), false),
        (Err(CallError::NotReady(text())), false),
        (Err(CallError::Internal(text())), false),
        (Err(CallError::OutOfRange(text())), true),
    ] {
        let (verdict, error) = (answer.clone().ok(), answer.clone().err());
        session.answers(Script { verdict, error, ..Script::default() });
        assert_eq!(peers.deauthorize(TransactionId(7)).await, settled, "{answer:?}");
        assert_eq!(session.calls(), [Call::Deauthorize(7)]);
    }
}

#[tokio::test]
async fn what_the_csms_says_of_a_badge_is_told_and_an_error_is_nobodys_matter() {
    let bus = PrivateBus::start().await.expect("a bus");
    let (_own, peers) = peers(&bus).await;
    let word = |parent| Learned {
        id_tag: "A".into(),
        info: info(confirmation::AuthorizationStatus::ConcurrentTx, parent, Some(7).filter(|_| parent.is_some())),
    };
    peers.learn(word(None)).await;
    let (_other, session) = session(&bus).await;
    for (parent, group, expires) in [(Some("G"), "G", 7), (None, "", 0)] {
        for error in [None, Some(CallError::OutOfRange(String::new()))] {
            session.answers(Script { error, ..Script::default() });
            peers.learn(word(parent)).await;
            let told = authorization(AuthorizationStatus::ConcurrentTx, group, expires);
            assert_eq!(session.calls(), [Call::Learn("A".to_owned(), told)]);
        }
    }
}

#[tokio::test]
async fn a_reading_outside_the_journal_comes_with_what_the_meter_has_signed() {
    let bus = PrivateBus::start().await.expect("a bus");
    let (_own, peers) = peers(&bus).await;
    let one = ConnectorId(1);
    assert_eq!(peers.read_meter(one, ReadingContext::Trigger, &Clock::system()).await, None);
    let metering = Bus::connect(names::METERING, bus.address()).await.expect("the bus is there");
    metering.serve(&names::METERING.connector(one), Meter).await.expect("served");
    metering.claim().await.expect("the name is free");
    let sample = peers.read_meter(one, ReadingContext::Trigger, &Clock::system()).await.expect("a sample");
    assert_eq!(sample.signed_data, "OCMF|{}");
    assert_eq!((sample.energy_milliwatt_hours, sample.context), (MilliwattHours(5), ReadingContext::Trigger));
}
