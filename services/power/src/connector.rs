//! The sequence of one connector, from the start of a delivery to its end: what the modules give, when contactors
//! close and open, what the board is told. Pure: `act` looks at everything that is known and says what is due.
//! Sources: ADVANTICS v3.6 sequences; IEC 61851-23 as the hardware notes §9 give it.

use crate::advantics::{self, BoardStatus, Function, Permission, StationStatus};
use crate::can::Frame;
use crate::io::Board;
use crate::limit::{self, HeldLimit};
use crate::rack::Output;
use crate::record::DeliveryRecord;
use crate::settings::ConnectorWiring;
use crate::vehicle::{BOARD_SILENCE, Vehicle};
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::words::{Phase, Plug, StopCause};
use busbar_interfaces::{
    BoottimeMillis, CallError, Condition, ConnectorId, Milliamperes, Millivolts, TransactionId, Watts,
};
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
/// A mirror contact follows its coil within this time.
const MIRROR_LIMIT: Duration = Duration::from_millis(600);
/// The board has this time to close its session after ours.
const WIND_DOWN: Duration = Duration::from_secs(8);
/// After a start of this process, everything that runs must have spoken by then to be taken over.
const ADOPTION_LIMIT: Duration = Duration::from_millis(600);
/// At a limit of zero each module still gives this much, so that the session stays up (guide, smart charging).
const RESIDUAL: Milliamperes = Milliamperes(500);

/// DTC "SECC socket connection fault".
pub const BOARD_SILENT: &str = "0x10000C";

/// Coils of an output board.
pub const COIL_POSITIVE: u8 = 0;
/// The other pole.
pub const COIL_NEGATIVE: u8 = 1;
/// The resistor that empties the cable.
pub const COIL_DISCHARGE: u8 = 2;

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

#[derive(Debug, Clone)]
struct Delivery {
    id: TransactionId,
    lease_until: BoottimeMillis,
    began: BoottimeMillis,
    phase: Phase,
    /// The board was in the sequence.
    under_way: bool,
    ending: Option<Ending>,
    /// A running output may be taken over until then.
    adoption: Option<BoottimeMillis>,
}

#[derive(Debug, Clone, Copy)]
struct Ending {
    cause: StopCause,
    since: BoottimeMillis,
    emergency: bool,
}

/// One connector.
#[derive(Debug, Clone)]
pub struct Connector {
    wiring: ConnectorWiring,
    fallback_limit: Watts,
    ramp_milliamperes_per_second: u32,
    sequence_limit: Duration,
    started: BoottimeMillis,
    /// The board and the vehicle.
    pub vehicle: Vehicle,
    delivery: Option<Delivery>,
    ended: TransactionId,
    stop_cause: StopCause,
    winding_down: Option<BoottimeMillis>,
    limit: Option<HeldLimit>,
    contactors_ordered: Option<(bool, BoottimeMillis)>,
    contactor_fault: Option<String>,
    insulation_fault: bool,
    setpoint: Milliamperes,
    ramped_at: BoottimeMillis,
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
        record: Option<DeliveryRecord>,
        now: BoottimeMillis,
    ) -> Connector {
        Connector {
            wiring,
            fallback_limit,
            ramp_milliamperes_per_second,
            sequence_limit,
            started: now,
            vehicle: Vehicle::default(),
            delivery: record.map(|record| Delivery {
                id: record.delivery,
                lease_until: record.lease_until,
                began: now,
                phase: Phase::Delivering,
                under_way: true,
                ending: None,
                adoption: Some(now.after(ADOPTION_LIMIT)),
            }),
            ended: TransactionId(0),
            stop_cause: StopCause::None,
            winding_down: None,
            limit: record.and_then(|record| record.limit),
            contactors_ordered: None,
            contactor_fault: None,
            insulation_fault: false,
            setpoint: Milliamperes(0),
            ramped_at: now,
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

    /// What the next process should know.
    pub fn record(&self) -> Option<DeliveryRecord> {
        let delivery = self.delivery.as_ref()?;
        Some(DeliveryRecord { delivery: delivery.id, lease_until: delivery.lease_until, limit: self.limit })
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
        if let Some(other) = &self.delivery {
            return Err(CallError::Conflict(format!("connector {number} delivers for {} already", other.id)));
        }
        if id == self.ended || id.0 == 0 {
            return Err(CallError::Expired(format!("delivery {id} of connector {number} has ended")));
        }
        if self.winding_down.is_some() {
            return Err(CallError::Busy(format!("connector {number} is closing its last session; repeat")));
        }
        if let Some(condition) = self.conditions(now, seen).first() {
            return Err(CallError::NotReady(format!("fault {}: {}", condition.code, condition.detail)));
        }
        if self.vehicle.status(now).is_none() || seen.board.is_none() || seen.output.usable == 0 {
            return Err(CallError::NotReady(format!("connector {number}: the hardware has not answered yet")));
        }
        if self.vehicle.plugged != Some(true) {
            return Err(CallError::Conflict(format!("no vehicle is plugged in at connector {number}")));
        }
        self.vehicle.begin();
        self.setpoint = Milliamperes(0);
        self.told_permission = None;
        self.delivery = Some(Delivery {
            id,
            lease_until: now.after(lease),
            began: now,
            phase: Phase::Negotiating,
            under_way: false,
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

    fn end(&mut self, now: BoottimeMillis, cause: StopCause, emergency: bool) {
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
        if self.vehicle.plugged == Some(false) && seen.board.is_some_and(|board| board.insulation_good()) {
            self.insulation_fault = false;
        }
        self.notice_ends(now, seen);
        self.follow_board(now);
        self.drive_output(now, seen, &mut orders);
        self.drive_contactors(now, seen, &mut orders);
        self.finish(now, seen);
        self.tell_board(now, seen, &mut orders);
        orders
    }

    /// Decides about an output that runs since before this process; true when it is decided.
    fn adopt_or_stop(&mut self, now: BoottimeMillis, until: BoottimeMillis, seen: &Seen, orders: &mut Orders) -> bool {
        let known = self.vehicle.is_known(now) && seen.board.is_some() && seen.output.all_heard;
        if !known && now < until {
            return false;
        }
        let control = self.vehicle.control(now);
        let agrees = known
            && self.vehicle.status(now) == Some(BoardStatus::Charging)
            && control.function == Function::PowerTransfer
            && control.close_contactors
            && self.vehicle.plugged == Some(true)
            && seen.board.is_some_and(|board| board.contactors_closed() && board.emergency_stop_healthy())
            && self.delivery.as_ref().is_some_and(|delivery| now < delivery.lease_until);
        let connector = self.wiring.connector.0;
        if agrees {
            tracing::info!(connector, milliamperes = seen.output.current.0, "a running output was taken over");
            self.setpoint = seen.output.current;
            self.ramped_at = now;
            self.contactors_ordered = Some((true, now));
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

    fn notice_ends(&mut self, now: BoottimeMillis, seen: &Seen) {
        let Some(delivery) = &self.delivery else { return };
        let in_loop = delivery.under_way;
        let status = self.vehicle.status(now);
        let board_closed = in_loop && matches!(status, Some(BoardStatus::Ending | BoardStatus::WaitingForVehicle));
        let never_flowed = delivery.phase != Phase::Delivering && delivery.ending.is_none();
        let ending = if seen.board.is_some_and(|board| !board.emergency_stop_healthy()) {
            Some((StopCause::EmergencyStop, true))
        } else if self.vehicle.plugged == Some(false) {
            Some((StopCause::Unplugged, true))
        } else if let Some(from_vehicle) = self.vehicle.emergency {
            Some((if from_vehicle { StopCause::Vehicle } else { StopCause::Fault }, true))
        } else if status.is_none() || seen.board.is_none() || seen.output.lost_one_in_use || seen.output.usable == 0 {
            Some((StopCause::Fault, true))
        } else if in_loop && seen.board.is_some_and(|board| !board.insulation_good()) {
            self.insulation_fault = true;
            Some((StopCause::Fault, true))
        } else if self.contactor_fault.is_some() {
            Some((StopCause::Fault, true))
        } else if self.vehicle.finished || board_closed {
            Some((StopCause::Vehicle, false))
        } else if delivery.lease_until <= now {
            Some((StopCause::LeaseEnded, false))
        } else if never_flowed && now.since(delivery.began) > self.sequence_limit {
            Some((StopCause::TimedOut, false))
        } else {
            None
        };
        if let Some((cause, emergency)) = ending {
            self.end(now, cause, emergency);
        }
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
        delivery.under_way |= phase != Phase::Negotiating;
        if phase != delivery.phase {
            tracing::info!(connector = self.wiring.connector.0, %phase, "phase");
            delivery.phase = phase;
        }
    }

    fn drive_output(&mut self, now: BoottimeMillis, seen: &Seen, orders: &mut Orders) {
        let control = self.vehicle.control(now);
        let elapsed = now.since(self.ramped_at);
        self.ramped_at = now;
        let running = self.delivery.as_ref().is_some_and(|delivery| delivery.ending.is_none());
        let connected = seen.board.is_some_and(|board| board.contactors_closed());
        let function = if running && connected { control.function } else { Function::Off };
        let voltage = control.voltage.min(HIGHEST_VOLTAGE);
        orders.output = match function {
            Function::InsulationTest | Function::Precharge => Some((voltage, TEST_CURRENT)),
            Function::PowerTransfer => {
                let ceiling = self.ceiling(now, seen);
                let wanted = control.current.min(ceiling);
                let rise = u64::from(self.ramp_milliamperes_per_second)
                    .saturating_mul(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
                    / 1000;
                let ramped = self.setpoint.0.saturating_add(u32::try_from(rise).unwrap_or(u32::MAX));
                self.setpoint = Milliamperes(wanted.0.min(ramped));
                Some((voltage, self.setpoint))
            }
            Function::Off | Function::Standby => None,
        };
        if function != Function::PowerTransfer {
            self.setpoint = Milliamperes(0);
        }
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
        let Some(board) = seen.board else { return };
        let control = self.vehicle.control(now);
        let ending = self.delivery.as_ref().and_then(|delivery| delivery.ending);
        let wanted = self.delivery.is_some() && ending.is_none() && control.close_contactors;
        let closed = self.contactors_ordered.map_or(board.contactors_closed(), |(closed, _)| closed);
        let rest = seen.output.at_rest;
        let order = if wanted && !closed {
            // Closed only dead: modules off, nothing on their side.
            (rest && seen.output.voltage < DEAD).then_some(true)
        } else if !wanted && closed {
            let overdue = |limit: Duration| ending.is_some_and(|ending| now.since(ending.since) >= limit);
            let emergency = ending.is_some_and(|ending| ending.emergency)
                && (seen.output.current < EMERGENCY_CURRENT || overdue(Duration::from_secs(1)));
            (rest || emergency || overdue(FORCED_OPENING)).then_some(false)
        } else {
            None
        };
        if let Some(close) = order {
            self.contactors_ordered = Some((close, now));
            orders.coils.extend([(COIL_POSITIVE, close), (COIL_NEGATIVE, close)]);
        }
        if let Some((ordered, at)) = self.contactors_ordered
            && now.since(at) > MIRROR_LIMIT
            && self.contactor_fault.is_none()
            && (board.contactors_closed() != ordered || board.contactors_differ())
        {
            let (wanted, is) = if ordered { ("closed", "not closed") } else { ("open", "not open") };
            tracing::error!(connector = self.id().0, wanted, "a mirror contact does not follow its coil");
            self.contactor_fault = Some(format!("output contactor ordered {wanted}, its mirror contact says {is}"));
        }
        let lower = rest && (control.lower_voltage || (!self.is_in_use() && seen.output.voltage > DEAD));
        if board.coil(COIL_DISCHARGE) != lower {
            orders.coils.push((COIL_DISCHARGE, lower));
        }
        // A module's relay moves only without current; it opens when the connector has come to rest.
        orders.relays_closed = self.is_in_use() || !rest || board.contactors_closed();
    }

    /// A delivery is over when no current flows and the contactors are open.
    fn finish(&mut self, now: BoottimeMillis, seen: &Seen) {
        if self.winding_down.is_some_and(|until| until <= now || self.board_is_through(now)) {
            self.winding_down = None;
        }
        let Some(delivery) = &self.delivery else { return };
        let Some(ending) = delivery.ending else { return };
        let open = seen.board.is_some_and(|board| board.contactors_open());
        let given_up = now.since(ending.since) > FORCED_OPENING + MIRROR_LIMIT;
        if (seen.output.at_rest && open) || given_up {
            tracing::info!(connector = self.wiring.connector.0, delivery = delivery.id.0, cause = %ending.cause, "delivery is over");
            self.ended = delivery.id;
            self.stop_cause = ending.cause;
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

    /// What is wrong with this connector now.
    pub fn conditions(&self, now: BoottimeMillis, seen: &Seen) -> Vec<Condition> {
        let connector = self.id();
        let condition = |code: &str, detail: String| Condition { code: code.to_owned(), connector, detail };
        let mut conditions = Vec::new();
        let patience = if self.is_in_use() { BOARD_SILENCE } else { Duration::from_secs(1) };
        if self.vehicle.silence(now, self.started) > patience {
            conditions.push(condition(BOARD_SILENT, format!("the SECC board of connector {connector} is silent")));
        }
        if now.since(self.started) > Duration::from_secs(2) && seen.output.usable == 0 {
            let fitted = seen.output.fitted;
            conditions.push(condition(
                "0x200001",
                format!("none of the {fitted} modules of connector {connector} answers or is usable"),
            ));
        }
        if seen.board.is_some_and(|board| !board.emergency_stop_healthy()) {
            conditions.push(condition("0x100202", "the emergency stop is pressed".to_owned()));
        }
        if self.insulation_fault {
            conditions.push(condition(
                "0x10020A",
                "the insulation monitor tripped in a delivery; clears when it is good and the vehicle is gone"
                    .to_owned(),
            ));
        }
        if let Some(fault) = &self.contactor_fault {
            conditions.push(condition("0x100208", fault.clone()));
        }
        conditions
    }

    /// What its object shows.
    pub fn state(&self, now: BoottimeMillis, seen: &Seen) -> PowerConnectorState {
        let control = self.vehicle.control(now);
        let delivery = self.delivery.as_ref();
        let wants = control.function == Function::PowerTransfer;
        PowerConnectorState {
            connector_type: self.wiring.connector_type,
            rated_watts: self.wiring.rated,
            plug: match self.vehicle.plugged {
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
