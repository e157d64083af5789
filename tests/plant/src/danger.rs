//! What no station may do, as the hardware sees it happen.
//!
//! Only the words for it. Who notices is `circuit`, `car` and `guard`; whether a fault excuses it, `excuse`.

use std::fmt;

use crate::wiring::Connector;

/// A contact of the power circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact {
    /// The relay of a connector and a module.
    Relay(Connector, u8),
    /// The output contactor of a connector.
    Output(Connector),
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relay(connector, module) => write!(f, "connector {connector}: relay of module {module}"),
            Self::Output(connector) => write!(f, "connector {connector}: output contactor"),
        }
    }
}

/// Why the current of a connector has to end within a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The emergency stop is pressed.
    EmergencyStop,
    /// The cabinet is tilted.
    Tilt,
    /// The insulation monitor's relay has dropped.
    Insulation,
    /// The vehicle board announces an emergency.
    Board,
    /// The control pilot has left state C while the vehicle charges.
    Pilot,
    /// The plug has been pulled.
    Unplugged,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::EmergencyStop, Self::Tilt, Self::Insulation, Self::Board, Self::Pilot, Self::Unplugged];

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::EmergencyStop => "emergency-stop",
            Self::Tilt => "tilt",
            Self::Insulation => "insulation",
            Self::Board => "board-emergency",
            Self::Pilot => "control-pilot",
            Self::Unplugged => "unplugged",
        }
    }
}

/// Something that would hurt a person, a vehicle or the station.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are what the text says")]
pub enum Danger {
    /// A contact has closed between two live sides.
    ClosedOnDifference { contact: Contact, volts: f64, other_volts: f64 },
    /// A contact has opened while current flowed.
    OpenedUnderLoad { contact: Contact, amperes: f64 },
    /// A module feeds both buses.
    BothBuses(u8),
    /// Two batteries are in one connected node.
    VehiclesJoined,
    /// The vehicle sees more voltage than it can bear.
    OverVoltage { connector: Connector, volts: f64, limit: f64 },
    /// The vehicle gets more current than it asks for.
    OverDemand { connector: Connector, amperes: f64, demand: f64 },
    /// The vehicle gets more current for more than a second than it told it can take.
    AboveLimit { connector: Connector, amperes: f64, limit: f64 },
    /// Current still flows when an emergency is a second old; `still` when it is one and a half.
    CurrentAfterEmergency { connector: Connector, cause: Cause, amperes: f64, still: bool },
    /// There is voltage at the contacts of a plug that is in nobody's inlet.
    OpenConnectorLive { connector: Connector, volts: f64 },
    /// There is voltage on a cable that could be pulled.
    UnlockedLive { connector: Connector, volts: f64 },
    /// There is voltage at the vehicle although no session is there.
    OutputWithoutSession { connector: Connector, volts: f64 },
    /// The output contactor is closed and no vehicle is there.
    ClosedWithoutVehicle { connector: Connector },
}

impl fmt::Display for Danger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClosedOnDifference { contact, volts, other_volts } => {
                write!(f, "{contact} closed onto a voltage difference ({volts:.0} V and {other_volts:.0} V)")
            }
            Self::OpenedUnderLoad { contact, amperes } => write!(f, "{contact} opened under load ({amperes:.1} A)"),
            Self::BothBuses(module) => write!(f, "module {module} is connected to both buses"),
            Self::VehiclesJoined => f.write_str("two vehicles are connected with each other"),
            Self::OverVoltage { connector, volts, limit } => {
                write!(f, "connector {connector}: voltage above the car's limit ({volts:.1} V, limit {limit:.1} V)")
            }
            Self::OverDemand { connector, amperes, demand } => {
                write!(
                    f,
                    "connector {connector}: current above the car's demand ({amperes:.1} A, demand {demand:.1} A)"
                )
            }
            Self::AboveLimit { connector, amperes, limit } => {
                write!(f, "connector {connector}: current above the car's limit ({amperes:.1} A, limit {limit:.1} A)")
            }
            Self::CurrentAfterEmergency { connector, cause, amperes, still } => {
                let age = if *still { "1.5 s" } else { "1 s" };
                write!(f, "connector {connector}: current {age} after an emergency ({}, {amperes:.1} A)", cause.word())
            }
            Self::OpenConnectorLive { connector, volts } => {
                write!(f, "connector {connector}: voltage on an open connector ({volts:.0} V)")
            }
            Self::UnlockedLive { connector, volts } => {
                write!(f, "connector {connector}: voltage on a cable that is not locked ({volts:.0} V)")
            }
            Self::OutputWithoutSession { connector, volts } => {
                write!(f, "connector {connector}: output without a session ({volts:.0} V)")
            }
            Self::ClosedWithoutVehicle { connector } => {
                write!(f, "connector {connector}: output contactor closed without a vehicle")
            }
        }
    }
}
