//! The bus objects of power: thin, no decisions.

use crate::service::Request;
use busbar_interfaces::power::{CanBusState, ModuleInfo, PowerConnectorState, PowerState, RelayInfo};
use busbar_interfaces::words::{ConnectorType, Lock, OfferedBy, Phase, Plug, StopCause};
use busbar_interfaces::{
    BoottimeMillis, CallError, Condition, ConnectorId, Milliamperes, Millivolts, Percent, TransactionId, Watts,
};
use busbar_runtime::{Desk, Shown};

pub struct RootObject {
    pub shown: Shown<PowerState>,
}

/// The power side of the station as a whole.
#[zbus::interface(name = "io.busbar.Power1", spawn = false)]
impl RootObject {
    /// Rated power of the station in watts.
    #[zbus(property(emits_changed_signal = "const"))]
    fn rated_watts(&self) -> Watts {
        self.shown.get(|state| state.rated_watts)
    }

    /// Power modules that answer.
    #[zbus(property)]
    fn modules_present(&self) -> u32 {
        self.shown.get(|state| state.modules_present)
    }

    /// The CAN buses, with what their transports count.
    #[zbus(property)]
    fn can_buses(&self) -> Vec<CanBusState> {
        self.shown.get(|state| state.can_buses.clone())
    }

    /// The power modules.
    #[zbus(property)]
    fn modules(&self) -> Vec<ModuleInfo> {
        self.shown.get(|state| state.modules.clone())
    }

    /// The output contactors and the relays of the modules: where, state, cycles, forced openings.
    #[zbus(property)]
    fn relays(&self) -> Vec<RelayInfo> {
        self.shown.get(|state| state.relays.clone())
    }

    /// What is wrong now: fault code, connector, detail.
    #[zbus(property)]
    fn conditions(&self) -> Vec<Condition> {
        self.shown.get(|state| state.conditions.clone())
    }
}

pub struct ConnectorObject {
    pub connector: ConnectorId,
    pub desk: Desk<Request>,
    pub shown: Shown<PowerConnectorState>,
}

/// One connector's output and vehicle side.
#[zbus::interface(name = "io.busbar.Power1.Connector", spawn = false)]
impl ConnectorObject {
    /// Starts a delivery under a lease.
    async fn start_delivery(&self, delivery: TransactionId, lease_millis: u32) -> Result<(), CallError> {
        let connector = self.connector;
        self.desk.ask(|reply| Request::Start { connector, delivery, lease_millis, reply }).await
    }

    /// Renews the lease of the delivery that runs.
    async fn renew_delivery(&self, delivery: TransactionId, lease_millis: u32) -> Result<(), CallError> {
        let connector = self.connector;
        self.desk.ask(|reply| Request::Renew { connector, delivery, lease_millis, reply }).await
    }

    /// Ends a delivery; the answer comes at once, Delivery is 0 when no current flows any more.
    async fn stop_delivery(&self, delivery: TransactionId) -> Result<(), CallError> {
        let connector = self.connector;
        self.desk.ask(|reply| Request::Stop { connector, delivery, reply }).await
    }

    /// Keeps the output at or below a limit until the lease ends.
    #[zbus(out_args("held_watts"))]
    async fn hold_limit(&self, limit_watts: Watts, lease_millis: u32) -> Result<Watts, CallError> {
        let connector = self.connector;
        self.desk.ask(|reply| Request::HoldLimit { connector, limit_watts, lease_millis, reply }).await
    }

    /// Resets what is latched here.
    async fn reset_fault(&self) -> Result<(), CallError> {
        let connector = self.connector;
        self.desk.ask(|reply| Request::ResetFault { connector, reply }).await
    }

    /// The relay of a module, or with 255 the output contactors, were replaced.
    async fn note_replaced(&self, module: u8) -> Result<(), CallError> {
        let connector = self.connector;
        self.desk.ask(|reply| Request::NoteReplaced { connector, module, reply }).await
    }

    /// The plug standard.
    #[zbus(property(emits_changed_signal = "const"))]
    fn connector_type(&self) -> ConnectorType {
        self.shown.get(|state| state.connector_type)
    }

    /// Rated power of this connector in watts.
    #[zbus(property(emits_changed_signal = "const"))]
    fn rated_watts(&self) -> Watts {
        self.shown.get(|state| state.rated_watts)
    }

    /// Whether a vehicle is plugged in, from the control pilot.
    #[zbus(property)]
    fn plug(&self) -> Plug {
        self.shown.get(|state| state.plug)
    }

    /// Where the delivery is in its sequence.
    #[zbus(property)]
    fn phase(&self) -> Phase {
        self.shown.get(|state| state.phase)
    }

    /// The delivery that is asked for; 0 when none is.
    #[zbus(property)]
    fn delivery(&self) -> TransactionId {
        self.shown.get(|state| state.delivery)
    }

    /// The last delivery that ended; 0 when none has since the process started.
    #[zbus(property)]
    fn ended_delivery(&self) -> TransactionId {
        self.shown.get(|state| state.ended_delivery)
    }

    /// Why the last delivery ended.
    #[zbus(property)]
    fn stop_cause(&self) -> StopCause {
        self.shown.get(|state| state.stop_cause)
    }

    /// The vehicle's identity as its board tells it; empty when it does not.
    #[zbus(property)]
    fn vehicle_id(&self) -> String {
        self.shown.get(|state| state.vehicle_id.clone())
    }

    /// The battery's state of charge in percent; 255 when it is not known.
    #[zbus(property)]
    fn state_of_charge_percent(&self) -> Percent {
        self.shown.get(|state| state.state_of_charge_percent)
    }

    /// The voltage that the vehicle asks for, in mV.
    #[zbus(property)]
    fn requested_millivolts(&self) -> Millivolts {
        self.shown.get(|state| state.requested_millivolts)
    }

    /// The current that the vehicle asks for, in mA.
    #[zbus(property)]
    fn requested_milliamperes(&self) -> Milliamperes {
        self.shown.get(|state| state.requested_milliamperes)
    }

    /// The voltage at the modules, in mV.
    #[zbus(property)]
    fn output_millivolts(&self) -> Millivolts {
        self.shown.get(|state| state.output_millivolts)
    }

    /// The current of the modules, in mA.
    #[zbus(property)]
    fn output_milliamperes(&self) -> Milliamperes {
        self.shown.get(|state| state.output_milliamperes)
    }

    /// The limit that holds now, in watts.
    #[zbus(property)]
    fn limit_watts(&self) -> Watts {
        self.shown.get(|state| state.limit_watts)
    }

    /// What the station offers now, in watts.
    #[zbus(property)]
    fn offered_watts(&self) -> Watts {
        self.shown.get(|state| state.offered_watts)
    }

    /// Which limit makes it so.
    #[zbus(property)]
    fn offered_by(&self) -> OfferedBy {
        self.shown.get(|state| state.offered_by)
    }

    /// Since when, in milliseconds of CLOCK_BOOTTIME.
    #[zbus(property)]
    fn offered_since_boottime_millis(&self) -> BoottimeMillis {
        self.shown.get(|state| state.offered_since_boottime_millis)
    }

    /// Power modules whose relays join them to this connector.
    #[zbus(property)]
    fn modules_joined(&self) -> u32 {
        self.shown.get(|state| state.modules_joined)
    }

    /// The lock of the coupler.
    #[zbus(property)]
    fn lock(&self) -> Lock {
        self.shown.get(|state| state.lock)
    }

    /// The hottest sensor of the plug in degrees Celsius; the least number when none is known.
    #[zbus(property)]
    fn plug_celsius(&self) -> i32 {
        self.shown.get(|state| state.plug_celsius)
    }

    /// When the measured values were taken, in milliseconds of CLOCK_BOOTTIME; 0 before the first.
    #[zbus(property)]
    fn sampled_boottime_millis(&self) -> BoottimeMillis {
        self.shown.get(|state| state.sampled_boottime_millis)
    }
}
