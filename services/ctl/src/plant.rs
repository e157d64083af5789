//! The simulated hardware of a bench, as its control objects on the bus present it. A real station has none.

use busbar_interfaces::CallError;
use std::collections::HashMap;
use zbus::{Connection, OwnedVariant, Variant};

use crate::arguments::PlugArguments;

pub mod overview;

/// A kind of fault: name, meaning, unit of its number, usual number.
pub type FaultRow = (String, String, String, i64);
/// A module: number, on, millivolts, milliamperes, degrees Celsius, set millivolts, set milliamperes, the buses it is
/// connected to, what is wrong with it.
pub type ModuleRow = (u8, bool, u32, u32, i32, u32, u32, String, String);
/// A relay or a pole of a contactor: name, coil, contact, mirror contact, closings.
pub type SwitchRow = (String, bool, bool, bool, u32);
/// A changed set-point: boot-time nanoseconds, module, millivolts, milliamperes.
pub type SetPointRow = (u64, u8, u32, u32);

/// The plant as a whole.
#[zbus::proxy(interface = "io.busbar.Plant1", default_service = "io.busbar.Plant1", default_path = "/io/busbar/Plant1")]
pub trait Plant {
    /// Holds a card before the reader.
    fn present_badge(&self, uid_hex: &str) -> Result<(), CallError>;
    /// Begins or ends a fault of the hardware.
    fn set_fault(&self, name: &str, active: bool) -> Result<(), CallError>;
    /// Begins a fault with a number.
    fn set_fault_value(&self, name: &str, value: i64) -> Result<(), CallError>;
    /// Ends every fault.
    fn clear_faults(&self) -> Result<(), CallError>;
    /// Sets after which silence of the station a vehicle board breaks its session off.
    fn set_station_silence_millis(&self, millis: u32) -> Result<(), CallError>;
    /// The most power that has left both connectors together at any moment.
    #[zbus(property)]
    fn most_watts(&self) -> zbus::Result<u32>;
    /// Address of the CAN buses.
    #[zbus(property)]
    fn can_address(&self) -> zbus::Result<String>;
    /// Address of the I/O boards.
    #[zbus(property)]
    fn io_address(&self) -> zbus::Result<String>;
    /// Addresses of the meters.
    #[zbus(property)]
    fn meter_addresses(&self) -> zbus::Result<Vec<String>>;
    /// Path of the card reader's line.
    #[zbus(property)]
    fn reader_path(&self) -> zbus::Result<String>;
    /// What the station did that no station may do.
    #[zbus(property)]
    fn violations(&self) -> zbus::Result<Vec<String>>;
    /// Everything dangerous that happened, with the fault that made it unavoidable.
    #[zbus(property)]
    fn hazards(&self) -> zbus::Result<Vec<String>>;
    /// The faults that there are.
    #[zbus(property)]
    fn faults(&self) -> zbus::Result<Vec<FaultRow>>;
    /// The faults that are on, with their numbers.
    #[zbus(property)]
    fn active_faults(&self) -> zbus::Result<Vec<(String, i64)>>;
    /// The power modules.
    #[zbus(property)]
    fn modules(&self) -> zbus::Result<Vec<ModuleRow>>;
    /// The matrix relays and output contactors.
    #[zbus(property)]
    fn switches(&self) -> zbus::Result<Vec<SwitchRow>>;
    /// The last changes of the modules' set-points.
    #[zbus(property)]
    fn set_point_changes(&self) -> zbus::Result<Vec<SetPointRow>>;
}

/// One connector of the plant.
#[zbus::proxy(interface = "io.busbar.Plant1.Connector", default_service = "io.busbar.Plant1")]
pub trait PlantConnector {
    /// Plugs in a vehicle.
    fn plug(&self, options: HashMap<&str, Variant<'_>>) -> Result<(), CallError>;
    /// Pulls the cable out.
    fn unplug(&self) -> Result<(), CallError>;
    /// The vehicle asks for nothing.
    fn pause_demand(&self) -> Result<(), CallError>;
    /// The vehicle asks again.
    fn resume_demand(&self) -> Result<(), CallError>;
    /// The vehicle ends the session.
    fn stop_by_vehicle(&self) -> Result<(), CallError>;
    /// Presses the emergency stop.
    fn press_emergency_stop(&self) -> Result<(), CallError>;
    /// Releases it.
    fn release_emergency_stop(&self) -> Result<(), CallError>;
    /// Sets the meter's register.
    fn set_meter_register(&self, energy_milliwatt_hours: u64) -> Result<(), CallError>;
    /// The exact register of the meter.
    #[zbus(property)]
    fn meter_milliwatt_hours(&self) -> zbus::Result<u64>;
    /// Current at the output.
    #[zbus(property)]
    fn output_milliamperes(&self) -> zbus::Result<u32>;
    /// Times that the current broke off while the vehicle wanted it.
    #[zbus(property)]
    fn current_interruptions(&self) -> zbus::Result<u32>;
    /// The longest silence of the station in the session.
    #[zbus(property)]
    fn longest_station_silence_millis(&self) -> zbus::Result<u32>;
    /// What the vehicle board is doing.
    #[zbus(property)]
    fn board_status(&self) -> zbus::Result<String>;
    /// State of charge of the vehicle in thousandths of a percent.
    #[zbus(property)]
    fn state_of_charge_millipercent(&self) -> zbus::Result<u32>;
    /// Times that charging was entered since the vehicle was plugged in.
    #[zbus(property)]
    fn charge_count(&self) -> zbus::Result<u32>;
    /// True while a vehicle is plugged in.
    #[zbus(property)]
    fn plugged_in(&self) -> zbus::Result<bool>;
    /// True while both poles of the output contactor are closed.
    #[zbus(property)]
    fn output_contactor_closed(&self) -> zbus::Result<bool>;
    /// True while the vehicle's contactors are closed.
    #[zbus(property)]
    fn vehicle_contactor_closed(&self) -> zbus::Result<bool>;
    /// Voltage of the cable.
    #[zbus(property)]
    fn output_millivolts(&self) -> zbus::Result<u32>;
    /// Current that the vehicle asks for.
    #[zbus(property)]
    fn demand_milliamperes(&self) -> zbus::Result<u32>;
    /// Energy into the vehicle of this or the last plug-in.
    #[zbus(property)]
    fn delivered_milliwatt_hours(&self) -> zbus::Result<u64>;
    /// Largest current since the vehicle was plugged in.
    #[zbus(property)]
    fn peak_milliamperes(&self) -> zbus::Result<u32>;
    /// Times the current fell by a fifth or more below a demand that it had reached.
    #[zbus(property)]
    fn current_dips(&self) -> zbus::Result<u32>;
    /// Longest of these times.
    #[zbus(property)]
    fn longest_dip_millis(&self) -> zbus::Result<u32>;
    /// True while the cable lock holds the plug.
    #[zbus(property)]
    fn locked(&self) -> zbus::Result<bool>;
    /// What the two sensors in the plug tell.
    #[zbus(property)]
    fn plug_celsius(&self) -> zbus::Result<Vec<i32>>;
    /// Voltage of the control pilot.
    #[zbus(property)]
    fn pilot_volts(&self) -> zbus::Result<u8>;
    /// Why the current of this connector has to end now.
    #[zbus(property)]
    fn emergency_causes(&self) -> zbus::Result<Vec<String>>;
    /// Microseconds from when the station could know to the first module-off frame; -1 for none.
    #[zbus(property)]
    fn last_reaction(&self) -> zbus::Result<i64>;
    /// What it was a reaction to; boot-time nanoseconds of its beginning, of its being told, of the off frame.
    #[zbus(property)]
    fn last_reaction_times(&self) -> zbus::Result<(String, u64, u64, u64)>;
}

/// The proxy of a connector.
///
/// # Errors
/// When the proxy cannot be built.
pub async fn connector(bus: &Connection, connector: u32) -> Result<PlantConnectorProxy<'static>, zbus::Error> {
    PlantConnectorProxy::builder(bus)
        .path(format!("/io/busbar/Plant1/connector/{connector}"))
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await
}

/// The proxy of the plant as a whole.
///
/// # Errors
/// When the proxy cannot be built.
pub async fn plant(bus: &Connection) -> Result<PlantProxy<'static>, zbus::Error> {
    PlantProxy::builder(bus).cache_properties(zbus::proxy::CacheProperties::No).build().await
}

/// All that a connector of the plant shows.
///
/// # Errors
/// When there is no plant.
pub async fn show(bus: &Connection, connector: u32) -> Result<HashMap<String, OwnedVariant>, zbus::Error> {
    let path = format!("/io/busbar/Plant1/connector/{connector}");
    let answer = bus
        .call_method(
            Some("io.busbar.Plant1"),
            path,
            Some("org.freedesktop.DBus.Properties"),
            "GetAll",
            &("io.busbar.Plant1.Connector"),
        )
        .await?;
    answer.body().deserialize()
}

/// The options of `Plug` for what was given on the command line.
pub fn options(vehicle: &PlugArguments) -> HashMap<&str, Variant<'_>> {
    let bytes = [("StateOfChargePercent", vehicle.soc), ("TargetStateOfChargePercent", vehicle.target_soc)];
    let numbers = [
        ("CapacityWattHours", vehicle.capacity_watt_hours),
        ("MaximumWatts", vehicle.watts),
        ("MaximumMilliamperes", vehicle.milliamperes),
        ("MaximumMillivolts", vehicle.millivolts),
    ];
    let bytes = bytes.into_iter().filter_map(|(key, value)| Some((key, Variant::from(value?))));
    let numbers = numbers.into_iter().filter_map(|(key, value)| Some((key, Variant::from(value?))));
    let id = vehicle.vehicle_id.as_deref().map(|id| ("VehicleId", Variant::from(id)));
    bytes.chain(numbers).chain(id).collect()
}
