//! The control objects on the bus: what a test does to the plant, and what it may look at.
//!
//! They only pass on; what happens is decided in the cabinet. Nothing of this exists on a real station.

use std::sync::Arc;
use std::time::Duration;

use zbus::DBusError;

use crate::fault::{Fault, TABLE};
use crate::overview::{self, ModuleRow, SwitchRow};
use crate::plant::Plant;
use crate::plug_options;
use crate::reaction::Change;
use crate::wiring::Connector;

mod connector;

pub use connector::ConnectorObject;

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

    /// What the station did that no station may do and could have prevented: one text each with the time since the
    /// start of the plant, newest last, the last 100. Empty means nothing was wrong.
    #[zbus(property(emits_changed_signal = "false"))]
    fn violations(&self) -> Vec<String> {
        self.plant.with(|cabinet| cabinet.violations().collect())
    }

    /// Everything dangerous that happened, the violations among it: what a fault made unavoidable ends with the
    /// fault's name in brackets. Newest last, the last 100.
    #[zbus(property(emits_changed_signal = "false"))]
    fn hazards(&self) -> Vec<String> {
        self.plant.with(|cabinet| cabinet.hazards().collect())
    }

    /// The faults there are: name (with the numbers that may stand in it), what it means, the unit of its number and
    /// the number taken when none is given; the unit is empty and the number 0 for a fault without one.
    #[zbus(property(emits_changed_signal = "const"))]
    fn faults(&self) -> Vec<(String, String, String, i64)> {
        let shown = TABLE.iter().map(|row| {
            let (unit, usual) = row.parameter.map_or(("", 0), |parameter| (parameter.unit, parameter.usual));
            (row.shown(), row.meaning.trim().to_owned(), unit.to_owned(), usual)
        });
        shown.collect()
    }

    /// The faults that are on, by name and with their numbers (0 for one without).
    #[zbus(property(emits_changed_signal = "false"))]
    fn active_faults(&self) -> Vec<(String, i64)> {
        self.plant.with(|cabinet| cabinet.faults().active().map(|(fault, value)| (fault.name(), value)).collect())
    }

    /// The power modules: number, on, millivolts, milliamperes, degrees Celsius at the inlet, set millivolts, set
    /// milliamperes, the buses it is connected to (`none`, `1`, `2`, `1+2`), what is wrong with it (`ok`, or words).
    #[zbus(property(emits_changed_signal = "false"))]
    fn modules(&self) -> Vec<ModuleRow> {
        self.plant.with(|cabinet| overview::modules(cabinet))
    }

    /// The matrix relays and output contactors: name (`relay-CONNECTOR-MODULE`, `contactor-CONNECTOR-POLE`), coil,
    /// contact closed, mirror contact, how often it has closed.
    #[zbus(property(emits_changed_signal = "false"))]
    fn switches(&self) -> Vec<SwitchRow> {
        self.plant.with(|cabinet| overview::switches(cabinet))
    }

    /// The last 200 changes of the modules' set-points as the frames came: nanoseconds of CLOCK_BOOTTIME, module,
    /// millivolts, milliamperes; newest last. A frame that repeats the set-point is no change.
    #[zbus(property(emits_changed_signal = "false"))]
    fn set_point_changes(&self) -> Vec<(u64, u8, u32, u32)> {
        self.plant.reactions(|reactions| {
            let row = |change: &Change| {
                (change.at, change.module, change.set_point.millivolts, change.set_point.milliamperes)
            };
            reactions.changes().map(row).collect()
        })
    }

    /// The most power in watts that has left both connectors together in any step of the plant since its start.
    #[zbus(property(emits_changed_signal = "false"))]
    fn most_watts(&self) -> u32 {
        self.plant.with(|cabinet| cabinet.most_watts().round() as u32)
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

    /// Begins or ends a fault of the hardware, with the usual number if it has one; it stays until it is ended.
    /// `NotFound` names the possible faults.
    fn set_fault(&self, name: &str, active: bool) -> Result<(), ControlError> {
        let fault = Fault::from_name(name).map_err(ControlError::NotFound)?;
        self.plant.set_fault(fault, active.then(|| fault.usual_value()));
        Ok(())
    }

    /// Begins a fault with a number of its unit, or changes the number. `NotFound` names the possible faults,
    /// `OutOfRange` the possible numbers.
    fn set_fault_value(&self, name: &str, value: i64) -> Result<(), ControlError> {
        let fault = Fault::from_name(name).map_err(ControlError::NotFound)?;
        let value = fault.check(value).map_err(ControlError::OutOfRange)?;
        self.plant.set_fault(fault, Some(value));
        Ok(())
    }

    /// Ends every fault.
    fn clear_faults(&self) {
        self.plant.clear_faults();
    }

    /// Sets after which silence of the station, in milliseconds, a vehicle board breaks its session off; 500 at
    /// the start.
    fn set_station_silence_millis(&self, millis: u32) {
        self.plant.with(|cabinet| cabinet.station_silence = Duration::from_millis(millis.into()));
    }
}

/// A measured value in thousandths; negative ones are shown as 0.
fn thousandths(value: f64) -> u32 {
    (value * 1000.0).round() as u32
}
