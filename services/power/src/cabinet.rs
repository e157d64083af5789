//! The whole cabinet: modules, boards, connectors, and what the station can give. Pure: news go in through methods,
//! `act` says what is due.

use crate::advantics;
use crate::can::{BusNews, Frame};
use crate::connector::{Connector, Seen};
use crate::infypower::Address;
use crate::io::{Board, CoilOrder, IoNews, LOST_AFTER};
use crate::matrix::Matrix;
use crate::rack::Rack;
use crate::record::Deliveries;
use crate::settings::Settings;
use crate::supervision::BOARD_SILENT;
use busbar_interfaces::power::{PowerConnectorState, PowerState};
use busbar_interfaces::{BoottimeMillis, CallError, Condition, ConnectorId, TransactionId, Watts};
use std::collections::BTreeMap;
use std::time::Duration;

/// After the start nothing is reported as absent before this time.
const PATIENCE_AT_START: Duration = Duration::from_secs(1);

/// A coil order is repeated after this time while the coil still reads otherwise.
const REPEAT_COIL: Duration = Duration::from_millis(150);

/// One of the two buses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhichBus {
    /// Power modules.
    Modules,
    /// SECC boards.
    Vehicles,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send a frame.
    Send(WhichBus, Frame),
    /// Order a coil.
    Coil(CoilOrder),
}

/// The cabinet.
#[derive(Debug)]
pub struct Cabinet {
    rated: Watts,
    started: BoottimeMillis,
    modules_address: String,
    vehicle_address: String,
    io_address: String,
    modules_down: Option<String>,
    vehicles_down: Option<String>,
    boards: BTreeMap<u8, Board>,
    boards_read: BoottimeMillis,
    boards_lost: Option<String>,
    ordered: BTreeMap<(u8, u8), (bool, BoottimeMillis)>,
    matrix: Matrix,
    rack: Rack,
    connectors: BTreeMap<ConnectorId, Connector>,
}

impl Cabinet {
    /// The cabinet after the start of the process, with what the last process noted.
    pub fn new(settings: &Settings, record: &Deliveries, now: BoottimeMillis) -> Cabinet {
        let connectors = settings.connectors.iter().map(|wiring| {
            let connector = Connector::new(
                wiring.clone(),
                settings.fallback_limit,
                settings.ramp_milliamperes_per_second,
                settings.sequence_limit,
                record.get(&wiring.connector).cloned().unwrap_or_default(),
                now,
            );
            (wiring.connector, connector)
        });
        let mut rack = Rack::new(&settings.modules, now);
        for record in record.values().filter_map(|record| record.delivery.as_ref()) {
            record.modules.iter().for_each(|address| rack.was_on(Address(*address)));
        }
        Cabinet {
            rated: settings.rated,
            started: now,
            modules_address: settings.modules_bus.to_string(),
            vehicle_address: settings.vehicle_bus.to_string(),
            io_address: settings.io_address.clone(),
            modules_down: Some("not open yet".to_owned()),
            vehicles_down: Some("not open yet".to_owned()),
            boards: BTreeMap::new(),
            boards_read: now,
            boards_lost: Some("not read yet".to_owned()),
            ordered: BTreeMap::new(),
            matrix: Matrix::new(settings),
            rack,
            connectors: connectors.collect(),
        }
    }

    /// A bus came, went, or brought a frame.
    pub fn bus_told(&mut self, now: BoottimeMillis, bus: WhichBus, news: BusNews) {
        let down = match bus {
            WhichBus::Modules => &mut self.modules_down,
            WhichBus::Vehicles => &mut self.vehicles_down,
        };
        match news {
            BusNews::Up => {
                tracing::info!(?bus, "the CAN bus is open");
                *down = None;
                if bus == WhichBus::Modules {
                    self.rack.ask_all();
                }
            }
            BusNews::Down(reason) => {
                if down.is_none() {
                    tracing::error!(?bus, reason, "the CAN bus is lost");
                }
                *down = Some(reason);
            }
            BusNews::Received(frame) => match bus {
                WhichBus::Modules => self.rack.hear(now, &frame),
                WhichBus::Vehicles => {
                    if let Some((connector, word)) = advantics::decode(&frame)
                        && let Some(connector) = self.connectors.get_mut(&connector)
                    {
                        connector.vehicle.hear(now, word);
                    }
                }
            },
        }
    }

    /// The I/O boards were read, or cannot be.
    pub fn boards_told(&mut self, now: BoottimeMillis, news: IoNews) {
        match news {
            IoNews::Read(boards) => {
                if self.boards_lost.take().is_some() {
                    tracing::info!("the I/O boards answer");
                }
                self.rack.relays_told(|unit, coil| boards.get(&unit).is_some_and(|board| board.input(coil)));
                self.matrix.watch(now, &boards);
                self.boards = boards;
                self.boards_read = now;
            }
            IoNews::Lost(reason) => {
                if self.boards_lost.is_none() {
                    tracing::error!(reason, "the I/O boards are lost");
                }
                self.boards_lost = Some(reason);
                self.boards.clear();
            }
        }
    }

    /// Starts a delivery.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn start(
        &mut self,
        now: BoottimeMillis,
        connector: ConnectorId,
        delivery: TransactionId,
        lease: Duration,
    ) -> Result<(), CallError> {
        if let Some(condition) = self.station_conditions(now).first() {
            return Err(CallError::NotReady(format!("fault {}: {}", condition.code, condition.detail)));
        }
        let seen = self.seen(now, connector);
        self.connector(connector)?.start(now, &seen, delivery, lease)
    }

    /// One connector.
    ///
    /// # Errors
    /// `NotFound` when there is none with this number.
    pub fn connector(&mut self, connector: ConnectorId) -> Result<&mut Connector, CallError> {
        let missing = || CallError::NotFound(format!("there is no connector {connector}"));
        self.connectors.get_mut(&connector).ok_or_else(missing)
    }

    /// What is due now.
    pub fn act(&mut self, now: BoottimeMillis) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.forget_old_boards(now);
        let ids: Vec<ConnectorId> = self.connectors.keys().copied().collect();
        for id in ids {
            let seen = self.seen(now, id);
            let Some(connector) = self.connectors.get_mut(&id) else { continue };
            let orders = connector.act(now, &seen);
            let unit = connector.io_unit();
            if let Some(voltage) = orders.adopted {
                self.rack.adopt(id, voltage);
            }
            if orders.hands_off {
                continue;
            }
            match orders.output {
                Some((voltage, current)) => self.rack.deliver(now, id, voltage, current),
                None => self.rack.rest(now, id),
            }
            effects.extend(orders.frames.into_iter().map(|frame| Effect::Send(WhichBus::Vehicles, frame)));
            effects.extend(orders.coils.into_iter().map(|(coil, on)| Effect::Coil(CoilOrder { unit, coil, on })));
            let dead = !seen.output.is_live();
            for relay in self.rack.relays(now, id) {
                let on = orders.relays_closed;
                let differs = self.boards.get(&relay.unit).is_some_and(|board| board.coil(relay.coil) != on);
                if differs && (!on || (relay.may_close && dead)) {
                    effects.push(Effect::Coil(CoilOrder { unit: relay.unit, coil: relay.coil, on }));
                }
            }
        }
        effects.extend(self.matrix.strays(&self.boards).into_iter().map(Effect::Coil));
        let connectors = &self.connectors;
        let in_use = |id| connectors.get(&id).is_some_and(Connector::is_in_use);
        let frames = self.rack.frames_due(now, in_use);
        effects.extend(frames.into_iter().map(|frame| Effect::Send(WhichBus::Modules, frame)));
        effects.retain(|effect| match effect {
            Effect::Coil(order) => self.is_due(now, *order),
            Effect::Send(..) => true,
        });
        effects
    }

    /// An order that was just given is on its way; if the coil still reads otherwise later, it is given again.
    fn is_due(&mut self, now: BoottimeMillis, order: CoilOrder) -> bool {
        let key = (order.unit, order.coil);
        let on_its_way = self.ordered.get(&key).is_some_and(|(on, at)| *on == order.on && now.since(*at) < REPEAT_COIL);
        if !on_its_way {
            self.ordered.insert(key, (order.on, now));
        }
        !on_its_way
    }

    /// Inputs that are old are not known, whatever the port says.
    fn forget_old_boards(&mut self, now: BoottimeMillis) {
        if self.boards_lost.is_none() && now.since(self.boards_read) > LOST_AFTER {
            self.boards_told(now, IoNews::Lost(format!("{}: not read in time", self.io_address)));
        }
    }

    fn seen(&self, now: BoottimeMillis, connector: ConnectorId) -> Seen {
        let unit = self.connectors.get(&connector).map(Connector::io_unit);
        let in_use = self.connectors.values().filter(|each| each.is_in_use()).count();
        let shares = u32::try_from(in_use.max(1)).unwrap_or(1);
        Seen {
            output: self.rack.output(now, connector),
            board: unit.and_then(|unit| self.boards.get(&unit)).copied(),
            station_share: Watts(self.rated.0.checked_div(shares).unwrap_or(0)),
        }
    }

    /// What the next process should know.
    pub fn record(&self) -> Deliveries {
        self.connectors.iter().filter_map(|(id, each)| Some((*id, each.record(self.rack.told_on(*id))?))).collect()
    }

    /// A planned stop: every delivery ends, safely.
    pub fn stop_all(&mut self, now: BoottimeMillis) {
        for connector in self.connectors.values_mut() {
            connector.end_for_stop(now);
        }
    }

    /// No delivery runs or is being ended.
    pub fn is_at_rest(&self, now: BoottimeMillis) -> bool {
        self.connectors.keys().all(|id| {
            let seen = self.seen(now, *id);
            self.connectors.get(id).is_none_or(|each| each.is_at_rest(&seen))
                && (seen.output.at_rest || seen.output.usable == 0)
        })
    }

    /// What the root object shows.
    pub fn state(&self, now: BoottimeMillis) -> PowerState {
        let mut conditions = self.station_conditions(now);
        for (id, connector) in &self.connectors {
            let mut own = connector.conditions(now, &self.seen(now, *id));
            // Without their bus every board is silent, and the bus is the fault.
            own.retain(|condition| self.vehicles_down.is_none() || condition.code != BOARD_SILENT);
            conditions.extend(own);
        }
        PowerState { rated_watts: self.rated, modules_present: self.rack.present(now), conditions }
    }

    /// What a connector's object shows.
    pub fn connector_states(&self, now: BoottimeMillis) -> Vec<(ConnectorId, PowerConnectorState)> {
        self.connectors.iter().map(|(id, each)| (*id, each.state(now, &self.seen(now, *id)))).collect()
    }

    fn station_conditions(&self, now: BoottimeMillis) -> Vec<Condition> {
        if now.since(self.started) < PATIENCE_AT_START {
            return Vec::new();
        }
        let condition =
            |code: &str, detail: String| Condition { code: code.to_owned(), connector: ConnectorId::STATION, detail };
        let (modules, vehicles) = (&self.modules_address, &self.vehicle_address);
        let modules_down = self.modules_down.as_ref();
        let vehicles_down = self.vehicles_down.as_ref();
        let boards_lost = self.boards_lost.as_ref();
        [
            modules_down
                .map(|reason| condition("0x200001", format!("CAN bus of the power modules, {modules}: {reason}"))),
            vehicles_down
                .map(|reason| condition(BOARD_SILENT, format!("CAN bus of the SECC boards, {vehicles}: {reason}"))),
            boards_lost.map(|reason| condition("0x100210", format!("I/O boards at {reason}"))),
            self.matrix.fault().map(|detail| condition("0x200003", detail.clone())),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
