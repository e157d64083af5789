//! What the bus is shown of the cabinet.

use super::{Cabinet, PATIENCE_AT_START, WhichBus};
use crate::can;
use crate::connector::BOARD_SILENT;
use crate::modules::facts::{ModuleFacts, ModuleState as Does};
use crate::sharing::RELAY_FAULT;
use busbar_interfaces::power::{
    CELSIUS_UNKNOWN, CanBusState, ModuleInfo, OUTPUT_CONTACTORS, PowerConnectorState, PowerState, RelayInfo,
};
use busbar_interfaces::words::{BusState, ModuleState, RelayState};
use busbar_interfaces::{BoottimeMillis, Condition, ConnectorId};

impl Cabinet {
    /// What the root object shows.
    pub fn state(&self, now: BoottimeMillis) -> PowerState {
        PowerState {
            rated_watts: self.settings.rated,
            modules_present: self.rack.present(now),
            can_buses: [WhichBus::Modules, WhichBus::Vehicles].map(|bus| self.bus_shown(bus)).into(),
            relays: self.relays_shown(),
            modules: self.facts.iter().map(|module| self.module_shown(module)).collect(),
            conditions: self.conditions(now),
        }
    }

    /// What is wrong now.
    fn conditions(&self, now: BoottimeMillis) -> Vec<Condition> {
        let mut conditions = self.station_conditions(now);
        for (id, connector) in &self.connectors {
            let mut own = connector.conditions(now, &self.seen(now, *id));
            // Without their bus every board is silent, and the bus is the fault.
            own.retain(|condition| !self.down.contains_key(&WhichBus::Vehicles) || condition.code != BOARD_SILENT);
            conditions.extend(own);
        }
        if !self.down.contains_key(&WhichBus::Modules) && now.since(self.started) >= PATIENCE_AT_START {
            conditions.extend(self.rack.conditions(now));
        }
        conditions
    }

    /// What is wrong with the station as a whole, and with the relays.
    pub(super) fn station_conditions(&self, now: BoottimeMillis) -> Vec<Condition> {
        if now.since(self.started) < PATIENCE_AT_START {
            return Vec::new();
        }
        let condition =
            |code: &str, detail: String| Condition { code: code.to_owned(), connector: ConnectorId::STATION, detail };
        let (modules, vehicles) = (&self.settings.modules_bus, &self.settings.vehicle_bus);
        let lost = [
            self.down
                .get(&WhichBus::Modules)
                .map(|reason| condition("0x200001", format!("CAN bus of the power modules, {modules}: {reason}"))),
            self.down
                .get(&WhichBus::Vehicles)
                .map(|reason| condition(BOARD_SILENT, format!("CAN bus of the SECC boards, {vehicles}: {reason}"))),
            self.panel.lost().map(|reason| condition("0x100210", format!("I/O boards at {reason}"))),
            self.panel.refused(now).map(|reason| condition(RELAY_FAULT, format!("the I/O port refused: {reason}"))),
        ];
        lost.into_iter().flatten().chain(self.sharing_conditions.iter().cloned()).collect()
    }

    /// What a connector's object shows.
    pub fn connector_states(&self, now: BoottimeMillis) -> Vec<(ConnectorId, PowerConnectorState)> {
        let joined = |id| u32::try_from(self.rack.joined_to(id)).unwrap_or(u32::MAX);
        self.connectors
            .iter()
            .map(|(id, each)| {
                let state = each.state(now, &self.seen(now, *id));
                (*id, PowerConnectorState { modules_joined: joined(*id), ..state })
            })
            .collect()
    }

    fn bus_shown(&self, bus: WhichBus) -> CanBusState {
        let (name, address) = match bus {
            WhichBus::Modules => ("modules", &self.settings.modules_bus),
            WhichBus::Vehicles => ("vehicles", &self.settings.vehicle_bus),
        };
        let health = self.health.get(&bus);
        CanBusState {
            bus: name.to_owned(),
            address: address.to_string(),
            state: health.map_or(BusState::Down, |health| match health.state {
                can::BusState::Active => BusState::Active,
                can::BusState::Passive => BusState::Passive,
                can::BusState::BusOff => BusState::BusOff,
                can::BusState::Down => BusState::Down,
            }),
            since_boottime_millis: health.map_or(self.started, |health| health.since),
            frames_sent: health.map_or(0, |health| health.sent),
            frames_received: health.map_or(0, |health| health.received),
            frames_dropped: health.map_or(0, |health| health.dropped),
            error_frames: health.map_or(0, |health| health.error_frames),
            transmit_errors: health.map_or(0, |health| health.transmit_errors.into()),
            receive_errors: health.map_or(0, |health| health.receive_errors.into()),
            bus_offs: health.map_or(0, |health| u32::try_from(health.bus_offs).unwrap_or(u32::MAX)),
            load_permille: health.map_or(0, |health| health.load_permille.into()),
        }
    }

    fn relays_shown(&self) -> Vec<RelayInfo> {
        let outputs = self.connectors.iter().map(|(id, each)| {
            let wiring = self.settings.connectors.iter().find(|wiring| wiring.connector == *id);
            let board = wiring.and_then(|wiring| self.panel.board(*id, &wiring.io));
            let state = board.map_or(RelayState::Unknown, |board| match board.contactors_open() {
                _ if each.contactors().fault().is_some() => RelayState::Failed,
                true => RelayState::Open,
                false => RelayState::Closed,
            });
            let wear = each.contactors().wear();
            let (connector, module) = (*id, OUTPUT_CONTACTORS);
            RelayInfo { connector, module, state, cycles: wear.cycles, forced_openings: wear.forced }
        });
        let relays = self.sharing.relays().map(|(module, connector, relay)| {
            let known = self.relay(module, connector).is_some_and(|point| self.panel.unit(point.unit).is_some());
            let state = match known {
                _ if relay.is_locked() => RelayState::Failed,
                false => RelayState::Unknown,
                true if self.mirror_closed(module, connector) => RelayState::Closed,
                true => RelayState::Open,
            };
            let wear = relay.wear();
            RelayInfo { connector, module: module.0, state, cycles: wear.cycles, forced_openings: wear.forced }
        });
        outputs.chain(relays).collect()
    }

    fn module_shown(&self, module: &ModuleFacts) -> ModuleInfo {
        let moves = self.moving.as_ref().is_some_and(|moving| moving.module == module.address);
        let state = match module.state {
            Does::Unheard | Does::Silent => ModuleState::Silent,
            Does::Unusable | Does::Unavailable => ModuleState::Failing,
            _ if moves => ModuleState::Moving,
            Does::Off => ModuleState::Off,
            _ if module.available_power < module.rating => ModuleState::Derating,
            Does::Stopping | Does::Preparing | Does::Standby | Does::Delivering => ModuleState::On,
        };
        ModuleInfo {
            address: module.address.0,
            serial: module.serial.clone().unwrap_or_default(),
            connector: module.owner.filter(|_| !moves).unwrap_or(ConnectorId::STATION),
            state,
            rated_watts: module.rating,
            output_millivolts: module.voltage,
            output_milliamperes: module.current,
            inlet_celsius: module.ambient_celsius.map_or(CELSIUS_UNKNOWN, i32::from),
            alarms: module.alarms.iter().map(|alarm| alarm.word().to_owned()).collect(),
        }
    }
}
