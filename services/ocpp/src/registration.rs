//! Whether the CSMS has accepted the station, when BootNotification is due, and when the next heartbeat is. A station
//! that was accepted in this run of the machine does not introduce itself again: a CSMS would take a BootNotification
//! in the middle of a charge for a reboot.

use crate::configuration::Target;
use crate::record::Record;
use busbar_interfaces::BoottimeMillis;
use busbar_interfaces::words;
use busbar_ocpp16::confirmation::{BootNotification as BootAnswer, RegistrationStatus as BootStatus};
use std::time::Duration;

/// After an answer that is none, and after an interval of zero.
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// A CSMS that asks for a longer wait gets a BootNotification a day all the same.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// What the CSMS allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has not said.
    Unknown,
    /// Its own requests are answered, nothing else.
    Pending,
    /// Silence.
    Rejected,
    /// Everything.
    Accepted,
}

impl From<Standing> for words::Registration {
    fn from(standing: Standing) -> words::Registration {
        match standing {
            Standing::Unknown => words::Registration::Unknown,
            Standing::Pending => words::Registration::Pending,
            Standing::Rejected => words::Registration::Rejected,
            Standing::Accepted => words::Registration::Accepted,
        }
    }
}

/// The standing with the present CSMS.
pub struct Registration {
    /// What outlives the process; `told` is kept elsewhere.
    record: Record,
    standing: Standing,
    ask_at: BoottimeMillis,
    /// When the last heartbeat was sent, or else the station accepted.
    heartbeat: BoottimeMillis,
    /// What is known of the CSMS before this one, until this one has accepted the station.
    previous: Option<Record>,
    /// HeartbeatInterval as it was followed last.
    heartbeat_key: Option<Duration>,
    /// A heartbeat is due whatever the interval: somebody wants to see the CSMS answer.
    heartbeat_now: bool,
    /// A BootNotification is due although the CSMS has accepted the station: it has asked for one.
    boot_now: bool,
}

impl Registration {
    /// With what the record of this run of the machine says.
    pub fn new(record: Record) -> Registration {
        Registration {
            record,
            standing: Standing::Unknown,
            ask_at: BoottimeMillis(0),
            heartbeat: BoottimeMillis(0),
            previous: None,
            heartbeat_key: None,
            heartbeat_now: false,
            boot_now: false,
        }
    }

    /// The part of the record that this file keeps.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The station's standing, if there is a link.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// The CSMS that the record is to be about; tells whether it is another one, which knows nothing yet.
    pub fn at(&mut self, now: BoottimeMillis, target: &Target) -> bool {
        if self.record.url == target.shown_url && self.record.identity == target.identity {
            return false;
        }
        // Back at a CSMS that has accepted the station: in the middle of a charge it must not be told of a boot.
        let is_back = |known: &mut Record| known.url == target.shown_url && known.identity == target.identity;
        let next = self.previous.take_if(is_back).unwrap_or_else(|| Record {
            url: target.shown_url.clone(),
            identity: target.identity.clone(),
            ..Record::default()
        });
        let before = std::mem::replace(&mut self.record, next);
        if before.accepted {
            self.previous = Some(before);
        }
        self.standing = if self.record.accepted { Standing::Accepted } else { Standing::Unknown };
        self.ask_at = now;
        true
    }

    /// The key HeartbeatInterval; a change of it overrides what the CSMS said at registration.
    pub fn heartbeat_key(&mut self, interval: Duration) {
        if self.heartbeat_key.is_some_and(|before| before != interval) {
            self.record.interval_seconds = None;
        }
        self.heartbeat_key = Some(interval);
    }

    /// The CSMS has changed HeartbeatInterval, perhaps to the value that it had: that is what holds now.
    pub fn heartbeat_ordered(&mut self) {
        self.record.interval_seconds = None;
    }

    /// The link is open. An interval that the CSMS asked to wait goes on over a new link. With `prove` the CSMS is
    /// asked for a sign of life at once.
    pub fn opened(&mut self, now: BoottimeMillis, prove: bool) {
        self.heartbeat_now = prove;
        if self.record.accepted {
            self.standing = Standing::Accepted;
            self.heartbeat = now;
        }
    }

    /// The CSMS asks for a BootNotification.
    pub fn boot_now(&mut self, now: BoottimeMillis) {
        self.ask_at = now;
        self.boot_now = true;
    }

    /// BootNotification is due.
    pub fn boot_due(&self, now: BoottimeMillis) -> bool {
        (self.boot_now || self.standing != Standing::Accepted) && self.ask_at <= now
    }

    /// The CSMS has answered BootNotification.
    pub fn booted(&mut self, now: BoottimeMillis, answer: BootAnswer) {
        let interval = Duration::from_secs(answer.interval_seconds);
        let wait = if interval.is_zero() { ASK_AGAIN } else { interval.min(LONGEST_WAIT) };
        self.ask_at = now.after(wait);
        self.boot_now = false;
        self.heartbeat_now = false;
        self.standing = match answer.status {
            BootStatus::Accepted => Standing::Accepted,
            BootStatus::Pending => Standing::Pending,
            BootStatus::Rejected => Standing::Rejected,
        };
        let accepted = answer.status == BootStatus::Accepted;
        // Also a station that was accepted before is not any more: over the next link it asks again.
        self.record.accepted = accepted;
        self.record.interval_seconds = Some(answer.interval_seconds).filter(|interval| accepted && *interval > 0);
        if accepted {
            self.heartbeat = now;
            self.previous = None;
        }
        tracing::info!(standing = ?self.standing, interval_seconds = answer.interval_seconds, "the CSMS has answered");
    }

    /// The CSMS has not answered BootNotification, or not so that it can be understood.
    pub fn not_booted(&mut self, now: BoottimeMillis) {
        self.ask_at = now.after(ASK_AGAIN);
        self.boot_now = false;
    }

    /// A heartbeat is due.
    pub fn heartbeat_due(&self, now: BoottimeMillis) -> bool {
        self.heartbeat_now || self.next_heartbeat().is_some_and(|moment| moment <= now)
    }

    /// A heartbeat was sent.
    pub fn heartbeat_sent(&mut self, now: BoottimeMillis) {
        self.heartbeat = now;
        self.heartbeat_now = false;
    }

    /// When something of this is due.
    pub fn next_due(&self) -> Option<BoottimeMillis> {
        if self.standing == Standing::Accepted { self.next_heartbeat() } else { Some(self.ask_at) }
    }

    fn next_heartbeat(&self) -> Option<BoottimeMillis> {
        let from_record = self.record.interval_seconds.map(Duration::from_secs);
        let interval = from_record.or(self.heartbeat_key).unwrap_or(Duration::from_secs(60));
        (!interval.is_zero()).then(|| self.heartbeat.after(interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Target {
        Target {
            addresses: vec!["ws://csms/CP1".parse().expect("a URL")],
            shown_url: url.to_owned(),
            identity: "CP1".to_owned(),
            security_profile: 0,
            password: None,
        }
    }

    fn answer(status: BootStatus, interval_seconds: u64) -> BootAnswer {
        BootAnswer { status, interval_seconds, current_unix_millis: None }
    }

    const NOW: BoottimeMillis = BoottimeMillis(1_000_000);

    fn later(seconds: u64) -> BoottimeMillis {
        NOW.after(Duration::from_secs(seconds))
    }

    fn registration() -> Registration {
        let mut registration = Registration::new(Record::default());
        assert!(registration.at(NOW, &target("ws://csms/")));
        registration.opened(NOW, false);
        assert!(registration.boot_due(NOW));
        registration
    }

    #[test]
    fn a_station_that_is_not_accepted_waits_the_interval_also_over_a_new_link() {
        for (status, interval, wait) in [
            (BootStatus::Pending, 30, 30),
            (BootStatus::Rejected, 300, 300),
            (BootStatus::Rejected, 0, 10),
            (BootStatus::Pending, 400_000_000, 86_400),
        ] {
            let mut registration = registration();
            registration.booted(NOW, answer(status, interval));
            registration.opened(later(1), false);
            assert_ne!(registration.standing(), Standing::Accepted);
            assert!(!registration.boot_due(later(wait - 1)));
            assert!(registration.boot_due(later(wait)));
            assert_eq!(registration.next_due(), Some(later(wait)));
        }
    }

    #[test]
    fn an_accepted_station_does_not_introduce_itself_again_over_links_and_processes() {
        let mut first = registration();
        first.booted(NOW, answer(BootStatus::Accepted, 300));
        first.opened(later(5), false);
        assert!(!first.boot_due(later(100_000)));
        let mut second = Registration::new(first.record().clone());
        assert!(!second.at(NOW, &target("ws://csms/")));
        second.opened(NOW, false);
        assert_eq!(second.standing(), Standing::Accepted);
        assert!(second.heartbeat_due(later(300)) && !second.heartbeat_due(later(299)));
        assert!(second.at(NOW, &target("ws://other/")));
        second.opened(NOW, false);
        assert!(second.boot_due(NOW) && !second.record().accepted);
    }

    #[test]
    fn heartbeats_follow_the_answer_until_the_key_changes() {
        let mut registration = registration();
        registration.heartbeat_key(Duration::from_secs(60));
        registration.booted(NOW, answer(BootStatus::Accepted, 300));
        assert_eq!(registration.next_due(), Some(later(300)));
        registration.heartbeat_key(Duration::from_secs(60));
        assert_eq!(registration.next_due(), Some(later(300)));
        registration.heartbeat_key(Duration::from_secs(90));
        assert_eq!(registration.next_due(), Some(later(90)));
        registration.heartbeat_key(Duration::ZERO);
        assert_eq!(registration.next_due(), None);
    }

    #[test]
    fn an_interval_of_zero_leaves_the_key() {
        let mut registration = registration();
        registration.heartbeat_key(Duration::from_secs(60));
        registration.booted(NOW, answer(BootStatus::Accepted, 0));
        assert_eq!(registration.next_due(), Some(later(60)));
    }
}
