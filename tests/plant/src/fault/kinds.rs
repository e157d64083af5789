//! The table of faults: one row says whom a fault can befall, its name, its number and what it means.
//!
//! `{}` in a name stands for the subject: a module, a connector, a bus, a board's unit, a relay or a pole.

/// Whom a kind of fault can befall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The cabinet as a whole.
    Cabinet,
    /// One of six power modules.
    Module,
    /// One of the two CAN buses.
    Bus,
    /// One of four I/O boards by its unit number.
    Unit,
    /// A matrix relay: connector and module.
    Relay,
    /// A pole of an output contactor: connector and `plus` or `minus`.
    Pole,
    /// One of the two connectors, with what belongs to it.
    Connector,
}

/// The number that some faults carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its unit, spelled out.
    pub unit: &'static str,
    /// What is taken when none is given.
    pub usual: i64,
    /// The least possible value.
    pub least: i64,
    /// The greatest possible value.
    pub most: i64,
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The fault.
    pub kind: Kind,
    /// Whom it can befall.
    pub scope: Scope,
    /// Its name, with `{}` for the subject.
    pub pattern: &'static str,
    /// What it means, in one line.
    pub meaning: &'static str,
    /// Its number, when it has one.
    pub parameter: Option<Parameter>,
}

macro_rules! parameter {
    () => {
        None
    };
    ($unit:literal $usual:literal in $least:literal ..= $most:literal) => {
        Some(Parameter { unit: $unit, usual: $usual, least: $least, most: $most })
    };
}

macro_rules! faults {
    ($($(#[doc = $meaning:literal])+ $kind:ident $scope:ident $pattern:literal
        $([$unit:literal $usual:literal in $least:literal ..= $most:literal])?;)+) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[doc = $meaning])+ $kind,)+
        }

        /// Every kind of fault.
        pub const TABLE: &[Row] = &[$(Row {
            kind: Kind::$kind,
            scope: Scope::$scope,
            pattern: $pattern,
            meaning: concat!($($meaning),+),
            parameter: parameter!($($unit $usual in $least ..= $most)?),
        },)+];
    };
}

faults! {
    /// the air around the cabinet has another temperature than 25 degrees
    AmbientHot Cabinet "ambient" ["celsius" 45 in -40..=100];
    /// one mains phase is gone: two line voltages fall, every module reports it and gives half of its power
    MainsPhaseLost Cabinet "mains-phase-lost";
    /// the mains voltage is too low: every module reports it and has no output
    MainsUnderVoltage Cabinet "mains-under-voltage" ["volts" 300 in 0..=360];
    /// the mains voltage is too high: every module reports it and has no output
    MainsOverVoltage Cabinet "mains-over-voltage" ["volts" 480 in 440..=600];

    /// the module neither hears nor answers
    ModuleSilent Module "module-{}-silent";
    /// the module hears and obeys, but answers nothing
    ModuleMute Module "module-{}-mute";
    /// the module's protection has tripped: the bit is set and there is no output
    ModuleTrip Module "module-{}-trip";
    /// the module has a fault of its own: the bit is set and there is no output
    ModuleBroken Module "module-{}-broken";
    /// the module is too hot: the bit is set and there is no output
    ModuleOverTemperature Module "module-{}-over-temperature";
    /// the module gives more voltage than told and reports nothing
    ModuleOverVoltage Module "module-{}-over-voltage" ["volts" 40 in 1..=500];
    /// the module has seen too much voltage at its output: the bit is set and there is no output
    ModuleOverVoltageTrip Module "module-{}-over-voltage-trip";
    /// the module's output is short-circuited: the bit is set and there is no output
    ModuleShort Module "module-{}-short";
    /// the module's fan has a fault: a bit only
    ModuleFan Module "module-{}-fan";
    /// the module's current is out of balance: a bit only
    ModuleImbalance Module "module-{}-imbalance";
    /// the module has lost a mains phase: the bit is set and it gives half of its power
    ModulePhaseLost Module "module-{}-phase-lost";
    /// the module has taken the address of another one; both report it
    ModuleDuplicateAddress Module "module-{}-duplicate-address" ["address" 1 in 1..=6];
    /// the module gives no more than this and reports that it derates
    ModuleDerate Module "module-{}-derate" ["watts" 10_000 in 0..=30_000];
    /// the module cannot be switched off, by command or by silence
    ModuleStuckOn Module "module-{}-stuck-on";

    /// the bus is gone: its connections are cut and new ones are refused
    BusDown Bus "{}-bus-down";
    /// the bus is off: its members are told an error and then nothing, and are heard no more
    BusOff Bus "{}-bus-off";
    /// what the station sends on the bus is lost
    BusStationUnheard Bus "{}-bus-station-unheard";
    /// what the hardware sends on the bus is lost
    BusHardwareUnheard Bus "{}-bus-hardware-unheard";
    /// every frame comes late
    BusDelay Bus "{}-bus-delay" ["milliseconds" 50 in 1..=60_000];
    /// this share of the frames is lost, the same ones each time
    BusDrop Bus "{}-bus-drop" ["percent" 10 in 1..=100];
    /// every frame comes twice
    BusDuplicate Bus "{}-bus-duplicate";
    /// the frames with this identifier are lost
    BusIdentifierLost Bus "{}-bus-identifier-lost" ["identifier" 0 in 0..=0x1FFF_FFFF];

    /// the I/O boards are gone
    IoDown Cabinet "io-down";
    /// the I/O boards answer late
    IoSlow Cabinet "io-slow" ["milliseconds" 150 in 1..=60_000];
    /// the I/O board with this unit number does not answer
    UnitDown Unit "io-{}-down";

    /// the relay is open whatever its coil says
    RelayStuckOpen Relay "relay-{}-stuck-open";
    /// the relay is closed whatever its coil says
    RelayStuckClosed Relay "relay-{}-stuck-closed";
    /// the relay closes as told, but does not open
    RelayWelded Relay "relay-{}-welded";
    /// the relay closes late
    RelaySlow Relay "relay-{}-slow" ["milliseconds" 400 in 1..=60_000];
    /// the relay's mirror contact says the opposite
    RelayMirrorLies Relay "relay-{}-mirror-lies";
    /// the relay's mirror contact says what the coil says
    RelayMirrorFollowsCoil Relay "relay-{}-mirror-follows-coil";

    /// the pole is open whatever its coil says
    PoleStuckOpen Pole "contactor-{}-stuck-open";
    /// the pole is closed whatever its coil says
    PoleStuckClosed Pole "contactor-{}-stuck-closed";
    /// the pole closes as told, but does not open
    PoleWelded Pole "contactor-{}-welded";
    /// the pole closes late
    PoleSlow Pole "contactor-{}-slow" ["milliseconds" 400 in 1..=60_000];
    /// the pole's mirror contact says the opposite
    PoleMirrorLies Pole "contactor-{}-mirror-lies";
    /// the pole's mirror contact says what the coil says
    PoleMirrorFollowsCoil Pole "contactor-{}-mirror-follows-coil";
    /// the discharge resistor of the connector does nothing
    BleederBroken Connector "bleeder-{}-broken";

    /// the cable lock does not move
    LockStuck Connector "lock-{}-stuck";
    /// the feedback of the cable lock says the opposite
    LockFeedbackLies Connector "lock-{}-feedback-lies";
    /// the door is open
    DoorOpen Connector "door-{}-open";
    /// the cabinet is tilted
    Tilted Connector "tilt-{}-tripped";
    /// there is water in the cabinet
    Water Connector "water-{}-inside";
    /// the insulation monitor's relay has dropped
    InsulationBad Connector "insulation-{}-bad";
    /// the insulation resistance has this value; the monitor's relay drops below 100 kilohms
    InsulationResistance Connector "insulation-{}-resistance" ["kilohms" 50 in 0..=1_000];
    /// the insulation resistance falls by this much in each second; the monitor's relay drops below 100 kilohms
    InsulationFalls Connector "insulation-{}-falls" ["kilohms-per-second" 200 in 1..=10_000];

    /// the meter is gone
    MeterDown Connector "meter-{}-down";
    /// the meter goes on telling what it told before
    MeterStuck Connector "meter-{}-stuck";
    /// the meter answers late
    MeterSlow Connector "meter-{}-slow" ["milliseconds" 1_500 in 1..=60_000];

    /// the sensors in the plug have this temperature
    PlugHot Connector "plug-{}-hot" ["celsius" 85 in -40..=150];
    /// the contacts of the plug have this resistance, and the current heats them; 300 is usual
    PlugResistance Connector "plug-{}-resistance" ["microohms" 3_000 in 1..=1_000_000];
    /// the first of the two sensors in the plug is interrupted and tells 40 degrees below zero
    PlugSensorBroken Connector "plug-{}-sensor-broken";

    /// the vehicle board sends nothing
    BoardSilent Connector "board-{}-silent";
    /// the vehicle board hears nothing
    BoardDeaf Connector "board-{}-deaf";
    /// the vehicle board sends its state, but no control any more
    BoardFrozen Connector "board-{}-frozen";
    /// the vehicle board tells a state that does not exist
    BoardNonsense Connector "board-{}-nonsense";
    /// the vehicle board breaks every session off with an emergency
    BoardEmergency Connector "board-{}-emergency";
    /// the vehicle board ends every session at once and in a hurry
    BoardRushed Connector "board-{}-rushed";
    /// the vehicle board is not available, and a session breaks off
    BoardNotAvailable Connector "board-{}-not-available";
    /// the frames of the vehicle board come late
    BoardLate Connector "board-{}-late" ["milliseconds" 150 in 1..=60_000];

    /// the vehicle never closes its contactors
    CarNeverCloses Connector "car-{}-never-closes";
    /// the vehicle opens its contactors in the charge
    CarOpensUnderLoad Connector "car-{}-opens-under-load";
    /// the vehicle's contactors do not open
    CarWelded Connector "car-{}-welded";
    /// the vehicle goes on when it is told to stop
    CarDoesNotStop Connector "car-{}-does-not-stop";
    /// the vehicle asks for more than it may have, by this much
    CarAsksMore Connector "car-{}-asks-more" ["amperes" 100 in 1..=3_000];
    /// the vehicle changes its limits and its demand wildly, twice in a second
    CarWild Connector "car-{}-wild";
    /// the vehicle's battery has a voltage above its own limit, by this much
    CarHighVoltage Connector "car-{}-high-voltage" ["volts" 40 in 1..=500];
    /// the control pilot goes back from state C to B
    PilotDrops Connector "car-{}-pilot-drops";
    /// the control pilot is in state E or F
    PilotError Connector "car-{}-pilot-error";
    /// the control pilot is in state A although the vehicle is there
    PilotLost Connector "car-{}-pilot-lost";
    /// the vehicle takes its time: its board stays in the state with this number until this ends
    CarLingers Connector "car-{}-lingers" ["board-state" 5 in 2..=10];
    /// the vehicle pauses the session (state 13) until this ends
    CarPauses Connector "car-{}-pauses";
    /// the vehicle has another largest current
    CarMaximumCurrent Connector "car-{}-maximum-current" ["amperes" 50 in 0..=1_000];
    /// the vehicle has another largest power
    CarMaximumPower Connector "car-{}-maximum-power" ["watts" 20_000 in 0..=1_000_000];
    /// the vehicle has another highest voltage
    CarMaximumVoltage Connector "car-{}-maximum-voltage" ["volts" 410 in 60..=1_000];
}
