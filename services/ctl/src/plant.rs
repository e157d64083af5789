//! The simulated hardware of a bench, as its control objects on the bus present it. A real station has none.

use busbar_interfaces::CallError;
use std::collections::HashMap;
use zbus::{Connection, OwnedVariant, Variant};

use crate::arguments::PlugArguments;

/// The plant as a whole.
#[zbus::proxy(interface = "io.busbar.Plant1", default_service = "io.busbar.Plant1", default_path = "/io/busbar/Plant1")]
pub trait Plant {
    /// Holds a card before the reader.
    fn present_badge(&self, uid_hex: &str) -> Result<(), CallError>;
    /// Begins or ends a fault of the hardware.
    fn set_fault(&self, name: &str, active: bool) -> Result<(), CallError>;
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
