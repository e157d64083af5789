//! What a board's frames mean.

use busbar_interfaces::{Milliamperes, Millivolts, Percent, Watts};
use serde::{Deserialize, Serialize};

/// What the board is doing (frame 6B000).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BoardStatus {
    /// Starting.
    Initialising,
    /// No vehicle talks.
    WaitingForVehicle,
    /// Talking, not yet in the sequence.
    Negotiating,
    /// The driver is being authorised.
    Authorising,
    /// The vehicle's parameters are known, ours are awaited.
    FullInfo,
    /// Testing the cable's insulation.
    InsulationTest,
    /// Bringing the output to the battery's voltage.
    Precharge,
    /// The voltages match; the vehicle closes its contactors.
    WaitingForCharge,
    /// Power may flow.
    Charging,
    /// No current for a time; session and contactors stay.
    Pause,
    /// Current goes down.
    Ending,
    /// The vehicle looks whether its contactors are welded.
    Welding,
    /// The session is being closed.
    Closing,
    /// Not available.
    NotAvailable,
    /// A number that the protocol does not have.
    Unknown(u8),
}

impl BoardStatus {
    /// The status of a number.
    pub fn of(number: u8) -> BoardStatus {
        match number {
            0 => BoardStatus::Initialising,
            1 => BoardStatus::WaitingForVehicle,
            2 => BoardStatus::Negotiating,
            3 => BoardStatus::FullInfo,
            4 => BoardStatus::InsulationTest,
            5 => BoardStatus::Precharge,
            6 => BoardStatus::WaitingForCharge,
            7 => BoardStatus::Charging,
            8 => BoardStatus::Ending,
            9 => BoardStatus::Welding,
            10 => BoardStatus::Closing,
            11 => BoardStatus::Authorising,
            12 => BoardStatus::NotAvailable,
            13 => BoardStatus::Pause,
            other => BoardStatus::Unknown(other),
        }
    }

    /// The vehicle talks, and nothing has been energised.
    pub fn is_before_power(self) -> bool {
        matches!(self, BoardStatus::Negotiating | BoardStatus::Authorising | BoardStatus::FullInfo)
    }

    /// From the cable check until the end of the charge.
    pub fn is_in_loop(self) -> bool {
        use BoardStatus::{Charging, InsulationTest, Pause, Precharge, WaitingForCharge};
        matches!(self, InsulationTest | Precharge | WaitingForCharge | Charging | Pause)
    }

    /// The session goes to its end.
    pub fn is_closing(self) -> bool {
        matches!(self, BoardStatus::Ending | BoardStatus::Welding | BoardStatus::Closing)
    }
}

/// What a vehicle and the board speak (frame 6B001, byte 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// DIN SPEC 70121.
    Din70121,
    /// The ISO 15118 draft of 2010.
    IsoDraft2010,
    /// ISO 15118-2.
    Iso15118Part2,
    /// CHAdeMO 0.9.
    Chademo0,
    /// CHAdeMO 1.x.
    Chademo1,
    /// CHAdeMO 2.x.
    Chademo2,
    /// Only the pilot's duty cycle.
    PilotOnly,
    /// ISO 15118-20.
    Iso15118Part20,
    /// A number that the protocol does not have.
    Unknown(u8),
}

/// The pins in use (frame 6B001, byte 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pins {
    /// DC over the AC pins.
    CcsCore,
    /// The DC pins of CCS.
    CcsExtended,
    /// CHAdeMO.
    Chademo,
    /// AC.
    Ac,
    /// Megawatt charging.
    Mcs,
    /// A number that the protocol does not have.
    Unknown(u8),
}

/// Frame 6B001.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// What is spoken.
    pub protocol: Protocol,
    /// Over which pins.
    pub pins: Pins,
}

/// What the board wants of the output (frame 6B003).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Function {
    /// Nothing.
    #[default]
    Off,
    /// Connected, no current.
    Standby,
    /// The test voltage.
    InsulationTest,
    /// The battery's voltage at no more than 2 A.
    Precharge,
    /// What the vehicle asks for.
    PowerTransfer,
}

/// Frame 6B003.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PowerControl {
    /// Voltage asked for.
    pub voltage: Millivolts,
    /// Most current asked for; nothing when the vehicle would rather give.
    pub current: Milliamperes,
    /// Least current in milliamperes; negative when the vehicle may give.
    pub least_milliamperes: i32,
    /// What for.
    pub function: Function,
    /// The current may be anywhere between least and most, instead of at the most.
    pub range: bool,
    /// Our output contactors are to be closed.
    pub close_contactors: bool,
    /// Our output is to fall to 20 V or less.
    pub lower_voltage: bool,
}

/// Frame 6B100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Battery {
    /// Capacity.
    pub capacity_kilowatt_hours: u16,
    /// State of charge now.
    pub present: Percent,
    /// The least wanted.
    pub least: Percent,
    /// Wanted at the end.
    pub target: Percent,
    /// The most that the vehicle allows.
    pub most: Percent,
}

/// Frame 6B101.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voltages {
    /// The vehicle's lowest.
    pub least: Millivolts,
    /// Its highest; 0 when it has not told it.
    pub most: Millivolts,
    /// What it measures.
    pub present: Millivolts,
}

/// Frames 6B102 and, for a vehicle that gives, 6B103.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeLimits {
    /// Least current.
    pub least_current: Milliamperes,
    /// Most current; 0 when the vehicle has not told it.
    pub most_current: Milliamperes,
    /// Least power.
    pub least_power: Watts,
    /// Most power.
    pub most_power: Watts,
}

/// Frame 6B104, in kilowatt-hours from now; negative is what the vehicle may give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Energy {
    /// Until its least.
    pub least_kilowatt_hours: i16,
    /// Until what it wants.
    pub target_kilowatt_hours: i16,
    /// Until its most.
    pub most_kilowatt_hours: i16,
}

/// Frame 6B201.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// The board's digital inputs 1 to 4.
    pub digital: [bool; 4],
    /// Its processor.
    pub board_celsius: i16,
    /// The two sensors in the plug; nothing where none answers.
    pub plug_celsius: [Option<i16>; 2],
}

/// The control pilot's state (frame 6B203, byte 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PilotState {
    /// No vehicle.
    A,
    /// A vehicle, not ready.
    B,
    /// Ready.
    C,
    /// Ready, ventilation wanted.
    D,
    /// Error, or the station's pilot is off.
    Ef,
    /// A number that the protocol does not have.
    Unknown(u8),
}

/// Frame 6B203.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pilot {
    /// Its state.
    pub state: PilotState,
    /// Duty cycle in thousandths.
    pub duty_permille: u16,
}

impl Pilot {
    /// The vehicle is ready to take power.
    pub fn is_ready(self) -> bool {
        matches!(self.state, PilotState::C | PilotState::D)
    }

    /// A vehicle is there.
    pub fn is_plugged(self) -> bool {
        matches!(self.state, PilotState::B | PilotState::C | PilotState::D)
    }
}

/// What a board said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// 6B000.
    Status(BoardStatus),
    /// 6B001: a vehicle talks; the station's status is awaited.
    NewSession(Session),
    /// 6B002: charging starts or stops.
    ChargeEdge(bool),
    /// 6B003.
    Control(PowerControl),
    /// 6B004: the session is over; false when it was rushed.
    Finished { clean: bool },
    /// 6B005: true when the vehicle is where it comes from.
    Emergency { from_vehicle: bool },
    /// 6B100.
    Battery(Battery),
    /// 6B101.
    Voltages(Voltages),
    /// 6B102.
    Charge(ChargeLimits),
    /// 6B103.
    Discharge(ChargeLimits),
    /// 6B104.
    Energy(Energy),
    /// 6B105.
    VehicleId([u8; 6]),
    /// 6B201.
    Inputs(Inputs),
    /// 6B203.
    Pilot(Pilot),
}
