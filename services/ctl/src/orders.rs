//! Orders to the station: in and out of service, reservations, the cache, restart.

use crate::arguments::{CacheCommand, ReservationCommand, ResetKind, Service};
use crate::failure::Failure;
use crate::output::print_line;
use busbar_interfaces::maintenance::MaintenanceProxy;
use busbar_interfaces::session::SessionProxy;
use busbar_interfaces::words::{Availability, AvailabilityVerdict, KeyOrigin, Verdict};
use busbar_interfaces::{BoottimeMillis, ConnectorId, ReservationId};
use busbar_runtime::Clock;
use busbar_runtime::bus::REQUEST_VALIDITY;
use zbus::Connection;

/// Orders a connector, or with 0 the station, in or out of service.
pub async fn availability(bus: &Connection, connector: u32, service: Service) -> Result<(), Failure> {
    let availability = match service {
        Service::Operative => Availability::Operative,
        Service::Inoperative => Availability::Inoperative,
    };
    let session = SessionProxy::new(bus).await?;
    let verdict =
        session.set_availability(ConnectorId(connector), availability, KeyOrigin::Engineer, valid_until()).await?;
    print_line(&ordered(connector, availability, verdict)?)
}

fn ordered(connector: u32, availability: Availability, verdict: AvailabilityVerdict) -> Result<String, Failure> {
    let (what, whose) = match connector {
        0 => ("the station".to_owned(), "the running transactions are"),
        _ => (format!("connector {connector}"), "its transaction is"),
    };
    let place = if availability == Availability::Operative { "in service" } else { "out of service" };
    match verdict {
        AvailabilityVerdict::Accepted => Ok(format!("accepted: {what} is {place}")),
        AvailabilityVerdict::Scheduled => Ok(format!("scheduled: {what} is {place} when {whose} over")),
        AvailabilityVerdict::Rejected => Err(Failure::Refused(format!(
            "rejected: there is no {what}; `busbarctl status` shows the connectors, 0 is the whole station"
        ))),
        AvailabilityVerdict::Unknown => Err(unknown_answer(&what)),
    }
}

/// Works on what is reserved.
pub async fn reservation(bus: &Connection, command: &ReservationCommand) -> Result<(), Failure> {
    let ReservationCommand::Cancel { number } = *command;
    let session = SessionProxy::new(bus).await?;
    let verdict = session.cancel_reservation(ReservationId(number), valid_until()).await?;
    print_line(&cancelled(number, verdict)?)
}

fn cancelled(number: i32, verdict: Verdict) -> Result<String, Failure> {
    match verdict {
        Verdict::Accepted => Ok(format!("accepted: reservation {number} is over")),
        Verdict::Rejected => Err(Failure::Refused(format!(
            "rejected: there is no reservation {number}; `busbarctl status` shows what is reserved"
        ))),
        Verdict::Unknown => Err(unknown_answer(&format!("reservation {number}"))),
    }
}

/// Works on the authorization cache.
pub async fn cache(bus: &Connection, command: &CacheCommand) -> Result<(), Failure> {
    let CacheCommand::Clear = command;
    let verdict = SessionProxy::new(bus).await?.clear_cache(valid_until()).await?;
    print_line(&cleared(verdict)?)
}

fn cleared(verdict: Verdict) -> Result<String, Failure> {
    match verdict {
        Verdict::Accepted => Ok("accepted: the cache is empty; the local list stays".to_owned()),
        Verdict::Rejected => Err(Failure::Refused(
            "rejected: the cache is switched off, and empty; `busbarctl settings explain AuthorizationCacheEnabled` says \
             by whom"
                .to_owned(),
        )),
        Verdict::Unknown => Err(unknown_answer("the cache")),
    }
}

/// From when on nobody waits for the answer any more.
fn valid_until() -> BoottimeMillis {
    Clock::system().now().boottime.after(REQUEST_VALIDITY)
}

fn unknown_answer(what: &str) -> Failure {
    Failure::Refused(format!("{what}: the answer is not known to this version of busbarctl"))
}

/// Restarts the station.
pub async fn reset(bus: &Connection, kind: ResetKind) -> Result<(), Failure> {
    MaintenanceProxy::new(bus).await?.reset(kind == ResetKind::Hard).await?;
    print_line(match kind {
        ResetKind::Soft => {
            "ordered: the station ends its charges, tells the CSMS what it has not told yet, and restarts"
        }
        ResetKind::Hard => "ordered: the station ends its charges and restarts without waiting for the CSMS",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_on_an_order_is_said_in_words() {
        use AvailabilityVerdict::{Accepted, Rejected, Scheduled, Unknown};
        let said = |connector, availability, verdict| ordered(connector, availability, verdict).expect("done");
        assert_eq!(said(1, Availability::Operative, Accepted), "accepted: connector 1 is in service");
        assert_eq!(
            said(2, Availability::Inoperative, Scheduled),
            "scheduled: connector 2 is out of service when its transaction is over"
        );
        assert_eq!(
            said(0, Availability::Inoperative, Scheduled),
            "scheduled: the station is out of service when the running transactions are over"
        );
        for verdict in [Rejected, Unknown] {
            assert_eq!(ordered(7, Availability::Operative, verdict).expect_err("refused").code(), 1);
        }
    }

    #[test]
    fn tc_052_the_verdict_on_a_cancellation_or_a_clearing_names_the_remedy() {
        assert_eq!(cancelled(-7, Verdict::Accepted).expect("done"), "accepted: reservation -7 is over");
        assert_eq!(cleared(Verdict::Accepted).expect("done"), "accepted: the cache is empty; the local list stays");
        for (refused, remedy) in [
            (cancelled(12, Verdict::Rejected), "there is no reservation 12; `busbarctl status`"),
            (cancelled(12, Verdict::Unknown), "reservation 12: the answer is not known"),
            (cleared(Verdict::Rejected), "`busbarctl settings explain AuthorizationCacheEnabled`"),
            (cleared(Verdict::Unknown), "the cache: the answer is not known"),
        ] {
            let refused = refused.expect_err("refused");
            assert!(refused.code() == 1 && refused.to_string().contains(remedy), "{refused}");
        }
    }
}
