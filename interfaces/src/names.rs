//! Every bus name and object path of Busbar. The number is the major version and is in the name, the interface and
//! the path (conventions, section 4). No other file spells one of these strings, but for the interface attributes
//! that must be literals.

use crate::units::ConnectorId;

/// One service of the suite: its bus name is also the name of its root interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceName {
    /// The word used for folders, binaries, units and station-file sections.
    pub role: &'static str,
    /// The well-known bus name and the root interface.
    pub bus_name: &'static str,
    /// The root object.
    pub root: &'static str,
}

impl ServiceName {
    /// The object of one connector of this service.
    pub fn connector(&self, connector: ConnectorId) -> String {
        format!("{}/connector/{connector}", self.root)
    }

    /// The service with this role.
    pub fn of_role(role: &str) -> Option<ServiceName> {
        ALL.into_iter().find(|service| service.role == role)
    }
}

macro_rules! service {
    ($(#[$doc:meta])* $constant:ident, $role:literal, $name:literal) => {
        $(#[$doc])*
        pub const $constant: ServiceName = ServiceName {
            role: $role,
            bus_name: concat!("io.busbar.", $name),
            root: concat!("/io/busbar/", $name),
        };
    };
}

service!(
    /// The OCPP configuration keys.
    SETTINGS, "settings", "Settings1");
service!(
    /// Modules, relays, contactors, the vehicle side.
    POWER, "power", "Power1");
service!(
    /// The energy meters.
    METERING, "metering", "Metering1");
service!(
    /// The fault codes that are active, and their history.
    FAULTS, "faults", "Faults1");
service!(
    /// The limit that holds now.
    SMART_CHARGING, "smart-charging", "SmartCharging1");
service!(
    /// Transactions, authorization, connector status.
    SESSION, "session", "Session1");
service!(
    /// The link to the CSMS.
    OCPP, "ocpp", "Ocpp1");
service!(
    /// Reports for the technician.
    MAINTENANCE, "maintenance", "Maintenance1");
service!(
    /// The driver's screen and the card reader.
    HMI, "hmi", "Hmi1");

/// The nine services of a station.
pub const ALL: [ServiceName; 9] = [SETTINGS, POWER, METERING, FAULTS, SMART_CHARGING, SESSION, OCPP, MAINTENANCE, HMI];

/// The interface that every service serves at its root besides its own.
pub const SERVICE_INTERFACE: &str = "io.busbar.Service1";
/// A connector's output and vehicle side.
pub const POWER_CONNECTOR_INTERFACE: &str = "io.busbar.Power1.Connector";
/// A connector's meter.
pub const METERING_METER_INTERFACE: &str = "io.busbar.Metering1.Meter";
/// A connector's limit.
pub const SMART_CHARGING_CONNECTOR_INTERFACE: &str = "io.busbar.SmartCharging1.Connector";
/// A connector's session.
pub const SESSION_CONNECTOR_INTERFACE: &str = "io.busbar.Session1.Connector";
/// What goes over the link to the CSMS.
pub const OCPP_TRAFFIC_INTERFACE: &str = "io.busbar.Ocpp1.Traffic";
/// A connector's screen.
pub const HMI_CONNECTOR_INTERFACE: &str = "io.busbar.Hmi1.Connector";
/// What the domain's errors begin with.
pub const ERROR_PREFIX: &str = "io.busbar.Error";
