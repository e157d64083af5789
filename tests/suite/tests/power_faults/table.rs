//! The table: what every fault of the plant has to come to in every phase, as the hardware notes have it.

use anyhow::{Context, Result, bail, ensure};

/// Where a connector is when the fault comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Nobody is there.
    Free,
    /// A vehicle is, and nobody has asked for a charge.
    Plugged,
    /// The board negotiates.
    Negotiating,
    /// The test voltage is on the cable.
    CableCheck,
    /// The battery's voltage is.
    PreCharge,
    /// Current flows.
    Charging,
    /// The vehicle wants none for a while.
    Paused,
    /// The vehicle has ended it, and the station follows.
    Ending,
}

impl Phase {
    /// All of them, as the columns are.
    pub const ALL: [Phase; 8] = [
        Phase::Free,
        Phase::Plugged,
        Phase::Negotiating,
        Phase::CableCheck,
        Phase::PreCharge,
        Phase::Charging,
        Phase::Paused,
        Phase::Ending,
    ];
}

/// What has to come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Comes {
    /// `no`: no charge begins, or it ends before current flows.
    StartsNot,
    /// `on`: it begins or goes on.
    GoesOn,
    /// `less`: likewise, and the station offers less than before.
    Derates,
    /// `stop`: a fault stop; the current has gone within a second (class F, §6.1).
    Stops,
    /// `EMERG`: the modules are off at once (class E, §9.5).
    Emergency,
    /// `any`: it goes on, or ends safely, as chance has it.
    Either,
    /// `end`: the session ends as it was about to.
    Ends,
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The fault of connector 1; `M` is a module that works for it.
    pub fault: &'static str,
    /// Its number, where the usual one does not do.
    value: &'static str,
    /// What comes of it, by phase.
    comes: [Comes; 8],
    /// Milliseconds from when the station can know it, or else from its beginning, to the first module-off.
    pub within: u64,
    /// The fault code that is shown wherever it does not simply go on.
    pub code: Option<&'static str>,
    /// It is shown only where the fault ends the charge: what keeps one from beginning shows itself otherwise.
    code_when_it_ends: bool,
    /// The code stays until the vehicle has gone.
    pub stays: bool,
    /// Played in every phase in the ordinary suite also.
    pub stands_for_its_class: bool,
}

impl Row {
    /// What has to come of it in a phase.
    pub fn comes(&self, phase: Phase) -> Comes {
        self.comes[phase as usize]
    }

    /// The code that is shown when that comes of it.
    pub fn code_of(&self, comes: Comes) -> Option<&'static str> {
        let shown = match comes {
            Comes::GoesOn | Comes::Either | Comes::Ends => false,
            Comes::StartsNot | Comes::Derates => !self.code_when_it_ends,
            Comes::Stops | Comes::Emergency => true,
        };
        self.code.filter(|_| shown)
    }

    /// No output board can be told anything meanwhile.
    pub fn cuts_the_coils_off(&self) -> bool {
        matches!(self.fault, "io-down" | "io-1-down")
    }

    /// The fault and its number, with the module in place.
    pub fn of_module(&self, module: u8) -> Result<(String, Option<i64>)> {
        let name = self.fault.replace('M', &module.to_string());
        let value = match self.value.strip_prefix("0x") {
            _ if self.value == "-" => None,
            None => Some(self.value.parse()?),
            Some(hex) => Some(i64::from_str_radix(&hex.replace("MM", &format!("{module:02X}")), 16)?),
        };
        Ok((name, value))
    }
}

/// The rows of a text.
pub fn rows(text: &'static str) -> Result<Vec<Row>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| row(line).with_context(|| line.to_owned())).collect()
}

fn row(line: &'static str) -> Result<Row> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [fault, value, comes @ .., within, code] = words.as_slice() else { bail!("not a row") };
    ensure!(comes.len() == Phase::ALL.len(), "not {} phases", Phase::ALL.len());
    let comes = comes.iter().map(|word| come(word)).collect::<Result<Vec<_>>>()?;
    Ok(Row {
        fault: fault.trim_start_matches('*'),
        value,
        comes: comes.try_into().map_err(|_| anyhow::anyhow!("phases"))?,
        within: within.parse()?,
        code: (*code != "-").then(|| code.trim_matches(['~', '!'])),
        code_when_it_ends: code.starts_with('~'),
        stays: code.ends_with('!'),
        stands_for_its_class: fault.starts_with('*'),
    })
}

fn come(word: &str) -> Result<Comes> {
    Ok(match word {
        "no" => Comes::StartsNot,
        "on" => Comes::GoesOn,
        "less" => Comes::Derates,
        "stop" => Comes::Stops,
        "EMERG" => Comes::Emergency,
        "any" => Comes::Either,
        "end" => Comes::Ends,
        other => bail!("{other}?"),
    })
}

/// `*`: stands for its class, see above. `within` is without the noise of the machine. Where the notes give no figure it
/// is the sum of the reading cycle and the station's own cycle. `!`: the code stays until the vehicle has gone; `~`: it is
/// shown only where the fault ends the charge.
pub const TABLE: &str = "
# fault                         number     free   plugged negot. cable  prech. charge paused ending within code
# mains and air: phase loss and wrong voltage make every module unavailable (§1.1)
ambient                         -          on     on      on     on     on     on     on     end    0      -
*mains-phase-lost               -          no     no      EMERG  EMERG  EMERG  EMERG  EMERG  end    200    0x200001
mains-under-voltage             -          no     no      EMERG  EMERG  EMERG  EMERG  EMERG  end    200    0x200001
mains-over-voltage              -          no     no      EMERG  EMERG  EMERG  EMERG  EMERG  end    200    0x200001
# modules: 2 s of silence in a session stop the connector (§9.4); one that reports a fault is replaced (§1.1)
*module-M-silent                -          on     on      on     EMERG  EMERG  EMERG  EMERG  end    2000   0xB00007
module-M-mute                   -          on     on      on     EMERG  EMERG  EMERG  EMERG  end    2000   0xB00007
*module-M-trip                  -          on     on      on     on     on     on     on     end    200    0xB00008
module-M-broken                 -          on     on      on     on     on     on     on     end    200    0xB00008
module-M-over-temperature       -          on     on      on     on     on     on     on     end    200    0xB00008
module-M-over-voltage           100        no     no      no     EMERG  EMERG  on     on     end    400    ~0x100214!
module-M-over-voltage-trip      -          on     on      on     on     on     on     on     end    200    0xB00008
module-M-short                  -          on     on      on     no     on     on     on     end    200    0xB00008
module-M-fan                    -          on     on      on     on     on     on     on     end    0      -
module-M-imbalance              -          on     on      on     on     on     on     on     end    0      -
module-M-phase-lost             -          on     on      on     on     on     on     on     end    200    0xB00008
module-M-duplicate-address      -          on     on      on     EMERG  EMERG  EMERG  EMERG  end    2000   0xB00007
module-M-derate                 -          on     on      on     on     on     on     on     end    0      -
# it cannot be told to be off: before current flows that is found and ends it, by 0x200002 while it lasts
module-M-stuck-on               -          no     no      no     no     on     on     on     end    0      -
# the modules' bus: their silence
*modules-bus-down               -          no     no      EMERG  EMERG  EMERG  EMERG  EMERG  end    2000   0x200001
modules-bus-off                 -          no     no      EMERG  EMERG  EMERG  EMERG  EMERG  end    2000   0x200001
modules-bus-station-unheard     -          no     no      EMERG  EMERG  EMERG  EMERG  EMERG  end    2000   0x200001
modules-bus-hardware-unheard    -          no     no      EMERG  EMERG  EMERG  EMERG  EMERG  end    2000   0x200001
modules-bus-delay               -          on     on      on     on     on     on     on     end    0      -
modules-bus-drop                -          on     on      on     on     on     on     on     end    0      -
modules-bus-duplicate           -          on     on      on     on     on     on     on     end    0      -
modules-bus-identifier-lost     0x0283F0MM on     on      on     EMERG  EMERG  EMERG  EMERG  end    2000   0xB00007
# the vehicles' bus: 6B000 absent for 200 ms; a board that hears nothing raises an emergency of its own
*vehicles-bus-down              -          no     no      EMERG  EMERG  EMERG  EMERG  EMERG  end    200    0x10000C
vehicles-bus-off                -          no     no      EMERG  EMERG  EMERG  EMERG  EMERG  end    200    0x10000C
vehicles-bus-station-unheard    -          no     no      no     EMERG  EMERG  EMERG  EMERG  end    100    -
vehicles-bus-hardware-unheard   -          no     no      EMERG  EMERG  EMERG  EMERG  EMERG  end    200    0x10000C
vehicles-bus-delay              -          on     on      on     on     on     on     on     end    0      -
# one lost frame of 6B000 is an absence of 200 ms
vehicles-bus-drop               -          any    any     any    any    any    any    any    end    0      -
vehicles-bus-duplicate          -          on     on      on     on     on     on     on     end    0      -
vehicles-bus-identifier-lost    0x0106B000 no     no      EMERG  EMERG  EMERG  EMERG  EMERG  end    200    0x10000C
# I/O boards: 500 ms of silence are a tripped stop input (§9.4)
*io-down                        -          no     no      EMERG  EMERG  EMERG  EMERG  EMERG  end    500    0x100210
io-slow                         20         on     on      on     on     on     on     on     end    0      -
io-1-down                       -          no     no      EMERG  EMERG  EMERG  EMERG  EMERG  end    500    0x100210
io-3-down                       -          no     no      EMERG  EMERG  EMERG  EMERG  EMERG  end    500    0x100210
# matrix relays: a path whose mirror does not follow is locked out (§6.2, rule 6); other modules take over
relay-1-M-stuck-open            -          on     on      on     on     on     on     on     end    0      0xB00009
relay-1-M-stuck-closed          -          on     on      on     on     on     on     on     end    0      0xB00009
relay-1-M-welded                -          on     on      on     on     on     on     on     end    0      0xB00009
relay-1-M-slow                  -          on     on      on     on     on     on     on     end    0      -
relay-1-M-mirror-lies           -          on     on      on     on     on     on     on     end    0      0xB00009
relay-1-M-mirror-follows-coil   -          on     on      on     on     on     on     on     end    0      -
# output contactors: a mismatch seen twice (rule 6), read every 100 ms; closing may take 500 ms, opening 100 ms
*contactor-1-plus-stuck-open    -          no     no      no     EMERG  EMERG  EMERG  EMERG  end    1200   0x100208!
contactor-1-plus-stuck-closed   -          no     no      no     on     on     on     on     end    0      0x100208!
contactor-1-plus-welded         -          on     on      on     on     on     on     on     end    0      0x100208!
contactor-1-plus-slow           -          on     on      on     on     on     on     on     end    0      -
contactor-1-plus-mirror-lies    -          no     no      no     EMERG  EMERG  EMERG  EMERG  end    1200   0x100208!
contactor-1-plus-mirror-follows-coil - on  on      on     on     on     on     on     end    0      -
bleeder-1-broken                -          on     on      on     on     on     on     on     end    0      -
# lock, door, tilt, water, insulation (§6.1)
lock-1-stuck                    -          no     no      on     on     on     on     on     end    0      0x100205
*lock-1-feedback-lies           -          no     no      stop   stop   stop   stop   stop   end    1000   0x100205
door-1-open                     -          on     on      on     on     on     on     on     end    0      -
*tilt-1-tripped                 -          no     no      EMERG  EMERG  EMERG  EMERG  EMERG  end    200    0x10020E!
*water-1-inside                 -          no     no      stop   stop   stop   stop   stop   end    1000   0x10020B
*insulation-1-bad               -          no     no      no     EMERG  EMERG  EMERG  EMERG  end    200    0x10020A!
insulation-1-resistance         -          no     no      no     EMERG  EMERG  EMERG  EMERG  end    200    0x10020A!
insulation-1-falls              5000       no     no      no     EMERG  EMERG  EMERG  EMERG  end    200    0x10020A!
# meter: 30 s end the session (§9.4)
meter-1-down                    -          no     no      stop   stop   stop   stop   stop   end    31000  0x10020F
meter-1-stuck                   -          on     on      on     on     on     on     on     end    0      -
meter-1-slow                    400        on     on      on     on     on     on     on     end    0      -
# plug: less from 80 degrees, nothing at 90, the hard limit above (§6.1)
*plug-1-hot                     88         less   less    less   less   less   less   less   end    0      -
plug-1-resistance               -          on     on      on     on     on     on     on     end    0      -
plug-1-sensor-broken            -          on     on      on     on     on     on     on     end    0      -
# vehicle board
*board-1-silent                 -          no     no      EMERG  EMERG  EMERG  EMERG  EMERG  end    200    0x10000C
board-1-deaf                    -          no     no      no     EMERG  EMERG  EMERG  EMERG  end    100    -
board-1-frozen                  -          no     no      no     EMERG  EMERG  EMERG  EMERG  end    250    -
board-1-nonsense                -          no     no      no     EMERG  EMERG  EMERG  EMERG  end    100    -
board-1-emergency               -          no     no      no     EMERG  EMERG  EMERG  EMERG  end    100    -
board-1-rushed                  -          no     no      no     stop   stop   stop   stop   end    1000   -
board-1-not-available           -          no     no      no     EMERG  EMERG  EMERG  EMERG  end    100    -
board-1-late                    -          on     on      EMERG  EMERG  EMERG  EMERG  EMERG  end    200    -
# vehicle
car-1-never-closes              -          no     no      no     no     no     on     on     end    0      -
car-1-opens-under-load          -          no     no      no     no     no     on     on     end    0      -
car-1-welded                    -          on     on      on     on     on     on     on     end    0      -
car-1-does-not-stop             -          on     on      on     on     on     on     on     end    0      -
car-1-asks-more                 -          on     on      on     on     on     on     on     end    0      -
car-1-wild                      -          on     on      on     on     on     on     on     end    0      -
car-1-high-voltage              -          no     no      no     no     no     EMERG  EMERG  end    400    ~0x100214!
*car-1-pilot-drops              -          no     no      no     EMERG  EMERG  EMERG  EMERG  end    100    -
car-1-pilot-error               -          no     no      EMERG  EMERG  EMERG  EMERG  EMERG  end    100    -
car-1-pilot-lost                -          no     no      EMERG  EMERG  EMERG  EMERG  EMERG  end    100    -
car-1-lingers                   4          no     no      no     on     on     on     on     end    0      -
car-1-pauses                    -          on     on      on     on     on     on     on     end    0      -
car-1-maximum-current           -          on     on      on     on     on     on     on     end    0      -
car-1-maximum-power             -          on     on      on     on     on     on     on     end    0      -
car-1-maximum-voltage           -          on     on      on     on     on     on     on     end    0      -
";
