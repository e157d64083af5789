//! The driver's panel: which connector is shown, what each screen says now, what becomes of a badge. Pure; time comes
//! as an argument. What may be shown and when it has to be looked at again are its answers.

use crate::card::{Card, Cards};
use crate::cost::Cost;
use crate::record::Costs;
use crate::screens::{self, screen};
use busbar_interfaces::hmi::ScreenState;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::session::{Reservation, SessionConnectorState};
use busbar_interfaces::words::{BadgeOutcome, Plug};
use busbar_interfaces::{BoottimeMillis, CallError, ConnectorId};
use busbar_runtime::View;
use std::collections::BTreeMap;
use std::time::Duration;

/// The connectors of a station of this family.
pub const CONNECTORS: [ConnectorId; 2] = [ConnectorId(1), ConnectorId(2)];
/// A peer that is away no longer than this is restarting: its last word stays on the screen.
const PEER_GRACE: Duration = Duration::from_secs(10);
/// Measured values older than this are not shown.
const SAMPLE_AGE: Duration = Duration::from_secs(10);
/// How long the driver is told about a badge.
const NOTICE: Duration = Duration::from_secs(6);
/// For this long after a touch a cable that is plugged in does not change the connector that is shown.
const TOUCH: Duration = Duration::from_secs(30);
/// Numbers that flow are published this often.
const FLOW: Duration = Duration::from_secs(1);

/// What a peer said last, for as long as it counts.
struct Heard<S> {
    state: Option<S>,
    away_since: Option<BoottimeMillis>,
}

impl<S> Heard<S> {
    const fn nothing() -> Heard<S> {
        Heard { state: None, away_since: None }
    }

    fn take(&mut self, now: BoottimeMillis, view: View<S>) {
        match view {
            View::Present(state) => *self = Heard { state: Some(state), away_since: None },
            View::Absent => self.away_since = self.away_since.or(Some(now)),
        }
    }

    fn get(&self, now: BoottimeMillis) -> Option<&S> {
        self.state.as_ref().filter(|_| self.away_since.is_none_or(|since| now.since(since) < PEER_GRACE))
    }

    /// When the last word stops counting.
    fn ends(&self) -> Option<BoottimeMillis> {
        self.state.as_ref().and(self.away_since).map(|since| since.after(PEER_GRACE))
    }
}

struct Side {
    session: Heard<SessionConnectorState>,
    power: Heard<PowerConnectorState>,
    /// It, or any connector, is reserved.
    is_reserved: bool,
    published: Option<(ScreenState, BoottimeMillis)>,
    /// What the charge costs.
    cost: Option<Cost>,
    /// Which plug came last; 0 while none is plugged in.
    plugged: u64,
}

struct Notice {
    /// The connector; 0 for both.
    connector: ConnectorId,
    text: &'static str,
    until: BoottimeMillis,
}

/// The driver's panel.
pub struct Panel {
    sides: BTreeMap<ConnectorId, Side>,
    shown: ConnectorId,
    touched: Option<BoottimeMillis>,
    plugs: u64,
    cards: Cards,
    /// A badge is with session.
    asking: bool,
    notice: Option<Notice>,
}

impl Panel {
    /// A panel that has heard nothing, with the costs that were shown before this process started.
    pub fn new(mut costs: Costs) -> Panel {
        let mut side = |connector| Side {
            session: Heard::nothing(),
            power: Heard::nothing(),
            is_reserved: false,
            published: None,
            cost: costs.remove(&connector),
            plugged: 0,
        };
        Panel {
            sides: CONNECTORS.into_iter().map(|connector| (connector, side(connector))).collect(),
            shown: ConnectorId(1),
            touched: None,
            plugs: 0,
            cards: Cards::default(),
            asking: false,
            notice: None,
        }
    }

    /// Session says something of a connector.
    pub fn session(&mut self, now: BoottimeMillis, connector: ConnectorId, view: View<SessionConnectorState>) {
        let Some(side) = self.sides.get_mut(&connector) else { return };
        if let View::Present(state) = &view {
            side.cost = side.cost.take().and_then(|cost| cost.after(state));
        }
        side.session.take(now, view);
    }

    /// Session says what is reserved. While it is away its last word stays; without it no connector is served anyway.
    pub fn reserved(&mut self, reservations: Option<&[Reservation]>) {
        let Some(reservations) = reservations else { return };
        for (connector, side) in &mut self.sides {
            let is_kept = |kept: &Reservation| [*connector, ConnectorId::STATION].contains(&kept.connector);
            side.is_reserved = reservations.iter().any(is_kept);
        }
    }

    /// Power says something of a connector.
    pub fn power(&mut self, now: BoottimeMillis, connector: ConnectorId, view: View<PowerConnectorState>) {
        let Some(side) = self.sides.get_mut(&connector) else { return };
        let plug = view.present().map(|state| state.plug);
        side.power.take(now, view);
        let plugged = match plug {
            Some(Plug::Plugged) if side.plugged == 0 => {
                self.plugs = self.plugs.saturating_add(1);
                self.plugs
            }
            Some(Plug::Unplugged) if side.plugged != 0 => 0,
            _ => return,
        };
        side.plugged = plugged;
        let last = self.sides.iter().filter(|(_, side)| side.plugged > 0).max_by_key(|(_, side)| side.plugged);
        let touched = self.touched.is_some_and(|touched| now.since(touched) < TOUCH);
        if let Some((connector, _)) = last
            && !touched
        {
            self.shown = *connector;
        }
    }

    /// The driver touches the screen.
    ///
    /// # Errors
    /// `NotFound` when there is no such connector.
    pub fn touch(&mut self, now: BoottimeMillis, connector: ConnectorId) -> Result<(), CallError> {
        if !self.sides.contains_key(&connector) {
            return Err(unknown(connector));
        }
        self.shown = connector;
        self.touched = Some(now);
        Ok(())
    }

    /// The CSMS tells what the charge on a connector costs. A session that restarts is still at the charge that it named
    /// last.
    ///
    /// # Errors
    /// `NotFound` when there is no such connector, `OutOfRange` when the text cannot be shown.
    pub fn cost(&mut self, connector: ConnectorId, text: &str) -> Result<(), CallError> {
        let side = self.sides.get_mut(&connector).ok_or_else(|| unknown(connector))?;
        side.cost = Some(Cost::told(text, side.session.state.as_ref())?);
        Ok(())
    }

    /// The costs that hold now.
    pub fn costs(&self) -> Costs {
        self.sides.iter().filter_map(|(connector, side)| Some((*connector, side.cost.clone()?))).collect()
    }

    /// Takes back to these costs: others could not be kept.
    pub fn recall(&mut self, mut costs: Costs) {
        for (connector, side) in &mut self.sides {
            side.cost = costs.remove(connector);
        }
    }

    /// The connector that the screen shows.
    pub fn shown(&self) -> ConnectorId {
        self.shown
    }

    /// A card is in the reader's field; returns the tag that session has to be asked about.
    pub fn card(&mut self, now: BoottimeMillis, identifier: &[u8]) -> Option<String> {
        match self.cards.seen(now, identifier) {
            // One question at a time: the driver sees its answer first.
            Card::Badge(_) if self.asking => None,
            Card::Badge(tag) => {
                self.asking = true;
                // The answer takes the place of this; the end is for an answer that never comes.
                self.tell(now, self.shown, screens::CHECKING, busbar_runtime::bus::METHOD_TIMEOUT);
                Some(tag)
            }
            Card::Still => None,
            Card::Random => {
                tracing::warn!("a card with a random identifier cannot be a badge");
                self.tell(now, self.shown, screens::UNUSABLE_CARD, NOTICE);
                None
            }
            Card::Odd => {
                tracing::warn!(identifier_bytes = identifier.len(), "a card's identifier has an impossible length");
                None
            }
        }
    }

    /// Session has answered about the badge, or could not.
    pub fn answered(&mut self, now: BoottimeMillis, answer: Option<(BadgeOutcome, ConnectorId)>) {
        self.asking = false;
        let (text, connector) = match answer {
            Some((outcome, connector)) => {
                let is_reserved = self.sides.get(&connector).is_some_and(|side| side.is_reserved);
                (screens::outcome(outcome, is_reserved), connector)
            }
            None => (screens::TRY_AGAIN, self.shown),
        };
        self.tell(now, connector, text, NOTICE);
    }

    fn tell(&mut self, now: BoottimeMillis, connector: ConnectorId, text: &'static str, time: Duration) {
        self.notice = Some(Notice { connector, text, until: now.after(time) });
    }

    /// The screens that are to be published now: a new picture or text at once, flowing numbers after a while.
    pub fn news(&mut self, now: BoottimeMillis) -> Vec<(ConnectorId, ScreenState)> {
        self.notice.take_if(|notice| notice.until <= now);
        let mut news = Vec::new();
        for (connector, side) in &mut self.sides {
            let state = side.state(now, *connector, self.notice.as_ref());
            if side.published.as_ref().is_none_or(|(before, at)| is_due(before, &state, now.since(*at))) {
                side.published = Some((state.clone(), now));
                news.push((*connector, state));
            }
        }
        news
    }

    /// When there may be news without anything being heard.
    pub fn wake(&self, now: BoottimeMillis) -> Option<BoottimeMillis> {
        let notice = self.notice.as_ref().map(|notice| notice.until);
        let sides = self.sides.iter().flat_map(|(connector, side)| {
            let flows = side.published.as_ref().and_then(|(before, at)| {
                let state = side.state(now, *connector, self.notice.as_ref());
                (state != *before).then(|| at.after(FLOW))
            });
            let sample = side.fresh(now).map(|power| power.sampled_boottime_millis.after(SAMPLE_AGE));
            // Only numbers that are shown can become too old.
            let sample = sample.filter(|_| side.published.as_ref().is_some_and(|(state, _)| shows_numbers(state)));
            [side.session.ends(), side.power.ends(), flows, sample].into_iter().flatten()
        });
        sides.chain(notice).filter(|wake| *wake > now).min()
    }
}

fn unknown(connector: ConnectorId) -> CallError {
    CallError::NotFound(format!("there is no connector {connector}; there are 1 and 2"))
}

fn shows_numbers(state: &ScreenState) -> bool {
    state.watts.0 > 0 || state.state_of_charge_percent.known().is_some()
}

fn is_due(before: &ScreenState, state: &ScreenState, age: Duration) -> bool {
    let at_once = before.screen != state.screen || before.message != state.message || before.cost != state.cost;
    at_once || (before != state && age >= FLOW)
}

impl Side {
    fn state(&self, now: BoottimeMillis, connector: ConnectorId, notice: Option<&Notice>) -> ScreenState {
        let notice = notice.filter(|notice| notice.connector == connector || notice.connector == ConnectorId::STATION);
        let (notice, cost) = (notice.map(|notice| notice.text), self.cost.as_ref());
        let mut state = screen(self.session.get(now), self.power.get(now), self.is_reserved, notice, cost);
        if self.fresh(now).is_none() {
            state.watts = busbar_interfaces::Watts(0);
            state.state_of_charge_percent = busbar_interfaces::Percent::UNKNOWN;
        }
        state
    }

    /// What power says, if what it measured is not too old.
    fn fresh(&self, now: BoottimeMillis) -> Option<&PowerConnectorState> {
        self.power.get(now).filter(|power| now.since(power.sampled_boottime_millis) < SAMPLE_AGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screens::tests::{power, session};
    use busbar_interfaces::words::{ConnectorStatus, Phase, Screen};
    use busbar_interfaces::{Percent, ReservationId, TransactionId, UnixMillis, Watts};

    const ONE: ConnectorId = ConnectorId(1);
    const TWO: ConnectorId = ConnectorId(2);
    const BADGE: [u8; 4] = [0x04, 0xA2, 0x0B, 0xFF];

    fn at(millis: u64) -> BoottimeMillis {
        BoottimeMillis(millis)
    }

    fn plug(panel: &mut Panel, now: u64, connector: ConnectorId, plug: Plug) {
        panel.power(at(now), connector, View::Present(power(plug, Phase::Idle, 0)));
    }

    fn charging(panel: &mut Panel, now: u64, milliamperes: u32) {
        let mut power = power(Plug::Plugged, Phase::Delivering, milliamperes);
        power.sampled_boottime_millis = at(now);
        panel.session(at(now), ONE, View::Present(session(ConnectorStatus::Charging, 7)));
        panel.power(at(now), ONE, View::Present(power));
    }

    fn shown(panel: &mut Panel, now: u64, connector: ConnectorId) -> Option<ScreenState> {
        panel.news(at(now)).into_iter().find(|(of, _)| *of == connector).map(|(_, state)| state)
    }

    #[test]
    fn the_screen_shows_the_connector_that_was_plugged_last_unless_touched() {
        let mut panel = Panel::new(Costs::new());
        plug(&mut panel, 0, ONE, Plug::Plugged);
        plug(&mut panel, 0, TWO, Plug::Unplugged);
        assert_eq!(panel.shown(), ONE);
        plug(&mut panel, 10, TWO, Plug::Plugged);
        assert_eq!(panel.shown(), TWO);
        plug(&mut panel, 20, TWO, Plug::Unplugged);
        assert_eq!(panel.shown(), ONE, "what is still plugged in");
        panel.touch(at(30), TWO).expect("exists");
        plug(&mut panel, 40, ONE, Plug::Unplugged);
        plug(&mut panel, 50, ONE, Plug::Plugged);
        assert_eq!(panel.shown(), TWO, "the touch holds");
        plug(&mut panel, 40_000, ONE, Plug::Unplugged);
        plug(&mut panel, 40_001, ONE, Plug::Plugged);
        assert_eq!(panel.shown(), ONE, "the touch is long over");
        assert!(matches!(panel.touch(at(0), ConnectorId(3)), Err(CallError::NotFound(_))));
        assert!(matches!(panel.touch(at(0), ConnectorId(0)), Err(CallError::NotFound(_))));
    }

    #[test]
    fn power_that_restarts_is_no_new_plug() {
        let mut panel = Panel::new(Costs::new());
        plug(&mut panel, 0, ONE, Plug::Plugged);
        plug(&mut panel, 1, TWO, Plug::Plugged);
        panel.power(at(2), ONE, View::Absent);
        plug(&mut panel, 3, ONE, Plug::Plugged);
        assert_eq!(panel.shown(), TWO);
    }

    #[test]
    fn one_badge_at_a_time_and_its_outcome_for_a_moment() {
        let mut panel = Panel::new(Costs::new());
        panel.session(at(0), ONE, View::Present(session(ConnectorStatus::Available, 0)));
        assert_eq!(panel.card(at(0), &BADGE).as_deref(), Some("04A20BFF"));
        assert_eq!(panel.card(at(10), &[1, 2, 3, 4]), None, "while the first one is checked");
        assert_eq!(shown(&mut panel, 20, ONE).map(|state| state.message).as_deref(), Some(screens::CHECKING));
        panel.answered(at(100), Some((BadgeOutcome::NoVehicle, ONE)));
        let told = shown(&mut panel, 100, ONE).expect("news at once");
        assert_eq!(
            (told.screen, told.message.as_str()),
            (Screen::Welcome, screens::outcome(BadgeOutcome::NoVehicle, false))
        );
        let wake = panel.wake(at(100)).expect("the end of the notice");
        assert_eq!(wake, at(6_100));
        let after = shown(&mut panel, wake.0, ONE).expect("the usual line is back");
        assert!(after.message.starts_with("Welcome"));
        assert_eq!(panel.wake(wake), None);
    }

    fn reserved(connector: u32) -> Reservation {
        Reservation {
            reservation: ReservationId(12),
            connector: ConnectorId(connector),
            expires_unix_millis: UnixMillis(1_767_225_600_000),
        }
    }

    #[test]
    fn tc_046_1_a_badge_is_taken_at_a_reserved_connector_and_what_came_of_it_told() {
        let mut panel = Panel::new(Costs::new());
        panel.reserved(Some(&[reserved(1)]));
        panel.session(at(0), ONE, View::Present(session(ConnectorStatus::Reserved, 0)));
        assert!(shown(&mut panel, 0, ONE).expect("news").message.starts_with("Reserved."));
        assert_eq!(panel.card(at(0), &BADGE).as_deref(), Some("04A20BFF"));
        panel.answered(at(10), Some((BadgeOutcome::NoVehicle, ONE)));
        assert!(shown(&mut panel, 10, ONE).expect("news").message.starts_with("Please plug in"));

        panel.session(at(7_000), ONE, View::Present(session(ConnectorStatus::Preparing, 0)));
        plug(&mut panel, 7_000, ONE, Plug::Plugged);
        let awaited = shown(&mut panel, 7_000, ONE).expect("news");
        assert_eq!(awaited.screen, Screen::PresentBadge);
        assert!(awaited.message.starts_with("Reserved."), "{}", awaited.message);
        for (now, outcome, words) in [
            (10_000, BadgeOutcome::Refused, "This connector is reserved"),
            (20_000, BadgeOutcome::Starting, "Badge accepted."),
        ] {
            assert!(panel.card(at(now), &BADGE).is_some(), "{outcome}");
            panel.answered(at(now), Some((outcome, ONE)));
            let told = shown(&mut panel, now, ONE).expect("news").message;
            assert!(told.starts_with(words), "{told}");
        }
    }

    #[test]
    fn tc_049_a_reserved_station_is_reserved_at_each_connector_until_it_is_over() {
        let mut panel = Panel::new(Costs::new());
        for connector in [ONE, TWO] {
            panel.session(at(0), connector, View::Present(session(ConnectorStatus::Preparing, 0)));
            plug(&mut panel, 0, connector, Plug::Plugged);
        }
        for (reservations, said) in [
            (vec![], [false, false]),
            (vec![reserved(0)], [true, true]),
            (vec![reserved(2)], [false, true]),
            (vec![reserved(2), reserved(1)], [true, true]),
            (vec![], [false, false]),
        ] {
            panel.reserved(Some(&reservations));
            panel.reserved(None);
            panel.news(at(0));
            let says = |connector| panel.sides[&connector].published.as_ref().expect("published").0.message.clone();
            assert_eq!([ONE, TWO].map(|connector| says(connector).starts_with("Reserved.")), said, "{reservations:?}");
        }
    }

    #[test]
    fn without_session_the_driver_is_asked_to_try_again() {
        let mut panel = Panel::new(Costs::new());
        assert!(panel.card(at(0), &BADGE).is_some());
        panel.answered(at(5), None);
        assert_eq!(shown(&mut panel, 5, ONE).map(|state| state.message).as_deref(), Some(screens::TRY_AGAIN));
        assert!(panel.card(at(4_000), &BADGE).is_some(), "and may");
    }

    #[test]
    fn flowing_numbers_are_published_once_in_a_second() {
        let mut panel = Panel::new(Costs::new());
        charging(&mut panel, 0, 100_000);
        assert_eq!(shown(&mut panel, 0, ONE).map(|state| state.watts), Some(Watts(40_000)));
        let mut published = 0;
        for now in (100..=5_000).step_by(100) {
            charging(&mut panel, now, 100_000 + now as u32);
            published += panel.news(at(now)).len();
        }
        assert_eq!(published, 5);
        charging(&mut panel, 5_050, 90_000);
        assert_eq!(panel.news(at(5_050)).len(), 0);
        assert_eq!(panel.wake(at(5_050)), Some(at(6_000)), "the last number is not forgotten");
    }

    #[test]
    fn a_peer_that_restarts_is_not_seen_and_one_that_stays_away_is() {
        let mut panel = Panel::new(Costs::new());
        charging(&mut panel, 0, 100_000);
        panel.news(at(0));
        panel.session(at(100), ONE, View::Absent);
        assert_eq!(shown(&mut panel, 200, ONE), None);
        let wake = panel.wake(at(200)).expect("the end of the grace or of the sample");
        assert!(wake <= at(10_100));
        let gone = shown(&mut panel, 10_100, ONE).expect("news");
        assert_eq!(gone.screen, Screen::OutOfService);
    }

    #[test]
    fn a_sample_that_is_too_old_is_not_shown() {
        let mut panel = Panel::new(Costs::new());
        charging(&mut panel, 0, 100_000);
        panel.news(at(0));
        assert_eq!(panel.wake(at(0)), Some(at(10_000)));
        let old = shown(&mut panel, 10_000, ONE).expect("news");
        assert_eq!(
            (old.screen, old.watts, old.state_of_charge_percent),
            (Screen::Charging, Watts(0), Percent::UNKNOWN)
        );
        assert_eq!(panel.wake(at(10_000)), None);
    }

    fn costs(panel: &mut Panel, now: u64) -> [String; 2] {
        panel.news(at(now));
        [ONE, TWO].map(|connector| panel.sides[&connector].published.as_ref().expect("published").0.cost.clone())
    }

    #[test]
    fn a_cost_is_shown_at_once_on_its_own_screen_until_the_next_charge_there() {
        let mut panel = Panel::new(Costs::new());
        charging(&mut panel, 0, 100_000);
        panel.news(at(0));
        panel.cost(ONE, "12.40 EUR").expect("can be shown");
        assert_eq!(shown(&mut panel, 1, ONE).map(|state| state.cost).as_deref(), Some("12.40 EUR"), "at once");
        assert_eq!(costs(&mut panel, 1), ["12.40 EUR", ""]);
        panel.cost(ONE, "12.60 EUR").expect("can be shown");
        let mut over = session(ConnectorStatus::Finishing, 0);
        over.last_transaction = TransactionId(7);
        panel.session(at(2), ONE, View::Present(over));
        assert_eq!(costs(&mut panel, 2), ["12.60 EUR", ""], "the receipt has it");
        panel.session(at(3), ONE, View::Absent);
        assert_eq!(costs(&mut panel, 3), ["12.60 EUR", ""], "session restarts");
        panel.session(at(4), ONE, View::Present(session(ConnectorStatus::Preparing, 8)));
        assert_eq!(costs(&mut panel, 4), ["", ""], "the next charge");
        assert_eq!(panel.costs(), Costs::new());
    }

    #[test]
    fn a_cost_of_no_connector_and_one_that_cannot_be_shown_change_nothing() {
        let mut panel = Panel::new(Costs::new());
        panel.cost(TWO, "1 EUR").expect("can be shown");
        let before = panel.costs();
        for connector in [0, 3] {
            assert!(matches!(panel.cost(ConnectorId(connector), "2 EUR"), Err(CallError::NotFound(_))));
        }
        assert!(matches!(panel.cost(TWO, ""), Err(CallError::OutOfRange(_))));
        assert_eq!(panel.costs(), before);
        panel.cost(ONE, "2 EUR").expect("can be shown");
        panel.recall(before.clone());
        assert_eq!(panel.costs(), before, "what could not be kept is not shown");
    }

    #[test]
    fn a_panel_that_restarts_in_a_charge_shows_its_cost_from_its_first_picture_on() {
        let mut panel = Panel::new(Costs::new());
        charging(&mut panel, 0, 100_000);
        panel.cost(ONE, "12.40 EUR").expect("can be shown");
        let mut panel = Panel::new(panel.costs());
        assert_eq!(costs(&mut panel, 1), ["12.40 EUR", ""]);
        charging(&mut panel, 2, 100_000);
        assert_eq!(costs(&mut panel, 2), ["12.40 EUR", ""]);
        let mut late = Panel::new(panel.costs());
        late.session(at(3), ONE, View::Present(session(ConnectorStatus::Charging, 8)));
        assert_eq!(costs(&mut late, 3), ["", ""], "another charge began meanwhile");
    }
}
