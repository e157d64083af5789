//! How the station is wired: its connectors by model, and the channels of its I/O boards.
//!
//! The unit number of a board picks one of four: two output boards and two matrix boards.

use std::fmt;

use crate::advantics::Plug;

/// Channels of an I/O board.
pub const CHANNELS: usize = 8;

/// One of the two connectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Connector {
    /// Connector 1.
    One,
    /// Connector 2.
    Two,
}

impl Connector {
    /// Both, in order.
    pub const ALL: [Self; 2] = [Self::One, Self::Two];

    /// Its number, from 1.
    pub fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }

    /// The connector with a number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|connector| connector.number() == number)
    }

    /// Picks the connector's part of a pair.
    pub fn of<T>(self, [one, two]: &[T; 2]) -> &T {
        match self {
            Self::One => one,
            Self::Two => two,
        }
    }

    /// Picks the connector's part of a pair, to change it.
    pub fn of_mut<T>(self, [one, two]: &mut [T; 2]) -> &mut T {
        match self {
            Self::One => one,
            Self::Two => two,
        }
    }
}

impl fmt::Display for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number())
    }
}

/// One of the two poles of an output contactor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pole {
    /// DC+.
    Plus,
    /// DC-.
    Minus,
}

impl Pole {
    /// Both, in the order of their coils.
    pub const ALL: [Self; 2] = [Self::Plus, Self::Minus];

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Plus => "plus",
            Self::Minus => "minus",
        }
    }
}

/// The plugs of a station model; `None` for an unknown one.
pub fn plugs_of_model(model: &str) -> Option<[Plug; 2]> {
    if model.contains("TB") {
        Some([Plug::Ccs2, Plug::Ccs2])
    } else if model.contains("TH") {
        Some([Plug::Ccs2, Plug::Chademo])
    } else {
        None
    }
}

/// An I/O board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoBoard {
    /// Output contactor, bleeder, cable lock and inputs of a connector.
    Output(Connector),
    /// Relays that connect modules to the bus of a connector.
    Matrix(Connector),
}

impl IoBoard {
    /// The board with a unit number.
    pub fn from_unit(unit: u8) -> Option<Self> {
        Some(match unit {
            1 => Self::Output(Connector::One),
            2 => Self::Output(Connector::Two),
            3 => Self::Matrix(Connector::One),
            4 => Self::Matrix(Connector::Two),
            _ => return None,
        })
    }

    /// Its unit number.
    pub fn unit(self) -> u8 {
        match self {
            Self::Output(connector) => connector.number(),
            Self::Matrix(connector) => connector.number().saturating_add(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_decides_the_second_plug() {
        assert_eq!(plugs_of_model("EVD1S180TBB"), Some([Plug::Ccs2, Plug::Ccs2]));
        assert_eq!(plugs_of_model("EVD1S180THB"), Some([Plug::Ccs2, Plug::Chademo]));
        assert_eq!(plugs_of_model("EVD1S180"), None);
    }
}
