//! What the sharing is told about the cabinet, and what it answers: its own small types, so that it depends on neither
//! modules nor boards.

use super::{Address, RelayPoint, Step};
use crate::io::{CoilOrder, Unit};
use busbar_interfaces::{BoottimeMillis, Condition, ConnectorId, Milliamperes, Millivolts, Watts};
use std::collections::BTreeMap;

/// Everything that is known now.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// What the station may give in all.
    pub limit: Watts,
    /// Every connector.
    pub connectors: BTreeMap<ConnectorId, ConnectorSeen>,
    /// Every module.
    pub modules: BTreeMap<Address, ModuleSeen>,
    /// Every relay of the matrix boards, also those that are wired to nothing.
    pub relays: BTreeMap<RelayPoint, RelaySeen>,
}

/// How a connector's sequence lets modules join and leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Joining {
    /// Before the cable check: everything is off and without voltage.
    #[default]
    Dead,
    /// Cable check, pre-charge, stopping: nothing moves.
    Held,
    /// It delivers: a module joins at its voltage.
    Live,
}

/// One connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnectorSeen {
    /// A delivery is asked for, or not ended yet.
    pub in_use: bool,
    /// Since when: first come, first served.
    pub since: BoottimeMillis,
    /// What its car asks now; before it asks, what it may take.
    pub asked: Watts,
    /// What its car could take at most: asked for when it takes all that it is offered.
    pub most: Watts,
    /// What the connector may give: rating, held limit, derating.
    pub limit: Watts,
    /// Whether modules may join or leave.
    pub joining: Joining,
    /// The voltage of its bus, not older than 500 ms.
    pub bus_voltage: Option<Millivolts>,
    /// All that is joined with it is off and gives no current.
    pub at_rest: bool,
    /// Its output contactor is closed, or not known to be open.
    pub contactor_closed: bool,
    /// Nothing may close; a move that concerns it is undone.
    pub emergency: bool,
    /// It is not decided yet whether a running output is taken over: nothing that may belong to it is touched.
    pub hands_off: bool,
}

/// One module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ModuleSeen {
    /// Heard, and without a fault.
    pub usable: bool,
    /// Not heard for 2 s.
    pub silent: bool,
    /// Silent for so long that it has switched itself off, and nothing that is measured says otherwise.
    pub surely_dead: bool,
    /// Told to be off, and two readings since say that it is.
    pub at_rest: bool,
    /// Its voltage as last read.
    pub voltage: Millivolts,
    /// Its current as last read.
    pub current: Milliamperes,
    /// Both were read in the last 500 ms.
    pub fresh: bool,
    /// What it can give, at the voltage in question and as warm as it is.
    pub rating: Watts,
}

/// One relay as its board was last read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RelaySeen {
    /// The mirror contact says closed.
    pub closed: bool,
    /// The coil is energised.
    pub coil: bool,
    /// When that was read.
    pub read: BoottimeMillis,
}

/// A matrix board watches the mirror contacts of six relays; the other coils are taken for closed while energised.
const MIRRORED: std::ops::Range<u8> = 0..6;

/// The relays of a matrix board.
pub fn relays_of(unit: u8, board: &Unit, read: BoottimeMillis) -> impl Iterator<Item = (RelayPoint, RelaySeen)> {
    (0..8).map(move |coil| {
        let energised = board.coil(coil);
        let closed = if MIRRORED.contains(&coil) { board.input(coil) } else { energised };
        (RelayPoint { unit, coil }, RelaySeen { closed, coil: energised, read })
    })
}

/// Whose a module is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Owner {
    /// Nobody's.
    #[default]
    None,
    /// A connector's: it delivers with it.
    Of(ConnectorId),
    /// On its way, or not known: nobody may count on it.
    Moving,
}

/// What a module is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preparation {
    /// Off.
    #[default]
    Off,
    /// On at this voltage, without current.
    Joining(Millivolts),
    /// As its connector wants it.
    Normal,
    /// Whatever it does, it is not touched yet.
    Untouched,
}

/// What is to be done with a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ModuleOrder {
    /// Whose it is.
    pub owner: Owner,
    /// What it is to be told.
    pub preparation: Preparation,
    /// The bus that it is joined with, whoever owns it: its current flows there.
    pub joined: Option<ConnectorId>,
}

/// What a connector gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Share {
    /// What its modules can give; without the one that is about to leave (rule 8: the car is told first).
    pub modules: Watts,
    /// What it may take of the station's limit.
    pub station: Watts,
    /// A module is about to leave: the power must come down to `modules`.
    pub reducing: bool,
    /// Before the cable check: it has a module, and none is on its way to it.
    pub ready: bool,
}

/// A move in progress, for the screen and the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MoveSeen {
    /// The module.
    pub module: Address,
    /// From where.
    pub from: Option<ConnectorId>,
    /// To where.
    pub to: Option<ConnectorId>,
    /// How far it is.
    pub step: Step,
}

/// Something that happened, to be logged and recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A relay was opened although current may have flowed.
    ForcedOpen { module: Address, connector: ConnectorId, current: Milliamperes },
    /// A relay did not follow its coil for the second time.
    LockedOut { module: Address, connector: ConnectorId, closed: bool },
    /// A relay that was to be closed is open.
    FellOpen { module: Address, connector: ConnectorId },
    /// A relay that was open is closed, by nobody's order.
    ClosedUnasked { module: Address, connector: ConnectorId },
    /// A module has come to its place.
    Moved { module: Address, from: Option<ConnectorId>, to: Option<ConnectorId> },
    /// A move was given up, at this step.
    GivenUp { module: Address, from: Option<ConnectorId>, to: Option<ConnectorId>, step: Step },
    /// Closing this relay would have joined two buses.
    BridgeRefused { module: Address, connector: ConnectorId },
}

/// What is due.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Orders {
    /// For every module.
    pub modules: BTreeMap<Address, ModuleOrder>,
    /// For every connector.
    pub shares: BTreeMap<ConnectorId, Share>,
    /// Coils that are to be switched.
    pub coils: Vec<CoilOrder>,
    /// The move in progress.
    pub moving: Option<MoveSeen>,
    /// What is wrong.
    pub conditions: Vec<Condition>,
    /// What has just happened.
    pub events: Vec<Event>,
}
