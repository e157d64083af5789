//! The control object of one connector with the vehicle that may be plugged in.

use std::collections::HashMap;
use std::sync::Arc;

use zbus::OwnedVariant;

use super::{ControlError, thousandths};
use crate::board::Board;
use crate::cabinet::Cabinet;
use crate::car::Car;
use crate::danger::Cause;
use crate::plant::Plant;
use crate::plug_options;
use crate::reaction::Reaction;
use crate::wiring::Connector;

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
        if pressed {
            self.plant.begin_reaction(self.connector, Cause::EmergencyStop.word());
        }
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
        self.plant.begin_reaction(self.connector, Cause::Unplugged.word());
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
    /// `insulation-test`, `precharge`, `waiting-for-charge`, `charging`, `pause`, `ending`, `welding` or `closing`.
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

    /// Times since the last plug-in that the current fell by a fifth or more below a demand that it had reached.
    #[zbus(property(emits_changed_signal = "false"))]
    fn current_dips(&self) -> u32 {
        self.look(|board| board.statistics().dips)
    }

    /// Longest of these times in milliseconds, in steps of ten.
    #[zbus(property(emits_changed_signal = "false"))]
    fn longest_dip_millis(&self) -> u32 {
        let dip = self.look(|board| board.statistics().longest_dip);
        u32::try_from(dip.as_millis()).unwrap_or(u32::MAX)
    }

    /// True while the cable lock holds the plug.
    #[zbus(property(emits_changed_signal = "false"))]
    fn locked(&self) -> bool {
        self.plant.with(|cabinet| cabinet.surroundings(self.connector).lock.is_locked())
    }

    /// What the two sensors in the plug tell, in degrees Celsius.
    #[zbus(property(emits_changed_signal = "false"))]
    fn plug_celsius(&self) -> Vec<i32> {
        self.look(|board| board.contacts.sensors().map(|celsius| celsius.round() as i32).to_vec())
    }

    /// Voltage of the control pilot: 12 in state A, 9 in B, 6 in C, 0 in E and F.
    #[zbus(property(emits_changed_signal = "false"))]
    fn pilot_volts(&self) -> u8 {
        self.look(Board::pilot_volts)
    }

    /// Insulation resistance in kilohms.
    #[zbus(property(emits_changed_signal = "false"))]
    fn insulation_kilohms(&self) -> u32 {
        self.plant.with(|cabinet| cabinet.surroundings(self.connector).insulation_kilohms().round() as u32)
    }

    /// Why the current of this connector has to end now: `emergency-stop`, `tilt`, `insulation`, `board-emergency`,
    /// `control-pilot`, `unplugged`. Empty when nothing forbids it.
    #[zbus(property(emits_changed_signal = "false"))]
    fn emergency_causes(&self) -> Vec<String> {
        let words =
            |cabinet: &mut Cabinet| cabinet.causes(self.connector).into_iter().map(|cause| cause.word().to_owned());
        self.plant.with(|cabinet| words(cabinet).collect())
    }

    /// What the station had to react to last while a module worked for this connector, and when: the word for it or
    /// the name of the fault; and in nanoseconds of CLOCK_BOOTTIME when it began in the hardware, when a frame or an
    /// answer that tells it was first given to the station, and when the first frame came that switches one of these
    /// modules off; 0 for what has not happened. All empty and 0 when there was nothing.
    #[zbus(property(emits_changed_signal = "false"))]
    fn last_reaction_times(&self) -> (String, u64, u64, u64) {
        let told = |reaction: Option<&Reaction>| {
            reaction.map_or_else(Default::default, |reaction| {
                let Reaction { what, began, told, off } = reaction.clone();
                (what, began, told.unwrap_or(0), off.unwrap_or(0))
            })
        };
        self.plant.reactions(|reactions| told(reactions.last(self.connector)))
    }

    /// Microseconds of the last reaction, from the moment the station could know to the first module-off frame;
    /// -1 when there was none or it has not come.
    #[zbus(property(emits_changed_signal = "false"))]
    fn last_reaction(&self) -> i64 {
        let micros = |reaction: &Reaction| reaction.micros().and_then(|micros| i64::try_from(micros).ok());
        self.plant.reactions(|reactions| reactions.last(self.connector).and_then(micros)).unwrap_or(-1)
    }
}
