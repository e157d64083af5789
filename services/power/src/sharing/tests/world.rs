//! A small cabinet: modules with voltage and current, relays that follow late, two cars. It watches what the relays do
//! to each other and fails at once when something would be hurt.

use crate::sharing::*;
use busbar_interfaces::Milliamperes;

pub const A: ConnectorId = ConnectorId(1);
pub const B: ConnectorId = ConnectorId(2);
pub const RATING: u32 = 30_000;
const DEAD: f64 = 60.0;

pub fn wiring(modules: u8) -> Vec<Wiring> {
    let relays = |address| {
        BTreeMap::from([(A, RelayPoint { unit: 3, coil: address }), (B, RelayPoint { unit: 4, coil: address })])
    };
    (0..modules).map(|address| Wiring { address: Address(address), relays: relays(address) }).collect()
}

#[derive(Debug, Clone, Default)]
pub struct Module {
    pub volts: f64,
    pub amperes: f64,
    pub broken: bool,
    pub silent_since: Option<u64>,
    /// It does not switch off.
    pub runs_on: bool,
    /// It says that it is well, and gives no voltage.
    pub stays_dead: bool,
    told: Preparation,
    quiet: u32,
    sampled: (u64, f64, f64),
}

#[derive(Debug, Clone, Default)]
pub struct RelayPart {
    pub closed: bool,
    pub coil: bool,
    pub stuck: bool,
    /// Its mirror contact says open.
    pub misread: bool,
    changes_at: Option<u64>,
    /// It was told so by force, or in an emergency.
    forced: bool,
}

impl RelayPart {
    /// It moves again, to where its coil holds it.
    pub fn unstick(&mut self) {
        if std::mem::take(&mut self.stuck) && self.closed && !self.coil {
            self.closed = false;
        }
        if !self.closed {
            self.coil = false;
        }
    }
}

#[derive(Debug, Clone)]
pub struct Car {
    pub in_use: bool,
    pub since: u64,
    pub joining: Joining,
    pub contactor: bool,
    pub volts: f64,
    pub wish: u32,
    /// It asks for what it wants, whatever it is told.
    pub stubborn: bool,
    pub asked: u32,
    pub limit: u32,
    pub emergency: bool,
    pub hands_off: bool,
    leaving: bool,
    phase_since: u64,
    told: u32,
}

#[derive(Debug, Clone)]
pub struct World {
    pub now: u64,
    topology: Topology,
    pub sharing: Sharing,
    pub modules: BTreeMap<Address, Module>,
    pub relays: BTreeMap<(Address, ConnectorId), RelayPart>,
    pub strays: BTreeMap<RelayPoint, RelaySeen>,
    pub cars: BTreeMap<ConnectorId, Car>,
    pub limit: u32,
    pub orders: Orders,
    pub events: Vec<Event>,
    pub boards_lost: bool,
    /// How long relays take.
    pub delay: u64,
}

impl World {
    pub fn new(modules: u8) -> World {
        let car = |volts| Car {
            in_use: false,
            since: 0,
            joining: Joining::Dead,
            contactor: false,
            volts,
            wish: 200_000,
            stubborn: false,
            asked: 0,
            limit: 200_000,
            emergency: false,
            hands_off: false,
            leaving: false,
            phase_since: 0,
            told: 0,
        };
        let wiring = wiring(modules);
        let topology = Topology::new(&wiring);
        World {
            now: 1_000,
            topology: topology.clone(),
            sharing: Sharing::found(&wiring, RELAY_CYCLES),
            modules: wiring.iter().map(|each| (each.address, Module::default())).collect(),
            relays: topology
                .relays()
                .map(|(module, connector, _)| ((module, connector), RelayPart::default()))
                .collect(),
            strays: BTreeMap::new(),
            cars: BTreeMap::from([(A, car(400.0)), (B, car(620.0))]),
            limit: 400_000,
            orders: Orders::default(),
            events: Vec::new(),
            boards_lost: false,
            delay: 30,
        }
    }

    pub fn car(&mut self, connector: ConnectorId) -> &mut Car {
        self.cars.get_mut(&connector).expect("there")
    }

    pub fn relay(&mut self, module: u8, connector: ConnectorId) -> &mut RelayPart {
        self.relays.get_mut(&(Address(module), connector)).expect("there")
    }

    pub fn module(&mut self, module: u8) -> &mut Module {
        self.modules.get_mut(&Address(module)).expect("there")
    }

    pub fn plug(&mut self, connector: ConnectorId, wish: u32) {
        let now = self.now;
        let car = self.car(connector);
        if !car.in_use {
            (car.in_use, car.since, car.joining, car.phase_since) = (true, now, Joining::Dead, now);
            (car.wish, car.asked, car.leaving, car.told) = (wish, wish, false, 0);
        }
    }

    pub fn unplug(&mut self, connector: ConnectorId) {
        let car = self.car(connector);
        if car.in_use {
            (car.joining, car.leaving) = (Joining::Held, true);
        }
    }

    /// Addresses of the modules of a connector.
    pub fn of(&self, connector: ConnectorId) -> Vec<u8> {
        let own = self.orders.modules.iter().filter(|(_, order)| order.owner == Owner::Of(connector));
        own.map(|(module, _)| module.0).collect()
    }

    pub fn counts(&self) -> (usize, usize) {
        (self.of(A).len(), self.of(B).len())
    }

    /// A module says nothing any more, or speaks again.
    pub fn be_silent(&mut self, module: u8, silent: bool) {
        let now = self.now;
        let part = self.module(module);
        part.silent_since = if silent { part.silent_since.or(Some(now)) } else { None };
    }

    /// Steps of 50 ms.
    pub fn run(&mut self, millis: u64) {
        let until = self.now + millis;
        while self.now < until {
            self.step(50);
        }
    }

    /// Runs until something holds, at most so long; says how long it took.
    pub fn run_until(&mut self, most: u64, done: impl Fn(&World) -> bool) -> u64 {
        let begin = self.now;
        while !done(self) {
            assert!(self.now - begin < most, "not within {most} ms: {:?} {:?}", self.counts(), self.orders.moving);
            self.step(50);
        }
        self.now - begin
    }

    /// The next process knows what this one knew.
    pub fn hand_over(&mut self) {
        let text = serde_json::to_string(&self.sharing).expect("serializes");
        self.sharing = serde_json::from_str(&text).expect("deserializes");
    }

    pub fn step(&mut self, millis: u64) {
        self.now += millis;
        self.move_relays();
        self.move_modules(millis as f64 / 1000.0);
        let seen = self.seen();
        self.orders = self.sharing.act(BoottimeMillis(self.now), &seen);
        self.carry_out();
        self.drive_cars(&seen);
        self.check(&seen);
    }

    fn bus_volts(&self, connector: ConnectorId) -> f64 {
        let car = &self.cars[&connector];
        if car.contactor && (car.joining == Joining::Live || car.leaving) {
            return car.volts;
        }
        let joined = self.relays.iter().filter(|((_, to), relay)| *to == connector && relay.closed);
        joined.map(|((module, _), _)| self.modules[module].volts).fold(0.0, f64::max)
    }

    fn move_relays(&mut self) {
        let due: Vec<(Address, ConnectorId)> = self
            .relays
            .iter()
            .filter(|(_, relay)| relay.changes_at.is_some_and(|at| at <= self.now))
            .map(|(key, _)| *key)
            .collect();
        for (module, connector) in due {
            let (volts, amperes) = (self.modules[&module].volts, self.modules[&module].amperes);
            let bus = self.bus_volts(connector);
            let relay = self.relays.get_mut(&(module, connector)).expect("there");
            relay.changes_at = None;
            if relay.stuck || relay.closed == relay.coil {
                continue;
            }
            relay.closed = relay.coil;
            if relay.closed {
                let hurts = volts > DEAD && bus > DEAD && (volts - bus).abs() > 10.0;
                let live = (volts - bus).abs() > 20.0;
                assert!(!hurts && !live, "relay of {module:?} to {connector} closes at {volts} V on {bus} V");
                assert!(amperes < 1.0, "relay closes under load");
            } else {
                assert!(amperes < 1.0 || relay.forced, "relay of {module:?} to {connector} opens at {amperes} A");
            }
        }
    }

    fn move_modules(&mut self, seconds: f64) {
        let joined: BTreeMap<Address, ConnectorId> = self
            .relays
            .iter()
            .filter(|(_, relay)| relay.closed)
            .map(|((module, connector), _)| (*module, *connector))
            .collect();
        let mut giving: BTreeMap<ConnectorId, u32> = BTreeMap::new();
        for (module, part) in &self.modules {
            if let Some(connector) = joined.get(module).filter(|_| part.told == Preparation::Normal && !part.broken) {
                *giving.entry(*connector).or_default() += 1;
            }
        }
        let buses: BTreeMap<ConnectorId, f64> = [A, B].map(|connector| (connector, self.bus_volts(connector))).into();
        let now = self.now;
        for (module, part) in &mut self.modules {
            let bus = joined.get(module).copied();
            let car = bus.map(|connector| &self.cars[&connector]);
            let flows = car.is_some_and(|car| car.contactor && car.joining == Joining::Live);
            let told = match part.silent_since {
                Some(since) if now - since > 10_000 => Preparation::Off,
                _ => part.told,
            };
            let told = if part.broken || part.stays_dead { Preparation::Off } else { told };
            let (volts, amperes) = match (told, car) {
                (Preparation::Joining(to), _) => (f64::from(to.0) / 1000.0, 0.0),
                (Preparation::Normal, Some(car)) if flows => {
                    let gives = f64::from(car.asked.min(car.told)) / f64::from(giving[&bus.expect("joined")].max(1));
                    (car.volts, gives.min(f64::from(RATING)) / car.volts)
                }
                (Preparation::Normal, Some(car)) if car.joining == Joining::Held && !car.leaving => (car.volts, 0.0),
                (Preparation::Untouched, _) => (part.volts, part.amperes),
                (Preparation::Off, _) if flows && part.runs_on => (part.volts, part.amperes),
                _ => (0.0, 0.0),
            };
            // Voltage comes within a second and a half, and falls within one; current falls at 200 A/s.
            let step = 400.0 * seconds;
            part.volts += (volts - part.volts).clamp(-2.0 * step, step);
            part.amperes += (amperes - part.amperes).clamp(-200.0 * seconds, 20.0 * seconds);
            if !flows {
                part.amperes = 0.0;
            } else if let Some(connector) = bus {
                part.volts = buses[&connector];
            }
            if part.silent_since.is_none() && now - part.sampled.0 >= 100 {
                part.sampled = (now, part.volts, part.amperes);
                let quiet = part.amperes < 0.3 && !matches!(part.told, Preparation::Joining(_));
                part.quiet = if quiet { part.quiet + 1 } else { 0 };
            }
        }
    }

    pub fn seen(&self) -> Seen {
        let milli = |value: f64| (value * 1000.0).round() as u32;
        let modules: BTreeMap<Address, ModuleSeen> = self
            .modules
            .iter()
            .map(|(address, part)| {
                let (at, volts, amperes) = part.sampled;
                let age = self.now - at;
                let order = self.orders.modules.get(address);
                let works = order.is_some_and(|order| match order.owner {
                    Owner::Of(connector) => {
                        self.cars[&connector].joining != Joining::Dead && !self.cars[&connector].leaving
                    }
                    _ => false,
                });
                let off = !works && !matches!(part.told, Preparation::Joining(_) | Preparation::Untouched);
                let seen = ModuleSeen {
                    usable: age < 2_000 && !part.broken,
                    silent: age >= 2_000,
                    surely_dead: age > 11_000 && off,
                    at_rest: off && (part.quiet >= 2 || age > 11_000),
                    voltage: Millivolts(milli(volts)),
                    current: Milliamperes(milli(amperes)),
                    fresh: age < 500,
                    rating: Watts(RATING),
                };
                (*address, seen)
            })
            .collect();
        let connectors = self.cars.iter().map(|(connector, car)| {
            let joined = self.relays.iter().filter(|((_, to), relay)| to == connector && relay.closed);
            let at_rest = joined.map(|((module, _), _)| &modules[module]).all(|module| module.at_rest);
            let seen = ConnectorSeen {
                in_use: car.in_use,
                since: BoottimeMillis(car.since),
                asked: Watts(car.asked),
                most: Watts(200_000),
                limit: Watts(car.limit),
                joining: car.joining,
                bus_voltage: car.contactor.then(|| Millivolts(milli(self.bus_volts(*connector)))),
                at_rest,
                contactor_closed: car.contactor,
                emergency: car.emergency,
                hands_off: car.hands_off,
            };
            (*connector, seen)
        });
        let relays = self.topology.relays().map(|(module, connector, point)| {
            let relay = &self.relays[&(module, connector)];
            (
                point,
                RelaySeen { closed: relay.closed && !relay.misread, coil: relay.coil, read: BoottimeMillis(self.now) },
            )
        });
        let mut relays: BTreeMap<RelayPoint, RelaySeen> = relays.chain(self.strays.clone()).collect();
        if self.boards_lost {
            relays.clear();
        }
        Seen { limit: Watts(self.limit), connectors: connectors.collect(), modules, relays }
    }

    fn carry_out(&mut self) {
        for (address, part) in &mut self.modules {
            let order = self.orders.modules[address];
            if part.told != order.preparation && order.preparation != Preparation::Normal {
                part.quiet = 0;
            }
            part.told = order.preparation;
        }
        let forced: Vec<(Address, ConnectorId)> = self
            .orders
            .events
            .iter()
            .filter_map(|event| match event {
                Event::ForcedOpen { module, connector, .. } => Some((*module, *connector)),
                _ => None,
            })
            .collect();
        self.events.extend(self.orders.events.iter().copied());
        if self.boards_lost {
            return;
        }
        for order in self.orders.coils.clone() {
            let point = RelayPoint { unit: order.unit, coil: order.coil };
            if let Some(stray) = self.strays.get_mut(&point) {
                assert!(!order.on);
                stray.coil = false;
            }
            let Some((module, connector, _)) = self.topology.relays().find(|(_, _, each)| *each == point) else {
                continue;
            };
            let relay = self.relays.get_mut(&(module, connector)).expect("there");
            let hot = self.cars[&connector].emergency || self.modules[&module].silent_since.is_some();
            relay.forced = forced.contains(&(module, connector)) || hot;
            if relay.coil != order.on {
                relay.coil = order.on;
                relay.changes_at = Some(self.now + self.delay);
                assert!(!order.on || !self.cars[&connector].emergency, "nothing closes in an emergency");
            }
        }
    }

    fn drive_cars(&mut self, seen: &Seen) {
        for connector in [A, B] {
            let share = self.orders.shares[&connector];
            let lost = self
                .orders
                .modules
                .iter()
                .any(|(module, order)| order.owner == Owner::Of(connector) && seen.modules[module].silent);
            let may_close = self.sharing.may_close_output(seen, connector);
            let (now, at_rest) = (self.now, seen.connectors[&connector].at_rest);
            let car = self.car(connector);
            car.told = share.modules.min(share.station).0.min(car.limit);
            if lost && car.joining != Joining::Dead {
                (car.joining, car.leaving) = (Joining::Held, true);
            }
            if !car.in_use {
                car.contactor = false;
                continue;
            }
            match car.joining {
                _ if car.leaving && at_rest => {
                    (car.in_use, car.leaving, car.contactor, car.joining) = (false, false, false, Joining::Dead);
                }
                _ if car.leaving => {}
                Joining::Dead if share.ready && may_close && !car.emergency => {
                    (car.contactor, car.joining, car.phase_since) = (true, Joining::Held, now);
                }
                Joining::Held if now - car.phase_since > 4_000 => car.joining = Joining::Live,
                Joining::Live => car.asked = if car.stubborn { car.wish } else { car.wish.min(car.told) },
                _ => {}
            }
        }
    }

    fn check(&self, seen: &Seen) {
        let closed: BTreeSet<Switch> = self
            .relays
            .iter()
            .filter(|(_, relay)| relay.closed)
            .map(|((module, connector), _)| Switch::Relay(*module, *connector))
            .collect();
        let bridged = closed.first().is_some_and(|one| Topology::bridges(&closed, *one));
        assert!(!bridged, "two cars on one node: {closed:?}");
        let shared: u32 = self.orders.shares.values().map(|share| share.station.0).sum();
        assert!(shared <= seen.limit.0, "{shared} W of {}", seen.limit);
        for (module, order) in &self.orders.modules {
            if let Owner::Of(connector) = order.owner {
                let stuck = self.relays[&(*module, connector)].stuck;
                assert!(stuck || order.joined == Some(connector), "{module:?} is {order:?}");
            }
        }
    }
}
