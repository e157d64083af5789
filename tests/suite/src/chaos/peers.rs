//! The hardware of a run as session sees it: power, metering and faults, scripted in the process of the test. What it
//! delivers it also measures, and nothing flows outside a delivery, so that the books can be compared with the register.

use busbar_interfaces::faults::{ActiveFault, FaultsState};
use busbar_interfaces::metering::Reading;
use busbar_interfaces::power::PowerConnectorState;
use busbar_interfaces::words::{ConnectorType, FaultClass, Lock, OfferedBy, Phase, Plug, StopCause};
use busbar_interfaces::{
    BoottimeMillis, CallError, ConnectorId, Milliamperes, Millivolts, MilliwattHours, Percent, TransactionId,
    UnixMillis, Watts, names,
};
use busbar_runtime::{Bus, Clock, Exit, Object, Shown};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::interval;

/// The connectors of a station.
pub const CONNECTORS: [u32; 2] = [1, 2];
/// How often the hardware moves.
const TICK: Duration = Duration::from_millis(10);
/// From the order to the first current, and from the order to the last one.
const TICKS_TO_DELIVER: u32 = 4;
const TICKS_TO_STOP: u32 = 3;
/// What flows in a tick; no whole number of watt-hours, as in life.
const MILLIWATT_HOURS_PER_TICK: u64 = 737;
const VOLTAGE: Millivolts = Millivolts(400_000);
const CURRENT: Milliamperes = Milliamperes(100_000);

/// One connector of the hardware.
struct Bay {
    power: PowerConnectorState,
    /// When the lease of the delivery ends.
    lease: BoottimeMillis,
    ticks: u32,
    register: u64,
    latches: u64,
    /// Every delivery that it has begun, also those that it has forgotten.
    begun: Vec<TransactionId>,
}

/// What is true of the hardware.
struct Hardware {
    bays: BTreeMap<u32, Bay>,
    faults: FaultsState,
    has_mains: bool,
}

/// The scripted peers. They live as long as this does.
pub struct Peers {
    hardware: Arc<Mutex<Hardware>>,
    movement: JoinHandle<()>,
    // The names are given back when the connections go.
    _buses: [Bus; 3],
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.movement.abort();
    }
}

fn locked(hardware: &Mutex<Hardware>) -> MutexGuard<'_, Hardware> {
    hardware.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Peers {
    /// On a bus, with nothing plugged in.
    ///
    /// # Errors
    /// When the bus does not take them.
    pub async fn start(address: &str) -> Result<Peers, Exit> {
        let bays = CONNECTORS.map(|connector| (connector, Bay::new(connector)));
        let hardware = Hardware { bays: BTreeMap::from(bays), faults: FaultsState::default(), has_mains: true };
        let hardware = Arc::new(Mutex::new(hardware));
        let power = Bus::connect(names::POWER, address).await?;
        let metering = Bus::connect(names::METERING, address).await?;
        let faults = Bus::connect(names::FAULTS, address).await?;
        let mut outputs = Vec::new();
        for connector in CONNECTORS {
            let path = names::POWER.connector(ConnectorId(connector));
            let state = locked(&hardware).bays.get(&connector).map(|bay| bay.power.clone());
            let Some(state) = state else { continue };
            let (object, shown) = Object::new(&power, &path, state);
            power.serve(&path, Output { connector, shown, hardware: hardware.clone() }).await?;
            outputs.push((connector, object));
            let path = names::METERING.connector(ConnectorId(connector));
            metering.serve(&path, Meter { connector, hardware: hardware.clone() }).await?;
        }
        let (list, shown) = Object::new(&faults, names::FAULTS.root, FaultsState::default());
        faults.serve(names::FAULTS.root, Faults(shown)).await?;
        for bus in [&power, &metering, &faults] {
            bus.claim().await?;
        }
        let movement = tokio::spawn(keep_moving(hardware.clone(), outputs, list));
        Ok(Peers { hardware, movement, _buses: [power, metering, faults] })
    }

    /// Plugs a vehicle in.
    pub fn plug(&self, connector: u32) {
        self.bay(connector, |bay| {
            bay.power.plug = Plug::Plugged;
            bay.power.state_of_charge_percent = Percent(40);
        });
    }

    /// Pulls the cable out.
    pub fn unplug(&self, connector: u32) {
        self.bay(connector, |bay| {
            bay.power.plug = Plug::Unplugged;
            bay.power.state_of_charge_percent = Percent::UNKNOWN;
            bay.end(StopCause::Unplugged);
        });
    }

    /// The vehicle wants no more.
    pub fn have_enough(&self, connector: u32) {
        self.bay(connector, |bay| bay.end(StopCause::Vehicle));
    }

    /// The mains fail or come back. Without them nothing flows or begins, and power forgets what it has delivered; the
    /// registers stay.
    pub fn mains(&self, are_there: bool) {
        let mut hardware = locked(&self.hardware);
        hardware.has_mains = are_there;
        if !are_there {
            hardware.bays.values_mut().for_each(Bay::forget);
        }
    }

    /// A fault comes to a connector or goes.
    pub fn fault(&self, connector: u32, is_active: bool) {
        let mut hardware = locked(&self.hardware);
        hardware.faults.active.retain(|fault| fault.connector.0 != connector);
        if is_active {
            hardware.faults.active.push(fault_of(connector));
        }
    }

    /// The register of a meter.
    pub fn register(&self, connector: u32) -> MilliwattHours {
        MilliwattHours(locked(&self.hardware).bays.get(&connector).map_or(0, |bay| bay.register))
    }

    /// The delivery that runs at a connector; 0 when none does.
    pub fn delivery(&self, connector: u32) -> TransactionId {
        locked(&self.hardware).bays.get(&connector).map_or(TransactionId(0), |bay| bay.power.delivery)
    }

    /// Every delivery that a connector has ever begun, in this order.
    pub fn begun(&self, connector: u32) -> Vec<TransactionId> {
        locked(&self.hardware).bays.get(&connector).map(|bay| bay.begun.clone()).unwrap_or_default()
    }

    /// How often the meters were read.
    pub fn latches(&self) -> u64 {
        locked(&self.hardware).bays.values().map(|bay| bay.latches).sum()
    }

    fn bay(&self, connector: u32, act: impl FnOnce(&mut Bay)) {
        if let Some(bay) = locked(&self.hardware).bays.get_mut(&connector) {
            act(bay);
        }
    }
}

fn fault_of(connector: u32) -> ActiveFault {
    ActiveFault {
        code: "0xA00001".to_owned(),
        connector: ConnectorId(connector),
        class: FaultClass::Stop,
        error_code: "OtherError".to_owned(),
        title: "a fault of the test".to_owned(),
        detail: String::new(),
        since_unix_millis: UnixMillis(0),
    }
}

impl Bay {
    fn new(connector: u32) -> Bay {
        let power = PowerConnectorState {
            connector_type: ConnectorType::Ccs2,
            rated_watts: Watts(180_000),
            plug: Plug::Unplugged,
            phase: Phase::Idle,
            delivery: TransactionId(0),
            ended_delivery: TransactionId(0),
            stop_cause: StopCause::None,
            vehicle_id: String::new(),
            state_of_charge_percent: Percent::UNKNOWN,
            requested_millivolts: VOLTAGE,
            requested_milliamperes: CURRENT,
            output_millivolts: Millivolts(0),
            output_milliamperes: Milliamperes(0),
            limit_watts: Watts::NO_LIMIT,
            offered_watts: Watts(90_000),
            offered_by: OfferedBy::StationRating,
            offered_since_boottime_millis: BoottimeMillis(0),
            modules_joined: 1,
            lock: Lock::None,
            plug_celsius: busbar_interfaces::power::CELSIUS_UNKNOWN,
            sampled_boottime_millis: BoottimeMillis(0),
        };
        let register = u64::from(connector) * 5_000_000;
        Bay { power, lease: BoottimeMillis(0), ticks: 0, register, latches: 0, begun: Vec::new() }
    }

    fn enter(&mut self, phase: Phase) {
        self.power.phase = phase;
        self.ticks = 0;
        let flows = phase == Phase::Delivering;
        self.power.output_millivolts = if flows { VOLTAGE } else { Millivolts(0) };
        self.power.output_milliamperes = if flows { CURRENT } else { Milliamperes(0) };
    }

    /// The delivery is over at this moment.
    fn end(&mut self, cause: StopCause) {
        if self.power.delivery != TransactionId(0) {
            self.power.ended_delivery = std::mem::take(&mut self.power.delivery);
            self.power.stop_cause = cause;
            self.enter(Phase::Idle);
        }
    }

    /// The output is off, and of deliveries nothing is known.
    fn forget(&mut self) {
        self.power.delivery = TransactionId(0);
        self.power.ended_delivery = TransactionId(0);
        self.power.stop_cause = StopCause::None;
        self.enter(Phase::Idle);
    }

    fn tick(&mut self, now: BoottimeMillis) {
        self.ticks = self.ticks.saturating_add(1);
        match self.power.phase {
            Phase::Negotiating if self.ticks >= TICKS_TO_DELIVER => self.enter(Phase::Delivering),
            Phase::Delivering if self.lease <= now => self.end(StopCause::LeaseEnded),
            Phase::Delivering => self.register = self.register.saturating_add(MILLIWATT_HOURS_PER_TICK),
            Phase::Stopping if self.ticks >= TICKS_TO_STOP => self.end(StopCause::Requested),
            _ => {}
        }
    }

    fn start(&mut self, now: BoottimeMillis, delivery: TransactionId, lease_millis: u32) -> Result<(), CallError> {
        let ended = [TransactionId(0), self.power.ended_delivery].contains(&delivery);
        if ended || (self.power.delivery == delivery && self.power.phase == Phase::Stopping) {
            return Err(CallError::Expired("this delivery is over".to_owned()));
        }
        if self.power.plug != Plug::Plugged {
            return Err(CallError::Conflict("no vehicle is plugged in".to_owned()));
        }
        if ![TransactionId(0), delivery].contains(&self.power.delivery) {
            return Err(CallError::Conflict("another delivery runs".to_owned()));
        }
        if self.power.delivery != delivery {
            self.power.delivery = delivery;
            self.begun.push(delivery);
            self.enter(Phase::Negotiating);
        }
        self.hold(now, lease_millis);
        Ok(())
    }

    fn hold(&mut self, now: BoottimeMillis, lease_millis: u32) {
        self.lease = self.lease.max(now.after(Duration::from_millis(lease_millis.into())));
    }
}

async fn keep_moving(
    hardware: Arc<Mutex<Hardware>>,
    outputs: Vec<(u32, Object<PowerConnectorState>)>,
    list: Object<FaultsState>,
) {
    let clock = Clock::system();
    let mut ticks = interval(TICK);
    loop {
        ticks.tick().await;
        let (states, faults) = {
            let mut hardware = locked(&hardware);
            let now = clock.now().boottime;
            hardware.bays.values_mut().for_each(|bay| bay.tick(now));
            let state = |connector: &u32| hardware.bays.get(connector).map(|bay| bay.power.clone());
            let states: Vec<_> = outputs.iter().map(|(connector, _)| state(connector)).collect();
            (states, hardware.faults.clone())
        };
        for ((_, object), state) in outputs.iter().zip(states) {
            if let Some(state) = state {
                object.publish(state).await;
            }
        }
        list.publish(faults).await;
    }
}

struct Output {
    connector: u32,
    shown: Shown<PowerConnectorState>,
    hardware: Arc<Mutex<Hardware>>,
}

impl Output {
    fn act(&self, act: impl FnOnce(&mut Bay, BoottimeMillis) -> Result<(), CallError>) -> Result<(), CallError> {
        let mut hardware = locked(&self.hardware);
        if !hardware.has_mains {
            return Err(CallError::NotReady("the mains are away".to_owned()));
        }
        let bay = hardware.bays.get_mut(&self.connector);
        let bay = bay.ok_or_else(|| CallError::NotFound("there is no such connector".to_owned()))?;
        act(bay, Clock::system().now().boottime)
    }
}

#[zbus::interface(name = "io.busbar.Power1.Connector")]
impl Output {
    async fn start_delivery(&self, delivery: TransactionId, lease_millis: u32) -> Result<(), CallError> {
        self.act(|bay, now| bay.start(now, delivery, lease_millis))
    }

    async fn renew_delivery(&self, delivery: TransactionId, lease_millis: u32) -> Result<(), CallError> {
        self.act(|bay, now| {
            if bay.power.delivery != delivery || bay.power.phase == Phase::Stopping {
                return Err(CallError::Expired("this delivery does not run".to_owned()));
            }
            bay.hold(now, lease_millis);
            Ok(())
        })
    }

    async fn stop_delivery(&self, delivery: TransactionId) -> Result<(), CallError> {
        self.act(|bay, _| match bay.power.delivery == delivery {
            true if bay.power.phase == Phase::Stopping => Ok(()),
            true => {
                bay.enter(Phase::Stopping);
                Ok(())
            }
            false if bay.power.ended_delivery == delivery => Ok(()),
            false => Err(CallError::NotFound("there is nothing to stop".to_owned())),
        })
    }

    #[zbus(property)]
    fn connector_type(&self) -> ConnectorType {
        self.shown.get(|state| state.connector_type)
    }

    #[zbus(property)]
    fn rated_watts(&self) -> Watts {
        self.shown.get(|state| state.rated_watts)
    }

    #[zbus(property)]
    fn plug(&self) -> Plug {
        self.shown.get(|state| state.plug)
    }

    #[zbus(property)]
    fn phase(&self) -> Phase {
        self.shown.get(|state| state.phase)
    }

    #[zbus(property)]
    fn delivery(&self) -> TransactionId {
        self.shown.get(|state| state.delivery)
    }

    #[zbus(property)]
    fn ended_delivery(&self) -> TransactionId {
        self.shown.get(|state| state.ended_delivery)
    }

    #[zbus(property)]
    fn stop_cause(&self) -> StopCause {
        self.shown.get(|state| state.stop_cause)
    }

    #[zbus(property)]
    fn vehicle_id(&self) -> String {
        self.shown.get(|state| state.vehicle_id.clone())
    }

    #[zbus(property)]
    fn state_of_charge_percent(&self) -> Percent {
        self.shown.get(|state| state.state_of_charge_percent)
    }

    #[zbus(property)]
    fn requested_millivolts(&self) -> Millivolts {
        self.shown.get(|state| state.requested_millivolts)
    }

    #[zbus(property)]
    fn requested_milliamperes(&self) -> Milliamperes {
        self.shown.get(|state| state.requested_milliamperes)
    }

    #[zbus(property)]
    fn output_millivolts(&self) -> Millivolts {
        self.shown.get(|state| state.output_millivolts)
    }

    #[zbus(property)]
    fn output_milliamperes(&self) -> Milliamperes {
        self.shown.get(|state| state.output_milliamperes)
    }

    #[zbus(property)]
    fn limit_watts(&self) -> Watts {
        self.shown.get(|state| state.limit_watts)
    }

    #[zbus(property)]
    fn offered_watts(&self) -> Watts {
        self.shown.get(|state| state.offered_watts)
    }

    #[zbus(property)]
    fn offered_by(&self) -> OfferedBy {
        self.shown.get(|state| state.offered_by)
    }

    #[zbus(property)]
    fn offered_since_boottime_millis(&self) -> BoottimeMillis {
        self.shown.get(|state| state.offered_since_boottime_millis)
    }

    #[zbus(property)]
    fn modules_joined(&self) -> u32 {
        self.shown.get(|state| state.modules_joined)
    }

    #[zbus(property)]
    fn lock(&self) -> Lock {
        self.shown.get(|state| state.lock)
    }

    #[zbus(property)]
    fn plug_celsius(&self) -> i32 {
        self.shown.get(|state| state.plug_celsius)
    }

    #[zbus(property)]
    fn sampled_boottime_millis(&self) -> BoottimeMillis {
        self.shown.get(|state| state.sampled_boottime_millis)
    }
}

struct Meter {
    connector: u32,
    hardware: Arc<Mutex<Hardware>>,
}

#[zbus::interface(name = "io.busbar.Metering1.Meter")]
impl Meter {
    async fn latch(&self) -> Result<Reading, CallError> {
        let mut hardware = locked(&self.hardware);
        let bay = hardware.bays.get_mut(&self.connector);
        let bay = bay.ok_or_else(|| CallError::NotFound("there is no such meter".to_owned()))?;
        bay.latches = bay.latches.saturating_add(1);
        let now = Clock::system().now();
        let (millivolts, milliamperes) = (bay.power.output_millivolts, bay.power.output_milliamperes);
        Ok(Reading {
            energy_milliwatt_hours: MilliwattHours(bay.register),
            millivolts,
            milliamperes,
            watts: millivolts.power(milliamperes),
            sampled_boottime_millis: now.boottime,
            sampled_unix_millis: now.unix,
            signed_data: String::new(),
        })
    }

    #[zbus(property)]
    fn present(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn model(&self) -> String {
        "scripted".to_owned()
    }

    #[zbus(property)]
    fn reading(&self) -> Reading {
        Reading::default()
    }
}

struct Faults(Shown<FaultsState>);

#[zbus::interface(name = "io.busbar.Faults1")]
impl Faults {
    #[zbus(property)]
    fn active(&self) -> Vec<ActiveFault> {
        self.0.get(|state| state.active.clone())
    }
}
