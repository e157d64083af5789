//! Whatever happens in whatever order: no more current than asked for, no module beyond its rating or for two
//! connectors, and off goes out first.

use super::*;
use proptest::prelude::*;

const MODULES: u8 = 4;

#[derive(Debug, Clone)]
enum Event {
    Pass(u16),
    Deliver(ConnectorId, u32),
    Rest(ConnectorId),
    Read(u8, u16),
    Status(u8, u8),
    Available(u8, u16),
    Refuse(u8, u8),
    Assign(u8, Option<ConnectorId>),
    Join(u8, bool),
    HoldOff(u8),
    Prepare(u8),
    LetGo(u8),
    EmergencyOff,
}

fn connector() -> impl Strategy<Value = ConnectorId> {
    prop_oneof![Just(ONE), Just(TWO)]
}

fn event() -> impl Strategy<Value = Event> {
    let module = || 1..=MODULES;
    prop_oneof![
        3 => (0u16..4_000).prop_map(Event::Pass),
        4 => (connector(), 0u32..400_000).prop_map(|(connector, current)| Event::Deliver(connector, current)),
        1 => connector().prop_map(Event::Rest),
        5 => (module(), 0u16..100).prop_map(|(module, amperes)| Event::Read(module, amperes)),
        2 => (module(), prop_oneof![Just(0u8), any::<u8>()]).prop_map(|(module, state)| Event::Status(module, state)),
        1 => (module(), 0u16..100).prop_map(|(module, amperes)| Event::Available(module, amperes)),
        1 => (module(), 0x01u8..0x20).prop_map(|(module, command)| Event::Refuse(module, command)),
        2 => (module(), proptest::option::of(connector())).prop_map(|(module, owner)| Event::Assign(module, owner)),
        2 => (module(), any::<bool>()).prop_map(|(module, joined)| Event::Join(module, joined)),
        1 => module().prop_map(Event::HoldOff),
        1 => module().prop_map(Event::Prepare),
        1 => module().prop_map(Event::LetGo),
        1 => Just(Event::EmergencyOff),
    ]
}

/// What the modules have been told by the frames that went out, in mA.
type Told = BTreeMap<u8, u32>;

/// Reads the orders in frames; true when an "off" came after a set-point or a question.
fn follow(frames: &[Frame], told: &mut Told, set: &mut BTreeMap<u8, u32>) -> bool {
    let (mut late, mut others) = (false, false);
    for frame in frames {
        let [_, command, module, _] = frame.id().to_be_bytes();
        match command & 0x3F {
            0x1A if frame.data()[0] == 1 => {
                late |= others;
                told.retain(|each, _| module != 0x3F && *each != module);
            }
            0x1A => {
                told.insert(module, set.get(&module).copied().unwrap_or(0));
            }
            0x1C => {
                others = true;
                let data = frame.data();
                let current = u32::from_be_bytes([data[4], data[5], data[6], data[7]]);
                set.insert(module, current);
                told.entry(module).and_modify(|each| *each = current);
            }
            _ => others = true,
        }
    }
    late
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, ..ProptestConfig::default() })]
    #[test]
    fn never_more_than_asked_none_beyond_its_rating_none_for_two(
        events in proptest::collection::vec(event(), 1..150)
    ) {
        let fitted: Vec<Fitted> = (1..=MODULES).map(|a| Fitted { address: Address(a), serial: None }).collect();
        let mut rack = Rack::new(Family::Infypower, &fitted, true, at(0));
        let mut now = at(1000);
        let (mut told, mut set) = (Told::new(), BTreeMap::new());
        let mut asked: BTreeMap<ConnectorId, u32> = BTreeMap::new();
        for event in events {
            let owners: BTreeMap<u8, Option<ConnectorId>> =
                rack.facts(now).iter().map(|facts| (facts.address.0, facts.owner)).collect();
            let resting: Vec<bool> = rack.facts(now).iter().map(|facts| facts.at_rest || facts.surely_dead).collect();
            match event {
                Event::Pass(millis) => now = now.after(Duration::from_millis(u64::from(millis))),
                Event::Deliver(connector, current) => {
                    rack.deliver(now, connector, VOLTAGE, Milliamperes(current));
                    asked.insert(connector, current);
                }
                Event::Rest(connector) => {
                    rack.rest(now, connector);
                    asked.insert(connector, 0);
                }
                Event::Read(module, amperes) => rack.hear(now, &reading(module, 400.0, f32::from(amperes))),
                Event::Status(module, state) => rack.hear(now, &status(module, [state, state >> 3, 0])),
                Event::Available(module, amperes) => rack.hear(now, &available(module, amperes)),
                Event::Refuse(module, command) => {
                    let id = 0x0280_F000 | (2 << 26) | u32::from(command) << 16 | u32::from(module);
                    rack.hear(now, &Frame::extended(id, &[0; 8]));
                }
                Event::Assign(module, owner) => {
                    let changed = rack.assign(now, Address(module), owner);
                    let before = owners[&module];
                    if changed && before.is_some() && before != owner {
                        prop_assert!(resting[usize::from(module) - 1], "module {module} changed while it may deliver");
                    }
                }
                Event::Join(module, joined) => rack.joined(Address(module), joined),
                Event::HoldOff(module) => rack.hold_off(now, Address(module)),
                Event::Prepare(module) => rack.prepare(now, Address(module), VOLTAGE),
                Event::LetGo(module) => rack.let_go(Address(module)),
                Event::EmergencyOff => {
                    follow(&rack.emergency_off(now), &mut told, &mut set);
                    asked.clear();
                }
            }
            // Every step looks once at what each connector asks, as the cabinet does.
            for connector in [ONE, TWO] {
                match asked.get(&connector) {
                    Some(current) if *current > 0 => rack.deliver(now, connector, VOLTAGE, Milliamperes(*current)),
                    _ => rack.rest(now, connector),
                }
            }
            let late = follow(&rack.frames_due(now, |_| true), &mut told, &mut set);
            prop_assert!(!late, "off goes out first");
            let facts = rack.facts(now);
            for connector in [ONE, TWO] {
                // What is prepared is not joined: its half ampere flows nowhere.
                let works = |facts: &&ModuleFacts| facts.state != ModuleState::Preparing;
                let own = || facts.iter().filter(|facts| facts.owner == Some(connector)).filter(works);
                let sum: u32 = own().filter_map(|facts| told.get(&facts.address.0)).sum();
                let most = asked.get(&connector).copied().unwrap_or(0);
                prop_assert!(sum <= most, "{sum} of {most} for {connector}");
                let can = rack.capabilities();
                let leaving = rack.owned(connector).filter(|module| module.joined && !module.gives(now));
                let kept: u32 = leaving.map(|module| module.may_still_give(now, at(0), &can).0).sum();
                prop_assert!(sum == 0 || sum + kept <= most, "{sum} and {kept} kept back of {most} for {connector}");
                for facts in own().filter(|facts| told.get(&facts.address.0).is_some_and(|current| *current > 0)) {
                    prop_assert!(facts.joined && facts.usable, "{facts:?}");
                }
            }
            for facts in &facts {
                let current = told.get(&facts.address.0).copied().unwrap_or(0);
                prop_assert!(current <= facts.rated_current.0.min(facts.available_current.0));
                prop_assert!(facts.owner.is_some() || !told.contains_key(&facts.address.0), "a free module is off");
            }
        }
    }
}
