//! One connector: what may run at it, and what runs. Pure: `act` looks at everything that is known and says what is
//! due. Where the sequence is stands in `sequence`, what the modules give in `output`, when coils move in `switching`,
//! what ends a delivery in `supervision`, what the board is told in `telling`.
//! Sources: ADVANTICS v3.6 sequences; IEC 61851-23 as the hardware notes §9 give it.

mod adoption;
mod claim;
mod conditions;
pub mod contactors;
mod delivery;
mod emergency;
pub mod limit;
mod lock;
mod output;
mod overshoot;
mod reasons;
mod sequence;
mod supervision;
mod switching;
mod telling;
mod temperature;
mod weld_check;

pub use conditions::BOARD_SILENT;

use crate::can::Frame;
use crate::io::{self, Board};
use crate::modules::rack::Output;
use crate::settings::{ConnectorWiring, Settings};
use crate::vehicle::Vehicle;
use crate::vehicle::advantics::Word;
use busbar_interfaces::words::{Phase, StopCause};
use busbar_interfaces::{BoottimeMillis, Milliamperes, Millivolts, TransactionId, Watts};
use contactors::Contactors;
use delivery::{Delivery, Ending, WindingDown};
use emergency::{Emergencies, History, Moment};
use limit::{Ceiling, HeldLimit};
use lock::Lock;
use overshoot::Overshoot;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use weld_check::WeldCheck;

/// The station's highest voltage.
const HIGHEST_VOLTAGE: Millivolts = Millivolts(1_000_000);

/// What is known besides the connector itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// What its modules do.
    pub output: Output,
    /// Modules that are told to deliver.
    pub modules_in_use: u32,
    /// It has modules, and none is on its way to it.
    pub modules_ready: bool,
    /// Its output board; nothing when it is not heard.
    pub board: Option<Board>,
    /// The station's rating.
    pub station_rating: Watts,
    /// ChargeLimitedPower, where it is set.
    pub station_limit: Option<Watts>,
    /// ConnectorALimitedPower or ConnectorBLimitedPower, where it is set.
    pub connector_limit: Option<Watts>,
    /// What the station as a whole may give this connector.
    pub station_share: Watts,
    /// To what the share is to shrink before a module leaves.
    pub reduce_to: Option<Watts>,
    /// The hottest of its modules, where it is known.
    pub module_celsius: Option<i16>,
    /// The cabinet, likewise.
    pub cabinet_celsius: Option<i16>,
}

/// What a connector wants done.
#[derive(Debug, Default)]
pub struct Orders {
    /// Frames for the vehicle bus.
    pub frames: Vec<Frame>,
    /// Coils of its output board.
    pub coils: Vec<(io::Output, bool)>,
    /// Voltage and current of its modules; nothing is off.
    pub output: Option<(Millivolts, Milliamperes)>,
    /// Nothing is to be changed yet: a running output is being looked at.
    pub hands_off: bool,
}

/// What the settings say of all connectors.
#[derive(Debug, Clone)]
struct Rules {
    fallback_limit: Watts,
    ramp_milliamperes_per_second: u32,
    sequence_limit: Duration,
}

/// All that runs at a connector: what the next process needs to go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    started: BoottimeMillis,
    /// Since when this process looks.
    looked_from: BoottimeMillis,
    vehicle: Vehicle,
    delivery: Option<Delivery>,
    ended: TransactionId,
    stop_cause: StopCause,
    winding_down: Option<WindingDown>,
    limit: Option<HeldLimit>,
    ceiling: Option<Ceiling>,
    contactors: Contactors,
    lock: Lock,
    weld_check: WeldCheck,
    overshoot: Overshoot,
    emergencies: Emergencies,
    history: History,
    too_hot: bool,
    /// What the modules are told to give together.
    output: Option<(Millivolts, Milliamperes)>,
    setpoint: Milliamperes,
    ramped_at: BoottimeMillis,
    bleed_until: BoottimeMillis,
    told: telling::Told,
}

/// One connector.
#[derive(Debug, Clone)]
pub struct Connector {
    wiring: ConnectorWiring,
    rules: Rules,
    run: Run,
}

impl Connector {
    /// A connector after the start of the process, of which nothing is known.
    pub fn new(wiring: ConnectorWiring, settings: &Settings, now: BoottimeMillis) -> Connector {
        let rules = Rules {
            fallback_limit: settings.fallback_limit,
            ramp_milliamperes_per_second: settings.ramp_milliamperes_per_second,
            sequence_limit: settings.sequence_limit,
        };
        let run = Run {
            started: now,
            looked_from: now,
            vehicle: Vehicle::default(),
            delivery: None,
            ended: TransactionId(0),
            stop_cause: StopCause::None,
            winding_down: None,
            limit: None,
            ceiling: None,
            contactors: Contactors::default(),
            lock: Lock::default(),
            weld_check: WeldCheck::default(),
            overshoot: Overshoot::default(),
            emergencies: Emergencies::default(),
            history: History::default(),
            too_hot: false,
            output: None,
            setpoint: Milliamperes(0),
            ramped_at: now,
            bleed_until: now,
            told: telling::Told::default(),
        };
        Connector { wiring, rules, run }
    }

    /// What runs, for the next process.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Goes on with what ran in the last process, under the settings of this one, when the hardware agrees.
    pub fn go_on(&mut self, now: BoottimeMillis, run: Run) {
        self.run = run;
        self.tell_again();
        self.look_again(now);
    }

    /// Its board is told at once, whenever it was told last.
    pub fn tell_again(&mut self) {
        self.run.told.forget();
    }

    /// Takes in a word of its board.
    pub fn hear(&mut self, now: BoottimeMillis, word: Word) {
        self.run.vehicle.hear(now, word);
    }

    /// What is due now.
    pub fn act(&mut self, now: BoottimeMillis, seen: &Seen) -> Orders {
        let mut orders = Orders::default();
        if let Some(until) = self.run.delivery.as_ref().and_then(|delivery| delivery.adoption)
            && !self.adopt_or_stop(now, until, seen)
        {
            orders.hands_off = true;
            self.tell_board(now, seen, &mut orders);
            return orders;
        }
        self.look_for_what_was_left_closed(now, seen);
        self.keep_history(now, seen);
        self.notice_ends(now, seen);
        self.follow_board(now, seen);
        self.explain_ceiling(now, seen);
        self.drive_output(now, seen, &mut orders);
        self.drive_contactors(now, seen, &mut orders);
        self.drive_lock(now, seen, &mut orders);
        self.check_welding(now, seen);
        self.finish(now, seen);
        self.tell_board(now, seen, &mut orders);
        orders
    }

    /// Its output contactors.
    pub fn contactors(&self) -> &Contactors {
        &self.run.contactors
    }

    /// Likewise, to say what has become of them.
    pub fn contactors_mut(&mut self) -> &mut Contactors {
        &mut self.run.contactors
    }

    fn ending(&self) -> Option<Ending> {
        self.run.delivery.as_ref().and_then(|delivery| delivery.ending)
    }

    fn phase(&self) -> Phase {
        self.run.delivery.as_ref().map_or(Phase::Idle, |delivery| delivery.phase)
    }

    fn moment(&self, now: BoottimeMillis, seen: &Seen) -> Moment {
        let control = self.run.vehicle.control(now);
        Moment {
            at: now,
            voltage: seen.output.voltage,
            current: seen.output.current,
            requested_voltage: control.voltage,
            requested_current: control.current,
            phase: self.phase(),
            status: self.run.vehicle.status(now),
        }
    }

    fn keep_history(&mut self, now: BoottimeMillis, seen: &Seen) {
        if self.is_in_use() {
            let moment = self.moment(now, seen);
            self.run.history.note(moment);
        }
    }
}
