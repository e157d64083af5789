//! The link to the CSMS in words: its state, its reasons, what goes over it; and a vendor's message to the CSMS.

use crate::arguments::{DataTransferArguments, OcppCommand};
use crate::failure::Failure;
use crate::output::{print, print_json};
use crate::queue::waiting;
use crate::table::{item, table};
use crate::words::{bytes, count, lines, since, span};
use crate::{traffic_log, words};
use busbar_interfaces::ocpp::{ActionCount, OcppProxy, OcppState, TrafficState};
use busbar_interfaces::words::{DataTransferStatus, Link, Registration};
use busbar_interfaces::{Condition, names};
use busbar_runtime::object::fetch;
use busbar_runtime::{Clock, Moment};
use serde::Serialize;
use zbus::Connection;

/// Carries out one command; none shows the link.
pub async fn run(bus: &Connection, json: bool, command: Option<OcppCommand>) -> Result<(), Failure> {
    match command {
        Some(_) if json => Err(Failure::Usage("--json is for `busbarctl ocpp --json` alone".to_owned())),
        None => {
            let state = fetch(bus, names::OCPP, names::OCPP.root).await?;
            let traffic = fetch(bus, names::OCPP, names::OCPP.root).await?;
            let report = Report::new(state, traffic);
            if json { print_json(&report) } else { print(&report.to_text(Clock::system().now())) }
        }
        Some(OcppCommand::Log { follow, lines }) => {
            let traffic: TrafficState = fetch(bus, names::OCPP, names::OCPP.root).await?;
            traffic_log::show(&traffic.log_file, lines, follow).await
        }
        Some(OcppCommand::DataTransfer(message)) => data_transfer(bus, message).await,
    }
}

async fn data_transfer(bus: &Connection, message: DataTransferArguments) -> Result<(), Failure> {
    let ocpp = OcppProxy::new(bus).await?;
    let (id, data) = (message.message.unwrap_or_default(), message.data.unwrap_or_default());
    let (status, data) = ocpp.data_transfer(&message.vendor, &id, &data).await?;
    print(&answer(status, &data))?;
    match status {
        DataTransferStatus::Accepted => Ok(()),
        _ => Err(Failure::Refused(format!("the CSMS has not taken the message: {status}"))),
    }
}

fn answer(status: DataTransferStatus, data: &str) -> String {
    if data.is_empty() { format!("{status}\n") } else { format!("{status}\n{}\n", lines(data)) }
}

/// All that `ocpp` publishes. The names are those of its properties in another spelling.
#[derive(Debug, Serialize)]
pub struct Report {
    link: Link,
    link_since_unix_millis: u64,
    link_reason: String,
    next_attempt_boottime_millis: u64,
    registration: Registration,
    central_system_url: String,
    identity: String,
    security_profile: u32,
    is_trial: bool,
    confirmed_event: u64,
    undelivered_events: u32,
    conditions: Vec<Condition>,
    traffic: Traffic,
}

#[derive(Debug, Serialize)]
struct Traffic {
    log_file: String,
    last_frame: u64,
    bytes_received: u64,
    bytes_sent: u64,
    in_flight_action: String,
    in_flight_boottime_millis: u64,
    round_trip_millis: u32,
    waiting_events: u64,
    oldest_event_unix_millis: u64,
    ignored_frames: u64,
    actions: Vec<ActionCount>,
}

impl Report {
    /// The two objects' states as one.
    pub fn new(state: OcppState, traffic: TrafficState) -> Report {
        Report {
            link: state.link,
            link_since_unix_millis: state.link_since_unix_millis.0,
            link_reason: state.link_reason,
            next_attempt_boottime_millis: state.next_attempt_boottime_millis.0,
            registration: state.registration,
            central_system_url: state.central_system_url,
            identity: state.identity,
            security_profile: state.security_profile,
            is_trial: state.is_trial,
            confirmed_event: state.confirmed_event,
            undelivered_events: state.undelivered_events,
            conditions: state.conditions,
            traffic: Traffic {
                log_file: traffic.log_file,
                last_frame: traffic.last_frame,
                bytes_received: traffic.bytes_received,
                bytes_sent: traffic.bytes_sent,
                in_flight_action: traffic.in_flight_action,
                in_flight_boottime_millis: traffic.in_flight_boottime_millis.0,
                round_trip_millis: traffic.round_trip_millis,
                waiting_events: traffic.waiting_events,
                oldest_event_unix_millis: traffic.oldest_event_unix_millis.0,
                ignored_frames: traffic.ignored_frames,
                actions: traffic.actions,
            },
        }
    }

    /// The report as a technician reads it in a terminal.
    pub fn to_text(&self, now: Moment) -> String {
        self.about_the_link(now) + &self.about_the_traffic(now)
    }

    fn about_the_link(&self, now: Moment) -> String {
        let link_since = since(busbar_interfaces::UnixMillis(self.link_since_unix_millis), now.unix);
        let mut text = item("link", &format!("{}, since {link_since}", link(self.link)));
        if !self.link_reason.is_empty() {
            let label = if is_up(self.link) { "ended before" } else { "why" };
            text += &item(label, &self.link_reason);
        }
        if !is_up(self.link) {
            text += &item("next attempt", &next_attempt(self.next_attempt_boottime_millis, now));
        }
        text += &item("registration", registration(self.registration));
        text += &item("address", or(&self.central_system_url, "none is set"));
        text += &item("identity", or(&self.identity, "none is set"));
        text += &item("security", &security(self.security_profile));
        if self.is_trial {
            text += &item("trial", "these settings are new and have not brought the station to the CSMS yet");
        }
        for condition in &self.conditions {
            text += &item("wrong", &format!("{}: {}", condition.code, condition.detail));
        }
        text
    }

    fn about_the_traffic(&self, now: Moment) -> String {
        let traffic = &self.traffic;
        let in_flight = match traffic.in_flight_boottime_millis {
            0 => "nothing".to_owned(),
            at => format!("{} for {}", traffic.in_flight_action, span(now.boottime.0.saturating_sub(at))),
        };
        let round_trip = match traffic.round_trip_millis {
            0 => "not known yet".to_owned(),
            millis => span(millis.into()),
        };
        let undelivered = match self.undelivered_events {
            0 => "none".to_owned(),
            many => format!("{}; `busbarctl queue` shows them", count(many.into(), "event", "events")),
        };
        let oldest = busbar_interfaces::UnixMillis(traffic.oldest_event_unix_millis);
        let moved = format!("{} received, {} sent", bytes(traffic.bytes_received), bytes(traffic.bytes_sent));
        let mut text = item("in flight", &in_flight)
            + &item("round trip", &round_trip)
            + &item("waiting", &waiting(traffic.waiting_events, oldest, now.unix))
            + &item("confirmed", &format!("up to event {} of the journal", self.confirmed_event))
            + &item("undelivered", &undelivered)
            + &item("moved", &moved)
            + &item("last frame", &format!("{} in {}", traffic.last_frame, or(&traffic.log_file, "no log")))
            + &item("ignored", &count(traffic.ignored_frames, "frame that made no sense", "frames that made no sense"));
        if !traffic.actions.is_empty() {
            text += "\n";
            text += &actions(&traffic.actions);
        }
        text
    }
}

fn actions(actions: &[ActionCount]) -> String {
    let row = |count: &ActionCount| {
        let numbers = [count.sent, count.answered, count.refused, count.received, count.faulted];
        let [sent, answered, refused, received, faulted] = numbers.map(|number| number.to_string());
        [count.action.clone(), sent, answered, refused, received, faulted]
    };
    let mut rows: Vec<_> = actions.iter().map(row).collect();
    rows.sort();
    table(["action", "sent", "answered", "refused", "received", "faulted"], &rows)
}

fn is_up(link: Link) -> bool {
    matches!(link, Link::Registering | Link::Accepted)
}

fn link(link: Link) -> &'static str {
    match link {
        Link::Unconfigured => "unconfigured: SupervisionUrl or BoxIdentifier is not set",
        Link::Disconnected => "disconnected",
        Link::Registering => "registering: connected, the CSMS has not accepted the station",
        Link::Accepted => "accepted: the CSMS has accepted the station",
        Link::Unknown => "not known to this version of busbarctl",
    }
}

/// What the CSMS has said to the last BootNotification.
pub fn registration(registration: Registration) -> &'static str {
    match registration {
        Registration::Accepted => "accepted",
        Registration::Pending => "pending: the CSMS wants to set something first",
        Registration::Rejected => "rejected: the CSMS does not want this station now",
        Registration::Unknown => "the CSMS has not said yet",
    }
}

/// When the next attempt is made.
pub fn next_attempt(at: u64, now: Moment) -> String {
    match at.saturating_sub(now.boottime.0) {
        _ if at == 0 => "none is planned".to_owned(),
        0 => "now".to_owned(),
        // A wait of 400 ms is not a wait of 0 s.
        wait => format!("in {}", words::span(wait.div_ceil(1000).saturating_mul(1000))),
    }
}

fn security(profile: u32) -> String {
    let what = match profile {
        0 => "plain, without a password",
        1 => "plain, with a password",
        2 => "TLS with a password",
        3 => "TLS with a certificate of the station",
        _ => "not known to this version of busbarctl",
    };
    format!("profile {profile}: {what}")
}

fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use busbar_interfaces::{BoottimeMillis, ConnectorId, UnixMillis};

    pub const NOW: Moment = Moment { boottime: BoottimeMillis(100_000), unix: UnixMillis(1_767_225_785_000) };

    pub fn down() -> OcppState {
        OcppState {
            link: Link::Disconnected,
            link_since_unix_millis: UnixMillis(1_767_225_600_000),
            link_reason: "csms.example: connection refused".to_owned(),
            next_attempt_boottime_millis: BoottimeMillis(103_200),
            registration: Registration::Accepted,
            central_system_url: "wss://csms.example/ocpp".to_owned(),
            identity: "CP-1".to_owned(),
            security_profile: 2,
            is_trial: true,
            confirmed_event: 99,
            undelivered_events: 2,
            conditions: vec![Condition {
                code: "0x1".to_owned(),
                connector: ConnectorId(0),
                detail: "the disk is full".to_owned(),
            }],
        }
    }

    fn busy() -> TrafficState {
        TrafficState {
            log_file: "/var/lib/busbar-ocpp/traffic.jsonl".to_owned(),
            last_frame: 1234,
            bytes_received: 512,
            bytes_sent: 20_480,
            in_flight_action: "StartTransaction".to_owned(),
            in_flight_boottime_millis: BoottimeMillis(98_500),
            round_trip_millis: 42,
            waiting_events: 3,
            oldest_event_unix_millis: UnixMillis(1_767_225_600_000),
            ignored_frames: 1,
            actions: vec![
                ActionCount {
                    action: "StatusNotification".to_owned(),
                    sent: 12,
                    answered: 11,
                    ..ActionCount::default()
                },
                ActionCount {
                    action: "GetConfiguration".to_owned(),
                    received: 3,
                    faulted: 1,
                    ..ActionCount::default()
                },
            ],
        }
    }

    #[test]
    fn case_b31_a_link_that_is_down_says_since_when_why_and_when_it_is_tried_again() {
        assert_eq!(
            Report::new(down(), busy()).to_text(NOW),
            "link             disconnected, since 2026-01-01T00:00:00Z (3 min 5 s ago)\n\
             why              csms.example: connection refused\n\
             next attempt     in 4 s\n\
             registration     accepted\n\
             address          wss://csms.example/ocpp\n\
             identity         CP-1\n\
             security         profile 2: TLS with a password\n\
             trial            these settings are new and have not brought the station to the CSMS yet\n\
             wrong            0x1: the disk is full\n\
             in flight        StartTransaction for 1 s\n\
             round trip       42 ms\n\
             waiting          3 events, the oldest of 2026-01-01T00:00:00Z (3 min 5 s ago)\n\
             confirmed        up to event 99 of the journal\n\
             undelivered      2 events; `busbarctl queue` shows them\n\
             moved            512 bytes received, 20 KiB sent\n\
             last frame       1234 in /var/lib/busbar-ocpp/traffic.jsonl\n\
             ignored          1 frame that made no sense\n\
             \n\
             action              sent  answered  refused  received  faulted\n\
             GetConfiguration       0         0        0         3        1\n\
             StatusNotification    12        11        0         0        0\n"
        );
    }

    #[test]
    fn a_link_that_is_up_plans_no_attempt_and_remembers_why_the_last_one_ended() {
        let state = OcppState {
            link: Link::Accepted,
            next_attempt_boottime_millis: BoottimeMillis(0),
            is_trial: false,
            undelivered_events: 0,
            conditions: Vec::new(),
            ..down()
        };
        let text = Report::new(state, TrafficState::default()).to_text(NOW);
        assert!(text.contains("ended before     csms.example: connection refused"), "{text}");
        assert!(text.contains("in flight        nothing\n") && text.contains("undelivered      none\n"), "{text}");
        for absent in ["next attempt", "trial", "wrong", "action"] {
            assert!(!text.contains(absent), "{absent}: {text}");
        }
    }

    #[test]
    fn the_next_attempt_is_rounded_up() {
        for (at, text) in
            [(0, "none is planned"), (99_000, "now"), (100_000, "now"), (100_400, "in 1 s"), (190_000, "in 1 min 30 s")]
        {
            assert_eq!(next_attempt(at, NOW), text);
        }
    }

    #[test]
    fn the_report_as_json_has_every_property() {
        let value = serde_json::to_value(Report::new(down(), busy())).expect("JSON");
        assert_eq!((&value["link"], &value["is_trial"]), (&"disconnected".into(), &true.into()));
        assert_eq!(value["traffic"]["actions"][0]["sent"], 12);
        for (object, properties) in [
            (&value, busbar_runtime::object::properties(&down()).expect("properties")),
            (&value["traffic"], busbar_runtime::object::properties(&busy()).expect("properties")),
        ] {
            let has = |name: &str| object.get(snake(name)).is_some();
            assert!(properties.keys().all(|name| has(name)), "{object}");
        }
    }

    fn snake(name: &str) -> String {
        let words = name.chars().flat_map(|letter| {
            let gap = letter.is_uppercase().then_some('_');
            gap.into_iter().chain(letter.to_lowercase())
        });
        words.collect::<String>().trim_start_matches('_').to_owned()
    }

    #[test]
    fn the_answer_to_a_vendors_message_is_its_status_and_its_data() {
        assert_eq!(answer(DataTransferStatus::Accepted, ""), "accepted\n");
        assert_eq!(answer(DataTransferStatus::Rejected, "{\"a\":\n1}\u{1b}"), "rejected\n{\"a\":\n1}\\u{1b}\n");
    }
}
