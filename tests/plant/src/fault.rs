//! The faults a test can switch on and off: what can befall whom, and under which name.
//!
//! It only names them; `fault::active` keeps those that are on, and the simulated devices suffer them.

use std::fmt;

use crate::cabinet::Bus;
use crate::wiring::{Connector, Pole};

mod active;
mod kinds;

pub use active::Faults;
pub use kinds::{Kind, Parameter, Row, Scope, TABLE};

/// Number of power modules.
const MODULES: u8 = 6;
/// Number of I/O boards.
const UNITS: u8 = 4;

/// Whom a fault befalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The cabinet as a whole.
    Cabinet,
    /// A power module by its number.
    Module(u8),
    /// A CAN bus.
    Bus(Bus),
    /// An I/O board by its unit number.
    Unit(u8),
    /// The relay of a connector and a module.
    Relay(Connector, u8),
    /// A pole of a connector's output contactor.
    Pole(Connector, Pole),
    /// A connector.
    Connector(Connector),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cabinet => Ok(()),
            Self::Module(number) | Self::Unit(number) => write!(f, "{number}"),
            Self::Bus(bus) => f.write_str(bus.name()),
            Self::Relay(connector, module) => write!(f, "{connector}-{module}"),
            Self::Pole(connector, pole) => write!(f, "{connector}-{}", pole.word()),
            Self::Connector(connector) => write!(f, "{connector}"),
        }
    }
}

impl Scope {
    /// Every subject in this scope.
    pub fn subjects(self) -> Vec<Subject> {
        match self {
            Self::Cabinet => vec![Subject::Cabinet],
            Self::Module => (1..=MODULES).map(Subject::Module).collect(),
            Self::Bus => Bus::ALL.map(Subject::Bus).to_vec(),
            Self::Unit => (1..=UNITS).map(Subject::Unit).collect(),
            Self::Relay => {
                let of = |connector| (1..=MODULES).map(move |module| Subject::Relay(connector, module));
                Connector::ALL.into_iter().flat_map(of).collect()
            }
            Self::Pole => {
                let of = |connector| Pole::ALL.map(|pole| Subject::Pole(connector, pole));
                Connector::ALL.into_iter().flat_map(of).collect()
            }
            Self::Connector => Connector::ALL.map(Subject::Connector).to_vec(),
        }
    }

    /// What stands for the subject in a name that is shown for all of them.
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::Cabinet => "",
            Self::Module => "1..6",
            Self::Bus => "modules|vehicles",
            Self::Unit => "1..4",
            Self::Relay => "1|2-1..6",
            Self::Pole => "1|2-plus|minus",
            Self::Connector => "1|2",
        }
    }
}

impl Row {
    /// The name with the subjects it can befall.
    pub fn shown(&self) -> String {
        self.pattern.replace("{}", self.scope.placeholder())
    }
}

/// A fault of the simulated hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// What.
    pub kind: Kind,
    /// Whom.
    pub subject: Subject,
}

impl Fault {
    /// A fault of the cabinet as a whole.
    pub fn of_cabinet(kind: Kind) -> Self {
        Self { kind, subject: Subject::Cabinet }
    }

    /// A fault of a module.
    pub fn of_module(kind: Kind, number: u8) -> Self {
        Self { kind, subject: Subject::Module(number) }
    }

    /// A fault of a bus.
    pub fn of_bus(kind: Kind, bus: Bus) -> Self {
        Self { kind, subject: Subject::Bus(bus) }
    }

    /// A fault of a connector, or of what belongs to it.
    pub fn of_connector(kind: Kind, connector: Connector) -> Self {
        Self { kind, subject: Subject::Connector(connector) }
    }

    /// A fault of a matrix relay.
    pub fn of_relay(kind: Kind, connector: Connector, module: u8) -> Self {
        Self { kind, subject: Subject::Relay(connector, module) }
    }

    /// A fault of a pole of an output contactor.
    pub fn of_pole(kind: Kind, connector: Connector, pole: Pole) -> Self {
        Self { kind, subject: Subject::Pole(connector, pole) }
    }

    /// Every fault.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().flat_map(|row| {
            let kind = row.kind;
            row.scope.subjects().into_iter().map(move |subject| Self { kind, subject })
        })
    }

    /// Its row in the table.
    pub fn row(self) -> Option<&'static Row> {
        TABLE.iter().find(|row| row.kind == self.kind)
    }

    /// Its name.
    pub fn name(self) -> String {
        self.row().map(|row| row.pattern.replace("{}", &self.subject.to_string())).unwrap_or_default()
    }

    /// The fault with a name.
    ///
    /// # Errors
    /// A text with the possible names.
    pub fn from_name(name: &str) -> Result<Self, String> {
        Self::all().find(|fault| fault.name() == name).ok_or_else(|| {
            let names: Vec<String> = Self::all().map(Self::name).collect();
            format!("no fault {name:?}; the faults are {}", names.join(", "))
        })
    }

    /// The number it is switched on with when none is given.
    pub fn usual_value(self) -> i64 {
        self.row().and_then(|row| row.parameter).map_or(0, |parameter| parameter.usual)
    }

    /// Checks a number for this fault.
    ///
    /// # Errors
    /// A text with the possible range.
    pub fn check(self, value: i64) -> Result<i64, String> {
        let name = self.name();
        match self.row().and_then(|row| row.parameter) {
            None => Err(format!("{name} takes no number")),
            Some(Parameter { unit, least, most, .. }) if !(least..=most).contains(&value) => {
                Err(format!("{name} is a number from {least} to {most} ({unit}), not {value}"))
            }
            Some(_) => Ok(value),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_found_by_its_name() {
        for fault in Fault::all() {
            assert_eq!(Fault::from_name(&fault.name()), Ok(fault));
        }
        assert!(Fault::from_name("module-7-silent").unwrap_err().contains("module-6-silent"));
    }

    #[test]
    fn every_kind_has_a_name_of_its_own_and_one_line_that_says_what_it_means() {
        for (row, others) in TABLE.iter().zip(1..).map(|(row, next)| (row, &TABLE[next..])) {
            assert!(others.iter().all(|other| other.pattern != row.pattern), "{}", row.pattern);
            let meaning = row.meaning.trim();
            assert!((10..120).contains(&meaning.len()) && !meaning.contains('\n'), "{}: {meaning}", row.pattern);
            assert_eq!(row.pattern.contains("{}"), row.scope != Scope::Cabinet, "{}", row.pattern);
            if let Some(Parameter { usual, least, most, .. }) = row.parameter {
                assert!((least..=most).contains(&usual), "{}", row.pattern);
            }
        }
    }

    #[test]
    fn a_number_is_held_against_its_range() {
        let derate = Fault::from_name("module-3-derate").unwrap();
        assert_eq!(derate.usual_value(), 10_000);
        assert_eq!(derate.check(30_000), Ok(30_000));
        assert!(derate.check(30_001).unwrap_err().contains("0 to 30000 (watts)"));
        assert!(Fault::from_name("io-down").unwrap().check(1).unwrap_err().contains("no number"));
    }
}
