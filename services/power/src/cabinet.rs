//! The whole cabinet: modules, relays, boards, connectors, and what the station can give. Pure: news go in through
//! methods, `act` says what is due. What each connector sees of the rest is put together in `views`, what the bus is
//! shown in `shown`, how its
//! relays and contactors wear in `wear`.

mod shown;
mod views;
mod wear;

use crate::can::{BusNews, BusState, Frame, Health};
use crate::connector::{Connector, Run};
use crate::io::{CoilOrder, IoNews, Output as Coil, Panel};
use crate::modules::driver::{Address, Family};
use crate::modules::facts::ModuleFacts;
use crate::modules::rack::{Fitted, Rack};
use crate::modules::{self};
use crate::settings::Settings;
use crate::sharing::{self, ModuleOrder, MoveSeen, Owner, Preparation, Share, Sharing};
use crate::vehicle::advantics;
use crate::watchdogs;
use busbar_interfaces::{BoottimeMillis, CallError, Condition, ConnectorId, TransactionId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Without news the cabinet is looked at this often: half of the shortest period in it.
pub const LOOK: Duration = Duration::from_millis(25);
/// After the start nothing is reported as absent before this time.
const PATIENCE_AT_START: Duration = Duration::from_secs(1);
/// A coil order is repeated after this time while the coil still reads otherwise.
const REPEAT_COIL: Duration = Duration::from_millis(150);

/// One of the two buses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

/// What one process leaves to the next: all that cannot be asked again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Left {
    rack: Rack,
    sharing: Sharing,
    shares: BTreeMap<ConnectorId, Share>,
    connectors: BTreeMap<ConnectorId, Run>,
    /// What was on disk of the wear of its switches is part of it.
    #[serde(default)]
    wear_known: bool,
}

/// The cabinet.
#[derive(Debug)]
pub struct Cabinet {
    settings: Settings,
    started: BoottimeMillis,
    down: BTreeMap<WhichBus, String>,
    health: BTreeMap<WhichBus, Health>,
    panel: Panel,
    ordered: BTreeMap<(u8, u8), (bool, BoottimeMillis)>,
    sharing: Sharing,
    shares: BTreeMap<ConnectorId, Share>,
    moving: Option<MoveSeen>,
    sharing_conditions: Vec<Condition>,
    rack: Rack,
    /// What was known of the modules when it was last acted.
    facts: Vec<ModuleFacts>,
    connectors: BTreeMap<ConnectorId, Connector>,
    wear_known: bool,
}

impl Cabinet {
    /// The cabinet after the start of the process, of which nothing is known.
    pub fn new(settings: &Settings, now: BoottimeMillis) -> Cabinet {
        watchdogs::tell();
        let connectors =
            settings.connectors.iter().map(|wiring| (wiring.connector, Connector::new(wiring.clone(), settings, now)));
        let fitted: Vec<Fitted> =
            settings.modules.iter().map(|wiring| Fitted { address: wiring.address, serial: None }).collect();
        let not_open = || "not open yet".to_owned();
        Cabinet {
            started: now,
            down: BTreeMap::from([(WhichBus::Modules, not_open()), (WhichBus::Vehicles, not_open())]),
            health: BTreeMap::new(),
            panel: Panel::new(now),
            ordered: BTreeMap::new(),
            sharing: Sharing::found(&settings.modules, sharing::RELAY_CYCLES),
            shares: BTreeMap::new(),
            moving: None,
            sharing_conditions: Vec::new(),
            rack: Rack::new(Family::Infypower, &fitted, settings.walk_in, now),
            facts: Vec::new(),
            connectors: connectors.collect(),
            wear_known: false,
            settings: settings.clone(),
        }
    }

    /// The cabinet as the last process left it. What runs goes on when the hardware agrees that it does.
    pub fn resume(settings: &Settings, left: Left, now: BoottimeMillis) -> Cabinet {
        let mut cabinet = Cabinet::new(settings, now);
        (cabinet.rack, cabinet.sharing, cabinet.shares) = (left.rack, left.sharing, left.shares);
        cabinet.wear_known = left.wear_known;
        cabinet.rack.look_again(now);
        // What is shown before the first act is what was known, not a cabinet without modules.
        cabinet.facts = cabinet.rack.facts(now);
        for (id, run) in left.connectors {
            if let Some(connector) = cabinet.connectors.get_mut(&id) {
                connector.go_on(now, run);
            }
        }
        cabinet
    }

    /// What the next process needs.
    pub fn leave(&self) -> Left {
        let runs = self.connectors.iter().map(|(id, each)| (*id, each.run().clone()));
        Left {
            rack: self.rack.clone(),
            sharing: self.sharing.clone(),
            shares: self.shares.clone(),
            connectors: runs.collect(),
            wear_known: self.wear_known,
        }
    }

    /// A bus came, went, or brought a frame.
    pub fn bus_told(&mut self, now: BoottimeMillis, bus: WhichBus, news: BusNews) {
        match news {
            BusNews::Up => {
                tracing::info!(?bus, "the CAN bus is open");
                self.down.remove(&bus);
                if bus == WhichBus::Modules {
                    self.rack.ask_all();
                }
            }
            BusNews::Down(reason) => {
                if !self.down.contains_key(&bus) {
                    tracing::error!(?bus, reason, "the CAN bus is lost");
                }
                self.down.insert(bus, reason);
            }
            BusNews::Health(health) => {
                let before = self.health.insert(bus, health.clone()).map(|before| before.state);
                log_strain(bus, before, &health);
            }
            BusNews::Received(frame) => match bus {
                WhichBus::Modules => self.rack.hear(now, &frame),
                WhichBus::Vehicles => {
                    if let Some((connector, word)) = advantics::decode(&frame)
                        && let Some(connector) = self.connectors.get_mut(&connector)
                    {
                        connector.hear(now, word);
                    }
                }
            },
        }
    }

    /// The I/O boards were read, or cannot be.
    pub fn boards_told(&mut self, now: BoottimeMillis, news: IoNews) {
        let wiring = self.settings.connectors.iter().map(|each| (each.connector, &each.io));
        self.panel.told(now, wiring, news);
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
        let conditions = self.station_conditions(now);
        if let Some(condition) = conditions.iter().find(|condition| sharing::stands_against(condition, connector)) {
            return Err(CallError::NotReady(format!("fault {}: {}", condition.code, condition.detail)));
        }
        let seen = self.seen(now, connector);
        self.connector(connector)?.start(now, &seen, delivery, lease)
    }

    /// Resets what is latched at a connector, and the relays that were locked out.
    ///
    /// # Errors
    /// Why it cannot be reset yet.
    pub fn reset_fault(&mut self, now: BoottimeMillis, connector: ConnectorId) -> Result<(), CallError> {
        let seen = self.seen(now, connector);
        self.connector(connector)?.reset_fault(now, &seen)?;
        self.sharing.reset();
        Ok(())
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
        self.panel.forget_old(now, &self.settings.io_address);
        self.facts = self.rack.facts(now);
        let mut coils = self.share(now);
        self.facts = self.rack.facts(now);
        let mut effects = Vec::new();
        let ids: Vec<ConnectorId> = self.connectors.keys().copied().collect();
        for id in ids {
            self.act_at(now, id, &mut effects, &mut coils);
        }
        let off_first = self.all_off_in_an_emergency(now);
        let connectors = &self.connectors;
        let in_use = |id| connectors.get(&id).is_some_and(Connector::is_in_use);
        let frames = off_first.into_iter().chain(self.rack.frames_due(now, in_use));
        effects.extend(frames.map(|frame| Effect::Send(WhichBus::Modules, frame)));
        let due: Vec<CoilOrder> = coils.into_iter().filter(|order| self.is_due(now, *order)).collect();
        effects.extend(due.into_iter().map(Effect::Coil));
        // Hardware notes §9.5: modules off first, then the vehicle is told, in the same cycle.
        let is_off =
            |effect: &Effect| matches!(effect, Effect::Send(WhichBus::Modules, frame) if modules::is_off(frame));
        effects.sort_by_key(|effect| !is_off(effect));
        effects
    }

    /// Gives the modules to the connectors.
    fn share(&mut self, now: BoottimeMillis) -> Vec<CoilOrder> {
        // A process that goes on knows nothing of the relays before it has read them: nothing is decided meanwhile.
        if self.panel.lost().is_some() && self.connectors.values().any(Connector::is_looked_at) {
            return Vec::new();
        }
        let view = self.sharing_view(now);
        let orders = self.sharing.act(now, &view);
        for event in &orders.events {
            tracing::info!(?event, "relay matrix");
        }
        for (address, order) in &orders.modules {
            self.order_module(now, *address, *order, orders.moving.as_ref());
        }
        self.shares = orders.shares;
        self.moving = orders.moving;
        self.sharing_conditions = orders.conditions;
        orders.coils
    }

    fn order_module(&mut self, now: BoottimeMillis, address: Address, order: ModuleOrder, moving: Option<&MoveSeen>) {
        let to = moving.filter(|moving| moving.module == address).and_then(|moving| moving.to);
        let owner = match (order.owner, order.preparation) {
            (Owner::Of(connector), _) => Some(Some(connector)),
            (Owner::Moving, Preparation::Joining(_)) => to.map(Some),
            // Nobody's, or on its way: its current counts where its relay joins it.
            (Owner::None | Owner::Moving, _) => Some(order.joined),
        };
        if order.preparation == Preparation::Untouched {
            let is_joined = order.joined.is_some() && order.joined == self.rack.owner(address);
            self.rack.joined(address, is_joined);
            return;
        }
        if let Some(connector) = order.joined.filter(|_| order.preparation == Preparation::Off) {
            self.rack.found_joined(address, connector);
        }
        // One that is not at rest yet is given later; until then it does as its former owner asks, or is off.
        let given = owner.is_none_or(|owner| self.rack.assign(now, address, owner));
        match order.preparation {
            Preparation::Joining(voltage) if given => self.rack.prepare(now, address, voltage),
            Preparation::Normal if given => self.rack.let_go(address),
            _ => self.rack.hold_off(now, address),
        }
        if let Some(Some(owner)) = owner {
            // A relay that is only ordered closed joins nothing yet; one that has closed and is misread once still does.
            let settled = order.preparation == Preparation::Normal && order.joined == Some(owner);
            let joined = settled || self.mirror_closed(address, owner);
            self.rack.joined(address, joined);
        }
    }

    fn act_at(&mut self, now: BoottimeMillis, id: ConnectorId, effects: &mut Vec<Effect>, coils: &mut Vec<CoilOrder>) {
        let seen = self.seen(now, id);
        let Some(connector) = self.connectors.get_mut(&id) else { return };
        let orders = connector.act(now, &seen);
        effects.extend(orders.frames.into_iter().map(|frame| Effect::Send(WhichBus::Vehicles, frame)));
        if orders.hands_off {
            return;
        }
        match orders.output {
            Some((voltage, current)) => self.rack.deliver(now, id, voltage, current),
            None => self.rack.rest(now, id),
        }
        let closes = |coil: Coil, on: bool| on && matches!(coil, Coil::PositiveContactor | Coil::NegativeContactor);
        // Hardware notes §6.2, rule 4: the last look before a contactor closes is at all that is closed.
        let may_close = orders.coils.iter().all(|(coil, on)| !closes(*coil, *on)) || {
            let view = self.sharing_view(now);
            self.sharing.may_close_output(&view, id)
        };
        let Some(wiring) = self.settings.connectors.iter().find(|each| each.connector == id) else { return };
        let allowed = orders.coils.into_iter().filter(|(coil, on)| may_close || !closes(*coil, *on));
        coils.extend(allowed.filter_map(|(coil, on)| wiring.io.order(coil, on)));
    }

    /// When an emergency ends the only output, everyone is told to be off, with one frame before all others (hardware
    /// notes §9.5, step 2).
    fn all_off_in_an_emergency(&mut self, now: BoottimeMillis) -> Vec<Frame> {
        let emergency = self.connectors.values().any(Connector::is_in_emergency);
        let others_run = self.connectors.values().any(|each| each.gives() || each.is_looked_at());
        if emergency && !others_run { self.rack.emergency_off(now) } else { Vec::new() }
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

    /// The boards are told anew with the next act, whenever they were told last.
    pub fn tell_again(&mut self) {
        self.connectors.values_mut().for_each(Connector::tell_again);
    }

    /// A planned stop: every delivery ends, safely.
    pub fn stop_all(&mut self, now: BoottimeMillis) {
        for connector in self.connectors.values_mut() {
            connector.end_for_stop(now);
        }
    }

    /// A delivery is asked for somewhere.
    pub fn is_in_use(&self) -> bool {
        self.connectors.values().any(Connector::is_in_use)
    }

    /// No delivery runs or is being ended.
    pub fn is_at_rest(&self, now: BoottimeMillis) -> bool {
        self.connectors.iter().all(|(id, connector)| {
            let seen = self.seen(now, *id);
            connector.is_at_rest(&seen) && (seen.output.at_rest || seen.output.usable == 0)
        })
    }
}

/// A bus on which many errors are seen still works: it is logged when that begins and when it ends.
fn log_strain(bus: WhichBus, before: Option<BusState>, health: &Health) {
    let (transmit_errors, receive_errors) = (health.transmit_errors, health.receive_errors);
    match (before == Some(BusState::Passive), health.state == BusState::Passive) {
        (false, true) => tracing::warn!(?bus, transmit_errors, receive_errors, "many errors on the CAN bus"),
        (true, false) => tracing::info!(?bus, state = %health.state, "the CAN bus is no longer error passive"),
        _ => {}
    }
}
