//! The simulated hardware at a glance: modules, relays, contactors, vehicles, faults and alarms as tables.
//!
//! What is shown is gathered once; the text is pure.

use zbus::Connection;

use super::{FaultRow, ModuleRow, SwitchRow, connector, plant};
use crate::table::table;

/// A connector with its vehicle: number, vehicle, board, pilot, volts, amperes, demand, contactors, lock, plug.
#[derive(Debug, Clone, Default)]
pub struct Side {
    /// The connector.
    pub number: u32,
    /// State of charge in thousandths of a percent, while a vehicle is plugged in.
    pub charge_millipercent: Option<u32>,
    /// State of the vehicle board.
    pub board: String,
    /// Voltage of the control pilot.
    pub pilot_volts: u8,
    /// Voltage of the cable.
    pub millivolts: u32,
    /// Current into the vehicle.
    pub milliamperes: u32,
    /// Current that the vehicle asks for.
    pub demand_milliamperes: u32,
    /// The station's contactor is closed.
    pub contactor: bool,
    /// The vehicle's contactor is closed.
    pub vehicle_contactor: bool,
    /// The cable is locked.
    pub locked: bool,
    /// The sensors in the plug.
    pub plug_celsius: Vec<i32>,
    /// Why no current may flow.
    pub causes: Vec<String>,
}

/// All of the hardware at one moment.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    /// The connectors.
    pub sides: Vec<Side>,
    /// The modules.
    pub modules: Vec<ModuleRow>,
    /// The relays and contactors.
    pub switches: Vec<SwitchRow>,
    /// The faults that are on.
    pub active: Vec<(String, i64)>,
    /// What the station did that no station may do.
    pub violations: Vec<String>,
    /// That, and what faults did.
    pub hazards: Vec<String>,
}

/// Asks the plant for all of it.
///
/// # Errors
/// When there is no plant.
pub async fn gather(bus: &Connection) -> Result<Overview, zbus::Error> {
    let whole = plant(bus).await?;
    let mut sides = Vec::new();
    for number in [1, 2] {
        let of = connector(bus, number).await?;
        let charge = of.state_of_charge_millipercent().await?;
        sides.push(Side {
            number,
            charge_millipercent: of.plugged_in().await?.then_some(charge),
            board: of.board_status().await?,
            pilot_volts: of.pilot_volts().await?,
            millivolts: of.output_millivolts().await?,
            milliamperes: of.output_milliamperes().await?,
            demand_milliamperes: of.demand_milliamperes().await?,
            contactor: of.output_contactor_closed().await?,
            vehicle_contactor: of.vehicle_contactor_closed().await?,
            locked: of.locked().await?,
            plug_celsius: of.plug_celsius().await?,
            causes: of.emergency_causes().await?,
        });
    }
    Ok(Overview {
        sides,
        modules: whole.modules().await?,
        switches: whole.switches().await?,
        active: whole.active_faults().await?,
        violations: whole.violations().await?,
        hazards: whole.hazards().await?,
    })
}

impl Overview {
    /// All of it as text.
    pub fn to_text(&self) -> String {
        let mut parts = vec![self.sides_text(), self.modules_text(), self.switches_text()];
        if !self.active.is_empty() {
            let rows: Vec<[String; 2]> =
                self.active.iter().map(|(name, value)| [name.clone(), number(*value)]).collect();
            parts.push(table(["fault", "value"], &rows));
        }
        parts.push(listed("violations", &self.violations));
        let excused: Vec<String> = self.hazards.iter().filter(|text| text.ends_with(']')).cloned().collect();
        if !excused.is_empty() {
            parts.push(listed("done by faults", &excused));
        }
        parts.join("\n")
    }

    fn sides_text(&self) -> String {
        let row = |side: &Side| {
            let degrees: Vec<String> = side.plug_celsius.iter().map(ToString::to_string).collect();
            [
                side.number.to_string(),
                side.charge_millipercent.map_or("-".to_owned(), |of| format!("{:.1} %", f64::from(of) / 1000.0)),
                side.board.clone(),
                pilot(side.pilot_volts).to_owned(),
                thousandths(side.millivolts),
                thousandths(side.milliamperes),
                thousandths(side.demand_milliamperes),
                closed(side.contactor).to_owned(),
                closed(side.vehicle_contactor).to_owned(),
                if side.locked { "locked" } else { "open" }.to_owned(),
                degrees.join(" "),
                side.causes.join(" "),
            ]
        };
        let heading = [
            "connector",
            "car",
            "board",
            "pilot",
            "V",
            "A",
            "asks A",
            "output",
            "car's",
            "lock",
            "plug C",
            "forbidden by",
        ];
        table(heading, &self.sides.iter().map(row).collect::<Vec<_>>())
    }

    fn modules_text(&self) -> String {
        let row = |(number, on, volts, amperes, celsius, set_volts, set_amperes, buses, state): &ModuleRow| {
            [
                number.to_string(),
                if *on { "on" } else { "off" }.to_owned(),
                thousandths(*volts),
                thousandths(*amperes),
                thousandths(*set_volts),
                thousandths(*set_amperes),
                celsius.to_string(),
                buses.clone(),
                state.clone(),
            ]
        };
        let heading = ["module", "is", "V", "A", "set V", "set A", "C", "bus", "state"];
        table(heading, &self.modules.iter().map(row).collect::<Vec<_>>())
    }

    fn switches_text(&self) -> String {
        let row = |(name, coil, contact, mirror, closings): &SwitchRow| {
            let word = match (coil, contact == mirror) {
                (_, false) => "the mirror lies",
                (coil, true) if coil != contact => "does not follow",
                _ => "",
            };
            let coil = if *coil { "on" } else { "off" };
            [name.clone(), coil.to_owned(), closed(*contact).to_owned(), closings.to_string(), word.to_owned()]
        };
        table(["switch", "coil", "contact", "closings", ""], &self.switches.iter().map(row).collect::<Vec<_>>())
    }
}

/// The faults that there are, with a mark at those that are on.
pub fn faults(all: &[FaultRow], active: &[(String, i64)]) -> String {
    let row = |(name, meaning, unit, usual): &FaultRow| {
        let value = if unit.is_empty() { String::new() } else { format!("{usual} {unit}") };
        [name.clone(), value, meaning.clone()]
    };
    let mut text = table(["fault", "value", "meaning"], &all.iter().map(row).collect::<Vec<_>>());
    if !active.is_empty() {
        let rows: Vec<[String; 2]> = active.iter().map(|(name, value)| [name.clone(), number(*value)]).collect();
        text.push('\n');
        text.push_str(&table(["on now", "value"], &rows));
    }
    text
}

fn listed(title: &str, texts: &[String]) -> String {
    let lines: Vec<String> = texts.iter().map(|text| format!("  {}\n", crate::words::line(text))).collect();
    format!("{title}: {}\n{}", texts.len(), lines.concat())
}

fn number(value: i64) -> String {
    if value == 0 { String::new() } else { value.to_string() }
}

fn thousandths(value: u32) -> String {
    format!("{:.1}", f64::from(value) / 1000.0)
}

fn closed(closed: bool) -> &'static str {
    if closed { "closed" } else { "open" }
}

fn pilot(volts: u8) -> &'static str {
    match volts {
        12 => "A",
        9 => "B",
        6 => "C",
        3 => "D",
        0 => "E/F",
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_what_the_hardware_does() {
        let overview = Overview {
            sides: vec![Side {
                number: 1,
                charge_millipercent: Some(35_250),
                board: "charging".to_owned(),
                pilot_volts: 6,
                millivolts: 401_260,
                milliamperes: 99_940,
                demand_milliamperes: 100_000,
                contactor: true,
                vehicle_contactor: true,
                locked: true,
                plug_celsius: vec![41, 39],
                causes: vec!["tilt".to_owned()],
            }],
            modules: vec![(3, true, 401_000, 50_000, 44, 420_000, 50_000, "1".to_owned(), "ok".to_owned())],
            switches: vec![
                ("relay-1-3".to_owned(), true, true, true, 7),
                ("relay-1-4".to_owned(), false, true, true, 1),
                ("contactor-1-plus".to_owned(), true, true, false, 2),
            ],
            active: vec![("tilt-1-tripped".to_owned(), 0), ("ambient".to_owned(), 45)],
            violations: vec!["3.000 s: sparks".to_owned()],
            hazards: vec!["2.000 s: smoke [module-1-silent]".to_owned(), "3.000 s: sparks".to_owned()],
        };
        let expected = "\
connector  car     board     pilot  V      A     asks A  output  car's   lock    plug C  forbidden by
        1  35.2 %  charging  C      401.3  99.9  100.0   closed  closed  locked  41 39   tilt

module  is  V      A     set V  set A   C  bus  state
     3  on  401.0  50.0  420.0  50.0   44    1  ok

switch            coil  contact  closings
relay-1-3         on    closed          7
relay-1-4         off   closed          1  does not follow
contactor-1-plus  on    closed          2  the mirror lies

fault           value
tilt-1-tripped
ambient         45

violations: 1
  3.000 s: sparks

done by faults: 1
  2.000 s: smoke [module-1-silent]
";
        assert_eq!(overview.to_text(), expected);
    }

    #[test]
    fn faults_are_listed_with_their_numbers_and_meanings() {
        let row = |name: &str, unit: &str, usual| (name.to_owned(), "it is so".to_owned(), unit.to_owned(), usual);
        let all = [row("ambient", "celsius", 45), row("io-down", "", 0)];
        let text = faults(&all, &[("ambient".to_owned(), 50)]);
        let expected = "\
fault    value       meaning
ambient  45 celsius  it is so
io-down              it is so

on now   value
ambient     50
";
        assert_eq!(text, expected);
    }
}
