//! The sequence of one connector, from the start of a delivery to its end: what the modules give, when contactors
//! close and open, what the board is told. Pure: `act` looks at everything that is known and says what is due. What ends
//! a delivery and what is wrong is noticed in `supervision`.
//! Sources: ADVANTICS v3.6 sequences; IEC 61851-23 as the hardware notes §9 give it.

use crate::advantics::{self, BoardStatus, Function, Permission, StationStatus};
use crate::can::Frame;
use crate::contactors::{self, COIL_DISCHARGE, Contactors, MIRROR_LIMIT};
use crate::io::Board;
use crate::limit::{self, HeldLimit};
use crate::rack::Output;
use crate::record::{ConnectorRecord, DeliveryRecord};
use crate::settings::ConnectorWiring;
use crate::supervision::Overshoot;
use crate::vehicle::Vehicle;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::words::{Phase, Plug, StopCause};
use busbar_interfaces::{BoottimeMillis, CallError, ConnectorId, Milliamperes, Millivolts, TransactionId, Watts};
use std::time::Duration;

/// The cycle of the board's protocol.
const CYCLE: Duration = Duration::from_millis(100);
/// Most current before power transfer (hardware notes §9.1: 2 A).
const TEST_CURRENT: Milliamperes = Milliamperes(2_000);
/// The station's highest voltage.
const HIGHEST_VOLTAGE: Millivolts = Millivolts(1_000_000);
/// Below this a side is dead (60 V).
const DEAD: Millivolts = Millivolts(60_000);
/// A contactor may open below this in an emergency (5 A), or after a second in any case.
const EMERGENCY_CURRENT: Milliamperes = Milliamperes(5_000);
/// A contactor that should be open is opened after this time even if modules still give current.
const FORCED_OPENING: Duration = Duration::from_secs(7);
/// The set-point rises in steps of this length; it falls at once.
const RAMP_STEP: Duration = Duration::from_millis(100);
/// It is a multiple of this.
const SETPOINT_GRID: u32 = 100;
/// After a session the cable is emptied for at most this time.
const BLEED_LIMIT: Duration = Duration::from_secs(10);
/// The board has this time to close its session after ours.
const WIND_DOWN: Duration = Duration::from_secs(15);
/// After a start of this process, everything that runs must have spoken by then to be taken over.
const ADOPTION_LIMIT: Duration = Duration::from_millis(600);
/// At a limit of zero each module still gives this much, so that the session stays up (guide, smart charging).
const RESIDUAL: Milliamperes = Milliamperes(500);

/// What is known besides the connector itself.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// What its modules do.
    pub output: Output,
    /// Its output board; nothing when it is not heard.
    pub board: Option<Board>,
    /// What the station as a whole may give this connector.
    pub station_share: Watts,
}

/// What a connector wants done.
#[derive(Debug, Default)]
pub struct Orders {
    /// Frames for the vehicle bus.
    pub frames: Vec<Frame>,
    /// Coils of its output board.
    pub coils: Vec<(u8, bool)>,
    /// Voltage and current of its modules; nothing is off.
    pub output: Option<(Millivolts, Milliamperes)>,
    /// The relays of its modules are to be closed.
    pub relays_closed: bool,
    /// Nothing is to be changed yet: a running output is being looked at.
    pub hands_off: bool,
    /// The running output was taken over, at this voltage.
    pub adopted: Option<Millivolts>,
}

/// A delivery; number 0 is what was found closed at the start without a record, and is only ended.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) id: TransactionId,
    pub(super) lease_until: BoottimeMillis,
    pub(super) began: BoottimeMillis,
    pub(super) phase: Phase,
    /// Since when the board is in the sequence.
    pub(super) under_way: Option<BoottimeMillis>,
    /// The contactors were ordered closed; that is done once.
    pub(super) closed_once: bool,
    pub(super) ending: Option<Ending>,
    /// A running output may be taken over until then.
    adoption: Option<BoottimeMillis>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    pub(super) cause: StopCause,
    since: BoottimeMillis,
    emergency: bool,
}

/// One connector.
#[derive(Debug, Clone)]
pub struct Connector {
    wiring: ConnectorWiring,
    fallback_limit: Watts,
    ramp_milliamperes_per_second: u32,
    pub(super) sequence_limit: Duration,
    pub(super) started: BoottimeMillis,
    /// The board and the vehicle.
    pub vehicle: Vehicle,
    pub(super) delivery: Option<Delivery>,
    ended: TransactionId,
    stop_cause: StopCause,
    winding_down: Option<BoottimeMillis>,
    limit: Option<HeldLimit>,
    pub(super) contactors: Contactors,
    pub(super) insulation_fault: bool,
    pub(super) overshoot: Overshoot,
    /// What the modules are told to give together.
    pub(super) output: Option<(Millivolts, Milliamperes)>,
    setpoint: Milliamperes,
    ramped_at: BoottimeMillis,
    bleed_until: BoottimeMillis,
    told_at: BoottimeMillis,
    told_permission: Option<Permission>,
}

impl Connector {
    /// A connector after the start of the process; `record` is what the last process noted.
    pub fn new(
        wiring: ConnectorWiring,
        fallback_limit: Watts,
        ramp_milliamperes_per_second: u32,
        sequence_limit: Duration,
        record: ConnectorRecord,
        now: BoottimeMillis,
    ) -> Connector {
        let limit = record.delivery.as_ref().and_then(|record| record.limit);
        let delivery = record.delivery.map(|record| Delivery {
            id: record.delivery,
            lease_until: record.lease_until,
            began: now,
            phase: if record.ending.is_some() { Phase::Stopping } else { Phase::Delivering },
            under_way: Some(now),
            closed_once: true,
            // What was being ended goes on being ended, for the same cause.
            ending: record.ending.map(|(cause, emergency)| Ending { cause, since: now, emergency }),
            adoption: record.ending.is_none().then(|| now.after(ADOPTION_LIMIT)),
        });
        Connector {
            wiring,
            fallback_limit,
            ramp_milliamperes_per_second,
            sequence_limit,
            started: now,
            vehicle: Vehicle::default(),
            delivery,
            ended: TransactionId(0),
            stop_cause: StopCause::None,
            winding_down: None,
            limit,
            contactors: Contactors::found(record.contactor_fault),
            insulation_fault: false,
            overshoot: Overshoot::default(),
            output: None,
            setpoint: Milliamperes(0),
            ramped_at: now,
            bleed_until: now,
            told_at: BoottimeMillis(0),
            told_permission: None,
        }
    }

    /// Which connector.
    pub fn id(&self) -> ConnectorId {
        self.wiring.connector
    }

    /// The Modbus unit of its output board.
    pub fn io_unit(&self) -> u8 {
        self.wiring.io_unit
    }

    /// A delivery is asked for.
    pub fn is_in_use(&self) -> bool {
        self.delivery.is_some() || self.winding_down.is_some()
    }

    /// What the next process should know; `modules` are told to deliver.
    pub fn record(&self, modules: Vec<u8>) -> Option<ConnectorRecord> {
        let delivery = self.delivery.as_ref().map(|delivery| DeliveryRecord {
            delivery: delivery.id,
            lease_until: delivery.lease_until,
            limit: self.limit,
            ending: delivery.ending.map(|ending| (ending.cause, ending.emergency)),
            modules,
        });
        let record = ConnectorRecord { delivery, contactor_fault: self.contactors.fault().cloned() };
        (record != ConnectorRecord::default()).then_some(record)
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
        if self.delivery.as_ref().is_some_and(|delivery| delivery.id == id) {
            return self.renew(now, id, lease);
        }
        let number = self.id();
        if id == self.ended || id.0 == 0 {
            return Err(CallError::Expired(format!("delivery {id} of connector {number} has ended")));
        }
        if let Some(other) = self.delivery.as_ref().filter(|other| other.id.0 != 0) {
            return Err(CallError::Conflict(format!("connector {number} delivers for {} already", other.id)));
        }
        if self.is_in_use() {
            return Err(CallError::Busy(format!("connector {number} is closing its last session; repeat")));
        }
        if let Some(condition) = self.conditions(now, seen).first() {
            return Err(CallError::NotReady(format!("fault {}: {}", condition.code, condition.detail)));
        }
        if self.vehicle.status(now).is_none() || seen.board.is_none() || seen.output.usable == 0 {
            return Err(CallError::NotReady(format!("connector {number}: the hardware has not answered yet")));
        }
        if self.vehicle.plugged(now) != Some(true) {
            return Err(CallError::Conflict(format!("no vehicle is plugged in at connector {number}")));
        }
        if !matches!(self.vehicle.status(now), Some(BoardStatus::WaitingForVehicle | BoardStatus::Negotiating)) {
            return Err(CallError::Busy(format!("the SECC board of connector {number} is in a session; repeat")));
        }
        self.vehicle.begin();
        self.setpoint = Milliamperes(0);
        self.bleed_until = now;
        self.told_permission = None;
        self.delivery = Some(Delivery {
            id,
            lease_until: now.after(lease),
            began: now,
            phase: Phase::Negotiating,
            under_way: None,
            closed_once: false,
            ending: None,
            adoption: None,
        });
        tracing::info!(connector = number.0, delivery = id.0, "delivery asked for");
        Ok(())
    }

    /// Renews the lease of the delivery that runs.
    ///
    /// # Errors
    /// `Expired` when it does not run.
    pub fn renew(&mut self, now: BoottimeMillis, id: TransactionId, lease: Duration) -> Result<(), CallError> {
        match &mut self.delivery {
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
        match &self.delivery {
            Some(delivery) if delivery.id == id => {
                self.end(now, StopCause::Requested, false);
                Ok(())
            }
            _ if self.ended == id => Ok(()),
            _ => Err(CallError::NotFound(format!("connector {} has no delivery {id}", self.id()))),
        }
    }

    /// Holds a limit for a time.
    pub fn hold_limit(&mut self, now: BoottimeMillis, watts: Watts, lease: Duration) -> Watts {
        let watts = watts.min(self.wiring.rated);
        self.limit = Some(HeldLimit { watts, until: now.after(lease) });
        watts
    }

    /// The process is asked to stop: a planned stop is always a safe stop.
    pub fn end_for_stop(&mut self, now: BoottimeMillis) {
        self.end(now, StopCause::Requested, false);
    }

    pub(super) fn end(&mut self, now: BoottimeMillis, cause: StopCause, emergency: bool) {
        let connector = self.wiring.connector.0;
        let Some(delivery) = &mut self.delivery else { return };
        match &mut delivery.ending {
            // The first cause stands, but a stop that has begun gently can still become an emergency, and what the
            // vehicle seemed to do was the cable if the pilot says so a moment later.
            Some(ending) => {
                ending.emergency |= emergency;
                if ending.cause == StopCause::Vehicle && cause == StopCause::Unplugged {
                    ending.cause = cause;
                }
            }
            None => {
                tracing::info!(connector, delivery = delivery.id.0, %cause, emergency, "delivery ends");
                delivery.ending = Some(Ending { cause, since: now, emergency });
                delivery.phase = Phase::Stopping;
                delivery.adoption = None;
            }
        }
    }

    /// What is due now.
    pub fn act(&mut self, now: BoottimeMillis, seen: &Seen) -> Orders {
        let mut orders = Orders::default();
        if let Some(until) = self.delivery.as_ref().and_then(|delivery| delivery.adoption)
            && !self.adopt_or_stop(now, until, seen, &mut orders)
        {
            orders.hands_off = true;
            return orders;
        }
        self.look_for_what_was_left_closed(now, seen);
        self.notice_ends(now, seen);
        self.follow_board(now);
        self.drive_output(now, seen, &mut orders);
        self.drive_contactors(now, seen, &mut orders);
        self.finish(now, seen);
        self.tell_board(now, seen, &mut orders);
        orders
    }

    /// Closed contactors that nobody has noted are ended like an emergency.
    fn look_for_what_was_left_closed(&mut self, now: BoottimeMillis, seen: &Seen) {
        let Some(board) = seen.board.filter(|_| self.delivery.is_none() && self.contactors.wanted().is_none()) else {
            return;
        };
        if contactors::is_open(&board) {
            self.contactors.want(false);
            return;
        }
        tracing::error!(connector = self.id().0, "a contactor was found closed without a delivery");
        self.delivery = Some(Delivery {
            id: TransactionId(0),
            lease_until: now,
            began: now,
            phase: Phase::Stopping,
            under_way: Some(now),
            closed_once: true,
            ending: Some(Ending { cause: StopCause::Fault, since: now, emergency: true }),
            adoption: None,
        });
    }

    /// Decides about an output that runs since before this process; true when it is decided.
    fn adopt_or_stop(&mut self, now: BoottimeMillis, until: BoottimeMillis, seen: &Seen, orders: &mut Orders) -> bool {
        let known = self.vehicle.is_known(now) && seen.board.is_some() && seen.output.recorded_heard;
        if !known && now < until {
            return false;
        }
        let control = self.vehicle.control(now);
        let agrees = known
            && self.vehicle.status(now) == Some(BoardStatus::Charging)
            && control.function == Function::PowerTransfer
            && control.close_contactors
            && self.vehicle.plugged(now) == Some(true)
            && seen.board.is_some_and(|board| board.contactors_closed() && board.emergency_stop_healthy())
            && seen.output.recorded_agree
            && seen.output.voltage.0 <= tenth_more(control.voltage.0)
            && self.contactors.fault().is_none()
            && self.delivery.as_ref().is_some_and(|delivery| now < delivery.lease_until);
        let connector = self.wiring.connector.0;
        if agrees {
            tracing::info!(connector, milliamperes = seen.output.current.0, "a running output was taken over");
            self.setpoint = seen.output.current;
            self.ramped_at = now;
            self.contactors.want(true);
            orders.adopted = Some(control.voltage);
            if let Some(delivery) = &mut self.delivery {
                delivery.adoption = None;
            }
        } else {
            tracing::warn!(connector, known, "what runs does not agree with the record: safe stop");
            self.end(now, StopCause::Fault, true);
        }
        true
    }

    fn follow_board(&mut self, now: BoottimeMillis) {
        let status = self.vehicle.status(now);
        let Some(delivery) = self.delivery.as_mut().filter(|delivery| delivery.ending.is_none()) else { return };
        let phase = match status {
            Some(BoardStatus::InsulationTest) => Phase::CableCheck,
            Some(BoardStatus::Precharge) => Phase::PreCharge,
            Some(BoardStatus::Charging) => Phase::Delivering,
            _ => Phase::Negotiating,
        };
        if phase != Phase::Negotiating {
            delivery.under_way.get_or_insert(now);
        }
        if phase != delivery.phase {
            tracing::info!(connector = self.wiring.connector.0, %phase, "phase");
            delivery.phase = phase;
        }
    }

    fn drive_output(&mut self, now: BoottimeMillis, seen: &Seen, orders: &mut Orders) {
        let control = self.vehicle.control(now);
        let running = self.delivery.as_ref().is_some_and(|delivery| delivery.ending.is_none());
        let connected =
            self.contactors.wanted() == Some(true) && seen.board.is_some_and(|board| board.contactors_closed());
        let function = if running && connected { control.function } else { Function::Off };
        if function == Function::PowerTransfer {
            self.ramp(now, control.current.min(self.ceiling(now, seen)));
        } else {
            self.setpoint = Milliamperes(0);
            self.ramped_at = now;
        }
        let most = self.vehicle.most_voltage.unwrap_or(HIGHEST_VOLTAGE).min(HIGHEST_VOLTAGE);
        orders.output = match function {
            Function::InsulationTest => Some((control.voltage.min(test_voltage(most)), TEST_CURRENT)),
            Function::Precharge => Some((control.voltage.min(most), TEST_CURRENT)),
            Function::PowerTransfer => Some((control.voltage.min(most), self.setpoint)),
            Function::Off | Function::Standby => None,
        };
        self.output = orders.output;
    }

    /// The set-point falls at once and rises by the ramp, a step at a time: not with every frame that comes in.
    fn ramp(&mut self, now: BoottimeMillis, wanted: Milliamperes) {
        let wanted = wanted.min(self.vehicle.most_current.unwrap_or(wanted));
        let wanted = wanted.0.saturating_sub(wanted.0.checked_rem(SETPOINT_GRID).unwrap_or(0));
        if wanted <= self.setpoint.0 {
            self.setpoint = Milliamperes(wanted);
            self.ramped_at = now;
            return;
        }
        let elapsed = now.since(self.ramped_at);
        if elapsed < RAMP_STEP {
            return;
        }
        self.ramped_at = now;
        // Time in which this process did not run does not count for the ramp.
        let elapsed = elapsed.min(RAMP_STEP * 2).as_millis();
        let rise = u128::from(self.ramp_milliamperes_per_second).saturating_mul(elapsed) / 1000;
        let rise = u32::try_from(rise).unwrap_or(u32::MAX).max(SETPOINT_GRID);
        self.setpoint = Milliamperes(wanted.min(self.setpoint.0.saturating_add(rise)));
    }

    /// What the station offers: ratings, modules, share, limit.
    fn offered(&self, now: BoottimeMillis, seen: &Seen) -> Watts {
        let held = limit::in_force(self.limit, self.fallback_limit, now);
        held.min(self.wiring.rated).min(seen.output.power).min(seen.station_share)
    }

    fn ceiling(&self, now: BoottimeMillis, seen: &Seen) -> Milliamperes {
        let offered = self.offered(now, seen);
        if offered == Watts(0) {
            return Milliamperes(RESIDUAL.0.saturating_mul(seen.output.usable));
        }
        let millivolts = u64::from(seen.output.voltage.0.max(DEAD.0));
        let by_power = u64::from(offered.0).saturating_mul(1_000_000).checked_div(millivolts).unwrap_or(0);
        Milliamperes(u32::try_from(by_power).unwrap_or(u32::MAX)).min(seen.output.most_current)
    }

    fn drive_contactors(&mut self, now: BoottimeMillis, seen: &Seen, orders: &mut Orders) {
        let control = self.vehicle.control(now);
        let output = &seen.output;
        let ending = self.delivery.as_ref().and_then(|delivery| delivery.ending);
        let wanted = self.delivery.is_some() && ending.is_none() && control.close_contactors;
        // Closed only dead, with the vehicle's own contactors open, and once: modules off, nothing on their side.
        let dead = output.at_rest && output.voltage < DEAD;
        let testing = self.vehicle.status(now) == Some(BoardStatus::InsulationTest);
        let may_close = wanted && dead && testing && self.contactors.fault().is_none();
        let overdue = |limit: Duration| ending.is_some_and(|ending| now.since(ending.since) >= limit);
        let little = output.current_known && output.current < EMERGENCY_CURRENT;
        let emergency = ending.is_some_and(|ending| ending.emergency) && (little || overdue(Duration::from_secs(1)));
        let may_open = output.at_rest || emergency || overdue(FORCED_OPENING) || self.delivery.is_none();
        match self.contactors.wanted() {
            Some(false) if may_close && seen.board.is_some_and(|board| contactors::is_open(&board)) => {
                if let Some(delivery) = self.delivery.as_mut().filter(|delivery| !delivery.closed_once) {
                    delivery.closed_once = true;
                    self.contactors.want(true);
                }
            }
            Some(true) if !wanted && may_open => self.contactors.want(false),
            // As found: only ever opened, and never while it is not decided what they are.
            None if ending.is_some() && may_open => self.contactors.want(false),
            _ => {}
        }
        let in_use = self.is_in_use();
        orders.coils.extend(self.contactors.orders(seen.board.as_ref(), may_close, in_use));
        let plugged = self.vehicle.plugged(now) != Some(false);
        let number = self.id().0;
        if let Some(fault) = self.contactors.watch(now, seen.board.as_ref(), plugged) {
            tracing::error!(connector = number, detail = fault, "a contactor does not follow its coil");
        }
        if let Some(board) = seen.board {
            // Emptied when the board asks, and after a session: the cable's own voltage is not measured. Not before the
            // vehicle must have opened its own contactors: its battery would be on the resistor.
            let alone = !in_use || !plugged;
            let over = alone && self.output.is_none() && contactors::is_open(&board) && now < self.bleed_until;
            let high = !in_use && output.voltage > DEAD;
            let lower = output.at_rest && (control.lower_voltage || over || high);
            if board.coil(COIL_DISCHARGE) != lower {
                orders.coils.push((COIL_DISCHARGE, lower));
            }
        }
        // A module's relay moves only without current; it opens when the connector has come to rest.
        orders.relays_closed = in_use || !output.at_rest || seen.board.is_some_and(|board| !board.contactors_open());
    }

    /// A delivery is over when no current flows and the contactors are open.
    fn finish(&mut self, now: BoottimeMillis, seen: &Seen) {
        if self.winding_down.is_some_and(|until| until <= now || self.board_is_through(now)) {
            self.winding_down = None;
            if self.vehicle.plugged(now) != Some(false) {
                self.bleed_until = now.after(BLEED_LIMIT);
            }
        }
        let Some(delivery) = &self.delivery else { return };
        let Some(ending) = delivery.ending else { return };
        let open = seen.board.is_some_and(|board| contactors::is_open(&board));
        let given_up = now.since(ending.since) > FORCED_OPENING + MIRROR_LIMIT;
        if (seen.output.at_rest && open) || given_up {
            tracing::info!(connector = self.wiring.connector.0, delivery = delivery.id.0, cause = %ending.cause, "delivery is over");
            if delivery.id.0 != 0 {
                self.ended = delivery.id;
                self.stop_cause = ending.cause;
            }
            self.contactors.want(false);
            self.bleed_until = now.after(BLEED_LIMIT);
            self.delivery = None;
            self.winding_down = Some(now.after(WIND_DOWN));
        }
    }

    fn board_is_through(&self, now: BoottimeMillis) -> bool {
        self.vehicle.finished
            || matches!(
                self.vehicle.status(now),
                None | Some(BoardStatus::WaitingForVehicle | BoardStatus::NotAvailable)
            )
    }

    fn tell_board(&mut self, now: BoottimeMillis, seen: &Seen, orders: &mut Orders) {
        let ending = self.delivery.as_ref().and_then(|delivery| delivery.ending);
        let in_use = self.is_in_use();
        let permission = Permission { start: in_use, stop: ending.is_some() || self.winding_down.is_some() };
        let changed = self.told_permission != Some(permission);
        let cycle = if in_use { CYCLE } else { Duration::from_secs(1) };
        if !changed && now.since(self.told_at) < cycle {
            return;
        }
        self.told_at = now;
        self.told_permission = Some(permission);
        let id = self.id();
        if in_use {
            let status = StationStatus {
                voltage: seen.output.voltage,
                current: seen.output.current,
                enable: !ending.is_some_and(|ending| ending.emergency),
                insulation_good: seen.board.is_some_and(|board| board.insulation_good()),
            };
            orders.frames.push(advantics::station_status(id, status));
            orders.frames.push(advantics::limits(id, HIGHEST_VOLTAGE, self.ceiling(now, seen)));
        }
        orders.frames.push(advantics::permission(id, permission));
    }

    /// What its object shows.
    pub fn state(&self, now: BoottimeMillis, seen: &Seen) -> PowerConnectorState {
        let control = self.vehicle.control(now);
        let delivery = self.delivery.as_ref();
        let wants = control.function == Function::PowerTransfer;
        PowerConnectorState {
            connector_type: self.wiring.connector_type,
            rated_watts: self.wiring.rated,
            plug: match self.vehicle.plugged(now) {
                Some(true) => Plug::Plugged,
                Some(false) => Plug::Unplugged,
                None => Plug::Unknown,
            },
            phase: delivery.map_or(Phase::Idle, |delivery| delivery.phase),
            delivery: delivery.map_or(TransactionId(0), |delivery| delivery.id),
            ended_delivery: self.ended,
            stop_cause: self.stop_cause,
            vehicle_id: self.vehicle.id.clone(),
            state_of_charge_percent: self.vehicle.state_of_charge,
            requested_millivolts: if wants { control.voltage } else { Millivolts(0) },
            requested_milliamperes: if wants { control.current } else { Milliamperes(0) },
            output_millivolts: seen.output.voltage,
            output_milliamperes: seen.output.current,
            limit_watts: limit::in_force(self.limit, self.fallback_limit, now),
            offered_watts: self.offered(now, seen),
            sampled_boottime_millis: seen.output.sampled,
        }
    }
}

/// A value and a tenth of it.
pub(super) fn tenth_more(value: u32) -> u32 {
    value.saturating_add(value / 10)
}

/// The most voltage of a cable check for a vehicle that takes `most` (hardware notes §9.1).
fn test_voltage(most: Millivolts) -> Millivolts {
    let test = if most.0 <= 500_000 { most.0.saturating_add(50_000).min(500_000) } else { tenth_more(most.0) };
    Millivolts(test.min(HIGHEST_VOLTAGE.0))
}
