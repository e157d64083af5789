//! The control objects on the bus: what a test does to the plant, and what it may look at.
//!
//! They only pass on; what happens is decided in the cabinet. Nothing of this exists on a real station.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use zbus::{DBusError, OwnedVariant};

use crate::board::Board;
use crate::cabinet::Cabinet;
use crate::car::Car;
use crate::fault::Fault;
use crate::plant::Plant;
use crate::plug_options;
use crate::wiring::Connector;

/// Name of the plant on the bus.
pub const SERVICE: &str = "io.busbar.Plant1";
/// Path of the root object.
pub const ROOT: &str = "/io/busbar/Plant1";

/// The path of a connector's object.
pub fn connector_path(connector: Connector) -> String {
    format!("{ROOT}/connector/{connector}")
}

/// Errors of the control objects.
#[derive(Debug, DBusError)]
#[zbus(prefix = "io.busbar.Error")]
pub enum ControlError {
    /// There is nothing with this name.
    NotFound(String),
    /// An argument is impossible.
    OutOfRange(String),
    /// It does not fit the present state.
    Conflict(String),
    /// The plant itself failed.
    Internal(String),
    /// The bus failed.
    #[zbus(error)]
    Bus(zbus::Error),
}

/// Where the ports of the plant are.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// CAN buses.
    pub can: String,
    /// I/O boards.
    pub io: String,
    /// Meters, connector 1 first.
    pub meters: [String; 2],
    /// Link to the card reader's line.
    pub reader: String,
}

/// The root object.
#[derive(Debug)]
pub struct Root {
    /// The plant.
    pub plant: Arc<Plant>,
    /// Its ports.
    pub addresses: Addresses,
}

/// The simulated hardware as a whole.
#[zbus::interface(name = "io.busbar.Plant1", spawn = false)]
impl Root {
    /// Address HOST:PORT of the CAN buses, spoken to with the socketcand protocol; the buses are `modules` and
    /// `vehicles`.
    #[zbus(property(emits_changed_signal = "const"))]
    fn can_address(&self) -> String {
        self.addresses.can.clone()
    }

    /// Address HOST:PORT of the I/O boards, spoken to with Modbus TCP.
    #[zbus(property(emits_changed_signal = "const"))]
    fn io_address(&self) -> String {
        self.addresses.io.clone()
    }

    /// Addresses HOST:PORT of the meters, spoken to with Modbus TCP, connector 1 first.
    #[zbus(property(emits_changed_signal = "const"))]
    fn meter_addresses(&self) -> Vec<String> {
        self.addresses.meters.to_vec()
    }

    /// Path of the card reader's serial line.
    #[zbus(property(emits_changed_signal = "const"))]
    fn reader_path(&self) -> String {
        self.addresses.reader.clone()
    }

    /// What the station did that no station may do: one text each with the time since the start of the plant,
    /// newest last, the last 100. Empty means nothing was wrong.
    #[zbus(property(emits_changed_signal = "false"))]
    fn violations(&self) -> Vec<String> {
        self.plant.with(|cabinet| cabinet.violations().map(str::to_owned).collect())
    }

    /// Holds a card with this identifier (4, 7 or 10 bytes as hexadecimal digits) before the reader for 300 ms.
    /// `OutOfRange` when it is no such identifier.
    fn present_badge(&self, uid_hex: &str) -> Result<(), ControlError> {
        let uid = plug_options::bytes_from_hex(uid_hex).filter(|uid| matches!(uid.len(), 4 | 7 | 10));
        let uid = uid.ok_or_else(|| {
            ControlError::OutOfRange(format!("uid_hex is {uid_hex:?}, it must be 8, 14 or 20 hexadecimal digits"))
        })?;
        self.plant.present_badge(uid);
        Ok(())
    }

    /// Begins or ends a fault of the hardware; it stays until it is ended. `NotFound` names the possible faults.
    fn set_fault(&self, name: &str, active: bool) -> Result<(), ControlError> {
        let fault = Fault::from_name(name).map_err(ControlError::NotFound)?;
        self.plant.set_fault(fault, active);
        Ok(())
    }

    /// Sets after which silence of the station, in milliseconds, a vehicle board breaks its session off; 500 at
    /// the start.
    fn set_station_silence_millis(&self, millis: u32) {
        self.plant.with(|cabinet| cabinet.station_silence = Duration::from_millis(millis.into()));
    }
}

/// The object of one connector.
#[derive(Debug)]
pub struct ConnectorObject {
    /// The plant.
    pub plant: Arc<Plant>,
    /// Which connector.
    pub connector: Connector,
}

impl ConnectorObject {
    fn look<T>(&self, look: impl FnOnce(&Board) -> T) -> T {
        self.plant.with(|cabinet| look(cabinet.board(self.connector)))
    }

    fn drive(&self, act: impl FnOnce(&mut Car)) -> Result<(), ControlError> {
        self.plant
            .with(|cabinet| cabinet.board_mut(self.connector).car_mut().map(act))
            .ok_or_else(|| ControlError::Conflict(format!("no vehicle is plugged in at connector {}", self.connector)))
    }

    fn press(&self, pressed: bool) {
        self.plant.with(|cabinet| cabinet.surroundings_mut(self.connector).emergency_stop = pressed);
    }
}

/// One connector with the vehicle that may be plugged in.
#[zbus::interface(name = "io.busbar.Plant1.Connector", spawn = false)]
impl ConnectorObject {
    /// Plugs a vehicle in. Options, all optional: `StateOfChargePercent` (y, 20), `TargetStateOfChargePercent`
    /// (y, 100), `CapacityWattHours` (u, 60000), `MaximumWatts` (u, 150000), `MaximumMilliamperes` (u, 400000),
    /// `MaximumMillivolts` (u, 420000), `VehicleId` (s, 12 hexadecimal digits). `OutOfRange` for an unknown key or
    /// an impossible value, `Conflict` when a vehicle is plugged in already.
    fn plug(&self, options: HashMap<String, OwnedVariant>) -> Result<(), ControlError> {
        let vehicle = plug_options::vehicle(&options).map_err(ControlError::OutOfRange)?;
        let plug = |cabinet: &mut Cabinet| {
            let now = cabinet.now();
            cabinet.board_mut(self.connector).plug_in(now, vehicle)
        };
        self.plant.with(plug).then_some(()).ok_or_else(|| {
            ControlError::Conflict(format!("a vehicle is plugged in at connector {} already", self.connector))
        })
    }

    /// Pulls the plug, whatever the vehicle is doing. `Conflict` when there is none.
    fn unplug(&self) -> Result<(), ControlError> {
        let unplug = |cabinet: &mut Cabinet| {
            let now = cabinet.now();
            cabinet.board_mut(self.connector).unplug(now)
        };
        let none = || ControlError::Conflict(format!("no vehicle is plugged in at connector {}", self.connector));
        self.plant.with(unplug).then_some(()).ok_or_else(none)
    }

    /// The vehicle wants no current for a while; its session goes on. `Conflict` without a vehicle.
    fn pause_demand(&self) -> Result<(), ControlError> {
        self.drive(|car| car.paused = true)
    }

    /// The vehicle wants current again. `Conflict` without a vehicle.
    fn resume_demand(&self) -> Result<(), ControlError> {
        self.drive(|car| car.paused = false)
    }

    /// The driver ends the charge at the vehicle; it takes no energy any more until it is plugged in anew.
    /// `Conflict` without a vehicle.
    fn stop_by_vehicle(&self) -> Result<(), ControlError> {
        self.drive(|car| car.stopped = true)
    }

    /// Presses the emergency stop of this connector; it stays pressed.
    fn press_emergency_stop(&self) {
        self.press(true);
    }

    /// Releases the emergency stop of this connector.
    fn release_emergency_stop(&self) {
        self.press(false);
    }

    /// Sets the import register of this connector's meter, as if the meter had been exchanged.
    fn set_meter_register(&self, energy_milliwatt_hours: u64) -> Result<(), ControlError> {
        self.plant
            .set_meter(self.connector, energy_milliwatt_hours)
            .map_err(|error| ControlError::Internal(error.to_string()))
    }

    /// True while a vehicle is plugged in.
    #[zbus(property(emits_changed_signal = "false"))]
    fn plugged_in(&self) -> bool {
        self.look(|board| board.car().is_some())
    }

    /// State of the vehicle board: `waiting-for-pev`, `negotiating`, `ccs-authorisation`, `full-info`,
    /// `insulation-test`, `precharge`, `waiting-for-charge`, `charging`, `ending`, `welding` or `closing`.
    #[zbus(property(emits_changed_signal = "false"))]
    fn board_status(&self) -> String {
        self.look(|board| board.status().word().to_owned())
    }

    /// True while both poles of the station's output contactor are closed.
    #[zbus(property(emits_changed_signal = "false"))]
    fn output_contactor_closed(&self) -> bool {
        self.plant.with(|cabinet| cabinet.branch(self.connector).output_closed())
    }

    /// True while the vehicle's contactors are closed.
    #[zbus(property(emits_changed_signal = "false"))]
    fn vehicle_contactor_closed(&self) -> bool {
        self.look(|board| board.connected_battery().is_some())
    }

    /// Voltage of the cable in millivolts.
    #[zbus(property(emits_changed_signal = "false"))]
    fn output_millivolts(&self) -> u32 {
        thousandths(self.plant.with(|cabinet| cabinet.branch(self.connector).cable_volts))
    }

    /// Current into the vehicle in milliamperes; 0 when current flows back.
    #[zbus(property(emits_changed_signal = "false"))]
    fn output_milliamperes(&self) -> u32 {
        thousandths(self.plant.with(|cabinet| cabinet.branch(self.connector).amperes))
    }

    /// Current the vehicle asks for over the wire in milliamperes; 0 unless charging.
    #[zbus(property(emits_changed_signal = "false"))]
    fn demand_milliamperes(&self) -> u32 {
        thousandths(self.look(Board::demand_amperes))
    }

    /// Exact import register of the meter in milliwatt hours. It survives a restart of the plant.
    #[zbus(property(emits_changed_signal = "false"))]
    fn meter_milliwatt_hours(&self) -> u64 {
        self.plant.with(|cabinet| cabinet.meter(self.connector).recorded().import_milliwatt_hours)
    }

    /// State of charge of the vehicle that is or was plugged in, in thousandths of a percent.
    #[zbus(property(emits_changed_signal = "false"))]
    fn state_of_charge_millipercent(&self) -> u32 {
        thousandths(self.look(Board::state_of_charge) * 100.0)
    }

    /// Energy into the vehicle of this or the last plug-in in milliwatt hours.
    #[zbus(property(emits_changed_signal = "false"))]
    fn delivered_milliwatt_hours(&self) -> u64 {
        self.look(|board| board.statistics().delivered_milliwatt_hours())
    }

    /// Times since the last plug-in that the current broke off for more than 20 ms after it had flowed, although
    /// the session was charging and the vehicle wanted current.
    #[zbus(property(emits_changed_signal = "false"))]
    fn current_interruptions(&self) -> u32 {
        self.look(|board| board.statistics().interruptions)
    }

    /// Longest gap between two status frames of the station during a session since the last plug-in, in
    /// milliseconds.
    #[zbus(property(emits_changed_signal = "false"))]
    fn longest_station_silence_millis(&self) -> u32 {
        let silence = self.look(|board| board.statistics().longest_station_silence);
        u32::try_from(silence.as_millis()).unwrap_or(u32::MAX)
    }

    /// Largest current since the last plug-in in milliamperes.
    #[zbus(property(emits_changed_signal = "false"))]
    fn peak_milliamperes(&self) -> u32 {
        thousandths(self.look(|board| board.statistics().peak_amperes))
    }

    /// Times the charging state was entered since the last plug-in.
    #[zbus(property(emits_changed_signal = "false"))]
    fn charge_count(&self) -> u32 {
        self.look(|board| board.statistics().charges)
    }
}

/// A measured value in thousandths; negative ones are shown as 0.
fn thousandths(value: f64) -> u32 {
    (value * 1000.0).round() as u32
}
