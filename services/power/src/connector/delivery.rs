//! A delivery: how one is asked for, renewed, limited and ended.

use super::reasons::{Meaning, Reason, Stop};
use super::{Connector, Seen, contactors};
use crate::figures::EMERGENCY_TIME;
use crate::vehicle::advantics::BoardStatus;
use busbar_interfaces::words::{ConnectorType, Phase, StopCause};
use busbar_interfaces::{BoottimeMillis, CallError, ConnectorId, Milliamperes, TransactionId, Watts};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How far the cable check has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum CableCheck {
    /// The test voltage has not been reached.
    Open,
    /// It has been.
    Reached,
    /// And the output was dead again: the precharge may begin.
    Emptied,
}

/// A delivery; number 0 is what was found closed at the start without a record, and is only ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Delivery {
    pub(super) id: TransactionId,
    pub(super) lease_until: BoottimeMillis,
    pub(super) began: BoottimeMillis,
    pub(super) phase: Phase,
    /// Since when the board is in its present status.
    pub(super) status_since: (Option<BoardStatus>, BoottimeMillis),
    /// Since when the board is in the sequence.
    pub(super) under_way: Option<BoottimeMillis>,
    /// The contactors were ordered closed; that is done once.
    pub(super) closed_once: bool,
    pub(super) cable_check: CableCheck,
    /// Since when the modules are told the test voltage and are not there.
    pub(super) below_test_voltage: Option<BoottimeMillis>,
    pub(super) ending: Option<Ending>,
    /// A running output may be taken over until then.
    pub(super) adoption: Option<BoottimeMillis>,
}

impl Delivery {
    fn new(id: TransactionId, lease_until: BoottimeMillis, now: BoottimeMillis) -> Delivery {
        Delivery {
            id,
            lease_until,
            began: now,
            phase: Phase::Negotiating,
            status_since: (None, now),
            under_way: None,
            closed_once: false,
            cable_check: CableCheck::Open,
            below_test_voltage: None,
            ending: None,
            adoption: None,
        }
    }

    /// One whose contactors are closed already.
    fn running(id: TransactionId, lease_until: BoottimeMillis, now: BoottimeMillis) -> Delivery {
        Delivery {
            under_way: Some(now),
            closed_once: true,
            cable_check: CableCheck::Emptied,
            ..Delivery::new(id, lease_until, now)
        }
    }

    /// One that nobody knew of.
    pub(super) fn found(now: BoottimeMillis) -> Delivery {
        Delivery { phase: Phase::Stopping, ..Delivery::running(TransactionId(0), now, now) }
    }
}

/// A delivery on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Ending {
    pub(super) cause: StopCause,
    pub(super) stop: Stop,
    pub(super) since: BoottimeMillis,
    /// Since when it is stopped in this way: a gentle stop can become an emergency.
    pub(super) stop_since: BoottimeMillis,
    /// The set-point that the current falls from.
    pub(super) from: Milliamperes,
}

impl Ending {
    pub(super) fn is_emergency(&self) -> bool {
        self.stop == Stop::Emergency
    }

    /// An emergency whose second is over.
    pub(super) fn is_overdue_emergency(&self, now: BoottimeMillis) -> bool {
        self.is_emergency() && now.since(self.stop_since) >= EMERGENCY_TIME.value
    }
}

/// Our session is over, the board closes its own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct WindingDown {
    pub(super) until: BoottimeMillis,
    /// What ended was no emergency, and none has come since.
    pub(super) enable: bool,
}

impl Connector {
    /// Which connector.
    pub fn id(&self) -> ConnectorId {
        self.wiring.connector
    }

    /// Its vehicles have a control pilot; of a CHAdeMO one the board tells no states (IEC 61851-23).
    pub(super) fn has_pilot(&self) -> bool {
        self.wiring.connector_type != ConnectorType::Chademo
    }

    /// A delivery is asked for.
    pub fn is_in_use(&self) -> bool {
        self.run.delivery.is_some() || self.run.winding_down.is_some()
    }

    /// Nothing runs, is being ended or wound down, and the contactors are open as far as anyone can tell.
    pub fn is_at_rest(&self, seen: &Seen) -> bool {
        !self.is_in_use() && seen.board.is_none_or(|board| contactors::is_open(&board))
    }

    /// Starts a delivery; the same one again is its renewal.
    ///
    /// # Errors
    /// `NotReady` with the fault that stands against it, `Conflict` without a vehicle or with another delivery, `Busy`
    /// while the last session is being closed.
    pub fn start(
        &mut self,
        now: BoottimeMillis,
        seen: &Seen,
        id: TransactionId,
        lease: Duration,
    ) -> Result<(), CallError> {
        if self.run.delivery.as_ref().is_some_and(|delivery| delivery.id == id) {
            return self.renew(now, id, lease);
        }
        self.may_start(now, seen, id)?;
        let run = &mut self.run;
        run.vehicle.begin();
        run.history.clear();
        run.setpoint = Milliamperes(0);
        run.bleed_until = now;
        run.told.forget();
        run.lock.want(true);
        run.delivery = Some(Delivery::new(id, now.after(lease), now));
        tracing::info!(connector = self.id().0, delivery = id.0, "delivery asked for");
        Ok(())
    }

    fn may_start(&self, now: BoottimeMillis, seen: &Seen, id: TransactionId) -> Result<(), CallError> {
        let number = self.id();
        let vehicle = &self.run.vehicle;
        if id == self.run.ended || id.0 == 0 {
            return Err(CallError::Expired(format!("delivery {id} of connector {number} has ended")));
        }
        if let Some(other) = self.run.delivery.as_ref().filter(|other| other.id.0 != 0) {
            return Err(CallError::Conflict(format!("connector {number} delivers for {} already", other.id)));
        }
        if self.is_in_use() || self.run.weld_check.goes_on() {
            return Err(CallError::Busy(format!("connector {number} is closing its last session; repeat")));
        }
        if let Some(condition) = self.conditions(now, seen).first() {
            return Err(CallError::NotReady(format!("fault {}: {}", condition.code, condition.detail)));
        }
        if vehicle.status(now).is_none() || seen.board.is_none() || seen.output.usable == 0 {
            return Err(CallError::NotReady(format!("connector {number}: the hardware has not answered yet")));
        }
        if vehicle.plugged(now) != Some(true) {
            return Err(CallError::Conflict(format!("no vehicle is plugged in at connector {number}")));
        }
        let waits = |status: BoardStatus| status == BoardStatus::WaitingForVehicle || status.is_before_power();
        if !vehicle.status(now).is_some_and(waits) {
            return Err(CallError::Busy(format!("the SECC board of connector {number} is in a session; repeat")));
        }
        Ok(())
    }

    /// Renews the lease of the delivery that runs.
    ///
    /// # Errors
    /// `Expired` when it does not run.
    pub fn renew(&mut self, now: BoottimeMillis, id: TransactionId, lease: Duration) -> Result<(), CallError> {
        match &mut self.run.delivery {
            Some(delivery) if delivery.id == id && delivery.ending.is_none() => {
                delivery.lease_until = delivery.lease_until.max(now.after(lease));
                Ok(())
            }
            _ => Err(CallError::Expired(format!("delivery {id} of connector {} does not run", self.id()))),
        }
    }

    /// Ends a delivery; one that has ended is fine.
    ///
    /// # Errors
    /// `NotFound` when it was never heard of.
    pub fn stop(&mut self, now: BoottimeMillis, id: TransactionId) -> Result<(), CallError> {
        match &self.run.delivery {
            Some(delivery) if delivery.id == id => {
                self.end(now, Reason::Requested);
                Ok(())
            }
            _ if self.run.ended == id => Ok(()),
            _ => Err(CallError::NotFound(format!("connector {} has no delivery {id}", self.id()))),
        }
    }

    /// The process is asked to stop: a planned stop is always a safe stop.
    pub fn end_for_stop(&mut self, now: BoottimeMillis) {
        self.end(now, Reason::Requested);
    }

    /// Holds a limit for a time.
    pub fn hold_limit(&mut self, now: BoottimeMillis, watts: Watts, lease: Duration) -> Watts {
        let watts = watts.min(self.wiring.rated);
        self.run.limit = Some(super::limit::HeldLimit { watts, until: now.after(lease) });
        watts
    }

    pub(super) fn end(&mut self, now: BoottimeMillis, reason: Reason) {
        let connector = self.wiring.connector.0;
        let Meaning { stop, cause, .. } = reason.meaning();
        let from = self.run.setpoint;
        let Some(delivery) = &mut self.run.delivery else { return };
        match &mut delivery.ending {
            // The first cause stands, but a stop that has begun gently can still become an emergency, and what the
            // vehicle seemed to do was the cable if the pilot says so a moment later.
            Some(ending) => {
                if stop > ending.stop {
                    tracing::info!(connector, delivery = delivery.id.0, ?reason, "a stop becomes a harder one");
                    (ending.stop, ending.stop_since, ending.from) = (stop, now, from);
                }
                if ending.cause == StopCause::Vehicle && cause == StopCause::Unplugged {
                    ending.cause = cause;
                }
            }
            None => {
                tracing::info!(connector, delivery = delivery.id.0, ?reason, %cause, ?stop, "delivery ends");
                delivery.ending = Some(Ending { cause, stop, since: now, stop_since: now, from });
                delivery.phase = Phase::Stopping;
                delivery.adoption = None;
            }
        }
    }
}
