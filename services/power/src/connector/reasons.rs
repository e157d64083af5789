//! Why a delivery ends: how it is then stopped, what the bus is told, and what must happen before the next one.

use busbar_interfaces::words::StopCause;
use serde::{Deserialize, Serialize};

/// How a delivery is stopped, the gentlest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stop {
    /// The current goes down, the modules off, the contactors open without current.
    Normal,
    /// Likewise, twice as quick, within a second (class F, hardware notes §6.1).
    Error,
    /// The modules are off at once, the contactors open at 5 A or after a second (class E, §9.5).
    Emergency,
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// The emergency stop is pressed.
    EmergencyStop,
    /// The cabinet is tilted.
    Tilt,
    /// The insulation monitor has tripped.
    Insulation,
    /// A contactor does not follow.
    Contactor,
    /// The modules give more voltage than they are told.
    OverVoltage,
    /// More current, likewise.
    OverCurrent,
    /// The cable was pulled out.
    Unplugged,
    /// The vehicle raises an emergency.
    VehicleEmergency,
    /// Its board does.
    BoardEmergency,
    /// The board is silent.
    BoardSilent,
    /// It does not tell the pilot any more.
    PilotSilent,
    /// The vehicle has gone back from state C or D to B without ending the session.
    PilotLowered,
    /// The output board is not read any more.
    InputsLost,
    /// A module in use is lost, or none is usable.
    ModulesLost,
    /// The board is where the sequence does not lead, or wants nothing any more.
    OutOfSequence,
    /// Contactors were found closed that nobody had noted.
    FoundClosed,
    /// What runs does not agree with the record of the last process.
    NotAdopted,
    /// Water in the cabinet.
    Water,
    /// The plug is beyond its hard limit.
    Heat,
    /// The plug's lock does not hold.
    Lock,
    /// The test voltage was not reached: a short circuit, perhaps.
    TestVoltage,
    /// The cable check takes too long.
    CableCheckTime,
    /// The precharge does.
    PrechargeTime,
    /// The vehicle ends the session.
    Finished,
    /// The lease was not renewed.
    LeaseEnded,
    /// It never came to deliver.
    TimedOut,
    /// It was asked for.
    Requested,
}

/// What a reason means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// How the delivery is stopped.
    pub stop: Stop,
    /// What the bus is told.
    pub cause: StopCause,
    /// The fault code that stays until the vehicle has gone or somebody resets it.
    pub stays: Option<&'static str>,
}

impl Reason {
    /// What it means.
    pub fn meaning(self) -> Meaning {
        use Reason::*;
        let of = |stop, cause, stays| Meaning { stop, cause, stays };
        match self {
            EmergencyStop => of(Stop::Emergency, StopCause::EmergencyStop, Some("0x100202")),
            Tilt => of(Stop::Emergency, StopCause::Fault, Some("0x10020E")),
            Insulation => of(Stop::Emergency, StopCause::Fault, Some("0x10020A")),
            Contactor => of(Stop::Emergency, StopCause::Fault, Some("0x100208")),
            OverVoltage => of(Stop::Emergency, StopCause::Fault, Some("0x100214")),
            OverCurrent => of(Stop::Emergency, StopCause::Fault, Some("0x100213")),
            Unplugged => of(Stop::Emergency, StopCause::Unplugged, None),
            VehicleEmergency | PilotLowered => of(Stop::Emergency, StopCause::Vehicle, None),
            BoardEmergency | BoardSilent | PilotSilent | InputsLost | ModulesLost | OutOfSequence | FoundClosed
            | NotAdopted => of(Stop::Emergency, StopCause::Fault, None),
            Water | Heat | Lock => of(Stop::Error, StopCause::Fault, None),
            TestVoltage => of(Stop::Error, StopCause::Fault, Some("0x10020A")),
            CableCheckTime | PrechargeTime => of(Stop::Error, StopCause::TimedOut, None),
            Finished => of(Stop::Normal, StopCause::Vehicle, None),
            LeaseEnded => of(Stop::Normal, StopCause::LeaseEnded, None),
            TimedOut => of(Stop::Normal, StopCause::TimedOut, None),
            Requested => of(Stop::Normal, StopCause::Requested, None),
        }
    }

    /// In words, for people.
    pub fn text(self) -> &'static str {
        match self {
            Reason::EmergencyStop => "the emergency stop was pressed",
            Reason::Tilt => "the cabinet was tilted",
            Reason::Insulation => "the insulation monitor tripped",
            Reason::Contactor => "an output contactor did not follow",
            Reason::OverVoltage => "the modules gave more voltage than they were told",
            Reason::OverCurrent => "the modules gave more current than they were told",
            Reason::Unplugged => "the cable was pulled out",
            Reason::VehicleEmergency => "the vehicle raised an emergency",
            Reason::BoardEmergency => "the SECC board raised an emergency",
            Reason::BoardSilent => "the SECC board fell silent",
            Reason::PilotSilent => "the control pilot was not told any more",
            Reason::PilotLowered => "the control pilot went back to state B",
            Reason::InputsLost => "the output board was not read any more",
            Reason::ModulesLost => "a module in use was lost, or none was usable",
            Reason::OutOfSequence => "the SECC board left the sequence",
            Reason::FoundClosed => "an output contactor was found closed without a delivery",
            Reason::NotAdopted => "what ran did not agree with the record",
            Reason::Water => "water in the cabinet",
            Reason::Heat => "the plug was too hot",
            Reason::Lock => "the plug's lock did not hold",
            Reason::TestVoltage => "the test voltage was not reached",
            Reason::CableCheckTime => "the cable check took too long",
            Reason::PrechargeTime => "the precharge took too long",
            Reason::Finished => "the vehicle ended the session",
            Reason::LeaseEnded => "the lease was not renewed",
            Reason::TimedOut => "it did not come to deliver in time",
            Reason::Requested => "it was asked for",
        }
    }
}
