//! What a connector's screen shows, out of what session and power say of it. Pure. The texts are the driver's.

use crate::cost::Cost;
use busbar_interfaces::hmi::ScreenState;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::session::SessionConnectorState;
use busbar_interfaces::words::{BadgeOutcome, ConnectorStatus, Phase, Plug, Screen, StopReason};
use busbar_interfaces::{MilliwattHours, Percent, TransactionId, Watts};

/// A badge is being checked.
pub const CHECKING: &str = "Checking your badge …";
/// The question about a badge could not be answered.
pub const TRY_AGAIN: &str = "Please try again.";
/// A vehicle is plugged in where another driver may be the one who is awaited.
const RESERVED: &str = "Reserved. Please show the badge of the reservation.";
/// A card that is another one each time.
pub const UNUSABLE_CARD: &str = "This card cannot be used here. Please use a charging badge.";

/// What the driver is told about a badge at a connector that is reserved or not.
pub fn outcome(outcome: BadgeOutcome, is_reserved: bool) -> &'static str {
    match outcome {
        BadgeOutcome::Starting => "Badge accepted. Your charge starts.",
        BadgeOutcome::Stopping => "Your charge stops.",
        BadgeOutcome::AwaitingPlug => "Badge accepted. Please plug in your vehicle.",
        BadgeOutcome::NoVehicle => "Please plug in your vehicle first, then show your badge.",
        // Not "for another driver": the badge of the reservation may be blocked.
        BadgeOutcome::Refused if is_reserved => "This connector is reserved, and this badge cannot charge here.",
        BadgeOutcome::Refused => "This badge cannot charge here.",
        BadgeOutcome::OutOfService => "This connector cannot charge now.",
        BadgeOutcome::Unknown => TRY_AGAIN,
    }
}

/// Whether this screen tells the driver what the charge costs.
pub fn tells_cost(screen: Screen) -> bool {
    matches!(screen, Screen::Charging | Screen::Paused | Screen::Receipt)
}

/// The screen of one connector, which is reserved or not. `notice` is what the driver is told for a moment instead of
/// the usual line.
pub fn screen(
    session: Option<&SessionConnectorState>,
    power: Option<&PowerConnectorState>,
    is_reserved: bool,
    notice: Option<&str>,
    cost: Option<&Cost>,
) -> ScreenState {
    let (screen, message) = match session {
        Some(session) => view(session, power, is_reserved),
        None => (Screen::OutOfService, "Please wait a moment.".to_owned()),
    };
    let in_charge = matches!(screen, Screen::Preparing | Screen::Charging | Screen::Paused);
    let energy = session.filter(|_| in_charge || screen == Screen::Receipt);
    ScreenState {
        screen,
        message: notice.map_or(message, str::to_owned),
        energy_milliwatt_hours: energy.map_or(MilliwattHours(0), |session| session.energy_milliwatt_hours),
        watts: power
            .filter(|_| in_charge)
            .map_or(Watts(0), |power| power.output_millivolts.power(power.output_milliamperes)),
        state_of_charge_percent: power
            .filter(|_| in_charge)
            .map_or(Percent::UNKNOWN, |power| power.state_of_charge_percent),
        cost: cost.map_or_else(String::new, |cost| cost.text().to_owned()),
    }
}

fn view(session: &SessionConnectorState, power: Option<&PowerConnectorState>, is_reserved: bool) -> (Screen, String) {
    let plug = power.map(|power| power.plug);
    let plugged = plug == Some(Plug::Plugged);
    let getting_ready =
        power.is_some_and(|power| matches!(power.phase, Phase::Negotiating | Phase::CableCheck | Phase::PreCharge));
    let (screen, message) = match session.status {
        ConnectorStatus::Available => (Screen::Welcome, "Welcome. Please plug in your vehicle."),
        ConnectorStatus::Reserved if plugged => (Screen::PresentBadge, RESERVED),
        ConnectorStatus::Reserved => {
            (Screen::Welcome, "Reserved. If it is for you, plug in your vehicle, then show your badge.")
        }
        ConnectorStatus::Preparing if session.transaction != TransactionId(0) || getting_ready => {
            (Screen::Preparing, "Your charge is being prepared.")
        }
        // It is no longer free, but still kept for the driver of the reservation.
        ConnectorStatus::Preparing if plugged && is_reserved => (Screen::PresentBadge, RESERVED),
        ConnectorStatus::Preparing if plugged => (Screen::PresentBadge, "Please show your badge."),
        ConnectorStatus::Preparing => (Screen::Welcome, "Please plug in your vehicle."),
        ConnectorStatus::Charging | ConnectorStatus::SuspendedEv | ConnectorStatus::SuspendedEvse if getting_ready => {
            (Screen::Preparing, "Your charge is being prepared.")
        }
        ConnectorStatus::Charging => (Screen::Charging, "Charging. Show your badge to stop."),
        // The transaction stays without its cable (StopTransactionOnEVSideDisconnect).
        ConnectorStatus::SuspendedEv if plug == Some(Plug::Unplugged) => {
            (Screen::Paused, "Your vehicle is not plugged in. Show your badge to stop.")
        }
        ConnectorStatus::SuspendedEv => (Screen::Paused, "Your vehicle takes no power now. Show your badge to stop."),
        // Not that it goes on by itself: the CSMS may not have accepted the badge (StopTransactionOnInvalidId).
        ConnectorStatus::SuspendedEvse => (Screen::Paused, "The station gives no power now. Show your badge to stop."),
        ConnectorStatus::Finishing => return (Screen::Receipt, receipt(session)),
        ConnectorStatus::Unavailable => (Screen::OutOfService, "Out of service. Please use another connector."),
        ConnectorStatus::Faulted => {
            let message = format!("Out of service (fault {}). Please use another connector.", session.fault_code);
            return (Screen::OutOfService, message);
        }
        ConnectorStatus::Unknown => (Screen::OutOfService, "Please wait a moment."),
    };
    (screen, message.to_owned())
}

fn receipt(session: &SessionConnectorState) -> String {
    let why = match session.last_stop_reason {
        StopReason::EmergencyStop => "The emergency stop was pressed. ",
        StopReason::DeAuthorized => "Your badge was not accepted. ",
        StopReason::PowerLoss | StopReason::Reboot | StopReason::SoftReset | StopReason::HardReset => {
            "The station had to restart. "
        }
        _ => "Thank you. ",
    };
    // Hundredths of a kilowatt-hour, as a bill shows them.
    let hundredths = session.energy_milliwatt_hours.0 / 10_000;
    format!("{why}{}.{:02} kWh. Please unplug your vehicle.", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use busbar_interfaces::words::{AuthorizationSource, Availability, ConnectorType, Lock, OfferedBy, StopCause};
    use busbar_interfaces::{BoottimeMillis, Milliamperes, Millivolts, UnixMillis};
    use std::collections::BTreeSet;

    pub fn session(status: ConnectorStatus, transaction: u64) -> SessionConnectorState {
        SessionConnectorState {
            status,
            availability: Availability::Operative,
            availability_is_scheduled: false,
            status_since_unix_millis: UnixMillis(0),
            fault_code: String::new(),
            transaction: TransactionId(transaction),
            authorized_by: AuthorizationSource::Csms,
            last_transaction: TransactionId(0),
            started_unix_millis: UnixMillis(0),
            energy_milliwatt_hours: MilliwattHours(12_345_678),
            last_stop_reason: StopReason::Local,
        }
    }

    pub fn power(plug: Plug, phase: Phase, milliamperes: u32) -> PowerConnectorState {
        PowerConnectorState {
            connector_type: ConnectorType::Ccs2,
            rated_watts: Watts(180_000),
            plug,
            phase,
            delivery: TransactionId(0),
            ended_delivery: TransactionId(0),
            stop_cause: StopCause::None,
            vehicle_id: String::new(),
            state_of_charge_percent: Percent(41),
            requested_millivolts: Millivolts(0),
            requested_milliamperes: Milliamperes(0),
            output_millivolts: Millivolts(400_000),
            output_milliamperes: Milliamperes(milliamperes),
            limit_watts: Watts::NO_LIMIT,
            offered_watts: Watts(180_000),
            offered_by: OfferedBy::StationRating,
            offered_since_boottime_millis: BoottimeMillis(0),
            modules_joined: 1,
            lock: Lock::None,
            plug_celsius: busbar_interfaces::power::CELSIUS_UNKNOWN,
            sampled_boottime_millis: BoottimeMillis(0),
        }
    }

    #[test]
    fn each_step_of_a_charge_has_its_screen() {
        for (status, transaction, plug, phase, expected) in [
            (ConnectorStatus::Available, 0, Plug::Unplugged, Phase::Idle, Screen::Welcome),
            (ConnectorStatus::Preparing, 0, Plug::Unplugged, Phase::Idle, Screen::Welcome),
            (ConnectorStatus::Preparing, 0, Plug::Plugged, Phase::Idle, Screen::PresentBadge),
            (ConnectorStatus::Preparing, 7, Plug::Plugged, Phase::Idle, Screen::Preparing),
            (ConnectorStatus::Charging, 7, Plug::Plugged, Phase::CableCheck, Screen::Preparing),
            (ConnectorStatus::Charging, 7, Plug::Plugged, Phase::Delivering, Screen::Charging),
            (ConnectorStatus::SuspendedEv, 7, Plug::Plugged, Phase::Delivering, Screen::Paused),
            (ConnectorStatus::Finishing, 0, Plug::Plugged, Phase::Idle, Screen::Receipt),
            (ConnectorStatus::Faulted, 0, Plug::Unplugged, Phase::Idle, Screen::OutOfService),
            (ConnectorStatus::Unknown, 0, Plug::Unplugged, Phase::Idle, Screen::OutOfService),
        ] {
            let shown = screen(Some(&session(status, transaction)), Some(&power(plug, phase, 0)), false, None, None);
            assert_eq!(shown.screen, expected, "{status} {phase}");
            assert!(!shown.message.is_empty());
        }
    }

    #[test]
    fn tc_046_1_a_reserved_connector_says_so_until_its_driver_charges() {
        const FREE: &str = "Reserved. If it is for you, plug in your vehicle, then show your badge.";
        for (status, transaction, plug, is_reserved, expected, message) in [
            (ConnectorStatus::Reserved, 0, Plug::Unplugged, true, Screen::Welcome, FREE),
            // Session and power are not heard in the same moment.
            (ConnectorStatus::Reserved, 0, Plug::Unplugged, false, Screen::Welcome, FREE),
            (ConnectorStatus::Reserved, 0, Plug::Plugged, true, Screen::PresentBadge, RESERVED),
            (ConnectorStatus::Preparing, 0, Plug::Plugged, true, Screen::PresentBadge, RESERVED),
            (ConnectorStatus::Preparing, 0, Plug::Plugged, false, Screen::PresentBadge, "Please show your badge."),
            // Its driver is accepted from afar, or has begun.
            (ConnectorStatus::Preparing, 0, Plug::Unplugged, true, Screen::Welcome, "Please plug in your vehicle."),
            (ConnectorStatus::Preparing, 7, Plug::Plugged, true, Screen::Preparing, "Your charge is being prepared."),
            (
                ConnectorStatus::Available,
                0,
                Plug::Unplugged,
                false,
                Screen::Welcome,
                "Welcome. Please plug in your vehicle.",
            ),
        ] {
            let (session, power) = (session(status, transaction), power(plug, Phase::Idle, 0));
            let shown = screen(Some(&session), Some(&power), is_reserved, None, None);
            assert_eq!((shown.screen, shown.message.as_str()), (expected, message), "{status} {plug} {is_reserved}");
        }
        let unheard = screen(Some(&session(ConnectorStatus::Reserved, 0)), None, true, None, None);
        assert_eq!((unheard.screen, unheard.message.as_str()), (Screen::Welcome, FREE), "power is away");
    }

    #[test]
    fn case_5_a_charge_that_stands_still_promises_nothing() {
        for (status, plug, said) in [
            (ConnectorStatus::SuspendedEv, Plug::Plugged, "Your vehicle takes no power now."),
            (ConnectorStatus::SuspendedEv, Plug::Unplugged, "Your vehicle is not plugged in."),
            (ConnectorStatus::SuspendedEvse, Plug::Plugged, "The station gives no power now."),
        ] {
            let shown = screen(Some(&session(status, 7)), Some(&power(plug, Phase::Idle, 0)), false, None, None);
            assert_eq!((shown.screen, shown.message), (Screen::Paused, format!("{said} Show your badge to stop.")));
        }
    }

    #[test]
    fn every_status_has_a_screen_and_every_outcome_of_a_badge_a_text_of_its_own() {
        for status in ConnectorStatus::KNOWN.iter().chain(&[ConnectorStatus::Unknown]) {
            let shown = screen(Some(&session(*status, 0)), None, false, None, None);
            let out = [ConnectorStatus::Unavailable, ConnectorStatus::Faulted, ConnectorStatus::Unknown];
            assert_eq!(shown.screen == Screen::OutOfService, out.contains(status), "{status}: {}", shown.message);
        }
        let texts: BTreeSet<&str> = BadgeOutcome::KNOWN.iter().map(|known| outcome(*known, false)).collect();
        assert_eq!(texts.len(), BadgeOutcome::KNOWN.len());
        for known in BadgeOutcome::KNOWN {
            let differs = outcome(*known, true) != outcome(*known, false);
            assert_eq!(differs, *known == BadgeOutcome::Refused, "{known}");
        }
        assert_eq!(outcome(BadgeOutcome::Unknown, true), TRY_AGAIN);
    }

    #[test]
    fn numbers_are_shown_while_they_mean_something() {
        let charging = screen(
            Some(&session(ConnectorStatus::Charging, 7)),
            Some(&power(Plug::Plugged, Phase::Delivering, 100_000)),
            false,
            None,
            None,
        );
        assert_eq!((charging.watts, charging.state_of_charge_percent), (Watts(40_000), Percent(41)));
        let welcome = screen(
            Some(&session(ConnectorStatus::Available, 0)),
            Some(&power(Plug::Unplugged, Phase::Idle, 100_000)),
            false,
            None,
            None,
        );
        assert_eq!((welcome.watts, welcome.state_of_charge_percent), (Watts(0), Percent::UNKNOWN));
        assert_eq!(welcome.energy_milliwatt_hours, MilliwattHours(0));
    }

    #[test]
    fn a_receipt_tells_the_energy_and_an_unusual_cause() {
        let mut over = session(ConnectorStatus::Finishing, 0);
        assert_eq!(
            screen(Some(&over), None, false, None, None).message,
            "Thank you. 12.34 kWh. Please unplug your vehicle."
        );
        over.last_stop_reason = StopReason::EmergencyStop;
        assert!(screen(Some(&over), None, false, None, None).message.starts_with("The emergency stop"));
        for reset in [StopReason::SoftReset, StopReason::HardReset] {
            over.last_stop_reason = reset;
            assert!(screen(Some(&over), None, false, None, None).message.starts_with("The station had to restart"));
        }
    }

    #[test]
    fn a_notice_takes_the_line_and_leaves_the_screen() {
        let shown = screen(Some(&session(ConnectorStatus::Available, 0)), None, false, Some("hello"), None);
        assert_eq!((shown.screen, shown.message.as_str()), (Screen::Welcome, "hello"));
        assert_eq!(screen(None, None, false, None, None).screen, Screen::OutOfService);
    }
}
